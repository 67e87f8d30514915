//! The partition table: what is on the disk, and what stage 1 writes to it.
//!
//! Decisions only, on bytes that the caller read; the result is a list of writes for the caller to do, each flushed
//! before the next. The state of the data partition is its type in the table:
//!
//! ```text
//!  no entry 3 ──(write entry)──► being made ──(mke2fs, fill, flush, write type)──► Linux
//!  a fresh image                 mke2fs may run                                    mke2fs never runs
//! ```
//!
//! Each arrow is one write of at most 4 KiB in the disk's first page, so a power cut leaves the state before it or the
//! state after it. On GPT the backup at the end of the disk is written first: should that page be torn all the same,
//! the backup is complete and the next boot repairs the primary from it.

mod mbr;
mod gpt;

use hah_node::disk::{ALIGN_SECTORS, DATA_BYTES_MIN, DiskId, GPT_TAIL_SECTORS};

pub(crate) use gpt::Gpt;
pub(crate) use mbr::Mbr;

/// Bytes in a sector. Images are made for these; disks with 4096-byte sectors are not looked at.
pub(crate) const SECTOR: usize = 512;
/// Sectors from the start of the disk that a table can take: protective MBR, GPT header, 128 entries.
pub(crate) const HEAD_SECTORS: usize = 34;
/// Sectors at the end of the disk that a backup GPT takes.
pub(crate) const TAIL_SECTORS: usize = GPT_TAIL_SECTORS as usize;

/// The smallest data partition that is worth making, in sectors. `flash` refuses a card without room for it.
const DATA_MIN: u64 = DATA_BYTES_MIN / SECTOR as u64;
/// A data partition is grown when at least this many sectors (16 MiB) of the disk lie unused behind it.
const GROW_MIN: u64 = 16 * ALIGN_SECTORS;

/// Why a table cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TableError {
    #[error("the disk has no partition table that is readable as {0}")]
    NoTable(&'static str),
    #[error("the partition table is damaged: {0}")]
    Damaged(&'static str),
    #[error("the partition table has no root partition (number 2)")]
    NoRoot,
    #[error("partition {number} lies outside of the disk or on top of another")]
    BadExtent { number: u32 },
    #[error("the disk is too small: {free_mib} MiB are left behind the root partition, and data needs 32 MiB")]
    NoRoom { free_mib: u64 },
    #[error("partition 3 is of a type that no image uses ({found})")]
    ForeignData { found: String },
}

impl TableError {
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::NoTable(_) | Self::Damaged(_) | Self::NoRoot | Self::BadExtent { .. } => "flash the card again",
            Self::NoRoom { .. } => "use a larger card, or give the disk image more room",
            Self::ForeignData { .. } => "delete partition 3 if nothing on it is needed, or flash the card again",
        }
    }
}

/// A run of sectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// First sector.
    pub(crate) start: u64,
    /// Length in sectors.
    pub(crate) sectors: u64,
}

impl Extent {
    /// The first sector behind it.
    fn end(self) -> Option<u64> {
        self.start.checked_add(self.sectors)
    }

    /// Length in bytes.
    pub(crate) fn bytes(self) -> u64 {
        self.sectors.saturating_mul(SECTOR as u64)
    }
}

/// How far a first boot has come with the data partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataState {
    /// It has begun: whatever is there may be overwritten.
    BeingMade,
    /// It is complete: it holds what the person cannot get back.
    Made,
}

/// What stage 1 does about the data partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataPlan {
    /// Add it to the table, then make its file system.
    Create(Extent),
    /// A first boot was cut short: make its file system.
    Remake(Extent),
    /// Use it as it is.
    Keep(Extent),
    /// Use it, and make it reach the end of the disk, which has grown.
    Grow { from: Extent, to: Extent },
}

/// One write to the disk; it is on the medium before the next one begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    /// Where, in bytes from the start of the disk.
    pub(crate) offset: u64,
    /// What.
    pub(crate) bytes: Vec<u8>,
}

/// What is read of a disk to find its table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DiskBytes<'d> {
    /// The first [`HEAD_SECTORS`].
    pub(crate) head: &'d [u8],
    /// The last [`TAIL_SECTORS`].
    pub(crate) tail: &'d [u8],
    /// Size of the disk.
    pub(crate) sectors: u64,
}

/// A partition table of one of our images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Mbr(Mbr),
    Gpt(Gpt),
}

