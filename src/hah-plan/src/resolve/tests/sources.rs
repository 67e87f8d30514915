//! Recommendations, archives of one's own, and recipes that exclude each other.

use super::*;

const VIM: &str = "base 1; Depends: lib; Recommends: idn\nlib 1; Recommends: lib-extra\nidn 1\nlib-extra 1\n\
    vim 1; Depends: lib, runtime; Recommends: gone | scripts, cscope, nowhere, enemy\n\
    runtime 1; Recommends: fonts\nscripts 1; Recommends: perl\nfonts 1\nperl 1\n\
    ctags 1; Provides: cscope\nenemy 1; Conflicts: base";

fn world(roots: &str) -> World<'_> {
    World { trixie: VIM, roots, ..World::default() }
}

#[test]
fn recommendations_are_followed_where_they_are_asked_for() {
    world("base vim").chooses("base=1 lib=1 runtime=1 vim=1");
    // Not those of `lib`, which is there for `base`; not `enemy`, which cannot be had; not `nowhere`.
    let resolution = world("base +vim").chooses("base=1 ctags=1 fonts=1 lib=1 perl=1 runtime=1 scripts=1 vim=1");
    let asked = |name: &str| {
        let package = resolution.packages.iter().find(|package| package.candidate.name.as_str() == name).unwrap();
        package.asked.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(asked("scripts"), ["vim Recommends"]);
    assert_eq!(asked("perl"), ["scripts Recommends"]);
    // Alone, what it depends on is there only because of it.
    world("+vim").chooses("ctags=1 enemy=1 fonts=1 lib=1 lib-extra=1 perl=1 runtime=1 scripts=1 vim=1");
}

#[test]
fn what_stands_in_meets_a_recommendation() {
    let world = World { provided: "scripts fonts cscope", ..world("base +vim") };
    world.chooses("base=1 lib=1 runtime=1 vim=1");
}

#[test]
fn a_package_that_the_image_stands_in_for_is_installed_when_it_is_asked_for() {
    let trixie = "tools 1; Depends: dosfstools\ndosfstools 4";
    World { trixie, roots: "tools", provided: "dosfstools", ..World::default() }.chooses("tools=1");
    World { trixie, roots: "tools dosfstools", provided: "dosfstools", ..World::default() }
        .chooses("dosfstools=4 tools=1");
}

#[test]
fn two_that_exclude_each_other_name_their_recipes() {
    let trixie = "chrony 4; Conflicts: time-daemon; Provides: time-daemon\n\
        systemd-timesyncd 257; Conflicts: time-daemon; Provides: time-daemon\n\
        server 1; Depends: chrony";
    for roots in ["systemd-timesyncd@time chrony@clock", "systemd-timesyncd@time server@clock"] {
        let said = World { trixie, roots, ..World::default() }.fails();
        let (_, hint) = said.split_once("\nhint: ").unwrap();
        assert!(hint.contains("recipe time, which brings systemd-timesyncd"), "{said}");
        assert!(hint.contains("recipe clock, which brings ") && hint.starts_with("leave out "), "{said}");
    }
}

/// A world of Debian and an archive of one's own.
fn with_own(own: &str, request: impl Fn(&mut Request)) -> Result<Resolution, ResolveError> {
    let mut asked = World { trixie: "base 1; Essential: yes", roots: "agent", ..World::default() }.request();
    asked.suites.truncate(1);
    let archive = OwnArchive {
        name: "own".into(),
        uris: vec!["https://example.org".to_owned()],
        key: b"key"[..].into(),
        recipe: "base".to_owned(),
    };
    let name = archive.name.clone();
    asked.archives.push(archive);
    asked.suites.push(Suite { archive: Archive::Own(name), ..suite("own/stable", SuiteUse::Default) });
    request(&mut asked);
    let texts = [("trixie", index("base 1; Essential: yes\nagent 1")), ("own/stable", index(own))];
    let indexes: Vec<SuiteIndex<'_>> = (texts.iter())
        .map(|(suite, text)| SuiteIndex { suite, automatic: Automatic::Yes, packages: vec![text] })
        .collect();
    resolve(&asked, &indexes, &BTreeMap::new())
}

#[track_caller]
fn versions(resolution: Result<Resolution, ResolveError>) -> String {
    let resolution = resolution.unwrap_or_else(|error| panic!("{error}"));
    let words =
        resolution.packages.iter().map(|one| format!("{}={} {}", one.candidate.name, one.candidate.version, one.suite));
    words.collect::<Vec<_>>().join(", ")
}

#[test]
fn an_archive_of_one_s_own_has_the_priority_of_a_suite() {
    assert_eq!(versions(with_own("agent 2", |_| {})), "agent=2 own/stable, base=1 trixie");
    let pinned_only = |request: &mut Request| request.suites[1].use_for = SuiteUse::PinOnly;
    assert_eq!(versions(with_own("agent 2", pinned_only)), "agent=1 trixie, base=1 trixie");
    let pinned = |request: &mut Request| {
        pinned_only(request);
        request.packages[0].suite = Some("own/stable".to_owned());
    };
    assert_eq!(versions(with_own("agent 2", pinned)), "agent=2 own/stable, base=1 trixie");
}

#[test]
fn what_is_essential_is_debian_s_to_say() {
    assert_eq!(versions(with_own("agent 2\nevil 1; Essential: yes", |_| {})), "agent=2 own/stable, base=1 trixie");
}

#[test]
fn a_package_without_sha256_is_refused() {
    let text = "Package: agent\nVersion: 2\nArchitecture: arm64\nFilename: a.deb\nSize: 1\nMD5sum: 0123\n";
    let asked = World { roots: "agent", ..World::default() }.request();
    let indexes = ["trixie", "security", "bullseye"].map(|suite| SuiteIndex {
        suite,
        automatic: Automatic::Yes,
        packages: vec![text],
    });
    let error = resolve(&asked, &indexes, &BTreeMap::new()).unwrap_err();
    assert_eq!(error.to_string(), "the package index of trixie: line 1: the stanza has no `SHA256`");
}
