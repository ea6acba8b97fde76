//! Evidence convicts who is guilty, to anybody with the cluster's keys, and nobody else:
//! no piece survives a change, and no honest history makes one.

use std::cell::RefCell;

use bezant_bft::{
    codec,
    crypto::{Domain, SigningKey},
    evidence::{Charge, Evidence, NotEvidence, NotProven, ProvableOffence},
    ids::{
        ClusterId, Digest, Epoch, Incarnation, OrderedTime, ReplicaId, RequestNumber, SeqNo,
        SessionId, Source, View,
    },
    keyring::Keyring,
    limits,
    message::{
        CheckpointVote, NewView, PeerMessage, Phase, PreparedCertificate, Reply, ReplyClaim,
        Request, Signed, SignedRequest, ViewChange, Vote, proposal_digest,
    },
    replica::Tuning,
};
use bytes::Bytes;
use proptest::prelude::*;

use crate::common::{
    Cluster, client,
    single::Single,
    vote,
    world::{Conditions, World},
};

const D: [Digest; 3] = [Digest([1; 32]), Digest([2; 32]), Digest([3; 32])];

fn state(cluster: &Cluster, by: u8, digest: Digest) -> Signed<CheckpointVote> {
    match cluster.checkpoint(by, 4, digest) {
        PeerMessage::Checkpoint(vote) => vote,
        other => panic!("{other:?}"),
    }
}

/// That `digest` was prepared at number 1 of view 0.
fn certificate(cluster: &Cluster, digest: Digest) -> PreparedCertificate {
    let prepare = |by| cluster.sign(by, vote(by, 1, digest), Domain::Prepare);
    PreparedCertificate {
        pre_prepare: cluster.sign(0, vote(0, 1, digest), Domain::PrePrepare),
        prepares: vec![prepare(1), prepare(2)],
    }
}

fn left(by: u8, prepared: Vec<PreparedCertificate>) -> ViewChange {
    ViewChange {
        epoch: Epoch(0),
        replica: ReplicaId(by),
        incarnation: Incarnation(0),
        view: View(1),
        stable: SeqNo(0),
        checkpoint: Vec::new(),
        prepared,
    }
}

fn sign_left(cluster: &Cluster, by: u8, body: ViewChange) -> Signed<ViewChange> {
    match cluster.sign_view_change(by, body) {
        PeerMessage::ViewChange(signed) => signed,
        other => panic!("{other:?}"),
    }
}

/// Replica 1 opens view 1 with these view changes and this at number 1.
fn opened(cluster: &Cluster, changes: &[Signed<ViewChange>], digest: Digest) -> Signed<NewView> {
    let body = Vote {
        view: View(1),
        ..vote(1, 1, digest)
    };
    let names = changes.iter();
    let body = NewView {
        epoch: Epoch(0),
        replica: ReplicaId(1),
        incarnation: Incarnation(0),
        view: View(1),
        view_changes: names
            .map(|said| (said.body.replica, said.digest()))
            .collect(),
        stable: SeqNo(0),
        pre_prepares: vec![cluster.sign(1, body, Domain::PrePrepare)],
    };
    match cluster.sign_new_view(1, body) {
        PeerMessage::NewView(signed) => signed,
        other => panic!("{other:?}"),
    }
}

fn changes(cluster: &Cluster) -> Vec<Signed<ViewChange>> {
    let with = |by, prepared| sign_left(cluster, by, left(by, prepared));
    vec![
        with(0, Vec::new()),
        with(2, vec![certificate(cluster, D[0])]),
        with(3, Vec::new()),
    ]
}

fn answer(cluster: &Cluster, by: u8, result: &'static [u8]) -> Signed<ReplyClaim> {
    let body = ReplyClaim {
        epoch: Epoch(0),
        replica: ReplicaId(by),
        incarnation: Incarnation(0),
        client: client(1).client(),
        reply: Reply {
            session: SessionId(1),
            number: RequestNumber(7),
            seq_no: SeqNo(9),
            result: Bytes::from_static(result),
        },
    };
    Signed::new(
        body,
        Domain::Reply,
        &cluster.id,
        &cluster.keys[usize::from(by)],
    )
}

