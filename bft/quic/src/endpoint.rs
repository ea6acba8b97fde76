//! The endpoint: one socket with all links of a process, and sending on them.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bezant_bft::ids::ReplicaId;
use bytes::Bytes;
use quinn::{Endpoint as QuicEndpoint, TokioRuntime};
use tokio::{sync::watch, time::timeout};

use crate::{
    accept,
    arrivals::{Arrivals, InboxDepth},
    config::{Config, LinkId, Peer, Role},
    dial::Dialer,
    error::{BindError, CloseCode, LinkError, SendError},
    handshakes::Handshakes,
    inbox::Inbox,
    links::{Link, Links},
    outbound::QueueDepth,
    shared::{Counters, Shared},
    transport,
};

/// Ends everything when the last handle is gone.
#[derive(Debug)]
struct LastHandle(Arc<Shared>);

impl Drop for LastHandle {
    fn drop(&mut self) {
        if !self.0.is_closing() {
            self.0.abandon("the process let go of its links");
        }
    }
}

/// All links of a process; a cheap handle that can be cloned and shared between threads.
///
/// Dropping the last clone ends everything at once; [`close`](Self::close) first
/// delivers what is queued.
#[derive(Clone, Debug)]
pub struct Endpoint {
    shared: Arc<Shared>,
    _last: Arc<LastHandle>,
}

/// An endpoint at a glance, for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointStats {
    /// Live links with replicas.
    pub replica_links: usize,
    /// Live links with clients.
    pub client_links: usize,
    /// Handshakes under way at this acceptor.
    pub handshakes: usize,
    /// What waits to be sent, all links together.
    pub outbound: QueueDepth,
    /// What waits in the inbox.
    pub inbox: InboxDepth,
    /// Newcomers turned away since the start.
    pub refused: u64,
    /// Dials that made no link since the start.
    pub dial_failed: u64,
    /// Frames not accepted for sending because a link's queue was full, since the start.
    pub send_full: u64,
}

/// One live link, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkInfo {
    /// Its name.
    pub link: LinkId,
    /// Who is there.
    pub peer: Peer,
    /// From where.
    pub remote: SocketAddr,
    /// What waits to be sent on it.
    pub outbound: QueueDepth,
    /// QUIC's estimate of the round trip.
    pub round_trip: Duration,
    /// UDP datagrams sent.
    pub datagrams_sent: u64,
    /// UDP datagrams received.
    pub datagrams_received: u64,
    /// Packets declared lost and sent again.
    pub packets_lost: u64,
    /// The path's packet size as found out so far, in bytes.
    pub mtu: u16,
}

