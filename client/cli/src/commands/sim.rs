//! `bezant sim`: whole clusters on one thread, from seeds.
//!
//! The simulator is bezant-sim; here are the flags and the printing. A seed
//! that fails is printed with the command that repeats it.

use std::{ops::Range, path::PathBuf, time::Instant};

use bezant_sim::{
    Batch, Trace,
    report::{Outcome, Report},
    run_seed, run_seeds,
};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::{
    exit::{Exit, Failure},
    flags::Format,
    print::Printer,
};

/// Flags of `bezant sim`.
#[derive(Debug, Args)]
pub(crate) struct Sim {
    /// Seeds to run, the second one excluded
    #[arg(long, value_name = "A..B", value_parser = seeds, conflicts_with = "seed", required_unless_present = "seed")]
    seeds: Option<Range<u64>>,
    /// One seed to run
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Threads, each running seeds of its own; as many as there are processors unless given
    #[arg(long, value_name = "N", conflicts_with = "seed")]
    jobs: Option<usize>,
    /// Draws the seed's messages into an HTML file
    #[arg(long, value_name = "FILE", requires = "seed")]
    trace: Option<PathBuf>,
    /// Runs every seed twice and compares everything that happened
    #[arg(long)]
    twice: bool,
}

/// Parses `A..B`.
fn seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text:?} names no seeds; write for example 0..1000");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let from: u64 = from.parse().map_err(|_| wrong())?;
    let to: u64 = to.parse().map_err(|_| wrong())?;
    if from < to {
        Ok(from..to)
    } else {
        Err(wrong())
    }
}

impl Sim {
    pub(crate) fn run(self, printer: &Printer) -> Result<Exit, Failure> {
        match (self.seed, self.seeds.clone()) {
            (Some(seed), _) => self.one(seed, printer),
            (None, Some(seeds)) => self.many(seeds, printer),
            (None, None) => Err(Failure::usage("no seeds were named").next("give --seeds A..B")),
        }
    }

    fn one(&self, seed: u64, printer: &Printer) -> Result<Exit, Failure> {
        let trace = match (&self.trace, self.twice) {
            (Some(_), _) => Some(Trace::drawing()),
            (None, true) => Some(Trace::digesting()),
            (None, false) => None,
        };
        let (report, trace) = run_seed(seed, trace);
        if let (Some(file), Some(trace)) = (&self.trace, trace) {
            let html = trace.chart(&report);
            std::fs::write(file, html).map_err(|error| {
                Failure::error(format!("the chart cannot be written: {error}"))
                    .at(file.display().to_string())
            })?;
            printer.note(&format!("wrote {}", file.display()));
        }
        if self.twice {
            let (again, _) = run_seed(seed, Some(Trace::digesting()));
            if again.digest != report.digest || again.outcome != report.outcome {
                return Err(differs(seed));
            }
        }
        if printer.is_json() {
            printer.json(&report)?;
        } else {
            print_one(&report, printer)?;
        }
        failure_of(&report).map_or(Ok(Exit::Ok), Err)
    }

    fn many(&self, seeds: Range<u64>, printer: &Printer) -> Result<Exit, Failure> {
        let jobs = self
            .jobs
            .or_else(|| std::thread::available_parallelism().ok().map(Into::into))
            .unwrap_or(1);
        let bar = printer
            .shows_progress()
            .then(|| bar(seeds.end - seeds.start));
        let began = Instant::now();
        let batch = run_seeds(seeds, jobs, self.twice, &|progress| {
            if let Some(bar) = &bar {
                bar.set_position(progress.seeds);
                bar.set_message(format!("{} decided", progress.decided));
            }
        });
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        print_many(&batch, began.elapsed().as_secs_f64(), printer)?;
        if let Some(report) = batch.failed.first() {
            return failure_of(report).map_or(Ok(Exit::Error), Err);
        }
        let blanks = batch.blanks();
        if blanks.is_empty() {
            return Ok(Exit::Ok);
        }
        Err(
            Failure::error(format!("chosen and never struck: {}", blanks.join(", ")))
                .next("what never strikes is not tested; see why it does not"),
        )
    }
}

