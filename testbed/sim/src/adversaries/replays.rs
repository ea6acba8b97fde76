//! Passes on what others signed, again and again, to those it was not for.

use std::collections::VecDeque;

use bezant_bft::{ids::ReplicaId, message::PeerMessage, verification::Unverified};

use super::{Instead, Means, Strategy};

/// Messages it remembers.
const KEPT: usize = 64;

/// Messages it passes on at once.
const AT_ONCE: usize = 8;

/// Replays proposals, view changes and new views of others.
#[derive(Debug, Default)]
pub(super) struct Replays {
    heard: VecDeque<PeerMessage>,
    hits: u64,
}

impl Strategy for Replays {
    fn hear(&mut self, _: &mut Means<'_>, message: &Unverified) -> bool {
        let message = message.peek();
        if matches!(
            message,
            PeerMessage::PrePrepare(_) | PeerMessage::ViewChange(_) | PeerMessage::NewView(_)
        ) {
            self.heard.push_back(message.clone());
            if self.heard.len() > KEPT {
                self.heard.pop_front();
            }
        }
        true
    }

    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        out.say(message);
        if self.heard.is_empty() || !means.rng.chance(60) {
            return;
        }
        self.hits += 1;
        let skip = usize::try_from(means.rng.below(self.heard.len() as u64)).unwrap_or_default();
        for old in self.heard.iter().skip(skip).take(AT_ONCE) {
            out.say(old);
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
