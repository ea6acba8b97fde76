//! The load generator: closed loop, warm-up apart, latencies in a histogram.
//!
//! Each client has one operation under way at a time. Signing, voting and the
//! check of the answer lie inside the measured time of an operation. What
//! happens in the warm-up is thrown away. A closed loop measures what its own
//! clients see; it does not correct for coordinated omission, since no client
//! intends to send while it waits.

mod attack;
mod attackers;
mod busy;
mod comparison;
mod costs;
mod inventory;
mod pulse;
mod recipes;
mod simple;
mod strike;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use bezant_client::{Client, ClusterView, Error, Network, SigningKey};
use bezant_node::{NodeStatus, StorageKind};
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::sync::watch;

pub use self::{
    attack::{After, Assault, Attack, Attacked, Attacker, ReplicaAttack},
    comparison::{Comparison, compare, compare_on_own_clusters},
    costs::Costs,
    strike::{Blow, Strike, Struck},
};
use self::{
    attack::{Attempt, Endured},
    busy::Busy,
    inventory::{Audit, Inventory},
    pulse::Pulse,
};
use crate::local::{LabError, LocalOptions, ProcessCluster, fresh_key};

/// How long a client waits for an answer unless told otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Op {
    /// Inserting.
    Out,
    /// Reading by an exact key.
    Rdp,
    /// Taking by an exact key.
    Inp,
    /// An insertion and the taking of the same tuple: two operations.
    Pair,
    /// Adding one to a counter shared by all clients.
    Counter,
    /// Adding to and removing the head from a queue shared by all clients.
    Queue,
    /// Passing a barrier together with all clients.
    Barrier,
    /// Being elected, and stepping down at once.
    Election,
}

impl Op {
    /// Whether it is a recipe, which is done in one [`Mode`] or another.
    #[must_use]
    pub const fn is_recipe(self) -> bool {
        matches!(
            self,
            Self::Counter | Self::Queue | Self::Barrier | Self::Election
        )
    }
}

/// How a recipe is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Mode {
    /// By plain calls, with retries, as the paper's authors did.
    #[default]
    Plain,
    /// By plain calls, as well as we know.
    BestPlain,
    /// By one call that an extension answers.
    Extension,
}

/// How clients share what lies under them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Connections {
    /// Every client its own key, session, socket and connections.
    #[default]
    Each,
    /// Every client its own key and session over one connection per replica.
    Shared,
}

/// What to measure, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The workload.
    pub op: Op,
    /// For [recipes](Op::is_recipe).
    pub mode: Mode,
    /// Clients with one operation under way each.
    pub clients: usize,
    /// How long is measured.
    pub seconds: f64,
    /// How long before.
    pub warmup: f64,
    /// Bytes of payload in a tuple.
    pub size: usize,
    /// For [`Op::Rdp`]: how many tuples there are, any of which is read; one for each client
    /// if that is more.
    pub preload: usize,
    /// What clients share.
    pub connections: Connections,
    /// The space everything happens in; made if it does not exist.
    pub space: String,
    /// Where replicas keep their log, on a cluster of the benchmark's own.
    pub storage: StorageKind,
    /// How long a client waits for an answer before it counts as an error.
    pub timeout: Duration,
    /// Threads beside the measurement that take processor time and do nothing.
    pub busy: usize,
    /// A fault of the replicas in the midst, for [`Op::Pair`] on a cluster of the benchmark's
    /// own.
    pub strike: Option<Strike>,
    /// An attack after it, for [`Op::Pair`] on a cluster of the benchmark's own.
    pub assault: Option<Assault>,
}

