//! Which votes count: distinct members', for this place and this proposal, signed,
//! and said by their signer.

use bezant_bft::{
    codec::encode,
    crypto::{Checker, Domain, SigningKey},
    effects::Effect,
    ids::{ClusterId, Digest, Epoch, Incarnation, ReplicaId, SeqNo, View},
    message::{PeerMessage, PrePrepare, Signed, Vote},
    misbehaviour::Offence,
    replica::Tuning,
    verification::{Batch, Unverified},
};

use crate::common::{
    digest_of,
    single::{Single, blames, commits, executes, prepares},
    vote,
};

/// Replica 1 of seven with a proposal accepted at number 1: three more prepares make it
/// prepared, four more commits decide.
fn seven() -> (Single, Digest) {
    let mut single = Single::with(7, 1, 4, Tuning::default());
    let proposal = single.cluster.proposal(1);
    let digest = digest_of(&proposal);
    let out = single.hear(0, &single.cluster.pre_prepare(1, proposal));
    assert_eq!(prepares(&out), 1, "a good proposal is voted for");
    (single, digest)
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Prepare,
    Commit,
}

impl Phase {
    const BOTH: [Self; 2] = [Self::Prepare, Self::Commit];

    const fn domain(self) -> Domain {
        match self {
            Self::Prepare => Domain::Prepare,
            Self::Commit => Domain::Commit,
        }
    }

    const fn message(self, vote: Signed<Vote>) -> PeerMessage {
        match self {
            Self::Prepare => PeerMessage::Prepare(vote),
            Self::Commit => PeerMessage::Commit(vote),
        }
    }

    /// Votes of others that complete the phase at replica 1 of seven.
    const fn enough(self) -> usize {
        match self {
            Self::Prepare => 3,
            Self::Commit => 4,
        }
    }

    /// A replica whose phase lacks nothing but votes of others.
    fn replica(self) -> (Single, Digest) {
        let (mut single, digest) = seven();
        if matches!(self, Self::Commit) {
            for by in [2, 3, 4] {
                let prepare = single.cluster.prepare(by, 1, digest);
                single.hear(by, &prepare);
            }
        }
        (single, digest)
    }

    fn completed(self, effects: &[Effect]) -> bool {
        match self {
            Self::Prepare => commits(effects) == 1,
            Self::Commit => executes(effects) == [1],
        }
    }

    /// After `doubtful` was heard from `from`, one good vote too few does not complete
    /// the phase and the last one does: what was heard counted for nothing.
    fn counts_for_nothing(self, doubtful: &[(u8, PeerMessage)]) -> Vec<Effect> {
        let (mut single, digest) = self.replica();
        let heard = single.hear_all(doubtful.iter().map(|(from, message)| (*from, message)));
        assert!(
            !self.completed(&heard),
            "{self:?} by doubtful votes alone: {doubtful:?}"
        );
        let good = (2_u8..=6).rev().take(self.enough());
        for (nth, by) in good.enumerate() {
            let vote = single.cluster.sign(by, vote(by, 1, digest), self.domain());
            let out = single.hear(by, &self.message(vote));
            assert_eq!(
                self.completed(&out),
                nth + 1 == self.enough(),
                "{self:?} {doubtful:?}"
            );
        }
        heard
    }
}

fn blamed(effects: &[Effect], who: u8, what: &Offence) {
    assert_eq!(blames(effects), [(Some(who), what)]);
}

#[test]
fn one_voter_counts_once() {
    for phase in Phase::BOTH {
        let (mut single, digest) = phase.replica();
        let again = phase.message(single.cluster.sign(2, vote(2, 1, digest), phase.domain()));
        for _ in 0..10 {
            assert!(!phase.completed(&single.hear(2, &again)));
        }
        assert!(
            blames(&single.hear(2, &again)).is_empty(),
            "to repeat oneself is no fault"
        );
        for (nth, by) in (3..).take(phase.enough() - 1).enumerate() {
            let vote = single.cluster.sign(by, vote(by, 1, digest), phase.domain());
            let out = single.hear(by, &phase.message(vote));
            assert_eq!(phase.completed(&out), nth + 2 == phase.enough());
        }
    }
}

