//! The tables against what others make of them: sfdisk's bytes, the `gpt` crate, sgdisk; and hostile bytes.

use std::io::Cursor;

use super::*;

const ID: u32 = 0x1a2b_3c4d;
const GUID: u128 = 0x1234_5678_9abc_def0_1234_5678_9abc_def0;
/// Sectors of an image with 16 MiB of boot at 8192 and 100 MiB of root behind it, which ends off the alignment.
const ROOT_START: u64 = 8192 + 32_768;
const ROOT_SECTORS: u64 = 204_801;
const IMAGE_SECTORS: u64 = ROOT_START + ROOT_SECTORS;
/// The root's end, aligned to 1 MiB.
const DATA_START: u64 = 247_808;
const MIB: u64 = ALIGN_SECTORS;

/// A disk in memory of which only the ends matter: what the code reads, and what a power cut leaves of its writes.
#[derive(Clone)]
struct Medium {
    head: Vec<u8>,
    tail: Vec<u8>,
    sectors: u64,
}

impl Medium {
    fn bytes(&self) -> DiskBytes<'_> {
        DiskBytes { head: &self.head, tail: &self.tail, sectors: self.sectors }
    }

    /// Does the first `length` bytes of a write.
    fn write_part(&mut self, write: &Write, length: usize) {
        let tail_start = (self.sectors - TAIL_SECTORS as u64) * SECTOR as u64;
        let bytes = &write.bytes[..length];
        if write.offset >= tail_start {
            let at = usize::try_from(write.offset - tail_start).unwrap();
            self.tail[at..at + length].copy_from_slice(bytes);
        } else {
            let at = usize::try_from(write.offset).unwrap();
            self.head[at..at + length].copy_from_slice(bytes);
        }
    }

    fn write(&mut self, writes: &[Write]) {
        for write in writes {
            self.write_part(write, write.bytes.len());
        }
    }
}

/// Sector 0 as `sfdisk` writes it for such an image, put together from the fields in its dump.
fn mbr_medium(sectors: u64) -> Medium {
    let mut head = vec![0; HEAD_SECTORS * SECTOR];
    head[440..444].copy_from_slice(&ID.to_le_bytes());
    let mut entry = |number: usize, kind: u8, start: u64, length: u64| {
        let at = 446 + 16 * (number - 1);
        head[at + 4] = kind;
        head[at + 8..at + 12].copy_from_slice(&u32::try_from(start).unwrap().to_le_bytes());
        head[at + 12..at + 16].copy_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
    };
    entry(1, 0x0c, 8192, 32_768);
    entry(2, 0x83, ROOT_START, ROOT_SECTORS);
    head[510..512].copy_from_slice(&[0x55, 0xaa]);
    Medium { head, tail: vec![0; TAIL_SECTORS * SECTOR], sectors }
}

/// An image written by the `gpt` crate, which the builder uses too, at the start of a disk of `sectors`.
fn gpt_image() -> Vec<u8> {
    let image = IMAGE_SECTORS + TAIL_SECTORS as u64;
    let bytes = usize::try_from(image).unwrap() * SECTOR;
    let mut device = Cursor::new(vec![0_u8; bytes]);
    let protective = ::gpt::mbr::ProtectiveMBR::with_lb_size(u32::try_from(image - 1).unwrap());
    protective.overwrite_lba0(&mut device).unwrap();
    let mut disk = ::gpt::GptConfig::new()
        .writable(true)
        .logical_block_size(::gpt::disk::LogicalBlockSize::Lb512)
        .create_from_device(device, Some(uuid::Uuid::from_u128(GUID)))
        .unwrap();
    let entry = |start: u64, length, kind, name: &str| ::gpt::partition::Partition {
        part_type_guid: kind,
        part_guid: uuid::Uuid::from_u128(start.into()),
        first_lba: start,
        last_lba: start + length - 1,
        flags: 0,
        name: name.to_owned(),
    };
    let mut partitions = std::collections::BTreeMap::new();
    partitions.insert(1, entry(8192, 32_768, ::gpt::partition_types::BASIC, "boot"));
    partitions.insert(2, entry(ROOT_START, ROOT_SECTORS, ::gpt::partition_types::LINUX_FS, "root"));
    disk.update_partitions(partitions).unwrap();
    disk.write().unwrap().into_inner()
}

