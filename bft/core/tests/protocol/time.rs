//! A primary may not name any time it likes, and a replica whose own clock is off is
//! not left behind.

use bezant_bft::{
    effects::Effect,
    ids::{OrderedTime, SeqNo, View},
    message::{Content, PeerMessage, Proposal},
    misbehaviour::Offence,
    rejoin::IncarnationTable,
    replica::Tuning,
};

use crate::common::{
    DAWN_MS, client, digest_of,
    single::{Single, blames, commits, executes, prepares, suspects},
    views::{entered, pending_view},
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
        let mut single = in_step(1);
        let message = single.cluster.pre_prepare(2, at(&single, 2, time));
        let out = single.hear(0, &message);
        assert_eq!((prepares(&out), blames(&out)), (1, vec![]));
    }
}

/// Replica `me`, which has just executed number 1 at dawn.
fn in_step(me: u8) -> Single {
    let mut single = Single::new(me);
    single.decide(1);
    single.executed(1, None);
    single
}

#[test]
fn a_time_beyond_the_bound_is_not_voted_for() {
    for time in [0, DAWN_MS - DRIFT_MS - 1, DAWN_MS + DRIFT_MS + 1, u64::MAX] {
        // Nothing was executed, so it may be the time of day here that is wrong.
        let mut single = Single::new(1);
        let message = single.cluster.pre_prepare(1, at(&single, 1, time));
        let out = single.hear(0, &message);
        assert_eq!((prepares(&out), blames(&out)), (0, vec![]));

        let mut single = in_step(1);
        let message = single.cluster.pre_prepare(2, at(&single, 2, time));
        let out = single.hear(0, &message);
        let (proposed, here) = (OrderedTime(time), OrderedTime(DAWN_MS));
        let offence = Offence::TimeOutOfBounds { proposed, here };
        // A primary that was away may be behind; nobody correct is so far ahead.
        let ahead = (time > DAWN_MS).then_some((Some(0), &offence));
        assert_eq!(
            (prepares(&out), blames(&out)),
            (0, Vec::from_iter(ahead)),
            "{time}"
        );
        // Sent again it is the same fault, not another, and still not voted for.
        assert!(single.hear(2, &message).is_empty());
        assert_eq!(prepares(&single.tick(1)), 0);
    }
}

