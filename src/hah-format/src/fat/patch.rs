//! Puts one file or another label into a volume that exists, as a list of sectors to write: nothing is written here.
//!
//! What changes is the file's own clusters (zeros behind its end), its chain in every copy of the FAT, its records in its
//! directory, and the count of free clusters. A file of that name is replaced: its chain is freed, and what it held becomes
//! zeros. Everything else stays as it is, so two patches of the same volume differ in these sectors alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek, SeekFrom};

use super::layout::{DosTime, TAIL_CLUSTERS};
use super::name::{self, Short};
use super::read::{LongName, Volume, shown};
use super::write::{self, record};
use super::{DIRECTORY_MAX, END_OF_CHAIN, FIRST_CLUSTER, FatError, RECORD, SECTOR, attribute};
use crate::disk::Region;
use crate::path::TreePath;

/// Largest file that is put into a volume, in bytes: what fits into memory without a thought.
const FILE_MAX: usize = 16 << 20;
/// A boot sector with this byte has a volume id and a label.
const EXTENDED: u8 = 0x29;
/// An FSInfo that does not know how many clusters are free.
const UNKNOWN: u32 = 0xffff_ffff;

/// The sectors that change when `content` becomes the file at `path`, whose directory must exist, in order and merged.
///
/// `epoch` is the file's time in seconds since 1970. Offsets are bytes from the start of the volume.
pub fn put_file<S: Read + Seek>(
    storage: S,
    path: &TreePath,
    content: &[u8],
    epoch: u32,
) -> Result<Vec<Region>, FatError> {
    if content.len() > FILE_MAX {
        return Err(FatError::TooLarge { path: path.clone() });
    }
    let (Some(parent), file_name) = (path.parent(), path.name()) else {
        return Err(FatError::Name { path: path.clone(), reason: "the root cannot be a file" });
    };
    if let Some(reason) = name::objection(file_name) {
        return Err(FatError::Name { path: path.clone(), reason });
    }
    let mut volume = Volume::open(storage)?;
    let directory = volume.find_directory(&parent)?;
    let mut patch = Patch { volume, sectors: BTreeMap::new() };
    let clusters = patch.volume.chain_clusters(directory, DIRECTORY_MAX / u64::from(patch.volume.cluster_bytes))?;
    let found = patch.scan(&clusters, file_name)?;
    let mut change = 0i64;
    if let Some(old) = &found.old {
        if old.is_directory {
            return Err(FatError::Collision { path: path.clone(), other: path.clone() });
        }
        for index in &old.records {
            patch.write(patch.record_offset(&clusters, *index), &[0xe5])?;
        }
        change += patch.free(old.cluster, old.size)?;
    }
    let chain = patch.allocate(content.len() as u64)?;
    change -= chain.len() as i64;
    patch.fill(&chain, content)?;

    let short = name::exact(file_name)
        .filter(|short| !found.taken.contains(short))
        .or_else(|| name::with_tail(file_name, &found.taken))
        .ok_or_else(|| FatError::TooLarge { path: parent.clone() })?;
    let mut records = name::long_records(file_name, &short);
    let first = chain.first().copied().unwrap_or(0);
    let time = DosTime::from_unix(epoch);
    // Checked above to be far below 4 GiB.
    records.push(record(&short, attribute::ARCHIVE, first, content.len() as u32, time));
    let start = found.slot(records.len()).ok_or_else(|| FatError::TooLarge { path: parent.clone() })?;
    for (index, bytes) in (start..).zip(&records) {
        patch.write(patch.record_offset(&clusters, index), bytes)?;
    }
    let behind = start + records.len();
    if behind > found.end && behind < found.total {
        // The end of the directory has moved, and what lay behind it may be anything.
        patch.write(patch.record_offset(&clusters, behind), &[0])?;
    }
    patch.count(change, chain.last().copied())?;
    Ok(patch.regions())
}

/// The sectors that change when the volume is called `label` (at most 11 characters of upper-case ASCII), in order and
/// merged: its boot sector and the copy of that, and the root directory, which is where most systems look. A volume whose
/// root directory has no label is [`FatError::NotFound`].
///
/// Offsets are bytes from the start of the volume.
pub fn put_label<S: Read + Seek>(storage: S, label: &str) -> Result<Vec<Region>, FatError> {
    let label = write::label(label)?;
    let mut patch = Patch { volume: Volume::open(storage)?, sectors: BTreeMap::new() };
    let boot = *patch.sector(0)?;
    if boot[66] == EXTENDED {
        patch.write(71, &label)?;
        let copy = u64::from(u16::from_le_bytes([boot[50], boot[51]]));
        if copy != 0 && copy * SECTOR < patch.volume.fat {
            patch.write(copy * SECTOR + 71, &label)?;
        }
    }
    let root = patch.volume.root;
    let clusters = patch.volume.chain_clusters(root, DIRECTORY_MAX / u64::from(patch.volume.cluster_bytes))?;
    for cluster in clusters {
        let bytes = patch.volume.cluster(cluster)?;
        for (index, record) in bytes.chunks_exact(RECORD).enumerate() {
            let (first, attributes) = (record[0], record[11]);
            if first == 0 {
                return Err(FatError::NotFound(TreePath::root()));
            }
            let is_long = attributes & 0x3f == attribute::LONG_NAME;
            if first != 0xe5 && !is_long && attributes & attribute::VOLUME != 0 {
                patch.write(patch.cluster_offset(cluster) + (index * RECORD) as u64, &label)?;
                return Ok(patch.regions());
            }
        }
    }
    Err(FatError::NotFound(TreePath::root()))
}