fn gpt_medium(sectors: u64) -> Medium {
    let head = gpt_image()[..HEAD_SECTORS * SECTOR].to_vec();
    Medium { head, tail: vec![0; TAIL_SECTORS * SECTOR], sectors }
}

#[track_caller]
fn find(medium: &Medium, wanted: DiskId) -> Table {
    Table::find(medium.bytes(), wanted).expect("the table is found")
}

/// An id, and the disk of a number of sectors that has it.
type Case = (DiskId, fn(u64) -> Medium);

const BOTH: [Case; 2] = [(DiskId::Mbr(ID), mbr_medium), (DiskId::Gpt(GUID), gpt_medium)];

#[test]
fn only_the_disk_with_the_id_is_found() {
    for (wanted, medium) in BOTH {
        let medium = medium(1 << 22);
        assert!(Table::find(medium.bytes(), wanted).is_some());
        assert_eq!(Table::find(medium.bytes(), DiskId::Mbr(ID + 1)), None);
        assert_eq!(Table::find(medium.bytes(), DiskId::Gpt(GUID + 1)), None);
    }
    // A GPT's protective MBR is no table, whatever its signature.
    let mut medium = gpt_medium(1 << 22);
    medium.head[440..444].copy_from_slice(&ID.to_le_bytes());
    assert_eq!(Table::find(medium.bytes(), DiskId::Mbr(ID)), None);
}

#[test]
fn a_first_boot_makes_data_and_makes_it_once() {
    let sectors = 64 * 1024 * MIB / 2 + 77;
    for (wanted, medium) in BOTH {
        let mut medium = medium(sectors);
        let table = find(&medium, wanted);
        let DataPlan::Create(data) = table.plan_data(sectors).unwrap() else { panic!("{wanted:?}: not made") };
        assert_eq!(data.start, DATA_START);
        assert!(data.start % ALIGN_SECTORS == 0 && data.sectors % ALIGN_SECTORS == 0);
        assert!(sectors - (data.start + data.sectors) < 2 * MIB, "to the end of the disk");

        let (table, writes) = table.with_data(data, DataState::BeingMade, sectors).unwrap();
        medium.write(&writes);
        assert!(find(&medium, wanted) == table, "{wanted:?}: the table is not what was written");
        assert_eq!(table.plan_data(sectors), Ok(DataPlan::Remake(data)));

        let (table, writes) = table.with_data(data, DataState::Made, sectors).unwrap();
        medium.write(&writes);
        assert!(find(&medium, wanted) == table, "{wanted:?}: the table is not what was written");
        assert_eq!(table.plan_data(sectors), Ok(DataPlan::Keep(data)));
        // The others stay.
        assert_eq!(table.extent(1), Some(Extent { start: 8192, sectors: 32_768 }));
        assert_eq!(table.extent(2), Some(Extent { start: ROOT_START, sectors: ROOT_SECTORS }));

        // The card was copied to a larger one.
        medium.sectors = sectors * 2;
        medium.tail.fill(0);
        let grown = Extent { start: data.start, sectors: data.sectors + sectors - sectors % MIB };
        let DataPlan::Grow { from, to } = table.plan_data(medium.sectors).unwrap() else { panic!("not grown") };
        assert_eq!((from, to.start), (data, grown.start));
        assert!(to.sectors.abs_diff(grown.sectors) <= 2 * MIB);
        let (_, writes) = table.with_data(to, DataState::Made, medium.sectors).unwrap();
        medium.write(&writes);
        assert_eq!(find(&medium, wanted).plan_data(medium.sectors), Ok(DataPlan::Keep(to)));
    }
}

