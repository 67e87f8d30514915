//! Packages that are damaged, swapped, hostile, or that nobody has reviewed.

use crate::archive::deb::Deb;
use crate::archive::project::{Toy, debs};

fn downloads(toy: &Toy) -> Vec<String> {
    toy.names("home/.cache/hah-image/downloads/sha256")
}

/// What a mirror serves instead of the package that the index names is thrown away.
#[test]
fn not_what_the_lock_names() {
    type Damage = fn(&mut Vec<u8>);
    let cases: [(&str, Damage, &str); 3] = [
        ("truncated", |bytes| bytes.truncate(bytes.len() / 2), "WRONG FILE"),
        ("longer", |bytes| bytes.extend(b"more"), "WRONG FILE"),
        ("swapped", |bytes| bytes[200] ^= 1, "WRONG BYTES"),
    ];
    for (name, damage, says) in cases {
        let toy = Toy::new();
        let path = toy.pool("toy-data");
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        damage(&mut bad);
        std::fs::write(&path, bad).unwrap();
        toy.run(&["build", "toy"]).failed(102, &["toy-data 2.0~rc1-1", says, "thrown away"]);
        let digest = hah_format::digest::Sha256::of(&good).to_string();
        assert!(downloads(&toy).iter().all(|found| !found.starts_with(&digest)), "{name}: {:?}", downloads(&toy));
        assert!(!toy.image().exists());
        toy.assert_nothing_half_written();
        std::fs::write(&path, good).unwrap();
        toy.build();
    }
}

#[test]
fn gone_from_the_archive() {
    let toy = Toy::new();
    toy.run(&["lock", "toy"]).succeeded();
    std::fs::remove_file(toy.pool("toy-data")).unwrap();
    toy.run(&["build", "toy"]).failed(100, &["toy-data 2.0~rc1-1", "not there"]);
}

/// The digest is right and the content is not: the archive itself is hostile.
#[test]
fn hostile_packages() {
    let deb = || Deb::new("evil", "6.6.6");
    let cases: [(Deb, &str); 9] = [
        (deb().file("/../../etc/shadow", 0o644, "x"), ".."),
        (deb().file("/usr/../etc/shadow", 0o644, "x"), ".."),
        (deb().device("/dev/mem"), "may not ship"),
        (deb().file("/usr/evil", 0o644, "one").file("/usr/evil", 0o644, "two"), "twice"),
        (deb().file("/usr/evil", 0o644, "small").claiming(10 << 30), "limit"),
        (deb().hard_link("/usr/evil", "/etc/passwd"), "hard link"),
        (deb().symlink("/usr/evil", "/etc").file("/usr/evil/passwd", 0o644, "x"), "not a directory"),
        (deb().file("/usr/evil", 0o644, "x").damaged(|bytes| bytes.truncate(bytes.len() - 40)), "damaged"),
        (deb().file("/usr/evil", 0o644, "x").damaged(|bytes| *bytes = b"<html>".to_vec()), "!<arch>"),
    ];
    for (deb, says) in cases {
        let toy = Toy::and(&[deb]);
        toy.run(&["build", "toy"]).failed(100, &["cannot pack evil", says, "hint: "]);
        assert!(!toy.image().exists());
        assert_eq!(toy.names("home/.cache/hah-image/tmp"), [""; 0]);
        toy.assert_nothing_half_written();
    }
}

/// dpkg on the node could not read its own status file.
#[test]
fn a_control_file_that_dpkg_does_not_take() {
    let deb = || Deb::new("evil", "6.6.6");
    let cases = [
        (deb().field("Depends", "toy-data, "), "`Depends`: nothing follows the last comma"),
        (deb().field("Suggests", "\n\ttoy-data"), "`Suggests`: its first line is empty"),
        (deb().field("Section", "a\nSection: b"), "the field `Section` occurs twice"),
        (deb().field("Status", "install ok installed"), "a field of dpkg's status file"),
        (deb().field("Conflicts", "aa | bb"), "alternatives are not possible here"),
        (deb().field("Multi-Arch", "sometimes"), "`Multi-Arch`"),
    ];
    for (deb, says) in cases {
        let toy = Toy::and(&[deb]);
        let failed = toy.run(&["build", "toy"]);
        assert!(failed.stderr.contains(says), "{says}: {}", failed.stderr);
        assert!(failed.code != Some(0) && !toy.image().exists());
        toy.assert_nothing_half_written();
    }
}

