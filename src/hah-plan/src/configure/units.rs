//! Which systemd units are enabled: the links below `/etc/systemd/system` and `/etc/systemd/user`.
//!
//! Packages enable their units through deb-systemd-helper, as their scripts say ([`crate::scripts`]), where presets allow it.
//! The commands of interpreted scripts ([`crate::commands`]) make and remove these links at once, by what is here, and what a
//! script does to a link afterwards stands; the pass makes those of reviews alone. Then come the recipes, and theirs is the last word: what they enable, then what they disable, then what they mask.
//! Links are those of `systemctl enable` (systemd.unit(5), `[Install]`, drop-ins included):
//!
//! ```text
//! WantedBy=multi-user.target    multi-user.target.wants/ssh.service → /usr/lib/systemd/system/ssh.service
//! RequiredBy=, UpheldBy=        the same in .requires/ and .upholds/
//! Alias=sshd.service            sshd.service → /usr/lib/systemd/system/ssh.service
//! Also=                         these units too
//! DefaultInstance=tty1          getty@.service is enabled as getty@tty1.service
//! ```
//!
//! Nothing on a node runs `systemctl preset-all`: stage 1 gives systemd a machine id before it starts, so that no boot is
//! the first one to systemd.

mod install;
mod preset;

use std::collections::{BTreeMap, BTreeSet};

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Node};

use super::{ConfigureError, Problem, Target, content_of, path};
use crate::contents::Contents;
use crate::rootfs::Root;
use crate::scripts::{Manager, UnitAction};
use crate::system::UnitState;

pub(crate) use install::{Install, UnitName};
pub(crate) use preset::{Presets, matches};

const SYSTEM_PATH: [&str; 3] = ["etc/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system"];
const USER_PATH: [&str; 5] = [
    "etc/systemd/user",
    "usr/local/lib/systemd/user",
    "usr/local/share/systemd/user",
    "usr/share/systemd/user",
    "usr/lib/systemd/user",
];

/// A tree in which unit files are looked for.
#[derive(Clone, Copy)]
pub(crate) struct UnitFiles<'a> {
    /// The tree.
    pub(crate) root: &'a Root,
    /// Bytes of its files.
    pub(crate) contents: &'a dyn Contents,
}

impl<'a> UnitFiles<'a> {
    fn of(target: &'a Target<'_>) -> Self {
        Self { root: &target.root, contents: target.contents }
    }

    fn read_text(&self, path: &TreePath) -> Result<String, ConfigureError> {
        let Some(content) = content_of(self.root, path) else { return Ok(String::new()) };
        let bytes = self.contents.bytes(content).map_err(|error| ConfigureError::at(path, error))?;
        String::from_utf8(bytes).map_err(|_| ConfigureError::syntax(path, 0, "the file is not UTF-8"))
    }
}

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let links = links_of(target)?;
    for (at, to) in links.0 {
        match to {
            // A script's own link keeps its provenance.
            Some(to) if is_link_to(&target.root, &at, &to) => {}
            Some(to) => target.put_node(&at, Node::symlink(&to))?,
            None => {
                target.root.remove(&at);
                target.provenance.forget(&at);
            }
        }
    }
    Ok(())
}

fn is_link_to(root: &Root, at: &TreePath, to: &str) -> bool {
    matches!(root.get(at).map(|node| &node.kind), Some(Kind::Symlink(found)) if **found == *to)
}

fn links_of(target: &Target<'_>) -> Result<Links, ConfigureError> {
    let mut links = Links::default();
    let effects = &target.effects;
    let target_files = UnitFiles::of(target);
    let files = &target_files;
    for unit in effects.units.iter().map(|effect| &effect.what).filter(|unit| unit.action == UnitAction::Enable) {
        // A package's own unit is missing only when a recipe leaves it out.
        if find(files, unit.manager, &unit.unit)?.is_some() {
            links.enable(files, unit.manager, &unit.unit)?;
        }
    }
    for effect in &effects.units {
        match effect.what.action {
            UnitAction::Enable => {}
            UnitAction::Disable => links.disable(files, effect.what.manager, &effect.what.unit, &BTreeSet::new())?,
            UnitAction::Mask => links.mask(files, effect.what.manager, &effect.what.unit)?,
        }
    }
    recipes(target, &mut links)?;
    Ok(links)
}

