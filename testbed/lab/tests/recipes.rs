//! Recipes of the client library against real replicas: fifty clients at a time, and what
//! becomes of a recipe when a client or the primary goes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bezant_client::{
    Client, Error, Network, Sight, SigningKey, Since, Value,
    recipes::{
        Barrier, Counter, DoubleBarrier, Election, Guard, LeasedElection, Lock, Membership, Queue,
        RwLock, Semaphore,
    },
    template, tuple,
};
use bezant_lab::{LocalCluster, LocalOptions};
use bezant_node::Fault;
use tokio::task::JoinSet;

const DEADLINE: Duration = Duration::from_secs(60);

/// As many as the recipes must be correct for.
const MANY: usize = 50;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn start() -> LocalCluster {
    LocalCluster::start(&LocalOptions::default()).unwrap()
}

/// So many clients, each with a session of its own, over one link per replica.
async fn clients(cluster: &LocalCluster, count: usize) -> Vec<Client> {
    let view = cluster.view();
    let network = Network::new(&view, SigningKey::from_seed([9; 32])).unwrap();
    let mut clients = Vec::new();
    for _ in 0..count {
        let builder = Client::builder(view.clone()).network(&network);
        let builder = builder.timeout(DEADLINE).session_ttl(Some(DEADLINE));
        clients.push(builder.connect().await.unwrap());
    }
    clients[0].create_space("r").await.unwrap();
    clients
}

/// Runs one task per client, and gives what they gave.
async fn all<T, F>(clients: Vec<Client>, work: impl Fn(usize, Client) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for (index, client) in clients.into_iter().enumerate() {
        tasks.spawn(work(index, client));
    }
    tasks.join_all().await
}

/// Who is inside, and that fences rise.
#[derive(Default)]
struct Inside {
    now: AtomicUsize,
    most: AtomicUsize,
    fence: AtomicU64,
}

impl Inside {
    /// Is inside for a moment in which others get to run.
    async fn stay(&self, client: &Client) -> usize {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        client.count("r", template!("nothing")).await.unwrap();
        self.now.fetch_sub(1, Ordering::SeqCst);
        now
    }

    /// As [`Self::stay`], after everybody who was inside before.
    async fn stay_after(&self, guard: &Guard, client: &Client) -> usize {
        let before = self.fence.fetch_max(guard.fence(), Ordering::SeqCst);
        assert!(before < guard.fence(), "{before} and {}", guard.fence());
        self.stay(client).await
    }
}

#[test]
fn a_lock_has_one_holder_at_a_time_and_fences_that_rise() {
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, MANY).await;
        // The primary goes in the midst of it.
        cluster.nodes[0].set_fault(Some(Fault::Silent));
        let inside = Arc::new(Inside::default());
        let held = all(clients.clone(), |_, client| {
            let inside = Arc::clone(&inside);
            async move {
                let lock = Lock::new(&client, "r", "one").unwrap();
                for _ in 0..3 {
                    let guard = lock.acquire().await.unwrap();
                    assert_eq!(inside.stay_after(&guard, &client).await, 1);
                    assert!(guard.is_certain());
                    assert!(guard.release().await.unwrap());
                }
                3
            }
        });
        assert_eq!(held.await.into_iter().sum::<usize>(), 3 * MANY);
        let left = clients[1].count("r", template!(_, _, _, _)).await.unwrap();
        assert_eq!(left.value, 0);
    });
    cluster.nodes[0].set_fault(None);
    cluster.stop().unwrap();
}

