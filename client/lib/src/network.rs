//! The links to the replicas, and the task that hands answers to their sessions.
//!
//! A [`Network`] is one link per replica and any number of sessions over them.
//! Requests are signed and queued by the caller's own task; one task per
//! network takes what arrives, lets the sessions count votes, and wakes the
//! callers. Sessions are pure: this file only carries out what they say. What
//! the links are made of is the business of [`crate::transport`].

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bezant_bft::{
    codec,
    crypto::{PublicKey, SigningKey},
    evidence::Evidence,
    ids::{self, ClientId, ClusterId, Epoch, ReplicaId, RequestNumber, SessionId},
    keyring::Keyring,
    message::{Attach, ClientMessage, ReplicaMessage},
};
use bezant_quic::{Config, Endpoint, ReplicaAddress, Role};
use bezant_session::{Accepted, Event, Failure, Session, Submit, Target, Token};
use bytes::Bytes;
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::Instant,
};
use tracing::debug;

use crate::{
    error::Error,
    transport::{Arrivals, Brought, Link, News, Transport, TransportKind},
};

/// Most events taken in one turn.
const MAX_EVENTS_PER_TURN: usize = 1024;

/// Most proven lies kept for the caller; the first ones stand.
const MAX_EVIDENCE: usize = 256;

/// A cluster as its clients know it: who the replicas are and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterView {
    /// The cluster's identity.
    pub id: ClusterId,
    /// Address (`host:port`) and key of each replica, in the order of their ids.
    pub replicas: Vec<(String, PublicKey)>,
}

impl ClusterView {
    /// What signatures of this cluster are checked with, [`crate::Evidence`] among them.
    ///
    /// # Errors
    /// [`Error::Cluster`] if these replicas make no cluster.
    pub fn keyring(&self) -> Result<Keyring, Error> {
        let keys = self.replicas.iter().map(|(_, key)| *key).collect();
        Keyring::new(self.id, Epoch::default(), keys).ok_or(Error::Cluster(
            "it needs 4 to 64 replicas with different keys",
        ))
    }

    fn addresses(&self) -> Vec<ReplicaAddress> {
        self.replicas
            .iter()
            .zip(0_u8..)
            .map(|((address, key), id)| ReplicaAddress {
                id: ReplicaId(id),
                address: address.clone(),
                key: *key,
            })
            .collect()
    }
}

/// What an operation ended with.
pub(crate) type Ended = Result<Accepted, Failure>;

/// A request that was numbered and sent.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub(crate) token: Token,
    /// What it ends with.
    pub(crate) ended: oneshot::Receiver<Ended>,
}

/// Names a session within its network.
pub(crate) type SessionKey = u64;

struct Entry {
    session: Session,
    key: SigningKey,
    callers: BTreeMap<Token, oneshot::Sender<Ended>>,
    disagreements: BTreeMap<ReplicaId, u64>,
    evidence: Vec<Evidence>,
    room: Arc<Notify>,
}

#[derive(Default)]
struct State {
    sessions: BTreeMap<SessionKey, Entry>,
    /// Finds the session a reply is for: by its id, or by the nonce while it is opening.
    by_id: BTreeMap<SessionId, SessionKey>,
    by_nonce: BTreeMap<RequestNumber, SessionKey>,
    next_key: SessionKey,
    /// The earliest timeout the task sleeps towards.
    armed: Option<ids::Instant>,
}

/// How the links stand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    up: BTreeMap<ReplicaId, Link>,
    failure: Option<String>,
    ended: bool,
}

struct Shared {
    transport: TransportKind,
    identity: SigningKey,
    keyring: Keyring,
    start: Instant,
    state: Mutex<State>,
    timer: Notify,
    links: watch::Sender<Links>,
}

/// One link per replica, shared by all sessions opened over it.
///
/// Cloning is cheap; the links end with the last clone and the last client.
#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
    _last: Arc<LastHandle>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Network({})", self.shared.identity.client())
    }
}

/// Ends the task when the last handle goes.
struct LastHandle {
    task: tokio::task::AbortHandle,
}

