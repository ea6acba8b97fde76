//! Asks for lost messages and sends them again; reports progress (Castro's thesis §5.2).
//!
//! In the manner of Castro's thesis §5.2: a replica that lacks something
//! reports where it stands and repeats its own votes for the number it is
//! stuck at; peers answer with their votes for the next few numbers, with the
//! proposals and with their votes on checkpoints. An answer that could not hold
//! everything ends with the peer's own report, so that the asker asks on. Only
//! a replica that fell below what its peers still keep needs the transfer of a
//! state.

use super::{
    Replica,
    answers::{Answer, Question},
};
use crate::{
    effects::{Effect, Effects, To},
    ids::{Digest, Instant, ReplicaId, SeqNo, View},
    limits,
    message::{Decided, PeerMessage, Status},
    slot::Slot,
    verification::verified::CheckedDecision,
};

impl Replica {
    /// The highest number that somebody spoke of, as far as that is believed here.
    fn known(&self) -> SeqNo {
        let heard_of = self.slots.keys().next_back().copied().unwrap_or_default();
        heard_of
            .max(self.catch_up.reported())
            .max(self.checkpoints.proven())
    }

    /// Whether this replica knows of something that it lacks: a number it heard of, or
    /// that more than f peers passed, or the votes that make its checkpoint stable.
    pub(super) fn is_lacking(&self) -> bool {
        self.known() > self.delivered
            || self.checkpoints.is_awaited(self.executed)
            || self.checkpoints.is_left_behind(self.quorum)
            || self.missed_a_view()
            || !self.views.is_active()
    }

    fn report(&self, wants: bool) -> PeerMessage {
        PeerMessage::Status(Status {
            epoch: self.keyring.epoch(),
            view: self.views.pending_view.unwrap_or(self.view),
            active: self.views.is_active(),
            executed: self.delivered,
            wants,
        })
    }

    /// A new link may have lost what was sent over the old one.
    pub(super) fn on_link_up(&mut self, peer: ReplicaId, out: &mut Effects) -> Option<SeqNo> {
        self.send_again(To::Replica(peer), [self.report(true)], out);
        self.note_asked();
        self.send_within_budget(peer, Self::own_view_change, out);
        self.ask_to_rejoin(To::Replica(peer), out);
        // What was asked in vain before may be answered now.
        self.catch_up.forget_asks();
        None
    }

    pub(super) fn on_status(
        &mut self,
        from: ReplicaId,
        status: Status,
        out: &mut Effects,
    ) -> Option<SeqNo> {
        self.note_report(from, status.executed);
        if status.active {
            self.hear_view(from, status.view);
        }
        if status.wants {
            self.on_question(from, Question::Status(status), out);
        }
        // The last answer is used up and there is more: no need to wait for the timer.
        if self.catch_up.reported() > self.delivered && self.delivered > self.catch_up.asked_at {
            self.ask(out);
        } else if status.executed > self.delivered {
            self.ask_one(from, out);
        }
        None
    }

    /// One peer says that it is ahead. That may be a lie, so it costs one question, to that
    /// peer, and no second one before there was progress or time went by.
    fn ask_one(&mut self, peer: ReplicaId, out: &mut Effects) {
        // Who knows already that something lacks asks everybody in due time.
        if !self.quorum.is_member(peer) || peer == self.me || self.is_lacking() {
            return;
        }
        let retry_after_us = self.tuning.resend_after_us;
        let (delivered, now) = (self.delivered, self.now);
        if self
            .catch_up
            .was_asked(peer, delivered, now, retry_after_us)
        {
            return;
        }
        self.catch_up.note_asked(peer, delivered, now);
        self.send_again(To::Replica(peer), [self.report(true)], out);
    }

    /// When a replica to which nothing happens tells the others where it stands.
    pub(super) fn heartbeat_due(&self) -> Option<Instant> {
        let began = self.delivered > SeqNo(0) || self.view > View(0);
        let factor = 1
            << self
                .catch_up
                .heartbeats
                .min(limits::MAX_HEARTBEAT_DOUBLINGS);
        let after_us = self.tuning.heartbeat_after_us.saturating_mul(factor);
        began.then(|| self.catch_up.quiet_since.after_us(after_us))
    }

