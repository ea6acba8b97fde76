//! The answer to an operation, with the votes for it.

use std::ops::Deref;

use bezant_bft::ids::{ReplicaId, SeqNo};
use bezant_tuple::Tuple;
use bezant_tuplespace::{Cursor, Outcome};

/// An answer that at least f+1 replicas gave alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply<T> {
    /// The answer.
    pub value: T,
    /// The sequence number at which it came about: larger for later ones, a fencing token.
    pub seq: SeqNo,
    /// Replicas that had given this answer when it was accepted.
    pub votes: usize,
    /// Replicas of the cluster.
    pub of: usize,
    /// Replicas that had answered otherwise.
    pub dissent: Vec<ReplicaId>,
}

impl<T> Reply<T> {
    /// The answer alone.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Translates the answer.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Reply<U> {
        let Self {
            value,
            seq,
            votes,
            of,
            dissent,
        } = self;
        Reply {
            value: f(value),
            seq,
            votes,
            of,
            dissent,
        }
    }

    /// Translates the answer where that can fail.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<U, E>(self, f: impl FnOnce(T) -> Result<U, E>) -> Result<Reply<U>, E> {
        let Self {
            value,
            seq,
            votes,
            of,
            dissent,
        } = self;
        Ok(Reply {
            value: f(value)?,
            seq,
            votes,
            of,
            dissent,
        })
    }
}

impl<T> Deref for Reply<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Part of the result of a bulk operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The tuples, oldest first.
    pub tuples: Vec<Tuple>,
    /// Where to go on, if there is more.
    pub next: Option<Cursor>,
}

/// What a group did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grouped {
    /// The step, from 0, whose condition did not hold; `None` if the group was carried out.
    pub unmet: Option<u32>,
    /// What each operation answered, in order: those of the steps, or, with a condition that
    /// did not hold, those of `otherwise`.
    pub outcomes: Vec<Outcome>,
}
