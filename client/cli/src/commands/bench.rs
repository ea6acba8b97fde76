//! `bezant bench`: throughput and latency, on processes of its own or a given cluster.
//!
//! The workloads and the measuring are bezant-lab's; here are the flags and
//! the printing. Only a cluster that was named by flag or environment is
//! measured: a current context is not, so that nobody loads a cluster by accident.

mod attacks;

use std::{path::PathBuf, time::Duration};

use bezant_lab::{
    bench::{self, Blow, Connections, Mode, Op, Options, Replicas, Report, Strike},
    local::view,
};
use bezant_node::StorageKind;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use self::attacks::{AttackArg, Attacks};
use crate::{
    connect,
    event_loop::block_on,
    exit::{Exit, Failure},
    flags::{Format, Global},
    print::Printer,
    target::Target,
};

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(200);

/// Flags of `bezant bench`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// What to measure
    #[arg(value_enum)]
    op: Workload,
    /// Clients, each with one operation under way
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: u32,
    /// How long to measure
    #[arg(long, value_name = "S", default_value_t = 8.0)]
    seconds: f64,
    /// How long to run before measuring
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    warmup: f64,
    /// Payload of a tuple
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    size: usize,
    /// Tuples to read among, for rdp
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=3_000_000))]
    preload: u32,
    /// Whether every client has its own connections, or all share one per replica
    #[arg(long, value_enum, default_value_t = Sharing::Each)]
    connections: Sharing,
    /// The space to work in; made if it does not exist
    #[arg(long, value_name = "NAME", default_value = "bench")]
    space: String,
    /// How a recipe is done; by an extension if there is one and nothing is said
    #[arg(long, value_enum)]
    mode: Option<ModeArg>,
    /// Where the replicas keep their log; only for a cluster that bench starts itself
    #[arg(long, value_enum, default_value_t = Keeping::Memory, conflicts_with_all = ["cluster", "context"])]
    storage: Keeping,
    /// What happens to the replicas in the midst of it; only for pair, on a cluster that bench
    /// starts itself
    #[arg(long, value_enum, value_name = "FAULT", conflicts_with_all = ["cluster", "context"])]
    fault: Option<Harm>,
    /// When, counted from the beginning of the measurement; a third of it if nothing is said
    #[arg(long, value_name = "S", requires = "fault")]
    fault_at: Option<f64>,
    /// What faulty replicas or clients do after it, for as long again; only for pair, on a
    /// cluster that bench starts itself. Several, each on a cluster of its own, are compared
    #[arg(long, value_enum, value_name = "ATTACK", value_delimiter = ',', conflicts_with_all = ["cluster", "context", "fault"])]
    attack: Vec<AttackArg>,
    /// How long the attack lasts; as long as the measurement before it if nothing is said
    #[arg(long, value_name = "S", requires = "attack")]
    attack_seconds: Option<f64>,
    /// How long to measure after the attack
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    attack_after: f64,
    /// The share of one processor that attackers may take which take all they can, on top of
    /// what a replica takes anyway
    #[arg(long, value_name = "PERCENT", default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=100))]
    attack_share: u8,
    /// How often each attack is measured
    #[arg(long, value_name = "N", default_value_t = 1, requires = "attack", value_parser = clap::value_parser!(u16).range(1..=100))]
    attack_runs: u16,
    /// Busy loops beside it, which take processor time and do nothing
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1024))]
    busy: u16,
}

/// The workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Workload {
    /// Put tuples
    Out,
    /// Read by an exact key
    Rdp,
    /// Take by an exact key
    Inp,
    /// Put a tuple and take it again: two operations
    Pair,
    /// Add one to a counter that all clients share
    Counter,
    /// Add to a queue that all clients share, and take its head
    Queue,
    /// Pass a barrier together with all clients
    Barrier,
    /// Be elected, and step down at once
    Election,
}

/// What clients share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sharing {
    /// Every client its own key, session and connections
    Each,
    /// Every client its own key and session, over one connection per replica
    Shared,
}

/// Where replicas keep their log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Keeping {
    /// In memory
    Memory,
    /// On disk, durable before anything that builds on it is said
    Sync,
}

