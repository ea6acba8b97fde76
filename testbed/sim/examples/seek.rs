//! Looks for a seed that breaks one named rule: `seek RULE A..B`.
//!
//! The planted bugs of testbed/mutants name the rule that must notice them. Seeds
//! that fail for another reason are passed over, and counted; `any` stands for
//! every rule. `stuck` is the rule that all work is done in the end.

use std::{
    ops::Range,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bezant_sim::{report::Outcome, run_seed};

fn seeds(text: &str) -> Option<Range<u64>> {
    let (from, to) = text.split_once("..")?;
    Some(from.parse().ok()?..to.parse().ok()?)
}

/// The rule that a run broke, and how.
fn broken(outcome: &Outcome) -> Option<(&str, &str)> {
    match outcome {
        Outcome::Passed => None,
        Outcome::Violated(violation) => Some((&violation.rule, &violation.what)),
        Outcome::Stuck(reason) => Some(("stuck", reason)),
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [rule, range] = words.as_slice() else {
        eprintln!("usage: seek RULE A..B");
        return ExitCode::from(2);
    };
    let Some(range) = seeds(range) else {
        eprintln!("{range:?} names no seeds; write for example 0..100");
        return ExitCode::from(2);
    };
    // A broken rule inside a replica's thread is an outcome here, not news.
    std::panic::set_hook(Box::new(|_| {}));
    let next = AtomicU64::new(range.start);
    let found = AtomicBool::new(false);
    let lines = Mutex::new(Vec::new());
    let jobs = std::thread::available_parallelism().map_or(1, Into::into);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while !found.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= range.end {
                        return;
                    }
                    let (report, _) = run_seed(seed, None);
                    let Some((name, what)) = broken(&report.outcome) else {
                        continue;
                    };
                    let what = what.lines().next().unwrap_or_default();
                    let line = format!("seed {seed} breaks {name}: {what}");
                    lines
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(line);
                    if name == rule || rule == "any" {
                        found.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    for line in lines.into_inner().unwrap_or_else(PoisonError::into_inner) {
        println!("{line}");
    }
    if found.into_inner() {
        return ExitCode::FAILURE;
    }
    println!("no seed of {}..{} breaks {rule}", range.start, range.end);
    ExitCode::SUCCESS
}
