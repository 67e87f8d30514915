//! `[[artifact]]`: from a conforming table to the model, and from there to a rendered [`artifact::Artifact`].

use std::collections::BTreeMap;

use hah_format::digest::Sha256;
use hah_format::path::TreePath;

use super::document::{Fields, Item, Value};
use super::model::{Artifact, Entry, Install, Template, Verify};
use super::parse::Parser;
use super::problem::{Located, Place, Problem, Report};
use super::template::Scope;
use crate::artifact::{self, Format, Method, VendorKey, last_segment};
use crate::debian::Architecture;

/// What `verify` takes, per method: the keys that it needs, and those that it can do nothing with.
const NEEDS: [(Method, &[&str], &[&str]); 3] = [
    (Method::OpenPgp, &["url", "checksums", "signature"], &["sha256"]),
    (Method::Sha256Sums, &["url", "checksums"], &["signature", "key", "key-source", "sha256"]),
    (Method::Sha256, &["sha256"], &["checksums", "signature", "key", "key-source"]),
];

/// What messages call an entry with this method.
fn object(method: Method) -> &'static str {
    match method {
        Method::OpenPgp => "an artifact with `verify = \"openpgp\"`",
        Method::Sha256Sums => "an artifact with `verify = \"sha256sums\"`",
        Method::Sha256 => "an artifact with `verify = \"sha256\"`",
    }
}

/// What a key is for, where a method needs it.
fn purpose(key: &str) -> &'static str {
    match key {
        "url" => "where it is released",
        "checksums" => "the URL of the checksum file",
        "signature" => "the URL of the checksum file's signature",
        _ => "its digest, 64 hex digits",
    }
}

impl Parser<'_> {
    /// One `[[artifact]]`.
    pub(super) fn artifact(&mut self, mut fields: Fields) -> Option<Entry<Artifact>> {
        let place = fields.place.clone();
        let method = fields.text("verify").map(|text| text.value);
        let method = Method::ALL.into_iter().find(|known| method.as_deref() == Some(known.as_str()));
        if let Some(method) = method {
            self.needs(method, &fields, &place);
        }
        let key = self.key(method, &mut fields, &place);
        let mut template = |key: &str, parser: &mut Self| fields.text(key).map(|text| parser.template(text));
        let (version, url) = (template("version", self), template("url", self));
        let (checksums, signature) = (template("checksums", self), template("signature", self));
        let sha256 = template("sha256", self);
        let verify = method.and_then(|method| match method {
            Method::OpenPgp => Some(Verify::OpenPgp { checksums: checksums?, signature: signature?, key: key? }),
            Method::Sha256Sums => Some(Verify::Sha256Sums { checksums: checksums? }),
            Method::Sha256 => Some(Verify::Sha256 { sha256: sha256? }),
        });
        let arch = fields.has("arch").then(|| architectures(fields.named("arch")));
        let unavailable = architectures(fields.named("unavailable"));
        let format = fields.text("format").map(|text| text.value);
        let format = Format::ALL.into_iter().find(|known| format.as_deref() == Some(known.as_str()));
        let mirror = fields.text("mirror").map(|text| text.value);
        let installs: Vec<Install> = match fields.take("install").map(|item| item.value) {
            Some(Value::List(items)) => {
                if items.is_empty() {
                    let (reason, hint) = ("the artifact installs nothing".to_owned(), "add an [[artifact.install]]");
                    self.report.at(&place, Problem::Invalid { reason, hint });
                }
                items.into_iter().filter_map(|item| self.install(item.fields())).collect()
            }
            _ => Vec::new(),
        };
        let name = fields.text("name")?;
        let (version, verify) = (version?, verify?);
        let artifact = |name| Artifact { name, version, url, mirror, arch, unavailable, verify, format, installs };
        Some(self.entry(name.map(artifact), fields))
    }

    /// That the keys are there which `method` needs, and no others.
    fn needs(&mut self, method: Method, fields: &Fields, place: &Place) {
        let Some((_, needed, useless)) = NEEDS.into_iter().find(|(known, ..)| *known == method) else { return };
        for key in needed.iter().filter(|key| !fields.has(key)) {
            self.report.at(place, Problem::MissingKey { object: object(method), key, doc: purpose(key) });
        }
        for key in useless.iter().filter(|key| fields.has(key)) {
            self.report.at(place, Problem::NoMeaning { key, with: with(method) });
        }
    }

    /// The key that a signature must be by.
    fn key(&mut self, method: Option<Method>, fields: &mut Fields, place: &Place) -> Option<VendorKey> {
        let (embedded, source) = (fields.has("key"), fields.has("key-source"));
        let (key, file) = (fields.text("key"), fields.text("key-source"));
        if method != Some(Method::OpenPgp) {
            return None;
        }
        let name = object(Method::OpenPgp);
        match (embedded, source) {
            (true, true) => {
                self.report.at(place, Problem::TwoContents { object: name, first: "key", second: "key-source" });
                None
            }
            (false, false) => {
                let doc = "a key that hah-image carries, or `key-source`, a file";
                self.report.at(place, Problem::MissingKey { object: name, key: "key", doc });
                None
            }
            (true, false) => key.map(|text| VendorKey::Embedded(text.value)),
            (false, true) => {
                let text = file?;
                let bytes = self.source(&text)?;
                let relative: TreePath = text.value.parse().ok()?;
                Some(VendorKey::File { path: format!("{}/{}", self.directory, relative.as_str()), bytes })
            }
        }
    }

    fn install(&mut self, mut fields: Fields) -> Option<Install> {
        let member = fields.text("member").map(|text| self.template(text));
        let access = self.access(0o755, &mut fields);
        let path = self.path(&mut fields)?;
        Some(Install { member, path: path.value, access: access?, place: path.place })
    }
}

