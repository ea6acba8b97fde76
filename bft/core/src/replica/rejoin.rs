//! A replica that lost its memory comes back, and the others take it back.
//!
//! Such a replica follows what is decided and casts no vote of any kind. It
//! asks for a new life ([`Rejoin`]) until the log has given it one, and votes
//! from the moment at which the checkpoint named there is stable, and only on
//! what lies above it. The primary orders the wish as it orders a request, and
//! then, while there is nothing else to do, empty proposals up to that
//! checkpoint, several at a time. What is of a life that
//! does not count is refused here, in one place, before it reaches its phase.
//! Why this is safe: docs/decisions/012-ordered-rejoin.md.

use std::collections::BTreeMap;

use super::Replica;
use crate::{
    crypto::Domain,
    effects::{Effect, Effects, Input, Record, To},
    ids::{Incarnation, Instant, Life, ReplicaId, SeqNo},
    limits,
    message::{CheckpointVote, PeerMessage, Rejoin, Signed, ViewChange, Vote},
    misbehaviour::Fault,
    rejoin::{Current, Lives},
    seal::verified::CheckedProposal,
};

/// A wish to begin a life that is not executed yet. One of each replica is kept.
#[derive(Debug)]
struct Wish {
    signed: Signed<Rejoin>,
    /// When this replica first wished for anything, and when for this.
    since: Instant,
    heard: Instant,
    proposed: bool,
}

/// Everything about lives.
#[derive(Debug, Default)]
pub(super) struct Rejoining {
    /// The life of this replica; none is its first.
    pub(super) life: Option<Life>,
    /// What the log says of all, after the last number delivered.
    pub(super) lives: Lives,
    wishes: BTreeMap<ReplicaId, Wish>,
    /// The highest number that this replica cast a vote on, or may have.
    pub(super) voted: SeqNo,
    /// When it last asked for its own life, and how often.
    asked: Option<Instant>,
    asks: u32,
}

/// What to do with a message of some life.
enum Heard {
    /// It counts.
    Counts,
    /// It does not, or not yet, and nobody is to blame.
    Late,
    /// Nobody who follows the protocol says this.
    Void(ReplicaId, Incarnation),
}

impl Replica {
    /// The life of this replica, as its own log has it.
    fn own(&self) -> Current {
        self.rejoining.lives.of(self.me)
    }

