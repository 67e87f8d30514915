//! Where accounts come from besides scripts: base-passwd's masters, sysusers.d, recipes.

use std::collections::BTreeMap;

use hah_format::path::TreePath;

use super::sysusers::{self, Line, check_name};
use super::{AccountError, Accounts, Aging, Group, User};
use crate::rootfs::Root;
use crate::system::{GroupSpec, Password, System, UserSpec};

const GROUP_MASTER: &str = "usr/share/base-passwd/group.master";
const PASSWD_MASTER: &str = "usr/share/base-passwd/passwd.master";

/// Reads a text file of the tree by its path; `None` when it is not there.
pub(super) type ReadText<'r> = dyn FnMut(&TreePath) -> Result<Option<String>, AccountError> + 'r;

/// How much of the recipes' users can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before the scripts: a group that is missing may still come, so its users and members wait.
    Early,
    /// After them: what is missing is an error.
    Last,
}

impl Accounts {
    /// Adds base-passwd's lists: `name:*:uid:gid:gecos:home:shell` and `name:*:gid:`.
    pub(crate) fn add_masters(&mut self, read: &mut ReadText<'_>) -> Result<(), AccountError> {
        let mut lines = |file: &'static str| -> Result<Vec<(usize, Vec<String>)>, AccountError> {
            let text = read(&tree_path(file)?)?.unwrap_or_default();
            let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
            Ok(lines.map(|(index, line)| (index + 1, line.split(':').map(str::to_owned).collect())).collect())
        };
        let malformed = |file, line, reason: &str| AccountError::File { file, line, reason: reason.to_owned() };
        for (line, fields) in lines(GROUP_MASTER)? {
            let [name, _, gid, members] = fields.as_slice() else {
                return Err(malformed(GROUP_MASTER, line, "expected 4 fields"));
            };
            let gid = gid.parse().map_err(|_| malformed(GROUP_MASTER, line, "the third field is no id"))?;
            let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
            self.groups.insert(name.clone(), Group { members, ..Group::new(gid, "*") });
        }
        for (line, fields) in lines(PASSWD_MASTER)? {
            let [name, _, uid, gid, gecos, home, shell] = fields.as_slice() else {
                return Err(malformed(PASSWD_MASTER, line, "expected 7 fields"));
            };
            let id =
                |text: &str| text.parse().map_err(|_| malformed(PASSWD_MASTER, line, &format!("`{text}` is no id")));
            let user = User {
                uid: id(uid)?,
                gid: id(gid)?,
                gecos: gecos.clone(),
                home: home.clone(),
                shell: shell.clone(),
                password: "*".to_owned(),
                aging: Aging::of_login(self.day),
            };
            self.users.insert(name.clone(), user);
        }
        Ok(())
    }

    /// Recipes add accounts, and change those of packages: theirs are the last words on everything but a fixed id.
    pub(crate) fn add_recipes(&mut self, system: &System, when: When) -> Result<(), AccountError> {
        for spec in &system.groups {
            self.add_recipe_group(spec)
                .map_err(|reason| AccountError::Recipe { recipe: spec.recipe.clone(), reason })?;
        }
        for spec in &system.users {
            self.add_recipe_user(spec, when)
                .map_err(|reason| AccountError::Recipe { recipe: spec.recipe.clone(), reason })?;
        }
        Ok(())
    }

    fn add_recipe_group(&mut self, spec: &GroupSpec) -> Result<(), String> {
        check_name(&spec.name)?;
        let found = self.groups.entry(spec.name.clone()).or_insert(Group::new(spec.gid, "!"));
        match found.gid == spec.gid {
            true => Ok(()),
            false => Err(format!(
                "the group `{}` has the id {} on every Debian system, not {}",
                spec.name, found.gid, spec.gid
            )),
        }
    }

    fn add_recipe_user(&mut self, spec: &UserSpec, when: When) -> Result<(), String> {
        check_name(&spec.name)?;
        let fields = [spec.comment.as_str(), spec.home.as_str(), spec.shell.as_str(), password(&spec.password)];
        if let Some(field) = fields.into_iter().find(|field| field.contains([':', '\n'])) {
            return Err(format!("`{field}` of `{}` cannot stand in a passwd file", spec.name));
        }
        if let Some(found) = self.users.get(&spec.name)
            && found.uid != spec.uid
        {
            return Err(format!(
                "the user `{}` has the id {} on every Debian system, not {}",
                spec.name, found.uid, spec.uid
            ));
        }
        if spec.group == spec.name && !self.groups.contains_key(&spec.group) {
            self.groups.insert(spec.group.clone(), Group::new(spec.uid, "!"));
        }
        let gid = match self.groups.get(&spec.group) {
            Some(group) => group.gid,
            None if when == When::Early => return Ok(()),
            None => return Err(format!("there is no group `{}` for {}", spec.group, spec.name)),
        };
        let user = User {
            uid: spec.uid,
            gid,
            gecos: spec.comment.clone(),
            home: spec.home.to_string(),
            shell: spec.shell.clone(),
            password: password(&spec.password).to_owned(),
            aging: Aging::of_login(self.day),
        };
        self.users.insert(spec.name.clone(), user);
        for group in &spec.groups {
            match self.add_member(group, &spec.name) {
                Err(_) if when == When::Early => {}
                added => added.map_err(|_| format!("there is no group `{group}` for {}", spec.name))?,
            }
        }
        Ok(())
    }
}

fn password(password: &Password) -> &str {
    match password {
        Password::Locked => "!*",
        Password::Hash(hash) => hash,
    }
}

/// A line of a file of sysusers.d.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SysusersLine {
    /// The file.
    pub file: TreePath,
    /// Line of it, from 1.
    pub line: usize,
    /// What it says.
    pub declaration: Line,
}

/// A file of sysusers.d that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: {reason}")]
pub struct SysusersError {
    /// The file.
    pub file: TreePath,
    /// Line of it, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// The lines of all sysusers.d files of `tree`, by file name, groups before users before memberships;
/// a file in `/etc` takes the place of its namesake in `/usr/lib`.
pub fn sysusers_lines(tree: &Root, read: &mut ReadText<'_>) -> Result<Vec<SysusersLine>, SysusersError> {
    let mut files: BTreeMap<String, TreePath> = BTreeMap::new();
    for dir in ["usr/lib/sysusers.d", "etc/sysusers.d"] {
        let Ok(dir) = TreePath::parse(dir) else { continue };
        for (at, _) in tree.entries(&dir).filter(|(at, _)| at.name().ends_with(".conf")) {
            files.insert(at.name().to_owned(), at.clone());
        }
    }
    let mut found = Vec::new();
    for file in files.into_values() {
        let error = |line, reason| SysusersError { file: file.clone(), line, reason };
        // A link to /dev/null stands for nothing.
        let Some(text) = read(&file).map_err(|reason| error(0, reason.to_string()))? else { continue };
        let parsed = sysusers::parse(&text).map_err(|(line, reason)| error(line, reason))?;
        let lines = parsed.into_iter();
        found.extend(lines.map(|(line, declaration)| SysusersLine { file: file.clone(), line, declaration }));
    }
    // systemd-sysusers makes groups before the users that want them.
    found.sort_by_key(|line| line.declaration.rank());
    Ok(found)
}

fn tree_path(text: &str) -> Result<TreePath, AccountError> {
    TreePath::parse(text).map_err(|error| AccountError::Tree(error.to_string()))
}
