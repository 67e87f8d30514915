//! getopt(1) of util-linux: puts a script's arguments into an order that a loop can read.

use super::{Command, Process, Refusal};

pub(super) const COMMANDS: &[Command] = &[Command::always("getopt", getopt)];

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    MaybeValue,
}

/// What a script says that it knows.
#[derive(Debug, Default)]
struct Known {
    short: Vec<(char, Takes)>,
    long: Vec<(String, Takes)>,
    /// `+`: the first word that is no option ends them.
    stops: bool,
    /// `-`: such words stay where they are.
    in_place: bool,
    /// Long options may have one dash.
    alternative: bool,
}

impl Known {
    fn add_short(&mut self, text: &str) {
        let mut text = text;
        while let Some(first) = text.chars().next().filter(|first| matches!(first, '+' | '-' | ':')) {
            self.stops |= first == '+';
            self.in_place |= first == '-';
            text = &text[1..];
        }
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            let mut colons = 0;
            while colons < 2 && letters.next_if_eq(&':').is_some() {
                colons += 1;
            }
            self.short.push((letter, [Takes::Nothing, Takes::Value, Takes::MaybeValue][colons]));
        }
    }

    fn add_long(&mut self, text: &str) {
        for word in text.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty()) {
            let name = word.trim_end_matches(':');
            let takes = [Takes::Nothing, Takes::Value, Takes::MaybeValue][(word.len() - name.len()).min(2)];
            self.long.push((name.to_owned(), takes));
        }
    }

    /// The long option of this name, or the only one that begins with it.
    fn find_long(&self, name: &str) -> Result<&(String, Takes), &'static str> {
        if let Some(found) = self.long.iter().find(|(known, _)| known == name) {
            return Ok(found);
        }
        let mut found = self.long.iter().filter(|(known, _)| known.starts_with(name));
        match (found.next(), found.next()) {
            (Some(found), None) => Ok(found),
            (None, _) => Err("unrecognized"),
            _ => Err("ambiguous"),
        }
    }
}

fn getopt(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let mut known = Known::default();
    let (mut quoted, mut name, mut quiet) = (true, "getopt".to_owned(), (false, false));
    let mut words = args.iter().map(String::as_str).peekable();
    let mut has_short = false;
    // In the old form, the first word has the options, and nothing is quoted.
    if words.peek().is_none_or(|word| !word.starts_with('-')) {
        quoted = false;
    }
    while let Some(word) = words.next_if(|word| word.starts_with('-') && word.len() > 1) {
        let (option, attached) = match word.strip_prefix("--") {
            Some(long) => match long.split_once('=') {
                Some((option, value)) => (option, Some(value)),
                None => (long, None),
            },
            None => (&word[1..2], Some(&word[2..]).filter(|rest| !rest.is_empty())),
        };
        match option {
            "" => break,
            "T" | "test" => return Ok(4),
            "u" | "unquoted" => quoted = false,
            "a" | "alternative" => known.alternative = true,
            "q" | "quiet" => quiet.0 = true,
            "Q" | "quiet-output" => quiet.1 = true,
            "o" | "options" | "l" | "long" | "longoptions" | "n" | "name" | "s" | "shell" => {
                let Some(value) = attached.or_else(|| words.next()) else {
                    return process.unknown(&format!("{word} without a value"));
                };
                match option {
                    "o" | "options" => {
                        known.add_short(value);
                        has_short = true;
                    }
                    "n" | "name" => value.clone_into(&mut name),
                    "s" | "shell" if matches!(value, "sh" | "bash") => {}
                    "s" | "shell" => return process.unknown(&format!("--shell {value}")),
                    _ => known.add_long(value),
                }
            }
            _ => return process.unknown(word),
        }
    }
    if !has_short {
        match words.next() {
            Some(short) => known.add_short(short),
            None => {
                process.complain("missing optstring argument");
                return Ok(2);
            }
        }
        words.next_if_eq(&"--");
    }
    let rest: Vec<&str> = words.collect();
    let mut sorted = Sorted { out: String::new(), complaints: Vec::new(), quoted };
    sorted.arrange(&known, &rest);
    if !quiet.0 {
        for complaint in &sorted.complaints {
            process.stderr.extend_from_slice(format!("{name}: {complaint}\n").as_bytes());
        }
    }
    if !quiet.1 {
        process.print_line(&sorted.out);
    }
    Ok(u8::from(!sorted.complaints.is_empty()))
}

/// What is printed, as it grows.
struct Sorted {
    out: String,
    complaints: Vec<String>,
    quoted: bool,
}

impl Sorted {
    fn value(&mut self, text: &str) {
        self.out.push(' ');
        match self.quoted {
            true => self.out.push_str(&format!("'{}'", text.replace('\'', "'\\''"))),
            false => self.out.push_str(text),
        }
    }