#[test]
fn a_lock_that_is_held_is_not_had_by_trying_or_in_time() {
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, 2).await;
        let lock = |client| Lock::new(client, "r", "one").unwrap();
        let (one, other) = (lock(&clients[0]), lock(&clients[1]));
        let guard = one.try_acquire().await.unwrap().unwrap();
        assert!(other.try_acquire().await.unwrap().is_none());
        let short = Duration::from_millis(200);
        assert!(other.acquire_within(short).await.unwrap().is_none());
        // Whoever gave up stands in nobody's way.
        assert!(guard.release().await.unwrap());
        let guard = other.try_acquire().await.unwrap().unwrap();
        // Dropped, it is let go.
        drop(guard);
        one.acquire().await.unwrap().release().await.unwrap();
        // Somebody who may take tuples of the space may take a lock away.
        let guard = one.acquire().await.unwrap();
        let all = template!("lock", "one", _, ?bytes);
        clients[1].inp("r", all).await.unwrap().value.unwrap();
        guard.lost().await;
        assert!(!guard.release().await.unwrap());
    });
    cluster.stop().unwrap();
}

/// Whoever asks late, when the events of its beginning are kept no more, holds on.
#[test]
fn a_hold_is_not_lost_with_the_events_of_its_beginning() {
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, 2).await;
        let lock = Lock::new(&clients[0], "r", "one").unwrap();
        let guard = lock.acquire().await.unwrap();
        // A mebibyte of tuples is kept.
        let large = "x".repeat(60_000);
        for number in 0..20 {
            let tuple = tuple!(number, large.clone());
            clients[1].out("r", tuple).await.unwrap();
        }
        let nobody = clients[1].rd_within("r", template!("nobody"), Duration::from_millis(300));
        tokio::select! {
            () = guard.lost() => panic!("it is held"),
            none = nobody => assert!(matches!(none, Err(Error::NoMatchInTime(_)))),
        }
        assert!(guard.release().await.unwrap());
    });
    cluster.stop().unwrap();
}

/// What a client held that is gone is free again when its session is over; and the client, if
/// it is only cut off, knows before.
#[test]
fn a_lock_goes_with_its_holder() {
    let cluster = start();
    let (others, dying) = (runtime(), runtime());
    let next = others.block_on(async { clients(&cluster, 1).await.remove(0) });
    let guard = dying.block_on(async {
        let builder = Client::builder(cluster.view()).timeout(DEADLINE);
        let builder = builder.session_ttl(Some(Duration::from_millis(900)));
        let client = builder.connect().await.unwrap();
        let lock = Lock::new(&client, "r", "one").unwrap();
        let guard = lock.acquire().await.unwrap();
        assert!(guard.is_certain());
        for node in &cluster.nodes {
            node.set_fault(Some(Fault::Silent));
        }
        guard.lost().await;
        assert!(!guard.is_certain());
        guard
    });
    // It says no word any more, not even that it lets go.
    dying.shutdown_background();
    std::mem::forget(guard);
    for node in &cluster.nodes {
        node.set_fault(None);
    }
    others.block_on(async {
        let lock = Lock::new(&next, "r", "one").unwrap();
        assert!(lock.acquire().await.unwrap().release().await.unwrap());
    });
    cluster.stop().unwrap();
}

#[test]
fn readers_share_and_a_writer_is_alone() {
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, MANY).await;
        let (readers, writers) = (Arc::new(Inside::default()), Arc::new(Inside::default()));
        let done = all(clients, |index, client| {
            let (readers, writers) = (Arc::clone(&readers), Arc::clone(&writers));
            async move {
                let lock = RwLock::new(&client, "r", "one").unwrap();
                if index % 10 == 3 {
                    let guard = lock.write().await.unwrap();
                    assert_eq!(readers.now.load(Ordering::SeqCst), 0);
                    assert_eq!(writers.stay_after(&guard, &client).await, 1);
                    assert_eq!(readers.now.load(Ordering::SeqCst), 0);
                    guard.release().await.unwrap();
                } else {
                    let guard = lock.read().await.unwrap();
                    assert_eq!(writers.now.load(Ordering::SeqCst), 0);
                    readers.stay(&client).await;
                    assert_eq!(writers.now.load(Ordering::SeqCst), 0);
                    guard.release().await.unwrap();
                }
            }
        });
        done.await;
        assert!(readers.most.load(Ordering::SeqCst) > 1, "readers share");
        assert_eq!(writers.most.load(Ordering::SeqCst), 1);
    });
    cluster.stop().unwrap();
}

