//! The root file system against the packages that it was made of.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hah_format::digest::{Hashing, Sha256};
use hah_format::path::TreePath;
use hah_plan::system::System;

use super::{Lab, is_root, lab_for};
use crate::build::judge;

/// Mode and numeric owner of a path, as unsquashfs lists them.
type Access = (u32, u32, u32);

/// `drwxr-sr-t` → 0o3755 with the `S` and `T` of unexecutable files.
fn mode(text: &str) -> u32 {
    let letters: Vec<char> = text.chars().skip(1).collect();
    let mut mode = 0;
    for (index, letter) in letters.iter().enumerate() {
        let bit = 0o400 >> index;
        match letter {
            'r' | 'w' | 'x' => mode |= bit,
            's' | 't' => mode |= bit | (0o4000 >> (index / 3)),
            'S' | 'T' => mode |= 0o4000 >> (index / 3),
            _ => {}
        }
    }
    mode
}

fn listing(lab: &Lab) -> BTreeMap<String, Access> {
    let text = judge(Command::new("unsquashfs").args(["-lln", "-d", ""]).arg(lab.squashfs()));
    let lines = text.lines().filter(|line| line.starts_with(['-', 'd', 'l', 'c']));
    lines
        .map(|line| {
            let (words, name) = line.split_at(line.find(" /").unwrap_or(line.len()));
            let words: Vec<&str> = words.split_whitespace().collect();
            let (user, group) = words[1].split_once('/').unwrap();
            let name = name.trim_start_matches(" /");
            let name = if line.starts_with('l') { name.split(" -> ").next().unwrap() } else { name };
            (name.to_owned(), (mode(words[0]), user.parse().unwrap(), group.parse().unwrap()))
        })
        .collect()
}

/// Names and ids of `etc/passwd` or `etc/group`.
fn ids(root: &Path, file: &str) -> BTreeMap<String, u32> {
    let text = std::fs::read_to_string(root.join(file)).unwrap();
    let fields = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    fields.map(|fields| (fields[0].to_owned(), fields[2].parse().unwrap())).collect()
}

/// Where a package's path is in the root: its directory's symbolic links followed, as the kernel would from inside.
fn real(root: &Path, path: &str, depth: usize) -> String {
    let mut at = PathBuf::new();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    for (index, part) in parts.iter().enumerate() {
        let next = at.join(part);
        let is_last = index + 1 == parts.len();
        match std::fs::read_link(root.join(&next)) {
            Ok(target) if !is_last && depth < 8 => {
                let base = if target.is_absolute() { PathBuf::new() } else { at.clone() };
                let rest: PathBuf = parts[index + 1..].iter().collect();
                let mut whole = PathBuf::new();
                for part in base.join(target.strip_prefix("/").unwrap_or(&target)).join(rest).components() {
                    match part {
                        std::path::Component::ParentDir => drop(whole.pop()),
                        part => whole.push(part),
                    }
                }
                return real(root, &whole.to_string_lossy(), depth + 1);
            }
            _ => at = next,
        }
    }
    at.to_string_lossy().into_owned()
}

fn hash(reader: &mut dyn Read) -> Sha256 {
    let mut hashing = Hashing::new(reader);
    std::io::copy(&mut hashing, &mut std::io::sink()).unwrap();
    hashing.finish().0
}

/// What the recipes take away or put in a package's place.
struct Wishes {
    system: System,
    placed: BTreeSet<String>,
}

impl Wishes {
    fn of(lab: &Lab) -> Self {
        let system = lab.system();
        let files = system.files.iter().map(|file| &file.path);
        let all = files.chain(system.directories.iter().map(|directory| &directory.path));
        let placed = all.chain(system.symlinks.iter().map(|link| &link.path)).map(|path| path.as_str().to_owned());
        let placed = placed.collect();
        Self { system, placed }
    }

    fn removed(&self, path: &str) -> bool {
        let path = TreePath::parse(path).unwrap();
        self.system.removes.iter().any(|remove| remove.removes(&path))
    }
}

/// Differences that maintainer scripts make on every Debian system, and the one that hah-image makes.
const EXPECTED: [&str; 16] = [
    // systemd's tmpfiles make these private.
    "etc/credstore.encrypted: 700 0:0 instead of 755",
    "etc/credstore: 700 0:0 instead of 755",
    // They have native units.
    "etc/init.d/consul: missing",
    "etc/init.d/dbus: missing",
    "etc/init.d/procps: missing",
    "etc/init.d/prometheus-node-exporter: missing",
    "etc/init.d/prometheus: missing",
    "etc/init.d/ssh: missing",
    "etc/init.d/sudo: missing",
    "etc/sudoers: 440 0:0 instead of 644",
    "usr/bin/ssh-agent: 2755 0:_ssh instead of 755",
    "usr/lib/dbus-1.0/dbus-daemon-launch-helper: 4754 0:messagebus instead of 755",
    // The image's name and version are added.
    "usr/lib/os-release: content",
    "var/lib/consul: 700 consul:consul instead of 755",
    "var/lib/prometheus/metrics2: 755 prometheus:prometheus instead of 755",
    "var/lib/prometheus: 755 prometheus:prometheus instead of 755",
];

