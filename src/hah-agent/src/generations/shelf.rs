//! What is on the card: closures, their slots, what became of them, and the room that they take.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use hah_node::generation::closure::{self, Closure};
use hah_node::generation::state::{self, Bad, Generation, Generations, State};
use hah_node::generation::{
    BAD, CLOSURE, DIRECTORY, Digest, INCOMING, KEPT, RESCUE, ROOT, SETTLED, SIGNATURE, Slot, TRIED,
};
use hah_node::paths;
use hah_node::stage1::Report;
use sha2::Digest as _;

use super::{Doing, Error};
use crate::{durable, pointer};

/// Generations beside generation 0 that are kept on a card: the running one, the good one, a new one, and one to go back to.
const KEPT_MAX: usize = 3;
/// Longest reason that is read, in bytes.
const REASON_MAX: usize = 2000;

/// Where everything is; `/` but in tests.
pub(crate) struct Places {
    root: PathBuf,
    /// The mounted boot partition.
    pub(super) boot: PathBuf,
    /// [`DIRECTORY`].
    pub(super) data: PathBuf,
}

impl Places {
    /// Those below `root`.
    pub(crate) fn below(root: &Path) -> Self {
        let at = |path: &str| root.join(path.trim_start_matches('/'));
        Self { root: root.to_owned(), boot: at(paths::BOOT), data: at(DIRECTORY) }
    }

    /// A path of the node.
    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A generation's directory on the data partition.
    pub(super) fn directory(&self, slot: Slot) -> PathBuf {
        self.data.join(slot.to_string())
    }

    /// A generation's directory on the boot partition.
    pub(super) fn boot_directory(&self, slot: Slot) -> PathBuf {
        self.boot.join(slot.boot_directory())
    }

    /// The boot loader's entry of a generation, for loaders that have one.
    pub(super) fn loader_entry(&self, slot: Slot) -> PathBuf {
        self.boot.join("loader/entries").join(format!("{}.conf", slot.boot_directory()))
    }

    /// What is being received.
    pub(super) fn incoming(&self) -> PathBuf {
        self.data.join(INCOMING)
    }

    /// What [`SETTLED`] is below this root.
    pub(super) fn settled(&self) -> PathBuf {
        self.at(SETTLED)
    }

    /// Whether state is in memory.
    pub(super) fn is_rescue(&self) -> bool {
        self.at(RESCUE).exists()
    }

    /// The keys whose signatures this node wants; none where its identity names none.
    pub(super) fn release_keys(&self) -> Result<Vec<String>, Error> {
        let path = self.at(paths::IDENTITY);
        match fs::read(&path) {
            Ok(text) => match crate::identity::parse(&text) {
                Ok(identity) => Ok(identity.release_keys),
                // Nobody knows what it would want.
                Err(reason) => Err(Error::Refused(format!("{} cannot be used: {reason}", path.display()))),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error).doing(|| format!("read {}", path.display())),
        }
    }

    /// What stage 1 reported of this boot.
    pub(super) fn report(&self) -> Result<Report, Error> {
        let path = self.at(paths::STAGE1_REPORT);
        let text = fs::read(&path).doing(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&text).map_err(|source| Error::Report { path, source })
    }

    fn closure(&self, slot: Slot) -> PathBuf {
        match slot == Slot::FLASHED {
            true => self.boot_directory(slot).join(CLOSURE),
            false => self.directory(slot).join(CLOSURE),
        }
    }

    /// Where a generation's root file system can be read.
    pub(super) fn root_of(&self, slot: Slot, report: &Report) -> PathBuf {
        match slot == Slot::FLASHED {
            true => self.at("/dev").join(&report.flashed_root),
            false => self.directory(slot).join(ROOT),
        }
    }
}

/// The SHA-256 of some bytes.
pub(super) fn digest(bytes: &[u8]) -> Digest {
    Digest(sha2::Sha256::digest(bytes).into())
}

/// A generation that is on the card.
pub(super) struct Entry {
    pub(super) slot: Slot,
    /// Nothing for a generation 0 of a card from before there were closures.
    pub(super) described: Option<(Digest, Closure)>,
    pub(super) state: State,
}

impl Entry {
    pub(super) fn id(&self) -> Option<Digest> {
        self.described.as_ref().map(|(id, _)| *id)
    }
}