impl Endpoint {
    /// Opens the socket and begins: a replica listens on `listen` and dials all lower ids, a
    /// client dials all replicas from `listen` or any port.
    ///
    /// Must be called inside a Tokio runtime with I/O and time enabled; all
    /// tasks run on that runtime.
    ///
    /// # Errors
    /// [`BindError`] when the address is taken or not ours, the configuration
    /// contradicts itself, or there is no runtime.
    pub fn bind(config: Config, listen: Option<SocketAddr>) -> Result<(Self, Inbox), BindError> {
        config.check().map_err(BindError::Config)?;
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| BindError::NoRuntime)?;
        let server = match (config.me, listen) {
            (Role::Client, _) => None,
            (Role::Replica(_), Some(_)) => Some(transport::server(&config)?),
            (Role::Replica(_), None) => {
                return Err(BindError::Config(
                    "a replica needs an address to listen on".to_owned(),
                ));
            }
        };
        let accepts = server.is_some();
        let dialers = dialers(&config)?;
        let socket = transport::socket(&config, listen)?;
        let failed = |cause| BindError::Socket {
            address: listen.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0))),
            cause,
        };
        let local_address = socket.local_addr().map_err(failed)?;
        let endpoint = QuicEndpoint::new(
            transport::endpoint(&config)?,
            server,
            socket,
            Arc::new(TokioRuntime),
        )
        .map_err(failed)?;
        let shared = Arc::new(Shared {
            arrivals: Arc::new(Arrivals::new(&config.limits, config.replicas.len())),
            config,
            endpoint,
            local_address,
            links: Links::default(),
            handshakes: Arc::new(Handshakes::default()),
            counters: Counters::default(),
            closing: watch::Sender::new(false),
        });
        if accepts {
            runtime.spawn(accept::accept(shared.clone()));
        }
        for dialer in dialers {
            runtime.spawn(dialer.run(shared.clone(), shared.closing.subscribe()));
        }
        let inbox = Inbox::new(shared.arrivals.clone(), Arc::downgrade(&shared));
        let last = Arc::new(LastHandle(shared.clone()));
        Ok((
            Self {
                shared,
                _last: last,
            },
            inbox,
        ))
    }

    /// The socket's address; useful when port 0 was asked for.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.shared.local_address
    }

    /// Queues `frame` on `link`. Never blocks; frames of one turn of the event loop go out
    /// together.
    ///
    /// # Errors
    /// [`SendError`]; the frame was then not queued.
    pub fn send(&self, link: LinkId, frame: Bytes) -> Result<(), SendError> {
        let result = self
            .shared
            .links
            .with(link, |link| link.outbound.push(frame))
            .unwrap_or(Err(SendError::Down));
        if result == Err(SendError::Full) {
            self.shared
                .counters
                .send_full
                .fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    /// Whether `link` would queue a frame of about so many bytes now: asked before the frame is
    /// built, so that nothing is built that cannot be sent.
    ///
    /// # Errors
    /// As [`send`](Self::send) would.
    pub fn room(&self, link: LinkId, bytes: usize) -> Result<(), SendError> {
        let result = self
            .shared
            .links
            .with(link, |link| link.outbound.room(bytes))
            .unwrap_or(Err(SendError::Down));
        if result == Err(SendError::Full) {
            self.shared
                .counters
                .send_full
                .fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    /// Queues `frame` on the newest link of `replica`.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`SendError::Down`] also while it has no link.
    pub fn send_replica(&self, replica: ReplicaId, frame: Bytes) -> Result<(), SendError> {
        match self.link_of(replica) {
            Some(link) => self.send(link, frame),
            None => Err(SendError::Down),
        }
    }

    /// The newest live link of `replica`.
    #[must_use]
    pub fn link_of(&self, replica: ReplicaId) -> Option<LinkId> {
        self.shared.links.of_replica(replica)
    }

    /// Ends a link because of what its peer sent; the peer is told `words`.
    ///
    /// Its frames that wait in the inbox still come, then its `Down`.
    pub fn disconnect(&self, link: LinkId, words: &str) {
        self.shared.links.with(link, |link| {
            let reason = LinkError::LocallyClosed {
                reason: words.to_owned(),
            };
            self.shared
                .cut_off(link, CloseCode::Misbehaviour, words, reason);
        });
    }

    /// What waits to be sent on `link`, if it is live.
    #[must_use]
    pub fn queued(&self, link: LinkId) -> Option<QueueDepth> {
        self.shared.links.with(link, |link| link.outbound.depth())
    }

    /// The endpoint at a glance.
    #[must_use]
    pub fn stats(&self) -> EndpointStats {
        let counters = &self.shared.counters;
        let mut stats = EndpointStats {
            handshakes: self.shared.handshakes.count(),
            inbox: self.shared.arrivals.depth(),
            refused: counters.refused.load(Ordering::Relaxed),
            dial_failed: counters.dial_failed.load(Ordering::Relaxed),
            send_full: counters.send_full.load(Ordering::Relaxed),
            ..EndpointStats::default()
        };
        for link in self.shared.links.all() {
            match link.peer {
                Peer::Replica(_) => stats.replica_links += 1,
                Peer::Client(_) => stats.client_links += 1,
            }
            let depth = link.outbound.depth();
            stats.outbound.frames += depth.frames;
            stats.outbound.bytes += depth.bytes;
        }
        stats
    }

    /// All live links with their queues and paths; not for the hot path.
    #[must_use]
    pub fn links(&self) -> Vec<LinkInfo> {
        let info = |link: Arc<Link>| {
            let path = link.connection.stats();
            LinkInfo {
                link: link.id,
                peer: link.peer,
                remote: link.connection.remote_address(),
                outbound: link.outbound.depth(),
                round_trip: path.path.rtt,
                datagrams_sent: path.udp_tx.datagrams,
                datagrams_received: path.udp_rx.datagrams,
                packets_lost: path.path.lost_packets,
                mtu: path.path.current_mtu,
            }
        };
        self.shared.links.all().into_iter().map(info).collect()
    }

    /// Ends all links in good order: takes and dials nobody more, delivers what is queued, tells
    /// every peer `words`. Takes at most twice [`Limits::linger`](crate::Limits::linger).
    ///
    /// The inbox then gives what is left in it, and ends.
    pub async fn close(&self, words: &str) {
        let shared = &self.shared;
        shared.begin_closing();
        for link in shared.links.all() {
            link.part(words);
        }
        let linger = shared.config.limits.linger;
        // A peer that does not read cannot hold us up.
        let _ = timeout(linger, shared.links.none_left()).await;
        shared.abandon(words);
        let _ = timeout(linger, shared.endpoint.wait_idle()).await;
    }
}

/// One dialer per replica this process is to dial.
fn dialers(config: &Config) -> Result<Vec<Dialer>, BindError> {
    let mut seed = match config.jitter_seed {
        Some(seed) => seed,
        None => {
            let mut bytes = [0; 8];
            getrandom::fill(&mut bytes).map_err(|error| {
                BindError::Config(format!("the system gives no random bytes: {error}"))
            })?;
            u64::from_le_bytes(bytes)
        }
    };
    config
        .targets()
        .into_iter()
        .map(|target| {
            seed = seed.wrapping_add(1 << 32);
            Dialer::new(config, target, seed)
        })
        .collect()
}
