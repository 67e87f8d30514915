//! Nomad jobs: from the language that people write to the JSON that `PUT /v1/jobs` takes.
//!
//! The job specification is HCL and the API has other names for nearly everything in it (`max_parallel` is `MaxParallel`,
//! `size` of `ephemeral_disk` is `SizeMB`), durations in nanoseconds, and lists where blocks repeat. [`spec`] is the table
//! of what is understood: what services need, and no more. Anything else is an error that names the known words, since a
//! word that was skipped in silence would be missed on a running cluster.
//!
//! Interpolations such as `${NOMAD_PORT_http}` are Nomad's to fill in when the task runs and are kept as they are.
//! `file("/…")` is the content of a file of the image, which is what `nomad job run` makes of it on a node.
//!
//! Source: the job specification of Nomad's documentation, and the API's job structure in its "Jobs HTTP API" page. The
//! tests of `tests/it/stack` hold the result against a real Nomad.

mod spec;

use hah_format::digest::Sha256;
use hcl_edit::Span as _;
use hcl_edit::expr::{Expression, FuncCall, ObjectKey};
use hcl_edit::structure::{Attribute, Block, Body};
use hcl_edit::template::{Element, Template};
use serde_json::{Map, Number, Value, json};

use crate::diagnostic::did_you_mean;
use spec::{Kind, Spec};

/// What stands in a job for the digest of the job: the JSON's, files included, with these very words in it.
pub const DIGEST: &str = "HAH_JOB_DIGEST";

/// What is wrong with a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the job: {message}")]
pub struct JobError {
    /// Line of the job's text, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
    /// What to do about it, if anything but the obvious.
    pub hint: Option<String>,
}

/// The body of `PUT /v1/jobs` for the job `text`; `file` gives the content of files that it names.
///
/// # Errors
/// Text that is no HCL, or says something that [`spec`] does not know.
pub fn to_json(text: &str, file: &dyn Fn(&str) -> Option<String>) -> Result<Value, JobError> {
    let body: Body = text.parse().map_err(|error: hcl_edit::parser::Error| JobError {
        line: error.location().line(),
        message: format!("not HCL: {}", error.message()),
        hint: None,
    })?;
    let reader = Reader { text, file };
    let mut blocks = body.blocks();
    let job = match (blocks.next(), blocks.next(), body.attributes().next()) {
        (Some(job), None, None) if job.has_ident("job") => job,
        _ => return Err(reader.problem(None, "the file must hold one `job` block and nothing else".to_owned())),
    };
    let mut object = reader.body(&job.body, &spec::JOB)?;
    let name = reader.label(job)?;
    object.insert("ID".to_owned(), json!(name));
    object.insert("Name".to_owned(), json!(name));
    Ok(json!({ "Job": object }))
}

/// The job `text` and its JSON as files of the image, with the job's digest where they say [`DIGEST`].
///
/// # Errors
/// As [`to_json`].
pub fn forms(text: &str, file: &dyn Fn(&str) -> Option<String>) -> Result<(String, String), JobError> {
    let mut json = format!("{:#}\n", to_json(text, file)?);
    let digest = Sha256::of(json.as_bytes()).to_string();
    json = json.replace(DIGEST, &digest);
    Ok((text.replace(DIGEST, &digest), json))
}

struct Reader<'a> {
    text: &'a str,
    file: &'a dyn Fn(&str) -> Option<String>,
}

