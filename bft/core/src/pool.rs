//! The pool: verified requests that are not executed yet.
//!
//! The primary proposes for one client after the other, each client's oldest request
//! first; every replica keeps what it knows, so that a request dropped by the primary
//! is noticed and its signature is never checked twice. Bounded in all, in bytes, and
//! per client: what one client may have here shrinks with what is left, so that however
//! many are greedy there is room for the others.
//!
//! Whether the primary is fair is judged here, too ([`Pool::review`]). A correct primary
//! leaves no request out of a proposal that has room for it, and when all its proposals
//! are full it serves every client that waits once before it serves one again. Neither
//! depends on when it got the others' requests, which nobody else knows: clients ask the
//! primary alone.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::{
    ids::{ClientId, Digest, Instant, RequestNumber, SessionId},
    invariants::Violation,
    limits,
    message::Share,
    verification::verified::CheckedRequest,
};

/// Why a request was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is here already.
    Known,
    /// There is no room.
    Full(Share),
}

#[derive(Debug)]
struct Entry {
    request: Arc<CheckedRequest>,
    since: Instant,
    proposed: bool,
    /// Passed on to the primary, which proposed younger ones.
    passed_on: bool,
    /// Left out once of a proposal that had room for it.
    left_out: Option<LeftOut>,
    /// How many of its client's requests had been proposed when it came in.
    proposed_before: u64,
}

/// A request that waited for long was left out of a proposal with room for it.
#[derive(Clone, Copy, Debug)]
struct LeftOut {
    at: Instant,
    /// How many of its client's requests had been proposed by then.
    proposed: u64,
}

/// What to do about the requests that wait.
#[derive(Debug, Default)]
pub struct Review {
    /// To be passed on to the primary, which may not have them.
    pub pass_on: Vec<Arc<CheckedRequest>>,
    /// A client waits although the primary had to serve it.
    pub is_unfair: bool,
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
#[derive(Debug, Default)]
struct Holding {
    requests: usize,
    bytes: usize,
    /// Digests not in a proposal, in order of arrival; some may be gone or proposed by now.
    waiting: VecDeque<Digest>,
    unproposed: usize,
    /// Its place in [`Pool::turns`] while something of it waits.
    turn: Option<u64>,
    /// How many of its requests were proposed while it had something here.
    proposed: u64,
    /// How many full proposals there had been when it was last served, or began to wait.
    full_proposals: u64,
}

/// The pool.
#[derive(Debug)]
pub struct Pool {
    entries: BTreeMap<Digest, Entry>,
    /// Digests in order of arrival; some may be gone or proposed by now.
    queue: VecDeque<Digest>,
    /// Requests by their place in their session: a faulty client signs several for one.
    places: BTreeMap<Place, Vec<Digest>>,
    clients: BTreeMap<ClientId, Holding>,
    /// Clients of which something waits, in the order in which they were last served.
    turns: BTreeMap<u64, ClientId>,
    next_turn: u64,
    bytes: usize,
    unproposed: usize,
    /// When the youngest of all that was proposed came in.
    youngest_proposed: Instant,
    /// Proposals seen that had no room for every request.
    full_proposals: u64,
    /// When the requests that wait were last reviewed.
    reviewed: Instant,
    /// Most requests that are kept.
    most: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self::new(limits::MAX_POOL_REQUESTS)
    }
}

