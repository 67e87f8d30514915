//! diff(1): whether files or directories differ, and how, as a list of changes or with context (`-u`).

use crate::commands::operands::{base_name, in_directory, lines_with_ends, without_end};
use crate::commands::options::{Options, Order};
use crate::commands::{Process, Refusal};
use crate::world::Errno;

/// Most lines of both files whose differences are shown: the search takes the product.
const LINES_MAX: usize = 5_000;

const SPEC: &str = "q,brief s,report-identical-files u U,unified= r,recursive N,new-file a,text b,ignore-space-change \
    w,ignore-all-space B,ignore-blank-lines i,ignore-case ,strip-trailing-cr ,label= L= ,color=?";

/// diff(1): `-q -s -u -U N -r -N -a -b -w -B -i --label`; statuses 0, 1 and 2.
///
/// Where several shortest lists of changes exist, GNU's may be another: a list is only shown when lines are not repeated
/// among those that changed.
pub(super) fn diff(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, SPEC, Order::Any)?;
    let [left, right] = options.operands.as_slice() else {
        process.complain("missing operand");
        return Ok(2);
    };
    for name in [left, right] {
        if name == "-" || options.has("N") {
            continue;
        }
        if let Err(error) = process.stat(name) {
            if error.is_final() {
                return Err(error.into());
            }
            process.complain(format_args!("{name}: {error}"));
            return Ok(2);
        }
    }
    match (process.is_dir(left), process.is_dir(right)) {
        (true, true) => directories(process, &options, left, right),
        (true, false) => files(process, &options, &in_directory(left, base_name(right)), right),
        (false, true) => files(process, &options, left, &in_directory(right, base_name(left))),
        (false, false) => files(process, &options, left, right),
    }
}

fn directories(process: &mut Process<'_, '_>, options: &Options, left: &str, right: &str) -> Result<u8, Refusal> {
    process.step()?;
    let mut names = process.world.list(&process.cwd, left)?;
    names.extend(process.world.list(&process.cwd, right)?);
    names.sort();
    names.dedup();
    let mut status = 0;
    for name in names {
        let (one, other) = (in_directory(left, &name), in_directory(right, &name));
        let there = (process.stat(&one).is_ok(), process.stat(&other).is_ok());
        if (!there.0 || !there.1) && !options.has("N") {
            let directory = if there.0 { left } else { right };
            process.print_line(format!("Only in {}: {name}", directory.trim_end_matches('/')));
            status = status.max(1);
            continue;
        }
        let found = match (process.is_dir(&one), process.is_dir(&other)) {
            (true, true) if options.has("r") => directories(process, options, &one, &other)?,
            (true, true) => {
                process.print_line(format!("Common subdirectories: {one} and {other}"));
                0
            }
            (false, false) => {
                if !options.has("q") {
                    return process.unknown("of the files of directories without -q");
                }
                files(process, options, &one, &other)?
            }
            (true, false) => {
                process.print_line(format!("File {one} is a directory while file {other} is a regular file"));
                1
            }
            (false, true) => {
                process.print_line(format!("File {one} is a regular file while file {other} is a directory"));
                1
            }
        };
        status = status.max(found);
    }
    Ok(status)
}

fn files(process: &mut Process<'_, '_>, options: &Options, left: &str, right: &str) -> Result<u8, Refusal> {
    let mut texts = Vec::new();
    for name in [left, right] {
        let read = match name {
            "-" => Ok(process.take_stdin()),
            _ => process.world.read(&process.cwd, name),
        };
        texts.push(match read {
            Err(Errno::NotFound) if options.has("N") => Vec::new(),
            read => match process.check(name, read)? {
                Some(bytes) => bytes,
                None => return Ok(2),
            },
        });
    }
    let same_lines = |line: &[u8]| -> Vec<u8> {
        let mut line = without_end(line, b'\n').to_vec();
        if options.has("strip-trailing-cr") && line.ends_with(b"\r") {
            line.pop();
        }
        if options.has("i") {
            line.make_ascii_lowercase();
        }
        if options.has("w") {
            line.retain(|byte| !byte.is_ascii_whitespace());
        } else if options.has("b") {
            let text = String::from_utf8_lossy(&line).into_owned();
            let lead = if text.starts_with([' ', '\t']) { " " } else { "" };
            line = format!("{lead}{}", text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).into_bytes();
        }
        line
    };
    let loose = ["b", "w", "B", "i", "strip-trailing-cr"].iter().any(|name| options.has(name));
    let lines = |text: &'_ [u8]| -> Vec<Vec<u8>> {
        lines_with_ends(text, b'\n')
            .map(|line| if loose { same_lines(line) } else { line.to_vec() })
            .filter(|line| !options.has("B") || !line.is_empty())
            .collect()
    };
    let equal = if loose { lines(&texts[0]) == lines(&texts[1]) } else { texts[0] == texts[1] };
    if equal {
        if options.has("s") {
            process.print_line(format!("Files {left} and {right} are identical"));
        }
        return Ok(0);
    }
    if options.has("q") {
        process.print_line(format!("Files {left} and {right} differ"));
        return Ok(1);
    }
    if texts.iter().any(|text| text.contains(&0)) && !options.has("a") {
        process.print_line(format!("Binary files {left} and {right} differ"));
        return Ok(1);
    }
    if loose {
        return process.unknown("with differences shown that do not count");
    }
    let (old, new) = (lines(&texts[0]), lines(&texts[1]));
    let context = match options.value("U") {
        Some(text) => Some(text.parse().map_or_else(|_| process.unknown("-U"), Ok)?),
        None => options.has("u").then_some(3_usize),
    };
    let Some(changes) = changes(&old, &new) else {
        return process.unknown("of files with that many lines, or with repeated ones among the changed");
    };
    process.world.spend_steps((old.len() * new.len()) as u64 / 8)?;
    match context {
        None => normal(process, &old, &new, &changes),
        Some(context) => {
            let labels: Vec<&str> = options
                .given
                .iter()
                .filter(|given| matches!(given.name, "label" | "L"))
                .map(|given| given.text())
                .collect();
            if labels.len() < 2 {
                return process.unknown("-u without labels: the head of its output has times of files");
            }
            process.print(format!("--- {}\n+++ {}\n", labels[0], labels[1]));
            unified(process, &old, &new, (&changes, context));
        }
    }
    Ok(1)
}

