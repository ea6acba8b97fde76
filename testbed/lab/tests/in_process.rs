//! A cluster of four replicas over real QUIC in this process, and its faults.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

use std::time::Duration;

use bezant_client::{Client, template, tuple};
use bezant_lab::{LocalCluster, LocalOptions};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn operations_are_ordered_and_answered_by_a_quorum() {
    let cluster = LocalCluster::start(&LocalOptions::default()).unwrap();
    runtime().block_on(async {
        let client = Client::builder(cluster.view()).connect().await.unwrap();
        let first = client.out("jobs", tuple!("build", 42)).await.unwrap();
        assert!(first.votes >= 2);
        let read = client.rdp("jobs", template!("build", ?int)).await.unwrap();
        assert_eq!(read.value, Some(tuple!("build", 42)));
        assert!(read.seq > first.seq);
        let taken = client.take("jobs", template!(_, _)).await.unwrap();
        assert_eq!(taken.value, tuple!("build", 42));
        assert_eq!(
            client.inp("jobs", template!(_, _)).await.unwrap().value,
            None
        );
        let error = client
            .take_within("jobs", template!("none"), Duration::from_millis(50))
            .await
            .unwrap_err();
        assert!(
            matches!(error, bezant_client::Error::NoMatchInTime(_)),
            "{error}"
        );
        client.close().await.unwrap();
    });
    cluster.stop().unwrap();
}
