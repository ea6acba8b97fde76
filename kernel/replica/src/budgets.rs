//! What the links of clients may bring about at once: budgets in bytes.
//!
//! A client that repeats a request of a hundred bytes is sent a kept reply that may have a hundred
//! thousand, and nothing in its message need be signed for that. So each link has a budget
//! ([`Budget`]) for everything that is sent over it, or worked out for it, and is not the answer
//! to a request that was ordered just now. What exceeds it is dropped: the client asks again. The
//! same question in one turn is answered once. The budget is the link's and not the client's
//! whose session is named: whoever has the link is who repeats.

use std::collections::{BTreeMap, BTreeSet};

use bezant_bft::{
    budget::{Budget, Rate},
    ids::{ClientId, Instant, RequestNumber, SessionId},
};

use crate::event::LinkId;

/// What one link of a client may have beside the answers to what is ordered.
pub const LINK_RATE: Rate = Rate {
    burst: 4 << 20,
    per_second: 4 << 20,
};

/// What a reply is charged for beside its result.
pub(crate) const REPLY_COST_BYTES: usize = 256;

/// What a signed reply is charged for beside its bytes: a signature is made for it.
pub(crate) const SIGNED_REPLY_COST_BYTES: usize = 32 << 10;

/// What a leave to attach with a bad signature is charged for: it is checked by itself. A good one
/// costs nothing, since a link carries a bounded number of clients and each once.
pub(crate) const BAD_ATTACH_COST_BYTES: usize = 64 << 10;

/// Something that a client asks again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Repeat {
    /// What became of a request.
    Reply(ClientId, SessionId, RequestNumber),
    /// The same, signed.
    Signed(SessionId, RequestNumber),
    /// To be believed that a client gave its leave.
    Attach,
}

#[derive(Debug)]
struct Account {
    budget: Budget,
    /// What was answered in the turn of this number.
    answered: BTreeSet<Repeat>,
    turn: u64,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            budget: Budget::new(LINK_RATE),
            answered: BTreeSet::new(),
            turn: 0,
        }
    }
}

/// The budgets of all links.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    links: BTreeMap<LinkId, Account>,
    turn: u64,
    now: Instant,
}

impl Budgets {
    /// A turn begins.
    pub(crate) const fn begin_turn(&mut self, now: Instant) {
        self.turn += 1;
        self.now = now;
    }

    /// Whether `link` has something left, and did not ask this in the same turn.
    pub(crate) fn admits(&mut self, link: LinkId, repeat: Repeat) -> bool {
        let account = self.links.entry(link).or_default();
        if account.turn != self.turn {
            account.turn = self.turn;
            account.answered.clear();
        }
        account.budget.refill(self.now);
        account.budget.has_left() && !account.answered.contains(&repeat)
    }

    /// Notes that it is answered with so many bytes.
    pub(crate) fn charge(&mut self, link: LinkId, repeat: Repeat, bytes: usize) {
        let account = self.links.entry(link).or_default();
        account.budget.charge(bytes);
        if repeat != Repeat::Attach {
            account.answered.insert(repeat);
        }
    }

    /// Forgets a link that went down.
    pub(crate) fn forget(&mut self, link: LinkId) {
        self.links.remove(&link);
    }
}
