//! The dumb service: sessions in a list, and the dumb spaces.

use bezant_api::{Answer, Call, Lists, Refused, limits::MIN_SESSION_MS};
use bezant_bft::{
    ids::{ClientId, RequestNumber, SeqNo, SessionId},
    limits::SESSION_WINDOW,
    message::{Reply, Request},
    service::Replies,
};
use bezant_tuplespace::{MAX_LEASE_MS, Operation, SpaceName, WaiterId};
use bytes::Bytes;

use super::{Spaces, group::By};

/// A request carried out, in the order in which that happened.
#[derive(Clone, Debug)]
pub struct Performed {
    /// The session.
    pub session: SessionId,
    /// The request.
    pub number: RequestNumber,
    /// Whose.
    pub client: ClientId,
    /// The number of the log.
    pub seq_no: SeqNo,
    /// What was asked.
    pub op: Bytes,
}

/// Time that passed with a number of the log.
#[derive(Clone, Debug)]
pub struct Passed {
    /// The number.
    pub seq_no: SeqNo,
    /// The time proposed.
    pub time: u64,
    /// How much later everything ends, since an outage took so long.
    pub granted: u64,
    /// Sessions that ended with it.
    pub ended: Vec<u64>,
}

#[derive(Clone, Debug)]
struct Session {
    id: u64,
    owner: ClientId,
    nonce: u64,
    opened: SeqNo,
    ttl: Option<u64>,
    /// When it ends unless it is used.
    due: Option<u64>,
    next: u64,
    /// Numbers done and not acknowledged; without a reply they wait.
    kept: Vec<(u64, Option<Reply>)>,
    parked: Vec<Request>,
}

/// The service of the model.
#[derive(Clone, Debug)]
pub struct Service {
    makes_spaces: bool,
    sessions: Vec<Session>,
    last: u64,
    spaces: Spaces,
    performed: Vec<Performed>,
    /// Requests that came before their turn.
    parked: u64,
    /// What passed with each number, but for null requests.
    times: Vec<Passed>,
}

impl Service {
    /// An empty service; `makes_spaces` as the genesis says of `out` into a new space.
    #[must_use]
    pub fn new(makes_spaces: bool) -> Self {
        Self {
            makes_spaces,
            sessions: Vec::new(),
            last: 0,
            spaces: Spaces::default(),
            performed: Vec::new(),
            parked: 0,
            times: Vec::new(),
        }
    }

    /// The spaces.
    #[must_use]
    pub const fn spaces(&self) -> &Spaces {
        &self.spaces
    }

    /// Number of open sessions.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Everything carried out in sessions so far, in order.
    #[must_use]
    pub fn performed(&self) -> &[Performed] {
        &self.performed
    }

    /// Requests that came before their turn so far, and were kept for it.
    #[must_use]
    pub const fn parked(&self) -> u64 {
        self.parked
    }

    /// What passed with each number executed, but for null requests.
    #[must_use]
    pub fn times(&self) -> &[Passed] {
        &self.times
    }

