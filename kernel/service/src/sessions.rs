//! Sessions: exactly once, first in first out, and results kept until they arrive.
//!
//! A session executes its requests in the order of their numbers, each once.
//! One that comes before its turn is parked; results stay until the client
//! says that it has them; a waiting request keeps its place until it gets a delivery
//! (docs/protocol.md, "Sessions"). All of this is agreed state: it
//! changes only through executed requests.

mod snapshot;

use std::collections::{BTreeMap, BTreeSet};

use bezant_bft::{
    ids::{ClientId, RequestNumber, SeqNo, SessionId},
    message::{Reply, Request},
};

use crate::limits::{MAX_SESSIONS, MAX_SESSIONS_PER_CLIENT, WINDOW};

/// What became of an executed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Its reply, until it is acknowledged.
    Reply(Reply),
    /// It waits in a space.
    Waiting,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    owner: ClientId,
    nonce: u64,
    /// The number whose turn is next; all below were executed.
    next: u64,
    /// The sequence number at which it was opened.
    opened: SeqNo,
    /// The sequence number at which it was last used.
    used: SeqNo,
    /// How long it lives without a request.
    ttl_ms: Option<u64>,
    /// When it ends then, by agreed time.
    end_ms: u64,
    kept: BTreeMap<RequestNumber, Kept>,
    parked: BTreeMap<RequestNumber, Request>,
}

/// What to do with a request of an existing session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is this request's turn: execute it.
    Now,
    /// It came early and is parked, or came again and is done.
    Nothing,
    /// The session has too much open already.
    WindowExceeded,
    /// There is no such session of this client.
    NoSession,
}

/// What is known of a request without executing it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known<'a> {
    /// Not executed, as far as this replica has got.
    New,
    /// Executed; the reply is kept.
    Done(&'a Reply),
    /// Ordered before its turn, or executed and waiting, or its reply was acknowledged.
    Silent,
}

/// All sessions of the service.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    sessions: BTreeMap<SessionId, Session>,
    by_client: BTreeMap<ClientId, BTreeMap<u64, SessionId>>,
    /// Those that end by themselves, by when.
    ends: BTreeSet<(u64, SessionId)>,
    last: SessionId,
}

/// The outcome of opening a session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// The session, new or opened before by the same request.
    Opened {
        /// Its number.
        session: SessionId,
        /// The sequence number at which it was opened first.
        opened: SeqNo,
        /// The client's session that had to make room.
        evicted: Option<SessionId>,
    },
    /// No room for more sessions.
    Full,
}

/// Who opens a session, and with which number of its own that tells it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opener {
    pub(crate) client: ClientId,
    pub(crate) nonce: u64,
}

/// A session, and the sequence number at which it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenedSession {
    pub(crate) session: SessionId,
    pub(crate) seq_no: SeqNo,
}

impl Sessions {
    /// Number of sessions.
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// The session a client opened with `nonce`, if it still exists, and where it was opened.
    pub(crate) fn opened(&self, client: &ClientId, nonce: u64) -> Option<OpenedSession> {
        let id = self.by_client.get(client)?.get(&nonce)?;
        self.sessions.get(id).map(|session| OpenedSession {
            session: *id,
            seq_no: session.opened,
        })
    }

    /// Opens a session for `owner`; the same nonce again gives the same session.
    /// It lives for `ttl_ms` without a request from `now_ms` on.
    pub(crate) fn open(
        &mut self,
        opener: Opener,
        seq_no: SeqNo,
        ttl_ms: Option<u64>,
        now_ms: u64,
    ) -> Opening {
        let Opener {
            client: owner,
            nonce,
        } = opener;
        if let Some(before) = self.opened(&owner, nonce) {
            return Opening::Opened {
                session: before.session,
                opened: before.seq_no,
                evicted: None,
            };
        }
        let own = self.by_client.get(&owner).map_or(0, BTreeMap::len);
        let evicted = if own >= MAX_SESSIONS_PER_CLIENT {
            self.least_used(&owner)
        } else {
            None
        };
        if self.sessions.len() >= MAX_SESSIONS && evicted.is_none() {
            return Opening::Full;
        }
        if let Some(old) = evicted {
            self.close(old);
        }
        self.last = self.last.next();
        let session = self.last;
        self.by_client
            .entry(owner)
            .or_default()
            .insert(nonce, session);
        self.sessions.insert(
            session,
            Session {
                owner,
                nonce,
                next: 1,
                opened: seq_no,
                used: seq_no,
                ttl_ms,
                end_ms: 0,
                kept: BTreeMap::new(),
                parked: BTreeMap::new(),
            },
        );
        self.renew(session, now_ms);
        Opening::Opened {
            session,
            opened: seq_no,
            evicted,
        }
    }

