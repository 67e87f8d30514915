//! `hah-agent loop`: makes the cluster monitor itself, and watches that it does.
//!
//! ```text
//!   booted ─► consul-quorum ─► nomad-quorum ─► job-submitted ─► job-healthy ─► targets-up ─► closed
//!      ▲           one pass asks for each condition in this order, and starts again          │
//!      └───────────────────────────────── after a delay ─────────────────────────────────────┘
//! ```
//!
//! Every node runs it, servers submit, and nobody elects anybody: Nomad serialises submissions (`EnforceIndex`), and
//! Consul remembers what was submitted and what the person stopped (compare-and-set on [`hah_node::closing::Marker`]).
//! Vault is observed beside: it delays nothing.
//!
//! In reading order:
//! - [`view`]: what the loop knows of the world, and [`words`]: the same as sentences;
//! - [`decide`]: given the marker and the job, what is to be done;
//! - [`machine`]: the loop itself, `(State, Event, now) → (State, Vec<Action>)`, without I/O;
//! - [`pace`]: every delay and deadline, and the jitter;
//! - [`reply`]: what the programs answer, read; outside input, fuzzed; and [`judge`]: what it amounts to;
//! - [`http`]: one bounded HTTP request, and [`api`]: which ones a question takes;
//! - [`driver`]: runs the machine; [`publish`]: where a person sees it.

pub(crate) mod view;
pub(crate) mod words;
mod decide;
pub(crate) mod machine;
pub(crate) mod pace;
pub(crate) mod reply;
pub(crate) mod judge;
pub(crate) mod http;
pub(crate) mod api;
pub(crate) mod driver;
mod ends;
pub(crate) mod publish;
#[cfg(test)]
mod model;

pub(crate) use driver::{Options, run};
