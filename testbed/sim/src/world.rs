//! The world: a cluster, its clients, its network and its clock, from a seed.
//!
//! One thread, one queue of events, one source of chance. The world owns network,
//! disks, clocks and faults, and nothing of a replica's behaviour: each machine runs
//! the driver of the product (`bezant_replica`), as a node's process does. Time
//! passes only between events.

mod drive;
mod history;
mod nemesis;
mod script;
mod storage;
mod twins;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use bezant_api::Genesis;
use bezant_bft::{
    crypto::{Checker, SigningKey},
    ids::{ClientId, ClusterId, Epoch, ReplicaId, Source},
    keyring::Keyring,
    quorum::Quorum,
    replica::Tuning,
    service::Service as _,
};
use bezant_replica::{Action, Config, Driver, Kept, LinkId};
use bytes::Bytes;

use crate::{
    adversaries::{Flood, Kind},
    client::Actor,
    external_clients::ExternalClients,
    faults::{Fault, Hits},
    invariants::{self, Common, Fact, Invariant, Pace},
    machine::{Arrival, Disk, Machine},
    network::Links,
    occasions::{Occasion, Occasions},
    options::{MS, Options},
    oracle::Oracle,
    queue::Queue,
    report::{Figures, Outcome, Report, Violation},
    rng::Rng,
    scenario::Wire,
    trace::Trace,
};

/// How often the world looks whether anything is left to do, once it is healed.
const LOOK_US: u64 = 20 * MS;

/// Bytes of a state sent at a time: few, so that a state of a small run has several parts.
const STATE_PART_BYTES: usize = 700;

/// More events than any run needs: a run that gets here talks without end.
const MAX_EVENTS: u64 = 20_000_000;

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Event {
    Frame {
        to: usize,
        from: ReplicaId,
        bytes: Bytes,
    },
    Asked {
        to: usize,
        client: usize,
        link: LinkId,
        bytes: Bytes,
    },
    Told {
        client: usize,
        from: ReplicaId,
        bytes: Bytes,
    },
    Turn {
        machine: usize,
        restarts: u32,
    },
    Timer {
        machine: usize,
        restarts: u32,
    },
    Completed {
        machine: usize,
        restarts: u32,
        completed: Box<storage::Completed>,
    },
    LinkUp {
        machine: usize,
        peer: ReplicaId,
    },
    Delayed {
        from: usize,
        to: ReplicaId,
        bytes: Bytes,
    },
    Act(usize),
    Flood,
    Camps,
    ActorTimer(usize),
    ExternalClients,
    Nemesis(nemesis::Trouble),
    Heal,
    Look,
}

/// A whole run.
pub struct World {
    seed: u64,
    options: Options,
    pub(crate) now: u64,
    rng: Rng,
    queue: Queue<Event>,
    quorum: Quorum,
    cluster: ClusterId,
    genesis: Genesis,
    pub(crate) machines: Vec<Machine>,
    /// Behind the replicas' own machines those of second twins.
    camps: twins::Camps,
    actors: Vec<Actor>,
    /// Which client a key is: those of the actors first, then the one that floods, then external
    /// clients.
    clients: BTreeMap<ClientId, usize>,
    client_keys: Vec<SigningKey>,
    external_client_keys: Vec<SigningKey>,
    external_clients: Option<Box<dyn ExternalClients>>,
    flood: Option<Flood>,
    /// A request of some other client, as the one that floods overheard it.
    overheard: Option<Bytes>,
    links: Links,
    /// What a scenario does to messages between machines.
    wire: Wire,
    rules: Vec<Box<dyn Invariant>>,
    common: Common,
    hits: Hits,
    /// Against whom a correct replica has proof.
    convicted: BTreeSet<Source>,
    healed: bool,
    figures: Figures,
    violation: Option<Violation>,
    trace: Option<Trace>,
    scratch: Scratch,
}

/// Lists that every turn fills and empties again, kept for their capacity.
#[derive(Default)]
struct Scratch {
    inbox: Vec<Arrival>,
    actions: Vec<Action>,
}

