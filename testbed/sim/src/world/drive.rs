//! One machine's turn: what arrived goes into the replica's driver, and what it wants done
//! is performed in virtual time.
//!
//! The driver is the one of the product (`bezant_replica`). What is here is a machine's
//! part: links, disk, clock, and whatever a faulty replica does to what it sends.

use std::collections::BTreeSet;

use bezant_bft::{
    codec,
    crypto::SigningKey,
    effects::{Durability, PersistId, Record, To},
    evidence::Accusation,
    ids::{ClientId, ClusterId, ReplicaId, SeqNo, Source},
    message::{ClientMessage, PeerMessage, ReplicaMessage, Reply, Request},
    misbehaviour::Misbehaviour,
    quorum::Quorum,
    service::{Admission, Service as _},
    state::State,
    verification::Unverified,
};
use bezant_replica::{Action, Executed, HaltReason, Hook, LinkId, LogEvent};
use bytes::Bytes;

use super::{Event, World};
use crate::{
    adversaries::{Instead, Means, Strategy},
    faults::Fault,
    invariants::{self, Common, Fact, Invariant, Wait},
    machine::Machine,
    machine::{Arrival, client_of},
    options::Options,
    rng::Rng,
};

/// What a machine that stands still keeps for later; a link takes no more.
const MAX_INBOX: usize = 4096;

/// What the world sees of a turn from within.
struct Observer<'a> {
    by: ReplicaId,
    is_correct: bool,
    strategy: Option<&'a mut Box<dyn Strategy>>,
    means: Means<'a>,
    rules: &'a mut [Box<dyn Invariant>],
    common: &'a mut Common,
    broken: Option<(&'static str, String)>,
    blames: u64,
    accused: Vec<Accusation>,
}

impl Observer<'_> {
    fn fact(&mut self, fact: &Fact<'_>) {
        if self.is_correct
            && self.broken.is_none()
            && let Err(broken) = invariants::tell(self.rules, fact, self.common)
        {
            self.broken = Some(broken);
        }
    }
}

impl Hook for Observer<'_> {
    fn hear(&mut self, message: &Unverified) -> bool {
        match &mut self.strategy {
            Some(strategy) => strategy.hear(&mut self.means, message),
            None => true,
        }
    }

    fn foretell(&mut self, request: &Request) -> Option<Reply> {
        let strategy = self.strategy.as_mut()?;
        strategy.foretell(&mut self.means, request)
    }

    fn recorded(&mut self, id: PersistId, record: &Record) {
        let by = self.by;
        if self.is_correct {
            self.common.occasions.recorded(record);
        }
        self.fact(&Fact::Recorded { by, id, record });
    }

    fn installed(&mut self, seq_no: SeqNo, state: &State) {
        let (by, number, state) = (self.by, seq_no, state.digest());
        self.fact(&Fact::Installed {
            by,
            seq_no: number,
            state,
        });
    }

    fn executed(&mut self, executed: &Executed<'_>) {
        if !self.is_correct {
            return;
        }
        let by = self.by;
        if executed.seq_no == self.common.oracle.progress().next() {
            self.common.occasions.decided(executed.proposal);
        }
        self.common.oracle.learn(executed.seq_no, executed.proposal);
        self.fact(&Fact::Executed {
            by,
            seq_no: executed.seq_no,
            proposal: executed.proposal,
            replies: executed.replies,
            service: executed.service,
            recorded: executed.recorded,
        });
    }

    fn blamed(&mut self, misbehaviour: &Misbehaviour) {
        self.blames += 1;
        if let Some(evidence) = &misbehaviour.proof {
            self.accused.push(evidence.accusation());
        }
        let by = self.by;
        self.fact(&Fact::Blamed { by, misbehaviour });
    }
}

impl World {
    /// Something arrives at a machine.
    pub(super) fn arrive(&mut self, to: usize, arrival: Arrival) {
        let machine = &mut self.machines[to];
        if !machine.up || machine.inbox.len() >= MAX_INBOX {
            return;
        }
        machine.inbox.push(arrival);
        self.wake(to);
    }

