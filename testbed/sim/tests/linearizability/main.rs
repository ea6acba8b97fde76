//! The checks of linearizability are checked themselves: each accepts what is right and
//! rejects each kind of planted wrong, and they agree with each other.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

mod blackbox;
mod common;
mod witness;
