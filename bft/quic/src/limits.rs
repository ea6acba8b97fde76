//! Every bound of this crate, in one place, with the relations between them.
//!
//! Whatever a peer or a client can make grow is bounded here: frames, queues,
//! links, handshakes. The defaults suit a cluster in one data centre and are
//! also safe on one machine; [`Limits::check`] refuses sets that contradict
//! themselves. Used by every other module; configured through
//! [`Config::limits`](crate::Config::limits).

use std::time::Duration;

/// The largest frame on a link between two replicas, in bytes, without its length prefix.
pub const MAX_FRAME_BYTES: usize = 4 << 20;

/// The largest frame on a link that has a client at one end, in bytes, without its length prefix.
pub const MAX_CLIENT_FRAME_BYTES: usize = 1 << 20;

/// Bytes of the length prefix of a frame: a `u32`, little-endian.
pub const HEADER_BYTES: usize = 4;

/// The largest opening frame (hello or welcome), in bytes.
pub(crate) const MAX_HELLO_BYTES: usize = 128;

/// The longest reason that is sent with, or kept from, the closing of a connection, in bytes.
pub(crate) const MAX_REASON_BYTES: usize = 200;

/// How many refusals and failed dials wait for the owner of the inbox; older ones give way.
pub(crate) const MAX_NOTICES: usize = 256;

/// Links of one replica whose end has not been taken from the inbox yet, the live one included.
pub(crate) const MAX_SEATS_PER_REPLICA: usize = 8;

/// Bounds for one kind of link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkLimits {
    /// The largest frame in either direction, in bytes.
    pub frame_bytes: usize,
    /// Frames that may wait to be sent on one link.
    pub outbound_frames: usize,
    /// Bytes (frames and prefixes) that may wait to be sent on one link.
    pub outbound_bytes: usize,
    /// Received frames of one link that may wait in the inbox.
    pub inbox_frames: usize,
    /// Received bytes of one link that may wait in the inbox; a single larger frame may wait alone.
    pub inbox_bytes: usize,
    /// Bytes the peer may have under way or unread beyond the inbox (QUIC's receive window),
    /// and likewise how much QUIC keeps for retransmission.
    pub window_bytes: u32,
}

/// Every bound of an [`Endpoint`](crate::Endpoint).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For links between two replicas.
    pub replica: LinkLimits,
    /// For links with a client at either end.
    pub client: LinkLimits,
    /// Received bytes of all client links together that may wait in the inbox; beyond it each
    /// link may still have one frame there, so that nobody starves.
    pub client_inbox_total_bytes: usize,
    /// Client links a replica serves at once.
    pub client_links: usize,
    /// Links one client key may have at one replica at once.
    pub links_per_client: usize,
    /// Handshakes a replica works on at once; one more and the oldest is dropped.
    pub handshakes: usize,
    /// From how many handshakes under way on a newcomer must prove its address first (QUIC Retry).
    pub retry_above: usize,
    /// How long a handshake, hello and welcome included, may take.
    pub handshake: Duration,
    /// How often the dialer of an idle link shows that it is alive.
    pub keep_alive: Duration,
    /// After how much silence a link is down.
    pub idle: Duration,
    /// The first pause before dialing again.
    pub backoff_min: Duration,
    /// The longest pause before dialing again.
    pub backoff_max: Duration,
    /// How long [`Endpoint::close`](crate::Endpoint::close) may take to deliver what is queued.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            replica: LinkLimits {
                frame_bytes: MAX_FRAME_BYTES,
                outbound_frames: 8192,
                outbound_bytes: 16 << 20,
                inbox_frames: 1024,
                inbox_bytes: 8 << 20,
                window_bytes: 2 << 20,
            },
            client: LinkLimits {
                frame_bytes: MAX_CLIENT_FRAME_BYTES,
                // A process may carry many sessions over one link, so the count is generous;
                // the bytes are what bounds memory.
                outbound_frames: 8192,
                outbound_bytes: 2 << 20,
                inbox_frames: 256,
                inbox_bytes: 512 << 10,
                window_bytes: 512 << 10,
            },
            client_inbox_total_bytes: 64 << 20,
            client_links: 1024,
            links_per_client: 8,
            handshakes: 64,
            retry_above: 32,
            handshake: Duration::from_secs(4),
            keep_alive: Duration::from_secs(2),
            idle: Duration::from_secs(10),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(2),
            linger: Duration::from_millis(500),
        }
    }
}

const _: () = {
    // A client's request must fit, with room to spare, into a frame between replicas.
    assert!(MAX_CLIENT_FRAME_BYTES * 2 <= MAX_FRAME_BYTES);
    // The prefix can spell every permitted length.
    assert!(MAX_FRAME_BYTES < u32::MAX as usize);
    assert!(MAX_HELLO_BYTES < MAX_CLIENT_FRAME_BYTES);
};

impl Limits {
    /// Refuses limits that contradict one another.
    ///
    /// # Errors
    /// The relation that does not hold, in words.
    pub fn check(&self) -> Result<(), &'static str> {
        self.replica.check()?;
        self.client.check()?;
        let rules = [
            (
                self.client.frame_bytes <= self.replica.frame_bytes,
                "a client's frame must fit into a frame between replicas",
            ),
            (
                self.handshakes > 0 && self.links_per_client > 0,
                "at least one handshake and one link per client must be allowed",
            ),
            (
                self.keep_alive < self.idle,
                "the keep-alive interval must be shorter than the idle time-out",
            ),
            (
                !self.backoff_min.is_zero() && self.backoff_min <= self.backoff_max,
                "the shortest pause before dialing again must be above zero and not above the longest",
            ),
            (
                !self.handshake.is_zero(),
                "a handshake must be allowed some time",
            ),
        ];
        rules
            .iter()
            .find(|(holds, _)| !holds)
            .map_or(Ok(()), |(_, rule)| Err(rule))
    }
}

impl LinkLimits {
    fn check(&self) -> Result<(), &'static str> {
        if self.frame_bytes <= MAX_HELLO_BYTES || self.frame_bytes > MAX_FRAME_BYTES {
            return Err("the largest frame must lie between 129 bytes and MAX_FRAME_BYTES");
        }
        if self.outbound_frames == 0 || self.inbox_frames == 0 {
            return Err("queues must hold at least one frame");
        }
        if self.outbound_bytes < self.frame_bytes + HEADER_BYTES {
            return Err("an outbound queue must hold the largest frame");
        }
        if self.window_bytes < 1200 {
            return Err("a receive window must hold at least one packet");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_do_not_contradict_themselves() {
        assert_eq!(Limits::default().check(), Ok(()));
    }

    #[test]
    fn contradictions_are_refused() {
        let mut limits = Limits::default();
        limits.client.outbound_bytes = limits.client.frame_bytes;
        assert!(limits.check().is_err());
        let limits = Limits {
            keep_alive: Duration::from_secs(10),
            ..Limits::default()
        };
        assert!(limits.check().is_err());
    }
}
