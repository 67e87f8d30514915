//! Archive indexes: `Release` and `Packages` (DebianRepository/Format on the Debian wiki).
//!
//! [`Release`] is small and read whole. [`Index`] finds the stanzas of a `Packages` file, which may have 60 MB, and reads
//! of each only what a search needs; [`Entry::candidate`] reads the rest of one stanza.
//! Signatures are not checked here: the caller hands in what it has verified.

use std::collections::BTreeMap;

use hah_format::digest::Sha256;

use super::control::{ControlError, Stanza, only_stanza, stanzas, unfold};
use super::relation::{ParseRelationError, Relations};
use super::{Architecture, PackageName, Version};

/// Most index files that one `Release` may list; Debian 13 lists about 700.
const MAX_LISTED: usize = 100_000;
/// Most packages in one index; Debian 13 has about 70 000.
const MAX_ENTRIES: usize = 1_000_000;

/// An index that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// Not deb822.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A field that must be there is not.
    #[error("line {line}: the stanza has no `{field}`")]
    Missing {
        /// Line in the file, from 1.
        line: usize,
        /// Which field.
        field: &'static str,
    },
    /// A field with a value that it cannot have.
    #[error("line {line}: `{field}`: {problem}")]
    Field {
        /// Line in the file, from 1.
        line: usize,
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl ArchiveError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        "the archive's index is damaged or newer than this program; fetch it again, or from another mirror"
    }
}

fn field<'a>(stanza: &Stanza<'a>, name: &'static str) -> Result<&'a str, ArchiveError> {
    stanza.get(name).ok_or(ArchiveError::Missing { line: stanza.line(), field: name })
}

fn parsed<T: std::str::FromStr<Err: ToString>>(stanza: &Stanza<'_>, name: &'static str) -> Result<T, ArchiveError> {
    parse_value(stanza, name, field(stanza, name)?)
}

fn parse_value<T: std::str::FromStr<Err: ToString>>(
    stanza: &Stanza<'_>,
    name: &'static str,
    value: &str,
) -> Result<T, ArchiveError> {
    value.parse().map_err(|problem: T::Err| bad(stanza, name, problem.to_string()))
}

fn bad(stanza: &Stanza<'_>, name: &'static str, problem: impl Into<String>) -> ArchiveError {
    let line = stanza.field(name).map_or(stanza.line(), |field| field.line);
    ArchiveError::Field { line, field: name, problem: problem.into() }
}

/// One file that a `Release` vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Digest of the file.
    pub sha256: Sha256,
    /// Its length in bytes.
    pub size: u64,
}

/// A `Release` file: what one suite of an archive holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Who publishes it: `Debian`.
    pub origin: Option<String>,
    /// `Debian`, `Debian-Security`.
    pub label: Option<String>,
    /// Name of its role: `stable`, `stable-security`.
    pub suite: Option<String>,
    /// Name of its own: `trixie`, `trixie-security`.
    pub codename: Option<String>,
    /// When it was made, in seconds since 1970 UTC.
    pub date: i64,
    /// When it must not be believed any more, in seconds since 1970 UTC.
    pub valid_until: Option<i64>,
    /// Whether index files are also at `by-hash/SHA256/DIGEST` beside them.
    pub acquire_by_hash: bool,
    /// Whether packages are taken from it without being asked for.
    pub automatic: Automatic,
    /// Architectures, as written.
    pub architectures: Vec<String>,
    /// Components, as written: `main`, or `updates/main` in the security archive.
    pub components: Vec<String>,
    /// The index files, by path below the suite's directory: `main/binary-arm64/Packages.xz`.
    pub files: BTreeMap<String, Listed>,
}

