//! What belongs to one machine is done on it: a task file and a unit for each ([`hah_node::first_boot`]).
//!
//! A unit runs before the services of the package whose script asked for it, and before those of every package that
//! depends on that one: they are who wants the key, the certificate or the database.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use hah_format::tree::{Meta, Node};
use hah_node::first_boot::{TASKS, Task, VERSION, unit};

use super::{ConfigureError, Target, path};
use crate::debian::PackageName;
use crate::rootfs::{Content, UnpackedPackage};
use crate::scripts::{INFO, ScriptAction, dependents};

/// Where packages ship units.
const UNITS: &str = "usr/lib/systemd/system";
/// Suffixes of units that may want what a task makes.
const STARTED: [&str; 4] = [".service", ".socket", ".timer", ".path"];

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    tell(target)?;
    let tasks = target.effects.first_boot.clone();
    let mut counts: BTreeMap<PackageName, u32> = BTreeMap::new();
    for task in &tasks {
        let count = counts.entry(task.package.clone()).or_default();
        *count += 1;
        let name = match count {
            1 => task.package.to_string(),
            count => format!("{}-{count}", task.package),
        };
        let mut command = task.what.command.clone();
        if let Some(script) = command.first().and_then(|program| program.strip_prefix(INFO)) {
            command[0] = ship_script(target, script.trim_start_matches('/'))?;
        }
        let summary = task.what.summary.to_string();
        let before = services_of(target.packages, &task.package);
        let record = Task { version: VERSION, package: task.package.to_string(), summary: summary.clone(), command };
        let text = serde_json::to_string_pretty(&record).map_err(|error| {
            ConfigureError::invalid(format!("the task {name}: {error}"), "this is a bug in hah-image")
        })?;
        target.put(&path(&format!("{TASKS}/{name}.json"))?, text + "\n")?;
        let unit = unit(&name);
        target.put(&path(&format!("{UNITS}/{unit}"))?, unit_text(&name, &task.package, &summary, &before))?;
        let wants = path(&format!("{UNITS}/multi-user.target.wants/{unit}"))?;
        target.put_node(&wants, Node::symlink(&format!("../{unit}")))?;
    }
    Ok(())
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
fn services_of(packages: &[UnpackedPackage], package: &PackageName) -> BTreeSet<String> {
    dependents(packages, package)
        .into_iter()
        .flat_map(|index| packages[index].tree.iter())
        .filter(|(at, _)| {
            let parent = at.parent();
            let parent = parent.as_ref().map(|parent| parent.as_str()).unwrap_or_default();
            matches!(parent, UNITS | "lib/systemd/system") && STARTED.iter().any(|suffix| at.name().ends_with(suffix))
        })
        .map(|(at, _)| at.name().replace("@.", "@*."))
        // systemd orders no pattern; an instance is ordered by the target that starts it.
        .filter(|name| !name.contains('*'))
        .collect()
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
