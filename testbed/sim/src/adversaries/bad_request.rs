//! A primary that puts a bad request among good ones.

use bezant_bft::{
    ids::{ReplicaId, RequestNumber},
    message::{PeerMessage, PrePrepare},
};

use super::{Instead, Means, Strategy};

/// Spoils a request in some of its proposals, for some of the others.
#[derive(Debug, Default)]
pub(super) struct BadRequest {
    hits: u64,
}

impl Strategy for BadRequest {
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
        if first.proposal.requests.is_empty() || !means.rng.chance(200) {
            out.say(message);
            return;
        }
        self.hits += 1;
        let at = means.rng.index(first.proposal.requests.len());
        if means.rng.chance(500) {
            // The digest is of contents alone: the vote is right and the signature is not.
            let mut spoiled: PrePrepare = first.clone();
            if let Some(signed) = spoiled.proposal.requests.get_mut(at) {
                signed.signature.0[0] ^= 1;
            }
            out.say(&PeerMessage::PrePrepare(spoiled));
            return;
        }
        let kind = means.rng.below(3);
        out.say(&means.reproposed(first, |proposal, _| {
            if let Some(signed) = proposal.requests.get_mut(at) {
                let request = &mut signed.request;
                match kind {
                    0 => request.number = request.number.next(),
                    1 => request.acked = vec![RequestNumber(2), RequestNumber(1)],
                    _ => request.acked = (1..=65).map(RequestNumber).collect(),
                }
            }
        }));
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
