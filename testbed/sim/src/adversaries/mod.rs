//! Faulty replicas and clients: each attack a file, each counting what it changed.
//!
//! A faulty replica runs the protocol like a correct one, and a [`Strategy`]
//! stands between it and its links: it sees every message that leaves and
//! sends what it likes instead, signed with its own key, the only one it has.
//! So an attack is told as a difference from correct conduct and meets every
//! state that a correct replica can be in. Twins, two replicas with one key,
//! need no strategy: each is correct and together they are not (Bano et al.,
//! "Twins: BFT systems made robust", OPODIS 2021).

mod archive;
mod bad_request;
mod bulk;
mod double_votes;
mod early;
mod empty_proposals;
mod equivocation;
mod false_decided;
mod fields;
mod flood;
mod forged;
mod forged_root;
mod gaps;
mod hasty_time;
mod hoarding;
mod impostor;
mod late;
mod lying;
mod lying_progress;
mod means;
mod mutation;
mod oversized;
mod poisoned;
mod premature;
mod replays;
mod selective;
mod silence;
mod silent_winner;
mod slow;
mod slow_stream;
mod spam;
mod stale;
mod stuffing;
mod unfair;
mod withheld;
mod wrong_digest;
mod wrong_new_view;

use bezant_bft::{
    codec,
    crypto::SigningKey,
    ids::{ClusterId, ReplicaId},
    message::{PeerMessage, ReplicaMessage, Reply, Request},
    quorum::Quorum,
    verification::Unverified,
};
use bytes::Bytes;
use serde::Serialize;

pub(crate) use flood::Flood;

use crate::rng::Rng;

/// A kind of attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Gives clients wrong answers.
    LyingReplies,
    /// Says nothing to anybody.
    Silence,
    /// Says nothing to some.
    SilentToSome,
    /// Drops messages of one phase, or every other message.
    SelectiveDrop,
    /// A primary that proposes two things at one number.
    Equivocation,
    /// A primary that proposes just before it is suspected.
    Slow,
    /// A primary that leaves numbers out.
    Gaps,
    /// Votes for what nobody proposed, or in other views and epochs.
    WrongDigest,
    /// Votes for two things at one place.
    DoubleVotes,
    /// Speaks in the names of others.
    Impostor,
    /// Changes a field of a message by a little, or repeats old messages.
    Mutation,
    /// A primary that orders everything but one client's requests.
    Unfair,
    /// A primary that decides numbers and serves nobody.
    EmptyProposals,
    /// A primary whose proposals are too large.
    Oversized,
    /// A primary that puts a bad request among good ones.
    BadRequest,
    /// A primary whose time is not the others'.
    HastyTime,
    /// Answers clients before anything is decided.
    EarlyReplies,
    /// Answers clients late and more than once.
    LateReplies,
    /// Leaves a view with what was true once.
    StaleCertificate,
    /// Leaves a view with certificates that prove nothing.
    ForgedCertificate,
    /// Leaves a view and keeps quiet about what was prepared.
    WithheldCertificate,
    /// Keeps its prepares to itself, and shows what they prove when a view changes.
    Hoarding,
    /// Leaves for ever higher views.
    ViewChangeSpam,
    /// Opens views that nobody has left for.
    PrematureNewView,
    /// Opens views with what does not follow from the view changes.
    WrongNewView,
    /// Becomes primary and says nothing.
    SilentWinner,
    /// Votes for states that nobody has.
    ForgedRoot,
    /// Sends states that are not what was asked for.
    PoisonedState,
    /// Sends states that never end.
    SlowStream,
    /// Lies about how far it is.
    #[serde(rename = "lying-height")]
    LyingProgress,
    /// Tells of decisions that nobody made.
    FalseDecided,
    /// Asks for everything, again and again.
    Bulk,
    /// Fills others' memory with what needs no proof.
    Stuffing,
    /// Passes on what others signed, again and again.
    Replays,
    /// Two replicas with one key, each heard by some.
    Twins,
    /// A client that floods, reuses numbers and sends nonsense.
    FloodingClient,
}

