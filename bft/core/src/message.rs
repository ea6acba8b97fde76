//! The messages between replicas, and between clients and replicas.
//!
//! These are plain data with one encoding ([`crate::codec`]); nothing here has
//! been checked. [`crate::verification`] turns bytes into verified messages, and only
//! those reach the state machine. docs/wire-format.md shows the layouts.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    codec,
    crypto::{Domain, Signature, SigningKey, digest},
    ids::{
        ClientId, ClusterId, Digest, Epoch, Incarnation, IncarnationNonce, OrderedTime, ReplicaId,
        RequestNumber, SeqNo, SessionId, View,
    },
    limits,
};

/// What a client wants done: one operation, at one place of one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Who asks; the key that must have signed.
    pub client: ClientId,
    /// The session, or [`SessionId::NONE`] in a request that opens one.
    pub session: SessionId,
    /// The place in the session, from 1; for an opening request a number of the client's choice.
    pub number: RequestNumber,
    /// Requests whose results reached the client since the request before this one:
    /// they need not be kept. Ascending, at most [`crate::limits::SESSION_WINDOW`]. A
    /// list and not a lower bound, because a waiting request may stay open for long
    /// while later ones come and go (docs/decisions/008-acknowledgements.md).
    pub acked: Vec<RequestNumber>,
    /// The operation, opaque to ordering; at most [`crate::limits::MAX_OP_BYTES`].
    pub op: Bytes,
}

impl Request {
    /// The digest that names this request: content only, never its authenticators.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest("bezant request", &[&codec::encode(self)])
    }

    /// Bytes this request is charged for in pools and proposals: never fewer than it
    /// is long when encoded and signed, else a client could make a correct primary propose
    /// more than a message may hold.
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        let acked = limits::ACKNOWLEDGEMENT_COST_BYTES.saturating_mul(self.acked.len());
        let content = self.op.len().saturating_add(acked);
        content.saturating_add(limits::ENVELOPE_COST_BYTES)
    }

    /// Signs this request for `cluster`.
    #[must_use]
    pub fn sign(self, cluster: &ClusterId, key: &SigningKey) -> SignedRequest {
        let signature = key.sign(Domain::Request, cluster, &self.digest().0);
        SignedRequest {
            request: self,
            signature,
        }
    }
}

/// A request with its client's signature over the request's digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedRequest {
    /// The content.
    pub request: Request,
    /// Over [`Request::digest`], in [`Domain::Request`].
    pub signature: Signature,
}

/// What a primary puts at a number: requests in order, and a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The primary's clock; agreed time becomes `max(this, last + 1)` at execution.
    pub time: OrderedTime,
    /// The requests, executed in this order. Empty is the null request (PBFT §4.4).
    pub requests: Vec<SignedRequest>,
    /// Incarnations that begin, after the requests; at most
    /// [`crate::limits::MAX_REJOINS_PER_PROPOSAL`].
    pub rejoins: Vec<Signed<Rejoin>>,
}

impl Proposal {
    /// What this proposal is charged for, in bytes: never fewer than it is long when encoded.
    /// Signatures have one length, so that this follows from what the primary's vote stands for.
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        let requests = self.requests.iter().map(|signed| &signed.request);
        proposal_cost_bytes(requests, self.rejoins.len())
    }
}

/// [`Proposal::cost_bytes`] of its parts.
pub(crate) fn proposal_cost_bytes<'r>(
    requests: impl Iterator<Item = &'r Request>,
    rejoins: usize,
) -> usize {
    let requests = requests.map(Request::cost_bytes);
    let rejoins = limits::ENVELOPE_COST_BYTES.saturating_mul(rejoins);
    requests
        .fold(limits::PROPOSAL_COST_BYTES, usize::saturating_add)
        .saturating_add(rejoins)
}

/// The digest of a proposal with this time, these request digests and these incarnations.
#[must_use]
pub fn proposal_digest(
    time: OrderedTime,
    requests: impl Iterator<Item = Digest>,
    rejoins: &[Signed<Rejoin>],
) -> Digest {
    let time = time.0.to_le_bytes();
    let requests: Vec<u8> = requests.flat_map(|digest| digest.0).collect();
    digest(
        "bezant proposal",
        &[&time, &requests, &codec::encode(rejoins)],
    )
}

