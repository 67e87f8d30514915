//! `test` and `[`: POSIX's by the number of arguments, and dash's `-nt -ot -ef`, `-a`, `-o` and parentheses.

use super::{Eval, Halt, Shell};
use crate::world::Follow;

pub(super) fn run_bracket(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    match args.split_last() {
        Some((last, rest)) if last == "]" => run(shell, rest),
        _ => {
            shell.complain("[: missing ]");
            shell.status = 2;
            Ok(())
        }
    }
}

pub(super) fn run(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut reader = Reader { shell, words: &words, at: 0, depth: 0 };
    let result = reader.whole();
    match result {
        Ok(holds) => shell.status = u32::from(!holds),
        Err(Wrong::Said(what)) => {
            shell.complain(&format!("test: {what}"));
            shell.status = 2;
        }
        Err(Wrong::Halt(halt)) => return Err(halt),
    }
    Ok(())
}

enum Wrong {
    Said(String),
    Halt(Halt),
}

type Answer = Result<bool, Wrong>;

/// Deepest nesting of parentheses and negations.
const DEPTH_MAX: u32 = 60;

/// Operators between two words, but for `-a` and `-o`, which join whole tests.
const BINARY: [&str; 13] = ["=", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef"];

struct Reader<'r, 's, 'w> {
    shell: &'r mut Shell<'s, 'w>,
    words: &'r [&'r str],
    at: usize,
    depth: u32,
}

impl Reader<'_, '_, '_> {
    fn whole(&mut self) -> Answer {
        // POSIX: few arguments mean what their number says, whatever they look like.
        match *self.words {
            [] => return Ok(false),
            [one] => return Ok(!one.is_empty()),
            ["!", one] => return Ok(one.is_empty()),
            [left, operator, right] if self.is_binary(operator) => return self.binary(left, operator, right),
            ["(", one, ")"] => return Ok(!one.is_empty()),
            ["!", left, operator, right] if self.is_binary(operator) => {
                return self.binary(left, operator, right).map(|holds| !holds);
            }
            _ => {}
        }
        let holds = self.or()?;
        match self.words.get(self.at) {
            None => Ok(holds),
            Some(word) => Err(Wrong::Said(format!("{word}: unexpected operator"))),
        }
    }

    /// Whether it is an operator between two words. `==` is bash's.
    fn is_binary(&self, operator: &str) -> bool {
        BINARY.contains(&operator) || (operator == "==" && self.shell.bash)
    }

    fn peek(&self, offset: usize) -> Option<&str> {
        self.words.get(self.at + offset).copied()
    }

    fn or(&mut self) -> Answer {
        let mut holds = self.and()?;
        while self.peek(0) == Some("-o") {
            self.at += 1;
            holds |= self.and()?;
        }
        Ok(holds)
    }

    fn and(&mut self) -> Answer {
        let mut holds = self.not()?;
        while self.peek(0) == Some("-a") {
            self.at += 1;
            holds &= self.not()?;
        }
        Ok(holds)
    }

    fn not(&mut self) -> Answer {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Wrong::Said("too many levels of nesting".to_owned()));
        }
        let holds = match self.peek(0) {
            Some("!") if self.peek(1).is_some() => {
                self.at += 1;
                !self.not()?
            }
            _ => self.primary()?,
        };
        self.depth -= 1;
        Ok(holds)
    }

    fn primary(&mut self) -> Answer {
        let Some(word) = self.words.get(self.at).copied() else {
            return Err(Wrong::Said("argument expected".to_owned()));
        };
        if let (Some(operator), Some(right)) =
            (self.words.get(self.at + 1).copied(), self.words.get(self.at + 2).copied())
            && self.is_binary(operator)
        {
            self.at += 3;
            return self.binary(word, operator, right);
        }
        if word == "(" {
            self.at += 1;
            let holds = self.or()?;
            if self.peek(0) != Some(")") {
                return Err(Wrong::Said("closing paren expected".to_owned()));
            }
            self.at += 1;
            return Ok(holds);
        }
        self.at += 1;
        let unary = word.len() == 2 && word.starts_with('-') && "bcdefghknprstuwxzLOGS".contains(&word[1..]);
        match self.words.get(self.at).copied() {
            Some(operand) if unary => {
                self.at += 1;
                self.unary(word, operand)
            }
            _ if unary && self.at > 1 => Err(Wrong::Said(format!("{word}: argument expected"))),
            _ => Ok(!word.is_empty()),
        }
    }

    fn unary(&mut self, operator: &str, operand: &str) -> Answer {
        match operator {
            "-n" => return Ok(!operand.is_empty()),
            "-z" => return Ok(operand.is_empty()),
            "-t" => return Ok(false),
            _ => {}
        }
        let follow = if matches!(operator, "-h" | "-L") { Follow::No } else { Follow::Yes };
        let found = self.shell.world.stat(&self.shell.cwd, operand, follow);
        let Ok(stat) = self.shell.final_only(found).map_err(Wrong::Halt)? else { return Ok(false) };
        Ok(stat.answers(operator))
    }

    fn binary(&mut self, left: &str, operator: &str, right: &str) -> Answer {
        Ok(match operator {
            "=" | "==" => left == right,
            "!=" => left != right,
            "<" => left < right,
            ">" => left > right,
            "-nt" | "-ot" | "-ef" => {
                let stat = |path| self.shell.world.stat(&self.shell.cwd, path, Follow::Yes);
                match (operator, stat(left), stat(right)) {
                    ("-ef", Ok(left), Ok(right)) => {
                        self.shell.world.file_of(&left.path) == self.shell.world.file_of(&right.path)
                    }
                    ("-nt", Ok(left), Ok(right)) => left.meta.mtime > right.meta.mtime,
                    ("-ot", Ok(left), Ok(right)) => left.meta.mtime < right.meta.mtime,
                    _ => false,
                }
            }
            _ => {
                let number = |text: &str| {
                    let trimmed = text.trim();
                    let parsed = trimmed.strip_prefix('+').unwrap_or(trimmed).parse::<i64>();
                    parsed.map_err(|_| Wrong::Said(format!("Illegal number: {text}")))
                };
                let (left, right) = (number(left)?, number(right)?);
                match operator {
                    "-eq" => left == right,
                    "-ne" => left != right,
                    "-lt" => left < right,
                    "-le" => left <= right,
                    "-gt" => left > right,
                    _ => left >= right,
                }
            }
        })
    }
}
