//! Commands that take all of their input.

use crate::commands::operands::{lines_with_ends, without_end};
use crate::commands::options::Order;
use crate::commands::{Process, Refusal};

/// cat(1): `-n -b -s -E -T -v -A -e -t -u`.
pub(super) fn cat(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec = "A,show-all b,number-nonblank e E,show-ends n,number s,squeeze-blank t T,show-tabs u v,show-nonprinting";
    let options = process.options(args, spec, Order::Any)?;
    let (files, whole) = process.read_operands(&options.operands)?;
    let status = u8::from(!whole);
    let has = |names: &[&str]| names.iter().any(|name| options.has(name));
    let (ends, tabs, visible) = (has(&["A", "e", "E"]), has(&["A", "t", "T"]), has(&["A", "e", "t", "v"]));
    let (numbers, squeeze) = (has(&["n", "b"]), options.has("s"));
    let text: Vec<u8> = files.into_iter().flat_map(|(_, bytes)| bytes).collect();
    if !(ends || tabs || visible || numbers || squeeze) {
        process.print(text);
        return Ok(status);
    }
    let (mut number, mut blank) = (0, false);
    for line in lines_with_ends(&text, b'\n') {
        let body = without_end(line, b'\n');
        let was_blank = std::mem::replace(&mut blank, body.is_empty());
        if squeeze && blank && was_blank {
            continue;
        }
        if numbers && !(options.has("b") && blank) {
            number += 1;
            process.print(format!("{number:6}\t"));
        }
        for byte in body {
            match byte {
                b'\t' if tabs => process.print("^I"),
                b'\t' => process.print("\t"),
                _ if visible => process.print(shown(*byte)),
                _ => process.print([*byte]),
            }
        }
        if body.len() < line.len() {
            process.print(if ends { "$\n" } else { "\n" });
        }
    }
    Ok(status)
}

/// A byte as `cat -v` shows it.
fn shown(byte: u8) -> String {
    let low = |byte: u8| match byte {
        0..32 => format!("^{}", char::from(byte + 64)),
        127 => "^?".to_owned(),
        _ => char::from(byte).to_string(),
    };
    if byte < 128 { low(byte) } else { format!("M-{}", low(byte - 128)) }
}

/// tac(1). Other separators (`-s`, `-r`, `-b`) are not.
pub(super) fn tac(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "", Order::Any)?;
    let (files, whole) = process.read_operands(&options.operands)?;
    for (_, bytes) in files {
        let lines: Vec<&[u8]> = lines_with_ends(&bytes, b'\n').collect();
        lines.into_iter().rev().for_each(|line| process.print(line));
    }
    Ok(u8::from(!whole))
}

/// rev(1): each line's characters in reverse.
pub(super) fn rev(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "", Order::Any)?;
    let (files, whole) = process.read_operands(&options.operands)?;
    for (_, bytes) in files {
        for line in lines_with_ends(&bytes, b'\n') {
            let text = String::from_utf8_lossy(without_end(line, b'\n'));
            process.print(text.chars().rev().collect::<String>());
            process.print(if line.ends_with(b"\n") { "\n" } else { "" });
        }
    }
    Ok(u8::from(!whole))
}

/// nl(1): `-b a|t|n`, `-w`, `-s`, `-v`, `-i`, `-n ln|rn|rz`. Sections of pages are not.
pub(super) fn nl(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec = "b,body-numbering= w,number-width= s,number-separator= v,starting-line-number= i,line-increment= n,number-format=";
    let options = process.options(args, spec, Order::Any)?;
    let number_of = |name: &str, default: i64| match options.value(name) {
        Some(text) => text.parse::<i64>().ok(),
        None => Some(default),
    };
    let (Some(width), Some(mut number), Some(increment)) = (number_of("w", 6), number_of("v", 1), number_of("i", 1))
    else {
        return process.unknown("with such a number");
    };
    let width = usize::try_from(width).unwrap_or(6).min(1000);
    let (style, form) = (options.value("b").unwrap_or("t"), options.value("n").unwrap_or("rn"));
    if !matches!(style, "a" | "t" | "n") || !matches!(form, "ln" | "rn" | "rz") {
        return process.unknown("in this style");
    }
    let separator = options.value("s").unwrap_or("\t");
    let (files, whole) = process.read_operands(&options.operands)?;
    let text: Vec<u8> = files.into_iter().flat_map(|(_, bytes)| bytes).collect();
    for line in lines_with_ends(&text, b'\n') {
        let body = without_end(line, b'\n');
        if matches!(body, b"\\:" | b"\\:\\:" | b"\\:\\:\\:") {
            return process.unknown("with sections of pages");
        }
        if style == "a" || style == "t" && !body.is_empty() {
            process.print(match form {
                "ln" => format!("{number:<width$}{separator}"),
                "rz" => format!("{number:0width$}{separator}"),
                _ => format!("{number:width$}{separator}"),
            });
            number = number.saturating_add(increment);
        } else {
            process.print(" ".repeat(width + separator.len()));
        }
        process.print_line(body);
    }
    Ok(u8::from(!whole))
}

