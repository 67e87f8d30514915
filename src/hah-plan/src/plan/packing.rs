//! How things are packed: what of a package is stored follows from what the image's recipes remove.

use hah_format::pack::keep::Documents;
use hah_format::pack::{Keep, Locales, PackOptions};
use hah_format::path::TreePath;

use crate::system::System;

/// What is typical of documentation, of manual pages, and of translations.
const PROBES: [&str; 3] =
    ["usr/share/doc/probe/README", "usr/share/man/man1/probe.1.gz", "usr/share/locale/de/LC_MESSAGES/probe.mo"];

/// How the packages of `system` are packed: what a recipe removes of documentation is not stored at all.
///
/// Each kind is probed with a path that is typical of it, so that the recipes' removals stay the only place that decides.
pub fn of_packages(system: &System) -> PackOptions {
    let stays = |probe: &str| match TreePath::parse(probe) {
        Ok(path) => !system.removes.iter().any(|remove| remove.removes(&path)),
        Err(_) => true,
    };
    keeping(PROBES.map(stays))
}

/// Every answer that [`of_packages`] can give.
pub fn every_way() -> impl Iterator<Item = PackOptions> {
    (0..1 << PROBES.len()).map(|bits| keeping([bits & 1 != 0, bits & 2 != 0, bits & 4 != 0]))
}

/// The options when each kind of [`PROBES`] stays or goes.
fn keeping([docs, man, locales]: [bool; 3]) -> PackOptions {
    let documents = |stay| if stay { Documents::Keep } else { Documents::Drop };
    let locales = if locales { Locales::All } else { Locales::None };
    PackOptions { keep: Keep { docs: documents(docs), man: documents(man), locales }, ..PackOptions::default() }
}

/// How artifacts are packed: nothing in them is documentation by its path.
pub fn of_artifacts() -> PackOptions {
    PackOptions { keep: Keep::everything(), ..PackOptions::default() }
}

/// How derived files are packed.
pub fn of_derived() -> PackOptions {
    PackOptions::default()
}
