//! The master boot record: sector 0.
//!
//! ```text
//! 440  disk signature   446  4 entries of 16 bytes   510  55 AA
//! entry: active, CHS of first sector (3), type, CHS of last (3), first sector (4), sectors (4)
//! ```

use super::{DiskError, Extent};

pub(super) const SIGNATURE: usize = 440;
pub(super) const ENTRIES: usize = 446;
pub(super) const ENTRY: usize = 16;
/// The type that marks a GPT disk.
pub(super) const TYPE_PROTECTIVE: u8 = 0xee;
/// The boot indicator of an active partition.
pub(super) const ACTIVE: u8 = 0x80;

/// A sector 0 with these partitions (place and type); the first is active.
pub(super) fn encode(signature: u32, partitions: &[(Extent, u8)]) -> Result<[u8; 512], DiskError> {
    let mut sector = [0; 512];
    sector[SIGNATURE..SIGNATURE + 4].copy_from_slice(&signature.to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    for (entry, (index, (extent, kind))) in
        sector[ENTRIES..510].chunks_exact_mut(ENTRY).zip(partitions.iter().enumerate())
    {
        let start = u32::try_from(extent.start).map_err(|_| DiskError::TooLarge)?;
        let sectors = u32::try_from(extent.sectors).map_err(|_| DiskError::TooLarge)?;
        entry[0] = if index == 0 { ACTIVE } else { 0 };
        entry[1..4].copy_from_slice(&chs(extent.start));
        entry[4] = *kind;
        entry[5..8].copy_from_slice(&chs(extent.end() - 1));
        entry[8..12].copy_from_slice(&start.to_le_bytes());
        entry[12..16].copy_from_slice(&sectors.to_le_bytes());
    }
    Ok(sector)
}

/// Cylinder, head and sector for the usual 255 heads and 63 sectors a track. Beyond cylinder 1023 it is the
/// last address that can be written, which means "see the LBA fields".
fn chs(sector: u64) -> [u8; 3] {
    let (cylinder, head, number) = (sector / (255 * 63), sector / 63 % 255, sector % 63 + 1);
    if cylinder > 1023 {
        return [254, 0xff, 0xff];
    }
    [head as u8, (cylinder >> 8 << 6) as u8 | number as u8, cylinder as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chs_of_known_sectors() {
        assert_eq!(chs(0), [0, 1, 0]);
        assert_eq!(chs(2048), [32, 33, 0]);
        assert_eq!(chs(8192), [130, 3, 0]);
        assert_eq!(chs(1023 * 255 * 63), [0, 0xc1, 0xff]);
        assert_eq!(chs(1024 * 255 * 63), [254, 0xff, 0xff]);
    }
}
