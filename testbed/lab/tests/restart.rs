//! Clusters that keep their data: they come back, and each folder is one replica's own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

use std::time::Duration;

use bezant_client::{Client, template, tuple};
use bezant_lab::{LocalCluster, LocalOptions, local};
use bezant_node::{NodeConfig, StorageKind};

const DEADLINE: Duration = Duration::from_secs(30);

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

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn client(cluster: &LocalCluster) -> Client {
    let client = Client::builder(cluster.view()).timeout(DEADLINE);
    client.connect().await.unwrap()
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

#[test]
fn a_folder_is_not_used_with_the_other_kind_of_storage() {
    for (first, second) in [
        (StorageKind::Memory, StorageKind::Sync),
        (StorageKind::Sync, StorageKind::Memory),
    ] {
        let folder = files(first);
        bezant_node::spawn(config(&folder, 0))
            .unwrap()
            .stop()
            .unwrap();
        let mut changed = config(&folder, 0);
        changed.storage = second;
        let error = bezant_node::spawn(changed).unwrap_err().to_string();
        assert!(error.contains("could break agreement"), "{error}");
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
