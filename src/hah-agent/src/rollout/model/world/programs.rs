//! What the programs of the simulated world answer, and the invariants that what is asked of them must keep.

use std::collections::{BTreeMap, BTreeSet};

use hah_node::rollout::{Lock, MARK, Turn};

use super::card::Power;
use super::{Coverage, Kind, Schedule, Verdict, broken, digest, number};
use crate::rollout::machine::{Effect, Question, Reply};
use crate::rollout::pace::{self, Millis};
use crate::rollout::view::{Board, Cluster, Ended, Holder, Maintenance, Placing, Raft, Servers, Whose};
use hah_node::generation::Digest;

/// So long after something has changed, nobody needs to know it.
const NEWS: Millis = pace::FRESH + 5_000;

impl Schedule {
    /// Whether a node's Consul takes part.
    pub(super) fn takes_part(&self, node: usize) -> bool {
        let node = &self.nodes[node];
        // Of a node that shuts down Consul may be the last to go.
        let runs = matches!(node.power, Power::On | Power::Starting(_) | Power::Stopping(_));
        let kind = self.kinds[number(node.card.running)];
        runs && self.now >= node.serves.max(node.cut) && !matches!(kind, Kind::NoNetwork | Kind::NoConsul)
    }

    /// Whether the cluster can decide anything.
    pub(super) fn has_quorum(&self) -> bool {
        let alive = (0..self.nodes.len()).filter(|node| self.nodes[*node].server && self.takes_part(*node)).count();
        alive * 2 > self.servers() && self.now >= self.election
    }

    pub(super) fn count_missing(&mut self) {
        let mut down = 0;
        for node in 0..self.nodes.len() {
            let here = self.takes_part(node);
            let since = &mut self.nodes[node].missing;
            *since = match here {
                true => Millis::MAX,
                false => (*since).min(self.now),
            };
            down += usize::from(!here);
        }
        self.most_down = self.most_down.max(down);
    }

    /// The answer to a question.
    pub(super) fn serve(&mut self, node: usize, question: &Question, seen: &mut Coverage) -> Result<Reply, Verdict> {
        let refused = || Reply::Failed(String::new());
        match question {
            Question::Local => Ok(Reply::Local(Box::new(self.local(node)))),
            Question::Do(effect) if super::is_local(question) => self.on_card(node, effect, seen),
            // Consul's maintenance is the business of the node's own agent.
            Question::Do(Effect::MaintenanceOn | Effect::MaintenanceOff) => {
                if !self.takes_part(node) {
                    return Ok(refused());
                }
                self.nodes[node].maintenance = *question == Question::Do(Effect::MaintenanceOn);
                Ok(Reply::Done)
            }
            _ if !self.takes_part(node) => Ok(refused()),
            Question::Cluster => Ok(Reply::Cluster(Box::new(self.cluster(node)))),
            _ if !self.has_quorum() => {
                seen.add("no quorum");
                Ok(refused())
            }
            Question::Board => Ok(Reply::Board(Box::new(self.board()))),
            Question::Do(effect) => Ok(self.in_cluster(node, effect, seen)),
        }
    }

    fn board(&self) -> Board {
        Board {
            version: (self.index, 0),
            lock: match &self.lock {
                None => Holder::Nobody,
                Some((index, lock)) => Holder::Node(*index, lock.clone()),
            },
            stop: self.stop.map(|_| String::new()),
            bad: self.bad.iter().cloned().collect(),
            wishes: self
                .wishes
                .iter()
                .map(|(node, wish)| (self.nodes[*node].settings.node.clone(), wish.clone()))
                .collect::<BTreeMap<_, _>>(),
        }
    }

