//! Drops, holds and passes messages, as a script says.

use bezant_bft::{codec, ids::ReplicaId, message::PeerMessage};
use bytes::Bytes;

/// Kinds of messages by name.
const KINDS: [&str; 16] = [
    "pre-prepare",
    "prepare",
    "commit",
    "checkpoint",
    "forward",
    "status",
    "view-change",
    "new-view",
    "decided",
    "ask-proposals",
    "content",
    "ask-state",
    "state",
    "stable",
    "rejoin",
    "other",
];

/// Which messages are meant; `None` is any.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) from: Option<Vec<usize>>,
    pub(crate) to: Option<Vec<usize>>,
    pub(crate) kind: Option<&'static str>,
    pub(crate) number: Option<u64>,
    /// Whether they are kept for later.
    pub(crate) holds: bool,
}

/// What stands between machines.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    filters: Vec<Filter>,
    held: Vec<(usize, ReplicaId, Bytes)>,
}

impl Wire {
    /// The kind of this name.
    pub(crate) fn kind(name: &str) -> Option<&'static str> {
        KINDS.into_iter().find(|kind| *kind == name)
    }

    pub(crate) fn add(&mut self, filter: Filter) {
        self.filters.push(filter);
    }

    /// Whether this message does not go on; if it is held, it is kept here.
    pub(crate) fn stops(&mut self, from: usize, to: ReplicaId, bytes: &Bytes) -> bool {
        if self.filters.is_empty() {
            return false;
        }
        let (kind, number) = match codec::decode::<PeerMessage>(bytes) {
            Ok(message) => describe(&message),
            Err(_) => ("other", None),
        };
        let is_meant = |filter: &&Filter| {
            let among = |some: &Option<Vec<usize>>, one: usize| {
                some.as_ref().is_none_or(|some| some.contains(&one))
            };
            among(&filter.from, from)
                && among(&filter.to, usize::from(to.0))
                && filter.kind.is_none_or(|wanted| wanted == kind)
                && filter.number.is_none_or(|wanted| number == Some(wanted))
        };
        let Some(filter) = self.filters.iter().find(is_meant) else {
            return false;
        };
        if filter.holds {
            self.held.push((from, to, bytes.clone()));
        }
        true
    }

    /// Holds no more, and gives back what was held.
    pub(crate) fn release(&mut self) -> Vec<(usize, ReplicaId, Bytes)> {
        self.filters.retain(|filter| !filter.holds);
        std::mem::take(&mut self.held)
    }

    /// Lets everything pass from now on; what was held is lost.
    pub(crate) fn lift(&mut self) {
        *self = Self::default();
    }
}

/// A message's kind, and the number of the log it is about.
fn describe(message: &PeerMessage) -> (&'static str, Option<u64>) {
    match message {
        PeerMessage::PrePrepare(message) => ("pre-prepare", Some(message.vote.body.seq_no.0)),
        PeerMessage::Prepare(vote) => ("prepare", Some(vote.body.seq_no.0)),
        PeerMessage::Commit(vote) => ("commit", Some(vote.body.seq_no.0)),
        PeerMessage::Checkpoint(vote) => ("checkpoint", Some(vote.body.seq_no.0)),
        PeerMessage::Forward(_) => ("forward", None),
        PeerMessage::Status(_) => ("status", None),
        PeerMessage::ViewChange(_) => ("view-change", None),
        PeerMessage::NewView(_) => ("new-view", None),
        PeerMessage::Decided(message) => ("decided", Some(message.seq_no.0)),
        PeerMessage::AskProposals(_) => ("ask-proposals", None),
        PeerMessage::Content(message) => ("content", Some(message.seq_no.0)),
        PeerMessage::AskState(message) => ("ask-state", Some(message.seq_no.0)),
        PeerMessage::State(message) => ("state", Some(message.seq_no.0)),
        PeerMessage::Stable(votes) => {
            let seq_no = votes.first().map(|vote| vote.body.seq_no.0);
            ("stable", seq_no)
        }
        PeerMessage::Rejoin(_) => ("rejoin", None),
        _ => ("other", None),
    }
}
