//! The root file system: where every byte of the squashfs comes from, decided before any is written.
//!
//! The data area is, in the order of the packs, the blocks and fragments that the final tree needs, copied as they are;
//! then the recipes' and passes' own files, compressed now. The tables follow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hah_format::digest::Sha256;
use hah_format::pack::{FileId, Manifest, PackOptions, Packed, Packer};
use hah_format::squashfs::{self, BLOCK_SIZE, DataArea, FileData, Fragment, Metadata, OwnerKind, STORED};
use hah_format::tree::{Kind, Owner, Tree};
use hah_plan::rootfs::{Content, Root};
use rayon::prelude::*;

use crate::build::packs::{PackSet, Stored};
use crate::failure::Failure;

/// Bytes of the squashfs that are copied from somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// From the data area of a pack: its index in [`RootImage::sources`], offset and length in bytes.
    Pack(usize, u64, u64),
    /// Freshly compressed.
    Fresh {
        /// The bytes.
        bytes: Vec<u8>,
        /// Where the blocks of a file or a fragment begin or end, in bytes from the start, rising.
        borders: Vec<usize>,
    },
}

impl Segment {
    fn len(&self) -> u64 {
        match self {
            Self::Pack(_, _, len) => *len,
            Self::Fresh { bytes, .. } => bytes.len() as u64,
        }
    }
}

/// A squashfs ready to be written: superblock, segments, tables.
pub struct RootImage {
    /// The packs that segments are from.
    pub sources: Vec<Arc<Stored>>,
    /// What the data area is made of, in order.
    pub segments: Vec<Segment>,
    /// Everything around it.
    pub metadata: Metadata,
}

impl RootImage {
    /// Length in bytes.
    pub fn len(&self) -> u64 {
        let data: u64 = self.segments.iter().map(Segment::len).sum();
        self.metadata.superblock.len() as u64 + data + self.metadata.tables.len() as u64
    }

