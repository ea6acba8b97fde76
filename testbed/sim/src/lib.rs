//! The deterministic simulator: whole clusters on one thread, from a seed.
//!
//! A seed draws a cluster, its work and its troubles ([`options`]); a [`World`]
//! runs it under virtual time: real replicas, each with its real service, and
//! real client sessions; only sockets, disks and clocks are played. After every
//! event the [`invariants`] are looked at, and at the end the clients' history
//! is checked to be linearizable ([`linear`]) by a [`model`] that shares no code
//! with the service. A seed is a bug report: the same seed gives the same run.
#![allow(
    clippy::disallowed_methods,
    reason = "here stub signatures may be made: most seeds test the protocol and not arithmetic"
)]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "machines and clients are named by indices the world gave out itself, and a simulator may stop"
)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop")
)]

pub mod adversaries;
mod batch;
mod chart;
mod client;
pub mod external_clients;
pub mod faults;
pub mod invariants;
pub mod linear;
mod machine;
pub mod model;
mod network;
pub mod occasions;
pub mod options;
pub mod oracle;
mod queue;
pub mod report;
pub mod rng;
pub mod scenario;
mod test_extensions;
mod trace;
mod world;

pub use batch::{Batch, Progress, run_seed, run_seeds};
pub use trace::Trace;
pub use world::World;
