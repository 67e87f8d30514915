//! The order of steps, and which of them are to be made.

use std::collections::{BTreeMap, BTreeSet};

use super::key::Key;
use super::{Derivation, Plan, PlanError};

/// What becomes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// Its output is there.
    There,
    /// It is to be made.
    Make,
    /// Its output is not there, and nobody needs it: those who would are there.
    Spare,
}

impl Plan {
    /// The plan of these steps, each moved behind its inputs; otherwise they stay in order.
    ///
    /// # Errors
    /// When a step wants what none makes, or steps want each other.
    pub fn new(steps: Vec<Derivation>) -> Result<Self, PlanError> {
        let made: BTreeSet<Key> = steps.iter().map(|step| step.key).collect();
        for step in &steps {
            if let Some(missing) = step.inputs.iter().find(|input| !made.contains(input)) {
                return Err(PlanError::MissingInput { step: step.to_string(), input: *missing });
            }
        }
        let mut done: BTreeSet<Key> = BTreeSet::new();
        let (mut ordered, mut waiting) = (Vec::with_capacity(steps.len()), steps);
        while !waiting.is_empty() {
            let before = ordered.len();
            let mut still = Vec::new();
            for step in waiting {
                if step.inputs.iter().all(|input| done.contains(input)) {
                    done.insert(step.key);
                    ordered.push(step);
                } else {
                    still.push(step);
                }
            }
            if ordered.len() == before {
                return Err(PlanError::Cycle { steps: still.iter().map(ToString::to_string).collect() });
            }
            waiting = still;
        }
        Ok(Self { steps: ordered })
    }

    /// The steps, each behind its inputs.
    pub fn steps(&self) -> &[Derivation] {
        &self.steps
    }

    /// The step with this key.
    pub fn step(&self, key: &Key) -> Option<&Derivation> {
        self.steps.iter().find(|step| step.key == *key)
    }

    /// What of the plan these images need.
    pub fn only(&self, images: &BTreeSet<Key>) -> Self {
        let needed: BTreeSet<Key> = images.iter().flat_map(|image| self.closure(image)).collect();
        Self { steps: self.steps.iter().filter(|step| needed.contains(&step.key)).cloned().collect() }
    }

    /// The steps that make images, in the order in which they were wanted.
    pub fn images(&self) -> impl Iterator<Item = &Derivation> {
        self.steps.iter().filter(|step| step.image().is_some())
    }

    /// What becomes of each step, in order, when the images are wanted: a step is made when somebody needs it and
    /// `is_there` does not find its output.
    pub fn states(&self, is_there: &dyn Fn(&Derivation) -> bool) -> Vec<StepState> {
        let mut needed: BTreeSet<Key> = self.images().map(|image| image.key).collect();
        let mut states = vec![StepState::Spare; self.steps.len()];
        // Whoever needs a step stands behind it.
        for (step, state) in self.steps.iter().zip(&mut states).rev() {
            if is_there(step) {
                *state = StepState::There;
            } else if needed.contains(&step.key) {
                *state = StepState::Make;
                needed.extend(&step.inputs);
            }
        }
        states
    }

    /// The keys of the steps that `step` stands on, itself included.
    pub fn closure(&self, step: &Key) -> BTreeSet<Key> {
        let by_key: BTreeMap<Key, &Derivation> = self.steps.iter().map(|step| (step.key, step)).collect();
        let mut found = BTreeSet::new();
        let mut next = vec![*step];
        while let Some(key) = next.pop() {
            if found.insert(key)
                && let Some(step) = by_key.get(&key)
            {
                next.extend(&step.inputs);
            }
        }
        found
    }
}
