//! When the primary is suspected, and when not.

use bezant_bft::replica::Tuning;

use crate::common::{
    client, digest_of,
    rng::Rng,
    single::{Single, suspects},
    world::{Conditions, World},
};

const MS: u64 = 1000;
const T: u64 = 1_000 * MS;

#[test]
fn a_silent_primary_is_suspected_after_its_time_and_not_before() {
    let mut single = Single::new(1);
    let request = single.cluster.request(&client(1), 1, b"op");
    single.now_us = 77 * MS;
    single.ask(&request);
    assert!(!suspects(&single.tick(T - 1)));
    assert!(suspects(&single.tick(1)));
    assert!(!suspects(&single.tick(1)), "once, not with every step");
    assert!(!suspects(&single.tick(5 * T)), "nor again, alone");
    assert_eq!(single.replica.counters().suspicions, 1);
}

/// The timer is what the driver is told to wait for: no tick, no suspicion.
#[test]
fn the_driver_is_told_when_to_look() {
    let mut single = Single::new(1);
    let request = single.cluster.request(&client(1), 1, b"op");
    single.ask(&request);
    let mut suspected_at = None;
    while suspected_at.is_none() {
        let next = single.replica.next_timeout().expect("something waits").0;
        assert!(next > single.now_us, "a timer that fired is due again");
        single.now_us = next;
        suspected_at = suspects(&single.tick(0)).then_some(next);
    }
    assert_eq!(suspected_at, Some(T));
}

/// A client that asks again and again must not keep its own request from being noticed.
#[test]
fn retransmission_does_not_put_suspicion_off() {
    let mut single = Single::new(1);
    let request = single.cluster.request(&client(1), 1, b"op");
    let mut suspected = false;
    for _ in 0..=T / (400 * MS) {
        suspected |= suspects(&single.ask(&request));
        suspected |= suspects(&single.tick(400 * MS));
    }
    assert!(suspected);
}

/// A request in a proposal that is never decided is as unordered as one in none.
#[test]
fn a_proposal_that_gets_no_further_is_suspect() {
    let mut single = Single::new(1);
    let proposal = single.cluster.proposal(1);
    single.ask(&proposal.requests[0]);
    single.hear(0, &single.cluster.pre_prepare(1, proposal));
    assert!(suspects(&single.tick(T)));
}

#[test]
fn an_ordered_request_suspects_nobody() {
    let mut single = Single::new(1);
    let proposal = single.cluster.proposal(1);
    single.ask(&proposal.requests[0]);
    single.now_us = T - 1;
    let digest = digest_of(&proposal);
    single.hear(0, &single.cluster.pre_prepare(1, proposal));
    for by in [2, 3] {
        single.hear(by, &single.cluster.prepare(by, 1, digest));
        single.hear(by, &single.cluster.commit(by, 1, digest));
    }
    assert!(!suspects(&single.tick(10 * T)));
}

/// Votes and reports of others, garbage and silence start no suspicion.
#[test]
fn nothing_but_a_request_makes_suspicious() {
    let mut single = Single::new(1);
    let digest = digest_of(&single.cluster.proposal(1));
    single.hear(2, &single.cluster.prepare(2, 1, digest));
    single.hear(3, &single.cluster.commit(3, 1, digest));
    single.hear(3, &crate::common::status(9, true));
    assert!(!suspects(&single.tick(10 * T)));
    assert_eq!(single.replica.counters().suspicions, 0);
}

#[test]
fn a_crashed_primary_is_suspected_by_all() {
    let mut world = World::new(1, 4, 4, Tuning::default());
    let request = world.cluster.request(&client(1), 1, b"op");
    world.request(0, 1, request.clone());
    world.run_until_idle(T / 2);
    world.nodes[0].down = true;
    let second = world.cluster.request(&client(1), 2, b"op");
    (1..4).for_each(|to| world.request(0, to, second.clone()));
    world.run_for(T - 10 * MS);
    assert!(world.nodes.iter().all(|node| node.suspected.is_empty()));
    world.run_for(20 * MS);
    assert!(
        world.nodes[1..]
            .iter()
            .all(|node| node.suspected.len() == 1)
    );
}

/// Minutes of load over a slow and lossy network with slow disks, and a correct primary.
#[test]
fn a_correct_primary_under_load_is_not_suspected() {
    let mut world = World::new(
        2,
        4,
        16,
        Tuning {
            gather: 4,
            ..Tuning::default()
        },
    );
    world.conditions = Conditions {
        latency_us: (200, 20 * MS),
        loss_permille: 20,
        doubled_permille: 20,
        sync_us: 8 * MS,
        execute_us: 20 * MS,
        check_us: 30 * MS,
        screened: true,
    };
    let mut rng = Rng::new(9);
    for number in 1..=400_u64 {
        let request = world.cluster.request(&client(number % 9), number, b"op");
        let at = rng.below(60_000 * MS);
        for to in 0..4 {
            world.request(at + rng.below(50 * MS), to, request.clone());
        }
    }
    world.run_for(61_000 * MS);
    world.heal();
    world.run_until_idle(60_000 * MS);
    for node in &world.nodes {
        assert_eq!(node.log.order.len(), 400, "{}", world.stand());
        assert!(node.suspected.is_empty(), "{:?}", node.suspected);
    }
}
