//! The last pass changes nothing: it finds what would only show on the running node.
//!
//! - A reviewed script names a pass that does its work: that pass exists.
//! - A hard link leads to a file.
//! - An owner is in `/etc/passwd` and `/etc/group`, so that it has an id.

use hah_format::tree::{Kind, Owner};

use super::users::ids_of;
use super::{ConfigureError, PASSES, Problem, Target, path};

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    if let Some(missing) = target.effects.handled_by.iter().find(|name| PASSES.iter().all(|pass| pass.name != &***name))
    {
        let passes: Vec<&str> = PASSES.iter().map(|pass| pass.name).collect();
        return Err(ConfigureError::invalid(
            format!("a reviewed script relies on the pass `{missing}`, which does not exist"),
            format!("correct `handled-by` in recipes/debian; the passes are {}", passes.join(", ")),
        ));
    }
    let passwd = target.read_text(&path("etc/passwd")?)?.unwrap_or_default();
    let group = target.read_text(&path("etc/group")?)?.unwrap_or_default();
    let ids = ids_of(&passwd, &group);
    for (at, node) in target.root.iter() {
        let invalid = |reason: String, hint: &str| {
            Err(ConfigureError::at(at, Problem::Invalid { reason, hint: hint.to_owned() }))
        };
        if let Kind::HardLink(first) = &node.kind
            && !matches!(target.root.get(first).map(|node| &node.kind), Some(Kind::File(_)))
        {
            let hint = "this is a bug in hah-image: a pass replaced the file and not its other names";
            return invalid(format!("it is a hard link to {first}, which is no file"), hint);
        }
        let hint = "declare the user or group in a recipe, or the script that adds it in recipes/debian";
        match (&node.meta.user, &node.meta.group) {
            (Owner::Name(user), _) if !ids.users.contains_key(user) => {
                return invalid(format!("its owner {user} is no user of the image"), hint);
            }
            (_, Owner::Name(group)) if !ids.groups.contains_key(group) => {
                return invalid(format!("its group {group} is no group of the image"), hint);
            }
            _ => {}
        }
    }
    Ok(())
}
