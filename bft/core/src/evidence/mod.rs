//! Proof of misbehaviour for people who were not there.
//!
//! A piece of [`Evidence`] is a charge with the signed messages that prove it.
//! Whoever has the cluster's public keys can check it, long after and without a
//! network ([`Evidence::verify`]). A charge names what no correct replica ever
//! signs: two different votes of one phase for one place, a message that
//! contradicts itself, or a statement against those of f+1 others, of whom one
//! is correct. What a correct replica does convicts nobody: it repeats its votes
//! after a restart, votes anew in every view, and speaks anew in every life. What
//! only a link vouched for is no evidence. Checking is in [`verify`].

mod verify;

use core::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use verify::NotProven;

pub use crate::message::Phase;
use crate::{
    codec,
    crypto::digest,
    ids::{ClusterId, Digest, Incarnation, OrderedTime, SeqNo, Source, View},
    limits::MAX_EVIDENCE_BYTES,
    message::{
        Body, CheckpointVote, NewView, Rejoin, ReplyClaim, Request, Signed, SignedRequest,
        ViewChange, Vote,
    },
};

/// How the bytes of every piece begin.
const MAGIC: [u8; 8] = *b"bzntevid";

/// The format that follows, as a little-endian `u32`.
const VERSION: u32 = 1;

/// What somebody is accused of, with the messages that prove it. Where the order of two
/// messages means nothing there is one order only, so that a piece has one spelling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Charge {
    /// A replica voted for two proposals in one phase at one place.
    TwoVotes {
        /// The phase.
        phase: Phase,
        /// The vote with the smaller digest.
        first: Signed<Vote>,
        /// The other.
        second: Signed<Vote>,
    },
    /// A replica vouched for two states after one number.
    TwoStates {
        /// The vote with the smaller digest.
        first: Signed<CheckpointVote>,
        /// The other.
        second: Signed<CheckpointVote>,
    },
    /// A replica left for one view with two different messages.
    TwoViewChanges {
        /// The one whose encoding is smaller.
        first: Box<Signed<ViewChange>>,
        /// The other.
        second: Box<Signed<ViewChange>>,
    },
    /// A primary opened one view in two ways.
    TwoNewViews {
        /// The one whose encoding is smaller.
        first: Box<Signed<NewView>>,
        /// The other.
        second: Box<Signed<NewView>>,
    },
    /// A replica signed a view change with a proof that does not hold.
    FlawedViewChange(Box<Signed<ViewChange>>),
    /// A primary opened a view with what does not follow from the view changes it names.
    WrongNewView {
        /// The new view.
        new_view: Box<Signed<NewView>>,
        /// The view changes in the order in which they are named; none if the new view is
        /// wrong whatever they say.
        view_changes: Vec<Signed<ViewChange>>,
    },
    /// A replica proposed in a view that another one leads.
    NotThePrimary(Signed<Vote>),
    /// A primary proposed what no proposal may hold.
    BadProposal {
        /// Its vote.
        vote: Signed<Vote>,
        /// The time proposed.
        time: OrderedTime,
        /// The requests, without their signatures, for which a primary's vote does not stand.
        requests: Vec<Request>,
        /// The lives that were to begin.
        rejoins: Vec<Signed<Rejoin>>,
    },
    /// A replica vouched for another state than f+1 others.
    WrongState {
        /// Its vote.
        vote: Signed<CheckpointVote>,
        /// Votes of f+1 others that agree with each other, ascending by replica.
        against: Vec<Signed<CheckpointVote>>,
    },
    /// A replica answered a client otherwise than f+1 others.
    FalseReply {
        /// Its signed answer.
        lie: Signed<ReplyClaim>,
        /// Signed answers of f+1 others that agree with each other, ascending by replica.
        truth: Vec<Signed<ReplyClaim>>,
    },
    /// A client signed a request that none may send.
    BadRequest(Box<SignedRequest>),
}

/// The kind of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Offence {
    /// [`Charge::TwoVotes`] of the first phase.
    TwoProposals,
    /// [`Charge::TwoVotes`] of the second phase.
    TwoPrepares,
    /// [`Charge::TwoVotes`] of the third phase.
    TwoCommits,
    /// [`Charge::TwoStates`].
    TwoStates,
    /// [`Charge::TwoViewChanges`].
    TwoViewChanges,
    /// [`Charge::TwoNewViews`].
    TwoNewViews,
    /// [`Charge::FlawedViewChange`].
    FlawedViewChange,
    /// [`Charge::WrongNewView`].
    WrongNewView,
    /// [`Charge::NotThePrimary`].
    NotThePrimary,
    /// [`Charge::BadProposal`].
    BadProposal,
    /// [`Charge::WrongState`].
    WrongState,
    /// [`Charge::FalseReply`].
    FalseReply,
    /// [`Charge::BadRequest`].
    BadRequest,
}

