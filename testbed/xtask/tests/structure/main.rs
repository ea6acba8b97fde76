//! Holds the structure of the workspace: which crate may know which, and that the modules of a
//! crate know each other in one direction only.
//!
//! It exists because a structure that only a page describes is lost with the first import that
//! is convenient. It reads manifests and `use` lines as text, builds nothing and runs nothing,
//! so what macros make is not seen. The rules are tables at the head of [`crates`] and
//! [`modules`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

mod crates;
mod graph;
mod modules;
mod paths;
mod source;
mod steps;

use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("testbed/xtask stands two folders below the root")
        .to_owned()
}
