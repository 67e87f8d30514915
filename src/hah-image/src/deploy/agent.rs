//! What is asked of a node's agent, and its answers.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use hah_node::generation::Digest;
use hah_node::generation::state::{Generations, VERSION};

use super::DeployError;
use super::target::Target;
use crate::programs::ssh::SshError;

/// Most bytes that are read of an answer, and of what a program says besides.
const ANSWER_MAX: u64 = 1 << 20;
/// `ssh`'s own exit code: the command's would be another.
const SSH_FAILED: i32 = 255;

/// What the node says of its generations.
///
/// # Errors
/// When it cannot be reached, or says something else.
pub fn generations(target: &Target) -> Result<Generations, DeployError> {
    let words = ["generations", "--json"];
    let answer = ask(target, &words)?;
    if let Some(error) = failure(target, &words, &answer) {
        return Err(error);
    }
    let stranger = |said: String| DeployError::Stranger { node: target.name.clone(), said };
    let told: Generations = serde_json::from_slice(&answer.output)
        .map_err(|_| stranger(beginning(&String::from_utf8_lossy(&answer.output))))?;
    match told.version {
        VERSION => Ok(told),
        other => Err(stranger(format!("its list of generations has version {other}, and {VERSION} is read here"))),
    }
}

/// When a generation is to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At once: the node reboots.
    Now,
    /// With the next reboot, whoever asks for it.
    NextReboot,
}

/// Has the node try a generation that it has. A connection that breaks because the node goes down is no error.
///
/// # Errors
/// When the node cannot be reached or does not do it.
pub fn try_generation(target: &Target, id: Digest, when: When) -> Result<(), DeployError> {
    let id = id.to_string();
    let mut words = vec!["generations", "try", id.as_str()];
    if when == When::Now {
        words.push("--reboot");
    }
    let answer = ask(target, &words)?;
    // It says so before it goes down, which may take the connection along.
    let is_down = when == When::Now && !answer.output.is_empty();
    match failure(target, &words, &answer) {
        Some(error) if !is_down => Err(error),
        _ => Ok(()),
    }
}

/// Has the node's rollout try a generation that it has, when the cluster can spare the node.
///
/// # Errors
/// When the node cannot be reached or does not do it.
pub fn order(target: &Target, id: Digest, wish: Wish) -> Result<(), DeployError> {
    let id = id.to_string();
    let mut words = vec!["generations", "order", id.as_str()];
    words.extend(wish.canary.then_some("--canary"));
    words.extend(wish.accept_outage.then_some("--accept-outage"));
    let answer = ask(target, &words)?;
    failure(target, &words, &answer).map_or(Ok(()), Err)
}

/// How a node's turn in a rollout is wished for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Before any other node.
    pub canary: bool,
    /// Although the cluster cannot spare a server.
    pub accept_outage: bool,
}

/// What came of a command.
struct Answer {
    status: ExitStatus,
    output: Vec<u8>,
    said: String,
}

fn ask(target: &Target, words: &[&str]) -> Result<Answer, DeployError> {
    let mut command = target.agent(words);
    let mut child = start(command.stdin(Stdio::null()))?;
    let said = listen(&mut child);
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(ANSWER_MAX).read_to_end(&mut output)?;
    }
    let status = child.wait()?;
    Ok(Answer { status, output, said: heard(said) })
}

/// Starts `ssh` with its output and errors to be read.
pub(super) fn start(command: &mut Command) -> Result<Child, DeployError> {
    Ok(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(SshError::from)?)
}

/// Reads what a program says on standard error, beside everything else.
pub(super) fn listen(child: &mut Child) -> Option<JoinHandle<String>> {
    let mut stderr = child.stderr.take()?;
    Some(std::thread::spawn(move || {
        let mut said = Vec::new();
        let _ = stderr.by_ref().take(ANSWER_MAX).read_to_end(&mut said);
        // A full pipe would stop it.
        let _ = io::copy(&mut stderr, &mut io::sink());
        String::from_utf8_lossy(&said).into_owned()
    }))
}

/// What was heard, when the program has ended.
pub(super) fn heard(listening: Option<JoinHandle<String>>) -> String {
    listening.and_then(|thread| thread.join().ok()).unwrap_or_default()
}

/// Why a command failed, when it did.
fn failure(target: &Target, words: &[&str], answer: &Answer) -> Option<DeployError> {
    if answer.status.success() {
        return None;
    }
    let (node, said) = (target.name.clone(), last_line(&answer.said, answer.status));
    Some(match answer.status.code() {
        Some(SSH_FAILED) => DeployError::Unreachable { node, said },
        _ => DeployError::Command { node, command: format!("hah-agent {}", words.join(" ")), said },
    })
}

/// The last thing that was said, which is why it ended; else how it ended.
pub(super) fn last_line(said: &str, status: ExitStatus) -> String {
    let line = said.lines().rev().map(str::trim).find(|line| !line.is_empty());
    line.map_or_else(|| format!("it ended with {status}"), printable)
}

/// How a text begins, for a message.
pub(super) fn beginning(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    line.map_or_else(|| "it says nothing".to_owned(), printable)
}

/// A line of somebody else's for the terminal: without its control characters, and not without end.
fn printable(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}
