//! From tokens to a [`Program`].

use super::ProgramError;
use super::lexer::{Token, tokens};
use super::syntax::{Expression, Function, Place, Program, Source, Statement, Target, Variable, When};
use crate::commands::regex::{Dialect, Pattern, PatternError, Reading};

/// Deepest nesting of statements and expressions.
const DEPTH_MAX: usize = 150;

/// Variables that awk itself sets, in the order of their numbers.
pub(super) const SPECIAL: [&str; 14] = [
    "NF", "NR", "FNR", "FS", "OFS", "ORS", "RS", "FILENAME", "SUBSEP", "RSTART", "RLENGTH", "CONVFMT", "OFMT",
    "ENVIRON",
];

/// Parses a program.
pub(super) fn parse(text: &str) -> Result<Program, ProgramError> {
    let mut program = Program::default();
    program.globals.extend(SPECIAL.iter().chain(&["ARGV", "ARGC"]).map(|name| (*name).to_owned()));
    let mut parser =
        Parser { tokens: tokens(text)?, at: 0, program, locals: Vec::new(), depth: 0, no_in: false, no_greater: false };
    parser.items()?;
    let program = parser.program;
    if let Some(missing) = program.functions.iter().find(|function| !function.defined) {
        return Err(ProgramError::Syntax(format!("function {} never defined", missing.name)));
    }
    Ok(program)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    program: Program,
    locals: Vec<String>,
    depth: usize,
    /// In `for (… in …)`, where `in` is no operator.
    no_in: bool,
    /// In `print …`, where `>` is no comparison.
    no_greater: bool,
}

