//! What is said of extensions: what one says of itself, its name for machines, why it is not
//! accepted, and how its call fails.
//!
//! The engine (bezant-extensions) runs by these words, and calls and answers (bezant-api)
//! carry them between client and service. They stand below both, so that the engine looks up
//! to nobody. Nothing is checked here but what a [`Manifest`] says by itself; the module
//! beside it is the engine's to check.

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

pub mod limits;

mod failure;
mod hash;
mod manifest;
mod rejection;

pub use failure::{ExtensionFailure, FailureCode};
pub use hash::{ExtensionHash, NotAHash};
pub use manifest::{
    ABI_VERSION, Access, Capability, EventKind, Manifest, ManifestError, Subscription, Trigger,
};
pub use rejection::{RegistryError, Rejection, Rule};
