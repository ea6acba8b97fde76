//! The ids of the tuples under one index key.

use std::{
    collections::BTreeSet,
    ops::Bound::{Excluded, Unbounded},
};

use crate::TupleId;

/// A set of ids that is never empty. Most hold one, which lies in place; the
/// oldest of many is at hand without a search.
#[derive(Debug)]
pub(crate) struct Posting {
    oldest: TupleId,
    younger: BTreeSet<TupleId>,
}

impl Posting {
    pub(crate) const fn new(id: TupleId) -> Self {
        Self {
            oldest: id,
            younger: BTreeSet::new(),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        1 + self.younger.len() as u64
    }

    pub(crate) const fn oldest(&self) -> TupleId {
        self.oldest
    }

    pub(crate) fn insert(&mut self, id: TupleId) {
        if id < self.oldest {
            self.younger.insert(self.oldest);
            self.oldest = id;
        } else if id > self.oldest {
            self.younger.insert(id);
        }
    }

    /// Removes `id`; says whether it was there, and whether it was the last,
    /// in which case the posting must go.
    pub(crate) fn remove(&mut self, id: TupleId) -> Removal {
        if id != self.oldest {
            return if self.younger.remove(&id) {
                Removal::Done
            } else {
                Removal::Absent
            };
        }
        match self.younger.pop_first() {
            Some(next) => {
                self.oldest = next;
                Removal::Done
            }
            None => Removal::Last,
        }
    }

    /// The oldest id after `id`, or of all.
    pub(crate) fn next(&self, after: Option<TupleId>) -> Option<TupleId> {
        match after {
            Some(id) if self.oldest <= id => self
                .younger
                .range((Excluded(id), Unbounded))
                .next()
                .copied(),
            _ => Some(self.oldest),
        }
    }
}

/// What removing an id from a posting did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    Absent,
    Done,
    Last,
}
