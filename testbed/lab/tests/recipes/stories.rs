//! Recipes of the client library against real replicas over real sockets, in this process:
//! fifty clients at a time, and what becomes of a recipe when a client or the primary goes.

use std::time::Duration;

use bezant_client::{
    Client, Error, Network, SigningKey,
    recipes::{DoubleBarrier, Element, LeasedElection, Lock, Queue, RwLock},
    template, tuple,
};
use bezant_lab::{Fault, LocalCluster, OnDemand as _};

use crate::{
    DEADLINE, MANY, SPACE,
    common::{runtime, start},
    programs,
};

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
    clients[0].create_space(SPACE).await.unwrap();
    clients
}

/// Many clients carry out a program.
pub(crate) fn contend<F: Future<Output = ()>>(program: impl FnOnce(Vec<Client>) -> F) {
    let cluster = start();
    runtime().block_on(async { program(clients(&cluster, MANY).await).await });
    cluster.stop().unwrap();
}

#[test]
fn a_lock_has_one_holder_at_a_time_and_fences_that_rise() {
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, MANY).await;
        // The primary goes before anybody has it.
        cluster.nodes[0].set_fault(Some(Fault::Silent));
        programs::lock(clients).await;
    });
    cluster.nodes[0].set_fault(None);
    cluster.stop().unwrap();
}

crate::every_other_program!();

#[test]
fn a_lock_that_is_held_is_not_had_by_trying_or_in_time() {
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, 2).await;
        let lock = |client| Lock::new(client, SPACE, "one").unwrap();
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
        clients[1].inp(SPACE, all).await.unwrap().value.unwrap();
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
        let lock = Lock::new(&clients[0], SPACE, "one").unwrap();
        let guard = lock.acquire().await.unwrap();
        // A mebibyte of tuples is kept.
        let large = "x".repeat(60_000);
        for number in 0..20 {
            let tuple = tuple!(number, large.clone());
            clients[1].out(SPACE, tuple).await.unwrap();
        }
        let nobody = clients[1]
            .rd(SPACE, template!("nobody"))
            .within(Duration::from_millis(300));
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
        let lock = Lock::new(&client, SPACE, "one").unwrap();
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
        let lock = Lock::new(&next, SPACE, "one").unwrap();
        assert!(lock.acquire().await.unwrap().release().await.unwrap());
    });
    cluster.stop().unwrap();
}

/// A reader that comes after a writer does not overtake it.
#[test]
fn a_writer_does_not_wait_for_later_readers() {
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, 3).await;
        let lock = |client| RwLock::new(client, SPACE, "one").unwrap();
        let first = lock(&clients[0]).read().await.unwrap();
        let writer = lock(&clients[1]);
        let writing = tokio::spawn(async move { writer.write().await });
        let standing = template!("rwlock", "one", "write", ?bytes);
        clients[2].rd(SPACE, standing).await.unwrap();
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

/// Three leases go by, and it leads on; then nobody renews.
#[test]
fn a_leased_leader_leads_as_long_as_it_renews() {
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, 3).await;
        let lease = Duration::from_millis(600);
        let election = |client| LeasedElection::new(client, SPACE, "two", lease).unwrap();
        let (one, other) = (election(&clients[0]), election(&clients[1]));
        let term = one.campaign("one").await.unwrap();
        let nobody = clients[2].rd(SPACE, template!("nobody")).within(3 * lease);
        assert!(matches!(nobody.await, Err(Error::NoMatchInTime(_))));
        assert_eq!(other.leader().await.unwrap().unwrap().data, "one".into());
        let mine = template!("leader", "two", _, ?bytes);
        clients[2].inp(SPACE, mine).await.unwrap().value.unwrap();
        term.lost().await;
        let next = other.campaign("other").await.unwrap();
        assert!(next.fence() > term.fence());
        assert!(!term.release().await.unwrap());
    });
    cluster.stop().unwrap();
}

/// By key, whatever came first, and in time or not at all.
#[test]
fn a_queue_gives_the_lowest_key_first() {
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, 1).await;
        let mut queue = Queue::new(&clients[0], SPACE);
        for key in [2, 1] {
            queue.add(key, vec![]).await.unwrap();
        }
        let element = |key| Element {
            key,
            payload: vec![],
        };
        assert_eq!(queue.remove().await.unwrap(), Some(element(1)));
        let short = Duration::from_millis(100);
        assert_eq!(queue.take_within(short).await.unwrap(), element(2));
        let none = queue.take_within(short).await;
        assert!(matches!(none, Err(Error::NoMatchInTime(_))), "{none:?}");
    });
    cluster.stop().unwrap();
}

/// One that goes without a word holds nobody up for ever.
#[test]
fn whoever_gives_up_before_a_double_barrier_is_missing_again() {
    let cluster = start();
    runtime().block_on(async {
        let clients = clients(&cluster, 2).await;
        let barrier = |client| DoubleBarrier::new(client, SPACE, "b", 2).unwrap();
        let (mut one, mut other) = (barrier(&clients[0]), barrier(&clients[1]));
        let alone = tokio::time::timeout(Duration::from_millis(200), one.enter()).await;
        assert!(alone.is_err());
        let waiting = tokio::spawn(async move { one.enter().await });
        let second = other.enter().await.unwrap();
        let first = waiting.await.unwrap().unwrap();
        assert_eq!((first.number(), second.number()), (0, 0));
        drop(first);
        second.leave().await.unwrap();
    });
    cluster.stop().unwrap();
}