    /// Never: there is always a superblock.
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// Lays out the squashfs of `root`. Times later than `epoch` (seconds since 1970) become `epoch`.
pub fn layout(root: Root, packs: &PackSet, epoch: u32) -> Result<RootImage, Failure> {
    let owners = Owners::read(&root);
    let mut area = Area::default();
    let needed = needed(&root);
    let sources = packs.stored();
    for (index, pack) in sources.iter().enumerate() {
        area.take(index, &pack.manifest, &needed);
    }
    area.add_fresh(&root)?;
    let Area { data, placed, segments } = area;
    let mut missing = None;
    let tree: Tree<FileData> = root.map(|path, content| {
        let digest = content.sha256();
        placed.get(&digest).cloned().unwrap_or_else(|| {
            missing.get_or_insert_with(|| path.clone());
            FileData::default()
        })
    });
    if let Some(path) = missing {
        return Err(Failure::build(
            format!("the content of {path} is in no pack"),
            Some("run `hah-image store verify`, then build again".into()),
        ));
    }
    let lookup = |owner: &Owner, kind: OwnerKind| owners.id(owner, kind);
    let metadata = squashfs::metadata(&tree, &data, &lookup, &squashfs::Options::new(epoch))
        .map_err(|error| Failure::build(format!("root file system: {error}"), Some(error.hint().to_string())))?;
    Ok(RootImage { sources, segments, metadata })
}

/// Digests of all stored files of the tree.
fn needed(root: &Root) -> BTreeSet<Sha256> {
    root.iter()
        .filter_map(|(_, node)| match &node.kind {
            Kind::File(Content::Stored { sha256, .. }) => Some(*sha256),
            _ => None,
        })
        .collect()
}

/// The data area as it grows.
#[derive(Default)]
struct Area {
    data: DataArea,
    placed: BTreeMap<Sha256, FileData>,
    segments: Vec<Segment>,
}

impl Area {
    /// Appends what the tree needs of a pack and does not have yet.
    fn take(&mut self, index: usize, manifest: &Manifest, needed: &BTreeSet<Sha256>) {
        let mut files: BTreeMap<Sha256, &FileData> = BTreeMap::new();
        for (_, node) in manifest.tree.iter() {
            if let Kind::File(file) = &node.kind
                && needed.contains(&file.sha256)
                && !self.placed.contains_key(&file.sha256)
            {
                files.entry(file.sha256).or_insert(&file.data);
            }
        }
        // Runs of the pack's data area that are wanted: start → length.
        let mut runs: BTreeMap<u64, u64> = BTreeMap::new();
        for data in files.values() {
            let stored = stored_len(data);
            if stored > 0 {
                runs.insert(data.start, stored);
            }
        }
        let wanted: BTreeSet<u32> = files.values().filter_map(|data| Some(data.tail?.fragment)).collect();
        for fragment in &wanted {
            if let Some(Fragment { start, size_word }) = manifest.fragments.get(*fragment as usize) {
                runs.insert(*start, u64::from(size_word & !STORED));
            }
        }
        // Old offset → new offset, run by run.
        let mut moved: BTreeMap<u64, u64> = BTreeMap::new();
        for (start, len) in runs {
            moved.insert(start, self.data.len);
            match self.segments.last_mut() {
                Some(Segment::Pack(last, offset, length)) if *last == index && *offset + *length == start => {
                    *length += len;
                }
                _ => self.segments.push(Segment::Pack(index, start, len)),
            }
            self.data.len += len;
        }
        let mut fragments: BTreeMap<u32, u32> = BTreeMap::new();
        for old in wanted {
            let Some(fragment) = manifest.fragments.get(old as usize) else { continue };
            fragments.insert(old, u32::try_from(self.data.fragments.len()).unwrap_or(u32::MAX));
            let start = moved.get(&fragment.start).copied().unwrap_or(0);
            self.data.fragments.push(Fragment { start, size_word: fragment.size_word });
        }
        for (digest, data) in files {
            let mut data = data.clone();
            if stored_len(&data) > 0 {
                data.start = moved.get(&data.start).copied().unwrap_or(0);
            } else {
                data.start = 0;
            }
            if let Some(tail) = &mut data.tail {
                tail.fragment = fragments.get(&tail.fragment).copied().unwrap_or(u32::MAX);
            }
            self.placed.insert(digest, data);
        }
    }

    /// Compresses and appends the files that no pack has.
    fn add_fresh(&mut self, root: &Root) -> Result<(), Failure> {
        let mut seen = BTreeSet::new();
        let mut files: Vec<(Sha256, &[u8])> = Vec::new();
        for (_, node) in root.iter() {
            if let Kind::File(Content::Inline(bytes)) = &node.kind {
                let digest = Sha256::of(bytes);
                if !self.placed.contains_key(&digest) && seen.insert(digest) {
                    files.push((digest, bytes));
                }
            }
        }
        let packed: Result<Vec<PackedGroup>, Failure> = groups(&files).into_par_iter().map(pack_group).collect();
        for PackedGroup { packed, ids } in packed? {
            let placement = self.data.append(packed.data_len, &packed.fragments);
            let length = |fragment: &Fragment| u64::from(fragment.size_word & !STORED);
            let mut runs: Vec<(u64, u64)> =
                packed.fragments.iter().map(|fragment| (fragment.start, length(fragment))).collect();
            for (digest, id) in ids {
                if let Some(file) = packed.file(id) {
                    runs.push((file.data.start, stored_len(&file.data)));
                    self.placed.insert(digest, file.data.clone().placed(placement));
                }
            }
            // A file without blocks of its own begins nowhere.
            let ends = runs.iter().filter(|(_, len)| *len > 0).flat_map(|(start, len)| [*start, start + len]);
            let borders: BTreeSet<usize> = ends.filter_map(|border| usize::try_from(border).ok()).collect();
            self.segments.push(Segment::Fresh { bytes: packed.out, borders: borders.into_iter().collect() });
        }
        Ok(())
    }
}

/// Files that were packed together.
struct PackedGroup {
    packed: Packed<Vec<u8>>,
    ids: Vec<(Sha256, FileId)>,
}

fn pack_group(files: &[(Sha256, &[u8])]) -> Result<PackedGroup, Failure> {
    let failed = |error: hah_format::pack::PackError| Failure::build(format!("root file system: {error}"), None);
    let mut packer = Packer::new(Vec::new(), &PackOptions::default()).map_err(failed)?;
    let mut ids = Vec::with_capacity(files.len());
    for (digest, bytes) in files {
        ids.push((*digest, packer.file(&mut &bytes[..], bytes.len() as u64).map_err(failed)?));
    }
    Ok(PackedGroup { packed: packer.finish().map_err(failed)?, ids })
}

/// A group has at least so many bytes for its fragments: fewer compress badly.
const GROUP_MIN: usize = 48 << 10;

/// Cuts the image's own files into groups that share no fragment.
///
/// Where a group ends depends on its last file, so that one more file, or one that has grown, changes the group that it
/// is in and seldom the next: otherwise every fragment behind it would be another one, and would be sent to every node.
fn groups<'f, 'b>(files: &'f [(Sha256, &'b [u8])]) -> Vec<&'f [(Sha256, &'b [u8])]> {
    let mut groups = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, (digest, content)) in files.iter().enumerate() {
        bytes += content.len() % BLOCK_SIZE as usize;
        // One file in four.
        if bytes >= GROUP_MIN && digest.as_bytes()[0] < 64 {
            groups.extend(files.get(start..=index));
            (start, bytes) = (index + 1, 0);
        }
    }
    groups.extend(files.get(start..).filter(|rest| !rest.is_empty()));
    groups
}

