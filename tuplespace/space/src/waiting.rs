//! The waiting list of a space.
//!
//! A tuple that arrives must find its waiters without asking all of them. Two
//! waiters whose templates fix the same positions stand in one group, and in a
//! group a waiter is found by a digest of what it fixes; so an arriving tuple
//! makes one search for every set of positions that anyone fixes and meets only
//! waiters all of whose exact fields it equals (but for collisions).

use std::collections::{BTreeMap, BTreeSet};

use bezant_tuple::{Field, Template, Tuple};

use crate::{
    Audience, ClientKey, Groups, SpaceName, WaiterId, Wants,
    audience::{Aim, Viewer},
    clock::{Clock, End},
    key::{FNV_START, Key},
    space::{Ties, keys_of},
};

/// A waiting `rd`, `in` or `watch`.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub(crate) id: WaiterId,
    pub(crate) space: SpaceName,
    pub(crate) template: Template,
    pub(crate) wants: Wants,
    /// Whose it is.
    pub(crate) client: Option<ClientKey>,
    /// When it waits no longer.
    pub(crate) end: Option<End>,
}

/// How one comes back who got a delivery and has no answer yet.
#[derive(Clone, Debug)]
pub(crate) struct Delivering {
    pub(crate) arrival: Arrival,
    pub(crate) waiter: Waiter,
    /// What the tuple hung together with that it took, if there is one to be put back.
    pub(crate) took: Option<Ties>,
    /// Whether its answer is revoked.
    pub(crate) held: bool,
}

/// A waiter's place in the order of arrival, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrival(pub(crate) u64);

/// Who gets an arriving tuple.
#[derive(Debug, Default)]
pub(crate) struct Matched {
    /// Every matching `rd`, in order of arrival.
    pub(crate) readers: Vec<Arrival>,
    /// The matching `in` that came first.
    pub(crate) taker: Option<Arrival>,
}

/// A tuple on its way to those who wait for such ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer<'a> {
    pub(crate) tuple: &'a Tuple,
    /// For whom it is, unless it is for everybody.
    pub(crate) audience: Option<&'a Audience>,
    pub(crate) groups: &'a Groups,
}

impl Offer<'_> {
    /// Whether it is what somebody waits for.
    fn suits(&self, waiter: &Waiter) -> bool {
        let aim = match waiter.wants {
            Wants::Read | Wants::Watch { .. } => Aim::See,
            Wants::Take => Aim::Take,
        };
        let viewer = Viewer {
            client: waiter.client.as_ref(),
            groups: self.groups,
            aim,
        };
        waiter.template.matches(self.tuple)
            && self.audience.is_none_or(|audience| viewer.meets(audience))
    }
}

/// All waiters of the service.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    waiters: BTreeMap<Arrival, Waiter>,
    arrivals: BTreeMap<WaiterId, Arrival>,
    groups: BTreeMap<SpaceName, BTreeMap<Group, BTreeMap<u64, Queue>>>,
    /// Waits that end by themselves, by their end.
    ends: BTreeSet<(End, Arrival)>,
    next: u64,
    /// Of all templates, in canonical encoding.
    bytes: u64,
}

/// Waiters of one space whose templates have the same arity and fix the same positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    arity: usize,
    /// One bit a position.
    fixed: u32,
}

/// Waiters of one group whose fixed fields have one digest.
#[derive(Debug, Default)]
struct Queue {
    readers: BTreeSet<Arrival>,
    takers: BTreeSet<Arrival>,
    watchers: BTreeSet<Arrival>,
}

impl Waiting {
    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn contains(&self, id: WaiterId) -> bool {
        self.arrivals.contains_key(&id)
    }

    pub(crate) fn arrival_of(&self, id: WaiterId) -> Option<Arrival> {
        self.arrivals.get(&id).copied()
    }

    /// The waits of `owner`.
    pub(crate) fn of_owner(&self, owner: u64) -> Vec<Arrival> {
        let id = |number| WaiterId { owner, number };
        let own = self.arrivals.range(id(0)..=id(u64::MAX));
        own.map(|(_, arrival)| *arrival).collect()
    }

    /// The waits of a client that are not watches, in order of arrival.
    pub(crate) fn of_client(&self, client: &ClientKey) -> Vec<Arrival> {
        let own = self.waiters.iter().filter(|(_, waiter)| {
            waiter.client.as_ref() == Some(client) && !matches!(waiter.wants, Wants::Watch { .. })
        });
        own.map(|(arrival, _)| *arrival).collect()
    }

