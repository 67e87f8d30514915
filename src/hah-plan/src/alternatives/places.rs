//! The places of links: what stands there, and what is put there.

use hah_format::path::TreePath;
use hah_format::tree::Kind;

use super::{CHOICES, Registry, Stop, failed};
use crate::world::{Errno, Follow};

/// What is at a place where a link belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Missing,
    Link,
    Other,
}

impl Registry<'_, '_> {
    pub(super) fn is_missing(&self, path: &str) -> Result<bool, Stop> {
        match self.world.stat(&TreePath::root(), path, Follow::Yes) {
            Ok(_) => Ok(false),
            Err(Errno::NotFound) => Ok(true),
            Err(error) => Err(failed(format_args!("cannot stat file '{path}'"))(error)),
        }
    }

    pub(super) fn place(&self, path: &str) -> Result<Place, Stop> {
        match self.world.stat(&TreePath::root(), path, Follow::No) {
            Ok(stat) if stat.is_symlink() => Ok(Place::Link),
            Ok(_) => Ok(Place::Other),
            Err(Errno::NotFound) => Ok(Place::Missing),
            Err(error) => Err(failed(format_args!("cannot stat file '{path}'"))(error)),
        }
    }

    pub(super) fn link_target(&self, path: &str) -> Result<String, Errno> {
        match self.world.stat(&TreePath::root(), path, Follow::No)?.kind {
            Kind::Symlink(target) => Ok(target.into()),
            _ => Err(Errno::Invalid),
        }
    }

    /// Sees to it that there is a directory for a link: one that the image leaves out is made.
    pub(super) fn prepare(&mut self, at: &str) -> Result<(), Stop> {
        let directory = at.rsplit_once('/').map_or("/", |(directory, _)| directory);
        if at.starts_with(CHOICES) || self.is_left_out(directory) {
            self.make_dirs(directory)?;
        }
        let real = self.world.resolve(&TreePath::root(), &format!("{directory}/"), Follow::Yes);
        match real.map(|real| self.world.tree.contains(&real)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Errno::NotFound),
            Err(error) => Err(error),
        }
        .map_err(failed(format_args!("cannot create symbolic link '{at}.dpkg-tmp'")))
    }

    /// Makes a link, in the place of another or, with `--force`, of a file. What a recipe has placed stays.
    pub(super) fn link(&mut self, at: &str, to: &str) -> Result<(), Stop> {
        let root = TreePath::root();
        self.prepare(at)?;
        let wrong = || format!("cannot install '{at}.dpkg-tmp' as '{at}'");
        match self.world.resolve(&root, at, Follow::No) {
            Ok(real) if self.world.is_kept(&real) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(failed(format_args!("cannot create symbolic link '{at}.dpkg-tmp'"))(error)),
        }
        if self.place(at)? != Place::Missing {
            self.world.unlink(&root, at).map_err(failed(wrong()))?;
        }
        self.world.make_symlink(&root, at, to).map_err(failed(wrong()))
    }

    pub(super) fn unlink(&mut self, at: &str) -> Result<(), Stop> {
        match self.world.unlink(&TreePath::root(), at) {
            Ok(()) | Err(Errno::NotFound) => Ok(()),
            Err(error) => Err(failed(format_args!("cannot remove '{at}'"))(error)),
        }
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> Result<(), Stop> {
        self.world
            .rename(&TreePath::root(), from, to)
            .map_err(failed(format_args!("cannot install '{from}' as '{to}'")))
    }

    pub(super) fn make_dirs(&mut self, at: &str) -> Result<(), Stop> {
        self.world
            .make_dirs(&TreePath::root(), at, 0o755)
            .map_err(failed(format_args!("cannot create directory '{at}'")))
    }
}
