//! Draws the options of a run from its seed: cluster, tuning, work, faults.
//!
//! Swarm testing (Groce et al., "Swarm testing", ISSTA 2012): every seed leaves
//! out most kinds of trouble, so that those it has are not drowned by others.

use std::collections::{BTreeMap, BTreeSet};

use bezant_bft::replica::Tuning;

use crate::{
    adversaries::{Kind, Occasion},
    faults::Fault,
    rng::Rng,
};

/// What the lead of time is: everything is given in microseconds of virtual time.
pub(crate) const MS: u64 = 1_000;
pub(crate) const SECOND: u64 = 1_000 * MS;

/// The options of one run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Replicas.
    pub n: u8,
    /// Numbers between two checkpoints.
    pub interval: u64,
    /// Tuning of the correct replicas.
    pub tuning: Tuning,
    /// Whether signatures are real ones.
    pub real_signatures: bool,
    /// How the network behaves.
    pub network: Network,
    /// Faults chosen.
    pub faults: BTreeSet<Fault>,
    /// Whether a client floods.
    pub flood: bool,
    /// Who is faulty, and how.
    pub adversaries: BTreeMap<u8, Kind>,
    /// A machine that is cut off from the others once, and for how long.
    pub cut_off: Option<(u8, u64)>,
    /// Whether replicas keep everything in memory: a crash makes them forget.
    pub volatile: bool,
    /// Shortest and longest time until records are durable; a state takes three times as long.
    pub disk_us: (u64, u64),
    /// Farthest a machine's time of day is off from the beginning, in milliseconds.
    pub skew_ms: u64,
    /// When a time of day jumps.
    pub jumps: Vec<Jump>,
    /// What clients do.
    pub work: Work,
    /// When all faults but the adversaries end.
    pub heal_at_us: u64,
    /// How long the cluster may take then to finish all work.
    pub view_change_timeout_us: u64,
}

/// A time of day that is put forward or back.
#[derive(Clone, Copy, Debug)]
pub struct Jump {
    /// When, in microseconds.
    pub at_us: u64,
    /// Whose; everybody's if nobody is named.
    pub machine: Option<u8>,
    /// By how much.
    pub by_ms: i64,
    /// After how long it is put right; never without.
    pub for_us: Option<u64>,
}

/// The network's options.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// Shortest and longest delay of a message.
    pub latency_us: (u64, u64),
    /// Messages that take ten times as long, of a thousand.
    pub tail_permille: u64,
    /// Messages lost, of a thousand.
    pub loss_permille: u64,
    /// Messages doubled, of a thousand.
    pub doubled_permille: u64,
    /// Client messages lost, of a thousand.
    pub client_loss_permille: u64,
}

/// The clients' options.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Client keys.
    pub clients: u64,
    /// Keys of [external clients](crate::external_clients), which are no such clients.
    pub external_clients: u64,
    /// Sessions of each.
    pub sessions: u64,
    /// Operations of each session.
    pub operations: u64,
    /// Operations a session has under way at most.
    pub pipeline: usize,
    /// Longest pause between an answer and the next operation.
    pub think_us: u64,
    /// Different keys in tuples: few make clients meet.
    pub keys: u64,
    /// Whether all clients share the link of the first, to which the others attach.
    pub shares_links: bool,
    /// Whether the first `out` makes its space.
    pub makes_spaces: bool,
    /// Whether some tuples have leases. No client can tell when one ends, so histories
    /// with them are not searched for an order.
    pub leases: bool,
    /// Whether clients do often what the others seldom bring about.
    pub rare: bool,
}

