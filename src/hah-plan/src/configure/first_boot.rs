//! What belongs to one machine is done on it: a task file and a unit for each ([`hah_node::first_boot`]).
//!
//! A unit runs before the services of the package whose script asked for it, and before those of every package that
//! depends on that one: they are who wants the key, the certificate or the database. So do the tasks of those packages: a
//! database cluster takes the certificate that is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use hah_format::tree::{Kind, Meta, Node};
use hah_node::first_boot::{TASKS, Task, VERSION, unit};

use super::{ConfigureError, Target, path};
use crate::debian::PackageName;
use crate::rootfs::{Content, UnpackedPackage};
use crate::scripts::{FirstBoot, INFO, ScriptAction, Sourced, dependents};

/// Where packages ship units.
const UNITS: &str = "usr/lib/systemd/system";
/// Suffixes of units that may want what a task makes.
const STARTED: [&str; 4] = [".service", ".socket", ".timer", ".path"];

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    tell(target)?;
    let tasks = named(&target.effects.first_boot);
    if !tasks.is_empty() {
        ship_answers(target)?;
    }
    for (index, (name, task)) in tasks.iter().enumerate() {
        let mut command = task.what.command.clone();
        if let Some(script) = command.first().and_then(|program| program.strip_prefix(INFO)) {
            command[0] = ship_script(target, script.trim_start_matches('/'))?;
        }
        let summary = task.what.summary.to_string();
        let mut before = services_of(target, &task.package)?;
        before.extend(later(target.packages, &tasks, index));
        before.extend(task.what.before.iter().map(ToString::to_string));
        let record = Task {
            version: VERSION,
            package: task.package.to_string(),
            summary: summary.clone(),
            command,
            makes_in: task.what.makes_in.as_ref().map(ToString::to_string),
        };
        let text = serde_json::to_string_pretty(&record).map_err(|error| {
            ConfigureError::invalid(format!("the task {name}: {error}"), "this is a bug in hah-image")
        })?;
        target.put(&path(&format!("{TASKS}/{name}.json"))?, text + "\n")?;
        let unit = unit(name);
        target.put(&path(&format!("{UNITS}/{unit}"))?, unit_text(name, &task.package, &summary, &before))?;
        let wants = path(&format!("{UNITS}/multi-user.target.wants/{unit}"))?;
        target.put_node(&wants, Node::symlink(&format!("../{unit}")))?;
    }
    Ok(())
}

/// Where scripts expect debconf's functions.
const CONFMODULE: &str = "usr/share/debconf/confmodule";

/// Gives the commands debconf's functions, with the answers of the build: an image has no debconf.
fn ship_answers(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let confmodule = path(CONFMODULE)?;
    if target.root.contains(&confmodule) {
        return Ok(());
    }
    let mut text = String::new();
    for (name, value) in &target.effects.answers {
        let _ = writeln!(text, "{name}\t{}", crate::debconf::escape(value));
    }
    target.put(&path(&format!("{TASKS}/answers"))?, text)?;
    target.put(&confmodule, include_str!("first_boot/confmodule.sh"))
}

/// The tasks with their names: the package's, and a number from the second one of a package on.
fn named(tasks: &[Sourced<FirstBoot>]) -> Vec<(String, Sourced<FirstBoot>)> {
    let mut counts: BTreeMap<&PackageName, u32> = BTreeMap::new();
    let name = |task: &'_ Sourced<FirstBoot>, count: u32| match count {
        1 => task.package.to_string(),
        count => format!("{}-{count}", task.package),
    };
    let mut named = Vec::new();
    for task in tasks {
        let count = counts.entry(&task.package).or_default();
        *count += 1;
        named.push((name(task, *count), task.clone()));
    }
    named
}

