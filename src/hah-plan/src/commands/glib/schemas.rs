//! glib-compile-schemas(1): `*.gschema.xml`, `*.enums.xml` and `*.gschema.override` of a directory become
//! `gschemas.compiled`, the one file from which GSettings knows keys, types and defaults.
//!
//! A file with an error is left out as a whole and a line of an override by itself, with a message; `--strict` makes
//! either the end.

mod markup;
mod strings;
mod key;
mod source;
mod overrides;

use hah_format::path::TreePath;

use super::gvdb::{Item, Table};
use super::hash_table::HashTable;
use super::variant::{Type, Value};
use crate::commands::{Process, Refusal};
use crate::world::World;

use key::Key;
use source::{Schema, Sources};

struct Options {
    dir: String,
    target: String,
    is_strict: bool,
    is_dry: bool,
    allows_any_name: bool,
}

pub(super) fn glib_compile_schemas(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let Some(options) = options(process, arguments)? else {
        process.stderr.extend_from_slice("You should give exactly one directory name\n".as_bytes());
        return Ok(1);
    };
    let root = TreePath::root();
    let mut files = match process.world.list(&root, &options.dir) {
        Ok(files) => files,
        Err(error) if error.is_final() => return Err(error.into()),
        Err(error) => {
            let text = format!("Error opening directory “{}”: {error}\n", options.dir);
            process.stderr.extend_from_slice(text.as_bytes());
            return Ok(1);
        }
    };
    // Enumerations first: schemas name them.
    files.sort_by_key(|name| (!name.ends_with(".enums.xml"), name.clone()));
    let is_source = |name: &&String| name.ends_with(".gschema.xml") || name.ends_with(".enums.xml");
    let cache = format!("{}/gschemas.compiled", options.target);
    if !files.iter().any(|name| is_source(&name)) {
        if process.world.exists(&root, &cache) {
            process.world.unlink(&root, &cache)?;
            process.print_line("No schema files found: removed existing output file.");
        } else {
            process.print_line("No schema files found: doing nothing.");
        }
        return Ok(0);
    }
    let mut sources = Sources::new(options.allows_any_name);
    for name in files.iter().filter(is_source) {
        let path = format!("{}/{name}", options.dir);
        let text = text(process, &path)?;
        let result = sources.load(&text);
        if let Err(error) = result {
            let end = if options.is_strict {
                "--strict was specified; exiting."
            } else {
                "This entire file has been ignored."
            };
            say(process, &format!("{path}:{error}.  {end}"));
            if options.is_strict {
                return Ok(1);
            }
        }
    }
    files.sort_unstable();
    for name in files.iter().filter(|name| name.ends_with(".gschema.override")) {
        let path = format!("{}/{name}", options.dir);
        let text = text(process, &path)?;
        for error in overrides::apply(&mut sources.schemas, &text) {
            say(process, &format!("{error}, as specified in override file “{path}”"));
            if options.is_strict {
                return Ok(1);
            }
        }
    }
    let mut table = Table::new();
    for (id, schema) in sources.schemas.iter() {
        table.add(id, Item::Table(table_of(process, schema, &sources.schemas)));
    }
    if !options.is_dry {
        process.world.write(&root, &cache, 0o644, table.file())?;
    }
    Ok(0)
}

/// `None` without exactly one directory.
fn options(process: &Process<'_, '_>, arguments: &[String]) -> Result<Option<Options>, Refusal> {
    let (mut dirs, mut target) = (Vec::new(), None);
    let (mut is_strict, mut is_dry, mut allows_any_name) = (false, false, false);
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--strict" => is_strict = true,
            "--dry-run" => is_dry = true,
            "--allow-any-name" => allows_any_name = true,
            "--targetdir" => target = words.next().map(str::to_owned),
            _ if word.starts_with("--targetdir=") => target = word.split_once('=').map(|(_, dir)| dir.to_owned()),
            option if option.starts_with('-') => return process.unknown(option),
            dir => dirs.push(dir),
        }
    }
    let [dir] = dirs[..] else { return Ok(None) };
    let absolute = |dir: &str| World::absolute(&process.cwd, dir).trim_end_matches('/').to_owned();
    let (dir, target) = (absolute(dir), absolute(target.as_deref().unwrap_or(dir)));
    Ok(Some(Options { dir, target, is_strict, is_dry, allows_any_name }))
}