fn bad_request(cluster: &Cluster) -> SignedRequest {
    let request = Request {
        client: client(1).client(),
        session: SessionId(1),
        number: RequestNumber(1),
        acked: vec![RequestNumber(2), RequestNumber(1)],
        op: Bytes::from_static(b"op"),
    };
    request.sign(&cluster.id, &client(1))
}

fn charges_of_votes(cluster: &Cluster) -> Vec<(ProvableOffence, u8, Charge)> {
    let two = |phase: Phase, by| Charge::TwoVotes {
        phase,
        first: cluster.sign(by, vote(by, 1, D[1]), phase.domain()),
        second: cluster.sign(by, vote(by, 1, D[0]), phase.domain()),
    };
    let bad = bad_request(cluster).request;
    let time = OrderedTime(5);
    let digest = proposal_digest(time, [bad.digest()].into_iter(), &[]);
    vec![
        (ProvableOffence::TwoProposals, 0, two(Phase::PrePrepare, 0)),
        (ProvableOffence::TwoPrepares, 2, two(Phase::Prepare, 2)),
        (ProvableOffence::TwoCommits, 3, two(Phase::Commit, 3)),
        (
            ProvableOffence::TwoStates,
            2,
            Charge::TwoStates {
                first: state(cluster, 2, D[1]),
                second: state(cluster, 2, D[0]),
            },
        ),
        (
            ProvableOffence::WrongState,
            3,
            Charge::WrongState {
                vote: state(cluster, 3, D[2]),
                against: vec![state(cluster, 0, D[0]), state(cluster, 1, D[0])],
            },
        ),
        (
            ProvableOffence::NotThePrimary,
            2,
            Charge::NotThePrimary(cluster.sign(2, vote(2, 1, D[0]), Domain::PrePrepare)),
        ),
        (
            ProvableOffence::BadProposal,
            0,
            Charge::BadProposal {
                vote: cluster.sign(0, vote(0, 1, digest), Domain::PrePrepare),
                time,
                requests: vec![bad],
                rejoins: Vec::new(),
            },
        ),
        (
            ProvableOffence::FalseReply,
            1,
            Charge::FalseReply {
                lie: answer(cluster, 1, b"lie"),
                truth: vec![answer(cluster, 0, b"truth"), answer(cluster, 3, b"truth")],
            },
        ),
    ]
}

fn charges_of_views(cluster: &Cluster) -> Vec<(ProvableOffence, u8, Charge)> {
    let changes = changes(cluster);
    let flawed = |body| Charge::FlawedViewChange(Box::new(sign_left(cluster, 3, body)));
    let early = ViewChange {
        view: View(0),
        ..left(3, Vec::new())
    };
    let unproven = ViewChange {
        stable: SeqNo(4),
        checkpoint: vec![state(cluster, 0, D[0])],
        ..left(3, Vec::new())
    };
    let mut forged = certificate(cluster, D[0]);
    forged.prepares[0].signature.0[9] ^= 4;
    let wrong = |new_view: Signed<NewView>, view_changes: &[_]| Charge::WrongNewView {
        new_view: Box::new(new_view),
        view_changes: view_changes.to_vec(),
    };
    vec![
        (
            ProvableOffence::TwoViewChanges,
            2,
            Charge::TwoViewChanges {
                first: Box::new(changes[1].clone()),
                second: Box::new(sign_left(cluster, 2, left(2, Vec::new()))),
            },
        ),
        (
            ProvableOffence::TwoNewViews,
            1,
            Charge::TwoNewViews {
                first: Box::new(opened(cluster, &changes, D[0])),
                second: Box::new(opened(cluster, &changes, D[1])),
            },
        ),
        (
            ProvableOffence::FlawedViewChange,
            3,
            flawed(left(3, vec![forged])),
        ),
        (ProvableOffence::FlawedViewChange, 3, flawed(early)),
        (ProvableOffence::FlawedViewChange, 3, flawed(unproven)),
        (
            ProvableOffence::WrongNewView,
            1,
            wrong(opened(cluster, &changes, D[1]), &changes),
        ),
        (
            ProvableOffence::WrongNewView,
            1,
            wrong(opened(cluster, &changes[..2], D[0]), &[]),
        ),
    ]
}

