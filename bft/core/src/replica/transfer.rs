//! Fetches a certified state from peers, for a replica below everything that they keep.
//!
//! A strong quorum of equal votes certifies the digest of the state at a
//! checkpoint. The state itself comes in parts from one peer at a time, and is
//! believed when it has that digest; a peer whose parts do not is blamed and
//! the next one is asked.

use super::{Replica, answers::Answer};
use crate::{
    effects::{Effect, Effects, Record, To},
    ids::{Digest, Instant, ReplicaId, SeqNo},
    limits,
    message::{AskState, CheckpointVote, PeerMessage, Signed, StatePart},
    misbehaviour::Offence,
    pool::Pool,
    rejoin::{IncarnationTable, split_state},
    state::State,
};

/// After asking so often without progress, a state is fetched even though peers may
/// still keep the numbers before it.
const ASKS_BEFORE_TRANSFER: u32 = 3;

/// What a source may take for a whole state, in times to resend; twice as much each time
/// that all were tried. A source that sends little at a time must not be asked for ever,
/// and a state may be large.
const SOURCE_RESENDS: u64 = 32;

/// How often that doubles at most.
const MAX_SOURCE_DOUBLINGS: usize = 8;

/// A state on its way.
#[derive(Debug)]
pub(super) struct Transfer {
    seq_no: SeqNo,
    digest: Digest,
    proof: Vec<Signed<CheckpointVote>>,
    /// All others; the one asked now is `sources[at]`, modulo their number. It stays the same
    /// when a newer state takes this one's place: nobody gains time by telling of newer ones.
    sources: Vec<ReplicaId>,
    at: usize,
    bytes: Vec<u8>,
    /// How long the source asked now says that the whole is, once it said so.
    total: Option<u64>,
    /// The incarnations in the state, once it is complete.
    incarnations: IncarnationTable,
    asked: Instant,
    /// When the source asked now was asked first.
    begun: Instant,
    /// Complete, and handed to the driver.
    installing: bool,
}

impl Transfer {
    /// What it takes.
    pub(super) const fn buffered_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    fn source(&self) -> Option<ReplicaId> {
        let at = self.at.checked_rem(self.sources.len())?;
        self.sources.get(at).copied()
    }

    /// How often all sources were tried.
    fn rounds(&self) -> usize {
        self.at.checked_div(self.sources.len()).unwrap_or(0)
    }

    /// Largest state taken from a source, in bytes: what it says of the length is believed by
    /// nobody before the whole is here. All are asked for a state of usual size first, and twice
    /// as much is allowed when all were tried, so that a source which invents a length gets no
    /// more buffered than twice what a correct one has.
    fn most_bytes(&self) -> u64 {
        let doubled = limits::USUAL_STATE_BYTES << self.rounds().min(MAX_SOURCE_DOUBLINGS);
        doubled.min(limits::MAX_STATE_BYTES)
    }

    /// Times to resend that the source asked now may take for a part: twice as many after each
    /// round, since the way or the source's disk may be slower than was thought.
    fn part_resends(&self) -> u64 {
        let most = usize::try_from(limits::MAX_RESEND_DOUBLINGS).unwrap_or(usize::MAX);
        1 << self.rounds().min(most)
    }

    /// Times to resend that it may take for the whole.
    fn resends(&self) -> u64 {
        SOURCE_RESENDS << self.rounds().min(MAX_SOURCE_DOUBLINGS)
    }
}

impl Replica {
    /// Whether the driver is replacing the service's state.
    pub(super) fn is_installing(&self) -> bool {
        self.transfer.as_ref().is_some_and(|t| t.installing)
    }

    /// Begins a transfer if peers have dropped what this replica needs next, or never send it.
    pub(super) fn consider_transfer(&mut self, out: &mut Effects) {
        let Some(certified) = self.checkpoints.certified(self.delivered, self.quorum) else {
            return;
        };
        let seq_no = certified.seq_no;
        let dropped = seq_no.0 - self.delivered.0 >= self.checkpoints.span();
        if self.transfer.is_none() && !dropped && self.catch_up.fruitless < ASKS_BEFORE_TRANSFER {
            return;
        }
        // A newer state replaces one whose sources may have dropped it, but not one that arrives.
        if let Some(current) = &self.transfer
            && (current.seq_no >= seq_no || current.installing || !current.bytes.is_empty())
        {
            return;
        }
        let members = self.quorum.members();
        let sources: Vec<_> = members.filter(|member| *member != self.me).collect();
        // Replicas that lag together should not all ask the same peer.
        let at = usize::from(self.me.0).checked_rem(sources.len());
        let first = (at.unwrap_or(0), self.now);
        let older = self.transfer.as_ref();
        let (at, begun) = older.map_or(first, |older| (older.at, older.begun));
        self.transfer = Some(Transfer {
            seq_no,
            digest: certified.digest,
            at,
            sources,
            proof: certified.votes,
            bytes: Vec::new(),
            total: None,
            incarnations: IncarnationTable::default(),
            asked: self.now,
            begun,
            installing: false,
        });
        self.ask_state(out);
    }

    fn ask_state(&mut self, out: &mut Effects) {
        let now = self.now;
        let Some(transfer) = self.transfer.as_mut() else {
            return;
        };
        transfer.asked = now;
        let Some(source) = transfer.source() else {
            return;
        };
        let ask = PeerMessage::AskState(AskState {
            seq_no: transfer.seq_no,
            offset: transfer.bytes.len() as u64,
        });
        self.send_again(To::Replica(source), [ask], out);
    }

