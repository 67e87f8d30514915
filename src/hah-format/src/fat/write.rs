//! The writer.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Seek, SeekFrom, Write};

use super::layout::{DosTime, Geometry, TAIL_CLUSTERS};
use super::name::{self, Short};
use super::{DIRECTORY_MAX, END_OF_CHAIN, FIRST_CLUSTER, FatError, FatOptions, FatSummary, RECORD, SECTOR, attribute};
use crate::path::TreePath;

/// Sector of the copy of the boot sector; FSInfo's copy follows it.
const BACKUP_SECTOR: u16 = 6;

/// Writes a FAT32 volume that holds `files` to `storage`, from its byte 0 on.
///
/// Directories are made as needed. The storage must be at least `options.size_bytes` long and read as zeros: only used
/// bytes are written, so a sparse file stays sparse. The result depends on the options and the files alone.
pub fn format_and_fill<S: Write + Seek, C: AsRef<[u8]>>(
    mut storage: S,
    options: &FatOptions,
    files: &BTreeMap<TreePath, C>,
) -> Result<FatSummary, FatError> {
    let geometry = Geometry::new(options)?;
    let label = label(&options.label)?;
    let mut directories = collect(files)?;
    let used_clusters = place(&geometry, &mut directories)?;

    let boot = boot_sector(&geometry, options, &label);
    let info = info_sector(geometry.clusters - used_clusters, FIRST_CLUSTER + used_clusters);
    for first in [0, BACKUP_SECTOR] {
        storage.seek(SeekFrom::Start(u64::from(first) * SECTOR))?;
        storage.write_all(&boot)?;
        storage.write_all(&info)?;
    }
    let table = table(&directories);
    for index in [0, 1] {
        storage.seek(SeekFrom::Start(geometry.fat_offset(index)))?;
        storage.write_all(&table)?;
    }
    let time = DosTime::from_unix(options.epoch);
    for (path, directory) in &directories {
        storage.seek(SeekFrom::Start(geometry.cluster_offset(directory.run.first)))?;
        storage.write_all(&records(path, &directories, &label, time))?;
    }
    // The files' clusters follow each other, so only the padding between them is skipped.
    for item in directories.values().flat_map(|directory| &directory.items) {
        if let Content::File { data, run } = &item.content
            && !data.is_empty()
        {
            storage.seek(SeekFrom::Start(geometry.cluster_offset(run.first)))?;
            storage.write_all(data)?;
        }
    }
    storage.flush()?;
    Ok(FatSummary {
        total_clusters: geometry.clusters,
        used_clusters,
        used_bytes: geometry.cluster_offset(FIRST_CLUSTER + used_clusters),
    })
}

/// Clusters that follow each other. An empty file has none and `first` 0.
#[derive(Clone, Copy, Default)]
struct Run {
    first: u32,
    count: u32,
}

struct Directory<'a> {
    items: Vec<Item<'a>>,
    run: Run,
}

struct Item<'a> {
    path: TreePath,
    short: Short,
    content: Content<'a>,
}

enum Content<'a> {
    /// Found in the map of directories.
    Directory,
    File {
        data: &'a [u8],
        run: Run,
    },
}

/// The directories by path, the root first, each with its items in the order of their names, and short names given.
fn collect<C: AsRef<[u8]>>(files: &BTreeMap<TreePath, C>) -> Result<BTreeMap<TreePath, Directory<'_>>, FatError> {
    let empty = || Directory { items: Vec::new(), run: Run::default() };
    let mut directories = BTreeMap::from([(TreePath::root(), empty())]);
    for path in files.keys() {
        for ancestor in path.ancestors() {
            directories.entry(ancestor).or_insert_with(empty);
        }
    }
    let below: Vec<TreePath> = directories.keys().filter(|path| !path.is_root()).cloned().collect();
    let items = below.into_iter().map(|path| (path, Content::Directory)).chain(
        files.iter().map(|(path, data)| (path.clone(), Content::File { data: data.as_ref(), run: Run::default() })),
    );
    for (path, content) in items {
        let reason = if path.is_root() { Some("the root cannot be a file") } else { name::objection(path.name()) };
        if let Some(reason) = reason {
            return Err(FatError::Name { path, reason });
        }
        if let Content::File { data, .. } = content
            && u32::try_from(data.len()).is_err()
        {
            return Err(FatError::TooLarge { path });
        }
        if let Some(directory) = path.parent().and_then(|parent| directories.get_mut(&parent)) {
            directory.items.push(Item { path, short: [b' '; 11], content });
        }
    }
    for directory in directories.values_mut() {
        directory.items.sort_by(|a, b| a.path.cmp(&b.path));
        give_short_names(&mut directory.items)?;
    }
    Ok(directories)
}

