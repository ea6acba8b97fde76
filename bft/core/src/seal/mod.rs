//! From bytes to belief: the only way into the state machine.
//!
//! A frame is decoded into a [`Sealed`] message, which nobody may act on. A
//! [`Batch`] checks structure and signatures of many sealed messages at once
//! and hands out [`Input`]s, whose verified parts cannot be made anywhere
//! else. Batching is the driver's choice (any number, on any thread);
//! what is believed is decided here alone, in `Batch::authenticate` ([`batch`])
//! and, for what carries proofs of others, in [`certificates`].

mod batch;
mod certificates;

use std::sync::Arc;

pub use batch::{Batch, check_commits};
pub(crate) use batch::{examine, well_formed};
pub use certificates::{CheckedDecision, CheckedNewView, CheckedViewChange};

use crate::{
    codec,
    crypto::{Claim, Domain, PublicKey},
    ids::{ClientId, ClusterId, Digest, Epoch, OrderedTime, ReplicaId},
    limits,
    message::{
        Body, PeerMessage, PrePrepare, Proposal, Request, Signed, SignedRequest, Vote,
        proposal_digest,
    },
    misbehaviour::{Fault, Misbehaviour},
    quorum::Quorum,
    rejoin::Rejoin,
};

/// Who is at the other end of the link a message came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A replica of this cluster.
    Replica(ReplicaId),
    /// A client.
    Client(ClientId),
}

/// Proof that the content was authenticated; made only in this module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified<M>(M);

impl<M> Verified<M> {
    /// The content.
    pub const fn get(&self) -> &M {
        &self.0
    }
}

/// A message believed on the word of the link it came over: that `from` said
/// it is certain, that `from` could prove it to others is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linked<M> {
    from: ReplicaId,
    message: M,
}

impl<M> Linked<M> {
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
    signed: SignedRequest,
    digest: Digest,
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

    /// Bytes this request is charged for in pools and proposals: never fewer than it
    /// is long when encoded (a number has up to 10 bytes), else a client could make a
    /// correct primary propose more than a message may hold.
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        self.signed.request.op.len() + 160 + 10 * self.signed.request.acked.len()
    }
}

/// A proposal of authenticated requests, with its digest.
#[derive(Debug, PartialEq, Eq)]
pub struct CheckedProposal {
    time: OrderedTime,
    requests: Vec<Arc<CheckedRequest>>,
    rejoins: Vec<Signed<Rejoin>>,
    digest: Digest,
}

impl CheckedProposal {
    /// A proposal made here, of requests already authenticated.
    #[must_use]
    pub fn new(time: OrderedTime, requests: Vec<Arc<CheckedRequest>>) -> Self {
        Self::with_rejoins(time, requests, Vec::new())
    }

