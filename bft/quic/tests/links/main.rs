//! Links over real loopback sockets. One binary, so that it links once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

mod authentication;
mod common;
mod flow;
mod hostile;
mod lifetime;
