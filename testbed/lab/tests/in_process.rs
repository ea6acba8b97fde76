//! A cluster of four replicas over real QUIC in this process, and its faults.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

mod common;

use std::time::{Duration, Instant};

use bezant_bft::ids::Source;
use bezant_client::{
    Change, Client, ClusterView, Error, Evidence, Group, Lease, Operation, Outcome, Refused,
    ReplicaId, Sight, SigningKey, Since, SpaceName, template, tuple,
};
use bezant_extensions::recipes;
use bezant_lab::{Fault, LocalCluster, LocalOptions, OnDemand as _};
use bezant_node::NodeStatus;
use common::{DEADLINE, client, runtime, start};

/// Waits until every running replica's status satisfies `condition`.
fn await_status(cluster: &LocalCluster, condition: impl Fn(&NodeStatus) -> bool) {
    let begun = Instant::now();
    loop {
        let all: Vec<_> = cluster
            .nodes
            .iter()
            .filter_map(|node| node.status())
            .collect();
        if all.iter().all(&condition) {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "still {all:?}");
        std::thread::yield_now();
    }
}

#[test]
fn operations_are_ordered_and_answered_by_a_quorum() {
    let cluster = start();
    runtime().block_on(async {
        let client = client(&cluster).await;
        let first = client.out("jobs", tuple!("build", 42)).await.unwrap();
        assert!(first.votes >= 2);
        let read = client.rdp("jobs", template!("build", ?int)).await.unwrap();
        assert_eq!(read.value, Some(tuple!("build", 42)));
        assert!(read.seq > first.seq);
        let old = client
            .replace("jobs", template!("build", 42), tuple!("build", 43))
            .await
            .unwrap();
        assert_eq!(old.value, Some(tuple!("build", 42)));
        let there = client
            .cas("jobs", template!("build", _), tuple!("build", 1))
            .await
            .unwrap();
        assert_eq!(there.value, Some(tuple!("build", 43)));
        client.out("jobs", tuple!("build", 44)).await.unwrap();
        assert_eq!(
            client
                .count("jobs", template!("build", in 40..50))
                .await
                .unwrap()
                .value,
            2
        );
        let page = client
            .rd_all("jobs", template!("build", _), 1, None)
            .await
            .unwrap();
        assert_eq!(page.tuples, [tuple!("build", 43)]);
        let rest = client
            .rd_all("jobs", template!("build", _), 9, page.next.clone())
            .await
            .unwrap();
        assert_eq!(rest.tuples, [tuple!("build", 44)]);
        let taken = client
            .in_all("jobs", template!("build", _), 9)
            .await
            .unwrap();
        assert_eq!(taken.tuples.len(), 2);
        assert_eq!(
            client.inp("jobs", template!(_, _)).await.unwrap().value,
            None
        );
        client.close().await.unwrap();
    });
    await_status(&cluster, |status| {
        status.sessions == 0 && status.tuples == 0
    });
    cluster.stop().unwrap();
}

/// Two clients move the same tuple: one of them does, and nothing is there twice or lost.
#[test]
fn a_group_happens_as_a_whole_or_not_at_all() {
    let cluster = start();
    runtime().block_on(async {
        let (one, other) = (client(&cluster).await, client(&cluster).await);
        one.out("jobs", tuple!("build", 42)).await.unwrap();
        let (jobs, done) = (
            SpaceName::new("jobs").unwrap(),
            SpaceName::new("done").unwrap(),
        );
        let template = template!("build", 42);
        let (tuple, lease) = (tuple!("built", 42), Lease::Forever);
        let group = Group::new()
            .present(jobs.clone(), template.clone())
            .act(jobs.clone(), Operation::Inp { template })
            .act(done, Operation::Out { tuple, lease })
            .otherwise(
                jobs,
                Operation::Count {
                    template: template!(_, _),
                },
            );
        let (first, second) = tokio::join!(one.group(group.clone()), other.group(group));
        let mut answers = [first.unwrap().value, second.unwrap().value];
        answers.sort_by_key(|answer| answer.unmet);
        let [moved, was_late] = answers;
        assert_eq!(moved.unmet, None);
        let found = Outcome::Match(Some(tuple!("build", 42)));
        assert_eq!(moved.outcomes, [found, Outcome::Done]);
        assert_eq!(was_late.unmet, Some(0));
        assert_eq!(was_late.outcomes, [Outcome::Count(0)]);
        let count = one.count("done", template!("built", 42)).await.unwrap();
        assert_eq!(count.value, 1);
    });
    cluster.stop().unwrap();
}

