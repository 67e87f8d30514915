mod priorities;
mod sources;

use proptest::prelude::*;

use super::*;
use crate::debian::Architecture;
use crate::debian::archive::Automatic;
use crate::plan::keys;
use crate::system::{Expiry, OwnArchive, PackageRequest, Provided, Suite, SuiteUse};

/// A small world. Packages are lines of `name version; Field: value; …`, roots are `name` or `name/suite`.
#[derive(Clone, Copy, Default)]
struct World<'a> {
    trixie: &'a str,
    security: &'a str,
    bullseye: &'a str,
    /// With no packages the request does not have it.
    backports: &'a str,
    /// Of `backports`.
    automatic: Automatic,
    roots: &'a str,
    provided: &'a str,
    keep: &'a str,
}

fn index(lines: &str) -> String {
    let stanza = |line: &str| {
        let mut parts = line.split("; ");
        let (name, version) = parts.next().unwrap().trim().split_once(' ').unwrap();
        let fields: String = parts.map(|field| format!("{field}\n")).collect();
        let architecture = if fields.contains("Architecture: ") { "" } else { "Architecture: arm64\n" };
        let digest = hah_format::digest::Sha256::of(line.as_bytes());
        format!(
            "Package: {name}\nVersion: {version}\n{architecture}{fields}Filename: pool/{name}.deb\nSize: 1\nSHA256: {digest}\n\n"
        )
    };
    lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(stanza).collect()
}

fn suite(name: &str, use_for: SuiteUse) -> Suite {
    Suite {
        name: name.to_owned(),
        archive: Archive::Debian,
        components: vec!["main".to_owned()],
        expired: Expiry::Refuse,
        use_for,
        recipe: "base".to_owned(),
    }
}

impl World<'_> {
    fn request(&self) -> Request {
        let root = |word: &str| {
            let (name, suite) =
                word.split_once('/').map_or((word, None), |(name, suite)| (name, Some(suite.to_owned())));
            let (name, recommends) = name.strip_prefix('+').map_or((name, false), |name| (name, true));
            let (name, recipe) = name.split_once('@').unwrap_or((name, "base"));
            PackageRequest { name: name.parse().unwrap(), suite, recommends, recipe: recipe.to_owned() }
        };
        let provided =
            |name: &str| (name.parse().unwrap(), Provided { reason: "no scripts".into(), recipe: "base".into() });
        let mut suites = vec![
            suite("trixie", SuiteUse::Default),
            suite("security", SuiteUse::Default),
            suite("bullseye", SuiteUse::PinOnly),
        ];
        if !self.backports.is_empty() {
            suites.push(suite("backports", SuiteUse::Default));
        }
        Request {
            image: "lab".to_owned(),
            architecture: Architecture::Arm64,
            suites,
            archives: Vec::new(),
            packages: self.roots.split(' ').filter(|word| !word.is_empty()).map(root).collect(),
            provided: self.provided.split(' ').filter(|word| !word.is_empty()).map(provided).collect(),
        }
    }

    fn resolve(&self) -> Result<Resolution, ResolveError> {
        let yes = Automatic::Yes;
        let texts = [
            ("trixie", yes, self.trixie),
            ("security", yes, self.security),
            ("bullseye", yes, self.bullseye),
            ("backports", self.automatic, self.backports),
        ]
        .map(|(suite, automatic, lines)| (suite, automatic, index(lines)));
        let indexes: Vec<SuiteIndex<'_>> = texts
            .iter()
            .map(|(suite, automatic, text)| SuiteIndex { suite, automatic: *automatic, packages: vec![text] })
            .collect();
        let keep = self.keep.split(' ').filter_map(|word| word.split_once('='));
        let keep = keep.map(|(name, version)| (name.parse().unwrap(), version.parse().unwrap())).collect();
        resolve(&self.request(), &indexes, &keep)
    }

    /// `name=version` of what is chosen.
    #[track_caller]
    fn chooses(&self, want: &str) -> Resolution {
        let resolution = self.resolve().unwrap_or_else(|error| panic!("{error}"));
        let words: Vec<String> = resolution
            .packages
            .iter()
            .map(|package| format!("{}={}", package.candidate.name, package.candidate.version))
            .collect();
        assert_eq!(words.join(" "), want);
        resolution
    }

    #[track_caller]
    fn fails(&self) -> String {
        let error = self.resolve().expect_err("it must not be satisfiable");
        format!("{error}\nhint: {}", error.hint())
    }
}

