//! Rendering: parameters into text, and conditions into yes or no.
//!
//! Templates are minijinja with strict undefined values: a name that is not defined is an error with its line.
//! A block tag alone on its line leaves no line behind (`trim_blocks`, `lstrip_blocks`); the last newline stays.
//! They see the parameters of their own recipe by name, `image`, `board`, `recipes` (the names of those present) and
//! every present recipe's parameters as `RECIPE.PARAMETER`. A `-` in a name is `_` here, as minijinja wants it.
//! There is no clock, no randomness and no other file to include, so that the same input gives the same bytes.

use std::collections::BTreeMap;
use std::io::{self, Write};

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::model::{Content, Template};
use super::params::{Setting, Settings};
use super::problem::{Place, Problem, Report};
use crate::board::Board;

/// Longest text that a template may render, in bytes.
const RENDERED_MAX: usize = 4 << 20;
/// Most instructions that a template may execute.
const FUEL: u64 = 1_000_000;

/// The values that templates see, for each recipe.
#[derive(Debug)]
pub(super) struct Scope {
    common: BTreeMap<String, Value>,
    own: BTreeMap<String, BTreeMap<String, Value>>,
}

/// Facts about the image that templates may use.
pub(super) struct ImageFacts<'a> {
    pub(super) name: &'a str,
    pub(super) hostname_prefix: &'a str,
    pub(super) board: &'a Board,
    /// In merge order.
    pub(super) recipes: &'a [&'a str],
}

impl Scope {
    pub(super) fn new(facts: &ImageFacts<'_>, settings: &Settings) -> Self {
        let own: BTreeMap<String, BTreeMap<String, Value>> =
            settings.iter().map(|(recipe, params)| (recipe.clone(), values(params))).collect();
        let mut common: BTreeMap<String, Value> =
            own.iter().map(|(recipe, params)| (identifier(recipe), Value::from(params.clone()))).collect();
        let image = BTreeMap::from([
            ("name", Value::from(facts.name)),
            ("hostname_prefix", Value::from(facts.hostname_prefix)),
        ]);
        common.insert("image".to_owned(), Value::from(image));
        let number = |number: Option<u32>| number.map_or(Value::from(()), Value::from);
        let board = BTreeMap::from([
            ("name", Value::from(facts.board.name.as_str())),
            ("architecture", Value::from(facts.board.architecture.as_str())),
            ("watchdog_seconds", number(facts.board.watchdog_seconds)),
            ("processor_mhz", number(facts.board.processor_mhz)),
        ]);
        common.insert("board".to_owned(), Value::from(board));
        common.insert("recipes".to_owned(), facts.recipes.iter().copied().collect());
        Self { common, own }
    }

    /// The same, with one more name that every recipe sees.
    pub(super) fn with(&self, name: &str, value: BTreeMap<&'static str, String>) -> Self {
        let mut common = self.common.clone();
        common.insert(name.to_owned(), Value::from(value));
        Self { common, own: self.own.clone() }
    }

    fn of(&self, recipe: &str) -> BTreeMap<String, Value> {
        let mut all = self.common.clone();
        all.extend(self.own.get(recipe).cloned().unwrap_or_default());
        all
    }

    /// The bytes of `content` of `recipe`.
    pub(super) fn content(&self, recipe: &str, content: &Content, report: &mut Report) -> Option<Vec<u8>> {
        match content {
            Content::Verbatim(bytes) => Some(bytes.clone()),
            Content::Template(template) => self.render(recipe, template, report).map(String::into_bytes),
        }
    }

    /// The text of a template of `recipe`.
    pub(super) fn render(&self, recipe: &str, template: &Template, report: &mut Report) -> Option<String> {
        if !template.source.contains('{') {
            return Some(template.source.clone());
        }
        let environment = environment();
        let scope = self.of(recipe);
        let root = Value::from(scope);
        let mut out = Bounded { bytes: Vec::new() };
        let result = environment
            .template_from_str(&template.source)
            .and_then(|found| found.render_captured_to(root.clone(), &mut out).map(|_| ()));
        match result {
            Ok(()) => String::from_utf8(out.bytes).ok(),
            Err(_) if out.bytes.len() >= RENDERED_MAX => {
                report.at(&template.place, Problem::RenderedTooLong(RENDERED_MAX));
                None
            }
            Err(error) => {
                let used =
                    environment.template_from_str(&template.source).map(|found| found.undeclared_variables(true));
                report_error(template, &error, undefined(used.unwrap_or_default(), &root), report);
                None
            }
        }
    }