/// What a directory holds, by the numbers of its records.
struct Scan {
    old: Option<Old>,
    /// Short names of everything else.
    taken: BTreeSet<Short>,
    /// Records that are free, the old file's among them.
    free: BTreeSet<usize>,
    /// Number of the record that ends the directory, or of the first behind its clusters.
    end: usize,
    /// Records that its clusters hold.
    total: usize,
}

struct Old {
    records: Vec<usize>,
    cluster: u32,
    size: u32,
    is_directory: bool,
}

impl Scan {
    /// The first run of `wanted` records that may be written.
    fn slot(&self, wanted: usize) -> Option<usize> {
        let usable = |index: usize| index < self.total && (index >= self.end || self.free.contains(&index));
        (0..self.total).find(|start| (*start..start + wanted).all(usable))
    }
}

struct Patch<S> {
    volume: Volume<S>,
    /// Sectors that change, by number.
    sectors: BTreeMap<u64, [u8; SECTOR as usize]>,
}

impl<S: Read + Seek> Patch<S> {
    /// A sector as it is going to be.
    fn sector(&mut self, number: u64) -> Result<&mut [u8; SECTOR as usize], FatError> {
        if !self.sectors.contains_key(&number) {
            let mut bytes = [0; SECTOR as usize];
            self.volume.storage.seek(SeekFrom::Start(number * SECTOR))?;
            self.volume.storage.read_exact(&mut bytes)?;
            self.sectors.insert(number, bytes);
        }
        self.sectors.get_mut(&number).ok_or_else(|| FatError::Corrupt("a sector went missing".to_owned()))
    }

