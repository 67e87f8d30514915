//! Small registries that are made at once: text files that follow from the files of a directory.
//!
//! | command | makes |
//! |---|---|
//! | `update-desktop-database` | `/usr/share/applications/mimeinfo.cache`: which programs open a type |
//! | `update-catalog --update-super` | `/var/lib/sgml-base/supercatalog`: the list of SGML catalogs |
//! | `lighty-enable-mod`, `lighty-disable-mod` | links in `/etc/lighttpd/conf-enabled` |

use std::collections::{BTreeMap, BTreeSet};

use hah_format::path::TreePath;

use super::{Command, Process, Refusal};
use crate::world::{Errno, Follow};

pub(super) const COMMANDS: &[Command] = &[
    Command::in_tree("update-desktop-database", update_desktop_database),
    Command::in_tree("update-catalog", update_catalog),
    Command::in_tree("lighty-enable-mod", lighty_enable_mod),
    Command::in_tree("lighttpd-enable-mod", lighty_enable_mod),
    Command::in_tree("lighty-disable-mod", lighty_enable_mod),
    Command::in_tree("lighttpd-disable-mod", lighty_enable_mod),
];

fn names(process: &Process<'_, '_>, dir: &str) -> Result<Vec<String>, Refusal> {
    match process.world.list(&TreePath::root(), dir) {
        Ok(names) => Ok(names),
        Err(error) if error.is_final() => Err(error.into()),
        Err(_) => Ok(Vec::new()),
    }
}

/// The text of a file; `None` when there is none.
fn text_of(process: &mut Process<'_, '_>, path: &str) -> Result<Option<String>, Refusal> {
    match process.world.read(&TreePath::root(), path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.is_final() => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// update-desktop-database(1), which desktop-file-utils runs when a package brings desktop entries.
fn update_desktop_database(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let (mut is_quiet, mut dirs) = (false, Vec::new());
    for word in arguments {
        match word.as_str() {
            "-q" | "--quiet" => is_quiet = true,
            "-v" | "--verbose" => {}
            option if option.starts_with('-') => return process.unknown(option),
            dir => dirs.push(crate::world::World::absolute(&process.cwd, dir)),
        }
    }
    if dirs.is_empty() {
        dirs = vec!["/usr/local/share/applications".to_owned(), "/usr/share/applications".to_owned()];
    }
    let mut is_any = false;
    for dir in dirs {
        if !process.world.stat(&TreePath::root(), &dir, Follow::Yes).is_ok_and(|stat| stat.is_dir()) {
            continue;
        }
        is_any = true;
        let mut types: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        collect(process, &dir, "", &mut types)?;
        let mut text = String::from("[MIME Cache]\n");
        for (kind, programs) in types {
            let programs: Vec<String> = programs.into_iter().collect();
            text.push_str(&format!("{kind}={};\n", programs.join(";")));
        }
        process.world.write(&TreePath::root(), &format!("{dir}/mimeinfo.cache"), 0o644, text.into_bytes())?;
    }
    if !is_any && !is_quiet {
        process.stderr.extend_from_slice(b"The databases could not be updated.\n");
    }
    Ok(u8::from(!is_any))
}

/// Adds the types of the entries in `dir` and below; an entry's name has its directories before it, joined by `-`.
fn collect(
    process: &mut Process<'_, '_>,
    dir: &str,
    prefix: &str,
    types: &mut BTreeMap<String, BTreeSet<String>>,
) -> Result<(), Refusal> {
    for name in names(process, dir)? {
        let at = format!("{dir}/{name}");
        let is_dir = process.world.stat(&TreePath::root(), &at, Follow::Yes).is_ok_and(|stat| stat.is_dir());
        if is_dir {
            collect(process, &at, &format!("{prefix}{name}-"), types)?;
        } else if name.ends_with(".desktop")
            && let Some(text) = text_of(process, &at)?
        {
            for kind in mime_types(&text) {
                types.entry(kind).or_default().insert(format!("{prefix}{name}"));
            }
        }
    }
    Ok(())
}

/// `MimeType=` of the group `[Desktop Entry]`, unless the entry is hidden.
fn mime_types(text: &str) -> Vec<String> {
    let (mut is_inside, mut is_hidden, mut found) = (false, false, Vec::new());
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with('[') {
            is_inside = line == "[Desktop Entry]";
        } else if let Some((key, value)) = line.split_once('=').filter(|_| is_inside) {
            match key.trim() {
                "Hidden" => is_hidden = value.trim() == "true",
                "MimeType" => {
                    let kinds = value.split(';').map(str::trim).filter(|kind| is_mime_type(kind));
                    found = kinds.map(str::to_owned).collect();
                }
                _ => {}
            }
        }
    }
    if is_hidden { Vec::new() } else { found }
}

fn is_mime_type(kind: &str) -> bool {
    let is_token = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic());
    kind.split_once('/').is_some_and(|(class, name)| is_token(class) && is_token(name) && !name.contains('/'))
}

