//! Restores a replica from its records after a restart.
//!
//! The records are taken in the order in which they were written. They hold
//! every vote this replica cast above its last stable checkpoint, and the view
//! it was in or had left for, so that it never contradicts itself; every proposal it voted for;
//! and what leads others into its view. What was
//! decided is not among them: peers repeat their commits, or the decision.

use super::{Replica, Tuning, view_change::NewViewProof};
use crate::{
    crypto::SigningKey,
    effects::{Durability, PersistId, Record},
    ids::{ReplicaId, SeqNo},
    keyring::Keyring,
    message::{CheckpointVote, NewView, Signed, Vote},
    rejoin::IncarnationTable,
    slot::Slot,
    verification::verified::{CheckedNewView, CheckedPrePrepare},
};

/// Names what was durable before the restart.
const RECOVERED: PersistId = PersistId(0);

impl Replica {
    /// The replica that wrote `records`, at its last stable checkpoint; `None` as in
    /// [`Replica::new`]. The service's state must be the one of that checkpoint, and `incarnations`
    /// what stands before it. Records that begin with a [`Record::IncarnationNonce`] and no more
    /// are those of a replica that lost its memory.
    #[must_use]
    #[expect(
        clippy::too_many_arguments,
        reason = "what a new replica needs, and what this one kept"
    )]
    pub fn recover(
        me: ReplicaId,
        key: SigningKey,
        keyring: Keyring,
        checkpoint_interval: u64,
        tuning: Tuning,
        durability: Durability,
        incarnations: IncarnationTable,
        records: Vec<Record>,
    ) -> Option<Self> {
        let mut replica = Self::new(me, key, keyring, checkpoint_interval, tuning, durability)?;
        replica.rejoining.incarnations = incarnations;
        for record in records {
            replica.remember_incarnation(&record);
            replica.remember(record);
        }
        Some(replica)
    }

    fn remember(&mut self, record: Record) {
        match record {
            Record::PrePrepare(message) => self.remember_proposal(message),
            Record::Prepare(vote) => self.remember_vote(vote, |slot| {
                slot.cast_prepare(vote, RECOVERED);
                // The first stands: a vote is never recorded twice with different content.
                let _news = slot.count_own(RECOVERED);
            }),
            Record::Commit { vote, prepares } => self.remember_vote(vote, |slot| {
                for prepare in prepares {
                    let _first = slot.add_prepare(prepare);
                }
                slot.cast_commit(vote, RECOVERED);
                slot.count_own(RECOVERED);
            }),
            Record::Stable(votes) => self.remember_stable(votes),
            Record::IncarnationNonce(_) => {}
            Record::ViewChange(signed) => self.left(signed),
            Record::NewView(signed) => {
                let new_view = CheckedNewView::own(signed.clone());
                self.views.new_view_proof = Some(NewViewProof::new(new_view));
                let NewView {
                    view,
                    stable,
                    pre_prepares,
                    ..
                } = &signed.body;
                self.begin(*view, pre_prepares, *stable);
            }
            Record::NamedViewChanges(changes) => {
                if let Some(proof) = &mut self.views.new_view_proof {
                    proof.complete(changes);
                }
            }
        }
    }

    fn slot_of(&mut self, vote: &Vote) -> Option<&mut Slot> {
        let (seq_no, view) = (vote.seq_no, vote.view);
        if seq_no <= self.checkpoints.kept_below() || view != self.view {
            return None;
        }
        let slot = self.slots.entry(seq_no);
        Some(slot.or_insert_with(|| Slot::new(seq_no, view)))
    }

    fn remember_proposal(&mut self, message: CheckedPrePrepare) {
        let vote = message.vote.body;
        // It was voted for, perhaps in a view that is over.
        if vote.seq_no > self.delivered {
            self.kept.keep(vote.seq_no, &message.proposal);
        }
        if vote.replica == self.me {
            self.proposed = self.proposed.max(vote.seq_no);
        }
        if let Some(slot) = self.slot_of(&vote) {
            slot.supply(&message.proposal);
            let _first = slot.accept(message);
        }
    }

    fn remember_vote(&mut self, vote: Signed<Vote>, add: impl FnOnce(&mut Slot)) {
        if let Some(slot) = self.slot_of(&vote.body) {
            add(slot);
        }
    }

    fn remember_stable(&mut self, votes: Vec<Signed<CheckpointVote>>) {
        let seq_no = votes.first().map_or(SeqNo(0), |vote| vote.body.seq_no);
        if seq_no <= self.checkpoints.low() {
            return;
        }
        for vote in &votes {
            self.checkpoints.add(*vote);
        }
        self.checkpoints.advance(seq_no, votes, self.quorum);
        let kept = self.checkpoints.kept_below();
        self.slots = self.slots.split_off(&kept.next());
        self.executed = seq_no;
        self.delivered = seq_no;
        self.kept.settle(seq_no);
        self.proposed = self.proposed.max(seq_no);
    }
}
