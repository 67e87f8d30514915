//! `deploy`: to nodes behind a false `ssh`, each with a will of its own.

mod node;
mod real;

use std::time::Instant;

use hah_node::generation::Slot;
use node::{Fleet, Will};

use crate::archive::project::{IMAGE, RECIPE, Toy};
use crate::archive::{elf, noise};
use crate::build::closure::Generation;
use crate::oracles;

const CLUSTER: &str = r#"
name = "home"
[nodes.a]
image = "toy"
address = "192.168.1.10/24"
consul = "server"
[nodes.b]
image = "toy"
consul = "client"
[nodes.c]
image = "toy"
consul = "client"
"#;

/// Three nodes that run the toy, of which one line has changed since.
fn fleet() -> Option<Fleet> {
    if oracles::is_missing("bash") {
        return None;
    }
    let toy = Toy::new();
    toy.write("project/cluster.toml", CLUSTER);
    let fleet = Fleet::new(toy, &["a", "b", "c", "there"]);
    change(&fleet, "another greeting");
    Some(fleet)
}

fn change(fleet: &Fleet, greeting: &str) {
    let recipe = RECIPE.replace("default = \"hello\"", &format!("default = \"{greeting}\""));
    fleet.toy.write("project/recipes/toy.toml", recipe);
}

#[test]
fn a_node_gets_what_it_lacks_and_keeps_it() {
    let Some(fleet) = fleet() else { return };
    let run = fleet.run(&["deploy", "b"]).succeeded();
    assert!(run.stderr.contains("b runs generation 0 (") && run.stderr.contains("and gets toy "), "{run}");
    assert!(run.stderr.contains("KiB to send, no package changes\n"), "{run}");
    assert!(run.stderr.contains("Staged b: generation 1,") && run.stderr.contains("Kept b: generation 1"), "{run}");
    let built = Generation::of(&fleet.toy.image());
    fleet.node("b", |node| {
        assert!(node.root() == built.root);
        assert!(node.sent[0] < 8, "{:?} chunks of {}", node.sent, built.closure.distinct().len());
    });
    assert_eq!(fleet.asked().len(), 2, "receive and try");
    // Once more: nothing to do, and it takes no time.
    let began = Instant::now();
    let run = fleet.run(&["deploy", "b"]).succeeded();
    assert!(run.stderr.contains("already, as generation 1"), "{run}");
    assert!(began.elapsed().as_secs_f32() < 5.0, "{:?}", began.elapsed());
    assert_eq!(fleet.asked(), [""; 0]);
    // What allows older ones to be replaced is no other system.
    let run = fleet.run(&["deploy", "b", "--allow-older"]).succeeded();
    assert!(run.stderr.contains("already, as generation 1"), "{run}");
}

#[test]
fn a_transfer_that_is_cut_goes_on_where_it_was() {
    let Some(fleet) = fleet() else { return };
    fleet.toy.write("agent", [elf::program(b"I am large"), noise(9_000_000, 9)].concat());
    fleet.node("b", |node| node.cut_after = Some(2));
    let run = fleet.run(&["deploy", "b"]).failed(1, &["b: the connection ended", "run the same command again"]);
    assert!(!run.stderr.contains("Kept"), "{run}");
    assert_eq!(fleet.asked(), ["b: receive"]);
    fleet.run(&["deploy", "b"]).succeeded();
    let built = Generation::of(&fleet.toy.image());
    fleet.node("b", |node| assert!(node.root() == built.root));
}

/// The reason is the node's, whenever it comes: here, while the chunks are on their way.
#[test]
fn what_a_node_refuses_is_told_in_its_words() {
    let Some(fleet) = fleet() else { return };
    fleet.node("b", |node| node.refuses = Some("no room: 12 MiB are free and 30 MiB are needed"));
    fleet.run(&["deploy", "b"]).failed(1, &["b refuses the generation: no room: 12 MiB are free"]);
    // Nothing is tried anywhere unless everybody has it.
    fleet.run(&["deploy", "--fleet"]).failed(1, &["b refuses the generation"]);
    assert!(!fleet.asked().iter().any(|line| line.contains("try")));
}

#[test]
fn strangers_are_told_from_nodes() {
    let Some(fleet) = fleet() else { return };
    for (stranger, says) in [
        (
            ("", 127, "bash: hah-agent: command not found"),
            "`hah-agent generations --json` failed: bash: hah-agent: command",
        ),
        (("", 1, "sudo: a password is required"), "failed: sudo: a password is required"),
        (("Welcome to my router!\n", 0, ""), "b answers, but not as hah-agent does: Welcome to my router!"),
        (("{\"version\":9}\n", 0, ""), "b answers, but not as hah-agent does"),
        (("", 255, "Permission denied (publickey)."), "b cannot be reached: Permission denied (publickey)."),
    ] {
        fleet.node("b", |node| node.stranger = Some(stranger));
        fleet.run(&["deploy", "b"]).failed(1, &[says]);
    }
    fleet.run(&["deploy", "x.example"]).failed(1, &["x.example cannot be reached: ssh: Could not resolve hostname"]);
    fleet.run(&["deploy", "x", "--dry-run"]).failed(1, &["cluster.toml has no node `x`"]);
    fleet.run(&["deploy", "a@b c"]).failed(2, &["is no node"]);
    fleet.run(&["deploy", "b", "--canary", "c"]).failed(2, &["the canary c is not among the nodes"]);
}

