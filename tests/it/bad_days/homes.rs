//! Homes that are not there, and variables that the specification tells to ignore.

use std::path::Path;
use std::process::Command;

use crate::archive::project::{Run, Toy};

/// The program with these variables, in place of what the toy sets.
fn with(toy: &Toy, variables: &[(&str, Option<&str>)], args: &[&str]) -> Run {
    let mut command: Command = toy.command(args);
    for (name, value) in variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Run::of(&mut command)
}

/// XDG Base Directory Specification: "If an implementation encounters a relative path in any of these variables it should
/// consider the path invalid and ignore it."
#[test]
fn a_relative_xdg_directory_is_ignored() {
    let toy = Toy::new();
    let usual = format!("{}\n", toy.cache().display());
    for value in ["rel", "./rel", "../rel", ""] {
        assert_eq!(with(&toy, &[("XDG_CACHE_HOME", Some(value))], &["store", "path"]).succeeded().stdout, usual);
    }
    with(&toy, &[("XDG_CACHE_HOME", Some("rel"))], &["lock", "toy"]).succeeded();
    assert!(!toy.path("project/rel").exists() && toy.cache().join("downloads").exists());
    // Settings are neither read from there.
    toy.write("project/rel/hah-image/config.toml", "jobs = 77\n");
    let jobs = |value: &str| with(&toy, &[("XDG_CONFIG_HOME", Some(value))], &["config", "show"]).succeeded().stdout;
    assert!(!jobs("rel").contains("jobs = 77"));
    assert!(jobs(toy.path("project/rel").to_str().unwrap()).contains("jobs = 77"));
    // An absolute one counts, and is made.
    let cache = toy.path("new/cache");
    let run = with(&toy, &[("XDG_CACHE_HOME", cache.to_str())], &["lock", "toy"]);
    assert!(run.code == Some(0) && cache.join("hah-image/downloads").exists(), "{run}");
}

/// The verbs that need no cache work without a home; the others say what to do.
fn check_no_home(toy: &Toy, home: Option<&str>) {
    let home = [("HOME", home)];
    for args in [&["schema", "recipe"][..], &["config", "show"], &["completions", "bash"], &["reference", "cli"]] {
        with(toy, &home, args).succeeded();
    }
    for args in
        [&["build", "toy"][..], &["lock", "toy"], &["gc"], &["store", "path"], &["store", "verify"], &["doctor"]]
    {
        with(toy, &home, args).failed(1, &["there is no place for the cache", "--cache-dir", "HAH_IMAGE_CACHE_DIR"]);
    }
    let run = with(toy, &home, &["--cache-dir", "../elsewhere", "lock", "toy"]);
    assert_eq!(run.code, Some(0), "{home:?}: {run}");
    let run = with(toy, &[home[0], ("HAH_IMAGE_CACHE_DIR", Some("../elsewhere"))], &["store", "path"]);
    assert_eq!(run.stdout, "../elsewhere\n", "{run}");
    assert_eq!(toy.names("project"), ["hah-image.toml", "hah.lock", "images", "recipes"], "{home:?}");
    std::fs::remove_file(toy.path("project/hah.lock")).unwrap();
}

#[test]
fn without_home_there_is_no_cache_below_the_current_directory() {
    let toy = Toy::new();
    for home in [None, Some(""), Some("rel"), Some(".")] {
        check_no_home(&toy, home);
    }
}

/// As root `/nonexistent`, the home of system accounts, was made.
#[test]
fn a_home_that_is_not_there_is_not_made() {
    let toy = Toy::new();
    let absent = toy.path("absent/home");
    check_no_home(&toy, absent.to_str());
    assert!(!toy.path("absent").exists());
    toy.write("file", "");
    check_no_home(&toy, toy.path("file").to_str());
    check_no_home(&toy, Some("/dev/null"));
    let run = with(&toy, &[("HOME", absent.to_str())], &["doctor"]);
    assert!(run.stderr.contains(&absent.display().to_string()), "{run}");
    // A directory for caches that is not there is made; it is what the variable is for.
    let cache = toy.path("caches");
    with(&toy, &[("HOME", absent.to_str()), ("XDG_CACHE_HOME", cache.to_str())], &["lock", "toy"]).succeeded();
    assert!(cache.exists() && !toy.path("absent").exists());
}

#[test]
fn variables_that_say_nothing_or_nonsense() {
    let toy = Toy::new();
    let empty: Vec<(&str, Option<&str>)> = [
        "HAH_IMAGE_CACHE_DIR",
        "HAH_IMAGE_OFFLINE",
        "HAH_IMAGE_JOBS",
        "HAH_IMAGE_AGENT",
        "HAH_IMAGE_AGE_IDENTITY",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
    ]
    .map(|name| (name, Some("")))
    .into();
    let said = with(&toy, &empty, &["config", "show"]).succeeded().stdout;
    assert!(said.contains("offline = false") && !said.contains("environment"), "{said}");
    assert!(said.contains(&format!("cache-dir = {}", toy.cache().display())), "{said}");
    for (name, value) in
        [("HAH_IMAGE_OFFLINE", "maybe"), ("HAH_IMAGE_JOBS", "many"), ("HAH_IMAGE_JOBS", "0"), ("HAH_IMAGE_JOBS", "-1")]
    {
        with(&toy, &[(name, Some(value))], &["config", "show"]).failed(1, &[name, "takes"]);
    }
    for (value, wanted) in [("on", true), ("yes", true), ("1", true), ("0", false), ("off", false), ("false", false)] {
        let said = with(&toy, &[("HAH_IMAGE_OFFLINE", Some(value))], &["config", "show"]).succeeded().stdout;
        assert!(said.contains(&format!("offline = {wanted}")), "{value}: {said}");
    }
    // Nothing of ours is written there.
    with(&toy, &[("TMPDIR", Some("/nonexistent/tmp"))], &["build", "toy"]).succeeded();
    assert!(!Path::new("/nonexistent").exists());
}