/// Exact short names first, so that no numeric tail can take a name that another item fits exactly.
fn give_short_names(items: &mut [Item<'_>]) -> Result<(), FatError> {
    let mut seen: BTreeMap<String, TreePath> = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for item in items.iter_mut() {
        if let Some(other) = seen.insert(name::folded(item.path.name()), item.path.clone()) {
            return Err(FatError::Collision { path: item.path.clone(), other });
        }
        if let Some(short) = name::exact(item.path.name()) {
            item.short = short;
            taken.insert(short);
        }
    }
    for item in items.iter_mut().filter(|item| name::exact(item.path.name()).is_none()) {
        item.short = name::with_tail(item.path.name(), &taken)
            .ok_or_else(|| FatError::TooLarge { path: item.path.parent().unwrap_or_else(TreePath::root) })?;
        taken.insert(item.short);
    }
    Ok(())
}

/// Gives every directory and then every file its clusters, in order of their paths; returns how many are used.
fn place(geometry: &Geometry, directories: &mut BTreeMap<TreePath, Directory<'_>>) -> Result<u32, FatError> {
    let mut used = 0u64;
    let available = u64::from(geometry.clusters - TAIL_CLUSTERS);
    // Past the end the numbers no longer matter: the sum is what the error reports.
    let mut take = |clusters: u64| {
        let first = u64::from(FIRST_CLUSTER) + used;
        used += clusters;
        match (u32::try_from(first), u32::try_from(clusters)) {
            (Ok(first), Ok(count)) if clusters > 0 => Run { first, count },
            _ => Run::default(),
        }
    };
    for (path, directory) in directories.iter_mut() {
        let long: usize =
            directory.items.iter().map(|item| 1 + name::long_records(item.path.name(), &item.short).len()).sum();
        // The root has the volume's label, the others `.` and `..`.
        let bytes = ((long + if path.is_root() { 1 } else { 2 }) * RECORD) as u64;
        if bytes > DIRECTORY_MAX {
            return Err(FatError::TooLarge { path: path.clone() });
        }
        directory.run = take(geometry.clusters_for(bytes));
    }
    for item in directories.values_mut().flat_map(|directory| &mut directory.items) {
        if let Content::File { data, run } = &mut item.content {
            *run = take(geometry.clusters_for(data.len() as u64));
        }
    }
    match u32::try_from(used) {
        Ok(clusters) if used <= available => Ok(clusters),
        _ => Err(FatError::Full {
            needed: (used * geometry.cluster_bytes()).div_ceil(1 << 20),
            available: (available * geometry.cluster_bytes()) >> 20,
        }),
    }
}

/// A volume label as it is stored.
pub(super) fn label(text: &str) -> Result<Short, FatError> {
    let fits = |byte: u8| {
        (b' '..=b'~').contains(&byte) && !byte.is_ascii_lowercase() && !b"\"*+,./:;<=>?[\\]|".contains(&byte)
    };
    if text.is_empty() || text.len() > 11 || text.starts_with(' ') || !text.bytes().all(fits) {
        return Err(FatError::Options(format!("`{}` cannot be a volume label", text.escape_debug())));
    }
    let mut label = [b' '; 11];
    label[..text.len()].copy_from_slice(text.as_bytes());
    Ok(label)
}

fn boot_sector(geometry: &Geometry, options: &FatOptions, label: &Short) -> [u8; SECTOR as usize] {
    let mut sector = [0; SECTOR as usize];
    let mut put = |offset: usize, bytes: &[u8]| sector[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0, &[0xeb, 0x58, 0x90]);
    // The specification recommends this name whoever formats; some drivers look at it.
    put(3, b"MSWIN4.1");
    put(11, &(SECTOR as u16).to_le_bytes());
    put(13, &[options.sectors_per_cluster]);
    // At most 39: see the layout.
    put(14, &(geometry.reserved as u16).to_le_bytes());
    put(16, &[2]);
    put(21, &[0xf8]);
    put(24, &63u16.to_le_bytes());
    put(26, &255u16.to_le_bytes());
    put(28, &options.hidden_sectors.to_le_bytes());
    put(32, &geometry.sectors.to_le_bytes());
    put(36, &geometry.fat_sectors.to_le_bytes());
    put(44, &FIRST_CLUSTER.to_le_bytes());
    put(48, &1u16.to_le_bytes());
    put(50, &BACKUP_SECTOR.to_le_bytes());
    put(64, &[0x80, 0, 0x29]);
    put(67, &options.volume_id.to_le_bytes());
    put(71, label);
    put(82, b"FAT32   ");
    put(510, &[0x55, 0xaa]);
    sector
}

fn info_sector(free: u32, next: u32) -> [u8; SECTOR as usize] {
    let mut sector = [0; SECTOR as usize];
    let mut put = |offset: usize, bytes: &[u8]| sector[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0, b"RRaA");
    put(484, b"rrAa");
    put(488, &free.to_le_bytes());
    put(492, &next.to_le_bytes());
    put(510, &[0x55, 0xaa]);
    sector
}

/// The used part of the FAT, filled up to whole sectors.
fn table(directories: &BTreeMap<TreePath, Directory<'_>>) -> Vec<u8> {
    let runs = directories.values().map(|directory| directory.run).chain(
        directories.values().flat_map(|directory| &directory.items).filter_map(|item| match &item.content {
            Content::File { run, .. } => Some(*run),
            Content::Directory => None,
        }),
    );
    // Entry 0 repeats the media byte, entry 1 says that the volume is clean.
    let mut entries: Vec<u32> = vec![0x0fff_fff8, END_OF_CHAIN];
    for Run { first, count } in runs.filter(|run| run.count > 0) {
        entries.extend(first + 1..first + count);
        entries.push(END_OF_CHAIN);
    }
    let mut bytes: Vec<u8> = entries.into_iter().flat_map(u32::to_le_bytes).collect();
    bytes.resize(bytes.len().next_multiple_of(SECTOR as usize), 0);
    bytes
}

/// All records of the directory at `path`. The clusters' rest is zero, which ends a directory.
fn records(path: &TreePath, directories: &BTreeMap<TreePath, Directory<'_>>, label: &Short, time: DosTime) -> Vec<u8> {
    let first_cluster = |path: &TreePath| directories.get(path).map_or(0, |directory| directory.run.first);
    let mut bytes = Vec::new();
    match path.parent() {
        None => bytes.extend(record(label, attribute::VOLUME, 0, 0, time)),
        Some(parent) => {
            // The root is cluster 0 here, wherever it lies.
            let up = if parent.is_root() { 0 } else { first_cluster(&parent) };
            bytes.extend(record(b".          ", attribute::DIRECTORY, first_cluster(path), 0, time));
            bytes.extend(record(b"..         ", attribute::DIRECTORY, up, 0, time));
        }
    }
    for item in directories.get(path).into_iter().flat_map(|directory| &directory.items) {
        bytes.extend(name::long_records(item.path.name(), &item.short).concat());
        bytes.extend(match &item.content {
            Content::Directory => record(&item.short, attribute::DIRECTORY, first_cluster(&item.path), 0, time),
            // The length was checked when the file was collected.
            Content::File { data, run } => record(&item.short, attribute::ARCHIVE, run.first, data.len() as u32, time),
        });
    }
    bytes
}

pub(super) fn record(short: &Short, attributes: u8, cluster: u32, size: u32, time: DosTime) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let mut put = |offset: usize, bytes: &[u8]| record[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0, short);
    put(11, &[attributes, 0, time.hundredths]);
    put(14, &time.time.to_le_bytes());
    put(16, &time.date.to_le_bytes());
    put(18, &time.date.to_le_bytes());
    put(20, &((cluster >> 16) as u16).to_le_bytes());
    put(22, &time.time.to_le_bytes());
    put(24, &time.date.to_le_bytes());
    put(26, &(cluster as u16).to_le_bytes());
    put(28, &size.to_le_bytes());
    record
}