    /// Somebody may have missed the last of what happened, with no later message to show it.
    fn heartbeat(&mut self, out: &mut Effects) {
        let catch_up = &mut self.catch_up;
        catch_up.quiet_since = self.now;
        catch_up.heartbeats = catch_up.heartbeats.saturating_add(1);
        // Whoever asks then gets proofs, not claims.
        self.flush_commit_checks(out);
        self.send_again(To::Others, [self.report(false)], out);
    }

    /// What a peer says of itself; only a member is heard.
    fn note_report(&mut self, from: ReplicaId, executed: SeqNo) {
        if self.quorum.is_member(from) && from != self.me {
            self.catch_up.note_report(from, executed, self.quorum);
        }
    }

    /// Proof that the checkpoint at the low watermark is stable.
    pub(super) fn proof(&self) -> PeerMessage {
        PeerMessage::Stable(self.checkpoints.proof().to_vec())
    }

    /// Sends a peer that is behind what this replica can vouch for itself; false if what leads it
    /// into this view is still to be sent.
    pub(super) fn answer_status(&self, status: Status, answer: &mut Answer<'_>) -> bool {
        if !self.lead_along(&status, answer) {
            return false;
        }
        answer.send(self.own_view_change());
        let executed = status.executed;
        let first = executed.next();
        let last = SeqNo(first.0.saturating_add(limits::MAX_RESENT_NUMBERS));
        let numbers = self.slots.range(first..last);
        // What does not fit is asked for again: the report below tells that there is more.
        answer.send(numbers.flat_map(|(seq_no, slot)| self.what_i_know(*seq_no, slot)));
        let checkpoints = self.checkpoints.votes_by(self.me);
        // The proof of the stable checkpoint, for one whom a silent replica leaves short of it.
        // Whoever got as far as this replica and still asks may lack it, too: votes are few where
        // somebody took the state over and never cast its vote.
        let low = self.checkpoints.low();
        let lacks_proof = low > executed || (low > SeqNo(0) && executed >= self.delivered);
        let proof = lacks_proof.then(|| self.proof());
        let more = (self.delivered > executed).then(|| self.report(false));
        let messages = checkpoints.map(PeerMessage::Checkpoint);
        for message in messages.chain(proof).chain(more) {
            answer.send_small(message);
        }
        true
    }

    /// A decision with its proof if there is one, or the proposal and this replica's votes.
    fn what_i_know(&self, seq_no: SeqNo, slot: &Slot) -> Vec<PeerMessage> {
        let Some(proposal) = slot.decided() else {
            return self.own_messages(slot).collect();
        };
        let certificate = slot.commit_certificate(self.quorum);
        vec![PeerMessage::Decided(Decided {
            seq_no,
            proposal: proposal.to_proposal(),
            commits: certificate.map_or_else(Vec::new, |certificate| certificate.commits),
        })]
    }

    /// PBFT leaves open how a decision is taken over: with a commit certificate, or when
    /// more than f peers claim it alike. A prepared certificate never proves one.
    pub(super) fn on_decided(
        &mut self,
        decision: &CheckedDecision,
        from: ReplicaId,
        out: &mut Effects,
    ) -> Option<SeqNo> {
        let seq_no = decision.seq_no;
        if seq_no <= self.delivered
            || seq_no > self.checkpoints.hold()
            || !self.quorum.is_member(from)
        {
            return None;
        }
        let (view, weak) = (self.view, self.quorum.weak());
        if decision.commits.is_empty() && !self.make_room_for_claim(from, decision) {
            return None;
        }
        let slot = self.slots.entry(seq_no);
        let slot = slot.or_insert_with(|| Slot::new(seq_no, view));
        let news = if decision.commits.is_empty() {
            slot.claim(from, &decision.proposal, weak)
        } else {
            slot.decide_by(&decision.proposal, &decision.commits)
        };
        if news {
            self.deliver(out);
        }
        Some(seq_no)
    }

