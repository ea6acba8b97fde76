//! A faulty replica says one thing here and another there. Nobody decides
//! differently for it, and whoever sees both keeps both as evidence.

use bezant_bft::{
    crypto::Domain,
    effects::Effect,
    ids::{ReplicaId, Source},
    message::{PeerMessage, PrePrepare, Signed, Vote},
    misbehaviour::{Misbehaviour, Offence},
    replica::Tuning,
};

use crate::common::{
    Cluster, client, digest_of,
    rng::Rng,
    single::{Single, commits, prepares},
    vote,
    world::{Conditions, World},
};

/// The two votes of an equivocation by `who`, both of which prove themselves.
fn evidence(cluster: &Cluster, blamed: &Misbehaviour, domain: Domain) -> Option<[Signed<Vote>; 2]> {
    let Offence::Equivocation { first, second, .. } = &blamed.what else {
        return None;
    };
    let both = [**first, **second];
    for vote in &both {
        assert_eq!(Source::Replica(vote.body.replica), blamed.who);
        assert!(
            cluster.keyring.claim(vote, domain).unwrap().holds(),
            "evidence must hold"
        );
    }
    let [first, second] = both.map(|vote| vote.body);
    assert_eq!((first.view, first.seq_no), (second.view, second.seq_no));
    assert_ne!(first.digest, second.digest);
    Some(both)
}

fn one_evidence(single: &Single, effects: &[Effect], domain: Domain) -> [Signed<Vote>; 2] {
    let mut found = effects.iter().filter_map(|effect| match effect {
        Effect::Blame(blamed) => evidence(&single.cluster, blamed, domain),
        _ => None,
    });
    let (Some(both), None) = (found.next(), found.next()) else {
        panic!("{effects:?}")
    };
    both
}

#[test]
fn the_first_of_two_proposals_stands_and_both_are_kept() {
    // From the primary itself, or with an honest answer of a backup that saw the other.
    for link in [0, 2] {
        let mut single = Single::new(1);
        let (first, second) = (single.cluster.proposal(1), single.cluster.proposal(2));
        let digests = [digest_of(&first), digest_of(&second)];
        let one = single.cluster.pre_prepare(1, first);
        let other = single.cluster.pre_prepare(1, second);
        assert_eq!(prepares(&single.hear(0, &one)), 1);
        let out = single.hear(link, &other);
        assert_eq!(prepares(&out), 0, "one vote for one place");
        let both = one_evidence(&single, &out, Domain::PrePrepare);
        assert_eq!(both.map(|vote| vote.body.digest), digests);
        assert_eq!(
            both[0].body.replica,
            ReplicaId(0),
            "the author is blamed, not the messenger"
        );
        // Votes for the second do not count for the first.
        let wrong = single.cluster.prepare(2, 1, digests[1]);
        assert_eq!(commits(&single.hear(2, &wrong)), 0);
        let right = single.cluster.prepare(3, 1, digests[0]);
        assert_eq!(commits(&single.hear(3, &right)), 1);
    }
}

#[test]
fn the_same_proposal_again_is_no_equivocation() {
    let mut single = Single::new(1);
    let message = single.cluster.pre_prepare(1, single.cluster.proposal(1));
    single.hear(0, &message);
    assert!(single.hear_all([(0, &message), (3, &message)]).is_empty());
}

#[test]
fn the_first_of_two_prepares_stands_and_both_are_kept() {
    let mut single = Single::with(7, 1, 4, Tuning::default());
    let (first, second) = (single.cluster.proposal(1), single.cluster.proposal(2));
    let digests = [digest_of(&first), digest_of(&second)];
    single.hear(2, &single.cluster.prepare(2, 1, digests[1]));
    let out = single.hear(2, &single.cluster.prepare(2, 1, digests[0]));
    let both = one_evidence(&single, &out, Domain::Prepare);
    assert_eq!(both.map(|vote| vote.body.digest), [digests[1], digests[0]]);
    // Its second vote does not count: three more are needed.
    single.hear(0, &single.cluster.pre_prepare(1, first));
    for (by, sent) in [(3, 0), (4, 0), (5, 1)] {
        assert_eq!(
            commits(&single.hear(by, &single.cluster.prepare(by, 1, digests[0]))),
            sent
        );
    }
}

