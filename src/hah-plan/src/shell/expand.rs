//! Expansion of words (POSIX.1-2017, 2.6): tilde, parameters, commands, arithmetic; then splitting, paths, quotes.

use hah_format::path::TreePath;

use super::pattern::{self, Marked};
use super::syntax::{Change, End, Instead, Parameter, Part, Word};
use super::{Halt, Shell, arithmetic};

/// A field in the making: its characters, and whether any quotes stood in it, which keep an empty one.
#[derive(Clone, Debug, Default)]
struct Field {
    text: Vec<Marked>,
    quoted: bool,
}

/// Fields in the making. The last one is open: what comes next is added to it.
struct Fields<'a> {
    done: Vec<Field>,
    open: Option<Field>,
    /// `IFS`, when the result is to be split.
    separators: Option<&'a str>,
}

impl Fields<'_> {
    fn open(&mut self) -> &mut Field {
        self.open.get_or_insert_with(Field::default)
    }

    fn close(&mut self) {
        self.done.extend(self.open.take());
    }

    /// Adds text that does not come from an expansion, or comes from a quoted one.
    fn add(&mut self, text: &str, quoted: bool) {
        let field = self.open();
        field.quoted |= quoted;
        field.text.extend(text.chars().map(|c| (c, quoted)));
    }

    /// Adds what an expansion outside quotes gave, which is split.
    fn add_split(&mut self, text: &str) {
        let Some(separators) = self.separators else { return self.add(text, false) };
        let is_blank = |c: char| matches!(c, ' ' | '\t' | '\n') && separators.contains(c);
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            if !separators.contains(c) {
                self.open().text.push((c, false));
                continue;
            }
            // Blanks around one other separator belong to it.
            let mut hard = !is_blank(c);
            while let Some(&next) = rest.peek() {
                if is_blank(next) {
                    rest.next();
                } else if separators.contains(next) && !hard {
                    hard = true;
                    rest.next();
                } else {
                    break;
                }
            }
            if hard {
                // It ends a field even when that is empty.
                self.open().quoted = true;
            }
            self.close();
        }
    }
}

impl Shell<'_, '_> {
    /// Words of a command, expanded to arguments.
    pub(super) fn expand_words(&mut self, words: &[Word]) -> Result<Vec<String>, Halt> {
        let mut out = Vec::new();
        for word in words {
            let separators = self.value("IFS").unwrap_or_else(|| " \t\n".to_owned());
            let mut fields = Fields { done: Vec::new(), open: None, separators: Some(&separators) };
            self.expand_parts(&word.0, Quotes::Outside, &mut fields)?;
            fields.close();
            for field in fields.done.into_iter().filter(|field| field.quoted || !field.text.is_empty()) {
                if !self.options.noglob && pattern::is_pattern(&field.text) {
                    let found = pattern::paths(self.world, &self.cwd, &field.text);
                    if !found.is_empty() {
                        out.extend(found);
                        continue;
                    }
                }
                out.push(field.text.iter().map(|(c, _)| *c).collect());
            }
        }
        let bytes: usize = out.iter().map(String::len).sum();
        self.spend_bytes(bytes)?;
        Ok(out)
    }

    /// A word that stays one: an assignment's value, a redirection's target, the subject of `case`.
    pub(super) fn expand_one(&mut self, word: &Word) -> Result<String, Halt> {
        Ok(self.expand_marked(word)?.into_iter().map(|(c, _)| c).collect())
    }

    /// A word that stays one, with its quotes remembered: a pattern.
    pub(super) fn expand_marked(&mut self, word: &Word) -> Result<Vec<Marked>, Halt> {
        self.expand_marked_in(&word.0, Quotes::Outside)
    }

    fn expand_marked_in(&mut self, parts: &[Part], quotes: Quotes) -> Result<Vec<Marked>, Halt> {
        let mut fields = Fields { done: Vec::new(), open: None, separators: None };
        self.expand_parts(parts, quotes, &mut fields)?;
        fields.close();
        let separator = self.joiner();
        let mut out = Vec::new();
        for (index, field) in fields.done.into_iter().enumerate() {
            if index > 0 {
                out.extend(separator.map(|c| (c, true)));
            }
            out.extend(field.text);
        }
        self.spend_bytes(out.len())?;
        Ok(out)
    }

    /// What joins the fields of `"$*"`.
    fn joiner(&self) -> Option<char> {
        match self.value("IFS") {
            Some(separators) => separators.chars().next(),
            None => Some(' '),
        }
    }

    fn expand_parts(&mut self, parts: &[Part], quotes: Quotes, fields: &mut Fields<'_>) -> Result<(), Halt> {
        let quoted = quotes == Quotes::Inside;
        for (index, part) in parts.iter().enumerate() {
            match part {
                Part::Literal(text) => {
                    let home = if index == 0 && !quoted { self.tilde(text) } else { None };
                    match home {
                        Some((home, rest)) => {
                            fields.add(&home, true);
                            fields.add(rest, false);
                        }
                        None => fields.add(text, quoted),
                    }
                }
                Part::Quoted(text) => fields.add(text, true),
                Part::Double(inner) => {
                    let only_all = matches!(inner.as_slice(), [Part::Parameter(found)] if found.name == "@" && matches!(found.change, Change::None));
                    // `"$@"` without parameters is no field at all.
                    if !(only_all && self.positional.is_empty()) {
                        fields.add("", true);
                        self.expand_parts(inner, Quotes::Inside, fields)?;
                    }
                }
                Part::Parameter(parameter) => self.parameter(parameter, quotes, fields)?,
                Part::Command(list) => {
                    let text = self.substitute(list)?;
                    if quoted { fields.add(&text, true) } else { fields.add_split(&text) }
                }
                Part::Arithmetic(word) => {
                    let text = self.expand_marked_in(&word.0, Quotes::Inside)?;
                    let text: String = text.into_iter().map(|(c, _)| c).collect();
                    let number = arithmetic::evaluate(self, &text)?.to_string();
                    if quoted { fields.add(&number, true) } else { fields.add_split(&number) }
                }
            }
        }
        Ok(())
    }

