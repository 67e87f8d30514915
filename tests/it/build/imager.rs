//! The manifest for Raspberry Pi Imager, judged by the rules of its published schema.
//!
//! Source of the rules: github.com/raspberrypi/rpi-imager, `doc/json-schema/os-list-schema.json` (JSON Schema, draft 7;
//! Apache License 2.0) of August 2026, and what `src/oslistmodel.cpp` and `src/hwlistmodel.cpp` read. The tables say which
//! keys an object must have and of which type each is; the words of `init_format` and of `architecture` are the schema's.

use std::path::Path;

use serde_json::Value;

use crate::archive::project::{BOARD, Toy, digest};

#[derive(Clone, Copy)]
enum Type {
    Text,
    Integer,
    Texts,
}

const ENTRY: [(&str, Type); 9] = [
    ("name", Type::Text),
    ("description", Type::Text),
    ("icon", Type::Text),
    ("url", Type::Text),
    ("extract_size", Type::Integer),
    ("extract_sha256", Type::Text),
    ("image_download_size", Type::Integer),
    ("release_date", Type::Text),
    ("devices", Type::Texts),
];
const DEVICE: [(&str, Type); 3] = [("name", Type::Text), ("description", Type::Text), ("tags", Type::Texts)];
const INIT_FORMATS: [&str; 6] = ["", "systemd", "cloudinit", "cloudinit-rpi", "rpi-preseed", "none"];
const ARCHITECTURES: [&str; 3] = ["armel", "armhf", "armv8"];

/// What is wrong with a manifest, by the schema.
fn flaws(manifest: &Value) -> Vec<String> {
    let mut flaws = Vec::new();
    let mut object = |place: &str, object: &Value, keys: &[(&str, Type)]| {
        for (key, kind) in keys {
            let value = &object[*key];
            let right = match kind {
                Type::Text => value.is_string(),
                Type::Integer => value.is_u64(),
                Type::Texts => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
            };
            if !right {
                flaws.push(format!("{place}.{key}: {value}"));
            }
        }
    };
    let entries = manifest["os_list"].as_array().cloned().unwrap_or_default();
    let devices = manifest["imager"]["devices"].as_array().cloned().unwrap_or_default();
    entries.iter().for_each(|entry| object("os_list", entry, &ENTRY));
    devices.iter().for_each(|device| object("imager.devices", device, &DEVICE));
    for key in manifest.as_object().unwrap().keys().filter(|key| !["imager", "os_list"].contains(&key.as_str())) {
        flaws.push(format!("{key}: not allowed at the top"));
    }
    if entries.is_empty() || devices.is_empty() {
        flaws.push("Imager would show nothing".to_owned());
    }
    for entry in &entries {
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        if !INIT_FORMATS.contains(&text("init_format").as_str()) {
            flaws.push(format!("init_format: {}", entry["init_format"]));
        }
        if !ARCHITECTURES.contains(&text("architecture").as_str()) {
            flaws.push(format!("architecture: {}", entry["architecture"]));
        }
        let digits = text("extract_sha256");
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
            flaws.push(format!("extract_sha256: {digits}"));
        }
        let date: Vec<String> = text("release_date").split('-').map(str::to_owned).collect();
        let lengths: Vec<usize> = date.iter().map(String::len).collect();
        if lengths != [4, 2, 2] || date.iter().any(|part| part.parse::<u16>().is_err()) {
            flaws.push(format!("release_date: {date:?}"));
        }
        // An entry is shown for a device when they have a tag in common.
        let tags = entry["devices"].as_array().cloned().unwrap_or_default();
        for device in &devices {
            if !device["tags"].as_array().is_some_and(|own| own.iter().any(|tag| tags.contains(tag))) {
                flaws.push(format!("{} would see nothing", device["name"]));
            }
        }
    }
    flaws
}

fn manifest(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn imager_takes_the_manifest() {
    let toy = Toy::new();
    toy.build();
    let path = toy.path("project/out/toy.rpi-imager-manifest");
    let found = manifest(&path);
    assert_eq!(flaws(&found), [""; 0], "{found:#}");
    let entry = &found["os_list"][0];
    let size = std::fs::metadata(toy.image()).unwrap().len();
    assert_eq!((entry["extract_size"].as_u64(), entry["image_download_size"].as_u64()), (Some(size), Some(size)));
    assert_eq!(entry["extract_sha256"], digest(&toy.image()).as_str());
    assert_eq!(entry["init_format"], "rpi-preseed");
    assert_eq!(entry["devices"], serde_json::json!(["toy-64bit"]));
    assert_eq!(found["imager"]["devices"].as_array().map(Vec::len), Some(2));
    let out = toy.path("project/out").canonicalize().unwrap();
    assert_eq!(entry["url"], format!("file://{}/toy.img", out.display()).as_str());
    // The day of the lock, not of the build.
    let lock = String::from_utf8(toy.read("project/hah.lock")).unwrap();
    assert!(lock.contains(entry["release_date"].as_str().unwrap()), "{lock}");

    // The check sees what is wrong.
    for (pointer, value) in [
        ("/os_list/0/init_format", "firstrun"),
        ("/os_list/0/extract_sha256", "abc"),
        ("/os_list/0/release_date", "today"),
        ("/os_list/0/extract_size", "1"),
        ("/imager/devices/0/tags", "toy"),
    ] {
        let mut wrong = found.clone();
        *wrong.pointer_mut(pointer).unwrap() = value.into();
        assert!(!flaws(&wrong).is_empty(), "{pointer}");
    }
}

#[test]
fn the_manifest_is_the_same_again_and_follows_its_image() {
    let toy = Toy::new();
    toy.build();
    let path = toy.path("project/out/toy.rpi-imager-manifest");
    let before = std::fs::read(&path).unwrap();
    // A build that finds its image brings back what somebody removed, and what the board says by now.
    std::fs::remove_file(&path).unwrap();
    toy.build();
    assert_eq!(std::fs::read(&path).unwrap(), before);
    toy.write("project/recipes/boards/toy.toml", BOARD.replace("The newer one", "The newest one"));
    let run = toy.run(&["build", "toy"]).succeeded();
    assert!(run.stderr.contains("is up to date"), "{run}");
    assert_eq!(manifest(&path)["imager"]["devices"][0]["description"], "The newest one");
    // Elsewhere only the place differs.
    toy.write("project/recipes/boards/toy.toml", BOARD);
    toy.run(&["build", "toy", "-o", "a place/ä.img"]).succeeded();
    toy.build();
    let (mut here, mut there) = (manifest(&path), manifest(&toy.path("project/a place/ä.rpi-imager-manifest")));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let url = there["os_list"][0]["url"].take();
    assert!(url.as_str().unwrap().ends_with("/a%20place/%C3%A4.img"), "{url}");
    here["os_list"][0]["url"].take();
    assert_eq!(here, there);
    // A board that Imager knows nothing of gets none.
    let (board, _) = BOARD.split_once("[[imager-device]]").unwrap();
    toy.write("project/recipes/boards/toy.toml", board);
    toy.run(&["build", "toy", "-o", "none.img"]).succeeded();
    assert!(!toy.path("project/none.rpi-imager-manifest").exists());
}
