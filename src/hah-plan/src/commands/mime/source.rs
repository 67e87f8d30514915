//! The sources of the database, `packages/*.xml`, and what they say together.

use std::cmp::{Ordering, Reverse};

use roxmltree::Node;

use super::element::{Element, FREEDESKTOP, document};
use super::magic::{Match, TreeMatch, matches, tree_matches};
use crate::commands::glib::hash_table::HashTable;

/// The pattern that says that the patterns of earlier directories do not hold.
const NO_GLOBS: &str = "__NOGLOBS__";
/// The same for magic.
const NO_MAGIC: &str = "__NOMAGIC__";

/// A type, `MEDIA/SUBTYPE`.
#[derive(Clone, Debug)]
pub(super) struct Type {
    pub(super) media: String,
    pub(super) subtype: String,
    output: Vec<Element>,
}

impl Type {
    /// `MEDIA/SUBTYPE`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.media, self.subtype)
    }

    /// Its own file.
    pub(super) fn xml(&self) -> String {
        document(&self.name(), &self.output)
    }

    /// Adds an element; a comment takes the place of that of the same language.
    fn add(&mut self, element: Element) {
        if element.is_comment {
            let is_same = |old: &Element| old.is_comment && old.language() == element.language();
            if let Some(at) = self.output.iter().position(is_same) {
                self.output.remove(at);
            }
        }
        self.output.push(element);
    }
}

/// A pattern of file names.
#[derive(Clone, Debug)]
pub(super) struct Glob {
    pub(super) weight: i32,
    pub(super) pattern: String,
    pub(super) kind: usize,
    /// Whether it only says that earlier patterns do not hold.
    pub(super) is_reset: bool,
    pub(super) is_case_sensitive: bool,
}

/// Rules that look into a file; any of the matches makes it the type.
#[derive(Clone, Debug)]
pub(super) struct Magic {
    pub(super) priority: i32,
    pub(super) kind: usize,
    pub(super) matches: Vec<Match>,
    is_reset: bool,
}

/// Rules that look at the paths of a medium.
#[derive(Clone, Debug)]
pub(super) struct TreeMagic {
    pub(super) priority: i32,
    pub(super) kind: usize,
    pub(super) matches: Vec<TreeMatch>,
}

/// All sources together. A type is named by its place in `types`.
#[derive(Default)]
pub(super) struct Database {
    types: Vec<Type>,
    by_name: HashTable<usize>,
    /// By pattern.
    pub(super) globs: HashTable<Vec<Glob>>,
    magic: Vec<Magic>,
    tree_magic: Vec<TreeMagic>,
    /// By `NAMESPACE LOCAL-NAME`.
    pub(super) namespaces: HashTable<usize>,
    /// By type: the types above it.
    pub(super) parents: HashTable<Vec<String>>,
    pub(super) aliases: HashTable<usize>,
    /// By type.
    pub(super) icons: HashTable<String>,
    /// By type.
    pub(super) generic_icons: HashTable<String>,
}

impl Database {
    /// Every type.
    pub(super) fn types(&self) -> impl Iterator<Item = &Type> {
        self.by_name.iter().filter_map(|(_, kind)| self.types.get(*kind))
    }

    /// Whether a source has the type of this name.
    pub(super) fn has_type(&self, name: &str) -> bool {
        self.by_name.get(name).is_some()
    }

    /// The name of a type by its place.
    pub(super) fn type_name(&self, kind: usize) -> String {
        self.types.get(kind).map(Type::name).unwrap_or_default()
    }

