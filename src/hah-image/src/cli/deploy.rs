//! `deploy`: running nodes get what was built, and try it.
//!
//! ```text
//! ask every node ─► build what is missing ─► say who gets what ─► send, to all at once ─► try, one after the other
//! ```
//!
//! Nothing is tried before every node has its generation, and the first trial that fails is the last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use hah_node::generation::Slot;
use hah_node::generation::state::Generations;
use hah_plan::cluster::{Cluster, ReleaseKey, Role};
use hah_plan::plan::StepState;

use super::Context;
use super::secrets::{self, KeyArgs};
use super::ssh::SshOptions;
use crate::advice::{Advised as _, Exit, chain};
use crate::build::outputs::Copies;
use crate::build::{self, LockPolicy, Request};
use crate::deploy::DeployError;
use crate::deploy::agent::{self, When};
use crate::deploy::changes::Changes;
use crate::deploy::parcel::{Age, Parcel};
use crate::deploy::push::{self, Progress};
use crate::deploy::target::Target;
use crate::deploy::trial::{self, Standing, Start};
use crate::failure::Failure;
use crate::printer::{Mode, Outcome, human_bytes};
use crate::project::Project;
use crate::project::fleet::{cluster_of, no_such_node, route_to};
use crate::project::secrets::signing;

/// Arguments of `deploy`.
#[derive(Debug, Args)]
pub(super) struct DeployArgs {
    /// Nodes
    #[arg(
        help = "Nodes: as cluster.toml calls them, or [USER@]HOST[:PORT]",
        value_name = "NODE",
        required_unless_present = "fleet"
    )]
    nodes: Vec<String>,
    /// All nodes of cluster.toml
    #[arg(long, conflicts_with = "nodes")]
    fleet: bool,
    /// The image, for nodes that are not in cluster.toml; that which they run without
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// This node first; the others only when it keeps the generation
    #[arg(long, value_name = "NODE")]
    canary: Option<String>,
    /// Send only: nothing is tried
    #[arg(long)]
    stage: bool,
    /// When a node tries what it got
    #[arg(long, value_enum, value_name = "WHEN", default_value = "now", conflicts_with = "stage")]
    at: At,
    /// With `--at turn`: a cluster that cannot spare a server may be without it for a while
    #[arg(long)]
    accept_outage: bool,
    /// Send it to nodes that run something newer, too
    #[arg(long)]
    allow_older: bool,
    /// Say what would be done; build, send and try nothing
    #[arg(long)]
    dry_run: bool,
    /// How long a node may take for its trial, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
    patience: u64,
    #[command(flatten)]
    options: SshOptions,
    #[command(flatten)]
    key: KeyArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum At {
    /// At once: it reboots
    Now,
    /// When the cluster can spare it: the nodes themselves take turns, by way of Consul
    Turn,
    /// When somebody reboots it
    NextReboot,
}

/// A node, and what it has said.
struct Node {
    target: Target,
    image: String,
    told: Generations,
}

impl Node {
    fn name(&self) -> &str {
        &self.target.name
    }
}

/// Deploys.
pub(super) fn run(context: &Context, args: &DeployArgs) -> Result<u8, Failure> {
    let project = Project::open(&context.directory)?;
    let cluster = if args.fleet { Some(cluster_of(&project)?) } else { project.cluster()? };
    let wanted = targets(&project, cluster.as_ref(), args)?;
    let nodes = asked(context, wanted)?;
    let mut parcels = parcels(context, &project, &nodes, args)?;
    if !args.dry_run {
        sign(context, &project, &nodes, &args.key, &mut parcels)?;
    }
    let mut waiting = Vec::new();
    for node in nodes {
        let parcel = parcels.get(&node.image).and_then(Option::as_ref);
        let standing = parcel.map(|parcel| standing(parcel, &node));
        say_plan(context, &node, parcel, standing.as_ref());
        match (parcel, standing) {
            (Some(parcel), Some(Standing::Kept(_))) => {
                result(context, node.name(), parcel, serde_json::json!({"outcome": "unchanged"}));
            }
            (Some(_), Some(Standing::Bad(reason))) => {
                let error = DeployError::WentBack { node: node.name().to_owned(), reason };
                return Err(Failure::from(error).advising(
                    "change what was wrong and build again: another build is another generation".to_owned(),
                ));
            }
            (Some(parcel), Some(_)) => waiting.push((node, parcel)),
            (None, _) | (_, None) => {}
        }
    }
    if args.dry_run || waiting.is_empty() {
        return Ok(0);
    }
    stage(context, &waiting)?;
    match (args.stage, args.at) {
        (true, _) => Ok(0),
        (false, At::NextReboot) => arm(context, &waiting),
        (false, At::Turn) => take_turns(context, &waiting, args),
        (false, At::Now) => try_each(context, &waiting, Duration::from_secs(args.patience)),
    }
}

