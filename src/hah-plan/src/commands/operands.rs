//! What most commands do with the files that they are given: read one, write one, name it in a message.

use hah_format::path::TreePath;

use super::{Process, Refusal};
use crate::world::{Errno, Follow, Stat};

/// An operand and its bytes.
pub(super) type NamedText = (String, Vec<u8>);

impl Process<'_, '_> {
    /// The bytes of an operand; `-` is standard input. `None` when the command has complained that it cannot be read.
    pub(super) fn read_operand(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        if matches!(name, "-" | "/dev/stdin") {
            return Ok(Some(self.take_stdin()));
        }
        let read = self.world.read(&self.cwd, name);
        self.check(name, read)
    }

    /// The bytes of all operands one after the other, standard input without any; and whether all could be read.
    pub(super) fn read_operands(&mut self, names: &[String]) -> Result<(Vec<NamedText>, bool), Refusal> {
        let standard = ["-".to_owned()];
        let names = if names.is_empty() { &standard } else { names };
        let (mut files, mut whole) = (Vec::new(), true);
        for name in names {
            match self.read_operand(name)? {
                Some(bytes) => files.push((name.clone(), bytes)),
                None => whole = false,
            }
        }
        Ok((files, whole))
    }

    /// Writes a file whole, with the mode that open(2) gives; `/dev/stdout` and `/dev/stderr` are this command's.
    pub(super) fn write_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), Errno> {
        match name {
            "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => self.stdout.extend_from_slice(bytes),
            "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" => self.stderr.extend_from_slice(bytes),
            _ => self.world.write(&self.cwd, name, 0o666 & !self.umask, bytes.to_vec())?,
        }
        Ok(())
    }

    /// As [`Process::write_file`], at the end of what is there.
    pub(super) fn append_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), Errno> {
        match name {
            "/dev/stdout" | "/dev/stderr" => self.write_file(name, bytes),
            _ => self.world.append(&self.cwd, name, 0o666 & !self.umask, bytes),
        }
    }

    /// stat(2) of `path`.
    pub(super) fn stat(&self, path: &str) -> Result<Stat, Errno> {
        self.world.stat(&self.cwd, path, Follow::Yes)
    }

    /// lstat(2) of `path`.
    pub(super) fn lstat(&self, path: &str) -> Result<Stat, Errno> {
        self.world.stat(&self.cwd, path, Follow::No)
    }

    /// Whether `path` is a directory, links followed.
    pub(super) fn is_dir(&self, path: &str) -> bool {
        self.stat(path).is_ok_and(|stat| stat.is_dir())
    }

    /// Whether the locale's characters are UTF-8.
    pub(super) fn is_utf8(&self) -> bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| self.env.get(*name).filter(|value| !value.is_empty()));
        locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        })
    }

    /// `text` in the quotation marks of the locale, as most messages have it.
    pub(super) fn quote(&self, text: &str) -> String {
        if self.is_utf8() { format!("‘{text}’") } else { format!("'{text}'") }
    }

    /// Takes a step off the budget, so that nothing can go on for ever.
    pub(super) fn step(&mut self) -> Result<(), Refusal> {
        Ok(self.world.spend_steps(1)?)
    }

    /// Complains that operands are missing, and gives the status of that.
    pub(super) fn missing_operand(&mut self, status: u8) -> Result<u8, Refusal> {
        self.complain("missing operand");
        Ok(status)
    }

    /// The real path that a script sees as absolute.
    pub(super) fn absolute(&self, path: &TreePath) -> String {
        path.to_string()
    }
}

/// `text` as a shell would take it as one word, always in quotation marks.
pub(super) fn shell_quoted(text: &str) -> String {
    match text.contains('\'') {
        true if !text.contains(['"', '$', '`', '\\']) => format!("\"{text}\""),
        true => format!("'{}'", text.replace('\'', "'\\''")),
        false => format!("'{text}'"),
    }
}

/// The last component of a path as basename(1) sees it: slashes at the end do not count.
pub(super) fn base_name(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit('/').next() {
        Some("") | None if path.is_empty() => "",
        Some("") | None => "/",
        Some(name) => name,
    }
}

/// `name` in the directory `directory`, as the programs spell it.
pub(super) fn in_directory(directory: &str, name: &str) -> String {
    match directory.ends_with('/') {
        true => format!("{directory}{name}"),
        false => format!("{directory}/{name}"),
    }
}

/// Lines with their ends; the last one may have none.
pub(super) fn lines_with_ends(bytes: &[u8], end: u8) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(move |byte| *byte == end)
}

/// A line without its end.
pub(super) fn without_end(line: &[u8], end: u8) -> &[u8] {
    line.strip_suffix(&[end]).unwrap_or(line)
}
