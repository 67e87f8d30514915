//! From TOML text to a tree that conforms to a table of [`super::schema`], every deviation reported.
//!
//! What does not conform is replaced by [`Value::Refused`], so that the next stage can read what is left without reporting
//! the same mistake twice.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Located, Place, Problem, Report, Text};
use super::schema::{Key, Need, Object, Shape};

/// Most entries of one array or table of names.
const ENTRIES_MAX: usize = 4096;

/// The message of the `toml` crate that is no consequence of another.
const DUPLICATE: &str = "duplicate key";

/// A TOML value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// A TOML value. Floats and dates occur in no file of ours and are only named in messages.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Item>),
    Table(BTreeMap<String, (Place, Item)>),
    Other(&'static str),
    /// It was there and does not conform, which has been reported.
    Refused,
}

impl Value {
    /// What to call it in `is …`.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Boolean(_) => "a boolean",
            Self::List(_) => "an array",
            Self::Table(_) => "a table",
            Self::Other(noun) => noun,
            Self::Refused => "refused",
        }
    }
}

/// A table that conforms to an [`Object`], being read key by key.
#[derive(Debug)]
pub(super) struct Fields {
    entries: BTreeMap<String, (Place, Item)>,
    /// The table's header, or the inline table.
    pub(super) place: Place,
}

/// Parses `text` and keeps what conforms to `object`. `None` when it is not TOML.
pub(super) fn parse(text: &Arc<Text>, object: &'static Object, report: &mut Report) -> Option<Fields> {
    let root = parse_toml(text, report)?;
    let root = conform_table(root, object, report);
    Some(root)
}

/// Parses one TOML value, for overrides on the command line. Its places mean nothing.
pub(super) fn parse_value(text: &str) -> Option<Value> {
    let value = DeValue::parse(text).ok()?;
    let text = Arc::new(Text { shown: String::new(), text: text.to_owned() });
    Some(own(&text, &value, &mut Report::default()).value)
}

fn parse_toml(text: &Arc<Text>, report: &mut Report) -> Option<Item> {
    let (table, errors) = DeTable::parse_recoverable(&text.text);
    if errors.is_empty() {
        let entries = own_table(text, table.get_ref(), report);
        return Some(Item { value: Value::Table(entries), place: Place { text: text.clone(), range: 0..0 } });
    }
    // What follows the first syntax error is mostly guessed; keys that occur twice are not.
    let mut is_first = true;
    for error in errors.iter().filter(|error| error.message() == DUPLICATE || std::mem::take(&mut is_first)) {
        let place = Place { text: text.clone(), range: error.span().unwrap_or_default() };
        report.at(&place, Problem::Syntax(error.message().replace('\n', ", ")));
    }
    None
}

fn own_table(text: &Arc<Text>, table: &DeTable<'_>, report: &mut Report) -> BTreeMap<String, (Place, Item)> {
    let place = |span| Place { text: text.clone(), range: span };
    table
        .iter()
        .map(|(key, value)| (key.get_ref().to_string(), (place(key.span()), own(text, value, report))))
        .collect()
}

fn own(text: &Arc<Text>, value: &Spanned<DeValue<'_>>, report: &mut Report) -> Item {
    let place = Place { text: text.clone(), range: value.span() };
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => {
                report.at(&place, Problem::Syntax("the integer does not fit into 64 bits".to_owned()));
                Value::Refused
            }
        },
        DeValue::Float(_) => Value::Other("a float"),
        DeValue::Boolean(boolean) => Value::Boolean(*boolean),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(array) => Value::List(array.iter().map(|item| own(text, item, report)).collect()),
        DeValue::Table(table) => Value::Table(own_table(text, table, report)),
    };
    Item { value, place }
}

fn conform_table(item: Item, object: &'static Object, report: &mut Report) -> Fields {
    let Item { value: Value::Table(entries), place } = item else {
        return Fields { entries: BTreeMap::new(), place: item.place };
    };
    let mut kept = BTreeMap::new();
    for key in object.keys().filter(|key| key.need == Need::Required && !entries.contains_key(key.name)) {
        report.at(&place, Problem::MissingKey { object: object.name, key: key.name, doc: key.doc });
    }
    for (name, (key_place, item)) in entries {
        let Some(Key { shape, .. }) = object.keys().find(|key| key.name == name) else {
            let known = object.keys().map(|key| key.name).collect();
            report.at(&key_place, Problem::UnknownKey { key: name, object: object.name, known });
            continue;
        };
        let place = item.place.clone();
        let item = conform(item, shape, &name, report).unwrap_or(Item { value: Value::Refused, place });
        kept.insert(name, (key_place, item));
    }
    Fields { entries: kept, place }
}