/// A reader that comes after a writer does not overtake it.
#[test]
fn a_writer_does_not_wait_for_later_readers() {
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, 3).await;
        let lock = |client| RwLock::new(client, "r", "one").unwrap();
        let first = lock(&clients[0]).read().await.unwrap();
        let writer = lock(&clients[1]);
        let writing = tokio::spawn(async move { writer.write().await });
        let standing = template!("rwlock", "one", "write", ?bytes);
        clients[2].rd("r", standing).await.unwrap();
        let late = lock(&clients[2]);
        let short = Duration::from_millis(200);
        assert!(late.read_within(short).await.unwrap().is_none());
        first.release().await.unwrap();
        writing.await.unwrap().unwrap().release().await.unwrap();
        lock(&clients[2])
            .read()
            .await
            .unwrap()
            .release()
            .await
            .unwrap();
    });
    cluster.stop().unwrap();
}

#[test]
fn a_semaphore_has_so_many_holders_and_no_more() {
    const PERMITS: usize = 3;
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, MANY).await;
        let inside = Arc::new(Inside::default());
        let done = all(clients.clone(), |_, client| {
            let inside = Arc::clone(&inside);
            async move {
                let semaphore = Semaphore::new(&client, "r", "few", PERMITS).unwrap();
                for _ in 0..2 {
                    let guard = semaphore.acquire().await.unwrap();
                    assert!(inside.stay(&client).await <= PERMITS);
                    guard.release().await.unwrap();
                }
            }
        });
        done.await;
        assert_eq!(inside.most.load(Ordering::SeqCst), PERMITS);
        let few = |client| Semaphore::new(client, "r", "few", 1).unwrap();
        let held = few(&clients[0]).try_acquire().await.unwrap().unwrap();
        assert!(few(&clients[1]).try_acquire().await.unwrap().is_none());
        drop(held);
    });
    cluster.stop().unwrap();
}

#[test]
fn there_is_one_leader_at_a_time_and_all_see_who() {
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, MANY).await;
        let inside = Arc::new(Inside::default());
        let watcher = clients[0].clone();
        let watching = tokio::spawn(async move {
            let election = Election::new(&watcher, "r", "one").unwrap();
            let mut seen = Vec::new();
            let mut fence = 0;
            while seen.last() != Some(&Value::from("last")) {
                if let Some(leader) = election.leader_after(fence).await.unwrap() {
                    assert!(leader.fence > fence);
                    fence = leader.fence;
                    seen.push(leader.data);
                }
            }
            seen
        });
        let done = all(clients.clone(), |index, client| {
            let inside = Arc::clone(&inside);
            async move {
                let election = Election::new(&client, "r", "one").unwrap();
                let me = i64::try_from(index).unwrap();
                let term = election.campaign(me).await.unwrap();
                assert_eq!(election.leader().await.unwrap().unwrap().data, me.into());
                assert_eq!(inside.stay_after(&term, &client).await, 1);
                term.release().await.unwrap();
            }
        });
        done.await;
        let election = Election::new(&clients[1], "r", "one").unwrap();
        let last = election.campaign("last").await.unwrap();
        assert_eq!(watching.await.unwrap().last(), Some(&Value::from("last")));
        last.release().await.unwrap();
        assert_eq!(election.leader().await.unwrap(), None);
    });
    cluster.stop().unwrap();
}

