//! Expansion of words (POSIX.1-2017, 2.6): tilde, parameters, commands, arithmetic; then splitting, paths, quotes.

use super::fields::{Mark, Text};
use super::pattern::{self, Marked};
use super::syntax::{Change, End, Instead, Parameter, Part, Word};
use super::{Halt, Shell, arithmetic, bash, builtins};

impl Shell<'_, '_> {
    /// Words of a command, expanded to arguments.
    pub(super) fn expand_words(&mut self, words: &[Word]) -> Result<Vec<String>, Halt> {
        let mut out = Vec::new();
        // What `export` and its kin get as `NAME=value` is expanded as an assignment.
        let mut declares = false;
        for (index, word) in words.iter().enumerate() {
            if declares && word.is_assignment() {
                out.push(self.expand_assigned(word)?);
                continue;
            }
            self.expand_fields(word, &mut out)?;
            if index == 0 || declares || out.first().is_some_and(|name| name == "command") {
                let name = out.iter().find(|name| *name != "command");
                declares = name.is_some_and(|name| builtins::declares(name) && !self.functions.contains_key(name));
            }
        }
        let bytes: usize = out.iter().map(String::len).sum();
        self.spend_bytes(bytes)?;
        Ok(out)
    }

    fn expand_fields(&mut self, word: &Word, out: &mut Vec<String>) -> Result<(), Halt> {
        let mut text = Text::default();
        self.expand_parts(&word.0, Place::Word, &mut text)?;
        let separators = self.value("IFS").unwrap_or_else(|| " \t\n".to_owned());
        for field in text.fields(&separators) {
            if !self.options.noglob && pattern::is_pattern(&field) {
                let found = pattern::paths(self.world, &self.cwd, &field);
                if !found.is_empty() {
                    out.extend(found);
                    continue;
                }
            }
            out.push(field.iter().map(|(c, _)| *c).collect());
        }
        Ok(())
    }

    /// A word that stays one: a redirection's target, the subject of `case`.
    pub(super) fn expand_one(&mut self, word: &Word) -> Result<String, Halt> {
        Ok(self.expand_marked(word)?.into_iter().map(|(c, _)| c).collect())
    }

    /// A word that stays one, with its quotes remembered: a pattern.
    pub(super) fn expand_marked(&mut self, word: &Word) -> Result<Vec<Marked>, Halt> {
        self.expand_whole(&word.0, Place::Word)
    }

    /// A word that stays one, in which `~` counts behind the first `=` and behind colons too.
    pub(super) fn expand_assigned(&mut self, word: &Word) -> Result<String, Halt> {
        let place = if word.is_assignment() { Place::Assignment } else { Place::Value };
        Ok(self.expand_whole(&word.0, place)?.into_iter().map(|(c, _)| c).collect())
    }

    /// An assignment's value, in which `~` counts behind colons too.
    pub(super) fn expand_value(&mut self, word: &Word) -> Result<String, Halt> {
        Ok(self.expand_whole(&word.0, Place::Value)?.into_iter().map(|(c, _)| c).collect())
    }

    fn expand_whole(&mut self, parts: &[Part], place: Place) -> Result<Vec<Marked>, Halt> {
        let mut text = Text::default();
        self.expand_parts(parts, place, &mut text)?;
        let whole = text.whole(self.joiner());
        self.spend_bytes(whole.len())?;
        Ok(whole)
    }

    /// What joins the fields of `"$*"`.
    fn joiner(&self) -> Option<char> {
        match self.value("IFS") {
            Some(separators) => separators.chars().next(),
            None => Some(' '),
        }
    }

    fn expand_parts(&mut self, parts: &[Part], place: Place, out: &mut Text) -> Result<(), Halt> {
        for (index, part) in parts.iter().enumerate() {
            let last = index + 1 == parts.len();
            match part {
                Part::Literal(text) => self.literal(text, place.at(index == 0, last), out),
                Part::Quoted(text) => out.push(text, Mark::Quoted),
                Part::Double(inner) => {
                    let only_all = matches!(inner.as_slice(), [Part::Parameter(found)] if found.name == "@" && matches!(found.change, Change::None));
                    // `"$@"` without parameters is no field at all.
                    if !(only_all && self.positional.is_empty()) {
                        out.push("", Mark::Quoted);
                        self.expand_parts(inner, Place::Double, out)?;
                    }
                }
                Part::Parameter(parameter) => self.parameter(parameter, place, out)?,
                Part::Command(list) => {
                    let text = self.substitute(list)?;
                    out.push(&text, place.mark());
                }
                Part::Arithmetic(word) => {
                    let text = self.expand_whole(&word.0, Place::Double)?;
                    let text: String = text.into_iter().map(|(c, _)| c).collect();
                    let number = arithmetic::evaluate(self, &text)?.to_string();
                    out.push(&number, place.mark());
                }
            }
        }
        Ok(())
    }

