//! The replica: PBFT's normal case as one pure step function.
//!
//! [`Replica::hear`] takes the time and one [`Input`] and fills a list of
//! [`Effect`]s; [`Replica::conclude`] ends a turn, once all that came together was heard. Each phase is a file of its own: [`propose`] (the primary's
//! part), [`agree`] (the three phases), [`execute`] (decisions in order,
//! checkpoints), [`recover`] (what was lost on the way; its bookkeeping is
//! [`catch_up`]), [`view_change`] (another
//! primary), [`transfer`] (a state from peers), [`restore`] (after a restart),
//! [`rejoin`] (after a restart without records), [`agreed_clock`] (what time it is),
//! [`tick`] (agreed time without requests), [`judge`] (who contradicted itself).

mod agree;
mod agreed_clock;
mod answers;
mod catch_up;
mod early;
mod execute;
mod judge;
mod memory;
mod propose;
mod recover;
mod rejoin;
mod restore;
mod tick;
mod transfer;
mod view_change;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

pub use memory::PeerMemory;

use agreed_clock::AgreedClock;
use answers::{Answers, Question};
use catch_up::CatchUp;
use early::EarlyMessages;
use rejoin::Rejoining;
use tick::Ticker;
use transfer::Transfer;
use view_change::Views;

use crate::{
    checkpoint::Checkpoints,
    crypto::SigningKey,
    effects::{Durability, Effect, Effects, Input, PersistId, Record, To},
    ids::{Clock, Digest, Instant, ReplicaId, SeqNo, Source, View},
    invariants::Violation,
    kept::KeptProposals,
    keyring::Keyring,
    limits,
    message::{PeerMessage, Signed, Vote},
    misbehaviour::{Misbehaviour, Offence},
    pace::Pace,
    pool::Pool,
    quorum::Quorum,
    slot::Slot,
    verification::verified::{CheckedRequest, Unverified},
};

/// What may be tuned without changing what replicas agree on.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Most proposals of this primary that may be undecided at once.
    pub max_in_flight: u64,
    /// While a proposal is undecided, the next waits for this many requests.
    pub gather: usize,
    /// A backup passes a request on to the primary again when it waits for longer and the
    /// primary proposes nothing, or proposes what came in so much later.
    pub forward_after_us: u64,
    /// The primary is suspected when a request waits for longer and nothing is decided, or
    /// when requests are proposed that came in later by twice as much. Doubled for each
    /// view that fails.
    pub suspect_after_us: u64,
    /// A number undecided for longer makes this replica ask for what it lacks.
    pub resend_after_us: u64,
    /// A replica to which nothing happens for so long tells the others where it stands, and
    /// again after ever longer times, for those who missed the last of what happened.
    pub heartbeat_after_us: u64,
    /// Farthest a proposed time may be from this replica's reading of agreed time, in
    /// milliseconds, but for 1/256 of the time since the last execution
    /// (docs/protocol.md, "Time").
    pub max_drift_ms: u64,
    /// Requests known and not executed from which on clients are told "busy", at most
    /// [`limits::MAX_POOL_REQUESTS`].
    pub max_pooled: usize,
    /// What the proposals voted for and not decided may be charged for, in bytes, before this
    /// replica votes for no fresh one, from [`limits::MIN_KEPT_BYTES`] to
    /// [`limits::MAX_KEPT_BYTES`].
    pub max_kept_bytes: usize,
    /// Most bytes of a state sent in one message, [`limits::STATE_PART_BYTES`] at most.
    pub state_part_bytes: usize,
    /// Bytes that one peer may be sent at once because it asked, and those that come back of them
    /// every second.
    pub answer_burst_bytes: usize,
    /// See [`Self::answer_burst_bytes`].
    pub answer_bytes_per_second: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            max_in_flight: 8,
            gather: 24,
            forward_after_us: 50_000,
            suspect_after_us: 1_000_000,
            resend_after_us: 400_000,
            heartbeat_after_us: 2_000_000,
            max_drift_ms: 10_000,
            max_pooled: limits::MAX_POOL_REQUESTS,
            max_kept_bytes: limits::MAX_KEPT_BYTES,
            state_part_bytes: limits::STATE_PART_BYTES,
            answer_burst_bytes: limits::ANSWER_BURST_BYTES,
            answer_bytes_per_second: limits::ANSWER_BYTES_PER_SECOND,
        }
    }
}

