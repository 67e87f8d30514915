//! The links that make a unit enabled, in the tree of a [`Process`]: made, removed, and looked at.

use std::collections::BTreeSet;

use hah_format::path::TreePath;
use hah_format::tree::Kind;

use crate::commands::{Process, Refusal};
use crate::configure::ConfigureError;
use crate::configure::units::{Links, UnitFiles, UnitName, find, install_of, presets_of, search_path};
use crate::effects::{Manager, Sourced, UnitAction, UnitEffect};
use crate::world::{Errno, Follow};

/// What `systemctl is-enabled` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Enabled,
    Linked,
    Masked,
    Static,
    Alias,
    Indirect,
    Disabled,
    NotFound,
}

impl State {
    /// The word that is printed.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Linked => "linked",
            Self::Masked => "masked",
            Self::Static => "static",
            Self::Alias => "alias",
            Self::Indirect => "indirect",
            Self::Disabled => "disabled",
            Self::NotFound => "not-found",
        }
    }

    /// Whether the status is 0.
    pub(super) fn is_success(self) -> bool {
        matches!(self, Self::Enabled | Self::Static | Self::Alias | Self::Indirect)
    }
}

impl From<ConfigureError> for Refusal {
    fn from(error: ConfigureError) -> Self {
        let mut what = error.problem.to_string();
        if let Some(path) = &error.path {
            what = format!("{path}: {what}");
        }
        Self::new(what)
    }
}

