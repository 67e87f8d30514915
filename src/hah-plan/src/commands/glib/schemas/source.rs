//! `*.gschema.xml` and `*.enums.xml`, as the document type of GSettings' schemas describes them.

use roxmltree::Node;

use super::key::{Key, StringsAre};
use super::markup::{attributes, elements, integer};
use super::strings::Strings;
use crate::commands::glib::hash_table::HashTable;
use crate::commands::glib::variant::Type;

/// What a schema has under a name.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Key(Box<Key>),
    /// The id of another schema.
    Child(String),
}

/// A set of settings.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    pub(super) path: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) extends: Option<String>,
    pub(super) list_of: Option<String>,
    pub(super) keys: HashTable<Entry>,
}

/// What the files that were read define.
pub(super) struct Sources {
    pub(super) schemas: HashTable<Schema>,
    /// By id: the strings, and whether they are flags.
    enumerations: HashTable<Strings>,
    flags: HashTable<Strings>,
    allows_any_name: bool,
}

impl Sources {
    pub(super) fn new(allows_any_name: bool) -> Self {
        let (schemas, enumerations, flags) = Default::default();
        Self { schemas, enumerations, flags, allows_any_name }
    }

    /// Adds what a file defines, all of it or nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn load(&mut self, text: &str) -> Result<(), String> {
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let document = roxmltree::Document::parse_with_options(text, options).map_err(|error| format!("  {error}"))?;
        let mut added = Added::default();
        let result = self.load_list(document.root_element(), &mut added);
        result.map_err(|(error, at)| {
            added.schemas.iter().rev().for_each(|id| self.schemas.remove(id));
            added.flags.iter().rev().for_each(|id| self.flags.remove(id));
            added.enumerations.iter().rev().for_each(|id| self.enumerations.remove(id));
            let place = document.text_pos_at(at);
            format!("{}:{}  {error}", place.row, place.col)
        })
    }

    fn load_list(&mut self, root: Node<'_, '_>, added: &mut Added) -> Result<(), (String, usize)> {
        let at = |node: Node<'_, '_>| {
            let start = node.range().start;
            move |error: String| (error, start)
        };
        if root.tag_name().name() != "schemalist" {
            let name = root.tag_name().name();
            return Err(at(root)(format!("Element <{name}> not allowed at the top level")));
        }
        let domain = attributes(root, &[], &["gettext-domain"]).map_err(at(root))?[0].map(str::to_owned);
        for node in elements(root).map_err(at(root))? {
            match node.tag_name().name() {
                "schema" => self.load_schema(node, domain.as_deref(), added)?,
                name @ ("enum" | "flags") => {
                    self.load_enumeration(node, name, added).map_err(at(node))?;
                }
                name => return Err(at(node)(format!("Element <{name}> not allowed inside <schemalist>"))),
            }
        }
        Ok(())
    }

    fn load_enumeration(&mut self, node: Node<'_, '_>, tag: &str, added: &mut Added) -> Result<(), String> {
        let is_flags = tag == "flags";
        let id = attributes(node, &["id"], &[])?[0].unwrap_or_default();
        let table = if is_flags { &self.flags } else { &self.enumerations };
        if table.get(id).is_some() {
            return Err(format!("<{tag} id='{id}'> already specified"));
        }
        let mut strings = Strings::default();
        for value in elements(node)? {
            if value.tag_name().name() != "value" {
                return Err(format!("Element <{}> not allowed inside <{tag}>", value.tag_name().name()));
            }
            let words = attributes(value, &["nick", "value"], &[])?;
            let (nick, text) = (words[0].unwrap_or_default(), words[1].unwrap_or_default());
            elements(value)?;
            if nick.len() < 2 {
                return Err("nick must be a minimum of 2 characters".to_owned());
            }
            let number = integer(text).ok_or("Invalid numeric value")?;
            let range = if is_flags { 0..=i64::from(u32::MAX) } else { i32::MIN.into()..=i32::MAX.into() };
            if !range.contains(&number) {
                return Err("Invalid numeric value".to_owned());
            }
            // The bits of a negative number, as the file has them.
            let bits = (number & i64::from(u32::MAX)) as u32;
            if strings.contains(nick) {
                return Err(format!("<value nick='{nick}'/> already specified"));
            }
            if strings.contains_number(bits) {
                return Err(format!("value='{text}' already specified"));
            }
            match is_flags {
                // An empty array says it.
                true if bits == 0 => continue,
                true if !bits.is_power_of_two() => return Err("flags values must have at most 1 bit set".to_owned()),
                _ => strings.add(nick, bits)?,
            }
        }
        if strings.is_empty() {
            return Err(format!("<{tag}> must contain at least one <value>"));
        }
        let (table, ids) = match is_flags {
            true => (&mut self.flags, &mut added.flags),
            false => (&mut self.enumerations, &mut added.enumerations),
        };
        table.insert(id, strings);
        ids.push(id.to_owned());
        Ok(())
    }

    fn load_schema(
        &mut self,
        node: Node<'_, '_>,
        domain: Option<&str>,
        added: &mut Added,
    ) -> Result<(), (String, usize)> {
        let start = node.range().start;
        let (id, schema) = self.start_schema(node, domain).map_err(|error| (error, start))?;
        self.schemas.insert(&id, schema.clone());
        added.schemas.push(id.clone());
        let mut schema = schema;
        for child in elements(node).map_err(|error| (error, start))? {
            let result = match child.tag_name().name() {
                "key" => self.load_key(child, &schema),
                "override" => self.load_override(child, &schema),
                "child" => self.load_child(child, &schema),
                name => Err(format!("Element <{name}> not allowed inside <schema>")),
            };
            let (name, entry) = result.map_err(|error| (error, child.range().start))?;
            schema.keys.insert(&name, entry);
        }
        self.schemas.insert(&id, schema);
        Ok(())
    }

    fn start_schema(&self, node: Node<'_, '_>, domain: Option<&str>) -> Result<(String, Schema), String> {
        let words = attributes(node, &["id"], &["path", "gettext-domain", "extends", "list-of"])?;
        let [id, path, own_domain, extends, list_of] = words[..] else { return Err("no id".to_owned()) };
        let id = id.unwrap_or_default();
        if self.schemas.get(id).is_some() {
            return Err(format!("<schema id='{id}'> already specified"));
        }
        let of_parent = match extends {
            None => None,
            Some(name) => {
                let missing = || format!("<schema id='{id}'> extends not yet existing schema “{name}”");
                let parent = self.schemas.get(name).ok_or_else(missing)?;
                if parent.path.is_some() {
                    return Err("Cannot extend a schema with a path".to_owned());
                }
                parent.list_of.clone()
            }
        };
        if let Some(list_of) = list_of {
            let missing = || format!("<schema id='{id}'> is list of not yet existing schema “{list_of}”");
            if self.schemas.get(list_of).ok_or_else(missing)?.path.is_some() {
                return Err("Cannot be a list of a schema with a path".to_owned());
            }
            if let Some(extends) = extends {
                let is_list =
                    || format!("<schema id='{id}'> is a list, extending <schema id='{extends}'> which is not a list");
                let parent = of_parent.as_ref().ok_or_else(is_list)?;
                if !self.is_subclass(list_of, parent) {
                    return Err(format!(
                        "<schema id='{id}' list-of='{list_of}'>: “{list_of}” does not extend “{parent}”"
                    ));
                }
            }
        }
        let list_of = list_of.map(str::to_owned).or(of_parent);
        if let Some(path) = path {
            if !(path.starts_with('/') && path.ends_with('/')) {
                return Err("A path, if given, must begin and end with a slash".to_owned());
            }
            if list_of.is_some() && !path.ends_with(":/") {
                return Err("The path of a list must end with “:/”".to_owned());
            }
            // The warning of old paths is taken out of Debian's program.
        }
        let text = |text: Option<&str>| text.map(str::to_owned);
        let domain = own_domain.or(domain);
        let schema = Schema {
            path: text(path),
            domain: text(domain),
            extends: text(extends),
            list_of,
            keys: HashTable::default(),
        };
        Ok((id.to_owned(), schema))
    }

    fn is_subclass(&self, id: &str, parent: &str) -> bool {
        id == parent || self.parents(id).any(|(name, _)| name == parent)
    }

    /// The schemas that `id` extends, the nearest first.
    fn parents<'s>(&'s self, id: &str) -> impl Iterator<Item = (&'s str, &'s Schema)> {
        let next = |schema: Option<&'s Schema>| {
            let name = schema?.extends.as_deref()?;
            Some((name, self.schemas.get(name)?))
        };
        std::iter::successors(next(self.schemas.get(id)), move |(_, schema)| next(Some(schema)))
    }

    /// The schemas that `schema` extends.
    fn above<'s>(&'s self, schema: &'s Schema) -> impl Iterator<Item = (&'s str, &'s Schema)> {
        let first = schema.extends.as_deref().and_then(|name| Some((name, self.schemas.get(name)?)));
        first.into_iter().chain(schema.extends.as_deref().into_iter().flat_map(|name| self.parents(name)))
    }

    fn check_name(&self, name: &str) -> Result<(), String> {
        if name.is_empty() {
            return Err("Empty names are not permitted".to_owned());
        }
        if self.allows_any_name {
            return Ok(());
        }
        let is_part = |byte: u8| byte == b'-' || byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_valid = name.starts_with(|letter: char| letter.is_ascii_lowercase())
            && name.bytes().all(is_part)
            && !name.contains("--")
            && !name.ends_with('-')
            && name.len() <= 1024;
        if is_valid { Ok(()) } else { Err(format!("Invalid name “{name}”")) }
    }

    fn load_child(&self, node: Node<'_, '_>, schema: &Schema) -> Result<(String, Entry), String> {
        let words = attributes(node, &["name", "schema"], &[])?;
        let (name, id) = (words[0].unwrap_or_default(), words[1].unwrap_or_default());
        elements(node)?;
        self.check_name(name)?;
        let key = format!("{name}/");
        if schema.keys.get(&key).is_some() {
            return Err(format!("<child name='{name}'> already specified"));
        }
        Ok((key, Entry::Child(id.to_owned())))
    }

    fn load_key(&self, node: Node<'_, '_>, schema: &Schema) -> Result<(String, Entry), String> {
        let words = attributes(node, &["name"], &["type", "enum", "flags"])?;
        let name = words[0].unwrap_or_default();
        if schema.list_of.is_some() {
            return Err("Cannot add keys to a “list-of” schema".to_owned());
        }
        self.check_name(name)?;
        if schema.keys.get(name).is_some() {
            return Err(format!("<key name='{name}'> already specified"));
        }
        for (parent, above) in self.above(schema) {
            if matches!(above.keys.get(name), Some(Entry::Key(key)) if !key.is_override()) {
                return Err(format!(
                    "<key name='{name}'> shadows <key name='{name}'> in <schema id='{parent}'>; use <override> to \
                     modify value"
                ));
            }
        }
        let missing = |tag: &str, id: &str| format!("<{tag} id='{id}'> not (yet) defined.");
        let (kind, strings, strings_are) = match words[1..] {
            [Some(kind), None, None] => {
                let kind = Type::parse(kind).ok_or_else(|| format!("Invalid GVariant type string “{kind}”"))?;
                (kind, Strings::default(), StringsAre::Choices)
            }
            [None, Some(id), None] => {
                let strings = self.enumerations.get(id).ok_or_else(|| missing("enum", id))?;
                (Type::Basic('s'), strings.clone(), StringsAre::Enumeration)
            }
            [None, None, Some(id)] => {
                let strings = self.flags.get(id).ok_or_else(|| missing("flags", id))?;
                (Type::Array(Box::new(Type::Basic('s'))), strings.clone(), StringsAre::Flags)
            }
            _ => {
                return Err(
                    "Exactly one of “type”, “enum” or “flags” must be specified as an attribute to <key>".to_owned()
                );
            }
        };
        let mut key = Key::new(kind, strings, strings_are);
        for child in elements(node)? {
            key.load_part(child, schema)?;
        }
        if key.default.is_none() {
            return Err("Element <default> is required in <key>".to_owned());
        }
        Ok((name.to_owned(), Entry::Key(Box::new(key))))
    }

    fn load_override(&self, node: Node<'_, '_>, schema: &Schema) -> Result<(String, Entry), String> {
        let words = attributes(node, &["name"], &["l10n", "context"])?;
        let name = words[0].unwrap_or_default();
        if schema.extends.is_none() {
            return Err("<override> given but schema isn’t extending anything".to_owned());
        }
        let original = self.above(schema).find_map(|(_, above)| match above.keys.get(name) {
            Some(Entry::Key(key)) => Some(key),
            _ => None,
        });
        let original = original.ok_or_else(|| format!("No <key name='{name}'> to override"))?;
        if schema.keys.get(name).is_some() {
            return Err(format!("<override name='{name}'> already specified"));
        }
        let mut key = original.to_override();
        key.set_default(node, (words[1], words[2]), schema)?;
        Ok((name.to_owned(), Entry::Key(Box::new(key))))
    }
}

/// The ids that a file added.
#[derive(Default)]
struct Added {
    schemas: Vec<String>,
    enumerations: Vec<String>,
    flags: Vec<String>,
}