/// A silent client keeps its session, and with it what hangs on it; one that is gone does not.
#[test]
fn a_session_lives_as_long_as_its_client() {
    let cluster = start();
    runtime().block_on(async {
        let ttl = Duration::from_millis(900);
        let builder = Client::builder(cluster.view()).timeout(DEADLINE);
        let member = builder.session_ttl(Some(ttl)).connect().await.unwrap();
        let watcher = client(&cluster).await;
        member
            .out("members", tuple!("ann"))
            .ephemeral()
            .await
            .unwrap();
        let nobody = template!("nobody");
        let long = watcher.rd("members", nobody.clone()).within(3 * ttl).await;
        assert!(matches!(long, Err(Error::NoMatchInTime(_))), "{long:?}");
        let there = watcher.count("members", template!(_)).await.unwrap();
        assert_eq!(there.value, 1, "kept alive by itself");
        assert!(!member.is_over());
        // Not closed: it falls silent, as one whose machine lost its power.
        drop(member);
        await_status(&cluster, |status| status.sessions == 1);
        let there = watcher.count("members", template!(_)).await.unwrap();
        assert_eq!(there.value, 0);
    });
    cluster.stop().unwrap();
}

/// A client that was away for too long learns that its session is over.
#[test]
fn a_session_that_is_over_is_known_to_be() {
    let cluster = start();
    runtime().block_on(async {
        let builder = Client::builder(cluster.view()).timeout(DEADLINE);
        let idle = builder.session_ttl(None).connect().await.unwrap();
        assert!(!idle.is_over());
        let waiting = idle.clone();
        let wait = tokio::spawn(async move { waiting.take("jobs", template!("never")).await });
        idle.out("jobs", tuple!("a")).await.unwrap();
        // Another client of the same key closes nothing of this one; this one closes itself.
        idle.clone().close().await.unwrap();
        idle.over().await;
        let refused = idle.out("jobs", tuple!("b")).await;
        assert!(
            matches!(refused, Err(Error::Refused(Refused::NoSession))),
            "{refused:?}"
        );
        let ended = wait.await.unwrap();
        assert!(
            matches!(ended, Err(Error::Refused(Refused::NoSession))),
            "{ended:?}"
        );
    });
    cluster.stop().unwrap();
}

/// What was there and all that happens is told, once and in order: over a change of view, over
/// a client that goes and another one that goes on from where it was, and beside a liar.
#[test]
fn a_watch_misses_nothing_and_repeats_nothing() {
    const NUMBERS: std::ops::Range<i64> = 0..40;
    let cluster = start();
    runtime().block_on(async {
        let writer = client(&cluster).await;
        for number in NUMBERS {
            writer.out("log", tuple!(number)).await.unwrap();
        }
        let first = client(&cluster).await;
        let mut watch = first.watch("log", template!(?int), Since::Present);
        for number in NUMBERS {
            let sight = watch.next().await.unwrap();
            let Sight::There { tuple, .. } = &sight else {
                panic!("{sight:?}");
            };
            assert_eq!(*tuple, tuple!(number));
        }
        cluster.nodes[2].set_fault(Some(Fault::LieReplies));
        let work = tokio::spawn(async move {
            for number in NUMBERS {
                writer
                    .inp("log", template!(in number..number + 1))
                    .await
                    .unwrap();
                writer.out("other", tuple!(number)).await.unwrap();
                writer.out("log", tuple!(100 + number)).await.unwrap();
            }
        });
        let mut seen = Vec::new();
        let mut position = None;
        for step in 0..2 * NUMBERS.end {
            if step == 20 {
                // The primary falls silent, with the watch waiting.
                cluster.nodes[2].set_fault(None);
                cluster.nodes[0].set_fault(Some(Fault::Silent));
            }
            if step == 50 {
                position = watch.position();
                break;
            }
            seen.push(watch.next().await.unwrap());
        }
        drop((watch, first));
        let second = client(&cluster).await;
        let since = Since::Event(position.unwrap());
        let mut watch = second.watch("log", template!(?int), since);
        while seen.len() < 80 {
            seen.push(watch.next().await.unwrap());
        }
        work.await.unwrap();
        assert_eq!(watch.position(), Some(40 + 3 * 40));
        let seen: Vec<(Change, String)> = seen
            .into_iter()
            .map(|sight| match sight {
                Sight::Happened(event) => (event.change, event.tuple.to_string()),
                there @ Sight::There { .. } => panic!("{there:?}"),
            })
            .collect();
        let expected: Vec<(Change, String)> = NUMBERS
            .flat_map(|number| {
                [
                    (Change::Taken, format!("({number})")),
                    (Change::Inserted, format!("({})", 100 + number)),
                ]
            })
            .collect();
        assert_eq!(seen, expected);
    });
    cluster.nodes[0].set_fault(None);
    cluster.stop().unwrap();
}

