//! What a card was before, which nobody may find afterwards: judged by wipefs, blkid and sgdisk.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{ROOM, built, flash, old_card, size};
use crate::archive::project::{BOARD, Toy};
use crate::build::judge;
use crate::oracles::is_missing;

/// A toy whose image has a partition table of this kind.
fn built_with(table: &str) -> Toy {
    let toy = Toy::new();
    toy.write("project/recipes/boards/toy.toml", BOARD.replace("default = \"gpt\"", &format!("default = \"{table}\"")));
    toy.build();
    toy
}

fn card(toy: &Toy, name: &str) -> PathBuf {
    let card = toy.path(name);
    old_card(&card, size(&toy.image()) + ROOM, 0);
    card
}

/// The kinds of all that wipefs finds, each once, in the order of their names.
fn signatures(card: &Path) -> Vec<String> {
    let list = judge(Command::new("wipefs").args(["--no-act", "--parsable", "--output", "TYPE"]).arg(card));
    let mut kinds: Vec<String> = list.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

#[track_caller]
fn assert_only_the_image(card: &Path, table: &str, what: &str) {
    let wanted: &[&str] = if table == "mbr" { &["dos"] } else { &["PMBR", "gpt"] };
    assert_eq!(signatures(card), wanted, "after {what}");
    let found = judge(Command::new("blkid").args(["--probe", "--output", "value", "--match-tag", "PTTYPE"]).arg(card));
    assert_eq!(found.trim(), if table == "mbr" { "dos" } else { "gpt" }, "after {what}");
}

#[test]
fn an_mbr_image_over_a_former_gpt_card() {
    if ["sgdisk", "wipefs", "blkid"].into_iter().any(is_missing) {
        return;
    }
    let toy = built_with("mbr");
    // A file, and a file with a length of which no page has the last sector.
    for extra in [0, 512] {
        let card = card(&toy, "card");
        File::options().write(true).open(&card).unwrap().set_len(size(&card) + extra).unwrap();
        judge(Command::new("sgdisk").args(["--clear", "--new=1:2048:+20M"]).arg(&card));
        assert_eq!(signatures(&card), ["PMBR", "gpt"]);
        flash(&toy, &card, &[]).succeeded();
        assert_only_the_image(&card, "mbr", "a GPT");
        let shown = judge(Command::new("sgdisk").arg("--print").arg(&card));
        let said =
            Command::new("sgdisk").arg("--verify").arg(&card).env("PATH", crate::oracles::path()).output().unwrap();
        let said = format!("{shown}{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        assert!(!said.contains("GPT: damaged") && !said.contains("backup"), "{said}");
        assert!(said.contains("invalid GPT and valid MBR"), "{said}");
    }
}

/// Signatures as their programs write them, at the places where they look: offset from the start, or from the end.
fn former() -> Vec<(&'static str, i64, Vec<u8>)> {
    let luks2 = |at: u64| {
        let mut header = b"SKUL\xba\xbe\0\x02".to_vec();
        header.resize(256, 0);
        header.extend(at.to_be_bytes());
        header
    };
    let mut raid = 0xa92b_4efc_u32.to_le_bytes().to_vec();
    raid.extend([1, 0, 0, 0]);
    raid.resize(256, 0);
    // Uberblocks of a pool, sixteen of a label's.
    let mut pool = Vec::new();
    for _ in 0..16 {
        pool.extend([0x00ba_b10c_u64.to_le_bytes(), 5000_u64.to_le_bytes()].concat());
        pool.resize(pool.len().next_multiple_of(1024), 0);
    }
    vec![
        ("crypto_LUKS", 0, b"LUKS\xba\xbe\0\x01".to_vec()),
        ("crypto_LUKS", 0x4000, luks2(0x4000)),
        ("linux_raid_member", 0, raid),
        ("zfs_member", 128 << 10, pool.clone()),
        ("zfs_member", -(128 << 10), pool),
        ("iso9660", 0x8000, b"\x01CD001\x01".to_vec()),
        ("hpt37x_raid_member", 9 * 512 + 32, 0x5a78_16f0_u32.to_le_bytes().to_vec()),
        ("isw_raid_member", -1024, b"Intel Raid ISM Cfg Sig. 1.0.00".to_vec()),
        ("jmicron_raid_member", -512, b"JM".to_vec()),
        ("ddf_raid_member", -512, 0xde11_de11_u32.to_be_bytes().to_vec()),
        ("drbd", -4096 + 60, 0x8374_026b_u32.to_be_bytes().to_vec()),
    ]
}

#[test]
fn what_a_card_was_is_not_found_any_more() {
    if ["wipefs", "blkid"].into_iter().any(is_missing) {
        return;
    }
    for table in ["mbr", "gpt"] {
        let toy = built_with(table);
        for (kind, offset, bytes) in former() {
            let card = card(&toy, "card");
            let start = if offset < 0 { size(&card).checked_add_signed(offset).unwrap() } else { offset as u64 };
            let file = File::options().write(true).open(&card).unwrap();
            file.write_all_at(&bytes, start).unwrap();
            assert_eq!(signatures(&card), [kind], "what this test writes is what the judge knows");
            flash(&toy, &card, &[]).succeeded();
            assert_only_the_image(&card, table, kind);
        }
    }
}

#[test]
fn file_systems_of_a_whole_card_are_not_found_any_more() {
    let programs: [(&str, &[&str], &str); 3] =
        [("mkfs.ext4", &["-q", "-F"], "ext4"), ("mkfs.btrfs", &["-q", "-f"], "btrfs"), ("mkswap", &[], "swap")];
    if is_missing("wipefs") || programs.iter().any(|(program, ..)| is_missing(program)) {
        return;
    }
    let toy = built_with("mbr");
    for (program, args, kind) in programs {
        let card = card(&toy, "card");
        judge(Command::new(program).args(args).arg(&card));
        assert_eq!(signatures(&card), [kind]);
        flash(&toy, &card, &[]).succeeded();
        assert_only_the_image(&card, "mbr", kind);
    }
}

/// A file that flash makes has nothing in it, and keeps its holes.
#[test]
fn a_new_file_keeps_its_holes() {
    use std::os::unix::fs::MetadataExt as _;
    let toy = built();
    let (short, long) = (toy.path("short.img"), toy.path("long.img"));
    flash(&toy, &short, &[]).succeeded();
    flash(&toy, &long, &["--size", "4 GiB"]).succeeded();
    let blocks = |path: &Path| std::fs::metadata(path).unwrap().blocks();
    assert!(blocks(&long) < blocks(&short) + 100, "{} and {}", blocks(&long), blocks(&short));
}
