//! A sed script, parsed: commands with their addresses, jumps as places in the list.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use super::escapes::with_escapes;
use super::replace::{Replacement, parse_replacement};
use crate::commands::regex::{Dialect, Pattern, PatternError, Reading};

/// Why a text is no script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ScriptError {
    /// sed says so too; its message.
    Invalid(String),
    /// sed says so when it is about to start, with status 4.
    NoLabel(String),
    /// Only we say so.
    Refused(String),
}

impl From<PatternError> for ScriptError {
    fn from(error: PatternError) -> Self {
        match error {
            PatternError::Invalid(message) => Self::Invalid(format!("char 0: {message}")),
            PatternError::Refused(what) => Self::Refused(what),
        }
    }
}

fn invalid<T>(message: &str) -> Result<T, ScriptError> {
    Err(ScriptError::Invalid(format!("char 0: {message}")))
}

/// A line or lines.
#[derive(Debug)]
pub(super) enum Address {
    /// A line's number.
    Line(u64),
    /// Every so many lines from one on: `FIRST~STEP`.
    Step(u64, u64),
    /// `$`.
    Last,
    /// A pattern, by its number; `None` is the last one that was used.
    Match(Option<usize>),
    /// As a second address: so many lines more.
    Plus(u64),
    /// As a second address: to the next line whose number is a multiple.
    Multiple(u64),
}

/// What a command does.
#[derive(Debug)]
pub(super) enum Action {
    /// `{`, with the place behind its end.
    Block(usize),
    /// `}`, `:label`, `#`.
    Nothing,
    /// `a`.
    Append(Vec<u8>),
    /// `i`.
    Insert(Vec<u8>),
    /// `c`.
    Change(Vec<u8>),
    /// `b`.
    Jump(usize),
    /// `t`.
    JumpIfReplaced(usize),
    /// `T`.
    JumpUnlessReplaced(usize),
    /// `d`, `D`, `g`, `G`, `h`, `H`, `n`, `N`, `p`, `P`, `x`, `z`, `=`, `F`, `l`.
    Letter(char),
    /// `q`, `Q` with an exit status; whether the pattern space is printed.
    Quit(u8, bool),
    /// `r`.
    ReadFile(String),
    /// `R`.
    ReadLine(String),
    /// `w`; whether only its first line (`W`).
    WriteFile(String, bool),
    /// `s`.
    Substitute(Box<Substitute>),
    /// `y`.
    Translate(BTreeMap<char, char>),
}

/// An `s` command.
#[derive(Debug)]
pub(super) struct Substitute {
    /// The pattern's number; `None` is the last one that was used.
    pub(super) pattern: Option<usize>,
    /// What replaces it.
    pub(super) replacement: Vec<Replacement>,
    /// Every match.
    pub(super) global: bool,
    /// From which match on, from 1.
    pub(super) number: u64,
    /// `p`.
    pub(super) print: bool,
    /// `w`.
    pub(super) write: Option<String>,
}

/// One command.
#[derive(Debug)]
pub(super) struct Step {
    /// First and second address.
    pub(super) addresses: (Option<Address>, Option<Address>),
    /// `!`.
    pub(super) negated: bool,
    /// What it does.
    pub(super) action: Action,
}

/// A whole script.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// Its commands in order.
    pub(super) steps: Vec<Step>,
    /// Its patterns.
    pub(super) patterns: Vec<Pattern>,
    /// Whether it begins with `#n`.
    pub(super) quiet: bool,
    /// Whether characters are UTF-8.
    pub(super) utf8: bool,
}

impl Script {
    /// Reads `text`.
    pub(super) fn parse(text: &str, extended: bool, utf8: bool) -> Result<Self, ScriptError> {
        let dialect = if extended { Dialect::Extended } else { Dialect::Basic };
        let mut parser = Parser {
            left: text.chars().peekable(),
            reading: Reading::plain(dialect, utf8),
            script: Script { quiet: text == "#n" || text.starts_with("#n\n"), utf8, ..Script::default() },
            labels: BTreeMap::new(),
            jumps: Vec::new(),
            blocks: Vec::new(),
        };
        parser.commands()?;
        parser.finish()
    }
}

struct Parser<'t> {
    left: Peekable<Chars<'t>>,
    reading: Reading,
    script: Script,
    labels: BTreeMap<String, usize>,
    /// Steps that jump to a label.
    jumps: Vec<(usize, String)>,
    /// Blocks that are open.
    blocks: Vec<usize>,
}

