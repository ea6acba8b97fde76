//! Checkpoints and the window between the watermarks.

use bezant_bft::{
    effects::{Effect, Input},
    ids::{Digest, ReplicaId, SeqNo},
    invariants::Violation,
    limits,
    misbehaviour::Offence,
    replica::Tuning,
    service::Service,
};

use crate::common::{
    client, digest_of,
    single::{Single, blames, commits, executes, prepares, sent},
    world::World,
};

const STATE: Digest = Digest([1; 32]);
const INTERVAL: u64 = 4;
const WINDOW: u64 = INTERVAL * limits::WATERMARK_INTERVALS;

/// Numbers up to the first checkpoint are decided and executed.
fn at_checkpoint() -> Single {
    let mut single = Single::new(1);
    for seq_no in 1..=INTERVAL {
        single.decide(seq_no);
        single.executed(seq_no, (seq_no == INTERVAL).then_some(STATE));
    }
    single
}

fn hear_checkpoint(single: &mut Single, by: u8, number: u64, state: Digest) -> Vec<Effect> {
    single.hear(by, &single.cluster.checkpoint(by, number, state))
}

#[test]
fn a_checkpoint_is_stable_with_a_strong_quorum_of_equal_votes() {
    let mut single = at_checkpoint();
    for by in [0, 0, 0] {
        hear_checkpoint(&mut single, by, INTERVAL, STATE);
    }
    hear_checkpoint(&mut single, 2, INTERVAL, Digest([2; 32]));
    // Two of four, one of them heard three times, and one for another state.
    assert_eq!(single.replica.stable(), SeqNo(0));
    // The first vote of each stands.
    hear_checkpoint(&mut single, 2, INTERVAL, STATE);
    assert_eq!(single.replica.stable(), SeqNo(0));
    hear_checkpoint(&mut single, 3, INTERVAL, STATE);
    assert_eq!(single.replica.stable(), SeqNo(INTERVAL));
}

#[test]
fn a_checkpoint_is_stable_only_where_it_was_reached() {
    let mut single = Single::new(1);
    for by in [0, 2, 3] {
        hear_checkpoint(&mut single, by, INTERVAL, STATE);
    }
    assert_eq!(single.replica.stable(), SeqNo(0));
    for seq_no in 1..=INTERVAL {
        single.decide(seq_no);
        single.executed(seq_no, (seq_no == INTERVAL).then_some(STATE));
    }
    assert_eq!(single.replica.stable(), SeqNo(INTERVAL));
}

/// Anybody may pass a vote on, so a replica that restarted below it hears its own again.
#[test]
fn an_own_vote_of_an_earlier_incarnation_settles_nothing() {
    let mut single = Single::new(1);
    let own = single.cluster.checkpoint(1, INTERVAL, STATE);
    let mut out = single.hear(0, &own);
    for by in [0, 2, 3] {
        out.extend(hear_checkpoint(&mut single, by, INTERVAL, STATE));
    }
    assert!(!out.iter().any(|effect| matches!(effect, Effect::Halt(_))));
    assert_eq!(single.replica.stable(), SeqNo(0));
}

#[test]
fn votes_on_no_checkpoint_are_not_kept() {
    let mut single = Single::new(1);
    for seq_no in [1, INTERVAL + 1, 2 * WINDOW + INTERVAL, u64::MAX] {
        for by in [0, 2, 3] {
            assert!(hear_checkpoint(&mut single, by, seq_no, STATE).is_empty());
        }
    }
    assert_eq!(single.replica.stable(), SeqNo(0));
}

/// A primary whose window moved already: its proposal is voted for when this one's moves.
#[test]
fn a_primary_ahead_of_the_watermark_is_held() {
    let mut single = at_checkpoint();
    let ahead = single.cluster.proposal(99);
    let out = single.hear(0, &single.cluster.pre_prepare(WINDOW + 1, ahead.clone()));
    assert!(out.is_empty(), "neither a vote nor a blame: {out:?}");
    let last = single.cluster.proposal(98);
    assert_eq!(
        prepares(&single.hear(0, &single.cluster.pre_prepare(WINDOW, last))),
        1
    );
    hear_checkpoint(&mut single, 0, INTERVAL, STATE);
    let out = hear_checkpoint(&mut single, 2, INTERVAL, STATE);
    assert_eq!(prepares(&out), 1, "held until the window moved");
    // The same for votes of the others: they were kept, too.
    let digest = digest_of(&ahead);
    assert!(
        single
            .replica
            .slot(SeqNo(WINDOW + 1))
            .unwrap()
            .proposal()
            .unwrap()
            .digest()
            == digest
    );
}

