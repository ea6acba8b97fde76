//! What a replica voted for it can supply, in whatever view, until the number is decided; and
//! it votes for nothing that it has no room to keep.

use bezant_bft::{
    crypto::Domain,
    effects::{Effect, Effects, Record, To},
    ids::{OrderedTime, SeqNo, View},
    limits,
    message::{AskProposals, Content, PeerMessage, Proposal},
    replica::Tuning,
};

use crate::common::{
    Cluster, client, digest_of,
    single::{Single, blames, commits, prepares, sent},
    views::{entered, vote_in},
    world::World,
};

const ME: u8 = 3;

/// A proposal of nearly half of the least that may be kept: the largest there is.
fn large(cluster: &Cluster, tag: u64) -> Proposal {
    let requests = (0..4).map(|i| {
        let op = vec![b'x'; limits::MAX_OP_BYTES - 1024];
        cluster.request(&client(tag), i + 1, &op)
    });
    Proposal {
        requests: requests.collect(),
        ..cluster.proposal(tag)
    }
}

fn null() -> Proposal {
    Proposal {
        time: OrderedTime(0),
        requests: Vec::new(),
        rejoins: Vec::new(),
    }
}

fn tight() -> Tuning {
    Tuning {
        max_kept_bytes: 0,
        ..Tuning::default()
    }
}

/// Whether the proposal is sent to a peer that asks for it by its digest.
fn supplies(single: &mut Single, number: u64, proposal: &Proposal) -> bool {
    let wanted = vec![(SeqNo(number), digest_of(proposal))];
    let ask = PeerMessage::AskProposals(AskProposals { wanted });
    // The same question is answered once at a moment.
    single.now_us += 1;
    let out = single.hear(1, &ask);
    let mut sent = sent(&out).into_iter();
    sent.any(|message| matches!(message, PeerMessage::Content(c) if c.proposal == *proposal))
}

/// Backups leave for `view` and its primary opens it with these votes.
fn open(single: &mut Single, view: u64, proposed: &[(u64, &Proposal)]) -> Vec<u64> {
    entered(&opened(single, view, proposed))
}

/// The same, with everything that comes of it.
fn opened(single: &mut Single, view: u64, proposed: &[(u64, &Proposal)]) -> Effects {
    let cluster = single.cluster.clone();
    let certificates: Vec<_> = proposed
        .iter()
        .map(|(number, proposal)| cluster.certificate(0, *number, digest_of(proposal)))
        .collect();
    let changes: Vec<_> = (0..3)
        .map(|by| cluster.leaves(by, view, certificates.clone()))
        .collect();
    let changes: Vec<_> = changes.iter().collect();
    let votes: Vec<_> = proposed
        .iter()
        .map(|(number, proposal)| (*number, digest_of(proposal)))
        .collect();
    let primary = cluster.primary(view);
    let new_view = cluster.new_view(view, &changes, &votes);
    let mut out = Effects::new();
    for (by, change) in (0..).zip(&changes) {
        out.extend(single.hear(by, change));
    }
    out.extend(single.hear(primary, &cluster.sign_new_view(primary, new_view)));
    out
}

