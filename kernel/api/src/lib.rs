//! The interface of the service: calls, answers, refusals, manifests, genesis.
//!
//! A client and a replica share nothing else above the ordering protocol: a
//! [`Call`] is the operation of an ordered request, an [`Answer`] is the result
//! in its reply, and both travel in the one canonical encoding of [`codec`].
//! Ordering (bezant-bft) sees only the bytes; the service (bezant-kernel)
//! decodes the call and encodes the answer, the client library does the
//! reverse. Extensions are described to the service by a [`Manifest`], which the engine knows
//! too and which stands below both (bezant-manifest).

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

mod access;
mod call;
mod genesis;
mod group;
mod installed;
mod refused;

pub use access::{AdminCommand, Lists, NoRight, Permissions, Right, SpaceInfo};
pub use bezant_codec as codec;
pub use bezant_manifest::{
    ABI_VERSION, Access, Capability, EventKind, ExtensionFailure, ExtensionHash, FailureCode,
    Manifest, ManifestError, Rejection, Rule, Subscription, Trigger,
};
pub use bezant_tuplespace::{Audience, GroupName, Principal};
pub use call::{Answer, Call};
pub use genesis::Genesis;
pub use group::{Act, Condition, Group, Step};
pub use installed::Installed;
pub use refused::Refused;
