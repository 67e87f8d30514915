//! Partition tables as sparse disks, read by the builder (`hah_format::disk`) and by stage 1 (the agent's own source).
//!
//! The checksums of both GPTs are made right first. Partitions of a table that is read lie within the disk and apart from
//! each other. What stage 1 writes reads back as what it decided, and it never touches a partition but `data`.

#![no_main]
#![allow(dead_code, unreachable_pub, reason = "stage 1's modules are made for another crate")]

#[path = "../../../src/hah-agent/src/stage1"]
mod stage1 {
    pub(crate) mod table;
}

use hah_format::disk::{HEAD_BYTES, TableId, read, read_head};
use hah_fuzz::sparse::{SECTOR, Sparse};
use hah_node::disk::{BOOT, DATA, DiskId, ROOT};
use stage1::table::{DataPlan, DataState, DiskBytes, HEAD_SECTORS, TAIL_SECTORS, Table, Write};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some(mut disk) = Sparse::parse(input) else { return };
    disk.seal_gpt(1);
    disk.seal_gpt(disk.sectors() - 1);
    let sectors = u64::from(disk.sectors());
    // What `flash` sees of a stream: the same table, where it sees one.
    let head = disk.run(0, disk.sectors().min(HEAD_BYTES as u32 / SECTOR as u32));
    let at_once = read_head(&head, Some(sectors * SECTOR as u64));
    if let Err(error) = &at_once {
        hah_fuzz::says_something(error, error.hint());
    }
    let ids = match read(&mut disk) {
        Ok(found) => {
            if let Ok(at_once) = at_once {
                assert_eq!(at_once.partitions.len(), found.partitions.len());
            }
            let mut end = 0;
            let mut extents: Vec<_> = found.partitions.iter().map(|partition| partition.extent).collect();
            extents.sort_by_key(|extent| extent.start);
            for extent in extents {
                assert!(extent.start >= end && extent.start > 0 && extent.end() <= sectors);
                end = extent.end();
            }
            vec![match found.id {
                TableId::Mbr(id) => DiskId::Mbr(id),
                TableId::Gpt(id) => DiskId::Gpt(id),
            }]
        }
        // Stage 1 takes a whole backup for a torn table.
        Err(error) => {
            hah_fuzz::says_something(&error, error.hint());
            [1, disk.sectors() - 1].map(|number| DiskId::Gpt(guid(&disk.sector(number)))).to_vec()
        }
    };
    for id in ids {
        first_boot(&mut disk, id);
    }
});

/// The disk's GUID in a GPT header: its first three fields are little-endian.
fn guid(header: &[u8; SECTOR]) -> u128 {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    u128::from_be_bytes(order.map(|at| header[56 + at]))
}

fn find(disk: &Sparse, id: DiskId) -> Option<Table> {
    let head = disk.run(0, HEAD_SECTORS as u32);
    let tail = disk.run(disk.sectors().saturating_sub(TAIL_SECTORS as u32), TAIL_SECTORS as u32);
    Table::find(DiskBytes { head: &head, tail: &tail, sectors: disk.sectors().into() }, id)
}

fn write(disk: &mut Sparse, writes: &[Write]) {
    for Write { offset, bytes } in writes {
        assert!(offset + bytes.len() as u64 <= u64::from(disk.sectors()) * SECTOR as u64);
        assert!(offset % SECTOR as u64 == 0 && bytes.len() % SECTOR == 0);
        for (number, sector) in (offset / SECTOR as u64..).zip(bytes.chunks_exact(SECTOR)) {
            disk.put(number as u32, sector.try_into().unwrap_or([0; SECTOR]));
        }
    }
}

fn first_boot(disk: &mut Sparse, id: DiskId) {
    let sectors = u64::from(disk.sectors());
    let Some(table) = find(disk, id) else { return };
    let plan = match table.plan_data(sectors) {
        Ok(plan) => plan,
        Err(error) => return hah_fuzz::says_something(&error, error.hint()),
    };
    let (data, state) = match plan {
        DataPlan::Create(data) | DataPlan::Remake(data) => (data, DataState::BeingMade),
        DataPlan::Keep(data) | DataPlan::Grow { to: data, .. } => (data, DataState::Made),
    };
    assert!(data.sectors > 0 && data.start + data.sectors <= sectors);
    if let Some(root) = table.extent(ROOT) {
        assert!(root.start + root.sectors <= data.start);
    }
    if let Ok(repair) = table.repair(sectors) {
        write(disk, &repair);
    }
    let (next, writes) = match table.with_data(data, state, sectors) {
        Ok(done) => done,
        Err(error) => return hah_fuzz::says_something(&error, error.hint()),
    };
    write(disk, &writes);
    let found = find(disk, id).unwrap();
    assert_eq!(found.extent(DATA), Some(data));
    for number in [BOOT, ROOT] {
        assert_eq!(found.extent(number), table.extent(number));
        assert_eq!(next.extent(number), table.extent(number));
    }
    // Once made, it is kept for ever; until then it is made again.
    match (found.plan_data(sectors), state) {
        (Ok(DataPlan::Remake(again)), DataState::BeingMade) => assert_eq!(again, data),
        (Ok(DataPlan::Keep(again)), DataState::Made) => assert_eq!(again, data),
        (other, _) => panic!("{other:?}"),
    }
}
