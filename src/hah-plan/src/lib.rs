//! The thinking: from TOML to a plan, as pure functions.
//!
//! Nothing here touches a file, the network, the clock or the environment; this crate's own clippy.toml sees to it.
//! Modules stand in reading order, which is the order of the states that an image goes through:
//!
//! `RawRecipe → Recipe → System → Lock → Plan → (realised by hah-image) → Root → configured Root`

pub mod debian;
pub mod diagnostic;
pub mod line_ends;
pub mod recipe;
pub mod nomad_job;
pub mod board;
pub mod artifact;
pub mod system;
pub mod cluster;
pub mod resolve;
pub mod lock;
pub mod plan;
pub mod rootfs;
pub mod contents;
pub mod accounts;
pub mod effects;
pub mod debconf;
pub mod world;
mod alternatives;
mod capability;
pub mod commands;
pub mod shell;
pub mod scripts;
pub mod merge;
pub mod configure;
