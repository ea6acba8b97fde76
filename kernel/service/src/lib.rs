//! One replica's service: sessions, spaces and extensions behind the agreed log.
//!
//! The way of a decided proposal, request by request: `sessions` says whose
//! turn it is, an `execution` carries out the call (`calls`), all or nothing, on the spaces or
//! through `extensions`, and waiting clients that got a delivery are answered. `access` is who
//! may do what, `admin_commands` the calls that change that.
//! `dispatch` dispatches what happened to extensions.
//! `time` moves agreed time on and ends what is over before any of that.
//! `snapshot` is all of it as bytes, for checkpoints, transfer and restart.
//! The crate is pure: every correct replica that executes the same proposals
//! has the same state and gives the same replies.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test may stop"
    )
)]

mod access;
mod admin_commands;
mod at;
mod calls;
mod dispatch;
mod execution;
mod extensions;
mod group;
pub mod limits;
mod sessions;
mod snapshot;
mod time;

use std::sync::Arc;

use bezant_api::{Answer, Call, ExtensionHash, Genesis, Refused};
use bezant_bft::{
    ids::{ClientId, OrderedTime, RequestNumber, SeqNo, SessionId},
    message::{Reply, Request},
    service::{Admission, Replies, Service},
    state::{BadSnapshot, State},
    verification::CheckedProposal,
};
use bezant_tuplespace::{EndedWait, Outcome, Spaces, Wait};
use bytes::Bytes;

pub use crate::extensions::{LogLine, Tallied, Tally, Traced, TracedStep};
use crate::{
    access::Access,
    at::At,
    dispatch::EventDispatch,
    execution::{Executed, Execution},
    extensions::Extensions,
    sessions::{Kept, Known, OpenedSession, Opener, Opening, Sessions, Turn},
};

/// Numbers about the service for its operator; never part of the agreed state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Open sessions.
    pub sessions: usize,
    /// Spaces.
    pub spaces: usize,
    /// Tuples in all spaces.
    pub tuples: u64,
    /// Tuples among them that live on a lease.
    pub leases: usize,
    /// Waiting operations.
    pub waiters: usize,
    /// Registered extensions.
    pub extensions: usize,
}

/// The service of one replica.
pub struct Kernel {
    genesis: Genesis,
    access: Access,
    sessions: Sessions,
    spaces: Spaces,
    extensions: Extensions,
    dispatch: EventDispatch,
    time: OrderedTime,
}

impl core::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Kernel({:?}, {})", self.figures(), self.time)
    }
}

impl Kernel {
    /// The empty service of a cluster.
    #[must_use]
    pub fn new(genesis: Genesis) -> Self {
        Self {
            access: Access::new(&genesis),
            genesis,
            sessions: Sessions::default(),
            spaces: Spaces::new(bezant_tuplespace::Limits::DEFAULT),
            extensions: Extensions::new(),
            dispatch: EventDispatch::default(),
            time: OrderedTime(0),
        }
    }

