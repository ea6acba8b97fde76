//! Tuples that live on a lease, and the agreed time that ends them.
//!
//! Time comes from the log alone: whoever executes it says how far it has come,
//! and what is over by then is gone before any operation looks.

use bezant_tuple::{Template, Tuple};

use super::Spaces;
use crate::{Refusal, SpaceName, TupleId, broken, leases::End, undo::Undo};

impl Spaces {
    /// Agreed time is `now_ms` from here on, and never earlier than before. Every tuple
    /// whose lease has ended is gone: by the end of the leases, then by age. Says how many.
    ///
    /// Ends all savepoints: time is not undone.
    pub fn advance(&mut self, now_ms: u64) -> u64 {
        self.commit();
        self.leases.advance(now_ms);
        let mut gone = 0;
        while let Some((id, (space, arity))) = self.leases.over() {
            self.pull(&space, arity, id);
            gone += 1;
        }
        gone
    }

    /// Moves the end of every lease by so much, whatever their number at the same cost.
    pub const fn extend_leases(&mut self, by_ms: u64) {
        self.leases.extend(by_ms);
    }

    /// The agreed time at which the next lease ends.
    #[must_use]
    pub fn due_ms(&self) -> Option<u64> {
        self.leases.first_ms()
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
        let (arity, end) = (tuple.arity(), self.leases.end_after(lease_ms));
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
