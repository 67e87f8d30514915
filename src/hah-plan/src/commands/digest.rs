//! md5sum(1), sha1sum(1), sha256sum(1), cksum(1), sum(1), base64(1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Digest as _;

use super::operands::shell_quoted;
use super::options::Order;
use super::{Command, Process, Refusal};

pub(super) const COMMANDS: &[Command] = &[
    Command::always("md5sum", |process, args| sums(process, args, md5)),
    Command::always("sha1sum", |process, args| sums(process, args, sha1)),
    Command::always("sha256sum", |process, args| sums(process, args, sha256)),
    Command::always("cksum", cksum),
    Command::always("base64", base64),
];

fn md5(bytes: &[u8]) -> String {
    hex(&md5::Md5::digest(bytes))
}

fn sha1(bytes: &[u8]) -> String {
    hex(&sha1::Sha1::digest(bytes))
}

fn sha256(bytes: &[u8]) -> String {
    hah_format::digest::Sha256::of(bytes).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// md5sum(1) and its kin: `-b -t -c --quiet --status --strict -w --ignore-missing -z`. BSD's form (`--tag`) is not.
fn sums(process: &mut Process<'_, '_>, args: &[String], digest: fn(&[u8]) -> String) -> Result<u8, Refusal> {
    let spec = "b,binary t,text c,check w,warn z,zero ,quiet ,status ,strict ,ignore-missing";
    let options = process.options(args, spec, Order::Any)?;
    let standard = ["-".to_owned()];
    let names = if options.operands.is_empty() { &standard } else { options.operands.as_slice() };
    let mut status = 0;
    for name in names {
        let Some(bytes) = process.read_operand(name)? else {
            status = 1;
            continue;
        };
        if !options.has("c") {
            let mark = if options.has("b") { '*' } else { ' ' };
            let line = format!("{} {mark}{name}", digest(&bytes));
            if name.contains(['\\', '\n']) {
                return process.unknown(&format!("of {}", shell_quoted(name)));
            }
            process.print(line);
            process.print(if options.has("z") { "\0" } else { "\n" });
            continue;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let length = digest(b"").len();
        let (mut wrong, mut unread, mut good, mut malformed) = (0, 0, 0, 0);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (sum, file) = line.split_at_checked(length).unwrap_or((line, ""));
            let file = file.strip_prefix("  ").or_else(|| file.strip_prefix(" *"));
            let Some(file) = file.filter(|_| sum.bytes().all(|digit| digit.is_ascii_hexdigit())) else {
                malformed += 1;
                continue;
            };
            let read = process.world.read(&process.cwd, file);
            if options.has("ignore-missing") && read == Err(crate::world::Errno::NotFound) {
                continue;
            }
            let verdict = match process.check(file, read)? {
                None => {
                    unread += 1;
                    "FAILED open or read"
                }
                Some(bytes) if digest(&bytes).eq_ignore_ascii_case(sum) => {
                    good += 1;
                    "OK"
                }
                Some(_) => {
                    wrong += 1;
                    "FAILED"
                }
            };
            if !options.has("status") && (!options.has("quiet") || verdict != "OK") {
                process.print_line(format!("{file}: {verdict}"));
            }
        }
        if good + wrong + unread == 0 {
            process.complain(format_args!("{name}: no properly formatted checksum lines found"));
            status = 1;
            continue;
        }
        if !options.has("status") {
            let plural = |count: u32, one: &str, many: &str| if count == 1 { one.to_owned() } else { many.to_owned() };
            if malformed > 0 {
                let what = plural(malformed, "line is", "lines are");
                process.complain(format_args!("WARNING: {malformed} {what} improperly formatted"));
            }
            if unread > 0 {
                let what = plural(unread, "listed file", "listed files");
                process.complain(format_args!("WARNING: {unread} {what} could not be read"));
            }
            if wrong > 0 {
                let what = plural(wrong, "computed checksum", "computed checksums");
                process.complain(format_args!("WARNING: {wrong} {what} did NOT match"));
            }
        }
        if wrong + unread > 0 || malformed > 0 && options.has("strict") {
            status = 1;
        }
    }
    Ok(status)
}

/// cksum(1): POSIX's CRC. Other algorithms (`-a`) are not.
fn cksum(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "", Order::Any)?;
    let (files, whole) = process.read_operands(&options.operands)?;
    for (name, bytes) in files {
        let mut crc = 0_u32;
        let mut add = |byte: u8| {
            crc ^= u32::from(byte) << 24;
            for _ in 0..8 {
                crc = if crc & 0x8000_0000 != 0 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 };
            }
        };
        bytes.iter().for_each(|byte| add(*byte));
        let mut length = bytes.len();
        while length > 0 {
            add((length & 0xff) as u8);
            length >>= 8;
        }
        let name = if options.operands.is_empty() { String::new() } else { format!(" {name}") };
        process.print_line(format!("{} {}{name}", !crc, bytes.len()));
    }
    Ok(u8::from(!whole))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// base64(1): `-d -i -w COLUMNS`.
fn base64(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "d,decode i,ignore-garbage w,wrap=", Order::Any)?;
    let name = options.operands.first().map_or("-", String::as_str);
    let Some(bytes) = process.read_operand(name)? else { return Ok(1) };
    if options.has("d") {
        let value = |byte: u8| ALPHABET.iter().position(|letter| *letter == byte).map(|value| value as u32);
        let (mut bits, mut count, mut out, mut padding, mut bad) = (0_u32, 0, Vec::new(), 0, false);
        for byte in bytes {
            match (byte, value(byte)) {
                (b'\n', _) => {}
                (b'=', _) => padding += 1,
                (_, Some(value)) if padding == 0 => {
                    bits = bits << 6 | value;
                    count += 6;
                    if count >= 8 {
                        count -= 8;
                        out.push((bits >> count) as u8);
                    }
                }
                _ if options.has("i") => {}
                _ => {
                    bad = true;
                    break;
                }
            }
        }
        process.print(out);
        if bad || count == 6 {
            process.complain("invalid input");
            return Ok(1);
        }
        return Ok(0);
    }
    let width: usize = match options.value("w").unwrap_or("76").parse() {
        Ok(width) => width,
        Err(_) => return process.unknown("-w with such a number"),
    };
    let out = STANDARD.encode(&bytes);
    match width {
        0 => process.print(out),
        width => out.as_bytes().chunks(width).for_each(|line| process.print_line(line)),
    }
    Ok(0)
}