/// A phase of PBFT §4.2, in which a replica votes once for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// The primary's vote.
    PrePrepare,
    /// The second.
    Prepare,
    /// The third.
    Commit,
}

impl Phase {
    /// What votes of this phase are signed in.
    #[must_use]
    pub const fn domain(self) -> Domain {
        match self {
            Self::PrePrepare => Domain::PrePrepare,
            Self::Prepare => Domain::Prepare,
            Self::Commit => Domain::Commit,
        }
    }
}

/// What every phase votes on. The phase is the signature's domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Vote {
    /// Configuration the vote belongs to.
    pub epoch: Epoch,
    /// Who votes.
    pub replica: ReplicaId,
    /// The voter's incarnation; votes of an earlier incarnation are void.
    pub incarnation: Incarnation,
    /// The view.
    pub view: View,
    /// The sequence number.
    pub seq_no: SeqNo,
    /// The digest of the proposal at that number.
    pub digest: Digest,
}

/// A replica's request to begin an incarnation. Ordered in a [`Proposal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rejoin {
    /// Configuration.
    pub epoch: Epoch,
    /// Who forgot.
    pub replica: ReplicaId,
    /// The incarnation it asks for: one more than the last that the log gave it.
    pub incarnation: Incarnation,
    /// Which incarnation asks, drawn at random when it began.
    pub nonce: IncarnationNonce,
}

/// A replica's claim about the service's state after executing a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CheckpointVote {
    /// Configuration the vote belongs to.
    pub epoch: Epoch,
    /// Who votes.
    pub replica: ReplicaId,
    /// The voter's incarnation.
    pub incarnation: Incarnation,
    /// The last number executed.
    pub seq_no: SeqNo,
    /// The state's digest after it.
    pub digest: Digest,
}

/// Proof to anyone that a proposal was prepared in a view: the pre-prepare's vote
/// and matching prepares of distinct backups (PBFT §4.4). What view changes carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedCertificate {
    /// The primary's vote.
    pub pre_prepare: Signed<Vote>,
    /// Prepares, by distinct backups.
    pub prepares: Vec<Signed<Vote>>,
}

/// PBFT §4.4: a replica has left all lower views, and this is what it knows to be
/// prepared in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewChange {
    /// Configuration.
    pub epoch: Epoch,
    /// Who left.
    pub replica: ReplicaId,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// The view it wants to enter.
    pub view: View,
    /// Its last stable checkpoint; 0 is the beginning of the log.
    pub stable: SeqNo,
    /// A strong quorum of equal votes for that checkpoint; empty at 0.
    pub checkpoint: Vec<Signed<CheckpointVote>>,
    /// For each number above it that was prepared here, the certificate of the highest
    /// view, ascending by number.
    pub prepared: Vec<PreparedCertificate>,
}

/// PBFT §4.4: the primary of a view opens it. What it proposes follows from the view
/// changes it names, and every backup computes it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewView {
    /// Configuration.
    pub epoch: Epoch,
    /// The primary.
    pub replica: ReplicaId,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// The view.
    pub view: View,
    /// A strong quorum of view changes, by sender and digest, ascending by sender.
    pub view_changes: Vec<(ReplicaId, Digest)>,
    /// The highest stable checkpoint among them: nothing up to it is voted on in this view.
    pub stable: SeqNo,
    /// The primary's votes in this view for every number between the highest stable
    /// checkpoint and the highest prepared number, ascending.
    pub pre_prepares: Vec<Signed<Vote>>,
}

impl Signed<ViewChange> {
    /// The digest by which a new view names this message.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest("bezant view change", &[&codec::encode(self)])
    }
}

/// A decided number with its proposal, for a replica that lacks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// The number.
    pub seq_no: SeqNo,
    /// The proposal.
    pub proposal: Proposal,
    /// A commit certificate. Empty while the sender has none: then this is its claim,
    /// which counts once more than f replicas make it over their links.
    pub commits: Vec<Signed<Vote>>,
}

/// Asks for proposals that a new view names and the asker does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskProposals {
    /// Number and digest of each, at most [`crate::limits::MAX_RESENT_NUMBERS`].
    pub wanted: Vec<(SeqNo, Digest)>,
}

