//! The dumb tuple space: one list of tuples, one list of those who wait.

mod hearing;

use std::{
    hash::{Hash as _, Hasher},
    sync::Arc,
};

use bezant_api::{Audience, Lists, Refused};
use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{
    Change, Event, Lease, MAX_LEASE_MS, Operation, Outcome, Quota, Refusal, SpaceName, TupleId,
    Wants,
};

use super::{
    access::Access,
    audience::{Look, wanted, weight},
    extensions::Programs,
};

/// A tick later than this tells of an outage, as in the real service.
const OUTAGE_MS: u64 = 30_000;

/// Most tuples in one page, as the real space has it by default.
pub(super) const PAGE_TUPLES: usize = 1_000;

/// Most events that are kept, as the real space has it by default. Their bytes are not
/// counted: no run makes so many.
const EVENTS: u64 = 16_384;

/// An operation that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Whose.
    pub session: u64,
    /// Which request waits.
    pub number: u64,
    /// Where.
    pub space: SpaceName,
    /// For what.
    pub template: Template,
    /// To what end.
    pub wants: Wants,
    /// When it waits no longer.
    pub due: Option<u64>,
}

/// A wait that ended with a tuple.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Whose.
    pub session: u64,
    /// Which request waited.
    pub number: u64,
    /// Where.
    pub space: SpaceName,
    /// What it got.
    pub tuple: Tuple,
}

/// A wait that ended refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Whose.
    pub session: u64,
    /// Which request waited.
    pub number: u64,
    /// Why.
    pub why: Refusal,
}

/// Something that happened to a tuple.
#[derive(Clone, Debug)]
struct Happened {
    space: SpaceName,
    change: Change,
    id: u64,
    tuple: Tuple,
    audience: Option<Audience>,
}

/// A watch that ended with events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whose.
    pub session: u64,
    /// Which request watched.
    pub number: u64,
    /// What it was told.
    pub outcome: Outcome,
}

/// A page of matches with their ids, and where the next begins.
type Matching = (Vec<(TupleId, Tuple)>, Option<TupleId>);

#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) id: u64,
    pub(super) space: SpaceName,
    pub(super) tuple: Tuple,
    /// When its lease ends.
    due: Option<u64>,
    /// The session it ends with.
    owner: Option<u64>,
    /// The client it counts against.
    payer: Option<[u8; 32]>,
    /// For whom it is, unless it is for everybody.
    pub(super) audience: Option<Audience>,
}

/// All spaces.
#[derive(Clone, Debug, Default)]
pub struct Spaces {
    names: Vec<SpaceName>,
    /// Oldest first.
    pub(super) tuples: Vec<Placed>,
    /// In order of arrival.
    waits: Arc<Vec<Wait>>,
    last: u64,
    now: u64,
    served: Vec<Served>,
    /// All that ever happened.
    events: Arc<Vec<Happened>>,
    /// What the present request did so far.
    happening: Vec<Happened>,
    told: Vec<Told>,
    refused: Vec<Ended>,
    pub(super) access: Arc<Access>,
    pub(super) programs: Arc<Programs>,
}

impl Spaces {
    /// The names, in order of creation.
    #[must_use]
    pub fn names(&self) -> &[SpaceName] {
        &self.names
    }

    /// How many tuples there are.
    #[must_use]
    pub fn tuples(&self) -> usize {
        self.tuples.len()
    }

