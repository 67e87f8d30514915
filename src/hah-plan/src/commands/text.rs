//! Text, line by line: cat(1), tac(1), nl(1), head(1), tail(1), wc(1), tee(1), tr(1), cut(1), paste(1), fold(1),
//! expand(1), unexpand(1), echo(1), yes(1), rev(1), split off nothing.

mod whole;
mod ends;
mod tr;
mod columns;
mod width;

use super::Command;

pub(super) const COMMANDS: &[Command] = &[
    Command::always("cat", whole::cat),
    Command::always("tac", whole::tac),
    Command::always("rev", whole::rev),
    Command::always("nl", whole::nl),
    Command::always("wc", whole::wc),
    Command::always("tee", whole::tee),
    Command::always("echo", whole::echo),
    Command::always("yes", whole::yes),
    Command::always("head", ends::head),
    Command::always("tail", ends::tail),
    Command::always("tr", tr::tr),
    Command::always("cut", columns::cut),
    Command::always("paste", columns::paste),
    Command::always("fold", width::fold),
    Command::always("expand", width::expand),
    Command::always("unexpand", width::unexpand),
];
