//! What was lost on the way is asked for and sent again; what is late is noticed.
//!
//! Receiver-based, as in Castro's thesis §5.2: a replica that lacks something
//! reports where it stands, and peers that are further send their own votes
//! for the next few numbers with the proposals. Only a replica that fell
//! below what its peers still keep needs the transfer of a state.

use super::Replica;
use crate::{
    effects::{Effect, Effects, To},
    ids::{Instant, ReplicaId, SeqNo},
    limits,
    message::{PeerMessage, Status},
};

impl Replica {
    /// Whether there is something known that is not decided.
    pub(super) fn is_lacking(&self) -> bool {
        self.slots
            .keys()
            .next_back()
            .is_some_and(|last| *last > self.delivered)
    }

    fn report(&self, wants: bool) -> PeerMessage {
        PeerMessage::Status(Status {
            epoch: self.keyring.epoch(),
            view: self.view,
            executed: self.delivered,
            wants,
        })
    }

    /// A new link may have lost what was sent over the old one.
    pub(super) fn on_link_up(&mut self, peer: ReplicaId, out: &mut Effects) -> Option<SeqNo> {
        let message = self.report(true);
        out.push(Effect::Send {
            to: To::Replica(peer),
            message,
            after: None,
        });
        None
    }

    /// Sends a peer that is behind what this replica can vouch for itself.
    pub(super) fn on_status(
        &mut self,
        from: ReplicaId,
        status: Status,
        out: &mut Effects,
    ) -> Option<SeqNo> {
        if !status.wants {
            return None;
        }
        let first = status.executed.next();
        let last = SeqNo(first.0.saturating_add(limits::MAX_RESENT_NUMBERS));
        let to = To::Replica(from);
        let mut send = |message| {
            out.push(Effect::Send {
                to,
                message,
                after: None,
            })
        };
        for slot in self.slots.range(first..last).map(|(_, slot)| slot) {
            if let Some(message) = slot.pre_prepare() {
                send(message.to_message());
            }
            let (prepare, commit) = slot.own_votes(self.me);
            prepare
                .into_iter()
                .for_each(|vote| send(PeerMessage::Prepare(vote)));
            commit
                .into_iter()
                .for_each(|vote| send(PeerMessage::Commit(vote)));
        }
        // Both sides may be behind in different things.
        if self.slots.contains_key(&first) {
            send(self.report(false));
        }
        None
    }

    /// When the primary becomes suspect if nothing is decided before.
    pub(super) fn suspicion_due(&self) -> Option<Instant> {
        let oldest = self.pool.oldest()?;
        let since = oldest
            .max(self.progress)
            .max(self.suspected.unwrap_or_default());
        Some(since.after_us(self.tuning.suspect_after_us))
    }

    /// Fires the timers that are due.
    pub(super) fn on_time(&mut self, out: &mut Effects) {
        let resend = self
            .progress
            .max(self.asked)
            .after_us(self.tuning.resend_after_us);
        if self.is_lacking() && self.now >= resend {
            self.asked = self.now;
            let message = self.report(true);
            self.send_others(message, None, out);
        }
        if self.suspicion_due().is_some_and(|due| self.now >= due) {
            self.suspected = Some(self.now);
            self.counters.suspicions += 1;
            // The view change of PBFT §4.4 starts here.
            out.push(Effect::Suspect(self.view));
        }
    }
}
