//! All spaces: one list of tuples, one list of those who wait.

use std::sync::Arc;

use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{
    Audience, Change, ClientKey, Delivery, EndedWait, GroupName, Limits, OperationKind, Quota,
    Refusal, SpaceName, TupleId, WaiterId, Wants,
};

use crate::events::Happened;

/// By whom an operation is: with whose eyes it looks, and who pays for what it inserts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The session that owns the ephemeral tuples it inserts.
    pub session: Option<u64>,
    /// Whose session that is.
    pub client: Option<ClientKey>,
}

/// An operation that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Whose, and which.
    pub id: WaiterId,
    /// The client of that session.
    pub client: Option<ClientKey>,
    /// Where.
    pub space: SpaceName,
    /// For what.
    pub template: Template,
    /// To what end.
    pub wants: Wants,
    /// The agreed time at which it waits no longer.
    pub due_ms: Option<u64>,
}

/// A tuple in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its number.
    pub id: u64,
    /// Where it is.
    pub space: SpaceName,
    /// The tuple.
    pub tuple: Tuple,
    /// The agreed time at which its lease ends.
    pub due_ms: Option<u64>,
    /// The session it ends with.
    pub owner: Option<u64>,
    /// The client it counts against.
    pub payer: Option<ClientKey>,
    /// For whom it is, unless it is for everybody.
    pub audience: Option<Audience>,
    /// What it counts in bounds of bytes.
    pub weight: u64,
}

/// How many tuples, and what they weigh together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub tuples: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// All spaces.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub(crate) limits: Limits,
    /// In order of creation.
    names: Vec<SpaceName>,
    quotas: Vec<(SpaceName, Quota)>,
    accounts: Vec<(ClientKey, Quota)>,
    members: Vec<(GroupName, ClientKey)>,
    /// Oldest first.
    pub(crate) tuples: Vec<Placed>,
    /// In order of arrival. Shared, since searches keep many copies of a model.
    pub(crate) waits: Arc<Vec<Wait>>,
    pub(crate) deliveries: Vec<Delivery>,
    /// The number given out last.
    pub(crate) last: u64,
    pub(crate) now_ms: u64,
    /// What happened and is not published yet.
    pub(crate) happening: Vec<Happened>,
    /// All that ever happened and was published, shared as the waits are.
    pub(crate) events: Arc<Vec<Happened>>,
    pub(crate) told: Vec<EndedWait>,
}

impl Model {
    /// No spaces at all.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Its bounds.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Agreed time.
    #[must_use]
    pub const fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Makes a space.
    ///
    /// # Errors
    /// [`Refusal::SpaceExists`], [`Refusal::TooManySpaces`].
    pub fn create(&mut self, space: &SpaceName) -> Result<(), Refusal> {
        if self.names.contains(space) {
            return Err(Refusal::SpaceExists);
        }
        if self.names.len() == self.limits.spaces {
            return Err(Refusal::TooManySpaces);
        }
        self.names.push(space.clone());
        Ok(())
    }

    /// Removes a space in which nothing is and nobody waits.
    ///
    /// # Errors
    /// [`Refusal::NoSuchSpace`], [`Refusal::SpaceNotEmpty`].
    pub fn remove(&mut self, space: &SpaceName) -> Result<(), Refusal> {
        self.check(space)?;
        let is_awaited = self.waits.iter().any(|wait| wait.space == *space);
        if is_awaited || self.tuples.iter().any(|placed| placed.space == *space) {
            return Err(Refusal::SpaceNotEmpty);
        }
        self.names.retain(|other| other != space);
        self.quotas.retain(|(other, _)| other != space);
        Ok(())
    }

    /// Refuses what is about a space that is not there.
    pub(crate) fn check(&self, space: &SpaceName) -> Result<(), Refusal> {
        if !self.names.contains(space) {
            return Err(Refusal::NoSuchSpace);
        }
        Ok(())
    }

    /// The names, in order of creation.
    #[must_use]
    pub fn names(&self) -> &[SpaceName] {
        &self.names
    }

