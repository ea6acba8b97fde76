//! Linearizability, checked twice: with the agreed order and without it.
//!
//! A [`History`] is what clients saw, and nothing else; a run of real processes
//! can fill one just as the simulator does. [`witness`] takes the agreed order
//! as a claim and checks it in one pass; it is exact and tells what is wrong.
//! [`blackbox`] knows no order and searches for one, so it would notice if the
//! order itself were told to please. Both let calls take effect on the
//! [`crate::model::Spaces`] alone ([`turn`]).

pub mod blackbox;
mod history;
mod turn;
pub mod witness;

pub use history::{History, Key, Seen};
