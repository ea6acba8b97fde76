//! The dumb tuple space as the dumb service has it: with rights, time and extensions.

use std::{
    hash::{Hash as _, Hasher},
    sync::Arc,
};

use bezant_api::{Answer, Lists, Refused};
use bezant_model::{Caller, Model, Wait};
use bezant_tuplespace::{Applied, Operation, Outcome, Refusal, SpaceName, WaiterId};

use super::{access::Access, extensions::Programs};

/// A tick later than this tells of an outage, as in the real service.
const OUTAGE_MS: u64 = 30_000;

/// All spaces.
#[derive(Clone, Debug, Default)]
pub struct Spaces {
    pub(super) model: Model,
    /// Waits that ended refused.
    refused: Vec<(WaiterId, Refusal)>,
    pub(super) access: Arc<Access>,
    pub(super) programs: Arc<Programs>,
}

impl Spaces {
    /// The names, in order of creation.
    #[must_use]
    pub fn names(&self) -> &[SpaceName] {
        self.model.names()
    }

    /// How many tuples there are.
    #[must_use]
    pub fn tuples(&self) -> usize {
        self.model.tuples().len()
    }

    /// When the next lease or wait ends.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        self.model.due_ms()
    }

    /// Agreed time.
    #[must_use]
    pub const fn now(&self) -> u64 {
        self.model.now_ms()
    }

    /// The operations that wait, in order of arrival.
    #[must_use]
    pub const fn waits(&self) -> &Arc<Vec<Wait>> {
        self.model.waits()
    }

    /// How much an outage took if a proposal with this time comes and something was `due`.
    #[must_use]
    pub fn outage(&self, proposed: u64, due: Option<u64>) -> u64 {
        let (last, now) = (self.now(), proposed.max(self.now() + 1));
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
    /// that ended and what they answer: by when, then in order of arrival.
    pub fn pass_time(&mut self, proposed: u64, granted: u64) -> Vec<(WaiterId, Answer)> {
        let now_ms = proposed.max(self.now() + 1);
        if granted > 0 {
            self.model.extend(granted);
        }
        self.model.expire(now_ms);
        self.publish();
        let over = self.model.end_waits().into_iter();
        over.map(|over| (over.waiter, Answer::Outcome(over.outcome)))
            .collect()
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
        let is_new = makes_spaces && is_out && !self.names().contains(space);
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
            self.unmake(space)?;
        }
        applied
    }

    /// Makes a space.
    ///
    /// # Errors
    /// If it exists.
    pub fn create(&mut self, session: u64, name: &SpaceName, lists: Lists) -> Result<(), Refused> {
        self.model.create(name)?;
        self.made(session, name, lists);
        Ok(())
    }

    /// Applies an operation of request `number` of `session`; `None` if it waits now. Sessions
    /// and requests count from 1: what has number 0 never waits.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn apply(
        &mut self,
        (session, number): (u64, u64),
        space: &SpaceName,
        operation: &Operation,
    ) -> Result<Option<Outcome>, Refused> {
        let by = Caller {
            session: (session != 0).then_some(session),
            client: self.access.client(session),
        };
        let owner = session;
        let waiter = (number != 0).then_some(WaiterId { owner, number });
        match self.model.apply(by, waiter, space, operation)? {
            Applied::Outcome(outcome) => Ok(Some(outcome)),
            Applied::Waiting => Ok(None),
        }
    }

    /// Ends a wait; says whether there was one.
    pub fn cancel(&mut self, owner: u64, number: u64) -> bool {
        self.model.cancel(WaiterId { owner, number })
    }

    /// Ends a wait with a refusal.
    pub(super) fn refuse(&mut self, wait: WaiterId, why: Refusal) {
        self.model.cancel(wait);
        self.refused.push((wait, why));
    }

    /// All that a session had ends.
    pub fn end_owner(&mut self, session: u64) {
        self.model.end_owner(session);
    }

    /// What the present request did is dispatched to extensions and becomes events, and those who
    /// watch are told.
    pub fn publish(&mut self) {
        self.dispatch();
        self.model.publish();
    }

    /// The waits that ended refused since the last call, in order.
    pub fn take_refused(&mut self) -> Vec<(WaiterId, Answer)> {
        let refused = std::mem::take(&mut self.refused).into_iter();
        refused
            .map(|(wait, why)| (wait, Answer::Refused(why.into())))
            .collect()
    }

    /// The waits that ended with a tuple since the last call, then the watches that ended with
    /// events, each in order.
    pub fn take_answers(&mut self) -> Vec<(WaiterId, Answer)> {
        let deliveries = self.model.take_deliveries().into_iter();
        let deliveries = deliveries
            .map(|deliveries| (deliveries.waiter, Outcome::Match(Some(deliveries.tuple))));
        let told = self.model.take_told().into_iter();
        let told = told.map(|told| (told.waiter, told.outcome));
        let all = deliveries.chain(told);
        all.map(|(wait, outcome)| (wait, Answer::Outcome(outcome)))
            .collect()
    }

    /// Feeds what decides all later answers to `hasher`, but for the identities of tuples,
    /// and in one spelling: what happened in one space leaves no trace in another.
    pub fn essence(&self, hasher: &mut impl Hasher) {
        let mut names: Vec<&SpaceName> = self.names().iter().collect();
        names.sort_unstable();
        for name in names {
            name.hash(hasher);
            let tuples = self.model.tuples().iter();
            for placed in tuples.filter(|placed| placed.space == *name) {
                let ties = (placed.due_ms, placed.owner, &placed.audience);
                (&placed.tuple, ties).hash(hasher);
            }
            hasher.write_u8(1);
            for wait in self.waits().iter().filter(|wait| wait.space == *name) {
                (wait.id.owner, wait.id.number, wait.due_ms).hash(hasher);
            }
            hasher.write_u8(2);
        }
    }
}
