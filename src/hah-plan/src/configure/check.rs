//! The last pass changes nothing: it finds what would only show on the running node.

use hah_format::tree::Kind;

use super::{ConfigureError, Problem, Target};

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    for (path, node) in target.root.iter() {
        let Kind::HardLink(first) = &node.kind else { continue };
        if !matches!(target.root.get(first).map(|node| &node.kind), Some(Kind::File(_))) {
            let reason = format!("it is a hard link to {first}, which is no file");
            let hint = "this is a bug in hah-image: a pass replaced the file and not its other names".into();
            return Err(ConfigureError::at(path, Problem::Invalid { reason, hint }));
        }
    }
    Ok(())
}
