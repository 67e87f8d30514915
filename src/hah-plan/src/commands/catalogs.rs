//! update-xmlcatalog(8) of xml-core: which local file stands for which public name, in `/etc/xml`.
//!
//! The state is `/var/lib/xml-core/NAME`, lines `<TYPE ID><ENTRY>`; each catalog is made anew from it between a header and
//! a footer of xml-core. The program itself writes its entries in Perl's order, which is another one at every start; ours
//! are sorted, as with `--sort`.

use std::collections::BTreeMap;

use hah_format::path::TreePath;

use super::{Command, Process, Refusal};
use crate::world::Follow;

pub(super) const COMMANDS: &[Command] = &[Command::in_tree("update-xmlcatalog", update_xmlcatalog)];

const STATE: &str = "/var/lib/xml-core";
const CATALOGS: &str = "/etc/xml";

#[derive(Default)]
struct Arguments {
    adds: bool,
    removes: bool,
    is_root: bool,
    file: Option<String>,
    id: Option<String>,
    local: Option<String>,
    package: Option<String>,
    kind: Option<String>,
}

/// One entry and the catalog that it belongs to.
struct Entry {
    state: String,
    catalog: String,
    key: String,
    value: String,
}

fn update_xmlcatalog(process: &mut Process<'_, '_>, words: &[String]) -> Result<u8, Refusal> {
    let arguments = arguments(process, words)?;
    let entry = match entry(process, &arguments) {
        Ok(entry) => entry,
        Err(error) => {
            process.complain(format_args!("error: {error}"));
            return Ok(1);
        }
    };
    let root = TreePath::root();
    let mut entries = BTreeMap::new();
    if is_file(process, &entry.state) {
        let text = process.world.read(&root, &entry.state)?;
        for line in String::from_utf8_lossy(&text).lines() {
            if let Some((key, value)) = line.split_once('>') {
                let value = value.trim_start_matches('<').trim_end_matches('>');
                entries.insert(key.trim_start_matches('<').to_owned(), value.to_owned());
            }
        }
    }
    if arguments.removes {
        if entries.remove(&entry.key).is_none() {
            process.complain("error: entity not registered");
            return Ok(1);
        }
    } else {
        let known = entries.entry(entry.key.clone()).or_insert_with(|| entry.value.clone());
        if *known != entry.value {
            let text = format!(
                "error: entity already registered with a different value\n Entity   : [{}]\n Old value: [{known}]\n New \
                 value: [{}]",
                entry.key, entry.value
            );
            process.complain(text);
            return Ok(1);
        }
    }
    if is_file(process, &entry.catalog) {
        process.world.rename(&root, &entry.catalog, &format!("{}.old", entry.catalog))?;
    }
    if entries.is_empty() {
        if process.world.exists(&root, &entry.state) {
            process.world.unlink(&root, &entry.state)?;
        }
        return Ok(0);
    }
    let part = |process: &mut Process<'_, '_>, name: &str| -> Result<Option<String>, Refusal> {
        let path = format!("/usr/share/xml-core/catalog.{name}");
        let read = process.world.read(&root, &path);
        Ok(process.check(&path, read)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    };
    let (Some(header), Some(footer)) = (part(process, "header")?, part(process, "footer")?) else { return Ok(2) };
    let state: String = entries.iter().map(|(key, value)| format!("<{key}><{value}>\n")).collect();
    let lines: String = entries.iter().map(|(key, value)| format!("<{key} {value}/>\n")).collect();
    process.world.write(&root, &entry.state, 0o644, state.into_bytes())?;
    process.world.write(&root, &entry.catalog, 0o644, format!("{header}{lines}{footer}").into_bytes())?;
    Ok(0)
}

fn arguments(process: &Process<'_, '_>, words: &[String]) -> Result<Arguments, Refusal> {
    let mut arguments = Arguments::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, own) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        let mut value = || own.map(str::to_owned).or_else(|| words.next().cloned());
        match name {
            "--add" => arguments.adds = true,
            "--del" => arguments.removes = true,
            "--root" => arguments.is_root = true,
            "--verbose" | "--sort" => {}
            "--file" => arguments.file = value(),
            "--id" => arguments.id = value(),
            "--local" => arguments.local = value(),
            "--package" => arguments.package = value(),
            "--type" => arguments.kind = value(),
            other => return process.unknown(other),
        }
    }
    Ok(arguments)
}

fn is_file(process: &Process<'_, '_>, path: &str) -> bool {
    process.world.stat(&TreePath::root(), path, Follow::Yes).is_ok_and(|stat| stat.is_file())
}

