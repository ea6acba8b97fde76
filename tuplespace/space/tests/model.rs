//! The spaces beside a dumb model: a vector and a linear scan, copied whole at
//! every savepoint.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

mod common;

use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{
    Applied, Change, Ended, Event, Lease, Limits, MAX_LEASE_MS, Operation, OperationKind, Outcome,
    Refusal, Savepoint, Served, SpaceName, Spaces, TupleId, WaiterId,
};
use common::{TIGHT, WIDE, content, name, operation, restored, space, tuple};
use proptest::{prelude::*, sample::Index};

#[derive(Clone, Debug)]
struct Waiter {
    id: WaiterId,
    space: SpaceName,
    template: Template,
    kind: OperationKind,
    due: Option<u64>,
    /// Of a watch.
    limit: u32,
}

/// A tuple in its place.
#[derive(Clone, Debug)]
struct Placed {
    id: u64,
    space: SpaceName,
    tuple: Tuple,
    /// When its lease ends.
    due: Option<u64>,
    owner: Option<u64>,
}

/// What the documentation promises, spelled in the plainest way.
#[derive(Clone, Debug)]
struct Model {
    limits: Limits,
    spaces: Vec<SpaceName>,
    tuples: Vec<Placed>,
    waiters: Vec<Waiter>,
    served: Vec<Served>,
    last: u64,
    now: u64,
    /// Who acts.
    owner: Option<u64>,
    /// What happened and may be undone.
    happening: Vec<(SpaceName, Change, u64, Tuple)>,
    /// All that ever happened.
    events: Vec<(SpaceName, Change, u64, Tuple)>,
    told: Vec<(WaiterId, Outcome)>,
    /// Whether changes may be undone.
    recording: bool,
}

impl Model {
    const fn new(limits: Limits) -> Self {
        Self {
            limits,
            spaces: Vec::new(),
            tuples: Vec::new(),
            waiters: Vec::new(),
            served: Vec::new(),
            last: 0,
            now: 0,
            owner: None,
            happening: Vec::new(),
            events: Vec::new(),
            told: Vec::new(),
            recording: false,
        }
    }

    fn create(&mut self, space: &SpaceName) -> Result<(), Refusal> {
        if self.spaces.contains(space) {
            return Err(Refusal::SpaceExists);
        }
        if self.spaces.len() == self.limits.spaces {
            return Err(Refusal::TooManySpaces);
        }
        self.spaces.push(space.clone());
        Ok(())
    }

    /// Places of the matches in `tuples`.
    fn matches(&self, space: &SpaceName, template: &Template) -> Vec<usize> {
        let matches = |at: &usize| {
            self.tuples[*at].space == *space && template.matches(&self.tuples[*at].tuple)
        };
        (0..self.tuples.len()).filter(matches).collect()
    }

    fn bytes(&self) -> u64 {
        let lengths = self.tuples.iter().map(|placed| placed.tuple.encoded_len());
        lengths.sum::<usize>() as u64
    }

    fn insert(
        &mut self,
        space: &SpaceName,
        tuple: &Tuple,
        lease: Option<Lease>,
    ) -> Result<(), Refusal> {
        let (wanting, others): (Vec<Waiter>, Vec<Waiter>) =
            self.waiters.drain(..).partition(|waiter| {
                waiter.kind != OperationKind::Watch
                    && waiter.space == *space
                    && waiter.template.matches(tuple)
            });
        let (readers, mut takers): (Vec<Waiter>, Vec<Waiter>) = wanting
            .into_iter()
            .partition(|waiter| waiter.kind == OperationKind::Rd);
        if takers.is_empty() {
            if self.tuples.len() as u64 == self.limits.tuples {
                return Err(Refusal::TooManyTuples);
            }
            if self.bytes() + tuple.encoded_len() as u64 > self.limits.bytes {
                return Err(Refusal::TooManyBytes);
            }
        }
        self.last += 1;
        let taker = (!takers.is_empty()).then(|| takers.remove(0));
        self.note(space, Change::Inserted, self.last, tuple);
        if taker.is_some() {
            self.note(space, Change::Taken, self.last, tuple);
        }
        if taker.is_none() {
            self.tuples.push(Placed {
                id: self.last,
                space: space.clone(),
                tuple: tuple.clone(),
                due: match lease {
                    Some(Lease::Ms(ms)) => Some(self.now + ms),
                    _ => None,
                },
                owner: match lease {
                    Some(Lease::Session) => self.owner,
                    _ => None,
                },
            });
        }
        for waiter in readers.into_iter().chain(taker) {
            self.served.push(Served {
                waiter: waiter.id,
                space: space.clone(),
                kind: waiter.kind,
                id: TupleId(self.last),
                tuple: tuple.clone(),
            });
        }
        // Arrival is the order of request numbers here.
        self.waiters = others.into_iter().chain(takers).collect();
        self.waiters.sort_by_key(|waiter| waiter.id.number);
        Ok(())
    }

