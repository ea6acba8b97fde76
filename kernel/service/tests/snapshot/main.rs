//! The state as bytes, and back: what a restored replica is and does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

mod access;
mod audience;
mod extensions;
mod fixture;
mod groups;
mod histories;
mod hostile;
mod leases;
mod parts;
mod quotas;
mod sessions;
mod stories;
mod watching;
