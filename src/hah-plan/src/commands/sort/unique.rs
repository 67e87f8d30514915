//! uniq(1).

use crate::commands::operands::{lines_with_ends, without_end};
use crate::commands::options::Order;
use crate::commands::{Process, Refusal};

/// uniq(1): `-c -d -D -u -i -f N -s N -w N -z`, `[INPUT [OUTPUT]]`.
pub(super) fn uniq(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec =
        "c,count d,repeated D f,skip-fields= i,ignore-case s,skip-chars= u,unique w,check-chars= z,zero-terminated";
    let options = process.options(args, spec, Order::Any)?;
    let mut counts = [0, 0, usize::MAX];
    for (slot, name) in counts.iter_mut().zip(["f", "s", "w"]) {
        if let Some(text) = options.value(name) {
            match text.parse() {
                Ok(count) => *slot = count,
                Err(_) => {
                    process.complain(format_args!("{text}: invalid number"));
                    return Ok(1);
                }
            }
        }
    }
    let [fields, characters, width] = counts;
    let end = if options.has("z") { 0 } else { b'\n' };
    let (input, output) = match options.operands.as_slice() {
        [] => ("-", None),
        [input] => (input.as_str(), None),
        [input, output] => (input.as_str(), Some(output)),
        [_, _, extra, ..] => {
            let extra = process.quote(extra);
            process.complain(format_args!("extra operand {extra}"));
            return Ok(1);
        }
    };
    let Some(text) = process.read_operand(input)? else { return Ok(1) };
    let key = |line: &[u8]| {
        let mut rest = line;
        for _ in 0..fields {
            rest = &rest[rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()..];
            rest = &rest[rest.iter().take_while(|byte| !matches!(byte, b' ' | b'\t')).count()..];
        }
        let rest = &rest[characters.min(rest.len())..];
        let rest = &rest[..width.min(rest.len())];
        if options.has("i") { rest.to_ascii_lowercase() } else { rest.to_vec() }
    };
    let lines: Vec<&[u8]> = lines_with_ends(&text, end).map(|line| without_end(line, end)).collect();
    let mut out = Vec::new();
    for group in lines.chunk_by(|left, right| key(left) == key(right)) {
        let repeated = group.len() > 1;
        if options.has("u") && repeated || (options.has("d") || options.has("D")) && !repeated {
            continue;
        }
        let shown = if options.has("D") { group } else { &group[..1] };
        for line in shown {
            if options.has("c") {
                out.extend_from_slice(format!("{:7} ", group.len()).as_bytes());
            }
            out.extend_from_slice(line);
            out.push(end);
        }
    }
    match output {
        None => process.print(out),
        Some(path) => {
            let written = process.write_file(path, &out);
            if process.check(path, written)?.is_none() {
                return Ok(1);
            }
        }
    }
    Ok(0)
}