/// A proposal by its content alone: it is whatever its digest says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The number it was asked for.
    pub seq_no: SeqNo,
    /// The proposal.
    pub proposal: Proposal,
}

/// Asks for a part of the state at a stable checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskState {
    /// The checkpoint.
    pub seq_no: SeqNo,
    /// The first byte wanted.
    pub offset: u64,
}

/// A part of the state at a checkpoint. The whole is checked against a certified digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatePart {
    /// The checkpoint.
    pub seq_no: SeqNo,
    /// The length of the whole.
    pub total: u64,
    /// Where this part begins.
    pub offset: u64,
    /// The part, at most [`crate::limits::STATE_PART_BYTES`].
    pub bytes: Bytes,
}

/// A body of a message that replicas sign.
pub trait Body: Serialize + Clone {
    /// Who must have signed.
    fn signer(&self) -> ReplicaId;
    /// The configuration named under the signature.
    fn epoch(&self) -> Epoch;
    /// The incarnation named under the signature.
    fn incarnation(&self) -> Incarnation;
}

macro_rules! body {
    ($($name:ident),*) => {$(
        impl Body for $name {
            fn signer(&self) -> ReplicaId { self.replica }
            fn epoch(&self) -> Epoch { self.epoch }
            fn incarnation(&self) -> Incarnation { self.incarnation }
        }
    )*};
}
body!(
    Vote,
    CheckpointVote,
    ViewChange,
    NewView,
    Rejoin,
    ReplyClaim
);

/// A body with its replica's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed<B> {
    /// What was signed.
    pub body: B,
    /// Over the body's encoding, in the domain of its kind or phase.
    pub signature: Signature,
}

impl<B: Body> Signed<B> {
    /// Signs `body` in `domain` for `cluster`.
    pub fn new(body: B, domain: Domain, cluster: &ClusterId, key: &SigningKey) -> Self {
        let signature = key.sign_encoded(domain, cluster, &body);
        Self { body, signature }
    }
}

/// A primary's pre-prepare: its vote and what it voted for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrePrepare {
    /// The primary's vote, in [`Domain::PrePrepare`].
    pub vote: Signed<Vote>,
    /// The proposal whose digest the vote names.
    pub proposal: Proposal,
}

/// Where a replica stands; a report that lets others send what it lacks. Only ever
/// about the sender, believed on its link's word, and never counted as a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Configuration.
    pub epoch: Epoch,
    /// The view the sender is in, or wants to enter.
    pub view: View,
    /// Whether it is in it.
    pub active: bool,
    /// The last number the sender executed.
    pub executed: SeqNo,
    /// Whether the sender lacks something and wants it sent.
    pub wants: bool,
}

/// A message from one replica to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PeerMessage {
    /// PBFT §4.2, first phase.
    PrePrepare(PrePrepare),
    /// Second phase.
    Prepare(Signed<Vote>),
    /// Third phase.
    Commit(Signed<Vote>),
    /// PBFT §4.3.
    Checkpoint(Signed<CheckpointVote>),
    /// A client's request, passed on by a backup to the primary.
    Forward(SignedRequest),
    /// Progress of the sender.
    Status(Status),
    /// PBFT §4.4; passed on by anybody, since its signer is who counts.
    ViewChange(Signed<ViewChange>),
    /// PBFT §4.4; passed on by anybody.
    NewView(Signed<NewView>),
    /// A decided number for a replica that lacks it.
    Decided(Decided),
    /// A request for proposals by digest.
    AskProposals(AskProposals),
    /// An answer to it.
    Content(Content),
    /// A request for a part of a state.
    AskState(AskState),
    /// An answer to it.
    State(StatePart),
    /// Proof that a checkpoint is stable: a strong quorum of equal votes by distinct replicas.
    /// Passed on by anybody, and judged as a whole: what one of its signers said before to
    /// somebody else does not matter.
    Stable(Vec<Signed<CheckpointVote>>),
    /// A replica that forgot what it said begins a new incarnation; passed on by anybody.
    Rejoin(Signed<Rejoin>),
}

