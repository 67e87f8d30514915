//! The programs that the recipes configure, as Debian packages them, for the tests that run them.
//!
//! They come from suites that this machine need not have in its sources, and are unpacked below `target/e2e` rather than
//! installed. Nomad, Vault and OpenBao are in no Debian: whoever has them names their directory in `HAH_E2E_BIN`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::{apt, say, workspace};

/// Suite and package: what the images take, from where they take it.
const PROGRAMS: [(&str, &str); 5] = [
    ("bullseye", "consul"),
    ("trixie", "prometheus"),
    ("trixie", "promtool"),
    ("trixie", "prometheus-node-exporter"),
    ("trixie", "prometheus-alertmanager"),
];

/// The directory of the programs, fetched unless it is there.
pub(crate) fn fetch(shell: &Shell) -> Result<PathBuf> {
    let directory = workspace::target()?.join("e2e");
    let (root, done) = (directory.join("root"), directory.join("done"));
    let wanted = PROGRAMS.map(|(suite, package)| format!("{package}/{suite}"));
    if shell.read_file(&done).is_ok_and(|found| found == wanted.join(" ")) {
        return Ok(root.join("usr/bin"));
    }
    say::step(&format!("fetching {}", wanted.join(" ")));
    shell.remove_path(&directory)?;
    let packages = directory.join("packages");
    shell.create_dir(&packages)?;
    let architecture = cmd!(shell, "dpkg --print-architecture").quiet().read()?;
    let sources: String = ["trixie", "bullseye"]
        .map(|suite| apt::source(shell, "debian", suite, "main"))
        .into_iter()
        .collect::<Result<_>>()?;
    let apt = apt::Root::new(shell, &directory.join("apt"), &architecture, &sources)?;
    apt.run("apt-get", &["update", "-qq"])?;
    {
        let _there = shell.push_dir(&packages);
        let mut arguments = vec!["download", "-qq"];
        arguments.extend(wanted.iter().map(String::as_str));
        apt.run("apt-get", &arguments)?;
    }
    for package in shell.read_dir(&packages)? {
        cmd!(shell, "dpkg-deb -x {package} {root}").quiet().run()?;
    }
    shell.write_file(&done, wanted.join(" ")).context("cannot remember what was fetched")?;
    Ok(root.join("usr/bin"))
}

/// `HAH_E2E_BIN` with the programs of Debian after those that are in it.
pub(crate) fn path(shell: &Shell) -> Result<String> {
    let fetched = fetch(shell)?;
    Ok(match workspace::variable("HAH_E2E_BIN") {
        Some(own) => format!("{own}:{}", fetched.display()),
        None => fetched.display().to_string(),
    })
}
