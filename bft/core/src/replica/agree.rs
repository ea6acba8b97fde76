//! Handles pre-prepares, prepares and commits once they are verified (PBFT §4.2).
//!
//! A replica between views votes no more, but goes on to listen: what a strong quorum
//! commits is decided.

use std::sync::Arc;

use super::{
    Replica,
    agreed_clock::{Verdict, millis},
    early::Early,
};
use crate::{
    crypto::Domain,
    effects::{Effect, Effects, PersistId, Record},
    ids::{ReplicaId, SeqNo},
    limits,
    message::{PeerMessage, Signed, Vote},
    misbehaviour::Offence,
    verification::verified::{CheckedPrePrepare, CheckedProposal, Verified},
};

impl Replica {
    /// PBFT §4.2: accept the first proposal of the view's primary for a number. If its time
    /// is off by this replica's reading of agreed time, it is kept, and voted for when the votes
    /// of others show that somebody correct found it good.
    pub(super) fn on_pre_prepare(
        &mut self,
        message: &CheckedPrePrepare,
        from: ReplicaId,
        out: &mut Effects,
    ) -> Option<SeqNo> {
        let Signed { body: vote, .. } = message.vote;
        let primary = vote.replica;
        if vote.view > self.view {
            // Passed on by another it would fill the share of one who is in no hurry.
            if from == primary {
                self.hold_early(primary, vote.view, Early::PrePrepare(message.clone()));
            }
            return None;
        }
        if vote.seq_no <= self.delivered.max(self.views.floor) || primary == self.me {
            return None;
        }
        if !self.has_room_for_proposal(vote.seq_no, message.proposal.cost_bytes()) {
            return None;
        }
        let (proposed, quorum) = (message.proposal.time(), self.quorum);
        let verdict = self.judge_time(proposed);
        let carried = vote.seq_no <= self.views.carried_up_to || message.proposal.is_null();
        let slot = self.slot_for(primary, &vote, out)?;
        let accepted = slot.accept(message.clone());
        slot.new |= accepted == Ok(true) && !carried;
        match accepted {
            // What somebody correct voted for is not judged by this replica's reading, and what
            // a new view carries never is, however it arrives. The null request has no time.
            Ok(true) if carried || slot.is_vouched_for(quorum) => {}
            Ok(true) => {
                slot.untimely = verdict != Verdict::Timely;
                if verdict == Verdict::Ahead {
                    let here = millis(self.agreed_clock.read_us(self.clock));
                    self.blame(primary, Offence::TimeOutOfBounds { proposed, here }, out);
                }
            }
            Ok(false) => return None,
            Err(offence) => {
                self.blame(primary, offence, out);
                return Some(vote.seq_no);
            }
        }
        // What a view carries is not of its primary's choice.
        let is_fresh = vote.seq_no > self.views.carried_up_to;
        self.review_proposal(vote.seq_no, &message.proposal, is_fresh, out);
        self.advance(vote.seq_no, out);
        Some(vote.seq_no)
    }

    /// Whether a proposal of this view of so many bytes may be taken in. The next number's always
    /// may, unless it is here.
    pub(super) fn has_room_for_proposal(&self, seq_no: SeqNo, bytes: usize) -> bool {
        if seq_no == self.delivered.next() {
            return true;
        }
        self.undelivered_bytes().saturating_add(bytes) <= limits::MAX_UNDELIVERED_BYTES
    }

    pub(super) fn on_prepare(&mut self, vote: Signed<Vote>, out: &mut Effects) -> Option<SeqNo> {
        let Vote {
            replica, seq_no, ..
        } = vote.body;
        if vote.body.view > self.view {
            self.hold_early(replica, vote.body.view, Early::Prepare(vote));
            return None;
        }
        // The primary's pre-prepare is its prepare (PBFT §4.2); a second one counts for nothing.
        if replica == self.primary() || replica == self.me {
            return None;
        }
        // A number decided by the commits of others may still lack prepares here. They are
        // taken: somebody who lags may need this replica's commit, which waits for them.
        if seq_no <= self.checkpoints.low() {
            return None;
        }
        match self.slot_for(replica, &vote.body, out)?.add_prepare(vote) {
            Ok(true) => self.advance(seq_no, out),
            Ok(false) => {}
            Err(offence) => self.blame(replica, offence, out),
        }
        Some(seq_no)
    }

