//! Bad input and bad days: each fails with the right exit code and a message that helps, and leaves nothing half-written
//! under a final name.

mod asking;
mod collections;
mod disk;
mod homes;
mod kill;
mod line_ends;
mod locks;
mod output;
mod packages;
pub(crate) mod paths;
mod recipes;
mod signatures;
pub(crate) mod store;
