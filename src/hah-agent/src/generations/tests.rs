//! Generations on a card that is a directory: what arrives, what is tried, what stays.

use std::fs;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};

use hah_node::disk::DiskId;
use hah_node::generation::closure::{BootFile, Chunk, Closure, VERSION};
use hah_node::generation::pointer::Pointer;
use hah_node::generation::state::{Staged, State};
use hah_node::generation::transfer::{self, HELLO, Kind};
use hah_node::generation::{CLOSURE, ROOT, TRIED};
use hah_node::stage1::Report;
use serde_json::json;

use super::*;
use shelf::digest;

/// A card on which a generation 0 runs.
struct Card {
    root: tempfile::TempDir,
}

/// What a sender has: a closure and the bytes of its chunks.
struct System {
    text: Vec<u8>,
    closure: Closure,
    chunks: Vec<Vec<u8>>,
    signature: Vec<u8>,
}

impl System {
    /// A system whose root is these pieces.
    fn of(epoch: u32, root: &[&str]) -> Self {
        let mut chunks: Vec<Vec<u8>> = Vec::new();
        let mut chunk = |text: &str| {
            let bytes = text.repeat(1000).into_bytes();
            let chunk = Chunk(digest(&bytes), u32::try_from(bytes.len()).unwrap());
            if !chunks.contains(&bytes) {
                chunks.push(bytes);
            }
            chunk
        };
        let root = root.iter().map(|piece| chunk(piece)).collect();
        let mut boot = |name: &str, text: &str| BootFile { name: name.into(), chunks: vec![chunk(text)] };
        let closure = Closure {
            version: VERSION,
            image: "lab".into(),
            board: "virt".into(),
            architecture: "arm64".into(),
            key: digest(&epoch.to_le_bytes()),
            epoch,
            disk: DiskId::Mbr(0x1234_abcd),
            layout: 1,
            allow_older: false,
            loader: None,
            root,
            boot: vec![boot("cmdline.txt", "q"), boot("initramfs", "initramfs"), boot("kernel", "kernel")],
        };
        Self { text: closure.encode().unwrap(), closure, chunks, signature: Vec::new() }
    }

    fn changed(&self, change: impl FnOnce(&mut Closure)) -> Self {
        let mut closure = self.closure.clone();
        change(&mut closure);
        Self { text: closure.encode().unwrap(), closure, chunks: self.chunks.clone(), signature: Vec::new() }
    }

    fn id(&self) -> String {
        digest(&self.text).to_string()
    }

    fn bytes_of(&self, chunks: &[Chunk]) -> Vec<u8> {
        let bytes = |chunk: &Chunk| self.chunks.iter().find(|bytes| digest(bytes) == chunk.0).unwrap().clone();
        chunks.iter().flat_map(bytes).collect()
    }
}

/// What became of a transfer, as its sender sees it.
#[derive(Debug)]
enum Answer {
    Staged(Staged),
    Refused(String),
    /// The connection ended.
    Gone,
}

