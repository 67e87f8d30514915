//! Paths of a tree: normal, and what is displayed parses back.

#![no_main]

use hah_format::path::TreePath;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(path) = TreePath::from_bytes(bytes) else { return };
    hah_fuzz::round_trips(&path);
    assert!(path.components().all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255));
    for parent in path.ancestors() {
        assert!(path.starts_with(&parent) && parent < path);
        hah_fuzz::round_trips(&parent);
    }
});
