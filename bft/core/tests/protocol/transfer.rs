//! A replica below everything its peers keep fetches a certified state, whatever some of
//! them say, and however fast the others go on.

use bezant_bft::{
    effects::{Effect, To},
    ids::{Digest, SeqNo},
    limits::USUAL_STATE_BYTES,
    message::{PeerMessage, StatePart},
    replica::Tuning,
};

use crate::common::{
    client,
    single::{Single, blames},
    world::World,
};

const T: u64 = 1_000_000;

fn ask(world: &mut World, number: u64) {
    let request = world.cluster.request(&client(1), number, b"op");
    for to in 0..4 {
        world.request(0, to, request.clone());
    }
}

/// Replica 3 of four hears nothing of the first 80 requests, with a checkpoint every 4 numbers.
fn far_behind(seed: u64, prepare: impl FnOnce(&mut World)) -> World {
    far_behind_in(World::new(seed, 4, 4, Tuning::default()), prepare)
}

fn far_behind_in(mut world: World, prepare: impl FnOnce(&mut World)) -> World {
    prepare(&mut world);
    world.partition(&[3], &[0, 1, 2]);
    for number in 1..=80 {
        ask(&mut world, number);
        world.run_for(20_000);
    }
    assert_eq!(world.nodes[3].replica.executed(), SeqNo(0));
    world
}

#[track_caller]
fn assert_executed(world: &World, replicas: &[usize], count: usize) {
    for i in replicas {
        assert_eq!(world.nodes[*i].log.order.len(), count, "{}", world.stand());
    }
}

#[test]
fn a_replica_far_behind_fetches_a_state() {
    let mut world = far_behind(11, |_| {});
    world.heal();
    world.run_for(5 * T);
    assert_executed(&world, &[0, 1, 2, 3], 80);
    (81..=82).for_each(|number| ask(&mut world, number));
    world.run_for(T);
    assert_executed(&world, &[0, 1, 2, 3], 82);
}

/// The same when the first peer asked lies about the state.
#[test]
fn a_false_state_is_not_installed() {
    let lies = |world: &mut World| {
        world.nodes[0].faulty = Some(Box::new(|_, _, message, _| match message {
            PeerMessage::State(part) => {
                let mut part = part.clone();
                part.bytes = vec![7; part.bytes.len()].into();
                vec![PeerMessage::State(part)]
            }
            _ => vec![message.clone()],
        }));
    };
    let mut world = far_behind(12, lies);
    world.heal();
    world.run_for(9 * T);
    assert_executed(&world, &[1, 2, 3], 80);
}

/// A signer of the proof told this replica another digest, and told it first: the proof is
/// judged by itself.
#[test]
fn a_wrong_vote_that_came_first_does_not_hide_the_proof() {
    let lies = |world: &mut World| {
        world.nodes[0].faulty = Some(Box::new(|cluster, to, message, _| match message {
            PeerMessage::Checkpoint(vote) if to == 3 => {
                let seq_no = vote.body.seq_no.0;
                vec![cluster.checkpoint(0, seq_no, Digest([9; 32]))]
            }
            // Nor does it pass any proof on.
            PeerMessage::Stable(_) => Vec::new(),
            _ => vec![message.clone()],
        }));
    };
    let mut world = far_behind(13, lies);
    world.heal();
    world.run_for(9 * T);
    assert_executed(&world, &[1, 2, 3], 80);
    assert!(
        world.nodes[3].replica.stable() >= SeqNo(76),
        "{}",
        world.stand()
    );
}

/// Checkpoints follow each other faster than a state can be sent: what is being fetched is
/// kept until it has arrived.
#[test]
fn a_state_arrives_while_checkpoints_move_on() {
    let slow = Tuning {
        state_part_bytes: 8,
        ..Tuning::default()
    };
    let mut world = far_behind_in(World::new(14, 4, 4, slow), |_| {});
    world.heal();
    for number in 81..=480 {
        ask(&mut world, number);
        world.run_for(20_000);
    }
    let behind = world.nodes[3].replica.executed();
    assert!(behind > SeqNo(400), "{}", world.stand());
    world.run_for(5 * T);
    assert_executed(&world, &[0, 1, 2, 3], 480);
}

/// A source that sends byte by byte of a state without end keeps nobody for ever.
#[test]
fn a_state_without_end_is_fetched_elsewhere() {
    let crumbs = |world: &mut World| {
        world.nodes[0].faulty = Some(Box::new(|_, _, message, _| match message {
            PeerMessage::State(part) => {
                let mut part = part.clone();
                part.bytes = vec![7].into();
                part.total = USUAL_STATE_BYTES;
                vec![PeerMessage::State(part)]
            }
            _ => vec![message.clone()],
        }));
    };
    let mut world = far_behind(15, crumbs);
    // It hears of the state from that one first, and asks it.
    world.heal();
    world.partition(&[3], &[1, 2]);
    world.run_for(3 * T);
    world.heal();
    world.run_for(30 * T);
    assert_executed(&world, &[1, 2, 3], 80);
}

