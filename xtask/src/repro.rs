//! `cargo xtask repro`: the same image, to the byte, whatever is different around the build.
//!
//! First `hah-image build --check`, which builds twice by itself. Then a build in which everything that may differ does:
//! the project's directory, the store (empty, with the same downloads), the date, the time zone, the language, the umask
//! and the number of threads.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::bench::store;
use crate::{apt, image, say, workspace};

const IMAGE: &str = "lab";
/// Everything that stands beside an image.
const COMPANIONS: [&str; 4] = ["sha256", "bmap", "closure", "json"];
const CHUNK: usize = 1 << 20;

/// Builds thrice, and compares.
pub(crate) fn run(shell: &Shell) -> Result<()> {
    apt::install(shell, &["faketime"])?;
    image::build(shell, IMAGE)?;
    let root = workspace::root()?;
    let program = store::program()?;
    let first = root.join(format!("out/{IMAGE}.img"));
    say::step("building again from an empty store, with one thread");
    cmd!(shell, "{program} --directory {root} --no-progress build {IMAGE} --output {first} --check")
        .quiet()
        .run()
        .context("two builds in one place differ, or failed")?;

    let scratch = root.join("out/repro");
    shell.remove_path(&scratch)?;
    let second = elsewhere(shell, &root, &scratch)?;
    let differences = differences(shell, &first, &second)?;
    if !differences.is_empty() {
        differences.iter().for_each(|difference| say::problem(difference));
        bail!("not reproducible: {} holds the other image", second.display());
    }
    let sum = shell.read_file(first.with_extension("sha256"))?;
    say::data(&format!(
        "reproducible: three builds, one of them two years later, elsewhere, in another language and time zone\n{sum}"
    ));
    Ok(shell.remove_path(&scratch)?)
}

/// Builds with everything different, and returns the image.
fn elsewhere(shell: &Shell, root: &Path, scratch: &Path) -> Result<PathBuf> {
    let program = store::program()?;
    let project = scratch.join("a place with spaces/project");
    let empty = scratch.join("store");
    let output = scratch.join(format!("output/{IMAGE}.img"));
    shell.create_dir(&project)?;
    for name in ["recipes", "images", "hah.lock"] {
        let from = root.join(name);
        cmd!(shell, "cp -R {from} {project}").quiet().run()?;
    }
    let lock = store::locked(shell, root, IMAGE)?;
    let missing = store::seed(&empty, &store::cache(shell, &program, root)?, &lock)?;
    ensure!(missing == 0, "{missing} downloads are not in the cache, though a build has just used them");

    say::step("building two years later, elsewhere");
    let script = "umask 077; exec faketime -m -f +2y \"$@\"";
    cmd!(shell, "sh -c {script} repro {program}")
        .args(["--jobs", "1", "--offline", "--no-progress", "--directory"])
        .arg(&project)
        .arg("--cache-dir")
        .arg(&empty)
        .args(["build", IMAGE, "--locked", "--output"])
        .arg(&output)
        .env("TZ", "Asia/Kathmandu")
        .env("LANG", "tr_TR.UTF-8")
        .env("LC_ALL", "tr_TR.UTF-8")
        .env("HOME", scratch)
        // Timeouts are measured by this one.
        .env("DONT_FAKE_MONOTONIC", "1")
        .quiet()
        .run()
        .context("the build elsewhere failed")?;
    Ok(output)
}

/// What is not the same, a line each.
fn differences(shell: &Shell, first: &Path, second: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for extension in COMPANIONS {
        let (a, b) = (first.with_extension(extension), second.with_extension(extension));
        if shell.read_file(&a)? != shell.read_file(&b)? {
            found.push(format!("{} and {} differ", a.display(), b.display()));
        }
    }
    let difference = first_difference(File::open(first)?, File::open(second)?)?;
    if let Some(offset) = difference {
        let manifest: Value = serde_json::from_str(&shell.read_file(first.with_extension("json"))?)?;
        let place = partition_at(&manifest, offset);
        found.push(format!("the images differ from byte {offset}, in {place}"));
    }
    Ok(found)
}

/// Offset of the first byte in which two files differ, or which only one of them has.
fn first_difference(mut first: impl Read, mut second: impl Read) -> Result<Option<u64>> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let mut offset = 0;
    loop {
        a.clear();
        b.clear();
        first.by_ref().take(CHUNK as u64).read_to_end(&mut a)?;
        second.by_ref().take(CHUNK as u64).read_to_end(&mut b)?;
        if a != b {
            let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
            return Ok(Some(offset + same as u64));
        }
        if a.is_empty() {
            return Ok(None);
        }
        offset += a.len() as u64;
    }
}

/// Which part of the disk a byte is in, by the image's manifest.
fn partition_at(manifest: &Value, offset: u64) -> String {
    let partitions = manifest["disk"]["partitions"].as_array().map(Vec::as_slice).unwrap_or_default();
    for partition in partitions {
        let (Some(start), Some(size)) = (partition["start"].as_u64(), partition["size"].as_u64()) else { continue };
        if (start..start + size).contains(&offset) {
            let name = partition["name"].as_str().unwrap_or("unnamed");
            return format!("partition {name}, {} bytes into it", offset - start);
        }
    }
    "the partition table or between partitions".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_different_byte_is_found() -> Result<()> {
        let long = vec![7; CHUNK + 10];
        let mut changed = long.clone();
        changed[CHUNK + 3] = 8;
        assert_eq!(first_difference(long.as_slice(), long.as_slice())?, None);
        assert_eq!(first_difference(long.as_slice(), changed.as_slice())?, Some(CHUNK as u64 + 3));
        assert_eq!(first_difference(&long[..5], long.as_slice())?, Some(5));
        Ok(())
    }

    #[test]
    fn a_byte_has_its_partition() {
        let manifest = serde_json::json!({"disk": {"partitions": [{"name": "boot", "start": 100, "size": 50}]}});
        assert_eq!(partition_at(&manifest, 120), "partition boot, 20 bytes into it");
        assert_eq!(partition_at(&manifest, 150), "the partition table or between partitions");
    }
}
