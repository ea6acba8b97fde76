//! The replica's figures in Prometheus' text format.
//!
//! Names are stable, in base units, counters end in `_total`. They are made
//! from a [`NodeStatus`] at the time of asking; nothing on the way of an
//! operation touches them.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use crate::status::NodeStatus;

/// The format's media type.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of a replica that stands as `status` says.
pub(crate) fn encode(status: &NodeStatus) -> String {
    let replica = std::iter::once(("replica".into(), status.replica.to_string().into()));
    let mut registry = Registry::with_prefix_and_labels("bezant", replica);
    let gauge = |value: u64| ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    let size = |value: usize| gauge(u64::try_from(value).unwrap_or(u64::MAX));
    let gauges = [
        ("view", "The current view", gauge(status.view)),
        (
            "executed",
            "The last sequence number executed",
            gauge(status.executed),
        ),
        ("stable", "The last stable checkpoint", gauge(status.stable)),
        (
            "pooled_requests",
            "Requests known and not executed",
            size(status.pooled),
        ),
        (
            "replica_links",
            "Live links with replicas",
            size(status.replica_links),
        ),
        (
            "client_links",
            "Live links with clients",
            size(status.client_links),
        ),
        ("sessions", "Open sessions", size(status.sessions)),
        ("spaces", "Spaces", size(status.spaces)),
        ("tuples", "Tuples in all spaces", gauge(status.tuples)),
        ("leases", "Tuples on a lease", size(status.leases)),
        ("waiters", "Waiting operations", size(status.waiters)),
        (
            "extensions",
            "Registered extensions",
            size(status.extensions),
        ),
        (
            "evidence",
            "Pieces of evidence that are kept",
            size(status.evidence),
        ),
        (
            "incarnation",
            "How often the replica began anew after losing its memory",
            gauge(status.incarnation),
        ),
        (
            "votes",
            "Whether the replica votes",
            gauge(status.votes.into()),
        ),
        (
            "ready",
            "Whether the replica has links to a quorum",
            gauge(status.ready.into()),
        ),
    ];
    for (name, help, metric) in gauges {
        registry.register(name, help, metric);
    }
    let counters = [
        ("requests", "Requests executed", status.requests),
        ("proposals", "Proposals executed", status.proposals),
        ("signatures", "Signatures made", status.signatures),
        ("verifications", "Signatures checked", status.verifications),
        (
            "commits_checked",
            "Signatures of commits checked",
            status.commits_checked,
        ),
        (
            "verification_batches",
            "Times signatures were checked, many together",
            status.batches,
        ),
        (
            "commit_certificates",
            "Commit certificates completed",
            status.certificates,
        ),
        (
            "suspicions",
            "Times the primary was suspected",
            status.suspicions,
        ),
        ("views_entered", "Views entered", status.views_entered),
        (
            "blames",
            "Messages for which their sender was blamed",
            status.blames,
        ),
        ("records", "Records written", status.records),
        (
            "syncs",
            "Times records were made durable, many together",
            status.syncs,
        ),
        ("frames_sent", "Frames sent", status.frames_sent),
        ("sent_bytes", "Bytes in the frames sent", status.bytes_sent),
        (
            "frames_to_replicas",
            "Frames sent to replicas",
            status.frames_to_replicas,
        ),
        (
            "to_replicas_bytes",
            "Bytes in the frames sent to replicas",
            status.bytes_to_replicas,
        ),
        (
            "frames_from_clients",
            "Frames that came from clients",
            status.frames_from_clients,
        ),
        (
            "frames_dropped",
            "Frames not sent because a peer reads too slowly",
            status.frames_dropped,
        ),
    ];
    let sync_time = Duration::from_micros(status.sync_us).as_secs_f64();
    registry.register(
        "sync_seconds",
        "Time the loop stood still for syncs",
        ConstCounter::new(sync_time),
    );
    for (name, help, value) in counters {
        registry.register(name, help, ConstCounter::new(value));
    }
    let mut text = String::new();
    // Writing to a string has no failing path.
    let _never = prometheus_client::encoding::text::encode(&mut text, &registry);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_carry_the_replica_and_counters_end_in_total() {
        let status = NodeStatus {
            replica: 2,
            requests: 7,
            tuples: 3,
            ..NodeStatus::default()
        };
        let text = encode(&status);
        assert!(
            text.contains("bezant_requests_total{replica=\"2\"} 7"),
            "{text}"
        );
        assert!(text.contains("bezant_tuples{replica=\"2\"} 3"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
