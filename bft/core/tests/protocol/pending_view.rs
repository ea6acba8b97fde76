//! PBFT §4.4 at one replica: when it leaves, what it says then, which view changes
//! count for which view, and what a new view is judged by.

use bezant_bft::{
    effects::{Effect, Record},
    ids::{Digest, ReplicaId, SeqNo, View},
    limits,
    message::{AskProposals, Content, PeerMessage, PreparedCertificate, ViewChange},
    misbehaviour::Offence,
    rejoin::IncarnationTable,
    replica::Tuning,
    verification::CheckedProposal,
};

use crate::common::{
    digest_of,
    single::{Single, blames, commits, executes, prepares, sent, suspects},
    views::{entered, opening, pending_view, vote_in},
};

const A: Digest = Digest([0xa; 32]);
const B: Digest = Digest([0xb; 32]);
const T: u64 = 1_000_000;

/// Replica `by` is heard to leave for `view` with nothing prepared.
fn leaves(single: &mut Single, by: u8, view: u64) -> Vec<Effect> {
    single.hear(by, &single.cluster.leaves(by, view, Vec::new()))
}

/// Backup 3 of four, moved to leave view 0 for view 1 by 0 and 1; all it did then.
fn left(single: &mut Single) -> Vec<Effect> {
    let mut out = leaves(single, 0, 1);
    out.extend(leaves(single, 1, 1));
    out
}

/// Its own view change, as others hear it.
fn own(out: &[Effect]) -> PeerMessage {
    PeerMessage::ViewChange(pending_view(out)[0].clone())
}

/// Opens view 1 at backup 3, which left for it with `out`, in the names of 0, 1 and 3.
fn open(single: &mut Single, out: &[Effect], proposed: &[(u64, Digest)]) -> Vec<Effect> {
    let cluster = &single.cluster;
    let changes = [0, 1].map(|by| cluster.leaves(by, 1, Vec::new()));
    let body = cluster.new_view(1, &[&changes[0], &changes[1], &own(out)], proposed);
    single.hear(1, &single.cluster.sign_new_view(1, body))
}

#[test]
fn the_certificate_of_the_highest_view_wins() {
    for views in [[0, 1], [1, 0]] {
        let mut single = Single::new(2);
        let mut out = Vec::new();
        for (by, view) in [0, 3].into_iter().zip(views) {
            let digest = if view == 0 { A } else { B };
            let certificate = single.cluster.certificate(view, 1, digest);
            out.extend(single.hear(by, &single.cluster.leaves(by, 2, vec![certificate])));
        }
        let opened = opening(&out);
        let proposed: Vec<_> = opened[0]
            .pre_prepares
            .iter()
            .map(|vote| vote.body)
            .collect();
        assert_eq!(proposed, [vote_in(2, 2, 1, B)]);
    }
}

/// Nobody else prepared what the good ones prove.
#[test]
fn a_bad_certificate_hides_no_good_one() {
    let cluster = Single::new(2).cluster;
    let forged: fn(&mut PreparedCertificate) = |c| c.prepares[0].signature.0[5] ^= 1;
    let short: fn(&mut PreparedCertificate) = |c| c.prepares.clear();
    for spoil in [forged, short] {
        let mut single = Single::new(2);
        let mut certificates = [1, 2, 3].map(|seq_no| cluster.certificate(0, seq_no, A));
        spoil(&mut certificates[1]);
        let mut out = single.hear(0, &cluster.leaves(0, 2, certificates.to_vec()));
        let offence = Offence::FlawedViewChange { view: View(2) };
        assert_eq!(blames(&out), [(Some(0), &offence)]);
        out.extend(leaves(&mut single, 3, 2));
        let opened = opening(&out);
        let proposed = opened[0].pre_prepares.iter().map(|vote| vote.body.digest);
        let null = CheckedProposal::null().digest();
        assert_eq!(proposed.collect::<Vec<_>>(), [A, null, A]);
    }
}

/// What lies below is in the state of that checkpoint; nobody proposes there again.
#[test]
fn a_new_view_begins_at_the_highest_stable_checkpoint() {
    let mut single = Single::new(2);
    let cluster = single.cluster.clone();
    let low = [2, 6].map(|seq_no| cluster.certificate(0, seq_no, A));
    let proof = [0, 1, 3].map(|by| cluster.checkpoint_vote(by, 4, B));
    let high = ViewChange {
        stable: SeqNo(4),
        checkpoint: proof.to_vec(),
        ..cluster.view_change(3, 2, Vec::new())
    };
    single.hear(0, &cluster.leaves(0, 2, low.to_vec()));
    let out = single.hear(3, &cluster.sign_view_change(3, high));
    let opened = opening(&out);
    let numbers = opened[0].pre_prepares.iter().map(|vote| vote.body.seq_no.0);
    assert_eq!(numbers.collect::<Vec<_>>(), [5, 6]);
}

