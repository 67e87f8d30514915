//! What scripts of bash have besides: `[[ … ]]`, its `echo`, words and variables that are known to be bash's and are refused.

use super::pattern;
use super::syntax::Condition;
use super::{Halt, Shell, arithmetic, test};

/// Commands of bash that dash does not have and this does not know. To dash they are programs that are not there.
const COMMANDS: [&str; 22] = [
    "((",
    "bind",
    "caller",
    "compgen",
    "complete",
    "compopt",
    "coproc",
    "declare",
    "dirs",
    "disown",
    "enable",
    "let",
    "logout",
    "mapfile",
    "popd",
    "pushd",
    "readarray",
    "select",
    "shopt",
    "suspend",
    "time",
    "typeset",
];
/// Variables that bash sets.
const VARIABLES: [&str; 20] = [
    "BASH",
    "BASHPID",
    "BASH_ARGC",
    "BASH_ARGV",
    "BASH_COMMAND",
    "BASH_LINENO",
    "BASH_SOURCE",
    "BASH_SUBSHELL",
    "BASH_VERSINFO",
    "BASH_VERSION",
    "EPOCHSECONDS",
    "FUNCNAME",
    "GROUPS",
    "HOSTNAME",
    "HOSTTYPE",
    "MACHTYPE",
    "OSTYPE",
    "PIPESTATUS",
    "RANDOM",
    "SECONDS",
];

/// Whether a command that is not there is a word of bash, or makes an array.
pub(super) fn is_a_word(name: &str) -> bool {
    let makes_element = name.split_once('[').is_some_and(|(before, after)| {
        super::builtins::is_name(before) && (after.contains("]=") || after.contains("]+="))
    });
    let appends = name.split_once("+=").is_some_and(|(before, _)| super::builtins::is_name(before));
    COMMANDS.contains(&name) || makes_element || appends
}

/// Whether an unset variable is one that bash sets.
pub(super) fn is_a_variable(name: &str) -> bool {
    VARIABLES.contains(&name)
}

impl Shell<'_, '_> {
    /// Whether `[[ … ]]` is true.
    pub(super) fn holds(&mut self, condition: &Condition) -> Result<bool, Halt> {
        Ok(match condition {
            Condition::Not(inner) => !self.holds(inner)?,
            Condition::And(left, right) => self.holds(left)? && self.holds(right)?,
            Condition::Or(left, right) => self.holds(left)? || self.holds(right)?,
            Condition::NotEmpty(word) => !self.expand_value(word)?.is_empty(),
            Condition::Matches(word, wanted) => {
                let value = self.expand_value(word)?;
                let wanted = self.expand_marked(wanted)?;
                pattern::matches(&wanted, &value)
            }
            Condition::Test(words) => {
                let mut words = words.iter().map(|word| self.expand_value(word)).collect::<Result<Vec<_>, _>>()?;
                if let [left, operator, right] = &mut words[..]
                    && !matches!(operator.as_str(), "-nt" | "-ot" | "-ef")
                {
                    // Both sides are arithmetic here.
                    for side in [left, right] {
                        *side = arithmetic::evaluate(self, side)?.to_string();
                    }
                }
                test::run(self, &words)?;
                self.status == 0
            }
        })
    }
}

/// The options of bash's `echo`: whether a line ends, whether escapes are replaced, and what is printed.
pub(super) fn echo_options(args: &[String]) -> (bool, bool, &[String]) {
    let (mut newline, mut escapes, mut rest) = (true, false, args);
    while let Some((option, others)) = rest.split_first() {
        let letters = option.strip_prefix('-').unwrap_or_default();
        if letters.is_empty() || letters.chars().any(|letter| !matches!(letter, 'n' | 'e' | 'E')) {
            break;
        }
        for letter in letters.chars() {
            match letter {
                'n' => newline = false,
                letter => escapes = letter == 'e',
            }
        }
        rest = others;
    }
    (newline, escapes, rest)
}
