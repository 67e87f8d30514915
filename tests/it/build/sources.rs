//! Where packages come from besides Debian, what is asked for in spite of a stand-in, and what is left to Nomad.

use std::fmt::Write as _;

use hah_format::digest::Sha256;

use crate::archive::Publication;
use crate::archive::deb::Deb;
use crate::archive::project::{RECIPE, Toy, debs};
use crate::archive::signer::Signer;

fn agent() -> Deb {
    Deb::new("own-agent", "3-1").field("Depends", "toy-tool").file("/usr/bin/own-agent", 0o755, "own")
}

/// A flat archive of `deb` in the toy's directory `flat`: everything in one place, as dpkg-scanpackages writes it.
fn publish_flat(toy: &Toy, deb: &Deb, signer: &Signer) {
    let bytes = deb.build();
    let name = deb.path().rsplit('/').next().unwrap().to_owned();
    let mut packages = deb.control();
    let _ = writeln!(packages, "Filename: ./{name}\nSize: {}\nSHA256: {}\n", bytes.len(), Sha256::of(&bytes));
    let release = format!(
        "Date: Sun, 15 Jun 2025 15:06:40 UTC\nSHA256:\n {} {} Packages\n",
        Sha256::of(packages.as_bytes()),
        packages.len()
    );
    toy.write(&format!("flat/{name}"), bytes);
    toy.write("flat/Packages", packages);
    toy.write("flat/InRelease", signer.sign(&release));
}

/// The recipe with `entry` at its end and `package` among its packages.
fn recipe(toy: &Toy, package: &str, entry: &str) {
    let text = RECIPE.replace("packages = [", &format!("packages = [\"{package}\", "));
    toy.write("project/recipes/toy.toml", format!("{text}\n{entry}"));
}

fn entry(toy: &Toy, directory: &str, more: &str) -> String {
    let uri = format!("file://{}", toy.path(directory).display());
    format!("[[archive]]\nname = \"own\"\nuris = [\"{uri}\"]\nkey = \"keys/own.gpg\"\n{more}\n")
}

#[test]
fn a_package_of_an_archive_of_one_s_own() {
    let toy = Toy::new();
    let signer = Signer::new(2);
    let publication = Publication { signer: Some(signer.clone()), ..Publication::default() };
    publication.write(&toy.path("own"), &[agent()]);
    publish_flat(&toy, &agent(), &signer);
    toy.write("project/recipes/keys/own.gpg", signer.public());
    for (directory, more, suite) in
        [("own", "suites = [\"toy\"]\ncomponents = [\"main\"]", "own/toy"), ("flat", "suites = [\"./\"]", "own/./")]
    {
        recipe(&toy, "own-agent", &entry(&toy, directory, more));
        toy.build();
        let lock = String::from_utf8(toy.read("project/hah.lock")).unwrap();
        // Suites, the archive and who signed it.
        assert!(lock.contains(&format!("suite = \"{suite}\"\narchive = \"own\"\n")), "{lock}");
        assert_eq!(lock.matches("key = ").count(), 1, "{lock}");
        assert!(lock.contains(&format!("key = \"{}\"\n", signer.fingerprint())), "{lock}");
        let manifest: serde_json::Value = serde_json::from_slice(&toy.read("project/out/toy.json")).unwrap();
        let packages = manifest["packages"].as_array().unwrap();
        assert!(packages.iter().any(|package| package["name"] == "own-agent"));
        // The lock answers: nothing is asked again.
        toy.run(&["build", "toy", "--locked"]).succeeded();
    }
}

