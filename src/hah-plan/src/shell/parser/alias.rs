//! Aliases: text that takes the place of a command's first word before anything is made of it (POSIX.1-2017, 2.3.1).

use super::{Parse, Parser, RESERVED, SyntaxError};

/// Most characters that aliases may put into one script: those of one another can double with each step.
const GROWTH_MAX: usize = 1 << 16;

/// A place where an alias' text stands.
pub(super) struct Spliced {
    name: String,
    /// Where the text behind it begins.
    end: usize,
    /// Whether it ends with a blank, so that the next word may be an alias too.
    leads_on: bool,
}

impl Parser {
    /// Puts the text of the alias that stands here in its place, and that of the alias with which it begins.
    /// Tells whether there was one.
    pub(super) fn aliased(&mut self) -> Parse<bool> {
        let mut found = false;
        while !self.aliases.is_empty() {
            self.blanks();
            let end = self.bare_word_end();
            let name: String = self.text[self.at..end].iter().collect();
            // A word of the grammar is one, whatever an alias says; and an alias in its own text is a word like any other.
            let is_open = self.spliced.iter().any(|spliced| spliced.name == name && self.at < spliced.end);
            let Some(text) = self.aliases.get(&name).filter(|_| !is_open && !RESERVED.contains(&name.as_str())) else {
                break;
            };
            let text: Vec<char> = text.chars().collect();
            self.grown += text.len();
            if self.grown > GROWTH_MAX {
                let what = format!("aliases that become more than {GROWTH_MAX} characters");
                return Err(SyntaxError { line: self.line, what });
            }
            let (start, length) = (self.at, text.len());
            let leads_on = text.last().is_some_and(|c| matches!(c, ' ' | '\t'));
            self.text.splice(start..end, text);
            for spliced in self.spliced.iter_mut().filter(|spliced| spliced.end >= end) {
                spliced.end = spliced.end + length - (end - start);
            }
            self.spliced.push(Spliced { name, end: start + length, leads_on });
            found = true;
        }
        Ok(found)
    }

    /// Whether the blanks before this place are the end of an alias that leads on; the word before them ends at `before`.
    pub(super) fn is_led_on(&self, before: usize) -> bool {
        self.spliced.iter().any(|spliced| spliced.leads_on && (before + 1..=self.at).contains(&spliced.end))
    }

    /// Where the word here ends, or here when any of it is quoted or expanded.
    fn bare_word_end(&self) -> usize {
        let rest = &self.text[self.at..];
        let length = rest.iter().take_while(|c| !" \t\r\n;&|<>()'\"\\$`".contains(**c)).count();
        match rest.get(length) {
            Some('\'' | '"' | '\\' | '$' | '`') => self.at,
            _ => self.at + length,
        }
    }
}