    pub(super) fn wake(&mut self, machine: usize) {
        let at = self.now;
        let sleeper = &mut self.machines[machine];
        if !sleeper.awake && sleeper.runs() {
            sleeper.awake = true;
            let restarts = sleeper.restarts;
            self.queue.push(at, Event::Turn { machine, restarts });
        }
    }

    /// Takes all that arrived, in one turn, and performs what the driver wants.
    pub(super) fn turn(&mut self, m: usize) {
        if !self.machines[m].runs() {
            return;
        }
        let mut inbox = std::mem::take(&mut self.scratch.inbox);
        std::mem::swap(&mut inbox, &mut self.machines[m].inbox);
        let mut actions = std::mem::take(&mut self.scratch.actions);
        let owed = self.owed_busy(m, &inbox);
        let verified = self.machines[m].driver.counts().verifications;
        let Self {
            machines,
            rules,
            common,
            rng,
            options,
            cluster,
            quorum,
            now,
            ..
        } = self;
        let machine = &mut machines[m];
        let is_correct = machine.is_correct();
        let clock = machine.clock(*now);
        common.now_us = *now;
        let mut observer = Observer {
            by: machine.id,
            is_correct,
            strategy: machine.strategy.as_mut().map(|(_, strategy)| strategy),
            means: means(machine.id, &machine.key, cluster, *quorum, options, rng),
            rules,
            common,
            broken: None,
            blames: 0,
            accused: Vec::new(),
        };
        let events = inbox.drain(..);
        machine
            .driver
            .turn(clock, events, &mut observer, &mut actions);
        let Observer {
            broken,
            blames,
            accused,
            ..
        } = observer;
        self.scratch.inbox = inbox;
        self.figures.verifications += self.machines[m].driver.counts().verifications - verified;
        self.figures.blames += blames;
        if let Some((rule, what)) = broken {
            self.violate(rule, what);
        }
        if is_correct {
            self.expect_evidence(m, accused, &actions);
            self.expect_busy(m, &owed, &actions);
        }
        for action in actions.drain(..) {
            if self.violation.is_some() {
                break;
            }
            self.perform(m, action);
        }
        actions.clear();
        self.scratch.actions = actions;
        self.stepped(m);
    }

    fn stepped(&mut self, m: usize) {
        let machine = &self.machines[m];
        if !machine.up || self.violation.is_some() {
            return;
        }
        if machine.is_correct() {
            let replica = machine.replica();
            let fact = Fact::Stepped {
                by: machine.id,
                of_peer: replica.most_memory_of_a_peer(),
                undelivered: replica.undelivered_bytes(),
                view: machine.replica().view(),
                pooled: machine.replica().pooled(),
                held: machine.driver.waiting(),
                snapshots: machine.driver.snapshots(),
                records: machine.disk.len(),
                wait: self.wait_of(machine),
            };
            self.fact(&fact);
        }
        self.arm(m);
    }

    /// Plans the machine's next timer, unless an earlier one is planned.
    pub(super) fn arm(&mut self, m: usize) {
        let machine = &mut self.machines[m];
        let Some(due) = machine.due() else {
            return;
        };
        let due = due.max(self.now);
        if machine.timer.is_none_or(|planned| planned > due) {
            machine.timer = Some(due);
            let restarts = machine.restarts;
            let timer = Event::Timer {
                machine: m,
                restarts,
            };
            self.queue.push(due, timer);
        }
    }

    pub(super) fn timer(&mut self, m: usize, restarts: u32) {
        let machine = &mut self.machines[m];
        if machine.restarts != restarts || machine.timer != Some(self.now) {
            return;
        }
        machine.timer = None;
        if !machine.runs() {
            return;
        }
        if !self.is_due(m) {
            return self.arm(m);
        }
        // The first turn may have been about what arrived; the second is about time alone.
        for _ in 0..2 {
            if self.is_due(m) {
                self.turn(m);
            }
        }
        if self.is_due(m) {
            let id = self.machines[m].id;
            let what = format!("a timer of replica {id} that fired is due again");
            self.violate("timers-end", what);
        }
    }

