//! One replica's event loop: sockets, storage, clock and operators on one side, the
//! driver on the other.
//!
//! A replica is one thread with one event loop
//! (docs/decisions/001-one-event-loop.md). Each turn hands the driver all that
//! arrived and performs what it asks for. What is done when, and what waits for
//! what, the driver decides (`bezant_replica`): nothing here may change the order.

use std::{mem, time::Instant};

use bezant_api::ExtensionHash;
use bezant_bft::{
    codec,
    effects::To,
    ids::{ReplicaId, Source},
    message::{PeerMessage, ReplicaMessage},
};
use bezant_kernel::LogLine;
use bezant_quic::{self as quic, Endpoint, Inbox, Peer, SendError};
use bezant_replica::{Action, Command, Driver, Event, HaltReason, LinkId};
use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::{debug, error, info};

use crate::{
    clock::Clocks,
    evidence::{Archive, Kept},
    first_start::FirstStart,
    log,
    status::{NodeStatus, Traffic},
    storage::{Completion, StorageError, StorageThreads},
    strategy::{Conduct, Frames, Listening, Means, Strategy},
};

/// Most events one turn takes: more would delay what the first of them caused.
const MAX_EVENTS_PER_TURN: usize = 1024;

/// What others ask of the loop.
pub(crate) enum Control {
    /// Behave like this from now on, under this name, or well again.
    Conduct(Option<(String, Conduct)>),
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
    /// It was told to crash.
    Crashed,
    /// The replica does not trust itself any more.
    Halted(String),
    /// Records or states cannot be made durable.
    Storage(StorageError),
}

/// Where records and states go.
#[derive(Debug)]
pub(crate) enum Storage {
    /// Nowhere: they are gone with the process.
    Nowhere,
    /// To disk.
    Disk(StorageThreads),
}

/// A replica with everything it needs of a machine.
pub(crate) struct Node {
    pub(crate) driver: Driver,
    pub(crate) means: Means,
    pub(crate) clocks: Clocks,
    pub(crate) endpoint: Endpoint,
    /// What storage completed. It goes before the storage, which ends when nobody listens.
    pub(crate) completions: mpsc::Receiver<Completion>,
    pub(crate) storage: Storage,
    /// The leave to vote without a memory, until it is used up.
    pub(crate) first_start: Option<FirstStart>,
    pub(crate) archive: Archive,
    pub(crate) traffic: Traffic,
    /// How it deals with what it sends if it is told to be faulty, and the name of that.
    pub(crate) strategy: Option<(String, Box<dyn Strategy>)>,
    /// The failure that the driver was told of.
    pub(crate) failure: Option<StorageError>,
    /// What performing actions brought about, for the next turn.
    pub(crate) followed: Vec<Event>,
    /// Empty between turns, kept for its capacity.
    pub(crate) actions: Vec<Action>,
    pub(crate) end: Option<End>,
}

