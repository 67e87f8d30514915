//! The node's address: where recipes put what depends on it, and what the agent says about it.
//!
//! ```text
//! /usr/share/hah/address/consul.service/etc/consul.d/address.json      as the recipe writes it, with @ADDRESS@ and @HOST@
//!                        └─ the unit ─┘└──── the file ──────────┘
//! /etc/consul.d/address.json                                           as the agent writes it
//! ```
//!
//! `hah-agent address` decides the address, writes every file of the first kind to its place, and restarts the units
//! that ran with another address.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Directory of the files that depend on the address: `UNIT/PATH` below it is `/PATH`, read by `UNIT`.
pub const TEMPLATES: &str = "/usr/share/hah/address";
/// Stands for the address: `192.168.1.10`, `fd00::10`.
pub const ADDRESS: &str = "@ADDRESS@";
/// Stands for the address as URLs and `HOST:PORT` have it: `192.168.1.10`, `[fd00::10]`.
pub const HOST: &str = "@HOST@";
/// The agent's [`Report`], on the `/run` tmpfs.
pub const REPORT: &str = "/run/hah/address.json";
/// Version of [`Report`].
pub const REPORT_VERSION: u32 = 1;

/// What the agent has decided, or waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`REPORT_VERSION`].
    pub version: u32,
    /// The node's address; none while there is none.
    pub address: Option<IpAddr>,
    /// Why this one.
    pub origin: Option<Origin>,
    /// What is waited for: a sentence without a full stop.
    pub waiting: Option<String>,
}

/// Why an address is the node's, the best reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The identity names it, and it has the default route.
    IdentityWithRoute,
    /// The identity names it.
    Identity,
    /// IPv4's default route leaves from it.
    DefaultRoute,
    /// IPv6's default route leaves from it, and there is none of IPv4.
    DefaultRouteV6,
    /// There is no default route at all; it is the node's only kind of IPv4 address.
    NoRoute,
    /// The same with IPv6.
    NoRouteV6,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::IdentityWithRoute | Self::Identity => "the identity's",
            Self::DefaultRoute => "of the default route",
            Self::DefaultRouteV6 => "of IPv6's default route",
            Self::NoRoute | Self::NoRouteV6 => "there is no default route",
        })
    }
}