impl Drop for LastHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Network {
    /// Links to every replica of `cluster`, authenticated as `identity`. Returns at
    /// once; links come up in the background and come back after they fail.
    ///
    /// # Errors
    /// [`Error::Cluster`] or [`Error::Bind`].
    pub fn new(cluster: &ClusterView, identity: SigningKey) -> Result<Self, Error> {
        let keyring = cluster.keyring()?;
        let config = Config::new(
            identity.clone(),
            cluster.id,
            Epoch::default(),
            Role::Client,
            cluster.addresses(),
        );
        let (endpoint, inbox) = Endpoint::bind(config, None)?;
        let (transport, arrivals) = (TransportKind::Quic(endpoint), Arrivals::quic(inbox));
        Ok(Self::over(keyring, identity, transport, arrivals))
    }

    /// Has its frames carried by a simulator in place of QUIC: `transport` takes what is sent,
    /// and what comes is read from `brought`. The addresses of `cluster` are not looked at.
    ///
    /// All time is tokio's: with its clock paused, a client lives in the simulator's time.
    ///
    /// # Errors
    /// [`Error::Cluster`].
    pub fn carried(
        cluster: &ClusterView,
        identity: SigningKey,
        transport: Arc<dyn Transport>,
        brought: mpsc::Receiver<Brought>,
    ) -> Result<Self, Error> {
        let (transport, arrivals) = (TransportKind::Played(transport), Arrivals::Played(brought));
        Ok(Self::over(
            cluster.keyring()?,
            identity,
            transport,
            arrivals,
        ))
    }

    fn over(
        keyring: Keyring,
        identity: SigningKey,
        transport: TransportKind,
        arrivals: Arrivals,
    ) -> Self {
        let shared = Arc::new(Shared {
            transport,
            identity,
            keyring,
            start: Instant::now(),
            state: Mutex::default(),
            timer: Notify::new(),
            links: watch::Sender::new(Links::default()),
        });
        let task = tokio::spawn(run(Arc::clone(&shared), arrivals)).abort_handle();
        Self {
            shared,
            _last: Arc::new(LastHandle { task }),
        }
    }

    /// Bytes that nobody can foresee, as far as those go that carry the frames.
    pub(crate) fn random<const N: usize>(&self) -> Result<[u8; N], Error> {
        self.shared.transport.random()
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.shared.keyring
    }

    /// Waits until a quorum of links is up, and a little longer for the rest.
    pub(crate) async fn ready(&self, timeout: Duration) -> Result<(), Error> {
        const GRACE: Duration = Duration::from_millis(300);
        let quorum = self.shared.keyring.quorum();
        let mut links = self.shared.links.subscribe();
        let enough = quorum.strong();
        let reached = tokio::time::timeout(timeout, async {
            let quorum_up = links
                .wait_for(|links| links.up.len() >= enough || links.ended)
                .await
                .is_ok();
            if quorum_up {
                // The rest may be down: going on without them is what the quorum is for.
                let all = links.wait_for(|links| links.up.len() == quorum.n() || links.ended);
                let _late = tokio::time::timeout(GRACE, all).await;
            }
        })
        .await;
        let links = self.shared.links.borrow();
        if reached.is_ok() && !links.ended {
            return Ok(());
        }
        Err(Error::Unreachable {
            reached: links.up.len(),
            of: quorum.n(),
            needed: enough,
            why: links
                .failure
                .clone()
                .unwrap_or_else(|| "no answer".to_owned()),
        })
    }

    /// Adds a session of `key`.
    pub(crate) fn add(&self, session: Session, key: SigningKey) -> SessionKey {
        let mut state = self.shared.state();
        let name = state.next_key;
        state.next_key += 1;
        state.by_nonce.insert(RequestNumber(session.nonce()), name);
        let mut entry = Entry {
            session,
            key,
            callers: BTreeMap::new(),
            disagreements: BTreeMap::new(),
            evidence: Vec::new(),
            room: Arc::new(Notify::new()),
        };
        let up: Vec<_> = self.shared.links.borrow().up.keys().copied().collect();
        for replica in up {
            self.shared.attach(&mut entry, replica);
        }
        state.sessions.insert(name, entry);
        name
    }

    pub(crate) fn remove(&self, name: SessionKey) {
        let mut state = self.shared.state();
        if let Some(entry) = state.sessions.remove(&name) {
            state.by_id.remove(&entry.session.id());
            state.by_nonce.remove(&RequestNumber(entry.session.nonce()));
        }
    }

    /// Sends the request that opens the session.
    pub(crate) fn open(
        &self,
        name: SessionKey,
        op: Bytes,
        timeout: Duration,
    ) -> Result<oneshot::Receiver<Ended>, Error> {
        self.shared.with(name, |shared, entry, out| {
            let now = shared.now();
            let token = entry.session.open(now, op, Some(later(now, timeout)), out);
            let (caller, ended) = oneshot::channel();
            entry.callers.insert(token, caller);
            ended
        })
    }

