//! Artifacts: from a release site, or from somebody's hands, to a file in the image.

use std::process::Command;

use hah_format::digest::Sha256;

use crate::archive::elf;
use crate::archive::project::Toy;
use crate::archive::release::{Release, TOOL, toy_with, zip};
use crate::archive::signer::Signer;
use crate::build::{judge, partition};
use crate::oracles;

/// A static program that this release has.
fn program(version: &str) -> Vec<u8> {
    elf::program(format!("I am the tool, version {version}").as_bytes())
}

/// The release site's directory as a mirror.
fn mirror(toy: &Toy) -> String {
    format!("--mirror=acme=file://{}", toy.path("releases").display())
}

fn lock(toy: &Toy) -> String {
    String::from_utf8(toy.read("project/hah.lock")).unwrap()
}

/// `--input tool=PATH`.
fn input(path: &std::path::Path) -> String {
    format!("--input=tool={}", path.display())
}

#[test]
fn a_signed_release_from_a_mirror() {
    let toy = toy_with(TOOL);
    Release::new("1.0", program("1.0")).write(&toy.path("releases"));
    let run = toy.run(&[&mirror(&toy), "build", "toy"]).succeeded();
    assert!(
        run.stderr.contains("Verified tool 1.0: signed by Toy archive 1 <toys@example.org> on 2025-06-15"),
        "{run}"
    );
    assert!(!run.stderr.contains("unsigned"), "{run}");
    let text = lock(&toy);
    let stanza: toml::Table = text[text.find("[[artifact]]").unwrap()..].parse().unwrap();
    let stanza = &stanza["artifact"][0];
    let signature = format!("recipes/keys/acme.gpg {}", Signer::new(1).fingerprint());
    for (key, value) in [
        ("name", "tool"),
        ("version", "1.0"),
        ("url", "https://releases.invalid/tool/1.0/tool_1.0_linux_arm64.zip"),
        ("verify", "openpgp"),
        ("signature", &signature),
    ] {
        assert_eq!(stanza[key].as_str(), Some(value), "{text}");
    }
    let archive = toy.read("releases/tool/1.0/tool_1.0_linux_arm64.zip");
    assert_eq!(stanza["sha256"].as_str(), Some(Sha256::of(&archive).to_string().as_str()));
    assert_eq!(stanza["size"].as_integer(), Some(archive.len() as i64));
    assert_eq!(stanza["why"][0].as_str(), Some("recipe toy"));
    let manifest: serde_json::Value = serde_json::from_slice(&toy.read("project/out/toy.json")).unwrap();
    let listed = &manifest["artifacts"][0];
    assert_eq!((listed["name"].as_str(), listed["signature"].as_str()), (Some("tool"), Some(signature.as_str())));
    assert_eq!(listed["files"][0], "/usr/bin/tool");
    // Nothing more is fetched, locked or verified, and without the site either.
    std::fs::remove_dir_all(toy.path("releases")).unwrap();
    let run = toy.run(&["build", "toy", "--locked"]).succeeded();
    assert!(run.stderr.contains("up to date") && !run.stderr.contains("Verified"), "{run}");
    toy.run(&["lock", "--check", "toy"]).succeeded();
    toy.run(&["build", "toy", "--check"]).succeeded();
    for (words, says) in [
        (
            &["why", "tool"][..],
            "tool 1.0 (image toy): recipe toy has it as an artifact, signed by recipes/keys/acme.gpg",
        ),
        (&["why", "/usr/bin/tool", "--image", "toy"], "/usr/bin/tool is from artifact tool"),
        (&["tree", "toy"], "└── tool (artifact) 1.0"),
        (&["build", "toy", "--dry-run"], "artifact tool 1.0"),
    ] {
        let said = toy.run(words).succeeded().stdout;
        assert!(said.contains(says), "{words:?}: {said}");
    }
    toy.run(&["update", "tool"]).failed(1, &["tool is an artifact", "1.0", "hah-image lock"]);
    if !oracles::is_missing("unsquashfs") {
        let (squashfs, root) = (toy.path("root.squashfs"), toy.path("root"));
        partition(&toy.image(), "root", &squashfs);
        let list = judge(Command::new("unsquashfs").args(["-llnumeric"]).arg(&squashfs).arg("usr/bin/tool"));
        assert!(
            list.lines().any(|line| line.starts_with("-rwxr-xr-x 0/0") && line.ends_with("usr/bin/tool")),
            "{list}"
        );
        judge(
            Command::new("unsquashfs")
                .args(["-quiet", "-no-progress", "-d"])
                .arg(&root)
                .arg(&squashfs)
                .arg("usr/bin/tool"),
        );
        assert_eq!(std::fs::read(root.join("usr/bin/tool")).unwrap(), program("1.0"));
    }
}

