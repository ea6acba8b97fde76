//! One key of an attacker: its links, its session, and what it sends.

use std::{
    collections::BTreeMap,
    mem,
    time::{Duration, Instant},
};

use bezant_api::{Answer, Call};
use bezant_bft::{
    codec,
    crypto::{Domain, Signature, SigningKey},
    ids::{ClusterId, Epoch, ReplicaId, RequestNumber, SessionId, View},
    limits::SESSION_WINDOW,
    message::{ClientMessage, ReplicaMessage, Reply, Request, SignedRequest},
};
use bezant_client::{ClusterView, Field, Lease, Operation, SpaceName, Template, Tuple, Value};
use bezant_quic::{Config, Endpoint, Event, Inbox, Peer, ReplicaAddress, Role};
use bytes::Bytes;

use super::{AttackError, ClientAttack, members};

/// Most events taken at a time.
const MAX_EVENTS: usize = 1024;

/// Tuples in the answer that is asked for again and again, and the bytes of each.
const LARGE: (u64, usize) = (4, 60_000);

/// Bytes of an answer that is not acknowledged.
const UNACKNOWLEDGED: usize = 1_000;

/// How long it waits for an answer before it asks again, as long as it has manners.
const ASKS_AGAIN: Duration = Duration::from_millis(500);

/// Answers of so many replicas are enough for an attacker.
const ENOUGH: u8 = 2;

/// A request that is not answered yet.
#[derive(Debug)]
struct Open {
    frame: Bytes,
    answers: u8,
}

/// An attacking client.
#[derive(Debug)]
pub(super) struct Stranger {
    cluster: ClusterId,
    key: SigningKey,
    endpoint: Endpoint,
    inbox: Inbox,
    events: Vec<Event>,
    members: Vec<ReplicaId>,
    /// Its own tuples.
    template: Template,
    /// What the replicas say their view is.
    view: View,
    /// None while it opens.
    session: Option<SessionId>,
    nonce: u64,
    /// When it asked for the session, or for what it prepares.
    asked: Option<Instant>,
    /// The number of its last request in the session.
    last: u64,
    open: BTreeMap<u64, Open>,
    done: Vec<RequestNumber>,
    acknowledges: bool,
    /// A signature of nothing that it asks for.
    wrong: Option<Signature>,
    /// A request that was answered, to be sent again.
    old: Option<Bytes>,
    pub(super) answered: u64,
    pub(super) busy: u64,
}

impl Stranger {
    pub(super) fn new(
        view: &ClusterView,
        key: SigningKey,
        attack: ClientAttack,
    ) -> Result<Self, AttackError> {
        let replicas = view.replicas.iter().zip(0_u8..);
        let replicas = replicas.map(|((address, key), id)| ReplicaAddress {
            id: ReplicaId(id),
            address: address.clone(),
            key: *key,
        });
        let (me, epoch) = (Role::Client, Epoch::default());
        let config = Config::new(key.clone(), view.id, epoch, me, replicas.collect());
        let fields = vec![Field::Exact(own(&key)), Field::Any];
        let template = Template::new(fields).map_err(|_| AttackError::NotReady)?;
        let (endpoint, inbox) = Endpoint::bind(config, None)?;
        Ok(Self {
            cluster: view.id,
            key,
            endpoint,
            inbox,
            events: Vec::new(),
            members: members(view),
            template,
            view: View(0),
            session: None,
            nonce: 1,
            asked: None,
            last: 0,
            open: BTreeMap::new(),
            done: Vec::new(),
            acknowledges: attack != ClientAttack::NeverAcknowledge,
            wrong: None,
            old: None,
            answered: 0,
            busy: 0,
        })
    }

    /// Does what comes before the attack; whether that is done.
    pub(super) fn prepare(&mut self, attack: ClientAttack) -> bool {
        if self.session.is_none() {
            self.open_session();
            return false;
        }
        match attack {
            ClientAttack::Repeat => self.lay_out(LARGE),
            ClientAttack::NeverAcknowledge => self.lay_out((1, UNACKNOWLEDGED)),
            _ => true,
        }
    }

    /// Puts tuples and asks for them; whether they were answered.
    fn lay_out(&mut self, (count, bytes): (u64, usize)) -> bool {
        if self.old.is_some() && self.open.is_empty() {
            return true;
        }
        if self.open.is_empty() {
            let own = own(&self.key);
            for _ in 0..count {
                let fields = vec![own.clone(), Value::from(vec![0x5a; bytes])];
                if let Ok(tuple) = Tuple::new(fields) {
                    let lease = Lease::Forever;
                    self.ask(Operation::Out { tuple, lease });
                }
            }
            let template = self.template.clone();
            self.asked = None;
            self.old = self.ask(Operation::RdAll {
                template,
                limit: 100,
                after: None,
            });
        }
        if self.may_ask_again() {
            for open in self.open.values() {
                self.send_all(&open.frame);
            }
        }
        false
    }

    fn may_ask_again(&mut self) -> bool {
        let waits = self.asked.is_some_and(|asked| asked.elapsed() < ASKS_AGAIN);
        if !waits {
            self.asked = Some(Instant::now());
        }
        !waits
    }

    /// Takes what has arrived.
    pub(super) fn hear(&mut self) {
        let mut events = mem::take(&mut self.events);
        while self.inbox.try_recv_many(&mut events, MAX_EVENTS) > 0 {
            for event in events.drain(..) {
                if let Event::Frame {
                    peer: Peer::Replica(_),
                    frame,
                    ..
                } = event
                    && let Ok(message) = codec::decode::<ReplicaMessage>(&frame)
                {
                    self.on_message(message);
                }
            }
        }
        self.events = events;
    }

