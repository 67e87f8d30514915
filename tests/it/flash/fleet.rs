//! A fleet: a card for every node, by script and by hand.

use std::path::{Path, PathBuf};
use std::process::Command;

use age::secrecy::ExposeSecret as _;

use super::{ROOM, built, old_card, partition, size};
use crate::archive::project::{Run, Toy, digest};
use crate::build::judge;
use crate::oracles::is_missing;
use crate::terminal::Terminal;

const CLUSTER: &str = r#"
name = "home"
[ssh]
authorized-keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI me@here"]
[nodes.pi4-a]
image = "toy"
address = "192.168.1.10/24"
consul = "server"
[nodes.zero-a]
image = "toy"
consul = "client"
[nodes.zero-b]
image = "toy"
consul = "client"
"#;

const NODES: [&str; 3] = ["pi4-a", "zero-a", "zero-b"];

/// A built toy with a fleet and its secrets, which the age key in `key` opens.
fn fleet() -> Toy {
    let toy = built();
    let key = age::x25519::Identity::generate();
    toy.write("key", key.to_string().expose_secret());
    let recipients = format!("[secrets]\nrecipients = [\"{}\"]\n", key.to_public());
    toy.write("project/cluster.toml", CLUSTER.replace("[ssh]", &format!("{recipients}[ssh]")));
    toy.run(&["secrets", "init"]).succeeded();
    toy
}

fn command(toy: &Toy, more: &[&str]) -> Command {
    let mut command = toy.command(&["flash", "--fleet", "--no-progress", "--age-identity", "../key"]);
    command.args(more);
    command
}

fn flash(toy: &Toy, more: &[&str]) -> Run {
    Run::of(&mut command(toy, more))
}

/// `--card NODE=FILE` for these nodes.
fn cards(nodes: &[&str]) -> Vec<String> {
    nodes.iter().flat_map(|node| ["--card".to_owned(), format!("{node}=../{node}.img")]).collect()
}

/// Flashes these nodes' cards without asking.
fn scripted(toy: &Toy, nodes: &[&str], more: &[&str]) -> Run {
    let cards = cards(nodes);
    let cards: Vec<&str> = cards.iter().map(String::as_str).collect();
    flash(toy, &[cards.as_slice(), &["--yes"], more].concat())
}

fn card(toy: &Toy, node: &str) -> PathBuf {
    toy.path(&format!("{node}.img"))
}

/// The hostname on a card, by mtools.
fn hostname(toy: &Toy, card: &Path) -> String {
    std::fs::copy(toy.image().with_extension("json"), card.with_extension("json")).unwrap();
    let boot = toy.path("boot.fat");
    partition(card, "boot", &boot);
    let text = judge(Command::new("mtype").arg("-i").arg(&boot).arg("::/hah/node.json"));
    let identity: hah_node::identity::Identity = serde_json::from_str(&text).unwrap();
    identity.hostname.unwrap()
}

/// The nodes on record, oldest first.
fn recorded(toy: &Toy) -> Vec<String> {
    let text = String::from_utf8(toy.read("project/flashed.jsonl")).unwrap();
    let node =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["node"].as_str().unwrap().to_owned();
    text.lines().map(node).collect()
}