    /// Places of a page of matches, and the cursor to the next.
    fn page(
        &self,
        space: &SpaceName,
        template: &Template,
        limit: u32,
        after: u64,
    ) -> (Vec<usize>, Option<TupleId>) {
        let mut all = self.matches(space, template);
        all.retain(|at| self.tuples[*at].id > after);
        let mut page = Vec::new();
        let mut bytes = 0;
        for at in &all {
            if page.len() == limit.min(self.limits.page_tuples) as usize
                || bytes >= self.limits.page_bytes
            {
                break;
            }
            bytes += self.tuples[*at].tuple.encoded_len();
            page.push(*at);
        }
        let more = page.len() < all.len();
        let last = page.last().filter(|_| more);
        let next = last.map(|at| TupleId(self.tuples[*at].id));
        (page, next)
    }

    fn apply(
        &mut self,
        space: &SpaceName,
        operation: &Operation,
        waiter: Option<WaiterId>,
    ) -> Result<Applied, Refusal> {
        let before = self.clone();
        let result = self.try_apply(space, operation, waiter);
        if result.is_err() {
            *self = before;
        }
        if !self.recording {
            self.publish();
        }
        result
    }

    fn try_apply(
        &mut self,
        space: &SpaceName,
        operation: &Operation,
        waiter: Option<WaiterId>,
    ) -> Result<Applied, Refusal> {
        if !self.spaces.contains(space) {
            return Err(Refusal::NoSuchSpace);
        }
        let lease = operation.lease();
        match lease {
            Some(Lease::Ms(ms)) if ms == 0 || ms > MAX_LEASE_MS => {
                return Err(Refusal::LeaseOutOfRange);
            }
            Some(Lease::Session) if self.owner.is_none() => return Err(Refusal::NoOwner),
            _ => {}
        }
        let within_ms = operation.within_ms();
        if within_ms.is_some_and(|ms| ms == 0 || ms > MAX_LEASE_MS) {
            return Err(Refusal::WaitOutOfRange);
        }
        let template = operation.template();
        let oldest = template.and_then(|template| self.matches(space, template).first().copied());
        let found = oldest.map(|at| self.tuples[at].tuple.clone());
        let outcome = match operation {
            Operation::Out { tuple, .. } => {
                self.insert(space, tuple, lease)?;
                Outcome::Done
            }
            Operation::Rd { template, .. } | Operation::In { template, .. }
                if oldest.is_none() && waiter.is_some() =>
            {
                let due = within_ms.map(|ms| self.now + ms);
                return self.wait(space, template, operation.kind(), (waiter.unwrap(), due, 0));
            }
            Operation::Rdp { .. } | Operation::Rd { .. } => Outcome::Match(found),
            Operation::Inp { .. } | Operation::In { .. } => {
                oldest.map(|at| self.take(at));
                Outcome::Match(found)
            }
            Operation::Cas { tuple, .. } => {
                if oldest.is_none() {
                    self.insert(space, tuple, lease)?;
                }
                Outcome::Match(found)
            }
            Operation::Replace { tuple, .. } => {
                if let Some(at) = oldest {
                    self.take(at);
                    self.insert(space, tuple, lease)?;
                }
                Outcome::Match(found)
            }
            Operation::RdAll { limit: 0, .. } | Operation::InAll { limit: 0, .. } => {
                return Err(Refusal::EmptyPage);
            }
            Operation::RdAll {
                template,
                limit,
                after,
            } => {
                let after = after.map_or(0, |id| id.0);
                let (page, next) = self.page(space, template, *limit, after);
                let tuple = |at: &usize| self.tuples[*at].tuple.clone();
                let tuples = page.iter().map(tuple).collect();
                Outcome::Page { tuples, next }
            }
            Operation::InAll { template, limit } => {
                let (page, next) = self.page(space, template, *limit, 0);
                // Each that goes moves those behind it.
                let places = page.iter().enumerate();
                let tuples = places.map(|(gone, at)| self.take(at - gone)).collect();
                Outcome::Page { tuples, next }
            }
            Operation::Count { template } => {
                Outcome::Count(self.matches(space, template).len() as u64)
            }
            Operation::Watch { limit: 0, .. } | Operation::Survey { limit: 0, .. } => {
                return Err(Refusal::EmptyPage);
            }
            Operation::Watch { after: None, .. } => self.nothing_happened(),
            Operation::Watch {
                after: Some(after), ..
            } if *after > self.events.len() as u64 => return Err(Refusal::NoSuchEvent),
            Operation::Watch {
                after: Some(after), ..
            } if after + 1 < self.first_event() => Outcome::Compacted {
                first: self.first_event(),
            },
            Operation::Watch {
                template,
                after: Some(after),
                limit,
                ..
            } => {
                let (events, next) = self.tell(space, template, *limit, *after);
                if let Some(id) = waiter.filter(|_| events.is_empty()) {
                    let due = within_ms.map(|ms| self.now + ms);
                    let kind = OperationKind::Watch;
                    return self.wait(space, template, kind, (id, due, *limit));
                }
                let newest = self.events.len() as u64;
                Outcome::Events {
                    events,
                    next,
                    newest,
                }
            }
            Operation::Survey {
                template,
                limit,
                after,
            } => {
                let after = after.map_or(0, |id| id.0);
                let (page, next) = self.page(space, template, *limit, after);
                let found = |at: &usize| {
                    let placed = &self.tuples[*at];
                    (TupleId(placed.id), placed.tuple.clone())
                };
                Outcome::Survey {
                    found: page.iter().map(found).collect(),
                    next,
                    newest: self.events.len() as u64,
                }
            }
            Operation::Renew { template, lease_ms } => {
                let mut matches = self.matches(space, template).into_iter();
                let leased = matches.find(|at| self.tuples[*at].due.is_some());
                Outcome::Match(leased.map(|at| {
                    self.tuples[at].due = Some(self.now + lease_ms);
                    self.tuples[at].tuple.clone()
                }))
            }
        };
        Ok(Applied::Outcome(outcome))
    }

