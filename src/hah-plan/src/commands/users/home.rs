//! Home directories, as adduser and `useradd -m` make them.

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Meta, Node, Owner};

use crate::commands::{Process, Refusal};
use crate::world::Follow;

/// A home directory that is to be made.
pub(super) struct NewHome<'n> {
    /// Where.
    pub(super) path: &'n str,
    /// Permission bits.
    pub(super) mode: u16,
    /// Whose it is.
    pub(super) user: &'n str,
    /// Whose group's it is.
    pub(super) group: &'n str,
    /// The directory whose contents are copied, if any.
    pub(super) skel: Option<&'n str>,
}

impl Process<'_, '_> {
    /// Makes a home directory that is not there yet, with its parents, which get mode 0755.
    pub(super) fn make_home(&mut self, home: &NewHome<'_>) -> Result<bool, Refusal> {
        let top = TreePath::root();
        let (user, group) = (Owner::parse(home.user), Owner::parse(home.group));
        let own = |meta: Meta| Meta { user: user.clone(), group: group.clone(), ..meta };
        let made = self.world.make_dirs(&top, home.path, home.mode);
        if self.check(&format!("cannot create directory {}", home.path), made)?.is_none() {
            return Ok(false);
        }
        let owned = self.world.set_owner(&top, home.path, Follow::Yes, (Some(user.clone()), Some(group.clone())));
        self.check(home.path, owned)?;
        let moded = self.world.set_mode(&top, home.path, home.mode);
        self.check(home.path, moded)?;
        let Some(skel) = home.skel else { return Ok(true) };
        let Ok(from) = self.world.resolve(&top, skel, Follow::Yes) else { return Ok(true) };
        let copies: Vec<(String, Node<_>)> = self
            .world
            .tree
            .below(&from)
            .filter_map(|(at, node)| {
                let kind = match &node.kind {
                    Kind::HardLink(first) => self.world.tree.get(first)?.kind.clone(),
                    kind => kind.clone(),
                };
                Some((at.as_str()[from.as_str().len()..].to_owned(), Node { meta: own(node.meta.clone()), kind }))
            })
            .collect();
        for (rest, node) in copies {
            let at = format!("{}{rest}", home.path);
            let copied = self.world.create(&top, &at, node);
            self.check(&at, copied)?;
        }
        Ok(true)
    }
}
