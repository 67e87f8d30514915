//! The installation: every package's scripts, in dpkg's order, on one world.

use std::collections::{BTreeMap, BTreeSet};

use hah_format::path::TreePath;

use super::order::configure_order;
use super::table::ReviewTable;
use super::{ScriptAction, ScriptChoice, ScriptError, apply, unpack};
use crate::commands::{Process, Programs, Refusal};
use crate::effects::{Author, Effect, FirstBoot, Sourced};
use crate::rootfs::UnpackedPackage;
use crate::shell::{self, Script, Stopped};
use crate::system::ScriptKind;
use crate::world::World;

/// What decides about scripts besides themselves.
#[derive(Clone, Copy, Debug)]
pub struct Configuration<'a> {
    /// Reviewed calls of programs.
    pub reviews: &'a ReviewTable,
    /// What recipes say about scripts.
    pub choices: &'a [ScriptChoice],
}

/// Where dpkg keeps the scripts; what `$0` says.
pub const INFO: &str = "/var/lib/dpkg/info";
/// Bytes of a failed script's complaints that its error shows.
const SHOWN_BYTES: usize = 400;

/// Evaluates all scripts of `world.packages`. Errors are collected, one for each script that could not be evaluated.
pub fn install(world: &mut World<'_>, configuration: Configuration<'_>) -> Result<(), Vec<ScriptError>> {
    let packages = world.packages;
    let order = configure_order(packages);
    let mut errors = Vec::new();
    let mut failed: BTreeSet<usize> = BTreeSet::new();
    let mut note = |index: usize, done: Result<(), Box<ScriptError>>| {
        if let Err(error) = done {
            // What follows from a script that did not run to its end says nothing new.
            if failed.insert(index) {
                errors.push(*error);
            }
        }
    };
    let bootstrapped = unpack::bootstrapped(packages, &order);
    for (position, &index) in order.iter().enumerate() {
        let package = &packages[index];
        note(
            index,
            match position < bootstrapped {
                true => evaluate(world, package, ScriptKind::Preinst, &["install"], configuration),
                false => before_unpacking(world, package, configuration),
            },
        );
    }
    for &index in &order {
        note(index, evaluate(world, &packages[index], ScriptKind::Config, &["configure", ""], configuration));
        note(index, evaluate(world, &packages[index], ScriptKind::Postinst, &["configure", ""], configuration));
        world.configured.insert(packages[index].name.clone());
    }
    for (index, names) in triggered(world, &order) {
        let args = ["triggered", &names];
        note(index, evaluate(world, &packages[index], ScriptKind::Postinst, &args, configuration));
    }
    world.effects.sort();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Evaluates a package's `preinst install` in a tree that does not have its files yet, and then has them.
fn before_unpacking(
    world: &mut World<'_>,
    package: &UnpackedPackage,
    configuration: Configuration<'_>,
) -> Result<(), Box<ScriptError>> {
    if !package.control.contains_key(ScriptKind::Preinst.member()) {
        return Ok(());
    }
    let packed = unpack::pack(world, package);
    let done = evaluate(world, package, ScriptKind::Preinst, &["install"], configuration);
    let unpacked = unpack::unpack(world, packed, package);
    done.and(unpacked.map_err(|error| {
        Box::new(ScriptError {
            package: package.name.clone(),
            version: package.version.clone(),
            kind: ScriptKind::Preinst,
            line: 1,
            what: format!("what it leaves is in the way of the package's own files: {error}"),
            program: None,
            excerpt: String::new(),
        })
    }))
}

/// The packages that are interested in what dpkg-trigger was called for, with the triggers' names.
fn triggered(world: &World<'_>, order: &[usize]) -> Vec<(usize, String)> {
    let names_of = |package: &UnpackedPackage| {
        let text = package.control.get("triggers").map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let interests = text.unwrap_or_default();
        let wanted: BTreeSet<&str> = interests
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                words.next().is_some_and(|word| word.starts_with("interest")).then(|| words.next()).flatten()
            })
            .collect();
        let names: BTreeSet<&str> = world.triggers.iter().map(|trigger| trigger.name.as_str()).collect();
        names.into_iter().filter(|name| wanted.contains(name)).map(str::to_owned).collect::<Vec<_>>()
    };
    let found = order.iter().map(|&index| (index, names_of(&world.packages[index])));
    found.filter(|(_, names)| !names.is_empty()).map(|(index, names)| (index, names.join(" "))).collect()
}

