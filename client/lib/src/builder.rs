//! Setting up a client.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use bezant_bft::crypto::SigningKey;
use bezant_session::{Config, Session};

use crate::{
    alive::SessionLease,
    client::{Client, ms},
    error::Error,
    inner::Inner,
    keeping,
    network::{ClusterView, Network},
    transport::random,
};

/// How long a session lives without a request by default: some times as long as the service
/// needs to replace a primary.
const DEFAULT_SESSION_TTL: Duration = Duration::from_secs(10);

/// How long an operation may take by default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Sets up a [`Client`].
#[derive(Debug)]
#[must_use]
pub struct Builder {
    cluster: ClusterView,
    identity: Option<SigningKey>,
    network: Option<Network>,
    timeout: Duration,
    session_ttl: Option<Duration>,
    clock_bound: Option<Duration>,
    config: Config,
}

impl Client {
    /// Begins to set up a client of `cluster`.
    pub fn builder(cluster: ClusterView) -> Builder {
        Builder::new(cluster)
    }
}

impl Builder {
    pub(crate) fn new(cluster: ClusterView) -> Self {
        Self {
            cluster,
            identity: None,
            network: None,
            timeout: DEFAULT_TIMEOUT,
            session_ttl: Some(DEFAULT_SESSION_TTL),
            clock_bound: None,
            config: Config::default(),
        }
    }

    /// The client's key; a fresh one if none is given (clusters with open enrolment only).
    pub fn identity(mut self, key: SigningKey) -> Self {
        self.identity = Some(key);
        self
    }

    /// Uses the links of `network` instead of links of its own.
    pub fn network(mut self, network: &Network) -> Self {
        self.network = Some(network.clone());
        self
    }

    /// How long an operation may take; 10 s if nothing is said. Waiting operations wait
    /// without end unless they are told otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The session ends, with its waits and its ephemeral tuples, when so much agreed time
    /// passes without a request of it; 10 s if nothing is said. The client keeps it alive
    /// while it runs and reaches the service. Without a time (`None`) the session lives
    /// until it is [closed](Client::close).
    pub fn session_ttl(mut self, ttl: Option<Duration>) -> Self {
        self.session_ttl = ttl;
        self
    }

    /// How far agreed time may run ahead of this client's own within the session's
    /// [time](Self::session_ttl), for [`Client::certain_until`]; a tenth of that time if
    /// nothing is said.
    ///
    /// Agreed time counts how much time passes, by monotonic clocks: a replica's time of day
    /// that is wrong or jumps does not enter, and a tenth is far more than such clocks are
    /// apart. After faults the replicas' readings may differ by 2.5 s for an hour, and a change
    /// of primary then takes that much. A faulty primary can put agreed time ahead by up to twice
    /// what backups grant (10 s), and 1/128 of the session's time: whoever must be certain even
    /// then says so much, and more for the session. What is written elsewhere is safer with a
    /// fence, which needs no clock.
    pub fn clock_bound(mut self, bound: Duration) -> Self {
        self.clock_bound = Some(bound);
        self
    }

    /// Holds every accepted answer back for up to this long to see the other replicas'
    /// votes too; for people, not for programs.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.config.linger_us = u64::try_from(linger.as_micros()).unwrap_or(u64::MAX);
        self
    }

    /// Links to the cluster and opens a session.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if too few replicas answer, [`Error::ClockBound`], and whatever
    /// opening a session meets.
    pub async fn connect(self) -> Result<Client, Error> {
        let session_ttl = self.session_ttl.map(|ttl| {
            let bound = self.clock_bound.unwrap_or(ttl / 10);
            ttl.saturating_sub(bound)
        });
        if session_ttl.is_some_and(|time| time.is_zero()) {
            return Err(Error::ClockBound);
        }
        let key = match self.identity {
            Some(key) => key,
            None => random_key()?,
        };
        let network = match self.network {
            Some(network) => network,
            None => Network::new(&self.cluster, key.clone())?,
        };
        network.ready(self.timeout).await?;
        let nonce = network.random().map(u64::from_le_bytes)?.max(1);
        let session = Session::new(key.clone(), network.keyring().clone(), self.config, nonce);
        let name = network.add(session, key.clone());
        let inner = Arc::new(Inner {
            network,
            name,
            timeout: self.timeout,
            client: key.client(),
            session_lease: SessionLease::new(session_ttl),
            calls: AtomicU64::new(0),
        });
        let client = Client { inner };
        client.open(nonce, self.session_ttl.map(ms)).await?;
        if let Some(ttl) = self.session_ttl {
            tokio::spawn(keeping::keep(Arc::downgrade(&client.inner), ttl));
        }
        Ok(client)
    }
}

fn random_key() -> Result<SigningKey, Error> {
    Ok(SigningKey::from_seed(random()?))
}
