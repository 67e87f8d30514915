//! Reading `hah.lock`, version 1: strict, with line numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use hah_format::digest::Sha256;
use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use crate::artifact::Method;
use crate::debian::archive::unix_seconds;
use crate::debian::{Architecture, PackageName, Version};
use crate::resolve::{DependencyField, SuiteReason};
use crate::system::Archive;

use super::{
    Lock, LockError, LockedArchive, LockedArtifact, LockedImage, LockedNeed, LockedPackage, MAX_LOCK, Trust, VERSION,
    plain_name,
};

/// What every version has.
#[derive(Deserialize)]
struct Head {
    version: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "version")]
    _version: u64,
    #[serde(default)]
    archive: Vec<Spanned<RawArchive>>,
    #[serde(default)]
    image: Vec<Spanned<RawImage>>,
    #[serde(default)]
    package: Vec<Spanned<RawPackage>>,
    #[serde(default)]
    artifact: Vec<Spanned<RawArtifact>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawArchive {
    suite: String,
    archive: Spanned<String>,
    date: Spanned<Datetime>,
    inrelease: Sha256,
    key: Option<Spanned<String>>,
    images: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawImage {
    name: String,
    architecture: Architecture,
    request: Sha256,
    epoch: Spanned<Datetime>,
    #[serde(default)]
    askers: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPackage {
    name: PackageName,
    version: Version,
    architecture: Architecture,
    suite: String,
    archive: Spanned<String>,
    path: Spanned<String>,
    size: u64,
    sha256: Sha256,
    images: BTreeSet<String>,
    #[serde(default)]
    why: BTreeSet<String>,
    #[serde(default, rename = "suite-why")]
    suite_why: Vec<Spanned<String>>,
    #[serde(default)]
    needs: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawArtifact {
    name: String,
    version: String,
    url: Option<String>,
    size: u64,
    sha256: Sha256,
    verify: Spanned<String>,
    signature: Spanned<String>,
    images: BTreeSet<String>,
    #[serde(default)]
    why: BTreeSet<String>,
}

/// The text, for line numbers.
struct Place<'a>(&'a str);

impl Place<'_> {
    fn error(&self, span: Option<Range<usize>>, problem: impl Into<String>) -> LockError {
        let start = span.map_or(0, |span| span.start).min(self.0.len());
        let line = self.0.as_bytes().iter().take(start).filter(|byte| **byte == b'\n').count() + 1;
        LockError::Text { line, problem: problem.into() }
    }

    fn toml(&self, error: &toml::de::Error) -> LockError {
        self.error(error.span(), error.message())
    }

    fn archive(&self, name: &Spanned<String>) -> Result<Archive, LockError> {
        name.get_ref().parse().map_err(|problem| self.error(Some(name.span()), format!("{problem}")))
    }

    fn seconds(&self, date: &Spanned<Datetime>) -> Result<i64, LockError> {
        date_seconds(date.get_ref())
            .ok_or_else(|| self.error(Some(date.span()), "expected a date and time in UTC, in whole seconds"))
    }

    fn trust(&self, verify: &Spanned<String>, signature: &Spanned<String>) -> Result<Trust, LockError> {
        let method = Method::ALL.into_iter().find(|method| method.as_str() == verify.get_ref());
        let method = method.ok_or_else(|| {
            self.error(Some(verify.span()), format!("`{}` is no way to verify an artifact", verify.get_ref()))
        })?;
        match (method, signature.get_ref().as_str()) {
            (Method::Sha256Sums | Method::Sha256, "unsigned") => Ok(Trust::Unsigned(method)),
            (Method::OpenPgp, text)
                if let Some((key, fingerprint)) = text.rsplit_once(' ')
                    && is_fingerprint(fingerprint) =>
            {
                Ok(Trust::Signed { key: key.to_owned(), fingerprint: fingerprint.to_owned() })
            }
            (_, text) => {
                let expected = if method == Method::OpenPgp { "a key and its fingerprint" } else { "`unsigned`" };
                Err(self.error(Some(signature.span()), format!("`{text}` is not {expected}")))
            }
        }
    }

    fn suite_reason(&self, text: &Spanned<String>) -> Result<SuiteReason, LockError> {
        parse_suite_reason(text.get_ref()).ok_or_else(|| {
            let problem = format!("`{}` is no reason for a suite", text.get_ref());
            self.error(Some(text.span()), problem)
        })
    }

    fn need(&self, text: &Spanned<String>) -> Result<LockedNeed, LockError> {
        parse_need(text.get_ref()).ok_or_else(|| {
            self.error(Some(text.span()), format!("`{}` is not `Depends: relation [-> package]`", text.get_ref()))
        })
    }
}

/// 40 hex digits, or 64 of later keys.
fn is_fingerprint(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte))
}

