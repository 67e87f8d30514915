//! `$((…))`: C's integer expressions over variables, 64 bits, wrapping (POSIX.1-2017, 2.6.4).

use super::{Halt, Shell};

/// Deepest nesting of parentheses and operators.
const DEPTH_MAX: u32 = 100;

/// The value of `text`, in which parameters have been expanded already.
pub(super) fn evaluate(shell: &mut Shell<'_, '_>, text: &str) -> Result<i64, Halt> {
    let mut reader = Reader { text: text.chars().collect(), at: 0, depth: 0 };
    let done = reader.assignment(shell, true).and_then(|value| {
        reader.blanks();
        if reader.at == reader.text.len() { Ok(value) } else { Err(Wrong::Syntax) }
    });
    done.map_err(|wrong| match wrong {
        Wrong::Syntax => shell.die(&format!("arithmetic expression: expecting primary: \"{text}\"")),
        Wrong::Zero => shell.die(&format!("arithmetic expression: division by zero: \"{text}\"")),
        Wrong::Number(value) => shell.die(&format!("Illegal number: {value}")),
        Wrong::Halt(halt) => halt,
    })
}

enum Wrong {
    Syntax,
    Zero,
    Number(String),
    Halt(Halt),
}

type Value = Result<i64, Wrong>;

struct Reader {
    text: Vec<char>,
    at: usize,
    depth: u32,
}

/// Binary operators by rising strength; `&&`, `||`, `?:` and assignments are apart.
const LEVELS: [&[&str]; 8] =
    [&["|"], &["^"], &["&"], &["==", "!="], &["<=", ">=", "<", ">"], &["<<", ">>"], &["+", "-"], &["*", "/", "%"]];
const ASSIGNMENTS: [&str; 11] = ["=", "*=", "/=", "%=", "+=", "-=", "<<=", ">>=", "&=", "^=", "|="];

impl Reader {
    fn blanks(&mut self) {
        while self.text.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
    }

