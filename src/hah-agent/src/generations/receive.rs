//! `hah-agent receive`: the node's end of a transfer, see [`hah_node::generation::transfer`].

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use hah_node::generation::closure::{self, Closure};
use hah_node::generation::state::Staged;
use hah_node::generation::transfer::{self, HELLO, Kind};
use hah_node::generation::{CLOSURE, ROOT, Slot};
use hah_node::stage1::CMDLINE_GENERATION;

use super::incoming::{self, Incoming};
use super::shelf::{self, Places, Room, Shelf, digest};
use super::{Doing, Error};
use crate::{console, durable, sys};

/// How often the other end hears how far it is, in bytes.
const PROGRESS: u64 = 8 << 20;
/// The longest command line of a kernel, in bytes (`COMMAND_LINE_SIZE` of arm64 and amd64).
const CMDLINE_MAX: usize = 2048;

/// Receives one generation. Why it does not is told to the other end.
pub(super) fn run(places: &Places, input: &mut impl Read, output: &mut impl Write) -> Result<(), Error> {
    if let Err(error) = sys::be_idle() {
        console::complain(&format!("reads and writes do not wait for others: {error}"));
    }
    let done = transfer(places, input, output);
    if let Err(error) = &done {
        // Where the other end is gone, standard error has it.
        let _ = transfer::send(output, Kind::Refused, error.to_string().as_bytes()).and_then(|()| output.flush());
    }
    done
}

fn transfer(places: &Places, input: &mut impl Read, output: &mut impl Write) -> Result<(), Error> {
    let mut frame = Vec::new();
    expect(input, Kind::Hello, &mut frame)?;
    if frame != HELLO {
        return Err(Error::Refused("the sender speaks another version of this protocol".to_owned()));
    }
    let mut text = Vec::new();
    expect(input, Kind::Closure, &mut text)?;
    let mut signature = Vec::new();
    expect(input, Kind::Signature, &mut signature)?;
    if places.is_rescue() {
        return Err(Error::Rescue);
    }
    let _turn = super::turn(places)?;
    let closure = closure::parse(&text)?;
    let shelf = Shelf::read(places)?;
    let id = digest(&text);
    if let Some(entry) = shelf.entries.iter().find(|entry| entry.id() == Some(id)) {
        let staged = Staged { slot: entry.slot, copied: 0, received: 0, was_there: true };
        transfer::send(output, Kind::Missing, &[]).doing(told)?;
        return answer(output, &staged);
    }
    fits(&closure, &shelf)?;
    if let Some(reason) = shelf::why_bad(places, id) {
        return Err(Error::Refused(format!("this generation did not last here: {reason}")));
    }
    let have = allocated(&places.incoming());
    let whole = closure.root_bytes().saturating_add(closure.boot_bytes());
    shelf.make_room(places, Room { boot: closure.boot_bytes(), data: whole.saturating_sub(have) })?;

    let mut progress = Progress { output: &mut *output, done: 0, all: whole, last: 0 };
    let mut incoming = Incoming::open(places, &text, &closure, &mut |bytes| progress.more(bytes))?;
    progress.done = 0;
    let copied = incoming.copy_from(&shelf, places, &mut |bytes| progress.more(bytes))?;
    let missing = incoming.missing();
    transfer::send(output, Kind::Missing, &transfer::encode_missing(&missing))
        .and_then(|()| output.flush())
        .doing(told)?;
    let mut received = 0;
    for index in missing {
        let Some(chunk) = incoming.chunk(index) else { continue };
        expect(input, Kind::Chunk, &mut frame)?;
        incoming.take(chunk, &frame)?;
        received += u64::from(chunk.1);
    }
    let (root, boot) = incoming.finish()?;
    let slot =
        place(places, &shelf, &closure, &Received { text: &text, signature: &signature, root: &root, boot: &boot })?;
    answer(output, &Staged { slot, copied, received, was_there: false })
}

