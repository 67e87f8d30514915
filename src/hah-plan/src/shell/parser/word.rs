//! Words: quotes, parameters, substitutions (POSIX.1-2017, 2.2, 2.3, 2.6).

use std::rc::Rc;

use super::{NESTING_MAX, Parse, Parser, SyntaxError};
use crate::shell::syntax::{Change, End, Instead, List, Parameter, Part, Word};

/// Where a word's text stands, which decides what quotes and backslashes mean in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    /// Between blanks.
    Bare,
    /// In double quotes.
    Double,
    /// In a line of a here-document.
    Here,
    /// In `${name op …}` outside double quotes.
    Brace,
    /// In `"${name op …}"`, where single quotes are text.
    DoubleBrace,
    /// In `$((…))`.
    Arithmetic,
}

impl Parser {
    /// The word that begins here; `None` where none does.
    pub(super) fn word(&mut self) -> Parse<Option<Word>> {
        let mut parts = Vec::new();
        let start = self.at;
        self.parts(Context::Bare, &mut parts)?;
        if self.at == start { Ok(None) } else { Ok(Some(Word(parts))) }
    }

    /// One line of a here-document, with all that its expansions take of the next ones.
    pub(super) fn here_line(&mut self, parts: &mut Vec<Part>) -> Parse<()> {
        self.parts(Context::Here, parts)
    }

