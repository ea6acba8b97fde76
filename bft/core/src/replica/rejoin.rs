//! Lets a replica that lost its memory rejoin, and orders the rejoin requests of others.
//!
//! Such a replica follows what is decided and casts no vote of any kind. It
//! asks for a new incarnation ([`Rejoin`]) until the log has given it one, and votes
//! from the moment at which the checkpoint named there is stable, and only on
//! what lies above it. The primary orders the rejoin request as it orders a request, and
//! then, while there is nothing else to do, empty proposals up to that
//! checkpoint, several at a time. What is of an incarnation that
//! does not count is refused here, in one place, before it reaches its phase.
//! Why this is safe: docs/decisions/012-ordered-rejoin.md.

use std::collections::BTreeMap;

use super::Replica;
use crate::{
    crypto::Domain,
    effects::{Effect, Effects, Input, Record, To},
    ids::{Incarnation, IncarnationNonce, Instant, ReplicaId, SeqNo},
    limits,
    message::{CheckpointVote, PeerMessage, Rejoin, Signed, ViewChange, Vote},
    misbehaviour::Offence,
    rejoin::{Current, IncarnationTable},
    verification::verified::CheckedProposal,
};

/// A request to begin an incarnation that is not executed yet. One of each replica is kept.
#[derive(Debug)]
struct RejoinRequest {
    signed: Signed<Rejoin>,
    /// When this replica first wished for anything, and when for this.
    since: Instant,
    heard: Instant,
    proposed: bool,
}

/// Everything about incarnations.
#[derive(Debug, Default)]
pub(super) struct Rejoining {
    /// The incarnation of this replica; none is its first.
    pub(super) nonce: Option<IncarnationNonce>,
    /// What the log says of all, after the last number delivered.
    pub(super) incarnations: IncarnationTable,
    rejoin_requests: BTreeMap<ReplicaId, RejoinRequest>,
    /// The highest number that this replica cast a vote on, or may have.
    pub(super) voted: SeqNo,
    /// When it last asked for its own incarnation, and how often.
    asked: Option<Instant>,
    asks: u32,
}

/// What to do with a message of some incarnation.
enum Heard {
    /// It counts.
    Counts,
    /// It does not, or not yet, and nobody is to blame.
    Late,
    /// Nobody who follows the protocol says this.
    Void(ReplicaId, Incarnation),
}

impl Replica {
    /// The incarnation of this replica, as its own log has it.
    fn own(&self) -> Current {
        self.rejoining.incarnations.of(self.me)
    }

