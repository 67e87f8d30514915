//! [`Reader`]: from a job of literals to the JSON of the API, as long as [`spec`] knows its words.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hcl_edit::Span as _;
use hcl_edit::expr::{Expression, FuncCall, ObjectKey, TraversalOperator, UnaryOperator};
use hcl_edit::structure::{Attribute, Block, Body};
use hcl_edit::template::{Element, Interpolation, Strip, Template};
use serde_json::{Map, Number, Value, json};

use super::here_document::{self, Piece};
use super::spec::{self, Kind, Spec};
use super::{JobError, paths};
use crate::diagnostic::did_you_mean;

/// Why there is no JSON.
#[derive(Debug)]
pub(super) enum Stop {
    /// No Nomad takes it.
    Wrong(JobError),
    /// A Nomad may: it is to read the job itself.
    Beyond(JobError),
}

impl From<JobError> for Stop {
    fn from(error: JobError) -> Self {
        Self::Wrong(error)
    }
}

/// A job's text and the files that it may name.
pub(super) struct Reader<'a> {
    /// As it was written; the body was read from [`here_document::as_written`] of it, with the same offsets.
    pub(super) text: &'a str,
    pub(super) file: &'a dyn Fn(&str) -> Option<String>,
}

impl Reader<'_> {
    pub(super) fn problem(&self, span: Option<Range<usize>>, message: String) -> JobError {
        let before = self.text.get(..span.map_or(0, |span| span.start)).unwrap_or_default();
        JobError { line: before.matches('\n').count() + 1, message, hint: None }
    }

    fn beyond(&self, span: Option<Range<usize>>, message: String) -> Stop {
        Stop::Beyond(self.problem(span, message))
    }

    fn unknown(&self, span: Option<Range<usize>>, name: &str, spec: &Spec) -> Stop {
        let known = spec.keys.iter().map(|(name, ..)| *name);
        let mut error = self.problem(span, format!("`{name}` is not understood in {}", spec.name));
        error.hint = did_you_mean(name, known).map(|near| format!("did you mean `{near}`?"));
        Stop::Beyond(error)
    }

    /// The body of `PUT /v1/jobs` for a document that has been checked to hold one job.
    pub(super) fn document(&self, body: &Body) -> Result<Value, Stop> {
        if let Some(other) = body.blocks().find(|block| !block.has_ident("job")) {
            return Err(self.beyond(other.span(), format!("a block `{}`", other.ident.as_str())));
        }
        let Some(block) = body.blocks().next() else {
            return Err(self.problem(None, "there is no `job` block".to_owned()).into());
        };
        let mut job = self.body(&block.body, &spec::JOB)?;
        let name = self.label(block)?;
        for key in ["ID", "Name"] {
            job.entry(key).or_insert_with(|| json!(name));
        }
        settle(&mut job);
        Ok(json!({ "Job": job }))
    }

    /// What is in a block, by the names of the API.
    fn body(&self, body: &Body, spec: &Spec) -> Result<Map<String, Value>, Stop> {
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

    /// Nomad converts between strings, numbers and booleans where the meaning is plain.
    fn attribute(&self, attribute: &Attribute, kind: Kind) -> Result<Value, Stop> {
        let wrong = |wanted: &str| {
            let name = attribute.key.as_str();
            Err(self.problem(attribute.span(), format!("`{name}` is not {wanted}")).into())
        };
        let value = self.value(&attribute.value)?;
        if holds_null(&value) {
            return Err(self.beyond(attribute.span(), "a `null`".to_owned()));
        }
        match (kind, &value) {
            (Kind::Boolean, Value::Bool(_)) => Ok(value),
            (Kind::Integer | Kind::Duration, Value::Number(number)) if number.is_i64() => Ok(value),
            (Kind::Integer, Value::Number(_)) => {
                Err(self.beyond(attribute.span(), "a number that is not whole".to_owned()))
            }
            (Kind::Integer, Value::String(text)) => match text.parse::<i64>() {
                Ok(number) if !text.starts_with('+') => Ok(json!(number)),
                _ if text.parse::<f64>().is_ok() || text.contains("${") => {
                    Err(self.beyond(attribute.span(), format!("the number `{text}`")))
                }
                _ => wrong("a whole number"),
            },
            (Kind::Boolean, Value::String(text)) => match &**text {
                "true" => Ok(json!(true)),
                "false" => Ok(json!(false)),
                "1" | "0" => Err(self.beyond(attribute.span(), format!("the truth value `{text}`"))),
                _ => wrong("true or false"),
            },
            (Kind::Duration, Value::String(text)) => match nanoseconds(text) {
                Some(number) => Ok(json!(number)),
                None => wrong("a duration such as \"90s\""),
            },
            (Kind::Text, value) => match as_text(value) {
                Some(text) => Ok(json!(text)),
                None => wrong("a string"),
            },
            (Kind::List, Value::Array(items)) => match items.iter().map(as_text).collect::<Option<Vec<String>>>() {
                Some(texts) => Ok(json!(texts)),
                None => wrong("a list of strings"),
            },
            (Kind::Strings, Value::Object(table)) => match texts(table) {
                Some(table) => Ok(Value::Object(table)),
                None => wrong("a table of strings"),
            },
            (Kind::Boolean, _) => wrong("true or false"),
            (Kind::Integer, _) => wrong("a whole number"),
            (Kind::List, _) => wrong("a list of strings"),
            (Kind::Strings, _) => wrong("a table of strings"),
            (Kind::Duration, _) => wrong("a duration such as \"90s\""),
            _ => wrong("an attribute; it is written as a block"),
        }
    }

    fn block(&self, block: &Block, (api, kind): (&str, Kind), into: &mut Map<String, Value>) -> Result<(), Stop> {
        let name = block.ident.as_str();
        let once = |into: &mut Map<String, Value>, value: Map<String, Value>| match into
            .insert(api.to_owned(), Value::Object(value))
        {
            None => Ok(()),
            Some(_) => Err(Stop::Wrong(self.problem(block.span(), format!("there is more than one `{name}`")))),
        };
        let labels = match kind {
            Kind::Named(_) | Kind::ByName(_) | Kind::Labelled(..) | Kind::Port => 1,
            _ => 0,
        };
        if labels == 0 && !block.labels.is_empty() {
            return Err(self.problem(block.span(), format!("`{name}` has no name")).into());
        }
        match kind {
            Kind::One(spec) => once(into, self.body(&block.body, spec)?)?,
            Kind::Many(spec) => push(into, api, self.body(&block.body, spec)?),
            Kind::Named(spec) => push(into, api, self.labelled(block, spec, "Name")?),
            Kind::Labelled(spec, label) => push(into, api, self.labelled(block, spec, label)?),
            Kind::ByName(spec) => {
                let object = self.labelled(block, spec, "Name")?;
                let table = into.entry(api.to_owned()).or_insert_with(|| json!({}));
                if let Value::Object(table) = table
                    && table.insert(self.label(block)?, Value::Object(object)).is_some()
                {
                    // The last one counts, to Nomad's parser.
                    return Err(self.beyond(block.span(), format!("a second `{name}` of the same name")));
                }
            }
            Kind::Port => {
                let object = self.labelled(block, &spec::PORT, "Label")?;
                let chosen = object.get("Value").and_then(Value::as_i64).is_some_and(|port| port > 0);
                push(into, if chosen { "ReservedPorts" } else { "DynamicPorts" }, object);
            }
            Kind::Strings | Kind::Table => {
                let table = self.table(block, |value| as_text(&value).map(Value::String))?;
                once(into, table)?;
            }
            Kind::Lists => {
                let lists = |value: Value| match value {
                    Value::Array(items) => Some(json!(items.iter().map(as_text).collect::<Option<Vec<_>>>()?)),
                    _ => None,
                };
                once(into, self.table(block, lists)?)?;
            }
            Kind::Free => once(into, self.free(&block.body)?)?,
            Kind::Constraint => {
                let object = condition(self.body(&block.body, &spec::CONSTRAINT)?);
                push(into, api, object);
            }
            Kind::Affinity => push(into, api, condition(self.body(&block.body, &spec::AFFINITY)?)),
            Kind::Text | Kind::Integer | Kind::Boolean | Kind::Duration | Kind::List => {
                return Err(self.problem(block.span(), format!("`{name}` is an attribute: write `{name} = …`")).into());
            }
        }
        Ok(())
    }

    fn labelled(&self, block: &Block, spec: &Spec, label: &str) -> Result<Map<String, Value>, Stop> {
        let mut object = self.body(&block.body, spec)?;
        object.insert(label.to_owned(), json!(self.label(block)?));
        Ok(object)
    }

    /// A block of attributes, whatever they are called.
    fn table(&self, block: &Block, each: impl Fn(Value) -> Option<Value>) -> Result<Map<String, Value>, Stop> {
        let name = block.ident.as_str();
        if let Some(inner) = block.body.blocks().next() {
            return Err(self.problem(inner.span(), format!("`{name}` holds no blocks")).into());
        }
        let mut object = Map::new();
        for attribute in block.body.attributes() {
            let key = attribute.key.as_str();
            match each(self.value(&attribute.value)?) {
                Some(value) => object.insert(key.to_owned(), value),
                None => return Err(self.beyond(attribute.span(), format!("the value of `{key}`"))),
            };
        }
        Ok(object)
    }

    /// A driver's configuration. Nomad's parser makes a list of every table that is an attribute, and of the blocks of each
    /// word, and a block's labels become tables around it.
    fn free(&self, body: &Body) -> Result<Map<String, Value>, Stop> {
        let mut object = Map::new();
        for attribute in body.attributes() {
            let value = self.value(&attribute.value)?;
            let value = if value.is_object() { json!([value]) } else { value };
            object.insert(attribute.key.as_str().to_owned(), value);
        }
        for block in body.blocks() {
            let name = block.ident.as_str();
            if name == "dynamic" {
                return Err(self.beyond(block.span(), "a block `dynamic`".to_owned()));
            }
            if body.has_attribute(name) {
                return Err(self.beyond(block.span(), format!("`{name}` as attribute and as block")));
            }
            let mut inner = self.free(&block.body)?;
            for label in block.labels.iter().rev() {
                inner = Map::from_iter([(label.as_str().to_owned(), json!([inner]))]);
            }
            push(&mut object, name, inner);
        }
        Ok(object)
    }

    pub(super) fn label(&self, block: &Block) -> Result<String, JobError> {
        match &block.labels[..] {
            [label] => Ok(label.as_str().to_owned()),
            _ => Err(self.problem(block.span(), format!("`{}` needs one name", block.ident.as_str()))),
        }
    }

    fn value(&self, expression: &Expression) -> Result<Value, Stop> {
        match expression {
            Expression::String(text) => Ok(json!(text.as_str())),
            Expression::Bool(boolean) => Ok(json!(*boolean.value())),
            Expression::Null(_) => Ok(Value::Null),
            Expression::Number(number) => self.number(number.span(), number.value().as_i64(), number.value().as_f64()),
            Expression::UnaryOp(operation) if *operation.operator.value() == UnaryOperator::Neg => {
                match &operation.expr {
                    Expression::Number(number) => {
                        let whole = number.value().as_i64().and_then(i64::checked_neg);
                        self.number(number.span(), whole, number.value().as_f64().map(|number| -number))
                    }
                    _ => Err(self.expression(expression)),
                }
            }
            Expression::Parenthesis(inner) => self.value(inner.inner()),
            Expression::StringTemplate(template) => self.template(template).map(Value::String),
            Expression::HeredocTemplate(heredoc) => {
                let indented = expression.span().is_some_and(|span| self.is_indented(span.start));
                self.here_document(&heredoc.template, indented).map(Value::String)
            }
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
                        ObjectKey::Expression(other) => return Err(self.expression(other)),
                    };
                    table.insert(key, self.value(value.expr())?);
                }
                Ok(Value::Object(table))
            }
            Expression::FuncCall(call) => match self.constant(call)? {
                Some(content) => Ok(Value::String(content)),
                None => Err(self.beyond(call.span(), format!("the function `{}`", call.name.name.as_str()))),
            },
            other => Err(self.expression(other)),
        }
    }

    fn number(&self, span: Option<Range<usize>>, whole: Option<i64>, float: Option<f64>) -> Result<Value, Stop> {
        let number = whole.map(Number::from).or_else(|| {
            let float = float?;
            // Beyond this range a float is no longer what was written.
            (float.abs() < 1e15).then(|| Number::from_f64(float))?
        });
        number.map(Value::Number).ok_or_else(|| self.beyond(span, "a number of this size".to_owned()))
    }

    fn expression(&self, expression: &Expression) -> Stop {
        let text = expression.to_string();
        let text: String = text.trim().chars().take(60).collect();
        self.beyond(expression.span(), format!("the expression `{text}`"))
    }

    /// What a call of a function of files gives, where a build can know it; nothing for every other call.
    pub(super) fn constant(&self, call: &FuncCall) -> Result<Option<String>, JobError> {
        let mut arguments = call.args.iter();
        let (Some(Expression::String(path)), None) = (arguments.next(), arguments.next()) else { return Ok(None) };
        let name = call.name.name.as_str();
        match name {
            "basename" => return Ok(Some(paths::base(path).to_owned())),
            "dirname" => return Ok(Some(paths::directory(path))),
            "file" | "filebase64" => {}
            _ => return Ok(None),
        }
        let Some(content) = (self.file)(path.as_str()) else {
            let whose = if path.starts_with('/') { "the image has no" } else { "beside the job is no" };
            let mut error = self.problem(call.span(), format!("{whose} text file `{}`", path.as_str()));
            error.hint = Some("a file of the image is written with [[file]] and named by its whole path".to_owned());
            return Err(error);
        };
        Ok(Some(if name == "filebase64" { STANDARD.encode(&content) } else { content }))
    }

    /// The text of a template, with the interpolations that Nomad's clients fill in as they were written.
    fn template(&self, template: &Template) -> Result<String, Stop> {
        self.pieces(template).map(|pieces| pieces.into_iter().map(Piece::into_text).collect())
    }

    /// Likewise, of a here-document: with `<<-` without the indentation that its lines share.
    fn here_document(&self, template: &Template, indented: bool) -> Result<String, Stop> {
        let pieces = self.pieces(template)?;
        Ok(if indented {
            here_document::without_indentation(pieces)
        } else {
            pieces.into_iter().map(Piece::into_text).collect()
        })
    }

    /// Whether the here-document whose `<<` stands at this offset was written as `<<-`.
    fn is_indented(&self, at: usize) -> bool {
        at.checked_sub(1).and_then(|before| self.text.get(before..)).is_some_and(|text| text.starts_with("<<-"))
    }

    fn pieces(&self, template: &Template) -> Result<Vec<Piece>, Stop> {
        let piece = |element: &Element| match element {
            Element::Literal(literal) => Ok(Piece::Literal(literal.as_str().to_owned())),
            Element::Interpolation(found) => self.interpolation(found).map(Piece::Interpolation),
            Element::Directive(_) => Err(self.beyond(element.span(), "a directive `%{…}` in a string".to_owned())),
        };
        template.iter().map(piece).collect()
    }

    fn interpolation(&self, found: &Interpolation) -> Result<String, Stop> {
        let written = found.expr.to_string();
        let whole = format!("${{{written}}}");
        let kept = is_runtime(&found.expr) && found.strip == Strip::None && written.trim() == written;
        // A brace behind it is taken for its own by Nomad's parser.
        let after = found.span().and_then(|span| self.text.get(span.end..)).unwrap_or("}");
        if kept && !after.trim_start_matches(' ').starts_with('}') {
            return Ok(whole);
        }
        let shown: String = whole.chars().take(60).collect();
        Err(self.beyond(found.span(), format!("the expression `{shown}`")))
    }
}

