//! A budget: how many bytes of answers small messages of one party may bring about.
//!
//! A question of a few bytes may have an answer of megabytes. Whoever asks has a budget that is
//! used up by what it is sent and refills with time (a token bucket), so that asking more often
//! brings no more. A replica keeps one for each peer ([`crate::replica`]), its driver one for each
//! link of a client. Nothing is looked up, copied or encoded for whoever has used it up.

use crate::ids::Instant;

/// How much a party may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bytes that may be used at once, after a while without use.
    pub burst: u64,
    /// Bytes that come back every second, at least 1.
    pub per_second: u64,
}

/// What one party has used.
///
/// It may be overdrawn by the one answer that uses it up: an answer larger than what is left
/// would else never be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    rate: Rate,
    /// Bytes used and not come back yet.
    used: u64,
    at: Instant,
}

impl Budget {
    /// A budget of which nothing is used.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        let (used, at) = (0, Instant(0));
        Self { rate, used, at }
    }

    /// Brings back what the time since the last call is worth.
    pub fn refill(&mut self, now: Instant) {
        let per_second = u128::from(self.rate.per_second.max(1));
        let elapsed_us = u128::from(now.since_us(self.at));
        let back = elapsed_us * per_second / 1_000_000;
        let back = u64::try_from(back).unwrap_or(u64::MAX);
        if back >= self.used {
            (self.used, self.at) = (0, self.at.max(now));
        } else {
            // The rest, worth less than a byte, counts the next time.
            self.used -= back;
            let worth_us = u128::from(back) * 1_000_000 / per_second;
            self.at = self
                .at
                .after_us(u64::try_from(worth_us).unwrap_or(u64::MAX));
        }
    }

    /// Whether anything is left.
    #[must_use]
    pub const fn has_left(&self) -> bool {
        self.used < self.rate.burst
    }

    /// Uses so many bytes.
    pub fn charge(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.used = self.used.saturating_add(bytes);
    }

    /// When something is left again.
    #[must_use]
    pub fn due(&self) -> Instant {
        let over = self.used.saturating_sub(self.rate.burst).saturating_add(1);
        if self.has_left() {
            return self.at;
        }
        let us = (u128::from(over) * 1_000_000).div_ceil(u128::from(self.rate.per_second.max(1)));
        self.at.after_us(u64::try_from(us).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        burst: 1000,
        per_second: 100,
    };

    fn at(now_us: u64, budget: &mut Budget) -> bool {
        budget.refill(Instant(now_us));
        budget.has_left()
    }

    #[test]
    fn what_is_used_comes_back_with_time() {
        let mut budget = Budget::new(RATE);
        assert!(at(0, &mut budget));
        budget.charge(999);
        assert!(at(0, &mut budget), "a byte is left");
        budget.charge(501);
        assert!(!at(0, &mut budget));
        assert_eq!(budget.due(), Instant(5_010_000));
        assert!(!at(5_000_000, &mut budget));
        assert_eq!(budget.due(), Instant(5_010_000));
        assert!(at(5_010_000, &mut budget));
    }

    /// Steps follow each other in less time than a byte is worth.
    #[test]
    fn little_time_counts_as_well() {
        let mut budget = Budget::new(RATE);
        budget.charge(1100);
        (0..=1_010_000).step_by(1000).for_each(|now_us| {
            at(now_us, &mut budget);
        });
        assert!(at(1_010_000, &mut budget));
    }

    /// However long nothing is used, no more than the burst is saved up.
    #[test]
    fn nothing_is_saved_up_beyond_the_burst() {
        let mut budget = Budget::new(RATE);
        assert!(at(u64::MAX / 2, &mut budget));
        budget.charge(1000);
        assert!(!at(u64::MAX / 2, &mut budget));
    }
}
