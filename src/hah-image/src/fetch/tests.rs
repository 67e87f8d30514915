//! Downloads from good and bad mirrors.

use std::cell::RefCell;
use std::path::Path;

use super::server::{Answer, Server};
use super::*;

const PATH: &str = "pool/x.deb";

/// 300 kB, so that progress is reported on the way.
fn content() -> Vec<u8> {
    (0..300_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn item(bytes: &[u8]) -> Item {
    Item {
        name: "x".into(),
        sha256: Sha256::of(bytes),
        size: Some(bytes.len() as u64),
        source: Source::Debian { archive: "debian".into(), path: PATH.into(), snapshot: None },
    }
}

struct Setup {
    dir: tempfile::TempDir,
    fetcher: Fetcher,
}

/// A fetcher with these mirrors, impatient.
fn setup(mirrors: &[&str]) -> Setup {
    let dir = tempfile::tempdir().unwrap();
    let mut known = Mirrors::new();
    for mirror in mirrors {
        known.add("debian", mirror, "--mirror").unwrap();
    }
    let mut options = FetchOptions::new(dir.path().join("downloads"), known);
    options.first_delay = Duration::from_millis(1);
    options.proxies = Proxies::Direct;
    options.idle_timeout = Duration::from_secs(20);
    Setup { fetcher: Fetcher::new(options), dir }
}

impl Setup {
    /// Fetches one item; its bytes, or the error's text.
    fn get(&self, item: &Item) -> Result<Vec<u8>, String> {
        let paths = self.fetcher.fetch_all(std::slice::from_ref(item), &Silent).map_err(|error| {
            assert!(error.hint().is_some());
            error.to_string()
        })?;
        Ok(std::fs::read(&paths[0]).unwrap())
    }

    /// Names in the cache.
    fn cached(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.dir.path().join("downloads/sha256")) else { return Vec::new() };
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn part(&self, item: &Item) -> PathBuf {
        let part = self.fetcher.path(&item.sha256).with_extension("part");
        std::fs::create_dir_all(part.parent().unwrap()).unwrap();
        part
    }
}

fn serve(answer: Answer) -> Server {
    Server::start(&[(PATH, answer)])
}

/// Notes what happens.
#[derive(Default)]
struct Notes(RefCell<Vec<String>>);

impl Events for Notes {
    fn started(&self, item: &Item) {
        self.0.borrow_mut().push(format!("started {}", item.name));
    }
    fn progress(&self, _: &Item, bytes: u64) {
        self.0.borrow_mut().push(format!("progress {bytes}"));
    }
    fn retrying(&self, _: &Item, why: &str) {
        self.0.borrow_mut().push(format!("retrying {why}"));
    }
    fn finished(&self, item: &Item, from: Provenance<'_>) {
        let from = if from == Provenance::Cache { "cache" } else { "mirror" };
        self.0.borrow_mut().push(format!("finished {} from {from}", item.name));
    }
}

#[test]
fn a_good_mirror_is_asked_once() {
    let (bytes, notes) = (content(), Notes::default());
    let server = serve(Answer::Good(bytes.clone()));
    let setup = setup(&[&server.base]);
    let item = item(&bytes);
    // Twice the same item at once, as two packages with equal content are.
    let paths = setup.fetcher.fetch_all(&[item.clone(), item.clone()], &notes).unwrap();
    assert_eq!(std::fs::read(&paths[0]).unwrap(), bytes);
    assert_eq!(setup.get(&item).unwrap(), bytes);
    assert_eq!(server.asked(), ["/pool/x.deb"]);
    assert_eq!(setup.cached(), [item.sha256.to_string()]);
    let notes = notes.0.into_inner();
    for want in ["started x", "progress 300000", "finished x from mirror", "finished x from cache"] {
        assert!(notes.iter().any(|note| note == want), "{want}: {notes:?}");
    }
}

#[test]
fn wrong_bytes_are_thrown_away_and_the_next_mirror_asked() {
    let bytes = content();
    let mut wrong = bytes.clone();
    wrong[7] ^= 1;
    let (bad, good) = (serve(Answer::Good(wrong)), serve(Answer::Good(bytes.clone())));
    let item = item(&bytes);
    assert_eq!(setup(&[&bad.base, &good.base]).get(&item).unwrap(), bytes);
    let alone = setup(&[&bad.base]);
    let error = alone.fetcher.fetch_all(std::slice::from_ref(&item), &Silent).unwrap_err();
    assert!(error.is_mismatch());
    let text = error.to_string();
    assert!(text.contains(&format!("{}/pool/x.deb (--mirror): WRONG BYTES", bad.base)), "{text}");
    assert_eq!(alone.cached(), [""; 0], "nothing of it is kept");
}

#[test]
fn a_wrong_length_is_seen_before_the_bytes() {
    let bytes = content();
    let page = serve(Answer::Good(b"<html>log in to the hotel's network</html>".to_vec()));
    let long = serve(Answer::Good([&bytes[..], b"more"].concat()));
    let setup = setup(&[&page.base, &long.base]);
    let error = setup.get(&item(&bytes)).unwrap_err();
    assert!(error.contains("it has 42 bytes instead of 300000"), "{error}");
    assert!(error.contains("it has 300004 bytes instead of 300000"), "{error}");
    assert_eq!(setup.cached(), [""; 0]);
}

#[test]
fn a_broken_connection_is_resumed() {
    let bytes = content();
    let server = serve(Answer::Breaks(bytes.clone(), 100_000));
    let setup = setup(&[&server.base]);
    assert_eq!(setup.get(&item(&bytes)).unwrap(), bytes);
    let asked = server.asked();
    let resumed = asked.len() == 2 && asked[1].starts_with("/pool/x.deb bytes=") && !asked[1].ends_with("bytes=0-");
    // How much of the first answer arrived before the break was seen is the kernel's choice.
    assert!(resumed || asked == ["/pool/x.deb", "/pool/x.deb"], "{asked:?}");
}

#[test]
fn what_a_killed_build_left_is_resumed() {
    let bytes = content();
    let server = serve(Answer::Good(bytes.clone()));
    let setup = setup(&[&server.base]);
    let item = item(&bytes);
    std::fs::write(setup.part(&item), &bytes[..123_456]).unwrap();
    assert_eq!(setup.get(&item).unwrap(), bytes);
    assert_eq!(server.asked(), ["/pool/x.deb bytes=123456-"]);
    assert_eq!(setup.cached(), [item.sha256.to_string()]);
}

#[test]
fn a_whole_part_needs_no_network() {
    let bytes = content();
    let setup = setup(&["http://127.0.0.1:9"]);
    let item = item(&bytes);
    std::fs::write(setup.part(&item), &bytes).unwrap();
    assert_eq!(setup.get(&item).unwrap(), bytes);
}

#[test]
fn a_damaged_part_is_fetched_anew() {
    let bytes = content();
    for left in [vec![0; 5000], vec![0; bytes.len()], vec![0; bytes.len() + 9]] {
        let server = serve(Answer::Good(bytes.clone()));
        let setup = setup(&[&server.base]);
        let item = item(&bytes);
        std::fs::write(setup.part(&item), &left).unwrap();
        assert_eq!(setup.get(&item).unwrap(), bytes, "{}", left.len());
        assert_eq!(server.asked().last().unwrap(), "/pool/x.deb");
    }
}

#[test]
fn a_server_without_ranges_sends_it_all() {
    let bytes = content();
    let server = serve(Answer::NoRanges(bytes.clone()));
    let setup = setup(&[&server.base]);
    let item = item(&bytes);
    std::fs::write(setup.part(&item), &bytes[..1000]).unwrap();
    assert_eq!(setup.get(&item).unwrap(), bytes);
}

#[test]
fn errors_are_retried_and_absence_is_not() {
    let bytes = content();
    let flaky = serve(Answer::Fails(503, 3, bytes.clone()));
    assert_eq!(setup(&[&flaky.base]).get(&item(&bytes)).unwrap(), bytes);
    assert_eq!(flaky.asked().len(), 4);
    let down = serve(Answer::Fails(500, 99, Vec::new()));
    let gone = serve(Answer::Fails(404, 99, Vec::new()));
    let forbidden = serve(Answer::Fails(403, 99, Vec::new()));
    let good = serve(Answer::Good(bytes.clone()));
    let all = [&*down.base, &gone.base, &forbidden.base, &good.base];
    assert_eq!(setup(&all).get(&item(&bytes)).unwrap(), bytes);
    assert_eq!([down.asked().len(), gone.asked().len(), forbidden.asked().len()], [4, 1, 1]);
    let error = setup(&all[..3]).get(&item(&bytes)).unwrap_err();
    for want in ["cannot fetch x (SHA-256 ", "the server answered 500", "it is not there (HTTP 404)", "(HTTP 403)"] {
        assert!(error.contains(want), "{want}: {error}");
    }
}

#[test]
fn silence_ends() {
    let bytes = content();
    let (silent, good) = (serve(Answer::Silent), serve(Answer::Good(bytes.clone())));
    let mut setup = setup(&[&silent.base, &good.base]);
    setup.fetcher.options.idle_timeout = Duration::from_millis(300);
    setup.fetcher.options.attempts = 2;
    // The good one may be slow on a busy machine: it is asked as often as it takes.
    let got = (0..20).find_map(|_| setup.get(&item(&bytes)).ok());
    assert_eq!(got.unwrap(), bytes);
}

#[test]
fn a_dead_host_is_asked_for_one_file_only() {
    let bytes = content();
    let mut setup = setup(&["http://127.0.0.1:9"]);
    setup.fetcher.options.jobs = NonZeroUsize::MIN;
    let items: Vec<Item> = (0..9).map(|n| Item { name: format!("i{n}"), ..item(&bytes[n..]) }).collect();
    let error = setup.fetcher.fetch_all(&items, &Silent).unwrap_err();
    let FetchError::Unavailable(files) = &error else { panic!("{error}") };
    assert_eq!(files.len(), 5, "the rest is given up");
    assert!(matches!(files[0].tried[0].problem, Problem::Connect(_)), "{error}");
    assert!(matches!(files[1].tried[0].problem, Problem::Down), "{error}");
    assert_eq!(setup.cached(), [""; 0]);
}

#[test]
fn one_missing_file_does_not_stop_the_others() {
    let bytes = content();
    let server = serve(Answer::Good(bytes.clone()));
    let setup = setup(&[&server.base]);
    let absent =
        Item { name: "absent".into(), source: Source::Urls(vec![format!("{}/no", server.base)]), ..item(b"no") };
    let error = setup.fetcher.fetch_all(&[absent, item(&bytes)], &Silent).unwrap_err().to_string();
    assert!(error.starts_with("cannot fetch absent") && error.lines().count() == 2, "{error}");
    assert_eq!(setup.cached(), [Sha256::of(&bytes).to_string()]);
}

#[test]
fn two_builds_at_once_share_a_download() {
    let bytes = content();
    let server = serve(Answer::Slow(bytes.clone(), Duration::from_millis(300)));
    let setup = setup(&[&server.base]);
    let item = item(&bytes);
    std::thread::scope(|scope| {
        let both = [0, 1].map(|_| scope.spawn(|| setup.get(&item).unwrap()));
        assert!(both.into_iter().all(|build| build.join().unwrap() == bytes));
    });
    assert_eq!(server.asked().len(), 1);
    assert_eq!(setup.cached(), [item.sha256.to_string()]);
}

#[test]
fn directories_are_mirrors() {
    let bytes = content();
    let disk = tempfile::tempdir().unwrap();
    std::fs::create_dir(disk.path().join("pool")).unwrap();
    std::fs::write(disk.path().join(PATH), &bytes).unwrap();
    let base = disk.path().to_str().unwrap();
    for mirror in [base.to_owned(), format!("file://{base}"), format!("file://{base}/")] {
        let mut setup = setup(&[&mirror]);
        setup.fetcher.options.mode = Mode::Offline;
        assert_eq!(setup.get(&item(&bytes)).unwrap(), bytes, "{mirror}");
    }
    let setup = setup(&[base]);
    let mut wrong = item(&bytes);
    wrong.sha256 = Sha256::of(b"other");
    assert!(setup.get(&wrong).unwrap_err().contains("WRONG BYTES"));
    wrong.size = Some(5);
    assert!(setup.get(&wrong).unwrap_err().contains("it has 300000 bytes instead of 5"));
    wrong.source = Source::Urls(vec![base.to_owned(), "gopher://x".to_owned()]);
    let error = setup.get(&wrong).unwrap_err();
    assert!(error.contains("it is not a file") && error.contains("not a URL that can be fetched"), "{error}");
    assert_eq!(setup.cached(), [""; 0]);
}

#[test]
fn offline_uses_the_cache_and_nothing_else() {
    let bytes = content();
    let server = serve(Answer::Good(bytes.clone()));
    let mut setup = setup(&[&server.base]);
    setup.fetcher.options.mode = Mode::Offline;
    let item = item(&bytes);
    let error = setup.fetcher.fetch_all(std::slice::from_ref(&item), &Silent).unwrap_err();
    assert!(error.to_string().contains("not asked: --offline"), "{error}");
    assert!(error.hint().unwrap().contains("run once without --offline"));
    assert_eq!(server.asked(), [""; 0]);
    setup.fetcher.options.mode = Mode::Online;
    setup.get(&item).unwrap();
    setup.fetcher.options.mode = Mode::Offline;
    assert_eq!(setup.get(&item).unwrap(), bytes);
}

#[test]
fn an_unwritable_cache_is_named() {
    let bytes = content();
    let server = serve(Answer::Good(bytes.clone()));
    let mut setup = setup(&[&server.base]);
    let file = setup.dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    setup.fetcher.options.downloads = file.clone();
    let error = setup.get(&item(&bytes)).unwrap_err();
    assert!(error.contains("cannot write") && error.contains(file.to_str().unwrap()), "{error}");
}

/// A full disk is simulated by a device that is always full.
#[test]
fn a_full_disk_is_said_and_leaves_nothing() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: no /dev/full");
        return;
    }
    let bytes = content();
    let server = serve(Answer::Good(bytes.clone()));
    let setup = setup(&[&server.base]);
    let item = item(&bytes);
    std::os::unix::fs::symlink("/dev/full", setup.part(&item)).unwrap();
    let error = setup.fetcher.fetch_all(std::slice::from_ref(&item), &Silent).unwrap_err();
    assert!(matches!(&error, FetchError::Disk { .. }), "{error}");
    assert!(error.hint().unwrap().starts_with("the disk is full"), "{error}");
    assert!(!setup.cached().contains(&item.sha256.to_string()));
}

#[test]
fn a_file_of_unknown_size_has_a_bound() {
    let bytes = content();
    let server = serve(Answer::Good(bytes.clone()));
    let mut setup = setup(&[&server.base]);
    let item = Item { size: None, ..item(&bytes) };
    setup.fetcher.options.max_bytes = 1000;
    assert!(setup.get(&item).unwrap_err().contains("it is longer than 1000 bytes"));
    setup.fetcher.options.max_bytes = 1 << 20;
    assert_eq!(setup.get(&item).unwrap(), bytes);
}

#[test]
fn documents_come_from_the_first_that_has_them() {
    let server = Server::start(&[("SHA256SUMS", Answer::Good(b"sums".to_vec()))]);
    let setup = setup(&[]);
    let urls = Source::Urls(vec![format!("{}/none", server.base), format!("{}/SHA256SUMS", server.base)]);
    let document = setup.fetcher.document(&urls, 100).unwrap();
    assert_eq!((document.bytes, document.url), (b"sums".to_vec(), format!("{}/SHA256SUMS", server.base)));
    let error = setup.fetcher.document(&urls, 3).unwrap_err().to_string();
    assert!(error.contains("HTTP 404") && error.contains("longer than 3 bytes"), "{error}");
}
