//! `hah.lock`: what is read is written as a text that reads back as the same lock and is written the same way again.

#![no_main]

use hah_plan::lock::{Lock, diff, diff_artifacts};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let lock = match Lock::parse(text) {
        Ok(lock) => lock,
        Err(error) => return hah_fuzz::says_something(&error, error.hint()),
    };
    let written = lock.to_string();
    let again = Lock::parse(&written).unwrap_or_else(|error| panic!("{error}\n{written}"));
    assert_eq!(again, lock);
    assert_eq!(again.to_string(), written);
    assert!(diff(&lock, &again).is_empty() && diff_artifacts(&lock, &again).is_empty());
    for package in lock.packages() {
        lock.why(&package.name);
    }
    for artifact in lock.artifacts() {
        assert!(!lock.why_artifact(&artifact.name).iter().any(|reason| reason.to_string().is_empty()));
    }
    for image in lock.images() {
        lock.tree(&image.name, 3);
        lock.without_image(&image.name);
    }
});
