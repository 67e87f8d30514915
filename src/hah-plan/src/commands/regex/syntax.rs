//! From text to a [`Syntax`] tree, by regex(7) and the GNU C library's additions.
//!
//! What the languages leave undefined, and what the programs treat differently among themselves (a repetition of nothing,
//! an interval that is none), is refused.

use super::class::Class;
use super::{Dialect, PatternError, Reading};

/// Most repetitions that an interval may ask for (`RE_DUP_MAX`).
const REPEAT_MAX: u32 = 32767;
/// Deepest nesting of groups.
const DEPTH_MAX: usize = 100;

/// A node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Syntax {
    /// Nothing, which matches everywhere.
    Empty,
    /// One character.
    Character(u32),
    /// Any character, a line end too.
    Any,
    /// One of a set.
    Class(Class),
    /// A group and its number, from 1.
    Group(usize, Box<Syntax>),
    /// One after the other.
    Sequence(Vec<Syntax>),
    /// One of them.
    Branches(Vec<Syntax>),
    /// From so many to so many times; `None` has no end.
    Repeat(Box<Syntax>, u32, Option<u32>),
    /// A place.
    Place(Place),
    /// What a group holds, once more.
    Back(usize),
}

/// A place between characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `^`: the text's start, or a line's where lines count.
    LineStart,
    /// `$`.
    LineEnd,
    /// `` \` ``.
    TextStart,
    /// `\'`.
    TextEnd,
    /// `\b`.
    WordEdge,
    /// `\B`.
    NoWordEdge,
    /// `\<`.
    WordStart,
    /// `\>`.
    WordEnd,
}

/// A whole pattern.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// Its root.
    pub(super) root: Syntax,
    /// How many groups it has.
    pub(super) groups: usize,
    /// Whether a back-reference is in it.
    pub(super) has_back_reference: bool,
    /// Whether branches are in it.
    pub(super) has_branches: bool,
}

/// Reads `text`.
pub(super) fn parse(text: &[u8], reading: Reading) -> Result<Tree, PatternError> {
    let characters: Vec<u32> = match reading.utf8 {
        true => match std::str::from_utf8(text) {
            Ok(text) => text.chars().map(u32::from).collect(),
            Err(_) => return refused("it is not UTF-8"),
        },
        false => text.iter().copied().map(u32::from).collect(),
    };
    let mut parser = Parser {
        text: &characters,
        at: 0,
        reading,
        groups: 0,
        open: Vec::new(),
        has_back_reference: false,
        has_branches: false,
    };
    let root = parser.branches()?;
    if parser.at < characters.len() {
        return Err(PatternError::Invalid("Unmatched ) or \\)"));
    }
    let Parser { groups, has_back_reference, has_branches, .. } = parser;
    Ok(Tree { root, groups, has_back_reference, has_branches })
}

fn refused<T>(what: &str) -> Result<T, PatternError> {
    Err(PatternError::Refused(what.to_owned()))
}

struct Parser<'t> {
    text: &'t [u32],
    at: usize,
    reading: Reading,
    groups: usize,
    /// Groups that are not closed.
    open: Vec<usize>,
    has_back_reference: bool,
    has_branches: bool,
}

/// What an operator character or pair of them stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operator {
    Open,
    Close,
    Or,
    Star,
    Plus,
    Question,
    Interval,
}