impl Options {
    /// What `seed` draws.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x6f70_7469_6f6e_7321);
        let n = draw_n(&mut rng);
        let faults = draw_faults(&mut rng);
        let network = draw_network(&mut rng, &faults);
        let mut tuning = draw_tuning(&mut rng, &network);
        let mut clocks = Rng::new(seed ^ 0x636c_6f63_6b73_2121);
        // Little slack, so that a trouble of seconds is long.
        if clocks.chance(300) {
            tuning.max_drift_ms = *clocks.pick(&[500, 1_000, 3_000]);
        }
        let slow = faults.contains(&Fault::SlowDisk);
        let mut options = Self {
            n,
            interval: *rng.pick(&[4, 5, 8, 16, 32]),
            tuning,
            real_signatures: rng.chance(10),
            network,
            faults,
            flood: rng.chance(200),
            adversaries: BTreeMap::new(),
            cut_off: None,
            volatile: !slow && rng.chance(250),
            disk_us: if slow { draw_disk(&mut rng) } else { (0, 0) },
            skew_ms: 0,
            jumps: Vec::new(),
            work: draw_work(n, &mut rng),
            heal_at_us: rng.between(1, 5) * SECOND,
            view_change_timeout_us: 120 * SECOND,
        };
        if options.faults.contains(&Fault::Skew) {
            options.skew_ms = rng.between(1, tuning.max_drift_ms / 3);
        }
        options.draw_jumps(&mut clocks);
        options.draw_adversaries(&mut rng);
        options.work.leases = seed.is_multiple_of(2);
        options.work.rare = seed % 8 == 6;
        options
    }

    /// A cluster of four without any trouble.
    #[must_use]
    pub fn calm(seed: u64) -> Self {
        let mut options = Self::draw(seed);
        options.n = 4;
        options.faults.clear();
        options.adversaries.clear();
        options.cut_off = None;
        options.flood = false;
        options.network = Network {
            latency_us: (MS, MS),
            tail_permille: 0,
            loss_permille: 0,
            doubled_permille: 0,
            client_loss_permille: 0,
        };
        options.disk_us = (0, 0);
        options.skew_ms = 0;
        options.jumps.clear();
        options
    }

    /// Most faulty replicas of this cluster.
    #[must_use]
    pub const fn f(&self) -> usize {
        (self.n as usize - 1) / 3
    }

    /// Up to three jumps, from a source of their own: the other faults of a seed are what they
    /// were without.
    fn draw_jumps(&mut self, rng: &mut Rng) {
        if !rng.chance(250) {
            return;
        }
        self.faults.insert(Fault::ClockJump);
        for _ in 0..rng.between(1, 3) {
            let anybody = u8::try_from(rng.below(u64::from(self.n))).unwrap_or(0);
            let farthest_ms = *rng.pick(&[1_000, 20_000, 3_600_000]);
            let by_ms = i64::try_from(rng.between(1, farthest_ms)).unwrap_or(1);
            self.jumps.push(Jump {
                at_us: rng.between(self.heal_at_us / 8, self.heal_at_us - 1),
                machine: rng.chance(600).then_some(anybody),
                by_ms: if rng.chance(500) { by_ms } else { -by_ms },
                for_us: rng.chance(600).then(|| rng.between(1, 2_000) * MS),
            });
        }
    }

    fn draw_adversaries(&mut self, rng: &mut Rng) {
        if rng.chance(400) || self.f() == 0 {
            return;
        }
        let count = rng.between(1, self.f() as u64);
        // One kind in most runs: what one attack opens is not closed by another.
        let kind = *rng.pick(&Kind::REPLICAS);
        let mixed = rng.chance(250);
        while (self.adversaries.len() as u64) < count {
            let kind = if mixed {
                *rng.pick(&Kind::REPLICAS)
            } else {
                kind
            };
            self.admit(kind, rng);
        }
    }

    /// One more faulty replica, and what gives it something to do.
    pub fn admit(&mut self, kind: Kind, rng: &mut Rng) {
        let first = self.adversaries.is_empty();
        let anywhere = u8::try_from(rng.below(u64::from(self.n))).unwrap_or(0);
        let sometimes_first = rng.chance(300);
        // The first primary, where it matters, and a later one now and then.
        let replica = match kind.occasion() {
            Occasion::Proposing if first => 0,
            Occasion::Winning if first => 1,
            Occasion::Any if first && sometimes_first => 0,
            _ => anywhere,
        };
        match kind.occasion() {
            Occasion::Leaving | Occasion::Winning => {
                // The first primary, for so long that it is replaced.
                self.cut_off = Some((0, 4 * self.tuning.suspect_after_us));
            }
            Occasion::Helping => {
                // Somebody else, for so long that the others drop what it lacks.
                let last = self.n - 1;
                let victim = if replica == last { last - 1 } else { last };
                self.cut_off = Some((victim, self.heal_at_us / 2));
                self.interval = 4;
            }
            Occasion::Any | Occasion::Proposing => {}
        }
        self.adversaries.entry(replica).or_insert(kind);
    }
}

