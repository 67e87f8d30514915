//! The scripts of `corpus/`: ours does with each what dash does.

#![expect(clippy::disallowed_methods, reason = "tests read their corpus from disk")]

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::sandbox;

/// Fewest scripts that the corpus may have.
const SCRIPTS_MIN: usize = 500;

/// The scripts of all files, each with its place.
fn scripts() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/shell/corpus");
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let topic = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let mut line = 1;
        for block in text.split("---\n") {
            found.push((format!("{topic}:{line}"), block.to_owned()));
            line += block.matches('\n').count() + 1;
        }
    }
    found
}

#[test]
fn every_script_of_the_corpus_does_what_it_does_in_dash() {
    if sandbox::dash_is_missing() {
        return;
    }
    let only = std::env::var("HAH_TEST_CORPUS").unwrap_or_default();
    let scripts: Vec<(String, String)> = scripts().into_iter().filter(|(place, _)| place.starts_with(&only)).collect();
    assert!(!only.is_empty() || scripts.len() >= SCRIPTS_MIN, "{} scripts", scripts.len());
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((place, text)) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let done = std::panic::catch_unwind(|| sandbox::difference(&place.replace(':', "-"), text));
                    let found = done.unwrap_or_else(|_| Some("  ours: a panic".to_owned()));
                    if let Some(found) = found {
                        wrong.lock().unwrap().push(format!("{place}:\n{text}{found}\n"));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), scripts.len(), wrong.join("\n"));
}
