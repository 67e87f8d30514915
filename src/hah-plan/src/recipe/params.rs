//! Parameters: what a recipe lets an image decide, with types.
//!
//! | type | TOML | in templates | bounds |
//! |---|---|---|---|
//! | `string` | string | string | `pattern`, `format` |
//! | `integer` | integer | integer | `min`, `max` |
//! | `boolean` | boolean | boolean | |
//! | `enum` | string | string | `choices` |
//! | `list` | array of strings | list of strings | `min`, `max` items; `pattern`, `format` of each |
//! | `port` | integer | integer | 1 to 65535, `min`, `max` |
//! | `path` | string, absolute | string | `pattern` |
//! | `size` | `"512 MiB"` or bytes | bytes, integer | `min`, `max` |
//! | `duration` | `"15m"` | seconds, integer | `min`, `max` |

use std::collections::BTreeMap;
use std::sync::Arc;

use hah_format::path::TreePath;
use hah_node::host::{self, Rule};
use regex_lite::Regex;

use super::document::{Fields, Item, Value, parse_value};
use super::model::{Assignment, Image, Recipe};
use super::problem::{Located, Place, Problem, Report, Text, shown};
use super::schema::{PARAM_FORMATS, PARAM_TYPES};
use super::units::{ByteSize, Seconds};

/// Names that mean something else in templates.
const RESERVED: [(&str, &str); 4] = [
    ("artifact", "the artifact in templates of [[artifact]]"),
    ("image", "the image in templates"),
    ("board", "the board in templates"),
    ("recipes", "the list of recipes in templates"),
];
/// Most items of a list.
const ITEMS_MAX: usize = 1000;
/// Longest string, in bytes.
const STRING_MAX: usize = 64 << 10;

/// The type of a parameter, in the order of [`PARAM_TYPES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Integer,
    Boolean,
    Enum,
    List,
    Port,
    Path,
    Size,
    Duration,
}

const KINDS: [Kind; 9] = [
    Kind::String,
    Kind::Integer,
    Kind::Boolean,
    Kind::Enum,
    Kind::List,
    Kind::Port,
    Kind::Path,
    Kind::Size,
    Kind::Duration,
];

impl Kind {
    pub(super) fn name(self) -> &'static str {
        PARAM_TYPES[self as usize]
    }

    fn noun(self) -> &'static str {
        match self {
            Self::String | Self::Enum => "a string",
            Self::Integer => "an integer",
            Self::Boolean => "true or false",
            Self::List => "an array of strings",
            Self::Port => "a port from 1 to 65535",
            Self::Path => "an absolute path",
            Self::Size => "a size such as \"64 MiB\"",
            Self::Duration => "a duration such as \"15m\"",
        }
    }
}

/// The rules of the formats, in the order of [`PARAM_FORMATS`].
const FORMATS: [Rule; PARAM_FORMATS.len()] = [host::host, host::join, host::name_server, host::url];

/// A parameter's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<String>),
}

/// What a parameter is before an image says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Initial {
    /// The image must say.
    Unset,
    Value(Setting),
    /// A value was given that the declaration does not admit, which has been reported.
    Refused,
}

/// A declared parameter.
#[derive(Debug)]
pub(super) struct Param {
    pub(super) kind: Kind,
    pub(super) doc: String,
    pub(super) default: Initial,
    pub(super) choices: Vec<String>,
    pub(super) min: Option<i64>,
    pub(super) max: Option<i64>,
    pub(super) pattern: Option<Regex>,
    format: Option<Rule>,
    pub(super) place: Place,
}

/// What every recipe's parameters are, by recipe and parameter.
pub(super) type Settings = BTreeMap<String, BTreeMap<String, Setting>>;

/// Reads `[params]` of a recipe.
pub(super) fn declarations(tables: Vec<(Located<String>, Item)>, report: &mut Report) -> BTreeMap<String, Param> {
    let mut params = BTreeMap::new();
    for (name, item) in tables {
        if let Some((_, what)) = RESERVED.iter().find(|(reserved, _)| *reserved == name.value) {
            report.at(&name.place, Problem::ReservedParam { name: name.value.clone(), what });
        }
        params.extend(declaration(&name, item.fields(), report).map(|param| (name.value, param)));
    }
    params
}

