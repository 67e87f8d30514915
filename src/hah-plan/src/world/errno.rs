//! [`Errno`]: why a system call would have failed, in the words of strerror(3).

/// Why something cannot be done to the tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Errno {
    /// ENOENT.
    #[error("No such file or directory")]
    NotFound,
    /// EEXIST.
    #[error("File exists")]
    Exists,
    /// ENOTDIR.
    #[error("Not a directory")]
    NotADirectory,
    /// EISDIR.
    #[error("Is a directory")]
    IsADirectory,
    /// ENOTEMPTY.
    #[error("Directory not empty")]
    NotEmpty,
    /// ELOOP.
    #[error("Too many levels of symbolic links")]
    Loop,
    /// ENAMETOOLONG.
    #[error("File name too long")]
    NameTooLong,
    /// EINVAL.
    #[error("Invalid argument")]
    Invalid,
    /// EPERM.
    #[error("Operation not permitted")]
    NotPermitted,
    /// ENOSPC.
    #[error("No space left on device")]
    NoSpace,
    /// Not one of the kernel's: random bytes were asked for. The script is refused.
    #[error("random bytes may not reach an image")]
    Random,
    /// Not one of the kernel's: the scripts have used up what all of them together may do. The script is refused.
    #[error("the scripts of this image do more than they may (an endless loop?)")]
    Exhausted,
    /// Not one of the kernel's: the store cannot give a file's bytes. The build ends.
    #[error("the store cannot give the file: {0}")]
    Unreadable(String),
    /// Not one of the kernel's: an open file is no longer at its path, and where it is now nobody knows. The script ends.
    #[error("{0} was removed or renamed while it was open for writing")]
    Moved(String),
}

impl Errno {
    /// Whether no program can go on from this: the script is refused, whatever it makes of a failing command.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Random | Self::Exhausted | Self::Unreadable(_) | Self::Moved(_))
    }
}
