//! Nodes that take generations, without machines: each has chunks, a list of generations, and a will of its own.
//!
//! `ssh` is a script that hands its words and its standard input to the test, and writes what comes back. What is asked for
//! is answered as `hah-agent` would.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};

use hah_format::digest::Sha256;
use hah_node::generation::closure::{self, Closure};
use hah_node::generation::state::{self, Bad, Generations, Staged, State};
use hah_node::generation::transfer::{self, HELLO, Kind};
use hah_node::generation::{Digest, Slot};

use crate::archive::project::{Run, Toy};
use crate::build::closure::Generation;

/// Hands everything to the test: its words first, then its standard input. What comes back begins with a line of its exit
/// code and what it says on standard error.
const FALSE_SSH: &str = r#"#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/PORT 4<&0
printf '%s\n' "$*" >&3
IFS=' ' read -r code words <&3
[ -z "$words" ] || echo "$words" >&2
cat <&4 >&3 2>/dev/null & writer=$!
cat <&3
kill $writer 2>/dev/null
exit $code
"#;

/// What a node does when it is asked to try a generation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Will {
    Keep,
    GoBack,
}

/// One node.
pub(crate) struct FakeNode {
    /// Everything that it has on its card.
    pub(crate) chunks: BTreeMap<Digest, Vec<u8>>,
    pub(crate) will: Will,
    /// Its card is from before there were closures.
    pub(crate) is_old: bool,
    /// Hangs up after so many chunks, once.
    pub(crate) cut_after: Option<usize>,
    /// Why it takes nothing.
    pub(crate) refuses: Option<&'static str>,
    /// What is there instead of an agent, and its exit code.
    pub(crate) stranger: Option<(&'static str, u8, &'static str)>,
    /// The generation that it was flashed with, and the one that it received.
    flashed: Digest,
    pub(crate) received: Option<(Digest, Closure)>,
    pub(crate) sent: Vec<usize>,
    running: Slot,
    good: Slot,
    on_trial: bool,
    next: Slot,
    bad: Vec<Bad>,
    boots: u32,
    /// How often it is asked before something happens after a reboot.
    questions: u32,
}

impl FakeNode {
    fn new(flashed: &Generation, id: Digest) -> Self {
        let chunks = flashed.chunks().into_iter().map(|(digest, bytes)| (digest, bytes.to_vec())).collect();
        Self {
            chunks,
            will: Will::Keep,
            is_old: false,
            cut_after: None,
            refuses: None,
            stranger: None,
            flashed: id,
            received: None,
            sent: Vec::new(),
            running: Slot::FLASHED,
            good: Slot::FLASHED,
            on_trial: false,
            next: Slot::FLASHED,
            bad: Vec::new(),
            boots: 1,
            questions: 0,
        }
    }

    /// The root file system that it received, put together.
    pub(crate) fn root(&self) -> Vec<u8> {
        let (_, closure) = self.received.as_ref().unwrap();
        closure.root.iter().flat_map(|chunk| self.chunks[&chunk.0].clone()).collect()
    }

    pub(crate) fn next(&self) -> Slot {
        self.next
    }

    /// What it says of itself; `None` while it is down.
    fn told(&mut self, name: &str) -> Option<Generations> {
        // Down, on trial, decided: one question each.
        if self.boots > 1 && (self.on_trial || self.questions < 3) {
            self.questions += 1;
            match (self.questions, self.will) {
                (1, _) => return None,
                (2, _) => {}
                (_, Will::Keep) => (self.on_trial, self.good, self.next) = (false, self.running, self.running),
                (_, Will::GoBack) => {
                    let id = self.received.as_ref().unwrap().0;
                    self.bad.push(Bad { id, reason: "units failed that had not: consul.service".into() });
                    (self.on_trial, self.running, self.boots) = (false, self.good, self.boots + 1);
                }
            }
        }
        let generation = |slot: Slot, id: Digest, state: State| state::Generation {
            slot,
            id: Some(id),
            image: "toy".into(),
            board: "toy".into(),
            key: None,
            epoch: 0,
            state,
        };
        let mut generations = vec![generation(Slot::FLASHED, self.flashed, State::Flashed)];
        if self.is_old {
            (generations[0].id, generations[0].image) = (None, "toy (1a2b3c4d)".into());
        }
        generations
            .extend(self.received.iter().map(|(id, _)| generation(Slot::new(b'1').unwrap(), *id, State::Staged)));
        Some(Generations {
            version: state::VERSION,
            hostname: name.to_owned(),
            boot_id: format!("boot {}\n", self.boots),
            running: self.running,
            good: self.good,
            on_trial: self.on_trial,
            next: self.next,
            generations,
            wants_signature: false,
            bad: self.bad.clone(),
        })
    }
}

