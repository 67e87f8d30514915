//! One responder for `HOSTNAME.local`: where avahi-daemon is enabled, systemd-resolved asks and does not answer.
//!
//! The recipe `network` has resolved answer to the node's name. Of two that answer on one host, each takes the other for a
//! stranger of the same name, and avahi-daemon calls the node `HOSTNAME-2`, then `HOSTNAME-3`.
//! A link answers as far as both its own file and resolved.conf(5) let it, so both are told.

use hah_format::tree::Kind;

use super::{ConfigureError, Target, path};

/// The services by which avahi-daemon starts.
const AVAHI: [&str; 2] = ["avahi-daemon.service", "avahi-daemon.socket"];
/// Files of links that the node's agent writes by its identity.
const OF_IDENTITY: [&str; 2] = ["70-identity-wired.network", "70-identity-wireless.network"];

/// The pass; it reads what the pass `units` has enabled.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let links = path("etc/systemd/system")?;
    let is_enabled = target.root.below(&links).any(|(at, node)| {
        AVAHI.contains(&at.name()) && matches!(&node.kind, Kind::Symlink(to) if &**to != "/dev/null")
    });
    if !is_enabled || !target.root.contains(&path("usr/lib/systemd/systemd-resolved")?) {
        return Ok(());
    }
    let mut names: Vec<String> = OF_IDENTITY.iter().map(|name| (*name).to_owned()).collect();
    for directory in ["etc/systemd/network", "usr/lib/systemd/network"] {
        for (at, _) in target.root.entries(&path(directory)?).filter(|(at, _)| at.name().ends_with(".network")) {
            if target.read_text(at)?.is_some_and(|text| text.lines().any(|line| line.trim() == "MulticastDNS=yes")) {
                names.push(at.name().to_owned());
            }
        }
    }
    // The last of all by name.
    target.put_default(&path("usr/lib/systemd/resolved.conf.d/zz-avahi.conf")?, "[Resolve]\nMulticastDNS=resolve\n")?;
    for name in names {
        let drop_in = path(&format!("usr/lib/systemd/network/{name}.d/zz-avahi.conf"))?;
        target.put_default(&drop_in, "[Network]\nMulticastDNS=resolve\n")?;
    }
    Ok(())
}