    /// Drops what a peer claims of the highest numbers until one more claim fits its share;
    /// false if that one is the highest itself.
    fn make_room_for_claim(&mut self, from: ReplicaId, decision: &CheckedDecision) -> bool {
        let above = self.slots.range(self.delivered.next()..);
        let others = above.filter(|(seq_no, _)| **seq_no != decision.seq_no);
        let claims = others.map(|(seq_no, slot)| (*seq_no, slot.claim_bytes(from)));
        let mut claims: Vec<_> = claims.filter(|(_, bytes)| *bytes > 0).collect();
        let mut bytes = decision.proposal.cost_bytes();
        bytes += claims.iter().map(|(_, bytes)| bytes).sum::<usize>();
        while bytes > limits::MAX_CLAIM_BYTES_PER_REPLICA {
            let Some((highest, freed)) = claims.pop().filter(|(last, _)| *last > decision.seq_no)
            else {
                return false;
            };
            bytes -= freed;
            if let Some(slot) = self.slots.get_mut(&highest) {
                slot.forget_claim(from);
            }
        }
        true
    }

    /// The proposal of a slot and this replica's votes for it.
    fn own_messages(&self, slot: &Slot) -> impl Iterator<Item = PeerMessage> + use<> {
        let (prepare, commit) = (slot.own_prepare(), slot.own_commit());
        let proposal = slot.pre_prepare().map(|message| message.to_message());
        proposal
            .into_iter()
            .chain(prepare.map(PeerMessage::Prepare))
            .chain(commit.map(PeerMessage::Commit))
    }

    /// Repeats what was said before, which may not be durable yet.
    pub(super) fn send_again(
        &self,
        to: To,
        messages: impl IntoIterator<Item = PeerMessage>,
        out: &mut Effects,
    ) {
        let after = self.last_persisted();
        let sends = messages
            .into_iter()
            .map(|message| Effect::Send { to, message, after });
        out.extend(sends);
    }

    /// Notes how far delivery has come and what is known to lack, at a question.
    fn note_asked(&mut self) {
        self.catch_up.asked_at = self.delivered;
        self.catch_up.asked_up_to = self.known();
    }

    /// Asks all for what lacks. Perhaps they lack it, too: the own votes for the number
    /// this replica is stuck at go along.
    pub(super) fn ask(&mut self, out: &mut Effects) {
        self.note_asked();
        self.ask_proposals(out);
        self.send_again(To::Others, self.own_view_change(), out);
        let stuck = self.slots.get(&self.delivered.next());
        let messages: Vec<_> = stuck
            .into_iter()
            .flat_map(|slot| self.own_messages(slot))
            .chain([self.report(true)])
            .collect();
        self.send_again(To::Others, messages, out);
    }

    /// An answer holds a few numbers. When these are delivered and more was known to lack, as
    /// after a restart of all, the next are asked for without waiting for the timer.
    pub(super) fn ask_on(&mut self, out: &mut Effects) {
        let answered = self.delivered.0 >= self.catch_up.asked_at.0 + limits::MAX_RESENT_NUMBERS;
        if answered && self.delivered < self.catch_up.asked_up_to {
            self.ask(out);
        }
    }

    /// Passes requests that wait here for long on to the primary.
    fn forward_again(&mut self, out: &mut Effects) {
        let mut bytes = 0;
        let most = usize::try_from(limits::MAX_RESENT_NUMBERS).unwrap_or(usize::MAX);
        for request in self.pool.waiting().take(most) {
            bytes += request.cost_bytes();
            if bytes > limits::MAX_PROPOSAL_BYTES {
                break;
            }
            self.forward(request, out);
        }
    }

