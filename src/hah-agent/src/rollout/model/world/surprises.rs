//! What happens to the world: power, networks, leaders, clocks, and a person.

use hah_node::rollout::{Bad, Phase, Turn};

use super::card::{Card, Power};
use super::{Coverage, Kind, Schedule, digest, number};
use crate::rollout::view::Placing;

impl Schedule {
    /// Something happens.
    pub(super) fn surprise(&mut self, seen: &mut Coverage) {
        let which = self.dice.below(self.nodes.len() as u64) as usize;
        // What happens to the node that is at it finds most.
        let holder =
            self.lock.as_ref().and_then(|(_, lock)| self.nodes.iter().position(|node| node.settings.node == lock.node));
        let target = if self.dice.below(2) == 0 { holder.unwrap_or(which) } else { which };
        match self.dice.below(20) {
            0..=3 => self.crash(target, holder, seen),
            4..=6 => self.cut_power(target, seen),
            7 if self.dice.below(2) == 0 && !self.nodes[target].dead => {
                if holder == Some(target) {
                    seen.add("holder died for ever");
                }
                self.kill_agent(target);
                self.nodes[target].dead = true;
                self.nodes[target].power = Power::Dead;
                self.note(|| format!("n{target} dies for ever"));
            }
            8 | 9 => {
                self.election = self.now + self.dice.below(40_000);
                self.leader = self.dice.below(self.servers() as u64) as usize;
                self.note(|| "an election".to_owned());
            }
            10 => {
                let cut = self.dice.below(120_000);
                self.nodes[which].cut = self.now + cut;
                self.note(|| format!("n{which} is cut off for {cut} ms"));
            }
            11 | 12 => {
                self.stop = match self.stop {
                    None => Some(self.now),
                    Some(_) => None,
                };
                self.index += 1;
                let stop = self.stop.is_some();
                self.note(|| format!("stopped: {stop}"));
            }
            13 => {
                self.nodes[which].skew = [0, 0, -2_000_000_000, -5_000, 4_000, 900_000][self.dice.below(6) as usize];
            }
            14 => self.seen = !self.seen,
            15 | 16 => {
                let generation = 1 + self.dice.below(2) as usize;
                if self.nodes[target].card.staged.is_some() {
                    seen.add("restaged");
                }
                self.stage(target, generation);
            }
            17 => self.break_dead_lock(seen),
            18 if self.dice.below(2) == 0 => {
                let node = &mut self.nodes[which];
                // With something begun it would be as if it were dead.
                if holder != Some(which) && node.power == Power::On && !node.on_purpose && node.card.errand.is_none() {
                    seen.add("an agent is mute");
                    node.mute = true;
                    self.kill_agent(which);
                    // What it had asked for is forgotten with it.
                    self.flights.retain(|flight| flight.node != which);
                    self.note(|| format!("n{which}'s agent does not start any more"));
                }
            }
            _ => {}
        }
    }

    fn crash(&mut self, node: usize, holder: Option<usize>, seen: &mut Coverage) {
        let at = &self.nodes[node];
        if !matches!(at.power, Power::On | Power::Stopping(_)) || at.agent.is_none() {
            return;
        }
        if holder == Some(node) {
            seen.add("agent killed with the lock");
        }
        self.note(|| format!("n{node}'s agent is killed"));
        // systemd starts it again at once, also while the node shuts down slowly.
        self.start_agent(node);
    }

    fn cut_power(&mut self, node: usize, seen: &mut Coverage) {
        let at = &self.nodes[node];
        match at.power {
            Power::Dead => return,
            Power::Stopping(_) | Power::Off(_) => seen.add("power cut while rebooting"),
            _ if at.card.on_trial => seen.add("power cut on trial"),
            _ => {}
        }
        let back = 3_000 + self.dice.below(120_000);
        self.turn_off(node, back);
        self.note(|| format!("n{node} loses power"));
    }

    /// `rollout break`: the node that has the lock is dead, and what it tried counts as bad.
    fn break_dead_lock(&mut self, seen: &mut Coverage) {
        let Some((_, lock)) = self.lock.clone() else { return };
        if !self.lock_is_idle() {
            return;
        }
        seen.add("lock broken");
        self.note(|| format!("the lock of {} is broken", lock.node));
        self.index += 1;
        self.lock = None;
        if lock.phase == Phase::Trial && !self.bad.iter().any(|(known, _)| *known == lock.generation) {
            let bad = Bad { node: lock.node, reason: "its node died".to_owned(), at: 0 };
            self.bad.push((lock.generation, bad));
            self.stop.get_or_insert(self.now);
        }
    }

    /// From now on nothing fails but what is bad.
    pub(super) fn begin_calm(&mut self) {
        self.note(|| "calm".to_owned());
        self.calm = true;
        self.seen = true;
        self.election = 0;
        for number in 0..self.nodes.len() {
            let node = &mut self.nodes[number];
            node.cut = 0;
            node.skew = 0;
            // A server that has died is replaced, by a card with the same name.
            if node.dead && node.server {
                node.card = Card::flashed();
                node.placing = Placing::Eligible;
                node.maintenance = false;
                node.on_purpose = false;
                node.dead = false;
                // The lock of the one that has died is not the new one's.
                if self.lock.as_ref().is_some_and(|(_, lock)| lock.node == self.nodes[number].settings.node) {
                    self.nodes[number].dead = true;
                    self.break_dead_lock(&mut Coverage::default());
                    self.nodes[number].dead = false;
                }
                self.flights.retain(|flight| flight.node != number);
                self.nodes[number].power = Power::Off(self.now + 1_000);
            }
        }
    }

    /// A person looks at what only a person may decide, while nobody is at it.
    pub(super) fn clear_up(&mut self, seen: &mut Coverage) {
        self.break_dead_lock(seen);
        // Nobody goes before a canary that does nothing but the person who says that it is none any more.
        let mute: Vec<bool> = self.nodes.iter().map(|node| node.mute).collect();
        self.wishes.retain(|(node, wish)| !mute[*node] || wish.turn != Turn::Canary);
        let settled = self.nodes.iter().all(|node| {
            node.dead || node.mute || node.card.errand.is_none() && !node.on_purpose && node.power == Power::On
        });
        if self.lock.is_some() || !settled {
            return;
        }
        for generation in 1..self.kinds.len() {
            let wronged: Vec<usize> = (0..self.nodes.len())
                .filter(|node| {
                    let node = &self.nodes[*node];
                    !node.dead
                        && !node.mute
                        && node.card.ended.iter().any(|ended| ended.generation == digest(generation))
                })
                .collect();
            let listed = self.bad.iter().any(|(bad, _)| *bad == digest(generation));
            if self.kinds[generation] != Kind::Good || !listed && wronged.is_empty() {
                continue;
            }
            seen.add("pardoned");
            self.note(|| format!("generation {generation} is given another chance"));
            self.pardons[generation] += 1;
            self.bad.retain(|(bad, _)| *bad != digest(generation));
            for node in wronged {
                let ended = &mut self.nodes[node].card.ended;
                ended.retain(|ended| number(ended.generation) != generation);
                if self.nodes[node].card.staged.is_none() {
                    self.stage(node, generation);
                }
            }
            self.index += 1;
        }
        if self.stop.take().is_some() {
            self.index += 1;
        }
    }
}
