//! Every bound on what clients can make one replica hold or look at.

use bezant_tuple::limits::{MAX_TEMPLATE_BYTES, MAX_TUPLE_BYTES};
use serde::{Deserialize, Serialize};

/// Longest lease and longest wait with an end, in milliseconds: a year. What is to go on for
/// longer needs none.
pub const MAX_LEASE_MS: u64 = 366 * 24 * 60 * 60 * 1000;

/// Most clients that are bounded, each by a [`Quota`] of its own.
pub const MAX_ACCOUNTS: usize = 4_096;

/// How much a space, or a client in all spaces, may hold. What it holds already stays when that is
/// made less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Most tuples.
    pub tuples: u64,
    /// Most bytes of its tuples, in canonical encoding.
    pub bytes: u64,
}

impl Quota {
    /// As much as the service allows.
    pub const NONE: Self = Self {
        tuples: u64::MAX,
        bytes: u64::MAX,
    };
}

impl Default for Quota {
    fn default() -> Self {
        Self::NONE
    }
}

/// Bounds of one service. Agreed configuration: replicas with other bounds
/// would refuse other operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most spaces.
    pub spaces: usize,
    /// Most tuples in all spaces together.
    pub tuples: u64,
    /// Most bytes of all tuples together, in canonical encoding.
    pub bytes: u64,
    /// Most waiting operations in all spaces together.
    pub waiters: usize,
    /// Most bytes of the templates they wait for, in canonical encoding.
    pub waiter_bytes: u64,
    /// Most tuples in one page of a bulk operation.
    pub page_tuples: u32,
    /// A page ends with the tuple that brings it to this many bytes or more.
    pub page_bytes: usize,
    /// Most events kept for those who watch, of all spaces together.
    pub events: usize,
    /// Most bytes of their tuples, in canonical encoding.
    pub event_bytes: u64,
    /// Most tuples one operation may look at before it is refused as too broad.
    pub candidates: u64,
}

impl Limits {
    /// The bounds of a service that says nothing else: a million tuples fit
    /// several times, and no single operation holds up the others for long.
    pub const DEFAULT: Self = Self {
        spaces: 10_000,
        tuples: 4_000_000,
        bytes: 1 << 30,
        waiters: 16_384,
        waiter_bytes: 1 << 26,
        page_tuples: 1_000,
        page_bytes: 256 * 1024,
        events: 16_384,
        event_bytes: 1 << 20,
        candidates: 1_000_000,
    };
}

// The largest tuple fits an empty service and a page, the largest template can
// be waited for, and a page can be looked at.
const _: () = assert!(Limits::DEFAULT.bytes >= MAX_TUPLE_BYTES as u64);
const _: () = assert!(Limits::DEFAULT.waiter_bytes >= MAX_TEMPLATE_BYTES as u64);
const _: () = assert!(Limits::DEFAULT.page_bytes >= MAX_TUPLE_BYTES);
const _: () = assert!(Limits::DEFAULT.event_bytes >= MAX_TUPLE_BYTES as u64);
const _: () = assert!(Limits::DEFAULT.candidates > Limits::DEFAULT.page_tuples as u64);

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
