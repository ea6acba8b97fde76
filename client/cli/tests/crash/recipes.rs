//! Recipes of the client library while replicas are killed: one holder at a time, no fence
//! twice, nothing lost, nothing twice.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use bezant_client::{
    Client, ClusterView, Network, ReplicaId, SigningKey,
    recipes::{
        Counter, DoubleBarrier, Election, Guard, Lock, Membership, Queue, RwLock, Semaphore,
    },
};
use bezant_lab::ProcessCluster;
use bezant_node::StorageKind;

use super::{DEADLINE, MANY, all, await_that, runtime, start};

/// What all clients of a test know of each other, who live in one process.
#[derive(Debug, Default)]
struct Seen {
    /// Operations done.
    done: AtomicUsize,
    /// Who holds something now.
    inside: AtomicUsize,
    fence: AtomicU64,
    stop: AtomicBool,
}

impl Seen {
    /// That nobody else is inside, and that the last one inside came before.
    fn enter(&self, guard: &Guard) {
        assert_eq!(self.inside.fetch_add(1, Ordering::SeqCst), 0);
        let before = self.fence.swap(guard.fence(), Ordering::SeqCst);
        assert!(before < guard.fence(), "{before} and {}", guard.fence());
    }

    fn leave(&self) {
        self.inside.fetch_sub(1, Ordering::SeqCst);
        self.done.fetch_add(1, Ordering::SeqCst);
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }
}

/// Fifty clients at work on a thread of their own, until told to stop.
struct Crowd<T> {
    seen: Arc<Seen>,
    thread: JoinHandle<Vec<T>>,
}

impl<T: Send + 'static> Crowd<T> {
    fn start<F>(
        view: &ClusterView,
        work: impl Fn(i64, Client, Arc<Seen>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let seen = Arc::<Seen>::default();
        let thread = {
            let (seen, view) = (Arc::clone(&seen), view.clone());
            std::thread::spawn(move || {
                runtime().block_on(async {
                    let network = Network::new(&view, SigningKey::from_seed([8; 32])).unwrap();
                    let mut working = tokio::task::JoinSet::new();
                    for index in 0..MANY {
                        let builder = Client::builder(view.clone()).network(&network);
                        // Nobody's session is to end: a kill of all takes its time.
                        let builder = builder.timeout(DEADLINE).session_ttl(Some(DEADLINE));
                        let client = builder.connect().await.unwrap();
                        if index == 0 {
                            client.create_space("r").await.unwrap();
                        }
                        working.spawn(work(index, client, Arc::clone(&seen)));
                    }
                    working.join_all().await
                })
            })
        };
        Self { seen, thread }
    }

    #[track_caller]
    fn await_more(&self, more: usize) {
        let done = || self.seen.done.load(Ordering::SeqCst);
        let goal = done() + more;
        await_that("more is done", || done() >= goal);
    }

    /// The primary is killed and comes back, and then all are.
    #[track_caller]
    fn endures(self, mut cluster: ProcessCluster) -> (Vec<T>, ProcessCluster) {
        self.await_more(60);
        cluster.kill(ReplicaId(0)).unwrap();
        self.await_more(60);
        cluster.start_again(&[ReplicaId(0)]).unwrap();
        self.await_more(60);
        let kill = |replica| cluster.kill(replica).unwrap();
        all().into_iter().for_each(kill);
        cluster.start_again(&all()).unwrap();
        self.await_more(60);
        self.seen.stop.store(true, Ordering::SeqCst);
        (self.thread.join().unwrap(), cluster)
    }
}

async fn one(view: &ClusterView) -> Client {
    let builder = Client::builder(view.clone()).timeout(DEADLINE);
    builder.connect().await.unwrap()
}

#[test]
fn a_lock_has_one_holder_whoever_is_killed() {
    let cluster = start(StorageKind::Sync);
    let crowd = Crowd::start(&cluster.view(), |_, client, seen| async move {
        let lock = Lock::new(&client, "r", "one").unwrap();
        while seen.goes_on() {
            let guard = lock.acquire().await.unwrap();
            seen.enter(&guard);
            let template = bezant_client::template!("nothing");
            client.count("r", template).await.unwrap();
            seen.leave();
            assert!(guard.release().await.unwrap(), "it was held until now");
        }
    });
    crowd.endures(cluster);
}

#[test]
fn there_is_one_leader_whoever_is_killed() {
    let cluster = start(StorageKind::Sync);
    let crowd = Crowd::start(&cluster.view(), |index, client, seen| async move {
        let election = Election::new(&client, "r", "one").unwrap();
        while seen.goes_on() {
            let term = election.campaign(index).await.unwrap();
            seen.enter(&term);
            let leader = election.leader().await.unwrap().unwrap();
            assert_eq!(leader.fence, term.fence());
            seen.leave();
            assert!(term.release().await.unwrap(), "it led until now");
        }
    });
    crowd.endures(cluster);
}