/// Events are kept for a while only; whoever comes too late is told where they begin.
#[test]
fn a_watch_that_comes_too_late_is_told_so() {
    let cluster = start();
    runtime().block_on(async {
        let client = client(&cluster).await;
        // A mebibyte of tuples is kept.
        let large = "x".repeat(60_000);
        for number in 0..20 {
            client
                .out("log", tuple!(number, large.clone()))
                .await
                .unwrap();
        }
        let mut late = client.watch("log", template!(_, _), Since::Event(0));
        let Err(Error::Compacted { first }) = late.next().await else {
            panic!("it was told events that are kept no more");
        };
        let mut rest = client.watch("log", template!(_, _), Since::Event(first - 1));
        let Ok(Sight::Happened(event)) = rest.next().await else {
            panic!("the first event kept");
        };
        assert_eq!(event.number, first);
        let ahead = client
            .watch("log", template!(_), Since::Event(99))
            .next()
            .await;
        assert!(matches!(ahead, Err(Error::Refused(_))), "{ahead:?}");
    });
    cluster.stop().unwrap();
}

/// Nobody asks for anything any more, and agreed time ends the lease all the same.
#[test]
fn a_lease_ends_without_any_operation() {
    let cluster = start();
    runtime().block_on(async {
        let client = client(&cluster).await;
        let (mine, lease) = (template!("lock", _), Duration::from_millis(200));
        client
            .out("locks", tuple!("lock", 1))
            .lease(Duration::from_secs(3600))
            .await
            .unwrap();
        let held = client
            .cas("locks", mine.clone(), tuple!("lock", 2))
            .lease(lease)
            .await
            .unwrap();
        assert_eq!(held.value, Some(tuple!("lock", 1)));
        let renewed = client.renew("locks", mine.clone(), lease).await.unwrap();
        assert_eq!(renewed.value, Some(tuple!("lock", 1)));
        await_status(&cluster, |status| status.tuples == 0);
        let gone = client.renew("locks", mine.clone(), lease).await.unwrap();
        assert_eq!(gone.value, None, "what has ended is not renewed");
        let free = client
            .cas("locks", mine, tuple!("lock", 3))
            .lease(lease)
            .await
            .unwrap();
        assert_eq!(free.value, None);
        let error = client
            .out("locks", tuple!(1))
            .lease(Duration::ZERO)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("lease"), "{error}");
    });
    await_status(&cluster, |status| {
        status.leases == 0 && status.suspicions == 0
    });
    cluster.stop().unwrap();
}

