//! What happened to tuples, and who is told of it.

use std::sync::Arc;

use bezant_tuple::Template;
use bezant_tuplespace::{Change, ClientKey, EndedWait, Event, Outcome, SpaceName, TupleId, Wants};

use crate::{Model, Placed};

/// Something that happened to a tuple.
#[derive(Clone, Debug)]
pub struct Happened {
    /// What.
    pub change: Change,
    /// To which.
    pub placed: Placed,
}

/// What somebody watches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched<'a> {
    pub(crate) client: Option<ClientKey>,
    pub(crate) space: &'a SpaceName,
    pub(crate) template: &'a Template,
    /// Most events in one answer.
    pub(crate) limit: u32,
    /// Behind which event.
    pub(crate) after: u64,
}

impl Model {
    /// What happened since [`Model::publish`], in order.
    #[must_use]
    pub fn happening(&self) -> &[Happened] {
        &self.happening
    }

    /// What happened becomes events, and those who watch are told.
    pub fn publish(&mut self) {
        if self.happening.is_empty() {
            return;
        }
        let after = self.newest();
        Arc::make_mut(&mut self.events).append(&mut self.happening);
        let waits = Arc::clone(&self.waits);
        for wait in waits.iter() {
            let Wants::Watch { limit } = wait.wants else {
                continue;
            };
            let watched = Watched {
                client: wait.client,
                space: &wait.space,
                template: &wait.template,
                limit,
                after,
            };
            if let Some(outcome) = self.tell(watched) {
                self.cancel(wait.id);
                self.told.push(EndedWait {
                    waiter: wait.id,
                    outcome,
                });
            }
        }
    }

    /// The watches that ended with events since the last call, in order.
    pub fn take_told(&mut self) -> Vec<EndedWait> {
        std::mem::take(&mut self.told)
    }

    /// Something happens to a tuple.
    pub(crate) fn note(&mut self, change: Change, placed: &Placed) {
        let placed = placed.clone();
        self.happening.push(Happened { change, placed });
    }

    /// The number of the newest event.
    pub(crate) fn newest(&self) -> u64 {
        self.events.len() as u64
    }

    /// The number of the oldest event that is kept.
    pub(crate) fn first_event(&self) -> u64 {
        let (mut first, mut bytes) = (self.newest() + 1, 0);
        for (count, happened) in self.events.iter().rev().enumerate() {
            bytes += happened.placed.weight;
            if count == self.limits.events || bytes > self.limits.event_bytes {
                break;
            }
            first -= 1;
        }
        first
    }

    /// What a watch answers to which nothing happened.
    pub(crate) fn nothing_happened(&self) -> Outcome {
        Outcome::Events {
            events: Vec::new(),
            next: self.newest(),
            newest: self.newest(),
        }
    }

    /// What happened that somebody watches, if anything did.
    pub(crate) fn tell(&self, watched: Watched<'_>) -> Option<Outcome> {
        let mut events: Vec<Event> = Vec::new();
        let (mut next, mut bytes) = (self.newest(), 0);
        for (number, Happened { change, placed }) in (1..).zip(self.events.iter()) {
            let is_meant = number > watched.after
                && placed.space == *watched.space
                && watched.template.matches(&placed.tuple)
                && self.meets(watched.client, false, placed.audience.as_ref());
            if !is_meant {
                continue;
            }
            let is_full =
                events.len() == self.most(watched.limit) || bytes >= self.limits.page_bytes;
            if let Some(last) = events.last().filter(|_| is_full) {
                next = last.number;
                break;
            }
            bytes += placed.tuple.encoded_len();
            events.push(Event {
                number,
                change: *change,
                id: TupleId(placed.id),
                tuple: placed.tuple.clone(),
            });
        }
        let newest = self.newest();
        (!events.is_empty()).then_some(Outcome::Events {
            events,
            next,
            newest,
        })
    }
}