    /// When the source asked last has had its time, for a part or for the whole.
    pub(super) fn transfer_due(&self) -> Option<Instant> {
        let transfer = self.transfer.as_ref().filter(|t| !t.installing)?;
        let resend_us = self.tuning.resend_after_us;
        let whole_us = resend_us.saturating_mul(transfer.resends());
        let part_us = resend_us.saturating_mul(transfer.part_resends());
        let part = transfer.asked.after_us(part_us);
        Some(part.min(transfer.begun.after_us(whole_us)))
    }

    /// Asks the next source, from the beginning, when one is silent or does not come to an end.
    pub(super) fn transfer_on_time(&mut self, out: &mut Effects) {
        if self.transfer_due().is_none_or(|due| self.now < due) {
            return;
        }
        self.try_another(out);
    }

    fn try_another(&mut self, out: &mut Effects) {
        let now = self.now;
        if let Some(transfer) = self.transfer.as_mut() {
            transfer.at += 1;
            transfer.begun = now;
            // Its memory is free again, not just its content.
            transfer.bytes = Vec::new();
            transfer.total = None;
        }
        // Perhaps nobody keeps that one any more.
        self.consider_transfer(out);
        self.ask_state(out);
    }

    /// The states that peers have asked for lately, one each: they are kept until the peer has
    /// it all, however fast checkpoints follow each other.
    pub(super) fn serving_now(&self) -> Vec<SeqNo> {
        let view_change_timeout_us = self.tuning.suspect_after_us;
        self.catch_up.served(self.now, view_change_timeout_us)
    }

    /// Sends a peer a part of a state, or, if that one is gone, which there is.
    pub(super) fn answer_state(&mut self, ask: &AskState, answer: &mut Answer<'_>) -> bool {
        let (from, low) = (answer.to, self.checkpoints.low());
        if ask.seq_no < low && !self.serving_now().contains(&ask.seq_no) {
            answer.send([self.proof()]);
            return true;
        }
        if ask.seq_no <= low {
            self.catch_up.note_served(from, ask.seq_no, self.now);
        }
        let most_bytes = self.tuning.state_part_bytes.min(limits::STATE_PART_BYTES);
        answer.account.charge(most_bytes);
        answer.out.push(Effect::SendState {
            to: from,
            seq_no: ask.seq_no,
            offset: ask.offset,
            most_bytes,
        });
        true
    }

    /// A proof of a stable checkpoint: it is reached here and moves the window on, or it says
    /// which state to fetch.
    pub(super) fn on_stable(
        &mut self,
        votes: &[Signed<CheckpointVote>],
        out: &mut Effects,
    ) -> Option<SeqNo> {
        let seq_no = votes.first()?.body.seq_no;
        for vote in votes {
            self.judge_states(vote, out);
        }
        if !self.checkpoints.prove(votes.to_vec()) {
            return None;
        }
        // Perhaps the source has moved on; while parts of the older state come it has not.
        self.consider_transfer(out);
        self.stabilise(seq_no, out)
    }

    pub(super) fn on_state(
        &mut self,
        from: ReplicaId,
        part: &StatePart,
        out: &mut Effects,
    ) -> Option<SeqNo> {
        let delivered = self.delivered;
        let transfer = self.transfer.as_mut()?;
        let offset = transfer.bytes.len() as u64;
        if transfer.installing
            || part.seq_no != transfer.seq_no
            || transfer.source() != Some(from)
            || part.offset != offset
        {
            return None;
        }
        let end = offset.saturating_add(part.bytes.len() as u64);
        let seq_no = transfer.seq_no;
        let total = *transfer.total.get_or_insert(part.total);
        let sound = !part.bytes.is_empty()
            && end <= part.total
            && part.total == total
            && total <= limits::MAX_STATE_BYTES;
        if sound && total > transfer.most_bytes() {
            // It may be true: then the others say so, too, and more is allowed the next time.
            self.try_another(out);
            return None;
        }
        if sound {
            transfer.bytes.extend_from_slice(&part.bytes);
        }
        if sound && end < part.total {
            self.ask_state(out);
            return None;
        }
        let state = State::decode(&transfer.bytes).ok();
        let state = state.filter(|state| sound && state.digest() == transfer.digest);
        let Some(state) = state else {
            self.blame(from, Offence::WrongState { seq_no }, out);
            self.try_another(out);
            return None;
        };
        if seq_no <= delivered {
            // It caught up by decisions in the meantime.
            self.transfer = None;
            return None;
        }
        transfer.installing = true;
        // The driver stops if it cannot read what a strong quorum vouched for.
        transfer.incarnations =
            split_state(&state).map_or_else(|_| IncarnationTable::default(), |s| s.0);
        transfer.bytes = Vec::new();
        out.push(Effect::Install { seq_no, state });
        None
    }

    /// The service has the state: the log goes on behind it.
    pub(super) fn on_installed(&mut self, seq_no: SeqNo, out: &mut Effects) -> Option<SeqNo> {
        let transfer = self
            .transfer
            .take_if(|t| t.installing && t.seq_no == seq_no)?;
        self.executed = seq_no;
        self.delivered = seq_no;
        self.kept.settle(seq_no);
        // Nobody's claim is needed for what the state covers.
        for slot in self.slots.range_mut(..=seq_no).map(|(_, slot)| slot) {
            slot.forget_claims();
        }
        self.take_incarnations(transfer.incarnations);
        self.persist(Record::Stable(transfer.proof.clone()), out);
        self.settle(seq_no, transfer.proof, out);
        // What of the pool the new state has executed is not known here; clients whose
        // request was not among it ask again.
        self.pool = Pool::default();
        self.deliver(out);
        // What was said of later numbers lay beyond the window and was not kept.
        self.ask(out);
        Some(seq_no)
    }
}