impl Offence {
    /// How programs read it: a word with hyphens, stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TwoProposals => "two-proposals",
            Self::TwoPrepares => "two-prepares",
            Self::TwoCommits => "two-commits",
            Self::TwoStates => "two-states",
            Self::TwoViewChanges => "two-view-changes",
            Self::TwoNewViews => "two-new-views",
            Self::FlawedViewChange => "flawed-view-change",
            Self::WrongNewView => "wrong-new-view",
            Self::NotThePrimary => "not-the-primary",
            Self::BadProposal => "bad-proposal",
            Self::WrongState => "wrong-state",
            Self::FalseReply => "false-reply",
            Self::BadRequest => "bad-request",
        }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TwoProposals => "proposed two things at one place",
            Self::TwoPrepares => "prepared two things at one place",
            Self::TwoCommits => "committed two things at one place",
            Self::TwoStates => "vouched for two states after one number",
            Self::TwoViewChanges => "left for one view with two stories",
            Self::TwoNewViews => "opened one view in two ways",
            Self::FlawedViewChange => "left for a view with a proof that does not hold",
            Self::WrongNewView => "opened a view with what does not follow",
            Self::NotThePrimary => "proposed in a view that another leads",
            Self::BadProposal => "proposed what no proposal may hold",
            Self::WrongState => "vouched for another state than f+1 others",
            Self::FalseReply => "answered otherwise than f+1 others",
            Self::BadRequest => "signed a request that none may send",
        })
    }
}

/// Who is accused of what, and where it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Accusation {
    /// Who.
    pub accused: Source,
    /// Of what.
    pub offence: Offence,
    /// In which life; a client has one.
    pub incarnation: Incarnation,
    /// In which view, if it happened in one.
    pub view: Option<View>,
    /// At which number, if at one.
    pub number: Option<SeqNo>,
}

impl Accusation {
    /// Whether it names a view or a number: two charges of one kind about one place tell the
    /// same.
    #[must_use]
    pub const fn has_place(&self) -> bool {
        self.view.is_some() || self.number.is_some()
    }
}

impl fmt::Display for Accusation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.accused {
            Source::Replica(replica) => write!(f, "replica {replica} {}", self.offence)?,
            Source::Client(client) => write!(f, "client {client} {}", self.offence)?,
        }
        if let Some(number) = self.number {
            write!(f, ", number {number}")?;
        }
        if let Some(view) = self.view {
            write!(f, ", view {}", view.0)?;
        }
        Ok(())
    }
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

    /// Two votes of one phase, if they contradict each other: another view, number or life
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
        let at = |vote: &Vote| (Some(vote.view), Some(vote.number));
        let (offence, (view, number)) = match &self.charge {
            Charge::TwoVotes { phase, first, .. } => {
                let offence = match phase {
                    Phase::PrePrepare => Offence::TwoProposals,
                    Phase::Prepare => Offence::TwoPrepares,
                    Phase::Commit => Offence::TwoCommits,
                };
                (offence, at(&first.body))
            }
            Charge::TwoStates { first: vote, .. } => {
                (Offence::TwoStates, (None, Some(vote.body.number)))
            }
            Charge::WrongState { vote, .. } => {
                (Offence::WrongState, (None, Some(vote.body.number)))
            }
            Charge::TwoViewChanges { first, .. } => {
                (Offence::TwoViewChanges, (Some(first.body.view), None))
            }
            Charge::FlawedViewChange(said) => {
                (Offence::FlawedViewChange, (Some(said.body.view), None))
            }
            Charge::TwoNewViews { first, .. } => {
                (Offence::TwoNewViews, (Some(first.body.view), None))
            }
            Charge::WrongNewView { new_view, .. } => {
                (Offence::WrongNewView, (Some(new_view.body.view), None))
            }
            Charge::NotThePrimary(vote) => (Offence::NotThePrimary, at(&vote.body)),
            Charge::BadProposal { vote, .. } => (Offence::BadProposal, at(&vote.body)),
            Charge::FalseReply { .. } => (Offence::FalseReply, (None, None)),
            Charge::BadRequest(_) => (Offence::BadRequest, (None, None)),
        };
        let signer = self.signer();
        Accusation {
            accused: signer.who,
            offence,
            incarnation: signer.incarnation,
            view,
            number,
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

    /// Whether [`Self::verify`] can tell: not if it depends on lives that may have been void.
    #[must_use]
    pub fn is_of_first_lives(&self) -> bool {
        match &self.charge {
            Charge::FlawedViewChange(said) => lives(said),
            Charge::WrongNewView {
                new_view,
                view_changes,
            } => opened_in_first_life(new_view) && view_changes.iter().all(lives),
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
/// number, in one life.
pub(super) fn same_place(first: &Vote, second: &Vote) -> bool {
    let Vote {
        epoch,
        replica,
        incarnation,
        view,
        number,
        digest: _,
    } = *first;
    epoch == second.epoch
        && replica == second.replica
        && incarnation == second.incarnation
        && view == second.view
        && number == second.number
}

/// Whether everybody in a view change lives its first life.
pub(super) fn lives(said: &Signed<ViewChange>) -> bool {
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

pub(super) fn opened_in_first_life(said: &Signed<NewView>) -> bool {
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
