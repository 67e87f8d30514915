//! XML that goes from a source into `MEDIA/SUBTYPE.xml` as it is, written as libxml2 writes a formatted document.

use std::collections::BTreeSet;

/// The namespace of the sources.
pub(super) const FREEDESKTOP: &str = "http://www.freedesktop.org/standards/shared-mime-info";
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// An element that was copied.
#[derive(Clone, Debug, Default)]
pub(super) struct Element {
    /// The name with its prefix.
    pub(super) name: String,
    /// Namespaces that are declared here: prefix, which is empty for the default, and address.
    declared: Vec<(String, String)>,
    /// Attributes with their prefixes.
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<Child>,
    /// Whether it is a `<comment>` of the specification: a type has one for each language.
    pub(super) is_comment: bool,
}

/// What is in an element.
#[derive(Clone, Debug)]
pub(super) enum Child {
    Element(Element),
    Text(String),
    Comment(String),
    Instruction(String),
}

impl Element {
    /// A copy of `node`, which declares the namespaces that it needs and that stand above it in the source.
    pub(super) fn copy(node: roxmltree::Node<'_, '_>) -> Self {
        let mut copy = Self::copy_subtree(node);
        let is_freedesktop = node.tag_name().namespace() == Some(FREEDESKTOP);
        copy.is_comment = is_freedesktop && node.tag_name().name() == "comment";
        if is_freedesktop && !copy.name.contains(':') {
            // The document that it is put into declares the namespace.
            copy.declared.clear();
        } else {
            let inside: BTreeSet<String> = copy.declared.iter().map(|(prefix, _)| prefix.clone()).collect();
            let mut missing = Vec::new();
            missing_namespaces(node, &inside, &mut missing);
            copy.declared.extend(missing);
        }
        copy
    }

    fn copy_subtree(node: roxmltree::Node<'_, '_>) -> Self {
        let above: Vec<_> =
            node.parent().into_iter().flat_map(|parent| parent.namespaces().collect::<Vec<_>>()).collect();
        let is_new = |namespace: &&roxmltree::Namespace<'_>| !above.contains(namespace);
        let declared = node.namespaces().filter(is_new);
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Self {
            name: qualified(node),
            declared: declared.map(|namespace| (text(namespace.name()), namespace.uri().to_owned())).collect(),
            attributes: node
                .attributes()
                .map(|attribute| (attribute_name(node, &attribute), attribute.value().to_owned()))
                .collect(),
            children: node
                .children()
                .filter_map(|child| match child.node_type() {
                    roxmltree::NodeType::Element => Some(Child::Element(Self::copy_subtree(child))),
                    roxmltree::NodeType::Text => Some(Child::Text(text(child.text()))),
                    roxmltree::NodeType::Comment => Some(Child::Comment(text(child.text()))),
                    roxmltree::NodeType::PI => child.pi().map(|pi| {
                        let value = pi.value.map(|value| format!(" {value}")).unwrap_or_default();
                        Child::Instruction(format!("{}{value}", pi.target))
                    }),
                    roxmltree::NodeType::Root => None,
                })
                .collect(),
            is_comment: false,
        }
    }

    /// The language of its text.
    pub(super) fn language(&self) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == "xml:lang").map(|(_, value)| value.as_str())
    }

    /// Writes it at `depth`, each child on a line of its own unless there is text among them.
    fn write(&self, depth: Option<usize>, out: &mut String) {
        out.push('<');
        out.push_str(&self.name);
        for (prefix, address) in &self.declared {
            let colon = if prefix.is_empty() { "" } else { ":" };
            out.push_str(&format!(" xmlns{colon}{prefix}=\"{}\"", escape(address, Place::Attribute)));
        }
        for (name, value) in &self.attributes {
            out.push_str(&format!(" {name}=\"{}\"", escape(value, Place::Attribute)));
        }
        if self.children.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        let has_text = self.children.iter().any(|child| matches!(child, Child::Text(_)));
        let depth = depth.filter(|_| !has_text);
        let indent = |out: &mut String, depth: usize| out.push_str(&format!("\n{:1$}", "", depth * 2));
        for child in &self.children {
            if let Some(depth) = depth {
                indent(out, depth + 1);
            }
            match child {
                Child::Element(element) => element.write(depth.map(|depth| depth + 1), out),
                Child::Text(text) => out.push_str(&escape(text, Place::Text)),
                Child::Comment(text) => out.push_str(&format!("<!--{text}-->")),
                Child::Instruction(text) => out.push_str(&format!("<?{text}?>")),
            }
        }
        if let Some(depth) = depth {
            indent(out, depth);
        }
        out.push_str(&format!("</{}>", self.name));
    }
}

