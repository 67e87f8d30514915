//! deb-systemd-helper(1p) on a first installation.
//!
//! Its state is kept, since scripts ask for it later and a package's next version would:
//!
//! ```text
//! /var/lib/systemd/deb-systemd-helper-enabled/NAME.dsh-also            the links of the unit and of its Also=, a line each
//! /var/lib/systemd/deb-systemd-helper-enabled/TARGET.wants/NAME        empty: `enable` has been run for this link
//! /var/lib/systemd/deb-systemd-helper-masked/NAME                      empty: `mask` has been run
//! ```
//!
//! `enable` asks `systemctl preset` the first time, and only where systemctl is there; without it the links are made as
//! the helper reads them from the unit file, `Alias=` and all.

use hah_format::path::TreePath;
use hah_format::tree::Kind;

use super::enablement::Change;
use super::systemctl;
use crate::commands::{Process, Refusal};
use crate::effects::{Manager, UnitAction};
use crate::world::{Errno, Follow};

/// Why the helper ends.
enum Stop {
    /// It says this and ends with status 1.
    Failed(String),
    /// We cannot go on.
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Errno> for Stop {
    fn from(error: Errno) -> Self {
        if error.is_final() { Self::Refused(error.into()) } else { Self::Failed(error.to_string()) }
    }
}

/// One instance of systemd and its state.
struct Helper<'h, 'p, 'w> {
    process: &'h mut Process<'p, 'w>,
    manager: Manager,
    is_purge: bool,
}

/// A link that enabling makes.
struct Link {
    at: String,
    to: String,
}

/// The command.
pub(super) fn deb_systemd_helper(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let (mut is_quiet, mut manager, mut words) = (false, Manager::System, Vec::new());
    for word in arguments {
        match word.as_str() {
            "--quiet" | "-quiet" | "-q" => is_quiet = true,
            "--user" | "-user" => manager = Manager::User,
            "--system" | "-system" => manager = Manager::System,
            "--" => {}
            other if other.starts_with('-') => return process.unknown(other),
            other => words.push(other),
        }
    }
    let Some((action, units)) = words.split_first() else {
        process.print("/usr/bin/deb-systemd-helper is a program which should be called by dpkg maintscripts only.\n");
        process.print("Please do not run it interactively, ever. Also see the manpage deb-systemd-helper(1).\n");
        return Ok(0);
    };
    if process.env.get("DPKG_MAINTSCRIPT_PACKAGE").is_none_or(String::is_empty) {
        process.stderr.extend_from_slice(b"deb-systemd-helper was not called from dpkg. Exiting.\n");
        return Ok(1);
    }
    let asks = matches!(*action, "is-enabled" | "was-enabled" | "debian-installed");
    let mut helper = Helper { process, manager, is_purge: *action == "purge" };
    let mut status = u8::from(asks);
    for unit in units {
        let answer = match *action {
            "is-enabled" => helper.all_links_installed(unit).map(Some),
            "was-enabled" => helper.was_enabled(unit).map(Some),
            "debian-installed" => Ok(Some(helper.is_installed(unit))),
            "enable" => helper.enable(unit).map(|()| None),
            "disable" | "purge" => helper.disable(unit).map(|()| None),
            "reenable" => helper
                .remove_links(unit)
                .and_then(|()| helper.make_links(unit, true))
                .map(|()| helper.process.book_unit(manager, unit, Some(UnitAction::Enable)))
                .map(|()| None),
            "mask" => helper.mask(unit).map(|()| None),
            "unmask" => helper.unmask(unit).map(|()| None),
            "update-state" => helper.update_state(unit).map(|()| None),
            // Unknown actions do nothing, as in the original.
            _ => Ok(None),
        };
        match answer {
            Ok(Some(yes)) => {
                if !is_quiet && *action != "debian-installed" {
                    let word = if yes { "enabled\n" } else { "disabled\n" };
                    helper.process.stderr.extend_from_slice(word.as_bytes());
                }
                if yes {
                    status = 0;
                }
            }
            Ok(None) => {}
            Err(Stop::Failed(what)) => {
                let line = format!("/usr/bin/deb-systemd-helper: error: {what}\n");
                helper.process.stderr.extend_from_slice(line.as_bytes());
                return Ok(1);
            }
            Err(Stop::Refused(refusal)) => return Err(refusal),
        }
    }
    Ok(status)
}