/// Bytes that a file's own blocks take on disk.
fn stored_len(data: &FileData) -> u64 {
    data.blocks.iter().map(|word| u64::from(word & !STORED)).sum()
}

/// The image's own user database, as the tree's `/etc/passwd` and `/etc/group` have it.
struct Owners {
    users: BTreeMap<String, u32>,
    groups: BTreeMap<String, u32>,
}

impl Owners {
    fn read(root: &Root) -> Self {
        Self { users: ids(root, "etc/passwd"), groups: ids(root, "etc/group") }
    }

    fn id(&self, owner: &Owner, kind: OwnerKind) -> Option<u32> {
        let table = match kind {
            OwnerKind::User => &self.users,
            OwnerKind::Group => &self.groups,
        };
        match owner {
            Owner::Id(id) => Some(*id),
            Owner::Name(name) => table.get(&**name).copied(),
        }
    }
}

/// `name → id` of a colon-separated database; the users pass has written it, so every line is well-formed.
fn ids(root: &Root, path: &str) -> BTreeMap<String, u32> {
    let node = hah_format::path::TreePath::parse(path).ok().and_then(|path| root.get(&path));
    let Some(Kind::File(Content::Inline(bytes))) = node.map(|node| &node.kind) else { return BTreeMap::new() };
    String::from_utf8_lossy(bytes)
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            Some((name.to_owned(), fields.nth(1)?.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new package's few files made every fragment behind them another one: 0.3 MB for each node of `lab`.
    #[test]
    fn one_more_file_changes_few_groups() {
        let texts: Vec<Vec<u8>> =
            (0..2000u32).map(|n| vec![n.to_le_bytes()[0]; 200 + n as usize * 37 % 3000]).collect();
        let digested = |number: usize| (Sha256::of(&number.to_le_bytes()), texts[number].as_slice());
        let before: Vec<_> = (0..2000).filter(|number| *number != 300).map(digested).collect();
        let after: Vec<_> = (0..2000).map(digested).collect();
        let (before, after) = (groups(&before), groups(&after));
        assert_eq!(after.iter().map(|group| group.len()).sum::<usize>(), 2000);
        let changed = after.iter().filter(|group| !before.contains(group)).count();
        assert!((1..=4).contains(&changed) && after.len() > 20, "{changed} of {}", after.len());
        let bytes = |group: &&[(Sha256, &[u8])]| group.iter().map(|(_, text)| text.len()).sum::<usize>();
        assert!(after[..after.len() - 1].iter().all(|group| bytes(group) >= GROUP_MIN));
        assert!(groups(&[]).is_empty());
    }
}