fn bar(seeds: u64) -> ProgressBar {
    let bar = ProgressBar::new(seeds);
    if let Ok(style) = ProgressStyle::with_template("{pos}/{len} seeds {wide_bar} {msg} {eta}") {
        bar.set_style(style);
    }
    bar
}

fn differs(seed: u64) -> Failure {
    Failure::error(format!("seed {seed} ran differently the second time"))
        .next("something in the simulation depends on more than the seed: a clock, an address, a hash map")
}

fn failure_of(report: &Report) -> Option<Failure> {
    if report.outcome == Outcome::Passed {
        return None;
    }
    let seed = report.seed;
    Some(
        Failure::error(format!("seed {seed}, n = {}: {}", report.n, report.outcome)).next(format!(
            "repeat it with: bezant sim --seed {seed} --trace {seed}.html"
        )),
    )
}

fn print_one(report: &Report, printer: &Printer) -> Result<(), Failure> {
    let figures = &report.figures;
    let mut rows = vec![
        vec!["replicas".to_owned(), report.n.to_string()],
        vec!["decided".to_owned(), figures.decided.to_string()],
        vec!["requests".to_owned(), figures.requests.to_string()],
        vec!["events".to_owned(), figures.events.to_string()],
        vec![
            "answers checked".to_owned(),
            figures.answers_checked.to_string(),
        ],
        vec![
            "virtual time".to_owned(),
            format!("{} ms", figures.virtual_us / 1000),
        ],
    ];
    if let Some(digest) = &report.digest {
        rows.push(vec!["digest".to_owned(), digest.clone()]);
    }
    printer.table(&[&format!("seed {}", report.seed), ""], rows)
}

fn print_many(batch: &Batch, seconds: f64, printer: &Printer) -> Result<(), Failure> {
    let document = document(batch, seconds);
    match printer.format {
        Format::Json | Format::Jsonl => printer.json(&document),
        Format::Raw | Format::Table => {
            let mut rows = Vec::new();
            for (name, value) in document.as_object().into_iter().flatten() {
                match value {
                    Value::Object(parts) => {
                        for (part, value) in parts {
                            rows.push(vec![format!("{name} {part}"), plain(value)]);
                        }
                    }
                    value => rows.push(vec![name.clone(), plain(value)]),
                }
            }
            printer.table(&["simulated", ""], rows)
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Object(tally) => tally
            .iter()
            .map(|(name, value)| format!("{value} {name}"))
            .collect::<Vec<_>>()
            .join(", "),
        Value::Number(number) => number
            .as_f64()
            .filter(|_| number.is_f64())
            .map_or_else(|| number.to_string(), |rate| format!("{rate:.1}")),
        other => other.to_string(),
    }
}

fn document(batch: &Batch, seconds: f64) -> Value {
    let stuck = |report: &&Report| matches!(report.outcome, Outcome::Stuck(_));
    let stuck = batch.failed.iter().filter(stuck).count();
    #[expect(clippy::cast_precision_loss, reason = "a rate is for people")]
    let rate = |count: u64| count as f64 / seconds.max(1e-9);
    let figures = &batch.figures;
    json!({
        "seeds": batch.seeds,
        "seeds_n7_or_more": batch.large,
        "seeds_real_signatures": batch.real,
        "commits": figures.decided,
        "requests": figures.requests,
        "events": figures.events,
        "messages": figures.messages,
        "answers_checked": figures.answers_checked,
        "black_box": figures.black_box,
        "views_entered": figures.views,
        "states_installed": figures.installs,
        "restarts": figures.restarts,
        "faults": batch.hits.faults,
        "adversaries": batch.hits.adversaries,
        "occasions": batch.occasions,
        "evidence": figures.proofs,
        "convicted": batch.hits.convicted,
        "violations": batch.failed.len() - stuck,
        "stuck": stuck,
        "seeds_per_s": rate(batch.seeds),
        "events_per_s": rate(figures.events),
        "verifications": figures.verifications,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_range_that_is_not_empty() {
        assert_eq!(seeds("0..10"), Ok(0..10));
        for wrong in ["", "5", "5..5", "9..1", "a..b", "..3"] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }
}