/// One piece of every kind, with the replica it convicts.
fn specimens(cluster: &Cluster) -> Vec<(ProvableOffence, u8, Evidence)> {
    let charges = charges_of_votes(cluster)
        .into_iter()
        .chain(charges_of_views(cluster));
    charges
        .map(|(offence, by, charge)| (offence, by, Evidence::new(cluster.id, charge)))
        .collect()
}

#[test]
fn every_kind_convicts_the_guilty_one_and_survives_its_encoding() {
    let cluster = Cluster::new(4);
    for (offence, by, evidence) in specimens(&cluster) {
        let read = Evidence::decode(&evidence.encode()).unwrap();
        assert_eq!(read, evidence);
        let verdict = read.verify(&cluster.keyring).unwrap();
        assert_eq!(verdict, evidence.accusation());
        assert_eq!(verdict.accused, Source::Replica(ReplicaId(by)), "{offence}");
        assert_eq!(verdict.offence, offence);
    }
    let request = Charge::BadRequest(Box::new(bad_request(&cluster)));
    let verdict = Evidence::new(cluster.id, request).verify(&cluster.keyring);
    assert_eq!(verdict.unwrap().accused, Source::Client(client(1).client()));
}

/// One bit anywhere, a byte less, a byte more: it is no evidence any more.
#[test]
fn no_piece_survives_a_change() {
    let cluster = Cluster::new(4);
    let request = Charge::BadRequest(Box::new(bad_request(&cluster)));
    let request = Evidence::new(cluster.id, request);
    let pieces = specimens(&cluster)
        .into_iter()
        .map(|(_, _, piece)| piece)
        .chain([request]);
    let convicts = |bytes: &[u8]| {
        Evidence::decode(bytes).is_ok_and(|piece| piece.verify(&cluster.keyring).is_ok())
    };
    for piece in pieces {
        let bytes = piece.encode().to_vec();
        assert!(convicts(&bytes));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(!convicts(&changed), "byte {at} of {piece:?}");
        }
        assert!(!convicts(&bytes[..bytes.len() - 1]));
        assert!(!convicts(&[&bytes[..], &[0]].concat()));
    }
}

#[test]
fn what_is_wrong_with_evidence_is_named() {
    let cluster = Cluster::new(4);
    let piece = specimens(&cluster).remove(0).2;
    let keys = cluster.keys.iter().map(SigningKey::public).collect();
    let other = Keyring::new(ClusterId([8; 32]), Epoch(0), keys).unwrap();
    assert_eq!(piece.verify(&other), Err(NotProven::OtherCluster));
    let mut bytes = piece.encode().to_vec();
    bytes[8] = 2;
    assert_eq!(Evidence::decode(&bytes), Err(NotEvidence::Version(2)));
    bytes[0] = b'x';
    assert_eq!(Evidence::decode(&bytes), Err(NotEvidence::Foreign));
    let truth = |by| answer(&cluster, by, b"truth");
    for (truth, why) in [
        (vec![truth(0)], NotProven::TooFew),
        (vec![truth(0), truth(0)], NotProven::TooFew),
        (vec![truth(0), truth(1)], NotProven::TooFew),
        (vec![truth(3), truth(0)], NotProven::Disordered),
        (vec![truth(0), truth(2), truth(3)], NotProven::Disordered),
        (
            vec![answer(&cluster, 0, b"lie"), answer(&cluster, 2, b"lie")],
            NotProven::NoContradiction,
        ),
        (
            vec![truth(0), answer(&cluster, 2, b"other")],
            NotProven::Unrelated,
        ),
    ] {
        let lie = answer(&cluster, 1, b"lie");
        let piece = Evidence::new(cluster.id, Charge::FalseReply { lie, truth });
        assert_eq!(piece.verify(&cluster.keyring), Err(why));
    }
}