impl Node {
    /// Runs until told to stop.
    pub(crate) async fn run(
        mut self,
        mut inbox: Inbox,
        mut control: mpsc::Receiver<Control>,
    ) -> End {
        let mut arrived = Vec::new();
        let mut completed = Vec::new();
        let mut events = Vec::new();
        loop {
            let timeout = self.driver.next_timeout().map(|at| self.clocks.at(at));
            let held = self.strategy.as_ref().and_then(|(_, held)| held.due());
            let timeout = timeout.into_iter().chain(held).min();
            let sleep = async {
                match timeout {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                command = control.recv() => events.extend(self.obey(command)),
                Some(first) = self.completions.recv() => {
                    completed.push(first);
                    while let Ok(more) = self.completions.try_recv() {
                        completed.push(more);
                    }
                }
                _taken = inbox.recv_many(&mut arrived, MAX_EVENTS_PER_TURN) => {}
                () = sleep => {}
            }
            events.extend(
                completed
                    .drain(..)
                    .map(|completion| self.completed(completion)),
            );
            events.extend(arrived.drain(..).filter_map(event_of));
            self.turn(&mut events);
            if let Some(end) = self.end.take() {
                return end;
            }
        }
    }

    /// Does what others ask; an event, if the driver has to know.
    fn obey(&mut self, command: Option<Control>) -> Option<Event> {
        match command {
            Some(Control::Conduct(conduct)) => self.conduct(conduct),
            Some(Control::Status(tell)) => tell(self.status()),
            Some(Control::Evidence(show)) => show(&self.archive),
            Some(Control::Lines(hash, tell)) => tell(self.driver.kernel().lines_of(&hash)),
            Some(Control::Stop) | None => return Some(Event::Command(Command::Stop)),
        }
        None
    }

    fn conduct(&mut self, conduct: Option<(String, Conduct)>) {
        let name = conduct.as_ref().map(|(name, _)| name.as_str());
        info!(
            strategy = name.unwrap_or("none"),
            "changed strategy on demand"
        );
        if let Some((_, strategy)) = &mut self.strategy {
            // What it holds back is late enough.
            let mut frames = Frames::new();
            strategy.release_all(&mut frames);
            self.transmit_all(frames);
        }
        match conduct {
            Some((name, Conduct::Strategy(strategy))) => self.strategy = Some((name, strategy)),
            Some((_, Conduct::Crash)) => self.end = Some(End::Crashed),
            None => self.strategy = None,
        }
    }

    fn completed(&mut self, completion: Completion) -> Event {
        match completion {
            Completion::Done(event) => {
                if let (Event::SnapshotSaved(seq_no), Storage::Disk(threads)) =
                    (&event, &self.storage)
                {
                    threads.snapshot_saved(*seq_no);
                }
                event
            }
            Completion::Synced { up_to, took } => {
                self.traffic.syncs += 1;
                self.traffic.sync_time += took;
                Event::Durable(up_to)
            }
            Completion::Failed(error) => {
                let event = Event::StorageFailed(error.to_string());
                self.failure.get_or_insert(error);
                event
            }
        }
    }

    /// One turn of the driver, and those that its actions make necessary at once.
    fn turn(&mut self, events: &mut Vec<Event>) {
        let mut actions = mem::take(&mut self.actions);
        loop {
            let clock = self.clocks.now();
            let mut listening = Listening(self.strategy.as_mut().map(|(_, strategy)| strategy));
            self.driver
                .turn(clock, events.drain(..), &mut listening, &mut actions);
            for action in actions.drain(..) {
                self.perform(action);
            }
            if self.followed.is_empty() || self.end.is_some() {
                break;
            }
            mem::swap(events, &mut self.followed);
        }
        self.actions = actions;
        self.release();
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Append { record, .. } => {
                if let Storage::Disk(threads) = &mut self.storage {
                    threads.append(record);
                }
            }
            Action::Sync(id) => {
                if let Storage::Disk(threads) = &mut self.storage {
                    threads.sync(id);
                }
            }
            Action::SaveSnapshot { seq_no, state } => {
                if let Storage::Disk(threads) = &self.storage {
                    threads.save_snapshot(seq_no, state);
                }
            }
            Action::Truncate(below) => {
                if let Storage::Disk(threads) = &self.storage {
                    threads.truncate(below);
                }
            }
            Action::UseFirstStart => self.use_first_start(),
            Action::SendPeers { to, message } => self.send_peers(to, &message),
            Action::SendClient { link, message } => self.send_client(link, message),
            Action::Log(event) => log::write(&event),
            Action::KeepEvidence(evidence) => {
                let keyring = self.driver.replica().keyring();
                match self.archive.keep(&evidence, keyring) {
                    Ok(Kept::New(name)) => {
                        let accusation = evidence.accusation();
                        info!(name, %accusation, "kept evidence");
                    }
                    Ok(Kept::Known(_) | Kept::Enough) => {}
                    Err(error) => error!(%error, "dropped evidence that proves nothing"),
                }
            }
            Action::Halt(reason) => self.halt(reason),
        }
    }

    fn use_first_start(&mut self) {
        let Some(leave) = self.first_start.take() else {
            return self.followed.push(Event::FirstStartUsed);
        };
        match &self.storage {
            Storage::Disk(threads) => threads.use_up(leave),
            // Nothing here waits for a disk but this, once in the run of a replica.
            Storage::Nowhere => {
                let completion = match leave.use_up() {
                    Ok(()) => Completion::Done(Event::FirstStartUsed),
                    Err(error) => Completion::Failed(error.into()),
                };
                let event = self.completed(completion);
                self.followed.push(event);
            }
        }
    }

    fn halt(&mut self, reason: HaltReason) {
        self.end = Some(match (reason, self.failure.take()) {
            (HaltReason::Stopped, _) => End::Stopped,
            (HaltReason::Storage(_), Some(failure)) => End::Storage(failure),
            (reason, _) => {
                error!(%reason, "halting; this replica cannot trust its state");
                End::Halted(reason.to_string())
            }
        });
    }