    pub(super) fn on_commit(&mut self, vote: Signed<Vote>, out: &mut Effects) -> Option<SeqNo> {
        let Vote {
            replica, seq_no, ..
        } = vote.body;
        if vote.body.view > self.view {
            self.hold_early(replica, vote.body.view, Early::Commit(vote));
            return None;
        }
        if replica == self.me {
            return None;
        }
        let quorum = self.quorum;
        let slot = self.slot_for(replica, &vote.body, out)?;
        if !slot.add_commit(vote, false) {
            if let Some(first) = slot.doubt_commit(&vote) {
                out.push(Effect::CheckCommits(vec![first, vote]));
            }
            return Some(seq_no);
        }
        let completes = slot.is_short_of_commits(quorum);
        if completes {
            self.check_later(seq_no);
            self.check_commits(out);
        }
        if seq_no > self.delivered {
            self.advance(seq_no, out);
        }
        Some(seq_no)
    }

    /// Goes as far with one number as its votes allow.
    pub(super) fn advance(&mut self, seq_no: SeqNo, out: &mut Effects) {
        let quorum = self.quorum;
        let above = self.views.floor.max(self.counts_from());
        let in_window = seq_no > above && seq_no <= self.checkpoints.high();
        let may_vote = in_window && self.views.is_active() && self.votes();
        let is_primary = self.is_primary();
        let Some(slot) = self.slots.get(&seq_no) else {
            return;
        };
        if may_vote
            && !is_primary
            && !slot.has_own_prepare()
            && (!slot.untimely || slot.is_vouched_for(quorum))
            && let Some(message) = slot.pre_prepare()
            && self.may_keep(seq_no, &message.proposal)
        {
            let vote = self.sign(Domain::Prepare, seq_no, message.proposal.digest());
            self.persist(Record::PrePrepare(message), out);
            let after = self.persist(Record::Prepare(vote), out);
            self.send_others(PeerMessage::Prepare(vote), Some(after), out);
            if let Some(slot) = self.slots.get_mut(&seq_no) {
                slot.cast_prepare(vote, after);
                self.await_record(seq_no, after);
            }
        }
        let Some(slot) = self.slots.get(&seq_no) else {
            return;
        };
        if may_vote
            && !slot.has_own_commit()
            && let Some(certificate) = slot.prepared_certificate(quorum)
        {
            // Without a prepare of its own the proposal was not persisted above.
            if !is_primary
                && !slot.has_own_prepare()
                && let Some(message) = slot.pre_prepare()
            {
                self.persist(Record::PrePrepare(message), out);
            }
            let vote = self.sign(Domain::Commit, seq_no, certificate.pre_prepare.body.digest);
            let prepares = certificate.prepares;
            let after = self.persist(Record::Commit { vote, prepares }, out);
            self.send_others(PeerMessage::Commit(vote), Some(after), out);
            if let Some(slot) = self.slots.get_mut(&seq_no) {
                slot.cast_commit(vote, after);
                self.await_record(seq_no, after);
            }
        }
        if self
            .slots
            .get_mut(&seq_no)
            .is_some_and(|slot| slot.decide(quorum))
        {
            self.check_later(seq_no);
            self.deliver(out);
            self.check_commits(out);
        }
    }

    /// Keeps what is about to be voted for. There may be no room for a fresh proposal: then there
    /// is no vote, since what a certificate may name must not get lost.
    fn may_keep(&mut self, seq_no: SeqNo, proposal: &Arc<CheckedProposal>) -> bool {
        // What was decided here stays in the log.
        if seq_no <= self.delivered {
            return true;
        }
        let is_carried = seq_no <= self.views.carried_up_to;
        let bound = self.max_kept_bytes();
        if is_carried || self.kept.has_room(seq_no, proposal, bound) {
            self.kept.keep(seq_no, proposal);
            return true;
        }
        self.kept.refuse(seq_no);
        false
    }

