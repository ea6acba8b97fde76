//! What was lost is asked for and sent again, and silence falls when all is done.

use bezant_bft::{
    effects::{Effect, To},
    ids::{ReplicaId, SeqNo},
    limits,
    message::PeerMessage,
    replica::Tuning,
};

use crate::common::{
    client, digest_of,
    single::{Single, sent},
    status,
    world::{Conditions, World},
};

const MS: u64 = 1000;

fn world(interval: u64) -> World {
    World::new(
        5,
        4,
        interval,
        Tuning {
            gather: 1,
            ..Tuning::default()
        },
    )
}

/// Requests `range`, one every millisecond, to the primary.
fn requests(world: &mut World, range: std::ops::RangeInclusive<u64>) {
    for (i, number) in range.enumerate() {
        let request = world.cluster.request(&client(1), number, b"op");
        world.request(i as u64 * MS, 0, request);
    }
}

fn all_executed(world: &World, requests: usize) {
    for node in &world.nodes {
        assert_eq!(node.log.order.len(), requests, "{}", world.stand());
        assert_eq!(
            node.replica.stable(),
            world.nodes[0].replica.stable(),
            "{}",
            world.stand()
        );
        assert!(node.suspected.is_empty() && node.blames.is_empty());
    }
}

/// Links break in the middle of a number and nobody is told: the timers find out.
#[test]
fn lost_messages_are_recovered_by_status_reports() {
    for (left, right) in [
        (&[0][..], &[3][..]),
        (&[3], &[0, 1]),
        (&[0], &[1, 2]),
        (&[1], &[2]),
        (&[0, 1], &[2, 3]),
    ] {
        for after in [0, 150, 250, 350] {
            let mut world = world(4);
            requests(&mut world, 1..=1);
            world.run_for(after);
            world.partition(left, right);
            world.run_for(100);
            world.uncut();
            requests(&mut world, 2..=2);
            world.run_until_idle(5_000 * MS);
            all_executed(&world, 2);
        }
    }
}

/// The proposal reaches nobody: only the primary knows that something is missing.
#[test]
fn a_proposal_that_reached_nobody_is_sent_again() {
    let mut world = world(4);
    world.partition(&[0], &[1, 2, 3]);
    requests(&mut world, 1..=3);
    world.run_for(10 * MS);
    world.uncut();
    world.run_until_idle(5_000 * MS);
    all_executed(&world, 3);
}

/// A hole in the middle of a busy log is asked for, although later numbers are decided.
#[test]
fn progress_of_others_does_not_hide_a_hole() {
    let mut single = Single::with(4, 1, 64, Tuning::default());
    let resend = Tuning::default().resend_after_us;
    let mut asked = 0;
    for seq_no in 2..=20 {
        single.now_us += resend / 4;
        let out = single.decide(seq_no);
        asked += sent(&out)
            .iter()
            .filter(|message| matches!(message, PeerMessage::Status(status) if status.wants))
            .count();
    }
    assert_eq!(
        asked, 2,
        "after the time to ask, and twice that; 19 quarters passed"
    );
}

/// Something is always on its way under load. While it arrives, nothing is asked for.
#[test]
fn a_busy_replica_asks_for_nothing() {
    let mut single = Single::with(4, 1, 64, Tuning::default());
    let ahead = |seq_no| single_proposal(seq_no);
    single.hear(0, &ahead(1));
    for seq_no in 1..=40 {
        single.hear(0, &ahead(seq_no + 1));
        single.now_us += Tuning::default().resend_after_us / 4;
        let out = single.decide(seq_no);
        let asked = |message: &&&PeerMessage| matches!(message, PeerMessage::Status(_));
        assert_eq!(sent(&out).iter().filter(asked).count(), 0, "at {seq_no}");
    }
}

fn single_proposal(number: u64) -> PeerMessage {
    let cluster = crate::common::Cluster::new(4);
    cluster.pre_prepare(number, cluster.proposal(number))
}

/// One liar's vote for a number far ahead: asking goes on for ever, but ever slower up to
/// a bound.
#[test]
fn asking_in_vain_slows_down() {
    let mut world = world(4);
    requests(&mut world, 1..=1);
    world.run_until_idle(10_000 * MS);
    let stray = world
        .cluster
        .commit(3, 30, digest_of(&world.cluster.proposal(1)));
    world.inject(3, 1, &stray);
    let before = world.hits.sent;
    world.run_for(3_600_000 * MS);
    let sent = world.hits.sent - before;
    assert!((2000..4000).contains(&sent), "{sent} messages in an hour");
    // What comes ends it.
    requests(&mut world, 2..=2);
    world.run_for(1_000 * MS);
    assert!(world.nodes.iter().all(|node| node.log.order.len() == 2));
}