#[test]
fn dependencies_are_followed_with_reasons() {
    let world = World {
        trixie: "aa 1; Depends: bb (>= 1), cc; Recommends: no\nbb 1; Pre-Depends: cc\ncc 1\nno 1\nees 1; Essential: yes",
        roots: "aa",
        ..World::default()
    };
    let resolution = world.chooses("aa=1 bb=1 cc=1 ees=1");
    let [aa, bb, cc, ees] = &resolution.packages[..] else { panic!() };
    assert_eq!(aa.asked, [Asker::Recipe("base".to_owned())]);
    assert_eq!(ees.asked, [Asker::Essential]);
    assert_eq!(cc.asked, []);
    let needs = |package: &Chosen| {
        package
            .needs
            .iter()
            .map(|need| format!("{}: {} -> {}", need.field, need.alternatives, need.package))
            .collect::<Vec<_>>()
    };
    assert_eq!(needs(aa), ["Depends: bb (>= 1) -> bb", "Depends: cc -> cc"]);
    assert_eq!(needs(bb), ["Pre-Depends: cc -> cc"]);
}

#[test]
fn alternatives() {
    let pair = "bb 1\ncc 1\n";
    let table = [
        ("the first wins", "aa 1; Depends: bb | cc", "aa", "aa=1 bb=1"),
        ("unless another is there anyway", "aa 1; Depends: bb | cc", "aa cc", "aa=1 cc=1"),
        ("also by a later dependency", "aa 1; Depends: bb | cc\ndd 1; Depends: cc", "aa dd", "aa=1 cc=1 dd=1"),
        ("the first that exists", "aa 1; Depends: no | cc", "aa", "aa=1 cc=1"),
        ("the first whose version fits", "aa 1; Depends: bb (>= 2) | cc", "aa", "aa=1 cc=1"),
        ("the first that can be installed", "aa 1; Depends: ee | cc\nee 1; Depends: no", "aa", "aa=1 cc=1"),
        ("a conflict excludes the first", "aa 1; Depends: bb | cc\ndd 1; Conflicts: bb", "aa dd", "aa=1 cc=1 dd=1"),
        ("a break excludes the first", "aa 1; Depends: bb | cc\ndd 1; Breaks: bb (<< 2)", "aa dd", "aa=1 cc=1 dd=1"),
        ("another architecture's are skipped", "aa 1; Depends: bb [amd64] | cc [arm64]", "aa", "aa=1 cc=1"),
    ];
    for (what, lines, roots, want) in table {
        println!("{what}");
        World { trixie: &format!("{pair}{lines}"), roots, ..World::default() }.chooses(want);
    }
}

#[test]
fn provisions() {
    let table = [
        ("aa 1; Depends: vv\nbb 1; Provides: vv", "aa=1 bb=1"),
        ("aa 1; Depends: vv\nvv 1\nbb 1; Provides: vv", "aa=1 vv=1"),
        ("aa 1; Depends: vv (>= 2)\nvv 1\nbb 1; Provides: vv (= 2)", "aa=1 bb=1"),
        ("aa 1; Depends: vv (>= 2)\nbb 3; Provides: vv\ncc 1; Provides: vv (= 2)", "aa=1 cc=1"),
        ("aa 1; Depends: vv\ncc 1; Provides: vv\nbb 1; Provides: vv", "aa=1 bb=1"),
        ("aa 1; Depends: vv\nbb 1; Provides: vv\ncc 1; Provides: vv; Priority: important", "aa=1 cc=1"),
        ("aa 1; Depends: vv; Provides: vv", "aa=1"),
        ("aa 1; Depends: bb; Provides: vv; Conflicts: vv\nbb 1", "aa=1 bb=1"),
        ("aa 1; Depends: vv, ww\nbb 1; Provides: vv\ncc 1; Provides: vv, ww; Conflicts: vv", "aa=1 cc=1"),
    ];
    for (trixie, want) in table {
        World { trixie, roots: "aa", ..World::default() }.chooses(want);
    }
}

