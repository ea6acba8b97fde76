//! The same recipes in their other form: what [`programs`](crate::programs) ask of those of the
//! client library holds when each is one call that an extension answers.

use std::sync::{Arc, atomic::Ordering};

use bezant_client::{Client, Tuple, Value, template, tuple};
use bezant_extensions::recipes;
use tokio::sync::Barrier as Together;

use crate::{
    MANY, SPACE,
    programs::{Inside, all, number},
    stories::contend,
};

/// Installs a recipe that all agree to.
async fn install(clients: &[Client], recipe: &str) {
    let recipe = recipes::named(recipe, &SPACE.parse().unwrap()).unwrap();
    let registered = clients[0].register(recipe.manifest, recipe.module.to_vec());
    let hash = registered.await.unwrap().value;
    for client in &clients[1..] {
        client.acknowledge(hash).await.unwrap();
    }
}

fn token(index: usize) -> String {
    format!("client-{index}")
}

fn int(tuple: &Tuple, place: usize) -> i64 {
    match tuple.get(place) {
        Some(Value::Int(number)) => *number,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lock_has_one_holder_at_a_time_and_fences_that_rise() {
    contend(|clients| async move {
        install(&clients, "lock").await;
        let inside = Arc::new(Inside::default());
        let held = all(&clients, |index, client| {
            let (inside, token) = (Arc::clone(&inside), token(index));
            async move {
                for _ in 0..3 {
                    let granted = template!("lock", "one", token.as_str(), ?int);
                    let granted = client.rd(SPACE, granted).await.unwrap().value;
                    let fence = u64::try_from(int(&granted, 3)).unwrap();
                    assert_eq!(inside.stay_after(fence, &client).await, 1);
                    let place = template!("lock line", "one", token.as_str(), ?int);
                    assert!(client.inp(SPACE, place).await.unwrap().value.is_some());
                }
                3
            }
        });
        assert_eq!(held.await.into_iter().sum::<usize>(), 3 * MANY);
        let left = clients[1].count(SPACE, template!(_, _, _, ?int)).await;
        // The number of the next fence.
        assert_eq!(left.unwrap().value, 1);
    });
}

#[test]
fn readers_share_and_a_writer_is_alone() {
    contend(|clients| async move {
        install(&clients, "rwlock").await;
        let (readers, writers) = (Arc::new(Inside::default()), Arc::new(Inside::default()));
        let done = all(&clients, |index, client| {
            let (readers, writers) = (Arc::clone(&readers), Arc::clone(&writers));
            let token = token(index);
            async move {
                let writes = index % 10 == 3;
                let sort = if writes { "write lock" } else { "read lock" };
                let held = template!(sort, "one", token.as_str());
                client.rd(SPACE, held).await.unwrap();
                if writes {
                    assert_eq!(readers.now.load(Ordering::SeqCst), 0);
                    assert_eq!(writers.stay(&client).await, 1);
                    assert_eq!(readers.now.load(Ordering::SeqCst), 0);
                } else {
                    assert_eq!(writers.now.load(Ordering::SeqCst), 0);
                    readers.stay(&client).await;
                    assert_eq!(writers.now.load(Ordering::SeqCst), 0);
                }
                let place = template!("rw line", "one", token.as_str(), ?int);
                assert!(client.inp(SPACE, place).await.unwrap().value.is_some());
            }
        });
        done.await;
        assert!(readers.most.load(Ordering::SeqCst) > 1, "readers share");
        assert_eq!(writers.most.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_semaphore_has_so_many_holders_and_no_more() {
    const PERMITS: usize = 3;
    contend(|clients| async move {
        install(&clients, "semaphore").await;
        let inside = Arc::new(Inside::default());
        let done = all(&clients, |index, client| {
            let (inside, token) = (Arc::clone(&inside), token(index));
            async move {
                for _ in 0..2 {
                    let permits = number(PERMITS);
                    let permit = template!("permit", "few", token.as_str(), permits);
                    client.rd(SPACE, permit).await.unwrap();
                    assert!(inside.stay(&client).await <= PERMITS);
                    let place = template!("permit line", "few", token.as_str(), ?int);
                    assert!(client.inp(SPACE, place).await.unwrap().value.is_some());
                }
            }
        });
        done.await;
        assert_eq!(inside.most.load(Ordering::SeqCst), PERMITS);
    });
}

#[test]
fn there_is_one_leader_at_a_time_and_all_see_who() {
    contend(|clients| async move {
        install(&clients, "election").await;
        let inside = Arc::new(Inside::default());
        let done = all(&clients, |index, client| {
            let (inside, token) = (Arc::clone(&inside), token(index));
            async move {
                let leads = template!("leader", "one", token.as_str());
                let leads = client.rd(SPACE, leads).await.unwrap().value;
                assert_eq!(inside.stay(&client).await, 1);
                let seen = template!("leader", "one", ?text);
                let seen = client.rdp(SPACE, seen).await.unwrap().value;
                assert_eq!(seen, Some(leads));
                let place = template!("candidate", "one", token.as_str(), ?int);
                assert!(client.inp(SPACE, place).await.unwrap().value.is_some());
            }
        });
        done.await;
        let nobody = template!("leader", "one", ?text);
        assert!(clients[0].rdp(SPACE, nobody).await.unwrap().value.is_none());
    });
}

#[test]
fn a_counter_counts_everybody_once() {
    contend(|clients| async move {
        install(&clients, "counter").await;
        let counted = all(&clients, |_, client| async move {
            let mut seen = Vec::new();
            for _ in 0..4 {
                let added = client.inp(SPACE, template!("increment", "hits", 1));
                seen.push(int(&added.await.unwrap().value.unwrap(), 2));
            }
            seen
        });
        let mut counted: Vec<i64> = counted.await.concat();
        counted.sort_unstable();
        let expected: Vec<i64> = (1..=number(4 * MANY)).collect();
        assert_eq!(counted, expected);
    });
}

#[test]
fn a_queue_loses_and_doubles_nothing_and_gives_the_smallest() {
    contend(|clients| async move {
        install(&clients, "queue").await;
        let taken = all(&clients, |index, client| async move {
            let mut taken = Vec::new();
            for round in 0..3 {
                let key = number(3 * index) + round;
                client
                    .out(SPACE, tuple!("element", key, "x"))
                    .await
                    .unwrap();
                let head = client.inp(SPACE, template!("head")).await.unwrap().value;
                taken.push(int(&head.unwrap(), 1));
            }
            taken
        });
        let mut taken = taken.await.concat();
        taken.sort_unstable();
        let expected: Vec<i64> = (0..number(3 * MANY)).collect();
        assert_eq!(taken, expected);
        assert!(
            clients[0]
                .inp(SPACE, template!("head"))
                .await
                .unwrap()
                .value
                .is_none()
        );
        for key in [9, 2, 5] {
            clients[0]
                .out(SPACE, tuple!("element", key, "x"))
                .await
                .unwrap();
        }
        for key in [2, 5, 9] {
            let head = clients[0].inp(SPACE, template!("head")).await.unwrap();
            assert_eq!(int(&head.value.unwrap(), 1), key);
        }
    });
}

#[test]
fn nobody_passes_a_barrier_before_all_are_there() {
    contend(|clients| async move {
        install(&clients, "barrier").await;
        let arrived = Arc::new(Inside::default());
        let done = all(&clients, |_, client| {
            let arrived = Arc::clone(&arrived);
            async move {
                for round in 1..=3 {
                    arrived.now.fetch_add(1, Ordering::SeqCst);
                    let passed = template!("barrier", "all", number(MANY));
                    client.rd(SPACE, passed).await.unwrap();
                    let there = arrived.now.load(Ordering::SeqCst);
                    assert!(there >= round * MANY, "{there} in round {round}");
                }
            }
        });
        done.await;
    });
}

#[test]
fn rounds_of_a_double_barrier_do_not_mix() {
    contend(|clients| async move {
        install(&clients, "double_barrier").await;
        let inside = Arc::new(Inside::default());
        let together = Arc::new(Together::new(MANY));
        let done = all(&clients, |index, client| {
            let (inside, token) = (Arc::clone(&inside), token(index));
            let together = Arc::clone(&together);
            async move {
                for _ in 0..2 {
                    let enter = template!("enter", "b", token.as_str(), number(MANY));
                    let entered = client.rd(SPACE, enter).await.unwrap().value;
                    inside.now.fetch_add(1, Ordering::SeqCst);
                    together.wait().await;
                    assert_eq!(inside.now.load(Ordering::SeqCst), MANY);
                    together.wait().await;
                    inside.now.fetch_sub(1, Ordering::SeqCst);
                    let round = int(&entered, 2);
                    let leave = template!("leave", "b", token.as_str(), round);
                    client.rd(SPACE, leave).await.unwrap();
                    assert_eq!(inside.now.load(Ordering::SeqCst), 0, "somebody is still in");
                    together.wait().await;
                }
            }
        });
        done.await;
        let left = clients[0]
            .count(SPACE, template!("in", "b", ?int, ?text))
            .await;
        assert_eq!(left.unwrap().value, 0);
    });
}

#[test]
fn members_are_those_that_are_there() {
    contend(|clients| async move {
        install(&clients, "membership").await;
        let done = all(&clients, |index, client| async move {
            let member = tuple!("member", "g", token(index));
            client.out(SPACE, member).await.unwrap();
        });
        done.await;
        let first = &clients[0];
        let view = |n| template!("view", "g", n);
        assert!(
            first
                .rdp(SPACE, view(number(MANY)))
                .await
                .unwrap()
                .value
                .is_some()
        );
        let members = first.count(SPACE, template!("member", "g", ?text)).await;
        assert_eq!(members.unwrap().value, u64::try_from(MANY).unwrap());
        // One leaves, one's session ends; each is a view.
        let leaves = template!("member", "g", token(3));
        assert!(first.inp(SPACE, leaves).await.unwrap().value.is_some());
        let mut clients = clients;
        clients.remove(7).close().await.unwrap();
        let first = &clients[0];
        first.rd(SPACE, view(number(MANY) + 2)).await.unwrap();
        let members = first.count(SPACE, template!("member", "g", ?text)).await;
        assert_eq!(members.unwrap().value, u64::try_from(MANY - 2).unwrap());
    });
}
