//! Artifacts.

use super::*;

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
