//! A primary that is as slow as it can be without being suspected.

use bezant_bft::{ids::ReplicaId, message::PeerMessage};

use super::{Instead, Means, Strategy};

/// Holds proposals back for most of the others' view-change timeout.
#[derive(Debug, Default)]
pub(super) struct Slow {
    hits: u64,
}

impl Strategy for Slow {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        match message {
            PeerMessage::PrePrepare(_) => {
                self.hits += 1;
                out.say_later(means.view_change_timeout_us * 7 / 10, message);
            }
            _ => out.say(message),
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
