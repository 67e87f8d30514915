//! The plan is what `--dry-run` prints and what a build does, step by step.

use std::collections::BTreeSet;

use crate::archive::project::{IMAGE, RECIPE, Run, Toy};

/// Steps as `KIND KEY`.
type Steps = BTreeSet<String>;

/// The events of one kind.
fn events(run: &Run, event: &str) -> Vec<serde_json::Value> {
    let all = run.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    all.filter(|value| value["event"] == event).collect()
}

fn steps<'a>(events: impl IntoIterator<Item = &'a serde_json::Value>) -> Steps {
    let text = |value: &serde_json::Value, field: &str| value[field].as_str().unwrap().to_owned();
    events.into_iter().map(|value| format!("{} {}", text(value, "kind"), text(value, "key"))).collect()
}

/// Builds the images, which must do exactly what the dry run before it said; what was done, by kind.
#[track_caller]
fn as_announced(toy: &Toy, images: &[&str]) -> Vec<String> {
    let dry = toy.run(&[&["--json", "build", "--dry-run"], images].concat()).succeeded();
    let rows = events(&dry, "result");
    let announced = steps(rows.iter().filter(|row| row["state"] == "to make"));
    let cached = steps(rows.iter().filter(|row| row["state"] != "to make"));
    let built = toy.run(&[&["--json", "build"], images].concat()).succeeded();
    let done = events(&built, "derivation");
    for event in &done {
        let want = if event["kind"] == "fetch" { "fetched" } else { "made" };
        assert_eq!(event["outcome"], want, "{event}");
    }
    // What derives from a merged root is not known before, unless the image was made before.
    let known =
        |event: &&serde_json::Value| event["kind"] != "derived" || rows.iter().any(|row| row["key"] == event["key"]);
    let all = steps(&done);
    assert_eq!(all.len(), done.len(), "no step is done twice: {built}");
    assert_eq!(steps(done.iter().filter(known)), announced, "{dry}\n{built}");
    assert!(all.is_disjoint(&cached), "{dry}\n{built}");
    let mut kinds: Vec<String> = all.iter().map(|step| step.split(' ').next().unwrap().to_owned()).collect();
    kinds.sort();
    kinds
}

/// `n` times each word.
fn times(words: &[(&str, usize)]) -> Vec<String> {
    words.iter().flat_map(|(word, count)| std::iter::repeat_n((*word).to_owned(), *count)).collect()
}

#[test]
fn a_build_does_what_the_dry_run_says() {
    let toy = Toy::new();
    let packages = crate::archive::project::debs().len();
    toy.write("project/images/other.toml", format!("{IMAGE}\nparams.toy.greeting = \"hi\"\n"));
    toy.run(&["lock"]).succeeded();
    // A fresh project: everything.
    let all = [("derived", 1), ("fetch", packages), ("image", 1), ("kernel", 1), ("pack", packages)];
    assert_eq!(as_announced(&toy, &["toy"]), times(&all));
    // Nothing has changed.
    assert_eq!(as_announced(&toy, &["toy"]), times(&[]));
    // Another image of the fleet.
    assert_eq!(as_announced(&toy, &["toy", "other"]), times(&[("image", 1)]));
    // One changed line.
    toy.write("project/recipes/toy.toml", RECIPE.replace("{{ level }}", "{{ level }}!"));
    assert_eq!(as_announced(&toy, &["toy", "other"]), times(&[("image", 2)]));
    let cache = |directory: &str| toy.path("home/.cache/hah-image").join(directory);
    let empty = |directory: &str| {
        for name in toy.names(&format!("home/.cache/hah-image/{directory}")) {
            std::fs::remove_file(cache(directory).join(name)).unwrap();
        }
    };
    // Downloads are not needed when their packs are there, and nothing is needed when the images are.
    empty("downloads/sha256");
    assert_eq!(as_announced(&toy, &["toy", "other"]), times(&[]));
    empty("packs/v1");
    empty("derived/v1");
    assert_eq!(as_announced(&toy, &["toy", "other"]), times(&[]));
    // They are, when one of the images is not; what it derived is known by now.
    std::fs::remove_file(toy.image()).unwrap();
    assert_eq!(as_announced(&toy, &["toy", "other"]), times(&all));
    // One pack that is gone, and the kernel.
    std::fs::remove_file(toy.image()).unwrap();
    let pack = toy.names("home/.cache/hah-image/packs/v1").remove(0);
    std::fs::remove_file(cache("packs/v1").join(pack)).unwrap();
    empty("derived/v1");
    assert_eq!(as_announced(&toy, &["toy"]), times(&[("derived", 1), ("image", 1), ("kernel", 1), ("pack", 1)]));
}

/// For people: a line a step, with what would become of it.
#[test]
fn a_dry_run_for_people() {
    let toy = Toy::new();
    toy.run(&["lock", "toy"]).succeeded();
    let state = |line: &str| line.get(13..20).unwrap_or_default().trim().to_owned();
    let said = toy.run(&["build", "toy", "--dry-run"]).succeeded().stdout;
    let line = |said: &str, what: &str| said.lines().find(|line| line.ends_with(what)).unwrap_or_default().to_owned();
    for what in
        ["fetch base-files 13 (arm64)", "pack base-files 13 (arm64)", "kernel /boot/vmlinuz-VERSION", "image toy"]
    {
        assert_eq!(state(&line(&said, what)), "to make", "{what}: {said}");
    }
    toy.build();
    std::fs::remove_dir_all(toy.path("home/.cache/hah-image/downloads/sha256")).unwrap();
    let said = toy.run(&["build", "toy", "--dry-run"]).succeeded().stdout;
    assert_eq!(state(&line(&said, "fetch base-files 13 (arm64)")), "spare", "{said}");
    for what in ["pack base-files 13 (arm64)", "derived module index of 6.0-toy", "image toy"] {
        assert_eq!(state(&line(&said, what)), "cached", "{what}: {said}");
    }
}
