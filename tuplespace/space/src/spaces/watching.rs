//! Watching: what happened to tuples, told in order and without a gap.
//!
//! A watch is an operation that waits, like `rd`, and is answered with events. So its answers
//! are agreed and voted on like all others, nobody can leave an event out or hold it back
//! unseen, and whoever goes on from the number that the answer names misses nothing: between
//! two watches events stay in the history (docs/decisions/015-watching.md).
//!
//! Changes become events when they can no longer be undone.

use std::collections::BTreeMap;

use bezant_tuple::{Template, Tuple};

use super::{EndedWait, Happening, Lookup, Spaces};
use crate::{
    Applied, Cursor, Event, Outcome, Refusal, SpaceName, TupleId, WaiterId, Wants,
    audience::Viewer,
    clock::End,
    history::Entry,
    space::Ties,
    undo::Undo,
    waiting::{Arrival, Offer},
};

/// A watch on its way in.
pub(super) struct Watch<'o> {
    pub(super) template: &'o Template,
    pub(super) after: Option<u64>,
    pub(super) limit: u32,
    /// Who waits if nothing happened, and until when.
    pub(super) waiter: Option<WaiterId>,
    pub(super) end: Option<End>,
}

impl Spaces {
    /// Takes the answers to watches since the last call, in order of arrival of the watches.
    pub fn take_told(&mut self) -> Vec<EndedWait> {
        std::mem::take(&mut self.told)
    }

    /// The number of the latest event.
    #[must_use]
    pub const fn newest_event(&self) -> u64 {
        self.history.last()
    }

    /// What a watch answers whose time is up: nothing happened so far.
    #[must_use]
    pub const fn nothing_happened(&self) -> Outcome {
        let newest = self.history.last();
        Outcome::Events {
            events: Vec::new(),
            next: newest,
            newest,
        }
    }

    pub(super) fn watch(
        &mut self,
        lookup: Lookup<'_>,
        watch: &Watch<'_>,
    ) -> Result<Applied, Refusal> {
        if watch.limit == 0 {
            return Err(Refusal::EmptyPage);
        }
        let newest = self.history.last();
        let outcome = match watch.after {
            None => self.nothing_happened(),
            Some(after) if after > newest => return Err(Refusal::NoSuchEvent),
            Some(after) if after + 1 < self.history.first() => {
                let first = self.history.first();
                Outcome::Compacted { first }
            }
            Some(after) => {
                let happened = self.happened_after(lookup, watch, after);
                match watch.waiter {
                    Some(id) if happened.events.is_empty() => {
                        let wants = Wants::Watch { limit: watch.limit };
                        return self.wait_as(lookup, watch.template, wants, id, watch.end);
                    }
                    _ => Outcome::Events {
                        events: happened.events,
                        next: happened.next,
                        newest,
                    },
                }
            }
        };
        Ok(Applied::Outcome(outcome))
    }

    /// The events of interest after one, and up to where the history was looked through.
    fn happened_after(&mut self, lookup: Lookup<'_>, watch: &Watch<'_>, after: u64) -> EventsSoFar {
        let mut page = EventPage::new(self, watch.limit);
        let mut next = self.history.last();
        let viewer = Viewer {
            client: lookup.viewer,
            groups: &self.groups,
            aim: lookup.aim,
        };
        for (number, entry) in self.history.since(after) {
            self.examined += 1;
            let audience = entry.audience.as_deref();
            let is_told = audience.is_none_or(|audience| viewer.meets(audience))
                && entry.space == *lookup.space
                && watch.template.matches(&entry.tuple);
            if !is_told {
                continue;
            }
            if !page.has_room() {
                // Behind the last event told: the next page begins there.
                next = page.last();
                break;
            }
            page.add(number, entry);
        }
        EventsSoFar {
            events: page.events,
            next,
        }
    }

