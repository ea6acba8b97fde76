//! Reports false progress: far too much, and then less again.

use bezant_bft::{
    ids::{Epoch, ReplicaId, SeqNo, View},
    message::{PeerMessage, Status},
};

use super::{Instead, Means, Strategy};

/// Lies in every report, and reports when nobody asked.
#[derive(Debug, Default)]
pub(super) struct LyingProgress {
    view: View,
    executed: SeqNo,
    hits: u64,
}

impl LyingProgress {
    fn lie(&self, means: &mut Means<'_>) -> Status {
        let (executed, view) = (self.executed.0, self.view.0);
        let executed = match means.rng.below(6) {
            0 => u64::MAX,
            1 => 0,
            2 => means.rng.below(executed + 1),
            _ => executed + means.rng.between(1, 300),
        };
        let view = match means.rng.below(6) {
            0 => u64::MAX,
            1 => view + means.rng.between(1, 10),
            2 => means.rng.below(view + 1),
            _ => view,
        };
        Status {
            epoch: Epoch(0),
            view: View(view),
            active: means.rng.chance(700),
            executed: SeqNo(executed),
            wants: means.rng.chance(600),
        }
    }
}

impl Strategy for LyingProgress {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        if let PeerMessage::Status(status) = message {
            self.executed = self.executed.max(status.executed);
            self.view = self.view.max(status.view);
        } else {
            if let PeerMessage::Commit(vote) = message {
                self.executed = self.executed.max(vote.body.seq_no);
                self.view = self.view.max(vote.body.view);
            }
            out.say(message);
            if !means.rng.chance(20) {
                return;
            }
        }
        self.hits += 1;
        let lie = self.lie(means);
        out.say(&PeerMessage::Status(lie));
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
