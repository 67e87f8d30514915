//! The contract between an image and the agent that runs on it: what both sides must spell the same way.
//!
//! Data only: no I/O, no dependency but serde and its kin, so that the builder, stage 1 and the agent can all use it.

pub mod architecture;
pub mod address;
pub mod uuid;
pub mod disk;
pub mod host;
pub mod identity;
pub mod paths;
pub mod stage1;
pub mod generation;
pub mod first_boot;
pub mod closing;
pub mod rollout;