impl Table {
    /// Reads the table if it is the one that `wanted` names; another disk's table is nothing, not an error.
    pub(crate) fn find(disk: DiskBytes<'_>, wanted: DiskId) -> Option<Self> {
        match wanted {
            DiskId::Mbr(id) => Mbr::parse(disk.head).ok().filter(|mbr| mbr.id() == id).map(Self::Mbr),
            DiskId::Gpt(id) => Gpt::parse(disk).ok().filter(|gpt| gpt.id() == id).map(Self::Gpt),
        }
    }

    /// Whether the kernel saw no partitions because the table in the disk's first sectors is torn.
    pub(crate) fn is_from_backup(&self) -> bool {
        matches!(self, Self::Gpt(gpt) if gpt.is_from_backup())
    }

    /// Partition `number`, from 1, if it is in use.
    pub(crate) fn extent(&self, number: u32) -> Option<Extent> {
        match self {
            Self::Mbr(mbr) => mbr.extent(number),
            Self::Gpt(gpt) => gpt.extent(number),
        }
    }

    /// How the disk is marked.
    fn id(&self) -> DiskId {
        match self {
            Self::Mbr(mbr) => DiskId::Mbr(mbr.id()),
            Self::Gpt(gpt) => DiskId::Gpt(gpt.id()),
        }
    }

    /// Decides what to do about the data partition of a disk of `sectors`.
    pub(crate) fn plan_data(&self, sectors: u64) -> Result<DataPlan, TableError> {
        let root = self.extent(hah_node::disk::ROOT).ok_or(TableError::NoRoot)?;
        let bad = |number| TableError::BadExtent { number };
        let root_end = root.end().filter(|end| *end <= sectors).ok_or(bad(hah_node::disk::ROOT))?;
        let end = self.id().data_end(sectors);
        let Some(data) = self.extent(hah_node::disk::DATA) else {
            let start = root_end.next_multiple_of(ALIGN_SECTORS);
            let free = end.saturating_sub(start);
            if free < DATA_MIN {
                return Err(TableError::NoRoom { free_mib: free / ALIGN_SECTORS });
            }
            return Ok(DataPlan::Create(Extent { start, sectors: free }));
        };
        let state = match self {
            Self::Mbr(mbr) => mbr.data_state(),
            Self::Gpt(gpt) => gpt.data_state(),
        }?;
        let data_end = data.end().filter(|end| *end <= sectors).ok_or(bad(hah_node::disk::DATA))?;
        if data.start < root_end || data.sectors == 0 {
            return Err(bad(hah_node::disk::DATA));
        }
        Ok(match state {
            DataState::BeingMade => DataPlan::Remake(data),
            DataState::Made if end.saturating_sub(data_end) >= GROW_MIN => {
                DataPlan::Grow { from: data, to: Extent { start: data.start, sectors: end - data.start } }
            }
            DataState::Made => DataPlan::Keep(data),
        })
    }

    /// The table with this data partition, and the writes that bring a disk of `sectors` to it.
    pub(crate) fn with_data(
        &self,
        data: Extent,
        state: DataState,
        sectors: u64,
    ) -> Result<(Self, Vec<Write>), TableError> {
        Ok(match self {
            Self::Mbr(mbr) => {
                let (mbr, writes) = mbr.with_data(data, state)?;
                (Self::Mbr(mbr), writes)
            }
            Self::Gpt(gpt) => {
                let (gpt, writes) = gpt.with_data(data, state, sectors)?;
                (Self::Gpt(gpt), writes)
            }
        })
    }

    /// The writes that repair a torn primary table; none when it is whole.
    pub(crate) fn repair(&self, sectors: u64) -> Result<Vec<Write>, TableError> {
        match self {
            Self::Gpt(gpt) if gpt.is_from_backup() => gpt.writes(sectors),
            Self::Gpt(_) | Self::Mbr(_) => Ok(Vec::new()),
        }
    }
}

/// `N` bytes of a table at an offset, or nothing beyond its end.
fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Puts bytes into a table at an offset.
fn put(bytes: &mut [u8], at: usize, value: &[u8]) -> Result<(), TableError> {
    let place = at.checked_add(value.len()).and_then(|end| bytes.get_mut(at..end));
    place.ok_or(TableError::Damaged("it is shorter than a table"))?.copy_from_slice(value);
    Ok(())
}

#[cfg(test)]
mod tests;
