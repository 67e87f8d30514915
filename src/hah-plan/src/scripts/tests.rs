use std::collections::BTreeMap;

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Node};

use super::closure::Kept;
use super::*;
use crate::debian::Architecture;
use crate::merge::Provenance;
use crate::rootfs::{Content, Root, UnpackedPackage};
use crate::world::World;

fn package(name: &str, members: &[(&str, &str)], files: &[&str]) -> UnpackedPackage {
    let mut tree = Root::new();
    for file in files {
        tree.insert(TreePath::parse(file).unwrap(), Node::file(0o755, Content::inline(*b"\x7fELF"))).unwrap();
    }
    let control = ("control".to_owned(), format!("Package: {name}\nVersion: 1-1\nArchitecture: all\n").into_bytes());
    UnpackedPackage {
        name: name.parse().unwrap(),
        version: "1-1".parse().unwrap(),
        architecture: Architecture::All,
        control: members
            .iter()
            .map(|(kind, text)| ((*kind).to_owned(), text.as_bytes().to_vec()))
            .chain([control])
            .collect::<BTreeMap<_, _>>(),
        tree,
    }
}

/// What the scripts of `packages` leave, and what went wrong.
fn installed<'a>(
    packages: &'a [UnpackedPackage],
    contents: &'a Kept,
    table: &ReviewTable,
    choices: &[ScriptChoice],
) -> (World<'a>, Vec<ScriptError>) {
    let mut root = crate::merge::draft(packages);
    for directory in ["dev", "etc", "tmp", "usr/bin", "usr/sbin", "var/lib"] {
        root.insert(TreePath::parse(directory).unwrap(), Node::dir(0o755)).unwrap();
    }
    let mut world = World::new(root, Provenance::default(), contents, 1_767_225_600);
    world.packages = packages;
    for package in packages {
        for (path, node) in package.tree.iter().filter(|(path, _)| !path.is_root()) {
            // Of directories the first package, of files the only one.
            if !node.is_dir() || world.provenance.origin(path).is_none() {
                world.provenance.claim(path.clone(), crate::merge::Origin::Package(package.name.clone()));
            }
        }
    }
    let errors = install(&mut world, Configuration { reviews: table, choices }).err().unwrap_or_default();
    (world, errors)
}

fn read(world: &mut World<'_>, path: &str) -> String {
    let bytes = world.read(&TreePath::root(), path).unwrap_or_else(|error| panic!("{path}: {error}"));
    String::from_utf8(bytes).unwrap()
}

#[test]
fn scripts_run_in_dpkgs_order_with_dpkgs_arguments_and_every_change_has_its_author() {
    let kept = Kept::default();
    let echo = "#!/bin/sh\nset -e\necho \"$DPKG_MAINTSCRIPT_PACKAGE $DPKG_MAINTSCRIPT_NAME $#:$*\" >> /etc/log\n";
    let mut first = package("zz", &[("preinst", echo), ("postinst", echo)], &[]);
    first
        .control
        .insert("control".to_owned(), b"Package: zz\nVersion: 1\nArchitecture: all\nEssential: yes\n".to_vec());
    let packages = [package("aa", &[("preinst", echo), ("config", echo), ("postinst", echo)], &[]), first];
    let (mut world, errors) = installed(&packages, &kept, &ReviewTable::default(), &[]);
    assert_eq!(errors, []);
    assert_eq!(
        read(&mut world, "/etc/log"),
        "zz preinst 1:install\naa preinst 1:install\nzz postinst 2:configure \naa config 2:configure \naa postinst 2:configure \n"
    );
    let origin = world.provenance.origin(&TreePath::parse("etc/log").unwrap()).unwrap();
    assert_eq!(origin.to_string(), "postinst of aa, line 3");
}

/// squid's preinst makes a link to "the yet-to-be-unpacked profile" only when the profile is not there.
#[test]
fn a_preinst_does_not_see_the_files_of_its_own_package() {
    let kept = Kept::default();
    let look = "#!/bin/sh\nset -e\nfor at in /etc/aa/aa.conf /etc/aa /etc/bb.conf; do [ ! -e $at ] || echo $at >> /etc/log; done\n\
                mkdir -p /etc/aa\nchmod 700 /etc/aa\n[ -e /etc/bb.conf ] && echo made > /etc/aa/aa.conf\n";
    let after = "#!/bin/sh\nset -e\n[ -s /etc/aa/aa.conf ]\n[ -x /usr/bin/aa ]\nstat -c %a /etc/aa >> /etc/log\n";
    let packages = [
        package("aa", &[("preinst", look), ("postinst", after)], &["etc/aa/aa.conf", "usr/bin/aa"]),
        package("bb", &[], &["etc/bb.conf"]),
    ];
    let (mut world, errors) = installed(&packages, &kept, &ReviewTable::default(), &[]);
    assert_eq!(errors, []);
    assert_eq!(read(&mut world, "/etc/log"), "/etc/bb.conf\n700\n");
    let conf = TreePath::parse("etc/aa/aa.conf").unwrap();
    assert_eq!(read(&mut world, "/etc/aa/aa.conf"), "\x7fELF");
    assert_eq!(world.provenance.origin(&conf).unwrap().to_string(), "package aa");
}

