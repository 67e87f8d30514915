//! From text to commands: the grammar of POSIX.1-2017, chapter 2, as dash reads it.
//!
//! One complete command is read at a time, so that what stands behind an `exit` need not be shell.
//! `brush-parser` was looked at and left: its words are unparsed text that is parsed again at evaluation, and its dialect
//! is bash's.

mod word;
mod here;
mod alias;
mod bash;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::syntax::{AndOr, Command, CommandKind, Join, List, Pipeline, Redirect, RedirectKind, Word};
use alias::Spliced;
use here::Pending;

/// Deepest nesting of commands and expansions.
pub(super) const NESTING_MAX: u32 = 150;

/// Text that is no shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// Line, from 1.
    pub(super) line: u32,
    /// What is wrong.
    pub(super) what: String,
}

type Parse<T> = Result<T, SyntaxError>;

/// What reads a script.
pub(super) struct Parser {
    text: Vec<char>,
    at: usize,
    line: u32,
    depth: u32,
    pending: Vec<Pending>,
    /// Whether the last item ended with `;` or `&`, so that another may follow on the line.
    separated: bool,
    /// Whether the text is a script of bash.
    pub(super) bash: bool,
    /// What stands for a command's first word, by that word.
    pub(super) aliases: Rc<BTreeMap<String, String>>,
    spliced: Vec<Spliced>,
    /// Characters that aliases have put into the text.
    grown: usize,
}

