//! Faults that replicas commit towards each other on demand, and that nobody is harmed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

mod common;

use std::time::{Duration, Instant};

use bezant_client::{Client, template, tuple};
use bezant_lab::{Fault, LocalCluster, OnDemand as _};
use bezant_node::NodeStatus;
use common::{DEADLINE, client, runtime, start};

fn status(cluster: &LocalCluster, replica: usize) -> NodeStatus {
    cluster.nodes[replica].status().unwrap()
}

fn await_that(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < DEADLINE, "still not so: {what}");
        std::thread::yield_now();
    }
}

/// Puts so many tuples and takes them again, one after the other.
async fn work(client: &Client, count: i64) {
    for number in 0..count {
        client.out("jobs", tuple!("job", number)).await.unwrap();
        let taken = client.inp("jobs", template!("job", _)).await.unwrap();
        assert_eq!(taken.value, Some(tuple!("job", number)));
    }
}

#[test]
fn a_replica_whose_messages_get_lost_catches_up_when_they_do_not() {
    let cluster = start();
    runtime().block_on(async {
        let client = client(&cluster).await;
        let before = status(&cluster, 2).frames_dropped;
        cluster.nodes[2].set_fault(Some(Fault::Drop(70)));
        work(&client, 20).await;
        let dropped = status(&cluster, 2).frames_dropped - before;
        assert!(dropped > 10, "{dropped} messages were lost");
        cluster.nodes[2].set_fault(None);
        work(&client, 2).await;
    });
    await_that("all executed the same", || {
        let executed = |replica| status(&cluster, replica).executed;
        (1..4).all(|replica| executed(replica) == executed(0))
    });
    cluster.stop().unwrap();
}

#[test]
fn delayed_messages_arrive_late_and_in_full() {
    let cluster = start();
    runtime().block_on(async {
        let client = client(&cluster).await;
        work(&client, 1).await;
        let lost = status(&cluster, 0).frames_dropped;
        cluster.nodes[0].set_fault(Some(Fault::Delay(120)));
        let begun = Instant::now();
        client.out("jobs", tuple!("late")).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(120));
        assert_eq!(status(&cluster, 0).frames_dropped, lost);
        assert_eq!(status(&cluster, 1).view, 0, "nobody was suspected");
    });
    cluster.stop().unwrap();
}

#[test]
fn a_slow_primary_is_slow_and_stays() {
    let cluster = start();
    runtime().block_on(async {
        let client = client(&cluster).await;
        work(&client, 1).await;
        cluster.nodes[0].set_fault(Some(Fault::SlowPrimary));
        let begun = Instant::now();
        client.out("jobs", tuple!("slow")).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(500));
        for replica in 0..4 {
            let status = status(&cluster, replica);
            assert_eq!((status.view, status.suspicions), (0, 0), "{status:?}");
        }
        // A backup with this fault is not slow.
        cluster.nodes[0].set_fault(None);
        cluster.nodes[1].set_fault(Some(Fault::SlowPrimary));
        let begun = Instant::now();
        client.out("jobs", tuple!("fast")).await.unwrap();
        assert!(begun.elapsed() < Duration::from_millis(500));
    });
    cluster.stop().unwrap();
}

/// Every backup is told something else, so nothing is decided until another one leads;
/// what the clients asked for is done once.
#[test]
fn an_equivocating_primary_is_replaced() {
    let cluster = start();
    runtime().block_on(async {
        let client = client(&cluster).await;
        work(&client, 1).await;
        cluster.nodes[0].set_fault(Some(Fault::Equivocate));
        work(&client, 5).await;
        let left = client.count("jobs", template!("job", _)).await.unwrap();
        assert_eq!(left.value, 0);
    });
    for replica in 1..4 {
        let status = status(&cluster, replica);
        assert!(status.view > 0, "{status:?}");
    }
    cluster.stop().unwrap();
}
