use std::collections::BTreeMap;

use super::*;
use crate::debian::Architecture;
use crate::rootfs::Root;
use hah_format::path::TreePath;
use hah_format::tree::Node;

use crate::rootfs::Content;

fn package(name: &str, scripts: &[(&str, &str)], files: &[&str]) -> UnpackedPackage {
    let mut tree = Root::new();
    for file in files {
        tree.insert(TreePath::parse(file).unwrap(), Node::file(0o644, Content::inline("x"))).unwrap();
    }
    UnpackedPackage {
        name: name.parse().unwrap(),
        version: "1-1".parse().unwrap(),
        architecture: Architecture::All,
        control: scripts
            .iter()
            .map(|(kind, text)| ((*kind).to_owned(), text.as_bytes().to_vec()))
            .collect::<BTreeMap<_, _>>(),
        tree,
    }
}

fn of(script: &str, files: &[&str]) -> Result<Effects, Vec<ScriptError>> {
    effects(&[package("some", &[("postinst", script)], files)], &ReviewTable::default())
}

const ENABLE: &str = r#"
# Automatically added by dh_installsystemd/13.24.2
if [ "$1" = "configure" ] || [ "$1" = "abort-upgrade" ] ; then
	deb-systemd-helper unmask 'a.service' >/dev/null || true
	if deb-systemd-helper --quiet was-enabled 'a.service'; then
		deb-systemd-helper enable 'a.service' >/dev/null || true
	else
		deb-systemd-helper update-state 'a.service' >/dev/null || true
	fi
fi
# End automatically added section
"#;

#[test]
fn generated_sections_are_understood() {
    let found = of(&format!("#!/bin/sh\nset -e\n{ENABLE}exit 0\n"), &[]).unwrap();
    let units: Vec<&str> = found.units.iter().map(|unit| &*unit.what.unit).collect();
    assert_eq!(units, ["a.service"]);
}

/// `dh_installsystemd --no-enable`, as debhelper 13.3 writes it for Debian bullseye.
#[test]
fn a_unit_that_was_never_installed_is_not_enabled() {
    let script = "#!/bin/sh\nif deb-systemd-helper debian-installed 'a.service'; then\n deb-systemd-helper enable 'a.service'\nfi\n";
    assert!(of(script, &[]).unwrap().units.is_empty());
}

#[test]
fn name_services_come_from_their_explanations() {
    let section = "#!/bin/sh\n# Automatically added by dh_installnss/1.7\nif [ x ]; then\n\t# Installing hosts/resolve[!UNAVAIL=return] from a in position before=dns\n\tsed -i x\nfi\n# End automatically added section\n";
    let found = of(section, &[]).unwrap();
    assert_eq!(&*found.nss[0].what.service, "resolve [!UNAVAIL=return]");
    assert_eq!(found.nss[0].what.position, NssPosition::Before("dns".into()));
    // An edit without its explanation stays in the remainder, and that is not understood.
    assert!(of(&section.replace("# Installing", "# installing"), &[]).is_err());
}

#[test]
fn files_of_other_packages_decide_tests() {
    let script = "#!/bin/sh\nif [ -x \"`command -v tool`\" ]; then\n tool\nfi\n";
    assert!(of(script, &[]).is_ok());
    let error = of(script, &["usr/bin/tool"]).unwrap_err();
    assert_eq!((error[0].line, error[0].what.as_str()), (3, "`tool`"));
}

#[test]
fn an_init_script_needs_a_unit() {
    let script = "#!/bin/sh\nupdate-rc.d a defaults\n";
    assert!(of(script, &["etc/init.d/a"]).is_err());
    assert!(of(script, &["etc/init.d/a", "lib/systemd/system/a.service"]).is_ok());
}

#[test]
fn what_a_first_installation_does_not_reach_need_not_be_understood() {
    let script = "#!/bin/sh\nset -e\ncase \"$1\" in\n  configure) : ;;\n  abort-upgrade) for x in y; do z; done ;;\nesac\nif [ -n \"$2\" ]; then rm -rf /; fi\nexit 0\nrm -rf /\n";
    assert_eq!(of(script, &[]).unwrap(), Effects::default());
}

