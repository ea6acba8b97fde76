//! Faulty replicas: each attack a file, each counting what it changed.
//!
//! A faulty replica runs the protocol like a correct one, and a [`Strategy`]
//! stands between it and its links: it sees every message that leaves and
//! sends what it likes instead, signed with the keys of faulty replicas, the
//! only ones it has. So an attack is told as a difference from correct conduct
//! and meets every state that a correct replica can be in.

mod lying;

use bezant_bft::{
    crypto::SigningKey,
    ids::{ClusterId, ReplicaId},
    message::{PeerMessage, ReplicaMessage},
};
use serde::Serialize;

use crate::rng::Rng;

/// A kind of attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Gives clients wrong answers.
    LyingReplies,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::LyingReplies];

    /// The strategy of this kind.
    #[must_use]
    pub fn strategy(self) -> Box<dyn Strategy> {
        match self {
            Self::LyingReplies => Box::<lying::LyingReplies>::default(),
        }
    }

    /// Whether a primary that does this must be replaced for work to go on.
    #[must_use]
    pub const fn needs_view_change(self) -> bool {
        match self {
            Self::LyingReplies => false,
        }
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
    /// Chance.
    pub rng: &'a mut Rng,
}

/// Messages to send instead, each after a delay in microseconds.
pub type Instead = Vec<(u64, PeerMessage)>;

/// An attack of one faulty replica.
pub trait Strategy: Send {
    /// What to send to `to` instead of `message`; pushing it unchanged is correct conduct.
    fn send(
        &mut self,
        means: &mut Means<'_>,
        to: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        let _ = (means, to);
        out.push((0, message.clone()));
    }

    /// What to tell a client instead of `message`.
    fn tell(&mut self, means: &mut Means<'_>, message: ReplicaMessage) -> Option<ReplicaMessage> {
        let _ = means;
        Some(message)
    }

    /// How often it deviated.
    fn hits(&self) -> u64;
}
