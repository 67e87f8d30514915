//! Effects of reviews as the files spell them.

use hah_format::path::TreePath;
use serde::Deserialize;

fn root() -> String {
    "root".to_owned()
}

/// Permission bits, written as octal digits in a string.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Mode(pub(super) u16);

impl TryFrom<String> for Mode {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match u16::from_str_radix(&text, 8) {
            Ok(mode) if mode <= 0o7777 && (3..=4).contains(&text.len()) => Ok(Self(mode)),
            _ => Err(format!("`{text}` is not a mode: expected three or four octal digits, as in \"0755\"")),
        }
    }
}

fn mode_0755() -> Mode {
    Mode(0o755)
}

fn mode_0644() -> Mode {
    Mode(0o644)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDirectory {
    pub(super) path: TreePath,
    #[serde(default = "mode_0755")]
    pub(super) mode: Mode,
    #[serde(default = "root")]
    pub(super) user: String,
    #[serde(default = "root")]
    pub(super) group: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    pub(super) path: TreePath,
    pub(super) content: String,
    #[serde(default = "mode_0644")]
    pub(super) mode: Mode,
    #[serde(default = "root")]
    pub(super) user: String,
    #[serde(default = "root")]
    pub(super) group: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCopy {
    pub(super) from: TreePath,
    pub(super) to: TreePath,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSymlink {
    pub(super) path: TreePath,
    pub(super) target: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOwner {
    pub(super) path: TreePath,
    pub(super) mode: Option<Mode>,
    #[serde(default = "root")]
    pub(super) user: String,
    #[serde(default = "root")]
    pub(super) group: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStatoverride {
    pub(super) path: TreePath,
    pub(super) mode: Mode,
    #[serde(default = "root")]
    pub(super) user: String,
    #[serde(default = "root")]
    pub(super) group: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCapability {
    pub(super) path: TreePath,
    pub(super) capability: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUser {
    pub(super) name: String,
    pub(super) group: Option<String>,
    pub(super) home: Option<String>,
    pub(super) shell: Option<String>,
    #[serde(default)]
    pub(super) gecos: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAlternative {
    pub(super) name: String,
    pub(super) link: String,
    pub(super) path: String,
    pub(super) priority: i32,
    #[serde(default)]
    pub(super) slaves: Vec<RawSlave>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSlave {
    pub(super) name: String,
    pub(super) link: String,
    pub(super) path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDiversion {
    pub(super) path: String,
    pub(super) to: String,
    pub(super) package: String,
}
