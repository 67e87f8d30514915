//! iconv(1) between UTF-8, ISO-8859-1 and ASCII, which is all that scripts of an image in `C.UTF-8` need.

use super::options::Order;
use super::{Command, Process, Refusal};

pub(super) const COMMANDS: &[Command] = &[Command::always("iconv", iconv)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charset {
    Utf8,
    Latin1,
    Ascii,
}

impl Charset {
    /// By one of its names; what stands behind `//` says what to do with characters that it lacks.
    fn parse(name: &str) -> Option<Self> {
        match name.split("//").next().unwrap_or_default().to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Some(Self::Utf8),
            "ISO-8859-1" | "ISO8859-1" | "ISO_8859-1" | "LATIN1" => Some(Self::Latin1),
            "ASCII" | "US-ASCII" | "ANSI_X3.4-1968" => Some(Self::Ascii),
            _ => None,
        }
    }
}

fn iconv(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "f,from-code= t,to-code= o,output= c s,silent", Order::Any)?;
    if options.has("o") {
        return process.unknown("-o");
    }
    let locale = if process.is_utf8() { "UTF-8" } else { "ASCII" };
    let of = |name: &str| options.value(name).filter(|value| !value.is_empty()).unwrap_or(locale).to_owned();
    let (from, to) = (of("f"), of("t"));
    let (Some(source), Some(target)) = (Charset::parse(&from), Charset::parse(&to)) else {
        return process.unknown(&format!("-f {from} -t {to}"));
    };
    let operands = if options.operands.is_empty() { vec!["-".to_owned()] } else { options.operands.clone() };
    for operand in &operands {
        let Some(bytes) = process.read_operand(operand)? else { return Ok(1) };
        let (text, bad) = decode(&bytes, source);
        let mut out = Vec::new();
        for c in text.chars() {
            match (target, u32::from(c)) {
                (Charset::Utf8, _) => out.extend(c.encode_utf8(&mut [0; 4]).bytes()),
                (_, code @ 0..=0x7f) | (Charset::Latin1, code @ 0..=0xff) => out.push(code as u8),
                _ if to.contains("//") || options.has("c") => return process.unknown(&format!("-t {to} of `{c}`")),
                _ => {
                    process.print(&out);
                    process.complain("cannot convert");
                    return Ok(1);
                }
            }
        }
        process.print(&out);
        if let Some(at) = bad {
            process.complain(format_args!("illegal input sequence at position {at}"));
            return Ok(1);
        }
    }
    Ok(0)
}

/// The text, and where it ends too early.
fn decode(bytes: &[u8], charset: Charset) -> (String, Option<usize>) {
    match charset {
        Charset::Latin1 => (bytes.iter().map(|byte| char::from(*byte)).collect(), None),
        Charset::Utf8 | Charset::Ascii => {
            let limit = match charset {
                Charset::Ascii => bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or(bytes.len()),
                _ => std::str::from_utf8(bytes).err().map_or(bytes.len(), |error| error.valid_up_to()),
            };
            (String::from_utf8_lossy(&bytes[..limit]).into_owned(), (limit < bytes.len()).then_some(limit))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::playground::Playground;

    #[test]
    fn texts_are_converted_or_refused() {
        let mut ours = Playground::of(&[]);
        let mut convert = |words: &str, text: &str| {
            let words: Vec<&str> = words.split(' ').collect();
            ours.try_run(&words, text).map(|done| (done.status, done.stdout)).ok()
        };
        assert_eq!(convert("iconv -f UTF-8 -t UTF-8//TRANSLIT", "é\n"), Some((0, "é\n".into())));
        assert_eq!(convert("iconv -f UTF-8 -t ISO-8859-1", "é\n"), Some((0, vec![0xe9, b'\n'])));
        assert_eq!(convert("iconv -f latin1 -t utf8", "a"), Some((0, b"a".to_vec())));
        assert_eq!(convert("iconv -f UTF-8 -t ASCII", "aé"), Some((1, b"a".to_vec())));
        assert_eq!(convert("iconv -f UTF-8 -t ASCII//TRANSLIT", "é"), None);
        assert_eq!(convert("iconv -f UTF-8 -t KOI8-R", "a"), None);
    }
}
