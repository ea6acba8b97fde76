//! Collects checkpoint votes, and moves the watermarks (PBFT §4.3).
//!
//! Every `interval` numbers each replica signs the digest of its state; a
//! strong quorum of equal votes makes the checkpoint *stable* and everything
//! below it garbage (PBFT §4.3). Such a quorum is a proof to anyone and is passed
//! on as a whole, so that a faulty replica that tells one peer another digest
//! first cannot keep it from that peer. A replica that fell below what its peers
//! keep learns here which state to fetch.

use std::collections::BTreeMap;

use crate::{
    ids::{Digest, ReplicaId, SeqNo},
    limits::{MAX_FAR_VOTES, MAX_PROOFS, WATERMARK_INTERVALS},
    message::{CheckpointVote, Signed},
    quorum::Quorum,
};

/// A state that a strong quorum of replicas vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedState {
    /// The checkpoint.
    pub seq_no: SeqNo,
    /// The digest of the state.
    pub digest: Digest,
    /// The equal votes that certify it.
    pub votes: Vec<Signed<CheckpointVote>>,
}

/// Votes on checkpoints: those above the last stable one are counted, those of the
/// numbers still kept below it are there for replicas that missed them.
#[derive(Debug)]
pub struct Checkpoints {
    interval: u64,
    low: SeqNo,
    /// A strong quorum of equal votes for `low`.
    proof: Vec<Signed<CheckpointVote>>,
    votes: BTreeMap<SeqNo, BTreeMap<ReplicaId, Signed<CheckpointVote>>>,
    /// The digests of this replica's own states above `low`.
    own: BTreeMap<SeqNo, Digest>,
    /// The latest votes of each replica for numbers beyond the window.
    far: BTreeMap<ReplicaId, BTreeMap<SeqNo, Signed<CheckpointVote>>>,
    /// Proofs that peers passed on, of checkpoints above `low`.
    proven: BTreeMap<SeqNo, Vec<Signed<CheckpointVote>>>,
}

impl Checkpoints {
    /// No checkpoint yet; one is due every `interval` numbers (at least 1).
    #[must_use]
    pub fn new(interval: u64) -> Self {
        Self {
            interval: interval.max(1),
            low: SeqNo(0),
            proof: Vec::new(),
            votes: BTreeMap::new(),
            own: BTreeMap::new(),
            far: BTreeMap::new(),
            proven: BTreeMap::new(),
        }
    }

    /// The last stable checkpoint.
    #[must_use]
    pub const fn low(&self) -> SeqNo {
        self.low
    }

    /// A strong quorum of equal votes for [`Self::low`]; none at the beginning of the log.
    #[must_use]
    pub fn proof(&self) -> &[Signed<CheckpointVote>] {
        &self.proof
    }

    /// The last number that may be voted on.
    #[must_use]
    pub const fn high(&self) -> SeqNo {
        SeqNo(self.low.0 + self.interval * WATERMARK_INTERVALS)
    }

    /// The last number whose messages are held for a primary that is ahead.
    #[must_use]
    pub const fn hold(&self) -> SeqNo {
        SeqNo(self.low.0 + 2 * self.interval * WATERMARK_INTERVALS)
    }

    /// The last number below the low watermark that is kept for replicas that lag.
    #[must_use]
    pub const fn kept_below(&self) -> SeqNo {
        SeqNo(
            self.low
                .0
                .saturating_sub(self.interval * WATERMARK_INTERVALS),
        )
    }

    /// Whether `number` ends a checkpoint interval.
    #[must_use]
    pub const fn is_due(&self, seq_no: SeqNo) -> bool {
        seq_no.0.is_multiple_of(self.interval)
    }

    /// Keeps a vote; the first of each replica for a number stands.
    pub fn add(&mut self, vote: Signed<CheckpointVote>) {
        let seq_no = vote.body.seq_no;
        if seq_no <= self.low || !self.is_due(seq_no) {
            return;
        }
        if seq_no > self.hold() {
            self.add_far(vote);
            return;
        }
        let votes = self.votes.entry(seq_no).or_default();
        votes.entry(vote.body.replica).or_insert(vote);
    }

    /// Keeps a proof, a strong quorum of equal votes that was checked; true if it is news.
    pub fn prove(&mut self, votes: Vec<Signed<CheckpointVote>>) -> bool {
        let seq_no = votes.first().map(|vote| vote.body.seq_no);
        let seq_no = seq_no.unwrap_or_default();
        if seq_no <= self.low || !self.is_due(seq_no) || self.proven.contains_key(&seq_no) {
            return false;
        }
        self.proven.insert(seq_no, votes);
        if self.proven.len() > MAX_PROOFS {
            self.proven.pop_first();
        }
        self.proven.contains_key(&seq_no)
    }

