//! A whole cluster on one thread under virtual time: pure replicas with real
//! keys, a network that loses, repeats, delays and cuts, and a driver that
//! carries out effects as the node will. The seed decides everything.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use bezant_bft::{
    codec,
    crypto::Checker,
    effects::{Durability, Effect, Input, PersistId, Record, To},
    ids::{
        Clock, Digest, IncarnationNonce, Instant, OrderedTime, ReplicaId, RequestNumber, SeqNo,
        View,
    },
    invariants::Violation,
    limits,
    message::{PeerMessage, Reply, Signed, SignedRequest, StatePart, Vote},
    misbehaviour::Misbehaviour,
    rejoin::{IncarnationTable, join_state, split_state},
    replica::{Replica, Tuning},
    service::{Admission, Replies, Service},
    state::State,
    verification::{Batch, CheckedProposal, CheckedRequest, Unverified, check_commits},
};

use super::{Cluster, DAWN_MS, rng::Rng, service::Log, watch::Watch};

/// What a faulty replica sends instead of what the protocol asks it to send to one peer.
pub(crate) type Strategy = Box<dyn FnMut(&Cluster, u8, &PeerMessage, &mut Rng) -> Vec<PeerMessage>>;

/// How the network and the machines behave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    /// Delay of a message.
    pub(crate) latency_us: (u64, u64),
    /// Messages lost and doubled, of a thousand.
    pub(crate) loss_permille: u64,
    pub(crate) doubled_permille: u64,
    /// Time until a record is durable, a decision executed, a batch of commits checked.
    pub(crate) sync_us: u64,
    pub(crate) execute_us: u64,
    pub(crate) check_us: u64,
    /// Whether drivers drop what [`Replica::wants`] calls not worth a check.
    pub(crate) screened: bool,
}

impl Conditions {
    /// A quiet network and fast machines.
    pub(crate) const CALM: Self = Self {
        latency_us: (100, 100),
        loss_permille: 0,
        doubled_permille: 0,
        sync_us: 0,
        execute_us: 0,
        check_us: 0,
        screened: true,
    };
}

/// States are small here; they shall come in several parts all the same.
fn in_small_parts(tuning: Tuning) -> Tuning {
    let state_part_bytes = tuning.state_part_bytes.min(512);
    Tuning {
        state_part_bytes,
        ..tuning
    }
}

/// What happened to messages, so that a run shows that its faults fired.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hits {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) overtaken: u64,
    pub(crate) held_for_disk: u64,
    pub(crate) batched: u64,
    pub(crate) sent: u64,
}

impl Hits {
    pub(crate) const fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.overtaken += other.overtaken;
        self.held_for_disk += other.held_for_disk;
        self.batched += other.batched;
        self.sent += other.sent;
    }
}

#[derive(Debug)]
enum Event {
    Frame {
        from: u8,
        bytes: Vec<u8>,
    },
    Request(SignedRequest),
    Durable(PersistId),
    Execute {
        seq_no: SeqNo,
        proposal: Arc<CheckedProposal>,
        incarnations: Option<IncarnationTable>,
    },
    Check(Vec<Signed<Vote>>),
    LinkUp(ReplicaId),
}

/// One machine.
pub(crate) struct Node {
    pub(crate) replica: Replica,
    pub(crate) log: Log,
    /// Neither hears nor speaks.
    pub(crate) down: bool,
    /// Adds to its time of day.
    pub(crate) skew_ms: i64,
    pub(crate) faulty: Option<Strategy>,
    pub(crate) halted: Option<Violation>,
    pub(crate) blames: Vec<Misbehaviour>,
    /// Requests whose clients were told "busy".
    pub(crate) busy: Vec<RequestNumber>,
    pub(crate) suspected: Vec<View>,
    /// Numbers and digests handed to the service.
    pub(crate) decided: BTreeMap<SeqNo, Digest>,
    /// Numbers of requests in its own proposals.
    pub(crate) proposed: Vec<usize>,
    /// Records not truncated, for the bound of a log on disk.
    pub(crate) records: BTreeMap<PersistId, Record>,
    /// Records of earlier incarnations.
    disk: Vec<Record>,
    /// States at checkpoints, from the stable one on.
    snapshots: BTreeMap<SeqNo, State>,
    /// Views entered.
    pub(crate) views: Vec<View>,
    watch: Watch,
    durable: PersistId,
    held: VecDeque<(PersistId, To, PeerMessage)>,
    busy_until: u64,
}

