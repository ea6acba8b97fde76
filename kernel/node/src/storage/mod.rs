//! Where votes are made durable before they are sent.
//!
//! The event loop appends the records of a turn and then asks once for them to
//! be durable; only after that do the messages leave that wait for them. There
//! are two implementations. [`MemoryStorage`] forgets everything with the
//! process: a replica that stops has forgotten what it said, and begins a new life
//! when it starts again (see [`crate::first_start`]).
//! [`Journal`] keeps records and the snapshot of a stable checkpoint on disk,
//! and a replica comes back with what it had.

mod journal;
mod memory;

use std::{
    io,
    path::{Path, PathBuf},
};

use bezant_bft::{
    effects::{PersistId, Record},
    ids::{ReplicaId, SeqNo},
    record::RecordError,
    state::State,
};

pub use journal::{Identity, JOURNAL_FOLDER, Journal};
pub use memory::MemoryStorage;

/// Why records are not durable, or not to be had again. A replica that meets it stops:
/// it never tries again, since what a failed sync left on the disk is unknown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The device said no.
    #[error(
        "the replica's records could not be made durable: {0}; replace the disk and the replica"
    )]
    Io(#[from] io::Error),
    /// An earlier write or sync failed.
    #[error(
        "an earlier failure left the replica's records in doubt; replace the disk and the replica"
    )]
    InDoubt,
    /// A file or folder of the data folder cannot be used.
    #[error("{path} cannot be used: {error}; check that it exists and may be read and written")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another process has the data folder.
    #[error(
        "the data folder {0} is in use by another process; stop that one, or give each replica a folder of its own"
    )]
    InUse(PathBuf),
    /// The data folder is another replica's.
    #[error(
        "the data folder {folder} belongs to replica {replica} of cluster {cluster}, not to this one; \
         set `data` to this replica's own folder"
    )]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// Whose it is.
        replica: ReplicaId,
        /// The cluster's identity, in hexadecimal.
        cluster: String,
    },
    /// What was durable is so no more.
    #[error(
        "{file} is damaged at byte {at}: {why}; the replica must not vote without what it said before: \
         replace the disk, and keep the folder for inspection"
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where in it.
        at: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// A record is whole and yet none of this build's.
    #[error("{file} holds a record that cannot be used: {error}; run the build that wrote it")]
    Record {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        error: RecordError,
    },
}

impl StorageError {
    /// Makes an error of the operating system one about `path`.
    fn unusable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Unusable { path, error }
    }
}

/// What a storage had when it was opened.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Records in the order they were appended. Those of stable checkpoints without a
    /// snapshot are left out: whoever reads them starts from the snapshot.
    pub records: Vec<Record>,
    /// The state at the newest stable checkpoint among the records, and its number.
    pub snapshot: Option<(SeqNo, State)>,
    /// States at later checkpoints, which this replica reached and may have voted on, but
    /// which it had not heard to be stable. Peers may have: these are here to be fetched by
    /// whoever proves to need them.
    pub later: Vec<(SeqNo, State)>,
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

    /// Returns when every record appended and the state at the checkpoint `number` are durable.
    ///
    /// # Errors
    /// [`StorageError`]; the replica must stop.
    fn save_snapshot(&mut self, number: SeqNo, state: &State) -> Result<(), StorageError>;

    /// Lets go of records about numbers up to `below`, as far as a durable snapshot
    /// takes their place.
    ///
    /// # Errors
    /// [`StorageError`]; the replica must stop.
    fn truncate(&mut self, below: SeqNo) -> Result<(), StorageError>;

    /// What there was before this start; handed out once.
    ///
    /// # Errors
    /// [`StorageError`] if it cannot be read; the replica must not start.
    fn load(&mut self) -> Result<Recovered, StorageError>;

    /// Records held.
    fn len(&self) -> usize;

    /// Whether nothing is held.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