    /// Text of the script without quotes, in which a `~` may stand for a home.
    fn literal(&mut self, text: &str, at: LiteralAt, out: &mut Text) {
        let LiteralAt { place, first, last } = at;
        let mark = match place {
            Place::Double => Mark::Quoted,
            Place::Braces => Mark::Split,
            _ => Mark::Plain,
        };
        if mark == Mark::Quoted {
            return out.push(text, mark);
        }
        let lists = matches!(place, Place::Value | Place::Assignment);
        let mut rest = text;
        let mut begins = first && place != Place::Assignment;
        // An assignment that is an argument: its value begins behind the first `=`.
        if place == Place::Assignment
            && first
            && let Some((name, value)) = text.split_once('=')
        {
            out.push(name, mark);
            out.push("=", mark);
            (rest, begins) = (value, true);
        }
        loop {
            if begins && let Some((home, behind)) = self.tilde(rest, last, lists) {
                // A home's own characters mean nothing; an empty one leaves nothing.
                if !home.is_empty() {
                    out.push(&home, Mark::Quoted);
                }
                rest = behind;
            }
            let Some(colon) = rest.find(':').filter(|_| lists) else { break };
            let (item, behind) = rest.split_at(colon + 1);
            out.push(item, mark);
            (rest, begins) = (behind, true);
        }
        out.push(rest, mark);
    }