/// Every file, link and directory of every .deb, as dpkg-deb unpacks them, is in the root with its content, mode and owner,
/// unless a recipe removed or replaced it, or a maintainer script would have changed it.
#[test]
fn packages_are_in_the_root_as_dpkg_unpacks_them() {
    let Some(lab) = lab_for(&["unsquashfs", "dpkg-deb"]) else { return };
    let (root, listing, wishes) = (lab.root(), listing(&lab), Wishes::of(&lab));
    let (users, groups) = (ids(root, "etc/passwd"), ids(root, "etc/group"));
    let (mut differences, mut compared) = (BTreeSet::new(), 0);
    for (sha256, name) in lab.packages() {
        let mut child = Command::new("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(lab.deb(&sha256))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut archive = tar::Archive::new(child.stdout.take().unwrap());
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let shipped = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            let shipped = shipped.trim_start_matches("./").trim_end_matches('/').to_owned();
            if shipped.is_empty() {
                continue;
            }
            let path = real(root, &shipped, 0);
            if wishes.placed.contains(&path) || wishes.removed(&path) || wishes.removed(&shipped) {
                continue;
            }
            compared += 1;
            let header = entry.header().clone();
            let mut differs = |what: &str| {
                differences.insert(format!("{path}: {what}"));
            };
            let here = root.join(&path);
            let Some(access) = listing.get(&path) else {
                differs("missing");
                continue;
            };
            let kind = header.entry_type();
            let link = entry.link_name_bytes().map(|link| link.into_owned());
            if kind == tar::EntryType::Symlink {
                let found = std::fs::read_link(&here).ok();
                if found.as_ref().map(|found| found.as_os_str().as_bytes()) != link.as_deref() {
                    differs(&format!("link to {found:?}"));
                }
                continue;
            }
            // A directory that is a link to one on this system stays one (dpkg does the same): /lib, /var/run.
            if kind == tar::EntryType::Directory && here.is_symlink() {
                continue;
            }
            let owner =
                |names: &BTreeMap<String, u32>, name: Option<&str>| name.and_then(|name| names.get(name).copied());
            let user = owner(&users, header.username().unwrap());
            let group = owner(&groups, header.groupname().unwrap());
            let wanted = (header.mode().unwrap() & 0o7777, user, group);
            if (access.0, Some(access.1), Some(access.2)) != wanted {
                let name = |names: &BTreeMap<String, u32>, id: u32| match names.iter().find(|(_, found)| **found == id)
                {
                    Some((name, _)) if id != 0 => name.clone(),
                    _ => id.to_string(),
                };
                let (user, group) = (name(&users, access.1), name(&groups, access.2));
                differs(&format!("{:o} {user}:{group} instead of {:o}", access.0, wanted.0));
            }
            match kind {
                tar::EntryType::Link => {
                    let first = String::from_utf8(link.unwrap()).unwrap();
                    let first = root.join(real(root, first.trim_start_matches("./"), 0));
                    if first.exists()
                        && std::fs::metadata(&first).unwrap().ino() != std::fs::metadata(&here).unwrap().ino()
                    {
                        differs("not the same file as its other name");
                    }
                }
                tar::EntryType::Directory => {
                    if !here.is_dir() {
                        differs("not a directory");
                    }
                }
                _ => {
                    let wanted = hash(&mut entry);
                    let found = std::fs::File::open(&here).map(|mut file| hash(&mut file));
                    if found.ok() != Some(wanted) {
                        differs("content");
                    }
                }
            }
        }
        assert!(child.wait().unwrap().success(), "{name}");
    }
    assert!(compared > 5_000, "only {compared} paths were compared");
    let expected: BTreeSet<String> = EXPECTED.iter().map(|line| (*line).to_owned()).collect();
    let unexpected: Vec<&String> = differences.difference(&expected).collect();
    assert!(unexpected.is_empty(), "{} unexpected: {unexpected:#?}", unexpected.len());
    let stale: Vec<&String> = expected.difference(&differences).collect();
    assert!(stale.is_empty(), "expected and not so: {stale:#?}");
}

/// The kernel's own squashfs sees the same tree that unsquashfs extracts.
#[test]
fn the_kernel_mounts_it() {
    let Some(lab) = lab_for(&["unsquashfs", "mount", "find", "diff"]) else { return };
    if !is_root() {
        return;
    }
    let there = tempfile::tempdir().unwrap();
    let at = there.path().join("mnt");
    std::fs::create_dir(&at).unwrap();
    let mount =
        Command::new("mount").args(["-t", "squashfs", "-o", "loop,ro"]).arg(lab.squashfs()).arg(&at).output().unwrap();
    if !mount.status.success() {
        // Of a container's kernel nothing can be demanded; the VM tests boot the image on a kernel that can.
        println!("skipped: no loop mount here: {}", String::from_utf8_lossy(&mount.stderr));
        return;
    }
    let list = |directory: &Path| {
        let script = "find . -mindepth 1 -printf '%y %#m %U:%G %s %l %T@ %p\\n' | grep -v '^d' | sort; find . -type d -printf '%#m %U:%G %p\\n' | sort";
        judge(Command::new("sh").args(["-c", script]).current_dir(directory))
    };
    let (kernel, extracted) = (list(&at), list(lab.root()));
    let different = Command::new("diff").arg("-r").arg("-q").arg("--no-dereference").arg(&at).arg(lab.root()).output();
    let unmounted = Command::new("umount").arg(&at).status().unwrap();
    assert!(unmounted.success());
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (kernel, extracted) = (lines(&kernel), lines(&extracted));
    let difference: Vec<&String> = kernel.symmetric_difference(&extracted).take(20).collect();
    assert!(difference.is_empty(), "{difference:#?}");
    let different = String::from_utf8(different.unwrap().stdout).unwrap();
    let different: Vec<&str> = different.lines().filter(|line| !line.contains("is a character special file")).collect();
    assert!(different.is_empty(), "{different:#?}");
}
