//! What ordering asks of the service it feeds: admission, execution, a digest.
//!
//! The service is pure too; the node and the simulator drive both through this
//! trait, so that neither has a way of its own.

use std::sync::Arc;

use crate::{
    ids::{ClientId, Digest, SeqNo},
    message::{Reply, Request},
    seal::CheckedProposal,
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
/// replies and digests at every correct replica.
pub trait Service {
    /// What is known of a request.
    fn admit(&self, request: &Request) -> Admission;

    /// Applies a decided proposal at `number` and appends the replies it caused.
    fn execute(&mut self, number: SeqNo, proposal: &Arc<CheckedProposal>, replies: &mut Replies);

    /// A digest that is equal at two replicas only if their states are.
    fn state_digest(&mut self) -> Digest;
}
