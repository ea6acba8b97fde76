//! Holds messages of views that this replica has not entered yet.
//!
//! Replicas enter a view one after the other, so that the first votes of a view may come before
//! the last message that opens it. Without holding them each change of views would cost a round
//! of questions. A faulty replica may speak of views that never come: each has a share, in
//! messages and in bytes, of which only its own link is charged ([`crate::replica::Replica`]
//! holds nothing that others pass on). What does not fit is dropped and nobody is blamed for it:
//! a replica that is far ahead says much that is true. Whoever enters the view asks for it.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    ids::{ReplicaId, View},
    limits,
    message::{Signed, Vote},
    verification::verified::CheckedPrePrepare,
};

/// What a vote is charged for, in bytes: more than it takes.
pub(super) const VOTE_BYTES: usize = 256;

/// A message of a view that is not entered yet.
#[derive(Debug)]
pub(super) enum Early {
    PrePrepare(CheckedPrePrepare),
    Prepare(Signed<Vote>),
    Commit(Signed<Vote>),
}

impl Early {
    fn bytes(&self) -> usize {
        match self {
            Self::PrePrepare(message) => VOTE_BYTES + message.proposal.cost_bytes(),
            Self::Prepare(_) | Self::Commit(_) => VOTE_BYTES,
        }
    }
}

/// What one replica said too early.
#[derive(Debug, Default)]
struct Share {
    messages: VecDeque<(View, Early)>,
    bytes: usize,
}

/// What all said too early.
#[derive(Debug, Default)]
pub(super) struct EarlyMessages(BTreeMap<ReplicaId, Share>);

impl EarlyMessages {
    /// Whether a message of so many bytes of `from` may be held.
    pub(super) fn has_room(&self, from: ReplicaId, bytes: usize) -> bool {
        self.0.get(&from).is_none_or(|share| {
            share.messages.len() < limits::MAX_EARLY_PER_REPLICA
                && share.bytes.saturating_add(bytes) <= limits::MAX_EARLY_BYTES_PER_REPLICA
        })
    }

    /// Holds a message that came over the link of `from`, if there is room for it.
    pub(super) fn hold(&mut self, from: ReplicaId, view: View, message: Early) {
        let bytes = message.bytes();
        if self.has_room(from, bytes) {
            let share = self.0.entry(from).or_default();
            share.bytes += bytes;
            share.messages.push_back((view, message));
        }
    }

    /// What was held for `view`. What was held for lower ones is dropped.
    pub(super) fn take(&mut self, view: View) -> Vec<Early> {
        let mut now = Vec::new();
        for share in self.0.values_mut() {
            for (of, message) in std::mem::take(&mut share.messages) {
                if of > view {
                    share.messages.push_back((of, message));
                } else {
                    share.bytes -= message.bytes();
                    now.extend((of == view).then_some(message));
                }
            }
        }
        now
    }

    /// Bytes held of `from`.
    pub(super) fn bytes_of(&self, from: ReplicaId) -> usize {
        self.0.get(&from).map_or(0, |share| share.bytes)
    }
}
