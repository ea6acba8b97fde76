//! Proposes ticks, so that agreed time passes without requests.
//!
//! The service says when something in it expires next. To the replica that is a
//! request which nobody sends: it becomes known when its time has come by the
//! replica's own reading of agreed time, and is ordered by any proposal whose time
//! has passed it. A primary with nothing else to propose then proposes a *tick*,
//! which has a time and no requests. A primary that does not is suspected, as for a
//! request that it leaves out.
//!
//! Backups allow for the readings first: one waits until its own is past by what it
//! grants a proposal ([`Tuning::max_drift_ms`]). From then on no proposal that it votes
//! for by its own judgement could have a time before the one due, so an honest primary
//! whose reading is behind by no more than that has ticked by then, and a faulty one
//! cannot let numbers go by without the time passing
//! (docs/decisions/013-agreed-time.md, docs/decisions/025-wrong-clocks.md).
//!
//! [`Tuning::max_drift_ms`]: super::Tuning::max_drift_ms

use super::{
    Replica,
    agreed_clock::{Verdict, micros, millis},
};
use crate::{
    ids::{Clock, Instant, OrderedTime, SeqNo},
    slot::Slot,
};

/// What the replica knows of the time that passes.
#[derive(Debug, Default)]
pub(super) struct Ticker {
    /// When something expires next, as the service said after the last number executed.
    due: Option<OrderedTime>,
    /// Since when that is late by this replica's reading.
    overdue: Option<Instant>,
}

impl Ticker {
    /// Since when the primary owes a tick.
    pub(super) const fn overdue(&self) -> Option<Instant> {
        self.overdue
    }
}

impl Replica {
    /// What the service says of a state that this replica did not execute, after a restart or
    /// a transfer: agreed time in it, and when something expires next
    /// ([`crate::service::Service::due`]). Later both come with what was executed.
    pub const fn expect(&mut self, time: OrderedTime, due: Option<OrderedTime>) {
        self.agreed_clock.resume(time);
        self.ticker.due = due;
    }

    /// What time it is by this replica's reading of agreed time: what it would propose, or
    /// expect to be proposed. The time of day before anything was agreed.
    #[must_use]
    pub fn agreed_time_at(&self, clock: Clock) -> OrderedTime {
        millis(self.agreed_clock.read_us(clock))
    }

    /// The service executed a number: what it says of the time.
    pub(super) fn pass_time(&mut self, seq_no: SeqNo, time: OrderedTime, due: Option<OrderedTime>) {
        self.ticker.due = due;
        let slot = self.slots.get(&seq_no);
        let fresh = seq_no == self.delivered && slot.is_some_and(Slot::is_fresh);
        self.agreed_clock.execute(time, fresh, self.clock);
    }

    /// What this replica finds of the time of a fresh proposal.
    pub(super) fn judge_time(&self, proposed: OrderedTime) -> Verdict {
        self.agreed_clock.judge(proposed, self.clock)
    }

    /// The time of a proposal of this replica.
    pub(super) fn time_to_propose(&self) -> OrderedTime {
        millis(self.proposal_us())
    }

    fn proposal_us(&self) -> i128 {
        self.agreed_clock.proposal_us(self.clock)
    }

    /// When something expires next, unless a number on its way to the service may change it.
    fn due(&self) -> Option<OrderedTime> {
        let settled = self.executed == self.delivered && !self.is_installing();
        self.ticker.due.filter(|_| settled)
    }

    /// When this primary's proposals have the time that is due. One tick is enough, and none is
    /// needed while something is undecided: it has a time of its own.
    pub(super) fn tick_due(&self) -> Option<Instant> {
        let may_tick = self.is_primary()
            && self.views.is_active()
            && self.votes()
            && self.proposed <= self.delivered
            && self.delivered < self.checkpoints.high();
        let due = self.due().filter(|_| may_tick)?;
        Some(self.after(micros(due).saturating_sub(self.proposal_us())))
    }

    /// Whether this primary is to propose a tick now.
    pub(super) fn must_tick(&self) -> bool {
        self.tick_due().is_some_and(|due| self.now >= due)
    }

    /// How long, in microseconds, until the primary owes a tick for what is due at `due`.
    fn until_owed_us(&self, due: OrderedTime) -> i128 {
        let late = self.agreed_clock.slack_us(self.clock);
        let read = self.agreed_clock.read_us(self.clock);
        micros(due).saturating_add(late).saturating_sub(read)
    }

    /// When what is due becomes overdue, unless it is already.
    pub(super) fn overdue_due(&self) -> Option<Instant> {
        let due = self.due().filter(|_| self.ticker.overdue.is_none())?;
        Some(self.after(self.until_owed_us(due)))
    }

    /// Notes since when the primary owes a tick: from when this replica saw it, so that a
    /// stop of this replica accuses nobody of the time that it missed.
    pub(super) fn watch_time(&mut self) {
        let owes = self.due().is_some_and(|due| self.until_owed_us(due) <= 0);
        if !owes {
            self.ticker.overdue = None;
        } else if self.ticker.overdue.is_none() {
            self.ticker.overdue = Some(self.now);
        }
    }

    /// The moment so many microseconds after the last step; that of the step if they are over.
    /// The reading may go a little slower than the monotonic clock: whoever waits for it looks
    /// again then.
    fn after(&self, us: i128) -> Instant {
        let us = u64::try_from(us.max(0)).unwrap_or(u64::MAX);
        self.now.after_us(us)
    }
}