/// Counts of what a replica did, for metrics; never read by the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests executed.
    pub requests: u64,
    /// Proposals executed.
    pub proposals: u64,
    /// Signatures made.
    pub signatures: u64,
    /// Times the primary was suspected.
    pub suspicions: u64,
    /// Views entered after the first.
    pub views_entered: u64,
    /// Commit certificates completed.
    pub certificates: u64,
}

/// One replica's state machine.
#[derive(Debug)]
pub struct Replica {
    me: ReplicaId,
    key: SigningKey,
    keyring: Keyring,
    quorum: Quorum,
    tuning: Tuning,
    view: View,
    slots: BTreeMap<SeqNo, Slot>,
    checkpoints: Checkpoints,
    /// What was voted for, in whatever view, above the last number delivered.
    kept: KeptProposals,
    pool: Pool,
    pace: Pace,
    views: Views,
    early: EarlyMessages,
    answers: Answers,
    transfer: Option<Transfer>,
    agreed_clock: AgreedClock,
    ticker: Ticker,
    rejoining: Rejoining,
    /// The last number this primary proposed.
    proposed: SeqNo,
    /// The last number decided without a gap below it, and handed to the service.
    delivered: SeqNo,
    /// The last number the service executed.
    executed: SeqNo,
    /// Decided numbers whose commit signatures wait to be checked.
    unchecked: Vec<SeqNo>,
    next_persist: PersistId,
    durability: Durability,
    /// The last record that is durable.
    durable: PersistId,
    /// Own votes that do not count yet, by the record that each waits for, in order.
    uncounted: VecDeque<(PersistId, SeqNo)>,
    /// How long this replica did not run although it should have. All times here are of the
    /// time in which it ran.
    stood_still_us: u64,
    /// Whether it was late for the timer that is due next.
    was_late: bool,
    now: Instant,
    clock: Clock,
    catch_up: CatchUp,
    counters: Counters,
    /// When the service was last asked about requests that wait for long.
    admission_checked: Option<Instant>,
    /// Whether something was heard since the last turn ended.
    heard: bool,
    halted: bool,
}

impl Replica {
    /// A replica at the beginning of the log; `None` if `key` is not `me`'s in the keyring.
    #[must_use]
    pub fn new(
        me: ReplicaId,
        key: SigningKey,
        keyring: Keyring,
        checkpoint_interval: u64,
        tuning: Tuning,
        durability: Durability,
    ) -> Option<Self> {
        if keyring.key(me)? != key.public() {
            return None;
        }
        Some(Self {
            me,
            key,
            quorum: keyring.quorum(),
            keyring,
            tuning,
            view: View(0),
            slots: BTreeMap::new(),
            views: Views::default(),
            early: EarlyMessages::default(),
            answers: Answers::default(),
            transfer: None,
            agreed_clock: AgreedClock::new(tuning.max_drift_ms),
            ticker: Ticker::default(),
            rejoining: Rejoining::default(),
            checkpoints: Checkpoints::new(checkpoint_interval),
            kept: KeptProposals::default(),
            pool: Pool::new(tuning.max_pooled),
            pace: Pace::default(),
            proposed: SeqNo(0),
            delivered: SeqNo(0),
            executed: SeqNo(0),
            unchecked: Vec::new(),
            next_persist: PersistId(1),
            durability,
            durable: PersistId(0),
            uncounted: VecDeque::new(),
            stood_still_us: 0,
            was_late: false,
            now: Instant(0),
            clock: Clock::default(),
            catch_up: CatchUp::default(),
            counters: Counters::default(),
            admission_checked: None,
            heard: false,
            halted: false,
        })
    }

    /// This replica.
    #[must_use]
    pub const fn me(&self) -> ReplicaId {
        self.me
    }

    /// What signatures are checked with.
    #[must_use]
    pub const fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The current view.
    #[must_use]
    pub const fn view(&self) -> View {
        self.view
    }

    /// The current primary.
    #[must_use]
    pub const fn primary(&self) -> ReplicaId {
        self.quorum.primary(self.view)
    }

    /// The last number executed.
    #[must_use]
    pub const fn executed(&self) -> SeqNo {
        self.executed
    }

    /// The last stable checkpoint.
    #[must_use]
    pub const fn stable(&self) -> SeqNo {
        self.checkpoints.low()
    }

    /// Requests known and not executed.
    #[must_use]
    pub fn pooled(&self) -> usize {
        self.pool.len()
    }

