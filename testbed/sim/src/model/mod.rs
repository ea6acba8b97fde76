//! A deliberately dumb twin of the service, to compare the real one with.
//!
//! Vectors and linear scans, no index, no undo, no sharing of code with the
//! service but for what a template means. [`Service`] replays the agreed log;
//! [`Spaces`] is its tuple space, which the check of client histories uses alone: the
//! [model](bezant_model) that the space's own property tests have too, with rights and
//! extensions around it.

mod access;
mod extensions;
pub(crate) mod group;
mod service;
mod spaces;

pub use extensions::{fuel_is_possible, without_fuel};
pub use service::{Passed, Performed, Service};
pub use spaces::Spaces;
