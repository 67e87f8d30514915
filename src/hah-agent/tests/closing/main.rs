//! The loop as a process: the real agent among real programs, doubles and faults.
//!
//! | module | asks |
//! |---|---|
//! | [`contract`] | does it close the loop with a real Consul, Prometheus and node_exporter, and a Nomad, real or a double? |
//! | [`closed`] | does a closed cluster set itself up, and keep strangers out? |
//! | [`hcl`] | does it close the loop with a job that only Nomad can parse? |
//! | [`faults`] | is it ever wrong, stuck or spinning when its neighbours misbehave, or when it is killed? |
//!
//! [`programs`] finds the real ones: in the directories of `HAH_E2E_BIN`, separated by colons, then on the path. One that
//! is missing skips the test with a line; with `HAH_REQUIRE_ORACLES=1` it fails, unless it is Nomad, which no
//! distribution packages. [`server`] is a small HTTP server with faults, [`double`] the programs' doubles on it, and
//! [`agent`] the process under test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests stop at the first surprise, say what they skip, and are told by the environment where programs are"
)]

mod agent;
mod closed;
mod contract;
mod double;
mod faults;
mod hcl;
mod programs;
mod server;
