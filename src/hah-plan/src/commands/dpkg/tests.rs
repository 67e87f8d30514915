#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests ask the machine's own dpkg")]

use std::process::Command as Program;

use hah_format::path::TreePath;

use crate::commands::bench::{package, read, refused, run, run_as, world};
use crate::merge::Origin;
use crate::rootfs::UnpackedPackage;
use crate::scripts::closure::Scratch;
use crate::scripts::{Author, ScriptKind};
use crate::world::{Follow, World};

/// Status, standard output and standard error of a program of the machine; `None` when it has none.
fn real(program: &str, args: &[&str]) -> Option<(u8, String, String)> {
    match Program::new(program).args(args).env("LC_ALL", "C.UTF-8").env_remove("DPKG_MAINTSCRIPT_PACKAGE").output() {
        Ok(output) => Some((
            output.status.code().and_then(|code| u8::try_from(code).ok()).unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )),
        Err(_) => {
            assert!(std::env::var("HAH_REQUIRE_ORACLES").is_err(), "{program} is not installed");
            println!("skipped: {program} is not installed");
            None
        }
    }
}

#[test]
fn versions_compare_as_the_real_dpkg_compares_them() {
    let versions = [
        "",
        "0",
        "1",
        "1.0",
        "1.0-1",
        "1.0-1~deb13u1",
        "1:0.9",
        "2.0~rc1",
        "2.0",
        "1.0+b1",
        "a",
        "1_2",
        "1 2",
        "1:",
        ":1",
        "x:1",
        "1-",
        "-1",
        " 1 ",
        "1.0-2-3",
        "<unknown>",
        "99999999999:1",
        "0:1",
        "1.~",
        "1.0a",
        "1.0A",
        "00",
    ];
    let relations = [
        "lt", "le", "eq", "ne", "ge", "gt", "lt-nl", "le-nl", "ge-nl", "gt-nl", "<", "<=", "<<", "=", ">", ">=", ">>",
        "foo",
    ];
    let mut tree = world(&[]);
    for (index, left) in versions.iter().enumerate() {
        for (offset, right) in versions.iter().enumerate() {
            // Every pair once, with relations that go round.
            let relation = relations[(index * 7 + offset) % relations.len()];
            let args = ["--compare-versions", "--", left, relation, right];
            let Some((status, ..)) = real("dpkg", &args) else { return };
            let mut words = vec!["dpkg"];
            words.extend(args);
            let ours = run_as(&mut tree, None, &words, "").unwrap();
            assert_eq!(ours.status, status, "{left:?} {relation} {right:?}: {}", ours.err);
        }
    }
}

const BASE: &str = "Package: base-thing\nVersion: 1:2.0-3+b1\nArchitecture: amd64\nMulti-Arch: same\n\
    Source: thing (1:2.0-3)\nMaintainer: A B <a@example.org>\nPriority: required\nSection: admin\nInstalled-Size: 12\n\
    Depends: libc6\nHomepage: https://example.org\nDescription: a thing\n Long text\n .\n of it.\n";
const TOOL: &str = "Package: tool\nVersion: 0.1\nArchitecture: all\nMaintainer: A B <a@example.org>\n\
    Description: a tool with a summary that is rather long for its column\n";
const OTHER: &str =
    "Package: other\nVersion: 3-1\nArchitecture: amd64\nMaintainer: A B <a@example.org>\nDescription: x\n";

fn packages() -> &'static [UnpackedPackage] {
    let mut base =
        package(BASE, &[("etc/thing.conf", "a=1\n"), ("usr/bin/thing", "x"), ("usr/share/doc/thing/c", "y")]);
    base.control.insert("conffiles".to_owned(), b"/etc/thing.conf\n".to_vec());
    base.control.insert("templates".to_owned(), b"Template: thing/a\nType: string\n".to_vec());
    let tool = package(TOOL, &[("usr/bin/tool", "t"), ("usr/share/doc/tool", "z")]);
    let other = package(OTHER, &[("usr/bin/thing", "other's"), ("usr/bin/other", "o")]);
    Box::leak(Box::new([base, other, tool]))
}

