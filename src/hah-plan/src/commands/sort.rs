//! sort(1) and uniq(1), in the order of bytes as in the locales `C` and `C.UTF-8`.

mod key;
mod unique;

use std::cmp::Ordering;

use super::operands::{lines_with_ends, without_end};
use super::options::Order;
use super::{Command, Process, Refusal};

use key::{Key, Style};

pub(super) const COMMANDS: &[Command] = &[Command::always("sort", sort), Command::always("uniq", unique::uniq)];

pub(super) use key::version_order;

const SPEC: &str = "b,ignore-leading-blanks d,dictionary-order f,ignore-case g i,ignore-nonprinting M,month-sort \
    h,human-numeric-sort n,numeric-sort R r,reverse V,version-sort c,check=? C k,key= m,merge o,output= s,stable \
    S,buffer-size= t,field-separator= T,temporary-directory= u,unique z,zero-terminated ,parallel= ,sort=";

/// sort(1): `-b -d -f -i -M -h -n -r -V`, `-k`, `-t`, `-u -s -c -C -m -o -z`.
///
/// Random order (`-R`) and floating point (`-g`) are not.
fn sort(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let mut options = process.options(args, SPEC, Order::Any)?;
    // `sort -c` takes no value by its letter: what was attached are more letters.
    for refused in ["R", "g"] {
        if options.has(refused) {
            return process.unknown(&format!("-{refused}"));
        }
    }
    let mut check = options.has("C") || options.has("c");
    if let Some(letters) = options.value("c").filter(|letters| !letters.is_empty()).map(str::to_owned) {
        match letters.as_str() {
            "silent" | "quiet" | "diagnose-first" => {}
            _ => {
                let more = process.options(&[format!("-{letters}")], SPEC, Order::Any)?;
                options.given.extend(more.given);
            }
        }
        check = true;
    }
    let mut global = Style::default();
    for given in &options.given {
        match (given.name, given.value.as_deref()) {
            ("sort", Some("numeric")) => global.set('n'),
            ("sort", Some("version")) => global.set('V'),
            ("sort", Some("month")) => global.set('M'),
            ("sort", Some("human-numeric")) => global.set('h'),
            ("sort", Some(other)) => return process.unknown(&format!("--sort={other}")),
            (name, _) if name.len() == 1 && "bdfiMhnrV".contains(name) => {
                global.set(name.chars().next().unwrap_or('n'))
            }
            _ => {}
        }
    }
    let mut keys = Vec::new();
    for given in options.given.iter().filter(|given| given.name == "k") {
        match Key::parse(given.text(), &global) {
            Some(key) => keys.push(key),
            None => {
                let text = process.quote(given.text());
                process.complain(format_args!("invalid field specification {text}"));
                return Ok(2);
            }
        }
    }
    let separator = match options.value("t").map(str::as_bytes) {
        None => None,
        Some([one]) => Some(*one),
        Some(b"\\0") => Some(0),
        Some(_) => {
            process.complain("multi-character tab");
            return Ok(2);
        }
    };
    let whole_line = keys.is_empty();
    if whole_line {
        keys.push(Key::whole(&global));
    }
    let end = if options.has("z") { 0 } else { b'\n' };
    let standard = ["-".to_owned()];
    let names = if options.operands.is_empty() { &standard } else { options.operands.as_slice() };
    let mut texts = Vec::new();
    for name in names {
        let read = match name.as_str() {
            "-" => Ok(process.take_stdin()),
            _ => process.world.read(&process.cwd, name),
        };
        let Some(mut bytes) = process.check(&format!("cannot read: {name}"), read)? else { return Ok(2) };
        if bytes.last().is_some_and(|last| *last != end) {
            bytes.push(end);
        }
        texts.push(bytes);
    }
    let length = texts.iter().map(Vec::len).sum();
    let per_file: Vec<Vec<&[u8]>> =
        texts.iter().map(|text| lines_with_ends(text, end).map(|line| without_end(line, end)).collect()).collect();
    let mut lines: Vec<&[u8]> = per_file.concat();
    process.world.spend_steps(lines.len() as u64)?;
    let by_keys = |left: &&[u8], right: &&[u8]| {
        keys.iter()
            .map(|key| key.compare(left, right, separator))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    };
    let unique = options.has("u");
    // The last resort is the whole line, where neither `-s` nor `-u` says that keys decide.
    let last_resort = !unique && !options.has("s");
    let order = |left: &&[u8], right: &&[u8]| {
        by_keys(left, right).then_with(|| match last_resort {
            true if global.reverse => right.cmp(left),
            true => left.cmp(right),
            false => Ordering::Equal,
        })
    };
    if check {
        let wrong = lines.windows(2).position(|pair| match unique {
            true => by_keys(&pair[0], &pair[1]).is_ge(),
            false => order(&pair[0], &pair[1]).is_gt(),
        });
        if let Some(index) = wrong
            && !options.has("C")
            && !matches!(options.value("c"), Some("silent" | "quiet"))
        {
            let line = String::from_utf8_lossy(lines[index + 1]).into_owned();
            process.complain(format_args!("{}:{}: disorder: {line}", names[0], index + 2));
        }
        return Ok(u8::from(wrong.is_some()));
    }
    if options.has("m") {
        lines = merged(per_file, order);
    } else {
        lines.sort_by(order);
    }
    if unique {
        lines.dedup_by(|right, left| by_keys(left, right).is_eq());
    }
    let mut out = Vec::with_capacity(length);
    for line in lines {
        out.extend_from_slice(line);
        out.push(end);
    }
    match options.value("o") {
        None => process.print(out),
        Some(path) => {
            let written = process.write_file(path, &out);
            if process.check(&format!("open failed: {path}"), written)?.is_none() {
                return Ok(2);
            }
        }
    }
    Ok(0)
}

/// `sort -m`: files are in order already, and the first line of each is all that is compared.
fn merged<'t>(files: Vec<Vec<&'t [u8]>>, order: impl Fn(&&'t [u8], &&'t [u8]) -> Ordering) -> Vec<&'t [u8]> {
    let mut files: Vec<_> = files.into_iter().map(|lines| lines.into_iter().peekable()).collect();
    let mut out = Vec::new();
    loop {
        let mut least: Option<(usize, &[u8])> = None;
        for (index, lines) in files.iter_mut().enumerate() {
            if let Some(line) = lines.peek()
                && least.is_none_or(|(_, least)| order(line, &least).is_lt())
            {
                least = Some((index, line));
            }
        }
        let Some((index, line)) = least else { return out };
        files[index].next();
        out.push(line);
    }
}
