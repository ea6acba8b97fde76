//! What operations answer.

use bezant_tuple::{Template, Tuple};
use serde::{Deserialize, Serialize};

use crate::{OperationKind, SpaceName, TupleId, WaiterId};

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
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was carried out.
    Outcome(Outcome),
    /// It waits for a match; the answer comes from [`crate::Spaces::take_served`].
    Waiting,
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
    /// Whether it takes what it gets: `in`, not `rd`.
    pub takes: bool,
    /// The agreed time at which it waits no longer.
    pub due_ms: Option<u64>,
}

/// A waiting `rd` or `in` that got its tuple.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
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