impl Pool {
    /// An empty pool for `most` requests, [`limits::MAX_POOL_REQUESTS`] at most.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            queue: VecDeque::new(),
            places: BTreeMap::new(),
            clients: BTreeMap::new(),
            turns: BTreeMap::new(),
            next_turn: 0,
            bytes: 0,
            unproposed: 0,
            youngest_proposed: Instant::default(),
            full_proposals: 0,
            reviewed: Instant::default(),
            most: most.min(limits::MAX_POOL_REQUESTS),
        }
    }

    /// Takes a request in.
    ///
    /// # Errors
    /// [`Refusal`] if it is known or there is no room.
    pub fn add(&mut self, request: Arc<CheckedRequest>, now: Instant) -> Result<(), Refusal> {
        let digest = request.digest();
        if self.entries.contains_key(&digest) {
            return Err(Refusal::Known);
        }
        let (client, bytes) = (request.request().client, request.cost_bytes());
        self.room_for(&client, bytes).map_err(Refusal::Full)?;
        let holding = self.clients.entry(client).or_default();
        holding.requests += 1;
        holding.bytes += bytes;
        let proposed_before = holding.proposed;
        self.bytes += bytes;
        self.queue.push_back(digest);
        self.places.entry(place(&request)).or_default().push(digest);
        self.entries.insert(
            digest,
            Entry {
                request,
                since: now,
                proposed: false,
                passed_on: false,
                left_out: None,
                proposed_before,
            },
        );
        self.wait(client, digest);
        Ok(())
    }

    /// Whether a request of so many bytes would be taken in. One client may have what
    /// [`limits`] says of a client, and never more than a part of what is left, so that
    /// however many take all they can there is room for one more.
    ///
    /// # Errors
    /// The share that is used up.
    pub fn room_for(&self, client: &ClientId, bytes: usize) -> Result<(), Share> {
        let left = self.most.saturating_sub(self.entries.len());
        let left_bytes = limits::MAX_POOL_BYTES.saturating_sub(self.bytes);
        if left == 0 || bytes > left_bytes {
            return Err(Share::All);
        }
        let holding = self.clients.get(client);
        let (requests, held) = holding.map_or((0, 0), |has| (has.requests, has.bytes));
        // Its first request is taken in as long as there is any room, if it is not large.
        let most = (left / limits::POOL_LEFT_PER_CLIENT).max(1);
        let most_bytes = left_bytes / limits::POOL_LEFT_PER_CLIENT;
        let fits = requests < most.min(limits::MAX_POOL_REQUESTS_PER_CLIENT)
            && held + bytes <= most_bytes.min(limits::MAX_POOL_BYTES_PER_CLIENT);
        if fits { Ok(()) } else { Err(Share::Client) }
    }

    /// Something of a client waits to be proposed.
    fn wait(&mut self, client: ClientId, digest: Digest) {
        self.unproposed += 1;
        let holding = self.clients.entry(client).or_default();
        holding.waiting.push_back(digest);
        holding.unproposed += 1;
        if holding.turn.is_none() {
            holding.turn = Some(self.next_turn);
            holding.full_proposals = self.full_proposals;
            self.turns.insert(self.next_turn, client);
            self.next_turn += 1;
        }
    }

    /// One request of a client waits no more. If it was proposed, others' turns come first.
    fn served(&mut self, client: &ClientId, proposed: bool) {
        self.unproposed -= 1;
        let Some(holding) = self.clients.get_mut(client) else {
            return;
        };
        holding.unproposed -= 1;
        let entries = &self.entries;
        let waits = |digest: &Digest| entries.get(digest).is_some_and(|entry| !entry.proposed);
        while holding
            .waiting
            .pop_front_if(|front| !waits(front))
            .is_some()
        {}
        // Holes in the middle are bounded by what the client may have here.
        if holding.waiting.len() > 2 * holding.unproposed + 8 {
            holding.waiting.retain(waits);
        }
        let is_over = holding.unproposed == 0;
        if (is_over || proposed)
            && let Some(turn) = holding.turn.take()
        {
            self.turns.remove(&turn);
        }
        if proposed {
            holding.full_proposals = self.full_proposals;
        }
        if !is_over && holding.turn.is_none() {
            holding.turn = Some(self.next_turn);
            self.turns.insert(self.next_turn, *client);
            self.next_turn += 1;
        }
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

    /// Looks at the requests that wait, the primary having made a proposal now, which `had_room`
    /// for any of them or not. A request younger by `forward_after_us` than one that was
    /// proposed is to be passed on once, since the primary may not have it. So is one that
    /// waits for `timeout_us` and was left out although there was room; left out again
    /// `timeout_us` later, by a primary that proposed no more than a few of its client's
    /// meanwhile, it shows that the primary is unfair. (A client that floods fills its share at
    /// the primary, which then must refuse what others pass on of it.)
    ///
    /// The primary is unfair, too, if a client waits for `timeout_us` and for more full
    /// proposals than it takes to serve all that the pool of a primary can hold.
    ///
    /// Looks at most once in [`limits::REVIEW_INTERVAL_US`], whatever a primary proposes.
    pub fn review(
        &mut self,
        had_room: bool,
        now: Instant,
        forward_after_us: u64,
        timeout_us: u64,
    ) -> Review {
        let mut review = Review::default();
        self.full_proposals += u64::from(!had_room);
        if now < self.reviewed.after_us(limits::REVIEW_INTERVAL_US) || self.unproposed == 0 {
            return review;
        }
        self.reviewed = now;
        for digest in &self.queue {
            let Some(entry) = self.entries.get_mut(digest) else {
                continue;
            };
            if now < entry.since.after_us(forward_after_us) {
                break;
            }
            if entry.proposed {
                continue;
            }
            let is_overtaken = entry.since.after_us(forward_after_us) <= self.youngest_proposed;
            if is_overtaken && !entry.passed_on {
                entry.passed_on = true;
                review.pass_on.push(Arc::clone(&entry.request));
            }
            if !had_room || now < entry.since.after_us(timeout_us) {
                continue;
            }
            let holding = self.clients.get(&entry.request.request().client);
            let proposed = holding.map_or(0, |holding| holding.proposed);
            match entry.left_out {
                Some(before) if now < before.at.after_us(timeout_us) => {}
                Some(before) if proposed - before.proposed <= limits::MAX_PROPOSED_OF_STARVED => {
                    review.is_unfair = true;
                }
                _ => {
                    entry.left_out = Some(LeftOut { at: now, proposed });
                    review.pass_on.push(Arc::clone(&entry.request));
                }
            }
        }
        review.is_unfair |= self.is_a_turn_skipped(now, timeout_us);
        review
    }

    /// Whether the client whose turn it is waits for longer than a fair primary can take.
    fn is_a_turn_skipped(&self, now: Instant, timeout_us: u64) -> bool {
        let first = self.turns.values().next();
        let Some(holding) = first.and_then(|client| self.clients.get(client)) else {
            return false;
        };
        let oldest = holding.waiting.front();
        let oldest = oldest.and_then(|digest| self.entries.get(digest));
        let skipped = self.full_proposals - holding.full_proposals;
        skipped > limits::MAX_FULL_PROPOSALS_A_ROUND
            && oldest.is_some_and(|entry| now >= entry.since.after_us(timeout_us))
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

    /// The requests of the next proposal, within the bounds of one: of each client that waits
    /// its oldest, beginning with the client that was not served for the longest time, and so
    /// on while there is room.
    pub fn take_for_proposal(&mut self) -> Vec<Arc<CheckedRequest>> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while taken.len() < limits::MAX_REQUESTS_PER_PROPOSAL {
            let Some(digest) = self.next_in_turn() else {
                break;
            };
            let Some(entry) = self.entries.get_mut(&digest) else {
                break;
            };
            bytes += entry.request.cost_bytes();
            if bytes > limits::MAX_PROPOSED_REQUEST_BYTES {
                break;
            }
            entry.proposed = true;
            let request = Arc::clone(&entry.request);
            self.served(&request.request().client, true);
            taken.push(request);
        }
        taken
    }

    /// The oldest request of the client whose turn it is.
    fn next_in_turn(&self) -> Option<Digest> {
        let client = self.turns.values().next()?;
        // Its front waits: what is gone or proposed is dropped at once.
        self.clients.get(client)?.waiting.front().copied()
    }

    /// Notes a request that stands in the primary's proposal. One that this replica has not
    /// heard of came in at this moment. How long it waited here, in microseconds, if that says
    /// how soon the primary proposes what it has: not of a client of which much else was
    /// proposed meanwhile.
    pub fn mark_proposed(&mut self, request: &CheckedRequest, now: Instant) -> Option<u64> {
        let client = request.request().client;
        let mut proposed = 0;
        if let Some(holding) = self.clients.get_mut(&client) {
            proposed = holding.proposed;
            holding.proposed += 1;
        }
        let Some(entry) = self.entries.get_mut(&request.digest()) else {
            self.youngest_proposed = self.youngest_proposed.max(now);
            return None;
        };
        if entry.proposed {
            return None;
        }
        entry.proposed = true;
        let (since, before) = (entry.since, entry.proposed_before);
        self.served(&client, true);
        self.youngest_proposed = self.youngest_proposed.max(since);
        (proposed - before <= limits::MAX_PROPOSED_OF_SLOW).then(|| now.since_us(since))
    }

    /// A new view begins: nothing is proposed in it yet, and its primary gets its time.
    pub fn forget_proposals(&mut self, now: Instant) {
        self.youngest_proposed = Instant::default();
        self.full_proposals = 0;
        self.reviewed = now;
        self.unproposed = 0;
        self.turns.clear();
        for holding in self.clients.values_mut() {
            holding.waiting.clear();
            holding.unproposed = 0;
            holding.turn = None;
            holding.full_proposals = 0;
        }
        for entry in self.entries.values_mut() {
            entry.proposed = true;
        }
        for digest in std::mem::take(&mut self.queue) {
            // What was gone for a while stands in the queue twice.
            let waits_not_yet = self.entries.get_mut(&digest).filter(|entry| entry.proposed);
            let Some(entry) = waits_not_yet else {
                continue;
            };
            entry.since = now;
            entry.proposed = false;
            entry.passed_on = false;
            entry.left_out = None;
            let client = entry.request.request().client;
            let holding = self.clients.get(&client);
            entry.proposed_before = holding.map_or(0, |holding| holding.proposed);
            self.queue.push_back(digest);
            self.wait(client, digest);
        }
    }

    /// The requests that wait for `wait_us` and longer, the oldest first.
    pub fn waiting_for(
        &self,
        wait_us: u64,
        now: Instant,
    ) -> impl Iterator<Item = &Arc<CheckedRequest>> {
        let entries = self
            .queue
            .iter()
            .filter_map(|digest| self.entries.get(digest));
        let old = entries.take_while(move |entry| entry.since.after_us(wait_us) <= now);
        old.map(|entry| &entry.request)
    }

    /// Forgets a request that will never be admitted.
    pub fn forget(&mut self, digest: &Digest) {
        let Some(entry) = self.entries.get(digest) else {
            return;
        };
        let place = place(&entry.request);
        if let Some(digests) = self.places.get_mut(&place) {
            digests.retain(|other| other != digest);
            if digests.is_empty() {
                self.places.remove(&place);
            }
        }
        self.remove(digest);
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
        let client = entry.request.request().client;
        if !entry.proposed {
            self.served(&client, false);
        }
        self.bytes -= entry.request.cost_bytes();
        if let Some(holding) = self.clients.get_mut(&client) {
            holding.requests -= 1;
            holding.bytes -= entry.request.cost_bytes();
            if holding.requests == 0 {
                self.clients.remove(&client);
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
            ("pool", self.entries.len(), self.most),
            ("pool bytes", self.bytes, limits::MAX_POOL_BYTES),
            (
                "pool queue",
                self.queue.len(),
                2 * limits::MAX_POOL_REQUESTS + 64,
            ),
            ("pool clients", self.clients.len(), self.entries.len()),
            ("pool unproposed", self.unproposed, self.entries.len()),
            ("pool turns", self.turns.len(), self.clients.len()),
        ];
        for (what, len, bound) in bounds {
            if len > bound {
                return Err(Violation::Unbounded { what, len, bound });
            }
        }
        Ok(())
    }

    /// Counts everything anew: shares sum to what is here. Slow: for tests, and for when a
    /// view begins and all shares change.
    ///
    /// # Errors
    /// [`Violation`] naming the account that is wrong.
    pub fn audit(&self) -> Result<(), Violation> {
        let entries = self.entries.values();
        let waiting = entries.clone().filter(|entry| !entry.proposed).count();
        let bytes: usize = entries.map(|entry| entry.request.cost_bytes()).sum();
        let holdings = || self.clients.values();
        let accounts = [
            ("bytes of the pool", self.bytes, bytes),
            ("requests not proposed", self.unproposed, waiting),
            (
                "requests of all clients",
                holdings().map(|holding| holding.requests).sum(),
                self.entries.len(),
            ),
            (
                "bytes of all clients",
                holdings().map(|holding| holding.bytes).sum(),
                bytes,
            ),
            (
                "waiting requests of all clients",
                holdings().map(|holding| holding.unproposed).sum(),
                waiting,
            ),
            (
                "clients whose turn comes",
                self.turns.len(),
                holdings().filter(|holding| holding.unproposed > 0).count(),
            ),
            (
                "requests by place",
                self.places.values().map(Vec::len).sum(),
                self.entries.len(),
            ),
        ];
        for (what, counted, is) in accounts {
            if counted != is {
                return Err(Violation::Miscounted { what, counted, is });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
