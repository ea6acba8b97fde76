//! PBFT §4.4 in tests: a primary that is silent, slow to come back, lying or cut off
//! is replaced; what was decided stays; whoever missed it is led along.

use std::ops::Range;

use bezant_bft::{
    ids::{Digest, Epoch, Incarnation, SeqNo, View},
    message::{NewView, PeerMessage, Proposal, SignedRequest},
    misbehaviour::Offence,
    replica::Tuning,
};

use crate::common::{
    Cluster, client, digest_of,
    service::FORGOTTEN,
    world::{Conditions, World},
};

fn request(number: u64) -> SignedRequest {
    Cluster::new(4).request(&client(1), number, b"op")
}

/// A client sends to everybody.
fn ask(world: &mut World, numbers: impl Iterator<Item = u64>) {
    let n = u8::try_from(world.nodes.len()).unwrap();
    for number in numbers {
        let request = world.cluster.request(&client(1), number, b"op");
        for to in 0..n {
            world.request(0, to, request.clone());
        }
    }
}

fn executed(world: &World, replicas: &[usize], count: usize) -> bool {
    let nodes = replicas.iter().map(|i| &world.nodes[*i]);
    nodes.into_iter().all(|node| node.log.order.len() == count)
}

#[track_caller]
fn assert_executed(world: &World, replicas: &[usize], count: usize) {
    assert!(executed(world, replicas, count), "{}", world.stand());
}

fn world(seed: u64, n: u8) -> World {
    World::new(seed, n, 4, Tuning::default())
}

const T: u64 = 1_000_000;

/// The backups in `told` prepare a proposal of replica 0, which is down and in the next view
/// replaced; the others get neither the proposal nor any commit. Then a client asks for more.
fn replaced_after_preparing(
    world: &mut World,
    told: Range<u8>,
    (number, proposal): (u64, &Proposal),
) {
    for to in told {
        let message = world.cluster.pre_prepare(number, proposal.clone());
        world.inject(0, to, &message);
    }
    world.nodes[0].down = true;
    world.swallow = Some(|message| matches!(message, PeerMessage::Commit(_)));
    world.run_for(50_000);
    world.swallow = None;
    for to in 1..4 {
        world.request(0, to, request(50));
    }
    world.run_for(5 * T);
    assert_executed(world, &[1, 2, 3], 2);
}

#[test]
fn a_dead_primary_is_replaced_and_what_waits_is_ordered() {
    for n in [4, 5, 7, 10] {
        let mut world = world(1, n);
        world.nodes[0].down = true;
        ask(&mut world, 1..=5);
        world.run_for(2 * T);
        let rest: Vec<usize> = (1..usize::from(n)).collect();
        assert_executed(&world, &rest, 5);
        assert!(rest.iter().all(|i| world.nodes[*i].views == [View(1)]));
    }
}

/// What was prepared, or decided at one replica only, keeps its number.
#[test]
fn what_was_decided_by_few_stays_decided() {
    let mut world = world(2, 4);
    // Only replica 1 gets commits, so that only it decides.
    ask(&mut world, 1..=3);
    world.swallow = Some(|message| matches!(message, PeerMessage::Commit(_)));
    world.run_for(100_000);
    assert_executed(&world, &[0, 1, 2, 3], 0);
    let prepared = world.nodes[2].replica.slot(SeqNo(1)).unwrap();
    let digest = prepared.proposal().unwrap().digest();
    world.nodes[0].down = true;
    world.swallow = None;
    world.run_for(3 * T);
    assert_executed(&world, &[1, 2, 3], 3);
    assert_eq!(world.nodes[1].decided[&SeqNo(1)], digest);
}

/// Two primaries in a row are dead: the view-change timeout doubles, and the third view works.
#[test]
fn views_that_do_not_open_are_given_up() {
    let mut world = world(3, 7);
    world.nodes[0].down = true;
    world.nodes[1].down = true;
    ask(&mut world, 1..=3);
    world.run_for(10 * T);
    assert_executed(&world, &[2, 3, 4, 5, 6], 3);
    assert_eq!(world.nodes[4].views, [View(2)]);
    assert_eq!(world.nodes[4].replica.counters().views_entered, 1);
}

/// The old primary, frozen and back, is led into the view and executes what it missed.
#[test]
fn a_primary_that_was_away_is_led_along() {
    let mut world = world(4, 4);
    ask(&mut world, 1..=2);
    world.run_for(100_000);
    world.partition(&[0], &[1, 2, 3]);
    ask(&mut world, 3..=4);
    world.run_for(3 * T);
    assert_executed(&world, &[1, 2, 3], 4);
    world.heal();
    world.run_for(3 * T);
    assert_executed(&world, &[0, 1, 2, 3], 4);
    assert_eq!(world.nodes[0].views, [View(1)]);
    ask(&mut world, 5..=6);
    world.run_for(T);
    assert_executed(&world, &[0, 1, 2, 3], 6);
}

