//! expr(1), seq(1), test(1), true(1), false(1).

mod expr;
mod sequence;
mod condition;

use super::{Command, Process, Refusal};

pub(super) const COMMANDS: &[Command] = &[
    Command::always("expr", expr::expr),
    Command::always("seq", sequence::seq),
    Command::always("test", condition::test),
    Command::always("[", condition::bracket),
    Command::always("true", |_, _| Ok(0)),
    Command::always("false", |_, _| Ok(1)),
];

/// An integer in decimal digits with a sign.
fn decimal(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    (!digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// Complains in the words of `expr` and `test`, with status 2.
fn syntax_error(process: &mut Process<'_, '_>, what: &str) -> Result<u8, Refusal> {
    process.complain(what);
    Ok(2)
}
