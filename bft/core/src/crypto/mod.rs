//! Digests, signatures, and the one rule for when a signature is valid.
//!
//! Every signature in the system covers `domain tag ‖ cluster id ‖ canonical
//! bytes`, so that none can be replayed in another role or another cluster.
//! Validity is ZIP-215's: the same answer for one signature alone and inside a
//! batch, for every input. Rules that differ between the two would let a client
//! with a small-order component split correct replicas (Chalkias et al.,
//! "Taming the many EdDSAs"; docs/decisions/003-signatures.md). Signing is in
//! [`key`], checking in [`check`]; [`stub`] stands in for both in simulations.

mod check;
mod key;
mod stub;

use core::fmt;

pub use check::{Checker, Claim};
pub use key::SigningKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    codec,
    ids::{ClientId, ClusterId, Digest},
};

/// What a signature is for; the first byte under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Domain {
    /// A client's request.
    Request = 1,
    /// A primary's pre-prepare.
    PrePrepare = 2,
    /// A replica's prepare.
    Prepare = 3,
    /// A replica's commit.
    Commit = 4,
    /// A replica's checkpoint vote.
    Checkpoint = 5,
    /// A reply signed on demand, as evidence.
    Reply = 6,
    /// A client's leave to send its replies over another key's link.
    Attach = 7,
    /// A replica's word that it left for a view, with what it had prepared.
    ViewChange = 8,
    /// A new primary's opening of its view.
    NewView = 9,
    /// A replica's request to begin a new incarnation.
    Rejoin = 10,
}

/// A public key: 32 bytes, an identity of a client or a replica.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublicKey(#[serde(with = "crate::bytestring")] pub [u8; 32]);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", Digest(self.0))
    }
}

impl From<ClientId> for PublicKey {
    fn from(id: ClientId) -> Self {
        Self(id.0)
    }
}

impl From<PublicKey> for ClientId {
    fn from(key: PublicKey) -> Self {
        Self(key.0)
    }
}

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signature(#[serde(with = "crate::bytestring")] pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut head = [0; 32];
        head.copy_from_slice(self.0.first_chunk::<32>().unwrap_or(&[0; 32]));
        write!(f, "Signature({})", Digest(head))
    }
}

/// What a signature covers: the domain, the cluster, and the body.
fn signed_bytes(domain: Domain, cluster: &ClusterId, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(33 + body.len());
    under(&mut bytes, domain, cluster);
    bytes.extend_from_slice(body);
    bytes
}

/// The same for a body that is to be encoded.
fn signed_encoding<T: Serialize>(domain: Domain, cluster: &ClusterId, body: &T) -> Vec<u8> {
    // Room for a vote.
    let mut bytes = Vec::with_capacity(33 + 63);
    under(&mut bytes, domain, cluster);
    codec::encode_after(bytes, body)
}

fn under(bytes: &mut Vec<u8>, domain: Domain, cluster: &ClusterId) {
    bytes.push(domain as u8);
    bytes.extend_from_slice(&cluster.0);
}

/// SHA-256 over `domain` and `parts`, each part preceded by its length, so that
/// no two lists of parts give the same input.
#[must_use]
pub fn digest(domain: &str, parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    hash.update((domain.len() as u64).to_le_bytes());
    hash.update(domain.as_bytes());
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Digest(hash.finalize().into())
}
