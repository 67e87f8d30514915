//! The programs that scripts call, as functions on a [`World`].
//!
//! A [`Command`] does to the tree what the program of its name does to a disk, as its manual page says and for what
//! scripts use of it. What it cannot do is a [`Refusal`], which ends the script with its line: never a guess, never silence.
//!
//! A command sees a [`Process`]: arguments, environment, standard input, and buffers for what it prints.
//! Its exit status is the function's result. Text goes through as bytes; words are UTF-8.

mod options;
mod operands;
mod numbers;
mod accounts;
mod regex;
mod files;
mod paths;
mod listing;
mod text;
mod sort;
mod compare;
mod digest;
mod printf;
mod calculate;
mod grep;
mod sed;
mod awk;
mod find;
mod xargs;
mod launchers;
mod identity;
mod date;
mod machine;
mod compression;
mod getent;
mod users;
mod dpkg;
mod debconf;
mod ucf;
mod alternatives;
mod systemd;
mod derived;
mod capabilities;
mod apache;
mod registries;
mod catalogs;
mod getopt;
mod iconv;
mod locale;
mod postconf;
mod binfmts;
mod glib;
mod mime;
mod postgresql;
mod helpztags;
mod run_parts;
#[cfg(test)]
pub(crate) mod bench;
#[cfg(test)]
pub(crate) mod playground;

use std::collections::BTreeMap;

use hah_format::path::TreePath;

use crate::world::{Errno, World};

pub use derived::REASONS;

/// Where a native command stands in for a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// In every image: the program is of an essential package, or the shell's own.
    Always,
    /// Only where the tree has the program; elsewhere the shell says "not found", as it would on a node.
    InTree,
}

/// A native command.
#[derive(Clone, Copy)]
pub struct Command {
    /// The program's name, without a directory.
    pub name: &'static str,
    /// Where it is found.
    pub presence: Presence,
    /// Runs it; the result is its exit status.
    pub run: fn(&mut Process<'_, '_>, &[String]) -> Result<u8, Refusal>,
}

impl Command {
    /// A command that every image has.
    pub const fn always(name: &'static str, run: fn(&mut Process<'_, '_>, &[String]) -> Result<u8, Refusal>) -> Self {
        Self { name, presence: Presence::Always, run }
    }

    /// A command that is there when the tree has the program.
    pub const fn in_tree(name: &'static str, run: fn(&mut Process<'_, '_>, &[String]) -> Result<u8, Refusal>) -> Self {
        Self { name, presence: Presence::InTree, run }
    }
}

/// Why a script cannot be evaluated any further. The place is known to whoever evaluates it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Refusal {
    /// What stands there, as a clause that follows "cannot be evaluated: ".
    pub what: String,
    /// The program of the target that would have to run, where that is the reason: its command line.
    pub program: Option<String>,
}

impl Refusal {
    /// Something is more than we can do.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), program: None }
    }
}

impl From<crate::accounts::AccountError> for Refusal {
    fn from(error: crate::accounts::AccountError) -> Self {
        Self::new(format!("{error} ({})", error.hint()))
    }
}

impl From<Errno> for Refusal {
    /// For an error after which nothing can go on ([`Errno::is_final`]).
    fn from(error: Errno) -> Self {
        Self::new(error.to_string())
    }
}

/// Asked about a program of the target before it is refused: reviewed calls.
pub trait Programs {
    /// Stands in for the call and gives its exit status; `None` when nobody knows what it would do.
    ///
    /// # Errors
    /// A [`Refusal`] when what the call would do cannot be done.
    fn call(&self, process: &mut Process<'_, '_>, argv: &[String]) -> Result<Option<u8>, Refusal>;
}

/// What a command that ran has left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// Exit status.
    pub status: u8,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained of.
    pub stderr: Vec<u8>,
}

