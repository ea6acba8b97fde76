//! A faulty replica holds back the only valid prepared certificate of a proposal and shows it
//! when a view changes. The new view must name that proposal; whoever voted to prepare it has
//! to be able to supply it, in whatever view, or every view after it fails as well.
//!
//! In all stories B is faulty. It keeps its own prepare to itself, so that nobody else can prove
//! what it can, and later says nothing but view changes, each as soon as the view before it
//! opened. The network is bad for 1.5 s at most and calm afterwards.

use bezant_bft::{
    ids::{Epoch, OrderedTime, SeqNo, View},
    message::{PeerMessage, PreparedCertificate, Proposal, Status},
    replica::Tuning,
};

use crate::common::{Cluster, DAWN_MS, client, rng::Rng, world::World};

const MS: u64 = 1_000;
const S: u64 = 1_000 * MS;
/// How long a calm network may take to serve everybody, faulty primaries included: some
/// timeouts, doubled for each view that decides nothing.
const LIMIT: u64 = 60 * S;
const B: u8 = 3;

/// Passes on what opens views and says nothing of its own.
fn only_leads(_: &Cluster, _: u8, message: &PeerMessage, _: &mut Rng) -> Vec<PeerMessage> {
    match message {
        PeerMessage::ViewChange(_) | PeerMessage::NewView(_) => vec![message.clone()],
        _ => Vec::new(),
    }
}

fn prepared(world: &World, i: u8) -> Option<PreparedCertificate> {
    let slot = world.nodes[usize::from(i)].replica.slot(SeqNo(1));
    let prepared = slot.and_then(|slot| slot.prepared(world.cluster.keyring.quorum()));
    prepared.map(|prepared| prepared.certificate)
}

/// These have the proposal of number 1 and cannot prove that it was prepared.
fn assert_lured(world: &World, correct: &[u8]) {
    for i in correct {
        let slot = world.nodes[usize::from(*i)].replica.slot(SeqNo(1)).unwrap();
        assert!(slot.has_own_prepare() || *i == 0, "{i} voted for it");
        assert!(slot.proposal().is_some() && prepared(world, *i).is_none());
    }
}

/// From here on the faulty replicas say nothing but view changes, each as soon as the view
/// before it opened, `prover` with the proof. Fails unless every correct replica executes the
/// client's request in time.
#[track_caller]
fn expect_service(world: &mut World, faulty: &[u8], proof: Option<(u8, PreparedCertificate)>) {
    let n = u8::try_from(world.nodes.len()).unwrap();
    let correct: Vec<u8> = (0..n).filter(|i| !faulty.contains(i)).collect();
    for by in faulty {
        world.nodes[usize::from(*by)].faulty = Some(Box::new(|_, _, _, _| Vec::new()));
    }
    let again = world.cluster.request(&client(1), 1, b"op");
    let (mut said, mut asks_at) = (1, 0);
    let end = world.now_us + LIMIT;
    let served = |world: &World| {
        let mut correct = correct.iter();
        correct.all(|i| !world.nodes[usize::from(*i)].log.order.is_empty())
    };
    while !served(world) {
        assert!(
            world.now_us < end,
            "nothing is executed:{}",
            told(world, &correct)
        );
        if world.now_us >= asks_at {
            asks_at = world.now_us + 10 * S;
            let asked = correct.iter();
            asked.for_each(|to| world.request(0, *to, again.clone()));
        }
        let views = correct.iter();
        let views = views.map(|i| world.nodes[usize::from(*i)].replica.view().0);
        let mut next = views.max().unwrap_or_default() + 1;
        // In a view that one of them would lead they are silent.
        while faulty.contains(&world.cluster.primary(next)) && said >= next {
            next += 1;
        }
        if next > said {
            for by in faulty {
                let proof = proof.iter().filter(|(prover, _)| prover == by);
                let proof = proof.map(|(_, proof)| proof.clone()).collect();
                let message = world.cluster.leaves(*by, next, proof);
                correct
                    .iter()
                    .for_each(|to| world.inject(*by, *to, &message));
            }
            said = next;
        }
        world.run_for(100 * MS);
    }
}

