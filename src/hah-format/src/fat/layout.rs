//! Where everything of a volume goes, decided before a byte is written.

use super::{FAT32_CLUSTERS_MAX, FAT32_CLUSTERS_MIN, FatError, FatOptions, SECTOR};

/// Sectors before the first FAT, at least. 32 is what every formatter leaves.
const RESERVED_MIN: u32 = 32;
/// The data area starts at a multiple of this many sectors (4 KiB), so that clusters do not straddle flash pages.
const DATA_ALIGN: u32 = 8;
/// Clusters over the FAT32 minimum that are wanted, because some implementations miscount near it (specification, page 15).
const CLUSTERS_SLACK: u32 = 16;
/// Clusters at the end that stay free: Pi EEPROMs before 2024-01-18 fail to read a file in the very last one.
pub(super) const TAIL_CLUSTERS: u32 = 64;

/// The numbers of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Sectors of the volume.
    pub(super) sectors: u32,
    /// Sectors before the first FAT.
    pub(super) reserved: u32,
    /// Sectors of one of the two FATs.
    pub(super) fat_sectors: u32,
    /// Sectors in a cluster.
    pub(super) cluster_sectors: u32,
    /// Clusters of the data area.
    pub(super) clusters: u32,
}

impl Geometry {
    /// The geometry for `options`, or why there is none.
    pub(super) fn new(options: &FatOptions) -> Result<Self, FatError> {
        let refuse = |reason: String| Err(FatError::Options(reason));
        let size = options.size_bytes;
        let cluster_sectors = u32::from(options.sectors_per_cluster);
        if !matches!(cluster_sectors, 1 | 2 | 4 | 8) {
            return refuse(format!("a cluster of {cluster_sectors} sectors; 1, 2, 4 or 8 are possible"));
        }
        let sectors = match u32::try_from(size / SECTOR) {
            Ok(sectors) if size.is_multiple_of(SECTOR) && sectors > RESERVED_MIN + DATA_ALIGN => sectors,
            _ => return refuse(format!("a partition of {size} bytes cannot be FAT32")),
        };
        // A FAT that covers the whole volume covers the data area too: the few entries too many do not matter.
        let fat_sectors = (sectors / cluster_sectors + 2).div_ceil(128);
        let tables = fat_sectors.saturating_mul(2);
        let data = RESERVED_MIN.saturating_add(tables).next_multiple_of(DATA_ALIGN);
        let clusters = sectors.saturating_sub(data) / cluster_sectors;
        if clusters < FAT32_CLUSTERS_MIN + CLUSTERS_SLACK {
            return refuse(format!(
                "{} MiB with {cluster_sectors} sectors in a cluster make {clusters} clusters, too few for FAT32",
                size >> 20
            ));
        }
        if clusters > FAT32_CLUSTERS_MAX {
            return refuse(format!("{clusters} clusters are too many for FAT32"));
        }
        Ok(Self { sectors, reserved: data - tables, fat_sectors, cluster_sectors, clusters })
    }

    /// Bytes in a cluster.
    pub(super) fn cluster_bytes(&self) -> u64 {
        u64::from(self.cluster_sectors) * SECTOR
    }

    /// Clusters that `bytes` fill.
    pub(super) fn clusters_for(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.cluster_bytes())
    }

    /// Byte offset of FAT number `index` (0 or 1).
    pub(super) fn fat_offset(&self, index: u32) -> u64 {
        u64::from(self.reserved + index * self.fat_sectors) * SECTOR
    }

    /// Byte offset of the data area.
    pub(super) fn data_offset(&self) -> u64 {
        self.fat_offset(2)
    }

    /// Byte offset of a cluster (from 2).
    pub(super) fn cluster_offset(&self, cluster: u32) -> u64 {
        self.data_offset() + u64::from(cluster - super::FIRST_CLUSTER) * self.cluster_bytes()
    }
}

/// A record's date and time fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DosTime {
    /// Year from 1980 (7 bits), month (4), day (5).
    pub(super) date: u16,
    /// Hour (5), minute (6), second halved (5).
    pub(super) time: u16,
    /// The odd second, in hundredths: 0 or 100.
    pub(super) hundredths: u8,
}

/// 1980-01-01 in seconds since 1970.
const DOS_EPOCH: u32 = 315_532_800;

impl DosTime {
    /// From seconds since 1970, UTC. `u32` ends in 2106, before FAT does (2107).
    pub(super) fn from_unix(seconds: u32) -> Self {
        let since = seconds.saturating_sub(DOS_EPOCH);
        let (mut days, second) = (since / 86_400, since % 86_400);
        let leap = |year: u32| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let mut year = 1980;
        loop {
            let length = 365 + u32::from(leap(year));
            if days < length {
                break;
            }
            days -= length;
            year += 1;
        }
        let mut month = 1;
        for length in [31, 28 + u32::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if days < length {
                break;
            }
            days -= length;
            month += 1;
        }
        Self {
            date: ((year - 1980) << 9 | month << 5 | (days + 1)) as u16,
            time: ((second / 3600) << 11 | (second / 60 % 60) << 5 | (second % 60 / 2)) as u16,
            hundredths: (second % 2 * 100) as u8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(mib: u64, sectors_per_cluster: u8) -> FatOptions {
        FatOptions {
            size_bytes: mib << 20,
            label: "HAH-BOOT".into(),
            volume_id: 1,
            epoch: 0,
            sectors_per_cluster,
            hidden_sectors: 8192,
        }
    }

    #[test]
    fn sizes_are_genuine_fat32() {
        for mib in [36, 64, 100, 128, 143, 144, 256, 512, 4096] {
            let options = options(mib, super::super::sectors_per_cluster(mib << 20));
            let geometry = Geometry::new(&options).unwrap();
            assert!(geometry.clusters >= 65_541, "{mib}: {geometry:?}");
            assert_eq!(geometry.data_offset() % 4096, 0);
            assert!(geometry.reserved >= 32);
            let end = geometry.cluster_offset(geometry.clusters + 2);
            assert!(end <= mib << 20, "{mib}: {geometry:?}");
            assert!(u64::from(geometry.fat_sectors) * 128 >= u64::from(geometry.clusters) + 2);
        }
    }

    #[test]
    fn others_are_refused() {
        for (mib, cluster) in [(32, 1), (128, 4), (0, 1), (512, 3), (512, 0), (512, 16), (u64::MAX >> 20, 8)] {
            assert!(matches!(Geometry::new(&options(mib, cluster)), Err(FatError::Options(_))), "{mib} {cluster}");
        }
        assert!(Geometry::new(&FatOptions { size_bytes: (64 << 20) + 1, ..options(64, 1) }).is_err());
    }

    #[test]
    fn dates() {
        let dos = |seconds| {
            let DosTime { date, time, hundredths } = DosTime::from_unix(seconds);
            (1980 + (date >> 9), date >> 5 & 15, date & 31, time >> 11, time >> 5 & 63, (time & 31) * 2, hundredths)
        };
        assert_eq!(dos(0), (1980, 1, 1, 0, 0, 0, 0));
        assert_eq!(dos(951_782_400), (2000, 2, 29, 0, 0, 0, 0));
        assert_eq!(dos(1_790_000_001), (2026, 9, 21, 14, 13, 20, 100));
        assert_eq!(dos(u32::MAX), (2106, 2, 7, 6, 28, 14, 100));
    }
}
