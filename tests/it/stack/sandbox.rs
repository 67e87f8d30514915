//! systemd itself weighs the sandboxes of the units: what a program that was taken over could still reach.

use std::path::Path;
use std::process::Command;

use super::{render, system, write};
use crate::oracles::{is_missing, path};

/// systemd's own scale goes from 0 to 10; `--threshold` takes tenths of it.
const LIMIT: &str = "40";

/// Units that Debian's packages bring, as far as they tighten nothing: what is said beyond must come from the recipes.
const DEBIAN: [&str; 2] = ["prometheus-node-exporter.service", "prometheus-alertmanager.service"];

/// Makes no difference between a unit that is there and one that is not, unless it is asked for by name.
fn exposure(root: &Path, unit: &str) -> (bool, String) {
    let mut analyze = Command::new("systemd-analyze");
    analyze.env("PATH", path()).args(["security", "--offline=true", "--no-pager", "--threshold", LIMIT]);
    let output = analyze.arg("--root").arg(root).arg(unit).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

#[test]
fn programs_that_listen_are_locked_in() {
    if is_missing("systemd-analyze") {
        return;
    }
    for sets in [
        &[][..],
        &["vault.flavour=openbao", "consul.source=hashicorp"],
        &["network.firewall=cluster", "consul.acl=deny", "consul.tls=true", "consul.http=tls", "vault.tls=true"],
        &["vault.role=agent"],
    ] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        render(&system("whole", sets), root);
        for unit in DEBIAN {
            let text = "[Service]\nUser=prometheus\nExecStart=/usr/bin/true\n";
            write(&root.join(format!("usr/lib/systemd/system/{unit}")), text.as_bytes());
        }
        for unit in ["consul.service", "vault.service"].iter().chain(&DEBIAN) {
            let (is_within, said) = exposure(root, unit);
            let overall = said.lines().find(|line| line.contains("Overall exposure level")).unwrap_or(&said).to_owned();
            println!("{overall}");
            assert!(overall.contains(unit), "{unit} was not looked at: {said}");
            assert!(is_within, "{sets:?}: {said}");
        }
        // The judge judges: the same unit without a sandbox is refused.
        write(
            &root.join("usr/lib/systemd/system/bare.service"),
            b"[Service]\nUser=prometheus\nExecStart=/usr/bin/true\n",
        );
        assert!(!exposure(root, "bare.service").0, "a unit without a sandbox passes");
    }
}
