//! Which incarnation of a replica a vote counts with, and which of its view changes are void.

use bezant_bft::{
    crypto::Domain,
    effects::Effect,
    ids::{Digest, Epoch, Incarnation, ReplicaId, SeqNo, View},
    message::{CheckpointVote, NewView, PeerMessage, PrePrepare, Proposal, Signed, Vote},
    misbehaviour::Offence,
};

use super::rejoin::{
    INTERVAL, decide_with, signed_rejoin_request, tuning, view_change, with_incarnations,
};
use crate::common::{
    digest_of,
    single::{Single, blames, prepares, sent},
    vote,
};

/// Replica 1, where replica 3 began an incarnation at number 1: it counts from checkpoint 20.
fn with_an_incarnation(numbers: u64) -> Single {
    let mut single = Single::with(4, 1, INTERVAL, tuning());
    let rejoin_request = signed_rejoin_request(&single.cluster, 3, 1, 1);
    decide_with(&mut single, 1, vec![rejoin_request]);
    for number in 2..=numbers {
        decide_with(&mut single, number, Vec::new());
    }
    single
}

fn prepare_of(single: &Single, number: u64, incarnation: u64) -> PeerMessage {
    let body = Vote {
        incarnation: Incarnation(incarnation),
        ..vote(3, number, Digest([9; 32]))
    };
    PeerMessage::Prepare(single.cluster.sign(3, body, Domain::Prepare))
}

fn commit_of(single: &Single, number: u64, incarnation: u64) -> PeerMessage {
    let body = Vote {
        incarnation: Incarnation(incarnation),
        ..vote(3, number, Digest([9; 32]))
    };
    PeerMessage::Commit(single.cluster.sign(3, body, Domain::Commit))
}

/// Up to the checkpoint the earlier incarnation counts, above it the present one.
#[test]
fn votes_count_with_the_incarnation_of_their_number() {
    let mut single = with_an_incarnation(8);
    for (seq_no, incarnation, counts) in
        [(20, 0, true), (21, 1, true), (20, 1, false), (21, 0, false)]
    {
        let expected = Offence::WrongIncarnation {
            said: Incarnation(incarnation),
        };
        for message in [
            prepare_of(&single, seq_no, incarnation),
            commit_of(&single, seq_no, incarnation),
        ] {
            let out = single.hear(3, &message);
            let blames = blames(&out);
            if counts {
                assert!(blames.is_empty(), "{seq_no} {incarnation}: {blames:?}");
            } else {
                assert_eq!(blames, [(Some(3), &expected)]);
            }
        }
        let voted = single.replica.slot(SeqNo(seq_no)).unwrap();
        assert_eq!(voted.commits_for(Digest([9; 32])), 1);
    }
    // Of an incarnation that nobody heard of here: late, and nobody's fault.
    assert!(single.hear(3, &prepare_of(&single, 22, 2)).is_empty());
    assert!(single.replica.slot(SeqNo(22)).is_none());
}

/// Two earlier incarnations of a primary, the later of which knew nothing of the former, may have
/// proposed different things for one number: the first stands, and nobody lied.
#[test]
fn what_two_incarnations_proposed_for_a_number_is_no_contradiction() {
    let mut single = Single::with(4, 1, INTERVAL, tuning());
    let propose = |single: &Single, number, incarnation, proposal: &Proposal| {
        let body = Vote {
            incarnation: Incarnation(incarnation),
            ..vote(0, number, digest_of(proposal))
        };
        let (vote, proposal) = (
            single.cluster.sign(0, body, Domain::PrePrepare),
            proposal.clone(),
        );
        PeerMessage::PrePrepare(PrePrepare { vote, proposal })
    };
    let rejoin_request = signed_rejoin_request(&single.cluster, 0, 1, 1);
    decide_with(&mut single, 1, vec![rejoin_request]);
    for number in 2..=20 {
        decide_with(&mut single, number, Vec::new());
    }
    // Its second incarnation counts from here on, and orders the rejoin request of its third.
    let rejoin_request = with_incarnations(vec![signed_rejoin_request(&single.cluster, 0, 2, 2)]);
    let digest = digest_of(&rejoin_request);
    single.hear(0, &propose(&single, 21, 1, &rejoin_request));
    for by in [2, 3] {
        single.hear(by, &single.cluster.prepare(by, 21, digest));
    }
    for by in [2, 3] {
        single.hear(by, &single.cluster.commit(by, 21, digest));
    }
    single.executed(21, None);
    assert_eq!(single.replica.executed(), SeqNo(21));
    let [first, second] = [22, 23].map(|tag| single.cluster.proposal(tag));
    assert_eq!(
        prepares(&single.hear(0, &propose(&single, 22, 0, &first))),
        1
    );
    let out = single.hear(0, &propose(&single, 22, 1, &second));
    assert!(blames(&out).is_empty(), "{:?}", blames(&out));
    assert_eq!(prepares(&out), 0, "one vote for one place");
    let slot = single.replica.slot(SeqNo(22)).unwrap();
    let stands = slot.proposal().map(|proposal| proposal.digest());
    assert_eq!(stands, Some(digest_of(&first)));
}