impl Parser<'_> {
    fn is_basic(&self) -> bool {
        self.reading.dialect == Dialect::Basic
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.text.get(self.at + ahead).copied().and_then(char::from_u32)
    }

    /// The operator that stands here and its length.
    fn operator(&self) -> Option<(Operator, usize)> {
        let (character, length) = match (self.is_basic(), self.peek(0)?) {
            (true, '*') => return Some((Operator::Star, 1)),
            (true, '\\') => (self.peek(1)?, 2),
            (true, _) => return None,
            (false, character) => (character, 1),
        };
        let operator = match character {
            '(' => Operator::Open,
            ')' => Operator::Close,
            '|' => Operator::Or,
            '*' if length == 1 => Operator::Star,
            '+' => Operator::Plus,
            '?' => Operator::Question,
            '{' => Operator::Interval,
            _ => return None,
        };
        Some((operator, length))
    }

    fn branches(&mut self) -> Result<Syntax, PatternError> {
        let mut branches = vec![self.sequence()?];
        while let Some((Operator::Or, length)) = self.operator() {
            self.at += length;
            branches.push(self.sequence()?);
        }
        match branches.len() {
            1 => Ok(branches.swap_remove(0)),
            _ => {
                self.has_branches = true;
                Ok(Syntax::Branches(branches))
            }
        }
    }

    fn sequence(&mut self) -> Result<Syntax, PatternError> {
        let mut parts: Vec<Syntax> = Vec::new();
        loop {
            let Some(character) = self.peek(0) else {
                if self.at < self.text.len() {
                    return refused("a character of it is none");
                }
                break;
            };
            let operator = self.operator();
            match operator {
                Some((Operator::Or, _)) => break,
                Some((Operator::Close, _)) if !self.open.is_empty() => break,
                Some((Operator::Close, _)) if self.reading.dialect == Dialect::Egrep => {
                    self.at += 1;
                    parts.push(Syntax::Character(u32::from(')')));
                }
                Some((Operator::Close, _)) => return Err(PatternError::Invalid("Unmatched ) or \\)")),
                Some((Operator::Open, length)) => {
                    self.at += length;
                    let group = self.group()?;
                    parts.push(group);
                }
                Some((Operator::Star, _)) if self.is_basic() && self.is_at_start(&parts) => {
                    self.at += 1;
                    parts.push(Syntax::Character(u32::from('*')));
                }
                Some((operator, length)) => self.repetition(operator, length, &mut parts)?,
                None => {
                    let part = self.single(character, parts.is_empty())?;
                    parts.push(part);
                }
            }
        }
        Ok(match parts.len() {
            0 => Syntax::Empty,
            1 => parts.swap_remove(0),
            _ => Syntax::Sequence(parts),
        })
    }

    /// Where `*` of a basic expression is an ordinary character: at the start, and after a leading `^`.
    fn is_at_start(&self, parts: &[Syntax]) -> bool {
        matches!(parts, [] | [Syntax::Place(Place::LineStart)])
    }

    fn group(&mut self) -> Result<Syntax, PatternError> {
        if self.open.len() >= DEPTH_MAX {
            return refused("its groups are nested too deeply");
        }
        self.groups += 1;
        let number = self.groups;
        self.open.push(number);
        let inner = self.branches()?;
        match self.operator() {
            Some((Operator::Close, length)) => self.at += length,
            _ => return Err(PatternError::Invalid("Unmatched ( or \\(")),
        }
        self.open.pop();
        Ok(Syntax::Group(number, Box::new(inner)))
    }

    fn repetition(&mut self, operator: Operator, length: usize, parts: &mut Vec<Syntax>) -> Result<(), PatternError> {
        let start = self.at;
        self.at += length;
        let (least, most) = match operator {
            Operator::Star => (0, None),
            Operator::Plus => (1, None),
            Operator::Question => (0, Some(1)),
            _ => match self.interval()? {
                Some(interval) => interval,
                None if self.reading.dialect == Dialect::Extended => {
                    return Err(PatternError::Invalid("Invalid preceding regular expression"));
                }
                None => {
                    self.at = start + 1;
                    parts.push(Syntax::Character(u32::from('{')));
                    return Ok(());
                }
            },
        };
        match parts.pop() {
            Some(Syntax::Place(_)) => refused("a place cannot be repeated"),
            // What is doubled is one repetition of another: `a**`.
            Some(part) => {
                parts.push(Syntax::Repeat(Box::new(part), least, most));
                Ok(())
            }
            None => refused("a repetition has nothing before it"),
        }
    }

    /// `{n}`, `{n,}`, `{,m}`, `{n,m}` after its brace.
    fn interval(&mut self) -> Result<Option<(u32, Option<u32>)>, PatternError> {
        let least = self.number()?;
        let comma = self.peek(0) == Some(',');
        if comma {
            self.at += 1;
        }
        let most = if comma { self.number()? } else { least };
        if self.is_basic() {
            if self.peek(0) != Some('\\') || self.peek(1) != Some('}') {
                return Err(PatternError::Invalid(match self.text.len() - self.at {
                    0 => "Unmatched \\{",
                    _ => "Invalid content of \\{\\}",
                }));
            }
            self.at += 2;
        } else {
            if self.peek(0) != Some('}') || least.is_none() && !comma {
                return Ok(None);
            }
            self.at += 1;
        }
        if least.is_none() && !comma {
            return Err(PatternError::Invalid("Invalid preceding regular expression"));
        }
        if most.is_some_and(|most| least.unwrap_or(0) > most) {
            return Err(PatternError::Invalid("Invalid content of \\{\\}"));
        }
        if most.or(least).is_some_and(|count| count > REPEAT_MAX) {
            return Err(PatternError::Invalid("Regular expression too big"));
        }
        Ok(Some((least.unwrap_or(0), most)))
    }

    fn number(&mut self) -> Result<Option<u32>, PatternError> {
        let mut number = None;
        while let Some(digit) = self.peek(0).and_then(|character| character.to_digit(10)) {
            self.at += 1;
            number = Some(u32::min(number.unwrap_or(0) * 10 + digit, 100_000));
        }
        Ok(number)
    }

    fn single(&mut self, character: char, first: bool) -> Result<Syntax, PatternError> {
        self.at += 1;
        match character {
            '.' if self.reading.lines => {
                let mut class = Class::default();
                class.add(10, 10);
                class.negate();
                Ok(Syntax::Class(class))
            }
            '.' => Ok(Syntax::Any),
            '[' => self.brackets(),
            '^' if !self.is_basic() || first => Ok(Syntax::Place(Place::LineStart)),
            '$' if !self.is_basic() || self.is_at_end() => Ok(Syntax::Place(Place::LineEnd)),
            '\\' => self.escape(),
            _ => Ok(Syntax::Character(character.into())),
        }
    }

    /// Whether the sequence ends here.
    fn is_at_end(&self) -> bool {
        match self.operator() {
            Some((Operator::Or, _)) => true,
            Some((Operator::Close, _)) => !self.open.is_empty(),
            _ => self.at >= self.text.len(),
        }
    }

    fn escape(&mut self) -> Result<Syntax, PatternError> {
        let Some(character) = self.peek(0) else { return Err(PatternError::Invalid("Trailing backslash")) };
        self.at += 1;
        let utf8 = self.reading.utf8;
        if self.reading.dialect == Dialect::Awk {
            return Ok(Syntax::Character(self.awk_escape(character)));
        }
        let negated = |mut class: Class| {
            class.negate();
            Syntax::Class(class)
        };
        Ok(match character {
            'w' => Syntax::Class(Class::word(utf8)),
            'W' => negated(Class::word(utf8)),
            's' => Syntax::Class(Class::space(utf8)),
            'S' => negated(Class::space(utf8)),
            'b' => Syntax::Place(Place::WordEdge),
            'B' => Syntax::Place(Place::NoWordEdge),
            '<' => Syntax::Place(Place::WordStart),
            '>' => Syntax::Place(Place::WordEnd),
            '`' => Syntax::Place(Place::TextStart),
            '\'' => Syntax::Place(Place::TextEnd),
            '1'..='9' => {
                let number = character as usize - '0' as usize;
                if number > self.groups || self.open.contains(&number) {
                    return Err(PatternError::Invalid("Invalid back reference"));
                }
                self.has_back_reference = true;
                Syntax::Back(number)
            }
            _ => Syntax::Character(character.into()),
        })
    }

    /// The character that awk's `\x` stands for, after the backslash and `character`.
    fn awk_escape(&mut self, character: char) -> u32 {
        match character {
            'n' => 10,
            't' => 9,
            'r' => 13,
            'f' => 12,
            'v' => 11,
            'a' => 7,
            'b' => 8,
            '0'..='7' => {
                let mut code = character as u32 - 48;
                for _ in 0..2 {
                    let Some(digit) = self.peek(0).and_then(|digit| digit.to_digit(8)) else { break };
                    self.at += 1;
                    code = code * 8 + digit;
                }
                code & 0xff
            }
            _ => character.into(),
        }
    }

    fn brackets(&mut self) -> Result<Syntax, PatternError> {
        const OPEN: PatternError = PatternError::Invalid("Unmatched [, [^, [:, [., or [=");
        let mut class = Class::default();
        let negated = self.peek(0) == Some('^');
        if negated {
            self.at += 1;
        }
        let mut first = true;
        loop {
            let character = self.peek(0).ok_or(OPEN)?;
            if character == ']' && !first {
                self.at += 1;
                break;
            }
            first = false;
            if character == '[' && self.peek(1) == Some(':') {
                let name = self.bracketed(':').ok_or(OPEN)?;
                // Case folds in classes of one case too.
                let name = if self.reading.fold && matches!(&*name, "lower" | "upper") { "alpha" } else { &name };
                if !class.add_named(name, self.reading.utf8) {
                    return Err(PatternError::Invalid("Invalid character class name"));
                }
                continue;
            }
            let start = self.bracket_character(OPEN)?;
            let ranged = self.peek(0) == Some('-') && self.peek(1).is_some_and(|next| next != ']');
            if !ranged {
                class.add(start, start);
                continue;
            }
            self.at += 1;
            let end = self.bracket_character(OPEN)?;
            if end < start {
                return Err(PatternError::Invalid("Invalid range end"));
            }
            class.add(start, end);
        }
        if negated {
            if self.reading.lines {
                class.add(10, 10);
            }
            class.negate();
        }
        Ok(Syntax::Class(class))
    }

    fn bracket_character(&mut self, open: PatternError) -> Result<u32, PatternError> {
        let character = self.peek(0).ok_or(open.clone())?;
        if character == '[' && matches!(self.peek(1), Some('.' | '=')) {
            let mark = self.peek(1).unwrap_or('.');
            let name = self.bracketed(mark).ok_or(open)?;
            let mut characters = name.chars();
            return match (characters.next(), characters.next()) {
                (Some(one), None) => Ok(one.into()),
                _ => refused("a collating element with a name"),
            };
        }
        self.at += 1;
        if character == '\\' && self.reading.dialect == Dialect::Awk {
            let next = self.peek(0).ok_or(open)?;
            self.at += 1;
            return Ok(self.awk_escape(next));
        }
        Ok(character.into())
    }

    /// The inside of `[:…:]`, `[.….]` or `[=…=]`, read to behind its end.
    fn bracketed(&mut self, mark: char) -> Option<String> {
        let mut name = String::new();
        let mut at = self.at + 2;
        loop {
            let character = self.text.get(at).copied().and_then(char::from_u32)?;
            let next = self.text.get(at + 1).copied().and_then(char::from_u32);
            if character == mark && next == Some(']') && !name.is_empty() {
                self.at = at + 2;
                return Some(name);
            }
            name.push(character);
            at += 1;
        }
    }
}
