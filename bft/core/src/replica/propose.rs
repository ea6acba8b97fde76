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
    message::{PeerMessage, Rejoin, Signed},
    pool::Refusal,
    slot::Slot,
    verification::verified::{CheckedPrePrepare, CheckedProposal, CheckedRequest, Verified},
};

impl Replica {
    /// A request became known. A full pool drops it: the driver saw [`Replica::has_room`]
    /// or the client's share is used up, and the client asks again.
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
            Err(Refusal::Full) => return None,
        };
        // A client comes to a backup when it cannot reach the primary or got no answer, and
        // again while no proposal holds its request.
        let ordered = known && self.pool.is_proposed(&request.digest());
        if !ordered && from.is_none() && self.leader() != self.me {
            self.forward(request, out);
        }
        None
    }

    /// Passes on what the primary seems not to have: it proposes what came much later.
    pub(super) fn forward_overtaken(&mut self, out: &mut Effects) {
        for request in self.pool.overtaken(self.tuning.forward_after_us) {
            self.forward(&request, out);
        }
    }

    pub(super) fn forward(&self, request: &CheckedRequest, out: &mut Effects) {
        out.push(Effect::Send {
            to: To::Replica(self.leader()),
            message: PeerMessage::Forward(request.signed().clone()),
            after: None,
        });
    }

    /// Whether the pool would take one more request.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.pool.len() < self.tuning.max_pooled.min(limits::MAX_POOL_REQUESTS)
    }

    /// Proposes while the rules allow it: requests, or the time alone when it is due.
    pub(super) fn propose(&mut self, out: &mut Effects) {
        while self.is_primary() && self.views.is_active() && self.votes() && self.may_propose() {
            let requests = self.pool.take_for_proposal();
            let rejoins = self.take_rejoins();
            if requests.is_empty() && rejoins.is_empty() && !self.is_somebody_silent() {
                return;
            }
            self.propose_these(requests, rejoins, out);
        }
        if self.must_tick() {
            self.propose_these(Vec::new(), Vec::new(), out);
        }
    }

    fn propose_these(
        &mut self,
        requests: Vec<Arc<CheckedRequest>>,
        rejoins: Vec<Signed<Rejoin>>,
        out: &mut Effects,
    ) {
        let time = self.time_to_propose();
        let proposal = Arc::new(CheckedProposal::with_rejoins(time, requests, rejoins));
        self.proposed = self.proposed.max(self.delivered).next();
        let seq_no = self.proposed;
        let vote = self.sign(Domain::PrePrepare, seq_no, proposal.digest());
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

    fn may_propose(&self) -> bool {
        let in_flight = self.proposed.0.saturating_sub(self.delivered.0);
        let unproposed = self.pool.unproposed();
        let gathered =
            in_flight < self.tuning.max_in_flight && unproposed >= self.tuning.gather.max(1);
        // Nothing is gathered for empty numbers, and somebody waits for all of them.
        let empty =
            in_flight < limits::MAX_EMPTY_IN_FLIGHT && unproposed == 0 && self.is_somebody_silent();
        let may = match in_flight {
            0 => unproposed > 0 || self.has_rejoins_to_order(),
            _ => gathered || empty,
        };
        may && self.proposed < self.checkpoints.high()
    }
}