impl PeerMessage {
    /// What this message is charged for where bytes are counted: never fewer than it is long
    /// when encoded.
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        const NAMED: usize = 48;
        const SMALL: usize = 64;
        let votes = |votes: usize| limits::MAX_VOTE_BYTES.saturating_mul(votes);
        match self {
            Self::PrePrepare(message) => votes(1) + message.proposal.cost_bytes(),
            Self::Prepare(_) | Self::Commit(_) | Self::Checkpoint(_) => votes(1) + 1,
            Self::Forward(signed) => SMALL + signed.request.cost_bytes(),
            Self::Status(_) | Self::AskState(_) => SMALL,
            Self::ViewChange(Signed { body, .. }) => {
                let prepares = body.prepared.iter().map(|prepared| prepared.prepares.len());
                let prepared = prepares.fold(body.prepared.len(), usize::saturating_add);
                SMALL + votes(1 + body.checkpoint.len() + prepared)
            }
            Self::NewView(Signed { body, .. }) => {
                SMALL + votes(1 + body.pre_prepares.len()) + NAMED * body.view_changes.len()
            }
            Self::Decided(message) => {
                SMALL + message.proposal.cost_bytes() + votes(message.commits.len())
            }
            Self::AskProposals(ask) => SMALL + NAMED * ask.wanted.len(),
            Self::Content(message) => SMALL + message.proposal.cost_bytes(),
            Self::State(part) => SMALL + part.bytes.len(),
            Self::Stable(proof) => SMALL + votes(proof.len()),
            Self::Rejoin(_) => SMALL + votes(1),
        }
    }
}

/// A message from a client to a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ClientMessage {
    /// Order and execute this.
    Request(SignedRequest),
    /// Send the kept reply to this request again, signed.
    AskSigned {
        /// The session.
        session: SessionId,
        /// The request.
        number: RequestNumber,
    },
    /// Send replies for this client over this link.
    Attach(Attach),
}

/// A client's leave to send its replies over the link of another key. A link's
/// own key needs none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// Whose replies.
    pub client: ClientId,
    /// Over [`attach_body`], in [`Domain::Attach`].
    pub signature: Signature,
}

/// What [`Attach`] signs: the key of the link that may carry the replies.
#[must_use]
pub fn attach_body(link: &ClientId) -> Vec<u8> {
    codec::encode(link)
}

impl Attach {
    /// `key`'s leave to send its replies over the link authenticated by `link`.
    #[must_use]
    pub fn new(key: &SigningKey, cluster: &ClusterId, link: &ClientId) -> Self {
        let signature = key.sign(Domain::Attach, cluster, &attach_body(link));
        Self {
            client: key.client(),
            signature,
        }
    }
}

/// What of a replica's room for requests is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Share {
    /// All of it.
    All,
    /// What the client may have at the moment.
    Client,
}

/// What the service answered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reply {
    /// The session asked in.
    pub session: SessionId,
    /// The request answered.
    pub number: RequestNumber,
    /// The sequence number at which the answer came about: a fencing token.
    pub seq_no: SeqNo,
    /// The encoded answer.
    pub result: Bytes,
}

/// A reply with the replica that gives it, as signed on demand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyClaim {
    /// Configuration.
    pub epoch: Epoch,
    /// Who says so.
    pub replica: ReplicaId,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Whom the reply is for.
    pub client: ClientId,
    /// The reply.
    pub reply: Reply,
}

impl ReplicaMessage {
    /// What this message is charged for where bytes are counted: never fewer than it is long
    /// when encoded.
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        const ENVELOPE: usize = 256;
        match self {
            Self::Reply { reply, .. } => ENVELOPE + reply.result.len(),
            Self::SignedReply(signed) => ENVELOPE + signed.body.reply.result.len(),
            Self::Busy { .. } => ENVELOPE,
        }
    }
}

/// A message from a replica to a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ReplicaMessage {
    /// An answer, authenticated by the link.
    Reply {
        /// The replica's view, so that the client learns who is primary; no part of the answer.
        view: View,
        /// The answer.
        reply: Reply,
    },
    /// An answer signed on demand.
    SignedReply(Signed<ReplyClaim>),
    /// The request was not taken in; try again later.
    Busy {
        /// The session.
        session: SessionId,
        /// The request.
        number: RequestNumber,
        /// What is used up.
        share: Share,
    },
}
