//! Keeps every proposal that this replica voted for, by digest, until its number is settled.
//!
//! A prepared certificate that only a faulty replica can show makes a new view name a proposal.
//! Somebody correct voted to prepare that proposal; if it let the proposal go on the way into a
//! later view, nobody could supply it, and every view that follows would fail (docs/protocol.md,
//! "Keep what you voted for"). So what was voted for stays until the number is decided here, or
//! lies below a stable checkpoint that was reached here.
//!
//! The bytes have a bound. What is left of it decides whether this replica votes for a *fresh*
//! proposal, one that no new view names; a carried proposal is always voted for and kept, since
//! somebody's certificate names it already.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    ids::{Digest, SeqNo},
    verification::verified::CheckedProposal,
};

/// What a proposal is charged for beside [`CheckedProposal::cost_bytes`]: its places here.
const ENTRY_BYTES: usize = 256;

/// Proposals voted for, above the last number that is settled.
#[derive(Debug, Default)]
pub struct KeptProposals {
    by_number: BTreeMap<SeqNo, Vec<Arc<CheckedProposal>>>,
    bytes: usize,
    /// Numbers of fresh proposals for which there was no room.
    refused: BTreeSet<SeqNo>,
    /// Whether something went since one was refused.
    has_gone: bool,
}

fn cost_bytes(proposal: &CheckedProposal) -> usize {
    proposal.cost_bytes().saturating_add(ENTRY_BYTES)
}

impl KeptProposals {
    /// What all that is kept is charged for, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The proposal with this digest that was voted for at this number.
    #[must_use]
    pub fn find(&self, seq_no: SeqNo, digest: &Digest) -> Option<&Arc<CheckedProposal>> {
        let mut kept = self.by_number.get(&seq_no)?.iter();
        kept.find(|proposal| proposal.digest() == *digest)
    }

    /// Whether `proposal` is here or may be added without passing `bound` bytes. The null
    /// request takes no room: everybody can make it.
    #[must_use]
    pub fn has_room(&self, seq_no: SeqNo, proposal: &CheckedProposal, bound: usize) -> bool {
        proposal.is_null()
            || self.find(seq_no, &proposal.digest()).is_some()
            || self.has_room_for(cost_bytes(proposal), bound)
    }

    /// Whether so many bytes may be added without passing `bound`.
    #[must_use]
    pub const fn has_room_for(&self, bytes: usize, bound: usize) -> bool {
        self.bytes.saturating_add(bytes) <= bound
    }

    /// Whether something is kept at a number above this one.
    #[must_use]
    pub fn is_any_above(&self, seq_no: SeqNo) -> bool {
        let last = self.by_number.last_key_value();
        last.is_some_and(|(last, _)| *last > seq_no)
    }

    /// Keeps what is voted for.
    pub fn keep(&mut self, seq_no: SeqNo, proposal: &Arc<CheckedProposal>) {
        self.refused.remove(&seq_no);
        if !proposal.is_null() && self.find(seq_no, &proposal.digest()).is_none() {
            self.bytes = self.bytes.saturating_add(cost_bytes(proposal));
            let kept = self.by_number.entry(seq_no).or_default();
            kept.push(Arc::clone(proposal));
        }
    }

    /// Notes a number at which there was no room.
    pub fn refuse(&mut self, seq_no: SeqNo) {
        self.refused.insert(seq_no);
    }

    /// The numbers at which there was no room, once there may be: they are to be looked at anew.
    pub fn take_refused(&mut self) -> Option<BTreeSet<SeqNo>> {
        let anew = std::mem::take(&mut self.has_gone) && !self.refused.is_empty();
        anew.then(|| std::mem::take(&mut self.refused))
    }

    /// A view begins: what was refused in the one before is nobody's proposal any more.
    pub fn forget_refused(&mut self) {
        self.refused.clear();
    }

    /// Numbers up to this one are settled: decided here, or covered by a stable checkpoint
    /// that was reached here. What else was voted for there can be named by no view to come.
    pub fn settle(&mut self, seq_no: SeqNo) {
        let above = self.by_number.split_off(&seq_no.next());
        let gone = std::mem::replace(&mut self.by_number, above);
        let gone: usize = gone.values().flatten().map(|gone| cost_bytes(gone)).sum();
        self.bytes = self.bytes.saturating_sub(gone);
        self.has_gone |= gone > 0;
        self.refused = self.refused.split_off(&seq_no.next());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::OrderedTime;

    fn proposal(time: u64) -> Arc<CheckedProposal> {
        Arc::new(CheckedProposal::new(OrderedTime(time), Vec::new()))
    }

    fn each() -> usize {
        cost_bytes(&proposal(1))
    }

    /// Several proposals of one number stay side by side until it is settled, and no longer.
    #[test]
    fn what_was_voted_for_stays_until_its_number_is_settled() {
        let mut kept = KeptProposals::default();
        for (seq_no, time) in [(1, 1), (1, 2), (2, 3), (1, 1)] {
            kept.keep(SeqNo(seq_no), &proposal(time));
        }
        assert_eq!(kept.bytes(), 3 * each(), "each once");
        for time in [1, 2] {
            assert!(kept.find(SeqNo(1), &proposal(time).digest()).is_some());
        }
        assert!(kept.find(SeqNo(2), &proposal(1).digest()).is_none());
        kept.settle(SeqNo(0));
        assert_eq!(kept.bytes(), 3 * each());
        kept.settle(SeqNo(1));
        assert_eq!(kept.bytes(), each());
        assert!(kept.is_any_above(SeqNo(1)) && !kept.is_any_above(SeqNo(2)));
        kept.settle(SeqNo(2));
        assert_eq!(kept.bytes(), 0);
    }

    /// What is here already, and what everybody can make, needs no room.
    #[test]
    fn room_is_counted_in_bytes() {
        let (mut kept, bound) = (KeptProposals::default(), 2 * each());
        for seq_no in 1..3 {
            assert!(kept.has_room(SeqNo(seq_no), &proposal(1), bound));
            kept.keep(SeqNo(seq_no), &proposal(1));
        }
        assert!(!kept.has_room(SeqNo(3), &proposal(1), bound));
        assert!(!kept.has_room(SeqNo(1), &proposal(2), bound));
        assert!(kept.has_room(SeqNo(1), &proposal(1), bound));
        assert!(kept.has_room(SeqNo(3), &CheckedProposal::null(), bound));
        kept.keep(SeqNo(3), &Arc::new(CheckedProposal::null()));
        assert_eq!(kept.bytes(), bound);
    }

    #[test]
    fn what_was_refused_is_looked_at_anew_when_there_may_be_room() {
        let mut kept = KeptProposals::default();
        kept.keep(SeqNo(1), &proposal(1));
        kept.refuse(SeqNo(2));
        kept.refuse(SeqNo(3));
        assert_eq!(kept.take_refused(), None, "nothing went");
        kept.settle(SeqNo(1));
        let refused = BTreeSet::from([SeqNo(2), SeqNo(3)]);
        assert_eq!(kept.take_refused(), Some(refused));
        assert_eq!(kept.take_refused(), None, "once");
    }
}
