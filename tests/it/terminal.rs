//! A person at a terminal: the program on a pseudo-terminal, its questions waited for and answered.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A program that believes that somebody is there.
pub(crate) struct Terminal {
    child: Child,
    keyboard_and_screen: File,
    /// Everything that was shown.
    shown: String,
    /// Up to where it was waited for.
    seen: usize,
}

impl Terminal {
    pub(crate) fn start(mut command: Command) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        let theirs = || Stdio::from(File::options().read(true).write(true).open(&name).unwrap());
        let child = command.stdin(theirs()).stdout(theirs()).stderr(theirs()).spawn().unwrap();
        // What is left open here would keep the terminal alive when the child is gone.
        drop(command);
        Self { child, keyboard_and_screen: ours.into(), shown: String::new(), seen: 0 }
    }

    /// Waits until `text` is shown, after what was waited for before.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) -> &mut Self {
        loop {
            if let Some(at) = self.shown[self.seen..].find(text) {
                self.seen += at + text.len();
                return self;
            }
            assert!(self.read(), "it ended without `{text}`: {}", self.shown);
        }
    }

    /// Types a line.
    pub(crate) fn answer(&mut self, line: &str) -> &mut Self {
        self.keyboard_and_screen.write_all(format!("{line}\n").as_bytes()).unwrap();
        self
    }

    /// Waits for its end: the exit code, and everything that was shown.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        while self.read() {}
        (self.child.wait().unwrap().code(), self.shown)
    }

    /// Reads some more; false when the program has ended.
    fn read(&mut self) -> bool {
        let mut piece = [0; 4096];
        // Linux says EIO when nobody has the other side open any more.
        match self.keyboard_and_screen.read(&mut piece) {
            Ok(length) if length > 0 => {
                self.shown.push_str(&String::from_utf8_lossy(&piece[..length]));
                true
            }
            _ => false,
        }
    }
}