impl Release {
    /// Reads a `Release` file, or the text within an `InRelease`'s signature.
    pub fn parse(text: &str) -> Result<Self, ArchiveError> {
        let stanza = only_stanza(text)?;
        let owned = |name| stanza.get(name).map(str::to_owned);
        let words = |name| stanza.get(name).unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect();
        let date = |name| {
            let parse = |value| parse_date(value).ok_or_else(|| bad(&stanza, name, format!("`{value}` is not a date")));
            stanza.get(name).map(parse).transpose()
        };
        Ok(Self {
            origin: owned("Origin"),
            label: owned("Label"),
            suite: owned("Suite"),
            codename: owned("Codename"),
            date: date("Date")?.ok_or(ArchiveError::Missing { line: stanza.line(), field: "Date" })?,
            valid_until: date("Valid-Until")?,
            acquire_by_hash: is_yes(&stanza, "Acquire-By-Hash"),
            automatic: match (is_yes(&stanza, "NotAutomatic"), is_yes(&stanza, "ButAutomaticUpgrades")) {
                (_, true) => Automatic::ButUpgrades,
                (true, false) => Automatic::No,
                (false, false) => Automatic::Yes,
            },
            architectures: words("Architectures"),
            components: words("Components"),
            files: listed_files(&stanza)?,
        })
    }

    /// Whether the file is for the suite `name`, by either of its names.
    pub fn is_named(&self, name: &str) -> bool {
        [&self.suite, &self.codename].into_iter().flatten().any(|known| known == name)
    }

    /// Whether the file says for which suite it is. Small archives often do not.
    pub fn has_name(&self) -> bool {
        self.suite.is_some() || self.codename.is_some()
    }
}

/// Whether a field is one of apt's words for yes; any other word, and no field, is no.
fn is_yes(stanza: &Stanza<'_>, name: &str) -> bool {
    let value = stanza.get(name).unwrap_or_default();
    ["yes", "true", "with", "on", "enable", "1"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// Whether a suite's packages are taken without being asked for: its `Release`'s `NotAutomatic` and
/// `ButAutomaticUpgrades` (apt_preferences(5)). To apt itself the second means the same without the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Automatic {
    /// `NotAutomatic: yes`: only what no other suite has, and what is asked for from it; Debian's experimental.
    No,
    /// `ButAutomaticUpgrades: yes`: likewise, and what was installed from it is kept current; backports.
    ButUpgrades,
    /// Neither field: every package.
    #[default]
    Yes,
}

impl Automatic {
    /// The priority that apt gives to the suite's versions when no preferences say otherwise.
    pub fn priority(self) -> u16 {
        match self {
            Self::No => 1,
            Self::ButUpgrades => 100,
            Self::Yes => 500,
        }
    }
}

/// Lines of ` DIGEST SIZE PATH`.
fn listed_files(stanza: &Stanza<'_>) -> Result<BTreeMap<String, Listed>, ArchiveError> {
    const NAME: &str = "SHA256";
    let mut files = BTreeMap::new();
    for line in field(stanza, NAME)?.lines().map(str::trim_ascii).filter(|line| !line.is_empty()) {
        let mut words = line.split_ascii_whitespace();
        let (Some(digest), Some(size), Some(path), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(bad(stanza, NAME, format!("expected `digest size path`, not `{line}`")));
        };
        if path.starts_with('/') || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(bad(stanza, NAME, format!("`{path}` leaves the suite's directory")));
        }
        let listed = Listed { sha256: parse_value(stanza, NAME, digest)?, size: parse_value(stanza, NAME, size)? };
        if files.insert(path.to_owned(), listed).is_some_and(|earlier| earlier != listed) {
            return Err(bad(stanza, NAME, format!("`{path}` is listed twice with different content")));
        }
        if files.len() > MAX_LISTED {
            return Err(bad(stanza, NAME, "more than 100000 files"));
        }
    }
    Ok(files)
}

/// `Sat, 12 Sep 2026 07:55:41 UTC`, in seconds since 1970 UTC. Zones other than UTC are not dates of an archive.
pub fn parse_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let rest = text.split_once(',').map_or(text, |(_, rest)| rest);
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    let [day, month, year, time, zone] = words[..] else { return None };
    let month = MONTHS.iter().position(|known| *known == month)? as i64 + 1;
    let clock: Vec<&str> = time.split(':').collect();
    let [hour, minute, second] = clock[..] else { return None };
    let number = |text: &str, range: std::ops::RangeInclusive<i64>| {
        let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|value| digits && range.contains(value))
    };
    let (day, year) = (number(day, 1..=31)?, number(year, 1970..=9999)?);
    let (hour, minute, second) = (number(hour, 0..=23)?, number(minute, 0..=59)?, number(second, 0..=60)?);
    if !matches!(zone, "UTC" | "GMT" | "Z" | "+0000" | "-0000") {
        return None;
    }
    Some(unix_seconds(year, month, day)? + (hour * 60 + minute) * 60 + second)
}