    /// Bounds what a space holds, beginning with what comes next; what the bound was.
    ///
    /// # Errors
    /// [`Refusal::NoSuchSpace`].
    pub fn allow(&mut self, space: &SpaceName, quota: Quota) -> Result<Quota, Refusal> {
        self.check(space)?;
        let before = self.quota(space);
        self.quotas.retain(|(other, _)| other != space);
        self.quotas.push((space.clone(), quota));
        Ok(before)
    }

    /// How much a space may hold.
    #[must_use]
    pub fn quota(&self, space: &SpaceName) -> Quota {
        let found = self.quotas.iter().find(|(other, _)| other == space);
        found.map_or(Quota::NONE, |(_, quota)| *quota)
    }

    /// Bounds what a client holds in all spaces, beginning with what it inserts next; what the
    /// bound was.
    pub fn allot(&mut self, client: ClientKey, quota: Quota) -> Quota {
        let before = self.account(client).unwrap_or(Quota::NONE);
        self.accounts.retain(|(other, _)| *other != client);
        if quota == Quota::NONE {
            for placed in &mut self.tuples {
                placed.payer = placed.payer.filter(|payer| *payer != client);
            }
        } else {
            self.accounts.push((client, quota));
        }
        before
    }

    /// How much a client may hold, if it is bounded.
    #[must_use]
    pub fn account(&self, client: ClientKey) -> Option<Quota> {
        let found = self.accounts.iter().find(|(other, _)| *other == client);
        found.map(|(_, quota)| *quota)
    }

    /// Who is in which group, in order of joining.
    #[must_use]
    pub fn members(&self) -> &[(GroupName, ClientKey)] {
        &self.members
    }

    /// Puts a client into a group or out of it; whoever joined may find what it waits for. Says
    /// whether anything changed.
    pub fn set_member(&mut self, group: &GroupName, client: ClientKey, belongs: bool) -> bool {
        let entry = (group.clone(), client);
        if self.members.contains(&entry) == belongs {
            return false;
        }
        if belongs {
            self.members.push(entry);
            self.look_again(client);
        } else {
            self.members.retain(|other| *other != entry);
        }
        true
    }

    /// All tuples, oldest first.
    #[must_use]
    pub fn tuples(&self) -> &[Placed] {
        &self.tuples
    }

    /// The tuples that are meant, as a sum.
    pub fn sum(&self, is_meant: impl Fn(&Placed) -> bool) -> Sum {
        let meant = self.tuples.iter().filter(|placed| is_meant(placed));
        meant.fold(Sum::default(), |sum, placed| Sum {
            tuples: sum.tuples + 1,
            bytes: sum.bytes + placed.weight,
        })
    }

    /// The operations that wait, in order of arrival.
    #[must_use]
    pub const fn waits(&self) -> &Arc<Vec<Wait>> {
        &self.waits
    }

    /// Whether this request waits.
    #[must_use]
    pub fn is_waiting(&self, id: WaiterId) -> bool {
        self.waits.iter().any(|wait| wait.id == id)
    }

    /// Ends a wait without an answer; says whether there was one.
    pub fn cancel(&mut self, id: WaiterId) -> bool {
        let is_there = self.is_waiting(id);
        if is_there {
            Arc::make_mut(&mut self.waits).retain(|wait| wait.id != id);
        }
        is_there
    }

