//! The session: signs requests, counts answers, investigates those that differ.
//!
//! Requests go to the primary and, when an answer is late, to all. A request
//! stays open until f+1 replicas agree on its answer or its deadline passes;
//! then whether it was executed is unknown, and the session says so.

use std::collections::{BTreeMap, VecDeque};

use bezant_bft::{
    crypto::{Domain, SigningKey},
    evidence::{Charge, Evidence},
    ids::{Instant, ReplicaId, RequestNumber, SessionId, View},
    keyring::Keyring,
    limits::SESSION_WINDOW,
    message::{
        ClientMessage, ReplicaMessage, Reply, ReplyClaim, Request, Share, Signed, SignedRequest,
    },
    quorum::Quorum,
};
use bytes::Bytes;

use crate::{
    ballot::{Accepted, Ballot},
    limits::{MAX_EVIDENCE_PER_REPLICA, MAX_INVESTIGATIONS, MAX_SETTLED},
};

/// The cluster as a client knows it.
pub type Cluster = Keyring;

/// The timeouts of a session.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// An unanswered request is sent to all replicas after this long, then after twice as long, ...
    pub retry_us: u64,
    /// ... but at least this often.
    pub max_retry_us: u64,
    /// How long a lie is looked into before it stays a suspicion.
    pub investigate_us: u64,
    /// How long an accepted answer is held back for the votes of the other replicas: 0
    /// for speed, more for people who want to see all of them.
    pub linger_us: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            retry_us: 500_000,
            max_retry_us: 8_000_000,
            investigate_us: 2_000_000,
            linger_us: 0,
        }
    }
}

/// Names a submitted request to its driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub RequestNumber);

/// To whom a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One replica.
    Replica(ReplicaId),
    /// Every replica.
    All,
}

/// What the driver must do or tell.
#[derive(Clone, Debug)]
pub enum Event {
    /// Send this.
    Send {
        /// To whom.
        to: Target,
        /// What.
        message: ClientMessage,
    },
    /// A request was answered.
    Completed {
        /// Which.
        token: Token,
        /// The answer with its votes.
        accepted: Accepted,
    },
    /// A request failed.
    Failed {
        /// Which.
        token: Token,
        /// Why.
        failure: Failure,
    },
    /// A replica answered otherwise than f+1 others.
    Disagreed {
        /// Who.
        replica: ReplicaId,
        /// About what.
        number: RequestNumber,
    },
    /// A lie was proven.
    Proven(Box<Evidence>),
}

/// Why a request was given up. Whether it was executed is unknown in all cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Replicas answered, but no f+1 of them alike.
    NoQuorum {
        /// Replicas that answered.
        answered: usize,
        /// The most equal answers.
        alike: usize,
        /// Equal answers that are needed.
        needed: usize,
    },
    /// Nobody answered in time, and more than f replicas said that they had no room for it:
    /// the service has more to do than it can.
    Busy {
        /// Replicas that said so.
        replicas: usize,
        /// What is used up, as more than f of them say; all their room if they differ.
        share: Share,
    },
    /// Nobody answered in time.
    TimedOut,
}

/// Why a request was not taken on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Submit {
    /// The session is not open yet.
    #[error("the session is not open")]
    NotOpen,
    /// As many requests are open as the session may have.
    #[error("the session has {SESSION_WINDOW} requests open already")]
    WindowFull,
}

#[derive(Debug)]
struct Open {
    signed: SignedRequest,
    ballot: Ballot,
    deadline: Option<Instant>,
    retry_at: Instant,
    retry_us: u64,
    /// The driver was told that it failed. It is sent on all the same until it is
    /// answered: a number that never arrives would hold up all that follow it.
    reported: bool,
    /// Replicas that had no room for it, and what was used up.
    busy: BTreeMap<ReplicaId, Share>,
    /// When f+1 replicas agreed.
    accepted_at: Option<Instant>,
}

#[derive(Debug)]
struct Settled {
    number: RequestNumber,
    reply: Reply,
}

#[derive(Debug)]
struct Investigation {
    liar: ReplicaId,
    until: Instant,
    signed: BTreeMap<ReplicaId, Signed<ReplyClaim>>,
}