/// What happens to the replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Harm {
    /// The primary's process is killed
    Kill,
    /// The primary's process is frozen, and goes on after half of the time that is left
    Stop,
    /// The primary proposes something else, properly signed, to every backup
    Equivocate,
    /// All processes are killed and started again; needs --storage sync
    KillAll,
}

/// How a recipe is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ModeArg {
    /// By plain calls, with retries, as the paper's authors did
    Plain,
    /// By plain calls, as well as we know
    BestPlain,
    /// By one call that an extension answers
    Extension,
    /// In all these forms one after the other, to compare
    Both,
}

impl Bench {
    pub(crate) fn run(self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        let options = self.options(global)?;
        if self.mode_arg() == ModeArg::Both {
            return compare(&options, global, printer);
        }
        let runs = self.attacks(&options);
        if let Some(attacks) = runs.filter(Attacks::are_several) {
            return self.compare_attacks(&attacks, &options, printer);
        }
        let named = global.cluster.is_some() || global.context.is_some();
        let target = named.then(|| Target::resolve(global)).transpose()?;
        let report = block_on(async {
            let measured = async {
                let measured = match &target {
                    Some(target) => bench::run(&view(&target.cluster), &options).await,
                    None => bench::run_on_own_cluster(own_binary()?, &options).await,
                };
                measured.map_err(|error| failure_of(&error))
            };
            with_progress(measured, &options, printer).await
        })?;
        print(&report, printer)?;
        Ok(judge(&report, printer))
    }

    /// The attacks that were asked for, if any.
    fn attacks(&self, options: &Options) -> Option<Attacks> {
        let attacks = Attacks {
            attacks: AttackArg::all(&self.attack),
            runs: self.attack_runs,
            seconds: self.attack_seconds.unwrap_or(options.seconds),
            after: self.attack_after,
            share: self.attack_share,
        };
        (!attacks.attacks.is_empty()).then_some(attacks)
    }

    /// Measures several attacks, or one several times.
    fn compare_attacks(
        &self,
        attacks: &Attacks,
        options: &Options,
        printer: &Printer,
    ) -> Result<Exit, Failure> {
        let mut exit = Exit::Ok;
        let mut reports = Vec::new();
        for attack in &attacks.attacks {
            for run in 1..=attacks.runs {
                let options = Options {
                    assault: Some(attacks.assault(*attack)),
                    ..options.clone()
                };
                printer.note(&format!("{}, run {run} of {}", attack.name(), attacks.runs));
                let report = block_on(async {
                    let measured = bench::run_on_own_cluster(own_binary()?, &options).await;
                    measured.map_err(|error| failure_of(&error))
                })?;
                if judge(&report, printer) != Exit::Ok {
                    exit = Exit::Error;
                }
                reports.push(report);
            }
        }
        attacks::print(&reports, printer)?;
        Ok(exit)
    }

    fn mode_arg(&self) -> ModeArg {
        self.mode.unwrap_or(ModeArg::Extension)
    }

    fn options(&self, global: &Global) -> Result<Options, Failure> {
        let sound = |seconds: f64| seconds.is_finite() && (0.0..=86_400.0).contains(&seconds);
        if !sound(self.seconds) || !sound(self.warmup) || self.seconds == 0.0 {
            return Err(Failure::usage("the times make no measurement")
                .next("use more than no and at most 86400 --seconds, and no negative --warmup"));
        }
        let attacked = self.attack_seconds.is_none_or(sound) && sound(self.attack_after);
        if !attacked {
            return Err(
                Failure::usage("the times of the attack make no measurement")
                    .next("use at most 86400 --attack-seconds and --attack-after"),
            );
        }
        let clients = usize::try_from(self.clients).unwrap_or(usize::MAX);
        let options = Options {
            op: match self.op {
                Workload::Out => Op::Out,
                Workload::Rdp => Op::Rdp,
                Workload::Inp => Op::Inp,
                Workload::Pair => Op::Pair,
                Workload::Counter => Op::Counter,
                Workload::Queue => Op::Queue,
                Workload::Barrier => Op::Barrier,
                Workload::Election => Op::Election,
            },
            mode: match self.mode_arg() {
                ModeArg::Plain => Mode::Plain,
                ModeArg::BestPlain => Mode::BestPlain,
                ModeArg::Extension | ModeArg::Both => Mode::Extension,
            },
            clients,
            seconds: self.seconds,
            warmup: self.warmup,
            size: self.size,
            preload: usize::try_from(self.preload).unwrap_or(usize::MAX),
            space: self.space.clone(),
            storage: match self.storage {
                Keeping::Memory => StorageKind::Memory,
                Keeping::Sync => StorageKind::Sync,
            },
            connections: match self.connections {
                Sharing::Each => Connections::Each,
                Sharing::Shared => Connections::Shared,
            },
            timeout: global.timeout,
            busy: usize::from(self.busy),
            strike: self.fault.map(|harm| Strike {
                blow: match harm {
                    Harm::Kill => Blow::Kill,
                    Harm::Stop => Blow::Stop,
                    Harm::Equivocate => Blow::Equivocate,
                    Harm::KillAll => Blow::KillAll,
                },
                at: self.fault_at.unwrap_or(self.seconds / 3.0),
            }),
            assault: None,
        };
        let attacks = self.attacks(&options);
        let first = attacks.and_then(|attacks| attacks.first());
        Ok(Options {
            assault: first,
            ..options
        })
    }
}