/// The pre-prepare is the primary's prepare (PBFT §4.2).
#[test]
fn the_primary_does_not_prepare_on_top_of_its_proposal() {
    let cluster = crate::common::Cluster::new(7);
    let digest = digest_of(&cluster.proposal(1));
    Phase::Prepare.counts_for_nothing(&[(0, cluster.prepare(0, 1, digest))]);
}

#[test]
fn a_replica_does_not_hear_itself() {
    let cluster = crate::common::Cluster::new(7);
    let digest = digest_of(&cluster.proposal(1));
    for phase in Phase::BOTH {
        let own = phase.message(cluster.sign(1, vote(1, 1, digest), phase.domain()));
        phase.counts_for_nothing(&[(1, own)]);
    }
}

/// A faulty voter for another digest; then its vote for the right one comes too late.
#[test]
fn votes_for_another_proposal_do_not_count() {
    let cluster = crate::common::Cluster::new(7);
    for phase in Phase::BOTH {
        let other = vote(2, 1, Digest([9; 32]));
        let message = phase.message(cluster.sign(2, other, phase.domain()));
        phase.counts_for_nothing(&[(2, message)]);
    }
}

/// Every field of a vote, wrong by one, and what each is called.
#[test]
fn votes_for_another_place_do_not_count_and_are_blamed() {
    let cluster = crate::common::Cluster::new(7);
    let good = vote(2, 1, digest_of(&cluster.proposal(1)));
    let is = Epoch(0);
    for phase in Phase::BOTH {
        for (wrong, offence) in [
            (
                Vote {
                    view: View(1),
                    ..good
                },
                // It may belong to a view to come.
                None,
            ),
            (
                Vote {
                    epoch: Epoch(1),
                    ..good
                },
                Some(Offence::WrongEpoch { said: Epoch(1), is }),
            ),
            (
                Vote {
                    incarnation: Incarnation(1),
                    ..good
                },
                // It may be of an incarnation that this replica has not heard of.
                None,
            ),
            (
                Vote {
                    seq_no: SeqNo(2),
                    ..good
                },
                None,
            ),
            (
                Vote {
                    seq_no: SeqNo(0),
                    ..good
                },
                None,
            ),
        ] {
            let message = phase.message(cluster.sign(2, wrong, phase.domain()));
            let heard = phase.counts_for_nothing(&[(2, message)]);
            match offence {
                Some(offence) => blamed(&heard, 2, &offence),
                None => assert!(blames(&heard).is_empty()),
            }
        }
    }
}

#[test]
fn strangers_and_borrowed_links_do_not_count() {
    let cluster = crate::common::Cluster::new(7);
    let digest = digest_of(&cluster.proposal(1));
    for phase in Phase::BOTH {
        let stranger = cluster.sign(2, vote(7, 1, digest), phase.domain());
        let as_replica = ReplicaId(7);
        let heard = phase.counts_for_nothing(&[(2, phase.message(stranger))]);
        blamed(&heard, 2, &Offence::SpokeForAnother { as_replica });
        // A link that claims to be the stranger's would be a bug of the driver; believe it not.
        let heard = phase.counts_for_nothing(&[(7, phase.message(stranger))]);
        blamed(&heard, 7, &Offence::NotAMember);
        // A good vote, played by another replica than its signer.
        let good = cluster.sign(2, vote(2, 1, digest), phase.domain());
        let heard = phase.counts_for_nothing(&[(3, phase.message(good))]);
        blamed(
            &heard,
            3,
            &Offence::SpokeForAnother {
                as_replica: ReplicaId(2),
            },
        );
    }
}