    fn looking_at(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(index, c)| self.text.get(self.at + index) == Some(&c))
    }

    /// Takes an operator, unless it is the beginning of a longer one.
    fn operator(&mut self, operator: &str) -> bool {
        self.blanks();
        if !self.looking_at(operator) {
            return false;
        }
        let next = self.text.get(self.at + operator.len()).copied();
        let longer = match operator {
            "|" => matches!(next, Some('|' | '=')),
            "&" => matches!(next, Some('&' | '=')),
            "<" | ">" => next == Some('=') || next == operator.chars().next(),
            "<<" | ">>" | "*" | "/" | "%" | "+" | "-" | "^" | "!" => next == Some('='),
            "=" => next == Some('='),
            _ => false,
        };
        if !longer {
            self.at += operator.len();
        }
        !longer
    }

    /// `live` is false in a branch that is not taken: it is read and has no effect.
    fn assignment(&mut self, shell: &mut Shell<'_, '_>, live: bool) -> Value {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Wrong::Syntax);
        }
        let start = self.at;
        self.blanks();
        let name = self.name();
        if !name.is_empty() {
            self.blanks();
            let operator = ASSIGNMENTS.into_iter().rev().find(|operator| self.looking_at(operator));
            let operator = operator.filter(|operator| *operator != "=" || !self.looking_at("=="));
            if let Some(operator) = operator {
                self.at += operator.len();
                let right = self.assignment(shell, live)?;
                let old = || variable(shell, &name);
                let value = match operator.strip_suffix('=').unwrap_or_default() {
                    "" => right,
                    operator => apply(operator, old()?, right, live)?,
                };
                if live {
                    shell.assign(&name, value.to_string()).map_err(Wrong::Halt)?;
                }
                self.depth -= 1;
                return Ok(value);
            }
        }
        self.at = start;
        let value = self.conditional(shell, live)?;
        self.depth -= 1;
        Ok(value)
    }

    fn conditional(&mut self, shell: &mut Shell<'_, '_>, live: bool) -> Value {
        let condition = self.or(shell, live)?;
        if !self.operator("?") {
            return Ok(condition);
        }
        let yes = self.assignment(shell, live && condition != 0)?;
        if !self.operator(":") {
            return Err(Wrong::Syntax);
        }
        let no = self.assignment(shell, live && condition == 0)?;
        Ok(if condition != 0 { yes } else { no })
    }

    fn or(&mut self, shell: &mut Shell<'_, '_>, live: bool) -> Value {
        let mut value = self.and(shell, live)?;
        while self.operator("||") {
            let right = self.and(shell, live && value == 0)?;
            value = i64::from(value != 0 || right != 0);
        }
        Ok(value)
    }

    fn and(&mut self, shell: &mut Shell<'_, '_>, live: bool) -> Value {
        let mut value = self.binary(shell, live, 0)?;
        while self.operator("&&") {
            let right = self.binary(shell, live && value != 0, 0)?;
            value = i64::from(value != 0 && right != 0);
        }
        Ok(value)
    }

    fn binary(&mut self, shell: &mut Shell<'_, '_>, live: bool, level: usize) -> Value {
        let Some(operators) = LEVELS.get(level) else { return self.unary(shell, live) };
        let mut value = self.binary(shell, live, level + 1)?;
        while let Some(operator) = operators.iter().find(|operator| self.operator(operator)) {
            let right = self.binary(shell, live, level + 1)?;
            value = apply(operator, value, right, live)?;
        }
        Ok(value)
    }

    fn unary(&mut self, shell: &mut Shell<'_, '_>, live: bool) -> Value {
        self.blanks();
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Wrong::Syntax);
        }
        let value = match self.text.get(self.at) {
            Some('-') => {
                self.at += 1;
                self.unary(shell, live)?.wrapping_neg()
            }
            Some('+') => {
                self.at += 1;
                self.unary(shell, live)?
            }
            Some('~') => {
                self.at += 1;
                !self.unary(shell, live)?
            }
            Some('!') => {
                self.at += 1;
                i64::from(self.unary(shell, live)? == 0)
            }
            Some('(') => {
                self.at += 1;
                let value = self.assignment(shell, live)?;
                if !self.operator(")") {
                    return Err(Wrong::Syntax);
                }
                value
            }
            Some(c) if c.is_ascii_digit() => {
                let start = self.at;
                while self.text.get(self.at).is_some_and(char::is_ascii_alphanumeric) {
                    self.at += 1;
                }
                let text: String = self.text[start..self.at].iter().collect();
                number(&text).ok_or(Wrong::Syntax)?
            }
            _ => {
                let name = self.name();
                if name.is_empty() {
                    return Err(Wrong::Syntax);
                }
                variable(shell, &name)?
            }
        };
        self.depth -= 1;
        Ok(value)
    }

    fn name(&mut self) -> String {
        let start = self.at;
        while self.text.get(self.at).is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_') {
            if self.at == start && self.text[self.at].is_ascii_digit() {
                break;
            }
            self.at += 1;
        }
        self.text[start..self.at].iter().collect()
    }
}

/// A constant of C: decimal, `0x…`, `0…`. Out of range becomes the greatest number, as strtoimax(3) has it.
pub(super) fn number(text: &str) -> Option<i64> {
    let (digits, radix) = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    Some(i64::from_str_radix(digits, radix).unwrap_or(i64::MAX))
}

/// The number in a variable; 0 when it is unset or empty.
fn variable(shell: &Shell<'_, '_>, name: &str) -> Value {
    let value = shell.value(name).unwrap_or_default();
    let text = value.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    match digits {
        "" if text.is_empty() => Ok(0),
        _ => number(digits).map(|number| number.wrapping_mul(sign)).ok_or(Wrong::Number(value)),
    }
}

fn apply(operator: &str, left: i64, right: i64, live: bool) -> Value {
    let truth = |holds: bool| Ok(i64::from(holds));
    // The processor takes the shift's last six bits.
    let shift = (right & 63) as u32;
    match operator {
        "/" | "%" if right == 0 && live => Err(Wrong::Zero),
        "/" | "%" if right == 0 => Ok(0),
        "|" => Ok(left | right),
        "^" => Ok(left ^ right),
        "&" => Ok(left & right),
        "==" => truth(left == right),
        "!=" => truth(left != right),
        "<=" => truth(left <= right),
        ">=" => truth(left >= right),
        "<" => truth(left < right),
        ">" => truth(left > right),
        "<<" => Ok(left.wrapping_shl(shift)),
        ">>" => Ok(left.wrapping_shr(shift)),
        "+" => Ok(left.wrapping_add(right)),
        "-" => Ok(left.wrapping_sub(right)),
        "*" => Ok(left.wrapping_mul(right)),
        "/" => Ok(left.wrapping_div(right)),
        "%" => Ok(left.wrapping_rem(right)),
        _ => Err(Wrong::Syntax),
    }
}
