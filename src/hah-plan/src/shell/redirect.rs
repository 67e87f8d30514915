//! File descriptors: buffers, files of the tree, nothing.
//!
//! What is read comes from a buffer that is shared by all who have a copy of the descriptor, so that `read` in a loop goes
//! on where it was. What is written goes to a buffer, or into the tree at once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::syntax::{Redirect, RedirectKind};
use super::{Eval, Halt, Shell};
use crate::world::{Errno, Follow};

/// A buffer that several descriptors share.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffer(Rc<RefCell<Vec<u8>>>);

impl Buffer {
    /// What is in it; afterwards it is empty.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut())
    }

    /// Puts back what was not used.
    pub(super) fn put(&self, bytes: Vec<u8>) {
        *self.0.borrow_mut() = bytes;
    }
}

/// What a descriptor leads to.
#[derive(Clone, Debug)]
enum Descriptor {
    /// What is left to be read.
    Input(Buffer),
    /// What was printed.
    Output(Buffer),
    /// A file to write to: its path, and where the next byte goes; at the end when that is `None`.
    File { path: String, at: Rc<RefCell<Option<usize>>> },
    /// A file that is read and written (`<>`): what is left of it; the next byte goes over what would be read next.
    Both { path: String, left: Buffer },
    /// Takes everything, holds nothing.
    Null,
    /// Random bytes, which nobody may read: only a review can say what becomes of the command that would.
    Random,
}

/// The open descriptors.
#[derive(Clone, Debug)]
pub(super) struct Descriptors {
    open: BTreeMap<u32, Descriptor>,
    /// Where a script's own standard output and error go.
    out: Buffer,
    err: Buffer,
}

impl Descriptors {
    pub(super) fn new(stdin: Vec<u8>) -> Self {
        let (input, out, err) = (Buffer::default(), Buffer::default(), Buffer::default());
        input.put(stdin);
        let open = BTreeMap::from([
            (0, Descriptor::Input(input)),
            (1, Descriptor::Output(out.clone())),
            (2, Descriptor::Output(err.clone())),
        ]);
        Self { open, out, err }
    }

    /// What was printed on standard output and standard error.
    pub(super) fn printed(&self) -> (Vec<u8>, Vec<u8>) {
        (self.out.take(), self.err.take())
    }

    /// Sends what is written to `fd` into a new buffer.
    pub(super) fn capture(&mut self, fd: u32) -> Buffer {
        let buffer = Buffer::default();
        self.open.insert(fd, Descriptor::Output(buffer.clone()));
        buffer
    }

    /// Lets `fd` read `bytes`.
    pub(super) fn read_from(&mut self, fd: u32, bytes: Vec<u8>) {
        let buffer = Buffer::default();
        buffer.put(bytes);
        self.open.insert(fd, Descriptor::Input(buffer));
    }

    /// The buffer that `fd` reads; an empty one when it reads nothing.
    pub(super) fn input(&self, fd: u32) -> Buffer {
        match self.open.get(&fd) {
            Some(Descriptor::Input(buffer) | Descriptor::Both { left: buffer, .. }) => buffer.clone(),
            _ => Buffer::default(),
        }
    }
}