fn told() -> String {
    "answer the sender".to_owned()
}

fn answer(output: &mut impl Write, staged: &Staged) -> Result<(), Error> {
    let text = serde_json::to_vec(staged).map_err(Error::Answer)?;
    transfer::send(output, Kind::Staged, &text).and_then(|()| output.flush()).doing(told)
}

fn expect(input: &mut impl Read, wanted: Kind, frame: &mut Vec<u8>) -> Result<(), Error> {
    let kind = transfer::receive(input, frame).doing(|| "hear the sender".to_owned())?;
    match kind == wanted {
        true => Ok(()),
        false => Err(Error::Refused(format!("the sender says {kind:?} where {wanted:?} is due"))),
    }
}

/// Says how far it is, now and then: a person waits at the other end, and ssh must not take the silence for death.
struct Progress<'o, W> {
    output: &'o mut W,
    done: u64,
    all: u64,
    last: u64,
}

impl<W: Write> Progress<'_, W> {
    fn more(&mut self, bytes: u64) -> io::Result<()> {
        self.done = self.done.saturating_add(bytes);
        if self.done.abs_diff(self.last) < PROGRESS {
            return Ok(());
        }
        self.last = self.done;
        transfer::send(self.output, Kind::Progress, &transfer::encode_progress(self.done, self.all))?;
        self.output.flush()
    }
}

/// Refuses what this node cannot be, whoever sent it.
fn fits(closure: &Closure, shelf: &Shelf) -> Result<(), Error> {
    let refused = |reason: String| Err(Error::Refused(reason));
    let Some((_, current)) = shelf.current().and_then(|entry| entry.described.as_ref()) else {
        return refused(
            "this card was flashed by a hah-image that knew no generations: flash it once more, and later ones come over \
             the network"
                .to_owned(),
        );
    };
    if (&closure.board, &closure.architecture) != (&current.board, &current.architecture) {
        return refused(format!(
            "this node is a {} ({}), and the generation is for {} ({})",
            current.board, current.architecture, closure.board, closure.architecture
        ));
    }
    if closure.epoch < current.epoch && !closure.allow_older {
        return refused(format!(
            "the generation is older than the one that runs, of {}: --allow-older sends it all the same",
            crate::closing::words::date(u64::from(current.epoch))
        ));
    }
    if current.loader.is_some() != closure.loader.is_some() {
        return refused("the generation is for another kind of boot loader".to_owned());
    }
    Ok(())
}

/// Bytes that an earlier transfer's files take already.
fn allocated(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let sum = |directory: &Path| {
        let entries = fs::read_dir(directory).into_iter().flatten().filter_map(|entry| entry.ok()?.metadata().ok());
        entries.map(|metadata| metadata.blocks().saturating_mul(512)).sum::<u64>()
    };
    sum(directory).saturating_add(sum(&directory.join("boot")))
}

/// What has been received: on the medium, and verified.
struct Received<'r> {
    text: &'r [u8],
    signature: &'r [u8],
    root: &'r Path,
    boot: &'r Path,
}