    fn cluster(&mut self, number: usize) -> Cluster {
        let alive: Vec<usize> = (0..self.nodes.len()).filter(|node| self.takes_part(*node)).collect();
        let servers: Vec<usize> = (0..self.nodes.len()).filter(|node| self.nodes[*node].server).collect();
        let here = servers.iter().filter(|node| alive.contains(node)).count();
        let quorum = servers.len() / 2 + 1;
        if !self.takes_part(self.leader) || !self.nodes[self.leader].server {
            self.leader = servers.iter().copied().find(|node| alive.contains(node)).unwrap_or(0);
        }
        let pool = Servers {
            leader: self.has_quorum(),
            voters: servers.len() as u32,
            missing: servers
                .iter()
                .filter(|node| !alive.contains(node))
                .map(|node| self.nodes[*node].settings.node.clone())
                .collect(),
            tolerance: Some(here.saturating_sub(quorum) as u32),
        };
        let node = &self.nodes[number];
        let kind = self.kinds[super::number(node.card.running)];
        let raft = node.server.then_some(Raft { leads: self.leader == number, applied: self.index, in_touch: true });
        let placing = match &node.placing {
            Placing::Draining(whose) if self.now >= node.drained => Placing::Ineligible(*whose),
            placing => placing.clone(),
        };
        Cluster {
            consul: pool.clone(),
            nomad: Some(pool),
            server: node.server,
            alive: alive.iter().map(|node| self.nodes[*node].settings.node.clone()).collect(),
            member: true,
            consul_raft: raft,
            nomad_raft: raft.filter(|_| kind != Kind::BrokenNomad),
            nomad_well: kind != Kind::BrokenNomad,
            placing,
            maintenance: if node.maintenance { Maintenance::On(Whose::Ours) } else { Maintenance::Off },
            targets: BTreeSet::from(["node".to_owned()]),
            unseen: (!self.seen).then(|| MARK.to_owned()),
        }
    }

    fn in_cluster(&mut self, number: usize, effect: &Effect, seen: &mut Coverage) -> Reply {
        self.index += 1;
        let index = self.index;
        let held = self.lock.as_ref().map_or(0, |(index, _)| *index);
        match effect {
            Effect::Wish(wish) => {
                seen.add(match wish.turn {
                    Turn::Canary => "turn: canary",
                    Turn::Client => "turn: client",
                    Turn::Follower => "turn: follower",
                    Turn::Leader => "turn: leader",
                });
                self.wishes.retain(|(node, _)| *node != number);
                self.wishes.push((number, wish.clone()));
            }
            Effect::Unwish => self.wishes.retain(|(node, _)| *node != number),
            Effect::Lock(lock) => {
                if self.lock.is_some() {
                    seen.add("lock raced");
                    return Reply::Written(false);
                }
                let turn = self.wishes.iter().find(|(node, _)| *node == number).map(|(_, wish)| wish.turn);
                let earlier = |wish: &Turn| turn.is_some_and(|turn| *wish < turn);
                if self.wishes.iter().any(|(node, wish)| earlier(&wish.turn) && self.takes_part(*node)) {
                    seen.add("turn passed over");
                }
                self.lock = Some((index, Lock::clone(lock)));
                return Reply::Written(true);
            }
            Effect::Advance(cas, lock) => {
                if *cas != held {
                    return Reply::Written(false);
                }
                self.lock = Some((index, Lock::clone(lock)));
                return Reply::Written(true);
            }
            Effect::Unlock(cas) => {
                if *cas != held {
                    return Reply::Written(false);
                }
                self.lock = None;
                return Reply::Written(true);
            }
            Effect::Transfer if self.dice.below(2) == 0 => return Reply::Failed("no such thing".to_owned()),
            Effect::Transfer => self.leader = (self.leader + 1) % self.servers(),
            Effect::Drain => {
                let takes = self.dice.below(60_000);
                let node = &mut self.nodes[number];
                node.placing = Placing::Draining(Whose::Ours);
                node.drained = self.now + takes;
            }
            Effect::Eligible => self.nodes[number].placing = Placing::Eligible,
            Effect::Publish(generation, bad) => {
                seen.add("published");
                if !self.bad.iter().any(|(known, _)| known == generation) {
                    self.bad.push((*generation, (**bad).clone()));
                }
                self.stop.get_or_insert(self.now);
            }
            _ => {}
        }
        Reply::Done
    }

