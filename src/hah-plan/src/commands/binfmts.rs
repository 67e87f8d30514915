//! update-binfmts(8): programs for files of a format, one file a format in `/var/lib/binfmts`, which
//! `binfmt-support.service` gives to the kernel at every boot.

use std::collections::BTreeMap;

use hah_format::path::TreePath;

use super::{Command, Process, Refusal};

pub(super) const COMMANDS: &[Command] = &[Command::in_tree("update-binfmts", update_binfmts)];

const STATE: &str = "/var/lib/binfmts";
const IMPORTS: &str = "/usr/share/binfmts";
/// The lines of a format's file, in order.
const FIELDS: [&str; 10] =
    ["package", "type", "offset", "magic", "mask", "interpreter", "detector", "credentials", "preserve", "fix_binary"];

fn update_binfmts(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let mut fields = BTreeMap::new();
    let (mut action, mut operands) = (None, Vec::new());
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let (name, own) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        match name {
            "--install" | "--import" | "--enable" | "--disable" if action.is_none() => action = Some(name),
            "--package" | "--magic" | "--mask" | "--offset" | "--extension" | "--detector" | "--credentials"
            | "--preserve" | "--fix-binary" => {
                let value = own.or_else(|| words.next()).unwrap_or_default();
                fields.insert(name.trim_start_matches('-').replace('-', "_"), value.to_owned());
            }
            _ if name.starts_with('-') => return process.unknown(name),
            _ => operands.push(word),
        }
    }
    match (action, &operands[..]) {
        // A running kernel is told.
        (Some("--enable" | "--disable"), _) => Ok(0),
        (Some("--import"), []) => {
            let names = process.world.list(&TreePath::root(), IMPORTS).unwrap_or_default();
            let mut status = 0;
            for name in names {
                status |= import(process, &name)?;
            }
            Ok(status)
        }
        (Some("--import"), [name]) => import(process, name),
        (Some("--install"), [name, interpreter]) => {
            fields.insert("interpreter".to_owned(), (*interpreter).to_owned());
            fields.entry("package".to_owned()).or_insert_with(|| ":".to_owned());
            install(process, name, fields)
        }
        _ => process.unknown(&arguments.join(" ")),
    }
}

/// Installs the format that a package describes in `/usr/share/binfmts`.
fn import(process: &mut Process<'_, '_>, name: &str) -> Result<u8, Refusal> {
    let path = if name.contains('/') { name.to_owned() } else { format!("{IMPORTS}/{name}") };
    let id = name.rsplit('/').next().unwrap_or_default();
    let read = process.world.read(&process.cwd.clone(), &path);
    let bytes = match read {
        Ok(bytes) if !bytes.is_empty() => bytes,
        Err(error) if error.is_final() => return Err(error.into()),
        _ => {
            process.complain(format_args!("warning: couldn't find information about '{id}' to import"));
            return Ok(2);
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    let field = |line: &str| {
        let (key, value) = line.trim_end().split_once(' ')?;
        Some((key.to_ascii_lowercase(), value.to_owned()))
    };
    let fields: BTreeMap<String, String> = text.lines().filter_map(field).collect();
    if !fields.contains_key("package") {
        process.complain(format_args!("warning: {path}: required 'package' line missing"));
        return Ok(2);
    }
    install(process, id, fields)
}

fn install(process: &mut Process<'_, '_>, name: &str, mut fields: BTreeMap<String, String>) -> Result<u8, Refusal> {
    if matches!(name, "." | ".." | "register" | "status") {
        process.complain(format_args!("warning: binary format name '{name}' is reserved"));
        return Ok(2);
    }
    let kind = match (fields.contains_key("magic"), fields.remove("extension")) {
        (true, None) => "magic",
        (false, Some(extension)) => {
            fields.insert("magic".to_owned(), extension);
            "extension"
        }
        _ => return process.unknown(&format!("for {name} without exactly one of magic and extension")),
    };
    fields.insert("type".to_owned(), kind.to_owned());
    fields.entry("offset".to_owned()).or_insert_with(|| "0".to_owned());
    let root = TreePath::root();
    let path = format!("{STATE}/{name}");
    if process.world.exists(&root, &path) {
        let old = process.world.read(&root, &path)?;
        let old = String::from_utf8_lossy(&old).lines().next().unwrap_or_default().to_owned();
        let package = fields.get("package").cloned().unwrap_or_default();
        if old != package {
            process.complain(format_args!(
                "warning: current package is {package}, but binary format already installed by {old}"
            ));
            return Ok(2);
        }
    }
    let line = |field: &&str| format!("{}\n", fields.get(*field).map_or("", String::as_str));
    let text: String = FIELDS.iter().map(line).collect();
    process.world.make_dirs(&root, STATE, 0o755)?;
    process.world.write(&root, &path, 0o644, text.into_bytes())?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::commands::playground::{Entry, Playground};

    #[test]
    fn a_format_of_a_package_is_as_update_binfmts_writes_it() {
        let python = "package python3.13\ninterpreter /usr/bin/python3.13\nmagic \\xf3\\x0d\\x0d\\x0a\n";
        let mut ours = Playground::of(&[("usr/share/binfmts/python3.13", Entry::File(0o644, python))]);
        assert_eq!(ours.run(&["update-binfmts", "--import", "python3.13"]).status, 0);
        // What binfmt-support 2.2.2 of trixie has written.
        let wanted = "python3.13\nmagic\n0\n\\xf3\\x0d\\x0d\\x0a\n\n/usr/bin/python3.13\n\n\n\n\n";
        assert_eq!(ours.text("var/lib/binfmts/python3.13").as_deref(), Some(wanted));
        assert_eq!(ours.run(&["update-binfmts", "--import"]).status, 0);
        assert_eq!(ours.run(&["update-binfmts", "--import", "none"]).status, 2);
        let install =
            ["update-binfmts", "--package", "jar", "--install", "jar", "/usr/bin/jexec", "--extension", "jar"];
        assert_eq!(ours.run(&install).status, 0);
        assert_eq!(
            ours.text("var/lib/binfmts/jar").as_deref(),
            Some("jar\nextension\n0\njar\n\n/usr/bin/jexec\n\n\n\n\n")
        );
        assert!(ours.try_run(&["update-binfmts", "--find", "x"], "").is_err());
    }
}