#[test]
fn a_leased_leader_leads_as_long_as_it_renews() {
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, MANY).await;
        let inside = Arc::new(Inside::default());
        let done = all(clients.clone(), |index, client| {
            let inside = Arc::clone(&inside);
            async move {
                let election = LeasedElection::new(&client, "r", "one", DEADLINE).unwrap();
                let me = i64::try_from(index).unwrap();
                let term = election.campaign(me).await.unwrap();
                let before = inside.fence.fetch_max(term.fence(), Ordering::SeqCst);
                assert!(before < term.fence());
                assert_eq!(inside.stay(&client).await, 1);
                assert!(term.release().await.unwrap());
            }
        });
        done.await;
        // Three leases go by, and it leads on; then nobody renews.
        let lease = Duration::from_millis(600);
        let election = |client| LeasedElection::new(client, "r", "two", lease).unwrap();
        let (one, other) = (election(&clients[0]), election(&clients[1]));
        let term = one.campaign("one").await.unwrap();
        let nobody = clients[2].rd_within("r", template!("nobody"), 3 * lease);
        assert!(matches!(nobody.await, Err(Error::NoMatchInTime(_))));
        assert_eq!(other.leader().await.unwrap().unwrap().data, "one".into());
        let mine = template!("leader", "two", _, ?bytes);
        clients[2].inp("r", mine).await.unwrap().value.unwrap();
        term.lost().await;
        let next = other.campaign("other").await.unwrap();
        assert!(next.fence() > term.fence());
        assert!(!term.release().await.unwrap());
    });
    cluster.stop().unwrap();
}

#[test]
fn a_counter_counts_everybody_once() {
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, MANY).await;
        let first = clients[0].clone();
        let seen = all(clients, |_, client| async move {
            let mut counter = Counter::new(&client, "r", "hits");
            [counter.add(1).await.unwrap(), counter.add(1).await.unwrap()]
        });
        let seen: BTreeSet<i64> = seen.await.into_iter().flatten().collect();
        let all = i64::try_from(2 * MANY).unwrap();
        assert_eq!(
            seen,
            (1..=all).collect(),
            "no value twice and none left out"
        );
        let mut counter = Counter::new(&first, "r", "hits");
        assert_eq!(counter.get().await.unwrap(), Some(all));
    });
    cluster.stop().unwrap();
}

#[test]
fn a_queue_loses_and_doubles_nothing() {
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, MANY).await;
        let first = clients[0].clone();
        let taken = all(clients, |index, client| async move {
            let mut queue = Queue::new(&client, "r");
            let mut taken = Vec::new();
            for round in 0..3_u8 {
                let key = i64::try_from(index).unwrap();
                queue.add(key, vec![round]).await.unwrap();
                // Each way of taking beside the others.
                taken.push(match round {
                    0 => queue.remove().await.unwrap().unwrap(),
                    1 => queue.poll().await.unwrap().unwrap(),
                    _ => queue.take().await.unwrap(),
                });
            }
            taken
        });
        let mut taken: Vec<_> = taken.await.into_iter().flatten().collect();
        taken.sort();
        let many = i64::try_from(MANY).unwrap();
        let expected = (0..many).flat_map(|key| (0..3).map(move |round| (key, vec![round])));
        assert_eq!(taken, expected.collect::<Vec<_>>());
        let mut queue = Queue::new(&first, "r");
        assert_eq!(queue.remove().await.unwrap(), None);
        assert_eq!(queue.poll().await.unwrap(), None);
        for key in [2, 1] {
            queue.add(key, vec![]).await.unwrap();
        }
        assert_eq!(queue.remove().await.unwrap(), Some((1, vec![])));
        let short = Duration::from_millis(100);
        assert_eq!(queue.take_within(short).await.unwrap(), (2, vec![]));
        let none = queue.take_within(short).await;
        assert!(matches!(none, Err(Error::NoMatchInTime(_))), "{none:?}");
    });
    cluster.stop().unwrap();
}

#[test]
fn nobody_passes_a_barrier_before_all_are_there() {
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, MANY).await;
        let come = Arc::new(AtomicUsize::new(0));
        let done = all(clients, |_, client| {
            let come = Arc::clone(&come);
            async move {
                for round in 1..=2 {
                    let name = format!("b{round}");
                    come.fetch_add(1, Ordering::SeqCst);
                    let barrier = Barrier::new(&client, "r", &name, MANY).unwrap();
                    barrier.wait().await.unwrap();
                    assert!(come.load(Ordering::SeqCst) >= round * MANY);
                }
            }
        });
        done.await;
    });
    cluster.stop().unwrap();
}