    /// What the proposals voted for and not decided are charged for, in bytes.
    #[must_use]
    pub const fn kept_bytes(&self) -> usize {
        self.kept.bytes()
    }

    /// What was counted so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The slot of a number in the log's window.
    #[must_use]
    pub fn slot(&self, seq_no: SeqNo) -> Option<&Slot> {
        self.slots.get(&seq_no)
    }

    /// A request authenticated before, so that its signature need not be checked again.
    #[must_use]
    pub fn known_request(&self, digest: &Digest) -> Option<Arc<CheckedRequest>> {
        self.pool.get(digest)
    }

    /// Whether checking this message's signatures could change anything here. A
    /// message refused now may be wanted later: losing it is like losing it on the way.
    #[must_use]
    pub fn wants(&self, unverified: &Unverified) -> bool {
        let (low, hold) = (self.checkpoints.low(), self.checkpoints.hold());
        let in_window = |seq_no: SeqNo| seq_no > low && seq_no <= hold;
        match unverified.peek() {
            PeerMessage::Prepare(vote) => {
                let body = &vote.body;
                let slot = self.slots.get(&body.seq_no);
                let news = slot.is_none_or(|slot| slot.wants_prepare(body, self.quorum));
                self.wants_of_view(body)
                    && in_window(body.seq_no)
                    && (news || body.view > self.view)
            }
            PeerMessage::PrePrepare(message) => {
                let body = &message.vote.body;
                let slot = self.slots.get(&body.seq_no);
                let first = slot.filter(|slot| slot.lacks().is_none());
                let first = first.and_then(Slot::pre_prepare_vote);
                let bytes = message.proposal.cost_bytes();
                let by_its_signer = unverified.source() == Source::Replica(body.replica);
                let of_view = if body.view == self.view {
                    self.has_room_for_proposal(body.seq_no, bytes)
                } else {
                    // Others may replay what it said once: only its own link fills its share.
                    by_its_signer
                        && body.view > self.view
                        && self.early.has_room(body.replica, bytes)
                };
                of_view
                    && body.seq_no > self.delivered
                    && in_window(body.seq_no)
                    && first.is_none_or(|first| first.body != *body)
            }
            PeerMessage::Checkpoint(vote) => vote.body.seq_no > low,
            PeerMessage::Stable(votes) => {
                let seq_no = votes.first().map(|vote| vote.body.seq_no);
                seq_no.is_none_or(|seq_no| self.checkpoints.wants_proof(seq_no))
            }
            PeerMessage::ViewChange(message) => self.wants_view_change(&message.body),
            PeerMessage::NewView(message) => self.wants_new_view(&message.body),
            PeerMessage::Decided(message) => {
                message.seq_no > self.delivered && message.seq_no <= hold
            }
            PeerMessage::Content(message) => {
                let slot = self.slots.get(&message.seq_no);
                slot.is_some_and(|slot| slot.lacks().is_some())
            }
            PeerMessage::Rejoin(message) => self.wants_rejoin(&message.body),
            _ => true,
        }
    }

    /// Whether a vote belongs to this view, or to one that may come.
    fn wants_of_view(&self, vote: &Vote) -> bool {
        vote.view == self.view
            || (vote.view > self.view && self.early.has_room(vote.replica, early::VOTE_BYTES))
    }

    /// Takes one input that came alone: [`Self::hear`] and [`Self::conclude`].
    pub fn step(&mut self, clock: Clock, input: Input, out: &mut Effects) {
        self.hear(clock, input, out);
        self.conclude(out);
    }

    /// Takes one of the inputs that came together and appends what must be done to `out`.
    /// Nothing is judged by the time that passed and nothing is proposed before
    /// [`Self::conclude`], which must follow the last of them.
    pub fn hear(&mut self, clock: Clock, input: Input, out: &mut Effects) {
        if self.halted {
            return;
        }
        if let Input::Durable(record) = input
            && !self.awaits_record(record)
        {
            // Nothing waited for it here: no work, and no time passes.
            self.durable = self.durable.max(record);
            return;
        }
        self.run_until(clock);
        self.agreed_clock.note(clock);
        if self.is_void(&input, out) {
            return;
        }
        let (was_lacking, view) = (self.is_lacking(), self.view);
        let touched = self.take(input, out);
        // What was lost is missed from the moment its absence shows.
        if !self.halted && !was_lacking && self.is_lacking() {
            self.catch_up.began_to_lack(self.now);
        }
        self.check(touched, out);
        // Every share of the pool was counted anew.
        if self.view != view
            && !self.halted
            && let Err(violation) = self.pool.audit()
        {
            self.halt(violation, out);
        }
    }

