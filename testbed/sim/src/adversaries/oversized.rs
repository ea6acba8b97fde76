//! A primary whose proposals are too large.

use bezant_bft::{
    ids::ReplicaId,
    limits::{MAX_OP_BYTES, MAX_REQUESTS_PER_PROPOSAL},
    message::PeerMessage,
};
use bytes::Bytes;

use super::{Instead, Means, Strategy};

/// Proposes more requests than allowed, or too large ones, now and then.
#[derive(Debug, Default)]
pub(super) struct Oversized {
    hits: u64,
}

impl Strategy for Oversized {
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
        let Some(request) = first.proposal.requests.first().cloned() else {
            out.say(message);
            return;
        };
        if !means.rng.chance(60) {
            out.say(message);
            return;
        }
        self.hits += 1;
        let many = means.rng.chance(700);
        out.say(&means.reproposed(first, |proposal, _| {
            if many {
                proposal.requests = vec![request; MAX_REQUESTS_PER_PROPOSAL + 1];
            } else if let Some(first) = proposal.requests.first_mut() {
                first.request.op = Bytes::from(vec![0x5a; MAX_OP_BYTES + 1]);
            }
        }));
        // The right one may follow: the wrong one must not stand in its way.
        if means.rng.chance(500) {
            out.say(message);
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