/// What a running command sees and what it may say.
pub struct Process<'p, 'w> {
    /// The tree and everything about it.
    pub world: &'p mut World<'w>,
    /// The name it was called by, as written: `sed`, `/usr/bin/sed`.
    pub name: String,
    /// Working directory.
    pub cwd: TreePath,
    /// Bits that new files do not get.
    pub umask: u16,
    /// Exported variables.
    pub env: &'p BTreeMap<String, String>,
    /// What is left of standard input; what a command does not read stays for the next one.
    pub stdin: &'p mut Vec<u8>,
    /// Standard output so far.
    pub stdout: Vec<u8>,
    /// Standard error so far.
    pub stderr: Vec<u8>,
    /// Variables that the calling shell is to set afterwards; only debconf's `db_*` do this.
    pub assign: Vec<(String, String)>,
    /// Who is asked about programs of the target that this command starts.
    pub programs: Option<&'p dyn Programs>,
    /// Functions, subshells and scripts around the call.
    pub calls: u32,
}

impl Process<'_, '_> {
    /// Prints `text`.
    pub fn print(&mut self, text: impl AsRef<[u8]>) {
        self.stdout.extend_from_slice(text.as_ref());
    }

    /// Prints `text` and a line end.
    pub fn print_line(&mut self, text: impl AsRef<[u8]>) {
        self.print(text);
        self.stdout.push(b'\n');
    }

    /// Complains as the programs do: `NAME: text`.
    pub fn complain(&mut self, text: impl std::fmt::Display) {
        let name = self.name.rsplit('/').next().unwrap_or_default();
        self.stderr.extend_from_slice(format!("{name}: {text}\n").as_bytes());
    }

    /// Takes all of standard input.
    pub fn take_stdin(&mut self) -> Vec<u8> {
        std::mem::take(self.stdin)
    }

    /// For the result of an operation on the tree: a final error refuses the script, another is complained of as
    /// `NAME: what: reason`, and is `None`.
    pub fn check<T>(&mut self, what: &str, result: Result<T, Errno>) -> Result<Option<T>, Refusal> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_final() => Err(error.into()),
            Err(error) => {
                self.complain(format_args!("{what}: {error}"));
                Ok(None)
            }
        }
    }

    /// An option or form of a program that is not known here.
    pub fn unknown<T>(&self, what: &str) -> Result<T, Refusal> {
        let name = self.name.rsplit('/').next().unwrap_or_default();
        Err(Refusal::new(format!("`{name} {what}` is more than our {name} knows")))
    }
}

/// The command of this name, without a directory.
pub fn find(name: &str) -> Option<&'static Command> {
    TABLES.iter().flat_map(|table| table.iter()).find(|command| command.name == name)
}

/// All commands, by family.
const TABLES: &[&[Command]] = &[
    getent::COMMANDS,
    users::COMMANDS,
    dpkg::COMMANDS,
    debconf::COMMANDS,
    ucf::COMMANDS,
    files::COMMANDS,
    paths::COMMANDS,
    listing::COMMANDS,
    text::COMMANDS,
    sort::COMMANDS,
    compare::COMMANDS,
    digest::COMMANDS,
    printf::COMMANDS,
    calculate::COMMANDS,
    grep::COMMANDS,
    sed::COMMANDS,
    awk::COMMANDS,
    find::COMMANDS,
    xargs::COMMANDS,
    launchers::COMMANDS,
    identity::COMMANDS,
    date::COMMANDS,
    machine::COMMANDS,
    compression::COMMANDS,
    alternatives::COMMANDS,
    systemd::COMMANDS,
    derived::NOTHING,
    derived::COMMANDS,
    capabilities::COMMANDS,
    apache::COMMANDS,
    registries::COMMANDS,
    catalogs::COMMANDS,
    getopt::COMMANDS,
    iconv::COMMANDS,
    locale::COMMANDS,
    postconf::COMMANDS,
    binfmts::COMMANDS,
    glib::COMMANDS,
    mime::COMMANDS,
    postgresql::COMMANDS,
    helpztags::COMMANDS,
    run_parts::COMMANDS,
];

#[cfg(test)]
mod tests;
