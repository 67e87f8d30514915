//! update-alternatives(1): link groups, where one of several files has the generic name.
//!
//! ```text
//! /usr/bin/pager → /etc/alternatives/pager → /usr/bin/less
//! ```
//!
//! A [`Registry`] does to a [`World`] what the tool does to a disk. The scripts' command and the pass that applies reviewed
//! effects are both made of it, so there is one home of what a group is.
//! `/var/log/alternatives.log` is not written: it would only say when.
//!
//! An image may leave files out that packages ship (manual pages first of all).
//! What such a file would offer is not offered, as if dpkg had been told so by `path-exclude`, and nobody is warned of it.

mod group;
mod offer;
mod places;

use hah_format::path::TreePath;

use crate::effects::Alternative;
use crate::world::{Errno, World};

use places::Place;

pub(crate) use group::{Choice, Follower, Group, Mode};
pub(crate) use offer::{check_name, check_path};

const CHOICES: &str = "/etc/alternatives";
const RECORDS: &str = "/var/lib/dpkg/alternatives";

/// Why nothing more is done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    /// The tool says this and ends with status 2.
    #[error("{0}")]
    Failed(String),
    /// Nobody can go on.
    #[error(transparent)]
    Final(Errno),
}

/// `what: reason`, as the tool says when a system call fails.
fn failed(what: impl std::fmt::Display) -> impl FnOnce(Errno) -> Stop {
    move |error| {
        if error.is_final() { Stop::Final(error) } else { Stop::Failed(format!("{what}: {error}")) }
    }
}

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Loudness {
    /// `--quiet`.
    Quiet,
    /// Warnings and what was done.
    #[default]
    Normal,
    /// `--verbose`.
    Verbose,
}

/// The link groups of a tree.
pub(crate) struct Registry<'r, 'w> {
    /// The tree.
    pub(crate) world: &'r mut World<'w>,
    /// Whether files give way to links: `--force`.
    pub(crate) force: bool,
    /// How much is told.
    pub(crate) loudness: Loudness,
    /// Lines for standard output.
    pub(crate) said: Vec<String>,
    /// Warnings, for standard error.
    pub(crate) warned: Vec<String>,
}

impl<'r, 'w> Registry<'r, 'w> {
    /// Those of `world`.
    pub(crate) fn of(world: &'r mut World<'w>) -> Self {
        Self { world, force: false, loudness: Loudness::Normal, said: Vec::new(), warned: Vec::new() }
    }

    /// The group `name`, without the choices whose files are gone; `None` when there is none.
    pub(crate) fn load(&mut self, name: &str) -> Result<Option<Group>, Stop> {
        let at = format!("{RECORDS}/{name}");
        let bytes = match self.world.read(&TreePath::root(), &at) {
            Ok(bytes) if bytes.is_empty() => return Ok(None),
            Ok(bytes) => bytes,
            Err(Errno::NotFound) => return Ok(None),
            Err(error) => return Err(failed(format_args!("cannot open file '{at}'"))(error)),
        };
        let text = String::from_utf8(bytes).map_err(|_| Stop::Failed(format!("{at} corrupt: not UTF-8")))?;
        let mut group = Group::parse(name, &text).map_err(|what| Stop::Failed(format!("{at} corrupt: {what}")))?;
        let mut kept = Vec::new();
        for choice in std::mem::take(&mut group.choices) {
            if self.is_missing(&choice.path)? {
                self.warn(format!(
                    "alternative {} (part of link group {name}) does not exist; removing from list of alternatives",
                    choice.path
                ));
                group.is_changed = true;
            } else {
                kept.push(choice);
            }
        }
        group.choices = kept;
        Ok(Some(group))
    }

