//! The table of live links: who is linked, how many of each, and which link is a replica's newest.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bezant_bft::ids::{ClientId, ReplicaId};
use quinn::{Connection, VarInt};
use tokio::sync::Notify;

use crate::{
    config::{LinkId, Peer},
    error::{CloseCode, LinkError, Refusal},
    limits::{Limits, MAX_REASON_BYTES},
    outbound::Outbound,
    sync::lock,
};

/// One live link.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: LinkId,
    pub(crate) peer: Peer,
    pub(crate) connection: Connection,
    pub(crate) outbound: Outbound,
    /// Why it ended; the first reason stands.
    ended: Mutex<Option<LinkError>>,
    /// What to tell the peer when all is written.
    parting: Mutex<String>,
}

impl Link {
    pub(crate) fn new(id: LinkId, peer: Peer, connection: Connection, outbound: Outbound) -> Self {
        Self {
            id,
            peer,
            connection,
            outbound,
            ended: Mutex::new(None),
            parting: Mutex::default(),
        }
    }

    /// Ends the link from this side: the peer gets `code` and `words`, our inbox `reason`.
    pub(crate) fn shut(&self, code: CloseCode, words: &str, reason: LinkError) {
        lock(&self.ended).get_or_insert(reason);
        self.outbound.kill();
        self.connection
            .close(VarInt::from_u32(code.number()), cut(words));
    }

    /// Ends the link with `words` once everything queued has arrived.
    pub(crate) fn part(&self, words: &str) {
        words.clone_into(&mut lock(&self.parting));
        self.outbound.drain();
    }

    pub(crate) fn parting_words(&self) -> String {
        lock(&self.parting).clone()
    }

    /// Why the link ended, once it has.
    pub(crate) fn end(&self) -> Option<LinkError> {
        lock(&self.ended).clone()
    }
}

/// The words of a close, at most as long as the other side keeps.
pub(crate) fn cut(words: &str) -> &[u8] {
    let bytes = words.as_bytes();
    bytes.get(..MAX_REASON_BYTES).unwrap_or(bytes)
}

#[derive(Debug, Default)]
struct State {
    live: BTreeMap<LinkId, Arc<Link>>,
    replicas: BTreeMap<ReplicaId, LinkId>,
    clients: BTreeMap<ClientId, usize>,
    client_links: usize,
    last: u64,
    closed: bool,
}

/// All live links of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Links {
    state: Mutex<State>,
    changed: Notify,
}

/// A link that was entered into the table.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) link: Arc<Link>,
    /// The link of the same replica whose place it took.
    pub(crate) older: Option<Arc<Link>>,
}

impl Links {
    /// Enters a link; a replica's older one comes with it, to be ended.
    pub(crate) fn enter(
        &self,
        limits: &Limits,
        make: impl FnOnce(LinkId) -> Arc<Link>,
        peer: Peer,
    ) -> Result<Entered, Refusal> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(Refusal::TooManyLinks("this process is shutting down"));
        }
        let mut older = None;
        if let Peer::Client(client) = peer {
            if state.client_links >= limits.client_links {
                return Err(Refusal::TooManyLinks("this replica serves no more clients"));
            }
            let of_key = state.clients.get(&client).copied().unwrap_or(0);
            if of_key >= limits.links_per_client {
                return Err(Refusal::TooManyLinks("this key has as many as it may"));
            }
            state.client_links += 1;
            state.clients.insert(client, of_key + 1);
        }
        state.last += 1;
        let id = LinkId(state.last);
        if let Peer::Replica(replica) = peer
            && let Some(old) = state.replicas.insert(replica, id)
        {
            older = state.live.get(&old).cloned();
        }
        let link = make(id);
        state.live.insert(id, link.clone());
        Ok(Entered { link, older })
    }

    pub(crate) fn leave(&self, link: &Link) {
        let mut state = lock(&self.state);
        state.live.remove(&link.id);
        match link.peer {
            Peer::Replica(replica) => {
                if state.replicas.get(&replica) == Some(&link.id) {
                    state.replicas.remove(&replica);
                }
            }
            Peer::Client(client) => {
                state.client_links = state.client_links.saturating_sub(1);
                let left = state.clients.get(&client).copied().unwrap_or(0);
                if left > 1 {
                    state.clients.insert(client, left - 1);
                } else {
                    state.clients.remove(&client);
                }
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Calls `action` with the link, if it is live.
    pub(crate) fn with<T>(&self, id: LinkId, action: impl FnOnce(&Link) -> T) -> Option<T> {
        lock(&self.state).live.get(&id).map(|link| action(link))
    }

    /// The newest live link of `replica`.
    pub(crate) fn of_replica(&self, replica: ReplicaId) -> Option<LinkId> {
        lock(&self.state).replicas.get(&replica).copied()
    }

    /// All live links.
    pub(crate) fn all(&self) -> Vec<Arc<Link>> {
        lock(&self.state).live.values().cloned().collect()
    }

    /// Enters no more links from now on.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
    }

    /// Waits until no link is left.
    pub(crate) async fn none_left(&self) {
        loop {
            // Registered before the check, so that a change in between is not missed.
            let changed = self.changed.notified();
            if lock(&self.state).live.is_empty() {
                return;
            }
            changed.await;
        }
    }
}