fn parse_field(text: &str) -> Option<DependencyField> {
    [DependencyField::PreDepends, DependencyField::Depends].into_iter().find(|field| field.to_string() == text)
}

fn parse_suite_reason(text: &str) -> Option<SuiteReason> {
    if text == SuiteReason::Only.to_string() {
        return Some(SuiteReason::Only);
    }
    let (asks, relation) = text.split_once(": ")?;
    let (dependant, field) = asks.split_once(' ')?;
    let (dependant, field) = (dependant.parse().ok()?, parse_field(field)?);
    Some(SuiteReason::For { dependant, field, relation: relation.to_owned() })
}

fn parse_need(text: &str) -> Option<LockedNeed> {
    let (field, rest) = text.split_once(": ")?;
    let field = parse_field(field)?;
    let (relation, package) = match rest.split_once(" -> ") {
        Some(parts) => parts,
        None => (rest, plain_name(rest)?),
    };
    Some(LockedNeed { field, relation: relation.to_owned(), package: package.parse().ok()? })
}

fn date_seconds(date: &Datetime) -> Option<i64> {
    let (day, time) = (date.date?, date.time?);
    let utc = matches!(date.offset?, toml::value::Offset::Z);
    let second = time.second.unwrap_or(0);
    let whole = time.nanosecond.unwrap_or(0) == 0;
    let clock = (i64::from(time.hour) * 60 + i64::from(time.minute)) * 60 + i64::from(second);
    let midnight = unix_seconds(i64::from(day.year), i64::from(day.month), i64::from(day.day))?;
    (utc && whole).then_some(midnight + clock)
}

pub(super) fn parse(text: &str) -> Result<Lock, LockError> {
    let place = Place(text);
    if text.len() > MAX_LOCK {
        return Err(place.error(None, "longer than 64 MiB"));
    }
    if let Some(line) = text.lines().position(|line| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ")) {
        return Err(LockError::Text { line: line + 1, problem: "an unresolved merge conflict".to_owned() });
    }
    let head: Head = toml::from_str(text).map_err(|error| place.toml(&error))?;
    if head.version != u64::from(VERSION) {
        return Err(if head.version > u64::from(VERSION) {
            LockError::Newer { found: head.version }
        } else {
            place.error(None, format!("version {} never was", head.version))
        });
    }
    let file: File = toml::from_str(text).map_err(|error| place.toml(&error))?;
    convert(&place, file)
}