    /// What there is, for status reports.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            sessions: self.sessions.len(),
            spaces: self.spaces.names().count(),
            tuples: self.spaces.total_tuples(),
            leases: self.spaces.leases(),
            waiters: self.spaces.waiters(),
            extensions: self.extensions.len(),
        }
    }

    /// All operations that wait, in order of arrival; whose is said by session and request.
    /// For tests and for people.
    pub fn waiting(&self) -> impl Iterator<Item = Wait<'_>> {
        self.spaces.waiting()
    }

    /// The agreed time after the last proposal executed.
    #[must_use]
    pub const fn time(&self) -> OrderedTime {
        self.time
    }

    /// The kept reply to an executed request, with its client.
    #[must_use]
    pub fn kept_reply(
        &self,
        session: SessionId,
        number: RequestNumber,
    ) -> Option<(ClientId, Reply)> {
        self.sessions.kept_reply(session, number)
    }

    /// Why this replica must stop, once its machine could not give an extension what the
    /// agreed limits promise: its answers would differ from the others'.
    #[must_use]
    pub fn broken(&self) -> Option<&str> {
        self.extensions.exhausted()
    }

    /// The number of the engine's version by which extensions run.
    #[must_use]
    pub fn engine(&self) -> u32 {
        self.extensions.registry().engine().number()
    }

    /// What each installed extension did at this replica since it started; outside agreed state.
    #[must_use]
    pub fn tallied(&self) -> Vec<Tallied> {
        self.extensions.tallied()
    }

    /// The last lines that an installed extension logged here, oldest first; outside agreed
    /// state.
    #[must_use]
    pub fn lines_of(&self, hash: &ExtensionHash) -> Vec<LogLine> {
        self.extensions.lines(hash)
    }

    /// Begins or ends keeping how calls of extensions go, for people; outside agreed state.
    pub fn trace(&mut self, wanted: bool) {
        self.extensions.trace(wanted);
    }

    /// The calls of extensions since the last question, while they are kept.
    pub fn take_trace(&mut self) -> Vec<Traced> {
        self.extensions.take_trace()
    }

    /// The lines extensions logged since the last call; outside agreed state.
    pub fn take_logs(&mut self) -> Vec<LogLine> {
        self.extensions.take_logs()
    }

    /// Executes one ordered request and everything its execution lets go.
    fn request(&mut self, request: &Request, seq_no: SeqNo, replies: &mut Replies) {
        if request.session == SessionId::NONE {
            let (first, answer) = self.open(request, seq_no);
            let reply = reply_to(request, first, &answer);
            replies.push((request.client, reply));
            // It may have made room by ending another session.
            self.answer_deliveries(seq_no, replies);
            return;
        }
        match self.sessions.arrive(request, seq_no) {
            Turn::Now => self.run(request, seq_no, replies),
            Turn::Nothing => return,
            Turn::WindowExceeded => {
                let answer = Refused::WindowExceeded.into();
                replies.push((request.client, reply_to(request, seq_no, &answer)));
            }
            Turn::NoSession => {
                let answer = Refused::NoSession.into();
                replies.push((request.client, reply_to(request, seq_no, &answer)));
                return;
            }
        }
        while let Some(parked) = self.sessions.unpark(request.session) {
            self.run(&parked, seq_no, replies);
        }
    }

    /// The answer to an opening request, and the sequence number it belongs to: that of the request
    /// which opened the session. A client that asked more than one replica may have its
    /// request ordered twice, and must find f+1 replies alike, whichever of the two it hears of.
    fn open(&mut self, request: &Request, seq_no: SeqNo) -> (SeqNo, Answer) {
        let (nonce, ttl_ms) = match Call::decode(&request.op) {
            Ok(Call::OpenSession { nonce, ttl_ms }) if nonce == request.number.0 => (nonce, ttl_ms),
            _ => return (seq_no, Refused::Malformed.into()),
        };
        if !self.access.is_client(&request.client) {
            return (seq_no, Refused::NotEnrolled.into());
        }
        if ttl_ms.is_some_and(|ms| !limits::SESSION_MS.contains(&ms)) {
            return (seq_no, Refused::TtlOutOfRange.into());
        }
        let opener = Opener {
            client: request.client,
            nonce,
        };
        match self.sessions.open(opener, seq_no, ttl_ms, self.time.0) {
            Opening::Opened {
                session,
                opened: at,
                evicted,
            } => {
                if let Some(old) = evicted {
                    let _to_be_committed = self.spaces.savepoint();
                    self.spaces.end_owner(old.0);
                    self.tell_extensions(seq_no);
                    self.spaces.commit();
                }
                (at, opened(session))
            }
            Opening::Full => (seq_no, Refused::TooManySessions.into()),
        }
    }

    /// Carries out a request whose turn it is.
    fn run(&mut self, request: &Request, seq_no: SeqNo, replies: &mut Replies) {
        let id = request.session;
        let at = At {
            seq_no,
            time: self.time,
            client: request.client,
            session: id,
            number: request.number,
        };
        self.sessions.renew(id, self.time.0);
        let Executed {
            answer,
            consequences,
        } = Execution::begin(self, at).carry_out(&request.op);
        match answer {
            Some(answer) => {
                let reply = reply_to(request, seq_no, &answer);
                self.sessions
                    .keep(id, request.number, Kept::Reply(reply.clone()));
                replies.push((request.client, reply));
            }
            None => self.sessions.keep(id, request.number, Kept::Waiting),
        }
        self.enforce(consequences, at, replies);
        self.tell_extensions(seq_no);
        self.spaces.commit();
        self.answer_deliveries(seq_no, replies);
    }

    /// A session ends with all that it had.
    pub(crate) fn end_session(&mut self, session: SessionId) {
        self.spaces.end_owner(session.0);
        self.sessions.close(session);
    }

    /// Gives a waiting request its answer, kept until it is acknowledged.
    pub(crate) fn end_wait(
        &mut self,
        session: SessionId,
        number: RequestNumber,
        answer: &Answer,
        seq_no: SeqNo,
        replies: &mut Replies,
    ) {
        let Some(client) = self.sessions.owner(session) else {
            return;
        };
        let result = Bytes::from(answer.encode());
        let reply = Reply {
            session,
            number,
            seq_no,
            result,
        };
        self.sessions
            .keep(session, number, Kept::Reply(reply.clone()));
        replies.push((client, reply));
    }

    /// Answers those whose wait ended: who got a tuple, and who watched.
    pub(crate) fn answer_deliveries(&mut self, seq_no: SeqNo, replies: &mut Replies) {
        for delivered in self.spaces.take_deliveries() {
            let session = SessionId(delivered.waiter.owner);
            let number = RequestNumber(delivered.waiter.number);
            let answer = Answer::Outcome(Outcome::Match(Some(delivered.tuple)));
            self.end_wait(session, number, &answer, seq_no, replies);
        }
        for told in self.spaces.take_told() {
            self.end_wait_with(told, seq_no, replies);
        }
    }

    /// Answers a wait that ended in the spaces.
    pub(crate) fn end_wait_with(&mut self, ended: EndedWait, seq_no: SeqNo, replies: &mut Replies) {
        let EndedWait { waiter, outcome } = ended;
        let (session, number) = (SessionId(waiter.owner), RequestNumber(waiter.number));
        let answer = Answer::Outcome(outcome);
        self.end_wait(session, number, &answer, seq_no, replies);
    }
}

