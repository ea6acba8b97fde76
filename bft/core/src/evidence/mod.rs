//! Evidence: proof of misbehaviour that a third party can verify.
//!
//! A piece of [`Evidence`] is a charge with the signed messages that prove it.
//! Whoever has the cluster's public keys can check it, long after and without a
//! network ([`Evidence::verify`]). A charge names what no correct replica ever
//! signs: two different votes of one phase for one place, a message that
//! contradicts itself, or a statement against those of f+1 others, of whom one
//! is correct. What a correct replica does convicts nobody: it repeats its votes
//! after a restart, votes anew in every view, and speaks anew in every incarnation. What
//! only a link vouched for is no evidence. Checking is in
//! [`crate::verifier`].

mod charge;

use bytes::Bytes;

pub use charge::{Accusation, Charge, ProvableOffence};

use crate::{
    codec,
    crypto::digest,
    ids::{ClusterId, Digest, Epoch, Incarnation, ReplicaId, Source},
    limits::MAX_EVIDENCE_BYTES,
    message::{Body, NewView, Phase, Signed, ViewChange, Vote},
};

/// How the bytes of every piece begin.
const MAGIC: [u8; 8] = *b"bzntevid";

/// The format that follows, as a little-endian `u32`.
const VERSION: u32 = 1;

/// Why evidence does not convict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotProven {
    /// It is about another cluster.
    #[error("it is about another cluster")]
    OtherCluster,
    /// It is about another configuration of the cluster.
    #[error("it is about {0}, another configuration of the cluster")]
    OtherEpoch(Epoch),
    /// A signer is no replica of the cluster.
    #[error("it names replica {0}, which the cluster does not have")]
    NotAMember(ReplicaId),
    /// A signature does not hold.
    #[error("a signature in it does not hold")]
    Signature,
    /// What is put together is not about one thing.
    #[error("what it puts together is not about one thing")]
    Unrelated,
    /// Its parts are not in the one order they have, or there are more than it takes.
    #[error("its parts are not in order, or there are too many")]
    Disordered,
    /// A correct replica may have signed this.
    #[error("nothing in it contradicts correct conduct")]
    NoContradiction,
    /// Fewer than f+1 others stand against the accused.
    #[error("fewer than f+1 replicas stand against the accused")]
    TooFew,
    /// It depends on which incarnations of replicas were void at the time.
    #[error(
        "it names a later incarnation of a replica, and whether that was void cannot be told from it"
    )]
    LaterIncarnation,
}

/// Why bytes are no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotEvidence {
    /// They begin otherwise.
    #[error("this is no evidence of Bezant's")]
    Foreign,
    /// This build does not know the format.
    #[error("this build knows evidence of version {VERSION} and not of version {0}")]
    Version(u32),
    /// Too long.
    #[error("{0} bytes are more than evidence has")]
    TooLong(usize),
    /// They begin right and go on wrong.
    #[error("the evidence is damaged: {0}")]
    Damaged(#[from] codec::DecodeError),
}

/// Who signed what somebody is accused of.
struct Signer {
    who: Source,
    incarnation: Incarnation,
}

/// A charge in a cluster. Nothing has been checked of what was decoded or put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    cluster: ClusterId,
    charge: Charge,
}

impl Evidence {
    /// States a charge; two messages whose order means nothing are put in order.
    #[must_use]
    pub fn new(cluster: ClusterId, charge: Charge) -> Self {
        let charge = match charge {
            Charge::TwoVotes {
                phase,
                first,
                second,
            } => {
                let (first, second) = ordered(first, second, |vote| vote.body.digest);
                Charge::TwoVotes {
                    phase,
                    first,
                    second,
                }
            }
            Charge::TwoStates { first, second } => {
                let (first, second) = ordered(first, second, |vote| vote.body.digest);
                Charge::TwoStates { first, second }
            }
            Charge::TwoViewChanges { first, second } => {
                let (first, second) = ordered(first, second, |said| codec::encode(&said.body));
                Charge::TwoViewChanges { first, second }
            }
            Charge::TwoNewViews { first, second } => {
                let (first, second) = ordered(first, second, |said| codec::encode(&said.body));
                Charge::TwoNewViews { first, second }
            }
            other => other,
        };
        Self { cluster, charge }
    }

    /// Two votes of one phase, if they contradict each other: another view, number or incarnation
    /// is another place, and the same again is no news.
    #[must_use]
    pub fn two_votes(
        cluster: ClusterId,
        phase: Phase,
        first: Signed<Vote>,
        second: Signed<Vote>,
    ) -> Option<Self> {
        let charge = Charge::TwoVotes {
            phase,
            first,
            second,
        };
        let same_place = same_place(&first.body, &second.body);
        let contradict = same_place && first.body.digest != second.body.digest;
        contradict.then(|| Self::new(cluster, charge))
    }

    /// The cluster it is about.
    #[must_use]
    pub const fn cluster(&self) -> &ClusterId {
        &self.cluster
    }

    /// The charge.
    #[must_use]
    pub const fn charge(&self) -> &Charge {
        &self.charge
    }