/// What messages call `method` as a circumstance.
fn with(method: Method) -> &'static str {
    match method {
        Method::OpenPgp => "`verify = \"openpgp\"`",
        Method::Sha256Sums => "`verify = \"sha256sums\"`",
        Method::Sha256 => "`verify = \"sha256\"`",
    }
}

fn architectures(named: Vec<(Located<String>, Item)>) -> BTreeMap<Architecture, String> {
    let pair = |(name, item): (Located<String>, Item)| Some((name.value.parse().ok()?, item.text()?.value));
    named.into_iter().filter_map(pair).collect()
}

/// A rendered artifact, and where each of its files is declared.
pub(super) struct Rendered {
    artifact: artifact::Artifact,
    places: Vec<Place>,
}

impl Rendered {
    /// Its files' paths and where they are declared.
    pub(super) fn places(&self) -> impl Iterator<Item = (&TreePath, &Place)> {
        self.artifact.install.iter().map(|install| &install.path).zip(&self.places)
    }

    pub(super) fn into_artifact(self, recipe: String) -> artifact::Artifact {
        artifact::Artifact { recipe, ..self.artifact }
    }
}

/// Fills in the templates of `entry` for a board of `architecture`.
pub(super) fn render(
    entry: &Entry<Artifact>,
    (scope, recipe): (&Scope, &str),
    architecture: Architecture,
    report: &mut Report,
) -> Option<Rendered> {
    let Artifact { name, version, url, mirror, arch, unavailable, verify, format, installs } = &entry.value;
    let called = match arch {
        None => Some(architecture.as_str().to_owned()),
        Some(arch) => arch.get(&architecture).cloned(),
    };
    let Some(called) = called.filter(|_| !unavailable.contains_key(&architecture)) else {
        let known = arch.iter().flat_map(BTreeMap::keys).copied().filter(|known| *known != architecture).collect();
        let reason = unavailable.get(&architecture).cloned();
        report.at(&entry.place, Problem::NoBuild { artifact: name.clone(), architecture, reason, known });
        return None;
    };
    let version_text = line(version, (scope, recipe), report)?;
    if !is_version(&version_text) {
        let reason = format!("`{version_text}` is not a version: letters, digits, `.`, `+`, `~`, `_` and `-`");
        report.at(&version.place, Problem::Invalid { reason, hint: "" });
        return None;
    }
    let facts = BTreeMap::from([("version", version_text.clone()), ("arch", called)]);
    let scope = (&scope.with("artifact", facts), recipe);
    let url_text = match url {
        Some(template) => Some(address(template, scope, report)?),
        None => None,
    };
    let verify = match verify {
        Verify::OpenPgp { checksums, signature, key } => artifact::Verify::OpenPgp {
            checksums: address(checksums, scope, report)?,
            signature: address(signature, scope, report)?,
            key: key.clone(),
        },
        Verify::Sha256Sums { checksums } => {
            let text = address(checksums, scope, report)?;
            if text.starts_with("http://") {
                let reason = "anybody on the way could change an unsigned checksum file".to_owned();
                report.at(&checksums.place, Problem::Invalid { reason, hint: "fetch it over https" });
                return None;
            }
            artifact::Verify::Sha256Sums { checksums: text }
        }
        Verify::Sha256 { sha256 } => {
            let text = line(sha256, scope, report)?;
            match text.parse::<Sha256>() {
                Ok(digest) => artifact::Verify::Sha256(digest),
                Err(error) => {
                    let hint = "`sha256sum FILE` prints it";
                    report.at(&sha256.place, Problem::Invalid { reason: error.to_string(), hint });
                    return None;
                }
            }
        }
    };
    let format = settle_format((name, *format), url_text.as_deref(), installs, (&entry.place, report))?;
    let mut files: Vec<(artifact::Install, Place)> = Vec::new();
    for install in installs {
        let member = member(install, format, scope, report)?;
        let (path, access) = (install.path.clone(), install.access.clone());
        let file = artifact::Install { member, path, mode: access.mode, user: access.owner, group: access.group };
        files.push((file, install.place.clone()));
    }
    files.sort_by(|(left, _), (right, _)| left.path.cmp(&right.path));
    let (install, places) = files.into_iter().unzip();
    let artifact = artifact::Artifact {
        name: name.clone(),
        version: version_text,
        url: url_text,
        mirror: mirror.clone(),
        verify,
        format,
        install,
        recipe: String::new(),
    };
    Some(Rendered { artifact, places })
}