/// Of every vote a second version, for another time of the same proposal; who is shown
/// which is chance.
fn equivocate(cluster: &Cluster, _: u8, message: &PeerMessage, rng: &mut Rng) -> Vec<PeerMessage> {
    let PeerMessage::PrePrepare(PrePrepare { proposal, .. }) = message else {
        // Votes of its own are for the true version; some see a vote for another.
        return match message {
            PeerMessage::Commit(signed) | PeerMessage::Prepare(signed) if rng.chance(300) => {
                let digest = bezant_bft::ids::Digest([rng.below(2).to_le_bytes()[0]; 32]);
                let lie = vote(signed.body.replica.0, signed.body.seq_no.0, digest);
                let domain = match message {
                    PeerMessage::Commit(_) => Domain::Commit,
                    _ => Domain::Prepare,
                };
                let signed = cluster.sign(signed.body.replica.0, lie, domain);
                let lie = match domain {
                    Domain::Commit => PeerMessage::Commit(signed),
                    _ => PeerMessage::Prepare(signed),
                };
                vec![lie, message.clone()]
            }
            _ => vec![message.clone()],
        };
    };
    let PeerMessage::PrePrepare(PrePrepare { vote: first, .. }) = message else {
        unreachable!()
    };
    let seq_no = first.body.seq_no.0;
    let mut other = proposal.clone();
    other.time.0 += 1;
    let other = cluster.pre_prepare(seq_no, other);
    match rng.below(10) {
        0..5 => vec![message.clone()],
        5..8 => vec![other],
        8 => vec![message.clone(), other],
        _ => vec![other, message.clone()],
    }
}

/// Commits for the other version, too, to those who were shown it.
fn commits_for_all(
    cluster: &Cluster,
    to: u8,
    message: &PeerMessage,
    rng: &mut Rng,
) -> Vec<PeerMessage> {
    let mut out = equivocate(cluster, to, message, rng);
    let shown: Vec<_> = out
        .iter()
        .filter_map(|message| match message {
            PeerMessage::PrePrepare(message) => Some(message.vote.body),
            _ => None,
        })
        .collect();
    for body in shown {
        out.push(cluster.commit(body.replica.0, body.seq_no.0, body.digest));
    }
    out
}

#[test]
fn an_equivocating_primary_splits_nobody() {
    let (mut blamed, mut decided) = (0, 0);
    for seed in 0..60 {
        let n = if seed % 4 == 0 { 7 } else { 4 };
        let tuning = Tuning {
            gather: 1,
            max_in_flight: 4,
            ..Tuning::default()
        };
        let mut world = World::new(seed, n, 4, tuning);
        world.conditions = Conditions {
            latency_us: (100, 3000),
            ..Conditions::CALM
        };
        world.conditions.screened = seed % 2 == 0;
        world.nodes[0].faulty = Some(if seed % 3 == 0 {
            Box::new(equivocate)
        } else {
            Box::new(commits_for_all)
        });
        for number in 1..=4 {
            let request = world.cluster.request(&client(1), number, b"op");
            world.request(number * 1000, 0, request);
        }
        // Agreement is asserted at every decision; everything may be undecided.
        world.run_for(1_000_000);
        world.heal();
        world.run_for(1_000_000);
        for i in world.correct() {
            let node = &world.nodes[i];
            assert_eq!(node.halted, None, "seed {seed}");
            decided += node.decided.len();
            for misbehaviour in &node.blames {
                assert_eq!(
                    misbehaviour.who,
                    Source::Replica(ReplicaId(0)),
                    "seed {seed}"
                );
                let found = [Domain::PrePrepare, Domain::Prepare]
                    .into_iter()
                    .filter(|domain| {
                        let Offence::Equivocation { first, .. } = &misbehaviour.what else {
                            return false;
                        };
                        world.cluster.keyring.claim(first, *domain).unwrap().holds()
                    });
                for domain in found {
                    blamed += usize::from(evidence(&world.cluster, misbehaviour, domain).is_some());
                }
            }
        }
    }
    assert!(
        blamed > 30 && decided > 30,
        "blamed {blamed}, decided {decided}"
    );
}

/// A backup that votes both ways, and for nothing, stops nobody.
#[test]
fn an_equivocating_backup_splits_nobody_and_stops_nothing() {
    let mut blamed = 0;
    for seed in 0..30 {
        let mut world = World::new(seed, 4, 4, Tuning::default());
        world.conditions = Conditions {
            latency_us: (100, 3000),
            ..Conditions::CALM
        };
        world.conditions.screened = seed % 2 == 0;
        world.nodes[3].faulty = Some(Box::new(equivocate));
        for number in 1..=4 {
            let request = world.cluster.request(&client(1), number, b"op");
            world.request(number * 1000, 0, request);
        }
        world.run_for(2_000_000);
        for i in 0..3 {
            let node = &world.nodes[i];
            assert_eq!(node.log.order.len(), 4, "seed {seed}: {}", world.stand());
            let by_three = |blame: &&Misbehaviour| blame.who == Source::Replica(ReplicaId(3));
            assert_eq!(
                node.blames.iter().filter(by_three).count(),
                node.blames.len()
            );
            blamed += node.blames.len();
        }
    }
    assert!(blamed > 10, "{blamed}");
}
