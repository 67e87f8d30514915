//! `flash --fleet`: a card for every node of cluster.toml, one after the other.
//!
//! Everything that can be known beforehand is checked before the first card: secrets, images, arguments. Then each node's
//! card is asked for, or taken from `--card`, and what was done is on record before the next. A node whose newest card has
//! the image and the identity that it would get now is done, so a second run goes on where the first one stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::Context;
use super::super::secrets::open;
use super::dialog::{CardDialog, Consent};
use super::{FlashArgs, report};
use crate::advice::Exit;
use crate::failure::Failure;
use crate::flash::choose::{Chooser, Rules, describe, same_card};
use crate::flash::fleet::{BuiltImage, NodeCard, built_images};
use crate::flash::record::FlashRecord;
use crate::flash::{Verify, card};
use crate::project::Project;
use crate::project::fleet::{FleetNode, cluster_of, fleet_node, no_such_node};

struct Fleet<'a> {
    context: &'a Context,
    rules: Rules,
    consent: Consent,
    verify: Verify,
    /// By name.
    images: BTreeMap<String, BuiltImage>,
    /// Cards that were named in advance, by node.
    cards: BTreeMap<&'a str, &'a Path>,
    record: FlashRecord,
    /// Nodes whose cards were flashed by this run.
    done: BTreeSet<String>,
}

/// What the person wants to be done about a node's card.
enum Answer {
    Flash(PathBuf),
    Skip,
    Stop,
}

/// Flashes the fleet.
pub(super) fn run(context: &Context, args: &FlashArgs) -> Result<u8, Failure> {
    let project = Project::open(&context.directory)?;
    let cluster = cluster_of(&project)?;
    let mut cards: BTreeMap<&str, &Path> = BTreeMap::new();
    for (node, path) in &args.cards {
        if !cluster.nodes.contains_key(node) {
            return Err(no_such_node(&cluster, node).into());
        }
        if let Some((other, _)) = cards.iter().find(|(_, other)| same_card(path, other)) {
            return Err(usage(format!("{other} and {node} cannot have the same card, {}", path.display()), None));
        }
        if cards.insert(node.as_str(), path.as_path()).is_some() {
            return Err(usage(format!("--card names two cards of {node}"), None));
        }
    }
    let secrets = open(context, &project, &cluster, &args.key)?;
    let nodes = cluster
        .nodes
        .keys()
        .map(|name| fleet_node(&project, &cluster, &secrets, name))
        .collect::<Result<Vec<_>, _>>()?;
    let images = built_images(&project, &nodes)?;
    let record = FlashRecord::read(project.root())?;
    for line in &record.torn {
        context.printer.warning(&format!("{}: line {line} cannot be read and is skipped", record.path().display()));
    }
    let fleet = Fleet {
        context,
        rules: args.rules(),
        consent: args.consent(),
        verify: args.verify(),
        images,
        cards,
        record,
        done: BTreeSet::new(),
    };
    let (left, done): (Vec<FleetNode>, Vec<FleetNode>) =
        nodes.into_iter().partition(|node| args.again || !fleet.is_done(node));
    for node in &done {
        if let Some(entry) = fleet.record.newest(&node.name) {
            let text = format!("{} was flashed at {} onto {}", node.name, entry.time, entry.device.display());
            context.printer.note(&format!("{text}, with what it would get now"));
        }
    }
    fleet.walk(&left, done.len())
}

fn usage(message: impl Into<String>, hint: Option<&str>) -> Failure {
    Failure::new(Exit::Usage, message, hint.map(str::to_owned))
}

