//! Files that say what this image is, and the defaults that a node has before its identity is known.
//!
//! | pass | file | read by |
//! |---|---|---|
//! | [`machine_id`] | `/etc/machine-id` | machine-id(5): `uninitialized` makes the next boot a first boot |
//! | [`clock`] | `/usr/lib/clock-epoch` | systemd(1): the clock never starts before this file's time |
//! | [`os_release`] | `/usr/lib/os-release` | os-release(5) |
//! | [`updated`] | `/etc/.updated`, `/var/.updated` | `ConditionNeedsUpdate=`, systemd-update-done.service(8) |
//! | [`hostname`] | `/etc/hostname`, `/etc/hosts` | hostname(5), hosts(5) |
//! | [`timezone`] | `/etc/localtime` | localtime(5) |
//! | [`locale`] | `/etc/locale.conf`, `/etc/default/locale` | locale.conf(5) |

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hah_format::tree::Node;

use super::{ConfigureError, Problem, Target, path};
use crate::rootfs::Content;

/// Nothing that identifies a node is in an image.
pub(super) fn machine_id(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    target.put_node(&path("etc/machine-id")?, Node::file(0o444, Content::inline(*b"uninitialized\n")))
}

/// The time is the file's modification time; its text is for people.
pub(super) fn clock(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let text = format!("{}\n", target.epoch);
    target.put(&path("usr/lib/clock-epoch")?, text)
}

/// Debian's fields stay, but for those that the image declares itself.
pub(super) fn os_release(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let at = path("usr/lib/os-release")?;
    let mut ours: BTreeMap<&str, &str> =
        BTreeMap::from([("IMAGE_ID", target.image.name.as_str()), ("IMAGE_VERSION", target.image.version.as_str())]);
    ours.extend(target.system.os_release.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let mut text = String::new();
    for line in target.read_text(&at)?.unwrap_or_default().lines() {
        let key = line.split('=').next().unwrap_or_default();
        if !ours.contains_key(key) {
            text.push_str(line);
            text.push('\n');
        }
    }
    for (key, value) in ours {
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        {
            let reason = format!("`{key}` cannot be a field of os-release: capitals, digits and `_` only");
            let hint = "rename the field in the recipe's os_release table".into();
            return Err(ConfigureError::at(&at, Problem::Invalid { reason, hint }));
        }
        let _ = writeln!(text, "{key}={}", quoted(value));
    }
    target.put(&at, text)
}

/// A value as a POSIX shell reads it: bare when it is plain, in double quotes otherwise (os-release(5)).
fn quoted(value: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-+:/".contains(letter);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    let mut out = String::from("\"");
    for letter in value.chars() {
        match letter {
            '"' | '\\' | '$' | '`' => out.extend(['\\', letter]),
            '\n' | '\r' => out.push(' '),
            _ => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// Everything under /etc and /var fits /usr already, so units that would update them on boot do not run.
pub(super) fn updated(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let text = format!(
        "# Written at build time: /etc and /var were made from this /usr.\nTIMESTAMP_NSEC={}000000000\n",
        target.epoch
    );
    target.put(&path("etc/.updated")?, text.as_str())?;
    target.put(&path("var/.updated")?, text)
}

/// Stage 1 puts the node's own name over this one.
pub(super) fn hostname(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let name = format!("{}\n", target.system.hostname_prefix);
    target.put_default(&path("etc/hostname")?, name)?;
    let hosts = "127.0.0.1\tlocalhost\n\
                 ::1\t\tlocalhost ip6-localhost ip6-loopback\n\
                 ff02::1\t\tip6-allnodes\n\
                 ff02::2\t\tip6-allrouters\n";
    target.put_default(&path("etc/hosts")?, hosts)
}

/// UTC, as the postinst of tzdata has it without an answer in debconf.
pub(super) fn timezone(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let at = path("etc/localtime")?;
    let zone = path("usr/share/zoneinfo/Etc/UTC")?;
    if target.root.contains(&at) || !target.root.contains(&zone) {
        return Ok(());
    }
    target.put_node(&at, Node::symlink("/usr/share/zoneinfo/Etc/UTC"))
}

/// `C.UTF-8`, which libc has built in.
pub(super) fn locale(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    target.put_default(&path("etc/locale.conf")?, "LANG=C.UTF-8\n")?;
    let old = path("etc/default/locale")?;
    if target.root.contains(&old) {
        return Ok(());
    }
    target.put_node(&old, Node::symlink("../locale.conf"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_for_a_shell() {
        for (value, want) in
            [("13.7", "13.7"), ("", "\"\""), ("a b", "\"a b\""), ("$x`y\"\\", "\"\\$x\\`y\\\"\\\\\""), ("é", "\"é\"")]
        {
            assert_eq!(quoted(value), want);
        }
    }
}
