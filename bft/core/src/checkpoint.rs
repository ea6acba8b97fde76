//! Checkpoints: votes on the service's state, and the watermarks they move.
//!
//! Every `interval` numbers each replica signs the digest of its state; a
//! strong quorum of equal votes makes the checkpoint *stable* and everything
//! below it garbage (PBFT §4.3). A replica that fell below what its peers keep
//! learns here which state to fetch.

use std::collections::BTreeMap;

use crate::{
    ids::{Digest, ReplicaId, SeqNo},
    limits::{MAX_FAR_VOTES, WATERMARK_INTERVALS},
    message::{CheckpointVote, Signed},
    quorum::Quorum,
};

/// Votes on checkpoints: those above the last stable one are counted, those of the
/// numbers still kept below it are there for replicas that missed them.
#[derive(Debug)]
pub struct Checkpoints {
    interval: u64,
    low: SeqNo,
    /// A strong quorum of equal votes for `low`.
    proof: Vec<Signed<CheckpointVote>>,
    votes: BTreeMap<SeqNo, BTreeMap<ReplicaId, Signed<CheckpointVote>>>,
    /// The latest votes of each replica for numbers beyond the window.
    far: BTreeMap<ReplicaId, BTreeMap<SeqNo, Signed<CheckpointVote>>>,
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
            far: BTreeMap::new(),
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
    pub const fn is_due(&self, number: SeqNo) -> bool {
        number.0.is_multiple_of(self.interval)
    }

    /// Counts a vote; the first of each replica for a number stands. Returns the
    /// digest of a strong quorum if there is one at the vote's number, and the votes.
    /// Whose vote was the last to come does not matter: a replica with another state
    /// than the quorum must learn of it from its own vote, too.
    pub fn add(
        &mut self,
        vote: Signed<CheckpointVote>,
        quorum: Quorum,
    ) -> Option<(Digest, Vec<Signed<CheckpointVote>>)> {
        let number = vote.body.number;
        if number <= self.low || !self.is_due(number) {
            return None;
        }
        if number > self.hold() {
            self.add_far(vote);
            return None;
        }
        let votes = self.votes.entry(number).or_default();
        votes.entry(vote.body.replica).or_insert(vote);
        let mut equal: BTreeMap<Digest, Vec<_>> = BTreeMap::new();
        for vote in votes.values() {
            equal.entry(vote.body.digest).or_default().push(*vote);
        }
        equal
            .into_iter()
            .find(|(_, votes)| votes.len() >= quorum.strong())
    }

    fn add_far(&mut self, vote: Signed<CheckpointVote>) {
        let votes = self.far.entry(vote.body.replica).or_default();
        votes.entry(vote.body.number).or_insert(vote);
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
    pub fn certified(
        &self,
        number: SeqNo,
        quorum: Quorum,
    ) -> Option<(SeqNo, Digest, Vec<Signed<CheckpointVote>>)> {
        let near = self.votes.values().flat_map(BTreeMap::values);
        let far = self.far.values().flat_map(BTreeMap::values);
        let mut alike: BTreeMap<(SeqNo, Digest), Vec<_>> = BTreeMap::new();
        for vote in near.chain(far) {
            let Signed { body, .. } = vote;
            if body.number > number {
                alike
                    .entry((body.number, body.digest))
                    .or_default()
                    .push(*vote);
            }
        }
        let mut certified = alike.into_iter().rev();
        let found = certified.find(|(_, votes)| votes.len() >= quorum.strong());
        found.map(|((number, digest), votes)| (number, digest, votes))
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

    /// The digest this replica voted for at `number`.
    #[must_use]
    pub fn vote_of(&self, replica: ReplicaId, number: SeqNo) -> Option<Digest> {
        self.votes
            .get(&number)?
            .get(&replica)
            .map(|vote| vote.body.digest)
    }

    /// Moves the low watermark to a stable checkpoint. Votes stay as long as the log
    /// they close: who still needs the one needs the other.
    pub fn advance(
        &mut self,
        number: SeqNo,
        mut proof: Vec<Signed<CheckpointVote>>,
        quorum: Quorum,
    ) {
        if number <= self.low {
            return;
        }
        proof.truncate(quorum.strong());
        (self.low, self.proof) = (number, proof);
        let hold = self.hold();
        for votes in self.far.values_mut() {
            *votes = votes.split_off(&hold.next());
        }
        self.votes = self.votes.split_off(&self.kept_below().next());
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

    fn vote(replica: u8, number: u64, state: u8) -> Signed<CheckpointVote> {
        let body = CheckpointVote {
            epoch: Epoch(0),
            replica: ReplicaId(replica),
            incarnation: Incarnation(0),
            number: SeqNo(number),
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
            assert_eq!(checkpoints.add(vote(replica, 10, 1), quorum), None);
        }
        let (state, votes) = checkpoints.add(vote(2, 10, 1), quorum).unwrap();
        assert_eq!((state, votes.len()), (Digest([1; 32]), 3));
        let (state, votes) = checkpoints.add(vote(3, 10, 9), quorum).unwrap();
        assert_eq!((state, votes.len()), (Digest([1; 32]), 3));
        assert_eq!(
            checkpoints.vote_of(ReplicaId(3), SeqNo(10)),
            Some(Digest([9; 32]))
        );
    }

    /// Votes are kept for who lags, for as many intervals as the log, and no more.
    #[test]
    fn votes_are_kept_as_long_as_the_log() {
        let quorum = Quorum::new(4).unwrap();
        let mut checkpoints = Checkpoints::new(10);
        for number in (10..=1000).step_by(10) {
            for replica in 0..4 {
                checkpoints.add(vote(replica, number, 1), quorum);
            }
            checkpoints.advance(SeqNo(number), Vec::new(), quorum);
        }
        let kept: Vec<_> = checkpoints
            .votes_by(ReplicaId(2))
            .map(|v| v.body.number.0)
            .collect();
        assert_eq!(kept, [970, 980, 990, 1000]);
        // Whatever a member says, only numbers of the window above are taken in.
        for number in 900..3000 {
            checkpoints.add(vote(0, number, 1), quorum);
        }
        assert_eq!(checkpoints.votes.len() as u64, 3 * WATERMARK_INTERVALS);
    }
}