    fn wait(
        &mut self,
        space: &SpaceName,
        template: &Template,
        kind: OperationKind,
        (id, due, limit): (WaiterId, Option<u64>, u32),
    ) -> Result<Applied, Refusal> {
        if self.waiters.iter().any(|other| other.id == id) {
            return Err(Refusal::AlreadyWaiting);
        }
        let lengths = self
            .waiters
            .iter()
            .map(|other| other.template.encoded_len());
        let bytes = lengths.sum::<usize>() + template.encoded_len();
        if self.waiters.len() == self.limits.waiters || bytes as u64 > self.limits.waiter_bytes {
            return Err(Refusal::TooManyWaiters);
        }
        self.waiters.push(Waiter {
            id,
            space: space.clone(),
            template: template.clone(),
            kind,
            due,
            limit,
        });
        Ok(Applied::Waiting)
    }

    fn note(&mut self, space: &SpaceName, change: Change, id: u64, tuple: &Tuple) {
        let happened = (space.clone(), change, id, tuple.clone());
        self.happening.push(happened);
    }

    /// Takes the tuple in this place.
    fn take(&mut self, at: usize) -> Tuple {
        let Placed {
            id, space, tuple, ..
        } = self.tuples.remove(at);
        self.note(&space, Change::Taken, id, &tuple);
        tuple
    }

    /// Lets go of tuples that nobody took, in this order.
    fn expire(&mut self, mut places: Vec<usize>) {
        for at in &places {
            let Placed {
                id, space, tuple, ..
            } = self.tuples[*at].clone();
            self.note(&space, Change::Expired, id, &tuple);
        }
        places.sort_unstable();
        for at in places.into_iter().rev() {
            self.tuples.remove(at);
        }
    }

    /// The number of the oldest event that is kept.
    fn first_event(&self) -> u64 {
        let (mut first, mut bytes) = (self.events.len() as u64 + 1, 0);
        for (count, (.., tuple)) in self.events.iter().rev().enumerate() {
            bytes += tuple.encoded_len() as u64;
            if count == self.limits.events || bytes > self.limits.event_bytes {
                break;
            }
            first -= 1;
        }
        first
    }

    fn nothing_happened(&self) -> Outcome {
        let newest = self.events.len() as u64;
        Outcome::Events {
            events: Vec::new(),
            next: newest,
            newest,
        }
    }

