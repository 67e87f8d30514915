//! `flash`: an image onto a card. [`dialog`] finds the card, [`fleet`] does one for every node.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use hah_node::identity::refusal::{Fault, reason};
use hah_node::identity::{FILE_MAX, Identity, Probe, VERSION};
use hah_plan::recipe::ByteSize;

use super::Context;
use super::identity::of_node;
use super::secrets::KeyArgs;
use super::shell;
use crate::advice::Exit;
use crate::failure::Failure;
use crate::files;
use crate::flash::choose::{Chooser, Rules};
use crate::flash::content::{Content, Strangers};
use crate::flash::device::Kernel;
use crate::flash::fleet::{NodeCard, image_path, image_stem};
use crate::flash::record::FlashRecord;
use crate::flash::refusal::{Fixed, Limits, MAX_BYTES};
use crate::flash::source::{Image, Map};
use crate::flash::{self, Flashed, Job, Node, Verify};
use crate::project::Project;
use crate::project::fleet::FleetNode;
use dialog::{CardDialog, Consent};

mod fleet;
mod dialog;

/// Arguments of `flash`.
#[derive(Debug, Args)]
pub(super) struct FlashArgs {
    /// An image: its name, or the path of an .img, plain or packed by zstd, xz, gzip, bzip2 or zip
    #[arg(value_name = "IMAGE", required_unless_present = "fleet")]
    image: Option<OsString>,
    /// The card: a device such as /dev/sdb, or a file that stands for one; without it, those that may be meant are listed
    #[arg(value_name = "DEVICE")]
    device: Option<PathBuf>,
    /// Give the card the identity of this node of cluster.toml
    #[arg(long, value_name = "NAME", conflicts_with = "identity")]
    node: Option<String>,
    /// Flash a card for every node of cluster.toml, one after the other; a second run picks up where the first one stopped
    #[arg(long, conflicts_with_all = ["image", "device", "node", "identity", "bmap", "no_bmap"])]
    fleet: bool,
    /// With --fleet: the card of a node; repeatable; the others' are asked for
    #[arg(long = "card", value_name = "NAME=DEVICE", requires = "fleet", value_parser = OsStringValueParser::new().try_map(parse_card))]
    cards: Vec<(String, PathBuf)>,
    /// With --fleet: also the cards that are done already
    #[arg(long, requires = "fleet")]
    again: bool,
    /// Give the card this identity: a node.json
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    #[command(flatten)]
    key: KeyArgs,
    /// Flash an image that hah-image has not built; it takes no identity
    #[arg(long, conflicts_with_all = ["node", "identity", "fleet"])]
    foreign: bool,
    /// Do not ask before erasing
    #[arg(short, long)]
    yes: bool,
    /// Do not read back what was written
    #[arg(long)]
    no_verify: bool,
    /// The image's block map, when it is not beside the image
    #[arg(long, value_name = "FILE", conflicts_with = "no_bmap")]
    bmap: Option<PathBuf>,
    /// Write every byte, also those that hold nothing
    #[arg(long)]
    no_bmap: bool,
    /// Largest device that may be erased
    #[arg(long, value_name = "SIZE", default_value_t = ByteSize(MAX_BYTES))]
    max_size: ByteSize,
    /// Allow disks that are built into this machine, though never the one that it runs from
    #[arg(long)]
    allow_fixed: bool,
    /// Make the file DEVICE, of this size: the card of a virtual machine; without it, as large as a node needs
    #[arg(long, value_name = "SIZE")]
    size: Option<ByteSize>,
}

fn parse_card(text: OsString) -> Result<(String, PathBuf), String> {
    super::named_path(&text).ok_or_else(|| "expected NAME=DEVICE, for example pi4-a=/dev/sdb".to_owned())
}

impl FlashArgs {
    fn rules(&self) -> Rules {
        let fixed = if self.allow_fixed { Fixed::Allowed } else { Fixed::Refused };
        Rules { limits: Limits { max_bytes: self.max_size.0, fixed }, size: self.size.map(|size| size.0) }
    }

    fn consent(&self) -> Consent {
        if self.yes { Consent::Given } else { Consent::Asked }
    }

    fn verify(&self) -> Verify {
        if self.no_verify { Verify::Nothing } else { Verify::All }
    }
}

