//! The files a replica and its clients are set up with.
//!
//! A *cluster file* is public and the same for everybody: who the replicas are
//! and what the cluster's genesis is. A *node file* belongs to one replica and
//! points at its cluster file and its private key. Both are TOML; whatever is
//! wrong in one of them is told with the file, the line, the field and the next
//! step ([`ConfigError`]). Loading does everything that can be checked without
//! opening a socket, so that `bezant config check` and a starting replica
//! refuse the same files.
//!
//! `key` reads and writes private keys, `cluster` the public file, `node` the
//! replica's own; `document` is what they share: where in a file a value stood.

mod cluster;
mod document;
mod error;
mod key;
mod node;

pub use cluster::{CLUSTER_FILE_VERSION, ClusterFile, GenesisSettings, ReplicaEntry};
pub use error::{ConfigError, Problem};
pub use key::{load_key, random_key, store_key};
pub use node::{NodeConfig, NodeFile, StorageKind};
