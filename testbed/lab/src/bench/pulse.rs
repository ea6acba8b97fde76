//! Counts what completes, and measures the longest time in which nothing did.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Not yet: no time of a run is that late.
const NEVER: u64 = u64::MAX;

/// How many operations had completed at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Since the first sample.
    pub(crate) at: Duration,
    /// Since the first sample.
    pub(crate) completed: u64,
}

/// The completions of all clients as one series.
#[derive(Debug)]
pub(crate) struct Pulse {
    begun: Instant,
    completed: AtomicU64,
    /// Whether gaps count.
    watched: AtomicBool,
    /// The last completion, in microseconds since the beginning.
    last: AtomicU64,
    longest: AtomicU64,
    /// The first completion after the mark; the mark itself until there is one.
    marked: AtomicU64,
    resumed: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            completed: AtomicU64::new(0),
            watched: AtomicBool::new(false),
            last: AtomicU64::new(0),
            longest: AtomicU64::new(0),
            marked: AtomicU64::new(NEVER),
            resumed: AtomicU64::new(NEVER),
        }
    }
}

impl Pulse {
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(NEVER)
    }

    /// From now on gaps count.
    pub(crate) fn watch(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
        self.watched.store(true, Ordering::Relaxed);
    }

    /// Gaps count no more; one that lasts until now did.
    pub(crate) fn unwatch(&self) {
        self.beat_at(self.now());
        self.watched.store(false, Ordering::Relaxed);
    }

    /// The longest time without a completion until now, which is measured anew from here.
    pub(crate) fn restart(&self) -> Duration {
        self.beat_at(self.now());
        Duration::from_micros(self.longest.swap(0, Ordering::Relaxed))
    }

    /// Operations that completed since the beginning.
    pub(crate) fn completed(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }

    /// An operation completed.
    pub(crate) fn beat(&self) {
        self.completed.fetch_add(1, Ordering::Relaxed);
        let now = self.now();
        self.beat_at(now);
        if now >= self.marked.load(Ordering::Relaxed) {
            self.resumed.fetch_min(now, Ordering::Relaxed);
        }
    }

    fn beat_at(&self, now: u64) {
        let before = self.last.swap(now, Ordering::Relaxed);
        if self.watched.load(Ordering::Relaxed) {
            let gap = now.saturating_sub(before);
            self.longest.fetch_max(gap, Ordering::Relaxed);
        }
    }

    /// The longest time without a completion.
    #[cfg(test)]
    fn longest(&self) -> Duration {
        Duration::from_micros(self.longest.load(Ordering::Relaxed))
    }

    /// The next completion is of interest.
    pub(crate) fn mark(&self) {
        self.resumed.store(NEVER, Ordering::Relaxed);
        self.marked.store(self.now(), Ordering::Relaxed);
    }

    /// How long after the mark an operation completed, if one did.
    pub(crate) fn resumed_after(&self) -> Option<Duration> {
        let resumed = self.resumed.load(Ordering::Relaxed);
        let marked = self.marked.load(Ordering::Relaxed);
        (resumed != NEVER).then(|| Duration::from_micros(resumed.saturating_sub(marked)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_counts_while_it_is_watched() {
        let pulse = Pulse::default();
        pulse.beat_at(5_000_000);
        pulse.last.store(1_000, Ordering::Relaxed);
        pulse.watched.store(true, Ordering::Relaxed);
        for at in [2_000, 9_000, 10_000] {
            pulse.beat_at(at);
        }
        assert_eq!(pulse.longest(), Duration::from_millis(7));
        pulse.watched.store(false, Ordering::Relaxed);
        pulse.beat_at(90_000);
        assert_eq!(pulse.longest(), Duration::from_millis(7));
    }

    #[test]
    fn the_longest_gap_is_measured_anew_after_a_restart() {
        let pulse = Pulse::default();
        pulse.watched.store(true, Ordering::Relaxed);
        pulse.beat_at(9_000_000);
        assert!(pulse.restart() >= Duration::from_secs(9));
        assert_eq!((pulse.longest(), pulse.completed()), (Duration::ZERO, 0));
        pulse.beat();
        assert_eq!(pulse.completed(), 1);
    }

    #[test]
    fn the_first_completion_after_the_mark_is_told() {
        let pulse = Pulse::default();
        pulse.beat();
        assert_eq!(pulse.resumed_after(), None);
        pulse.mark();
        assert_eq!(pulse.resumed_after(), None);
        pulse.beat();
        let first = pulse.resumed_after();
        assert!(first.is_some());
        pulse.beat();
        assert_eq!(pulse.resumed_after(), first);
    }
}
