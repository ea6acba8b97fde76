//! A slot: the votes on one sequence number, from pre-prepare to decision.
//!
//! A slot only collects and counts; when to vote is the replica's business
//! ([`crate::replica`]). Votes are kept by voter, so that nobody counts twice,
//! and only those for the accepted proposal's digest count (PBFT §4.2). A slot
//! lives through views: each begins a new round of votes, and what was prepared
//! or decided in an earlier one is kept, for view changes (§4.4) and for those
//! who lag.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    effects::PersistId,
    ids::{Digest, ReplicaId, SeqNo, View},
    invariants::Violation,
    message::{Phase, PreparedCertificate, Signed, Vote},
    misbehaviour::Offence,
    quorum::Quorum,
    verification::verified::{CheckedPrePrepare, CheckedProposal},
};

/// A commit vote and whether its signature was checked.
#[derive(Clone, Copy, Debug)]
struct CommitVote {
    vote: Signed<Vote>,
    checked: bool,
    bad: bool,
    /// Another one of this replica that says otherwise is being looked at.
    doubted: bool,
}

type Commits = BTreeMap<ReplicaId, CommitVote>;

/// A vote of this replica. It is sent, and counts for this replica's own quorums, when its
/// record is durable: until then a crash takes it back.
#[derive(Clone, Copy, Debug)]
struct OwnVote {
    vote: Signed<Vote>,
    record: PersistId,
}

/// Proof to anyone that a proposal was decided: a strong quorum of commits whose
/// signatures were checked. What catch-up, audit and backup carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitCertificate {
    /// Commits, by distinct replicas.
    pub commits: Vec<Signed<Vote>>,
}

/// A certificate with the proposal it is about.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The certificate.
    pub certificate: PreparedCertificate,
    /// The proposal.
    pub proposal: Arc<CheckedProposal>,
}

/// What was decided at a number.
#[derive(Clone, Debug)]
struct Decision {
    /// In which view, as far as this replica knows.
    view: View,
    proposal: Arc<CheckedProposal>,
    /// The commits of that view, once it is not the current one.
    commits: Commits,
    /// Taken over from peers of whom one is correct, without their votes.
    claimed: bool,
    /// By commits as they came, of a proposal that was new.
    fresh: bool,
}

/// The state of one number.
#[derive(Clone, Debug)]
pub struct Slot {
    seq_no: SeqNo,
    view: View,
    /// The primary's vote, and the proposal unless it is still to be fetched.
    pre_prepare: Option<(Signed<Vote>, Option<Arc<CheckedProposal>>)>,
    prepares: BTreeMap<ReplicaId, Signed<Vote>>,
    commits: Commits,
    own_prepare: Option<OwnVote>,
    own_commit: Option<OwnVote>,
    /// The accepted proposal's time is off by this replica's reading: no prepare for it before
    /// [`Self::is_vouched_for`].
    pub(crate) untimely: bool,
    /// The proposal is new: it was made or heard in this view and this run, and no view change
    /// carried it.
    pub(crate) new: bool,
    /// The certificate of the highest earlier view in which this number was prepared here.
    carried: Option<Prepared>,
    decision: Option<Decision>,
    /// What peers claim, over their links, to be decided here.
    claims: BTreeMap<ReplicaId, Arc<CheckedProposal>>,
}

impl Slot {
    /// An empty slot.
    #[must_use]
    pub const fn new(seq_no: SeqNo, view: View) -> Self {
        Self {
            seq_no,
            view,
            pre_prepare: None,
            prepares: BTreeMap::new(),
            commits: BTreeMap::new(),
            own_prepare: None,
            own_commit: None,
            untimely: false,
            new: false,
            carried: None,
            decision: None,
            claims: BTreeMap::new(),
        }
    }

    /// Bytes of what `replica` claims to be decided here.
    #[must_use]
    pub fn claim_bytes(&self, replica: ReplicaId) -> usize {
        let claim = self.claims.get(&replica);
        claim.map_or(0, |proposal| proposal.cost_bytes())
    }

    /// Whether anybody claims anything here.
    #[must_use]
    pub fn has_claims(&self) -> bool {
        !self.claims.is_empty()
    }

