//! What all tasks of an endpoint share: its configuration, endpoint, tables and totals.
//!
//! The tasks know this and not one another. It ends links on behalf of any of them and
//! starts none: dialing, accepting and reading stand above it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use quinn::{Endpoint as QuicEndpoint, VarInt};
use tokio::sync::watch;

use crate::{
    arrivals::Arrivals,
    config::{Config, Peer},
    error::{CloseCode, LinkError},
    handshakes::Handshakes,
    limits::LinkLimits,
    links::{Link, Links},
};

/// What all tasks of an endpoint share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) endpoint: QuicEndpoint,
    pub(crate) local_address: SocketAddr,
    pub(crate) links: Links,
    pub(crate) arrivals: Arc<Arrivals>,
    pub(crate) handshakes: Arc<Handshakes>,
    pub(crate) counters: Counters,
    pub(crate) closing: watch::Sender<bool>,
}

/// Totals since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) refused: AtomicU64,
    pub(crate) dial_failed: AtomicU64,
    pub(crate) send_full: AtomicU64,
}

impl Counters {
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn dial_failed(&self) {
        self.dial_failed.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shared {
    pub(crate) fn link_limits(&self, peer: Peer) -> &LinkLimits {
        self.config.link_limits(peer)
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Ends a link at once; of its frames only those already in the inbox still come.
    pub(crate) fn cut_off(&self, link: &Link, code: CloseCode, words: &str, reason: LinkError) {
        link.shut(code, words, reason);
        self.arrivals.shut(link.id);
    }

    /// Takes and dials nobody any more.
    pub(crate) fn begin_closing(&self) {
        self.closing.send_replace(true);
        self.links.close();
        self.endpoint.set_server_config(None);
    }

    /// Ends everything at once, without delivering what is queued.
    pub(crate) fn abandon(&self, words: &str) {
        self.begin_closing();
        for link in self.links.all() {
            link.shut(
                CloseCode::Goodbye,
                words,
                LinkError::LocallyClosed {
                    reason: words.to_owned(),
                },
            );
        }
        self.arrivals.close();
        self.endpoint.close(
            VarInt::from_u32(CloseCode::Goodbye.number()),
            words.as_bytes(),
        );
    }
}