    fn arrange(&mut self, known: &Known, words: &[&str]) {
        let mut operands: Vec<&str> = Vec::new();
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            if word == "--" {
                operands.extend(words.by_ref());
            } else if let Some(long) = word.strip_prefix("--") {
                self.long(known, long, "--", &mut words);
            } else if word.starts_with('-') && word.len() > 1 {
                let name = word[1..].split('=').next().unwrap_or_default();
                let is_short = known.short.iter().any(|(letter, _)| word[1..].starts_with(*letter));
                if known.alternative && (known.find_long(name).is_ok() || (!is_short && word.len() > 2)) {
                    self.long(known, &word[1..], "-", &mut words);
                } else {
                    self.short(known, &word[1..], &mut words);
                }
            } else if known.in_place {
                self.value(word);
            } else {
                operands.push(word);
                if known.stops {
                    operands.extend(words.by_ref());
                }
            }
        }
        self.out.push_str(" --");
        operands.into_iter().for_each(|word| self.value(word));
    }

    fn long<'a>(&mut self, known: &Known, text: &str, dashes: &str, words: &mut impl Iterator<Item = &'a str>) {
        let (name, attached) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let (full, takes) = match known.find_long(name) {
            Ok((full, takes)) => (full.as_str(), *takes),
            Err("ambiguous") => {
                let fitting = known.long.iter().filter(|(known, _)| known.starts_with(name));
                let list: String = fitting.map(|(known, _)| format!(" '{dashes}{known}'")).collect();
                self.complaints.push(format!("option '{dashes}{text}' is ambiguous; possibilities:{list}"));
                return;
            }
            Err(_) => {
                self.complaints.push(format!("unrecognized option '{dashes}{name}'"));
                return;
            }
        };
        let value = match (takes, attached) {
            (Takes::Nothing, Some(_)) => {
                self.complaints.push(format!("option '{dashes}{full}' doesn't allow an argument"));
                return;
            }
            (Takes::Nothing, None) => None,
            (Takes::MaybeValue, attached) => Some(attached.unwrap_or_default()),
            (Takes::Value, attached) => match attached.or_else(|| words.next()) {
                Some(value) => Some(value),
                None => {
                    self.complaints.push(format!("option '{dashes}{full}' requires an argument"));
                    return;
                }
            },
        };
        self.out.push_str(&format!(" --{full}"));
        if let Some(value) = value {
            let value = value.to_owned();
            self.value(&value);
        }
    }

    fn short<'a>(&mut self, known: &Known, cluster: &str, words: &mut impl Iterator<Item = &'a str>) {
        for (at, letter) in cluster.char_indices() {
            let Some((_, takes)) = known.short.iter().find(|(known, _)| *known == letter) else {
                self.complaints.push(format!("invalid option -- '{letter}'"));
                continue;
            };
            let rest = &cluster[at + letter.len_utf8()..];
            let value = match takes {
                Takes::Nothing => {
                    self.out.push_str(&format!(" -{letter}"));
                    continue;
                }
                Takes::MaybeValue => rest.to_owned(),
                Takes::Value if !rest.is_empty() => rest.to_owned(),
                Takes::Value => match words.next() {
                    Some(value) => value.to_owned(),
                    None => {
                        self.complaints.push(format!("option requires an argument -- '{letter}'"));
                        return;
                    }
                },
            };
            self.out.push_str(&format!(" -{letter}"));
            self.value(&value);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests ask the machine's own getopt(1)")]

    use crate::commands::playground::Playground;

    #[test]
    fn arguments_are_sorted_as_the_real_one_sorts_them() {
        let ask = |words: &[&str]| std::process::Command::new("getopt").args(words).env("LC_ALL", "C").output();
        if ask(&["-T"]).is_err() {
            assert!(std::env::var("HAH_REQUIRE_ORACLES").as_deref() != Ok("1"), "getopt is missing");
            return;
        }
        for words in [
            &["-o", "ab:c::", "--long", "along,blong:,clong::", "-n", "x", "--", "-a", "-b", "v", "-c", "w", "rest"][..],
            &["-o", "ab:c::", "--", "-acx", "-bv", "--", "-a", "it's"],
            &["-o", "a", "-l", "long:,longer", "--", "--long", "v", "--longe", "--lo", "one"],
            &["-o", "a", "-l", "with:,none", "--", "--with=a b", "--none=c", "--with"],
            &["-o", "a", "--", "-z", "-a", "-b"],
            &["-o", "+a", "--", "x", "-a"],
            &["-o", "-a", "--", "x", "-a", "y"],
            &["-o", "ab:", "--", "-b"],
            &["-q", "-o", "a", "--", "-z"],
            &["-Q", "-o", "a", "--", "-a"],
            &["-u", "-o", "a:", "--", "-a", "b c", "d"],
            &["ab:", "-a", "-b", "c d", "e"],
            &["-T"],
            &["--options", "vh", "--longoptions=verbose,help", "--name", "s", "--", "--verb", "-h", ""],
            &["-a", "-o", "l", "-l", "list,long", "--", "-list", "-l", "-lo"],
        ] {
            let theirs = ask(words).unwrap();
            let mut ours = Playground::of(&[]);
            let done = ours.run(&[&["getopt"][..], words].concat());
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(
                (Some(i32::from(done.status)), text(&done.stdout), text(&done.stderr)),
                (theirs.status.code(), text(&theirs.stdout), text(&theirs.stderr)),
                "{words:?}"
            );
        }
    }
}
