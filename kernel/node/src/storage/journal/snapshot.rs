//! The file of a snapshot: the state at one checkpoint, with its digest.

use std::{fs, path::PathBuf, sync::Arc};

use bezant_bft::{crypto::digest, ids::SeqNo, state::State};

use super::{super::StorageError, folder::Folder};

const MAGIC: &[u8; 8] = b"bezant\0\x03";

/// Begins the names of snapshots.
pub(super) const PREFIX: &str = "snapshot-";

/// The name of the snapshot of `number`.
pub(super) fn name(seq_no: SeqNo) -> String {
    format!("{PREFIX}{:020}", seq_no.0)
}

/// The state's own digest is of all its bytes, and most of that is known.
fn seal(seq_no: SeqNo, state: &State) -> [u8; 32] {
    let parts = [&seq_no.0.to_le_bytes()[..], &state.digest().0];
    digest("bezant snapshot file", &parts).0
}

/// Writes states beside the log, each into a file of its own, on a thread of its own: a large
/// one takes long, and votes must not wait for it.
#[derive(Debug)]
pub struct SnapshotWriter {
    folder: Arc<Folder>,
}

impl SnapshotWriter {
    pub(super) const fn new(folder: Arc<Folder>) -> Self {
        Self { folder }
    }

    /// Returns when the state at the checkpoint `number` is durable. One that an earlier run
    /// wrote may differ, if its machine erred; this one takes its place.
    ///
    /// # Errors
    /// [`StorageError`]; the replica must stop.
    pub fn write(&self, seq_no: SeqNo, state: &State) -> Result<(), StorageError> {
        let (seal, pieces) = (seal(seq_no, state), state.pieces());
        let head = [&MAGIC[..], &seal];
        let pieces = pieces.iter().map(|piece| &piece[..]);
        let all: Vec<&[u8]> = head.into_iter().chain(pieces).collect();
        self.folder.write(&name(seq_no), &all)
    }
}

/// Reads the snapshot of `number`.
pub(super) fn read(folder: &Folder, seq_no: SeqNo) -> Result<State, StorageError> {
    let file: PathBuf = folder.path.join(name(seq_no));
    let mut bytes = fs::read(&file).map_err(StorageError::unusable(&file))?;
    let head = MAGIC.len() + 32;
    let state = State::decode(&bytes.split_off(head.min(bytes.len()))).ok();
    let is_whole = |state: &State| bytes == [&MAGIC[..], &seal(seq_no, state)].concat();
    let why = "the snapshot is not the one that was written";
    let damaged = StorageError::Damaged { file, at: 0, why };
    state.filter(is_whole).ok_or(damaged)
}