/// The beginning of a Gregorian day in seconds since 1970 UTC; none of a day that no year has.
pub(crate) fn unix_seconds(year: i64, month: i64, day: i64) -> Option<i64> {
    let month = time::Month::try_from(u8::try_from(month).ok()?).ok()?;
    let day = time::Date::from_calendar_date(year.try_into().ok()?, month, day.try_into().ok()?).ok()?;
    Some(day.midnight().as_utc().unix_timestamp())
}

/// `2026-09-12T07:55:41Z`, from seconds since 1970 UTC (RFC 3339). What is beyond the year 9999 counts as its end.
pub fn rfc3339(seconds: i64) -> String {
    let moment = time::UtcDateTime::from_unix_timestamp(seconds).unwrap_or(time::UtcDateTime::MAX);
    let ((year, month, day), (hour, minute, second)) = (moment.to_calendar_date(), moment.as_hms());
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
}

/// The packages of one `Packages` file, in file order.
#[derive(Clone, Debug, Default)]
pub struct Index<'a> {
    /// Its entries.
    pub entries: Vec<Entry<'a>>,
}

/// One package of an index: what a search needs of it, and the stanza with the rest.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Package name, as written.
    pub name: &'a str,
    /// Version, as written.
    pub version: &'a str,
    /// Architecture, as written.
    pub architecture: &'a str,
    /// `Provides`, as written.
    pub provides: Option<&'a str>,
    /// Whether it is `Essential: yes`.
    pub essential: bool,
    /// Where the rest is.
    pub stanza: Stanza<'a>,
}

impl<'a> Index<'a> {
    /// Finds the packages of `text`.
    pub fn scan(text: &'a str) -> Result<Self, ArchiveError> {
        let mut entries = Vec::new();
        for stanza in stanzas(text) {
            let stanza = stanza?;
            let missing = |field| ArchiveError::Missing { line: stanza.line(), field };
            let (mut name, mut version, mut architecture, mut provides, mut essential) =
                (None, None, None, None, false);
            for field in stanza.fields() {
                match field.name {
                    "Package" => name = Some(field.value),
                    "Version" => version = Some(field.value),
                    "Architecture" => architecture = Some(field.value),
                    "Provides" => provides = Some(field.value),
                    "Essential" => essential = field.value == "yes",
                    _ => {}
                }
            }
            if entries.len() == MAX_ENTRIES {
                return Err(stanza.error("more than a million packages").into());
            }
            entries.push(Entry {
                name: name.ok_or_else(|| missing("Package"))?,
                version: version.ok_or_else(|| missing("Version"))?,
                architecture: architecture.ok_or_else(|| missing("Architecture"))?,
                provides,
                essential,
                stanza,
            });
        }
        Ok(Self { entries })
    }
}

impl Entry<'_> {
    /// Reads the whole stanza.
    pub fn candidate(&self) -> Result<Candidate, ArchiveError> {
        let stanza = &self.stanza;
        let relations = |name: &'static str| {
            let text = stanza.get(name).unwrap_or_default();
            text.parse().map_err(|problem: ParseRelationError| bad(stanza, name, problem.to_string()))
        };
        let multi_arch = match stanza.get("Multi-Arch") {
            None | Some("no") => MultiArch::No,
            Some("same") => MultiArch::Same,
            Some("foreign") => MultiArch::Foreign,
            Some("allowed") => MultiArch::Allowed,
            Some(other) => return Err(bad(stanza, "Multi-Arch", format!("unknown value `{other}`"))),
        };
        // dpkg-scanpackages(1) writes `./` before the paths of an archive that has no pool.
        let filename = field(stanza, "Filename")?;
        let filename = filename.strip_prefix("./").unwrap_or(filename);
        let odd = |part: &str| matches!(part, "" | "." | "..") || part.contains(|c: char| c.is_control() || c == ' ');
        if filename.split('/').any(odd) {
            return Err(bad(
                stanza,
                "Filename",
                format!("`{}` is not a path below the archive", filename.escape_default()),
            ));
        }
        let (name, version): (PackageName, Version) = (parsed(stanza, "Package")?, parsed(stanza, "Version")?);
        Ok(Candidate {
            architecture: parsed(stanza, "Architecture")?,
            multi_arch,
            essential: self.essential,
            priority: stanza.get("Priority").map_or(Priority::Optional, Priority::from_field),
            source: source(stanza, &name, &version)?,
            depends: relations("Depends")?,
            pre_depends: relations("Pre-Depends")?,
            recommends: relations("Recommends")?,
            provides: relations("Provides")?,
            conflicts: relations("Conflicts")?,
            breaks: relations("Breaks")?,
            replaces: relations("Replaces")?,
            filename: filename.to_owned(),
            size: parsed(stanza, "Size")?,
            sha256: parsed(stanza, "SHA256")?,
            name,
            version,
        })
    }
}

