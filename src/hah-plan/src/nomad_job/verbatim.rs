//! Jobs that are Nomad's to read: what a build can check of them, and the files that Nomad's parser could not open.

use std::collections::BTreeSet;
use std::ops::Range;

use hcl_edit::Span as _;
use hcl_edit::expr::{Expression, FuncCall, Traversal, TraversalOperator};
use hcl_edit::structure::Body;
use hcl_edit::visit::{self, Visit};
use serde_json::Value;

use super::JobError;
use super::reader::Reader;
use crate::diagnostic::did_you_mean;

/// Blocks beside `job`.
const BESIDE: [&str; 3] = ["variable", "variables", "locals"];
/// Functions that read the file system, which the API's parser refuses.
const OF_FILES: [&str; 8] =
    ["file", "filebase64", "fileexists", "fileset", "abspath", "basename", "dirname", "pathexpand"];

/// Checks that the document is one job, and that everything that it asks for has a value.
pub(super) fn check(reader: &Reader<'_>, body: &Body) -> Result<(), JobError> {
    let one = |span: Option<Range<usize>>| {
        let message = "the file must hold one `job` block, with variables and locals at most";
        Err(reader.problem(span, message.to_owned()))
    };
    if let Some(attribute) = body.attributes().next() {
        return one(attribute.span());
    }
    let mut jobs = 0;
    let mut names = Names::default();
    for block in body.blocks() {
        let name = block.ident.as_str();
        match name {
            "job" => {
                jobs += 1;
                reader.label(block)?;
            }
            "variable" => {
                let variable = reader.label(block)?;
                if !block.body.has_attribute("default") {
                    let message = format!("the variable `{variable}` has no default");
                    let mut error = reader.problem(block.span(), message);
                    error.hint =
                        Some("give it one: nobody is there to set it when the node hands the job in".to_owned());
                    return Err(error);
                }
                names.variables.insert(variable);
            }
            "variables" => names.variables.extend(block.body.attributes().map(|one| one.key.as_str().to_owned())),
            "locals" => names.locals.extend(block.body.attributes().map(|one| one.key.as_str().to_owned())),
            _ => {
                let mut error = reader.problem(block.span(), format!("`{name}` is no block of a job file"));
                error.hint =
                    did_you_mean(name, ["job"].into_iter().chain(BESIDE)).map(|near| format!("did you mean `{near}`?"));
                return Err(error);
            }
        }
        if jobs > 1 {
            return one(block.span());
        }
    }
    if jobs == 0 {
        return one(None);
    }
    let mut references = References { reader, names: &names, error: None };
    references.visit_body(body);
    references.error.map_or(Ok(()), Err)
}

/// What a document declares.
#[derive(Default)]
struct Names {
    variables: BTreeSet<String>,
    locals: BTreeSet<String>,
}

/// Looks for `var.NAME` and `local.NAME` that nobody declares.
struct References<'a> {
    reader: &'a Reader<'a>,
    names: &'a Names,
    error: Option<JobError>,
}

impl Visit for References<'_> {
    fn visit_traversal(&mut self, node: &Traversal) {
        if let Expression::Variable(root) = &node.expr
            && let Some(TraversalOperator::GetAttr(name)) = node.operators.first().map(|operator| operator.value())
            && let Some((what, known)) = match root.as_str() {
                "var" => Some(("variable", &self.names.variables)),
                "local" => Some(("local", &self.names.locals)),
                _ => None,
            }
            && !known.contains(name.as_str())
        {
            let mut error = self.reader.problem(node.span(), format!("no {what} `{}` is declared", name.as_str()));
            error.hint = did_you_mean(name.as_str(), known.iter().map(String::as_str))
                .map(|near| format!("did you mean `{near}`?"));
            self.error.get_or_insert(error);
        }
        visit::visit_traversal(self, node);
    }
}

