//! The boot pointer on a mounted boot partition: read, and written where it lies.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hah_node::generation::pointer::{self, FILES, Place, Pointer, PointerError, SECTOR};

/// Why the pointer is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {doing} {path}: {source}", path = path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{path}: {source}", path = path.display())]
    Pointer { path: PathBuf, source: PointerError },
    #[error("the boot partition has no file that says which generation starts")]
    None,
}

/// A pointer, and where it is.
pub(crate) struct Found {
    path: PathBuf,
    /// What stands before the slot in such a file.
    before: &'static str,
    place: Place,
    /// Its value when it was read.
    pub(crate) pointer: Pointer,
}

/// Reads the pointer of a mounted boot partition.
pub(crate) fn read(boot: &Path) -> Result<Found, Error> {
    let mut first_problem = None;
    for (name, before) in FILES {
        let path = boot.join(name);
        match head(&path) {
            Ok(head) => match pointer::find(&head, before) {
                Ok((pointer, place)) => return Ok(Found { path, before, place, pointer }),
                Err(source) => first_problem = first_problem.or(Some(Error::Pointer { path, source })),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => first_problem = first_problem.or(Some(Error::Io { doing: "read", path, source })),
        }
    }
    Err(first_problem.unwrap_or(Error::None))
}

impl Found {
    /// Writes another value, and is on the medium when it returns. Everything else in the sector stays as it is.
    pub(crate) fn write(&mut self, pointer: Pointer) -> Result<(), Error> {
        let write = || -> io::Result<()> {
            // Read again: a person may have edited the file meanwhile.
            let mut bytes = head(&self.path)?;
            let moved = || io::Error::other("its lines have changed");
            if !pointer::find(&bytes, self.before).is_ok_and(|(_, place)| place == self.place) {
                return Err(moved());
            }
            self.place.put(pointer, &mut bytes);
            let file = OpenOptions::new().write(true).open(&self.path)?;
            file.write_all_at(&bytes, 0)?;
            file.sync_all()
        };
        write().map_err(|source| Error::Io { doing: "write", path: self.path.clone(), source })?;
        self.pointer = pointer;
        Ok(())
    }
}

/// The first sector of a file, or all of a shorter one.
fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(SECTOR);
    File::open(path)?.take(SECTOR as u64).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hah_node::generation::Slot;
    use std::fs;

    #[test]
    fn a_pointer_is_written_in_place() {
        let boot = tempfile::tempdir().unwrap();
        assert!(matches!(read(boot.path()), Err(Error::None)));
        let config = boot.path().join("config.txt");
        fs::write(&config, "arm_64bit=1\nos_prefix=g0/\n").unwrap();
        assert!(matches!(read(boot.path()), Err(Error::Pointer { source: PointerError::NoGood, .. })));
        let rest = "x=1\n".repeat(400);
        let text = format!("arm_64bit=1\nos_prefix=g0/\n# hah good=0 trial=-\n{rest}");
        fs::write(&config, &text).unwrap();
        // A second name shows that the same file is written.
        let other = boot.path().join("other");
        fs::hard_link(&config, &other).unwrap();
        let one = Slot::new(b'1').unwrap();
        let mut found = read(boot.path()).unwrap();
        let wanted = found.pointer.trying(one);
        found.write(wanted).unwrap();
        assert_eq!(read(boot.path()).unwrap().pointer, wanted);
        assert_eq!(
            fs::read_to_string(&other).unwrap(),
            format!("arm_64bit=1\nos_prefix=g1/\n# hah good=0 trial=1\n{rest}")
        );
    }

    /// A file that was edited so that the pointer moved is not overwritten in silence.
    #[test]
    fn a_pointer_that_moved_is_told() {
        let boot = tempfile::tempdir().unwrap();
        let config = boot.path().join("config.txt");
        fs::write(&config, "os_prefix=g0/\n# hah good=0 trial=-\n").unwrap();
        let mut found = read(boot.path()).unwrap();
        fs::write(&config, "# mine\nos_prefix=g0/\n# hah good=0 trial=-\n").unwrap();
        let wanted = found.pointer.trying(Slot::new(b'1').unwrap());
        assert!(found.write(wanted).is_err());
        assert!(fs::read_to_string(&config).unwrap().contains("os_prefix=g0/\n# hah good=0 trial=-\n"));
    }
}
