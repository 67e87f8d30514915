//! cmp(1), diff(1), comm(1), join(1).

mod diff;
mod pairs;

use super::options::Order;
use super::{Command, Process, Refusal};

pub(super) const COMMANDS: &[Command] = &[
    Command::always("cmp", cmp),
    Command::always("diff", diff::diff),
    Command::always("comm", pairs::comm),
    Command::always("join", pairs::join),
];

/// cmp(1): `-s`, `-b` not, `-l`, `-n LIMIT`, `-i SKIP`.
fn cmp(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "s,quiet ,silent l,verbose n,bytes= i,ignore-initial=", Order::Any)?;
    let (left, right) = match options.operands.as_slice() {
        [left] => (left.clone(), "-".to_owned()),
        [left, right] => (left.clone(), right.clone()),
        _ => {
            process.complain("missing operand");
            return Ok(2);
        }
    };
    let silent = options.has("s") || options.has("silent");
    let number = |name: &str, default: usize| match options.value(name) {
        None => Some(default),
        Some(text) => super::numbers::size(text).and_then(|count| usize::try_from(count).ok()),
    };
    let (Some(most), Some(skip)) = (number("n", usize::MAX), number("i", 0)) else {
        return process.unknown("with such a number");
    };
    let mut texts = Vec::new();
    for name in [&left, &right] {
        let read = match name.as_str() {
            "-" => Ok(process.take_stdin()),
            _ => process.world.read(&process.cwd, name),
        };
        match read {
            Ok(bytes) => texts.push(bytes.get(skip.min(bytes.len())..).unwrap_or_default().to_vec()),
            Err(error) if error.is_final() => return Err(error.into()),
            Err(error) => {
                if !silent {
                    process.complain(format_args!("{name}: {error}"));
                }
                return Ok(2);
            }
        }
    }
    let [first, second] = [&texts[0], &texts[1]].map(|text| &text[..most.min(text.len())]);
    if first == second {
        return Ok(0);
    }
    if silent {
        return Ok(1);
    }
    if options.has("l") {
        let width = first.len().min(second.len()).to_string().len();
        for (index, (one, other)) in first.iter().zip(second).enumerate().filter(|(_, (one, other))| one != other) {
            process.print_line(format!("{:width$} {one:3o} {other:3o}", index + 1));
        }
    } else if let Some(at) = first.iter().zip(second).position(|(one, other)| one != other) {
        let line = memchr::memchr_iter(b'\n', &first[..at]).count() + 1;
        process.print_line(format!("{left} {right} differ: byte {}, line {line}", at + 1));
        return Ok(1);
    }
    if first.len() != second.len() {
        let (name, short) = if first.len() < second.len() { (&left, first) } else { (&right, second) };
        let message = match (short.len(), options.has("l")) {
            (0, _) => format!("EOF on {name} which is empty"),
            (length, true) => format!("EOF on {name} after byte {length}"),
            (length, false) => {
                let lines = memchr::memchr_iter(b'\n', short).count();
                match short.ends_with(b"\n") {
                    true => format!("EOF on {name} after byte {length}, line {lines}"),
                    false => format!("EOF on {name} after byte {length}, in line {}", lines + 1),
                }
            }
        };
        process.complain(message);
    }
    Ok(1)
}
