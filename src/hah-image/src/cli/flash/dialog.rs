//! The person's part in finding a card: shown what there is, told what will be lost, and asked.

use std::path::Path;

use super::super::Context;
use crate::advice::Exit;
use crate::failure::Failure;
use crate::flash::choose::{Chooser, FoundCard, JudgedDisk, describe};
use crate::flash::device::Kernel;
use crate::flash::target::OpenTarget;
use crate::printer::Mode;

/// Whether the person agreed in advance to what a card loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consent {
    /// `--yes`.
    Given,
    /// They are asked.
    Asked,
}

/// Finds a card for one image, with the person.
#[derive(Clone, Copy)]
pub(super) struct CardDialog<'a> {
    pub(super) context: &'a Context,
    pub(super) chooser: Chooser<'a>,
    /// Whether what is on a card may go.
    pub(super) consent: Consent,
}

impl CardDialog<'_> {
    /// As [`Chooser::open`]; who named what is no card is shown what is one.
    pub(super) fn open(&self, path: &Path) -> Result<FoundCard, Failure> {
        self.chooser.open(path).map_err(|error| {
            if error.wants_list() {
                self.list(&Kernel::here());
            }
            error.into()
        })
    }

    /// Shows what will be lost and asks, unless that was answered in advance.
    pub(super) fn confirm(&self, found: FoundCard) -> Result<OpenTarget, Failure> {
        let FoundCard { target, owner, loses, .. } = found;
        let (Some(mut loses), Consent::Asked) = (loses, self.consent) else { return Ok(target) };
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

    /// Lists what may be meant, and what speaks against the rest.
    pub(super) fn list(&self, kernel: &Kernel) {
        let judged = self.chooser.judged(kernel);
        let printer = &self.context.printer;
        for JudgedDisk { device: disk, refusal } in &judged {
            printer.result(|| {
                serde_json::json!({"event": "candidate", "device": disk.path.display().to_string(), "bytes": disk.bytes,
                    "model": disk.model, "attachment": disk.attachment.as_str(),
                    "by_id": disk.by_id.as_ref().map(|link| link.display().to_string()),
                    "refused": refusal.as_ref().map(ToString::to_string)})
            });
        }
        if printer.mode() == Mode::Json {
            return;
        }
        let (fit, unfit): (Vec<_>, Vec<_>) = judged.into_iter().partition(|judged| judged.refusal.is_none());
        if fit.is_empty() {
            printer.say("No card is here that could be written.");
        } else {
            printer.say("These could be written:");
        }
        for JudgedDisk { device, .. } in fit {
            printer.say(&format!("  {}", describe(&device).replace('\n', "\n  ")));
        }
        for JudgedDisk { device, refusal } in unfit {
            let reason = refusal.map(|refusal| refusal.to_string()).unwrap_or_default();
            printer.say(&format!("  not {}: it {reason}", device.path.display()));
        }
    }
}
