//! Computes when to dial again: exponential back-off with jitter.
//!
//! The pause doubles from the shortest to the longest and each is drawn from
//! its upper half, so that replicas that lost one peer together do not come
//! back together. The draw is a function of a seed: a test can repeat it.

use std::time::Duration;

/// A stream of pauses.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
    random: u64,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration, seed: u64) -> Self {
        Self {
            min,
            max,
            next: min,
            random: seed,
        }
    }

    /// The next pause: between half of the current step and all of it.
    pub(crate) fn pause(&mut self) -> Duration {
        let step = self.next;
        self.next = step.saturating_mul(2).min(self.max);
        let half = step / 2;
        let half_us = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
        let share = self.draw() % half_us.saturating_add(1);
        half + Duration::from_micros(share)
    }

    /// Starts over with the shortest step after a link that lived as long as the longest one:
    /// a link that dies young is no reason to hurry.
    pub(crate) fn after_link(&mut self, lived: Duration) {
        if lived >= self.max {
            self.next = self.min;
        }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): jitter needs no more.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_cap_within_their_halves_and_start_over() {
        let (min, max) = (Duration::from_millis(50), Duration::from_secs(2));
        for seed in 0..50 {
            let mut backoff = Backoff::new(min, max, seed);
            let mut step = min;
            for _ in 0..12 {
                let pause = backoff.pause();
                assert!(pause >= step / 2 && pause <= step, "{pause:?} of {step:?}");
                step = (step * 2).min(max);
            }
            backoff.after_link(max - min);
            assert!(backoff.pause() >= max / 2, "a short life changes nothing");
            backoff.after_link(max);
            assert!(backoff.pause() <= min);
        }
    }

    #[test]
    fn one_seed_gives_one_sequence_and_another_seed_another() {
        let draw = |seed| {
            let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2), seed);
            (0..8).map(|_| backoff.pause()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
