use std::collections::BTreeMap;

use hah_format::path::TreePath;

use crate::commands::playground::{Entry, Playground, disk_listing, on_disk, real, text};
use crate::merge::Origin;

const TREE: &[(&str, Entry<'static>)] = &[
    ("bin", Entry::Link("usr/bin")),
    ("usr/bin/a", Entry::File(0o755, "a")),
    ("usr/bin/b", Entry::File(0o755, "b")),
    ("usr/bin/c", Entry::File(0o755, "c")),
    ("usr/bin/taken", Entry::File(0o755, "taken")),
    ("usr/share/man/man1/a.1.gz", Entry::File(0o644, "")),
    ("usr/share/man/man1/b.1.gz", Entry::File(0o644, "")),
    ("usr/share/man/man1/real.1.gz", Entry::File(0o644, "")),
    ("usr/lib/x", Entry::Dir(0o755)),
    ("var/lib/dpkg/alternatives", Entry::Dir(0o755)),
    ("etc/alternatives", Entry::Dir(0o755)),
    ("var/log", Entry::Dir(0o755)),
];

/// Commands that the tool and ours run one after the other, each list on a fresh tree.
const SESSIONS: &[&[&str]] = &[
    &[
        "--install /usr/bin/x x /usr/bin/a 10 --slave /usr/share/man/man1/x.1.gz x.1.gz /usr/share/man/man1/a.1.gz",
        "--install /usr/bin/x x /usr/bin/b 20 --slave /usr/share/man/man1/x.1.gz x.1.gz /usr/share/man/man1/b.1.gz",
        "--install /usr/bin/x x /usr/bin/c 5",
        "--query x",
        "--display x",
        "--list x",
        "--set x /usr/bin/c",
        "--query x",
        "--get-selections",
        "--install /usr/bin/x x /usr/bin/a 100",
        "--remove x /usr/bin/c",
        "--auto x",
        "--remove x /usr/bin/a",
        "--remove x /usr/bin/b",
        "--remove x /usr/bin/b",
        "--display x",
    ],
    &[
        "--quiet --install /usr/bin/x x /usr/bin/b 10",
        "--quiet --install /usr/bin/x x /usr/bin/a 10",
        "--query x",
        "--auto x",
        "--remove-all x",
        "--remove-all x",
        "--get-selections",
    ],
    &[
        "--install /usr/bin/taken taken /usr/bin/a 1",
        "--force --install /usr/bin/taken taken /usr/bin/b 2",
        "--verbose --remove taken /usr/bin/none",
        "--remove-all taken",
    ],
    &[
        "--install /usr/bin/x x /usr/bin/none 1",
        "--install usr/bin/x x /usr/bin/a 1",
        "--install /usr/bin/x x/y /usr/bin/a 1",
        "--install /usr/bin/x x /usr/bin/a ten",
        "--install /usr/bin/x x /usr/bin/x 1",
        "--install /usr/bin/x x",
        "--slave /a b /c",
        "--set x /usr/bin/a",
        "--auto x",
        "--frobnicate",
        "word",
        "",
        "--auto x --list x",
        "--remove x /usr/bin/a",
        "--remove x usr/bin/a",
        "--get-selections",
    ],
    &[
        "--install /usr/bin/x x /usr/bin/a 1 --slave /usr/bin/y y /usr/bin/b",
        "--install /usr/bin/y z /usr/bin/a 1",
        "--install /usr/bin/z y /usr/bin/a 1",
        "--install /usr/bin/x other /usr/bin/a 1",
        "--install /usr/bin/o o /usr/bin/a 1 --slave /usr/bin/y2 y /usr/bin/b",
        "--install /usr/bin/o o /usr/bin/a 1 --slave /usr/bin/y yy /usr/bin/b",
        "--install /usr/bin/o o /usr/bin/a 1 --slave /usr/bin/x2 x /usr/bin/b",
        "--install /usr/bin/x x /usr/bin/a 1 --slave /usr/bin/y yy /usr/bin/b",
        "--install /usr/bin/x x /usr/bin/a 1 --slave /usr/bin/q x /usr/bin/b",
        "--install /usr/bin/x x /usr/bin/a 1 --slave /usr/bin/q q /usr/bin/q",
        "--install /usr/bin/x2 x /usr/bin/a 1 --slave /usr/bin/y2 y /usr/bin/b --slave /usr/bin/n n /usr/bin/c",
        "--install /usr/bin/x2 x /usr/bin/a 1 --slave /usr/bin/y2 y /usr/bin/gone",
        "--install /usr/bin/x2 x /usr/bin/a 1",
        "--query x",
    ],
    &[
        "--install /usr/bin/x x /usr/bin/a 1 --slave /usr/share/man/man1/real.1.gz real.1.gz /usr/share/man/man1/a.1.gz",
        "--install /usr/bin/x x /usr/bin/b 2",
        "--display x",
    ],
    &[
        "--install /usr/lib/x x /usr/bin/a 1",
        "--install /nowhere/x y /usr/bin/a 1",
        "--config none",
        "--skip-auto --config x",
    ],
];

/// What the tool says, without its root in front of paths, and in the words of later versions.
fn plain(said: &str, root: &str) -> String {
    let mut said = said.replace(root, "");
    for (old, new) in [
        ("doesn't", "does not"),
        ("isn't", "is not"),
        ("can't", "cannot"),
        ("unable to", "cannot"),
        ("error creating", "cannot create"),
        ("it's not a symlink", "it is not a symbolic link"),
    ] {
        said = said.replace(old, new);
    }
    said
}

#[test]
fn sessions_agree_with_update_alternatives() {
    for session in SESSIONS {
        let scratch = on_disk("update-alternatives", TREE);
        let mut ours = Playground::of(TREE);
        let root = scratch.path().to_owned();
        for line in *session {
            let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
            let admindir = format!("{root}/var/lib/dpkg/alternatives");
            let before = ["update-alternatives", "--root", &root, "--admindir", &admindir];
            let Some(theirs) = real(&[&before[..], &words].concat(), &[]) else { return };
            let (status, stdout, stderr) = text(&theirs);
            let found = ours.said(&[&["update-alternatives"][..], &words].concat());
            assert_eq!(found.0, status, "{line}: {stderr}{}", found.2);
            assert_eq!(found.1, plain(&stdout, &root), "{line}");
            // Which commands there are differs from version to version.
            if !stderr.contains("need --display") {
                assert_eq!(found.2, plain(&stderr, &root), "{line}");
            }
            let mut theirs: BTreeMap<String, String> = disk_listing(&scratch);
            theirs.retain(|at, _| at != "var/log/alternatives.log" && !at.ends_with(".dpkg-tmp"));
            assert_eq!(ours.listing(), theirs, "{line}");
        }
    }
}

#[test]
fn selections_are_read_from_standard_input() {
    let scratch = on_disk("selections", TREE);
    drop(scratch);
    let mut ours = Playground::of(TREE);
    ours.run(&["update-alternatives", "--install", "/usr/bin/x", "x", "/usr/bin/a", "1"]);
    ours.run(&["update-alternatives", "--install", "/usr/bin/x", "x", "/usr/bin/b", "2"]);
    let said = ours
        .try_run(&["update-alternatives", "--set-selections"], "x manual /usr/bin/a\nnone auto /y\nx\n")
        .map(|finished| text(&finished))
        .unwrap();
    assert_eq!(said.0, 0);
    assert!(said.1.contains("skip unknown alternative none") && said.1.contains("skip invalid selection line: x"));
    assert_eq!(ours.link("etc/alternatives/x").as_deref(), Some("/usr/bin/a"));
}

#[test]
fn what_the_image_leaves_out_is_not_offered_and_not_missed() {
    let package = crate::rootfs::UnpackedPackage {
        name: "bash".parse().unwrap(),
        version: "1".parse().unwrap(),
        architecture: "arm64".parse().unwrap(),
        control: BTreeMap::new(),
        tree: {
            let mut tree = crate::rootfs::Root::new();
            let file = hah_format::tree::Node::file(0o644, crate::rootfs::Content::inline(*b""));
            tree.insert(TreePath::parse("usr/share/man/man7/bash-builtins.7.gz").unwrap(), file).unwrap();
            tree
        },
    };
    let mut ours = Playground::of(TREE);
    ours.world.packages = Box::leak(Box::new([package]));
    let page = "/usr/share/man/man7/bash-builtins.7.gz";
    let link = "/usr/share/man/man7/builtins.7.gz";
    assert_eq!(
        ours.said(&["update-alternatives", "--install", link, "builtins.7.gz", page, "10"]),
        (0, String::new(), String::new())
    );
    assert_eq!(ours.text("var/lib/dpkg/alternatives/builtins.7.gz"), None);
    let said = ours.said(&[
        "update-alternatives",
        "--install",
        "/usr/bin/x",
        "x",
        "/usr/bin/a",
        "1",
        "--slave",
        link,
        "builtins.7.gz",
        page,
    ]);
    assert_eq!(
        said,
        (0, "update-alternatives: using /usr/bin/a to provide /usr/bin/x (x) in auto mode\n".into(), String::new())
    );
}

/// Java's manual pages stand below /usr/lib/jvm, their links where images have no manual pages.
#[test]
fn a_link_whose_directory_the_image_leaves_out_is_not_missed() {
    let mut ours = Playground::of(TREE);
    let words =
        "update-alternatives --install /usr/bin/x x /usr/bin/a 1 --slave /usr/share/man/man1/x.1.gz x.1.gz /usr/bin/b";
    let said = ours.said(&words.split(' ').collect::<Vec<_>>());
    assert_eq!(
        said,
        (0, "update-alternatives: using /usr/bin/a to provide /usr/bin/x (x) in auto mode\n".into(), String::new())
    );
    assert_eq!(ours.link("etc/alternatives/x").as_deref(), Some("/usr/bin/a"));
}

#[test]
fn a_recipes_own_choice_stays() {
    let mut ours = Playground::of(TREE);
    let choice = TreePath::parse("etc/alternatives/x").unwrap();
    ours.world.make_symlink(&TreePath::root(), "/etc/alternatives/x", "/usr/bin/c").unwrap();
    ours.world.provenance.claim(choice, Origin::Recipe("mine".into()));
    for (path, priority) in [("/usr/bin/a", "1"), ("/usr/bin/c", "2"), ("/usr/bin/b", "30")] {
        assert_eq!(ours.run(&["update-alternatives", "--install", "/usr/bin/x", "x", path, priority]).status, 0);
    }
    assert_eq!(ours.link("etc/alternatives/x").as_deref(), Some("/usr/bin/c"));
    assert_eq!(ours.link("usr/bin/x").as_deref(), Some("/etc/alternatives/x"));
}

#[test]
fn what_would_ask_somebody_is_refused() {
    let mut ours = Playground::of(TREE);
    ours.run(&["update-alternatives", "--install", "/usr/bin/x", "x", "/usr/bin/a", "1"]);
    for words in [&["--config", "x"][..], &["--all"], &["--altdir", "/x", "--auto", "x"]] {
        assert!(ours.try_run(&[&["update-alternatives"][..], words].concat(), "").is_err(), "{words:?}");
    }
}
