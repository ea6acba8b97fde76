//! What the documentation promises, spelled in the plainest way.

use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{
    Applied, Audience, Change, Ended, EndedWait, Event, GroupName, Lease, Limits, MAX_LEASE_MS,
    Operation, OperationKind, Outcome, Quota, Refusal, Served, SpaceName, TupleId, WaiterId,
};

use crate::whom::weight;

/// Something that happened: where, what, to which tuple, and for whom that is.
type Happened = (SpaceName, Change, u64, Tuple, Option<Audience>);

#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub(crate) id: WaiterId,
    pub(crate) space: SpaceName,
    pub(crate) template: Template,
    pub(crate) kind: OperationKind,
    pub(crate) due: Option<u64>,
    /// Of a watch.
    pub(crate) limit: u32,
}

/// A tuple in its place.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) id: u64,
    pub(crate) space: SpaceName,
    pub(crate) tuple: Tuple,
    /// When its lease ends.
    pub(crate) due: Option<u64>,
    pub(crate) owner: Option<u64>,
    /// Against whom it counts.
    pub(crate) payer: Option<u64>,
    pub(crate) audience: Option<Audience>,
}

impl Placed {
    fn weight(&self) -> u64 {
        weight(&self.tuple, self.audience.as_ref())
    }
}

/// What the documentation promises, spelled in the plainest way.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) limits: Limits,
    pub(crate) spaces: Vec<SpaceName>,
    pub(crate) quotas: Vec<(SpaceName, Quota)>,
    /// Of owners.
    pub(crate) accounts: Vec<(u64, Quota)>,
    pub(crate) tuples: Vec<Placed>,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) served: Vec<Served>,
    pub(crate) last: u64,
    pub(crate) now: u64,
    /// Who acts, and looks.
    pub(crate) owner: Option<u64>,
    pub(crate) members: Vec<(GroupName, u64)>,
    /// What happened and may be undone.
    pub(crate) happening: Vec<Happened>,
    /// All that ever happened.
    pub(crate) events: Vec<Happened>,
    pub(crate) told: Vec<EndedWait>,
    /// Whether changes may be undone.
    pub(crate) recording: bool,
}