fn started() -> World<'static> {
    let mut world = world(&[
        ("etc/thing.conf", "a=1\n"),
        ("usr/bin/thing", "other's"),
        ("usr/bin/other", "o"),
        ("usr/bin/tool", "t"),
    ]);
    world.packages = packages();
    world.configured = ["base-thing", "tool"].iter().map(|name| name.parse().unwrap()).collect();
    world.provenance.claim(TreePath::parse("usr/bin/thing").unwrap(), Origin::Package("other".parse().unwrap()));
    world
}

/// A dpkg database that says what [`packages`] are.
fn database(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    let mut status = String::new();
    for package in packages() {
        let text = String::from_utf8(package.control["control"].clone()).unwrap();
        let state = if package.name.as_str() == "other" { "unpacked" } else { "installed" };
        let mut stanza = text.replacen('\n', &format!("\nStatus: install ok {state}\n"), 1);
        if package.name.as_str() == "base-thing" {
            stanza = stanza.replacen(
                "Description:",
                "Conffiles:\n /etc/thing.conf 8e5d1ba7a1e4e2d1f3e3ec1f5e5e5e5e\nDescription:",
                1,
            );
            stanza = stanza.replace("8e5d1ba7a1e4e2d1f3e3ec1f5e5e5e5e", &super::md5_hex(b"a=1\n"));
        }
        status.push_str(&stanza);
        status.push('\n');
        let base = match text.contains("Multi-Arch: same") {
            true => format!("{}:{}", package.name, package.architecture),
            false => package.name.to_string(),
        };
        let mut list = String::from("/.\n");
        for (path, _) in package.tree.iter().filter(|(path, _)| !path.is_root()) {
            list.push_str(&format!("{path}\n"));
        }
        scratch.write(&format!("info/{base}.list"), list);
    }
    scratch.write("info/format", "1\n");
    scratch.write("status", status);
    scratch.write("arch", "amd64\n");
    scratch
}

#[test]
fn questions_about_packages_are_answered_as_the_real_dpkg_query_does() {
    let scratch = database("dpkg-query");
    let admin = format!("--admindir={}", scratch.path());
    let mut tree = started();
    let all = "${Package}|${binary:Package}|${Version}|${Status}|${db:Status-Abbrev}|${db:Status-Want}|\
        ${db:Status-Status}|${db:Status-Eflag}|${Architecture}|${source:Package}|${source:Version}|\
        ${source:Upstream-Version}|${binary:Summary}|${Conffiles}|${nope}|${Package;12}|${Package;-12}|${Package;3}|\
        ${package}|${Installed-Size}|${Description}|\\t|\\\\|\\n";
    let lines: &[&[&str]] = &[
        &["-W"],
        &["-W", "tool"],
        &["-W", "nope"],
        &["-W", "nope", "tool"],
        &["--show", "*ool", "b*"],
        &["-W", "-f", all],
        &["-W", "--showformat=${Package}\\n", "base-thing:amd64"],
        &["-W", "-f=${Status}", "base-thing"],
        &["-Wf", "${Status}", "other"],
        &["-f${Version}", "-W", "tool"],
        &["-s", "tool"],
        &["-s", "base-thing"],
        &["-s", "nope"],
        &["-s", "nope", "tool"],
        &["-L", "base-thing"],
        &["-L", "tool", "other"],
        &["-L", "nope"],
        &["-S", "/usr/bin/tool"],
        &["-S", "/usr/bin/thing"],
        &["-S", "bin/ot"],
        &["-S", "/usr/bin/to*"],
        &["-S", "/usr/bin"],
        &["-S", "/usr/bin/"],
        &["-S", "/nope", "/usr/bin/tool"],
        &["-l"],
        &["-l", "tool"],
        &["-l", "nope"],
        &["-l", "[b-o]*"],
        &["-l", "libc6"],
        &["-W", "libc6", "tool"],
        &["-W", "-f", all, "libc6"],
        &["-W", "lib*"],
        &["-s", "libc6"],
        &["-L", "libc6"],
        &["-L"],
        &["-S"],
        &["-s"],
        &[],
    ];
    for args in lines {
        let mut theirs = vec![admin.as_str()];
        theirs.extend(*args);
        let Some((status, out, err)) = real("dpkg-query", &theirs) else { return };
        let mut words = vec!["dpkg-query"];
        words.extend(*args);
        let ours = run_as(&mut tree, None, &words, "").unwrap_or_else(|refusal| panic!("{args:?}: {refusal}"));
        // Which package comes first for a path is a matter of dpkg's hash table.
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text
                .lines()
                .map(|line| match line.split_once(": ") {
                    Some((names, path)) if args.first() == Some(&"-S") => {
                        let mut names: Vec<&str> = names.split(", ").collect();
                        names.sort();
                        format!("{}: {path}", names.join(", "))
                    }
                    _ => line.to_owned(),
                })
                .collect();
            if args.first() == Some(&"-S") {
                lines.sort();
            }
            lines.join("\n")
        };
        assert_eq!((ours.status, sorted(&ours.out)), (status, sorted(&out)), "{args:?}\n{err}\n{}", ours.err);
    }
}

