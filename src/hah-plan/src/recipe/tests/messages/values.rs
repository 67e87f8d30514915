//! What a value, a line or a file must look like.

use super::*;

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
       = hint: known keys: summary, requires, params, packages, provides, suite, archive, artifact, file, directory, symlink, remove, user, group, unit, nomad-job, sysctl, kernel, script, persist, os-release, debconf, ids
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
    error: `5 MB` is not a size: bytes, or a number with KiB, MiB, GiB or more
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