impl Helper<'_, '_, '_> {
    fn instance(&self) -> &'static str {
        match self.manager {
            Manager::System => "system",
            Manager::User => "user",
        }
    }

    fn state_dir(&self, kind: &str) -> String {
        match self.manager {
            Manager::System => format!("/var/lib/systemd/deb-systemd-helper-{kind}"),
            Manager::User => format!("/var/lib/systemd/deb-systemd-user-helper-{kind}"),
        }
    }

    /// The file of links of a unit.
    fn record(&self, unit: &str) -> String {
        format!("{}/{}.dsh-also", self.state_dir("enabled"), base_name(unit))
    }

    /// Where the state of a link below `/etc/systemd` is.
    fn mark(&self, kind: &str, link: &str) -> String {
        let config = format!("/etc/systemd/{}/", self.instance());
        match link.strip_prefix(&config) {
            Some(rest) => format!("{}/{rest}", self.state_dir(kind)),
            None => link.to_owned(),
        }
    }

    /// The unit's file; its bare name when there is none.
    fn find(&self, unit: &str) -> String {
        let instance = self.instance();
        let dirs = [
            format!("/etc/systemd/{instance}"),
            format!("/lib/systemd/{instance}"),
            format!("/usr/lib/systemd/{instance}"),
        ];
        let mut places = dirs.into_iter().map(|dir| format!("{dir}/{unit}"));
        places.find(|at| self.is_file(at)).unwrap_or_else(|| unit.to_owned())
    }

    fn is_file(&self, at: &str) -> bool {
        self.process.world.stat(&TreePath::root(), at, Follow::Yes).is_ok_and(|stat| stat.is_file())
    }

    fn link_target(&self, at: &str) -> Option<String> {
        match self.process.world.stat(&TreePath::root(), at, Follow::No).ok()?.kind {
            Kind::Symlink(to) => Some(to.into()),
            _ => None,
        }
    }

    fn exists(&self, at: &str) -> bool {
        self.process.world.exists(&TreePath::root(), at)
    }

    fn read(&mut self, at: &str) -> Result<Option<String>, Stop> {
        match self.process.world.read(&TreePath::root(), at) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.is_final() => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    fn write(&mut self, at: &str, text: String) -> Result<(), Stop> {
        let root = TreePath::root();
        let directory = at.rsplit_once('/').map_or("/", |(directory, _)| directory);
        self.process.world.make_dirs(&root, directory, 0o755)?;
        Ok(self.process.world.write(&root, at, 0o644, text.into_bytes())?)
    }

    fn unlink(&mut self, at: &str) -> Result<(), Stop> {
        match self.process.world.unlink(&TreePath::root(), at) {
            Err(error) if error.is_final() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// All links that enabling a unit makes, those of its `Also=` first.
    fn links(&mut self, unit: &str) -> Result<Vec<Link>, Stop> {
        let mut visited = Vec::new();
        let at = self.find(unit);
        self.links_of(&at, &mut visited)
    }

    fn links_of(&mut self, at: &str, visited: &mut Vec<String>) -> Result<Vec<Link>, Stop> {
        let text = match at.starts_with('/') {
            true => self.read(at)?,
            false => None,
        };
        let Some(text) = text else { return Err(Stop::Failed(format!("unable to read {at}"))) };
        let config = format!("/etc/systemd/{}", self.instance());
        let name = base_name(at).to_owned();
        let (mut links, mut dirs, mut wanted) = (Vec::new(), Vec::new(), name.clone());
        for line in text.lines() {
            let line = line.trim_start();
            let Some((key, value)) = line.split_once('=').filter(|(_, value)| !value.is_empty()) else { continue };
            match key.to_ascii_lowercase().as_str() {
                "wantedby" => dirs.extend(words(value).map(|by| format!("{config}/{by}.wants"))),
                "requiredby" => dirs.extend(words(value).map(|by| format!("{config}/{by}.requires"))),
                "also" => {
                    for also in words(value).map(str::to_owned).collect::<Vec<_>>() {
                        if also != name && !visited.contains(&also) {
                            visited.push(also.clone());
                            let at = self.find(&also);
                            links.extend(self.links_of(&at, visited)?);
                        }
                    }
                }
                // The original takes the whole line for the name of each alias.
                "alias" => links.extend(
                    words(value)
                        .filter(|alias| *alias != name)
                        .map(|_| Link { at: format!("{config}/{value}"), to: at.to_owned() }),
                ),
                "defaultinstance" => {
                    if let Some((prefix, suffix)) = name.rsplit_once("@.") {
                        wanted = format!("{prefix}@{}.{suffix}", unquoted(value.trim()));
                    } else {
                        wanted.clone_from(&name);
                    }
                }
                _ => {}
            }
        }
        links.extend(dirs.into_iter().map(|dir| Link { at: format!("{dir}/{wanted}"), to: at.to_owned() }));
        Ok(links)
    }

    fn all_links_installed(&mut self, unit: &str) -> Result<bool, Stop> {
        let links = self.links(unit)?;
        Ok(links.iter().all(|link| self.link_target(&link.at).is_some()))
    }

    /// The links that were recorded when the unit was enabled; none when it never was.
    fn recorded(&mut self, unit: &str) -> Result<Vec<String>, Stop> {
        let record = self.record(unit);
        Ok(self.read(&record)?.unwrap_or_default().lines().map(str::to_owned).collect())
    }

    fn was_enabled(&mut self, unit: &str) -> Result<bool, Stop> {
        let links = self.recorded(unit)?;
        Ok(links.iter().all(|link| self.link_target(link).is_some()))
    }

    fn is_installed(&self, unit: &str) -> bool {
        self.is_file(&self.record(unit))
    }

    fn enable(&mut self, unit: &str) -> Result<(), Stop> {
        if !self.exists("/usr/bin/systemctl") && !self.exists("/bin/systemctl") {
            self.make_links(unit, true)?;
            self.process.book_unit(self.manager, unit, Some(UnitAction::Enable));
            return Ok(());
        }
        let mut makes_links = false;
        if self.is_installed(unit) {
            let links = self.links(unit)?;
            makes_links = links.iter().any(|link| self.link_target(&link.at).is_some());
        } else if systemctl::preset_enable_only(self.process, self.manager, unit)? != 0 {
            return Err(Stop::Failed(format!("systemctl preset failed on {unit}: ")));
        }
        self.make_links(unit, makes_links)
    }

    /// Records the unit's links, and makes those that are missing.
    fn make_links(&mut self, unit: &str, makes_links: bool) -> Result<(), Stop> {
        let record = self.record(unit);
        for link in self.links(unit)? {
            let mut text = self.read(&record)?.unwrap_or_default();
            if !text.lines().any(|line| line == link.at) {
                text.push_str(&link.at);
                text.push('\n');
            }
            self.write(&record, text)?;
            let mark = self.mark("enabled", &link.at);
            if self.exists(&mark) {
                continue;
            }
            if makes_links && self.link_target(&link.at).is_none() {
                let root = TreePath::root();
                let directory = link.at.rsplit_once('/').map_or("/", |(directory, _)| directory);
                self.process.world.make_dirs(&root, directory, 0o755)?;
                self.process.world.make_symlink(&root, &link.at, &link.to).map_err(|error| match error.is_final() {
                    true => Stop::from(error),
                    false => Stop::Failed(format!("unable to link {} to {}: {error}", link.at, link.to)),
                })?;
            }
            self.write(&mark, String::new())?;
        }
        Ok(())
    }

    fn update_state(&mut self, unit: &str) -> Result<(), Stop> {
        let text = self.links(unit)?.iter().map(|link| format!("{}\n", link.at)).collect();
        let record = self.record(unit);
        self.write(&record, text)
    }

    fn disable(&mut self, unit: &str) -> Result<(), Stop> {
        self.remove_links(unit)?;
        self.process.book_unit(self.manager, unit, None);
        for dir in ["/var/lib/systemd/deb-systemd-helper-enabled", "/var/lib/systemd/deb-systemd-user-helper-enabled"] {
            self.remove_if_empty(dir)?;
        }
        for dir in ["/etc/systemd/system", "/etc/systemd/user"] {
            self.remove_empty_below(dir)?;
        }
        Ok(())
    }

    fn remove_links(&mut self, unit: &str) -> Result<(), Stop> {
        let links = self.recorded(unit)?;
        if self.is_purge {
            let record = self.record(unit);
            self.unlink(&record)?;
        }
        for link in links {
            let is_link = self.link_target(&link).is_some();
            if self.is_purge || is_link {
                let mark = self.mark("enabled", &link);
                self.unlink(&mark)?;
            }
            if is_link {
                self.unlink(&link)?;
            }
        }
        let at = self.find(unit);
        let text = if at.starts_with('/') { self.read(&at)?.unwrap_or_default() } else { String::new() };
        let also = |line: &str| {
            let (key, value) = line.trim_start().split_once('=')?;
            key.eq_ignore_ascii_case("also").then(|| value.to_owned())
        };
        for unit in text.lines().filter_map(also).filter(|also| *also != unit) {
            self.remove_links(&unit)?;
        }
        Ok(())
    }

    fn mask(&mut self, unit: &str) -> Result<(), Stop> {
        let at = format!("/etc/systemd/{}/{}", self.instance(), base_name(unit));
        if self.exists(&at) || self.link_target(&at).as_deref() == Some("/dev/null") {
            return Ok(());
        }
        self.unlink(&at)?;
        self.process.change_units(self.manager, Change::Mask(base_name(unit)))?;
        self.process.book_unit(self.manager, base_name(unit), Some(UnitAction::Mask));
        let mark = self.mark("masked", &at);
        self.write(&mark, String::new())
    }

    fn unmask(&mut self, unit: &str) -> Result<(), Stop> {
        let at = format!("/etc/systemd/{}/{}", self.instance(), base_name(unit));
        let mark = self.mark("masked", &at);
        if self.link_target(&at).as_deref() == Some("/dev/null") && self.exists(&mark) {
            self.unlink(&at)?;
            self.unlink(&mark)?;
            self.process.book_unmasked(self.manager, base_name(unit));
        }
        for dir in ["/var/lib/systemd/deb-systemd-helper-masked", "/var/lib/systemd/deb-systemd-user-helper-masked"] {
            self.remove_if_empty(dir)?;
        }
        Ok(())
    }

    /// Removes a directory with the empty directories in it, if nothing is left.
    fn remove_if_empty(&mut self, dir: &str) -> Result<(), Stop> {
        self.remove_empty_below(dir)?;
        match self.process.world.remove_dir(&TreePath::root(), dir) {
            Err(error) if error.is_final() => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn remove_empty_below(&mut self, dir: &str) -> Result<(), Stop> {
        for name in self.process.world.list(&TreePath::root(), dir).unwrap_or_default() {
            let at = format!("{dir}/{name}");
            let stat = self.process.world.stat(&TreePath::root(), &at, Follow::No);
            if !name.starts_with('.') && stat.is_ok_and(|stat| stat.is_dir()) {
                self.remove_if_empty(&at)?;
            }
        }
        Ok(())
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// The units of a list, without quotes around them.
fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split_whitespace().map(unquoted)
}

fn unquoted(word: &str) -> &str {
    let inner = |quote: char| word.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(word)
}
