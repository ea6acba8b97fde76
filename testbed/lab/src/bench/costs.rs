//! What a request costs the replicas, from their own counters before and after.

use bezant_node::NodeStatus;
use serde::Serialize;

use super::ratio;

/// What all replicas together did for the requests of a measurement. The names are stable;
/// docs/performance.md explains the figures.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Costs {
    /// Requests executed.
    pub requests: u64,
    /// Proposals they came in.
    pub proposals: u64,
    /// The batch: requests in a proposal.
    pub requests_per_proposal: f64,
    /// Frames from replicas to replicas, per proposal.
    pub replica_frames_per_proposal: f64,
    /// The same, per request.
    pub replica_frames_per_request: f64,
    /// Bytes in them, per request.
    pub replica_bytes_per_request: f64,
    /// Frames from clients to replicas, per request.
    pub client_frames_per_request: f64,
    /// Frames from replicas to clients, per request.
    pub reply_frames_per_request: f64,
    /// Bytes in them, per request.
    pub reply_bytes_per_request: f64,
    /// Signatures that replicas made, per proposal.
    pub signatures_per_proposal: f64,
    /// The same, per request.
    pub signatures_per_request: f64,
    /// Signatures that replicas checked, per request.
    pub verifications_per_request: f64,
    /// Of these, commits, which are checked later and many together; per proposal.
    pub commit_verifications_per_proposal: f64,
    /// Of the others, how many were checked together.
    pub verifications_per_batch: f64,
    /// Records made durable, per request.
    pub records_per_request: f64,
    /// Syncs of a disk, per request.
    pub syncs_per_request: f64,
}

/// The difference of what every replica counted; nothing if one of them began anew between.
pub(super) fn costs(before: &[NodeStatus], after: &[NodeStatus]) -> Option<Costs> {
    if before.len() != after.len() || before.is_empty() {
        return None;
    }
    let pairs = || before.iter().zip(after);
    if pairs().any(|(before, after)| after.requests < before.requests) {
        return None;
    }
    let sum = |count: fn(&NodeStatus) -> u64| {
        pairs()
            .map(|(before, after)| count(after).saturating_sub(count(before)))
            .sum::<u64>()
    };
    // Every replica executes every request; the mean forgives that they were asked one after
    // the other.
    let replicas = before.len() as u64;
    let (requests, proposals) = (
        sum(|s| s.requests) / replicas,
        sum(|s| s.proposals) / replicas,
    );
    let per_request = |count| ratio(count, ratio(requests, 1.0));
    let per_proposal = |count| ratio(count, ratio(proposals, 1.0));
    let frames = sum(|s| s.frames_to_replicas);
    let signatures = sum(|s| s.signatures);
    let (verifications, commits) = (sum(|s| s.verifications), sum(|s| s.commits_checked));
    Some(Costs {
        requests,
        proposals,
        requests_per_proposal: per_proposal(requests),
        replica_frames_per_proposal: per_proposal(frames),
        replica_frames_per_request: per_request(frames),
        replica_bytes_per_request: per_request(sum(|s| s.bytes_to_replicas)),
        client_frames_per_request: per_request(sum(|s| s.frames_from_clients)),
        reply_frames_per_request: per_request(sum(|s| s.frames_sent - s.frames_to_replicas)),
        reply_bytes_per_request: per_request(sum(|s| s.bytes_sent - s.bytes_to_replicas)),
        signatures_per_proposal: per_proposal(signatures),
        signatures_per_request: per_request(signatures),
        verifications_per_request: per_request(verifications),
        commit_verifications_per_proposal: per_proposal(commits),
        verifications_per_batch: ratio(
            verifications.saturating_sub(commits),
            ratio(sum(|s| s.batches), 1.0),
        ),
        records_per_request: per_request(sum(|s| s.records)),
        syncs_per_request: per_request(sum(|s| s.syncs)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(requests: u64, frames_to_replicas: u64) -> NodeStatus {
        let mut status = NodeStatus::default();
        status.requests = requests;
        status.proposals = requests / 10;
        status.frames_to_replicas = frames_to_replicas;
        status.frames_sent = frames_to_replicas + requests;
        status
    }

    #[test]
    fn all_replicas_work_is_shared_among_the_requests_of_one() {
        let before = vec![status(100, 50); 4];
        let after = vec![status(300, 250); 4];
        let costs = costs(&before, &after).unwrap();
        assert_eq!((costs.requests, costs.proposals), (200, 20));
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(costs.requests_per_proposal, 10.0), "{costs:?}");
        assert!(near(costs.replica_frames_per_proposal, 40.0), "{costs:?}");
        assert!(near(costs.replica_frames_per_request, 4.0), "{costs:?}");
        assert!(near(costs.reply_frames_per_request, 4.0), "{costs:?}");
    }

    #[test]
    fn a_replica_that_began_anew_leaves_no_figures() {
        assert!(costs(&[status(100, 50)], &[status(20, 10)]).is_none());
        assert!(costs(&[], &[]).is_none());
    }
}