fn recipes(target: &Target<'_>, links: &mut Links) -> Result<(), ConfigureError> {
    let system = target.system;
    let files = &UnitFiles::of(target);
    let of = |state: UnitState| system.units.iter().filter(move |unit| unit.state == state);
    let enabled: BTreeSet<&str> = of(UnitState::Enabled).map(|unit| unit.name.as_str()).collect();
    for unit in of(UnitState::Enabled) {
        let found = find(files, Manager::System, &unit.name)?;
        let Some(found) = found else {
            return Err(ConfigureError::invalid(
                format!("recipe {} enables `{}`, but no package or recipe has this unit", unit.recipe, unit.name),
                "add the package that ships the unit, or give the unit's text in the recipe",
            ));
        };
        if install_of(files, Manager::System, &found)?.is_empty() {
            return Err(ConfigureError::invalid(
                format!("recipe {} enables `{}`, whose [Install] section is empty or missing", unit.recipe, unit.name),
                "systemd starts such a unit only when another one wants it; add a drop-in with an [Install] section",
            ));
        }
        links.unmask(files, Manager::System, &unit.name)?;
        links.enable(files, Manager::System, &unit.name)?;
    }
    for unit in of(UnitState::Disabled) {
        links.disable(files, Manager::System, &unit.name, &enabled)?;
    }
    for unit in of(UnitState::Masked) {
        links.mask(files, Manager::System, &unit.name)?;
    }
    Ok(())
}

/// The rules of all preset files, by file name; one in `/etc` takes the place of its namesake.
pub(crate) fn presets_of(files: &UnitFiles<'_>, manager: Manager) -> Result<Presets, ConfigureError> {
    let kind = if manager == Manager::System { "system-preset" } else { "user-preset" };
    let mut found: BTreeMap<String, TreePath> = BTreeMap::new();
    for dir in ["usr/lib/systemd", "usr/local/lib/systemd", "etc/systemd"] {
        let dir = path(dir)?.join(kind).map_err(|error| ConfigureError::invalid(error.to_string(), ""))?;
        for (at, _) in files.root.entries(&dir).filter(|(at, _)| at.name().ends_with(".preset")) {
            found.insert(at.name().to_owned(), at.clone());
        }
    }
    let mut presets = Presets::default();
    for at in found.into_values() {
        let text = files.read_text(&at)?;
        presets.read(&text).map_err(|(line, what)| ConfigureError::syntax(&at, line, what))?;
    }
    Ok(presets)
}

/// The directories of unit files, without `/run`, the first of them for links.
pub(crate) fn search_path(manager: Manager) -> &'static [&'static str] {
    match manager {
        Manager::System => &SYSTEM_PATH,
        Manager::User => &USER_PATH,
    }
}

/// A unit's file.
pub(crate) struct Found {
    /// The name under which it is enabled: of the file that links lead to, with the instance that was asked for.
    pub(crate) name: String,
    /// The file itself.
    pub(crate) file: TreePath,
}