#[test]
fn a_counter_and_a_queue_lose_nothing_whoever_is_killed() {
    let cluster = start(StorageKind::Sync);
    let crowd = Crowd::start(&cluster.view(), |index, client, seen| async move {
        let mut counter = Counter::new(&client, "r", "hits");
        let mut queue = Queue::new(&client, "r");
        let (mut counted, mut put, mut taken) = (Vec::new(), Vec::new(), Vec::new());
        while seen.goes_on() {
            counted.push(counter.add(1).await.unwrap());
            let key = 1_000_000 * index + i64::try_from(put.len()).unwrap();
            queue.add(key, Vec::new()).await.unwrap();
            put.push(key);
            // The two ways of taking beside each other.
            let element = if counted.len() % 2 == 0 {
                queue.poll().await.unwrap().unwrap()
            } else {
                queue.take().await.unwrap()
            };
            taken.push(element.key);
            seen.done.fetch_add(1, Ordering::SeqCst);
        }
        (counted, put, taken)
    });
    let (results, cluster) = crowd.endures(cluster);
    let (mut counted, mut put, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    for (counted_here, put_here, taken_here) in results {
        counted.extend(counted_here);
        put.extend(put_here);
        taken.extend(taken_here);
    }
    let count = i64::try_from(counted.len()).unwrap();
    let counted: BTreeSet<i64> = counted.into_iter().collect();
    assert_eq!(counted, (1..=count).collect());
    put.sort_unstable();
    taken.sort_unstable();
    assert_eq!(put, taken);
    runtime().block_on(async {
        let client = one(&cluster.view()).await;
        let mut counter = Counter::new(&client, "r", "hits");
        assert_eq!(counter.get().await.unwrap(), Some(count));
        assert_eq!(Queue::new(&client, "r").remove().await.unwrap(), None);
    });
}

#[test]
fn rounds_of_a_barrier_do_not_mix_whoever_is_killed() {
    let cluster = start(StorageKind::Sync);
    let crowd = Crowd::start(&cluster.view(), |_, client, seen| async move {
        let parties = usize::try_from(MANY).unwrap();
        let mut barrier = DoubleBarrier::new(&client, "r", "b", parties).unwrap();
        let mut rounds = 0;
        loop {
            let round = barrier.enter().await.unwrap();
            assert_eq!(round.number(), rounds);
            rounds += 1;
            let inside = seen.inside.fetch_add(1, Ordering::SeqCst) + 1;
            seen.done.fetch_add(1, Ordering::SeqCst);
            // All decide alike in which round they stop: when the first of it has said so.
            if !seen.goes_on() {
                let last = round.number().unsigned_abs() + 2;
                let order = Ordering::SeqCst;
                let _first = seen.fence.compare_exchange(0, last, order, order);
            }
            let last = seen.fence.load(Ordering::SeqCst);
            round.leave().await.unwrap();
            let expected = usize::try_from(rounds).unwrap() * parties;
            let after = seen.inside.load(Ordering::SeqCst);
            assert!(inside <= expected && after >= expected, "{inside} {after}");
            if last > 0 && u64::try_from(rounds).unwrap() > last {
                return rounds;
            }
        }
    });
    let (rounds, _) = crowd.endures(cluster);
    assert!(rounds.iter().all(|count| *count == rounds[0]), "{rounds:?}");
}

/// A writer is alone, also with those who read. A reader counts one, a writer as many as all.
#[test]
fn readers_share_and_a_writer_is_alone_whoever_is_killed() {
    let cluster = start(StorageKind::Sync);
    let crowd = Crowd::start(&cluster.view(), |index, client, seen| async move {
        let everybody = usize::try_from(MANY).unwrap();
        let lock = RwLock::new(&client, "r", "one").unwrap();
        let (writes, mut shared) = (index % 10 == 3, false);
        let weight = if writes { everybody } else { 1 };
        while seen.goes_on() {
            let guard = if writes {
                lock.write().await.unwrap()
            } else {
                lock.read().await.unwrap()
            };
            let others = seen.inside.fetch_add(weight, Ordering::SeqCst);
            assert!(others + weight <= everybody, "{others} beside {weight}");
            shared |= others > 0;
            let template = bezant_client::template!("nothing");
            client.count("r", template).await.unwrap();
            seen.inside.fetch_sub(weight, Ordering::SeqCst);
            seen.done.fetch_add(1, Ordering::SeqCst);
            assert!(guard.release().await.unwrap(), "it was held until now");
        }
        shared
    });
    let (shared, _) = crowd.endures(cluster);
    assert!(shared.contains(&true), "readers share");
}

#[test]
fn a_semaphore_has_so_many_holders_whoever_is_killed() {
    const PERMITS: usize = 3;
    let cluster = start(StorageKind::Sync);
    let crowd = Crowd::start(&cluster.view(), |_, client, seen| async move {
        let semaphore = Semaphore::new(&client, "r", "few", PERMITS).unwrap();
        let mut most = 0;
        while seen.goes_on() {
            let guard = semaphore.acquire().await.unwrap();
            let now = seen.inside.fetch_add(1, Ordering::SeqCst) + 1;
            assert!(now <= PERMITS, "{now} hold one of {PERMITS}");
            most = now.max(most);
            let template = bezant_client::template!("nothing");
            client.count("r", template).await.unwrap();
            seen.leave();
            assert!(guard.release().await.unwrap(), "it was held until now");
        }
        most
    });
    let (most, _) = crowd.endures(cluster);
    assert_eq!(most.into_iter().max(), Some(PERMITS));
}

/// Whoever is in the group sees itself there, and whoever has left does not.
#[test]
fn members_are_those_that_are_there_whoever_is_killed() {
    let cluster = start(StorageKind::Sync);
    let crowd = Crowd::start(&cluster.view(), |index, client, seen| async move {
        let group = Membership::new(&client, "r", "g").unwrap();
        while seen.goes_on() {
            let member = group.join(index).await.unwrap();
            let fence = member.fence();
            let members = group.members().await.unwrap();
            let own = members.iter().filter(|other| other.fence == fence);
            assert_eq!(own.count(), 1);
            assert!(member.release().await.unwrap(), "it was a member until now");
            let members = group.members().await.unwrap();
            assert!(members.iter().all(|other| other.fence != fence));
            seen.done.fetch_add(1, Ordering::SeqCst);
        }
    });
    let (_, cluster) = crowd.endures(cluster);
    runtime().block_on(async {
        let client = one(&cluster.view()).await;
        let group = Membership::new(&client, "r", "g").unwrap();
        assert!(group.members().await.unwrap().is_empty());
    });
}