/// Another version is another lock; another path or mode is only another image.
#[test]
fn a_new_version_and_a_new_place() {
    let toy = toy_with(TOOL);
    Release::new("1.0", program("1.0")).write(&toy.path("releases"));
    Release::new("1.1", program("1.1")).write(&toy.path("releases"));
    let mirror = mirror(&toy);
    toy.run(&[&mirror, "build", "toy"]).succeeded();
    let before = lock(&toy);
    toy.run(&["build", "toy", "--locked", "--set", "toy.tool-version=1.1"]).failed(1, &["does not answer"]);
    let run = toy.run(&[&mirror, "build", "toy", "--set", "toy.tool-version=1.1"]).succeeded();
    assert!(run.stderr.contains("Verified tool 1.1"), "{run}");
    assert_eq!(lock(&toy), before, "a parameter of the command line is for one build");
    let recipe = String::from_utf8(toy.read("project/recipes/toy.toml")).unwrap();
    toy.write("project/recipes/toy.toml", recipe.replace("default = \"1.0\"", "default = \"1.1\""));
    let run = toy.run(&[&mirror, "lock", "toy"]).succeeded();
    assert!(run.stderr.contains("~ tool 1.0, signed by recipes/keys/acme.gpg -> 1.1"), "{run}");
    toy.build();
    let recipe = String::from_utf8(toy.read("project/recipes/toy.toml")).unwrap();
    toy.write("project/recipes/toy.toml", recipe.replace("/usr/bin/tool", "/usr/local/bin/tool"));
    let run = toy.run(&["build", "toy", "--locked"]).succeeded();
    assert!(!run.stderr.contains("Packed"), "{run}");
}

#[test]
fn fed_from_disk() {
    let toy = toy_with(TOOL);
    let archive = Release::new("1.0", program("1.0")).write(&toy.path("downloads"));
    toy.run(&["build", "toy"]).failed(1, &["nobody vouches for tool 1.0", "--offline", "--input"]);
    let run = toy.run(&["lock", "toy", &input(&archive)]).succeeded();
    assert!(run.stderr.contains("+ tool 1.0, signed by recipes/keys/acme.gpg (toy)"), "{run}");
    toy.build();
    // Locked, the digest is enough: no checksum file is needed beside it.
    std::fs::remove_dir_all(toy.cache()).unwrap();
    std::fs::rename(&archive, toy.path("renamed")).unwrap();
    std::fs::remove_dir_all(toy.path("downloads")).unwrap();
    toy.run(&["build", "toy", "-o", "other.img"]).failed(100, &["cannot fetch tool 1.0", "--input tool=PATH"]);
    toy.run(&["build", "toy", "-o", "other.img", &input(&toy.path("renamed"))]).succeeded();
}

