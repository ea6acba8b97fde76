//! Durable before sent: what waits for storage, and until when.
//!
//! Records are written in order and become durable in order. A vote waits for its
//! own record; a reply, a claim, a status report and a checkpoint vote wait for
//! every record before them, since they tell what this replica would have to stand
//! by after a crash. Nothing that waits leaves before the leave to vote without a
//! memory is used up: with it, a replica whose disk was emptied would vote anew.
//! After a failure nothing leaves at all.

use std::collections::VecDeque;

use bezant_bft::effects::{Durability, PersistId, Record};

use crate::action::Action;

/// The leave to vote without a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstStart {
    /// There is none, or it is used up.
    Used,
    /// It stands until something is durable.
    Granted,
    /// Storage was told to use it up.
    Ending,
}

/// Holds actions back until what they rest on is durable.
#[derive(Debug)]
pub(crate) struct Gate {
    durability: Durability,
    first_start: FirstStart,
    appended: PersistId,
    durable: PersistId,
    /// In order: no one waits for an earlier record than one before it.
    waiting: VecDeque<(PersistId, Action)>,
}

impl Gate {
    pub(crate) const fn new(durability: Durability, first_start: bool) -> Self {
        Self {
            durability,
            first_start: if first_start {
                FirstStart::Granted
            } else {
                FirstStart::Used
            },
            appended: PersistId(0),
            durable: PersistId(0),
            waiting: VecDeque::new(),
        }
    }

    /// The last record handed to storage: what tells of this replica's state waits for it.
    pub(crate) const fn appended(&self) -> PersistId {
        self.appended
    }

    /// Actions held back.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Hands a record to storage.
    pub(crate) fn append(&mut self, id: PersistId, record: Record, actions: &mut Vec<Action>) {
        self.appended = id;
        actions.push(Action::Append { id, record });
    }

    /// Has everything handed over made durable.
    pub(crate) fn sync(&mut self, actions: &mut Vec<Action>) {
        match self.durability {
            Durability::Immediate => self.durable(self.appended, actions),
            Durability::Reported => actions.push(Action::Sync(self.appended)),
        }
    }

    /// Lets `action` through once `after` is durable.
    pub(crate) fn pass(&mut self, after: PersistId, action: Action, actions: &mut Vec<Action>) {
        if self.is_open(after) {
            actions.push(action);
        } else {
            self.waiting.push_back((after, action));
        }
    }

    fn is_open(&self, after: PersistId) -> bool {
        let may_vote = self.first_start == FirstStart::Used || after == PersistId(0);
        may_vote && after <= self.durable
    }

    /// All records up to `id` are durable.
    pub(crate) fn durable(&mut self, id: PersistId, actions: &mut Vec<Action>) {
        self.durable = self.durable.max(id);
        if self.first_start == FirstStart::Granted {
            self.first_start = FirstStart::Ending;
            actions.push(Action::UseFirstStart);
        }
        self.release(actions);
    }

    /// The leave to vote without a memory is used up.
    pub(crate) fn first_start_used(&mut self, actions: &mut Vec<Action>) {
        self.first_start = FirstStart::Used;
        self.release(actions);
    }

    fn release(&mut self, actions: &mut Vec<Action>) {
        while let Some((after, _)) = self.waiting.front()
            && self.is_open(*after)
        {
            actions.extend(self.waiting.pop_front().map(|(_, action)| action));
        }
    }

    /// Storage failed, or the replica ends: what waits never leaves.
    pub(crate) fn close(&mut self) {
        self.waiting.clear();
    }
}
