//! Proposes ticks, so that agreed time passes without requests.
//!
//! The service says when something in it expires next. To the replica that is a
//! request which nobody sends: it becomes known when its time has come by the
//! replica's own clock, and is ordered by any proposal whose time has passed it.
//! A primary with nothing else to propose then proposes a *tick*, which has a
//! time and no requests. A primary that does not is suspected, as for a request
//! that it leaves out.
//!
//! Backups allow for the clocks first: one waits until its own clock is past by
//! [`Tuning::max_drift_ms`]. From then on no proposal that it votes for could have
//! a time before the one due, so an honest primary whose clock is behind by no
//! more than that has ticked by then, and a faulty one cannot let numbers go by
//! without the time passing (docs/decisions/013-agreed-time.md).
//!
//! [`Tuning::max_drift_ms`]: super::Tuning::max_drift_ms

use super::Replica;
use crate::ids::{Instant, OrderedTime};

/// What the replica knows of the time that passes.
#[derive(Debug, Default)]
pub(super) struct Ticker {
    /// When something expires next, as the service said after the last number executed.
    due: Option<OrderedTime>,
    /// Since when that is late by this replica's clock.
    overdue: Option<Instant>,
}

impl Ticker {
    /// Since when the primary owes a tick.
    pub(super) const fn overdue(&self) -> Option<Instant> {
        self.overdue
    }
}

impl Replica {
    /// What the service says of its state, after a restart: when something in it expires
    /// next ([`crate::service::Service::due`]). Later it comes with what was executed.
    pub const fn expect(&mut self, due: Option<OrderedTime>) {
        self.ticker.due = due;
    }

    /// When something expires next, unless a number on its way to the service may change it.
    fn due(&self) -> Option<OrderedTime> {
        let settled = self.executed == self.delivered && !self.is_installing();
        self.ticker.due.filter(|_| settled)
    }

    /// When this primary's clock shows what is due. One tick is enough, and none is needed
    /// while something is undecided: it has a time of its own.
    pub(super) fn tick_due(&self) -> Option<Instant> {
        let may_tick = self.is_primary()
            && self.views.is_active()
            && self.votes()
            && self.proposed <= self.delivered
            && self.delivered < self.checkpoints.high();
        Some(self.reaches(self.due().filter(|_| may_tick)?))
    }

    /// Whether this primary is to propose a tick now.
    pub(super) fn must_tick(&self) -> bool {
        self.tick_due()
            .is_some_and(|due| self.clock.monotonic >= due)
    }

    /// When what is due becomes overdue, unless it is already.
    pub(super) fn overdue_due(&self) -> Option<Instant> {
        let due = self.due().filter(|_| self.ticker.overdue.is_none())?;
        let late = due.0.saturating_add(self.tuning.max_drift_ms);
        Some(self.reaches(OrderedTime(late)))
    }

    /// Notes since when the primary owes a tick: from when this replica saw it, so that a
    /// clock that was put forward accuses nobody of the time it skipped.
    pub(super) fn watch_time(&mut self) {
        let late = self.tuning.max_drift_ms;
        let wall = self.clock.wall;
        let owes = |due: OrderedTime| wall.0 >= due.0.saturating_add(late);
        if !self.due().is_some_and(owes) {
            self.ticker.overdue = None;
        } else if self.ticker.overdue.is_none() {
            self.ticker.overdue = Some(self.now);
        }
    }

    /// When the time of day will be `wall`, by the clocks of the last step; the moment of
    /// that step if it is already.
    fn reaches(&self, wall: OrderedTime) -> Instant {
        let ms = wall.0.saturating_sub(self.clock.wall.0);
        self.clock.monotonic.after_us(ms.saturating_mul(1000))
    }
}