#[test]
fn every_unknown_script_is_an_error_that_shows_it() {
    let packages = [
        package("aa", &[("postinst", "#!/bin/sh\nset -e\nfrobnicate --all\n")], &[]),
        package("bb", &[("preinst", "#!/usr/bin/perl\nprint 1;\n"), ("postrm", "#!/bin/sh\nnothing\n")], &[]),
    ];
    let errors = effects(&packages, &ReviewTable::default()).unwrap_err();
    assert_eq!(errors.len(), 2);
    assert_eq!(
        errors[0].to_string(),
        "the postinst script of aa 1-1 has not been reviewed: `frobnicate --all` (line 3) is more than we can read\n    | #!/bin/sh\n    | set -e\n    | frobnicate --all\n"
    );
    assert!(errors[0].hint().contains("hah-image review aa"));
    assert!(errors[1].to_string().contains("the interpreter `#!/usr/bin/perl`"));
}

#[test]
fn a_review_covers_all_versions_of_debhelper_but_no_other_text() {
    let script = format!("#!/bin/sh\nset -e\nfrobnicate\n{ENABLE}");
    let sample = package("aa", &[("postinst", &script)], &[]);
    let entry = review_entry(&sample);
    assert!(entry.contains("package = \"aa\"\nkind = \"postinst\"\n"), "{entry}");
    assert!(entry.contains("#   frobnicate\n"), "{entry}");
    let filled = entry.replace("summary = \"\"", "summary = \"frobs\"").replace("none = \"\"", "group = [\"frob\"]");
    let table = parse_table(&[("x.toml", &filled)]).unwrap();

    let newer = script.replace("13.24.2", "14.1").replace("\n\n", "\n");
    for text in [&script, &newer] {
        let found = effects(&[package("aa", &[("postinst", text)], &[])], &table).unwrap();
        assert_eq!((found.groups.len(), found.units.len()), (1, 1));
    }
    let changed = script.replace("frobnicate", "frobnicate --more");
    let errors = effects(&[package("aa", &[("postinst", &changed)], &[])], &table).unwrap_err();
    assert!(errors[0].reviewed_before && errors[0].hint().starts_with("an earlier text was reviewed"));
}

#[test]
fn kernels_keep_their_review() {
    let script = |release: &str| format!("#!/bin/sh -e\nversion={release}\nfrob $version\n");
    let kernel = |release: &str| package(&format!("linux-image-{release}"), &[("postinst", &script(release))], &[]);
    let entry = review_entry(&kernel("6.12.1+deb13-arm64"));
    assert!(entry.contains("package = \"linux-image-RELEASE\""), "{entry}");
    let table = parse_table(&[("x.toml", &entry.replace("= \"\"", "= \"x\""))]).unwrap();
    assert!(effects(&[kernel("6.12.2+deb13-rpi")], &table).is_ok());
}

#[test]
fn the_table_is_parsed_strictly() {
    let head = "[[script]]\npackage = \"a\"\nkind = \"postinst\"\nsha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\n";
    for (rest, message) in [
        ("summary = \"x\"\n", "x.toml:1: a: no effect is declared and `none` does not say why"),
        ("summary = \"\"\nnone = \"y\"\n", "x.toml:1: a: `summary` must say"),
        ("summary = \"x\"\nnone = \"y\"\ngroup = [\"z\"]\n", "x.toml:1: a: `none` stands beside declared effects"),
        ("summary = \"x\"\nnonne = \"y\"\n", "x.toml:6: unknown field `nonne`"),
        ("summary = \"x\"\ndirectory = [{ path = \"/a\", mode = \"9\" }]\n", "x.toml:6: `9` is not a mode"),
        ("summary = \"x\"\nremove = [\"/a/../b\"]\n", "x.toml:6: `/a/../b` climbs out"),
        ("summary = \"x\"\nnone = \"y\"\n[users]\na = 5\n", "x.toml:8: the id 5 of a is not one of a system user"),
        ("summary = \"x\"\nnone = \"y\"\n[users]\na = 500\nb = 500\n", "x.toml:9: the id 500 of b is given twice"),
    ] {
        let errors = parse_table(&[("x.toml", &format!("{head}{rest}"))]).unwrap_err();
        assert!(errors[0].to_string().starts_with(message), "{} / {message}", errors[0]);
    }
    let twice = format!("{head}summary = \"x\"\nnone = \"y\"\n").repeat(2);
    assert!(parse_table(&[("x.toml", &twice)]).unwrap_err()[0].to_string().contains("is reviewed twice"));
}

#[test]
fn the_shipped_table_names_passes_that_exist() {
    let passes: Vec<&str> = crate::configure::PASSES.iter().map(|pass| pass.name).collect();
    for (package, kind, _, review) in closure::table().iter() {
        for effect in &review.effects {
            if let Effect::HandledBy(pass) = effect {
                assert!(passes.contains(&&**pass), "the {kind} of {package} relies on the pass `{pass}`");
            }
        }
    }
}

