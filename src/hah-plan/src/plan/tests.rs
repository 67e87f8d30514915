use std::sync::Arc;

use super::*;
use crate::recipe::{self, Override, Sources};
use crate::resolve::Request;

mod sensitivity;

const BOARD: &str = r#"
summary = "A board that does nothing"
architecture = "arm64"
packages = ["linux-image-toy"]
tables.default = "gpt"
kernel = { image = "/boot/vmlinuz-VERSION", modules = "/usr/lib/modules/VERSION", compression = "gzip" }
stage1.modules = ["toy_disk"]
"#;

const RECIPE: &str = r#"
summary = "A node that does nothing"
packages = ["base-files", "toy-tool"]
remove = [{ pattern = "/usr/share/man", when = "not keep_man" }]
suite = [{ name = "toy" }]

[params.greeting]
type = "string"
default = "hello"
doc = "What to say."
[params.keep-man]
type = "boolean"
default = false
doc = "Manual pages."

[[file]]
path = "/etc/greeting"
template = "{{ greeting }}\n"

[[artifact]]
name = "toyd"
version = "2.0"
url = "https://example.org/toyd_2.0.tar.gz"
format = "tar.gz"
verify = "sha256"
sha256 = "1111111111111111111111111111111111111111111111111111111111111111"
install = [{ member = "toyd", path = "/usr/bin/toyd", mode = "0755" }]
"#;

/// A fleet of two, and one that keeps its manual pages.
fn sources() -> Sources {
    let mut sources = Sources::new();
    let image = |params: &str| format!("summary = \"A toy\"\nboard = \"toy\"\nrecipes = [\"toy\"]\n{params}");
    for (path, text) in [
        ("recipes/boards/toy.toml", BOARD.to_owned()),
        ("recipes/toy.toml", RECIPE.to_owned()),
        ("images/first.toml", image("")),
        ("images/second.toml", image("params.toy.greeting = \"hi\"\n")),
        ("images/manual.toml", image("params.toy.keep-man = true\n")),
    ] {
        sources.insert(path, path, text);
    }
    sources
}

