//! The disk and its boot partition.

use std::path::Path;
use std::process::Command;

use super::{Lab, lab_for};
use crate::archive::project::digest;
use crate::build::{judge, partition, unpack_initramfs};

fn manifest(lab: &Lab) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(lab.image.with_extension("json")).unwrap()).unwrap()
}

#[test]
fn the_partition_table_is_what_the_manifest_says() {
    let Some(lab) = lab_for(&["sfdisk"]) else { return };
    judge(Command::new("sfdisk").arg("-V").arg(&lab.image));
    let dump: serde_json::Value =
        serde_json::from_str(&judge(Command::new("sfdisk").arg("-J").arg(&lab.image))).unwrap();
    let table = &dump["partitiontable"];
    let manifest = manifest(&lab);
    assert_eq!(table["label"], if manifest["disk"]["table"] == "mbr" { "dos" } else { "gpt" });
    let (found, wanted) = (table["partitions"].as_array().unwrap(), manifest["disk"]["partitions"].as_array().unwrap());
    assert_eq!(found.len(), 2, "the data partition is made on the node");
    for (found, wanted) in found.iter().zip(wanted) {
        let bytes = |key: &str| found[key].as_u64().unwrap() * 512;
        assert_eq!(
            (bytes("start"), bytes("size")),
            (wanted["start"].as_u64().unwrap(), wanted["size"].as_u64().unwrap())
        );
    }
    assert_eq!((&found[0]["type"], &found[1]["type"]), (&"c".into(), &"83".into()));
}

#[test]
fn bmaptool_copies_the_same_bytes() {
    let Some(lab) = lab_for(&["bmaptool"]) else { return };
    let there = tempfile::tempdir().unwrap();
    let copy = there.path().join("copy.img");
    let bmap = lab.image.with_extension("bmap");
    judge(Command::new("bmaptool").args(["-q", "copy", "--bmap"]).arg(bmap).arg(&lab.image).arg(&copy));
    assert_eq!(digest(&copy), digest(&lab.image));
    let text = std::fs::read_to_string(lab.image.with_extension("sha256")).unwrap();
    assert!(text.starts_with(&digest(&lab.image)));
}

/// A file of a package, as dpkg-deb unpacks it.
fn shipped(lab: &Lab, path: &str, to: &Path) -> bool {
    // dpkg's lists of the image say which package it is.
    let info = lab.root().join("var/lib/dpkg/info");
    let owner = std::fs::read_dir(info).unwrap().map(|entry| entry.unwrap().path()).find(|list| {
        list.extension().is_some_and(|extension| extension == "list")
            && std::fs::read_to_string(list).unwrap().lines().any(|line| line.strip_prefix('/') == Some(path))
    });
    let Some(owner) = owner else { return false };
    let name = owner.file_stem().unwrap().to_string_lossy().into_owned();
    let manifest = manifest(lab);
    let packages = manifest["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == name.split(':').next().unwrap()).unwrap();
    let deb = lab.deb(package["sha256"].as_str().unwrap());
    let pipe = format!("dpkg-deb --fsys-tarfile {} | tar -xO ./{path}", deb.display());
    std::fs::write(to, Command::new("sh").args(["-c", &pipe]).output().unwrap().stdout).unwrap();
    true
}

#[test]
fn the_boot_partition_has_firmware_kernel_and_device_trees() {
    let Some(lab) = lab_for(&["fsck.fat", "mdir", "mcopy", "gzip", "dpkg-deb"]) else { return };
    let there = tempfile::tempdir().unwrap();
    let boot = there.path().join("boot.fat");
    partition(&lab.image, "boot", &boot);
    judge(Command::new("fsck.fat").arg("-n").arg(&boot));
    let files = there.path().join("files");
    std::fs::create_dir(&files).unwrap();
    judge(Command::new("mcopy").args(["-s", "-n", "-i"]).arg(&boot).arg("::*").arg(&files));
    let system = lab.system();
    let mut firmware: Vec<(String, String)> = Vec::new();
    let kernel = manifest(&lab)["packages"].as_array().unwrap().iter().find_map(|package| {
        Some(package["name"].as_str()?.strip_prefix("linux-image-")?.to_owned()).filter(|name| name.contains('.'))
    });
    let kernel = kernel.unwrap();
    for file in &system.board.firmware {
        firmware.push((file.path.as_str().to_owned(), file.name.clone()));
    }
    let trees = system.board.kernel.device_trees.as_ref().unwrap().at(&kernel).unwrap();
    for tree in &system.board.device_trees {
        firmware.push((format!("{}/{tree}", trees.as_str()), format!("g0/{tree}")));
        firmware.push((format!("{}/{tree}", trees.as_str()), tree.clone()));
    }
    let original = there.path().join("original");
    for (path, name) in &firmware {
        assert!(shipped(&lab, path, &original), "no package has {path}");
        assert_eq!(digest(&files.join(name)), digest(&original), "{name} is not {path}");
    }
    let image = system.board.kernel.image.at(&kernel).unwrap();
    assert!(shipped(&lab, image.as_str(), &original));
    let plain = there.path().join("plain");
    let unzip = format!("gzip -dc < {} > {}", files.join("g0/kernel").display(), plain.display());
    judge(Command::new("sh").args(["-c", &unzip]));
    assert_eq!(digest(&plain), digest(&original));
    for name in ["kernel", "initramfs", "cmdline.txt"] {
        assert_eq!(digest(&files.join(name)), digest(&files.join("g0").join(name)), "the rescue copy of {name}");
    }
    let config = std::fs::read_to_string(files.join("config.txt")).unwrap();
    assert!(config.contains("\nos_prefix=g0/\n# hah good=0 trial=-\n"), "{config}");
}

#[test]
fn the_initramfs_has_what_stage_1_loads() {
    let Some(lab) = lab_for(&["mcopy", "cpio", "zstd", "modinfo"]) else { return };
    let there = tempfile::tempdir().unwrap();
    let boot = there.path().join("boot.fat");
    partition(&lab.image, "boot", &boot);
    judge(Command::new("mcopy").arg("-i").arg(&boot).arg("::g0/initramfs").arg(there.path().join("initramfs")));
    let files = there.path().join("files");
    unpack_initramfs(&there.path().join("initramfs"), &files);
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(files.join("hah/stage1.json")).unwrap()).unwrap();
    let modules: Vec<&str> = config["modules"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(modules.iter().any(|name| name.starts_with("ext4.ko")) && modules.len() > 10, "{modules:?}");
    assert_eq!(digest(&files.join("init")), digest(&lab.root().join("usr/lib/hah/hah-agent")));
    // What a module needs stands before it, says modinfo.
    let name = |file: &str| file.split(".ko").next().unwrap().replace('-', "_");
    for (index, module) in modules.iter().enumerate() {
        let file = files.join("hah/modules").join(module);
        let depends = judge(Command::new("modinfo").args(["-F", "depends"]).arg(&file));
        for needed in depends.trim().split(',').filter(|needed| !needed.is_empty()) {
            let is_before = modules[..index].iter().any(|earlier| name(earlier) == needed.replace('-', "_"));
            assert!(is_before, "{module} needs {needed}: {modules:?}");
        }
    }
}