#[test]
fn every_node_gets_its_card() {
    if is_missing("mtype") {
        return;
    }
    let toy = fleet();
    let run = scripted(&toy, &NODES, &[]).succeeded();
    assert!(run.stderr.contains("3 of 3 cards are done") && run.stderr.contains("write zero-a on it"), "{run}");
    for node in NODES {
        assert_eq!(hostname(&toy, &card(&toy, node)), node);
    }
    assert_eq!(recorded(&toy), NODES);
    let record = String::from_utf8(toy.read("project/flashed.jsonl")).unwrap();
    let first: serde_json::Value = serde_json::from_str(record.lines().next().unwrap()).unwrap();
    assert_eq!((&first["label"], &first["verified"]), (&"PI4-A".into(), &true.into()));
    assert_eq!(first["image_sha256"], digest(&toy.image()).as_str());
    let gossip = toy.run(&["secrets", "get", "consul-encrypt", "--age-identity", "../key"]).succeeded().stdout;
    assert!(gossip.len() > 40 && !record.contains(gossip.trim()), "{record}");

    // Nothing is left to do, until something has changed.
    let before = digest(&card(&toy, "pi4-a"));
    let again = flash(&toy, &[]).succeeded();
    assert!(again.stderr.contains("pi4-a was flashed at") && again.stderr.contains("3 of 3 cards are done"), "{again}");
    assert_eq!(digest(&card(&toy, "pi4-a")), before);
    toy.run(&["secrets", "rotate", "gossip", "--age-identity", "../key"]).succeeded();
    flash(&toy, &["--yes"])
        .failed(2, &["the cards of pi4-a, zero-a, zero-b cannot be asked for", "--card NAME=DEVICE"]);
    scripted(&toy, &NODES, &[]).succeeded();
    assert_ne!(digest(&card(&toy, "pi4-a")), before);
    // One node's new address is that node's card alone.
    let mut cluster = toy.read("project/cluster.toml");
    cluster.extend(b"address = \"192.168.1.12/24\"\n");
    toy.write("project/cluster.toml", cluster);
    let run = flash(&toy, &["--yes"]).failed(2, &["the cards of zero-b cannot be asked for"]);
    assert!(run.stderr.contains("pi4-a was flashed at"), "{run}");
    scripted(&toy, &NODES, &[]).succeeded();
    assert_eq!(recorded(&toy).last().unwrap(), "zero-b");
    let count = recorded(&toy).len();
    scripted(&toy, &NODES, &["--again"]).succeeded();
    assert_eq!(recorded(&toy).len(), count + 3);
    // A single card of a node is on record as well.
    let one = ["flash", "toy", "../other.img", "--node", "zero-b", "--age-identity", "../key"];
    toy.run(&one).succeeded();
    assert_eq!(recorded(&toy).len(), count + 4);
}

#[test]
fn what_failed_is_taken_up_again() {
    let toy = fleet();
    old_card(&card(&toy, "zero-a"), size(&toy.image()) - 512, 0xa5);
    scripted(&toy, &NODES, &[]).failed(1, &["zero-a.img is too small"]);
    assert_eq!(recorded(&toy), ["pi4-a"]);
    assert!(!card(&toy, "zero-b").exists());
    let before = digest(&card(&toy, "pi4-a"));
    std::fs::remove_file(card(&toy, "zero-a")).unwrap();
    scripted(&toy, &["zero-a", "zero-b"], &[]).succeeded();
    assert_eq!(recorded(&toy), NODES);
    assert_eq!(digest(&card(&toy, "pi4-a")), before);
}

#[test]
fn what_is_wrong_is_said_before_the_first_card() {
    let toy = fleet();
    old_card(&card(&toy, "pi4-a"), size(&toy.image()) + ROOM, 0xa5);
    let before = digest(&card(&toy, "pi4-a"));
    scripted(&toy, &["pi4-a", "zero-a"], &[]).failed(2, &["the cards of zero-b cannot be asked for"]);
    flash(&toy, &["--yes", "--card", "zero-c=x.img"]).failed(1, &["no node `zero-c`", "did you mean"]);
    flash(&toy, &["--yes", "--card", "zero-a=x.img", "--card", "zero-b=./x.img"])
        .failed(2, &["zero-a and zero-b cannot have the same card"]);
    flash(&toy, &["--yes", "--card", "zero-a=x.img", "--card", "zero-a=y.img"]).failed(2, &["two cards of zero-a"]);
    assert_eq!(flash(&toy, &["toy"]).code, Some(2), "--fleet takes the images from cluster.toml");
    assert_eq!(flash(&toy, &["--card", "zero-a"]).code, Some(2));
    let all = cards(&NODES);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    flash(&toy, &all).failed(2, &["nobody can be asked whether the cards may be erased", "--yes"]);
    let image = toy.read("project/out/toy.img");
    std::fs::remove_file(toy.image()).unwrap();
    scripted(&toy, &NODES, &[]).failed(1, &["not built yet: toy", "hah-image build toy"]);
    toy.write("project/out/toy.img", image);
    assert_eq!(digest(&card(&toy, "pi4-a")), before);
    assert!(!toy.path("project/flashed.jsonl").exists());
}

