//! Endpoints on loopback, and waiting for events with a deadline.

pub(crate) mod raw;

use std::{net::SocketAddr, time::Duration};

use bezant_bft::{
    crypto::SigningKey,
    ids::{ClusterId, Epoch, ReplicaId},
};
use bezant_quic::{Config, Endpoint, Event, Inbox, LinkId, Peer, ReplicaAddress, Role};
use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

/// Nothing a test waits for takes this long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) const CLUSTER: ClusterId = ClusterId([9; 32]);
pub(crate) const EPOCH: Epoch = Epoch(3);

/// The key of replica `id`.
pub(crate) fn replica_key(id: u8) -> SigningKey {
    SigningKey::from_seed([id + 1; 32])
}

/// The key of the client numbered `number`.
pub(crate) fn client_key(number: u8) -> SigningKey {
    SigningKey::from_seed([200 + number; 32])
}

/// Four replicas, those of `known` at their address, the others at one where nobody is.
pub(crate) fn replicas(known: &[(u8, SocketAddr)]) -> Vec<ReplicaAddress> {
    (0..4)
        .map(|id| ReplicaAddress {
            id: ReplicaId(id),
            address: known
                .iter()
                .find(|(known, _)| *known == id)
                .map_or("127.0.0.1:9".to_owned(), |(_, address)| address.to_string()),
            key: replica_key(id).public(),
        })
        .collect()
}

pub(crate) fn replica_config(id: u8, known: &[(u8, SocketAddr)]) -> Config {
    let mut config = Config::new(
        replica_key(id),
        CLUSTER,
        EPOCH,
        Role::Replica(ReplicaId(id)),
        replicas(known),
    );
    config.jitter_seed = Some(u64::from(id));
    config
}

/// A client that knows only the replicas of `known`.
pub(crate) fn client_config(number: u8, known: &[(u8, SocketAddr)]) -> Config {
    let mut replicas = replicas(known);
    replicas.retain(|replica| known.iter().any(|(id, _)| *id == replica.id.0));
    let mut config = Config::new(client_key(number), CLUSTER, EPOCH, Role::Client, replicas);
    config.jitter_seed = Some(u64::from(number));
    config
}

/// An endpoint and its inbox, with what was received and not asked for yet.
pub(crate) struct Node {
    pub(crate) endpoint: Endpoint,
    pub(crate) inbox: Inbox,
    seen: Vec<Event>,
}

pub(crate) fn any_port() -> Option<SocketAddr> {
    Some("127.0.0.1:0".parse().unwrap())
}

impl Node {
    pub(crate) fn bind(config: Config, listen: Option<SocketAddr>) -> Self {
        let (endpoint, inbox) = Endpoint::bind(config, listen).unwrap();
        Self {
            endpoint,
            inbox,
            seen: Vec::new(),
        }
    }

    /// Replica `id` on a free port.
    pub(crate) fn replica(id: u8, known: &[(u8, SocketAddr)]) -> Self {
        Self::bind(replica_config(id, known), any_port())
    }

    pub(crate) fn client(number: u8, known: &[(u8, SocketAddr)]) -> Self {
        Self::bind(client_config(number, known), None)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.endpoint.local_address()
    }

    /// Waits for the first event that `pick` wants; the others are kept for later calls.
    pub(crate) async fn wait<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(&Event) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + DEADLINE;
        let mut from = 0;
        loop {
            for index in from..self.seen.len() {
                if let Some(found) = pick(&self.seen[index]) {
                    self.seen.remove(index);
                    return found;
                }
            }
            from = self.seen.len();
            let taken = timeout_at(deadline, self.inbox.recv_many(&mut self.seen, 1024)).await;
            match taken {
                Ok(0) => panic!("the inbox ended while waiting for {what}"),
                Ok(_) => {}
                Err(_) => panic!("no {what} within the deadline; seen: {:?}", self.seen),
            }
        }
    }

    pub(crate) async fn up(&mut self, with: Peer) -> LinkId {
        self.wait(&format!("link with {with}"), |event| match event {
            Event::Up { link, peer } if *peer == with => Some(*link),
            _ => None,
        })
        .await
    }

    pub(crate) async fn down(&mut self, of: LinkId) -> bezant_quic::LinkError {
        self.wait(&format!("end of {of}"), |event| match event {
            Event::Down { link, reason, .. } if *link == of => Some(reason.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) async fn frame(&mut self, from: LinkId) -> Bytes {
        self.wait(&format!("frame on {from}"), |event| match event {
            Event::Frame { link, frame, .. } if *link == from => Some(frame.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) async fn refused(&mut self) -> bezant_quic::Refusal {
        self.wait("refusal", |event| match event {
            Event::Refused { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) async fn dial_failed(&mut self, of: u8) -> bezant_quic::LinkError {
        self.wait("failed dial", |event| match event {
            Event::DialFailed {
                replica, reason, ..
            } if *replica == ReplicaId(of) => Some(reason.clone()),
            _ => None,
        })
        .await
    }
}

/// Replica 0 and a client linked to it, with the link's name at either end.
pub(crate) async fn pair() -> (Node, LinkId, Node, LinkId) {
    let mut server = Node::replica(0, &[]);
    let mut client = Node::client(1, &[(0, server.address())]);
    let at_client = client.up(Peer::Replica(ReplicaId(0))).await;
    let at_server = server.up(Peer::Client(client_key(1).client())).await;
    (server, at_server, client, at_client)
}

/// Polls `done` until it holds, letting everything else run in between.
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within the deadline");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
