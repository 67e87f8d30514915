//! [`BinaryControl`]: the control file of a `.deb`, refused when dpkg refuses it (deb-control(5), dpkg's `parse.c`).
//!
//! What an image's packages say of themselves becomes dpkg's status file on the node, and one stanza that dpkg cannot read
//! makes it unable to say anything about any package. So the rules are dpkg's, where Policy's are not stricter:
//! - the file ends with a line break; fields that are one word or line are not folded;
//! - relations have no empty parts, also not at their end, no architectures and no profiles; only fields that ask for
//!   something may have alternatives;
//! - fields of the status file itself do not occur.
//!
//! What dpkg only warns of is taken if Policy has room for it. [`BinaryControl::installed`] makes the status file's stanza.

use super::control::{ControlError, Field, Paragraph, only_stanza};
use super::relation::Relations;
use super::{Architecture, PackageName, Version};

/// Relations that may have alternatives, and those that may not.
const RELATIONS: [(&str, Alternation); 9] = [
    ("Pre-Depends", Alternation::Allowed),
    ("Depends", Alternation::Allowed),
    ("Recommends", Alternation::Allowed),
    ("Suggests", Alternation::Allowed),
    ("Enhances", Alternation::Allowed),
    ("Conflicts", Alternation::Refused),
    ("Breaks", Alternation::Refused),
    ("Replaces", Alternation::Refused),
    ("Provides", Alternation::Refused),
];

/// Old names of a part of the version, which dpkg would add to it.
const OF_VERSION: [&str; 3] = ["Revision", "Package-Revision", "Package_Revision"];
/// Fields that dpkg keeps itself.
const OF_STATUS: [&str; 5] = ["Status", "Conffiles", "Config-Version", "Triggers-Pending", "Triggers-Awaited"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Alternation {
    Allowed,
    Refused,
}

/// A control file that dpkg takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinaryControl {
    /// The package that it describes.
    pub package: PackageName,
    /// Its version.
    pub version: Version,
    /// Its architecture.
    pub architecture: Architecture,
    /// Whether it is `Multi-Arch: same`.
    pub is_multi_arch_same: bool,
    /// `Replaces`.
    pub replaces: Relations,
    fields: Paragraph,
}

impl BinaryControl {
    /// Reads the member `control` of a package.
    pub fn parse(text: &str) -> Result<Self, ControlError> {
        let stanza = only_stanza(text)?;
        if !text.ends_with('\n') {
            let line = text.split('\n').count();
            return Err(ControlError { line, problem: "the last line does not end".to_owned() });
        }
        let mut replaces = Relations::default();
        for field in stanza.fields() {
            if let Some(relations) = check(&field)? {
                replaces = relations;
            }
        }
        let required =
            |name: &str| stanza.field(name).ok_or_else(|| stanza.error(format!("there is no field `{name}`")));
        let (name, version) = (required("Package")?, required("Version")?);
        let architecture = required("Architecture")?;
        let multi_arch = stanza.field("Multi-Arch");
        let same = multi_arch.is_some_and(|field| field.value.eq_ignore_ascii_case("same"));
        let all: Architecture = parsed(&architecture)?;
        let parsed_version: Version = parsed(&version)?;
        if !is_whole(&parsed_version) {
            return Err(wrong(
                &version,
                format!(
                    "the version `{parsed_version}` is not one for dpkg: [epoch:]upstream[-revision], and upstream begins with a digit"
                ),
            ));
        }
        if let (true, Architecture::All, Some(field)) = (same, all, multi_arch) {
            return Err(wrong(&field, "a package for all architectures cannot be `same`"));
        }
        Ok(Self {
            package: parsed(&name)?,
            version: parsed_version,
            architecture: all,
            is_multi_arch_same: same,
            replaces,
            fields: stanza.into(),
        })
    }

    /// The stanza of the status file. `conffiles` has a line ` PATH MD5` for each, or is empty.
    pub fn installed(&self, conffiles: &str) -> Result<Paragraph, ControlError> {
        let mut fields = self.fields.clone();
        fields.set_after("Package", "Status", "install ok installed")?;
        if !conffiles.is_empty() {
            let before =
                ["Conflicts", "Breaks", "Depends", "Version"].into_iter().find(|name| fields.get(name).is_some());
            fields.set_after(before.unwrap_or("Version"), "Conffiles", conffiles)?;
        }
        Ok(fields)
    }
}

/// Whether no part of a version is missing and the middle one begins with a digit, as dpkg wants it; archives are laxer.
fn is_whole(version: &Version) -> bool {
    let text = version.as_str();
    let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
    epoch.parse::<i32>().is_ok() && rest.starts_with(|c: char| c.is_ascii_digit()) && !rest.ends_with('-')
}