    /// Whether a proof for `number` would be news.
    #[must_use]
    pub fn wants_proof(&self, seq_no: SeqNo) -> bool {
        seq_no > self.low && !self.proven.contains_key(&seq_no)
    }

    /// The digest that a strong quorum voted for at `number` above the low watermark, and
    /// the votes. Whose vote was the last to come does not matter: a replica with another
    /// state than the quorum must learn of it from its own vote, too.
    #[must_use]
    pub fn agreed(&self, seq_no: SeqNo, quorum: Quorum) -> Option<CertifiedState> {
        if seq_no <= self.low {
            return None;
        }
        if let Some(votes) = self.proven.get(&seq_no) {
            return Some(CertifiedState {
                seq_no,
                digest: votes.first()?.body.digest,
                votes: votes.clone(),
            });
        }
        let mut equal: BTreeMap<Digest, Vec<_>> = BTreeMap::new();
        for vote in self.votes.get(&seq_no)?.values() {
            equal.entry(vote.body.digest).or_default().push(*vote);
        }
        let (digest, votes) = equal
            .into_iter()
            .find(|(_, votes)| votes.len() >= quorum.strong())?;
        Some(CertifiedState {
            seq_no,
            digest,
            votes,
        })
    }

    /// The most replicas that can still vote alike at `number`, counting those not heard of.
    #[must_use]
    pub fn most_alike(&self, seq_no: SeqNo, quorum: Quorum) -> usize {
        let Some(votes) = self.votes.get(&seq_no) else {
            return quorum.n();
        };
        let mut equal: BTreeMap<Digest, usize> = BTreeMap::new();
        for vote in votes.values() {
            *equal.entry(vote.body.digest).or_default() += 1;
        }
        let most = equal.into_values().max().unwrap_or_default();
        most + quorum.n().saturating_sub(votes.len())
    }

    /// An earlier vote of the same replica for the same number, in the same incarnation, that says
    /// otherwise.
    #[must_use]
    pub fn contradicted(&self, vote: &CheckpointVote) -> Option<Signed<CheckpointVote>> {
        let near = self.votes.get(&vote.seq_no);
        let near = near.and_then(|votes| votes.get(&vote.replica));
        let far = || self.far.get(&vote.replica)?.get(&vote.seq_no);
        let first = near.or_else(far)?;
        let nonce = |vote: &CheckpointVote| (vote.epoch, vote.incarnation);
        let contradicts = nonce(&first.body) == nonce(vote) && first.body.digest != vote.digest;
        contradicts.then_some(*first)
    }

    /// Votes for another state at `number` than the one that `agreed` names.
    pub fn dissent(
        &self,
        seq_no: SeqNo,
        agreed: Digest,
    ) -> impl Iterator<Item = Signed<CheckpointVote>> + use<> {
        let votes = self
            .votes
            .get(&seq_no)
            .into_iter()
            .flat_map(BTreeMap::values);
        let dissent: Vec<_> = votes
            .filter(|vote| vote.body.digest != agreed)
            .copied()
            .collect();
        dissent.into_iter()
    }

    fn add_far(&mut self, vote: Signed<CheckpointVote>) {
        let votes = self.far.entry(vote.body.replica).or_default();
        votes.entry(vote.body.seq_no).or_insert(vote);
        if votes.len() > MAX_FAR_VOTES {
            votes.pop_first();
        }
    }

    /// Whether more than f replicas are beyond what this one can follow.
    #[must_use]
    pub fn is_left_behind(&self, quorum: Quorum) -> bool {
        let beyond = self.far.values().filter(|votes| !votes.is_empty());
        beyond.count() >= quorum.weak()
    }

    /// The highest checkpoint above `number` that a strong quorum voted for alike.
    #[must_use]
    pub fn certified(&self, seq_no: SeqNo, quorum: Quorum) -> Option<CertifiedState> {
        let near = self.votes.values().flat_map(BTreeMap::values);
        let far = self.far.values().flat_map(BTreeMap::values);
        let mut alike: BTreeMap<(SeqNo, Digest), Vec<_>> = BTreeMap::new();
        for vote in near.chain(far) {
            let Signed { body, .. } = vote;
            if body.seq_no > seq_no {
                alike
                    .entry((body.seq_no, body.digest))
                    .or_default()
                    .push(*vote);
            }
        }
        let mut certified = alike.into_iter().rev();
        let counted = certified.find(|(_, votes)| votes.len() >= quorum.strong());
        let counted = counted.map(|((seq_no, digest), votes)| CertifiedState {
            seq_no,
            digest,
            votes,
        });
        let proven = self.proven.last_key_value().and_then(|(seq_no, votes)| {
            Some(CertifiedState {
                seq_no: *seq_no,
                digest: votes.first()?.body.digest,
                votes: votes.clone(),
            })
        });
        let found = [counted, proven].into_iter().flatten();
        found
            .filter(|state| state.seq_no > seq_no)
            .max_by_key(|state| state.seq_no)
    }

