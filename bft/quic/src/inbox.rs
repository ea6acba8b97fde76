//! The inbox: the owner's end of all that arrives.
//!
//! Takes events out of [`Arrivals`], and ends all links when the owner lets go of it. It
//! queues nothing itself and knows nothing of single links.

use std::{
    future::poll_fn,
    sync::{Arc, Weak},
    task::Poll,
};

use crate::{
    arrivals::{Arrivals, InboxDepth},
    config::Event,
    shared::Shared,
};

/// Where everything arrives; owned by the event loop.
///
/// Dropping it ends all links of its [`Endpoint`](crate::Endpoint).
#[derive(Debug)]
pub struct Inbox {
    arrivals: Arc<Arrivals>,
    endpoint: Weak<Shared>,
}

impl Inbox {
    pub(crate) fn new(arrivals: Arc<Arrivals>, endpoint: Weak<Shared>) -> Self {
        Self { arrivals, endpoint }
    }

    /// Waits until there is an event, then appends all there are, `max` at most, to `buf`.
    ///
    /// Returns how many; 0 only when the endpoint was closed and everything was
    /// taken, or `max` is 0. Cancel-safe: events are lost only with `buf`.
    pub async fn recv_many(&mut self, buf: &mut Vec<Event>, max: usize) -> usize {
        poll_fn(|cx| match self.arrivals.take(buf, max, Some(cx.waker())) {
            Some(taken) => Poll::Ready(taken),
            None => Poll::Pending,
        })
        .await
    }

    /// Like [`recv_many`](Self::recv_many), without waiting: 0 also when there is nothing yet.
    pub fn try_recv_many(&mut self, buf: &mut Vec<Event>, max: usize) -> usize {
        self.arrivals.take(buf, max, None).unwrap_or(0)
    }

    /// How much waits here.
    #[must_use]
    pub fn depth(&self) -> InboxDepth {
        self.arrivals.depth()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.arrivals.close();
        if let Some(endpoint) = self.endpoint.upgrade() {
            endpoint.abandon("the inbox was dropped");
        }
    }
}
