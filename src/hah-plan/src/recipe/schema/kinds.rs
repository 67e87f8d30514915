//! [`Kind`]: the kinds of text that recipes, images and boards are made of.

use std::sync::OnceLock;

use regex_lite::Regex;

/// A kind of text: what the regular expression lets through, in the part of its language that JSON Schema shares.
#[derive(Debug)]
pub(in crate::recipe) struct Kind {
    /// What it is: `a mode`.
    pub(in crate::recipe) doc: &'static str,
    pub(in crate::recipe) pattern: &'static str,
    compiled: OnceLock<Option<Regex>>,
}

impl Kind {
    /// Whether `text` is of this kind. No kind but [`TEXT`] admits line ends or other control characters.
    pub(in crate::recipe) fn admits(&self, text: &str) -> bool {
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
    Kind { doc, pattern, compiled: OnceLock::new() }
}

pub(super) static TEXT: Kind = kind("text", "");
pub(super) static LINE: Kind = kind("one line of text", r"^.*$");
pub(super) static NAME: Kind = kind("a name: lower-case letters, digits and `-`", r"^[a-z][a-z0-9-]{0,62}$");
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
pub(super) static SIZE: Kind = kind("a size: bytes, or a number with KiB, MiB or GiB", r"^[0-9]+( ?(B|KiB|MiB|GiB))?$");
pub(super) static WHEN: Kind = kind("a condition over parameters in minijinja's expression language", r"^.+$");
pub(super) static WORDS: Kind = kind("one word of the kernel command line", r"^[^\s]+$");
pub(super) static FIELD: Kind = kind("a field of os-release", r"^[A-Z][A-Z0-9_]*$");
pub(super) static QUESTION: Kind =
    kind("a question such as `postfix/mailname`", r"^[A-Za-z0-9][A-Za-z0-9+._-]*(/[A-Za-z0-9+._@:-]+)+$");
pub(super) static ARCHITECTURE: Kind = kind("an architecture: `arm64`, `armel` or `amd64`", r"^(arm64|armel|amd64)$");
pub(super) static MEMBER: Kind = kind("a path in an archive; a template", r"^[^/].*$");
pub(super) static ZONE: Kind = kind("a time zone such as Europe/Berlin", r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$");
pub(super) static COUNTRY: Kind = kind("a country: two capital letters, like DE", r"^[A-Z]{2}$");
pub(super) static PUBLIC_KEY: Kind = kind("a line of authorized_keys: type, key, comment", r"^[^# ]\S*\s+\S");
pub(super) static IP: Kind = kind("an IP address", r"^[0-9A-Fa-f.:]+$");
pub(super) static AGE_KEY: Kind = kind("an age public key, age1…", r"^age1[a-z0-9]{58}$");
pub(super) static REASON: Kind = kind("a reason, for people", r"^.+$");