fn convert(place: &Place<'_>, file: File) -> Result<Lock, LockError> {
    let mut lock = Lock::default();
    let mut architectures = BTreeMap::new();
    for raw in file.image {
        let span = Some(raw.span());
        let RawImage { name, architecture, request, epoch, askers } = raw.into_inner();
        let seconds = u32::try_from(place.seconds(&epoch)?)
            .map_err(|_| place.error(Some(epoch.span()), "an epoch is between 1970 and 2106"))?;
        if architectures.insert(name.clone(), architecture).is_some() {
            return Err(place.error(span, format!("the image `{name}` occurs twice")));
        }
        lock.images.push(LockedImage { name, architecture, request, epoch: seconds, askers });
    }
    let check = |images: &BTreeSet<String>, span: Option<Range<usize>>| match images
        .iter()
        .find(|name| !architectures.contains_key(*name))
    {
        Some(name) => Err(place.error(span, format!("there is no [[image]] `{name}`"))),
        None if images.is_empty() => Err(place.error(span, "a stanza that no image uses")),
        None => Ok(()),
    };
    let mut suites = BTreeSet::new();
    for raw in file.archive {
        let span = Some(raw.span());
        let raw = raw.into_inner();
        check(&raw.images, span.clone())?;
        for image in &raw.images {
            if !suites.insert((image.clone(), raw.suite.clone())) {
                return Err(place.error(span, format!("the image `{image}` has two archives for {}", raw.suite)));
            }
        }
        if let Some(key) = raw.key.as_ref().filter(|key| !is_fingerprint(key.get_ref())) {
            return Err(place.error(Some(key.span()), format!("`{}` is no fingerprint", key.get_ref())));
        }
        let archive = place.archive(&raw.archive)?;
        if matches!(archive, Archive::Own(_)) && raw.key.is_none() {
            let problem = format!("unknown archive `{archive}`: one that is not Debian's has a `key`");
            return Err(place.error(Some(raw.archive.span()), problem));
        }
        lock.archives.push(LockedArchive {
            archive,
            key: raw.key.map(Spanned::into_inner),
            date: place.seconds(&raw.date)?,
            suite: raw.suite,
            inrelease: raw.inrelease,
            images: raw.images,
        });
    }
    let mut names = BTreeSet::new();
    for raw in file.package {
        let span = Some(raw.span());
        let raw = raw.into_inner();
        check(&raw.images, span.clone())?;
        for image in &raw.images {
            if !names.insert((image.clone(), raw.name.clone())) {
                return Err(place.error(span, format!("the image `{image}` has two packages {}", raw.name)));
            }
            if !suites.contains(&(image.clone(), raw.suite.clone())) {
                return Err(place.error(span, format!("the image `{image}` has no [[archive]] for {}", raw.suite)));
            }
            let native = architectures.get(image) == Some(&raw.architecture);
            if !native && raw.architecture != Architecture::All {
                return Err(
                    place.error(span, format!("{} is {}, the image `{image}` is not", raw.name, raw.architecture))
                );
            }
        }
        if raw.path.get_ref().split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(place.error(Some(raw.path.span()), "the path leaves the archive"));
        }
        let archive = place.archive(&raw.archive)?;
        if !lock.archives.iter().any(|known| (&known.suite, &known.archive) == (&raw.suite, &archive)) {
            let problem = format!("the suite {} is not of the archive `{archive}`", raw.suite);
            return Err(place.error(Some(raw.archive.span()), problem));
        }
        lock.packages.push(LockedPackage {
            archive,
            suite_why: raw.suite_why.iter().map(|reason| place.suite_reason(reason)).collect::<Result<_, _>>()?,
            needs: raw.needs.iter().map(|need| place.need(need)).collect::<Result<_, _>>()?,
            name: raw.name,
            version: raw.version,
            architecture: raw.architecture,
            suite: raw.suite,
            path: raw.path.into_inner(),
            size: raw.size,
            sha256: raw.sha256,
            images: raw.images,
            why: raw.why,
        });
    }
    let mut artifacts = BTreeSet::new();
    for raw in file.artifact {
        let span = Some(raw.span());
        let RawArtifact { name, version, url, size, sha256, verify, signature, images, why } = raw.into_inner();
        check(&images, span.clone())?;
        for image in &images {
            if !artifacts.insert((image.clone(), name.clone())) {
                return Err(place.error(span, format!("the image `{image}` has two artifacts {name}")));
            }
        }
        let trust = place.trust(&verify, &signature)?;
        lock.artifacts.push(LockedArtifact { name, version, url, size, sha256, trust, images, why });
    }
    lock.settle();
    Ok(lock)
}
