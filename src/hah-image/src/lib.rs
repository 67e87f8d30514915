//! The doing: the only builder crate with effects, one doorway per effect.
//!
//! | doorway | effect |
//! |---|---|
//! | [`clock`] | the time |
//! | [`project::settings`] | environment and settings files |
//! | [`printer`] | the terminal |
//! | [`project`] | the project's files |
//! | [`fetch`] | the network |
//! | [`files`], [`files::draft`] | files that are read, and files in the making |
//! | [`store`] | the cache |
//! | [`programs`] | other programs: QEMU, `ssh-add` |
//! | [`flash`] | block devices |
//! | [`deploy`] | running nodes, by way of `ssh` |
//!
//! [`build`] is the conductor of an image, and what it conducts is below it.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and read their own files"))]

pub mod cli;
pub mod failure;
pub mod advice;
pub mod files;
pub mod programs;
pub mod reporter;
pub mod printer;
pub mod clock;
mod calendar;
pub mod project;
pub mod build;
pub mod fetch;
pub mod store;
pub mod flash;
pub mod qemu;
pub mod deploy;