    /// Who is accused of what, proven or not.
    #[must_use]
    pub fn accusation(&self) -> Accusation {
        let at = |vote: &Vote| (Some(vote.view), Some(vote.seq_no));
        let (offence, (view, seq_no)) = match &self.charge {
            Charge::TwoVotes { phase, first, .. } => {
                let offence = match phase {
                    Phase::PrePrepare => ProvableOffence::TwoProposals,
                    Phase::Prepare => ProvableOffence::TwoPrepares,
                    Phase::Commit => ProvableOffence::TwoCommits,
                };
                (offence, at(&first.body))
            }
            Charge::TwoStates { first: vote, .. } => {
                (ProvableOffence::TwoStates, (None, Some(vote.body.seq_no)))
            }
            Charge::WrongState { vote, .. } => {
                (ProvableOffence::WrongState, (None, Some(vote.body.seq_no)))
            }
            Charge::TwoViewChanges { first, .. } => (
                ProvableOffence::TwoViewChanges,
                (Some(first.body.view), None),
            ),
            Charge::FlawedViewChange(said) => (
                ProvableOffence::FlawedViewChange,
                (Some(said.body.view), None),
            ),
            Charge::TwoNewViews { first, .. } => {
                (ProvableOffence::TwoNewViews, (Some(first.body.view), None))
            }
            Charge::WrongNewView { new_view, .. } => (
                ProvableOffence::WrongNewView,
                (Some(new_view.body.view), None),
            ),
            Charge::NotThePrimary(vote) => (ProvableOffence::NotThePrimary, at(&vote.body)),
            Charge::BadProposal { vote, .. } => (ProvableOffence::BadProposal, at(&vote.body)),
            Charge::FalseReply { .. } => (ProvableOffence::FalseReply, (None, None)),
            Charge::BadRequest(_) => (ProvableOffence::BadRequest, (None, None)),
        };
        let signer = self.signer();
        Accusation {
            accused: signer.who,
            offence,
            incarnation: signer.incarnation,
            view,
            seq_no,
        }
    }

    fn signer(&self) -> Signer {
        fn of<B: Body>(body: &B) -> Signer {
            Signer {
                who: Source::Replica(body.signer()),
                incarnation: body.incarnation(),
            }
        }
        match &self.charge {
            Charge::TwoVotes { first: vote, .. }
            | Charge::NotThePrimary(vote)
            | Charge::BadProposal { vote, .. } => of(&vote.body),
            Charge::TwoStates { first: vote, .. } | Charge::WrongState { vote, .. } => {
                of(&vote.body)
            }
            Charge::TwoViewChanges { first: said, .. } | Charge::FlawedViewChange(said) => {
                of(&said.body)
            }
            Charge::TwoNewViews { first: said, .. }
            | Charge::WrongNewView { new_view: said, .. } => of(&said.body),
            Charge::FalseReply { lie, .. } => of(&lie.body),
            Charge::BadRequest(signed) => {
                let who = Source::Client(signed.request.client);
                let incarnation = Incarnation::default();
                Signer { who, incarnation }
            }
        }
    }

    /// Whether [`Self::verify`] can tell: not if it depends on incarnations that may have been
    /// void.
    #[must_use]
    pub fn is_of_first_incarnations(&self) -> bool {
        match &self.charge {
            Charge::FlawedViewChange(said) => speaks_in_first_incarnations(said),
            Charge::WrongNewView {
                new_view,
                view_changes,
            } => {
                opened_in_first_incarnation(new_view)
                    && view_changes.iter().all(speaks_in_first_incarnations)
            }
            _ => true,
        }
    }

    /// The bytes to keep and to pass on.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(codec::encode(&(&self.cluster, &self.charge)));
        Bytes::from(bytes)
    }

    /// Reads what [`Evidence::encode`] wrote; whether it convicts is still to be seen.
    ///
    /// # Errors
    /// [`NotEvidence`] says in what the bytes are wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, NotEvidence> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(NotEvidence::Foreign)?;
        let (version, rest) = rest
            .split_first_chunk::<4>()
            .ok_or(codec::DecodeError::Malformed)?;
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            return Err(NotEvidence::Version(version));
        }
        if bytes.len() > MAX_EVIDENCE_BYTES {
            return Err(NotEvidence::TooLong(bytes.len()));
        }
        let (cluster, charge) = codec::decode(rest)?;
        Ok(Self { cluster, charge })
    }

    /// The name of these bytes: the same evidence has the same name everywhere.
    #[must_use]
    pub fn name(bytes: &[u8]) -> String {
        let name: Digest = digest("bezant evidence", &[bytes]);
        format!("ev-{name}")
    }
}

/// Whether two votes of one phase are about what a replica votes on once: the same view and
/// number, in one incarnation.
pub(crate) fn same_place(first: &Vote, second: &Vote) -> bool {
    let Vote {
        epoch,
        replica,
        incarnation,
        view,
        seq_no,
        digest: _,
    } = *first;
    epoch == second.epoch
        && replica == second.replica
        && incarnation == second.incarnation
        && view == second.view
        && seq_no == second.seq_no
}

/// Whether every replica in a view change is in its first incarnation.
pub(crate) fn speaks_in_first_incarnations(said: &Signed<ViewChange>) -> bool {
    let first = |incarnation: Incarnation| incarnation == Incarnation::default();
    let body = &said.body;
    let votes = body.prepared.iter().flat_map(|certificate| {
        let prepares = certificate.prepares.iter();
        prepares.chain([&certificate.pre_prepare])
    });
    first(body.incarnation)
        && body
            .checkpoint
            .iter()
            .all(|vote| first(vote.body.incarnation))
        && votes.into_iter().all(|vote| first(vote.body.incarnation))
}

pub(crate) fn opened_in_first_incarnation(said: &Signed<NewView>) -> bool {
    let first = Incarnation::default();
    let mut votes = said.body.pre_prepares.iter();
    said.body.incarnation == first && votes.all(|vote| vote.body.incarnation == first)
}

fn ordered<T, K: Ord>(first: T, second: T, key: impl Fn(&T) -> K) -> (T, T) {
    if key(&first) <= key(&second) {
        (first, second)
    } else {
        (second, first)
    }
}