#[test]
fn a_delivery_comes_from_another_client_and_a_wait_in_vain_takes_nothing() {
    let cluster = start();
    runtime().block_on(async {
        let (waiter, giver) = (client(&cluster).await, client(&cluster).await);
        giver.create_space("jobs").await.unwrap();
        let waiting = {
            let waiter = waiter.clone();
            tokio::spawn(async move { waiter.take("jobs", template!("build", ?int)).await })
        };
        // The session goes on while one of its requests waits.
        while waiter.count("jobs", template!(_, _)).await.is_err() {}
        giver.out("jobs", tuple!("build", 7)).await.unwrap();
        assert_eq!(waiting.await.unwrap().unwrap().value, tuple!("build", 7));

        let within = Duration::from_millis(50);
        let error = waiter
            .take("jobs", template!("x"))
            .within(within)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::NoMatchInTime(_)), "{error}");
        assert!(!error.outcome_unknown());
        giver.out("jobs", tuple!("x")).await.unwrap();
        let left = giver.count("jobs", template!("x")).await.unwrap();
        assert_eq!(left.value, 1, "the wait that was given up took nothing");
    });
    await_status(&cluster, |status| status.waiters == 0);
    cluster.stop().unwrap();
}

#[test]
fn a_dropped_wait_is_cancelled() {
    let cluster = start();
    runtime().block_on(async {
        let waiter = client(&cluster).await;
        waiter.create_space("jobs").await.unwrap();
        {
            let mut wait = waiter.take("jobs", template!("x")).into_future();
            assert!(
                tokio::time::timeout(Duration::from_millis(1), &mut wait)
                    .await
                    .is_err()
            );
        }
        waiter.out("jobs", tuple!("x")).await.unwrap();
        assert_eq!(waiter.count("jobs", template!("x")).await.unwrap().value, 1);
    });
    cluster.stop().unwrap();
}

#[test]
fn a_liar_is_outvoted_and_convicted_by_its_signature() {
    let cluster = start();
    cluster.nodes[2].set_fault(Some(Fault::LieReplies));
    let keyring = cluster.view().keyring().unwrap();
    runtime().block_on(async {
        let client = client(&cluster).await;
        for number in 0..200 {
            client.out("jobs", tuple!("n", number)).await.unwrap();
            let read = client.rdp("jobs", template!("n", number)).await.unwrap();
            assert_eq!(read.value, Some(tuple!("n", number)));
        }
        let begun = Instant::now();
        while client.evidence().is_empty() {
            client.rdp("jobs", template!("n", 1)).await.unwrap();
            assert!(begun.elapsed() < DEADLINE, "no lie was proven");
        }
        let liars: Vec<_> = client.disagreements().into_keys().collect();
        assert_eq!(liars, [ReplicaId(2)]);
        let evidence: Vec<Evidence> = client.evidence();
        let liar = Source::Replica(ReplicaId(2));
        assert!(evidence.iter().all(|e| e.accusation().accused == liar));
        assert!(evidence.iter().all(|e| e.verify(&keyring).is_ok()));
    });
    cluster.stop().unwrap();
}

#[test]
fn one_silent_replica_is_not_missed_and_a_second_stops_everything_but_nothing_false_is_said() {
    let cluster = start();
    runtime().block_on(async {
        let client = client(&cluster).await;
        client.out("jobs", tuple!("before")).await.unwrap();
        cluster.nodes[3].set_fault(Some(Fault::Silent));
        client.out("jobs", tuple!("with three")).await.unwrap();
        cluster.nodes[1].set_fault(Some(Fault::Silent));
        let impatient = Client::builder(cluster.view()).timeout(Duration::from_millis(700));
        let error = impatient.connect().await.unwrap_err();
        assert!(error.outcome_unknown() && error.is_retryable(), "{error}");
        cluster.nodes[1].set_fault(None);
        // What replica 1 did not say is asked for again.
        client
            .out("jobs", tuple!("with three again"))
            .await
            .unwrap();
        assert_eq!(
            client.count("jobs", template!(?text)).await.unwrap().value,
            3
        );
    });
    cluster.stop().unwrap();
}

#[test]
fn a_crashed_replica_is_not_missed() {
    let cluster = start();
    runtime().block_on(async {
        let client = client(&cluster).await;
        client.out("jobs", tuple!("before")).await.unwrap();
        cluster.nodes[2].set_fault(Some(Fault::Crash));
        for number in 0..20 {
            client.out("jobs", tuple!("after", number)).await.unwrap();
        }
        // New clients do not need the crashed one either.
        let late = Client::builder(cluster.view())
            .timeout(DEADLINE)
            .connect()
            .await
            .unwrap();
        assert_eq!(
            late.count("jobs", template!(?text, ?int))
                .await
                .unwrap()
                .value,
            20
        );
    });
    assert!(cluster.nodes[2].status().is_none());
    cluster.stop().unwrap();
}

