//! Flashing: bytes, refusals, identities; onto files, and as root onto loop devices.

mod strangers;
mod devices;
mod wiped;
mod faults;
mod secrets;
mod fleet;

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use hah_format::bmap::{self, BLOCK};

use crate::archive::project::{Run, Toy, digest};
use crate::build::{judge, partition};
use crate::oracles::is_missing;

/// A toy whose image is built.
fn built() -> Toy {
    let toy = Toy::new();
    toy.build();
    toy
}

/// Flashes the toy's image without asking.
fn flash(toy: &Toy, card: &Path, more: &[&str]) -> Run {
    Run::of(toy.command(&["flash", "toy"]).arg(card).arg("--yes").args(more))
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

/// What a card has besides the image here, in bytes: room for a node's data, and a bit that is in no end of the card.
const ROOM: u64 = 40 << 20;
/// How much of each end of a card is wiped, in bytes.
const END: u64 = 4 << 20;

/// That a card holds the image's mapped blocks, zeros in the rest of both ends, and `before` everywhere else.
fn check_bytes(image: &Path, card: &Path, before: u8) {
    let map = bmap::parse(&std::fs::read_to_string(image.with_extension("bmap")).unwrap()).unwrap();
    let (image, card, length) = (File::open(image).unwrap(), File::open(card).unwrap(), size(card));
    let (mut wanted, mut found) = (vec![0; BLOCK as usize], vec![0; BLOCK as usize]);
    let mut ranges = map.ranges.iter().peekable();
    for block in 0..length.div_ceil(BLOCK) {
        while ranges.peek().is_some_and(|range| range.last_block < block) {
            ranges.next();
        }
        let end = (length - block * BLOCK).min(BLOCK) as usize;
        card.read_exact_at(&mut found[..end], block * BLOCK).unwrap();
        if ranges.peek().is_some_and(|range| range.first_block <= block) {
            let end = (map.image_size - block * BLOCK).min(BLOCK) as usize;
            image.read_exact_at(&mut wanted[..end], block * BLOCK).unwrap();
            assert!(found[..end] == wanted[..end], "block {block} is not the image's");
        } else {
            let at = block * BLOCK;
            let is_wiped = at < END || at >= (length - END) / BLOCK * BLOCK;
            let wanted = if is_wiped { 0 } else { before };
            assert!(found[..end].iter().all(|byte| *byte == wanted), "block {block} is not {wanted:#x}");
        }
    }
}

/// A file of `length` bytes, all the same.
fn old_card(path: &Path, length: u64, byte: u8) {
    let piece = vec![byte; 1 << 20];
    let file = File::create(path).unwrap();
    let mut at = 0;
    while at < length {
        let wanted = (length - at).min(piece.len() as u64) as usize;
        file.write_all_at(&piece[..wanted], at).unwrap();
        at += wanted as u64;
    }
}

/// Sectors in which two files of the same size differ.
fn different_sectors(one: &Path, other: &Path) -> Vec<u64> {
    let (one, other, length) = (File::open(one).unwrap(), File::open(other).unwrap(), size(one));
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut different = Vec::new();
    let mut at = 0;
    while at < length {
        let wanted = (length - at).min(a.len() as u64) as usize;
        one.read_exact_at(&mut a[..wanted], at).unwrap();
        other.read_exact_at(&mut b[..wanted], at).unwrap();
        if a[..wanted] != b[..wanted] {
            let pairs = a[..wanted].chunks(512).zip(b[..wanted].chunks(512));
            different.extend((at / 512..).zip(pairs).filter(|(_, (a, b))| a != b).map(|(sector, _)| sector));
        }
        at += wanted as u64;
    }
    different
}

const NODE: &str = r#"{
  "version": 1,
  "hostname": "pi4-a",
  "ssh": {"authorized_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI me@here"]},
  "consul": {"retry_join": ["192.168.1.10"], "encrypt": "Q0FOQVJZQ0FOQVJZQ0FOQVJZQ0FOQVJZQ0FOQVJZISE="}
}"#;

