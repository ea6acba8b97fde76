//! What many clients do with one recipe at a time, and what must hold of it: without a lost or
//! doubled element, and never with more holders than there may be.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
};

use bezant_client::{
    Change, Client, Event, Sight, Since, Tuple, Value,
    recipes::{
        Barrier, Counter, DoubleBarrier, Election, Guard, LeasedElection, Lock, Membership, Queue,
        RwLock, Semaphore,
    },
    template, tuple,
};
use tokio::task::JoinSet;

use crate::{DEADLINE, SPACE};

/// Runs one task per client, and gives what they gave.
pub(crate) async fn all<T, F>(clients: &[Client], work: impl Fn(usize, Client) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for (index, client) in clients.iter().enumerate() {
        tasks.spawn(work(index, client.clone()));
    }
    tasks.join_all().await
}

pub(crate) fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap()
}

/// Who is inside, and that fences rise.
#[derive(Default)]
pub(crate) struct Inside {
    pub(crate) now: AtomicUsize,
    pub(crate) most: AtomicUsize,
    fence: AtomicU64,
}

impl Inside {
    /// Is inside for a moment in which others get to run.
    pub(crate) async fn stay(&self, client: &Client) -> usize {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        client.count(SPACE, template!("nothing")).await.unwrap();
        self.now.fetch_sub(1, Ordering::SeqCst);
        now
    }

    /// As [`Self::stay`], after everybody who was inside before.
    pub(crate) async fn stay_after(&self, fence: u64, client: &Client) -> usize {
        let before = self.fence.fetch_max(fence, Ordering::SeqCst);
        assert!(before < fence, "{before} and {fence}");
        self.stay(client).await
    }
}

/// A lock has one holder at a time, with fences that rise.
pub(crate) async fn lock(clients: Vec<Client>) {
    let inside = Arc::new(Inside::default());
    let held = all(&clients, |_, client| {
        let inside = Arc::clone(&inside);
        async move {
            let lock = Lock::new(&client, SPACE, "one").unwrap();
            for _ in 0..3 {
                let guard = lock.acquire().await.unwrap();
                assert_eq!(inside.stay_after(guard.fence(), &client).await, 1);
                assert!(guard.is_certain());
                assert!(guard.release().await.unwrap());
            }
            3
        }
    });
    assert_eq!(held.await.into_iter().sum::<usize>(), 3 * clients.len());
    let left = clients[1].count(SPACE, template!(_, _, _, _)).await;
    assert_eq!(left.unwrap().value, 0);
}

