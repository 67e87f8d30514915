//! Reading a maintainer script: the part of the POSIX shell grammar (XCU 2.10) that Debian's scripts use.
//!
//! Lists, `&&`/`||`, pipelines, `if`, `case`, functions, groups, redirections, here-documents and quoting are parsed.
//! Loops and subshells are recognised so that the end of an `if` is found, and are kept as [`Command::Opaque`].
//! Anything else is an error with its line, and then the script needs a reviewed entry: a guess is never made.
//! Nothing is executed here; [`super::fresh`] decides what a script would do.

mod lexer;

use std::rc::Rc;

use lexer::{Lexer, Token};

/// Longest script that is read, in bytes. The longest of Debian trixie is 90 kB.
pub(super) const SCRIPT_MAX: usize = 256 << 10;
/// Deepest nesting of `if`, `case`, groups and functions.
const DEPTH_MAX: usize = 40;

/// Why a script could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShellError {
    /// Line of the text that was parsed, from 1.
    pub(super) line: usize,
    /// What stands there.
    pub(super) what: String,
}

/// Commands one after the other.
pub(super) type List = Vec<AndOr>;

/// Pipelines joined by `&&` and `||`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AndOr {
    pub(super) first: Pipeline,
    pub(super) rest: Vec<(Join, Pipeline)>,
}

/// `&&` or `||`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    And,
    Or,
}

/// Commands joined by `|`, perhaps after `!`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pipeline {
    pub(super) negated: bool,
    pub(super) commands: Vec<Command>,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Simple(Simple),
    If {
        arms: Vec<(List, List)>,
        otherwise: List,
    },
    Case {
        line: usize,
        word: Word,
        arms: Vec<(Vec<Word>, List)>,
    },
    Function {
        name: String,
        body: Rc<List>,
    },
    Group(List),
    /// A loop or a subshell: found, but not understood.
    Opaque {
        line: usize,
        what: &'static str,
    },
}

/// `A=b name args >file`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Simple {
    pub(super) line: usize,
    pub(super) assignments: Vec<(String, Word)>,
    pub(super) words: Vec<Word>,
    /// Targets of `>` and its kin, `<` and here-documents left out: they make no file.
    pub(super) writes: Vec<Word>,
}

/// A word: its parts in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word(pub(super) Vec<Part>);

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Text that stands for itself.
    Text(String),
    /// `$name`, `${name}` or `${name:-text}` with a literal text. Unquoted ones would be split into fields.
    Parameter { name: String, default: Option<String>, quoted: bool },
    /// `${name:+…}`: nothing when the parameter is empty or unset.
    Alternate { name: String },
    /// `$(…)` or backquotes, unparsed.
    Substitution(String),
}

impl Word {
    /// The text of a word without expansions.
    pub(super) fn literal(&self) -> Option<String> {
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }
}