#[test]
fn a_package_is_as_far_as_its_scripts_are() {
    let mut tree = started();
    let status = |tree: &mut World<'_>| run(tree, "dpkg-query -W -f ${Status} other").out;
    assert_eq!(status(&mut tree), "install ok unpacked");
    tree.author = Some(Author { package: "other".parse().unwrap(), script: ScriptKind::Postinst, line: 1 });
    assert_eq!(status(&mut tree), "install ok half-configured");
    tree.configured.insert("other".parse().unwrap());
    assert_eq!(status(&mut tree), "install ok installed");
    assert_eq!(run(&mut tree, "dpkg --print-architecture").out, "amd64\n");
    assert_eq!(run(&mut tree, "dpkg --print-foreign-architectures").out, "");
    assert_eq!(run(&mut tree, "dpkg -s tool").status, 0);
    assert_eq!(run(&mut tree, "dpkg --get-selections tool").out, "tool\t\t\t\t\t\tinstall\n");
    assert_eq!(run(&mut tree, "dpkg --assert-multi-arch").status, 0);
    assert_eq!(run(&mut tree, "dpkg --validate-pkgname A+b").status, 0);
    assert_eq!(run(&mut tree, "dpkg --validate-pkgname +b").status, 1);
    assert_eq!(run(&mut tree, "dpkg --validate-version 1:").status, 1);
    // dpkg 1.22; earlier ones said 1.
    assert_eq!(run(&mut tree, "dpkg-query -W -f ${Package tool").status, 2);
    assert_eq!(run(&mut tree, "dpkg-query -W -f ${Package;x} tool").status, 2);
    assert!(refused(&mut tree, "dpkg -i x.deb").contains("changes or fetches packages"));
    assert!(refused(&mut tree, "apt-get install x").contains("changes or fetches packages"));
    assert_eq!(run(&mut tree, "dpkg-query -c base-thing templates").out, "/var/lib/dpkg/info/base-thing.templates\n");
    assert_eq!(run(&mut tree, "dpkg-query -c base-thing postrm").status, 1);
    assert_eq!(run(&mut tree, "dpkg-query -c nobody postrm").status, 1);
    assert_eq!(run(&mut tree, "dpkg-query --control-list base-thing").out, "conffiles\ntemplates\n");
    let unknown = run(&mut tree, "dpkg-query --control-path libgtk-3-0:arm64 postrm");
    assert_eq!((unknown.status, unknown.out.as_str()), (1, ""));
    assert!(unknown.err.contains("package 'libgtk-3-0:arm64' is not installed"), "{}", unknown.err);
}

