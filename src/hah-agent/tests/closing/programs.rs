//! Programs that tests start: found, started with their output in a file, and ended with the test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where a program is: in `HAH_E2E_BIN`, or on the path.
pub(crate) fn find(names: &[&str]) -> Option<PathBuf> {
    let own = std::env::var("HAH_E2E_BIN").unwrap_or_default();
    let path = std::env::var("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&own).chain(std::env::split_paths(&path)).collect();
    names.iter().find_map(|name| directories.iter().map(|one| one.join(name)).find(|path| path.is_file()))
}

/// The same; a program that is missing is said, and where oracles are required it is a failure.
pub(crate) fn oracle(names: &[&str]) -> Option<PathBuf> {
    let found = find(names);
    if found.is_none() {
        let required = std::env::var("HAH_REQUIRE_ORACLES").as_deref() == Ok("1");
        assert!(!required, "{} is missing: neither in HAH_E2E_BIN nor on the path", names[0]);
        println!("skipped: no {}", names[0]);
    }
    found
}

/// A running program.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Like a power cut.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
