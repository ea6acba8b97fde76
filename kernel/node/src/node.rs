//! One replica's event loop: sockets in, steps, effects out.
//!
//! A replica is one thread with one event loop
//! (docs/decisions/001-one-event-loop.md). Each turn takes everything that
//! arrived, checks its signatures in one batch, steps the state machine, and
//! carries out the effects: records are made durable once per turn, decisions
//! go to the service, replies and messages leave together. No protocol
//! decision is taken here.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use bezant_api::ExtensionHash;
use bezant_bft::{
    codec,
    crypto::{Checker, Claim, Domain, SigningKey},
    effects::{Effect, Effects, Input, To},
    ids::{ClientId, Digest, ReplicaId, RequestNumber, SeqNo, SessionId},
    limits::STATE_PART_BYTES,
    message::{
        Attach, ClientMessage, PeerMessage, ReplicaMessage, Reply, ReplyClaim, Signed,
        SignedRequest, StatePart, attach_body,
    },
    misbehaviour::{Fault as Wrong, Misbehaviour},
    rejoin::{Lives, join_state, split_state},
    replica::{Replica, Tuning},
    seal::{Batch, Sealed, Source, check_commits},
    service::{Admission, Replies, Service},
    state::State,
};
use bezant_kernel::{Kernel, LogLine};
use bezant_quic::{Event, Fabric, Inbox, LinkId, Peer, SendError};
use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use crate::{
    clock::Clocks,
    evidence::{Archive, Kept},
    faults::{Dice, Fault, Held, delay_us, equivocation, lie},
    first_start::FirstStart,
    routes::Routes,
    status::NodeStatus,
    storage::{Storage, StorageError},
};

/// Most events one turn takes: more would delay what the first of them caused.
const MAX_EVENTS_PER_TURN: usize = 1024;

/// Most signed replies one turn makes: each costs a signature and helps one client only.
const MAX_SIGNED_REPLIES_PER_TURN: usize = 64;

/// Most blames one turn logs; the rest is counted.
const MAX_BLAMES_LOGGED_PER_TURN: usize = 4;

/// What others ask of the loop.
pub(crate) enum Control {
    /// Commit this fault from now on, or none.
    Fault(Option<Fault>),
    /// Tell how it stands.
    Status(Box<dyn FnOnce(NodeStatus) + Send>),
    /// Show what is kept against others.
    Evidence(Box<dyn FnOnce(&Archive) + Send>),
    /// Tell what an extension logged lately.
    Lines(ExtensionHash, Box<dyn FnOnce(Vec<LogLine>) + Send>),
    /// End.
    Stop,
}

/// Why the loop ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It was asked to.
    Stopped,
    /// It committed the fault "crash".
    Crashed,
    /// The state machine does not trust itself any more.
    Halted(String),
    /// Records cannot be made durable.
    Storage(StorageError),
}

/// A replica with everything it drives.
pub(crate) struct Node {
    pub(crate) replica: Replica,
    pub(crate) kernel: Kernel,
    /// States at checkpoints from the stable one on, for peers that fell behind.
    pub(crate) snapshots: BTreeMap<SeqNo, State>,
    pub(crate) key: SigningKey,
    pub(crate) checker: Checker,
    pub(crate) clocks: Clocks,
    pub(crate) fabric: Fabric,
    pub(crate) storage: Box<dyn Storage>,
    /// The leave to vote without a memory, until the first vote.
    pub(crate) first_start: Option<FirstStart>,
    /// Records appended since the last sync.
    pub(crate) unsynced: u64,
    pub(crate) tuning: Tuning,
    pub(crate) routes: Routes,
    pub(crate) fault: Option<Fault>,
    pub(crate) held: Held,
    pub(crate) dice: Dice,
    pub(crate) counts: Counts,
    pub(crate) archive: Archive,
    pub(crate) signed_replies: usize,
}