fn declaration(name: &Located<String>, mut fields: Fields, report: &mut Report) -> Option<Param> {
    let kind = fields.text("type")?;
    let kind = KINDS.into_iter().find(|candidate| candidate.name() == kind.value)?;
    for key in ["min", "max", "choices", "pattern", "format"].into_iter().filter(|key| fields.has(key)) {
        let allowed: &[Kind] = match key {
            "choices" => &[Kind::Enum],
            "pattern" => &[Kind::String, Kind::List, Kind::Path],
            "format" => &[Kind::String, Kind::List],
            _ => &[Kind::Integer, Kind::List, Kind::Port, Kind::Size, Kind::Duration],
        };
        if !allowed.contains(&kind) {
            report.at(&fields.place, Problem::ParamConstraint { key, kind: kind.name() });
        }
    }
    let choices: Vec<String> = fields.texts("choices").into_iter().map(|text| text.value).collect();
    if kind == Kind::Enum && choices.is_empty() {
        report.at(
            &fields.place,
            Problem::MissingKey { object: "a parameter of type enum", key: "choices", doc: "The values of an `enum`." },
        );
    }
    let pattern = fields.text("pattern").and_then(|text| match Regex::new(&format!("^(?:{})$", text.value)) {
        Ok(regex) => Some(regex),
        Err(error) => {
            report.at(&text.place, Problem::Invalid { reason: format!("not a regular expression: {error}"), hint: "" });
            None
        }
    });
    let format = fields.text("format").and_then(|format| {
        let known = PARAM_FORMATS.iter().zip(FORMATS);
        known.into_iter().find(|(name, _)| **name == format.value).map(|(_, ask)| ask)
    });
    let is_measured = matches!(kind, Kind::Integer | Kind::List | Kind::Port | Kind::Size | Kind::Duration);
    let mut bound = |key: &str| {
        let item = fields.take(key).filter(|_| is_measured)?;
        let shape = if kind == Kind::List || kind == Kind::Port { Kind::Integer } else { kind };
        let whole = Param::new(shape, name.place.clone());
        match whole.accept(key, item, report)? {
            Setting::Integer(bound) => Some(bound),
            _ => None,
        }
    };
    let (min, max) = (bound("min"), bound("max"));
    let doc = fields.text("doc").map(|text| text.value).unwrap_or_default();
    let mut param =
        Param { kind, doc, default: Initial::Unset, choices, min, max, pattern, format, place: name.place.clone() };
    if let Some(item) = fields.take("default") {
        param.default = param.accept(&name.value, item, report).map_or(Initial::Refused, Initial::Value);
    }
    Some(param)
}

impl Param {
    fn new(kind: Kind, place: Place) -> Self {
        let (choices, doc) = (Vec::new(), String::new());
        Self { kind, doc, default: Initial::Unset, choices, min: None, max: None, pattern: None, format: None, place }
    }

    /// `item` as a value of this parameter; a refusal is reported.
    pub(super) fn accept(&self, name: &str, item: Item, report: &mut Report) -> Option<Setting> {
        if matches!(item.value, Value::Refused) {
            return None;
        }
        let setting = match self.typed(item.value) {
            Ok(setting) => setting,
            Err(got) => {
                let (param, want) = (name.to_owned(), self.kind.noun().to_owned());
                report.at(&item.place, Problem::ParamType { param, got, want });
                return None;
            }
        };
        match self.violation(name, &setting) {
            None => Some(setting),
            Some(problem) => {
                report.at(&item.place, problem);
                None
            }
        }
    }

    /// The value in this parameter's type, or what it is instead.
    fn typed(&self, value: Value) -> Result<Setting, String> {
        let quoted = |text: &str| format!("`{}`", shown(text));
        let seconds = |text: &str| text.parse::<Seconds>().ok().and_then(|Seconds(number)| i64::try_from(number).ok());
        let bytes = |text: &str| text.parse::<ByteSize>().ok().and_then(|ByteSize(number)| i64::try_from(number).ok());
        match (self.kind, value) {
            (Kind::String, Value::Text(text)) if is_printable(&text, "\n\t") => Ok(Setting::Text(text)),
            (Kind::Enum, Value::Text(text)) => Ok(Setting::Text(text)),
            (Kind::Path, Value::Text(text)) => match TreePath::parse(&text) {
                Ok(_) if text.starts_with('/') && is_printable(&text, "") => Ok(Setting::Text(text)),
                _ => Err(quoted(&text)),
            },
            (Kind::Integer, Value::Integer(number)) => Ok(Setting::Integer(number)),
            (Kind::Port, Value::Integer(number)) if (1..=65_535).contains(&number) => Ok(Setting::Integer(number)),
            (Kind::Size, Value::Integer(number)) if number >= 0 => Ok(Setting::Integer(number)),
            (Kind::Size, Value::Text(text)) => bytes(&text).map(Setting::Integer).ok_or_else(|| quoted(&text)),
            (Kind::Duration, Value::Text(text)) => seconds(&text).map(Setting::Integer).ok_or_else(|| quoted(&text)),
            (Kind::Boolean, Value::Boolean(boolean)) => Ok(Setting::Boolean(boolean)),
            (Kind::List, Value::List(items)) => items
                .into_iter()
                .map(|item| match item.value {
                    Value::Text(text) if is_printable(&text, "") => Ok(text),
                    Value::Text(text) => Err(format!("an array with {} in it", quoted(&text))),
                    other => Err(format!("an array with {} in it", other.noun())),
                })
                .collect::<Result<_, _>>()
                .map(Setting::List),
            (_, Value::Text(text)) => Err(quoted(&text)),
            (_, Value::Integer(number)) => Err(format!("`{number}`")),
            (_, other) => Err(other.noun().to_owned()),
        }
    }