/// update-catalog(8) of sgml-base.
fn update_catalog(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).filter(|word| *word != "--quiet").collect();
    match words[..] {
        ["--update-super"] => {}
        // The program sets off a trigger, which has the super catalog made anew.
        ["--add" | "--remove", "--super", _] | ["--super", "--add" | "--remove", _] => {}
        [action @ ("--add" | "--remove"), catalog, entry] => {
            return change_catalog(process, catalog, (action == "--add", entry));
        }
        _ => return process.unknown(&words.join(" ")),
    }
    let mut text = String::from(
        "--\n## This file is created by update-catalog with update-super.\n\
         ## Please see update-catalog(8) for how to modify this file.\n--\n",
    );
    for name in names(process, "/etc/sgml")? {
        if !name.ends_with(".cat") || name.len() < 5 || name.starts_with('.') {
            continue;
        }
        let at = format!("/etc/sgml/{name}");
        let Some(catalog) = text_of(process, &at)? else { continue };
        if let Some(line) = catalog.lines().find(|line| !is_plain(line)) {
            return Err(Refusal::new(format!("`update-catalog` finds `{line}` in {at}, which is more than we read")));
        }
        let referenced = catalog.lines().filter_map(|line| line.trim().strip_prefix("CATALOG "));
        if referenced.clone().all(|path| process.world.exists(&TreePath::root(), path.trim().trim_matches('"'))) {
            text.push_str(&format!("CATALOG {at}\n"));
        } else if !arguments.iter().any(|word| word == "--quiet") {
            process.print_line(format!(
                "Warning ignoring catalog `{at}' which references non-existent catalogs. See man update-catalog for details."
            ));
        }
    }
    let root = TreePath::root();
    let super_catalog = "/var/lib/sgml-base/supercatalog";
    if process.world.exists(&root, super_catalog) {
        process.world.rename(&root, super_catalog, &format!("{super_catalog}.old"))?;
    }
    let written = process.world.write(&root, super_catalog, 0o644, text.into_bytes());
    Ok(u8::from(process.check(super_catalog, written)?.is_none()))
}

/// Takes `entry` out of a catalog of catalogs, which is made from sgml-base's template when it is not there, and puts it
/// at its end where it is to be added.
fn change_catalog(
    process: &mut Process<'_, '_>,
    catalog: &str,
    (is_added, entry): (bool, &str),
) -> Result<u8, Refusal> {
    const TEMPLATE: &str = "/usr/share/sgml-base/catalog.centralized";
    let root = TreePath::root();
    let mut lines: Vec<String> = match text_of(process, catalog)? {
        Some(text) => {
            process.world.rename(&root, catalog, &format!("{catalog}.old"))?;
            text.lines().filter(|line| !line.contains(entry)).map(str::to_owned).collect()
        }
        None => {
            let read = process.world.read(&root, TEMPLATE);
            let Some(template) = process.check(TEMPLATE, read)? else { return Ok(2) };
            String::from_utf8_lossy(&template).lines().map(|line| line.replacen("CATALOG", catalog, 1)).collect()
        }
    };
    if is_added {
        lines.push(format!("CATALOG {entry}"));
    }
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let written = process.world.write(&root, catalog, 0o644, text.into_bytes());
    Ok(u8::from(process.check(catalog, written)?.is_none()))
}

/// A line of a catalog of catalogs: `CATALOG /path`, or nothing.
fn is_plain(line: &str) -> bool {
    let line = line.trim();
    if line == "--" || line.starts_with("## ") {
        return true;
    }
    let path = line.strip_prefix("CATALOG ").map(|path| path.trim().trim_matches('"'));
    line.is_empty() || path.is_some_and(|path| path.starts_with('/') && !path.contains(char::is_whitespace))
}

