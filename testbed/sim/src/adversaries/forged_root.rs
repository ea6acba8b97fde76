//! Voting for states that nobody has; colluding liars vote for the same one.

use bezant_bft::{
    ids::{ReplicaId, SeqNo},
    message::{CheckpointVote, PeerMessage},
};

use super::{Instead, Means, Strategy, means::nonsense_of};

/// Signs another state at every checkpoint, and states of numbers that are not reached.
#[derive(Debug, Default)]
pub(super) struct ForgedRoot {
    last: SeqNo,
    hits: u64,
}

impl Strategy for ForgedRoot {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        let vote = match message {
            PeerMessage::Checkpoint(vote) if vote.body.replica == means.me => vote.body,
            // A proof in the names of others, beside the true one.
            PeerMessage::Stable(votes) => {
                if let Some(first) = votes.first().filter(|_| means.rng.chance(500)) {
                    self.hits += 1;
                    let number = first.body.number;
                    let made_up = means.made_up_checkpoint(number, nonsense_of(number.0));
                    out.say(&PeerMessage::Stable(made_up));
                }
                out.say(message);
                return;
            }
            _ => {
                out.say(message);
                return;
            }
        };
        self.hits += 1;
        let step = vote.number.0.saturating_sub(self.last.0);
        self.last = self.last.max(vote.number);
        let mut lie = |number: SeqNo| {
            let digest = nonsense_of(number.0);
            let body = CheckpointVote {
                number,
                digest,
                ..vote
            };
            out.say(&PeerMessage::Checkpoint(means.checkpoint(body)));
        };
        lie(vote.number);
        // Checkpoints lie as far apart as the last two did.
        if step > 0 && vote.number.0 % 3 == 0 {
            lie(SeqNo(vote.number.0 + step * (1 + vote.number.0 % 7)));
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
