//! What a replica says of itself to its operator.

use serde::{Deserialize, Serialize};

use bezant_kernel::Tallied;

use crate::faults::Fault;

/// What an extension did at this replica since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ExtensionCalls {
    /// Its hash.
    pub hash: String,
    /// Its manifest's name.
    pub name: String,
    /// Its manifest's version.
    pub version: u32,
    /// Calls.
    pub calls: u64,
    /// Those of them that failed, or refused.
    pub failures: u64,
    /// Fuel burnt in all of them.
    pub fuel: u64,
    /// Why the last one failed that did.
    pub last_failure: Option<String>,
}

impl From<Tallied> for ExtensionCalls {
    fn from(tallied: Tallied) -> Self {
        let Tallied {
            hash,
            name,
            version,
            tally,
        } = tallied;
        Self {
            hash: hash.to_string(),
            name,
            version,
            calls: tally.calls,
            failures: tally.failures,
            fuel: tally.fuel,
            last_failure: tally.last_failure.map(|code| code.to_string()),
        }
    }
}

/// A replica at a glance; `GET /status` in JSON. Names are stable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NodeStatus {
    /// Its index.
    pub replica: u8,
    /// Its view.
    pub view: u64,
    /// The primary of that view.
    pub primary: u8,
    /// The last number executed.
    pub executed: u64,
    /// The last stable checkpoint.
    pub stable: u64,
    /// Requests known and not executed.
    pub pooled: usize,
    /// Replicas it has a link with.
    pub replica_links: usize,
    /// Clients it has a link with.
    pub client_links: usize,
    /// Open sessions.
    pub sessions: usize,
    /// Spaces.
    pub spaces: usize,
    /// Tuples in all spaces.
    pub tuples: u64,
    /// Tuples among them that live on a lease.
    pub leases: usize,
    /// Waiting operations.
    pub waiters: usize,
    /// Registered extensions.
    pub extensions: usize,
    /// Each of them, and what it did here, in the order of their registration.
    pub extension_calls: Vec<ExtensionCalls>,
    /// The version of the engine by which extensions run.
    pub engine: u32,
    /// Requests executed since the start.
    pub requests: u64,
    /// Proposals executed since the start.
    pub proposals: u64,
    /// Signatures made since the start.
    pub signatures: u64,
    /// Signatures checked since the start.
    pub verifications: u64,
    /// Those of them that were commits, checked later and many together.
    pub commits_checked: u64,
    /// Batches the others were checked in since the start.
    pub batches: u64,
    /// Commit certificates completed since the start.
    pub certificates: u64,
    /// Times the primary was suspected since the start.
    pub suspicions: u64,
    /// Views entered since the start.
    pub views_entered: u64,
    /// Messages for which their sender was blamed since the start.
    pub blames: u64,
    /// Pieces of evidence that are kept, those of earlier starts included.
    pub evidence: usize,
    /// Records made durable since the start.
    pub records: u64,
    /// Syncs that took since the start.
    pub syncs: u64,
    /// Microseconds the loop stood still for them since the start.
    pub sync_us: u64,
    /// Frames sent since the start.
    pub frames_sent: u64,
    /// Bytes in them.
    pub bytes_sent: u64,
    /// Those of the frames that went to replicas.
    pub frames_to_replicas: u64,
    /// Bytes in these.
    pub bytes_to_replicas: u64,
    /// Frames that came from clients since the start.
    pub frames_from_clients: u64,
    /// Frames not sent because a peer reads too slowly, since the start.
    pub frames_dropped: u64,
    /// The fault it commits on demand.
    pub fault: Option<Fault>,
    /// How often it began anew after losing its memory.
    pub incarnation: u64,
    /// Whether it votes: one that lost its memory does not until its new life counts.
    pub votes: bool,
    /// Whether it has links to a quorum and can take part.
    pub ready: bool,
}
