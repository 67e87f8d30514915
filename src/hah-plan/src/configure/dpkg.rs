//! The dpkg database: what `dpkg -l`, `dpkg -S` and vulnerability scanners read.
//!
//! Layout below `/var/lib/dpkg` (dpkg's doc/spec and dpkg(1), FILES):
//! `status` has every package's control stanza with `Status` and `Conffiles`;
//! `info/NAME.{list,md5sums,conffiles,triggers}` per package, `NAME:ARCH.…` for `Multi-Arch: same` (`info/format` says 1);
//! `diversions` and `statoverride` repeat what was applied.
//! Lists name every shipped path, also those that the image leaves out, as dpkg does under `path-exclude`.
//! Maintainer scripts are not among them: nothing on a read-only root would run them.

use std::fmt::Write as _;

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Node};
use md5::{Digest as _, Md5};

use super::{ConfigureError, Problem, Target, path};
use crate::debian::binary::BinaryControl;
use crate::rootfs::UnpackedPackage;

const DATABASE: &str = "var/lib/dpkg";

/// Members of the control archive that are kept as they are.
const KEPT: &[&str] = &["md5sums", "conffiles", "triggers"];

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let mut packages: Vec<&UnpackedPackage> = target.packages.iter().collect();
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    let mut status = String::new();
    for package in packages {
        let control = control(package)?;
        let stanza = control.installed(&conffiles(target, package)?).map_err(|error| {
            let hint = error.hint().to_owned();
            ConfigureError::invalid(format!("the control file of {}: {error}", package.name), hint)
        })?;
        let _ = writeln!(status, "{stanza}");
        let info = |member: &str| path(&format!("{DATABASE}/info/{}.{member}", file_name(&control)));
        target.put(&info("list")?, listing(package))?;
        for member in KEPT {
            if let Some(bytes) = package.control.get(*member) {
                target.put(&info(member)?, bytes.clone())?;
            }
        }
    }
    let file = |name: &str| path(&format!("{DATABASE}/{name}"));
    target.put(&file("status")?, status)?;
    target.put(&file("available")?, "")?;
    target.put(&file("info/format")?, "1\n")?;
    target.put(&file("arch-native")?, format!("{}\n", target.system.architecture))?;
    target.put(&file("diversions")?, diversions(target))?;
    target.put(&file("statoverride")?, statoverrides(target))?;
    for directory in ["triggers", "updates", "parts"] {
        let at = file(directory)?;
        if !target.root.contains(&at) {
            target.put_node(&at, Node::dir(0o755))?;
        }
    }
    Ok(())
}

/// A package's control file.
fn control(package: &UnpackedPackage) -> Result<BinaryControl, ConfigureError> {
    let malformed = |reason: String| {
        ConfigureError::invalid(
            format!("the control file of {} {}: {reason}", package.name, package.version),
            "dpkg could not read its own database with it: have the package mended, or leave it out",
        )
    };
    let bytes = package.control.get("control").ok_or_else(|| malformed("it is missing".into()))?;
    let text = std::str::from_utf8(bytes).map_err(|error| malformed(error.to_string()))?;
    let control = BinaryControl::parse(text).map_err(|error| malformed(error.to_string()))?;
    let found = (&control.package, control.version.as_str(), control.architecture);
    if found != (&package.name, package.version.as_str(), package.architecture) {
        let (name, version, architecture) = found;
        return Err(malformed(format!("it is of {name} {version} ({architecture}), which is not what the index says")));
    }
    Ok(control)
}

/// The base name of a package's files in `info`.
fn file_name(control: &BinaryControl) -> String {
    match control.is_multi_arch_same {
        true => format!("{}:{}", control.package, control.architecture),
        false => control.package.to_string(),
    }
}

/// The value of `Conffiles`: each path and the MD5 of its shipped bytes, on a line of its own; as dpkg
/// writes it after a first installation.
fn conffiles(target: &Target<'_>, package: &UnpackedPackage) -> Result<String, ConfigureError> {
    let Some(bytes) = package.control.get("conffiles") else { return Ok(String::new()) };
    let mut out = String::new();
    for line in String::from_utf8_lossy(bytes).lines().map(str::trim) {
        // A former conffile, which the package only names so that an upgrade removes it (deb-conffiles(5)).
        if let Some(former) = line.strip_prefix("remove-on-upgrade ") {
            let _ = write!(out, "\n {} newconffile remove-on-upgrade", former.trim_start());
            continue;
        }
        if !line.starts_with('/') {
            continue;
        }
        let at = TreePath::parse(line).map_err(|error| {
            ConfigureError::invalid(format!("{}: conffiles: {error}", package.name), "the package is damaged")
        })?;
        let content = match package.tree.get(&at).map(|node| &node.kind) {
            Some(Kind::File(content)) => content,
            Some(Kind::HardLink(first)) => match package.tree.get(first).map(|node| &node.kind) {
                Some(Kind::File(content)) => content,
                _ => continue,
            },
            _ => continue,
        };
        let bytes = target.contents.bytes(content).map_err(|error| ConfigureError::at(&at, Problem::from(error)))?;
        let mut digest = String::with_capacity(32);
        for byte in Md5::digest(&bytes) {
            let _ = write!(digest, "{byte:02x}");
        }
        let _ = write!(out, "\n {line} {digest}");
    }
    Ok(out)
}

/// Every path that `package` ships; the root is `/.`.
fn listing(package: &UnpackedPackage) -> String {
    let mut out = String::from("/.\n");
    for (path, _) in package.tree.iter().filter(|(path, _)| !path.is_root()) {
        let _ = writeln!(out, "{path}");
    }
    out
}

/// Three lines each: path, diverted path, package (`:` for a local diversion).
fn diversions(target: &Target<'_>) -> String {
    let mut out = String::new();
    for diversion in &target.effects.diversions {
        let _ = writeln!(out, "{}\n{}\n{}", diversion.what.path, diversion.what.to, diversion.what.package);
    }
    out
}

/// One line each: user, group, octal mode, path.
fn statoverrides(target: &Target<'_>) -> String {
    let mut out = String::new();
    for entry in &target.effects.statoverrides {
        let what = &entry.what;
        let _ = writeln!(out, "{} {} {:o} {}", what.owner.user, what.owner.group, what.mode, what.path);
    }
    out
}
