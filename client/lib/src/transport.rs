//! The transport of a client's links: QUIC, or a simulator in its place.
//!
//! The library itself, retries, deadlines, recipes and all, can so be run where time and the
//! network are somebody's to command.

use std::sync::Arc;

use bezant_bft::ids::ReplicaId;
use bezant_quic::{Endpoint, Event, Inbox, LinkId, Peer};
use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::debug;

use crate::error::Error;

/// Takes a client's frames to the replicas, in place of QUIC, and is its only source of chance.
pub trait Transport: Send + Sync {
    /// Sends a frame to a replica, or loses it: what is lost is sent again.
    fn carry(&self, to: ReplicaId, frame: Bytes);

    /// Fills `bytes` with what is different each time, for names that must not be given twice.
    fn chance(&self, bytes: &mut [u8]);
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::Random(error.to_string()))?;
    Ok(bytes)
}

/// What somebody in place of QUIC brings to a client.
#[derive(Clone, Debug)]
pub enum Brought {
    /// The link to a replica is up, perhaps once more.
    Link(ReplicaId),
    /// A frame of a replica.
    Frame(ReplicaId, Bytes),
}

/// One link among those that a replica had one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link(Option<LinkId>);

/// Where frames go.
pub(crate) enum TransportKind {
    Quic(Endpoint),
    Played(Arc<dyn Transport>),
}

impl TransportKind {
    pub(crate) fn send(&self, to: ReplicaId, frame: Bytes) {
        match self {
            Self::Quic(endpoint) => {
                // What is lost here is sent again when the answer does not come.
                if let Err(error) = endpoint.send_replica(to, frame) {
                    debug!(replica = %to, %error, "request not sent");
                }
            }
            Self::Played(transport) => transport.carry(to, frame),
        }
    }

    pub(crate) fn random<const N: usize>(&self) -> Result<[u8; N], Error> {
        match self {
            Self::Quic(_) => random(),
            Self::Played(transport) => {
                let mut bytes = [0; N];
                transport.chance(&mut bytes);
                Ok(bytes)
            }
        }
    }
}

/// What happened to the links.
pub(crate) enum News {
    Up(ReplicaId, Link),
    Down(ReplicaId, Link, String),
    DialFailed(ReplicaId, String),
    Frame(ReplicaId, Bytes),
}

impl News {
    fn of(event: Event) -> Option<Self> {
        match event {
            Event::Up {
                link,
                peer: Peer::Replica(replica),
            } => Some(Self::Up(replica, Link(Some(link)))),
            Event::Down {
                link,
                peer: Peer::Replica(replica),
                reason,
            } => Some(Self::Down(replica, Link(Some(link)), reason.to_string())),
            Event::DialFailed {
                replica, reason, ..
            } => Some(Self::DialFailed(replica, reason.to_string())),
            Event::Frame {
                peer: Peer::Replica(from),
                frame,
                ..
            } => Some(Self::Frame(from, frame)),
            _ => None,
        }
    }

    fn brought(brought: Brought) -> Self {
        match brought {
            Brought::Link(replica) => Self::Up(replica, Link(None)),
            Brought::Frame(from, frame) => Self::Frame(from, frame),
        }
    }
}

/// Where news come from.
pub(crate) enum Arrivals {
    Quic { inbox: Inbox, taken: Vec<Event> },
    Played(mpsc::Receiver<Brought>),
}

impl Arrivals {
    pub(crate) const fn quic(inbox: Inbox) -> Self {
        let taken = Vec::new();
        Self::Quic { inbox, taken }
    }

    /// Waits for news and takes up to `max`; how much arrived, 0 once nothing more will.
    /// Nothing is lost if the future is dropped.
    pub(crate) async fn recv_many(&mut self, news: &mut Vec<News>, max: usize) -> usize {
        match self {
            Self::Quic { inbox, taken } => {
                let count = inbox.recv_many(taken, max).await;
                news.extend(taken.drain(..).filter_map(News::of));
                count
            }
            Self::Played(brought) => {
                let Some(first) = brought.recv().await else {
                    return 0;
                };
                let more = std::iter::from_fn(|| brought.try_recv().ok()).take(max - 1);
                let before = news.len();
                news.extend(std::iter::once(first).chain(more).map(News::brought));
                news.len() - before
            }
        }
    }
}
