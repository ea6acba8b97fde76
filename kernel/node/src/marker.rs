//! Keeps a replica that lost its memory from voting again.
//!
//! A replica that voted, stopped, and came back empty could contradict its
//! former votes and break agreement with no fault on its operator's part
//! (ordering.md, "Durability"). Until replicas rejoin in order under a new
//! incarnation, a replica with storage in memory leaves a marker in its data
//! folder at its first start and refuses a second one. The same holds when the
//! kind of storage changes: a journal knows nothing of what was said in memory,
//! and memory nothing of what is in a journal.

use std::{fs, io, path::Path};

use crate::storage::JOURNAL_FOLDER;

const NAME: &str = "voted-in-memory";

/// Why a replica does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MarkerError {
    /// It ran before.
    #[error(
        "this replica has run before and its storage kept nothing: voting again could break agreement; \
         start the whole cluster anew with fresh data folders (delete {0} on every replica)"
    )]
    RanBefore(String),
    /// It ran before with a journal, and is to run without.
    #[error(
        "this replica has a journal in {0}: voting again without it could break agreement; \
         set storage = \"sync\""
    )]
    HasJournal(String),
    /// The data folder cannot be used.
    #[error(
        "the data folder {folder} cannot be used: {error}; check that it exists and may be written"
    )]
    Folder {
        /// The folder.
        folder: String,
        /// Why.
        error: io::Error,
    },
}

/// Leaves the marker in `folder`.
///
/// # Errors
/// [`MarkerError`] if it is there already or cannot be left.
pub fn leave(folder: &Path) -> Result<(), MarkerError> {
    let unusable = |error| MarkerError::Folder {
        folder: folder.display().to_string(),
        error,
    };
    fs::create_dir_all(folder).map_err(unusable)?;
    let journal = folder.join(JOURNAL_FOLDER);
    if journal.try_exists().map_err(unusable)? {
        return Err(MarkerError::HasJournal(journal.display().to_string()));
    }
    let path = folder.join(NAME);
    match fs::File::create_new(&path) {
        Ok(file) => file.sync_all().map_err(unusable),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(MarkerError::RanBefore(path.display().to_string()))
        }
        Err(error) => Err(unusable(error)),
    }
}

/// Makes sure that there is no marker in `folder`.
///
/// # Errors
/// [`MarkerError`] if there is one.
pub fn refuse(folder: &Path) -> Result<(), MarkerError> {
    let path = folder.join(NAME);
    match path.try_exists() {
        Ok(false) => Ok(()),
        Ok(true) => Err(MarkerError::RanBefore(path.display().to_string())),
        Err(error) => Err(MarkerError::Folder {
            folder: folder.display().to_string(),
            error,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_is_refused_and_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        leave(&data).unwrap();
        let error = leave(&data).unwrap_err();
        assert!(
            matches!(&error, MarkerError::RanBefore(path) if path.contains(NAME)),
            "{error}"
        );
    }

    /// Neither kind of storage knows what was said with the other.
    #[test]
    fn a_change_of_storage_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        refuse(&folder.path().join("new")).unwrap();
        leave(folder.path()).unwrap();
        let error = refuse(folder.path()).unwrap_err();
        assert!(matches!(error, MarkerError::RanBefore(_)), "{error}");

        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(JOURNAL_FOLDER)).unwrap();
        refuse(folder.path()).unwrap();
        let error = leave(folder.path()).unwrap_err();
        assert!(matches!(error, MarkerError::HasJournal(_)), "{error}");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = leave(&file).unwrap_err();
        assert!(matches!(error, MarkerError::Folder { .. }), "{error}");
    }
}