/// Cuts the power at every sector of every write of a change: the next boot finds the state before or the state after.
#[test]
fn a_torn_write_leaves_the_old_state_or_the_new() {
    let sectors = 1 << 22;
    for (wanted, medium) in BOTH {
        let fresh = medium(sectors);
        let table = find(&fresh, wanted);
        let DataPlan::Create(data) = table.plan_data(sectors).unwrap() else { panic!("{wanted:?}: not made") };
        let (making, create) = table.with_data(data, DataState::BeingMade, sectors).unwrap();
        let (_, finish) = making.with_data(data, DataState::Made, sectors).unwrap();
        let mut began = fresh.clone();
        began.write(&create);
        let changes = [
            (&fresh, &create, DataPlan::Create(data), DataPlan::Remake(data)),
            (&began, &finish, DataPlan::Remake(data), DataPlan::Keep(data)),
        ];
        for (before, writes, old, new) in changes {
            for (done, write) in writes.iter().enumerate() {
                for cut in (0..=write.bytes.len()).step_by(SECTOR) {
                    let mut medium = before.clone();
                    medium.write(&writes[..done]);
                    medium.write_part(write, cut);
                    let mut table = find(&medium, wanted);
                    let plan = table.plan_data(sectors).unwrap();
                    assert!(plan == old || plan == new, "{wanted:?}: write {done} cut at {cut}: {plan:?}");
                    // Repairing may be cut as well, and ends with both copies whole and alike.
                    let repair = table.repair(sectors).unwrap();
                    for (repaired, write) in repair.iter().enumerate() {
                        for cut in (0..=write.bytes.len()).step_by(SECTOR) {
                            let mut medium = medium.clone();
                            medium.write(&repair[..repaired]);
                            medium.write_part(write, cut);
                            assert_eq!(find(&medium, wanted).plan_data(sectors), Ok(plan));
                        }
                    }
                    medium.write(&repair);
                    table = find(&medium, wanted);
                    assert!(!table.is_from_backup());
                    assert_eq!(table.plan_data(sectors), Ok(plan));
                }
            }
        }
    }
}

#[test]
fn a_small_disk_is_refused_with_its_room() {
    for (wanted, medium) in BOTH {
        let check = |sectors: u64, free_mib: u64| {
            let medium = medium(sectors);
            let refused = find(&medium, wanted).plan_data(sectors);
            assert_eq!(refused, Err(TableError::NoRoom { free_mib }), "{wanted:?} {sectors}");
        };
        check(IMAGE_SECTORS + 33, 0);
        check(DATA_START + 5 * MIB + 100, 5);
        check(DATA_START + 31 * MIB + 100, 31);
        let sectors = DATA_START + 32 * MIB + 100;
        assert!(matches!(find(&medium(sectors), wanted).plan_data(sectors), Ok(DataPlan::Create(_))));
    }
}

#[test]
fn an_mbr_uses_two_tebibytes_of_a_larger_disk() {
    let sectors = 1 << 34;
    let table = find(&mbr_medium(sectors), DiskId::Mbr(ID));
    let Ok(DataPlan::Create(data)) = table.plan_data(sectors) else { panic!("not made") };
    assert!(data.start + data.sectors <= u64::from(u32::MAX));
    assert!(table.with_data(data, DataState::BeingMade, sectors).is_ok());
}

#[test]
fn somebody_elses_partition_3_is_left_alone() {
    let mut medium = mbr_medium(1 << 22);
    let at = 446 + 32;
    medium.head[at + 4] = 0x07;
    medium.head[at + 8..at + 12].copy_from_slice(&300_000_u32.to_le_bytes());
    medium.head[at + 12..at + 16].copy_from_slice(&300_000_u32.to_le_bytes());
    let plan = find(&medium, DiskId::Mbr(ID)).plan_data(1 << 22);
    assert_eq!(plan, Err(TableError::ForeignData { found: "0x07".to_owned() }));
}

