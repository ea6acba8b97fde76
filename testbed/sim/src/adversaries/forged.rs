//! Sends view changes with invalid certificates among valid ones.

use bezant_bft::{
    crypto::Domain,
    ids::{ReplicaId, SeqNo, View},
    message::{PeerMessage, PreparedCertificate, ViewChange, Vote},
};

use super::{Instead, Means, Strategy};

/// Puts false certificates into its view changes, or a false proof of its checkpoint.
#[derive(Debug, Default)]
pub(super) struct ForgedCertificate {
    hits: u64,
}

impl Strategy for ForgedCertificate {
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
        self.hits += 1;
        let mut body = own.clone();
        forge(means, &mut body);
        out.say(&means.view_change(body));
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}

fn forge(means: &mut Means<'_>, body: &mut ViewChange) {
    let before = View(body.view.0.saturating_sub(1));
    match means.rng.below(9) {
        // A state that nobody has, and votes for it in the names of others.
        0 => {
            let number = SeqNo(body.stable.0 + means.rng.between(1, 40));
            let digest = means.nonsense();
            let vote = means.made_up_checkpoint(number, digest);
            body.checkpoint = vote;
            body.stable = number;
        }
        1 => body.prepared.reverse(),
        2 => {
            let doubled = body.prepared.clone();
            body.prepared.extend(doubled);
        }
        // Far ahead, so that a new view had to be endless.
        3 => {
            let number = SeqNo(body.stable.0.saturating_add(means.rng.number() / 2));
            let digest = means.nonsense();
            let made_up = means.made_up(before, number, digest);
            body.prepared.push(made_up);
        }
        kind => {
            let number = body.stable.next();
            let digest = means.nonsense();
            if body.prepared.is_empty() {
                body.prepared.push(means.made_up(before, number, digest));
            }
            let at = means.rng.index(body.prepared.len());
            if let Some(certificate) = body.prepared.get_mut(at) {
                spoil(means, certificate, kind, body.view);
            }
        }
    }
}

/// Makes a certificate false in one of several ways.
fn spoil(means: &mut Means<'_>, certificate: &mut PreparedCertificate, kind: u64, view: View) {
    let body = certificate.pre_prepare.body;
    let digest = means.nonsense();
    match kind {
        // Something else was prepared there, says one key for all.
        4 => *certificate = means.made_up(body.view, body.seq_no, digest),
        // In the very view that is asked for, or a later one.
        5 => *certificate = means.made_up(View(view.0 + body.seq_no.0 % 2), body.seq_no, digest),
        // One backup many times.
        6 => {
            let me = Vote {
                replica: means.me,
                ..body
            };
            certificate.prepares.fill(means.vote(me, Domain::Prepare));
        }
        7 => {
            if let Some(vote) = certificate.prepares.first_mut() {
                vote.signature.0[7] ^= 0x10;
            }
        }
        // The votes are of another proposal than the primary's.
        _ => {
            let other = Vote { digest, ..body };
            certificate.pre_prepare = means.vote(other, Domain::PrePrepare);
        }
    }
}
