//! Faulty replicas and clients: each attack a file, each counting what it changed.
//!
//! A faulty replica runs the protocol like a correct one, and a [`Strategy`]
//! stands between it and its links: it sees every message that leaves and
//! sends what it likes instead, signed with its own key, the only one it has.
//! So an attack is told as a difference from correct conduct and meets every
//! state that a correct replica can be in. Twins, two replicas with one key,
//! need no strategy: each is correct and together they are not (Bano et al.,
//! "Twins: BFT systems made robust", OPODIS 2021).

mod double_votes;
mod equivocation;
mod flood;
mod gaps;
mod impostor;
mod lying;
mod mutation;
mod selective;
mod silence;
mod slow;
mod wrong_digest;

use bezant_bft::{
    codec,
    crypto::{Domain, SigningKey},
    ids::{ClusterId, Digest, ReplicaId},
    message::{CheckpointVote, PeerMessage, ReplicaMessage, Signed, Vote},
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
    /// Votes for what nobody proposed.
    WrongDigest,
    /// Votes for two things at one place.
    DoubleVotes,
    /// Speaks in the names of others.
    Impostor,
    /// Changes a field of a message by a little, or repeats old messages.
    Mutation,
    /// Two replicas with one key, each heard by some.
    Twins,
    /// A client that floods, reuses numbers and sends nonsense.
    FloodingClient,
}

impl Kind {
    /// What a replica can be.
    pub const REPLICAS: [Self; 12] = [
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
            Self::Twins | Self::FloodingClient => Box::<Honest>::default(),
        }
    }

    /// Whether a primary that does this may have to be replaced for work to go on.
    #[must_use]
    pub const fn needs_view_change(self) -> bool {
        !matches!(self, Self::LyingReplies | Self::FloodingClient)
    }

    /// Whether only a primary can do it.
    #[must_use]
    pub const fn is_a_primarys(self) -> bool {
        matches!(self, Self::Equivocation | Self::Slow | Self::Gaps)
    }
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
    /// How long the others wait before they suspect a primary, in microseconds.
    pub patience_us: u64,
    /// Chance.
    pub rng: &'a mut Rng,
}

impl Means<'_> {
    /// A vote signed with the attacker's key, whoever it names.
    fn vote(&self, vote: Vote, domain: Domain) -> Signed<Vote> {
        Signed::new(vote, domain, self.cluster, self.key)
    }

    /// A vote on a checkpoint signed with the attacker's key.
    fn checkpoint(&self, vote: CheckpointVote) -> Signed<CheckpointVote> {
        Signed::new(vote, Domain::Checkpoint, self.cluster, self.key)
    }

    /// A digest of nothing.
    fn nonsense(&mut self) -> Digest {
        let mut bytes = [0x5a; 32];
        for (to, from) in bytes.iter_mut().zip(self.rng.number().to_le_bytes()) {
            *to = from;
        }
        Digest(bytes)
    }
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

    /// What to tell a client instead of `message`.
    fn tell(&mut self, means: &mut Means<'_>, message: ReplicaMessage) -> Option<ReplicaMessage> {
        let _ = means;
        Some(message)
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
