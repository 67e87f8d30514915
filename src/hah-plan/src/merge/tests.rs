use std::collections::BTreeMap;

use super::*;
use crate::debian::Architecture;

const FILE: &str = "f";

/// A package whose control file has `fields`, and whose entries are `PATH`, `PATH/`, `PATH -> TARGET` or `PATH = FIRST`.
fn package(name: &str, fields: &str, entries: &[&str]) -> UnpackedPackage {
    let mut tree = Root::new();
    for entry in entries {
        let (path, node) = if let Some((path, target)) = entry.split_once(" -> ") {
            (path, Node::symlink(target))
        } else if let Some((path, first)) = entry.split_once(" = ") {
            let kind = Kind::HardLink(TreePath::parse(first).unwrap());
            (path, Node { meta: Meta::root(0o644), kind })
        } else if entry.ends_with('/') {
            (*entry, Node::dir(if name == "alpha" { 0o700 } else { 0o755 }))
        } else {
            (*entry, Node::file(0o644, Content::inline(format!("{name} {entry}"))))
        };
        tree.insert(TreePath::parse(path).unwrap(), node).unwrap();
    }
    let control = format!("Package: {name}\nVersion: 2.0\nArchitecture: arm64\n{fields}");
    UnpackedPackage {
        name: name.parse().unwrap(),
        version: "2.0".parse().unwrap(),
        architecture: Architecture::All,
        control: BTreeMap::from([("control".to_owned(), control.into_bytes())]),
        tree,
    }
}

fn merged(packages: &[UnpackedPackage]) -> Result<Merged, MergeError> {
    merge(Ingredients { packages, diversions: &[], removes: &[], artifacts: &[], placed: &[] })
}