/// Far behind, on a cluster that is idle by now: one answer does not hold everything.
#[test]
fn a_replica_catches_up_over_new_links() {
    let mut world = world(128);
    world.partition(&[2], &[0, 1, 3]);
    requests(&mut world, 1..=100);
    world.run_until_idle(60_000 * MS);
    assert_eq!(world.nodes[2].decided.len(), 0);
    world.heal();
    let healed = world.now_us;
    world.run_until_idle(60_000 * MS);
    all_executed(&world, 100);
    let rounds = 100 / limits::MAX_RESENT_NUMBERS;
    let took = world.now_us - healed;
    assert!(
        took < rounds * Tuning::default().resend_after_us,
        "no timer paces it: {took} us"
    );
}

/// The others' checkpoints became stable without it; their votes are still there for it.
#[test]
fn a_replica_that_missed_checkpoints_gets_their_votes() {
    let mut world = world(4);
    requests(&mut world, 1..=1);
    world.run_until_idle(10_000 * MS);
    world.partition(&[2], &[0, 1, 3]);
    requests(&mut world, 2..=15);
    world.run_until_idle(60_000 * MS);
    assert_eq!(
        (
            world.nodes[0].replica.stable().0,
            world.nodes[2].replica.stable().0
        ),
        (12, 0)
    );
    world.heal();
    world.run_until_idle(60_000 * MS);
    all_executed(&world, 15);
}

/// Only the votes on checkpoints are lost, everywhere: the window closes and opens again.
#[test]
fn lost_checkpoint_votes_are_sent_again() {
    let mut world = world(2);
    world.swallow = Some(|message| matches!(message, PeerMessage::Checkpoint(_)));
    requests(&mut world, 1..=20);
    world.run_for(100 * MS);
    assert!(
        world
            .nodes
            .iter()
            .all(|node| node.replica.executed() == SeqNo(8))
    );
    world.swallow = None;
    world.run_until_idle(20_000 * MS);
    all_executed(&world, 20);
}

/// Votes swallowed by one replica only: it is carried over its own window and asks.
#[test]
fn one_replica_without_checkpoint_votes_asks_for_them() {
    let mut world = world(2);
    // Cut off in the moment of the checkpoint only, over and over.
    for seq_no in 1..=11 {
        requests(&mut world, seq_no..=seq_no);
        world.run_for(350);
        world.partition(&[3], &[0, 1, 2]);
        world.run_for(1000);
        world.uncut();
    }
    world.run_until_idle(20_000 * MS);
    all_executed(&world, 11);
}

#[test]
fn an_idle_cluster_is_silent() {
    let mut world = world(4);
    world.conditions = Conditions {
        latency_us: (100, 900),
        ..Conditions::CALM
    };
    requests(&mut world, 1..=10);
    world.run_until_idle(10_000 * MS);
    let before = world.hits.sent;
    assert!(world.nodes.iter().all(|node| node.replica.is_quiet()));
    world.run_for(3_600_000 * MS);
    // A heartbeat on each of 12 links, every half a minute.
    let heartbeats = world.hits.sent - before;
    assert!(
        (1200..1500).contains(&heartbeats),
        "{heartbeats} messages in an hour"
    );
    // A tick finds nothing to do but such a heartbeat, which asks for nothing.
    let mut single = Single::new(1);
    single.decide(1);
    let out = single.tick_until_sent(3_600_000 * MS);
    assert!(matches!(sent(&out)[..], [PeerMessage::Status(status)] if !status.wants));
    assert!(single.replica.is_quiet());
    // Where nothing was ever ordered there is nothing to report.
    assert_eq!(Single::new(1).replica.next_timeout(), None);
}

/// After an hour of silence a request costs its three phases and nothing else.
#[test]
fn the_first_request_after_silence_starts_no_storm() {
    let mut world = world(4);
    requests(&mut world, 1..=1);
    world.run_for(3_600_000 * MS);
    let before = world.hits.sent;
    requests(&mut world, 2..=2);
    world.run_until_idle(10_000 * MS);
    assert_eq!(world.hits.sent - before, 3 + 3 * 3 + 4 * 3);
}

/// f peers may claim any progress; more than f hold somebody correct.
#[test]
fn progress_is_believed_of_more_than_f() {
    let mut single = Single::with(7, 1, 4, Tuning::default());
    single.decide(1);
    for by in [0, 2, 2] {
        single.hear(by, &status(u64::MAX, false));
        assert!(single.replica.is_quiet());
    }
    // The third highest claim is this one.
    let out = single.hear(3, &status(5, false));
    let asks = |out: &[Effect]| {
        out.iter().any(|effect| {
            matches!(effect, Effect::Send { to: To::Others, message: PeerMessage::Status(status), .. }
                if status.wants && status.executed == SeqNo(1))
        })
    };
    assert!(asks(&out), "{out:?}");
    assert!(
        single.hear(4, &status(5, false)).is_empty(),
        "asked once until there is progress"
    );
    assert!(asks(&single.tick(Tuning::default().resend_after_us)));
}