/// What a parcel is to a node; one that runs it already does not need it in another signer's or another age's words.
fn standing(parcel: &Parcel, node: &Node) -> Standing {
    match Standing::of(parcel.built, &node.told) {
        Standing::Kept(slot) => Standing::Kept(slot),
        _ => Standing::of(parcel.id, &node.told),
    }
}

/// Signs what goes to nodes that take nothing else, with the key of the secrets, which are opened for nothing less.
fn sign(
    context: &Context,
    project: &Project,
    nodes: &[Node],
    key: &KeyArgs,
    parcels: &mut BTreeMap<String, Option<Parcel>>,
) -> Result<(), Failure> {
    let mut opened: Option<ReleaseKey> = None;
    for node in nodes.iter().filter(|node| node.told.wants_signature) {
        let Some(Some(parcel)) = parcels.get_mut(&node.image) else { continue };
        if !parcel.signature.is_empty() || matches!(standing(parcel, node), Standing::Kept(_)) {
            continue;
        }
        let release = match opened.take() {
            Some(release) => release,
            None => {
                let secrets = secrets::open(context, project, &cluster_of(project)?, key)?;
                secrets.release.ok_or_else(|| {
                    let text =
                        format!("{} takes only what is signed, and secrets.age has no key to sign with", node.name());
                    Failure::user(text, Some("make one: hah-image secrets rotate release".into()))
                })?
            }
        };
        parcel.signature = signing::sign(&release, &parcel.text, &parcel.closure.image)?;
        opened = Some(release);
    }
    Ok(())
}

/// Who is meant, the canary first and servers last; and the image of each that cluster.toml knows.
fn targets(
    project: &Project,
    cluster: Option<&Cluster>,
    args: &DeployArgs,
) -> Result<Vec<(Target, Option<String>)>, Failure> {
    let mut names: Vec<String> = match (args.fleet, cluster) {
        (true, Some(cluster)) => cluster.nodes.keys().cloned().collect(),
        _ => args.nodes.clone(),
    };
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    if let Some(canary) = &args.canary
        && !seen.contains(canary)
    {
        let text = format!("the canary {canary} is not among the nodes");
        return Err(Failure::new(Exit::Usage, text, Some(format!("they are: {}", names.join(", ")))));
    }
    // Sorting keeps the order of equals.
    names.sort_by_key(|name| (Some(name) != args.canary.as_ref(), is_server(cluster, name)));
    let mut targets = Vec::new();
    for name in names {
        let member = cluster.and_then(|cluster| Some((cluster, cluster.nodes.get(&name)?)));
        targets.push(match (member, cluster) {
            (Some((cluster, member)), _) => {
                let mut route = route_to(project, cluster, &name)?;
                route.options = args.options.words().to_vec();
                (Target::member(route), Some(member.image.clone()))
            }
            // A word alone that cluster.toml does not know is a slip more often than a host.
            (None, Some(cluster)) if !name.contains(['@', ':', '.']) => return Err(no_such_node(cluster, &name).into()),
            (None, _) => (Target::parse(&name, args.options.words())?, args.image.clone()),
        });
    }
    Ok(targets)
}

/// Whether the cluster does without it less easily than without others.
fn is_server(cluster: Option<&Cluster>, name: &str) -> bool {
    let member = cluster.and_then(|cluster| cluster.nodes.get(name));
    member.is_some_and(|member| [member.consul, member.nomad, member.vault].contains(&Role::Server))
}

