//! Answering clients late, in any order, and again and again.

use bezant_bft::message::ReplicaMessage;

use super::{Means, Strategy};

/// Holds most of its replies back for a while; some come twice.
#[derive(Debug, Default)]
pub(super) struct LateReplies {
    hits: u64,
}

impl Strategy for LateReplies {
    fn tell(
        &mut self,
        means: &mut Means<'_>,
        message: ReplicaMessage,
        out: &mut Vec<(u64, ReplicaMessage)>,
    ) {
        if means.rng.chance(200) {
            out.push((0, message));
            return;
        }
        self.hits += 1;
        let delay_us = means.rng.below(means.view_change_timeout_us);
        if means.rng.chance(200) {
            let again_us = delay_us + means.rng.below(means.view_change_timeout_us);
            out.push((again_us, message.clone()));
        }
        out.push((delay_us, message));
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
