//! `read getopts`

use super::is_name;
use crate::shell::{Eval, Shell};

pub(super) fn read(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    let (mut raw, mut args) = (false, args);
    while let Some(option) = args.first().filter(|arg| arg.starts_with('-') && arg.len() > 1) {
        let (option, rest) = (option.clone(), &args[1..]);
        args = rest;
        match option.as_str() {
            "--" => break,
            "-r" => raw = true,
            // The prompt is for a terminal.
            "-p" => args = args.get(1..).unwrap_or_default(),
            "-rp" => {
                raw = true;
                args = args.get(1..).unwrap_or_default();
            }
            _ => return shell.refuse(format!("`read {option}`")),
        }
    }
    if args.is_empty() {
        return Err(shell.die("read: arg count"));
    }
    if let Some(wrong) = args.iter().find(|name| !is_name(name)) {
        return Err(shell.die(&format!("read: {wrong}: bad variable name")));
    }
    shell.refuse_random_input()?;
    let input = shell.descriptors.input(0);
    let bytes = input.take();
    let (mut line, mut ended, mut at) = (Vec::new(), false, 0);
    // A character, and whether a backslash took its meaning.
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'\n' => {
                ended = true;
                break;
            }
            b'\\' if !raw => match bytes.get(at) {
                Some(b'\n') => at += 1,
                Some(&next) => {
                    line.push((next, true));
                    at += 1;
                }
                None => {}
            },
            0 => {}
            byte => line.push((byte, false)),
        }
    }
    input.put(bytes[at..].to_vec());
    shell.spend_bytes(line.len())?;
    let separators = shell.value("IFS").unwrap_or_else(|| " \t\n".to_owned());
    let values = split(&line, separators.as_bytes(), args.len());
    for (index, name) in args.iter().enumerate() {
        let bytes = values.get(index).cloned().unwrap_or_default();
        match String::from_utf8(bytes) {
            Ok(value) => shell.assign(name, value)?,
            Err(_) => return shell.refuse("`read` of a line that is not UTF-8"),
        }
    }
    shell.status = u32::from(!ended);
    Ok(())
}

/// The fields of a line: as many as there are variables, the last one with all that is left.
fn split(line: &[(u8, bool)], separators: &[u8], count: usize) -> Vec<Vec<u8>> {
    let is_separator = |(byte, quoted): &(u8, bool)| !quoted && separators.contains(byte);
    let is_blank = |found: &(u8, bool)| is_separator(found) && matches!(found.0, b' ' | b'\t' | b'\n');
    let skip_blanks = |mut at: usize| {
        while line.get(at).is_some_and(is_blank) {
            at += 1;
        }
        at
    };
    let (mut fields, mut at) = (Vec::new(), skip_blanks(0));
    while at < line.len() {
        let end = at + line[at..].iter().position(is_separator).unwrap_or(line.len() - at);
        let mut next = skip_blanks(end);
        if line.get(next).is_some_and(|found| is_separator(found) && !is_blank(found)) {
            next = skip_blanks(next + 1);
        }
        if fields.len() + 1 == count && next < line.len() {
            // The rest, less the blanks at its end.
            let mut last = line.len();
            while last > at && is_blank(&line[last - 1]) {
                last -= 1;
            }
            fields.push(line[at..last].iter().map(|(byte, _)| *byte).collect());
            break;
        }
        fields.push(line[at..end].iter().map(|(byte, _)| *byte).collect());
        at = next;
    }
    fields
}

pub(super) fn getopts(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    let [options, name, rest @ ..] = args else { return Err(shell.die("getopts: Usage: getopts optstring var [arg]")) };
    let words = if rest.is_empty() { shell.positional.clone() } else { rest.to_vec() };
    let silent = options.starts_with(':');
    // The number of the next word, from 1; inside of one that holds several options it counts as gone already.
    let mut next = shell.option_index;
    let mut at = shell.option_at;
    let inside = at > 0 && words.get(next.wrapping_sub(2)).is_some_and(|word| word.chars().count() > at);
    if !inside {
        let word = words.get(next - 1).map_or("", String::as_str);
        if !word.starts_with('-') || word == "-" || word == "--" {
            if word == "--" {
                shell.assign("OPTIND", (next + 1).to_string())?;
            }
            shell.assign(name, "?".to_owned())?;
            shell.option_at = 0;
            shell.status = 1;
            return Ok(());
        }
        next += 1;
        at = 1;
    }
    let letters: Vec<char> = words.get(next - 2).map(|word| word.chars().collect()).unwrap_or_default();
    let Some(&letter) = letters.get(at) else {
        shell.status = 1;
        return Ok(());
    };
    let last = at + 1 == letters.len();
    let mut next_at = if last { 0 } else { at + 1 };
    let known = options.char_indices().find(|(_, c)| *c == letter && letter != ':').map(|(at, c)| at + c.len_utf8());
    let mut found = letter.to_string();
    let mut argument = Some(String::new());
    match known {
        None => {
            found = "?".to_owned();
            argument = silent.then(|| letter.to_string());
            if !silent {
                shell.complain(&format!("Illegal option -{letter}"));
            }
        }
        Some(behind) if options[behind..].starts_with(':') => {
            next_at = 0;
            if !last {
                argument = Some(letters[at + 1..].iter().collect());
            } else if let Some(value) = words.get(next - 1) {
                argument = Some(value.clone());
                next += 1;
            } else {
                found = if silent { ":" } else { "?" }.to_owned();
                argument = silent.then(|| letter.to_string());
                if !silent {
                    shell.complain(&format!("No arg for -{letter} option"));
                }
            }
        }
        Some(_) => {}
    }
    shell.assign("OPTIND", next.to_string())?;
    shell.option_at = next_at;
    match argument {
        Some(argument) => shell.assign("OPTARG", argument)?,
        None => {
            shell.variables.remove("OPTARG");
        }
    }
    shell.assign(name, found)?;
    shell.status = 0;
    Ok(())
}
