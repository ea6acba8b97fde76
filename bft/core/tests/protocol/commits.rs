//! Commits are counted on the link's word and checked later: a lie in the signature
//! undoes no decision, is blamed, and leaves no hole in the certificate.

use bezant_bft::{
    codec::encode,
    crypto::Domain,
    effects::Effect,
    ids::{Digest, ReplicaId, SeqNo},
    limits,
    misbehaviour::Offence,
    replica::Tuning,
    slot::CommitCertificate,
    verification::Unverified,
};

use crate::common::{
    digest_of,
    single::{Single, blames, commits, executes},
    views::entered,
};

/// Replica 1 of four that has sent its commit for number 1.
fn committing() -> (Single, Digest) {
    let mut single = Single::new(1);
    let proposal = single.cluster.proposal(1);
    let digest = digest_of(&proposal);
    single.hear(0, &single.cluster.pre_prepare(1, proposal));
    let out = single.hear(2, &single.cluster.prepare(2, 1, digest));
    assert_eq!(commits(&out), 1);
    (single, digest)
}

fn certificate(single: &Single, seq_no: u64) -> Option<CommitCertificate> {
    let quorum = single.cluster.keyring.quorum();
    single
        .replica
        .slot(SeqNo(seq_no))?
        .commit_certificate(quorum)
}

/// Numbers up to the next checkpoint are decided and executed, which flushes the checks.
fn to_checkpoint(single: &mut Single, from: u64) -> Vec<Effect> {
    let mut out = Vec::new();
    for seq_no in from..=4 {
        out.extend(single.decide(seq_no));
    }
    for seq_no in 1..=4 {
        out.extend(single.executed(seq_no, (seq_no == 4).then_some(Digest([4; 32]))));
    }
    out
}

fn orders(effects: &[Effect]) -> usize {
    effects
        .iter()
        .filter(|effect| matches!(effect, Effect::CheckCommits(_)))
        .count()
}

#[test]
fn a_commit_is_counted_before_its_signature_is_checked() {
    let (mut single, digest) = committing();
    let bad = single.cluster.bad_commit(3, 1, digest);
    assert!(blames(&single.hear(3, &bad)).is_empty());
    let out = single.hear(0, &single.cluster.commit(0, 1, digest));
    assert_eq!((executes(&out), orders(&out)), (vec![1], 0));
    assert_eq!(certificate(&single, 1), None, "nothing is proven yet");
}

/// The vote found bad is blamed, and the one that was not needed takes its place.
#[test]
fn a_bad_commit_is_replaced_by_another_voters() {
    let (mut single, digest) = committing();
    single.hear(0, &single.cluster.bad_commit(0, 1, digest));
    single.hear(3, &single.cluster.commit(3, 1, digest));
    single.hear(2, &single.cluster.commit(2, 1, digest));
    let out = to_checkpoint(&mut single, 2);
    let out = single.check_commits(out);
    assert_eq!(blames(&out), [(Some(0), &Offence::BadSignature)]);
    assert_eq!(certificate(&single, 1), None);
    assert_eq!(single.replica.executed(), SeqNo(4), "the decision stands");
    let out = next_flush(&mut single);
    assert!(blames(&single.check_commits(out)).is_empty(), "blamed once");
    proves(&single, 1, digest);
}

/// The same when the vote that is needed comes only after the bad one was found.
#[test]
fn a_late_commit_completes_a_certificate_that_is_short() {
    let (mut single, digest) = committing();
    single.hear(0, &single.cluster.bad_commit(0, 1, digest));
    single.hear(2, &single.cluster.commit(2, 1, digest));
    let out = to_checkpoint(&mut single, 2);
    single.check_commits(out);
    assert_eq!(certificate(&single, 1), None);
    single.hear(3, &single.cluster.commit(3, 1, digest));
    let out = next_flush(&mut single);
    single.check_commits(out);
    proves(&single, 1, digest);
}

