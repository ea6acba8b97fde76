//! Sends view changes that withhold what was prepared.

use bezant_bft::{
    ids::{ReplicaId, SeqNo},
    message::PeerMessage,
};

use super::{Instead, Means, Strategy};

/// Says in its view changes that nothing was prepared, or less than was; to some or to all.
#[derive(Debug, Default)]
pub(super) struct WithheldCertificate {
    hits: u64,
}

impl Strategy for WithheldCertificate {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        let Some(own) = means.own_view_change(message, out) else {
            return;
        };
        let mut body = own.clone();
        match means.rng.below(5) {
            0 | 1 => body.prepared.clear(),
            2 => {
                body.prepared.pop();
            }
            3 if !body.prepared.is_empty() => {
                let at = means.rng.index(body.prepared.len());
                body.prepared.remove(at);
            }
            _ => {
                body.stable = SeqNo(0);
                body.checkpoint.clear();
                body.prepared.clear();
            }
        }
        self.hits += u64::from(body != *own);
        out.say(&means.view_change(body));
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