#[test]
fn partitions_off_the_disk_or_over_another_are_refused() {
    let check = |kind: u8, start: u32, length: u32, number: u32| {
        let mut medium = mbr_medium(1 << 22);
        let at = 446 + 32;
        medium.head[at + 4] = kind;
        medium.head[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
        medium.head[at + 12..at + 16].copy_from_slice(&length.to_le_bytes());
        let plan = find(&medium, DiskId::Mbr(ID)).plan_data(1 << 22);
        assert_eq!(plan, Err(TableError::BadExtent { number }), "{kind:#x} {start} {length}");
    };
    for kind in [MBR_LINUX, MBR_MAKING] {
        check(kind, 8192, 100_000, 3);
        check(kind, 300_000, u32::MAX, 3);
        check(kind, u32::MAX, u32::MAX, 3);
    }
    // The card is smaller than its image.
    assert_eq!(
        find(&mbr_medium(100_000), DiskId::Mbr(ID)).plan_data(100_000),
        Err(TableError::BadExtent { number: 2 })
    );
}

const MBR_LINUX: u8 = hah_node::disk::MBR_TYPE_LINUX;
const MBR_MAKING: u8 = hah_node::disk::MBR_TYPE_DATA_BEING_MADE;

/// Every byte of a table changed, and random tables: errors and refusals, no panic and no plan beyond the disk.
#[test]
fn hostile_tables() {
    let sectors = 1 << 22;
    let check = |medium: &Medium| {
        for wanted in [DiskId::Mbr(ID), DiskId::Gpt(GUID)] {
            let Some(table) = Table::find(medium.bytes(), wanted) else { continue };
            let Ok(plan) = table.plan_data(sectors) else { continue };
            let (DataPlan::Create(data)
            | DataPlan::Remake(data)
            | DataPlan::Keep(data)
            | DataPlan::Grow { to: data, .. }) = plan;
            assert!(data.start.checked_add(data.sectors).unwrap() <= sectors, "{plan:?}");
            let root = table.extent(2).unwrap();
            assert!(data.start >= root.start + root.sectors, "{plan:?}");
            table.with_data(data, DataState::BeingMade, sectors).unwrap();
        }
    };
    for (_, medium) in BOTH {
        let good = medium(sectors);
        for at in (440..SECTOR + 92).chain(1024..1408).chain((1408..good.head.len()).step_by(997)) {
            for value in [0x00, 0x7f, 0xff] {
                let mut medium = good.clone();
                medium.head[at] = value;
                check(&medium);
            }
        }
        for length in [0, 1, 511, 512, 513, 1024, 4096, HEAD_SECTORS * SECTOR - 1] {
            let mut medium = good.clone();
            medium.head.truncate(length);
            medium.tail.truncate(length);
            check(&medium);
        }
    }
    // A GPT whose checksums are right and whose numbers are not.
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..200 {
        let mut medium = gpt_medium(sectors);
        for _ in 0..4 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let at = 1024 + usize::try_from(random % 384).unwrap();
            medium.head[at] = random.to_le_bytes()[7];
        }
        gpt::reseal(&mut medium.head);
        check(&medium);
    }
    for sectors in [0, 1, 33, 34, 67] {
        let mut medium = gpt_medium(sectors);
        check(&medium);
        medium.head.fill(0);
        check(&medium);
    }
}

/// The `gpt` crate accepts the whole disk after a first boot, both copies.
#[test]
fn the_gpt_crate_agrees() {
    let mut image = gpt_image();
    let sectors = IMAGE_SECTORS.next_multiple_of(MIB) + 64 * MIB;
    let bytes = usize::try_from(sectors).unwrap() * SECTOR;
    image.resize(bytes, 0);
    let tail = image[bytes - TAIL_SECTORS * SECTOR..].to_vec();
    let medium = Medium { head: image[..HEAD_SECTORS * SECTOR].to_vec(), tail, sectors };
    let table = find(&medium, DiskId::Gpt(GUID));
    let DataPlan::Create(data) = table.plan_data(sectors).unwrap() else { panic!("not made") };
    let (_, writes) = table.with_data(data, DataState::Made, sectors).unwrap();
    for write in writes {
        let at = usize::try_from(write.offset).unwrap();
        image[at..at + write.bytes.len()].copy_from_slice(&write.bytes);
    }
    for damage in [None, Some(SECTOR)] {
        let mut image = image.clone();
        if let Some(at) = damage {
            image[at] = 0;
        }
        let disk = ::gpt::GptConfig::new()
            .logical_block_size(::gpt::disk::LogicalBlockSize::Lb512)
            .only_valid_headers(damage.is_none())
            .open_from_device(Cursor::new(image))
            .unwrap();
        let made = &disk.partitions()[&3];
        assert_eq!((made.first_lba, made.last_lba), (data.start, data.start + data.sectors - 1));
        assert_eq!((made.name.as_str(), &made.part_type_guid), ("data", &::gpt::partition_types::LINUX_FS));
        assert_eq!(disk.partitions()[&2].first_lba, ROOT_START);
        assert!(disk.backup_header().is_ok_and(|header| header.current_lba == sectors - 1));
    }
}