/// Signatures that hold, but not for this: another key, phase, cluster, or body.
#[test]
fn a_prepare_counts_only_with_its_own_signature() {
    let cluster = crate::common::Cluster::new(7);
    let good = vote(2, 1, digest_of(&cluster.proposal(1)));
    let key: &SigningKey = &cluster.keys[2];
    let elsewhere = Signed::new(good, Domain::Prepare, &ClusterId([8; 32]), key);
    let other = Vote {
        seq_no: SeqNo(2),
        ..good
    };
    let moved = Signed {
        body: good,
        ..cluster.sign(2, other, Domain::Prepare)
    };
    for forged in [
        cluster.sign(3, good, Domain::Prepare),
        cluster.sign(2, good, Domain::Commit),
        cluster.sign(2, good, Domain::PrePrepare),
        elsewhere,
        moved,
    ] {
        let heard = Phase::Prepare.counts_for_nothing(&[(2, PeerMessage::Prepare(forged))]);
        blamed(&heard, 2, &Offence::BadSignature);
    }
}

#[test]
fn a_checkpoint_vote_counts_only_with_its_own_signature() {
    let mut single = Single::new(1);
    for seq_no in 1..=4 {
        single.decide(seq_no);
        single.executed(seq_no, (seq_no == 4).then_some(Digest([1; 32])));
    }
    let good = single.cluster.checkpoint(2, 4, Digest([1; 32]));
    single.hear(2, &good);
    let PeerMessage::Checkpoint(mut forged) = single.cluster.checkpoint(3, 4, Digest([2; 32]))
    else {
        unreachable!()
    };
    forged.body.digest = Digest([1; 32]);
    let out = single.hear(3, &PeerMessage::Checkpoint(forged));
    blamed(&out, 3, &Offence::BadSignature);
    assert_eq!(single.replica.stable(), SeqNo(0));
    // The signer counts and not the link: the passed-on vote of replica 2 is known already.
    single.hear(3, &good);
    assert_eq!(single.replica.stable(), SeqNo(0));
    let good = single.cluster.checkpoint(3, 4, Digest([1; 32]));
    single.hear(2, &good);
    assert_eq!(single.replica.stable(), SeqNo(4));
}

fn pre_prepare(single: &Single, by: u8, change: impl Fn(&mut PrePrepare)) -> PeerMessage {
    let proposal = single.cluster.proposal(1);
    let vote = single
        .cluster
        .sign(by, vote(by, 1, digest_of(&proposal)), Domain::PrePrepare);
    let mut message = PrePrepare { vote, proposal };
    change(&mut message);
    PeerMessage::PrePrepare(message)
}

/// Nothing of a pre-prepare may be wrong: not its author, its vote, or one request in it.
#[test]
fn a_pre_prepare_that_is_not_sound_is_not_voted_for() {
    let mut single = Single::new(1);
    let not_primary = pre_prepare(&single, 2, |_| ());
    let cluster = single.cluster.clone();
    let other_key = pre_prepare(&single, 0, |message| {
        message.vote = cluster.sign(2, message.vote.body, Domain::PrePrepare);
    });
    let other_domain = pre_prepare(&single, 0, |message| {
        message.vote = cluster.sign(0, message.vote.body, Domain::Prepare);
    });
    let epoch = pre_prepare(&single, 0, |message| {
        let body = Vote {
            epoch: Epoch(3),
            ..message.vote.body
        };
        message.vote = cluster.sign(0, body, Domain::PrePrepare);
    });
    let nonce = pre_prepare(&single, 0, |message| {
        let body = Vote {
            incarnation: Incarnation(3),
            ..message.vote.body
        };
        message.vote = cluster.sign(0, body, Domain::PrePrepare);
    });
    // View 4 has the same primary; this replica is not there.
    let view = pre_prepare(&single, 0, |message| {
        let body = Vote {
            view: View(4),
            ..message.vote.body
        };
        message.vote = cluster.sign(0, body, Domain::PrePrepare);
    });
    let emptied = pre_prepare(&single, 0, |message| message.proposal.requests.clear());
    let shifted = pre_prepare(&single, 0, |message| message.proposal.time.0 += 1);
    let wrong_epoch = Offence::WrongEpoch {
        said: Epoch(3),
        is: Epoch(0),
    };
    for (message, offence) in [
        (not_primary, Offence::NotThePrimary { view: View(0) }),
        (other_key, Offence::BadSignature),
        (other_domain, Offence::BadSignature),
        (epoch, wrong_epoch),
        (emptied, Offence::DigestMismatch { seq_no: SeqNo(1) }),
        (shifted, Offence::DigestMismatch { seq_no: SeqNo(1) }),
    ] {
        let out = single.hear(0, &message);
        assert_eq!(prepares(&out), 0);
        assert_eq!(blames(&out), [(Some(0), &offence)]);
    }
    let late = single.hear(0, &nonce);
    assert!(late.is_empty(), "of an incarnation not heard of: {late:?}");
    let held = single.hear(0, &view);
    assert!(held.is_empty(), "it may belong to a view to come: {held:?}");
    let good = pre_prepare(&single, 0, |_| ());
    assert_eq!(prepares(&single.hear(0, &good)), 1);
}