/// One session of one client.
#[derive(Debug)]
pub struct Session {
    key: SigningKey,
    cluster: Cluster,
    quorum: Quorum,
    config: Config,
    nonce: u64,
    id: SessionId,
    next: u64,
    open: BTreeMap<RequestNumber, Open>,
    /// Answered, to be acknowledged with the next request.
    to_ack: Vec<RequestNumber>,
    settled: VecDeque<Settled>,
    investigations: BTreeMap<RequestNumber, Investigation>,
    proven: BTreeMap<ReplicaId, u64>,
    views: BTreeMap<ReplicaId, View>,
    up: BTreeMap<ReplicaId, bool>,
}

impl Session {
    /// A session not opened yet. `nonce` must be random: it tells this session's opening
    /// from every other of the same key.
    #[must_use]
    pub fn new(key: SigningKey, cluster: Cluster, config: Config, nonce: u64) -> Self {
        Self {
            key,
            quorum: cluster.quorum(),
            cluster,
            config,
            nonce: nonce.max(1),
            id: SessionId::NONE,
            next: 1,
            open: BTreeMap::new(),
            to_ack: Vec::new(),
            settled: VecDeque::new(),
            investigations: BTreeMap::new(),
            proven: BTreeMap::new(),
            views: BTreeMap::new(),
            up: BTreeMap::new(),
        }
    }

    /// The session's number, once opened.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// The nonce that opens this session.
    #[must_use]
    pub const fn nonce(&self) -> u64 {
        self.nonce
    }

