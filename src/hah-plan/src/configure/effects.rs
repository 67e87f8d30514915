//! What reviewed and understood maintainer scripts do to paths: directories, default files, links, owners, capabilities.
//!
//! The list comes from [`crate::scripts::effects`], sorted, and is applied in its order.
//! Whatever a package or a recipe has put at a path stays: these are defaults.

use std::collections::BTreeMap;

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Meta, Node};

use super::{ConfigureError, Target};
use crate::capability::FileCapabilities;
use crate::rootfs::Content;
use crate::scripts::{Ownership, PathAction, PathEffect, Sourced};

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let effects = target.effects;
    refuse_rivals(&effects.paths)?;
    for effect in &effects.paths {
        apply(target, effect)?;
    }
    for entry in &effects.statoverrides {
        set_owner(target, &entry.what.path, Some(entry.what.mode), &entry.what.owner);
    }
    Ok(())
}

/// Two packages that make different things at one path: the first to be configured would win on a real system.
fn refuse_rivals(effects: &[Sourced<PathEffect>]) -> Result<(), ConfigureError> {
    let mut makers: BTreeMap<&TreePath, &Sourced<PathEffect>> = BTreeMap::new();
    for effect in effects {
        if !matches!(effect.what.action, PathAction::File { .. } | PathAction::Copy { .. } | PathAction::Symlink { .. })
        {
            continue;
        }
        if let Some(other) = makers.insert(&effect.what.path, effect)
            && other.what.action != effect.what.action
        {
            return Err(ConfigureError::invalid(
                format!(
                    "the scripts of {} and {} make different things at {}",
                    other.package, effect.package, effect.what.path
                ),
                "a file of a recipe at this path decides it",
            ));
        }
    }
    Ok(())
}

fn apply(target: &mut Target<'_>, effect: &Sourced<PathEffect>) -> Result<(), ConfigureError> {
    let path = place(target, &effect.what.path);
    match &effect.what.action {
        PathAction::Directory { mode, owner } => {
            let undecided = match target.root.get(&path) {
                None => true,
                // A parent that the tree made for something below it.
                Some(found) => found.is_dir() && target.provenance.origin(&path).is_none(),
            };
            if undecided {
                target.put_node(&path, Node { meta: owned(*mode, owner), kind: Kind::Dir })?;
            }
        }
        PathAction::File { content, mode, owner } => {
            if !target.root.contains(&path) {
                let kind = Kind::File(Content::inline(content.as_bytes()));
                target.put_node(&path, Node { meta: owned(*mode, owner), kind })?;
            }
        }
        PathAction::Copy { from } => {
            if !target.root.contains(&path) {
                let node = source(target, from).ok_or_else(|| missing(effect, from))?;
                target.put_node(&path, node)?;
            }
        }
        PathAction::Symlink { target: to } => {
            if !target.root.contains(&path) {
                target.put_node(&path, Node::symlink(to))?;
            }
        }
        PathAction::Owner { mode, owner } => set_owner(target, &path, *mode, owner),
        PathAction::Capability(text) => {
            let capabilities = FileCapabilities::parse(text).filter(|found| !found.is_empty());
            let attribute = capabilities.and_then(|found| found.attribute()).ok_or_else(|| {
                ConfigureError::invalid(
                    format!("{} gives {path} the capability `{text}`, which is not one", effect.package),
                    "capabilities(7) has the names; the form is `cap_net_raw,cap_net_admin=ep`",
                )
            })?;
            if let Some(node) = target.root.resolve(&path).and_then(|real| target.root.get_mut(&real)) {
                node.meta.xattrs.insert("security.capability".into(), attribute);
            }
        }
        PathAction::Remove => {
            target.root.remove(&path);
            target.provenance.forget(&path);
        }
    }
    Ok(())
}

/// `path` with the symbolic links among its parents followed, as far as the parents exist.
fn place(target: &Target<'_>, path: &TreePath) -> TreePath {
    for parent in path.ancestors() {
        if let Some(real) = target.root.resolve(&parent) {
            let rest = &path.as_str()[parent.as_str().len()..];
            return real.join(rest).unwrap_or_else(|_| path.clone());
        }
    }
    path.clone()
}

/// The regular file at `from`, as `cp -p` copies it.
fn source(target: &Target<'_>, from: &TreePath) -> Option<Node<Content>> {
    let real = target.root.resolve(from)?;
    let meta = match target.root.get(&real)? {
        Node { kind: Kind::HardLink(first), .. } => target.root.get(first)?.meta.clone(),
        node => node.meta.clone(),
    };
    Some(Node { meta: Meta { xattrs: BTreeMap::new(), ..meta }, kind: Kind::File(target.content(from)?.clone()) })
}

fn missing(effect: &Sourced<PathEffect>, from: &TreePath) -> ConfigureError {
    ConfigureError::invalid(
        format!("the script of {} copies {from} to {}, but there is no such file", effect.package, effect.what.path),
        format!("a recipe removes {from}: keep it, or place a file at {}", effect.what.path),
    )
}

fn owned(mode: u16, owner: &Ownership) -> Meta {
    Meta { user: owner.user.clone(), group: owner.group.clone(), ..Meta::root(mode) }
}

fn set_owner(target: &mut Target<'_>, path: &TreePath, mode: Option<u16>, owner: &Ownership) {
    let Some(real) = target.root.resolve(path) else { return };
    // A recipe that placed the path has said whose it is.
    if target.provenance.is_from_recipe(&real) {
        return;
    }
    if let Some(node) = target.root.get_mut(&real) {
        node.meta.user = owner.user.clone();
        node.meta.group = owner.group.clone();
        node.meta.mode = mode.unwrap_or(node.meta.mode);
    }
}
