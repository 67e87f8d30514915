//! Bad input and bad days: each fails with the right exit code and a message that helps, and leaves nothing half-written
//! under a final name.

mod disk;
mod kill;
mod packages;
mod recipes;
mod signatures;
pub(crate) mod store;
