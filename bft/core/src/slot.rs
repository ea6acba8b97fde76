//! One sequence number's way to a decision: pre-prepare, prepares, commits.
//!
//! A slot only collects and counts; when to vote is the replica's business
//! ([`crate::replica`]). Votes are kept by voter, so that nobody counts twice,
//! and only those for the accepted proposal's digest count (PBFT §4.2).

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    ids::{Digest, ReplicaId, SeqNo, View},
    invariants::Violation,
    message::{Signed, Vote},
    misbehaviour::Fault,
    quorum::Quorum,
    seal::{CheckedPrePrepare, CheckedProposal},
};

/// A commit vote and whether its signature was checked.
#[derive(Clone, Copy, Debug)]
struct CommitVote {
    vote: Signed<Vote>,
    checked: bool,
    bad: bool,
}

/// Proof to anyone that a proposal was prepared in a view: the pre-prepare's vote
/// and matching prepares of distinct backups (PBFT §4.4). What view changes carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedCertificate {
    /// The primary's vote.
    pub pre_prepare: Signed<Vote>,
    /// Prepares, by distinct backups.
    pub prepares: Vec<Signed<Vote>>,
}

/// Proof to anyone that a proposal was decided: a strong quorum of commits whose
/// signatures were checked. What catch-up, audit and backup carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitCertificate {
    /// Commits, by distinct replicas.
    pub commits: Vec<Signed<Vote>>,
}

/// The state of one number in one view.
#[derive(Clone, Debug)]
pub struct Slot {
    number: SeqNo,
    view: View,
    pre_prepare: Option<CheckedPrePrepare>,
    prepares: BTreeMap<ReplicaId, Signed<Vote>>,
    commits: BTreeMap<ReplicaId, CommitVote>,
    /// Own votes, sent.
    pub(crate) prepare_sent: bool,
    /// Own commit, sent.
    pub(crate) commit_sent: bool,
    /// The accepted proposal's time was off by this replica's clock: no prepare for it.
    pub(crate) untimely: bool,
    decided: bool,
}

impl Slot {
    /// An empty slot.
    #[must_use]
    pub const fn new(number: SeqNo, view: View) -> Self {
        Self {
            number,
            view,
            pre_prepare: None,
            prepares: BTreeMap::new(),
            commits: BTreeMap::new(),
            prepare_sent: false,
            commit_sent: false,
            untimely: false,
            decided: false,
        }
    }

    /// The proposal accepted for this number.
    #[must_use]
    pub fn proposal(&self) -> Option<&Arc<CheckedProposal>> {
        self.pre_prepare.as_ref().map(|message| &message.proposal)
    }

    /// The accepted pre-prepare.
    #[must_use]
    pub const fn pre_prepare(&self) -> Option<&CheckedPrePrepare> {
        self.pre_prepare.as_ref()
    }

    /// Whether this number is decided.
    #[must_use]
    pub const fn is_decided(&self) -> bool {
        self.decided
    }

    fn digest(&self) -> Option<Digest> {
        self.proposal().map(|proposal| proposal.digest())
    }

    /// Accepts the first pre-prepare; the same again is nothing new.
    ///
    /// # Errors
    /// [`Fault::Equivocation`] if the primary signed another digest before: the first stands.
    pub fn accept(&mut self, message: CheckedPrePrepare) -> Result<bool, Fault> {
        match &self.pre_prepare {
            None => {
                self.pre_prepare = Some(message);
                Ok(true)
            }
            Some(first) if first.vote.body == message.vote.body => Ok(false),
            Some(first) => Err(equivocation(first.vote, message.vote)),
        }
    }

    /// Adds a backup's prepare; the first of each backup stands.
    ///
    /// # Errors
    /// [`Fault::Equivocation`] if the backup signed another digest before.
    pub fn add_prepare(&mut self, vote: Signed<Vote>) -> Result<bool, Fault> {
        match self.prepares.get(&vote.body.replica) {
            None => {
                self.prepares.insert(vote.body.replica, vote);
                Ok(true)
            }
            Some(first) if first.body == vote.body => Ok(false),
            Some(first) => Err(equivocation(*first, vote)),
        }
    }

    /// Adds a commit on its link's word; the first of each replica stands. A later,
    /// different one proves nothing yet: neither signature was checked.
    pub fn add_commit(&mut self, vote: Signed<Vote>, checked: bool) -> bool {
        let replica = vote.body.replica;
        if self.commits.contains_key(&replica) {
            return false;
        }
        self.commits.insert(
            replica,
            CommitVote {
                vote,
                checked,
                bad: false,
            },
        );
        true
    }

    /// Whether a prepare by `replica` would still tell this slot something.
    #[must_use]
    pub fn wants_prepare(&self, replica: ReplicaId, quorum: Quorum) -> bool {
        !self.prepares.contains_key(&replica) && !self.is_prepared(quorum)
    }

