//! Expressions: operators by how tightly they bind, the loosest first.

use super::ProgramError;
use super::lexer::Token;
use super::parser::{Parsed, Parser};
use super::syntax::{Expression, Place, Source, Variable};
use crate::commands::regex::{Dialect, Pattern, PatternError, Reading};

impl Parser {
    pub(super) fn list(&mut self) -> Parsed<Vec<Expression>> {
        let mut list = vec![self.expression()?];
        while self.take(",") {
            self.newlines();
            list.push(self.expression()?);
        }
        Ok(list)
    }

    pub(super) fn variable(&mut self, name: &str) -> Variable {
        if let Some(local) = self.locals.iter().position(|local| local == name) {
            return Variable::Local(local);
        }
        if let Some(global) = self.program.globals.iter().position(|global| global == name) {
            return Variable::Global(global);
        }
        self.program.globals.push(name.to_owned());
        Variable::Global(self.program.globals.len() - 1)
    }

    pub(super) fn expression(&mut self) -> Parsed<Expression> {
        self.deeper()?;
        let condition = self.or()?;
        let value = self.after_condition(condition)?;
        self.depth -= 1;
        Ok(value)
    }

    /// `?:` and assignment, which bind to the right.
    fn after_condition(&mut self, left: Expression) -> Parsed<Expression> {
        if self.take("?") {
            self.newlines();
            let then = self.expression()?;
            self.newlines();
            self.expect(":")?;
            self.newlines();
            let other = self.expression()?;
            return Ok(Expression::Choice(Box::new(left), Box::new(then), Box::new(other)));
        }
        let operator = match self.peek() {
            Token::Sign("=") => None,
            Token::Sign("+=") => Some("+"),
            Token::Sign("-=") => Some("-"),
            Token::Sign("*=") => Some("*"),
            Token::Sign("/=") => Some("/"),
            Token::Sign("%=") => Some("%"),
            Token::Sign("^=") => Some("^"),
            _ => return Ok(left),
        };
        let assign = |parser: &mut Self, place: Place| {
            parser.at += 1;
            parser.newlines();
            let value = parser.expression()?;
            Ok(Expression::Assign(operator, Box::new(place), Box::new(value)))
        };
        match left {
            Expression::Value(place) => assign(self, place),
            // `1 + a = 2`, `!x = y`, `a && b = c`: the place is the right end of what was read.
            Expression::Not(inner) => Ok(Expression::Not(Box::new(self.after_condition(*inner)?))),
            Expression::Negative(inner) => Ok(Expression::Negative(Box::new(self.after_condition(*inner)?))),
            Expression::And(first, second) => Ok(Expression::And(first, Box::new(self.after_condition(*second)?))),
            Expression::Or(first, second) => Ok(Expression::Or(first, Box::new(self.after_condition(*second)?))),
            Expression::Compare(sign, first, second) => {
                Ok(Expression::Compare(sign, first, Box::new(self.after_condition(*second)?)))
            }
            Expression::Match(is, first, second) => {
                Ok(Expression::Match(is, first, Box::new(self.after_condition(*second)?)))
            }
            _ => self.error(),
        }
    }

