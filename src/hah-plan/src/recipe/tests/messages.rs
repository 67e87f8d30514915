//! What people read when something is wrong: one snapshot a message.

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
       = hint: known keys: summary, requires, params, packages, provides, suite, artifact, file, directory, symlink, remove, user, group, unit, nomad-job, sysctl, kernel, persist, os-release

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
       = hint: known keys: name, suite, when

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
fn toml_itself() {
    insta::assert_snapshot!(recipe("packages = [\"a\"\n[[file]"), @"
    error: missing comma between array elements, expected `,`
      --> recipes/r.toml:3:1
       |
     3 | [[file]
       | ^
    ");
    insta::assert_snapshot!(recipe("packages = []\npackages = []\n"), @"
    error: duplicate key
      --> recipes/r.toml:3:1
       |
     3 | packages = []
       | ^^^^^^^^
    ");
    insta::assert_snapshot!(recipe("params.a = { type = \"integer\", doc = \"d\", default = 99999999999999999999 }"), @r#"
    error: the integer does not fit into 64 bits
      --> recipes/r.toml:2:53
       |
     2 | params.a = { type = "integer", doc = "d", default = 99999999999999999999 }
       |                                                     ^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn shapes() {
    insta::assert_snapshot!(recipe("pakages = []"), @"
    error: unknown key `pakages` in a recipe
      --> recipes/r.toml:2:1
       |
     2 | pakages = []
       | ^^^^^^^
       = hint: did you mean `packages`?
    ");
    insta::assert_snapshot!(recipe("docker = true"), @"
    error: unknown key `docker` in a recipe
      --> recipes/r.toml:2:1
       |
     2 | docker = true
       | ^^^^^^
       = hint: known keys: summary, requires, params, packages, provides, suite, artifact, file, directory, symlink, remove, user, group, unit, nomad-job, sysctl, kernel, persist, os-release
    ");
    insta::assert_snapshot!(recipe("packages = \"bash\""), @r#"
    error: `packages` is a string, expected an array, each item a string or a table
      --> recipes/r.toml:2:12
       |
     2 | packages = "bash"
       |            ^^^^^^
    "#);
    insta::assert_snapshot!(recipe("file = { path = \"/etc/x\" }"), @r#"
    error: `file` is a table, expected an array of tables
      --> recipes/r.toml:2:8
       |
     2 | file = { path = "/etc/x" }
       |        ^^^^^^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(recipe("packages = [1.5]"), @"
    error: `packages` is a float, expected a string or a table
      --> recipes/r.toml:2:13
       |
     2 | packages = [1.5]
       |             ^^^
    ");
    insta::assert_snapshot!(image("table = \"gtp\"\nsizes.boot = 2026-01-01\n"), @r#"
    error: `table` cannot be `gtp`
      --> images/i.toml:4:9
       |
     4 | table = "gtp"
       |         ^^^^^
       = hint: did you mean `gpt`?

    error: `boot` is a date, expected a string
      --> images/i.toml:5:14
       |
     5 | sizes.boot = 2026-01-01
       |              ^^^^^^^^^^
    "#);
    insta::assert_snapshot!(wrong(&[("recipes/r.toml", "")]), @"
    error: a recipe needs `summary`
      --> recipes/r.toml:1:1
       |
     1 | 
       | ^
       = hint: add `summary`: What it adds to a node, in one line.
    ");
    insta::assert_snapshot!(recipe("[[user]]\nname = \"x\"\nuid = 70000\ngroup = \"x\"\n"), @"
    error: `uid` is 70000, expected 1 to 59999
      --> recipes/r.toml:4:7
       |
     4 | uid = 70000
       |       ^^^^^
    ");
}

#[test]
fn kinds_of_text() {
    insta::assert_snapshot!(recipe("packages = [\"Bash\"]"), @r#"
    error: `Bash` is not a Debian package name: lower-case letters, digits, `+`, `-` and `.`
      --> recipes/r.toml:2:13
       |
     2 | packages = ["Bash"]
       |             ^^^^^^
    "#);
    insta::assert_snapshot!(recipe("[[file]]\npath = \"etc/x\"\nmode = \"0999\"\ncontent = \"\"\n"), @r#"
    error: `etc/x` is not an absolute path
      --> recipes/r.toml:3:8
       |
     3 | path = "etc/x"
       |        ^^^^^^^

    error: `0999` is not a mode: octal digits such as `0644`
      --> recipes/r.toml:4:8
       |
     4 | mode = "0999"
       |        ^^^^^^
    "#);
    insta::assert_snapshot!(recipe("[[unit]]\nname = \"x.servis\"\n"), @r#"
    error: `x.servis` is not a systemd unit name such as `consul.service`
      --> recipes/r.toml:3:8
       |
     3 | name = "x.servis"
       |        ^^^^^^^^^^
    "#);
    insta::assert_snapshot!(recipe("[[user]]\nname = \"x\"\nuid = 1\ngroup = \"x\"\nshell = \"/bin/sh\\nroot::0:0::/:/bin/sh\"\n"), @r#"
    error: `/bin/sh\nroot::0:0::/:/bin/sh` is not an absolute path
      --> recipes/r.toml:6:9
       |
     6 | shell = "/bin/sh\nroot::0:0::/:/bin/sh"
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(recipe("[[user]]\nname = \"x\"\nuid = 1\ngroup = \"x\"\ncomment = \"a:b\"\n"), @r#"
    error: `a:b` contains a colon, which passwd(5) cannot hold
      --> recipes/r.toml:6:11
       |
     6 | comment = "a:b"
       |           ^^^^^
    "#);
    insta::assert_snapshot!(recipe("[[suite]]\nname = \"../x\"\n"), @r#"
    error: `../x` cannot be the name of a suite or component
      --> recipes/r.toml:3:8
       |
     3 | name = "../x"
       |        ^^^^^^
       = hint: for example `trixie-updates`
    "#);
    insta::assert_snapshot!(image("sizes.boot = \"5 MiB\"\n"), @r#"
    error: `boot` is 5 MiB, expected 64 MiB to 32 GiB
      --> images/i.toml:4:14
       |
     4 | sizes.boot = "5 MiB"
       |              ^^^^^^^
    "#);
    insta::assert_snapshot!(image("sizes.boot = \"5 MB\"\n"), @r#"
    error: `5 MB` is not a size: bytes, or a number with KiB, MiB or GiB
      --> images/i.toml:4:14
       |
     4 | sizes.boot = "5 MB"
       |              ^^^^^^
    "#);
}

#[test]
fn paths() {
    insta::assert_snapshot!(recipe("[[file]]\npath = \"/etc/../../x\"\ncontent = \"\"\n"), @r#"
    error: `/etc/../../x` climbs out of the tree with `..`
      --> recipes/r.toml:3:8
       |
     3 | path = "/etc/../../x"
       |        ^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(recipe("[[directory]]\npath = \"/./\"\n"), @r#"
    error: the root itself cannot be declared
      --> recipes/r.toml:3:8
       |
     3 | path = "/./"
       |        ^^^^^
    "#);
    insta::assert_snapshot!(recipe("[[file]]\npath = \"/lib/x\"\ncontent = \"\"\n"), @r#"
    error: `/lib` is a link to `/usr/lib`
      --> recipes/r.toml:3:8
       |
     3 | path = "/lib/x"
       |        ^^^^^^^^
       = hint: write the path below /usr
    "#);
    insta::assert_snapshot!(recipe("[[file]]\npath = \"/run/x\"\ncontent = \"\"\n"), @r#"
    error: `/run` is mounted over on a running node
      --> recipes/r.toml:3:8
       |
     3 | path = "/run/x"
       |        ^^^^^^^^
       = hint: a file of /etc/tmpfiles.d makes it at boot
    "#);
    insta::assert_snapshot!(recipe("remove = [\"/**\"]"), @r#"
    error: `/**` matches the root itself
      --> recipes/r.toml:2:11
       |
     2 | remove = ["/**"]
       |           ^^^^^
    "#);
}

#[test]
fn contents() {
    insta::assert_snapshot!(recipe("[[file]]\npath = \"/etc/x\"\n"), @"
    error: a [[file]] entry has no content
      --> recipes/r.toml:2:1
       |
     2 | [[file]]
       | ^^^^^^^^
       = hint: add one of `content`, `source`, `template` and `template-source`
    ");
    insta::assert_snapshot!(recipe("[[file]]\npath = \"/etc/x\"\ncontent = \"\"\nsource = \"files/x\"\n"), @"
    error: a [[file]] entry has both `content` and `source`
      --> recipes/r.toml:2:1
       |
     2 | [[file]]
       | ^^^^^^^^
       = hint: keep one of them
    ");
    insta::assert_snapshot!(recipe("[[file]]\npath = \"/etc/x\"\nsource = \"files/x\"\n"), @r#"
    error: there is no file `recipes/files/x`
      --> recipes/r.toml:4:10
       |
     4 | source = "files/x"
       |          ^^^^^^^^^
       = hint: the path is relative to the directory of this file
    "#);
    let near = [
        ("recipes/files/motd", ""),
        ("recipes/r.toml", "summary = \"R\"\n[[file]]\npath = \"/etc/x\"\nsource = \"files/modt\"\n"),
    ];
    insta::assert_snapshot!(wrong(&near), @r#"
    error: there is no file `recipes/files/modt`
      --> recipes/r.toml:4:10
       |
     4 | source = "files/modt"
       |          ^^^^^^^^^^^^
       = hint: did you mean `files/motd`?
    "#);
    insta::assert_snapshot!(recipe("[[unit]]\nname = \"x.service\"\nstate = \"masked\"\ncontent = \"\"\n"), @r#"
    error: `x.service` is masked, so its text is never read
      --> recipes/r.toml:3:8
       |
     3 | name = "x.service"
       |        ^^^^^^^^^^^
       = hint: drop the text, or the mask
    "#);
}

#[test]
fn files_that_are_no_text() {
    let mut sources =
        project(&[("images/i.toml", IMAGE), ("recipes/boards/b.toml", BOARD), ("recipes/base.toml", BASE)]);
    sources.insert("recipes/r.toml", "recipes/r.toml", vec![0xff, 0xfe]);
    insta::assert_snapshot!(load(&sources, "i", &[]).unwrap_err(), @"
    error: `recipes/r.toml` is not UTF-8
       = hint: save it as UTF-8
    ");
    sources.insert("recipes/r.toml", "recipes/r.toml", vec![b' '; (1 << 20) + 1]);
    insta::assert_snapshot!(load(&sources, "i", &[]).unwrap_err(), @"
    error: `recipes/r.toml` is 1048577 bytes long; a text may have at most 1048576
       = hint: large data belongs into a package, not into a recipe
    ");
    sources.insert("recipes/r.toml", "recipes/r.toml", vec![b' '; (16 << 20) + 1]);
    insta::assert_snapshot!(load(&sources, "i", &[]).unwrap_err(), @"
    error: `recipes/r.toml` is 16777217 bytes long; a file may have at most 16777216
       = hint: large data belongs into a package, not into a recipe
    ");
}

#[test]
fn limits() {
    let long = format!("packages = [{}]", "\"a1\",".repeat(5000));
    assert!(recipe(&long).contains("more than 4096 entries in `packages`"));
    let deep = format!("packages = {}{}", "[".repeat(5000), "]".repeat(5000));
    assert!(recipe(&deep).contains("recurs"), "{}", recipe(&deep));
    let mut sources =
        project(&[("images/i.toml", IMAGE), ("recipes/boards/b.toml", BOARD), ("recipes/base.toml", BASE)]);
    sources.insert("recipes/r.toml", "r", "summary = \"R\"\nrequires = [\"r0\"]");
    for index in 0..400 {
        let text = format!("summary = \"R\"\nrequires = [\"r{}\"]", index + 1);
        sources.insert(&format!("recipes/r{index}.toml"), "r", text);
    }
    insta::assert_snapshot!(load(&sources, "i", &[]).unwrap_err(), @r#"
    error: more than 256 entries in `recipes`
      --> r:2:13
       |
     2 | requires = ["r254"]
       |             ^^^^^^
       = hint: split it over several recipes
    "#);
    let many: Vec<String> = (0..60).map(|index| format!("k{index:02} = 1\n")).collect();
    let text = recipe(&many.concat());
    assert!(text.ends_with("… and 10 more errors"), "{text}");
}

#[test]
fn requires() {
    let files = [
        ("recipes/r.toml", "summary = \"R\"\nrequires = [\"s\"]"),
        ("recipes/s.toml", "summary = \"S\"\nrequires = [\"t\"]"),
        ("recipes/t.toml", "summary = \"T\"\nrequires = [\"r\"]"),
    ];
    insta::assert_snapshot!(wrong(&files), @r#"
    error: recipes require each other: r → s → t → r
      --> recipes/t.toml:2:13
       |
     2 | requires = ["r"]
       |             ^^^
       = hint: take one of these out of `requires`
    "#);
    insta::assert_snapshot!(recipe("requires = [\"r\"]"), @r#"
    error: recipes require each other: r → r
      --> recipes/r.toml:2:13
       |
     2 | requires = ["r"]
       |             ^^^
       = hint: take one of these out of `requires`
    "#);
    insta::assert_snapshot!(wrong(&[("images/i.toml", "summary = \"I\"\nboard = \"b\"\nrecipes = [\"base\", \"r\", \"base\"]\n")]), @r#"
    error: recipe `base` is listed twice
      --> images/i.toml:3:25
       |
     3 | recipes = ["base", "r", "base"]
       |                         ^^^^^^
       = hint: list it once; `requires` may name it as often as it likes
    "#);
}

/// A recipe with one parameter of every type.
const PARAMS: &str = r#"
summary = "R"
[params]
role = { type = "enum", choices = ["server", "client"], default = "client", doc = "A role." }
count = { type = "integer", default = 1, min = 1, max = 9, doc = "A count." }
port = { type = "port", default = 22, doc = "A port." }
keys = { type = "list", default = [], pattern = "ssh-.*", max = 2, doc = "Keys." }
home = { type = "path", default = "/home", doc = "A path." }
space = { type = "size", default = "1 GiB", min = "1 MiB", doc = "A size." }
wait = { type = "duration", default = "15m", max = "1h", doc = "A duration." }
name = { type = "string", pattern = "[a-z]+", doc = "What it is called." }
loud = { type = "boolean", default = false, doc = "Whether it is loud." }
"#;

#[track_caller]
fn set(lines: &str) -> String {
    wrong(&[("recipes/r.toml", PARAMS), ("images/i.toml", &format!("{IMAGE}[params]\nr.name = \"x\"\n{lines}\n"))])
}

#[test]
fn parameters_of_images() {
    insta::assert_snapshot!(wrong(&[("recipes/r.toml", PARAMS)]), @r#"
    error: parameter `r.name` has no value
       --> recipes/r.toml:11:1
        |
     11 | name = { type = "string", pattern = "[a-z]+", doc = "What it is called." }
        | ^^^^
        = hint: What it is called.
                set it in the image: `[params]` with `r.name = …`
    "#);
    insta::assert_snapshot!(set("r.rolle = \"server\""), @r#"
    error: recipe `r` has no parameter `rolle`
      --> images/i.toml:6:3
       |
     6 | r.rolle = "server"
       |   ^^^^^
       = hint: did you mean `role`?
    "#);
    insta::assert_snapshot!(set("base.x = 1"), @"
    error: recipe `base` has no parameter `x`
      --> images/i.toml:6:6
       |
     6 | base.x = 1
       |      ^
       = hint: `base` has no parameters
    ");
    insta::assert_snapshot!(set("nomad.x = 1"), @"
    error: recipe `nomad` is not part of image `i`, so `nomad.x` sets nothing
      --> images/i.toml:6:1
       |
     6 | nomad.x = 1
       | ^^^^^
       = hint: add `nomad` to `recipes`, or drop the line
    ");
    insta::assert_snapshot!(set("r.role = \"sever\""), @r#"
    error: parameter `r.role` cannot be `sever`
      --> images/i.toml:6:10
       |
     6 | r.role = "sever"
       |          ^^^^^^^
       = hint: did you mean `server`?
    "#);
    insta::assert_snapshot!(set("r.count = 10\nr.wait = \"2h\"\nr.space = 5\nr.keys = [\"ssh-a\", \"ssh-b\", \"ssh-c\"]"), @r#"
    error: parameter `r.count` is 10, expected 1 to 9
      --> images/i.toml:6:11
       |
     6 | r.count = 10
       |           ^^

    error: parameter `r.wait` is 2h, expected at most 1h
      --> images/i.toml:7:10
       |
     7 | r.wait = "2h"
       |          ^^^^

    error: parameter `r.space` is 5 B, expected at least 1 MiB
      --> images/i.toml:8:11
       |
     8 | r.space = 5
       |           ^

    error: parameter `r.keys` is 3 items, expected at most 2 items
      --> images/i.toml:9:10
       |
     9 | r.keys = ["ssh-a", "ssh-b", "ssh-c"]
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(set("r.count = \"3\"\nr.port = 0\nr.home = \"home\"\nr.wait = 5\nr.loud = \"yes\""), @r#"
    error: parameter `r.count` is `3`, expected an integer
      --> images/i.toml:6:11
       |
     6 | r.count = "3"
       |           ^^^

    error: parameter `r.port` is `0`, expected a port from 1 to 65535
      --> images/i.toml:7:10
       |
     7 | r.port = 0
       |          ^

    error: parameter `r.home` is `home`, expected an absolute path
      --> images/i.toml:8:10
       |
     8 | r.home = "home"
       |          ^^^^^^

    error: parameter `r.wait` is `5`, expected a duration such as "15m"
      --> images/i.toml:9:10
       |
     9 | r.wait = 5
       |          ^

    error: parameter `r.loud` is `yes`, expected true or false
       --> images/i.toml:10:10
        |
     10 | r.loud = "yes"
        |          ^^^^^
    "#);
    insta::assert_snapshot!(set("r.keys = [\"rsa\"]"), @r#"
    error: parameter `r.keys`: `rsa` does not match `ssh-.*`
      --> images/i.toml:6:10
       |
     6 | r.keys = ["rsa"]
       |          ^^^^^^^
    "#);
    insta::assert_snapshot!(set("r.keys = [1]\nr.space = \"5 GB\""), @r#"
    error: parameter `r.keys` is an array with an integer in it, expected an array of strings
      --> images/i.toml:6:10
       |
     6 | r.keys = [1]
       |          ^^^

    error: parameter `r.space` is `5 GB`, expected a size such as "64 MiB"
      --> images/i.toml:7:11
       |
     7 | r.space = "5 GB"
       |           ^^^^^^
    "#);
    insta::assert_snapshot!(image("[params]\nr = 1"), @"
    error: `r` is an integer, expected a table
      --> images/i.toml:5:5
       |
     5 | r = 1
       |     ^
    ");
}

#[test]
fn parameters_of_overrides() {
    let files = [("recipes/r.toml", PARAMS)];
    insta::assert_snapshot!(wrong_with(&files, &["r.name=x", "r.role=boss", "r.count=many", "r.kount=1", "role=x"]), @"
    error: `role=x` is not `RECIPE.PARAMETER=VALUE`
      --> --set:1:1
       |
     1 | role=x
       | ^^^^^^
       = hint: for example `consul.role=client`

    error: recipe `r` has no parameter `kount`
      --> --set:1:3
       |
     1 | r.kount=1
       |   ^^^^^
       = hint: did you mean `count`?

    error: parameter `r.role` cannot be `boss`
      --> --set:1:8
       |
     1 | r.role=boss
       |        ^^^^
       = hint: expected one of: server, client

    error: parameter `r.count` is `many`, expected an integer
      --> --set:1:9
       |
     1 | r.count=many
       |         ^^^^
    ");
    insta::assert_snapshot!(wrong_with(&files, &["r.name=X", "r.keys=[\"ssh-a\", 5]", "s.x=1"]), @r#"
    error: recipe `s` is not part of image `i`, so `s.x` sets nothing
      --> --set:1:1
       |
     1 | s.x=1
       | ^
       = hint: add `s` to `recipes`, or drop the line

    error: parameter `r.name`: `X` does not match `[a-z]+`
      --> --set:1:8
       |
     1 | r.name=X
       |        ^

    error: parameter `r.keys` is an array with an integer in it, expected an array of strings
      --> --set:1:8
       |
     1 | r.keys=["ssh-a", 5]
       |        ^^^^^^^^^^^^
    "#);
}

#[test]
fn declarations_of_parameters() {
    insta::assert_snapshot!(recipe("[params]\nx = { type = \"int\", doc = \"d\" }"), @r#"
    error: `type` cannot be `int`
      --> recipes/r.toml:3:14
       |
     3 | x = { type = "int", doc = "d" }
       |              ^^^^^
       = hint: expected one of: string, integer, boolean, enum, list, port, path, size, duration
    "#);
    insta::assert_snapshot!(recipe("[params]\nx = { type = \"integer\", doc = \"d\", default = \"a\", min = \"a\" }"), @r#"
    error: parameter `x` is `a`, expected an integer
      --> recipes/r.toml:3:46
       |
     3 | x = { type = "integer", doc = "d", default = "a", min = "a" }
       |                                              ^^^

    error: parameter `min` is `a`, expected an integer
      --> recipes/r.toml:3:57
       |
     3 | x = { type = "integer", doc = "d", default = "a", min = "a" }
       |                                                         ^^^
    "#);
    insta::assert_snapshot!(recipe("[params]\nx = { type = \"boolean\", doc = \"d\", default = true, max = 1, choices = [\"a\"] }"), @r#"
    error: `max` has no meaning for a parameter of type boolean
      --> recipes/r.toml:3:5
       |
     3 | x = { type = "boolean", doc = "d", default = true, max = 1, choices = ["a"] }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = hint: drop it

    error: `choices` has no meaning for a parameter of type boolean
      --> recipes/r.toml:3:5
       |
     3 | x = { type = "boolean", doc = "d", default = true, max = 1, choices = ["a"] }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = hint: drop it
    "#);
    insta::assert_snapshot!(recipe("[params]\nx = { type = \"enum\", doc = \"d\", default = \"a\" }"), @r#"
    error: a parameter of type enum needs `choices`
      --> recipes/r.toml:3:5
       |
     3 | x = { type = "enum", doc = "d", default = "a" }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = hint: add `choices`: The values of an `enum`.
    "#);
    insta::assert_snapshot!(recipe("[params]\nx = { type = \"string\", doc = \"d\", default = \"a\", pattern = \"(\" }"), @r#"
    error: not a regular expression: found open group without closing ')'
      --> recipes/r.toml:3:60
       |
     3 | x = { type = "string", doc = "d", default = "a", pattern = "(" }
       |                                                            ^^^
    "#);
    insta::assert_snapshot!(recipe("[params]\nboard = { type = \"string\", default = \"\", doc = \"d\" }"), @r#"
    error: `board` is the board in templates, so no parameter of that name can be seen
      --> recipes/r.toml:3:1
       |
     3 | board = { type = "string", default = "", doc = "d" }
       | ^^^^^
       = hint: rename the parameter
    "#);
    insta::assert_snapshot!(recipe("[params]\nx = { type = \"port\", default = 80, max = 79, doc = \"d\" }"), @r#"
    error: parameter `x` is 80, expected at most 79
      --> recipes/r.toml:3:32
       |
     3 | x = { type = "port", default = 80, max = 79, doc = "d" }
       |                                ^^
    "#);
}

#[test]
fn templates() {
    let param = "[params]\nx = { type = \"string\", default = \"v\", doc = \"d\" }\n";
    let file =
        |text: &str| recipe(&format!("{param}[[file]]\npath = \"/etc/x\"\ntemplate = '''\nfirst\n{text}\n'''\n"));
    insta::assert_snapshot!(file("a {{ y }} b"), @"
    error: `y` is not defined here
      --> recipes/r.toml:8:6
       |
     8 | a {{ y }} b
       |      ^
       = hint: defined here: base, board, image, r, recipes, x
    ");
    insta::assert_snapshot!(file("{% if x %}"), @"
    error: in a template: syntax error: unexpected end of input, expected end of block
      --> recipes/r.toml:8:9
       |
     8 | {% if x %}
       |         ^^
    ");
    insta::assert_snapshot!(file("{{ x | nope }}"), @"
    error: in a template: unknown filter: filter nope is unknown
      --> recipes/r.toml:8:8
       |
     8 | {{ x | nope }}
       |        ^^^^
    ");
    insta::assert_snapshot!(file("{{ now() }}"), @"
    error: in a template: unknown function: now is unknown
      --> recipes/r.toml:8:4
       |
     8 | {{ now() }}
       |    ^^^^^
    ");
    insta::assert_snapshot!(file("{% include 'other' %}"), @"
    error: in a template: syntax error: unknown statement include
      --> recipes/r.toml:8:4
       |
     8 | {% include 'other' %}
       |    ^^^^^^^
    ");
    insta::assert_snapshot!(file("{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}"), @"
    error: in a template: engine ran out of fuel
      --> recipes/r.toml:8:53
       |
     8 | {% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}
       |                                                     ^
    ");
    insta::assert_snapshot!(file("{% set y = x * 1000 %}{{ y * 100000 }}"), @"
    error: in a template: engine ran out of fuel
      --> recipes/r.toml:8:26
       |
     8 | {% set y = x * 1000 %}{{ y * 100000 }}
       |                          ^^^^^^^^^^
    ");
    insta::assert_snapshot!(recipe("[[file]]\npath = \"/etc/x\"\ntemplate = \"a\\tb {{ y }}\""), @r#"
    error: `y` is not defined here
      --> recipes/r.toml:4:12
       |
     4 | template = "a\tb {{ y }}"
       |            ^^^^^^^^^^^^^^
       = hint: defined here: base, board, image, r, recipes
    "#);
    let beside = [
        ("recipes/files/t", "one\ntwo {{ three }}\n"),
        ("recipes/r.toml", "summary = \"R\"\n[[file]]\npath = \"/etc/x\"\ntemplate-source = \"files/t\"\n"),
    ];
    insta::assert_snapshot!(wrong(&beside), @"
    error: `three` is not defined here
      --> recipes/files/t:2:8
       |
     2 | two {{ three }}
       |        ^^^^^
       = hint: defined here: base, board, image, r, recipes
    ");
    insta::assert_snapshot!(recipe("[[symlink]]\npath = \"/etc/x\"\ntarget = \"{{ '\\n' }}\"\n"), @r#"
    error: `{{ '\n' }}` is not one line of text
      --> recipes/r.toml:4:10
       |
     4 | target = "{{ '\n' }}"
       |          ^^^^^^^^^^^^
    "#);
}

#[test]
fn conditions() {
    let when = |text: &str| recipe(&format!("[[directory]]\npath = \"/etc/x\"\nwhen = \"{text}\"\n"));
    insta::assert_snapshot!(when("rolle == 'server'"), @r#"
    error: `rolle` is not defined here
      --> recipes/r.toml:4:9
       |
     4 | when = "rolle == 'server'"
       |         ^^^^^^^^^^^^^^^^^
       = hint: defined here: base, board, image, r, recipes
    "#);
    insta::assert_snapshot!(when("'server'"), @r#"
    error: `when` gives a value of type string, expected true or false
      --> recipes/r.toml:4:8
       |
     4 | when = "'server'"
       |        ^^^^^^^^^^
       = hint: compare it, for example `role == 'server'`
    "#);
    insta::assert_snapshot!(when("1 +"), @r#"
    error: in a template: syntax error: unexpected end of input, expected expression
      --> recipes/r.toml:4:11
       |
     4 | when = "1 +"
       |           ^
    "#);
}

#[test]
fn conflicts() {
    let twice = |one: &str, other: &str| {
        wrong(&[
            ("recipes/base.toml", &format!("{BASE}{one}\n")),
            ("recipes/r.toml", &format!("summary = \"R\"\n{other}\n")),
        ])
    };
    let file = "[[file]]\npath = \"/etc/motd\"\ncontent = \"\"";
    insta::assert_snapshot!(twice(file, file), @r#"
    error: file `/etc/motd` is declared by base and by r
      --> recipes/r.toml:3:8
       |
     3 | path = "/etc/motd"
       |        ^^^^^^^^^^^
      ::: recipes/base.toml:7:8
       |
     7 | path = "/etc/motd"
       |        ----------- first declared here
       = hint: drop one of them, or let the later one say `replace = true`
    "#);
    insta::assert_snapshot!(twice("[[directory]]\npath = \"/srv\"", "[[directory]]\npath = \"/srv\"\nmode = \"0700\""), @r#"
    error: directory `/srv` is declared by base and by r
      --> recipes/r.toml:3:8
       |
     3 | path = "/srv"
       |        ^^^^^^
      ::: recipes/base.toml:7:8
       |
     7 | path = "/srv"
       |        ------ first declared here
       = hint: drop one of them, or let the later one say `replace = true`
    "#);
    insta::assert_snapshot!(twice("[[symlink]]\npath = \"/srv\"\ntarget = \"a\"", "[[symlink]]\npath = \"/srv\"\ntarget = \"b\""), @r#"
    error: symbolic link `/srv` is declared by base and by r
      --> recipes/r.toml:3:8
       |
     3 | path = "/srv"
       |        ^^^^^^
      ::: recipes/base.toml:7:8
       |
     7 | path = "/srv"
       |        ------ first declared here
       = hint: drop one of them, or let the later one say `replace = true`
    "#);
    insta::assert_snapshot!(twice("[[symlink]]\npath = \"/srv\"\ntarget = \"a\"", "[[directory]]\npath = \"/srv\""), @r#"
    error: `/srv` is a symbolic link and also a directory
      --> recipes/r.toml:3:8
       |
     3 | path = "/srv"
       |        ^^^^^^
      ::: recipes/base.toml:7:8
       |
     7 | path = "/srv"
       |        ------ first declared here
       = hint: drop one of them
    "#);
    insta::assert_snapshot!(twice("[[symlink]]\npath = \"/srv\"\ntarget = \"a\"", "[[directory]]\npath = \"/srv/x/y\""), @r#"
    error: `/srv/x/y` lies below `/srv`, which is a symbolic link
      --> recipes/r.toml:3:8
       |
     3 | path = "/srv/x/y"
       |        ^^^^^^^^^^
      ::: recipes/base.toml:7:8
       |
     7 | path = "/srv"
       |        ------ declared here
       = hint: drop one of them
    "#);
    let unit = |state: &str| format!("[[unit]]\nname = \"x.service\"\nstate = \"{state}\"");
    insta::assert_snapshot!(twice(&unit("enabled"), &unit("masked")), @r#"
    error: the state of unit `x.service` is declared by base and by r
      --> recipes/r.toml:3:8
       |
     3 | name = "x.service"
       |        ^^^^^^^^^^^
      ::: recipes/base.toml:7:8
       |
     7 | name = "x.service"
       |        ----------- first declared here
       = hint: drop one of them, or let the later one say `replace = true`
    "#);
    let user = |name: &str| format!("[[user]]\nname = \"{name}\"\nuid = 1000\ngroup = \"users\"");
    insta::assert_snapshot!(twice(&user("a"), &user("a")), @r#"
    error: user `a` is declared by base and by r
      --> recipes/r.toml:3:8
       |
     3 | name = "a"
       |        ^^^
      ::: recipes/base.toml:7:8
       |
     7 | name = "a"
       |        --- first declared here
       = hint: drop one of them, or let the later one say `replace = true`
    "#);
    insta::assert_snapshot!(twice(&user("a"), &user("b")), @r#"
    error: user `a` and user `b` have the same id 1000
      --> recipes/r.toml:3:8
       |
     3 | name = "b"
       |        ^^^
      ::: recipes/base.toml:7:8
       |
     7 | name = "a"
       |        --- first used here
       = hint: give one of them another id
    "#);
    let group = |name: &str, gid: u32| format!("[[group]]\nname = \"{name}\"\ngid = {gid}");
    insta::assert_snapshot!(twice(&group("a", 5), &group("a", 6)), @r#"
    error: group `a` is declared by base and by r
      --> recipes/r.toml:3:8
       |
     3 | name = "a"
       |        ^^^
      ::: recipes/base.toml:7:8
       |
     7 | name = "a"
       |        --- first declared here
       = hint: drop one of them, or let the later one say `replace = true`
    "#);
    insta::assert_snapshot!(twice(&group("a", 5), &group("b", 5)), @r#"
    error: group `a` and group `b` have the same id 5
      --> recipes/r.toml:3:8
       |
     3 | name = "b"
       |        ^^^
      ::: recipes/base.toml:7:8
       |
     7 | name = "a"
       |        --- first used here
       = hint: give one of them another id
    "#);
    let sysctl = |value: u32| format!("[[sysctl]]\nname = \"vm.swappiness\"\nvalue = \"{value}\"");
    insta::assert_snapshot!(twice(&sysctl(1), &sysctl(2)), @r#"
    error: kernel variable `vm.swappiness` is declared by base and by r
      --> recipes/r.toml:3:8
       |
     3 | name = "vm.swappiness"
       |        ^^^^^^^^^^^^^^^
      ::: recipes/base.toml:7:8
       |
     7 | name = "vm.swappiness"
       |        --------------- first declared here
       = hint: drop one of them, or let the later one say `replace = true`
    "#);
    insta::assert_snapshot!(twice("", "[[suite]]\nname = \"trixie\"\ncomponents = [\"main\", \"contrib\"]"), @r#"
    error: suite `trixie` is declared by base and by r
      --> recipes/r.toml:3:8
       |
     3 | name = "trixie"
       |        ^^^^^^^^
      ::: recipes/base.toml:5:8
       |
     5 | name = "trixie"
       |        -------- first declared here
       = hint: drop one of them
    "#);
    insta::assert_snapshot!(twice("os-release = { A = \"1\" }".replace("os", "[os-release]\nA = \"1\"\n#").as_str(), "os-release = { A = \"2\" }"), @r#"
    error: os-release field `A` is declared by base and by r
      --> recipes/r.toml:2:16
       |
     2 | os-release = { A = "2" }
       |                ^
      ::: recipes/base.toml:7:1
       |
     7 | A = "1"
       | - first declared here
       = hint: drop one of them
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
    insta::assert_snapshot!(recipe("provides = { systemd = \"we have one\" }"), @r#"
    error: package `systemd` is asked for, and also provided by the image itself
      --> recipes/base.toml:3:13
       |
     3 | packages = ["systemd"]
       |             ^^^^^^^^^
      ::: recipes/r.toml:2:14
       |
     2 | provides = { systemd = "we have one" }
       |              ------- provided here
       = hint: drop it from `packages` or from `provides`
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

/// `replace = true` is the way out of a conflict, and saying the same twice is none.
#[test]
fn replacing_and_agreeing() {
    let mut sources = project(&[("recipes/boards/b.toml", BOARD), ("images/i.toml", IMAGE)]);
    let body = "[[file]]\npath = \"/etc/motd\"\ncontent = \"ONE\"\nreplace = true\n[[directory]]\npath = \"/srv\"\n[[group]]\nname = \"a\"\ngid = 5\n";
    sources.insert("recipes/base.toml", "b", format!("{BASE}{body}"));
    sources.insert("recipes/r.toml", "r", format!("summary = \"R\"\n{}", body.replace("ONE", "TWO")));
    let system = load(&sources, "i", &[]).unwrap();
    assert_eq!((system.files[0].bytes.as_slice(), system.files[0].recipe.as_str()), (&b"TWO"[..], "r"));
    assert_eq!((system.directories.len(), system.groups.len(), system.recipes.join(" ").as_str()), (1, 1, "base r"));
}

const ARTIFACT: &str = r#"
[[artifact]]
name = "nomad"
version = "2.0.4"
url = "https://example.org/nomad_{{ artifact.version }}_linux_{{ artifact.arch }}.zip"
verify = "openpgp"
checksums = "https://example.org/nomad_{{ artifact.version }}_SHA256SUMS"
signature = "https://example.org/nomad_{{ artifact.version }}_SHA256SUMS.sig"
key = "hashicorp"
[[artifact.install]]
member = "nomad"
path = "/usr/bin/nomad"
"#;

/// What is wrong with a recipe that has the artifact above, changed.
#[track_caller]
fn artifact(changes: &[(&str, &str)]) -> String {
    let mut text = ARTIFACT.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    recipe(&text)
}

#[test]
fn artifacts_are_rendered() {
    let sources = |text: &str| {
        project(&[
            ("recipes/boards/b.toml", BOARD),
            ("recipes/base.toml", BASE),
            ("recipes/r.toml", &format!("summary = \"R\"\n{text}")),
            ("recipes/keys/acme.asc", "a key"),
            ("images/i.toml", IMAGE),
        ])
    };
    let of = |text: &str| load(&sources(text), "i", &[]).unwrap_or_else(|error| panic!("{error}")).artifacts;
    let found = of(ARTIFACT);
    assert_eq!(found[0].url.as_deref(), Some("https://example.org/nomad_2.0.4_linux_arm64.zip"));
    assert_eq!((found[0].recipe.as_str(), found[0].format), ("r", crate::artifact::Format::Zip));
    assert_eq!((found[0].install[0].mode, found[0].install[0].user.as_str()), (0o755, "root"));
    let named =
        of(&ARTIFACT.replace("key = \"hashicorp\"", "key-source = \"keys/acme.asc\"\narch = { arm64 = \"armv8\" }"));
    assert_eq!(named[0].file_name(), Some("nomad_2.0.4_linux_armv8.zip"));
    let crate::artifact::Verify::OpenPgp { key, .. } = &named[0].verify else { panic!("{:?}", named[0].verify) };
    assert_eq!(key.name(), "recipes/keys/acme.asc");
    assert_eq!(of(&ARTIFACT.replace("key = ", "when = \"board.architecture == 'armel'\"\nkey = ")), []);
    let own = of(
        "[[artifact]]\nname = \"nomad\"\nversion = \"dev\"\nverify = \"sha256\"\nsha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"\n[[artifact.install]]\npath = \"/usr/bin/nomad\"\nmode = \"04755\"\n",
    );
    assert_eq!((own[0].format, own[0].install[0].mode), (crate::artifact::Format::File, 0o4755));
}

#[test]
fn artifacts_that_lack_something() {
    insta::assert_snapshot!(recipe("[[artifact]]\nname = \"nomad\"\n"), @"
    error: an [[artifact]] entry needs `version`
      --> recipes/r.toml:2:1
       |
     2 | [[artifact]]
       | ^^^^^^^^^^^^
       = hint: add `version`: Its version; a template. The others see it as `artifact.version`.

    error: an [[artifact]] entry needs `verify`
      --> recipes/r.toml:2:1
       |
     2 | [[artifact]]
       | ^^^^^^^^^^^^
       = hint: add `verify`: Who vouches for it: a signed checksum file, an unsigned one, or this recipe's `sha256`.

    error: an [[artifact]] entry needs `install`
      --> recipes/r.toml:2:1
       |
     2 | [[artifact]]
       | ^^^^^^^^^^^^
       = hint: add `install`: What of it goes where.
    ");
    insta::assert_snapshot!(artifact(&[("url = ", "mirror = \"x\" #"), ("signature = ", "#"), ("key = ", "#")]), @r#"
    error: an artifact with `verify = "openpgp"` needs `url`
      --> recipes/r.toml:3:1
       |
     3 | [[artifact]]
       | ^^^^^^^^^^^^
       = hint: add `url`: where it is released

    error: an artifact with `verify = "openpgp"` needs `signature`
      --> recipes/r.toml:3:1
       |
     3 | [[artifact]]
       | ^^^^^^^^^^^^
       = hint: add `signature`: the URL of the checksum file's signature

    error: an artifact with `verify = "openpgp"` needs `key`
      --> recipes/r.toml:3:1
       |
     3 | [[artifact]]
       | ^^^^^^^^^^^^
       = hint: add `key`: a key that hah-image carries, or `key-source`, a file
    "#);
    insta::assert_snapshot!(artifact(&[("\"openpgp\"", "\"sha256sums\""), ("checksums = ", "#"), ("signature = ", "#")]), @r#"
    error: an artifact with `verify = "sha256sums"` needs `checksums`
      --> recipes/r.toml:3:1
       |
     3 | [[artifact]]
       | ^^^^^^^^^^^^
       = hint: add `checksums`: the URL of the checksum file

    error: `key` has no meaning with `verify = "sha256sums"`
      --> recipes/r.toml:3:1
       |
     3 | [[artifact]]
       | ^^^^^^^^^^^^
       = hint: drop it
    "#);
    insta::assert_snapshot!(artifact(&[("\"openpgp\"", "\"sha256\"")]), @r#"
    error: an artifact with `verify = "sha256"` needs `sha256`
      --> recipes/r.toml:3:1
       |
     3 | [[artifact]]
       | ^^^^^^^^^^^^
       = hint: add `sha256`: its digest, 64 hex digits

    error: `checksums` has no meaning with `verify = "sha256"`
      --> recipes/r.toml:3:1
       |
     3 | [[artifact]]
       | ^^^^^^^^^^^^
       = hint: drop it

    error: `signature` has no meaning with `verify = "sha256"`
      --> recipes/r.toml:3:1
       |
     3 | [[artifact]]
       | ^^^^^^^^^^^^
       = hint: drop it

    error: `key` has no meaning with `verify = "sha256"`
      --> recipes/r.toml:3:1
       |
     3 | [[artifact]]
       | ^^^^^^^^^^^^
       = hint: drop it
    "#);
    insta::assert_snapshot!(artifact(&[("\"openpgp\"", "\"gpg\"")]), @r#"
    error: `verify` cannot be `gpg`
      --> recipes/r.toml:7:10
       |
     7 | verify = "gpg"
       |          ^^^^^
       = hint: expected one of: openpgp, sha256sums, sha256
    "#);
    insta::assert_snapshot!(artifact(&[("\"hashicorp\"", "\"hashicrop\"")]), @r#"
    error: `key` cannot be `hashicrop`
       --> recipes/r.toml:10:7
        |
     10 | key = "hashicrop"
        |       ^^^^^^^^^^^
        = hint: did you mean `hashicorp`?
    "#);
    insta::assert_snapshot!(artifact(&[("key = \"hashicorp\"", "key = \"openbao\"\nkey-source = \"keys/acme.asc\"")]), @r#"
    error: an artifact with `verify = "openpgp"` has both `key` and `key-source`
      --> recipes/r.toml:3:1
       |
     3 | [[artifact]]
       | ^^^^^^^^^^^^
       = hint: keep one of them
    "#);
    insta::assert_snapshot!(artifact(&[("key = \"hashicorp\"", "key-source = \"keys/acme.asc\"")]), @r#"
    error: there is no file `recipes/keys/acme.asc`
       --> recipes/r.toml:10:14
        |
     10 | key-source = "keys/acme.asc"
        |              ^^^^^^^^^^^^^^^
        = hint: the path is relative to the directory of this file
    "#);
    insta::assert_snapshot!(artifact(&[("[[artifact.install]]", "[artifact.instal]")]), @"
    error: an [[artifact]] entry needs `install`
      --> recipes/r.toml:3:1
       |
     3 | [[artifact]]
       | ^^^^^^^^^^^^
       = hint: add `install`: What of it goes where.

    error: unknown key `instal` in an [[artifact]] entry
       --> recipes/r.toml:11:11
        |
     11 | [artifact.instal]
        |           ^^^^^^
        = hint: did you mean `install`?
    ");
    insta::assert_snapshot!(
        recipe("[[artifact]]\nname = \"nomad\"\nversion = \"1\"\nverify = \"sha256\"\nsha256 = \"x\"\ninstall = []\n"),
        @"
    error: the artifact installs nothing
      --> recipes/r.toml:2:1
       |
     2 | [[artifact]]
       | ^^^^^^^^^^^^
       = hint: add an [[artifact.install]]
    "
    );
}

#[test]
fn artifacts_that_say_nonsense() {
    insta::assert_snapshot!(artifact(&[("version = \"2.0.4\"", "version = \"../2\"")]), @r#"
    error: `../2` is not a version: letters, digits, `.`, `+`, `~`, `_` and `-`
      --> recipes/r.toml:5:11
       |
     5 | version = "../2"
       |           ^^^^^^
    "#);
    insta::assert_snapshot!(artifact(&[("version = \"2.0.4\"", "version = \"{{ artifact.arch }}\"")]), @r#"
    error: `artifact` is not defined here
      --> recipes/r.toml:5:15
       |
     5 | version = "{{ artifact.arch }}"
       |               ^^^^^^^^^^^^^
       = hint: defined here: base, board, image, r, recipes
    "#);
    insta::assert_snapshot!(artifact(&[("{{ artifact.arch }}", "{{ artifact.arhc }}")]), @r#"
    error: `artifact.arhc` is not defined here
      --> recipes/r.toml:6:66
       |
     6 | url = "https://example.org/nomad_{{ artifact.version }}_linux_{{ artifact.arhc }}.zip"
       |                                                                  ^^^^^^^^^^^^^
       = hint: did you mean `artifact.arch`?
    "#);
    insta::assert_snapshot!(artifact(&[("https://example.org/nomad_{{ artifact.version }}_linux_{{ artifact.arch }}.zip", "example.org/nomad.zip")]), @r#"
    error: `example.org/nomad.zip` is not the address of a file
      --> recipes/r.toml:6:7
       |
     6 | url = "example.org/nomad.zip"
       |       ^^^^^^^^^^^^^^^^^^^^^^^
       = hint: for example `https://example.org/a/b.zip`
    "#);
    insta::assert_snapshot!(artifact(&[("_{{ artifact.arch }}.zip", "_{{ artifact.arch }}")]), @r#"
    error: what kind of file artifact `nomad` is cannot be told from its URL
      --> recipes/r.toml:4:8
       |
     4 | name = "nomad"
       |        ^^^^^^^
       = hint: add `format = "zip"` or `format = "tar.gz"`
    "#);
    insta::assert_snapshot!(artifact(&[("member = \"nomad\"", "member = \"../nomad\"")]), @r#"
    error: `../nomad` climbs out of the tree with `..`
       --> recipes/r.toml:12:10
        |
     12 | member = "../nomad"
        |          ^^^^^^^^^^
    "#);
    insta::assert_snapshot!(artifact(&[("member = \"nomad\"", "member = \"./\"")]), @r#"
    error: the member has no name
       --> recipes/r.toml:12:10
        |
     12 | member = "./"
        |          ^^^^
    "#);
    insta::assert_snapshot!(artifact(&[("member = \"nomad\"", "")]), @r#"
    error: an [[artifact.install]] entry of an archive needs `member`
       --> recipes/r.toml:13:8
        |
     13 | path = "/usr/bin/nomad"
        |        ^^^^^^^^^^^^^^^^
        = hint: add `member`: which of the archive's files it is
    "#);
    insta::assert_snapshot!(artifact(&[("key = ", "format = \"file\"\nkey = ")]), @r#"
    error: `member` has no meaning with an artifact that is the file itself
       --> recipes/r.toml:13:10
        |
     13 | member = "nomad"
        |          ^^^^^^^
        = hint: drop it
    "#);
    insta::assert_snapshot!(artifact(&[("\"/usr/bin/nomad\"", "\"/bin/nomad\"")]), @r#"
    error: `/bin` is a link to `/usr/bin`
       --> recipes/r.toml:13:8
        |
     13 | path = "/bin/nomad"
        |        ^^^^^^^^^^^^
        = hint: write the path below /usr
    "#);
    insta::assert_snapshot!(
        artifact(&[("openpgp", "sha256sums"), ("https:", "http:"), ("signature = ", "#"), ("key = ", "#")]),
        @r#"
    error: anybody on the way could change an unsigned checksum file
      --> recipes/r.toml:8:13
       |
     8 | checksums = "http://example.org/nomad_{{ artifact.version }}_SHA256SUMS"
       |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = hint: fetch it over https
    "#
    );
    insta::assert_snapshot!(
        recipe("[[artifact]]\nname = \"nomad\"\nversion = \"1\"\nverify = \"sha256\"\nsha256 = \"abc\"\n[[artifact.install]]\npath = \"/usr/bin/nomad\"\n"),
        @r#"
    error: `abc` is not a SHA-256 digest: expected 64 hex digits
      --> recipes/r.toml:6:10
       |
     6 | sha256 = "abc"
       |          ^^^^^
       = hint: `sha256sum FILE` prints it
    "#
    );
}

#[test]
fn artifacts_without_a_build() {
    insta::assert_snapshot!(artifact(&[("key = ", "arch = { amd64 = \"amd64\" }\nkey = ")]), @r#"
    error: artifact `nomad` has no build for arm64
      --> recipes/r.toml:4:8
       |
     4 | name = "nomad"
       |        ^^^^^^^
       = hint: it has builds for amd64; leave its recipe out of images for this board
    "#);
    insta::assert_snapshot!(artifact(&[("key = ", "unavailable = { arm64 = \"nobody has one\" }\nkey = ")]), @r#"
    error: artifact `nomad` has no build for arm64: nobody has one
      --> recipes/r.toml:4:8
       |
     4 | name = "nomad"
       |        ^^^^^^^
       = hint: leave its recipe out of images for this board
    "#);
    insta::assert_snapshot!(artifact(&[("key = ", "arch = { arm46 = \"x\" }\nkey = ")]), @r#"
    error: `arm46` is not an architecture: `arm64`, `armel` or `amd64`
       --> recipes/r.toml:10:10
        |
     10 | arch = { arm46 = "x" }
        |          ^^^^^
    "#);
}

#[test]
fn artifacts_in_each_other_s_way() {
    insta::assert_snapshot!(recipe(&format!("{ARTIFACT}{ARTIFACT}")), @r#"
    error: artifact `nomad` is declared by r and by r
       --> recipes/r.toml:16:8
        |
     16 | name = "nomad"
        |        ^^^^^^^
       ::: recipes/r.toml:4:8
        |
      4 | name = "nomad"
        |        ------- first declared here
        = hint: drop one of them, or let the later one say `replace = true`
    "#);
    insta::assert_snapshot!(recipe(&format!("{ARTIFACT}{}", ARTIFACT.replace("name = \"nomad\"", "name = \"other\""))), @r#"
    error: `/usr/bin/nomad` is a file of an artifact and also a file of an artifact
       --> recipes/r.toml:25:8
        |
     25 | path = "/usr/bin/nomad"
        |        ^^^^^^^^^^^^^^^^
       ::: recipes/r.toml:13:8
        |
     13 | path = "/usr/bin/nomad"
        |        ---------------- first declared here
        = hint: drop one of them
    "#);
    insta::assert_snapshot!(recipe(&format!("{ARTIFACT}[[file]]\npath = \"/usr/bin/nomad\"\ncontent = \"x\"\n")), @r#"
    error: `/usr/bin/nomad` is a file and also a file of an artifact
       --> recipes/r.toml:13:8
        |
     13 | path = "/usr/bin/nomad"
        |        ^^^^^^^^^^^^^^^^
       ::: recipes/r.toml:15:8
        |
     15 | path = "/usr/bin/nomad"
        |        ---------------- first declared here
        = hint: drop one of them
    "#);
    insta::assert_snapshot!(recipe(&format!("{ARTIFACT}[[symlink]]\npath = \"/usr/bin/nomad/x\"\ntarget = \"x\"\n")), @r#"
    error: `/usr/bin/nomad/x` lies below `/usr/bin/nomad`, which is a file of an artifact
       --> recipes/r.toml:15:8
        |
     15 | path = "/usr/bin/nomad/x"
        |        ^^^^^^^^^^^^^^^^^^
       ::: recipes/r.toml:13:8
        |
     13 | path = "/usr/bin/nomad"
        |        ---------------- declared here
        = hint: drop one of them
    "#);
    insta::assert_snapshot!(recipe("[params.artifact]\ntype = \"string\"\ndefault = \"x\"\ndoc = \"X.\"\n"), @"
    error: `artifact` is the artifact in templates of [[artifact]], so no parameter of that name can be seen
      --> recipes/r.toml:2:9
       |
     2 | [params.artifact]
       |         ^^^^^^^^
       = hint: rename the parameter
    ");
}