/// `PATH KIND ORIGIN` of everything but directories.
fn listing(merged: &Merged) -> Vec<String> {
    let line = |(path, node): (&TreePath, &Node<Content>)| {
        let what = match &node.kind {
            Kind::File(content) => match content {
                Content::Inline(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                Content::Stored { .. } => FILE.to_owned(),
            },
            Kind::Symlink(target) => format!("-> {target}"),
            Kind::HardLink(first) => format!("= {first}"),
            _ => return None,
        };
        Some(format!("{path}: {what}, {}", merged.provenance.origin(path).unwrap()))
    };
    merged.root.iter().filter_map(line).collect()
}

#[test]
fn old_spellings_lead_into_usr() {
    let packages = [
        package("base-files", "", &["bin -> usr/bin", "lib -> usr/lib", "usr/bin/", "usr/lib/", "var/run -> /run"]),
        package("old", "", &["lib/", "lib/x/y", "bin/sh", "var/run/", "var/run/old/pid"]),
    ];
    assert_eq!(
        listing(&merged(&packages).unwrap()),
        [
            "/bin: -> usr/bin, package base-files",
            "/lib: -> usr/lib, package base-files",
            "/run/old/pid: old var/run/old/pid, package old",
            "/usr/bin/sh: old bin/sh, package old",
            "/usr/lib/x/y: old lib/x/y, package old",
            "/var/run: -> /run, package base-files",
        ]
    );
}

#[test]
fn one_path_under_two_spellings_is_a_conflict() {
    let packages = [
        package("base-files", "", &["lib -> usr/lib", "usr/lib/"]),
        package("new", "", &["usr/lib/x"]),
        package("old", "", &["lib/x"]),
    ];
    let error = merged(&packages).unwrap_err();
    assert_eq!(error.to_string(), "/usr/lib/x is in both new and old, and neither replaces nor diverts the other's");
    assert_eq!(error.hint(), "these two packages cannot be in one image; `hah-image why old` shows what asks for it");
}

#[test]
fn replaces_decides_in_either_order_and_only_for_its_versions() {
    let one = |fields: &str| [package("alpha", fields, &["x"]), package("beta", "", &["x"])];
    let other = |fields: &str| [package("alpha", "", &["x"]), package("beta", fields, &["x"])];
    let table = [
        (one("Replaces: beta\n"), Some("alpha")),
        (one("Replaces: gamma, beta (<< 3)\n"), Some("alpha")),
        (one("Replaces: beta (<< 2)\n"), None),
        (other("Replaces: alpha (= 2.0)\n"), Some("beta")),
        (other("Breaks: alpha\n"), None),
    ];
    for (packages, winner) in table {
        match (merged(&packages), winner) {
            (Ok(merged), Some(winner)) => assert_eq!(listing(&merged), [format!("/x: {winner} x, package {winner}")]),
            (Err(MergeError::Conflict { .. }), None) => {}
            (result, winner) => panic!("{result:?} {winner:?}"),
        }
    }
}

#[test]
fn a_malformed_replaces_is_an_error() {
    let error = merged(&[package("alpha", "Replaces: (((\n", &[])]).unwrap_err();
    assert!(error.to_string().starts_with("the control file of alpha: line 4: `Replaces`: "), "{error}");
}

#[test]
fn directories_are_shared_and_the_first_package_decides_their_mode() {
    let packages = [package("beta", "", &["etc/", "etc/b"]), package("alpha", "", &["etc/", "etc/a"])];
    let merged = merged(&packages).unwrap();
    let etc = TreePath::parse("etc").unwrap();
    assert_eq!(merged.root.get(&etc).unwrap().meta.mode, 0o700);
    assert_eq!(merged.provenance.package(&etc).unwrap().as_str(), "alpha");
}

#[test]
fn a_file_and_a_directory_do_not_merge() {
    let packages = [package("alpha", "", &["x"]), package("beta", "", &["x/y"])];
    let error = merged(&packages).unwrap_err();
    assert_eq!(error.to_string(), "/x is in both alpha and beta, and neither replaces nor diverts the other's");

    let placed = [Placed { path: TreePath::parse("x").unwrap(), node: Node::dir(0o755), recipe: "mine".into() }];
    let error =
        merge(Ingredients { packages: &packages[..1], diversions: &[], removes: &[], artifacts: &[], placed: &placed })
            .unwrap_err();
    assert_eq!(error.to_string(), "recipe mine: /x cannot be created: /x is a file, not a directory");
}

#[test]
fn diversions_move_other_packages_files() {
    let diversions = [Sourced {
        what: Diversion { path: "/bin/x".into(), to: "/bin/x.real".into(), package: "alpha".into() },
        package: "alpha".parse().unwrap(),
    }];
    let packages = [package("alpha", "", &["bin/x"]), package("beta", "", &["bin/x", "bin/y = bin/x"])];
    let merged =
        merge(Ingredients { packages: &packages, diversions: &diversions, removes: &[], artifacts: &[], placed: &[] })
            .unwrap();
    assert_eq!(
        listing(&merged),
        [
            "/bin/x: alpha bin/x, package alpha",
            "/bin/x.real: beta bin/x, package beta",
            "/bin/y: = /bin/x.real, package beta",
        ]
    );
}

#[test]
fn hard_links_outlive_their_first_name() {
    let packages = [package("alpha", "", &["a/x", "b/y = a/x", "c/z = a/x"])];
    let removes = [RemoveSpec { pattern: "/a".parse().unwrap(), except: Vec::new(), recipe: "slim".into() }];
    let mut merged = merged(&packages).unwrap();
    remove(&mut merged.root, &mut merged.provenance, &removes);
    assert_eq!(listing(&merged), ["/b/y: alpha a/x, package alpha", "/c/z: = /b/y, package alpha"]);
    assert!(!merged.root.contains(&TreePath::parse("a").unwrap()));
    assert!(matches!(
        super::merge(Ingredients {
            packages: &[package("alpha", "", &["b = a"])],
            diversions: &[],
            removes: &[],
            artifacts: &[],
            placed: &[]
        }),
        Err(MergeError::DanglingHardLink { .. })
    ));
}

#[test]
fn removals_keep_what_is_excepted_and_the_directories_above_it() {
    let packages = [package("alpha", "", &["doc/a/copyright", "doc/a/readme", "doc/b/readme", "lib/x"])];
    let removes = [RemoveSpec {
        pattern: "/doc/*".parse().unwrap(),
        except: vec!["/doc/*/copyright".parse().unwrap()],
        recipe: "slim".into(),
    }];
    let mut merged = merged(&packages).unwrap();
    remove(&mut merged.root, &mut merged.provenance, &removes);
    let paths: Vec<String> = merged.root.iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(paths, ["/", "/doc", "/doc/a", "/doc/a/copyright", "/lib", "/lib/x"]);
}

#[test]
fn recipes_lie_on_top_and_may_use_old_spellings() {
    let packages = [
        package("base-files", "", &["lib -> usr/lib", "usr/lib/"]),
        package("alpha", "", &["etc/conf", "etc/other = etc/conf", "usr/lib/x -> y"]),
    ];
    let placed = |path: &str, node| Placed { path: TreePath::parse(path).unwrap(), node, recipe: "mine".into() };
    let placed = [
        placed("etc/conf", Node::file(0o600, Content::inline("ours"))),
        placed("lib/x", Node::file(0o644, Content::inline("a file now"))),
    ];
    let merged =
        merge(Ingredients { packages: &packages, diversions: &[], removes: &[], artifacts: &[], placed: &placed })
            .unwrap();
    assert_eq!(
        listing(&merged),
        [
            "/etc/conf: ours, recipe mine",
            "/etc/other: alpha etc/conf, package alpha",
            "/lib: -> usr/lib, package base-files",
            "/usr/lib/x: a file now, recipe mine",
        ]
    );
}

#[test]
fn loops_of_directory_links_are_errors() {
    let packages = [package("alpha", "", &["a -> b", "b -> a"]), package("beta", "", &["a/", "a/x", "b/"])];
    assert!(matches!(merged(&packages), Err(MergeError::Alias { .. })));
}

#[test]
fn the_order_of_packages_does_not_matter() {
    let packages = [package("alpha", "", &["etc/", "etc/a"]), package("beta", "Replaces: alpha\n", &["etc/", "etc/a"])];
    let reversed = [packages[1].clone(), packages[0].clone()];
    let (one, other) = (merged(&packages).unwrap(), merged(&reversed).unwrap());
    assert_eq!((one.root, one.provenance), (other.root, other.provenance));
}
