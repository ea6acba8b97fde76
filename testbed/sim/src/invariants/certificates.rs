//! What is said to be proven is proven: prepared certificates, stable checkpoints,
//! and decisions that enough correct replicas committed to.

use std::collections::{BTreeMap, BTreeSet};

use bezant_bft::{
    crypto::Domain,
    effects::Record,
    ids::{Digest, ReplicaId, SeqNo, View},
    message::{CheckpointVote, Signed, Vote},
};

use super::{Common, Fact, Invariant};

/// Who committed to what.
#[derive(Debug, Default)]
pub(super) struct CertificateSoundness {
    commits: BTreeMap<(SeqNo, Digest), BTreeMap<View, BTreeSet<ReplicaId>>>,
    decided: SeqNo,
}

impl Invariant for CertificateSoundness {
    fn name(&self) -> &'static str {
        "certificate-soundness"
    }

    fn observe(&mut self, fact: &Fact<'_>, common: &mut Common) -> Result<(), String> {
        match fact {
            Fact::Recorded {
                by,
                record: Record::Commit { vote, prepares, .. },
                ..
            } => {
                let body = &vote.body;
                let key = (body.seq_no, body.digest);
                let views = self.commits.entry(key).or_default();
                views.entry(body.view).or_default().insert(*by);
                prepared(&vote.body, prepares, common)
                    .map_err(|what| format!("replica {by} commits {body:?}: {what}"))
            }
            Fact::Recorded {
                by,
                record: Record::Stable(votes),
                ..
            } => stable(votes, common)
                .map_err(|what| format!("replica {by} records a stable checkpoint: {what}")),
            Fact::Executed {
                by,
                seq_no,
                proposal,
                ..
            } if *seq_no > self.decided => {
                self.decided = *seq_no;
                let faulty = common.correct.iter().filter(|correct| !**correct).count();
                let needed = common.keyring.quorum().strong().saturating_sub(faulty);
                let views = self.commits.get(&(*seq_no, proposal.digest()));
                let most = views.and_then(|views| views.values().map(BTreeSet::len).max());
                if most.unwrap_or(0) >= needed {
                    return Ok(());
                }
                Err(format!(
                    "replica {by} executes number {seq_no}, to which {most:?} correct replicas committed in one view; {needed} are needed"
                ))
            }
            _ => Ok(()),
        }
    }
}

fn holds(claims: &[bezant_bft::crypto::Claim], common: &mut Common) -> Result<(), String> {
    if common.checker.check(claims).iter().all(|holds| *holds) {
        Ok(())
    } else {
        Err("a signature does not hold".to_owned())
    }
}

/// A commit is sent only with prepares of a strong quorum, the primary's proposal included.
fn prepared(vote: &Vote, prepares: &[Signed<Vote>], common: &mut Common) -> Result<(), String> {
    let quorum = common.keyring.quorum();
    let primary = quorum.primary(vote.view);
    let mut voters = BTreeSet::new();
    let mut claims = Vec::with_capacity(prepares.len());
    for prepare in prepares {
        let body = &prepare.body;
        if (body.view, body.seq_no, body.digest) != (vote.view, vote.seq_no, vote.digest)
            || body.replica == primary
        {
            return Err(format!("{body:?} is no prepare for it"));
        }
        voters.insert(body.replica);
        match common.keyring.claim(prepare, Domain::Prepare) {
            Ok(claim) => claims.push(claim),
            Err(fault) => return Err(fault.to_string()),
        }
    }
    if voters.len() + 1 < quorum.strong() {
        return Err(format!("only {} backups prepared", voters.len()));
    }
    holds(&claims, common)
}

/// A stable checkpoint has a strong quorum of equal votes.
fn stable(votes: &[Signed<CheckpointVote>], common: &mut Common) -> Result<(), String> {
    let mut voters = BTreeSet::new();
    let mut claims = Vec::with_capacity(votes.len());
    let first = votes
        .first()
        .map(|vote| (vote.body.seq_no, vote.body.digest));
    for vote in votes {
        if Some((vote.body.seq_no, vote.body.digest)) != first {
            return Err("its votes differ".to_owned());
        }
        voters.insert(vote.body.replica);
        match common.keyring.claim(vote, Domain::Checkpoint) {
            Ok(claim) => claims.push(claim),
            Err(fault) => return Err(fault.to_string()),
        }
    }
    if voters.len() < common.keyring.quorum().strong() {
        return Err(format!("only {} replicas voted", voters.len()));
    }
    holds(&claims, common)
}