/// Its image would have been called `toy (1a2b3c4d)`.
#[test]
fn a_card_from_before_is_told_to_be_flashed_once_more() {
    let Some(fleet) = fleet() else { return };
    fleet.node("b", |node| node.is_old = true);
    fleet.run(&["deploy", "b", "--dry-run"]).failed(1, &["knew no generations; flash it once more"]);
}

/// A node that dies before it has anything: what was staged before does not stand for what was to come.
#[test]
fn a_node_that_dies_at_the_first_chunk_is_told() {
    let Some(fleet) = fleet() else { return };
    let told = fleet.run(&["deploy", "b", "--stage"]).succeeded();
    assert!(told.stderr.contains("Staged b"), "{told}");
    fleet.node("b", |node| node.cut_after = Some(0));
    change(&fleet, "once more");
    fleet.run(&["deploy", "b", "--stage"]).failed(1, &["b: the connection ended before the node had everything"]);
}

#[test]
fn the_first_that_goes_back_is_the_last_that_tries() {
    let Some(fleet) = fleet() else { return };
    fleet.node("c", |node| node.will = Will::GoBack);
    let run = fleet.run(&["deploy", "--fleet", "--canary", "c"]);
    let run = run.failed(1, &["c tried the generation and went back: units failed that had not: consul.service"]);
    assert!(run.stderr.contains("nothing is tried on b, a"), "servers come last: {run}");
    let asked = fleet.asked();
    let tries: Vec<_> = asked.iter().filter(|line| line.contains("generations try")).collect();
    assert_eq!(asked.iter().filter(|line| line.ends_with("receive")).count(), 3);
    assert!(tries.len() == 1 && tries[0].starts_with("c: "), "{tries:?}");
    // It is known to be bad, so nobody is asked to try it once more.
    fleet.run(&["deploy", "--fleet"]).failed(1, &["c tried the generation and went back", "build again"]);
    assert_eq!(fleet.asked(), [""; 0]);
    // A better one goes to all, and those that have it are left alone.
    fleet.node("c", |node| node.will = Will::Keep);
    change(&fleet, "a better greeting");
    let run = fleet.run(&["--json", "deploy", "--fleet"]).succeeded();
    let kept: Vec<&str> = run.stdout.lines().filter(|line| line.contains("\"outcome\":\"kept\"")).collect();
    let names = ["\"node\":\"b\"", "\"node\":\"c\"", "\"node\":\"a\""];
    assert!(kept.len() == 3 && kept.iter().zip(names).all(|(line, name)| line.contains(name)), "{run}");
}

#[test]
fn nothing_is_tried_when_that_is_what_was_asked_for() {
    let Some(fleet) = fleet() else { return };
    let run = fleet.run(&["deploy", "b", "--dry-run"]).succeeded();
    assert!(run.stderr.contains("gets toy as soon as that is built"), "{run}");
    fleet.run(&["deploy", "b", "--stage"]).succeeded();
    assert_eq!(fleet.asked(), ["b: receive"]);
    let run = fleet.run(&["deploy", "b", "c", "--dry-run"]).succeeded();
    assert!(run.stderr.contains("and has toy ") && run.stderr.contains("and gets toy "), "{run}");
    assert_eq!(fleet.asked(), [""; 0]);
    fleet.node("b", |node| assert_eq!(node.next(), Slot::FLASHED));
    fleet.run(&["deploy", "b", "--at", "next-reboot"]).succeeded();
    assert!(fleet.asked().iter().any(|line| line.contains("generations try") && !line.contains("--reboot")));
    fleet.node("b", |node| assert_eq!(node.next(), Slot::new(b'1').unwrap()));
}

/// Somebody else's machine: its image is asked for, or named.
#[test]
fn a_destination_of_ssh_is_a_node_too() {
    let Some(fleet) = fleet() else { return };
    std::fs::remove_file(fleet.toy.path("project/cluster.toml")).unwrap();
    fleet.run(&["deploy", "anna@there:2222", "--allow-older"]).succeeded();
    fleet.node("there", |node| assert!(node.received.as_ref().unwrap().1.allow_older));
    fleet.toy.write("project/images/other.toml", IMAGE);
    fleet.run(&["deploy", "there", "--image", "other", "--stage"]).succeeded();
    fleet.node("there", |node| assert_eq!(node.received.as_ref().unwrap().1.image, "other"));
}
