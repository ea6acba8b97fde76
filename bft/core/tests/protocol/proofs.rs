//! Certificates, whoever brings them: prepared ones in view changes, the view changes a
//! new view names, and commits or claims for a decision.

use bezant_bft::{
    crypto::Domain,
    effects::Effect,
    ids::{Digest, ReplicaId, SeqNo, View},
    message::{Decided, NewView, PeerMessage, PreparedCertificate, Signed, ViewChange, Vote},
    misbehaviour::Offence,
    replica::Tuning,
};

use crate::common::{
    Cluster, digest_of,
    single::{Single, blames, executes},
    views::{pending_view, vote_in},
};

const A: Digest = Digest([0xa; 32]);
const B: Digest = Digest([0xb; 32]);

/// Backup 3 of four hears `message` from `by`; whom it blames for what.
fn verdict(by: u8, message: &PeerMessage) -> Vec<(Option<u8>, Offence)> {
    let out = Single::new(3).hear(by, message);
    let blames = blames(&out).into_iter();
    blames.map(|(who, what)| (who, what.clone())).collect()
}

#[test]
fn a_certificate_is_of_one_lower_view_one_number_and_one_digest() {
    let cluster = Cluster::new(4);
    let good = cluster.certificate(1, 1, A);
    let flawed = |certificate: PreparedCertificate| {
        let found = verdict(0, &cluster.leaves(0, 2, vec![certificate]));
        match &found[..] {
            [] => false,
            [(Some(0), Offence::FlawedViewChange { view: View(2) })] => true,
            other => panic!("{other:?}"),
        }
    };
    assert!(!flawed(good.clone()));
    for view in [2, 3] {
        assert!(flawed(cluster.certificate(view, 1, A)), "of view {view}");
    }
    // One prepare is of something else, or of somebody who does not count.
    let prepare = |by: u8, vote: Vote| cluster.sign(by, vote, Domain::Prepare);
    let others: [(&str, Signed<Vote>); 6] = [
        ("another number", prepare(2, vote_in(2, 1, 2, A))),
        ("another view", prepare(2, vote_in(2, 0, 1, A))),
        ("another digest", prepare(2, vote_in(2, 1, 1, B))),
        ("the other voter again", prepare(0, vote_in(0, 1, 1, A))),
        ("the primary", prepare(1, vote_in(1, 1, 1, A))),
        ("a stranger", prepare(2, vote_in(9, 1, 1, A))),
    ];
    for (what, vote) in others {
        let mut certificate = good.clone();
        certificate.prepares[1] = vote;
        assert!(flawed(certificate), "{what}");
    }
    let commit = cluster.sign(2, vote_in(2, 1, 1, A), Domain::Commit);
    let own = cluster.sign(2, vote_in(2, 1, 1, A), Domain::PrePrepare);
    type Spoil<'s> = &'s dyn Fn(&mut PreparedCertificate);
    let spoiled: [(&str, Spoil<'_>); 4] = [
        ("too few", &|c| c.prepares.truncate(1)),
        ("too many", &|c| {
            c.prepares.push(prepare(3, vote_in(3, 1, 1, A)))
        }),
        ("a commit", &|c| c.prepares[1] = commit),
        ("not the primary's", &|c| c.pre_prepare = own),
    ];
    for (what, spoil) in spoiled {
        let mut certificate = good.clone();
        spoil(&mut certificate);
        assert!(flawed(certificate), "{what}");
    }
}

/// A view change that its sender did not sign, or whose checkpoint others did not, moves
/// nobody: more than f that are sound do.
#[test]
fn a_view_change_counts_with_all_signatures_it_stands_on() {
    let cluster = Cluster::new(4);
    let sound = |by: u8| {
        let votes = (0..3).map(|voter| cluster.checkpoint_vote(voter, 4, A));
        ViewChange {
            stable: SeqNo(4),
            checkpoint: votes.collect(),
            ..cluster.view_change(by, 1, Vec::new())
        }
    };
    let with_a_forged_checkpoint = |by| {
        let mut body = sound(by);
        body.checkpoint[1].signature.0[5] ^= 1;
        cluster.sign_view_change(by, body)
    };
    type Make<'s> = &'s dyn Fn(u8) -> PeerMessage;
    let cases: [(&str, bool, Make<'_>); 3] = [
        ("sound", true, &|by| cluster.sign_view_change(by, sound(by))),
        ("not signed by whom it names", false, &|by| {
            cluster.sign_view_change(2, sound(by))
        }),
        ("checkpoint forged", false, &with_a_forged_checkpoint),
    ];
    for (what, is_sound, make) in cases {
        let mut single = Single::new(3);
        let out = single.hear_all([(0, &make(0)), (1, &make(1))]);
        assert_eq!(
            pending_view(&out).len(),
            usize::from(is_sound),
            "{what}: {out:?}"
        );
        let blamed: &[_] = if is_sound {
            &[]
        } else {
            &[
                (Some(0), &Offence::BadSignature),
                (Some(1), &Offence::BadSignature),
            ]
        };
        assert_eq!(blames(&out), blamed, "{what}");
    }
}

#[test]
fn a_checkpoint_is_proven_by_a_strong_quorum() {
    let cluster = Cluster::new(4);
    let refused = |voters: &[(u8, u64, Digest)]| {
        let votes = voters.iter();
        let votes = votes.map(|(by, seq_no, state)| cluster.checkpoint_vote(*by, *seq_no, *state));
        let body = ViewChange {
            stable: SeqNo(4),
            checkpoint: votes.collect(),
            ..cluster.view_change(0, 1, Vec::new())
        };
        let alone = PeerMessage::Stable(body.checkpoint.clone());
        let found = [alone, cluster.sign_view_change(0, body)].map(|message| {
            match &verdict(0, &message)[..] {
                [] => false,
                [(Some(0), Offence::BadCertificate)] => true,
                other => panic!("{other:?}"),
            }
        });
        // Another number is wrong in a view change alone.
        assert!(found[0] == found[1] || voters.iter().all(|(_, seq_no, _)| *seq_no == 8));
        found[1]
    };
    assert!(!refused(&[(0, 4, A), (1, 4, A), (2, 4, A)]));
    assert!(refused(&[(0, 4, A), (1, 4, A)]), "too few");
    assert!(refused(&[(0, 4, A), (1, 4, A), (2, 4, B)]), "unequal");
    assert!(refused(&[(0, 4, A), (1, 4, A), (1, 4, A)]), "one twice");
    assert!(
        refused(&[(0, 8, A), (1, 8, A), (2, 8, A)]),
        "another number"
    );
    assert!(refused(&[]), "none");
}

#[test]
fn a_new_view_names_a_strong_quorum_of_members() {
    let cluster = Cluster::new(4);
    let changes = [0, 1, 2].map(|by| cluster.leaves(by, 1, Vec::new()));
    let good = cluster.new_view(1, &changes.each_ref(), &[(1, A), (2, B)]);
    let refused = |spoil: &dyn Fn(&mut NewView)| {
        let mut body = good.clone();
        spoil(&mut body);
        let found = verdict(1, &cluster.sign_new_view(1, body));
        match &found[..] {
            [] => false,
            [(Some(1), Offence::WrongNewView { .. } | Offence::NotThePrimary { .. })] => true,
            other => panic!("{other:?}"),
        }
    };
    assert!(!refused(&|_| {}));
    assert!(
        refused(&|new| new.view_changes[1] = new.view_changes[0]),
        "one twice"
    );
    assert!(
        refused(&|new| new.view_changes[2].0 = ReplicaId(9)),
        "a stranger"
    );
    assert!(refused(&|new| new.view_changes.truncate(2)), "too few");
    assert!(
        refused(&|new| new.view_changes.push((ReplicaId(3), A))),
        "too many"
    );
    assert!(refused(&|new| new.view_changes.swap(0, 1)), "out of order");
    assert!(
        refused(&|new| new.pre_prepares.swap(0, 1)),
        "numbers out of order"
    );
    assert!(
        refused(&|new| new.pre_prepares[1] = new.pre_prepares[0]),
        "a number twice"
    );
    for view in [0, 2] {
        let empty = |new: &mut NewView| {
            new.view = View(view);
            new.pre_prepares.clear();
        };
        assert!(refused(&empty), "another's view");
    }
    let vote = vote_in(1, 5, 2, B);
    let other = cluster.sign(1, vote, Domain::PrePrepare);
    assert!(
        refused(&|new| new.pre_prepares[1] = other),
        "a vote in another view"
    );
    let vote = vote_in(2, 1, 2, B);
    let other = cluster.sign(2, vote, Domain::PrePrepare);
    assert!(
        refused(&|new| new.pre_prepares[1] = other),
        "another's vote"
    );
}

fn decided(cluster: &Cluster, tag: u64, commits: Vec<Signed<Vote>>) -> PeerMessage {
    PeerMessage::Decided(Decided {
        seq_no: SeqNo(1),
        proposal: cluster.proposal(tag),
        commits,
    })
}

#[test]
fn a_decision_is_proven_by_commits_for_it_alone() {
    let cluster = Cluster::new(4);
    let digest = digest_of(&cluster.proposal(1));
    let sign = |vote: Vote, domain| cluster.sign(vote.replica.0, vote, domain);
    let good = [0, 1, 2].map(|by| sign(vote_in(by, 0, 1, digest), Domain::Commit));
    let hear = |commits: &[Signed<Vote>]| {
        let out = Single::new(3).hear(2, &decided(&cluster, 1, commits.to_vec()));
        let blamed = blames(&out).len();
        (executes(&out), blamed)
    };
    assert_eq!(hear(&good), (vec![1], 0));
    let prepared = [0, 1, 2].map(|by| sign(vote_in(by, 0, 1, digest), Domain::Prepare));
    assert_eq!(hear(&prepared), (vec![], 1), "prepared is not decided");
    assert_eq!(hear(&good[..2]), (vec![], 1), "too few");
    for (what, vote) in [
        ("another number", vote_in(2, 0, 2, digest)),
        ("another view", vote_in(2, 1, 1, digest)),
        ("another digest", vote_in(2, 0, 1, B)),
        ("one twice", vote_in(1, 0, 1, digest)),
    ] {
        let mut commits = good;
        commits[2] = sign(vote, Domain::Commit);
        assert_eq!(hear(&commits), (vec![], 1), "{what}");
    }
}

#[test]
fn a_decision_is_claimed_by_more_than_f_alike() {
    let mut single = Single::with(7, 6, 4, Tuning::default());
    let claim = |single: &mut Single, by, tag| -> Vec<Effect> {
        let message = decided(&single.cluster, tag, Vec::new());
        single.hear(by, &message)
    };
    // f = 2: two alike, one otherwise, one of them twice.
    for (by, tag) in [(0, 1), (1, 2), (2, 1), (0, 1)] {
        assert_eq!(executes(&claim(&mut single, by, tag)), [0_u64; 0]);
    }
    assert_eq!(executes(&claim(&mut single, 3, 1)), [1]);
    let slot = single.replica.slot(SeqNo(1)).unwrap();
    let digest = digest_of(&single.cluster.proposal(1));
    assert_eq!(slot.decided().unwrap().digest(), digest);
}