    /// All groups whose records can be read, in order of name.
    pub(crate) fn load_all(&mut self) -> Result<Vec<Group>, Stop> {
        let names = match self.world.list(&TreePath::root(), RECORDS) {
            Ok(names) => names,
            Err(Errno::NotFound) => Vec::new(),
            Err(error) => return Err(failed(format_args!("cannot scan directory '{RECORDS}'"))(error)),
        };
        let loudness = std::mem::replace(&mut self.loudness, Loudness::Quiet);
        let mut groups = Vec::new();
        for name in names.iter().filter(|name| !name.ends_with(".dpkg-tmp")) {
            match self.load(name) {
                Ok(group) => groups.extend(group),
                Err(Stop::Failed(_)) => {}
                Err(stop) => return Err(stop),
            }
        }
        self.loudness = loudness;
        Ok(groups)
    }

    /// What `/etc/alternatives/NAME` points at.
    pub(crate) fn current(&self, name: &str) -> Result<Option<String>, Stop> {
        let at = format!("{CHOICES}/{name}");
        match self.link_target(&at) {
            Ok(target) => Ok(Some(target)),
            Err(Errno::NotFound) => Ok(None),
            Err(error) => Err(failed(format_args!("cannot stat file '{at}'"))(error)),
        }
    }

    /// [`Registry::install`] of a reviewed offer: without its file there is none.
    pub(crate) fn offer(&mut self, offer: &Alternative) -> Result<(), Stop> {
        if self.is_missing(&offer.path)? { Ok(()) } else { self.install(offer) }
    }

    /// `--install`: offers a file for a generic name.
    pub(crate) fn install(&mut self, offer: &Alternative) -> Result<(), Stop> {
        self.check(offer)?;
        if self.is_left_out(&offer.path) {
            return Ok(());
        }
        if self.is_missing(&offer.path)? {
            return Err(Stop::Failed(format!("alternative path {} does not exist", offer.path)));
        }
        let choice = Choice {
            path: offer.path.to_string(),
            priority: offer.priority,
            files: offer.slaves.iter().map(|slave| (slave.name.to_string(), slave.path.to_string())).collect(),
        };
        let followers = offer.slaves.iter().map(|slave| Follower {
            name: slave.name.to_string(),
            link: slave.link.to_string(),
            is_updated: false,
        });
        let followers: Vec<Follower> = followers.collect();
        let (mut group, current) = match self.load(&offer.name)? {
            Some(mut group) => {
                let current = self.current(&group.name)?;
                self.select_mode(&mut group, current.as_deref())?;
                self.evolve(&mut group, &offer.link, followers, &choice)?;
                (group, current)
            }
            None => {
                let group = Group {
                    name: offer.name.to_string(),
                    mode: Mode::Auto,
                    link: offer.link.to_string(),
                    followers,
                    choices: Vec::new(),
                    is_changed: true,
                };
                let current = self.current(&group.name)?;
                self.select_mode(&mut group.clone(), current.as_deref())?;
                (group, current)
            }
        };
        group.add(choice);
        let wanted = match group.mode {
            Mode::Auto => group.best(current.as_deref()).map(|best| best.path.clone()),
            Mode::Manual => {
                self.tell_verbosely(format!(
                    "automatic updates of {CHOICES}/{} are disabled; leaving it alone",
                    group.name
                ));
                self.tell_verbosely(format!(
                    "to return to automatic updates use 'update-alternatives --auto {}'",
                    group.name
                ));
                None
            }
        };
        self.update(&mut group, current, wanted)
    }

    /// `--remove`: takes an offer back.
    pub(crate) fn remove(&mut self, name: &str, path: &str) -> Result<(), Stop> {
        let Some(mut group) = self.load(name)? else {
            self.tell_verbosely(format!("no alternatives for {name}"));
            return Ok(());
        };
        let current = self.current(name)?;
        self.select_mode(&mut group, current.as_deref())?;
        let before = group.choices.len();
        group.choices.retain(|choice| choice.path != path);
        if group.choices.len() == before {
            self.tell_verbosely(format!("alternative {path} for {name} not registered; not removing"));
        } else {
            group.is_changed = true;
        }
        let mut wanted = None;
        if current.as_deref() == Some(path) {
            if group.mode == Mode::Manual {
                self.tell(format!("removing manually selected alternative - switching {name} to auto mode"));
                group.set_mode(Mode::Auto);
            }
            wanted = group.best(Some(path)).map(|best| best.path.clone());
        }
        self.update(&mut group, current, wanted)
    }

