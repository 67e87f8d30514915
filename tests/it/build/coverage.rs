//! Packages that people ask for, in one image: 25 and more of the list that `cargo xtask coverage` measures.
//!
//! The project is `coverage/`. `HAH_TEST_COVERAGE` names a copy of it that is locked, and whose packages are in the
//! store (`cargo xtask test` makes one); the build itself is offline.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{judge, partition};
use crate::archive::project::PROGRAM;
use crate::oracles;

const IMAGE: &str = "many";
/// Fewest packages of the list.
const OF_LIST_MIN: usize = 25;

fn project() -> Option<PathBuf> {
    let Some(project) = std::env::var_os("HAH_TEST_COVERAGE").filter(|project| !project.is_empty()) else {
        println!("skipped: HAH_TEST_COVERAGE names no project");
        return None;
    };
    Some(project.into())
}

#[test]
fn the_image_has_packages_of_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let list = std::fs::read_to_string(root.join("xtask/data/packages.txt")).unwrap();
    let list: BTreeSet<&str> = list.lines().collect();
    let image = std::fs::read_to_string(root.join("tests/it/build/coverage/images/many.toml")).unwrap();
    let image: toml::Table = image.parse().unwrap();
    let names = image["packages"].as_array().unwrap().iter().filter_map(toml::Value::as_str);
    let of_list: Vec<&str> = names.filter(|name| list.contains(name)).collect();
    assert!(of_list.len() >= OF_LIST_MIN, "{} of the list: {of_list:?}", of_list.len());
}

#[test]
fn what_people_ask_for_is_built_and_what_is_a_machines_own_is_left_to_its_first_boot() {
    let Some(project) = project() else { return };
    if oracles::is_missing("unsquashfs") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("many.img");
    let mut build = Command::new(PROGRAM);
    build.arg("-C").arg(&project).args(["--quiet", "build", IMAGE, "--offline", "--locked", "-o"]).arg(&output);
    judge(&mut build);
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(output.with_extension("json")).unwrap()).unwrap();
    let scripts = &manifest["scripts"];
    assert!(scripts["evaluated"].as_u64().unwrap() > 150, "{scripts}");
    assert_eq!(scripts["chosen"], serde_json::json!([]), "nobody needs a [[script]]");
    let deferred = scripts["first_boot"].as_array().unwrap();
    for (package, program) in
        [("postgresql-17", "pg_createcluster"), ("open-iscsi", "iscsi-iname"), ("ssl-cert", "make-ssl-cert")]
    {
        let is_there = deferred.iter().any(|task| {
            let words = task["command"].as_array().unwrap().iter().filter_map(serde_json::Value::as_str);
            task["package"] == package && words.into_iter().any(|word| word.contains(program))
        });
        assert!(is_there, "{package}: {deferred:#?}");
    }

    let root = directory.path().join("root.squashfs");
    partition(&output, "root", &root);
    let cat = |path: &str| judge(Command::new("unsquashfs").arg("-cat").arg(&root).arg(path));
    let accounts = cat("etc/passwd") + &cat("etc/group");
    for name in
        ["_chrony", "Debian-exim", "Debian-snmp", "docker", "mosquitto", "postgres", "redis", "ssl-cert", "statd"]
    {
        assert!(accounts.lines().any(|line| line.starts_with(&format!("{name}:"))), "{name}: {accounts}");
    }
    // What scripts make of answers, alternatives and units.
    assert!(cat("etc/default/keyboard").contains("XKBLAYOUT="));
    assert!(cat("etc/exim4/update-exim4.conf.conf").contains("dc_eximconfig_configtype='local'"));
    assert!(cat("etc/shells").lines().any(|shell| shell == "/usr/bin/zsh"));
    let listing = judge(Command::new("unsquashfs").args(["-lls", "-d", ""]).arg(&root));
    for link in [
        "/etc/alternatives/vi -> /usr/bin/vim.basic",
        "/etc/systemd/system/multi-user.target.wants/nginx.service -> /usr/lib/systemd/system/nginx.service",
        "/etc/nginx/sites-enabled/default -> /etc/nginx/sites-available/default",
    ] {
        assert!(listing.lines().any(|line| line.ends_with(link)), "{link}");
    }
    // No key, no cluster, no certificate.
    for path in ["/etc/postgresql/17/main", "/etc/ssl/private/ssl-cert-snakeoil.key", "/var/lib/postgresql/17/main"] {
        assert!(!listing.lines().any(|line| line.ends_with(path)), "{path} is in the image");
    }
}
