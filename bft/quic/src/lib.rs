//! Authenticated QUIC links between pinned Ed25519 identities.
//!
//! A process is one [`Endpoint`] (one UDP socket, all its links) and one
//! [`Inbox`] (everything that arrives). Replicas dial replicas with a lower id,
//! clients dial all replicas; who is at the other end of a link is proven by
//! its key in the TLS 1.3 handshake (raw public keys, RFC 7250), with no
//! certificate, DNS name or authority involved. On each connection there is one
//! stream with length-framed messages in both directions, whose content this
//! crate does not know.
//!
//! ```text
//!          send ─► outbound ─► writer task ─► QUIC ─► UDP
//! event loop                                           │
//!     recv_many ◄── inbox ◄── reader task ◄── QUIC ◄───┘
//! ```
//!
//! What is promised to the owner:
//! - Every peer of an [`Event`] was authenticated, and frames of a link come in order.
//! - Sending never blocks; a queue that is full or a link that is down is a [`SendError`].
//! - Nothing a peer does panics, blocks others or grows memory beyond [`Limits`];
//!   an authenticated peer that breaks the rules is named in a [`LinkError::Violation`].
//! - Delivery is not promised: frames are lost with their link. The protocol above
//!   retransmits what matters.
//!
//! Neighbours: `kernel/node` and `client/lib` own an endpoint each; `bft/core` gives
//! the identities and never sees a socket. Everything runs on the owner's Tokio
//! runtime; a single-threaded one is the intended home, because wake-ups across
//! threads cost more than the work.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test may stop"
    )
)]

mod accept;
mod arrivals;
mod backoff;
mod config;
mod dial;
mod endpoint;
mod error;
mod frame;
mod handshakes;
mod hello;
mod inbox;
mod limits;
mod link;
mod links;
mod outbound;
mod seat;
mod shared;
mod sync;
mod tls;
mod transport;
mod version;

pub use arrivals::InboxDepth;
pub use config::{Config, Event, LinkId, Peer, ReplicaAddress, Role};
pub use endpoint::{Endpoint, EndpointStats, LinkInfo};
pub use error::{BindError, CloseCode, LinkError, Refusal, SendError, Violation};
pub use inbox::Inbox;
pub use limits::{HEADER_BYTES, Limits, LinkLimits, MAX_CLIENT_FRAME_BYTES, MAX_FRAME_BYTES};
pub use outbound::QueueDepth;
pub use version::{ALPN, PROTOCOL_VERSION};
