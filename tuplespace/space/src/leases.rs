//! When tuples end that live on a lease.
//!
//! Ends are kept in order, so that what is due is found without a search. They
//! count from a base that moves: an outage gives every lease the same time, and
//! adding it to the base costs the same for one lease as for a million.

use std::collections::BTreeMap;

use crate::{SpaceName, TupleId};

/// When a lease ends, in milliseconds of agreed time less what was granted to all; wide
/// enough for whatever that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct End(i128);

/// Where a tuple lies: its space, and the number of its fields.
pub(crate) type Place = (SpaceName, usize);

/// All leases, by their end and then by age of the tuple.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    now_ms: u64,
    /// Added to every end.
    granted_ms: u64,
    ends: BTreeMap<(End, TupleId), Place>,
}

impl Leases {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Agreed time.
    pub(crate) const fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The end of a lease of so long that begins now.
    pub(crate) fn end_after(&self, lease_ms: u64) -> End {
        self.end_at(self.now_ms.saturating_add(lease_ms))
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

    /// The earliest end.
    pub(crate) fn first_ms(&self) -> Option<u64> {
        let ((end, _), _) = self.ends.first_key_value()?;
        Some(self.due_ms(*end))
    }

    pub(crate) fn insert(&mut self, end: End, id: TupleId, place: Place) {
        self.ends.insert((end, id), place);
    }

    /// Says whether it was there.
    pub(crate) fn remove(&mut self, end: End, id: TupleId) -> bool {
        self.ends.remove(&(end, id)).is_some()
    }

    /// Moves every end.
    pub(crate) const fn extend(&mut self, by_ms: u64) {
        self.granted_ms = self.granted_ms.saturating_add(by_ms);
    }

    /// Agreed time is `now_ms` from here on.
    pub(crate) fn advance(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
    }

    /// The lease that ended first, of those that have.
    pub(crate) fn over(&self) -> Option<(TupleId, Place)> {
        let ((end, id), place) = self.ends.first_key_value()?;
        (self.due_ms(*end) <= self.now_ms).then(|| (*id, place.clone()))
    }
}
