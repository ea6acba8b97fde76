//! Sends view changes with stale content: an older checkpoint, certificates of older views.

use bezant_bft::{
    ids::{ReplicaId, SeqNo},
    message::{PeerMessage, ViewChange},
    verification::Unverified,
};

use super::{Instead, Means, Strategy, archive::Archive};

/// Says in its view changes less than it knows, with proofs that hold.
#[derive(Debug, Default)]
pub(super) struct StaleCertificate {
    archive: Archive,
    hits: u64,
}

impl StaleCertificate {
    /// What this replica could have said a while ago.
    fn aged(&self, means: &mut Means<'_>, now: &ViewChange) -> ViewChange {
        let strong = means.quorum.strong();
        let mut then = now.clone();
        let below = if means.rng.chance(300) {
            SeqNo(0)
        } else {
            now.stable
        };
        let proof = self.archive.proof(below, strong);
        (then.stable, then.checkpoint) = proof.unwrap_or_default();
        let last = now.prepared.last();
        let last = last.map_or(now.stable, |last| last.pre_prepare.body.seq_no);
        let older = self
            .archive
            .certificates(then.stable, last, now.view, strong);
        // The lowest view that is on record for each number, as far as there is one.
        let mut prepared = older;
        for certificate in &now.prepared {
            let seq_no = certificate.pre_prepare.body.seq_no;
            prepared
                .entry(seq_no)
                .or_insert_with(|| certificate.clone());
        }
        then.prepared = prepared.into_values().collect();
        then
    }
}

impl Strategy for StaleCertificate {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        self.archive.note(message);
        let Some(own) = means.own_view_change(message, out) else {
            return;
        };
        let aged = self.aged(means, own);
        if aged == *own {
            out.say(message);
            return;
        }
        self.hits += 1;
        out.say(&means.view_change(aged));
    }

    fn hear(&mut self, _: &mut Means<'_>, message: &Unverified) -> bool {
        self.archive.note(message.peek());
        true
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
