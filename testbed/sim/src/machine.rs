//! One machine: a replica, its service, its storage and what waits at its door.

use std::collections::{BTreeMap, VecDeque};

use bezant_bft::{
    crypto::{Checker, SigningKey},
    effects::{PersistId, Record, To},
    ids::{Clock, Instant, OrderedTime, ReplicaId, SeqNo},
    message::{PeerMessage, ReplicaMessage, Signed, Vote},
    replica::Replica,
};
use bezant_kernel::Kernel;
use bytes::Bytes;

use crate::{
    adversaries::{Kind, Strategy},
    options::MS,
};

/// The time of day at virtual time 0.
const DAWN_MS: u64 = 1_700_000_000_000;

/// What lies at a machine's door until it turns to it.
#[derive(Debug)]
pub(crate) enum Incoming {
    Frame { from: ReplicaId, bytes: Bytes },
    Client { client: usize, bytes: Bytes },
    LinkUp(ReplicaId),
    Commits(Vec<Signed<Vote>>),
}

/// What leaves a machine, perhaps later.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Peers {
        to: To,
        message: PeerMessage,
    },
    Client {
        client: usize,
        message: ReplicaMessage,
    },
}

/// Records in the order written, and how far they would survive.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) records: VecDeque<(PersistId, Record)>,
    pub(crate) written: PersistId,
    pub(crate) durable: PersistId,
}

/// One machine.
pub(crate) struct Machine {
    pub(crate) id: ReplicaId,
    pub(crate) key: SigningKey,
    pub(crate) replica: Replica,
    pub(crate) kernel: Kernel,
    pub(crate) checker: Checker,
    pub(crate) disk: Disk,
    /// States after checkpoints from the last stable one on.
    pub(crate) snapshots: BTreeMap<SeqNo, Bytes>,
    pub(crate) inbox: Vec<Incoming>,
    /// Whether a turn is planned.
    pub(crate) awake: bool,
    /// What waits for the disk, in order.
    pub(crate) outbox: VecDeque<(PersistId, Outgoing)>,
    /// Counts restarts: what was planned in an earlier life does not happen.
    pub(crate) life: u32,
    pub(crate) up: bool,
    pub(crate) frozen: bool,
    pub(crate) strategy: Option<(Kind, Box<dyn Strategy>)>,
    /// When the earliest planned timer fires.
    pub(crate) timer: Option<u64>,
    pub(crate) booted_at: u64,
    /// The clock's rate, in thousandths of true time.
    pub(crate) rate_permille: u64,
    pub(crate) skew_ms: i64,
}

impl Machine {
    /// Whether it follows the protocol.
    pub(crate) fn is_correct(&self) -> bool {
        self.strategy.is_none()
    }

    /// Whether it takes turns.
    pub(crate) const fn runs(&self) -> bool {
        self.up && !self.frozen
    }

    /// What its clocks show at virtual time `now`.
    pub(crate) fn clock(&self, now: u64) -> Clock {
        let elapsed_us = now.saturating_sub(self.booted_at) * self.rate_permille / 1000;
        let wall_ms = DAWN_MS + now * self.rate_permille / 1000 / MS;
        Clock {
            monotonic: Instant(elapsed_us),
            wall: OrderedTime(wall_ms.saturating_add_signed(self.skew_ms)),
        }
    }

    /// The virtual time at which its timer is due.
    pub(crate) fn due(&self) -> Option<u64> {
        let at = self.replica.next_timeout()?.0;
        Some(self.booted_at + (at * 1000).div_ceil(self.rate_permille))
    }

    /// The last number its service executed.
    pub(crate) const fn executed(&self) -> SeqNo {
        self.replica.executed()
    }
}

/// The number a record is about.
pub(crate) fn number_of(record: &Record) -> SeqNo {
    match record {
        Record::PrePrepare(message) => message.vote.body.number,
        Record::Prepare(vote) | Record::Commit { vote, .. } => vote.body.number,
        Record::Stable(votes) => votes
            .first()
            .map(|vote| vote.body.number)
            .unwrap_or_default(),
        // Kept for ever: they say which views are over.
        Record::ViewChange(_) | Record::NewView(_) => SeqNo(u64::MAX),
    }
}
