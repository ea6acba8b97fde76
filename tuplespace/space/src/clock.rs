//! Agreed time, and the ends of what does not last: leases and waits.
//!
//! Ends count from a base that moves: an outage gives all of them the same time, and adding
//! it to the base costs the same for one as for a million.

/// When a lease or a wait ends, in milliseconds of agreed time less what was granted to all;
/// wide enough for whatever that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct End(i128);

/// Agreed time as it was told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    now_ms: u64,
    /// Added to every end.
    granted_ms: u64,
}

impl Clock {
    /// Agreed time.
    pub(crate) const fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The end of what begins now and goes on for so long.
    pub(crate) fn end_after(&self, ms: u64) -> End {
        self.end_at(self.now_ms.saturating_add(ms))
    }

    /// The end that is at this agreed time.
    pub(crate) fn end_at(&self, due_ms: u64) -> End {
        End(i128::from(due_ms) - i128::from(self.granted_ms))
    }

    /// The agreed time of an end.
    pub(crate) fn due_ms(&self, end: End) -> u64 {
        let due_ms = end.0.saturating_add(i128::from(self.granted_ms));
        u64::try_from(due_ms).unwrap_or(u64::MAX)
    }

    /// Whether it has come.
    pub(crate) fn is_over(&self, end: End) -> bool {
        self.due_ms(end) <= self.now_ms
    }

    /// Moves every end.
    pub(crate) const fn extend(&mut self, by_ms: u64) {
        self.granted_ms = self.granted_ms.saturating_add(by_ms);
    }

    /// Agreed time is `now_ms` from here on, and never earlier than before.
    pub(crate) fn advance(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
    }
}
