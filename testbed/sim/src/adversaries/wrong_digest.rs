//! Votes for what nobody proposed, for states nobody has, in views nobody is in.

use bezant_bft::{
    ids::{Epoch, ReplicaId, View},
    message::PeerMessage,
};

use super::{Instead, Means, Strategy};

/// Puts another digest into half of its votes, or another view or epoch, and signs them.
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
        let (digest, kind) = (means.nonsense(), means.rng.below(8));
        let (view, epoch) = (means.rng.below(10), means.rng.between(1, 3));
        let wrong = means.revoted(message, |vote| match (kind, vote.view) {
            (0, Some(other)) => *other = View(view),
            (1, _) => *vote.epoch = Epoch(epoch),
            _ => *vote.digest = digest,
        });
        self.hits += u64::from(wrong.is_some());
        out.say(wrong.as_ref().unwrap_or(message));
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