/// Whether what was acknowledged is there.
fn judge(report: &Report, printer: &Printer) -> Exit {
    let kept = |count: Option<u64>| count.is_none_or(|count| count == 0);
    match &report.replicas {
        Some(replicas) if !kept(replicas.lost) || !kept(replicas.doubled) => {
            printer.note("the space does not agree with what was acknowledged");
            Exit::Error
        }
        _ => Exit::Ok,
    }
}

/// Measures a recipe in all its forms.
fn compare(options: &Options, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
    let named = global.cluster.is_some() || global.context.is_some();
    let target = named.then(|| Target::resolve(global)).transpose()?;
    let whole = Options {
        // Of the bar: there are four measurements at most.
        seconds: 4.0 * options.seconds,
        warmup: 4.0 * options.warmup,
        ..options.clone()
    };
    let found = block_on(async {
        let measured = async {
            let measured = match &target {
                Some(target) => bench::compare(&view(&target.cluster), options).await,
                None => bench::compare_on_own_clusters(own_binary()?, options).await,
            };
            measured.map_err(|error| failure_of(&error))
        };
        with_progress(measured, &whole, printer).await
    })?;
    match printer.format {
        Format::Json | Format::Jsonl => printer.json(&found)?,
        Format::Raw => printer.line(&format!("{:.1}", found.ratio))?,
        Format::Table => {
            let forms = [
                ("plain, as the paper", Some(&found.plain), found.ratio),
                (
                    "plain, the best known",
                    found.best_plain.as_ref(),
                    found.ratio_best_plain,
                ),
                ("extension", Some(&found.extension), 1.0),
                ("inp alone", Some(&found.bare_inp), found.ratio_bare_inp),
            ];
            let rows = forms.into_iter().filter_map(|(name, report, ratio)| {
                let report = report?;
                Some(vec![
                    name.to_owned(),
                    format!("{:.0}", report.ops_per_s),
                    format!("{} µs", report.p50_us),
                    format!("{:.2}", report.calls_per_operation),
                    format!("{ratio:.2}"),
                ])
            });
            let head = ["form", "a second", "p50", "calls for each", "extension is"];
            printer.table(&head, rows.collect())?;
        }
    }
    Ok(Exit::Ok)
}

/// This program, to start replicas with.
fn own_binary() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| {
        Failure::error(format!("this program does not find its own file: {error}"))
    })
}

/// The failure that `error` is.
pub(crate) fn failure_of(error: &bench::BenchError) -> Failure {
    match error {
        bench::BenchError::Lab(error) => super::dev::failure_of(error),
        bench::BenchError::Client(error) => connect::failure_of(error),
        other => Failure::sentence(Exit::Usage, &other.to_string()),
    }
}