/// A later incarnation, another view, another number, another phase, the same again: all honest.
#[test]
fn two_votes_for_two_places_convict_nobody() {
    let cluster = Cluster::new(4);
    let first = vote(2, 1, D[0]);
    let other = |change: &dyn Fn(&mut Vote)| {
        let mut second = vote(2, 1, D[1]);
        change(&mut second);
        cluster.sign(2, second, Domain::Prepare)
    };
    let nonce = other(&|vote| vote.incarnation = Incarnation(1));
    let view = other(&|vote| vote.view = View(1));
    let seq_no = other(&|vote| vote.seq_no = SeqNo(2));
    let again = cluster.sign(2, first, Domain::Prepare);
    let phase = cluster.sign(2, vote(2, 1, D[1]), Domain::Commit);
    let another = cluster.sign(3, vote(3, 1, D[1]), Domain::Prepare);
    for second in [nonce, view, seq_no, again, phase, another] {
        let first = cluster.sign(2, first, Domain::Prepare);
        let charge = Charge::TwoVotes {
            phase: Phase::Prepare,
            first,
            second,
        };
        let piece = Evidence::new(cluster.id, charge);
        assert!(piece.verify(&cluster.keyring).is_err(), "{piece:?}");
    }
}

/// A signature that another replica's later incarnation made is judged by nobody here.
#[test]
fn what_depends_on_void_incarnations_convicts_nobody() {
    let cluster = Cluster::new(4);
    let mut later = certificate(&cluster, D[0]);
    let body = Vote {
        incarnation: Incarnation(1),
        ..later.prepares[0].body
    };
    later.prepares[0] = cluster.sign(1, body, Domain::Prepare);
    let said = sign_left(&cluster, 3, left(3, vec![later]));
    let piece = Evidence::new(cluster.id, Charge::FlawedViewChange(Box::new(said)));
    assert_eq!(
        piece.verify(&cluster.keyring),
        Err(NotProven::LaterIncarnation)
    );
}

/// Whoever passes a proposal on may put wrong client signatures into it: they are under
/// nobody's vote, and convict nobody.
#[test]
fn a_forged_request_in_a_proposal_does_not_convict_its_primary() {
    let mut single = Single::new(1);
    let mut proposal = single.cluster.proposal(1);
    proposal.requests[0].signature.0[5] ^= 1;
    let out = single.hear(2, &single.cluster.pre_prepare(1, proposal));
    assert!(proofs(&out).is_empty(), "{out:?}");
}

fn proofs(effects: &[bezant_bft::effects::Effect]) -> Vec<Evidence> {
    let proofs = effects.iter().filter_map(|effect| match effect {
        bezant_bft::effects::Effect::Blame(blame) => blame.proof.as_deref().cloned(),
        _ => None,
    });
    proofs.collect()
}

/// What each kind of message makes a replica keep, when it meets it on its way.
#[track_caller]
fn convicts(
    single: &Single,
    out: &[bezant_bft::effects::Effect],
    offence: ProvableOffence,
    by: u8,
) {
    let proofs = proofs(out);
    let [piece] = &proofs[..] else {
        panic!("{out:?}")
    };
    let verdict = piece.verify(&single.cluster.keyring).unwrap();
    assert_eq!(
        (verdict.offence, verdict.accused),
        (offence, Source::Replica(ReplicaId(by)))
    );
}

#[test]
fn a_replica_that_votes_twice_is_convicted_in_every_phase() {
    let mut single = Single::new(1);
    let (one, two) = (single.cluster.proposal(1), single.cluster.proposal(2));
    single.hear(0, &single.cluster.pre_prepare(1, one));
    let out = single.hear(2, &single.cluster.pre_prepare(1, two));
    convicts(&single, &out, ProvableOffence::TwoProposals, 0);
    single.hear(2, &single.cluster.prepare(2, 1, D[0]));
    let out = single.hear(2, &single.cluster.prepare(2, 1, D[1]));
    convicts(&single, &out, ProvableOffence::TwoPrepares, 2);
    single.hear(2, &single.cluster.commit(2, 1, D[0]));
    let out = single.hear(2, &single.cluster.commit(2, 1, D[1]));
    assert!(proofs(&out).is_empty(), "no signature was looked at yet");
    let out = single.check_commits(out);
    convicts(&single, &out, ProvableOffence::TwoCommits, 2);
    let again = single.hear(2, &single.cluster.commit(2, 1, D[2]));
    assert!(again.is_empty(), "looked at once: {again:?}");
    single.hear(3, &single.cluster.checkpoint(3, 4, D[0]));
    let out = single.hear(0, &single.cluster.checkpoint(3, 4, D[1]));
    convicts(&single, &out, ProvableOffence::TwoStates, 3);
}

