//! Which votes on states are kept, looked at from outside. What they move is told in
//! `states` and `window`.

use bezant_bft::{
    checkpoint::Checkpoints,
    ids::{Digest, Epoch, SeqNo, View},
    message::{CheckpointVote, PeerMessage, Signed, Status},
    quorum::Quorum,
};

use crate::common::{
    Cluster,
    single::{Single, sent},
};

const INTERVAL: u64 = 10;

fn proof(cluster: &Cluster, number: u64) -> Vec<Signed<CheckpointVote>> {
    let votes = (0..3).map(|by| cluster.checkpoint_vote(by, number, Digest([1; 32])));
    votes.collect()
}

/// A proof costs a strong quorum of signatures to check: it is looked at once, and not at all
/// if it tells nothing or is of a number that has no checkpoint.
#[test]
fn a_proof_is_wanted_once_and_above_the_low_mark() {
    let cluster = Cluster::new(4);
    let quorum = Quorum::new(4).unwrap();
    let mut checkpoints = Checkpoints::new(INTERVAL);
    checkpoints.advance(SeqNo(20), proof(&cluster, 20), quorum);
    for (seq_no, wanted) in [(10, false), (20, false), (30, true)] {
        assert_eq!(checkpoints.wants_proof(SeqNo(seq_no)), wanted, "{seq_no}");
        assert_eq!(checkpoints.prove(proof(&cluster, seq_no)), wanted);
    }
    assert!(!checkpoints.wants_proof(SeqNo(30)), "it is there");
    assert!(!checkpoints.prove(proof(&cluster, 35)), "nothing is due");
    assert_eq!(checkpoints.proven(), SeqNo(30));
}

/// One that reached the checkpoint and has too few votes for it may wait for that of a replica
/// which took the state over and never voted. When nothing else can be what it asks for, it is
/// sent the proof.
#[test]
fn whoever_got_as_far_and_asks_is_sent_the_proof() {
    let mut single = Single::new(1);
    let state = Digest([1; 32]);
    for seq_no in 1..=5 {
        single.decide(seq_no);
        single.executed(seq_no, (seq_no == 4).then_some(state));
    }
    for by in [0, 2] {
        single.hear(by, &single.cluster.checkpoint(by, 4, state));
    }
    assert_eq!(single.replica.stable(), SeqNo(4));
    for (executed, proof) in [(3, 1), (4, 0), (5, 1), (6, 1)] {
        let status = PeerMessage::Status(Status {
            epoch: Epoch(0),
            view: View(0),
            active: true,
            executed: SeqNo(executed),
            wants: true,
        });
        let out = single.hear(3, &status);
        let proofs = sent(&out).into_iter().filter(|message| {
            matches!(message, PeerMessage::Stable(votes)
                if votes.iter().all(|vote| vote.body.seq_no == SeqNo(4)))
        });
        assert_eq!(proofs.count(), proof, "to one that executed {executed}");
    }
}