    /// A session lives on from now: a request of it was carried out. One that came again, or
    /// before its turn, does not count, since others than its client can bring that about.
    pub(crate) fn renew(&mut self, id: SessionId, now_ms: u64) {
        if let Some(session) = self.sessions.get_mut(&id)
            && let Some(ttl_ms) = session.ttl_ms
        {
            self.ends.remove(&(session.end_ms, id));
            session.end_ms = now_ms.saturating_add(ttl_ms);
            self.ends.insert((session.end_ms, id));
        }
    }

    /// When the next session ends by itself.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        self.ends.first().map(|(end_ms, _)| *end_ms)
    }

    /// The session that ended first, of those whose time has come.
    pub(crate) fn over(&self, now_ms: u64) -> Option<SessionId> {
        let (end_ms, id) = self.ends.first()?;
        (*end_ms <= now_ms).then_some(*id)
    }

    /// Every session lives for so much longer: an outage, which is rare.
    pub(crate) fn extend(&mut self, by_ms: u64) {
        if by_ms == 0 {
            return;
        }
        let ends = std::mem::take(&mut self.ends);
        for (_, id) in ends {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.end_ms = session.end_ms.saturating_add(by_ms);
                self.ends.insert((session.end_ms, id));
            }
        }
    }

    fn least_used(&self, client: &ClientId) -> Option<SessionId> {
        self.by_client
            .get(client)?
            .values()
            .filter_map(|id| self.sessions.get(id).map(|session| (session.used, *id)))
            .min()
            .map(|(_, id)| id)
    }

    /// Ends a session and forgets all of it.
    pub(crate) fn close(&mut self, id: SessionId) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        self.ends.remove(&(session.end_ms, id));
        if let Some(own) = self.by_client.get_mut(&session.owner) {
            own.remove(&session.nonce);
            if own.is_empty() {
                self.by_client.remove(&session.owner);
            }
        }
    }

    /// The sessions of a client, in the order in which they were opened.
    pub(crate) fn of_client(&self, client: &ClientId) -> Vec<SessionId> {
        let own = self.by_client.get(client).into_iter().flatten();
        let mut own: Vec<SessionId> = own.map(|(_, id)| *id).collect();
        own.sort_unstable();
        own
    }

    /// Whether there is this session.
    pub(crate) fn contains(&self, id: SessionId) -> bool {
        self.sessions.contains_key(&id)
    }

    /// Whose session this is.
    pub(crate) fn owner(&self, id: SessionId) -> Option<ClientId> {
        self.sessions.get(&id).map(|session| session.owner)
    }

    /// The kept reply to an executed request, with its client.
    pub(crate) fn kept_reply(
        &self,
        id: SessionId,
        number: RequestNumber,
    ) -> Option<(ClientId, Reply)> {
        let session = self.sessions.get(&id)?;
        match session.kept.get(&number)? {
            Kept::Reply(reply) => Some((session.owner, reply.clone())),
            Kept::Waiting => None,
        }
    }

    /// What is known of `request`.
    pub(crate) fn known(&self, request: &Request) -> Known<'_> {
        // No session has a turn for it. One that a replica takes for new before the session
        // is opened, and the others do not after, would be waited for without end.
        if request.number == RequestNumber(0) {
            return Known::Silent;
        }
        let Some(session) = self.of(request) else {
            return Known::New;
        };
        match session.kept.get(&request.number) {
            Some(Kept::Reply(reply)) => Known::Done(reply),
            Some(Kept::Waiting) => Known::Silent,
            None if request.number.0 < session.next => Known::Silent,
            // Ordered already: a copy would stay in the pool when the turn comes for this one.
            None if session.parked.contains_key(&request.number) => Known::Silent,
            None => Known::New,
        }
    }

    fn of(&self, request: &Request) -> Option<&Session> {
        self.sessions
            .get(&request.session)
            .filter(|session| session.owner == request.client)
    }

    /// An ordered request arrives at its session.
    pub(crate) fn arrive(&mut self, request: &Request, seq_no: SeqNo) -> Turn {
        let session = match self.sessions.get_mut(&request.session) {
            Some(session) if session.owner == request.client => session,
            _ => return Turn::NoSession,
        };
        session.used = seq_no;
        let number = request.number.0;
        if number < session.next {
            return Turn::Nothing;
        }
        if number >= session.next.saturating_add(WINDOW) {
            return Turn::WindowExceeded;
        }
        if number > session.next {
            // The first request with a number stands; its client signed both.
            session
                .parked
                .entry(request.number)
                .or_insert_with(|| request.clone());
            return Turn::Nothing;
        }
        session.take_turn(request)
    }

    /// The parked request whose turn has come, taken out.
    pub(crate) fn unpark(&mut self, id: SessionId) -> Option<Request> {
        let session = self.sessions.get_mut(&id)?;
        let request = session.parked.remove(&RequestNumber(session.next))?;
        let turn = session.take_turn(&request);
        if turn != Turn::Now {
            session.parked.insert(request.number, request);
            return None;
        }
        Some(request)
    }

    /// Records what became of an executed request.
    pub(crate) fn keep(&mut self, id: SessionId, number: RequestNumber, kept: Kept) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.kept.insert(number, kept);
        }
    }
}

