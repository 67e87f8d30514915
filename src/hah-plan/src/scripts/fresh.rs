//! What a script does when a package is installed into an empty image: its parsed text is evaluated with
//! `preinst install` or `postinst configure ''`, no running system, and the files that the image's packages ship.
//!
//! Only commands and tests whose meaning on a fresh image is known are understood (Debian Policy 6.5, and the manual pages
//! of the tools named in [`Fresh::tool`]); the first other one that would be *reached* ends the evaluation with its line.
//! Branches that are not taken on a fresh install need not be understood.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use hah_format::tree::Kind;

use super::effect::{Alternative, Effect, Manager, ScriptKind, Slave, UnitAction, UnitEffect};
use super::shell::{AndOr, Command, Join, List, Part, Pipeline, ShellError, Simple, Word};
use crate::debian::PackageName;
use crate::rootfs::UnpackedPackage;

/// Most commands, words and patterns that are evaluated; functions could call each other for ever.
const STEPS_MAX: usize = 20_000;
/// Deepest nesting of lists while they are evaluated: a function that calls itself would use up the stack.
const NESTING_MAX: usize = 100;
/// Most bytes that words may expand to, all together: a variable could double itself line after line.
const EXPANDED_MAX: usize = 1 << 20;

/// What a path that a package ships is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shipped {
    Dir,
    File,
    Symlink,
}

/// The paths that the image's packages ship, with `/bin`, `/sbin` and `/lib*` under `/usr`.
#[derive(Debug, Default)]
pub(super) struct Installed(BTreeMap<String, Shipped>);

impl Installed {
    pub(super) fn of(packages: &[UnpackedPackage]) -> Self {
        let mut paths = BTreeMap::new();
        for (path, node) in packages.iter().flat_map(|package| package.tree.iter()) {
            let what = match node.kind {
                Kind::Dir => Shipped::Dir,
                Kind::Symlink(_) => Shipped::Symlink,
                _ => Shipped::File,
            };
            paths.insert(merged(path.as_str()), what);
        }
        Self(paths)
    }

    fn get(&self, path: &str) -> Option<Shipped> {
        self.0.get(&merged(path.trim_start_matches('/'))).copied()
    }

    fn command(&self, name: &str) -> Option<String> {
        ["usr/bin", "usr/sbin"]
            .iter()
            .map(|dir| format!("{dir}/{name}"))
            .find(|path| self.0.contains_key(path))
            .map(|path| format!("/{path}"))
    }
}

/// The path on a system whose `/bin`, `/sbin` and `/lib*` are links into `/usr`.
fn merged(path: &str) -> String {
    let top = path.split('/').next().unwrap_or_default();
    match top {
        "bin" | "sbin" | "lib" | "lib32" | "lib64" if path.len() > top.len() => format!("usr/{path}"),
        _ => path.to_owned(),
    }
}

/// The evaluation of one script, or of one generated section of it.
pub(super) struct Fresh<'a> {
    package: &'a PackageName,
    kind: ScriptKind,
    installed: &'a Installed,
    variables: BTreeMap<String, String>,
    functions: BTreeMap<String, Rc<List>>,
    /// Arguments of the function that runs, if one does.
    arguments: Option<Vec<String>>,
    effects: Vec<Effect>,
    steps: usize,
    nesting: usize,
    /// Bytes that words have expanded to.
    expanded: Cell<usize>,
}

/// How a list ended.
enum Flow {
    /// It ran through; the last status.
    Status(bool),
    /// `return`.
    Return(bool),
    /// `exit 0`.
    Exit,
}

type Understood<T> = Result<T, ShellError>;

impl<'a> Fresh<'a> {
    pub(super) fn new(package: &'a PackageName, kind: ScriptKind, installed: &'a Installed) -> Self {
        let variables = [
            ("DPKG_ROOT", ""),
            ("DPKG_MAINTSCRIPT_PACKAGE", package.as_str()),
            ("DPKG_MAINTSCRIPT_NAME", kind.member()),
        ];
        Self {
            package,
            kind,
            installed,
            variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            functions: BTreeMap::new(),
            arguments: None,
            effects: Vec::new(),
            steps: 0,
            nesting: 0,
            expanded: Cell::new(0),
        }
    }

