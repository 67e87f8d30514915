//! How a node is reached: by its name in `cluster.toml`, or as `ssh` knows it.

use std::process::Command;

use super::DeployError;
use crate::programs;
use crate::programs::ssh::{ACCOUNT, Route};

/// What is added to the options of the person: no question may be asked, since nobody may be there to answer, and a node
/// that is gone is noticed within a minute.
const OPTIONS: [&str; 3] = ["BatchMode=yes", "ServerAliveInterval=15", "ServerAliveCountMax=4"];

/// A node that something is to be deployed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What it is called by whoever deploys.
    pub name: String,
    way: Way,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// A node of the fleet.
    Member(Route),
    /// A destination of ssh(1).
    Destination { user: Option<String>, host: String, port: Option<u16>, options: Vec<String> },
}

impl Target {
    /// A node of the fleet.
    pub fn member(mut route: Route) -> Self {
        route.options.extend(OPTIONS.map(str::to_owned));
        Self { name: route.node.clone(), way: Way::Member(route) }
    }

    /// `[USER@]HOST[:PORT]`, where an IPv6 address with a port stands in brackets. `options` are the person's, `KEY=VALUE` of
    /// ssh_config(5).
    ///
    /// # Errors
    /// A text that is none.
    pub fn parse(text: &str, options: &[String]) -> Result<Self, DeployError> {
        let none = || DeployError::Destination(text.to_owned());
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or_else(none)?)),
            // Without brackets more than one colon is an address.
            None => match rest.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (rest, None),
            },
        };
        let port = port.map(|port| port.parse::<u16>().map_err(|_| none())).transpose()?;
        let is_word = |word: &str| {
            !word.is_empty() && !word.starts_with('-') && !word.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        if !is_word(host) || user.is_some_and(|user| !is_word(user)) || port == Some(0) {
            return Err(none());
        }
        let options = options.iter().cloned().chain(OPTIONS.map(str::to_owned)).collect();
        let way = Way::Destination { user: user.map(str::to_owned), host: host.to_owned(), port, options };
        Ok(Self { name: text.to_owned(), way })
    }

    /// `ssh` that runs the node's agent as root with these arguments.
    pub fn agent(&self, arguments: &[&str]) -> Command {
        let mut command = match &self.way {
            Way::Member(route) => route.command(),
            Way::Destination { user, host, port, options } => {
                let mut command = programs::command("ssh");
                // The first value of an option is the one that counts.
                for option in options {
                    command.arg("-o").arg(option);
                }
                command.arg("-o").arg(format!("User={}", user.as_deref().unwrap_or(ACCOUNT)));
                if let Some(port) = port {
                    command.arg("-o").arg(format!("Port={port}"));
                }
                command.args(["-o", "ConnectTimeout=15", "--", host]);
                command
            }
        };
        command.args(["sudo", "-n", "hah-agent"]).args(arguments);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_what_ssh_takes() {
        for (text, user, host, port) in [
            ("node.local", None, "node.local", None),
            ("anna@node", Some("anna"), "node", None),
            ("node:2222", None, "node", Some(2222)),
            ("a@b@node:22", Some("a@b"), "node", Some(22)),
            ("fe80::1", None, "fe80::1", None),
            ("hah@[fe80::1%eth0]:2200", Some("hah"), "fe80::1%eth0", Some(2200)),
            ("[::1]", None, "::1", None),
        ] {
            let target = Target::parse(text, &[]).unwrap();
            let Way::Destination { user: found, host: at, port: by, .. } = target.way else { panic!("{text}") };
            assert_eq!((found.as_deref(), at.as_str(), by), (user, host, port), "{text}");
        }
        for text in
            ["", "@node", "anna@", "node:", "node:x", "node:0", "node:70000", "-oProxyCommand=x", "a b", "[::1]x"]
        {
            assert!(Target::parse(text, &[]).is_err(), "{text}");
        }
    }

    #[test]
    fn the_person_s_options_count_first() {
        let words = |target: &Target| -> Vec<String> {
            target.agent(&["receive"]).get_args().map(|word| word.to_string_lossy().into_owned()).collect()
        };
        let target = Target::parse("node:2222", &["User=anna".to_owned()]).unwrap();
        let wanted = "-o User=anna -o BatchMode=yes -o ServerAliveInterval=15 -o ServerAliveCountMax=4 -o User=hah \
                      -o Port=2222 -o ConnectTimeout=15 -- node sudo -n hah-agent receive";
        assert_eq!(words(&target).join(" "), wanted);
    }
}