/// The file of `unit`, or of its template, with links of names followed; `None` when there is none or it is masked.
pub(crate) fn find(files: &UnitFiles<'_>, manager: Manager, unit: &str) -> Result<Option<Found>, ConfigureError> {
    let name = UnitName::parse(unit).ok_or_else(|| {
        ConfigureError::invalid(
            format!("`{unit}` is not the name of a systemd unit"),
            "a unit's name ends in .service, .socket, .timer, …, as in `ssh.service`",
        )
    })?;
    for candidate in [Some(unit.to_owned()), name.template()].into_iter().flatten() {
        for dir in search_path(manager) {
            let at = path(dir)?.join(&candidate).map_err(|error| ConfigureError::invalid(error.to_string(), ""))?;
            let Some(node) = files.root.get(&at) else { continue };
            if matches!(&node.kind, Kind::Symlink(to) if &**to == "/dev/null") && *dir == search_path(manager)[0] {
                continue;
            }
            let Some(file) = files.root.resolve(&at).filter(|file| content_of(files.root, file).is_some()) else {
                return Ok(None);
            };
            let real = UnitName::parse(file.name());
            let name = match (name.instance, real) {
                (Some(instance), Some(real)) if real.is_template() && !instance.is_empty() => {
                    real.instantiate(instance)
                }
                _ => file.name().to_owned(),
            };
            return Ok(Some(Found { name, file }));
        }
    }
    Ok(None)
}

/// The `[Install]` section of a unit with its drop-ins.
pub(crate) fn install_of(files: &UnitFiles<'_>, manager: Manager, unit: &Found) -> Result<Install, ConfigureError> {
    let mut dropped_in: BTreeMap<String, TreePath> = BTreeMap::new();
    // The first directory of the search path wins, so it comes last.
    for dir in search_path(manager).iter().rev() {
        let dropins = path(&format!("{dir}/{}.d", unit.file.name()))?;
        for (at, _) in files.root.entries(&dropins).filter(|(at, _)| at.name().ends_with(".conf")) {
            dropped_in.insert(at.name().to_owned(), at.clone());
        }
    }
    let mut install = Install::default();
    for at in std::iter::once(unit.file.clone()).chain(dropped_in.into_values()) {
        let text = files.read_text(&at)?;
        install.read(&text).map_err(|(line, what)| ConfigureError::syntax(&at, line, what))?;
    }
    Ok(install)
}

/// Links to make (`Some`, with their targets) and to remove (`None`), over what is in the tree.
#[derive(Default)]
pub(crate) struct Links(pub(crate) BTreeMap<TreePath, Option<String>>);

impl Links {
    /// Links the unit and those of its `Also=` as `[Install]` says.
    pub(crate) fn enable(&mut self, files: &UnitFiles<'_>, manager: Manager, unit: &str) -> Result<(), ConfigureError> {
        let (mut wanted, mut seen) = (vec![unit.to_owned()], BTreeSet::new());
        while let Some(unit) = wanted.pop() {
            if !seen.insert(unit.clone()) {
                continue;
            }
            // Also= may name units of packages that are not installed.
            let Some(found) = find(files, manager, &unit)? else { continue };
            let install = install_of(files, manager, &found)?;
            self.links_of(manager, &found, &install).map_err(|what| {
                ConfigureError::at(
                    &found.file,
                    Problem::Invalid { reason: what, hint: "systemd.unit(5) describes [Install]".to_owned() },
                )
            })?;
            wanted.extend(install.also);
        }
        Ok(())
    }