/// f + 1 votes hold a correct one: somebody whose reading is right found the time good, and
/// where a vote is missing this replica's own is needed.
#[test]
fn a_time_that_the_others_accept_is_accepted() {
    for (n, others) in [(4, vec![2]), (7, vec![2, 3])] {
        let mut single = Single::with(n, 1, 4, Tuning::default());
        let proposal = at(&single, 1, DAWN_MS + 60_000);
        let digest = digest_of(&proposal);
        single.hear(0, &single.cluster.pre_prepare(1, proposal));
        let wrong = digest_of(&single.cluster.proposal(2));
        let wrong = single.cluster.prepare(n - 1, 1, wrong);
        assert_eq!(prepares(&single.hear(n - 1, &wrong)), 0);
        let (last, first) = others.split_last().unwrap();
        for by in first {
            let out = single.hear(*by, &single.cluster.prepare(*by, 1, digest));
            assert_eq!(prepares(&out), 0, "fewer than f + 1");
        }
        let out = single.hear(*last, &single.cluster.prepare(*last, 1, digest));
        assert_eq!(prepares(&out), 1);
    }
    // The record of the proposal precedes the votes, as ever.
    let mut single = Single::new(1);
    let proposal = at(&single, 1, DAWN_MS + 60_000);
    let digest = digest_of(&proposal);
    single.hear(0, &single.cluster.pre_prepare(1, proposal));
    let out = single.hear(2, &single.cluster.prepare(2, 1, digest));
    assert_eq!((prepares(&out), commits(&out)), (1, 1));
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
/// at this number, must not allow any time a primary likes.
#[test]
fn the_bound_on_time_cannot_be_walked_around() {
    let wild = u64::MAX / 2;
    let good = |single: &mut Single, seq_no| {
        let digest = digest_of(&single.cluster.proposal(seq_no));
        single.hear(
            0,
            &single
                .cluster
                .pre_prepare(seq_no, single.cluster.proposal(seq_no)),
        );
        for by in [2, 3] {
            single.hear(by, &single.cluster.prepare(by, seq_no, digest));
            single.hear(by, &single.cluster.commit(by, seq_no, digest));
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

/// One replica's clock is wrong: it keeps up, and blames nobody for it.
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
        assert!(world.nodes.iter().all(|node| node.blames.is_empty()));
    }
}

/// The clock of a cluster's very first primary is wrong: it orders nothing, and is replaced.
#[test]
fn a_first_primary_with_a_wrong_clock_is_replaced() {
    let mut world = World::new(3, 4, 4, Tuning::default());
    world.nodes[0].skew_ms = 60_000;
    let request = world.cluster.request(&client(1), 1, b"op");
    (0..4).for_each(|to| world.request(0, to, request.clone()));
    world.run_for(6_000_000);
    for node in &world.nodes[1..] {
        assert_eq!(node.log.order.len(), 1);
        assert!(node.blames.is_empty());
        assert_eq!(node.views, [View(1)]);
    }
}

/// A cluster was cut for a minute. What was prepared before is proposed again with its old
/// time, and must be voted for.
#[test]
fn a_proposal_that_a_new_view_carries_is_not_judged_again() {
    let mut single = Single::new(3);
    let cluster = single.cluster.clone();
    let digest = digest_of(&cluster.proposal(1));
    single.hear(0, &cluster.pre_prepare(1, cluster.proposal(1)));
    single.hear(2, &cluster.prepare(2, 1, digest));
    single.now_us += 60_000_000;
    let certificate = || vec![cluster.certificate(0, 1, digest)];
    let changes = [0, 1].map(|by| cluster.leaves(by, 1, certificate()));
    let out = single.hear_all((0..).zip(&changes));
    let own = PeerMessage::ViewChange(pending_view(&out)[0].clone());
    let body = cluster.new_view(1, &[&changes[0], &changes[1], &own], &[(1, digest)]);
    let out = single.hear(1, &cluster.sign_new_view(1, body));
    assert_eq!((entered(&out), prepares(&out)), (vec![1], 1));
}

/// How a proposal that a new view carries comes to a replica that does not have it.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// The primary sends its pre-prepare again.
    PrePrepare,
    /// The same, before the view opens here.
    Early,
    /// A peer answers who asked for it.
    Content,
    /// The pre-prepare, after a restart.
    AfterRestart,
}

/// A replica that had nothing enters view 1, which carries a proposal that is a minute old at
/// number 1; what comes of the proposal's arrival.
fn carried_by(way: Way) -> Vec<Effect> {
    let mut single = Single::new(3);
    let cluster = single.cluster.clone();
    single.now_us += 60_000_000;
    let digest = digest_of(&cluster.proposal(1));
    let message = cluster.pre_prepare_in(1, 1, cluster.proposal(1));
    let certificate = || vec![cluster.certificate(0, 1, digest)];
    let changes = [0, 1].map(|by| cluster.leaves(by, 1, certificate()));
    let mut out = Vec::new();
    if matches!(way, Way::Early) {
        out.extend(single.hear(1, &message));
        assert_eq!((prepares(&out), blames(&out)), (0, vec![]));
    }
    out.extend(single.hear_all((0..).zip(&changes)));
    let own = PeerMessage::ViewChange(pending_view(&out)[0].clone());
    let body = cluster.new_view(1, &[&changes[0], &changes[1], &own], &[(1, digest)]);
    out.extend(single.hear(1, &cluster.sign_new_view(1, body)));
    assert_eq!(entered(&out), [1]);
    match way {
        Way::Early => return out,
        Way::AfterRestart => {
            let records = out.into_iter().filter_map(|effect| match effect {
                Effect::Persist { record, .. } => Some(record),
                _ => None,
            });
            let (tuning, table) = (Tuning::default(), IncarnationTable::default());
            single = Single::new(3);
            single.now_us += 60_000_000;
            single.replica = cluster.recover(3, 4, tuning, table, records.collect());
        }
        Way::PrePrepare | Way::Content => assert_eq!(prepares(&out), 0, "it is not here"),
    }
    match way {
        Way::Content => {
            let (seq_no, proposal) = (SeqNo(1), cluster.proposal(1));
            single.hear(2, &PeerMessage::Content(Content { seq_no, proposal }))
        }
        _ => single.hear(1, &message),
    }
}

/// However a carried proposal arrives, its time is not judged: it was when it was new.
#[test]
fn a_carried_proposal_is_not_judged_however_it_arrives() {
    for way in [Way::PrePrepare, Way::Early, Way::Content, Way::AfterRestart] {
        let out = carried_by(way);
        assert!(prepares(&out) > 0, "{way:?}: no vote");
        assert_eq!(blames(&out), [], "{way:?}");
    }
}

/// Above what the view carries its primary proposes anew, and is judged.
#[test]
fn what_a_primary_proposes_above_the_carried_ones_is_judged() {
    let mut single = Single::new(3);
    let cluster = single.cluster.clone();
    single.now_us += 60_000_000;
    let digest = digest_of(&cluster.proposal(1));
    let certificate = || vec![cluster.certificate(0, 1, digest)];
    let changes = [0, 1].map(|by| cluster.leaves(by, 1, certificate()));
    let out = single.hear_all((0..).zip(&changes));
    let own = PeerMessage::ViewChange(pending_view(&out)[0].clone());
    let body = cluster.new_view(1, &[&changes[0], &changes[1], &own], &[(1, digest)]);
    single.hear(1, &cluster.sign_new_view(1, body));
    let out = single.hear(1, &cluster.pre_prepare_in(1, 2, cluster.proposal(2)));
    assert_eq!(prepares(&out), 0);
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
            let slot = world.nodes[1].replica.slot(SeqNo(number)).unwrap();
            slot.proposal().unwrap().time()
        })
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    let status = world.nodes[1].replica.slot(SeqNo(1)).unwrap().pre_prepare();
    assert!(matches!(
        status.unwrap().to_message(),
        PeerMessage::PrePrepare(_)
    ));
}

