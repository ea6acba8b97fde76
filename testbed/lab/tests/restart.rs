//! Clusters that keep their data: they come back, and each folder is one replica's own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

mod common;

use std::time::{Duration, Instant};

use bezant_client::{template, tuple};
use bezant_lab::{LocalCluster, LocalOptions, local};
use bezant_node::{NodeConfig, NodeHandle, NodeStatus, StorageKind};
use common::{DEADLINE, client, runtime};

fn files(storage: StorageKind) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let options = LocalOptions {
        storage,
        ..LocalOptions::default()
    };
    local::write_files(folder.path(), &options).unwrap();
    folder
}

fn config(folder: &tempfile::TempDir, replica: u8) -> NodeConfig {
    NodeConfig::load(&folder.path().join(format!("node-{replica}.toml"))).unwrap()
}

#[test]
fn a_cluster_that_was_stopped_goes_on_where_it_ended() {
    let folder = files(StorageKind::Sync);
    for round in 0..3 {
        let cluster = LocalCluster::open(folder.path()).unwrap();
        runtime().block_on(async {
            let client = client(&cluster).await;
            // Enough for a checkpoint in the second round.
            for number in 0..60 {
                client.out("jobs", tuple!(round, number)).await.unwrap();
            }
            let count = client.count("jobs", template!(?int, ?int)).await.unwrap();
            assert_eq!(count.value, 60 * (u64::try_from(round).unwrap() + 1));
        });
        cluster.stop().unwrap();
    }
}

#[test]
fn a_data_folder_is_one_replicas_own() {
    let folder = files(StorageKind::Sync);
    let first = bezant_node::spawn(config(&folder, 0)).unwrap();
    let refusal = |config| bezant_node::spawn(config).unwrap_err().to_string();
    let mut again = config(&folder, 0);
    again.listen.set_port(0);
    let error = refusal(again);
    assert!(error.contains("in use by another process"), "{error}");
    first.stop().unwrap();

    let mut other = config(&folder, 1);
    other.data = config(&folder, 0).data;
    let error = refusal(other);
    assert!(error.contains("belongs to replica 0 of cluster"), "{error}");
}

/// Without its journal it would have to begin a new incarnation, which nobody wants by accident.
#[test]
fn a_folder_with_a_journal_is_not_used_without_it() {
    let folder = files(StorageKind::Sync);
    bezant_node::spawn(config(&folder, 0))
        .unwrap()
        .stop()
        .unwrap();
    let mut changed = config(&folder, 0);
    changed.storage = StorageKind::Memory;
    let error = bezant_node::spawn(changed).unwrap_err().to_string();
    assert!(error.contains("set storage = \"sync\""), "{error}");
}

fn await_status(node: &NodeHandle, what: impl Fn(&NodeStatus) -> bool) {
    let begun = Instant::now();
    while !node.status().is_some_and(|status| what(&status)) {
        assert!(begun.elapsed() < DEADLINE, "{:?}", node.status());
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// A replica that kept nothing: its memory went with the process, or its disk is a new one.
/// It comes back under a new incarnation, and then the others can do without another.
#[test]
fn a_replica_that_kept_nothing_comes_back_and_votes() {
    for storage in [StorageKind::Memory, StorageKind::Sync] {
        let folder = files(storage);
        let mut cluster = LocalCluster::open(folder.path()).unwrap();
        runtime().block_on(async {
            let client = client(&cluster).await;
            for number in 0..20 {
                client.out("jobs", tuple!(number)).await.unwrap();
            }
        });
        for incarnation in 1..=2 {
            let config = config(&folder, 3);
            cluster.nodes.remove(3).stop().unwrap();
            if storage == StorageKind::Sync {
                std::fs::remove_dir_all(config.data.as_ref().unwrap()).unwrap();
            }
            cluster.nodes.push(bezant_node::spawn(config).unwrap());
            await_status(&cluster.nodes[3], |status| {
                status.votes && status.incarnation == incarnation
            });
        }
        if storage == StorageKind::Sync {
            // Now it has a memory, and is the same incarnation after a restart.
            let config = config(&folder, 3);
            cluster.nodes.remove(3).stop().unwrap();
            cluster.nodes.push(bezant_node::spawn(config).unwrap());
            await_status(&cluster.nodes[3], |status| {
                status.votes && status.incarnation == 2
            });
        }
        // The primary, too, may be among those that are gone.
        cluster.nodes.remove(0).stop().unwrap();
        runtime().block_on(async {
            let client = client(&cluster).await;
            client.out("jobs", tuple!(20)).await.unwrap();
            let count = client.count("jobs", template!(?int)).await.unwrap();
            assert_eq!(count.value, 21);
        });
        cluster.stop().unwrap();
    }
}

/// A replica that never said anything needs no new incarnation, however often it is started.
#[test]
fn a_cluster_that_was_never_used_starts_again() {
    for storage in [StorageKind::Memory, StorageKind::Sync] {
        let folder = files(storage);
        for _ in 0..2 {
            let cluster = LocalCluster::open(folder.path()).unwrap();
            assert!(
                cluster
                    .nodes
                    .iter()
                    .all(|node| node.status().unwrap().votes)
            );
            cluster.stop().unwrap();
        }
        let cluster = LocalCluster::open(folder.path()).unwrap();
        runtime().block_on(async {
            client(&cluster).await.out("jobs", tuple!(1)).await.unwrap();
        });
        cluster.stop().unwrap();
    }
}

#[test]
fn storage_on_disk_needs_a_folder() {
    let folder = files(StorageKind::Sync);
    let mut nowhere = config(&folder, 0);
    nowhere.data = None;
    let error = bezant_node::spawn(nowhere).unwrap_err().to_string();
    assert!(error.contains("set `data`"), "{error}");
}
