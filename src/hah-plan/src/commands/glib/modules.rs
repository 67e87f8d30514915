//! gio-querymodules(1), gdk-pixbuf-query-loaders(1) and gtk-query-immodules: lists of what plugins offer.
//!
//! The tools load each plugin and ask it. A build runs nothing of the target, so the answers are [`facts`] by file name;
//! a plugin that is not among them is refused by its name.

mod facts;

use hah_format::path::TreePath;

use crate::commands::{Process, Refusal};
use crate::world::World;

/// What a plugin says, or a refusal that names it.
fn fact<'f>(process: &Process<'_, '_>, facts: &[(&str, &'f str)], path: &str) -> Result<&'f str, Refusal> {
    let file = path.rsplit('/').next().unwrap_or_default();
    let tool = process.name.rsplit('/').next().unwrap_or_default();
    let known = facts.iter().find(|(name, _)| *name == file).map(|(_, fact)| *fact);
    known.ok_or_else(|| Refusal {
        what: format!(
            "`{tool}` would load {path} and ask it what it offers, which we know of Debian's own plugins only"
        ),
        program: Some(format!("{tool} {path}")),
    })
}

/// The plugins of a directory, sorted.
fn plugins(process: &Process<'_, '_>, dir: &str) -> Result<Vec<String>, Refusal> {
    match process.world.list(&TreePath::root(), dir) {
        Ok(mut names) => {
            names.retain(|name| name.ends_with(".so"));
            names.sort_unstable();
            Ok(names)
        }
        Err(error) if error.is_final() => Err(error.into()),
        Err(_) => Ok(Vec::new()),
    }
}

/// gio-querymodules(1): `giomodule.cache`, from which GIO knows which modules it need not load.
pub(super) fn gio_querymodules(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    if arguments.is_empty() {
        process.print_line("Usage: gio-querymodules <directory1> [<directory2> ...]");
        process.print_line("Will update giomodule.cache in the listed directories");
        return Ok(1);
    }
    let root = TreePath::root();
    for dir in arguments {
        let dir = World::absolute(&process.cwd, dir.trim_end_matches('/'));
        if let Err(error) = process.world.list(&root, &dir) {
            process.stderr.extend_from_slice(format!("Unable to open directory {dir}: {error}\n").as_bytes());
            continue;
        }
        let mut text = String::new();
        for name in plugins(process, &dir)?.into_iter().filter(|name| name.starts_with("lib")) {
            let points = fact(process, facts::GIO, &format!("{dir}/{name}"))?;
            if !points.is_empty() {
                text.push_str(&format!("{name}: {points}\n"));
            }
        }
        let cache = format!("{dir}/giomodule.cache");
        if !text.is_empty() {
            process.world.write(&root, &cache, 0o644, text.into_bytes())?;
        } else if process.world.exists(&root, &cache) {
            process.world.unlink(&root, &cache)?;
        }
    }
    Ok(0)
}

/// The directory of libraries that a tool belongs to: `/usr/lib/aarch64-linux-gnu` of `/usr/lib/aarch64-linux-gnu/x/tool`,
/// or the only one that has `below`.
fn library_dir(process: &Process<'_, '_>, below: &str) -> Result<Option<String>, Refusal> {
    let root = TreePath::root();
    let mut libraries = vec!["/usr/lib".to_owned()];
    let names = process.world.list(&root, "/usr/lib").unwrap_or_default();
    libraries.extend(names.iter().filter(|name| name.contains("-linux-gnu")).map(|name| format!("/usr/lib/{name}")));
    if let Some(own) = libraries[1..].iter().find(|dir| process.name.starts_with(&format!("{dir}/"))) {
        return Ok(Some(own.clone()));
    }
    libraries.retain(|dir| process.world.exists(&root, &format!("{dir}/{below}")));
    if libraries.len() > 1 {
        return process.unknown(&format!("without a path, where {} have {below},", libraries.join(" and ")));
    }
    Ok(libraries.pop())
}

/// gdk-pixbuf-query-loaders(1): which image formats the loaders read, on standard output or in `loaders.cache`.
pub(super) fn gdk_pixbuf_query_loaders(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    const DIR: &str = "gdk-pixbuf-2.0/2.10.0";
    let updates = arguments.iter().any(|word| word == "--update-cache");
    let mut paths: Vec<String> = arguments.iter().filter(|word| *word != "--update-cache").cloned().collect();
    if let Some(option) = paths.iter().find(|word| word.starts_with('-')) {
        return process.unknown(&option.clone());
    }
    let library = library_dir(process, DIR)?;
    let is_all = paths.is_empty();
    if let Some(library) = library.as_ref().filter(|_| is_all) {
        let dir = format!("{library}/{DIR}/loaders");
        paths = plugins(process, &dir)?.into_iter().map(|name| format!("{dir}/{name}")).collect();
    }
    let mut text = "# GdkPixbuf Image Loader Modules file\n# Automatically generated file, do not edit\n\
                    # Created by gdk-pixbuf-query-loaders from gdk-pixbuf-2.42.12\n#\n"
        .to_owned();
    if is_all && let Some(library) = &library {
        text.push_str(&format!("# LoaderDir = {library}/{DIR}/loaders\n#\n"));
    }
    for path in paths {
        let path = World::absolute(&process.cwd, &path);
        text.push_str(&format!("\"{path}\"\n{}\n\n", fact(process, facts::LOADERS, &path)?));
    }
    match library.filter(|_| updates) {
        // One more line than in the cache.
        None => process.print_line(text),
        Some(library) => {
            let cache = format!("{library}/{DIR}/loaders.cache");
            process.world.write(&TreePath::root(), &cache, 0o644, text.into_bytes())?;
        }
    }
    Ok(0)
}

/// gtk-query-immodules-2.0(1) and -3.0(1): which input methods there are, in `immodules.cache` or on standard output.
pub(super) fn gtk_query_immodules(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let (dir, facts, version) = match process.name.ends_with("2.0") {
        true => ("gtk-2.0/2.10.0", facts::INPUT_METHODS_2, "gtk+-2.24.33"),
        false => ("gtk-3.0/3.0.0", facts::INPUT_METHODS_3, "gtk+-3.24.49"),
    };
    if let Some(word) = arguments.iter().find(|word| *word != "--update-cache") {
        return process.unknown(word);
    }
    let Some(library) = library_dir(process, dir)? else { return Ok(0) };
    let modules = format!("{library}/{dir}/immodules");
    let mut text = format!(
        "# GTK+ Input Method Modules file\n# Automatically generated file, do not edit\n\
         # Created by {} from {version}\n#\n# ModulesPath = {modules}\n#\n",
        process.name
    );
    for name in plugins(process, &modules)? {
        let path = format!("{modules}/{name}");
        text.push_str(&format!("\"{path}\" \n{}\n\n", fact(process, facts, &path)?));
    }
    if arguments.is_empty() {
        process.print(text);
    } else {
        let cache = format!("{library}/{dir}/immodules.cache");
        process.world.write(&TreePath::root(), &cache, 0o644, text.into_bytes())?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests;
