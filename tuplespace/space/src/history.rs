//! The history of events, for those who watch.
//!
//! Events are numbered from 1, without a gap, over all spaces. The last of them are kept, as
//! many as the limits allow, and are agreed state: every replica keeps the same ones, so that
//! it is the same number everywhere before which nothing is known any more.

use std::{collections::VecDeque, sync::Arc};

use bezant_tuple::{Tuple, codec};
use serde::{Deserialize, Serialize};

use crate::{Audience, Limits, SpaceName, TupleId, audience::weight};

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
    /// For whom it is, unless it is for everybody.
    pub(crate) audience: Option<Arc<Audience>>,
    /// Whether it expired with the session it belonged to; not told to those who watch, so
    /// not kept either.
    pub(crate) with_session: bool,
}

impl Entry {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.tuple.encoded_len().saturating_add(16));
        codec::put_bytes(&mut out, self.space.as_str().as_bytes());
        out.push(self.change as u8);
        codec::put_varint(&mut out, self.id.0);
        codec::put_tuple(&mut out, &self.tuple);
        let everybody = Audience::default();
        let audience = self.audience.as_deref().unwrap_or(&everybody);
        audience.encode_into(&mut out);
        out
    }

    fn weight(&self) -> u64 {
        weight(&self.tuple, self.audience.as_deref())
    }
}

/// The last events, also as bytes: every checkpoint holds them all, and only few are new.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// With the lengths of their parts of `encoded`.
    entries: VecDeque<(Entry, usize)>,
    /// Their canonical encodings, one behind the other.
    encoded: VecDeque<u8>,
    /// The number last given out.
    last: u64,
    /// What all tuples kept weigh.
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

    /// Appends everything in canonical encoding.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        codec::put_varint(out, self.last);
        codec::put_varint(out, self.entries.len() as u64);
        let (older, newer) = self.encoded.as_slices();
        out.extend_from_slice(older);
        out.extend_from_slice(newer);
    }

    /// The events kept with numbers above `number`, oldest first.
    pub(crate) fn since(&self, number: u64) -> impl Iterator<Item = (u64, &Entry)> {
        let first = self.first();
        let skipped = number.saturating_add(1).saturating_sub(first);
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let numbers = first.saturating_add(skipped as u64)..;
        let entries = self.entries.iter().map(|(entry, _)| entry);
        numbers.zip(entries.skip(skipped))
    }

    /// Writes an event down; the oldest go if there are too many.
    pub(crate) fn push(&mut self, entry: Entry, limits: &Limits) {
        self.last += 1;
        self.bytes += entry.weight();
        let bytes = entry.encode();
        self.encoded.extend(&bytes);
        self.entries.push_back((entry, bytes.len()));
        while self.entries.len() > limits.events || self.bytes > limits.event_bytes {
            let Some((oldest, length)) = self.entries.pop_front() else {
                return;
            };
            self.encoded.drain(..length);
            self.bytes -= oldest.weight();
        }
    }
}
