//! Suites that are not automatic, and pins to them.

use super::*;

const BACKPORTS: World<'_> = World {
    trixie: "curl 1; Depends: libcurl (>= 1)\nlibcurl 1\nbase 1\nkernel 6; Depends: kernel-6 (= 6)\nkernel-6 6; Depends: base",
    security: "",
    bullseye: "",
    backports: "curl 2; Depends: libcurl (>= 2)\nlibcurl 2\nbase 2\nnew 1; Depends: curl\n\
        kernel 7; Depends: kernel-7 (= 7)\nkernel-7 7; Depends: base (>= 2~)",
    automatic: Automatic::ButUpgrades,
    roots: "",
    provided: "",
    keep: "",
};

/// `name: reason` of what does not come from its suite as a matter of course.
fn reasons(resolution: &Resolution) -> Vec<String> {
    let told = |package: &Chosen| {
        let reason = package.suite_reason.as_ref()?;
        Some(format!("{} from {}: {reason}", package.candidate.name, package.suite))
    };
    resolution.packages.iter().filter_map(told).collect()
}

#[test]
fn a_suite_that_is_not_automatic_moves_nothing() {
    for automatic in [Automatic::ButUpgrades, Automatic::No] {
        let world = World { automatic, ..BACKPORTS };
        let resolution = World { roots: "curl kernel", ..world }.chooses("base=1 curl=1 kernel=6 kernel-6=6 libcurl=1");
        assert_eq!(reasons(&resolution), [""; 0]);
    }
    World { automatic: Automatic::Yes, roots: "curl", ..BACKPORTS }.chooses("curl=2 libcurl=2");
}

#[test]
fn what_only_backports_has_is_taken_and_brings_no_more_than_it_needs() {
    let resolution = World { roots: "new", ..BACKPORTS }.chooses("curl=1 libcurl=1 new=1");
    assert_eq!(reasons(&resolution), ["new from backports: no other suite has it"]);
}

#[test]
fn a_pin_brings_the_dependencies_that_only_its_suite_can_satisfy() {
    let resolution =
        World { roots: "kernel/backports curl", ..BACKPORTS }.chooses("base=2 curl=1 kernel=7 kernel-7=7 libcurl=1");
    assert_eq!(
        reasons(&resolution),
        ["base from backports: kernel-7 Depends: base (>= 2~)", "kernel-7 from backports: no other suite has it"]
    );
    let resolution = World { roots: "curl/backports", ..BACKPORTS }.chooses("curl=2 libcurl=2");
    assert_eq!(reasons(&resolution), ["libcurl from backports: curl Depends: libcurl (>= 2)"]);
    // The lock may hold what the pin moved; without the pin it does not count any more.
    World { roots: "curl", keep: "curl=2 libcurl=2", ..BACKPORTS }.chooses("curl=1 libcurl=1");
}

#[test]
fn of_two_suites_that_are_not_automatic_the_higher_priority_wins() {
    // Whatever the version: experimental has 1, backports 100.
    let world = World { trixie: "aa 1", security: "bb 1", ..World::default() };
    let request = |names: &str| {
        let mut request = World { roots: names, ..world }.request();
        request.suites =
            ["trixie", "security", "backports", "experimental"].map(|name| suite(name, SuiteUse::Default)).into();
        request
    };
    let texts = [
        ("trixie", Automatic::Yes, index("aa 1")),
        ("security", Automatic::Yes, index("bb 1")),
        ("backports", Automatic::ButUpgrades, index("aa 2\nbb 1\ncc 2")),
        ("experimental", Automatic::No, index("aa 3\nbb 2\ncc 3\ndd 9")),
    ];
    let indexes = texts.each_ref().map(|(suite, automatic, text)| SuiteIndex {
        suite,
        automatic: *automatic,
        packages: vec![text],
    });
    let resolution = resolve(&request("aa bb cc dd"), &indexes, &BTreeMap::new()).unwrap();
    let chosen: Vec<String> = resolution
        .packages
        .iter()
        .map(|package| format!("{}={} {}", package.candidate.name, package.candidate.version, package.suite))
        .collect();
    assert_eq!(chosen, ["aa=1 trixie", "bb=1 security", "cc=2 backports", "dd=9 experimental"]);
}

