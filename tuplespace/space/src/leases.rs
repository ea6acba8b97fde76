//! What the lives of tuples hang on: an end in time, or an owner. Both are found in order,
//! without a search.

use std::collections::BTreeMap;

use crate::{
    SpaceName, TupleId,
    clock::{Clock, End},
};

/// What ends a tuple that nobody takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Its time.
    Until(End),
    /// The end of its owner.
    Owner(u64),
}

/// Where a tuple lies.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) space: SpaceName,
    /// The number of its fields.
    pub(crate) arity: usize,
    pub(crate) id: TupleId,
}

/// All tuples that do not live for ever.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    /// By their end and then by age.
    ends: BTreeMap<(End, TupleId), Place>,
    /// By their owner and then by age.
    owned: BTreeMap<(u64, TupleId), Place>,
}

impl Leases {
    /// Those that end at a time.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The earliest end.
    pub(crate) fn first(&self) -> Option<End> {
        let ((end, _), _) = self.ends.first_key_value()?;
        Some(*end)
    }

    pub(crate) fn insert(&mut self, hold: Hold, place: Place) {
        match hold {
            Hold::Until(end) => self.ends.insert((end, place.id), place),
            Hold::Owner(owner) => self.owned.insert((owner, place.id), place),
        };
    }

    /// Says whether it was there.
    pub(crate) fn remove(&mut self, hold: Hold, id: TupleId) -> bool {
        match hold {
            Hold::Until(end) => self.ends.remove(&(end, id)).is_some(),
            Hold::Owner(owner) => self.owned.remove(&(owner, id)).is_some(),
        }
    }

    /// The lease that ended first, of those that have.
    pub(crate) fn over(&self, clock: &Clock) -> Option<Place> {
        let ((end, _), place) = self.ends.first_key_value()?;
        clock.is_over(*end).then(|| place.clone())
    }

    /// The oldest tuple of an owner.
    pub(crate) fn of_owner(&self, owner: u64) -> Option<Place> {
        let own = (owner, TupleId(0))..=(owner, TupleId(u64::MAX));
        self.owned.range(own).next().map(|(_, place)| place.clone())
    }

    /// The owner of each tuple that has one.
    pub(crate) fn owners(&self) -> impl Iterator<Item = u64> {
        self.owned.keys().map(|(owner, _)| *owner)
    }
}