#[test]
fn every_script_of_the_closure_is_understood_or_reviewed() {
    let Some((packages, _)) = closure::packages(&[]) else { return };
    if let Err(errors) = effects(&packages, &closure::table()) {
        for error in &errors {
            println!("{} {} {} line {}: {}", error.package, error.kind, error.sha256, error.line, error.what);
        }
        panic!("{} scripts are not reviewed", errors.len());
    }
}

#[test]
fn the_lab_takes_effects_users_alternatives_and_units() {
    let Some(mut bench) = closure::Bench::of(&[]) else { return };
    bench.system = closure::shipped_system("lab");
    let mut target = bench.target();
    for pass in crate::configure::PASSES {
        if ["skeleton", "effects", "users", "alternatives", "units"].contains(&pass.name) {
            crate::configure::run(pass, &mut target).unwrap_or_else(|error| panic!("{error}\n{}", error.hint()));
        }
    }
    let read = |path: &str| target.read_text(&TreePath::parse(path).unwrap()).unwrap().unwrap();
    let ids = crate::configure::users::ids_of(&read("etc/passwd"), &read("etc/group"));
    // Every owner that a package, recipe or script names has an id.
    for (path, node) in target.root.iter() {
        for (owner, known) in [(&node.meta.user, &ids.users), (&node.meta.group, &ids.groups)] {
            if let hah_format::tree::Owner::Name(name) = owner {
                assert!(known.contains_key(name), "{path} belongs to {name}, who is nobody");
            }
        }
    }
}

/// What a script of a hostile package is refused for.
#[track_caller]
fn check_refused(script: &str, what: &str) {
    let errors = of(script, &[]).unwrap_err();
    assert!(errors[0].what.contains(what), "{}", errors[0].what);
}

#[test]
fn a_function_that_calls_itself_does_not_use_up_the_stack() {
    check_refused("#!/bin/sh\nf() { f; }\nf\n", "levels of calls");
    check_refused("#!/bin/sh\nf() { g; }\ng() { if true; then f; fi; }\nf\n", "levels of calls");
}

#[test]
fn a_test_of_very_many_words_does_not_use_up_the_stack() {
    // The words are too many in the end, whatever they say.
    check_refused(&format!("#!/bin/sh\n[ {} x ]\n", "! ".repeat(60_000)), "commands and words");
    let most = 19_000;
    assert!(of(&format!("#!/bin/sh\n[ {}x ] || unknown\n", "! ".repeat(most)), &[]).is_ok());
    assert!(of(&format!("#!/bin/sh\n[ {}x ] || unknown\n", "-o ".repeat(most)), &[]).is_ok());
    assert!(of(&format!("#!/bin/sh\n[ {}x ] && unknown\n", "-a ".repeat(most)), &[]).is_ok());
}

#[test]
fn a_variable_that_doubles_itself_does_not_use_up_memory() {
    check_refused(&format!("#!/bin/sh\nA=xxxx\n{}\n", "A=$A$A\n".repeat(60)), "bytes");
    let call = "f $A$A$A$A\n".repeat(900);
    check_refused(&format!("#!/bin/sh\nA={}\nf() {{ :; }}\n{call}", "x".repeat(1000)), "bytes");
}

#[test]
fn a_long_word_in_a_case_does_not_use_up_the_stack() {
    let word = "a".repeat(200_000);
    assert!(of(&format!("#!/bin/sh\ncase {word} in *b*) unknown ;; *a) ;; esac\n"), &[]).is_ok());
}

#[test]
fn marks_of_sections_without_their_ends_are_read_once() {
    let script = "# Automatically added by x/1\n: a\n".repeat(4_000);
    check_refused(&format!("#!/bin/sh\n{script}false || unknown\n"), "unknown");
    // The last mark before an end begins the section.
    let found = of(&format!("#!/bin/sh\n# Automatically added by x/1\n{ENABLE}"), &[]).unwrap();
    assert_eq!(found.units.len(), 1);
}

#[test]
fn patterns_of_a_case_match_as_the_shell_does() {
    for (pattern, word, matches) in [
        ("*", "", true),
        ("a*c", "abbc", true),
        ("a*c", "abcd", false),
        ("?b", "ab", true),
        ("?", "", false),
        ("a*b*c", "aXbYbZc", true),
        ("*ab", "aab", true),
        ("ab", "a", false),
    ] {
        let found = of(&format!("#!/bin/sh\ncase '{word}' in {pattern}) unknown ;; esac\n"), &[]);
        assert_eq!(found.is_err(), matches, "{pattern} {word}");
    }
}
