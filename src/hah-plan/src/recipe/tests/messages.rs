//! What people read when something is wrong: one snapshot a message. The files, boards and packages of a project are here;
//! what is in them has a module for each noun.

mod values;
mod parameters;
mod templates;
mod merging;
mod artifacts;

use super::*;

const BOARD: &str = r#"
summary = "A board"
architecture = "arm64"
packages = ["linux-image-arm64"]
tables = { default = "gpt", refused = { mbr = "its firmware reads no MBR" } }
kernel = { image = "/boot/vmlinuz-VERSION", modules = "/usr/lib/modules/VERSION" }
stage1 = { modules = ["ext4"] }
"#;

const BASE: &str = r#"
summary = "A base"
packages = ["systemd"]
[[suite]]
name = "trixie"
"#;

const IMAGE: &str = "summary = \"An image\"\nboard = \"b\"\nrecipes = [\"base\", \"r\"]\n";

/// What is wrong with these files, which stand beside a good board, a good recipe `base` and an image with `base` and `r`.
#[track_caller]
fn wrong(files: &[(&str, &str)]) -> String {
    wrong_with(files, &[])
}

#[track_caller]
fn wrong_with(files: &[(&str, &str)], overrides: &[&str]) -> String {
    let good = [("recipes/boards/b.toml", BOARD), ("recipes/base.toml", BASE), ("images/i.toml", IMAGE)];
    let mut sources = project(&good);
    sources.insert("recipes/r.toml", "recipes/r.toml", "summary = \"R\"\n");
    for (path, text) in files {
        sources.insert(path, path, *text);
    }
    let overrides: Vec<Override> =
        overrides.iter().map(|text| Override { origin: "--set".to_owned(), text: (*text).to_owned() }).collect();
    match load(&sources, "i", &overrides) {
        Ok(_) => panic!("nothing is wrong"),
        Err(diagnostics) => diagnostics.to_string(),
    }
}

/// What is wrong with a recipe `r` of this text.
#[track_caller]
fn recipe(text: &str) -> String {
    wrong(&[("recipes/r.toml", &format!("summary = \"R\"\n{text}"))])
}

/// What is wrong with an image that has these lines more.
#[track_caller]
fn image(text: &str) -> String {
    wrong(&[("images/i.toml", &format!("{IMAGE}{text}"))])
}

#[test]
fn good_files_are_good() {
    let sources = project(&[
        ("recipes/boards/b.toml", BOARD),
        ("recipes/base.toml", BASE),
        ("recipes/r.toml", "summary = \"R\"\n"),
        ("images/i.toml", IMAGE),
    ]);
    assert!(load(&sources, "i", &[]).is_ok());
}

