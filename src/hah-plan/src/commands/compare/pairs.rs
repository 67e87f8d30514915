//! comm(1) and join(1): two files in order, side by side.

use std::cmp::Ordering;

use crate::commands::operands::{lines_with_ends, without_end};
use crate::commands::options::Order;
use crate::commands::{Process, Refusal};

fn lines(bytes: &[u8], end: u8) -> Vec<&[u8]> {
    lines_with_ends(bytes, end).map(|line| without_end(line, end)).collect()
}

/// comm(1): `-1 -2 -3 -z --output-delimiter --nocheck-order --check-order`.
pub(super) fn comm(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec = "1 2 3 z,zero-terminated ,output-delimiter= ,nocheck-order ,check-order";
    let options = process.options(args, spec, Order::Any)?;
    let [left, right] = options.operands.as_slice() else { return process.missing_operand(1) };
    let (Some(left), Some(right)) = (process.read_operand(left)?, process.read_operand(right)?) else { return Ok(1) };
    let end = if options.has("z") { 0 } else { b'\n' };
    let (left, right) = (lines(&left, end), lines(&right, end));
    let joint = options.value("output-delimiter").unwrap_or("\t").to_owned();
    let (mut at, mut other, mut all_paired) = (0, 0, true);
    while at < left.len() || other < right.len() {
        let order = match (left.get(at), right.get(other)) {
            (Some(left), Some(right)) => left.cmp(right),
            (Some(_), None) => Ordering::Less,
            _ => Ordering::Greater,
        };
        let (line, column) = match order {
            Ordering::Less => (left[at], 1),
            Ordering::Greater => (right[other], 2),
            Ordering::Equal => (left[at], 3),
        };
        all_paired &= order.is_eq();
        at += usize::from(order.is_le());
        other += usize::from(order.is_ge());
        if options.has(["1", "2", "3"][column - 1]) {
            continue;
        }
        let before = ["1", "2"][..column - 1].iter().filter(|name| !options.has(name)).count();
        process.print(joint.repeat(before));
        process.print(line);
        process.print([end]);
    }
    // Disorder matters only where lines were found to be alone.
    let mut status = 0;
    if !options.has("nocheck-order") && (!all_paired || options.has("check-order")) {
        for (number, lines) in [(1, &left), (2, &right)] {
            if !lines.is_sorted() {
                process.complain(format_args!("file {number} is not in sorted order"));
                status = 1;
            }
        }
        if status == 1 {
            process.complain("input is not in sorted order");
        }
    }
    Ok(status)
}

/// join(1): `-1 -2 -j -t -a -v -i`, on one field. Chosen columns (`-o`) are not.
pub(super) fn join(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "1= 2= j= t= a= v= ,nocheck-order ,check-order", Order::Any)?;
    let [left, right] = options.operands.as_slice() else { return process.missing_operand(1) };
    let field = |name: &str| match options.value(name).or_else(|| options.value("j")) {
        None => Ok(0),
        Some(text) => match text.parse::<usize>() {
            Ok(number) if number > 0 => Ok(number - 1),
            _ => process.unknown(&format!("-{name} {text}")),
        },
    };
    let (left_field, right_field) = (field("1")?, field("2")?);
    let separator = match options.value("t").map(str::as_bytes) {
        None => None,
        Some([one]) => Some(*one),
        Some(_) => return process.unknown("-t of several characters"),
    };
    let (Some(left), Some(right)) = (process.read_operand(left)?, process.read_operand(right)?) else { return Ok(1) };
    let rows = |bytes: &[u8]| -> Vec<Vec<Vec<u8>>> {
        let fields = |line: &[u8]| match separator {
            Some(separator) => line.split(|byte| *byte == separator).map(<[u8]>::to_vec).collect(),
            None => line
                .split(|byte| matches!(byte, b' ' | b'\t'))
                .filter(|part| !part.is_empty())
                .map(<[u8]>::to_vec)
                .collect(),
        };
        lines(bytes, b'\n').into_iter().map(fields).collect()
    };
    let (left, right) = (rows(&left), rows(&right));
    let key = |row: &[Vec<u8>], field: usize| row.get(field).cloned().unwrap_or_default();
    let in_order =
        left.is_sorted_by_key(|row| key(row, left_field)) && right.is_sorted_by_key(|row| key(row, right_field));
    if !in_order {
        return process.unknown("of files that are not in order");
    }
    let joint = separator.map_or_else(|| vec![b' '], |separator| vec![separator]);
    let has = |name: &str, file: &str| options.given.iter().any(|given| given.name == name && given.text() == file);
    let only_alone = options.has("v");
    let alone = |process: &mut Process<'_, '_>, row: &[Vec<u8>], field: usize, file: &str| {
        if has("a", file) || has("v", file) {
            let rest = row.iter().enumerate().filter(|(index, _)| *index != field).map(|(_, part)| part.clone());
            let parts: Vec<Vec<u8>> = std::iter::once(key(row, field)).chain(rest).collect();
            process.print_line(parts.join(joint.as_slice()));
        }
    };
    let (mut at, mut other) = (0, 0);
    while at < left.len() || other < right.len() {
        process.step()?;
        let order = match (left.get(at), right.get(other)) {
            (Some(left), Some(right)) => key(left, left_field).cmp(&key(right, right_field)),
            (Some(_), None) => Ordering::Less,
            _ => Ordering::Greater,
        };
        match order {
            Ordering::Less => {
                alone(process, &left[at], left_field, "1");
                at += 1;
            }
            Ordering::Greater => {
                alone(process, &right[other], right_field, "2");
                other += 1;
            }
            Ordering::Equal => {
                let shared = key(&left[at], left_field);
                let count = |rows: &[Vec<Vec<u8>>], field: usize| {
                    rows.iter().take_while(|row| key(row, field) == shared).count()
                };
                let (lefts, rights) = (count(&left[at..], left_field), count(&right[other..], right_field));
                for one in left[at..at + lefts].iter().filter(|_| !only_alone) {
                    for two in &right[other..other + rights] {
                        process.step()?;
                        let rest = |row: &[Vec<u8>], field: usize| {
                            row.iter()
                                .enumerate()
                                .filter(move |(index, _)| *index != field)
                                .map(|(_, part)| part.clone())
                                .collect::<Vec<_>>()
                        };
                        let parts = [vec![shared.clone()], rest(one, left_field), rest(two, right_field)].concat();
                        process.print_line(parts.join(joint.as_slice()));
                    }
                }
                (at, other) = (at + lefts, other + rights);
            }
        }
    }
    Ok(0)
}
