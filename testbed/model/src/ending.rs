//! Leases, waits and sessions that end.

use std::sync::Arc;

use bezant_tuplespace::{Change, Ended, EndedWait, Outcome, Wants};

use crate::{Model, Placed, Wait};

impl Model {
    /// The agreed time at which the next lease or wait ends.
    #[must_use]
    pub fn due_ms(&self) -> Option<u64> {
        let leases = self.tuples.iter().filter_map(|placed| placed.due_ms);
        let waits = self.waits.iter().filter_map(|wait| wait.due_ms);
        leases.chain(waits).min()
    }

    /// Moves the end of every lease and wait by so much.
    pub fn extend(&mut self, by_ms: u64) {
        let leases = self.tuples.iter_mut().map(|placed| &mut placed.due_ms);
        let waits = Arc::make_mut(&mut self.waits).iter_mut();
        let waits = waits.map(|wait| &mut wait.due_ms);
        leases.chain(waits).flatten().for_each(|due| *due += by_ms);
    }

    /// Agreed time is `now_ms` from here on: tuples whose lease is over are gone, by the end of
    /// the leases, then by age. How many.
    pub fn expire(&mut self, now_ms: u64) -> u64 {
        self.now_ms = now_ms;
        let is_over = |placed: &Placed| placed.due_ms.is_some_and(|due| due <= now_ms);
        self.let_go(is_over, |placed| placed.due_ms)
    }

    /// The waits whose end has come, by their end, then by arrival; and what they answer.
    pub fn end_waits(&mut self) -> Vec<EndedWait> {
        let now_ms = self.now_ms;
        let is_over = |wait: &Wait| wait.due_ms.is_some_and(|due| due <= now_ms);
        self.give_up(is_over, |wait| wait.due_ms)
    }

    /// All that a session had ends: its waits, by number, and its ephemeral tuples.
    pub fn end_owner(&mut self, owner: u64) -> Ended {
        let waits = self.give_up(|wait| wait.id.owner == owner, |wait| Some(wait.id.number));
        let tuples = self.let_go(|placed| placed.owner == Some(owner), |_| None);
        Ended { tuples, waits }
    }

    /// Drops tuples that nobody took, in this order; how many.
    fn let_go(
        &mut self,
        is_meant: impl Fn(&Placed) -> bool,
        order: impl Fn(&Placed) -> Option<u64>,
    ) -> u64 {
        let mut gone: Vec<Placed> = self
            .tuples
            .iter()
            .filter(|p| is_meant(p))
            .cloned()
            .collect();
        self.tuples.retain(|placed| !is_meant(placed));
        gone.sort_by_key(order);
        gone.iter()
            .for_each(|placed| self.note(Change::Expired, placed));
        gone.len() as u64
    }

    /// Ends waits for which nothing came, in this order, with what they answer.
    fn give_up(
        &mut self,
        is_meant: impl Fn(&Wait) -> bool,
        order: impl Fn(&Wait) -> Option<u64>,
    ) -> Vec<EndedWait> {
        let mut over: Vec<Wait> = self.waits.iter().filter(|w| is_meant(w)).cloned().collect();
        if !over.is_empty() {
            Arc::make_mut(&mut self.waits).retain(|wait| !is_meant(wait));
        }
        over.sort_by_key(order);
        let answers = over.into_iter().map(|wait| EndedWait {
            waiter: wait.id,
            outcome: match wait.wants {
                Wants::Watch { .. } => self.nothing_happened(),
                Wants::Read | Wants::Take => Outcome::Match(None),
            },
        });
        answers.collect()
    }
}
