//! A replica that stood still itself (a slow disk, a large checkpoint, a stopped process)
//! hears what came meanwhile before it suspects somebody, and a primary never suspects itself.

use bezant_bft::{message::PeerMessage, replica::Tuning};

use crate::common::{
    client, digest_of,
    single::{Single, executes, sent, suspects},
    world::World,
};

const MS: u64 = 1_000;
const STALL: u64 = 1_200 * MS;
const T: u64 = 1_000 * MS;

/// The node gives each of the messages that wait the time at which it is stepped.
#[test]
fn a_backup_hears_what_came_while_it_stood_still() {
    let mut single = Single::new(1);
    let proposal = single.cluster.proposal(1);
    let digest = digest_of(&proposal);
    single.ask(&proposal.requests[0]);
    single.now_us += STALL;
    let mut out = single.hear(0, &single.cluster.pre_prepare(1, proposal));
    for by in [2, 3] {
        out.extend(single.hear(by, &single.cluster.prepare(by, 1, digest)));
        out.extend(single.hear(by, &single.cluster.commit(by, 1, digest)));
    }
    assert_eq!(executes(&out), [1], "all was there");
    assert!(!suspects(&out), "of what was decided 1.2 s ago");
}

/// The same, the proposal having come before: the sync of its own prepare takes so long.
#[test]
fn a_backup_hears_what_came_while_it_made_its_vote_durable() {
    let mut single = Single::new(1);
    let proposal = single.cluster.proposal(1);
    let digest = digest_of(&proposal);
    single.ask(&proposal.requests[0]);
    let mut out = single.hear(0, &single.cluster.pre_prepare(1, proposal));
    single.now_us += STALL;
    for by in [2, 3] {
        out.extend(single.hear(by, &single.cluster.prepare(by, 1, digest)));
        out.extend(single.hear(by, &single.cluster.commit(by, 1, digest)));
    }
    assert_eq!(executes(&out), [1], "all was there");
    assert!(!suspects(&out), "of what was decided 1.2 s ago");
}

#[test]
fn a_primary_suspects_itself_never() {
    let mut single = Single::new(0);
    let request = single.cluster.request(&client(1), 1, b"op");
    let out = single.ask(&request);
    let digest = sent(&out).into_iter().find_map(|message| match message {
        PeerMessage::PrePrepare(m) => Some(m.vote.body.digest),
        _ => None,
    });
    let digest = digest.expect("it proposes at once");
    assert!(!suspects(&single.tick(20 * T)), "nobody votes");
    single.now_us += STALL;
    let mut out = Vec::new();
    for by in [1, 2, 3] {
        out.extend(single.hear(by, &single.cluster.prepare(by, 1, digest)));
        out.extend(single.hear(by, &single.cluster.commit(by, 1, digest)));
    }
    assert_eq!(executes(&out), [1], "all was there");
    assert!(!suspects(&out), "itself, of what was decided 1.2 s ago");
}

/// A machine that is late for every step suspects a silent primary all the same: only what it
/// did not run is left out, not what it did.
#[test]
fn a_machine_that_is_always_late_suspects_in_the_end() {
    let mut single = Single::new(1);
    single.ask(&single.cluster.request(&client(1), 1, b"op"));
    let suspected = (0..100).position(|_| {
        let next = single.replica.next_timeout().expect("something waits").0;
        single.now_us = single.now_us.max(next) + STALL;
        suspects(&single.tick(0))
    });
    assert!(suspected.is_some_and(|steps| steps < 20), "{suspected:?}");
}

/// One request in 50 ms for 10 s, of the primary and of all when no answer came in half a
/// second, as clients do; after 5 s these machines stand still for 1.2 s.
fn expect_no_suspicion(stall: &[u8]) {
    let mut world = World::new(1, 4, 16, Tuning::default());
    let mut number = 0;
    while world.now_us < 10_000 * MS {
        number += 1;
        let request = world.cluster.request(&client(number % 7), number, b"op");
        world.request(0, 0, request.clone());
        (0..4).for_each(|to| world.request(500 * MS, to, request.clone()));
        // The request is proposed, and decided a little later.
        world.run_for(50);
        if number == 100 {
            let until = world.now_us + STALL;
            world.stalled.extend(stall.iter().map(|i| (*i, until)));
        }
        world.run_for(50 * MS - 50);
    }
    world.run_for(2_000 * MS);
    for node in &world.nodes {
        assert!(node.suspected.is_empty(), "{stall:?}: {}", world.stand());
        assert_eq!(node.log.order.len(), 200, "{stall:?}: {}", world.stand());
    }
}

#[test]
fn a_stall_of_the_primary_is_no_view_change() {
    expect_no_suspicion(&[0]);
}

#[test]
fn a_stall_of_a_backup_is_no_suspicion() {
    expect_no_suspicion(&[3]);
}

/// As at a large checkpoint, which all take at the same number.
#[test]
fn a_stall_of_all_is_no_view_change() {
    expect_no_suspicion(&[0, 1, 2, 3]);
}

#[test]
fn and_without_a_stall_nobody_is_suspected() {
    expect_no_suspicion(&[]);
}