/// Runs `work` under a bar that shows how much of the time has passed.
async fn with_progress<T>(
    work: impl Future<Output = Result<T, Failure>>,
    options: &Options,
    printer: &Printer,
) -> Result<T, Failure> {
    if !printer.shows_progress() {
        return work.await;
    }
    let attack = options.assault.map_or(0.0, |a| a.seconds + a.after);
    let expected = Duration::from_secs_f64(options.seconds + options.warmup + attack);
    let ticks = expected.as_millis().div_ceil(TICK.as_millis().max(1));
    let bar = ProgressBar::new(u64::try_from(ticks).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message("measuring");
    let mut ticks = tokio::time::interval(TICK);
    tokio::pin!(work);
    loop {
        tokio::select! {
            result = &mut work => {
                bar.finish_and_clear();
                return result;
            }
            _ = ticks.tick() => bar.inc(1),
        }
    }
}

fn print(report: &Report, printer: &Printer) -> Result<(), Failure> {
    match printer.format {
        Format::Json | Format::Jsonl => printer.json(report),
        Format::Raw => printer.line(&format!("{:.0}", report.ops_per_s)),
        Format::Table => {
            let mut rows = rows(report);
            if let Some(replicas) = &report.replicas {
                rows.extend(rows_of_replicas(replicas));
            }
            if let Some(attacked) = &report.under_attack {
                rows.extend(attacks::rows(attacked));
            }
            let row = |(name, value): (&str, String)| vec![name.to_owned(), value];
            printer.table(&["measured", ""], rows.into_iter().map(row).collect())
        }
    }
}

/// What clients saw, and what came of a fault.
fn rows(report: &Report) -> Vec<(&'static str, String)> {
    let disagreed = |(replica, count): (&u8, &u64)| format!("{count} by replica {replica}");
    let disagreements: Vec<String> = report.disagreements.iter().map(disagreed).collect();
    let mut rows = vec![
        ("operations", report.ops.to_string()),
        ("a second", format!("{:.0}", report.ops_per_s)),
        ("p50", format!("{} µs", report.p50_us)),
        ("p99", format!("{} µs", report.p99_us)),
        ("longest", format!("{} µs", report.max_us)),
        (
            "calls for each",
            format!("{:.2}", report.calls_per_operation),
        ),
        ("errors", report.errors.to_string()),
        ("longest stall", format!("{} ms", report.longest_stall_ms)),
        (
            "disagreements",
            if disagreements.is_empty() {
                "none".to_owned()
            } else {
                disagreements.join(", ")
            },
        ),
    ];
    if let Some(struck) = &report.fault {
        let times = [
            ("replaced after", struck.replaced_ms),
            ("restarted after", struck.restart_ms),
            ("resumed after", struck.resumed_ms),
            ("caught up after", struck.caught_up_ms),
        ];
        let known = times.into_iter();
        rows.extend(known.filter_map(|(name, ms)| Some((name, format!("{} ms", ms?)))));
    }
    rows
}

/// What the replicas said of themselves.
fn rows_of_replicas(replicas: &Replicas) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("views entered", replicas.views_entered.to_string()),
        ("suspicions", replicas.suspicions.to_string()),
    ];
    for (name, count) in [("lost", replicas.lost), ("doubled", replicas.doubled)] {
        rows.extend(count.map(|count| (name, count.to_string())));
    }
    let Some(costs) = &replicas.costs else {
        return rows;
    };
    let figures = [
        ("requests a proposal", costs.requests_per_proposal),
        (
            "replica frames a proposal",
            costs.replica_frames_per_proposal,
        ),
        ("signatures a proposal", costs.signatures_per_proposal),
        (
            "commits checked a proposal",
            costs.commit_verifications_per_proposal,
        ),
        ("replica frames a request", costs.replica_frames_per_request),
        ("replica bytes a request", costs.replica_bytes_per_request),
        ("client frames a request", costs.client_frames_per_request),
        ("reply frames a request", costs.reply_frames_per_request),
        ("reply bytes a request", costs.reply_bytes_per_request),
        ("signatures a request", costs.signatures_per_request),
        ("verifications a request", costs.verifications_per_request),
        ("verifications a batch", costs.verifications_per_batch),
        ("records a request", costs.records_per_request),
        ("syncs a request", costs.syncs_per_request),
    ];
    rows.extend(figures.map(|(name, figure)| (name, format!("{figure:.2}"))));
    rows
}