impl Session {
    /// Takes the next number's turn: acknowledgements first, because they make the room.
    fn take_turn(&mut self, request: &Request) -> Turn {
        for number in &request.acked {
            // A wait that is not over cannot have been answered.
            if matches!(self.kept.get(number), Some(Kept::Reply(_))) {
                self.kept.remove(number);
            }
        }
        if self.kept.len() as u64 >= WINDOW {
            return Turn::WindowExceeded;
        }
        self.next = request.number.0.saturating_add(1);
        // One that was parked, found no room at its turn and now comes again with room made.
        self.parked.remove(&request.number);
        Turn::Now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const ANN: ClientId = ClientId([1; 32]);
    const BEN: ClientId = ClientId([2; 32]);

    fn request(client: ClientId, session: SessionId, number: u64, acked: &[u64]) -> Request {
        Request {
            client,
            session,
            number: RequestNumber(number),
            acked: acked.iter().copied().map(RequestNumber).collect(),
            op: Bytes::from_static(b"op"),
        }
    }

    fn opened(sessions: &mut Sessions, client: ClientId, nonce: u64) -> SessionId {
        match sessions.open(Opener { client, nonce }, SeqNo(1), None, 0) {
            Opening::Opened { session, .. } => session,
            Opening::Full => panic!("no room"),
        }
    }

    fn reply(session: SessionId, number: u64) -> Kept {
        Kept::Reply(Reply {
            session,
            number: RequestNumber(number),
            seq_no: SeqNo(1),
            result: Bytes::new(),
        })
    }

    #[test]
    fn the_same_nonce_opens_one_session_and_another_client_has_its_own() {
        let mut sessions = Sessions::default();
        let first = opened(&mut sessions, ANN, 7);
        assert_eq!(opened(&mut sessions, ANN, 7), first);
        assert_ne!(opened(&mut sessions, BEN, 7), first);
        assert_eq!(sessions.len(), 2);
    }

    #[test]
    fn requests_run_once_and_in_order_even_if_the_primary_swaps_them() {
        let mut sessions = Sessions::default();
        let id = opened(&mut sessions, ANN, 1);
        assert_eq!(
            sessions.arrive(&request(ANN, id, 2, &[]), SeqNo(2)),
            Turn::Nothing
        );
        assert!(sessions.unpark(id).is_none(), "its turn has not come");
        assert_eq!(
            sessions.known(&request(ANN, id, 2, &[])),
            Known::Silent,
            "ordered once, it need not be again"
        );
        assert_eq!(
            sessions.arrive(&request(ANN, id, 1, &[]), SeqNo(2)),
            Turn::Now
        );
        assert_eq!(sessions.unpark(id).unwrap().number, RequestNumber(2));
        for number in [1, 2] {
            assert_eq!(
                sessions.arrive(&request(ANN, id, number, &[]), SeqNo(3)),
                Turn::Nothing
            );
        }
    }

    #[test]
    fn number_zero_is_never_anybodys_turn() {
        let mut sessions = Sessions::default();
        let zero = |id| request(ANN, id, 0, &[]);
        assert_eq!(sessions.known(&zero(SessionId(1))), Known::Silent);
        let id = opened(&mut sessions, ANN, 1);
        assert_eq!(sessions.known(&zero(id)), Known::Silent);
    }

    #[test]
    fn another_clients_session_is_no_session() {
        let mut sessions = Sessions::default();
        let id = opened(&mut sessions, ANN, 1);
        assert_eq!(
            sessions.arrive(&request(BEN, id, 1, &[]), SeqNo(2)),
            Turn::NoSession
        );
    }

    #[test]
    fn results_are_kept_until_acknowledged_and_a_wait_pins_only_itself() {
        let mut sessions = Sessions::default();
        let id = opened(&mut sessions, ANN, 1);
        assert_eq!(
            sessions.arrive(&request(ANN, id, 1, &[]), SeqNo(2)),
            Turn::Now
        );
        sessions.keep(id, RequestNumber(1), Kept::Waiting);
        for number in 2..=3 * WINDOW {
            let acked: &[u64] = if number > 2 { &[1, number - 1] } else { &[] };
            let next = request(ANN, id, number, acked);
            assert_eq!(sessions.arrive(&next, SeqNo(number)), Turn::Now, "{number}");
            sessions.keep(id, RequestNumber(number), reply(id, number));
        }
        assert_eq!(
            sessions.known(&request(ANN, id, 1, &[])),
            Known::Silent,
            "still waiting"
        );
        let waiting: Vec<_> = sessions.waiting().collect();
        assert_eq!(
            waiting,
            [(id, RequestNumber(1))],
            "the acknowledgement said nothing"
        );
        let last = request(ANN, id, 3 * WINDOW, &[]);
        assert!(matches!(sessions.known(&last), Known::Done(_)));
    }

    #[test]
    fn a_client_that_never_acknowledges_is_held_at_the_window() {
        let mut sessions = Sessions::default();
        let id = opened(&mut sessions, ANN, 1);
        for number in 1..=WINDOW {
            assert_eq!(
                sessions.arrive(&request(ANN, id, number, &[]), SeqNo(2)),
                Turn::Now
            );
            sessions.keep(id, RequestNumber(number), reply(id, number));
        }
        let next = request(ANN, id, WINDOW + 1, &[]);
        assert_eq!(sessions.arrive(&next, SeqNo(2)), Turn::WindowExceeded);
        let acking = request(ANN, id, WINDOW + 1, &[1]);
        assert_eq!(sessions.arrive(&acking, SeqNo(2)), Turn::Now);
        let far = request(ANN, id, 3 * WINDOW, &[]);
        assert_eq!(sessions.arrive(&far, SeqNo(2)), Turn::WindowExceeded);
    }

    #[test]
    fn a_request_parked_without_room_is_gone_once_it_came_again_with_room() {
        let mut sessions = Sessions::default();
        let id = opened(&mut sessions, ANN, 1);
        for number in 1..=WINDOW {
            sessions.arrive(&request(ANN, id, number, &[]), SeqNo(2));
            sessions.keep(id, RequestNumber(number), reply(id, number));
        }
        // Its turn comes, but the window is full: it stays parked, over and over.
        for number in WINDOW + 1..=3 * WINDOW {
            let early = request(ANN, id, number + 1, &[]);
            assert_eq!(sessions.arrive(&early, SeqNo(2)), Turn::Nothing);
            let now = request(ANN, id, number, &[number - WINDOW]);
            assert_eq!(sessions.arrive(&now, SeqNo(2)), Turn::Now);
            sessions.keep(id, RequestNumber(number), reply(id, number));
            assert!(sessions.unpark(id).is_none(), "no room");
            let parked = &sessions.sessions[&id].parked;
            assert_eq!(parked.len(), 1, "only the one whose turn it is");
        }
    }

    #[test]
    fn a_client_with_too_many_sessions_loses_its_least_used_one() {
        let mut sessions = Sessions::default();
        let first = opened(&mut sessions, ANN, 0);
        let others = opened(&mut sessions, BEN, 0);
        for nonce in 1..MAX_SESSIONS_PER_CLIENT as u64 {
            opened(&mut sessions, ANN, nonce);
        }
        let _turn = sessions.arrive(&request(ANN, first, 1, &[]), SeqNo(9));
        let opener = Opener {
            client: ANN,
            nonce: u64::MAX,
        };
        let Opening::Opened { evicted, .. } = sessions.open(opener, SeqNo(10), None, 0) else {
            panic!("no room");
        };
        assert!(evicted.is_some_and(|id| id != first && id != others));
        assert!(sessions.owner(first).is_some() && sessions.owner(others).is_some());
    }
}
