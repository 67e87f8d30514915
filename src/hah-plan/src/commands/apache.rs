//! a2enmod(8) and its namesakes, a2query(1): which modules, sites and configurations Apache loads.
//!
//! ```text
//! /etc/apache2/mods-enabled/ssl.load → ../mods-available/ssl.load
//! /var/lib/apache2/module/enabled_by_maint/ssl                      empty: who enabled it
//! ```
//!
//! `apache2-maintscript-helper` is a shell script of the tree and calls these.

mod query;

use hah_format::path::TreePath;
use hah_format::tree::Kind;

use super::{Command, Process, Refusal};
use crate::configure::units::matches;
use crate::shell;
use crate::world::Follow;

pub(super) const COMMANDS: &[Command] = &[
    Command::in_tree("a2enmod", a2enmod),
    Command::in_tree("a2dismod", a2enmod),
    Command::in_tree("a2ensite", a2enmod),
    Command::in_tree("a2dissite", a2enmod),
    Command::in_tree("a2enconf", a2enmod),
    Command::in_tree("a2disconf", a2enmod),
    Command::in_tree("a2query", query::a2query),
];

const CONF: &str = "/etc/apache2";
const STATE: &str = "/var/lib/apache2";

/// Modules that are not turned off without `-f`.
const ESSENTIAL: [&str; 17] = [
    "alias",
    "auth_basic",
    "authn_file",
    "authz_host",
    "authz_user",
    "autoindex",
    "deflate",
    "dir",
    "env",
    "filter",
    "logio",
    "mime",
    "negotiation",
    "setenvif",
    "unixd",
    "version",
    "watchdog",
];

/// What is turned on and off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Object {
    /// In messages and state: `module`.
    noun: &'static str,
    /// The same with a capital.
    title: &'static str,
    /// Of the directories: `mods`.
    dir: &'static str,
    suffix: &'static str,
    reload: &'static str,
}

const MODULE: Object = Object { noun: "module", title: "Module", dir: "mods", suffix: ".load", reload: "restart" };
const SITE: Object = Object { noun: "site", title: "Site", dir: "sites", suffix: ".conf", reload: "reload" };
const CONFIG: Object = Object { noun: "conf", title: "Conf", dir: "conf", suffix: ".conf", reload: "reload" };

/// Whether a step came to its end: the original says why not and goes on with status 1.
type Done = Result<bool, Refusal>;

/// One run.
struct Switch<'s, 'p, 'w> {
    process: &'s mut Process<'p, 'w>,
    object: Object,
    enables: bool,
    is_quiet: bool,
    forces: bool,
    is_maintenance: bool,
    purges: bool,
    needs_reload: bool,
    needs_cleaner: bool,
}

/// The state of a link.
enum Link {
    Right,
    Missing,
    Wrong(String),
}

fn a2enmod(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let name = process.name.rsplit('/').next().unwrap_or_default().to_owned();
    let (enables, rest) = match name.strip_prefix("a2en") {
        Some(rest) => (true, rest),
        None => (false, name.trim_start_matches("a2dis")),
    };
    let object = match rest {
        "mod" => MODULE,
        "site" => SITE,
        _ => CONFIG,
    };
    if ["APACHE_CONFDIR", "APACHE_ENVVARS", "APACHE_STATE_DIRECTORY"].iter().any(|name| process.env.contains_key(*name))
    {
        return process.unknown("with directories of one's own");
    }
    let mut switch = Switch {
        process,
        object,
        enables,
        is_quiet: false,
        forces: false,
        is_maintenance: false,
        purges: false,
        needs_reload: false,
        needs_cleaner: false,
    };
    let mut words = Vec::new();
    for word in arguments {
        let letters: String = match word.as_str() {
            "--quiet" => "q".to_owned(),
            "--force" => "f".to_owned(),
            "--maintmode" => "m".to_owned(),
            "--purge" => "p".to_owned(),
            "--" => String::new(),
            word => match word.strip_prefix('-') {
                Some(letters) => letters.to_owned(),
                None => {
                    words.push(word.to_owned());
                    continue;
                }
            },
        };
        for letter in letters.chars() {
            match letter {
                'q' => switch.is_quiet = true,
                'f' => switch.forces = true,
                'm' => switch.is_maintenance = true,
                'p' => switch.purges = true,
                _ => return switch.process.unknown(word),
            }
        }
    }
    if words.is_empty() {
        return switch.process.unknown("without a name, which asks somebody,");
    }
    switch.run(&words)
}

