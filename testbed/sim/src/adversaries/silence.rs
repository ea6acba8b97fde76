//! Saying nothing: to anybody from some time on, or to some for ever.

use std::collections::BTreeMap;

use bezant_bft::{
    ids::ReplicaId,
    message::{PeerMessage, ReplicaMessage},
};

use super::{Instead, Means, Strategy};

/// Stops speaking after a while, as a machine does that breaks down for good.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Messages it still sends.
    left: Option<u64>,
    hits: u64,
}

impl Silence {
    fn speaks(&mut self, means: &mut Means<'_>) -> bool {
        let left = self.left.get_or_insert_with(|| means.rng.below(2000));
        *left = left.saturating_sub(1);
        let speaks = *left > 0;
        self.hits += u64::from(!speaks);
        speaks
    }
}

impl Strategy for Silence {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        if self.speaks(means) {
            out.say(message);
        }
    }

    fn tell(
        &mut self,
        means: &mut Means<'_>,
        message: ReplicaMessage,
        out: &mut Vec<(u64, ReplicaMessage)>,
    ) {
        if self.speaks(means) {
            out.push((0, message));
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}

/// Is heard by some only, so that the others lag behind them.
#[derive(Debug, Default)]
pub(super) struct SilentToSome {
    shuns: BTreeMap<ReplicaId, bool>,
    hits: u64,
}

impl Strategy for SilentToSome {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        to: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        let shuns = self
            .shuns
            .entry(to)
            .or_insert_with(|| means.rng.chance(400));
        if *shuns {
            self.hits += 1;
        } else {
            out.say(message);
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
