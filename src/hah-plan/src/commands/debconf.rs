//! Debconf for scripts: confmodule(3)'s functions as commands, and the tools of debconf(7).
//!
//! A function sets `RET` in the calling shell, and its status is debconf's. The questions are [`crate::debconf`]'s.

use super::options::Order;
use super::{Command, Process, Refusal};
use crate::debconf::protocol::{BAD_PARAMETERS, Reply, SYNTAX, returned};
use crate::debconf::{Debconf, escape, unescape};

pub(super) const COMMANDS: &[Command] = &[
    Command::always("db_beginblock", function),
    Command::always("db_capb", function),
    Command::always("db_clear", function),
    Command::always("db_data", function),
    Command::always("db_endblock", function),
    Command::always("db_exist", function),
    Command::always("db_fget", function),
    Command::always("db_fset", function),
    Command::always("db_get", function),
    Command::always("db_go", function),
    Command::always("db_info", function),
    Command::always("db_input", function),
    Command::always("db_text", function),
    Command::always("db_metaget", function),
    Command::always("db_progress", function),
    Command::always("db_purge", function),
    Command::always("db_register", function),
    Command::always("db_reset", function),
    Command::always("db_set", function),
    Command::always("db_settitle", function),
    Command::always("db_stop", function),
    Command::always("db_subst", function),
    Command::always("db_title", function),
    Command::always("db_unregister", function),
    Command::always("db_version", function),
    Command::always("db_visible", function),
    Command::always("db_x_loadtemplatefile", function),
    Command::in_tree("debconf", debconf),
    Command::in_tree("debconf-communicate", communicate),
    Command::in_tree("debconf-set-selections", set_selections),
    Command::in_tree("debconf-show", show),
    Command::in_tree("debconf-escape", debconf_escape),
    Command::in_tree("debconf-get-selections", get_selections),
    Command::in_tree("debconf-loadtemplate", load_template),
    Command::in_tree("debconf-copydb", databases),
    Command::in_tree("debconf-apt-progress", databases),
];

impl Process<'_, '_> {
    /// Whoever's script runs has its templates loaded and is the one who talks.
    fn debconf(&mut self) -> Result<&mut Debconf, Refusal> {
        let owner = self.running_package().map_or_else(|| "unknown".to_owned(), |name| name.to_string());
        self.debconf_of(&owner)
    }

    fn debconf_of(&mut self, owner: &str) -> Result<&mut Debconf, Refusal> {
        let script = self.env.get("DPKG_MAINTSCRIPT_NAME").cloned().unwrap_or_default();
        if !self.world.debconf.has_loaded(owner) {
            let packages = self.world.packages;
            let package = packages.iter().find(|package| package.name.as_str() == owner);
            let text = package.and_then(|package| package.control.get("templates"));
            let text = text.map(|bytes| String::from_utf8_lossy(bytes)).unwrap_or_default();
            self.world.debconf.load(&text, owner).map_err(|error| Refusal::new(format!("{owner}: {error}")))?;
        }
        self.world.debconf.begin(owner, &script);
        Ok(&mut self.world.debconf)
    }

    /// One line of the protocol; `None` for `STOP`.
    fn debconf_line(&mut self, owner: Option<&str>, line: &str) -> Result<Option<Reply>, Refusal> {
        let mut words = line.split_ascii_whitespace();
        let is_file = words.next().is_some_and(|command| command.eq_ignore_ascii_case("x_loadtemplatefile"));
        let debconf = match owner {
            Some(owner) => self.debconf_of(owner)?,
            None => self.debconf()?,
        };
        if !is_file {
            return Ok(debconf.communicate(line));
        }
        let (Some(file), of, None) = (words.next(), words.next(), words.next()) else {
            return Ok(Some(Reply { status: SYNTAX, text: Some("Incorrect number of arguments".to_owned()) }));
        };
        let of = match of {
            Some(of) => of.to_owned(),
            None => owner
                .map(str::to_owned)
                .or_else(|| self.running_package().map(|name| name.to_string()))
                .unwrap_or_default(),
        };
        let text = match self.world.read(&self.cwd, file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.is_final() => return Err(error.into()),
            Err(error) => {
                let text = Some(format!("failed to open {file}: {error}"));
                return Ok(Some(Reply { status: BAD_PARAMETERS, text }));
            }
        };
        Ok(Some(match self.world.debconf.load(&text, &of) {
            Ok(()) => Reply { status: 0, text: None },
            Err(error) => Reply { status: 100, text: Some(error.to_string()) },
        }))
    }
}