    /// What happened after an event, and where to go on.
    fn tell(
        &self,
        space: &SpaceName,
        template: &Template,
        limit: u32,
        after: u64,
    ) -> (Vec<Event>, u64) {
        let most = limit.min(self.limits.page_tuples) as usize;
        let (mut told, mut bytes): (Vec<Event>, usize) = (Vec::new(), 0);
        for (number, (place, change, id, tuple)) in (1..).zip(&self.events) {
            if number <= after || place != space || !template.matches(tuple) {
                continue;
            }
            if !told.is_empty() && (told.len() == most || bytes >= self.limits.page_bytes) {
                let next = told.last().unwrap().number;
                return (told, next);
            }
            bytes += tuple.encoded_len();
            told.push(Event {
                number,
                change: *change,
                id: TupleId(*id),
                tuple: tuple.clone(),
            });
        }
        (told, self.events.len() as u64)
    }

    fn publish(&mut self) {
        let before = self.events.len() as u64;
        self.events.append(&mut self.happening);
        let newest = self.events.len() as u64;
        for waiter in std::mem::take(&mut self.waiters) {
            let (events, next) = match waiter.kind {
                OperationKind::Watch => {
                    self.tell(&waiter.space, &waiter.template, waiter.limit, before)
                }
                _ => (Vec::new(), 0),
            };
            if events.is_empty() {
                self.waiters.push(waiter);
            } else {
                let outcome = Outcome::Events {
                    events,
                    next,
                    newest,
                };
                self.told.push((waiter.id, outcome));
            }
        }
    }

    /// What a wait answers that is over.
    fn nothing(&self, waiter: &Waiter) -> (WaiterId, Outcome) {
        match waiter.kind {
            OperationKind::Watch => (waiter.id, self.nothing_happened()),
            _ => (waiter.id, Outcome::Match(None)),
        }
    }

    fn advance(&mut self, by: u64) -> Ended {
        self.recording = false;
        self.publish();
        self.now += by;
        let now = self.now;
        let is_over = |due: Option<u64>| due.is_some_and(|due| due <= now);
        let places = 0..self.tuples.len();
        let mut over: Vec<usize> = places.filter(|at| is_over(self.tuples[*at].due)).collect();
        over.sort_by_key(|at| self.tuples[*at].due);
        let tuples = over.len() as u64;
        self.expire(over);
        self.publish();
        let (mut over, others): (Vec<Waiter>, Vec<Waiter>) = self
            .waiters
            .drain(..)
            .partition(|waiter| is_over(waiter.due));
        self.waiters = others;
        over.sort_by_key(|waiter| waiter.due);
        Ended {
            tuples,
            waits: over.iter().map(|waiter| self.nothing(waiter)).collect(),
        }
    }

    fn due(&self) -> Option<u64> {
        let leases = self.tuples.iter().filter_map(|placed| placed.due);
        let waits = self.waiters.iter().filter_map(|waiter| waiter.due);
        leases.chain(waits).min()
    }

    fn end_owner(&mut self, owner: u64) -> Ended {
        let own = self
            .waiters
            .iter()
            .filter(|waiter| waiter.id.owner == owner);
        let waits = own.map(|waiter| self.nothing(waiter)).collect();
        self.waiters.retain(|waiter| waiter.id.owner != owner);
        let places = 0..self.tuples.len();
        let own: Vec<usize> = places
            .filter(|at| self.tuples[*at].owner == Some(owner))
            .collect();
        let tuples = own.len() as u64;
        self.expire(own);
        if !self.recording {
            self.publish();
        }
        Ended { tuples, waits }
    }

    fn cancel(&mut self, gone: impl Fn(WaiterId) -> bool) -> usize {
        let before = self.waiters.len();
        self.waiters.retain(|waiter| !gone(waiter.id));
        before - self.waiters.len()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Create(SpaceName),
    /// With the owner under which to wait, if at all.
    Apply(SpaceName, Operation, Option<u64>),
    /// Cancels a wait, or what is none.
    Cancel(Index),
    EndOwner(u64),
    TakeServed,
    /// Time goes on by so much.
    Advance(u64),
    /// Every lease is extended by so much.
    Extend(u64),
    Savepoint,
    Rollback(Index),
    Commit,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => space().prop_map(Step::Create),
        40 => (space(), operation(), prop::option::weighted(0.8, 0u64..3))
            .prop_map(|(space, operation, owner)| Step::Apply(space, operation, owner)),
        2 => any::<Index>().prop_map(Step::Cancel),
        1 => (0u64..3).prop_map(Step::EndOwner),
        2 => Just(Step::TakeServed),
        3 => prop_oneof![4 => 0u64..40, 1 => 0u64..300].prop_map(Step::Advance),
        1 => (0u64..60).prop_map(Step::Extend),
        3 => Just(Step::Savepoint),
        2 => any::<Index>().prop_map(Step::Rollback),
        1 => Just(Step::Commit),
    ]
}

