//! cut(1) and paste(1).

use crate::commands::operands::{lines_with_ends, without_end};
use crate::commands::options::{Options, Order};
use crate::commands::{Process, Refusal};

/// A list such as `1,3-5,7-`: ranges from 1, both ends in them.
fn list(text: &str) -> Option<Vec<(usize, usize)>> {
    let number = |text: &str| text.parse::<usize>().ok().filter(|number| *number > 0);
    let parts = text.split([',', ' ']).map(|part| match part.split_once('-') {
        None => number(part).map(|one| (one, one)),
        Some(("", "")) => None,
        Some(("", last)) => Some((1, number(last)?)),
        Some((first, "")) => Some((number(first)?, usize::MAX)),
        Some((first, last)) => Some((number(first)?, number(last)?)).filter(|(first, last)| first <= last),
    });
    parts.collect()
}

/// cut(1): `-b -c -f -d -s -z --complement --output-delimiter`. Like coreutils', `-c` counts bytes.
pub(super) fn cut(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec = "b,bytes= c,characters= f,fields= d,delimiter= n s,only-delimited z,zero-terminated ,complement ,output-delimiter=";
    let options = process.options(args, spec, Order::Any)?;
    let given: Vec<_> = options.given.iter().filter(|given| matches!(given.name, "b" | "c" | "f")).collect();
    let [how] = given.as_slice() else {
        process.complain("you must specify a list of bytes, characters, or fields");
        return Ok(1);
    };
    let Some(ranges) = list(how.text()) else {
        process.complain("invalid field value or range");
        return Ok(1);
    };
    let is_wanted = |number: usize| {
        ranges.iter().any(|(first, last)| (*first..=*last).contains(&number)) != options.has("complement")
    };
    let delimiter = options.value("d").unwrap_or("\t");
    // `-d ''` is the NUL byte.
    let delimiter = match delimiter.as_bytes() {
        [] => 0,
        [one] => *one,
        _ => {
            process.complain("the delimiter must be a single character");
            return Ok(1);
        }
    };
    let end = if options.has("z") { 0 } else { b'\n' };
    let (files, whole) = process.read_operands(&options.operands)?;
    for (_, bytes) in &files {
        for line in lines_with_ends(bytes, end) {
            let line = without_end(line, end);
            if how.name == "f" {
                if !line.contains(&delimiter) {
                    if !options.has("s") {
                        process.print(line);
                        process.print([end]);
                    }
                    continue;
                }
                let fields: Vec<&[u8]> = line.split(|byte| *byte == delimiter).collect();
                let kept = fields.iter().enumerate().filter(|(index, _)| is_wanted(index + 1)).map(|(_, field)| *field);
                let joint =
                    options.value("output-delimiter").map_or_else(|| vec![delimiter], |text| text.as_bytes().to_vec());
                process.print(kept.collect::<Vec<_>>().join(joint.as_slice()));
            } else {
                bytes_of(process, line, &options, &is_wanted, &ranges);
            }
            process.print([end]);
        }
    }
    Ok(u8::from(!whole))
}

fn bytes_of(
    process: &mut Process<'_, '_>,
    line: &[u8],
    options: &Options,
    is_wanted: &dyn Fn(usize) -> bool,
    ranges: &[(usize, usize)],
) {
    let mut last = None;
    for (index, byte) in line.iter().enumerate().filter(|(index, _)| is_wanted(index + 1)) {
        // A separator stands between ranges that do not touch, and where a range begins.
        let begins = last.is_some_and(|last| last + 1 < index)
            || last.is_some()
                && ranges.iter().any(|(first, _)| *first == index + 1)
                && !ranges.iter().any(|(first, end)| *first <= index && *end > index);
        if let (true, Some(joint)) = (begins, options.value("output-delimiter")) {
            process.print(joint);
        }
        process.print([*byte]);
        last = Some(index);
    }
}

/// paste(1): `-d LIST`, `-s`, `-z`.
pub(super) fn paste(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "d,delimiters= s,serial z,zero-terminated", Order::Any)?;
    let delimiters: Vec<Vec<u8>> = {
        let mut found = Vec::new();
        let mut left = options.value("d").unwrap_or("\t").chars();
        while let Some(character) = left.next() {
            let text = match character {
                '\\' => match left.next() {
                    Some('n') => "\n".to_owned(),
                    Some('t') => "\t".to_owned(),
                    Some('0') => String::new(),
                    Some(other) => other.to_string(),
                    None => "\\".to_owned(),
                },
                other => other.to_string(),
            };
            found.push(text.into_bytes());
        }
        if found.is_empty() { vec![Vec::new()] } else { found }
    };
    let end = if options.has("z") { 0 } else { b'\n' };
    let standard = ["-".to_owned()];
    let names = if options.operands.is_empty() { &standard } else { options.operands.as_slice() };
    let mut files: Vec<Vec<Vec<u8>>> = Vec::new();
    let inputs = names.iter().filter(|name| *name == "-").count();
    let mut standard_lines: Vec<Vec<Vec<u8>>> = Vec::new();
    if inputs > 0 {
        // Several `-` take turns at the lines.
        let text = process.take_stdin();
        standard_lines = vec![Vec::new(); inputs];
        let all: Vec<Vec<u8>> = lines_with_ends(&text, end).map(|line| without_end(line, end).to_vec()).collect();
        match options.has("s") {
            true => standard_lines[0] = all,
            false => all.into_iter().enumerate().for_each(|(index, line)| standard_lines[index % inputs].push(line)),
        }
    }
    let mut turns = standard_lines.into_iter();
    for name in names {
        if name == "-" {
            files.push(turns.next().unwrap_or_default());
            continue;
        }
        let Some(bytes) = process.read_operand(name)? else { return Ok(1) };
        files.push(lines_with_ends(&bytes, end).map(|line| without_end(line, end).to_vec()).collect());
    }
    if options.has("s") {
        for lines in files {
            for (index, line) in lines.iter().enumerate() {
                if index > 0 {
                    process.print(&delimiters[(index - 1) % delimiters.len()]);
                }
                process.print(line);
            }
            process.print([end]);
        }
        return Ok(0);
    }
    let rows = files.iter().map(Vec::len).max().unwrap_or(0);
    for row in 0..rows {
        for (index, lines) in files.iter().enumerate() {
            if index > 0 {
                process.print(&delimiters[(index - 1) % delimiters.len()]);
            }
            if let Some(line) = lines.get(row) {
                process.print(line);
            }
        }
        process.print([end]);
    }
    Ok(0)
}
