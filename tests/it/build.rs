//! Builds: what is in the toy image, what is done again and what is not, and that nothing but the inputs reaches a byte.

mod plan;
pub(crate) mod several;
mod contract;
pub(crate) mod closure;
mod outputs;
mod sources;
mod repeat;
mod lineage;
mod imager;
mod coverage;

use std::io::{Read as _, Seek as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::archive::project::{RECIPE, Toy, digest};
use crate::oracles;

/// Copies a partition of an image to a file, by the manifest beside the image.
pub(crate) fn partition(image: &Path, name: &str, to: &Path) {
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(image.with_extension("json")).unwrap()).unwrap();
    let partitions = manifest["disk"]["partitions"].as_array().unwrap();
    let found = partitions.iter().find(|partition| partition["name"] == name).unwrap();
    let mut file = std::fs::File::open(image).unwrap();
    file.seek(std::io::SeekFrom::Start(found["start"].as_u64().unwrap())).unwrap();
    let mut taken = file.take(found["size"].as_u64().unwrap());
    std::io::copy(&mut taken, &mut std::fs::File::create(to).unwrap()).unwrap();
}

/// Runs a foreign program, which must be content; its standard output.
#[track_caller]
pub(crate) fn judge(command: &mut Command) -> String {
    let output = command.env("LC_ALL", "C").env("PATH", oracles::path()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{stderr}",
        output.status,
        String::from_utf8_lossy(&output.stdout)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A line of `unsquashfs -lls`: mode, owner and path with what a link points to.
fn listing(root: &Path) -> Vec<(String, String, String)> {
    judge(Command::new("unsquashfs").args(["-lln", "-d", ""]).arg(root))
        .lines()
        .filter(|line| line.starts_with(['-', 'd', 'l', 'c']))
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[0].to_owned(), words[1].to_owned(), words[5..].join(" "))
        })
        .collect()
}

/// Unpacks an initramfs of plain archives and a compressed last one into `to`, as the kernel does: one after the other. The
/// names in them, a line each.
#[track_caller]
pub(crate) fn unpack_initramfs(initramfs: &Path, to: &Path) -> String {
    let bytes = std::fs::read(initramfs).unwrap();
    let zstd = bytes.windows(4).position(|window| window == [0x28, 0xb5, 0x2f, 0xfd]).unwrap();
    assert!(zstd > 0 && zstd.is_multiple_of(4), "the kernel wants plain archives to end at a multiple of 4");
    std::fs::create_dir_all(to).unwrap();
    let mut names = String::new();
    for (name, bytes, reader) in [("plain", &bytes[..zstd], "cat"), ("packed", &bytes[zstd..], "zstd -dc")] {
        let archive = initramfs.with_extension(name);
        std::fs::write(&archive, bytes).unwrap();
        let cpio = |what: &str| format!("{reader} < '{}' | cpio {what} --quiet", archive.display());
        names += &judge(Command::new("sh").args(["-c", &cpio("-t")]).current_dir(to));
        let unpack = cpio("-idmu --no-absolute-filenames --nonmatching 'dev/*'");
        judge(Command::new("sh").args(["-c", &unpack]).current_dir(to));
    }
    names
}