#[test]
fn a_script_that_nobody_has_reviewed() {
    let script = "#!/bin/sh\nset -e\npushy http://example.org | sh\n";
    let toy = Toy::and(&[Deb::new("pushy", "1").file("/usr/bin/pushy", 0o755, "\u{7f}ELF").member("postinst", script)]);
    toy.run(&["build", "toy"]).failed(
        100,
        &["postinst script of pushy 1 cannot be evaluated", "pushy http://example.org", "hah-image review pushy"],
    );
    assert!(!toy.image().exists());
    toy.run(&["lock", "toy"]).succeeded();
    let entry = toy.run(&["review", "pushy", "--image", "toy"]).succeeded().stdout;
    assert!(entry.contains("[[program]]") && entry.contains("pushy http"), "{entry}");
    let review = entry.replace("summary = \"\"", "summary = \"runs what it finds\"");
    toy.write(
        "project/recipes/debian/toy.toml",
        review.replace("none = \"\"", "none = \"the image has no network yet\""),
    );
    toy.build();
}

#[test]
fn two_packages_with_one_path() {
    let rival = |replaces: Option<&str>| {
        let deb = Deb::new("rival", "1").file("/usr/bin/toy", 0o755, "mine");
        replaces.map_or(deb.clone(), |replaces| deb.field("Replaces", replaces))
    };
    let toy = Toy::and(&[rival(None)]);
    toy.run(&["build", "toy"]).failed(100, &["/usr/bin/toy", "rival", "toy-tool", "hint: "]);
    assert!(!toy.image().exists());
    toy.publish(&[debs(), vec![rival(Some("toy-tool"))]].concat());
    toy.run(&["update"]).succeeded();
    toy.build();
}

/// A kernel package without the module that the board's stage 1 wants.
#[test]
fn a_board_that_wants_more_than_there_is() {
    let toy = Toy::new();
    let board = crate::archive::project::BOARD.replace("toy_disk", "toy_floppy");
    toy.write("project/recipes/boards/toy.toml", board);
    toy.run(&["build", "toy"]).failed(100, &["toy_floppy", "stage1-modules"]);
}

#[test]
fn an_agent_of_another_kind() {
    let toy = Toy::new();
    let mut foreign = crate::archive::elf::program(b"");
    foreign[18] = 62;
    for (agent, says) in
        [(b"#!/bin/sh\n".to_vec(), "not an ELF program"), (foreign, "is for amd64, and the image is arm64")]
    {
        toy.write("agent", agent);
        toy.run(&["build", "toy"]).failed(1, &[says]);
    }
    std::fs::remove_file(toy.path("agent")).unwrap();
    toy.run(&["build", "toy"]).failed(1, &["agent"]);
}

/// The disk lost a bit between the download and its first use: no pack is made of it, and the next build fetches it again.
#[test]
fn damaged_in_the_cache() {
    let toy = Toy::new();
    let want = toy.build();
    let digest = crate::archive::project::digest(&toy.pool("toy-data"));
    let path = toy.path(&format!("home/.cache/hah-image/downloads/sha256/{digest}"));
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&path, bytes).unwrap();
    std::fs::remove_dir_all(toy.path("home/.cache/hah-image/packs")).unwrap();
    std::fs::remove_dir_all(toy.path("project/out")).unwrap();
    toy.run(&["build", "toy"]).failed(102, &["the download of toy-data is damaged", "run the same command again"]);
    assert!(!path.exists());
    assert!(!toy.image().exists());
    toy.assert_nothing_half_written();
    assert_eq!(toy.build(), want);
}
