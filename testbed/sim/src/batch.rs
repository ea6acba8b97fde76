//! Many seeds on several threads, each seed on one.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use serde::Serialize;

use crate::{
    faults::{Hits, Tally},
    occasions::{OCCASION_SEEDS, Occasions},
    options::Options,
    report::{Figures, Outcome, Report, Violation},
    trace::Trace,
    world::World,
};

/// What many runs tell together.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Batch {
    /// Runs.
    pub seeds: u64,
    /// Runs with seven replicas or more.
    pub large: u64,
    /// Runs with real signatures.
    pub real: u64,
    /// What was counted.
    pub figures: Figures,
    /// What struck.
    pub hits: Hits,
    /// Which rules were exercised.
    pub occasions: Occasions,
    /// Runs that did not pass, by seed.
    pub failed: Vec<Report>,
}

/// How far a batch has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Seeds run.
    pub seeds: u64,
    /// Numbers decided in them.
    pub decided: u64,
}

impl Batch {
    fn add(&mut self, report: Report) {
        self.seeds += 1;
        self.large += u64::from(report.n >= 7);
        self.real += u64::from(report.real_signatures);
        self.figures.add(&report.figures);
        self.hits.add(&report.hits);
        self.occasions.add(&report.occasions);
        if report.outcome != Outcome::Passed {
            self.failed.push(report);
            self.failed.sort_by_key(|report| report.seed);
        }
    }

    /// What was chosen often and never struck, and the rules that were never exercised although
    /// there were seeds enough, by name: that was not tested.
    #[must_use]
    pub fn blanks(&self) -> Vec<String> {
        let faults = self
            .hits
            .faults
            .iter()
            .map(|(fault, tally)| (format!("{fault:?}"), tally));
        let kinds = self
            .hits
            .adversaries
            .iter()
            .map(|(kind, tally)| (format!("{kind:?}"), tally));
        let blank = |(name, tally): (String, &Tally)| tally.is_blank().then_some(name);
        let mut blanks: Vec<String> = faults.chain(kinds).filter_map(blank).collect();
        if self.seeds >= OCCASION_SEEDS {
            let never = self.occasions.all().filter(|(_, came)| came.hits == 0);
            blanks.extend(never.map(|(occasion, _)| format!("{occasion:?}")));
        }
        blanks
    }
}

/// Runs one seed; a panic inside of it is a broken rule, too.
#[must_use]
pub fn run_seed(seed: u64, trace: Option<Trace>) -> (Report, Option<Trace>) {
    let options = Options::draw(seed);
    let (n, real_signatures) = (options.n, options.real_signatures);
    let run = catch_unwind(AssertUnwindSafe(|| World::new(seed, options, trace).run()));
    run.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        let violation = Violation {
            rule: "no-panic".to_owned(),
            what: text,
            at_us: 0,
        };
        let report = Report {
            seed,
            n,
            real_signatures,
            outcome: Outcome::Violated(violation),
            figures: Figures::default(),
            hits: Hits::default(),
            occasions: Occasions::default(),
            digest: None,
        };
        (report, None)
    })
}

/// Runs one seed twice: a difference is a broken rule.
fn run_twice(seed: u64) -> Report {
    let run = || run_seed(seed, Some(Trace::digesting())).0;
    let (mut first, second) = (run(), run());
    if first != second && first.outcome == Outcome::Passed {
        first.outcome = Outcome::Violated(Violation {
            rule: "same-seed-same-run".to_owned(),
            what: "it ran differently the second time".to_owned(),
            at_us: 0,
        });
    }
    first
}

/// Runs `seeds` on `jobs` threads until one does not pass, and tells `progress` of each.
#[must_use]
pub fn run_seeds(
    seeds: Range<u64>,
    jobs: usize,
    twice: bool,
    progress: &(dyn Fn(Progress) + Sync),
) -> Batch {
    let next = AtomicU64::new(seeds.start);
    let failed = AtomicBool::new(false);
    let batch = Mutex::new(Batch::default());
    let lock = || {
        batch
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let report = if twice {
                        run_twice(seed)
                    } else {
                        run_seed(seed, None).0
                    };
                    if report.outcome != Outcome::Passed {
                        failed.store(true, Ordering::Relaxed);
                    }
                    let mut batch = lock();
                    batch.add(report);
                    let (seeds, decided) = (batch.seeds, batch.figures.decided);
                    drop(batch);
                    progress(Progress { seeds, decided });
                }
            });
        }
    });
    batch
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