    /// When the next lease or wait ends.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        let leases = self.tuples.iter().filter_map(|placed| placed.due);
        let waits = self.waits.iter().filter_map(|wait| wait.due);
        leases.chain(waits).min()
    }

    /// Agreed time.
    #[must_use]
    pub const fn now(&self) -> u64 {
        self.now
    }

    /// How much an outage took if a proposal with this time comes and something was `due`.
    #[must_use]
    pub fn outage(&self, proposed: u64, due: Option<u64>) -> u64 {
        let (last, now) = (self.now, proposed.max(self.now + 1));
        match due {
            Some(first) if now > first + OUTAGE_MS => {
                let began = if first > last + OUTAGE_MS {
                    first - OUTAGE_MS
                } else {
                    last
                };
                now - began
            }
            _ => 0,
        }
    }

    /// A proposal with this time is executed: agreed time is later than before, leases and
    /// waits are granted what an outage took, and those that ended are over. Gives the waits
    /// that ended: by when, then in order of arrival.
    pub fn pass_time(&mut self, proposed: u64, granted: u64) -> Vec<Wait> {
        self.now = proposed.max(self.now + 1);
        if granted > 0 {
            for placed in &mut self.tuples {
                placed.due = placed.due.map(|due| due + granted);
            }
            for wait in Arc::make_mut(&mut self.waits) {
                wait.due = wait.due.map(|due| due + granted);
            }
        }
        let now = self.now;
        let mut over: Vec<Placed> = Vec::new();
        self.tuples.retain(|placed| {
            let is_over = placed.due.is_some_and(|due| due <= now);
            over.extend(is_over.then(|| placed.clone()));
            !is_over
        });
        over.sort_by_key(|placed| placed.due);
        over.iter()
            .for_each(|placed| self.happens(placed, Change::Expired));
        self.publish();
        let is_over = |wait: &Wait| wait.due.is_some_and(|due| due <= now);
        let mut over: Vec<Wait> = self.waits.iter().filter(|w| is_over(w)).cloned().collect();
        if !over.is_empty() {
            Arc::make_mut(&mut self.waits).retain(|wait| !is_over(wait));
        }
        over.sort_by_key(|wait| wait.due);
        over
    }

    /// What a client's operation does: as [`Self::apply`], and the first `out` makes its space
    /// where the genesis says so.
    pub(crate) fn operate(
        &mut self,
        makes_spaces: bool,
        who: (u64, u64),
        space: &SpaceName,
        operation: &Operation,
    ) -> Result<Option<Outcome>, Refused> {
        if space.is_reserved() && !operation.is_read_only() {
            return Err(Refused::ReservedSpace);
        }
        let is_out = matches!(operation, Operation::Out { .. } | Operation::OutTo { .. });
        let is_new = makes_spaces && is_out && !self.names.contains(space);
        if is_new {
            self.create(who.0, space, Lists::open())?;
        }
        self.check(who.0, space, operation)?;
        self.judge(space, operation)?;
        let applied = self
            .run_instead(who, space, operation)
            .unwrap_or_else(|| self.apply(who, space, operation));
        // A space for what is refused is not made.
        if is_new && applied.is_err() {
            self.unmake(space);
        }
        applied
    }

    /// The operations that wait, in order of arrival.
    #[must_use]
    pub const fn waits(&self) -> &Arc<Vec<Wait>> {
        &self.waits
    }

    /// Makes a space.
    ///
    /// # Errors
    /// If it exists.
    pub fn create(&mut self, session: u64, name: &SpaceName, lists: Lists) -> Result<(), Refused> {
        if self.names.contains(name) {
            return Err(Refusal::SpaceExists.into());
        }
        self.names.push(name.clone());
        self.made(session, name, lists);
        Ok(())
    }

    /// A space is no more.
    pub(super) fn forget(&mut self, name: &SpaceName) {
        self.names.retain(|other| other != name);
    }

    /// How many tuples a space holds.
    pub(super) fn count_in(&self, name: &SpaceName) -> u64 {
        let here = self.tuples.iter().filter(|placed| placed.space == *name);
        here.count() as u64
    }

    /// How many bytes its tuples have.
    pub(super) fn bytes_in(&self, name: &SpaceName) -> u64 {
        let here = self.tuples.iter().filter(|placed| placed.space == *name);
        here.map(weight).sum()
    }

    /// Whether a tuple may come in, in place of another one if there is one. Where somebody
    /// waits to take it, it needs no room.
    fn room(
        &self,
        session: u64,
        name: &SpaceName,
        coming: &Placed,
        replaced: Option<&Placed>,
    ) -> Result<(), Refused> {
        let takes = |wait: &Wait| wait.wants == Wants::Take && self.suits(wait, coming);
        if self.waits.iter().any(takes) {
            return Ok(());
        }
        let is_full = |(count, bytes): (u64, u64), freed: Option<&Placed>, quota: Quota| {
            let freed_bytes = freed.map_or(0, weight);
            count - u64::from(freed.is_some()) >= quota.tuples
                || bytes - freed_bytes + weight(coming) > quota.bytes
        };
        let here = (self.count_in(name), self.bytes_in(name));
        if is_full(here, replaced, self.quota(name)) {
            return Err(Refusal::SpaceFull.into());
        }
        let payer = self.payer(session);
        let own = replaced.filter(|placed| placed.payer == payer);
        if let Some(payer) = payer
            && let Some(quota) = self.allotted(payer)
            && is_full(self.paid_by(payer), own, quota)
        {
            return Err(Refusal::ClientFull.into());
        }
        Ok(())
    }

    /// How many tuples count against a client, and their bytes.
    pub(super) fn paid_by(&self, client: [u8; 32]) -> (u64, u64) {
        let paid = self.tuples.iter();
        let paid = paid.filter(|placed| placed.payer == Some(client));
        paid.fold((0, 0), |(count, bytes), placed| {
            (count + 1, bytes + weight(placed))
        })
    }

    /// Nothing counts against this client any more.
    pub(super) fn pay_for_nothing(&mut self, client: [u8; 32]) {
        for placed in &mut self.tuples {
            placed.payer = placed.payer.filter(|payer| *payer != client);
        }
    }

    /// Ends a wait with a refusal.
    pub(super) fn refuse(&mut self, session: u64, number: u64, why: Refusal) {
        self.cancel(session, number);
        self.refused.push(Ended {
            session,
            number,
            why,
        });
    }

    /// The waits that ended refused since the last call, in order.
    pub fn take_refused(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.refused)
    }

    /// Applies an operation of request `number` of `session`; `None` if it waits now.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn apply(
        &mut self,
        (session, number): (u64, u64),
        space: &SpaceName,
        operation: &Operation,
    ) -> Result<Option<Outcome>, Refused> {
        if !self.names.contains(space) {
            return Err(Refusal::NoSuchSpace.into());
        }
        let cursor = match operation {
            Operation::RdAll { after, .. } | Operation::Survey { after, .. } => after.as_ref(),
            _ => None,
        };
        if cursor.is_some_and(|cursor| cursor.space != *space) {
            return Err(Refusal::CursorOfAnotherSpace.into());
        }
        let after = cursor.map_or(0, |cursor| cursor.after.0);
        let lease = match operation.lease() {
            Some(Lease::Ms(ms)) if ms == 0 || ms > MAX_LEASE_MS => {
                return Err(Refusal::LeaseOutOfRange.into());
            }
            // Sessions count from 1.
            Some(Lease::Session) if session == 0 => return Err(Refusal::NoOwner.into()),
            lease => (lease.unwrap_or_default(), session),
        };
        let within = operation.within_ms();
        if within.is_some_and(|ms| ms == 0 || ms > MAX_LEASE_MS) {
            return Err(Refusal::WaitOutOfRange.into());
        }
        let outcome = match operation {
            Operation::Out { tuple, .. } | Operation::OutTo { tuple, .. } => {
                let coming = Placed {
                    audience: wanted(operation)?,
                    ..self.coming(space, tuple, lease)
                };
                self.room(session, space, &coming, None)?;
                self.insert(coming);
                Outcome::Done
            }
            Operation::Watch {
                template,
                after,
                limit,
                ..
            } => {
                if *limit == 0 {
                    return Err(Refusal::EmptyPage.into());
                }
                let newest = self.events.len() as u64;
                let Some(after) = *after else {
                    return Ok(Some(self.nothing_happened()));
                };
                if after > newest {
                    return Err(Refusal::NoSuchEvent.into());
                }
                let first = (newest + 1).saturating_sub(EVENTS).max(1);
                if after + 1 < first {
                    return Ok(Some(Outcome::Compacted { first }));
                }
                let told = self.tell(session, space, template, *limit, after);
                if told.is_none() && number != 0 {
                    Arc::make_mut(&mut self.waits).push(Wait {
                        session,
                        number,
                        space: space.clone(),
                        template: template.clone(),
                        wants: Wants::Watch { limit: *limit },
                        due: within.map(|ms| self.now + ms),
                    });
                    return Ok(None);
                }
                told.unwrap_or_else(|| self.nothing_happened())
            }
            Operation::Survey {
                template, limit, ..
            } => {
                let page =
                    self.matching_page(Look::sees(session), space, template, *limit, after)?;
                Outcome::Survey {
                    found: page.0,
                    next: page.1,
                    newest: (self.events.len() + self.happening.len()) as u64,
                }
            }
            Operation::Rdp { template } => {
                Outcome::Match(self.read(Look::sees(session), space, template))
            }
            Operation::Inp { template } => {
                Outcome::Match(self.take(Look::takes(session), space, template))
            }
            Operation::Rd { template, .. } | Operation::In { template, .. } => {
                let takes = matches!(operation, Operation::In { .. });
                let found = if takes {
                    self.take(Look::takes(session), space, template)
                } else {
                    self.read(Look::sees(session), space, template)
                };
                if found.is_none() {
                    Arc::make_mut(&mut self.waits).push(Wait {
                        session,
                        number,
                        space: space.clone(),
                        template: template.clone(),
                        wants: if takes { Wants::Take } else { Wants::Read },
                        due: within.map(|ms| self.now + ms),
                    });
                    return Ok(None);
                }
                Outcome::Match(found)
            }
            Operation::Cas {
                template, tuple, ..
            } => {
                let found = self.read(Look::sees(session), space, template);
                if found.is_none() {
                    let coming = self.coming(space, tuple, lease);
                    self.room(session, space, &coming, None)?;
                    self.insert(coming);
                }
                Outcome::Match(found)
            }
            Operation::Replace {
                template, tuple, ..
            } => {
                let look = Look::takes(session);
                let coming = self.coming(space, tuple, lease);
                if let Some((_, old)) = self.placed(look, space, template).next() {
                    self.room(session, space, &coming, Some(old))?;
                }
                let found = self.take(look, space, template);
                if found.is_some() {
                    self.insert(coming);
                }
                Outcome::Match(found)
            }
            Operation::RdAll {
                template, limit, ..
            } => self.page(Look::sees(session), space, template, *limit, after)?,
            Operation::InAll { template, limit } => {
                self.page(Look::takes(session), space, template, *limit, 0)?
            }
            Operation::Count { template } => {
                let matches = self.matches(Look::sees(session), space, template);
                Outcome::Count(matches.count() as u64)
            }
            Operation::Renew { template, lease_ms } => {
                let found = self
                    .matches(Look::takes(session), space, template)
                    .find(|(index, ..)| self.tuples[*index].due.is_some())
                    .map(|(index, _, tuple)| (index, tuple.clone()));
                let ends = self.now + lease_ms;
                Outcome::Match(found.map(|(index, tuple)| {
                    self.tuples[index].due = Some(ends);
                    tuple
                }))
            }
        };
        Ok(Some(outcome))
    }

    /// The waits that ended since the last call, in order.
    pub fn take_served(&mut self) -> Vec<Served> {
        std::mem::take(&mut self.served)
    }

    /// Whether this request waits.
    #[must_use]
    pub fn is_waiting(&self, session: u64, number: u64) -> bool {
        let mut waits = self.waits.iter();
        waits.any(|wait| (wait.session, wait.number) == (session, number))
    }

    /// Feeds what decides all later answers to `hasher`, but for the identities of tuples,
    /// and in one spelling: what happened in one space leaves no trace in another.
    pub fn essence(&self, hasher: &mut impl Hasher) {
        let mut names: Vec<&SpaceName> = self.names.iter().collect();
        names.sort_unstable();
        for name in names {
            name.hash(hasher);
            for placed in self.tuples.iter().filter(|placed| placed.space == *name) {
                (&placed.tuple, placed.due, placed.owner, &placed.audience).hash(hasher);
            }
            hasher.write_u8(1);
            for wait in self.waits.iter().filter(|wait| wait.space == *name) {
                (wait.session, wait.number, wait.due).hash(hasher);
            }
            hasher.write_u8(2);
        }
    }

    /// Ends a wait; says whether there was one.
    pub fn cancel(&mut self, session: u64, number: u64) -> bool {
        let at = |wait: &Wait| (wait.session, wait.number) == (session, number);
        let Some(at) = self.waits.iter().position(at) else {
            return false;
        };
        Arc::make_mut(&mut self.waits).remove(at);
        true
    }

    /// All that a session had ends.
    pub fn end_owner(&mut self, session: u64) {
        Arc::make_mut(&mut self.waits).retain(|wait| wait.session != session);
        let mut own: Vec<Placed> = Vec::new();
        self.tuples.retain(|placed| {
            let is_own = placed.owner == Some(session);
            own.extend(is_own.then(|| placed.clone()));
            !is_own
        });
        own.iter()
            .for_each(|placed| self.happens(placed, Change::Expired));
    }

    pub(super) fn happens(&mut self, placed: &Placed, change: Change) {
        self.happening.push(Happened {
            space: placed.space.clone(),
            change,
            id: placed.id,
            tuple: placed.tuple.clone(),
            audience: placed.audience.clone(),
        });
    }

    /// Whether a tuple is what somebody waits for.
    fn suits(&self, wait: &Wait, coming: &Placed) -> bool {
        let look = Look {
            session: wait.session,
            takes: wait.wants == Wants::Take,
        };
        wait.space == coming.space
            && wait.template.matches(&coming.tuple)
            && self.meets(look, coming.audience.as_ref())
    }

    /// What a watch answers to which nothing happened.
    fn nothing_happened(&self) -> Outcome {
        let newest = self.events.len() as u64;
        Outcome::Events {
            events: Vec::new(),
            next: newest,
            newest,
        }
    }

    /// What a wait answers whose time is up.
    #[must_use]
    pub fn nothing(&self, wait: &Wait) -> Outcome {
        match wait.wants {
            Wants::Read | Wants::Take => Outcome::Match(None),
            Wants::Watch { .. } => self.nothing_happened(),
        }
    }

    /// What happened after an event, if anything did.
    fn tell(
        &self,
        session: u64,
        space: &SpaceName,
        template: &Template,
        limit: u32,
        after: u64,
    ) -> Option<Outcome> {
        let all = (1..).zip(self.events.iter());
        let all = all.filter(|(number, happened)| {
            *number > after
                && happened.space == *space
                && template.matches(&happened.tuple)
                && self.meets(Look::sees(session), happened.audience.as_ref())
        });
        let mut events: Vec<Event> = all
            .map(|(number, happened)| Event {
                number,
                change: happened.change,
                id: TupleId(happened.id),
                tuple: happened.tuple.clone(),
            })
            .collect();
        let most = usize::try_from(limit).map_or(PAGE_TUPLES, |limit| limit.min(PAGE_TUPLES));
        let newest = self.events.len() as u64;
        let is_all = events.len() <= most;
        events.truncate(most);
        let last = events.last()?.number;
        let next = if is_all { newest } else { last };
        Some(Outcome::Events {
            events,
            next,
            newest,
        })
    }

    /// What the present request did is heard by extensions and becomes events, and those who
    /// watch are told.
    pub fn publish(&mut self) {
        self.react();
        if self.happening.is_empty() {
            return;
        }
        let before = self.events.len() as u64;
        Arc::make_mut(&mut self.events).append(&mut self.happening);
        let waits = Arc::clone(&self.waits);
        for wait in waits.iter() {
            if let Wants::Watch { limit } = wait.wants
                && let (session, number) = (wait.session, wait.number)
                && let Some(outcome) =
                    self.tell(session, &wait.space, &wait.template, limit, before)
            {
                self.cancel(session, number);
                self.told.push(Told {
                    session,
                    number,
                    outcome,
                });
            }
        }
    }

    /// The watches that ended with events since the last call, in order.
    pub fn take_told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    fn matches<'a>(
        &'a self,
        look: Look,
        space: &'a SpaceName,
        template: &'a Template,
    ) -> impl Iterator<Item = (usize, u64, &'a Tuple)> {
        let placed = self.placed(look, space, template);
        placed.map(|(index, placed)| (index, placed.id, &placed.tuple))
    }

    fn placed<'a>(
        &'a self,
        look: Look,
        space: &'a SpaceName,
        template: &'a Template,
    ) -> impl Iterator<Item = (usize, &'a Placed)> {
        let all = self.tuples.iter().enumerate();
        all.filter(move |(_, placed)| {
            placed.space == *space
                && template.matches(&placed.tuple)
                && self.meets(look, placed.audience.as_ref())
        })
    }

    pub(super) fn read(&self, look: Look, space: &SpaceName, template: &Template) -> Option<Tuple> {
        let found = self.matches(look, space, template).next();
        found.map(|(_, _, tuple)| tuple.clone())
    }

    pub(super) fn take(
        &mut self,
        look: Look,
        space: &SpaceName,
        template: &Template,
    ) -> Option<Tuple> {
        let (index, ..) = self.matches(look, space, template).next()?;
        let placed = self.tuples.remove(index);
        self.happens(&placed, Change::Taken);
        Some(placed.tuple)
    }

    fn matching_page(
        &self,
        look: Look,
        space: &SpaceName,
        template: &Template,
        limit: u32,
        after: u64,
    ) -> Result<Matching, Refused> {
        if limit == 0 {
            return Err(Refusal::EmptyPage.into());
        }
        let most = usize::try_from(limit).map_or(PAGE_TUPLES, |limit| limit.min(PAGE_TUPLES));
        let mut found: Vec<(TupleId, Tuple)> = self
            .matches(look, space, template)
            .filter(|(_, id, _)| *id > after)
            .map(|(_, id, tuple)| (TupleId(id), tuple.clone()))
            .take(most + 1)
            .collect();
        let more = found.len() > most;
        found.truncate(most);
        let next = found.last().filter(|_| more).map(|(id, _)| *id);
        Ok((found, next))
    }

    fn page(
        &mut self,
        look: Look,
        space: &SpaceName,
        template: &Template,
        limit: u32,
        after: u64,
    ) -> Result<Outcome, Refused> {
        let (page, next) = self.matching_page(look, space, template, limit, after)?;
        for (taken, _) in page.iter().filter(|_| look.takes) {
            if let Some(at) = self.tuples.iter().position(|placed| placed.id == taken.0) {
                let placed = self.tuples.remove(at);
                self.happens(&placed, Change::Taken);
            }
        }
        let tuples = page.into_iter().map(|(_, tuple)| tuple).collect();
        Ok(Outcome::Page { tuples, next })
    }

    /// A tuple on its way in, for everybody.
    pub(super) fn coming(
        &self,
        space: &SpaceName,
        tuple: &Tuple,
        (lease, session): (Lease, u64),
    ) -> Placed {
        Placed {
            id: self.last + 1,
            space: space.clone(),
            tuple: tuple.clone(),
            due: match lease {
                Lease::Ms(ms) => Some(self.now + ms),
                Lease::Forever | Lease::Session => None,
            },
            owner: (lease == Lease::Session).then_some(session),
            payer: self.payer(session),
            audience: None,
        }
    }

    pub(super) fn insert(&mut self, placed: Placed) {
        self.last = placed.id;
        let waits = Arc::clone(&self.waits);
        let of = |wants| {
            let waits = waits.iter().filter(move |wait| wait.wants == wants);
            waits.filter(|wait| self.suits(wait, &placed))
        };
        let readers: Vec<&Wait> = of(Wants::Read).collect();
        let taker = of(Wants::Take).next();
        for wait in readers.into_iter().chain(taker) {
            self.serve(wait, &placed.tuple);
        }
        self.happens(&placed, Change::Inserted);
        if taker.is_some() {
            self.happens(&placed, Change::Taken);
        } else {
            self.tuples.push(placed);
        }
    }

    /// A wait ends with a tuple.
    pub(super) fn serve(&mut self, wait: &Wait, tuple: &Tuple) {
        self.cancel(wait.session, wait.number);
        self.served.push(Served {
            session: wait.session,
            number: wait.number,
            space: wait.space.clone(),
            tuple: tuple.clone(),
        });
    }
}