/// What kind of file it is: as the recipe says, or as the end of the URL does; without members it is the program.
fn settle_format(
    (name, said): (&str, Option<Format>),
    url: Option<&str>,
    installs: &[Install],
    (place, report): (&Place, &mut Report),
) -> Option<Format> {
    let guessed = url.and_then(last_segment).and_then(Format::of_name);
    let plain = installs.iter().all(|install| install.member.is_none()).then_some(Format::File);
    let format = said.or(guessed).or(plain);
    if format.is_none() {
        let reason = format!("what kind of file artifact `{name}` is cannot be told from its URL");
        report.at(place, Problem::Invalid { reason, hint: "add `format = \"zip\"` or `format = \"tar.gz\"`" });
    }
    format
}

/// The member that `install` names, which there must be in an archive and cannot be in a file.
fn member(install: &Install, format: Format, scope: (&Scope, &str), report: &mut Report) -> Option<Option<TreePath>> {
    match (&install.member, format) {
        (None, Format::File) => Some(None),
        (Some(member), Format::File) => {
            report.at(&member.place, Problem::NoMeaning { key: "member", with: "an artifact that is the file itself" });
            None
        }
        (None, _) => {
            let (object, doc) = ("an [[artifact.install]] entry of an archive", "which of the archive's files it is");
            report.at(&install.place, Problem::MissingKey { object, key: "member", doc });
            None
        }
        (Some(member), _) => {
            let text = line(member, scope, report)?;
            match TreePath::parse(&text) {
                Ok(path) if !path.is_root() => Some(Some(path)),
                outcome => {
                    let reason =
                        outcome.err().map_or_else(|| "the member has no name".to_owned(), |error| error.to_string());
                    report.at(&member.place, Problem::Invalid { reason, hint: "" });
                    None
                }
            }
        }
    }
}

/// A template whose result must be one line that says something.
fn line(template: &Template, (scope, recipe): (&Scope, &str), report: &mut Report) -> Option<String> {
    let text = scope.render(recipe, template, report)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        let what = if text.is_empty() { "empty" } else { "more than one line" };
        report.at(&template.place, Problem::Invalid { reason: format!("the rendered text is {what}"), hint: "" });
        return None;
    }
    Some(text)
}

/// A template whose result must be the address of a file.
fn address(template: &Template, scope: (&Scope, &str), report: &mut Report) -> Option<String> {
    let text = line(template, scope, report)?;
    let schemes = ["https://", "http://", "file:///"];
    let is_address = schemes.iter().any(|scheme| text.starts_with(scheme))
        && last_segment(&text).is_some()
        && !text.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\\' | '<' | '>'));
    if !is_address {
        let reason = format!("`{text}` is not the address of a file");
        report.at(&template.place, Problem::Invalid { reason, hint: "for example `https://example.org/a/b.zip`" });
        return None;
    }
    Some(text)
}

fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= 100
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+~_-".contains(&byte))
}