    /// PBFT §4.2: the pre-prepare and matching prepares of distinct backups,
    /// a strong quorum together with the primary.
    #[must_use]
    pub fn is_prepared(&self, quorum: Quorum) -> bool {
        self.matching_prepares(quorum).count() + 1 >= quorum.strong() && self.pre_prepare.is_some()
    }

    fn matching_prepares(&self, quorum: Quorum) -> impl Iterator<Item = &Signed<Vote>> {
        let digest = self.digest();
        let primary = quorum.primary(self.view);
        self.prepares
            .values()
            .filter(move |vote| Some(vote.body.digest) == digest && vote.body.replica != primary)
    }

    fn matching_commits(&self) -> impl Iterator<Item = &CommitVote> {
        let digest = self.digest();
        self.commits
            .values()
            .filter(move |commit| Some(commit.vote.body.digest) == digest)
    }

    /// Takes the decision if a strong quorum committed the accepted proposal;
    /// true if it was not decided before.
    pub fn decide(&mut self, quorum: Quorum) -> bool {
        let decides = !self.decided
            && self.pre_prepare.is_some()
            && self.matching_commits().count() >= quorum.strong();
        self.decided |= decides;
        decides
    }

    /// The prepared certificate, once prepared.
    #[must_use]
    pub fn prepared_certificate(&self, quorum: Quorum) -> Option<PreparedCertificate> {
        let pre_prepare = self
            .pre_prepare
            .as_ref()
            .filter(|_| self.is_prepared(quorum))?
            .vote;
        let prepares = self
            .matching_prepares(quorum)
            .take(quorum.strong() - 1)
            .copied()
            .collect();
        Some(PreparedCertificate {
            pre_prepare,
            prepares,
        })
    }

    /// The commit certificate, once enough signatures were checked.
    #[must_use]
    pub fn commit_certificate(&self, quorum: Quorum) -> Option<CommitCertificate> {
        let checked = self.matching_commits().filter(|commit| commit.checked);
        let commits: Vec<_> = checked
            .map(|commit| commit.vote)
            .take(quorum.strong())
            .collect();
        (commits.len() == quorum.strong()).then_some(CommitCertificate { commits })
    }

    /// The commits to check so that a certificate forms: just enough of them.
    pub fn commits_to_check(&self, quorum: Quorum) -> impl Iterator<Item = Signed<Vote>> {
        let checked = self
            .matching_commits()
            .filter(|commit| commit.checked)
            .count();
        self.matching_commits()
            .filter(|commit| !commit.checked && !commit.bad)
            .map(|commit| commit.vote)
            .take(quorum.strong().saturating_sub(checked))
    }

    /// Marks a commit's signature as good.
    pub fn commit_is_good(&mut self, vote: &Signed<Vote>) {
        if let Some(commit) = self.commits.get_mut(&vote.body.replica)
            && commit.vote == *vote
        {
            commit.checked = true;
        }
    }

    /// Strikes out a commit whose signature failed from any certificate; the decision
    /// was counted on the link's word and stands.
    pub fn commit_is_bad(&mut self, replica: ReplicaId) {
        if let Some(commit) = self.commits.get_mut(&replica) {
            commit.bad = true;
        }
    }

    /// Replicas that committed this digest here.
    #[must_use]
    pub fn commits_for(&self, digest: Digest) -> usize {
        self.commits
            .values()
            .filter(|commit| commit.vote.body.digest == digest)
            .count()
    }

    /// Whether a bad commit took the place of one that the certificate needs.
    #[must_use]
    pub fn is_short_of_commits(&self, quorum: Quorum) -> bool {
        self.decided
            && self.commits.values().any(|commit| commit.bad)
            && self.commit_certificate(quorum).is_none()
    }

    /// Own votes in this slot, to be sent again.
    pub fn own_votes(&self, me: ReplicaId) -> (Option<Signed<Vote>>, Option<Signed<Vote>>) {
        let prepare = self
            .prepares
            .get(&me)
            .filter(|_| self.prepare_sent)
            .copied();
        let commit = self
            .commits
            .get(&me)
            .filter(|_| self.commit_sent)
            .map(|c| c.vote);
        (prepare, commit)
    }

    /// What must hold of a slot.
    ///
    /// # Errors
    /// [`Violation`] naming what does not.
    pub fn invariants(&self, quorum: Quorum) -> Result<(), Violation> {
        let (number, view) = (self.number, self.view);
        if self.commit_sent && !self.is_prepared(quorum) {
            return Err(Violation::CommitUnprepared { number, view });
        }
        let votes = self.matching_commits().count();
        if self.decided && votes < quorum.strong() {
            return Err(Violation::DecidedByFew { number, votes });
        }
        for (what, len) in [
            ("prepares", self.prepares.len()),
            ("commits", self.commits.len()),
        ] {
            if len > quorum.n() {
                return Err(Violation::Unbounded {
                    what,
                    len,
                    bound: quorum.n(),
                });
            }
        }
        Ok(())
    }
}

