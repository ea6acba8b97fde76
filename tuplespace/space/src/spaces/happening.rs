//! What happened to tuples and may still be undone: what subscribers are told of before anybody
//! else does.
//!
//! Changes become events for those who watch with the commit. Before it they stand here, in
//! order, so that the service can let extensions act upon them in the same step; what these
//! do stands behind, and vanishes with a rollback like everything else.

use std::sync::Arc;

use bezant_tuple::Tuple;

use super::Spaces;
use crate::{
    Audience, Change, ClientKey, Refusal, SpaceName, TupleId,
    audience::{Aim, Viewer},
    space::keys_of,
    undo::Undo,
    waiting::Offer,
};

/// What happened to a tuple, with why it expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Happening {
    /// It came in.
    Inserted,
    /// Somebody took it.
    Taken,
    /// Its lease was over.
    Expired,
    /// The session it belonged to ended.
    SessionEnded,
}

impl Happening {
    /// What those are told of it who watch.
    pub(super) const fn change(self) -> Change {
        match self {
            Self::Inserted => Change::Inserted,
            Self::Taken => Change::Taken,
            Self::Expired | Self::SessionEnded => Change::Expired,
        }
    }
}

/// Something that happened since the last commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happened<'a> {
    /// Where.
    pub space: &'a SpaceName,
    /// What.
    pub what: Happening,
    /// To which tuple, in the order of insertion.
    pub id: TupleId,
    /// The tuple.
    pub tuple: &'a Tuple,
    /// For whom it is, unless it is for everybody.
    pub audience: Option<&'a Arc<Audience>>,
}

impl Spaces {
    /// How many things happened since the last commit.
    #[must_use]
    pub const fn happenings(&self) -> usize {
        self.happening.len()
    }

    /// What happened since the last commit, without the first `skipped`, in order.
    pub fn happened(&self, skipped: usize) -> impl Iterator<Item = Happened<'_>> {
        let entries = self.happening.get(skipped..).unwrap_or_default();
        entries.iter().map(|entry| Happened {
            space: &entry.space,
            what: match entry.change {
                Change::Inserted => Happening::Inserted,
                Change::Taken => Happening::Taken,
                Change::Expired if entry.with_session => Happening::SessionEnded,
                Change::Expired => Happening::Expired,
            },
            id: entry.id,
            tuple: &entry.tuple,
            audience: entry.audience.as_ref(),
        })
    }

    /// Whether a tuple for this audience is there for a client that looks.
    #[must_use]
    pub fn shows(&self, audience: Option<&Audience>, client: &ClientKey) -> bool {
        let viewer = Viewer {
            client: Some(client),
            groups: &self.groups,
            aim: Aim::See,
        };
        audience.is_none_or(|audience| viewer.meets(audience))
    }

    /// Hands a tuple to those who wait for one like it, as if it had been inserted: to every
    /// waiting `rd` and to the first waiting `in`. It is never in the space, nobody else hears
    /// of it, and if nobody waits nothing happens. How many got it.
    ///
    /// # Errors
    /// [`Refusal::NoSuchSpace`].
    pub fn deliver_to_waiters(&mut self, space: &SpaceName, tuple: &Tuple) -> Result<u64, Refusal> {
        if !self.contains(space) {
            return Err(Refusal::NoSuchSpace);
        }
        let offer = Offer {
            tuple,
            audience: None,
            groups: &self.groups,
        };
        let examined = &mut self.examined;
        let matched = self
            .waiting
            .matching(space, offer, &keys_of(tuple), examined);
        let deliveries = matched.readers.into_iter().chain(matched.taker);
        let deliveries: Vec<_> = deliveries.collect();
        if deliveries.is_empty() {
            return Ok(0);
        }
        self.last.0 += 1;
        self.undo.record(|| Undo::Numbered);
        let (id, count) = (self.last, deliveries.len() as u64);
        for arrival in deliveries {
            self.deliver(arrival, id, tuple.clone(), None);
        }
        Ok(count)
    }
}