/// All of them, and what runs.
pub(crate) struct Shelf {
    pub(super) report: Report,
    /// By slot; generation 0 is always the first.
    pub(super) entries: Vec<Entry>,
}

impl Shelf {
    /// Looks at the card.
    pub(crate) fn read(places: &Places) -> Result<Self, Error> {
        let report = places.report()?;
        let mut entries = Vec::new();
        for slot in std::iter::once(Slot::FLASHED).chain(Slot::all()) {
            let described = match fs::read(places.closure(slot)) {
                // One that this agent cannot read is none to it: of a later version, or damaged.
                Ok(text) => closure::parse(&text).ok().map(|closure| (digest(&text), closure)),
                Err(_) => None,
            };
            let has = |name: &str| places.directory(slot).join(name).exists();
            let state = match slot {
                Slot::FLASHED => State::Flashed,
                _ if described.is_none() => continue,
                _ if has(KEPT) => State::Kept,
                _ if has(TRIED) => State::Tried,
                _ => State::Staged,
            };
            entries.push(Entry { slot, described, state });
        }
        Ok(Self { report, entries })
    }

    /// The one that runs.
    pub(super) fn current(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.slot == self.report.generation)
    }

    /// The one with this id, the first digits of its id, or in this slot.
    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        let by_slot = name.parse::<Slot>().ok();
        let is_meant = |entry: &&Entry| match by_slot {
            Some(slot) => entry.slot == slot,
            None => name.len() >= 8 && entry.id().is_some_and(|id| id.to_string().starts_with(name)),
        };
        self.entries.iter().find(is_meant)
    }

    /// What a node says of its generations.
    pub(crate) fn told(&self, places: &Places) -> Result<Generations, Error> {
        // Without a pointer (a card from before) what runs is what starts.
        let pointer = pointer::read(&places.boot).map(|found| found.pointer).ok();
        let (good, next) = pointer.map_or((self.report.good, self.report.good), |pointer| (pointer.good, pointer.next));
        let boot_id = fs::read_to_string(places.at("/proc/sys/kernel/random/boot_id")).unwrap_or_default();
        let named = |entry: &Entry| {
            let closure = entry.described.as_ref().map(|(_, closure)| closure);
            Generation {
                slot: entry.slot,
                id: entry.id(),
                image: closure.map_or_else(|| self.report.image.clone(), |closure| closure.image.clone()),
                board: closure.map(|closure| closure.board.clone()).unwrap_or_default(),
                key: closure.map(|closure| closure.key),
                epoch: closure.map_or(0, |closure| closure.epoch),
                state: entry.state,
            }
        };
        Ok(Generations {
            version: state::VERSION,
            hostname: self.report.hostname.clone(),
            boot_id: boot_id.trim().to_owned(),
            running: self.report.generation,
            good,
            on_trial: self.report.on_trial && !places.settled().exists(),
            next,
            generations: self.entries.iter().map(named).collect(),
            // One that cannot be read is refused when it matters.
            wants_signature: places.release_keys().map_or(true, |keys| !keys.is_empty()),
            bad: bad_ones(places),
        })
    }

    /// Removes what may go to make room for `boot` and `data` bytes, the oldest first, and what no generation has.
    ///
    /// # Errors
    /// Too little room without touching what runs, what is good, what starts next, and generation 0.
    pub(super) fn make_room(&self, places: &Places, room: Room) -> Result<(), Error> {
        self.sweep(places)?;
        let next = pointer::read(&places.boot)?.pointer;
        let needed = BTreeSet::from([self.report.generation, next.good, next.next, Slot::FLASHED]);
        let mut removable: Vec<&Entry> = self.entries.iter().filter(|entry| !needed.contains(&entry.slot)).collect();
        removable.sort_by_key(|entry| (entry.described.as_ref().map(|(_, closure)| closure.epoch), entry.slot));
        let mut left = self.entries.len().saturating_sub(1);
        for entry in removable {
            if left < KEPT_MAX && room.is_there(places)? {
                break;
            }
            remove(places, entry.slot)?;
            left -= 1;
        }
        room.check(places)
    }

    /// Removes the leftovers of generations that were removed or never became whole.
    fn sweep(&self, places: &Places) -> Result<(), Error> {
        for slot in Slot::all().filter(|slot| !self.entries.iter().any(|entry| entry.slot == *slot)) {
            // One whose closure cannot be read may be a later agent's: it is not ours to remove.
            if !places.closure(slot).exists() && slot != self.report.generation {
                remove(places, slot)?;
            }
        }
        Ok(())
    }

    /// A slot that nothing has.
    pub(super) fn free_slot(&self, places: &Places) -> Result<Slot, Error> {
        let is_free = |slot: &Slot| !places.directory(*slot).exists() && *slot != self.report.generation;
        Slot::all().find(is_free).ok_or_else(|| Error::Refused("every slot of the card is taken".to_owned()))
    }
}