/// It takes longer than the time after which this replica asks for what it lacks, and every
/// answer to that tells of a newer state: that does not make it begin anew.
#[test]
fn news_of_newer_states_does_not_interrupt_one_that_comes() {
    let tuning = Tuning {
        resend_after_us: 50_000,
        state_part_bytes: 8,
        ..Tuning::default()
    };
    let slow = |world: &mut World| world.conditions.latency_us = (800, 800);
    let mut world = far_behind_in(World::new(15, 4, 8, tuning), slow);
    world.heal();
    for number in 81..=180 {
        ask(&mut world, number);
        world.run_for(T / 10);
    }
    let behind = world.nodes[3].replica.executed();
    assert!(behind > SeqNo(170), "{}", world.stand());
}

/// Every part takes longer than a source has for one at first. With a timeout that does not
/// grow, each of them would be left in the midst of it, again and again.
#[test]
fn parts_that_take_long_arrive_all_the_same() {
    let tuning = Tuning {
        resend_after_us: 50_000,
        ..Tuning::default()
    };
    let mut world = far_behind_in(World::new(17, 4, 4, tuning), |_| {});
    world.conditions.latency_us = (35_000, 35_000);
    world.heal();
    world.run_for(10 * T);
    assert_executed(&world, &[0, 1, 2, 3], 80);
}

/// A source that tells of ever newer states and sends none of them is left like one that is
/// silent.
#[test]
fn a_source_that_only_tells_of_newer_states_is_left() {
    let lies = |world: &mut World| {
        world.nodes[0].faulty = Some(Box::new(|_, to, message, _| match message {
            PeerMessage::State(_) if to == 3 => Vec::new(),
            _ => vec![message.clone()],
        }));
    };
    let mut world = far_behind(16, lies);
    world.heal();
    for number in 81..=280 {
        ask(&mut world, number);
        world.run_for(20_000);
    }
    let behind = world.nodes[3].replica.executed();
    assert!(behind > SeqNo(200), "{}", world.stand());
}

/// A replica far behind that has asked for a certified state.
fn fetching() -> Single {
    let mut single = Single::new(1);
    for by in [0, 2, 3] {
        let vote = single.cluster.checkpoint(by, 400, Digest([1; 32]));
        single.hear(by, &vote);
    }
    single
}

/// Whom it asks for a part of the state.
fn asked(effects: &[Effect]) -> Vec<(u8, u64)> {
    let asked = effects.iter().filter_map(|effect| match effect {
        Effect::Send {
            to: To::Replica(to),
            message: PeerMessage::AskState(ask),
            ..
        } => Some((to.0, ask.offset)),
        _ => None,
    });
    asked.collect()
}

fn part(offset: u64, total: u64) -> PeerMessage {
    PeerMessage::State(StatePart {
        seq_no: SeqNo(400),
        total,
        offset,
        bytes: vec![7; 1000].into(),
    })
}

/// What a source says of a state's length is believed by nobody; what was buffered of it is free
/// again when it is left.
#[test]
fn a_source_that_invents_a_length_gets_little_buffered() {
    let mut single = fetching();
    let mut out = single.tick(500_000);
    let [(first, 0)] = asked(&out)[..] else {
        panic!("{out:?}")
    };
    // One that says more than is usual is left, and blamed for nothing: it may be true.
    out = single.hear(first, &part(0, 2 * USUAL_STATE_BYTES));
    let [(second, 0)] = asked(&out)[..] else {
        panic!("{out:?}")
    };
    assert!(second != first && blames(&out).is_empty());
    assert_eq!(single.replica.fetched_bytes(), 0);
    // One that changes what it said is.
    out = single.hear(second, &part(0, 100_000));
    assert_eq!(asked(&out), [(second, 1000)]);
    assert!(single.replica.fetched_bytes() >= 1000);
    out = single.hear(second, &part(1000, 200_000));
    let [(third, 0)] = asked(&out)[..] else {
        panic!("{out:?}")
    };
    assert_eq!(blames(&out).len(), 1);
    assert_eq!(single.replica.fetched_bytes(), 0, "freed, not cleared");
    // All say that it is large: it is, and some rounds later it is taken.
    let (mut source, mut left) = (third, 0);
    loop {
        out = single.hear(source, &part(0, 4 * USUAL_STATE_BYTES));
        match asked(&out)[..] {
            [(next, 0)] if left < 6 => (source, left) = (next, left + 1),
            [(next, 1000)] if next == source => break,
            _ => panic!("{out:?}"),
        }
    }
    assert!(left > 2, "nobody is left out: {left}");
}
