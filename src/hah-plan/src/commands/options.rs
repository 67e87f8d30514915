//! [`Options`]: the options of a command line, read as getopt_long(3) reads them.
//!
//! A command states its options as words: `r,recursive` is an option without a value, `m,mode=` one with a value, and
//! `,backup=?` one whose value may be left out. An option goes by its letter, or by its name where it has no letter.
//! An option that is not stated is refused by name: a program's option that we do not know is never ignored.

use super::{Process, Refusal};

/// Whether options may follow operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Everywhere: GNU's habit.
    Any,
    /// The first operand ends them: the rest is another program's command line.
    First,
}

/// One option as given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    /// Its letter, or its long name when it has none.
    pub(super) name: &'static str,
    /// Its value, where it takes one and has one.
    pub(super) value: Option<String>,
}

impl Given {
    /// The value of an option that must have one.
    pub(super) fn text(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }
}

/// A command line, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Options in the order given.
    pub(super) given: Vec<Given>,
    /// Everything else.
    pub(super) operands: Vec<String>,
}

impl Options {
    /// Whether the option was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.given.iter().any(|given| given.name == name)
    }

    /// All values, in the order given.
    pub(super) fn values(&self, name: &str) -> impl DoubleEndedIterator<Item = &str> {
        self.given.iter().filter(move |given| given.name == name).map(Given::text)
    }

    /// The value that was given last.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.given.iter().rev().find(|given| given.name == name).map(Given::text)
    }
}

/// One stated option.
struct Known {
    letter: Option<char>,
    long: &'static str,
    name: &'static str,
    takes: Takes,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    MaybeValue,
}

fn stated(spec: &'static str) -> Vec<Known> {
    spec.split_ascii_whitespace()
        .map(|word| {
            let (names, takes) = match word {
                _ if word.ends_with("=?") => (&word[..word.len() - 2], Takes::MaybeValue),
                _ if word.ends_with('=') => (&word[..word.len() - 1], Takes::Value),
                _ => (word, Takes::Nothing),
            };
            let (letter, long) = names.split_once(',').unwrap_or((names, ""));
            let name = if letter.is_empty() { long } else { letter };
            Known { letter: letter.chars().next(), long, name, takes }
        })
        .collect()
}

impl Process<'_, '_> {
    /// Takes `args` apart by `spec`, which may be written as the module says.
    ///
    /// # Errors
    /// An option that is not in `spec`, or that lacks its value.
    pub(super) fn options(&self, args: &[String], spec: &'static str, order: Order) -> Result<Options, Refusal> {
        let known = stated(spec);
        let mut options = Options::default();
        let mut left = args.iter();
        while let Some(arg) = left.next() {
            if arg == "--" {
                options.operands.extend(left.by_ref().cloned());
            } else if let Some(long) = arg.strip_prefix("--") {
                let (long, mut value) = match long.split_once('=') {
                    Some((long, value)) => (long, Some(value.to_owned())),
                    None => (long, None),
                };
                let Some(option) = by_long_name(&known, long) else { return self.unknown(&format!("--{long}")) };
                if option.takes == Takes::Value && value.is_none() {
                    value = Some(self.value_of(left.next(), arg)?);
                }
                if option.takes == Takes::Nothing && value.is_some() {
                    return self.unknown(arg);
                }
                options.given.push(Given { name: option.name, value });
            } else if let Some(letters) = arg.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                for (at, letter) in letters.char_indices() {
                    let Some(option) = known.iter().find(|option| option.letter == Some(letter)) else {
                        return self.unknown(&format!("-{letter}"));
                    };
                    let rest = &letters[at + letter.len_utf8()..];
                    let value = match option.takes {
                        Takes::Nothing => None,
                        Takes::Value if rest.is_empty() => Some(self.value_of(left.next(), arg)?),
                        Takes::MaybeValue if rest.is_empty() => None,
                        Takes::Value | Takes::MaybeValue => Some(rest.to_owned()),
                    };
                    options.given.push(Given { name: option.name, value });
                    if option.takes != Takes::Nothing {
                        break;
                    }
                }
            } else {
                options.operands.push(arg.clone());
                if order == Order::First {
                    options.operands.extend(left.by_ref().cloned());
                }
            }
        }
        Ok(options)
    }

    fn value_of(&self, value: Option<&String>, option: &str) -> Result<String, Refusal> {
        match value {
            Some(value) => Ok(value.clone()),
            None => self.unknown(&format!("{option} without its value")),
        }
    }
}

/// By its whole name, or by a beginning that no other has.
fn by_long_name<'k>(known: &'k [Known], name: &str) -> Option<&'k Known> {
    if name.is_empty() {
        return None;
    }
    let exact = known.iter().find(|option| option.long == name);
    exact.or_else(|| {
        let mut found = known.iter().filter(|option| option.long.starts_with(name));
        let first = found.next()?;
        found.all(|other| other.name == first.name).then_some(first)
    })
}
