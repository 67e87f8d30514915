//! Kinds of text in recipe, image, board and cluster files: what each may be, and why a text is not of it.

use std::sync::OnceLock;

use hah_node::host::{self, Assigned, Reason, Rule};
use regex_lite::Regex;

use super::problem::shown;

/// A kind of text: what the regular expression lets through, in the part of its language that JSON Schema shares.
#[derive(Debug)]
pub(super) struct Kind {
    /// What it is: `a mode`.
    pub(super) doc: &'static str,
    pub(super) pattern: &'static str,
    /// Asked first where it can say more than that the pattern does not match.
    ask: Option<Rule>,
    compiled: OnceLock<Option<Regex>>,
}

impl Kind {
    /// Why `text` is not of this kind, if it is not: the rule that it breaks, where the kind knows its rules.
    pub(super) fn refusal(&self, text: &str) -> Option<String> {
        let asked = self.ask.map_or(Ok(()), |ask| ask(text));
        match asked {
            Err(reason) => Some(format!("`{}` {reason}", shown(text))),
            Ok(()) if self.admits(text) => None,
            Ok(()) => Some(format!("`{}` is not {}", shown(text), self.doc)),
        }
    }

    /// Whether the pattern matches. No kind but [`TEXT`] admits line ends or other control characters.
    fn admits(&self, text: &str) -> bool {
        std::ptr::eq(self, &TEXT)
            || !text.chars().any(char::is_control)
                && self
                    .compiled
                    .get_or_init(|| Regex::new(self.pattern).ok())
                    .as_ref()
                    .is_some_and(|re| re.is_match(text))
    }
}

const fn kind(doc: &'static str, pattern: &'static str) -> Kind {
    Kind { doc, pattern, ask: None, compiled: OnceLock::new() }
}

/// A kind with rules of its own; the pattern is what editors can check of them.
const fn ruled(doc: &'static str, pattern: &'static str, ask: Rule) -> Kind {
    Kind { doc, pattern, ask: Some(ask), compiled: OnceLock::new() }
}

pub(super) static TEXT: Kind = kind("text", "");
pub(super) static LINE: Kind = kind("one line of text", r"^.*$");
pub(super) static NAME: Kind = ruled("a name: lower-case letters, digits and `-`", r"^[a-z][a-z0-9-]{0,62}$", name);
pub(super) static PARAM: Kind = kind("`RECIPE.PARAMETER`, a table per recipe", r"^[a-z][a-z0-9-]{0,62}$");
pub(super) static PACKAGE: Kind =
    kind("a Debian package name: lower-case letters, digits, `+`, `-` and `.`", r"^[a-z0-9][a-z0-9+.-]+$");
pub(super) static PATH: Kind = kind("an absolute path", r"^/.+$");
pub(super) static PATTERN: Kind =
    kind("an absolute path; `*` and `?` within a component, `**` for any number of them", r"^/.+$");
pub(super) static VERSIONED: Kind =
    kind("an absolute path with the word VERSION for the kernel's version", r"^/.*VERSION");
pub(super) static SOURCE: Kind = kind("a file beside this one, relative to its directory", r"^[^/].*$");
pub(super) static MODE: Kind = kind("a mode: octal digits such as `0644`", r"^0[0-7]{3,4}$");
pub(super) static USER: Kind = kind("a user or group name", r"^[a-z_][a-z0-9_-]{0,30}$");
pub(super) static UNIT: Kind = kind(
    "a systemd unit name such as `consul.service`",
    r"^[A-Za-z0-9:_.@\\-]+\.(service|socket|timer|mount|automount|path|target|slice|swap|device|scope)$",
);
pub(super) static DROP_IN: Kind = kind("a file name that ends in .conf", r"^[A-Za-z0-9_.-]+\.conf$");
pub(super) static SYSCTL: Kind = kind("a kernel variable, `net.core.rmem_max`", r"^[A-Za-z0-9_./*-]+$");
pub(super) static SIZE: Kind =
    kind("a size: bytes, or a number with KiB, MiB, GiB or more", r"^[0-9]+( ?(B|[KMGTPE](iB)?))?$");
pub(super) static WHEN: Kind = kind("a condition over parameters in minijinja's expression language", r"^.+$");
pub(super) static WORDS: Kind = kind("one word of the kernel command line", r"^[^\s]+$");
pub(super) static FIELD: Kind = kind("a field of os-release", r"^[A-Z][A-Z0-9_]*$");
pub(super) static ARCHITECTURE: Kind = kind("an architecture: `arm64`, `armel` or `amd64`", r"^(arm64|armel|amd64)$");
pub(super) static MEMBER: Kind = kind("a path in an archive; a template", r"^[^/].*$");
pub(super) static ZONE: Kind = kind("a time zone such as Europe/Berlin", r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$");
pub(super) static COUNTRY: Kind = kind("a country: two capital letters, like DE", r"^[A-Z]{2}$");
pub(super) static PUBLIC_KEY: Kind = kind("a line of authorized_keys: type, key, comment", r"^[^# ]\S*\s+\S");
pub(super) static HOST: Kind =
    ruled("a host name: letters, digits and `-`", r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", host::label);
pub(super) static ADDRESS: Kind =
    ruled("ADDRESS/PREFIX", r"^[0-9A-Fa-f.:]+/[0-9]{1,3}$", |text| Assigned::parse(text).map(drop));
pub(super) static PREFIX: Kind = ruled("a network or an IP address", r"^[0-9A-Fa-f.:/]+$", host::prefix);
pub(super) static GATEWAY: Kind = ruled("an IP address", r"^[0-9A-Fa-f.:]+$", |text| host::gateway(text, &[]));
pub(super) static NAME_SERVER: Kind = ruled("an IP address", r"^[0-9A-Fa-f.:]+(%[^#]+)?(#.+)?$", host::name_server);
pub(super) static DATACENTER: Kind =
    kind("the name of a datacenter: up to 63 of a-z, 0-9, `_` and `-`", r"^[a-z0-9_-]{1,63}$");
pub(super) static AGE_KEY: Kind = kind("an age public key, age1…", r"^age1[a-z0-9]{58}$");
pub(super) static QUESTION: Kind =
    kind("a question such as `postfix/mailname`", r"^[A-Za-z0-9][A-Za-z0-9+._-]*(/[A-Za-z0-9+._@:-]+)+$");
pub(super) static REASON: Kind = kind("a reason, for people", r"^.+$");

/// What [`NAME`]'s pattern says, rule by rule.
fn name(text: &str) -> Result<(), Reason> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.len() > 63 && text.bytes().all(plain) {
        return Err("is longer than 63 characters, the most that a name may have");
    }
    match text.bytes().next().is_some_and(|first| !first.is_ascii_lowercase()) && text.bytes().all(plain) {
        true => Err("does not begin with a letter, as a name must"),
        false => Ok(()),
    }
}