/// Flashes.
pub(super) fn run(context: &Context, args: &FlashArgs) -> Result<u8, Failure> {
    // Without --fleet there is an image, or clap would have said so.
    let Some(name) = args.image.as_ref().filter(|_| !args.fleet) else { return fleet::run(context, args) };
    let project = Project::open(&context.directory)?;
    let path = image_path(&project, name)?;
    let map = match &args.bmap {
        _ if args.no_bmap => Map::None,
        Some(file) => Map::File(file.clone()),
        None => Map::Beside,
    };
    let image = Image::open(&path, &map)?;
    let content = Content::look(&image, if args.foreign { Strangers::Allowed } else { Strangers::Refused })?;
    let planned = args.node.as_ref().map(|node| of_node(context, &project, node, &args.key)).transpose()?;
    let identity = args.identity.as_ref().map(|file| read_identity(file)).transpose()?;
    if let Some(FleetNode { name, image: wanted, .. }) = &planned
        && image_stem(&path) != *wanted
    {
        let stem = image_stem(&path);
        context.printer.warning(&format!("cluster.toml wants image {wanted} on {name}, and this is {stem}"));
    }
    let chooser = Chooser { image: &image, needs: content.needs(&image), rules: args.rules() };
    let dialog = CardDialog { context, chooser, consent: args.consent() };
    let Some(device) = &args.device else {
        dialog.list(&Kernel::here());
        let hint = Some(format!("hah-image flash {} DEVICE", shell::shown(name)));
        return Err(Failure::new(Exit::Usage, "no device was given", hint));
    };
    // What cannot be put on record is not begun.
    let recorded = planned.map(|node| Ok::<_, Failure>((node, FlashRecord::read(project.root())?))).transpose()?;
    let found = dialog.open(device)?;
    let device = found.device.clone();
    let target = dialog.confirm(found)?;
    let verify = args.verify();
    if let Some((node, mut record)) = recorded {
        let image_sha256 = image.sha256()?.to_string();
        let card =
            NodeCard { node: &node, image: &image, content: &content, image_sha256: &image_sha256, device, verify };
        let flashed = card.flash(&context.printer, target, &mut record)?;
        report(context, &image, Some(&node.name), &flashed);
        return Ok(0);
    }
    let name = identity.as_ref().and_then(|identity| identity.hostname.as_deref()).unwrap_or("a node");
    let node = identity.as_ref().map(|identity| Node { name, identity });
    let flashed = flash::flash(&context.printer, Job { image: &image, content: &content, target, node, verify })?;
    report(context, &image, node.map(|node| node.name), &flashed);
    Ok(0)
}

fn report(context: &Context, image: &Image, node: Option<&str>, flashed: &Flashed) {
    context.printer.result(|| {
        serde_json::json!({"event": "result", "image": image.path().display().to_string(),
            "device": flashed.path.display().to_string(), "node": node,
            "written": flashed.written, "skipped": flashed.skipped, "repaired": flashed.repaired,
            "verified": flashed.verified == Verify::All})
    });
}

/// Where and what, and nothing that may be a secret: the terminal and logs are no place for one.
fn told(error: &serde_json::Error) -> String {
    let fault = match error.classify() {
        serde_json::error::Category::Data => Fault::Data,
        serde_json::error::Category::Eof => Fault::End,
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => Fault::Syntax,
    };
    format!("line {}, column {}: {}", error.line(), error.column(), reason(&error.to_string(), fault))
}

/// Reads and checks a node.json.
fn read_identity(path: &Path) -> Result<Identity, Failure> {
    let text = files::read(path)?;
    let refuse = |reason: String| {
        Failure::user(format!("{}: {reason}", path.display()), Some("docs/identity.md describes its keys".into()))
    };
    if text.len() > FILE_MAX {
        return Err(refuse(format!("{} bytes; a node reads at most {FILE_MAX}", text.len())));
    }
    let Probe { version } = serde_json::from_slice(&text).map_err(|error| refuse(told(&error)))?;
    if version != VERSION {
        return Err(refuse(format!("it has version {version}; this hah-image writes version {VERSION}")));
    }
    let identity: Identity = serde_json::from_slice(&text).map_err(|error| refuse(told(&error)))?;
    identity.flaw().map_or(Ok(identity), |flaw| Err(refuse(flaw.to_string())))
}
