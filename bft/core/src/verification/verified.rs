//! The types that say what was checked: by them the state machine knows what it may believe.
//!
//! They exist so that "verified" is a type and not a habit. What only [`super`] may decide
//! has fields that only [`super`] sees: nobody else in the crate makes a [`Verified`] or a
//! [`LinkAuthenticated`]. Nothing here looks at a signature or a structure; that is the work of
//! [`super::batch`] and [`super::certificates`].

use std::sync::Arc;

use crate::{
    codec,
    ids::{ClientId, Digest, OrderedTime, ReplicaId, SeqNo, Source, View},
    limits,
    message::{
        CheckpointVote, NewView, PeerMessage, PrePrepare, PreparedCertificate, Proposal, Rejoin,
        Request, Signed, SignedRequest, ViewChange, Vote, proposal_cost_bytes, proposal_digest,
    },
    misbehaviour::{Misbehaviour, Offence},
};

/// A decoded message of which nothing has been checked but its form.
#[derive(Clone, Debug)]
pub struct Unverified {
    pub(super) source: Source,
    pub(super) message: PeerMessage,
}

impl Unverified {
    /// Decodes a frame from replica `from`.
    ///
    /// # Errors
    /// [`Misbehaviour`] of `from` if the bytes are too many or no canonical message.
    pub fn from_replica(from: ReplicaId, bytes: &[u8]) -> Result<Self, Misbehaviour> {
        let source = Source::Replica(from);
        if bytes.len() > limits::MAX_PEER_MESSAGE_BYTES {
            return Err(Misbehaviour::new(
                source,
                Offence::Oversized { bytes: bytes.len() },
            ));
        }
        let message = codec::decode(bytes)
            .map_err(|error| Misbehaviour::new(source, Offence::Undecodable(error)))?;
        Ok(Self { source, message })
    }

    /// Wraps a request that came over the link of `client`.
    #[must_use]
    pub const fn from_client(client: ClientId, request: SignedRequest) -> Self {
        Self {
            source: Source::Client(client),
            message: PeerMessage::Forward(request),
        }
    }

    /// Who sent it.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// What it claims to be. Only for deciding whether checking it is worth the work.
    #[must_use]
    pub const fn peek(&self) -> &PeerMessage {
        &self.message
    }
}

/// Proof that the content was authenticated; made only in [`crate::verification`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified<M>(pub(super) M);

impl<M> Verified<M> {
    /// The content.
    pub const fn get(&self) -> &M {
        &self.0
    }
}

/// A message believed on the word of the link it came over: that `from` said
/// it is certain, that `from` could prove it to others is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkAuthenticated<M> {
    pub(super) from: ReplicaId,
    pub(super) message: M,
}

impl<M> LinkAuthenticated<M> {
    /// Who said it.
    pub const fn from(&self) -> ReplicaId {
        self.from
    }

    /// What was said.
    pub const fn get(&self) -> &M {
        &self.message
    }
}

/// A client's request whose signature held, with its digest.
#[derive(Debug, PartialEq, Eq)]
pub struct CheckedRequest {
    pub(super) signed: SignedRequest,
    pub(super) digest: Digest,
}

impl CheckedRequest {
    /// Believed without a look at the signature.
    #[cfg(test)]
    pub(crate) fn unchecked(signed: SignedRequest) -> Self {
        let digest = signed.request.digest();
        Self { signed, digest }
    }

    /// The content.
    #[must_use]
    pub const fn request(&self) -> &Request {
        &self.signed.request
    }

    /// The content with the client's signature, to pass on.
    #[must_use]
    pub const fn signed(&self) -> &SignedRequest {
        &self.signed
    }

    /// [`Request::digest`].
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// [`Request::cost_bytes`].
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        self.signed.request.cost_bytes()
    }
}

/// A proposal of authenticated requests, with its digest.
#[derive(Debug, PartialEq, Eq)]
pub struct CheckedProposal {
    time: OrderedTime,
    requests: Vec<Arc<CheckedRequest>>,
    rejoins: Vec<Signed<Rejoin>>,
    digest: Digest,
    cost_bytes: usize,
}

impl CheckedProposal {
    /// A proposal made here, of requests already authenticated.
    #[must_use]
    pub fn new(time: OrderedTime, requests: Vec<Arc<CheckedRequest>>) -> Self {
        Self::with_rejoins(time, requests, Vec::new())
    }

    /// The same, which also begins incarnations.
    pub(crate) fn with_rejoins(
        time: OrderedTime,
        requests: Vec<Arc<CheckedRequest>>,
        rejoins: Vec<Signed<Rejoin>>,
    ) -> Self {
        let digests = requests.iter().map(|request| request.digest);
        let digest = proposal_digest(time, digests, &rejoins);
        let contents = requests.iter().map(|request| request.request());
        let cost_bytes = proposal_cost_bytes(contents, rejoins.len());
        Self {
            time,
            requests,
            rejoins,
            digest,
            cost_bytes,
        }
    }

    /// The time the primary proposes.
    #[must_use]
    pub const fn time(&self) -> OrderedTime {
        self.time
    }

    /// The requests, in order.
    #[must_use]
    pub fn requests(&self) -> &[Arc<CheckedRequest>] {
        &self.requests
    }

    /// The incarnations that begin, in order.
    #[must_use]
    pub fn rejoins(&self) -> &[Signed<Rejoin>] {
        &self.rejoins
    }

    /// What replicas vote on.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// [`Proposal::cost_bytes`].
    #[must_use]
    pub const fn cost_bytes(&self) -> usize {
        self.cost_bytes
    }

