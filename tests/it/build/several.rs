//! Several images in one go: what they share is made once, and one that fails does not stop the others.

use crate::archive::deb::Deb;
use crate::archive::project::{BOARD, IMAGE, RECIPE, Run, Toy, debs, digest};

/// A fleet of images that differ in a parameter.
pub(crate) fn fleet(toy: &Toy, names: &[&str]) {
    for name in names {
        toy.write(&format!("project/images/{name}.toml"), format!("{IMAGE}\nparams.toy.greeting = \"{name}\"\n"));
    }
}

/// Results of images, by name.
fn results(run: &Run) -> Vec<serde_json::Value> {
    let all = run.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    all.filter(|value| value["event"] == "result").collect()
}

fn out(toy: &Toy, name: &str) -> std::path::PathBuf {
    toy.path("project/out").join(format!("{name}.img"))
}

#[test]
fn what_images_share_is_made_once() {
    let toy = Toy::new();
    fleet(&toy, &["a", "b"]);
    toy.run(&["lock"]).succeeded();
    let run = toy.run(&["build", "a", "b"]).succeeded();
    let count = |what: &str| run.stderr.matches(what).count();
    assert_eq!((count("Fetched"), count("Packed"), count("Built")), (1, 1, 2), "{run}");
    assert!(run.stderr.contains(&format!("{} packages", debs().len())), "{run}");
    assert_eq!(toy.names("home/.cache/hah-image/packs/v1").len(), debs().len());
    // Each is what it is alone, elsewhere.
    for name in ["a", "b"] {
        let alone = Toy::new();
        fleet(&alone, &["a", "b"]);
        alone.run(&["build", name]).succeeded();
        assert_eq!(digest(&out(&toy, name)), digest(&out(&alone, name)), "{name}");
    }
    assert_ne!(digest(&out(&toy, "a")), digest(&out(&toy, "b")));
    let run = toy.run(&["build", "b", "a", "b"]).succeeded();
    assert_eq!((run.stderr.matches("Fresh").count(), run.stderr.matches("Built").count()), (2, 0), "{run}");
    toy.run(&["build", "a", "b", "--check"]).succeeded();
}