#[test]
fn a_diversion_puts_both_files_where_they_would_end() {
    let mut tree = started();
    let line = "dpkg-divert --quiet --add --rename --package base-thing --divert /usr/bin/thing.real /usr/bin/thing";
    assert_eq!(run(&mut tree, line).status, 0);
    assert_eq!(read(&mut tree, "/usr/bin/thing"), "x");
    assert_eq!(read(&mut tree, "/usr/bin/thing.real"), "other's");
    let at = |text: &str| TreePath::parse(text).unwrap();
    assert_eq!(tree.provenance.package(&at("usr/bin/thing")).unwrap().as_str(), "base-thing");
    assert_eq!(tree.provenance.package(&at("usr/bin/thing.real")).unwrap().as_str(), "other");
    assert_eq!(run(&mut tree, line).status, 0);
    assert_eq!(tree.effects.diversions.len(), 1);
    assert_eq!(run(&mut tree, "dpkg -S thing.real").out.lines().count(), 2);
    // The diverting package's own file was in the tree, and another's has to be found.
    let mut tree = started();
    tree.provenance.claim(at("usr/bin/thing"), Origin::Package("base-thing".parse().unwrap()));
    run(&mut tree, line);
    assert_eq!(read(&mut tree, "/usr/bin/thing.real"), "other's");
    assert_eq!(read(&mut tree, "/usr/bin/thing"), "other's");
}

#[test]
fn diversions_and_overrides_say_what_the_real_ones_say() {
    let scratch = Scratch::new("dpkg-divert");
    scratch.write("adm/status", "");
    scratch.write("adm/info/format", "1\n");
    scratch.write("root/usr/bin/foo", "foo");
    let (admin, instdir) = (format!("--admindir={}/adm", scratch.path()), format!("--instdir={}/root", scratch.path()));
    let mut tree = world(&[("usr/bin/foo", "foo")]);
    tree.change_accounts(|accounts| {
        for line in crate::accounts::sysusers::parse("u root 0\n").unwrap() {
            accounts.declare(line.1)?;
        }
        Ok::<_, crate::accounts::AccountError>(())
    })
    .unwrap();
    let lines = [
        "dpkg-divert --add --package pp --rename --divert /usr/bin/foo.d /usr/bin/foo",
        "dpkg-divert --add --package pp --rename --divert /usr/bin/foo.d /usr/bin/foo",
        "dpkg-divert --add --package qq --rename --divert /usr/bin/foo.d /usr/bin/foo",
        "dpkg-divert --add --package qq --rename --divert /usr/bin/foo.e /usr/bin/foo",
        "dpkg-divert --add --package qq --rename --divert /usr/bin/foo.d /usr/bin/bar",
        "dpkg-divert --list",
        "dpkg-divert --list *f*",
        "dpkg-divert --list none",
        "dpkg-divert --listpackage /usr/bin/foo",
        "dpkg-divert --listpackage /usr/bin/none",
        "dpkg-divert --truename /usr/bin/foo",
        "dpkg-divert --truename /usr/bin/none",
        "dpkg-divert --local --no-rename --add /usr/bin/l",
        "dpkg-divert --listpackage /usr/bin/l",
        "dpkg-divert --list",
        "dpkg-divert --no-rename --remove --package qq /usr/bin/foo",
        "dpkg-divert --no-rename --remove --package pp --divert /usr/bin/zz /usr/bin/foo",
        "dpkg-divert --no-rename --package pp --add relative",
        "dpkg-divert --no-rename --package pp --add /usr/bin",
        "dpkg-divert --no-rename --add",
        "dpkg-divert --test --no-rename --package pp --add /usr/bin/t",
        "dpkg-divert --remove --rename --package pp /usr/bin/foo",
        "dpkg-divert --quiet --remove --rename --package pp /usr/bin/foo",
        "dpkg-divert --remove --rename --package pp /usr/bin/foo",
        "dpkg-divert --package pp --add /usr/bin/w",
        "dpkg-divert --list",
        "dpkg-statoverride --add root root 0755 /usr/bin/x",
        "dpkg-statoverride --add root root 0755 /usr/bin/x",
        "dpkg-statoverride --force-statoverride-add --add root root 0700 /usr/bin/x",
        "dpkg-statoverride --list",
        "dpkg-statoverride --list /usr/bin/x",
        "dpkg-statoverride --list /usr/*/x",
        "dpkg-statoverride --list /nope",
        "dpkg-statoverride --update --add root root 4755 /usr/bin/foo",
        "dpkg-statoverride --update --add root root 4755 /usr/bin/nope",
        "dpkg-statoverride --remove /usr/bin/x",
        "dpkg-statoverride --remove /usr/bin/x",
        "dpkg-statoverride --add root nobody-here 0755 /a",
        "dpkg-statoverride --add nobody-here root 0755 /a",
        "dpkg-statoverride --add root root 9 /a",
        "dpkg-statoverride --add root root 0755",
        "dpkg-statoverride",
        "dpkg-statoverride --list",
    ];
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let mut args = vec![admin.as_str(), instdir.as_str()];
        args.extend(&words[1..]);
        let Some((status, out, err)) = real(words[0], &args) else { return };
        let ours = run_as(&mut tree, Some("pp"), &words, "").unwrap_or_else(|refusal| panic!("{line}: {refusal}"));
        // The order of a list is that of dpkg's hash table.
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!((ours.status, sorted(&ours.out)), (status, sorted(&out)), "{line}\n{err}\n{}", ours.err);
    }
    let stat = tree.stat(&TreePath::root(), "/usr/bin/foo", Follow::No).unwrap();
    assert_eq!(stat.meta.mode, 0o4755);
}