fn draw_faults(rng: &mut Rng) -> BTreeSet<Fault> {
    let share = *rng.pick(&[0, 250, 500]);
    let mut faults = BTreeSet::new();
    // Jumps of clocks are drawn by themselves.
    let others = |fault: &Fault| *fault != Fault::ClockJump;
    for fault in Fault::ALL.into_iter().filter(others) {
        if rng.chance(share) {
            faults.insert(fault);
        }
    }
    faults
}

fn draw_network(rng: &mut Rng, faults: &BTreeSet<Fault>) -> Network {
    let low = *rng.pick(&[100, 500, MS, 5 * MS]);
    let mut spread = rng.below(3) * low;
    let mut tail_permille = 0;
    if faults.contains(&Fault::Overtake) {
        spread += 2 * low;
        tail_permille = rng.below(50);
    }
    let mut permille = |fault, most| {
        if faults.contains(&fault) {
            rng.between(5, most)
        } else {
            0
        }
    };
    Network {
        latency_us: (low, low + spread),
        tail_permille,
        loss_permille: permille(Fault::Loss, 300),
        doubled_permille: permille(Fault::Duplicate, 200),
        client_loss_permille: permille(Fault::ClientLoss, 300),
    }
}

/// A disk as fast or as slow as they come, and one that varies.
fn draw_disk(rng: &mut Rng) -> (u64, u64) {
    let low = *rng.pick(&[MS / 10, MS, 5 * MS]);
    (low, low + rng.between(0, 30) * MS)
}

fn draw_tuning(rng: &mut Rng, network: &Network) -> Tuning {
    // The view-change timeout is counted in round trips of this network.
    let trip = network.latency_us.1.max(MS);
    Tuning {
        max_in_flight: *rng.pick(&[1, 2, 4, 8, 8]),
        gather: *rng.pick(&[1, 1, 1, 2, 4, 24]),
        forward_after_us: 10 * trip,
        suspect_after_us: rng.between(60, 200) * trip,
        resend_after_us: rng.between(8, 30) * trip,
        heartbeat_after_us: 50 * trip,
        max_pooled: *rng.pick(&[16, 64, 256, 1024, 4096]),
        // Small: what is ordered here is small, and peers that ask for too much shall notice.
        answer_burst_bytes: 64 << 10,
        answer_bytes_per_second: 256 << 10,
        ..Tuning::default()
    }
}

/// A quarter of the seeds has more than four replicas. What a decision costs grows with the
/// square of their number, so most of these have seven.
fn draw_n(rng: &mut Rng) -> u8 {
    match rng.below(1000) {
        0..740 => 4,
        740..960 => 7,
        960..980 => 10,
        _ => 13,
    }
}

fn draw_work(n: u8, rng: &mut Rng) -> Work {
    // Fewer decisions where each is dear buy more seeds; all together decide more than 150
    // numbers a seed.
    let operations = if n == 4 { (44, 124) } else { (24, 64) };
    Work {
        clients: rng.between(1, 3),
        external_clients: 0,
        sessions: rng.between(1, 3),
        operations: rng.between(operations.0, operations.1),
        pipeline: *rng.pick(&[1, 1, 2, 4, 16]),
        think_us: rng.below(4) * 10 * MS,
        keys: *rng.pick(&[1, 3, 8]),
        shares_links: rng.chance(300),
        makes_spaces: rng.chance(500),
        leases: true,
        rare: false,
    }
}
