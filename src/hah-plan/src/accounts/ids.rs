//! Which id a name gets; the rules and their reasons are in [`super`].

use std::ops::RangeInclusive;

use hah_format::digest::Sha256;

use super::{AccountError, Accounts, FREE_IDS};

/// Where derived ids of system accounts are; the declared ones of `recipes/debian/ids.toml` are outside.
pub const AUTOMATIC_SYSTEM: RangeInclusive<u32> = 200..=899;

/// Where derived ids of other accounts are: far above those that people count upwards from 1000.
pub const AUTOMATIC_PEOPLE: RangeInclusive<u32> = 30_000..=39_999;

/// The `attempt`th number in `range` that `name` alone leads to: the first 8 bytes of a SHA-256, big-endian, modulo its length.
///
/// The text is `hah account id 1`, the name and the attempt from 0, with a line end behind each.
/// It must never change: files on nodes carry the results.
pub fn automatic_id(name: &str, attempt: u32, range: &RangeInclusive<u32>) -> u32 {
    let digest = Sha256::of(format!("hah account id 1\n{name}\n{attempt}\n").as_bytes());
    let number = digest.as_bytes().iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let count = u64::from(range.end() - range.start()) + 1;
    // The remainder is below the count, which fits.
    range.start() + u32::try_from(number % count).unwrap_or_default()
}

/// Whose id it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A system account.
    System,
    /// A person's account, as adduser makes it without `--system`.
    Person,
}

impl Accounts {
    /// The id of a new user `name`; `wanted` is what the declaration asks for.
    pub fn uid_for(&self, name: &str, wanted: Option<u32>) -> Result<u32, AccountError> {
        self.new_uid(name, wanted, Standing::System)
    }

    /// The id of a new group `name`; `wanted` is what the declaration asks for.
    pub fn gid_for(&self, name: &str, wanted: Option<u32>) -> Result<u32, AccountError> {
        self.new_gid(name, wanted, Standing::System)
    }

    /// As [`Accounts::uid_for`], for a user of this standing.
    pub fn new_uid(&self, name: &str, wanted: Option<u32>, standing: Standing) -> Result<u32, AccountError> {
        let declared = self.declared.users.get(name).copied();
        let id = declared.or(wanted).unwrap_or_else(|| self.derived(name, standing));
        match self.user_of(id) {
            Some((first, _)) if first != name => Err(self.same_id("user", (first, name), id)),
            _ => Ok(id),
        }
    }

    /// As [`Accounts::gid_for`], for a group of this standing.
    ///
    /// A group without a declared id has that of the user of its name, so that the order in which they are made
    /// does not matter.
    pub fn new_gid(&self, name: &str, wanted: Option<u32>, standing: Standing) -> Result<u32, AccountError> {
        let declared = self.declared.groups.get(name).or_else(|| self.declared.users.get(name)).copied();
        let user = self.users.get(name).map(|user| user.uid);
        let id = declared.or(wanted).or(user).unwrap_or_else(|| self.derived(name, standing));
        match self.group_of(id) {
            Some((first, _)) if first != name => Err(self.same_id("group", (first, name), id)),
            _ => Ok(id),
        }
    }

    /// That two names (the one that has it first) want the same id.
    pub(super) fn same_id(&self, what: &'static str, (first, second): (&str, &str), id: u32) -> AccountError {
        let is_free = |id: &u32| {
            let of = &self.declared;
            let declared = of.users.values().chain(of.groups.values()).any(|other| other == id);
            !declared && self.user_of(*id).is_none() && self.group_of(*id).is_none()
        };
        let free = FREE_IDS.rev().find(is_free);
        AccountError::SameId { what, first: first.to_owned(), second: second.to_owned(), id, free }
    }

    /// The first number that the name leads to and that nobody has declared.
    fn derived(&self, name: &str, standing: Standing) -> u32 {
        let range = match standing {
            Standing::System => AUTOMATIC_SYSTEM,
            Standing::Person => AUTOMATIC_PEOPLE,
        };
        let declared = |id: u32| {
            self.declared.users.values().any(|other| *other == id)
                || self.declared.groups.values().any(|other| *other == id)
        };
        // With half of the range declared, a thousand attempts all fail once in 10^300 names.
        (0..1000).map(|attempt| automatic_id(name, attempt, &range)).find(|id| !declared(*id)).unwrap_or(*range.start())
    }
}