fn equivocation(first: Signed<Vote>, second: Signed<Vote>) -> Fault {
    Fault::Equivocation {
        first: Box::new(first),
        second: Box::new(second),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::Signature,
        ids::{Epoch, Incarnation, OrderedTime},
    };

    fn vote(replica: u8, digest: Digest) -> Signed<Vote> {
        let body = Vote {
            epoch: Epoch(0),
            replica: ReplicaId(replica),
            incarnation: Incarnation(0),
            view: View(0),
            number: SeqNo(1),
            digest,
        };
        Signed {
            body,
            signature: Signature([replica; 64]),
        }
    }

    fn quorum() -> Quorum {
        Quorum::new(4).unwrap()
    }

    /// A slot of four replicas with a proposal accepted, and its digest.
    fn accepted() -> (Slot, Digest) {
        let proposal = Arc::new(CheckedProposal::new(OrderedTime(1), Vec::new()));
        let digest = proposal.digest();
        let mut slot = Slot::new(SeqNo(1), View(0));
        let message = CheckedPrePrepare {
            vote: vote(0, digest),
            proposal,
        };
        assert_eq!(slot.accept(message), Ok(true));
        (slot, digest)
    }

    /// Votes alone prepare and decide nothing: what they are for must be here.
    #[test]
    fn votes_without_their_proposal_decide_nothing() {
        let (_, digest) = accepted();
        let mut slot = Slot::new(SeqNo(1), View(0));
        for replica in 0..4 {
            slot.add_prepare(vote(replica, digest)).unwrap();
            slot.add_commit(vote(replica, digest), true);
        }
        assert!(!slot.is_prepared(quorum()) && !slot.decide(quorum()));
        assert_eq!(slot.prepared_certificate(quorum()), None);
        assert_eq!(slot.commit_certificate(quorum()), None);
        assert_eq!(slot.invariants(quorum()), Ok(()));
    }

    #[test]
    fn a_decision_is_taken_once() {
        let (mut slot, digest) = accepted();
        (1..4).for_each(|replica| assert!(slot.add_commit(vote(replica, digest), false)));
        assert!(slot.decide(quorum()));
        assert!(!slot.decide(quorum()));
        assert!(slot.is_decided());
    }

    /// Unchecked and bad commits prove nothing, and a bad one is not checked again.
    #[test]
    fn only_checked_commits_make_a_certificate() {
        let (mut slot, digest) = accepted();
        (0..4).for_each(|replica| assert!(slot.add_commit(vote(replica, digest), false)));
        assert!(slot.decide(quorum()));
        assert_eq!(slot.commits_to_check(quorum()).count(), 3);
        slot.commit_is_bad(ReplicaId(0));
        assert!(slot.is_short_of_commits(quorum()));
        for vote in slot.commits_to_check(quorum()).collect::<Vec<_>>() {
            assert_eq!(slot.commit_certificate(quorum()), None);
            assert_ne!(vote.body.replica, ReplicaId(0));
            slot.commit_is_good(&vote);
        }
        assert_eq!(slot.commit_certificate(quorum()).unwrap().commits.len(), 3);
        assert!(!slot.is_short_of_commits(quorum()));
        assert_eq!(slot.commits_to_check(quorum()).count(), 0);
    }

    /// The verdict on one vote says nothing of another by the same replica.
    #[test]
    fn a_verdict_is_for_the_vote_that_was_checked() {
        let (mut slot, digest) = accepted();
        (1..4).for_each(|replica| assert!(slot.add_commit(vote(replica, digest), false)));
        for replica in 1..4 {
            slot.commit_is_good(&vote(replica, Digest([9; 32])));
        }
        assert_eq!(slot.commit_certificate(quorum()), None);
    }

    #[test]
    fn a_commit_that_was_not_prepared_breaks_an_invariant() {
        let (mut slot, digest) = accepted();
        slot.add_prepare(vote(1, digest)).unwrap();
        assert_eq!(slot.invariants(quorum()), Ok(()));
        slot.commit_sent = true;
        let (number, view) = (SeqNo(1), View(0));
        assert_eq!(
            slot.invariants(quorum()),
            Err(Violation::CommitUnprepared { number, view })
        );
    }

    #[test]
    fn a_decision_by_few_breaks_an_invariant() {
        let (mut slot, digest) = accepted();
        (1..4).for_each(|replica| assert!(slot.add_commit(vote(replica, digest), false)));
        assert!(slot.decide(quorum()));
        assert_eq!(slot.invariants(quorum()), Ok(()));
        slot.commits.remove(&ReplicaId(2));
        let few = Violation::DecidedByFew {
            number: SeqNo(1),
            votes: 2,
        };
        assert_eq!(slot.invariants(quorum()), Err(few));
    }

    #[test]
    fn more_votes_than_members_break_an_invariant() {
        let (mut slot, digest) = accepted();
        (0..5).for_each(|replica| assert!(slot.add_commit(vote(replica, digest), false)));
        let (what, len, bound) = ("commits", 5, 4);
        assert_eq!(
            slot.invariants(quorum()),
            Err(Violation::Unbounded { what, len, bound })
        );
    }
}
