//! Local clusters and load, for dev, demo, bench and the tests.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test may stop"
    )
)]

pub mod admin;
pub mod attacker;
pub mod bench;
pub mod demo;
pub mod faults;
pub mod local;
pub mod processor;
pub mod rehearsal;

pub use faults::{Fault, OnDemand};
pub use local::{LabError, LocalCluster, LocalOptions, ProcessCluster};