#[test]
fn a_file_gets_the_mapped_blocks() {
    let toy = built();
    let card = toy.path("card");
    old_card(&card, size(&toy.image()) + ROOM, 0xa5);
    let run = flash(&toy, &card, &[]).succeeded();
    assert!(run.stderr.contains("Wrote") && run.stderr.contains("Verified"), "{run}");
    check_bytes(&toy.image(), &card, 0xa5);
    // A file that flash makes is as large as it is told, and has holes.
    let fresh = toy.path("fresh.img");
    flash(&toy, &fresh, &["--size", "512 MiB"]).succeeded();
    check_bytes(&toy.image(), &fresh, 0);
    assert_eq!(size(&fresh), 512 << 20);
    let plain = toy.path("plain.img");
    flash(&toy, &plain, &["--no-verify"]).succeeded();
    check_bytes(&toy.image(), &plain, 0);
}

/// Stage 1 makes a data partition of at least 32 MiB behind the image, or the node does not boot.
#[test]
fn a_card_without_room_for_a_node_s_data_is_refused_before_writing() {
    let toy = built();
    let image = size(&toy.image());
    for (more, says) in [(0, "the image fits"), (31 << 20, "the image fits"), (-512, "the image needs")] {
        let card = toy.path("card");
        old_card(&card, image.checked_add_signed(more).unwrap(), 0xa5);
        let before = digest(&card);
        flash(&toy, &card, &[]).failed(1, &["is too small", says]);
        assert_eq!(digest(&card), before);
    }
    let exact = toy.path("exact.img");
    let refused = flash(&toy, &exact, &["--size", &image.to_string()]);
    let refused = refused.failed(1, &["needs 32.0 MiB for its data", "say --size"]);
    assert!(!exact.exists());
    // What it says is enough, and not more than that; and what flash makes unasked is as large.
    let (_, least) = refused.stderr.split_once("say --size '").unwrap();
    let (least, _) = least.split_once('\'').unwrap();
    flash(&toy, &exact, &["--size", least]).succeeded();
    let unasked = toy.path("unasked.img");
    flash(&toy, &unasked, &[]).succeeded();
    assert_eq!(size(&unasked), size(&exact));
    flash(&toy, &unasked, &[]).succeeded();
    let smaller = size(&exact) - (1 << 20);
    flash(&toy, &toy.path("smaller.img"), &["--size", &smaller.to_string()]).failed(1, &["is too small"]);
}

#[test]
fn sizes_have_units_up_to_eib() {
    let toy = built();
    let card = toy.path("card.img");
    for (text, bytes) in [("512M", 512u64 << 20), ("1G", 1 << 30), ("2TiB", 2 << 40)] {
        flash(&toy, &card, &["--size", text, "--no-verify"]).succeeded();
        assert_eq!(size(&card), bytes, "{text}");
        std::fs::remove_file(&card).unwrap();
    }
    flash(&toy, &card, &["--size", "8 EiB"]).failed(2, &["`8 EiB` is too large"]);
    flash(&toy, &card, &["--size", "1 GB"]).failed(2, &["`1 GB` is not a size", "TiB, PiB or EiB"]);
    flash(&toy, &card, &["--max-size", "99999 EiB"]).failed(2, &["is too large"]);
}

#[test]
fn packed_images_are_streams() {
    if is_missing("xz") || is_missing("gzip") || is_missing("zstd") {
        return;
    }
    let toy = built();
    for (program, extension) in [("zstd", "zst"), ("xz", "xz"), ("gzip", "gz")] {
        let packed = toy.path(&format!("project/out/toy.img.{extension}"));
        let pipe = format!("{program} -1 -c {} > {}", toy.image().display(), packed.display());
        judge(Command::new("sh").args(["-c", &pipe]));
        for map in ["with", "without"] {
            let card = toy.path(&format!("{extension}-{map}.img"));
            let mut command = toy.command(&["flash"]);
            command.arg(&packed).arg(&card).arg("--yes").args((map == "without").then_some("--no-bmap"));
            Run::of(&mut command).succeeded();
            check_bytes(&toy.image(), &card, 0);
        }
    }
}

#[test]
fn events_for_scripts() {
    let toy = built();
    let card = toy.path("card.img");
    let run = flash(&toy, &card, &["--json"]).succeeded();
    let events: Vec<serde_json::Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let result = events.last().unwrap();
    assert_eq!(
        (&result["event"], &result["verified"], &result["node"]),
        (&"result".into(), &true.into(), &serde_json::Value::Null)
    );
    assert_eq!(result["written"].as_u64().unwrap() + result["skipped"].as_u64().unwrap(), size(&toy.image()));
    for (event, step) in [("started", "Writing"), ("finished", "Writing"), ("finished", "Verifying")] {
        assert!(events.iter().any(|found| found["event"] == event && found["step"] == step), "{event} {step}");
    }
}