    /// What a node does by itself; here the invariants are.
    fn on_card(&mut self, node: usize, effect: &Effect, seen: &mut Coverage) -> Result<Reply, Verdict> {
        let card = &mut self.nodes[node].card;
        match effect {
            Effect::Begin(errand) => card.errand = Some((**errand).clone()),
            Effect::End => card.errand = None,
            Effect::Condemn(generation, _) if card.armed == Some(*generation) => {
                return Err(broken("just", format!("n{node} condemns what has not started yet")));
            }
            Effect::Condemn(generation, reason) => condemn(&mut card.ended, *generation, reason),
            Effect::Commit(generation) => {
                let running = number(card.running);
                if !card.on_trial || card.running != *generation {
                    return Ok(Reply::Failed("it is not on trial".to_owned()));
                }
                card.on_trial = false;
                card.good = card.running;
                // What was staged meanwhile is another one, and still wanted.
                card.staged = card.staged.filter(|staged| staged.generation != *generation);
                card.ended.retain(|ended| ended.generation != *generation);
                self.nodes[node].on_purpose = false;
                seen.add("kept");
                if self.kinds[running] != Kind::Good {
                    return Err(broken("gate", format!("n{node} keeps what is {:?}", self.kinds[running])));
                }
            }
            Effect::RollBack(generation, reason) => {
                seen.add("went back at the gate");
                condemn(&mut card.ended, *generation, reason);
                self.reboot(node);
            }
            Effect::Try(generation) => return self.start_trial(node, *generation, seen),
            _ => {}
        }
        Ok(Reply::Done)
    }

    fn start_trial(&mut self, node: usize, generation: Digest, seen: &mut Coverage) -> Result<Reply, Verdict> {
        let which = number(generation);
        let again = self.nodes[node].card.armed == Some(generation);
        if again && self.nodes[node].power != Power::On {
            // It shuts down already.
            return Ok(Reply::Done);
        }
        if !again && self.nodes[node].card.staged.is_none_or(|staged| staged.generation != generation) {
            return Ok(Reply::Failed("it is not on the card".to_owned()));
        }
        let others = self.nodes.iter().enumerate().filter(|(other, at)| *other != node && at.on_purpose && !at.dead);
        if let Some((other, _)) = others.clone().next() {
            return Err(broken("one", format!("n{node} reboots while n{other} is down or on trial")));
        }
        if self.nodes[node].server {
            let long_ago = |since: Millis| since <= self.now.saturating_sub(NEWS);
            let missing = self.nodes.iter().enumerate();
            let mut missing = missing.filter(|(other, at)| *other != node && at.server && long_ago(at.missing));
            if let Some((other, _)) = missing.next() {
                return Err(broken("servers", format!("n{node} reboots while n{other} is missing")));
            }
            if self.servers() < 3 {
                seen.add("with an outage");
                if self.nodes[node].card.staged.is_none_or(|staged| !staged.accept_outage) {
                    return Err(broken("servers", format!("n{node} cannot be spared")));
                }
            }
        }
        if self.stop.is_some_and(|since| since <= self.now.saturating_sub(NEWS)) && !again {
            return Err(broken("stop", format!("n{node} starts, and the rollout is stopped")));
        }
        if self.kinds[which] != Kind::Good && self.tried_by[which].iter().any(|other| *other != node) {
            return Err(broken("bad-once", format!("n{node} tries what n{} has tried", self.tried_by[which][0])));
        }
        self.tried_by[which].push(node);
        let at = &mut self.nodes[node];
        if !again {
            at.tries[which] += 1;
            if at.tries[which] > 1 + self.pardons[which] {
                return Err(broken("once", format!("n{node} tries {which} for the {}th time", at.tries[which])));
            }
        }
        if at.card.ended.iter().all(|ended| ended.generation != generation) {
            at.card.ended.push(Ended { generation, reason: None });
        }
        if !self.calm && self.dice.below(30) == 0 {
            seen.add("power cut in the boot pointer");
            self.nodes[node].on_purpose = true;
            self.turn_off(node, 20_000);
            return Ok(Reply::Failed(String::new()));
        }
        at.card.armed = Some(digest(which));
        self.reboot(node);
        Ok(Reply::Done)
    }
}

fn condemn(ended: &mut Vec<Ended>, generation: Digest, reason: &str) {
    match ended.iter_mut().find(|ended| ended.generation == generation) {
        Some(ended) => drop(ended.reason.get_or_insert_with(|| reason.to_owned())),
        None => ended.push(Ended { generation, reason: Some(reason.to_owned()) }),
    }
}