impl Card {
    fn with(system: &System) -> Self {
        let card = Self { root: tempfile::tempdir().unwrap() };
        let boot = card.path("boot/firmware");
        for directory in ["boot/firmware/g0", "run/hah", "dev", "var/lib/hah", "proc/sys/kernel/random"] {
            fs::create_dir_all(card.path(directory)).unwrap();
        }
        fs::write(boot.join("config.txt"), format!("os_prefix=g0/\n{}\n", Pointer::keeping(Slot::FLASHED).line()))
            .unwrap();
        fs::write(boot.join("g0").join(CLOSURE), &system.text).unwrap();
        fs::write(card.path("dev/p2"), system.bytes_of(&system.closure.root)).unwrap();
        for file in &system.closure.boot {
            fs::write(boot.join("g0").join(&file.name), system.bytes_of(&file.chunks)).unwrap();
        }
        card.boots(Slot::FLASHED);
        card
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn places(&self) -> Places {
        Places::below(self.root.path())
    }

    fn pointer(&self) -> Pointer {
        pointer::read(&self.path("boot/firmware")).unwrap().pointer
    }

    /// What stage 1 of `slot` does and reports.
    fn boots(&self, slot: Slot) {
        let mut found = pointer::read(&self.path("boot/firmware")).unwrap();
        let on_trial = found.pointer.trial == Some(slot) && found.pointer.good != slot;
        let settled = found.pointer.settled();
        found.write(settled).unwrap();
        let _ = fs::remove_file(self.path("run/hah/settled"));
        let report = json!({
            "version": 1, "image": "lab (1)", "image_id": "1", "disk": "mmcblk0", "disk_bytes": 1, "data": "p3", "data_bytes": 1,
            "flashed_root": "p2", "disk_id": "1234abcd", "generation": slot, "good": settled.good, "on_trial": on_trial,
            "data_action": "kept", "seeded": 0, "hostname": "pi", "new_machine_id": false, "steps": [], "warnings": [],
        });
        let _: Report = serde_json::from_value(report.clone()).unwrap();
        fs::write(self.path("run/hah/stage1.json"), report.to_string()).unwrap();
    }

    /// Sends a system; `cut` is after how many chunks the connection ends.
    fn send(&self, system: &System, cut: Option<usize>) -> Answer {
        self.send_as(system, cut, |bytes| bytes)
    }

    fn send_as(&self, system: &System, cut: Option<usize>, change: impl Fn(Vec<u8>) -> Vec<u8>) -> Answer {
        let ((mut input, to_node), (from_node, mut output)) = (pipe().unwrap(), pipe().unwrap());
        let places = self.places();
        let node = std::thread::spawn(move || drop(receive::run(&places, &mut input, &mut output)));
        let answer = talk(to_node, from_node, system, cut, change);
        node.join().unwrap();
        answer
    }

    fn staged(&self, system: &System) -> Staged {
        match self.send(system, None) {
            Answer::Staged(staged) => staged,
            other => panic!("{other:?}"),
        }
    }

    fn refused(&self, system: &System) -> String {
        match self.send(system, None) {
            Answer::Refused(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn told(&self) -> state::Generations {
        Shelf::read(&self.places()).unwrap().told(&self.places()).unwrap()
    }

    fn states(&self) -> Vec<(u8, State)> {
        self.told().generations.iter().map(|generation| (generation.slot.byte(), generation.state)).collect()
    }
}

/// A sender; when the node hangs up it reads why.
fn talk(
    mut to_node: PipeWriter,
    mut from_node: PipeReader,
    system: &System,
    cut: Option<usize>,
    change: impl Fn(Vec<u8>) -> Vec<u8>,
) -> Answer {
    let _ = transfer::send(&mut to_node, Kind::Hello, HELLO)
        .and_then(|()| transfer::send(&mut to_node, Kind::Closure, &system.text))
        .and_then(|()| transfer::send(&mut to_node, Kind::Signature, &system.signature));
    let mut frame = Vec::new();
    loop {
        match transfer::receive(&mut from_node, &mut frame) {
            Ok(Kind::Progress) => {}
            Ok(Kind::Refused) => return Answer::Refused(String::from_utf8(frame).unwrap()),
            Ok(Kind::Staged) => return Answer::Staged(serde_json::from_slice(&frame).unwrap()),
            Ok(Kind::Missing) => {
                let distinct = system.closure.distinct();
                let missing = transfer::decode_missing(&frame, distinct.len()).unwrap();
                for (sent, index) in missing.iter().enumerate() {
                    if cut == Some(sent) {
                        return Answer::Gone;
                    }
                    let bytes = system.bytes_of(&[distinct[*index as usize]]);
                    if transfer::send(&mut to_node, Kind::Chunk, &change(bytes)).is_err() {
                        break;
                    }
                }
            }
            Ok(kind) => panic!("{kind:?}"),
            Err(_) => return Answer::Gone,
        }
    }
}

fn slot(name: u8) -> Slot {
    Slot::new(name).unwrap()
}

const ONE: u8 = b'1';

#[test]
fn a_generation_arrives_with_what_is_missing_only() {
    let (old, new) = (System::of(10, &["a", "b", "c"]), System::of(20, &["a", "x", "c", "a"]));
    let card = Card::with(&old);
    let staged = card.staged(&new);
    assert_eq!((staged.slot, staged.received, staged.was_there), (slot(ONE), 1000, false));
    assert_eq!(staged.copied, 2000 + 1000 + 9000 + 6000);
    let directory = card.path("var/lib/hah/generations/1");
    assert_eq!(fs::read(directory.join(ROOT)).unwrap(), new.bytes_of(&new.closure.root));
    assert_eq!(fs::read(directory.join(CLOSURE)).unwrap(), new.text);
    let boot = card.path("boot/firmware/g1");
    assert_eq!(fs::read(boot.join("kernel")).unwrap(), "kernel".repeat(1000).as_bytes());
    assert!(fs::read_to_string(boot.join("cmdline.txt")).unwrap().ends_with("q hah.generation=1\n"));
    assert!(!card.path("var/lib/hah/generations/incoming").exists());
    assert_eq!(card.pointer(), Pointer::keeping(Slot::FLASHED), "nothing starts it yet");
    assert_eq!(card.states(), [(b'0', State::Flashed), (ONE, State::Staged)]);
    let again = card.staged(&new);
    assert_eq!((again.slot, again.received, again.was_there), (slot(ONE), 0, true));
}

#[test]
fn a_transfer_that_was_cut_short_goes_on() {
    let (old, new) = (System::of(10, &["a"]), System::of(20, &["u", "v", "w", "x", "u"]));
    for cut in 0..4 {
        let card = Card::with(&old);
        assert!(matches!(card.send(&new, Some(cut)), Answer::Gone));
        assert_eq!(card.states(), [(b'0', State::Flashed)], "half of a generation is none");
        assert_eq!(card.staged(&new).received, 1000 * (4 - cut as u64), "{cut}");
        assert_eq!(
            fs::read(card.path("var/lib/hah/generations/1/root.squashfs")).unwrap(),
            new.bytes_of(&new.closure.root)
        );
    }
    // Of another one nothing is taken over, and nothing is left.
    let card = Card::with(&old);
    assert!(matches!(card.send(&new, Some(3)), Answer::Gone));
    assert_eq!(card.staged(&System::of(30, &["y"])).received, 1000);
    assert!(!card.path("var/lib/hah/generations/incoming").exists());
}

#[test]
fn a_chunk_that_is_another_is_refused() {
    let (old, new) = (System::of(10, &["a"]), System::of(20, &["u", "v"]));
    let card = Card::with(&old);
    let wrong: [fn(Vec<u8>) -> Vec<u8>; 3] = [
        |mut bytes| {
            bytes[7] ^= 1;
            bytes
        },
        |mut bytes| {
            bytes.pop();
            bytes
        },
        |_| Vec::new(),
    ];
    for change in wrong {
        let Answer::Refused(reason) = card.send_as(&new, None, change) else { panic!("it was taken") };
        assert!(reason.contains("did not arrive as it is"), "{reason}");
        assert_eq!(card.states(), [(b'0', State::Flashed)]);
    }
    assert_eq!(card.staged(&new).received, 2000);
}

#[test]
fn what_this_node_cannot_be_is_refused() {
    let (old, new) = (System::of(10, &["a"]), System::of(20, &["b"]));
    let card = Card::with(&old);
    for (system, reason) in [
        (new.changed(|closure| closure.board = "rpi-arm64".into()), "this node is a virt (arm64)"),
        (new.changed(|closure| closure.architecture = "armel".into()), "the generation is for virt (armel)"),
        (new.changed(|closure| closure.epoch = 9), "older than the one that runs"),
        (new.changed(|closure| closure.loader = Some("linux /g{slot}/kernel".into())), "another kind of boot loader"),
        (new.changed(|closure| closure.root[0].1 = 0), "one is empty"),
        (new.changed(|closure| closure.boot[2].chunks = vec![Chunk(closure.key, 4 << 20); 64]), "closure's boot"),
    ] {
        let said = card.refused(&system);
        assert!(said.contains(reason), "{said}");
        assert!(!card.path("var/lib/hah/generations/incoming").exists(), "{reason}");
    }
    card.staged(&new.changed(|closure| (closure.epoch, closure.allow_older) = (9, true)));
    // Not the closure's canonical text, or none at all.
    for text in [&b""[..], b"{", b"{\"version\":2}", &new.text[1..]] {
        let said = card.refused(&System {
            text: text.to_vec(),
            closure: new.closure.clone(),
            chunks: Vec::new(),
            signature: Vec::new(),
        });
        assert!(said.starts_with("the closure "), "{said}");
    }
    fs::remove_file(card.path("boot/firmware/g0/closure")).unwrap();
    assert!(card.refused(&new).contains("flash it once more"));
    fs::write(card.path("run/hah/rescue"), "").unwrap();
    assert!(card.refused(&new).contains("state is in memory"));
}

#[test]
fn a_node_with_an_owner_takes_only_what_the_owner_signed() {
    let (old, new) = (System::of(10, &["a"]), System::of(20, &["b"]));
    let card = Card::with(&old);
    assert!(!card.told().wants_signature);
    let owner = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let stranger = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let before = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let identity = card.path("var/lib/hah/identity/node.json");
    fs::create_dir_all(identity.parent().unwrap()).unwrap();
    let keys = [&owner, &before].map(|pair| pair.pk.to_base64());
    fs::write(&identity, json!({"version": 1, "release_keys": keys}).to_string()).unwrap();
    assert!(card.told().wants_signature);
    let signed = |pair: &minisign::KeyPair, text: &[u8]| {
        minisign::sign(Some(&pair.pk), &pair.sk, text, None, None).unwrap().into_string().into_bytes()
    };
    let with = |signature: Vec<u8>| System { signature, ..new.changed(|_| {}) };
    for (system, reason) in [
        (with(Vec::new()), "nobody signed this generation"),
        (with(b"untrusted comment: x\nRWx\n".to_vec()), "signature is none"),
        (with(vec![0xff; 9]), "signature is none"),
        (with(signed(&stranger, &new.text)), "signed by another key"),
        (with(signed(&owner, &old.text)), "signed by another key"),
    ] {
        let said = card.refused(&system);
        assert!(said.contains(reason), "{said}");
        assert!(!card.path("var/lib/hah/generations/incoming").exists());
    }
    assert_eq!(card.staged(&with(signed(&owner, &new.text))).slot, slot(ONE));
    assert!(card.path("var/lib/hah/generations/1/closure.minisig").exists());
    let newer = System::of(30, &["c"]);
    card.staged(&System { signature: signed(&before, &newer.text), ..newer });
    fs::write(&identity, "{").unwrap();
    assert!(card.told().wants_signature);
    assert!(card.refused(&System::of(40, &["d"])).contains("node.json cannot be used"));
}

#[test]
fn two_transfers_at_once_are_one() {
    let card = Card::with(&System::of(10, &["a"]));
    let places = card.places();
    let _turn = turn(&places).unwrap();
    assert!(card.refused(&System::of(20, &["b"])).contains("another program of this node is changing generations"));
}

#[test]
fn a_generation_of_another_image_is_told_which_disk_is_its_own() {
    let card = Card::with(&System::of(10, &["a"]));
    let other = System::of(20, &["b"]).changed(|closure| {
        closure.image = "pi-client".into();
        closure.disk = DiskId::Mbr(7);
    });
    card.staged(&other);
    let line = fs::read_to_string(card.path("boot/firmware/g1/cmdline.txt")).unwrap();
    assert!(line.ends_with(" hah.generation=1 hah.disk=1234abcd\n"));
}

#[test]
fn what_passes_its_trial_is_kept() {
    let (old, new) = (System::of(10, &["a"]), System::of(20, &["b"]));
    let card = Card::with(&old);
    card.staged(&new);
    assert!(matches!(trial::commit(&card.places()), Err(Error::NotOnTrial(_))));
    let armed = trial::arm(&card.places(), &new.id()[..8]).unwrap();
    assert_eq!(armed, slot(ONE));
    assert_eq!(card.pointer(), Pointer::keeping(Slot::FLASHED).trying(slot(ONE)));
    card.boots(slot(ONE));
    assert_eq!(card.pointer(), Pointer::keeping(Slot::FLASHED), "whatever dies now, 0 starts next");
    let told = card.told();
    assert_eq!((told.running, told.good, told.on_trial), (slot(ONE), Slot::FLASHED, true));
    assert_eq!(trial::commit(&card.places()).unwrap(), slot(ONE));
    let told = card.told();
    assert_eq!((told.running, told.good, told.on_trial, told.bad.len()), (slot(ONE), slot(ONE), false, 0));
    assert_eq!(card.states(), [(b'0', State::Flashed), (ONE, State::Kept)]);
    card.boots(slot(ONE));
    trial::settle(&card.places()).unwrap();
    assert_eq!(trial::roll_back(&card.places(), None).unwrap(), Slot::FLASHED);
    assert_eq!(card.pointer(), Pointer::keeping(Slot::FLASHED));
}

/// A panic, a hang and a power cut look the same from here: another generation comes up.
#[test]
fn what_dies_in_its_trial_is_bad_and_not_tried_again() {
    let (old, new) = (System::of(10, &["a"]), System::of(20, &["b"]));
    let card = Card::with(&old);
    card.staged(&new);
    trial::arm(&card.places(), "1").unwrap();
    // Its settling runs before the reboot too: what is armed is not dead yet.
    trial::settle(&card.places()).unwrap();
    assert!(card.told().bad.is_empty());
    card.boots(slot(ONE));
    card.boots(Slot::FLASHED);
    trial::settle(&card.places()).unwrap();
    let bad = card.told().bad;
    assert_eq!((bad.len(), bad[0].id.to_string()), (1, new.id()));
    assert!(bad[0].reason.contains("ended before it was kept"), "{}", bad[0].reason);
    assert!(matches!(trial::arm(&card.places(), "1"), Err(Error::Bad { .. })));
    // Not even when it was collected and is sent once more.
    fs::remove_dir_all(card.path("var/lib/hah/generations/1")).unwrap();
    assert!(card.refused(&new).contains("did not last here"));
}

#[test]
fn what_is_ordered_is_the_rollout_s() {
    let (old, new) = (System::of(10, &["a"]), System::of(20, &["b"]));
    let card = Card::with(&old);
    assert!(matches!(trial::order(&card.places(), "1", false, false), Err(Error::Unknown(_))));
    card.staged(&new);
    assert_eq!(trial::order(&card.places(), &new.id(), true, false).unwrap(), slot(ONE));
    let order = fs::read(card.path("var/lib/hah/rollout-order.json")).unwrap();
    let order: hah_node::rollout::Order = serde_json::from_slice(&order).unwrap();
    assert_eq!((order.generation.to_string(), order.canary, order.accept_outage), (new.id(), true, false));
    assert_eq!(card.pointer(), Pointer::keeping(Slot::FLASHED), "the cluster is asked first");
    // The rollout begins; from then on the gate of the node alone stands aside.
    fs::write(card.path("var/lib/hah/rollout.json"), "{}").unwrap();
    trial::arm(&card.places(), "1").unwrap();
    card.boots(slot(ONE));
    trial::settle(&card.places()).unwrap();
    assert!(card.told().on_trial);
    card.boots(Slot::FLASHED);
    trial::settle(&card.places()).unwrap();
    assert_eq!(card.told().bad.len(), 1);
    assert!(matches!(trial::order(&card.places(), "1", false, false), Err(Error::Bad { .. })));
}

/// The power goes between the pointer's commit and the mark that says so.
#[test]
fn what_was_kept_without_its_mark_is_not_bad() {
    let card = Card::with(&System::of(10, &["a"]));
    let (new, newer) = (System::of(20, &["b"]), System::of(30, &["c"]));
    card.staged(&new);
    trial::arm(&card.places(), "1").unwrap();
    card.boots(slot(ONE));
    trial::commit(&card.places()).unwrap();
    fs::remove_file(card.path("var/lib/hah/generations/1/kept")).unwrap();
    card.boots(slot(ONE));
    trial::settle(&card.places()).unwrap();
    assert_eq!(card.states()[1], (ONE, State::Kept));
    card.staged(&newer);
    trial::arm(&card.places(), "2").unwrap();
    card.boots(slot(b'2'));
    trial::condemn(&card.places(), &Shelf::read(&card.places()).unwrap()).unwrap();
    assert!(card.told().bad.is_empty());
}

#[test]
fn what_is_damaged_is_not_started() {
    let card = Card::with(&System::of(10, &["a"]));
    let new = System::of(20, &["b"]);
    for (file, what) in [
        ("var/lib/hah/generations/1/root.squashfs", "is not what was received"),
        ("boot/firmware/g1/kernel", "is not what was received"),
        ("boot/firmware/g1/cmdline.txt", "does not name it"),
    ] {
        card.staged(&new);
        let mut bytes = fs::read(card.path(file)).unwrap();
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        fs::write(card.path(file), bytes).unwrap();
        let error = trial::arm(&card.places(), "1").unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
        assert_eq!(card.pointer(), Pointer::keeping(Slot::FLASHED));
        assert!(!card.path("var/lib/hah/generations/1").join(TRIED).exists());
        fs::remove_dir_all(card.path("var/lib/hah/generations/1")).unwrap();
    }
    assert!(matches!(trial::arm(&card.places(), "7"), Err(Error::Unknown(_))));
}

/// Room for four: 0, what runs, what is good, and one more; the oldest of the others goes first.
#[test]
fn old_generations_make_room() {
    let card = Card::with(&System::of(10, &["a"]));
    for (number, epoch) in (1..=6).zip(20..) {
        let system = System::of(epoch, &[&format!("{number}x")]);
        let taken = card.staged(&system).slot;
        trial::arm(&card.places(), &taken.to_string()).unwrap();
        card.boots(taken);
        trial::commit(&card.places()).unwrap();
        let states = card.states();
        assert!(states.len() <= 4, "{states:?}");
        assert!(states.iter().any(|(name, _)| *name == taken.byte()) && states[0].0 == b'0', "{states:?}");
        for name in b"123456789" {
            let boot = card.path("boot/firmware").join(slot(*name).boot_directory());
            assert_eq!(boot.exists(), states.iter().any(|(state, _)| state == name), "{}", boot.display());
        }
    }
}

/// Whatever a power cut leaves of a removal or of a staging is no generation, and goes.
#[test]
fn leftovers_go() {
    let card = Card::with(&System::of(10, &["a"]));
    for directory in ["boot/firmware/g1", "boot/firmware/g2", "var/lib/hah/generations/2", "var/lib/hah/generations/3"]
    {
        fs::create_dir_all(card.path(directory)).unwrap();
    }
    fs::write(card.path("var/lib/hah/generations/3/root.squashfs"), "half").unwrap();
    assert_eq!(card.states(), [(b'0', State::Flashed)]);
    assert_eq!(card.staged(&System::of(20, &["b"])).slot, slot(ONE));
    for directory in ["boot/firmware/g2", "var/lib/hah/generations/2", "var/lib/hah/generations/3"] {
        assert!(!card.path(directory).exists(), "{directory}");
    }
}

#[test]
fn words_are_read() {
    let verb = |words: &[&str]| parse(words).map(|(verb, _)| verb);
    assert_eq!(verb(&["receive"]), Some(Verb::Receive));
    assert_eq!(verb(&["generations", "--json", "--root", "/x"]), Some(Verb::List { json: true }));
    let attempt = |reboot| Some(Verb::Try { name: "1".into(), reboot });
    assert_eq!(
        (verb(&["generations", "try", "1"]), verb(&["generations", "try", "1", "--reboot"])),
        (attempt(false), attempt(true))
    );
    assert_eq!(verb(&["rollback", "--reboot"]), Some(Verb::Rollback { name: None, reboot: true }));
    let order = |canary| Some(Verb::Order { name: "1".into(), canary, accept_outage: true });
    assert_eq!(verb(&["generations", "order", "1", "--accept-outage"]), order(false));
    assert_eq!(verb(&["generations", "order", "1", "--accept-outage", "--canary"]), order(true));
    assert_eq!(verb(&["generations", "order", "1", "--now"]), None);
    for words in
        [&["receive", "x"][..], &["commit", "--reboot"], &["generations", "--reboot"], &["generations", "keep"]]
    {
        assert_eq!(verb(words), None, "{words:?}");
    }
}

#[test]
fn a_list_is_for_people() {
    let card = Card::with(&System::of(1_764_288_000, &["a"]));
    let new = System::of(1_764_374_400, &["b"]);
    card.staged(&new);
    trial::arm(&card.places(), "1").unwrap();
    card.boots(slot(ONE));
    let text = table(&card.told());
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("  0  ") && lines[0].ends_with("flashed, good, next"), "{text}");
    assert!(lines[1].starts_with(&format!("* 1  {}  lab (", &new.id()[..8])), "{text}");
    assert!(lines[1].ends_with("of 2025-11-29 00:00:00 UTC  tried, runs on trial"), "{text}");
}

#[test]
fn a_stranger_at_the_other_end_is_told_so() {
    let card = Card::with(&System::of(10, &["a"]));
    let ((mut input, mut to_node), (mut from_node, mut output)) = (pipe().unwrap(), pipe().unwrap());
    to_node.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    drop(to_node);
    assert!(receive::run(&card.places(), &mut input, &mut output).is_err());
    drop(output);
    let mut said = Vec::new();
    from_node.read_to_end(&mut said).unwrap();
    assert!(String::from_utf8_lossy(&said).contains("does not speak this protocol"));
}
