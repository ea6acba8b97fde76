//! Decisions go to the service in order; checkpoints move the window on.

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
            let number = self.delivered.next();
            let slot = self.slots.get(&number);
            let Some(proposal) = slot.and_then(Slot::decided).map(Arc::clone) else {
                return;
            };
            for request in proposal.requests() {
                self.pool.settle(request);
            }
            self.counters.proposals += 1;
            self.counters.requests += proposal.requests().len() as u64;
            self.delivered = number;
            self.catch_up.decided(self.now);
            self.catch_up.break_silence(self.now);
            self.calm_down();
            self.begin_lives(number, &proposal);
            let lives = self.lives_at(number);
            out.push(Effect::Execute {
                number,
                proposal,
                lives,
            });
        }
    }

    pub(super) fn on_executed(&mut self, number: SeqNo, out: &mut Effects) -> Option<SeqNo> {
        let expected = self.executed.next();
        if number != expected || number > self.delivered {
            self.halt(
                Violation::ExecutedOutOfOrder {
                    expected,
                    got: number,
                },
                out,
            );
            return None;
        }
        self.executed = number;
        // A copy that came between decision and execution was still new to the service. It
        // would wait here for ever, and the primary would be suspected for it.
        if let Some(proposal) = self.slots.get(&number).and_then(Slot::decided) {
            for request in proposal.requests() {
                self.pool.settle(request);
            }
        }
        Some(number)
    }

    /// The state at a checkpoint is durable: this replica stands up for it (PBFT §4.3).
    pub(super) fn on_checkpoint_saved(
        &mut self,
        number: SeqNo,
        state: Digest,
        out: &mut Effects,
    ) -> Option<SeqNo> {
        if number <= self.executed && self.checkpoints.is_due(number) {
            self.flush_commit_checks(out);
            self.checkpoints.reach(number, state);
            if self.votes() {
                self.vote_on_checkpoint(number, out);
            } else {
                self.stabilise(number, out);
            }
        }
        Some(number)
    }

    /// PBFT §4.3: a strong quorum of equal votes makes a checkpoint stable.
    pub(super) fn on_checkpoint(
        &mut self,
        vote: Signed<CheckpointVote>,
        out: &mut Effects,
    ) -> Option<SeqNo> {
        let number = vote.body.number;
        self.judge_states(&vote, out);
        self.checkpoints.add(vote);
        if let Some(most) = self.split_at(number) {
            self.halt(Violation::Split { number, most }, out);
            return None;
        }
        self.stabilise(number, out)
    }

    /// If no strong quorum can form at a checkpoint reached here, how many can agree at most.
    /// All correct replicas together are a strong quorum, so some of them differ: it is
    /// better to stop than to go on until the window is full.
    fn split_at(&self, number: SeqNo) -> Option<usize> {
        let own = self.checkpoints.own(number);
        own.filter(|_| number > self.checkpoints.low() && number <= self.executed)?;
        if self.checkpoints.agreed(number, self.quorum).is_some() {
            return None;
        }
        let most = self.checkpoints.most_alike(number, self.quorum);
        (most < self.quorum.strong()).then_some(most)
    }

    /// Moves on to a checkpoint that a strong quorum vouches for, once it is reached here.
    pub(super) fn stabilise(&mut self, number: SeqNo, out: &mut Effects) -> Option<SeqNo> {
        let certified = self.checkpoints.agreed(number, self.quorum)?;
        let (agreed, votes) = (certified.digest, certified.votes);
        // Stable for the cluster, but this replica has not got there: its turn comes when it
        // has. Its own vote of an earlier life may come back to it in a peer's certificate.
        if number > self.executed {
            return None;
        }
        let own = self.checkpoints.own(number)?;
        if own != agreed {
            self.halt(
                Violation::Diverged {
                    number,
                    own,
                    agreed,
                },
                out,
            );
            return None;
        }
        self.judge_dissent(number, agreed, &votes, out);
        self.persist(Record::Stable(votes.clone()), out);
        let was_silent = !self.votes();
        self.settle(number, votes, out);
        if was_silent && self.votes() {
            self.vote_on_checkpoints(out);
        }
        // Numbers held, or decided by others, while the window was closed may be voted on now.
        let held: Vec<SeqNo> = self
            .slots
            .range(self.checkpoints.low().next()..)
            .map(|(number, _)| *number)
            .collect();
        for number in held {
            self.advance(number, out);
        }
        None
    }

    /// Moves the window on to a stable checkpoint that this replica has reached.
    pub(super) fn settle(
        &mut self,
        number: SeqNo,
        votes: Vec<Signed<CheckpointVote>>,
        out: &mut Effects,
    ) {
        self.checkpoints.advance(number, votes, self.quorum);
        let serving = self.serving_now();
        out.push(Effect::Stable { number, serving });
        self.catch_up.became_stable(self.now);
        let kept_below = self.checkpoints.kept_below();
        self.slots = self.slots.split_off(&kept_below.next());
        out.push(Effect::Truncate(kept_below));
    }
}
