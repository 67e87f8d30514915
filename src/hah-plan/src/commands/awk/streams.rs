//! What a program reads and writes besides its records: files and commands, by name.

use std::collections::BTreeMap;

use super::records::Reader;
use super::run::Stop;
use crate::commands::{Process, Refusal};
use crate::shell;

/// A file or command that is written to.
#[derive(Debug)]
enum Output {
    /// What waits to be added to it.
    File(Vec<u8>),
    Command(Vec<u8>),
}

/// What is open.
#[derive(Debug, Default)]
pub(super) struct Streams {
    outputs: BTreeMap<String, Output>,
    /// In the order of opening, in which they are closed.
    order: Vec<String>,
    readers: BTreeMap<String, Reader>,
}

/// Where a text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Write,
    Append,
    Command,
}

impl Streams {
    /// Prints to a file or a command.
    pub(super) fn print(
        &mut self,
        process: &mut Process<'_, '_>,
        name: &str,
        way: Way,
        text: &[u8],
    ) -> Result<(), Stop> {
        process.world.spend_bytes(text.len() as u64)?;
        if way != Way::Command && matches!(name, "/dev/stdout" | "-" | "/dev/stderr") {
            let name = if name == "-" { "/dev/stdout" } else { name };
            process.write_file(name, text)?;
            return Ok(());
        }
        if !self.outputs.contains_key(name) {
            if way == Way::Write
                && let Err(error) = process.write_file(name, b"")
            {
                if error.is_final() {
                    return Err(error.into());
                }
                return Err(Stop::Fatal(format!("cannot open \"{name}\" for output")));
            }
            let output = match way {
                Way::Command => Output::Command(Vec::new()),
                _ => Output::File(Vec::new()),
            };
            self.order.push(name.to_owned());
            self.outputs.insert(name.to_owned(), output);
        }
        match self.outputs.get_mut(name) {
            Some(Output::File(waiting) | Output::Command(waiting)) => waiting.extend_from_slice(text),
            None => {}
        }
        Ok(())
    }

    /// Writes what waits for files, so that others can see it.
    pub(super) fn flush(&mut self, process: &mut Process<'_, '_>) -> Result<(), Stop> {
        for name in &self.order {
            if let Some(Output::File(waiting)) = self.outputs.get_mut(name)
                && !waiting.is_empty()
            {
                let text = std::mem::take(waiting);
                if let Err(error) = process.append_file(name, &text) {
                    if error.is_final() {
                        return Err(error.into());
                    }
                    return Err(Stop::Fatal(format!("cannot open \"{name}\" for output")));
                }
            }
        }
        Ok(())
    }

    /// close(name): its status; -1 when it is not open.
    pub(super) fn close(&mut self, process: &mut Process<'_, '_>, name: &str) -> Result<i32, Stop> {
        let was_read = self.readers.remove(name).is_some();
        self.flush(process)?;
        match self.outputs.remove(name) {
            Some(Output::Command(text)) => {
                self.order.retain(|other| other != name);
                Ok(run_shell(process, name, text)?.0.into())
            }
            Some(Output::File(..)) => {
                self.order.retain(|other| other != name);
                Ok(0)
            }
            None => Ok(if was_read { 0 } else { -1 }),
        }
    }

    /// Closes everything, in the order of opening.
    pub(super) fn close_all(&mut self, process: &mut Process<'_, '_>) -> Result<(), Stop> {
        self.flush(process)?;
        for name in std::mem::take(&mut self.order) {
            self.close(process, &name)?;
        }
        Ok(())
    }

    /// What is read from the file `name`; `None` when it cannot be.
    pub(super) fn file(&mut self, process: &mut Process<'_, '_>, name: &str) -> Result<Option<&mut Reader>, Stop> {
        if !self.readers.contains_key(name) {
            self.flush(process)?;
            let bytes = match name {
                "-" | "/dev/stdin" => process.take_stdin(),
                _ => match process.world.read(&process.cwd, name) {
                    Ok(bytes) => bytes,
                    Err(error) if error.is_final() => return Err(error.into()),
                    Err(_) => return Ok(None),
                },
            };
            self.readers.insert(name.to_owned(), Reader::new(bytes));
        }
        Ok(self.readers.get_mut(name))
    }

    /// What the command `name` prints.
    pub(super) fn command(&mut self, process: &mut Process<'_, '_>, name: &str) -> Result<Option<&mut Reader>, Stop> {
        if !self.readers.contains_key(name) {
            self.flush(process)?;
            let stdin = process.take_stdin();
            let (_, text) = captured(process, name, stdin)?;
            self.readers.insert(name.to_owned(), Reader::new(text));
        }
        Ok(self.readers.get_mut(name))
    }
}

fn captured(process: &mut Process<'_, '_>, command: &str, stdin: Vec<u8>) -> Result<(u8, Vec<u8>), Refusal> {
    let words = ["/bin/sh".to_owned(), "-c".to_owned(), command.to_owned()];
    let finished = shell::launch(process, &words, stdin)?;
    process.stderr.extend_from_slice(&finished.stderr);
    Ok((finished.status, finished.stdout))
}

/// Runs a command of the shell, which prints where awk does.
pub(super) fn run_shell(process: &mut Process<'_, '_>, command: &str, stdin: Vec<u8>) -> Result<(u8, ()), Refusal> {
    let (status, text) = captured(process, command, stdin)?;
    process.print(text);
    Ok((status, ()))
}
