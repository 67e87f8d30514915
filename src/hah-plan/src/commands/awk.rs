//! awk(1): POSIX's language as mawk(1) has it, for bytes.
//!
//! ```text
//! text ──lexer──▶ tokens ──parser──▶ Program ──run──▶ output
//! ```
//!
//! Differences that a script can see: `for (k in a)` goes through whole numbers in their order and then through other
//! keys in the order of bytes, where mawk's order is that of a hash table. Random numbers are refused.

mod lexer;
mod syntax;
mod parser;
mod operators;
mod value;
mod records;
mod run;
mod evaluate;
mod functions;
mod streams;

use super::options::Order;
use super::{Command, Process, Refusal};

pub(super) const COMMANDS: &[Command] =
    &[Command::always("awk", awk), Command::always("mawk", awk), Command::in_tree("gawk", awk)];

/// Why there is no program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProgramError {
    /// awk says so too, with status 2.
    Syntax(String),
    /// Only we say so.
    Refused(String),
}

/// awk(1): `-F -v -f`, program and operands.
fn awk(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let mut options = process.options(args, "F,field-separator= v,assign= f,file=", Order::First)?;
    let mut text = String::new();
    for given in options.given.iter().filter(|given| given.name == "f") {
        let Some(bytes) = process.read_operand(given.text())? else { return Ok(2) };
        text.push_str(&String::from_utf8(bytes).map_err(|_| Refusal::new("an awk program that is not UTF-8"))?);
        text.push('\n');
    }
    if !options.has("f") {
        if options.operands.is_empty() {
            process.stderr.extend_from_slice(b"usage: awk [-F value] [-v var=value] [--] 'program text' [file ...]\n");
            return Ok(2);
        }
        text = options.operands.remove(0);
    }
    let program = match parser::parse(&text) {
        Ok(program) => program,
        Err(ProgramError::Syntax(message)) => {
            process.complain(message);
            return Ok(2);
        }
        Err(ProgramError::Refused(what)) => return Err(Refusal::new(format!("the awk program: {what}"))),
    };
    let name = process.name.rsplit('/').next().unwrap_or("awk").to_owned();
    let mut machine = run::Machine::new(&program, process)?;
    for given in options.given.iter().filter(|given| given.name != "f") {
        match given.name {
            "F" => machine.set_separator(given.text())?,
            _ => {
                if !machine.command_line_assignment(given.text())? {
                    return machine.process.unknown(&format!("-v {}", given.text()));
                }
            }
        }
    }
    machine.set_arguments(&name, &options.operands);
    machine.run_program()
}