    /// `--remove-all`: takes all offers of a group back.
    pub(crate) fn remove_all(&mut self, name: &str) -> Result<(), Stop> {
        let mut group = self.require(name)?;
        let current = self.current(name)?;
        self.select_mode(&mut group, current.as_deref())?;
        group.choices.clear();
        self.update(&mut group, current, None)
    }

    /// `--set`: chooses, whatever the priorities.
    pub(crate) fn set(&mut self, name: &str, path: &str) -> Result<(), Stop> {
        let mut group = self.require(name)?;
        self.set_in(&mut group, path)
    }

    fn set_in(&mut self, group: &mut Group, path: &str) -> Result<(), Stop> {
        let current = self.current(&group.name)?;
        self.select_mode(group, current.as_deref())?;
        if group.choice(path).is_none() {
            return Err(Stop::Failed(format!("alternative {path} for {} not registered; not setting", group.name)));
        }
        group.set_mode(Mode::Manual);
        self.update(group, current, Some(path.to_owned()))
    }

    /// `--auto`: the highest priority has the name again.
    pub(crate) fn set_auto(&mut self, name: &str) -> Result<(), Stop> {
        let mut group = self.require(name)?;
        self.set_auto_in(&mut group)
    }

    fn set_auto_in(&mut self, group: &mut Group) -> Result<(), Stop> {
        let current = self.current(&group.name)?;
        self.select_mode(group, current.as_deref())?;
        group.set_mode(Mode::Auto);
        let wanted = group.best(current.as_deref()).map(|best| best.path.clone());
        if wanted.is_none() {
            self.tell(format!("there is no program which provides {}", group.name));
        }
        self.update(group, current, wanted)
    }

    /// What `--config` does when nothing is chosen: links that are broken are made again.
    pub(crate) fn settle(&mut self, name: &str) -> Result<(), Stop> {
        let mut group = self.require(name)?;
        let current = self.current(name)?;
        self.select_mode(&mut group, current.as_deref())?;
        self.update(&mut group, current, None)
    }

    /// One line of `--set-selections`: name, status, choice.
    pub(crate) fn select(&mut self, name: &str, status: &str, choice: &str) -> Result<(), Stop> {
        let Some(mut group) = self.load(name)? else {
            self.tell(format!("skip unknown alternative {name}"));
            return Ok(());
        };
        if status == "auto" {
            self.tell(format!("selecting alternative {name} as auto"));
            self.set_auto_in(&mut group)
        } else if group.choice(choice).is_some() {
            self.tell(format!("selecting alternative {name} as choice {choice}"));
            self.set_in(&mut group, choice)
        } else {
            self.tell(format!("alternative {name} unchanged because choice {choice} is not available"));
            Ok(())
        }
    }

    /// The group, or the tool's complaint that there is none.
    pub(crate) fn require(&mut self, name: &str) -> Result<Group, Stop> {
        self.load(name)?.ok_or_else(|| Stop::Failed(format!("no alternatives for {name}")))
    }

    /// Whether the image leaves a file out that a package ships at `path`.
    pub(crate) fn is_left_out(&self, path: &str) -> bool {
        let root = TreePath::root();
        if self.world.exists(&root, path) {
            return false;
        }
        let Ok(at) = TreePath::parse(path) else { return false };
        let usr = TreePath::parse(&format!("usr/{}", at.as_str())).unwrap_or_else(|_| at.clone());
        self.world.packages.iter().any(|package| package.tree.contains(&at) || package.tree.contains(&usr))
    }

