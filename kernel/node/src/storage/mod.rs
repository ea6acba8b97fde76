//! Where records and states are made durable.
//!
//! [`Journal`] is the log of records on disk, [`SnapshotWriter`] writes the states
//! at checkpoints beside it, and [`StorageThreads`] runs both away from the event
//! loop, which hands over work and is told when it is durable. What may leave when
//! is decided by the driver (`bezant_replica`), not here. A replica that keeps
//! nothing has none of this: it forgets what it said with its process, and asks
//! for a new incarnation when it starts again (see [`crate::first_start`]).

mod journal;
mod threads;

use std::{
    io,
    path::{Path, PathBuf},
};

use bezant_bft::{ids::ReplicaId, record::RecordError};

pub use journal::{Identity, JOURNAL_FOLDER, Journal, SnapshotWriter};
pub(crate) use threads::{Completion, StorageThreads};

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