    fn or(&mut self) -> Parsed<Expression> {
        let mut left = self.and()?;
        while self.take("||") {
            self.newlines();
            left = Expression::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed<Expression> {
        let mut left = self.member()?;
        while self.take("&&") {
            self.newlines();
            left = Expression::And(Box::new(left), Box::new(self.member()?));
        }
        Ok(left)
    }

    fn member(&mut self) -> Parsed<Expression> {
        let mut left = self.matched()?;
        while self.word("in") {
            let Token::Name(name, _) = self.peek().clone() else { return self.error() };
            self.at += 1;
            let key = match left {
                Expression::Group(list) => list,
                one => vec![one],
            };
            left = Expression::In(key, self.variable(&name));
        }
        Ok(left)
    }

    fn matched(&mut self) -> Parsed<Expression> {
        let mut left = self.compared()?;
        loop {
            let is = match self.peek() {
                Token::Sign("~") => true,
                Token::Sign("!~") => false,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expression::Match(is, Box::new(left), Box::new(self.compared()?));
        }
    }

    fn compared(&mut self) -> Parsed<Expression> {
        let left = self.joined()?;
        let sign = match self.peek() {
            Token::Sign(sign @ ("<" | "<=" | "==" | "!=" | ">=")) => *sign,
            Token::Sign(">") if !self.no_greater => ">",
            // `"cmd" | getline`, as often as it stands there.
            Token::Sign("|") if self.tokens.get(self.at + 1) == Some(&Token::Word("getline")) => {
                let mut left = left;
                while self.is("|") && self.tokens.get(self.at + 1) == Some(&Token::Word("getline")) {
                    self.at += 2;
                    let place = self.optional_place()?;
                    left = Expression::Getline(Source::Command(Box::new(left)), place.map(Box::new));
                }
                return self.rest_of_comparison(left);
            }
            _ => return Ok(left),
        };
        self.at += 1;
        Ok(Expression::Compare(sign, Box::new(left), Box::new(self.joined()?)))
    }

    /// `"cmd" | getline > 0`.
    fn rest_of_comparison(&mut self, left: Expression) -> Parsed<Expression> {
        match self.peek() {
            Token::Sign(sign @ ("<" | "<=" | "==" | "!=" | ">=" | ">")) if *sign != ">" || !self.no_greater => {
                let sign = *sign;
                self.at += 1;
                Ok(Expression::Compare(sign, Box::new(left), Box::new(self.joined()?)))
            }
            _ => Ok(left),
        }
    }

    fn joined(&mut self) -> Parsed<Expression> {
        let mut left = self.sum()?;
        while self.begins_operand() {
            left = Expression::Join(Box::new(left), Box::new(self.sum()?));
        }
        Ok(left)
    }

    fn begins_operand(&self) -> bool {
        matches!(
            self.peek(),
            Token::Number(_)
                | Token::Text(_)
                | Token::Regex(_)
                | Token::Name(..)
                | Token::Builtin(_)
                | Token::Sign("(" | "$" | "++" | "--")
        )
    }

    fn sum(&mut self) -> Parsed<Expression> {
        let mut left = self.product()?;
        loop {
            let sign = match self.peek() {
                Token::Sign(sign @ ("+" | "-")) => *sign,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expression::Arithmetic(sign, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Parsed<Expression> {
        let mut left = self.signed()?;
        loop {
            let sign = match self.peek() {
                Token::Sign(sign @ ("*" | "/" | "%")) => *sign,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expression::Arithmetic(sign, Box::new(left), Box::new(self.signed()?));
        }
    }

    fn signed(&mut self) -> Parsed<Expression> {
        self.deeper()?;
        let value = if self.take("!") {
            Expression::Not(Box::new(self.signed()?))
        } else if self.take("-") {
            Expression::Negative(Box::new(self.signed()?))
        } else if self.take("+") {
            Expression::Plus(Box::new(self.signed()?))
        } else {
            self.power()?
        };
        self.depth -= 1;
        Ok(value)
    }

    fn power(&mut self) -> Parsed<Expression> {
        let left = self.stepped()?;
        if self.take("^") {
            // To the right, and a sign may stand in the exponent.
            let right = self.signed()?;
            return Ok(Expression::Arithmetic("^", Box::new(left), Box::new(right)));
        }
        Ok(left)
    }

    fn stepped(&mut self) -> Parsed<Expression> {
        for (sign, step) in [("++", 1.0), ("--", -1.0)] {
            if self.take(sign) {
                return match self.primary()? {
                    Expression::Value(place) => Ok(Expression::Step(step, true, Box::new(place))),
                    _ => self.error(),
                };
            }
        }
        let value = self.primary()?;
        if let Expression::Value(place) = &value {
            for (sign, step) in [("++", 1.0), ("--", -1.0)] {
                if self.take(sign) {
                    return Ok(Expression::Step(step, false, Box::new(place.clone())));
                }
            }
        }
        Ok(value)
    }

    fn optional_place(&mut self) -> Parsed<Option<Place>> {
        match self.peek() {
            Token::Sign("$") | Token::Name(_, false) => match self.primary()? {
                Expression::Value(place) => Ok(Some(place)),
                _ => self.error(),
            },
            _ => Ok(None),
        }
    }

    fn primary(&mut self) -> Parsed<Expression> {
        let token = self.peek().clone();
        self.at += 1;
        Ok(match token {
            Token::Number(number) => Expression::Number(number),
            Token::Text(text) => Expression::Text(text),
            Token::Regex(text) => {
                let reading = Reading::plain(Dialect::Awk, false);
                let pattern = Pattern::new(&text, reading).map_err(|error| match error {
                    PatternError::Invalid(message) => {
                        ProgramError::Syntax(format!("regular expression compile failed ({message})"))
                    }
                    PatternError::Refused(what) => ProgramError::Refused(what),
                })?;
                self.program.patterns.push(pattern);
                Expression::Regex(self.program.patterns.len() - 1)
            }
            Token::Sign("$") => {
                let number = match self.peek() {
                    Token::Sign("++" | "--") => self.stepped()?,
                    Token::Sign("-") => self.signed()?,
                    _ => self.primary()?,
                };
                Expression::Value(Place::Field(Box::new(number)))
            }
            Token::Sign("(") => {
                let outer = std::mem::take(&mut self.no_greater);
                let mut list = self.list()?;
                self.newlines();
                self.expect(")")?;
                self.no_greater = outer;
                match list.len() {
                    // Parentheses make a value of a place: `(a)++` is still one, `(a) = 1` not.
                    1 => list.swap_remove(0),
                    _ => Expression::Group(list),
                }
            }
            Token::Name(name, true) => {
                self.at += 1;
                let number = self.function_number(&name);
                let outer = std::mem::take(&mut self.no_greater);
                let arguments = self.arguments()?;
                self.no_greater = outer;
                Expression::Call(number, arguments)
            }
            Token::Name(name, false) => {
                let variable = self.variable(&name);
                if self.take("[") {
                    let outer = std::mem::take(&mut self.no_greater);
                    let key = self.list()?;
                    self.no_greater = outer;
                    self.expect("]")?;
                    return Ok(Expression::Value(Place::Element(variable, key)));
                }
                Expression::Value(Place::Variable(variable))
            }
            Token::Builtin(name) => {
                if !self.take("(") {
                    return if name == "length" { Ok(Expression::Builtin(name, Vec::new())) } else { self.error() };
                }
                let outer = std::mem::take(&mut self.no_greater);
                let arguments = self.arguments()?;
                self.no_greater = outer;
                let (least, most) = match name {
                    "substr" | "split" | "sub" | "gsub" => (2, 3),
                    "index" | "match" | "atan2" => (2, 2),
                    "sprintf" => (1, usize::MAX),
                    "length" | "fflush" | "srand" | "systime" | "rand" => (0, 1),
                    "strftime" => (0, 3),
                    _ => (1, 1),
                };
                if arguments.len() < least || arguments.len() > most {
                    return Err(ProgramError::Syntax(format!("wrong number of arguments in call to {name}")));
                }
                Expression::Builtin(name, arguments)
            }
            Token::Word("getline") => {
                let place = self.optional_place()?;
                if self.take("<") {
                    let file = self.stepped()?;
                    return Ok(Expression::Getline(Source::File(Box::new(file)), place.map(Box::new)));
                }
                Expression::Getline(Source::Main, place.map(Box::new))
            }
            Token::Sign("-") => Expression::Negative(Box::new(self.signed()?)),
            Token::Sign("+") => Expression::Plus(Box::new(self.signed()?)),
            Token::Sign("!") => Expression::Not(Box::new(self.signed()?)),
            _ => {
                self.at -= 1;
                return self.error();
            }
        })
    }

    /// Arguments up to `)`.
    fn arguments(&mut self) -> Parsed<Vec<Expression>> {
        self.newlines();
        if self.take(")") {
            return Ok(Vec::new());
        }
        let list = self.list()?;
        self.newlines();
        self.expect(")")?;
        Ok(list)
    }
}
