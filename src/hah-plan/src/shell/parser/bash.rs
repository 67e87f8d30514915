//! What bash's grammar has besides POSIX's: `[[ … ]]` and `function`. What is left is an error and never read as dash would
//! read it: `a &>b` is two commands to dash.

use super::{NESTING_MAX, Parse, Parser, is_name};
use crate::shell::syntax::{Condition, Word};

/// Operators of `[[` between two words that are also test's.
const BINARY: [&str; 9] = ["-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef"];
/// Letters of its operators on one word.
const UNARY: &str = "bcdefghkLnNoOpGrsStuvwxz";

impl Parser {
    /// Whether `[[` or `function` stands here, as a word.
    pub(super) fn bash_word(&self) -> Option<&'static str> {
        let words = ["[[", "function"].into_iter().filter(|_| self.bash);
        let mut here = words.filter(|word| self.looking_at(word));
        here.find(|word| self.peek_at(word.len()).is_some_and(|c| matches!(c, ' ' | '\t' | '\n')))
    }

    /// Fails where an operator begins that only bash has.
    pub(super) fn no_bash_operator(&self) -> Parse<()> {
        const OPERATORS: [&str; 8] = ["((", "&>", "<<<", "<(", ">(", "|&", ";;&", ";&"];
        let known = OPERATORS.into_iter().filter(|_| self.bash);
        match known.into_iter().find(|operator| self.looking_at(operator)) {
            Some(operator) => self.fail(format!("`{operator}`, which is not POSIX's")),
            None => Ok(()),
        }
    }

    /// Fails at the brace of `a{b,c}` and `{1..3}`.
    pub(super) fn no_brace_expansion(&self) -> Parse<()> {
        let mut inside = String::new();
        for offset in 1.. {
            match self.peek_at(offset).filter(|_| self.bash) {
                None | Some(' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')') => return Ok(()),
                Some('}') if inside.contains(',') || inside.contains("..") => {
                    return self.fail(format!("`{{{inside}}}`, which is not POSIX's"));
                }
                Some('}') => return Ok(()),
                Some(next) => inside.push(next),
            }
        }
        Ok(())
    }

    /// The name behind `function`, and the parentheses that may follow it.
    pub(super) fn function_name(&mut self) -> Parse<String> {
        self.skip("function");
        self.blanks();
        let name = self.name();
        self.blanks();
        if !is_name(&name) {
            return self.fail("a function cannot have this name");
        }
        if self.skip("(") {
            self.blanks();
            self.close()?;
        }
        Ok(name)
    }

    /// `[[ … ]]`, from its brackets.
    pub(super) fn double_brackets(&mut self) -> Parse<Condition> {
        self.skip("[[");
        let condition = self.either()?;
        self.newlines()?;
        if !self.skip("]]") {
            return Err(self.unexpected());
        }
        Ok(condition)
    }

    fn either(&mut self) -> Parse<Condition> {
        let mut condition = self.both()?;
        while self.is_next("||")? {
            condition = Condition::Or(Box::new(condition), Box::new(self.both()?));
        }
        Ok(condition)
    }

    fn both(&mut self) -> Parse<Condition> {
        let mut condition = self.one()?;
        while self.is_next("&&")? {
            condition = Condition::And(Box::new(condition), Box::new(self.one()?));
        }
        Ok(condition)
    }

    fn is_next(&mut self, operator: &str) -> Parse<bool> {
        self.newlines()?;
        Ok(self.skip(operator))
    }

    fn one(&mut self) -> Parse<Condition> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return self.fail(format!("more than {NESTING_MAX} levels of nesting"));
        }
        let condition = self.term();
        self.depth -= 1;
        condition
    }

    fn term(&mut self) -> Parse<Condition> {
        self.newlines()?;
        if self.skip("(") {
            let condition = self.either()?;
            self.close()?;
            return Ok(condition);
        }
        let first = self.operand()?;
        match first.plain() {
            Some("!") => return Ok(Condition::Not(Box::new(self.one()?))),
            Some(operator)
                if operator.strip_prefix('-').is_some_and(|letter| letter.len() == 1 && UNARY.contains(letter)) =>
            {
                let operand = self.operand()?;
                return Ok(Condition::Test(vec![first, operand]));
            }
            _ => {}
        }
        self.blanks();
        let ends = ["]]", "&&", "||", ")", "\n"].iter().any(|end| self.looking_at(end));
        if ends {
            return Ok(Condition::NotEmpty(first));
        }
        let operator = self.operand()?;
        match operator.plain() {
            Some("=" | "==") => Ok(Condition::Matches(first, self.operand()?)),
            Some("!=") => Ok(Condition::Not(Box::new(Condition::Matches(first, self.operand()?)))),
            Some(known) if BINARY.contains(&known) => {
                let second = self.operand()?;
                Ok(Condition::Test(vec![first, operator, second]))
            }
            _ => self.fail("an operator of `[[` that is not known"),
        }
    }

    fn operand(&mut self) -> Parse<Word> {
        self.blanks();
        if self.looking_at("]]") {
            return Err(self.unexpected());
        }
        match self.word()? {
            Some(word) => Ok(word),
            None => Err(self.unexpected()),
        }
    }
}