impl World {
    /// The world of `seed` with these options.
    ///
    /// # Panics
    /// If the options make no cluster.
    #[must_use]
    pub fn new(seed: u64, options: Options, trace: Option<Trace>) -> Self {
        let mut rng = Rng::new(seed);
        let key = |kind: u8, index: u64| {
            let mut bytes = [kind; 32];
            for (to, from) in bytes
                .iter_mut()
                .zip(seed.to_le_bytes().into_iter().chain(index.to_le_bytes()))
            {
                *to = from;
            }
            if options.real_signatures {
                SigningKey::from_seed(bytes)
            } else {
                SigningKey::stub(bytes)
            }
        };
        let keys: Vec<SigningKey> = (0..options.n).map(|i| key(1, u64::from(i))).collect();
        let client_keys: Vec<SigningKey> = (0..options.work.clients).map(|i| key(2, i)).collect();
        let external_client_keys: Vec<SigningKey> = (0..options.work.external_clients)
            .map(|i| key(4, i))
            .collect();
        let genesis = Genesis {
            keys: keys.iter().map(|key| key.public().0).collect(),
            open_enrolment: true,
            spaces_on_first_out: options.work.makes_spaces,
            clients: Vec::new(),
            checkpoint_interval: options.interval,
            salt: [0; 16],
        };
        let cluster = ClusterId(genesis.cluster_id());
        let public = keys.iter().map(SigningKey::public).collect();
        let Some(keyring) = Keyring::new(cluster, Epoch(0), public) else {
            panic!("{} replicas make no cluster", options.n);
        };
        let hits = chosen(&options);
        let mut world = Self {
            seed,
            now: 0,
            queue: Queue::new(),
            quorum: keyring.quorum(),
            cluster,
            genesis,
            machines: Vec::new(),
            camps: twins::Camps::default(),
            actors: Vec::new(),
            clients: BTreeMap::new(),
            external_clients: None,
            flood: options
                .flood
                .then(|| Flood::new(key(3, 0), client_keys.len())),
            overheard: None,
            links: Links::new(
                keys.len() + twins::count(&options),
                client_keys.len() + 1 + external_client_keys.len(),
                options.network,
            ),
            wire: Wire::default(),
            rules: invariants::all(),
            common: Common {
                interval: options.interval,
                tuning: options.tuning,
                correct: (0..options.n)
                    .map(|i| !options.adversaries.contains_key(&i))
                    .collect(),
                oracle: Oracle::new(options.work.makes_spaces),
                occasions: Occasions::default(),
                checker: checker(&options),
                now_us: 0,
                slack_ms: options.tuning.max_drift_ms,
                pace: pace(&options),
                keyring,
            },
            hits,
            convicted: BTreeSet::new(),
            healed: false,
            figures: Figures::default(),
            violation: None,
            trace,
            scratch: Scratch::default(),
            client_keys: client_keys.clone(),
            rng: rng.clone(),
            options,
            external_client_keys,
        };
        for (id, key) in (0..).zip(&keys) {
            world.add_machine(ReplicaId(id), key.clone(), &mut rng);
        }
        world.add_twins(&keys, &mut rng);
        for (client, key) in client_keys.into_iter().enumerate() {
            world.clients.insert(key.client(), client);
            world.add_sessions(client, &key, &mut rng);
        }
        if let Some(flood) = &world.flood {
            world.clients.insert(flood.key(), flood.client);
        }
        for (external_client, key) in world.external_client_keys.iter().enumerate() {
            world.clients.insert(
                key.client(),
                world.first_external_client() + external_client,
            );
        }
        world.rng = rng;
        world.plan();
        world
    }

    fn add_machine(&mut self, id: ReplicaId, key: SigningKey, rng: &mut Rng) {
        let disk = Disk::new(self.options.volatile);
        let driver = self.driver(id, key.clone(), &disk, Kept::default(), true);
        let Ok(driver) = driver else {
            panic!("replica {id} is no member of its own cluster");
        };
        let skew = i64::try_from(self.options.skew_ms).unwrap_or(0);
        let (mut rate_permille, mut skew_ms) = (1000, 0);
        if skew > 0 {
            rate_permille = rng.between(950, 1050);
            // With little slack no more than a thousandth: clocks of replicas are better still.
            if self.options.tuning.max_drift_ms < 10_000 {
                rate_permille = 1000 + rate_permille / 50 - 20;
            }
            skew_ms = i64::try_from(rng.below(self.options.skew_ms * 2 + 1)).unwrap_or(skew) - skew;
            self.hits.hit(Fault::Skew);
        }
        let kind = self.options.adversaries.get(&id.0);
        let clients = self.first_external_client() + self.external_client_keys.len();
        self.machines.push(Machine {
            id,
            key,
            driver,
            disk,
            inbox: Vec::new(),
            awake: false,
            restarts: 0,
            up: true,
            frozen: false,
            storage_failed: false,
            strategy: kind.map(|kind| (*kind, kind.strategy())),
            links: vec![0; clients],
            timer: None,
            booted_at: 0,
            rate_permille,
            skew_ms,
        });
    }

    /// The replica of a machine that starts with what its disk kept.
    fn driver(
        &self,
        replica: ReplicaId,
        key: SigningKey,
        disk: &Disk,
        kept: Kept,
        first_start: bool,
    ) -> Result<Driver, String> {
        let config = Config {
            replica,
            key,
            keyring: self.common.keyring.clone(),
            genesis: self.genesis.clone(),
            tuning: Tuning {
                state_part_bytes: STATE_PART_BYTES,
                ..self.options.tuning
            },
            durability: disk.durability(),
        };
        let driver = Driver::start(config, kept, first_start);
        let mut driver = driver.map_err(|error| error.to_string())?;
        driver.check_with(checker(&self.options));
        Ok(driver)
    }

