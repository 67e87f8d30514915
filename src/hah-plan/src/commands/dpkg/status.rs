//! What dpkg knows of a package: its state, its control fields, its conffiles.

use std::fmt::Write as _;

use hah_format::path::TreePath;
use hah_format::tree::Kind;
use md5::{Digest as _, Md5};

use crate::commands::{Process, Refusal};
use crate::debian::control::only_stanza;
use crate::rootfs::UnpackedPackage;
use crate::system::ScriptKind;
use crate::world::World;

/// How far the installation of a package is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its preinst is running.
    HalfInstalled,
    /// Its files are there.
    Unpacked,
    /// Its postinst is running.
    HalfConfigured,
    /// Done.
    Installed,
}

impl State {
    /// As `Status` has it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::HalfInstalled => "half-installed",
            Self::Unpacked => "unpacked",
            Self::HalfConfigured => "half-configured",
            Self::Installed => "installed",
        }
    }

    /// The second letter of `dpkg -l`.
    pub(super) fn letter(self) -> char {
        match self {
            Self::HalfInstalled => 'H',
            Self::Unpacked => 'U',
            Self::HalfConfigured => 'F',
            Self::Installed => 'i',
        }
    }
}

/// The state of `package` at this moment.
pub(super) fn state(world: &World<'_>, package: &UnpackedPackage) -> State {
    if world.configured.contains(&package.name) {
        return State::Installed;
    }
    match &world.author {
        Some(author) if author.package == package.name => match author.script {
            ScriptKind::Preinst => State::HalfInstalled,
            ScriptKind::Config => State::Unpacked,
            ScriptKind::Postinst => State::HalfConfigured,
        },
        _ => State::Unpacked,
    }
}

/// The order of fields in dpkg's database, as far as it matters.
const ORDER: [&str; 26] = [
    "Package",
    "Essential",
    "Protected",
    "Status",
    "Priority",
    "Section",
    "Installed-Size",
    "Origin",
    "Maintainer",
    "Bugs",
    "Architecture",
    "Multi-Arch",
    "Source",
    "Version",
    "Replaces",
    "Provides",
    "Depends",
    "Pre-Depends",
    "Recommends",
    "Suggests",
    "Breaks",
    "Conflicts",
    "Enhances",
    "Conffiles",
    "Description",
    "Homepage",
];

/// How much of a package is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// The control file.
    Fields,
    /// Its conffiles' digests as well, for which the files are read.
    Conffiles,
}

/// A package with its control fields.
pub(super) struct Known<'a> {
    /// The package.
    pub(super) package: &'a UnpackedPackage,
    /// How far it is.
    pub(super) state: State,
    /// The control file's fields, as written, with `Status` and `Conffiles`, in dpkg's order.
    pub(super) fields: Vec<(String, String)>,
}

impl<'a> Known<'a> {
    /// Reads what is known of `package`.
    pub(super) fn of(process: &Process<'_, 'a>, package: &'a UnpackedPackage, detail: Detail) -> Result<Self, Refusal> {
        let state = state(process.world, package);
        let text = package.control.get("control").map(|bytes| String::from_utf8_lossy(bytes)).unwrap_or_default();
        let stanza = only_stanza(&text)
            .map_err(|error| Refusal::new(format!("the control file of {} cannot be read: {error}", package.name)))?;
        let mut fields: Vec<(String, String)> =
            stanza.fields().map(|field| (field.name.to_owned(), field.value.to_owned())).collect();
        fields.push(("Status".to_owned(), format!("install ok {}", state.as_str())));
        // dpkg takes the list over when it has unpacked the package.
        let conffiles = match detail {
            Detail::Conffiles if state != State::HalfInstalled => conffiles(process, package)?,
            _ => String::new(),
        };
        if !conffiles.is_empty() {
            fields.push(("Conffiles".to_owned(), conffiles));
        }
        fields.sort_by_key(|(name, _)| {
            ORDER.iter().position(|known| known.eq_ignore_ascii_case(name)).unwrap_or(ORDER.len())
        });
        Ok(Self { package, state, fields })
    }

    /// The value of the field `name`, in any case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The name, with the architecture where several may be installed side by side.
    pub(super) fn binary_name(&self) -> String {
        match self.get("Multi-Arch") {
            Some("same") => format!("{}:{}", self.package.name, self.package.architecture),
            _ => self.package.name.to_string(),
        }
    }

    /// The first line of the description.
    pub(super) fn summary(&self) -> &str {
        self.get("Description").and_then(|text| text.lines().next()).unwrap_or_default()
    }
}

/// The value of `Conffiles` but for its first line break: each path and the MD5 of its shipped bytes.
fn conffiles(process: &Process<'_, '_>, package: &UnpackedPackage) -> Result<String, Refusal> {
    let Some(bytes) = package.control.get("conffiles") else { return Ok(String::new()) };
    let mut out = String::new();
    for line in String::from_utf8_lossy(bytes).lines().map(str::trim).filter(|line| line.starts_with('/')) {
        let Ok(at) = TreePath::parse(line) else { continue };
        let content = match package.tree.get(&at).map(|node| &node.kind) {
            Some(Kind::File(content)) => content,
            Some(Kind::HardLink(first)) => match package.tree.get(first).map(|node| &node.kind) {
                Some(Kind::File(content)) => content,
                _ => continue,
            },
            _ => continue,
        };
        let bytes = process.world.contents.bytes(content).map_err(|error| Refusal::new(error.to_string()))?;
        if !out.is_empty() {
            out.push('\n');
        }
        let _ = write!(out, " {line} {}", md5_hex(&bytes));
    }
    Ok(out)
}

/// As md5sum(1) prints it.
pub(in crate::commands) fn md5_hex(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
