//! Executes decided proposals in order, and votes on checkpoints.

use super::Replica;
use crate::{
    effects::{Effect, Effects, Record},
    ids::{Digest, SeqNo},
    invariants::Violation,
    message::{CheckpointVote, Signed},
    slot::Slot,
};
use std::sync::Arc;

impl Replica {
    /// Hands every decided number without a gap below it to the service, once.
    pub(super) fn deliver(&mut self, out: &mut Effects) {
        // A state that is being replaced executes nothing.
        while !self.is_installing() {
            let seq_no = self.delivered.next();
            let slot = self.slots.get(&seq_no);
            let Some(proposal) = slot.and_then(Slot::decided).map(Arc::clone) else {
                return;
            };
            for request in proposal.requests() {
                self.pool.settle(request);
            }
            self.counters.proposals += 1;
            self.counters.requests += proposal.requests().len() as u64;
            self.delivered = seq_no;
            self.kept.settle(seq_no);
            self.catch_up.decided(self.now);
            self.pace.decided(seq_no, self.now);
            self.catch_up.break_silence(self.now);
            self.relax();
            self.begin_incarnations(seq_no, &proposal);
            let incarnations = self.incarnations_at(seq_no);
            out.push(Effect::Execute {
                seq_no,
                proposal,
                incarnations,
            });
        }
    }

    pub(super) fn on_executed(&mut self, seq_no: SeqNo, out: &mut Effects) -> Option<SeqNo> {
        let expected = self.executed.next();
        if seq_no != expected || seq_no > self.delivered {
            self.halt(
                Violation::ExecutedOutOfOrder {
                    expected,
                    got: seq_no,
                },
                out,
            );
            return None;
        }
        self.executed = seq_no;
        // A copy that came between decision and execution was still new to the service. It
        // would wait here for ever, and the primary would be suspected for it.
        if let Some(proposal) = self.slots.get(&seq_no).and_then(Slot::decided) {
            for request in proposal.requests() {
                self.pool.settle(request);
            }
        }
        Some(seq_no)
    }

    /// The state at a checkpoint is durable: this replica stands up for it (PBFT §4.3).
    pub(super) fn on_checkpoint_saved(
        &mut self,
        seq_no: SeqNo,
        state: Digest,
        out: &mut Effects,
    ) -> Option<SeqNo> {
        if seq_no <= self.executed && self.checkpoints.is_due(seq_no) {
            self.flush_commit_checks(out);
            self.checkpoints.reach(seq_no, state);
            if self.votes() {
                self.vote_on_checkpoint(seq_no, out);
            } else {
                self.stabilise(seq_no, out);
            }
        }
        Some(seq_no)
    }

    /// PBFT §4.3: a strong quorum of equal votes makes a checkpoint stable.
    pub(super) fn on_checkpoint(
        &mut self,
        vote: Signed<CheckpointVote>,
        out: &mut Effects,
    ) -> Option<SeqNo> {
        let seq_no = vote.body.seq_no;
        self.judge_states(&vote, out);
        self.checkpoints.add(vote);
        if let Some(most) = self.split_at(seq_no) {
            self.halt(Violation::Split { seq_no, most }, out);
            return None;
        }
        self.stabilise(seq_no, out)
    }

    /// If no strong quorum can form at a checkpoint reached here, how many can agree at most.
    /// All correct replicas together are a strong quorum, so some of them differ: it is
    /// better to stop than to go on until the window is full.
    fn split_at(&self, seq_no: SeqNo) -> Option<usize> {
        let own = self.checkpoints.own(seq_no);
        own.filter(|_| seq_no > self.checkpoints.low() && seq_no <= self.executed)?;
        if self.checkpoints.agreed(seq_no, self.quorum).is_some() {
            return None;
        }
        let most = self.checkpoints.most_alike(seq_no, self.quorum);
        (most < self.quorum.strong()).then_some(most)
    }

    /// Moves on to a checkpoint that a strong quorum vouches for, once it is reached here.
    pub(super) fn stabilise(&mut self, seq_no: SeqNo, out: &mut Effects) -> Option<SeqNo> {
        let certified = self.checkpoints.agreed(seq_no, self.quorum)?;
        let (agreed, votes) = (certified.digest, certified.votes);
        // Stable for the cluster, but this replica has not got there: its turn comes when it
        // has. Its own vote of an earlier incarnation may come back to it in a peer's certificate.
        if seq_no > self.executed {
            return None;
        }
        let own = self.checkpoints.own(seq_no)?;
        if own != agreed {
            self.halt(
                Violation::Diverged {
                    seq_no,
                    own,
                    agreed,
                },
                out,
            );
            return None;
        }
        self.judge_dissent(seq_no, agreed, &votes, out);
        self.persist(Record::Stable(votes.clone()), out);
        let was_silent = !self.votes();
        self.settle(seq_no, votes, out);
        if was_silent && self.votes() {
            self.vote_on_checkpoints(out);
        }
        // Numbers held, or decided by others, while the window was closed may be voted on now.
        let held: Vec<SeqNo> = self
            .slots
            .range(self.checkpoints.low().next()..)
            .map(|(seq_no, _)| *seq_no)
            .collect();
        for seq_no in held {
            self.advance(seq_no, out);
        }
        None
    }

    /// Moves the window on to a stable checkpoint that this replica has reached.
    pub(super) fn settle(
        &mut self,
        seq_no: SeqNo,
        votes: Vec<Signed<CheckpointVote>>,
        out: &mut Effects,
    ) {
        self.checkpoints.advance(seq_no, votes, self.quorum);
        let serving = self.serving_now();
        out.push(Effect::Stable { seq_no, serving });
        self.catch_up.became_stable(self.now);
        let kept_below = self.checkpoints.kept_below();
        self.slots = self.slots.split_off(&kept_below.next());
        out.push(Effect::Truncate(kept_below));
    }
}
