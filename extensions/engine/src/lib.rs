//! Extensions: small deterministic programs that run inside the agreed service.
//!
//! An extension is a WebAssembly module with a manifest, installed by a client.
//! When one of its client's operations matches a subscription, the service runs
//! the extension *instead of* the operation, atomically, on every replica, and
//! the answer is of the operation's own result type (Distler et al., "Extensible
//! Distributed Coordination", EuroSys 2015). This crate holds everything about
//! that except the dispatch itself, which is the service's (bezant-kernel):
//!
//! - [`check()`] decides whether a module may be installed, and says where not.
//! - [`Registry`] is the agreed state: which extensions there are, and whom each
//!   applies to.
//! - [`Engine`] runs one call in a fresh instance with a fixed supply of fuel.
//! - [`Host`] is what a running extension can do to the world: the service
//!   implements it over its spaces and undoes everything if the call fails.
//! - [`abi`] is the one table of host calls from which linker, check and manual
//!   are made; the SDK's bindings come from the same file.
//! - [`recipes`] are the extensions shipped with the service.
//!
//! Everything here is pure: the same inputs give the same result, fuel included,
//! on every machine.

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

pub mod abi;
pub mod limits;
pub mod recipes;

mod calls;
mod check;
mod engine;
mod extension;
mod host;
mod matching;
mod registry;
mod report;
mod smallest;
mod switches;
mod version;

pub use check::{Checked, Rejected, check, check_extension};
pub use engine::{Compiled, Engine, Exhausted};
pub use extension::{Extension, content_hash};
pub use host::{Cause, Host, Invocation};
pub use matching::covers;
pub use registry::{EventRef, Found, Registry, Schedule, Upgrade, VersionStatus};
pub use report::{CallReport, Conclusion};
pub use switches::configuration;
pub use version::{EngineVersion, Prices};
