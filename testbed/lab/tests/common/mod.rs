//! What tests of real clusters share: a runtime, a cluster with nothing special, its clients.
#![allow(dead_code, reason = "each test uses its part")]

use std::time::Duration;

use bezant_client::Client;
use bezant_lab::{LocalCluster, LocalOptions};

/// How long a condition is waited for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

pub(crate) fn start() -> LocalCluster {
    LocalCluster::start(&LocalOptions::default()).unwrap()
}

pub(crate) async fn client(cluster: &LocalCluster) -> Client {
    let client = Client::builder(cluster.view()).timeout(DEADLINE);
    client.connect().await.unwrap()
}