/// Gives a generation its slot: boot files, root, signature, and last the closure, which makes it one.
fn place(places: &Places, shelf: &Shelf, closure: &Closure, received: &Received<'_>) -> Result<Slot, Error> {
    let slot = shelf.free_slot(places)?;
    let boot = places.boot_directory(slot);
    fs::create_dir_all(&boot).doing(|| format!("make {}", boot.display()))?;
    let words = extra_words(closure, shelf, slot);
    for file in &closure.boot {
        let mut content = fs::read(received.boot.join(&file.name)).doing(|| format!("read {}", file.name))?;
        if file.name == "cmdline.txt" {
            content = with_words(&content, &words)?;
        }
        flushed(&boot.join(&file.name), &content)?;
    }
    if let Some(loader) = &closure.loader {
        let entry = places.loader_entry(slot);
        let text = loader.replace(closure::SLOT_MARK, &slot.to_string());
        flushed(&entry, text.as_bytes())?;
    }
    let card = File::open(&places.boot).doing(|| format!("open {}", places.boot.display()))?;
    rustix::fs::syncfs(&card).doing(|| format!("flush {}", places.boot.display()))?;

    let directory = places.directory(slot);
    fs::create_dir_all(&directory).doing(|| format!("make {}", directory.display()))?;
    let root = directory.join(ROOT);
    durable::publish(received.root, &root).doing(|| format!("give {} its name", root.display()))?;
    if !received.signature.is_empty() {
        let path = shelf::signature(&directory);
        durable::write(&path, received.signature, 0o644).doing(|| format!("write {}", path.display()))?;
    }
    let path = directory.join(CLOSURE);
    durable::write(&path, received.text, 0o644).doing(|| format!("write {}", path.display()))?;
    File::open(&places.data).and_then(|data| data.sync_all()).doing(|| format!("flush {}", places.data.display()))?;
    incoming::clear(&places.incoming())?;
    Ok(slot)
}

/// What a generation's kernel must be told that its image does not know.
fn extra_words(closure: &Closure, shelf: &Shelf, slot: Slot) -> String {
    let mut words = format!("{CMDLINE_GENERATION}={slot}");
    // Of another image: it looks for another disk than this one.
    if closure.disk.to_string() != shelf.report.disk_id && !shelf.report.disk_id.is_empty() {
        words.push_str(&format!(" {}={}", hah_node::stage1::CMDLINE_DISK, shelf.report.disk_id));
    }
    words
}

/// A command line with more words at its end; the firmware reads the first line only.
fn with_words(cmdline: &[u8], words: &str) -> Result<Vec<u8>, Error> {
    let text = String::from_utf8_lossy(cmdline);
    let line = text.lines().next().unwrap_or_default().trim_end();
    let whole = format!("{line} {words}\n");
    match whole.len() > CMDLINE_MAX {
        true => Err(Error::Refused(format!("the kernel's command line is longer than {CMDLINE_MAX} bytes"))),
        false => Ok(whole.into_bytes()),
    }
}

/// Writes a file of the boot partition; FAT has no atomic rename, and nothing names the file yet.
fn flushed(path: &Path, content: &[u8]) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().doing(|| format!("write {}", path.display()))
}

/// Whether a generation's files are what its closure says.
pub(super) fn verify(places: &Places, shelf: &Shelf, slot: Slot, closure: &Closure) -> Result<(), Error> {
    let damaged = |what: String| Error::Damaged { slot, what };
    let check = |path: &Path, chunks: &[closure::Chunk]| -> Result<(), Error> {
        let wrong = || damaged(format!("{} is not what was received", path.display()));
        let mut file = File::open(path).map_err(|error| damaged(format!("{}: {error}", path.display())))?;
        for chunk in chunks {
            let mut content = vec![0; usize::try_from(chunk.1).unwrap_or(0)];
            file.read_exact(&mut content).map_err(|_| wrong())?;
            if digest(&content) != chunk.0 {
                return Err(wrong());
            }
        }
        Ok(())
    };
    if slot == Slot::FLASHED {
        return Ok(());
    }
    check(&places.root_of(slot, &shelf.report), &closure.root)?;
    let boot = places.boot_directory(slot);
    for file in &closure.boot {
        let path = boot.join(&file.name);
        if file.name != "cmdline.txt" {
            check(&path, &file.chunks)?;
        } else if !fs::read_to_string(&path).is_ok_and(|text| text.contains(&format!("{CMDLINE_GENERATION}={slot}"))) {
            return Err(damaged(format!("{} does not name it", path.display())));
        }
    }
    if closure.loader.is_some() && !places.loader_entry(slot).exists() {
        return Err(damaged("the boot loader has no entry for it".to_owned()));
    }
    Ok(())
}