type Parsed<T> = Result<T, ProgramError>;

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    fn is(&self, sign: &'static str) -> bool {
        *self.peek() == Token::Sign(sign)
    }

    fn take(&mut self, sign: &'static str) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &'static str) -> bool {
        let found = *self.peek() == Token::Word(word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &'static str) -> Parsed<()> {
        if self.take(sign) { Ok(()) } else { self.error() }
    }

    fn error<T>(&self) -> Parsed<T> {
        let near = match self.peek() {
            Token::Newline => "end of line".to_owned(),
            Token::End => "end of program".to_owned(),
            Token::Sign(sign) | Token::Word(sign) | Token::Builtin(sign) => (*sign).to_owned(),
            Token::Name(name, _) => name.clone(),
            Token::Number(number) => number.to_string(),
            Token::Text(_) => "a string".to_owned(),
            Token::Regex(_) => "a regular expression".to_owned(),
        };
        Err(ProgramError::Syntax(format!("syntax error at or near {near}")))
    }

    fn newlines(&mut self) {
        while *self.peek() == Token::Newline {
            self.at += 1;
        }
    }

    fn terminators(&mut self) {
        while *self.peek() == Token::Newline || self.is(";") {
            self.at += 1;
        }
    }

    fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        match self.depth > DEPTH_MAX {
            true => Err(ProgramError::Refused("it is nested too deeply".to_owned())),
            false => Ok(()),
        }
    }

    fn items(&mut self) -> Parsed<()> {
        loop {
            self.terminators();
            if *self.peek() == Token::End {
                return Ok(());
            }
            if self.word("function") {
                self.function()?;
            } else if self.word("BEGIN") {
                let body = self.block()?;
                self.program.begin.push(body);
            } else if self.word("END") {
                let body = self.block()?;
                self.program.end.push(body);
            } else {
                let when = if self.is("{") {
                    When::Always
                } else {
                    let first = self.expression()?;
                    if self.take(",") {
                        self.newlines();
                        self.program.ranges += 1;
                        When::Range(first, self.expression()?, self.program.ranges - 1)
                    } else {
                        When::If(first)
                    }
                };
                let body = if self.is("{") { Some(self.block()?) } else { None };
                self.program.rules.push((when, body));
            }
        }
    }

    fn function_number(&mut self, name: &str) -> usize {
        if let Some(number) = self.program.functions.iter().position(|function| function.name == name) {
            return number;
        }
        self.program.functions.push(Function { name: name.to_owned(), ..Function::default() });
        self.program.functions.len() - 1
    }

    fn function(&mut self) -> Parsed<()> {
        let Token::Name(name, _) = self.peek().clone() else { return self.error() };
        self.at += 1;
        self.expect("(")?;
        let mut parameters = Vec::new();
        while !self.take(")") {
            let Token::Name(parameter, _) = self.peek().clone() else { return self.error() };
            self.at += 1;
            parameters.push(parameter);
            self.newlines();
            if !self.take(",") && !self.is(")") {
                return self.error();
            }
            self.newlines();
        }
        self.newlines();
        let number = self.function_number(&name);
        if self.program.functions[number].defined {
            return Err(ProgramError::Syntax(format!("function {name} is defined twice")));
        }
        self.locals.clone_from(&parameters);
        let body = self.block()?;
        self.locals.clear();
        self.program.functions[number] = Function { name, parameters, body, defined: true };
        Ok(())
    }

    fn block(&mut self) -> Parsed<Vec<Statement>> {
        self.expect("{")?;
        let mut body = Vec::new();
        loop {
            self.terminators();
            if self.take("}") {
                return Ok(body);
            }
            body.push(self.statement()?);
        }
    }

    /// The end of a simple statement.
    fn ended(&mut self) -> Parsed<()> {
        match self.peek() {
            Token::Newline | Token::Sign(";") => {
                self.at += 1;
                Ok(())
            }
            Token::Sign("}") | Token::End => Ok(()),
            _ => self.error(),
        }
    }

    fn statement(&mut self) -> Parsed<Statement> {
        self.deeper()?;
        let statement = self.statement_inside()?;
        self.depth -= 1;
        Ok(statement)
    }

    /// The body of a loop or a branch; `;` alone is an empty one.
    fn body(&mut self) -> Parsed<Statement> {
        self.newlines();
        if self.take(";") { Ok(Statement::Block(Vec::new())) } else { self.statement() }
    }

    fn statement_inside(&mut self) -> Parsed<Statement> {
        if self.is("{") {
            return Ok(Statement::Block(self.block()?));
        }
        if self.word("if") {
            self.expect("(")?;
            let condition = self.expression()?;
            self.expect(")")?;
            let then = Box::new(self.body()?);
            let back = self.at;
            self.terminators();
            if self.word("else") {
                return Ok(Statement::If(condition, then, Some(Box::new(self.body()?))));
            }
            self.at = back;
            return Ok(Statement::If(condition, then, None));
        }
        if self.word("while") {
            self.expect("(")?;
            let condition = self.expression()?;
            self.expect(")")?;
            return Ok(Statement::While(condition, Box::new(self.body()?)));
        }
        if self.word("do") {
            let body = self.body()?;
            self.terminators();
            if !self.word("while") {
                return self.error();
            }
            self.expect("(")?;
            let condition = self.expression()?;
            self.expect(")")?;
            self.ended()?;
            return Ok(Statement::DoWhile(Box::new(body), condition));
        }
        if self.word("for") {
            return self.for_loop();
        }
        let statement = self.simple()?;
        self.ended()?;
        Ok(statement)
    }

    fn for_loop(&mut self) -> Parsed<Statement> {
        self.expect("(")?;
        if let (Token::Name(name, _), Some(Token::Word("in")), Some(Token::Name(array, _)), Some(Token::Sign(")"))) = (
            self.peek().clone(),
            self.tokens.get(self.at + 1),
            self.tokens.get(self.at + 2).cloned(),
            self.tokens.get(self.at + 3),
        ) {
            self.at += 4;
            let (name, array) = (self.variable(&name), self.variable(&array));
            return Ok(Statement::ForIn(name, array, Box::new(self.body()?)));
        }
        let first = if self.is(";") { None } else { Some(Box::new(self.simple()?)) };
        self.expect(";")?;
        self.newlines();
        let condition = if self.is(";") { None } else { Some(self.expression()?) };
        self.expect(";")?;
        self.newlines();
        let step = if self.is(")") { None } else { Some(Box::new(self.simple()?)) };
        self.expect(")")?;
        Ok(Statement::For(first, condition, step, Box::new(self.body()?)))
    }

    fn simple(&mut self) -> Parsed<Statement> {
        let Token::Word(word) = *self.peek() else { return Ok(Statement::Expression(self.expression()?)) };
        if word == "getline" || word == "in" {
            return Ok(Statement::Expression(self.expression()?));
        }
        self.at += 1;
        let ends = |parser: &Self| matches!(parser.peek(), Token::Newline | Token::End | Token::Sign(";" | "}"));
        Ok(match word {
            "print" | "printf" => {
                let outer = std::mem::replace(&mut self.no_greater, true);
                let mut values = Vec::new();
                if !ends(self) && !matches!(self.peek(), Token::Sign(">" | ">>" | "|")) {
                    values = self.list()?;
                }
                // `print (a, b) > c`: the group was the list.
                if let [Expression::Group(inner)] = values.as_slice() {
                    values = inner.clone();
                }
                let target = match self.peek() {
                    Token::Sign(sign @ (">" | ">>" | "|")) => {
                        let sign = *sign;
                        self.at += 1;
                        let name = self.expression()?;
                        Some(match sign {
                            ">" => Target::Write(name),
                            ">>" => Target::Append(name),
                            _ => Target::Command(name),
                        })
                    }
                    _ => None,
                };
                self.no_greater = outer;
                match word {
                    "print" => Statement::Print(values, target),
                    _ if values.is_empty() => return self.error(),
                    _ => Statement::Printf(values, target),
                }
            }
            "delete" => {
                let parenthesised = self.take("(");
                let Token::Name(name, _) = self.peek().clone() else { return self.error() };
                self.at += 1;
                let array = self.variable(&name);
                let key = if self.take("[") {
                    let key = self.list()?;
                    self.expect("]")?;
                    Some(key)
                } else {
                    None
                };
                if parenthesised {
                    self.expect(")")?;
                }
                Statement::Delete(array, key)
            }
            "break" => Statement::Break,
            "continue" => Statement::Continue,
            "next" => Statement::Next,
            "nextfile" => Statement::NextFile,
            "exit" => Statement::Exit(if ends(self) { None } else { Some(self.expression()?) }),
            "return" => Statement::Return(if ends(self) { None } else { Some(self.expression()?) }),
            _ => {
                self.at -= 1;
                return self.error();
            }
        })
    }

    fn list(&mut self) -> Parsed<Vec<Expression>> {
        let mut list = vec![self.expression()?];
        while self.take(",") {
            self.newlines();
            list.push(self.expression()?);
        }
        Ok(list)
    }

    fn variable(&mut self, name: &str) -> Variable {
        if let Some(local) = self.locals.iter().position(|local| local == name) {
            return Variable::Local(local);
        }
        if let Some(global) = self.program.globals.iter().position(|global| global == name) {
            return Variable::Global(global);
        }
        self.program.globals.push(name.to_owned());
        Variable::Global(self.program.globals.len() - 1)
    }

    fn expression(&mut self) -> Parsed<Expression> {
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
        while !self.no_in && self.word("in") {
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
        match self.peek() {
            Token::Number(_) | Token::Text(_) | Token::Regex(_) | Token::Name(..) | Token::Builtin(_) => true,
            Token::Sign("(" | "$" | "++" | "--") => true,
            _ => false,
        }
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
                let (no_in, no_greater) = (std::mem::take(&mut self.no_in), std::mem::take(&mut self.no_greater));
                let mut list = self.list()?;
                self.newlines();
                self.expect(")")?;
                (self.no_in, self.no_greater) = (no_in, no_greater);
                match list.len() {
                    // Parentheses make a value of a place: `(a)++` is still one, `(a) = 1` not.
                    1 => list.swap_remove(0),
                    _ => Expression::Group(list),
                }
            }
            Token::Name(name, true) => {
                self.at += 1;
                let number = self.function_number(&name);
                let outer = (std::mem::take(&mut self.no_in), std::mem::take(&mut self.no_greater));
                let arguments = self.arguments()?;
                (self.no_in, self.no_greater) = outer;
                Expression::Call(number, arguments)
            }
            Token::Name(name, false) => {
                let variable = self.variable(&name);
                if self.take("[") {
                    let outer = (std::mem::take(&mut self.no_in), std::mem::take(&mut self.no_greater));
                    let key = self.list()?;
                    (self.no_in, self.no_greater) = outer;
                    self.expect("]")?;
                    return Ok(Expression::Value(Place::Element(variable, key)));
                }
                Expression::Value(Place::Variable(variable))
            }
            Token::Builtin(name) => {
                if !self.take("(") {
                    return if name == "length" { Ok(Expression::Builtin(name, Vec::new())) } else { self.error() };
                }
                let outer = (std::mem::take(&mut self.no_in), std::mem::take(&mut self.no_greater));
                let arguments = self.arguments()?;
                (self.no_in, self.no_greater) = outer;
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
