//! The protocol of debconf-devel(7): one line in, one line out, which begins with a status.

use super::{Debconf, Question, escape, unescape};

/// Status of success.
pub const SUCCESS: u8 = 0;
/// Success, and the text went through [`escape`].
pub const ESCAPED: u8 = 1;
/// A question or template that is not there.
pub const BAD_PARAMETERS: u8 = 10;
/// A command or number of words that is not known.
pub const SYNTAX: u8 = 20;
/// The question is not shown; the version is not ours; the person went back.
pub const SKIPPED: u8 = 30;

/// What debconf answers: a status and a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u8,
    /// What follows it; `None` where nothing does, not even a blank.
    pub text: Option<String>,
}

impl Reply {
    /// The line as the script reads it; only the first one of several goes through.
    pub fn line(&self) -> String {
        let line = match &self.text {
            Some(text) => format!("{} {text}", self.status),
            None => self.status.to_string(),
        };
        line.split('\n').next().unwrap_or_default().to_owned()
    }
}

fn plain(status: u8) -> Reply {
    Reply { status, text: None }
}

fn reply(status: u8, text: impl Into<String>) -> Reply {
    Reply { status, text: Some(text.into()) }
}

const COUNT: &str = "Incorrect number of arguments";
const PRIORITIES: [&str; 4] = ["low", "medium", "high", "critical"];