fn told(world: &World, correct: &[u8]) -> String {
    let told = correct.iter().map(|i| {
        let node = &world.nodes[usize::from(*i)];
        let slot = node.replica.slot(SeqNo(1));
        format!(
            "\n  {i}: entered {} views, is in {}, at number 1 lacks {:?}",
            node.views.len(),
            node.replica.view(),
            slot.and_then(|slot| slot.lacks()),
        )
    });
    told.collect()
}

/// How the correct replicas of `of_four` fail to tell each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// What replica 1 says to 0 in the moment when it opens view 1 is lost.
    Lost,
    /// It is late by 5 ms, and B passes on to 0 what opened the view.
    Overtaken,
    /// None of this.
    Good,
}

/// Replica 0 proposes, 1 prepares, 2 is cut off, B hears both: only B can prove it. Replica 1
/// opens view 1 with B's view change.
fn of_four(way: Way, proves: bool) {
    let mut world = World::new(1, 4, 16, Tuning::default());
    world.nodes[usize::from(B)].faulty = Some(Box::new(|_, _, message, _| match message {
        PeerMessage::ViewChange(change) if change.body.replica.0 != B => vec![message.clone()],
        PeerMessage::NewView(_) => vec![message.clone()],
        _ => Vec::new(),
    }));
    world.partition(&[2], &[0, 1, 3]);
    let request = world.cluster.request(&client(1), 1, b"op");
    (0..4).for_each(|to| world.request(0, to, request.clone()));
    world.run_for(10 * MS);
    assert_lured(&world, &[0, 1]);
    assert!(world.nodes[2].replica.slot(SeqNo(1)).is_none());
    let proof = prepared(&world, B).filter(|_| proves);
    let left = world.cluster.leaves(B, 1, proof.iter().cloned().collect());
    (0..3).for_each(|to| world.inject(B, to, &left));
    match way {
        Way::Good => {}
        Way::Lost => {
            world.run_for(980 * MS);
            world.cut_one_way(1, 0);
            world.run_for(20 * MS);
            world.uncut();
            world.partition(&[2], &[0, 1, 3]);
        }
        Way::Overtaken => {
            world.slow.insert((1, 0), 5 * MS);
            let waits = |world: &World| world.nodes[usize::from(B)].replica.view() == View(0);
            while waits(&world) && world.now_us < 1_400 * MS {
                world.run_for(100);
            }
            // B makes its own replica lead 0.
            let asks = PeerMessage::Status(Status {
                epoch: Epoch(0),
                view: View(0),
                active: false,
                executed: SeqNo(0),
                wants: true,
            });
            world.inject(0, B, &asks);
        }
    }
    world.run_for(1_500 * MS - world.now_us);
    world.slow.clear();
    world.heal();
    expect_service(&mut world, &[B], proof.map(|proof| (B, proof)));
}

/// Of four, 1 is faulty and the primary of view 1, which it opens as it should, with its proof or
/// without. Only 3 is away.
fn lured_by_the_next_primary(proves: bool) -> World {
    let mut world = World::new(1, 4, 16, Tuning::default());
    world.nodes[1].faulty = Some(Box::new(move |cluster, _, message, _| match message {
        PeerMessage::ViewChange(change) if change.body.replica.0 == 1 && !proves => {
            vec![cluster.leaves(1, change.body.view.0, Vec::new())]
        }
        PeerMessage::ViewChange(_) | PeerMessage::NewView(_) => vec![message.clone()],
        _ => Vec::new(),
    }));
    world.partition(&[3], &[0, 1, 2]);
    let request = world.cluster.request(&client(1), 1, b"op");
    (0..4).for_each(|to| world.request(0, to, request.clone()));
    world.run_for(10 * MS);
    assert_lured(&world, &[0, 2]);
    world
}

fn opened_by_the_faulty_one(proves: bool) {
    let mut world = lured_by_the_next_primary(proves);
    let proof = prepared(&world, 1).filter(|_| proves);
    world.run_for(1_490 * MS);
    world.heal();
    expect_service(&mut world, &[1], proof.map(|proof| (1, proof)));
}