#[test]
fn triggers_are_booked_with_who_sets_them_off() {
    let mut tree = started();
    assert_eq!(run(&mut tree, "dpkg-trigger --check-supported").status, 0);
    assert_eq!(run(&mut tree, "dpkg-trigger --no-await /usr/share/x").status, 0);
    assert_eq!(run(&mut tree, "dpkg-trigger --by-package=tool ldconfig").status, 0);
    let booked: Vec<String> = tree.triggers.iter().map(|one| format!("{} {}", one.name, one.by)).collect();
    assert_eq!(booked, ["/usr/share/x pkg", "ldconfig tool"]);
    assert_eq!(run_as(&mut tree, None, &["dpkg-trigger", "x"], "").unwrap().status, 2);
    assert_eq!(run(&mut tree, "dpkg-trigger").status, 2);
}

#[test]
fn the_maintscript_helper_has_nothing_to_do_on_a_first_installation() {
    let mut tree = started();
    for line in [
        "dpkg-maintscript-helper supports rm_conffile",
        "dpkg-maintscript-helper rm_conffile /etc/thing.conf 1.0~ pkg -- configure ''",
        "dpkg-maintscript-helper mv_conffile /etc/a /etc/b 1.0~ -- install",
        "dpkg-maintscript-helper dir_to_symlink /usr/share/doc/a b 1.0~ pkg -- configure ''",
        "dpkg-maintscript-helper symlink_to_dir /usr/share/doc/a b -- configure",
        "dpkg-maintscript-helper dir_to_symlink /usr/share/doc/a b 1.0~ -- triggered some-trigger",
    ] {
        assert_eq!(run(&mut tree, line).status, 0, "{line}");
    }
    assert_eq!(read(&mut tree, "/etc/thing.conf"), "a=1\n");
    assert_eq!(run(&mut tree, "dpkg-maintscript-helper supports fly").status, 1);
    assert_eq!(run(&mut tree, "dpkg-maintscript-helper rm_conffile etc/x -- configure").status, 2);
    assert_eq!(run(&mut tree, "dpkg-maintscript-helper rm_conffile /etc/x configure").status, 2);
    assert!(refused(&mut tree, "dpkg-maintscript-helper rm_conffile /etc/x 1 -- configure 0.9").contains("upgrade"));
}

#[test]
fn small_questions_about_the_system() {
    let mut tree = started();
    let top = TreePath::root();
    let os = "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n";
    tree.write(&top, "/etc/os-release", 0o644, os.as_bytes().to_vec()).unwrap();
    assert_eq!(run(&mut tree, "lsb_release -cs").out, "trixie\n");
    assert_eq!(run(&mut tree, "lsb_release -i").out, "Distributor ID:\tDebian\n");
    assert_eq!(run(&mut tree, "dpkg-vendor --query Vendor").out, "Debian\n");
    assert_eq!(run(&mut tree, "dpkg-vendor --derives-from Ubuntu").status, 1);
    assert_eq!(run(&mut tree, "dpkg-architecture -qDEB_HOST_MULTIARCH").out, "x86_64-linux-gnu\n");
    assert_eq!(run(&mut tree, "dpkg-realpath /usr/../etc/none/x").out, "/etc/none/x\n");
}