#[test]
fn all_are_those_of_the_project_and_its_cluster() {
    let toy = Toy::new();
    fleet(&toy, &["a", "b"]);
    toy.write("project/cluster.toml", "name = \"toy\"\n[nodes.n]\nimage = \"b\"\n");
    let run = toy.run(&["--json", "build", "--all"]).succeeded();
    let names: Vec<String> = results(&run).iter().map(|result| result["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["a", "b", "toy"]);
    assert_eq!(toy.run(&["build", "--all", "a"]).code, Some(2));
    let empty = Toy::new();
    std::fs::remove_dir_all(empty.path("project/images")).unwrap();
    empty.run(&["build", "--all"]).failed(1, &["no image of its own", "lab"]);
}

#[test]
fn an_output_for_several_images_is_a_directory() {
    let toy = Toy::new();
    fleet(&toy, &["a", "b"]);
    toy.run(&["build", "a", "b", "-o", "cards"]).failed(2, &["2 images do not fit into one file", "-o cards/"]);
    assert!(!toy.path("project/hah.lock").exists(), "nothing was done");
    toy.run(&["build", "a", "b", "-o", "cards/"]).succeeded();
    for name in ["a.img", "b.img", "a.json", "b.bmap"] {
        assert!(toy.path("project/cards").join(name).exists(), "{name}");
    }
    let run = toy.run(&["build", "a", "b", "-o", "cards"]).succeeded();
    assert_eq!(run.stderr.matches("Fresh").count(), 2, "{run}");
}

#[test]
fn the_outcome_of_each_is_told() {
    let toy = Toy::new();
    fleet(&toy, &["a", "b"]);
    toy.run(&["build", "a"]).succeeded();
    let run = toy.run(&["--json", "build", "a", "b"]).succeeded();
    let results = results(&run);
    for (result, name, outcome) in [(&results[0], "a", "unchanged"), (&results[1], "b", "built")] {
        assert_eq!((&result["name"], &result["outcome"]), (&name.into(), &outcome.into()), "{run}");
        assert_eq!(result["image"], out(&toy, name).to_string_lossy().as_ref());
        assert_eq!(result["sha256"], digest(&out(&toy, name)));
    }
    std::fs::remove_dir_all(toy.path("project/out")).unwrap();
    let run = toy.run(&["-q", "build", "b", "a"]).succeeded();
    assert_eq!(run.stdout, format!("{}\n{}\n", out(&toy, "b").display(), out(&toy, "a").display()));
    assert_eq!(run.stderr, "");
}

/// Ten images of which one fails, in each of the ways in which one can.
#[test]
fn nine_of_ten_are_built() {
    const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let bad = Deb::new("bad", "1").file("/usr/bin/bad", 0o755, "bad").damaged(|bytes| {
        let middle = bytes.len() / 2;
        bytes.truncate(middle);
    });
    let lost = Deb::new("lost", "1").file("/usr/bin/lost", 0o755, "lost");
    let toy = Toy::with(&[debs(), vec![bad, lost]].concat(), &Default::default());
    fleet(&toy, &NAMES);
    let with = |package: &str| RECIPE.replace("packages = [", &format!("packages = [\"{package}\", "));
    let image = |text: &str| toy.write("project/images/e.toml", text);
    let other = |recipe: &str| image(&IMAGE.replace("[\"toy\"]", &format!("[\"{recipe}\"]")));
    toy.write("project/recipes/bad.toml", with("bad"));
    toy.write("project/recipes/lost.toml", with("lost"));
    toy.write("project/recipes/boards/bare.toml", BOARD.replace("/boot/vmlinuz-VERSION", "/boot/nothing-VERSION"));
    toy.run(&["lock", "a", "b", "c", "d"]).succeeded();
    let check = |code: i32, says: &[&str]| {
        let run = toy.run(&[&["build"], &NAMES[..]].concat());
        let run = run
            .failed(code, &[&["image e could not be built:", "1 of 10 images could not be built: e"], says].concat());
        for name in NAMES {
            assert_eq!(out(&toy, name).exists(), name != "e", "{name}: {run}");
        }
        let json = toy.run(&[&["--json", "build"], &NAMES[..]].concat());
        assert_eq!(json.code, Some(code), "{json}");
        let outcomes: Vec<String> =
            results(&json).iter().map(|result| result["outcome"].as_str().unwrap().to_owned()).collect();
        let want: Vec<&str> = NAMES.iter().map(|name| if *name == "e" { "failed" } else { "unchanged" }).collect();
        assert_eq!(outcomes, want, "{json}");
        assert_eq!(json.stderr, "");
        toy.assert_nothing_half_written();
        let drafts: Vec<String> = toy.names("project/out").into_iter().filter(|name| name.starts_with('.')).collect();
        assert_eq!(drafts, [""; 0]);
    };
    // Its recipe cannot be read.
    image("board =");
    check(1, &["images/e.toml"]);
    // It cannot be locked.
    toy.write("project/recipes/none.toml", with("no-such-package"));
    other("none");
    check(1, &["no-such-package"]);
    // One of its packages cannot be packed.
    other("bad");
    check(100, &["bad"]);
    // It cannot be fetched.
    other("lost");
    toy.run(&["lock", "e"]).succeeded();
    std::fs::remove_file(toy.pool("lost")).unwrap();
    check(100, &["lost 1"]);
    // It is not what was locked.
    toy.write("archive/pool/lost_1_arm64.deb", "something else");
    check(102, &["lost 1"]);
    // It cannot be configured.
    image(&IMAGE.replace("board = \"toy\"", "board = \"bare\""));
    check(100, &["no package ships a kernel"]);
    // There is no place for it.
    fleet(&toy, &["e"]);
    std::fs::create_dir_all(out(&toy, "e")).unwrap();
    let run = toy.run(&[&["build"], &NAMES[..]].concat());
    run.failed(1, &["1 of 10 images could not be built: e", "e.img is a directory"]);
    std::fs::remove_dir(out(&toy, "e")).unwrap();
    toy.run(&[&["build"], &NAMES[..]].concat()).succeeded();
}

/// What is wrong for all of them is said once.
#[test]
fn one_reason_is_told_once() {
    let toy = Toy::new();
    fleet(&toy, &["a", "b", "c"]);
    toy.run(&["lock"]).succeeded();
    std::fs::remove_file(toy.pool("toy-data")).unwrap();
    let run = toy.run(&["build", "a", "b", "c"]).failed(100, &["images a, b, c could not be built:", "3 of 3 images"]);
    assert_eq!(run.stderr.matches("cannot fetch toy-data").count(), 1, "{run}");
    // A stale lock, likewise, with the one command that mends it.
    toy.write("project/recipes/toy.toml", RECIPE.replace("\"toy-daemon\"", "\"toy-daemon\", \"toy-data\""));
    let run = toy.run(&["build", "a", "b", "c", "--locked"]);
    let run = run.failed(1, &["does not answer the recipes of images a, b, c", "run `hah-image lock a b c`"]);
    assert_eq!(run.stderr.matches("does not answer").count(), 1, "{run}");
}

/// Of two failures the graver decides: bytes that are not what they should be before a slip in a recipe.
#[test]
fn the_gravest_failure_decides_the_exit_code() {
    let toy = Toy::new();
    fleet(&toy, &["a", "b"]);
    toy.run(&["lock"]).succeeded();
    toy.write("project/images/a.toml", "board =");
    toy.write("archive/pool/toy-data_2.0~rc1-1_arm64.deb", "something else");
    toy.run(&["build", "a", "b"]).failed(102, &["image a could not", "image b could not", "2 of 2 images"]);
}
