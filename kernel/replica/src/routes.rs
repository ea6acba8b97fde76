//! Routes replies: which links carry which clients' replies.
//!
//! A link carries the replies of its own key; other clients join it with a
//! signed [`Attach`](bezant_bft::message::Attach). Both tables are bounded.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::LinkId;
use bezant_bft::ids::ClientId;

/// Most clients whose replies one link carries.
pub const MAX_CLIENTS_PER_LINK: usize = 4096;

/// Most links that carry one client's replies; an older one makes room for a newer.
pub const MAX_LINKS_PER_CLIENT: usize = 8;

/// Who is reached where.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    links: BTreeMap<ClientId, BTreeSet<LinkId>>,
    clients: BTreeMap<LinkId, BTreeSet<ClientId>>,
}

impl Routes {
    /// Sends `client`'s replies over `link` from now on; false if the link is full.
    pub(crate) fn attach(&mut self, client: ClientId, link: LinkId) -> bool {
        let clients = self.clients.entry(link).or_default();
        if clients.len() >= MAX_CLIENTS_PER_LINK && !clients.contains(&client) {
            return false;
        }
        clients.insert(client);
        let links = self.links.entry(client).or_default();
        links.insert(link);
        if links.len() > MAX_LINKS_PER_CLIENT
            && let Some(oldest) = links.pop_first()
            && let Some(clients) = self.clients.get_mut(&oldest)
        {
            clients.remove(&client);
        }
        true
    }

    /// Whether `link` may carry one more client's replies.
    pub(crate) fn has_room(&self, link: LinkId) -> bool {
        let clients = self.clients.get(&link);
        clients.is_none_or(|clients| clients.len() < MAX_CLIENTS_PER_LINK)
    }

    /// Forgets a link that went down.
    pub(crate) fn detach(&mut self, link: LinkId) {
        for client in self.clients.remove(&link).unwrap_or_default() {
            if let Some(links) = self.links.get_mut(&client) {
                links.remove(&link);
                if links.is_empty() {
                    self.links.remove(&client);
                }
            }
        }
    }

    /// The links that carry a client's replies.
    pub(crate) fn of(&self, client: &ClientId) -> impl Iterator<Item = LinkId> + '_ {
        self.links.get(client).into_iter().flatten().copied()
    }

    /// Whether `link` may be told `client`'s replies.
    #[must_use]
    pub(crate) fn carries(&self, link: LinkId, client: &ClientId) -> bool {
        self.clients
            .get(&link)
            .is_some_and(|clients| clients.contains(client))
    }
}
