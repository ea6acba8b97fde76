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

/// How many requests with bad signatures a client may send: each is checked by itself after the
/// batch that it spoils, so that it costs a turn as much as all the others in it together.
pub(crate) const BAD_SIGNATURES: Rate = Rate {
    burst: 16,
    per_second: 4,
};

/// Most clients of which bad signatures are remembered; those that sent theirs first go.
const MAX_OFFENDERS: usize = 4096;

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
    /// The owners of links over which bad signatures came, and in which turn the first did.
    offenders: BTreeMap<ClientId, (u64, Budget)>,
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

    /// Whether requests over the links of `client` are checked: it sent few bad ones lately.
    pub(crate) fn are_checked(&mut self, client: &ClientId) -> bool {
        let now = self.now;
        self.offenders.get_mut(client).is_none_or(|(_, budget)| {
            budget.refill(now);
            budget.has_left()
        })
    }

    /// A request with a bad signature came over a link of `client`. That is noted of the key
    /// and not of the link, or a new link would begin anew.
    pub(crate) fn sent_bad_signature(&mut self, client: ClientId) {
        if self.offenders.len() >= MAX_OFFENDERS && !self.offenders.contains_key(&client) {
            let first = self.offenders.iter().min_by_key(|(_, (turn, _))| *turn);
            if let Some(first) = first.map(|(client, _)| *client) {
                self.offenders.remove(&first);
            }
        }
        let began = (self.turn, Budget::new(BAD_SIGNATURES));
        let (_, budget) = self.offenders.entry(client).or_insert(began);
        budget.refill(self.now);
        budget.charge(1);
    }

    /// Forgets a link that went down.
    pub(crate) fn forget(&mut self, link: LinkId) {
        self.links.remove(&link);
    }
}