#[test]
fn three_silent_replicas_of_four_are_no_quorum() {
    let cluster = start();
    runtime().block_on(async {
        let client = Client::builder(cluster.view())
            .timeout(Duration::from_millis(800))
            .connect()
            .await
            .unwrap();
        client.create_space("jobs").await.unwrap();
        for node in &cluster.nodes[1..] {
            node.set_fault(Some(Fault::Silent));
        }
        let error = client.rdp("jobs", template!(_)).await.unwrap_err();
        assert!(
            matches!(error, Error::NoQuorum { .. } | Error::TimedOut(_)),
            "{error}"
        );
    });
    cluster.stop().unwrap();
}

#[test]
fn refusals_are_typed_and_name_the_next_step() {
    let cluster = LocalCluster::start(&LocalOptions {
        open: false,
        ..LocalOptions::default()
    });
    let cluster = cluster.unwrap();
    runtime().block_on(async {
        let error = Client::builder(cluster.view()).connect().await.unwrap_err();
        assert!(
            matches!(error, Error::Refused(Refused::NotEnrolled)),
            "{error}"
        );
        assert!(!error.outcome_unknown() && !error.is_retryable());
    });
    cluster.stop().unwrap();

    let cluster = start();
    runtime().block_on(async {
        let client = client(&cluster).await;
        let error = client.rdp("nowhere", template!(_)).await.unwrap_err();
        assert!(error.to_string().contains("create it first"), "{error}");
        let error = client.out("Not A Name", tuple!(1)).await.unwrap_err();
        assert!(matches!(error, Error::Name(_)), "{error}");
        client.create_space("jobs").await.unwrap();
        let error = client.create_space("jobs").await.unwrap_err();
        assert!(
            matches!(error, Error::Refused(Refused::Space(_))),
            "{error}"
        );
        let error = client.out("$extensions", tuple!(1)).await.unwrap_err();
        assert!(
            matches!(error, Error::Refused(Refused::ReservedSpace)),
            "{error}"
        );
    });
    cluster.stop().unwrap();
}

#[test]
fn a_client_of_another_cluster_and_one_with_the_wrong_keys_get_no_link() {
    let cluster = start();
    runtime().block_on(async {
        let quick = Duration::from_millis(1500);
        let mut other = cluster.view();
        other.id.0[0] ^= 1;
        let error = Client::builder(other)
            .timeout(quick)
            .connect()
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Unreachable { reached: 0, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("cluster"), "{error}");

        let mut wrong = cluster.view();
        for (seed, (_, key)) in (1..).zip(&mut wrong.replicas) {
            *key = SigningKey::from_seed([seed; 32]).public();
        }
        let error = Client::builder(wrong)
            .timeout(quick)
            .connect()
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Unreachable { reached: 0, .. }),
            "{error}"
        );

        let nobody = ClusterView {
            replicas: cluster
                .view()
                .replicas
                .into_iter()
                .map(|(_, key)| ("127.0.0.1:9".to_owned(), key))
                .collect(),
            ..cluster.view()
        };
        let error = Client::builder(nobody)
            .timeout(quick)
            .connect()
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Unreachable { reached: 0, .. }),
            "{error}"
        );
        assert!(error.is_retryable());
        // The cluster serves on.
        client(&cluster).await.out("jobs", tuple!(1)).await.unwrap();
    });
    cluster.stop().unwrap();
}

