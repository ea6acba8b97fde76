//! The outcomes of operations.

use bezant_tuple::{Template, Tuple};
use serde::{Deserialize, Serialize};

use crate::{Event, OperationKind, SpaceName, TupleId, WaiterId};

/// The answer of an operation. The order of the variants is the wire format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// `out`: inserted.
    Done,
    /// `rdp`, `inp`, `rd`, `in`: the match. `cas`: what already existed, or
    /// `None` when the tuple was inserted. `replace`: what was taken, or `None`
    /// when nothing matched and nothing changed. `renew`: what was renewed.
    Match(Option<Tuple>),
    /// `rd_all`, `in_all`.
    Page {
        /// The matches, oldest first.
        tuples: Vec<Tuple>,
        /// The last of them, unless the page is known to hold the last match.
        next: Option<TupleId>,
    },
    /// `count`.
    Count(u64),
    /// `watch`: what happened, oldest first; without events, that nothing did up to `next`.
    Events {
        /// The events.
        events: Vec<Event>,
        /// Everything up to this number was looked at: where to go on.
        next: u64,
        /// The number of the latest event of all: how far behind this answer is.
        newest: u64,
    },
    /// `watch`: of the events asked for not all are kept any more. Begin anew with a survey.
    Compacted {
        /// The oldest event that is kept.
        first: u64,
    },
    /// `survey`.
    Survey {
        /// The matches with their ids, oldest first.
        found: Vec<(TupleId, Tuple)>,
        /// The last of them, unless the page is known to hold the last match.
        next: Option<TupleId>,
        /// The number of the latest event of that moment.
        newest: u64,
    },
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was carried out.
    Outcome(Outcome),
    /// It waits for a match; the answer comes from [`crate::Spaces::take_deliveries`], or, if it
    /// watches, from [`crate::Spaces::take_told`].
    Waiting,
}

/// What a waiting operation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// `rd`: a tuple.
    Read,
    /// `in`: a tuple of its own.
    Take,
    /// `watch`: at most so many events.
    Watch {
        /// See there.
        limit: u32,
    },
}

/// An operation that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait<'a> {
    /// Who.
    pub id: WaiterId,
    /// Where.
    pub space: &'a SpaceName,
    /// For what.
    pub template: &'a Template,
    /// To what end.
    pub wants: Wants,
    /// The agreed time at which it waits no longer.
    pub due_ms: Option<u64>,
}

/// A waiting `rd` or `in` that got its tuple.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Who waited.
    pub waiter: WaiterId,
    /// Where.
    pub space: SpaceName,
    /// [`OperationKind::Rd`] or [`OperationKind::In`].
    pub kind: OperationKind,
    /// The tuple's id.
    pub id: TupleId,
    /// The tuple.
    pub tuple: Tuple,
}
