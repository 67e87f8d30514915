//! The doing: the only builder crate with effects, one doorway per effect.
//!
//! | doorway | effect |
//! |---|---|
//! | [`clock`] | the time |
//! | [`settings`] | environment and settings files |
//! | [`printer`] | the terminal |
//! | [`project`] | the project's files |
//! | [`fetch`] | the network |
//! | [`store`], [`draft`] | the cache, and files in the making |
//! | [`qemu`], [`init`] | other processes: QEMU, `ssh-add` |
//! | [`flash`] | block devices |
//!
//! A build goes through [`project`], [`locking`], [`artifacts`], [`fetching`], [`packs`] and [`assemble`]; [`build`] is its conductor.

pub mod cli;
pub mod failure;
pub mod settings;
pub mod printer;
pub mod clock;
mod calendar;
pub mod project;
pub mod init;
pub mod build;
pub mod locking;
pub mod artifacts;
pub mod fetching;
pub mod fetch;
pub mod store;
pub mod draft;
pub mod packs;
pub mod assemble;
pub mod agent;
pub mod qemu;
pub mod secrets;
pub mod record;
pub mod flash;
