//! What somebody can be accused of, and with which messages.
//!
//! A charge is data: whether it holds is for [`crate::verifier`] to say.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{Incarnation, OrderedTime, SeqNo, Source, View},
    message::{
        CheckpointVote, NewView, Phase, Rejoin, ReplyClaim, Request, Signed, SignedRequest,
        ViewChange, Vote,
    },
};

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
        /// The incarnations that were to begin.
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
pub enum ProvableOffence {
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

impl ProvableOffence {
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

impl fmt::Display for ProvableOffence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TwoProposals => "proposed two things at one place",
            Self::TwoPrepares => "prepared two things at one place",
            Self::TwoCommits => "committed two things at one place",
            Self::TwoStates => "vouched for two states after one number",
            Self::TwoViewChanges => "signed two view changes for one view",
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
    pub offence: ProvableOffence,
    /// In which incarnation; a client has one.
    pub incarnation: Incarnation,
    /// In which view, if it happened in one.
    pub view: Option<View>,
    /// At which number, if at one.
    pub seq_no: Option<SeqNo>,
}

impl Accusation {
    /// Whether it names a view or a number: two charges of one kind about one place tell the
    /// same.
    #[must_use]
    pub const fn has_place(&self) -> bool {
        self.view.is_some() || self.seq_no.is_some()
    }
}

impl fmt::Display for Accusation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.accused {
            Source::Replica(replica) => write!(f, "replica {replica} {}", self.offence)?,
            Source::Client(client) => write!(f, "client {client} {}", self.offence)?,
        }
        if let Some(seq_no) = self.seq_no {
            write!(f, ", number {seq_no}")?;
        }
        if let Some(view) = self.view {
            write!(f, ", view {}", view.0)?;
        }
        Ok(())
    }
}