/// What a savepoint must restore.
struct Saved {
    savepoint: Savepoint,
    model: Model,
    content: (Vec<u8>, Vec<Served>),
    done: usize,
}

/// Spaces and model under the same steps.
struct Twins {
    spaces: Spaces,
    model: Model,
    saved: Vec<Saved>,
    /// The steps that were not undone, with the waiter each is about.
    done: Vec<(Step, Option<WaiterId>)>,
    /// The number of the next wait; undone by nothing, as requests are not.
    next: u64,
}

impl Twins {
    fn new(limits: Limits) -> Self {
        Self {
            spaces: Spaces::new(limits),
            model: Model::new(limits),
            saved: Vec::new(),
            done: Vec::new(),
            next: 0,
        }
    }

    fn step(&mut self, step: Step) {
        let mut waiter = None;
        match &step {
            Step::Create(space) => {
                assert_eq!(self.spaces.create(space), self.model.create(space));
            }
            Step::Apply(space, operation, owner) => {
                waiter = self.waiter(*owner);
                self.spaces.act_for(*owner);
                self.model.owner = *owner;
                // What may still be undone is no event yet, which those who saw no savepoint
                // would not know.
                if let Operation::Watch { .. } | Operation::Survey { .. } = operation {
                    self.commit();
                }
                self.apply(space, operation, waiter);
            }
            Step::Cancel(at) => {
                let at = at.index(self.model.waiters.len() + 1);
                let stranger = WaiterId {
                    owner: 1,
                    number: 0,
                };
                let waiting = self.model.waiters.get(at).map(|waiter| waiter.id);
                let id = waiting.unwrap_or(stranger);
                let cancelled = self.model.cancel(|other| other == id) == 1;
                assert_eq!(self.spaces.cancel(id), cancelled);
                waiter = Some(id);
            }
            Step::EndOwner(owner) => {
                let ended = self.model.end_owner(*owner);
                assert_eq!(self.spaces.end_owner(*owner), ended);
            }
            Step::TakeServed => {
                let served = std::mem::take(&mut self.model.served);
                assert_eq!(self.spaces.take_served(), served);
            }
            Step::Advance(by) => {
                // Time is not undone.
                self.saved.clear();
                let ended = self.model.advance(*by);
                assert_eq!(self.spaces.advance(self.model.now), ended);
            }
            Step::Extend(by) => {
                self.commit();
                self.spaces.extend(*by);
                let leases = self.model.tuples.iter_mut().map(|placed| &mut placed.due);
                let waits = self.model.waiters.iter_mut().map(|waiter| &mut waiter.due);
                let ends = leases.chain(waits).flatten();
                ends.for_each(|due| *due += by);
            }
            Step::Savepoint => {
                self.model.recording = true;
                self.saved.push(Saved {
                    savepoint: self.spaces.savepoint(),
                    model: self.model.clone(),
                    content: content(&self.spaces),
                    done: self.done.len(),
                });
            }
            Step::Rollback(at) if !self.saved.is_empty() => {
                let at = at.index(self.saved.len());
                let saved = self.saved.drain(at..).next().unwrap();
                self.spaces.rollback(saved.savepoint);
                self.model = saved.model;
                self.model.recording = true;
                self.done.truncate(saved.done);
                assert_eq!(content(&self.spaces), saved.content);
            }
            Step::Rollback(_) => {}
            Step::Commit => self.commit(),
        }
        let told = std::mem::take(&mut self.model.told);
        assert_eq!(self.spaces.take_told(), told);
        self.done.push((step, waiter));
        self.compare();
    }

    fn commit(&mut self) {
        self.spaces.commit();
        self.model.recording = false;
        self.model.publish();
        self.saved.clear();
    }

    /// Under which id to wait: now and then one that waits already.
    fn waiter(&mut self, owner: Option<u64>) -> Option<WaiterId> {
        self.next += 1;
        let number = self.next;
        match self.model.waiters.first() {
            Some(other) if number.is_multiple_of(16) => Some(other.id),
            _ => owner.map(|owner| WaiterId { owner, number }),
        }
    }

