//! Dials replicas: one task per replica, until the endpoint closes.

use std::{net::SocketAddr, sync::Arc};

use bezant_bft::ids::ReplicaId;
use quinn::{ClientConfig, Connection, ConnectionError, VarInt, WriteError};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::{
    backoff::Backoff,
    config::{Config, Event, Peer, ReplicaAddress, Role},
    error::{BindError, CloseCode, LinkError, Violation},
    hello::{self, Hello, Welcome},
    limits::MAX_HELLO_BYTES,
    link::{FrameReader, OpenLink, write_opening},
    seat::Seat,
    shared::Shared,
    tls::{self, PinnedKey},
    transport::{End, transport},
};

/// A name for the TLS library, which wants one; it is neither sent nor checked.
const NO_NAME: &str = "bezant";

/// Keeps a link to one replica.
pub(crate) struct Dialer {
    target: ReplicaAddress,
    tls: ClientConfig,
    pinned: Arc<PinnedKey>,
    backoff: Backoff,
    attempts: usize,
}

impl Dialer {
    pub(crate) fn new(
        config: &Config,
        target: ReplicaAddress,
        jitter_seed: u64,
    ) -> Result<Self, BindError> {
        let (tls, pinned) = tls::client(&config.identity, target.key)
            .map_err(|error| BindError::Tls(error.to_string()))?;
        let limits = &config.limits;
        let link = config.link_limits(Peer::Replica(target.id));
        let mut client = ClientConfig::new(tls);
        client.transport_config(transport(limits, link, End::Dialer));
        Ok(Self {
            backoff: Backoff::new(limits.backoff_min, limits.backoff_max, jitter_seed),
            target,
            tls: client,
            pinned,
            attempts: 0,
        })
    }

    /// Dials, keeps the link, and dials again, until the endpoint closes.
    pub(crate) async fn run(mut self, shared: Arc<Shared>, mut closing: watch::Receiver<bool>) {
        loop {
            let attempt = tokio::select! {
                attempt = self.attempt(&shared) => attempt,
                _ = closing.wait_for(|closing| *closing) => return,
            };
            let failure = match attempt {
                Ok(link) => {
                    let start = Instant::now();
                    link.run(shared.config.limits.linger).await;
                    self.backoff.after_link(start.elapsed());
                    None
                }
                Err(reason) => Some(reason),
            };
            if shared.is_closing() {
                return;
            }
            let retry_in = self.backoff.pause();
            if let Some(reason) = failure {
                let replica = self.target.id;
                tracing::debug!(%replica, %reason, ?retry_in, "dialing failed");
                shared.counters.dial_failed();
                shared.arrivals.notice(Event::DialFailed {
                    replica,
                    reason,
                    retry_in,
                });
            }
            tokio::select! {
                () = sleep(retry_in) => {}
                _ = closing.wait_for(|closing| *closing) => return,
            }
        }
    }

    async fn attempt(&mut self, shared: &Arc<Shared>) -> Result<OpenLink, LinkError> {
        let address = self.resolve(shared).await?;
        self.attempts = self.attempts.wrapping_add(1);
        self.pinned.take_mismatch();
        match timeout(
            shared.config.limits.handshake,
            self.connect(shared, address),
        )
        .await
        {
            Ok(result) => result,
            Err(_) => Err(self.unreachable()),
        }
    }

    fn unreachable(&self) -> LinkError {
        LinkError::Unreachable {
            address: self.target.address.clone(),
        }
    }

    /// One address of the target that our socket can send to; another one with every attempt.
    async fn resolve(&self, shared: &Shared) -> Result<SocketAddr, LinkError> {
        if let Ok(address) = self.target.address.parse() {
            return Ok(address);
        }
        let fail = |cause: String| LinkError::Resolve {
            address: self.target.address.clone(),
            cause,
        };
        let found = tokio::net::lookup_host(&self.target.address)
            .await
            .map_err(|error| fail(error.to_string()))?;
        let usable: Vec<_> = found
            .filter(|address| address.is_ipv4() || shared.local_address.is_ipv6())
            .collect();
        let turn = self.attempts.checked_rem(usable.len()).unwrap_or(0);
        usable
            .get(turn)
            .copied()
            .ok_or_else(|| fail("no address that this process can send to".to_owned()))
    }

    async fn connect(
        &self,
        shared: &Arc<Shared>,
        address: SocketAddr,
    ) -> Result<OpenLink, LinkError> {
        let connection = shared
            .endpoint
            .connect_with(self.tls.clone(), address, NO_NAME)
            .map_err(|error| LinkError::Transport(error.to_string()))?
            .await
            .map_err(|error| self.explain(error))?;
        let opened = open(shared, &connection, self.target.id).await;
        if let Err(LinkError::Violation(violation)) = &opened {
            let code = VarInt::from_u32(violation.code().number());
            connection.close(code, violation.to_string().as_bytes());
        }
        opened
    }

    /// What a failed handshake means for this target.
    fn explain(&self, error: ConnectionError) -> LinkError {
        if let Some(presented) = self.pinned.take_mismatch() {
            return LinkError::WrongKey {
                expected: self.target.key,
                presented,
            };
        }
        match error {
            ConnectionError::TimedOut => self.unreachable(),
            other => other.into(),
        }
    }
}

/// Says hello and waits for the welcome.
async fn open(
    shared: &Arc<Shared>,
    connection: &Connection,
    target: ReplicaId,
) -> Result<OpenLink, LinkError> {
    let config = &shared.config;
    let peer = Peer::Replica(target);
    let limits = shared.link_limits(peer);
    let (mut stream, incoming) = connection.open_bi().await?;
    let hello = hello::spell(&Hello {
        cluster: config.cluster,
        epoch: config.epoch,
        replica: match config.me {
            Role::Replica(id) => Some(id),
            Role::Client => None,
        },
        frame_bytes: u32::try_from(limits.frame_bytes).unwrap_or(u32::MAX),
    });
    if let Err(error) = write_opening(&mut stream, &hello).await {
        return Err(match error {
            WriteError::ConnectionLost(error) => error.into(),
            other => LinkError::Transport(other.to_string()),
        });
    }
    let mut reader = FrameReader::new(incoming, MAX_HELLO_BYTES);
    let frame = reader.one().await?;
    let welcome: Welcome =
        hello::read(&frame).map_err(|_| LinkError::Violation(Violation::NotAWelcome))?;
    reader.set_bound(limits.frame_bytes);
    let seat =
        Seat::take(shared, peer, connection.clone(), welcome.frame_bytes).map_err(|refusal| {
            connection.close(
                VarInt::from_u32(CloseCode::Goodbye.number()),
                refusal.to_string().as_bytes(),
            );
            LinkError::LocallyClosed {
                reason: refusal.to_string(),
            }
        })?;
    Ok(OpenLink {
        seat,
        stream,
        reader,
    })
}