/// What the loop counts, for metrics.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    verifications: u64,
    commits_checked: u64,
    batches: u64,
    blames: u64,
    records: u64,
    syncs: u64,
    sync_time: Duration,
    to_replicas: Traffic,
    to_clients: Traffic,
    frames_from_clients: u64,
    frames_dropped: u64,
}

/// Frames sent, and the bytes in them.
#[derive(Clone, Copy, Debug, Default)]
struct Traffic {
    frames: u64,
    bytes: u64,
}

impl Traffic {
    fn sent(&mut self, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes as u64;
    }
}

impl Node {
    /// Runs until told to stop.
    pub(crate) async fn run(
        mut self,
        mut inbox: Inbox,
        mut control: mpsc::Receiver<Control>,
    ) -> End {
        let mut events = Vec::new();
        loop {
            let timeout = self.replica.next_timeout().map(|at| self.clocks.at(at));
            let timeout = timeout.into_iter().chain(self.held.due()).min();
            let sleep = async {
                match timeout {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                command = control.recv() => match command {
                    Some(Control::Fault(Some(Fault::Crash))) => return End::Crashed,
                    Some(Control::Fault(fault)) => {
                        info!(?fault, "fault on demand");
                        self.fault = fault;
                    }
                    Some(Control::Status(tell)) => tell(self.status()),
                    Some(Control::Evidence(show)) => show(&self.archive),
                    Some(Control::Lines(hash, tell)) => tell(self.kernel.lines_of(&hash)),
                    Some(Control::Stop) | None => return End::Stopped,
                },
                _taken = inbox.recv_many(&mut events, MAX_EVENTS_PER_TURN) => {}
                () = sleep => {}
            }
            if let Err(end) = self.turn(&mut events) {
                return end;
            }
        }
    }

    /// One turn: all events, one batch of signatures, all effects.
    fn turn(&mut self, events: &mut Vec<Event>) -> Result<(), End> {
        self.signed_replies = 0;
        let mut inputs = VecDeque::new();
        let mut sealed = Vec::new();
        for event in events.drain(..) {
            self.on_event(event, &mut sealed, &mut inputs);
        }
        self.check(sealed, &mut inputs);
        if inputs.is_empty() {
            inputs.push_back(Input::Tick);
        }
        let mut replies = Replies::new();
        let mut effects = Effects::new();
        while !inputs.is_empty() {
            // All are stepped before anything is carried out: their records share one sync.
            for input in inputs.drain(..) {
                self.replica.step(self.clocks.now(), input, &mut effects);
            }
            self.persist(&mut effects)?;
            self.carry_out(&mut effects, &mut inputs, &mut replies)?;
        }
        self.send_held();
        for (client, reply) in replies {
            self.reply(&client, &reply);
        }
        for line in self.kernel.take_logs() {
            let (extension, sequence) = (line.hash, line.sequence);
            info!(target: "bezant::extension", %extension, sequence, "{}", line.text);
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event, sealed: &mut Vec<Sealed>, inputs: &mut VecDeque<Input>) {
        match event {
            Event::Up { link, peer } => {
                debug!(%link, %peer, "link up");
                match peer {
                    Peer::Replica(replica) => inputs.push_back(Input::LinkUp(replica)),
                    Peer::Client(client) => {
                        self.routes.attach(client, link);
                    }
                }
            }
            Event::Down { link, peer, reason } => {
                debug!(%link, %peer, %reason, "link down");
                self.routes.detach(link);
            }
            Event::Frame {
                peer: Peer::Replica(from),
                frame,
                ..
            } => match Sealed::from_replica(from, &frame) {
                Ok(message) => sealed.extend(self.screen(message)),
                Err(misbehaviour) => self.blame(&misbehaviour),
            },
            Event::Frame {
                link,
                peer: Peer::Client(client),
                frame,
            } => {
                self.counts.frames_from_clients += 1;
                self.on_client_frame(link, client, &frame, sealed);
            }
            Event::Refused { remote, reason } => debug!(%remote, %reason, "refused a link"),
            Event::DialFailed {
                replica, reason, ..
            } => debug!(%replica, %reason, "dial failed"),
        }
    }

    /// Drops what is not worth a signature check.
    fn screen(&mut self, sealed: Sealed) -> Option<Sealed> {
        if !self.replica.wants(&sealed) {
            return None;
        }
        match sealed.peek() {
            // A request executed before is not ordered again.
            PeerMessage::Forward(signed) => {
                matches!(self.kernel.admit(&signed.request), Admission::New).then_some(sealed)
            }
            _ => Some(sealed),
        }
    }

    fn on_client_frame(
        &mut self,
        link: LinkId,
        client: ClientId,
        frame: &[u8],
        sealed: &mut Vec<Sealed>,
    ) {
        match codec::decode::<ClientMessage>(frame) {
            Ok(ClientMessage::Request(signed)) => self.on_request(link, client, signed, sealed),
            Ok(ClientMessage::AskSigned { session, number }) => {
                self.on_ask_signed(link, session, number);
            }
            Ok(ClientMessage::Attach(attach)) => self.on_attach(link, client, &attach),
            Ok(_) => {}
            Err(error) => {
                let what = Wrong::Undecodable(error);
                self.blame(&Misbehaviour::new(Source::Client(client), what));
            }
        }
    }

    fn on_request(
        &mut self,
        link: LinkId,
        client: ClientId,
        signed: SignedRequest,
        sealed: &mut Vec<Sealed>,
    ) {
        let request = &signed.request;
        match self.kernel.admit(request) {
            Admission::New if self.replica.has_room() => {
                sealed.push(Sealed::from_client(client, signed));
            }
            Admission::New => {
                let (session, number) = (request.session, request.number);
                self.send(link, &ReplicaMessage::Busy { session, number });
            }
            // Results are their client's own: only a link that may carry its replies gets them.
            Admission::Done(reply) if self.routes.carries(link, &request.client) => {
                self.send_reply(link, &reply);
            }
            Admission::Refuse(reply) => self.send_reply(link, &reply),
            Admission::Done(_) | Admission::Silent => {}
        }
    }

    fn on_attach(&mut self, link: LinkId, link_key: ClientId, attach: &Attach) {
        let cluster = *self.replica.keyring().cluster();
        let body = attach_body(&link_key);
        let claim = Claim::new(
            attach.client.into(),
            attach.signature,
            Domain::Attach,
            &cluster,
            &body,
        );
        self.counts.verifications += 1;
        if !claim.holds() {
            self.blame(&Misbehaviour::new(
                Source::Client(link_key),
                Wrong::BadSignature,
            ));
        } else if !self.routes.attach(attach.client, link) {
            warn!(%link, "a link carries as many clients as it may; one more is not answered over it");
        }
    }

    fn on_ask_signed(&mut self, link: LinkId, session: SessionId, number: RequestNumber) {
        if self.signed_replies >= MAX_SIGNED_REPLIES_PER_TURN {
            return;
        }
        let Some((client, reply)) = self.kernel.kept_reply(session, number) else {
            return;
        };
        if !self.routes.carries(link, &client) {
            return;
        }
        self.signed_replies += 1;
        let reply = self.as_told(&reply);
        let keyring = self.replica.keyring();
        let claim = ReplyClaim {
            epoch: keyring.epoch(),
            replica: self.replica.me(),
            incarnation: self.replica.incarnation(),
            client,
            reply,
        };
        let signed = Signed::new(claim, Domain::Reply, keyring.cluster(), &self.key);
        self.send(link, &ReplicaMessage::SignedReply(signed));
    }

    /// Checks everything in one batch and turns it into inputs.
    fn check(&mut self, sealed: Vec<Sealed>, inputs: &mut VecDeque<Input>) {
        if sealed.is_empty() {
            return;
        }
        let mut blames = Vec::new();
        let mut batch = Batch::new(self.replica.keyring());
        for message in sealed {
            let known = |digest: &_| self.replica.known_request(digest);
            if let Err(misbehaviour) = batch.add(message, known) {
                blames.push(misbehaviour);
            }
        }
        self.counts.verifications += batch.claims() as u64;
        self.counts.batches += u64::from(batch.claims() > 0);
        for checked in batch.check(&mut self.checker) {
            match checked {
                Ok(input) => inputs.push_back(input),
                Err(misbehaviour) => blames.push(misbehaviour),
            }
        }
        for (index, misbehaviour) in blames.iter().enumerate() {
            if index < MAX_BLAMES_LOGGED_PER_TURN {
                self.blame(misbehaviour);
            } else {
                self.counts.blames += 1;
                self.keep_proof(misbehaviour);
            }
        }
    }

    /// Makes records durable before anything that may build on them is carried out: one
    /// sync for all of them.
    fn persist(&mut self, effects: &mut Effects) -> Result<(), End> {
        let waits = |effect: &Effect| {
            matches!(
                effect,
                Effect::Send { after: Some(_), .. } | Effect::Execute { .. }
            )
        };
        let sync = effects.iter().any(waits);
        for effect in effects.extract_if(.., |effect| matches!(effect, Effect::Persist { .. })) {
            if let Effect::Persist { id, record } = effect {
                self.storage.append(id, record).map_err(End::Storage)?;
                self.unsynced += 1;
            }
        }
        if sync && self.unsynced > 0 {
            let begun = Instant::now();
            self.storage.sync().map_err(End::Storage)?;
            if let Some(leave) = self.first_start.take() {
                leave.use_up().map_err(|error| End::Storage(error.into()))?;
            }
            self.counts.records += std::mem::take(&mut self.unsynced);
            self.counts.syncs += 1;
            self.counts.sync_time += begun.elapsed();
        }
        Ok(())
    }

    fn carry_out(
        &mut self,
        effects: &mut Effects,
        inputs: &mut VecDeque<Input>,
        replies: &mut Replies,
    ) -> Result<(), End> {
        for effect in effects.drain(..) {
            match effect {
                // `persist` took them out.
                Effect::Persist { .. } => {}
                Effect::Send { to, message, .. } => self.send_peers(to, &message),
                Effect::Execute {
                    number,
                    proposal,
                    lives,
                } => {
                    self.kernel.execute(number, &proposal, replies);
                    if let Some(why) = self.kernel.broken() {
                        error!(
                            why,
                            "this replica stops: it could answer otherwise than the others"
                        );
                        return Err(End::Halted(why.to_owned()));
                    }
                    let state = match lives {
                        Some(lives) => Some(self.seal_checkpoint(number, &lives)?),
                        None => None,
                    };
                    let due = self.kernel.due();
                    inputs.push_back(Input::Executed { number, state, due });
                }
                Effect::CheckCommits(votes) => {
                    self.counts.verifications += votes.len() as u64;
                    self.counts.commits_checked += votes.len() as u64;
                    inputs.push_back(check_commits(
                        self.replica.keyring(),
                        &mut self.checker,
                        votes,
                    ));
                }
                Effect::Truncate(below) => self.storage.truncate(below).map_err(End::Storage)?,
                Effect::Stable { number, serving } => {
                    let needed = |kept: &SeqNo| *kept >= number || serving.contains(kept);
                    self.snapshots.retain(|kept, _| needed(kept));
                }
                Effect::SendState { to, number, offset } => self.send_state(to, number, offset),
                Effect::Install { number, state } => {
                    let service = split_state(&state).map(|(_, service)| service.content());
                    if let Err(error) = service.and_then(|bytes| self.kernel.restore(&bytes)) {
                        // A strong quorum vouched for it: this program cannot read what they can.
                        error!(%error, "this replica stops: it cannot take over the certified state");
                        return Err(End::Halted(error.to_string()));
                    }
                    info!(%number, "a state from peers is in place");
                    self.save_state(number, state)?;
                    let due = self.kernel.due();
                    inputs.push_back(Input::Installed { number, due });
                }
                Effect::ViewChanged { view, primary } => info!(%view, %primary, "a view begins"),
                Effect::Suspect(view) => warn!(%view, "the primary does not order what it should"),
                Effect::Blame(misbehaviour) => self.blame(&misbehaviour),
                Effect::Halt(violation) => {
                    error!(%violation, "this replica stops: its state cannot be trusted");
                    return Err(End::Halted(violation.to_string()));
                }
            }
        }
        Ok(())
    }

    /// Takes the state at a checkpoint and makes it durable before the replica votes on its
    /// digest: a strong quorum of such votes is what others throw their log away for, so that
    /// the state must not vanish with a crash of those who voted.
    fn seal_checkpoint(&mut self, number: SeqNo, lives: &Lives) -> Result<Digest, End> {
        let state = join_state(lives, self.kernel.snapshot());
        let digest = state.digest();
        self.save_state(number, state)?;
        Ok(digest)
    }

    fn save_state(&mut self, number: SeqNo, state: State) -> Result<(), End> {
        let saved = self.storage.save_snapshot(number, &state);
        saved.map_err(End::Storage)?;
        self.snapshots.insert(number, state);
        Ok(())
    }

    /// Sends a peer that fell behind a part of a state, if it is still here.
    fn send_state(&mut self, to: ReplicaId, number: SeqNo, offset: u64) {
        let Some(state) = self.snapshots.get(&number) else {
            return;
        };
        let part = PeerMessage::State(StatePart {
            number,
            total: state.encoded_len(),
            offset,
            bytes: state.read(offset, STATE_PART_BYTES),
        });
        self.send_peers(To::Replica(to), &part);
    }

    fn blame(&mut self, misbehaviour: &Misbehaviour) {
        self.counts.blames += 1;
        warn!(%misbehaviour, "misbehaviour");
        self.keep_proof(misbehaviour);
    }

    /// Keeps what convicts somebody to others.
    fn keep_proof(&mut self, misbehaviour: &Misbehaviour) {
        let Some(evidence) = &misbehaviour.proof else {
            return;
        };
        let keyring = self.replica.keyring();
        match self.archive.keep(evidence, keyring) {
            Ok(Kept::New(name)) => {
                let accusation = evidence.accusation();
                info!(name, %accusation, "evidence is kept");
            }
            Ok(Kept::Known(_) | Kept::Enough) => {}
            Err(error) => error!(%error, %misbehaviour, "what was taken for proof is none"),
        }
    }

    fn send_peers(&mut self, to: To, message: &PeerMessage) {
        if self.fault == Some(Fault::Silent) {
            return;
        }
        let frame = Bytes::from(codec::encode(message));
        match to {
            To::Replica(replica) => self.send_peer(replica, message, frame),
            To::Others => {
                let me = self.replica.me();
                let members = self.replica.keyring().quorum().members();
                for replica in members.filter(|replica| *replica != me) {
                    self.send_peer(replica, message, frame.clone());
                }
            }
        }
    }

    /// Sends `message`, which is `frame`, to one replica, as the fault on demand has it.
    fn send_peer(&mut self, to: ReplicaId, message: &PeerMessage, mut frame: Bytes) {
        let Some(fault) = self.fault else {
            return self.transmit(to, frame);
        };
        if let Fault::Drop(percent) = fault
            && self.dice.falls(percent)
        {
            self.counts.frames_dropped += 1;
            return;
        }
        if fault == Fault::Equivocate {
            let (cluster, me) = (self.replica.keyring().cluster(), self.replica.me());
            if let Some(other) = equivocation(message, to, cluster, &self.key, me) {
                frame = Bytes::from(codec::encode(&other));
            }
        }
        if let Some(us) = delay_us(fault, message, self.tuning.suspect_after_us) {
            let held = self.held.hold(us, to, frame);
            self.counts.frames_dropped += u64::from(!held);
            return;
        }
        self.transmit(to, frame);
    }

    fn transmit(&mut self, to: ReplicaId, frame: Bytes) {
        let bytes = frame.len();
        match self.fabric.send_replica(to, frame) {
            Ok(()) => self.counts.to_replicas.sent(bytes),
            Err(error) => self.lost(&error),
        }
    }

    /// Sends the frames that were held back until now.
    fn send_held(&mut self) {
        let Some(now) = self.held.due().map(|_| Instant::now()) else {
            return;
        };
        while let Some((to, frame)) = self.held.take(now) {
            self.transmit(to, frame);
        }
    }

    /// What this replica says of an answer: the truth, unless told to lie.
    fn as_told(&self, reply: &Reply) -> Reply {
        if self.fault == Some(Fault::LieReplies) {
            lie(reply)
        } else {
            reply.clone()
        }
    }

    /// Sends a reply over every link that carries its client's.
    fn reply(&mut self, client: &ClientId, reply: &Reply) {
        let links: Vec<LinkId> = self.routes.of(client).collect();
        for link in links {
            self.send_reply(link, reply);
        }
    }

    fn send_reply(&mut self, link: LinkId, reply: &Reply) {
        let (view, reply) = (self.replica.view(), self.as_told(reply));
        self.send(link, &ReplicaMessage::Reply { view, reply });
    }

    fn send(&mut self, link: LinkId, message: &ReplicaMessage) {
        if self.fault == Some(Fault::Silent) {
            return;
        }
        let frame = Bytes::from(codec::encode(message));
        let bytes = frame.len();
        match self.fabric.send(link, frame) {
            Ok(()) => self.counts.to_clients.sent(bytes),
            Err(error) => self.lost(&error),
        }
    }

    /// What is not sent is asked for again: replies by their clients, votes by status reports.
    fn lost(&mut self, error: &SendError) {
        self.counts.frames_dropped += 1;
        debug!(%error, "a frame was not sent");
    }

    fn status(&self) -> NodeStatus {
        let counters = self.replica.counters();
        let figures = self.kernel.figures();
        let stats = self.fabric.stats();
        let quorum = self.replica.keyring().quorum();
        let (to_replicas, to_clients) = (self.counts.to_replicas, self.counts.to_clients);
        NodeStatus {
            replica: self.replica.me().0,
            view: self.replica.view().0,
            primary: self.replica.primary().0,
            executed: self.replica.executed().0,
            stable: self.replica.stable().0,
            pooled: self.replica.pooled(),
            replica_links: stats.replica_links,
            client_links: stats.client_links,
            extension_calls: self.kernel.tallied().into_iter().map(Into::into).collect(),
            sessions: figures.sessions,
            spaces: figures.spaces,
            tuples: figures.tuples,
            leases: figures.leases,
            waiters: figures.waiters,
            extensions: figures.extensions,
            engine: self.kernel.engine(),
            requests: counters.requests,
            proposals: counters.proposals,
            signatures: counters.signatures,
            verifications: self.counts.verifications,
            commits_checked: self.counts.commits_checked,
            batches: self.counts.batches,
            certificates: counters.certificates,
            suspicions: counters.suspicions,
            views_entered: counters.views_entered,
            blames: self.counts.blames,
            evidence: self.archive.len(),
            records: self.counts.records,
            syncs: self.counts.syncs,
            sync_us: u64::try_from(self.counts.sync_time.as_micros()).unwrap_or(u64::MAX),
            frames_sent: to_replicas.frames + to_clients.frames,
            bytes_sent: to_replicas.bytes + to_clients.bytes,
            frames_to_replicas: to_replicas.frames,
            bytes_to_replicas: to_replicas.bytes,
            frames_from_clients: self.counts.frames_from_clients,
            frames_dropped: self.counts.frames_dropped,
            fault: self.fault,
            incarnation: self.replica.incarnation().0,
            votes: self.replica.votes(),
            ready: stats.replica_links + 1 >= quorum.strong(),
        }
    }
}
