//! Every field of every message between replicas, to be changed one at a time.

use bezant_bft::{
    crypto::Signature,
    ids::{ClientId, Digest, IncarnationNonce, ReplicaId},
    message::{
        CheckpointVote, PeerMessage, PreparedCertificate, Proposal, Rejoin, Signed, SignedRequest,
        Vote,
    },
};
use bytes::Bytes;

/// A field that holds no others.
pub(super) enum Leaf<'m> {
    Number(&'m mut u64),
    Replica(&'m mut ReplicaId),
    Flag(&'m mut bool),
    Digest(&'m mut [u8; 32]),
    Signature(&'m mut Signature),
    Bytes(&'m mut Bytes),
}

/// A list of any length.
pub(super) trait List {
    /// How long it is.
    fn len(&self) -> usize;
    /// Drops an element.
    fn drop_at(&mut self, at: usize);
    /// Repeats an element at the end.
    fn double_at(&mut self, at: usize);
}

impl<T: Clone> List for Vec<T> {
    fn len(&self) -> usize {
        Self::len(self)
    }

    fn drop_at(&mut self, at: usize) {
        if at < Self::len(self) {
            self.remove(at);
        }
    }

    fn double_at(&mut self, at: usize) {
        if let Some(element) = self.get(at).cloned() {
            self.push(element);
        }
    }
}

/// All fields of a message that hold no others, in order.
pub(super) fn leaves(message: &mut PeerMessage) -> Vec<Leaf<'_>> {
    let mut out = Vec::new();
    match message {
        PeerMessage::PrePrepare(first) => {
            vote(&mut first.vote, &mut out);
            proposal(&mut first.proposal, &mut out);
        }
        PeerMessage::Prepare(signed) | PeerMessage::Commit(signed) => vote(signed, &mut out),
        PeerMessage::Checkpoint(signed) => checkpoint(signed, &mut out),
        PeerMessage::Forward(signed) => request(signed, &mut out),
        PeerMessage::Status(status) => out.extend([
            Leaf::Number(&mut status.epoch.0),
            Leaf::Number(&mut status.view.0),
            Leaf::Flag(&mut status.active),
            Leaf::Number(&mut status.executed.0),
            Leaf::Flag(&mut status.wants),
        ]),
        PeerMessage::ViewChange(signed) => {
            let body = &mut signed.body;
            out.extend([
                Leaf::Number(&mut body.epoch.0),
                Leaf::Replica(&mut body.replica),
                Leaf::Number(&mut body.incarnation.0),
                Leaf::Number(&mut body.view.0),
                Leaf::Number(&mut body.stable.0),
            ]);
            for signed in &mut body.checkpoint {
                checkpoint(signed, &mut out);
            }
            for certificate in &mut body.prepared {
                prepared(certificate, &mut out);
            }
            out.push(Leaf::Signature(&mut signed.signature));
        }
        PeerMessage::NewView(signed) => {
            let body = &mut signed.body;
            out.extend([
                Leaf::Number(&mut body.epoch.0),
                Leaf::Replica(&mut body.replica),
                Leaf::Number(&mut body.incarnation.0),
                Leaf::Number(&mut body.view.0),
                Leaf::Number(&mut body.stable.0),
            ]);
            for (replica, Digest(digest)) in &mut body.view_changes {
                out.extend([Leaf::Replica(replica), Leaf::Digest(digest)]);
            }
            for signed in &mut body.pre_prepares {
                vote(signed, &mut out);
            }
            out.push(Leaf::Signature(&mut signed.signature));
        }
        PeerMessage::Decided(decided) => {
            out.push(Leaf::Number(&mut decided.seq_no.0));
            proposal(&mut decided.proposal, &mut out);
            for signed in &mut decided.commits {
                vote(signed, &mut out);
            }
        }
        PeerMessage::AskProposals(ask) => {
            for (number, Digest(digest)) in &mut ask.wanted {
                out.extend([Leaf::Number(&mut number.0), Leaf::Digest(digest)]);
            }
        }
        PeerMessage::Content(content) => {
            out.push(Leaf::Number(&mut content.seq_no.0));
            proposal(&mut content.proposal, &mut out);
        }
        PeerMessage::AskState(ask) => out.extend([
            Leaf::Number(&mut ask.seq_no.0),
            Leaf::Number(&mut ask.offset),
        ]),
        PeerMessage::State(part) => out.extend([
            Leaf::Number(&mut part.seq_no.0),
            Leaf::Number(&mut part.total),
            Leaf::Number(&mut part.offset),
            Leaf::Bytes(&mut part.bytes),
        ]),
        PeerMessage::Stable(votes) => {
            for signed in votes {
                checkpoint(signed, &mut out);
            }
        }
        PeerMessage::Rejoin(signed) => rejoin(signed, &mut out),
        _ => {}
    }
    out
}

/// All lists of a message that are not part of another list's elements, and those in
/// certificates.
pub(super) fn lists(message: &mut PeerMessage) -> Vec<&mut dyn List> {
    match message {
        PeerMessage::PrePrepare(first) => vec![&mut first.proposal.requests],
        PeerMessage::Forward(signed) => vec![&mut signed.request.acked],
        PeerMessage::ViewChange(signed) => {
            let body = &mut signed.body;
            // One or the other: a list cannot be changed with a list inside of it.
            if body.prepared.len() % 2 == 1 {
                let inner = body.prepared.iter_mut();
                let inner = inner.map(|certificate| &mut certificate.prepares as &mut dyn List);
                inner.chain([&mut body.checkpoint as _]).collect()
            } else {
                vec![&mut body.checkpoint, &mut body.prepared]
            }
        }
        PeerMessage::NewView(signed) => {
            vec![&mut signed.body.view_changes, &mut signed.body.pre_prepares]
        }
        PeerMessage::Decided(decided) => {
            vec![&mut decided.proposal.requests, &mut decided.commits]
        }
        PeerMessage::AskProposals(ask) => vec![&mut ask.wanted],
        PeerMessage::Content(content) => vec![&mut content.proposal.requests],
        PeerMessage::Stable(votes) => vec![votes],
        _ => Vec::new(),
    }
}

fn vote<'m>(signed: &'m mut Signed<Vote>, out: &mut Vec<Leaf<'m>>) {
    let body = &mut signed.body;
    out.extend([
        Leaf::Number(&mut body.epoch.0),
        Leaf::Replica(&mut body.replica),
        Leaf::Number(&mut body.incarnation.0),
        Leaf::Number(&mut body.view.0),
        Leaf::Number(&mut body.seq_no.0),
        Leaf::Digest(&mut body.digest.0),
        Leaf::Signature(&mut signed.signature),
    ]);
}

fn checkpoint<'m>(signed: &'m mut Signed<CheckpointVote>, out: &mut Vec<Leaf<'m>>) {
    let body = &mut signed.body;
    out.extend([
        Leaf::Number(&mut body.epoch.0),
        Leaf::Replica(&mut body.replica),
        Leaf::Number(&mut body.incarnation.0),
        Leaf::Number(&mut body.seq_no.0),
        Leaf::Digest(&mut body.digest.0),
        Leaf::Signature(&mut signed.signature),
    ]);
}

fn prepared<'m>(certificate: &'m mut PreparedCertificate, out: &mut Vec<Leaf<'m>>) {
    vote(&mut certificate.pre_prepare, out);
    for signed in &mut certificate.prepares {
        vote(signed, out);
    }
}

fn proposal<'m>(proposal: &'m mut Proposal, out: &mut Vec<Leaf<'m>>) {
    out.push(Leaf::Number(&mut proposal.time.0));
    for signed in &mut proposal.requests {
        request(signed, out);
    }
    for signed in &mut proposal.rejoins {
        rejoin(signed, out);
    }
}

fn rejoin<'m>(signed: &'m mut Signed<Rejoin>, out: &mut Vec<Leaf<'m>>) {
    let body = &mut signed.body;
    let IncarnationNonce(nonce) = &mut body.nonce;
    out.extend([
        Leaf::Number(&mut body.epoch.0),
        Leaf::Replica(&mut body.replica),
        Leaf::Number(&mut body.incarnation.0),
        Leaf::Digest(nonce),
        Leaf::Signature(&mut signed.signature),
    ]);
}

fn request<'m>(signed: &'m mut SignedRequest, out: &mut Vec<Leaf<'m>>) {
    let request = &mut signed.request;
    let ClientId(client) = &mut request.client;
    out.extend([
        Leaf::Digest(client),
        Leaf::Number(&mut request.session.0),
        Leaf::Number(&mut request.number.0),
    ]);
    for number in &mut request.acked {
        out.push(Leaf::Number(&mut number.0));
    }
    out.extend([
        Leaf::Bytes(&mut request.op),
        Leaf::Signature(&mut signed.signature),
    ]);
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
