//! xargs(1): command lines from standard input.

use super::options::Order;
use super::{Command, Process, Refusal};
use crate::shell;

pub(super) const COMMANDS: &[Command] = &[Command::always("xargs", xargs)];

const SPEC: &str = "0,null a,arg-file= d,delimiter= E= e=? I,replace= i=? L,max-lines= l=? n,max-args= P,max-procs= \
    p,interactive r,no-run-if-empty s,max-chars= t,verbose x,exit";

/// Bytes of one command line: as xargs(1) has it, 128 KiB.
const LINE_MAX: usize = 128 << 10;

/// xargs(1): `-0 -a -d -E -I -i -L -n -P -r -s -t -x`. One command runs after the other, whatever `-P` says.
fn xargs(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, SPEC, Order::First)?;
    if options.has("p") {
        return process.unknown("-p");
    }
    let text = match options.value("a").map(str::to_owned) {
        Some(path) => match process.read_operand(&path)? {
            Some(bytes) => bytes,
            None => return Ok(1),
        },
        None => process.take_stdin(),
    };
    let Ok(text) = String::from_utf8(text) else { return Err(Refusal::new("xargs: words that are not UTF-8")) };
    let number = |name: &str| match options.value(name) {
        None => Ok(usize::MAX),
        Some(text) => match text.parse::<usize>() {
            Ok(number) if number > 0 => Ok(number),
            _ => process.unknown(&format!("-{name} {text}")),
        },
    };
    let (most_words, most_lines) = (number("n")?, number("L")?);
    let most_bytes = number("s")?.min(LINE_MAX);
    let replaced = options.given.iter().rev().find(|given| matches!(given.name, "I" | "i"));
    let replaced = replaced.map(|given| given.value.clone().unwrap_or_else(|| "{}".to_owned()));
    let delimiter = match options.value("d") {
        _ if options.has("0") => Some('\0'),
        Some("\\n") => Some('\n'),
        Some("\\t") => Some('\t'),
        Some("\\0") => Some('\0'),
        Some(text) => match text.chars().collect::<Vec<_>>().as_slice() {
            [one] => Some(*one),
            _ => return process.unknown(&format!("-d '{text}'")),
        },
        None => None,
    };
    let ending = options.value("E").or_else(|| options.value("e")).filter(|word| !word.is_empty());
    let items = match delimiter {
        Some(delimiter) => {
            let mut items: Vec<&str> = text.split(delimiter).collect();
            if items.last() == Some(&"") {
                items.pop();
            }
            items.into_iter().map(|item| (item.to_owned(), 1)).collect()
        }
        None => match words(&text, replaced.is_some()) {
            Ok(items) => items,
            Err(message) => {
                process.complain(message);
                return Ok(1);
            }
        },
    };
    let items: Vec<(String, usize)> =
        items.into_iter().take_while(|(word, _)| delimiter.is_some() || Some(word.as_str()) != ending).collect();
    let mut command = options.operands.clone();
    if command.is_empty() {
        command.push("echo".to_owned());
    }
    let verbose = options.has("t");
    let mut status = 0;
    let mut run = |process: &mut Process<'_, '_>, words: &[String]| -> Result<bool, Refusal> {
        process.step()?;
        if verbose {
            process.stderr.extend_from_slice(format!("{}\n", words.join(" ")).as_bytes());
        }
        let finished = shell::launch(process, words, Vec::new())?;
        process.stdout.extend_from_slice(&finished.stdout);
        process.stderr.extend_from_slice(&finished.stderr);
        match finished.status {
            0 => Ok(true),
            255 => {
                process.complain(format_args!("{}: exited with status 255; aborting", words[0]));
                status = 124;
                Ok(false)
            }
            code @ (126 | 127) => {
                status = code;
                Ok(false)
            }
            _ => {
                status = 123;
                Ok(true)
            }
        }
    };
    if let Some(mark) = replaced {
        for (item, _) in items {
            let words: Vec<String> = command.iter().map(|word| word.replace(&mark, &item)).collect();
            if !run(process, &words)? {
                break;
            }
        }
        return Ok(status);
    }
    if items.is_empty() {
        if !options.has("r") {
            run(process, &command)?;
        }
        return Ok(status);
    }
    let length = |words: &[String]| words.iter().map(|word| word.len() + 1).sum::<usize>();
    let (mut line, mut lines) = (command.clone(), 0);
    for (item, ends) in items {
        let full = line.len() - command.len() >= most_words
            || lines >= most_lines
            || length(&line) + item.len() + 1 > most_bytes && line.len() > command.len();
        if full {
            if !run(process, &line)? {
                return Ok(status);
            }
            (line, lines) = (command.clone(), 0);
        }
        line.push(item);
        lines += ends;
    }
    if line.len() > command.len() {
        run(process, &line)?;
    }
    Ok(status)
}

/// Words at blanks and line ends, with quotation marks and backslashes; with each, whether its line ends behind it.
///
/// With `-I`, a line is one item, without its leading blanks.
fn words(text: &str, whole_lines: bool) -> Result<Vec<(String, usize)>, String> {
    let mut items: Vec<(String, usize)> = Vec::new();
    let mut word: Option<String> = None;
    let mut left = text.chars().peekable();
    while let Some(letter) = left.next() {
        match letter {
            '\n' => match word.take() {
                Some(word) => items.push((word, 1)),
                None => {
                    // A blank behind the last word continues its line for `-L`; an empty line ends nothing.
                    if let Some(last) = items.last_mut().filter(|last| last.1 == 0) {
                        last.1 = 1;
                    }
                }
            },
            ' ' | '\t' if whole_lines => {
                if let Some(word) = &mut word {
                    word.push(letter);
                }
            }
            ' ' | '\t' => items.extend(word.take().map(|word| (word, 0))),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match left.next() {
                        Some(end) if end == letter => break,
                        Some('\n') | None => {
                            let kind = if letter == '"' { "double" } else { "single" };
                            return Err(format!(
                                "unmatched {kind} quote; by default quotes are special to xargs unless you use the -0 option"
                            ));
                        }
                        Some(inner) => word.push(inner),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(left.next()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    items.extend(word.map(|word| (word, 1)));
    Ok(items)
}
