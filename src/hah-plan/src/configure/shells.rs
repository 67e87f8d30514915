//! `/etc/shells`, as update-shells of debianutils makes it from `/usr/share/debianutils/shells{,.d/*}`.

use std::collections::BTreeSet;

use hah_format::path::TreePath;

use super::{ConfigureError, Target, path};

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let template = path("usr/share/debianutils/shells")?;
    let at = path("etc/shells")?;
    let Some(head) = target.read_text(&template)? else { return Ok(()) };
    if target.provenance.is_from_recipe(&at) {
        return Ok(());
    }
    let head = target.read_text(&at)?.unwrap_or(head);
    let directory = path("usr/share/debianutils/shells.d")?;
    let mut sources = vec![template];
    sources.extend(target.root.entries(&directory).map(|(path, _)| path.clone()));

    let mut shells: Vec<String> = Vec::new();
    for source in &sources {
        for line in target.read_text(source)?.unwrap_or_default().lines() {
            let shell = line.split('#').next().unwrap_or_default();
            if shell.is_empty() {
                continue;
            }
            for name in [shell.to_owned(), real_name(target, shell)?] {
                if !shells.contains(&name) {
                    shells.push(name);
                }
            }
        }
    }

    let (mut text, mut seen) = (String::new(), BTreeSet::new());
    for line in head.lines() {
        let shell = line.split('#').next().unwrap_or_default();
        if shell.is_empty() || seen.insert(shell.to_owned()) {
            text.push_str(line);
            text.push('\n');
        }
    }
    for shell in shells.iter().filter(|shell| !seen.contains(*shell)) {
        text.push_str(shell);
        text.push('\n');
    }
    let state: String = shells.iter().flat_map(|shell| [shell, "\n"]).collect();
    target.put(&at, text)?;
    target.put(&path("var/lib/shells.state")?, state)
}

/// The shell's path with the links in its directory followed.
fn real_name(target: &Target<'_>, shell: &str) -> Result<String, ConfigureError> {
    let shell = path(shell)?;
    let directory = shell.parent().unwrap_or_else(TreePath::root);
    let real = target.root.resolve(&directory).unwrap_or(directory);
    Ok(if real.is_root() { format!("/{}", shell.name()) } else { format!("{real}/{}", shell.name()) })
}