#[test]
fn architectures() {
    let table = [
        ("aa 1; Depends: bb\nbb 1; Architecture: all", "aa=1 bb=1"),
        ("aa 1; Depends: bb\nbb 2; Architecture: amd64\nbb 1", "aa=1 bb=1"),
        ("aa 1; Depends: bb:any\nbb 1; Multi-Arch: allowed", "aa=1 bb=1"),
        ("aa 1; Depends: bb:any | cc\nbb 1; Multi-Arch: foreign\ncc 1", "aa=1 cc=1"),
        ("aa 1; Depends: bb:native\nbb 1", "aa=1 bb=1"),
        ("aa 1; Depends: bb:arm64\nbb 1", "aa=1 bb=1"),
        ("aa 1; Depends: bb:amd64 | cc\nbb 1\ncc 1", "aa=1 cc=1"),
    ];
    for (trixie, want) in table {
        World { trixie, roots: "aa", ..World::default() }.chooses(want);
    }
}

#[test]
fn suites() {
    let world =
        World { trixie: "aa 1\nbb 3", security: "aa 2\nbb 3", bullseye: "aa 9\npp 1; Depends: aa", ..World::default() };
    let resolution = World { roots: "aa bb pp/bullseye", ..world }.chooses("aa=2 bb=3 pp=1");
    let suites: Vec<&str> = resolution.packages.iter().map(|package| package.suite.as_str()).collect();
    assert_eq!(suites, ["security", "trixie", "bullseye"]);
    World { roots: "aa/bullseye pp/bullseye", ..world }.chooses("aa=9 pp=1");
    World { roots: "aa/trixie", ..world }.chooses("aa=1");
    insta::assert_snapshot!(World { roots: "pp", ..world }.fails(), @r#"
    the packages of the image `lab` do not go together:
      recipe base asks for pp
        pp: bullseye has 1, but serves only packages that a recipe pins to it
    hint: if you mean to take pp from bullseye, ask for it in a recipe: { name = "pp", suite = "bullseye" }
    "#);
    insta::assert_snapshot!(World { roots: "bb/bullseye", ..world }.fails(), @"
    the packages of the image `lab` do not go together:
      recipe base asks for bb from bullseye
        bb: recipe base pins it to bullseye; trixie has 3; security has 3
    hint: drop one of the packages that the recipes ask for, or pin one to another suite
    ");
    insta::assert_snapshot!(World { roots: "bb/sid", ..world }.fails(), @"
    recipe base asks for bb from sid, which is not among the image's suites
    hint: declare the suite `sid` in a recipe of this image, or drop the pin
    ");
    insta::assert_snapshot!(World { roots: "aa/trixie aa/bullseye", ..world }.fails(), @"
    recipe base asks for aa from trixie, and recipe base asks for it from bullseye
    hint: pin aa in one recipe only
    ");
    insta::assert_snapshot!(
        World { bullseye: "pp 1; Depends: qq (>= 2)\nqq 2", trixie: "qq 1", roots: "pp/bullseye", ..World::default() }.fails(),
        @r#"
    the packages of the image `lab` do not go together:
      recipe base asks for pp from bullseye
        pp 1 (bullseye) Depends: qq (>= 2)
          qq (>= 2): trixie has 1; bullseye has 2, but serves only packages that a recipe pins to it
    hint: if you mean to take qq from bullseye, ask for it in a recipe: { name = "qq", suite = "bullseye" }
    "#
    );
}

#[test]
fn what_the_image_stands_in_for_satisfies_everything() {
    let trixie = "aa 1; Depends: debconf (>= 0.5) | debconf-2.0, bb; Conflicts: debconf (<< 9)\nbb 1; Depends: adduser\n\
        debconf 1; Essential: yes; Provides: vv\nadduser 1; Conflicts: aa";
    let world = World { trixie, roots: "aa", provided: "debconf adduser unused", ..World::default() };
    let resolution = world.chooses("aa=1 bb=1");
    let uses: Vec<String> = resolution.stand_ins.iter().map(|(name, users)| format!("{name}: {users:?}")).collect();
    assert_eq!(uses, ["adduser: {bb}", "debconf: {aa}"]);
    // Asked for by name, it is the real one, with all that it brings.
    World { roots: "bb adduser", ..world }.chooses("adduser=1 bb=1");
}

#[test]
fn locked_versions_are_kept_while_they_can_be() {
    let world = World {
        trixie: "aa 1; Depends: bb (>= 1)\nbb 1",
        security: "aa 2; Depends: bb (>= 2)\nbb 2",
        roots: "aa bb",
        ..World::default()
    };
    for (keep, want) in [
        ("", "aa=2 bb=2"),
        ("aa=1 bb=1", "aa=1 bb=1"),
        ("bb=1", "aa=2 bb=2"),
        ("aa=1", "aa=1 bb=2"),
        ("aa=7 bb=7", "aa=2 bb=2"),
    ] {
        World { keep, ..world }.chooses(want);
    }
}

#[test]
fn the_message_tells_the_chain() {
    let trixie = "aa 1; Depends: bb\nbb 1; Depends: cc | dd, ee\ncc 1; Depends: zz (>= 2)\ndd 1; Conflicts: xx\nee 1\nxx 1\nzz 1";
    insta::assert_snapshot!(World { trixie, roots: "aa xx", ..World::default() }.fails(), @"
    the packages of the image `lab` do not go together:
      recipe base asks for aa
        aa 1 (trixie) Depends: bb
          bb 1 (trixie) Depends: cc | dd
            cc 1 (trixie) Depends: zz (>= 2)
              zz (>= 2): trixie has 1
            dd 1 (trixie) Conflicts: xx
              xx 1 (trixie) is needed:
                recipe base asks for xx
    hint: drop one of the packages that the recipes ask for, or pin one to another suite
    ");
    insta::assert_snapshot!(World { trixie, roots: "aaa", ..World::default() }.fails(), @"
    the packages of the image `lab` do not go together:
      recipe base asks for aaa
        aaa: no suite has a package of that name
    hint: did you mean `aa`?
    ");
    let trixie = "aa 1; Depends: bb\nbb 1; Conflicts: vv\ncc 1; Depends: dd\ndd 1; Provides: vv";
    insta::assert_snapshot!(World { trixie, roots: "aa cc", ..World::default() }.fails(), @"
    the packages of the image `lab` do not go together:
      recipe base asks for aa
        aa 1 (trixie) Depends: bb
          bb 1 (trixie) Conflicts: vv
            dd 1 (trixie) is needed:
              recipe base asks for cc
                cc 1 (trixie) Depends: dd
    hint: drop one of the packages that the recipes ask for, or pin one to another suite
    ");
    let trixie = "aa 1; Depends: bb (>= 2)\nvv 1; Provides: bb";
    insta::assert_snapshot!(World { trixie, roots: "aa", ..World::default() }.fails(), @"
    the packages of the image `lab` do not go together:
      recipe base asks for aa
        aa 1 (trixie) Depends: bb (>= 2)
          bb (>= 2): provided by vv, but not in that version
    hint: drop one of the packages that the recipes ask for, or pin one to another suite
    ");
    let trixie = "aa 1; Depends: bb:any\nbb 1";
    insta::assert_snapshot!(World { trixie, roots: "aa", ..World::default() }.fails(), @"
    the packages of the image `lab` do not go together:
      recipe base asks for aa
        aa 1 (trixie) Depends: bb:any
          bb:any: trixie has 1; it is not `Multi-Arch: allowed`
    hint: drop one of the packages that the recipes ask for, or pin one to another suite
    ");
}

#[test]
fn the_message_tells_what_was_tried() {
    // Each alternative of aa clashes with each of bb: nothing follows before something has been tried.
    let trixie =
        "aa 1; Depends: a1 | a2\nbb 1; Depends: b1 | b2\na1 1; Conflicts: b1, b2\na2 1; Conflicts: b1, b2\nb1 1\nb2 1";
    insta::assert_snapshot!(World { trixie, roots: "aa bb", ..World::default() }.fails(), @"
    the packages of the image `lab` do not go together:
      recipe base asks for bb
        bb 1 (trixie) Depends: b1 | b2
          b1 1 (trixie) is excluded by a2 1 (trixie) Conflicts: b1
            a2 1 (trixie) is needed:
              recipe base asks for aa
                aa 1 (trixie) Depends: a1 | a2
                  a1 1 (trixie) leads to a contradiction:
                    recipe base asks for bb
                      bb 1 (trixie) Depends: b1 | b2
                        b1 1 (trixie) is excluded by a1 1 (trixie) Conflicts: b1
                        b2 1 (trixie) is excluded by a1 1 (trixie) Conflicts: b2
          b2 1 (trixie) is excluded by a2 1 (trixie) Conflicts: b2
    hint: drop one of the packages that the recipes ask for, or pin one to another suite
    ");
}

#[test]
fn long_chains_lose_their_middle() {
    let lines: String = (10..40).map(|number| format!("p{number} 1; Depends: p{}\n", number + 1)).collect();
    insta::assert_snapshot!(World { trixie: &lines, roots: "p10", ..World::default() }.fails(), @"
    the packages of the image `lab` do not go together:
      recipe base asks for p10
        p10 1 (trixie) Depends: p11
          p11 1 (trixie) Depends: p12
            p12 1 (trixie) Depends: p13
              … 22 more
                p35 1 (trixie) Depends: p36
                  p36 1 (trixie) Depends: p37
                    p37 1 (trixie) Depends: p38
                      p38 1 (trixie) Depends: p39
                        p39 1 (trixie) Depends: p40
                          p40: no suite has a package of that name
    hint: drop one of the packages that the recipes ask for, or pin one to another suite
    ");
}

#[test]
fn damage_names_suite_and_line() {
    let world = World { roots: "aa", ..World::default() };
    insta::assert_snapshot!(World { trixie: "bb 1\naa 1; Depends: bb (> 1)", ..world }.fails(), @"
    the package index of trixie: line 11: `Depends`: byte 4 of the relation field: expected one of `<<`, `<=`, `=`, `>=`, `>>`, at `> 1)`
    hint: the archive's index is damaged or newer than this program; fetch it again, or from another mirror
    ");
    insta::assert_snapshot!(World { security: "aa 1_0", ..world }.fails(), @"
    the package index of security: line 1: `Version`: `1_0` is not a Debian version: only letters, digits and `.+-~:` may occur
    hint: the archive's index is damaged or newer than this program; fetch it again, or from another mirror
    ");
    insta::assert_snapshot!(World { security: "Aa 1", ..world }.fails(), @"
    the package index of security: line 1: `Aa` is not a Debian package name: lower-case letters, digits, `+`, `-` and `.`, at least two, beginning with a letter or digit
    hint: the archive's index is damaged or newer than this program; fetch it again, or from another mirror
    ");
    let request = world.request();
    insta::assert_snapshot!(resolve(&request, &[], &BTreeMap::new()).unwrap_err(), @"there is no package index for the suite trixie");
}

#[test]
fn the_digest_follows_the_request() {
    let base = World { roots: "aa bb", provided: "cc", ..World::default() }.request();
    let digest = keys::request(&base);
    assert_eq!(
        digest.to_string(),
        "0c7290a5816449424a81e66ddc3142202d780adfc132fba6b5f3c597d5a0eedc",
        "changing the encoding makes every lock stale"
    );
    type Edit = fn(&mut Request);
    let own = |key: &[u8]| OwnArchive {
        name: "own".into(),
        uris: vec!["https://example.org/debian".to_owned()],
        key: key.into(),
        recipe: "base".to_owned(),
    };
    let with_archive = Request { archives: vec![own(b"key")], ..base.clone() };
    assert_ne!(keys::request(&with_archive), digest);
    assert_ne!(
        keys::request(&with_archive),
        keys::request(&Request { archives: vec![own(b"another")], ..base.clone() })
    );
    let changes: [(&str, Edit); 10] = [
        ("recommends", |request| request.packages[0].recommends = true),
        ("architecture", |request| request.architecture = Architecture::Amd64),
        ("suite name", |request| request.suites[0].name.push('x')),
        ("suite use", |request| request.suites[0].use_for = SuiteUse::PinOnly),
        ("suite order", |request| request.suites.swap(0, 1)),
        ("component", |request| request.suites[0].components.push("contrib".into())),
        ("archive", |request| request.suites[0].archive = Archive::DebianSecurity),
        ("pin", |request| request.packages[0].suite = Some("trixie".into())),
        ("asker", |request| request.packages[0].recipe.push('x')),
        ("stand-in", |request| request.provided.clear()),
    ];
    for (what, change) in changes {
        let mut changed = base.clone();
        change(&mut changed);
        assert_ne!(keys::request(&changed), digest, "{what}");
    }
    let unseen: [(&str, Edit); 3] = [
        ("image", |request| request.image.push('x')),
        ("expiry", |request| request.suites[0].expired = Expiry::Allow),
        ("reason", |request| request.provided.values_mut().for_each(|provided| provided.reason.push('x'))),
    ];
    for (what, change) in unseen {
        let mut changed = base.clone();
        change(&mut changed);
        assert_eq!(keys::request(&changed), digest, "{what}");
    }
}

/// A random package: version in trixie and, perhaps, a newer one in security that the lock does not want.
#[derive(Clone, Debug)]
struct Random {
    depends: Vec<Vec<(usize, usize)>>,
    conflicts: Vec<(usize, usize)>,
    provides: Option<usize>,
}

const NAMES: [&str; 8] = ["p0", "p1", "p2", "p3", "p4", "p5", "v6", "v7"];

/// A relation to the name by number, at least the version; 0 is any.
fn written((name, version): (usize, usize)) -> String {
    if version == 0 { NAMES[name].to_owned() } else { format!("{} (>= {version})", NAMES[name]) }
}

fn random() -> impl Strategy<Value = Random> {
    let relation = || (0..8usize, 0..3usize);
    (
        prop::collection::vec(prop::collection::vec(relation(), 1..4), 0..3),
        prop::collection::vec(relation(), 0..2),
        prop::option::of(6..8usize),
    )
        .prop_map(|(depends, conflicts, provides)| Random { depends, conflicts, provides })
}

impl Random {
    fn line(&self, name: usize, version: usize) -> String {
        let join = |words: Vec<String>, by: &str| words.join(by);
        let groups =
            self.depends.iter().map(|group| join(group.iter().copied().map(written).collect(), " | ")).collect();
        let mut line = format!("{} {version}", NAMES[name]);
        for (field, value) in [
            ("Depends", join(groups, ", ")),
            ("Conflicts", join(self.conflicts.iter().copied().map(written).collect(), ", ")),
            ("Provides", self.provides.map(|name| NAMES[name].to_owned()).unwrap_or_default()),
        ] {
            if !value.is_empty() {
                line.push_str(&format!("; {field}: {value}"));
            }
        }
        line.push('\n');
        line
    }

    /// Whether this package as `name` in `version` satisfies a relation.
    fn serves(&self, (name, version): (usize, usize), wanted: (usize, usize)) -> bool {
        (wanted.0 == name && version >= wanted.1) || (self.provides == Some(wanted.0) && wanted.1 == 0)
    }
}

/// Offers are pairs of (name, version) with their package; a set is good when everything in it is content.
fn is_good(set: &[((usize, usize), &Random)], roots: &[usize]) -> bool {
    let met = |wanted: (usize, usize)| set.iter().any(|(id, package)| package.serves(*id, wanted));
    let content = |((name, _), package): &((usize, usize), &Random)| {
        let clashes =
            |wanted: &(usize, usize)| set.iter().any(|(id, other)| id.0 != *name && other.serves(*id, *wanted));
        package.depends.iter().all(|group| group.iter().any(|wanted| met(*wanted)))
            && !package.conflicts.iter().any(clashes)
    };
    let one_each = set.iter().enumerate().all(|(at, (id, _))| set[..at].iter().all(|(other, _)| other.0 != id.0));
    one_each && roots.iter().all(|root| met((*root, 0))) && set.iter().all(content)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The oracle tries every set of packages.
    #[test]
    fn the_solver_finds_a_solution_exactly_when_there_is_one(
        old in prop::collection::vec(random(), 6),
        new in prop::collection::vec(prop::option::of(random()), 6),
        roots in prop::collection::btree_set(0..6usize, 1..4),
    ) {
        let roots: Vec<usize> = roots.into_iter().collect();
        let trixie: String = old.iter().enumerate().map(|(name, package)| package.line(name, 1)).collect();
        let security: String =
            new.iter().enumerate().filter_map(|(name, package)| Some(package.as_ref()?.line(name, 2))).collect();
        let words: Vec<&str> = roots.iter().map(|root| NAMES[*root]).collect();
        let keep: Vec<String> = (0..6).map(|name| format!("{}=1", NAMES[name])).collect();
        let (roots_text, keep_text) = (words.join(" "), keep.join(" "));
        let world = World { trixie: &trixie, security: &security, roots: &roots_text, keep: &keep_text, ..World::default() };

        let mut offers: Vec<((usize, usize), &Random)> =
            old.iter().enumerate().map(|(name, package)| ((name, 1), package)).collect();
        offers.extend(new.iter().enumerate().filter_map(|(name, package)| Some(((name, 2), package.as_ref()?))));
        let subset = |bits: usize| -> Vec<_> {
            offers.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, offer)| *offer).collect()
        };
        let solvable = (0..1usize << offers.len()).any(|bits| is_good(&subset(bits), &roots));

        match world.resolve() {
            Ok(resolution) => {
                let chosen: Vec<_> = offers.iter().copied().filter(|((name, version), _)| {
                    resolution.packages.iter().any(|package| {
                        package.candidate.name.as_str() == NAMES[*name]
                            && package.candidate.version.as_str() == version.to_string()
                    })
                }).collect();
                prop_assert_eq!(chosen.len(), resolution.packages.len());
                prop_assert!(is_good(&chosen, &roots), "not a solution: {:?}", chosen);
                // Everything has a reason, and the order of the index is none.
                for package in &resolution.packages {
                    let needed = |other: &Chosen| other.needs.iter().any(|need| need.package == package.candidate.name);
                    prop_assert!(!package.asked.is_empty() || resolution.packages.iter().any(needed));
                }
                let reversed: String = trixie.lines().rev().map(|line| format!("{line}\n")).collect();
                prop_assert_eq!(World { trixie: &reversed, ..world }.resolve().unwrap(), resolution);
            }
            Err(ResolveError::Unsatisfiable { story, .. }) => {
                prop_assert!(!solvable, "there is a solution");
                prop_assert!(!story.is_empty());
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}

/// Real stanzas, with the fields that count. The list is what apt 2.6 installs without Recommends for the same request,
/// with the stand-ins as installed packages and consul pinned to bullseye.
#[test]
fn a_real_system_is_resolved_as_apt_does() {
    let world = World {
        roots: "systemd-sysv libpam-systemd openssh-server curl consul/bullseye",
        provided: "debconf debconf-2.0 ucf adduser pipexec",
        ..World::default()
    };
    let indexes = [
        ("trixie", include_str!("fixture/trixie.Packages")),
        ("security", include_str!("fixture/trixie-security.Packages")),
        ("bullseye", include_str!("fixture/bullseye.Packages")),
    ];
    let indexes = indexes.map(|(suite, text)| SuiteIndex { suite, automatic: Automatic::Yes, packages: vec![text] });
    let resolution = resolve(&world.request(), &indexes, &BTreeMap::new()).unwrap();
    let line = |package: &Chosen| format!("{} {} {}", package.candidate.name, package.candidate.version, package.suite);
    let lines: Vec<String> = resolution.packages.iter().map(line).collect();
    assert_eq!(lines.join("\n"), include_str!("fixture/expected").trim_end());
}