/// All nodes, and what was asked of whom.
pub(crate) struct Fleet {
    pub(crate) toy: Toy,
    nodes: Arc<Mutex<BTreeMap<String, FakeNode>>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Fleet {
    /// Nodes of these names, which run what the toy makes now.
    pub(crate) fn new(toy: Toy, names: &[&str]) -> Self {
        toy.build();
        let flashed = Generation::of(&toy.image());
        let id = Digest(*Sha256::of(&toy.read("project/out/toy.closure")).as_bytes());
        let nodes = names.iter().map(|name| ((*name).to_owned(), FakeNode::new(&flashed, id))).collect();
        let (nodes, log) = (Arc::new(Mutex::new(nodes)), Arc::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let script = FALSE_SSH.replace("PORT", &listener.local_addr().unwrap().port().to_string());
        toy.write("bin/ssh", script);
        std::fs::set_permissions(toy.path("bin/ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let fleet = Self { toy, nodes: Arc::clone(&nodes), log: Arc::clone(&log) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (nodes, log) = (Arc::clone(&nodes), Arc::clone(&log));
                // Who hangs up ends the conversation.
                std::thread::spawn(move || answer(stream.ok()?, &nodes, &log).ok());
            }
        });
        fleet
    }

    pub(crate) fn node(&self, name: &str, change: impl FnOnce(&mut FakeNode)) {
        change(self.lock().get_mut(name).unwrap());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, FakeNode>> {
        self.nodes.lock().unwrap()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.toy.command(args);
        command.env("PATH", format!("{}:/usr/bin:/bin", self.toy.path("bin").display()));
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        Run::of(&mut self.command(args))
    }

    /// What was asked since the last time: `NODE: WORDS`, without questions.
    pub(crate) fn asked(&self) -> Vec<String> {
        let log = std::mem::take(&mut *self.log.lock().unwrap());
        log.into_iter().filter(|line| !line.ends_with("generations --json")).collect()
    }
}

type Nodes = Mutex<BTreeMap<String, FakeNode>>;

fn answer(mut stream: TcpStream, nodes: &Nodes, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let (options, words) = line.trim().split_once("-- ").unwrap();
    assert!(options.contains("BatchMode=yes"), "{options}");
    let (name, words) = words.split_once(" sudo -n hah-agent ").unwrap();
    log.lock().unwrap().push(format!("{name}: {words}"));
    let stranger = match nodes.lock().unwrap().get(name) {
        Some(node) => node.stranger,
        None => Some(("", 255, "ssh: Could not resolve hostname")),
    };
    if let Some((output, code, said)) = stranger {
        return write!(stream, "{code} {said}\n{output}");
    }
    let words: Vec<&str> = words.split(' ').collect();
    match words[..] {
        ["generations", "--json"] => match nodes.lock().unwrap().get_mut(name).unwrap().told(name) {
            Some(told) => write!(stream, "0\n{}\n", serde_json::to_string(&told)?),
            None => writeln!(stream, "255 ssh: connect to host {name} port 22: Connection refused"),
        },
        ["generations", "try", id, ref more @ ..] => {
            let mut nodes = nodes.lock().unwrap();
            let node = nodes.get_mut(name).unwrap();
            assert_eq!(node.received.as_ref().unwrap().0.to_string(), id);
            let slot = Slot::new(b'1').unwrap();
            node.next = slot;
            if more == ["--reboot"] {
                (node.running, node.on_trial, node.boots, node.questions) = (slot, true, node.boots + 1, 0);
                // The connection breaks while it goes down.
                return write!(stream, "255 Connection closed\ngeneration 1 is tried by the next boot\n");
            }
            writeln!(stream, "0\ngeneration 1 is tried by the next boot")
        }
        ["receive"] => {
            writeln!(stream, "0")?;
            receive(&mut reader, &mut stream, name, nodes)
        }
        _ => writeln!(stream, "2 hah-agent: what?"),
    }
}

/// The node's end of a transfer.
fn receive(input: &mut impl Read, output: &mut impl Write, name: &str, nodes: &Nodes) -> std::io::Result<()> {
    let mut frame = Vec::new();
    let mut expect = |input: &mut dyn Read, wanted: Kind| {
        let kind = transfer::receive(&mut &mut *input, &mut frame)?;
        assert_eq!(kind, wanted);
        std::io::Result::Ok(frame.clone())
    };
    let mut input = input;
    assert_eq!(expect(&mut input, Kind::Hello)?, HELLO);
    let text = expect(&mut input, Kind::Closure)?;
    let closure = closure::parse(&text).unwrap();
    expect(&mut input, Kind::Signature)?;
    let (refuses, cut, missing) = {
        let mut nodes = nodes.lock().unwrap();
        let node = nodes.get_mut(name).unwrap();
        let lacks = |(_, chunk): &(usize, closure::Chunk)| !node.chunks.contains_key(&chunk.0);
        let missing: Vec<_> = closure.distinct().into_iter().enumerate().filter(lacks).collect();
        (node.refuses, node.cut_after.take(), missing)
    };
    if let Some(reason) = refuses {
        return transfer::send(output, Kind::Refused, reason.as_bytes());
    }
    transfer::send(output, Kind::Progress, &transfer::encode_progress(1, 2))?;
    let indices: Vec<u32> = missing.iter().map(|(index, _)| u32::try_from(*index).unwrap()).collect();
    transfer::send(output, Kind::Missing, &transfer::encode_missing(&indices))?;
    let mut received = 0;
    for (done, (_, chunk)) in missing.iter().enumerate() {
        if cut == Some(done) {
            return Ok(());
        }
        let bytes = expect(&mut input, Kind::Chunk)?;
        assert_eq!(Sha256::of(&bytes).as_bytes(), &chunk.0.0);
        received += bytes.len() as u64;
        nodes.lock().unwrap().get_mut(name).unwrap().chunks.insert(chunk.0, bytes);
    }
    let mut nodes = nodes.lock().unwrap();
    let node = nodes.get_mut(name).unwrap();
    node.sent.push(missing.len());
    let was_there = node.received.is_some();
    node.received = Some((Digest(*Sha256::of(&text).as_bytes()), closure));
    let staged = Staged { slot: Slot::new(b'1').unwrap(), copied: 1, received, was_there };
    transfer::send(output, Kind::Staged, &serde_json::to_vec(&staged)?)
}
