//! The interface of the replicated service: admission, execution, snapshots.
//!
//! The service is pure too; the node and the simulator drive both through this
//! trait, so that neither has a way of its own.

use std::sync::Arc;

use crate::{
    ids::{ClientId, OrderedTime, SeqNo},
    message::{Reply, Request},
    state::{BadSnapshot, State},
    verification::verified::CheckedProposal,
};

/// What the service knows of a request before it is ordered. Only a hint that saves
/// work: what counts is what [`Service::execute`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Not executed yet: verify and order it.
    New,
    /// Executed; this is the kept reply, which only its client may be sent.
    Done(Reply),
    /// Executed and waiting, or acknowledged long ago: nothing to send.
    Silent,
    /// Could never be executed as it stands; the reply says why and is this replica's own word.
    Refuse(Reply),
}

/// Replies that an execution brought about, in order, with their addressees.
pub type Replies = Vec<(ClientId, Reply)>;

/// A deterministic service: the same proposals in the same order give the same
/// replies and snapshots at every correct replica.
pub trait Service {
    /// What is known of a request.
    fn admit(&self, request: &Request) -> Admission;

    /// Applies a decided proposal at `number` and appends the replies it caused.
    fn execute(&mut self, seq_no: SeqNo, proposal: &Arc<CheckedProposal>, replies: &mut Replies);

    /// The earliest agreed time at which something in the state expires, by itself and
    /// without a request. Executing a proposal moves it beyond the time then agreed;
    /// `None` if nothing ever does.
    fn due(&self) -> Option<OrderedTime>;

    /// The whole state after the last number executed, in its one encoding: the same
    /// parts at every replica in the same state, however it got there.
    fn snapshot(&self) -> State;

    /// Takes over the state with this [content](State::content); afterwards
    /// [`Self::snapshot`] gives it again, and everything is answered as where it was taken.
    ///
    /// # Errors
    /// [`BadSnapshot`]; then nothing changed.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), BadSnapshot>;
}
