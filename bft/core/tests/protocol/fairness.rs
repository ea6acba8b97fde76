//! A primary that keeps to the letter and serves nobody, or everybody but one client.
//!
//! Clients ask the primary alone first, as the client library does, so that backups hear of
//! most requests when they are proposed.

use bezant_bft::{
    crypto::SigningKey,
    ids::OrderedTime,
    limits,
    message::{PeerMessage, Proposal},
    replica::Tuning,
};

use crate::common::{
    DAWN_MS, client,
    single::{Single, suspects},
    world::World,
};

const MS: u64 = 1_000;
const S: u64 = 1_000 * MS;

fn victim() -> SigningKey {
    client(1)
}

/// Of numbers that are decided twice a second none serves those who wait.
#[test]
fn empty_proposals_are_no_progress_while_requests_wait() {
    let mut world = World::new(1, 4, 16, Tuning::default());
    // Replica 0 says nothing but what is injected below.
    world.nodes[0].faulty = Some(Box::new(|_, _, _, _| Vec::new()));
    for who in 1..=10 {
        let wanted = world.cluster.request(&client(who), 1, b"op");
        for again in 0..8 {
            for to in 0..4 {
                world.request(500 * MS + again * 8 * S, to, wanted.clone());
            }
        }
    }
    let mut number = 0;
    while world.now_us < 20 * S {
        number += 1;
        let empty = Proposal {
            time: OrderedTime(DAWN_MS + world.now_us / 1000),
            requests: Vec::new(),
            rejoins: Vec::new(),
        };
        let message = world.cluster.pre_prepare(number, empty);
        (1..4).for_each(|to| world.inject(0, to, &message));
        world.run_for(500 * MS);
    }
    for i in 1..4 {
        let node = &world.nodes[i];
        assert_eq!(node.log.order.len(), 10, "{i}: {}", world.stand());
        let suspected = node.suspected.len();
        assert_eq!(suspected, 1, "{i} suspects the first primary once");
    }
}

/// An honest cluster in which replica 0, the first primary, does not hear what backups pass
/// on of the victim's requests: that is all that is faulty about it. Others are served, one
/// request in 400 ms. `direct_to_all`: whether they send to everybody at once, which no client
/// does. How long it took until the victim was served, in seconds.
fn served_after(direct_to_all: bool, together: u64) -> Option<u64> {
    let mut world = World::new(1, 4, 16, Tuning::default());
    world.swallow = Some(|message| {
        let PeerMessage::Forward(signed) = message else {
            return false;
        };
        signed.request.client == victim().client()
    });
    // 0.5 s after it asked the primary in vain the victim asks all, and again and again.
    let wanted = world.cluster.request(&victim(), 1, b"victim");
    for again in 0..8 {
        for to in 1..4 {
            world.request(500 * MS + again * 8 * S, to, wanted.clone());
        }
    }
    for number in 1..=150_u64 {
        for who in 2..2 + together {
            let request = world.cluster.request(&client(who), number, b"op");
            let to = if direct_to_all { 0..4 } else { 0..1 };
            to.for_each(|to| world.request(number * 400 * MS, to, request.clone()));
        }
    }
    let digest = wanted.request.digest();
    (1..=60).find(|_| {
        world.run_for(S);
        world.nodes[1..]
            .iter()
            .all(|node| node.log.order.contains(&digest))
    })
}

/// The timeout of 1 s passes, and the same again after it was passed on once more.
#[test]
fn a_client_that_the_primary_leaves_out_is_served_after_a_view_change() {
    for together in [1, 7, 40] {
        assert_eq!(served_after(false, together), Some(3), "beside {together}");
    }
}

#[test]
fn and_so_it_is_if_the_others_send_to_all_at_once() {
    assert_eq!(served_after(true, 1), Some(3));
}

/// A request whose client may never ask again, for a backup that suspects alone stops voting.
#[test]
fn a_request_that_can_no_longer_be_executed_suspects_nobody() {
    let mut single = Single::new(1);
    let request = single.cluster.request(&client(1), 1, b"op");
    single.admits = |request| request.request().client != client(1).client();
    single.ask(&request);
    assert!(!suspects(&single.tick(10 * S)));
    assert_eq!(single.replica.pooled(), 0, "and it leaves the pool");
    single.ask(&single.cluster.request(&client(2), 1, b"op"));
    assert!(suspects(&single.tick(S)), "another one is waited for");
}

/// Whoever is left out is told so, by whichever share is used up.
#[test]
fn a_client_whose_request_is_not_taken_in_is_told() {
    let mut world = World::new(1, 4, 16, Tuning::default());
    world.swallow = Some(|_| true);
    let most = limits::MAX_POOL_REQUESTS_PER_CLIENT as u64;
    for number in 1..=most + 3 {
        let request = world.cluster.request(&client(1), number, b"op");
        world.request(0, 1, request);
    }
    world.run_for(100 * MS);
    let busy: Vec<_> = world.nodes[1].busy.iter().map(|number| number.0).collect();
    assert_eq!(busy, [most + 1, most + 2, most + 3]);
}

/// Whatever the primary says takes `held_us`, and its clients ask all after half a second. The
/// views that the backups entered in 20 s.
fn views_under_a_primary_that_holds_back(held_us: u64) -> Vec<usize> {
    let mut world = World::new(1, 4, 16, Tuning::default());
    (1..4).for_each(|to| _ = world.slow.insert((0, to), held_us));
    for number in 1..=60 {
        for who in 1..=7 {
            let request = world.cluster.request(&client(who), number, b"op");
            let at = number * 300 * MS + who * MS;
            world.request(at, 0, request.clone());
            (1..4).for_each(|to| world.request(at + 500 * MS, to, request.clone()));
        }
    }
    world.run_for(30 * S);
    for node in &world.nodes[1..] {
        assert_eq!(node.log.order.len(), 60 * 7, "{}", world.stand());
    }
    world.nodes[1..]
        .iter()
        .map(|node| node.views.len())
        .collect()
}

/// It stays below the timeout and serves everybody, in its own time.
#[test]
fn a_primary_that_holds_every_proposal_back_is_replaced() {
    assert_eq!(views_under_a_primary_that_holds_back(900 * MS), [1, 1, 1]);
}

#[test]
fn and_one_whose_links_are_slow_is_not() {
    assert_eq!(views_under_a_primary_that_holds_back(150 * MS), [0, 0, 0]);
}
