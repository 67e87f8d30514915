//! Runs the machine: on a thread of its own beside the loop's, one question at a time.

use hah_node::closing::{self, Loop};
use hah_node::paths;

use super::api::Programs;
use super::machine::{Action, Effect, Event, Question, Reply, Settings, State, step};
use super::node::{Card, Generations, Node};
use super::publish::Publisher;
use crate::closing::api::Api;
use crate::closing::driver::{Clock, Options, hostname, read_config, seed};
use crate::console;

/// The thread's stack, in bytes: JSON is parsed on it.
const STACK: usize = 512 << 10;

/// Starts the rollout beside the loop, on a node that stage 1 has started. It ends with the process.
pub(crate) fn start(options: &Options) {
    // Without a configuration that can be read there is no loop either, and the loop says why.
    let Ok(config) = read_config(&options.below(closing::CONFIG)) else { return };
    if !options.below(paths::STAGE1_REPORT).exists() {
        return;
    }
    let options = options.clone();
    let node = options.node.clone().unwrap_or_else(hostname);
    let thread = std::thread::Builder::new().name("rollout".to_owned()).stack_size(STACK);
    if let Err(error) = thread.spawn(move || run(&options, &config, &node)) {
        console::journal(&format!("the rollout does not start: {error}"));
    }
}

fn run(options: &Options, config: &Loop, node: &str) {
    let api = match Api::new(config, None, (&options.root, node), options.hurry) {
        Ok(api) => api,
        Err(error) => return console::journal(&format!("the rollout does not start: {error}")),
    };
    let programs = Programs::new(api, config, node, options.hurry);
    let publisher = Publisher::new(options, node.to_owned());
    let generations = Node::new(Card::below(&options.root), &options.root, config.vault.is_some());
    let settings = settings(config, node);
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(drive(&settings, generations, programs, publisher, options.hurry)),
        Err(error) => console::journal(&format!("the rollout does not start: {error}")),
    }
}

fn settings(config: &Loop, node: &str) -> Settings {
    Settings {
        node: node.to_owned(),
        consul: config.consul.expect,
        nomad: config.nomad.as_ref().map(|nomad| nomad.expect),
        #[cfg(test)]
        mutation: None,
    }
}

async fn drive<G: Generations>(
    settings: &Settings,
    mut node: Node<G>,
    programs: Programs,
    mut publisher: Publisher,
    hurry: u32,
) {
    let clock = Clock::new(hurry);
    let mut state = State::new(seed(), clock.now());
    let mut event = Event::Tick;
    loop {
        let (next, actions) = step(settings, state, event, clock.now());
        state = next;
        let (mut question, mut wake) = (None, 0);
        for action in actions {
            match action {
                Action::Ask(number, what) => question = Some((number, what)),
                Action::Wake(at) => wake = at,
                Action::Say(said) => publisher.say(&state, &said),
                Action::Publish => publisher.publish(&state, clock.now()),
            }
        }
        event = match question {
            Some((number, what)) => Event::Reply(number, answer(&mut node, &programs, &what).await),
            None => {
                tokio::time::sleep(clock.until(wake)).await;
                Event::Tick
            }
        };
    }
}

async fn answer<G: Generations>(node: &mut Node<G>, programs: &Programs, question: &Question) -> Reply {
    let done = |result: Result<(), String>| result.map_or_else(Reply::Failed, |()| Reply::Done);
    match question {
        Question::Local => {
            let vault = node.has_vault() && programs.vault_answers().await;
            node.look(vault).map_or_else(Reply::Failed, |local| Reply::Local(Box::new(local)))
        }
        Question::Board => programs.board().await.map_or_else(Reply::Failed, |board| Reply::Board(Box::new(board))),
        Question::Cluster => {
            programs.cluster().await.map_or_else(Reply::Failed, |cluster| Reply::Cluster(Box::new(cluster)))
        }
        Question::Do(effect) => match effect {
            Effect::Begin(errand) => done(node.begin(errand)),
            Effect::End => done(node.end()),
            Effect::Try(generation) => done(node.generations().start_trial(*generation)),
            Effect::Commit(generation) => done(node.generations().keep(*generation)),
            Effect::Condemn(generation, reason) => done(node.generations().condemn(*generation, reason)),
            Effect::RollBack(generation, reason) => {
                // A disk that takes no more is no reason to stay.
                if let Err(why) = node.generations().condemn(*generation, reason) {
                    console::journal(&format!("why generation {} goes cannot be written: {why}", generation.short()));
                }
                done(node.generations().go_back())
            }
            effect => programs.perform(effect).await,
        },
    }
}

#[cfg(test)]
mod tests;
