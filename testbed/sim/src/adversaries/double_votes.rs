//! Two votes where one is allowed: for two digests, or the same one many times.

use bezant_bft::{
    crypto::Domain,
    ids::ReplicaId,
    message::{CheckpointVote, PeerMessage, Vote},
};

use super::{Instead, Means, Strategy};

/// Says another vote before or after the true one, and repeats it.
#[derive(Debug, Default)]
pub(super) struct DoubleVotes {
    hits: u64,
}

impl Strategy for DoubleVotes {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        let digest = means.nonsense();
        let other = |vote: Vote| Vote { digest, ..vote };
        let second = match message {
            PeerMessage::Prepare(vote) => {
                PeerMessage::Prepare(means.vote(other(vote.body), Domain::Prepare))
            }
            PeerMessage::Commit(vote) => {
                PeerMessage::Commit(means.vote(other(vote.body), Domain::Commit))
            }
            PeerMessage::Checkpoint(vote) => {
                let body = CheckpointVote {
                    digest,
                    ..vote.body
                };
                PeerMessage::Checkpoint(means.checkpoint(body))
            }
            other => {
                out.say(other);
                return;
            }
        };
        self.hits += 1;
        let order = means.rng.below(3);
        if order == 0 {
            out.say(&second);
        }
        out.say(message);
        out.say(message);
        if order == 1 {
            out.say(&second);
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