/// The units of the tasks that the `index`th one goes before.
fn later(packages: &[UnpackedPackage], tasks: &[(String, Sourced<FirstBoot>)], index: usize) -> Vec<String> {
    let own = &tasks[index].1.package;
    let needs = |package: &PackageName, other: &PackageName| {
        dependents(packages, other).into_iter().any(|index| packages[index].name == *package)
    };
    let is_later = |(at, (_, task)): &(usize, &(String, Sourced<FirstBoot>))| match task.package == *own {
        true => *at > index,
        // Of two packages that depend on each other neither comes first.
        false => needs(&task.package, own) && !needs(own, &task.package),
    };
    tasks.iter().enumerate().filter(is_later).map(|(_, (name, _))| unit(name)).collect()
}

/// What a recipe left out or put off is said to everybody who logs in (pam_motd(8)).
fn tell(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let mut text = String::new();
    for choice in &target.effects.report.choices {
        let what = match choice.action {
            ScriptAction::Skip => "does not run",
            ScriptAction::FirstBoot => "runs on the first boot",
        };
        let _ =
            writeln!(text, "  The {} of {} {what} ({}): {}", choice.kind, choice.package, choice.recipe, choice.reason);
    }
    if text.is_empty() { Ok(()) } else { target.put(&path("etc/motd.d/hah-scripts")?, text + "\n") }
}

/// Puts a package's script where a node can run it; images have none in dpkg's own place.
fn ship_script(target: &mut Target<'_>, file: &str) -> Result<String, ConfigureError> {
    let at = format!("{TASKS}/{file}");
    let bytes = file.rsplit_once('.').and_then(|(package, kind)| {
        target.packages.iter().find(|found| found.name.as_str() == package)?.control.get(kind)
    });
    let node =
        Node { meta: Meta::root(0o755), ..Node::file(0o755, Content::inline(bytes.cloned().unwrap_or_default())) };
    target.put_node(&path(&at)?, node)?;
    Ok(at)
}

/// The units of `package` and of all that depend on it, in order of name.
///
/// One without default dependencies may belong to the very start of the system, for which a task, which wants a whole
/// file system, comes too late.
fn services_of(target: &Target<'_>, package: &PackageName) -> Result<BTreeSet<String>, ConfigureError> {
    let mut found = BTreeSet::new();
    for index in dependents(target.packages, package) {
        for (at, node) in target.packages[index].tree.iter() {
            let parent = at.parent();
            let parent = parent.as_ref().map(|parent| parent.as_str()).unwrap_or_default();
            // systemd orders no pattern; an instance is ordered by the unit that starts it.
            let is_unit = matches!(parent, UNITS | "lib/systemd/system")
                && STARTED.iter().any(|suffix| at.name().ends_with(suffix))
                && !at.name().contains("@.");
            let Kind::File(content) = &node.kind else { continue };
            if !is_unit {
                continue;
            }
            let bytes = target.contents.bytes(content).map_err(|error| ConfigureError::at(at, error))?;
            if !is_early(&String::from_utf8_lossy(&bytes)) {
                found.insert(at.name().to_owned());
            }
        }
    }
    Ok(found)
}

/// Whether a unit's text says `DefaultDependencies=no` (systemd.syntax(7) has the words for it).
fn is_early(text: &str) -> bool {
    let values = text.lines().filter_map(|line| line.trim().split_once('='));
    let mut values = values.filter(|(key, _)| key.trim_end() == "DefaultDependencies").map(|(_, value)| value.trim());
    values
        .next_back()
        .is_some_and(|value| ["no", "false", "0", "off", "n", "f"].contains(&value.to_ascii_lowercase().as_str()))
}