/// Parses a whole script.
pub(super) fn parse(script: &str) -> Result<List, ShellError> {
    if script.len() > SCRIPT_MAX {
        return Err(ShellError { line: 1, what: format!("the script is longer than {SCRIPT_MAX} bytes") });
    }
    let tokens = Lexer::new(script).run()?;
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let list = parser.list(&[])?;
    match parser.peek() {
        None => Ok(list),
        Some(token) => Err(parser.unexpected(token)),
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |(line, _)| *line)
    }

    fn unexpected(&self, token: &Token) -> ShellError {
        let what = match token {
            Token::Word(word, _) => format!("`{}`", word.literal().unwrap_or_else(|| "a word".to_owned())),
            Token::Operator(operator) => format!("`{operator}`"),
            Token::Newline => "the end of the line".to_owned(),
        };
        ShellError { line: self.line(), what: format!("{what} where the grammar that we read has no place for it") }
    }

    fn reserved(&self) -> Option<&str> {
        match self.peek()? {
            Token::Word(Word(parts), true) => match parts.as_slice() {
                [Part::Text(text)] => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    fn is_operator(&self, operator: &str) -> bool {
        matches!(self.peek(), Some(Token::Operator(found)) if *found == operator)
    }

    fn skip_newlines(&mut self) {
        while matches!(self.peek(), Some(Token::Newline)) {
            self.at += 1;
        }
    }

    fn expect(&mut self, word: &str) -> Result<(), ShellError> {
        if self.reserved() == Some(word) {
            self.at += 1;
            return Ok(());
        }
        Err(ShellError { line: self.line(), what: format!("no `{word}` where one must stand") })
    }

    /// Commands until one of the reserved words `ends`, an operator that closes, or the end.
    fn list(&mut self, ends: &[&str]) -> Result<List, ShellError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(ShellError { line: self.line(), what: format!("more than {DEPTH_MAX} levels of nesting") });
        }
        let mut list = List::new();
        loop {
            self.skip_newlines();
            if self.peek().is_none()
                || self.is_operator(";;")
                || self.is_operator(")")
                || self.reserved().is_some_and(|word| ends.contains(&word))
            {
                break;
            }
            list.push(self.and_or()?);
            if self.is_operator(";") {
                self.at += 1;
            }
        }
        self.depth -= 1;
        Ok(list)
    }

    fn and_or(&mut self) -> Result<AndOr, ShellError> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            let join = match self.peek() {
                Some(Token::Operator("&&")) => Join::And,
                Some(Token::Operator("||")) => Join::Or,
                _ => return Ok(AndOr { first, rest }),
            };
            self.at += 1;
            self.skip_newlines();
            rest.push((join, self.pipeline()?));
        }
    }

    fn pipeline(&mut self) -> Result<Pipeline, ShellError> {
        let mut negated = false;
        while self.reserved() == Some("!") {
            negated = !negated;
            self.at += 1;
        }
        let mut commands = vec![self.command()?];
        while self.is_operator("|") {
            self.at += 1;
            self.skip_newlines();
            commands.push(self.command()?);
        }
        Ok(Pipeline { negated, commands })
    }

    fn command(&mut self) -> Result<Command, ShellError> {
        let line = self.line();
        let command = match self.reserved() {
            Some("if") => self.if_command()?,
            Some("case") => self.case_command(line)?,
            Some("{") => {
                self.at += 1;
                let body = self.list(&["}"])?;
                self.expect("}")?;
                Command::Group(body)
            }
            Some("for" | "while" | "until") => {
                while self.reserved() != Some("do") {
                    if self.peek().is_none() {
                        return Err(ShellError { line, what: "a loop without `do`".to_owned() });
                    }
                    self.at += 1;
                }
                self.at += 1;
                self.list(&["done"])?;
                self.expect("done")?;
                Command::Opaque { line, what: "a loop" }
            }
            _ if self.is_operator("(") => {
                self.at += 1;
                self.list(&[])?;
                if !self.is_operator(")") {
                    return Err(ShellError { line, what: "a subshell without its end".to_owned() });
                }
                self.at += 1;
                Command::Opaque { line, what: "a subshell" }
            }
            _ => return self.simple(line),
        };
        // Redirections of compound commands.
        let mut ignored = Simple::default();
        while self.redirection(&mut ignored)? {}
        match ignored.writes.is_empty() {
            true => Ok(command),
            false => Ok(Command::Opaque { line, what: "a redirected block" }),
        }
    }

    fn if_command(&mut self) -> Result<Command, ShellError> {
        let (mut arms, mut otherwise) = (Vec::new(), List::new());
        loop {
            self.at += 1;
            let condition = self.list(&["then"])?;
            self.expect("then")?;
            arms.push((condition, self.list(&["elif", "else", "fi"])?));
            match self.reserved() {
                Some("elif") => {}
                Some("else") => {
                    self.at += 1;
                    otherwise = self.list(&["fi"])?;
                    self.expect("fi")?;
                    return Ok(Command::If { arms, otherwise });
                }
                _ => {
                    self.expect("fi")?;
                    return Ok(Command::If { arms, otherwise });
                }
            }
        }
    }

    fn case_command(&mut self, line: usize) -> Result<Command, ShellError> {
        self.at += 1;
        let Some(Token::Word(word, _)) = self.peek().cloned() else {
            return Err(ShellError { line, what: "`case` without a word".to_owned() });
        };
        self.at += 1;
        self.skip_newlines();
        self.expect("in")?;
        let mut arms = Vec::new();
        loop {
            self.skip_newlines();
            if self.reserved() == Some("esac") {
                self.at += 1;
                return Ok(Command::Case { line, word, arms });
            }
            if self.is_operator("(") {
                self.at += 1;
            }
            let mut patterns = Vec::new();
            loop {
                match self.peek().cloned() {
                    Some(Token::Word(pattern, _)) => patterns.push(pattern),
                    Some(Token::Operator("|")) => {}
                    Some(Token::Operator(")")) => break,
                    Some(token) => return Err(self.unexpected(&token)),
                    None => return Err(ShellError { line, what: "`case` without `esac`".to_owned() }),
                }
                self.at += 1;
            }
            self.at += 1;
            arms.push((patterns, self.list(&["esac"])?));
            if self.is_operator(";;") {
                self.at += 1;
            }
        }
    }

    fn simple(&mut self, line: usize) -> Result<Command, ShellError> {
        let mut simple = Simple { line, ..Simple::default() };
        loop {
            if self.redirection(&mut simple)? {
                continue;
            }
            let Some(Token::Word(word, bare)) = self.peek().cloned() else { break };
            // `2>file`: the number belongs to the redirection.
            if bare
                && matches!(self.tokens.get(self.at + 1), Some((_, Token::Operator(op))) if op.contains(['<', '>']))
                && word.literal().is_some_and(|text| text.len() == 1 && text.as_bytes()[0].is_ascii_digit())
            {
                self.at += 1;
                continue;
            }
            self.at += 1;
            if simple.words.is_empty() {
                if let Some(assignment) = assignment(&word) {
                    simple.assignments.push(assignment);
                    continue;
                }
                if bare && self.is_operator("(") {
                    return self.function(word);
                }
            }
            simple.words.push(word);
        }
        match (simple.words.is_empty() && simple.assignments.is_empty() && simple.writes.is_empty(), self.peek()) {
            (true, Some(token)) => Err(self.unexpected(token)),
            _ => Ok(Command::Simple(simple)),
        }
    }

    fn function(&mut self, name: Word) -> Result<Command, ShellError> {
        self.at += 1;
        let line = self.line();
        if !self.is_operator(")") {
            return Err(ShellError { line, what: "a function's name without `()`".to_owned() });
        }
        self.at += 1;
        self.skip_newlines();
        self.expect("{")?;
        let body = self.list(&["}"])?;
        self.expect("}")?;
        Ok(Command::Function { name: name.literal().unwrap_or_default(), body: Rc::new(body) })
    }

    fn redirection(&mut self, simple: &mut Simple) -> Result<bool, ShellError> {
        let Some(Token::Operator(operator)) = self.peek() else { return Ok(false) };
        let operator = *operator;
        if !operator.contains(['<', '>']) {
            return Ok(false);
        }
        self.at += 1;
        let Some(Token::Word(target, _)) = self.peek().cloned() else {
            return Err(ShellError { line: self.line(), what: format!("`{operator}` without a target") });
        };
        self.at += 1;
        if matches!(operator, ">" | ">>" | ">|" | "&>" | "<>") && target.literal().as_deref() != Some("/dev/null") {
            simple.writes.push(target);
        }
        Ok(true)
    }
}