    /// Reads parts up to what ends the context, which stays.
    fn parts(&mut self, context: Context, parts: &mut Vec<Part>) -> Parse<()> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return self.fail(format!("more than {NESTING_MAX} levels of nesting"));
        }
        let mut parentheses = 0;
        while let Some(next) = self.peek() {
            match (context, next) {
                (Context::Bare, ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')') => break,
                (Context::Bare, '\r') if self.peek_at(1).is_none_or(|c| c == '\n') => break,
                (Context::Double, '"') => break,
                (Context::Brace | Context::DoubleBrace, '}') => break,
                (Context::Here, '\n') => {
                    self.literal(context, parts, next);
                    break;
                }
                (Context::Arithmetic, '(') => {
                    parentheses += 1;
                    self.literal(context, parts, next);
                }
                (Context::Arithmetic, ')') if parentheses == 0 => break,
                (Context::Arithmetic, ')') => {
                    parentheses -= 1;
                    self.literal(context, parts, next);
                }
                (_, '\\') => self.backslash(context, parts),
                (Context::Bare, '{') => {
                    self.no_brace_expansion()?;
                    self.literal(context, parts, next);
                }
                (_, '$') => self.dollar(context, parts)?,
                (_, '`') => {
                    let inner = self.backquotes(context)?;
                    parts.push(Part::Command(Rc::new(inner)));
                }
                (Context::Bare | Context::Brace, '\'') => {
                    let text = self.single()?;
                    parts.push(Part::Quoted(text));
                }
                (Context::Bare | Context::Brace | Context::DoubleBrace, '"') => {
                    self.at += 1;
                    let mut inner = Vec::new();
                    let line = self.line;
                    self.parts(Context::Double, &mut inner)?;
                    if !self.skip("\"") {
                        return Err(SyntaxError { line, what: "a `\"` that is not closed".to_owned() });
                    }
                    match context {
                        // Quotes in quotes take their own away; the text stays quoted.
                        Context::DoubleBrace => parts.append(&mut inner),
                        _ => parts.push(Part::Double(inner)),
                    }
                }
                _ => self.literal(context, parts, next),
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Takes one character as text.
    fn literal(&mut self, context: Context, parts: &mut Vec<Part>, next: char) {
        self.take();
        let quoted = matches!(context, Context::Double | Context::Here | Context::DoubleBrace | Context::Arithmetic);
        push(parts, quoted, next);
    }

    fn backslash(&mut self, context: Context, parts: &mut Vec<Part>) {
        self.at += 1;
        let Some(next) = self.peek_raw() else { return push(parts, true, '\\') };
        let special = match context {
            Context::Bare | Context::Brace => true,
            Context::Double | Context::Arithmetic => matches!(next, '$' | '`' | '"' | '\\'),
            Context::DoubleBrace => matches!(next, '$' | '`' | '"' | '\\' | '}'),
            Context::Here => matches!(next, '$' | '`' | '\\'),
        };
        if !special {
            push(parts, true, '\\');
        }
        self.take();
        push(parts, true, next);
    }

    fn single(&mut self) -> Parse<String> {
        let line = self.line;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.take() {
                Some('\'') => return Ok(text),
                Some(next) => text.push(next),
                None => return Err(SyntaxError { line, what: "a `'` that is not closed".to_owned() }),
            }
        }
    }

    fn dollar(&mut self, context: Context, parts: &mut Vec<Part>) -> Parse<()> {
        self.at += 1;
        match self.peek() {
            Some('(') if self.peek_at(1) == Some('(') => parts.push(Part::Arithmetic(self.arithmetic()?)),
            Some('(') => parts.push(Part::Command(Rc::new(self.substitution()?))),
            Some('{') => {
                let parameter = self.braced(context)?;
                parts.push(Part::Parameter(Box::new(parameter)));
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                let name = self.name();
                parts.push(Part::Parameter(Box::new(Parameter { name, change: Change::None })));
            }
            Some(c) if c.is_ascii_digit() || "@*#?-$!".contains(c) => {
                self.at += 1;
                parts.push(Part::Parameter(Box::new(Parameter { name: c.to_string(), change: Change::None })));
            }
            Some(quote @ ('\'' | '"')) if self.bash && matches!(context, Context::Bare | Context::Brace) => {
                return self.fail(format!("`${quote}`, which is not POSIX's"));
            }
            _ => push(parts, context != Context::Bare && context != Context::Brace, '$'),
        }
        Ok(())
    }

    /// `$(…)`, from its parenthesis.
    fn substitution(&mut self) -> Parse<List> {
        self.at += 1;
        self.newlines()?;
        if self.skip(")") {
            return Ok(List::new());
        }
        let list = self.list()?;
        self.close()?;
        Ok(list)
    }

    /// `$((…))`, from its first parenthesis. It is never a subshell in a substitution: that needs a blank.
    fn arithmetic(&mut self) -> Parse<Word> {
        let line = self.line;
        self.skip("((");
        let mut parts = Vec::new();
        self.parts(Context::Arithmetic, &mut parts)?;
        if self.skip("))") {
            return Ok(Word(parts));
        }
        Err(SyntaxError { line, what: "`$((` without `))`".to_owned() })
    }

    fn backquotes(&mut self, context: Context) -> Parse<List> {
        let line = self.line;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.take() {
                Some('`') => break,
                Some('\\') => match self.take() {
                    Some(next) if matches!(next, '`' | '\\' | '$') => text.push(next),
                    Some('"') if context == Context::Double => text.push('"'),
                    Some(next) => text.extend(['\\', next]),
                    None => text.push('\\'),
                },
                Some(next) => text.push(next),
                None => return Err(SyntaxError { line, what: "a backquote that is not closed".to_owned() }),
            }
        }
        let mut inner = Parser::new(&text, line);
        inner.aliases = Rc::clone(&self.aliases);
        inner.bash = self.bash;
        inner.depth = self.depth;
        let mut list = List::new();
        while let Some(mut next) = inner.next()? {
            list.append(&mut next);
        }
        Ok(list)
    }

    /// `${…}`, from its brace.
    fn braced(&mut self, context: Context) -> Parse<Parameter> {
        let line = self.line;
        self.at += 1;
        let start = self.at;
        if self.peek() == Some('#') && self.peek_at(1).is_some_and(|c| c != '}') {
            let start = self.at;
            self.at += 1;
            let name = self.parameter_name();
            if !name.is_empty() && self.skip("}") {
                return Ok(Parameter { name, change: Change::Length });
            }
            self.at = start;
        }
        let name = self.parameter_name();
        if !name.is_empty() && self.skip("}") {
            return Ok(Parameter { name, change: Change::None });
        }
        let colon = self.skip(":");
        let inside_double =
            matches!(context, Context::Double | Context::Here | Context::DoubleBrace | Context::Arithmetic);
        let instead = match self.peek() {
            Some('-') => Some(Instead::Default),
            Some('=') => Some(Instead::Assign),
            Some('?') => Some(Instead::Error),
            Some('+') => Some(Instead::Alternative),
            _ => None,
        };
        let instead = instead.filter(|_| !name.is_empty());
        let change = if let Some(kind) = instead {
            self.at += 1;
            let inner = if inside_double { Context::DoubleBrace } else { Context::Brace };
            Change::Instead { colon, kind, word: self.brace_word(inner)? }
        } else {
            let (end, twice) = match self.peek() {
                Some('#') if !colon && !name.is_empty() => (End::Prefix, "##"),
                Some('%') if !colon && !name.is_empty() => (End::Suffix, "%%"),
                _ => {
                    // It is an error when it is reached, and not before.
                    let rest = self.brace_word(if inside_double { Context::DoubleBrace } else { Context::Brace })?;
                    let text = format!("${{{}}}", self.text[start..self.at].iter().collect::<String>());
                    let change = Change::Bad { text, rest };
                    return if self.skip("}") { Ok(Parameter { name, change }) } else { unclosed(line) };
                }
            };
            let longest = self.skip(twice);
            if !longest {
                self.at += 1;
            }
            // Quotes mean what they mean outside, whatever is around the braces.
            Change::Trim { end, longest, pattern: self.brace_word(Context::Brace)? }
        };
        if self.skip("}") { Ok(Parameter { name, change }) } else { unclosed(line) }
    }

    fn brace_word(&mut self, context: Context) -> Parse<Word> {
        let mut parts = Vec::new();
        self.parts(context, &mut parts)?;
        Ok(Word(parts))
    }

    /// A name, a number, or a special parameter.
    fn parameter_name(&mut self) -> String {
        let name = self.name();
        if !name.is_empty() {
            return name;
        }
        let mut digits = String::new();
        while let Some(c) = self.peek().filter(char::is_ascii_digit) {
            digits.push(c);
            self.at += 1;
        }
        if digits.is_empty()
            && let Some(c) = self.peek().filter(|c| "@*#?-$!".contains(*c))
        {
            self.at += 1;
            digits.push(c);
        }
        digits
    }
}

fn unclosed<T>(line: u32) -> Parse<T> {
    Err(SyntaxError { line, what: "a `${` that is not closed".to_owned() })
}

/// Adds a character to the last part, when that is of its kind.
fn push(parts: &mut Vec<Part>, quoted: bool, next: char) {
    match (parts.last_mut(), quoted) {
        (Some(Part::Literal(text)), false) | (Some(Part::Quoted(text)), true) => text.push(next),
        (_, false) => parts.push(Part::Literal(next.to_string())),
        (_, true) => parts.push(Part::Quoted(next.to_string())),
    }
}