    fn wait_of(&self, machine: &Machine) -> Option<Wait> {
        let good_for_us = self.healed.then(|| self.now - self.options.heal_at_us)?;
        let replica = machine.replica();
        Some(Wait {
            us: replica.longest_wait_us()?.min(good_for_us),
            timeout_us: replica.view_change_timeout_us(),
        })
    }

    fn is_due(&self, m: usize) -> bool {
        let machine = &self.machines[m];
        machine.runs() && machine.due().is_some_and(|due| due <= self.now)
    }

    /// Requests in this turn for which there is no room: each is owed the word "busy".
    fn owed_busy(&self, m: usize, inbox: &[Arrival]) -> Vec<(LinkId, ReplicaMessage)> {
        let machine = &self.machines[m];
        if !machine.is_correct() {
            return Vec::new();
        }
        let owed = inbox.iter().filter_map(|arrival| {
            let Arrival::Frame {
                link,
                from: Source::Client(_),
                frame,
            } = arrival
            else {
                return None;
            };
            let Ok(ClientMessage::Request(signed)) = codec::decode(frame) else {
                return None;
            };
            let share = machine.replica().room_for(&signed.request).err()?;
            let (session, number) = (signed.request.session, signed.request.number);
            let is_new = matches!(
                machine.driver.kernel().admit(&signed.request),
                Admission::New
            );
            let busy = ReplicaMessage::Busy {
                session,
                number,
                share,
            };
            is_new.then_some((*link, busy))
        });
        owed.collect()
    }

    fn expect_busy(&mut self, m: usize, owed: &[(LinkId, ReplicaMessage)], actions: &[Action]) {
        // Of which share is for the replica to say: of a client that sent many bad signatures
        // nothing is checked.
        let about = |message: &ReplicaMessage| match message {
            ReplicaMessage::Busy {
                session, number, ..
            } => Some((*session, *number)),
            _ => None,
        };
        let said = |(to, what): &&(LinkId, ReplicaMessage)| {
            actions.iter().any(|action| {
                matches!(action, Action::SendClient { link, message }
                    if link == to && about(message) == about(what))
            })
        };
        if let Some((link, _)) = owed.iter().find(|owed| !said(owed)) {
            let id = self.machines[m].id;
            let what = format!("replica {id} drops a request of {link} and does not say so");
            self.violate("busy-is-said", what);
        }
        self.figures.busy += owed.len() as u64;
    }

    /// What proves misbehaviour is kept, and survives.
    fn expect_evidence(&mut self, m: usize, accused: Vec<Accusation>, actions: &[Action]) {
        let kept: BTreeSet<_> = actions
            .iter()
            .filter_map(|action| match action {
                Action::KeepEvidence(evidence) => Some(evidence.accusation()),
                _ => None,
            })
            .collect();
        self.figures.proofs += accused.len() as u64;
        for accusation in accused {
            if !kept.contains(&accusation) {
                let id = self.machines[m].id;
                let what = format!("replica {id} can prove and does not keep: {accusation}");
                self.violate("evidence-is-kept", what);
            }
            self.convicted.insert(accusation.accused);
        }
    }

    fn perform(&mut self, m: usize, action: Action) {
        match action {
            Action::Append { id, record } => self.machines[m].disk.append(id, record),
            Action::Sync(id) => self.sync(m, id),
            Action::SaveSnapshot { seq_no, state } => self.save(m, seq_no, state),
            Action::Truncate(below) => self.truncate(m, below),
            Action::UseFirstStart => self.use_first_start(m),
            Action::SendPeers { to, message } => self.send_peers(m, to, &message),
            Action::SendClient { link, message } => self.tell(m, link, message),
            Action::Log(event) => self.log(m, event),
            Action::KeepEvidence(_) => {}
            Action::Halt(reason) => self.halted(m, &reason),
        }
    }

