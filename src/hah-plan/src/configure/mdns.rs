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

#[cfg(test)]
mod tests {
    use hah_format::tree::Node;

    use super::*;
    use crate::configure::{Pass, run as run_pass};
    use crate::rootfs::Content;
    use crate::scripts::closure::Bench;

    /// The node called itself `HOSTNAME-2`, since resolved had its name already.
    #[test]
    fn where_avahi_answers_resolved_only_asks() {
        const PASS: Pass = Pass { name: "mdns", replaces: "", run };
        const LINK: &str = "etc/systemd/system/multi-user.target.wants/avahi-daemon.service";
        const OURS: &str = "usr/lib/systemd/resolved.conf.d/zz-avahi.conf";
        let Some(bench) = Bench::of(&["base-files", "base-passwd", "systemd-resolved"]) else { return };
        let mut target = bench.target();
        let network = path("etc/systemd/network/80-wired.network").unwrap();
        target.put_node(&network, Node::file(0o644, Content::inline(*b"[Network]\nMulticastDNS=yes\n"))).unwrap();
        run_pass(&PASS, &mut target).unwrap();
        assert!(!target.root.contains(&path(OURS).unwrap()), "without Avahi it answers");
        target.put_node(&path(LINK).unwrap(), Node::symlink("/usr/lib/systemd/system/avahi-daemon.service")).unwrap();
        run_pass(&PASS, &mut target).unwrap();
        assert_eq!(target.read_text(&path(OURS).unwrap()).unwrap().unwrap(), "[Resolve]\nMulticastDNS=resolve\n");
        for name in ["80-wired.network", "70-identity-wireless.network"] {
            let drop_in = path(&format!("usr/lib/systemd/network/{name}.d/zz-avahi.conf")).unwrap();
            assert_eq!(target.read_text(&drop_in).unwrap().unwrap(), "[Network]\nMulticastDNS=resolve\n");
        }
    }
}
