//! The root file system's own programs, run inside it: the agent carries no mke2fs.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::error::{Error, InContext};
use crate::sys;
use rustix::mount::{UnmountFlags, mount_bind, unmount};

/// The last lines of a program's output that are worth a console line, in bytes.
const SAID_MAX: usize = 300;

/// What a program answered.
pub(crate) struct Answer {
    /// Exit code; nothing when a signal ended it.
    pub(crate) code: Option<i32>,
    /// `exit status: 8`.
    pub(crate) status: String,
    /// The end of what it printed, on one line.
    pub(crate) said: String,
}

/// A root file system with `/dev` and `/proc` for the time of this value.
pub(crate) struct ToolRoot<'r> {
    root: &'r Path,
}

impl<'r> ToolRoot<'r> {
    /// Binds what the programs need.
    pub(crate) fn enter(root: &'r Path) -> Result<Self, Error> {
        let tools = Self { root };
        for name in ["dev", "proc"] {
            let place = root.join(name);
            mount_bind(format!("/{name}"), &place).doing(|| format!("bind /{name} into the root file system"))?;
        }
        Ok(tools)
    }

    /// Runs a program to its end.
    pub(crate) fn run(&self, program: &'static str, arguments: &[&str]) -> Result<Answer, Error> {
        self.run_with_input(program, arguments, &[])
    }

    /// Runs a program to its end with something on its standard input.
    pub(crate) fn run_with_input(
        &self,
        program: &'static str,
        arguments: &[&str],
        input: &[u8],
    ) -> Result<Answer, Error> {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        // mke2fs asks before it formats what looks like something, if it has a terminal to ask on.
        command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = || format!("run {program} of the root file system");
        let mut child = sys::start_in_root(&mut command, self.root).spawn().doing(start)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not want it says so by its exit code.
            let _ = stdin.write_all(input);
        }
        let output = child.wait_with_output().doing(start)?;
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(Answer { code: output.status.code(), status: output.status.to_string(), said: last_words(&said) })
    }
}

impl Drop for ToolRoot<'_> {
    fn drop(&mut self) {
        for name in ["dev", "proc"] {
            // A mount that stays behind is harmless: the real one is moved over it.
            let _ = unmount(self.root.join(name), UnmountFlags::DETACH);
        }
    }
}

/// The end of a program's output on one line.
fn last_words(text: &str) -> String {
    let lines: Vec<&str> = text.split(['\n', '\r', '\u{8}']).map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = lines.join("; ");
    let start = (line.len().saturating_sub(SAID_MAX)..line.len()).find(|at| line.is_char_boundary(*at));
    line.get(start.unwrap_or(0)..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_becomes_one_line() {
        assert_eq!(last_words("mke2fs 1.47\n\n  no space \n"), "mke2fs 1.47; no space");
        assert_eq!(last_words(""), "");
        assert_eq!(last_words(&"é".repeat(1000)).chars().count(), SAID_MAX / 2);
    }
}