    /// Those who waited and got a tuple since [`Model::take_deliveries`], in order.
    #[must_use]
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// The same, and forgets them.
    pub fn take_deliveries(&mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.deliveries)
    }

    /// Takes the oldest tuple that is meant, whoever it is for.
    pub fn withdraw(&mut self, is_meant: impl Fn(&Placed) -> bool) -> Option<Tuple> {
        let at = self.tuples.iter().position(is_meant)?;
        Some(self.take(at))
    }

    /// Takes up to a page of tuples, whoever they are for, by length and then oldest first; how
    /// many.
    ///
    /// # Errors
    /// [`Refusal::NoSuchSpace`], [`Refusal::EmptyPage`].
    pub fn purge(&mut self, space: &SpaceName, limit: u32) -> Result<u64, Refusal> {
        self.check(space)?;
        if limit == 0 {
            return Err(Refusal::EmptyPage);
        }
        let here = self.tuples.iter().filter(|placed| placed.space == *space);
        let mut order: Vec<(usize, u64)> = here
            .map(|placed| (placed.tuple.arity(), placed.id))
            .collect();
        order.sort_unstable();
        order.truncate(self.most(limit));
        for (_, id) in &order {
            self.withdraw(|placed| placed.id == *id);
        }
        Ok(order.len() as u64)
    }

    /// Hands a tuple that is never there to those who wait for one like it: to all who read, and
    /// to the first who takes. How many got it.
    ///
    /// # Errors
    /// [`Refusal::NoSuchSpace`].
    pub fn wake(&mut self, space: &SpaceName, tuple: &Tuple) -> Result<u64, Refusal> {
        self.check(space)?;
        let passing = Placed {
            id: self.last + 1,
            ..self.arriving(Caller::default(), space, tuple)
        };
        let woken = self.wanting(&passing);
        if !woken.is_empty() {
            self.last = passing.id;
        }
        woken.iter().for_each(|wait| self.deliver(wait, &passing));
        Ok(woken.len() as u64)
    }

    /// A tuple on its way in: for ever and for everybody.
    #[must_use]
    pub fn arriving(&self, by: Caller, space: &SpaceName, tuple: &Tuple) -> Placed {
        Placed {
            id: self.last + 1,
            space: space.clone(),
            tuple: tuple.clone(),
            due_ms: None,
            owner: None,
            payer: by.client.filter(|client| self.account(*client).is_some()),
            audience: None,
            weight: tuple.encoded_len() as u64,
        }
    }

    /// Puts a tuple in its place, or into the hands of those who wait for it; whether there is
    /// room for it is not asked.
    pub fn insert(&mut self, arriving: Placed) {
        self.last = arriving.id;
        self.note(Change::Inserted, &arriving);
        let wanting = self.wanting(&arriving);
        wanting
            .iter()
            .for_each(|wait| self.deliver(wait, &arriving));
        if wanting.iter().any(|wait| wait.wants == Wants::Take) {
            self.note(Change::Taken, &arriving);
        } else {
            self.tuples.push(arriving);
        }
    }

    /// Who gets an arriving tuple: all who wait to read it, then the first who waits to take it.
    pub(crate) fn wanting(&self, arriving: &Placed) -> Vec<Wait> {
        let who = |wants: Wants| {
            let waits = self.waits.iter().filter(move |wait| wait.wants == wants);
            waits.filter(|wait| self.suits(wait, arriving)).cloned()
        };
        who(Wants::Read).chain(who(Wants::Take).take(1)).collect()
    }

    /// Whether a tuple is what somebody waits for.
    fn suits(&self, wait: &Wait, placed: &Placed) -> bool {
        let audience = placed.audience.as_ref();
        wait.space == placed.space
            && wait.template.matches(&placed.tuple)
            && self.meets(wait.client, wait.wants == Wants::Take, audience)
    }

    /// A wait ends with a tuple.
    fn deliver(&mut self, wait: &Wait, placed: &Placed) {
        self.cancel(wait.id);
        self.deliveries.push(Delivery {
            waiter: wait.id,
            space: wait.space.clone(),
            kind: if wait.wants == Wants::Take {
                OperationKind::In
            } else {
                OperationKind::Rd
            },
            id: TupleId(placed.id),
            tuple: placed.tuple.clone(),
        });
    }

    /// Lets everything that a client waits for be looked for again.
    fn look_again(&mut self, client: ClientKey) {
        let waits = Arc::clone(&self.waits);
        for wait in waits.iter().filter(|wait| wait.client == Some(client)) {
            if matches!(wait.wants, Wants::Watch { .. }) {
                continue;
            }
            let found = (self.tuples.iter()).position(|placed| self.suits(wait, placed));
            if let Some(at) = found {
                let placed = self.tuples[at].clone();
                if wait.wants == Wants::Take {
                    self.take(at);
                }
                self.deliver(wait, &placed);
            }
        }
    }

    /// Takes the tuple in this place.
    pub(crate) fn take(&mut self, at: usize) -> Tuple {
        let gone = self.tuples.remove(at);
        self.note(Change::Taken, &gone);
        gone.tuple
    }

    /// How many entries a page has at the most.
    pub(crate) fn most(&self, limit: u32) -> usize {
        limit.min(self.limits.page_tuples) as usize
    }
}
