//! What can be wrong with a file, and what to do about it.

use core::fmt;
use std::path::{Path, PathBuf};

use bezant_bft::limits::{MAX_CHECKPOINT_INTERVAL, MAX_REPLICAS};

/// A file that cannot be used: which one, where in it, why.
///
/// Prints as one line; [`ConfigError::next_step`] is the line a person needs next.
#[derive(Debug)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// The line in it, counted from 1, where one can be named.
    pub line: Option<usize>,
    /// The field, for example `replica[2].key`, where one can be named.
    pub field: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// It could not be read.
    Unreadable(std::io::Error),
    /// It could not be written.
    Unwritable(std::io::Error),
    /// It exists and would have been overwritten.
    Exists,
    /// It is not TOML, or not of the expected shape; the parser's own words.
    Syntax(String),
    /// The value could not be written as TOML; the writer's own words.
    Unprintable(String),
    /// A cluster file of a version this program does not know.
    Version(u32),
    /// The cluster's name is empty, too long, or has other characters than `a-z 0-9 . _ -`.
    Name(String),
    /// Fewer than four replicas or more than the largest cluster.
    ReplicaCount(usize),
    /// Replica identifiers are not 0, 1, 2, … in order.
    ReplicaOrder {
        /// The identifier this place calls for.
        expected: usize,
        /// The one that stands there.
        found: u8,
    },
    /// Not `host:port`, or port 0.
    Address(String),
    /// Not `ip:port`.
    SocketAddress(String),
    /// The same address as the named replica's.
    SameAddress(u8),
    /// Not this many bytes in hexadecimal.
    Hex {
        /// How many bytes are needed.
        bytes: usize,
    },
    /// The same key as the named replica's.
    SameKey(u8),
    /// The same client key twice.
    SameClient,
    /// A checkpoint interval of 0 or above the bound.
    CheckpointInterval(u64),
    /// A private key that others than its owner may read.
    KeyOpenToOthers {
        /// The file's permission bits.
        mode: u32,
    },
    /// A private key file that holds something else.
    NotAKey,
    /// The cluster file has no such replica.
    NoSuchReplica {
        /// The replica the node file names.
        replica: u8,
        /// How many the cluster has.
        of: usize,
    },
    /// The private key is not the one the cluster file pins for this replica.
    WrongKey {
        /// The replica the node file names.
        replica: u8,
        /// The replica whose key it is, if any.
        belongs_to: Option<u8>,
    },
    /// Storage on disk without a folder for it.
    NoData,
    /// The system gave no randomness.
    NoRandomness,
}

impl ConfigError {
    /// A problem with `file` as a whole.
    pub(crate) fn new(file: &Path, problem: Problem) -> Self {
        Self {
            file: file.to_path_buf(),
            line: None,
            field: None,
            problem,
        }
    }

    /// What a person does about it.
    #[must_use]
    pub fn next_step(&self) -> String {
        let file = self.file.display();
        match &self.problem {
            Problem::Unreadable(error) if error.kind() == std::io::ErrorKind::NotFound => {
                format!("check the path; bezant cluster init writes such files ({file} is missing)")
            }
            Problem::Unreadable(_) => format!("make {file} readable for this user"),
            Problem::Unwritable(_) => format!("make the folder of {file} writable for this user"),
            Problem::Exists => format!("move {file} away first, or choose another folder"),
            Problem::KeyOpenToOthers { .. } => format!("chmod 600 {file}"),
            Problem::Syntax(_) => {
                format!("correct {file} there; docs/configuration.md lists every field")
            }
            other => other.next_step(),
        }
    }
}