/// A commit that its sender can deny is no evidence, and its first one stays good.
#[test]
fn a_commit_that_can_be_denied_proves_nothing() {
    let mut single = Single::new(1);
    single.hear(2, &single.cluster.commit(2, 1, D[0]));
    let out = single.hear(2, &single.cluster.bad_commit(2, 1, D[1]));
    let out = single.check_commits(out);
    assert!(proofs(&out).is_empty(), "{out:?}");
}

#[test]
fn a_replica_that_signs_nonsense_is_convicted() {
    let mut single = Single::new(1);
    let cluster = single.cluster.clone();
    let message = |charge: &Charge| match charge {
        Charge::FlawedViewChange(said) => PeerMessage::ViewChange((**said).clone()),
        Charge::WrongNewView { new_view, .. } => PeerMessage::NewView((**new_view).clone()),
        other => panic!("{other:?}"),
    };
    for (offence, by, charge) in charges_of_views(&cluster) {
        let alone = match &charge {
            Charge::FlawedViewChange(_) => true,
            Charge::WrongNewView { view_changes, .. } => view_changes.is_empty(),
            _ => false,
        };
        if alone {
            // Over whatever link it comes.
            let out = single.hear(0, &message(&charge));
            convicts(&single, &out, offence, by);
        }
    }
    let mut proposal = cluster.proposal(1);
    let stray = vote(2, 1, crate::common::digest_of(&proposal));
    let stray = PeerMessage::PrePrepare(bezant_bft::message::PrePrepare {
        vote: cluster.sign(2, stray, Domain::PrePrepare),
        proposal: proposal.clone(),
    });
    let out = single.hear(2, &stray);
    convicts(&single, &out, ProvableOffence::NotThePrimary, 2);
    proposal.requests = vec![bad_request(&cluster)];
    let out = single.hear(0, &cluster.pre_prepare(1, proposal));
    convicts(&single, &out, ProvableOffence::BadProposal, 0);
    let out = single.ask(&bad_request(&cluster));
    let [piece] = &proofs(&out)[..] else {
        panic!("{out:?}")
    };
    assert_eq!(piece.accusation().offence, ProvableOffence::BadRequest);
    assert!(piece.verify(&cluster.keyring).is_ok());
    // Nobody is convicted of a signature that somebody else made up.
    let mut forged = bad_request(&cluster);
    forged.signature.0[3] ^= 1;
    assert!(proofs(&single.ask(&forged)).is_empty());
}

#[test]
fn a_replica_that_equivocates_in_a_view_change_is_convicted_once() {
    let mut single = Single::new(3);
    let cluster = single.cluster.clone();
    let changes = changes(&cluster);
    let story = |said: &Signed<ViewChange>| PeerMessage::ViewChange(said.clone());
    let other = story(&sign_left(&cluster, 2, left(2, Vec::new())));
    single.hear(2, &story(&changes[1]));
    assert!(proofs(&single.hear(0, &story(&changes[1]))).is_empty());
    let out = single.hear(2, &other);
    convicts(&single, &out, ProvableOffence::TwoViewChanges, 2);
    assert!(proofs(&single.hear(2, &other)).is_empty(), "once a view");
    let opening = |digest| PeerMessage::NewView(opened(&cluster, &changes, digest));
    single.hear(1, &opening(D[0]));
    let out = single.hear(1, &opening(D[2]));
    convicts(&single, &out, ProvableOffence::TwoNewViews, 1);
}

