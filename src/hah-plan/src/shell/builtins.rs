//! What is a part of the shell (POSIX.1-2017, 2.14 and the utilities that dash has built in; dash(1)).

mod printing;
mod variables;
mod control;
mod reading;

use super::{Eval, Shell, test};

pub(super) use super::parser::is_name;

/// A built-in: gets its arguments, sets the status.
pub(super) type Builtin = fn(&mut Shell<'_, '_>, &[String]) -> Eval;

/// The special built-in of this name: an error in one ends the shell, and what is assigned for it stays.
pub(super) fn special(shell: &Shell<'_, '_>, name: &str) -> Option<Builtin> {
    Some(match name {
        ":" => succeed,
        "." => control::dot,
        "source" if shell.bash => control::dot,
        "break" => control::leave_loops,
        "continue" => control::next_turn,
        "eval" => control::eval,
        "exec" => control::exec,
        "exit" => control::exit,
        "export" => variables::export,
        "readonly" => variables::readonly,
        "return" => control::leave_function,
        "set" => variables::set,
        "shift" => variables::shift,
        "times" => control::times,
        "trap" => control::trap,
        "unset" => variables::unset,
        _ => return None,
    })
}

/// Another built-in of this name.
pub(super) fn regular(shell: &Shell<'_, '_>, name: &str) -> Option<Builtin> {
    Some(match name {
        "true" => succeed,
        "false" => fail,
        "test" => test::run,
        "[" => test::run_bracket,
        "echo" => printing::echo,
        "printf" => printing::printf,
        "pwd" => control::pwd,
        "cd" | "chdir" => control::cd,
        "command" => control::command,
        "type" => control::type_of,
        "umask" => control::umask,
        "read" => reading::read,
        "getopts" => reading::getopts,
        "local" => variables::local,
        "declare" | "typeset" if shell.bash => variables::declare,
        "jobs" | "ulimit" => succeed,
        "bg" | "fg" => control::no_job,
        "hash" => control::hash,
        "wait" => control::wait,
        "alias" => control::alias,
        "unalias" => control::unalias,
        "kill" => control::kill,
        _ => return None,
    })
}

/// Whether it takes assignments as arguments, which are expanded as such. An error in one of these ends the shell.
pub(super) fn declares(name: &str) -> bool {
    matches!(name, "export" | "readonly" | "local")
}

fn succeed(shell: &mut Shell<'_, '_>, _: &[String]) -> Eval {
    shell.status = 0;
    Ok(())
}

fn fail(shell: &mut Shell<'_, '_>, _: &[String]) -> Eval {
    shell.status = 1;
    Ok(())
}
