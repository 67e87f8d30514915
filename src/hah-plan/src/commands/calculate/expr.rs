//! expr(1).

use super::decimal;
use crate::commands::regex::{Dialect, Pattern, PatternError, Reading};
use crate::commands::{Process, Refusal};

/// Why there is no value.
enum Failure {
    /// expr says so, with status 2.
    Complaint(String),
    Refused(Refusal),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

fn complaint<T>(what: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Complaint(what.into()))
}

/// expr(1): `| & < <= = == != >= > + - * / % :`, `match substr index length + ( )`. Numbers have 127 bits.
pub(super) fn expr(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let words = match args {
        [first, rest @ ..] if first == "--" => rest,
        words => words,
    };
    if words.is_empty() {
        return process.missing_operand(2);
    }
    let mut parser = Parser { words, at: 0, depth: 0, utf8: process.is_utf8() };
    let value = parser.either().and_then(|value| match parser.words.get(parser.at) {
        Some(word) => complaint(format!("syntax error: unexpected argument ‘{word}’")),
        None => Ok(value),
    });
    match value {
        Ok(value) => {
            process.print_line(&value);
            Ok(u8::from(is_null(&value)))
        }
        Err(Failure::Complaint(what)) => super::syntax_error(process, &what),
        Err(Failure::Refused(refusal)) => Err(refusal),
    }
}

fn is_null(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    value.is_empty() || !digits.is_empty() && digits.bytes().all(|digit| digit == b'0')
}

struct Parser<'a> {
    words: &'a [String],
    at: usize,
    depth: usize,
    utf8: bool,
}

impl Parser<'_> {
    fn take(&mut self, wanted: &[&str]) -> Option<String> {
        let word = self.words.get(self.at).filter(|word| wanted.contains(&word.as_str()))?;
        self.at += 1;
        Some(word.clone())
    }

    fn either(&mut self) -> Result<String, Failure> {
        let mut left = self.both()?;
        while self.take(&["|"]).is_some() {
            let right = self.both()?;
            if is_null(&left) {
                left = if is_null(&right) { "0".to_owned() } else { right };
            }
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<String, Failure> {
        let mut left = self.comparison()?;
        while self.take(&["&"]).is_some() {
            let right = self.comparison()?;
            if is_null(&left) || is_null(&right) {
                left = "0".to_owned();
            }
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<String, Failure> {
        let mut left = self.sum()?;
        while let Some(operator) = self.take(&["<", "<=", "=", "==", "!=", ">=", ">"]) {
            let right = self.sum()?;
            let order = match (decimal(&left), decimal(&right)) {
                (Some(left), Some(right)) => left.cmp(&right),
                _ => left.as_bytes().cmp(right.as_bytes()),
            };
            let holds = match operator.as_str() {
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                "=" | "==" => order.is_eq(),
                "!=" => order.is_ne(),
                ">=" => order.is_ge(),
                _ => order.is_gt(),
            };
            left = u8::from(holds).to_string();
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<String, Failure> {
        let mut left = self.product()?;
        while let Some(operator) = self.take(&["+", "-"]) {
            let right = self.product()?;
            left = calculate(&left, &operator, &right)?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<String, Failure> {
        let mut left = self.matched()?;
        while let Some(operator) = self.take(&["*", "/", "%"]) {
            let right = self.matched()?;
            left = calculate(&left, &operator, &right)?;
        }
        Ok(left)
    }

    fn matched(&mut self) -> Result<String, Failure> {
        let mut left = self.single()?;
        while self.take(&[":"]).is_some() {
            let right = self.single()?;
            left = self.match_of(&left, &right)?;
        }
        Ok(left)
    }

    /// `left : right`: the first group, or how many characters match.
    fn match_of(&self, text: &str, pattern: &str) -> Result<String, Failure> {
        let reading = Reading::plain(Dialect::Basic, self.utf8);
        let pattern = match Pattern::new(pattern.as_bytes(), reading) {
            Ok(pattern) => pattern,
            Err(PatternError::Invalid(message)) => return complaint(message),
            Err(refused) => return Err(Refusal::from(refused).into()),
        };
        // The match must begin where the text does.
        let found = pattern
            .groups_at(text.as_bytes(), 0)?
            .filter(|groups| groups[0].as_ref().is_some_and(|whole| whole.start == 0));
        Ok(match (found, pattern.groups()) {
            (None, 0) => "0".to_owned(),
            (None, _) => String::new(),
            (Some(groups), 0) => groups[0].clone().map_or(0, |whole| self.length(&text[whole])).to_string(),
            (Some(groups), _) => groups[1].clone().map(|group| text[group].to_owned()).unwrap_or_default(),
        })
    }

    fn length(&self, text: &str) -> usize {
        if self.utf8 { text.chars().count() } else { text.len() }
    }

    fn single(&mut self) -> Result<String, Failure> {
        let missing = || {
            let after = self.words.get(self.at.wrapping_sub(1)).cloned().unwrap_or_default();
            Failure::Complaint(format!("syntax error: missing argument after ‘{after}’"))
        };
        let word = self.words.get(self.at).cloned().ok_or_else(missing)?;
        self.at += 1;
        match word.as_str() {
            "(" => {
                self.depth += 1;
                if self.depth > 200 {
                    return Err(Refusal::new("an expression of expr that is nested so deeply").into());
                }
                let inner = self.either()?;
                self.depth -= 1;
                match self.take(&[")"]) {
                    Some(_) => Ok(inner),
                    None => complaint("syntax error: expecting ')'"),
                }
            }
            ")" => complaint("syntax error: unexpected ')'"),
            "+" if self.at < self.words.len() => {
                self.at += 1;
                Ok(self.words[self.at - 1].clone())
            }
            "length" if self.at < self.words.len() => Ok(self.single().map(|text| self.length(&text).to_string())?),
            "match" if self.at < self.words.len() => {
                let (text, pattern) = (self.single()?, self.single()?);
                self.match_of(&text, &pattern)
            }
            "index" if self.at < self.words.len() => {
                let (text, wanted) = (self.single()?, self.single()?);
                Ok(text.chars().position(|letter| wanted.contains(letter)).map_or(0, |at| at + 1).to_string())
            }
            "substr" if self.at < self.words.len() => {
                let (text, from, count) = (self.single()?, self.single()?, self.single()?);
                let place =
                    |text: &str| decimal(text).and_then(|place| usize::try_from(place).ok()).filter(|place| *place > 0);
                match (place(&from), place(&count)) {
                    (Some(from), Some(count)) => Ok(text.chars().skip(from - 1).take(count).collect()),
                    _ => Ok(String::new()),
                }
            }
            _ => Ok(word),
        }
    }
}

fn calculate(left: &str, operator: &str, right: &str) -> Result<String, Failure> {
    let (Some(left), Some(right)) = (decimal(left), decimal(right)) else { return complaint("non-integer argument") };
    if right == 0 && matches!(operator, "/" | "%") {
        return complaint("division by zero");
    }
    let value = match operator {
        "+" => left.checked_add(right),
        "-" => left.checked_sub(right),
        "*" => left.checked_mul(right),
        "/" => left.checked_div(right),
        _ => left.checked_rem(right),
    };
    match value {
        Some(value) => Ok(value.to_string()),
        None => Err(Refusal::new("numbers of expr that are so big").into()),
    }
}