/// wc(1): `-l -w -c -m -L`.
pub(super) fn wc(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "c,bytes m,chars l,lines L,max-line-length w,words", Order::Any)?;
    let mut wanted: Vec<&str> = ["l", "w", "m", "c", "L"].into_iter().filter(|name| options.has(name)).collect();
    if wanted.is_empty() {
        wanted = vec!["l", "w", "c"];
    }
    let (files, whole) = process.read_operands(&options.operands)?;
    let mut rows: Vec<(Vec<u64>, String)> = Vec::new();
    for (name, bytes) in &files {
        let text = String::from_utf8_lossy(bytes);
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        let counts = wanted.iter().map(|what| match *what {
            "l" => memchr::memchr_iter(b'\n', bytes).count() as u64,
            "w" => {
                text.split(|character: char| character.is_whitespace()).filter(|word| !word.is_empty()).count() as u64
            }
            "m" => text.chars().count() as u64,
            "c" => bytes.len() as u64,
            _ => longest as u64,
        });
        rows.push((counts.collect(), name.clone()));
    }
    if options.operands.len() > 1 {
        let totals = (0..wanted.len()).map(|column| match wanted[column] {
            "L" => rows.iter().map(|(counts, _)| counts[column]).max().unwrap_or(0),
            _ => rows.iter().map(|(counts, _)| counts[column]).sum(),
        });
        rows.push((totals.collect(), "total".to_owned()));
    }
    // As wide as the sum of the files' lengths; 7 where a length is not known beforehand.
    let width = match (wanted.len(), options.operands.as_slice()) {
        (1, [] | [_]) => 1,
        (_, operands) if operands.is_empty() || operands.iter().any(|name| name == "-") => 7,
        _ => files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>().to_string().len(),
    };
    for (counts, name) in rows {
        let columns: Vec<String> = counts.iter().map(|count| format!("{count:width$}")).collect();
        process.print(columns.join(" "));
        if !options.operands.is_empty() {
            process.print(format!(" {name}"));
        }
        process.print("\n");
    }
    Ok(u8::from(!whole))
}

/// tee(1): `-a -i -p`.
pub(super) fn tee(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "a,append i,ignore-interrupts p", Order::Any)?;
    let text = process.take_stdin();
    process.print(&text);
    let mut status = 0;
    for path in &options.operands {
        let written = match options.has("a") {
            true => process.append_file(path, &text),
            false => process.write_file(path, &text),
        };
        if process.check(path, written)?.is_none() {
            status = 1;
        }
    }
    Ok(status)
}

/// `/bin/echo`: `-n -e -E`, as echo(1) of coreutils; the shell has one of its own.
pub(super) fn echo(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let (mut words, mut newline, mut escapes) = (args, true, false);
    while let [first, rest @ ..] = words {
        let letters = first.strip_prefix('-').filter(|letters| !letters.is_empty());
        let Some(letters) = letters.filter(|letters| letters.chars().all(|letter| "neE".contains(letter))) else {
            break;
        };
        for letter in letters.chars() {
            match letter {
                'n' => newline = false,
                letter => escapes = letter == 'e',
            }
        }
        words = rest;
    }
    let text = words.join(" ");
    if escapes {
        let (bytes, ended) = crate::commands::printf::unescaped(&text);
        process.print(bytes);
        if ended {
            return Ok(0);
        }
    } else {
        process.print(text);
    }
    if newline {
        process.print("\n");
    }
    Ok(0)
}

/// Lines that yes(1) prints here: more than any question has, where the real one goes on until nobody listens.
const YES_LINES: usize = 4096;

/// yes(1), for so many lines.
pub(super) fn yes(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let line = if args.is_empty() { "y".to_owned() } else { args.join(" ") };
    process.world.spend_bytes((line.len() * YES_LINES) as u64)?;
    for _ in 0..YES_LINES {
        process.print_line(&line);
    }
    Ok(0)
}
