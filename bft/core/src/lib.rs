//! PBFT ordering as a pure state machine: no I/O, no clock, no async.

pub mod codec;
pub mod crypto;
pub mod ids;