/// A primary that orders everything but one client's requests is replaced.
#[test]
fn a_primary_that_leaves_a_request_out_is_replaced() {
    let mut world = world(5, 4);
    // The primary never gets to see number 1000, by whatever way.
    world.nodes[0].faulty = Some(Box::new(|_, _, message, _| vec![message.clone()]));
    let lost = request(1000);
    for to in 1..4 {
        world.request(0, to, lost.clone());
    }
    world.swallow = Some(|message| matches!(message, PeerMessage::Forward(_)));
    for step in 1..=60 {
        ask(&mut world, step..=step);
        world.run_for(100_000);
    }
    assert_executed(&world, &[1, 2, 3], 61);
    assert!(!world.nodes[1].views.is_empty(), "the view changed");
}

/// A request that the service does not remember comes again after it was executed, and then a
/// view change orders the number it had once more. That number is not executed again, so the
/// request waits for another one, and not for ever.
#[test]
fn what_was_executed_and_forgotten_is_ordered_anew() {
    let mut world = world(7, 4);
    let forgotten = world.cluster.request(&client(1), 1, FORGOTTEN);
    for to in 0..4 {
        world.request(0, to, forgotten.clone());
    }
    world.run_for(100_000);
    assert!(
        world
            .nodes
            .iter()
            .all(|node| node.replica.executed() == SeqNo(1))
    );
    world.nodes[0].down = true;
    for to in 1..4 {
        world.request(0, to, forgotten.clone());
    }
    world.run_for(10 * T);
    for node in &world.nodes[1..] {
        assert_eq!(node.replica.pooled(), 0, "{}", world.stand());
        assert_eq!(node.views, [View(1)]);
    }
}

/// One replica that leaves for a far view alone changes nothing; the others go on.
#[test]
fn one_replica_moves_nobody() {
    let mut world = world(6, 4);
    world.partition(&[3], &[0, 1, 2]);
    world.request(0, 3, request(99));
    world.run_for(5 * T);
    assert!(!world.nodes[3].suspected.is_empty());
    world.heal();
    ask(&mut world, 1..=4);
    world.run_for(T / 2);
    for i in 0..3 {
        assert!(world.nodes[i].views.is_empty(), "{}", world.stand());
    }
    assert_executed(&world, &[0, 1, 2], 5);
}

/// A new view that leaves out what was prepared is refused, and its primary blamed.
#[test]
fn a_new_view_that_does_not_follow_is_refused() {
    let mut world = world(7, 4);
    world.nodes[1].faulty = Some(Box::new(|cluster, _, message, _| match message {
        PeerMessage::NewView(signed) => {
            let mut body = signed.body.clone();
            body.pre_prepares.clear();
            vec![cluster.sign_new_view(1, body)]
        }
        _ => vec![message.clone()],
    }));
    ask(&mut world, 1..=3);
    world.swallow = Some(|message| matches!(message, PeerMessage::Commit(_)));
    world.run_for(100_000);
    world.nodes[0].down = true;
    // What is prepared is not decided before the primary is suspected.
    world.run_for(T);
    world.swallow = None;
    world.run_for(10 * T);
    for i in [2, 3] {
        let blames = &world.nodes[i].blames;
        let wrong = Offence::WrongNewView { view: View(1) };
        assert!(blames.iter().any(|blame| blame.what == wrong), "{blames:?}");
        assert!(!world.nodes[i].views.contains(&View(1)));
    }
}

/// A faulty replica opens a view far ahead with view changes that nobody sent. True views
/// open all the same.
#[test]
fn a_new_view_far_ahead_blocks_no_other() {
    let mut world = world(17, 4);
    let quorum = world.cluster.keyring.quorum();
    let view = View(4_000_003);
    let (epoch, incarnation) = (Epoch(0), Incarnation::default());
    let named = quorum.members().take(quorum.strong());
    let far = world.cluster.sign_new_view(
        3,
        NewView {
            epoch,
            replica: quorum.primary(view),
            incarnation,
            view,
            view_changes: named.map(|who| (who, Digest([5; 32]))).collect(),
            stable: SeqNo(0),
            pre_prepares: Vec::new(),
        },
    );
    for to in 0..3 {
        world.inject(3, to, &far);
    }
    world.run_for(50_000);
    world.nodes[0].down = true;
    ask(&mut world, 1..=3);
    world.run_for(10 * T);
    assert_executed(&world, &[1, 2, 3], 3);
    for i in [1, 2, 3] {
        assert_eq!(world.nodes[i].replica.view(), View(1));
    }
}