    /// Plans what does not depend on what happens.
    fn plan(&mut self) {
        for machine in 0..self.machines.len() {
            for peer in self.quorum.members() {
                if peer != self.machines[machine].id {
                    self.queue.push(1, Event::LinkUp { machine, peer });
                }
            }
        }
        for replica in self.quorum.members() {
            self.link_clients(replica);
        }
        for actor in 0..self.actors.len() {
            let at = self.rng.below(20 * MS);
            self.queue.push(at, Event::Act(actor));
        }
        if self.flood.is_some() {
            self.queue.push(20 * MS, Event::Flood);
        }
        self.plan_troubles();
        self.queue.push(self.options.heal_at_us, Event::Heal);
    }

    /// Runs to the end and says how it went.
    #[must_use]
    pub fn run(mut self) -> (Report, Option<Trace>) {
        let deadline = self.options.heal_at_us + self.options.view_change_timeout_us;
        let outcome = loop {
            let Some((at, event)) = self.queue.pop() else {
                break self.rest();
            };
            self.now = at;
            self.figures.events += 1;
            if let Some(trace) = &mut self.trace {
                trace.digest(at, &event);
            }
            if matches!(event, Event::Look) {
                match self.pending() {
                    None => break self.rest(),
                    Some(reason) if at > deadline => break Outcome::Stuck(reason),
                    Some(_) => {}
                }
            }
            self.happen(event);
            if let Some(violation) = self.violation.take() {
                break Outcome::Violated(violation);
            }
            if self.figures.events > MAX_EVENTS {
                break Outcome::Stuck(format!("no rest after {MAX_EVENTS} events"));
            }
        };
        let report = self.report(outcome);
        (report, self.trace)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Frame { to, from, bytes } => {
                let link = LinkId(1 << 63 | u64::from(from.0));
                let (from, frame) = (Source::Replica(from), bytes);
                self.arrive(to, Arrival::Frame { link, from, frame });
            }
            Event::Asked {
                to,
                client,
                link,
                bytes,
            } => self.asked(to, client, link, bytes),
            Event::Told {
                client,
                from,
                bytes,
            } => self.told(client, from, &bytes),
            Event::Turn { machine, restarts } => {
                if self.machines[machine].restarts == restarts {
                    self.machines[machine].awake = false;
                    self.turn(machine);
                }
            }
            Event::Timer { machine, restarts } => self.timer(machine, restarts),
            Event::Completed {
                machine,
                restarts,
                completed,
            } => {
                if self.machines[machine].restarts == restarts {
                    self.completed(machine, *completed);
                }
            }
            Event::LinkUp { machine, peer } => {
                let link = LinkId(1 << 63 | u64::from(peer.0));
                let peer = Source::Replica(peer);
                self.arrive(machine, Arrival::LinkUp { link, peer });
            }
            Event::Delayed { from, to, bytes } => self.transmit(from, to, bytes),
            Event::Act(actor) => self.act(actor),
            Event::Flood => self.flood(),
            Event::Camps => self.draw_camps(),
            Event::ActorTimer(actor) => self.actor_timer(actor),
            Event::ExternalClients => self.live(),
            Event::Nemesis(trouble) => self.trouble(trouble),
            Event::Heal => self.heal(),
            Event::Look => self.queue.push(self.now + LOOK_US, Event::Look),
        }
    }

    /// Tells the rules of something that happened at a correct replica.
    fn fact(&mut self, fact: &Fact<'_>) {
        if let Err((rule, what)) = invariants::tell(&mut self.rules, fact, &mut self.common) {
            self.violate(rule, what);
        }
    }

    fn violate(&mut self, rule: &str, what: String) {
        let at_us = self.now;
        let rule = rule.to_owned();
        self.violation
            .get_or_insert(Violation { rule, what, at_us });
    }

    /// What is left to do; `None` when all is done and all correct replicas agree.
    fn pending(&self) -> Option<String> {
        for actor in &self.actors {
            let (open, left) = actor.unfinished();
            if open + usize::try_from(left).unwrap_or(1) > 0 {
                let session = actor.session.id();
                return Some(format!(
                    "session {session} has {open} requests unanswered and {left} not begun\n{}",
                    self.stand()
                ));
            }
        }
        if let Some(reason) = self
            .external_clients
            .as_ref()
            .and_then(|external_clients| external_clients.pending())
        {
            return Some(format!("{reason}\n{}", self.stand()));
        }
        let progress = self.common.oracle.progress();
        for machine in self.machines.iter().filter(|machine| machine.is_correct()) {
            if machine.executed() < progress {
                return Some(format!(
                    "replica {} executed {} of {progress}\n{}",
                    machine.id,
                    machine.executed(),
                    self.stand()
                ));
            }
            // Nobody asks for it, and agreed time must pass it all the same.
            let due = machine
                .driver
                .kernel()
                .due()
                .filter(|due| *due < machine.replica().agreed_time_at(machine.clock(self.now)));
            if let Some(due) = due.filter(|_| machine.runs()) {
                return Some(format!(
                    "replica {} holds a lease that was due at {due} and does not expire\n{}",
                    machine.id,
                    self.stand()
                ));
            }
            if !machine.replica().votes() {
                let (id, stand) = (machine.id, self.stand());
                return Some(format!(
                    "replica {id} lost its memory and is silent\n{stand}"
                ));
            }
            // A faulty client may tell some replicas only what the primary never hears.
            if machine.replica().pooled() > 0 && self.flood.is_none() {
                return Some(format!(
                    "replica {} holds requests that are not ordered\n{}",
                    machine.id,
                    self.stand()
                ));
            }
        }
        None
    }

    /// Where every replica stands, for people.
    fn stand(&self) -> String {
        let line = |machine: &Machine| {
            let replica = machine.replica();
            let kind = machine
                .strategy
                .as_ref()
                .map(|(kind, _)| format!(" {kind:?}"))
                .unwrap_or_default();
            format!(
                "  replica {}: view {} executed {} stable {} pooled {} {} votes {} up {}{kind}",
                machine.id,
                replica.view(),
                replica.executed(),
                replica.stable(),
                replica.pooled(),
                replica.incarnation(),
                replica.votes(),
                machine.runs(),
            )
        };
        self.machines
            .iter()
            .map(line)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// All is done: the last checks, which look at the whole.
    fn rest(&mut self) -> Outcome {
        if let Some(reason) = self.pending() {
            return Outcome::Stuck(reason);
        }
        let mut correct = self.machines.iter().filter(|machine| machine.is_correct());
        if let Some(first) = correct.next() {
            let state = first.driver.kernel().snapshot();
            if let Some(other) = correct.find(|other| other.driver.kernel().snapshot() != state) {
                let what = format!(
                    "replicas {} and {} end with different states",
                    first.id, other.id
                );
                self.violate("equal-states", what);
            }
        }
        self.linearize();
        match self.violation.take() {
            Some(violation) => Outcome::Violated(violation),
            None => Outcome::Passed,
        }
    }

    fn report(&mut self, outcome: Outcome) -> Report {
        for machine in &self.machines {
            if let Some((kind, strategy)) = &machine.strategy {
                let twins = match kind {
                    Kind::Twins => std::mem::take(&mut self.camps.hits),
                    _ => 0,
                };
                self.hits.adversary(*kind, strategy.hits() + twins);
                if self.convicted.contains(&Source::Replica(machine.id)) {
                    self.hits.convict(*kind);
                }
            }
        }
        if let Some(flood) = &self.flood {
            self.hits.adversary(Kind::FloodingClient, flood.hits);
        }
        self.figures.decided = self.common.oracle.progress().0;
        self.figures.requests = self.common.oracle.requests();
        self.figures.virtual_us = self.now;
        let mut occasions = std::mem::take(&mut self.common.occasions);
        for (occasion, hits) in [
            (Occasion::ViewEntered, self.figures.views),
            (Occasion::StateInstalled, self.figures.installs),
            (Occasion::PrimarySuspected, self.figures.suspicions),
            (Occasion::EvidenceKept, self.figures.proofs),
            (Occasion::BusySaid, self.figures.busy),
        ] {
            occasions.came(occasion, hits);
        }
        occasions.conclude(&self.common.oracle);
        Report {
            seed: self.seed,
            n: self.options.n,
            real_signatures: self.options.real_signatures,
            outcome,
            figures: self.figures,
            hits: std::mem::take(&mut self.hits),
            occasions,
            digest: self.trace.as_ref().and_then(Trace::finish),
        }
    }
}

fn checker(options: &Options) -> Checker {
    if options.real_signatures {
        Checker::new()
    } else {
        Checker::stub()
    }
}

/// How fast agreed time may pass. A replica that starts while its clock is wrong, and a faulty
/// primary beside it, are more than is borne.
fn pace(options: &Options) -> Option<Pace> {
    let bearable = options.jumps.is_empty() || options.adversaries.is_empty();
    bearable.then_some(Pace {
        slack_ms: 2 * options.tuning.max_drift_ms,
        permille: if options.skew_ms > 0 { 60 } else { 5 },
    })
}

fn chosen(options: &Options) -> Hits {
    let mut hits = Hits::default();
    for fault in &options.faults {
        hits.choose(*fault);
    }
    hits
}