/// The entry that is meant; what it leads to must be there when it is added.
fn entry(process: &Process<'_, '_>, arguments: &Arguments) -> Result<Entry, String> {
    match (arguments.adds, arguments.removes) {
        (false, false) => return Err("either 'add' or 'del' must be given".to_owned()),
        (true, true) => return Err("only one of 'add' and 'del' can be given".to_owned()),
        _ => {}
    }
    let kind = arguments.kind.as_deref().ok_or("type not given")?;
    let id = arguments.id.as_deref().ok_or("id not given")?;
    let title = match kind {
        "public" => "Public",
        "system" => "System",
        "uri" => "URI",
        _ => return Err("wrong type".to_owned()),
    };
    let start = if kind == "uri" { "uriStartString".to_owned() } else { format!("{kind}IdStartString") };
    let delegate = format!("delegate{title} {start}=\"{id}\"");
    let there = |what: &str, path: &str| match arguments.removes || is_file(process, path) {
        true => Ok(()),
        false => Err(format!("{what} {path} not found")),
    };
    match (arguments.is_root, &arguments.package, &arguments.local) {
        (true, package, _) => {
            let package = package.as_deref().or(arguments.removes.then_some("")).ok_or("package catalog not given")?;
            there("package catalog", &format!("{CATALOGS}/{package}.xml"))?;
            let value = format!("catalog=\"file://{CATALOGS}/{package}.xml\"");
            Ok(Entry {
                state: format!("{STATE}/catalog"),
                catalog: format!("{CATALOGS}/catalog"),
                key: delegate,
                value,
            })
        }
        (false, Some(package), local) => {
            let local = local.as_deref().or(arguments.removes.then_some("")).ok_or("local catalog not given")?;
            there("local catalog", local)?;
            let (state, catalog) = (format!("{STATE}/{package}"), format!("{CATALOGS}/{package}.xml"));
            Ok(Entry { state, catalog, key: delegate, value: format!("catalog=\"file://{local}\"") })
        }
        (false, None, Some(local)) => {
            let file = arguments.file.as_deref().or(arguments.removes.then_some("")).ok_or("file not given")?;
            there("file", file)?;
            let name = if kind == "uri" { "name".to_owned() } else { format!("{kind}Id") };
            let state = format!("{STATE}/{}", local.replace('/', "_"));
            let (key, value) = (format!("{kind} {name}=\"{id}\""), format!("uri=\"{file}\""));
            Ok(Entry { state, catalog: local.clone(), key, value })
        }
        (false, None, None) => Err("catalog not given".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::playground::{Entry, Playground};

    /// What xml-core's postinst of trixie left in a chroot.
    const CATALOG: &str = r#"<?xml version="1.0"?>
<catalog>
<delegatePublic publicIdStartString="-//OASIS//DTD XML Catalogs V1.0//EN" catalog="file:///etc/xml/xml-core.xml"/>
<delegateSystem systemIdStartString="http://globaltranscorp.org/oasis/catalog/xml/tr9401.dtd" catalog="file:///etc/xml/xml-core.xml"/>
</catalog>
"#;

    #[test]
    fn catalogs_are_as_update_xmlcatalog_sorts_them() {
        let mut ours = Playground::of(&[
            ("usr/share/xml-core/catalog.header", Entry::File(0o644, "<?xml version=\"1.0\"?>\n<catalog>\n")),
            ("usr/share/xml-core/catalog.footer", Entry::File(0o644, "</catalog>\n")),
            ("usr/share/xml/catalog.xml", Entry::File(0o644, "")),
            ("var/lib/xml-core", Entry::Dir(0o755)),
            ("etc/xml", Entry::Dir(0o755)),
        ]);
        let system = ["--add", "--type", "system", "--id", "http://globaltranscorp.org/oasis/catalog/xml/tr9401.dtd"];
        let public = ["--add", "--type", "public", "--id", "-//OASIS//DTD XML Catalogs V1.0//EN"];
        let local = ["--package", "xml-core", "--local", "/usr/share/xml/catalog.xml"];
        let command = ["update-xmlcatalog"];
        assert_eq!(ours.said(&[&command, &system[..], &["--package", "xml-core", "--root"]].concat()).0, 1);
        for id in [&system, &public] {
            assert_eq!(ours.said(&[&command, &id[..], &local].concat()), (0, String::new(), String::new()));
            assert_eq!(ours.run(&[&command, &id[..], &["--package", "xml-core", "--root"]].concat()).status, 0);
        }
        assert_eq!(ours.text("etc/xml/catalog").as_deref(), Some(CATALOG));
        assert!(ours.text("etc/xml/catalog.old").is_some());
        let core = ours.text("etc/xml/xml-core.xml").unwrap();
        assert_eq!(core, CATALOG.replace("/etc/xml/xml-core.xml", "/usr/share/xml/catalog.xml"));
        let state = "<delegatePublic publicIdStartString=\"-//OASIS//DTD XML Catalogs V1.0//EN\"><catalog=\"file:///etc/xml/xml-core.xml\">\n";
        assert!(ours.text("var/lib/xml-core/catalog").unwrap().starts_with(state));
        let other = ["--package", "xml-core", "--local", "/usr/share/xml-core/catalog.header"];
        assert_eq!(ours.run(&[&command, &public[..], &other].concat()).status, 1);
        let del = ["update-xmlcatalog", "--del", "--root", "--type", "public", "--id", public[4]];
        assert_eq!((ours.run(&del).status, ours.run(&del).status), (0, 1));
    }
}