#[test]
fn a_pin_moves_no_more_than_it_must() {
    let pinned = |trixie: &'static str, backports: &'static str| World {
        trixie,
        backports,
        roots: "aa/backports",
        automatic: Automatic::ButUpgrades,
        ..World::default()
    };
    let table = [
        ("a candidate that is good enough stays", "bb 1", "aa 2; Depends: bb\nbb 2", "aa=2 bb=1"),
        ("also of the second alternative", "bb 1\ncc 1", "aa 2; Depends: bb (>= 2) | cc\nbb 2", "aa=2 cc=1"),
        (
            "the first alternative that can move",
            "bb 1\ncc 1",
            "aa 2; Depends: bb (>= 3) | cc (>= 2)\nbb 2\ncc 2",
            "aa=2 cc=2",
        ),
        ("moves go on", "bb 1\ncc 1", "aa 2; Depends: bb (>= 2)\nbb 2; Pre-Depends: cc (>= 2)\ncc 2", "aa=2 bb=2 cc=2"),
        (
            "a candidate that a move breaks moves, too",
            "bb 1; Depends: cc (<< 2)\ncc 1",
            "aa 2; Depends: bb, cc (>= 2)\nbb 2\ncc 2",
            "aa=2 bb=2 cc=2",
        ),
        ("a provider moves", "bb 1", "aa 2; Depends: bb-abi-2\nbb 2; Provides: bb-abi-2", "aa=2 bb=2"),
        ("what conflicts with the old one takes the new one", "bb 1", "aa 2; Depends: bb (>= 2~)\nbb 2", "aa=2 bb=2"),
        ("a loop ends", "bb 1", "aa 2; Depends: bb (>= 2)\nbb 2; Depends: aa (>= 2)", "aa=2 bb=2"),
    ];
    for (what, trixie, backports, want) in table {
        println!("{what}");
        pinned(trixie, backports).chooses(want);
    }
}

#[test]
fn a_provider_of_an_automatic_suite_comes_first() {
    let world = World {
        trixie: "aa 1; Depends: vv\nzz 1; Provides: vv",
        backports: "bb 1; Provides: vv; Priority: important",
        automatic: Automatic::ButUpgrades,
        roots: "aa",
        ..World::default()
    };
    world.chooses("aa=1 zz=1");
}

#[test]
fn an_essential_package_of_backports_is_not_drawn_in() {
    let world = World { trixie: "aa 1", backports: "ee 1; Essential: yes", roots: "aa", ..BACKPORTS };
    world.chooses("aa=1");
}

#[test]
fn the_message_names_the_suite_that_is_not_automatic() {
    let world = World { trixie: "aa 1; Depends: bb (>= 2)\nbb 1", backports: "bb 2", roots: "aa", ..BACKPORTS };
    insta::assert_snapshot!(world.fails(), @r#"
    the packages of the image `lab` do not go together:
      recipe base asks for aa
        aa 1 (trixie) Depends: bb (>= 2)
          bb (>= 2): trixie has 1; backports has 2, but is not automatic: a recipe must pin a package to it
    hint: if you mean to take bb from backports, ask for it in a recipe: { name = "bb", suite = "backports" }
    "#);
    let world = World {
        trixie: "aa 1; Depends: bb (<< 2)\nbb 1",
        backports: "cc 2; Depends: bb (>= 2)\nbb 2",
        roots: "aa cc/backports",
        ..BACKPORTS
    };
    insta::assert_snapshot!(world.fails(), @"
    the packages of the image `lab` do not go together:
      recipe base asks for aa
        aa 1 (trixie) Depends: bb (<< 2)
          bb (<< 2): it is taken from backports for cc Depends: bb (>= 2); trixie has 1; backports has 2
    hint: drop one of the packages that the recipes ask for, or pin one to another suite
    ");
}
