//! A key: its type, its default and what values it may have.

use std::cmp::Ordering;

use roxmltree::Node;

use super::markup::{attributes, elements, text_of};
use super::source::Schema;
use super::strings::Strings;
use crate::commands::glib::hash_table::HashTable;
use crate::commands::glib::variant::{Type, Value, parse};

/// Where a key's strings come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StringsAre {
    Choices,
    Enumeration,
    Flags,
}

impl StringsAre {
    pub(super) fn letter(self) -> char {
        match self {
            Self::Choices => 'c',
            Self::Enumeration => 'e',
            Self::Flags => 'f',
        }
    }
}

/// A default that is translated where it is read.
#[derive(Clone, Debug)]
pub(super) struct Translation {
    /// `m` messages, `t` time.
    pub(super) category: char,
    pub(super) context: Option<String>,
}

/// A setting.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) kind: Type,
    pub(super) default: Option<Value>,
    /// The default's text.
    pub(super) written: String,
    pub(super) translation: Option<Translation>,
    pub(super) strings: Strings,
    pub(super) strings_are: StringsAre,
    pub(super) range: Option<(Value, Value)>,
    /// Defaults of single desktops.
    pub(super) by_desktop: HashTable<Value>,
    is_override: bool,
    has_choices: bool,
    has_aliases: bool,
}

impl Key {
    /// A key without a default.
    pub(super) fn new(kind: Type, strings: Strings, strings_are: StringsAre) -> Self {
        Self {
            kind,
            default: None,
            written: String::new(),
            translation: None,
            strings,
            strings_are,
            range: None,
            by_desktop: HashTable::default(),
            is_override: false,
            has_choices: false,
            has_aliases: false,
        }
    }

    /// The same key for a schema that extends this one's; its default is to be set.
    pub(super) fn to_override(&self) -> Self {
        let range = self.range.clone();
        Self { range, is_override: true, ..Self::new(self.kind.clone(), self.strings.clone(), self.strings_are) }
    }

    /// Whether it stands in for another schema's key.
    pub(super) fn is_override(&self) -> bool {
        self.is_override
    }

    /// Reads an element of `<key>`.
    pub(super) fn load_part(&mut self, node: Node<'_, '_>, schema: &Schema) -> Result<(), String> {
        match node.tag_name().name() {
            "default" => {
                let words = attributes(node, &[], &["l10n", "context"])?;
                self.set_default(node, (words[0], words[1]), schema)
            }
            "summary" | "description" => {
                attributes(node, &[], &[])?;
                text_of(node).map(drop)
            }
            "range" => {
                let words = attributes(node, &[], &["min", "max"])?;
                elements(node)?;
                self.set_range(words[0], words[1])
            }
            "choices" => {
                attributes(node, &[], &[])?;
                self.load_choices(node)
            }
            "aliases" => {
                attributes(node, &[], &[])?;
                self.load_aliases(node)
            }
            name => Err(format!("Element <{name}> not allowed inside <key>")),
        }
    }

    /// Reads a default; `category` and `context` are its translation's.
    pub(super) fn set_default(
        &mut self,
        node: Node<'_, '_>,
        (category, context): (Option<&str>, Option<&str>),
        schema: &Schema,
    ) -> Result<(), String> {
        let category = match category {
            None if context.is_some() => {
                return Err("translation context given for value without l10n enabled".to_owned());
            }
            None => None,
            Some("messages") => Some('m'),
            Some("time") => Some('t'),
            Some(other) => return Err(format!("unsupported l10n category: {other}")),
        };
        if category.is_some() && schema.domain.is_none() {
            return Err("l10n requested, but no gettext domain given".to_owned());
        }
        self.translation = category.map(|category| Translation { category, context: context.map(str::to_owned) });
        self.written = text_of(node)?;
        let value = parse(&self.kind, &self.written)
            .map_err(|error| format!("Failed to parse <default> value of type “{}”: {error}", self.kind))?;
        self.check(&value)?;
        self.default = Some(value);
        Ok(())
    }