    /// The highest checkpoint that peers proved to be stable, if any above the low watermark.
    #[must_use]
    pub fn proven(&self) -> SeqNo {
        let last = self.proven.last_key_value();
        last.map_or(SeqNo(0), |(seq_no, _)| *seq_no)
    }

    /// Numbers between the watermarks, and those kept below them for who lags.
    #[must_use]
    pub const fn span(&self) -> u64 {
        self.interval * WATERMARK_INTERVALS
    }

    /// This replica's votes that are still kept, to be sent again.
    pub fn votes_by(&self, replica: ReplicaId) -> impl Iterator<Item = Signed<CheckpointVote>> {
        self.votes
            .values()
            .filter_map(move |votes| votes.get(&replica).copied())
    }

    /// Numbers between two checkpoints.
    #[must_use]
    pub const fn interval(&self) -> u64 {
        self.interval
    }

    /// This replica has the state `digest` after `number`.
    pub fn reach(&mut self, seq_no: SeqNo, digest: Digest) {
        if seq_no > self.low {
            self.own.insert(seq_no, digest);
        }
    }

    /// The digest of this replica's state after `number`, if that is above the last stable one.
    #[must_use]
    pub fn own(&self, seq_no: SeqNo) -> Option<Digest> {
        self.own.get(&seq_no).copied()
    }

    /// Numbers whose state this replica, `me`, has and did not vote on.
    #[must_use]
    pub fn owed(&self, me: ReplicaId) -> Vec<SeqNo> {
        let voted = |seq_no| {
            let votes = self.votes.get(seq_no);
            votes.is_some_and(|votes| votes.contains_key(&me))
        };
        let owed = self.own.keys().filter(|seq_no| !voted(seq_no));
        owed.copied().collect()
    }

    /// Moves the low watermark to a stable checkpoint. Votes stay as long as the log
    /// they close: who still needs the one needs the other.
    pub fn advance(
        &mut self,
        seq_no: SeqNo,
        mut proof: Vec<Signed<CheckpointVote>>,
        quorum: Quorum,
    ) {
        if seq_no <= self.low {
            return;
        }
        proof.truncate(quorum.strong());
        (self.low, self.proof) = (seq_no, proof);
        let hold = self.hold();
        for votes in self.far.values_mut() {
            *votes = votes.split_off(&hold.next());
        }
        self.votes = self.votes.split_off(&self.kept_below().next());
        self.proven = self.proven.split_off(&seq_no.next());
        self.own = self.own.split_off(&seq_no.next());
    }

    /// Whether a checkpoint that was reached here is not stable yet.
    #[must_use]
    pub const fn is_awaited(&self, executed: SeqNo) -> bool {
        executed.0.saturating_sub(self.low.0) >= self.interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::Signature,
        ids::{Epoch, Incarnation},
    };

    fn vote(replica: u8, seq_no: u64, state: u8) -> Signed<CheckpointVote> {
        let body = CheckpointVote {
            epoch: Epoch(0),
            replica: ReplicaId(replica),
            incarnation: Incarnation(0),
            seq_no: SeqNo(seq_no),
            digest: Digest([state; 32]),
        };
        Signed {
            body,
            signature: Signature([0; 64]),
        }
    }

    #[test]
    fn the_window_is_counted_from_the_stable_checkpoint() {
        let mut checkpoints = Checkpoints::new(10);
        let marks = |c: &Checkpoints| (c.kept_below().0, c.low().0, c.high().0, c.hold().0);
        assert_eq!(marks(&checkpoints), (0, 0, 40, 80));
        let quorum = Quorum::new(4).unwrap();
        checkpoints.advance(SeqNo(50), Vec::new(), quorum);
        assert_eq!(marks(&checkpoints), (10, 50, 90, 130));
        checkpoints.advance(SeqNo(20), Vec::new(), quorum);
        assert_eq!(marks(&checkpoints), (10, 50, 90, 130), "never back");
        assert!(
            Checkpoints::new(0).is_due(SeqNo(1)),
            "an interval of nothing is one of one"
        );
    }

    #[test]
    fn a_reached_checkpoint_is_awaited_until_it_is_stable() {
        let mut checkpoints = Checkpoints::new(10);
        assert!(!checkpoints.is_awaited(SeqNo(9)));
        assert!(checkpoints.is_awaited(SeqNo(10)));
        checkpoints.advance(SeqNo(10), Vec::new(), Quorum::new(4).unwrap());
        assert!(!checkpoints.is_awaited(SeqNo(19)));
    }