    /// The incarnation under which this replica votes, or will.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.own().incarnation
    }

    /// The checkpoint from which this life counts: a view may begin below it, and what is
    /// ordered again there an earlier life may have voted on.
    pub(super) fn counts_from(&self) -> SeqNo {
        self.own().from
    }

    /// Whether this replica votes. One that lost its memory does not until its new life counts.
    #[must_use]
    pub fn votes(&self) -> bool {
        let own = self.own();
        own.life == self.rejoining.life && self.checkpoints.low() >= own.from
    }

    /// Whether a wish could still be fulfilled, and was not heard just now: each is passed
    /// on to the primary, the same again and another one.
    pub(super) fn wants_rejoin(&self, rejoin: &Rejoin) -> bool {
        let wish = self.rejoining.wishes.get(&rejoin.replica);
        let patience_us = self.tuning.resend_after_us;
        let news = wish.is_none_or(|wish| self.now >= wish.heard.after_us(patience_us));
        let next = self.delivered.next();
        news && rejoin.replica != self.me && self.rejoining.lives.admits(rejoin, next)
    }

    pub(super) fn on_rejoin(&mut self, signed: Signed<Rejoin>, out: &mut Effects) -> Option<SeqNo> {
        if !self.wants_rejoin(&signed.body) {
            return None;
        }
        let heard = self.now;
        let replica = signed.body.replica;
        let known = self.rejoining.wishes.get(&replica);
        let same = known.filter(|wish| wish.signed.body == signed.body);
        let wish = Wish {
            signed,
            since: known.map_or(heard, |wish| wish.since),
            heard,
            proposed: same.is_some_and(|wish| wish.proposed),
        };
        self.rejoining.wishes.insert(replica, wish);
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

    /// Passes wishes on to the primary once more.
    pub(super) fn pass_rejoins(&self, out: &mut Effects) {
        for wish in self.rejoining.wishes.values() {
            self.pass_rejoin(wish.signed, out);
        }
    }

    /// When the wish that waits longest came in.
    pub(super) fn rejoin_waits_since(&self) -> Option<Instant> {
        let wishes = self.rejoining.wishes.values();
        wishes.map(|wish| wish.since).min()
    }

    /// Whether something is decided although a wish waits for so long.
    pub(super) fn is_a_wish_passed_over(&self, patience_us: u64) -> bool {
        let since = self.rejoin_waits_since();
        since.is_some_and(|since| since.after_us(patience_us) <= self.catch_up.progress.latest())
    }

    /// Whether numbers are still to be ordered so that everybody counts.
    pub(super) fn is_somebody_silent(&self) -> bool {
        self.rejoining.lives.all_count_from() > self.proposed.max(self.delivered)
    }

    /// Whether the primary has something to propose although no request waits.
    pub(super) fn has_lives_to_order(&self) -> bool {
        let mut wishes = self.rejoining.wishes.values();
        self.is_somebody_silent() || wishes.any(|wish| !wish.proposed)
    }

    /// The wishes to put into the next proposal.
    pub(super) fn take_rejoins(&mut self) -> Vec<Signed<Rejoin>> {
        let wishes = self.rejoining.wishes.values_mut();
        let waiting = wishes.filter(|wish| !wish.proposed);
        let taken = waiting.take(limits::MAX_REJOINS_PER_PROPOSAL);
        let taken = taken.map(|wish| {
            wish.proposed = true;
            wish.signed
        });
        taken.collect()
    }

    /// A new view begins: nothing is proposed in it yet.
    pub(super) fn forget_rejoin_proposals(&mut self) {
        for wish in self.rejoining.wishes.values_mut() {
            wish.since = self.now;
            wish.proposed = false;
        }
    }

    /// The lives that a decided proposal begins, in order of numbers.
    pub(super) fn begin_lives(&mut self, number: SeqNo, proposal: &CheckedProposal) {
        let interval = self.checkpoints.interval();
        let lives = &mut self.rejoining.lives;
        for signed in proposal.rejoins() {
            lives.execute(&signed.body, number, interval);
        }
        if !proposal.rejoins().is_empty() {
            self.forget_rejoins();
        }
    }

    /// Drops what can no longer be fulfilled.
    fn forget_rejoins(&mut self) {
        let next = self.delivered.next();
        let Rejoining { lives, wishes, .. } = &mut self.rejoining;
        wishes.retain(|_, wish| lives.admits(&wish.signed.body, next));
        self.rejoining.asks = 0;
    }

    /// A state was taken over with its lives.
    pub(super) fn take_lives(&mut self, lives: Lives) {
        self.rejoining.lives = lives;
        self.forget_rejoins();
    }

    /// Whether this replica asks for a life.
    fn is_amnesiac(&self) -> bool {
        self.rejoining.life.is_some() && self.own().life != self.rejoining.life
    }

    /// When to ask for the own life again.
    pub(super) fn rejoin_due(&self) -> Option<Instant> {
        if !self.is_amnesiac() {
            return None;
        }
        let factor = 1 << self.rejoining.asks.min(limits::MAX_RESEND_DOUBLINGS);
        let patience_us = self.tuning.resend_after_us.saturating_mul(factor);
        let asked = self.rejoining.asked;
        Some(asked.map_or(Instant(0), |asked| asked.after_us(patience_us)))
    }

    /// Asks for the own life when it is time.
    pub(super) fn rejoin_on_time(&mut self, out: &mut Effects) {
        if self.rejoin_due().is_some_and(|due| self.now >= due) {
            self.rejoining.asked = Some(self.now);
            self.rejoining.asks = self.rejoining.asks.saturating_add(1);
            self.ask_for_life(To::Others, out);
        }
    }

    /// Asks for a life. It is durable before anybody hears of it, or another life would
    /// take its place after a restart.
    pub(super) fn ask_for_life(&mut self, to: To, out: &mut Effects) {
        let Some(life) = self.rejoining.life.filter(|_| self.is_amnesiac()) else {
            return;
        };
        let body = Rejoin {
            epoch: self.keyring.epoch(),
            replica: self.me,
            incarnation: self.incarnation().next(),
            life,
        };
        self.counters.signatures += 1;
        let signed = Signed::new(body, Domain::Rejoin, self.keyring.cluster(), &self.key);
        let message = PeerMessage::Rejoin(signed);
        self.send_again(to, [message], out);
    }

    /// Whether `input` is of a life that does not count. A message of a life that this
    /// replica has not heard of is late: it lags, and will ask again.
    pub(super) fn is_void(&self, input: &Input, out: &mut Effects) -> bool {
        let heard = match input {
            Input::PrePrepare(message) => self.hear_vote(&message.get().vote.body),
            Input::Prepare(vote) => self.hear_vote(&vote.get().body),
            Input::Commit(vote) => self.hear_vote(&vote.get().body),
            Input::Checkpoint(vote) => self.hear_checkpoint(&vote.get().body),
            Input::ViewChange(change) => self.hear_view_change(&change.get().signed().body),
            Input::NewView(new_view) => {
                let body = &new_view.get().signed().body;
                self.hear_standing(body.replica, body.incarnation)
            }
            _ => Heard::Counts,
        };
        match heard {
            Heard::Counts => false,
            Heard::Late => true,
            Heard::Void(replica, said) => {
                self.blame(replica, Fault::WrongIncarnation { said }, out);
                true
            }
        }
    }

    /// Votes up to the checkpoint from which a life counts are those of earlier lives.
    fn hear_vote(&self, vote: &Vote) -> Heard {
        let current = self.rejoining.lives.of(vote.replica);
        let said = vote.incarnation;
        if said > current.incarnation {
            return Heard::Late;
        }
        Self::hear_number(current, vote.replica, said, vote.number)
    }

    /// A replica that fell behind learns from these where the others are, whatever their lives.
    fn hear_checkpoint(&self, vote: &CheckpointVote) -> Heard {
        let current = self.rejoining.lives.of(vote.replica);
        let said = vote.incarnation;
        if said > current.incarnation {
            return Heard::Counts;
        }
        Self::hear_number(current, vote.replica, said, vote.number)
    }

    fn hear_number(
        current: Current,
        replica: ReplicaId,
        said: Incarnation,
        number: SeqNo,
    ) -> Heard {
        let is_of_present = said == current.incarnation;
        let is_its_number = number > current.from;
        if current.life.is_none() || is_of_present == is_its_number {
            Heard::Counts
        } else {
            Heard::Void(replica, said)
        }
    }

    fn hear_view_change(&self, change: &ViewChange) -> Heard {
        let current = self.rejoining.lives.of(change.replica);
        if change.incarnation == current.incarnation && change.stable < current.from {
            return Heard::Void(change.replica, change.incarnation);
        }
        self.hear_standing(change.replica, change.incarnation)
    }

    /// What an earlier life said of views says nothing to one who voted where a later one
    /// may have voted. To one who did not it is as good as ever, and may lead it on.
    fn hear_standing(&self, replica: ReplicaId, said: Incarnation) -> Heard {
        let lives = &self.rejoining.lives;
        let unheard = said > lives.of(replica).incarnation;
        if unheard || lives.is_over(replica, said, self.rejoining.voted) {
            Heard::Late
        } else {
            Heard::Counts
        }
    }

    /// Notes a number that this replica votes on.
    pub(super) fn note_vote(&mut self, number: SeqNo) {
        self.rejoining.voted = self.rejoining.voted.max(number);
    }

    /// What its own records say of its lives and votes, for a replica that starts.
    pub(super) fn remember_life(&mut self, record: &Record) {
        match record {
            Record::Life(life) => self.rejoining.life = Some(*life),
            Record::PrePrepare(message) => self.note_vote(message.vote.body.number),
            Record::Prepare(vote) | Record::Commit { vote, .. } => {
                self.note_vote(vote.body.number);
            }
            // Records of votes below are gone.
            Record::Stable(_) => {
                let number = record.stable().unwrap_or_default();
                let span = self.checkpoints.span();
                self.note_vote(SeqNo(number.0.saturating_sub(span)));
            }
            Record::ViewChange(_) | Record::NewView(_) => {}
        }
    }

    /// Signs a vote on the state after `number`.
    pub(super) fn vote_on_checkpoint(&mut self, number: SeqNo, out: &mut Effects) {
        let Some(digest) = self.checkpoints.own(number).filter(|_| self.votes()) else {
            return;
        };
        let body = CheckpointVote {
            epoch: self.keyring.epoch(),
            replica: self.me,
            incarnation: self.incarnation(),
            number,
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
        for number in self.checkpoints.owed(self.me) {
            self.vote_on_checkpoint(number, out);
        }
    }

    /// The lives after the number just delivered, where a checkpoint covers them.
    pub(super) fn lives_at(&self, number: SeqNo) -> Option<Lives> {
        let due = self.checkpoints.is_due(number);
        due.then(|| self.rejoining.lives.clone())
    }

    /// Forgets view changes of lives that are over.
    pub(super) fn forget_earlier_lives(&mut self) {
        let Rejoining { lives, voted, .. } = &self.rejoining;
        self.views.forget(|change| {
            let body = &change.signed().body;
            lives.is_over(body.replica, body.incarnation, *voted)
        });
    }
}
