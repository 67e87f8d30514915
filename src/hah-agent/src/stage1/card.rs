//! What somebody put onto the card for this node: taken from the boot partition, kept on the data partition, wiped.
//!
//! ```text
//!  hah/node.json, else rpi-preseed.toml, else ssh
//!    │ 1 read and checked; what is broken stays for inspection, and the node keeps the identity that it has
//!    ▼
//!  /var/lib/hah/identity/node.json      2 whole or absent, mode 0600, on the medium
//!    │
//!    ▼
//!  the file's first sector is zeros     3 from here it counts as taken: a text never begins with a NUL
//!  all of it is zeros                   4 in place, so the clusters that held it
//!  it is gone                           5
//! ```
//!
//! Power may go anywhere: up to 3 the next boot takes the same file again, from 3 on it goes on wiping.
//! What is on the card wins over what the data partition has, whole and whatever its age: somebody with the card in the hand
//! wanted it, and a Pi has no clock to compare by. Of several sources the first counts, and all are wiped with it, since the
//! others hold secrets too and would come to power on the next boot.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use hah_node::identity::{FILE_MAX, Identity, Secret, VERSION};
use hah_node::paths;
use hah_node::stage1::IdentityOrigin;

use super::boot_partition::BootPartition;
use super::disk::Disk;
use super::error::InContext;
use crate::identity::preseed::{self, Preseed};
use crate::{console, durable, identity};

/// How much is zeroed first, in bytes: what a card writes whole or not at all.
const SECTOR: usize = 512;
/// How much is zeroed at a time after that, in bytes.
const PIECE: usize = 4096;

/// Hashes a password, which needs the root file system's own programs.
pub(crate) type Hash<'h> = &'h dyn Fn(&Secret) -> Result<Secret, String>;

/// Takes what is on the card, if anything. `file` is where the identity is kept. What goes wrong stops no boot: it is
/// added to `problems`.
pub(crate) fn take(disk: &Disk, file: &Path, hash: Hash<'_>, problems: &mut Vec<String>) -> IdentityOrigin {
    let mut card = match BootPartition::mount(disk) {
        Ok(card) => card,
        Err(error) => {
            problems.push(format!("{error}, so whatever identity is on it is not taken"));
            return IdentityOrigin::None;
        }
    };
    if !is_something_there(card.place) {
        return IdentityOrigin::None;
    }
    let taken = card.make_writable().and_then(|()| {
        take_from(card.place, file, hash, problems).doing(|| "take the identity from the boot partition".to_owned())
    });
    taken.unwrap_or_else(|error| {
        problems.push(error.to_string());
        IdentityOrigin::None
    })
}

fn node_json(fat: &Path) -> PathBuf {
    fat.join(paths::IDENTITY_ON_BOOT)
}

fn preseed_toml(fat: &Path) -> PathBuf {
    fat.join(paths::PRESEED_ON_BOOT)
}

fn is_something_there(fat: &Path) -> bool {
    let flags = paths::SSH_ON_BOOT.iter().map(|name| fat.join(name));
    [node_json(fat), preseed_toml(fat)].into_iter().chain(flags).any(|path| fs::symlink_metadata(path).is_ok())
}

