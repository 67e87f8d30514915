//! `--showformat` of dpkg-query(1): `${Field}`, `${Field;width}` and backslash escapes.

use super::status::Known;

/// One piece of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text as it is.
    Text(String),
    /// A field: its name, and the width: positive to the right, negative to the left, 0 as long as it is.
    Field(String, i64),
}

/// Takes a format apart; an error is dpkg's message.
pub(super) fn parse(format: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = format;
    while let Some(next) = rest.chars().next() {
        if let Some(tail) = rest.strip_prefix("${") {
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            let Some((field, tail)) = tail.split_once('}') else {
                return Err("missing closing brace".to_owned());
            };
            let (name, width) = field.split_once(';').unwrap_or((field, "0"));
            let width = width
                .parse::<i64>()
                .map_err(|_| format!("invalid character '{}' in field width", width.chars().next().unwrap_or(' ')))?;
            pieces.push(Piece::Field(name.to_owned(), width));
            rest = tail;
            continue;
        }
        if let Some(tail) = rest.strip_prefix('\\') {
            let escaped = tail.chars().next();
            text.push(match escaped {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            });
            rest = tail.get(escaped.map_or(0, char::len_utf8)..).unwrap_or_default();
            continue;
        }
        text.push(next);
        rest = rest.get(next.len_utf8()..).unwrap_or_default();
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// The pieces with the values that `value` knows.
pub(super) fn render(pieces: &[Piece], value: &dyn Fn(&str) -> String) -> String {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Field(name, width) => {
                let value = value(name);
                let wide = usize::try_from(width.unsigned_abs()).unwrap_or(0).min(1024);
                match *width {
                    0 => value,
                    // dpkg cuts what is longer than the width.
                    width if width > 0 => format!("{:>wide$.wide$}", value),
                    _ => format!("{:<wide$.wide$}", value),
                }
            }
        })
        .collect()
}

/// A field of a package that others only speak of.
pub(super) fn value_of_name(field: &str, package: &str) -> String {
    match field.to_ascii_lowercase().as_str() {
        "package" | "binary:package" | "source:package" => package,
        "status" => "unknown ok not-installed",
        "db:status-abbrev" => "un ",
        "db:status-want" => "unknown",
        "db:status-status" => "not-installed",
        "db:status-eflag" => "ok",
        "binary:summary" | "binary:synopsis" => "(no description available)",
        _ => "",
    }
    .to_owned()
}

/// A field of the control file, or one of dpkg-query's virtual fields.
pub(super) fn value(name: &str, known: &Known<'_>) -> String {
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        "binary:package" => known.binary_name(),
        "binary:summary" | "binary:synopsis" => known.summary().to_owned(),
        "db:status-abbrev" => format!("i{} ", known.state.letter()),
        "db:status-want" => "install".to_owned(),
        "db:status-status" => known.state.as_str().to_owned(),
        "db:status-eflag" => "ok".to_owned(),
        "db-fsys:files" => super::query::listing(known.package).into_iter().map(|path| format!(" {path}\n")).collect(),
        "source:package" => source(known).0,
        "source:version" => source(known).1,
        "source:upstream-version" => {
            let (_, version) = source(known);
            let version = version.split_once(':').map_or(version.as_str(), |(_, rest)| rest);
            version.rsplit_once('-').map_or(version, |(upstream, _)| upstream).to_owned()
        }
        "package" => known.package.name.to_string(),
        "version" => known.package.version.to_string(),
        "architecture" => known.package.architecture.to_string(),
        _ => known.get(name).unwrap_or_default().to_owned(),
    }
}

/// Name and version of the source package.
fn source(known: &Known<'_>) -> (String, String) {
    let version = known.package.version.to_string();
    match known.get("Source") {
        None => (known.package.name.to_string(), version),
        Some(text) => match text.split_once(" (") {
            Some((name, rest)) => (name.to_owned(), rest.trim_end_matches(')').to_owned()),
            None => (text.to_owned(), version),
        },
    }
}
