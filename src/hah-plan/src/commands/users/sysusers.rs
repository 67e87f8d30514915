//! `systemd-sysusers`(8): what sysusers.d(5) declares, at once.
//!
//! The pass `users` applies every file of the image in the end; what a script asks for by name it gets now.

use crate::accounts::sysusers::{self, Line};
use crate::accounts::{AccountError, sysusers_lines};
use crate::commands::options::Order;
use crate::commands::{Process, Refusal};
use crate::world::Follow;

const DIRECTORIES: [&str; 4] =
    ["/etc/sysusers.d", "/run/sysusers.d", "/usr/local/lib/sysusers.d", "/usr/lib/sysusers.d"];

/// systemd-sysusers(8).
pub(super) fn systemd_sysusers(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, ",root= ,replace= ,inline ,dry-run ,no-pager", Order::Any)?;
    if options.value("root").is_some_and(|root| !matches!(root, "" | "/")) {
        return process.unknown("--root");
    }
    if options.has("dry-run") {
        return process.unknown("--dry-run");
    }
    let mut lines: Vec<Line> = Vec::new();
    let parse = |what: &str, text: &str| {
        let parsed =
            sysusers::parse(text).map_err(|(line, reason)| Refusal::new(format!("{what}, line {line}: {reason}")))?;
        Ok::<_, Refusal>(parsed.into_iter().map(|(_, line)| line).collect::<Vec<_>>())
    };
    if options.has("inline") {
        for operand in &options.operands {
            lines.extend(parse("systemd-sysusers --inline", operand)?);
        }
    } else if options.operands.is_empty() || options.has("replace") {
        // `--replace` is for scripts that run before their file is unpacked; here it is there.
        let world = &mut *process.world;
        let tree = world.tree.clone();
        let found =
            sysusers_lines(&tree, &mut |at| match world.read(&hah_format::path::TreePath::root(), &at.to_string()) {
                Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
                Err(error) if error.is_final() => Err(AccountError::Tree(error.to_string())),
                Err(_) => Ok(None),
            })
            .map_err(|error| Refusal::new(error.to_string()))?;
        lines.extend(found.into_iter().map(|found| found.declaration));
    }
    if !options.has("inline") {
        for operand in &options.operands {
            let text = match operand.as_str() {
                "-" => process.take_stdin(),
                path if path.contains('/') => {
                    let read = process.world.read(&process.cwd, path);
                    match process.check(&format!("Failed to open '{path}'"), read)? {
                        Some(bytes) => bytes,
                        None => return Ok(1),
                    }
                }
                name => match find(process, name)? {
                    Some(bytes) => bytes,
                    None => {
                        return process.fail(format_args!("Failed to open '{name}': No such file or directory"), 1);
                    }
                },
            };
            lines.extend(parse(operand, &String::from_utf8_lossy(&text))?);
        }
    }
    lines.sort_by_key(Line::rank);
    process.change_accounts(|accounts| lines.into_iter().try_for_each(|line| accounts.declare(line)))?;
    Ok(0)
}

/// The file of this name in the first of the directories that has it.
fn find(process: &mut Process<'_, '_>, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
    let top = hah_format::path::TreePath::root();
    for directory in DIRECTORIES {
        let path = format!("{directory}/{name}");
        if process.world.stat(&top, &path, Follow::Yes).is_ok() {
            return match process.world.read(&top, &path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.is_final() => Err(error.into()),
                Err(_) => Ok(None),
            };
        }
    }
    Ok(None)
}
