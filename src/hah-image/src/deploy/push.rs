//! One transfer: the sender's end of [`hah_node::generation::transfer`], over `ssh`.

use std::io::{self, BufWriter, Read, Write};
use std::process::Stdio;

use hah_node::generation::state::Staged;
use hah_node::generation::transfer::{self, HELLO, Kind};

use super::DeployError;
use super::agent::{beginning, heard, last_line, listen, start};
use super::parcel::Parcel;
use super::target::Target;

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The node copies from its own card: bytes done, of all.
    Copying(u64, u64),
    /// The node lacks so many bytes.
    Missing(u64),
    /// So many bytes more were sent.
    Sent(u64),
}

/// How a conversation ends that does not end well.
enum Break {
    /// The node has said why.
    Refused(String),
    /// It says something that makes no sense here.
    Nonsense(String),
    /// The connection is gone.
    Gone(io::Error),
    /// Something here.
    Here(DeployError),
}

/// Sends a generation to a node that may have most of it already.
///
/// # Errors
/// When the node does not get it, or does not want it.
pub fn push(target: &Target, parcel: &Parcel, progress: &mut dyn FnMut(Progress)) -> Result<Staged, DeployError> {
    let mut child = start(target.agent(&["receive"]).stdin(Stdio::piped()))?;
    let listening = listen(&mut child);
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(DeployError::Io(io::Error::other("ssh has no pipes")));
    };
    let mut answers = Recorded { inner: stdout, head: Vec::new() };
    let talked = talk(stdin, &mut answers, parcel, progress);
    let head = String::from_utf8_lossy(&answers.head).into_owned();
    if talked.is_err() {
        // Whoever is no agent may go on for ever.
        drop(answers);
        let _ = child.kill();
    }
    let status = child.wait()?;
    let (node, said) = (target.name.clone(), heard(listening));
    talked.map_err(|ended| match ended {
        Break::Refused(reason) => DeployError::Refused { node, reason },
        Break::Here(error) => error,
        Break::Nonsense(what) if head.is_empty() => DeployError::Stranger { node, said: what },
        Break::Nonsense(_) => DeployError::Stranger { node, said: beginning(&head) },
        Break::Gone(error) => {
            let said = if said.trim().is_empty() { error.to_string() } else { last_line(&said, status) };
            // A node that has said nothing yet was never there.
            match head.is_empty() {
                true => DeployError::Unreachable { node, said },
                false => DeployError::Cut { node, said },
            }
        }
    })
}

/// The conversation.
fn talk(
    output: impl Write,
    input: &mut impl Read,
    parcel: &Parcel,
    progress: &mut dyn FnMut(Progress),
) -> Result<Staged, Break> {
    let mut output = BufWriter::with_capacity(1 << 16, output);
    let mut frame = Vec::new();
    let opened = [(Kind::Hello, HELLO), (Kind::Closure, &parcel.text), (Kind::Signature, &parcel.signature)]
        .into_iter()
        .try_for_each(|(kind, content)| transfer::send(&mut output, kind, content))
        .and_then(|()| output.flush());
    opened.map_err(|error| reason_behind(error, input))?;
    await_frame(input, Kind::Missing, &mut frame, progress)?;
    let missing = transfer::decode_missing(&frame, parcel.len())
        .ok_or_else(|| Break::Nonsense("it asks for chunks that are none".to_owned()))?;
    progress(Progress::Missing(parcel.bytes_of(&missing)));
    for index in missing {
        let bytes = parcel.chunk(index).map_err(Break::Here)?;
        transfer::send(&mut output, Kind::Chunk, &bytes).map_err(|error| reason_behind(error, input))?;
        progress(Progress::Sent(bytes.len() as u64));
    }
    output.flush().map_err(|error| reason_behind(error, input))?;
    await_frame(input, Kind::Staged, &mut frame, progress)?;
    serde_json::from_slice(&frame).map_err(|error| Break::Nonsense(error.to_string()))
}

/// Reads frames until one of this kind.
fn await_frame(
    input: &mut impl Read,
    wanted: Kind,
    frame: &mut Vec<u8>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), Break> {
    loop {
        let kind = transfer::receive(input, frame).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => Break::Nonsense(error.to_string()),
            _ => Break::Gone(error),
        })?;
        match kind {
            kind if kind == wanted => return Ok(()),
            Kind::Progress => {
                if let Some((done, all)) = transfer::decode_progress(frame) {
                    progress(Progress::Copying(done, all));
                }
            }
            Kind::Refused => return Err(Break::Refused(String::from_utf8_lossy(frame).trim().to_owned())),
            other => return Err(Break::Nonsense(format!("it says {other:?} where {wanted:?} is due"))),
        }
    }
}

/// Whoever hangs up while it is written to may have said why before.
fn reason_behind(error: io::Error, input: &mut impl Read) -> Break {
    let mut frame = Vec::new();
    loop {
        match transfer::receive(input, &mut frame) {
            Ok(Kind::Refused) => return Break::Refused(String::from_utf8_lossy(&frame).trim().to_owned()),
            Ok(_) => {}
            Err(other) if other.kind() == io::ErrorKind::InvalidData => return Break::Nonsense(other.to_string()),
            Err(_) => return Break::Gone(error),
        }
    }
}

/// A stream whose first bytes are kept, so that what a stranger says can be shown.
struct Recorded<R> {
    inner: R,
    head: Vec<u8>,
}

/// How many bytes are kept.
const HEAD: usize = 300;

impl<R: Read> Read for Recorded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let room = HEAD.saturating_sub(self.head.len());
        self.head.extend(buffer.iter().take(read).take(room));
        Ok(read)
    }
}