/// Whether it is a name such as `attr.unique.hostname`, which is not Nomad's parser's but its clients'.
fn is_runtime(expression: &Expression) -> bool {
    let root = match expression {
        Expression::Variable(root) => root,
        Expression::Traversal(traversal) => match &traversal.expr {
            Expression::Variable(root)
                if (traversal.operators.iter())
                    .all(|operator| matches!(operator.value(), TraversalOperator::GetAttr(_))) =>
            {
                root
            }
            _ => return false,
        },
        _ => return false,
    };
    !matches!(root.as_str(), "var" | "local")
}

fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(holds_null),
        Value::Object(table) => table.values().any(holds_null),
        _ => false,
    }
}

/// A string, or what Nomad makes a string of.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(boolean) => Some(boolean.to_string()),
        Value::Number(number) if number.is_i64() => Some(number.to_string()),
        _ => None,
    }
}

fn texts(table: &Map<String, Value>) -> Option<Map<String, Value>> {
    table.iter().map(|(key, value)| Some((key.clone(), Value::String(as_text(value)?)))).collect()
}

/// A constraint or an affinity, with words that stand for an operator resolved.
fn condition(mut object: Map<String, Value>) -> Map<String, Value> {
    let words = spec::CONSTRAINT.keys.iter().chain(spec::AFFINITY.keys).map(|(_, api, _)| *api);
    // In this order, as Nomad does it: the last one counts.
    for word in words.filter(|api| api.starts_with(char::is_lowercase)) {
        let operand = |value: Value, side: &str, object: &mut Map<String, Value>| {
            object.insert(side.to_owned(), value);
            object.insert("Operand".to_owned(), json!(word));
        };
        match object.remove(word) {
            Some(Value::Bool(wanted)) => operand(json!(wanted.to_string()), "RTarget", &mut object),
            Some(Value::String(text)) if text.is_empty() => {}
            Some(value) if word == "distinct_property" => operand(value, "LTarget", &mut object),
            Some(value) => operand(value, "RTarget", &mut object),
            None => {}
        }
    }
    for (key, default) in [("LTarget", ""), ("RTarget", ""), ("Operand", "=")] {
        let value = object.entry(key).or_insert_with(|| json!(default));
        if key == "Operand" && *value == "" {
            *value = json!(default);
        }
    }
    object
}