    /// Time passes: that in which this replica ran.
    ///
    /// A replica that is stepped long after the time it asked for did not run meanwhile: its
    /// process or machine stood still. What others did it has yet to hear, so that this time
    /// counts against nobody. The first turn afterwards stops short of the timer that was due,
    /// since not all that arrived may be in that turn; if the timer is late a second time it
    /// fires, or a machine that is always late would suspect nobody ever.
    fn run_until(&mut self, clock: Clock) {
        let mut at = Instant(clock.monotonic.0.saturating_sub(self.stood_still_us));
        if !self.heard {
            self.heard = true;
            let due = self.next_due().unwrap_or(at);
            let is_late = at > due.after_us(limits::LATE_US);
            if is_late {
                let grace_us = if self.was_late { 0 } else { limits::LATE_US };
                let ran_until = Instant(due.0.saturating_sub(grace_us)).max(self.now);
                self.stood_still_us += at.since_us(ran_until);
                at = ran_until;
                self.was_late = grace_us > 0;
            } else if at >= due {
                self.was_late = false;
            }
        }
        self.now = self.now.max(at);
        self.clock = clock;
    }

    fn take(&mut self, input: Input, out: &mut Effects) -> Option<SeqNo> {
        match input {
            Input::Request { request, from } => self.on_request(&request, from, out),
            Input::PrePrepare { message, from } => self.on_pre_prepare(message.get(), from, out),
            Input::Prepare(vote) => self.on_prepare(*vote.get(), out),
            Input::Commit(vote) => self.on_commit(*vote.get(), out),
            Input::CommitsChecked { good, bad } => self.on_commits_checked(&good, &bad, out),
            Input::Checkpoint(vote) => self.on_checkpoint(*vote.get(), out),
            Input::Status(status) => self.on_status(status.from(), *status.get(), out),
            Input::LinkUp(peer) => self.on_link_up(peer, out),
            Input::Executed { seq_no, time, due } => {
                self.pass_time(seq_no, time, due);
                self.on_executed(seq_no, out)
            }
            Input::CheckpointSaved { seq_no, state } => {
                self.on_checkpoint_saved(seq_no, state, out)
            }
            Input::Durable(record) => self.on_durable(record, out),
            Input::ViewChange(change) => self.on_view_change(change.get(), out),
            Input::NewView(new_view) => self.on_new_view(new_view.get(), out),
            Input::Decided { decision, from } => self.on_decided(decision.get(), from, out),
            Input::AskProposals(ask) => {
                self.on_question(ask.from(), Question::Proposals(ask.get().clone()), out)
            }
            Input::Content(proposal) => self.on_content(proposal.get(), out),
            Input::AskState(ask) => self.on_question(ask.from(), Question::State(*ask.get()), out),
            Input::State(part) => self.on_state(part.from(), part.get(), out),
            Input::Stable(votes) => self.on_stable(votes.get(), out),
            Input::Installed { seq_no, time, due } => {
                self.expect(time, due);
                self.agreed_clock.note(self.clock);
                self.on_installed(seq_no, out)
            }
            Input::Rejoin(rejoin) => self.on_rejoin(*rejoin.get(), out),
            Input::AdmissionChecked { refused } => {
                self.on_admission_checked(&refused);
                None
            }
            Input::Tick => None,
        }
    }

    /// Ends a turn: now that everything that came was heard, proposes, asks for what lacks
    /// and judges the time that passed.
    pub fn conclude(&mut self, out: &mut Effects) {
        // A replica that has just halted neither proposes nor asks for anything.
        if self.halted || !std::mem::take(&mut self.heard) {
            return;
        }
        let was_lacking = self.is_lacking();
        self.vote_on_refused(out);
        self.propose(out);
        // Its own proposal is undecided from now on.
        if !was_lacking && self.is_lacking() {
            self.catch_up.began_to_lack(self.now);
        }
        self.watch_time();
        self.ask_on(out);
        let view = self.view;
        self.on_time(out);
        // The primary of a view that opened just now has not proposed in it yet.
        if self.view != view && !self.halted {
            self.propose(out);
        }
        self.check(None, out);
    }