#[test]
fn the_root_is_what_packages_and_recipes_say() {
    if oracles::is_missing("unsquashfs") {
        return;
    }
    let toy = Toy::new();
    toy.build();
    let root = toy.path("root.squashfs");
    partition(&toy.image(), "root", &root);
    let listing = listing(&root);
    for (mode, owner, path) in [
        ("-rwxr-xr-x", "0/0", "/usr/bin/toy"),
        ("-rwxr-xr-x", "0/0", "/usr/bin/toy-again"),
        ("-rwsr-x---", "0/4", "/usr/bin/toy-super"),
        ("drwxrwsr-x", "0/50", "/var/local"),
        ("drwxrwxrwt", "0/0", "/tmp"),
        ("lrwxrwxrwx", "0/0", "/bin -> usr/bin"),
        ("-rw-r-----", "0/42", "/etc/shadow"),
        ("-r--r--r--", "0/0", "/etc/machine-id"),
        ("drwx------", "1000/1000", "/home/anna"),
        ("-rw-r--r--", "1000/1000", "/home/anna/.profile"),
        ("-rwxr-xr-x", "0/0", "/usr/lib/hah/hah-agent"),
        (
            "lrwxrwxrwx",
            "0/0",
            "/etc/systemd/system/multi-user.target.wants/toy.service -> /usr/lib/systemd/system/toy.service",
        ),
    ] {
        let found = listing.iter().find(|(.., found)| found == path);
        let found = found.unwrap_or_else(|| panic!("{path} is missing: {listing:#?}"));
        assert_eq!((found.0.as_str(), found.1.as_str()), (mode, owner), "{path}");
    }
    let cat = |path: &str| judge(Command::new("unsquashfs").arg("-cat").arg(&root).arg(path));
    assert_eq!(cat("etc/greeting"), "hello 3\n");
    assert!(
        cat("etc/passwd").contains("toyd:x:450:450:Toy daemon:/var/lib/toyd:/usr/sbin/nologin"),
        "{}",
        cat("etc/passwd")
    );
    assert!(cat("etc/group").contains("anna:x:1000:"));
    assert!(cat("usr/lib/modules/6.0-toy/modules.dep").contains("kernel/toy_disk.ko: kernel/toy_bus.ko"));
    assert!(cat("var/lib/dpkg/status").contains("Package: toy-data\nStatus: install ok installed\n"));
    assert!(cat("usr/lib/os-release").contains("IMAGE_ID=toy\n"));
    // Contents, by way of a copy of the package's own bytes.
    let extracted = toy.path("extracted");
    judge(
        Command::new("unsquashfs")
            .args(["-no-progress", "-d"])
            .arg(&extracted)
            .arg(&root)
            .args(["usr/bin", "usr/share/toy"]),
    );
    let deb = toy.path("deb");
    judge(Command::new("dpkg-deb").arg("-x").arg(toy.pool("toy-data")).arg(&deb));
    assert_eq!(digest(&extracted.join("usr/share/toy/data")), digest(&deb.join("usr/share/toy/data")));
    let inode = |name: &str| std::fs::metadata(extracted.join("usr/bin").join(name)).unwrap().ino();
    assert_eq!(inode("toy"), inode("toy-again"), "hard links stay one file");
}

#[test]
fn the_disk_is_what_partitioners_and_fat_tools_read() {
    if ["sfdisk", "fsck.fat", "mdir", "cpio", "zstd"].into_iter().any(oracles::is_missing) {
        return;
    }
    for table in ["gpt", "mbr"] {
        let toy = Toy::new();
        toy.write("project/images/toy.toml", format!("table = \"{table}\"\n{}", crate::archive::project::IMAGE));
        toy.build();
        let dump = judge(Command::new("sfdisk").arg("-d").arg(toy.image()));
        let label = if table == "gpt" { "label: gpt" } else { "label: dos" };
        assert!(dump.contains(label) && dump.contains("start=        8192"), "{dump}");
        judge(Command::new("sfdisk").arg("-V").arg(toy.image()));
        let boot = toy.path("boot.fat");
        partition(&toy.image(), "boot", &boot);
        judge(Command::new("fsck.fat").arg("-n").arg(&boot));
        let names = judge(Command::new("mdir").args(["-/", "-b", "-i"]).arg(&boot));
        for name in ["cmdline.txt", "kernel", "initramfs", "g0/kernel", "g0/initramfs", "g0/cmdline.txt", "g0/closure"]
        {
            let name = format!("::/{name}");
            assert!(names.lines().any(|line| line == name), "{name}: {names}");
        }
        judge(Command::new("mcopy").args(["-i"]).arg(&boot).arg("::/g0/initramfs").arg(toy.path("initramfs")));
        let members = unpack_initramfs(&toy.path("initramfs"), &toy.path("unpacked"));
        for member in ["init", "hah/stage1.json", "hah/modules/toy_bus.ko", "hah/modules/toy_disk.ko", "dev/console"] {
            assert!(members.lines().any(|line| line == member), "{member}: {members}");
        }
    }
}

