//! `flash`: an image onto a card.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use fs_err as fs;
use hah_node::identity::{FILE_MAX, Identity, Probe, VERSION};
use hah_plan::recipe::ByteSize;

use super::Context;
use super::identity::of_node;
use super::secrets::KeyArgs;
use crate::failure::{Exit, Failure};
use crate::flash::device::{Device, Kernel};
use crate::flash::refusal::{Fixed, Limits, MAX_BYTES, refusal};
use crate::flash::source::{Image, Map};
use crate::flash::target::{OpenError, OpenTarget};
use crate::flash::{self, Job, Node, Verify};
use crate::printer::{Mode, human_bytes};
use crate::project::Project;

/// Arguments of `flash`.
#[derive(Debug, Args)]
pub(super) struct FlashArgs {
    /// An image: its name, or the path of an .img, .img.zst, .img.xz or .img.gz
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The card: a device such as /dev/sdb, or a file that stands for one; without it, those that may be meant are listed
    #[arg(value_name = "DEVICE")]
    device: Option<PathBuf>,
    /// Give the card the identity of this node of cluster.toml
    #[arg(long, value_name = "NAME", conflicts_with = "identity")]
    node: Option<String>,
    /// Give the card this identity: a node.json
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    #[command(flatten)]
    key: KeyArgs,
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
    /// Allow disks that are built into this machine, but never the one that it runs from
    #[arg(long)]
    allow_fixed: bool,
    /// Make the file DEVICE, of this size: the card of a virtual machine
    #[arg(long, value_name = "SIZE")]
    size: Option<ByteSize>,
}

impl FlashArgs {
    fn limits(&self) -> Limits {
        let fixed = if self.allow_fixed { Fixed::Allowed } else { Fixed::Refused };
        Limits { max_bytes: self.max_size.0, fixed }
    }
}

/// Flashes.
pub(super) fn run(context: &Context, args: &FlashArgs) -> Result<u8, Failure> {
    let project = Project::open(&context.directory)?;
    let path = image_path(&project, &args.image)?;
    let map = match &args.bmap {
        _ if args.no_bmap => Map::None,
        Some(file) => Map::File(file.clone()),
        None => Map::Beside,
    };
    let image = Image::open(&path, &map)?;
    let identity = match (&args.node, &args.identity) {
        (Some(name), _) => {
            let (identity, wanted) = of_node(context, &project, name, &args.key)?;
            let stem = image_stem(&path);
            if stem != wanted {
                context.printer.warning(&format!("cluster.toml wants image {wanted} on {name}, and this is {stem}"));
            }
            Some(identity)
        }
        (None, Some(file)) => Some(read_identity(file)?),
        (None, None) => None,
    };
    let name = identity.as_ref().and_then(|identity| identity.hostname.clone()).unwrap_or_else(|| "a node".to_owned());
    let target = open(context, args, &image)?;
    let node = identity.as_ref().map(|identity| Node { name: &name, identity });
    let verify = if args.no_verify { Verify::Nothing } else { Verify::All };
    let flashed = flash::flash(&context.printer, Job { image: &image, target, node, verify })?;
    context.printer.result(|| {
        serde_json::json!({"event": "result", "image": path.display().to_string(),
            "device": flashed.path.display().to_string(), "node": identity.as_ref().map(|_| &name),
            "written": flashed.written, "skipped": flashed.skipped, "repaired": flashed.repaired,
            "verified": verify == Verify::All})
    });
    Ok(0)
}

/// A name of the project, or a path.
fn image_path(project: &Project, name: &str) -> Result<PathBuf, Failure> {
    let is_path = name.contains('/') || name.contains('.');
    let path = if is_path { PathBuf::from(name) } else { project.output(name) };
    if path.exists() {
        return Ok(path);
    }
    let hint = match is_path {
        true => "give the path of an image, or the name of one that was built".to_owned(),
        false => format!("build it first: hah-image build {name}"),
    };
    Err(Failure::user(format!("there is no {}", path.display()), Some(hint)))
}