/// Whoever lies below that checkpoint knows from then on that it lacks something.
#[test]
fn a_new_view_tells_of_its_checkpoint() {
    for (stable, lacks) in [(0, false), (4, true)] {
        let mut single = Single::new(2);
        let cluster = single.cluster.clone();
        let proof = [0, 1, 3].map(|by| cluster.checkpoint_vote(by, stable, B));
        let change = ViewChange {
            stable: SeqNo(stable),
            checkpoint: proof.into_iter().filter(|_| stable > 0).collect(),
            ..cluster.view_change(3, 2, Vec::new())
        };
        leaves(&mut single, 0, 2);
        let out = single.hear(3, &cluster.sign_view_change(3, change));
        assert_eq!(entered(&out), [2]);
        assert_eq!(!single.replica.is_quiet(), lacks);
    }
}

/// This backup heard of more than its new primary named, and must not hold that against it.
#[test]
fn a_new_view_is_judged_by_the_view_changes_it_names() {
    let mut single = Single::new(3);
    let cluster = single.cluster.clone();
    let certificate = cluster.certificate(0, 1, A);
    let mut out = single.hear(0, &cluster.leaves(0, 1, vec![certificate]));
    let named = [1, 2].map(|by| cluster.leaves(by, 1, Vec::new()));
    out.extend(single.hear_all((1..).zip(&named)));
    let body = cluster.new_view(1, &[&named[0], &named[1], &own(&out)], &[]);
    let out = single.hear(1, &cluster.sign_new_view(1, body));
    assert_eq!((entered(&out), blames(&out)), (vec![1], vec![]));
}

#[test]
fn view_changes_for_other_views_open_nothing() {
    let mut single = Single::new(2);
    leaves(&mut single, 0, 1);
    leaves(&mut single, 3, 1);
    // View 1 does not open; 0 and 3 still wait for it.
    let out = single.tick(T);
    assert_eq!(pending_view(&out).last().unwrap().body.view, View(2));
    assert!(opening(&out).is_empty());
    assert!(opening(&leaves(&mut single, 0, 2)).is_empty());
    assert_eq!(opening(&leaves(&mut single, 3, 2)).len(), 1);
}

#[test]
fn more_than_f_move_a_replica_to_the_view_they_all_want() {
    let mut single = Single::with(7, 0, 4, Tuning::default());
    assert!(pending_view(&leaves(&mut single, 1, 5)).is_empty());
    assert!(pending_view(&leaves(&mut single, 2, 3)).is_empty());
    let out = leaves(&mut single, 3, 4);
    assert_eq!(pending_view(&out)[0].body.view, View(3));
}

#[test]
fn the_timeout_doubles_with_every_view_that_does_not_open() {
    // The last of so many that none of these views is its own to open.
    let mut single = Single::with(13, 12, 4, Tuning::default());
    let mut view_change_timeout = T;
    for view in 1..=10 {
        for by in 0..8 {
            leaves(&mut single, by, view);
        }
        assert!(
            !suspects(&single.tick(view_change_timeout - 1)),
            "view {view}"
        );
        assert!(suspects(&single.tick(1)), "view {view}");
        view_change_timeout = (2 * view_change_timeout).min(T << limits::MAX_TIMEOUT_DOUBLINGS);
    }
}

/// Two wait for view 1 and one went on to view 2: three left for view 1, and it is given up
/// in time. Otherwise a faulty replica that two others heard keeps the rest waiting.
#[test]
fn who_went_on_to_a_higher_view_left_for_this_one_too() {
    let mut single = Single::new(3);
    leaves(&mut single, 0, 1);
    let out = leaves(&mut single, 1, 2);
    assert_eq!(pending_view(&out)[0].body.view, View(1));
    assert!(suspects(&single.tick(T)));
}