fn wrong(field: &Field<'_>, problem: impl std::fmt::Display) -> ControlError {
    ControlError { line: field.line, problem: format!("`{}`: {problem}", field.name) }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(field: &Field<'_>) -> Result<T, ControlError> {
    field.value.parse().map_err(|problem: T::Err| wrong(field, problem))
}

/// Checks one field; the relations if it is `Replaces`.
fn check(field: &Field<'_>) -> Result<Option<Relations>, ControlError> {
    let is = |name: &str| field.name.eq_ignore_ascii_case(name);
    if let Some((name, alternation)) = RELATIONS.into_iter().find(|(name, _)| is(name)) {
        let relations = relations(field, alternation)?;
        return Ok((name == "Replaces").then_some(relations));
    }
    if OF_STATUS.into_iter().any(is) {
        return Err(wrong(field, "a field of dpkg's status file, which a package must not have"));
    }
    if field.name.len() < 2 {
        return Err(wrong(field, "a field's name has two letters at least"));
    }
    if OF_VERSION.into_iter().any(is) {
        return Err(wrong(field, "a part of the version in a field of its own; it belongs to `Version`"));
    }
    let one_of = |words: &[&str]| match words.iter().any(|word| field.value.eq_ignore_ascii_case(word)) {
        true => Ok(None),
        false => {
            Err(wrong(field, format!("expected one of {}, not `{}`", words.join(", "), field.value.escape_debug())))
        }
    };
    if is("Essential") || is("Protected") {
        one_of(&["yes", "no"])
    } else if is("Multi-Arch") {
        one_of(&["no", "same", "foreign", "allowed"])
    } else if is("Priority") && field.value.contains('\n') {
        Err(wrong(field, "a word that goes on in the next line"))
    } else {
        Ok(None)
    }
}

/// Reads a field of relations as strictly as dpkg.
fn relations(field: &Field<'_>, alternation: Alternation) -> Result<Relations, ControlError> {
    if field.value.starts_with('\n') {
        return Err(wrong(field, "its first line is empty"));
    }
    // In source packages a comma may end the field.
    if field.value.ends_with(',') {
        return Err(wrong(field, "nothing follows the last comma"));
    }
    let relations: Relations = parsed(field)?;
    for group in relations.iter() {
        if alternation == Alternation::Refused && group.0.len() > 1 {
            return Err(wrong(field, format!("alternatives are not possible here: {group}")));
        }
        if let Some(odd) = group.0.iter().find(|one| !one.architectures.is_empty() || !one.profiles.is_empty()) {
            return Err(wrong(field, format!("only source packages restrict relations: {odd}")));
        }
        let mut versions = group.0.iter().filter_map(|one| Some(&one.constraint.as_ref()?.version));
        if let Some(odd) = versions.find(|version| !is_whole(version)) {
            return Err(wrong(
                field,
                format!(
                    "the version `{odd}` is not one for dpkg: [epoch:]upstream[-revision], and upstream begins with a digit"
                ),
            ));
        }
    }
    Ok(relations)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Package: foo\nVersion: 1\nArchitecture: arm64\nDepends: libc6 (>= 2),\n\tbar | baz\n";

    #[test]
    fn a_good_one_becomes_an_installed_one() {
        let control = BinaryControl::parse(GOOD).unwrap();
        assert_eq!((control.package.as_str(), control.version.as_str()), ("foo", "1"));
        let text = control.installed("\n /etc/foo 0123").unwrap().to_string();
        assert_eq!(
            text,
            "Package: foo\nStatus: install ok installed\nVersion: 1\nArchitecture: arm64\n\
             Depends: libc6 (>= 2),\n\tbar | baz\nConffiles:\n /etc/foo 0123\n"
        );
    }

    #[test]
    fn what_is_wrong_has_a_line_and_a_reason() {
        let table = [
            ("Depends: libc6, ", 4, "`Depends`: nothing follows the last comma"),
            ("Conflicts: aa | bb", 4, "`Conflicts`: alternatives are not possible here: aa | bb"),
            ("depends: aa [arm64]", 4, "`depends`: only source packages restrict relations: aa [arm64]"),
            ("Suggests:\n aa", 4, "`Suggests`: its first line is empty"),
            ("Section: a\nsection: b", 5, "the field `section` occurs twice"),
            ("Essential: perhaps", 4, "`Essential`: expected one of yes, no, not `perhaps`"),
            ("Status: install ok installed", 4, "a field of dpkg's status file"),
            ("Priority: optional\n b", 4, "goes on in the next line"),
        ];
        for (field, line, want) in table {
            let error = BinaryControl::parse(&format!("Package: foo\nVersion: 1\nArchitecture: arm64\n{field}\n"));
            let error = error.unwrap_err();
            assert!(error.line == line && error.problem.contains(want), "{field}: {error}");
        }
        assert!(BinaryControl::parse(GOOD.trim_end()).unwrap_err().problem.contains("does not end"));
    }
}