/// What was measured. The names are stable.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The workload.
    pub op: Op,
    /// How recipes were done; nothing for simple operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Clients.
    pub clients: usize,
    /// What they shared.
    pub connections: Connections,
    /// Bytes of payload.
    pub size: usize,
    /// Tuples that are read, for [`Op::Rdp`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preload: Option<usize>,
    /// Seconds measured.
    pub seconds: f64,
    /// Operations completed in that time.
    pub ops: u64,
    /// Operations per second.
    pub ops_per_s: f64,
    /// Median latency in microseconds.
    pub p50_us: u64,
    /// 99th percentile of latency in microseconds.
    pub p99_us: u64,
    /// Longest latency in microseconds.
    pub max_us: u64,
    /// Calls of the service per completed operation.
    pub calls_per_operation: f64,
    /// Operations that failed.
    pub errors: u64,
    /// The longest time in which no operation of any client completed, in milliseconds.
    pub longest_stall_ms: u64,
    /// Answers that differed from what f+1 replicas said, by replica.
    pub disagreements: BTreeMap<u8, u64>,
    /// What replicas of the benchmark's own said of themselves.
    #[serde(flatten)]
    pub replicas: Option<Replicas>,
    /// What came of the fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Struck>,
    /// What came of an attack after all that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under_attack: Option<Attacked>,
}

/// What replicas of the benchmark's own counted. The names are stable.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Replicas {
    /// Views entered after the first, by the replica that entered most of them.
    pub views_entered: u64,
    /// Times a replica suspected the primary.
    pub suspicions: u64,
    /// For [`Op::Pair`]: tuples whose insertion was acknowledged and that were not there to
    /// be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
    /// For [`Op::Pair`]: tuples that were there at the end although they had been taken, or
    /// were there twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubled: Option<u64>,
    /// What a request cost them; nothing in a measurement with a fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub costs: Option<Costs>,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The cluster did not start.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// A client could not be set up.
    #[error(transparent)]
    Client(#[from] Error),
    /// The numbers make no measurement.
    #[error("{0}")]
    Options(&'static str),
    /// The fault did not take place.
    #[error("the fault could not be brought about: {0}")]
    Fault(String),
}

/// What the operations of a time count for, one time after the other. What comes before all
/// of them, 0, counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// The measurement.
    Measured = 1,
    /// Nothing, while it is looked at how the replicas stand.
    Between,
    /// What is done under an attack.
    Attacked,
    /// The throughput after it.
    After,
}

/// Counts shared by the clients of one run.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pulse: Pulse,
    /// A [`Phase`].
    phase: AtomicU8,
    stop: watch::Sender<bool>,
}