#[test]
fn a_view_change_tells_what_was_prepared_and_what_was_decided() {
    let mut single = Single::new(3);
    single.decide(1);
    let proposal = single.cluster.proposal(2);
    let digest = digest_of(&proposal);
    single.hear(0, &single.cluster.pre_prepare(2, proposal));
    for by in [1, 2] {
        single.hear(by, &single.cluster.prepare(by, 2, digest));
    }
    // Accepted, and not prepared.
    single.hear(
        0,
        &single.cluster.pre_prepare(3, single.cluster.proposal(3)),
    );
    let out = left(&mut single);
    let prepared = pending_view(&out)[0].body.prepared.iter();
    let numbers = prepared.map(|certificate| certificate.pre_prepare.body.seq_no.0);
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_view_change_waits_for_its_record() {
    let mut single = Single::new(3);
    let out = left(&mut single);
    let recorded = out.iter().find_map(|effect| match effect {
        Effect::Persist {
            id,
            record: Record::ViewChange(_),
        } => Some(*id),
        _ => None,
    });
    let waits_for = out.iter().find_map(|effect| match effect {
        Effect::Send {
            message: PeerMessage::ViewChange(_),
            after,
            ..
        } => Some(*after),
        _ => None,
    });
    assert!(recorded.is_some());
    assert_eq!(waits_for, Some(recorded));
}

#[test]
fn who_left_votes_no_more_and_listens() {
    let mut single = Single::new(3);
    let cluster = single.cluster.clone();
    let digest = digest_of(&cluster.proposal(1));
    let first = single.hear(0, &cluster.pre_prepare(1, cluster.proposal(1)));
    assert_eq!(prepares(&first), 1);
    left(&mut single);
    let mut out = single.hear(0, &cluster.pre_prepare(2, cluster.proposal(2)));
    for by in [1, 2] {
        out.extend(single.hear(by, &cluster.prepare(by, 1, digest)));
    }
    assert_eq!((prepares(&out), commits(&out)), (0, 0));
    let heard: Vec<_> = [0, 1, 2]
        .into_iter()
        .flat_map(|by| single.hear(by, &cluster.commit(by, 1, digest)))
        .collect();
    assert_eq!(executes(&heard), [1]);
}

#[test]
fn who_left_has_left_after_a_restart() {
    let mut single = Single::new(3);
    let out = left(&mut single);
    let records = out.into_iter().filter_map(|effect| match effect {
        Effect::Persist { record, .. } => Some(record),
        _ => None,
    });
    let mut again = Single::new(3);
    let tuning = Tuning::default();
    let incarnations = IncarnationTable::default();
    again.replica = again
        .cluster
        .recover(3, 4, tuning, incarnations, records.collect());
    let proposal = again.cluster.proposal(1);
    let out = again.hear(0, &again.cluster.pre_prepare(1, proposal));
    assert_eq!(prepares(&out), 0, "a vote in a view it has left");
}

#[test]
fn what_came_early_is_heard_in_its_view() {
    let mut single = Single::new(3);
    let cluster = single.cluster.clone();
    let early = cluster.pre_prepare_in(1, 1, cluster.proposal(1));
    assert_eq!(prepares(&single.hear(1, &early)), 0);
    let out = left(&mut single);
    let out = open(&mut single, &out, &[]);
    assert_eq!((entered(&out), prepares(&out)), (vec![1], 1));
}

/// A replica speaks of a view that this one never enters. It may be a faulty one; or it is far
/// ahead, and is blamed for nothing.
#[test]
fn what_comes_early_is_held_up_to_a_bound() {
    let mut single = Single::new(3);
    let mut held = 0;
    for seq_no in 1..=limits::MAX_EARLY_PER_REPLICA as u64 + 1 {
        let vote = vote_in(2, 7, seq_no, A);
        let vote = single
            .cluster
            .sign(2, vote, bezant_bft::crypto::Domain::Commit);
        let out = single.hear(2, &PeerMessage::Commit(vote));
        assert_eq!(blames(&out), []);
        let more = single.replica.memory_of(ReplicaId(2)).early;
        let is_held = more > held;
        assert_eq!(is_held, seq_no <= limits::MAX_EARLY_PER_REPLICA as u64);
        held = more;
    }
}

/// Backup 2 of view 1, which began with a stable checkpoint at 4 that it has not reached; and
/// what the view's primary proposes at numbers 4 and 5.
fn begun_at_a_checkpoint(records: &mut Vec<Record>) -> (Single, [PeerMessage; 2]) {
    let mut single = Single::new(2);
    let cluster = single.cluster.clone();
    let proof = [0, 1, 3].map(|by| cluster.checkpoint_vote(by, 4, A));
    let ahead = |by| {
        let mut body = cluster.view_change(by, 1, Vec::new());
        (body.stable, body.checkpoint) = (SeqNo(4), proof.to_vec());
        cluster.sign_view_change(by, body)
    };
    let changes = [ahead(0), ahead(1), cluster.leaves(3, 1, Vec::new())];
    let mut out = single.hear_all((0..).zip(&changes[..2]));
    out.extend(single.hear(3, &changes[2]));
    let body = cluster.new_view(1, &[&changes[0], &changes[1], &changes[2]], &[]);
    out.extend(single.hear(1, &cluster.sign_new_view(1, body)));
    assert_eq!(entered(&out), [1]);
    records.extend(out.into_iter().filter_map(|effect| match effect {
        Effect::Persist { record, .. } => Some(record),
        _ => None,
    }));
    let proposed = [4, 5].map(|number| cluster.pre_prepare_in(1, number, cluster.proposal(number)));
    (single, proposed)
}

/// What was decided up to there is not in the new view, and this replica does not know it: a
/// faulty primary must not get its vote for something else.
#[test]
fn nothing_is_voted_on_up_to_where_a_view_begins() {
    let (mut single, [at, above]) = begun_at_a_checkpoint(&mut Vec::new());
    assert_eq!(prepares(&single.hear(1, &at)), 0);
    assert_eq!(prepares(&single.hear(1, &above)), 1);
}

#[test]
fn where_a_view_began_is_known_after_a_restart() {
    let mut records = Vec::new();
    let (_, [at, above]) = begun_at_a_checkpoint(&mut records);
    let mut single = Single::new(2);
    let tuning = Tuning::default();
    single.replica = single
        .cluster
        .recover(2, 4, tuning, IncarnationTable::default(), records);
    assert_eq!(single.replica.view(), View(1));
    assert_eq!(prepares(&single.hear(1, &at)), 0);
    assert_eq!(prepares(&single.hear(1, &above)), 1);
}

/// Nor can the primary say that its view began elsewhere than the view changes say.
#[test]
fn a_view_that_begins_elsewhere_is_not_entered() {
    let mut single = Single::new(2);
    let cluster = single.cluster.clone();
    let changes = [0, 1, 3].map(|by| cluster.leaves(by, 1, Vec::new()));
    let mut body = cluster.new_view(1, &[&changes[0], &changes[1], &changes[2]], &[]);
    body.stable = SeqNo(4);
    let mut out = single.hear_all((0..).zip(&changes[..2]));
    out.extend(single.hear(3, &changes[2]));
    out.extend(single.hear(1, &cluster.sign_new_view(1, body)));
    assert!(entered(&out).is_empty());
    let view = View(1);
    assert_eq!(blames(&out), [(Some(1), &Offence::WrongNewView { view })]);
}

/// The proposals that are asked for among what is sent.
fn asked(out: &[Effect]) -> Vec<(SeqNo, Digest)> {
    let asks = sent(out).into_iter().filter_map(|message| match message {
        PeerMessage::AskProposals(ask) => Some(&ask.wanted),
        _ => None,
    });
    asks.flatten().copied().collect()
}

/// A new view names digests; whoever lacks the proposal asks until it is here, and takes no
/// other for it.
#[test]
fn what_a_new_view_proposes_and_is_not_here_is_asked_for() {
    let mut single = Single::new(2);
    let (proposal, other) = (single.cluster.proposal(7), single.cluster.proposal(8));
    let digest = digest_of(&proposal);
    let certificate = single.cluster.certificate(0, 1, digest);
    for by in [0, 3] {
        single.hear(by, &single.cluster.leaves(by, 2, vec![certificate.clone()]));
    }
    let wanted = [(SeqNo(1), digest)];
    assert_eq!(asked(&single.tick_until_sent(T)), wanted);
    let content = |proposal| {
        let seq_no = SeqNo(1);
        PeerMessage::Content(Content { seq_no, proposal })
    };
    single.hear(0, &content(other));
    assert_eq!(asked(&single.tick_until_sent(2 * T)), wanted);
    single.hear(0, &content(proposal));
    assert_eq!(asked(&single.tick(4 * T)), []);
}

/// Whoever has such a proposal gives it to those who ask, and nothing else under its digest.
#[test]
fn a_proposal_is_given_to_whoever_asks_by_its_digest() {
    let mut single = Single::new(3);
    let proposal = single.cluster.proposal(7);
    let digest = digest_of(&proposal);
    single.hear(0, &single.cluster.pre_prepare(1, proposal.clone()));
    let ask = |digest| {
        let wanted = vec![(SeqNo(1), digest)];
        PeerMessage::AskProposals(AskProposals { wanted })
    };
    let number = SeqNo(1);
    let given = PeerMessage::Content(Content {
        seq_no: number,
        proposal,
    });
    assert_eq!(sent(&single.hear(1, &ask(digest))), [&given]);
    assert!(sent(&single.hear(1, &ask(B))).is_empty());
}

/// What was proposed in a view that ended and prepared by nobody is gone with it: nobody
/// lacks it any more.
#[test]
fn what_was_only_proposed_is_lacked_by_nobody_after_the_view() {
    let mut single = Single::new(3);
    let proposal = single.cluster.proposal(7);
    single.hear(0, &single.cluster.pre_prepare(1, proposal));
    let out = left(&mut single);
    assert_eq!(entered(&open(&mut single, &out, &[])), [1]);
    let wants =
        |message: &&&PeerMessage| matches!(message, PeerMessage::Status(status) if status.wants);
    let out = single.tick(T / 2);
    assert_eq!(sent(&out).iter().filter(wants).count(), 0, "{out:?}");
}