/// An installation begins with them: debootstrap and mmdebstrap extract them before dpkg runs the first script.
#[test]
fn the_files_of_essential_packages_are_there_from_the_start() {
    let kept = Kept::default();
    let mut first =
        package("zz", &[("preinst", "#!/bin/sh\n[ -x /usr/bin/zz ] && echo there > /etc/log\n")], &["usr/bin/zz"]);
    first
        .control
        .insert("control".to_owned(), b"Package: zz\nVersion: 1-1\nArchitecture: all\nEssential: yes\n".to_vec());
    let packages = [package("aa", &[], &[]), first];
    let (mut world, errors) = installed(&packages, &kept, &ReviewTable::default(), &[]);
    assert_eq!(errors, []);
    assert_eq!(read(&mut world, "/etc/log"), "there\n");
}

#[test]
fn a_program_of_the_target_is_refused_with_its_line_unless_it_was_reviewed() {
    let kept = Kept::default();
    let script = "#!/bin/sh\nset -e\nmkdir /etc/magic.d\n\nmagic --init /etc/magic.d \"a b\"\ntouch /etc/after\n";
    let packages = [package("some", &[("postinst", script)], &["usr/bin/magic"])];
    let (_, errors) = installed(&packages, &kept, &ReviewTable::default(), &[]);
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    assert_eq!((error.line, error.excerpt.as_str()), (5, "magic --init /etc/magic.d \"a b\""));
    assert!(error.hint().contains("review some"), "{}", error.hint());
    let entry = error.review_entry().unwrap();
    assert!(entry.contains("[[program]]\npackage = \"some\"\ncommand = "), "{entry}");

    let table = "[[program]]\npackage = \"some\"\ncommand = \"magic --init *\"\nsummary = \"fills its directory\"\n\
                 file = [{ path = \"/etc/magic.d/index\", content = \"made\" }]\n";
    let table = parse_table(&[("magic.toml", table)]).unwrap();
    let (mut world, errors) = installed(&packages, &kept, &table, &[]);
    assert_eq!(errors, []);
    assert_eq!(read(&mut world, "/etc/magic.d/index"), "made");
    assert!(world.exists(&TreePath::root(), "/etc/after"));
}

#[test]
fn what_needs_the_machine_is_left_to_its_first_boot() {
    let kept = Kept::default();
    let script = "#!/bin/sh\nset -e\nmake-key \"$1\"\n";
    let packages = [package("some", &[("postinst", script)], &["usr/sbin/make-key"])];
    let table =
        "[[program]]\npackage = \"some\"\ncommand = \"make-key *\"\nsummary = \"makes a key\"\nfirst-boot = true\n";
    let table = parse_table(&[("key.toml", table)]).unwrap();
    let (world, errors) = installed(&packages, &kept, &table, &[]);
    assert_eq!(errors, []);
    let [deferred] = world.effects.first_boot.as_slice() else { panic!("{:?}", world.effects.first_boot) };
    assert_eq!(deferred.what.command, ["make-key", "configure"]);
}

/// The pass `units` enabled it again, by what the script had said before.
#[test]
fn a_link_that_a_script_removes_after_enabling_stays_removed() {
    let kept = Kept::default();
    let script = "set -e\nsystemctl enable some.service\n[ -h /etc/systemd/system/multi-user.target.wants/some.service ]\n\
                  rm /etc/systemd/system/multi-user.target.wants/some.service\n";
    let mut some = package("some", &[("postinst", script)], &["usr/bin/systemctl"]);
    let unit = Content::inline(*b"[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n");
    some.tree.insert(TreePath::parse("usr/lib/systemd/system/some.service").unwrap(), Node::file(0o644, unit)).unwrap();
    let packages = [some];
    let (world, errors) = installed(&packages, &kept, &ReviewTable::default(), &[]);
    assert_eq!(errors, []);
    assert!(!world.exists(&TreePath::root(), "/etc/systemd/system/multi-user.target.wants/some.service"));
    assert_eq!(world.effects.units, []);
}

