//! date(1), from the lock's epoch and in UTC; and the calendar that other commands use.

mod calendar;

use super::options::Order;
use super::{Command, Process, Refusal};

pub(super) use calendar::{format_time, parse_date, parse_stamp};

pub(super) const COMMANDS: &[Command] = &[Command::always("date", date)];

const SPEC: &str = "d,date= u,utc ,universal R,rfc-email I,iso-8601=? ,rfc-3339= r,reference= f,file= s,set=";

/// date(1): `+FORMAT`, `-d @SECONDS` and plain dates, `-u`, `-R`, `-I[SPEC]`, `--rfc-3339`, `-r FILE`. Setting the clock fails.
fn date(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, SPEC, Order::Any)?;
    if process.env.get("TZ").is_some_and(|zone| !matches!(zone.as_str(), "" | "UTC" | "UTC0" | "GMT" | "Etc/UTC")) {
        return process.unknown("in a time zone");
    }
    if options.has("s") || options.has("f") {
        return process.unknown("-s or -f");
    }
    let mut time = i64::from(process.world.epoch);
    if let Some(path) = options.value("r") {
        let stat = process.stat(path);
        match process.check(path, stat)? {
            Some(stat) => time = stat.meta.mtime.into(),
            None => return Ok(1),
        }
    }
    if let Some(text) = options.value("d") {
        match parse_date(text, time) {
            Some(parsed) => time = parsed,
            None => return process.unknown(&format!("-d '{text}'")),
        }
    }
    let mut format = "%a %b %e %H:%M:%S UTC %Y".to_owned();
    for given in &options.given {
        match (given.name, given.value.as_deref()) {
            ("R", _) => format = "%a, %d %b %Y %H:%M:%S +0000".to_owned(),
            ("I", None | Some("date")) => format = "%Y-%m-%d".to_owned(),
            ("I", Some("hours")) => format = "%Y-%m-%dT%H+00:00".to_owned(),
            ("I", Some("minutes")) => format = "%Y-%m-%dT%H:%M+00:00".to_owned(),
            ("I", Some("seconds")) => format = "%Y-%m-%dT%H:%M:%S+00:00".to_owned(),
            ("rfc-3339", Some("date")) => format = "%Y-%m-%d".to_owned(),
            ("rfc-3339", Some("seconds")) => format = "%Y-%m-%d %H:%M:%S+00:00".to_owned(),
            ("I" | "rfc-3339", _) => return process.unknown(&format!("--{}={}", given.name, given.text())),
            _ => {}
        }
    }
    match options.operands.as_slice() {
        [] => {}
        [text] if text.starts_with('+') => format = text[1..].to_owned(),
        [text, ..] => return process.unknown(text),
    }
    match format_time(&format, time) {
        Ok(text) => process.print_line(text),
        Err(what) => return process.unknown(&format!("the format %{what}")),
    }
    Ok(0)
}
