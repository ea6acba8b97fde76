//! All spaces of one replica, and the operations on them.

mod accounts;
mod audience;
mod deliveries;
mod ending;
mod happening;
mod snapshot;
mod watching;

use std::{collections::BTreeMap, sync::Arc};

use bezant_tuple::{Template, Tuple};

pub use ending::{Ended, EndedWait};
pub use happening::{Happened, Happening};
pub use snapshot::BadContent;
use watching::Watch;

use crate::{
    Actor, Applied, ClientKey, Cursor, Delivery, Groups, Limits, Operation, Outcome, Payer, Quota,
    Refusal, Savepoint, SpaceName, TupleId, Wait, WaiterId, Wants,
    accounts::Accounts,
    audience::{Aim, Viewer, narrowed_to},
    broken,
    clock::{Clock, End},
    history::{Entry, History},
    leases::{Hold, Leases},
    limits::MAX_LEASE_MS,
    shelf::Work,
    space::{Incoming, Removed, Space, Ties, View, keys_of},
    undo::{Undo, UndoLog},
    waiting::{Arrival, Delivering, Matched, Offer, Waiter, Waiting},
};

/// All spaces of one replica, with everyone who waits in them.
///
/// An operation is carried out as a whole or, refused, changes nothing. After a
/// [savepoint](Spaces::savepoint) any number of operations can be undone.
#[derive(Debug)]
pub struct Spaces {
    limits: Limits,
    spaces: BTreeMap<SpaceName, Space>,
    waiting: Waiting,
    /// What happened and may still be undone.
    happening: Vec<Entry>,
    history: History,
    /// Answers to watches.
    told: Vec<EndedWait>,
    deliveries: Vec<Delivery>,
    /// How those come back, in the same order.
    delivering: Vec<Delivering>,
    undo: UndoLog,
    clock: Clock,
    leases: Leases,
    accounts: Accounts,
    groups: Arc<Groups>,
    /// The id last given out.
    last: TupleId,
    tuples: u64,
    bytes: u64,
    examined: u64,
}

/// A page of matches.
struct Page {
    found: Vec<(TupleId, Tuple)>,
    /// The last one's id, if there may be more.
    next: Option<TupleId>,
}

impl From<Page> for Outcome {
    fn from(page: Page) -> Self {
        Self::Page {
            tuples: page.found.into_iter().map(|(_, tuple)| tuple).collect(),
            next: page.next,
        }
    }
}

/// Where somebody looks for tuples, with whose eyes, and what for.
#[derive(Clone, Copy)]
struct Lookup<'a> {
    space: &'a SpaceName,
    viewer: Option<&'a ClientKey>,
    aim: Aim,
}

impl<'a> Lookup<'a> {
    /// With the eyes of an actor.
    const fn new(space: &'a SpaceName, actor: Actor<'a>, aim: Aim) -> Self {
        Self {
            space,
            viewer: actor.viewer,
            aim,
        }
    }
}

/// A tuple on its way in: admitted, but nothing changed yet.
struct Arriving {
    incoming: Incoming,
    matched: Matched,
}

/// A tuple that will be gone when another one comes for it.
#[derive(Clone, Copy)]
struct Leaving {
    bytes: u64,
    payer: Option<Payer>,
}