/// `Source: NAME [(VERSION)]`; both default to the binary package's (Policy 5.6.1).
fn source(stanza: &Stanza<'_>, name: &PackageName, version: &Version) -> Result<Source, ArchiveError> {
    let Some(value) = stanza.get("Source") else {
        return Ok(Source { name: name.clone(), version: version.clone() });
    };
    let (source, rest) = value.split_once(' ').unwrap_or((value, ""));
    let version = match rest.trim_ascii().strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(text) => parse_value(stanza, "Source", text)?,
        None if rest.trim_ascii().is_empty() => version.clone(),
        None => return Err(bad(stanza, "Source", format!("expected `name (version)`, not `{}`", unfold(value)))),
    };
    Ok(Source { name: parse_value(stanza, "Source", source)?, version })
}

/// How a package works with other architectures on one system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MultiArch {
    /// Only for packages of its own architecture.
    #[default]
    No,
    /// Can be installed in several architectures at once.
    Same,
    /// Serves packages of any architecture.
    Foreign,
    /// Serves packages of any architecture that ask for `:any`.
    Allowed,
}

/// Policy 2.5, the more needed first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// `required`
    Required,
    /// `important`
    Important,
    /// `standard`
    Standard,
    /// `optional`, and anything else
    #[default]
    Optional,
}

impl Priority {
    fn from_field(text: &str) -> Self {
        match text {
            "required" => Self::Required,
            "important" => Self::Important,
            "standard" => Self::Standard,
            _ => Self::Optional,
        }
    }
}

/// The source package that a binary package was built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: Version,
}