    /// What is wrong with a value of the right type.
    fn violation(&self, name: &str, setting: &Setting) -> Option<Problem> {
        let param = name.to_owned();
        let measure = match setting {
            Setting::Integer(number) => Some(*number),
            Setting::List(items) => i64::try_from(items.len()).ok(),
            _ => None,
        };
        if let Some(number) = measure
            && (self.min.is_some_and(|min| number < min) || self.max.is_some_and(|max| number > max))
        {
            let bounds = match (self.min, self.max) {
                (Some(min), Some(max)) => format!("{} to {}", self.measured(min), self.measured(max)),
                (Some(min), None) => format!("at least {}", self.measured(min)),
                (_, max) => format!("at most {}", self.measured(max.unwrap_or_default())),
            };
            return Some(Problem::ParamRange { param, got: self.measured(number), bounds });
        }
        let texts = match setting {
            Setting::Text(text) => std::slice::from_ref(text),
            Setting::List(items) => items,
            _ => &[],
        };
        if texts.len() > ITEMS_MAX || texts.iter().map(String::len).sum::<usize>() > STRING_MAX {
            return Some(Problem::TooLarge {
                path: param,
                what: "a parameter",
                bytes: texts.iter().map(String::len).sum(),
                max: STRING_MAX,
            });
        }
        if !self.choices.is_empty()
            && let Some(got) = texts.iter().find(|text| !self.choices.contains(text))
        {
            return Some(Problem::ParamChoice { param, got: got.clone(), choices: self.choices.clone() });
        }
        if let Some(ask) = self.format {
            // An empty default stands for "none".
            let refused = texts.iter().filter(|text| !text.is_empty()).find_map(|text| Some((text, ask(text).err()?)));
            if let Some((got, reason)) = refused {
                return Some(Problem::ParamFormat { param, got: shown(got), reason });
            }
        }
        let pattern = self.pattern.as_ref()?;
        let got = texts.iter().find(|text| !pattern.is_match(text))?;
        let (got, pattern) = (got.chars().take(60).collect(), pattern.as_str());
        let pattern = pattern.trim_start_matches("^(?:").trim_end_matches(")$").to_owned();
        Some(Problem::ParamPattern { param, got, pattern })
    }

    /// A bound or value in the unit of this parameter.
    pub(super) fn measured(&self, number: i64) -> String {
        let whole = u64::try_from(number).unwrap_or_default();
        match self.kind {
            Kind::Size => ByteSize(whole).to_string(),
            Kind::Duration => Seconds(whole).to_string(),
            Kind::List => format!("{number} items"),
            _ => number.to_string(),
        }
    }
}

fn is_printable(text: &str, besides: &str) -> bool {
    text.chars().all(|character| !character.is_control() || besides.contains(character))
}

/// A parameter given beside the image file: `consul.role=client`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Who says so, for messages: `--set`.
    pub origin: String,
    /// `RECIPE.PARAMETER=VALUE`. A value of a list is one item, or a TOML array; others are written as they are.
    pub text: String,
}

/// Every recipe's parameters, and who said what of them.
pub(super) struct Settled {
    pub(super) settings: Settings,
    /// Recipe and parameter of what the image or an override says, and where; what counts comes first.
    pub(super) said: Vec<((String, String), Place)>,
}