impl Model {
    pub(crate) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            spaces: Vec::new(),
            quotas: Vec::new(),
            accounts: Vec::new(),
            tuples: Vec::new(),
            waiters: Vec::new(),
            served: Vec::new(),
            last: 0,
            now: 0,
            owner: None,
            members: Vec::new(),
            happening: Vec::new(),
            events: Vec::new(),
            told: Vec::new(),
            recording: false,
        }
    }

    pub(crate) fn create(&mut self, space: &SpaceName) -> Result<(), Refusal> {
        if self.spaces.contains(space) {
            return Err(Refusal::SpaceExists);
        }
        if self.spaces.len() == self.limits.spaces {
            return Err(Refusal::TooManySpaces);
        }
        self.spaces.push(space.clone());
        Ok(())
    }

    pub(crate) fn remove(&mut self, space: &SpaceName) -> Result<(), Refusal> {
        if !self.spaces.contains(space) {
            return Err(Refusal::NoSuchSpace);
        }
        let waits = self.waiters.iter().any(|waiter| waiter.space == *space);
        if waits || self.tuples.iter().any(|placed| placed.space == *space) {
            return Err(Refusal::SpaceNotEmpty);
        }
        self.spaces.retain(|other| other != space);
        self.quotas.retain(|(other, _)| other != space);
        Ok(())
    }

    pub(crate) fn allow(&mut self, space: &SpaceName, quota: Quota) -> Result<Quota, Refusal> {
        if !self.spaces.contains(space) {
            return Err(Refusal::NoSuchSpace);
        }
        let before = self.quota(space);
        self.quotas.retain(|(other, _)| other != space);
        self.quotas.push((space.clone(), quota));
        Ok(before)
    }

    pub(crate) fn quota(&self, space: &SpaceName) -> Quota {
        let found = self.quotas.iter().find(|(other, _)| other == space);
        found.map_or(Quota::NONE, |(_, quota)| *quota)
    }

    /// Bounds what an owner holds, beginning with what it puts now.
    pub(crate) fn allot(&mut self, owner: u64, quota: Quota) -> Quota {
        let before = self.account(owner).unwrap_or(Quota::NONE);
        self.accounts.retain(|(other, _)| *other != owner);
        if quota != Quota::NONE {
            self.accounts.push((owner, quota));
        }
        for placed in &mut self.tuples {
            placed.payer = placed
                .payer
                .filter(|payer| *payer != owner || quota != Quota::NONE);
        }
        before
    }

    pub(crate) fn account(&self, owner: u64) -> Option<Quota> {
        let found = self.accounts.iter().find(|(other, _)| *other == owner);
        found.map(|(_, quota)| *quota)
    }

    /// How many tuples of these there are, and how many bytes they have.
    pub(crate) fn sum(&self, meant: impl Fn(&Placed) -> bool) -> (u64, u64) {
        let meant = self.tuples.iter().filter(|placed| meant(placed));
        let lengths = meant.map(Placed::weight);
        lengths.fold((0, 0), |(n, sum), len| (n + 1, sum + len))
    }

    /// Places of the matches in `tuples`.
    pub(crate) fn matches(
        &self,
        space: &SpaceName,
        template: &Template,
        (viewer, takes): (Option<u64>, bool),
    ) -> Vec<usize> {
        let matches = |at: &usize| {
            let placed = &self.tuples[*at];
            placed.space == *space
                && template.matches(&placed.tuple)
                && self.meets(viewer, takes, placed.audience.as_ref())
        };
        (0..self.tuples.len()).filter(matches).collect()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.tuples.iter().map(Placed::weight).sum()
    }

    pub(crate) fn insert(
        &mut self,
        space: &SpaceName,
        tuple: &Tuple,
        lease: Option<Lease>,
        audience: Option<Audience>,
    ) -> Result<(), Refusal> {
        let weight = weight(tuple, audience.as_ref());
        let waiters = std::mem::take(&mut self.waiters);
        let (wanting, others): (Vec<Waiter>, Vec<Waiter>) =
            waiters.into_iter().partition(|waiter| {
                let takes = waiter.kind == OperationKind::In;
                waiter.kind != OperationKind::Watch
                    && waiter.space == *space
                    && waiter.template.matches(tuple)
                    && self.meets(Some(waiter.id.owner), takes, audience.as_ref())
            });
        let payer = self.owner.filter(|owner| self.account(*owner).is_some());
        let (readers, mut takers): (Vec<Waiter>, Vec<Waiter>) = wanting
            .into_iter()
            .partition(|waiter| waiter.kind == OperationKind::Rd);
        if takers.is_empty() {
            if self.tuples.len() as u64 == self.limits.tuples {
                return Err(Refusal::TooManyTuples);
            }
            if self.bytes() + weight > self.limits.bytes {
                return Err(Refusal::TooManyBytes);
            }
            let is_full = |(count, bytes): (u64, u64), quota: Quota| {
                count >= quota.tuples || bytes + weight > quota.bytes
            };
            let here = self.sum(|placed| placed.space == *space);
            if is_full(here, self.quota(space)) {
                return Err(Refusal::SpaceFull);
            }
            let own = self.sum(|placed| payer.is_some() && placed.payer == payer);
            let account = payer.and_then(|payer| self.account(payer));
            if account.is_some_and(|quota| is_full(own, quota)) {
                return Err(Refusal::ClientFull);
            }
        }
        self.last += 1;
        let taker = (!takers.is_empty()).then(|| takers.remove(0));
        self.note(space, Change::Inserted, (self.last, &audience), tuple);
        if taker.is_some() {
            self.note(space, Change::Taken, (self.last, &audience), tuple);
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
                payer,
                audience,
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
    pub(crate) fn page(
        &self,
        space: &SpaceName,
        template: &Template,
        (limit, takes): (u32, bool),
        after: u64,
    ) -> (Vec<usize>, Option<TupleId>) {
        let mut all = self.matches(space, template, (self.owner, takes));
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

    pub(crate) fn apply(
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

    pub(crate) fn try_apply(
        &mut self,
        space: &SpaceName,
        operation: &Operation,
        waiter: Option<WaiterId>,
    ) -> Result<Applied, Refusal> {
        if !self.spaces.contains(space) {
            return Err(Refusal::NoSuchSpace);
        }
        match operation {
            Operation::RdAll { after, .. } | Operation::Survey { after, .. }
                if after.as_ref().is_some_and(|after| after.space != *space) =>
            {
                return Err(Refusal::CursorOfAnotherSpace);
            }
            _ => {}
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
        let takes = matches!(
            operation.kind(),
            OperationKind::Inp | OperationKind::In | OperationKind::Replace | OperationKind::Renew
        );
        let viewer = (self.owner, takes);
        let oldest =
            template.and_then(|template| self.matches(space, template, viewer).first().copied());
        let found = oldest.map(|at| self.tuples[at].tuple.clone());
        let outcome = match operation {
            Operation::Out { tuple, .. } | Operation::OutTo { tuple, .. } => {
                let audience = Self::audience(operation)?;
                self.insert(space, tuple, lease, audience)?;
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
                    self.insert(space, tuple, lease, None)?;
                }
                Outcome::Match(found)
            }
            Operation::Replace { tuple, .. } => {
                if let Some(at) = oldest {
                    self.take(at);
                    self.insert(space, tuple, lease, None)?;
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
                let after = after.as_ref().map_or(0, |cursor| cursor.after.0);
                let (page, next) = self.page(space, template, (*limit, false), after);
                let tuple = |at: &usize| self.tuples[*at].tuple.clone();
                let tuples = page.iter().map(tuple).collect();
                Outcome::Page { tuples, next }
            }
            Operation::InAll { template, limit } => {
                let (page, next) = self.page(space, template, (*limit, true), 0);
                // Each that goes moves those behind it.
                let places = page.iter().enumerate();
                let tuples = places.map(|(gone, at)| self.take(at - gone)).collect();
                Outcome::Page { tuples, next }
            }
            Operation::Count { template } => {
                Outcome::Count(self.matches(space, template, viewer).len() as u64)
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
                let (events, next) = self.tell(space, template, (*limit, self.owner), *after);
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
                let after = after.as_ref().map_or(0, |cursor| cursor.after.0);
                let (page, next) = self.page(space, template, (*limit, false), after);
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
                let mut matches = self.matches(space, template, viewer).into_iter();
                let leased = matches.find(|at| self.tuples[*at].due.is_some());
                Outcome::Match(leased.map(|at| {
                    self.tuples[at].due = Some(self.now + lease_ms);
                    self.tuples[at].tuple.clone()
                }))
            }
        };
        Ok(Applied::Outcome(outcome))
    }

    pub(crate) fn wait(
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

    pub(crate) fn note(
        &mut self,
        space: &SpaceName,
        change: Change,
        (id, audience): (u64, &Option<Audience>),
        tuple: &Tuple,
    ) {
        let happened = (space.clone(), change, id, tuple.clone(), audience.clone());
        self.happening.push(happened);
    }

    /// Takes the tuple in this place.
    pub(crate) fn take(&mut self, at: usize) -> Tuple {
        let gone = self.tuples.remove(at);
        let which = (gone.id, &gone.audience);
        self.note(&gone.space, Change::Taken, which, &gone.tuple);
        gone.tuple
    }

    /// Lets go of tuples that nobody took, in this order.
    pub(crate) fn expire(&mut self, mut places: Vec<usize>) {
        for at in &places {
            let gone = self.tuples[*at].clone();
            let which = (gone.id, &gone.audience);
            self.note(&gone.space, Change::Expired, which, &gone.tuple);
        }
        places.sort_unstable();
        for at in places.into_iter().rev() {
            self.tuples.remove(at);
        }
    }

    /// The number of the oldest event that is kept.
    pub(crate) fn first_event(&self) -> u64 {
        let (mut first, mut bytes) = (self.events.len() as u64 + 1, 0);
        for (count, (.., tuple, audience)) in self.events.iter().rev().enumerate() {
            bytes += weight(tuple, audience.as_ref());
            if count == self.limits.events || bytes > self.limits.event_bytes {
                break;
            }
            first -= 1;
        }
        first
    }

    pub(crate) fn nothing_happened(&self) -> Outcome {
        let newest = self.events.len() as u64;
        Outcome::Events {
            events: Vec::new(),
            next: newest,
            newest,
        }
    }

    /// What happened after an event, and where to go on.
    pub(crate) fn tell(
        &self,
        space: &SpaceName,
        template: &Template,
        (limit, viewer): (u32, Option<u64>),
        after: u64,
    ) -> (Vec<Event>, u64) {
        let most = limit.min(self.limits.page_tuples) as usize;
        let (mut told, mut bytes): (Vec<Event>, usize) = (Vec::new(), 0);
        for (number, (place, change, id, tuple, audience)) in (1..).zip(&self.events) {
            let is_meant = place == space && self.meets(viewer, false, audience.as_ref());
            if number <= after || !is_meant || !template.matches(tuple) {
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

    pub(crate) fn publish(&mut self) {
        let before = self.events.len() as u64;
        self.events.append(&mut self.happening);
        let newest = self.events.len() as u64;
        for waiter in std::mem::take(&mut self.waiters) {
            let (events, next) = match waiter.kind {
                OperationKind::Watch => {
                    let whose = (waiter.limit, Some(waiter.id.owner));
                    self.tell(&waiter.space, &waiter.template, whose, before)
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
                self.told.push(EndedWait {
                    waiter: waiter.id,
                    outcome,
                });
            }
        }
    }

    /// What a wait answers that is over.
    pub(crate) fn nothing(&self, waiter: &Waiter) -> EndedWait {
        let outcome = match waiter.kind {
            OperationKind::Watch => self.nothing_happened(),
            _ => Outcome::Match(None),
        };
        EndedWait {
            waiter: waiter.id,
            outcome,
        }
    }

    pub(crate) fn advance(&mut self, by: u64) -> Ended {
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

    pub(crate) fn due(&self) -> Option<u64> {
        let leases = self.tuples.iter().filter_map(|placed| placed.due);
        let waits = self.waiters.iter().filter_map(|waiter| waiter.due);
        leases.chain(waits).min()
    }

    pub(crate) fn end_owner(&mut self, owner: u64) -> Ended {
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

    pub(crate) fn cancel(&mut self, gone: impl Fn(WaiterId) -> bool) -> usize {
        let before = self.waiters.len();
        self.waiters.retain(|waiter| !gone(waiter.id));
        before - self.waiters.len()
    }
}
