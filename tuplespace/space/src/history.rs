//! What happened to tuples lately, for those who watch.
//!
//! Events are numbered from 1, without a gap, over all spaces. The last of them are kept, as
//! many as the limits allow, and are agreed state: every replica keeps the same ones, so that
//! it is the same number everywhere before which nothing is known any more.

use std::collections::VecDeque;

use bezant_tuple::Tuple;
use serde::{Deserialize, Serialize};

use crate::{Limits, SpaceName, TupleId};

/// What happened to a tuple. The order of the variants is the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Change {
    /// It came in.
    Inserted,
    /// Somebody took it.
    Taken,
    /// Its lease was over, or the session it belonged to.
    Expired,
}

impl Change {
    /// Every change, in wire order.
    pub const ALL: [Self; 3] = [Self::Inserted, Self::Taken, Self::Expired];

    /// Its name in text and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inserted => "inserted",
            Self::Taken => "taken",
            Self::Expired => "expired",
        }
    }
}

/// Something that happened to a tuple.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its place among the events of the whole service, from 1.
    pub number: u64,
    /// What.
    pub change: Change,
    /// Which tuple, in the order of insertion.
    pub id: TupleId,
    /// The tuple.
    pub tuple: Tuple,
}

/// An event on its way into the history, or in it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) space: SpaceName,
    pub(crate) change: Change,
    pub(crate) id: TupleId,
    pub(crate) tuple: Tuple,
}

/// The last events.
#[derive(Debug, Default)]
pub(crate) struct History {
    entries: VecDeque<Entry>,
    /// The number last given out.
    last: u64,
    /// Of all tuples kept, in canonical encoding.
    bytes: u64,
}

impl History {
    /// A history whose next event has the number after `last`.
    pub(crate) fn after(last: u64) -> Self {
        Self {
            last,
            ..Self::default()
        }
    }

    /// The number last given out.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }

    /// The number of the oldest event kept, or of the next one if none is.
    pub(crate) fn first(&self) -> u64 {
        self.last + 1 - self.entries.len() as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The events kept, oldest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The events kept with numbers above `number`, oldest first.
    pub(crate) fn since(&self, number: u64) -> impl Iterator<Item = (u64, &Entry)> {
        let first = self.first();
        let skipped = number.saturating_add(1).saturating_sub(first);
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let numbers = first.saturating_add(skipped as u64)..;
        numbers.zip(self.entries.iter().skip(skipped))
    }

    /// Writes an event down; the oldest go if there are too many.
    pub(crate) fn push(&mut self, entry: Entry, limits: &Limits) {
        self.last += 1;
        self.bytes += entry.tuple.encoded_len() as u64;
        self.entries.push_back(entry);
        while self.entries.len() > limits.events || self.bytes > limits.event_bytes {
            let Some(oldest) = self.entries.pop_front() else {
                return;
            };
            self.bytes -= oldest.tuple.encoded_len() as u64;
        }
    }
}