impl Kind {
    /// What a replica can be.
    pub const REPLICAS: [Self; 35] = [
        Self::LyingReplies,
        Self::Silence,
        Self::SilentToSome,
        Self::SelectiveDrop,
        Self::Equivocation,
        Self::Slow,
        Self::Gaps,
        Self::WrongDigest,
        Self::DoubleVotes,
        Self::Impostor,
        Self::Mutation,
        Self::Unfair,
        Self::EmptyProposals,
        Self::Oversized,
        Self::BadRequest,
        Self::HastyTime,
        Self::EarlyReplies,
        Self::LateReplies,
        Self::StaleCertificate,
        Self::ForgedCertificate,
        Self::WithheldCertificate,
        Self::Hoarding,
        Self::ViewChangeSpam,
        Self::PrematureNewView,
        Self::WrongNewView,
        Self::SilentWinner,
        Self::ForgedRoot,
        Self::PoisonedState,
        Self::SlowStream,
        Self::LyingProgress,
        Self::FalseDecided,
        Self::Bulk,
        Self::Stuffing,
        Self::Replays,
        Self::Twins,
    ];

    /// The strategy of this kind.
    #[must_use]
    pub fn strategy(self) -> Box<dyn Strategy> {
        match self {
            Self::LyingReplies => Box::<lying::LyingReplies>::default(),
            Self::Silence => Box::<silence::Silence>::default(),
            Self::SilentToSome => Box::<silence::SilentToSome>::default(),
            Self::SelectiveDrop => Box::<selective::SelectiveDrop>::default(),
            Self::Equivocation => Box::<equivocation::Equivocation>::default(),
            Self::Slow => Box::<slow::Slow>::default(),
            Self::Gaps => Box::<gaps::Gaps>::default(),
            Self::WrongDigest => Box::<wrong_digest::WrongDigest>::default(),
            Self::DoubleVotes => Box::<double_votes::DoubleVotes>::default(),
            Self::Impostor => Box::<impostor::Impostor>::default(),
            Self::Mutation => Box::<mutation::Mutation>::default(),
            Self::Unfair => Box::<unfair::Unfair>::default(),
            Self::EmptyProposals => Box::<empty_proposals::EmptyProposals>::default(),
            Self::Oversized => Box::<oversized::Oversized>::default(),
            Self::BadRequest => Box::<bad_request::BadRequest>::default(),
            Self::HastyTime => Box::<hasty_time::HastyTime>::default(),
            Self::EarlyReplies => Box::<early::EarlyReplies>::default(),
            Self::LateReplies => Box::<late::LateReplies>::default(),
            Self::StaleCertificate => Box::<stale::StaleCertificate>::default(),
            Self::ForgedCertificate => Box::<forged::ForgedCertificate>::default(),
            Self::WithheldCertificate => Box::<withheld::WithheldCertificate>::default(),
            Self::Hoarding => Box::<hoarding::Hoarding>::default(),
            Self::ViewChangeSpam => Box::<spam::ViewChangeSpam>::default(),
            Self::PrematureNewView => Box::<premature::PrematureNewView>::default(),
            Self::WrongNewView => Box::<wrong_new_view::WrongNewView>::default(),
            Self::SilentWinner => Box::<silent_winner::SilentWinner>::default(),
            Self::ForgedRoot => Box::<forged_root::ForgedRoot>::default(),
            Self::PoisonedState => Box::<poisoned::PoisonedState>::default(),
            Self::SlowStream => Box::<slow_stream::SlowStream>::default(),
            Self::LyingProgress => Box::<lying_progress::LyingProgress>::default(),
            Self::FalseDecided => Box::<false_decided::FalseDecided>::default(),
            Self::Bulk => Box::<bulk::Bulk>::default(),
            Self::Stuffing => Box::<stuffing::Stuffing>::default(),
            Self::Replays => Box::<replays::Replays>::default(),
            Self::Twins | Self::FloodingClient => Box::<Honest>::default(),
        }
    }