#[test]
fn what_stands_beside_the_image_describes_it() {
    if ["sha256sum", "bmaptool", "zstd"].into_iter().any(oracles::is_missing) {
        return;
    }
    let toy = Toy::new();
    toy.run(&["build", "toy", "--compress", "zst"]).succeeded();
    let names =
        ["toy.bmap", "toy.closure", "toy.img", "toy.img.zst", "toy.json", "toy.rpi-imager-manifest", "toy.sha256"];
    assert_eq!(toy.names("project/out"), names);
    judge(Command::new("sha256sum").args(["-c", "toy.sha256"]).current_dir(toy.path("project/out")));
    let copy = toy.path("copy.img");
    judge(
        Command::new("bmaptool")
            .args(["-q", "copy", "--bmap"])
            .arg(toy.path("project/out/toy.bmap"))
            .arg(toy.image())
            .arg(&copy),
    );
    assert_eq!(digest(&copy), digest(&toy.image()));
    judge(
        Command::new("zstd")
            .args(["-q", "-d", "-o"])
            .arg(toy.path("plain.img"))
            .arg(toy.path("project/out/toy.img.zst")),
    );
    assert_eq!(digest(&toy.path("plain.img")), digest(&toy.image()));
    let manifest: serde_json::Value = serde_json::from_slice(&toy.read("project/out/toy.json")).unwrap();
    assert_eq!(manifest["disk"]["sha256"], digest(&toy.image()));
    assert_eq!(manifest["packages"].as_array().unwrap().len(), crate::archive::project::debs().len());
    let sparse = std::fs::metadata(toy.image()).unwrap();
    assert!(sparse.blocks() * 512 < sparse.len() / 4, "the image is sparse");
}