/// Takes from the mounted boot partition.
fn take_from(fat: &Path, file: &Path, hash: Hash<'_>, problems: &mut Vec<String>) -> io::Result<IdentityOrigin> {
    let stays = "it stays on the boot partition, and the node keeps the identity that it has";
    let (node, seed) = (node_json(fat), preseed_toml(fat));
    match read(&node)? {
        Content::Text(text) => {
            let identity = match identity::parse(&text) {
                Ok(identity) => identity,
                Err(reason) => {
                    problems.push(format!("{} is not taken: {reason}; {stays}", paths::IDENTITY_ON_BOOT));
                    return Ok(IdentityOrigin::None);
                }
            };
            keep(file, &identity)?;
            console::say("took the node's identity from the boot partition");
            wipe_all(fat)?;
            return Ok(IdentityOrigin::Node);
        }
        Content::TooLong => {
            problems.push(format!("{} is not taken: over {FILE_MAX} bytes; {stays}", paths::IDENTITY_ON_BOOT));
            return Ok(IdentityOrigin::None);
        }
        Content::BeingWiped => wipe(&node)?,
        Content::Absent => {}
    }
    match read(&seed)? {
        Content::Text(text) => {
            let Preseed { mut identity, password, ignored } = match preseed_of(&text) {
                Ok(parsed) => parsed,
                Err(reason) => {
                    problems.push(format!("{} is not taken: {reason}; {stays}", paths::PRESEED_ON_BOOT));
                    return Ok(IdentityOrigin::None);
                }
            };
            if let Some(password) = password {
                match hash(&password) {
                    Ok(hashed) => identity.user.password_hash = Some(hashed),
                    Err(problem) => problems.push(format!("the password is not set: {problem}")),
                }
            }
            if !ignored.is_empty() {
                let list = ignored.join(", ");
                console::say(&format!("{} says more than this image does: {list}", paths::PRESEED_ON_BOOT));
            }
            keep(file, &identity)?;
            console::say(&format!("took the node's identity from {}", paths::PRESEED_ON_BOOT));
            wipe_all(fat)?;
            return Ok(IdentityOrigin::Preseed);
        }
        Content::TooLong => {
            problems.push(format!("{} is not taken: over {FILE_MAX} bytes; {stays}", paths::PRESEED_ON_BOOT));
            return Ok(IdentityOrigin::None);
        }
        Content::BeingWiped => wipe(&seed)?,
        Content::Absent => {}
    }
    if !paths::SSH_ON_BOOT.iter().any(|name| fat.join(name).is_file()) {
        return Ok(IdentityOrigin::None);
    }
    let mut identity = load(file, problems).unwrap_or_else(|| Identity { version: VERSION, ..Identity::default() });
    identity.ssh.enabled = Some(true);
    keep(file, &identity)?;
    wipe_all(fat)?;
    Ok(IdentityOrigin::Ssh)
}

fn preseed_of(text: &[u8]) -> Result<Preseed, String> {
    preseed::parse(std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?)
}

/// The identity that the data partition keeps; one that cannot be read is told and counts as none.
pub(crate) fn load(file: &Path, problems: &mut Vec<String>) -> Option<Identity> {
    let content = read(file).map_err(|error| error.to_string());
    let identity = content.and_then(|content| match content {
        Content::Absent => Ok(None),
        Content::Text(text) => identity::parse(&text).map(Some),
        Content::BeingWiped => Err("it is empty".to_owned()),
        Content::TooLong => Err(format!("over {FILE_MAX} bytes")),
    });
    identity.unwrap_or_else(|reason| {
        problems.push(format!("{} cannot be used: {reason}; the node has the image's defaults", paths::IDENTITY));
        None
    })
}

/// Writes the identity, unless it is there as it is: on the medium when this returns.
fn keep(file: &Path, identity: &Identity) -> io::Result<()> {
    let text = serde_json::to_vec(identity)?;
    if fs::read(file).is_ok_and(|kept| kept == text) {
        return Ok(());
    }
    if let Some(directory) = file.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        // Its own name, too, must be on the medium before the card forgets.
        if let Some(above) = directory.parent() {
            File::open(above)?.sync_all()?;
        }
    }
    durable::write(file, &text, 0o600)
}

enum Content {
    Absent,
    /// It begins with zeros: a wipe was cut short.
    BeingWiped,
    Text(Vec<u8>),
    TooLong,
}

fn read(path: &Path) -> io::Result<Content> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::Absent),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(FILE_MAX as u64 + 1).read_to_end(&mut text)?;
    Ok(match text.first() {
        None | Some(0) => Content::BeingWiped,
        _ if text.len() > FILE_MAX => Content::TooLong,
        _ => Content::Text(text),
    })
}

