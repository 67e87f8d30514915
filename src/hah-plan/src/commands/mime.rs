//! update-mime-database(1): the caches of `/usr/share/mime`, from which programs tell a file's type.
//!
//! | module | does |
//! |---|---|
//! | `source` | reads `packages/*.xml` into a [`source::Database`] |
//! | `magic` | the rules that look into a file, parsed |
//! | `element` | XML that is copied from source to `MEDIA/SUBTYPE.xml` |
//! | `text` | `globs`, `globs2`, `magic`, `aliases` and the other text files |
//! | `cache` | `mime.cache`, the binary file that programs map |
//!
//! Formats: the Shared MIME-info Database specification of freedesktop.org, "Unified system". Where it leaves an order
//! open, the order is that of shared-mime-info's own program, so that the files are the same byte by byte.

mod element;
mod magic;
mod source;
mod text;
mod cache;

use hah_format::path::TreePath;

use super::{Command, Process, Refusal};
use crate::world::{Follow, World};

use source::Database;

pub(super) const COMMANDS: &[Command] = &[Command::in_tree("update-mime-database", update_mime_database)];

/// The media types whose directories are searched for types that no longer exist.
const MEDIA: [&str; 17] = [
    "all",
    "uri",
    "print",
    "text",
    "application",
    "image",
    "audio",
    "inode",
    "video",
    "message",
    "model",
    "multipart",
    "x-content",
    "x-epoc",
    "x-scheme-handler",
    "font",
    "chemical",
];

fn update_mime_database(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    const USAGE: &str = "Usage: update-mime-database [-hvVn] MIME-DIR\n";
    let mut dirs = Vec::new();
    for word in arguments {
        match word.as_str() {
            "-h" => {
                process.stderr.extend_from_slice(USAGE.as_bytes());
                return Ok(0);
            }
            // `-n` leaves a cache alone that is newer than its sources; every file of a build has one time.
            "-V" | "-n" => {}
            option if option.starts_with('-') && option.len() > 1 => return process.unknown(option),
            dir => dirs.push(dir),
        }
    }
    let [dir] = dirs[..] else {
        process.stderr.extend_from_slice(USAGE.as_bytes());
        return Ok(1);
    };
    let dir = match dir.trim_end_matches('/') {
        "" => "/".to_owned(),
        dir => World::absolute(&process.cwd, dir),
    };
    let root = TreePath::root();
    let packages = format!("{dir}/packages");
    if !process.world.stat(&root, &packages, Follow::Yes).is_ok_and(|stat| stat.is_dir()) {
        process.stderr.extend_from_slice(format!("Directory '{packages}' does not exist!\n").as_bytes());
        return Ok(1);
    }
    let database = load(process, &packages)?;
    remove_old_types(process, &dir, &database)?;
    for kind in database.types() {
        let media = format!("{dir}/{}", kind.media.to_ascii_lowercase());
        process.world.make_dirs(&root, &media, 0o755)?;
        let file = format!("{media}/{}.xml", kind.subtype.to_ascii_lowercase());
        process.world.write(&root, &file, 0o644, kind.xml().into_bytes())?;
    }
    for (name, bytes) in text::files(&database) {
        process.world.write(&root, &format!("{dir}/{name}"), 0o644, bytes)?;
    }
    process.world.write(&root, &format!("{dir}/mime.cache"), 0o644, cache::bytes(&database))?;
    let version = format!("{}\n", version(process));
    process.world.write(&root, &format!("{dir}/version"), 0o644, version.into_bytes())?;
    Ok(0)
}

/// Every `*.xml` of `packages`, in order of name and `Override.xml` last. What is wrong with a file is said on standard
/// output, as the program does, and the rest of it holds.
fn load(process: &mut Process<'_, '_>, packages: &str) -> Result<Database, Refusal> {
    let root = TreePath::root();
    let mut names = process.world.list(&root, packages)?;
    names.retain(|name| name.ends_with(".xml") && name != ".xml");
    names.sort_by_key(|name| (name == "Override.xml", name.clone()));
    let mut database = Database::default();
    for name in names {
        let path = format!("{packages}/{name}");
        let bytes = process.world.read(&root, &path)?;
        let unreadable = |why: String| Refusal::new(format!("`update-mime-database` cannot read {path}: {why}"));
        let text = String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8".to_owned()))?;
        for warning in database.load(&path, &text).map_err(unreadable)? {
            process.print_line(warning);
        }
    }
    Ok(database)
}

/// Takes away `MEDIA/SUBTYPE.xml` of types that no source has.
fn remove_old_types(process: &mut Process<'_, '_>, dir: &str, database: &Database) -> Result<(), Refusal> {
    let root = TreePath::root();
    for media in MEDIA {
        for name in process.world.list(&root, &format!("{dir}/{media}")).unwrap_or_default() {
            let subtype = name.strip_suffix(".xml").filter(|subtype| !subtype.is_empty());
            if subtype.is_some_and(|subtype| !database.has_type(&format!("{media}/{subtype}"))) {
                process.world.unlink(&root, &format!("{dir}/{media}/{name}"))?;
            }
        }
    }
    Ok(())
}

/// What `update-mime-database` says it is: the upstream version of the package that ships it.
fn version(process: &Process<'_, '_>) -> String {
    let package = process.world.packages.iter().find(|package| package.name.as_str() == "shared-mime-info");
    let version = package.map(|package| package.version.to_string()).unwrap_or_default();
    let upstream = version.rsplit_once('-').map_or(version.as_str(), |(upstream, _)| upstream);
    let upstream = upstream.split_once(':').map_or(upstream, |(_, upstream)| upstream);
    if upstream.is_empty() { "2.4".to_owned() } else { upstream.to_owned() }
}

#[cfg(test)]
mod tests;
