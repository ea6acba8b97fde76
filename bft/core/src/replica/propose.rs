//! Takes requests in; the primary proposes them at sequence numbers.
//!
//! A primary proposes at once when nothing is undecided and gathers while
//! something is, so that load makes batches and idleness makes no delay
//! (adaptive batching; never a timer). A backup that learns of a request
//! passes it on to the primary, again when the primary seems not to have got
//! it, and watches that it is ordered.

use std::sync::Arc;

use super::Replica;
use crate::{
    crypto::Domain,
    effects::{Effect, Effects, Record, To},
    ids::{ReplicaId, SeqNo},
    limits,
    message::{PeerMessage, Rejoin, Request, Share, Signed},
    pool::Refusal,
    slot::Slot,
    verification::verified::{CheckedPrePrepare, CheckedProposal, CheckedRequest, Verified},
};

impl Replica {
    /// A request became known. If there is no room its client is told, and asks again.
    pub(super) fn on_request(
        &mut self,
        request: &Verified<Arc<CheckedRequest>>,
        from: Option<ReplicaId>,
        out: &mut Effects,
    ) -> Option<SeqNo> {
        let request = request.get();
        let known = match self.pool.add(Arc::clone(request), self.now) {
            Ok(()) => false,
            Err(Refusal::Known) => true,
            Err(Refusal::Full(share)) => {
                let of_client = from.is_none();
                let request = request.request();
                out.extend(of_client.then(|| Effect::Busy {
                    client: request.client,
                    session: request.session,
                    number: request.number,
                    share,
                }));
                return None;
            }
        };
        // A client comes to a backup when it cannot reach the primary or got no answer, and
        // again while no proposal holds its request.
        let ordered = known && self.pool.is_proposed(&request.digest());
        if !ordered && from.is_none() && self.leader() != self.me {
            self.forward(request, out);
        }
        None
    }

    /// Looks at the requests that wait when a proposal came in. Of one that is the primary's
    /// choice: what it seems not to have is passed on, and whether it leaves somebody out, or
    /// holds everything back, is noted.
    pub(super) fn review_proposal(
        &mut self,
        seq_no: SeqNo,
        proposal: &CheckedProposal,
        is_fresh: bool,
        out: &mut Effects,
    ) {
        let now = self.now;
        let room = limits::MAX_PROPOSED_REQUEST_BYTES - limits::MAX_OP_BYTES - 1024;
        let had_room = proposal.requests().len() < limits::MAX_REQUESTS_PER_PROPOSAL
            && proposal.cost_bytes() <= room;
        for request in proposal.requests() {
            let waited_us = self.pool.mark_proposed(request, now);
            if let Some(wait_us) = waited_us.filter(|_| had_room && is_fresh) {
                self.pace.served(request.request().client, wait_us, now);
            }
        }
        if !is_fresh {
            return;
        }
        self.pace.begin(seq_no, now);
        let (forward_after_us, timeout_us) =
            (self.tuning.forward_after_us, self.view_change_timeout_us());
        let review = self
            .pool
            .review(had_room, now, forward_after_us, timeout_us);
        for request in &review.pass_on {
            self.forward(request, out);
        }
        self.views.is_unfair |= review.is_unfair || self.pace.is_too_slow(now);
    }

    pub(super) fn forward(&self, request: &CheckedRequest, out: &mut Effects) {
        out.push(Effect::Send {
            to: To::Replica(self.leader()),
            message: PeerMessage::Forward(request.signed().clone()),
            after: None,
        });
    }

    /// Whether this request would be taken in, were its signature good.
    ///
    /// # Errors
    /// The share that is used up.
    pub fn room_for(&self, request: &Request) -> Result<(), Share> {
        self.pool.room_for(&request.client, request.op.len())
    }

    /// Proposes while the rules allow it: requests, or the time alone when it is due.
    pub(super) fn propose(&mut self, out: &mut Effects) {
        while self.is_primary() && self.views.is_active() && self.votes() && self.may_propose() {
            if self.is_full() {
                self.propose_null(out);
                continue;
            }
            let requests = self.pool.take_for_proposal();
            let rejoins = self.take_rejoins();
            if requests.is_empty() && rejoins.is_empty() && !self.is_somebody_silent() {
                return;
            }
            self.propose_these(requests, rejoins, out);
        }
        if self.must_tick() && self.is_full() {
            self.propose_null(out);
        } else if self.must_tick() {
            self.propose_these(Vec::new(), Vec::new(), out);
        }
    }

    /// Whether what is kept leaves no room for one more proposal.
    fn is_full(&self) -> bool {
        let (largest, bound) = (limits::MIN_KEPT_BYTES / 2, self.max_kept_bytes());
        !self.kept.has_room_for(largest, bound)
    }

    /// What earlier views left behind fills this replica, and perhaps others as well, who then
    /// vote for no fresh proposal. A number that is decided makes room, and everybody votes for
    /// the null request.
    fn propose_null(&mut self, out: &mut Effects) {
        self.propose_content(Arc::new(CheckedProposal::null()), out);
    }

    fn propose_these(
        &mut self,
        requests: Vec<Arc<CheckedRequest>>,
        rejoins: Vec<Signed<Rejoin>>,
        out: &mut Effects,
    ) {
        let time = self.time_to_propose();
        let proposal = CheckedProposal::with_rejoins(time, requests, rejoins);
        self.propose_content(Arc::new(proposal), out);
    }

    fn propose_content(&mut self, proposal: Arc<CheckedProposal>, out: &mut Effects) {
        self.proposed = self.proposed.max(self.delivered).next();
        let seq_no = self.proposed;
        let vote = self.sign(Domain::PrePrepare, seq_no, proposal.digest());
        self.kept.keep(seq_no, &proposal);
        let message = CheckedPrePrepare { vote, proposal };
        let after = self.persist(Record::PrePrepare(message.clone()), out);
        self.send_others(message.to_message(), Some(after), out);
        let view = self.view;
        let slot = self
            .slots
            .entry(seq_no)
            .or_insert_with(|| Slot::new(seq_no, view));
        // Only this replica proposes in its view, so there is nothing to contradict.
        let _accepted = slot.accept(message);
        slot.new = true;
        self.advance(seq_no, out);
    }

    /// Whether the first number, which tells what time it is, was proposed in an earlier run or
    /// view and is not executed yet.
    fn waits_for_the_time(&self) -> bool {
        let mut ahead = self.slots.range(self.executed.next()..);
        !self.agreed_clock.has_begun()
            && ahead.any(|(seq_no, slot)| *seq_no <= self.proposed && !slot.new)
    }

    fn may_propose(&self) -> bool {
        let in_flight = self.proposed.0.saturating_sub(self.delivered.0);
        let unproposed = self.pool.unproposed();
        if self.is_full() {
            let any = unproposed > 0 || self.has_rejoins_to_order() || self.is_somebody_silent();
            return any
                && in_flight < limits::MAX_EMPTY_IN_FLIGHT
                && self.kept.is_any_above(self.proposed)
                && self.proposed < self.checkpoints.high();
        }
        let gathered =
            in_flight < self.tuning.max_in_flight && unproposed >= self.tuning.gather.max(1);
        // Nothing is gathered for empty numbers, and somebody waits for all of them.
        let empty =
            in_flight < limits::MAX_EMPTY_IN_FLIGHT && unproposed == 0 && self.is_somebody_silent();
        let may = match in_flight {
            0 => unproposed > 0 || self.has_rejoins_to_order(),
            _ => gathered || empty,
        };
        may && !self.waits_for_the_time() && self.proposed < self.checkpoints.high()
    }
}
