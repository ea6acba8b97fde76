//! One client session as a pure state machine: votes, retransmission, evidence.
//!
//! A [`Session`] signs requests, says to whom they go, counts what replicas
//! answer, and accepts a value only when f+1 of them said the same. It does no
//! I/O and reads no clock: bezant-client drives it over QUIC, the simulator
//! over nothing.
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

mod ballot;
pub mod limits;
mod session;

pub use ballot::Accepted;
pub use session::{Cluster, Config, Event, Failure, Session, Submit, Target, Token};
