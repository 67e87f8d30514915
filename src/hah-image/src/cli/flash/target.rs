//! From what the person names to an open target: looked at, found fit, and the loss of what is on it agreed to.

use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use fs_err as fs;
use hah_plan::recipe::ByteSize;

use super::super::Context;
use crate::advice::Exit;
use crate::failure::Failure;
use crate::files::place::Place;
use crate::flash::card;
use crate::flash::device::{Device, Kernel};
use crate::flash::refusal::{Limits, Needs, refusal};
use crate::flash::source::Image;
use crate::flash::target::{OpenError, OpenTarget, Target as _, grant};
use crate::printer::{Mode, human_bytes};

/// Whether the person agreed in advance to what a card loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consent {
    /// `--yes`.
    Given,
    /// They are asked.
    Asked,
}

/// What is allowed to become a card.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    /// Of devices.
    pub(super) limits: Limits,
    /// Size of a file that is made, in bytes.
    pub(super) size: Option<u64>,
    /// Whether what is there may go.
    pub(super) consent: Consent,
}

/// Somebody's card, before anything is written onto it.
pub(super) struct Found {
    /// Open, for us alone.
    pub(super) target: OpenTarget,
    /// What it is; none for a file.
    pub(super) device: Option<Device>,
    /// Whose identity it holds, if it was flashed and has not booted yet.
    pub(super) owner: Option<String>,
    /// What will be lost; none when it is made new.
    loses: Option<String>,
}

/// The way to a target for one image.
#[derive(Clone, Copy)]
pub(super) struct Chooser<'a> {
    pub(super) context: &'a Context,
    pub(super) image: &'a Image,
    pub(super) needs: Needs,
    pub(super) rules: Rules,
}