/// The document of a type.
pub(super) fn document(kind: &str, children: &[Element]) -> String {
    const NOTE: &str = "Created automatically by update-mime-database. DO NOT EDIT!";
    let mut all = vec![Child::Comment(NOTE.to_owned())];
    all.extend(children.iter().cloned().map(Child::Element));
    let root = Element {
        name: "mime-type".to_owned(),
        declared: vec![(String::new(), FREEDESKTOP.to_owned())],
        attributes: vec![("type".to_owned(), kind.to_owned())],
        children: all,
        is_comment: false,
    };
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    root.write(Some(0), &mut out);
    out.push('\n');
    out
}

/// Namespaces of prefixes that stand in the subtree and are declared neither in it nor in `inside`.
fn missing_namespaces(node: roxmltree::Node<'_, '_>, inside: &BTreeSet<String>, missing: &mut Vec<(String, String)>) {
    let mut need = |name: &str, address: Option<&str>| {
        let prefix = name.split_once(':').map_or("", |(prefix, _)| prefix);
        let is_known = inside.contains(prefix) || missing.iter().any(|(known, _)| known == prefix);
        if let Some(address) = address.filter(|address| !is_known && *address != XML) {
            missing.push((prefix.to_owned(), address.to_owned()));
        }
    };
    need(&qualified(node), node.tag_name().namespace());
    for attribute in node.attributes().filter(|attribute| attribute.namespace().is_some()) {
        need(&attribute_name(node, &attribute), attribute.namespace());
    }
    for child in node.children().filter(roxmltree::Node::is_element) {
        let above: Vec<_> = node.namespaces().collect();
        let own = child.namespaces().filter(|namespace| !above.contains(namespace));
        let mut inside = inside.clone();
        inside.extend(own.map(|namespace| namespace.name().unwrap_or_default().to_owned()));
        missing_namespaces(child, &inside, missing);
    }
}

/// The name as the source has it, with its prefix.
fn qualified(node: roxmltree::Node<'_, '_>) -> String {
    let source = node.document().input_text().get(node.range()).unwrap_or_default();
    let name = source.strip_prefix('<').and_then(|rest| {
        rest.split(|letter: char| letter.is_ascii_whitespace() || letter == '/' || letter == '>').next()
    });
    let local = node.tag_name().name();
    name.filter(|name| name.rsplit(':').next() == Some(local)).unwrap_or(local).to_owned()
}

fn attribute_name(node: roxmltree::Node<'_, '_>, attribute: &roxmltree::Attribute<'_, '_>) -> String {
    let source = node.document().input_text().get(attribute.range_qname()).unwrap_or_default();
    let is_its = source.rsplit(':').next() == Some(attribute.name());
    if is_its { source.to_owned() } else { attribute.name().to_owned() }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Text,
    Attribute,
}

fn escape(text: &str, place: Place) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\r' => out.push_str("&#13;"),
            '"' if place == Place::Attribute => out.push_str("&quot;"),
            '\n' if place == Place::Attribute => out.push_str("&#10;"),
            '\t' if place == Place::Attribute => out.push_str("&#9;"),
            letter => out.push(letter),
        }
    }
    out
}