    /// The names of all types, sorted.
    pub(super) fn type_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.by_name.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names
    }

    /// The rules in the order in which they are tried.
    pub(super) fn magic(&self) -> Vec<&Magic> {
        let mut all: Vec<&Magic> = self.magic.iter().collect();
        all.sort_by(|one, other| match one.is_reset || other.is_reset {
            true => other.is_reset.cmp(&one.is_reset),
            false => self.by_priority((one.priority, one.kind), (other.priority, other.kind)),
        });
        all
    }

    /// The rules of media in the order in which they are tried.
    pub(super) fn tree_magic(&self) -> Vec<&TreeMagic> {
        let mut all: Vec<&TreeMagic> = self.tree_magic.iter().collect();
        all.sort_by(|one, other| self.by_priority((one.priority, one.kind), (other.priority, other.kind)));
        all
    }

    fn by_priority(&self, one: (i32, usize), other: (i32, usize)) -> Ordering {
        let key = |(priority, kind): (i32, usize)| {
            (Reverse(priority), self.types.get(kind).map(|kind| (kind.media.as_str(), kind.subtype.as_str())))
        };
        key(one).cmp(&key(other))
    }

    /// Adds what a source says, which `path` names in messages.
    ///
    /// # Errors
    /// Why the source is no XML, or is more than we read.
    pub(super) fn load(&mut self, path: &str, text: &str) -> Result<Vec<String>, String> {
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let document = roxmltree::Document::parse_with_options(text, options).map_err(|error| error.to_string())?;
        let root = document.root_element();
        let mut warnings = Vec::new();
        match root.tag_name().namespace() {
            Some(FREEDESKTOP) => {}
            None if text.contains("<!ATTLIST") => {
                return Err("its namespace is in its document type, where we do not look".to_owned());
            }
            _ => {
                warnings.push(format!("Wrong namespace on document element in '{path}' (should be {FREEDESKTOP})"));
                return Ok(warnings);
            }
        }
        if root.tag_name().name() != "mime-info" {
            warnings.push(format!("Root element <{}> is not <mime-info> (in '{path}')", root.tag_name().name()));
            return Ok(warnings);
        }
        for node in root.children().filter(Node::is_element) {
            if let Err((kind, error)) = self.load_type(node) {
                let kind = kind.unwrap_or_else(|| "unknown/unknown".to_owned());
                warnings.push(format!("Error in type '{kind}' (in {path}): {error}."));
            }
        }
        Ok(warnings)
    }

    /// Adds a `<mime-type>`, up to the first element that is wrong.
    fn load_type(&mut self, node: Node<'_, '_>) -> Result<(), (Option<String>, String)> {
        if node.tag_name().namespace() != Some(FREEDESKTOP) || node.tag_name().name() != "mime-type" {
            return Err((None, "Excepted <mime-type>, but got wrong name or namespace".to_owned()));
        }
        let name = node.attribute("type");
        let name = name.ok_or_else(|| (None, "<mime-type> element has no 'type' attribute".to_owned()))?;
        let kind = self.type_of(name).map_err(|error| (None, error))?;
        for field in node.children().filter(Node::is_element) {
            let is_copied = match field.tag_name().namespace() {
                Some(FREEDESKTOP) => {
                    self.load_field(kind, field).map_err(|error| (Some(self.type_name(kind)), error))?
                }
                _ => true,
            };
            if let Some(kind) = self.types.get_mut(kind).filter(|_| is_copied) {
                kind.add(Element::copy(field));
            }
        }
        Ok(())
    }

    /// The place of the type of this name, which is new when it is not known.
    fn type_of(&mut self, name: &str) -> Result<usize, String> {
        let parts = name.split_once('/').filter(|(_, subtype)| !subtype.contains('/'));
        let (media, subtype) = parts.ok_or_else(|| format!("Invalid MIME-type '{name}'"))?;
        if let Some(kind) = self.by_name.get(name) {
            return Ok(*kind);
        }
        let kind = self.types.len();
        self.types.push(Type { media: media.to_owned(), subtype: subtype.to_owned(), output: Vec::new() });
        self.by_name.insert(name, kind);
        Ok(kind)
    }

    /// Books an element of the specification; whether it also goes into the type's own file.
    fn load_field(&mut self, kind: usize, field: Node<'_, '_>) -> Result<bool, String> {
        let name = self.type_name(kind);
        match field.tag_name().name() {
            "glob" => {
                let weight = percent(field, "weight");
                let pattern = field.attribute("pattern").filter(|pattern| !pattern.is_empty());
                let pattern = pattern.ok_or("Missing 'pattern' attribute in <glob> element")?;
                let is_case_sensitive = field.attribute("case-sensitive") == Some("true");
                let pattern = if is_case_sensitive { pattern.to_owned() } else { pattern.to_ascii_lowercase() };
                let (is_reset, bad) = (false, weight.is_none());
                let weight = weight.unwrap_or(-1);
                self.add_glob(Glob { weight, pattern, kind, is_reset, is_case_sensitive });
                if bad { Err("Bad weight (-1) in <glob> element".to_owned()) } else { Ok(true) }
            }
            "glob-deleteall" => {
                let pattern = NO_GLOBS.to_owned();
                self.add_glob(Glob { weight: 0, pattern, kind, is_reset: true, is_case_sensitive: false });
                Ok(true)
            }
            "magic" => {
                let priority = percent(field, "priority").ok_or("Bad priority (-1) in <magic> element")?;
                let matches = matches(field).map_err(|error| format!("Error in <match> element: {error}"))?;
                if matches.is_empty() {
                    return Err("Incomplete <magic> element".to_owned());
                }
                self.magic.push(Magic { priority, kind, matches, is_reset: false });
                Ok(false)
            }
            "magic-deleteall" => {
                let data = NO_MAGIC.as_bytes().to_vec();
                let matches = vec![Match { range: 1, word: 1, data, ..Match::default() }];
                self.magic.push(Magic { priority: 0, kind, matches, is_reset: true });
                Ok(false)
            }
            "treemagic" => {
                let priority = percent(field, "priority").ok_or("Bad priority (-1) in <magic> element")?;
                let matches = tree_matches(field).map_err(|error| format!("Error in <treematch> element: {error}"))?;
                self.tree_magic.push(TreeMagic { priority, kind, matches });
                Ok(false)
            }
            "comment" | "acronym" | "expanded-acronym" => Ok(true),
            element @ ("alias" | "sub-class-of") => {
                let other = field.attribute("type").filter(|other| other.contains('/'));
                let other = other.ok_or_else(|| format!("Incorrect or missing 'type' attribute in <{element}>"))?;
                if element == "alias" {
                    self.aliases.insert(other, kind);
                } else if let Some(parents) = self.parents.get_mut(&name) {
                    parents.push(other.to_owned());
                } else {
                    self.parents.insert(&name, vec![other.to_owned()]);
                }
                Ok(true)
            }
            "root-XML" => {
                let namespace = field.attribute("namespaceURI").ok_or("Missing 'namespaceURI' attribute'")?;
                let local = field.attribute("localName").ok_or("Missing 'localName' attribute'")?;
                if namespace.is_empty() && local.is_empty() {
                    return Err("namespaceURI and localName attributes can't both be empty".to_owned());
                }
                if namespace.contains([' ', '\n']) || local.contains([' ', '\n']) {
                    return Err("namespaceURI and localName cannot contain spaces or newlines".to_owned());
                }
                self.namespaces.insert(&format!("{namespace} {local}"), kind);
                Ok(false)
            }
            element @ ("icon" | "generic-icon") => {
                let icons = if element == "icon" { &mut self.icons } else { &mut self.generic_icons };
                let icon = field.attribute("name");
                if let Some(icon) = icon {
                    icons.insert(&name, icon.to_owned());
                }
                Ok(icon.is_some())
            }
            _ => Ok(false),
        }
    }

    fn add_glob(&mut self, glob: Glob) {
        match self.globs.get_mut(&glob.pattern) {
            Some(globs) => globs.push(glob),
            None => self.globs.insert(&glob.pattern.clone(), vec![glob]),
        }
    }
}

/// A number from 0 to 100, 50 when it is not given.
fn percent(node: Node<'_, '_>, name: &str) -> Option<i32> {
    match node.attribute(name) {
        None => Some(50),
        Some(text) => text.trim_start().parse().ok().filter(|number| (0..=100).contains(number)),
    }
}