#[test]
fn an_extension_answers_for_its_owner_and_those_who_acknowledge_it() {
    let cluster = start();
    runtime().block_on(async {
        let (owner, other) = (client(&cluster).await, client(&cluster).await);
        owner.create_space("c").await.unwrap();
        let recipe = recipes::counter(&"c".parse::<SpaceName>().unwrap());
        let hash = owner
            .register(recipe.manifest, recipe.module.to_vec())
            .await
            .unwrap()
            .value;
        let increment = || template!("increment", "hits", 5);
        let value = owner.inp("c", increment()).await.unwrap().value;
        assert_eq!(value, Some(tuple!("counter", "hits", 5)));
        // Nobody else's operations change their meaning.
        assert_eq!(other.inp("c", increment()).await.unwrap().value, None);
        other.acknowledge(hash).await.unwrap();
        let value = other.inp("c", increment()).await.unwrap().value;
        assert_eq!(value, Some(tuple!("counter", "hits", 10)));
        // A refusal of the extension's own leaves everything as it was.
        let error = other
            .inp("c", template!("increment", "hits", ?int))
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Refused(Refused::Extension(_))),
            "{error}"
        );
        let left = owner
            .rdp("c", template!("counter", "hits", ?int))
            .await
            .unwrap()
            .value;
        assert_eq!(left, Some(tuple!("counter", "hits", 10)));
        let objects = owner
            .count("$extensions", template!(_, _, _, _, _))
            .await
            .unwrap();
        assert_eq!(objects.value, 1);
        let error = owner.register(
            recipes::queue(&"c".parse().unwrap()).manifest,
            vec![1, 2, 3],
        );
        assert!(matches!(
            error.await.unwrap_err(),
            Error::Refused(Refused::Rejected(_))
        ));
    });
    await_status(&cluster, |status| status.extensions == 1);
    cluster.stop().unwrap();
}

#[test]
fn many_sessions_share_one_link_and_pipeline_in_order() {
    let cluster = start();
    runtime().block_on(async {
        let view = cluster.view();
        let network = bezant_client::Network::new(&view, SigningKey::from_seed([77; 32])).unwrap();
        let mut clients = Vec::new();
        for _ in 0..8 {
            let builder = Client::builder(view.clone())
                .network(&network)
                .timeout(DEADLINE);
            clients.push(builder.connect().await.unwrap());
        }
        clients[0].create_space("jobs").await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for (client, owner) in clients.iter().cloned().zip(0_i64..) {
            tasks.spawn(async move {
                // More than the window, all at once: order and room are the session's business.
                let calls: Vec<_> = (0..100_i64)
                    .map(|n| client.out("jobs", tuple!(owner, n)).into_future())
                    .collect();
                for call in futures_in_order(calls).await {
                    call.unwrap();
                }
                let page = client
                    .rd_all("jobs", template!(owner, ?int), 1000, None)
                    .await
                    .unwrap();
                let expected: Vec<_> = (0..100_i64).map(|n| tuple!(owner, n)).collect();
                assert_eq!(page.tuples, expected, "first in, first out per session");
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    });
    await_status(&cluster, |status| status.tuples == 800);
    cluster.stop().unwrap();
}

/// Polls all futures at once, in their order, and gives their results in their order.
async fn futures_in_order<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut results: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *result = Some(output);
            }
        }
        if results.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    results.into_iter().flatten().collect()
}

#[test]
fn replicas_of_one_process_execute_the_same_and_share_nothing() {
    let (first, second) = (start(), start());
    runtime().block_on(async {
        let client = client(&first).await;
        for number in 0..50 {
            client.out("jobs", tuple!(number)).await.unwrap();
        }
    });
    await_status(&first, |status| status.tuples == 50);
    await_status(&second, |status| status.tuples == 0 && status.executed == 0);
    first.stop().unwrap();
    second.stop().unwrap();
}

#[test]
fn a_port_in_use_is_named() {
    let mut plan = bezant_lab::local::plan(&LocalOptions::default()).unwrap();
    let member = plan.members.remove(0);
    let config = bezant_node::NodeConfig {
        replica: ReplicaId(0),
        cluster: plan.cluster,
        key: member.key,
        listen: member.address,
        admin: None,
        data: None,
        storage: bezant_node::config::StorageKind::Memory,
        never_ran: true,
        allow_faults: false,
    };
    let first = bezant_node::spawn(config.clone()).unwrap();
    let error = bezant_node::spawn(config).unwrap_err().to_string();
    assert!(
        error.contains(&member.address.to_string()) && error.contains("in use"),
        "{error}"
    );
    first.stop().unwrap();
}
