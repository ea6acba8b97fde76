//! The smallest service that shows order: a log whose every reply is the hash
//! of all that was executed before it.

use std::{collections::BTreeMap, sync::Arc};

use bezant_bft::{
    codec,
    crypto::digest,
    ids::{Digest, SeqNo},
    message::{Reply, Request},
    seal::CheckedProposal,
    service::{Admission, BadSnapshot, Replies, Service},
};
use bytes::Bytes;

/// An append-only log with exactly-once execution by request digest.
#[derive(Debug)]
pub(crate) struct Log {
    /// Hash over everything executed, in order.
    state: Digest,
    /// The kept reply of each request executed.
    kept: BTreeMap<Digest, Reply>,
    /// Requests in order of execution, each once.
    pub(crate) order: Vec<Digest>,
}

impl Log {
    pub(crate) const fn new() -> Self {
        Self {
            state: Digest([0; 32]),
            kept: BTreeMap::new(),
            order: Vec::new(),
        }
    }

    /// Makes this copy's state another than the others'.
    pub(crate) const fn corrupt(&mut self) {
        self.state = Digest([0xee; 32]);
    }
}

impl Service for Log {
    fn admit(&self, request: &Request) -> Admission {
        match self.kept.get(&request.digest()) {
            Some(reply) => Admission::Done(reply.clone()),
            None => Admission::New,
        }
    }

    fn execute(&mut self, number: SeqNo, proposal: &Arc<CheckedProposal>, replies: &mut Replies) {
        for checked in proposal.requests() {
            let request = checked.request();
            if self.kept.contains_key(&checked.digest()) {
                continue;
            }
            self.state = digest("test log", &[&self.state.0, &checked.digest().0]);
            self.order.push(checked.digest());
            let reply = Reply {
                session: request.session,
                number: request.number,
                position: number,
                result: Bytes::copy_from_slice(&self.state.0),
            };
            self.kept.insert(checked.digest(), reply.clone());
            replies.push((request.client, reply));
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        let done: Vec<(&Digest, &Reply)> = self
            .order
            .iter()
            .filter_map(|request| self.kept.get_key_value(request))
            .collect();
        codec::encode(&(self.state, done))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), BadSnapshot> {
        let (state, done): (Digest, Vec<(Digest, Reply)>) =
            codec::decode(snapshot).map_err(|error| BadSnapshot(error.to_string()))?;
        let order: Vec<Digest> = done.iter().map(|(request, _)| *request).collect();
        let kept: BTreeMap<Digest, Reply> = done.into_iter().collect();
        if kept.len() != order.len() {
            return Err(BadSnapshot("a request executed twice".to_owned()));
        }
        *self = Self { state, kept, order };
        Ok(())
    }
}
