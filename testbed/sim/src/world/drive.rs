//! One machine's turn, as the node's event loop takes it, and its way to others.

use std::{collections::VecDeque, sync::Arc};

use bezant_bft::{
    codec,
    crypto::{Domain, SigningKey},
    effects::{Effect, Effects, Input, PersistId, Record, To},
    ids::{ClusterId, Digest, ReplicaId, SeqNo},
    limits::STATE_PART_BYTES,
    message::{
        ClientMessage, PeerMessage, ReplicaMessage, ReplyClaim, Signed, SignedRequest, StatePart,
    },
    misbehaviour::{Fault as Wrong, Misbehaviour},
    quorum::Quorum,
    rejoin::{Lives, join_state, split_state},
    seal::{Batch, CheckedProposal, Sealed, Source, check_commits},
    service::{Admission, Replies, Service as _},
    state::State,
};
use bytes::Bytes;

use super::{Event, World};
use crate::{
    adversaries::{Instead, Means},
    faults::Fault,
    invariants::{self, Fact},
    machine::{Incoming, Outgoing},
    options::Options,
    rng::Rng,
};

/// Bytes of a state sent at a time.
const STATE_PART: usize = 700;

/// Lists that every turn fills and empties again, kept for their room.
#[derive(Default)]
pub(super) struct Room {
    incoming: Vec<Incoming>,
    sealed: Vec<Sealed>,
    inputs: VecDeque<Input>,
    effects: Effects,
}

/// What a machine that stands still keeps for later; a link takes no more.
const MAX_DOOR: usize = 4096;

impl World {
    /// Something arrives at a machine's door.
    pub(super) fn arrive(&mut self, to: usize, incoming: Incoming) {
        let machine = &mut self.machines[to];
        if !machine.up || machine.inbox.len() >= MAX_DOOR {
            return;
        }
        machine.inbox.push(incoming);
        self.wake(to);
    }

    pub(super) fn wake(&mut self, machine: usize) {
        let at = self.now;
        let sleeper = &mut self.machines[machine];
        if !sleeper.awake && sleeper.runs() {
            sleeper.awake = true;
            let life = sleeper.life;
            self.queue.push(at, Event::Turn { machine, life });
        }
    }

    /// Takes all that lies at the door, in one turn.
    pub(super) fn turn(&mut self, m: usize) {
        if !self.machines[m].runs() {
            return;
        }
        let room = std::mem::take(&mut self.room.incoming);
        let mut incoming = std::mem::replace(&mut self.machines[m].inbox, room);
        let mut inputs = std::mem::take(&mut self.room.inputs);
        let mut sealed = std::mem::take(&mut self.room.sealed);
        for incoming in incoming.drain(..) {
            match incoming {
                Incoming::Frame { from, bytes } => match Sealed::from_replica(from, &bytes) {
                    Ok(message) => sealed.extend(self.screen(m, message)),
                    Err(misbehaviour) => self.blame(m, &misbehaviour),
                },
                Incoming::Client { client, bytes } => self.asked(m, client, &bytes, &mut sealed),
                Incoming::LinkUp(peer) => inputs.push_back(Input::LinkUp(peer)),
                Incoming::Commits(votes) => {
                    self.figures.verifications += votes.len() as u64;
                    let checker = &mut self.machines[m].checker;
                    inputs.push_back(check_commits(&self.common.keyring, checker, votes));
                }
            }
        }
        self.hear(m, &mut sealed);
        self.check(m, &mut sealed, &mut inputs);
        self.room.incoming = incoming;
        self.room.sealed = sealed;
        self.steps(m, inputs);
    }

    /// A faulty replica hears what comes in and may keep it from its own state machine.
    fn hear(&mut self, m: usize, sealed: &mut Vec<Sealed>) {
        let machine = &mut self.machines[m];
        if let Some((_, strategy)) = &mut machine.strategy {
            let mut means = means(
                machine.id,
                &machine.key,
                &self.cluster,
                self.quorum,
                &self.options,
                &mut self.rng,
            );
            sealed.retain(|message| strategy.hear(&mut means, message));
        }
    }

    /// Steps through the inputs and those that their effects make.
    pub(super) fn steps(&mut self, m: usize, mut inputs: VecDeque<Input>) {
        let mut effects = std::mem::take(&mut self.room.effects);
        let goes_on = self.step_through(m, &mut inputs, &mut effects);
        inputs.clear();
        effects.clear();
        self.room.inputs = inputs;
        self.room.effects = effects;
        if !goes_on {
            return;
        }
        let machine = &self.machines[m];
        if machine.is_correct() {
            let fact = Fact::Stepped {
                by: machine.id,
                view: machine.replica.view(),
                pooled: machine.replica.pooled(),
                held: machine.outbox.len(),
                snapshots: machine.snapshots.len(),
            };
            self.fact(&fact);
        }
        self.arm(m);
    }