#[test]
fn what_must_not_be_fed() {
    let toy = toy_with(TOOL);
    let downloads = toy.path("downloads");
    let good = Release::new("1.0", program("1.0")).write(&downloads);
    let other = Release::new("1.1", program("1.1")).write(&downloads);
    let refused = |code: i32, path: &std::path::Path, says: &[&str]| {
        toy.run(&["build", "toy", &input(path)]).failed(code, says);
        assert_eq!(toy.names("project"), ["hah-image.toml", "images", "recipes"]);
        assert_eq!(toy.names("home/.cache/hah-image/tmp"), [""; 0]);
    };
    // Another version, with its own checksum file.
    refused(
        1,
        &other,
        &["nobody vouches for tool 1.0", "tool_1.1_linux_arm64.zip", "tool_1.0_linux_arm64.zip", "toy.version"],
    );
    // Changed after it was signed.
    let bytes = std::fs::read(&good).unwrap();
    std::fs::write(&good, [&bytes[..], b"x"].concat()).unwrap();
    refused(102, &good, &["is not tool 1.0", "the signed checksum file says", "changed, or cut short"]);
    // The build for another machine, by its digest.
    std::fs::write(&good, b"other").unwrap();
    refused(102, &good, &["it is tool_1.0_linux_amd64.zip of the same release"]);
    std::fs::write(&good, &bytes).unwrap();
    // A checksum file that is not what was signed.
    let sums = good.with_file_name("tool_1.0_SHA256SUMS");
    let text = std::fs::read_to_string(&sums).unwrap();
    std::fs::write(&sums, text.replace("arm64", "armv8")).unwrap();
    refused(102, &good, &["TAMPERED", "Toy archive 1", "vendor's own site"]);
    std::fs::write(&sums, &text).unwrap();
    // No signature, then a stranger's.
    let signature = good.with_file_name("tool_1.0_SHA256SUMS.sig");
    std::fs::remove_file(&signature).unwrap();
    refused(100, &good, &["the checksum file proves nothing", "put the signature beside"]);
    std::fs::write(&signature, Signer::new(2).detached(text.as_bytes())).unwrap();
    refused(100, &good, &["signed by unknown keys", "only the key that the recipe names"]);
    // Nothing, and nothing of that name.
    refused(1, &toy.path("nowhere.zip"), &["--input tool: ", "nowhere.zip", "relative to the current directory"]);
    refused(1, &toy.path("archive"), &["is not a file"]);
    toy.run(&["build", "toy", "--input", "tol=../agent"]).failed(1, &["no artifact `tol`", "did you mean `tool`?"]);
    toy.run(&["build", "toy", "--input", "tool"]).failed(2, &["NAME=PATH"]);
    // Once locked, the lock's digest counts.
    std::fs::write(&signature, Signer::new(1).detached(text.as_bytes())).unwrap();
    toy.run(&["lock", "toy", &input(&good)]).succeeded();
    toy.run(&["build", "toy", &input(&other)])
        .failed(102, &["hah.lock says", "tool_1.1_linux_arm64.zip", "hah-image lock"]);
}

/// What a mirror serves instead of the release is thrown away.
#[test]
fn a_mirror_that_changed_the_archive() {
    let toy = toy_with(TOOL);
    let archive = Release::new("1.0", program("1.0")).write(&toy.path("releases"));
    let mut bytes = std::fs::read(&archive).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&archive, bytes).unwrap();
    toy.run(&[&mirror(&toy), "build", "toy"]).failed(102, &["cannot fetch tool 1.0", "WRONG BYTES", "thrown away"]);
    assert_eq!(toy.names("project"), ["hah-image.toml", "images", "recipes"]);
    toy.assert_nothing_half_written();
}

/// Somebody's own build: pinned by the recipe, and said to be unsigned wherever it is told of.
#[test]
fn an_own_build() {
    let own = program("patched");
    let digest = Sha256::of(&own);
    let artifact = format!(
        "[[artifact]]\nname = \"tool\"\nversion = \"1.0-patched\"\nverify = \"sha256\"\nsha256 = \"{digest}\"\n\
         [[artifact.install]]\npath = \"/usr/bin/tool\"\nmode = \"0750\"\ngroup = \"adm\"\n"
    );
    let toy = toy_with(&artifact);
    toy.write("my-tool", &own);
    toy.run(&["build", "toy"]).failed(1, &["artifact tool 1.0-patched has no URL", "--input tool=PATH"]);
    toy.run(&["build", "toy", "--input", "tool=../agent"])
        .failed(102, &["the recipe says", "set `sha256` in recipe toy"]);
    let run = toy.run(&["build", "toy", "--input", "tool=../my-tool"]).succeeded();
    assert!(
        run.stderr.contains("artifact tool 1.0-patched")
            && run.stderr.contains("is unsigned: only the recipe's digest vouches for it"),
        "{run}"
    );
    let text = lock(&toy);
    let stanza = &text[text.find("[[artifact]]").unwrap()..];
    assert!(stanza.contains("signature = \"unsigned\"") && !stanza.contains("url"), "{stanza}");
    let manifest: serde_json::Value = serde_json::from_slice(&toy.read("project/out/toy.json")).unwrap();
    assert_eq!(manifest["artifacts"][0]["signature"], "unsigned");
    assert_eq!(manifest["artifacts"][0]["url"], serde_json::Value::Null);
    // It is in the cache now, and stays there.
    toy.run(&["gc"]).succeeded();
    let run = toy.run(&["build", "toy", "--locked", "-o", "again.img"]).succeeded();
    assert!(!run.stderr.contains("Packed"), "{run}");
    let said = toy.run(&["why", "tool"]).succeeded().stdout;
    assert!(said.contains("unsigned: only the recipe's digest vouches for it"), "{said}");
}

