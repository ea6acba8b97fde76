//! Bounds on what a client may send, and how they depend on each other.
//!
//! They are part of the agreed behaviour: every replica of a cluster must have
//! the same ones, or replicas would answer the same call differently.

use bezant_manifest::limits::{MAX_MANIFEST_BYTES, MAX_MODULE_BYTES};
use bezant_tuple::limits::{MAX_TEMPLATE_BYTES, MAX_TUPLE_BYTES};

/// Shortest time, in milliseconds of agreed time, that a session can live without a request:
/// some round trips, so that it can be kept alive at all.
pub const MIN_SESSION_MS: u64 = 100;

/// Longest encoded [`Call`](crate::Call), in bytes. Both its largest members, a
/// `cas` with a full template and a full tuple and a `Register` with a full
/// module and a full manifest, fit.
pub const MAX_CALL_BYTES: usize = 256 * 1024;

/// Most steps of a [`Group`](crate::Group), those of `otherwise` included.
pub const MAX_GROUP_STEPS: usize = 64;

/// Longest encoded answer to a [`Group`](crate::Group), in bytes: that of two full pages.
pub const MAX_GROUP_ANSWER_BYTES: usize = 640 * 1024;

/// Most entries of a space's list of those who have a right.
pub const MAX_LIST: usize = 256;

/// Most spaces told in one answer to what a client may do.
pub const MAX_PERMISSION_SPACES: usize = 1_000;

/// Most replicas of a cluster; a replica's index is one byte and quorums are counted in it.
pub const MAX_REPLICAS: usize = 64;

const _: () = assert!(
    MAX_MODULE_BYTES + MAX_MANIFEST_BYTES + 64 <= MAX_CALL_BYTES,
    "a full registration must fit into a call"
);
const _: () = assert!(
    MAX_TEMPLATE_BYTES + MAX_TUPLE_BYTES + 1024 <= MAX_CALL_BYTES,
    "a cas with a full template and a full tuple must fit into a call"
);
