//! Reports of one run and of many.

use std::fmt;

use serde::Serialize;

use crate::{faults::Hits, occasions::Occasions};

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Its name.
    pub rule: String,
    /// What was found.
    pub what: String,
    /// When, in virtual microseconds.
    pub at_us: u64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All work was done and every rule kept.
    Passed,
    /// A rule was broken.
    Violated(Violation),
    /// Work was left after the bound; what.
    Stuck(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Violated(Violation { rule, what, at_us }) => {
                write!(f, "rule {rule} broken at {} ms: {what}", at_us / 1000)
            }
            Self::Stuck(reason) => write!(f, "stuck: {reason}"),
        }
    }
}

/// What was counted in one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Numbers decided, once per cluster.
    pub decided: u64,
    /// Requests in them.
    pub requests: u64,
    /// Events.
    pub events: u64,
    /// Messages between replicas.
    pub messages: u64,
    /// Answers clients accepted.
    pub answers: u64,
    /// Answers in the check of linearizability.
    pub answers_checked: u64,
    /// The check of linearizability that does not know the agreed order.
    pub black_box: BlackBox,
    /// Signatures checked, stubs or real.
    pub verifications: u64,
    /// Suspicions of a primary.
    pub suspicions: u64,
    /// Faults of others that replicas noticed.
    pub blames: u64,
    /// Pieces of evidence that correct replicas came by.
    pub proofs: u64,
    /// Views that correct replicas entered.
    pub views: u64,
    /// States taken over from peers.
    pub installs: u64,
    /// Restarts from records.
    pub restarts: u64,
    /// Requests refused because there was no room.
    pub busy: u64,
    /// Virtual time that passed.
    pub virtual_us: u64,
}

/// What the search for an order of the clients' history did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlackBox {
    /// Histories for which it found an order.
    pub decided: u64,
    /// Histories given up: not passed, not failed.
    pub undecided: u64,
    /// Histories not searched, because somebody's part in them is not known.
    pub unseen: u64,
    /// Operations in the histories searched.
    pub operations: u64,
    /// Stretches of them between two quiet moments.
    pub windows: u64,
    /// Operations in the largest of these.
    pub largest_window: u64,
    /// Places the searches visited.
    pub places: u64,
}

impl BlackBox {
    const fn add(&mut self, other: &Self) {
        self.decided += other.decided;
        self.undecided += other.undecided;
        self.unseen += other.unseen;
        self.operations += other.operations;
        self.windows += other.windows;
        if other.largest_window > self.largest_window {
            self.largest_window = other.largest_window;
        }
        self.places += other.places;
    }
}

impl Figures {
    /// Adds another run's.
    pub const fn add(&mut self, other: &Self) {
        self.decided += other.decided;
        self.requests += other.requests;
        self.events += other.events;
        self.messages += other.messages;
        self.answers += other.answers;
        self.answers_checked += other.answers_checked;
        self.black_box.add(&other.black_box);
        self.verifications += other.verifications;
        self.suspicions += other.suspicions;
        self.blames += other.blames;
        self.proofs += other.proofs;
        self.views += other.views;
        self.installs += other.installs;
        self.restarts += other.restarts;
        self.busy += other.busy;
        self.virtual_us += other.virtual_us;
    }
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Replicas.
    pub n: u8,
    /// Whether signatures were real.
    pub real_signatures: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// What was counted.
    pub figures: Figures,
    /// What struck.
    pub hits: Hits,
    /// Which rules were exercised.
    pub occasions: Occasions,
    /// Of everything that happened, if it was asked for.
    pub digest: Option<String>,
}
