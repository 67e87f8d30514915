//! Times and their medians.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Wall times of one thing done several times.
#[derive(Clone, Debug)]
pub(super) struct Times(Vec<Duration>);

impl Times {
    /// Does it `count` times; the closure says how long the part of it took that counts.
    pub(super) fn of(count: usize, mut once: impl FnMut(usize) -> Result<Duration>) -> Result<Self> {
        Ok(Self::new((0..count).map(&mut once).collect::<Result<Vec<_>>>()?))
    }

    /// Of times that were taken.
    pub(super) fn new(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    /// The middle one; of an even number the slower of the two.
    pub(super) fn median(&self) -> Duration {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

/// How long something takes.
pub(super) fn wall(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_the_sorted() -> Result<()> {
        let seconds = [9, 1, 5];
        let times = Times::of(3, |index| Ok(Duration::from_secs(seconds[index])))?;
        assert_eq!((times.median(), times.count()), (Duration::from_secs(5), 3));
        Ok(())
    }
}
