//! A primary that equivocates: two proposals at one sequence number.

use bezant_bft::{ids::ReplicaId, message::PeerMessage};

use super::{Instead, Means, Strategy, means::alter};

/// Proposes two things at one number; votes of the two camps go along.
#[derive(Debug, Default)]
pub(super) struct Equivocation {
    hits: u64,
}

impl Strategy for Equivocation {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        to: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        let Some(first) = means.own_pre_prepare(message, out) else {
            return;
        };
        // Whoever stands in the upper half hears of the second proposal; a few hear both.
        let second = u64::from(to.0) * 2 >= u64::from(means.n);
        if !second {
            out.say(message);
            return;
        }
        self.hits += 1;
        let both = means.rng.chance(200);
        if both {
            out.say(message);
        }
        out.say(&means.reproposed(first, |proposal, _| alter(proposal)));
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
