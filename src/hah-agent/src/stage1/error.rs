//! What can end stage 1.

use std::io;
use std::path::PathBuf;

use hah_node::generation::LAYOUT;

use super::table::TableError;

/// Why the boot cannot go on: one line on the console.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {doing}: {source}")]
    Io { doing: String, source: io::Error },
    #[error("{path} of the initramfs is not what this agent understands: {source}")]
    Config { path: PathBuf, source: serde_json::Error },
    #[error("the initramfs has a configuration of version {found}, and this agent reads version 1")]
    Version { found: u32 },
    #[error("cannot write the report of this boot: {source}")]
    Report { source: serde_json::Error },
    #[error("no disk with id {wanted} appeared in {seconds} s (seen: {seen})")]
    NoDisk { wanted: String, seconds: u64, seen: String },
    #[error("{disk}: {source}")]
    Table { disk: String, source: TableError },
    #[error("partition {number} of {disk} did not appear in {seconds} s")]
    NoPartition { disk: String, number: u32, seconds: u64 },
    #[error("{disk} is write-protected, and the node must write to its data partition")]
    ReadOnly { disk: String },
    #[error("{program} failed on {device} ({status}): {said}")]
    Tool { program: &'static str, device: String, status: String, said: String },
    #[error("{disk} has no data partition, and this generation lies on it")]
    NoData { disk: String },
    #[error("a later system has changed the layout of the data partition to {layout}, and this one knows {LAYOUT}")]
    Layout { layout: u32 },
    #[error("the root file system has no {path}")]
    NoInit { path: String },
}

impl Error {
    /// What to do next, where there is something better than "try again".
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Config { .. } | Self::Version { .. } => Some("build and flash the image again"),
            Self::NoDisk { .. } => Some("is the kernel on another card than its root?"),
            Self::Table { source, .. } => Some(source.hint()),
            Self::NoPartition { .. } => Some("the card may be failing"),
            Self::ReadOnly { .. } => Some("look at the card's lock switch; a worn-out card locks itself"),
            Self::Tool { .. } => Some("the card may be failing"),
            Self::Layout { .. } => Some("start that system again: hah-agent rollback names the generations"),
            Self::NoData { .. } | Self::Io { .. } | Self::Report { .. } | Self::NoInit { .. } => None,
        }
    }
}

/// Adds to a system call's error what it was for.
pub(crate) trait InContext<T> {
    /// `doing` completes "cannot …".
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> InContext<T> for Result<T, E> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io { doing: doing(), source: source.into() })
    }
}