/// `db_COMMAND WORDS…`: sends one line, puts what comes back into `RET`.
fn function(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let command = match process.name.strip_prefix("db_").unwrap_or(&process.name) {
        "text" => "INPUT".to_owned(),
        name => name.to_ascii_uppercase(),
    };
    let line = std::iter::once(command.as_str()).chain(args.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    if line.contains('\n') {
        // debconf would take the second line for another command, and every later answer would be one too late.
        return Err(Refusal::new(format!("a line end in a word of `{}` breaks debconf's protocol", process.name)));
    }
    match process.debconf_line(None, &line)? {
        None => Ok(0),
        Some(reply) => {
            let (status, ret) = returned(&reply.line());
            process.assign.push(("RET".to_owned(), ret));
            Ok(status)
        }
    }
}

/// debconf-communicate(1): the protocol on standard input and output.
fn communicate(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "f,frontend= p,priority= ,terse", Order::Any)?;
    let owner = options.operands.first().cloned().unwrap_or_else(|| "unknown".to_owned());
    let input = String::from_utf8_lossy(&process.take_stdin()).into_owned();
    for line in input.lines() {
        match process.debconf_line(Some(&owner), line)? {
            Some(reply) => process.print_line(reply.line()),
            None => break,
        }
    }
    Ok(0)
}

/// debconf(1): runs a program that talks to debconf.
fn debconf(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "o,owner= f,frontend= p,priority= ,terse", Order::First)?;
    if options.operands.is_empty() {
        return process.unknown("without a command");
    }
    let stdin = process.take_stdin();
    let finished = crate::shell::launch(process, &options.operands, stdin)?;
    process.print(finished.stdout);
    process.stderr.extend_from_slice(&finished.stderr);
    Ok(finished.status)
}

const KINDS: [&str; 8] = ["select", "boolean", "string", "multiselect", "note", "password", "text", "title"];

/// debconf-set-selections(1): `PACKAGE QUESTION TYPE VALUE` by line.
fn set_selections(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "v,verbose c,checkonly u,unseen", Order::Any)?;
    let files = if options.operands.is_empty() { vec!["-".to_owned()] } else { options.operands.clone() };
    let mut status = 0;
    for file in files {
        let text = match file.as_str() {
            "-" => process.take_stdin(),
            file => {
                let read = process.world.read(&process.cwd, file);
                match process.check(file, read)? {
                    Some(bytes) => bytes,
                    None => continue,
                }
            }
        };
        let text = String::from_utf8_lossy(&text).replace("\r\n", "\n").replace("\\\n", "");
        for (number, line) in text.lines().enumerate() {
            let trimmed = line.trim_start();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let mut words = trimmed.splitn(2, char::is_whitespace);
            let owner = words.next().unwrap_or_default();
            let mut words = words.next().unwrap_or_default().trim_start().splitn(2, char::is_whitespace);
            let name = words.next().unwrap_or_default();
            let mut words = words.next().unwrap_or_default().trim_start().splitn(2, char::is_whitespace);
            let kind = words.next().unwrap_or_default();
            let value = words.next().unwrap_or_default();
            if kind.is_empty() {
                process
                    .stderr
                    .extend_from_slice(format!("error: parse error on line {}: '{line}'\n", number + 1).as_bytes());
                status = 1;
            } else if options.has("c") {
            } else if kind == "seen" {
                if process.world.debconf.set_flag(name, kind, value).is_none() {
                    process.stderr.extend_from_slice(format!("error: Cannot find a question for {name}\n").as_bytes());
                    status = 1;
                }
            } else if KINDS.contains(&kind) {
                process.world.debconf.preset(owner, name, kind, value);
                if options.has("u") {
                    process.world.debconf.set_flag(name, "seen", "false");
                }
            } else {
                process.stderr.extend_from_slice(
                    format!("warning: Unknown type {kind}, skipping line {}\n", number + 1).as_bytes(),
                );
            }
        }
    }
    Ok(status)
}

