//! An installed extension, and the hash that names it.
//!
//! Plain data: the registry says whom it applies to, the engine runs it.

use bezant_manifest::{ExtensionFailure, ExtensionHash, Manifest};
use sha2::{Digest as _, Sha256};

use crate::report::CallReport;

/// An installed extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The client that installed it.
    pub owner: [u8; 32],
    /// What it is and may do.
    pub manifest: Manifest,
    /// Its module.
    pub module: Vec<u8>,
    /// SHA-256 of the module.
    pub code: [u8; 32],
    /// Its place in the order of registrations, counted from 1.
    pub order: u64,
    /// The line of versions it belongs to, named by the order of the first.
    pub(crate) line: u64,
    /// The version whose place it took when it came into force last.
    pub(crate) before: Option<ExtensionHash>,
}

impl Extension {
    /// What a client is told of a failed call.
    #[must_use]
    pub fn failure(&self, report: &CallReport) -> Option<ExtensionFailure> {
        report.result.as_ref().err().map(|code| ExtensionFailure {
            code: *code,
            name: self.manifest.name.clone(),
            version: self.manifest.version,
            fuel: report.fuel_used,
        })
    }
}

/// The hash that names an extension: SHA-256 over its manifest's canonical bytes, preceded by
/// their length, and the digest of its module.
#[must_use]
pub fn content_hash(manifest: &Manifest, module: &[u8]) -> ExtensionHash {
    hash_of(manifest, &Sha256::digest(module).into())
}

/// As [`content_hash`], given the digest of the module.
pub(crate) fn hash_of(manifest: &Manifest, code: &[u8; 32]) -> ExtensionHash {
    let manifest = manifest.encode();
    let mut hash = Sha256::new();
    hash.update(b"bezant extension");
    hash.update((manifest.len() as u64).to_le_bytes());
    hash.update(&manifest);
    hash.update(code);
    ExtensionHash(hash.finalize().into())
}