impl Parser<'_> {
    fn blanks(&mut self) {
        while self.left.next_if(|letter| *letter == ' ' || *letter == '\t').is_some() {}
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = None;
        while let Some(digit) = self.left.peek().and_then(|digit| digit.to_digit(10)) {
            self.left.next();
            number = Some(number.unwrap_or(0_u64).saturating_mul(10).saturating_add(u64::from(digit)));
        }
        number
    }

    fn commands(&mut self) -> Result<(), ScriptError> {
        loop {
            while self.left.next_if(|letter| letter.is_whitespace() || *letter == ';').is_some() {}
            if self.left.peek().is_none() {
                return Ok(());
            }
            let first = self.address(true)?;
            self.blanks();
            let mut second = None;
            if first.is_some() && self.left.next_if_eq(&',').is_some() {
                self.blanks();
                second = self.address(false)?;
                if second.is_none() {
                    return invalid("unexpected `,'");
                }
                self.blanks();
            }
            if matches!(first, Some(Address::Line(0))) && !matches!(second, Some(Address::Match(_))) {
                return invalid("invalid usage of line address 0");
            }
            let mut negated = false;
            while self.left.next_if_eq(&'!').is_some() {
                if std::mem::replace(&mut negated, true) {
                    return invalid("multiple `!'s");
                }
                self.blanks();
            }
            let Some(letter) = self.left.next() else { return invalid("missing command") };
            if matches!(letter, ':' | '}') && first.is_some() {
                let what = if letter == ':' { ": doesn't want any addresses" } else { "} doesn't want any addresses" };
                return invalid(what);
            }
            if letter == '#' && first.is_some() {
                return invalid("comments don't accept any addresses");
            }
            let action = self.action(letter)?;
            self.script.steps.push(Step { addresses: (first, second), negated, action });
        }
    }

    fn address(&mut self, first: bool) -> Result<Option<Address>, ScriptError> {
        let Some(letter) = self.left.peek().copied() else { return Ok(None) };
        Ok(Some(match letter {
            '0'..='9' => {
                let line = self.number().unwrap_or(0);
                match first && self.left.next_if_eq(&'~').is_some() {
                    true => Address::Step(line, self.number().unwrap_or(0)),
                    false => Address::Line(line),
                }
            }
            '+' | '~' if !first => {
                self.left.next();
                let Some(count) = self.number() else { return invalid("expected number") };
                if letter == '+' { Address::Plus(count) } else { Address::Multiple(count) }
            }
            '$' => {
                self.left.next();
                Address::Last
            }
            '/' | '\\' => {
                self.left.next();
                let delimiter = match letter {
                    '/' => '/',
                    _ => match self.left.next() {
                        Some(delimiter) if delimiter != '\n' && delimiter != '\\' => delimiter,
                        _ => return invalid("unterminated address regex"),
                    },
                };
                let Some(text) = self.delimited(delimiter, true) else { return invalid("unterminated address regex") };
                let mut reading = self.reading;
                while let Some(flag) = self.left.next_if(|flag| matches!(flag, 'I' | 'M')) {
                    match flag {
                        'I' => reading.fold = true,
                        _ => reading.lines = true,
                    }
                }
                Address::Match(self.pattern(&text, reading)?)
            }
            _ => return Ok(None),
        }))
    }

    /// Text up to an unescaped `delimiter`, which is taken too. An escaped delimiter is the delimiter itself.
    ///
    /// In the brackets of a pattern it is an ordinary character.
    fn delimited(&mut self, delimiter: char, is_pattern: bool) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.left.next()? {
                letter if letter == delimiter => return Some(text),
                '\n' => return None,
                '[' if is_pattern => {
                    text.push('[');
                    self.brackets(&mut text)?;
                }
                '\\' => match self.left.next()? {
                    letter if letter == delimiter => {
                        // `s&a&\&&` keeps the backslash: the ampersand is no reference there.
                        if !is_pattern && letter == '&' {
                            text.push('\\');
                        }
                        text.push(letter);
                    }
                    'n' if is_pattern => text.push('\n'),
                    '\n' if is_pattern => text.push('\n'),
                    letter => {
                        text.push('\\');
                        text.push(letter);
                    }
                },
                letter => text.push(letter),
            }
        }
    }

    /// The rest of a bracket expression, its end too.
    fn brackets(&mut self, text: &mut String) -> Option<()> {
        let start = text.len();
        loop {
            let letter = self.left.next()?;
            let is_first = matches!(&text[start..], "" | "^");
            match letter {
                '\n' => return None,
                ']' if !is_first => {
                    text.push(']');
                    return Some(());
                }
                '\\' if self.left.next_if_eq(&'n').is_some() => text.push('\n'),
                '[' if self.left.peek().is_some_and(|mark| matches!(mark, ':' | '.' | '=')) => {
                    let mark = self.left.next()?;
                    text.extend(['[', mark]);
                    loop {
                        let inner = self.left.next()?;
                        text.push(inner);
                        if inner == mark && self.left.next_if_eq(&']').is_some() {
                            text.push(']');
                            break;
                        }
                    }
                }
                letter => text.push(letter),
            }
        }
    }

    fn pattern(&mut self, text: &str, reading: Reading) -> Result<Option<usize>, ScriptError> {
        if text.is_empty() {
            return Ok(None);
        }
        let text = with_escapes(text)?;
        self.script.patterns.push(Pattern::new(text.as_bytes(), reading)?);
        Ok(Some(self.script.patterns.len() - 1))
    }

    fn action(&mut self, letter: char) -> Result<Action, ScriptError> {
        let at = self.script.steps.len();
        Ok(match letter {
            '{' => {
                self.blocks.push(at);
                Action::Block(0)
            }
            '}' => {
                let Some(open) = self.blocks.pop() else { return invalid("unexpected `}'") };
                self.script.steps[open].action = Action::Block(at);
                self.end_of_command()?;
                Action::Nothing
            }
            '#' => {
                while self.left.next_if(|letter| *letter != '\n').is_some() {}
                Action::Nothing
            }
            ':' => {
                self.blanks();
                let label = self.label(false);
                if label.is_empty() {
                    return invalid("\":\" lacks a label");
                }
                self.labels.insert(label, at);
                Action::Nothing
            }
            'a' | 'i' | 'c' => {
                let text = self.text()?;
                match letter {
                    'a' => Action::Append(text),
                    'i' => Action::Insert(text),
                    _ => Action::Change(text),
                }
            }
            'b' | 't' | 'T' => {
                self.blanks();
                let label = self.label(true);
                self.jumps.push((at, label));
                self.end_of_command()?;
                match letter {
                    'b' => Action::Jump(0),
                    't' => Action::JumpIfReplaced(0),
                    _ => Action::JumpUnlessReplaced(0),
                }
            }
            'd' | 'D' | 'g' | 'G' | 'h' | 'H' | 'n' | 'N' | 'p' | 'P' | 'x' | 'z' | '=' | 'F' | 'l' => {
                if letter == 'l' {
                    self.blanks();
                    if self.number().is_some() {
                        return Err(ScriptError::Refused("a line length of `l`".to_owned()));
                    }
                }
                self.end_of_command()?;
                Action::Letter(letter)
            }
            'q' | 'Q' => {
                self.blanks();
                let code = self.number().unwrap_or(0);
                self.end_of_command()?;
                Action::Quit(code as u8, letter == 'q')
            }
            'r' | 'R' | 'w' | 'W' => {
                let name = self.file_name()?;
                match letter {
                    'r' => Action::ReadFile(name),
                    'R' => Action::ReadLine(name),
                    _ => Action::WriteFile(name, letter == 'W'),
                }
            }
            's' => self.substitute()?,
            'y' => self.translate()?,
            'e' | 'v' => return Err(ScriptError::Refused(format!("its command `{letter}`"))),
            other => return invalid(&format!("unknown command: `{other}'")),
        })
    }

    fn end_of_command(&mut self) -> Result<(), ScriptError> {
        self.blanks();
        match self.left.peek() {
            None | Some('}' | '#') => Ok(()),
            Some(';' | '\n') => {
                self.left.next();
                Ok(())
            }
            Some('\r') => invalid("extra characters after command"),
            Some(_) => invalid("extra characters after command"),
        }
    }

    fn label(&mut self, of_jump: bool) -> String {
        let mut label = String::new();
        while let Some(letter) =
            self.left.next_if(|letter| !letter.is_whitespace() && *letter != ';' && !(of_jump && *letter == '}'))
        {
            label.push(letter);
        }
        label
    }

    fn file_name(&mut self) -> Result<String, ScriptError> {
        self.blanks();
        let mut name = String::new();
        while let Some(letter) = self.left.next_if(|letter| *letter != '\n') {
            name.push(letter);
        }
        if name.is_empty() { invalid("missing filename in r/R/w/W commands") } else { Ok(name) }
    }

    /// The text of `a`, `i`, `c`: after `\` and a line end, or on the same line.
    fn text(&mut self) -> Result<Vec<u8>, ScriptError> {
        self.blanks();
        if self.left.peek().is_none() {
            return invalid("expected \\ after `a', `c' or `i'");
        }
        if self.left.next_if_eq(&'\\').is_some() {
            // Blanks before the line end are nothing; before text they are part of it.
            let mut ahead = self.left.clone();
            while ahead.next_if(|letter| *letter == ' ' || *letter == '\t').is_some() {}
            match ahead.next() {
                Some('\n') => self.left = ahead,
                None => {
                    self.left = ahead;
                    return Ok(Vec::new());
                }
                Some(_) => {}
            }
        }
        let mut text = String::new();
        while let Some(letter) = self.left.next() {
            match letter {
                '\n' => break,
                '\\' => match self.left.next() {
                    None => break,
                    Some('a') => text.push('\u{7}'),
                    Some('f') => text.push('\u{c}'),
                    Some('n') => text.push('\n'),
                    Some('r') => text.push('\r'),
                    Some('t') => text.push('\t'),
                    Some('v') => text.push('\u{b}'),
                    Some(escape @ ('d' | 'o' | 'x' | 'c')) => {
                        return Err(ScriptError::Refused(format!("\\{escape} in the text of a command")));
                    }
                    Some(letter) => text.push(letter),
                },
                _ => text.push(letter),
            }
        }
        text.push('\n');
        Ok(text.into_bytes())
    }

    fn delimiter(&mut self, command: char) -> Result<char, ScriptError> {
        match self.left.next() {
            Some(delimiter) if delimiter != '\n' && delimiter != '\\' => Ok(delimiter),
            _ => invalid(&format!("unterminated `{command}' command")),
        }
    }

    fn substitute(&mut self) -> Result<Action, ScriptError> {
        let delimiter = self.delimiter('s')?;
        let (Some(pattern), Some(replacement)) = (self.delimited(delimiter, true), self.delimited(delimiter, false))
        else {
            return invalid("unterminated `s' command");
        };
        let mut reading = self.reading;
        let (mut global, mut number, mut print, mut write) = (false, None, false, None);
        loop {
            match self.left.peek().copied() {
                Some('g') => global = true,
                Some('p') => print = true,
                Some('i' | 'I') => reading.fold = true,
                Some('m' | 'M') => reading.lines = true,
                Some('e') => return Err(ScriptError::Refused("the flag `e` of `s`".to_owned())),
                Some('0'..='9') => {
                    number = self.number();
                    if number == Some(0) {
                        return invalid("number option to `s' command may not be zero");
                    }
                    continue;
                }
                Some('w') => {
                    self.left.next();
                    write = Some(self.file_name()?);
                    break;
                }
                Some('}' | '#') | None => break,
                Some(';' | '\n') => {
                    self.left.next();
                    break;
                }
                Some(' ' | '\t') => {
                    self.end_of_command()?;
                    break;
                }
                Some(_) => return invalid("unknown option to `s'"),
            }
            self.left.next();
        }
        let pattern = self.pattern(&pattern, reading)?;
        let replacement = parse_replacement(&replacement)?;
        let groups = pattern.map_or(9, |pattern| self.script.patterns[pattern].groups());
        for part in &replacement {
            if let Replacement::Group(group) = part
                && *group > groups
            {
                return invalid(&format!("invalid reference \\{group} on `s' command's RHS"));
            }
        }
        let substitute = Substitute { pattern, replacement, global, number: number.unwrap_or(1), print, write };
        Ok(Action::Substitute(Box::new(substitute)))
    }

    fn translate(&mut self) -> Result<Action, ScriptError> {
        let delimiter = self.delimiter('y')?;
        let (Some(from), Some(to)) = (self.delimited(delimiter, false), self.delimited(delimiter, false)) else {
            return invalid("unterminated `y' command");
        };
        self.end_of_command()?;
        let letters = |text: &str| {
            let mut letters = Vec::new();
            let mut left = text.chars();
            while let Some(letter) = left.next() {
                letters.push(match letter {
                    '\\' => match left.next() {
                        Some('\\') => '\\',
                        Some('n' | '\n') => '\n',
                        Some('t') => '\t',
                        Some('r') => '\r',
                        Some('&') if delimiter == '&' => '&',
                        _ => return Err(ScriptError::Refused("such an escape in `y`".to_owned())),
                    },
                    letter => letter,
                });
            }
            Ok(letters)
        };
        let (from, to) = (letters(&from)?, letters(&to)?);
        if from.len() != to.len() {
            return invalid("strings for `y' command are different lengths");
        }
        // The first of several counts.
        Ok(Action::Translate(from.into_iter().zip(to).rev().collect()))
    }

    fn finish(mut self) -> Result<Script, ScriptError> {
        if !self.blocks.is_empty() {
            return invalid("unmatched `{'");
        }
        let end = self.script.steps.len();
        for (at, label) in std::mem::take(&mut self.jumps) {
            let place = match self.labels.get(&label) {
                _ if label.is_empty() => end,
                Some(place) => *place,
                None => return Err(ScriptError::NoLabel(label)),
            };
            match &mut self.script.steps[at].action {
                Action::Jump(to) | Action::JumpIfReplaced(to) | Action::JumpUnlessReplaced(to) => *to = place,
                _ => {}
            }
        }
        Ok(self.script)
    }
}