/// One version of a package that an archive offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Package name.
    pub name: PackageName,
    /// Version.
    pub version: Version,
    /// Architecture.
    pub architecture: Architecture,
    /// `Multi-Arch`.
    pub multi_arch: MultiArch,
    /// Whether it is `Essential: yes`.
    pub essential: bool,
    /// `Priority`.
    pub priority: Priority,
    /// `Source`.
    pub source: Source,
    /// `Depends`.
    pub depends: Relations,
    /// `Pre-Depends`.
    pub pre_depends: Relations,
    /// `Recommends`.
    pub recommends: Relations,
    /// `Provides`.
    pub provides: Relations,
    /// `Conflicts`.
    pub conflicts: Relations,
    /// `Breaks`.
    pub breaks: Relations,
    /// `Replaces`.
    pub replaces: Relations,
    /// Path below the archive: `pool/…`.
    pub filename: String,
    /// Length of the .deb in bytes.
    pub size: u64,
    /// Digest of the .deb.
    pub sha256: Sha256,
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: &str = "Origin: Debian\nSuite: stable-security\nCodename: trixie-security\n\
        Date: Sat, 21 Nov 2026 00:53:03 UTC\nValid-Until: Sat, 28 Nov 2026 00:53:03 UTC\nAcquire-By-Hash: yes\n\
        Architectures: amd64 arm64\nComponents: updates/main\nSHA256:\n \
        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855        0 main/binary-arm64/Packages\n";

    #[test]
    fn release_is_read() {
        let release = Release::parse(RELEASE).unwrap();
        assert_eq!((release.date, release.valid_until), (1_795_222_383, Some(1_795_827_183)));
        assert!(release.acquire_by_hash && release.is_named("stable-security") && release.is_named("trixie-security"));
        assert!(!release.is_named("trixie"));
        assert_eq!(release.files["main/binary-arm64/Packages"], Listed { sha256: Sha256::of(b""), size: 0 });
    }

    #[test]
    fn damaged_releases_are_refused() {
        let table = [
            (("Date: Sat, ", "Dote: Sat, "), "line 1: the stanza has no `Date`"),
            (("21 Nov", "31 Nov"), "line 4: `Date`: `Sat, 31 Nov 2026 00:53:03 UTC` is not a date"),
            (("        0 main", " main"), "line 9: `SHA256`: expected `digest size path`"),
            (("main/binary", "../binary"), "line 9: `SHA256`: `../binary-arm64/Packages` leaves the suite's directory"),
            (("        0 main", " -1 main"), "line 9: `SHA256`: invalid digit"),
            ((" e3b0", " 3b0"), "line 9: `SHA256`: `3b0c"),
        ];
        for ((old, new), want) in table {
            let error = Release::parse(&RELEASE.replace(old, new)).unwrap_err().to_string();
            assert!(error.starts_with(want), "{error}");
        }
    }

    #[test]
    fn dates_are_unix_seconds() {
        let table = [
            ("Thu, 01 Jan 1970 00:00:00 UTC", Some(0)),
            ("Thu, 29 Feb 2024 23:59:59 +0000", Some(1_709_251_199)),
            ("Sat, 12 Sep 2026 07:55:41 UTC", Some(1_789_199_741)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("Wed, 29 Feb 2023 00:00:00 UTC", None),
            ("Sat, 12 Sep 2026 07:55:41 CEST", None),
            ("Sat, 12 Sep 2026 24:00:00 UTC", None),
            ("Sat, 12 Sep 2026 +7:00:00 UTC", None),
            ("2026-09-12", None),
            ("", None),
        ];
        for (text, want) in table {
            assert_eq!(parse_date(text), want, "{text}");
        }
        for (seconds, want) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_789_199_741, "2026-09-12T07:55:41Z"),
            (4_294_967_295, "2106-02-07T06:28:15Z"),
        ] {
            assert_eq!(rfc3339(seconds), want);
        }
        for day in 0..60_000 {
            let text = rfc3339(day * 86_400);
            let number = |range: std::ops::Range<usize>| text[range].parse().unwrap();
            assert_eq!(unix_seconds(number(0..4), number(5..7), number(8..10)), Some(day * 86_400));
        }
    }

    const PACKAGES: &str = "Package: libfoo1\nSource: foo (1.0)\nVersion: 1.0+b1\nArchitecture: arm64\nEssential: yes\n\
        Multi-Arch: same\nPriority: required\nDepends: libc6 (>= 2.36), x | y\nProvides: libfoo (= 1.0)\n\
        Filename: pool/main/f/foo/libfoo1_1.0+b1_arm64.deb\nSize: 10\n\
        SHA256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n";

    #[test]
    fn entries_are_read_on_demand() {
        let index = Index::scan(PACKAGES).unwrap();
        let entry = index.entries[0];
        assert_eq!((entry.name, entry.provides, entry.essential), ("libfoo1", Some("libfoo (= 1.0)"), true));
        let error = entry.candidate().unwrap_err().to_string();
        assert!(error.starts_with("line 8: `Depends`: byte 17"), "{error}");
        let text = PACKAGES.replace("x | y", "xx | yy");
        let candidate = Index::scan(&text).unwrap().entries[0].candidate().unwrap();
        assert_eq!(candidate.source.version.as_str(), "1.0");
        assert_eq!(candidate.depends.to_string(), "libc6 (>= 2.36), xx | yy");
        assert_eq!((candidate.multi_arch, candidate.priority), (MultiArch::Same, Priority::Required));
    }

    #[test]
    fn damaged_entries_are_refused() {
        let good = PACKAGES.replace("x | y", "xx | yy");
        for (old, new, want) in [
            ("pool/main", "pool/../..", "Filename"),
            ("pool/main", "/pool", "Filename"),
            ("Size: 10", "Size: -1", "Size"),
            ("SHA256: e3", "SHA256: 3", "SHA256"),
            ("arm64\n", "riscv64\n", "Architecture"),
            ("same", "maybe", "Multi-Arch"),
            ("foo (1.0)", "foo 1.0", "Source"),
        ] {
            let text = good.replacen(old, new, 1);
            let error = Index::scan(&text).unwrap().entries[0].candidate().unwrap_err().to_string();
            assert!(error.contains(&format!("`{want}`")), "{error}");
        }
        assert!(Index::scan("Package: x\n").is_err());
    }
}