    fn apply(&mut self, space: &SpaceName, operation: &Operation, waiter: Option<WaiterId>) {
        let before = content(&self.spaces);
        let result = self.spaces.apply(space, operation, waiter);
        let expected = self.model.apply(space, operation, waiter);
        assert_eq!(result, expected, "{operation:?}");
        if result.is_err() || operation.is_read_only() {
            assert_eq!(content(&self.spaces), before, "{operation:?}");
        }
    }

    fn compare(&self) {
        let Self { spaces, model, .. } = self;
        assert_eq!(spaces.served(), model.served);
        assert_eq!(spaces.waiters(), model.waiters.len());
        let waits = |waiter: &Waiter| spaces.is_waiting(waiter.id);
        assert!(model.waiters.iter().all(waits));
        assert_eq!(spaces.total_tuples(), model.tuples.len() as u64);
        assert_eq!(spaces.total_bytes(), model.bytes());
        assert_eq!(spaces.due_ms(), model.due());
        let leased = model.tuples.iter().filter(|placed| placed.due.is_some());
        assert_eq!(spaces.leases(), leased.count());
        let mut names = model.spaces.clone();
        names.sort();
        assert!(spaces.names().eq(&names));
        for space in ["a", "b", "c"].map(name) {
            let here = |placed: &&Placed| placed.space == space;
            let count = model.tuples.iter().filter(here).count();
            assert_eq!(spaces.tuples(&space), count as u64);
            assert_eq!(spaces.contains(&space), model.spaces.contains(&space));
        }
    }

    /// A replica that saw only what was not undone, and one that was given nothing but
    /// the content, hold the same, and answer the same at the same cost.
    fn compare_with_others(mut self, probes: Vec<(SpaceName, Operation)>) {
        self.commit();
        let mut other = Spaces::new(self.model.limits);
        let mut now = 0;
        for (step, waiter) in &self.done {
            match step {
                Step::Create(space) => drop(other.create(space)),
                Step::Apply(space, operation, owner) => {
                    other.act_for(*owner);
                    drop(other.apply(space, operation, *waiter));
                }
                Step::Cancel(_) => drop(other.cancel(waiter.unwrap())),
                Step::EndOwner(owner) => drop(other.end_owner(*owner)),
                Step::TakeServed => drop(other.take_served()),
                Step::Advance(by) => {
                    now += by;
                    other.advance(now);
                }
                Step::Extend(by) => other.extend(*by),
                Step::Savepoint | Step::Rollback(_) | Step::Commit => {}
            }
        }
        assert_eq!(content(&self.spaces), content(&other));
        // Those served meanwhile are no part of the content.
        assert_eq!(self.spaces.take_served(), other.take_served());
        let mut given = restored(&self.spaces, self.model.limits, self.model.now);
        for (space, operation) in probes {
            now += 9;
            let all = [&mut self.spaces, &mut other, &mut given];
            let [first, second, third] = all.map(|spaces| {
                let ended = spaces.advance(now);
                spaces.act_for(Some(1));
                let before = spaces.examined();
                let result = spaces.apply(&space, &operation, None);
                (ended, result, spaces.examined() - before, content(spaces))
            });
            assert_eq!(first, second, "{operation:?}");
            assert_eq!(first, third, "{operation:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn spaces_do_what_the_model_does(
        steps in prop::collection::vec(step(), 1..150),
        probes in prop::collection::vec((space(), operation()), 10),
    ) {
        let mut twins = Twins::new(TIGHT);
        twins.step(Step::Create(name("a")));
        for step in steps {
            twins.step(step);
        }
        twins.compare_with_others(probes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Enough tuples for indices of several levels.
    #[test]
    fn many_tuples_do_what_the_model_does(
        tuples in prop::collection::vec((tuple(), 0i64..500), 300..500),
        steps in prop::collection::vec(step(), 1..150),
        probes in prop::collection::vec((space(), operation()), 10),
    ) {
        let mut twins = Twins::new(WIDE);
        twins.step(Step::Create(name("a")));
        for (tuple, number) in tuples {
            let mut fields = tuple.into_fields();
            fields.push(number.into());
            let tuple = Tuple::new(fields).unwrap();
            twins.step(Step::Apply(name("a"), Operation::Out { tuple, lease: Lease::Forever }, None));
        }
        for step in steps {
            twins.step(step);
        }
        twins.compare_with_others(probes);
    }
}