#[test]
fn what_was_voted_for_is_supplied_until_its_number_is_decided() {
    let mut single = Single::new(ME);
    let cluster = single.cluster.clone();
    let (first, second) = (cluster.proposal(1), cluster.proposal(2));
    let out = single.hear(0, &cluster.pre_prepare(1, first.clone()));
    assert_eq!(prepares(&out), 1);
    assert!(supplies(&mut single, 1, &first));
    // Between views, in a view that names nothing, and when another one was voted for there.
    for by in 0..2 {
        single.hear(by, &cluster.leaves(by, 1, Vec::new()));
    }
    assert!(supplies(&mut single, 1, &first));
    assert_eq!(open(&mut single, 1, &[]), [1]);
    assert!(supplies(&mut single, 1, &first));
    let out = single.hear(1, &cluster.pre_prepare_in(1, 1, second.clone()));
    assert_eq!(prepares(&out), 1);
    // Its certificate is of a higher view, and no reason to let the first go.
    for by in [0, 2] {
        let vote = vote_in(by, 1, 1, digest_of(&second));
        let prepare = cluster.sign(by, vote, Domain::Prepare);
        single.hear(by, &PeerMessage::Prepare(prepare));
    }
    assert!(single.replica.slot(SeqNo(1)).unwrap().has_own_commit());
    assert_eq!(open(&mut single, 2, &[]), [2]);
    assert!(supplies(&mut single, 1, &first) && supplies(&mut single, 1, &second));
    // A view that names the first needs to ask nobody for it.
    assert_eq!(open(&mut single, 4, &[(1, &first)]), [4]);
    let slot = single.replica.slot(SeqNo(1)).unwrap();
    assert_eq!((slot.lacks(), slot.has_own_prepare()), (None, true));
    let digest = digest_of(&first);
    for by in 0..3 {
        let commit = cluster.sign(by, vote_in(by, 4, 1, digest), Domain::Commit);
        single.hear(by, &PeerMessage::Commit(commit));
    }
    assert!(supplies(&mut single, 1, &first), "it was decided");
    assert_eq!(single.replica.kept_bytes(), 0, "in the log, once");
}

/// A question may be lost, and so may an answer: it is asked again and again, after ever longer
/// times, and all are asked, since one of them voted for it.
#[test]
fn what_a_new_view_names_is_asked_of_all_until_it_comes() {
    let mut single = Single::new(ME);
    let cluster = single.cluster.clone();
    let named = cluster.proposal(1);
    let wanted = vec![(SeqNo(1), digest_of(&named))];
    let asks = |out: &Effects| {
        let asks = out.iter().filter(|effect| match effect {
            Effect::Send { to, message, .. } => {
                *message
                    == PeerMessage::AskProposals(AskProposals {
                        wanted: wanted.clone(),
                    })
                    && *to == To::Others
            }
            _ => false,
        });
        asks.count()
    };
    let out = opened(&mut single, 1, &[(1, &named)]);
    assert_eq!((entered(&out), asks(&out)), (vec![1], 1));
    let mut asked_at = Vec::new();
    for ms in 1..8_000_u64 {
        if asks(&single.tick(1000)) > 0 {
            asked_at.push(ms);
        }
    }
    let waits = asked_at.windows(2).map(|two| two[1] - two[0]);
    let waits: Vec<u64> = waits.collect();
    assert!(asked_at.len() >= 3, "{asked_at:?}");
    assert!(
        waits.is_sorted() && waits.first() < waits.last(),
        "{asked_at:?}"
    );
    let content = Content {
        seq_no: SeqNo(1),
        proposal: named.clone(),
    };
    let out = single.hear(2, &PeerMessage::Content(content));
    assert_eq!(prepares(&out), 1);
}

/// It votes only for what it can keep; a decision makes room, and what was refused is voted
/// for then.
#[test]
fn without_room_fresh_proposals_get_no_vote_until_there_is_some() {
    let mut single = Single::with(4, ME, 16, tight());
    let cluster = single.cluster.clone();
    let proposals: Vec<_> = (1..5).map(|tag| large(&cluster, tag)).collect();
    let votes = |single: &mut Single, number: u64| {
        let proposal = proposals[usize::try_from(number).unwrap() - 1].clone();
        prepares(&single.hear(0, &cluster.pre_prepare(number, proposal)))
    };
    assert_eq!(
        [1, 2, 3].map(|number| votes(&mut single, number)),
        [1, 1, 0]
    );
    assert!(single.replica.kept_bytes() <= limits::MIN_KEPT_BYTES);
    // The null request takes no room, and has no time that could be off.
    let out = single.hear(0, &cluster.pre_prepare(4, null()));
    assert_eq!((prepares(&out), blames(&out).len()), (1, 0));
    let digest = digest_of(&proposals[0]);
    let mut out = Vec::new();
    for by in 0..3 {
        out.extend(single.hear(by, &cluster.commit(by, 1, digest)));
    }
    assert_eq!(prepares(&out), 1, "there is room now");
    assert!(single.replica.slot(SeqNo(3)).unwrap().has_own_prepare());
}

