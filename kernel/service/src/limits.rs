//! Bounds on what clients can make the service hold, beside those of the spaces.

use std::ops::RangeInclusive;

use bezant_api::limits::MIN_SESSION_MS;
use bezant_bft::limits::{MAX_OP_BYTES, MAX_PROPOSAL_BYTES, SESSION_WINDOW};
use bezant_tuplespace::MAX_LEASE_MS;

/// Most sessions of all clients together.
pub const MAX_SESSIONS: usize = 65_536;

/// Most sessions of one client; opening one more ends its least recently used one.
pub const MAX_SESSIONS_PER_CLIENT: usize = 256;

/// Most clients that operators can enrol or expel, beside what the genesis says.
pub const MAX_ENROLLED: usize = 65_536;

/// Most memberships of clients in groups, all together.
pub const MAX_MEMBERSHIPS: usize = 65_536;

/// How long, in milliseconds of agreed time, a session can live without a request.
pub const SESSION_MS: RangeInclusive<u64> = MIN_SESSION_MS..=MAX_LEASE_MS;

/// Requests a session may have unanswered, unacknowledged or ahead of their turn.
pub const WINDOW: u64 = SESSION_WINDOW;

/// A tick that is later than this, in milliseconds of agreed time, was kept from being ordered by
/// an outage: what expires is then given the time that nobody had. More than twice the drift of
/// clocks and the view-change timeouts of three views together, so that one primary cannot bring it
/// about (docs/decisions/013-agreed-time.md).
pub const OUTAGE_MS: u64 = 30_000;

const _: () = assert!(
    bezant_api::limits::MAX_CALL_BYTES <= MAX_OP_BYTES,
    "every call must fit into a request"
);
const _: () = assert!(
    MAX_OP_BYTES < MAX_PROPOSAL_BYTES,
    "every request must fit into a proposal"
);
