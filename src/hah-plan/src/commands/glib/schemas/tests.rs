#![expect(clippy::disallowed_methods, reason = "the real tool is the oracle")]

use hah_format::path::TreePath;

use crate::commands::playground::{Entry, Playground, on_disk, real};

/// Compiles with ours and with the real tool, and compares the bytes.
#[track_caller]
fn check(name: &str, sources: &[(&str, &str)]) {
    let named: Vec<(String, &str)> = sources.iter().map(|(name, text)| (format!("s/{name}"), *text)).collect();
    let entries: Vec<(&str, Entry<'_>)> =
        named.iter().map(|(name, text)| (name.as_str(), Entry::File(0o644, text))).collect();
    let mut ours = Playground::of(&entries);
    let found = ours.run(&["glib-compile-schemas", "/s"]);
    let scratch = on_disk(name, &entries);
    let dir = format!("{}/s", scratch.path());
    let Some(theirs) = real(&["glib-compile-schemas", &dir], &[]) else { return };
    let said = (String::from_utf8_lossy(&found.stderr), String::from_utf8_lossy(&theirs.stderr));
    assert_eq!(found.status, theirs.status, "{said:?}");
    assert_eq!(said.0.is_empty(), said.1.is_empty(), "{said:?}");
    let got = ours.world.read(&TreePath::root(), "/s/gschemas.compiled").ok();
    let wanted = std::fs::read(format!("{dir}/gschemas.compiled")).ok();
    if got != wanted {
        let (got, wanted) = (got.unwrap_or_default(), wanted.unwrap_or_default());
        let at = got.iter().zip(&wanted).position(|(one, other)| one != other);
        panic!("{name}: {} and {} bytes, differ at {at:?}; {said:?}", got.len(), wanted.len());
    }
}

const ALL: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<schemalist gettext-domain="all">
  <enum id="e"><value nick="one" value="1"/><value nick="two-and-more" value="0x2"/><value nick="minus" value="-1"/></enum>
  <flags id="f"><value nick="none" value="0"/><value nick="aa" value="1"/><value nick="bb" value="2"/></flags>
  <schema id="org.a" path="/org/a/">
    <key name="b" type="b"><default>true</default><summary>S</summary><description>D</description></key>
    <key name="y" type="y"><default>0x7f</default></key>
    <key name="n" type="n"><default>-3</default><range min="-10" max="10"/></key>
    <key name="q" type="q"><range min="1"/><default>017</default></key>
    <key name="i" type="i"><default>5</default></key>
    <key name="x" type="x"><default>-9223372036854775808</default></key>
    <key name="t" type="t"><default>18446744073709551615</default></key>
    <key name="d" type="d"><default>1.5e3</default><range min="0" max="1e9"/></key>
    <key name="s" type="s"><default l10n="messages" context="ctx">
      "A \"b\" \u00e4 &amp; c"</default></key>
    <key name="s2" type="s"><default l10n="time">'%H'</default></key>
    <key name="as" type="as"><default>['a', 'b c', '']</default></key>
    <key name="empty" type="as"><default>@as []</default></key>
    <key name="ay" type="ay"><default>b'x\001\n'</default></key>
    <key name="v" type="v"><default>&lt;('a', [1, 2], {'k': &lt;uint32 5&gt;}, just 1.0)&gt;</default></key>
    <key name="mi" type="mi"><default>5</default></key>
    <key name="ms" type="ms"><default>nothing</default></key>
    <key name="mms" type="mms"><default>just 'a'</default></key>
    <key name="tuple" type="(sa{sv}(iy)d)"><default>('a', {'z': &lt;1&gt;, 'y': &lt;@ay []&gt;}, (1, 2), 0)</default></key>
    <key name="dict" type="a{uad}"><default>{1: [1, 2.5], 2: []}</default></key>
    <key name="aas" type="aas"><default>[['a'], [], ['b', 'c']]</default></key>
    <key name="one" type="(s)"><default>('x',)</default></key>
    <key name="unit" type="()"><default>()</default></key>
    <key name="choice" type="s"><choices><choice value="left"/><choice value="right"/></choices>
      <aliases><alias value="l" target="left"/></aliases><default>'right'</default></key>
    <key name="enumerated" enum="e"><aliases><alias value="eins" target="one"/></aliases><default>'two-and-more'</default></key>
    <key name="flagged" flags="f"><default>['aa', 'bb']</default></key>
    <child name="kid" schema="org.b"/>
    <child name="missing" schema="org.none"/>
  </schema>
  <schema id="org.b"><key name="k" type="s"><default>"long"</default></key></schema>
  <schema id="org.c" extends="org.b"><override name="k">"short"</override></schema>
  <schema id="org.list" list-of="org.b" path="/org/list/:/"/>
</schemalist>
"#;

#[test]
fn every_type_and_element_is_the_same_byte_by_byte() {
    check("schemas-all", &[("a.gschema.xml", ALL)]);
}

#[test]
fn enumerations_come_first_and_overrides_last() {
    let schema = r#"<schemalist><schema id="o"><key name="k" enum="z"><default>'aa'</default></key>
        <key name="n" type="i"><range min="0" max="9"/><default>1</default></key></schema></schemalist>"#;
    let enums =
        r#"<schemalist><enum id="z"><value nick="aa" value="0"/><value nick="bb" value="1"/></enum></schemalist>"#;
    let first = "# c\n[o]\nk='bb'\nn = 11\nnone=1\n[o:GNOME]\nn=2\n[o:KDE:x]\nn=3\n[absent]\nk=1\n";
    check(
        "schemas-overrides",
        &[
            ("a.gschema.xml", schema),
            ("z.enums.xml", enums),
            ("10_a.gschema.override", first),
            ("20_b.gschema.override", "[o]\nn=7\n"),
        ],
    );
}

#[test]
fn a_file_with_an_error_is_left_out_as_a_whole() {
    let good =
        r#"<schemalist><schema id="good"><key name="k" type="i"><default>1</default></key></schema></schemalist>"#;
    for (name, key) in [
        ("value", r#"<key name="k" type="i"><default>x</default></key>"#),
        ("none", r#"<key name="k" type="i"/>"#),
        ("range", r#"<key name="k" type="i"><default>1</default><range min="2"/></key>"#),
        ("name", r#"<key name="K" type="i"><default>1</default></key>"#),
        ("type", r#"<key name="k" type="z"><default>1</default></key>"#),
        ("choice", r#"<key name="k" type="s"><choices><choice value="a"/></choices><default>'b'</default></key>"#),
        ("domain", r#"<key name="k" type="s"><default l10n="messages">'b'</default></key>"#),
        ("attribute", r#"<key name="k" type="s" other=""><default>'b'</default></key>"#),
        ("tuple", r#"<key name="k" type="(i)"><default>(1)</default></key>"#),
        ("infer", r#"<key name="k" type="v"><default>&lt;[]&gt;</default></key>"#),
        ("byte", r#"<key name="k" type="y"><default>256</default></key>"#),
        ("trailing", r#"<key name="k" type="i"><default>1 2</default></key>"#),
        ("comma", r#"<key name="k" type="ai"><default>[1, 2,]</default></key>"#),
        ("text", r#"text"#),
    ] {
        let bad = format!(r#"<schemalist><schema id="first"/><schema id="bad">{key}</schema></schemalist>"#);
        check(&format!("schemas-bad-{name}"), &[("a.gschema.xml", &bad), ("b.gschema.xml", good)]);
    }
}

#[test]
fn the_schemas_of_this_machine_are_the_same_byte_by_byte() {
    let dir = "/usr/share/glib-2.0/schemas";
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let files: Vec<(String, String)> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".xml") || name.ends_with(".override"))
        .map(|name| (name.clone(), std::fs::read_to_string(format!("{dir}/{name}")).unwrap()))
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    if !files.is_empty() {
        check("schemas-machine", &files);
    }
}