    /// The incarnation under which this replica votes, or will.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.own().incarnation
    }

    /// The checkpoint from which this incarnation counts: a view may begin below it, and what is
    /// ordered again there an earlier incarnation may have voted on.
    pub(super) fn counts_from(&self) -> SeqNo {
        self.own().from
    }

    /// Whether this replica votes. One that lost its memory does not until its new incarnation
    /// counts.
    #[must_use]
    pub fn votes(&self) -> bool {
        let own = self.own();
        own.nonce == self.rejoining.nonce && self.checkpoints.low() >= own.from
    }

    /// Whether a rejoin request could still be fulfilled, and was not heard just now: each is
    /// passed on to the primary, the same again and another one.
    pub(super) fn wants_rejoin(&self, rejoin: &Rejoin) -> bool {
        let rejoin_request = self.rejoining.rejoin_requests.get(&rejoin.replica);
        let retry_after_us = self.tuning.resend_after_us;
        let news = rejoin_request
            .is_none_or(|rejoin_request| self.now >= rejoin_request.heard.after_us(retry_after_us));
        let next = self.delivered.next();
        news && rejoin.replica != self.me && self.rejoining.incarnations.admits(rejoin, next)
    }

    pub(super) fn on_rejoin(&mut self, signed: Signed<Rejoin>, out: &mut Effects) -> Option<SeqNo> {
        if !self.wants_rejoin(&signed.body) {
            return None;
        }
        let heard = self.now;
        let replica = signed.body.replica;
        let known = self.rejoining.rejoin_requests.get(&replica);
        let same = known.filter(|rejoin_request| rejoin_request.signed.body == signed.body);
        let rejoin_request = RejoinRequest {
            signed,
            since: known.map_or(heard, |rejoin_request| rejoin_request.since),
            heard,
            proposed: same.is_some_and(|rejoin_request| rejoin_request.proposed),
        };
        self.rejoining
            .rejoin_requests
            .insert(replica, rejoin_request);
        if self.leader() != self.me {
            self.pass_rejoin(signed, out);
        }
        None
    }

    fn pass_rejoin(&self, signed: Signed<Rejoin>, out: &mut Effects) {
        out.push(Effect::Send {
            to: To::Replica(self.leader()),
            message: PeerMessage::Rejoin(signed),
            after: None,
        });
    }

    /// Passes rejoin requests on to the primary once more.
    pub(super) fn pass_rejoins(&self, out: &mut Effects) {
        for rejoin_request in self.rejoining.rejoin_requests.values() {
            self.pass_rejoin(rejoin_request.signed, out);
        }
    }

    /// When the rejoin request that waits longest came in.
    pub(super) fn rejoin_waits_since(&self) -> Option<Instant> {
        let rejoin_requests = self.rejoining.rejoin_requests.values();
        rejoin_requests
            .map(|rejoin_request| rejoin_request.since)
            .min()
    }

    /// Whether something is decided although a rejoin request waits for so long.
    pub(super) fn is_a_rejoin_request_passed_over(&self, view_change_timeout_us: u64) -> bool {
        let since = self.rejoin_waits_since();
        since.is_some_and(|since| {
            since.after_us(view_change_timeout_us) <= self.catch_up.progress.latest()
        })
    }

    /// Whether numbers are still to be ordered so that everybody counts.
    pub(super) fn is_somebody_silent(&self) -> bool {
        self.rejoining.incarnations.all_count_from() > self.proposed.max(self.delivered)
    }

    /// Whether the primary has something to propose although no request waits.
    pub(super) fn has_rejoins_to_order(&self) -> bool {
        let mut rejoin_requests = self.rejoining.rejoin_requests.values();
        self.is_somebody_silent() || rejoin_requests.any(|rejoin_request| !rejoin_request.proposed)
    }

    /// The rejoin requests to put into the next proposal.
    pub(super) fn take_rejoins(&mut self) -> Vec<Signed<Rejoin>> {
        let rejoin_requests = self.rejoining.rejoin_requests.values_mut();
        let waiting = rejoin_requests.filter(|rejoin_request| !rejoin_request.proposed);
        let taken = waiting.take(limits::MAX_REJOINS_PER_PROPOSAL);
        let taken = taken.map(|rejoin_request| {
            rejoin_request.proposed = true;
            rejoin_request.signed
        });
        taken.collect()
    }

    /// A new view begins: nothing is proposed in it yet.
    pub(super) fn forget_rejoin_proposals(&mut self) {
        for rejoin_request in self.rejoining.rejoin_requests.values_mut() {
            rejoin_request.since = self.now;
            rejoin_request.proposed = false;
        }
    }

    /// The incarnations that a decided proposal begins, in order of numbers.
    pub(super) fn begin_incarnations(&mut self, seq_no: SeqNo, proposal: &CheckedProposal) {
        let interval = self.checkpoints.interval();
        let incarnations = &mut self.rejoining.incarnations;
        for signed in proposal.rejoins() {
            incarnations.execute(&signed.body, seq_no, interval);
        }
        if !proposal.rejoins().is_empty() {
            self.forget_rejoins();
        }
    }

    /// Drops what can no longer be fulfilled.
    fn forget_rejoins(&mut self) {
        let next = self.delivered.next();
        let Rejoining {
            incarnations,
            rejoin_requests,
            ..
        } = &mut self.rejoining;
        rejoin_requests
            .retain(|_, rejoin_request| incarnations.admits(&rejoin_request.signed.body, next));
        self.rejoining.asks = 0;
    }

    /// A state was taken over with its incarnations.
    pub(super) fn take_incarnations(&mut self, incarnations: IncarnationTable) {
        self.rejoining.incarnations = incarnations;
        self.forget_rejoins();
    }

    /// Whether this replica asks for an incarnation.
    fn is_amnesiac(&self) -> bool {
        self.rejoining.nonce.is_some() && self.own().nonce != self.rejoining.nonce
    }

    /// When to ask for the own incarnation again.
    pub(super) fn rejoin_due(&self) -> Option<Instant> {
        if !self.is_amnesiac() {
            return None;
        }
        let factor = 1 << self.rejoining.asks.min(limits::MAX_RESEND_DOUBLINGS);
        let retry_after_us = self.tuning.resend_after_us.saturating_mul(factor);
        let asked = self.rejoining.asked;
        Some(asked.map_or(Instant(0), |asked| asked.after_us(retry_after_us)))
    }

    /// Asks for the own incarnation when it is time.
    pub(super) fn rejoin_on_time(&mut self, out: &mut Effects) {
        if self.rejoin_due().is_some_and(|due| self.now >= due) {
            self.rejoining.asked = Some(self.now);
            self.rejoining.asks = self.rejoining.asks.saturating_add(1);
            self.ask_to_rejoin(To::Others, out);
        }
    }

    /// Asks for an incarnation. It is durable before anybody hears of it, or another incarnation
    /// would take its place after a restart.
    pub(super) fn ask_to_rejoin(&mut self, to: To, out: &mut Effects) {
        let Some(nonce) = self.rejoining.nonce.filter(|_| self.is_amnesiac()) else {
            return;
        };
        let body = Rejoin {
            epoch: self.keyring.epoch(),
            replica: self.me,
            incarnation: self.incarnation().next(),
            nonce,
        };
        self.counters.signatures += 1;
        let signed = Signed::new(body, Domain::Rejoin, self.keyring.cluster(), &self.key);
        let message = PeerMessage::Rejoin(signed);
        self.send_again(to, [message], out);
    }

    /// Whether `input` is of an incarnation that does not count. A message of an incarnation that
    /// this replica has not heard of is late: it lags, and will ask again.
    pub(super) fn is_void(&self, input: &Input, out: &mut Effects) -> bool {
        let heard = match input {
            Input::PrePrepare { message, .. } => self.hear_vote(&message.get().vote.body),
            Input::Prepare(vote) => self.hear_vote(&vote.get().body),
            Input::Commit(vote) => self.hear_vote(&vote.get().body),
            Input::Checkpoint(vote) => self.hear_checkpoint(&vote.get().body),
            Input::ViewChange(change) => self.hear_view_change(&change.get().signed().body),
            Input::NewView(new_view) => {
                let body = &new_view.get().signed().body;
                self.hear_incarnation(body.replica, body.incarnation)
            }
            _ => Heard::Counts,
        };
        match heard {
            Heard::Counts => false,
            Heard::Late => true,
            Heard::Void(replica, said) => {
                self.blame(replica, Offence::WrongIncarnation { said }, out);
                true
            }
        }
    }

    /// Votes up to the checkpoint from which an incarnation counts are those of earlier
    /// incarnations.
    fn hear_vote(&self, vote: &Vote) -> Heard {
        let current = self.rejoining.incarnations.of(vote.replica);
        let said = vote.incarnation;
        if said > current.incarnation {
            return Heard::Late;
        }
        Self::hear_number(current, vote.replica, said, vote.seq_no)
    }

    /// A replica that fell behind learns from these where the others are, whatever their
    /// incarnations.
    fn hear_checkpoint(&self, vote: &CheckpointVote) -> Heard {
        let current = self.rejoining.incarnations.of(vote.replica);
        let said = vote.incarnation;
        if said > current.incarnation {
            return Heard::Counts;
        }
        Self::hear_number(current, vote.replica, said, vote.seq_no)
    }

    fn hear_number(
        current: Current,
        replica: ReplicaId,
        said: Incarnation,
        seq_no: SeqNo,
    ) -> Heard {
        let is_of_present = said == current.incarnation;
        let is_its_number = seq_no > current.from;
        if current.nonce.is_none() || is_of_present == is_its_number {
            Heard::Counts
        } else {
            Heard::Void(replica, said)
        }
    }

    fn hear_view_change(&self, change: &ViewChange) -> Heard {
        let current = self.rejoining.incarnations.of(change.replica);
        if change.incarnation == current.incarnation && change.stable < current.from {
            return Heard::Void(change.replica, change.incarnation);
        }
        self.hear_incarnation(change.replica, change.incarnation)
    }

    /// What an earlier incarnation said of views says nothing to one who voted where a later one
    /// may have voted. To one who did not it is as good as ever, and may lead it on.
    fn hear_incarnation(&self, replica: ReplicaId, said: Incarnation) -> Heard {
        let incarnations = &self.rejoining.incarnations;
        let unheard = said > incarnations.of(replica).incarnation;
        if unheard || incarnations.is_over(replica, said, self.rejoining.voted) {
            Heard::Late
        } else {
            Heard::Counts
        }
    }

    /// Notes a number that this replica votes on.
    pub(super) fn note_vote(&mut self, seq_no: SeqNo) {
        self.rejoining.voted = self.rejoining.voted.max(seq_no);
    }

    /// What its own records say of its incarnations and votes, for a replica that starts.
    pub(super) fn remember_incarnation(&mut self, record: &Record) {
        match record {
            Record::IncarnationNonce(nonce) => self.rejoining.nonce = Some(*nonce),
            Record::PrePrepare(message) => self.note_vote(message.vote.body.seq_no),
            Record::Prepare(vote) | Record::Commit { vote, .. } => {
                self.note_vote(vote.body.seq_no);
            }
            // Records of votes below are gone.
            Record::Stable(_) => {
                let seq_no = record.stable().unwrap_or_default();
                let span = self.checkpoints.span();
                self.note_vote(SeqNo(seq_no.0.saturating_sub(span)));
            }
            Record::ViewChange(_) | Record::NewView(_) | Record::NamedViewChanges(_) => {}
        }
    }

    /// Signs a vote on the state after `number`.
    pub(super) fn vote_on_checkpoint(&mut self, seq_no: SeqNo, out: &mut Effects) {
        let Some(digest) = self.checkpoints.own(seq_no).filter(|_| self.votes()) else {
            return;
        };
        let body = CheckpointVote {
            epoch: self.keyring.epoch(),
            replica: self.me,
            incarnation: self.incarnation(),
            seq_no,
            digest,
        };
        self.counters.signatures += 1;
        let vote = Signed::new(body, Domain::Checkpoint, self.keyring.cluster(), &self.key);
        // The vote builds on commits of this replica that others may rely on.
        let after = self.last_persisted();
        self.send_others(PeerMessage::Checkpoint(vote), after, out);
        self.on_checkpoint(vote, out);
    }

    /// The votes that a replica which was silent until now still owes.
    pub(super) fn vote_on_checkpoints(&mut self, out: &mut Effects) {
        for seq_no in self.checkpoints.owed(self.me) {
            self.vote_on_checkpoint(seq_no, out);
        }
    }

    /// The incarnations after the number just delivered, where a checkpoint covers them.
    pub(super) fn incarnations_at(&self, seq_no: SeqNo) -> Option<IncarnationTable> {
        let due = self.checkpoints.is_due(seq_no);
        due.then(|| self.rejoining.incarnations.clone())
    }

    /// Forgets view changes of incarnations that are over.
    pub(super) fn forget_earlier_incarnations(&mut self) {
        let Rejoining {
            incarnations,
            voted,
            ..
        } = &self.rejoining;
        self.views.forget(|change| {
            let body = &change.signed().body;
            incarnations.is_over(body.replica, body.incarnation, *voted)
        });
    }
}
