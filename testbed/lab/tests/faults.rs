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

/// Its requests are ordered when the primary is fair again, and nobody else waited.
#[test]
fn an_unfair_primary_refuses_the_requests_of_the_first_that_it_hears() {
    let cluster = start();
    runtime().block_on(async {
        let (victim, other) = (client(&cluster).await, client(&cluster).await);
        work(&other, 1).await;
        cluster.nodes[0].set_fault(Some(Fault::Unfair));
        let answered = std::cell::Cell::new(false);
        let left_out = async {
            victim.out("left", tuple!("out")).await.unwrap();
            answered.set(true);
        };
        let others_go_on = async {
            // The first that it hears is the victim: the other one asks when that is so.
            while status(&cluster, 0).fault_hits == 0 {
                assert!(!answered.get(), "the victim was served at once");
                tokio::task::yield_now().await;
            }
            other.out("jobs", tuple!("job")).await.unwrap();
            cluster.nodes[0].set_fault(None);
        };
        tokio::join!(left_out, others_go_on);
        assert!(answered.get());
    });
    cluster.stop().unwrap();
}

/// What it says early is true, and it says nothing else for the same view.
#[test]
fn a_hoarding_backup_is_not_needed_and_convicts_itself_of_nothing() {
    let cluster = start();
    runtime().block_on(async {
        let client = client(&cluster).await;
        cluster.nodes[1].set_fault(Some(Fault::Hoard));
        // Longer than it takes to leave for a view, with other certificates, again.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(2_500) {
            work(&client, 10).await;
        }
    });
    assert!(status(&cluster, 1).fault_hits > 20);
    for replica in [0, 2, 3] {
        let status = status(&cluster, replica);
        let held_against_it = (status.evidence, status.blames);
        assert_eq!((status.view, held_against_it), (0, (0, 0)), "{status:?}");
    }
    cluster.stop().unwrap();
}