/// `lab` of `out/lab.img.zst`.
fn image_stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// Reads and checks a node.json.
fn read_identity(path: &Path) -> Result<Identity, Failure> {
    let text = fs::read(path)?;
    let refuse = |reason: String| {
        Failure::user(format!("{}: {reason}", path.display()), Some("docs/identity.md describes its keys".into()))
    };
    if text.len() > FILE_MAX {
        return Err(refuse(format!("{} bytes; a node reads at most {FILE_MAX}", text.len())));
    }
    let Probe { version } = serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?;
    if version != VERSION {
        return Err(refuse(format!("it has version {version}; this hah-image writes version {VERSION}")));
    }
    let identity: Identity = serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?;
    identity.flaw().map_or(Ok(identity), |flaw| Err(refuse(flaw.to_string())))
}

/// Opens the target: a device that nothing speaks against and that the person confirms, or a file.
fn open(context: &Context, args: &FlashArgs, image: &Image) -> Result<OpenTarget, Failure> {
    let kernel = Kernel::here();
    let Some(path) = &args.device else {
        candidates(context, &kernel, args, image);
        return Err(Failure::new(
            Exit::Usage,
            "no device was given",
            Some(format!("hah-image flash {} DEVICE", args.image)),
        ));
    };
    let Ok(metadata) = fs::metadata(path) else { return new_file(context, &kernel, args, image) };
    let kind = metadata.file_type();
    if kind.is_file() {
        return open_file(context, args, path, metadata.len(), image);
    }
    let device = (kind.is_block_device() || cfg!(not(target_os = "linux"))).then(|| kernel.at(path)).flatten();
    let Some(device) = device else {
        candidates(context, &kernel, args, image);
        return Err(Failure::new(Exit::Usage, format!("{} is no disk and no file", path.display()), None));
    };
    if let Some(refusal) = refusal(&device, image.size(), &args.limits()) {
        return Err(Failure::user(format!("{} {refusal}", shown(path, &device)), Some(refusal.hint())));
    }
    confirm(context, args, &describe(&device))?;
    let target = OpenTarget::device(&device.path).map_err(|error| cannot_open(&device.path, error))?;
    Ok(target)
}

/// `/dev/disk/by-id/x (/dev/sdb)`, or just the device.
fn shown(path: &Path, device: &Device) -> String {
    if path == device.path {
        path.display().to_string()
    } else {
        format!("{} ({})", path.display(), device.path.display())
    }
}