/// Which calls of `file("…")` the content of the file replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// Those of files that the node does not have.
    Relative,
    /// All: Nomad's own parser has no files.
    All,
}

/// The text with the content of files in the place of `file("…")`.
pub(super) fn with_files(reader: &Reader<'_>, body: &Body, which: Filled) -> Result<String, JobError> {
    let mut files = Files { reader, which, found: Vec::new(), error: None };
    files.visit_body(body);
    if let Some(error) = files.error {
        return Err(error);
    }
    let mut text = String::new();
    let mut done = 0;
    for (span, content) in files.found {
        text.push_str(reader.text.get(done..span.start).unwrap_or_default());
        text.push_str(&quoted(&content));
        done = span.end;
    }
    text.push_str(reader.text.get(done..).unwrap_or_default());
    Ok(text)
}

/// Finds the calls that read files, in the order of the text.
struct Files<'a> {
    reader: &'a Reader<'a>,
    which: Filled,
    found: Vec<(Range<usize>, String)>,
    error: Option<JobError>,
}

impl Visit for Files<'_> {
    fn visit_func_call(&mut self, node: &FuncCall) {
        let name = node.name.name.as_str();
        match self.reader.constant(node) {
            Ok(Some(_)) if self.which == Filled::Relative && is_absolute(node) => {}
            Ok(Some(content)) => self.found.extend(node.span().map(|span| (span, content))),
            Ok(None) if OF_FILES.contains(&name) => {
                let message = format!("the function `{name}` needs files, and Nomad's parser on the node has none");
                let mut error = self.reader.problem(node.span(), message);
                error.hint = Some(
                    "`file(\"…\")` of one file is filled in by the build, so are filebase64, basename and dirname"
                        .to_owned(),
                );
                self.error.get_or_insert(error);
            }
            Ok(None) => visit::visit_func_call(self, node),
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
    }
}

fn is_absolute(call: &FuncCall) -> bool {
    matches!(call.args.iter().next(), Some(Expression::String(path)) if path.starts_with('/'))
}

/// A text as a quoted string of HCL.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '$' | '%' if rest.peek() == Some(&'{') => quoted.extend([character, character]),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Checks a job in HCL's JSON syntax, `{"job": {"NAME": {…}}}`, which Nomad's parser takes as well, and says so.
pub(super) fn json_syntax(text: &str) -> Result<JobError, JobError> {
    let problem = |line: usize, message: String| JobError { line, message, hint: None };
    let document: Value =
        serde_json::from_str(text).map_err(|error| problem(error.line(), format!("not JSON: {error}")))?;
    let Value::Object(document) = &document else {
        return Err(problem(1, "the file must hold one `job`".to_owned()));
    };
    if document.contains_key("Job") {
        let mut error = problem(1, "this is a job as the API takes it".to_owned());
        error.hint =
            Some("write the job specification: HCL, or its JSON syntax `{\"job\": {\"NAME\": {…}}}`".to_owned());
        return Err(error);
    }
    if let Some(other) = document.keys().find(|key| *key != "job" && !BESIDE.contains(&key.as_str())) {
        return Err(problem(1, format!("`{other}` is no block of a job file")));
    }
    let job = match document.get("job") {
        Some(Value::Array(jobs)) if jobs.len() == 1 => jobs.first(),
        job => job,
    };
    if job.and_then(Value::as_object).is_none_or(|job| job.len() != 1) {
        return Err(problem(1, "the file must hold one `job`".to_owned()));
    }
    let variables = document.get("variable").and_then(Value::as_object);
    for (name, variable) in variables.into_iter().flatten() {
        if variable.as_object().is_some_and(|variable| !variable.contains_key("default")) {
            return Err(problem(1, format!("the variable `{name}` has no default")));
        }
    }
    if text.contains("${file(") {
        return Err(problem(1, "files cannot be named in the JSON syntax".to_owned()));
    }
    Ok(problem(1, "HCL's JSON syntax".to_owned()))
}