/// Asks every node, all at once, what it runs.
fn asked(context: &Context, wanted: Vec<(Target, Option<String>)>) -> Result<Vec<Node>, Failure> {
    let step = context.printer.step("Asking", nodes_of(wanted.len()), None);
    let answers: Vec<Result<Generations, DeployError>> =
        at_once(&wanted, |(target, _)| agent::generations(target)).into_iter().collect();
    let mut nodes = Vec::new();
    let mut failed = Vec::new();
    for ((target, image), answer) in wanted.into_iter().zip(answers) {
        match answer {
            Ok(told) if told.current().is_none_or(|current| current.id.is_none()) => {
                let reason =
                    "its card was flashed by a hah-image that knew no generations; flash it once more".to_owned();
                failed.push((target.name.clone(), DeployError::Refused { node: target.name, reason }));
            }
            Ok(told) => {
                let image = image.or_else(|| told.current().map(|current| current.image.clone())).unwrap_or_default();
                nodes.push(Node { target, image, told });
            }
            Err(error) => failed.push((target.name, error)),
        }
    }
    tell_failures(context, failed, "no node was changed")?;
    step.done("Asked", &nodes_of(nodes.len()), Outcome::Cached);
    Ok(nodes)
}

/// Builds what is missing of the nodes' images; a dry run takes those that stand, and none of the others.
fn parcels(
    context: &Context,
    project: &Project,
    nodes: &[Node],
    args: &DeployArgs,
) -> Result<BTreeMap<String, Option<Parcel>>, Failure> {
    let images: BTreeSet<String> = nodes.iter().map(|node| node.image.clone()).collect();
    let images: Vec<String> = images.into_iter().collect();
    let age = if args.allow_older { Age::Any } else { Age::Newer };
    let output = |image: &str| project.output(image);
    let mut request = Request::new(images.clone());
    let mut parcels = BTreeMap::new();
    if args.dry_run {
        request.lock = LockPolicy::AsItIs;
        let rows = build::dry_run(context.tools(), project, &request, &output)?;
        for image in images {
            let row = rows.iter().find(|row| row.kind == "image" && row.what == format!("image {image}"));
            let stands = row.is_some_and(|row| row.state == StepState::There);
            let parcel = if stands { Some(Parcel::open(&output(&image), age)?) } else { None };
            parcels.insert(image, parcel);
        }
        return Ok(parcels);
    }
    for outcome in build::build(context.tools(), project, &request, &output, Copies::None)? {
        match outcome.result {
            Ok(built) => drop(parcels.insert(outcome.image, Some(Parcel::open(&built.path, age)?))),
            Err(failure) => {
                let hint = failure.hint().map(str::to_owned);
                return Err(Failure::new(failure.exit(), failure.message(), hint));
            }
        }
    }
    Ok(parcels)
}

/// A line for each node: from which generation to which.
fn say_plan(context: &Context, node: &Node, parcel: Option<&Parcel>, standing: Option<&Standing>) {
    let current = node.told.current();
    let id = current.and_then(|current| current.id).map_or_else(|| "unknown".to_owned(), |id| id.short());
    let changes = parcel.and_then(|parcel| changes(context, node, parcel));
    let running = format!("{} runs generation {} ({id})", node.name(), node.told.running);
    let line = match (parcel, standing) {
        (Some(parcel), Some(standing)) => {
            let new = parcel.id.short();
            let day = crate::calendar::day(u64::from(parcel.closure.epoch));
            let what = format!("{} {new} of {day}", parcel.closure.image);
            match standing {
                Standing::Kept(slot) => format!("{} runs {what} already, as generation {slot}", node.name()),
                Standing::OnTrial => format!("{} has {what} on trial", node.name()),
                Standing::Staged => format!("{running}, and has {what}"),
                Standing::Bad(_) | Standing::Absent => match &changes {
                    None => format!("{running}, and gets {what}"),
                    Some(changes) => {
                        format!("{running}, and gets {what}: {} to send, {changes}", human_bytes(changes.bytes))
                    }
                },
            }
        }
        _ => format!("{running}, and gets {} as soon as that is built", node.image),
    };
    context.printer.note(&line);
    if context.printer.mode() == Mode::Json {
        context.printer.result(|| {
            serde_json::json!({"event": "plan", "node": node.name(), "image": node.image, "running": node.told.running,
                "running_id": current.and_then(|current| current.id), "id": parcel.map(|parcel| parcel.id),
                "standing": standing.map(word), "bytes": changes.as_ref().map(|changes| changes.bytes),
                "packages": changes.as_ref().map(|changes| &changes.packages)})
        });
    }
}