impl Node {
    fn new(cluster: &Cluster, me: u8, interval: u64, tuning: Tuning) -> Self {
        Self {
            replica: cluster.replica(me, interval, tuning, Durability::Reported),
            log: Log::new(),
            down: false,
            skew_ms: 0,
            faulty: None,
            halted: None,
            blames: Vec::new(),
            busy: Vec::new(),
            suspected: Vec::new(),
            decided: BTreeMap::new(),
            proposed: Vec::new(),
            records: BTreeMap::new(),
            disk: Vec::new(),
            snapshots: BTreeMap::new(),
            views: Vec::new(),
            watch: Watch::new(ReplicaId(me)),
            durable: PersistId(0),
            held: VecDeque::new(),
            busy_until: 0,
        }
    }

    fn runs(&self) -> bool {
        !self.down && self.halted.is_none()
    }
}

/// The cluster, its network and its clock.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) cluster: Cluster,
    pub(crate) nodes: Vec<Node>,
    pub(crate) now_us: u64,
    pub(crate) conditions: Conditions,
    pub(crate) hits: Hits,
    pub(crate) rng: Rng,
    /// Until when a machine stands still: what comes waits, and its timers do.
    pub(crate) stalled: BTreeMap<u8, u64>,
    /// What follows from a turn that is under way.
    is_stepping: bool,
    followed: VecDeque<(u8, Input)>,
    /// Kinds of messages that are lost.
    pub(crate) swallow: Option<fn(&PeerMessage) -> bool>,
    /// What messages over these links take longer, from and to, in microseconds.
    pub(crate) slow: BTreeMap<(u8, u8), u64>,
    /// Links cut, from and to.
    cut: BTreeSet<(u8, u8)>,
    interval: u64,
    queue: BTreeMap<(u64, u64), (u8, Event)>,
    order: u64,
    /// Arrival of the last message on each link, to see overtaking.
    last_arrival: BTreeMap<(u8, u8), u64>,
    /// The first decision seen for each number at a correct replica.
    agreed: BTreeMap<SeqNo, Digest>,
    /// The first correct reply to each request.
    replies: BTreeMap<Digest, Reply>,
}

impl World {
    pub(crate) fn new(seed: u64, n: u8, interval: u64, tuning: Tuning) -> Self {
        let tuning = in_small_parts(tuning);
        let cluster = Cluster::new(n);
        let nodes = (0..n)
            .map(|me| Node::new(&cluster, me, interval, tuning))
            .collect();
        Self {
            seed,
            cluster,
            nodes,
            now_us: 0,
            conditions: Conditions::CALM,
            hits: Hits::default(),
            rng: Rng::new(seed),
            stalled: BTreeMap::new(),
            is_stepping: false,
            followed: VecDeque::new(),
            swallow: None,
            slow: BTreeMap::new(),
            cut: BTreeSet::new(),
            interval,
            queue: BTreeMap::new(),
            order: 0,
            last_arrival: BTreeMap::new(),
            agreed: BTreeMap::new(),
            replies: BTreeMap::new(),
        }
    }

