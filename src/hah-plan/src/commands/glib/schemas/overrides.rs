//! `*.gschema.override`: other defaults, `[SCHEMA]` or `[SCHEMA:DESKTOP]` and lines `key=value`.

use super::source::{Entry, Schema};
use crate::commands::glib::hash_table::HashTable;
use crate::commands::glib::variant::parse;

/// Sets the defaults that `text` gives; what is wrong with a line is told, and the others hold.
pub(super) fn apply(schemas: &mut HashTable<Schema>, text: &str) -> Vec<String> {
    let lines = match lines(text) {
        Ok(lines) => lines,
        Err(error) => return vec![format!("{error}; this file is ignored")],
    };
    lines.iter().filter_map(|line| apply_line(schemas, line).err()).collect()
}

struct Line<'t> {
    group: &'t str,
    key: &'t str,
    value: &'t str,
}

/// The lines of a key file that set something.
fn lines(text: &str) -> Result<Vec<Line<'_>>, String> {
    let (mut group, mut found) = (None, Vec::new());
    for line in text.lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            group = Some(name.trim_end().strip_suffix(']').ok_or_else(|| format!("Invalid group name: {line}"))?);
            continue;
        }
        let (key, value) = line.split_once('=').ok_or_else(|| format!("“{line}” is not a key-value pair"))?;
        let group = group.ok_or("Key file does not start with a group")?;
        // A key with a language is another translation's.
        if !key.contains('[') {
            found.push(Line { group, key: key.trim_end(), value: value.trim_start() });
        }
    }
    Ok(found)
}

fn apply_line(schemas: &mut HashTable<Schema>, line: &Line<'_>) -> Result<(), String> {
    let Line { group, key: name, value } = line;
    let (id, desktop) = group.split_once(':').map_or((*group, None), |(id, desktop)| (id, Some(desktop)));
    // That a schema is not installed is usual.
    let Some(schema) = schemas.get_mut(id) else { return Ok(()) };
    let Some(Entry::Key(key)) = schema.keys.get_mut(name) else {
        return Err(format!("No such key “{name}” in schema “{group}”"));
    };
    if desktop.is_some() && key.translation.is_some() {
        return Err(format!("Cannot provide per-desktop overrides for localized key “{name}” in schema “{group}”"));
    }
    let value =
        parse(&key.kind, value).map_err(|error| format!("Error parsing key “{name}” in schema “{group}”: {error}"))?;
    key.check(&value).map_err(|_| format!("Override for key “{name}” in schema “{group}” is out of its range"))?;
    match desktop {
        Some(desktop) => key.by_desktop.insert(desktop, value),
        None => key.default = Some(value),
    }
    Ok(())
}
