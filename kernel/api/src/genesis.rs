//! The genesis: the parameters of a cluster, whose digest is its identity.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::codec;

/// The first configuration of a cluster.
///
/// Its digest is the cluster's identity and stands under every signature, so
/// two parties with different keys or parameters cannot take part in one
/// cluster by mistake. Addresses are not part of it: replicas may move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// The replicas' Ed25519 public keys, by replica index.
    pub keys: Vec<[u8; 32]>,
    /// Whether any client key may open a session (development); else only `clients` may.
    pub open_enrolment: bool,
    /// Whether the first `out` into a space creates it (development).
    pub spaces_on_first_out: bool,
    /// The clients enrolled from the start, ascending.
    pub clients: Vec<[u8; 32]>,
    /// Sequence numbers between two checkpoints.
    pub checkpoint_interval: u64,
    /// Random, so that two clusters with the same keys differ.
    pub salt: [u8; 16],
}

impl Genesis {
    /// The cluster's identity: SHA-256 over the domain "bezant cluster" and the
    /// canonical bytes of the genesis, each preceded by its length as eight
    /// little-endian bytes (the construction of `bezant_bft::crypto::digest`).
    #[must_use]
    pub fn cluster_id(&self) -> [u8; 32] {
        let domain = "bezant cluster".as_bytes();
        let body = codec::encode(self);
        let mut hash = Sha256::new();
        for part in [domain, &body] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}
