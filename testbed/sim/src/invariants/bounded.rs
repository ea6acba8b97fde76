//! Nothing grows without end: pools, records, snapshots, messages held back, what is kept of one
//! peer in bytes; and no peer is sent more than its budget because it asks.

use std::collections::BTreeMap;

use bezant_bft::{
    effects::To,
    ids::ReplicaId,
    limits::{
        MAX_CLAIM_BYTES_PER_REPLICA, MAX_EARLY_BYTES_PER_REPLICA, MAX_NAMED_PER_REPLICA,
        MAX_POOL_REQUESTS, MAX_PROPOSAL_BYTES, MAX_UNDELIVERED_BYTES, WATERMARK_INTERVALS,
    },
    message::PeerMessage,
};

use super::{Common, Fact, Invariant};
use crate::options::MS;

/// Records a number may leave in one view: its proposal, a prepare and a commit.
const RECORDS_PER_NUMBER: u64 = 3;

/// Views whose votes for one number may be on record at a time, and what view changes
/// leave themselves. Far more than a healthy run has.
const VIEWS: u64 = 16;

/// Messages held back until storage is done.
const MAX_HELD: usize = 20_000;

/// How long the bytes sent to one peer are summed up, in microseconds.
const WINDOW_US: u64 = 2000 * MS;

/// Seconds' worth of a budget that may leave in a window: those of the window, and what waited for
/// storage before it.
const SECONDS: usize = 4;

/// Bursts that may leave in a window: a replica that restarts has forgotten what it sent.
const BURSTS: usize = 4;

/// What was sent to one peer alone.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    begun_us: u64,
    bytes: usize,
}

/// Looks at sizes.
#[derive(Debug, Default)]
pub(super) struct BoundedMemory {
    sent: BTreeMap<(ReplicaId, ReplicaId), Window>,
}

/// A size, and how large it may be.
struct Size {
    what: &'static str,
    is: usize,
    most: usize,
}

impl BoundedMemory {
    /// Counts a message to one replica.
    fn count(&mut self, from: ReplicaId, to: ReplicaId, at_us: u64, bytes: usize) -> usize {
        let window = self.sent.entry((from, to)).or_default();
        if at_us >= window.begun_us + WINDOW_US {
            (window.begun_us, window.bytes) = (at_us, 0);
        }
        window.bytes += bytes;
        window.bytes
    }
}

impl Invariant for BoundedMemory {
    fn name(&self) -> &'static str {
        "bounded-memory"
    }

    fn observe(&mut self, fact: &Fact<'_>, common: &mut Common) -> Result<(), String> {
        let size = |what, is, most| Size { what, is, most };
        let (by, sizes) = match fact {
            Fact::Sent {
                by,
                to: To::Replica(to),
                at_us,
                message,
                ..
            } if is_answer(message) => {
                let bytes = self.count(*by, *to, *at_us, message.cost_bytes());
                let tuning = &common.tuning;
                // One message may overdraw it, and small ones end each answer.
                let most = BURSTS * tuning.answer_burst_bytes
                    + SECONDS * tuning.answer_bytes_per_second
                    + MAX_PROPOSAL_BYTES / 4;
                (by, vec![size("bytes sent to one that asks", bytes, most)])
            }
            Fact::Stepped {
                by,
                records,
                pooled,
                snapshots,
                held,
                of_peer,
                undelivered,
                ..
            } => {
                let numbers = common.interval * WATERMARK_INTERVALS * 3;
                let most_records = numbers * RECORDS_PER_NUMBER * VIEWS;
                let most_records = usize::try_from(most_records).unwrap_or(usize::MAX);
                let intervals = usize::try_from(WATERMARK_INTERVALS * 3).unwrap_or(usize::MAX);
                // Decided numbers that wait for one below them may be carried over.
                let most_undelivered = MAX_UNDELIVERED_BYTES + 8 * MAX_PROPOSAL_BYTES;
                let sizes = vec![
                    size("records", *records, most_records),
                    size("pooled requests", *pooled, MAX_POOL_REQUESTS),
                    size("snapshots", *snapshots, intervals),
                    size("messages held back", *held, MAX_HELD),
                    size(
                        "bytes of one peer's claims",
                        of_peer.claims,
                        MAX_CLAIM_BYTES_PER_REPLICA,
                    ),
                    size(
                        "bytes of one peer for views to come",
                        of_peer.early,
                        MAX_EARLY_BYTES_PER_REPLICA,
                    ),
                    size(
                        "view changes of one peer that are named",
                        of_peer.named,
                        MAX_NAMED_PER_REPLICA,
                    ),
                    size(
                        "bytes that are not executed",
                        *undelivered,
                        most_undelivered,
                    ),
                ];
                (by, sizes)
            }
            _ => return Ok(()),
        };
        match sizes.iter().find(|size| size.is > size.most) {
            Some(Size { what, is, most }) => {
                Err(format!("replica {by}: {is} {what}, more than {most}"))
            }
            None => Ok(()),
        }
    }
}

/// Whether a message to one replica is what that one asked for, and not a request or a question
/// of the sender's own.
const fn is_answer(message: &PeerMessage) -> bool {
    !matches!(
        message,
        PeerMessage::Forward(_)
            | PeerMessage::Rejoin(_)
            | PeerMessage::Status(_)
            | PeerMessage::AskState(_)
            | PeerMessage::AskProposals(_)
    )
}