    /// The same, which also begins lives.
    pub(crate) fn with_rejoins(
        time: OrderedTime,
        requests: Vec<Arc<CheckedRequest>>,
        rejoins: Vec<Signed<Rejoin>>,
    ) -> Self {
        let digests = requests.iter().map(|request| request.digest);
        let digest = proposal_digest(time, digests, &rejoins);
        Self {
            time,
            requests,
            rejoins,
            digest,
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

    /// The lives that begin, in order.
    #[must_use]
    pub fn rejoins(&self) -> &[Signed<Rejoin>] {
        &self.rejoins
    }

    /// What replicas vote on.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// What this proposal is charged for: never less than its encoding.
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        let requests = self.requests.iter().map(|request| request.cost_bytes());
        // A rejoin is two numbers of at most ten bytes, a replica, a life, a signature.
        requests.sum::<usize>() + 32 + 160 * self.rejoins.len()
    }

    /// PBFT §4.4's null request: it fills a number for which nothing was prepared, asks for
    /// nothing, and leaves agreed time as it is.
    #[must_use]
    pub fn null() -> Self {
        Self::new(OrderedTime(0), Vec::new())
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

/// What a replica knows about its cluster in order to check signatures.
#[derive(Clone, Debug)]
pub struct Keyring {
    cluster: ClusterId,
    epoch: Epoch,
    quorum: Quorum,
    keys: Vec<PublicKey>,
}

impl Keyring {
    /// The keyring of a cluster whose replicas have `keys`, in order of their ids;
    /// `None` if their number makes no cluster or two are equal.
    #[must_use]
    pub fn new(cluster: ClusterId, epoch: Epoch, keys: Vec<PublicKey>) -> Option<Self> {
        let quorum = Quorum::new(keys.len())?;
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        (distinct.len() == keys.len()).then_some(Self {
            cluster,
            epoch,
            quorum,
            keys,
        })
    }

    /// The cluster under every signature.
    #[must_use]
    pub const fn cluster(&self) -> &ClusterId {
        &self.cluster
    }

    /// The configuration.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Quorum sizes.
    #[must_use]
    pub const fn quorum(&self) -> Quorum {
        self.quorum
    }

    /// The key of a member.
    #[must_use]
    pub fn key(&self, replica: ReplicaId) -> Option<PublicKey> {
        self.keys.get(usize::from(replica.0)).copied()
    }

    /// The claim that `signed` is its signer's in `domain`, after its epoch and membership
    /// were found right. Whether it is of a life that counts is for the replica to say: it
    /// alone knows the log.
    ///
    /// # Errors
    /// [`Fault`] if the body belongs to no current member.
    pub fn claim<B: Body>(&self, signed: &Signed<B>, domain: Domain) -> Result<Claim, Fault> {
        let body = &signed.body;
        let key = self.member_key(body)?;
        Ok(Claim::encoded(
            key,
            signed.signature,
            domain,
            &self.cluster,
            body,
        ))
    }

    /// The key of a body's signer, after its epoch and membership were found right.
    ///
    /// # Errors
    /// [`Fault`] if the body belongs to no current member.
    pub fn member_key<B: Body>(&self, body: &B) -> Result<PublicKey, Fault> {
        if body.epoch() != self.epoch {
            return Err(Fault::WrongEpoch {
                said: body.epoch(),
                is: self.epoch,
            });
        }
        self.key(body.signer()).ok_or(Fault::NotAMember)
    }

    /// The claim that a request is its client's.
    #[must_use]
    pub fn request_claim(&self, signed: &SignedRequest, digest: Digest) -> Claim {
        Claim::new(
            signed.request.client.into(),
            signed.signature,
            Domain::Request,
            &self.cluster,
            &digest.0,
        )
    }
}

/// A decoded message of which nothing has been checked but its form.
#[derive(Clone, Debug)]
pub struct Sealed {
    source: Source,
    message: PeerMessage,
}

impl Sealed {
    /// Decodes a frame from replica `from`.
    ///
    /// # Errors
    /// [`Misbehaviour`] of `from` if the bytes are too many or no canonical message.
    pub fn from_replica(from: ReplicaId, bytes: &[u8]) -> Result<Self, Misbehaviour> {
        let source = Source::Replica(from);
        if bytes.len() > limits::MAX_PEER_MESSAGE_BYTES {
            return Err(Misbehaviour::new(
                source,
                Fault::Oversized { bytes: bytes.len() },
            ));
        }
        let message = codec::decode(bytes)
            .map_err(|error| Misbehaviour::new(source, Fault::Undecodable(error)))?;
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        crypto::{Signature, SigningKey},
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

    #[test]
    fn a_keyring_needs_a_clusters_worth_of_different_keys() {
        let keys = |seeds: &[u8]| {
            seeds
                .iter()
                .map(|i| SigningKey::from_seed([*i; 32]).public())
                .collect::<Vec<_>>()
        };
        let keyring = |seeds| Keyring::new(ClusterId([0; 32]), Epoch(0), keys(seeds));
        assert!(keyring(&[1, 2, 3]).is_none());
        assert!(keyring(&[1, 2, 3, 1]).is_none());
        let four = keyring(&[1, 2, 3, 4]).unwrap();
        assert_eq!(four.key(ReplicaId(3)), Some(keys(&[4])[0]));
        assert_eq!(four.key(ReplicaId(4)), None);
    }
}