impl Spaces {
    /// No spaces at all.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            spaces: BTreeMap::new(),
            waiting: Waiting::default(),
            happening: Vec::new(),
            history: History::default(),
            told: Vec::new(),
            deliveries: Vec::new(),
            delivering: Vec::new(),
            undo: UndoLog::default(),
            clock: Clock::default(),
            leases: Leases::default(),
            accounts: Accounts::default(),
            groups: Arc::default(),
            last: TupleId(0),
            tuples: 0,
            bytes: 0,
            examined: 0,
        }
    }

    /// Creates an empty space.
    ///
    /// # Errors
    /// [`Refusal::SpaceExists`], [`Refusal::TooManySpaces`].
    pub fn create(&mut self, space: &SpaceName) -> Result<(), Refusal> {
        if self.spaces.contains_key(space) {
            return Err(Refusal::SpaceExists);
        }
        if self.spaces.len() >= self.limits.spaces {
            return Err(Refusal::TooManySpaces);
        }
        self.spaces.insert(space.clone(), Space::default());
        self.undo.record(|| Undo::Created(space.clone()));
        Ok(())
    }

    /// Removes an empty space, in which nobody waits any more.
    ///
    /// # Errors
    /// [`Refusal::NoSuchSpace`], [`Refusal::SpaceNotEmpty`].
    pub fn remove_space(&mut self, space: &SpaceName) -> Result<(), Refusal> {
        let tuples = self.spaces.get(space).ok_or(Refusal::NoSuchSpace)?.len();
        if tuples > 0 || self.waiting.all().any(|waiter| waiter.space == *space) {
            return Err(Refusal::SpaceNotEmpty);
        }
        let quota = self.space(space).quota();
        self.spaces.remove(space);
        self.undo.record(|| Undo::Destroyed(space.clone(), quota));
        Ok(())
    }

    /// Lets a space hold so much from now on; how much it was before. What it holds stays.
    ///
    /// # Errors
    /// [`Refusal::NoSuchSpace`].
    pub fn allow(&mut self, space: &SpaceName, quota: Quota) -> Result<Quota, Refusal> {
        let here = self.spaces.get_mut(space).ok_or(Refusal::NoSuchSpace)?;
        let before = here.allow(quota);
        self.undo.record(|| Undo::Allowed(space.clone(), before));
        Ok(before)
    }

    /// How much a space may hold; what the service allows when it does not exist.
    #[must_use]
    pub fn quota(&self, space: &SpaceName) -> Quota {
        self.spaces.get(space).map_or(Quota::NONE, Space::quota)
    }

    /// What the tuples in `space` weigh: their canonical encodings, with their audiences; 0 when it
    /// does not exist.
    #[must_use]
    pub fn bytes(&self, space: &SpaceName) -> u64 {
        self.spaces.get(space).map_or(0, Space::bytes)
    }

    /// Whether the space exists.
    #[must_use]
    pub fn contains(&self, space: &SpaceName) -> bool {
        self.spaces.contains_key(space)
    }

    /// The names of all spaces, in order.
    pub fn names(&self) -> impl Iterator<Item = &SpaceName> {
        self.spaces.keys()
    }

    /// Applies `operation` to `space` on behalf of `actor`.
    ///
    /// With a `waiter`, an `rd` or `in` without a match waits under that id;
    /// without one it answers like `rdp` or `inp`. Whatever inserts a tuple
    /// first serves every waiting `rd` it matches and then the first waiting
    /// `in`, which takes it: such a tuple is never seen by anybody else.
    ///
    /// # Errors
    /// A [`Refusal`]; then nothing changed.
    pub fn apply(
        &mut self,
        actor: Actor<'_>,
        space: &SpaceName,
        operation: &Operation,
        waiter: Option<WaiterId>,
    ) -> Result<Applied, Refusal> {
        let applied = self.try_apply(actor, space, operation, waiter);
        if !self.undo.is_recording() {
            self.publish();
        }
        applied
    }

    fn try_apply(
        &mut self,
        actor: Actor<'_>,
        space: &SpaceName,
        operation: &Operation,
        waiter: Option<WaiterId>,
    ) -> Result<Applied, Refusal> {
        if !self.contains(space) {
            return Err(Refusal::NoSuchSpace);
        }
        Self::check_cursor(space, operation)?;
        let hold = self.hold(actor, operation)?;
        let within_ms = operation.within_ms();
        if within_ms.is_some_and(|ms| !(1..=MAX_LEASE_MS).contains(&ms)) {
            return Err(Refusal::WaitOutOfRange);
        }
        let end = within_ms.map(|ms| self.clock.end_after(ms));
        let see = Lookup::new(space, actor, Aim::See);
        let take = Lookup::new(space, actor, Aim::Take);
        let outcome = match operation {
            Operation::Out { tuple, .. } | Operation::OutTo { tuple, .. } => {
                let ties = Ties {
                    audience: narrowed_to(operation)?,
                    ..self.ties(actor, hold)
                };
                self.out(space, tuple, ties)?;
                Outcome::Done
            }
            Operation::Rdp { template } => Outcome::Match(self.read(see, template)?),
            Operation::Inp { template } => Outcome::Match(self.take(take, template)?),
            Operation::Rd { template, .. } => match (self.read(see, template)?, waiter) {
                (None, Some(id)) => return self.wait_as(see, template, Wants::Read, id, end),
                (found, _) => Outcome::Match(found),
            },
            Operation::In { template, .. } => match (self.take(take, template)?, waiter) {
                (None, Some(id)) => return self.wait_as(take, template, Wants::Take, id, end),
                (found, _) => Outcome::Match(found),
            },
            Operation::Cas {
                template, tuple, ..
            } => {
                let found = self.read(see, template)?;
                if found.is_none() {
                    self.out(space, tuple, self.ties(actor, hold))?;
                }
                Outcome::Match(found)
            }
            Operation::Replace {
                template, tuple, ..
            } => {
                let ties = self.ties(actor, hold);
                Outcome::Match(self.replace(take, template, tuple, ties)?)
            }
            Operation::RdAll {
                template,
                limit,
                after,
            } => self.page(see, template, *limit, after.as_ref())?.into(),
            Operation::InAll { template, limit } => self.take_all(take, template, *limit)?.into(),
            Operation::Count { template } => {
                Outcome::Count(self.look(see, |view, work| view.count(template, work))?)
            }
            Operation::Renew { template, lease_ms } => {
                Outcome::Match(self.renew(take, template, *lease_ms)?)
            }
            Operation::Watch {
                template,
                after,
                limit,
                ..
            } => {
                let watch = Watch {
                    template,
                    after: *after,
                    limit: *limit,
                    waiter,
                    end,
                };
                return self.watch(see, &watch);
            }
            Operation::Survey {
                template,
                limit,
                after,
            } => self.survey(see, template, *limit, after.as_ref())?,
        };
        Ok(Applied::Outcome(outcome))
    }

    /// Refuses to go on in a space where a page of another one ended.
    ///
    /// # Errors
    /// [`Refusal::CursorOfAnotherSpace`].
    pub fn check_cursor(space: &SpaceName, operation: &Operation) -> Result<(), Refusal> {
        match operation.cursor() {
            Some(cursor) if cursor.space != *space => Err(Refusal::CursorOfAnotherSpace),
            _ => Ok(()),
        }
    }

    /// Ends a wait; says whether there was one.
    pub fn cancel(&mut self, waiter: WaiterId) -> bool {
        match self.waiting.arrival_of(waiter) {
            Some(arrival) => {
                self.leave(arrival);
                true
            }
            None => false,
        }
    }

    /// Begins to remember changes, or marks a place among those remembered.
    pub fn savepoint(&mut self) -> Savepoint {
        self.undo.savepoint()
    }

    /// Undoes every change since `savepoint`: tuples, waiters, those served,
    /// spaces and the ids given out. Earlier changes can still be undone.
    ///
    /// # Panics
    /// When the savepoint has ended (by a commit, or a rollback to an earlier
    /// one): nobody could say then what state is meant.
    pub fn rollback(&mut self, savepoint: Savepoint) {
        let Some(changes) = self.undo.since(&savepoint) else {
            broken("a rollback to a savepoint that has ended");
        };
        for change in changes.into_iter().rev() {
            self.take_back(change);
        }
    }

    /// Makes every change permanent and ends all savepoints. What happened to tuples becomes
    /// events, and who waited for these has an answer: see [`Spaces::take_told`].
    pub fn commit(&mut self) {
        self.undo.commit();
        self.publish();
    }

    /// Number of tuples in `space`; 0 when it does not exist.
    #[must_use]
    pub fn tuples(&self, space: &SpaceName) -> u64 {
        self.spaces.get(space).map_or(0, Space::len)
    }

    /// Number of tuples in all spaces.
    #[must_use]
    pub const fn total_tuples(&self) -> u64 {
        self.tuples
    }

    /// What all tuples weigh: their canonical encodings, with their audiences.
    #[must_use]
    pub const fn total_bytes(&self) -> u64 {
        self.bytes
    }

    /// Number of operations that wait.
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.waiting.len()
    }

    /// All operations that wait, in order of arrival.
    pub fn waiting(&self) -> impl Iterator<Item = Wait<'_>> {
        self.waiting.all().map(|waiter| Wait {
            id: waiter.id,
            space: &waiter.space,
            template: &waiter.template,
            wants: waiter.wants,
            due_ms: waiter.end.map(|end| self.clock.due_ms(end)),
        })
    }

    /// Whether this waiter waits.
    #[must_use]
    pub fn is_waiting(&self, waiter: WaiterId) -> bool {
        self.waiting.contains(waiter)
    }

    /// Its bounds.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// How many tuples and waiters were looked at so far: what operations cost,
    /// free of any clock. For one operation it depends on the state and the
    /// operation alone, so it may be charged for.
    #[must_use]
    pub const fn examined(&self) -> u64 {
        self.examined
    }

    /// Looks into a space with somebody's eyes, counting the candidates.
    fn look<T>(
        &mut self,
        lookup: Lookup<'_>,
        look: impl FnOnce(View<'_>, &mut Work) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let space = self.spaces.get(lookup.space).ok_or(Refusal::NoSuchSpace)?;
        let view = space.seen_by(Viewer {
            client: lookup.viewer,
            groups: &self.groups,
            aim: lookup.aim,
        });
        let mut work = Work {
            examined: 0,
            allowed: self.limits.candidates,
        };
        let seen = look(view, &mut work);
        self.examined += work.examined;
        seen
    }

    fn read(&mut self, lookup: Lookup<'_>, template: &Template) -> Result<Option<Tuple>, Refusal> {
        self.look(lookup, |view, work| {
            Ok(view.oldest(template, work)?.map(|(_, tuple)| tuple.clone()))
        })
    }

    fn take(&mut self, lookup: Lookup<'_>, template: &Template) -> Result<Option<Tuple>, Refusal> {
        let found = self.oldest(lookup, template)?;
        Ok(found.map(|id| self.remove(lookup.space, template.arity(), id)))
    }

    fn take_all(
        &mut self,
        lookup: Lookup<'_>,
        template: &Template,
        limit: u32,
    ) -> Result<Page, Refusal> {
        let page = self.page(lookup, template, limit, None)?;
        for (id, _) in &page.found {
            self.remove(lookup.space, template.arity(), *id);
        }
        Ok(page)
    }

    fn oldest(
        &mut self,
        lookup: Lookup<'_>,
        template: &Template,
    ) -> Result<Option<TupleId>, Refusal> {
        self.look(lookup, |view, work| {
            Ok(view.oldest(template, work)?.map(|(id, _)| id))
        })
    }

    fn out(&mut self, space: &SpaceName, tuple: &Tuple, ties: Ties) -> Result<(), Refusal> {
        let arriving = self.admit(space, tuple, ties, None)?;
        self.insert(space, arriving);
        Ok(())
    }

    fn replace(
        &mut self,
        lookup: Lookup<'_>,
        template: &Template,
        tuple: &Tuple,
        ties: Ties,
    ) -> Result<Option<Tuple>, Refusal> {
        let space = lookup.space;
        let Some(id) = self.oldest(lookup, template)? else {
            return Ok(None);
        };
        let leaving = self.leaving(space, id);
        let arriving = self.admit(space, tuple, ties, leaving)?;
        let old = self.remove(space, template.arity(), id);
        self.insert(space, arriving);
        Ok(Some(old))
    }

    /// What room a tuple makes that will be gone.
    fn leaving(&self, space: &SpaceName, id: TupleId) -> Option<Leaving> {
        let space = self.spaces.get(space)?;
        let bytes = space.weight_of(id)?;
        let payer = space.payer_of(id);
        Some(Leaving { bytes, payer })
    }

    /// Up to a page of matches.
    fn page(
        &mut self,
        lookup: Lookup<'_>,
        template: &Template,
        limit: u32,
        after: Option<&Cursor>,
    ) -> Result<Page, Refusal> {
        if limit == 0 {
            return Err(Refusal::EmptyPage);
        }
        let most = limit.min(self.limits.page_tuples) as usize;
        let most_bytes = self.limits.page_bytes;
        let after = after.map(|cursor| cursor.after);
        self.look(lookup, |view, work| {
            let mut found = Vec::new();
            let mut last = None;
            let mut bytes = 0;
            for candidate in view.matches(template, after, work) {
                match candidate {
                    // One more than fits, or more than may be looked at: the
                    // next page begins here. One tuple always fits, so that a
                    // cursor never stands still.
                    Ok(_) if last.is_some() && (found.len() >= most || bytes >= most_bytes) => {
                        return Ok(Page { found, next: last });
                    }
                    Err(_) if last.is_some() => return Ok(Page { found, next: last }),
                    Err(refusal) => return Err(refusal),
                    Ok((id, tuple)) => {
                        bytes += tuple.encoded_len();
                        last = Some(id);
                        found.push((id, tuple.clone()));
                    }
                }
            }
            Ok(Page { found, next: None })
        })
    }

    /// Lets somebody wait who looked and found nothing.
    fn wait_as(
        &mut self,
        lookup: Lookup<'_>,
        template: &Template,
        wants: Wants,
        id: WaiterId,
        end: Option<End>,
    ) -> Result<Applied, Refusal> {
        self.wait(Waiter {
            id,
            space: lookup.space.clone(),
            template: template.clone(),
            wants,
            client: lookup.viewer.copied(),
            end,
        })
    }

    fn wait(&mut self, waiter: Waiter) -> Result<Applied, Refusal> {
        if self.waiting.contains(waiter.id) {
            return Err(Refusal::AlreadyWaiting);
        }
        let bytes = self.waiting.bytes() + waiter.template.encoded_len() as u64;
        if self.waiting.len() >= self.limits.waiters || bytes > self.limits.waiter_bytes {
            return Err(Refusal::TooManyWaiters);
        }
        let arrival = self.waiting.arrive(waiter);
        self.undo.record(|| Undo::Arrived(arrival));
        Ok(Applied::Waiting)
    }

    /// What a tuple for everybody hangs together with that `actor` inserts.
    fn ties(&self, actor: Actor<'_>, hold: Option<Hold>) -> Ties {
        let payer = actor.payer.filter(|payer| self.account(payer).is_some());
        Ties {
            hold,
            payer: payer.copied(),
            audience: None,
        }
    }

    /// Finds out whether `tuple` may come in and who gets it, once what is `leaving` has made
    /// room.
    fn admit(
        &mut self,
        space: &SpaceName,
        tuple: &Tuple,
        ties: Ties,
        leaving: Option<Leaving>,
    ) -> Result<Arriving, Refusal> {
        let keys = keys_of(tuple);
        let offer = Offer {
            tuple,
            audience: ties.audience.as_deref(),
            groups: &self.groups,
        };
        let examined = &mut self.examined;
        let matched = self.waiting.matching(space, offer, &keys, examined);
        let (weight, payer) = (ties.weigh(tuple), ties.payer);
        // A tuple that is taken on arrival needs no room.
        if matched.taker.is_none() {
            let freed = leaving.map(|leaving| leaving.bytes);
            if self.tuples - u64::from(freed.is_some()) >= self.limits.tuples {
                return Err(Refusal::TooManyTuples);
            }
            let bytes = self.bytes - freed.unwrap_or(0) + weight;
            if bytes > self.limits.bytes {
                return Err(Refusal::TooManyBytes);
            }
            if !self.space(space).has_room_for(weight, freed) {
                return Err(Refusal::SpaceFull);
            }
            if payer.is_some_and(|payer| !self.can_pay(&payer, weight, leaving)) {
                return Err(Refusal::ClientFull);
            }
        }
        let incoming = Incoming {
            tuple: tuple.clone(),
            keys,
            bytes: weight,
            ties,
        };
        Ok(Arriving { incoming, matched })
    }

    /// Carries out what [`Spaces::admit`] found.
    fn insert(&mut self, name: &SpaceName, arriving: Arriving) {
        let Arriving { incoming, matched } = arriving;
        let (tuple, ties) = (&incoming.tuple, &incoming.ties);
        self.last.0 += 1;
        self.undo.record(|| Undo::Numbered);
        let id = self.last;
        self.note(name, Happening::Inserted, id, tuple, ties);
        for arrival in matched.readers {
            self.deliver(arrival, id, tuple.clone(), None);
        }
        match matched.taker {
            Some(arrival) => {
                self.note(name, Happening::Taken, id, tuple, ties);
                let Incoming { tuple, ties, .. } = incoming;
                self.deliver(arrival, id, tuple, Some(ties));
            }
            None => {
                let arity = tuple.arity();
                self.put(name, id, incoming);
                self.undo.record(|| Undo::Inserted {
                    space: name.clone(),
                    arity,
                    id,
                });
            }
        }
    }

    fn leave(&mut self, arrival: Arrival) -> Waiter {
        let Some(waiter) = self.waiting.remove(arrival) else {
            broken("a waiter that is not there was to leave");
        };
        self.undo.record(|| Undo::Left(arrival, waiter.clone()));
        waiter
    }

    /// Takes the tuple `id`, which is there, out of its space, for somebody.
    fn remove(&mut self, name: &SpaceName, arity: usize, id: TupleId) -> Tuple {
        self.let_go(name, arity, id, Happening::Taken).tuple
    }

    /// Lets go of the tuple `id`, which is there, because of what happens to it.
    fn let_go(
        &mut self,
        name: &SpaceName,
        arity: usize,
        id: TupleId,
        happening: Happening,
    ) -> Removed {
        let removed = self.pull(name, arity, id);
        self.note(name, happening, id, &removed.tuple, &removed.ties);
        self.undo.record(|| Undo::Removed {
            space: name.clone(),
            id,
            removed: removed.clone(),
        });
        removed
    }

    fn put(&mut self, name: &SpaceName, id: TupleId, incoming: Incoming) {
        let (arity, bytes) = (incoming.tuple.arity(), incoming.bytes);
        let (hold, payer) = (incoming.ties.hold, incoming.ties.payer);
        self.tuples += 1;
        self.bytes += bytes;
        self.space(name).insert(id, incoming);
        if let Some(hold) = hold {
            self.attach(name, arity, id, hold);
        }
        if let Some(payer) = payer {
            self.charge(name, id, payer, bytes);
        }
    }

    fn pull(&mut self, name: &SpaceName, arity: usize, id: TupleId) -> Removed {
        let removed = self.space(name).remove(arity, id);
        let bytes = removed.ties.weigh(&removed.tuple);
        self.tuples -= 1;
        self.bytes -= bytes;
        if let Some(hold) = removed.ties.hold {
            self.detach(hold, id);
        }
        if let Some(payer) = removed.ties.payer {
            self.refund(&payer, bytes);
        }
        removed
    }

    fn space(&mut self, name: &SpaceName) -> &mut Space {
        match self.spaces.get_mut(name) {
            Some(space) => space,
            None => broken("a space vanished"),
        }
    }

    fn take_back(&mut self, change: Undo) {
        match change {
            Undo::Created(name) => {
                self.spaces.remove(&name);
            }
            Undo::Destroyed(name, quota) => {
                let mut space = Space::default();
                space.allow(quota);
                self.spaces.insert(name, space);
            }
            Undo::Allowed(name, quota) => {
                self.space(&name).allow(quota);
            }
            Undo::Numbered => self.last.0 -= 1,
            Undo::Inserted { space, arity, id } => {
                self.pull(&space, arity, id);
            }
            Undo::Removed { space, id, removed } => {
                self.put(&space, id, Incoming::new(removed.tuple, removed.ties));
            }
            Undo::Renewed {
                space,
                arity,
                id,
                before,
            } => {
                self.relet(&space, arity, id, before);
            }
            Undo::Arrived(arrival) => self.waiting.forget(arrival),
            Undo::Left(arrival, waiter) => self.waiting.restore(arrival, waiter),
            Undo::Delivery => {
                self.deliveries.pop();
                self.delivering.pop();
            }
            Undo::Happened => {
                self.happening.pop();
            }
            Undo::HandedOut(deliveries, delivering) => {
                (self.deliveries, self.delivering) = (deliveries, delivering)
            }
            Undo::Revoked(at, arrival) => {
                self.waiting.remove(arrival);
                if let Some(delivering) = self.delivering.get_mut(at) {
                    delivering.held = false;
                }
            }
        }
    }
}