    /// Executes what was decided for `position`, at `time` if it has one, and says what
    /// must be replied.
    pub fn execute<'a>(
        &mut self,
        seq_no: SeqNo,
        time: Option<u64>,
        requests: impl Iterator<Item = &'a Request>,
    ) -> Replies {
        let mut replies = Replies::new();
        if let Some(time) = time {
            self.pass_time(seq_no, time, &mut replies);
        }
        for request in requests {
            self.request(request, seq_no, &mut replies);
        }
        replies
    }

    fn pass_time(&mut self, seq_no: SeqNo, time: u64, replies: &mut Replies) {
        let sessions = self.sessions.iter().filter_map(|session| session.due);
        let due = sessions.chain(self.spaces.due()).min();
        let granted = self.spaces.outage(time, due);
        for session in &mut self.sessions {
            session.due = session.due.map(|due| due + granted);
        }
        for (wait, nothing) in self.spaces.pass_time(time, granted) {
            self.end_wait(wait, &nothing, seq_no, replies);
        }
        let now = self.spaces.now();
        let is_over = |session: &Session| session.due.is_some_and(|due| due <= now);
        let over = self.sessions.iter().filter(|session| is_over(session));
        let ended: Vec<u64> = over.map(|session| session.id).collect();
        self.sessions.retain(|session| !is_over(session));
        for session in &ended {
            self.spaces.end_owner(*session);
            self.spaces.publish();
        }
        self.tell(seq_no, replies);
        self.times.push(Passed {
            seq_no,
            time,
            granted,
            ended,
        });
    }

    /// Answers those who got a delivery, and those who watched.
    fn tell(&mut self, seq_no: SeqNo, replies: &mut Replies) {
        for (wait, answer) in self.spaces.take_answers() {
            self.end_wait(wait, &answer, seq_no, replies);
        }
    }

    fn request(&mut self, request: &Request, seq_no: SeqNo, replies: &mut Replies) {
        if request.session == SessionId::NONE {
            let (at, answer) = self.open(request, seq_no);
            replies.push((request.client, reply(request, at, &answer)));
            return;
        }
        let Some(session) = self
            .session(request.session.0)
            .filter(|s| s.owner == request.client)
        else {
            let answer = Refused::NoSession.into();
            replies.push((request.client, reply(request, seq_no, &answer)));
            return;
        };
        let number = request.number.0;
        if number < session.next {
            return;
        }
        if number >= session.next.saturating_add(SESSION_WINDOW)
            || (number == session.next && !session.take_turn(request))
        {
            let answer = Refused::WindowExceeded.into();
            replies.push((request.client, reply(request, seq_no, &answer)));
        } else if number > session.next {
            if session
                .parked
                .iter()
                .all(|parked| parked.number != request.number)
            {
                session.parked.push(request.clone());
                self.parked += 1;
            }
            return;
        } else {
            session.next = number.saturating_add(1);
            self.run(request, seq_no, replies);
        }
        while let Some(parked) = self.unpark(request.session.0) {
            self.run(&parked, seq_no, replies);
        }
    }

    /// The answer to an opening, and where it was opened first.
    fn open(&mut self, request: &Request, seq_no: SeqNo) -> (SeqNo, Answer) {
        let (nonce, ttl) = match Call::decode(&request.op) {
            Ok(Call::OpenSession { nonce, ttl_ms }) if nonce == request.number.0 => (nonce, ttl_ms),
            _ => return (seq_no, Refused::Malformed.into()),
        };
        if ttl.is_some_and(|ms| !(MIN_SESSION_MS..=MAX_LEASE_MS).contains(&ms)) {
            return (seq_no, Refused::TtlOutOfRange.into());
        }
        let known = self
            .sessions
            .iter()
            .find(|s| s.owner == request.client && s.nonce == nonce);
        let first = (self.last + 1, seq_no);
        let (id, opened) = known.map_or(first, |session| (session.id, session.opened));
        if known.is_none() {
            self.last = id;
            self.sessions.push(Session {
                id,
                owner: request.client,
                nonce,
                opened,
                ttl,
                due: ttl.map(|ttl| self.spaces.now() + ttl),
                next: 1,
                kept: Vec::new(),
                parked: Vec::new(),
            });
        }
        let window = u32::try_from(SESSION_WINDOW).unwrap_or(u32::MAX);
        let answer = Answer::Opened {
            session: id,
            window,
        };
        (opened, answer)
    }

    fn session(&mut self, id: u64) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.id == id)
    }

    fn unpark(&mut self, id: u64) -> Option<Request> {
        let session = self.session(id)?;
        let next = session.next;
        let at = session
            .parked
            .iter()
            .position(|parked| parked.number.0 == next)?;
        let request = session.parked[at].clone();
        if !session.take_turn(&request) {
            return None;
        }
        session.parked.remove(at);
        session.next = next.saturating_add(1);
        Some(request)
    }

    fn run(&mut self, request: &Request, seq_no: SeqNo, replies: &mut Replies) {
        let (session, number) = (request.session.0, request.number.0);
        self.performed.push(Performed {
            session: request.session,
            number: request.number,
            client: request.client,
            seq_no,
            op: request.op.clone(),
        });
        self.spaces.introduce(session, request.client.0);
        let now = self.spaces.now();
        if let Some(session) = self.session(session) {
            session.due = session.ttl.map(|ttl| now + ttl);
        }
        let answer = match Call::decode(&request.op) {
            Ok(call) => self.call((session, number), &call),
            Err(_) => Some(Refused::Malformed.into()),
        };
        self.keep(
            session,
            number,
            answer.as_ref().map(|answer| reply(request, seq_no, answer)),
        );
        if let Some(answer) = answer {
            replies.push((request.client, reply(request, seq_no, &answer)));
            self.after(request, &answer, seq_no, replies);
        }
        for (wait, answer) in self.spaces.take_refused() {
            self.end_wait(wait, &answer, seq_no, replies);
        }
        self.spaces.publish();
        self.tell(seq_no, replies);
    }

    fn call(&mut self, who: (u64, u64), call: &Call) -> Option<Answer> {
        let answered = match call {
            Call::CloseSession => Ok(Some(Answer::Closed)),
            Call::KeepAlive => Ok(Some(Answer::Alive)),
            Call::CreateSpace { space } if space.is_reserved() => Err(Refused::ReservedSpace),
            Call::CreateSpace { space } => {
                let made = self.spaces.create(who.0, space, Lists::open());
                made.map(|()| Some(Answer::Created))
            }
            Call::ListSpaces => {
                let mut names = self.spaces.names().to_vec();
                names.sort_unstable();
                Ok(Some(Answer::Spaces(names)))
            }
            Call::Space { space, operation } => self.operate(who, space, operation),
            Call::Cancel { number } => {
                Ok(Some(Answer::Cancelled(self.spaces.cancel(who.0, *number))))
            }
            Call::Group(group) => {
                let by = By {
                    makes_spaces: self.makes_spaces,
                    session: who.0,
                };
                super::group::carry_out(&mut self.spaces, by, group).map(Some)
            }
            Call::CreateSpaceFor { space, .. } if space.is_reserved() => {
                Err(Refused::ReservedSpace)
            }
            other => match self.spaces.rule(who.0, other) {
                Some(ruled) => ruled.map(Some),
                None => Err(Refused::Malformed),
            },
        };
        answered.unwrap_or_else(|refused| Some(refused.into()))
    }

    fn operate(
        &mut self,
        who: (u64, u64),
        space: &SpaceName,
        operation: &Operation,
    ) -> Result<Option<Answer>, Refused> {
        let outcome = self
            .spaces
            .operate(self.makes_spaces, who, space, operation)?;
        Ok(outcome.map(Answer::Outcome))
    }

    fn after(&mut self, request: &Request, answer: &Answer, seq_no: SeqNo, replies: &mut Replies) {
        let session = request.session.0;
        match answer {
            Answer::Closed => {
                self.spaces.end_owner(session);
                self.sessions.retain(|other| other.id != session);
            }
            Answer::Cancelled(true) => {
                if let Ok(Call::Cancel { number }) = Call::decode(&request.op) {
                    let ended = Answer::Refused(Refused::Cancelled);
                    let owner = session;
                    self.end_wait(WaiterId { owner, number }, &ended, seq_no, replies);
                }
            }
            _ => {}
        }
    }

    fn end_wait(&mut self, wait: WaiterId, answer: &Answer, seq_no: SeqNo, replies: &mut Replies) {
        let (session, number) = (wait.owner, wait.number);
        let Some(owner) = self.session(session).map(|session| session.owner) else {
            return;
        };
        let reply = Reply {
            session: SessionId(session),
            number: RequestNumber(number),
            seq_no,
            result: Bytes::from(answer.encode()),
        };
        self.keep(session, number, Some(reply.clone()));
        replies.push((owner, reply));
    }

    fn keep(&mut self, session: u64, number: u64, reply: Option<Reply>) {
        if let Some(session) = self.session(session) {
            session.kept.retain(|(kept, _)| *kept != number);
            session.kept.push((number, reply));
        }
    }
}

impl Session {
    /// What the client has got makes room; whether there is any for `request`.
    fn take_turn(&mut self, request: &Request) -> bool {
        let acked = &request.acked;
        self.kept
            .retain(|(number, reply)| reply.is_none() || !acked.contains(&RequestNumber(*number)));
        (self.kept.len() as u64) < SESSION_WINDOW
    }
}

fn reply(request: &Request, seq_no: SeqNo, answer: &Answer) -> Reply {
    Reply {
        session: request.session,
        number: request.number,
        seq_no,
        result: Bytes::from(answer.encode()),
    }
}