    /// The effects of `script`, or the first thing in it that is not understood.
    pub(super) fn run(mut self, script: &List) -> Understood<Vec<Effect>> {
        self.list(script)?;
        Ok(self.effects)
    }

    fn list(&mut self, list: &List) -> Understood<Flow> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(ShellError { line: 1, what: format!("more than {NESTING_MAX} levels of calls and blocks") });
        }
        let flow = self.items(list);
        self.nesting -= 1;
        flow
    }

    fn items(&mut self, list: &List) -> Understood<Flow> {
        let mut status = true;
        for item in list {
            match self.and_or(item)? {
                Flow::Status(last) => status = last,
                other => return Ok(other),
            }
        }
        Ok(Flow::Status(status))
    }

    fn and_or(&mut self, item: &AndOr) -> Understood<Flow> {
        let mut status = match self.pipeline(&item.first)? {
            Flow::Status(status) => status,
            other => return Ok(other),
        };
        for (join, pipeline) in &item.rest {
            if status == (*join == Join::And) {
                match self.pipeline(pipeline)? {
                    Flow::Status(next) => status = next,
                    other => return Ok(other),
                }
            }
        }
        Ok(Flow::Status(status))
    }

    fn pipeline(&mut self, pipeline: &Pipeline) -> Understood<Flow> {
        let [command] = pipeline.commands.as_slice() else {
            return Err(ShellError { line: line_of(&pipeline.commands), what: "a pipe".to_owned() });
        };
        Ok(match self.command(command)? {
            Flow::Status(status) => Flow::Status(status != pipeline.negated),
            other => other,
        })
    }

    /// Counts what is about to be evaluated.
    fn step(&mut self, count: usize) -> Understood<()> {
        self.steps += count;
        if self.steps > STEPS_MAX {
            return Err(ShellError { line: 1, what: format!("more than {STEPS_MAX} commands and words") });
        }
        Ok(())
    }

    fn command(&mut self, command: &Command) -> Understood<Flow> {
        self.step(1)?;
        match command {
            Command::Simple(simple) => self.simple(simple),
            Command::If { arms, otherwise } => {
                for (condition, body) in arms {
                    match self.list(condition)? {
                        Flow::Status(true) => return self.list(body),
                        Flow::Status(false) => {}
                        other => return Ok(other),
                    }
                }
                self.list(otherwise)
            }
            Command::Case { line, word, arms } => {
                let value = self.text(word, *line)?;
                for (patterns, body) in arms {
                    self.step(patterns.len())?;
                    for pattern in patterns {
                        let pattern = self.text(pattern, *line)?;
                        if pattern.contains(['[', '\\']) || pattern.matches('*').count() > 2 {
                            return Err(ShellError { line: *line, what: format!("the pattern `{pattern}`") });
                        }
                        if glob(pattern.as_bytes(), value.as_bytes()) {
                            return self.list(body);
                        }
                    }
                }
                Ok(Flow::Status(true))
            }
            Command::Function { name, body } => {
                self.functions.insert(name.clone(), Rc::clone(body));
                Ok(Flow::Status(true))
            }
            Command::Group(body) => self.list(body),
            Command::Opaque { line, what } => Err(ShellError { line: *line, what: (*what).to_owned() }),
        }
    }

    fn simple(&mut self, simple: &Simple) -> Understood<Flow> {
        let line = simple.line;
        self.step(simple.assignments.len() + simple.words.len())?;
        let mut assigned = Vec::new();
        for (name, value) in &simple.assignments {
            assigned.push((name.clone(), self.text(value, line)?));
        }
        let mut words = Vec::new();
        for word in &simple.words {
            words.extend(self.field(word, line)?);
        }
        if let Some(target) = simple.writes.first() {
            let target = self.text(target, line)?;
            if target != "/dev/null" {
                return Err(ShellError { line, what: format!("a write to {target}") });
            }
        }
        let Some((name, arguments)) = words.split_first() else {
            self.variables.extend(assigned);
            return Ok(Flow::Status(true));
        };
        match (name.as_str(), arguments) {
            ("exit", []) => return Ok(Flow::Exit),
            ("exit", [status]) if status == "0" => return Ok(Flow::Exit),
            ("return", []) => return Ok(Flow::Return(true)),
            ("return", [status]) => return Ok(Flow::Return(status == "0")),
            _ => {}
        }
        if let Some(body) = self.functions.get(name).cloned() {
            let outer = self.arguments.replace(arguments.to_vec());
            let flow = self.list(&body)?;
            self.arguments = outer;
            return Ok(match flow {
                Flow::Return(status) => Flow::Status(status),
                other => other,
            });
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let status = self.tool(name, &arguments).map_err(|what| ShellError { line, what })?;
        Ok(Flow::Status(status))
    }

    /// A command that is not a function: its status, or what is not understood.
    fn tool(&mut self, name: &str, arguments: &[&str]) -> Result<bool, String> {
        let unknown = || {
            let mut call: Vec<&str> = vec![name];
            call.extend(arguments);
            Err(format!("`{}`", call.join(" ")))
        };
        match (name, arguments) {
            (":" | "true" | "echo" | "printf", _) => Ok(true),
            ("false", _) => Ok(false),
            ("set", ["-e" | "-u" | "-eu" | "+e"]) => Ok(true),
            ("[", [test @ .., "]"]) => self.test(test),
            ("test", test) => self.test(test),
            ("command", ["-v", program]) | ("which", [program]) => Ok(self.installed.command(program).is_some()),
            ("dpkg", ["--compare-versions", "", relation, _]) => compare_with_nothing(relation),
            // Renames and removals of earlier versions' files: dpkg-maintscript-helper(1) does nothing on `install`
            // and on `configure` without an old version.
            (
                "dpkg-maintscript-helper",
                ["rm_conffile" | "mv_conffile" | "symlink_to_dir" | "dir_to_symlink" | "supports", ..],
            ) => Ok(true),
            // All of sysusers.d is the `users` pass' work; all of tmpfiles.d is done at every boot.
            ("systemd-sysusers", _) => {
                self.effects.push(Effect::HandledBy("users".into()));
                Ok(true)
            }
            ("systemd-tmpfiles", ["--create", ..]) => Ok(true),
            ("ldconfig", []) => {
                self.effects.push(Effect::HandledBy("ldconfig".into()));
                Ok(true)
            }
            // Byte code is a cache that Python keeps in memory when it cannot write it.
            ("py3compile", _) => Ok(true),
            // Nothing runs while an image is built.
            ("invoke-rc.d" | "deb-systemd-invoke", _) | ("systemctl", ["--system", "daemon-reload"]) => Ok(true),
            ("update-rc.d", [service, ..]) => match self.has_native_unit(service) {
                true => Ok(true),
                false => Err(format!("an init script `{service}` without a systemd unit of its name")),
            },
            ("deb-systemd-helper", _) => self.deb_systemd_helper(arguments).map_or_else(unknown, Ok),
            ("update-alternatives", _) => match install_alternative(arguments) {
                Some(alternative) => {
                    self.effects.push(Effect::Alternative(alternative));
                    Ok(true)
                }
                None => unknown(),
            },
            // Links services into runit's directory, which nothing reads unless runit is init, and nothing while starts are denied.
            ("/usr/lib/runit-helper/runit-helper", ["postinst", ..]) => Ok(true),
            _ => unknown(),
        }
    }

    fn has_native_unit(&self, service: &str) -> bool {
        self.installed.get(&format!("/usr/lib/systemd/system/{service}.service")).is_some()
    }

    /// deb-systemd-helper(1p) on a system where no unit has ever been enabled.
    fn deb_systemd_helper(&mut self, arguments: &[&str]) -> Option<bool> {
        let mut manager = Manager::System;
        let mut words = Vec::new();
        for argument in arguments {
            match *argument {
                "--quiet" | "--system" => {}
                "--user" => manager = Manager::User,
                option if option.starts_with('-') => return None,
                word => words.push(word),
            }
        }
        let (verb, units) = words.split_first()?;
        match *verb {
            // No unit was ever masked or recorded; the record itself serves only upgrades and purges.
            "unmask" | "update-state" | "purge" => Some(true),
            "was-enabled" => Some(true),
            "debian-installed" => Some(false),
            "enable" => {
                self.effects.extend(units.iter().map(|unit| {
                    Effect::Unit(UnitEffect { manager, unit: (*unit).into(), action: UnitAction::Preset })
                }));
                Some(true)
            }
            _ => None,
        }
    }

    /// test(1).
    fn test(&self, words: &[&str]) -> Result<bool, String> {
        'or: for either in words.split(|word| *word == "-o") {
            for both in either.split(|word| *word == "-a") {
                if !self.primary(both)? {
                    continue 'or;
                }
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// A test without `-o` and `-a`. Not recursive: a script decides how many `!` there are.
    fn primary(&self, words: &[&str]) -> Result<bool, String> {
        let negations = words.iter().take_while(|word| **word == "!").count().min(words.len().saturating_sub(1));
        let status = self.plain_test(&words[negations..])?;
        Ok(status != (negations % 2 == 1))
    }

    fn plain_test(&self, words: &[&str]) -> Result<bool, String> {
        match words {
            [] => Ok(false),
            [word] => Ok(!word.is_empty()),
            ["-n", word] => Ok(!word.is_empty()),
            ["-z", word] => Ok(word.is_empty()),
            [left, "=" | "==", right] => Ok(left == right),
            [left, "!=", right] => Ok(left != right),
            [kind, path] => self.file_test(kind, path),
            _ => Err(format!("the test `{}`", words.join(" "))),
        }
    }

    /// What packages ship is there; what they do not ship is absent only where scripts put nothing.
    fn file_test(&self, kind: &str, path: &str) -> Result<bool, String> {
        if path.is_empty() {
            return Ok(false);
        }
        let unknown = || Err(format!("the test `{kind} {path}`, whose outcome is not known"));
        match self.installed.get(path) {
            Some(what) => match (kind, what) {
                ("-e", _) => Ok(true),
                ("-f" | "-x" | "-r" | "-s", Shipped::File) => Ok(true),
                ("-d", Shipped::Dir) => Ok(true),
                ("-d", Shipped::File) | ("-f", Shipped::Dir) => Ok(false),
                ("-h" | "-L", _) => Ok(what == Shipped::Symlink),
                ("-x", Shipped::Symlink) => Ok(true),
                _ => unknown(),
            },
            None => {
                let path = merged(path.trim_start_matches('/'));
                let nobody_makes = ["run/", "usr/", "etc/init.d/", "boot/grub/"];
                match matches!(kind, "-e" | "-f" | "-x" | "-r" | "-s" | "-d" | "-h" | "-L" | "-S" | "-p") {
                    true if nobody_makes.iter().any(|dir| path.starts_with(dir)) => Ok(false),
                    _ => unknown(),
                }
            }
        }
    }

    /// A word as one text, as in an assignment.
    fn text(&self, word: &Word, line: usize) -> Understood<String> {
        let mut out = String::new();
        for part in &word.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Alternate { name } => match self.parameter(name) {
                    Some(value) if !value.is_empty() => {
                        return Err(ShellError { line, what: format!("the expansion `${{{name}:+…}}`") });
                    }
                    _ => {}
                },
                Part::Parameter { name, default, .. } => match (self.parameter(name), default) {
                    (Some(value), None) => out.push_str(&value),
                    (Some(value), Some(_)) if !value.is_empty() => out.push_str(&value),
                    (_, Some(default)) => out.push_str(default),
                    (None, None) => return Err(ShellError { line, what: format!("the variable `${name}`") }),
                },
                Part::Substitution(body) => out.push_str(&self.substitution(body, line)?),
            }
            if out.len() > EXPANDED_MAX {
                break;
            }
        }
        self.expanded.set(self.expanded.get() + out.len());
        match self.expanded.get() > EXPANDED_MAX {
            true => Err(ShellError { line, what: format!("words of more than {EXPANDED_MAX} bytes") }),
            false => Ok(out),
        }
    }

    /// A word of a command: nothing, when only empty expansions make it up and none is quoted.
    fn field(&self, word: &Word, line: usize) -> Understood<Option<String>> {
        let text = self.text(word, line)?;
        let unquoted = |part: &Part| match part {
            Part::Alternate { .. } => true,
            Part::Parameter { quoted, .. } => !quoted,
            _ => false,
        };
        if !word.0.iter().any(unquoted) {
            return Ok(Some(text));
        }
        if text.is_empty() {
            return Ok(None);
        }
        match text.contains([' ', '\t', '\n', '*', '?']) {
            true => Err(ShellError { line, what: format!("the unquoted expansion `{text}`") }),
            false => Ok(Some(text)),
        }
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let first = match self.kind {
            ScriptKind::Preinst => "install",
            ScriptKind::Postinst => "configure",
        };
        if let Ok(number) = name.parse::<usize>()
            && number > 0
        {
            return Some(match (&self.arguments, number) {
                (Some(arguments), _) => arguments.get(number - 1).cloned().unwrap_or_default(),
                (None, 1) => first.to_owned(),
                (None, _) => String::new(),
            });
        }
        match name {
            "0" => Some(format!("{}.{}", self.package, self.kind)),
            // Only ever handed on to tools that look at its first word.
            "@" if self.arguments.is_none() => Some(first.to_owned()),
            _ => self.variables.get(name).cloned(),
        }
    }

    fn substitution(&self, body: &str, line: usize) -> Understood<String> {
        match body.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["command", "-v", program] | ["which", program] => Ok(self.installed.command(program).unwrap_or_default()),
            _ => Err(ShellError { line, what: format!("`$({body})`") }),
        }
    }
}