    /// Forgets what `replica` claims.
    pub fn forget_claim(&mut self, replica: ReplicaId) {
        self.claims.remove(&replica);
    }

    /// Forgets what anybody claims.
    pub fn forget_claims(&mut self) {
        self.claims.clear();
    }

    /// Begins the round of `view`: votes of earlier ones count no more; what they
    /// prepared or decided is kept.
    pub fn enter(&mut self, view: View, quorum: Quorum) {
        if view <= self.view {
            return;
        }
        if let Some(prepared) = self.prepared(quorum) {
            self.carried = Some(prepared);
        }
        let commits = std::mem::take(&mut self.commits);
        if let Some(decision) = &mut self.decision
            && decision.view == self.view
        {
            decision.commits = commits;
        }
        self.view = view;
        self.pre_prepare = None;
        self.prepares.clear();
        self.own_prepare = None;
        self.own_commit = None;
        self.untimely = false;
        self.new = false;
        // A decision of this view that peers had proven before it was entered.
        if let Some(decision) = &mut self.decision
            && decision.view == view
        {
            self.commits = std::mem::take(&mut decision.commits);
        }
    }

    /// Whether anything here outlives a change of views.
    #[must_use]
    pub const fn is_worth_keeping(&self) -> bool {
        self.carried.is_some() || self.decision.is_some()
    }

    /// The proposal accepted for this number in this view.
    #[must_use]
    pub fn proposal(&self) -> Option<&Arc<CheckedProposal>> {
        self.pre_prepare.as_ref().and_then(|(_, p)| p.as_ref())
    }

    /// The accepted pre-prepare, with its proposal.
    #[must_use]
    pub fn pre_prepare(&self) -> Option<CheckedPrePrepare> {
        let (vote, proposal) = self.pre_prepare.as_ref()?;
        let proposal = Arc::clone(proposal.as_ref()?);
        Some(CheckedPrePrepare {
            vote: *vote,
            proposal,
        })
    }

    /// The primary's vote in this view, whether or not its proposal is here.
    #[must_use]
    pub fn pre_prepare_vote(&self) -> Option<&Signed<Vote>> {
        self.pre_prepare.as_ref().map(|(vote, _)| vote)
    }

    /// The digest of a proposal that was accepted and is not here.
    #[must_use]
    pub fn lacks(&self) -> Option<Digest> {
        match &self.pre_prepare {
            Some((vote, None)) => Some(vote.body.digest),
            _ => None,
        }
    }

    /// The proposal with this digest, if any round of this number had it.
    #[must_use]
    pub fn find(&self, digest: &Digest) -> Option<&Arc<CheckedProposal>> {
        let carried = self.carried.as_ref().map(|prepared| &prepared.proposal);
        let decided = self.decided();
        [self.proposal(), carried, decided]
            .into_iter()
            .flatten()
            .chain(self.claims.values())
            .find(|proposal| proposal.digest() == *digest)
    }

    /// Whether this number is decided.
    #[must_use]
    pub const fn is_decided(&self) -> bool {
        self.decision.is_some()
    }

    /// What was decided.
    #[must_use]
    pub fn decided(&self) -> Option<&Arc<CheckedProposal>> {
        self.decision.as_ref().map(|decision| &decision.proposal)
    }

