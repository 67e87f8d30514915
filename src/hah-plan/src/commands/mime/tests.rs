#![expect(clippy::disallowed_methods, reason = "the real tool is the oracle")]

use std::collections::BTreeMap;

use crate::commands::playground::{Entry, Playground, disk_listing, on_disk, real};

/// Runs ours and the real tool on the same sources, and compares every file but `version`.
#[track_caller]
fn check(name: &str, sources: &[(&str, &str)]) {
    let named: Vec<(String, &str)> =
        sources.iter().map(|(name, text)| (format!("usr/share/mime/packages/{name}"), *text)).collect();
    let entries: Vec<(&str, Entry<'_>)> =
        named.iter().map(|(name, text)| (name.as_str(), Entry::File(0o644, text))).collect();
    let mut ours = Playground::of(&entries);
    let found = ours.run(&["update-mime-database", "/usr/share/mime"]);
    let scratch = on_disk(name, &entries);
    let Some(theirs) = real(&["update-mime-database", &format!("{}/usr/share/mime", scratch.path())], &[]) else {
        return;
    };
    assert_eq!(found.status, theirs.status);
    let is_compared = |path: &String| path != "usr/share/mime/version" && path.starts_with("usr/share/mime/");
    let wanted: BTreeMap<_, _> = disk_listing(&scratch).into_iter().filter(|(path, _)| is_compared(path)).collect();
    let got: BTreeMap<_, _> = ours.listing().into_iter().filter(|(path, _)| is_compared(path)).collect();
    assert_eq!(got.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    let differ: Vec<&String> =
        got.iter().filter(|(path, text)| wanted[*path] != **text).map(|(path, _)| path).collect();
    for path in &differ {
        if differ.len() < 4 {
            println!("{path}\n got {:?}\nwant {:?}", got[*path], wanted[*path]);
        }
    }
    assert!(differ.is_empty(), "{} files differ: {:?}", differ.len(), &differ[..differ.len().min(20)]);
}

const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info" xmlns:k="urn:k">"#;

fn source(body: &str) -> String {
    format!("{HEAD}\n{body}\n</mime-info>\n")
}

#[test]
fn the_whole_database_of_this_machine_is_the_same_byte_by_byte() {
    let packages = "/usr/share/mime/packages";
    let Ok(entries) = std::fs::read_dir(packages) else {
        assert!(std::env::var("HAH_REQUIRE_ORACLES").is_err(), "shared-mime-info is not installed");
        return;
    };
    let files: Vec<(String, String)> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| (name.clone(), std::fs::read_to_string(format!("{packages}/{name}")).unwrap()))
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    check("mime-whole", &files);
}

#[test]
fn every_element_of_the_specification_is_the_same_byte_by_byte() {
    let first = source(
        r#"<mime-type type="text/x-a">
  <comment>A &lt;b&gt; &amp; "c"</comment>
  <comment xml:lang="de">Ä</comment>
  <acronym>A</acronym>
  <glob pattern="*.A"/> <glob pattern="*.b" weight="80"/> <glob pattern="*.C" case-sensitive="true"/>
  <glob pattern="Makefile.*"/> <glob pattern="[x]?.d"/> <glob pattern="*.tar.b"/> <glob pattern="readme"/>
  <alias type="text/a"/> <sub-class-of type="text/plain"/> <sub-class-of type="text/xml"/>
  <icon name="i"/> <generic-icon name="g&quot;"/>
  <root-XML namespaceURI="urn:x" localName="a"/> <root-XML namespaceURI="" localName="b"/>
  <magic priority="80">
    <match type="string" value="\x41b\101\n\\" mask="0xffdf" offset="0:12"><match type="byte" value="0x7f" offset="3"/>
      <match type="host16" value="0x1234" mask="0xff00" offset="4"><match type="big32" value="017" offset="1"/></match></match>
    <match type="little32" value="65536" offset="9"/>
  </magic>
  <magic><match type="host32" value="1" offset="0"/></magic>
  <k:other a="1" k:b="x&#10;y"><k:in/><!--c--></k:other>
  <k:text>t <k:in/> u</k:text>
</mime-type>
<mime-type type="x-content/x-m">
  <treemagic><treematch path="a/b" type="directory" non-empty="true"><treematch path="c" executable="true"/></treematch>
    <treematch path="d" match-case="true" type="link" mimetype="image/*"/></treemagic>
</mime-type>"#,
    );
    let second = source(
        r#"<mime-type type="text/x-a"><comment>New</comment><comment xml:lang="de">Neu</comment><glob pattern="*.a"/></mime-type>
<mime-type type="text/x-b"><glob-deleteall/><magic-deleteall/><glob pattern="*.b"/><glob pattern="*.b" weight="90"/></mime-type>"#,
    );
    let last = source(r#"<mime-type type="Text/X-C"><icon name="over"/><glob pattern="*.ü"/></mime-type>"#);
    check("mime-all", &[("Override.xml", &last), ("a.xml", &first), ("b.xml", &second), ("none.txt", "no")]);
}

#[test]
fn an_element_that_is_wrong_ends_its_type_and_nothing_else() {
    for (name, body) in [
        ("offset", r#"<magic><match type="string" value="a" offset="x"/></magic>"#),
        ("kind", r#"<magic><match type="quad" value="a" offset="0"/></magic>"#),
        ("number", r#"<magic><match type="byte" value="256" offset="0"/></magic>"#),
        ("empty", "<magic/>"),
        ("weight", r#"<glob pattern="*.w" weight="101"/>"#),
        ("alias", r#"<alias type="none"/>"#),
        ("space", r#"<root-XML namespaceURI="a b" localName=""/>"#),
        ("mask", r#"<magic><match type="string" value="a" mask="0xffff" offset="0"/></magic>"#),
    ] {
        let text = source(&format!(
            r#"<mime-type type="text/x-a"><glob pattern="*.1"/>{body}<glob pattern="*.2"/></mime-type>
<mime-type type="bad"/><other/><mime-type type="text/x-z"><glob pattern="*.3"/></mime-type>"#
        ));
        check(&format!("mime-wrong-{name}"), &[("a.xml", &text)]);
    }
}

#[test]
fn a_source_that_is_no_xml_is_refused() {
    let tree = [("m/packages/a.xml", Entry::File(0o644, "<mime-info"))];
    let refusal = Playground::of(&tree).try_run(&["update-mime-database", "/m"], "").unwrap_err();
    assert!(refusal.what.contains("/m/packages/a.xml"), "{refusal}");
    assert_eq!(Playground::of(&[("m", Entry::Dir(0o755))]).run(&["update-mime-database", "/m"]).status, 1);
    assert_eq!(Playground::of(&[("m", Entry::Dir(0o755))]).run(&["update-mime-database"]).status, 1);
}

#[test]
fn files_of_types_that_no_source_has_go() {
    let text = source(r#"<mime-type type="text/x-a"/>"#);
    let mut ours = Playground::of(&[
        ("m/packages/a.xml", Entry::File(0o644, &text)),
        ("m/text/x-old.xml", Entry::File(0o644, "")),
        ("m/text/note", Entry::File(0o644, "")),
    ]);
    assert_eq!(ours.run(&["update-mime-database", "/m/"]).status, 0);
    assert_eq!(ours.text("m/text/x-old.xml"), None);
    assert!(ours.text("m/text/note").is_some() && ours.text("m/text/x-a.xml").is_some());
}