    /// The accepted answer named the session.
    pub(crate) fn opened(&self, name: SessionKey, id: SessionId) {
        let mut state = self.shared.state();
        if let Some(entry) = state.sessions.get_mut(&name) {
            entry.session.opened(id);
            state.by_id.insert(id, name);
        }
    }

    /// Submits an operation; waits for room in the session's window.
    pub(crate) async fn submit(
        &self,
        name: SessionKey,
        op: Bytes,
        timeout: Option<Duration>,
    ) -> Result<Submitted, Error> {
        loop {
            let room = self.shared.room(name)?;
            let notified = room.notified();
            tokio::pin!(notified);
            // Armed before the attempt, so that room made in between is not missed.
            notified.as_mut().enable();
            match self.try_submit(name, op.clone(), timeout)? {
                Ok(submitted) => return Ok(submitted),
                Err(Submit::WindowFull) => notified.await,
                Err(Submit::NotOpen) => return Err(Error::Closed),
            }
        }
    }

    /// Submits an operation if the window has room now.
    pub(crate) fn try_submit(
        &self,
        name: SessionKey,
        op: Bytes,
        timeout: Option<Duration>,
    ) -> Result<Result<Submitted, Submit>, Error> {
        self.shared.with(name, |shared, entry, out| {
            let now = shared.now();
            let deadline = timeout.map(|timeout| later(now, timeout));
            let token = entry.session.submit(now, op, deadline, out)?;
            let (caller, ended) = oneshot::channel();
            entry.callers.insert(token, caller);
            Ok(Submitted { token, ended })
        })
    }

    pub(crate) fn disagreements(&self, name: SessionKey) -> BTreeMap<ReplicaId, u64> {
        let state = self.shared.state();
        state
            .sessions
            .get(&name)
            .map(|entry| entry.disagreements.clone())
            .unwrap_or_default()
    }

    pub(crate) fn evidence(&self, name: SessionKey) -> Vec<Evidence> {
        let state = self.shared.state();
        state
            .sessions
            .get(&name)
            .map(|entry| entry.evidence.clone())
            .unwrap_or_default()
    }
}

fn later(now: ids::Instant, timeout: Duration) -> ids::Instant {
    now.after_us(u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX))
}

