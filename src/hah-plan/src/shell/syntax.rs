//! What a script says: the tree that the parser makes and the evaluator walks.
//!
//! ```text
//! List      = AndOr*                  a; b & c
//! AndOr     = Pipeline ((&& | ||) Pipeline)*
//! Pipeline  = !? Command (| Command)*
//! Command   = Simple | Compound redirections | function
//! Word      = Part*                   text, quotes, expansions
//! ```

use std::cell::RefCell;
use std::rc::Rc;

/// Commands in sequence.
pub(super) type List = Vec<AndOr>;

/// Pipelines joined by `&&` and `||`.
#[derive(Clone, Debug)]
pub(super) struct AndOr {
    pub(super) first: Pipeline,
    pub(super) rest: Vec<(Join, Pipeline)>,
    /// Ends with `&`.
    pub(super) background: bool,
}

/// What bash's `[[ … ]]` asks.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    /// A word alone.
    NotEmpty(Word),
    /// `==`: a word, and a pattern.
    Matches(Word, Word),
    /// The words of a test(1).
    Test(Vec<Word>),
}

/// What stands between two pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    And,
    Or,
}

/// Commands joined by `|`.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) negated: bool,
    pub(super) commands: Vec<Command>,
}

/// One command, and the line on which it begins, from 1.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) line: u32,
    pub(super) kind: CommandKind,
    pub(super) redirects: Vec<Redirect>,
}

#[derive(Clone, Debug)]
pub(super) enum CommandKind {
    /// `NAME=value … word …`
    Simple { assignments: Vec<(String, Word)>, words: Vec<Word> },
    /// `{ …; }`
    Group(List),
    /// `( … )`
    Subshell(List),
    /// bash's `[[ … ]]`.
    Condition(Condition),
    /// `if …; then …; elif …; else …; fi`
    If { arms: Vec<(List, List)>, otherwise: List },
    /// `while` and `until`.
    Loop { until: bool, condition: List, body: List },
    /// `for name in words`; without `in`, the positional parameters.
    For { name: String, words: Option<Vec<Word>>, body: List },
    /// `case word in pattern) …;; esac`
    Case { word: Word, arms: Vec<(Vec<Word>, List)> },
    /// `name() command`
    Function { name: String, body: Rc<Command> },
}

/// A redirection.
#[derive(Clone, Debug)]
pub(super) struct Redirect {
    /// The file descriptor on the left.
    pub(super) fd: u32,
    pub(super) kind: RedirectKind,
}

#[derive(Clone, Debug)]
pub(super) enum RedirectKind {
    /// `<`
    Read(Word),
    /// `>`, and with `set -C` only where nothing stands.
    Write(Word),
    /// `>|`
    Clobber(Word),
    /// `>>`
    Append(Word),
    /// `<>`
    ReadWrite(Word),
    /// `<&` and `>&`: another descriptor, or `-` to close.
    Duplicate(Word),
    /// `<<`: the text, filled in when the parser has reached it.
    Here(Rc<RefCell<Word>>),
}

/// A word before expansion.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Word(pub(super) Vec<Part>);

impl Word {
    /// The text of a word without quotes and expansions.
    pub(super) fn plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it begins with `NAME=`, without quotes.
    pub(super) fn is_assignment(&self) -> bool {
        let Some(Part::Literal(text)) = self.0.first() else { return false };
        let name = text.split_once('=').map_or("", |(name, _)| name);
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(fits)
    }
}

#[derive(Clone, Debug)]
pub(super) enum Part {
    /// Text without quotes, where `*`, `?`, `[` and a first `~` mean something.
    Literal(String),
    /// Text in single quotes, behind a backslash, or literal in double quotes.
    Quoted(String),
    /// `"…"`
    Double(Vec<Part>),
    /// `$name`, `${name…}`
    Parameter(Box<Parameter>),
    /// `$(…)` and backquotes.
    Command(Rc<List>),
    /// `$((…))`
    Arithmetic(Word),
}

impl PartialEq for Part {
    /// For texts only: expansions never equal.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(a), Self::Literal(b)) | (Self::Quoted(a), Self::Quoted(b)) => a == b,
            _ => false,
        }
    }
}

/// A parameter and what is made of its value.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) change: Change,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    /// `$name`
    None,
    /// `${#name}`
    Length,
    /// `${name-word}`, `=`, `?`, `+`; with a colon an empty value counts as unset.
    Instead { colon: bool, kind: Instead, word: Word },
    /// `${name#word}`, `##`, `%`, `%%`
    Trim { end: End, longest: bool, pattern: Word },
    /// Something else, which fails when it is reached; `rest` is what follows the name. bash has more of them than dash.
    Bad { text: String, rest: Word },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instead {
    Default,
    Assign,
    Error,
    Alternative,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Prefix,
    Suffix,
}