#[test]
fn a_person_is_asked_for_each_card() {
    if is_missing("mtype") {
        return;
    }
    let toy = fleet();
    old_card(&card(&toy, "zero-a"), size(&toy.image()) + ROOM, 0xa5);
    let before = digest(&card(&toy, "zero-a"));
    let mut terminal = Terminal::start(command(&toy, &[]));
    terminal.wait_for("Card 1 of 3: pi4-a (image toy, 192.168.1.10/24)").wait_for("press Enter").answer("../pi4-a.img");
    terminal.wait_for("write pi4-a on it; its volume is called PI4-A");
    // The card that is still in the reader.
    terminal.wait_for("Card 2 of 3: zero-a").wait_for("press Enter").answer("../pi4-a.img");
    terminal.wait_for("is the card of pi4-a, which was flashed just now");
    // One that may not be erased after all.
    terminal.wait_for("press Enter").answer("../zero-a.img").wait_for("This erases ../zero-a.img").wait_for("[y/N]");
    terminal.answer("n").wait_for("nothing was written");
    terminal.wait_for("press Enter").answer("s");
    terminal.wait_for("Card 3 of 3: zero-b").wait_for("press Enter").answer("q");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("stopped: 1 of 3 cards are done") && shown.contains("goes on with zero-b"), "{shown}");
    assert_eq!((digest(&card(&toy, "zero-a")), recorded(&toy)), (before, vec!["pi4-a".to_owned()]));

    let mut terminal = Terminal::start(command(&toy, &[]));
    terminal.wait_for("pi4-a was flashed at").wait_for("Card 1 of 2: zero-a").wait_for("press Enter");
    terminal.answer("../zero-a.img").wait_for("[y/N]").answer("y").wait_for("Verified");
    terminal.wait_for("Card 2 of 2: zero-b").wait_for("press Enter").answer("../zero-b.img");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("3 of 3 cards are done"), "{shown}");
    for node in NODES {
        assert_eq!(hostname(&toy, &card(&toy, node)), node);
    }
}

#[test]
fn a_passphrase_is_not_shown() {
    const PHRASE: &str = "CANARY-mitten plural gallery";
    let toy = Toy::new();
    toy.write("project/cluster.toml", CLUSTER);
    let init = || {
        let mut terminal = Terminal::start(toy.command(&["secrets", "init"]));
        terminal.wait_for("New passphrase for secrets.age:").answer(PHRASE);
        terminal.wait_for("The same again:");
        terminal
    };
    let mut terminal = init();
    terminal.answer("something else");
    let (code, shown) = terminal.end();
    assert!(code == Some(1) && shown.contains("the two differ"), "{shown}");
    let mut terminal = init();
    terminal.answer(PHRASE);
    let (code, shown) = terminal.end();
    assert!(code == Some(0) && !shown.contains(PHRASE), "{shown}");
    let mut terminal = Terminal::start(toy.command(&["identity", "show", "zero-a"]));
    terminal.wait_for("Passphrase of secrets.age:").answer(PHRASE).wait_for("\"hostname\": \"zero-a\"");
    let (code, shown) = terminal.end();
    assert!(code == Some(0) && !shown.contains(PHRASE), "{shown}");
}

/// The node makes new host keys on a new card; the old one in known_hosts would look like an attack.
#[test]
fn a_new_card_makes_the_old_host_key_forgotten() {
    let toy = fleet();
    toy.write("project/known_hosts", "pi4-a ssh-ed25519 AAAA1\nzero-a ssh-ed25519 AAAA2\n");
    scripted(&toy, &["pi4-a"], &[]).failed(2, &["the cards of zero-a, zero-b cannot be asked for"]);
    assert!(String::from_utf8(toy.read("project/known_hosts")).unwrap().contains("pi4-a"), "nothing was flashed");
    let run = toy.run(&["flash", "toy", "../pi4-a.img", "--node", "pi4-a", "--yes", "--age-identity", "../key"]);
    run.succeeded();
    assert_eq!(toy.read("project/known_hosts"), b"zero-a ssh-ed25519 AAAA2\n");
}
