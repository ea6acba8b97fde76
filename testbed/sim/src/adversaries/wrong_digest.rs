//! Votes for what nobody proposed, and for states nobody has.

use bezant_bft::{
    crypto::Domain,
    ids::ReplicaId,
    message::{CheckpointVote, PeerMessage, Vote},
};

use super::{Instead, Means, Strategy};

/// Puts another digest into half of its votes, and signs them.
#[derive(Debug, Default)]
pub(super) struct WrongDigest {
    hits: u64,
}

impl Strategy for WrongDigest {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        if means.rng.chance(500) {
            out.say(message);
            return;
        }
        let digest = means.nonsense();
        let wrong = |vote: Vote| Vote { digest, ..vote };
        let said = match message {
            PeerMessage::Prepare(vote) => {
                PeerMessage::Prepare(means.vote(wrong(vote.body), Domain::Prepare))
            }
            PeerMessage::Commit(vote) => {
                PeerMessage::Commit(means.vote(wrong(vote.body), Domain::Commit))
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
        out.say(&said);
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