fn cannot_open(path: &Path, error: OpenError) -> Failure {
    match error {
        OpenError::Busy => Failure::user(
            format!("{} is in use", path.display()),
            Some("another flash, a mount or a volume group has it: `lsblk` and `fuser` tell which".into()),
        ),
        OpenError::Io(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Failure::user(
            format!("{} is not writable for you", path.display()),
            Some(format!(
                "allow yourself this one device until it is unplugged: sudo setfacl -m u:$USER:rw {}",
                path.display()
            )),
        ),
        OpenError::Io(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => Failure::user(
            format!("{} is write-protected", path.display()),
            Some("look at the lock switch of the card or its adapter".into()),
        ),
        OpenError::Io(error) => Failure::user(format!("cannot open {}: {error}", path.display()), None),
    }
}

/// A path that leads nowhere: a new file, when it is clear that one is meant; else probably a typing mistake.
fn new_file(context: &Context, kernel: &Kernel, args: &FlashArgs, image: &Image) -> Result<OpenTarget, Failure> {
    let path = args.device.clone().unwrap_or_default();
    let is_image = path.extension().is_some_and(|extension| extension == "img");
    if path.starts_with("/dev") || !(is_image || args.size.is_some()) {
        candidates(context, kernel, args, image);
        return Err(Failure::new(
            Exit::Usage,
            format!("there is no {}", path.display()),
            Some("to make a file, call it NAME.img or say --size".into()),
        ));
    }
    let bytes = args.size.map(|size| size.0);
    if let (Some(bytes), Some(wanted)) = (bytes, image.size())
        && bytes < wanted
    {
        return Err(Failure::user(format!("--size is smaller than the image, which has {wanted} bytes"), None));
    }
    OpenTarget::new_file(&path, bytes.or(image.size())).map_err(|error| cannot_open(&path, error))
}

fn open_file(
    context: &Context,
    args: &FlashArgs,
    path: &Path,
    length: u64,
    image: &Image,
) -> Result<OpenTarget, Failure> {
    if args.size.is_some_and(|size| size.0 != length) {
        return Err(Failure::user(
            format!("{} is there, with {length} bytes", path.display()),
            Some("remove it, or leave out --size".into()),
        ));
    }
    if same_file(path, image.path()) {
        return Err(Failure::new(Exit::Usage, "image and target are the same file", None));
    }
    if let Some(wanted) = image.size().filter(|wanted| *wanted > length) {
        return Err(Failure::user(
            format!("{} is too small: the image needs {wanted} bytes and it has {length}", path.display()),
            Some("remove it, and flash makes one that fits".into()),
        ));
    }
    confirm(context, args, &format!("{} ({}), a file", path.display(), human_bytes(length)))?;
    OpenTarget::file(path).map_err(|error| cannot_open(path, error))
}

fn same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let id = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    id(one).is_some() && id(one) == id(other)
}

/// Shows what will be lost and asks, unless that was answered in advance.
fn confirm(context: &Context, args: &FlashArgs, what: &str) -> Result<(), Failure> {
    if args.yes {
        return Ok(());
    }
    if !context.printer.can_ask() {
        return Err(Failure::new(
            Exit::Usage,
            format!("this would erase {what}"),
            Some("say --yes to do that without being asked".into()),
        ));
    }
    context.printer.say(&format!("This erases {what}"));
    let answer = context.printer.ask("Go on? [y/N]")?;
    if matches!(answer.as_str(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::user("nothing was written", None))
}

/// A disk and what is on it, on a few lines.
fn describe(device: &Device) -> String {
    let mut text = format!("{} ({})", device.path.display(), human_bytes(device.bytes));
    if !device.model.is_empty() {
        text.push_str(&format!(", {}", device.model));
    }
    text.push_str(&format!(", {}", device.attachment.as_str()));
    if let Some(link) = &device.by_id {
        text.push_str(&format!("\n    {}", link.display()));
    }
    for partition in &device.partitions {
        let label = partition.label.as_deref().map(|label| format!("  {label}")).unwrap_or_default();
        text.push_str(&format!("\n    {:12} {:>10}{label}", partition.name, human_bytes(partition.bytes)));
    }
    text
}

/// Lists what may be meant, and what speaks against the rest.
fn candidates(context: &Context, kernel: &Kernel, args: &FlashArgs, image: &Image) {
    let disks = kernel.disks();
    let judged: Vec<_> = disks.iter().map(|disk| (disk, refusal(disk, image.size(), &args.limits()))).collect();
    for (disk, refused) in &judged {
        context.printer.result(|| {
            serde_json::json!({"event": "candidate", "device": disk.path.display().to_string(), "bytes": disk.bytes,
                "model": disk.model, "attachment": disk.attachment.as_str(),
                "by_id": disk.by_id.as_ref().map(|link| link.display().to_string()),
                "refused": refused.as_ref().map(ToString::to_string)})
        });
    }
    if context.printer.mode() == Mode::Json {
        return;
    }
    let (fit, unfit): (Vec<_>, Vec<_>) = judged.into_iter().partition(|(_, refused)| refused.is_none());
    if fit.is_empty() {
        context.printer.say("No card is here that could be written.");
    } else {
        context.printer.say("These could be written:");
    }
    for (disk, _) in fit {
        context.printer.say(&format!("  {}", describe(disk).replace('\n', "\n  ")));
    }
    for (disk, refused) in unfit {
        let reason = refused.map(|refused| refused.to_string()).unwrap_or_default();
        context.printer.say(&format!("  not {}: it {reason}", disk.path.display()));
    }
}
