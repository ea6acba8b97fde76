//! The command line as its users meet it: the real binary, its streams and exit
//! codes, clusters in one process and in several, and the documents that show it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

mod access;
mod attacks;
mod audit;
mod bench;
mod contract;
mod documents;
mod ext;
mod fixture;
mod hold;
mod processes;
mod shell;
mod transcripts;
