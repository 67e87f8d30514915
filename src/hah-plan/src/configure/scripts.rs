//! The packages' maintainer scripts: see [`crate::scripts`].

use std::collections::BTreeSet;

use hah_format::path::TreePath;

use super::{ConfigureError, Problem, Target};
use crate::debconf::Debconf;
use crate::debconf::answers::{self, AnswerError};
use crate::scripts::{self, Configuration};
use crate::system::System;
use crate::world::World;

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let (root, provenance) = (std::mem::take(&mut target.root), std::mem::take(&mut target.provenance));
    let mut world = World::new(root, provenance, target.contents, target.epoch);
    world.packages = target.packages;
    world.effects.ids = target.reviews.ids.clone();
    world.machine = target.system.architecture.machine().to_owned();
    let configuration = Configuration { reviews: target.reviews, choices: &target.system.scripts };
    world.stand_ins = stand_ins(target.system);
    let done = install(&mut world, target.system, configuration);
    target.root = world.tree;
    target.provenance = world.provenance;
    target.effects = world.effects;
    let debconf = &world.debconf;
    target.effects.answers = debconf.questions().map(|(name, found)| (name.to_owned(), debconf.value(found))).collect();
    done
}

/// What scripts find of packages that exist for them alone, and that images have no copy of.
const STAND_INS: [(&str, &[&str]); 3] = [
    ("adduser", &["usr/sbin/adduser", "usr/sbin/addgroup", "usr/sbin/deluser", "usr/sbin/delgroup"]),
    (
        "debconf",
        &[
            "usr/share/debconf/confmodule",
            "usr/share/debconf/confmodule.sh",
            "usr/bin/debconf",
            "usr/bin/debconf-communicate",
            "usr/bin/debconf-escape",
            "usr/bin/debconf-set-selections",
            "usr/bin/debconf-show",
            "usr/sbin/dpkg-preconfigure",
            "usr/sbin/dpkg-reconfigure",
        ],
    ),
    ("ucf", &["usr/bin/ucf", "usr/bin/ucfr", "usr/bin/ucfq"]),
];

fn stand_ins(system: &System) -> BTreeSet<TreePath> {
    let provided = |name: &str| system.provided.keys().any(|provided| provided.as_str() == name);
    let paths = STAND_INS.iter().filter(|(name, _)| provided(name)).flat_map(|(_, paths)| *paths);
    paths.filter_map(|path| TreePath::parse(path).ok()).collect()
}

fn install(world: &mut World<'_>, system: &System, configuration: Configuration<'_>) -> Result<(), ConfigureError> {
    let unfit = |errors: Vec<AnswerError>| {
        let texts: Vec<String> = errors.iter().map(|error| format!("{error}\n hint: {}", error.hint())).collect();
        ConfigureError::invalid(texts.join("\n"), "answers of recipes must fit the questions of the image's packages")
    };
    let answers = answers::check(&system.debconf, world.packages).map_err(unfit)?;
    world.debconf = Debconf::new(answers);
    world.start_accounts(system, &configuration.reviews.ids)?;
    scripts::install(world, configuration).map_err(|errors| ConfigureError {
        pass: "",
        path: None,
        problem: Problem::Scripts(errors),
    })?;
    answers::check_registered(&system.debconf, &world.debconf).map_err(unfit)?;
    Ok(world.finish_accounts()?)
}
