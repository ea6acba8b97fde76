//! How a replica starts: from what its storage kept, or without a memory.
//!
//! A replica that never ran may vote at once; one that lost its memory would
//! contradict what it said before and asks the others for a new incarnation first
//! (docs/decisions/012-ordered-rejoin.md). Nothing that peers say can tell the two
//! apart while some of them lie, so the set-up of a cluster leaves a mark beside the
//! storage, which is used up before the first vote leaves.

use std::collections::BTreeMap;

use bezant_bft::{
    effects::Record,
    ids::SeqNo,
    rejoin::{IncarnationTable, split_state},
    replica::Replica,
    service::Service as _,
    state::{BadSnapshot, State},
};
use bezant_kernel::Kernel;

use crate::driver::{Config, Driver};

/// What a replica's storage kept of earlier runs.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Records in the order they were written. Those of stable checkpoints whose state is
    /// missing are left out: whoever reads them starts from the state.
    pub records: Vec<Record>,
    /// The state at the newest stable checkpoint among the records, and its number.
    pub snapshot: Option<(SeqNo, State)>,
    /// States at later checkpoints, which this replica reached and may have voted on, but
    /// which it had not heard to be stable. Peers may have: these are here to be fetched by
    /// whoever proves to need them.
    pub later: Vec<(SeqNo, State)>,
}

/// Whether a replica that starts can know what it said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// It never said anything, and has the leave to vote without records.
    NeverRan,
    /// It can. If its leave to vote without records is still there, it must be used up before
    /// it starts: it repeats old votes without a new record, and the leave must not outlive
    /// the old ones.
    Whole,
    /// It cannot: before anything else a new [`Record::IncarnationNonce`] must become durable.
    Lost,
}

/// What a replica knows of earlier runs, if its storage kept `records` and it has the leave
/// of a `first_start`.
#[must_use]
pub const fn memory(records: &[Record], first_start: bool) -> Memory {
    match (records.is_empty(), first_start) {
        (false, _) => Memory::Whole,
        (true, true) => Memory::NeverRan,
        (true, false) => Memory::Lost,
    }
}

/// Why a replica does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The kept state cannot be read.
    #[error(transparent)]
    Snapshot(#[from] BadSnapshot),
    /// The key is not the one that the cluster lists for this replica.
    #[error("the key is not the one listed for this replica")]
    NotAMember,
}

impl Driver {
    /// Starts a replica from what its storage `kept`. With `first_start` ([`Memory::NeverRan`])
    /// it votes although nothing was kept, and has that leave used up before its first vote
    /// leaves.
    ///
    /// # Errors
    /// [`StartError`] if it cannot start with these.
    pub fn start(config: Config, kept: Kept, first_start: bool) -> Result<Self, StartError> {
        let mut kernel = Kernel::new(config.genesis.clone());
        let mut snapshots: BTreeMap<_, _> = kept.later.into_iter().collect();
        let mut incarnations = IncarnationTable::default();
        if let Some((seq_no, state)) = kept.snapshot {
            let (of_state, service) = split_state(&state)?;
            kernel.restore(&service.content())?;
            incarnations = of_state;
            snapshots.insert(seq_no, state);
        }
        let mut replica = Replica::recover(
            config.replica,
            config.key.clone(),
            config.keyring.clone(),
            config.genesis.checkpoint_interval,
            config.tuning,
            config.durability,
            incarnations,
            kept.records,
        )
        .ok_or(StartError::NotAMember)?;
        replica.expect(kernel.time(), kernel.due());
        Ok(Self::with(config, replica, kernel, snapshots, first_start))
    }
}
