//! Who needs whom: the modules in an order where each stands before what it needs.

use std::collections::{BTreeMap, BTreeSet};

use super::{DepmodError, Module, names};

/// Direct dependencies and the place of each module in the order.
pub(super) struct Graph {
    /// By module: the modules that export its imports, in the order of its imports.
    needs: Vec<Vec<usize>>,
    /// By module: its place; users have lower ones than what they use.
    places: Vec<usize>,
}

impl Graph {
    /// The graph of `sorted` modules.
    ///
    /// The order is the one that depmod's work list gives, since `modules.dep` shows it: modules nobody uses are taken
    /// from the end of the list, and what loses its last user joins the list there.
    pub(super) fn new(sorted: &[Module<'_>], exports: &BTreeMap<&str, usize>) -> Result<Self, DepmodError> {
        let mut needs: Vec<Vec<usize>> = vec![Vec::new(); sorted.len()];
        let mut users = vec![0usize; sorted.len()];
        for (index, module) in sorted.iter().enumerate() {
            let mut seen = BTreeSet::new();
            for symbol in &module.facts.imports {
                // PowerPC marks function entries with a dot.
                let symbol = symbol.strip_prefix('.').unwrap_or(symbol);
                if let Some(owner) = exports.get(symbol)
                    && seen.insert(*owner)
                {
                    needs[index].push(*owner);
                    users[*owner] += 1;
                }
            }
        }
        let mut ready: Vec<usize> = (0..sorted.len()).filter(|index| users[*index] == 0).collect();
        let mut places = vec![usize::MAX; sorted.len()];
        let mut placed = 0;
        while let Some(index) = ready.pop() {
            places[index] = placed;
            placed += 1;
            for needed in &needs[index] {
                users[*needed] -= 1;
                if users[*needed] == 0 {
                    ready.push(*needed);
                }
            }
        }
        if placed < sorted.len() {
            let circle = (0..sorted.len()).filter(|index| places[*index] == usize::MAX).collect();
            return Err(DepmodError::Cycle(names(sorted, &circle)));
        }
        Ok(Self { needs, places })
    }

    /// Everything that `module` needs, directly or not, users first.
    pub(super) fn all_needed(&self, module: usize) -> Vec<usize> {
        let mut seen = BTreeSet::new();
        let mut left: Vec<usize> = self.needs[module].clone();
        while let Some(next) = left.pop() {
            if seen.insert(next) {
                left.extend(&self.needs[next]);
            }
        }
        let mut all: Vec<usize> = seen.into_iter().collect();
        all.sort_by_key(|index| self.places[*index]);
        all
    }
}
