//! Declared effects, done to the world: what a reviewed call leaves behind.
//!
//! Files, directories and links are defaults: what stands there stays.
//! Accounts, alternatives, units and the like are booked for the passes that write them.

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Meta, Node};

use crate::capability::FileCapabilities;
use crate::commands::Refusal;
use crate::debian::PackageName;
use crate::effects::{Effect, Ownership, PathAction, PathEffect};
use crate::rootfs::Content;
use crate::world::{Errno, Follow, World};

/// Does `effects` in their order, as the doing of `package`.
pub(super) fn apply(world: &mut World<'_>, package: &PackageName, effects: &[Effect]) -> Result<(), Refusal> {
    for effect in effects {
        match effect {
            Effect::Path(effect) => change(world, effect)?,
            Effect::Statoverride(entry) => {
                own(world, &format!("/{}", entry.path.as_str()), Some(entry.mode), &entry.owner)?;
                world.effects.add(package, effect.clone());
            }
            _ => world.effects.add(package, effect.clone()),
        }
    }
    Ok(())
}

fn change(world: &mut World<'_>, effect: &PathEffect) -> Result<(), Refusal> {
    let top = TreePath::root();
    let path = format!("/{}", effect.path.as_str());
    let done = match &effect.action {
        PathAction::Directory { mode, owner } => {
            world.make_dirs(&top, &parent(&path), 0o755)?;
            world.create(&top, &path, Node { meta: owned(*mode, owner), kind: Kind::Dir })
        }
        PathAction::File { content, mode, owner } => {
            world.make_dirs(&top, &parent(&path), 0o755)?;
            let kind = Kind::File(Content::inline(content.as_bytes()));
            world.create(&top, &path, Node { meta: owned(*mode, owner), kind })
        }
        PathAction::Copy { from } => {
            let from = format!("/{}", from.as_str());
            let meta = world.stat(&top, &from, Follow::Yes).map_err(|error| missing(&from, &error))?.meta;
            let kind = Kind::File(Content::inline(world.read(&top, &from)?));
            world.make_dirs(&top, &parent(&path), 0o755)?;
            world.create(&top, &path, Node { meta, kind })
        }
        PathAction::Symlink { target } => {
            world.make_dirs(&top, &parent(&path), 0o755)?;
            world.make_symlink(&top, &path, target)
        }
        PathAction::Owner { mode, owner } => own(world, &path, *mode, owner).map(Ok)?,
        PathAction::Capability(text) => {
            let attribute = FileCapabilities::parse(text)
                .filter(|found| !found.is_empty())
                .and_then(|found| found.attribute())
                .ok_or_else(|| Refusal::new(format!("`{text}` is not a capability as setcap(8) spells them")))?;
            world.set_attribute(&top, &path, "security.capability", Some(attribute))
        }
        PathAction::Remove => world.remove_all(&top, &path),
    };
    match done {
        // A default for what is there, or a change to what is not.
        Ok(()) | Err(Errno::Exists | Errno::NotFound) => Ok(()),
        Err(error) => Err(Refusal::new(format!("{path}: {error}"))),
    }
}

fn own(world: &mut World<'_>, path: &str, mode: Option<u16>, owner: &Ownership) -> Result<(), Refusal> {
    let top = TreePath::root();
    if !world.exists(&top, path) {
        return Ok(());
    }
    world.set_owner(&top, path, Follow::Yes, (Some(owner.user.clone()), Some(owner.group.clone())))?;
    if let Some(mode) = mode {
        world.set_mode(&top, path, mode)?;
    }
    Ok(())
}

fn missing(from: &str, error: &Errno) -> Refusal {
    Refusal::new(format!("the review copies {from}: {error}"))
}

fn parent(path: &str) -> String {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/".to_owned(),
        Some((parent, _)) => parent.to_owned(),
    }
}

fn owned(mode: u16, owner: &Ownership) -> Meta {
    Meta { user: owner.user.clone(), group: owner.group.clone(), ..Meta::root(mode) }
}
