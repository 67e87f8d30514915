//! Deploying: nodes get their next generation over ssh, and try it, one after the other.
//!
//! | module | is |
//! |---|---|
//! | [`target`] | how a node is reached |
//! | [`parcel`] | a built image as what is sent: its closure, and chunk by chunk its bytes |
//! | [`agent`] | what is asked of the agent of a node, and its answers |
//! | [`changes`] | what a node gets by a generation, beside the one that it runs |
//! | [`push`] | one transfer: whatever the node lacks, and nothing else |
//! | [`trial`] | a node's trial, followed from here |
//!
//! The node decides: it checks what it gets, tries it, and keeps it or goes back, whether anybody looks or not. So a deploy
//! that is interrupted is run again, and goes on where the nodes are.

pub mod target;
pub mod parcel;
pub mod agent;
pub mod changes;
pub mod push;
pub mod trial;

use std::io;
use std::path::PathBuf;

use hah_node::generation::closure::ClosureError;

use crate::advice::{Advised, Exit};
use crate::files::FileError;
use crate::programs::ssh::SshError;

/// Why a node does not run what it should.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// A word that names no node.
    #[error("`{0}` is no node: NODE, [USER@]HOST or [USER@]HOST:PORT is wanted")]
    Destination(String),
    /// `ssh` cannot be run.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// `ssh` does not get there.
    #[error("{node} cannot be reached: {said}")]
    Unreachable {
        /// The node.
        node: String,
        /// `ssh`'s own words.
        said: String,
    },
    /// The command was run there, and failed.
    #[error("{node}: `{command}` failed: {said}")]
    Command {
        /// The node.
        node: String,
        /// What was to be run there.
        command: String,
        /// What it said.
        said: String,
    },
    /// Whoever answers is no agent of this version.
    #[error("{node} answers, but not as hah-agent does: {said}")]
    Stranger {
        /// The node.
        node: String,
        /// How its answer begins.
        said: String,
    },
    /// The node does not take it.
    #[error("{node} refuses the generation: {reason}")]
    Refused {
        /// The node.
        node: String,
        /// Its own words.
        reason: String,
    },
    /// The connection broke in the middle of a transfer.
    #[error("{node}: the connection ended before the node had everything: {said}")]
    Cut {
        /// The node.
        node: String,
        /// What ended it.
        said: String,
    },
    /// The generation did not last.
    #[error("{node} tried the generation and went back: {reason}")]
    WentBack {
        /// The node.
        node: String,
        /// The node's words.
        reason: String,
    },
    /// Nothing was decided in time.
    #[error("{node} has not decided after {minutes} minutes: {last}")]
    Late {
        /// The node.
        node: String,
        /// How long it was waited for.
        minutes: u64,
        /// What was last seen.
        last: String,
    },
    /// The image's file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The closure beside the image is none.
    #[error("{}", path.display())]
    Closure {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ClosureError,
    },
    /// The image is not what its closure says.
    #[error("{} is not what its closure describes: {what}", path.display())]
    Image {
        /// The image.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
}

impl Advised for DeployError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Destination(_) => Some("nodes of cluster.toml go by their names".into()),
            Self::Ssh(error) => error.hint(),
            Self::Unreachable { .. } => Some(
                "`ssh` itself must get there without a question, by a key of the agent or a file: try it by hand; \
                 --ssh-option gives it more options"
                    .into(),
            ),
            Self::Command { .. } | Self::Stranger { .. } => Some(
                "the account needs `sudo` without a password, and the node an agent that knows generations: a card that \
                 was flashed before is flashed once more"
                    .into(),
            ),
            Self::Refused { .. } => None,
            Self::Cut { .. } => Some("what has arrived stays there: run the same command again, and it goes on".into()),
            Self::WentBack { .. } => Some(
                "the node runs the generation before; `journalctl -b -1` there shows the trial, and another build is \
                 another generation"
                    .into(),
            ),
            Self::Late { .. } => Some(
                "run the same command again to look once more; a node that does not come back is in a generation whose \
                 kernel died early: switch it off and on"
                    .into(),
            ),
            Self::File(error) => error.hint().map(str::to_owned),
            Self::Io(error) => error.hint(),
            Self::Closure { .. } | Self::Image { .. } => Some("build the image again: hah-image build IMAGE".into()),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Destination(_) => Exit::Usage,
            Self::Image { .. } => Exit::HashMismatch,
            _ => Exit::User,
        }
    }
}