    /// Whether it was decided while it was new, as far as this replica can tell: then its time
    /// says something about now.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.decision
            .as_ref()
            .is_some_and(|decision| decision.fresh)
    }

    fn digest(&self) -> Option<Digest> {
        self.pre_prepare_vote().map(|vote| vote.body.digest)
    }

    /// Accepts the first pre-prepare; the same again is nothing new.
    ///
    /// # Errors
    /// [`Offence::Equivocation`] if the primary signed another digest before: the first stands.
    pub fn accept(&mut self, message: CheckedPrePrepare) -> Result<bool, Offence> {
        match &mut self.pre_prepare {
            None => {
                self.pre_prepare = Some((message.vote, Some(message.proposal)));
                Ok(true)
            }
            Some((first, proposal)) if first.body == message.vote.body => {
                let lacked = proposal.is_none();
                proposal.get_or_insert(message.proposal);
                Ok(lacked)
            }
            // What was said in another incarnation is no contradiction.
            Some((first, _)) if first.body.incarnation != message.vote.body.incarnation => {
                Ok(false)
            }
            Some((first, _)) => Err(equivocation(Phase::PrePrepare, *first, message.vote)),
        }
    }

    /// Accepts what a new view says of this number; the proposal may follow.
    pub fn accept_vote(&mut self, vote: Signed<Vote>, proposal: Option<Arc<CheckedProposal>>) {
        self.pre_prepare = Some((vote, proposal));
    }

    /// Takes in the proposal that [`Self::lacks`] named.
    pub fn supply(&mut self, supplied: &Arc<CheckedProposal>) -> bool {
        match &mut self.pre_prepare {
            Some((vote, proposal @ None)) if vote.body.digest == supplied.digest() => {
                *proposal = Some(Arc::clone(supplied));
                true
            }
            _ => false,
        }
    }

    /// Adds a backup's prepare; the first of each backup stands.
    ///
    /// # Errors
    /// [`Offence::Equivocation`] if the backup signed another digest before.
    pub fn add_prepare(&mut self, vote: Signed<Vote>) -> Result<bool, Offence> {
        match self.prepares.get(&vote.body.replica) {
            None => {
                self.prepares.insert(vote.body.replica, vote);
                Ok(true)
            }
            Some(first) if !contradict(&first.body, &vote.body) => Ok(false),
            Some(first) => Err(equivocation(Phase::Prepare, *first, vote)),
        }
    }

    /// Adds a commit on its link's word; the first of each replica stands.
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
                doubted: false,
            },
        );
        true
    }

    /// The commit of the same replica that this one contradicts, once: neither signature was
    /// checked, and until they are it proves nothing.
    pub fn doubt_commit(&mut self, vote: &Signed<Vote>) -> Option<Signed<Vote>> {
        let kept = self.commits.get_mut(&vote.body.replica)?;
        let news = !kept.doubted && contradict(&kept.vote.body, &vote.body);
        kept.doubted |= news;
        news.then_some(kept.vote)
    }

    /// Whether this prepare would still tell this slot something, if only that its sender
    /// voted otherwise before.
    #[must_use]
    pub fn wants_prepare(&self, vote: &Vote, quorum: Quorum) -> bool {
        match self.prepares.get(&vote.replica) {
            Some(first) => contradict(&first.body, vote),
            None => !self.is_prepared(quorum),
        }
    }

    /// PBFT §4.2: the pre-prepare and matching prepares of distinct backups,
    /// a strong quorum together with the primary.
    #[must_use]
    pub fn is_prepared(&self, quorum: Quorum) -> bool {
        self.proposal().is_some()
            && self.prepares.len() + 1 >= quorum.strong()
            && self.matching_prepares(quorum).count() + 1 >= quorum.strong()
    }

    fn matching_prepares(&self, quorum: Quorum) -> impl Iterator<Item = &Signed<Vote>> {
        let digest = self.digest();
        let primary = quorum.primary(self.view);
        self.prepares
            .values()
            .filter(move |vote| Some(vote.body.digest) == digest && vote.body.replica != primary)
    }

    /// Whether votes of a weak quorum for the accepted proposal are here, the primary's among
    /// them: somebody correct found its time good.
    #[must_use]
    pub fn is_vouched_for(&self, quorum: Quorum) -> bool {
        let Some(digest) = self.digest() else {
            return false;
        };
        self.matching_prepares(quorum).count() + 1 >= quorum.weak()
            || self.commits_for(digest) >= quorum.weak()
    }

    /// The commits for the decision, or for the accepted proposal while there is none.
    fn matching_commits(&self) -> impl Iterator<Item = &CommitVote> {
        let (commits, digest) = match &self.decision {
            Some(decision) => {
                let earlier = decision.view != self.view;
                let commits = if earlier {
                    &decision.commits
                } else {
                    &self.commits
                };
                (commits, Some(decision.proposal.digest()))
            }
            None => (&self.commits, self.digest()),
        };
        commits
            .values()
            .filter(move |commit| Some(commit.vote.body.digest) == digest)
    }

    fn commit_mut(&mut self, vote: &Vote) -> Option<&mut CommitVote> {
        let commits = if vote.view == self.view {
            &mut self.commits
        } else {
            let decision = self.decision.as_mut()?;
            (decision.view == vote.view).then_some(&mut decision.commits)?
        };
        commits.get_mut(&vote.replica)
    }

    /// Takes the decision if a strong quorum committed the accepted proposal;
    /// true if it was not decided before.
    pub fn decide(&mut self, quorum: Quorum) -> bool {
        if self.decision.is_some()
            || self.commits.len() < quorum.strong()
            || self.matching_commits().count() < quorum.strong()
        {
            return false;
        }
        let Some(proposal) = self.proposal().map(Arc::clone) else {
            return false;
        };
        self.decision = Some(Decision {
            view: self.view,
            proposal,
            commits: Commits::new(),
            claimed: false,
            fresh: self.new,
        });
        self.claims.clear();
        true
    }

    /// Takes over a decision with its commit certificate, whose signatures were checked;
    /// true if it was not decided before.
    pub fn decide_by(&mut self, proposal: &Arc<CheckedProposal>, commits: &[Signed<Vote>]) -> bool {
        let Some(view) = commits.first().map(|vote| vote.body.view) else {
            return false;
        };
        if self.decision.is_some() {
            return false;
        }
        let votes = commits.iter().map(|vote| {
            let vote = CommitVote {
                vote: *vote,
                checked: true,
                bad: false,
                doubted: false,
            };
            (vote.vote.body.replica, vote)
        });
        let decision = Decision {
            view,
            proposal: Arc::clone(proposal),
            commits: votes.collect(),
            claimed: false,
            fresh: false,
        };
        if view == self.view {
            for (replica, vote) in &decision.commits {
                self.commits.insert(*replica, *vote);
            }
        }
        self.decision = Some(decision);
        self.claims.clear();
        true
    }

    /// Counts a peer's claim that this was decided; takes the decision over once `weak`
    /// replicas claim it alike, one of which is correct. The last claim of each stands.
    pub fn claim(&mut self, from: ReplicaId, proposal: &Arc<CheckedProposal>, weak: usize) -> bool {
        if self.decision.is_some() {
            return false;
        }
        self.claims.insert(from, Arc::clone(proposal));
        let alike = self.claims.values();
        if alike.filter(|p| p.digest() == proposal.digest()).count() < weak {
            return false;
        }
        self.decision = Some(Decision {
            view: self.view,
            proposal: Arc::clone(proposal),
            commits: Commits::new(),
            claimed: true,
            fresh: false,
        });
        self.claims.clear();
        true
    }

    /// The prepared certificate of this view, once prepared.
    #[must_use]
    pub fn prepared_certificate(&self, quorum: Quorum) -> Option<PreparedCertificate> {
        if !self.is_prepared(quorum) {
            return None;
        }
        let prepares = self.matching_prepares(quorum).take(quorum.strong() - 1);
        Some(PreparedCertificate {
            pre_prepare: *self.pre_prepare_vote()?,
            prepares: prepares.copied().collect(),
        })
    }

    /// The certificate of the highest view in which this number was prepared here.
    #[must_use]
    pub fn prepared(&self, quorum: Quorum) -> Option<Prepared> {
        let now = self.prepared_certificate(quorum).and_then(|certificate| {
            let proposal = Arc::clone(self.proposal()?);
            Some(Prepared {
                certificate,
                proposal,
            })
        });
        now.or_else(|| self.carried.clone())
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

    /// Whether there is a [`Self::commit_certificate`].
    #[must_use]
    pub fn has_commit_certificate(&self, quorum: Quorum) -> bool {
        let checked = self.matching_commits().filter(|commit| commit.checked);
        checked.count() >= quorum.strong()
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
        if let Some(commit) = self.commit_mut(&vote.body)
            && commit.vote == *vote
        {
            commit.checked = true;
        }
    }

    /// Strikes out a commit whose signature failed from any certificate; the decision
    /// was counted on the link's word and stands.
    pub fn commit_is_bad(&mut self, vote: &Vote) {
        if let Some(commit) = self.commit_mut(vote)
            && commit.vote.body == *vote
            && !commit.checked
        {
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
        self.is_decided()
            && self.commits.values().any(|commit| commit.bad)
            && !self.has_commit_certificate(quorum)
    }

    /// Whether this replica cast its prepare in this view.
    #[must_use]
    pub const fn has_own_prepare(&self) -> bool {
        self.own_prepare.is_some()
    }

    /// Whether this replica cast its commit in this view.
    #[must_use]
    pub const fn has_own_commit(&self) -> bool {
        self.own_commit.is_some()
    }

    /// This replica's prepare in this view, to be sent again.
    #[must_use]
    pub fn own_prepare(&self) -> Option<Signed<Vote>> {
        self.own_prepare.map(|own| own.vote)
    }

    /// This replica's commit in this view, to be sent again.
    #[must_use]
    pub fn own_commit(&self) -> Option<Signed<Vote>> {
        self.own_commit.map(|own| own.vote)
    }

    /// Casts this replica's prepare; it counts once `record` is durable.
    pub fn cast_prepare(&mut self, vote: Signed<Vote>, record: PersistId) {
        self.own_prepare = Some(OwnVote { vote, record });
    }

    /// Casts this replica's commit; it counts once `record` is durable.
    pub fn cast_commit(&mut self, vote: Signed<Vote>, record: PersistId) {
        self.own_commit = Some(OwnVote { vote, record });
    }

    /// Counts this replica's own votes whose records are durable; true if one is news.
    pub fn count_own(&mut self, durable: PersistId) -> bool {
        let is_durable = |own: &OwnVote| own.record <= durable;
        let mut news = false;
        if let Some(own) = self.own_prepare.filter(is_durable) {
            // Own votes are never contradicted: each is cast once.
            news |= self.add_prepare(own.vote).unwrap_or(false);
        }
        if let Some(own) = self.own_commit.filter(is_durable) {
            news |= self.add_commit(own.vote, true);
        }
        news
    }

    /// What must hold of a slot.
    ///
    /// # Errors
    /// [`Violation`] naming what does not.
    pub fn invariants(&self, quorum: Quorum, durable: PersistId) -> Result<(), Violation> {
        let (seq_no, view) = (self.seq_no, self.view);
        if self.counts_too_early(durable) {
            return Err(Violation::CountedBeforeDurable { seq_no, view });
        }
        if self.has_own_commit() && !self.is_prepared(quorum) {
            return Err(Violation::CommitUnprepared { seq_no, view });
        }
        if let Some(decision) = &self.decision {
            self.decision_holds(decision, quorum)?;
        }
        for (what, len) in [
            ("prepares", self.prepares.len()),
            ("commits", self.commits.len()),
            ("claims", self.claims.len()),
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

    /// Whether a vote of this replica counts although its record is not durable.
    fn counts_too_early(&self, durable: PersistId) -> bool {
        let early = |own: &OwnVote| own.record > durable;
        let prepare = self.own_prepare.filter(early).is_some_and(|own| {
            let counted = self.prepares.get(&own.vote.body.replica);
            counted == Some(&own.vote)
        });
        let commit = self.own_commit.filter(early).is_some_and(|own| {
            let counted = self.commits.get(&own.vote.body.replica);
            counted.is_some_and(|counted| counted.vote == own.vote)
        });
        prepare || commit
    }

    /// What a strong quorum committed in this view is what was decided, in whatever view.
    fn decision_holds(&self, decision: &Decision, quorum: Quorum) -> Result<(), Violation> {
        let (seq_no, decided) = (self.seq_no, decision.proposal.digest());
        let votes = self.matching_commits().count();
        if !decision.claimed && votes < quorum.strong() {
            return Err(Violation::DecidedByFew { seq_no, votes });
        }
        if let Some(digest) = self.digest()
            && digest != decided
            && self.commits_for(digest) >= quorum.strong()
        {
            return Err(Violation::DecidedTwice {
                seq_no,
                first: decided,
                second: digest,
            });
        }
        Ok(())
    }
}

/// Whether two votes of one phase for one place are for different things. What was said in
/// another incarnation is no contradiction.
fn contradict(first: &Vote, second: &Vote) -> bool {
    (first.epoch, first.incarnation) == (second.epoch, second.incarnation)
        && first.view == second.view
        && first.digest != second.digest
}

fn equivocation(phase: Phase, first: Signed<Vote>, second: Signed<Vote>) -> Offence {
    Offence::Equivocation {
        phase,
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
            seq_no: SeqNo(1),
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
        assert_eq!(slot.invariants(quorum(), PersistId(0)), Ok(()));
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
        slot.commit_is_bad(&vote(0, digest).body);
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

    fn vote_in(view: u64, replica: u8, digest: Digest) -> Signed<Vote> {
        let mut vote = vote(replica, digest);
        vote.body.view = View(view);
        vote
    }

    #[test]
    fn what_was_prepared_outlives_views() {
        let (mut slot, digest) = accepted();
        for replica in 1..3 {
            slot.add_prepare(vote(replica, digest)).unwrap();
        }
        let prepared = slot.prepared_certificate(quorum());
        assert!(prepared.is_some());
        for view in 1..3 {
            slot.enter(View(view), quorum());
            assert_eq!(slot.prepared_certificate(quorum()), None);
            let carried = slot.prepared(quorum()).map(|prepared| prepared.certificate);
            assert_eq!(carried, prepared, "view {view}");
        }
        assert!(slot.is_worth_keeping());
    }

    #[test]
    fn a_new_view_begins_without_votes() {
        let (mut slot, digest) = accepted();
        // Too few to be prepared; in view 1 the primary is another.
        slot.add_prepare(vote(2, digest)).unwrap();
        slot.add_commit(vote(2, digest), false);
        slot.add_commit(vote(3, digest), false);
        let proposal = slot.proposal().map(Arc::clone);
        slot.enter(View(1), quorum());
        slot.accept_vote(vote_in(1, 1, digest), proposal);
        slot.add_prepare(vote_in(1, 3, digest)).unwrap();
        slot.add_commit(vote_in(1, 0, digest), false);
        assert!(!slot.is_prepared(quorum()) && !slot.decide(quorum()));
    }

    /// The certificate of a decision comes before the view it was taken in is entered here.
    #[test]
    fn a_proof_that_came_before_its_view_is_kept() {
        let (slot, digest) = accepted();
        let proposal = slot.proposal().map(Arc::clone).unwrap();
        let mut slot = Slot::new(SeqNo(1), View(0));
        let commits: Vec<_> = (0..3).map(|by| vote_in(1, by, digest)).collect();
        assert!(slot.decide_by(&proposal, &commits));
        for view in 0..3 {
            slot.enter(View(view), quorum());
            assert_eq!(
                slot.invariants(quorum(), PersistId(0)),
                Ok(()),
                "view {view}"
            );
            let proof = slot.commit_certificate(quorum());
            assert_eq!(proof.map(|proof| proof.commits), Some(commits.clone()));
        }
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
        assert_eq!(slot.invariants(quorum(), PersistId(0)), Ok(()));
        slot.cast_commit(vote(1, digest), PersistId(0));
        let (seq_no, view) = (SeqNo(1), View(0));
        assert_eq!(
            slot.invariants(quorum(), PersistId(0)),
            Err(Violation::CommitUnprepared { seq_no, view })
        );
    }

    #[test]
    fn a_decision_by_few_breaks_an_invariant() {
        let (mut slot, digest) = accepted();
        (1..4).for_each(|replica| assert!(slot.add_commit(vote(replica, digest), false)));
        assert!(slot.decide(quorum()));
        assert_eq!(slot.invariants(quorum(), PersistId(0)), Ok(()));
        slot.commits.remove(&ReplicaId(2));
        let few = Violation::DecidedByFew {
            seq_no: SeqNo(1),
            votes: 2,
        };
        assert_eq!(slot.invariants(quorum(), PersistId(0)), Err(few));
    }

    #[test]
    fn more_votes_than_members_break_an_invariant() {
        let (mut slot, digest) = accepted();
        (0..5).for_each(|replica| assert!(slot.add_commit(vote(replica, digest), false)));
        let (what, len, bound) = ("commits", 5, 4);
        assert_eq!(
            slot.invariants(quorum(), PersistId(0)),
            Err(Violation::Unbounded { what, len, bound })
        );
    }
}