#[test]
fn a_release_without_signatures() {
    let toy = toy_with(
        &TOOL
            .replace("openpgp", "sha256sums")
            .replace("signature = ", "#")
            .replace("key-source = ", "#")
            .replace("tool\"\npath", "LICENSE.txt\"\npath"),
    );
    let release = Release { signer: None, ..Release::new("1.0", program("1.0")) };
    release.write(&toy.path("releases"));
    let run = toy.run(&[&mirror(&toy), "build", "toy"]).succeeded();
    assert!(run.stderr.contains("Verified tool 1.0: unsigned") && run.stderr.contains("is unsigned"), "{run}");
    assert!(lock(&toy).contains("verify = \"sha256sums\"\nsignature = \"unsigned\"\n"), "{}", lock(&toy));
}

/// Programs that the board or the image cannot run.
#[test]
fn programs_that_do_not_fit() {
    let mut foreign = program("1.0");
    foreign[18] = 62;
    let cases: [(Vec<u8>, &[&str]); 4] = [
        (foreign, &["it is for x86-64", "the image is arm64", "arch.arm64"]),
        (
            elf::started_by("/lib/ld-linux-aarch64.so.1"),
            &["started by /lib/ld-linux-aarch64.so.1", "does not have", "CGO_ENABLED=0"],
        ),
        (elf::started_by("/lib/ld-musl-aarch64.so.1"), &["musl"]),
        (b"\x7fELF and no more".to_vec(), &["cannot be read as one"]),
    ];
    for (program, says) in cases {
        let toy = toy_with(TOOL);
        Release::new("1.0", program).write(&toy.path("releases"));
        toy.run(&[&mirror(&toy), "build", "toy"])
            .failed(100, &[&["artifact tool 1.0: /usr/bin/tool: "], says].concat());
        assert!(!toy.image().exists());
    }
    // With the loader in the image it fits.
    let toy = toy_with(TOOL);
    Release::new("1.0", elf::started_by("/usr/bin/toy")).write(&toy.path("releases"));
    toy.run(&[&mirror(&toy), "build", "toy"]).succeeded();
}

#[test]
fn an_artifact_that_is_not_as_its_recipe_says() {
    let check = |artifact: String, says: &[&str]| {
        let toy = toy_with(&artifact);
        Release::new("1.0", program("1.0")).write(&toy.path("releases"));
        toy.run(&[&mirror(&toy), "build", "toy"]).failed(100, says);
        toy.assert_nothing_half_written();
    };
    check(
        TOOL.replace("member = \"tool\"", "member = \"bin/tool\""),
        &["member `bin/tool` is not there", "did you mean `tool`?"],
    );
    check(
        TOOL.replace("key-source", "format = \"tar.gz\"\nkey-source"),
        &["cannot unpack artifact tool 1.0", "not a gzipped tar", "`format`"],
    );
    check(
        TOOL.replace("/usr/bin/tool", "/usr/bin/toy"),
        &["/usr/bin/toy is in package toy-tool and in the artifact tool", "/usr/local"],
    );
}

/// The digest is right and the content is not.
#[test]
fn hostile_releases() {
    let cases: [(Vec<u8>, &str); 3] = [
        (zip(&[("../../etc/passwd", b"x"), ("tool", b"x")]), "climbs out"),
        (zip(&[("tool", b"one"), ("tool", b"two")]), "twice"),
        (b"<html>403</html>".to_vec(), "not a zip archive"),
    ];
    for (bytes, says) in cases {
        let toy = toy_with(
            &TOOL
                .replace("openpgp", "sha256")
                .replace("checksums = ", "#")
                .replace("signature = ", "#")
                .replace("key-source = ", &format!("sha256 = \"{}\"\n#", Sha256::of(&bytes))),
        );
        toy.write("releases/tool/1.0/tool_1.0_linux_arm64.zip", &bytes);
        toy.run(&[&mirror(&toy), "build", "toy"]).failed(100, &["cannot unpack artifact tool 1.0", says, "hint: "]);
        toy.assert_nothing_half_written();
    }
}

#[test]
fn a_board_without_a_build() {
    let toy = toy_with(
        &TOOL
            .replace("arm64 = \"arm64\"", "armel = \"arm\"")
            .replace("key-source", "unavailable = { arm64 = \"too modern\" }\nkey-source"),
    );
    toy.run(&["build", "toy"]).failed(1, &["artifact `tool` has no build for arm64: too modern", "recipes/toy.toml"]);
}
