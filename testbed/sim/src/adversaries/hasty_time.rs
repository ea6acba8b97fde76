//! A primary whose clock is wrong.

use bezant_bft::{
    ids::{OrderedTime, ReplicaId},
    message::PeerMessage,
};

use super::{Instead, Means, Strategy};

/// Proposes times far ahead or long past, to some or to all.
#[derive(Debug, Default)]
pub(super) struct HastyTime {
    hits: u64,
}

impl Strategy for HastyTime {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        let Some(first) = means.own_pre_prepare(message, out) else {
            return;
        };
        // One time for each number, so that what is proposed is one thing.
        let seq_no = first.vote.body.seq_no.0;
        let true_ms = first.proposal.time.0;
        let time = match seq_no.wrapping_mul(0x9e37_79b9) >> 3 & 0x1f {
            0 => u64::MAX,
            1 => 0,
            2 | 3 => true_ms.saturating_add(60_000),
            4 => true_ms.saturating_sub(60_000),
            // Just what is allowed: agreed time runs ahead.
            5..=9 => true_ms.saturating_add(6_000),
            _ => {
                out.say(message);
                return;
            }
        };
        self.hits += 1;
        out.say(&means.reproposed(first, |proposal, _| proposal.time = OrderedTime(time)));
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