impl Chooser<'_> {
    /// Opens what a path leads to, if nothing speaks against it. Nothing is lost yet.
    pub(super) fn open(&self, path: &Path) -> Result<Found, Failure> {
        let kernel = Kernel::here();
        let Ok(metadata) = fs::metadata(path) else { return self.new_file(&kernel, path) };
        let kind = metadata.file_type();
        if kind.is_file() {
            return self.file(path, metadata.len());
        }
        let device = (kind.is_block_device() || cfg!(not(target_os = "linux"))).then(|| kernel.at(path)).flatten();
        let Some(device) = device else {
            self.list(&kernel);
            return Err(Failure::new(Exit::Usage, format!("{} is no disk and no file", path.display()), None));
        };
        if let Some(refusal) = refusal(&device, &self.needs, &self.rules.limits) {
            return Err(Failure::user(format!("{} {refusal}", shown(path, &device)), Some(refusal.hint())));
        }
        let mut target = OpenTarget::device(&device.path).map_err(|error| cannot_open(&device.path, error))?;
        let owner = card::owner(&mut target, device.bytes);
        Ok(Found { target, owner, loses: Some(describe(&device)), device: Some(device) })
    }

    /// Shows what will be lost and asks, unless that was answered in advance.
    pub(super) fn confirm(&self, found: Found) -> Result<OpenTarget, Failure> {
        let Found { target, owner, loses, .. } = found;
        let (Some(mut loses), Consent::Asked) = (loses, self.rules.consent) else { return Ok(target) };
        if let Some(owner) = owner {
            loses.push_str(&format!("\n    the card of {owner}, which has not booted yet"));
        }
        let printer = &self.context.printer;
        if !printer.can_ask() {
            return Err(Failure::new(
                Exit::Usage,
                format!("this would erase {loses}"),
                Some("say --yes to do that without being asked".into()),
            ));
        }
        printer.say(&format!("This erases {loses}"));
        let answer = printer.ask("Go on? [y/N]")?;
        if matches!(answer.as_str(), "y" | "Y" | "yes") {
            return Ok(target);
        }
        Err(Failure::user("nothing was written", None))
    }

    /// A path that leads nowhere: a new file, when it is clear that one is meant; else probably a typing mistake.
    fn new_file(&self, kernel: &Kernel, path: &Path) -> Result<Found, Failure> {
        let is_image = path.extension().is_some_and(|extension| extension == "img");
        if path.starts_with("/dev") || !(is_image || self.rules.size.is_some()) {
            self.list(kernel);
            return Err(Failure::new(
                Exit::Usage,
                format!("there is no {}", path.display()),
                Some("to make a file, call it NAME.img or say --size".into()),
            ));
        }
        let place = Place::to_write(path)?;
        if let Some(bytes) = self.rules.size {
            if let Some(wanted) = self.image.size().filter(|wanted| *wanted > bytes) {
                return Err(Failure::user(format!("--size is smaller than the image, which has {wanted} bytes"), None));
            }
            if let Some(refusal) = self.needs.refusal(bytes) {
                let hint = self.least().map(|least| format!("say --size '{least}' or more"));
                return Err(Failure::user(format!("a file of {bytes} bytes {refusal}"), hint));
            }
        }
        // Without --size it is as large as need be: a node boots from it, and another flash finds it large enough.
        let bytes = self.rules.size.or(self.least().map(|least| least.0)).or(self.image.size());
        let target = OpenTarget::new_file(place.path(), bytes).map_err(|error| cannot_open(path, error))?;
        Ok(Found { target, device: None, owner: None, loses: None })
    }

    fn file(&self, path: &Path, length: u64) -> Result<Found, Failure> {
        if self.rules.size.is_some_and(|size| size != length) {
            return Err(Failure::user(
                format!("{} is there, with {length} bytes", path.display()),
                Some("remove it, or leave out --size".into()),
            ));
        }
        if same_file(path, self.image.path()) {
            return Err(Failure::new(Exit::Usage, "image and target are the same file", None));
        }
        if let Some(refusal) = self.needs.refusal(length) {
            let hint = match self.least() {
                Some(least) => format!("enlarge it, or remove it and say --size '{least}' or more"),
                None => "remove it, and flash makes one that fits".into(),
            };
            return Err(Failure::user(format!("{} {refusal}", path.display()), Some(hint)));
        }
        let mut target = OpenTarget::file(path).map_err(|error| cannot_open(path, error))?;
        let owner = target.capacity().and_then(|length| card::owner(&mut target, length));
        let loses = format!("{} ({}), a file", path.display(), human_bytes(length));
        Ok(Found { target, device: None, owner, loses: Some(loses) })
    }

    /// The smallest card of a node, in whole MiB.
    fn least(&self) -> Option<ByteSize> {
        const MIB: u64 = 1 << 20;
        let bytes = self.needs.with_data?.max(self.needs.image.unwrap_or(0));
        Some(ByteSize(bytes.div_ceil(MIB).saturating_mul(MIB)))
    }

    /// The disks that could be written.
    pub(super) fn fit(&self) -> Vec<Device> {
        let fits = |disk: &Device| refusal(disk, &self.needs, &self.rules.limits).is_none();
        Kernel::here().disks().into_iter().filter(fits).collect()
    }

    /// Lists what may be meant, and what speaks against the rest.
    pub(super) fn list(&self, kernel: &Kernel) {
        let disks = kernel.disks();
        let judged: Vec<_> = disks.iter().map(|disk| (disk, refusal(disk, &self.needs, &self.rules.limits))).collect();
        let printer = &self.context.printer;
        for (disk, refused) in &judged {
            printer.result(|| {
                serde_json::json!({"event": "candidate", "device": disk.path.display().to_string(), "bytes": disk.bytes,
                    "model": disk.model, "attachment": disk.attachment.as_str(),
                    "by_id": disk.by_id.as_ref().map(|link| link.display().to_string()),
                    "refused": refused.as_ref().map(ToString::to_string)})
            });
        }
        if printer.mode() == Mode::Json {
            return;
        }
        let (fit, unfit): (Vec<_>, Vec<_>) = judged.into_iter().partition(|(_, refused)| refused.is_none());
        if fit.is_empty() {
            printer.say("No card is here that could be written.");
        } else {
            printer.say("These could be written:");
        }
        for (disk, _) in fit {
            printer.say(&format!("  {}", describe(disk).replace('\n', "\n  ")));
        }
        for (disk, refused) in unfit {
            let reason = refused.map(|refused| refused.to_string()).unwrap_or_default();
            printer.say(&format!("  not {}: it {reason}", disk.path.display()));
        }
    }
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
            Some(format!("allow yourself this one device until it is unplugged: {}", grant(path))),
        ),
        OpenError::Io(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => Failure::user(
            format!("{} is write-protected", path.display()),
            Some("look at the lock switch of the card or its adapter".into()),
        ),
        OpenError::Io(error) => Failure::user(format!("cannot open {}: {error}", path.display()), None),
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let id = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    id(one).is_some() && id(one) == id(other)
}

/// A disk and what is on it, on a few lines.
pub(super) fn describe(device: &Device) -> String {
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

/// Whether two paths lead to the same device or file, or would.
pub(super) fn same_card(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).or_else(|_| std::path::absolute(path)).ok();
    one == other || real(one).is_some_and(|one| real(other) == Some(one))
}
