//! What comes over a wire: one spelling for each message, nothing that makes the
//! decoder stop or change its mind, and one rule for signatures alone and in batches.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

mod generate;
mod hostile;
mod records;
mod round_trip;
mod signatures;
mod states;