/// Readers share, and a writer is alone.
pub(crate) async fn read_write_lock(clients: Vec<Client>) {
    let (readers, writers) = (Arc::new(Inside::default()), Arc::new(Inside::default()));
    let done = all(&clients, |index, client| {
        let (readers, writers) = (Arc::clone(&readers), Arc::clone(&writers));
        async move {
            let lock = RwLock::new(&client, SPACE, "one").unwrap();
            if index % 10 == 3 {
                let guard = lock.write().await.unwrap();
                assert_eq!(readers.now.load(Ordering::SeqCst), 0);
                assert_eq!(writers.stay_after(guard.fence(), &client).await, 1);
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
}

/// A semaphore has so many holders and no more.
pub(crate) async fn semaphore(clients: Vec<Client>) {
    const PERMITS: usize = 3;
    let inside = Arc::new(Inside::default());
    let done = all(&clients, |_, client| {
        let inside = Arc::clone(&inside);
        async move {
            let semaphore = Semaphore::new(&client, SPACE, "few", PERMITS).unwrap();
            for _ in 0..2 {
                let guard = semaphore.acquire().await.unwrap();
                assert!(inside.stay(&client).await <= PERMITS);
                guard.release().await.unwrap();
            }
        }
    });
    done.await;
    assert_eq!(inside.most.load(Ordering::SeqCst), PERMITS);
    let few = |client| Semaphore::new(client, SPACE, "few", 1).unwrap();
    let held = few(&clients[0]).try_acquire().await.unwrap().unwrap();
    assert!(few(&clients[1]).try_acquire().await.unwrap().is_none());
    assert!(held.release().await.unwrap());
}

/// There is one leader at a time, and all see who.
pub(crate) async fn election(clients: Vec<Client>) {
    let inside = Arc::new(Inside::default());
    let watcher = clients[0].clone();
    let watching = tokio::spawn(async move {
        let election = Election::new(&watcher, SPACE, "one").unwrap();
        let mut seen = Vec::new();
        let mut fence = 0;
        while seen.last() != Some(&Value::from("last")) {
            if let Some(leader) = election.leader_after(fence).await.unwrap() {
                assert!(leader.fence > fence);
                fence = leader.fence;
                seen.push(leader.data);
            }
        }
    });
    let done = all(&clients, |index, client| {
        let inside = Arc::clone(&inside);
        async move {
            let election = Election::new(&client, SPACE, "one").unwrap();
            let me = number(index);
            let term = election.campaign(me).await.unwrap();
            assert_eq!(election.leader().await.unwrap().unwrap().data, me.into());
            assert_eq!(inside.stay_after(term.fence(), &client).await, 1);
            term.release().await.unwrap();
        }
    });
    done.await;
    let election = Election::new(&clients[1], SPACE, "one").unwrap();
    let last = election.campaign("last").await.unwrap();
    watching.await.unwrap();
    last.release().await.unwrap();
    assert_eq!(election.leader().await.unwrap(), None);
}

/// The same, of leaders who lead on a lease.
pub(crate) async fn leased_election(clients: Vec<Client>) {
    let inside = Arc::new(Inside::default());
    let done = all(&clients, |index, client| {
        let inside = Arc::clone(&inside);
        async move {
            let election = LeasedElection::new(&client, SPACE, "one", DEADLINE).unwrap();
            let term = election.campaign(number(index)).await.unwrap();
            assert_eq!(inside.stay_after(term.fence(), &client).await, 1);
            assert!(term.release().await.unwrap());
        }
    });
    done.await;
}

/// A counter counts everybody once.
pub(crate) async fn counter(clients: Vec<Client>) {
    let seen = all(&clients, |_, client| async move {
        let mut counter = Counter::new(&client, SPACE, "hits");
        [counter.add(1).await.unwrap(), counter.add(1).await.unwrap()]
    });
    let seen: BTreeSet<i64> = seen.await.into_iter().flatten().collect();
    let all = number(2 * clients.len());
    assert_eq!(
        seen,
        (1..=all).collect(),
        "no value twice and none left out"
    );
    let mut counter = Counter::new(&clients[0], SPACE, "hits");
    assert_eq!(counter.get().await.unwrap(), Some(all));
}

/// A queue loses and doubles nothing, in whichever way it is taken from.
pub(crate) async fn queue(clients: Vec<Client>) {
    let taken = all(&clients, |index, client| async move {
        let mut queue = Queue::new(&client, SPACE);
        let mut taken = Vec::new();
        for round in 0..3_u8 {
            queue.add(number(index), vec![round]).await.unwrap();
            // Each way of taking beside the others.
            let element = match round {
                0 => queue.remove().await.unwrap().unwrap(),
                1 => queue.poll().await.unwrap().unwrap(),
                _ => queue.take().await.unwrap(),
            };
            taken.push((element.key, element.payload));
        }
        taken
    });
    let mut taken: Vec<_> = taken.await.into_iter().flatten().collect();
    taken.sort();
    let many = number(clients.len());
    let expected = (0..many).flat_map(|key| (0..3).map(move |round| (key, vec![round])));
    assert_eq!(taken, expected.collect::<Vec<_>>());
    let mut queue = Queue::new(&clients[0], SPACE);
    assert_eq!(queue.remove().await.unwrap(), None);
    assert_eq!(queue.poll().await.unwrap(), None);
}

/// Nobody passes a barrier before all are there.
pub(crate) async fn barrier(clients: Vec<Client>) {
    let (many, come) = (clients.len(), Arc::new(AtomicUsize::new(0)));
    let done = all(&clients, |_, client| {
        let come = Arc::clone(&come);
        async move {
            for round in 1..=2 {
                let name = format!("b{round}");
                come.fetch_add(1, Ordering::SeqCst);
                let barrier = Barrier::new(&client, SPACE, &name, many).unwrap();
                barrier.wait().await.unwrap();
                assert!(come.load(Ordering::SeqCst) >= round * many);
            }
        }
    });
    done.await;
}

/// Rounds of a double barrier do not mix.
pub(crate) async fn double_barrier(clients: Vec<Client>) {
    const ROUNDS: i64 = 4;
    let many = clients.len();
    let at = Arc::new(Mutex::new(BTreeSet::new()));
    let inside = Arc::new(AtomicI64::new(0));
    let done = all(&clients, |index, client| {
        let (at, inside) = (Arc::clone(&at), Arc::clone(&inside));
        async move {
            let mut barrier = DoubleBarrier::new(&client, SPACE, "b", many).unwrap();
            for expected in 0..ROUNDS {
                let round = barrier.enter().await.unwrap();
                assert_eq!(round.number(), expected);
                inside.fetch_add(1, Ordering::SeqCst);
                at.lock().unwrap().insert((expected, index));
                round.leave().await.unwrap();
                // All of this round were inside, and nobody is in the next before all of
                // them come.
                let were = at.lock().unwrap().range((expected, 0)..).count();
                assert!(were >= many, "{were} in round {expected}");
            }
        }
    });
    done.await;
    assert_eq!(inside.load(Ordering::SeqCst), ROUNDS * number(many));
    // Of the rounds nothing is left but the number of the next.
    let left = clients[0].rd_all(SPACE, template!(_, _, _), 9, None);
    assert_eq!(left.await.unwrap().tuples, [tuple!("round", "b", ROUNDS)]);
    let left = clients[0].count(SPACE, template!(_, _, _, _)).await;
    assert_eq!(left.unwrap().value, 0);
}

/// Members are those that are there, each of whom is seen to come and to go.
pub(crate) async fn membership(clients: Vec<Client>) {
    let group = |client: &Client| Membership::new(client, SPACE, "g").unwrap();
    let mut watch = group(&clients[0]).watch(Since::Event(0)).unwrap();
    let guards = all(&clients, |index, client| async move {
        let group = Membership::new(&client, SPACE, "g").unwrap();
        group.join(number(index)).await.unwrap()
    });
    let mut guards = guards.await;
    let members = group(&clients[0]).members().await.unwrap();
    assert_eq!(members.len(), clients.len());
    assert!(members.is_sorted_by(|a, b| a.fence < b.fence));
    let fences: BTreeSet<u64> = members.iter().map(|member| member.fence).collect();
    assert_eq!(fences, guards.iter().map(Guard::fence).collect());
    let gone = guards.pop().unwrap();
    let fence = gone.fence();
    assert!(gone.release().await.unwrap());
    let members = group(&clients[0]).members().await.unwrap();
    assert!(members.len() == guards.len() && members.iter().all(|member| member.fence != fence));
    let mut seen = 0;
    loop {
        let Sight::Happened(event) = watch.next().await.unwrap() else {
            panic!("what was there");
        };
        seen += 1;
        if event.id.0 == fence && event.change != Change::Inserted {
            break;
        }
    }
    assert_eq!(
        seen,
        clients.len() + 1,
        "one event for each that came, and one"
    );
}

/// What a watch told until the last tuple: what is there then, and the events by their numbers.
async fn watched(client: Client, since: Since) -> (BTreeSet<Tuple>, Vec<Event>) {
    let mut watch = client.watch(SPACE, template!("w", ?int, ?int), since);
    let (mut there, mut events) = (BTreeSet::new(), Vec::<Event>::new());
    loop {
        match watch.next().await.unwrap() {
            Sight::There { tuple, .. } => {
                assert!(events.is_empty(), "what was there comes first");
                assert!(there.insert(tuple), "told twice");
            }
            Sight::Happened(event) => {
                let before = events.last().map_or(0, |event| event.number);
                assert!(event.number > before, "{event:?} after {before}");
                let is_news = match event.change {
                    Change::Inserted => there.insert(event.tuple.clone()),
                    Change::Taken | Change::Expired => there.remove(&event.tuple),
                };
                assert!(is_news, "told twice, or not before: {event:?}");
                events.push(event);
            }
        }
        if there.contains(&tuple!("w", -1, -1)) {
            return (there, events);
        }
    }
}

/// All put and take while all watch, half from what is there and half from the first event:
/// each is told of every change once, and in the order of all.
pub(crate) async fn watch(clients: Vec<Client>) {
    const PUT: i64 = 3;
    let mut watching = Vec::new();
    for (index, client) in clients.iter().enumerate() {
        let since = [Since::Present, Since::Event(0)][index % 2];
        watching.push(tokio::spawn(watched(client.clone(), since)));
    }
    all(&clients, |index, client| async move {
        for part in 0..PUT {
            let own = tuple!("w", number(index), part);
            client.out(SPACE, own).await.unwrap();
        }
        let first = template!("w", number(index), 0);
        assert!(client.inp(SPACE, first).await.unwrap().is_some());
    })
    .await;
    clients[0].out(SPACE, tuple!("w", -1, -1)).await.unwrap();
    let mut left = BTreeSet::from([tuple!("w", -1, -1)]);
    for index in 0..clients.len() {
        left.extend((1..PUT).map(|part| tuple!("w", number(index), part)));
    }
    let mut histories = Vec::new();
    for (index, watching) in watching.into_iter().enumerate() {
        let (there, events) = watching.await.unwrap();
        assert_eq!(there, left, "client {index}");
        if index % 2 == 1 {
            assert_eq!(number(events.len()), number(clients.len()) * (PUT + 1) + 1);
            histories.push(events);
        }
    }
    assert!(histories.windows(2).all(|two| two[0] == two[1]));
}
