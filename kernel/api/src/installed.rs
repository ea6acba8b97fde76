//! What a client is told of an installed extension.

use bezant_manifest::ExtensionHash;
use bezant_tuplespace::SpaceName;
use serde::{Deserialize, Serialize};

/// What is told of an installed extension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// Its hash: the name by which it is acknowledged and removed.
    pub hash: ExtensionHash,
    /// The client that installed it.
    pub owner: [u8; 32],
    /// Its manifest's name.
    pub name: String,
    /// Its manifest's version.
    pub version: u32,
    /// Whether it applies to whoever asks.
    pub applies: bool,
    /// Whether it is the version in force of those its owner made of it: the one that applies
    /// to it and to whoever follows it, and that subscribes to events.
    pub in_force: bool,
    /// The version it took the place of, while that is installed.
    pub replaces: Option<ExtensionHash>,
    /// The proposal from which on it is in force, if that is still to come.
    pub from: Option<u64>,
    /// The spaces whose administrators made it apply to everyone there, ascending.
    pub attached: Vec<SpaceName>,
}