/// What others prepared without its vote it commits, and then it is on record here as well.
#[test]
fn without_room_it_commits_what_others_prepared() {
    let mut single = Single::with(4, ME, 16, tight());
    let cluster = single.cluster.clone();
    let proposals: Vec<_> = (1..4).map(|tag| large(&cluster, tag)).collect();
    for (number, proposal) in (1..).zip(&proposals) {
        single.hear(0, &cluster.pre_prepare(number, proposal.clone()));
    }
    assert!(!single.replica.slot(SeqNo(3)).unwrap().has_own_prepare());
    let digest = digest_of(&proposals[2]);
    let mut out = Effects::new();
    for by in [1, 2] {
        out.extend(single.hear(by, &cluster.prepare(by, 3, digest)));
    }
    assert_eq!((prepares(&out), commits(&out)), (0, 1));
    let recorded = out.iter().filter(|effect| match effect {
        Effect::Persist {
            record: Record::PrePrepare(message),
            ..
        } => message.proposal.digest() == digest,
        _ => false,
    });
    assert_eq!(recorded.count(), 1);
}

#[test]
fn without_room_carried_proposals_are_voted_for() {
    let mut single = Single::with(4, ME, 16, tight());
    let cluster = single.cluster.clone();
    let proposals: Vec<_> = (1..5).map(|tag| large(&cluster, tag)).collect();
    for (number, proposal) in (1..).zip(&proposals).take(3) {
        single.hear(0, &cluster.pre_prepare(number, proposal.clone()));
    }
    assert!(!single.replica.slot(SeqNo(3)).unwrap().has_own_prepare());
    // Others prepared something else at 1, and at 3 what this replica refused.
    let named = [(1, &proposals[3]), (2, &proposals[1]), (3, &proposals[2])];
    assert_eq!(open(&mut single, 1, &named), [1]);
    for (number, proposal) in [(1, &proposals[3]), (3, &proposals[2])] {
        let content = Content {
            seq_no: SeqNo(number),
            proposal: proposal.clone(),
        };
        single.hear(1, &PeerMessage::Content(content));
        let slot = single.replica.slot(SeqNo(number)).unwrap();
        assert!(slot.has_own_prepare(), "{number}");
    }
}

/// A faulty primary fills every backup with proposals that nobody else gets. Whoever leads
/// next, numbers without requests make room, and everything goes on.
#[test]
fn replicas_that_are_full_empty_themselves() {
    for told in [1_u8..4, 2..4] {
        let mut world = World::new(1, 4, 16, tight());
        world.nodes[0].faulty = Some(Box::new(|_, _, _, _| Vec::new()));
        for to in told.clone() {
            for number in 1..4 {
                let proposal = large(&world.cluster, 10 * u64::from(to) + number);
                let message = world.cluster.pre_prepare(number, proposal);
                world.inject(0, to, &message);
            }
        }
        world.run_for(1000);
        for i in told {
            let kept = world.nodes[usize::from(i)].replica.kept_bytes();
            assert!(kept > limits::MAX_PROPOSAL_BYTES, "{i} keeps {kept} bytes");
        }
        let request =
            world
                .cluster
                .request(&client(1), 1, &vec![b'x'; limits::MAX_OP_BYTES - 1024]);
        (1..4).for_each(|to| world.request(0, to, request.clone()));
        let served = |world: &World| (1..4).all(|i| !world.nodes[i].log.order.is_empty());
        while !served(&world) {
            assert!(world.now_us < 30_000_000, "{}", world.stand());
            world.run_for(10_000);
        }
        for i in 1..4 {
            let replica = &world.nodes[i].replica;
            assert!(replica.view() > View(0));
            assert_eq!(replica.kept_bytes(), 0, "{i}");
        }
    }
}
