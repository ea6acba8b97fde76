//! A decision is taken over from peers with proof, or when somebody correct claims it.

use bezant_bft::{
    crypto::Domain,
    ids::SeqNo,
    message::{Decided, PeerMessage, Signed, Vote},
    misbehaviour::Offence,
    replica::Tuning,
};

use crate::common::{
    digest_of,
    single::{Single, blames, executes},
    vote,
};

/// Number 1 with the proposal of `tag`.
fn decided(single: &Single, tag: u64, commits: Vec<Signed<Vote>>) -> PeerMessage {
    PeerMessage::Decided(Decided {
        seq_no: SeqNo(1),
        proposal: single.cluster.proposal(tag),
        commits,
    })
}

fn votes(single: &Single, tag: u64, by: &[u8], domain: Domain) -> Vec<Signed<Vote>> {
    let digest = digest_of(&single.cluster.proposal(tag));
    by.iter()
        .map(|by| single.cluster.sign(*by, vote(*by, 1, digest), domain))
        .collect()
}

#[test]
fn a_decision_is_taken_over_when_more_than_f_claim_it_alike() {
    let mut single = Single::with(7, 1, 4, Tuning::default());
    let (right, wrong) = (
        decided(&single, 1, Vec::new()),
        decided(&single, 2, Vec::new()),
    );
    // Two of seven may lie, however often, and a third who claims something else is no help.
    for (by, claim) in [(2, &right), (3, &right), (2, &right), (4, &wrong)] {
        assert_eq!(executes(&single.hear(by, claim)), [0_u64; 0]);
    }
    assert_eq!(executes(&single.hear(5, &right)), [1]);
}

#[test]
fn a_commit_certificate_proves_a_decision_and_nothing_less_does() {
    let mut single = Single::new(1);
    let by_few = votes(&single, 1, &[0, 2], Domain::Commit);
    let by_one = votes(&single, 1, &[2, 2, 2], Domain::Commit);
    let for_another = votes(&single, 2, &[0, 2, 3], Domain::Commit);
    for commits in [by_few, by_one, for_another] {
        let out = single.hear(3, &decided(&single, 1, commits));
        assert_eq!(executes(&out), [0_u64; 0]);
        assert_eq!(blames(&out), [(Some(3), &Offence::BadCertificate)]);
    }
    // What was prepared may yet lose to another proposal.
    let prepared = votes(&single, 1, &[0, 2, 3], Domain::Prepare);
    let out = single.hear(3, &decided(&single, 1, prepared));
    assert_eq!(executes(&out), [0_u64; 0]);
    assert_eq!(blames(&out).len(), 1);
    let commits = votes(&single, 1, &[0, 2, 3], Domain::Commit);
    assert_eq!(
        executes(&single.hear(3, &decided(&single, 1, commits))),
        [1]
    );
}