    fn log(&mut self, m: usize, event: LogEvent) {
        let machine = &self.machines[m];
        match event {
            LogEvent::ViewEntered { .. } => {
                self.figures.views += u64::from(machine.is_correct());
            }
            LogEvent::PrimarySuspected { .. } => self.figures.suspicions += 1,
            LogEvent::StateInstalled { .. } => self.figures.installs += 1,
            LogEvent::Misbehaviour(_) | LogEvent::AttachRefused { .. } | LogEvent::Extension(_) => {
            }
        }
    }

    fn halted(&mut self, m: usize, reason: &HaltReason) {
        let machine = &self.machines[m];
        let expected = matches!(reason, HaltReason::Storage(_)) && machine.disk.is_broken();
        if machine.is_correct() && !expected {
            let what = format!("replica {} stops: {reason}", machine.id);
            self.violate("halted", what);
        }
        self.fall(m);
    }

    /// Whether a correct machine says something after its storage failed.
    fn expect_sound_storage(&mut self, m: usize) {
        let machine = &self.machines[m];
        if machine.is_correct() && machine.storage_failed {
            let what = format!("replica {} speaks although its storage failed", machine.id);
            self.violate("silent-after-failure", what);
        }
    }

    fn send_peers(&mut self, m: usize, to: To, message: &PeerMessage) {
        let me = self.machines[m].id;
        let one = match to {
            To::Replica(to) => Some(to),
            To::Others => None,
        };
        let members = self.quorum.members();
        let others = members.filter(|other| one.is_none() && *other != me);
        let receivers = one.into_iter().chain(others);
        if self.machines[m].is_correct() {
            self.expect_sound_storage(m);
            self.expect_saved(m, message);
            let durable = self.machines[m].disk.durable;
            self.fact(&Fact::Sent {
                by: me,
                to,
                at_us: self.now,
                message,
                durable,
            });
            let bytes = Bytes::from(codec::encode(message));
            for to in receivers {
                self.transmit(m, to, bytes.clone());
            }
            return;
        }
        for to in receivers {
            let mut instead = Instead::default();
            let machine = &mut self.machines[m];
            if let Some((_, strategy)) = &mut machine.strategy {
                let mut means = means(
                    me,
                    &machine.key,
                    &self.cluster,
                    self.quorum,
                    &self.options,
                    &mut self.rng,
                );
                strategy.send(&mut means, to, message, &mut instead);
            }
            for (delay_us, bytes) in instead.frames {
                if delay_us == 0 {
                    self.transmit(m, to, bytes);
                } else {
                    let (from, at) = (m, self.now + delay_us);
                    self.queue.push(at, Event::Delayed { from, to, bytes });
                }
            }
        }
    }

    /// What a correct replica stands up for would survive a crash.
    fn expect_saved(&mut self, m: usize, message: &PeerMessage) {
        let machine = &self.machines[m];
        let me = machine.id;
        if machine.disk.has_first_start() && is_vote_of(message, me) {
            let what =
                format!("replica {me} votes while its leave to vote without a memory still stands");
            return self.violate("first-start", what);
        }
        if let PeerMessage::Checkpoint(vote) = message
            && vote.body.replica == me
            && vote.body.seq_no > machine.replica().stable()
            && machine.disk.durability() == Durability::Reported
            && !machine.disk.has(vote.body.seq_no)
        {
            let seq_no = vote.body.seq_no;
            let what = format!(
                "replica {me} votes on a state after number {seq_no} that a crash would take"
            );
            self.violate("durable-state", what);
        }
    }

    /// Gives a frame to the network.
    pub(super) fn transmit(&mut self, from: usize, to: ReplicaId, bytes: Bytes) {
        if self.wire.stops(from, to, &bytes) {
            return;
        }
        for receiver in self.receivers(from, to) {
            self.transmit_to(from, receiver, to, bytes.clone());
        }
    }

    fn transmit_to(&mut self, from: usize, receiver: usize, to: ReplicaId, bytes: Bytes) {
        let sender = self.machines[from].id;
        let arrivals =
            self.links
                .between_machines(self.now, from, receiver, &mut self.rng, &mut self.hits);
        self.figures.messages += 1;
        if let Some(trace) = &mut self.trace {
            trace.frame(self.now, sender, to, &bytes, arrivals);
        }
        for at in arrivals.into_iter().flatten() {
            let bytes = bytes.clone();
            self.queue.push(
                at,
                Event::Frame {
                    to: receiver,
                    from: sender,
                    bytes,
                },
            );
        }
    }