    /// Notices what somebody did to the link of the choice.
    fn select_mode(&mut self, group: &mut Group, current: Option<&str>) -> Result<(), Stop> {
        let Some(current) = current else {
            self.tell_verbosely(format!("setting up automatic selection of {}", group.name));
            group.set_mode(Mode::Auto);
            return Ok(());
        };
        if group.choice(current).is_some() {
            return Ok(());
        }
        if self.is_missing(current)? {
            self.warn(format!("{CHOICES}/{} is dangling; it will be updated with best choice", group.name));
            group.set_mode(Mode::Auto);
        } else if group.mode != Mode::Manual {
            self.warn(format!(
                "{CHOICES}/{} has been changed (manually or by a script); switching to manual updates only",
                group.name
            ));
            group.set_mode(Mode::Manual);
        }
        Ok(())
    }

    /// Gives a group the links of a new offer, renaming those that had others.
    fn evolve(&mut self, group: &mut Group, link: &str, followers: Vec<Follower>, choice: &Choice) -> Result<(), Stop> {
        let current = self.current(&group.name)?;
        if group.link != link {
            if self.place(&group.link)? == Place::Link {
                self.tell(format!("renaming {} link from {} to {link}", group.name, group.link));
                self.rename(&group.link, link)?;
            }
            group.link = link.to_owned();
            group.is_changed = true;
        }
        for mut follower in followers {
            match group.follower(&follower.name) {
                None => follower.is_updated = true,
                Some(old) if old.link != follower.link && self.place(&old.link)? == Place::Link => {
                    let file = match current.as_deref() == Some(&*choice.path) {
                        true => choice.files.get(&follower.name).cloned(),
                        false => self.link_target(&format!("{CHOICES}/{}", follower.name)).ok(),
                    };
                    let old = old.link.clone();
                    let is_there = match file {
                        Some(file) => !self.is_missing(&file)?,
                        None => false,
                    };
                    if is_there {
                        self.tell(format!("renaming {} slave link from {old} to {}", follower.name, follower.link));
                        self.rename(&old, &follower.link)?;
                    } else {
                        self.unlink(&old)?;
                    }
                    follower.is_updated = true;
                }
                Some(_) => {}
            }
            group.follow(&follower);
        }
        Ok(())
    }

    /// Makes the tree agree with the group.
    fn update(&mut self, group: &mut Group, current: Option<String>, wanted: Option<String>) -> Result<(), Stop> {
        if group.choices.is_empty() {
            return self.remove_group(group);
        }
        let chosen = match wanted.filter(|wanted| current.as_ref() != Some(wanted)) {
            Some(wanted) => {
                self.tell(format!("using {wanted} to provide {} ({}) in {} mode", group.link, group.name, group.mode));
                Some(wanted)
            }
            None => self.repair(group, current)?,
        };
        let links = chosen.map(|chosen| self.links_of(group, &chosen)).transpose()?.unwrap_or_default();
        if group.is_changed {
            group.tidy();
            self.make_dirs(RECORDS)?;
            let at = format!("{RECORDS}/{}", group.name);
            self.world
                .write(&TreePath::root(), &at, 0o644, group.to_string().into_bytes())
                .map_err(failed(format_args!("cannot create file '{at}'")))?;
        }
        for (at, to) in links {
            match to {
                Some(to) => self.link(&at, &to)?,
                None => self.unlink(&at)?,
            }
        }
        Ok(())
    }

    /// The choice whose links must be made again, since they are not as they should be.
    fn repair(&mut self, group: &mut Group, current: Option<String>) -> Result<Option<String>, Stop> {
        let choice = format!("{CHOICES}/{}", group.name);
        let mut is_broken = current.is_none() || self.link_target(&group.link).ok().as_deref() != Some(&*choice);
        let mut is_changed = false;
        if let Some(found) = current.as_deref().and_then(|current| group.choice(current)).filter(|_| !is_broken) {
            for follower in &group.followers {
                if self.is_broken(follower, found)? {
                    is_changed |= follower.is_updated;
                    is_broken |= !follower.is_updated;
                }
            }
        }
        let shown = current.clone().unwrap_or_else(|| "(null)".to_owned());
        if is_broken {
            self.warn(format!(
                "forcing reinstallation of alternative {shown} because link group {} is broken",
                group.name
            ));
        } else if is_changed {
            self.tell(format!(
                "updating alternative {shown} because link group {} has changed slave links",
                group.name
            ));
        } else {
            return Ok(None);
        }
        let Some(current) = current else { return Ok(None) };
        if group.choice(&current).is_some() {
            return Ok(Some(current));
        }
        let Some(best) = group.best(None).map(|best| best.path.clone()) else { return Ok(None) };
        self.warn(format!(
            "current alternative {current} is unknown, switching to {best} for link group {}",
            group.name
        ));
        group.set_mode(Mode::Auto);
        Ok(Some(best))
    }