/// Wipes every source: the one that was taken, and those that it outranks.
fn wipe_all(fat: &Path) -> io::Result<()> {
    wipe(&node_json(fat))?;
    wipe(&preseed_toml(fat))?;
    paths::SSH_ON_BOOT.iter().try_for_each(|name| wipe(&fat.join(name)))
}

/// Overwrites a file where it lies and removes it. One that is not there is fine.
///
/// A card's controller may keep old copies of sectors that nothing short of its own secure erase reaches.
fn wipe(path: &Path) -> io::Result<()> {
    let file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let zeros = [0; PIECE];
    let mut at = 0;
    let mut piece = SECTOR;
    while at < length {
        let wanted = usize::try_from(length - at).unwrap_or(piece).min(piece);
        file.write_all_at(zeros.get(..wanted).unwrap_or(&zeros), at)?;
        if at == 0 {
            file.sync_all()?;
        }
        at += wanted as u64;
        piece = if at.is_multiple_of(PIECE as u64) { PIECE } else { PIECE - SECTOR };
    }
    file.sync_all()?;
    drop(file);
    fs::remove_file(path)?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct Dirs {
        _temporary: tempfile::TempDir,
        fat: PathBuf,
        file: PathBuf,
        problems: Vec<String>,
    }

    impl Dirs {
        fn new() -> Self {
            let temporary = tempfile::tempdir().unwrap();
            let (fat, file) = (temporary.path().join("fat"), temporary.path().join("data/lib/hah/identity/node.json"));
            fs::create_dir_all(fat.join("hah")).unwrap();
            fs::create_dir_all(temporary.path().join("data/lib/hah")).unwrap();
            Self { _temporary: temporary, fat, file, problems: Vec::new() }
        }

        fn put(&self, name: &str, text: &str) {
            fs::write(self.fat.join(name), text).unwrap();
        }

        fn take(&mut self) -> IdentityOrigin {
            let hash: Hash<'_> = &|password| Ok(Secret::new(format!("$6$x${}", password.reveal())));
            take_from(&self.fat, &self.file, hash, &mut self.problems).unwrap()
        }

        fn kept(&mut self) -> Option<Identity> {
            load(&self.file, &mut self.problems)
        }

        fn hostname(&mut self) -> Option<String> {
            self.kept().and_then(|identity| identity.hostname)
        }

        fn left(&self) -> Vec<String> {
            let names = |path: &Path| {
                let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
                entries.filter(|entry| entry.path().is_file()).map(|entry| entry.file_name().into_string().unwrap())
            };
            names(&self.fat).chain(names(&self.fat.join("hah")).collect::<Vec<_>>()).collect()
        }
    }

    const NODE: &str = r#"{"version": 1, "hostname": "pi4-a"}"#;
    const PRESEED: &str = "[system]\nhostname = \"seeded\"\n[user]\nname = \"pi\"\npassword = \"pw\"\n";

    #[test]
    fn a_node_json_moves() {
        let mut dirs = Dirs::new();
        dirs.put("hah/node.json", NODE);
        dirs.put("rpi-preseed.toml", PRESEED);
        dirs.put("ssh", "");
        assert_eq!(dirs.take(), IdentityOrigin::Node);
        assert_eq!(dirs.hostname().as_deref(), Some("pi4-a"));
        assert_eq!(dirs.left(), [""; 0]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&dirs.file), mode(dirs.file.parent().unwrap())), (0o600, 0o700));
        assert_eq!(dirs.take(), IdentityOrigin::None);
        assert_eq!((dirs.hostname().as_deref(), dirs.problems.len()), (Some("pi4-a"), 0));
    }

    #[test]
    fn what_is_on_the_card_wins() {
        let mut dirs = Dirs::new();
        dirs.put("hah/node.json", NODE);
        dirs.take();
        dirs.put("hah/node.json", r#"{"version": 1, "hostname": "other", "wifi": null}"#);
        assert_eq!(dirs.take(), IdentityOrigin::Node);
        assert_eq!(dirs.hostname().as_deref(), Some("other"));
    }

    #[test]
    fn a_preseed_becomes_an_identity() {
        let mut dirs = Dirs::new();
        dirs.put("rpi-preseed.toml", PRESEED);
        assert_eq!(dirs.take(), IdentityOrigin::Preseed);
        let kept = dirs.kept().unwrap();
        assert_eq!(kept.hostname.as_deref(), Some("seeded"));
        assert_eq!(kept.user.password_hash, Some(Secret::new("$6$x$pw")));
        assert_eq!(dirs.left(), [""; 0]);
    }

    #[test]
    fn an_ssh_file_adds_to_what_is_there() {
        let mut dirs = Dirs::new();
        dirs.put("ssh.txt", "");
        assert_eq!(dirs.take(), IdentityOrigin::Ssh);
        assert_eq!(dirs.kept().unwrap().ssh.enabled, Some(true));
        dirs.put("hah/node.json", NODE);
        dirs.take();
        assert_eq!(dirs.kept().unwrap().ssh.enabled, None);
        dirs.put("ssh", "");
        dirs.take();
        let kept = dirs.kept().unwrap();
        assert_eq!((kept.ssh.enabled, kept.hostname.as_deref()), (Some(true), Some("pi4-a")));
    }

    #[test]
    fn what_is_broken_stays() {
        let mut dirs = Dirs::new();
        dirs.put("hah/node.json", NODE);
        dirs.take();
        let too_long = format!("{{\"version\": 1}}{}", " ".repeat(FILE_MAX));
        for bad in [
            "{",
            "[]",
            r#"{"version": 2}"#,
            r#"{"version": 1, "hostnam": "x"}"#,
            r#"{"version": 1, "hostname": "A"}"#,
            &too_long,
        ] {
            dirs.put("hah/node.json", bad);
            dirs.put("rpi-preseed.toml", PRESEED);
            dirs.problems.clear();
            assert_eq!(dirs.take(), IdentityOrigin::None, "{bad}");
            assert_eq!(dirs.problems.len(), 1, "{bad}");
            assert!(!dirs.problems[0].contains('\n'));
            assert_eq!(fs::read_to_string(dirs.fat.join("hah/node.json")).unwrap(), bad);
            assert_eq!(dirs.hostname().as_deref(), Some("pi4-a"));
        }
    }

    #[test]
    fn a_wipe_that_was_cut_short_goes_on() {
        for length in [1, 511, 512, 513, 4096, 5000, 9000] {
            let mut dirs = Dirs::new();
            dirs.put("hah/node.json", NODE);
            dirs.take();
            // Step 3 has happened, step 4 not or half.
            let mut half = vec![0; 512];
            half.extend(std::iter::repeat_n(b'x', length));
            fs::write(dirs.fat.join("hah/node.json"), &half).unwrap();
            assert_eq!(dirs.take(), IdentityOrigin::None);
            assert_eq!((dirs.left(), dirs.problems.len()), (Vec::new(), 0));
            assert_eq!(dirs.hostname().as_deref(), Some("pi4-a"));
        }
    }

    #[test]
    fn every_byte_is_overwritten_in_place() {
        let directory = tempfile::tempdir().unwrap();
        for length in [0, 1, 512, 513, 4096, 4097, 10_000] {
            let path = directory.path().join("secret");
            fs::write(&path, vec![b'x'; length]).unwrap();
            // A second name shows what the first one's clusters hold after the wipe.
            let other = directory.path().join(format!("other{length}"));
            fs::hard_link(&path, &other).unwrap();
            wipe(&path).unwrap();
            assert_eq!(fs::read(&other).unwrap(), vec![0; length]);
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_broken_file_on_data_is_told() {
        let mut dirs = Dirs::new();
        fs::create_dir_all(dirs.file.parent().unwrap()).unwrap();
        fs::write(&dirs.file, "{").unwrap();
        assert_eq!(dirs.kept(), None);
        assert!(dirs.problems[0].contains("cannot be used"), "{:?}", dirs.problems);
    }
}
