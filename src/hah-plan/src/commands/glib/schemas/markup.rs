//! Elements, attributes and numbers of the schemas' XML, which is stricter than XML: what is not known is an error.

use roxmltree::Node;

/// The elements in `node`; those of a namespace are none of ours. Text is an error.
pub(super) fn elements<'a, 'i>(node: Node<'a, 'i>) -> Result<Vec<Node<'a, 'i>>, String> {
    let is_blank = |text: &str| text.bytes().all(|byte| byte.is_ascii_whitespace() || byte == 11);
    if node.children().filter(Node::is_text).any(|text| !is_blank(text.text().unwrap_or_default())) {
        return Err(format!("Text may not appear inside <{}>", node.tag_name().name()));
    }
    Ok(node.children().filter(|child| child.is_element() && child.tag_name().namespace().is_none()).collect())
}

/// The text in `node`, in which no element may stand.
pub(super) fn text_of(node: Node<'_, '_>) -> Result<String, String> {
    let is_ours = |child: &Node<'_, '_>| child.is_element() && child.tag_name().namespace().is_none();
    if let Some(element) = node.children().find(is_ours) {
        let (inner, outer) = (element.tag_name().name(), node.tag_name().name());
        return Err(format!("Element <{inner}> not allowed inside <{outer}>"));
    }
    Ok(node.children().filter(Node::is_text).filter_map(|text| text.text()).collect())
}

/// The values of attributes, first those that must be there; any other is an error.
pub(super) fn attributes<'a>(
    node: Node<'a, '_>,
    required: &[&str],
    optional: &[&str],
) -> Result<Vec<Option<&'a str>>, String> {
    let tag = node.tag_name().name();
    let plain = || node.attributes().filter(|attribute| attribute.namespace().is_none());
    if let Some(other) = plain().find(|it| !required.contains(&it.name()) && !optional.contains(&it.name())) {
        return Err(format!("attribute “{}” invalid for element “{tag}”", other.name()));
    }
    if let Some(missing) = required.iter().find(|name| !plain().any(|attribute| attribute.name() == **name)) {
        return Err(format!("element “{tag}” requires attribute “{missing}”"));
    }
    Ok(required.iter().chain(optional).map(|name| node.attribute(*name)).collect())
}

/// A number as strtoll(3) reads it.
pub(super) fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let number = match (hex, digits.strip_prefix('0')) {
        (Some(hex), _) => i64::from_str_radix(hex, 16).ok()?,
        (None, Some("")) => 0,
        (None, Some(octal)) => i64::from_str_radix(octal, 8).ok()?,
        (None, None) => digits.parse().ok()?,
    };
    number.checked_mul(sign)
}