#[test]
fn checkpoint_votes_count_with_the_incarnation_of_their_number() {
    let mut single = with_an_incarnation(8);
    for (seq_no, incarnation, counts) in [
        (12, 0, true),
        (24, 1, true),
        (12, 1, false),
        (24, 0, false),
        // They lead a replica on that fell behind, whatever the incarnation.
        (400, 7, true),
    ] {
        let body = CheckpointVote {
            epoch: Epoch(0),
            replica: ReplicaId(3),
            incarnation: Incarnation(incarnation),
            seq_no: SeqNo(seq_no),
            digest: Digest([1; 32]),
        };
        let cluster = &single.cluster;
        let signed = Signed::new(body, Domain::Checkpoint, &cluster.id, &cluster.keys[3]);
        let out = single.hear(0, &PeerMessage::Checkpoint(signed));
        assert_eq!(blames(&out).is_empty(), counts, "{seq_no} {incarnation}");
    }
}

/// A view change of an earlier incarnation counts for those who voted where that one did, and is
/// void to those who voted where a later incarnation may have.
#[test]
fn view_changes_of_an_earlier_incarnation_are_void_above_it() {
    for (numbers, counts) in [(20, true), (21, false)] {
        let mut single = with_an_incarnation(numbers);
        let joined = |out: &[Effect]| {
            let mut messages = sent(out).into_iter();
            messages.any(|message| matches!(message, PeerMessage::ViewChange(_)))
        };
        let cluster = single.cluster.clone();
        let out = single.hear(3, &view_change(&cluster, 3, 0, 5, 0));
        assert!(blames(&out).is_empty(), "it was right when it was said");
        let out = single.hear(2, &view_change(&cluster, 2, 0, 5, 0));
        assert_eq!(joined(&out), counts, "voted on {numbers}");
    }
}

/// It was good when it came, and is void when it would be used.
#[test]
fn a_view_change_kept_does_not_outlive_its_incarnation() {
    let mut single = with_an_incarnation(20);
    let cluster = single.cluster.clone();
    single.hear(3, &view_change(&cluster, 3, 0, 5, 0));
    decide_with(&mut single, 21, Vec::new());
    let (of_two, of_zero) = (
        view_change(&cluster, 2, 0, 5, 20),
        view_change(&cluster, 0, 0, 5, 20),
    );
    // Replica 1 is primary of view 5: with its own these are three, of which two count.
    single.hear(2, &of_two);
    let mut out = single.tick(0);
    out.extend(single.hear(3, &view_change(&cluster, 3, 0, 5, 0)));
    let opened = |out: &[Effect]| {
        let mut messages = sent(out).into_iter();
        messages.any(|message| matches!(message, PeerMessage::NewView(_)))
    };
    assert!(!opened(&out));
    let out = single.hear(0, &of_zero);
    assert!(opened(&out), "{out:?}");
}

/// A present incarnation knows nothing of numbers below its own, and may not say so.
#[test]
fn a_view_change_of_a_present_incarnation_begins_where_it_does() {
    let mut single = with_an_incarnation(21);
    let cluster = single.cluster.clone();
    let out = single.hear(3, &view_change(&cluster, 3, 1, 5, 16));
    let said = Incarnation(1);
    assert_eq!(
        blames(&out),
        [(Some(3), &Offence::WrongIncarnation { said })]
    );
    let out = single.hear(3, &view_change(&cluster, 3, 1, 5, 20));
    assert!(blames(&out).is_empty());
    // Of an incarnation not heard of.
    let out = single.hear(3, &view_change(&cluster, 3, 2, 9, 20));
    assert!(out.is_empty(), "{out:?}");
}

/// The same for a new view.
#[test]
fn a_new_view_of_an_incarnation_not_heard_of_waits() {
    let mut single = Single::with(4, 1, INTERVAL, tuning());
    let body = |incarnation| NewView {
        epoch: Epoch(0),
        replica: ReplicaId(3),
        incarnation: Incarnation(incarnation),
        view: View(3),
        view_changes: (0..3).map(|i| (ReplicaId(i), Digest([i; 32]))).collect(),
        stable: SeqNo(0),
        pre_prepares: Vec::new(),
    };
    let late = single.cluster.sign_new_view(3, body(1));
    assert!(single.hear(3, &late).is_empty());
    let present = single.cluster.sign_new_view(3, body(0));
    single.hear(3, &present);
}
