//! What a replica wants done: everything that comes out of its driver.

use std::fmt;

use bezant_bft::{
    effects::{PersistId, Record, To},
    evidence::Evidence,
    ids::{ReplicaId, SeqNo, View},
    invariants::Violation,
    message::{PeerMessage, ReplicaMessage},
    misbehaviour::Misbehaviour,
    state::State,
};
use bezant_kernel::LogLine;

use crate::event::LinkId;

/// Something to perform, in the order of the list.
#[derive(Debug)]
pub enum Action {
    /// Write a record behind those written before. It need not be durable yet.
    Append {
        /// Its name; names rise.
        id: PersistId,
        /// The record.
        record: Record,
    },
    /// Make all records up to this one durable, then say so with
    /// [`Event::Durable`](crate::Event::Durable).
    Sync(PersistId),
    /// Make the state at a checkpoint durable, then say so with
    /// [`Event::SnapshotSaved`](crate::Event::SnapshotSaved).
    SaveSnapshot {
        /// The checkpoint.
        seq_no: SeqNo,
        /// The state there.
        state: State,
    },
    /// Records of numbers up to this one may go, and the states below the newest stable
    /// checkpoint of which both a record and the state are durable.
    Truncate(SeqNo),
    /// Use up the leave to vote without a memory, for good, then say so with
    /// [`Event::FirstStartUsed`](crate::Event::FirstStartUsed).
    UseFirstStart,
    /// Send a message to other replicas. What it rests on is durable.
    SendPeers {
        /// To whom.
        to: To,
        /// The message.
        message: PeerMessage,
    },
    /// Send a message to whoever is at the other end of a client's link. What it rests on
    /// is durable.
    SendClient {
        /// The link.
        link: LinkId,
        /// The message.
        message: ReplicaMessage,
    },
    /// Tell the operator.
    Log(LogEvent),
    /// Keep proof of misbehaviour, for people to look at and to check elsewhere.
    KeepEvidence(Box<Evidence>),
    /// End: nothing is done any more, whatever happens.
    Halt(HaltReason),
}

/// What an operator is told.
#[derive(Debug)]
pub enum LogEvent {
    /// This replica entered a view.
    ViewEntered {
        /// The view.
        view: View,
        /// Its primary.
        primary: ReplicaId,
    },
    /// This replica suspects the primary of a view and starts a view change.
    PrimarySuspected {
        /// The view.
        view: View,
        /// Its primary.
        primary: ReplicaId,
    },
    /// A peer or client did what the protocol forbids.
    Misbehaviour(Misbehaviour),
    /// A state from peers took the place of this replica's own.
    StateInstalled {
        /// The checkpoint at which it was taken.
        seq_no: SeqNo,
    },
    /// A link carries the replies of as many clients as it may; those of one more are not
    /// sent over it.
    AttachRefused {
        /// The link.
        link: LinkId,
    },
    /// An extension logged a line.
    Extension(LogLine),
}

/// Why a replica ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HaltReason {
    /// Its operator asked for it.
    Stopped,
    /// Its state machine broke an invariant.
    Violation(Violation),
    /// Its service could answer otherwise than the others'.
    Service(String),
    /// It cannot read a state that a strong quorum vouched for.
    UnreadableState(String),
    /// Something could not be made durable.
    Storage(String),
}

impl fmt::Display for HaltReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped by its operator"),
            Self::Violation(violation) => violation.fmt(f),
            Self::Service(why) | Self::UnreadableState(why) | Self::Storage(why) => {
                f.write_str(why)
            }
        }
    }
}
