//! fold(1), expand(1), unexpand(1).

use crate::commands::operands::{lines_with_ends, without_end};
use crate::commands::options::Order;
use crate::commands::{Process, Refusal};

/// fold(1): `-w N`, `-s`, `-b`, `-N`; lines with tabs or backspaces only with `-b`.
pub(super) fn fold(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let args: Vec<String> = args
        .iter()
        .map(|arg| match arg.strip_prefix('-') {
            Some(digits) if !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_digit()) => {
                format!("-w{digits}")
            }
            _ => arg.clone(),
        })
        .collect();
    let options = process.options(&args, "b,bytes s,spaces w,width=", Order::Any)?;
    let width: usize = match options.value("w").unwrap_or("80").parse() {
        Ok(width) if width > 0 => width,
        _ => {
            process.complain("invalid number of columns");
            return Ok(1);
        }
    };
    let (files, whole) = process.read_operands(&options.operands)?;
    for (_, bytes) in &files {
        for line in lines_with_ends(bytes, b'\n') {
            let mut body = without_end(line, b'\n');
            if !options.has("b") && body.iter().any(|byte| matches!(byte, b'\t' | 8 | b'\r')) {
                return process.unknown("with tabs in lines");
            }
            while body.len() > width {
                let blank = body[..width].iter().rposition(|byte| *byte == b' ').filter(|_| options.has("s"));
                let (now, later) = body.split_at(blank.map_or(width, |blank| blank + 1));
                process.print_line(now);
                body = later;
            }
            process.print(body);
            process.print(&line[without_end(line, b'\n').len()..]);
        }
    }
    Ok(u8::from(!whole))
}

/// The columns of `-t`: one width for all, or a list of places.
fn stops(text: &str) -> Option<Vec<usize>> {
    let stops: Vec<usize> = text.split([',', ' ']).map(|part| part.parse().ok()).collect::<Option<_>>()?;
    (stops.iter().all(|stop| *stop > 0) && stops.is_sorted()).then_some(stops)
}

fn next_stop(stops: &[usize], column: usize) -> usize {
    match stops {
        [every] => (column / every + 1) * every,
        _ => stops.iter().copied().find(|stop| *stop > column).unwrap_or(column + 1),
    }
}

/// expand(1): `-t N[,N…]`, `-i`.
pub(super) fn expand(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "t,tabs= i,initial", Order::Any)?;
    let Some(stops) = stops(options.value("t").unwrap_or("8")) else { return process.unknown("-t with such places") };
    let (files, whole) = process.read_operands(&options.operands)?;
    for (_, bytes) in &files {
        let (mut column, mut leading) = (0, true);
        for byte in bytes {
            match byte {
                b'\t' if leading || !options.has("i") => {
                    let next = next_stop(&stops, column);
                    process.print(" ".repeat(next - column));
                    column = next;
                }
                b'\n' => {
                    process.print("\n");
                    (column, leading) = (0, true);
                }
                _ => {
                    leading &= *byte == b' ' || *byte == b'\t';
                    process.print([*byte]);
                    column += 1;
                }
            }
        }
    }
    Ok(u8::from(!whole))
}

/// unexpand(1) of leading blanks: `-t N`, `--first-only`.
pub(super) fn unexpand(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "t,tabs= ,first-only", Order::Any)?;
    let width = options.value("t").unwrap_or("8");
    let every: usize = match width.parse() {
        Ok(every) if every > 0 && (!options.has("t") || options.has("first-only")) => every,
        _ => return process.unknown("-t without --first-only"),
    };
    let (files, whole) = process.read_operands(&options.operands)?;
    for (_, bytes) in &files {
        for line in lines_with_ends(bytes, b'\n') {
            let blanks = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            let mut column = 0;
            line[..blanks]
                .iter()
                .for_each(|byte| column = if *byte == b'\t' { (column / every + 1) * every } else { column + 1 });
            process.print("\t".repeat(column / every));
            process.print(" ".repeat(column % every));
            process.print(&line[blanks..]);
        }
    }
    Ok(u8::from(!whole))
}
