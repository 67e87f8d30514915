//! The four files as text: passwd(5), group(5), shadow(5), gshadow(5).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{AccountError, Accounts, Aging, Group, User};

/// One of the four files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccountFile {
    /// `/etc/passwd`.
    Passwd,
    /// `/etc/group`.
    Group,
    /// `/etc/shadow`.
    Shadow,
    /// `/etc/gshadow`.
    Gshadow,
}

/// All of them.
pub const FILES: [AccountFile; 4] =
    [AccountFile::Passwd, AccountFile::Group, AccountFile::Shadow, AccountFile::Gshadow];

impl AccountFile {
    /// Its path from the root, without a leading slash.
    pub fn path(self) -> &'static str {
        match self {
            Self::Passwd => "etc/passwd",
            Self::Group => "etc/group",
            Self::Shadow => "etc/shadow",
            Self::Gshadow => "etc/gshadow",
        }
    }

    /// Whether only root and the group `shadow` may read it.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Shadow | Self::Gshadow)
    }
}

impl Accounts {
    /// The text of `file`, in order of id.
    pub fn text(&self, file: AccountFile) -> String {
        let mut out = String::new();
        match file {
            AccountFile::Passwd | AccountFile::Shadow => {
                let mut users: Vec<(&String, &User)> = self.users.iter().collect();
                users.sort_by_key(|(_, user)| user.uid);
                for (name, user) in users {
                    let _ = match file {
                        AccountFile::Passwd => writeln!(out, "{}", user.passwd_line(name)),
                        _ => writeln!(out, "{}", user.shadow_line(name)),
                    };
                }
            }
            AccountFile::Group | AccountFile::Gshadow => {
                let mut groups: Vec<(&String, &Group)> = self.groups.iter().collect();
                groups.sort_by_key(|(_, group)| group.gid);
                for (name, group) in groups {
                    let _ = match file {
                        AccountFile::Group => writeln!(out, "{}", group.group_line(name)),
                        _ => writeln!(out, "{}", group.gshadow_line(name)),
                    };
                }
            }
        }
        out
    }

    /// Takes over users and groups from the texts of the four files, in the order of [`FILES`].
    ///
    /// Who is not in `shadow` keeps the password that `passwd` has, and has no age.
    ///
    /// # Errors
    /// The first line that is not of its format.
    pub fn read(&mut self, texts: [&str; 4]) -> Result<(), AccountError> {
        let [passwd, group, shadow, gshadow] = texts;
        let mut secrets: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (line, fields) in lines(shadow) {
            let [name, ..] = fields[..] else { continue };
            if fields.len() != 9 {
                return Err(malformed(AccountFile::Shadow, line, "expected 9 fields"));
            }
            day_fields(&fields, line)?;
            secrets.insert(name, fields);
        }
        let mut users = BTreeMap::new();
        for (line, fields) in lines(passwd) {
            let [name, password, uid, gid, gecos, home, shell] = fields[..] else {
                return Err(malformed(AccountFile::Passwd, line, "expected 7 fields"));
            };
            let id = |text: &str| {
                text.parse().map_err(|_| malformed(AccountFile::Passwd, line, &format!("`{text}` is no id")))
            };
            let secret = secrets.get(name).filter(|_| password == "x");
            let user = User {
                uid: id(uid)?,
                gid: id(gid)?,
                gecos: gecos.to_owned(),
                home: home.to_owned(),
                shell: shell.to_owned(),
                password: secret.and_then(|fields| fields.get(1)).unwrap_or(&password).to_string(),
                aging: secret.map_or(Ok(Aging::default()), |fields| day_fields(fields, line))?,
            };
            users.insert(name.to_owned(), user);
        }
        let set = |text: &str| -> BTreeSet<String> {
            text.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect()
        };
        let mut secrets: BTreeMap<&str, (&str, BTreeSet<String>)> = BTreeMap::new();
        for (line, fields) in lines(gshadow) {
            let [name, password, administrators, _] = fields[..] else {
                return Err(malformed(AccountFile::Gshadow, line, "expected 4 fields"));
            };
            secrets.insert(name, (password, set(administrators)));
        }
        let mut groups = BTreeMap::new();
        for (line, fields) in lines(group) {
            let [name, password, gid, members] = fields[..] else {
                return Err(malformed(AccountFile::Group, line, "expected 4 fields"));
            };
            let gid = gid.parse().map_err(|_| malformed(AccountFile::Group, line, &format!("`{gid}` is no id")))?;
            let (password, administrators) = secrets.remove(name).unwrap_or((password, BTreeSet::new()));
            let group = Group { gid, members: set(members), password: password.to_owned(), administrators };
            groups.insert(name.to_owned(), group);
        }
        self.users = users;
        self.groups = groups;
        Ok(())
    }
}

impl User {
    /// As passwd(5) has it.
    pub fn passwd_line(&self, name: &str) -> String {
        let Self { uid, gid, gecos, home, shell, .. } = self;
        format!("{name}:x:{uid}:{gid}:{gecos}:{home}:{shell}")
    }

    /// As shadow(5) has it.
    pub fn shadow_line(&self, name: &str) -> String {
        let day = |day: Option<i64>| day.map(|day| day.to_string()).unwrap_or_default();
        let Aging { changed, min, max, warn, inactive, expire } = self.aging;
        let days = [changed, min, max, warn, inactive, expire].map(day).join(":");
        format!("{name}:{}:{days}:", self.password)
    }
}

impl Group {
    /// As group(5) has it.
    pub fn group_line(&self, name: &str) -> String {
        format!("{name}:x:{}:{}", self.gid, joined(&self.members))
    }

    /// As gshadow(5) has it.
    pub fn gshadow_line(&self, name: &str) -> String {
        format!("{name}:{}:{}:{}", self.password, joined(&self.administrators), joined(&self.members))
    }
}

fn joined(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

/// The lines that hold something, with their numbers from 1, as fields.
fn lines(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| (index + 1, line.split(':').collect()))
}

fn day_fields(fields: &[&str], line: usize) -> Result<Aging, AccountError> {
    let day = |index: usize| match fields.get(index).copied().unwrap_or_default() {
        "" => Ok(None),
        text => {
            let found = text.parse().map(Some);
            found.map_err(|_| malformed(AccountFile::Shadow, line, &format!("`{text}` is no number of days")))
        }
    };
    Ok(Aging { changed: day(2)?, min: day(3)?, max: day(4)?, warn: day(5)?, inactive: day(6)?, expire: day(7)? })
}

fn malformed(file: AccountFile, line: usize, reason: &str) -> AccountError {
    AccountError::File { file: file.path(), line, reason: reason.to_owned() }
}
