//! Verified requests that are not executed yet, in order of arrival.
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
    ids::{ClientId, Digest, Instant},
    invariants::Violation,
    limits,
    seal::CheckedRequest,
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
}

/// The pool.
#[derive(Debug, Default)]
pub struct Pool {
    entries: BTreeMap<Digest, Entry>,
    /// Digests in order of arrival; some may be gone or proposed by now.
    queue: VecDeque<Digest>,
    per_client: BTreeMap<ClientId, usize>,
    bytes: usize,
    unproposed: usize,
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
        let share = self.per_client.get(&client).copied().unwrap_or(0);
        if share >= limits::MAX_POOL_REQUESTS_PER_CLIENT
            || self.entries.len() >= limits::MAX_POOL_REQUESTS
            || self.bytes + request.cost_bytes() > limits::MAX_POOL_BYTES
        {
            return Err(Refusal::Full);
        }
        self.per_client.insert(client, share + 1);
        self.bytes += request.cost_bytes();
        self.unproposed += 1;
        self.queue.push_back(digest);
        self.entries.insert(
            digest,
            Entry {
                request,
                since: now,
                proposed: false,
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
                || bytes > limits::MAX_PROPOSAL_BYTES
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
        }
    }

    /// Forgets an executed request.
    pub fn remove(&mut self, digest: &Digest) {
        let Some(entry) = self.entries.remove(digest) else {
            return;
        };
        if !entry.proposed {
            self.unproposed -= 1;
        }
        self.bytes -= entry.request.cost_bytes();
        let client = entry.request.request().client;
        if let Some(share) = self.per_client.get_mut(&client) {
            *share -= 1;
            if *share == 0 {
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
