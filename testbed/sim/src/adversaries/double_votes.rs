//! Two votes where one is allowed: for two digests, or the same one many times.

use bezant_bft::{ids::ReplicaId, message::PeerMessage};

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
        let Some(second) = means.revoted(message, |vote| *vote.digest = digest) else {
            out.say(message);
            return;
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