const MS: u64 = 1000;
const T: u64 = 1_000 * MS;

/// A cluster in which something expires `lease_ms` after dawn.
fn leased(lease_ms: u64) -> World {
    let mut world = World::new(5, 4, 4, Tuning::default());
    let request = world
        .cluster
        .request(&client(1), 1, format!("lease {lease_ms}").as_bytes());
    world.request(0, 0, request);
    world.run_for(100 * MS);
    assert!(world.nodes.iter().all(|node| node.log.leases.len() == 1));
    world
}

fn is_past(world: &World, replica: usize) -> bool {
    world.nodes[replica].log.leases.is_empty()
}

/// Far from its end a lease makes no noise at all; then one proposal ends it everywhere.
#[test]
fn one_tick_ends_what_is_due_and_none_comes_before() {
    let mut world = leased(60_000);
    let sent = world.hits.sent;
    world.run_for(59_000 * MS);
    // Four heartbeats on each of 12 links, as without a lease.
    let heartbeats = world.hits.sent - sent;
    assert!(heartbeats <= 48, "{heartbeats} messages in a minute");
    world.run_until_idle(2_000 * MS);
    for node in &world.nodes {
        assert!(node.log.leases.is_empty());
        assert_eq!(node.log.time, OrderedTime(DAWN_MS + 60_000));
        assert_eq!((node.decided.len(), node.suspected.len()), (2, 0));
    }
    assert_eq!(world.nodes[0].proposed, [1, 0], "a request, and a tick");
    assert!(world.nodes.iter().all(|node| node.blames.is_empty()));
}

/// What is proposed anyway has a time, too.
#[test]
fn a_request_in_time_makes_the_tick_needless() {
    let mut world = leased(5_000);
    world.run_for(4_899 * MS);
    let request = world.cluster.request(&client(1), 2, b"op");
    world.request(MS, 0, request);
    world.run_until_idle(T);
    assert!((0..4).all(|replica| is_past(&world, replica)));
    assert_eq!(world.nodes[0].proposed, [1, 1]);
}

/// Things due at many times are each ended in their turn, those of one time at once.
#[test]
fn ticks_of_one_time_are_one() {
    let mut world = World::new(5, 4, 4, Tuning::default());
    for (number, ms) in [(1, 7_000), (2, 3_000), (3, 3_000), (4, 3_000)] {
        let op = format!("lease {ms}");
        let request = world.cluster.request(&client(1), number, op.as_bytes());
        world.request(0, 0, request);
    }
    world.run_until_idle(20 * T);
    assert!((0..4).all(|replica| is_past(&world, replica)));
    let ticks = world.nodes[0].proposed.iter().filter(|of| **of == 0);
    assert_eq!(ticks.count(), 2, "{:?}", world.nodes[0].proposed);
}