/// A change: lines of the old file that are replaced by lines of the new one.
struct Change {
    old: std::ops::Range<usize>,
    new: std::ops::Range<usize>,
}

/// The shortest list of changes; `None` when there may be several, or the files are too long.
fn changes(old: &[Vec<u8>], new: &[Vec<u8>]) -> Option<Vec<Change>> {
    let head = old.iter().zip(new).take_while(|(left, right)| left == right).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(left, right)| left == right).count();
    let (left, right) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    if left.len() + right.len() > LINES_MAX {
        return None;
    }
    // A line that stands beside an equal one outside of the change, or twice inside, could be taken in two ways.
    let repeated = |lines: &[Vec<u8>]| {
        let mut sorted: Vec<&Vec<u8>> = lines.iter().collect();
        sorted.sort();
        sorted.windows(2).any(|pair| pair[0] == pair[1])
    };
    let one_sided = left.is_empty() || right.is_empty();
    if !one_sided && (repeated(left) || repeated(right)) {
        return None;
    }
    let (rows, columns) = (left.len() + 1, right.len() + 1);
    let mut common = vec![0_u32; rows * columns];
    for row in (0..left.len()).rev() {
        for column in (0..right.len()).rev() {
            common[row * columns + column] = match left[row] == right[column] {
                true => common[(row + 1) * columns + column + 1] + 1,
                false => common[(row + 1) * columns + column].max(common[row * columns + column + 1]),
            };
        }
    }
    let mut found: Vec<Change> = Vec::new();
    let (mut row, mut column) = (0, 0);
    while row < left.len() || column < right.len() {
        if row < left.len() && column < right.len() && left[row] == right[column] {
            (row, column) = (row + 1, column + 1);
            continue;
        }
        let (start_row, start_column) = (row, column);
        while row < left.len() || column < right.len() {
            if row < left.len() && column < right.len() && left[row] == right[column] {
                break;
            }
            let down = if row < left.len() { common[(row + 1) * columns + column] } else { 0 };
            let across = if column < right.len() { common[row * columns + column + 1] } else { 0 };
            match row < left.len() && (column == right.len() || down >= across) {
                true => row += 1,
                false => column += 1,
            }
        }
        found.push(Change { old: head + start_row..head + row, new: head + start_column..head + column });
    }
    Some(found)
}

fn put(process: &mut Process<'_, '_>, mark: &str, line: &[u8]) {
    process.print(mark);
    process.print(line);
    if !line.ends_with(b"\n") {
        process.print("\n\\ No newline at end of file\n");
    }
}

fn normal(process: &mut Process<'_, '_>, old: &[Vec<u8>], new: &[Vec<u8>], changes: &[Change]) {
    let range = |range: &std::ops::Range<usize>| match range.len() {
        0 => range.start.to_string(),
        1 => range.end.to_string(),
        _ => format!("{},{}", range.start + 1, range.end),
    };
    for change in changes {
        let letter = match (change.old.is_empty(), change.new.is_empty()) {
            (true, _) => 'a',
            (_, true) => 'd',
            _ => 'c',
        };
        process.print_line(format!("{}{letter}{}", range(&change.old), range(&change.new)));
        old[change.old.clone()].iter().for_each(|line| put(process, "< ", line));
        if letter == 'c' {
            process.print("---\n");
        }
        new[change.new.clone()].iter().for_each(|line| put(process, "> ", line));
    }
}

fn unified(process: &mut Process<'_, '_>, old: &[Vec<u8>], new: &[Vec<u8>], (changes, context): (&[Change], usize)) {
    for hunk in changes.chunk_by(|left, right| right.old.start - left.old.end <= 2 * context) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { continue };
        let before = first.old.start.min(context);
        let after = (old.len() - last.old.end).min(context);
        let range = |start: usize, end: usize| match end - start {
            0 => format!("{start},0"),
            1 => (start + 1).to_string(),
            length => format!("{},{length}", start + 1),
        };
        let (start, end) = (first.old.start - before, last.old.end + after);
        let old_range = range(start, end);
        let new_range = range(first.new.start - before, last.new.end + after);
        process.print_line(format!("@@ -{old_range} +{new_range} @@"));
        let mut at = start;
        for change in hunk {
            old[at..change.old.start].iter().for_each(|line| put(process, " ", line));
            old[change.old.clone()].iter().for_each(|line| put(process, "-", line));
            new[change.new.clone()].iter().for_each(|line| put(process, "+", line));
            at = change.old.end;
        }
        old[at..end].iter().for_each(|line| put(process, " ", line));
    }
}
