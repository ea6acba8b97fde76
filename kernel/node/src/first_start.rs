//! Tells a replica that never ran from one that lost its memory.
//!
//! Both begin without records. The first may vote at once; the second would
//! contradict what it said before, and has to begin a new incarnation
//! (docs/decisions/012-ordered-rejoin.md). Nothing that peers say can tell the
//! two apart while some of them lie, so the set-up of a cluster leaves a
//! marker in every data folder, which is used up before the replica's first
//! vote is sent. A folder with neither marker nor records was emptied, or kept
//! nothing, or is a new disk.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use crate::storage::JOURNAL_FOLDER;

const NAME: &str = "first-start";

/// Why a replica does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FirstStartError {
    /// It ran before with a journal, and is to run without.
    #[error(
        "this replica has a journal in {0}: without it, it would have to begin a new incarnation; \
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

fn unusable(folder: &Path) -> impl Fn(io::Error) -> FirstStartError {
    move |error| FirstStartError::Folder {
        folder: folder.display().to_string(),
        error,
    }
}

/// The leave to vote without a memory, in a data folder; good for one start.
#[derive(Debug)]
pub struct FirstStart(PathBuf);

impl FirstStart {
    /// Makes the data folder of a replica that never ran.
    ///
    /// # Errors
    /// [`FirstStartError`] if it cannot be made.
    pub fn grant(folder: &Path) -> Result<(), FirstStartError> {
        fs::create_dir_all(folder).map_err(unusable(folder))?;
        let file = File::create(folder.join(NAME)).map_err(unusable(folder))?;
        file.sync_all().map_err(unusable(folder))
    }

    /// The leave in `folder`, if it was not used up.
    ///
    /// # Errors
    /// [`FirstStartError`] if the folder cannot be read.
    pub fn find(folder: &Path) -> Result<Option<Self>, FirstStartError> {
        let there = folder.join(NAME).try_exists().map_err(unusable(folder))?;
        Ok(there.then(|| Self(folder.to_owned())))
    }

    /// Uses the leave up, for good when this returns.
    ///
    /// # Errors
    /// The system's, if the folder cannot be written; the replica must not vote then.
    pub fn use_up(self) -> io::Result<()> {
        match fs::remove_file(self.0.join(NAME)) {
            Ok(()) => File::open(&self.0)?.sync_all(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Makes sure that there is no journal in `folder`.
///
/// # Errors
/// [`FirstStartError`] if there is one.
pub fn refuse_journal(folder: &Path) -> Result<(), FirstStartError> {
    let journal = folder.join(JOURNAL_FOLDER);
    if journal.try_exists().map_err(unusable(folder))? {
        return Err(FirstStartError::HasJournal(journal.display().to_string()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leave_is_good_until_it_is_used_up() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        assert!(FirstStart::find(&data).unwrap().is_none());
        FirstStart::grant(&data).unwrap();
        // It stopped before it said anything.
        let leave = FirstStart::find(&data).unwrap().unwrap();
        drop(leave);
        let leave = FirstStart::find(&data).unwrap().unwrap();
        leave.use_up().unwrap();
        assert!(FirstStart::find(&data).unwrap().is_none());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = FirstStart::grant(&file).unwrap_err();
        assert!(matches!(error, FirstStartError::Folder { .. }), "{error}");
        refuse_journal(folder.path()).unwrap();
        fs::create_dir(folder.path().join(JOURNAL_FOLDER)).unwrap();
        let error = refuse_journal(folder.path()).unwrap_err();
        assert!(matches!(error, FirstStartError::HasJournal(_)), "{error}");
    }
}