/// What is held is bounded, and what is beyond is refused.
#[test]
fn messages_far_ahead_are_not_held() {
    let mut single = Single::new(1);
    let hold = 2 * WINDOW;
    for seq_no in [hold + 1, u64::MAX] {
        let digest = Digest([3; 32]);
        let offence = Offence::BeyondWindow {
            seq_no: SeqNo(seq_no),
            high: SeqNo(hold),
        };
        for message in [
            single
                .cluster
                .pre_prepare(seq_no, single.cluster.proposal(1)),
            single.cluster.prepare(0, seq_no, digest),
            single.cluster.commit(0, seq_no, digest),
        ] {
            let unverified = bezant_bft::verification::Unverified::from_replica(
                ReplicaId(0),
                &bezant_bft::codec::encode(&message),
            );
            let wanted = single.replica.wants(&unverified.unwrap());
            let out = single.hear(0, &message);
            match message {
                bezant_bft::message::PeerMessage::Prepare(_) => {
                    assert!(!wanted && sent(&out).is_empty())
                }
                _ => assert_eq!(blames(&out), [(Some(0), &offence)]),
            }
            assert!(single.replica.slot(SeqNo(seq_no)).is_none());
        }
    }
}

/// Commits carry a replica over its own high watermark when checkpoint votes are late:
/// that is a lag, not a broken invariant.
#[test]
fn a_replica_may_execute_beyond_its_own_window() {
    let mut single = Single::new(1);
    for seq_no in 1..=WINDOW + INTERVAL {
        let out = single.decide(seq_no);
        assert_eq!(executes(&out), [seq_no]);
        assert_eq!(
            prepares(&out),
            usize::from(seq_no <= WINDOW),
            "no votes beyond the window"
        );
        let out = single.executed(seq_no, seq_no.is_multiple_of(INTERVAL).then_some(STATE));
        assert!(
            !out.iter().any(|effect| matches!(effect, Effect::Halt(_))),
            "{out:?}"
        );
    }
    // The window moves after the decision: this replica's votes for it come now.
    hear_checkpoint(&mut single, 0, INTERVAL, STATE);
    let out = hear_checkpoint(&mut single, 3, INTERVAL, STATE);
    assert_eq!((prepares(&out), commits(&out)), (4, 4));
    for by in [0, 3] {
        hear_checkpoint(&mut single, by, WINDOW + INTERVAL, STATE);
    }
    assert_eq!(single.replica.stable(), SeqNo(WINDOW + INTERVAL));
}

/// In whichever order the votes come, the one with another state than the quorum halts,
/// and says nothing but that.
#[test]
fn a_diverged_replica_halts() {
    let wrong = Digest([0xbb; 32]);
    for own_last in [false, true] {
        let mut single = Single::new(1);
        let request = single.cluster.request(&client(5), 5, b"pending");
        single.ask(&request);
        for number in 1..INTERVAL {
            single.decide(number);
            single.executed(number, None);
        }
        single.decide(INTERVAL);
        let mut out = Vec::new();
        if !own_last {
            out.extend(single.executed(INTERVAL, Some(wrong)));
        }
        for by in [0, 2, 3] {
            // Whatever timer is due with the last vote, a halted replica does not speak.
            single.now_us += 20_000_000;
            out = hear_checkpoint(&mut single, by, INTERVAL, STATE);
        }
        if own_last {
            single.executed(INTERVAL, None);
            single.now_us += 20_000_000;
            let (number, state) = (SeqNo(INTERVAL), wrong);
            out = single.step(Input::CheckpointSaved {
                seq_no: number,
                state,
            });
        }
        let [
            Effect::Halt(Violation::Diverged {
                seq_no: SeqNo(INTERVAL),
                own,
                agreed,
            }),
        ] = out[..]
        else {
            panic!("own last {own_last}: {out:?}")
        };
        assert_eq!((own, agreed), (wrong, STATE));
        assert!(
            single.decide(INTERVAL + 1).is_empty(),
            "it is not heard of again"
        );
        assert!(single.tick(60_000_000).is_empty());
    }
}

#[test]
fn a_cluster_goes_on_without_the_diverged_one() {
    let mut world = World::new(1, 4, INTERVAL, Tuning::default());
    world.nodes[2].faulty = Some(Box::new(|_, _, message, _| vec![message.clone()]));
    world.nodes[2].log.corrupt();
    for number in 1..=20 {
        let request = world.cluster.request(&client(1), number, b"op");
        world.request(number * 10_000, 0, request);
    }
    world.run_until_idle(60_000_000);
    for i in world.correct() {
        assert_eq!(world.nodes[i].log.order.len(), 20);
        assert_eq!(world.nodes[i].halted, None);
        assert_eq!(world.nodes[i].replica.stable(), SeqNo(20));
    }
    let halted = world.nodes[2].halted;
    assert!(
        matches!(halted, Some(Violation::Diverged { .. })),
        "{halted:?}"
    );
}

