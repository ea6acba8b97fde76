//! What ends by itself: tuples that live on a lease and waits by agreed time, and what an
//! owner had with the owner.
//!
//! Time comes from the log alone: whoever executes it says how far it has come,
//! and what is over by then is gone before any operation looks.

use bezant_tuple::{Template, Tuple};

use super::{Happening, Lookup, Spaces};
use crate::{
    Actor, Lease, Operation, Outcome, Refusal, SpaceName, TupleId, WaiterId, Wants, broken,
    leases::{Hold, Place},
    limits::MAX_LEASE_MS,
    undo::Undo,
    waiting::Arrival,
};

/// What ended by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// How many tuples.
    pub tuples: u64,
    /// The waits, by their end, then by arrival; they answer, if they answer, that nothing
    /// matched or that nothing happened.
    pub waits: Vec<EndedWait>,
}

/// A wait that ended, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedWait {
    /// Who waited.
    pub waiter: WaiterId,
    /// What it answers.
    pub outcome: Outcome,
}

impl Spaces {
    /// Agreed time is `now_ms` from here on, and never earlier than before. Every tuple
    /// whose lease has ended is gone, by the end of the leases, then by age; and so is every
    /// wait whose end has come: nothing matched.
    ///
    /// Ends all savepoints: time is not undone.
    pub fn advance(&mut self, now_ms: u64) -> Ended {
        let tuples = self.expire(now_ms);
        self.publish();
        let waits = self.end_waits();
        Ended { tuples, waits }
    }

    /// The first half of [`Spaces::advance`]: what lives on a lease that is over is gone, how
    /// many tuples; it is not told to anybody before the next [`Spaces::commit`].
    pub fn expire(&mut self, now_ms: u64) -> u64 {
        self.commit();
        self.clock.advance(now_ms);
        let mut tuples = 0;
        while let Some(Place { space, arity, id }) = self.leases.over(&self.clock) {
            self.let_go(&space, arity, id, Happening::Expired);
            tuples += 1;
        }
        tuples
    }

    /// The second half of [`Spaces::advance`]: the waits that are over end.
    pub fn end_waits(&mut self) -> Vec<EndedWait> {
        let mut waits = Vec::new();
        while let Some(arrival) = self.waiting.over(&self.clock) {
            waits.push(self.give_up(arrival));
        }
        waits
    }

    /// All that `owner` had ends: its waits, in order of number, and its ephemeral tuples.
    pub fn end_owner(&mut self, owner: u64) -> Ended {
        let mut ended = Ended::default();
        for arrival in self.waiting.of_owner(owner) {
            ended.waits.push(self.give_up(arrival));
        }
        while let Some(Place { space, arity, id }) = self.leases.of_owner(owner) {
            self.let_go(&space, arity, id, Happening::SessionEnded);
            ended.tuples += 1;
        }
        if !self.undo.is_recording() {
            self.publish();
        }
        ended
    }

    /// Ends a wait; whose it was and what it answers.
    fn give_up(&mut self, arrival: Arrival) -> EndedWait {
        let waiter = self.leave(arrival);
        let outcome = match waiter.wants {
            Wants::Read | Wants::Take => Outcome::Match(None),
            Wants::Watch { .. } => self.nothing_happened(),
        };
        EndedWait {
            waiter: waiter.id,
            outcome,
        }
    }

    /// The owner of each ephemeral tuple; one that has several is named as often.
    pub fn owners(&self) -> impl Iterator<Item = u64> {
        self.leases.owners()
    }

    /// What the life of the tuple that `operation` would insert is to hang on.
    pub(super) fn hold(
        &self,
        actor: Actor<'_>,
        operation: &Operation,
    ) -> Result<Option<Hold>, Refusal> {
        match operation.lease() {
            None | Some(Lease::Forever) => Ok(None),
            Some(Lease::Ms(ms)) if (1..=MAX_LEASE_MS).contains(&ms) => {
                Ok(Some(Hold::Until(self.clock.end_after(ms))))
            }
            Some(Lease::Ms(_)) => Err(Refusal::LeaseOutOfRange),
            Some(Lease::Session) => match actor.session {
                Some(owner) => Ok(Some(Hold::Owner(owner))),
                None => Err(Refusal::NoOwner),
            },
        }
    }

    /// Moves the end of every lease and wait by so much, whatever their number at the same
    /// cost.
    pub const fn extend(&mut self, by_ms: u64) {
        self.clock.extend(by_ms);
    }

    /// The agreed time at which the next lease or wait ends.
    #[must_use]
    pub fn due_ms(&self) -> Option<u64> {
        let ends = [self.leases.first(), self.waiting.first_end()];
        let first = ends.into_iter().flatten().min()?;
        Some(self.clock.due_ms(first))
    }

    /// Number of tuples that live on a lease.
    #[must_use]
    pub fn leases(&self) -> usize {
        self.leases.len()
    }

    /// Gives the oldest match with a lease a new one.
    pub(super) fn renew(
        &mut self,
        lookup: Lookup<'_>,
        template: &Template,
        lease_ms: u64,
    ) -> Result<Option<Tuple>, Refusal> {
        let name = lookup.space;
        let found = self.look(lookup, |view, work| {
            let found = view.oldest_leased(template, work)?;
            Ok(found.map(|(id, tuple)| (id, tuple.clone())))
        })?;
        let Some((id, tuple)) = found else {
            return Ok(None);
        };
        let (arity, end) = (tuple.arity(), self.clock.end_after(lease_ms));
        let before = self.relet(name, arity, id, Hold::Until(end));
        self.undo.record(|| Undo::Renewed {
            space: name.clone(),
            arity,
            id,
            before,
        });
        Ok(Some(tuple))
    }

    /// Lets the life of a tuple hang on something.
    pub(super) fn attach(&mut self, name: &SpaceName, arity: usize, id: TupleId, hold: Hold) {
        self.space(name).hold(id, hold);
        let space = name.clone();
        self.leases.insert(hold, Place { space, arity, id });
    }

    /// Lets the life of a tuple hang on something else; what it hung on.
    pub(super) fn relet(
        &mut self,
        name: &SpaceName,
        arity: usize,
        id: TupleId,
        hold: Hold,
    ) -> Hold {
        let Some(before) = self.space(name).hold_of(id) else {
            broken("a lease to be renewed is not there");
        };
        self.detach(before, id);
        self.attach(name, arity, id, hold);
        before
    }

    pub(super) fn detach(&mut self, hold: Hold, id: TupleId) {
        if !self.leases.remove(hold, id) {
            broken("a lease was not indexed");
        }
    }
}