/// One thing that is done to units.
pub(super) enum Change<'a> {
    Enable(&'a str),
    Disable(&'a str),
    Mask(&'a str),
    Unmask(&'a str),
    Link(TreePath, String),
}

impl Process<'_, '_> {
    fn unit_files(&self) -> UnitFiles<'_> {
        UnitFiles { root: &self.world.tree, contents: self.world.contents }
    }

    /// Whether there is a file for `unit` that can be enabled.
    pub(super) fn has_unit(&self, manager: Manager, unit: &str) -> Result<bool, Refusal> {
        Ok(UnitName::parse(unit).is_some() && find(&self.unit_files(), manager, unit)?.is_some())
    }

    /// Whether the name of `unit` below `/etc` is a link to `/dev/null`.
    pub(super) fn is_masked(&self, manager: Manager, unit: &str) -> bool {
        let at = format!("/{}/{unit}", search_path(manager)[0]);
        let kind = self.world.stat(&TreePath::root(), &at, Follow::No).map(|stat| stat.kind);
        matches!(kind, Ok(Kind::Symlink(to)) if &*to == "/dev/null")
    }

    /// The units that presets make of `unit`: none when they do not enable it.
    pub(super) fn preset(&self, manager: Manager, unit: &str) -> Result<Vec<String>, Refusal> {
        Ok(presets_of(&self.unit_files(), manager)?.enabled(unit))
    }

    /// The file of a unit.
    pub(super) fn unit_file(&self, manager: Manager, unit: &str) -> Result<Option<TreePath>, Refusal> {
        Ok(find(&self.unit_files(), manager, unit)?.map(|found| found.file))
    }

    /// Whether the unit's `[Install]` section has anything to do.
    pub(super) fn is_installable(&self, manager: Manager, unit: &str) -> Result<bool, Refusal> {
        let files = self.unit_files();
        match find(&files, manager, unit)? {
            Some(found) => Ok(!install_of(&files, manager, &found)?.is_empty()),
            None => Ok(false),
        }
    }

    /// Does it at once: the lines that systemctl would say of it.
    pub(super) fn change_units(&mut self, manager: Manager, change: Change<'_>) -> Result<Vec<String>, Refusal> {
        let mut links = Links::default();
        let files = self.unit_files();
        match &change {
            Change::Enable(unit) => links.enable(&files, manager, unit)?,
            Change::Disable(unit) => links.disable(&files, manager, unit, &BTreeSet::new())?,
            Change::Mask(unit) => links.mask(&files, manager, unit)?,
            Change::Unmask(unit) => links.unmask(&files, manager, unit)?,
            Change::Link(at, to) => {
                links.0.insert(at.clone(), Some(to.clone()));
            }
        }
        let mut said = Vec::new();
        for (at, to) in links.0 {
            said.extend(self.put_link(manager, &at, to.as_deref())?);
        }
        Ok(said)
    }

    fn put_link(&mut self, manager: Manager, at: &TreePath, to: Option<&str>) -> Result<Option<String>, Refusal> {
        let root = TreePath::root();
        let path = at.to_string();
        let old = match self.world.stat(&root, &path, Follow::No) {
            Ok(stat) => match stat.kind {
                Kind::Symlink(old) => Some(old),
                // A file of somebody's own stays.
                _ => return Ok(None),
            },
            Err(Errno::NotFound) => None,
            Err(error) => return Err(error.into()),
        };
        if old.as_deref() == to || self.world.is_kept(at) {
            return Ok(None);
        }
        if old.is_some() {
            self.world.unlink(&root, &path)?;
        }
        let Some(to) = to else {
            self.remove_empty_dirs(at, search_path(manager)[0])?;
            return Ok(Some(format!("Removed '{path}'.")));
        };
        let directory = at.parent().unwrap_or_else(TreePath::root);
        self.world.make_dirs(&root, &directory.to_string(), 0o755)?;
        self.world.make_symlink(&root, &path, to)?;
        Ok(Some(format!("Created symlink '{path}' → '{to}'.")))
    }

    /// Removes the directories above `at`, as long as they are empty and below `top`.
    fn remove_empty_dirs(&mut self, at: &TreePath, top: &str) -> Result<(), Refusal> {
        for directory in at.ancestors().take_while(|directory| directory.as_str().len() > top.len()) {
            match self.world.remove_dir(&TreePath::root(), &directory.to_string()) {
                Ok(()) => {}
                Err(Errno::NotEmpty | Errno::NotFound) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Books the package's last word on a unit for the pass `units`; `None` takes back what it said before.
    pub(super) fn book_unit(&mut self, manager: Manager, unit: &str, action: Option<UnitAction>) {
        let units = &mut self.world.effects.units;
        units.retain(|entry| entry.what.manager != manager || *entry.what.unit != *unit);
        let author = self.world.author.as_ref().map(|author| author.package.clone());
        let package = author.or_else(|| self.env.get("DPKG_MAINTSCRIPT_PACKAGE")?.parse().ok());
        if let (Some(action), Some(package)) = (action, package) {
            let what = UnitEffect { manager, unit: unit.into(), action };
            self.world.effects.units.push(Sourced { what, package });
        }
    }

    /// Takes a mask that was booked back.
    pub(super) fn book_unmasked(&mut self, manager: Manager, unit: &str) {
        self.world.effects.units.retain(|entry| {
            entry.what.manager != manager || *entry.what.unit != *unit || entry.what.action != UnitAction::Mask
        });
    }

    /// What `systemctl is-enabled` finds.
    pub(super) fn unit_state(&self, manager: Manager, unit: &str) -> Result<State, Refusal> {
        if self.is_masked(manager, unit) {
            return Ok(State::Masked);
        }
        let files = self.unit_files();
        if UnitName::parse(unit).is_none() {
            return Ok(State::NotFound);
        }
        let Some(found) = find(&files, manager, unit)? else { return Ok(State::NotFound) };
        let config = TreePath::parse(search_path(manager)[0]).map_err(|error| Refusal::new(error.to_string()))?;
        let own = config.join(unit).map_err(|error| Refusal::new(error.to_string()))?;
        let is_own_link = matches!(self.world.tree.get(&own).map(|node| &node.kind), Some(Kind::Symlink(_)));
        // An alias and an instance are wanted only by their own names.
        let is_alias = found.file.name() != unit && found.name == found.file.name();
        let is_instance = UnitName::parse(unit).is_some_and(|name| name.template().is_some());
        let names =
            if is_alias || is_instance { vec![unit] } else { vec![unit, found.name.as_str(), found.file.name()] };
        let is_enabled = self.world.tree.below(&config).any(|(at, node)| {
            let Kind::Symlink(to) = &node.kind else { return false };
            let is_wanted = at.parent().is_some_and(|parent| {
                [".wants", ".requires", ".upholds"].iter().any(|suffix| parent.name().ends_with(suffix))
            });
            let target = to.rsplit('/').next().unwrap_or_default();
            if is_wanted {
                names.contains(&at.name()) || names.contains(&target)
            } else {
                names.contains(&target) && at.name() != target
            }
        });
        if is_enabled {
            return Ok(State::Enabled);
        }
        if is_own_link {
            let is_shipped = search_path(manager).iter().any(|dir| found.file.as_str().starts_with(dir));
            return Ok(if is_shipped { State::Alias } else { State::Linked });
        }
        if is_alias {
            return Ok(State::Alias);
        }
        let install = install_of(&files, manager, &found)?;
        let has_rules = ![&install.wanted_by, &install.required_by, &install.upheld_by, &install.alias]
            .iter()
            .all(|list| list.is_empty());
        Ok(match (has_rules, install.also.is_empty()) {
            (true, _) => State::Disabled,
            (false, false) => State::Indirect,
            (false, true) => State::Static,
        })
    }
}