    /// Whether an entry with this condition counts; without one it does.
    pub(super) fn holds(&self, recipe: &str, when: Option<&Template>, report: &mut Report) -> bool {
        let Some(when) = when else { return true };
        let root = Value::from(self.of(recipe));
        let environment = environment();
        match environment.compile_expression(&when.source).and_then(|found| found.eval(root.clone())) {
            Ok(value) if value.kind() == minijinja::value::ValueKind::Bool => value.is_true(),
            Ok(value) => {
                report.at(&when.place, Problem::NotACondition(value.kind().to_string()));
                false
            }
            Err(error) => {
                let used = environment.compile_expression(&when.source).map(|found| found.undeclared_variables(true));
                report_error(when, &error, undefined(used.unwrap_or_default(), &root), report);
                false
            }
        }
    }
}

/// Reports what is wrong with a template before any value is known.
pub(super) fn check(template: &Template, report: &mut Report) {
    if let Err(error) = environment().template_from_str(&template.source) {
        report_error(template, &error, None, report);
    }
}

/// Reports what is wrong with an expression before any value is known.
pub(super) fn check_expression(template: &Template, report: &mut Report) {
    if let Err(error) = environment().compile_expression(&template.source) {
        report_error(template, &error, None, report);
    }
}

/// A name as templates spell it.
pub(super) fn identifier(name: &str) -> String {
    name.replace('-', "_")
}

fn values(params: &BTreeMap<String, Setting>) -> BTreeMap<String, Value> {
    let value = |setting: &Setting| match setting {
        Setting::Text(text) => Value::from(text.as_str()),
        Setting::Integer(number) => Value::from(*number),
        Setting::Boolean(boolean) => Value::from(*boolean),
        Setting::List(items) => Value::from(items.clone()),
    };
    params.iter().map(|(name, setting)| (identifier(name), value(setting))).collect()
}

fn environment<'source>() -> Environment<'source> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_debug(true);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(50);
    // Building fails only for delimiters that clash, and these are the default ones.
    if let Ok(syntax) =
        SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()
    {
        environment.set_syntax(syntax);
    }
    environment
}

/// The first name among `used` that `root` does not define, and the names that it might be.
fn undefined(used: impl IntoIterator<Item = String>, root: &Value) -> Option<(String, Vec<String>)> {
    let mut used: Vec<String> = used.into_iter().collect();
    used.sort();
    used.into_iter().find_map(|name| {
        let mut at = root.clone();
        let mut prefix = String::new();
        for part in name.split('.') {
            let keys = at.try_iter().map(|keys| keys.map(|key| format!("{prefix}{key}")).collect());
            let known: Vec<String> = keys.unwrap_or_default();
            at = at.get_attr(part).unwrap_or_default();
            if at.is_undefined() {
                return Some((format!("{prefix}{part}"), known));
            }
            prefix = format!("{prefix}{part}.");
        }
        None
    })
}

fn report_error(template: &Template, error: &Error, undefined: Option<(String, Vec<String>)>, report: &mut Report) {
    let problem = match (error.kind(), undefined) {
        (ErrorKind::UndefinedError, Some((name, known))) => Problem::Undefined { name, known },
        (kind, _) => Problem::Template(match error.detail() {
            Some(detail) => format!("{kind}: {detail}"),
            None => kind.to_string(),
        }),
    };
    report.at(&place_of(template, error), problem);
}

/// Where in the file the error is, as exactly as the template's own place allows.
fn place_of(template: &Template, error: &Error) -> Place {
    let line = error.line().unwrap_or(1);
    let lines = template.source.split_inclusive('\n').map(str::len);
    let line_start: usize = lines.take(line.saturating_sub(1)).sum();
    let line_end = template.source[line_start..].find('\n').map_or(template.source.len(), |at| line_start + at);
    let range = error.range().filter(|range| range.end <= template.source.len()).unwrap_or(line_start..line_end);
    match template.offset {
        Some(offset) => Place { text: template.place.text.clone(), range: range.start + offset..range.end + offset },
        None => template.place.clone(),
    }
}

/// A buffer that refuses to grow without end.
struct Bounded {
    bytes: Vec<u8>,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = RENDERED_MAX - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if bytes.len() >= room { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
