//! [`Stat`]: what stands at a path, and the [`Device`]s that stand there without a package.

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Meta, Owner};

/// A device node that every root has although no package ships it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// `/dev/null`: empty, takes everything.
    Null,
    /// `/dev/zero`.
    Zero,
    /// `/dev/full`: takes nothing.
    Full,
    /// `/dev/random` and `/dev/urandom`: must not be read, since no randomness may reach an image.
    Random,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Where it really is, every link of the way followed.
    pub path: TreePath,
    /// Mode, owner, time, attributes.
    pub meta: Meta,
    /// Kind; a hard link's is that of the file that it names.
    pub kind: Kind<()>,
    /// Length in bytes of a regular file; of a symbolic link that of its target; of a directory 4096; else 0.
    pub size: u64,
    /// Names that the file has: 1, or more for hard links.
    pub links: u64,
}

impl Stat {
    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self.kind, Kind::Dir)
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File(()))
    }

    /// Whether it is a symbolic link (only with `Follow::No`).
    pub fn is_symlink(&self) -> bool {
        matches!(self.kind, Kind::Symlink(_))
    }

    /// What a file operator of test(1) says of it to root, who may read and write everything; one that asks for nothing
    /// else than that something is there is true.
    pub fn answers(&self, operator: &str) -> bool {
        match operator {
            "-b" => matches!(self.kind, Kind::BlockDevice(..)),
            "-c" => matches!(self.kind, Kind::CharDevice(..)),
            "-d" => self.is_dir(),
            "-f" => self.is_file(),
            "-g" => self.meta.mode & 0o2000 != 0,
            "-h" | "-L" => self.is_symlink(),
            "-k" => self.meta.mode & 0o1000 != 0,
            "-O" => self.meta.user == Owner::ROOT,
            "-G" => self.meta.group == Owner::ROOT,
            "-p" => matches!(self.kind, Kind::Fifo),
            "-s" => self.size > 0,
            "-S" => false,
            "-u" => self.meta.mode & 0o4000 != 0,
            // Root enters every directory, and starts what somebody may start.
            "-x" => self.is_dir() || self.is_executable(),
            _ => true,
        }
    }

    /// Whether somebody may execute it.
    pub fn is_executable(&self) -> bool {
        self.meta.mode & 0o111 != 0
    }
}
