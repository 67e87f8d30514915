//! Foreign programs judge the small formats: fsck.fat and mtools, sfdisk and sgdisk, cpio, bmaptool.
//!
//! A program that is missing skips its test with a line on stderr, unless `HAH_REQUIRE_ORACLES=1`.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that runs foreign programs on real files"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Output};

use hah_format::bmap::{self, MappedRange};
use hah_format::digest::Sha256;
use hah_format::disk::window::Window;
use hah_format::disk::{self, Extent, Geometry, GptPartition, Identity, Layout, Scheme, Table, TableId};
use hah_format::fat::{self, FatOptions};
use hah_format::path::TreePath;
use hah_format::tree::{Kind, Meta, Node, Owner, Tree};
use hah_format::{cpio, dump};

/// Whether all of `programs` are there.
fn have(programs: &[&str]) -> bool {
    let missing: Vec<&&str> = programs
        .iter()
        .filter(|program| {
            let found =
                Command::new("sh").args(["-c", &format!("PATH=$PATH:/sbin:/usr/sbin command -v {program}")]).output();
            !found.is_ok_and(|output| output.status.success())
        })
        .collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var("HAH_REQUIRE_ORACLES").as_deref() != Ok("1"), "oracles are missing: {missing:?}");
    eprintln!("skipped: {missing:?} not found");
    false
}