impl Reader<'_> {
    fn problem(&self, span: Option<std::ops::Range<usize>>, message: String) -> JobError {
        let before = self.text.get(..span.map_or(0, |span| span.start)).unwrap_or_default();
        JobError { line: before.matches('\n').count() + 1, message, hint: None }
    }

    fn unknown(&self, span: Option<std::ops::Range<usize>>, name: &str, spec: &Spec) -> JobError {
        let known: Vec<&str> = spec.keys.iter().map(|(name, ..)| *name).collect();
        let mut error = self.problem(span, format!("`{name}` is not understood in {}", spec.name));
        error.hint = Some(match did_you_mean(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("understood here: {}", known.join(", ")),
        });
        error
    }

    /// What is in a block, by the names of the API.
    fn body(&self, body: &Body, spec: &Spec) -> Result<Map<String, Value>, JobError> {
        let mut object = Map::new();
        for attribute in body.attributes() {
            let name = attribute.key.as_str();
            let Some((_, api, kind)) = spec.key(name) else {
                return Err(self.unknown(attribute.span(), name, spec));
            };
            let value = self.attribute(attribute, *kind)?;
            object.insert((*api).to_owned(), value);
        }
        for block in body.blocks() {
            let name = block.ident.as_str();
            let Some((_, api, kind)) = spec.key(name) else {
                return Err(self.unknown(block.span(), name, spec));
            };
            self.block(block, (api, *kind), &mut object)?;
        }
        Ok(object)
    }

    fn attribute(&self, attribute: &Attribute, kind: Kind) -> Result<Value, JobError> {
        let wrong = |wanted: &str| {
            let name = attribute.key.as_str();
            Err(self.problem(attribute.span(), format!("`{name}` is not {wanted}")))
        };
        let value = self.value(&attribute.value)?;
        match (kind, &value) {
            (Kind::Text, Value::String(_)) | (Kind::Boolean, Value::Bool(_)) => Ok(value),
            (Kind::Integer, Value::Number(number)) if number.is_i64() => Ok(value),
            (Kind::List, Value::Array(items)) if items.iter().all(Value::is_string) => Ok(value),
            (Kind::Strings, Value::Object(_)) => Ok(value),
            (Kind::Duration, Value::String(text)) => match nanoseconds(text) {
                Some(number) => Ok(json!(number)),
                None => wrong("a duration such as \"90s\""),
            },
            (Kind::Text, _) => wrong("a string"),
            (Kind::Boolean, _) => wrong("true or false"),
            (Kind::Integer, _) => wrong("a whole number"),
            (Kind::List, _) => wrong("a list of strings"),
            (Kind::Strings, _) => wrong("a table of strings"),
            (Kind::Duration, _) => wrong("a duration such as \"90s\""),
            _ => wrong("an attribute; it is written as a block"),
        }
    }

    fn block(&self, block: &Block, (api, kind): (&str, Kind), into: &mut Map<String, Value>) -> Result<(), JobError> {
        let name = block.ident.as_str();
        let twice = || Err(self.problem(block.span(), format!("there is more than one `{name}`")));
        match kind {
            Kind::One(spec) => {
                if into.insert(api.to_owned(), Value::Object(self.body(&block.body, spec)?)).is_some() {
                    return twice();
                }
            }
            Kind::Many(spec) => {
                let object = self.body(&block.body, spec)?;
                push(into, api, Value::Object(object));
            }
            Kind::Named(spec) => {
                let mut object = self.body(&block.body, spec)?;
                object.insert("Name".to_owned(), json!(self.label(block)?));
                push(into, api, Value::Object(object));
            }
            Kind::ByName(spec) => {
                let mut object = self.body(&block.body, spec)?;
                let label = self.label(block)?;
                object.insert("Name".to_owned(), json!(label));
                let table = into.entry(api.to_owned()).or_insert_with(|| json!({}));
                if let Value::Object(table) = table
                    && table.insert(label, Value::Object(object)).is_some()
                {
                    return twice();
                }
            }
            Kind::Port => {
                let mut object = self.body(&block.body, &spec::PORT)?;
                object.insert("Label".to_owned(), json!(self.label(block)?));
                let list = if object.contains_key("Value") { "ReservedPorts" } else { "DynamicPorts" };
                push(into, list, Value::Object(object));
            }
            Kind::Strings | Kind::Free => {
                let mut object = Map::new();
                for attribute in block.body.attributes() {
                    object.insert(attribute.key.as_str().to_owned(), self.value(&attribute.value)?);
                }
                if let Some(inner) = block.body.blocks().next() {
                    let message = format!("blocks in `{name}` are not understood");
                    return Err(self.problem(inner.span(), message));
                }
                if into.insert(api.to_owned(), Value::Object(object)).is_some() {
                    return twice();
                }
            }
            Kind::Text | Kind::Integer | Kind::Boolean | Kind::Duration | Kind::List => {
                return Err(self.problem(block.span(), format!("`{name}` is an attribute: write `{name} = …`")));
            }
        }
        Ok(())
    }

    fn label(&self, block: &Block) -> Result<String, JobError> {
        match &block.labels[..] {
            [label] => Ok(label.as_str().to_owned()),
            _ => Err(self.problem(block.span(), format!("`{}` needs one name", block.ident.as_str()))),
        }
    }

    fn value(&self, expression: &Expression) -> Result<Value, JobError> {
        match expression {
            Expression::String(text) => Ok(json!(text.as_str())),
            Expression::Bool(boolean) => Ok(json!(*boolean.value())),
            Expression::Number(number) => match number.value().as_i64() {
                Some(number) => Ok(Value::Number(Number::from(number))),
                None => Err(self.problem(number.span(), "a number that is not whole".to_owned())),
            },
            Expression::StringTemplate(template) => self.template(template).map(Value::String),
            Expression::HeredocTemplate(heredoc) => self.template(&heredoc.template).map(Value::String),
            Expression::Array(items) => {
                items.iter().map(|item| self.value(item)).collect::<Result<_, _>>().map(Value::Array)
            }
            Expression::Object(object) => {
                let mut table = Map::new();
                for (key, value) in object.iter() {
                    let key = match key {
                        ObjectKey::Ident(ident) => ident.as_str().to_owned(),
                        ObjectKey::Expression(Expression::String(text)) => text.as_str().to_owned(),
                        ObjectKey::Expression(Expression::Variable(name)) => name.as_str().to_owned(),
                        ObjectKey::Expression(other) => {
                            return Err(self.problem(other.span(), "a key that is no word".to_owned()));
                        }
                    };
                    table.insert(key, self.value(value.expr())?);
                }
                Ok(Value::Object(table))
            }
            Expression::FuncCall(call) => self.call(call),
            other => {
                let text = other.to_string();
                let text: String = text.trim().chars().take(60).collect();
                let mut error =
                    self.problem(other.span(), format!("`{text}` is an expression, which is not understood"));
                error.hint = Some("the recipe's template can compute it".to_owned());
                Err(error)
            }
        }
    }

    fn call(&self, call: &FuncCall) -> Result<Value, JobError> {
        let name = call.name.name.as_str();
        let mut arguments = call.args.iter();
        match (name, arguments.next(), arguments.next()) {
            ("file", Some(Expression::String(path)), None) => match (self.file)(path.as_str()) {
                Some(content) => Ok(Value::String(content)),
                None => {
                    let mut error =
                        self.problem(call.span(), format!("the image has no text file `{}`", path.as_str()));
                    error.hint = Some("write it with [[file]], and name it by its whole path".to_owned());
                    Err(error)
                }
            },
            _ => {
                let message = format!("the function `{name}` is not understood; `file(\"…\")` is");
                Err(self.problem(call.span(), message))
            }
        }
    }

    /// The text of a template, with interpolations as they were written.
    fn template(&self, template: &Template) -> Result<String, JobError> {
        let mut text = String::new();
        for element in template.iter() {
            match element {
                Element::Literal(literal) => text.push_str(literal.as_str()),
                Element::Interpolation(found) => {
                    text.push_str("${");
                    text.push_str(found.expr.to_string().trim());
                    text.push('}');
                }
                Element::Directive(_) => {
                    let message = "a directive `%{…}` in a string is not understood".to_owned();
                    return Err(self.problem(element.span(), message));
                }
            }
        }
        Ok(text)
    }
}

fn push(into: &mut Map<String, Value>, api: &str, value: Value) {
    if let Value::Array(list) = into.entry(api.to_owned()).or_insert_with(|| json!([])) {
        list.push(value);
    }
}

/// A duration of Go's: numbers with units, of which whole seconds are enough here.
fn nanoseconds(text: &str) -> Option<i64> {
    let units = [("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000)];
    let mut rest = text;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let (unit, factor) = units.iter().find(|(unit, _)| after.starts_with(unit))?;
        total = number.parse::<i64>().ok()?.checked_mul(*factor)?.checked_add(total)?;
        rest = &after[unit.len()..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests;
