//! The pace of a primary: whether it proposes as soon as it can.
//!
//! A primary that stays below the view-change timeout can hold every proposal back for most of
//! it. A backup cannot tell how long the primary has had a request that was sent to it alone;
//! but how long a request that this replica passed on waited here, it can. A correct primary
//! that has room proposes it when what is under way is decided, at the latest. So a wait of
//! several such rounds, and of [`limits::SLOW_US`] at least, is slow; and a primary that is slow
//! to as many clients as it is quick to, for [`limits::SLOW_FOR_US`], is as good as a silent one.
//!
//! Full proposals are not judged (who waits for its turn is for [`crate::pool`]), nor are
//! clients of which much else was proposed meanwhile: they fill their share at the primary.

use std::collections::BTreeMap;

use crate::{
    ids::{ClientId, Instant, SeqNo},
    limits,
};

/// The weight of a round in the average of rounds is one in so many.
const ROUNDS_AVERAGED: u64 = 8;

/// A wait of so many rounds is slow.
const SLOW_ROUNDS: u64 = 4;

/// What a backup knows of its primary's pace in this view.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When the proposals under way came in.
    began: BTreeMap<SeqNo, Instant>,
    /// How long one takes from then to its decision, on average.
    round_us: u64,
    /// Since when the clients below are noted.
    since: Option<Instant>,
    /// Of each client how many requests more were served slowly than quickly.
    slower: BTreeMap<ClientId, i32>,
}

impl Pace {
    /// A view began; its primary is another.
    pub(crate) fn enter_view(&mut self) {
        self.began.clear();
        self.forget();
    }

    fn forget(&mut self) {
        self.since = None;
        self.slower.clear();
    }

    /// A fresh proposal came in.
    pub(crate) fn begin(&mut self, seq_no: SeqNo, now: Instant) {
        if self.began.len() < limits::MAX_PACED {
            self.began.insert(seq_no, now);
        }
    }

    /// Everything up to a number is decided.
    pub(crate) fn decided(&mut self, seq_no: SeqNo, now: Instant) {
        let above = self.began.split_off(&seq_no.next());
        for began in std::mem::replace(&mut self.began, above).into_values() {
            let took = now.since_us(began);
            self.round_us = if self.round_us == 0 {
                took
            } else {
                (self.round_us * (ROUNDS_AVERAGED - 1) + took) / ROUNDS_AVERAGED
            };
        }
    }

    /// A client's request that waited here for `wait_us` stands in a proposal that had room.
    pub(crate) fn served(&mut self, client: ClientId, wait_us: u64, now: Instant) {
        self.since.get_or_insert(now);
        let slow_us = (self.round_us * SLOW_ROUNDS).max(limits::SLOW_US);
        let step = if wait_us > slow_us { 1 } else { -1 };
        if self.slower.len() < limits::MAX_PACED {
            let slower = self.slower.entry(client).or_default();
            *slower = slower.saturating_add(step);
        }
    }

    /// Whether the primary is too slow, judged once in [`limits::SLOW_FOR_US`].
    pub(crate) fn is_too_slow(&mut self, now: Instant) -> bool {
        let Some(since) = self.since else {
            return false;
        };
        if now < since.after_us(limits::SLOW_FOR_US) {
            return false;
        }
        let slow = self.slower.values().filter(|more| **more > 0).count();
        let too_slow = slow > 0 && 2 * slow >= self.slower.len();
        self.forget();
        too_slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1000;

    fn client(i: u8) -> ClientId {
        ClientId([i; 32])
    }

    /// Whether a primary is too slow that proposes what waited for so long, every 200 ms.
    fn too_slow(round_us: u64, waits: &[(u8, u64)]) -> bool {
        let mut pace = Pace::default();
        (1..=25).any(|i| {
            let now = Instant(i * 200 * MS);
            for (who, wait_us) in waits {
                pace.served(client(*who), *wait_us, now);
            }
            pace.begin(SeqNo(i), now);
            pace.decided(SeqNo(i), now.after_us(round_us));
            pace.is_too_slow(now)
        })
    }

    #[test]
    fn a_primary_that_holds_everything_back_is_too_slow() {
        assert!(too_slow(10 * MS, &[(1, 300 * MS), (2, 300 * MS)]));
        assert!(!too_slow(10 * MS, &[(1, 190 * MS), (2, 190 * MS)]));
        assert!(!too_slow(100 * MS, &[(1, 300 * MS)]), "rounds take so long");
        assert!(!too_slow(10 * MS, &[]));
    }

    /// It must be slow to as many as it is quick to.
    #[test]
    fn one_friend_of_a_slow_primary_does_not_excuse_it() {
        assert!(too_slow(MS, &[(1, 300 * MS), (2, 300 * MS), (3, MS)]));
        assert!(!too_slow(MS, &[(1, 300 * MS), (2, MS), (3, MS)]));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut pace = Pace::default();
        for i in 0..100_000_u64 {
            pace.begin(SeqNo(i), Instant(i));
            let mut key = [0; 32];
            key[..8].copy_from_slice(&i.to_le_bytes());
            pace.served(ClientId(key), i, Instant(i));
        }
        assert!(pace.began.len() <= limits::MAX_PACED && pace.slower.len() <= limits::MAX_PACED);
        pace.enter_view();
        assert!(pace.began.is_empty() && pace.slower.is_empty() && pace.since.is_none());
    }
}
