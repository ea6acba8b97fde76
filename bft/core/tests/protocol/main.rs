//! The normal case of PBFT under every rule that can be broken: one replica
//! driven by hand, and whole clusters on a hostile network. One file a subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

#[path = "../common/mod.rs"]
mod common;

mod agreement;
mod answers;
mod batching;
mod bounds;
mod catch_up;
mod checkpoints;
mod clocks;
mod commits;
mod decisions;
mod durability;
mod equivocation;
mod evidence;
mod fairness;
mod hoarded;
mod incarnations;
mod kept;
mod led_after_restarts;
mod pending_view;
mod proofs;
mod rejoin;
mod requests;
mod stalls;
mod states;
mod suspicion;
mod time;
mod transfer;
mod view_change;
mod votes;
mod window;
