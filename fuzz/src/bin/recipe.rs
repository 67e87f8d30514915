//! A project: recipes, boards, images and their files, as sections named by path.
//!
//! Loading is a function: twice the same. Every diagnostic has a message, and can be drawn in both styles.

#![no_main]

use hah_plan::recipe::{Override, Sources, load, load_board};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut sources = Sources::new();
    sources.insert("recipes/boards/virt.toml", "virt.toml", include_str!("../../../recipes/boards/virt.toml"));
    let mut overrides = Vec::new();
    for (path, bytes) in hah_fuzz::sections::split(input).into_iter().take(32) {
        match (path, std::str::from_utf8(bytes)) {
            ("--set", Ok(text)) => {
                overrides.push(Override { origin: "--set".to_owned(), text: text.trim().to_owned() })
            }
            _ => sources.insert(path, path, bytes),
        }
    }
    let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<String>>();
    for image in names(sources.images()) {
        hah_fuzz::load_twice(|| load(&sources, &image, &overrides));
    }
    for board in names(sources.boards()) {
        let _ = load_board(&sources, &board);
    }
});