#[test]
fn a_view_opened_wrongly_convicts_its_primary() {
    let mut single = Single::new(3);
    let cluster = single.cluster.clone();
    let changes = changes(&cluster);
    for said in &changes {
        single.hear(said.body.replica.0, &PeerMessage::ViewChange(said.clone()));
    }
    let wrong = PeerMessage::NewView(opened(&cluster, &changes, D[1]));
    let out = single.hear(1, &wrong);
    convicts(&single, &out, ProvableOffence::WrongNewView, 1);
}

#[test]
fn a_vote_against_a_certified_state_convicts() {
    let mut single = Single::new(1);
    for seq_no in 1..=4 {
        single.decide(seq_no);
        single.executed(seq_no, (seq_no == 4).then_some(D[0]));
    }
    single.hear(3, &single.cluster.checkpoint(3, 4, D[2]));
    single.hear(0, &single.cluster.checkpoint(0, 4, D[0]));
    let out = single.hear(2, &single.cluster.checkpoint(2, 4, D[0]));
    convicts(&single, &out, ProvableOffence::WrongState, 3);
}

thread_local! {
    /// Everything that was said in the run of this thread.
    static SAID: RefCell<Vec<PeerMessage>> = const { RefCell::new(Vec::new()) };
}

/// Every charge that can be made of two messages.
fn charges(first: &PeerMessage, second: &PeerMessage) -> Option<Charge> {
    let votes = |phase, first: &Signed<Vote>, second: &Signed<Vote>| {
        let (first, second) = (*first, *second);
        Charge::TwoVotes {
            phase,
            first,
            second,
        }
    };
    Some(match (first, second) {
        (PeerMessage::PrePrepare(a), PeerMessage::PrePrepare(b)) => {
            votes(Phase::PrePrepare, &a.vote, &b.vote)
        }
        (PeerMessage::Prepare(a), PeerMessage::Prepare(b)) => votes(Phase::Prepare, a, b),
        (PeerMessage::Commit(a), PeerMessage::Commit(b)) => votes(Phase::Commit, a, b),
        (PeerMessage::Checkpoint(a), PeerMessage::Checkpoint(b)) => {
            let (first, second) = (*a, *b);
            Charge::TwoStates { first, second }
        }
        (PeerMessage::ViewChange(a), PeerMessage::ViewChange(b)) => Charge::TwoViewChanges {
            first: Box::new(a.clone()),
            second: Box::new(b.clone()),
        },
        (PeerMessage::NewView(a), PeerMessage::NewView(b)) => Charge::TwoNewViews {
            first: Box::new(a.clone()),
            second: Box::new(b.clone()),
        },
        _ => return None,
    })
}

/// Every charge that can be made of one message and of those it names.
fn charges_alone(message: &PeerMessage, said: &[PeerMessage]) -> Vec<Charge> {
    let find = |digest: &Digest| {
        said.iter().find_map(|message| match message {
            PeerMessage::ViewChange(said) if said.digest() == *digest => Some(said.clone()),
            _ => None,
        })
    };
    match message {
        PeerMessage::PrePrepare(message) => {
            let requests = message.proposal.requests.iter();
            let whole = Charge::BadProposal {
                vote: message.vote,
                time: message.proposal.time,
                requests: requests.map(|signed| signed.request.clone()).collect(),
                rejoins: message.proposal.rejoins.clone(),
            };
            vec![whole, Charge::NotThePrimary(message.vote)]
        }
        PeerMessage::ViewChange(said) => vec![Charge::FlawedViewChange(Box::new(said.clone()))],
        PeerMessage::NewView(new_view) => {
            let names = new_view.body.view_changes.iter();
            let all: Vec<_> = names.filter_map(|(_, digest)| find(digest)).collect();
            assert_eq!(all.len(), 3, "all were sent to somebody");
            let with = |view_changes| Charge::WrongNewView {
                new_view: Box::new(new_view.clone()),
                view_changes,
            };
            vec![with(Vec::new()), with(all)]
        }
        PeerMessage::Forward(signed) => vec![Charge::BadRequest(Box::new(signed.clone()))],
        _ => Vec::new(),
    }
}

