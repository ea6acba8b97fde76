//! A live link's place: taken in the table and in the inbox, given up in both.
//!
//! Taking it reports the link as up, giving it up reports the link as down; nobody else
//! does either. It reads and writes no frames.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use quinn::Connection;

use crate::{
    arrivals::Gone,
    config::Peer,
    error::{CloseCode, LinkError, Refusal},
    links::{Entered, Link},
    outbound::Outbound,
    shared::Shared,
};

/// A live link's place in the table and in the inbox; giving it up reports the link as down.
#[derive(Debug)]
pub(crate) struct Seat {
    shared: Arc<Shared>,
    link: Arc<Link>,
}

impl Seat {
    /// Enters `connection` as a link with `peer` and reports it as up.
    ///
    /// `peer_frame_bytes` is the largest frame the peer says it accepts.
    pub(crate) fn take(
        shared: &Arc<Shared>,
        peer: Peer,
        connection: Connection,
        peer_frame_bytes: u32,
    ) -> Result<Self, Refusal> {
        if shared.arrivals.is_crowded() {
            return Err(Refusal::TooManyLinks(
                "too many ended links wait to be noticed",
            ));
        }
        let limits = shared.link_limits(peer);
        let theirs = usize::try_from(peer_frame_bytes).unwrap_or(usize::MAX);
        let outbound = Outbound::new(limits, limits.frame_bytes.min(theirs));
        let make = |id| Arc::new(Link::new(id, peer, connection, outbound));
        let Entered { link, older } = shared.links.enter(&shared.config.limits, make, peer)?;
        if let Some(older) = older {
            shared.cut_off(
                &older,
                CloseCode::Superseded,
                "a newer link took this one's place",
                LinkError::Superseded,
            );
        }
        shared.arrivals.open(link.id, peer, limits);
        tracing::debug!(link = link.id.0, %peer, "link up");
        Ok(Self {
            shared: shared.clone(),
            link,
        })
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Moves `frames` into the inbox, waiting for room.
    pub(crate) async fn deliver(&self, frames: &mut VecDeque<Bytes>) -> Result<(), Gone> {
        self.shared.arrivals.deliver(self.link.id, frames).await
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.link.outbound.kill();
        let reason = self.link.end().unwrap_or(LinkError::LocallyClosed {
            reason: "the link's task was stopped".to_owned(),
        });
        tracing::debug!(link = self.link.id.0, peer = %self.link.peer, %reason, "link down");
        self.shared.arrivals.end(self.link.id, reason);
        // Last: whoever waits for all links to be gone may then close the inbox.
        self.shared.links.leave(&self.link);
    }
}
