//! Real processes under load, killed as by `kill -9` and started again: what was
//! acknowledged is there, once, and the cluster goes on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bezant_client::{Client, ClusterView, ReplicaId, template, tuple};
use bezant_lab::{LocalOptions, ProcessCluster};
use bezant_node::{NodeStatus, StorageKind};

const DEADLINE: Duration = Duration::from_secs(60);

/// Clients that put tuples at the same time.
const CLIENTS: i64 = 8;

/// Tuples that were acknowledged, as (client, number).
type Acked = Arc<Mutex<BTreeSet<(i64, i64)>>>;

fn start() -> ProcessCluster {
    let options = LocalOptions {
        admin: true,
        storage: StorageKind::Sync,
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

/// Clients that put one tuple after the other until told to stop.
struct Load {
    acked: Acked,
    stop: tokio::sync::watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    fn start(view: &ClusterView) -> Self {
        let acked = Acked::default();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let thread = {
            let (acked, view) = (Arc::clone(&acked), view.clone());
            std::thread::spawn(move || {
                runtime().block_on(async {
                    let mut clients = tokio::task::JoinSet::new();
                    for index in 0..CLIENTS {
                        let (acked, stopped) = (Arc::clone(&acked), stopped.clone());
                        clients.spawn(put(index, view.clone(), acked, stopped));
                    }
                    while let Some(ended) = clients.join_next().await {
                        ended.unwrap();
                    }
                });
            })
        };
        let thread = Some(thread);
        Self {
            acked,
            stop,
            thread,
        }
    }

    fn count(&self) -> usize {
        self.acked.lock().unwrap().len()
    }

    /// Waits until so many more were acknowledged.
    #[track_caller]
    fn await_more(&self, more: usize) {
        let goal = self.count() + more;
        await_that("more is acknowledged", || self.count() >= goal);
    }

    /// Stops, and returns what was acknowledged.
    fn stop(mut self) -> BTreeSet<(i64, i64)> {
        self.stop.send(true).unwrap();
        self.thread.take().unwrap().join().unwrap();
        std::mem::take(&mut *self.acked.lock().unwrap())
    }
}

async fn put(
    index: i64,
    view: ClusterView,
    acked: Acked,
    stopped: tokio::sync::watch::Receiver<bool>,
) {
    let client = Client::builder(view).timeout(DEADLINE);
    let client = client.connect().await.unwrap();
    for number in 0.. {
        if *stopped.borrow() {
            return;
        }
        client.out("acked", tuple!(index, number)).await.unwrap();
        acked.lock().unwrap().insert((index, number));
    }
}

/// Everything in the space, each once.
fn present(view: &ClusterView) -> BTreeSet<(i64, i64)> {
    runtime().block_on(async {
        let client = Client::builder(view.clone()).timeout(DEADLINE);
        let client = client.connect().await.unwrap();
        let (mut found, mut after) = (BTreeSet::new(), None);
        loop {
            let page = client.rd_all("acked", template!(?int, ?int), 200, after);
            let page = page.await.unwrap();
            for tuple in &page.tuples {
                let fields: Vec<i64> = tuple
                    .fields()
                    .iter()
                    .map(|field| field.to_string().parse().unwrap())
                    .collect();
                assert!(
                    found.insert((fields[0], fields[1])),
                    "{tuple} is there twice"
                );
            }
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
    })
}

#[track_caller]
fn nothing_is_lost(view: &ClusterView, acked: &BTreeSet<(i64, i64)>) {
    let present = present(view);
    let lost: Vec<_> = acked.difference(&present).collect();
    assert!(
        lost.is_empty(),
        "{} acknowledged, lost {lost:?}",
        acked.len()
    );
    // Put, but not acknowledged: at most what each client had under way at a kill.
    assert!(
        present.len() <= acked.len() + 64,
        "{} {}",
        present.len(),
        acked.len()
    );
}

/// What the replica says of itself; nothing if it cannot be reached.
fn status(cluster: &ProcessCluster, replica: u8) -> Option<NodeStatus> {
    let admin: SocketAddr = cluster.admins()[usize::from(replica)]?;
    let mut stream = TcpStream::connect(admin).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let ask = "GET /status HTTP/1.1\r\nHost: replica\r\nConnection: close\r\n\r\n";
    stream.write_all(ask.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

fn executed(cluster: &ProcessCluster, replica: u8) -> u64 {
    status(cluster, replica).map_or(0, |status| status.executed)
}

#[test]
fn a_backup_killed_under_load_catches_up_from_its_journal() {
    let mut cluster = start();
    let load = Load::start(&cluster.view());
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
    let acked = load.stop();
    nothing_is_lost(&cluster.view(), &acked);
}

#[test]
fn all_killed_under_load_come_back_with_what_was_acknowledged() {
    let mut cluster = start();
    let load = Load::start(&cluster.view());
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
    let acked = load.stop();
    nothing_is_lost(&cluster.view(), &acked);
}
