//! Extensions at work in the service: recipes, events, policies and versions. Everything runs
//! on two replicas, of which one was just given the other's state.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test may look at the clock; the crate itself may not"
)]

mod authority;
mod corpus;
mod events;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../snapshot/fixture.rs"]
mod fixture;
mod policies;
mod recipes;
mod town;
mod versions;
