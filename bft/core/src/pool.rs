//! The pool: verified requests that are not executed yet, in order of arrival.
//!
//! The primary proposes from the front; every replica keeps what it knows, so
//! that a request dropped by the primary is noticed and its signature is never
//! checked twice. Bounded in all, in bytes, and per client: a client that
//! floods fills its own share only.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::{
    ids::{ClientId, Digest, Instant, RequestNumber, SessionId},
    invariants::Violation,
    limits,
    verification::verified::CheckedRequest,
};

/// Why a request was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is here already.
    Known,
    /// The pool, or its client's share of it, is full.
    Full,
}

#[derive(Debug)]
struct Entry {
    request: Arc<CheckedRequest>,
    since: Instant,
    proposed: bool,
    /// Passed on to the primary, which proposed younger ones.
    passed_on: bool,
}

/// Where a request stands: only one of each place is ever executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    client: ClientId,
    session: SessionId,
    number: RequestNumber,
}

fn place(request: &CheckedRequest) -> Place {
    let request = request.request();
    Place {
        client: request.client,
        session: request.session,
        number: request.number,
    }
}

/// What one client has in the pool.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    requests: usize,
    bytes: usize,
}

/// The pool.
#[derive(Debug, Default)]
pub struct Pool {
    entries: BTreeMap<Digest, Entry>,
    /// Digests in order of arrival; some may be gone or proposed by now.
    queue: VecDeque<Digest>,
    /// Requests by their place in their session: a faulty client signs several for one.
    places: BTreeMap<Place, Vec<Digest>>,
    per_client: BTreeMap<ClientId, Share>,
    bytes: usize,
    unproposed: usize,
    /// When the youngest of all that was proposed came in.
    youngest_proposed: Instant,
}

impl Pool {
    /// Takes a request in.
    ///
    /// # Errors
    /// [`Refusal`] if it is known or there is no room.
    pub fn add(&mut self, request: Arc<CheckedRequest>, now: Instant) -> Result<(), Refusal> {
        let digest = request.digest();
        if self.entries.contains_key(&digest) {
            return Err(Refusal::Known);
        }
        let client = request.request().client;
        let mut share = self.per_client.get(&client).copied().unwrap_or_default();
        share.requests += 1;
        share.bytes += request.cost_bytes();
        if share.requests > limits::MAX_POOL_REQUESTS_PER_CLIENT
            || share.bytes > limits::MAX_POOL_BYTES_PER_CLIENT
            || self.entries.len() >= limits::MAX_POOL_REQUESTS
            || self.bytes + request.cost_bytes() > limits::MAX_POOL_BYTES
        {
            return Err(Refusal::Full);
        }
        self.per_client.insert(client, share);
        self.bytes += request.cost_bytes();
        self.unproposed += 1;
        self.queue.push_back(digest);
        self.places.entry(place(&request)).or_default().push(digest);
        self.entries.insert(
            digest,
            Entry {
                request,
                since: now,
                proposed: false,
                passed_on: false,
            },
        );
        Ok(())
    }