fn say(process: &mut Process<'_, '_>, text: &str) {
    process.stderr.extend_from_slice(format!("{text}\n").as_bytes());
}

fn text(process: &mut Process<'_, '_>, path: &str) -> Result<String, Refusal> {
    let bytes = process.world.read(&TreePath::root(), path)?;
    String::from_utf8(bytes)
        .map_err(|_| Refusal::new(format!("`glib-compile-schemas` cannot read {path}: it is not UTF-8")))
}

/// The table of a schema.
fn table_of(process: &mut Process<'_, '_>, schema: &Schema, schemas: &HashTable<Schema>) -> Table {
    let mut table = Table::new();
    let mut is_translated = false;
    for (name, key) in schema.keys.iter() {
        let (kind, value) = match key {
            source::Entry::Child(child) => {
                if schemas.get(child).is_none() {
                    say(process, &format!("Warning: undefined reference to <schema id='{child}'/>"));
                }
                (Type::Basic('s'), Value::text(child))
            }
            source::Entry::Key(key) => {
                is_translated |= key.translation.is_some();
                value_of(key)
            }
        };
        table.add(name, Item::Value(kind, value));
    }
    let domain = schema.domain.as_ref().filter(|_| is_translated);
    let hidden = [(".path", &schema.path), (".extends", &schema.extends), (".list-of", &schema.list_of)].into_iter();
    for (name, text) in hidden.filter_map(|(name, text)| text.as_ref().map(|text| (name, text))) {
        table.add_hidden(name, text);
    }
    if let Some(domain) = domain {
        table.add_hidden(".gettext-domain", domain);
    }
    table
}

/// `(default, (letter, what it says)…)`: `l` translation, `c` `e` `f` strings, `r` range, `d` values by desktop.
fn value_of(key: &Key) -> (Type, Value) {
    let mut types = vec![key.kind.clone()];
    let mut values = vec![key.default.clone().unwrap_or(Value::Bool(false))];
    let byte = || Type::Basic('y');
    let letter = |letter: char| Value::Integer(i128::from(u32::from(letter)));
    let mut add = |name: char, kind: Type, value: Value| {
        types.push(Type::Tuple(vec![byte(), kind]));
        values.push(Value::Tuple(vec![letter(name), value]));
    };
    if let Some(translation) = &key.translation {
        let text = key.written.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
        let text = match &translation.context {
            Some(context) => format!("{context}\u{4}{text}"),
            None => text.to_owned(),
        };
        let kind = Type::Tuple(vec![byte(), Type::Basic('s')]);
        add('l', kind, Value::Tuple(vec![letter(translation.category), Value::Text(text)]));
    }
    if !key.strings.is_empty() {
        let words = key.strings.words().into_iter().map(|word| Value::Integer(i128::from(word))).collect();
        add(key.strings_are.letter(), Type::Array(Box::new(Type::Basic('u'))), Value::Array(words));
    }
    if let Some((least, most)) = &key.range {
        let kind = Type::Tuple(vec![key.kind.clone(), key.kind.clone()]);
        add('r', kind, Value::Tuple(vec![least.clone(), most.clone()]));
    }
    if key.by_desktop.len() > 0 {
        let entry = Type::Entry(Box::new(Type::Basic('s')), Box::new(Type::Basic('v')));
        let entries = key.by_desktop.iter().map(|(desktop, value)| {
            let value = Value::Variant(Box::new((key.kind.clone(), value.clone())));
            Value::Tuple(vec![Value::text(desktop), value])
        });
        add('d', Type::Array(Box::new(entry)), Value::Array(entries.collect()));
    }
    (Type::Tuple(types), Value::Tuple(values))
}

#[cfg(test)]
mod tests;