fn line_of(commands: &[Command]) -> usize {
    commands
        .iter()
        .find_map(|command| match command {
            Command::Simple(simple) => Some(simple.line),
            Command::Case { line, .. } | Command::Opaque { line, .. } => Some(*line),
            _ => None,
        })
        .unwrap_or(1)
}

/// dpkg(1) `--compare-versions '' REL VERSION`: the `-nl` relations take nothing for later than any version, the others
/// for earlier.
fn compare_with_nothing(relation: &str) -> Result<bool, String> {
    match relation {
        "lt" | "le" | "ne" | "ge-nl" | "gt-nl" => Ok(true),
        "lt-nl" | "le-nl" | "eq" | "ge" | "gt" => Ok(false),
        _ => Err(format!("the relation `{relation}`")),
    }
}

/// The arguments of update-alternatives(1) `--install`.
fn install_alternative(arguments: &[&str]) -> Option<Alternative> {
    let arguments = arguments.strip_prefix(&["--quiet"]).unwrap_or(arguments);
    let ["--install", link, name, path, priority, rest @ ..] = arguments else { return None };
    let mut slaves = Vec::new();
    for slave in rest.chunks(4) {
        let ["--slave", link, name, path] = slave else { return None };
        slaves.push(Slave { name: (*name).into(), link: (*link).into(), path: (*path).into() });
    }
    slaves.sort();
    Some(Alternative {
        name: (*name).into(),
        link: (*link).into(),
        path: (*path).into(),
        priority: priority.parse().ok()?,
        slaves,
    })
}

/// `*` and `?` as in `case`. The last star takes more when what is behind it does not fit; never recursive, since the
/// text is the script's.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut taken, mut star) = (0, 0, None);
    while taken < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, taken));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || *wanted == text[taken] => {
                at += 1;
                taken += 1;
            }
            _ => {
                let Some((behind, from)) = star else { return false };
                star = Some((behind, from + 1));
                (at, taken) = (behind, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}
