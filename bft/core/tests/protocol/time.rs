//! A primary may not name any time it likes, and a replica whose own clock is off is
//! not left behind.

use bezant_bft::{
    ids::{OrderedTime, View},
    message::{PeerMessage, Proposal},
    misbehaviour::Fault,
    replica::Tuning,
};

use crate::common::{
    DAWN_MS, client, digest_of,
    single::{Single, blames, commits, executes, prepares},
    world::World,
};

const DRIFT_MS: u64 = 10_000;

fn at(single: &Single, tag: u64, time_ms: u64) -> Proposal {
    Proposal {
        time: OrderedTime(time_ms),
        ..single.cluster.proposal(tag)
    }
}

#[test]
fn a_time_within_the_bound_is_voted_for() {
    for time in [DAWN_MS - DRIFT_MS, DAWN_MS + DRIFT_MS] {
        let mut single = Single::new(1);
        let message = single.cluster.pre_prepare(1, at(&single, 1, time));
        let out = single.hear(0, &message);
        assert_eq!((prepares(&out), blames(&out)), (1, vec![]));
    }
}

#[test]
fn a_time_beyond_the_bound_is_not_voted_for() {
    for time in [0, DAWN_MS - DRIFT_MS - 1, DAWN_MS + DRIFT_MS + 1, u64::MAX] {
        let mut single = Single::new(1);
        let message = single.cluster.pre_prepare(1, at(&single, 1, time));
        let out = single.hear(0, &message);
        let (proposed, here) = (OrderedTime(time), OrderedTime(DAWN_MS));
        let fault = Fault::TimeOutOfBounds { proposed, here };
        assert_eq!((prepares(&out), blames(&out)), (0, vec![(Some(0), &fault)]));
        // Sent again it is the same fault, not another, and still not voted for.
        assert!(single.hear(2, &message).is_empty());
        assert_eq!(prepares(&single.tick(1)), 0);
    }
}

/// Those who found the time good are a strong quorum: its being prepared does not
/// depend on the clock here, and the record of the proposal precedes the commit's.
#[test]
fn a_time_that_the_others_accept_is_accepted() {
    let mut single = Single::new(1);
    let proposal = at(&single, 1, DAWN_MS + 60_000);
    let digest = digest_of(&proposal);
    single.hear(0, &single.cluster.pre_prepare(1, proposal));
    assert_eq!(
        commits(&single.hear(2, &single.cluster.prepare(2, 1, digest))),
        0
    );
    assert_eq!(
        commits(&single.hear(3, &single.cluster.prepare(3, 1, digest))),
        1
    );
    single.hear(2, &single.cluster.commit(2, 1, digest));
    assert_eq!(
        executes(&single.hear(3, &single.cluster.commit(3, 1, digest))),
        [1]
    );
}

/// f + 1 commits hold a correct one: its judgement stands, and there is nothing to blame.
#[test]
fn a_time_that_somebody_correct_committed_is_not_judged_again() {
    let mut single = Single::new(1);
    let proposal = at(&single, 1, DAWN_MS + 60_000);
    let digest = digest_of(&proposal);
    single.hear(2, &single.cluster.commit(2, 1, digest));
    single.hear(3, &single.cluster.commit(3, 1, digest));
    let out = single.hear(0, &single.cluster.pre_prepare(1, proposal));
    assert_eq!((prepares(&out), blames(&out)), (1, vec![]));
}

/// A good proposal at a higher number, or f liars' commits, or commits for something else
/// at this number, must not open the door to any time a primary likes.
#[test]
fn the_bound_on_time_cannot_be_walked_around() {
    let wild = u64::MAX / 2;
    let good = |single: &mut Single, number| {
        let digest = digest_of(&single.cluster.proposal(number));
        single.hear(
            0,
            &single
                .cluster
                .pre_prepare(number, single.cluster.proposal(number)),
        );
        for by in [2, 3] {
            single.hear(by, &single.cluster.prepare(by, number, digest));
            single.hear(by, &single.cluster.commit(by, number, digest));
        }
    };
    let mut single = Single::new(1);
    good(&mut single, 2);
    let message = single.cluster.pre_prepare(1, at(&single, 1, wild));
    assert_eq!(prepares(&single.hear(0, &message)), 0);

    let mut single = Single::new(1);
    let (lie, other) = (at(&single, 1, wild), digest_of(&at(&single, 2, wild)));
    single.hear(0, &single.cluster.commit(0, 1, digest_of(&lie)));
    single.hear(2, &single.cluster.commit(2, 1, other));
    single.hear(3, &single.cluster.commit(3, 1, other));
    let message = single.cluster.pre_prepare(1, lie);
    assert_eq!(prepares(&single.hear(0, &message)), 0);
}

/// One replica's clock is wrong: it blames the primary and keeps up all the same.
#[test]
fn a_replica_with_a_wrong_clock_keeps_up() {
    for skew_ms in [60_000, -60_000] {
        let mut world = World::new(3, 4, 4, Tuning::default());
        world.nodes[3].skew_ms = skew_ms;
        for number in 1..=6 {
            let request = world.cluster.request(&client(1), number, b"op");
            world.request(number * 1000, 0, request);
        }
        world.run_until_idle(10_000_000);
        assert!(
            world.nodes.iter().all(|node| node.log.order.len() == 6),
            "{}",
            world.stand()
        );
        assert!(world.nodes[..3].iter().all(|node| node.blames.is_empty()));
        assert_eq!(world.nodes[3].blames.len(), world.nodes[3].decided.len());
    }
}

/// The primary's clock is wrong: it orders nothing, and is replaced.
#[test]
fn a_primary_with_a_wrong_clock_is_replaced() {
    let mut world = World::new(3, 4, 4, Tuning::default());
    world.nodes[0].skew_ms = 60_000;
    let request = world.cluster.request(&client(1), 1, b"op");
    (0..4).for_each(|to| world.request(0, to, request.clone()));
    world.run_for(6_000_000);
    for node in &world.nodes[1..] {
        assert_eq!(node.log.order.len(), 1);
        assert_eq!(node.blames.len(), 1, "a repeated proposal is no new fault");
        assert_eq!(node.views, [View(1)]);
    }
}

/// A clock that steps back makes no proposal older than the one before it.
#[test]
fn proposed_time_never_runs_backwards() {
    let mut world = World::new(
        3,
        4,
        4,
        Tuning {
            gather: 1,
            ..Tuning::default()
        },
    );
    for number in 1..=6_u64 {
        world.nodes[0].skew_ms = -i64::try_from(number * 500).unwrap();
        let request = world.cluster.request(&client(1), number, b"op");
        world.request(0, 0, request);
        world.run_for(10_000);
    }
    let times: Vec<_> = (1..=6)
        .map(|number| {
            let slot = world.nodes[1]
                .replica
                .slot(bezant_bft::ids::SeqNo(number))
                .unwrap();
            slot.proposal().unwrap().time()
        })
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    let status = world.nodes[1]
        .replica
        .slot(bezant_bft::ids::SeqNo(1))
        .unwrap()
        .pre_prepare();
    assert!(matches!(
        status.unwrap().to_message(),
        PeerMessage::PrePrepare(_)
    ));
}
