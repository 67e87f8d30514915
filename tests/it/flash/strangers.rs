//! What is not ours: images of others, archives, and what is no disk at all. Nothing of it costs a card its contents.

use std::path::Path;
use std::process::Command;

use super::{NODE, ROOM, built, check_bytes, digest, old_card, size};
use crate::archive::project::{Run, Toy};
use crate::build::judge;
use crate::oracles::is_missing;

/// A stranger's disk of 16 MiB: a table with one partition, and something in it.
fn stranger(toy: &Toy, name: &str) -> std::path::PathBuf {
    let path = toy.path(name);
    let mut disk: Vec<u8> = (0..16u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    disk[..1 << 20].fill(0);
    // Active, FAT32, from the first MiB to the end.
    disk[446..462].copy_from_slice(&[0x80, 0, 0, 0, 0x0c, 0, 0, 0, 0, 8, 0, 0, 0, 0x78, 0, 0]);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(&path, disk).unwrap();
    path
}

fn run(toy: &Toy, image: &Path, card: &Path, more: &[&str]) -> Run {
    let mut command = toy.command(&["flash"]);
    Run::of(command.arg(image).arg(card).arg("--yes").args(more))
}

#[test]
fn a_foreign_image_is_flashed_only_when_said_so() {
    let toy = Toy::new();
    let image = stranger(&toy, "foreign.img");
    let card = toy.path("card.img");
    run(&toy, &image, &card, &[]).failed(1, &["is not an image that hah-image has built", "--foreign"]);
    assert!(!card.exists());
    run(&toy, &image, &card, &["--foreign"]).succeeded();
    assert_eq!(digest(&card), digest(&image), "as it is, and no larger");
    // A card of just its size is fine for it: it has no data partition of ours.
    run(&toy, &image, &card, &["--foreign"]).succeeded();
}

#[test]
fn a_foreign_image_takes_no_identity() {
    let toy = Toy::new();
    toy.write("a.json", NODE);
    let image = stranger(&toy, "foreign.img");
    let card = toy.path("card.img");
    let refused = run(&toy, &image, &card, &["--identity", "../a.json"]);
    refused.failed(1, &["is not an image that hah-image has built", "it cannot take a node's identity"]);
    for more in [&["--identity", "../a.json"][..], &["--node", "pi4-a"]] {
        let both = run(&toy, &image, &card, &[more, &["--foreign"]].concat());
        both.failed(2, &["--foreign", "cannot be used with"]);
    }
    Run::of(&mut toy.command(&["flash", "--fleet", "--foreign"])).failed(2, &["cannot be used with"]);
    assert!(!card.exists());
}

#[test]
fn a_foreign_image_of_a_node_s_name_is_no_node_s() {
    let toy = built();
    std::fs::copy(stranger(&toy, "foreign.img"), toy.image()).unwrap();
    let before = std::fs::read_dir(toy.path("project/out")).unwrap().count();
    std::fs::remove_file(toy.image().with_extension("bmap")).unwrap();
    run(&toy, Path::new("toy"), &toy.path("card.img"), &[]).failed(1, &["is not an image that hah-image has built"]);
    assert_eq!(std::fs::read_dir(toy.path("project/out")).unwrap().count(), before - 1);
}

#[test]
fn packed_foreign_images_are_streams() {
    let packers: [(&str, &[&str], &str); 5] = [
        ("xz", &["-0", "--stdout"], "img.xz"),
        ("gzip", &["-1", "--stdout"], "img.gz"),
        ("bzip2", &["-1", "--stdout"], "img.bz2"),
        ("zstd", &["-1", "--stdout"], "img.zst"),
        ("zip", &["-q", "-1", "-j", "-"], "zip"),
    ];
    if packers.iter().any(|(program, ..)| is_missing(program)) {
        return;
    }
    let toy = Toy::new();
    let image = stranger(&toy, "foreign.img");
    for (program, args, extension) in packers {
        let packed = toy.path(&format!("packed.{extension}"));
        let mut packer = Command::new(program);
        packer.args(args).arg(&image).stdout(std::fs::File::create(&packed).unwrap());
        assert!(packer.env("PATH", crate::oracles::path()).status().unwrap().success());
        assert!(size(&packed) != size(&image), "{program}");
        let card = toy.path(&format!("{program}.img"));
        run(&toy, &packed, &card, &["--foreign"]).succeeded();
        assert_eq!(digest(&card), digest(&image), "{program}");
    }
}

/// By what the archive's own program made: notes beside the image, and then a second image.
#[test]
fn a_zip_has_one_image_or_its_names_are_listed() {
    if is_missing("zip") {
        return;
    }
    let toy = built();
    toy.write("project/out/notes.txt", "read me\n");
    let out = toy.path("project/out");
    let zip = |name: &str, members: &[&str]| {
        let archive = toy.path(name);
        judge(Command::new("zip").args(["-q", "-1"]).arg(&archive).args(members).current_dir(&out));
        archive
    };
    let card = toy.path("card.img");
    run(&toy, &zip("one.zip", &["notes.txt", "toy.img", "toy.json"]), &card, &[]).succeeded();
    check_bytes(&toy.image(), &card, 0);
    let before = digest(&card);
    std::fs::copy(toy.image(), out.join("again.img")).unwrap();
    let two = zip("two.zip", &["notes.txt", "toy.img", "again.img"]);
    run(&toy, &two, &card, &[]).failed(1, &["more than one image in this archive: toy.img, again.img"]);
    let none = zip("none.zip", &["notes.txt", "toy.json"]);
    run(&toy, &none, &card, &["--foreign"]).failed(1, &["none of the files in this archive", "notes.txt, toy.json"]);
    assert_eq!(digest(&card), before);
}

#[test]
fn what_is_no_disk_does_not_touch_a_card() {
    if is_missing("xz") || is_missing("tar") {
        return;
    }
    let toy = Toy::new();
    let card = toy.path("card.img");
    old_card(&card, 1 << 30, 0xa5);
    let before = digest(&card);
    toy.write("a.txt", "this is a text\n".repeat(100_000));
    judge(Command::new("tar").args(["-C"]).arg(toy.root()).args(["-cJf"]).arg(toy.path("a.tar.xz")).arg("a.txt"));
    judge(Command::new("xz").args(["-0", "--keep"]).arg(toy.path("a.txt")));
    toy.write("short.img", [0xc5; 700]);
    toy.write("vm.img", [b"QFI\xfb\0\0\0\x03".to_vec(), vec![0; 1 << 20]].concat());
    toy.write("zeros.img", vec![0; 8 << 20]);
    for (name, says) in [
        ("a.txt", "is a text"),
        ("a.txt.xz", "what is packed in"),
        ("a.tar.xz", "is a tar archive"),
        ("short.img", "it has 700 bytes"),
        ("vm.img", "qemu-img convert -O raw"),
        ("zeros.img", "nothing but zeros"),
        ("agent", "is a program (ELF)"),
    ] {
        for more in [&[][..], &["--foreign"]] {
            run(&toy, &toy.path(name), &card, more).failed(1, &[says]);
        }
    }
    assert_eq!(digest(&card), before);
    // Nor is a new one made.
    run(&toy, &toy.path("short.img"), &toy.path("new.img"), &["--size", "1GiB"]).failed(1, &["it has 700 bytes"]);
    assert!(!toy.path("new.img").exists());
}

/// The end of a stream is known when it is there: the card then has no table.
#[test]
fn a_stream_that_ends_before_its_last_partition_leaves_a_card_that_does_not_boot() {
    if is_missing("gzip") {
        return;
    }
    let toy = Toy::new();
    let image = stranger(&toy, "foreign.img");
    std::fs::File::options().write(true).open(&image).unwrap().set_len(12 << 20).unwrap();
    run(&toy, &image, &toy.path("plain.img"), &["--foreign"]).failed(1, &["no whole disk image", "partition 1"]);
    judge(Command::new("gzip").arg("-1").arg(&image));
    let card = toy.path("card.img");
    old_card(&card, (16 << 20) + ROOM, 0xa5);
    let cut = run(&toy, &toy.path("foreign.img.gz"), &card, &["--foreign"]);
    cut.failed(102, &["the image ends at byte 12582912", "does not boot"]);
    assert!(std::fs::read(&card).unwrap()[..4096].iter().all(|byte| *byte == 0));
}
