//! Small changes to messages: a number one more or less, a value of an earlier
//! message, a bit flipped on the way, an old message once more.

use std::collections::VecDeque;

use bezant_bft::{
    codec,
    crypto::Domain,
    ids::{Epoch, Incarnation, ReplicaId, SeqNo, View},
    message::{CheckpointVote, PeerMessage, PrePrepare, Status, Vote},
};

use super::{Instead, Means, Strategy};

/// Messages remembered, to be repeated.
const MEMORY: usize = 64;

/// Mutates one message in five.
#[derive(Debug, Default)]
pub(super) struct Mutation {
    old: VecDeque<PeerMessage>,
    hits: u64,
}

impl Strategy for Mutation {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        if self.old.len() >= MEMORY {
            self.old.pop_front();
        }
        self.old.push_back(message.clone());
        if !means.rng.chance(200) {
            out.say(message);
            return;
        }
        self.hits += 1;
        match means.rng.below(4) {
            0 => {
                let mut bytes = codec::encode(message);
                let bit = means.rng.index(bytes.len() * 8);
                if let Some(byte) = bytes.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
                out.raw(bytes);
            }
            1 => {
                let old = means.rng.index(self.old.len());
                if let Some(old) = self.old.get(old) {
                    out.say(old);
                }
                out.say(message);
            }
            _ => out.say(&mutated(means, message)),
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}

/// One more, one less, or something small.
fn shifted(means: &mut Means<'_>, value: u64) -> u64 {
    match means.rng.below(3) {
        0 => value.saturating_add(1),
        1 => value.saturating_sub(1),
        _ => means.rng.below(value.saturating_add(1)),
    }
}

fn mutated_vote(means: &mut Means<'_>, mut vote: Vote) -> Vote {
    match means.rng.below(5) {
        0 => vote.number = SeqNo(shifted(means, vote.number.0)),
        1 => vote.view = View(shifted(means, vote.view.0)),
        2 => vote.epoch = Epoch(shifted(means, vote.epoch.0)),
        3 => vote.incarnation = Incarnation(shifted(means, vote.incarnation.0)),
        _ => vote.digest = means.nonsense(),
    }
    vote
}

/// The message with one field changed, signed again.
fn mutated(means: &mut Means<'_>, message: &PeerMessage) -> PeerMessage {
    match message {
        PeerMessage::PrePrepare(first) if first.vote.body.replica == means.me => {
            let vote = mutated_vote(means, first.vote.body);
            let mut proposal = first.proposal.clone();
            if means.rng.chance(300) {
                // A request's signature no longer fits, in the middle of good ones.
                let at = means.rng.index(proposal.requests.len());
                if let Some(signed) = proposal.requests.get_mut(at) {
                    signed.signature.0[0] ^= 1;
                }
                return PeerMessage::PrePrepare(PrePrepare {
                    vote: first.vote,
                    proposal,
                });
            }
            PeerMessage::PrePrepare(PrePrepare {
                vote: means.vote(vote, Domain::PrePrepare),
                proposal,
            })
        }
        PeerMessage::Prepare(vote) => {
            let vote = mutated_vote(means, vote.body);
            PeerMessage::Prepare(means.vote(vote, Domain::Prepare))
        }
        PeerMessage::Commit(vote) => {
            let vote = mutated_vote(means, vote.body);
            // Sometimes one that does not prove what its link says.
            let domain = if means.rng.chance(300) {
                Domain::Prepare
            } else {
                Domain::Commit
            };
            PeerMessage::Commit(means.vote(vote, domain))
        }
        PeerMessage::Checkpoint(vote) => {
            let number = SeqNo(shifted(means, vote.body.number.0));
            let body = CheckpointVote {
                number,
                ..vote.body
            };
            PeerMessage::Checkpoint(means.checkpoint(body))
        }
        PeerMessage::Status(status) => PeerMessage::Status(Status {
            executed: SeqNo(shifted(means, status.executed.0)),
            view: View(shifted(means, status.view.0)),
            wants: means.rng.chance(500),
            ..*status
        }),
        other => other.clone(),
    }
}
