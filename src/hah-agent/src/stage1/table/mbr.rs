//! The DOS partition table in sector 0 (UEFI specification 2.10 section 5.2, which describes what everybody does).
//!
//! ```text
//!   0 boot code     440 disk signature, 32 bits     446 four entries of 16 bytes     510 55 aa
//!   entry:  0 active  1 CHS of the start  4 type  5 CHS of the end  8 first sector, 32 bits  12 sectors, 32 bits
//! ```

use hah_node::disk::{DATA, MBR_TYPE_DATA_BEING_MADE, MBR_TYPE_LINUX};

use super::{DataState, Extent, SECTOR, TableError, Write, bytes_at, put};

const SIGNATURE_AT: usize = 440;
const ENTRIES_AT: usize = 446;
const ENTRY: usize = 16;
const TYPE_EMPTY: u8 = 0;
/// The protective entry of a GPT: then the MBR is not the table.
const TYPE_GPT: u8 = 0xee;
/// "Beyond what cylinders, heads and sectors can say": everything reads the 32-bit sectors instead.
const CHS_TOO_FAR: [u8; 3] = [0xfe, 0xff, 0xff];

/// A DOS partition table with four primary entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mbr {
    sector: Vec<u8>,
}

impl Mbr {
    /// Reads sector 0, the first of the bytes.
    pub(super) fn parse(disk: &[u8]) -> Result<Self, TableError> {
        let sector = disk.get(..SECTOR).ok_or(TableError::NoTable("MBR"))?.to_vec();
        if bytes_at(&sector, 510) != Some([0x55, 0xaa]) {
            return Err(TableError::NoTable("MBR"));
        }
        let mbr = Self { sector };
        if (1..=4).any(|number| mbr.kind(number) == TYPE_GPT) {
            return Err(TableError::NoTable("MBR"));
        }
        Ok(mbr)
    }

    /// The disk signature.
    pub(super) fn id(&self) -> u32 {
        u32::from_le_bytes(bytes_at(&self.sector, SIGNATURE_AT).unwrap_or_default())
    }

    fn entry(&self, number: u32) -> [u8; ENTRY] {
        let at = number.checked_sub(1).filter(|index| *index < 4).map(|index| ENTRIES_AT + index as usize * ENTRY);
        at.and_then(|at| bytes_at(&self.sector, at)).unwrap_or_default()
    }

    fn kind(&self, number: u32) -> u8 {
        let [_, _, _, _, kind, ..] = self.entry(number);
        kind
    }

    pub(super) fn extent(&self, number: u32) -> Option<Extent> {
        let entry = self.entry(number);
        let start = u64::from(u32::from_le_bytes(bytes_at(&entry, 8)?));
        let sectors = u64::from(u32::from_le_bytes(bytes_at(&entry, 12)?));
        (self.kind(number) != TYPE_EMPTY && sectors != 0).then_some(Extent { start, sectors })
    }

    pub(super) fn data_state(&self) -> Result<DataState, TableError> {
        match self.kind(DATA) {
            MBR_TYPE_LINUX => Ok(DataState::Made),
            MBR_TYPE_DATA_BEING_MADE => Ok(DataState::BeingMade),
            other => Err(TableError::ForeignData { found: format!("{other:#04x}") }),
        }
    }

    pub(super) fn with_data(&self, data: Extent, state: DataState) -> Result<(Self, Vec<Write>), TableError> {
        let narrow = |sectors: u64| u32::try_from(sectors).map_err(|_| TableError::BadExtent { number: DATA });
        let mut entry = [0; ENTRY];
        put(&mut entry, 1, &CHS_TOO_FAR)?;
        put(
            &mut entry,
            4,
            &[match state {
                DataState::BeingMade => MBR_TYPE_DATA_BEING_MADE,
                DataState::Made => MBR_TYPE_LINUX,
            }],
        )?;
        put(&mut entry, 5, &CHS_TOO_FAR)?;
        put(&mut entry, 8, &narrow(data.start)?.to_le_bytes())?;
        put(&mut entry, 12, &narrow(data.sectors)?.to_le_bytes())?;
        let mut next = self.clone();
        put(&mut next.sector, ENTRIES_AT + (DATA as usize - 1) * ENTRY, &entry)?;
        let writes = vec![Write { offset: 0, bytes: next.sector.clone() }];
        Ok((next, writes))
    }
}