/// Losses, crashes and changes of views among honest replicas: whatever anybody puts
/// together of all they said proves nothing.
#[test]
fn no_honest_history_gives_evidence() {
    let (mut tried, mut new_views, mut restarts) = (0, 0, 0);
    for seed in 0..12 {
        SAID.with(|said| said.borrow_mut().clear());
        let mut world = World::new(seed, 4, 4, Tuning::default());
        world.conditions = Conditions {
            loss_permille: 20,
            ..Conditions::CALM
        };
        let listen = |message: &PeerMessage| {
            SAID.with(|said| said.borrow_mut().push(message.clone()));
            false
        };
        let ask = |world: &mut World, round: u64| {
            world.swallow = Some(listen);
            world.conditions.loss_permille = 20;
            for number in 1..=3 {
                let number = 3 * round + number;
                let request = world.cluster.request(&client(1), number, b"op");
                for to in 0..4 {
                    world.request(0, to, request.clone());
                }
            }
        };
        for round in 0..3 {
            ask(&mut world, 2 * round);
            world.run_for(20_000 + 10_000 * seed);
            let i = u8::try_from((round + seed) % 4).unwrap();
            world.restart(i, Tuning::default());
            restarts += 1;
            let primary = usize::from(world.nodes[0].replica.primary().0);
            world.nodes[primary].down = true;
            ask(&mut world, 2 * round + 1);
            world.run_for(3_000_000);
            world.nodes[primary].down = false;
            world.heal();
            world.run_for(500_000);
        }
        for i in world.correct() {
            let blames = &world.nodes[i].blames;
            assert!(
                blames.iter().all(|blame| blame.proof.is_none()),
                "{blames:?}"
            );
        }
        let mut said = SAID.with(|said| std::mem::take(&mut *said.borrow_mut()));
        said.sort_by_cached_key(codec::encode);
        said.dedup();
        let pairs = said
            .iter()
            .flat_map(|a| said.iter().filter_map(|b| charges(a, b)));
        let alone = said
            .iter()
            .flat_map(|message| charges_alone(message, &said));
        for charge in pairs.chain(alone) {
            let piece = Evidence::new(world.cluster.id, charge);
            let verdict = piece.verify(&world.cluster.keyring);
            assert!(verdict.is_err(), "seed {seed}: {piece:?}");
            tried += 1;
        }
        let opened = |message: &&PeerMessage| matches!(message, PeerMessage::NewView(_));
        new_views += said.iter().filter(opened).count();
    }
    assert!(
        tried > 10_000 && new_views > 5 && restarts > 20,
        "{tried} charges, {new_views} new views, {restarts} restarts"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// A replica that has one opinion of each place, whatever it is, in whatever order and
    /// however often it says it.
    #[test]
    fn one_opinion_of_each_place_convicts_nobody(
        places in prop::collection::vec((0_u64..2, 0_u64..2, 0_u64..3, 0_usize..3), 2..12),
    ) {
        let cluster = Cluster::new(4);
        let votes: Vec<_> = places.into_iter().map(|(nonce, view, seq_no, phase)| {
            let phase = [Phase::PrePrepare, Phase::Prepare, Phase::Commit][phase];
            let opinion = bezant_bft::crypto::digest("opinion", &[&[phase as u8], &codec::encode(&(nonce, view, seq_no))]);
            let body = Vote { incarnation: Incarnation(nonce), view: View(view), ..vote(2, seq_no, opinion) };
            (phase, cluster.sign(2, body, phase.domain()))
        }).collect();
        for (phase, first) in &votes {
            for (_, second) in &votes {
                let charge = Charge::TwoVotes { phase: *phase, first: *first, second: *second };
                prop_assert!(Evidence::new(cluster.id, charge).verify(&cluster.keyring).is_err());
                prop_assert!(Evidence::two_votes(cluster.id, *phase, *first, *second).is_none_or(|piece| piece.verify(&cluster.keyring).is_err()));
            }
        }
    }
}

#[test]
fn evidence_longer_than_any_is_not_read() {
    let cluster = Cluster::new(4);
    let mut bytes = specimens(&cluster).remove(0).2.encode().to_vec();
    bytes.resize(limits::MAX_EVIDENCE_BYTES + 1, 0);
    let refused = Evidence::decode(&bytes);
    assert_eq!(refused, Err(NotEvidence::TooLong(bytes.len())));
}
