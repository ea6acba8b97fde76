//! Impersonates other replicas, and acts as primary of views it does not lead.

use bezant_bft::{
    ids::{ReplicaId, View},
    message::PeerMessage,
};

use super::{Instead, Means, Strategy};

/// Repeats its votes under other names, strangers' among them, with its own signature.
#[derive(Debug, Default)]
pub(super) struct Impostor {
    hits: u64,
}

impl Strategy for Impostor {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        out.say(message);
        let n = u64::from(means.n);
        let replica = ReplicaId(u8::try_from(means.rng.below(n + 2)).unwrap_or(0));
        if replica == means.me {
            return;
        }
        // A proposal of a view whose primary it is, whichever the others are in.
        let said = if let PeerMessage::PrePrepare(first) = message {
            let view = View(first.vote.body.view.0 + means.rng.below(n));
            let me = means.me;
            Some(means.reproposed(first, |_, vote| (vote.view, vote.replica) = (view, me)))
        } else {
            means.revoted(message, |vote| *vote.replica = replica)
        };
        if let Some(said) = said {
            self.hits += 1;
            out.say(&said);
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