/// What the node gets, when this machine has built what it runs.
fn changes(context: &Context, node: &Node, parcel: &Parcel) -> Option<Changes> {
    let running = node.told.current()?.id?;
    Changes::from_running(context.settings.cache_dir().ok()?, running, &parcel.closure, &parcel.manifest)
}

fn word(standing: &Standing) -> &'static str {
    match standing {
        Standing::Kept(_) => "kept",
        Standing::Bad(_) => "bad",
        Standing::OnTrial => "on-trial",
        Standing::Staged => "staged",
        Standing::Absent => "absent",
    }
}

/// Sends to all nodes at once.
fn stage(context: &Context, waiting: &[(Node, &Parcel)]) -> Result<(), Failure> {
    let sent = at_once(waiting, |(node, parcel)| send(context, node, parcel));
    let failed = waiting.iter().zip(sent).filter_map(|((node, _), sent)| Some((node.name().to_owned(), sent.err()?)));
    tell_failures(context, failed.collect(), "nothing is tried, and what has arrived stays")
}

fn send(context: &Context, node: &Node, parcel: &Parcel) -> Result<(), DeployError> {
    // Of everything that the node has to have: what it copies from its own card counts, too.
    let all = parcel.closure.root_bytes().saturating_add(parcel.closure.boot_bytes());
    let step = context.printer.transfer("Staging", node.name(), Some(all));
    let done = AtomicU64::new(0);
    let reach = |at: u64| {
        let before = done.fetch_max(at, Ordering::Relaxed);
        step.advance(at.saturating_sub(before));
    };
    let staged = push::push(&node.target, parcel, &mut |progress| match progress {
        Progress::Copying(done, _) => reach(done),
        Progress::Missing(bytes) => reach(all.saturating_sub(bytes)),
        Progress::Sent(bytes) => reach(done.load(Ordering::Relaxed).saturating_add(bytes)),
    })?;
    let slot = staged.slot;
    let summary = match staged.was_there {
        true => format!("{}: generation {slot} was there", node.name()),
        false => format!(
            "{}: generation {slot}, {} sent and {} of its own",
            node.name(),
            human_bytes(staged.received),
            human_bytes(staged.copied)
        ),
    };
    step.done("Staged", &summary, if staged.was_there { Outcome::Cached } else { Outcome::Made });
    result(
        context,
        node.name(),
        parcel,
        serde_json::json!({"outcome": "staged", "slot": slot, "sent": staged.received, "copied": staged.copied}),
    );
    Ok(())
}

/// Has every node try it with its next reboot.
fn arm(context: &Context, waiting: &[(Node, &Parcel)]) -> Result<u8, Failure> {
    for (node, parcel) in waiting {
        agent::try_generation(&node.target, parcel.id, When::NextReboot)?;
        context.printer.note(&format!("{} tries {} with its next reboot", node.name(), parcel.id.short()));
        result(context, node.name(), parcel, serde_json::json!({"outcome": "armed"}));
    }
    Ok(0)
}

/// Leaves it to the nodes to try it, one after the other, and looks on.
fn take_turns(context: &Context, waiting: &[(Node, &Parcel)], args: &DeployArgs) -> Result<u8, Failure> {
    let ordered = at_once(waiting, |(node, parcel)| {
        let canary = args.canary.as_deref() == Some(node.name());
        agent::order(&node.target, parcel.id, agent::Wish { canary, accept_outage: args.accept_outage })
    });
    let failed =
        waiting.iter().zip(ordered).filter_map(|((node, _), done)| Some((node.name().to_owned(), done.err()?)));
    tell_failures(context, failed.collect(), "the others try it when it is their turn")?;
    // Each of them may have to wait for all the others.
    let patience = Duration::from_secs(args.patience).saturating_mul(u32::try_from(waiting.len()).unwrap_or(u32::MAX));
    let ended = at_once(waiting, |(node, parcel)| {
        followed(context, node, parcel, |tell| trial::follow(&node.target, parcel.id, Start::InTurn, patience, tell))
    });
    let failed = waiting.iter().zip(ended).filter_map(|((node, _), done)| Some((node.name().to_owned(), done.err()?)));
    tell_failures(context, failed.collect(), "`hah-agent status` on a node tells of the rollout").map(|()| 0)
}

