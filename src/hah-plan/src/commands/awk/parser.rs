//! From tokens to a [`Program`].

use super::ProgramError;
use super::lexer::{Token, tokens};
use super::syntax::{Expression, Function, Program, Statement, Target, When};

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
    let mut parser = Parser { tokens: tokens(text)?, at: 0, program, locals: Vec::new(), depth: 0, no_greater: false };
    parser.items()?;
    let program = parser.program;
    if let Some(missing) = program.functions.iter().find(|function| !function.defined) {
        return Err(ProgramError::Syntax(format!("function {} never defined", missing.name)));
    }
    Ok(program)
}

/// What is left to read, and what was made of the rest.
pub(super) struct Parser {
    pub(super) tokens: Vec<Token>,
    pub(super) at: usize,
    pub(super) program: Program,
    pub(super) locals: Vec<String>,
    pub(super) depth: usize,
    /// In `print …`, where `>` is no comparison.
    pub(super) no_greater: bool,
}

/// What was read, or why it is none.
pub(super) type Parsed<T> = Result<T, ProgramError>;

impl Parser {
    pub(super) fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    pub(super) fn is(&self, sign: &'static str) -> bool {
        *self.peek() == Token::Sign(sign)
    }

    pub(super) fn take(&mut self, sign: &'static str) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    pub(super) fn word(&mut self, word: &'static str) -> bool {
        let found = *self.peek() == Token::Word(word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, sign: &'static str) -> Parsed<()> {
        if self.take(sign) { Ok(()) } else { self.error() }
    }

    pub(super) fn error<T>(&self) -> Parsed<T> {
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

    pub(super) fn newlines(&mut self) {
        while *self.peek() == Token::Newline {
            self.at += 1;
        }
    }

    fn terminators(&mut self) {
        while *self.peek() == Token::Newline || self.is(";") {
            self.at += 1;
        }
    }

    pub(super) fn deeper(&mut self) -> Parsed<()> {
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

    pub(super) fn function_number(&mut self, name: &str) -> usize {
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
}
