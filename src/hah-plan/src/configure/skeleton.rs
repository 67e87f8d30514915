//! The directories that every Debian system has and no package ships, and the mount points of ours.
//!
//! Source: the postinst of base-files 13.8, file-hierarchy(7), and [`hah_node::paths`].
//! What is there stays as it is, but for `/var/run` and `/var/lock`, which base-files ships as directories and turns into links.

use hah_format::tree::{Kind, Meta, Node, Owner};
use hah_node::paths;

use super::{ConfigureError, Target, path};
use crate::rootfs::Content;

/// Directories: path, mode, group.
const DIRECTORIES: &[(&str, u16, &str)] = &[
    ("boot", 0o755, "root"),
    (paths::BOOT, 0o755, "root"),
    ("dev", 0o755, "root"),
    ("etc/opt", 0o755, "root"),
    ("home", 0o755, "root"),
    ("media", 0o755, "root"),
    ("mnt", 0o755, "root"),
    ("opt", 0o755, "root"),
    ("proc", 0o555, "root"),
    ("root", 0o700, "root"),
    ("run", 0o755, "root"),
    ("srv", 0o755, "root"),
    ("sys", 0o555, "root"),
    ("tmp", 0o1777, "root"),
    ("usr/local", 0o755, "root"),
    ("usr/local/bin", 0o755, "root"),
    ("usr/local/etc", 0o755, "root"),
    ("usr/local/games", 0o755, "root"),
    ("usr/local/include", 0o755, "root"),
    ("usr/local/lib", 0o755, "root"),
    ("usr/local/libexec", 0o755, "root"),
    ("usr/local/sbin", 0o755, "root"),
    ("usr/local/share", 0o755, "root"),
    ("usr/local/share/man", 0o755, "root"),
    ("usr/local/src", 0o755, "root"),
    ("var/cache", 0o755, "root"),
    ("var/lib", 0o755, "root"),
    ("var/lib/misc", 0o755, "root"),
    ("var/log", 0o755, "root"),
    ("var/mail", 0o2775, "mail"),
    ("var/opt", 0o755, "root"),
    ("var/spool", 0o755, "root"),
    ("var/tmp", 0o1777, "root"),
];

/// Links: path, target.
const LINKS: &[(&str, &str)] = &[
    ("bin", "usr/bin"),
    ("lib", "usr/lib"),
    ("sbin", "usr/sbin"),
    ("var/lock", "/run/lock"),
    ("var/run", "/run"),
    ("var/spool/mail", "../mail"),
];

/// Empty log files that login tools expect: path, mode.
const LOGS: &[(&str, u16)] = &[("var/log/btmp", 0o660), ("var/log/lastlog", 0o664), ("var/log/wtmp", 0o664)];

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    for link in ["var/run", "var/lock"] {
        let link = path(link)?;
        let is_bare = target.root.get(&link).is_some_and(Node::is_dir) && target.root.below(&link).next().is_none();
        if is_bare {
            target.root.remove(&link);
        }
    }
    for (at, mode, group) in DIRECTORIES {
        directory(target, at, *mode, group)?;
    }
    for at in &target.system.persist {
        if !target.root.contains(at) {
            target.put_node(at, Node::dir(0o755))?;
        }
    }
    for (at, to) in LINKS {
        let at = path(at)?;
        if !target.root.contains(&at) {
            target.put_node(&at, Node::symlink(to))?;
        }
    }
    for (at, mode) in LOGS {
        let at = path(at)?;
        if !target.root.contains(&at) {
            let meta = Meta { group: Owner::parse("utmp"), ..Meta::root(*mode) };
            target.put_node(&at, Node { meta, kind: Kind::File(Content::inline([])) })?;
        }
    }
    Ok(())
}

fn directory(target: &mut Target<'_>, at: &str, mode: u16, group: &str) -> Result<(), ConfigureError> {
    let at = path(at)?;
    match target.root.get(&at) {
        Some(found) if !found.is_dir() && !matches!(found.kind, Kind::Symlink(_)) => Err(ConfigureError::at(
            &at,
            super::Problem::Invalid {
                reason: format!("a {} stands where the system needs a directory", found.kind.noun()),
                hint: format!("`hah-image why {at}` shows which package or recipe put it there"),
            },
        )),
        Some(_) if target.provenance.origin(&at).is_some() => Ok(()),
        Some(found) if !found.is_dir() => Ok(()),
        // Nothing, or a parent that the tree made for something below it.
        _ => {
            let meta = Meta { group: Owner::parse(group), ..Meta::root(mode) };
            target.put_node(&at, Node { meta, kind: Kind::Dir })
        }
    }
}