/// Tries it on one node after the other, until one goes back.
fn try_each(context: &Context, waiting: &[(Node, &Parcel)], patience: Duration) -> Result<u8, Failure> {
    for (index, (node, parcel)) in waiting.iter().enumerate() {
        let tried = followed(context, node, parcel, |tell| trial::run(&node.target, parcel.id, patience, tell));
        if let Err(error) = tried {
            let spared: Vec<&str> = waiting.iter().skip(index + 1).map(|(node, _)| node.name()).collect();
            if !spared.is_empty() {
                context.printer.note(&format!("nothing is tried on {}", spared.join(", ")));
            }
            return Err(error.into());
        }
    }
    Ok(0)
}

/// Shows a node's trial while `follow` waits for its end, and tells what came of it.
fn followed(
    context: &Context,
    node: &Node,
    parcel: &Parcel,
    follow: impl FnOnce(&dyn Fn(&str)) -> Result<Slot, DeployError>,
) -> Result<(), DeployError> {
    let step = context.printer.step("Trying", node.name(), None);
    match follow(&|what: &str| step.set_message(&format!("{}: {what}", node.name()))) {
        Ok(slot) => {
            let summary = format!("{}: generation {slot} ({})", node.name(), parcel.id.short());
            step.done("Kept", &summary, Outcome::Made);
            result(context, node.name(), parcel, serde_json::json!({"outcome": "kept", "slot": slot}));
            Ok(())
        }
        Err(error) => {
            drop(step);
            let reason = chain(&error);
            result(context, node.name(), parcel, serde_json::json!({"outcome": "failed", "reason": reason}));
            Err(error)
        }
    }
}

/// What became of a node, as JSON.
fn result(context: &Context, node: &str, parcel: &Parcel, more: serde_json::Value) {
    context.printer.result(|| {
        let mut value = serde_json::json!({"event": "result", "node": node, "image": parcel.closure.image,
            "id": parcel.id});
        if let (Some(value), serde_json::Value::Object(more)) = (value.as_object_mut(), more) {
            value.extend(more);
        }
        value
    });
}

/// Tells why nodes are not where they should be, one after the other; the first one's reason decides the exit code.
fn tell_failures(context: &Context, mut failed: Vec<(String, DeployError)>, rest: &str) -> Result<(), Failure> {
    match failed.len() {
        0 => Ok(()),
        1 => Err(failed.remove(0).1.into()),
        count => {
            let names: Vec<String> = failed.iter().map(|(name, _)| name.clone()).collect();
            let mut exit = Exit::User;
            for (_, error) in failed {
                exit = error.exit();
                Failure::from(error).print(&context.printer);
            }
            Err(Failure::new(exit, format!("{count} nodes failed: {}; {rest}", names.join(", ")), None))
        }
    }
}

/// How many nodes are talked to at a time: more would share the same line.
const AT_ONCE: usize = 16;

/// Does something for all, many at the same time; the answers in their order.
fn at_once<T: Sync, A: Send>(all: &[T], each: impl Fn(&T) -> A + Sync) -> Vec<A> {
    let (next, each) = (AtomicUsize::new(0), &each);
    let work = || {
        let mine = std::iter::from_fn(|| {
            let index = next.fetch_add(1, Ordering::Relaxed);
            Some((index, each(all.get(index)?)))
        });
        mine.collect::<Vec<_>>()
    };
    let mut answers: Vec<(usize, A)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..all.len().min(AT_ONCE)).map(|_| scope.spawn(work)).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.flat_map(|answers| answers.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn nodes_of(count: usize) -> String {
    if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_the_order_of_the_questions() {
        let most = AtomicUsize::new(0);
        let now = AtomicUsize::new(0);
        let all: Vec<usize> = (0..100).collect();
        let answers = at_once(&all, |number| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::yield_now();
            now.fetch_sub(1, Ordering::SeqCst);
            number * 2
        });
        assert_eq!(answers, all.iter().map(|number| number * 2).collect::<Vec<_>>());
        assert!(most.into_inner() <= AT_ONCE);
        assert!(at_once(&[0; 0], |number| *number).is_empty());
    }
}
