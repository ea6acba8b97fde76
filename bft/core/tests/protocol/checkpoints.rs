//! Which votes on states are kept, looked at from outside. What they move is told in
//! `states` and `window`.

use bezant_bft::{
    checkpoint::Checkpoints,
    ids::{Digest, SeqNo},
    message::{CheckpointVote, Signed},
    quorum::Quorum,
};

use crate::common::Cluster;

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
    for (number, wanted) in [(10, false), (20, false), (30, true)] {
        assert_eq!(checkpoints.wants_proof(SeqNo(number)), wanted, "{number}");
        assert_eq!(checkpoints.prove(proof(&cluster, number)), wanted);
    }
    assert!(!checkpoints.wants_proof(SeqNo(30)), "it is there");
    assert!(!checkpoints.prove(proof(&cluster, 35)), "nothing is due");
    assert_eq!(checkpoints.proven(), SeqNo(30));
}
