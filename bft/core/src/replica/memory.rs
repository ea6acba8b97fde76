//! Says what a replica keeps of each peer, in bytes.
//!
//! Nothing here bounds anything: bounds are kept where something is taken in. A simulator holds
//! a replica to them by these figures, and so do tests. What the log keeps of decided numbers is
//! no peer's: clients had it ordered.

use super::Replica;
use crate::{ids::ReplicaId, slot::Slot};

/// What a replica keeps on one peer's word alone, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerMemory {
    /// Decisions it claims, at most [`crate::limits::MAX_CLAIM_BYTES_PER_REPLICA`].
    pub claims: usize,
    /// Messages of views to come, at most [`crate::limits::MAX_EARLY_BYTES_PER_REPLICA`].
    pub early: usize,
    /// View changes that new views name, beside its highest, as their number: at most
    /// [`crate::limits::MAX_NAMED_PER_REPLICA`].
    pub named: usize,
}

impl Replica {
    /// What is kept of `peer`.
    #[must_use]
    pub fn memory_of(&self, peer: ReplicaId) -> PeerMemory {
        let claims = self.slots.values().map(|slot| slot.claim_bytes(peer));
        PeerMemory {
            claims: claims.sum(),
            early: self.early.bytes_of(peer),
            named: self.views.named_of(peer),
        }
    }

    /// The most that is kept of any one peer, of each kind.
    #[must_use]
    pub fn most_memory_of_a_peer(&self) -> PeerMemory {
        let is_claimed = self.slots.values().any(Slot::has_claims);
        let mut most = PeerMemory::default();
        for peer in self.quorum.members() {
            if is_claimed {
                let claims = self.slots.values().map(|slot| slot.claim_bytes(peer));
                most.claims = most.claims.max(claims.sum());
            }
            most.early = most.early.max(self.early.bytes_of(peer));
            most.named = most.named.max(self.views.named_of(peer));
        }
        most
    }

    /// Bytes of memory that a state takes which is being fetched.
    #[must_use]
    pub fn fetched_bytes(&self) -> usize {
        let transfer = self.transfer.as_ref();
        transfer.map_or(0, super::transfer::Transfer::buffered_bytes)
    }

    /// Bytes of proposals of this view that are here and not executed: at most
    /// [`crate::limits::MAX_UNDELIVERED_BYTES`] and the next number's, unless more was carried
    /// over from earlier views.
    #[must_use]
    pub fn undelivered_bytes(&self) -> usize {
        let above = self.slots.range(self.delivered.next()..);
        let proposals = above.filter_map(|(_, slot)| slot.proposal());
        proposals.map(|proposal| proposal.cost_bytes()).sum()
    }
}
