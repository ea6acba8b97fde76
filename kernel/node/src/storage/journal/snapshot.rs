//! The file of a snapshot: the service's state at one checkpoint, with its digest.

use std::{fs, path::PathBuf};

use bezant_bft::{crypto::digest, ids::SeqNo};

use super::{super::StorageError, folder::Folder};

const MAGIC: &[u8; 8] = b"bezant\0\x02";

/// Begins the names of snapshots.
pub(super) const PREFIX: &str = "snapshot-";

/// The name of the snapshot of `number`.
pub(super) fn name(number: SeqNo) -> String {
    format!("{PREFIX}{:020}", number.0)
}

fn seal(number: SeqNo, snapshot: &[u8]) -> [u8; 32] {
    digest("bezant snapshot file", &[&number.0.to_le_bytes(), snapshot]).0
}

/// Writes the durable snapshot of `number`.
pub(super) fn write(folder: &Folder, number: SeqNo, snapshot: &[u8]) -> Result<(), StorageError> {
    let seal = seal(number, snapshot);
    folder.write(&name(number), &[MAGIC, &seal, snapshot])
}

/// Reads the snapshot of `number`.
pub(super) fn read(folder: &Folder, number: SeqNo) -> Result<Vec<u8>, StorageError> {
    let file: PathBuf = folder.path.join(name(number));
    let mut bytes = fs::read(&file).map_err(StorageError::unusable(&file))?;
    let head = MAGIC.len() + 32;
    let snapshot = bytes.split_off(head.min(bytes.len()));
    let expected = [&MAGIC[..], &seal(number, &snapshot)].concat();
    if bytes == expected {
        Ok(snapshot)
    } else {
        let why = "the snapshot is not the one that was written";
        Err(StorageError::Damaged { file, at: 0, why })
    }
}