/// lighty-enable-mod(1): `/etc/lighttpd/conf-enabled/NN-NAME.conf → ../conf-available/NN-NAME.conf`.
fn lighty_enable_mod(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    const CONF: &str = "/etc/lighttpd";
    let enables = !process.name.ends_with("disable-mod");
    if arguments.is_empty() {
        return process.unknown("without a name, which asks somebody,");
    }
    let listed = |process: &Process<'_, '_>, dir: &str| -> Result<BTreeMap<String, String>, Refusal> {
        let module = |file: String| {
            let (digits, rest) = file.split_once('-')?;
            let name = rest.strip_suffix(".conf")?.to_owned();
            (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some((name, file))
        };
        Ok(names(process, &format!("{CONF}/{dir}"))?.into_iter().filter_map(module).collect())
    };
    let available = listed(process, "conf-available")?;
    let mut enabled = listed(process, "conf-enabled")?;
    let (mut status, mut todo) = (0, arguments.to_vec());
    let mut at = 0;
    while let Some(name) = todo.get(at).cloned() {
        at += 1;
        let Some(file) = available.get(&name) else {
            process.print_line(format!("Ignoring unknown module: {name}"));
            status = 2;
            continue;
        };
        let link = format!("{CONF}/conf-enabled/{file}");
        if !enables {
            if enabled.remove(&name).is_none() {
                process.print_line(format!("Already disabled {name}"));
                status = 2;
                continue;
            }
            process.print_line(format!("Disabling {name}"));
            for (other, file) in &available {
                let text = text_of(process, &format!("{CONF}/conf-available/{file}"))?.unwrap_or_default();
                if *other != name && enabled.contains_key(other) && marked(&text, "depends").contains(&name) {
                    process.print_line(format!("Reverse dependency met: Disabling {other} too"));
                    todo.push(other.clone());
                }
            }
            match process.world.unlink(&TreePath::root(), &link) {
                Ok(()) | Err(Errno::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
            continue;
        }
        if process.world.exists(&TreePath::root(), &link) {
            process.print_line("already enabled");
            status = 2;
            continue;
        }
        let text = text_of(process, &format!("{CONF}/conf-available/{file}"))?.unwrap_or_default();
        for needed in marked(&text, "depends") {
            if enabled.contains_key(&needed) {
                continue;
            }
            if !available.contains_key(&needed) {
                process.print_line(format!("Unresolved dependency: {needed}"));
                return Ok(1);
            }
            process.print_line(format!("Met dependency: {needed}"));
            todo.push(needed);
        }
        if let Some(other) = marked(&text, "conflicts").into_iter().find(|other| enabled.contains_key(other)) {
            process.print_line(format!("Conflicting dependencies: {name} conflicts with {other}"));
            return Ok(1);
        }
        process.world.make_symlink(&TreePath::root(), &link, &format!("../conf-available/{file}"))?;
        process.print_line(format!("Enabling {name}: ok"));
        enabled.insert(name, file.clone());
    }
    process.print_line("Run \"service lighttpd force-reload\" to enable changes");
    Ok(status)
}

/// The modules of a mark in a comment: `# -*- depends: a, b -*-`.
fn marked(text: &str, kind: &str) -> Vec<String> {
    let mark = format!("# -*- {kind}: ");
    let lines = text.lines().filter_map(|line| line.split_once(&mark)?.1.split_once(" -*-").map(|(list, _)| list));
    lines.flat_map(|list| list.split(',').map(|name| name.trim().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::playground::{Entry, Playground, on_disk, real};

    const DESKTOP: &[(&str, Entry<'static>)] = &[
        (
            "usr/share/applications/b.desktop",
            Entry::File(0o644, "[Desktop Entry]\nType=Application\nName=b\nMimeType=text/plain;image/png;\n"),
        ),
        (
            "usr/share/applications/a.desktop",
            Entry::File(0o644, "[Desktop Entry]\nName=a\nMimeType = text/plain\n[Other]\nMimeType=text/no;\n"),
        ),
        (
            "usr/share/applications/kde/c.desktop",
            Entry::File(0o644, "[Desktop Entry]\nName=c\nMimeType=x-scheme-handler/http;bad;\n"),
        ),
        (
            "usr/share/applications/hidden.desktop",
            Entry::File(0o644, "[Desktop Entry]\nHidden=true\nMimeType=text/plain;\n"),
        ),
        ("usr/share/applications/none.desktop", Entry::File(0o644, "[Desktop Entry]\nName=n\n")),
        ("usr/share/applications/notes.txt", Entry::File(0o644, "MimeType=text/plain;\n")),
    ];

    #[test]
    fn types_are_as_update_desktop_database_writes_them() {
        let scratch = on_disk("desktop", DESKTOP);
        let dir = format!("{}/usr/share/applications", scratch.path());
        let Some(theirs) = real(&["update-desktop-database", "-q", &dir], &[]) else { return };
        let mut ours = Playground::of(DESKTOP);
        assert_eq!(ours.run(&["update-desktop-database", "-q"]).status, theirs.status);
        let at = "usr/share/applications/mimeinfo.cache";
        assert_eq!(ours.text(at).unwrap(), scratch.read(at));
    }

    #[test]
    fn without_schemas_nothing_is_compiled() {
        let tree = [("usr/share/glib-2.0/schemas", Entry::Dir(0o755)), ("etc/x", Entry::File(0o644, ""))];
        let scratch = on_disk("schemas", &tree);
        let mut ours = Playground::of(&tree);
        for (dir, cache) in
            [("usr/share/glib-2.0/schemas", None), ("etc", Some("etc/gschemas.compiled")), ("none", None)]
        {
            if let Some(cache) = cache {
                scratch.write(cache, "");
                ours.world.write(&TreePath::root(), &format!("/{cache}"), 0o644, Vec::new()).unwrap();
            }
            let place = format!("{}/{dir}", scratch.path());
            let Some(theirs) = real(&["glib-compile-schemas", &place], &[]) else { return };
            let found = ours.run(&["glib-compile-schemas", &format!("/{dir}")]);
            assert_eq!((found.status, found.stdout), (theirs.status, theirs.stdout), "{dir}");
        }
        assert_eq!(ours.text("etc/gschemas.compiled"), None);
    }

    #[test]
    fn the_catalog_of_catalogs_lists_those_whose_catalogs_are_there() {
        let mut ours = Playground::of(&[
            ("etc/sgml/a.cat", Entry::File(0o644, "CATALOG /usr/share/a/catalog\n")),
            ("etc/sgml/b.cat", Entry::File(0o644, "CATALOG /usr/share/none/catalog\n")),
            ("etc/sgml/catalog", Entry::File(0o644, "x")),
            ("usr/share/a/catalog", Entry::File(0o644, "")),
            ("var/lib/sgml-base", Entry::Dir(0o755)),
        ]);
        assert_eq!(ours.run(&["update-catalog", "--quiet", "--update-super"]).status, 0);
        let text = ours.text("var/lib/sgml-base/supercatalog").unwrap();
        assert!(text.ends_with("--\nCATALOG /etc/sgml/a.cat\n"), "{text}");
        assert_eq!(ours.run(&["update-catalog", "--add", "/etc/sgml/x.cat", "/y"]).status, 2);
        let template = "--\n## CATALOG : it\n--\n";
        ours.world
            .make_dirs(&TreePath::root(), "/usr/share/sgml-base", 0o755)
            .and_then(|()| {
                let at = "/usr/share/sgml-base/catalog.centralized";
                ours.world.write(&TreePath::root(), at, 0o644, template.as_bytes().to_vec())
            })
            .unwrap();
        for entry in ["/usr/share/x/catalog", "/usr/share/y/catalog", "/usr/share/x/catalog"] {
            assert_eq!(ours.run(&["update-catalog", "--quiet", "--add", "/etc/sgml/x.cat", entry]).status, 0);
        }
        assert_eq!(
            ours.text("etc/sgml/x.cat").unwrap(),
            "--\n## /etc/sgml/x.cat : it\n--\nCATALOG /usr/share/y/catalog\nCATALOG /usr/share/x/catalog\n"
        );
        ours.run(&["update-catalog", "--remove", "/etc/sgml/x.cat", "/usr/share/y/catalog"]);
        assert!(!ours.text("etc/sgml/x.cat").unwrap().contains("/y/"));
    }

    #[test]
    fn modules_of_lighttpd_come_with_what_they_need() {
        let mut ours = Playground::of(&[
            ("etc/lighttpd/conf-enabled", Entry::Dir(0o755)),
            ("etc/lighttpd/conf-available/10-fastcgi.conf", Entry::File(0o644, "")),
            ("etc/lighttpd/conf-available/15-php.conf", Entry::File(0o644, "# -*- depends: fastcgi -*-\n")),
            ("etc/lighttpd/conf-available/20-no.conf", Entry::File(0o644, "# -*- conflicts: php -*-\n")),
        ]);
        let (status, said, _) = ours.said(&["lighty-enable-mod", "php"]);
        assert_eq!(status, 0);
        assert_eq!(
            said,
            "Met dependency: fastcgi\nEnabling php: ok\nEnabling fastcgi: ok\nRun \"service lighttpd force-reload\" to enable changes\n"
        );
        assert_eq!(
            ours.link("etc/lighttpd/conf-enabled/15-php.conf").as_deref(),
            Some("../conf-available/15-php.conf")
        );
        assert_eq!(ours.run(&["lighty-enable-mod", "php"]).status, 2);
        assert_eq!(ours.run(&["lighty-enable-mod", "no"]).status, 1);
        assert_eq!(ours.run(&["lighty-disable-mod", "fastcgi"]).status, 0);
        assert_eq!(ours.link("etc/lighttpd/conf-enabled/15-php.conf"), None);
        assert_eq!(names_of(&ours), 0);
    }

    fn names_of(ours: &Playground) -> usize {
        ours.world.list(&TreePath::root(), "/etc/lighttpd/conf-enabled").unwrap().len()
    }
}
