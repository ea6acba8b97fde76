//! Recipes of the client library: the same [`programs`] of fifty clients over real sockets and
//! in the simulator, and [`stories`] of a few clients.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

mod programs;
mod simulated;
mod stories;

use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(60);

/// As many as the recipes must be correct for.
const MANY: usize = 50;

/// Where the recipes' tuples are.
const SPACE: &str = "r";
