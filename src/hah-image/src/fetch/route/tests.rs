//! apt's proxies, from its files to a request on the wire.

use std::os::unix::fs::PermissionsExt as _;

use super::super::server::{Answer, Server};
use super::super::{FetchOptions, Fetcher, Mirrors, Source};
use super::*;

/// apt's directory with one mirror and this configuration.
fn apt(mirror: &str, conf: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("sources.list"), format!("deb {mirror} trixie main\n")).unwrap();
    std::fs::write(dir.path().join("apt.conf"), conf).unwrap();
    dir
}

fn mirrors(dir: &Path, environment: &AptEnvironment) -> Mirrors {
    let mut mirrors = Mirrors::new();
    mirrors.set_snapshot("/nonexistent").unwrap();
    mirrors.add_apt_sources(dir, environment);
    mirrors
}

/// The bytes of `pool/x` below apt's mirror, and the error if there are none.
fn fetch(dir: &Path, environment: &AptEnvironment) -> Result<Vec<u8>, String> {
    let downloads = tempfile::tempdir().unwrap();
    let mut options = FetchOptions::new(downloads.path().to_owned(), mirrors(dir, environment));
    options.attempts = 1;
    let source = Source::Debian { archive: "debian".into(), path: "pool/x".into(), snapshot: None };
    Fetcher::new(options).document(&source, 100).map(|document| document.bytes).map_err(|error| error.to_string())
}

fn server() -> Server {
    Server::start(&[("debian/pool/x", Answer::Good(b"it".to_vec()))])
}

#[test]
fn apts_proxy_is_used_for_apts_mirror() {
    let proxy = server();
    let dir = apt("http://m.invalid/debian", &format!("Acquire::http::Proxy \"{}\";", proxy.base));
    assert_eq!(fetch(dir.path(), &AptEnvironment::default()).unwrap(), b"it");
    assert_eq!(proxy.asked(), ["http://m.invalid/debian/pool/x"]);
}

#[test]
fn a_mirror_that_somebody_else_names_does_not_take_apts_proxy() {
    let (mirror, proxy) = (server(), server());
    let dir = apt("http://m.invalid/debian", &format!("Acquire::http::Proxy \"{}\";", proxy.base));
    let mut all = Mirrors::new();
    all.add("debian", &format!("{}/debian", mirror.base), "--mirror").unwrap();
    all.add_apt_sources(dir.path(), &AptEnvironment::default());
    let downloads = tempfile::tempdir().unwrap();
    let mut options = FetchOptions::new(downloads.path().to_owned(), all);
    options.proxies = super::super::Proxies::Environment;
    let source = Source::Debian { archive: "debian".into(), path: "pool/x".into(), snapshot: None };
    Fetcher::new(options).document(&source, 100).unwrap();
    assert_eq!((mirror.asked().len(), proxy.asked().len()), (1, 0));
}

#[test]
fn direct_and_no_proxy_go_straight() {
    let dead = "http://127.0.0.1:9";
    for (conf, no_proxy) in [
        (format!("Acquire::http::Proxy \"{dead}\"; Acquire::http::Proxy::127.0.0.1 \"DIRECT\";"), None),
        ("Acquire::http::Proxy \"DIRECT\";".to_owned(), None),
        (format!("Acquire::http::Proxy \"{dead}\";"), Some("x.example, 0.0.1")),
    ] {
        let mirror = server();
        let dir = apt(&format!("{}/debian", mirror.base), &conf);
        let environment = AptEnvironment { no_proxy: no_proxy.map(str::to_owned), ..AptEnvironment::default() };
        assert_eq!(fetch(dir.path(), &environment).unwrap(), b"it", "{conf}");
        assert_eq!(mirror.asked(), ["/debian/pool/x"]);
    }
}

#[test]
fn a_program_is_asked_for_the_proxy_once_and_with_the_site() {
    let proxy = server();
    let dir = apt("http://m.invalid/debian", "");
    let program = dir.path().join("detect it");
    let write = |answer: &str| {
        let text = format!("#!/bin/sh\necho \"$@\" >>'{}'\n{answer}\n", dir.path().join("asked").display());
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let conf = format!("Acquire::http::Proxy-Auto-Detect \"{}\";\n", program.display());
    let general = format!("Acquire::http::Proxy \"{}\";\n", proxy.base);
    // The program's word counts more than the general proxy, which counts when the program has none to say or fails.
    for (conf, answer) in [
        (conf.clone(), format!("echo '{}'", proxy.base)),
        (format!("{conf}Acquire::http::Proxy \"http://127.0.0.1:9\";"), format!("echo '{}'", proxy.base)),
        (format!("{conf}{general}"), String::new()),
        (format!("{conf}{general}"), "exit 1".to_owned()),
    ] {
        std::fs::write(dir.path().join("apt.conf"), conf).unwrap();
        write(&answer);
        // Asking for the list of mirrors runs nothing.
        let mirrors = mirrors(dir.path(), &AptEnvironment::default());
        let rows = mirrors.rows();
        assert!(rows[1].1.starts_with("what ") && !dir.path().join("asked").exists(), "{rows:?}");
        let downloads = tempfile::tempdir().unwrap();
        let fetcher = Fetcher::new(FetchOptions::new(downloads.path().to_owned(), mirrors));
        let source = Source::Debian { archive: "debian".into(), path: "pool/x".into(), snapshot: None };
        for _ in 0..2 {
            fetcher.document(&source, 100).unwrap();
        }
        assert_eq!(std::fs::read_to_string(dir.path().join("asked")).unwrap(), "http://m.invalid\n", "{answer}");
        std::fs::remove_file(dir.path().join("asked")).unwrap();
    }
    assert_eq!(proxy.asked().len(), 8);
}

#[test]
fn a_proxy_that_does_not_work_is_named_without_its_password() {
    let dir = apt("http://m.invalid/debian", "\nAcquire::http::Proxy \"http://me:secret@127.0.0.1:9\";");
    let error = fetch(dir.path(), &AptEnvironment::default()).unwrap_err();
    let place = format!("{}:2 Acquire::http::Proxy", dir.path().join("apt.conf").display());
    assert!(error.contains("proxy: http://me@127.0.0.1:9, ") && error.contains(&place), "{error}");
    assert!(!error.contains("secret"), "{error}");
    let rows = mirrors(dir.path(), &AptEnvironment::default()).rows();
    let sources = dir.path().join("sources.list").display().to_string();
    let row = |name: &str, value: &str, origin: &str| (name.to_owned(), value.to_owned(), origin.to_owned());
    assert_eq!(
        rows,
        [
            row("mirrors.debian", "http://m.invalid/debian", &sources),
            row("proxies.http://m.invalid/debian", "http://me@127.0.0.1:9", &place),
        ]
    );
}
