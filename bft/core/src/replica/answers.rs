//! Answers questions of peers, each within its peer's budget.
//!
//! A question of a few bytes may have an answer of megabytes: what a laggard lacks, what opened a
//! view, a part of a state. Each peer has a budget in bytes ([`Budget`]) that the time of the
//! steps refills. One who has used it up waits: of each kind of question its latest is kept, and
//! answered when something has come back. A question that comes again at the same moment, as in
//! one turn of the driver, is answered once. Nothing is copied or built for an answer before it
//! is known that it will be sent. What is answered to whom is for [`super::recover`],
//! [`super::view_change`] and [`super::transfer`].

use std::collections::BTreeMap;

use super::Replica;
use crate::{
    budget::{Budget, Rate},
    effects::{Effect, Effects, PersistId, To},
    ids::{Instant, ReplicaId, SeqNo, View},
    message::{AskProposals, AskState, PeerMessage, Status},
};

/// A question that has a large answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// What the peer lacks.
    Status(Status),
    /// Proposals by digest.
    Proposals(AskProposals),
    /// A part of a state.
    State(AskState),
}

/// A question of one kind, and the last of its kind that was answered.
#[derive(Debug, Default)]
struct Place {
    waiting: Option<Question>,
    answered: Option<(Instant, Question)>,
}

/// One peer's budget and questions.
#[derive(Debug)]
pub(super) struct Account {
    budget: Budget,
    status: Place,
    proposals: Place,
    state: Place,
    /// The view that it is being led into, and how many of the messages that do it was sent.
    pub(super) led: Option<(View, usize)>,
}

impl Account {
    fn new(rate: Rate) -> Self {
        Self {
            budget: Budget::new(rate),
            status: Place::default(),
            proposals: Place::default(),
            state: Place::default(),
            led: None,
        }
    }

    fn place(&mut self, question: &Question) -> &mut Place {
        match question {
            Question::Status(_) => &mut self.status,
            Question::Proposals(_) => &mut self.proposals,
            Question::State(_) => &mut self.state,
        }
    }

    /// Whether the peer may be sent something.
    pub(super) const fn has_left(&self) -> bool {
        self.budget.has_left()
    }

    /// Charges an answer that somebody else builds.
    pub(super) fn charge(&mut self, bytes: usize) {
        self.budget.charge(bytes);
    }

    /// The question to answer next, if something is left for an answer.
    fn next(&mut self) -> Option<Question> {
        if !self.has_left() {
            return None;
        }
        let places = [&mut self.status, &mut self.proposals, &mut self.state];
        let mut questions = places.into_iter().map(|place| place.waiting.take());
        questions.find_map(|question| question)
    }

    fn is_waiting(&self) -> bool {
        let places = [&self.status, &self.proposals, &self.state];
        places.iter().any(|place| place.waiting.is_some())
    }
}

/// Sends one peer what is within its budget.
pub(super) struct Answer<'a> {
    pub(super) to: ReplicaId,
    pub(super) account: &'a mut Account,
    /// What was said before, and may not be durable yet, waits for this.
    pub(super) after: Option<PersistId>,
    pub(super) out: &'a mut Effects,
}

impl Answer<'_> {
    /// Builds and sends each message while something is left; false if the rest was left out.
    pub(super) fn send(&mut self, messages: impl IntoIterator<Item = PeerMessage>) -> bool {
        let mut messages = messages.into_iter();
        loop {
            // Looked at first: the iterator builds what it gives.
            if !self.account.has_left() {
                return false;
            }
            let Some(message) = messages.next() else {
                return true;
            };
            self.send_small(message);
        }
    }

    /// Sends a small message even if the budget is used up: it tells that there is more.
    pub(super) fn send_small(&mut self, message: PeerMessage) {
        self.account.charge(message.cost_bytes());
        let (to, after) = (To::Replica(self.to), self.after);
        self.out.push(Effect::Send { to, message, after });
    }
}

/// What peers ask, and what they may be sent.
#[derive(Debug, Default)]
pub(super) struct Answers(BTreeMap<ReplicaId, Account>);

impl Replica {
    /// What one peer may be sent because it asked.
    const fn answer_rate(&self) -> Rate {
        Rate {
            burst: self.tuning.answer_burst_bytes as u64,
            per_second: self.tuning.answer_bytes_per_second as u64,
        }
    }

    /// A peer asks something that may have a large answer.
    pub(super) fn on_question(
        &mut self,
        from: ReplicaId,
        question: Question,
        out: &mut Effects,
    ) -> Option<SeqNo> {
        if !self.quorum.is_member(from) || from == self.me {
            return None;
        }
        let rate = self.answer_rate();
        let account = self.answers.0.entry(from);
        let account = account.or_insert_with(|| Account::new(rate));
        let place = account.place(&question);
        let now = (self.now, question);
        if place.answered.as_ref() != Some(&now) {
            place.waiting = Some(now.1);
            self.answer_on(from, out);
        }
        None
    }

    /// Answers what a peer asked as far as its budget goes.
    fn answer_on(&mut self, to: ReplicaId, out: &mut Effects) {
        let Some(mut account) = self.answers.0.remove(&to) else {
            return;
        };
        account.budget.refill(self.now);
        while let Some(question) = account.next() {
            let mut answer = Answer {
                to,
                account: &mut account,
                after: self.last_persisted(),
                out: &mut *out,
            };
            let done = match &question {
                Question::Status(status) => self.answer_status(*status, &mut answer),
                Question::Proposals(ask) => self.answer_proposals(ask, &mut answer),
                Question::State(ask) => self.answer_state(ask, &mut answer),
            };
            let place = account.place(&question);
            if done {
                place.answered = Some((self.now, question));
            } else {
                place.waiting = Some(question);
            }
        }
        self.answers.0.insert(to, account);
    }

    /// Answers what had to wait.
    pub(super) fn answer_on_time(&mut self, out: &mut Effects) {
        let waiting = self.answers.0.iter();
        let due = waiting.filter(|(_, account)| account.is_waiting());
        let due = due.filter(|(_, account)| self.now >= account.budget.due());
        let due: Vec<ReplicaId> = due.map(|(peer, _)| *peer).collect();
        for peer in due {
            self.answer_on(peer, out);
        }
    }

    /// When somebody whose question waits may be answered.
    pub(super) fn answers_due(&self) -> Option<Instant> {
        let accounts = self.answers.0.values();
        let waiting = accounts.filter(|account| account.is_waiting());
        waiting.map(|account| account.budget.due()).min()
    }

    /// Sends a peer what nobody asked for in words, within its budget.
    pub(super) fn send_within_budget(
        &mut self,
        to: ReplicaId,
        message: impl FnOnce(&Self) -> Option<PeerMessage>,
        out: &mut Effects,
    ) {
        let rate = self.answer_rate();
        let account = self.answers.0.remove(&to);
        let mut account = account.unwrap_or_else(|| Account::new(rate));
        account.budget.refill(self.now);
        let message = account.has_left().then(|| message(self)).flatten();
        if let Some(message) = message {
            let mut answer = Answer {
                to,
                account: &mut account,
                after: self.last_persisted(),
                out,
            };
            answer.send_small(message);
        }
        self.answers.0.insert(to, account);
    }
}