impl Service for Kernel {
    fn admit(&self, request: &Request) -> Admission {
        // A stranger must not be able to fill the log. A replica that lags may take somebody
        // for one who is enrolled by now: so a client believes what is said outside the log,
        // at sequence number 0, only if a strong quorum says so.
        if !self.access.is_client(&request.client) {
            let answer = Answer::Refused(Refused::NotEnrolled);
            return Admission::Refuse(reply_to(request, SeqNo(0), &answer));
        }
        if request.session == SessionId::NONE {
            let opened_before = self.sessions.opened(&request.client, request.number.0);
            return opened_before.map_or(Admission::New, |before| {
                let OpenedSession { session, seq_no } = before;
                Admission::Done(reply_to(request, seq_no, &opened(session)))
            });
        }
        match self.sessions.known(request) {
            Known::New => Admission::New,
            Known::Done(reply) => Admission::Done(reply.clone()),
            Known::Silent => Admission::Silent,
        }
    }

    fn execute(&mut self, seq_no: SeqNo, proposal: &Arc<CheckedProposal>, replies: &mut Replies) {
        // A null request does not move time (docs/protocol.md, "Time"); a proposal without
        // requests but with a time is the clock's tick.
        let is_null = proposal.requests().is_empty() && proposal.time() == OrderedTime(0);
        self.extensions.begin(seq_no.0);
        if !is_null {
            self.pass_time(proposal.time(), seq_no, replies);
        }
        for request in proposal.requests() {
            self.request(request.request(), seq_no, replies);
        }
    }

    fn due(&self) -> Option<OrderedTime> {
        self.due_ms().map(OrderedTime)
    }

    fn snapshot(&self) -> State {
        self.encode()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), BadSnapshot> {
        self.decode(snapshot)
    }
}

fn opened(session: SessionId) -> Answer {
    let window = u32::try_from(limits::WINDOW).unwrap_or(u32::MAX);
    Answer::Opened {
        session: session.0,
        window,
    }
}

fn reply_to(request: &Request, seq_no: SeqNo, answer: &Answer) -> Reply {
    Reply {
        session: request.session,
        number: request.number,
        seq_no,
        result: Bytes::from(answer.encode()),
    }
}
