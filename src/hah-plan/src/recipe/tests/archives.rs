//! Archives that are not Debian's, components, recommendations and stand-ins.

use super::shipped::{file, shipped};
use super::*;
use crate::system::{Archive, SuiteUse};

/// The image of a virtual board with these lines more.
fn image(recipes: &str, text: &str) -> Result<System, Diagnostics> {
    let mut sources = shipped();
    let head = format!("summary = \"I\"\nboard = \"virt\"\nrecipes = [\"base\", {recipes}]\n");
    sources.insert("images/i.toml", "images/i.toml", format!("{head}{text}"));
    sources.insert("images/keys/own.asc", "images/keys/own.asc", "a key");
    load(&sources, "i", &[])
}

#[track_caller]
fn good(recipes: &str, text: &str) -> System {
    image(recipes, text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

#[track_caller]
fn refused(text: &str) -> String {
    image("\"network\"", text).unwrap_err().to_string()
}

/// As their installation guides have them: one suite with components, and flat ones.
const ARCHIVES: &str = r#"
[[archive]]
name = "tailscale"
uris = ["https://pkgs.tailscale.com/stable/debian"]
suites = ["trixie"]
components = ["main"]
key = "keys/own.asc"

[[archive]]
name = "docker"
uris = ["https://download.docker.com/linux/debian"]
suites = ["trixie"]
components = ["stable"]
architectures = ["arm64", "amd64"]
use = "pin-only"
key = "keys/own.asc"

[[archive]]
name = "flat"
uris = ["https://example.org/repo"]
suites = ["./", "stable/"]
key = "keys/own.asc"

[[archive]]
name = "zero"
uris = ["https://example.org/armel"]
suites = ["/"]
architectures = ["armel"]
key = "keys/own.asc"
"#;

#[test]
fn archives_become_suites_of_their_own() {
    let system =
        good("\"network\"", &format!("packages = [{{ name = \"docker-ce\", suite = \"docker/trixie\" }}]\n{ARCHIVES}"));
    let own: Vec<_> = (system.suites.iter().filter(|suite| matches!(suite.archive, Archive::Own(_))))
        .map(|suite| (&*suite.name, suite.distribution(), suite.components.join(" "), suite.use_for))
        .collect();
    assert_eq!(
        own,
        [
            ("tailscale/trixie", "trixie", "main".to_owned(), SuiteUse::Default),
            ("docker/trixie", "trixie", "stable".to_owned(), SuiteUse::PinOnly),
            ("flat/./", "./", String::new(), SuiteUse::Default),
            ("flat/stable/", "stable/", String::new(), SuiteUse::Default),
        ]
    );
    // One that has nothing for this board's architecture takes no part.
    let names: Vec<&str> = system.archives.iter().map(|archive| &*archive.name).collect();
    assert_eq!(names, ["tailscale", "docker", "flat"]);
    assert_eq!(&*system.archives[0].key, b"a key");
}

#[test]
fn archives_that_cannot_be() {
    let check = |from: &str, to: &str, said: &str| {
        let text = "[[archive]]\nname = \"own\"\nuris = [\"https://a.example\"]\nsuites = [\"stable\"]\ncomponents = [\"main\"]\n\
                    key = \"keys/own.asc\"\n";
        assert!(text.contains(from), "{from}");
        let found = refused(&text.replace(from, to));
        assert!(found.contains(said), "{found}");
    };
    check("\"own\"", "\"debian\"", "`debian` cannot be the name of an archive of your own");
    check("https://a.example", "ftp://a.example", "`ftp://a.example` is no address of an archive");
    check("[\"https://a.example\"]", "[]", "`uris` is empty");
    check("[\"stable\"]", "[\"../stable\"]", "`../stable` cannot be the name of a suite");
    check("[\"stable\"]", "[\"./\"]", "the flat suite `./` has no components");
    check("components = [\"main\"]", "", "the suite `stable` needs components");
    check("keys/own.asc", "keys/own.gpg", "own.gpg");
    check("key = \"keys/own.asc\"\n", "", "needs `key`");
    let twice = refused(&format!("{ARCHIVES}{}", ARCHIVES.replace("https", "http")));
    assert!(twice.contains("archive `tailscale` is declared"), "{twice}");
}

#[test]
fn components_of_a_suite_add_up() {
    let system =
        good("\"network\"", "[[suite]]\nname = \"trixie\"\ncomponents = [\"contrib\", \"main\", \"non-free\"]\n");
    let trixie = system.suites.iter().find(|suite| suite.name == "trixie").unwrap();
    assert_eq!(trixie.components, ["main", "non-free-firmware", "contrib", "non-free"]);
}

#[test]
fn recommendations_are_asked_for_by_one_of_two() {
    let system = good("\"network\"", "packages = [\"vim\", { name = \"vim\", recommends = true }, \"less\"]\n");
    let recommends = |name: &str| system.packages.iter().find(|one| one.name.as_str() == name).unwrap().recommends;
    assert!(recommends("vim") && !recommends("less"));
}

#[test]
fn what_is_asked_for_is_not_stood_in_for() {
    let stands_in = |system: &System, name: &str| system.provided.keys().any(|provided| provided.as_str() == name);
    let system = good("\"network\"", "");
    let names: Vec<String> = system.provided.keys().map(ToString::to_string).collect();
    assert!(!names.is_empty());
    for name in &names {
        let system = good("\"network\"", &format!("packages = [\"{name}\"]\n"));
        assert!(!stands_in(&system, name), "{name}");
        assert!(system.packages.iter().any(|package| package.name.as_str() == name));
    }
}

#[test]
fn time_is_kept_by_one_of_two() {
    let has = |system: &System, name: &str| system.packages.iter().any(|package| package.name.as_str() == name);
    let timesyncd = good("\"time\"", "[params.time]\nservers = [\"ntp.example\"]\n");
    assert!(has(&timesyncd, "systemd-timesyncd") && !has(&timesyncd, "chrony"));
    assert!(file(&timesyncd, "/etc/systemd/timesyncd.conf.d/hah.conf").contains("NTP=ntp.example"));
    let chrony = good("\"time\"", "[params.time]\nclient = \"chrony\"\nservers = [\"ntp.example\", \"192.0.2.1\"]\n");
    assert!(has(&chrony, "chrony") && !has(&chrony, "systemd-timesyncd"));
    let text = file(&chrony, "/etc/chrony/chrony.conf");
    assert!(
        text.contains("\nserver ntp.example iburst\nserver 192.0.2.1 iburst\n") && !text.contains("pool "),
        "{text}"
    );
    assert!(text.contains("driftfile /var/lib/chrony/"));
    let alone = good("\"time\"", "[params.time]\nclient = \"chrony\"\n");
    assert!(file(&alone, "/etc/chrony/chrony.conf").contains("\npool 2.debian.pool.ntp.org iburst\n"));
    assert!(chrony.units.iter().any(|unit| unit.name == "chrony.service"));
    assert!(!chrony.units.iter().any(|unit| unit.name == "systemd-timesyncd.service"));
}
