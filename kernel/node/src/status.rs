//! The status of a replica, for its operator.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use bezant_kernel::Tallied;
use bezant_quic::EndpointStats;
use bezant_replica::Driver;

/// Frames sent, and the bytes in them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    frames: u64,
    bytes: u64,
}

impl Sent {
    /// One more frame of so many bytes.
    pub(crate) const fn sent(&mut self, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes as u64;
    }
}

/// What the loop counts of links and disk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) to_replicas: Sent,
    pub(crate) to_clients: Sent,
    pub(crate) frames_dropped: u64,
    pub(crate) syncs: u64,
    pub(crate) sync_time: Duration,
}

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
    /// Records written since the start.
    pub records: u64,
    /// Syncs that took since the start.
    pub syncs: u64,
    /// Microseconds the disk took for them since the start.
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
    /// The fault it commits on demand, by name.
    pub fault: Option<String>,
    /// How often that fault changed what it did.
    pub fault_hits: u64,
    /// How often it began anew after losing its memory.
    pub incarnation: u64,
    /// Whether it votes: one that lost its memory does not until its new incarnation counts.
    pub votes: bool,
    /// Whether it has links to a quorum and can take part.
    pub ready: bool,
}

impl NodeStatus {
    /// How a replica stands, apart from faults it commits on demand.
    pub(crate) fn of(
        driver: &Driver,
        links: &EndpointStats,
        traffic: Traffic,
        evidence: usize,
    ) -> Self {
        let (replica, kernel, counts) = (driver.replica(), driver.kernel(), driver.counts());
        let (counters, figures) = (replica.counters(), kernel.figures());
        let (to_replicas, to_clients) = (traffic.to_replicas, traffic.to_clients);
        Self {
            replica: replica.me().0,
            view: replica.view().0,
            primary: replica.primary().0,
            executed: replica.executed().0,
            stable: replica.stable().0,
            pooled: replica.pooled(),
            replica_links: links.replica_links,
            client_links: links.client_links,
            extension_calls: kernel.tallied().into_iter().map(Into::into).collect(),
            sessions: figures.sessions,
            spaces: figures.spaces,
            tuples: figures.tuples,
            leases: figures.leases,
            waiters: figures.waiters,
            extensions: figures.extensions,
            engine: kernel.engine(),
            requests: counters.requests,
            proposals: counters.proposals,
            signatures: counters.signatures,
            verifications: counts.verifications,
            commits_checked: counts.commits_checked,
            batches: counts.batches,
            certificates: counters.certificates,
            suspicions: counters.suspicions,
            views_entered: counters.views_entered,
            blames: counts.blames,
            evidence,
            records: counts.records,
            syncs: traffic.syncs,
            sync_us: u64::try_from(traffic.sync_time.as_micros()).unwrap_or(u64::MAX),
            frames_sent: to_replicas.frames + to_clients.frames,
            bytes_sent: to_replicas.bytes + to_clients.bytes,
            frames_to_replicas: to_replicas.frames,
            bytes_to_replicas: to_replicas.bytes,
            frames_from_clients: counts.frames_from_clients,
            frames_dropped: traffic.frames_dropped,
            fault: None,
            fault_hits: 0,
            incarnation: replica.incarnation().0,
            votes: replica.votes(),
            ready: links.replica_links + 1 >= replica.keyring().quorum().strong(),
        }
    }
}