    /// Requests without an answer.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.open.len()
    }

    /// Sends the request that opens the session; its answer is given to [`Self::opened`].
    pub fn open(
        &mut self,
        now: Instant,
        op: Bytes,
        deadline: Option<Instant>,
        out: &mut Vec<Event>,
    ) -> Token {
        let number = RequestNumber(self.nonce);
        self.send_request(now, SessionId::NONE, number, op, deadline, out);
        Token(number)
    }

    /// The accepted answer to the opening request named this session.
    pub fn opened(&mut self, id: SessionId) {
        self.id = id;
    }

    /// Submits an operation.
    ///
    /// # Errors
    /// [`Submit`] if the session cannot take it on now.
    pub fn submit(
        &mut self,
        now: Instant,
        op: Bytes,
        deadline: Option<Instant>,
        out: &mut Vec<Event>,
    ) -> Result<Token, Submit> {
        if self.id == SessionId::NONE {
            return Err(Submit::NotOpen);
        }
        // Answers under investigation are still kept by the replicas and count.
        let used = self.open.len() + self.investigations.len();
        if used as u64 >= SESSION_WINDOW {
            return Err(Submit::WindowFull);
        }
        let number = RequestNumber(self.next);
        self.next += 1;
        self.send_request(now, self.id, number, op, deadline, out);
        Ok(Token(number))
    }

    fn send_request(
        &mut self,
        now: Instant,
        session: SessionId,
        number: RequestNumber,
        op: Bytes,
        deadline: Option<Instant>,
        out: &mut Vec<Event>,
    ) {
        let mut acked = Vec::new();
        if session != SessionId::NONE {
            // What is being looked into must stay with the replicas until it is proven.
            let (held, free): (Vec<_>, Vec<_>) = std::mem::take(&mut self.to_ack)
                .into_iter()
                .partition(|number| self.investigations.contains_key(number));
            self.to_ack = held;
            acked = free;
            acked.sort_unstable();
            acked.dedup();
        }
        let request = Request {
            client: self.key.client(),
            session,
            number,
            acked,
            op,
        };
        let signed = request.sign(self.cluster.cluster(), &self.key);
        let retry_us = self.config.retry_us;
        let primary = self.primary();
        let to = if self.up.get(&primary).copied().unwrap_or(false) {
            Target::Replica(primary)
        } else {
            Target::All
        };
        out.push(Event::Send {
            to,
            message: ClientMessage::Request(signed.clone()),
        });
        let open = Open {
            signed,
            ballot: Ballot::default(),
            deadline,
            retry_at: now.after_us(retry_us),
            retry_us,
            reported: false,
            busy: BTreeMap::new(),
            accepted_at: None,
        };
        self.open.insert(number, open);
    }

    /// The replica believed to be primary: that of the highest view f+1 replicas claim.
    #[must_use]
    pub fn primary(&self) -> ReplicaId {
        let mut views: Vec<View> = self.views.values().copied().collect();
        views.sort_unstable_by(|a, b| b.cmp(a));
        let view = views
            .get(self.quorum.weak() - 1)
            .copied()
            .unwrap_or_default();
        self.quorum.primary(view)
    }

    /// A link came up or went down. What was under way may have been lost with the old one.
    pub fn on_link(&mut self, replica: ReplicaId, up: bool, out: &mut Vec<Event>) {
        self.up.insert(replica, up);
        if up {
            for open in self.open.values() {
                let message = ClientMessage::Request(open.signed.clone());
                out.push(Event::Send {
                    to: Target::Replica(replica),
                    message,
                });
            }
        }
    }

    /// A message from the replica at the other end of an authenticated link.
    pub fn on_message(
        &mut self,
        now: Instant,
        from: ReplicaId,
        message: ReplicaMessage,
        out: &mut Vec<Event>,
    ) {
        match message {
            ReplicaMessage::Reply { view, reply } => {
                self.views.insert(from, view);
                self.on_reply(now, from, reply, out);
            }
            ReplicaMessage::SignedReply(signed) => self.on_signed(from, signed, out),
            ReplicaMessage::Busy { number, share, .. } => self.on_busy(from, number, share),
            _ => {}
        }
    }

    /// The retry, with its growing distance, is the answer to a busy replica. If nothing
    /// comes of that, the driver learns why.
    fn on_busy(&mut self, from: ReplicaId, number: RequestNumber, share: Share) {
        if let Some(open) = self.open.get_mut(&number)
            && self.quorum.is_member(from)
        {
            open.busy.insert(from, share);
        }
    }

    fn on_reply(&mut self, now: Instant, from: ReplicaId, reply: Reply, out: &mut Vec<Event>) {
        let number = reply.number;
        let expected = if number.0 == self.nonce && reply.session == SessionId::NONE {
            SessionId::NONE
        } else {
            self.id
        };
        if reply.session != expected {
            return;
        }
        let Some(open) = self.open.get_mut(&number) else {
            self.on_late(now, from, &reply, out);
            return;
        };
        open.ballot.add(from, reply);
        let all = open.ballot.answered() == self.quorum.n();
        if open.ballot.accepted(self.quorum).is_some() {
            let since = *open.accepted_at.get_or_insert(now);
            if all || now.since_us(since) >= self.config.linger_us {
                self.settle(now, number, out);
            }
        } else if all {
            self.fail(number, out);
        }
    }

    /// Takes an accepted answer as final.
    fn settle(&mut self, now: Instant, number: RequestNumber, out: &mut Vec<Event>) {
        let Some(open) = self.open.remove(&number) else {
            return;
        };
        let Some(accepted) = open.ballot.accepted(self.quorum) else {
            return;
        };
        if accepted.reply.session != SessionId::NONE {
            self.to_ack.push(number);
        }
        self.settled.push_back(Settled {
            number,
            reply: accepted.reply.clone(),
        });
        if self.settled.len() > MAX_SETTLED {
            self.settled.pop_front();
        }
        for replica in &accepted.dissent {
            self.on_dissent(now, *replica, number, out);
        }
        if !open.reported {
            out.push(Event::Completed {
                token: Token(number),
                accepted,
            });
        }
    }

    /// An answer after the decision: only interesting if it differs.
    fn on_late(&mut self, now: Instant, from: ReplicaId, reply: &Reply, out: &mut Vec<Event>) {
        let settled = self
            .settled
            .iter()
            .rev()
            .find(|settled| settled.number == reply.number);
        if settled.is_some_and(|settled| settled.reply != *reply) {
            self.on_dissent(now, from, reply.number, out);
        }
    }

    fn on_dissent(
        &mut self,
        now: Instant,
        replica: ReplicaId,
        number: RequestNumber,
        out: &mut Vec<Event>,
    ) {
        out.push(Event::Disagreed { replica, number });
        let proven = self.proven.get(&replica).copied().unwrap_or(0);
        let under_way = self
            .investigations
            .values()
            .any(|other| other.liar == replica);
        // An acknowledged result is gone; only what is still kept can be signed.
        let kept = self.to_ack.contains(&number);
        if proven >= MAX_EVIDENCE_PER_REPLICA
            || under_way
            || !kept
            || self.investigations.len() >= MAX_INVESTIGATIONS
        {
            return;
        }
        let until = now.after_us(self.config.investigate_us);
        let investigation = Investigation {
            liar: replica,
            until,
            signed: BTreeMap::new(),
        };
        self.investigations.insert(number, investigation);
        let message = ClientMessage::AskSigned {
            session: self.id,
            number,
        };
        out.push(Event::Send {
            to: Target::All,
            message,
        });
    }

    fn on_signed(&mut self, from: ReplicaId, signed: Signed<ReplyClaim>, out: &mut Vec<Event>) {
        let number = signed.body.reply.number;
        if signed.body.replica != from || signed.body.client != self.key.client() {
            return;
        }
        let claim = self.cluster.claim(&signed, Domain::Reply);
        if !claim.is_ok_and(|claim| claim.holds()) {
            return;
        }
        let Some(investigation) = self.investigations.get_mut(&number) else {
            return;
        };
        investigation.signed.insert(from, signed);
        let settled = self.settled.iter().find(|settled| settled.number == number);
        let Some(truth) = settled.map(|settled| &settled.reply) else {
            return;
        };
        let liar = investigation.liar;
        let Some(lie) = investigation.signed.get(&liar) else {
            return;
        };
        let others = investigation
            .signed
            .values()
            .filter(|other| other.body.reply == *truth);
        let truth: Vec<_> = others.take(self.quorum.weak()).cloned().collect();
        if truth.len() < self.quorum.weak() {
            return;
        }
        let lie = lie.clone();
        let charge = Charge::FalseReply { lie, truth };
        let evidence = Evidence::new(*self.cluster.cluster(), charge);
        self.investigations.remove(&number);
        // A replica that lied on its link and signs the truth stays a suspect.
        if evidence.verify(&self.cluster).is_ok() {
            *self.proven.entry(liar).or_default() += 1;
            out.push(Event::Proven(Box::new(evidence)));
        }
    }

    fn fail(&mut self, number: RequestNumber, out: &mut Vec<Event>) {
        let Some(open) = self.open.get_mut(&number).filter(|open| !open.reported) else {
            return;
        };
        open.reported = true;
        open.deadline = None;
        let answered = open.ballot.answered();
        let (busy, weak) = (open.busy.len(), self.quorum.weak());
        let failure = if answered == 0 && busy >= weak {
            let own = open.busy.values().filter(|share| **share == Share::Client);
            let is_own = own.count() >= weak;
            let share = if is_own { Share::Client } else { Share::All };
            Failure::Busy {
                replicas: busy,
                share,
            }
        } else if answered == 0 {
            Failure::TimedOut
        } else {
            let (alike, needed) = (open.ballot.most_alike(), self.quorum.weak());
            Failure::NoQuorum {
                answered,
                alike,
                needed,
            }
        };
        out.push(Event::Failed {
            token: Token(number),
            failure,
        });
    }

    /// Time passed: retries, deadlines.
    pub fn on_tick(&mut self, now: Instant, out: &mut Vec<Event>) {
        let late: Vec<_> = self
            .open
            .iter()
            .filter(|(_, open)| open.accepted_at.is_none())
            .filter(|(_, open)| open.deadline.is_some_and(|deadline| now >= deadline))
            .map(|(number, _)| *number)
            .collect();
        for number in late {
            self.fail(number, out);
        }
        let linger_us = self.config.linger_us;
        let lingered: Vec<_> = self
            .open
            .iter()
            .filter(|(_, open)| {
                open.accepted_at
                    .is_some_and(|at| now.since_us(at) >= linger_us)
            })
            .map(|(number, _)| *number)
            .collect();
        for number in lingered {
            self.settle(now, number, out);
        }
        for open in self.open.values_mut().filter(|open| now >= open.retry_at) {
            open.retry_us = open
                .retry_us
                .saturating_mul(2)
                .min(self.config.max_retry_us);
            open.retry_at = now.after_us(open.retry_us);
            let message = ClientMessage::Request(open.signed.clone());
            out.push(Event::Send {
                to: Target::All,
                message,
            });
        }
        self.investigations
            .retain(|_, investigation| now < investigation.until);
    }

    /// When [`Self::on_tick`] is due.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let linger_us = self.config.linger_us;
        let open = self.open.values().flat_map(|open| {
            let lingered = open.accepted_at.map(|at| at.after_us(linger_us));
            [open.deadline, lingered, Some(open.retry_at)]
                .into_iter()
                .flatten()
        });
        open.chain(
            self.investigations
                .values()
                .map(|investigation| investigation.until),
        )
        .min()
    }
}
