//! Commands that add, change and remove users and groups; what they work on is [`crate::accounts`].
//!
//! | module | programs | of |
//! |---|---|---|
//! | [`adduser`] | `adduser addgroup deluser delgroup` | adduser 3.152 |
//! | [`useradd`] | `useradd usermod userdel` | shadow 4.17 |
//! | [`subordinate`] | what these do to `/etc/subuid` and `/etc/subgid` | shadow 4.17 |
//! | [`groupadd`] | `groupadd groupmod groupdel gpasswd` | shadow 4.17 |
//! | [`passwd`] | `passwd chpasswd chage chsh chfn`, conversions and checks of the files | shadow 4.17 |
//! | [`sysusers`] | `systemd-sysusers` | systemd 257 |
//! | [`acting`] | `su runuser setpriv sudo` | util-linux, sudo |

mod home;
mod adduser;
mod subordinate;
mod useradd;
mod groupadd;
mod passwd;
mod sysusers;
mod acting;

use super::{Command, Process, Refusal};
use crate::accounts::{AccountError, Accounts};

pub(super) const COMMANDS: &[Command] = &[
    Command::in_tree("adduser", adduser::adduser),
    Command::in_tree("addgroup", adduser::adduser),
    Command::in_tree("deluser", adduser::deluser),
    Command::in_tree("delgroup", adduser::deluser),
    Command::always("useradd", useradd::useradd),
    Command::always("usermod", useradd::usermod),
    Command::always("userdel", useradd::userdel),
    Command::always("groupadd", groupadd::groupadd),
    Command::always("groupmod", groupadd::groupmod),
    Command::always("groupdel", groupadd::groupdel),
    Command::always("gpasswd", groupadd::gpasswd),
    Command::always("passwd", passwd::passwd),
    Command::always("chpasswd", passwd::chpasswd),
    Command::always("chage", passwd::chage),
    Command::always("chsh", passwd::chsh),
    Command::always("chfn", passwd::chfn),
    Command::always("newusers", passwd::newusers),
    Command::always("vipw", passwd::editor),
    Command::always("vigr", passwd::editor),
    // The files always have shadow's form; the pass `users` writes them whole.
    Command::always("pwconv", passwd::nothing),
    Command::always("grpconv", passwd::nothing),
    Command::always("pwck", passwd::nothing),
    Command::always("grpck", passwd::nothing),
    Command::always("shadowconfig", passwd::shadowconfig),
    Command::always("pwunconv", passwd::unconvert),
    Command::always("grpunconv", passwd::unconvert),
    // base-passwd's masters are there from the beginning, with Debian's ids.
    Command::always("update-passwd", passwd::nothing),
    Command::in_tree("systemd-sysusers", sysusers::systemd_sysusers),
    Command::always("su", acting::su),
    Command::always("runuser", acting::su),
    Command::always("setpriv", acting::setpriv),
    Command::in_tree("sudo", acting::sudo),
];

impl Process<'_, '_> {
    /// Prints `LEVEL: text`, as adduser does, and is its status.
    fn fatal(&mut self, text: impl std::fmt::Display, status: u8) -> Result<u8, Refusal> {
        self.stderr.extend_from_slice(format!("fatal: {text}\n").as_bytes());
        Ok(status)
    }

    /// Complains, and is `status`.
    fn fail(&mut self, text: impl std::fmt::Display, status: u8) -> Result<u8, Refusal> {
        self.complain(text);
        Ok(status)
    }

    /// Changes the accounts; what goes wrong refuses the script, so a command looks first.
    fn change_accounts<T>(
        &mut self,
        change: impl FnOnce(&mut Accounts) -> Result<T, AccountError>,
    ) -> Result<T, Refusal> {
        Ok(self.world.change_accounts(change)?)
    }
}

/// The names that shadow's tools take without being forced to.
fn is_shadow_name(name: &str) -> bool {
    let body = name.strip_suffix('$').unwrap_or(name);
    !body.is_empty()
        && name.len() <= 32
        && !body.starts_with('-')
        && !matches!(name, "." | "..")
        && !name.bytes().all(|byte| byte.is_ascii_digit())
        && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Whether a text can be a field of a passwd file.
fn is_field(text: &str) -> bool {
    !text.contains([':', '\n'])
}

/// The id or name in `text`, as a group's id; `None` when there is no such group.
fn group_id(accounts: &Accounts, text: &str) -> Option<u32> {
    match accounts.groups.get(text) {
        Some(group) => Some(group.gid),
        None => text.parse().ok().and_then(|gid| accounts.group_of(gid)).map(|(_, group)| group.gid),
    }
}

/// The name of the group that `text` names by name or id.
fn group_name(accounts: &Accounts, text: &str) -> Option<String> {
    if accounts.groups.contains_key(text) {
        return Some(text.to_owned());
    }
    text.parse().ok().and_then(|gid| accounts.group_of(gid)).map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod oracle;