    /// What must happen for it to have anything to change.
    #[must_use]
    pub const fn occasion(self) -> Occasion {
        match self {
            Self::Equivocation
            | Self::Slow
            | Self::Gaps
            | Self::Unfair
            | Self::EmptyProposals
            | Self::Oversized
            | Self::BadRequest
            | Self::HastyTime => Occasion::Proposing,
            Self::StaleCertificate
            | Self::ForgedCertificate
            | Self::WithheldCertificate
            | Self::Hoarding => Occasion::Leaving,
            Self::PrematureNewView | Self::WrongNewView | Self::SilentWinner => Occasion::Winning,
            Self::PoisonedState | Self::SlowStream | Self::FalseDecided => Occasion::Helping,
            _ => Occasion::Any,
        }
    }
}

/// What gives an attack its occasion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// It needs nothing.
    Any,
    /// It is the first primary.
    Proposing,
    /// The others leave a view.
    Leaving,
    /// It becomes the primary of a view.
    Winning,
    /// Somebody lags behind and asks.
    Helping,
}

/// What an attacker has to work with.
pub struct Means<'a> {
    /// The replica it is.
    pub me: ReplicaId,
    /// Its key.
    pub key: &'a SigningKey,
    /// The cluster.
    pub cluster: &'a ClusterId,
    /// Replicas of the cluster.
    pub n: u8,
    /// Its quorums.
    pub quorum: Quorum,
    /// How long the others wait before they suspect a primary, in microseconds.
    pub view_change_timeout_us: u64,
    /// How long they wait before they ask again for what they lack, in microseconds.
    pub resend_us: u64,
    /// Chance.
    pub rng: &'a mut Rng,
}

/// Frames to send in place of one message, each after a delay in microseconds.
#[derive(Debug, Default)]
pub struct Instead {
    pub(crate) frames: Vec<(u64, Bytes)>,
}

impl Instead {
    /// Sends a message at once.
    fn say(&mut self, message: &PeerMessage) {
        self.say_later(0, message);
    }

    /// Sends a message after `delay_us`.
    fn say_later(&mut self, delay_us: u64, message: &PeerMessage) {
        self.frames
            .push((delay_us, Bytes::from(codec::encode(message))));
    }

    /// Sends any bytes at once.
    fn raw(&mut self, bytes: Vec<u8>) {
        self.frames.push((0, Bytes::from(bytes)));
    }
}

/// An attack of one faulty replica.
pub trait Strategy: Send {
    /// What to send to `to` instead of `message`; saying it unchanged is correct conduct.
    fn send(
        &mut self,
        means: &mut Means<'_>,
        to: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        let _ = (means, to);
        out.say(message);
    }

    /// Hears a message that came in; says whether its own replica may hear it, too.
    fn hear(&mut self, means: &mut Means<'_>, message: &Unverified) -> bool {
        let _ = (means, message);
        true
    }

    /// What to tell a client instead of `message`, each after a delay in microseconds.
    fn tell(
        &mut self,
        means: &mut Means<'_>,
        message: ReplicaMessage,
        out: &mut Vec<(u64, ReplicaMessage)>,
    ) {
        let _ = means;
        out.push((0, message));
    }

    /// What to answer a client's request when it comes in.
    fn foretell(&mut self, means: &mut Means<'_>, request: &Request) -> Option<Reply> {
        let _ = (means, request);
        None
    }

    /// How often it deviated.
    fn hits(&self) -> u64;
}

/// Deviates in nothing; its twin does the harm.
#[derive(Debug, Default)]
struct Honest;

impl Strategy for Honest {
    fn hits(&self) -> u64 {
        0
    }
}
