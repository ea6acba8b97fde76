//! Offences of peers and clients, as values: who, and what.
//!
//! A correct replica never panics on what it is sent. It turns the fault into
//! a [`Misbehaviour`], which the driver logs, counts and, where it carries a
//! proof, keeps as evidence. The split between a peer's fault and our own
//! follows rustls' `PeerMisbehaved` and `ApiMisuse`.

use core::fmt;

use crate::{
    codec::DecodeError,
    evidence::Evidence,
    ids::{Epoch, Incarnation, OrderedTime, ReplicaId, SeqNo, Source, View},
    message::{Phase, Signed, Vote},
};

/// A fault with the one who committed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misbehaviour {
    /// Who.
    pub who: Source,
    /// What.
    pub what: Offence,
    /// What convicts the signer of what was sent, who need not be the one who sent it. Made
    /// only of what was checked: [`Evidence::verify`] says the same.
    pub proof: Option<Box<Evidence>>,
}

impl Misbehaviour {
    /// Blames `who` for `what`.
    #[must_use]
    pub const fn new(who: Source, what: Offence) -> Self {
        let proof = None;
        Self { who, what, proof }
    }

    /// The same with a proof; one that could not be judged later is left out.
    #[must_use]
    pub fn with_proof(mut self, proof: Option<Box<Evidence>>) -> Self {
        self.proof = proof.filter(|evidence| evidence.is_of_first_incarnations());
        self
    }
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.who {
            Source::Replica(replica) => write!(f, "replica {replica}: {}", self.what),
            Source::Client(client) => write!(f, "client {client}: {}", self.what),
        }
    }
}

/// A fault in something received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Offence {
    /// The frame was no message.
    #[error("sent bytes that are no message: {0}")]
    Undecodable(DecodeError),
    /// The frame, or an operation or proposal in it, was larger than allowed.
    #[error("sent {bytes} bytes, more than a message may have")]
    Oversized {
        /// Its size.
        bytes: usize,
    },
    /// A request acknowledges more results than a session can have, or out of order.
    #[error("acknowledged results that no session has")]
    BadAcknowledgements,
    /// A signature does not hold.
    #[error("sent a message with a bad signature")]
    BadSignature,
    /// The configuration named is not the current one.
    #[error("sent a message of epoch {said} while the cluster is in {is}")]
    WrongEpoch {
        /// The epoch named.
        said: Epoch,
        /// The epoch in force.
        is: Epoch,
    },
    /// The incarnation named is not the sender's current one.
    #[error("sent a message of the void incarnation {said}")]
    WrongIncarnation {
        /// The incarnation named.
        said: Incarnation,
    },
    /// The named signer is no replica of the cluster.
    #[error("named a signer that is no member of the cluster")]
    NotAMember,
    /// A vote came over another replica's link than its signer's.
    #[error("sent a vote in the name of replica {as_replica}")]
    SpokeForAnother {
        /// The signer named.
        as_replica: ReplicaId,
    },
    /// A pre-prepare not by the primary of its view.
    #[error("sent a pre-prepare without being the primary of view {view}")]
    NotThePrimary {
        /// The view.
        view: View,
    },
    /// The digest voted on is not the proposal's.
    #[error("sent at number {seq_no} a proposal that is not the one it voted for")]
    DigestMismatch {
        /// The number.
        seq_no: SeqNo,
    },
    /// A proposal with more requests than allowed.
    #[error("proposed {requests} requests at once, more than allowed")]
    TooManyRequests {
        /// How many.
        requests: usize,
    },
    /// A proposed time too far from this replica's clock.
    #[error("proposed time {proposed} while it is {here} here")]
    TimeOutOfBounds {
        /// The time proposed.
        proposed: OrderedTime,
        /// This replica's clock.
        here: OrderedTime,
    },
    /// A number beyond what may be in flight.
    #[error("sent a message for sequence number {seq_no}, beyond the window that ends at {high}")]
    BeyondWindow {
        /// The number.
        seq_no: SeqNo,
        /// The last number taken in.
        high: SeqNo,
    },
    /// A proof whose votes are too few, not distinct, or not about one thing.
    #[error("sent a certificate that proves nothing")]
    BadCertificate,
    /// A view change with certificates that do not hold; those that do count.
    #[error("sent a view change for view {view} with invalid certificates")]
    FlawedViewChange {
        /// The view.
        view: View,
    },
    /// A new view that does not follow from the view changes it names.
    #[error("opened view {view} with proposals that do not follow from its view changes")]
    WrongNewView {
        /// The view.
        view: View,
    },
    /// Two view changes or new views for one view.
    #[error("sent conflicting view changes for view {view}")]
    ConflictingViewChanges {
        /// The view.
        view: View,
    },
    /// Two states after one number.
    #[error("vouched for two states after number {seq_no}")]
    TwoStates {
        /// The number.
        seq_no: SeqNo,
    },
    /// Another state than a strong quorum's.
    #[error("vouched for a state after number {seq_no} that is not the certified one")]
    FalseState {
        /// The number.
        seq_no: SeqNo,
    },
    /// More proposals asked for at once than allowed.
    #[error("asked for {wanted} proposals at once, more than allowed")]
    AskedForTooMuch {
        /// How many.
        wanted: usize,
    },
    /// Parts of a state that do not make the state that was certified.
    #[error("sent a state for number {seq_no} that is not the certified one")]
    WrongState {
        /// The checkpoint.
        seq_no: SeqNo,
    },
    /// Two different votes of one phase for one (view, number): both are signed.
    #[error("voted for two proposals at number {} of view {}", first.body.seq_no, first.body.view)]
    Equivocation {
        /// Its phase.
        phase: Phase,
        /// The vote that stands.
        first: Box<Signed<Vote>>,
        /// The vote that came later.
        second: Box<Signed<Vote>>,
    },
}
