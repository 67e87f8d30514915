//! [`Pattern`]: POSIX regular expressions with GNU's additions, as regex(7), grep(1) and sed(1) describe them.
//!
//! ```text
//! text ──syntax──▶ Syntax tree ──automaton──▶ regex-automata   (linear time; everything but back-references)
//!                             └─backtrack──▶ a machine of ours (patterns with back-references; bounded in steps)
//! ```
//!
//! POSIX wants the longest of the leftmost matches where other regex languages take the first branch that fits.
//! `meta` finds where a match begins, which is the same for both; from there a Pike machine that keeps going
//! (`MatchKind::All`) finds the longest end. What its groups hold is then decided by the order of branches, which is POSIX's
//! answer too wherever only one choice of branches gives the longest match. Where the order matters, the machine of the
//! same pattern with branches in reverse says something else, and the script is refused rather than guessed at.

mod class;
mod syntax;
mod automaton;
mod backtrack;

use super::Refusal;

/// Which of the languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `grep`, `sed`, `expr`.
    Basic,
    /// `sed -E`, `find -regextype posix-extended`.
    Extended,
    /// `grep -E`: extended, and a brace or a closing parenthesis that means nothing is itself.
    Egrep,
    /// awk(1): extended, and a backslash quotes in brackets as well; no back-references.
    Awk,
}

/// How a pattern is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// The language.
    pub(super) dialect: Dialect,
    /// Characters are UTF-8, as in `C.UTF-8`; else bytes, as in `C`.
    pub(super) utf8: bool,
    /// Upper and lower case are the same.
    pub(super) fold: bool,
    /// `^` and `$` match at line ends inside of the text too: sed's `M`.
    pub(super) lines: bool,
}

impl Reading {
    /// Case matters, and the text is one line.
    pub(super) fn plain(dialect: Dialect, utf8: bool) -> Self {
        Self { dialect, utf8, fold: false, lines: false }
    }
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatternError {
    /// The program says so too, in these words of regerror(3).
    #[error("{0}")]
    Invalid(&'static str),
    /// Only we say so.
    #[error("{0}")]
    Refused(String),
}

impl From<PatternError> for Refusal {
    fn from(error: PatternError) -> Self {
        Self::new(format!("the regular expression: {error}"))
    }
}

/// Byte offsets of a match or of a group: start and end.
pub(super) type Range = std::ops::Range<usize>;

/// A compiled regular expression.
#[derive(Debug)]
pub(super) struct Pattern {
    machine: Machine,
    groups: usize,
}

#[derive(Debug)]
enum Machine {
    Automaton(Box<automaton::Automaton>),
    Backtrack(backtrack::Program),
}

impl Pattern {
    /// Compiles `text`.
    pub(super) fn new(text: &[u8], reading: Reading) -> Result<Self, PatternError> {
        let tree = syntax::parse(text, reading)?;
        let machine = match tree.has_back_reference {
            false => Machine::Automaton(Box::new(automaton::Automaton::new(&tree, reading)?)),
            true => Machine::Backtrack(backtrack::Program::new(&tree, reading)?),
        };
        Ok(Self { machine, groups: tree.groups })
    }

    /// How many groups there are, the whole match not among them.
    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    /// Whether it matches anywhere in `text`.
    pub(super) fn is_match(&self, text: &[u8]) -> Result<bool, Refusal> {
        match &self.machine {
            Machine::Automaton(automaton) => Ok(automaton.is_match(text)),
            Machine::Backtrack(program) => Ok(program.find(text, 0)?.is_some()),
        }
    }

    /// The leftmost longest match that begins at `from` or later.
    pub(super) fn find_at(&self, text: &[u8], from: usize) -> Result<Option<Range>, Refusal> {
        match &self.machine {
            Machine::Automaton(automaton) => Ok(automaton.find(text, from)),
            Machine::Backtrack(program) => Ok(program.find(text, from)?.and_then(|mut groups| groups.swap_remove(0))),
        }
    }

    /// As [`Pattern::find_at`], with what each group holds; the whole match is the first.
    pub(super) fn groups_at(&self, text: &[u8], from: usize) -> Result<Option<Vec<Option<Range>>>, Refusal> {
        match &self.machine {
            Machine::Automaton(automaton) => automaton.groups(text, from),
            Machine::Backtrack(program) => program.find(text, from),
        }
    }

    /// Whether it matches all of `text`.
    pub(super) fn is_full_match(&self, text: &[u8]) -> Result<bool, Refusal> {
        // The longest match from the first byte is the whole text, if anything is.
        Ok(self.find_at(text, 0)?.is_some_and(|found| found == (0..text.len())))
    }
}
