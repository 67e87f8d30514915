//! The tools of postgresql-common, which are Perl: pg_lsclusters(1), pg_conftool(1), pg_updatedicts(8), and pam_getenv(1) that
//! they come with.
//!
//! An image has no database cluster, since that belongs to one machine: the node makes it on its first boot.

use hah_format::path::TreePath;

use super::options::Order;
use super::{Command, Process, Refusal};

pub(super) const COMMANDS: &[Command] = &[
    Command::in_tree("pg_lsclusters", pg_lsclusters),
    Command::in_tree("pg_conftool", pg_conftool),
    Command::in_tree("pg_updatedicts", pg_updatedicts),
    Command::in_tree("pam_getenv", pam_getenv),
];

/// Where hunspell and myspell dictionaries are, whose words PostgreSQL's text search can take.
const DICTIONARIES: [&str; 2] = ["/usr/share/hunspell", "/usr/share/myspell/dicts"];

impl Process<'_, '_> {
    fn names_in(&self, directory: &str) -> Vec<String> {
        self.world.list(&TreePath::root(), directory).unwrap_or_default()
    }

    fn text_of(&mut self, path: &str) -> Result<String, Refusal> {
        match self.world.read(&TreePath::root(), path) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.is_final() => Err(error.into()),
            Err(_) => Ok(String::new()),
        }
    }
}

/// pg_lsclusters(1): a header, and no cluster. One that a recipe has configured cannot be told about, since it does not run.
fn pg_lsclusters(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "h,no-header j,json s,start-conf", Order::Any)?;
    if options.has("j") || !options.operands.is_empty() {
        return process.unknown(&args.join(" "));
    }
    for version in process.names_in("/etc/postgresql") {
        let clusters = process.names_in(&format!("/etc/postgresql/{version}"));
        let is_cluster = |name: &String| {
            process.world.exists(&TreePath::root(), &format!("/etc/postgresql/{version}/{name}/postgresql.conf"))
        };
        if clusters.iter().any(is_cluster) {
            return process.unknown("where a cluster is configured");
        }
    }
    if !options.has("h") {
        process.print_line("Ver Cluster Port Status Owner Data directory Log file");
    }
    Ok(0)
}

/// pg_conftool(1): `show KEY` of a file; with `-s` the value alone, with `-b` as `on` or `off`.
fn pg_conftool(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "b,boolean s,short v,verbose", Order::Any)?;
    let [file, action, key] = options.operands.as_slice() else { return process.unknown(&args.join(" ")) };
    if !matches!(action.as_str(), "show" | "get") || key == "all" || !file.starts_with('/') {
        return process.unknown(&args.join(" "));
    }
    let text = process.text_of(file)?;
    let mut settings = text.lines().filter_map(setting);
    let Some((_, value)) = settings.rfind(|(name, _)| name.eq_ignore_ascii_case(key)) else {
        if options.has("v") {
            process.print_line(format!("# {key} not found in {file}"));
        }
        return Ok(1);
    };
    let value = match options.has("b") {
        true => if is_true(&value) { "on" } else { "off" }.to_owned(),
        false => value,
    };
    match options.has("s") {
        true => process.print_line(value),
        false if value.bytes().all(|byte| byte.is_ascii_digit()) => process.print_line(format!("{key} = {value}")),
        false => process.print_line(format!("{key} = '{value}'")),
    }
    Ok(0)
}

/// A line `name = value`, `name value` or with a value in quotes; a comment may stand behind it.
fn setting(line: &str) -> Option<(&str, String)> {
    let line = line.trim_start();
    let end = line.find(|c: char| c.is_whitespace() || c == '=').filter(|end| *end > 0 && !line.starts_with('#'))?;
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    let value = match rest.strip_prefix('\'') {
        Some(rest) => unquoted(rest),
        None => rest.split(|c: char| c == '#' || c.is_whitespace()).next()?.to_owned(),
    };
    Some((name, value))
}

/// The text up to the closing quote; a doubled quote stands for one.
fn unquoted(text: &str) -> String {
    let mut value = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' && chars.next_if_eq(&'\'').is_none() {
            break;
        }
        value.push(c);
    }
    value
}

/// What PostgreSQL takes for true.
fn is_true(value: &str) -> bool {
    ["on", "true", "yes", "1"].contains(&value.to_ascii_lowercase().as_str())
}

/// pg_updatedicts(8) where no dictionary is installed; to convert one is its own work.
fn pg_updatedicts(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    if let Some(word) = args.first() {
        return process.unknown(word);
    }
    for directory in DICTIONARIES {
        if let Some(name) = process.names_in(directory).into_iter().find(|name| name.ends_with(".aff")) {
            let path = format!("{directory}/{name}");
            let stat = process.world.stat(&TreePath::root(), &path, crate::world::Follow::No);
            // Links are other names of a dictionary.
            if stat.is_ok_and(|stat| !stat.is_symlink()) {
                let what = format!("`pg_updatedicts` converts the dictionary {path}");
                return Err(Refusal { what, program: Some("pg_updatedicts".to_owned()) });
            }
        }
    }
    let made = process.world.make_dirs(&TreePath::root(), "/var/cache/postgresql/dicts", 0o755);
    if process.check("/var/cache/postgresql/dicts", made)?.is_none() {
        return Ok(1);
    }
    process.print_line("Building PostgreSQL dictionaries from installed myspell/hunspell packages...");
    process.print_line("Removing obsolete dictionary files:");
    Ok(0)
}

/// pam_getenv(1): a variable of `/etc/environment`; `-l` and `-s` mean nothing yet.
fn pam_getenv(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "l s", Order::Any)?;
    let [name] = options.operands.as_slice() else { return process.unknown(&args.join(" ")) };
    let text = process.text_of("/etc/environment")?;
    let mut values = text.lines().filter_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("export ").unwrap_or(line).trim_start().strip_prefix(name.as_str())?.strip_prefix('=')
    });
    match values.next_back().map(|value| value.trim().trim_matches(['"', '\''])) {
        Some(value) if value.contains(['$', '@', '\\']) => process.unknown("on a value that refers to others"),
        Some(value) => {
            process.print_line(value);
            Ok(0)
        }
        None => Ok(1),
    }
}

#[cfg(test)]
mod tests;
