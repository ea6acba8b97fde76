//! Agreement, the same order of execution, exactly once, and everything done in
//! the end, whatever the network does in between.

use bezant_bft::replica::Tuning;

use crate::common::{
    client,
    rng::Rng,
    world::{Conditions, Hits, World},
};

const MS: u64 = 1000;

/// A network and machines drawn from the seed.
fn conditions(rng: &mut Rng) -> Conditions {
    let storm = |rng: &mut Rng, worst| {
        if rng.chance(700) {
            rng.between(1, worst)
        } else {
            0
        }
    };
    let fastest = rng.between(50, 500);
    Conditions {
        latency_us: (fastest, fastest + storm(rng, 5 * MS)),
        loss_permille: storm(rng, 300),
        doubled_permille: storm(rng, 300),
        sync_us: storm(rng, 3 * MS),
        execute_us: storm(rng, 3 * MS),
        check_us: storm(rng, 3 * MS),
        screened: rng.chance(500),
    }
}

/// Six requests in a storm, then calm: every correct replica executes each of them once,
/// in one order.
fn storm(seed: u64, n: u8) -> Hits {
    const REQUESTS: u64 = 6;
    let mut rng = Rng::new(seed);
    let tuning = Tuning {
        max_in_flight: rng.between(1, 8),
        gather: usize::try_from(rng.between(1, 4)).unwrap(),
        // Nobody is faulty here; views that change have tests of their own.
        suspect_after_us: 30_000 * MS,
        ..Tuning::default()
    };
    let mut world = World::new(seed, n, rng.between(2, 5), tuning);
    world.conditions = conditions(&mut rng);
    if rng.chance(300) {
        let cut = u8::try_from(rng.below(u64::from(n))).unwrap();
        let others: Vec<u8> = (0..n).filter(|i| *i != cut).collect();
        world.partition(&[cut], &others);
    }
    let requests: Vec<_> = (0..REQUESTS)
        .map(|i| {
            world
                .cluster
                .request(&client(i % 3), i + 1, &seed.to_le_bytes())
        })
        .collect();
    for request in &requests {
        let first = u8::try_from(rng.below(u64::from(n))).unwrap();
        for to in 0..n {
            if to == first || rng.chance(400) {
                world.request(rng.between(0, 20 * MS), to, request.clone());
            }
        }
    }
    world.run_for(rng.between(50 * MS, 1500 * MS));
    world.uncut();
    world.run_for(rng.between(50 * MS, 1500 * MS));
    world.heal();
    // A client without an answer asks everybody, as real ones do.
    for request in &requests {
        (0..n).for_each(|to| world.request(MS, to, request.clone()));
    }
    world.run_until_idle(60_000 * MS);
    for i in world.correct() {
        let (node, first) = (&world.nodes[i], &world.nodes[0]);
        assert_eq!(
            node.log.order.len() as u64,
            REQUESTS,
            "seed {seed}: {}",
            world.stand()
        );
        assert_eq!(node.log.order, first.log.order, "seed {seed}");
        // One that fetched a state decided less itself; what it decided is the same.
        for (number, digest) in &node.decided {
            let other = first.decided.get(number);
            assert!(other.is_none_or(|other| other == digest), "seed {seed}");
        }
        assert_eq!(node.replica.stable(), first.replica.stable(), "seed {seed}");
        assert_eq!(node.halted, None, "seed {seed}");
        assert!(node.blames.is_empty(), "seed {seed}: {:?}", node.blames);
        assert!(node.suspected.is_empty(), "seed {seed}: nobody is faulty");
    }
    world.hits
}

fn storms(n: u8, seeds: u64) {
    let mut hits = Hits::default();
    (0..seeds).for_each(|seed| hits.add(storm(seed, n)));
    let each = [
        hits.lost,
        hits.doubled,
        hits.overtaken,
        hits.held_for_disk,
        hits.batched,
    ];
    assert!(
        each.iter().all(|hit| *hit > seeds),
        "every fault must fire: {hits:?}"
    );
}

#[test]
fn four_replicas_agree_in_any_storm() {
    storms(4, 300);
}

#[test]
fn seven_replicas_agree_in_any_storm() {
    storms(7, 100);
}

#[test]
fn ten_replicas_agree_in_any_storm() {
    storms(10, 40);
}

#[test]
fn thirteen_replicas_agree_in_any_storm() {
    storms(13, 20);
}

/// With f replicas silent the rest is enough, for a size that is no 3f + 1, too.
#[test]
fn f_silent_replicas_stop_nothing() {
    for (n, f) in [(4, 1), (6, 1), (7, 2), (10, 3)] {
        let mut world = World::new(1, n, 2, Tuning::default());
        (0..f).for_each(|i| world.nodes[usize::from(n - 1 - i)].down = true);
        for number in 1..=5 {
            let request = world.cluster.request(&client(1), number, b"op");
            world.request(number * 10 * MS, 0, request);
        }
        world.run_until_idle(60_000 * MS);
        for node in &world.nodes[..usize::from(n - f)] {
            assert_eq!(node.log.order.len(), 5, "n={n}");
            assert_eq!(
                node.replica.stable(),
                node.replica.executed().min(bezant_bft::ids::SeqNo(4))
            );
        }
    }
}

/// One more than f silent, and nothing is decided: two halves could not differ either.
#[test]
fn more_than_f_silent_replicas_decide_nothing() {
    for (n, f) in [(4_u8, 1), (5, 1), (7, 2)] {
        let mut world = World::new(1, n, 2, Tuning::default());
        (0..=f).for_each(|i| world.nodes[usize::from(n - 1 - i)].down = true);
        let request = world.cluster.request(&client(1), 1, b"op");
        world.request(0, 0, request);
        world.run_for(3_000 * MS);
        assert!(
            world.nodes.iter().all(|node| node.decided.is_empty()),
            "n={n}"
        );
    }
}

/// While the service is at number k, ordering goes on with k + 1 and further.
#[test]
fn ordering_overlaps_with_execution() {
    let mut world = World::new(1, 4, 8, Tuning::default());
    world.conditions.execute_us = 100 * MS;
    for number in 1..=4 {
        let request = world.cluster.request(&client(1), number, b"op");
        world.request(number * 2 * MS, 0, request);
    }
    world.run_for(20 * MS);
    for node in &world.nodes {
        assert_eq!((node.decided.len(), node.replica.executed().0), (4, 0));
    }
    world.run_until_idle(1_000 * MS);
    assert!(
        world
            .nodes
            .iter()
            .all(|node| node.replica.executed().0 == 4)
    );
}