impl Fleet<'_> {
    fn is_done(&self, node: &FleetNode) -> bool {
        self.images.get(&node.image).is_some_and(|built| built.is_on_card_of(node, &self.record))
    }

    fn walk(mut self, left: &[FleetNode], before: usize) -> Result<u8, Failure> {
        let printer = &self.context.printer;
        let cardless: Vec<&str> =
            left.iter().map(|node| node.name.as_str()).filter(|name| !self.cards.contains_key(name)).collect();
        if !printer.can_ask() && (!cardless.is_empty() || (self.consent == Consent::Asked && !left.is_empty())) {
            return Err(match cardless.as_slice() {
                [] => usage(
                    "this is not a terminal, so nobody can be asked whether the cards may be erased",
                    Some("say --yes"),
                ),
                names => usage(
                    format!("this is not a terminal, so the cards of {} cannot be asked for", names.join(", ")),
                    Some("say --card NAME=DEVICE for each, or run it on a terminal"),
                ),
            });
        }
        let mut skipped = Vec::new();
        for (index, node) in left.iter().enumerate() {
            let name = &node.name;
            let address = node.address().map(|address| format!(", {address}")).unwrap_or_default();
            printer.say(&format!("Card {} of {}: {name} (image {}{address})", index + 1, left.len(), node.image));
            loop {
                let named = self.cards.get(name.as_str()).map(|path| path.to_path_buf());
                let path = match &named {
                    Some(path) => path.clone(),
                    None => match self.ask(node)? {
                        Answer::Flash(path) => path,
                        Answer::Skip => {
                            skipped.push(name.clone());
                            break;
                        }
                        Answer::Stop => return Err(self.stopped(before, left, &left[index..])),
                    },
                };
                match self.flash(node, &path) {
                    Ok(()) => break,
                    // Whoever named a card in advance wants to know that it failed, and not to be asked.
                    Err(failure) if named.is_some() => return Err(failure),
                    Err(failure) => failure.print(printer),
                }
            }
        }
        let done = before + self.done.len();
        let but = if skipped.is_empty() { String::new() } else { format!("; skipped: {}", skipped.join(", ")) };
        printer.note(&format!("{done} of {} cards are done{but}", before + left.len()));
        printer
            .result(|| serde_json::json!({"event": "result", "done": self.done, "before": before, "skipped": skipped}));
        Ok(0)
    }

    fn stopped(&self, before: usize, all: &[FleetNode], rest: &[FleetNode]) -> Failure {
        let names: Vec<&str> = rest.iter().map(|node| node.name.as_str()).collect();
        Failure::user(
            format!("stopped: {} of {} cards are done", before + self.done.len(), before + all.len()),
            Some(format!("`hah-image flash --fleet` goes on with {}", names.join(", "))),
        )
    }

    /// Asks for a node's card until there is an answer.
    fn ask(&self, node: &FleetNode) -> Result<Answer, Failure> {
        let Some(dialog) = self.dialog(node) else { return Ok(Answer::Skip) };
        let printer = &self.context.printer;
        loop {
            let question = format!("Put {}'s card in and press Enter, or name it; s skips, q stops:", node.name);
            // The end of the input is nobody's Enter.
            let Some(answer) = printer.ask_line(&question)? else { return Ok(Answer::Stop) };
            match answer.as_str() {
                "" => {}
                "s" | "S" => return Ok(Answer::Skip),
                "q" | "Q" => return Ok(Answer::Stop),
                path => return Ok(Answer::Flash(PathBuf::from(path))),
            }
            let fit = dialog.chooser.fit();
            match fit.as_slice() {
                [] => dialog.list(&crate::flash::device::Kernel::here()),
                [card] => return Ok(Answer::Flash(card.path.clone())),
                several => {
                    for (number, card) in (1..).zip(several) {
                        printer.say(&format!("  {number}  {}", describe(card).replace('\n', "\n     ")));
                    }
                    let number = printer.ask("Which one? Its number, or Enter to look again:")?;
                    let chosen = number.parse::<usize>().ok().and_then(|number| several.get(number.checked_sub(1)?));
                    if let Some(card) = chosen {
                        return Ok(Answer::Flash(card.path.clone()));
                    }
                }
            }
        }
    }

    fn dialog(&self, node: &FleetNode) -> Option<CardDialog<'_>> {
        let built = self.images.get(&node.image)?;
        let needs = built.content.needs(&built.image);
        let chooser = Chooser { image: &built.image, needs, rules: self.rules };
        Some(CardDialog { context: self.context, chooser, consent: self.consent })
    }

    fn flash(&mut self, node: &FleetNode, path: &Path) -> Result<(), Failure> {
        let (Some(dialog), Some(built)) = (self.dialog(node), self.images.get(&node.image)) else { return Ok(()) };
        let found = dialog.open(path)?;
        if let Some(owner) = found.owner.as_ref().filter(|owner| self.done.contains(*owner)) {
            return Err(Failure::user(
                format!("{} is the card of {owner}, which was flashed just now", path.display()),
                Some(format!("take it out, and put in the one for {}", node.name)),
            ));
        }
        let device = found.device.clone();
        let target = dialog.confirm(found)?;
        let BuiltImage { image, content, sha256 } = built;
        let card = NodeCard { node, image, content, image_sha256: sha256, device, verify: self.verify };
        let flashed = card.flash(&self.context.printer, target, &mut self.record)?;
        report(self.context, image, Some(&node.name), &flashed);
        let label = card::label(&node.name);
        self.context.printer.note(&format!("take it out and write {} on it; its volume is called {label}", node.name));
        self.done.insert(node.name.clone());
        Ok(())
    }
}