    /// PBFT §4.4's null request: it fills a number for which nothing was prepared, asks for
    /// nothing, and leaves agreed time as it is.
    #[must_use]
    pub fn null() -> Self {
        Self::new(OrderedTime(0), Vec::new())
    }

    /// Whether this is the null request.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        self.time.0 == 0 && self.requests.is_empty() && self.rejoins.is_empty()
    }

    /// The content to send on.
    #[must_use]
    pub fn to_proposal(&self) -> Proposal {
        let requests = self.requests.iter().map(|r| r.signed.clone());
        Proposal {
            time: self.time,
            requests: requests.collect(),
            rejoins: self.rejoins.clone(),
        }
    }
}

/// A pre-prepare whose vote and requests were authenticated.
#[derive(Clone, Debug)]
pub struct CheckedPrePrepare {
    /// The primary's vote.
    pub vote: Signed<Vote>,
    /// What it voted for.
    pub proposal: Arc<CheckedProposal>,
}

impl CheckedPrePrepare {
    /// What this replica checked before it wrote it down; `None` if the proposal is not
    /// the one its vote names. Only for reading own records ([`crate::record`]): no
    /// signature is looked at.
    pub(crate) fn from_own_record(message: PrePrepare) -> Option<Self> {
        let PrePrepare { vote, proposal } = message;
        let requests = proposal.requests.into_iter().map(|signed| {
            let digest = signed.request.digest();
            Arc::new(CheckedRequest { signed, digest })
        });
        let (time, rejoins) = (proposal.time, proposal.rejoins);
        let proposal = CheckedProposal::with_rejoins(time, requests.collect(), rejoins);
        (proposal.digest == vote.body.digest).then(|| Self {
            vote,
            proposal: Arc::new(proposal),
        })
    }

    /// The message to send on.
    #[must_use]
    pub fn to_message(&self) -> PeerMessage {
        PeerMessage::PrePrepare(PrePrepare {
            vote: self.vote,
            proposal: self.proposal.to_proposal(),
        })
    }
}

/// A view change of which everything kept was authenticated.
#[derive(Debug)]
pub struct CheckedViewChange {
    pub(super) signed: Signed<ViewChange>,
    pub(super) digest: Digest,
    /// Indices of the certificates that hold.
    pub(super) sound: Vec<usize>,
}

impl CheckedViewChange {
    /// Who left.
    #[must_use]
    pub const fn replica(&self) -> ReplicaId {
        self.signed.body.replica
    }

    /// For which view.
    #[must_use]
    pub const fn view(&self) -> View {
        self.signed.body.view
    }

    /// Its last stable checkpoint.
    #[must_use]
    pub const fn stable(&self) -> SeqNo {
        self.signed.body.stable
    }

    /// The votes that prove that checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> &[Signed<CheckpointVote>] {
        &self.signed.body.checkpoint
    }

    /// The certificates that hold.
    pub fn prepared(&self) -> impl Iterator<Item = &PreparedCertificate> {
        self.sound
            .iter()
            .filter_map(|index| self.signed.body.prepared.get(*index))
    }

    /// Whether it carried certificates that do not hold; its sender is to blame.
    #[must_use]
    pub fn is_flawed(&self) -> bool {
        self.sound.len() != self.signed.body.prepared.len()
    }

    /// The name by which a new view refers to it.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The message, to pass on.
    #[must_use]
    pub const fn signed(&self) -> &Signed<ViewChange> {
        &self.signed
    }

    /// This replica's own, which it knows to be sound.
    #[must_use]
    pub(crate) fn own(signed: Signed<ViewChange>) -> Self {
        Self {
            digest: signed.digest(),
            sound: (0..signed.body.prepared.len()).collect(),
            signed,
        }
    }
}

/// A new view whose signatures hold; whether it follows from its view changes is still
/// to be seen.
#[derive(Debug)]
pub struct CheckedNewView(pub(super) Signed<NewView>);

impl CheckedNewView {
    /// The message.
    #[must_use]
    pub const fn signed(&self) -> &Signed<NewView> {
        &self.0
    }

    /// This replica's own.
    #[must_use]
    pub(crate) const fn own(signed: Signed<NewView>) -> Self {
        Self(signed)
    }
}

/// A decision with its proposal, proven by commits or claimed by its sender.
#[derive(Debug)]
pub struct CheckedDecision {
    /// The number.
    pub seq_no: SeqNo,
    /// The proposal.
    pub proposal: Arc<CheckedProposal>,
    /// The certificate; empty in a mere claim.
    pub commits: Vec<Signed<Vote>>,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        crypto::Signature,
        ids::{RequestNumber, SessionId},
    };

    /// A pool and a proposal count costs; what is sent are encodings.
    #[test]
    fn a_request_costs_no_less_than_its_encoding() {
        for number in [0, 127, 128, u64::MAX] {
            for acked in [0, 1, 64] {
                for op in [0, 1, 127, 128, limits::MAX_OP_BYTES] {
                    let request = Request {
                        client: ClientId([0xff; 32]),
                        session: SessionId(number),
                        number: RequestNumber(number),
                        acked: vec![RequestNumber(number); acked],
                        op: Bytes::from(vec![0xff; op]),
                    };
                    let signed = SignedRequest {
                        request,
                        signature: Signature([0xff; 64]),
                    };
                    let bytes = codec::encode(&signed).len();
                    let cost = CheckedRequest::unchecked(signed).cost_bytes();
                    assert!(bytes <= cost, "{bytes} > {cost}");
                }
            }
        }
    }
}
