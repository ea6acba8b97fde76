//! The smallest service that shows order: a log whose every reply is the hash
//! of all that was executed before it. An operation `lease` and a number of
//! milliseconds is due so much later; until then agreed time matters.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bezant_bft::{
    codec,
    crypto::digest,
    ids::{Digest, OrderedTime, SeqNo},
    message::{Reply, Request},
    service::{Admission, Replies, Service},
    state::{BadSnapshot, Part, State},
    verification::CheckedProposal,
};
use bytes::Bytes;

/// The operation of a request that the service forgets as soon as it executed it, as of a
/// session that is over: it changes nothing and is new whenever it comes.
pub(crate) const FORGOTTEN: &[u8] = b"forgotten";

/// An append-only log with exactly-once execution by request digest.
#[derive(Debug)]
pub(crate) struct Log {
    /// Hash over everything executed, in order.
    state: Digest,
    /// The kept reply of each request executed.
    kept: BTreeMap<Digest, Reply>,
    /// Requests in order of execution, each once.
    pub(crate) order: Vec<Digest>,
    /// Agreed time.
    pub(crate) time: OrderedTime,
    /// What expires, and when.
    pub(crate) leases: BTreeSet<u64>,
}

type Content = (Digest, Vec<(Digest, Reply)>, OrderedTime, BTreeSet<u64>);

impl Log {
    pub(crate) const fn new() -> Self {
        Self {
            state: Digest([0; 32]),
            kept: BTreeMap::new(),
            order: Vec::new(),
            time: OrderedTime(0),
            leases: BTreeSet::new(),
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

    fn execute(&mut self, seq_no: SeqNo, proposal: &Arc<CheckedProposal>, replies: &mut Replies) {
        if proposal.digest() != CheckedProposal::null().digest() {
            self.time = self.time.next().max(proposal.time());
            self.leases = self.leases.split_off(&self.time.next().0);
        }
        for checked in proposal.requests() {
            let request = checked.request();
            if self.kept.contains_key(&checked.digest()) || request.op == FORGOTTEN {
                continue;
            }
            self.state = digest("test log", &[&self.state.0, &checked.digest().0]);
            self.order.push(checked.digest());
            let op = str::from_utf8(&request.op).unwrap_or_default();
            if let Some(Ok(ms)) = op.strip_prefix("lease ").map(str::parse::<u64>) {
                self.leases.insert(self.time.0 + ms);
            }
            let reply = Reply {
                session: request.session,
                number: request.number,
                seq_no,
                result: Bytes::copy_from_slice(&self.state.0),
            };
            self.kept.insert(checked.digest(), reply.clone());
            replies.push((request.client, reply));
        }
    }

    fn due(&self) -> Option<OrderedTime> {
        self.leases.first().map(|due| OrderedTime(*due))
    }

    /// In several parts.
    fn snapshot(&self) -> State {
        let done: Vec<(&Digest, &Reply)> = self
            .order
            .iter()
            .filter_map(|request| self.kept.get_key_value(request))
            .collect();
        let bytes = codec::encode(&(self.state, done, self.time, &self.leases));
        State::new(bytes.chunks(100).filter_map(Part::new).collect())
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), BadSnapshot> {
        let (state, done, time, leases): Content =
            codec::decode(snapshot).map_err(|error| BadSnapshot(error.to_string()))?;
        let order: Vec<Digest> = done.iter().map(|(request, _)| *request).collect();
        let kept: BTreeMap<Digest, Reply> = done.into_iter().collect();
        if kept.len() != order.len() {
            return Err(BadSnapshot("a request executed twice".to_owned()));
        }
        *self = Self {
            state,
            kept,
            order,
            time,
            leases,
        };
        Ok(())
    }
}