/// A progress is a heartbeat: the last one counts, and a liar that lowered his cannot have raised
/// what the others are believed to have passed.
#[test]
fn a_peer_that_claims_progress_and_then_less() {
    let mut single = Single::new(1);
    single.decide(1);
    for (by, progress) in [(2, 100), (2, 1), (3, 50)] {
        single.hear(by, &status(progress, false));
        assert!(single.replica.is_quiet(), "{by} claims {progress}");
    }
    single.hear(2, &status(50, false));
    assert!(!single.replica.is_quiet(), "two say so");
}

#[test]
fn an_answer_is_bounded_and_holds_decisions() {
    let mut single = Single::with(4, 1, 64, Tuning::default());
    (1..=30).for_each(|seq_no| {
        single.decide(seq_no);
    });
    let out = single.hear(3, &status(2, true));
    let to = |effect: &Effect| {
        matches!(
            effect,
            Effect::Send {
                to: To::Replica(ReplicaId(3)),
                ..
            }
        )
    };
    assert!(out.iter().all(to));
    let messages = sent(&out);
    assert_eq!(messages.len() as u64, limits::MAX_RESENT_NUMBERS + 1);
    assert!(
        matches!(messages.last(), Some(PeerMessage::Status(status)) if status.executed.0 == 30)
    );
    let mut numbers = std::collections::BTreeSet::new();
    for message in messages {
        if let PeerMessage::Decided(decided) = message {
            let seq_no = decided.seq_no.0;
            let proposal = single.cluster.proposal(seq_no);
            assert_eq!(digest_of(&decided.proposal), digest_of(&proposal));
            numbers.insert(seq_no);
        }
    }
    assert!(numbers.into_iter().eq(3..3 + limits::MAX_RESENT_NUMBERS));
    // Who wants nothing, or is as far.
    for quiet in [status(2, false), status(30, true)] {
        assert!(single.hear(3, &quiet).is_empty());
    }
}

/// A lie about being at the end of all numbers costs one question to the liar, and no more
/// before something is delivered or time has gone by.
#[test]
fn one_peer_that_is_ahead_is_asked_once() {
    let mut single = Single::with(4, 1, 64, Tuning::default());
    let asked = |single: &mut Single| {
        let out = single.hear(3, &status(u64::MAX, true));
        let asks = out.iter().filter(|effect| {
            matches!(effect, Effect::Send { to: To::Replica(ReplicaId(3)), message: PeerMessage::Status(status), .. }
                if status.wants)
        });
        assert_eq!(asks.clone().count(), out.len(), "{out:?}");
        asks.count()
    };
    single.decide(1);
    assert_eq!((0..9).map(|_| asked(&mut single)).sum::<usize>(), 1);
    single.decide(2);
    assert_eq!((0..9).map(|_| asked(&mut single)).sum::<usize>(), 1);
    single.now_us += Tuning::default().resend_after_us;
    assert_eq!((0..9).map(|_| asked(&mut single)).sum::<usize>(), 1);
}

/// A replica heard nothing of the last decisions, nothing comes after them, and no link
/// tells that it lost something: heartbeats show it where the others are. Here only one of them
/// reaches it, so that it takes what it gets by proof and not by their number.
#[test]
fn late_replicas_are_not_stranded_when_traffic_stops() {
    for shunned_by in [&[][..], &[0], &[1, 2]] {
        let mut world = world(64);
        requests(&mut world, 1..=5);
        world.run_until_idle(10_000 * MS);
        world.partition(&[3], &[0, 1, 2]);
        requests(&mut world, 6..=9);
        world.run_until_idle(10_000 * MS);
        assert_eq!(world.nodes[3].log.order.len(), 5);
        world.uncut();
        world.partition(&[3], shunned_by);
        world.run_for(60_000 * MS);
        all_executed(&world, 9);
    }
}

#[test]
fn a_new_link_is_asked_for_what_was_lost_over_the_old() {
    let mut single = Single::new(1);
    single.decide(1);
    let out = single.step(bezant_bft::effects::Input::LinkUp(ReplicaId(3)));
    let [
        Effect::Send {
            to: To::Replica(ReplicaId(3)),
            message: PeerMessage::Status(status),
            ..
        },
    ] = &out[..]
    else {
        panic!("{out:?}")
    };
    assert!(status.wants && status.executed == SeqNo(1));
}
