//! Bounds of one session's memory.

/// Answered requests remembered, so that late answers which differ are noticed.
pub const MAX_SETTLED: usize = 256;

/// Lies of one replica that are proven with signatures; later ones are only counted.
pub const MAX_EVIDENCE_PER_REPLICA: u64 = 8;

/// Lies looked into at a time.
pub const MAX_INVESTIGATIONS: usize = 8;
