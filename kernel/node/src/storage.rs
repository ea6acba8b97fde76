//! Where votes are made durable before they are sent.
//!
//! The event loop appends the records of a turn and then asks once for them to
//! be durable; only after that do the messages leave that wait for them. The
//! only implementation for now keeps records in memory: a replica that stops
//! has forgotten what it said, must not take part again, and the node refuses
//! to start a second time (see [`crate::marker`]). A journal on disk takes its
//! place behind the same trait.

use std::collections::VecDeque;

use bezant_bft::{
    effects::{PersistId, Record},
    ids::SeqNo,
};

/// Why records are not durable. A replica that meets it stops: it never tries again,
/// since what a failed sync left on the disk is unknown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The device said no.
    #[error(
        "the replica's records could not be made durable: {0}; replace the disk and the replica"
    )]
    Io(#[from] std::io::Error),
}

/// A place for records.
pub trait Storage: Send {
    /// Takes a record; it need not be durable yet.
    ///
    /// # Errors
    /// [`StorageError`]; the replica must stop.
    fn append(&mut self, id: PersistId, record: Record) -> Result<(), StorageError>;

    /// Returns when every record appended is durable.
    ///
    /// # Errors
    /// [`StorageError`]; the replica must stop.
    fn sync(&mut self) -> Result<(), StorageError>;

    /// Forgets records about numbers up to `below`.
    fn truncate(&mut self, below: SeqNo);

    /// Records held.
    fn len(&self) -> usize;

    /// Whether nothing is held.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Records in memory, bounded by the truncation at stable checkpoints.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    records: VecDeque<(SeqNo, Record)>,
}

fn number(record: &Record) -> SeqNo {
    match record {
        Record::PrePrepare(message) => message.vote.body.number,
        Record::Prepare(vote) | Record::Commit { vote, .. } => vote.body.number,
        Record::Stable(votes) => votes.first().map_or(SeqNo(0), |vote| vote.body.number),
    }
}

impl Storage for MemoryStorage {
    fn append(&mut self, _id: PersistId, record: Record) -> Result<(), StorageError> {
        self.records.push_back((number(&record), record));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        Ok(())
    }

    fn truncate(&mut self, below: SeqNo) {
        self.records.retain(|(number, _)| *number > below);
    }

    fn len(&self) -> usize {
        self.records.len()
    }
}
