//! What comes over a wire: one spelling for each message, nothing that makes the
//! decoder stop or change its mind, and one rule for signatures alone and in batches.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

/// The one harness of the state machine, of which these stories need the step alone.
#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "the other stories use the rest")]
mod common;
mod generate;
mod hostile;
mod records;
mod round_trip;
mod signatures;
mod states;
