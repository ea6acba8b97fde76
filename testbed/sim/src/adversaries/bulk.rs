//! Asks for everything, again and again: small questions with large answers.

use bezant_bft::{
    ids::{Digest, Epoch, ReplicaId, SeqNo, View},
    message::{AskProposals, AskState, PeerMessage, Status},
};

use super::{Instead, Means, Strategy};

/// How many questions of a kind it asks at once.
const QUESTIONS: u64 = 64;

/// How often it asks in a run: each time costs those who answer, and this simulation, much.
const BURSTS: u64 = 24;

/// Asks one peer at a time for all that it may have.
#[derive(Debug, Default)]
pub(super) struct Bulk {
    view: View,
    decided: Vec<(SeqNo, Digest)>,
    checkpoint: SeqNo,
    hits: u64,
}

impl Bulk {
    fn ask(&self, out: &mut Instead) {
        let last = self.decided.last().map_or(0, |(seq_no, _)| seq_no.0);
        let wanted: Vec<_> = self.decided.iter().rev().take(16).copied().collect();
        for i in 0..QUESTIONS {
            out.say(&PeerMessage::Status(Status {
                epoch: Epoch(0),
                view: self.view,
                active: true,
                executed: SeqNo(last.saturating_sub(i)),
                wants: true,
            }));
            let skip = usize::try_from(i % 16).unwrap_or_default();
            let wanted = wanted.iter().skip(skip).copied().collect();
            out.say(&PeerMessage::AskProposals(AskProposals { wanted }));
            out.say(&PeerMessage::AskState(AskState {
                seq_no: self.checkpoint,
                offset: i * 100,
            }));
        }
    }
}

impl Strategy for Bulk {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        match message {
            PeerMessage::Commit(vote) => {
                self.view = vote.body.view;
                let place = (vote.body.seq_no, vote.body.digest);
                if self.decided.last() != Some(&place) {
                    self.decided.push(place);
                }
            }
            PeerMessage::Checkpoint(vote) => self.checkpoint = vote.body.seq_no,
            _ => {}
        }
        out.say(message);
        if self.hits < BURSTS && self.decided.len() > 8 && means.rng.chance(100) {
            self.hits += 1;
            self.ask(out);
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