/// Of seven, 0 and 1 are faulty, and the network is calm from the beginning. 0, the primary,
/// proposes to 2, 3 and 4 only, just before 5 and 6 suspect it. The three vote; with 0 and 1
/// they are a strong quorum, which only 0 and 1 can prove. 1 opens view 1 as it should.
fn of_seven(proves: bool) {
    let mut world = World::new(1, 7, 16, Tuning::default());
    world.nodes[0].faulty = Some(Box::new(|_, _, _, _| Vec::new()));
    world.nodes[1].faulty = Some(Box::new(only_leads));
    let request = world.cluster.request(&client(1), 1, b"op");
    (1..7).for_each(|to| world.request(0, to, request.clone()));
    world.run_for(S - 50);
    let hoarded = Proposal {
        time: OrderedTime(DAWN_MS + 999),
        requests: vec![request],
        rejoins: Vec::new(),
    };
    let message = world.cluster.pre_prepare(1, hoarded);
    // Without the proof: not to 1, who then has none.
    let first = if proves { 1 } else { 2 };
    (first..5).for_each(|to| world.inject(0, to, &message));
    world.run_for(150);
    let leaves = world.cluster.leaves(0, 1, Vec::new());
    (1..7).for_each(|to| world.inject(0, to, &leaves));
    assert_lured(&world, &[2, 3, 4]);
    let proof = prepared(&world, 1);
    assert_eq!(proof.is_some(), proves);
    world.run_for(100 * MS);
    for i in 2..7 {
        assert_eq!(world.nodes[i].replica.view(), View(1), "{}", world.stand());
    }
    expect_service(&mut world, &[0, 1], proof.map(|proof| (1, proof)));
}

#[test]
fn a_hoarded_certificate_stops_nobody_when_words_are_lost() {
    of_four(Way::Lost, true);
}

#[test]
fn a_hoarded_certificate_stops_nobody_when_words_are_late() {
    of_four(Way::Overtaken, true);
}

#[test]
fn a_hoarded_certificate_stops_nobody_when_its_holder_opens_the_view() {
    opened_by_the_faulty_one(true);
}

#[test]
fn a_hoarded_certificate_stops_nobody_of_seven() {
    of_seven(true);
}

/// With the question arriving in time all was well before the rule, too.
#[test]
fn and_with_good_links_all_is_well() {
    of_four(Way::Good, true);
}

/// The same without the certificate: what goes wrong does so because of it.
#[test]
fn and_without_the_proof_all_is_well() {
    of_four(Way::Lost, false);
    of_four(Way::Overtaken, false);
    opened_by_the_faulty_one(false);
    of_seven(false);
}

/// Everybody who voted for what is hoarded is restarted before the proof is shown: the records
/// hold it, although the view in which it was voted for is over.
#[test]
fn what_was_voted_for_is_there_after_a_restart_in_a_later_view() {
    let mut world = lured_by_the_next_primary(false);
    let proof = prepared(&world, 1).unwrap();
    // 1 opens view 1 with a view change that proves nothing, and names nothing.
    let left: Vec<_> = (0..3)
        .map(|by| world.cluster.leaves(by, 1, Vec::new()))
        .collect();
    let body = world
        .cluster
        .new_view(1, &left.iter().collect::<Vec<_>>(), &[]);
    let opens = world.cluster.sign_new_view(1, body);
    world.nodes[1].faulty = Some(Box::new(|_, _, _, _| Vec::new()));
    world.run_for(1_100 * MS);
    for to in [0, 2] {
        world.inject(1, to, &left[1]);
        world.inject(1, to, &opens);
    }
    world.run_for(10 * MS);
    for i in [0, 2] {
        assert_eq!(world.nodes[i].replica.view(), View(1), "{}", world.stand());
    }
    for i in [0, 2] {
        world.restart(i, Tuning::default());
        world.run_for(10 * MS);
    }
    world.heal();
    expect_service(&mut world, &[1], Some((1, proof)));
}