/// `NAME=word`.
fn assignment(word: &Word) -> Option<(String, Word)> {
    let Some(Part::Text(first)) = word.0.first() else { return None };
    let (name, value) = first.split_once('=')?;
    let start = name.bytes().next()?;
    if !(start.is_ascii_alphabetic() || start == b'_')
        || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return None;
    }
    let mut parts = Vec::new();
    if !value.is_empty() {
        parts.push(Part::Text(value.to_owned()));
    }
    parts.extend(word.0[1..].iter().cloned());
    Some((name.to_owned(), Word(parts)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> Vec<String> {
        let Command::Simple(simple) = command else { panic!("{command:?}") };
        simple.words.iter().map(|word| word.literal().unwrap_or_else(|| "?".to_owned())).collect()
    }

    #[test]
    fn words_are_split_and_unquoted() {
        let list = parse("a 'b c' \"d \\\" e\" f\\ g \\\n h # no\n").unwrap();
        assert_eq!(words(&list[0].first.commands[0]), ["a", "b c", "d \" e", "f g", "h"]);
    }

    #[test]
    fn here_documents_are_skipped() {
        let list = parse("cat <<EOF >/dev/null\nif x\nEOF\ntrue\n").unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(words(&list[1].first.commands[0]), ["true"]);
    }

    #[test]
    fn compound_commands_nest() {
        let list =
            parse("case \"$1\" in\n a|b) if x; then y; elif z; then :; else w; fi;;\n *) f() { v; }\nesac\n").unwrap();
        let Command::Case { arms, .. } = &list[0].first.commands[0] else { panic!() };
        assert_eq!((arms.len(), arms[0].0.len()), (2, 2));
        let Command::If { arms, otherwise } = &arms[0].1[0].first.commands[0] else { panic!() };
        assert_eq!((arms.len(), otherwise.len()), (2, 1));
    }

    #[test]
    fn quotations_inside_expansions_hide_nothing() {
        let list = parse("a \"$(b \")\" c)\" d\ne\n").unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(words(&list[0].first.commands[0]), ["a", "?", "d"]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[ -~\n\t$`'\"(){}<;&|\\\\]{0,200}") {
            let _ = parse(&text);
        }
    }

    #[test]
    fn what_is_not_understood_has_a_line() {
        for (script, line) in [
            ("a\nif x; then", 2),
            ("a\nb 'c", 2),
            ("fi )\n", 1),
            ("x=${a##b}\n", 1),
            ("cat <<E\nx\n", 3),
            (": <<E\n$(x)\nE\n", 3),
            ("x=\"$(a \"$(b)\")\"\n", 1),
            ("a\n\n}}\n;;", 4),
        ] {
            assert_eq!(parse(script).map_err(|error| error.line), Err(line), "{script}");
        }
        assert!(parse(&"if x; then ".repeat(100)).is_err());
        assert!(parse(&"a".repeat(SCRIPT_MAX + 1)).is_err());
    }
}