/// Evaluates one script, when the package has it and no recipe decides otherwise.
pub(super) fn evaluate(
    world: &mut World<'_>,
    package: &UnpackedPackage,
    kind: ScriptKind,
    args: &[&str],
    configuration: Configuration<'_>,
) -> Result<(), Box<ScriptError>> {
    let Some(bytes) = package.control.get(kind.member()) else { return Ok(()) };
    let text = String::from_utf8_lossy(bytes);
    let choice = configuration.choices.iter().find(|choice| choice.package == package.name && choice.kind == kind);
    if let Some(choice) = choice {
        world.effects.report.choices.push(choice.clone());
        if choice.action == ScriptAction::FirstBoot {
            let mut command = vec![format!("{INFO}/{}.{}", package.name, kind.member())];
            command.extend(args.iter().map(|arg| (*arg).to_owned()));
            let what = FirstBoot { command, summary: choice.reason.clone() };
            world.effects.add(&package.name, Effect::FirstBoot(what));
        }
        return Ok(());
    }
    if let Some(review) = configuration.reviews.script(package.name.as_str(), kind) {
        let passes = review.handled_by.iter().cloned().map(Effect::HandledBy);
        passes.for_each(|effect| world.effects.add(&package.name, effect));
        let call = (vec![kind.member().to_owned()], review.summary.clone());
        world.effects.report.reviewed.push(Sourced { what: call, package: package.name.clone() });
        return Ok(());
    }
    world.author = Some(Author { package: package.name.clone(), script: kind, line: 1 });
    let script = Script {
        name: format!("{INFO}/{}.{}", package.name, kind.member()),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: environment(package, kind),
        cwd: TreePath::root(),
        stdin: Vec::new(),
    };
    let programs = Reviewed { package, table: configuration.reviews };
    let done = shell::run(world, &text, script, &programs);
    let last_line = world.author.take().map_or(1, |author| author.line);
    let error = |line: u32, what: String, program: Option<String>| {
        let excerpt = text.lines().nth(line.saturating_sub(1) as usize).unwrap_or_default();
        Box::new(ScriptError {
            package: package.name.clone(),
            version: package.version.clone(),
            kind,
            line,
            what,
            program,
            excerpt: excerpt.trim().chars().take(160).collect(),
        })
    };
    match done {
        Ok(finished) if finished.status == 0 => {
            world.effects.report.evaluated += 1;
            Ok(())
        }
        Ok(finished) => {
            let said = String::from_utf8_lossy(&finished.stderr);
            let said: String =
                said.trim_end().chars().rev().take(SHOWN_BYTES).collect::<Vec<_>>().into_iter().rev().collect();
            let what = match said.trim() {
                "" => format!("it ends with status {}", finished.status),
                said => format!("it ends with status {}, saying: {said}", finished.status),
            };
            Err(error(last_line, what, None))
        }
        Err(Stopped { line, what, program, .. }) => Err(error(line, what, program)),
    }
}

/// The variables that dpkg sets (dpkg(1), ENVIRONMENT), and those that an installation without a person has.
fn environment(package: &UnpackedPackage, kind: ScriptKind) -> BTreeMap<String, String> {
    [
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("DPKG_ADMINDIR", "/var/lib/dpkg"),
        ("DPKG_MAINTSCRIPT_ARCH", package.architecture.as_str()),
        ("DPKG_MAINTSCRIPT_NAME", kind.member()),
        ("DPKG_MAINTSCRIPT_PACKAGE", package.name.as_str()),
        ("DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT", "1"),
        ("DPKG_ROOT", ""),
        ("DPKG_RUNNING_VERSION", "1.22.21"),
        ("HOME", "/root"),
        ("LC_ALL", "C.UTF-8"),
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// The reviewed calls, as the shell asks for them.
struct Reviewed<'a> {
    package: &'a UnpackedPackage,
    table: &'a ReviewTable,
}

impl Programs for Reviewed<'_> {
    fn call(&self, process: &mut Process<'_, '_>, argv: &[String]) -> Result<Option<u8>, Refusal> {
        let Some(review) = self.table.get(self.package.name.as_str(), argv) else { return Ok(None) };
        apply::apply(process.world, &self.package.name, &review.effects)?;
        let call = Sourced { what: (argv.to_vec(), review.summary.clone()), package: self.package.name.clone() };
        process.world.effects.report.reviewed.push(call);
        if let Some(words) = &review.first_boot {
            let command = if words.is_empty() { argv.to_vec() } else { words.clone() };
            let what = FirstBoot { command, summary: review.summary.clone() };
            process.world.effects.add(&self.package.name, Effect::FirstBoot(what));
        }
        process.print(&*review.stdout);
        Ok(Some(review.status))
    }
}
