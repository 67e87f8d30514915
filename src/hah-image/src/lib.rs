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
//! | [`qemu`], [`project::init`] | other processes: QEMU, `ssh-add` |
//! | [`flash`] | block devices |
//!
//! [`build`] is the conductor of an image, and what it conducts is below it.

pub mod cli;
pub mod failure;
pub mod advice;
pub mod files;
pub mod printer;
pub mod clock;
mod calendar;
pub mod project;
pub mod build;
pub mod fetch;
pub mod store;
pub mod flash;
pub mod qemu;
