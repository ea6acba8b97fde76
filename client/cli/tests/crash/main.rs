//! Real processes under load, killed as by `kill -9`, frozen or lying: what was acknowledged
//! is there, once, no operation fails, and the cluster goes on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

mod linear;
mod recipes;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bezant_client::{Client, ClusterView, ReplicaId, Tuple, template, tuple};
use bezant_lab::{LocalOptions, ProcessCluster, admin};
use bezant_node::{NodeStatus, StorageKind};

const DEADLINE: Duration = Duration::from_secs(60);

/// Clients that work at the same time while processes are killed.
const CLIENTS: i64 = 8;

/// Clients that work at the same time while the primary fails.
const MANY: i64 = 50;

/// A tuple, as (client, number).
type Name = (i64, i64);

/// What was acknowledged to all clients.
#[derive(Debug, Default)]
struct Inventory {
    put: BTreeSet<Name>,
    taken: BTreeSet<Name>,
}

fn start(storage: StorageKind) -> ProcessCluster {
    let options = LocalOptions {
        admin: true,
        storage,
        ..LocalOptions::default()
    };
    ProcessCluster::start(Path::new(env!("CARGO_BIN_EXE_bezant")), &options).unwrap()
}

fn all() -> Vec<ReplicaId> {
    (0..4).map(ReplicaId).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Waits until `done` says so.
#[track_caller]
fn await_that(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < DEADLINE, "still not so: {what}");
        // Leaves the processor to those who are waited for.
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Clients that put tuples and take whichever is oldest, until told to stop.
struct Load {
    inventory: Arc<Mutex<Inventory>>,
    stop: tokio::sync::watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    fn start(view: &ClusterView, clients: i64) -> Self {
        let inventory = Arc::<Mutex<Inventory>>::default();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let thread = {
            let (inventory, view) = (Arc::clone(&inventory), view.clone());
            std::thread::spawn(move || {
                runtime().block_on(async {
                    let mut working = tokio::task::JoinSet::new();
                    for index in 0..clients {
                        let (inventory, stopped) = (Arc::clone(&inventory), stopped.clone());
                        working.spawn(work(index, view.clone(), inventory, stopped));
                    }
                    while let Some(ended) = working.join_next().await {
                        ended.unwrap();
                    }
                });
            })
        };
        let thread = Some(thread);
        Self {
            inventory,
            stop,
            thread,
        }
    }

    /// Waits until so many more tuples were put.
    #[track_caller]
    fn await_more(&self, more: usize) {
        let count = || self.inventory.lock().unwrap().put.len();
        let goal = count() + more;
        await_that("more is acknowledged", || count() >= goal);
    }

    /// Stops, and returns what was acknowledged.
    fn stop(mut self) -> Inventory {
        self.stop.send(true).unwrap();
        self.thread.take().unwrap().join().unwrap();
        std::mem::take(&mut *self.inventory.lock().unwrap())
    }
}

/// Puts two tuples for each it takes. Whatever fails on the way, no operation does.
async fn work(
    index: i64,
    view: ClusterView,
    inventory: Arc<Mutex<Inventory>>,
    stopped: tokio::sync::watch::Receiver<bool>,
) {
    let client = Client::builder(view).timeout(DEADLINE);
    let client = client.connect().await.unwrap();
    for number in 0.. {
        if *stopped.borrow() {
            return;
        }
        client.out("acked", tuple!(index, number)).await.unwrap();
        inventory.lock().unwrap().put.insert((index, number));
        if number % 2 == 1 {
            let taken = client.inp("acked", template!(?int, ?int)).await.unwrap();
            // Each client takes fewer than it put.
            let taken = name(&taken.value.unwrap());
            let first = inventory.lock().unwrap().taken.insert(taken);
            assert!(first, "{taken:?} was delivered twice");
        }
    }
}

fn name(tuple: &Tuple) -> Name {
    let fields = tuple.fields().iter();
    let fields: Vec<i64> = fields
        .map(|field| field.to_string().parse().unwrap())
        .collect();
    (fields[0], fields[1])
}

/// Everything in the space, each once.
fn present(view: &ClusterView) -> BTreeSet<Name> {
    runtime().block_on(async {
        let client = Client::builder(view.clone()).timeout(DEADLINE);
        let client = client.connect().await.unwrap();
        let (mut found, mut after) = (BTreeSet::new(), None);
        loop {
            let page = client.rd_all("acked", template!(?int, ?int), 200, after);
            let page = page.await.unwrap().into_inner();
            for tuple in &page.tuples {
                assert!(found.insert(name(tuple)), "{tuple} is there twice");
            }
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
    })
}

/// Every tuple that was put is there or was taken, and not both; and nothing else is there.
#[track_caller]
fn nothing_is_lost(view: &ClusterView, inventory: &Inventory) {
    let present = present(view);
    let both: Vec<_> = present.intersection(&inventory.taken).collect();
    assert!(both.is_empty(), "taken, and there: {both:?}");
    let known: BTreeSet<Name> = present.union(&inventory.taken).copied().collect();
    let differ: Vec<_> = known.symmetric_difference(&inventory.put).collect();
    assert!(
        differ.is_empty(),
        "{} put, {} taken, {} there; lost or from nowhere: {differ:?}",
        inventory.put.len(),
        inventory.taken.len(),
        present.len()
    );
}

fn admin_of(cluster: &ProcessCluster, replica: u8) -> String {
    cluster.admins()[usize::from(replica)].unwrap().to_string()
}

/// What the replica says of itself; nothing if it cannot be reached.
fn status(cluster: &ProcessCluster, replica: u8) -> Option<NodeStatus> {
    let asked = async { admin::status(&admin_of(cluster, replica)).await.ok() };
    runtime().block_on(asked)
}

fn executed(cluster: &ProcessCluster, replica: u8) -> u64 {
    status(cluster, replica).map_or(0, |status| status.executed)
}

#[test]
fn a_backup_killed_under_load_catches_up_from_its_journal() {
    let mut cluster = start(StorageKind::Sync);
    let load = Load::start(&cluster.view(), CLIENTS);
    // Past a checkpoint, so that it comes back from a snapshot and what follows it.
    await_that("a checkpoint is stable", || {
        status(&cluster, 2).is_some_and(|status| status.stable > 0)
    });
    for victim in [2, 3] {
        cluster.kill(ReplicaId(victim)).unwrap();
        load.await_more(200);
        let others = executed(&cluster, 1);
        cluster.start_again(&[ReplicaId(victim)]).unwrap();
        let again = status(&cluster, victim).unwrap();
        assert!(again.stable > 0, "it begins at its checkpoint: {again:?}");
        await_that("it catches up", || executed(&cluster, victim) > others);
    }
    // Now these two are needed.
    cluster.kill(ReplicaId(1)).unwrap();
    load.await_more(200);
    let inventory = load.stop();
    nothing_is_lost(&cluster.view(), &inventory);
}

#[test]
fn all_killed_under_load_come_back_with_what_was_acknowledged() {
    let mut cluster = start(StorageKind::Sync);
    let load = Load::start(&cluster.view(), CLIENTS);
    // Before the first checkpoint, and beyond some.
    for acknowledged in [50, 500, 1500] {
        load.await_more(acknowledged);
        all()
            .into_iter()
            .for_each(|replica| cluster.kill(replica).unwrap());
        cluster.start_again(&all()).unwrap();
    }
    load.await_more(200);
    assert!(status(&cluster, 1).unwrap().stable > 0);
    let inventory = load.stop();
    nothing_is_lost(&cluster.view(), &inventory);
}

/// Another one leads, and at least two replicas besides it know.
#[track_caller]
fn await_another_primary(cluster: &ProcessCluster) {
    await_that("another one leads", || {
        let entered =
            |replica| status(cluster, replica).is_some_and(|status| status.views_entered > 0);
        (1..4).all(entered)
    });
}

#[test]
fn a_primary_killed_under_load_is_replaced_and_comes_back() {
    let mut cluster = start(StorageKind::Sync);
    let load = Load::start(&cluster.view(), MANY);
    load.await_more(300);
    cluster.kill(ReplicaId(0)).unwrap();
    await_another_primary(&cluster);
    load.await_more(300);
    let others = executed(&cluster, 1);
    cluster.start_again(&[ReplicaId(0)]).unwrap();
    await_that("it catches up", || executed(&cluster, 0) > others);
    let inventory = load.stop();
    nothing_is_lost(&cluster.view(), &inventory);
}

#[test]
fn a_primary_frozen_under_load_is_replaced_and_votes_again() {
    let cluster = start(StorageKind::Sync);
    let load = Load::start(&cluster.view(), MANY);
    load.await_more(300);
    cluster.freeze(ReplicaId(0)).unwrap();
    await_another_primary(&cluster);
    load.await_more(300);
    let others = executed(&cluster, 1);
    cluster.thaw(ReplicaId(0)).unwrap();
    await_that("it catches up", || executed(&cluster, 0) > others);
    // Of the three that are left now, its vote is needed.
    cluster.freeze(ReplicaId(3)).unwrap();
    load.await_more(300);
    let inventory = load.stop();
    nothing_is_lost(&cluster.view(), &inventory);
}

#[test]
fn an_equivocating_primary_is_replaced_under_load() {
    let cluster = start(StorageKind::Sync);
    let load = Load::start(&cluster.view(), MANY);
    load.await_more(300);
    let order = r#"{"fault": "equivocate"}"#;
    let answer = runtime()
        .block_on(async { admin::request(&admin_of(&cluster, 0), "POST", "/fault", order).await });
    assert_eq!(answer.unwrap().code, 204);
    await_another_primary(&cluster);
    load.await_more(300);
    let inventory = load.stop();
    nothing_is_lost(&cluster.view(), &inventory);
}

/// Its memory goes with the process: it comes back under a new incarnation, under load, and
/// is needed then.
#[test]
fn a_replica_killed_with_its_memory_comes_back_and_votes() {
    let mut cluster = start(StorageKind::Memory);
    let load = Load::start(&cluster.view(), CLIENTS);
    load.await_more(200);
    for victim in [2, 0] {
        cluster.kill(ReplicaId(victim)).unwrap();
        load.await_more(50);
        cluster.start_again(&[ReplicaId(victim)]).unwrap();
        await_that("it votes under a new incarnation", || {
            status(&cluster, victim).is_some_and(|status| status.votes && status.incarnation == 1)
        });
    }
    // Now these two are needed.
    cluster.kill(ReplicaId(1)).unwrap();
    load.await_more(100);
    let acked = load.stop();
    nothing_is_lost(&cluster.view(), &acked);
}
