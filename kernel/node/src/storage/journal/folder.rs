//! The journal's folder: whose it is, who has it open, and how files appear in it.
//!
//! ```text
//! data/lock                  held by the process that uses the folder
//! data/journal/identity      which replica of which cluster, and the folder's salt
//! data/journal/log-NNNN…     segments of the log
//! data/journal/snapshot-NNN… the state at a checkpoint
//! ```
//! A file gets its name only when its content is durable, so that whatever has a
//! name is whole; what a crash left half made is called `….new` and removed.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use bezant_bft::ids::{ClusterId, ReplicaId};
use bezant_codec::hex::{from_hex, to_hex};
use serde::{Deserialize, Serialize};

use super::super::StorageError;

/// The journal's folder inside a data folder.
pub const JOURNAL_FOLDER: &str = "journal";

/// Ends the names of files that are being made.
pub(super) const UNFINISHED: &str = ".new";

/// How much of a file that has many pieces is written at a time.
const WRITE_BYTES: usize = 1 << 18;

const LOCK: &str = "lock";
const IDENTITY: &str = "identity";
const VERSION: u32 = 1;

/// Whose a journal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The replica.
    pub replica: ReplicaId,
}

/// The identity's file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityFile {
    version: u32,
    cluster: String,
    replica: u8,
    /// Under every seal: bytes that came from elsewhere, or from a client, prove nothing.
    salt: String,
}

/// An open journal folder, locked until dropped.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) salt: [u8; 16],
    /// Held for its lock.
    _lock: File,
}

impl Folder {
    /// Opens the journal in the data folder `data`, or makes one; `first` fills a new one.
    pub(super) fn open(
        data: &Path,
        identity: Identity,
        first: impl FnOnce(&Self) -> Result<(), StorageError>,
    ) -> Result<Self, StorageError> {
        fs::create_dir_all(data).map_err(StorageError::unusable(data))?;
        let lock = lock(data)?;
        let path = data.join(JOURNAL_FOLDER);
        if path.try_exists().map_err(StorageError::unusable(&path))? {
            let salt = read_identity(&path, identity)?;
            let folder = Self {
                path,
                salt,
                _lock: lock,
            };
            folder.remove_unfinished()?;
            return Ok(folder);
        }
        let salt = fresh_salt().map_err(StorageError::unusable(&path))?;
        let unfinished = data.join(format!("{JOURNAL_FOLDER}{UNFINISHED}"));
        let failed = |error| StorageError::unusable(&unfinished)(error);
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        fs::create_dir(&unfinished).map_err(failed)?;
        let mut folder = Self {
            path: unfinished.clone(),
            salt,
            _lock: lock,
        };
        first(&folder)?;
        folder.write(IDENTITY, &[identity_text(identity, salt).as_bytes()])?;
        fs::rename(&unfinished, &path)
            .and_then(|()| sync_folder(data))
            .map_err(StorageError::unusable(&path))?;
        folder.path = path;
        Ok(folder)
    }

    /// Writes the durable file `name`.
    pub(super) fn write(&self, name: &str, parts: &[&[u8]]) -> Result<(), StorageError> {
        let path = self.path.join(format!("{name}{UNFINISHED}"));
        let write = || {
            let mut file = BufWriter::with_capacity(WRITE_BYTES, File::create(&path)?);
            for part in parts {
                file.write_all(part)?;
            }
            file.into_inner()?.sync_all()
        };
        write().map_err(StorageError::unusable(&path))?;
        self.finish(&path, name)
    }

    /// Gives a durable file its name, durably.
    pub(super) fn finish(&self, unfinished: &Path, name: &str) -> Result<(), StorageError> {
        let path = self.path.join(name);
        fs::rename(unfinished, &path)
            .and_then(|()| sync_folder(&self.path))
            .map_err(StorageError::unusable(&path))
    }

    /// Takes a file's name away, durably: files go in the order they came.
    pub(super) fn remove(&self, name: &str, to: Option<&Path>) -> Result<(), StorageError> {
        let path = self.path.join(name);
        to.map_or_else(|| fs::remove_file(&path), |to| fs::rename(&path, to))
            .and_then(|()| sync_folder(&self.path))
            .map_err(StorageError::unusable(&path))
    }

    /// The numbers in the names of the files called `prefix` and a number, ascending.
    pub(super) fn numbered(&self, prefix: &str) -> Result<Vec<u64>, StorageError> {
        let mut numbers = Vec::new();
        for name in self.names()? {
            let digits = name.strip_prefix(prefix);
            numbers.extend(digits.and_then(|digits| digits.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn names(&self) -> Result<Vec<String>, StorageError> {
        let list = || {
            fs::read_dir(&self.path)?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<io::Result<Vec<_>>>()
        };
        list().map_err(StorageError::unusable(&self.path))
    }

    fn remove_unfinished(&self) -> Result<(), StorageError> {
        for name in self.names()? {
            if name.ends_with(UNFINISHED) {
                let path = self.path.join(name);
                fs::remove_file(&path).map_err(StorageError::unusable(&path))?;
            }
        }
        Ok(())
    }
}

fn lock(data: &Path) -> Result<File, StorageError> {
    let path = data.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(StorageError::unusable(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StorageError::InUse(data.to_owned())),
        Err(TryLockError::Error(error)) => Err(StorageError::unusable(&path)(error)),
    }
}

fn fresh_salt() -> io::Result<[u8; 16]> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(salt)
}

fn identity_text(identity: Identity, salt: [u8; 16]) -> String {
    let file = IdentityFile {
        version: VERSION,
        cluster: to_hex(&identity.cluster.0),
        replica: identity.replica.0,
        salt: to_hex(&salt),
    };
    // Texts and numbers have no failing spelling.
    toml::to_string(&file).unwrap_or_default()
}

/// The salt of the journal in `folder`, which must be `identity`'s.
fn read_identity(folder: &Path, identity: Identity) -> Result<[u8; 16], StorageError> {
    let path = folder.join(IDENTITY);
    let text = fs::read_to_string(&path).map_err(StorageError::unusable(&path))?;
    let damaged = || StorageError::Damaged {
        file: path.clone(),
        at: 0,
        why: "this is no journal's identity",
    };
    let file: IdentityFile = toml::from_str(&text).map_err(|_| damaged())?;
    if file.version != VERSION {
        return Err(StorageError::Damaged {
            file: path.clone(),
            at: 0,
            why: "this build does not know the journal's version",
        });
    }
    let theirs = file.replica != identity.replica.0;
    if theirs || file.cluster != to_hex(&identity.cluster.0) {
        return Err(StorageError::Foreign {
            folder: folder.parent().unwrap_or(folder).to_owned(),
            replica: ReplicaId(file.replica),
            cluster: file.cluster,
        });
    }
    from_hex(&file.salt).ok_or_else(damaged)
}

/// Makes the names in a folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Other systems do not open folders as files, and need not.
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}
