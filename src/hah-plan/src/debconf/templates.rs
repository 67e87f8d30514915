//! The `templates` control member, debconf-devel(7): stanzas that blank lines separate.
//!
//! ```text
//! Template: foo/port
//! Type: string
//! Default: 80
//! Description: Port to listen on:
//!  The long text, folded.
//!  .
//!  A second paragraph.
//! Description-de.UTF-8: …
//! ```
//!
//! The long text of a field is kept as the field `extended_NAME`. Of translations only that into English is kept.

use std::collections::BTreeMap;

/// Longest member that is read, in bytes.
const TEMPLATES_MAX: usize = 8 << 20;

/// Fields of a template, names in lower case.
pub type Fields = BTreeMap<String, String>;

/// A `templates` member is malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("templates, stanza {stanza}: {reason}")]
pub struct TemplateError {
    /// Which template, from 1.
    pub stanza: usize,
    /// What is wrong.
    pub reason: String,
}

/// Reads all templates; each has the field `template`.
pub fn parse(text: &str) -> Result<Vec<Fields>, TemplateError> {
    let error = |stanza, reason: String| TemplateError { stanza, reason };
    if text.len() > TEMPLATES_MAX {
        return Err(error(1, format!("more than {TEMPLATES_MAX} bytes")));
    }
    let mut templates = Vec::new();
    for (index, stanza) in text.split("\n\n").filter(|stanza| !stanza.trim_matches('\n').is_empty()).enumerate() {
        let number = index + 1;
        let mut fields = Fields::new();
        let mut current = Field::default();
        for line in stanza.trim_matches('\n').split('\n') {
            if let Some((name, value)) = field_line(line) {
                let done = std::mem::replace(&mut current, Field { name, value, extended: String::new() });
                done.keep(&mut fields).map_err(|reason| error(number, reason))?;
            } else if let Some(rest) = line.strip_prefix([' ', '\t']) {
                current.extend(rest);
            } else {
                return Err(error(number, format!("`{line}` is no field")));
            }
        }
        current.keep(&mut fields).map_err(|reason| error(number, reason))?;
        if fields.get("template").is_none_or(String::is_empty) {
            return Err(error(number, "it has no `Template:` line".to_owned()));
        }
        if fields.get("type").is_none_or(String::is_empty) {
            return Err(error(number, "no template type specified".to_owned()));
        }
        templates.push(fields);
    }
    Ok(templates)
}

/// `Name: value`, the name in lower case.
fn field_line(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let known = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_@.".contains(&byte));
    known.then(|| (name.to_ascii_lowercase(), value.strip_prefix([' ', '\t']).unwrap_or(value).trim_end().to_owned()))
}

/// A field while its lines are read.
#[derive(Default)]
struct Field {
    name: String,
    value: String,
    extended: String,
}

impl Field {
    /// Adds a continuation line, without its first blank.
    fn extend(&mut self, rest: &str) {
        let is_open = |text: &str| !text.is_empty() && !text.ends_with(['\n', ' ']);
        if rest == "." {
            self.extended.push_str("\n\n");
        } else if rest.starts_with(char::is_whitespace) {
            // A line that is indented stands for itself.
            if is_open(&self.extended) {
                self.extended.push('\n');
            }
            self.extended.push_str(rest.trim_end());
            self.extended.push('\n');
        } else {
            if is_open(&self.extended) {
                self.extended.push(' ');
            }
            self.extended.push_str(rest.trim_end());
        }
    }

    fn keep(self, fields: &mut Fields) -> Result<(), String> {
        let Self { name, value, extended } = self;
        if name.is_empty() {
            return Ok(());
        }
        if fields.contains_key(&name) {
            return Err(format!("the field `{name}` occurs twice: two templates need a blank line between them"));
        }
        if name.split_once('-').is_some_and(|(_, suffix)| suffix != "c" && suffix != "en") {
            // A translation: only that it is there once matters.
            fields.insert(name, String::new());
            return Ok(());
        }
        let extended = extended.trim_end_matches('\n');
        if !extended.is_empty() {
            fields.insert(format!("extended_{name}"), extended.to_owned());
        }
        fields.insert(name, value);
        Ok(())
    }
}