impl Shell<'_, '_> {
    /// Writes to a descriptor.
    /// A file that is no longer where it was opened is [`Errno::Moved`].
    ///
    /// # Errors
    /// [`Errno::NotPermitted`] when it is closed or not for writing.
    pub(super) fn write_to(&mut self, fd: u32, bytes: &[u8]) -> Result<(), Errno> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.world.spend_bytes(bytes.len() as u64)?;
        match self.descriptors.open.get(&fd) {
            Some(Descriptor::Output(buffer)) => buffer.0.borrow_mut().extend_from_slice(bytes),
            Some(Descriptor::Null) => {}
            Some(Descriptor::File { path, at }) => {
                let (path, at) = (path.clone(), Rc::clone(at));
                let start = *at.borrow();
                let start = match start {
                    Some(start) => start,
                    None => self.opened(&path)?.len(),
                };
                self.overwrite(&path, start, bytes)?;
                let mut at = at.borrow_mut();
                *at = at.map(|start| start + bytes.len());
            }
            Some(Descriptor::Both { path, left }) => {
                let (path, left) = (path.clone(), left.clone());
                let behind = left.0.borrow().len();
                let start = self.opened(&path)?.len().saturating_sub(behind);
                self.overwrite(&path, start, bytes)?;
                left.0.borrow_mut().drain(..bytes.len().min(behind));
            }
            Some(Descriptor::Input(_) | Descriptor::Random) | None => return Err(Errno::NotPermitted),
        }
        Ok(())
    }

    /// Stops where standard input is random and somebody reads it.
    pub(super) fn refuse_random_input(&self) -> Eval {
        match self.descriptors.open.get(&0) {
            Some(Descriptor::Random) => Err(self.stop(Errno::Random.into())),
            _ => Ok(()),
        }
    }

    /// What is in a file that has been opened for writing.
    fn opened(&mut self, path: &str) -> Result<Vec<u8>, Errno> {
        self.world.read(&self.cwd, path).map_err(|error| match error {
            Errno::NotFound => Errno::Moved(path.to_owned()),
            error => error,
        })
    }

    /// Puts bytes into a file that is there, over what stands at `start`.
    fn overwrite(&mut self, path: &str, start: usize, bytes: &[u8]) -> Result<(), Errno> {
        let mut whole = self.opened(path)?;
        let end = start + bytes.len();
        whole.resize(whole.len().max(end), 0);
        whole[start..end].copy_from_slice(bytes);
        self.world.write(&self.cwd, path, 0o666 & !self.umask, whole)
    }

    /// Prints on standard output; false, and a complaint, when that fails.
    pub(super) fn print(&mut self, bytes: &[u8]) -> Result<bool, Halt> {
        let written = self.write_to(1, bytes);
        match self.final_only(written)? {
            Ok(()) => Ok(true),
            Err(_) => {
                self.complain("write error: Bad file descriptor");
                Ok(false)
            }
        }
    }

    /// Opens and closes descriptors for what `evaluate` does, which is told whether all could be opened, and puts them back.
    pub(super) fn with_redirects(
        &mut self,
        redirects: &[Redirect],
        evaluate: impl FnOnce(&mut Self, bool) -> Eval,
    ) -> Eval {
        let outer: Vec<(u32, Option<Descriptor>)> =
            redirects.iter().map(|redirect| (redirect.fd, self.descriptors.open.get(&redirect.fd).cloned())).collect();
        let done = match self.redirect(redirects) {
            Ok(opened) => evaluate(self, opened),
            Err(halt) => Err(halt),
        };
        for (fd, descriptor) in outer.into_iter().rev() {
            match descriptor {
                Some(descriptor) => self.descriptors.open.insert(fd, descriptor),
                None => self.descriptors.open.remove(&fd),
            };
        }
        done
    }

    /// Opens and closes descriptors; false, and a complaint, when one cannot be opened.
    fn redirect(&mut self, redirects: &[Redirect]) -> Result<bool, Halt> {
        for redirect in redirects {
            if !self.redirect_one(redirect)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn redirect_one(&mut self, redirect: &Redirect) -> Result<bool, Halt> {
        let fd = redirect.fd;
        match &redirect.kind {
            RedirectKind::Here(word) => {
                let word = word.borrow().clone();
                let text = self.expand_one(&word)?;
                self.descriptors.read_from(fd, text.into_bytes());
                Ok(true)
            }
            RedirectKind::Duplicate(word) => {
                let target = self.expand_one(word)?;
                if target == "-" {
                    self.descriptors.open.remove(&fd);
                    return Ok(true);
                }
                if target.len() != 1 || !target.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(self.die(&format!("{target}: bad fd number")));
                }
                let found = target.parse().ok().and_then(|from: u32| self.descriptors.open.get(&from).cloned());
                match found {
                    Some(found) => {
                        self.descriptors.open.insert(fd, found);
                        Ok(true)
                    }
                    None => {
                        self.complain(&format!("{target}: Bad file descriptor"));
                        Ok(false)
                    }
                }
            }
            RedirectKind::Read(word) | RedirectKind::ReadWrite(word) => {
                let path = self.expand_one(word)?;
                if let Some(own) = self.own_descriptor(&path) {
                    return Ok(self.open_as(fd, own));
                }
                let read = self.world.read(&self.cwd, &path);
                if matches!((&read, &redirect.kind), (Err(Errno::Random), RedirectKind::Read(_))) {
                    self.descriptors.open.insert(fd, Descriptor::Random);
                    return Ok(true);
                }
                let read = match (self.final_only(read)?, &redirect.kind) {
                    (Err(Errno::NotFound), RedirectKind::ReadWrite(_)) => {
                        let made = self.world.write(&self.cwd, &path, 0o666 & !self.umask, Vec::new());
                        self.final_only(made)?.map(|()| Vec::new())
                    }
                    (read, _) => read,
                };
                match read {
                    Ok(bytes) if matches!(redirect.kind, RedirectKind::ReadWrite(_)) => {
                        let left = Buffer::default();
                        left.put(bytes);
                        let path = crate::world::World::absolute(&self.cwd, &path);
                        self.descriptors.open.insert(fd, Descriptor::Both { path, left });
                        Ok(true)
                    }
                    Ok(bytes) => {
                        self.descriptors.read_from(fd, bytes);
                        Ok(true)
                    }
                    Err(error) => self.cannot("open", &path, &error),
                }
            }
            RedirectKind::Write(word) | RedirectKind::Clobber(word) | RedirectKind::Append(word) => {
                let path = self.expand_one(word)?;
                if let Some(own) = self.own_descriptor(&path) {
                    return Ok(self.open_as(fd, own));
                }
                if path == "/dev/null" {
                    self.descriptors.open.insert(fd, Descriptor::Null);
                    return Ok(true);
                }
                let append = matches!(redirect.kind, RedirectKind::Append(_));
                let kept = matches!(redirect.kind, RedirectKind::Write(_)) && self.options.noclobber;
                if kept && self.world.stat(&self.cwd, &path, Follow::Yes).is_ok_and(|stat| stat.is_file()) {
                    return self.cannot("create", &path, &Errno::Exists);
                }
                let exists = self.world.exists(&self.cwd, &path);
                let opened = match append && exists {
                    true => match self.world.stat(&self.cwd, &path, Follow::Yes) {
                        Ok(stat) if stat.is_dir() => Err(Errno::IsADirectory),
                        other => other.map(drop),
                    },
                    false => self.world.write(&self.cwd, &path, 0o666 & !self.umask, Vec::new()),
                };
                match self.final_only(opened)? {
                    Ok(()) => {
                        // Somebody may change directory before the next byte is written.
                        let path = crate::world::World::absolute(&self.cwd, &path);
                        let at = Rc::new(RefCell::new((!append).then_some(0)));
                        self.descriptors.open.insert(fd, Descriptor::File { path, at });
                        Ok(true)
                    }
                    Err(error) => self.cannot("create", &path, &error),
                }
            }
        }
    }

    /// The descriptor that `/dev/stdout` and its kin name.
    fn own_descriptor(&self, path: &str) -> Option<u32> {
        match path {
            "/dev/stdin" => Some(0),
            "/dev/stdout" => Some(1),
            "/dev/stderr" => Some(2),
            _ => ["/dev/fd/", "/proc/self/fd/"].iter().find_map(|prefix| path.strip_prefix(prefix)?.parse().ok()),
        }
    }

    fn open_as(&mut self, fd: u32, own: u32) -> bool {
        match self.descriptors.open.get(&own).cloned() {
            Some(found) => {
                self.descriptors.open.insert(fd, found);
                true
            }
            None => {
                self.complain(&format!("cannot open /dev/fd/{own}: No such file"));
                false
            }
        }
    }

    fn cannot(&mut self, doing: &str, path: &str, error: &Errno) -> Result<bool, Halt> {
        let why = match error {
            Errno::NotFound if doing == "open" => "No such file".to_owned(),
            Errno::NotFound => "Directory nonexistent".to_owned(),
            error => error.to_string(),
        };
        self.complain(&format!("cannot {doing} {path}: {why}"));
        Ok(false)
    }

    /// Runs the redirections of `exec`, which stay.
    pub(super) fn redirect_for_good(&mut self, redirects: &[Redirect]) -> Eval {
        match self.redirect(redirects)? {
            true => Ok(()),
            false => {
                self.status = 2;
                Err(Halt::Error)
            }
        }
    }
}