fn run(directory: &Path, line: &[&str]) -> Output {
    let path = format!("{}:/sbin:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    Command::new("env")
        .args(["LC_ALL=C.UTF-8", "TZ=UTC", "MTOOLS_SKIP_CHECK=0", &format!("PATH={path}")])
        .args(line)
        .current_dir(directory)
        .output()
        .unwrap()
}

/// Standard output of a program that must succeed.
fn ok(directory: &Path, line: &[&str]) -> String {
    let Output { status, stdout, stderr } = run(directory, line);
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{line:?}: {status}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(length)
    .collect()
}

fn boot_files() -> BTreeMap<TreePath, Vec<u8>> {
    let mut files = BTreeMap::from([
        (path("CONFIG.TXT"), b"arm_64bit=1\nos_prefix=0/\n".to_vec()),
        (path("cmdline.txt"), b"rootwait\n".to_vec()),
        (path("BOOTCODE.BIN"), noise(52_480, 1)),
        (path("start4.elf"), noise(2_256_800, 2)),
        (path("FIXUP4.DAT"), noise(5_448, 3)),
        (path("0/kernel"), noise(13_600_000, 4)),
        (path("0/initramfs"), noise(4_096, 5)),
        (path("0/overlays/README"), b"none".to_vec()),
        (path("empty"), Vec::new()),
        (path("a name with spaces and Ümläuts.text"), noise(511, 6)),
        (path(".hidden"), noise(513, 7)),
        (path("two.dots.txt"), noise(512, 8)),
    ]);
    for board in ["bcm2711-rpi-4-b", "bcm2711-rpi-400", "bcm2711-rpi-cm4-io", "bcm2837-rpi-3-b", "bcm2837-rpi-3-b-plus"]
    {
        files.insert(path(&format!("0/{board}.dtb")), noise(30_000, board.len() as u32));
    }
    for number in 0..300 {
        files.insert(path(&format!("many/file number {number}")), vec![number as u8]);
    }
    files
}

fn fat_options(mib: u64) -> FatOptions {
    FatOptions {
        size_bytes: mib << 20,
        label: "HAH-BOOT".into(),
        volume_id: 0x0bad_cafe,
        epoch: 1_790_000_001,
        sectors_per_cluster: fat::sectors_per_cluster(mib << 20),
        hidden_sectors: 8192,
    }
}

#[test]
fn fsck_and_mtools_agree_on_fat() {
    if !have(&["fsck.fat", "mdir", "mcopy", "mlabel"]) {
        return;
    }
    let files = boot_files();
    for mib in [64, 256, 512] {
        let temporary = tempfile::tempdir().unwrap();
        let at = temporary.path();
        let mut image = File::create_new(at.join("fat")).unwrap();
        image.set_len(mib << 20).unwrap();
        let summary = fat::format_and_fill(&mut image, &fat_options(mib), &files).unwrap();
        let check = ok(at, &["fsck.fat", "-n", "-v", "fat"]);
        assert!(check.contains("FATs, 32 bit entries"), "{check}");
        // fsck.fat counts files, directories and the label.
        let used = format!("{}/{} clusters", summary.used_clusters, summary.total_clusters);
        assert!(check.contains(&used), "{used}\n{check}");
        assert!(!check.contains("Free cluster summary"), "{check}");

        let label = ok(at, &["mlabel", "-s", "-i", "fat", "::"]);
        assert!(label.contains("HAH-BOOT"), "{label}");
        let listing = ok(at, &["mdir", "-i", "fat", "::"]);
        assert!(listing.contains("Volume Serial Number is 0BAD-CAFE"), "{listing}");
        for line in [
            "START4   ELF   2256800 ",
            "TWODOT~1 TXT ",
            "CONFIG   TXT        25 2026-09-21  14:13 \n",
            "CMDLINE  TXT         9 2026-09-21  14:13  cmdline.txt\n",
        ] {
            assert!(listing.contains(line), "{line}\n{listing}");
        }
        assert!(!listing.contains("CONFIG~1") && !listing.contains("START4~1"), "{listing}");

        ok(at, &["mcopy", "-s", "-n", "-i", "fat", "::", "out"]);
        for (path, data) in &files {
            assert!(std::fs::read(at.join("out").join(path.as_str())).unwrap() == *data, "{path}");
        }
    }
}

#[test]
fn full_and_empty_volumes_are_clean() {
    if !have(&["fsck.fat"]) {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let at = temporary.path();
    for (name, bytes) in [("none", 0), ("full", 36_000_000)] {
        let mut image = File::create_new(at.join(name)).unwrap();
        image.set_len(36 << 20).unwrap();
        let files = if bytes == 0 { BTreeMap::new() } else { BTreeMap::from([(path("x/y"), vec![1u8; bytes])]) };
        fat::format_and_fill(&mut image, &fat_options(36), &files).unwrap();
        ok(at, &["fsck.fat", "-n", name]);
    }
}

/// Volumes that mkfs.fat and mcopy make are read: other alignment, numeric tails, NT case flags.
#[test]
fn foreign_fat_is_read() {
    if !have(&["mkfs.fat", "mcopy", "mmd"]) {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let at = temporary.path();
    File::create_new(at.join("fat")).unwrap().set_len(64 << 20).unwrap();
    ok(at, &["mkfs.fat", "-F", "32", "-s", "1", "-f", "1", "fat"]);
    ok(at, &["mmd", "-i", "fat", "::overlays"]);
    let content = noise(100_000, 9);
    for name in ["config.txt", "UPPER.TXT", "Mixed Case Name.json"] {
        std::fs::write(at.join(name), &content).unwrap();
        ok(at, &["mcopy", "-i", "fat", name, &format!("::overlays/{name}")]);
    }
    let volume = || File::open(at.join("fat")).unwrap();
    let listed: Vec<String> =
        fat::list(volume()).unwrap().iter().map(|entry| format!("{} {}", entry.path, entry.short_name)).collect();
    assert_eq!(
        listed,
        [
            "/overlays OVERLAYS",
            "/overlays/Mixed Case Name.json MIXEDC~1.JSO",
            "/overlays/UPPER.TXT UPPER.TXT",
            "/overlays/config.txt CONFIG.TXT"
        ]
    );
    for name in ["config.txt", "Upper.txt", "mixed case name.json"] {
        assert!(fat::read_file(volume(), &path(&format!("overlays/{name}"))).unwrap() == content, "{name}");
    }
}

const GEOMETRY: Geometry =
    Geometry { table: Table::Mbr, align_sectors: 2048, boot_start: 8192, boot_bytes: 64 << 20, root_bytes: 12_345_678 };

fn gpt_identity() -> Identity<'static> {
    Identity::Gpt {
        disk: 0x8b1a_2c3d_4e5f_4a6b_9c7d_8e9f_0a1b_2c3d,
        partitions: [
            GptPartition {
                type_guid: "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
                guid: 0x1111_2222_3333_4444_8555_6666_7777_8888,
                name: "boot",
                attributes: 4,
            },
            GptPartition {
                type_guid: "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
                guid: 0x1111_2222_3333_4444_8555_6666_7777_9999,
                name: "root",
                attributes: 0,
            },
        ],
    }
}

/// An image with table and boot partition at `name`.
fn image(at: &Path, geometry: &Geometry, identity: &Identity<'_>) -> Layout {
    let layout = Layout::new(geometry).unwrap();
    let mut image = File::create_new(at.join("img")).unwrap();
    image.set_len(layout.size_bytes()).unwrap();
    for region in disk::encode(&layout, identity).unwrap() {
        image.seek(SeekFrom::Start(region.offset)).unwrap();
        image.write_all(&region.bytes).unwrap();
    }
    let window = Window::new(&mut image, layout.boot.offset_bytes(), layout.boot.length_bytes()).unwrap();
    fat::format_and_fill(window, &fat_options(64), &boot_files()).unwrap();
    layout
}

#[test]
fn sfdisk_agrees_on_mbr() {
    if !have(&["sfdisk", "fsck.fat", "mcopy"]) {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let at = temporary.path();
    let layout = image(at, &GEOMETRY, &Identity::Mbr { signature: 0x5ea1_ab1e, types: [0x0c, 0x83] });
    let Extent { start, sectors } = layout.root;
    let dump = ok(at, &["sfdisk", "-d", "img"]);
    assert!(dump.contains("label: dos\nlabel-id: 0x5ea1ab1e\n"), "{dump}");
    assert!(dump.contains("img1 : start=        8192, size=      131072, type=c, bootable\n"), "{dump}");
    assert!(dump.contains(&format!("img2 : start={start:>12}, size={sectors:>12}, type=83\n")), "{dump}");
    let check = run(at, &["sfdisk", "-V", "img"]);
    let said = String::from_utf8_lossy(&check.stdout).into_owned() + &String::from_utf8_lossy(&check.stderr);
    assert!(check.status.success() && said.contains("No errors detected"), "{said}");
    // The file system is found through the table.
    ok(at, &["mcopy", "-i", "img@@4194304", "::CONFIG.TXT", "config"]);
    assert_eq!(std::fs::read(at.join("config")).unwrap(), boot_files()[&path("CONFIG.TXT")]);
}

#[test]
fn sgdisk_agrees_on_gpt() {
    if !have(&["sgdisk", "sfdisk", "mcopy"]) {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let at = temporary.path();
    let layout = image(at, &Geometry { table: Table::Gpt, ..GEOMETRY }, &gpt_identity());
    let check = ok(at, &["sgdisk", "-v", "img"]);
    assert!(check.contains("No problems found"), "{check}");
    let print = ok(at, &["sgdisk", "-p", "img"]);
    assert!(print.contains("8B1A2C3D-4E5F-4A6B-9C7D-8E9F0A1B2C3D"), "{print}");
    assert!(print.contains("First usable sector is 34"), "{print}");
    assert!(print.contains("Main partition table begins at sector 2"), "{print}");
    let boot = ok(at, &["sgdisk", "-i", "1", "img"]);
    for line in [
        "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
        "11112222-3333-4444-8555-666677778888",
        "First sector: 8192 ",
        "Last sector: 139263 ",
        "Attribute flags: 0000000000000004",
        "Partition name: 'boot'",
    ] {
        assert!(boot.contains(line), "{line}\n{boot}");
    }
    let dump = ok(at, &["sfdisk", "-d", "img"]);
    let Extent { start, sectors } = layout.root;
    let root = format!(
        "img2 : start={start:>12}, size={sectors:>12}, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, \
         uuid=11112222-3333-4444-8555-666677779999, name=\"root\""
    );
    assert!(dump.contains(&root), "{root}\n{dump}");
    ok(at, &["mcopy", "-i", "img@@4194304", "::CONFIG.TXT", "config"]);

    // The data partition has room behind it on a card, and sgdisk moves the backup there.
    File::options().write(true).open(at.join("img")).unwrap().set_len(layout.size_bytes() + (64 << 20)).unwrap();
    ok(at, &["sgdisk", "-e", "-n", "3:0:0", "-c", "3:data", "img"]);
    let table = disk::read(&mut File::open(at.join("img")).unwrap()).unwrap();
    assert_eq!(table.id, TableId::Gpt(0x8b1a_2c3d_4e5f_4a6b_9c7d_8e9f_0a1b_2c3d));
    assert_eq!(table.partitions[1].extent, layout.root);
    assert!(matches!(&table.partitions[2].scheme, Scheme::Gpt { name, .. } if name == "data"));
}

#[test]
fn foreign_mbr_is_read() {
    if !have(&["sfdisk"]) {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let at = temporary.path();
    File::create_new(at.join("img")).unwrap().set_len(64 << 20).unwrap();
    let script = "printf 'label: dos\\nlabel-id: 0x1234\\n1: start=2048,size=8192,type=c,bootable\\n3: start=16384,type=83\\n' | sfdisk -q img";
    ok(at, &["sh", "-c", script]);
    let table = disk::read(&mut File::open(at.join("img")).unwrap()).unwrap();
    assert_eq!(table.id, TableId::Mbr(0x1234));
    let found: Vec<(u32, Extent)> = table.partitions.iter().map(|entry| (entry.number, entry.extent)).collect();
    let extent = |start, sectors| Extent { start, sectors };
    assert_eq!(found, [(1, extent(2048, 8192)), (3, extent(16_384, 114_688))]);
    assert_eq!(table.partitions[0].scheme, Scheme::Mbr { kind: 0x0c, active: true });
}

fn initramfs() -> Tree<Vec<u8>> {
    let mut tree = Tree::new();
    let owned = |mode, user, kind| {
        let meta = Meta { user: Owner::Id(user), group: Owner::Id(user + 1), ..Meta::root(mode) };
        Node { meta, kind }
    };
    for (at, node) in [
        ("init", Node::file(0o755, noise(10_001, 10))),
        ("bin/sh", Node::symlink("../init")),
        ("bin/ping", owned(0o4755, 0, Kind::File(noise(3, 11)))),
        ("bin/a-link", owned(0o4755, 0, Kind::HardLink(path("bin/ping")))),
        ("sbin/ping", owned(0o4755, 0, Kind::HardLink(path("bin/ping")))),
        ("etc/empty", owned(0o600, 1000, Kind::File(Vec::new()))),
        ("tmp", Node::dir(0o1777)),
        ("a name with spaces/ä", Node::file(0o644, noise(2, 12))),
    ] {
        tree.insert(path(at), node).unwrap();
    }
    tree
}

#[test]
fn cpio_lists_the_archive() {
    if !have(&["cpio"]) {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let at = temporary.path();
    let mut tree = initramfs();
    for (name, kind) in
        [("console", Kind::CharDevice(5, 1)), ("mmc", Kind::BlockDevice(179, 259)), ("pipe", Kind::Fifo)]
    {
        tree.insert(path(&format!("dev/{name}")), Node { meta: Meta::root(0o600), kind }).unwrap();
    }
    cpio::write(&tree, 1_500_000_001, File::create_new(at.join("cpio")).unwrap()).unwrap();
    let listing = ok(at, &["cpio", "-itvn", "--quiet", "-I", "cpio"]);
    let lines: Vec<String> =
        listing.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "drwxr-xr-x 8 0 0 0 Jul 14 2017 .",
            "drwxr-xr-x 2 0 0 0 Jul 14 2017 a name with spaces",
            "-rw-r--r-- 1 0 0 2 Jul 14 2017 a name with spaces/ä",
            "drwxr-xr-x 2 0 0 0 Jul 14 2017 bin",
            "-rwsr-xr-x 3 0 1 0 Jul 14 2017 bin/a-link",
            "-rwsr-xr-x 3 0 1 0 Jul 14 2017 bin/ping",
            "lrwxrwxrwx 1 0 0 7 Jul 14 2017 bin/sh -> ../init",
            "drwxr-xr-x 2 0 0 0 Jul 14 2017 dev",
            "crw------- 1 0 0 5, 1 Jul 14 2017 dev/console",
            "brw------- 1 0 0 179, 259 Jul 14 2017 dev/mmc",
            "prw------- 1 0 0 0 Jul 14 2017 dev/pipe",
            "drwxr-xr-x 2 0 0 0 Jul 14 2017 etc",
            "-rw------- 1 1000 1001 0 Jul 14 2017 etc/empty",
            "-rwxr-xr-x 1 0 0 10001 Jul 14 2017 init",
            "drwxr-xr-x 2 0 0 0 Jul 14 2017 sbin",
            "-rwsr-xr-x 3 0 1 3 Jul 14 2017 sbin/ping",
            "drwxrwxrwt 2 0 0 0 Jul 14 2017 tmp",
        ]
    );
}

#[test]
fn cpio_extracts_the_archive() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    if !have(&["cpio"]) {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let at = temporary.path();
    let tree = initramfs();
    cpio::write(&tree, 1_500_000_001, File::create_new(at.join("cpio")).unwrap()).unwrap();
    ok(at, &["sh", "-c", "mkdir out && cd out && cpio -idm --quiet --no-preserve-owner <../cpio"]);
    for (path, node) in tree.iter() {
        let file = at.join("out").join(path.as_str());
        let found = std::fs::symlink_metadata(&file).unwrap();
        // cpio disturbs the time of a directory by filling it, and does not set that of a symbolic link.
        assert!(!found.is_file() || found.mtime() == 1_500_000_001, "{path}");
        match &node.kind {
            Kind::Dir => assert!(found.is_dir(), "{path}"),
            Kind::Symlink(target) => assert_eq!(std::fs::read_link(&file).unwrap().to_str(), Some(&**target)),
            Kind::File(data) => assert!(std::fs::read(&file).unwrap() == *data, "{path}"),
            _ => assert_eq!(std::fs::read(&file).unwrap(), noise(3, 11), "{path}"),
        }
        if node.meta.mode & 0o7000 == 0 && !found.is_symlink() {
            assert_eq!(found.permissions().mode() & 0o7777, u32::from(node.meta.mode), "{path}");
        }
    }
    let inode = |name: &str| std::fs::metadata(at.join("out").join(name)).unwrap().ino();
    assert_eq!(inode("bin/ping"), inode("sbin/ping"));
    assert_eq!(inode("bin/ping"), inode("bin/a-link"));
}

#[test]
fn bmaptool_copies_by_the_map() {
    if !have(&["bmaptool"]) {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let at = temporary.path();
    let mut bytes = vec![0u8; 40 * 4096 + 100];
    bytes[..8192].copy_from_slice(&noise(8192, 13));
    bytes[20 * 4096..][..4096].copy_from_slice(&noise(4096, 14));
    bytes[39 * 4096..].copy_from_slice(&noise(4196, 15));
    std::fs::write(at.join("img"), &bytes).unwrap();
    let size = bytes.len() as u64;
    let ranges = [(0, 1), (20, 20), (39, 40)].map(|(first_block, last_block)| {
        let mut range = MappedRange { first_block, last_block, sha256: Sha256::of(b"") };
        let place = range.bytes(size);
        range.sha256 = Sha256::of(&bytes[place.start as usize..place.end as usize]);
        range
    });
    std::fs::write(at.join("img.bmap"), bmap::write(size, &ranges)).unwrap();
    ok(at, &["bmaptool", "copy", "--bmap", "img.bmap", "img", "card"]);
    assert!(std::fs::read(at.join("card")).unwrap() == bytes);

    bytes[20 * 4096 + 7] ^= 1;
    std::fs::write(at.join("img"), &bytes).unwrap();
    let refused = run(at, &["bmaptool", "copy", "--bmap", "img.bmap", "img", "card"]);
    assert!(!refused.status.success(), "bmaptool does not check what we wrote");

    // A map of bmaptool's own is read, and ours of the same ranges has the same numbers.
    ok(at, &["bmaptool", "create", "-o", "foreign.bmap", "img"]);
    let foreign = bmap::parse(&std::fs::read_to_string(at.join("foreign.bmap")).unwrap()).unwrap();
    assert_eq!(foreign.image_size, size);
    assert!(foreign.mapped_blocks() >= 5);
    for range in &foreign.ranges {
        let place = range.bytes(size);
        assert_eq!(range.sha256, Sha256::of(&bytes[place.start as usize..place.end as usize]));
    }
    assert_eq!(bmap::parse(&bmap::write(size, &foreign.ranges)).unwrap(), foreign);
}

/// A dump says the same of a tree as `find` does of its extraction.
#[test]
fn find_agrees_with_the_dump() {
    if !have(&["cpio", "find"]) {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let at = temporary.path();
    let tree = initramfs();
    cpio::write(&tree, 1, File::create_new(at.join("cpio")).unwrap()).unwrap();
    ok(at, &["sh", "-c", "mkdir out && cd out && cpio -idm --quiet --no-preserve-owner <../cpio"]);
    let found = ok(&at.join("out"), &["sh", "-c", "find . -mindepth 1 -printf '/%P\\n' | LC_ALL=C sort"]);
    let dumped: Vec<String> = dump::text(&tree, dump::Times::Omit, |_, data| dump::Content::of(data))
        .lines()
        .skip(1)
        .filter_map(|line| line.split(' ').next().map(|path| path.replace("\\x20", " ").replace("\\xc3\\xa4", "ä")))
        .collect();
    assert_eq!(found.lines().collect::<Vec<_>>(), dumped);
}