    /// The vote that completes nothing itself may still be the one that tells.
    #[test]
    fn a_quorum_is_reported_whoever_votes_last() {
        let quorum = Quorum::new(4).unwrap();
        let mut checkpoints = Checkpoints::new(10);
        for replica in 0..2 {
            checkpoints.add(vote(replica, 10, 1));
            assert_eq!(checkpoints.agreed(SeqNo(10), quorum), None);
        }
        checkpoints.add(vote(2, 10, 1));
        let CertifiedState {
            digest: state,
            votes,
            ..
        } = checkpoints.agreed(SeqNo(10), quorum).unwrap();
        assert_eq!((state, votes.len()), (Digest([1; 32]), 3));
        checkpoints.add(vote(3, 10, 9));
        let CertifiedState {
            digest: state,
            votes,
            ..
        } = checkpoints.agreed(SeqNo(10), quorum).unwrap();
        assert_eq!((state, votes.len()), (Digest([1; 32]), 3));
        assert_eq!(
            checkpoints.votes[&SeqNo(10)]
                .get(&ReplicaId(3))
                .map(|vote| vote.body.digest),
            Some(Digest([9; 32]))
        );
    }

    /// The highest ones: they tell where the others are.
    #[test]
    fn votes_from_far_ahead_are_few() {
        let mut checkpoints = Checkpoints::new(10);
        for seq_no in (1000..2000).step_by(10) {
            checkpoints.add(vote(2, seq_no, 1));
        }
        let kept = checkpoints.far[&ReplicaId(2)].keys().map(|seq_no| seq_no.0);
        assert_eq!(kept.collect::<Vec<_>>(), [1960, 1970, 1980, 1990]);
    }

    /// Votes are kept for who lags, for as many intervals as the log, and no more.
    #[test]
    fn votes_are_kept_as_long_as_the_log() {
        let quorum = Quorum::new(4).unwrap();
        let mut checkpoints = Checkpoints::new(10);
        for seq_no in (10..=1000).step_by(10) {
            for replica in 0..4 {
                checkpoints.add(vote(replica, seq_no, 1));
            }
            checkpoints.advance(SeqNo(seq_no), Vec::new(), quorum);
        }
        let kept: Vec<_> = checkpoints
            .votes_by(ReplicaId(2))
            .map(|v| v.body.seq_no.0)
            .collect();
        assert_eq!(kept, [970, 980, 990, 1000]);
        // Whatever a member says, only numbers of the window above are taken in.
        for seq_no in 900..3000 {
            checkpoints.add(vote(0, seq_no, 1));
        }
        assert_eq!(checkpoints.votes.len() as u64, 3 * WATERMARK_INTERVALS);
    }

    /// A vote that a faulty replica sent here first does not outvote the one in the proof.
    #[test]
    fn a_proof_stands_whatever_its_signers_said_before() {
        let quorum = Quorum::new(4).unwrap();
        let mut checkpoints = Checkpoints::new(10);
        checkpoints.add(vote(0, 10, 9));
        let proof: Vec<_> = (0..3).map(|replica| vote(replica, 10, 1)).collect();
        proof.iter().for_each(|vote| checkpoints.add(*vote));
        assert_eq!(checkpoints.agreed(SeqNo(10), quorum), None);
        assert!(checkpoints.prove(proof.clone()) && !checkpoints.prove(proof.clone()));
        let certified = CertifiedState {
            seq_no: SeqNo(10),
            digest: Digest([1; 32]),
            votes: proof.clone(),
        };
        assert_eq!(
            checkpoints.agreed(SeqNo(10), quorum).as_ref(),
            Some(&certified)
        );
        assert_eq!(checkpoints.certified(SeqNo(9), quorum), Some(certified));
        assert_eq!(checkpoints.certified(SeqNo(10), quorum), None);
        checkpoints.advance(SeqNo(10), proof, quorum);
        assert_eq!(checkpoints.proven(), SeqNo(0));
    }

    /// However far ahead the proofs are that come in, the highest few are kept.
    #[test]
    fn proofs_are_bounded() {
        let mut checkpoints = Checkpoints::new(10);
        for seq_no in (10..=1000).step_by(10) {
            checkpoints.prove((0..3).map(|replica| vote(replica, seq_no, 1)).collect());
        }
        assert_eq!(checkpoints.proven.len(), MAX_PROOFS);
        assert_eq!(checkpoints.proven(), SeqNo(1000));
        assert!(!checkpoints.prove((0..3).map(|replica| vote(replica, 10, 1)).collect()));
    }
}