/// Words that end a list, or begin a compound command.
pub(super) const RESERVED: [&str; 16] =
    ["if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "{", "}", "!", "in"];

/// Special built-ins, whose names no function may have.
const SPECIAL: [&str; 15] = [
    ":", ".", "break", "continue", "eval", "exec", "exit", "export", "readonly", "return", "set", "shift", "times",
    "trap", "unset",
];

/// Whether `text` may be the name of a variable or a function.
pub(super) fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Parser {
    /// Reads `text`, whose first line has this number.
    pub(super) fn new(text: &str, line: u32) -> Self {
        Self {
            text: text.chars().filter(|c| *c != '\0').collect(),
            at: 0,
            line,
            depth: 0,
            pending: Vec::new(),
            separated: false,
            bash: false,
            aliases: Rc::default(),
            spliced: Vec::new(),
            grown: 0,
        }
    }

    /// The next complete command: what stands on a line, or more where it goes on. `None` at the end.
    pub(super) fn next(&mut self) -> Parse<Option<List>> {
        loop {
            self.aliased()?;
            self.blanks();
            match self.peek() {
                None => return Ok(None),
                Some('\n') => self.newline()?,
                Some(_) => break,
            }
        }
        let mut list = List::new();
        loop {
            list.push(self.and_or_item()?);
            self.blanks();
            match self.peek() {
                None => break,
                Some('\n') => {
                    self.newline()?;
                    break;
                }
                Some(')') => return self.fail("a `)` that closes nothing"),
                Some(_) if self.separated => {}
                Some(_) => return Err(self.unexpected()),
            }
        }
        Ok(Some(list))
    }

    fn fail<T>(&self, what: impl Into<String>) -> Parse<T> {
        Err(SyntaxError { line: self.line, what: what.into() })
    }

    fn unexpected(&self) -> SyntaxError {
        let rest: String = self.text[self.at..].iter().take_while(|c| **c != '\n').take(30).collect();
        let what =
            if rest.is_empty() { "the script ends too early".to_owned() } else { format!("unexpected `{rest}`") };
        SyntaxError { line: self.line, what }
    }

    /// The character that comes next, whatever it is.
    fn peek_raw(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    /// The character that comes next; a backslash and a line end are nothing (POSIX.1-2017, 2.2.1).
    fn peek(&mut self) -> Option<char> {
        while self.peek_raw() == Some('\\') && self.text.get(self.at + 1) == Some(&'\n') {
            self.at += 2;
            self.line += 1;
        }
        self.peek_raw()
    }

    /// Where the first character at or behind `at` is.
    fn behind_continuation(&self, mut at: usize) -> usize {
        while self.text.get(at) == Some(&'\\') && self.text.get(at + 1) == Some(&'\n') {
            at += 2;
        }
        at
    }

    fn peek_at(&self, offset: usize) -> Option<char> {
        let mut at = self.behind_continuation(self.at);
        for _ in 0..offset {
            at = self.behind_continuation(at + 1);
        }
        self.text.get(at).copied()
    }

    /// Takes a character, whatever it is.
    fn take(&mut self) -> Option<char> {
        let next = self.peek_raw()?;
        self.at += 1;
        if next == '\n' {
            self.line += 1;
        }
        Some(next)
    }

    fn looking_at(&self, text: &str) -> bool {
        let mut at = self.at;
        text.chars().all(|c| {
            at = self.behind_continuation(at) + 1;
            self.text.get(at - 1) == Some(&c)
        })
    }

    fn skip(&mut self, text: &str) -> bool {
        let found = self.looking_at(text);
        if found {
            for _ in text.chars() {
                self.peek();
                self.at += 1;
            }
        }
        found
    }

    /// Skips blanks, continued lines and a comment.
    fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r') => self.at += 1,
                Some('#') => {
                    while self.peek_raw().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    fn newlines(&mut self) -> Parse<()> {
        loop {
            self.blanks();
            if self.peek() != Some('\n') {
                return Ok(());
            }
            self.newline()?;
        }
    }

    /// The reserved word that stands here, if one does. The parser must be where a command may begin.
    fn reserved(&self) -> Option<&'static str> {
        RESERVED.into_iter().find(|word| {
            self.looking_at(word)
                && self
                    .peek_at(word.len())
                    .is_none_or(|c| matches!(c, ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')'))
        })
    }

    fn expect(&mut self, word: &'static str) -> Parse<()> {
        self.newlines()?;
        if self.reserved() == Some(word) && self.skip(word) {
            return Ok(());
        }
        let found = self.unexpected();
        Err(SyntaxError { what: format!("`{word}` is missing: {}", found.what), ..found })
    }

    /// Commands up to a reserved word, a `)` or `;;`.
    fn list(&mut self) -> Parse<List> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return self.fail(format!("more than {NESTING_MAX} levels of nesting"));
        }
        let mut list = List::new();
        loop {
            self.newlines()?;
            if self.aliased()? {
                self.newlines()?;
            }
            let ends = matches!(self.reserved(), Some("then" | "else" | "elif" | "fi" | "do" | "done" | "esac" | "}"));
            if ends || self.peek().is_none_or(|c| c == ')') || self.looking_at(";;") {
                break;
            }
            list.push(self.and_or_item()?);
            self.blanks();
            match self.peek() {
                Some('\n') | Some(')') | None => {}
                Some(';') if self.looking_at(";;") => {}
                _ if self.separated => {}
                // Behind `}` and its kin, what closes the list may stand without a separator.
                _ => break,
            }
        }
        self.depth -= 1;
        if list.is_empty() { Err(self.unexpected()) } else { Ok(list) }
    }

    /// An and-or list and its separator, unless that is a line end.
    fn and_or_item(&mut self) -> Parse<AndOr> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            self.blanks();
            let join = match () {
                () if self.skip("&&") => Join::And,
                () if self.skip("||") => Join::Or,
                () => break,
            };
            self.newlines()?;
            rest.push((join, self.pipeline()?));
        }
        let background = self.peek() == Some('&');
        self.separated = background || (self.peek() == Some(';') && !self.looking_at(";;"));
        if self.separated {
            self.at += 1;
        }
        Ok(AndOr { first, rest, background })
    }

    fn pipeline(&mut self) -> Parse<Pipeline> {
        self.aliased()?;
        self.blanks();
        let mut negated = false;
        while self.reserved() == Some("!") {
            self.skip("!");
            negated = !negated;
            self.blanks();
        }
        let mut commands = vec![self.command()?];
        loop {
            self.blanks();
            if self.looking_at("||") {
                break;
            }
            self.no_bash_operator()?;
            if !self.skip("|") {
                break;
            }
            self.newlines()?;
            commands.push(self.command()?);
        }
        Ok(Pipeline { negated, commands })
    }

    fn command(&mut self) -> Parse<Command> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return self.fail(format!("more than {NESTING_MAX} levels of nesting"));
        }
        self.aliased()?;
        self.blanks();
        let line = self.line;
        let kind = match self.reserved() {
            Some("if") => Some(self.conditional()?),
            Some(word @ ("while" | "until")) => {
                self.skip(word);
                let condition = self.list()?;
                Some(CommandKind::Loop { until: word == "until", condition, body: self.do_group()? })
            }
            Some("for") => Some(self.for_loop()?),
            Some("case") => Some(self.case()?),
            Some("{") => {
                self.skip("{");
                let list = self.list()?;
                self.expect("}")?;
                Some(CommandKind::Group(list))
            }
            Some(_) => return Err(self.unexpected()),
            None if self.bash_word() == Some("[[") => Some(CommandKind::Condition(self.double_brackets()?)),
            None if self.bash_word() == Some("function") => {
                let name = self.function_name()?;
                self.newlines()?;
                Some(CommandKind::Function { name, body: Rc::new(self.command()?) })
            }
            None if self.peek() == Some('(') => {
                self.no_bash_operator()?;
                self.at += 1;
                let list = self.list()?;
                self.close()?;
                Some(CommandKind::Subshell(list))
            }
            None => None,
        };
        let command = match kind {
            Some(kind) => {
                let mut redirects = Vec::new();
                while let Some(redirect) = self.redirect()? {
                    redirects.push(redirect);
                }
                Command { line, kind, redirects }
            }
            None => self.simple(line)?,
        };
        self.depth -= 1;
        Ok(command)
    }

    fn close(&mut self) -> Parse<()> {
        self.newlines()?;
        if self.skip(")") { Ok(()) } else { Err(self.unexpected()) }
    }

    fn conditional(&mut self) -> Parse<CommandKind> {
        let (mut arms, mut otherwise) = (Vec::new(), List::new());
        self.skip("if");
        loop {
            let condition = self.list()?;
            self.expect("then")?;
            arms.push((condition, self.list()?));
            self.newlines()?;
            match self.reserved() {
                Some("elif") => {
                    self.skip("elif");
                }
                Some("else") => {
                    self.skip("else");
                    otherwise = self.list()?;
                    break;
                }
                _ => break,
            }
        }
        self.expect("fi")?;
        Ok(CommandKind::If { arms, otherwise })
    }

    fn do_group(&mut self) -> Parse<List> {
        self.expect("do")?;
        let body = self.list()?;
        self.expect("done")?;
        Ok(body)
    }

    fn for_loop(&mut self) -> Parse<CommandKind> {
        self.skip("for");
        self.blanks();
        let name = self.name();
        if name.is_empty() {
            return self.fail("`for` without a variable");
        }
        self.newlines()?;
        let mut words = None;
        if self.reserved() == Some("in") {
            self.skip("in");
            let mut found = Vec::new();
            self.blanks();
            while let Some(word) = self.word()? {
                found.push(word);
                self.blanks();
            }
            words = Some(found);
        }
        self.blanks();
        if self.peek() == Some(';') {
            self.at += 1;
        }
        Ok(CommandKind::For { name, words, body: self.do_group()? })
    }

    fn case(&mut self) -> Parse<CommandKind> {
        self.skip("case");
        self.blanks();
        let Some(word) = self.word()? else { return Err(self.unexpected()) };
        self.expect("in")?;
        let mut arms = Vec::new();
        loop {
            self.newlines()?;
            if self.reserved() == Some("esac") {
                self.skip("esac");
                return Ok(CommandKind::Case { word, arms });
            }
            self.skip("(");
            let mut patterns = Vec::new();
            loop {
                self.blanks();
                let Some(pattern) = self.word()? else { return Err(self.unexpected()) };
                patterns.push(pattern);
                self.blanks();
                if !self.skip("|") {
                    break;
                }
            }
            if !self.skip(")") {
                return Err(self.unexpected());
            }
            self.newlines()?;
            let empty = self.looking_at(";;") || self.reserved() == Some("esac");
            let body = if empty { List::new() } else { self.list()? };
            arms.push((patterns, body));
            self.newlines()?;
            if !self.skip(";;") && self.reserved() != Some("esac") {
                return Err(self.unexpected());
            }
        }
    }

    fn simple(&mut self, line: u32) -> Parse<Command> {
        let (mut assignments, mut words, mut redirects) = (Vec::new(), Vec::new(), Vec::new());
        let mut before = self.at;
        loop {
            self.blanks();
            if words.is_empty() || self.is_led_on(before) {
                self.aliased()?;
            }
            if let Some(redirect) = self.redirect()? {
                redirects.push(redirect);
                before = self.at;
                continue;
            }
            if words.is_empty()
                && let Some(assignment) = self.assignment()?
            {
                assignments.push(assignment);
                continue;
            }
            let start = self.at;
            let Some(word) = self.word()? else { break };
            before = start;
            words.push(word);
            let only = words.len() == 1 && assignments.is_empty() && redirects.is_empty();
            if only && self.at_function() {
                return self.function(line, &words[0]);
            }
        }
        if assignments.is_empty() && words.is_empty() && redirects.is_empty() {
            return Err(self.unexpected());
        }
        Ok(Command { line, kind: CommandKind::Simple { assignments, words }, redirects })
    }

    fn at_function(&mut self) -> bool {
        self.blanks();
        let mut offset = 1;
        while matches!(self.peek_at(offset), Some(' ' | '\t')) {
            offset += 1;
        }
        self.peek() == Some('(') && self.peek_at(offset) == Some(')')
    }

    fn function(&mut self, line: u32, name: &Word) -> Parse<Command> {
        let name = name.plain().filter(|name| is_name(name) && !SPECIAL.contains(name)).map(str::to_owned);
        let Some(name) = name else { return self.fail("a function cannot have this name") };
        self.skip("(");
        self.blanks();
        self.skip(")");
        self.newlines()?;
        let body = Rc::new(self.command()?);
        Ok(Command { line, kind: CommandKind::Function { name, body }, redirects: Vec::new() })
    }

    /// Letters, digits and underscores, not beginning with a digit; may be empty.
    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek() {
            let fits = c.is_ascii_alphabetic() || c == '_' || (c.is_ascii_digit() && !name.is_empty());
            if !fits {
                break;
            }
            name.push(c);
            self.at += 1;
        }
        name
    }

    fn assignment(&mut self) -> Parse<Option<(String, Word)>> {
        let start = (self.at, self.line);
        let name = self.name();
        if name.is_empty() || self.peek() != Some('=') {
            (self.at, self.line) = start;
            return Ok(None);
        }
        self.at += 1;
        let value = self.word()?.unwrap_or_default();
        Ok(Some((name, value)))
    }

    fn redirect(&mut self) -> Parse<Option<Redirect>> {
        self.blanks();
        self.no_bash_operator()?;
        let start = (self.at, self.line);
        let mut digits = String::new();
        while let Some(c) = self.peek().filter(char::is_ascii_digit) {
            digits.push(c);
            self.at += 1;
        }
        let operator = ["<<-", "<<", "<&", "<>", "<", ">>", ">&", ">|", ">"].into_iter().find(|op| self.looking_at(op));
        // More than one digit is a word.
        let Some(operator) = operator.filter(|_| digits.len() <= 1) else {
            (self.at, self.line) = start;
            return Ok(None);
        };
        self.skip(operator);
        let default = u32::from(!operator.starts_with('<'));
        let fd = digits.parse().unwrap_or(default);
        self.blanks();
        if operator.starts_with("<<") {
            let (delimiter, verbatim) = self.delimiter()?;
            let text = Rc::new(RefCell::new(Word::default()));
            self.pending.push(Pending { delimiter, verbatim, tabs: operator == "<<-", text: Rc::clone(&text) });
            return Ok(Some(Redirect { fd, kind: RedirectKind::Here(text) }));
        }
        let Some(target) = self.word()? else { return self.fail(format!("`{operator}` without a target")) };
        let kind = match operator {
            "<" => RedirectKind::Read(target),
            ">" => RedirectKind::Write(target),
            ">|" => RedirectKind::Clobber(target),
            ">>" => RedirectKind::Append(target),
            "<>" => RedirectKind::ReadWrite(target),
            _ => RedirectKind::Duplicate(target),
        };
        Ok(Some(Redirect { fd, kind }))
    }
}