#[test]
fn a_recipe_decides_about_a_script() {
    let kept = Kept::default();
    let script = "#!/usr/bin/python3\nprint()\n";
    let packages = [package("some", &[("postinst", script)], &[])];
    let (_, errors) = installed(&packages, &kept, &ReviewTable::default(), &[]);
    assert_eq!(errors.len(), 1);
    let mut choice = ScriptChoice {
        package: "some".parse().unwrap(),
        kind: ScriptKind::Postinst,
        action: ScriptAction::Skip,
        reason: "not needed".into(),
        recipe: "mine".into(),
    };
    let (world, errors) = installed(&packages, &kept, &ReviewTable::default(), &[choice.clone()]);
    assert_eq!((errors.len(), world.effects.first_boot.len()), (0, 0));
    choice.action = ScriptAction::FirstBoot;
    let (world, _) = installed(&packages, &kept, &ReviewTable::default(), &[choice]);
    assert_eq!(world.effects.first_boot[0].what.command, ["/var/lib/dpkg/info/some.postinst", "configure", ""]);
}

#[test]
fn a_failing_script_says_its_status_and_its_complaint() {
    let kept = Kept::default();
    let script = "#!/bin/sh\nset -e\necho 'no way' >&2\nfalse\necho never\n";
    let packages = [package("some", &[("postinst", script)], &[])];
    let (_, errors) = installed(&packages, &kept, &ReviewTable::default(), &[]);
    assert!(errors[0].to_string().contains("it ends with status 1, saying: no way"), "{}", errors[0]);
}

#[test]
fn triggers_run_once_when_everything_is_configured() {
    let kept = Kept::default();
    let log = "#!/bin/sh\necho \"$*\" >> /etc/log\n";
    let packages = [
        package("aa", &[("postinst", "#!/bin/sh\ndpkg-trigger --no-await news\ndpkg-trigger news\n")], &[]),
        package("bb", &[("postinst", log), ("triggers", "interest-noawait news\ninterest /usr/share/x\n")], &[]),
    ];
    let (mut world, errors) = installed(&packages, &kept, &ReviewTable::default(), &[]);
    assert_eq!(errors, []);
    assert_eq!(read(&mut world, "/etc/log"), "configure \ntriggered news\n");
}

#[test]
fn diversions_are_known_before_anything_is_merged() {
    let kept = Kept::default();
    let script =
        "#!/bin/sh\nset -e\ndpkg-divert --package aa --divert /usr/bin/tool.distrib --rename --add /usr/bin/tool\n";
    let packages = [package("aa", &[("preinst", script)], &["usr/bin/tool"]), package("bb", &[], &["usr/bin/tool"])];
    let found = diversions(&packages, &kept, &ReviewTable::default());
    let [found] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((&*found.what.path, &*found.what.to), ("/usr/bin/tool", "/usr/bin/tool.distrib"));
}

#[test]
fn wrong_tables_are_refused_with_file_and_line() {
    let text = "[[program]]\npackage = \"a\"\ncommand = \"x *\"\nsummary = \"s\"\n\
                [[program]]\npackage = \"a\"\ncommand = \" \"\nsummary = \"s\"\nnone = \"n\"\n\
                [[program]]\npackage = \"b\"\ncommand = \"x\"\nsummary = \"s\"\nnone = \"n\"\nfirst-boot = true\n\
                [users]\nzed = 5\n";
    let errors = parse_table(&[("t.toml", text)]).unwrap_err();
    let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "t.toml:1: a: no effect is declared and `none` does not say why",
            "t.toml:5: a: `command` must begin with the program's name",
            "t.toml:10: b: `none` stands beside declared effects",
            "t.toml:17: the id 5 of zed is not one of a system user (100 to 999)",
        ]
    );
    let error = &parse_table(&[("t.toml", "[[program]]\nkind = 1\n")]).unwrap_err()[0];
    assert_eq!(error.line, 2);
}

#[test]
fn reviews_rely_on_passes_that_exist() {
    let passes: Vec<&str> = crate::configure::PASSES.iter().map(|pass| pass.name).collect();
    for review in closure::table().iter() {
        for effect in &review.effects {
            if let Effect::HandledBy(pass) = effect {
                assert!(passes.contains(&&**pass), "a review of {} relies on the pass `{pass}`", review.package);
            }
        }
    }
}

/// The packages of `lab`: every script of them runs to its end.
#[test]
fn the_real_closure_is_evaluated_whole() {
    let Some(bench) = closure::Bench::of(&[]) else { return };
    let target = bench.scripted();
    let directory = TreePath::parse("etc/systemd/system").unwrap();
    let links = target.root.below(&directory);
    assert!(links.filter(|(_, node)| matches!(node.kind, Kind::Symlink(_))).count() > 10);
}
