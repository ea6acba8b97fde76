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
    #[expect(
        clippy::box_collection,
        reason = "most postings have none, and entries of an index should be small"
    )]
    younger: Option<Box<BTreeSet<TupleId>>>,
}

impl Posting {
    pub(crate) const fn new(id: TupleId) -> Self {
        Self {
            oldest: id,
            younger: None,
        }
    }

    pub(crate) fn len(&self) -> u64 {
        1 + self
            .younger
            .as_ref()
            .map_or(0, |younger| younger.len() as u64)
    }

    pub(crate) const fn oldest(&self) -> TupleId {
        self.oldest
    }

    pub(crate) fn insert(&mut self, id: TupleId) {
        let younger = id.max(self.oldest);
        if id != self.oldest {
            self.oldest = self.oldest.min(id);
            self.younger.get_or_insert_default().insert(younger);
        }
    }

    /// Removes `id`; says whether it was there, and whether it was the last,
    /// in which case the posting must go.
    pub(crate) fn remove(&mut self, id: TupleId) -> Removal {
        let Some(younger) = &mut self.younger else {
            return if id == self.oldest {
                Removal::Last
            } else {
                Removal::Absent
            };
        };
        if id == self.oldest {
            if let Some(next) = younger.pop_first() {
                self.oldest = next;
            }
        } else if !younger.remove(&id) {
            return Removal::Absent;
        }
        if younger.is_empty() {
            self.younger = None;
        }
        Removal::Done
    }

    /// The oldest id after `id`, or of all.
    pub(crate) fn next(&self, after: Option<TupleId>) -> Option<TupleId> {
        match after {
            Some(id) if self.oldest <= id => {
                let mut later = self.younger.as_ref()?.range((Excluded(id), Unbounded));
                later.next().copied()
            }
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