/// The request's digest is right, so the primary's vote is; only the client never signed.
#[test]
fn one_forged_request_spoils_its_proposal() {
    for forged in 0..3 {
        let mut single = Single::new(1);
        let mut proposal = single.cluster.proposal(1);
        for tag in 2..=3 {
            proposal
                .requests
                .extend(single.cluster.proposal(tag).requests);
        }
        proposal.requests[forged].signature.0[5] ^= 1;
        let message = single.cluster.pre_prepare(1, proposal);
        let out = single.hear(0, &message);
        assert_eq!(prepares(&out), 0);
        blamed(&out, 0, &Offence::BadSignature);
        assert_eq!(single.replica.pooled(), 0);
    }
}

/// A request whose signature was checked before is not checked again, and its content
/// is the checked one's: signatures are no part of a proposal's digest.
#[test]
fn a_known_request_is_believed_with_any_signature() {
    let mut single = Single::new(1);
    let mut proposal = single.cluster.proposal(1);
    single.ask(&proposal.requests[0]);
    proposal.requests[0].signature.0[5] ^= 1;
    let out = single.hear(0, &single.cluster.pre_prepare(1, proposal));
    assert_eq!((prepares(&out), blames(&out)), (1, vec![]));
    let kept = single
        .replica
        .slot(SeqNo(1))
        .unwrap()
        .proposal()
        .unwrap()
        .requests()[0]
        .signed();
    assert_eq!(kept, &single.cluster.proposal(1).requests[0]);
}

/// Sound, forged and misshapen messages in one batch: each is judged for itself, in order.
#[test]
fn a_batch_judges_each_message_for_itself() {
    let mut single = Single::new(1);
    let cluster = single.cluster.clone();
    let digest = digest_of(&cluster.proposal(1));
    let mut forged = cluster.proposal(1);
    forged
        .requests
        .push(cluster.proposal(2).requests[0].clone());
    forged.requests[0].signature.0[5] ^= 1;
    // Of what is misshapen under a signature only that signature is looked at.
    let mut misshapen = cluster.proposal(3);
    misshapen
        .requests
        .push(cluster.request(&crate::common::client(1), 4, &[0; 300_000]));
    let unverified = |from: u8, message: &PeerMessage| {
        Unverified::from_replica(ReplicaId(from), &encode(message)).unwrap()
    };
    let mut batch = Batch::new(&cluster.keyring);
    let mut add =
        |from, message: &PeerMessage| batch.add(unverified(from, message), |_| None).is_ok();
    assert!(add(2, &cluster.prepare(2, 1, digest)));
    assert!(add(0, &cluster.pre_prepare(1, forged)));
    assert!(add(0, &cluster.pre_prepare(1, misshapen)));
    assert!(!add(3, &cluster.prepare(2, 1, digest)));
    assert!(add(0, &cluster.pre_prepare(1, cluster.proposal(1))));
    let other = vote(3, 1, digest);
    assert!(add(
        3,
        &PeerMessage::Prepare(cluster.sign(2, other, Domain::Prepare))
    ));
    assert!(add(3, &cluster.commit(3, 1, digest)));
    assert_eq!(
        batch.claims(),
        1 + 3 + 1 + 2 + 1,
        "nothing is left of what was refused"
    );
    let checked = batch.check(&mut Checker::new());
    let good: Vec<_> = checked.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, false, true, false, true]);
    let out: Vec<_> = checked
        .into_iter()
        .flatten()
        .flat_map(|input| single.step(input))
        .collect();
    assert_eq!((prepares(&out), commits(&out)), (1, 1));
}