#[test]
fn missing_files() {
    insta::assert_snapshot!(load(&project(&[("images/lab.toml", "")]), "lad", &[]).unwrap_err(), @"
    error: there is no image `lad`
       = hint: did you mean `lab`?
    ");
    insta::assert_snapshot!(load(&project(&[]), "lab", &[]).unwrap_err(), @"
    error: there is no image `lab`
       = hint: the project has no file of images; `hah-image init` writes one
    ");
    insta::assert_snapshot!(wrong(&[("images/i.toml", "summary = \"I\"\nboard = \"c\"\nrecipes = [\"bose\"]\n")]), @r#"
    error: there is no board `c`
      --> images/i.toml:2:9
       |
     2 | board = "c"
       |         ^^^
       = hint: there are: b

    error: there is no recipe `bose`
      --> images/i.toml:3:12
       |
     3 | recipes = ["bose"]
       |            ^^^^^^
       = hint: did you mean `base`?
    "#);
    insta::assert_snapshot!(recipe("requires = [\"nomad\"]"), @r#"
    error: there is no recipe `nomad`
      --> recipes/r.toml:2:13
       |
     2 | requires = ["nomad"]
       |             ^^^^^^^
       = hint: there are: base, r
    "#);
    insta::assert_snapshot!(load_board(&project(&[]), "b").unwrap_err(), @"
    error: there is no board `b`
       = hint: the project has no file of boards; `hah-image init` writes one
    ");
}

#[test]
fn all_errors_at_once() {
    let text = "sumary = \"x\"\npackages = [\"Bash\", 5, { name = \"ok\", version = \"1\" }]\nkernel = \"x\"\n[[file]]\nmode = \"644\"\n";
    insta::assert_snapshot!(wrong(&[("recipes/r.toml", text), ("recipes/base.toml", "summary = 1\nx = 2")]), @r#"
    error: `summary` is an integer, expected a string
      --> recipes/base.toml:1:11
       |
     1 | summary = 1
       |           ^

    error: unknown key `x` in a recipe
      --> recipes/base.toml:2:1
       |
     2 | x = 2
       | ^
       = hint: known keys: summary, requires, params, packages, provides, suite, archive, artifact, file, directory, symlink, remove, user, group, unit, nomad-job, sysctl, kernel, script, persist, os-release, debconf, ids

    error: a recipe needs `summary`
      --> recipes/r.toml:1:1
       |
     1 | sumary = "x"
       | ^
       = hint: add `summary`: What it adds to a node, in one line.

    error: unknown key `sumary` in a recipe
      --> recipes/r.toml:1:1
       |
     1 | sumary = "x"
       | ^^^^^^
       = hint: did you mean `summary`?

    error: `Bash` is not a Debian package name: lower-case letters, digits, `+`, `-` and `.`
      --> recipes/r.toml:2:13
       |
     2 | packages = ["Bash", 5, { name = "ok", version = "1" }]
       |             ^^^^^^

    error: `packages` is an integer, expected a string or a table
      --> recipes/r.toml:2:21
       |
     2 | packages = ["Bash", 5, { name = "ok", version = "1" }]
       |                     ^

    error: unknown key `version` in a package
      --> recipes/r.toml:2:39
       |
     2 | packages = ["Bash", 5, { name = "ok", version = "1" }]
       |                                       ^^^^^^^
       = hint: known keys: name, suite, recommends, when

    error: `kernel` is a string, expected a table
      --> recipes/r.toml:3:10
       |
     3 | kernel = "x"
       |          ^^^

    error: a [[file]] entry needs `path`
      --> recipes/r.toml:4:1
       |
     4 | [[file]]
       | ^^^^^^^^
       = hint: add `path`: Where, from the root.

    error: a [[file]] entry has no content
      --> recipes/r.toml:4:1
       |
     4 | [[file]]
       | ^^^^^^^^
       = hint: add one of `content`, `source`, `template` and `template-source`

    error: `644` is not a mode: octal digits such as `0644`
      --> recipes/r.toml:5:8
       |
     5 | mode = "644"
       |        ^^^^^
    "#);
}

#[test]
fn packages() {
    insta::assert_snapshot!(recipe("packages = [{ name = \"consul\", suite = \"bullsey\" }]"), @r#"
    error: there is no suite `bullsey`
      --> recipes/r.toml:2:22
       |
     2 | packages = [{ name = "consul", suite = "bullsey" }]
       |                      ^^^^^^^^
       = hint: declare it with `[[suite]]`
    "#);
    insta::assert_snapshot!(recipe("packages = [{ name = \"a1\", suite = \"trixie\" }, { name = \"a1\", suite = \"sid\" }]"), @r#"
    error: package `a1` is asked for from suite `trixie` and from suite `sid`
      --> recipes/r.toml:2:57
       |
     2 | packages = [{ name = "a1", suite = "trixie" }, { name = "a1", suite = "sid" }]
       |                                                         ^^^^
      ::: recipes/r.toml:2:22
       |
     2 | packages = [{ name = "a1", suite = "trixie" }, { name = "a1", suite = "sid" }]
       |                      ---- first asked for here
       = hint: one version can be installed; agree on a suite
    "#);
    insta::assert_snapshot!(wrong(&[("recipes/base.toml", "summary = \"B\"")]), @"
    error: no recipe of the image declares a suite, so there is nowhere to take packages from
       = hint: add the recipe `base`, or a `[[suite]]` entry
    ");
}

#[test]
fn boards() {
    insta::assert_snapshot!(image("table = \"mbr\""), @r#"
    error: board `b` cannot boot from mbr: its firmware reads no MBR
      --> images/i.toml:4:9
       |
     4 | table = "mbr"
       |         ^^^^^
       = hint: drop `table`: the board's own is known to boot
    "#);
    let board = |text: &str| wrong(&[("recipes/boards/b.toml", &format!("config-txt = '''\n{text}\n'''\n{BOARD}"))]);
    insta::assert_snapshot!(board(&"a".repeat(120)), @"
    error: config.txt has a line of 120 characters; the firmware reads 98
      --> recipes/boards/b.toml:1:14
       |
     1 | config-txt = '''
       |              ^^^
       = hint: shorten it
    ");
    let board = |text: &str| wrong(&[("recipes/boards/b.toml", &format!("{BOARD}{text}\n"))]);
    insta::assert_snapshot!(board("[[firmware]]\npath = \"/usr/lib/x\"\nname = \"bootcode.binary\""), @r#"
    error: `bootcode.binary` is not an 8.3 name
       --> recipes/boards/b.toml:10:8
        |
     10 | name = "bootcode.binary"
        |        ^^^^^^^^^^^^^^^^^
        = hint: early boot stages match short names only
    "#);
    insta::assert_snapshot!(board("device-trees = [\"a.dtb\"]\n[[machine]]\nname = \"v\"\nprogram = \"q\"\nargs = []\nmemory = \"1 GiB\"\ndisk = \"sd\"\nnetwork = \"usb\"\ndevice-tree = \"b.dtb\""), @r#"
    error: `device-tree` cannot be `b.dtb`
       --> recipes/boards/b.toml:16:15
        |
     16 | device-tree = "b.dtb"
        |               ^^^^^^^
        = hint: did you mean `a.dtb`?
    "#);
    let other = BOARD.replace("mbr = ", "gpt = ").replace("/boot/vmlinuz-VERSION", "/boot/vmlinuz");
    insta::assert_snapshot!(wrong(&[("recipes/boards/b.toml", &other)]), @r#"
    error: `gpt` is the default and refused
      --> recipes/boards/b.toml:5:41
       |
     5 | tables = { default = "gpt", refused = { gpt = "its firmware reads no MBR" } }
       |                                         ^^^
       = hint: keep one of them

    error: `/boot/vmlinuz` is not an absolute path with the word VERSION for the kernel's version
      --> recipes/boards/b.toml:6:20
       |
     6 | kernel = { image = "/boot/vmlinuz", modules = "/usr/lib/modules/VERSION" }
       |                    ^^^^^^^^^^^^^^^
    "#);
}