/// What Nomad's parser does when all has been read: a task has the `vault` of its group or job when it has none, the
/// identity without a name has a place of its own, and a schedule is of the one kind that there is.
fn settle(job: &mut Map<String, Value>) {
    if let Some(Value::Object(periodic)) = job.get_mut("Periodic") {
        periodic.insert("SpecType".to_owned(), json!("cron"));
    }
    let of_job = job.remove(spec::INHERITED_VAULT);
    for group in objects(job.get_mut("TaskGroups")) {
        let inherited = group.remove(spec::INHERITED_VAULT).or_else(|| of_job.clone());
        for task in objects(group.get_mut("Tasks")) {
            if let Some(vault) = &inherited {
                task.entry("Vault").or_insert_with(|| vault.clone());
            }
            let Some(Value::Array(identities)) = task.get_mut("Identities") else { continue };
            let name = |identity: &Value| identity.get("Name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let default = identities.iter().position(|identity| matches!(&*name(identity), "" | "default"));
            let default = default.map(|at| identities.remove(at));
            if identities.is_empty() {
                task.remove("Identities");
            }
            if let Some(default) = default {
                task.insert("Identity".to_owned(), default);
            }
        }
    }
}

fn objects(list: Option<&mut Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    list.and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

fn push(into: &mut Map<String, Value>, api: &str, object: Map<String, Value>) {
    if let Value::Array(list) = into.entry(api.to_owned()).or_insert_with(|| json!([])) {
        list.push(Value::Object(object));
    }
}

/// A duration of Go's: a sign, and decimal numbers with units.
pub(super) fn nanoseconds(text: &str) -> Option<i64> {
    let units: [(&str, i64); 8] = [
        ("ns", 1),
        ("us", 1000),
        ("µs", 1000),
        ("μs", 1000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: Option<i64> = None;
    while !rest.is_empty() {
        let length = rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let (number, after) = rest.split_at(length);
        let unit = &after[..after.find(|next: char| next.is_ascii_digit() || next == '.').unwrap_or(after.len())];
        let (_, factor) = units.iter().find(|(known, _)| *known == unit)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        let whole = if whole.is_empty() { 0 } else { whole.parse::<i64>().ok()?.checked_mul(*factor)? };
        let mut part = 0;
        let mut scale = *factor;
        for digit in fraction.bytes() {
            // Below a nanosecond Go cuts off as well.
            part += i64::from(digit - b'0') * scale / 10;
            scale /= 10;
        }
        total = Some(total.unwrap_or(0).checked_add(whole)?.checked_add(part)?);
        rest = &after[unit.len()..];
    }
    total.map(|total| if negative { -total } else { total })
}
