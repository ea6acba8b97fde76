//! PBFT ordering as a pure state machine: no I/O, no clock, no async.
//!
//! This crate decides in which order requests are executed, although up to f
//! of n >= 3f+1 replicas lie (Castro and Liskov, "Practical Byzantine Fault
//! Tolerance", OSDI 1999). It knows nothing of tuples: an operation is bytes.
//! Bytes come in as [`verification::Unverified`], are checked by a [`verification::Batch`], and go
//! through [`replica::Replica::step`], which answers with [`effects::Effect`]s.
//! bezant-quic carries the messages, bezant-node drives the step function,
//! bezant-kernel is the [`service::Service`] behind it.
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

pub mod amplification;
pub mod budget;
mod bytestring;
pub mod checkpoint;
pub mod crypto;
pub mod effects;
pub mod evidence;
pub mod ids;
pub mod invariants;
pub mod kept;
pub mod keyring;
pub mod limits;
pub mod message;
pub mod misbehaviour;
mod new_view;
mod pace;
pub mod pool;
pub mod quorum;
pub mod record;
pub mod rejoin;
pub mod replica;
pub mod service;
pub mod slot;
pub mod state;
pub mod verification;
mod verifier;

pub use bezant_codec as codec;