    /// As in the node, all that came together is stepped before anything is carried out.
    /// False if the machine halted.
    fn step_through(
        &mut self,
        m: usize,
        inputs: &mut VecDeque<Input>,
        effects: &mut Effects,
    ) -> bool {
        while !inputs.is_empty() {
            for input in inputs.drain(..) {
                let machine = &mut self.machines[m];
                let clock = machine.clock(self.now);
                machine.replica.step(clock, input, effects);
            }
            for effect in effects.drain(..) {
                self.carry_out(m, effect, inputs);
                // A machine that halted carries out nothing more.
                if self.violation.is_some() || !self.machines[m].up {
                    return false;
                }
            }
        }
        true
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
            let life = machine.life;
            self.queue.push(due, Event::Timer { machine: m, life });
        }
    }

    pub(super) fn timer(&mut self, m: usize, life: u32) {
        let machine = &mut self.machines[m];
        if machine.life != life || machine.timer != Some(self.now) {
            return;
        }
        machine.timer = None;
        if !machine.runs() {
            return;
        }
        if machine.due().is_some_and(|due| due <= self.now) {
            self.steps(m, VecDeque::from([Input::Tick]));
            let machine = &self.machines[m];
            if machine.due().is_some_and(|due| due <= self.now) {
                let what = format!("a timer of replica {} that fired is due again", machine.id);
                self.violate("timers-end", what);
            }
        } else {
            self.arm(m);
        }
    }

    fn blame(&mut self, m: usize, misbehaviour: &Misbehaviour) {
        self.figures.blames += 1;
        let machine = &self.machines[m];
        if machine.is_correct() {
            let by = machine.id;
            if let Some(evidence) = &misbehaviour.proof {
                self.figures.proofs += 1;
                self.convicted.insert(evidence.accusation().accused);
            }
            self.fact(&Fact::Blamed { by, misbehaviour });
        }
    }

    fn screen(&mut self, m: usize, sealed: Sealed) -> Option<Sealed> {
        let machine = &self.machines[m];
        if !machine.replica.wants(&sealed) {
            return None;
        }
        match sealed.peek() {
            PeerMessage::Forward(signed) => {
                let admission = machine.kernel.admit(&signed.request);
                matches!(admission, Admission::New).then_some(sealed)
            }
            _ => Some(sealed),
        }
    }

    fn asked(&mut self, m: usize, client: usize, bytes: &[u8], sealed: &mut Vec<Sealed>) {
        let message = match codec::decode::<ClientMessage>(bytes) {
            Ok(message) => message,
            Err(error) => {
                let key = self.clients.iter().find(|(_, index)| **index == client);
                if let Some(id) = key.map(|(id, _)| *id) {
                    let who = Source::Client(id);
                    self.blame(m, &Misbehaviour::new(who, Wrong::Undecodable(error)));
                }
                return;
            }
        };
        let machine = &mut self.machines[m];
        match message {
            ClientMessage::Request(signed) => {
                let mut foretold = None;
                if let Some((_, strategy)) = &mut machine.strategy {
                    let mut means = means(
                        machine.id,
                        &machine.key,
                        &self.cluster,
                        self.quorum,
                        &self.options,
                        &mut self.rng,
                    );
                    foretold = strategy.foretell(&mut means, &signed.request);
                }
                if let Some(reply) = foretold {
                    let view = machine.replica.view();
                    self.tell(m, client, ReplicaMessage::Reply { view, reply });
                }
                self.requested(m, client, signed, sealed);
            }
            ClientMessage::AskSigned { session, number } => {
                let Some((key, reply)) = machine.kernel.kept_reply(session, number) else {
                    return;
                };
                if self.clients.get(&key) != Some(&client) {
                    return;
                }
                let claim = ReplyClaim {
                    epoch: self.common.keyring.epoch(),
                    replica: machine.id,
                    incarnation: machine.replica.incarnation(),
                    client: key,
                    reply,
                };
                let signed = Signed::new(claim, Domain::Reply, &self.cluster, &machine.key);
                self.tell(m, client, ReplicaMessage::SignedReply(signed));
            }
            _ => {}
        }
    }

    fn requested(
        &mut self,
        m: usize,
        client: usize,
        signed: SignedRequest,
        sealed: &mut Vec<Sealed>,
    ) {
        let machine = &self.machines[m];
        let (session, number) = (signed.request.session, signed.request.number);
        let view = machine.replica.view();
        match machine.kernel.admit(&signed.request) {
            Admission::New if machine.replica.has_room() => {
                sealed.push(Sealed::from_client(signed.request.client, signed));
            }
            Admission::New => self.tell(m, client, ReplicaMessage::Busy { session, number }),
            Admission::Done(reply) | Admission::Refuse(reply) => {
                self.tell(m, client, ReplicaMessage::Reply { view, reply });
            }
            Admission::Silent => {}
        }
    }

    fn check(&mut self, m: usize, sealed: &mut Vec<Sealed>, inputs: &mut VecDeque<Input>) {
        if sealed.is_empty() {
            return;
        }
        let mut blames = Vec::new();
        let machine = &mut self.machines[m];
        let mut batch = Batch::new(&self.common.keyring);
        for message in sealed.drain(..) {
            let known = |digest: &_| machine.replica.known_request(digest);
            if let Err(misbehaviour) = batch.add(message, known) {
                blames.push(misbehaviour);
            }
        }
        self.figures.verifications += batch.claims() as u64;
        for checked in batch.check(&mut machine.checker) {
            match checked {
                Ok(input) => inputs.push_back(input),
                Err(misbehaviour) => blames.push(misbehaviour),
            }
        }
        for misbehaviour in blames {
            self.blame(m, &misbehaviour);
        }
    }

    fn carry_out(&mut self, m: usize, effect: Effect, inputs: &mut VecDeque<Input>) {
        let machine = &mut self.machines[m];
        let (by, is_correct) = (machine.id, machine.is_correct());
        match effect {
            Effect::Persist { id, record } => self.persist(m, id, record),
            Effect::Send { to, message, after } => {
                self.leave(
                    m,
                    after.unwrap_or_default(),
                    Outgoing::Peers { to, message },
                );
            }
            Effect::Execute {
                number,
                proposal,
                lives,
            } => {
                let state = self.execute(m, number, &proposal, lives);
                let due = self.machines[m].kernel.due();
                inputs.push_back(Input::Executed { number, state, due });
            }
            Effect::CheckCommits(votes) => {
                let (machine, life) = (m, machine.life);
                let at = self.now + self.options.check_us;
                self.queue.push(
                    at,
                    Event::Commits {
                        machine,
                        life,
                        votes,
                    },
                );
            }
            Effect::Truncate(below) => machine.disk.truncate(below),
            Effect::Stable { number, serving } => {
                let needed = |kept: &SeqNo| *kept >= number || serving.contains(kept);
                machine.snapshots.retain(|kept, _| needed(kept));
                machine.disk.forget(number);
            }
            Effect::SendState { to, number, offset } => self.send_state(m, to, number, offset),
            Effect::Install { number, state } => {
                self.install(m, number, state);
                let due = self.machines[m].kernel.due();
                inputs.push_back(Input::Installed { number, due });
            }
            Effect::ViewChanged { .. } => self.figures.views += u64::from(is_correct),
            Effect::Suspect(_) => self.figures.suspicions += 1,
            Effect::Blame(misbehaviour) => self.blame(m, &misbehaviour),
            Effect::Halt(violation) => {
                machine.up = false;
                if is_correct {
                    self.violate("halted", format!("replica {by} stops: {violation}"));
                }
            }
        }
    }

    fn persist(&mut self, m: usize, id: PersistId, record: Record) {
        let machine = &mut self.machines[m];
        let (by, life) = (machine.id, machine.life);
        if machine.is_correct() {
            let (record, kept) = (&record, machine.disk.len() + 1);
            self.fact(&Fact::Recorded {
                by,
                id,
                record,
                kept,
            });
        }
        self.machines[m].disk.append(id, record);
        if self.options.sync_us == 0 {
            self.durable(m, id);
        } else {
            let at = self.now + self.options.sync_us;
            let machine = m;
            self.queue.push(at, Event::Durable { machine, life, id });
        }
    }

    /// The service executes a number; its state's digest at a checkpoint.
    fn execute(
        &mut self,
        m: usize,
        number: SeqNo,
        proposal: &Arc<CheckedProposal>,
        lives: Option<Lives>,
    ) -> Option<Digest> {
        let machine = &mut self.machines[m];
        let (by, is_correct) = (machine.id, machine.is_correct());
        let mut replies = Replies::new();
        machine.kernel.execute(number, proposal, &mut replies);
        let view = machine.replica.view();
        // What this replica did for the decision must be durable before anybody builds on it.
        let after = machine.disk.written;
        if is_correct {
            self.common.oracle.learn(number, proposal);
            let fact = Fact::Executed {
                by,
                number,
                proposal,
                replies: &replies,
                service: &machine.kernel,
            };
            let told = invariants::tell(&mut self.rules, &fact, &mut self.common);
            if let Err((rule, what)) = told {
                self.violate(rule, what);
            }
        }
        for (client, reply) in replies {
            if let Some(client) = self.clients.get(&client).copied() {
                let message = ReplicaMessage::Reply { view, reply };
                self.leave(m, after, Outgoing::Client { client, message });
            }
        }
        let state = lives.map(|lives| self.snapshot(m, number, &lives));
        if let Some(state) = state.filter(|_| is_correct) {
            self.fact(&Fact::Checkpointed { by, number, state });
        }
        state
    }

    /// Sends a peer a part of a state, if it is still here.
    fn send_state(&mut self, m: usize, to: ReplicaId, number: SeqNo, offset: u64) {
        let Some(state) = self.machines[m].snapshots.get(&number) else {
            return;
        };
        // Small parts, so that a state of a small run has several.
        let message = PeerMessage::State(StatePart {
            number,
            total: state.encoded_len(),
            offset,
            bytes: state.read(offset, STATE_PART.min(STATE_PART_BYTES)),
        });
        let to = To::Replica(to);
        self.leave(m, PersistId(0), Outgoing::Peers { to, message });
    }

    /// Takes over a state that the replica found certified.
    fn install(&mut self, m: usize, number: SeqNo, state: State) {
        let machine = &mut self.machines[m];
        let (by, digest) = (machine.id, state.digest());
        let service = split_state(&state).map(|(_, service)| service.content());
        if let Err(error) = service.and_then(|bytes| machine.kernel.restore(&bytes)) {
            self.violate(
                "restore",
                format!("replica {by} cannot take over the state after number {number}: {error}"),
            );
            return;
        }
        machine.disk.save(number, state.clone());
        machine.snapshots.insert(number, state);
        self.figures.installs += 1;
        if machine.is_correct() {
            let state = digest;
            self.fact(&Fact::Installed { by, number, state });
        }
    }

    /// Takes a snapshot and makes it durable, as a node does before its replica votes on it;
    /// its digest.
    fn snapshot(&mut self, m: usize, number: SeqNo, lives: &Lives) -> Digest {
        let machine = &mut self.machines[m];
        let state = join_state(lives, machine.kernel.snapshot());
        let digest = state.digest();
        machine.disk.save(number, state.clone());
        machine.snapshots.insert(number, state);
        digest
    }

    /// Sends something once what it waits for is durable, behind what waits already.
    fn leave(&mut self, m: usize, after: PersistId, outgoing: Outgoing) {
        let machine = &mut self.machines[m];
        if machine.outbox.is_empty() && after <= machine.disk.durable {
            self.send(m, outgoing);
        } else {
            if after > machine.disk.durable {
                self.hits.hit(Fault::SlowDisk);
            }
            machine.outbox.push_back((after, outgoing));
        }
    }

    pub(super) fn durable(&mut self, m: usize, id: PersistId) {
        let machine = &mut self.machines[m];
        machine.disk.sync(id);
        while let Some((after, _)) = self.machines[m].outbox.front()
            && *after <= self.machines[m].disk.durable
        {
            if let Some((_, outgoing)) = self.machines[m].outbox.pop_front() {
                self.send(m, outgoing);
            }
        }
    }

    fn send(&mut self, m: usize, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Client { client, message } => self.tell(m, client, message),
            Outgoing::Peers { to, message } => self.send_peers(m, to, &message),
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
            let machine = &self.machines[m];
            let durable = machine.disk.durable;
            if let PeerMessage::Checkpoint(vote) = message
                && vote.body.replica == me
                && vote.body.number > machine.replica.stable()
                && !machine.disk.has(vote.body.number)
            {
                let number = vote.body.number;
                let what = format!(
                    "replica {me} votes on a state after number {number} that a crash would take"
                );
                self.violate("durable-state", what);
            }
            self.fact(&Fact::Sent {
                by: me,
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

    /// Says something to a client.
    pub(super) fn tell(&mut self, m: usize, client: usize, message: ReplicaMessage) {
        let machine = &mut self.machines[m];
        let from = machine.id;
        let Some((_, strategy)) = &mut machine.strategy else {
            self.tell_after(0, m, client, &message);
            return;
        };
        let mut messages = Vec::new();
        let mut means = means(
            from,
            &machine.key,
            &self.cluster,
            self.quorum,
            &self.options,
            &mut self.rng,
        );
        strategy.tell(&mut means, message, &mut messages);
        for (delay_us, message) in messages {
            self.tell_after(delay_us, m, client, &message);
        }
    }

    fn tell_after(&mut self, delay_us: u64, m: usize, client: usize, message: &ReplicaMessage) {
        let from = self.machines[m].id;
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
        patience_us: options.tuning.suspect_after_us,
        resend_us: options.tuning.resend_after_us,
        rng,
    }
}