#[test]
fn an_archive_s_key_counts_for_it_alone() {
    let toy = Toy::new();
    let publication = Publication { signer: Some(Signer::new(2)), ..Publication::default() };
    publication.write(&toy.path("own"), &[agent()]);
    let more = "suites = [\"toy\"]\ncomponents = [\"main\"]";
    recipe(&toy, "own-agent", &entry(&toy, "own", more));
    // The key that signs the other archive does not vouch for this one.
    toy.write("project/recipes/keys/own.gpg", Signer::new(1).public());
    toy.run(&["lock", "toy"]).failed(100, &["cannot use the suite `toy` of archive own"]);
    toy.write("project/recipes/keys/own.gpg", "no key");
    toy.run(&["lock", "toy"]).failed(1, &["the key of the archive `own` (toy)"]);
    // Nor the other way round.
    toy.write("project/recipes/keys/own.gpg", Signer::new(2).public());
    toy.run(&["lock", "toy"]).succeeded();
    Publication { signer: Some(Signer::new(2)), ..Publication::default() }.write(&toy.path("archive"), &debs());
    std::fs::write(toy.path("archive/key.gpg"), Signer::new(1).public()).unwrap();
    std::fs::remove_file(toy.path("project/hah.lock")).unwrap();
    toy.run(&["lock", "toy"]).failed(100, &["cannot use the suite `toy` of debian"]);
}

#[test]
fn a_stand_in_makes_way_for_who_asks() {
    let tools = Deb::new("tools", "1").field("Depends", "dosfstools").file("/usr/bin/tools", 0o755, "tools");
    let dosfstools = Deb::new("dosfstools", "4").file("/usr/sbin/mkfs.fat", 0o755, "mkfs");
    let toy = Toy::with(&[debs(), vec![tools, dosfstools]].concat(), &Publication::default());
    let provides = "[provides]\ndosfstools = \"stage 1 needs none\"\n";
    let has = |toy: &Toy| {
        toy.build();
        let manifest: serde_json::Value = serde_json::from_slice(&toy.read("project/out/toy.json")).unwrap();
        manifest["packages"].as_array().unwrap().iter().any(|package| package["name"] == "dosfstools")
    };
    recipe(&toy, "tools", provides);
    assert!(!has(&toy));
    recipe(&toy, "tools\", \"dosfstools", provides);
    assert!(has(&toy));
}

#[test]
fn recipes_whose_packages_exclude_each_other_are_named() {
    let daemon = |name: &str| Deb::new(name, "1").field("Provides", "time-daemon").field("Conflicts", "time-daemon");
    let toy = Toy::with(&[debs(), vec![daemon("timesyncd"), daemon("chrony")]].concat(), &Publication::default());
    toy.write("project/recipes/clock.toml", "summary = \"Time\"\npackages = [\"timesyncd\"]\n");
    let image = String::from_utf8(toy.read("project/images/toy.toml")).unwrap();
    let image = image.replace("\"toy\"]", "\"toy\", \"clock\"]");
    toy.write("project/images/toy.toml", image.replace("board =", "packages = [\"chrony\"]\nboard ="));
    toy.run(&["lock", "toy"]).failed(1, &["leave out ", "recipe clock, which brings timesyncd", "which brings chrony"]);
}

#[test]
fn a_job_that_only_nomad_reads_is_named_in_output_and_manifest() {
    let toy = Toy::new();
    let job = "job \"web\" {\n  update {\n    max_paralel = 1\n  }\n}\n";
    toy.write("project/recipes/jobs/web.nomad", job);
    recipe(&toy, "toy-tool", "[[nomad-job]]\nname = \"web\"\nsource = \"jobs/web.nomad\"\n");
    let said = toy.run(&["build", "toy"]).succeeded().stderr;
    let reason = "line 3 of the job: `max_paralel` is not understood in update (did you mean `max_parallel`?)";
    assert!(said.contains(&format!("Nomad job `web` is parsed by Nomad on the node: {reason}")), "{said}");
    let manifest: serde_json::Value = serde_json::from_slice(&toy.read("project/out/toy.json")).unwrap();
    let expected = serde_json::json!([
        { "name": "web", "recipe": "toy", "parsed_by": "Nomad on the node", "reason": reason }
    ]);
    assert_eq!(manifest["nomad_jobs"], expected);
}