/// Rounds do not mix, and one that goes without a word holds nobody up for ever.
#[test]
fn rounds_of_a_double_barrier_do_not_mix() {
    const ROUNDS: i64 = 4;
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, MANY).await;
        let at = Arc::new(Mutex::new(BTreeSet::new()));
        let inside = Arc::new(AtomicI64::new(0));
        let done = all(clients.clone(), |index, client| {
            let (at, inside) = (Arc::clone(&at), Arc::clone(&inside));
            async move {
                let mut barrier = DoubleBarrier::new(&client, "r", "b", MANY).unwrap();
                for expected in 0..ROUNDS {
                    let round = barrier.enter().await.unwrap();
                    assert_eq!(round.number(), expected);
                    inside.fetch_add(1, Ordering::SeqCst);
                    at.lock().unwrap().insert((expected, index));
                    round.leave().await.unwrap();
                    // All of this round were inside, and nobody is in the next before all
                    // of them come.
                    let were = at.lock().unwrap().range((expected, 0)..).count();
                    assert!(were >= MANY, "{were} in round {expected}");
                }
            }
        });
        done.await;
        let many = i64::try_from(MANY).unwrap();
        assert_eq!(inside.load(Ordering::SeqCst), ROUNDS * many);
        // Of the rounds nothing is left but the number of the next.
        let left = clients[0].rd_all("r", template!(_, _, _), 9, None);
        assert_eq!(left.await.unwrap().tuples, [tuple!("round", "b", ROUNDS)]);
        let left = clients[0].count("r", template!(_, _, _, _)).await.unwrap();
        assert_eq!(left.value, 0);
        let barrier = |client| DoubleBarrier::new(client, "r", "b", 2).unwrap();
        let (mut one, mut other) = (barrier(&clients[0]), barrier(&clients[1]));
        // Whoever came and gave up is missing again.
        let alone = tokio::time::timeout(Duration::from_millis(200), one.enter()).await;
        assert!(alone.is_err());
        let waiting = tokio::spawn(async move { one.enter().await });
        let second = other.enter().await.unwrap();
        let first = waiting.await.unwrap().unwrap();
        assert_eq!((first.number(), second.number()), (ROUNDS, ROUNDS));
        drop(first);
        second.leave().await.unwrap();
    });
    cluster.stop().unwrap();
}

#[test]
fn members_are_those_that_are_there() {
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, MANY).await;
        let first = clients[0].clone();
        let group = |client: &Client| Membership::new(client, "r", "g").unwrap();
        let mut watch = group(&first).watch(Since::Event(0)).unwrap();
        let guards = all(clients, |index, client| async move {
            let me = i64::try_from(index).unwrap();
            Membership::new(&client, "r", "g")
                .unwrap()
                .join(me)
                .await
                .unwrap()
        });
        let mut guards = guards.await;
        let members = group(&first).members().await.unwrap();
        assert_eq!(members.len(), MANY);
        assert!(members.is_sorted_by(|a, b| a.fence < b.fence));
        let fences: BTreeSet<u64> = members.iter().map(|member| member.fence).collect();
        assert_eq!(fences, guards.iter().map(Guard::fence).collect());
        let gone = guards.pop().unwrap();
        let fence = gone.fence();
        assert!(gone.release().await.unwrap());
        let members = group(&first).members().await.unwrap();
        assert!(members.len() == MANY - 1 && members.iter().all(|member| member.fence != fence));
        let mut seen = 0;
        loop {
            let Sight::Happened(event) = watch.next().await.unwrap() else {
                panic!("what was there");
            };
            seen += 1;
            if event.id.0 == fence && event.change != bezant_client::Change::Inserted {
                break;
            }
        }
        assert_eq!(seen, MANY + 1, "one event for each that came, and one");
    });
    cluster.stop().unwrap();
}
