//! `run`: boot an image in QEMU.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use clap::Args;
use hah_plan::recipe::{ByteSize, ParseUnitError};

use super::{Context, shell};
use crate::advice::Exit;
use crate::failure::Failure;
use crate::project::Project;
use crate::qemu::power::{self, Ending};
use crate::qemu::{self, Guest, Link, Processor};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// An image: its name, or the path of an .img
    #[arg(default_value = "lab")]
    image: OsString,
    /// Boot this card instead: a file that `flash` has written the image to
    #[arg(long, value_name = "FILE")]
    card: Option<PathBuf>,
    /// Which node this is, from 0: each has its own disk, MAC address and host ports
    #[arg(long, value_name = "N", default_value_t = 0)]
    node: u16,
    /// Use QEMU's Raspberry Pi 3B instead of the generic machine
    #[arg(long, conflicts_with = "machine")]
    raspi3b: bool,
    /// Use this machine of the board file
    #[arg(long, value_name = "NAME")]
    machine: Option<String>,
    /// Connect the node to this tap device instead of QEMU's own network: nodes on one bridge make a cluster
    #[arg(long, value_name = "DEVICE")]
    tap: Option<String>,
    /// Size of the node's disk (a power of two for SD cards); a number without a unit is GiB
    #[arg(long, value_name = "SIZE", default_value = "8 GiB", value_parser = parse_disk)]
    disk: ByteSize,
    /// Emulate the processor even where KVM could run it
    #[arg(long)]
    emulate: bool,
    /// Begin with an empty disk: first boot happens again
    #[arg(long)]
    fresh: bool,
    /// End when the node reboots, instead of starting what its boot pointer names then
    #[arg(long)]
    once: bool,
    /// Print QEMU's command line; start nothing, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Write the node's files as they are for its next start, print QEMU's command line, and start nothing
    #[arg(long, conflicts_with = "dry_run")]
    prepare: bool,
    /// More arguments for QEMU
    #[arg(last = true, value_name = "QEMU-ARGS")]
    extra: Vec<OsString>,
}

/// A size; GiB without a unit, as this option had it before it knew units.
fn parse_disk(text: &str) -> Result<ByteSize, ParseUnitError> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { format!("{text} GiB").parse() } else { text.parse() }
}

/// Boots the image, again and again until the machine is off.
pub(super) fn run(context: &Context, args: &RunArgs) -> Result<u8, Failure> {
    let project = Project::open(&context.directory)?;
    let path = image_path(&project, &args.image);
    if !path.exists() {
        return Err(Failure::user(
            format!("there is no {}", path.display()),
            Some(match is_path(&args.image) {
                true => "give the path of an image, or the name of one that was built".to_owned(),
                false => format!("build it first: hah-image build {}", args.image.display()),
            }),
        ));
    }
    let board = crate::project::board_of(&project, &path)?;
    let path = args.card.clone().unwrap_or(path);
    let wanted = args.machine.as_deref().or(args.raspi3b.then_some("raspi3b"));
    let machine = match wanted {
        Some(name) => board.machines.iter().find(|machine| machine.name == name),
        None => board.machines.first(),
    };
    let names: Vec<&str> = board.machines.iter().map(|machine| machine.name.as_str()).collect();
    let machine = machine.ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            format!("board {} has no QEMU machine `{}`", board.name, wanted.unwrap_or("default")),
            Some(format!("it has: {}", names.join(", "))),
        )
    })?;
    let directory = path.with_extension("run").join(format!("{}-{}", machine.name, args.node));
    let link = args.tap.as_deref().map_or(Link::User, Link::Tap);
    let processor = if args.emulate { Processor::Emulated } else { Processor::Fastest };
    let guest = Guest { image: &path, machine, directory, disk_bytes: args.disk.0, node: args.node, link, processor };
    if args.dry_run {
        print_line(context, args, &qemu::describe(&guest)?);
        return Ok(0);
    }
    if args.fresh && guest.directory.exists() {
        fs_err::remove_dir_all(&guest.directory)?;
    }
    let mut prepared = qemu::prepare(&guest)?;
    if args.prepare {
        print_line(context, args, &prepared);
        return Ok(0);
    }
    announce(context, args, &prepared);
    loop {
        match power::run(&prepared, &args.extra)? {
            Ending::Reboot if !args.once => {}
            Ending::Reboot | Ending::Off => return Ok(0),
            Ending::Failed(status) => {
                return Err(Failure::user(format!("{} ended with {status}", prepared.program), None));
            }
        }
        prepared = qemu::prepare_again(&guest, &prepared)?;
        let what = match prepared.generation.as_deref() {
            None => "whatever its boot loader chooses".to_owned(),
            Some("") => "the rescue copy, since its boot pointer names no kernel".to_owned(),
            Some(directory) => format!("generation {}", directory.trim_start_matches('g')),
        };
        context.printer.note(&format!("node {} reboots: {what}", args.node));
    }
}

/// The command line, as a shell reads it.
fn print_line(context: &Context, args: &RunArgs, prepared: &qemu::Prepared) {
    let words = std::iter::once(OsStr::new(&prepared.program))
        .chain(prepared.args.iter().chain(&args.extra).map(OsString::as_os_str));
    let mut line = words.map(shell::quoted).collect::<Vec<_>>().join(&b' ');
    line.push(b'\n');
    context.printer.data(line);
}

fn announce(context: &Context, args: &RunArgs, prepared: &qemu::Prepared) {
    let disk = if prepared.fresh { "a fresh disk: this is its first boot" } else { "its disk of last time" };
    context.printer.note(&format!("node {} boots with {disk}", args.node));
    for (service, host, guest) in &prepared.forwards {
        let how = match *service {
            "ssh" => format!("ssh -p {host} hah@127.0.0.1"),
            _ => format!("http://127.0.0.1:{host}"),
        };
        context.printer.note(&format!("{service:13} {how}  (port {guest})"));
    }
    context.printer.note("leave with Ctrl-A X; the node keeps its disk, --fresh starts over");
}

fn is_path(name: &OsStr) -> bool {
    name.as_bytes().contains(&b'/') || name.as_bytes().ends_with(b".img")
}

fn image_path(project: &Project, name: &OsStr) -> PathBuf {
    match name.to_str() {
        Some(name) if !is_path(OsStr::new(name)) => project.output(name),
        _ => PathBuf::from(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_have_units_and_do_not_overflow() {
        for (text, bytes) in [("8", 8 << 30), ("16GiB", 16 << 30), ("2T", 2 << 40), ("4096 B", 4096)] {
            assert_eq!(parse_disk(text).unwrap(), ByteSize(bytes), "{text}");
        }
        for text in ["", "8589934592", "x", "-1"] {
            assert!(parse_disk(text).is_err(), "{text}");
        }
    }
}
