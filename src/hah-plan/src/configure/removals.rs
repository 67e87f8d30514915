//! What an image does without: the recipes' removals, and init scripts that have a native unit.
//!
//! It comes behind the maintainer scripts, which may want to read what goes.
//! systemd-sysv-generator(8) would make a unit of every script in `/etc/init.d` that has none of its name; those that are
//! left are of packages that have no unit, and start by it.

use std::collections::BTreeSet;

use super::{ConfigureError, Target, path};
use crate::merge;

/// Where native units are; a mask is one too.
const UNITS: [&str; 3] = ["usr/lib/systemd/system", "usr/local/lib/systemd/system", "etc/systemd/system"];

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    merge::remove(&mut target.root, &mut target.provenance, &target.system.removes);
    let mut native = BTreeSet::new();
    for directory in UNITS {
        let directory = path(directory)?;
        let names = target.root.entries(&directory).filter_map(|(at, _)| at.name().strip_suffix(".service"));
        native.extend(names.map(str::to_owned));
    }
    let init = path("etc/init.d")?;
    let scripts: Vec<_> = target.root.entries(&init).map(|(at, _)| at.clone()).collect();
    let mut gone = BTreeSet::new();
    for at in scripts {
        let name = at.name();
        let is_native = native.contains(name.strip_suffix(".sh").unwrap_or(name));
        if is_native && !target.provenance.is_from_recipe(&at) {
            gone.insert(name.to_owned());
            target.root.remove(&at);
            target.provenance.forget(&at);
        }
    }
    for level in ["0", "1", "2", "3", "4", "5", "6", "S"] {
        let directory = path(&format!("etc/rc{level}.d"))?;
        let links: Vec<_> = target.root.entries(&directory).map(|(at, _)| at.clone()).collect();
        // `S01ssh`
        for at in links.into_iter().filter(|at| at.name().get(3..).is_some_and(|name| gone.contains(name))) {
            target.root.remove(&at);
            target.provenance.forget(&at);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripts::closure::Bench;

    /// Debian's ssh has a unit and a script; the script goes, with its links.
    #[test]
    fn init_scripts_with_a_native_unit_go() {
        let Some(bench) = Bench::of(&["openssh-server", "dbus", "procps", "base-files"]) else { return };
        let mut target = bench.target();
        let script = path("etc/init.d/ssh").unwrap();
        let lonely = path("etc/init.d/lonely").unwrap();
        assert!(target.root.contains(&script));
        target.put(&lonely, "#!/bin/sh\n").unwrap();
        target.put(&path("etc/rc2.d/S01ssh").unwrap(), "").unwrap();
        target.put(&path("etc/rc2.d/S01lonely").unwrap(), "").unwrap();
        run(&mut target).unwrap();
        assert!(!target.root.contains(&script) && target.root.contains(&lonely));
        assert!(!target.root.contains(&path("etc/rc2.d/S01ssh").unwrap()));
        assert!(target.root.contains(&path("etc/rc2.d/S01lonely").unwrap()));
    }
}