impl Counts {
    fn begin(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// The phase that it is in, as a number.
    fn phase(&self) -> u8 {
        self.phase.load(Ordering::Relaxed)
    }

    pub(crate) fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    pub(crate) async fn until_stopped(&self) {
        let mut stop = self.stop.subscribe();
        // The sender is here: it cannot be gone.
        let _gone = stop.wait_for(|stop| *stop).await;
    }
}

/// What one client measured.
#[derive(Debug)]
pub(crate) struct Tally {
    counts: Arc<Counts>,
    latencies: Histogram<u64>,
    errors: u64,
    /// Latencies under an attack.
    attacked: Histogram<u64>,
    errors_under_attack: u64,
    pub(crate) inventory: Inventory,
}

impl Tally {
    fn new(counts: Arc<Counts>) -> Result<Self, BenchError> {
        Ok(Self {
            counts,
            latencies: histogram()?,
            errors: 0,
            attacked: histogram()?,
            errors_under_attack: 0,
            inventory: Inventory::default(),
        })
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Measures one operation; `f` says whether its answer was as it had to be.
    pub(crate) async fn measure(&mut self, f: impl Future<Output = Result<bool, Error>>) {
        let began_in = self.counts.phase();
        let begun = Instant::now();
        let good = matches!(f.await, Ok(true));
        let us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        if good {
            self.counts.pulse.beat();
        }
        // An operation counts if it began and ended within the measured time; for an attack if
        // it was under way at any moment of it, so that one that was held up counts.
        let ended_in = self.counts.phase();
        let (measured, attacked) = (Phase::Measured as u8, Phase::Attacked as u8);
        let (latencies, errors) = if (began_in, ended_in) == (measured, measured) {
            (&mut self.latencies, &mut self.errors)
        } else if began_in <= attacked && ended_in >= attacked {
            (&mut self.attacked, &mut self.errors_under_attack)
        } else {
            return;
        };
        if good {
            latencies.saturating_record(us.max(1));
        } else {
            *errors += 1;
        }
    }
}

/// One minute at three digits; longer latencies count as the longest.
fn histogram() -> Result<Histogram<u64>, BenchError> {
    Histogram::new_with_bounds(1, 60_000_000, 3)
        .map_err(|_| BenchError::Options("the histogram's bounds are wrong"))
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Measures on four replica processes started from `binary`.
///
/// # Errors
/// [`BenchError`].
pub async fn run_on_own_cluster(binary: PathBuf, options: &Options) -> Result<Report, BenchError> {
    check(options, true)?;
    let started = LocalOptions {
        admin: true,
        allow_faults: options.strike.is_some() || options.assault.is_some(),
        storage: options.storage,
        ..LocalOptions::default()
    };
    let cluster = ProcessCluster::start(&binary, &started)?;
    let view = cluster.view();
    measure(&view, Some(cluster), options).await
}

/// Measures on a running cluster.
///
/// # Errors
/// [`BenchError`].
pub async fn run(view: &ClusterView, options: &Options) -> Result<Report, BenchError> {
    check(options, false)?;
    measure(view, None, options).await
}

fn check(options: &Options, own: bool) -> Result<(), BenchError> {
    if options.clients == 0 || options.seconds <= 0.0 || options.warmup < 0.0 {
        return Err(BenchError::Options(
            "clients and seconds must be more than nothing",
        ));
    }
    recipes::check(options)?;
    if options.preload > 0 && options.op != Op::Rdp {
        return Err(BenchError::Options(
            "only rdp reads among many tuples; leave --preload out",
        ));
    }
    if let Some(Assault {
        seconds,
        after,
        share,
        ..
    }) = options.assault
    {
        if !own || options.op != Op::Pair || options.strike.is_some() {
            return Err(BenchError::Options(
                "an attack needs the workload pair and no other fault; only for that one is \
                 checked what was acknowledged",
            ));
        }
        if seconds <= 0.0 || after < 0.0 || !(1..=100).contains(&share) {
            return Err(BenchError::Options(
                "an attack takes more than no time, and from 1 to 100 percent of a processor",
            ));
        }
    }
    let Some(Strike { blow, at }) = options.strike else {
        return Ok(());
    };
    if !own || options.op != Op::Pair {
        return Err(BenchError::Options(
            "a fault needs the workload pair; only for that one is checked what was acknowledged",
        ));
    }
    if !(0.0..options.seconds).contains(&at) {
        return Err(BenchError::Options(
            "the fault lies outside the measurement; choose an earlier time or measure longer",
        ));
    }
    if blow == Blow::KillAll && options.storage == StorageKind::Memory {
        return Err(BenchError::Options(
            "replicas that vote in memory do not come back when all are killed; use --storage sync",
        ));
    }
    Ok(())
}

async fn measure(
    view: &ClusterView,
    own: Option<ProcessCluster>,
    options: &Options,
) -> Result<Report, BenchError> {
    let clients = connect(view, options).await?;
    let Some(first) = clients.first() else {
        return Err(BenchError::Options("clients must be more than nothing"));
    };
    prepare(first, &clients, options).await?;
    let counts = Arc::new(Counts::default());
    let mut tasks = tokio::task::JoinSet::new();
    for (index, client) in clients.iter().cloned().enumerate() {
        let tally = Tally::new(Arc::clone(&counts))?;
        let work = Work {
            index,
            client,
            options: options.clone(),
        };
        tasks.spawn(async move { (index, work.run(tally).await) });
    }
    let _busy = Busy::start(options.busy);
    tokio::time::sleep(Duration::from_secs_f64(options.warmup)).await;
    let mut window = window(own, options, &counts, &clients).await?;

    let mut total = Tally::new(Arc::clone(&counts))?;
    let mut inventories = BTreeMap::new();
    let mut attacked = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let Ok((index, tally)) = ended else { continue };
        total.errors += tally.errors;
        // Both have the same bounds.
        let _same = total.latencies.add(&tally.latencies);
        attacked.push(attack::Noted {
            latencies: tally.attacked,
            errors: tally.errors_under_attack,
        });
        inventories.insert(index, tally.inventory);
    }
    let audit = match (options.op, &window.own) {
        (Op::Pair, Some(_)) => {
            // Its session may have ended under an attack.
            let reader = reader(first, view, options).await?;
            let left = simple::left(&reader, options).await?;
            Some(inventory::audit(&inventories, left))
        }
        _ => None,
    };
    let lost_sessions = clients.iter().filter(|client| client.is_over()).count();
    let mut disagreements = BTreeMap::new();
    for client in clients {
        for (replica, count) in client.disagreements() {
            *disagreements.entry(replica.0).or_default() += count;
        }
        // The session is forgotten with its cluster or for want of room.
        let _closed = client.close().await;
    }
    let endured = window.endured.take();
    let under_attack = endured.map(|endured| endured.report(&attacked, lost_sessions));
    Ok(Report {
        under_attack: under_attack.transpose()?,
        ..report(options, &total, window, audit, disagreements)
    })
}

/// What happened in the measured time, apart from what clients saw.
struct Window {
    seconds: f64,
    /// Calls of the service that clients made.
    calls: u64,
    own: Option<ProcessCluster>,
    before: Vec<NodeStatus>,
    after: Vec<NodeStatus>,
    struck: Option<Struck>,
    longest_stall: Duration,
    endured: Option<Endured>,
}

/// The measured time itself, which lasts until a fault is over.
async fn window(
    own: Option<ProcessCluster>,
    options: &Options,
    counts: &Counts,
    clients: &[Client],
) -> Result<Window, BenchError> {
    let asked = async |own: &Option<ProcessCluster>| match own {
        Some(cluster) => strike::statuses(cluster).await,
        None => Vec::new(),
    };
    // Attackers have their sessions before anything is measured.
    let mut attempt = match (&own, options.assault) {
        (Some(cluster), Some(assault)) => Some(Attempt::prepare(cluster, assault).await?),
        _ => None,
    };
    let before = asked(&own).await;
    if let (Some(attempt), Some(cluster)) = (&mut attempt, &own) {
        attempt.mark(cluster);
    }
    let struck = async {
        match own {
            Some(cluster) => {
                let (cluster, struck) = strike::strike(cluster, options, &counts.pulse).await?;
                Ok::<_, BenchError>((Some(cluster), struck))
            }
            None => Ok((None, None)),
        }
    };
    let calls = || clients.iter().map(Client::calls).sum::<u64>();
    let (calls_before, completed_before) = (calls(), counts.pulse.completed());
    counts.begin(Phase::Measured);
    counts.pulse.watch();
    let begun = Instant::now();
    let time = tokio::time::sleep(Duration::from_secs_f64(options.seconds));
    let ((), struck) = tokio::join!(time, struck);
    counts.begin(Phase::Between);
    let longest_stall = counts.pulse.restart();
    let seconds = begun.elapsed().as_secs_f64();
    let completed = counts.pulse.completed() - completed_before;
    let calls = calls() - calls_before;
    let (own, struck) = struck?;
    let after = asked(&own).await;
    let endured = match (attempt, &own) {
        (Some(attempt), Some(cluster)) => {
            let before_per_s = ratio(completed, seconds);
            Some(attempt.carry_out(cluster, counts, before_per_s).await?)
        }
        _ => None,
    };
    counts.pulse.unwatch();
    counts.stop.send_replace(true);
    Ok(Window {
        seconds,
        calls,
        own,
        before,
        after,
        struck,
        longest_stall,
        endured,
    })
}

/// What each replica counted between two times; a replica that began anew began with nothing.
fn counted(
    before: &[NodeStatus],
    after: &[NodeStatus],
    count: fn(&NodeStatus) -> u64,
) -> impl Iterator<Item = u64> {
    after.iter().map(move |now| {
        let before = before.iter().find(|before| before.replica == now.replica);
        let (now, before) = (count(now), before.map_or(0, count));
        now.checked_sub(before).unwrap_or(now)
    })
}

fn replicas(window: &Window, audit: Option<Audit>) -> Replicas {
    let counted = |count| counted(&window.before, &window.after, count);
    Replicas {
        views_entered: counted(|status| status.views_entered).max().unwrap_or(0),
        suspicions: counted(|status| status.suspicions).sum(),
        lost: audit.map(|audit| audit.lost),
        doubled: audit.map(|audit| audit.doubled),
        // Work lost with a replica would be missing, and a view change is not a request's cost.
        costs: match window.struck {
            Some(_) => None,
            None => costs::costs(&window.before, &window.after),
        },
    }
}

fn report(
    options: &Options,
    total: &Tally,
    window: Window,
    audit: Option<Audit>,
    disagreements: BTreeMap<u8, u64>,
) -> Report {
    // A pair is measured as two operations already.
    let ops = total.latencies.len();
    Report {
        op: options.op,
        mode: options.op.is_recipe().then_some(options.mode),
        clients: options.clients,
        connections: options.connections,
        size: options.size,
        preload: (options.op == Op::Rdp).then(|| simple::laid_out(options)),
        seconds: window.seconds,
        ops,
        ops_per_s: ratio(ops, window.seconds),
        p50_us: total.latencies.value_at_quantile(0.5),
        p99_us: total.latencies.value_at_quantile(0.99),
        max_us: total.latencies.max(),
        calls_per_operation: ratio(window.calls, ratio(ops, 1.0)),
        errors: total.errors,
        longest_stall_ms: ms(window.longest_stall),
        disagreements,
        replicas: window.own.is_some().then(|| replicas(&window, audit)),
        fault: window.struck,
        under_attack: None,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts far below 2^52, for display"
)]
fn ratio(count: u64, by: f64) -> f64 {
    if by > 0.0 { count as f64 / by } else { 0.0 }
}

/// The client, or another one if its session is over.
async fn reader(
    client: &Client,
    view: &ClusterView,
    options: &Options,
) -> Result<Client, BenchError> {
    if !client.is_over() {
        return Ok(client.clone());
    }
    let builder = Client::builder(view.clone()).identity(fresh_key()?);
    Ok(builder.timeout(options.timeout).connect().await?)
}

async fn connect(view: &ClusterView, options: &Options) -> Result<Vec<Client>, BenchError> {
    let shared = match options.connections {
        Connections::Each => None,
        Connections::Shared => Some(Network::new(view, fresh_key()?)?),
    };
    let mut clients = Vec::new();
    for _ in 0..options.clients {
        let key: SigningKey = fresh_key()?;
        let mut builder = Client::builder(view.clone())
            .identity(key)
            .timeout(options.timeout);
        if let Some(network) = &shared {
            builder = builder.network(network);
        }
        clients.push(builder.connect().await?);
    }
    Ok(clients)
}

/// Makes what the workload needs before it starts.
async fn prepare(first: &Client, clients: &[Client], options: &Options) -> Result<(), BenchError> {
    let spaces = first.spaces().await?;
    if !spaces.iter().any(|space| space.as_str() == options.space) {
        first.create_space(&options.space).await?;
    }
    if options.op.is_recipe() {
        recipes::prepare(first, clients, options).await
    } else {
        simple::prepare(clients, options).await
    }
}

/// One client's part.
struct Work {
    index: usize,
    client: Client,
    options: Options,
}

impl Work {
    async fn run(self, tally: Tally) -> Tally {
        let Self {
            index,
            client,
            options,
        } = self;
        if options.op.is_recipe() {
            recipes::run(&client, index, &options, tally).await
        } else {
            simple::run(&client, index, &options, tally).await
        }
    }
}
