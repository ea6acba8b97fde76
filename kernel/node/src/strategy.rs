//! Where a test build makes a replica faulty.
//!
//! The replica itself has no faults on demand. Whoever starts it may hand over
//! [`Strategies`], which make a [`Strategy`] of a name that an operator gives; it
//! stands between the replica and its links and may change, hold back or drop what
//! leaves. Only a node whose file says `allow_faults` takes one; a cluster for use
//! never does.

use std::{fmt, sync::Arc, time::Instant};

use bezant_bft::{
    crypto::SigningKey,
    ids::{ClusterId, ReplicaId},
    message::{PeerMessage, ReplicaMessage},
    replica::Tuning,
    verification::Unverified,
};
use bezant_replica::Hook;
use bytes::Bytes;

/// What a strategy has to work with.
#[derive(Clone, Debug)]
pub struct Means {
    /// The replica it is.
    pub replica: ReplicaId,
    /// Its key.
    pub key: SigningKey,
    /// The cluster.
    pub cluster: ClusterId,
    /// Replicas of the cluster.
    pub replicas: u8,
    /// How the ordering is tuned.
    pub tuning: Tuning,
}

/// Frames for other replicas.
pub type Frames = Vec<(ReplicaId, Bytes)>;

/// How one faulty replica treats what it would send.
pub trait Strategy: Send {
    /// What is sent now in place of `message` to `to` goes into `frames`; false if the
    /// message is lost.
    fn send_peer(&mut self, to: ReplicaId, message: &PeerMessage, frames: &mut Frames) -> bool;

    /// What a client is sent in place of `message`; `None` for nothing.
    fn send_client(&mut self, message: ReplicaMessage) -> Option<ReplicaMessage>;

    /// When frames that were held back leave next.
    fn due(&self) -> Option<Instant>;

    /// Lets the frames that are due at `now` go.
    fn release(&mut self, now: Instant, frames: &mut Frames);

    /// Lets all of them go: another conduct begins.
    fn release_all(&mut self, frames: &mut Frames);

    /// Hears a message that came in, of a replica or a client's request; says whether its
    /// own replica may hear it, too.
    fn hear(&mut self, message: &Unverified) -> bool {
        let _ = message;
        true
    }

    /// How often it deviated from what a correct replica does.
    fn hits(&self) -> u64;
}

/// Lets the strategy that a replica follows, if any, hear what comes in.
pub(crate) struct Listening<'a>(pub(crate) Option<&'a mut Box<dyn Strategy>>);

impl Hook for Listening<'_> {
    fn hear(&mut self, message: &Unverified) -> bool {
        self.0
            .as_mut()
            .is_none_or(|strategy| strategy.hear(message))
    }
}

/// What a replica is told to do.
pub enum Conduct {
    /// Deal with what it sends in this way.
    Strategy(Box<dyn Strategy>),
    /// Stop, and forget what it did not keep on disk.
    Crash,
}

impl fmt::Debug for Conduct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strategy(_) => "Strategy",
            Self::Crash => "Crash",
        })
    }
}

type Make = dyn Fn(&str, Means) -> Result<Conduct, String> + Send + Sync;

/// The strategies of a test build, by name.
#[derive(Clone)]
pub struct Strategies(Arc<Make>);

impl fmt::Debug for Strategies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Strategies")
    }
}

impl Strategies {
    /// Strategies made by `make`, whose error lists the names there are.
    pub fn new(
        make: impl Fn(&str, Means) -> Result<Conduct, String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(make))
    }

    /// The conduct called `name`.
    ///
    /// # Errors
    /// A text for people if there is none.
    pub fn make(&self, name: &str, means: Means) -> Result<Conduct, String> {
        (self.0)(name, means)
    }
}

/// The strategies that a node may be told to follow: those it was given, if its configuration
/// allows any.
#[derive(Clone, Debug)]
pub(crate) struct Offered {
    strategies: Option<Strategies>,
    means: Means,
}

impl Offered {
    pub(crate) const fn new(strategies: Option<Strategies>, means: Means) -> Self {
        Self { strategies, means }
    }

    /// Whether it takes any.
    pub(crate) const fn is_open(&self) -> bool {
        self.strategies.is_some()
    }

    /// The conduct called `name`.
    pub(crate) fn make(&self, name: &str) -> Result<Conduct, String> {
        match &self.strategies {
            Some(strategies) => strategies.make(name, self.means.clone()),
            None => Err(
                "this replica follows no strategy on demand; only one that was given \
                 strategies and has allow_faults = true does"
                    .to_owned(),
            ),
        }
    }
}