fn conform(item: Item, shape: &'static Shape, key: &str, report: &mut Report) -> Option<Item> {
    let Item { value, place } = item;
    let value = match (value, shape) {
        (Value::Text(text), Shape::Text(kind)) => {
            if let Some(reason) = kind.refusal(&text) {
                report.at(&place, Problem::Invalid { reason, hint: "" });
                return None;
            }
            Value::Text(text)
        }
        (Value::Text(text), Shape::Choice(choices)) => {
            if !choices.contains(&text.as_str()) {
                let choices = choices.iter().map(|choice| (*choice).to_owned()).collect();
                report.at(&place, Problem::NotAChoice { key: key.to_owned(), got: text, choices });
                return None;
            }
            Value::Text(text)
        }
        (Value::Integer(number), Shape::Integer(min, max)) => {
            if !(*min..=*max).contains(&number) {
                let [got, min, max] = [number, *min, *max].map(|number| number.to_string());
                report.at(&place, Problem::OutOfRange { key: key.to_owned(), got, min, max });
                return None;
            }
            Value::Integer(number)
        }
        (value @ Value::Boolean(_), Shape::Boolean) => value,
        (value @ (Value::Text(_) | Value::Integer(_) | Value::Boolean(_) | Value::List(_)), Shape::Value) => value,
        (Value::List(items), Shape::List(shape)) => {
            if items.len() > ENTRIES_MAX {
                report.at(&place, Problem::TooMany { key: key.to_owned(), max: ENTRIES_MAX });
                return None;
            }
            Value::List(items.into_iter().filter_map(|item| conform(item, shape, key, report)).collect())
        }
        (value @ Value::Table(_), Shape::Table(object)) => {
            let fields = conform_table(Item { value, place: place.clone() }, object, report);
            Value::Table(fields.entries)
        }
        (Value::Table(entries), Shape::Named(kind, shape)) => {
            let mut kept = BTreeMap::new();
            for (name, (key_place, item)) in entries {
                if kept.len() >= ENTRIES_MAX {
                    report.at(&key_place, Problem::TooMany { key: key.to_owned(), max: ENTRIES_MAX });
                    break;
                }
                if let Some(reason) = kind.refusal(&name) {
                    report.at(&key_place, Problem::Invalid { reason, hint: "" });
                } else if let Some(item) = conform(item, shape, &name, report) {
                    kept.insert(name, (key_place, item));
                }
            }
            Value::Table(kept)
        }
        (value @ Value::Table(_), Shape::Either(_, long)) => return conform(Item { value, place }, long, key, report),
        (value @ Value::Text(_), Shape::Either(short, _)) => return conform(Item { value, place }, short, key, report),
        (Value::Refused, _) => return None,
        (value, shape) => {
            let problem = Problem::WrongType { key: key.to_owned(), got: value.noun(), want: shape.noun() };
            report.at(&place, problem);
            return None;
        }
    };
    Some(Item { value, place })
}

impl Item {
    /// A table's fields; none when it is none.
    pub(super) fn fields(self) -> Fields {
        match self.value {
            Value::Table(entries) => Fields { entries, place: self.place },
            _ => Fields { entries: BTreeMap::new(), place: self.place },
        }
    }

    /// A string.
    pub(super) fn text(self) -> Option<Located<String>> {
        match self.value {
            Value::Text(value) => Some(Located { value, place: self.place }),
            _ => None,
        }
    }
}

impl Located<String> {
    /// Parses the string; a refusal is reported here.
    pub(super) fn parse<T: FromStr>(self, hint: &'static str, report: &mut Report) -> Option<Located<T>>
    where
        T::Err: std::fmt::Display,
    {
        match self.value.parse() {
            Ok(value) => Some(Located { value, place: self.place }),
            Err(error) => {
                report.at(&self.place, Problem::Invalid { reason: error.to_string(), hint });
                None
            }
        }
    }
}

impl Fields {
    /// The value of `key`, once.
    pub(super) fn take(&mut self, key: &str) -> Option<Item> {
        self.entries.remove(key).map(|(_, item)| item)
    }

    /// Whether `key` was there and has not been taken.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The string `key`, which stays to be taken.
    pub(super) fn peek(&self, key: &str) -> Option<&str> {
        match &self.entries.get(key)?.1.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A string.
    pub(super) fn text(&mut self, key: &str) -> Option<Located<String>> {
        self.take(key)?.text()
    }

    /// A string that parses as `T`.
    pub(super) fn parsed<T: FromStr>(&mut self, key: &str, report: &mut Report) -> Option<Located<T>>
    where
        T::Err: std::fmt::Display,
    {
        self.text(key)?.parse("", report)
    }

    /// One of a few words, as the first of `words` that goes with it; the first without the key.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(key);
        match text {
            None => words.first().map(|(_, value)| *value),
            Some(text) => words.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value),
        }
    }

    /// An integer.
    pub(super) fn integer(&mut self, key: &str) -> Option<Located<i64>> {
        let item = self.take(key)?;
        match item.value {
            Value::Integer(value) => Some(Located { value, place: item.place }),
            _ => None,
        }
    }

    /// A boolean, `false` without.
    pub(super) fn is_true(&mut self, key: &str) -> bool {
        matches!(self.take(key), Some(Item { value: Value::Boolean(true), .. }))
    }

    /// The items of an array, none without.
    pub(super) fn list(&mut self, key: &str) -> Vec<Item> {
        match self.take(key).map(|item| item.value) {
            Some(Value::List(items)) => items,
            _ => Vec::new(),
        }
    }

    /// The strings of an array, none without.
    pub(super) fn texts(&mut self, key: &str) -> Vec<Located<String>> {
        self.list(key).into_iter().filter_map(Item::text).collect()
    }

    /// A table; an empty one without.
    pub(super) fn table(&mut self, key: &str) -> Fields {
        let place = self.place.clone();
        self.take(key).map_or(Fields { entries: BTreeMap::new(), place }, Item::fields)
    }

    /// A table of names, by name.
    pub(super) fn named(&mut self, key: &str) -> Vec<(Located<String>, Item)> {
        self.table(key).into_named()
    }

    /// Every key as a name, by name.
    pub(super) fn into_named(self) -> Vec<(Located<String>, Item)> {
        let named = |(name, (place, item))| (Located { value: name, place }, item);
        self.entries.into_iter().map(named).collect()
    }
}
