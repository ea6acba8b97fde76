//! What a test may look at, and change, in the middle of a turn.
//!
//! Messages that leave can be changed by whoever performs the actions. A strategy
//! of a faulty replica needs more: to hear what comes in before its own replica
//! does, and to answer before anything is decided. A simulator needs the service
//! as it is after each execution. Production passes [`NoHook`], which costs nothing.

use std::sync::Arc;

use bezant_bft::{
    effects::{PersistId, Record},
    ids::SeqNo,
    message::{Reply, Request},
    misbehaviour::Misbehaviour,
    service::Replies,
    state::State,
    verification::{CheckedProposal, Unverified},
};
use bezant_kernel::Kernel;

/// A number that was just executed.
#[derive(Debug)]
pub struct Executed<'a> {
    /// The number.
    pub seq_no: SeqNo,
    /// What was decided there.
    pub proposal: &'a Arc<CheckedProposal>,
    /// What the service answered.
    pub replies: &'a Replies,
    /// The service after it.
    pub service: &'a Kernel,
    /// The last record handed to storage before: what tells of this number waits for it.
    pub recorded: PersistId,
}

/// Looks into a turn. Every method has a default that changes nothing.
pub trait Hook {
    /// A message of a replica came in; says whether this replica may hear it.
    fn hear(&mut self, message: &Unverified) -> bool {
        let _ = message;
        true
    }

    /// A client's request came in; an answer that it gets at once, whatever is decided.
    fn foretell(&mut self, request: &Request) -> Option<Reply> {
        let _ = request;
        None
    }

    /// A record was handed to storage.
    fn recorded(&mut self, id: PersistId, record: &Record) {
        let _ = (id, record);
    }

    /// A state from peers took the place of the service's.
    fn installed(&mut self, seq_no: SeqNo, state: &State) {
        let _ = (seq_no, state);
    }

    /// A number was executed.
    fn executed(&mut self, executed: &Executed<'_>) {
        let _ = executed;
    }

    /// Somebody is blamed.
    fn blamed(&mut self, misbehaviour: &Misbehaviour) {
        let _ = misbehaviour;
    }
}

/// Looks at nothing and changes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHook;

impl Hook for NoHook {}