/// Removes a generation: first what makes it one, so that half of it is none.
fn remove(places: &Places, slot: Slot) -> Result<(), Error> {
    let directory = places.directory(slot);
    let gone = |path: &Path| match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).doing(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    };
    let is_there = directory.exists();
    gone(&directory.join(CLOSURE))?;
    if is_there {
        File::open(&directory)
            .and_then(|directory| directory.sync_all())
            .doing(|| format!("flush {}", directory.display()))?;
    }
    gone(&places.loader_entry(slot))?;
    for path in [places.boot_directory(slot), directory] {
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).doing(|| format!("remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Bytes that are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// On the boot partition.
    pub(super) boot: u64,
    /// On the data partition.
    pub(super) data: u64,
}

impl Room {
    /// What must stay free on the data partition: Consul and the journal write there meanwhile.
    const RESERVE: u64 = 64 << 20;
    /// What FAT needs for a directory and the ends of clusters.
    const FAT_RESERVE: u64 = 1 << 20;

    fn free(places: &Places) -> Result<(u64, u64), Error> {
        let free = |path: &Path| {
            let told = rustix::fs::statvfs(path).doing(|| format!("ask for the room on {}", path.display()))?;
            Ok::<u64, Error>(told.f_bavail.saturating_mul(told.f_frsize))
        };
        Ok((free(&places.boot)?, free(&places.data)?))
    }

    fn is_there(self, places: &Places) -> Result<bool, Error> {
        let (boot, data) = Self::free(places)?;
        Ok(boot >= self.boot.saturating_add(Self::FAT_RESERVE) && data >= self.data.saturating_add(Self::RESERVE))
    }

    fn check(self, places: &Places) -> Result<(), Error> {
        let (boot, data) = Self::free(places)?;
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let short = |name, free: u64, wanted: u64, reserve: u64| {
            let wanted = wanted.saturating_add(reserve);
            (free < wanted).then(|| {
                let (free, wanted) = (free >> 20, mib(wanted));
                format!("the {name} partition has {free} MiB left, and this generation needs {wanted} MiB of it")
            })
        };
        let boot = short("boot", boot, self.boot, Self::FAT_RESERVE);
        let data = short("data", data, self.data, Self::RESERVE);
        boot.or(data).map_or(Ok(()), |reason| Err(Error::Refused(reason)))
    }
}

/// The signature of a generation's closure lies there.
pub(super) fn signature(directory: &Path) -> PathBuf {
    directory.join(SIGNATURE)
}

/// Writes that a generation did not last, and why, unless that is known; says whether it was not.
pub(crate) fn condemn(places: &Places, id: Digest, reason: &str) -> Result<bool, Error> {
    if why_bad(places, id).is_some() {
        return Ok(false);
    }
    let directory = places.data.join(BAD);
    fs::create_dir_all(&directory).doing(|| format!("make {}", directory.display()))?;
    let path = directory.join(id.to_string());
    durable::write(&path, format!("{reason}\n").as_bytes(), 0o644).doing(|| format!("write {}", path.display()))?;
    Ok(true)
}

/// Why a generation is bad, if it is.
pub(super) fn why_bad(places: &Places, id: Digest) -> Option<String> {
    let text = fs::read(places.data.join(BAD).join(id.to_string())).ok()?;
    let text = text.get(..REASON_MAX).unwrap_or(&text);
    Some(String::from_utf8_lossy(text).trim().to_owned())
}

fn bad_ones(places: &Places) -> Vec<Bad> {
    let Ok(entries) = fs::read_dir(places.data.join(BAD)) else { return Vec::new() };
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<Digest>().ok());
    let mut bad: Vec<Bad> = ids.filter_map(|id| Some(Bad { id, reason: why_bad(places, id)? })).collect();
    bad.sort_by_key(|bad| bad.id);
    bad
}
