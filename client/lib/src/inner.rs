//! What the clones of a client share: the session, its links, and its lease.
//!
//! It ends with the last of them. Operations stand above it, in `client`.

use std::{sync::atomic::AtomicU64, time::Duration};

use bezant_bft::ids::ClientId;

use crate::{
    alive::SessionLease,
    network::{Network, SessionKey},
};

/// One session and what it runs over.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) network: Network,
    pub(crate) name: SessionKey,
    pub(crate) timeout: Duration,
    pub(crate) client: ClientId,
    pub(crate) session_lease: SessionLease,
    /// Requests sent so far.
    pub(crate) calls: AtomicU64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.network.remove(self.name);
    }
}