    fn is_broken(&self, follower: &Follower, choice: &Choice) -> Result<bool, Stop> {
        let at = format!("{CHOICES}/{}", follower.name);
        Ok(match choice.file(&follower.name) {
            Some(file) if !self.is_missing(file)? => {
                self.link_target(&follower.link).ok().as_deref() != Some(&*at)
                    || self.link_target(&at).ok().as_deref() != Some(file)
            }
            _ => self.place(&follower.link)? != Place::Missing || self.place(&at)? != Place::Missing,
        })
    }

    /// Links to make (`Some`, with their targets) and to remove (`None`) so that `chosen` has the names.
    fn links_of(&mut self, group: &Group, chosen: &str) -> Result<Vec<(String, Option<String>)>, Stop> {
        let Some(choice) = group.choice(chosen) else {
            return Err(Stop::Failed(format!("cannot install unknown choice {chosen}")));
        };
        let mut links = Vec::new();
        self.links_to(&mut links, (&group.name, &group.link), chosen)?;
        for follower in &group.followers {
            match choice.file(&follower.name) {
                Some(file) if !self.is_missing(file)? => {
                    self.links_to(&mut links, (&follower.name, &follower.link), file)?;
                    continue;
                }
                Some(file) if !self.is_left_out(file) => self.warn(format!(
                    "skip creation of {} because associated file {file} (of link group {}) does not exist",
                    follower.link, group.name
                )),
                _ => {}
            }
            if self.force || self.place(&follower.link)? != Place::Other {
                links.push((follower.link.clone(), None));
            } else {
                self.warn(format!("not removing {} since it is not a symbolic link", follower.link));
            }
            links.push((format!("{CHOICES}/{}", follower.name), None));
        }
        Ok(links)
    }

    fn links_to(
        &mut self,
        links: &mut Vec<(String, Option<String>)>,
        (name, at): (&str, &str),
        file: &str,
    ) -> Result<(), Stop> {
        let choice = format!("{CHOICES}/{name}");
        links.push((choice.clone(), Some(file.to_owned())));
        let is_due = match self.place(at)? {
            _ if self.force => true,
            Place::Missing => true,
            Place::Link => self.link_target(at).ok().as_deref() != Some(&*choice),
            Place::Other => {
                self.warn(format!("not replacing {at} with a link"));
                false
            }
        };
        if is_due {
            self.prepare(at)?;
            links.push((at.to_owned(), Some(choice)));
        }
        Ok(())
    }

    fn remove_group(&mut self, group: &Group) -> Result<(), Stop> {
        let links = [(&group.name, &group.link)].into_iter().chain(group.followers.iter().map(|f| (&f.name, &f.link)));
        for (name, link) in links {
            if self.force || self.place(link)? != Place::Other {
                self.unlink(link)?;
            }
            self.unlink(&format!("{CHOICES}/{name}"))?;
        }
        self.unlink(&format!("{RECORDS}/{}", group.name))
    }

    fn tell(&mut self, line: String) {
        if self.loudness >= Loudness::Normal {
            self.said.push(line);
        }
    }

    fn tell_verbosely(&mut self, line: String) {
        if self.loudness >= Loudness::Verbose {
            self.said.push(line);
        }
    }

    fn warn(&mut self, line: String) {
        if self.loudness >= Loudness::Normal {
            self.warned.push(line);
        }
    }
}

#[cfg(test)]
mod tests;