fn unit_text(name: &str, package: &PackageName, summary: &str, before: &BTreeSet<String>) -> String {
    let mut order = String::new();
    for unit in before {
        let _ = writeln!(order, "Before={unit}");
    }
    format!(
        "[Unit]\n\
         Description=First boot of {package}: {}\n\
         Documentation=https://github.com/hah-image/hah-image\n\
         RequiresMountsFor=/var/lib/hah\n\
         # By default a service starts after all sockets, timers and paths, which are among those that wait for this one.\n\
         DefaultDependencies=no\n\
         Requires=sysinit.target\n\
         After=sysinit.target\n\
         Conflicts=shutdown.target\n\
         Before=shutdown.target\n\
         {order}\n\
         [Service]\n\
         Type=oneshot\n\
         RemainAfterExit=yes\n\
         ExecStart=/usr/lib/hah/hah-agent first-boot {name}\n\
         # A key on a Pi Zero takes its time.\n\
         TimeoutStartSec=30min\n",
        summary.replace('%', "%%"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(package: &str) -> Sourced<FirstBoot> {
        let what =
            FirstBoot { command: vec!["true".to_owned()], summary: "x".into(), makes_in: None, before: Vec::new() };
        Sourced { what, package: package.parse().unwrap() }
    }

    fn package(name: &str, depends: &str) -> UnpackedPackage {
        let control = format!("Package: {name}\nVersion: 1\nArchitecture: all\n{depends}");
        UnpackedPackage {
            name: name.parse().unwrap(),
            version: "1".parse().unwrap(),
            architecture: crate::debian::Architecture::All,
            control: BTreeMap::from([("control".to_owned(), control.into_bytes())]),
            tree: crate::rootfs::Root::new(),
        }
    }

    /// The cluster of PostgreSQL was made without the certificate that it would have taken.
    #[test]
    fn a_task_comes_before_those_of_packages_that_depend_on_its_own() {
        let packages = [package("base", ""), package("cert", "Depends: loop\n"), package("db", "Depends: cert\n")];
        let packages = [&packages[..], &[package("loop", "Depends: cert\n")]].concat();
        let tasks = named(&[task("db"), task("cert"), task("cert"), task("base"), task("loop")]);
        let names: Vec<&str> = tasks.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["db", "cert", "cert-2", "base", "loop"]);
        let before = |index| later(&packages, &tasks, index);
        assert_eq!(before(1), ["hah-first-boot-db.service", "hah-first-boot-cert-2.service"]);
        assert_eq!(before(2), ["hah-first-boot-db.service"]);
        assert_eq!((before(0), before(3)), (vec![], vec![]));
        assert_eq!(before(4), ["hah-first-boot-db.service"], "by way of cert");
    }

    /// A service starts after every socket by default: with a socket that waits for it, systemd drops one of both.
    #[test]
    fn a_task_goes_before_sockets_without_a_cycle() {
        let text = unit_text("db", &"db".parse().unwrap(), "100 %", &BTreeSet::from(["db.socket".to_owned()]));
        assert!(text.contains("DefaultDependencies=no\n") && text.contains("After=sysinit.target\n"), "{text}");
        assert!(
            text.contains("Before=db.socket\n") && text.contains("Description=First boot of db: 100 %%\n"),
            "{text}"
        );
        assert!(is_early("[Unit]\nDefaultDependencies = no\n") && !is_early("[Unit]\nDefaultDependencies=yes\n"));
    }

    /// `make-ssl-cert` ended at its first line: an image has no debconf.
    #[test]
    #[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "the shell that reads it is the judge")]
    fn commands_have_debconfs_functions_with_the_builds_answers() {
        let scratch = crate::scripts::closure::Scratch::new("confmodule");
        let answers = format!("{}/answers", scratch.path());
        std::fs::write(&answers, "some/name\ta b\\\\c\nother/flag\ttrue\n").unwrap();
        let module = include_str!("first_boot/confmodule.sh").replace("/usr/lib/hah/first-boot/answers", &answers);
        let script = "set -eu\ndb_version 2.0\ndb_capb backup\ndb_settitle some/title\ndb_input high some/name || true\n\
                      db_go\ndb_get some/name; printf '%s\\n' \"$RET\"\ndb_set other/flag false; db_get other/flag; echo \"$RET\"\n\
                      db_get none/such || echo \"$? $RET\"\ndb_stop\n";
        for shell in ["dash", "bash"] {
            let output =
                std::process::Command::new(shell).arg("-c").arg(format!("{module}\n{script}")).output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert_eq!(said, "a b\\\\c\nfalse\n10 none/such doesn't exist\n", "{shell}: {complaint}");
            assert!(output.status.success(), "{shell}");
        }
    }
}
