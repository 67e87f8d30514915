//! The reference of what files may contain, as Markdown, from the parser's own tables.

use std::fmt::Write as _;

use super::schema::{BOARD, CLUSTER, IMAGE, Need, Object, RECIPE, Shape};

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// `recipes/NAME.toml`.
    Recipe,
    /// `images/NAME.toml`.
    Image,
    /// `recipes/boards/NAME.toml`.
    Board,
    /// `cluster.toml`.
    Cluster,
}

impl FileKind {
    fn path(self) -> &'static str {
        match self {
            Self::Recipe => "recipes/NAME.toml",
            Self::Image => "images/NAME.toml",
            Self::Board => "recipes/boards/NAME.toml",
            Self::Cluster => "cluster.toml",
        }
    }

    fn object(self) -> &'static Object {
        match self {
            Self::Recipe => &RECIPE,
            Self::Image => &IMAGE,
            Self::Board => &BOARD,
            Self::Cluster => &CLUSTER,
        }
    }
}

/// Every key of a kind of file: its value, whether it must be there, what it is for; one section a table.
pub fn keys(kind: FileKind) -> String {
    let mut out = format!("# Keys of `{}`\n", kind.path());
    // Writing to a String cannot fail.
    let _ = table(&mut out, "", kind.object());
    out
}

/// The table `object`, whose keys are below `path`, and then the tables in it.
fn table(out: &mut String, path: &str, object: &'static Object) -> std::fmt::Result {
    writeln!(out, "\n| key | value | what it is for |\n|---|---|---|")?;
    let mut below = Vec::new();
    for key in object.keys() {
        let place = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        let must = if key.need == Need::Required { ", **required**" } else { "" };
        let value = value(&key.shape, &place, &mut below);
        writeln!(out, "| `{}` | {value}{must} | {} |", key.name, cell(key.doc))?;
    }
    for Section { header, path, object } in below {
        write!(out, "\n## {header}\n")?;
        table(out, &path, object)?;
    }
    Ok(())
}

/// A table within a file.
struct Section {
    /// As TOML spells it, in backticks: `[[unit.drop-in]]`.
    header: String,
    /// `unit.drop-in`.
    path: String,
    object: &'static Object,
}

/// What a value may be; the tables that it leads to are added to `below`.
fn value(shape: &'static Shape, place: &str, below: &mut Vec<Section>) -> String {
    match shape {
        Shape::Text(kind) => cell(kind.doc),
        Shape::Integer(min, max) => format!("integer, {min} to {max}"),
        Shape::Boolean => "`true` or `false`".to_owned(),
        Shape::Choice(choices) => {
            choices.iter().map(|choice| format!("`\"{choice}\"`")).collect::<Vec<_>>().join(" or ")
        }
        Shape::List(Shape::Table(object)) => section(format!("`[[{place}]]`"), place, object, below),
        // An inline table, which TOML gives no header.
        Shape::List(Shape::Either(short, Shape::Table(object))) => format!(
            "array, each item {}, or {}",
            value(short, place, below),
            section(format!("item of `{place}`"), place, object, below)
        ),
        Shape::List(item) => format!("array, each item {}", value(item, place, below)),
        Shape::Table(object) => section(format!("`[{place}]`"), place, object, below),
        Shape::Named(_, Shape::Table(object)) => {
            let path = format!("{place}.NAME");
            section(format!("`[{path}]`"), &path, object, below)
        }
        Shape::Named(kind, item) => {
            format!("table; keys: {}; values: {}", cell(kind.doc), value(item, place, below))
        }
        Shape::Either(short, long) => format!("{}, or {}", value(short, place, below), value(long, place, below)),
        Shape::Value => "string, integer, boolean or array".to_owned(),
    }
}

fn section(header: String, path: &str, object: &'static Object, below: &mut Vec<Section>) -> String {
    let link = format!("[{header}](#{})", anchor(&header));
    below.push(Section { header, path: path.to_owned(), object });
    link
}

/// How GitHub names the place of a heading.
fn anchor(heading: &str) -> String {
    heading
        .chars()
        .filter(|letter| letter.is_alphanumeric() || "- ".contains(*letter))
        .map(|letter| if letter == ' ' { '-' } else { letter.to_ascii_lowercase() })
        .collect()
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
