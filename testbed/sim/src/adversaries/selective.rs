//! Dropping messages of one phase, or some of all.

use bezant_bft::{ids::ReplicaId, message::PeerMessage};

use super::{Instead, Means, Strategy};

/// Which messages never leave.
#[derive(Debug, Default)]
pub(super) struct SelectiveDrop {
    victim: Option<u64>,
    hits: u64,
}

impl Strategy for SelectiveDrop {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        let victim = *self.victim.get_or_insert_with(|| means.rng.below(8));
        let drops = match victim {
            0 => matches!(message, PeerMessage::PrePrepare(_)),
            1 => matches!(message, PeerMessage::Prepare(_)),
            2 => matches!(message, PeerMessage::Commit(_)),
            3 => matches!(message, PeerMessage::Checkpoint(_)),
            4 => matches!(message, PeerMessage::Status(_)),
            5 => matches!(
                message,
                PeerMessage::ViewChange(_) | PeerMessage::NewView(_)
            ),
            6 => matches!(
                message,
                PeerMessage::Decided(_) | PeerMessage::State(_) | PeerMessage::Stable(_)
            ),
            _ => means.rng.chance(500),
        };
        if drops {
            self.hits += 1;
        } else {
            out.say(message);
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