/// Every recipe's parameters: the default, or what the image says, or what an override says.
pub(super) fn settle(recipes: &[Recipe], image: &Image, overrides: &[Override], report: &mut Report) -> Settled {
    let mut said = Vec::new();
    let mut settings = Settings::new();
    for recipe in recipes {
        let defaults = recipe.params.iter().filter_map(|(name, param)| match &param.default {
            Initial::Value(setting) => Some((name.clone(), setting.clone())),
            Initial::Unset | Initial::Refused => None,
        });
        settings.insert(recipe.name.clone(), defaults.collect());
    }
    let mut refused = Vec::new();
    let mut assign = |assignment: Assignment, report: &mut Report| {
        let Assignment { recipe, param, value } = assignment;
        let Some(declared) = declared(recipes, &image.name, (&recipe, &param), report) else { return };
        let shown = format!("{}.{}", recipe.value, param.value);
        said.push(((recipe.value.clone(), param.value.clone()), value.place.clone()));
        match declared.accept(&shown, value, report) {
            Some(setting) => {
                settings.entry(recipe.value).or_default().insert(param.value, setting);
            }
            None => refused.push((recipe.value, param.value)),
        }
    };
    for Assignment { recipe, param, value } in &image.settings {
        assign(Assignment { recipe: recipe.clone(), param: param.clone(), value: value.clone() }, report);
    }
    for over in overrides {
        let Some(assignment) = assignment(over, recipes, report) else { continue };
        assign(assignment, report);
    }
    for recipe in recipes {
        for (name, param) in &recipe.params {
            let key = (recipe.name.clone(), name.clone());
            let is_set = settings.get(&recipe.name).is_some_and(|params| params.contains_key(name));
            if !is_set && param.default != Initial::Refused && !refused.contains(&key) {
                let (recipe, param_name) = key;
                report.at(&param.place, Problem::NoValue { recipe, param: param_name, doc: param.doc.clone() });
            }
        }
    }
    // What was said last counts.
    said.reverse();
    Settled { settings, said }
}

fn declared<'a>(
    recipes: &'a [Recipe],
    image: &str,
    (recipe, param): (&Located<String>, &Located<String>),
    report: &mut Report,
) -> Option<&'a Param> {
    let Some(found) = recipes.iter().find(|candidate| candidate.name == recipe.value) else {
        let problem = Problem::AbsentRecipe {
            recipe: recipe.value.clone(),
            param: param.value.clone(),
            image: image.to_owned(),
            known: recipes.iter().map(|recipe| recipe.name.clone()).collect(),
        };
        report.at(&recipe.place, problem);
        return None;
    };
    let declared = found.params.get(&param.value);
    if declared.is_none() {
        let known = found.params.keys().cloned().collect();
        let (recipe, name) = (recipe.value.clone(), param.value.clone());
        report.at(&param.place, Problem::NoSuchParam { recipe, param: name, known });
    }
    declared
}

/// An override as if it stood in the image, its value typed by the parameter.
fn assignment(over: &Override, recipes: &[Recipe], report: &mut Report) -> Option<Assignment> {
    let text = Arc::new(Text { shown: over.origin.clone(), text: over.text.clone() });
    let place = |range| Place { text: text.clone(), range };
    let split = over.text.split_once('=').and_then(|(name, value)| Some((name.split_once('.')?, value)));
    let Some(((recipe, param), value)) = split else {
        report.at(&place(0..over.text.len()), Problem::BadOverride(over.text.clone()));
        return None;
    };
    let value_start = recipe.len() + param.len() + 2;
    let value_place = place(value_start..over.text.len());
    let kind = recipes.iter().find(|found| found.name == recipe).and_then(|found| found.params.get(param));
    let plain = || Item { value: Value::Text(value.to_owned()), place: value_place.clone() };
    let is_toml = match kind.map(|param| param.kind) {
        Some(Kind::Integer | Kind::Port | Kind::Boolean) => true,
        Some(Kind::List) => value.starts_with('['),
        _ => false,
    };
    let parsed = is_toml.then(|| parse_value(value)).flatten();
    let item = match (parsed, kind.map(|param| param.kind)) {
        (Some(value), _) => Item { value, place: value_place.clone() },
        (None, Some(Kind::List)) if !is_toml => Item { value: Value::List(vec![plain()]), place: value_place.clone() },
        _ => plain(),
    };
    Some(Assignment {
        recipe: Located { value: recipe.to_owned(), place: place(0..recipe.len()) },
        param: Located { value: param.to_owned(), place: place(recipe.len() + 1..value_start - 1) },
        value: item,
    })
}