/// A primary that is gone ticks no more. The backups give clocks their due, then replace it.
#[test]
fn a_primary_that_never_ticks_is_replaced() {
    let mut world = leased(5_000);
    world.nodes[0].down = true;
    world.run_for((5_000 + DRIFT_MS) * MS + T - 200 * MS);
    assert!(world.nodes.iter().all(|node| node.suspected.is_empty()));
    world.run_for(3 * T);
    for replica in 1..4 {
        assert!(is_past(&world, replica), "{}", world.stand());
        assert_eq!(world.nodes[replica].views, [View(1)]);
    }
}

/// Two primaries in a row that do not: the third one gets its time from the start of its view.
#[test]
fn each_primary_has_its_time_to_tick() {
    let mut world = World::new(5, 7, 4, Tuning::default());
    let request = world.cluster.request(&client(1), 1, b"lease 5000");
    world.request(0, 0, request);
    world.run_for(T);
    world.nodes[0].down = true;
    // It opens its view, and then nothing.
    world.nodes[1].faulty = Some(Box::new(|_, _, message, _| match message {
        PeerMessage::PrePrepare(_) => Vec::new(),
        other => vec![other.clone()],
    }));
    world.run_for((5_000 + DRIFT_MS) * MS + 6 * T);
    for replica in 2..7 {
        assert!(is_past(&world, replica), "{}", world.stand());
        assert_eq!(world.nodes[replica].views, [View(1), View(2)]);
    }
}

/// A clock ahead or behind within the bound suspects nobody, whoever is right.
#[test]
fn clocks_within_the_bound_suspect_nobody() {
    for (replica, skew_ms) in [(3, 9_500), (3, -9_500), (0, -9_500), (0, 9_500)] {
        let mut world = leased(30_000);
        world.nodes[replica].skew_ms = skew_ms;
        world.run_until_idle(60 * T);
        for node in &world.nodes {
            assert!(node.log.leases.is_empty(), "{}", world.stand());
            assert!(node.suspected.is_empty(), "{replica} {skew_ms}");
        }
    }
}

/// A hundred seconds in which this replica stood still are none in which the primary was idle.
#[test]
fn a_stop_accuses_nobody_of_the_time_it_missed() {
    let mut single = Single::new(1);
    single.decide(1);
    single.executed_with(1, None, Some(DAWN_MS + 5_000));
    single.now_us = 100 * T;
    assert!(!suspects(&single.tick(0)));
    assert!(!suspects(&single.tick(T - 1)));
    assert!(suspects(&single.tick(1)));
}

/// What expires may be moved by a number on its way: nobody is suspected meanwhile.
#[test]
fn nothing_is_owed_while_a_number_is_executed() {
    let mut single = Single::new(1);
    single.decide(1);
    single.executed_with(1, None, Some(DAWN_MS + 1));
    single.now_us = 2 * DRIFT_MS * MS;
    let mut out = single.tick(0);
    single.decide(2);
    out.extend(single.tick(10 * T));
    assert!(!suspects(&out));
    assert!(!suspects(&single.executed_with(2, None, None)));
    assert!(!suspects(&single.tick(10 * T)));
}

/// Restarted, every replica knows again what is due.
#[test]
fn what_is_due_survives_a_restart() {
    let mut world = World::new(5, 4, 4, Tuning::default());
    for number in 1..=4 {
        let request = world.cluster.request(&client(1), number, b"lease 5000");
        world.request(number * MS, 0, request);
    }
    world.run_for(T);
    (0..4).for_each(|replica| world.restart(replica, Tuning::default()));
    assert!((0..4).all(|replica| world.nodes[replica].log.leases.len() == 4));
    world.run_until_idle(30 * T);
    assert!(
        (0..4).all(|replica| is_past(&world, replica)),
        "{}",
        world.stand()
    );
}

/// Behind a cut for longer than a lease lasts: whoever returns agrees on its end.
#[test]
fn a_quorum_is_needed_for_time_to_pass() {
    let mut world = leased(5_000);
    world.partition(&[0, 1], &[2, 3]);
    world.run_for(60 * T);
    assert!((0..4).all(|replica| !is_past(&world, replica)));
    world.heal();
    world.run_for(60 * T);
    assert!(
        (0..4).all(|replica| is_past(&world, replica)),
        "{}",
        world.stand()
    );
}
