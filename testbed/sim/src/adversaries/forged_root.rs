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
                    let seq_no = first.body.seq_no;
                    let made_up = means.made_up_checkpoint(seq_no, nonsense_of(seq_no.0));
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
        let step = vote.seq_no.0.saturating_sub(self.last.0);
        self.last = self.last.max(vote.seq_no);
        let mut lie = |seq_no: SeqNo| {
            let digest = nonsense_of(seq_no.0);
            let body = CheckpointVote {
                seq_no,
                digest,
                ..vote
            };
            out.say(&PeerMessage::Checkpoint(means.checkpoint(body)));
        };
        lie(vote.seq_no);
        // Checkpoints lie as far apart as the last two did.
        if step > 0 && vote.seq_no.0 % 3 == 0 {
            lie(SeqNo(vote.seq_no.0 + step * (1 + vote.seq_no.0 % 7)));
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