/// Inode and time of modification.
fn stamp(path: &Path) -> (u64, i64, i64) {
    let metadata = std::fs::metadata(path).unwrap();
    (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
}

#[test]
fn a_build_without_changes_does_nothing() {
    let toy = Toy::new();
    toy.build();
    let files: Vec<PathBuf> = toy.names("project/out").iter().map(|name| toy.path("project/out").join(name)).collect();
    let before: Vec<_> = files.iter().map(|file| stamp(file)).collect();
    let said = toy.run(&["build", "toy"]).succeeded().stderr;
    assert!(said.contains("up to date"), "{said}");
    assert_eq!(before, files.iter().map(|file| stamp(file)).collect::<Vec<_>>());
}

/// Whatever changes an image or takes something away from beside it makes the next build write it anew.
#[test]
fn a_build_notices_what_others_did_to_its_output() {
    let toy = Toy::new();
    let want = toy.build();
    let changes: [&dyn Fn(&Path); 5] = [
        &|image| std::fs::remove_file(image).unwrap(),
        &|image| std::fs::remove_file(image.with_extension("bmap")).unwrap(),
        &|image| std::fs::remove_file(image.with_extension("closure")).unwrap(),
        &|image| std::fs::write(image, "something else").unwrap(),
        &|image| {
            // As a card writer that was pointed at the file would: the same length.
            use std::io::Write as _;
            let mut file = std::fs::OpenOptions::new().write(true).open(image).unwrap();
            file.write_all(b"overwritten").unwrap();
        },
    ];
    for change in changes {
        change(&toy.image());
        assert_eq!(toy.build(), want);
    }
    toy.assert_nothing_half_written();
}

#[test]
fn one_changed_line_changes_the_image_and_changing_it_back_changes_it_back() {
    let toy = Toy::new();
    let first = toy.build();
    toy.write("project/recipes/toy.toml", RECIPE.replace("default = \"hello\"", "default = \"goodbye\""));
    let run = toy.run(&["build", "toy"]).succeeded();
    assert!(!run.stderr.contains("Fetched") && !run.stderr.contains("Packed"), "nothing else is made again: {run}");
    assert_ne!(digest(&toy.image()), first);
    toy.write("project/recipes/toy.toml", RECIPE);
    assert_eq!(toy.build(), first);
}

/// Everything that ends up in the image changes its key; here the inputs that are easily forgotten.
#[test]
fn the_agent_and_the_reviews_are_inputs() {
    let toy = Toy::new();
    let first = toy.build();
    toy.write("agent", crate::archive::elf::program(b"I am another agent"));
    let second = toy.build();
    toy.write(
        "project/recipes/debian/toy.toml",
        "[[script]]\npackage = \"toy\"\nkind = \"postinst\"\nsummary = \"x\"\nnone = \"x\"\n",
    );
    let third = toy.build();
    assert!(first != second && second != third);
}

#[test]
fn a_dry_run_writes_nothing() {
    let toy = Toy::new();
    toy.run(&["lock", "toy"]).succeeded();
    let run = toy.run(&["build", "toy", "--dry-run"]).succeeded();
    assert!(run.stdout.lines().all(|line| line.contains("to make")), "{run}");
    assert!(run.stdout.contains("fetch libtoy1 1:1.2-1 (arm64)") && run.stdout.contains("image toy"), "{run}");
    assert_eq!(toy.names("project"), ["hah-image.toml", "hah.lock", "images", "recipes"]);
    assert_eq!(toy.names("home/.cache/hah-image/packs/v1"), [""; 0]);
    toy.build();
    let run = toy.run(&["build", "toy", "--dry-run"]).succeeded();
    assert!(run.stdout.lines().all(|line| line.contains("cached")), "{run}");
}

#[test]
fn check_builds_twice() {
    let toy = Toy::new();
    let said = toy.run(&["build", "toy", "--check"]).succeeded().stderr;
    assert!(said.contains("reproducible"), "{said}");
    assert_eq!(toy.names("home/.cache/hah-image/tmp"), [""; 0]);
    // An image that is not what the inputs make is found out, and the first different file is named.
    let image = toy.image();
    let mut bytes = std::fs::read(&image).unwrap();
    let at = bytes.windows(5).position(|window| window == b"quiet").unwrap();
    bytes[at] ^= 0x20;
    let (modified, length) = (std::fs::metadata(&image).unwrap().modified().unwrap(), bytes.len());
    std::fs::write(&image, bytes).unwrap();
    std::fs::File::options().write(true).open(&image).unwrap().set_modified(modified).unwrap();
    assert_eq!(std::fs::metadata(&image).unwrap().len(), length as u64);
    toy.run(&["build", "toy", "--check"]).failed(104, &["two builds of image toy differ", "cmdline.txt"]);
}

/// What a review declares ends up as extended attributes and links that foreign programs read.
#[test]
fn the_effects_of_a_reviewed_script() {
    if ["unsquashfs", "getcap", "update-alternatives"].into_iter().any(oracles::is_missing) {
        return;
    }
    let script = "#!/bin/sh\nset -e\npinger --setup 1\n";
    let deb =
        crate::archive::deb::Deb::new("pinger", "1").file("/usr/bin/pinger", 0o755, "ping").member("postinst", script);
    let toy = Toy::and(&[deb]);
    let review = "[[program]]\npackage = \"pinger\"\ncommand = \"pinger --setup *\"\nsummary = \"lets it ping\"\n\
         capability = [{ path = \"/usr/bin/pinger\", capability = \"cap_net_admin,cap_net_raw=ep\" }]\n\
         owner = [{ path = \"/usr/bin/pinger\", mode = \"2711\", group = \"adm\" }]\n\
         file = [{ path = \"/etc/pinger\", content = \"on\\n\" }]\n\
         alternative = [{ name = \"ping\", link = \"/usr/bin/ping\", path = \"/usr/bin/pinger\", priority = 10 }]\n";
    toy.write("project/recipes/debian/toy.toml", review);
    toy.build();
    let (squashfs, root) = (toy.path("root.squashfs"), toy.path("root"));
    partition(&toy.image(), "root", &squashfs);
    let found = listing(&squashfs).into_iter().find(|(.., path)| path == "/usr/bin/pinger").unwrap();
    assert_eq!((found.0.as_str(), found.1.as_str()), ("-rwx--s--x", "0/4"));
    judge(Command::new("unsquashfs").args(["-quiet", "-no-progress", "-d"]).arg(&root).arg(&squashfs));
    assert_eq!(std::fs::read(root.join("etc/pinger")).unwrap(), b"on\n");
    let said = judge(Command::new("update-alternatives").arg("--root").arg(&root).args(["--query", "ping"]));
    assert!(said.contains("Best: /usr/bin/pinger") && said.contains("Priority: 10"), "{said}");
    if rustix::process::getuid().is_root() {
        let said = judge(Command::new("getcap").arg("-r").arg(&root));
        assert!(said.trim().ends_with("usr/bin/pinger cap_net_admin,cap_net_raw=ep"), "{said}");
    }
}
