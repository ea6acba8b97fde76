//! Speaking in the names of others, and as a primary that it is not.

use bezant_bft::{
    crypto::Domain,
    ids::{ReplicaId, View},
    message::{CheckpointVote, PeerMessage, PrePrepare, Vote},
};

use super::{Instead, Means, Strategy};

/// Repeats its votes under other names, strangers' among them, with its own signature.
#[derive(Debug, Default)]
pub(super) struct Impostor {
    hits: u64,
}

impl Strategy for Impostor {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        out.say(message);
        let replica = ReplicaId(u8::try_from(means.rng.below(u64::from(means.n) + 2)).unwrap_or(0));
        if replica == means.me {
            return;
        }
        let named = |vote: Vote| Vote { replica, ..vote };
        let said = match message {
            PeerMessage::Prepare(vote) => {
                PeerMessage::Prepare(means.vote(named(vote.body), Domain::Prepare))
            }
            PeerMessage::Commit(vote) => {
                PeerMessage::Commit(means.vote(named(vote.body), Domain::Commit))
            }
            PeerMessage::Checkpoint(vote) => {
                let body = CheckpointVote {
                    replica,
                    ..vote.body
                };
                PeerMessage::Checkpoint(means.checkpoint(body))
            }
            // A proposal of a view whose primary it is, whichever the others are in.
            PeerMessage::PrePrepare(first) => {
                let view = View(first.vote.body.view.0 + means.rng.below(u64::from(means.n)));
                let vote = Vote {
                    view,
                    replica: means.me,
                    ..first.vote.body
                };
                PeerMessage::PrePrepare(PrePrepare {
                    vote: means.vote(vote, Domain::PrePrepare),
                    proposal: first.proposal.clone(),
                })
            }
            _ => return,
        };
        self.hits += 1;
        out.say(&said);
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
