//! Advances agreed time, and ends leases, waits and sessions that are over.
//!
//! Time comes with proposals: at least a millisecond with each, and with those
//! that primaries make for nothing but the time, the ticks. As a tick is made
//! when something is due, one that comes much later tells of an outage. Clients
//! could renew nothing meanwhile, so nothing of it is counted against them.

use bezant_bft::{
    ids::{OrderedTime, SeqNo},
    service::Replies,
};

use crate::{Kernel, limits::OUTAGE_MS};

impl Kernel {
    /// A proposal of time `proposed` is executed: first of all, what is over ends.
    pub(crate) fn pass_time(
        &mut self,
        proposed: OrderedTime,
        seq_no: SeqNo,
        replies: &mut Replies,
    ) {
        let now = self.time.next().max(proposed);
        let lost_ms = lost_ms(self.time.0, self.due_ms(), now.0);
        self.time = now;
        self.spaces.extend(lost_ms);
        self.sessions.extend(lost_ms);
        self.begin_dispatch(seq_no);
        self.spaces.expire(now.0);
        self.tell_extensions(seq_no);
        self.spaces.commit();
        for over in self.spaces.end_waits() {
            self.end_wait_with(over, seq_no, replies);
        }
        while let Some(session) = self.sessions.over(now.0) {
            let _to_be_committed = self.spaces.savepoint();
            self.end_session(session);
            self.tell_extensions(seq_no);
            self.spaces.commit();
        }
        self.answer_deliveries(seq_no, replies);
    }

    /// The agreed time at which something ends next.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        let carried_over = self.dispatch.are_due().then_some(self.time.0);
        let dues = [self.spaces.due_ms(), self.sessions.due_ms(), carried_over];
        dues.into_iter().flatten().min()
    }
}

/// How much of the time from `last` to `now` an outage took, if something was due at `due`
/// and no tick came for longer than primaries may take.
///
/// When it began is not known: after the last proposal, and not so long before the tick
/// that was missed that anything could live for ever on it. So nothing ever has more time
/// left than it had after the last proposal, and what was due first has what it had then
/// or the bound, whichever is less.
fn lost_ms(last: u64, due: Option<u64>, now: u64) -> u64 {
    match due {
        Some(due) if now.saturating_sub(due) > OUTAGE_MS => {
            now.saturating_sub(last.max(due.saturating_sub(OUTAGE_MS)))
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const B: u64 = OUTAGE_MS;

    #[test]
    fn a_tick_in_time_loses_nothing() {
        assert_eq!(lost_ms(0, None, 1_000_000 * B), 0, "nothing was due");
        assert_eq!(lost_ms(100, Some(200), 150), 0);
        assert_eq!(lost_ms(100, Some(200), 200), 0);
        assert_eq!(lost_ms(100, Some(200), 200 + B), 0, "late, but no outage");
        // However long nothing happened, if what was due first is ticked in time.
        assert_eq!(lost_ms(0, Some(1_000 * B), 1_000 * B), 0);
    }

    #[test]
    fn an_outage_loses_what_nobody_had() {
        // What was due 100 ms after the last proposal has 100 ms left.
        assert_eq!(lost_ms(100, Some(200), 201 + B), 101 + B);
        assert_eq!(lost_ms(100, Some(200), 1_000_000), 1_000_000 - 100);
        // What was due long after it has the bound left.
        assert_eq!(lost_ms(0, Some(9 * B), 99 * B), 99 * B - 8 * B);
    }

    /// Nobody's time left grows by it, and nothing is over with the outage.
    #[test]
    fn nothing_gains_and_nothing_ends() {
        for last in [0, 5, B, 7 * B] {
            for ahead in [1, B - 1, B, B + 1, 50 * B] {
                for late in [B + 1, 2 * B, 1_000 * B] {
                    let due = last + ahead;
                    let now = due + late;
                    let moved = due + lost_ms(last, Some(due), now);
                    assert!(moved > now, "{last} {ahead} {late}");
                    assert!(moved - now <= due - last, "{last} {ahead} {late}");
                }
            }
        }
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        assert_eq!(lost_ms(u64::MAX, Some(u64::MAX), u64::MAX), 0);
        assert_eq!(lost_ms(0, Some(1), u64::MAX), u64::MAX);
    }
}
