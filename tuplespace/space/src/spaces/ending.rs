//! What agreed time ends: tuples that live on a lease, and waits.
//!
//! Time comes from the log alone: whoever executes it says how far it has come,
//! and what is over by then is gone before any operation looks.

use bezant_tuple::{Template, Tuple};

use super::Spaces;
use crate::{Refusal, SpaceName, TupleId, WaiterId, broken, clock::End, undo::Undo};

/// What ended as time passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// How many tuples whose leases were over.
    pub tuples: u64,
    /// Those who waited no longer: by the end of the waits, then by arrival.
    pub waits: Vec<WaiterId>,
}

impl Spaces {
    /// Agreed time is `now_ms` from here on, and never earlier than before. Every tuple
    /// whose lease has ended is gone, by the end of the leases, then by age; and so is every
    /// wait whose end has come: nothing matched.
    ///
    /// Ends all savepoints: time is not undone.
    pub fn advance(&mut self, now_ms: u64) -> Ended {
        self.commit();
        self.clock.advance(now_ms);
        let mut ended = Ended::default();
        while let Some((id, (space, arity))) = self.leases.over(&self.clock) {
            self.pull(&space, arity, id);
            ended.tuples += 1;
        }
        while let Some(arrival) = self.waiting.over(&self.clock) {
            ended.waits.push(self.leave(arrival).id);
        }
        ended
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
        name: &SpaceName,
        template: &Template,
        lease_ms: u64,
    ) -> Result<Option<Tuple>, Refusal> {
        let found = self.look(name, |space, work| {
            let found = space.oldest_leased(template, work)?;
            Ok(found.map(|(id, tuple)| (id, tuple.clone())))
        })?;
        let Some((id, tuple)) = found else {
            return Ok(None);
        };
        let (arity, end) = (tuple.arity(), self.clock.end_after(lease_ms));
        let before = self.relet(name, arity, id, end);
        self.undo.record(|| Undo::Renewed {
            space: name.clone(),
            arity,
            id,
            before,
        });
        Ok(Some(tuple))
    }

    /// Gives a tuple without one a lease.
    pub(super) fn lease(&mut self, name: &SpaceName, arity: usize, id: TupleId, end: End) {
        self.space(name).lease(id, end);
        self.leases.insert(end, id, (name.clone(), arity));
    }

    /// Gives a tuple with a lease another one; the one it had.
    pub(super) fn relet(&mut self, name: &SpaceName, arity: usize, id: TupleId, end: End) -> End {
        let Some(before) = self.space(name).end_of(id) else {
            broken("a lease to be renewed is not there");
        };
        self.forget_lease(before, id);
        self.lease(name, arity, id, end);
        before
    }

    pub(super) fn forget_lease(&mut self, end: End, id: TupleId) {
        if !self.leases.remove(end, id) {
            broken("a lease was not indexed");
        }
    }
}