impl Switch<'_, '_, '_> {
    fn run(&mut self, words: &[String]) -> Result<u8, Refusal> {
        let (mut names, mut status) = (Vec::new(), 0);
        for word in words {
            let word = word.strip_suffix(self.object.suffix).unwrap_or(word);
            let found = self.matching(word)?;
            if found.is_empty() {
                self.error(&format!("No {} found matching {word}!", self.object.noun));
                status = 1;
            }
            names.extend(found);
        }
        for name in names {
            if !self.turn(&name, 0)? {
                status = 1;
            }
        }
        if self.needs_reload {
            let verb = if self.enables { "start" } else { "stop" };
            let cleaner = match self.needs_cleaner {
                true => format!("  service apache-htcacheclean {verb}\n"),
                false => String::new(),
            };
            self.info(&format!(
                "To activate the new configuration, you need to run:\n  service apache2 {}\n{cleaner}",
                self.object.reload
            ));
        }
        Ok(status)
    }

    fn available(&self) -> String {
        format!("{CONF}/{}-available", self.object.dir)
    }

    fn enabled(&self) -> String {
        format!("{CONF}/{}-enabled", self.object.dir)
    }

    /// Names that a pattern stands for; a name without a pattern stands for itself.
    fn matching(&self, pattern: &str) -> Result<Vec<String>, Refusal> {
        if !pattern.contains(['*', '?', '[', '{']) {
            return Ok(vec![pattern.to_owned()]);
        }
        if pattern.contains(['[', '{']) {
            return self.process.unknown(&format!("with the pattern {pattern}"));
        }
        let dir = if self.enables { self.available() } else { self.enabled() };
        let names = self.list(&dir)?;
        let names = names.iter().filter_map(|name| name.strip_suffix(self.object.suffix));
        Ok(names.filter(|name| matches(pattern.as_bytes(), name.as_bytes())).map(str::to_owned).collect())
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, Refusal> {
        match self.process.world.list(&TreePath::root(), dir) {
            Ok(names) => Ok(names),
            Err(error) if error.is_final() => Err(error.into()),
            Err(_) => Ok(Vec::new()),
        }
    }

    fn exists(&self, path: &str) -> bool {
        self.process.world.exists(&TreePath::root(), path)
    }

    fn is_link(&self, path: &str) -> bool {
        self.process.world.stat(&TreePath::root(), path, Follow::No).is_ok_and(|stat| stat.is_symlink())
    }

    fn say(&mut self, text: &str) {
        self.process.print(text);
    }

    fn info(&mut self, text: &str) {
        if !self.is_quiet {
            self.process.print(text);
        }
    }

    fn error(&mut self, line: &str) {
        self.process.stderr.extend_from_slice(format!("ERROR: {line}\n").as_bytes());
    }

    fn turn(&mut self, name: &str, depth: usize) -> Done {
        // Modules that depend on each other in a circle.
        if depth > 50 {
            return Err(Refusal::new(format!("the dependencies of Apache's {} {name} have no end", self.object.noun)));
        }
        let (object, mut name) = (self.object, name.to_owned());
        if object == MODULE && self.enables && name == "cgi" && self.is_threaded() {
            self.say("Your MPM seems to be threaded. Selecting cgid instead of cgi.\n");
            name = "cgid".to_owned();
        }
        let (target, link) = (
            format!("{}/{name}{}", self.available(), object.suffix),
            format!("{}/{name}{}", self.enabled(), object.suffix),
        );
        let (conf_target, conf_link) =
            (format!("{}/{name}.conf", self.available()), format!("{}/{name}.conf", self.enabled()));
        let has_conf = object == MODULE && self.exists(&conf_target);
        if !self.exists(&target) {
            return self.turn_missing(&name, &link, &conf_link);
        }
        if !self.settle_dependencies(&name, &target, depth)? {
            return Ok(false);
        }
        if !self.enables {
            return self.disable(&name, &link, has_conf.then_some(&conf_link));
        }
        match self.check(&target, &link)? {
            Link::Wrong(what) => {
                self.error(&format!("{} {name} not properly enabled: {what}", object.title));
                Ok(false)
            }
            Link::Right if !has_conf => {
                self.info(&format!("{} {name} already enabled\n", object.title));
                Ok(true)
            }
            Link::Right => match self.check(&conf_target, &conf_link)? {
                Link::Right => {
                    self.info(&format!("{} {name} already enabled\n", object.title));
                    Ok(true)
                }
                Link::Missing => {
                    self.say(&format!("Enabling config file {name}.conf.\n"));
                    self.link(&conf_target, &conf_link).map(|()| true)
                }
                Link::Wrong(what) => {
                    self.error(&format!("Config file {name}.conf not properly enabled: {what}"));
                    Ok(false)
                }
            },
            Link::Missing => {
                if has_conf {
                    match self.check(&conf_target, &conf_link)? {
                        Link::Missing => self.link(&conf_target, &conf_link)?,
                        Link::Right => {}
                        Link::Wrong(what) => {
                            self.error(&format!("Config file {name}.conf not properly enabled: {what}"));
                            return Ok(false);
                        }
                    }
                }
                self.say(&format!("Enabling {} {name}.\n", object.noun));
                self.handle_special(&name)?;
                self.link(&target, &link)?;
                self.mark(&name)
            }
        }
    }

    fn turn_missing(&mut self, name: &str, link: &str, conf_link: &str) -> Done {
        if self.is_link(link) {
            if self.enables {
                self.error(&format!("{link} is a dangling symlink!"));
            } else {
                for link in [link, conf_link] {
                    if self.is_link(link) && !self.exists(link) {
                        self.info(&format!("removing dangling symlink {link}\n"));
                        self.unlink(link)?;
                    }
                }
                return Ok(true);
            }
        }
        if self.purges {
            self.mark(name)?;
            return Ok(true);
        }
        self.error(&format!("{} {name} does not exist!", self.object.title));
        Ok(false)
    }

    fn settle_dependencies(&mut self, name: &str, target: &str, depth: usize) -> Done {
        if self.object != MODULE {
            if !self.enables {
                return Ok(true);
            }
            for module in self.listed(target, "Depends")? {
                self.info(&format!("Checking dependency {module} for {name}:\n"));
                if !self.exists(&format!("{CONF}/mods-enabled/{module}.load")) {
                    let line = format!("WARNING: Module {module} is not enabled, but {name} depends on it, aborting\n");
                    self.process.stderr.extend_from_slice(line.as_bytes());
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        if self.enables {
            let needed = self.listed(target, "Depends")?;
            if !self.turn_all(name, &needed, depth)? {
                return Ok(false);
            }
            let mut conflicts = false;
            for other in self.listed(target, "Conflicts")? {
                self.info(&format!("Considering conflict {other} for {name}:\n"));
                let (target, link) =
                    (format!("{}/{other}.load", self.available()), format!("{}/{other}.load", self.enabled()));
                if matches!(self.check(&target, &link)?, Link::Right) {
                    self.error(&format!(
                        "Module {other} is enabled - cannot proceed due to conflicts. It needs to be disabled first!"
                    ));
                    conflicts = true;
                }
            }
            return Ok(!conflicts);
        }
        let mut depending = Vec::new();
        for file in self.list(&self.enabled())? {
            let Some(other) = file.strip_suffix(".load") else { continue };
            if self.listed(&format!("{}/{file}", self.enabled()), "Depends")?.iter().any(|module| module == name) {
                depending.push(other.to_owned());
            }
        }
        if depending.is_empty() {
            return Ok(true);
        }
        if self.forces {
            return self.turn_all(name, &depending, depth);
        }
        self.error(&format!(
            "The following modules depend on {name} and need to be disabled first: {}",
            depending.join(" ")
        ));
        Ok(false)
    }

    fn turn_all(&mut self, name: &str, others: &[String], depth: usize) -> Done {
        for other in others {
            self.info(&format!("Considering dependency {other} for {name}:\n"));
            if !self.turn(other, depth + 1)? {
                let verb = if self.enables { "enable" } else { "disable" };
                self.error(&format!("Could not {verb} dependency {other} for {name}, aborting"));
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The words of `# Depends: …` above the first line that is no comment.
    fn listed(&mut self, file: &str, kind: &str) -> Result<Vec<String>, Refusal> {
        let bytes = match self.process.world.read(&TreePath::root(), file) {
            Ok(bytes) => bytes,
            Err(error) if error.is_final() => return Err(error.into()),
            Err(error) => {
                self.process.stderr.extend_from_slice(format!("ERROR: Can't open {file}: {error}").as_bytes());
                return Ok(Vec::new());
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        for line in text.lines() {
            let rest = line.strip_prefix(&format!("# {kind}:"));
            if let Some(rest) = rest.filter(|rest| rest.starts_with(char::is_whitespace)) {
                return Ok(rest.split_whitespace().map(str::to_owned).collect());
            }
            let line = line.trim_start();
            if !line.is_empty() && !line.starts_with('#') {
                break;
            }
        }
        Ok(Vec::new())
    }

    fn disable(&mut self, name: &str, link: &str, conf_link: Option<&String>) -> Done {
        let title = self.object.title;
        if self.exists(link) || self.is_link(link) {
            self.handle_special(name)?;
            if self.object == MODULE && ESSENTIAL.contains(&name) && !self.forces {
                return self.process.unknown(&format!("for the essential module {name}, which asks somebody,"));
            }
            self.unlink_checked(link)?;
            if let Some(conf_link) = conf_link.filter(|link| self.exists(link)) {
                self.unlink_checked(conf_link)?;
            }
            self.mark(name)?;
            self.say(&format!("{title} {name} disabled.\n"));
        } else if let Some(conf_link) = conf_link.filter(|link| self.exists(link)) {
            self.say(&format!("Disabling stale config file {name}.conf.\n"));
            self.unlink_checked(conf_link)?;
        } else {
            self.info(&format!("{title} {name} already disabled\n"));
            if self.purges {
                self.mark(name)?;
            }
        }
        Ok(true)
    }

    fn check(&mut self, target: &str, link: &str) -> Result<Link, Refusal> {
        if !self.exists(link) {
            if self.is_link(link) {
                self.info(&format!("Removing dangling link {link}"));
                self.unlink(link)?;
            }
            return Ok(Link::Missing);
        }
        if !self.is_link(link) {
            return Ok(Link::Wrong(format!("{link} is a real file, not touching it")));
        }
        let real = |path: &str| self.process.world.resolve(&TreePath::root(), path, Follow::Yes);
        Ok(match real(link) == real(target) {
            true => Link::Right,
            false => Link::Wrong(format!("{link} exists but does not point to {target}, not touching it")),
        })
    }

    fn link(&mut self, target: &str, link: &str) -> Result<(), Refusal> {
        let target = format!("..{}", target.strip_prefix(CONF).unwrap_or(target));
        self.process
            .world
            .make_symlink(&TreePath::root(), link, &target)
            .map_err(|error| Refusal::new(format!("Could not create {link}: {error}")))?;
        self.needs_reload = true;
        Ok(())
    }

    fn unlink(&mut self, link: &str) -> Result<(), Refusal> {
        Ok(self.process.world.unlink(&TreePath::root(), link)?)
    }

    fn unlink_checked(&mut self, link: &str) -> Result<(), Refusal> {
        if !self.is_link(link) {
            self.error(&format!("{link} is not a symbolic link, not deleting"));
            return Ok(());
        }
        self.unlink(link)?;
        self.needs_reload = true;
        Ok(())
    }

    /// Whether the enabled way of serving has threads; apache2ctl would say the same.
    fn is_threaded(&mut self) -> bool {
        if self.exists(&format!("{CONF}/mods-enabled/mpm_prefork.load")) {
            return false;
        }
        let has_threads =
            ["mpm_worker", "mpm_event"].iter().any(|name| self.exists(&format!("{CONF}/mods-enabled/{name}.load")));
        if !has_threads {
            self.process.stderr.extend_from_slice(b"ERROR: Can't determine enabled MPM");
        }
        has_threads
    }

    fn handle_special(&mut self, name: &str) -> Result<(), Refusal> {
        if self.object != MODULE {
            return Ok(());
        }
        match name {
            "ssl" if self.enables => self.info(
                "See /usr/share/doc/apache2/README.Debian.gz on how to configure SSL and create self-signed certificates.\n",
            ),
            "cache_disk" => {
                self.needs_cleaner = true;
                let (verb, doing) = if self.enables { ("enable", "Enabling") } else { ("disable", "Disabling") };
                self.info(&format!("{doing} external service apache-htcacheclean\n"));
                let words = ["update-rc.d", "apache-htcacheclean", verb].map(str::to_owned);
                let finished = shell::launch(self.process, &words, Vec::new())?;
                match finished.status {
                    0 if self.enables => self.info("The service will be started on next reboot.\n"),
                    0 => {}
                    _ => {
                        let line = format!("WARNING: '{}' failed\n", words.join(" "));
                        self.process.stderr.extend_from_slice(line.as_bytes());
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Notes who turned it on or off, and forgets who did before.
    fn mark(&mut self, name: &str) -> Done {
        let root = TreePath::root();
        let state = format!("{STATE}/{}", self.object.noun);
        let verb = if self.enables { "enabled" } else { "disabled" };
        let who = if self.is_maintenance { "maint" } else { "admin" };
        let dir = format!("{state}/{verb}_by_{who}");
        self.process.world.make_dirs(&root, &dir, 0o755)?;
        let top = self.process.world.resolve(&root, &state, Follow::Yes)?;
        let old: Vec<String> = self
            .process
            .world
            .tree
            .below(&top)
            .filter(|(at, node)| at.name() == name && matches!(node.kind, Kind::File(_) | Kind::HardLink(_)))
            .map(|(at, _)| at.to_string())
            .collect();
        for marker in old {
            self.unlink(&marker)?;
        }
        if self.purges {
            return Ok(false);
        }
        self.process.world.write(&root, &format!("{dir}/{name}"), 0o644, Vec::new())?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