    /// Whether a value is in the key's range, or among its strings.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        let tag = if self.is_override { "override" } else { "default" };
        if let Some((least, most)) = &self.range {
            let is_below = |one: &Value, other: &Value| compare(one, other) == Some(Ordering::Less);
            if is_below(value, least) || is_below(most, value) {
                return Err(format!("<{tag}> is not contained in the specified range"));
            }
        } else if !self.strings.is_empty() && !self.are_valid(value) {
            return Err(match self.strings_are {
                StringsAre::Enumeration => format!("<{tag}> is not a valid member of the specified enumerated type"),
                StringsAre::Flags => format!("<{tag}> contains string not in the specified flags type"),
                StringsAre::Choices => format!("<{tag}> contains a string not in <choices>"),
            });
        }
        Ok(())
    }

    fn check_default(&self) -> Result<(), String> {
        self.default.as_ref().map_or(Ok(()), |value| self.check(value))
    }

    fn are_valid(&self, value: &Value) -> bool {
        match value {
            Value::Text(text) => self.strings.is_valid(text),
            Value::Maybe(value) => value.as_ref().is_none_or(|value| self.are_valid(value)),
            Value::Array(values) => values.iter().all(|value| self.are_valid(value)),
            _ => true,
        }
    }

    fn set_range(&mut self, least: Option<&str>, most: Option<&str>) -> Result<(), String> {
        if self.range.is_some() {
            return Err("<range/> already specified for this key".to_owned());
        }
        let all = match &self.kind {
            Type::Basic('y') => ("0", "255"),
            Type::Basic('n') => ("-32768", "32767"),
            Type::Basic('q') => ("0", "65535"),
            Type::Basic('i') => ("-2147483648", "2147483647"),
            Type::Basic('u') => ("0", "4294967295"),
            Type::Basic('x') => ("-9223372036854775808", "9223372036854775807"),
            Type::Basic('t') => ("0", "18446744073709551615"),
            Type::Basic('d') => ("-inf", "inf"),
            kind => return Err(format!("<range> not allowed for keys of type “{kind}”")),
        };
        let least = parse(&self.kind, least.unwrap_or(all.0))?;
        let most = parse(&self.kind, most.unwrap_or(all.1))?;
        if compare(&most, &least) == Some(Ordering::Less) {
            return Err("<range> specified minimum is greater than maximum".to_owned());
        }
        self.range = Some((least, most));
        self.check_default()
    }

    fn load_choices(&mut self, node: Node<'_, '_>) -> Result<(), String> {
        if self.strings_are == StringsAre::Enumeration {
            return Err("<choices> cannot be specified for keys tagged as having an enumerated type".to_owned());
        }
        if self.has_choices {
            return Err("<choices> already specified for this key".to_owned());
        }
        let mut kind = &self.kind;
        while let Type::Maybe(element) | Type::Array(element) = kind {
            kind = element;
        }
        if *kind != Type::Basic('s') {
            return Err(format!("<choices> not allowed for keys of type “{}”", self.kind));
        }
        for choice in elements(node)? {
            if choice.tag_name().name() != "choice" {
                return Err(format!("Element <{}> not allowed inside <choices>", choice.tag_name().name()));
            }
            let value = attributes(choice, &["value"], &[])?[0].unwrap_or_default();
            if self.strings.contains(value) {
                return Err(format!("<choice value='{value}'/> already given"));
            }
            self.strings.add(value, 0)?;
            self.has_choices = true;
        }
        if !self.has_choices {
            return Err("<choices> must contain at least one <choice>".to_owned());
        }
        self.check_default()
    }

    fn load_aliases(&mut self, node: Node<'_, '_>) -> Result<(), String> {
        if self.has_aliases {
            return Err("<aliases> already specified for this key".to_owned());
        }
        if self.strings_are == StringsAre::Choices && !self.has_choices {
            return Err(
                "<aliases> can only be specified for keys with enumerated or flags types or after <choices>".to_owned()
            );
        }
        for alias in elements(node)? {
            if alias.tag_name().name() != "alias" {
                return Err(format!("Element <{}> not allowed inside <aliases>", alias.tag_name().name()));
            }
            let words = attributes(alias, &["value", "target"], &[])?;
            let (value, target) = (words[0].unwrap_or_default(), words[1].unwrap_or_default());
            if self.strings.contains(value) {
                return Err(format!("<alias value='{value}'/> already specified"));
            }
            if !self.strings.add_alias(value, target)? {
                return Err(format!("alias target “{target}” is not among the strings"));
            }
            self.has_aliases = true;
        }
        if self.has_aliases { Ok(()) } else { Err("<aliases> must contain at least one <alias>".to_owned()) }
    }
}

fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Integer(one), Value::Integer(other)) => Some(one.cmp(other)),
        (Value::Double(one), Value::Double(other)) => one.partial_cmp(other),
        _ => None,
    }
}