    /// What may be kept before no fresh proposal is voted for.
    pub(super) fn max_kept_bytes(&self) -> usize {
        let asked = self.tuning.max_kept_bytes;
        asked.clamp(limits::MIN_KEPT_BYTES, limits::MAX_KEPT_BYTES)
    }

    /// Votes on what there was no room for, once there is.
    pub(super) fn vote_on_refused(&mut self, out: &mut Effects) {
        for seq_no in self.kept.take_refused().into_iter().flatten() {
            self.advance(seq_no, out);
        }
    }

    /// Counts this replica's own vote for a number, at once or when its record is durable.
    fn await_record(&mut self, seq_no: SeqNo, record: PersistId) {
        if record > self.durable {
            self.uncounted.push_back((record, seq_no));
        } else if let Some(slot) = self.slots.get_mut(&seq_no) {
            slot.count_own(self.durable);
        }
    }

    /// Records are durable: this replica's own votes in them count from now on.
    pub(super) fn on_durable(&mut self, record: PersistId, out: &mut Effects) -> Option<SeqNo> {
        self.durable = self.durable.max(record);
        let mut last = None;
        while let Some((_, seq_no)) = self.uncounted.pop_front_if(|own| own.0 <= self.durable) {
            let slot = self.slots.get_mut(&seq_no);
            if slot.is_some_and(|slot| slot.count_own(self.durable)) {
                self.advance(seq_no, out);
                last = Some(seq_no);
            }
        }
        last
    }

    /// Whether a vote of this replica begins to count when records up to `record` are durable.
    pub(super) fn awaits_record(&self, record: PersistId) -> bool {
        let first = self.uncounted.front();
        first.is_some_and(|(awaited, _)| *awaited <= record)
    }

    /// Notes a decided number whose commit signatures are to be checked.
    fn check_later(&mut self, seq_no: SeqNo) {
        if self.unchecked.len() < Self::unchecked_bound() && !self.unchecked.contains(&seq_no) {
            self.unchecked.push(seq_no);
        }
    }

    /// Asks for the checking of commits that were believed on their links' word,
    /// in batches large enough to be cheap.
    fn check_commits(&mut self, out: &mut Effects) {
        let per_number = self.quorum.strong().saturating_sub(1).max(1);
        if self.unchecked.len() * per_number < limits::COMMIT_CHECK_BATCH {
            return;
        }
        self.flush_commit_checks(out);
    }

    /// Hands over everything that waits to be checked.
    pub(super) fn flush_commit_checks(&mut self, out: &mut Effects) {
        let quorum = self.quorum;
        let votes: Vec<_> = std::mem::take(&mut self.unchecked)
            .iter()
            .filter_map(|seq_no| self.slots.get(seq_no))
            .flat_map(|slot| slot.commits_to_check(quorum))
            .take(limits::MAX_UNCHECKED_COMMITS)
            .collect();
        if !votes.is_empty() {
            out.push(Effect::CheckCommits(votes));
        }
    }

    pub(super) fn on_commits_checked(
        &mut self,
        good: &[Verified<Signed<Vote>>],
        bad: &[Vote],
        out: &mut Effects,
    ) -> Option<SeqNo> {
        self.judge_commits(good, out);
        for vote in good {
            if let Some(slot) = self.slots.get_mut(&vote.get().body.seq_no) {
                let had = slot.has_commit_certificate(self.quorum);
                slot.commit_is_good(vote.get());
                if !had && slot.has_commit_certificate(self.quorum) {
                    self.counters.certificates += 1;
                }
            }
        }
        for vote in bad {
            self.blame(vote.replica, Offence::BadSignature, out);
            // The link's word stands for the decision; the certificate needs another voter's.
            if let Some(slot) = self.slots.get_mut(&vote.seq_no) {
                slot.commit_is_bad(vote);
                if slot.commits_to_check(self.quorum).next().is_some() {
                    self.check_later(vote.seq_no);
                }
            }
        }
        None
    }
}