/// One certificate that does not hold does not hide those beside it. (Its sender cannot
/// follow: the view change it sent is not the one it made.)
#[test]
fn a_bad_certificate_does_not_hide_the_good_ones() {
    let mut world = world(8, 4);
    world.nodes[3].faulty = Some(Box::new(|cluster, _, message, _| match message {
        PeerMessage::ViewChange(signed) if signed.body.replica.0 == 3 => {
            let mut body = signed.body.clone();
            if let Some(first) = body.prepared.first_mut() {
                first.prepares[0].signature.0[5] ^= 1;
            }
            vec![cluster.sign_view_change(3, body)]
        }
        _ => vec![message.clone()],
    }));
    let proposals: Vec<_> = (1..=2).map(|tag| world.cluster.proposal(tag)).collect();
    for (number, proposal) in (1..).zip(&proposals) {
        // Prepared everywhere: whose certificates count is shown in `pending_view`.
        for to in 1..4 {
            let message = world.cluster.pre_prepare(number, proposal.clone());
            world.inject(0, to, &message);
        }
    }
    world.nodes[0].down = true;
    world.swallow = Some(|message| match message {
        PeerMessage::Prepare(vote) => vote.body.view == View(0) && vote.body.replica.0 == 3,
        PeerMessage::Commit(vote) => vote.body.view == View(0),
        _ => false,
    });
    world.run_for(50_000);
    for to in 1..4 {
        world.request(0, to, proposals[0].requests[0].clone());
    }
    world.run_for(3 * T / 2);
    for i in [1, 2] {
        let node = &world.nodes[i];
        let flawed = Offence::FlawedViewChange { view: View(1) };
        assert!(node.blames.iter().any(|blame| blame.what == flawed));
        assert_eq!(node.views, [View(1)]);
        let proposed = node
            .replica
            .slot(SeqNo(2))
            .and_then(|slot| slot.pre_prepare_vote());
        assert_eq!(proposed.unwrap().body.digest, digest_of(&proposals[1]));
    }
}

/// Numbers below the highest prepared one that nobody prepared get the null request.
#[test]
fn gaps_are_filled_with_null_requests() {
    let mut world = world(9, 4);
    let proposal = world.cluster.proposal(7);
    replaced_after_preparing(&mut world, 1..4, (3, &proposal));
    let decided = &world.nodes[2].decided;
    let null = bezant_bft::verification::CheckedProposal::null().digest();
    assert_eq!((decided[&SeqNo(1)], decided[&SeqNo(2)]), (null, null));
    assert_eq!(decided[&SeqNo(3)], digest_of(&proposal));
}

/// A proposal named by a new view and not here is fetched by its digest.
#[test]
fn missing_proposals_are_fetched() {
    let mut world = world(10, 4);
    let proposal = world.cluster.proposal(7);
    // Replica 1, the next primary, never gets the proposal from the old one.
    replaced_after_preparing(&mut world, 2..4, (1, &proposal));
    assert_eq!(world.nodes[1].decided[&SeqNo(1)], digest_of(&proposal));
}

/// Every replica restarts once, one after another, under load; nobody contradicts itself
/// (the watch of every replica remembers what it sent before).
#[test]
fn restarts_lose_nothing() {
    let mut world = world(13, 4);
    world.conditions = Conditions {
        sync_us: 300,
        ..Conditions::CALM
    };
    let mut number = 0;
    for round in 0..8_u8 {
        for _ in 0..6 {
            number += 1;
            ask(&mut world, number..=number);
            world.run_for(1_000);
        }
        world.restart(round % 4, Tuning::default());
        world.run_for(3 * T);
    }
    ask(&mut world, 1..=number);
    world.run_for(5 * T);
    assert_executed(&world, &[0, 1, 2, 3], usize::try_from(number).unwrap());
}

/// All lose power at once: what was executed anywhere is executed again everywhere.
#[test]
fn all_restart_at_once() {
    let mut world = world(14, 4);
    world.conditions = Conditions {
        sync_us: 300,
        ..Conditions::CALM
    };
    for number in 1..=30 {
        ask(&mut world, number..=number);
        world.run_for(700);
    }
    let before: Vec<_> = world
        .nodes
        .iter()
        .map(|node| node.log.order.len())
        .collect();
    for i in 0..4 {
        world.restart(i, Tuning::default());
    }
    world.run_for(3 * T);
    let most = before.into_iter().max().unwrap();
    for node in &world.nodes {
        assert!(node.log.order.len() >= most, "{}", world.stand());
    }
    ask(&mut world, 1..=30);
    world.run_for(5 * T);
    assert_executed(&world, &[0, 1, 2, 3], 30);
}

/// Views that open and decide nothing get ever longer, too: nobody's commit gets through.
#[test]
fn views_that_decide_nothing_get_longer() {
    let mut world = world(15, 4);
    world.swallow = Some(|message| matches!(message, PeerMessage::Prepare(_)));
    ask(&mut world, 1..=1);
    world.run_for(20 * T);
    for node in &world.nodes {
        // After 1, 2, 4, 8 and so on times the view-change timeout, and not after each.
        assert!((3..=5).contains(&node.views.len()), "{:?}", node.views);
    }
    world.swallow = None;
    world.run_for(20 * T);
    assert_executed(&world, &[0, 1, 2, 3], 1);
}

/// After a loss of power there is much to repeat and no checkpoint behind it: that goes on
/// at the pace of the network, and not at that of a timer for every few numbers.
#[test]
fn a_restart_of_all_is_quick() {
    let mut world = World::new(16, 4, 128, Tuning::default());
    for number in 1..=100 {
        ask(&mut world, number..=number);
        world.run_for(5_000);
    }
    assert_executed(&world, &[0, 1, 2, 3], 100);
    for i in 0..4 {
        world.restart(i, Tuning::default());
    }
    world.run_for(T / 4);
    assert_executed(&world, &[0, 1, 2, 3], 100);
}