    /// Ids of the replicas that follow the protocol.
    pub(crate) fn correct(&self) -> impl Iterator<Item = usize> + use<'_> {
        (0..self.nodes.len()).filter(|i| self.nodes[*i].faulty.is_none())
    }

    fn n(&self) -> u8 {
        u8::try_from(self.nodes.len()).unwrap()
    }

    fn schedule(&mut self, delay_us: u64, to: u8, event: Event) {
        self.order += 1;
        self.queue
            .insert((self.now_us + delay_us, self.order), (to, event));
    }

    /// A client's request reaches replica `to`, after `delay_us`.
    pub(crate) fn request(&mut self, delay_us: u64, to: u8, request: SignedRequest) {
        self.schedule(delay_us, to, Event::Request(request));
    }

    /// `from` sends a message of its choice to `to`.
    pub(crate) fn inject(&mut self, from: u8, to: u8, message: &PeerMessage) {
        let bytes = codec::encode(message);
        self.schedule(0, to, Event::Frame { from, bytes });
    }

    /// Cuts all links between the groups, which need not name everybody.
    pub(crate) fn partition(&mut self, left: &[u8], right: &[u8]) {
        for a in left {
            for b in right {
                self.cut.extend([(*a, *b), (*b, *a)]);
            }
        }
    }

    /// What `from` sends to `to` is lost.
    pub(crate) fn cut_one_way(&mut self, from: u8, to: u8) {
        self.cut.insert((from, to));
    }

    /// Links work again, but nobody is told.
    pub(crate) fn uncut(&mut self) {
        self.cut.clear();
    }

    /// Nothing is lost any more, and every link comes up anew.
    pub(crate) fn heal(&mut self) {
        self.uncut();
        self.swallow = None;
        self.conditions.loss_permille = 0;
        for a in 0..self.n() {
            for b in (0..self.n()).filter(|b| *b != a) {
                self.schedule(1, a, Event::LinkUp(ReplicaId(b)));
            }
        }
    }

    /// Runs for `us` of virtual time.
    pub(crate) fn run_for(&mut self, us: u64) {
        let end = self.now_us + us;
        while self.next_at().is_some_and(|at| at <= end) {
            self.turn();
        }
        self.now_us = end;
    }

    /// Runs until nothing is left to do, which must come within `limit_us`.
    pub(crate) fn run_until_idle(&mut self, limit_us: u64) {
        let end = self.now_us + limit_us;
        while let Some(at) = self.next_at().filter(|_| !self.is_quiet()) {
            assert!(
                at <= end,
                "seed {}: not idle after {limit_us} us: {}",
                self.seed,
                self.stand()
            );
            self.turn();
        }
    }

    /// Where everybody stands, for messages of failed tests.
    pub(crate) fn stand(&self) -> String {
        let stand = self.nodes.iter().enumerate().map(|(i, node)| {
            let replica = &node.replica;
            format!(
                "\n  {i}: executed {} stable {} pooled {} timeout {:?} halted {:?}",
                replica.executed(),
                replica.stable(),
                replica.pooled(),
                replica.next_timeout(),
                node.halted
            )
        });
        stand.collect()
    }

    fn timer(&self) -> Option<(u64, u8)> {
        let due = (0_u8..).zip(&self.nodes).filter(|(_, node)| node.runs());
        let at = due.filter_map(|(i, node)| {
            let until = self.stalled.get(&i).copied().unwrap_or_default();
            let at = node.replica.next_timeout()?.0;
            Some((at.max(self.now_us).max(until), i))
        });
        at.min()
    }

    /// Nothing is on its way or awaited; replicas send heartbeats now and then all the same.
    fn is_quiet(&self) -> bool {
        let mut running = self.nodes.iter().filter(|node| node.runs());
        self.queue.is_empty() && running.all(|node| node.replica.is_quiet())
    }

    fn next_at(&self) -> Option<u64> {
        let event = self.queue.first_key_value().map(|((at, _), _)| *at);
        let timer = self.timer().map(|(at, _)| at);
        event.into_iter().chain(timer).min()
    }

    /// The next thing happens: a timer, or all that reaches one replica at one time.
    fn turn(&mut self) {
        let event = self.queue.first_key_value().map(|(key, _)| *key);
        if let Some((at, i)) = self.timer()
            && event.is_none_or(|(time, _)| at < time)
        {
            self.now_us = at;
            self.step(i, Input::Tick);
            let after = self.nodes[usize::from(i)].replica.next_timeout();
            let moved =
                after.is_none_or(|after| after.0 > at) || !self.nodes[usize::from(i)].runs();
            assert!(
                moved,
                "seed {}: a timer of {i} that fired is due again",
                self.seed
            );
            return;
        }
        let Some((key, (to, first))) = self.queue.pop_first() else {
            return;
        };
        if let Some(until) = self.stalled.get(&to).filter(|until| **until > key.0) {
            self.queue.insert((*until, key.1), (to, first));
            return;
        }
        self.now_us = key.0;
        let mut unverified = Vec::new();
        self.happen(to, first, &mut unverified);
        let together: Vec<_> = self
            .queue
            .range(key..(key.0 + 1, 0))
            .filter(|(_, (other, event))| {
                *other == to && matches!(event, Event::Frame { .. } | Event::Request(_))
            })
            .map(|(key, _)| *key)
            .collect();
        for key in together {
            if let Some((_, event)) = self.queue.remove(&key) {
                self.happen(to, event, &mut unverified);
            }
        }
        self.believe(to, unverified);
    }

    fn happen(&mut self, to: u8, event: Event, unverified: &mut Vec<Unverified>) {
        let at = usize::from(to);
        if !self.nodes[at].runs() {
            return;
        }
        match event {
            Event::Frame { from, bytes } => match Unverified::from_replica(ReplicaId(from), &bytes)
            {
                Ok(message) => unverified.push(message),
                Err(misbehaviour) => self.nodes[at].blames.push(misbehaviour),
            },
            Event::Request(request) => {
                unverified.push(Unverified::from_client(request.request.client, request));
            }
            Event::Durable(id) => self.durable(to, id),
            Event::Execute {
                seq_no,
                proposal,
                incarnations,
            } => self.execute(to, seq_no, &proposal, incarnations),
            Event::Check(votes) => {
                let input = check_commits(&self.cluster.keyring, &mut Checker::new(), votes);
                self.step(to, input);
            }
            Event::LinkUp(peer) => self.step(to, Input::LinkUp(peer)),
        }
    }

    /// Screens, checks and steps what arrived together, as the node does.
    fn believe(&mut self, to: u8, unverified: Vec<Unverified>) {
        let node = &mut self.nodes[usize::from(to)];
        let keyring = self.cluster.keyring.clone();
        let mut batch = Batch::new(&keyring);
        self.hits.batched += u64::from(unverified.len() > 1);
        for unverified in unverified {
            let executed = match unverified.peek() {
                PeerMessage::Forward(signed) => {
                    !matches!(node.log.admit(&signed.request), Admission::New)
                }
                _ => false,
            };
            if executed || (self.conditions.screened && !node.replica.wants(&unverified)) {
                continue;
            }
            if let Err(misbehaviour) =
                batch.add(unverified, |digest| node.replica.known_request(digest))
            {
                node.blames.push(misbehaviour);
            }
        }
        let mut inputs = Vec::new();
        for checked in batch.check(&mut Checker::new()) {
            match checked {
                Ok(input) => inputs.push(input),
                Err(misbehaviour) => self.nodes[usize::from(to)].blames.push(misbehaviour),
            }
        }
        if !inputs.is_empty() {
            self.step_all(to, inputs);
        }
    }

    fn step(&mut self, i: u8, input: Input) {
        self.step_all(i, [input]);
    }

    /// One turn, and those that follow from it: what effects bring about is heard when all of
    /// them are carried out, as by the driver.
    fn step_all(&mut self, i: u8, inputs: impl IntoIterator<Item = Input>) {
        if self.is_stepping {
            let followed = inputs.into_iter().map(|input| (i, input));
            return self.followed.extend(followed);
        }
        self.is_stepping = true;
        self.turn_of(i, inputs);
        while let Some((i, input)) = self.followed.pop_front() {
            self.turn_of(i, [input]);
        }
        self.is_stepping = false;
    }

    fn turn_of(&mut self, i: u8, inputs: impl IntoIterator<Item = Input>) {
        let node = &mut self.nodes[usize::from(i)];
        if !node.runs() {
            return;
        }
        let wall_ms = (DAWN_MS + self.now_us / 1000).saturating_add_signed(node.skew_ms);
        let clock = Clock {
            monotonic: Instant(self.now_us),
            wall: OrderedTime(wall_ms),
        };
        let watch = node.faulty.is_none().then_some(&mut node.watch);
        let log = &node.log;
        let admits = |request: &CheckedRequest| log.admit(request.request()) == Admission::New;
        let out = super::turn(&mut node.replica, clock, inputs, admits, watch);
        for effect in out {
            self.carry_out(i, effect);
        }
    }

    fn carry_out(&mut self, i: u8, effect: Effect) {
        let node = &mut self.nodes[usize::from(i)];
        match effect {
            Effect::Persist { id, record } => {
                if let Record::PrePrepare(message) = &record
                    && message.vote.body.replica == ReplicaId(i)
                {
                    node.proposed.push(message.proposal.requests().len());
                }
                node.records.insert(id, record);
                if self.conditions.sync_us == 0 {
                    self.durable(i, id);
                } else {
                    self.schedule(self.conditions.sync_us, i, Event::Durable(id));
                }
            }
            Effect::Send { to, message, after } => match after {
                Some(after) if after > node.durable => {
                    self.hits.held_for_disk += 1;
                    node.held.push_back((after, to, message));
                }
                _ => self.send(i, to, &message),
            },
            Effect::Execute {
                seq_no,
                proposal,
                incarnations,
            } => {
                self.agree(i, seq_no, proposal.digest());
                let node = &mut self.nodes[usize::from(i)];
                let start = node.busy_until.max(self.now_us);
                node.busy_until = start + self.conditions.execute_us;
                let delay = node.busy_until - self.now_us;
                let event = Event::Execute {
                    seq_no,
                    proposal,
                    incarnations,
                };
                self.schedule(delay, i, event);
            }
            Effect::Busy { number, .. } => node.busy.push(number),
            // Answered in the same turn.
            Effect::CheckAdmission(_) => {}
            Effect::CheckCommits(votes) => {
                self.schedule(self.conditions.check_us, i, Event::Check(votes));
            }
            Effect::Truncate(below) => {
                node.records
                    .retain(|_, record| number_of(record).is_none_or(|seq_no| seq_no > below));
            }
            Effect::Stable { seq_no, serving } => {
                node.snapshots
                    .retain(|kept, _| *kept >= seq_no || serving.contains(kept));
            }
            Effect::SendState {
                to,
                seq_no,
                offset,
                most_bytes,
            } => self.send_state(i, to, (seq_no, offset), most_bytes),
            Effect::Install { seq_no, state } => {
                let service = split_state(&state).unwrap().1;
                node.log.restore(&service.content()).unwrap();
                node.snapshots.insert(seq_no, state);
                let (time, due) = (node.log.time, node.log.due());
                self.step(i, Input::Installed { seq_no, time, due });
            }
            Effect::ViewChanged { view, .. } => node.views.push(view),
            Effect::Suspect(view) => node.suspected.push(view),
            Effect::Blame(misbehaviour) => node.blames.push(misbehaviour),
            Effect::Halt(violation) => node.halted = Some(violation),
        }
    }

    fn send_state(
        &mut self,
        i: u8,
        to: ReplicaId,
        (seq_no, offset): (SeqNo, u64),
        most_bytes: usize,
    ) {
        let Some(state) = self.nodes[usize::from(i)].snapshots.get(&seq_no) else {
            return;
        };
        let part = PeerMessage::State(StatePart {
            seq_no,
            total: state.encoded_len(),
            offset,
            bytes: state.read(offset, most_bytes),
        });
        self.send(i, To::Replica(to), &part);
    }

    /// Replica `i` loses everything but what was made durable, and comes back.
    pub(crate) fn restart(&mut self, i: u8, tuning: Tuning) {
        let tuning = in_small_parts(tuning);
        self.queue.retain(|_, (to, _)| *to != i);
        let at = usize::from(i);
        let (interval, n) = (self.interval, self.n());
        let node = &mut self.nodes[at];
        let durable = node.durable;
        let new = std::mem::take(&mut node.records).into_iter();
        let new = new.filter_map(|(id, record)| (id <= durable).then_some(record));
        let records: Vec<Record> = std::mem::take(&mut node.disk)
            .into_iter()
            .chain(new)
            .collect();
        let stable = records.iter().filter_map(|record| match record {
            Record::Stable(votes) => Some(votes[0].body.seq_no),
            _ => None,
        });
        let stable = stable.max().unwrap_or_default();
        node.snapshots.retain(|seq_no, _| *seq_no == stable);
        node.log = Log::new();
        let mut incarnations = IncarnationTable::default();
        if let Some(snapshot) = node.snapshots.get(&stable) {
            let (kept, service) = split_state(snapshot).unwrap();
            let service = service.content();
            incarnations = kept;
            node.log.restore(&service).unwrap();
        }
        node.disk = records.clone();
        node.replica = self
            .cluster
            .recover(i, interval, tuning, incarnations, records);
        node.replica.expect(node.log.time, node.log.due());
        node.watch.restart(stable, durable);
        node.durable = PersistId(0);
        node.held.clear();
        node.busy_until = 0;
        node.halted = None;
        node.down = false;
        for peer in (0..n).filter(|peer| *peer != i) {
            self.schedule(1, i, Event::LinkUp(ReplicaId(peer)));
            self.schedule(1, peer, Event::LinkUp(ReplicaId(i)));
        }
    }

    /// Replica `i` loses its disk, too, and comes back as `nonce`.
    pub(crate) fn forget(&mut self, i: u8, tuning: Tuning, nonce: u8) {
        let node = &mut self.nodes[usize::from(i)];
        node.records.clear();
        node.snapshots.clear();
        node.disk = vec![Record::IncarnationNonce(IncarnationNonce([nonce; 32]))];
        node.watch.forget();
        self.restart(i, tuning);
    }

    fn durable(&mut self, i: u8, id: PersistId) {
        let node = &mut self.nodes[usize::from(i)];
        node.durable = node.durable.max(id);
        let free = node
            .held
            .iter()
            .take_while(|(after, ..)| *after <= node.durable)
            .count();
        let free: Vec<_> = node.held.drain(..free).collect();
        for (_, to, message) in free {
            self.send(i, to, &message);
        }
        self.step(i, Input::Durable(id));
    }

    /// Two correct replicas never decide differently, and nobody leaves a gap.
    fn agree(&mut self, i: u8, seq_no: SeqNo, digest: Digest) {
        let node = &mut self.nodes[usize::from(i)];
        if node.faulty.is_some() {
            return;
        }
        node.decided.insert(seq_no, digest);
        let first = *self.agreed.entry(seq_no).or_insert(digest);
        assert_eq!(
            first, digest,
            "seed {}: {i} decides {seq_no} differently",
            self.seed
        );
    }

    fn execute(
        &mut self,
        i: u8,
        seq_no: SeqNo,
        proposal: &Arc<CheckedProposal>,
        incarnations: Option<IncarnationTable>,
    ) {
        let node = &mut self.nodes[usize::from(i)];
        let mut replies = Replies::new();
        node.log.execute(seq_no, proposal, &mut replies);
        assert_eq!(
            incarnations.is_some(),
            seq_no.0.is_multiple_of(self.interval)
        );
        let state = incarnations.map(|incarnations| {
            let state = join_state(&incarnations, node.log.snapshot());
            let digest = state.digest();
            node.snapshots.insert(seq_no, state);
            digest
        });
        let is_correct = node.faulty.is_none();
        for (request, (_, reply)) in node.log.order.iter().rev().zip(replies.iter().rev()) {
            let first = self
                .replies
                .entry(*request)
                .or_insert_with(|| reply.clone());
            assert!(
                !is_correct || first == reply,
                "seed {}: {i} replies otherwise",
                self.seed
            );
        }
        let (time, due) = (node.log.time, node.log.due());
        self.step(i, Input::Executed { seq_no, time, due });
        if let Some(state) = state {
            self.step(i, Input::CheckpointSaved { seq_no, state });
        }
    }

    fn send(&mut self, from: u8, to: To, message: &PeerMessage) {
        let everyone = match to {
            To::Replica(ReplicaId(to)) => to..to + 1,
            To::Others => 0..self.n(),
        };
        for to in everyone.filter(|to| *to != from) {
            let instead = match self.nodes[usize::from(from)].faulty.as_mut() {
                Some(strategy) => strategy(&self.cluster, to, message, &mut self.rng),
                None => vec![message.clone()],
            };
            for message in instead {
                let bytes = codec::encode(&message);
                assert!(
                    bytes.len() <= limits::MAX_PEER_MESSAGE_BYTES,
                    "too large: {message:?}"
                );
                if self.swallow.is_some_and(|swallow| swallow(&message)) {
                    self.hits.lost += 1;
                } else {
                    self.transmit(from, to, bytes);
                }
            }
        }
    }

    fn transmit(&mut self, from: u8, to: u8, bytes: Vec<u8>) {
        self.hits.sent += 1;
        if self.cut.contains(&(from, to)) || self.rng.chance(self.conditions.loss_permille) {
            self.hits.lost += 1;
            return;
        }
        let copies = 1 + u64::from(self.rng.chance(self.conditions.doubled_permille));
        self.hits.doubled += copies - 1;
        for _ in 0..copies {
            let (low, high) = self.conditions.latency_us;
            // In steps, so that some messages arrive together and are checked as one batch.
            let slow = self.slow.get(&(from, to)).copied().unwrap_or_default();
            let delay = slow + self.rng.between(low, high).next_multiple_of(50);
            let arrival = self.now_us + delay;
            let last = self.last_arrival.entry((from, to)).or_default();
            self.hits.overtaken += u64::from(arrival < *last);
            *last = arrival.max(*last);
            self.schedule(
                delay,
                to,
                Event::Frame {
                    from,
                    bytes: bytes.clone(),
                },
            );
        }
    }
}

/// The number a record is about; what is about views is kept.
fn number_of(record: &Record) -> Option<SeqNo> {
    match record {
        Record::PrePrepare(message) => Some(message.vote.body.seq_no),
        Record::Prepare(vote) | Record::Commit { vote, .. } => Some(vote.body.seq_no),
        Record::Stable(votes) => Some(votes[0].body.seq_no),
        Record::ViewChange(_)
        | Record::NewView(_)
        | Record::NamedViewChanges(_)
        | Record::IncarnationNonce(_) => None,
    }
}