    /// `~` and `~user` at the beginning of `text`: the home, and what follows. The name must end in this text, at `/`, at
    /// `:` in a list, or with the word.
    fn tilde<'t>(&mut self, text: &'t str, last: bool, lists: bool) -> Option<(String, &'t str)> {
        let rest = text.strip_prefix('~')?;
        let end = rest.find(|c| c == '/' || (lists && c == ':'));
        if end.is_none() && !last {
            return None;
        }
        let (user, rest) = rest.split_at(end.unwrap_or(rest.len()));
        match user {
            "" => Some((self.value("HOME")?, rest)),
            "root" => Some(("/root".to_owned(), rest)),
            // As getpwnam(3) would have it: a user that an earlier line has made counts.
            user => Some((self.world.accounts().ok()?.users.get(user)?.home.clone(), rest)),
        }
    }

    fn parameter(&mut self, parameter: &Parameter, place: Place, out: &mut Text) -> Result<(), Halt> {
        let Parameter { name, change } = parameter;
        let mark = place.mark();
        match change {
            Change::None if matches!(name.as_str(), "@" | "*") => self.all(name, mark, out),
            Change::None => {
                let value = self.value_or_complaint(name)?;
                out.push(&value, mark);
            }
            Change::Length => {
                let length = match name.as_str() {
                    "@" | "*" => self.positional.len(),
                    // Of bytes, as in dash.
                    _ => self.value_or_complaint(name)?.len(),
                };
                out.push(&length.to_string(), mark);
            }
            Change::Instead { colon, kind, word } => {
                let value = self.value(name).filter(|value| !(*colon && value.is_empty()));
                match (kind, value) {
                    (Instead::Alternative, None) => {}
                    (Instead::Alternative, Some(_)) | (Instead::Default, None) => {
                        if mark == Mark::Split {
                            out.push("", mark);
                        }
                        self.expand_parts(&word.0, place.inner(), out)?;
                    }
                    (_, Some(_)) if matches!(name.as_str(), "@" | "*") => self.all(name, mark, out),
                    (_, Some(value)) => out.push(&value, mark),
                    (Instead::Assign, None) => {
                        let text = self.expand_whole(&word.0, place.inner())?;
                        let value: String = text.into_iter().map(|(c, _)| c).collect();
                        if !builtins::is_name(name) {
                            return Err(self.die(&format!("{name}: bad variable name")));
                        }
                        self.assign(name, value.clone())?;
                        out.push(&value, mark);
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
                self.spend_bytes(value.len())?;
                let mut lengths = pattern::trims(&pattern, value.as_bytes(), *end == End::Suffix);
                let length = if *longest { lengths.next_back() } else { lengths.next() }.unwrap_or_default();
                let left = match end {
                    End::Prefix => value.get(length..),
                    End::Suffix => value.get(..value.len() - length),
                };
                let Some(left) = left else { return self.refuse("a part of a character") };
                out.push(left, mark);
            }
            Change::Bad { .. } if !self.bash => return Err(self.die("Bad substitution")),
            Change::Bad { text, rest } => match self.element(name, rest)? {
                Some(value) => out.push(&value, mark),
                None => return self.refuse(format!("`{text}`, which is not POSIX's")),
            },
        }
        Ok(())
    }

    /// bash's `${NAME[INDEX]}`. There are no arrays, since nothing can make one: a variable is its own element 0, and the
    /// only one. `None` when `rest` is no index.
    fn element(&mut self, name: &str, rest: &Word) -> Result<Option<String>, Halt> {
        let rest = self.expand_one(rest)?;
        let Some(index) = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else { return Ok(None) };
        if !builtins::is_name(name) || index.is_empty() {
            return Ok(None);
        }
        let is_first = matches!(index, "@" | "*") || arithmetic::evaluate(self, index)? == 0;
        Ok(Some(if is_first { self.value(name) } else { None }.unwrap_or_default()))
    }

    /// `$@` and `$*`.
    fn all(&mut self, name: &str, mark: Mark, out: &mut Text) {
        if mark == Mark::Quoted && name == "*" {
            let separator = self.joiner().map(String::from).unwrap_or_default();
            out.push(&self.positional.join(&separator), mark);
            return;
        }
        for (index, value) in self.positional.iter().enumerate() {
            if index > 0 {
                out.next_parameter(mark);
            }
            if index == 0 || mark == Mark::Quoted {
                out.push(value, mark);
            } else {
                out.extend(value, mark);
            }
        }
    }

    fn value_or_complaint(&mut self, name: &str) -> Result<String, Halt> {
        match self.value(name) {
            Some(value) => Ok(value),
            None if self.bash && bash::is_a_variable(name) => self.refuse(format!("`${name}` of bash")),
            None if self.options.nounset && !matches!(name, "@" | "*") => {
                Err(self.die(&format!("{name}: parameter not set")))
            }
            None => Ok(String::new()),
        }
    }

    /// The value of a variable or special parameter; `None` when it is unset.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        match name {
            // Set even if there are none, as in dash.
            "@" | "*" => Some(self.positional.join(" ")),
            "#" => Some(self.positional.len().to_string()),
            "?" => Some(self.status.to_string()),
            "$" => Some(super::PROCESS_ID.to_string()),
            "!" => self.jobs.last_id().map(|id| id.to_string()),
            "-" => Some(self.options.letters()),
            "0" => Some(self.name.clone()),
            // Only bash sets them, and scripts of packages run as root.
            "UID" | "EUID" if self.bash => Some("0".to_owned()),
            "LINENO" if self.variables.contains_key(name) => Some(self.line.to_string()),
            _ if name.starts_with(|c: char| c.is_ascii_digit()) => {
                let index: usize = name.parse().ok()?;
                self.positional.get(index.checked_sub(1)?).cloned()
            }
            _ => self.variables.get(name)?.value.clone(),
        }
    }
}

/// Where a part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A word between blanks.
    Word,
    /// The value of an assignment.
    Value,
    /// A whole assignment that is an argument.
    Assignment,
    /// `${name-word}` outside double quotes, where text of the script is split as well.
    Braces,
    /// Double quotes.
    Double,
}

/// A text of the script, and whether it is the first or the last part of its word.
#[derive(Clone, Copy)]
struct LiteralAt {
    place: Place,
    first: bool,
    last: bool,
}

impl Place {
    /// The mark of what an expansion gives here.
    fn mark(self) -> Mark {
        if self == Self::Double { Mark::Quoted } else { Mark::Split }
    }

    /// Where the word of a `${name-word}` stands that stands here.
    fn inner(self) -> Self {
        if self == Self::Double { Self::Double } else { Self::Braces }
    }

    fn at(self, first: bool, last: bool) -> LiteralAt {
        LiteralAt { place: self, first, last }
    }
}