/// Loads the templates of the packages that are asked about: on a node they would be in the database by now.
fn questions_of(
    process: &mut Process<'_, '_>,
    owner: Option<&str>,
) -> Result<Vec<(String, String, String, bool)>, Refusal> {
    if let Some(owner) = owner {
        process.debconf_of(owner)?;
    }
    let debconf = &process.world.debconf;
    Ok(debconf
        .questions()
        .filter(|(_, question)| owner.is_none_or(|owner| question.owners.contains(owner)))
        .map(|(name, question)| {
            let seen = question.flags.get("seen").is_some_and(|seen| seen == "true");
            (name.to_owned(), debconf.kind(question), debconf.value(question), seen)
        })
        .collect())
}

/// debconf-show(1).
fn show(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, ",db= ,listowners ,listdbs", Order::Any)?;
    if options.has("db") || options.has("listdbs") {
        return process.unknown("--db or --listdbs");
    }
    if options.has("listowners") {
        let owners: std::collections::BTreeSet<String> =
            process.world.debconf.questions().flat_map(|(_, question)| question.owners.clone()).collect();
        for owner in owners {
            process.print_line(owner);
        }
        return Ok(0);
    }
    if options.operands.is_empty() {
        process.complain("Usage: debconf-show packagename [...] [--db=dbname]");
        return Ok(1);
    }
    for package in &options.operands {
        for (name, kind, value, seen) in questions_of(process, Some(package))? {
            let mark = if seen { "*" } else { " " };
            let value = match kind.as_str() {
                "password" => " (password omitted)".to_owned(),
                _ if value.is_empty() => String::new(),
                _ => format!(" {value}"),
            };
            process.print_line(format!("{mark} {name}:{value}"));
        }
    }
    Ok(0)
}

/// debconf-get-selections(1) of debconf-utils.
fn get_selections(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    if !args.is_empty() {
        return process.unknown(&args.join(" "));
    }
    for (name, kind, value, _) in questions_of(process, None)? {
        let owner = process
            .world
            .debconf
            .question(&name)
            .and_then(|question| question.owners.iter().next().cloned())
            .unwrap_or_else(|| "unknown".to_owned());
        process.print_line(format!("{owner}\t{name}\t{kind}\t{value}"));
    }
    Ok(0)
}

/// debconf-escape(1).
fn debconf_escape(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "e,escape u,unescape", Order::Any)?;
    if options.has("e") == options.has("u") {
        return process.unknown("without one of -e and -u");
    }
    let input = String::from_utf8_lossy(&process.take_stdin()).into_owned();
    process.print(if options.has("e") { escape(&input) } else { unescape(&input) });
    Ok(0)
}

/// debconf-loadtemplate(1): `OWNER FILE…`.
fn load_template(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let Some((owner, files)) = args.split_first() else { return process.unknown("without an owner") };
    for file in files {
        let read = process.world.read(&process.cwd, file);
        let Some(bytes) = process.check(file, read)? else { return Ok(1) };
        let loaded = process.world.debconf.load(&String::from_utf8_lossy(&bytes), owner);
        if let Err(error) = loaded {
            process.complain(error);
            return Ok(1);
        }
    }
    Ok(0)
}

/// Databases are files of a node; an image has none.
fn databases(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    process.unknown(&args.join(" "))
}