    fn send_peers(&mut self, to: To, message: &PeerMessage) {
        let me = self.means.replica;
        let members = self.driver.replica().keyring().quorum().members();
        let others = members.filter(|replica| *replica != me);
        // Encoded once, whoever gets it, and not at all if nobody does.
        let mut frame = None;
        for replica in others.filter(|replica| to == To::Others || to == To::Replica(*replica)) {
            self.send_peer(replica, message, &mut frame);
        }
    }

    fn send_peer(&mut self, to: ReplicaId, message: &PeerMessage, frame: &mut Option<Bytes>) {
        let Some((_, strategy)) = &mut self.strategy else {
            let link = self.endpoint.link_of(to).ok_or(SendError::Down);
            let room = link.and_then(|link| self.endpoint.room(link, message.cost_bytes()));
            return match room {
                Ok(()) => {
                    let frame = frame.get_or_insert_with(|| Bytes::from(codec::encode(message)));
                    let frame = frame.clone();
                    self.transmit(to, frame);
                }
                Err(error) => self.lost(&error),
            };
        };
        let mut frames = Frames::new();
        if !strategy.send_peer(to, message, &mut frames) {
            self.traffic.frames_dropped += 1;
        }
        self.transmit_all(frames);
    }

    fn transmit_all(&mut self, frames: Frames) {
        for (to, frame) in frames {
            self.transmit(to, frame);
        }
    }

    fn transmit(&mut self, to: ReplicaId, frame: Bytes) {
        let bytes = frame.len();
        match self.endpoint.send_replica(to, frame) {
            Ok(()) => self.traffic.to_replicas.sent(bytes),
            Err(error) => self.lost(&error),
        }
    }

    /// Sends the frames that a strategy held back until now.
    fn release(&mut self) {
        let Some((_, strategy)) = &mut self.strategy else {
            return;
        };
        if strategy.due().is_some() {
            let mut frames = Frames::new();
            strategy.release(Instant::now(), &mut frames);
            self.transmit_all(frames);
        }
    }

    fn send_client(&mut self, link: LinkId, message: ReplicaMessage) {
        let message = match &mut self.strategy {
            Some((_, strategy)) => strategy.send_client(message),
            None => Some(message),
        };
        let Some(message) = message else {
            return;
        };
        let link = quic::LinkId::from_number(link.0);
        if let Err(error) = self.endpoint.room(link, message.cost_bytes()) {
            return self.lost(&error);
        }
        let frame = Bytes::from(codec::encode(&message));
        let bytes = frame.len();
        match self.endpoint.send(link, frame) {
            Ok(()) => self.traffic.to_clients.sent(bytes),
            Err(error) => self.lost(&error),
        }
    }

    /// What is not sent is asked for again: replies by their clients, votes by status reports.
    fn lost(&mut self, error: &SendError) {
        self.traffic.frames_dropped += 1;
        debug!(%error, "did not send frame");
    }

    fn status(&self) -> NodeStatus {
        let strategy = self.strategy.as_ref();
        NodeStatus {
            fault: strategy.map(|(name, _)| name.clone()),
            fault_hits: strategy.map_or(0, |(_, strategy)| strategy.hits()),
            ..NodeStatus::of(
                &self.driver,
                &self.endpoint.stats(),
                self.traffic,
                self.archive.len(),
            )
        }
    }
}

/// What of a link's event concerns the driver.
fn event_of(event: quic::Event) -> Option<Event> {
    let known = |link: quic::LinkId| LinkId(link.number());
    match event {
        quic::Event::Up { link, peer } => {
            debug!(%link, %peer, "link up");
            Some(Event::LinkUp {
                link: known(link),
                peer: source_of(peer),
            })
        }
        quic::Event::Down { link, peer, reason } => {
            debug!(%link, %peer, %reason, "link down");
            Some(Event::LinkDown { link: known(link) })
        }
        quic::Event::Frame { link, peer, frame } => Some(Event::Frame {
            link: known(link),
            from: source_of(peer),
            frame,
        }),
        quic::Event::Refused { remote, reason } => {
            debug!(%remote, %reason, "refused link");
            None
        }
        quic::Event::DialFailed {
            replica, reason, ..
        } => {
            debug!(%replica, %reason, "could not reach replica");
            None
        }
    }
}

const fn source_of(peer: Peer) -> Source {
    match peer {
        Peer::Replica(replica) => Source::Replica(replica),
        Peer::Client(client) => Source::Client(client),
    }
}