    /// Says something over a client's link.
    fn tell(&mut self, m: usize, link: LinkId, message: ReplicaMessage) {
        let machine = &mut self.machines[m];
        let from = machine.id;
        if machine.is_correct() {
            self.expect_sound_storage(m);
            self.expect_own_client(m, link, &message);
            let reply = match &message {
                ReplicaMessage::Reply { reply, .. } => Some(reply),
                ReplicaMessage::SignedReply(signed) => Some(&signed.body.reply),
                _ => None,
            };
            if let Some(reply) = reply {
                let durable = self.machines[m].disk.durable;
                self.fact(&Fact::Answered {
                    by: from,
                    reply,
                    durable,
                });
            }
            return self.tell_after(0, m, link, &message);
        }
        let mut messages = Vec::new();
        if let Some((_, strategy)) = &mut machine.strategy {
            let mut means = means(
                from,
                &machine.key,
                &self.cluster,
                self.quorum,
                &self.options,
                &mut self.rng,
            );
            strategy.tell(&mut means, message, &mut messages);
        }
        for (delay_us, message) in messages {
            self.tell_after(delay_us, m, link, &message);
        }
    }

    /// Results are their client's own: they go over no link but those that it is attached to.
    fn expect_own_client(&mut self, m: usize, link: LinkId, message: &ReplicaMessage) {
        let reply = match message {
            ReplicaMessage::Reply { reply, .. } => reply,
            ReplicaMessage::SignedReply(signed) => &signed.body.reply,
            _ => return,
        };
        let link_owner = client_of(link);
        let is_carried = |owner: &ClientId| {
            let client = self.clients.get(owner);
            client.is_some_and(|client| self.link_owner(*client) == link_owner)
        };
        let owners: Vec<ClientId> = self.common.oracle.owners_of(reply).collect();
        if let Some(first) = owners.first()
            && !owners.iter().any(is_carried)
        {
            let id = self.machines[m].id;
            let what = format!("replica {id} sends a result of {first} over {link}");
            self.violate("results-are-private", what);
        }
    }

    fn tell_after(&mut self, delay_us: u64, m: usize, link: LinkId, message: &ReplicaMessage) {
        let from = self.machines[m].id;
        let client = client_of(link);
        if self.machines[m].client_link(client) != link {
            // It went down meanwhile.
            return;
        }
        let arrival = self
            .links
            .with_client(self.now, client, m, &mut self.rng, &mut self.hits);
        if let Some(at) = arrival {
            let bytes = Bytes::from(codec::encode(message));
            self.queue.push(
                at + delay_us,
                Event::Told {
                    client,
                    from,
                    bytes,
                },
            );
        }
    }

    pub(super) fn slow_disk(&mut self) {
        self.hits.hit(Fault::SlowDisk);
    }
}

fn is_vote_of(message: &PeerMessage, me: ReplicaId) -> bool {
    match message {
        PeerMessage::PrePrepare(message) => message.vote.body.replica == me,
        PeerMessage::Prepare(vote) | PeerMessage::Commit(vote) => vote.body.replica == me,
        PeerMessage::Checkpoint(vote) => vote.body.replica == me,
        PeerMessage::ViewChange(change) => change.body.replica == me,
        _ => false,
    }
}

/// What the strategy of a faulty replica works with.
fn means<'a>(
    me: ReplicaId,
    key: &'a SigningKey,
    cluster: &'a ClusterId,
    quorum: Quorum,
    options: &Options,
    rng: &'a mut Rng,
) -> Means<'a> {
    Means {
        me,
        key,
        cluster,
        n: options.n,
        quorum,
        view_change_timeout_us: options.tuning.suspect_after_us,
        resend_us: options.tuning.resend_after_us,
        rng,
    }
}
