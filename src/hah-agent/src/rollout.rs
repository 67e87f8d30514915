//! The rollout: this node goes to its next generation when the cluster can spare it, and keeps it only if the cluster is
//! whole again; otherwise it goes back by itself.
//!
//! ```text
//!                      stop key, bad list, servers, tolerance, targets, clock, whose turn
//!   idle ─► waiting ─────────────────────────────────────────────────────────────────────► preparing ─► rebooting ─► trial
//!     ▲                                                                                        │                      │
//!     │                                                                             called off │       kept, or back once
//!     └─────────────────────────────────────── undoing ◄───────────────────────────────────────┴──────────────────────┘
//! ```
//!
//! Every pass reads everything anew: the node's own state, Consul's KV, the cluster. From that one decision follows, which
//! does one thing, and the next pass begins. So an agent that is killed at any moment, and a node that loses power, go on
//! from what is written: the lock in Consul's KV says for everybody who may be down, the errand on the node's own data
//! partition says what it has begun.
//!
//! In reading order:
//! - [`view`]: what a pass knows, and [`words`]: the same as sentences;
//! - [`decide`]: the one thing that is to be done;
//! - [`machine`]: passes, retries and sleep, `(State, Event, now) → (State, Vec<Action>)`, without I/O;
//! - [`pace`]: every delay and deadline;
//! - [`reply`]: what the programs answer, read, and [`api`]: which requests a question takes;
//! - [`node`]: this node's generations, units and errand;
//! - [`driver`]: runs the machine; [`publish`]: where a person sees it.

mod view;
mod words;
mod decide;
mod machine;
mod pace;
mod reply;
mod api;
mod node;
mod driver;
mod publish;
#[cfg(test)]
mod model;

pub(crate) use driver::start;