    fn on_message(&mut self, message: ReplicaMessage) {
        match message {
            ReplicaMessage::Reply { view, reply } => {
                self.view = self.view.max(view);
                self.on_reply(&reply);
            }
            ReplicaMessage::Busy { .. } => self.busy += 1,
            _ => {}
        }
    }

    fn on_reply(&mut self, reply: &Reply) {
        if reply.session == SessionId::NONE {
            let opens = self.session.is_none() && reply.number == RequestNumber(self.nonce);
            if opens && let Ok(Answer::Opened { session, .. }) = Answer::decode(&reply.result) {
                self.session = Some(SessionId(session));
                (self.last, self.answered) = (0, self.answered + 1);
                self.open.clear();
                self.done.clear();
            }
            return;
        }
        let number = reply.number.0;
        let known = self.session == Some(reply.session);
        let Some(open) = self.open.get_mut(&number).filter(|_| known) else {
            return;
        };
        open.answers += 1;
        if open.answers >= ENOUGH {
            self.open.remove(&number);
            if self.acknowledges {
                self.done.push(RequestNumber(number));
            }
            self.answered += 1;
        }
    }

    /// One request more; whether a link had room for it.
    pub(super) fn act(&mut self, attack: ClientAttack) -> bool {
        match attack {
            ClientAttack::Flood => self.ask_or_repeat(true),
            ClientAttack::Overload => self.ask_or_repeat(false),
            ClientAttack::Repeat => match &self.old {
                Some(frame) => self.send_all(frame),
                None => false,
            },
            ClientAttack::NeverAcknowledge => self.ask_without_end(),
            ClientAttack::BadSignatures => self.ask_badly(),
        }
    }

    /// Takes what is not there; if the window is full, asks for the oldest again.
    fn ask_or_repeat(&mut self, all: bool) -> bool {
        let oldest = self.open.first_key_value();
        let oldest = oldest.map(|(number, open)| (*number, open.frame.clone()));
        let frame = match oldest {
            Some((number, frame)) if self.last + 1 >= number + SESSION_WINDOW => Some(frame),
            _ => {
                let template = self.template.clone();
                self.ask(Operation::Inp { template })
            }
        };
        let Some(frame) = frame else { return false };
        if all {
            return self.send_all(&frame);
        }
        let n = self.members.len().max(1) as u64;
        let primary = usize::try_from(self.view.0 % n).unwrap_or_default();
        let primary = self.members.get(primary);
        primary.is_some_and(|primary| self.send(*primary, &frame))
    }

    /// Reads what it put and says nothing of having it; with a new session for each window.
    fn ask_without_end(&mut self) -> bool {
        if self.session.is_none() {
            return self.open_session();
        }
        if self.last < SESSION_WINDOW {
            let template = self.template.clone();
            let frame = self.ask(Operation::Rdp { template });
            return frame.is_some_and(|frame| self.send_all(&frame));
        }
        if let Some(oldest) = self.open.values().next() {
            return self.send_all(&oldest.frame);
        }
        (self.session, self.asked) = (None, None);
        self.nonce += 1;
        self.open_session()
    }

    /// A request that is right but for its signature.
    fn ask_badly(&mut self) -> bool {
        let template = self.template.clone();
        // Within the window: anything else is not worth a check.
        self.last = self.last % SESSION_WINDOW + 1;
        let Some(request) = self.request(self.last, Operation::Inp { template }) else {
            return false;
        };
        // A signature of something else.
        let signature = match self.wrong {
            Some(signature) => signature,
            None => self
                .key
                .sign(Domain::Attach, &self.cluster, b"something else"),
        };
        self.wrong = Some(signature);
        self.send_all(&frame(SignedRequest { request, signature }))
    }

    fn request(&self, number: u64, operation: Operation) -> Option<Request> {
        let space = SpaceName::new("attack").ok()?;
        Some(Request {
            client: self.key.client(),
            session: self.session?,
            number: RequestNumber(number),
            acked: Vec::new(),
            op: Bytes::from(Call::Space { space, operation }.encode()),
        })
    }

    /// The next request of the session, which acknowledges all that was answered.
    fn ask(&mut self, operation: Operation) -> Option<Bytes> {
        let mut request = self.request(self.last + 1, operation)?;
        self.last += 1;
        request.acked = mem::take(&mut self.done);
        request.acked.sort_unstable();
        let frame = frame(request.sign(&self.cluster, &self.key));
        let open = Open {
            frame: frame.clone(),
            answers: 0,
        };
        self.open.insert(self.last, open);
        Some(frame)
    }

    /// Asks for a session, once in a while; whether a link had room for that.
    fn open_session(&mut self) -> bool {
        if !self.may_ask_again() {
            return false;
        }
        let (nonce, ttl_ms) = (self.nonce, None);
        let request = Request {
            client: self.key.client(),
            session: SessionId::NONE,
            number: RequestNumber(nonce),
            acked: Vec::new(),
            op: Bytes::from(Call::OpenSession { nonce, ttl_ms }.encode()),
        };
        self.send_all(&frame(request.sign(&self.cluster, &self.key)))
    }

    fn send_all(&self, frame: &Bytes) -> bool {
        let sent = |count, replica: &ReplicaId| count + usize::from(self.send(*replica, frame));
        self.members.iter().fold(0, sent) > 0
    }

    /// What finds no room is lost.
    fn send(&self, to: ReplicaId, frame: &Bytes) -> bool {
        self.endpoint.send_replica(to, frame.clone()).is_ok()
    }
}

fn frame(signed: SignedRequest) -> Bytes {
    Bytes::from(codec::encode(&ClientMessage::Request(signed)))
}

/// The first field of its tuples, which nobody else has.
fn own(key: &SigningKey) -> Value {
    Value::from(key.client().to_string())
}