    /// Changes bytes that do not cross a sector.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FatError> {
        let within = (offset % SECTOR) as usize;
        let sector = self.sector(offset / SECTOR)?;
        sector[within..within + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn cluster_offset(&self, cluster: u32) -> u64 {
        self.volume.data + u64::from(cluster - FIRST_CLUSTER) * u64::from(self.volume.cluster_bytes)
    }

    fn record_offset(&self, clusters: &[u32], index: usize) -> u64 {
        let per_cluster = self.volume.cluster_bytes as usize / RECORD;
        self.cluster_offset(clusters[index / per_cluster]) + (index % per_cluster * RECORD) as u64
    }

    fn scan(&mut self, clusters: &[u32], wanted: &str) -> Result<Scan, FatError> {
        let total = clusters.len() * self.volume.cluster_bytes as usize / RECORD;
        let mut scan = Scan { old: None, taken: BTreeSet::new(), free: BTreeSet::new(), end: total, total };
        let folded = name::folded(wanted);
        let mut long = LongName::default();
        let mut parts = Vec::new();
        for (number, cluster) in clusters.iter().enumerate() {
            let bytes = self.volume.cluster(*cluster)?;
            for (within, record) in bytes.chunks_exact(RECORD).enumerate() {
                let index = number * (bytes.len() / RECORD) + within;
                match (record[0], record[11]) {
                    (0, _) => {
                        scan.end = index;
                        return Ok(scan);
                    }
                    (0xe5, _) => {
                        scan.free.insert(index);
                        long = LongName::default();
                        parts.clear();
                    }
                    (_, attributes) if attributes & 0x3f == attribute::LONG_NAME => {
                        long.add(record);
                        parts.push(index);
                    }
                    (_, attributes) => {
                        let long = std::mem::take(&mut long);
                        let mut records = std::mem::take(&mut parts);
                        let mut short: Short = [0; 11];
                        short.copy_from_slice(&record[..11]);
                        let shown = long.finish(&short).unwrap_or_else(|| shown(&short, record[12]));
                        let is_file_or_directory = attributes & attribute::VOLUME == 0;
                        let same = name::folded(&shown) == folded || name::display(&short) == folded;
                        if !is_file_or_directory || !same {
                            scan.taken.insert(short);
                            continue;
                        }
                        records.push(index);
                        scan.free.extend(&records);
                        let u16_at = |offset: usize| u32::from(record[offset]) | u32::from(record[offset + 1]) << 8;
                        scan.old = Some(Old {
                            records,
                            cluster: u16_at(20) << 16 | u16_at(26),
                            size: u16_at(28) | u16_at(30) << 16,
                            is_directory: attributes & attribute::DIRECTORY != 0,
                        });
                    }
                }
            }
        }
        Ok(scan)
    }

    /// A FAT entry as it is going to be, by the first copy.
    fn entry(&mut self, cluster: u32) -> Result<u32, FatError> {
        let offset = self.volume.fat + u64::from(cluster) * 4;
        match self.sectors.get(&(offset / SECTOR)) {
            Some(sector) => {
                let within = (offset % SECTOR) as usize;
                let [a, b, c, d] = [0, 1, 2, 3].map(|index| sector[within + index]);
                Ok(u32::from_le_bytes([a, b, c, d]) & END_OF_CHAIN)
            }
            None => self.volume.entry(cluster),
        }
    }

    /// Changes an entry in every copy of the FAT. The top four bits are not ours.
    fn set_entry(&mut self, cluster: u32, value: u32) -> Result<(), FatError> {
        for copy in 0..u64::from(self.volume.fats) {
            let offset = self.volume.fat + copy * self.volume.fat_bytes + u64::from(cluster) * 4;
            let within = (offset % SECTOR) as usize;
            let sector = self.sector(offset / SECTOR)?;
            let reserved = sector[within + 3] & 0xf0;
            let [a, b, c, d] = value.to_le_bytes();
            sector[within..within + 4].copy_from_slice(&[a, b, c, d & 0x0f | reserved]);
        }
        Ok(())
    }

    /// Frees a file's chain and clears what it held; returns how many clusters that were.
    fn free(&mut self, first: u32, size: u32) -> Result<i64, FatError> {
        if size == 0 && first == 0 {
            return Ok(0);
        }
        let most = u64::from(size).div_ceil(u64::from(self.volume.cluster_bytes)).max(1);
        let chain = self.volume.chain_clusters(first, most)?;
        self.fill(&chain, &[])?;
        for cluster in &chain {
            self.set_entry(*cluster, 0)?;
        }
        Ok(chain.len() as i64)
    }

    /// Takes free clusters for `bytes` and chains them. The last clusters of the volume stay free, as the writer leaves them.
    fn allocate(&mut self, bytes: u64) -> Result<Vec<u32>, FatError> {
        let wanted = bytes.div_ceil(u64::from(self.volume.cluster_bytes));
        let end = FIRST_CLUSTER + self.volume.clusters.saturating_sub(TAIL_CLUSTERS);
        let mut chain = Vec::new();
        let mut cluster = FIRST_CLUSTER;
        while (chain.len() as u64) < wanted {
            if cluster >= end {
                let available = chain.len() as u64 * u64::from(self.volume.cluster_bytes);
                return Err(FatError::Full { needed: bytes.div_ceil(1 << 20), available: available >> 20 });
            }
            if self.entry(cluster)? == 0 {
                chain.push(cluster);
            }
            cluster += 1;
        }
        for (index, cluster) in chain.iter().enumerate() {
            self.set_entry(*cluster, chain.get(index + 1).copied().unwrap_or(END_OF_CHAIN))?;
        }
        Ok(chain)
    }

    /// Writes content into clusters, and zeros behind it.
    fn fill(&mut self, chain: &[u32], content: &[u8]) -> Result<(), FatError> {
        let size = self.volume.cluster_bytes as usize;
        for (index, cluster) in chain.iter().enumerate() {
            let rest = content.get(index * size..).unwrap_or_default();
            let mut bytes = rest[..rest.len().min(size)].to_vec();
            bytes.resize(size, 0);
            let first = self.cluster_offset(*cluster) / SECTOR;
            for (number, sector) in (first..).zip(bytes.chunks_exact(SECTOR as usize)) {
                let mut whole = [0; SECTOR as usize];
                whole.copy_from_slice(sector);
                self.sectors.insert(number, whole);
            }
        }
        Ok(())
    }

    /// Corrects the count of free clusters, where the volume keeps one.
    fn count(&mut self, change: i64, last: Option<u32>) -> Result<(), FatError> {
        let number = u64::from(self.volume.info_sector);
        if number == 0 || number * SECTOR >= self.volume.fat {
            return Ok(());
        }
        let known = self.sector(number)?;
        let is_info = known.starts_with(b"RRaA") && known[484..488] == *b"rrAa";
        let [a, b, c, d] = [488, 489, 490, 491].map(|index| known[index]);
        let free = u32::from_le_bytes([a, b, c, d]);
        if !is_info || free == UNKNOWN {
            return Ok(());
        }
        let free = u32::try_from((i64::from(free) + change).max(0)).unwrap_or(UNKNOWN);
        self.write(number * SECTOR + 488, &free.to_le_bytes())?;
        match last {
            Some(last) => self.write(number * SECTOR + 492, &(last + 1).to_le_bytes()),
            None => Ok(()),
        }
    }

    fn regions(self) -> Vec<Region> {
        let mut regions: Vec<Region> = Vec::new();
        for (number, bytes) in self.sectors {
            let offset = number * SECTOR;
            match regions.last_mut() {
                Some(region) if region.offset + region.bytes.len() as u64 == offset => region.bytes.extend(bytes),
                _ => regions.push(Region { offset, bytes: bytes.to_vec() }),
            }
        }
        regions
    }
}
