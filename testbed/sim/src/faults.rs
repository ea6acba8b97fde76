//! The kinds of faults of network, machines and clocks, and how often each struck.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::adversaries::Kind;

/// What may go wrong without anybody's bad will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// A message is lost.
    Loss,
    /// A message arrives twice.
    Duplicate,
    /// A message arrives before one that was sent earlier over the same link.
    Overtake,
    /// A message meets a cut between two groups.
    Partition,
    /// A machine stands still and goes on later.
    Freeze,
    /// A machine loses all that is not durable and starts again from its records.
    Crash,
    /// A machine loses its disk, too, and starts again without a memory.
    Amnesia,
    /// A machine's time of day is off, and its clock runs too fast or too slow.
    Skew,
    /// A machine's time of day jumps, and is put right later, or never.
    ClockJump,
    /// A vote waits for its record to become durable.
    SlowDisk,
    /// A disk fails at a sync, and its machine stops.
    DiskFailure,
    /// A message between a client and a replica is lost.
    ClientLoss,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Loss,
        Self::Duplicate,
        Self::Overtake,
        Self::Partition,
        Self::Freeze,
        Self::Crash,
        Self::Amnesia,
        Self::Skew,
        Self::ClockJump,
        Self::SlowDisk,
        Self::DiskFailure,
        Self::ClientLoss,
    ];
}

/// How often something was chosen for a run, and how often it struck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Seeds that chose it.
    pub seeds: u64,
    /// Times it changed something.
    pub hits: u64,
}

/// What struck, of one run or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hits {
    /// Of each fault.
    pub faults: BTreeMap<Fault, Tally>,
    /// Of each kind of adversary.
    pub adversaries: BTreeMap<Kind, Tally>,
    /// Runs in which a correct replica came by proof against one of that kind.
    pub convicted: BTreeMap<Kind, u64>,
}

impl Hits {
    /// A fault was chosen for this run.
    pub fn choose(&mut self, fault: Fault) {
        self.faults.entry(fault).or_default().seeds = 1;
    }

    /// A fault struck.
    pub fn hit(&mut self, fault: Fault) {
        self.faults.entry(fault).or_default().hits += 1;
    }

    /// An adversary did `hits` wrongs in this run.
    pub fn adversary(&mut self, kind: Kind, hits: u64) {
        let tally = self.adversaries.entry(kind).or_default();
        tally.seeds = 1;
        tally.hits += hits;
    }

    /// An adversary was convicted in this run.
    pub fn convict(&mut self, kind: Kind) {
        self.convicted.insert(kind, 1);
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (kind, seeds) in &other.convicted {
            *self.convicted.entry(*kind).or_default() += seeds;
        }
        for (fault, tally) in &other.faults {
            self.faults.entry(*fault).or_default().add(*tally);
        }
        for (kind, tally) in &other.adversaries {
            self.adversaries.entry(*kind).or_default().add(*tally);
        }
    }
}

impl Tally {
    const fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.hits += other.hits;
    }

    /// Chosen often enough to strike, and it never did: what was to be tested was not.
    #[must_use]
    pub const fn is_blank(self) -> bool {
        self.seeds >= 20 && self.hits == 0
    }
}
