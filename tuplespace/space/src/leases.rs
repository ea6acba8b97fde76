//! When tuples end that live on a lease, in order, so that what is due is found without a search.

use std::collections::BTreeMap;

use crate::{
    SpaceName, TupleId,
    clock::{Clock, End},
};

/// Where a tuple lies: its space, and the number of its fields.
pub(crate) type Place = (SpaceName, usize);

/// All leases, by their end and then by age of the tuple.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    ends: BTreeMap<(End, TupleId), Place>,
}

impl Leases {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The earliest end.
    pub(crate) fn first(&self) -> Option<End> {
        let ((end, _), _) = self.ends.first_key_value()?;
        Some(*end)
    }

    pub(crate) fn insert(&mut self, end: End, id: TupleId, place: Place) {
        self.ends.insert((end, id), place);
    }

    /// Says whether it was there.
    pub(crate) fn remove(&mut self, end: End, id: TupleId) -> bool {
        self.ends.remove(&(end, id)).is_some()
    }

    /// The lease that ended first, of those that have.
    pub(crate) fn over(&self, clock: &Clock) -> Option<(TupleId, Place)> {
        let ((end, id), place) = self.ends.first_key_value()?;
        clock.is_over(*end).then(|| (*id, place.clone()))
    }
}