    fn links_of(&mut self, manager: Manager, found: &Found, install: &Install) -> Result<(), String> {
        let name = UnitName::parse(&found.name).ok_or_else(|| format!("`{}` is not a unit's name", found.name))?;
        let instance = match (name.is_template(), &install.default_instance) {
            (true, Some(instance)) => Some(name.instantiate(&name.expand(instance)?)),
            _ => None,
        };
        let name = match &instance {
            Some(instance) => UnitName::parse(instance).ok_or_else(|| format!("`{instance}` is not a unit's name"))?,
            None => name,
        };
        let to = found.file.to_string();
        let dir = search_path(manager)[0];
        let mut link = |at: String| {
            let at = TreePath::parse(&format!("{dir}/{at}")).map_err(|error| error.to_string())?;
            self.0.insert(at, Some(to.clone()));
            Ok::<(), String>(())
        };
        for (list, suffix) in
            [(&install.wanted_by, "wants"), (&install.required_by, "requires"), (&install.upheld_by, "upholds")]
        {
            // A template without an instance has nothing that could be wanted.
            for by in list.iter().filter(|_| !name.is_template()) {
                let by = name.expand(by)?;
                UnitName::parse(&by).ok_or_else(|| format!("`{by}` is not a unit's name"))?;
                link(format!("{by}.{suffix}/{}", name.whole))?;
            }
        }
        for alias in &install.alias {
            let alias = name.expand(alias)?;
            let parsed = UnitName::parse(&alias).ok_or_else(|| format!("`{alias}` is not a unit's name"))?;
            if parsed.suffix != name.suffix {
                return Err(format!("the alias `{alias}` is of another type than {}", name.whole));
            }
            if alias != name.whole {
                link(alias)?;
            }
        }
        Ok(())
    }

    /// Removes the links to `unit` and to those of its Also= that are not in `kept`.
    pub(crate) fn disable(
        &mut self,
        files: &UnitFiles<'_>,
        manager: Manager,
        unit: &str,
        kept: &BTreeSet<&str>,
    ) -> Result<(), ConfigureError> {
        let (mut wanted, mut names) = (vec![unit.to_owned()], BTreeSet::new());
        while let Some(unit) = wanted.pop() {
            if kept.contains(unit.as_str()) || !names.insert(unit.clone()) {
                continue;
            }
            if let Some(found) = find(files, manager, &unit)? {
                wanted.extend(install_of(files, manager, &found)?.also);
                names.insert(found.name);
            }
        }
        let dir = path(search_path(manager)[0])?;
        for (at, node) in files.root.below(&dir) {
            if let Kind::Symlink(to) = &node.kind {
                self.0.entry(at.clone()).or_insert_with(|| Some(to.to_string()));
            }
        }
        for (at, to) in self.0.iter_mut().filter(|(at, _)| at.starts_with(&dir)) {
            let leads_to = |to: &String| names.contains(to.rsplit('/').next().unwrap_or_default());
            let is_named = names.contains(at.name()) && at.parent().is_some_and(|parent| parent != dir);
            if is_named || to.as_ref().is_some_and(leads_to) {
                *to = None;
            }
        }
        Ok(())
    }

    /// Links the unit's name to `/dev/null`.
    pub(crate) fn mask(&mut self, files: &UnitFiles<'_>, manager: Manager, unit: &str) -> Result<(), ConfigureError> {
        UnitName::parse(unit).ok_or_else(|| {
            ConfigureError::invalid(
                format!("`{unit}` is not the name of a systemd unit"),
                "it ends in .service or the like",
            )
        })?;
        let at = path(&format!("{}/{unit}", search_path(manager)[0]))?;
        if files.root.get(&at).is_some_and(|node| !matches!(node.kind, Kind::Symlink(_))) {
            let problem = Problem::Invalid {
                reason: format!("`{unit}` cannot be masked: its file stands where the mask would be"),
                hint: "disable the unit, or leave its file out".to_owned(),
            };
            return Err(ConfigureError::at(&at, problem));
        }
        self.0.insert(at, Some("/dev/null".to_owned()));
        Ok(())
    }

    /// Takes a mask below `/etc` away.
    pub(crate) fn unmask(&mut self, files: &UnitFiles<'_>, manager: Manager, unit: &str) -> Result<(), ConfigureError> {
        let at = path(&format!("{}/{unit}", search_path(manager)[0]))?;
        if matches!(files.root.get(&at).map(|node| &node.kind), Some(Kind::Symlink(to)) if &**to == "/dev/null") {
            self.0.insert(at.clone(), None);
        }
        if matches!(self.0.get(&at), Some(Some(to)) if to == "/dev/null") {
            self.0.insert(at, None);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