/// What was spoilt is what a replica executed since its last stable checkpoint: it comes back
/// at that one and executes the rest again.
#[test]
fn a_restart_repairs_a_diverged_replica() {
    let mut world = World::new(1, 4, INTERVAL, Tuning::default());
    world.nodes[2].faulty = Some(Box::new(|_, _, message, _| vec![message.clone()]));
    let ask = |world: &mut World, numbers: std::ops::RangeInclusive<u64>| {
        for number in numbers {
            let request = world.cluster.request(&client(1), number, b"op");
            world.request(number * 10_000, 0, request);
        }
        world.run_until_idle(60_000_000);
    };
    ask(&mut world, 1..=10);
    world.nodes[2].log.corrupt();
    ask(&mut world, 11..=20);
    let halted = world.nodes[2].halted;
    assert!(
        matches!(halted, Some(Violation::Diverged { .. })),
        "{halted:?}"
    );
    world.restart(2, Tuning::default());
    ask(&mut world, 21..=30);
    assert_eq!(world.nodes[2].halted, None);
    assert_eq!(world.nodes[2].log.snapshot(), world.nodes[0].log.snapshot());
    assert_eq!(world.nodes[2].log.order.len(), 30);
}

/// Two and two: no quorum of equal states can form. They stop at the first checkpoint, and
/// not when the window is full.
#[test]
fn without_a_quorum_of_equal_states_all_stop() {
    let mut world = World::new(1, 4, INTERVAL, Tuning::default());
    for i in [2, 3] {
        world.nodes[i].faulty = Some(Box::new(|_, _, message, _| vec![message.clone()]));
        world.nodes[i].log.corrupt();
    }
    for number in 1..=2 * WINDOW {
        let request = world.cluster.request(&client(1), number, b"op");
        world.request(number * 1000, 0, request);
    }
    world.run_for(3_000_000);
    let (number, most) = (SeqNo(INTERVAL), 2);
    for node in &world.nodes {
        assert_eq!(
            node.halted,
            Some(Violation::Split {
                seq_no: number,
                most
            })
        );
        assert!(node.replica.executed() < SeqNo(WINDOW));
    }
}

/// f replicas of another state, each with its own, keep nobody from a checkpoint.
#[test]
fn wrong_states_of_few_split_nobody() {
    let mut single = Single::with(7, 1, INTERVAL, Tuning::default());
    for seq_no in 1..=INTERVAL {
        single.decide(seq_no);
        single.executed(seq_no, (seq_no == INTERVAL).then_some(STATE));
    }
    for (by, state) in [
        (5, Digest([5; 32])),
        (6, Digest([6; 32])),
        (0, STATE),
        (2, STATE),
        (3, STATE),
        (4, STATE),
    ] {
        let out = hear_checkpoint(&mut single, by, INTERVAL, state);
        assert!(!out.iter().any(|effect| matches!(effect, Effect::Halt(_))));
    }
    assert_eq!(single.replica.stable(), SeqNo(INTERVAL));
}

/// Over thousands of numbers neither the log in memory nor the records on disk grow.
#[test]
fn the_log_is_bounded() {
    let mut world = World::new(
        1,
        4,
        INTERVAL,
        Tuning {
            gather: 1,
            ..Tuning::default()
        },
    );
    world.conditions.latency_us = (100, 300);
    const NUMBERS: u64 = 2_000;
    for number in 1..=NUMBERS {
        let request = world.cluster.request(&client(number % 7), number, b"op");
        world.request(number * 500, 0, request);
    }
    let kept = |node: &crate::common::world::Node| {
        let executed = node.replica.executed().0;
        let numbers = executed.saturating_sub(4 * WINDOW)..executed + 2 * WINDOW;
        numbers
            .filter(|number| node.replica.slot(SeqNo(*number)).is_some())
            .count() as u64
    };
    while world.nodes[0].replica.executed().0 < NUMBERS {
        world.run_for(10_000);
        for node in &world.nodes {
            assert!(kept(node) <= 3 * WINDOW, "{}", kept(node));
            assert!(
                node.records.len() as u64 <= 4 * 3 * WINDOW,
                "{}",
                node.records.len()
            );
        }
    }
    world.run_until_idle(10_000_000);
    for node in &world.nodes {
        assert_eq!(node.replica.stable(), SeqNo(NUMBERS));
        assert_eq!(node.replica.pooled(), 0);
        assert_eq!(
            kept(node),
            WINDOW,
            "the window below the checkpoint, for who lags"
        );
        assert_eq!(node.replica.counters().requests, NUMBERS);
    }
}