/// What was ordered to be checked in one view may be known only in the next: it counts for the
/// decision of the view in which it was said.
#[test]
fn checks_may_end_in_a_later_view() {
    let (mut single, digest) = committing();
    single.hear(0, &single.cluster.commit(0, 1, digest));
    single.hear(2, &single.cluster.commit(2, 1, digest));
    let out = to_checkpoint(&mut single, 2);
    let prepared = (1..=4).map(|seq_no| {
        let digest = digest_of(&single.cluster.proposal(seq_no));
        single.cluster.certificate(0, seq_no, digest)
    });
    let prepared: Vec<_> = prepared.collect();
    let leaves = [0, 3].map(|by| single.cluster.leaves(by, 1, prepared.clone()));
    let opened = single.hear_all([(0, &leaves[0]), (3, &leaves[1])]);
    assert_eq!(entered(&opened), [1]);
    assert_eq!(certificate(&single, 1), None);
    assert!(blames(&single.check_commits(out)).is_empty());
    proves(&single, 1, digest);
}

fn next_flush(single: &mut Single) -> Vec<Effect> {
    for by in [0, 2] {
        single.hear(by, &single.cluster.checkpoint(by, 4, Digest([4; 32])));
    }
    let mut out = Vec::new();
    for seq_no in 5..=8 {
        out.extend(single.decide(seq_no));
        out.extend(single.executed(seq_no, (seq_no == 8).then_some(Digest([8; 32]))));
    }
    assert!(orders(&out) > 0);
    out
}

/// A certificate convinces somebody who trusts no link: every signature in it holds.
fn proves(single: &Single, seq_no: u64, digest: Digest) {
    let keyring = &single.cluster.keyring;
    let commits = certificate(single, seq_no).expect("a certificate").commits;
    let mut voters: Vec<_> = commits.iter().map(|vote| vote.body.replica).collect();
    voters.dedup();
    assert_eq!(voters.len(), keyring.quorum().strong());
    for vote in commits {
        assert_eq!(
            (vote.body.digest, vote.body.seq_no),
            (digest, SeqNo(seq_no))
        );
        assert!(keyring.claim(&vote, Domain::Commit).unwrap().holds());
    }
}

/// Checks come in batches, at the latest with a checkpoint.
#[test]
fn commits_are_checked_in_large_batches() {
    let mut single = Single::with(4, 1, 128, Tuning::default());
    let mut numbers = 0_usize;
    let votes = loop {
        numbers += 1;
        let out = single.decide(numbers as u64);
        let order = out.into_iter().find_map(|effect| match effect {
            Effect::CheckCommits(votes) => Some(votes),
            _ => None,
        });
        if let Some(votes) = order {
            break votes;
        }
    };
    assert_eq!(
        numbers,
        limits::COMMIT_CHECK_BATCH.div_ceil(2),
        "two foreign commits a number"
    );
    assert!(votes.len() >= limits::COMMIT_CHECK_BATCH);
    single.check_commits(vec![Effect::CheckCommits(votes)]);
    for seq_no in 1..=numbers as u64 {
        proves(&single, seq_no, digest_of(&single.cluster.proposal(seq_no)));
    }
    assert_eq!(single.replica.counters().certificates, numbers as u64);
}

#[test]
fn a_checkpoint_flushes_the_checks_that_wait() {
    let (mut single, digest) = committing();
    single.hear_all([
        (2, &single.cluster.commit(2, 1, digest)),
        (3, &single.cluster.commit(3, 1, digest)),
    ]);
    let out = to_checkpoint(&mut single, 2);
    assert_eq!(orders(&out), 1);
    single.check_commits(out);
    (1..=4).for_each(|seq_no| {
        proves(&single, seq_no, digest_of(&single.cluster.proposal(seq_no)));
    });
}

/// The commits of others decided before this replica was prepared. It still becomes so,
/// and commits: somebody who lags may need its vote to decide, too.
#[test]
fn a_number_decided_by_others_is_still_committed_here() {
    let mut single = Single::new(1);
    let proposal = single.cluster.proposal(1);
    let digest = digest_of(&proposal);
    let mut out = single.hear(0, &single.cluster.pre_prepare(1, proposal));
    for by in [0, 2, 3] {
        out.extend(single.hear(by, &single.cluster.commit(by, 1, digest)));
    }
    assert_eq!((executes(&out), commits(&out)), (vec![1], 0));
    let prepare = single.cluster.prepare(2, 1, digest);
    let unverified = Unverified::from_replica(ReplicaId(2), &encode(&prepare)).unwrap();
    assert!(single.replica.wants(&unverified));
    let out = single.hear(2, &prepare);
    assert_eq!((executes(&out), commits(&out)), (vec![], 1));
    assert!(
        !single.replica.wants(&unverified),
        "prepared: further prepares are not worth a check"
    );
}