impl Shared {
    fn now(&self) -> ids::Instant {
        let elapsed = self.start.elapsed().as_micros();
        ids::Instant(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// A panic of another thread that held the lock left nothing half-done that a
    /// later answer would not put right.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn room(&self, name: SessionKey) -> Result<Arc<Notify>, Error> {
        let state = self.state();
        state
            .sessions
            .get(&name)
            .map(|entry| Arc::clone(&entry.room))
            .ok_or(Error::Closed)
    }

    /// Does something with a session and carries out what it says.
    fn with<T>(
        &self,
        name: SessionKey,
        f: impl FnOnce(&Self, &mut Entry, &mut Vec<Event>) -> T,
    ) -> Result<T, Error> {
        let mut out = Vec::new();
        let mut state = self.state();
        let entry = state.sessions.get_mut(&name).ok_or(Error::Closed)?;
        let result = f(self, entry, &mut out);
        self.carry_out(entry, out);
        let due = entry.session.next_timeout();
        if due.is_some_and(|due| state.armed.is_none_or(|armed| due < armed)) {
            state.armed = due;
            self.timer.notify_one();
        }
        Ok(result)
    }

    fn carry_out(&self, entry: &mut Entry, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Send { to, message } => self.send(to, &message),
                Event::Completed { token, accepted } => {
                    answer(entry, token, Ok(accepted));
                }
                Event::Failed { token, failure } => answer(entry, token, Err(failure)),
                Event::Disagreed { replica, .. } => {
                    *entry.disagreements.entry(replica).or_default() += 1;
                }
                Event::Proven(evidence) => {
                    if entry.evidence.len() < MAX_EVIDENCE {
                        entry.evidence.push(*evidence);
                    }
                }
            }
        }
    }

    fn send(&self, to: Target, message: &ClientMessage) {
        let frame = Bytes::from(codec::encode(message));
        let send = |replica| self.transport.send(replica, frame.clone());
        match to {
            Target::Replica(replica) => send(replica),
            Target::All => self.keyring.quorum().members().for_each(send),
        }
    }

    /// Tells a replica whose replies the link carries, and sends again what it may have missed.
    fn attach(&self, entry: &mut Entry, replica: ReplicaId) {
        if entry.key.client() != self.identity.client() {
            let link: ClientId = self.identity.client();
            let attach = Attach::new(&entry.key, self.keyring.cluster(), &link);
            self.send(Target::Replica(replica), &ClientMessage::Attach(attach));
        }
        let mut out = Vec::new();
        entry.session.on_link(replica, true, &mut out);
        self.carry_out(entry, out);
    }

    fn on_news(&self, news: News) {
        match news {
            News::Up(replica, link) => {
                self.links.send_modify(|links| {
                    links.up.insert(replica, link);
                });
                for entry in self.state().sessions.values_mut() {
                    self.attach(entry, replica);
                }
            }
            News::Down(replica, link, why) => self.on_down(link, replica, &why),
            News::DialFailed(replica, why) => self.links.send_modify(|links| {
                links.failure = Some(format!("replica {replica}: {why}"));
            }),
            News::Frame(from, frame) => match codec::decode::<ReplicaMessage>(&frame) {
                Ok(message) => self.on_message(from, message),
                Err(error) => debug!(%from, %error, "message undecodable"),
            },
        }
    }

    fn on_down(&self, link: Link, replica: ReplicaId, why: &str) {
        let mut was_current = false;
        self.links.send_modify(|links| {
            was_current = links.up.get(&replica) == Some(&link);
            if was_current {
                links.up.remove(&replica);
                links.failure = Some(format!("replica {replica}: {why}"));
            }
        });
        if was_current {
            let mut out = Vec::new();
            for entry in self.state().sessions.values_mut() {
                entry.session.on_link(replica, false, &mut out);
            }
        }
    }

    fn on_message(&self, from: ReplicaId, message: ReplicaMessage) {
        let (session, number) = match &message {
            ReplicaMessage::Reply { reply, .. } => (reply.session, reply.number),
            ReplicaMessage::SignedReply(signed) => {
                (signed.body.reply.session, signed.body.reply.number)
            }
            ReplicaMessage::Busy {
                session, number, ..
            } => (*session, *number),
            _ => return,
        };
        let mut state = self.state();
        let name = if session == SessionId::NONE {
            state.by_nonce.get(&number)
        } else {
            state.by_id.get(&session)
        };
        let Some(entry) = name.copied().and_then(|name| state.sessions.get_mut(&name)) else {
            return;
        };
        let mut out = Vec::new();
        entry
            .session
            .on_message(self.now(), from, message, &mut out);
        self.carry_out(entry, out);
    }

    /// Fires what is due and says when the next is.
    fn tick(&self) -> Option<ids::Instant> {
        let now = self.now();
        let mut state = self.state();
        let mut next: Option<ids::Instant> = None;
        let due = state.armed.is_some_and(|armed| now >= armed);
        if !due {
            return state.armed;
        }
        for entry in state.sessions.values_mut() {
            let mut out = Vec::new();
            entry.session.on_tick(now, &mut out);
            self.carry_out(entry, out);
            next = [next, entry.session.next_timeout()]
                .into_iter()
                .flatten()
                .min();
        }
        state.armed = next;
        next
    }
}

fn answer(entry: &mut Entry, token: Token, ended: Ended) {
    if let Some(caller) = entry.callers.remove(&token) {
        // A caller that went away does not want to know.
        let _gone = caller.send(ended);
    }
    entry.room.notify_waiters();
}

async fn run(shared: Arc<Shared>, mut arrivals: Arrivals) {
    let mut news = Vec::new();
    loop {
        let due = shared.tick();
        let sleep = async {
            match due {
                Some(due) => {
                    let at = shared.start + Duration::from_micros(due.0);
                    tokio::time::sleep_until(at).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            taken = arrivals.recv_many(&mut news, MAX_EVENTS_PER_TURN) => {
                if taken == 0 {
                    break;
                }
            }
            () = shared.timer.notified() => {}
            () = sleep => {}
        }
        for news in news.drain(..) {
            shared.on_news(news);
        }
    }
    shared.links.send_modify(|links| links.ended = true);
    for entry in shared.state().sessions.values_mut() {
        entry.callers.clear();
        entry.room.notify_waiters();
    }
}