    /// Notes what happens to a tuple; it becomes an event unless it is undone.
    pub(super) fn note(
        &mut self,
        space: &SpaceName,
        happening: Happening,
        id: TupleId,
        tuple: &Tuple,
        ties: &Ties,
    ) {
        self.happening.push(Entry {
            space: space.clone(),
            change: happening.change(),
            id,
            tuple: tuple.clone(),
            audience: ties.audience.clone(),
            with_session: happening == Happening::SessionEnded,
        });
        self.undo.record(|| Undo::Happened);
    }

    /// Makes events of what happened, and answers those who wait for them.
    pub(super) fn publish(&mut self) {
        if self.happening.is_empty() {
            return;
        }
        let before = self.history.last();
        // Who watched an event, and which.
        let mut told: BTreeMap<Arrival, EventPage> = BTreeMap::new();
        let mut full: BTreeMap<Arrival, u64> = BTreeMap::new();
        for (number, entry) in (before + 1..).zip(std::mem::take(&mut self.happening)) {
            if self.waiting.is_anybody_in(&entry.space) {
                let examined = &mut self.examined;
                let offer = Offer {
                    tuple: &entry.tuple,
                    audience: entry.audience.as_deref(),
                    groups: &self.groups,
                };
                let watching = self.waiting.watching(&entry.space, offer, examined);
                for arrival in watching {
                    let limit = self.limit_of(arrival);
                    let page = told.entry(arrival);
                    let page = page.or_insert_with(|| EventPage::new(self, limit));
                    if page.has_room() {
                        page.add(number, &entry);
                    } else {
                        full.entry(arrival).or_insert_with(|| page.last());
                    }
                }
            }
            self.history.push(entry, &self.limits);
        }
        let newest = self.history.last();
        for (arrival, page) in told {
            let waiter = self.leave(arrival).id;
            let next = full.get(&arrival).copied().unwrap_or(newest);
            let events = page.events;
            let outcome = Outcome::Events {
                events,
                next,
                newest,
            };
            self.told.push(EndedWait { waiter, outcome });
        }
    }

    fn limit_of(&self, arrival: Arrival) -> u32 {
        match self.waiting.get(arrival).map(|waiter| waiter.wants) {
            Some(Wants::Watch { limit }) => limit,
            _ => 0,
        }
    }

    /// A page of matches with their ids, and the moment of which it is.
    pub(super) fn survey(
        &mut self,
        lookup: Lookup<'_>,
        template: &Template,
        limit: u32,
        after: Option<&Cursor>,
    ) -> Result<Outcome, Refusal> {
        let page = self.page(lookup, template, limit, after)?;
        Ok(Outcome::Survey {
            found: page.found,
            next: page.next,
            // What this group of operations did before is seen, so its events are counted.
            newest: self.history.last() + self.happening.len() as u64,
        })
    }
}

/// Events of interest, and up to where the history was looked through for them.
struct EventsSoFar {
    events: Vec<Event>,
    next: u64,
}

/// A page of events in the making.
struct EventPage {
    events: Vec<Event>,
    most: usize,
    most_bytes: usize,
    bytes: usize,
}

impl EventPage {
    fn new(spaces: &Spaces, limit: u32) -> Self {
        Self {
            events: Vec::new(),
            most: limit.min(spaces.limits.page_tuples) as usize,
            most_bytes: spaces.limits.page_bytes,
            bytes: 0,
        }
    }

    /// One event always fits, so that whoever watches never stands still.
    fn has_room(&self) -> bool {
        self.events.is_empty() || (self.events.len() < self.most && self.bytes < self.most_bytes)
    }

    fn add(&mut self, number: u64, entry: &Entry) {
        self.bytes += entry.tuple.encoded_len();
        self.events.push(Event {
            number,
            change: entry.change,
            id: entry.id,
            tuple: entry.tuple.clone(),
        });
    }

    /// The number of the last event on it.
    fn last(&self) -> u64 {
        self.events.last().map_or(0, |event| event.number)
    }
}
