//! The configuration of an endpoint, and the events that its inbox reports.

use std::{fmt, net::SocketAddr, time::Duration};

use bezant_bft::{
    crypto::{PublicKey, SigningKey},
    ids::{ClientId, ClusterId, Epoch, ReplicaId},
};
use bytes::Bytes;

use crate::{
    error::{LinkError, Refusal},
    limits::{Limits, LinkLimits},
};

/// What a process is in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A replica: accepts links, and dials every replica with a lower id.
    Replica(ReplicaId),
    /// A client: accepts nothing and dials every replica.
    Client,
}

/// Where a replica listens and which key it must prove to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaAddress {
    /// Its index in the cluster.
    pub id: ReplicaId,
    /// `address:port` or `host:port`; a host name is resolved anew with every dial.
    pub address: String,
    /// Its pinned key.
    pub key: PublicKey,
}

/// Everything an [`Endpoint`](crate::Endpoint) is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our own key: proven to every peer in the TLS handshake.
    pub identity: SigningKey,
    /// The cluster; peers of another one are refused.
    pub cluster: ClusterId,
    /// The cluster's configuration; peers in another one are refused.
    pub epoch: Epoch,
    /// What we are.
    pub me: Role,
    /// All replicas of the cluster, a replica's own entry included.
    pub replicas: Vec<ReplicaAddress>,
    /// All bounds.
    pub limits: Limits,
    /// Seeds the jitter of reconnection; `None` draws it from the system.
    pub jitter_seed: Option<u64>,
}

impl Config {
    /// The bounds of a link of ours with `peer`.
    pub(crate) fn link_limits(&self, peer: Peer) -> &LinkLimits {
        match (self.me, peer) {
            (Role::Replica(_), Peer::Replica(_)) => &self.limits.replica,
            _ => &self.limits.client,
        }
    }

    /// A configuration with default limits.
    #[must_use]
    pub fn new(
        identity: SigningKey,
        cluster: ClusterId,
        epoch: Epoch,
        me: Role,
        replicas: Vec<ReplicaAddress>,
    ) -> Self {
        Self {
            identity,
            cluster,
            epoch,
            me,
            replicas,
            limits: Limits::default(),
            jitter_seed: None,
        }
    }

    /// Refuses a configuration that contradicts itself.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.limits.check()?;
        for (index, replica) in self.replicas.iter().enumerate() {
            for other in self.replicas.iter().skip(index + 1) {
                if other.id == replica.id {
                    return Err(format!("replica {} is listed twice", replica.id));
                }
                if other.key == replica.key {
                    return Err(format!(
                        "replicas {} and {} have the same key",
                        replica.id, other.id
                    ));
                }
            }
        }
        let mine = self
            .replicas
            .iter()
            .find(|replica| replica.key == self.identity.public());
        match (self.me, mine) {
            (Role::Client, None) => Ok(()),
            (Role::Client, Some(replica)) => Err(format!(
                "a client cannot use the key of replica {}; give it a key of its own",
                replica.id
            )),
            (Role::Replica(id), Some(replica)) if replica.id == id => Ok(()),
            (Role::Replica(id), _) => Err(format!(
                "the key of this process is not the one listed for replica {id}; check the key file and the cluster file"
            )),
        }
    }

    /// The replicas this process dials.
    pub(crate) fn targets(&self) -> Vec<ReplicaAddress> {
        self.replicas
            .iter()
            .filter(|replica| match self.me {
                Role::Replica(me) => replica.id < me,
                Role::Client => true,
            })
            .cloned()
            .collect()
    }
}

/// One connection's life, unique within its [`Endpoint`](crate::Endpoint); never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(crate) u64);

impl LinkId {
    /// The link's number, for who knows links by numbers.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The link with this [number](Self::number). If there is none, sending to it fails.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.0)
    }
}

/// Who is at the other end, proven by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// A replica of the cluster.
    Replica(ReplicaId),
    /// Any other key.
    Client(ClientId),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replica(id) => write!(f, "replica {id}"),
            Self::Client(id) => write!(f, "client {id}"),
        }
    }
}

/// What the [`Inbox`](crate::Inbox) reports.
///
/// Of one link, `Up` comes first, then its frames in the order they were sent,
/// then `Down`. Between links there is no order: the `Down` of a replica's old
/// link may follow the `Up` of its new one, so compare [`LinkId`]s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A link is authenticated and open in both directions.
    Up {
        /// The link.
        link: LinkId,
        /// Who is there.
        peer: Peer,
    },
    /// A link has ended; nothing more comes from it.
    Down {
        /// The link.
        link: LinkId,
        /// Who was there.
        peer: Peer,
        /// Why.
        reason: LinkError,
    },
    /// A frame arrived.
    Frame {
        /// The link.
        link: LinkId,
        /// Who sent it.
        peer: Peer,
        /// Its bytes, between 1 and the link's bound.
        frame: Bytes,
    },
    /// Somebody was turned away before a link was up.
    Refused {
        /// Its UDP address.
        remote: SocketAddr,
        /// Why.
        reason: Refusal,
    },
    /// Dialing a replica did not make a link.
    DialFailed {
        /// Which one.
        replica: ReplicaId,
        /// Why.
        reason: LinkError,
        /// The pause before the next attempt.
        retry_in: Duration,
    },
}