    /// All waiters in order of arrival.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Waiter> {
        self.waiters.values()
    }

    /// The earliest end of a wait.
    pub(crate) fn first_end(&self) -> Option<End> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// The wait that ended first, of those whose end has come.
    pub(crate) fn over(&self, clock: &Clock) -> Option<Arrival> {
        let (end, arrival) = self.ends.first()?;
        clock.is_over(*end).then_some(*arrival)
    }

    /// Adds a waiter behind all others.
    pub(crate) fn arrive(&mut self, waiter: Waiter) -> Arrival {
        let arrival = Arrival(self.next);
        self.next += 1;
        self.restore(arrival, waiter);
        arrival
    }

    /// Undoes the latest [`Waiting::arrive`].
    pub(crate) fn forget(&mut self, arrival: Arrival) {
        self.remove(arrival);
        self.next = arrival.0;
    }

    /// Puts a removed waiter back in its place.
    pub(crate) fn restore(&mut self, arrival: Arrival, waiter: Waiter) {
        let (group, digest) = Group::of_template(&waiter.template);
        let queue = self
            .groups
            .entry(waiter.space.clone())
            .or_default()
            .entry(group)
            .or_default()
            .entry(digest)
            .or_default();
        queue.side(waiter.wants).insert(arrival);
        self.bytes += waiter.template.encoded_len() as u64;
        self.ends.extend(waiter.end.map(|end| (end, arrival)));
        self.arrivals.insert(waiter.id, arrival);
        self.waiters.insert(arrival, waiter);
    }

    pub(crate) fn remove(&mut self, arrival: Arrival) -> Option<Waiter> {
        let waiter = self.waiters.remove(&arrival)?;
        self.bytes -= waiter.template.encoded_len() as u64;
        if let Some(end) = waiter.end {
            self.ends.remove(&(end, arrival));
        }
        self.arrivals.remove(&waiter.id);
        let (group, digest) = Group::of_template(&waiter.template);
        if let Some(groups) = self.groups.get_mut(&waiter.space) {
            if let Some(queues) = groups.get_mut(&group) {
                if let Some(queue) = queues.get_mut(&digest) {
                    queue.side(waiter.wants).remove(&arrival);
                    if queue.is_empty() {
                        queues.remove(&digest);
                    }
                }
                if queues.is_empty() {
                    groups.remove(&group);
                }
            }
            if groups.is_empty() {
                self.groups.remove(&waiter.space);
            }
        }
        Some(waiter)
    }

    /// Who gets a tuple that arrives in `space`; `keys` are those of its
    /// fields. Adds the waiters asked to `examined`.
    pub(crate) fn matching(
        &self,
        space: &SpaceName,
        offer: Offer<'_>,
        keys: &[Key],
        examined: &mut u64,
    ) -> Matched {
        let mut matched = Matched::default();
        let Some(groups) = self.groups.get(space) else {
            return matched;
        };
        let arity = offer.tuple.arity();
        let group = |fixed| Group { arity, fixed };
        let mut wants = |arrival: Arrival| {
            *examined += 1;
            let waiter = self.waiters.get(&arrival);
            waiter.is_some_and(|waiter| offer.suits(waiter))
        };
        for (group, queues) in groups.range(group(0)..=group(u32::MAX)) {
            let Some(queue) = queues.get(&group.digest_of(keys)) else {
                continue;
            };
            let readers = queue.readers.iter().copied();
            matched
                .readers
                .extend(readers.filter(|arrival| wants(*arrival)));
            // Whoever came after the taker found already need not be asked.
            let earlier = |arrival: &Arrival| matched.taker.is_none_or(|first| *arrival < first);
            let takers = queue.takers.iter().copied();
            if let Some(first) = takers.take_while(earlier).find(|arrival| wants(*arrival)) {
                matched.taker = Some(first);
            }
        }
        matched.readers.sort_unstable();
        matched
    }

    /// Who watches a tuple to which something happened in `space`. Adds the waiters asked
    /// to `examined`.
    pub(crate) fn watching(
        &self,
        space: &SpaceName,
        offer: Offer<'_>,
        examined: &mut u64,
    ) -> Vec<Arrival> {
        let mut watching = Vec::new();
        let Some(groups) = self.groups.get(space) else {
            return watching;
        };
        let keys = keys_of(offer.tuple);
        let arity = offer.tuple.arity();
        let group = |fixed| Group { arity, fixed };
        for (group, queues) in groups.range(group(0)..=group(u32::MAX)) {
            let Some(queue) = queues.get(&group.digest_of(&keys)) else {
                continue;
            };
            *examined += queue.watchers.len() as u64;
            let wants = |arrival: &&Arrival| {
                let waiter = self.waiters.get(arrival);
                waiter.is_some_and(|waiter| offer.suits(waiter))
            };
            watching.extend(queue.watchers.iter().filter(wants).copied());
        }
        watching
    }

    /// A waiter that waits.
    pub(crate) fn get(&self, arrival: Arrival) -> Option<&Waiter> {
        self.waiters.get(&arrival)
    }

    /// Whether anybody waits in a space.
    pub(crate) fn is_anybody_in(&self, space: &SpaceName) -> bool {
        self.groups.contains_key(space)
    }
}

impl Queue {
    const fn side(&mut self, wants: Wants) -> &mut BTreeSet<Arrival> {
        match wants {
            Wants::Read => &mut self.readers,
            Wants::Take => &mut self.takers,
            Wants::Watch { .. } => &mut self.watchers,
        }
    }

    fn is_empty(&self) -> bool {
        self.readers.is_empty() && self.takers.is_empty() && self.watchers.is_empty()
    }
}

impl Group {
    /// The group of a template, and the digest of what it fixes.
    fn of_template(template: &Template) -> (Self, u64) {
        let mut fixed = 0;
        let mut digest = FNV_START;
        for (position, field) in template.fields().iter().enumerate() {
            if let Field::Exact(value) = field {
                fixed |= 1 << position;
                digest = Key::of(value).digest(digest);
            }
        }
        let arity = template.arity();
        (Self { arity, fixed }, digest)
    }

    /// The digest of a tuple's fields at the fixed positions.
    fn digest_of(self, keys: &[Key]) -> u64 {
        let fixed = keys
            .iter()
            .enumerate()
            .filter(|(position, _)| self.fixed & (1 << position) != 0);
        fixed.fold(FNV_START, |digest, (_, key)| key.digest(digest))
    }
}
