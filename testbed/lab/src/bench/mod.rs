//! The load generator: closed loop, warm-up apart, latencies in a histogram.
//!
//! Each client has one operation under way at a time. Signing, voting and the
//! check of the answer lie inside the measured time of an operation. What
//! happens in the warm-up is thrown away. A closed loop measures what its own
//! clients see; it does not correct for coordinated omission, since no client
//! intends to send while it waits.

mod recipes;
mod simple;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bezant_client::{Client, ClusterView, Error, Network, SigningKey};
use bezant_node::StorageKind;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::local::{LabError, LocalOptions, ProcessCluster, fresh_key};

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
}

/// How a recipe is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Mode {
    /// By plain calls, with retries.
    #[default]
    Plain,
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
    /// For [`Op::Counter`] and [`Op::Queue`].
    pub mode: Mode,
    /// Clients with one operation under way each.
    pub clients: usize,
    /// How long is measured.
    pub seconds: f64,
    /// How long before.
    pub warmup: f64,
    /// Bytes of payload in a tuple.
    pub size: usize,
    /// What clients share.
    pub connections: Connections,
    /// The space everything happens in; made if it does not exist.
    pub space: String,
    /// Where replicas keep their log, on a cluster of the benchmark's own.
    pub storage: StorageKind,
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
    /// Answers that differed from what f+1 replicas said, by replica.
    pub disagreements: BTreeMap<u8, u64>,
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
}

/// Counts shared by the clients of one run.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) calls: AtomicU64,
    measuring: AtomicBool,
    stop: AtomicBool,
}

impl Counts {
    /// One call of the service was made.
    pub(crate) fn call(&self) {
        if self.measuring.load(Ordering::Relaxed) {
            self.calls.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// What one client measured.
#[derive(Debug)]
pub(crate) struct Tally {
    counts: Arc<Counts>,
    latencies: Histogram<u64>,
    errors: u64,
}

impl Tally {
    fn new(counts: Arc<Counts>) -> Result<Self, BenchError> {
        // One minute at three digits; longer latencies count as the longest.
        let latencies = Histogram::new_with_bounds(1, 60_000_000, 3)
            .map_err(|_| BenchError::Options("the histogram's bounds are wrong"))?;
        Ok(Self {
            counts,
            latencies,
            errors: 0,
        })
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Measures one operation; `f` says whether its answer was as it had to be.
    pub(crate) async fn measure(&mut self, f: impl Future<Output = Result<bool, Error>>) {
        let counted = self.counts.measuring.load(Ordering::Relaxed);
        let begun = Instant::now();
        let good = matches!(f.await, Ok(true));
        let us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        // An operation counts if it began and ended within the measured time.
        if !counted || !self.counts.measuring.load(Ordering::Relaxed) {
            return;
        }
        if good {
            self.latencies.saturating_record(us.max(1));
        } else {
            self.errors += 1;
        }
    }
}

/// Measures on four replica processes started from `binary`.
///
/// # Errors
/// [`BenchError`].
pub async fn run_on_own_cluster(binary: PathBuf, options: &Options) -> Result<Report, BenchError> {
    let started = LocalOptions {
        allow_faults: false,
        storage: options.storage,
        ..LocalOptions::default()
    };
    let cluster = ProcessCluster::start(&binary, &started)?;
    run(&cluster.view(), options).await
}

/// Measures on a running cluster.
///
/// # Errors
/// [`BenchError`].
pub async fn run(view: &ClusterView, options: &Options) -> Result<Report, BenchError> {
    if options.clients == 0 || options.seconds <= 0.0 || options.warmup < 0.0 {
        return Err(BenchError::Options(
            "clients and seconds must be more than nothing",
        ));
    }
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
        tasks.spawn(work.run(tally));
    }
    tokio::time::sleep(Duration::from_secs_f64(options.warmup)).await;
    counts.measuring.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs_f64(options.seconds)).await;
    counts.measuring.store(false, Ordering::Relaxed);
    let seconds = begun.elapsed().as_secs_f64();
    counts.stop.store(true, Ordering::Relaxed);

    let mut total = Tally::new(Arc::clone(&counts))?;
    while let Some(tally) = tasks.join_next().await {
        let Ok(tally) = tally else { continue };
        total.errors += tally.errors;
        // Both have the same bounds.
        let _same = total.latencies.add(&tally.latencies);
    }
    let mut disagreements = BTreeMap::new();
    for client in clients {
        for (replica, count) in client.disagreements() {
            *disagreements.entry(replica.0).or_default() += count;
        }
        // The session is forgotten with its cluster or for want of room.
        let _closed = client.close().await;
    }
    Ok(report(options, &total, seconds, disagreements))
}

fn report(
    options: &Options,
    total: &Tally,
    seconds: f64,
    disagreements: BTreeMap<u8, u64>,
) -> Report {
    let measured = total.latencies.len();
    // A pair is measured as two operations already.
    let ops = measured;
    let calls = total.counts.calls.load(Ordering::Relaxed);
    Report {
        op: options.op,
        mode: matches!(options.op, Op::Counter | Op::Queue).then_some(options.mode),
        clients: options.clients,
        connections: options.connections,
        size: options.size,
        seconds,
        ops,
        ops_per_s: ratio(ops, seconds),
        p50_us: total.latencies.value_at_quantile(0.5),
        p99_us: total.latencies.value_at_quantile(0.99),
        max_us: total.latencies.max(),
        calls_per_operation: ratio(calls, ratio(ops, 1.0)),
        errors: total.errors,
        disagreements,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts far below 2^52, for display"
)]
fn ratio(count: u64, by: f64) -> f64 {
    if by > 0.0 { count as f64 / by } else { 0.0 }
}

async fn connect(view: &ClusterView, options: &Options) -> Result<Vec<Client>, BenchError> {
    let shared = match options.connections {
        Connections::Each => None,
        Connections::Shared => Some(Network::new(view, fresh_key()?)?),
    };
    let mut clients = Vec::new();
    for _ in 0..options.clients {
        let key: SigningKey = fresh_key()?;
        let mut builder = Client::builder(view.clone()).identity(key);
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
    match options.op {
        Op::Counter | Op::Queue => recipes::prepare(first, clients, options).await,
        _ => simple::prepare(clients, options).await,
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
        match (options.op, options.mode) {
            (Op::Counter, Mode::Plain) => recipes::counter_plain(&client, &options, tally).await,
            (Op::Counter, Mode::Extension) => {
                recipes::counter_extension(&client, &options, tally).await
            }
            (Op::Queue, Mode::Plain) => recipes::queue_plain(&client, index, &options, tally).await,
            (Op::Queue, Mode::Extension) => {
                recipes::queue_extension(&client, index, &options, tally).await
            }
            _ => simple::run(&client, index, &options, tally).await,
        }
    }
}