    /// A request authenticated before.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<Arc<CheckedRequest>> {
        self.entries
            .get(digest)
            .map(|entry| Arc::clone(&entry.request))
    }

    /// Whether a request is known and in somebody's proposal.
    #[must_use]
    pub fn is_proposed(&self, digest: &Digest) -> bool {
        self.entries.get(digest).is_some_and(|entry| entry.proposed)
    }

    /// Requests not in any proposal yet, in order of arrival.
    pub fn waiting(&self) -> impl Iterator<Item = &Arc<CheckedRequest>> {
        self.queue
            .iter()
            .filter_map(|digest| self.entries.get(digest))
            .filter(|entry| !entry.proposed)
            .map(|entry| &entry.request)
    }

    /// Number of requests not in any proposal yet.
    #[must_use]
    pub const fn unproposed(&self) -> usize {
        self.unproposed
    }

    /// All requests.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is known and unordered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Requests older by `view_change_timeout_us` than one that was proposed before them: the
    /// primary may not have them. Each is named once.
    pub fn overtaken(&mut self, view_change_timeout_us: u64) -> Vec<Arc<CheckedRequest>> {
        let mut overtaken = Vec::new();
        for digest in &self.queue {
            let Some(entry) = self.entries.get_mut(digest) else {
                continue;
            };
            if entry.since.after_us(view_change_timeout_us) > self.youngest_proposed {
                break;
            }
            if !entry.proposed && !entry.passed_on {
                entry.passed_on = true;
                overtaken.push(Arc::clone(&entry.request));
            }
        }
        overtaken
    }

    /// When the oldest request not in any proposal came in.
    #[must_use]
    pub fn waits_since(&self) -> Option<Instant> {
        if self.unproposed == 0 {
            return None;
        }
        let mut entries = self.queue.iter().filter_map(|d| self.entries.get(d));
        entries
            .find(|entry| !entry.proposed)
            .map(|entry| entry.since)
    }

    /// When the request that waits longest came in.
    #[must_use]
    pub fn oldest(&self) -> Option<Instant> {
        self.queue
            .iter()
            .find_map(|digest| self.entries.get(digest))
            .map(|entry| entry.since)
    }

    /// The requests of the next proposal, oldest first, within the bounds of one.
    pub fn take_for_proposal(&mut self) -> Vec<Arc<CheckedRequest>> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        for digest in &self.queue {
            let Some(entry) = self.entries.get_mut(digest) else {
                continue;
            };
            if entry.proposed {
                continue;
            }
            bytes += entry.request.cost_bytes();
            if taken.len() >= limits::MAX_REQUESTS_PER_PROPOSAL
                || bytes > limits::MAX_PROPOSED_REQUEST_BYTES
            {
                break;
            }
            entry.proposed = true;
            taken.push(Arc::clone(&entry.request));
        }
        self.unproposed -= taken.len();
        taken
    }

    /// Marks a request as ordered by somebody's proposal.
    pub fn mark_proposed(&mut self, digest: &Digest) {
        if let Some(entry) = self.entries.get_mut(digest)
            && !entry.proposed
        {
            entry.proposed = true;
            self.unproposed -= 1;
            self.youngest_proposed = self.youngest_proposed.max(entry.since);
        }
    }

    /// A new view begins: nothing is proposed in it yet, and its primary gets its time.
    pub fn forget_proposals(&mut self, now: Instant) {
        for entry in self.entries.values_mut() {
            entry.since = now;
            entry.proposed = false;
            entry.passed_on = false;
        }
        self.unproposed = self.entries.len();
        self.youngest_proposed = Instant::default();
    }

    /// Whether a request waits that is older by `view_change_timeout_us` than one proposed before
    /// it.
    #[must_use]
    pub fn is_passed_over(&self, view_change_timeout_us: u64) -> bool {
        self.waits_since()
            .is_some_and(|since| since.after_us(view_change_timeout_us) <= self.youngest_proposed)
    }

    /// Forgets an executed request, and all others for its place: none of them will be
    /// executed any more, and nobody must wait for it.
    pub fn settle(&mut self, request: &CheckedRequest) {
        for digest in self.places.remove(&place(request)).unwrap_or_default() {
            self.remove(&digest);
        }
    }

    fn remove(&mut self, digest: &Digest) {
        let Some(entry) = self.entries.remove(digest) else {
            return;
        };
        if !entry.proposed {
            self.unproposed -= 1;
        }
        self.bytes -= entry.request.cost_bytes();
        let client = entry.request.request().client;
        if let Some(share) = self.per_client.get_mut(&client) {
            share.requests -= 1;
            share.bytes -= entry.request.cost_bytes();
            if share.requests == 0 {
                self.per_client.remove(&client);
            }
        }
        while let Some(front) = self.queue.front()
            && !self.entries.contains_key(front)
        {
            self.queue.pop_front();
        }
        // Holes in the middle of the queue are bounded by what is in the pool.
        if self.queue.len() > 2 * self.entries.len() + 64 {
            let entries = &self.entries;
            self.queue.retain(|digest| entries.contains_key(digest));
        }
    }

    /// What must hold of a pool.
    ///
    /// # Errors
    /// [`Violation`] naming what does not.
    pub fn invariants(&self) -> Result<(), Violation> {
        let bounds = [
            ("pool", self.entries.len(), limits::MAX_POOL_REQUESTS),
            ("pool bytes", self.bytes, limits::MAX_POOL_BYTES),
            (
                "pool queue",
                self.queue.len(),
                2 * limits::MAX_POOL_REQUESTS + 64,
            ),
            ("pool clients", self.per_client.len(), self.entries.len()),
            ("pool unproposed", self.unproposed, self.entries.len()),
        ];
        for (what, len, bound) in bounds {
            if len > bound {
                return Err(Violation::Unbounded { what, len, bound });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        crypto::Signature,
        ids::{RequestNumber, SessionId},
        message::{Request, SignedRequest},
    };

    fn request(client: u64, number: u64, op: &Bytes) -> Arc<CheckedRequest> {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&client.to_le_bytes());
        let request = Request {
            client: ClientId(key),
            session: SessionId(1),
            number: RequestNumber(number),
            acked: Vec::new(),
            op: op.clone(),
        };
        let signed = SignedRequest {
            request,
            signature: Signature([0; 64]),
        };
        Arc::new(CheckedRequest::unchecked(signed))
    }

    fn numbers(requests: &[Arc<CheckedRequest>]) -> Vec<u64> {
        requests
            .iter()
            .map(|request| request.request().number.0)
            .collect()
    }

    /// Many clients, each within its share, fill the pool to its bound and no further.
    #[test]
    fn the_pool_holds_so_many_requests() {
        let mut pool = Pool::default();
        for i in 0..limits::MAX_POOL_REQUESTS as u64 {
            assert_eq!(
                pool.add(request(i / 64, i, &Bytes::new()), Instant(i)),
                Ok(())
            );
        }
        let one_more = request(u64::MAX, 1, &Bytes::new());
        assert_eq!(
            pool.add(Arc::clone(&one_more), Instant(0)),
            Err(Refusal::Full)
        );
        assert_eq!(pool.len(), limits::MAX_POOL_REQUESTS);
        assert_eq!(pool.invariants(), Ok(()));
        pool.settle(&request(3, 3 * 64, &Bytes::new()));
        assert_eq!(pool.add(one_more, Instant(0)), Ok(()));
    }

    #[test]
    fn the_pool_holds_so_many_bytes() {
        let mut pool = Pool::default();
        let op = Bytes::from(vec![0; limits::MAX_OP_BYTES]);
        let cost = request(0, 0, &op).cost_bytes();
        let fit = limits::MAX_POOL_BYTES / cost;
        for i in 0..fit as u64 {
            assert_eq!(pool.add(request(i % 32, i, &op), Instant(0)), Ok(()));
        }
        assert_eq!(
            pool.add(request(99, 1, &op), Instant(0)),
            Err(Refusal::Full)
        );
        assert_eq!(pool.add(request(99, 1, &Bytes::new()), Instant(0)), Ok(()));
        assert_eq!(pool.invariants(), Ok(()));
    }

    /// Large operations use a share up before the number of requests does.
    #[test]
    fn a_client_holds_so_many_bytes() {
        let mut pool = Pool::default();
        let op = Bytes::from(vec![0; limits::MAX_OP_BYTES]);
        let fit = limits::MAX_POOL_BYTES_PER_CLIENT / request(0, 0, &op).cost_bytes();
        for i in 0..fit as u64 {
            assert_eq!(pool.add(request(1, i, &op), Instant(0)), Ok(()));
        }
        assert_eq!(
            pool.add(request(1, 999, &op), Instant(0)),
            Err(Refusal::Full)
        );
        assert_eq!(pool.add(request(2, 999, &op), Instant(0)), Ok(()));
        pool.settle(&request(1, 0, &op));
        assert_eq!(pool.add(request(1, 999, &op), Instant(0)), Ok(()));
    }

    #[test]
    fn a_request_is_overtaken_once_by_what_came_much_later() {
        let (mut pool, op) = (Pool::default(), Bytes::new());
        for number in [1, 2, 3, 20, 30] {
            pool.add(request(1, number, &op), Instant(number)).unwrap();
        }
        pool.mark_proposed(&request(1, 2, &op).digest());
        pool.mark_proposed(&request(1, 3, &op).digest());
        assert!(pool.overtaken(10).is_empty());
        assert_eq!(pool.waits_since(), Some(Instant(1)));
        pool.mark_proposed(&request(1, 30, &op).digest());
        assert_eq!(numbers(&pool.overtaken(10)), [1, 20]);
        assert!(pool.overtaken(10).is_empty(), "once");
        pool.take_for_proposal();
        assert_eq!(pool.waits_since(), None);
    }

    #[test]
    fn requests_are_proposed_in_order_of_arrival_and_once() {
        let (mut pool, op) = (Pool::default(), Bytes::new());
        for number in 1..=5 {
            pool.add(request(1, number, &op), Instant(number)).unwrap();
        }
        assert_eq!(
            pool.add(request(1, 2, &op), Instant(9)),
            Err(Refusal::Known)
        );
        pool.mark_proposed(&request(1, 3, &op).digest());
        pool.settle(&request(1, 1, &op));
        assert_eq!(pool.oldest(), Some(Instant(2)));
        assert_eq!(pool.unproposed(), 3);
        assert_eq!(
            numbers(&pool.waiting().cloned().collect::<Vec<_>>()),
            [2, 4, 5]
        );
        assert_eq!(numbers(&pool.take_for_proposal()), [2, 4, 5]);
        assert!(pool.take_for_proposal().is_empty());
        assert_eq!((pool.len(), pool.unproposed()), (4, 0));
        assert!(pool.is_proposed(&request(1, 5, &op).digest()));
    }

    /// Whatever order things come and go in, the counts are what counting gives and the
    /// queue does not outgrow the pool.
    #[test]
    fn the_counts_are_right_after_any_history() {
        let (mut pool, op) = (Pool::default(), Bytes::from_static(b"op"));
        let mut chance = 7_u64;
        for step in 0..20_000_u64 {
            chance = chance
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let number = (chance >> 33) % 300;
            let any = request(number % 3, number, &op);
            match (chance >> 20) % 5 {
                0 | 1 => drop(pool.add(any, Instant(step))),
                2 => pool.mark_proposed(&any.digest()),
                3 if step % 50 == 0 => drop(pool.take_for_proposal()),
                _ => pool.settle(&any),
            }
            assert_eq!(pool.invariants(), Ok(()));
            assert_eq!(
                pool.waiting()
                    .map(|r| r.digest())
                    .collect::<std::collections::BTreeSet<_>>()
                    .len(),
                pool.unproposed()
            );
            let bytes: usize = pool
                .entries
                .values()
                .map(|entry| entry.request.cost_bytes())
                .sum();
            assert_eq!(bytes, pool.bytes);
            let shares = pool.per_client.values();
            let (requests, in_shares) =
                shares.fold((0, 0), |(r, b), s| (r + s.requests, b + s.bytes));
            assert_eq!((requests, in_shares), (pool.len(), bytes));
            assert!(pool.queue.len() <= 2 * 300 + 64);
        }
    }
}