    /// When to ask for what lacks, or to pass on what the primary may not have got.
    pub(super) fn resend_due(&self) -> Option<Instant> {
        let (since, view_change_timeout_us) = if self.is_lacking() {
            (Instant::default(), self.tuning.resend_after_us)
        } else if !self.is_primary() {
            let requests = self.pool.waits_since().into_iter();
            let since = requests.chain(self.rejoin_waits_since()).min()?;
            (since, self.tuning.forward_after_us)
        } else {
            return None;
        };
        let since = since.max(self.catch_up.progress.latest());
        let since = since.max(self.catch_up.asked);
        let factor = 1 << self.catch_up.asks.min(limits::MAX_RESEND_DOUBLINGS);
        Some(since.after_us(view_change_timeout_us.saturating_mul(factor)))
    }

    /// When the primary becomes suspect if nothing is decided before: it owes the order of
    /// a request, or a tick.
    pub(super) fn suspicion_due(&self) -> Option<Instant> {
        let waiting = [
            self.pool.oldest(),
            self.ticker.overdue(),
            self.rejoin_waits_since(),
        ];
        let oldest = waiting.into_iter().flatten().min();
        // Others judge a primary; it waits for nobody but itself.
        if self.is_primary() {
            return None;
        }
        // Somebody is silent until more is ordered: that is waited for, too.
        let silent = self.is_somebody_silent().then(Instant::default);
        let oldest = oldest.or(silent)?;
        let since = oldest.max(self.catch_up.progress.latest());
        let active = self.views.is_active() && self.votes();
        active.then(|| since.after_us(self.view_change_timeout_us()))
    }

    /// For how long the oldest request that is in no proposal has waited in this view, in
    /// microseconds; nothing at one that lacks something or is between views.
    #[must_use]
    pub fn longest_wait_us(&self) -> Option<u64> {
        let takes_part = self.views.is_active() && self.votes() && !self.is_lacking();
        let since = self.pool.waits_since().filter(|_| takes_part)?;
        Some(self.now.since_us(since))
    }

    /// Whether the primary leaves somebody out and proposes for others.
    fn is_unfair(&self) -> bool {
        let view_change_timeout_us = 2 * self.view_change_timeout_us();
        self.views.is_active()
            && self.votes()
            && !self.is_primary()
            && (self.views.is_unfair
                || self.is_a_rejoin_request_passed_over(view_change_timeout_us))
    }

    /// Fires the timers that are due.
    pub(super) fn on_time(&mut self, out: &mut Effects) {
        if self.resend_due().is_some_and(|due| self.now >= due) {
            self.catch_up.asked = self.now;
            self.catch_up.asks = self.catch_up.asks.saturating_add(1);
            if self.is_lacking() {
                self.catch_up.fruitless = self.catch_up.fruitless.saturating_add(1);
                self.ask(out);
                self.consider_transfer(out);
            }
            if self.leader() != self.me {
                self.forward_again(out);
                self.pass_rejoins(out);
            }
        }
        self.transfer_on_time(out);
        self.answer_on_time(out);
        if self.heartbeat_due().is_some_and(|due| self.now >= due) {
            self.heartbeat(out);
        }
        self.rejoin_on_time(out);
        if self.new_view_due().is_some_and(|due| self.now >= due) {
            self.give_up(out);
        } else if (self.suspicion_due().is_some_and(|due| self.now >= due) || self.is_unfair())
            && self.is_admission_checked(out)
        {
            self.suspect(out);
        }
    }

    /// Whether the service was asked just now which of the requests that wait for long can still
    /// be executed; asks it if not. A request whose client was expelled meanwhile is one that a
    /// correct primary, which is ahead, refuses.
    fn is_admission_checked(&mut self, out: &mut Effects) -> bool {
        if self.admission_checked == Some(self.now) {
            return true;
        }
        self.admission_checked = Some(self.now);
        let wait_us = self.view_change_timeout_us();
        let waiting: Vec<_> = self.pool.waiting_for(wait_us, self.now).cloned().collect();
        if waiting.is_empty() {
            return true;
        }
        out.push(Effect::CheckAdmission(waiting));
        false
    }

    /// The service refuses these, or has done them.
    pub(super) fn on_admission_checked(&mut self, refused: &[Digest]) {
        for digest in refused {
            self.pool.forget(digest);
        }
        // Perhaps it was one of these that was left out; any other is left out again.
        self.views.is_unfair &= refused.is_empty();
    }
}