fn load(image: &str, overrides: &[&str]) -> System {
    let overrides: Vec<Override> =
        overrides.iter().map(|text| Override { origin: "--set".to_owned(), text: (*text).to_owned() }).collect();
    recipe::load(&sources(), image, &overrides).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

/// Packages are lines of `name version [relation->package …]`; every image has all of them.
fn lock(images: &[&str], packages: &str) -> Lock {
    use std::fmt::Write as _;
    let names: String = images.iter().map(|image| format!("\"{image}\", ")).collect();
    let mut text = format!(
        "version = 1\n[[archive]]\nsuite = \"toy\"\narchive = \"debian\"\ndate = 2025-06-15T15:06:40Z\n\
         inrelease = \"{}\"\nimages = [{names}]\n",
        "0".repeat(64)
    );
    for image in images {
        let request = keys::request(&Request::from(&load(image, &[])));
        let _ = writeln!(
            text,
            "[[image]]\nname = \"{image}\"\narchitecture = \"arm64\"\nrequest = \"{request}\"\nepoch = 2025-06-15T15:06:40Z\naskers = []"
        );
    }
    for line in packages.lines() {
        let mut words = line.split_whitespace();
        let (name, version) = (words.next().unwrap(), words.next().unwrap());
        let needs: String = line.split_once('|').map_or("", |(_, needs)| needs.trim()).to_owned();
        let needs: String =
            needs.split(", ").filter(|need| !need.is_empty()).map(|need| format!("\"Depends: {need}\", ")).collect();
        let _ = writeln!(
            text,
            "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\narchitecture = \"arm64\"\nsuite = \"toy\"\n\
             archive = \"debian\"\npath = \"pool/{name}.deb\"\nsize = {}\nsha256 = \"{}\"\nimages = [{names}]\n\
             why = [\"recipe toy\"]\nneeds = [{needs}]",
            line.len(),
            Sha256::of(line.as_bytes()),
        );
    }
    let _ = writeln!(
        text,
        "[[artifact]]\nname = \"toyd\"\nversion = \"2.0\"\nurl = \"https://example.org/toyd_2.0.tar.gz\"\nsize = 7\n\
         sha256 = \"{}\"\nverify = \"sha256\"\nsignature = \"unsigned\"\nimages = [{names}]\nwhy = [\"recipe toy\"]",
        "1".repeat(64)
    );
    Lock::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

const PACKAGES: &str = "\
base-files 13
linux-base 4
linux-image-6.0-toy 6.0-1 | linux-base (>= 4)
linux-image-toy 6.0-1 | linux-image-6.0-toy (= 6.0-1)
toy-tool 1.0-1 | base-files";

fn wanted(system: &System) -> Wanted<'_> {
    let (reviews, agent) = (Sha256::of(b"reviews"), Sha256::of(b"agent"));
    Wanted { system, surroundings: Some(Surroundings { cluster: "home", reviews, agent }) }
}

fn plan_of(images: &[&str]) -> Plan {
    let systems: Vec<System> = images.iter().map(|image| load(image, &[])).collect();
    let wanted: Vec<Wanted<'_>> = systems.iter().map(wanted).collect();
    plan(&wanted, &lock(images, PACKAGES)).unwrap()
}

/// Keys change with [`FORMAT_VERSION`], the pack format and the canonical encoding, and with nothing else.
#[test]
fn the_plan_of_two_images() {
    let plan = plan_of(&["first", "second"]);
    insta::assert_snapshot!(plan, @"
    3896d0b7 fetch base-files 13 (arm64)
    21edec01 pack base-files 13 (arm64) <- 3896d0b7
    fadee1f4 fetch linux-base 4 (arm64)
    6597e708 pack linux-base 4 (arm64) <- fadee1f4
    b94e0aea fetch linux-image-6.0-toy 6.0-1 (arm64)
    6b16f6a6 pack linux-image-6.0-toy 6.0-1 (arm64) <- b94e0aea
    7b2ed726 fetch linux-image-toy 6.0-1 (arm64)
    02da5f3e pack linux-image-toy 6.0-1 (arm64) <- 7b2ed726
    8e9cdc58 fetch toy-tool 1.0-1 (arm64)
    5e14549e pack toy-tool 1.0-1 (arm64) <- 8e9cdc58
    11111111 fetch toyd 2.0
    6b039c98 artifact toyd 2.0 <- 11111111
    0f1b60d8 kernel /boot/vmlinuz-VERSION <- 6b16f6a6 02da5f3e
    44d2e39c image first <- 21edec01 6597e708 6b16f6a6 02da5f3e 5e14549e 6b039c98 0f1b60d8
    186bc853 image second <- 21edec01 6597e708 6b16f6a6 02da5f3e 5e14549e 6b039c98 0f1b60d8
    ");
    assert_eq!(plan, plan_of(&["first", "second"]), "planning is a function");
}

#[test]
fn what_two_images_need_is_one_step() {
    let (one, two, other) = (plan_of(&["first"]), plan_of(&["first", "second"]), plan_of(&["first", "manual"]));
    assert_eq!(two.steps().len(), one.steps().len() + 1, "another parameter is another image and nothing else");
    // Other packs and another kernel, of the same downloads.
    let fetches = |plan: &Plan| plan.steps().iter().filter(|step| step.kind.as_str() == "fetch").count();
    assert_eq!(fetches(&other), fetches(&one));
    assert_eq!(other.steps().len(), one.steps().len() + 5 + 1 + 1);
    let names = |plan: &Plan| plan.images().filter_map(Derivation::image).map(|image| image.name.clone()).collect();
    let names: Vec<String> = names(&plan_of(&["second", "first"]));
    assert_eq!(names, ["second", "first"], "in the order in which they are wanted");
    let system = load("first", &[]);
    let twice = super::plan(&[wanted(&system), wanted(&system)], &lock(&["first"], PACKAGES)).unwrap();
    assert_eq!(twice, one);
}

/// As `linux-image-arm64` leads to the package that has the kernel.
#[test]
fn the_kernel_is_looked_for_where_the_board_leads() {
    let plan = plan_of(&["first"]);
    let kernel = plan.steps().iter().find(|step| step.kind.as_str() == "kernel").unwrap();
    let inputs: Vec<String> = kernel.inputs.iter().map(|input| plan.step(input).unwrap().to_string()).collect();
    assert_eq!(inputs, ["pack linux-image-6.0-toy 6.0-1 (arm64)", "pack linux-image-toy 6.0-1 (arm64)"]);
    // A circle of exact versions has an end.
    let packages = PACKAGES.replace("| linux-base (>= 4)", "| linux-image-toy (= 6.0-1)");
    let system = load("first", &[]);
    let circle = super::plan(&[wanted(&system)], &lock(&["first"], &packages)).unwrap();
    assert_eq!(circle.steps().len(), plan.steps().len());
}

#[test]
fn a_step_is_made_when_somebody_needs_it() {
    let plan = plan_of(&["first", "second"]);
    let state = |there: &dyn Fn(&Derivation) -> bool, kind: &str| {
        let states = plan.states(there);
        let of_kind = plan.steps().iter().zip(states).filter(|(step, _)| step.kind.as_str() == kind);
        let mut found: Vec<StepState> = of_kind.map(|(_, state)| state).collect();
        found.dedup();
        found
    };
    let nothing = |_: &Derivation| false;
    for kind in ["fetch", "pack", "artifact", "kernel", "image"] {
        assert_eq!(state(&nothing, kind), [StepState::Make], "{kind}");
    }
    // A pack that is there needs no download.
    let packs = |step: &Derivation| step.kind.as_str() == "pack";
    assert_eq!(state(&packs, "pack"), [StepState::There]);
    assert_eq!(state(&packs, "fetch"), [StepState::Spare, StepState::Make], "only the artifact's");
    assert_eq!(state(&packs, "kernel"), [StepState::Make]);
    // An image that is there needs nothing, and of two it is the other that decides.
    let images = |step: &Derivation| step.image().is_some();
    assert_eq!(state(&images, "pack"), [StepState::Spare]);
    let first = |step: &Derivation| step.image().is_some_and(|image| image.name == "first");
    assert_eq!(state(&first, "image"), [StepState::There, StepState::Make]);
    assert_eq!(state(&first, "pack"), [StepState::Make]);
}

/// A step that makes `name` of `inputs`.
fn step(name: &str, inputs: &[&str]) -> Derivation {
    let key = |name: &str| Key(Sha256::of(name.as_bytes()));
    let kind = StepKind::Fetch(FetchStep {
        name: name.to_owned(),
        size: 1,
        source: FetchSource::Release { artifact: name.to_owned(), url: None, mirror: None },
    });
    Derivation { key: key(name), kind, inputs: inputs.iter().map(|name| key(name)).collect() }
}

#[test]
fn steps_stand_behind_their_inputs() {
    let plan = Plan::new(vec![step("c", &["a", "b"]), step("b", &["a"]), step("a", &[]), step("d", &["c"])]).unwrap();
    let names: Vec<String> = plan.steps().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["fetch a", "fetch b", "fetch c", "fetch d"]);
    let closure = plan.closure(&step("b", &[]).key);
    assert_eq!(closure, [step("a", &[]).key, step("b", &[]).key].into());
}

#[test]
fn a_plan_with_a_cycle() {
    let steps = vec![step("a", &[]), step("b", &["d"]), step("c", &["a", "b"]), step("d", &["c"])];
    let error = Plan::new(steps).unwrap_err();
    assert_eq!(error.to_string(), "steps want each other: fetch b, fetch c, fetch d");
    assert!(error.hint().contains("bug"), "{}", error.hint());
    let error = Plan::new(vec![step("a", &["a"])]).unwrap_err();
    assert_eq!(error.to_string(), "steps want each other: fetch a");
}

#[test]
fn a_plan_with_a_missing_input() {
    let error = Plan::new(vec![step("a", &[]), step("b", &["a", "nobody"])]).unwrap_err();
    let want = format!("fetch b wants {}, and no step makes it", Sha256::of(b"nobody"));
    assert_eq!(error.to_string(), want);
}

#[test]
fn what_is_not_locked_has_no_plan() {
    let (first, second) = (load("first", &[]), load("second", &[]));
    let lock = lock(&["first"], PACKAGES);
    let error = plan(&[wanted(&first), wanted(&second)], &lock).unwrap_err();
    assert_eq!(error, PlanError::NotLocked { image: "second".to_owned() });
    assert_eq!(error.hint(), "run `hah-image lock second`");
    let mut newer = first.clone();
    newer.artifacts[0].version = "3.0".to_owned();
    let error = plan(&[wanted(&newer)], &lock).unwrap_err();
    assert_eq!(error.to_string(), "artifact toyd 3.0 of image first is not locked");
}

/// Where an archive of one's own is comes with the step, so that whoever fetches needs no recipe.
#[test]
fn a_package_of_ones_own_archive_says_where_it_is() {
    let mut system = load("first", &[]);
    let own = OwnArchive {
        name: "own".into(),
        uris: vec!["https://example.org/debian".to_owned()],
        key: Arc::from(&b"key"[..]),
        recipe: "toy".to_owned(),
    };
    system.archives.push(own.clone());
    let text = lock(&["first"], PACKAGES).to_string().replace("archive = \"debian\"", "archive = \"own\"");
    let text = text.replacen("inrelease = ", &format!("key = \"{}\"\ninrelease = ", "A".repeat(40)), 1);
    let plan = plan(&[wanted(&system)], &Lock::parse(&text).unwrap()).unwrap();
    let owns: Vec<&OwnArchive> = (plan.steps().iter())
        .filter_map(|step| match &step.kind {
            StepKind::Fetch(FetchStep { source: FetchSource::Archive { own, .. }, .. }) => own.as_ref(),
            _ => None,
        })
        .collect();
    assert_eq!(owns, [&own; 5]);
}
