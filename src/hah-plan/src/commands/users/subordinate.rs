//! Ranges of ids for user namespaces: `/etc/subuid` and `/etc/subgid`, subuid(5).

use hah_format::path::TreePath;

use crate::commands::{Process, Refusal};

/// The first id that a new user may get, and how many: `SUB_UID_MIN`, `SUB_UID_COUNT` of login.defs(5).
const NEW: (u64, u64) = (100_000, 65_536);

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subordinate {
    Users,
    Groups,
}

impl Subordinate {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Users => "/etc/subuid",
            Self::Groups => "/etc/subgid",
        }
    }

    /// The ids' kind, as usermod's messages call it.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Users => "uid",
            Self::Groups => "gid",
        }
    }
}

/// Ids that stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    first: u64,
    count: u64,
}

impl Range {
    /// `FIRST-LAST`
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then(|| Self { first: first.into(), count: u64::from(last - first) + 1 })
    }

    fn end(self) -> u64 {
        self.first + self.count
    }
}

/// Whose range a line is.
fn entries(text: &str) -> impl Iterator<Item = (&str, Range)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (owner, first, count) = (fields.next()?, fields.next()?.parse::<u32>().ok()?, fields.next()?.parse().ok()?);
        let count: u32 = count;
        Some((owner, Range { first: first.into(), count: count.into() }))
    })
}

impl Process<'_, '_> {
    /// The file's text; `None` when there is no file, and then nobody has such ids.
    pub(super) fn subordinate_ids(&mut self, of: Subordinate) -> Result<Option<String>, Refusal> {
        match self.world.read(&TreePath::root(), of.path()) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.is_final() => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// Gives `name` a range, unless all of it is theirs already.
    pub(super) fn add_subordinate_ids(&mut self, of: Subordinate, name: &str, range: Range) -> Result<(), Refusal> {
        let Some(text) = self.subordinate_ids(of)? else { return Ok(()) };
        let mut left = range.first;
        let mut own: Vec<Range> = entries(&text).filter(|(owner, _)| *owner == name).map(|(_, range)| range).collect();
        own.sort_by_key(|range| range.first);
        for range in own {
            if range.first <= left && left < range.end() {
                left = range.end();
            }
        }
        if left >= range.end() {
            return Ok(());
        }
        let line = format!("{name}:{}:{}\n", range.first, range.count);
        let appended = self.world.append(&TreePath::root(), of.path(), 0o644, line.as_bytes());
        self.check(of.path(), appended).map(drop)
    }

    /// Takes all ranges of a user who goes.
    pub(super) fn remove_subordinate_ids(&mut self, name: &str) -> Result<(), Refusal> {
        for of in [Subordinate::Users, Subordinate::Groups] {
            let Some(text) = self.subordinate_ids(of)? else { continue };
            let is_other = |line: &&str| line.split(':').next() != Some(name);
            let left: String = text.split_inclusive('\n').filter(is_other).collect();
            if left != text {
                let written = self.world.write(&TreePath::root(), of.path(), 0o644, left.into_bytes());
                self.check(of.path(), written)?;
            }
        }
        Ok(())
    }

    /// Gives a new user a range of either kind behind the last one, where these files are.
    pub(super) fn add_new_subordinate_ids(&mut self, name: &str) -> Result<(), Refusal> {
        for of in [Subordinate::Users, Subordinate::Groups] {
            let Some(text) = self.subordinate_ids(of)? else { continue };
            let (first, count) = NEW;
            let first = entries(&text).map(|(_, range)| range.end()).max().unwrap_or(first).max(first);
            self.add_subordinate_ids(of, name, Range { first, count })?;
        }
        Ok(())
    }
}
