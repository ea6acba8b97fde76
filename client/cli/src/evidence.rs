//! Keeps evidence against replicas that this user's commands met, a file each.
//!
//! One folder per cluster beside the user's contexts, in the form of a replica's own
//! (`kernel/node/src/evidence.rs`). Whoever has the cluster file can check it.

use bezant_codec::hex::to_hex;
use std::path::{Path, PathBuf};

use bezant_bft::{evidence::Evidence, ids::Source};
use bezant_client::ClusterView;
use bezant_node::evidence::{Archive, EVIDENCE_FOLDER, Kept as Outcome};

use crate::{contexts, exit::Failure, said::Kept};

/// Writes down evidence and names it. What is not sound, or too much, is left out.
pub(crate) fn keep(view: &ClusterView, evidence: &[Evidence]) -> Result<Vec<Kept>, Failure> {
    let (Ok(keyring), false) = (view.keyring(), evidence.is_empty()) else {
        return Ok(Vec::new());
    };
    let mut archive = Archive::open(Some(folder(view)?));
    let kept = evidence.iter().filter_map(|piece| {
        let (Ok(Outcome::New(id) | Outcome::Known(id)), Source::Replica(replica)) =
            (archive.keep(piece, &keyring), piece.accusation().accused)
        else {
            return None;
        };
        let replica = replica.0;
        Some(Kept { id, replica })
    });
    Ok(kept.collect())
}

/// Where this user's evidence about a cluster is.
pub(crate) fn folder(view: &ClusterView) -> Result<PathBuf, Failure> {
    let contexts = contexts::path()?;
    let beside = contexts.parent().unwrap_or(Path::new("."));
    Ok(beside.join(EVIDENCE_FOLDER).join(to_hex(&view.id.0)))
}