impl Problem {
    /// What a person does about a value, whichever file it stands in.
    fn next_step(&self) -> String {
        let fixed = match self {
            Self::ReplicaCount(_) => {
                return format!(
                    "list 3f+1 replicas to tolerate f faulty ones, between 4 and {MAX_REPLICAS}"
                );
            }
            Self::ReplicaOrder { expected, .. } => {
                return format!(
                    "number the replicas 0, 1, 2, … in the order they stand; here: id = {expected}"
                );
            }
            Self::Hex { bytes } => {
                return format!("write {} hexadecimal digits", bytes.saturating_mul(2));
            }
            Self::CheckpointInterval(_) => {
                return format!("use a number between 1 and {MAX_CHECKPOINT_INTERVAL}");
            }
            Self::NoSuchReplica { of, .. } => {
                let last = of.saturating_sub(1);
                return format!("use one of 0 to {last} in the node file, or another cluster file");
            }
            Self::WrongKey {
                belongs_to: Some(owner),
                ..
            } => return format!("set replica = {owner}, or point `key` at the right file"),
            Self::WrongKey { .. } => {
                "check that key and cluster file come from the same bezant cluster init"
            }
            Self::Version(_) => "use a program of the version that wrote the file",
            Self::Name(_) => "use 1 to 64 characters of a-z 0-9 . _ -",
            Self::Address(_) => "write host:port, for example \"10.0.0.2:7401\"",
            Self::SocketAddress(_) => {
                "write ip:port, for example \"0.0.0.0:7401\"; names are for the cluster file"
            }
            Self::SameAddress(_) => "give every replica an address of its own",
            Self::SameKey(_) => {
                "give every replica a key of its own: with one key, one fault counts twice"
            }
            Self::SameClient => "list every client key once",
            Self::NotAKey => "a key file is one line of 64 hexadecimal digits",
            Self::NoData => "set `data` to a folder of this replica's own",
            Self::NoRandomness => "check the system's entropy source and try again",
            _ => "report this as a bug, with the command that led here",
        };
        fixed.to_owned()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::Unwritable(error) => write!(f, "cannot be written: {error}"),
            Self::Exists => f.write_str("exists already and is not overwritten"),
            Self::Syntax(words) => f.write_str(words),
            Self::Unprintable(words) => write!(f, "has no TOML form: {words}"),
            Self::Version(version) => write!(f, "version {version} is not known here"),
            Self::Name(name) => write!(f, "{name:?} is not a cluster's name"),
            Self::ReplicaCount(count) => {
                write!(
                    f,
                    "{count} replicas are no cluster that outvotes a faulty one"
                )
            }
            Self::ReplicaOrder { expected, found } => {
                write!(f, "id {found} stands where {expected} belongs")
            }
            Self::Address(text) => write!(f, "{text:?} is not an address with a port"),
            Self::SocketAddress(text) => write!(f, "{text:?} is not an IP address with a port"),
            Self::SameAddress(other) => write!(f, "replica {other} has the same address"),
            Self::Hex { bytes } => write!(f, "not {bytes} bytes in hexadecimal"),
            Self::SameKey(other) => write!(f, "replica {other} has the same key"),
            Self::SameClient => f.write_str("this client is listed already"),
            Self::CheckpointInterval(value) => {
                write!(f, "{value} is no distance between checkpoints")
            }
            Self::KeyOpenToOthers { mode } => write!(
                f,
                "the private key is open to other users of this machine (mode {mode:04o})"
            ),
            Self::NotAKey => f.write_str("this is not a private key"),
            Self::NoSuchReplica { replica, of } => {
                write!(
                    f,
                    "the cluster has {of} replicas, none of them is number {replica}"
                )
            }
            Self::WrongKey {
                replica,
                belongs_to: Some(owner),
            } => write!(
                f,
                "this is the key of replica {owner}, not of replica {replica}"
            ),
            Self::WrongKey {
                replica,
                belongs_to: None,
            } => write!(f, "the cluster file pins another key for replica {replica}"),
            Self::NoData => f.write_str("nothing can be kept without a data folder"),
            Self::NoRandomness => f.write_str("the system gave no random bytes for a key"),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(field) = &self.field {
            write!(f, ": `{field}`")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::Unreadable(error) | Problem::Unwritable(error) => Some(error),
            _ => None,
        }
    }
}
