//! Integration tests: the real program on real files, judged by foreign programs.
//!
//! | module | asks |
//! |---|---|
//! | [`build`] | does a build do what it says, and the same twice? |
//! | [`artifacts`] | do programs from elsewhere get in, and only those that may? |
//! | [`init`] | is a new project one that the others take, and is nothing overwritten? |
//! | [`bad_days`] | does it fail as it should: message, exit code, nothing half-written? |
//! | [`cli`] | do the other verbs? |
//! | [`flash`] | does a card hold what it should, and is nothing else ever erased? |
//! | [`reach`] | does a running node get reached, and by nobody else's key? |
//! | [`oracles`] | do foreign programs agree with the lab image? |
//! | [`stack`] | do the real programs take the configurations that the recipes render, and work together? |
//! | [`vm`] | does it boot, run, and survive? |
//! | [`services`] | do Debian's daemons run on a read-only root, and keep their data? |
//! | [`e2e`] | do three nodes close the loop, and keep it closed? |
//!
//! [`archive`] makes a signed Debian archive and a project of toys, so that most of this needs neither network nor time;
//! [`terminal`] is a person at the keyboard.
//! What needs the lab image runs when `HAH_LAB_IMAGE` names one (`cargo xtask test` does).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests stop at the first surprise, say what they skip, and are told by the environment what to do"
)]

mod archive;
mod artifacts;
mod bad_days;
mod build;
mod cli;
mod e2e;
mod flash;
mod init;
mod oracles;
mod reach;
mod terminal;
mod stack;
mod vm;
mod services;