impl Debconf {
    /// Answers one line; `None` for `STOP`, which has no reply.
    pub fn communicate(&mut self, line: &str) -> Option<Reply> {
        let words: Vec<String> = match self.session.escaping {
            true => unescape_split(line),
            // Perl's split(' '): blanks at the front count for nothing.
            false => line.split_ascii_whitespace().map(str::to_owned).collect(),
        };
        let Some((command, words)) = words.split_first() else {
            return Some(reply(SYNTAX, format!("Bad line \"{line}\" received from confmodule.")));
        };
        let command = command.to_lowercase();
        if command == "stop" {
            self.session.elements.clear();
            return None;
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Some(self.command(&command, &words).unwrap_or_else(|| {
            reply(
                SYNTAX,
                format!("Unsupported command \"{command}\" (full line was \"{line}\") received from confmodule."),
            )
        }))
    }

    /// `None` for a command that is not known.
    fn command(&mut self, command: &str, words: &[&str]) -> Option<Reply> {
        Some(match (command, words) {
            ("input", [priority, name]) => self.input(priority, name),
            ("go", []) => self.go(),
            ("clear", []) => {
                self.session.elements.clear();
                self.session.busy.clear();
                plain(SUCCESS)
            }
            ("version", [] | [_]) => version(words.first().copied()),
            ("capb", _) => {
                self.session.escaping = words.contains(&"escape");
                reply(SUCCESS, "multiselect escape ")
            }
            ("title" | "beginblock" | "endblock", _) => plain(SUCCESS),
            ("settitle", [name]) => match self.questions.contains_key(*name) {
                true => plain(SUCCESS),
                false => reply(BAD_PARAMETERS, format!("\"{name}\" doesn't exist")),
            },
            ("info", []) => plain(SUCCESS),
            ("info", [name]) => match self.questions.contains_key(*name) {
                true => plain(SUCCESS),
                false => reply(BAD_PARAMETERS, format!("\"{name}\" doesn't exist")),
            },
            ("get", [name]) => match self.questions.get(*name) {
                Some(question) => self.data(self.value(question)),
                None => missing(name),
            },
            ("set", [name, value @ ..]) => {
                let value = value.join(" ");
                match self.questions.get_mut(*name) {
                    Some(question) => {
                        question.value = Some(value);
                        reply(SUCCESS, "value set")
                    }
                    None => missing(name),
                }
            }
            ("reset", [name]) => self.reset(name),
            ("subst", [name, variable, value @ ..]) => match self.questions.get_mut(*name) {
                Some(question) => {
                    question.variables.insert((*variable).to_owned(), value.join(" "));
                    plain(SUCCESS)
                }
                None => missing(name),
            },
            ("register", [template, name]) => self.register(template, name),
            ("unregister", [name]) => self.unregister(name),
            ("purge", []) => {
                let owner = self.session.owner.clone();
                for name in self.questions.keys().cloned().collect::<Vec<_>>() {
                    self.disown(&name, &owner);
                }
                plain(SUCCESS)
            }
            ("metaget", [name, field]) => self.metaget(name, field),
            ("fget", [name, flag]) => match self.questions.get(*name) {
                Some(question) => reply(SUCCESS, flag_of(question, flag)),
                None => missing(name),
            },
            ("fset", [name, flag, value @ ..]) if !value.is_empty() => {
                let value = value.join(" ");
                match self.questions.get_mut(*name) {
                    Some(question) => reply(SUCCESS, set_flag(question, flag, &value)),
                    None => missing(name),
                }
            }
            ("progress", [_, ..]) => self.progress(words),
            ("data", [template, item, value @ ..]) if !value.is_empty() => {
                self.template_data(template, item, &value.join(" "))
            }
            ("visible", [_, name]) => match self.questions.contains_key(*name) {
                true => reply(SUCCESS, "false"),
                false => missing(name),
            },
            ("exist", [name]) => reply(SUCCESS, self.questions.contains_key(*name).to_string()),
            (
                "input" | "go" | "clear" | "version" | "settitle" | "info" | "get" | "set" | "reset" | "subst"
                | "register" | "unregister" | "purge" | "metaget" | "fget" | "fset" | "progress" | "data" | "visible"
                | "exist",
                _,
            ) => reply(SYNTAX, COUNT),
            _ => return None,
        })
    }

    /// A value, escaped when the script can take that.
    fn data(&self, value: String) -> Reply {
        match self.session.escaping {
            true => reply(ESCAPED, escape(&value)),
            false => reply(SUCCESS, value),
        }
    }

    /// Nobody is asked: the question waits for `GO`, and the script is told that it was skipped.
    fn input(&mut self, priority: &str, name: &str) -> Reply {
        let Some(question) = self.questions.get(name) else {
            return reply(BAD_PARAMETERS, format!("\"{name}\" doesn't exist"));
        };
        if !PRIORITIES.contains(&priority) {
            return reply(SYNTAX, format!("\"{priority}\" is not a valid priority"));
        }
        let kind = self.kind(question);
        if let Some(question) = self.questions.get_mut(name) {
            question.priority = Some(priority.to_owned());
        }
        let known = ["boolean", "error", "multiselect", "note", "password", "select", "string", "text"];
        if known.contains(&kind.as_str()) {
            self.session.busy.push(name.to_owned());
            if !self.session.elements.iter().any(|element| element == name) {
                self.session.elements.push(name.to_owned());
            }
        }
        reply(SKIPPED, "question skipped")
    }

    /// Every question that waits gets its value written down: what it is already, or the first choice where that is
    /// none of the choices.
    fn go(&mut self) -> Reply {
        for name in std::mem::take(&mut self.session.elements) {
            let Some(question) = self.questions.get(&name) else { continue };
            let value = self.value(question);
            let value = match self.kind(question).as_str() {
                "text" | "error" => String::new(),
                "select" => {
                    let choices = self.choices(question);
                    match choices.contains(&value) {
                        true => value,
                        false => choices.into_iter().next().unwrap_or_default(),
                    }
                }
                _ => value,
            };
            if let Some(question) = self.questions.get_mut(&name) {
                question.value = Some(value);
            }
        }
        self.session.busy.clear();
        reply(SUCCESS, "ok")
    }

    fn reset(&mut self, name: &str) -> Reply {
        let Some(question) = self.questions.get(name) else { return missing(name) };
        let default = self.field(&question.template, "default");
        let value = self.answers.get(name).cloned().unwrap_or(default);
        if let Some(question) = self.questions.get_mut(name) {
            question.value = Some(value);
            question.flags.insert("seen".to_owned(), "false".to_owned());
        }
        plain(SUCCESS)
    }

    fn register(&mut self, template: &str, name: &str) -> Reply {
        if !self.questions.contains_key(template) {
            return reply(BAD_PARAMETERS, format!("No such template, \"{template}\""));
        }
        let answer = self.answers.get(name);
        let question = self.questions.entry(name.to_owned()).or_insert_with(|| Question {
            value: answer.cloned(),
            flags: [("seen".to_owned(), answer.is_some().to_string())].into(),
            ..Question::default()
        });
        question.owners.insert(self.session.owner.clone());
        let before = std::mem::replace(&mut question.template, template.to_owned());
        if before != template {
            if let Some(old) = self.templates.get_mut(&before) {
                old.owners.remove(name);
            }
            if let Some(new) = self.templates.get_mut(template) {
                new.owners.insert(name.to_owned());
            }
        }
        plain(SUCCESS)
    }

    fn unregister(&mut self, name: &str) -> Reply {
        if !self.questions.contains_key(name) {
            return missing(name);
        }
        if self.session.busy.iter().any(|busy| busy == name) {
            return reply(BAD_PARAMETERS, format!("{name} is busy, cannot unregister right now"));
        }
        let owner = self.session.owner.clone();
        self.disown(name, &owner);
        plain(SUCCESS)
    }

    fn metaget(&self, name: &str, field: &str) -> Reply {
        let Some(question) = self.questions.get(name) else { return missing(name) };
        let lower = field.to_lowercase();
        let found = match lower.as_str() {
            "value" => Some(self.value(question)),
            "owners" => Some(question.owners.iter().cloned().collect::<Vec<_>>().join(", ")),
            "template" => Some(question.template.clone()),
            "name" => Some(name.to_owned()),
            "priority" => question.priority.clone(),
            field if self.templates.contains_key(&question.template) => {
                let text = self.field(&question.template, field);
                let is_text = ["description", "extended_description", "choices"]
                    .iter()
                    .any(|known| field == *known || field.starts_with(&format!("{known}-")));
                Some(if is_text { Self::expand(question, &text) } else { text })
            }
            _ => None,
        };
        match found {
            Some(text) => self.data(text),
            None => reply(BAD_PARAMETERS, format!("{field} does not exist")),
        }
    }

    fn progress(&self, words: &[&str]) -> Reply {
        let ok = || reply(SUCCESS, "OK");
        let (command, rest) = words.split_first().map_or(("", [].as_slice()), |(first, rest)| (*first, rest));
        match (command.to_lowercase().as_str(), rest) {
            ("start", [min, max, name]) => {
                let number = |text: &str| text.parse::<i64>().unwrap_or(0);
                if number(min) > number(max) {
                    return reply(SYNTAX, format!("min ({min}) > max ({max})"));
                }
                if self.questions.contains_key(*name) { ok() } else { missing(name) }
            }
            ("info", [name]) => {
                if self.questions.contains_key(*name) {
                    ok()
                } else {
                    missing(name)
                }
            }
            ("set" | "step", [_]) | ("stop", []) => ok(),
            ("start" | "info" | "set" | "step" | "stop", _) => reply(SYNTAX, COUNT),
            _ => reply(SYNTAX, "Unknown subcommand"),
        }
    }

    /// A template that the script itself brings along. Only its type is taken: without debconf-i18n, debconf converts
    /// the other fields to nothing.
    fn template_data(&mut self, name: &str, item: &str, value: &str) -> Reply {
        match (self.templates.contains_key(name), item) {
            (false, "type") => {
                let owner = self.session.owner.clone();
                self.add_template(name, &owner, value);
            }
            (false, _) => {
                return reply(BAD_PARAMETERS, format!("Template data field '{item}' received before type field"));
            }
            (true, "type") => return reply(BAD_PARAMETERS, "Template type already set"),
            (true, _) => {}
        }
        plain(SUCCESS)
    }
}

fn missing(name: &str) -> Reply {
    reply(BAD_PARAMETERS, format!("{name} doesn't exist"))
}

fn version(wanted: Option<&str>) -> Reply {
    let major = |text: &str| text.split('.').next().unwrap_or_default().parse::<i64>().unwrap_or(0);
    match wanted {
        Some(text) if major(text) < 2 => reply(SKIPPED, format!("Version too low ({text})")),
        Some(text) if major(text) > 2 => reply(SKIPPED, format!("Version too high ({text})")),
        _ => reply(SUCCESS, "2.0"),
    }
}

/// `isdefault` is the old name of the reverse of `seen`.
fn flag_of(question: &Question, flag: &str) -> String {
    let get = |flag: &str| question.flags.get(flag).map_or("false", String::as_str);
    match flag {
        "isdefault" => (get("seen") != "true").to_string(),
        _ => get(flag).to_owned(),
    }
}

fn set_flag(question: &mut Question, flag: &str, value: &str) -> String {
    match flag {
        "isdefault" => {
            question.flags.insert("seen".to_owned(), (value != "true").to_string());
            flag_of(question, flag)
        }
        _ => {
            question.flags.insert(flag.to_owned(), value.to_owned());
            value.to_owned()
        }
    }
}

/// Words between blanks, in which `\n` is a line end and any other escaped character itself.
fn unescape_split(line: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => word.push('\n'),
                Some(other) => word.push(other),
                None => word.push('\\'),
            },
            blank if blank.is_whitespace() => {
                while characters.next_if(|next| next.is_whitespace()).is_some() {}
                words.push(std::mem::take(&mut word));
            }
            other => word.push(other),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// What `RET` is after the function of confmodule(3) that read `line`, and the function's status.
///
/// The shell takes one character and one blank off the front, so a status of two digits stays in `RET`.
pub fn returned(line: &str) -> (u8, String) {
    let status = line.split([' ', '\t']).next().unwrap_or_default();
    let mut characters = line.chars();
    let ret = match (characters.next(), characters.next()) {
        (Some(first), Some(' ' | '\t')) if first != ' ' && first != '\t' => characters.as_str(),
        _ => line,
    };
    match status {
        // Command substitution takes the line ends off.
        "1" => (0, unescape(ret).trim_end_matches('\n').to_owned()),
        _ => (status.parse().unwrap_or(0), ret.to_owned()),
    }
}