    /// `~` and `~root` at the beginning of a word: the home, and what follows.
    fn tilde<'t>(&self, text: &'t str) -> Option<(String, &'t str)> {
        let rest = text.strip_prefix('~')?;
        let (user, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        match user {
            "" => Some((self.value("HOME")?, rest)),
            "root" => Some(("/root".to_owned(), rest)),
            _ => None,
        }
    }

    fn parameter(&mut self, parameter: &Parameter, quotes: Quotes, fields: &mut Fields<'_>) -> Result<(), Halt> {
        let Parameter { name, change } = parameter;
        let quoted = quotes == Quotes::Inside;
        match change {
            Change::None if matches!(name.as_str(), "@" | "*") => self.all(name, quoted, fields),
            Change::None => {
                let value = self.value_or_complaint(name)?;
                if quoted { fields.add(&value, true) } else { fields.add_split(&value) }
            }
            Change::Length => {
                let length = match name.as_str() {
                    "@" | "*" => self.positional.len(),
                    _ => self.value_or_complaint(name)?.chars().count(),
                };
                fields.add(&length.to_string(), quoted);
            }
            Change::Instead { colon, kind, word } => {
                let value = self.value(name).filter(|value| !(*colon && value.is_empty()));
                match (kind, value) {
                    (Instead::Alternative, None) => fields.add("", false),
                    (Instead::Alternative, Some(_)) | (Instead::Default, None) => {
                        self.expand_parts(&word.0, quotes, fields)?;
                    }
                    (_, Some(_)) if matches!(name.as_str(), "@" | "*") => self.all(name, quoted, fields),
                    (_, Some(value)) if quoted => fields.add(&value, true),
                    (_, Some(value)) => fields.add_split(&value),
                    (Instead::Assign, None) => {
                        let text = self.expand_marked_in(&word.0, quotes)?;
                        let value: String = text.into_iter().map(|(c, _)| c).collect();
                        self.assign(name, value.clone())?;
                        if quoted { fields.add(&value, true) } else { fields.add_split(&value) }
                    }
                    (Instead::Error, None) => {
                        let text = self.expand_one(word)?;
                        let why = match text.as_str() {
                            "" if *colon => "parameter not set or null",
                            "" => "parameter not set",
                            text => text,
                        };
                        return Err(self.die(&format!("{name}: {why}")));
                    }
                }
            }
            Change::Trim { end, longest, pattern } => {
                let value = match name.as_str() {
                    "@" | "*" => self.positional.join(" "),
                    _ => self.value_or_complaint(name)?,
                };
                let pattern = self.expand_marked(pattern)?;
                let text: Vec<char> = value.chars().collect();
                self.spend_bytes(text.len())?;
                let mut lengths = pattern::trims(&pattern, &text, *end == End::Suffix);
                let length = if *longest { lengths.next_back() } else { lengths.next() }.unwrap_or_default();
                let left = match end {
                    End::Prefix => &text[length..],
                    End::Suffix => &text[..text.len() - length],
                };
                let left: String = left.iter().collect();
                if quoted { fields.add(&left, true) } else { fields.add_split(&left) }
            }
        }
        Ok(())
    }

    /// `$@` and `$*`.
    fn all(&mut self, name: &str, quoted: bool, fields: &mut Fields<'_>) {
        if quoted && name == "*" {
            let separator = self.joiner().map(String::from).unwrap_or_default();
            fields.add(&self.positional.join(&separator), true);
            return;
        }
        for (index, value) in self.positional.clone().iter().enumerate() {
            if index > 0 {
                fields.close();
            }
            if quoted { fields.add(value, true) } else { fields.add_split(value) }
        }
    }

    fn value_or_complaint(&mut self, name: &str) -> Result<String, Halt> {
        match self.value(name) {
            Some(value) => Ok(value),
            None if self.options.nounset && !matches!(name, "@" | "*") => {
                Err(self.die(&format!("{name}: parameter not set")))
            }
            None => Ok(String::new()),
        }
    }

    /// The value of a variable or special parameter; `None` when it is unset.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        match name {
            "@" | "*" => (!self.positional.is_empty()).then(|| self.positional.join(" ")),
            "#" => Some(self.positional.len().to_string()),
            "?" => Some(self.status.to_string()),
            "$" => Some(super::PROCESS_ID.to_string()),
            "!" => self.background.then(|| (super::PROCESS_ID + 1).to_string()),
            "-" => Some(self.options.letters()),
            "0" => Some(self.name.clone()),
            "LINENO" if self.variables.contains_key(name) => Some(self.line.to_string()),
            _ if name.starts_with(|c: char| c.is_ascii_digit()) => {
                let index: usize = name.parse().ok()?;
                self.positional.get(index.checked_sub(1)?).cloned()
            }
            _ => self.variables.get(name)?.value.clone(),
        }
    }

    /// An assignment's value: `~` counts behind a colon too.
    pub(super) fn expand_assigned(&mut self, word: &Word) -> Result<String, Halt> {
        self.expand_one(word)
    }

    /// The working directory as `$PWD` shows it.
    pub(super) fn directory(&self) -> String {
        format!("/{}", TreePath::as_str(&self.cwd))
    }
}

/// Whether a part stands in double quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    Inside,
    Outside,
}
