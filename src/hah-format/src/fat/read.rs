//! The reader, for volumes that somebody else may have written.
//!
//! Every number is checked against the storage before it is used: a chain has at most as many clusters as its file or
//! directory needs, a directory is visited once, and what is allocated is bounded by constants.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};

use super::name::{self, LONG_LAST, LONG_OFFSETS, LONG_PART, LONG_PARTS_MAX, Short};
use super::{
    DIRECTORY_MAX, END_OF_CHAIN, FAT32_CLUSTERS_MAX, FAT32_CLUSTERS_MIN, FIRST_CLUSTER, FatEntry, FatError, RECORD,
    SECTOR, attribute,
};
use crate::path::TreePath;

/// Largest file that is read, in bytes.
const FILE_MAX: u32 = 256 << 20;
/// Most entries that are listed.
const ENTRIES_MAX: usize = 100_000;
/// Most directories that are listed: each may cost 2 MiB of reading, however little is in it.
const DIRECTORIES_MAX: usize = 1000;
/// Deepest directory.
const DEPTH_MAX: usize = 32;
/// FAT entries from here on end a chain.
const CHAIN_ENDS: u32 = 0x0fff_fff8;

/// Every file and directory of a volume that starts at byte 0 of `storage`: a directory, then what is in it.
pub fn list<S: Read + Seek>(storage: S) -> Result<Vec<FatEntry>, FatError> {
    let mut volume = Volume::open(storage)?;
    let mut found = Vec::new();
    let mut visited = BTreeSet::new();
    // Directories still to be read, innermost last.
    let mut left = vec![(TreePath::root(), volume.root)];
    while let Some((path, cluster)) = left.pop() {
        if visited.len() >= DIRECTORIES_MAX {
            return Err(FatError::Corrupt(format!("more than {DIRECTORIES_MAX} directories")));
        }
        if !visited.insert(cluster) || path.components().count() > DEPTH_MAX {
            return Err(FatError::Corrupt(format!("directory {path} lies inside of itself or too deep")));
        }
        for entry in volume.directory(cluster)? {
            let path = entry.below(&path)?;
            if found.len() >= ENTRIES_MAX {
                return Err(FatError::Corrupt(format!("more than {ENTRIES_MAX} entries")));
            }
            if entry.is_directory {
                left.push((path.clone(), entry.cluster));
            }
            found.push(FatEntry {
                path,
                short_name: name::display(&entry.short),
                size: (!entry.is_directory).then_some(entry.size),
            });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The content of the file at `path` (at most 256 MiB). Long and short names are both found, in any case, as FAT wants.
pub fn read_file<S: Read + Seek>(storage: S, path: &TreePath) -> Result<Vec<u8>, FatError> {
    let mut volume = Volume::open(storage)?;
    let missing = || FatError::NotFound(path.clone());
    let mut cluster = volume.root;
    let mut components = path.components().peekable();
    while let Some(component) = components.next() {
        let wanted = name::folded(component);
        let entry =
            volume.directory(cluster)?.into_iter().find(|entry| entry.is_called(&wanted)).ok_or_else(missing)?;
        match (components.peek(), entry.is_directory) {
            (Some(_), true) => cluster = entry.cluster,
            (None, false) => return volume.content(&entry, path),
            _ => return Err(missing()),
        }
    }
    Err(missing())
}

/// One file or directory, as its records tell.
struct Entry {
    /// The long name, or the short one in the case that it shows.
    name: String,
    short: Short,
    is_directory: bool,
    cluster: u32,
    size: u32,
}

impl Entry {
    /// Whether a folded name means this entry.
    fn is_called(&self, folded: &str) -> bool {
        name::folded(&self.name) == folded || name::display(&self.short) == folded
    }

    fn below(&self, parent: &TreePath) -> Result<TreePath, FatError> {
        let corrupt =
            || FatError::Corrupt(format!("{parent} has an entry with the name `{}`", self.name.escape_debug()));
        if self.name.is_empty() || self.name.contains('/') || matches!(self.name.as_str(), "." | "..") {
            return Err(corrupt());
        }
        parent.join(&self.name).map_err(|_| corrupt())
    }
}

pub(super) struct Volume<S> {
    pub(super) storage: S,
    /// Byte offset of the first FAT, the one that is read.
    pub(super) fat: u64,
    /// Bytes of a FAT.
    pub(super) fat_bytes: u64,
    /// Copies of the FAT.
    pub(super) fats: u8,
    /// Sector of FSInfo.
    pub(super) info_sector: u32,
    /// Byte offset of cluster 2.
    pub(super) data: u64,
    pub(super) cluster_bytes: u32,
    pub(super) clusters: u32,
    /// First cluster of the root directory.
    pub(super) root: u32,
    /// The sector of the FAT that was read last, by its number.
    sector: Option<(u32, [u8; SECTOR as usize])>,
}

impl<S: Read + Seek> Volume<S> {
    pub(super) fn open(mut storage: S) -> Result<Self, FatError> {
        let length = storage.seek(SeekFrom::End(0))?;
        let mut boot = [0; SECTOR as usize];
        storage.seek(SeekFrom::Start(0))?;
        storage.read_exact(&mut boot)?;
        let u16_at = |offset: usize| u32::from(boot[offset]) | u32::from(boot[offset + 1]) << 8;
        let u32_at = |offset: usize| u16_at(offset) | u16_at(offset + 2) << 16;

        let corrupt = |reason: &str| Err(FatError::Corrupt(reason.to_owned()));
        if u16_at(510) != 0xaa55 {
            return corrupt("no boot sector");
        }
        // FAT12 and FAT16 have entries in the root and their FAT's size elsewhere.
        if u64::from(u16_at(11)) != SECTOR || u16_at(17) != 0 || u16_at(22) != 0 || u16_at(42) != 0 {
            return corrupt("not FAT32 with sectors of 512 bytes");
        }
        let (cluster_sectors, reserved, fats) = (u32::from(boot[13]), u16_at(14), boot[16]);
        let (sectors, fat_sectors) = (u32_at(32), u32_at(36));
        if !cluster_sectors.is_power_of_two() || reserved == 0 || !matches!(fats, 1 | 2) {
            return corrupt("the boot sector's sizes make no sense");
        }
        if u64::from(sectors) * SECTOR > length {
            return corrupt("the volume is larger than its storage");
        }
        let fat = u64::from(reserved) * SECTOR;
        let fat_bytes = u64::from(fat_sectors) * SECTOR;
        let data = fat + u64::from(fats) * fat_bytes;
        let clusters = (u64::from(sectors) * SECTOR).saturating_sub(data) / (u64::from(cluster_sectors) * SECTOR);
        let clusters = u32::try_from(clusters).unwrap_or(u32::MAX);
        if !(FAT32_CLUSTERS_MIN..=FAT32_CLUSTERS_MAX).contains(&clusters) {
            return corrupt("the number of clusters is not FAT32's");
        }
        if u64::from(fat_sectors) * 128 < u64::from(clusters) + 2 {
            return corrupt("the FAT is too short for the volume");
        }
        let cluster_bytes = cluster_sectors * SECTOR as u32;
        Ok(Self {
            storage,
            fat,
            fat_bytes,
            fats,
            info_sector: u16_at(48),
            data,
            cluster_bytes,
            clusters,
            root: u32_at(44),
            sector: None,
        })
    }

    /// The FAT's entry for `cluster`.
    pub(super) fn entry(&mut self, cluster: u32) -> Result<u32, FatError> {
        let (number, within) = (cluster / 128, cluster as usize % 128 * 4);
        let bytes = match self.sector {
            Some((known, bytes)) if known == number => bytes,
            _ => {
                let mut bytes = [0; SECTOR as usize];
                self.storage.seek(SeekFrom::Start(self.fat + u64::from(number) * SECTOR))?;
                self.storage.read_exact(&mut bytes)?;
                self.sector = Some((number, bytes));
                bytes
            }
        };
        let [a, b, c, d] = [0, 1, 2, 3].map(|index| bytes[within + index]);
        // The top four bits are reserved.
        Ok(u32::from_le_bytes([a, b, c, d]) & END_OF_CHAIN)
    }

    /// The clusters of the chain from `first`; an error when it is longer than `most`.
    pub(super) fn chain_clusters(&mut self, first: u32, most: u64) -> Result<Vec<u32>, FatError> {
        let mut clusters = Vec::new();
        let mut cluster = first;
        loop {
            if !self.is_cluster(cluster) {
                return Err(FatError::Corrupt(format!("a chain leads to cluster {cluster}")));
            }
            if clusters.len() as u64 >= most {
                return Err(FatError::Corrupt(format!("the chain from cluster {first} is too long")));
            }
            clusters.push(cluster);
            cluster = self.entry(cluster)?;
            if cluster >= CHAIN_ENDS {
                return Ok(clusters);
            }
        }
    }

    /// The bytes of one cluster.
    pub(super) fn cluster(&mut self, cluster: u32) -> Result<Vec<u8>, FatError> {
        let mut bytes = vec![0; self.cluster_bytes as usize];
        let offset = self.data + u64::from(cluster - FIRST_CLUSTER) * u64::from(self.cluster_bytes);
        self.storage.seek(SeekFrom::Start(offset))?;
        self.storage.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The first cluster of a directory.
    pub(super) fn find_directory(&mut self, path: &TreePath) -> Result<u32, FatError> {
        let mut cluster = self.root;
        for component in path.components() {
            let wanted = name::folded(component);
            let entry = self.directory(cluster)?.into_iter().find(|entry| entry.is_called(&wanted));
            cluster = match entry {
                Some(entry) if entry.is_directory => entry.cluster,
                _ => return Err(FatError::NotFound(path.clone())),
            };
        }
        Ok(cluster)
    }

    fn is_cluster(&self, cluster: u32) -> bool {
        (FIRST_CLUSTER..FIRST_CLUSTER + self.clusters).contains(&cluster)
    }

    /// Reads the chain from `first` to its end or until `limit` bytes are there, whichever is first.
    fn chain(&mut self, first: u32, limit: u64) -> Result<Vec<u8>, FatError> {
        let mut bytes = Vec::new();
        let mut cluster = first;
        while (bytes.len() as u64) < limit {
            if !self.is_cluster(cluster) {
                return Err(FatError::Corrupt(format!("a chain leads to cluster {cluster} of {}", self.clusters)));
            }
            // Clusters that follow each other are read at once.
            let (start, mut run) = (cluster, u64::from(self.cluster_bytes));
            let mut next = self.entry(cluster)?;
            while next == cluster + 1 && bytes.len() as u64 + run < limit && self.is_cluster(next) {
                run += u64::from(self.cluster_bytes);
                cluster = next;
                next = self.entry(cluster)?;
            }
            let wanted = run.min(limit - bytes.len() as u64);
            let offset = self.data + u64::from(start - FIRST_CLUSTER) * u64::from(self.cluster_bytes);
            self.storage.seek(SeekFrom::Start(offset))?;
            if (&mut self.storage).take(wanted).read_to_end(&mut bytes)? as u64 != wanted {
                return Err(FatError::Corrupt(format!("cluster {start} lies behind the storage's end")));
            }
            if next >= CHAIN_ENDS {
                break;
            }
            cluster = next;
        }
        Ok(bytes)
    }

    fn content(&mut self, entry: &Entry, path: &TreePath) -> Result<Vec<u8>, FatError> {
        if entry.size > FILE_MAX {
            return Err(FatError::TooLarge { path: path.clone() });
        }
        if entry.size == 0 {
            return Ok(Vec::new());
        }
        let bytes = self.chain(entry.cluster, entry.size.into())?;
        if bytes.len() as u64 != u64::from(entry.size) {
            return Err(FatError::Corrupt(format!("{path} ends after {} of {} bytes", bytes.len(), entry.size)));
        }
        Ok(bytes)
    }

    /// The entries of a directory, without `.`, `..` and volume labels.
    fn directory(&mut self, first: u32) -> Result<Vec<Entry>, FatError> {
        let bytes = self.chain(first, DIRECTORY_MAX)?;
        let mut entries = Vec::new();
        let mut long = LongName::default();
        for record in bytes.chunks_exact(RECORD) {
            match (record[0], record[11]) {
                (0, _) => break,
                (0xe5, _) => long = LongName::default(),
                (_, attributes) if attributes & 0x3f == attribute::LONG_NAME => long.add(record),
                (_, attributes) => {
                    let long = std::mem::take(&mut long);
                    let mut short: Short = [0; 11];
                    short.copy_from_slice(&record[..11]);
                    if attributes & attribute::VOLUME != 0 || matches!(&short, b".          " | b"..         ") {
                        continue;
                    }
                    // The byte that marks free records may start a name in some code pages; it is written as 5.
                    if short[0] == 5 {
                        short[0] = 0xe5;
                    }
                    let u16_at = |offset: usize| u32::from(record[offset]) | u32::from(record[offset + 1]) << 8;
                    entries.push(Entry {
                        name: long.finish(&short).unwrap_or_else(|| shown(&short, record[12])),
                        short,
                        is_directory: attributes & attribute::DIRECTORY != 0,
                        cluster: u16_at(20) << 16 | u16_at(26),
                        size: u16_at(28) | u16_at(30) << 16,
                    });
                }
            }
        }
        Ok(entries)
    }
}

/// A short name in the case that Windows NT's flags ask for: bit 3 lowers the base, bit 4 the extension.
pub(super) fn shown(short: &Short, flags: u8) -> String {
    let mut cased = *short;
    if flags & 0x08 != 0 {
        cased[..8].make_ascii_lowercase();
    }
    if flags & 0x10 != 0 {
        cased[8..].make_ascii_lowercase();
    }
    name::display(&cased)
}

/// Long-name records as they are met. Anything out of order makes the name void, and the short name counts.
#[derive(Default)]
pub(super) struct LongName {
    units: Vec<u16>,
    /// Number of the part that was added last, from 1; 0 when there is none.
    part: u8,
    checksum: u8,
}

impl LongName {
    pub(super) fn add(&mut self, record: &[u8]) {
        let number = record[0] & !LONG_LAST;
        if record[0] & LONG_LAST != 0 && (1..=LONG_PARTS_MAX).contains(&number) {
            *self = Self { units: vec![0; usize::from(number) * LONG_PART], part: number, checksum: record[13] };
        } else if self.part > 1 && number == self.part - 1 && record[13] == self.checksum {
            self.part = number;
        } else {
            *self = Self::default();
            return;
        }
        let start = usize::from(number - 1) * LONG_PART;
        for (unit, offset) in self.units[start..start + LONG_PART].iter_mut().zip(LONG_OFFSETS) {
            *unit = u16::from_le_bytes([record[offset], record[offset + 1]]);
        }
    }

    pub(super) fn finish(self, short: &Short) -> Option<String> {
        if self.part != 1 || self.checksum != name::checksum(short) {
            return None;
        }
        let end = self.units.iter().position(|&unit| unit == 0).unwrap_or(self.units.len());
        String::from_utf16(&self.units[..end]).ok().filter(|name| !name.is_empty())
    }
}