    fn check(&mut self, touched: Option<SeqNo>, out: &mut Effects) {
        if self.halted {
            return;
        }
        if let Err(violation) = self.invariants(touched) {
            self.halt(violation, out);
        }
    }

    /// When [`Input::Tick`] is due if nothing else happens before.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.halted {
            return None;
        }
        let due = self.next_due()?;
        Some(due.after_us(self.stood_still_us))
    }

    /// The same in the time in which this replica ran.
    fn next_due(&self) -> Option<Instant> {
        self.awaited().chain(self.heartbeat_due()).min()
    }

    /// Whether nothing is awaited: but for a heartbeat now and then, nothing comes from this
    /// replica before something comes to it.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.halted || self.awaited().next().is_none()
    }

    /// The timers of what is awaited.
    fn awaited(&self) -> impl Iterator<Item = Instant> {
        let timers = [
            self.resend_due(),
            self.suspicion_due(),
            self.new_view_due(),
            self.transfer_due(),
            self.tick_due(),
            self.overdue_due(),
            self.rejoin_due(),
            self.answers_due(),
        ];
        timers.into_iter().flatten()
    }

    /// What must hold now. `touched` is the slot of the last step; the others
    /// have not changed since they were checked.
    ///
    /// # Errors
    /// [`Violation`] naming what does not.
    pub fn invariants(&self, touched: Option<SeqNo>) -> Result<(), Violation> {
        // Others may decide beyond this replica's own window: it lags, and that is no fault.
        let (low, high) = (self.checkpoints.low(), self.checkpoints.hold());
        if self.executed < low || self.executed > high || self.executed > self.delivered {
            return Err(Violation::Watermarks {
                low,
                executed: self.executed,
                high,
            });
        }
        let hold = self.checkpoints.hold().0 - self.checkpoints.kept_below().0;
        let bound = usize::try_from(hold).unwrap_or(usize::MAX);
        if self.slots.len() > bound {
            return Err(Violation::Unbounded {
                what: "log",
                len: self.slots.len(),
                bound,
            });
        }
        self.pool.invariants()?;
        match touched.and_then(|seq_no| self.slots.get(&seq_no)) {
            Some(slot) => slot.invariants(self.quorum, self.durable),
            None => Ok(()),
        }
    }

    fn halt(&mut self, violation: Violation, out: &mut Effects) {
        self.halted = true;
        // A state that cannot be trusted must not speak: only the news of the stop goes out.
        out.clear();
        out.push(Effect::Halt(violation));
    }

    fn is_primary(&self) -> bool {
        self.primary() == self.me
    }

    fn blame(&self, replica: ReplicaId, what: Offence, out: &mut Effects) {
        let proof = self.proof_of(&what);
        let blame = Misbehaviour::new(Source::Replica(replica), what);
        out.push(Effect::Blame(blame.with_proof(proof)));
    }

    fn persist(&mut self, record: Record, out: &mut Effects) -> PersistId {
        let id = self.next_persist;
        self.next_persist = PersistId(id.0 + 1);
        if self.durability == Durability::Immediate {
            self.durable = id;
        }
        out.push(Effect::Persist { id, record });
        id
    }

    fn sign(
        &mut self,
        domain: crate::crypto::Domain,
        seq_no: SeqNo,
        digest: Digest,
    ) -> Signed<Vote> {
        self.sign_in(self.view, domain, seq_no, digest)
    }

    fn sign_in(
        &mut self,
        view: View,
        domain: crate::crypto::Domain,
        seq_no: SeqNo,
        digest: Digest,
    ) -> Signed<Vote> {
        self.counters.signatures += 1;
        self.note_vote(seq_no);
        let body = Vote {
            epoch: self.keyring.epoch(),
            replica: self.me,
            incarnation: self.incarnation(),
            view,
            seq_no,
            digest,
        };
        Signed::new(body, domain, self.keyring.cluster(), &self.key)
    }

    /// The slot of a number inside the window, or nothing and blame for its sender.
    fn slot_for(&mut self, from: ReplicaId, vote: &Vote, out: &mut Effects) -> Option<&mut Slot> {
        // Of a view that is over: it crossed the news of that on its way.
        if vote.view != self.view {
            return None;
        }
        let (seq_no, high) = (vote.seq_no, self.checkpoints.hold());
        if seq_no <= self.checkpoints.kept_below() {
            return None;
        }
        if seq_no > high {
            self.blame(from, Offence::BeyondWindow { seq_no, high }, out);
            return None;
        }
        let view = self.view;
        Some(
            self.slots
                .entry(seq_no)
                .or_insert_with(|| Slot::new(seq_no, view)),
        )
    }

    /// What everything persisted so far waits on: records become durable in order.
    /// Whatever repeats or builds on earlier votes is sent after it.
    fn last_persisted(&self) -> Option<PersistId> {
        (self.next_persist > PersistId(1)).then(|| PersistId(self.next_persist.0 - 1))
    }

    fn send_others(&self, message: PeerMessage, after: Option<PersistId>, out: &mut Effects) {
        out.push(Effect::Send {
            to: To::Others,
            message,
            after,
        });
    }

    const fn unchecked_bound() -> usize {
        limits::MAX_UNCHECKED_COMMITS / limits::MAX_REPLICAS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ClusterId, Epoch, OrderedTime};

    fn replica() -> Replica {
        let keys: Vec<_> = (1..=4).map(|i| SigningKey::from_seed([i; 32])).collect();
        let public = keys.iter().map(SigningKey::public).collect();
        let keyring = Keyring::new(ClusterId([7; 32]), Epoch(0), public).unwrap();
        let (key, tuning) = (keys[1].clone(), Tuning::default());
        Replica::new(ReplicaId(1), key, keyring, 4, tuning, Durability::Reported).unwrap()
    }

    /// The next step, whatever it is for, finds what is broken and is the last.
    fn halts_with(mut replica: Replica, violation: Violation) {
        let mut out = Effects::new();
        replica.step(Clock::default(), Input::LinkUp(ReplicaId(2)), &mut out);
        assert!(
            matches!(&out[..], [Effect::Halt(found)] if *found == violation),
            "{out:?}"
        );
        out.clear();
        replica.step(Clock::default(), Input::LinkUp(ReplicaId(2)), &mut out);
        assert!(out.is_empty());
        assert_eq!(replica.next_timeout(), None);
    }

    #[test]
    fn only_the_owner_of_a_key_is_a_replica() {
        let good = replica();
        let (key, keyring) = (good.key, good.keyring);
        for me in [0, 2, 4] {
            let (key, keyring) = (key.clone(), keyring.clone());
            let (tuning, durability) = (Tuning::default(), Durability::Reported);
            let replica = Replica::new(ReplicaId(me), key, keyring, 4, tuning, durability);
            assert!(replica.is_none());
        }
    }

    #[test]
    fn a_number_executed_that_was_not_decided_halts() {
        let mut corrupt = replica();
        corrupt.executed = SeqNo(1);
        let (low, executed, high) = (SeqNo(0), SeqNo(1), SeqNo(32));
        halts_with(
            corrupt,
            Violation::Watermarks {
                low,
                executed,
                high,
            },
        );
    }

    #[test]
    fn a_stable_checkpoint_that_was_not_executed_halts() {
        let mut corrupt = replica();
        let quorum = corrupt.quorum;
        corrupt.checkpoints.advance(SeqNo(4), Vec::new(), quorum);
        let (low, executed, high) = (SeqNo(4), SeqNo(0), SeqNo(36));
        halts_with(
            corrupt,
            Violation::Watermarks {
                low,
                executed,
                high,
            },
        );
    }

    #[test]
    fn a_log_beyond_its_bound_halts() {
        let mut corrupt = replica();
        for seq_no in 1..=33 {
            corrupt
                .slots
                .insert(SeqNo(seq_no), Slot::new(SeqNo(seq_no), View(0)));
        }
        let (what, len, bound) = ("log", 33, 32);
        halts_with(corrupt, Violation::Unbounded { what, len, bound });
    }

    /// The service may execute the next decided number, and no other.
    #[test]
    fn a_service_out_of_step_halts() {
        for (delivered, got) in [(0, 1), (3, 2), (3, 0)] {
            let mut replica = replica();
            replica.delivered = SeqNo(delivered);
            let mut out = Effects::new();
            let (seq_no, time, due) = (SeqNo(got), OrderedTime(1), None);
            let input = Input::Executed { seq_no, time, due };
            replica.step(Clock::default(), input, &mut out);
            let expected = Violation::ExecutedOutOfOrder {
                expected: SeqNo(1),
                got: seq_no,
            };
            assert!(
                matches!(&out[..], [Effect::Halt(found)] if *found == expected),
                "{out:?}"
            );
        }
    }
}