#[test]
fn nothing_is_erased_by_mistake() {
    let toy = built();
    let image = toy.image();
    let card = toy.path("card");
    old_card(&card, size(&image) + ROOM, 0xa5);
    let before = digest(&card);
    let run = |args: &[&str]| toy.run(&[&["flash"], args].concat());
    run(&["toy"]).failed(2, &["no device was given"]);
    run(&["toy", "/dev/no-such-disk"]).failed(2, &["there is no /dev/no-such-disk"]);
    run(&["toy", "sdx", "--yes"]).failed(2, &["there is no sdx", "call it NAME.img or say --size"]);
    run(&["toy", "/dev/null", "--yes"]).failed(2, &["/dev/null is no disk and no file"]);
    run(&["toy", toy.root().to_str().unwrap(), "--yes"]).failed(2, &["is no disk and no file"]);
    run(&["toy", card.to_str().unwrap()]).failed(2, &["this would erase", "--yes"]);
    run(&["toy", image.to_str().unwrap(), "--yes"]).failed(2, &["are the same file"]);
    run(&["nothing", "x.img", "--yes"]).failed(1, &["there is no", "hah-image build nothing"]);
    run(&["no/such.img", "x.img", "--yes"]).failed(1, &["there is no no/such.img"]);
    run(&["toy", "x.img", "--yes", "--size", "1 MiB"]).failed(1, &["--size is smaller than the image"]);
    run(&["toy", "x.img", "--yes", "--size", "1 potato"]).code.into_iter().for_each(|code| assert_eq!(code, 2));
    toy.write("node.json", r#"{"version": 1, "hostnam": "x"}"#);
    run(&["toy", card.to_str().unwrap(), "--yes", "--identity", "../node.json"])
        .failed(1, &["unknown field `hostnam`"]);
    assert_eq!(digest(&card), before);
    assert!(!toy.path("project/x.img").exists());

    // One sector too few.
    let small = toy.path("small");
    old_card(&small, size(&image) - 512, 0xa5);
    let before = digest(&small);
    flash(&toy, &small, &[]).failed(1, &["is too small"]);
    assert_eq!(digest(&small), before);
}

#[test]
fn two_files_at_once_and_one_file_once() {
    let toy = built();
    let cards = [toy.path("one"), toy.path("two")];
    let running = cards.each_ref().map(|card| {
        old_card(card, size(&toy.image()) + ROOM, 0xa5);
        let mut command = toy.command(&["flash", "toy", "--yes"]);
        command.arg(card).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    for child in running {
        Run::from(child.wait_with_output().unwrap()).succeeded();
    }
    for card in &cards {
        check_bytes(&toy.image(), card, 0xa5);
    }
    // What another flash holds.
    let held = File::open(&cards[0]).unwrap();
    held.lock().unwrap();
    let before = digest(&cards[0]);
    flash(&toy, &cards[0], &[]).failed(1, &["is in use", "another flash"]);
    assert_eq!(digest(&cards[0]), before);
    drop(held);
    flash(&toy, &cards[0], &[]).succeeded();
}

#[test]
fn a_damaged_image_leaves_a_card_that_does_not_boot() {
    let toy = built();
    let file = File::options().write(true).open(toy.image()).unwrap();
    file.write_all_at(b"damage", 8192 * 512 + 700).unwrap();
    let card = toy.path("card.img");
    flash(&toy, &card, &[]).failed(102, &["the image is damaged", "does not boot"]);
    let mut first = [0xff; 4096];
    File::open(&card).unwrap().read_exact_at(&mut first, 0).unwrap();
    assert!(first.iter().all(|byte| *byte == 0));
}

/// Sectors of a card that hold its identity, by mtools and the FAT's own boot sector: the file and its chain in both
/// copies of the FAT, the count of free clusters, the records of the directory, and the label in its three places.
fn identity_sectors(card: &Path, boot: &Path) -> BTreeSet<u64> {
    partition(card, "boot", boot);
    let volume = std::fs::read(boot).unwrap();
    let u16_at = |at: usize| u64::from(u16::from_le_bytes([volume[at], volume[at + 1]]));
    let u32_at = |at: usize| u16_at(at) | u16_at(at + 2) << 16;
    let (per_cluster, fat, fat_sectors, root) = (u64::from(volume[13]), u16_at(14), u32_at(36), u32_at(44));
    let data = fat + u64::from(volume[16]) * fat_sectors;
    let of_cluster = |cluster: u64| data + (cluster - 2) * per_cluster..data + (cluster - 1) * per_cluster;
    // `::/hah/node.json <70>` or `<70-73>`.
    let chain = |path: &str| -> Vec<u64> {
        let text = judge(Command::new("mshowfat").arg("-i").arg(boot).arg(path));
        let runs = text.split('<').skip(1).map(|run| run.split('>').next().unwrap());
        runs.flat_map(|run| {
            let (first, last) = run.split_once('-').unwrap_or((run, run));
            first.parse::<u64>().unwrap()..=last.parse::<u64>().unwrap()
        })
        .collect()
    };
    let mut sectors: BTreeSet<u64> = [0, 1, u16_at(50), of_cluster(root).start].into();
    for cluster in chain("::/hah/node.json") {
        sectors.extend(of_cluster(cluster));
        sectors.extend([fat + cluster * 4 / 512, fat + fat_sectors + cluster * 4 / 512]);
    }
    sectors.extend(chain("::/hah").into_iter().flat_map(of_cluster));
    sectors.into_iter().map(|sector| sector + BOOT_START).collect()
}

/// Where the boot partition is, in sectors.
const BOOT_START: u64 = 8192;

#[test]
fn an_identity_goes_into_the_fat_and_nowhere_else() {
    if ["fsck.fat", "mdir", "mlabel", "mshowfat", "mtype", "sfdisk"].into_iter().any(is_missing) {
        return;
    }
    let toy = built();
    let image = digest(&toy.image());
    toy.write("a.node.json", NODE);
    // Longer, so that it has another chain.
    let note = format!("\"kitchen-node-1\", \"nomad\": {{\"meta\": {{\"note\": \"{}\"}}}}", "x".repeat(3000));
    toy.write("b.node.json", NODE.replace("\"pi4-a\"", &note).replace("192.168.1.10", "192.168.1.11"));
    let card = |name: &str, more: &[&str]| {
        let card = toy.path(&format!("{name}.img"));
        flash(&toy, &card, more).succeeded();
        // What says where the partitions are, as beside every image.
        std::fs::copy(toy.image().with_extension("json"), card.with_extension("json")).unwrap();
        card
    };
    let none = card("none", &[]);
    let a = card("a", &["--identity", "../a.node.json"]);
    let b = card("b", &["--identity", "../b.node.json"]);
    let boot = toy.path("boot.fat");
    for (card, hostname, label) in [(&a, "pi4-a", "PI4-A"), (&b, "kitchen-node-1", "KITCH~ODE-1")] {
        partition(card, "boot", &boot);
        judge(Command::new("fsck.fat").arg("-n").arg(&boot));
        let text = judge(Command::new("mtype").arg("-i").arg(&boot).arg("::/hah/node.json"));
        let identity: hah_node::identity::Identity = serde_json::from_str(&text).unwrap();
        assert_eq!(identity.hostname.as_deref(), Some(hostname));
        assert!(judge(Command::new("mdir").args(["-b", "-i"]).arg(&boot).arg("::/hah")).contains("README.txt"));
        let shown = judge(Command::new("mlabel").args(["-s", "-i"]).arg(&boot).arg("::"));
        assert!(shown.contains(label), "{shown}");
    }
    // Two nodes' cards differ in the sectors that hold the identity, and there only; likewise a card with and without one.
    let (of_a, of_b) = (identity_sectors(&a, &boot), identity_sectors(&b, &boot));
    assert!(of_b.len() > of_a.len(), "the longer one has more clusters");
    for (what, one, other, allowed) in
        [("a and none", &a, &none, of_a.clone()), ("a and b", &a, &b, of_a.union(&of_b).copied().collect())]
    {
        let different: BTreeSet<u64> = different_sectors(one, other).into_iter().collect();
        let elsewhere: Vec<_> = different.difference(&allowed).collect();
        assert!(different.len() > 4 && elsewhere.is_empty(), "{what}: sectors {elsewhere:?} differ too");
    }
    assert_eq!(digest(&toy.image()), image, "the image stays free of secrets");
    partition(&none, "boot", &boot);
    assert!(!judge(Command::new("mdir").args(["-b", "-i"]).arg(&boot).arg("::/hah")).contains("node.json"));
}
