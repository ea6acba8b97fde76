//! The demonstration: a work queue over files while one replica lies.
//!
//! A producer puts one tuple per file into a space, workers take them with a
//! waiting `in`, hash the file, count its lines and put the result back, and a
//! collector checks every result against a computation of its own. Replica 3
//! lies in every answer and is outvoted. Then a counter and a queue under
//! contention, by plain calls and through an extension.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use bezant_client::{
    Client, ClusterView, Error, Evidence, ReplicaId, Tuple, Value, template, tuple,
};
use bezant_node::StorageKind;
use hdrhistogram::Histogram;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;

use crate::{
    bench::{self, BenchError, Connections, Mode, Op},
    faults::{Fault, OnDemand as _},
    local::{LabError, LocalCluster, LocalOptions},
};

const JOBS: &str = "demo/jobs";
const RESULTS: &str = "demo/results";

/// The replica that lies.
const LIAR: ReplicaId = ReplicaId(3);

/// How many jobs the producer has under way at a time.
const PRODUCER_WINDOW: usize = 16;

/// What the demonstration does.
#[derive(Clone, Debug)]
pub struct Options {
    /// The files to work on, regular ones.
    pub files: Vec<PathBuf>,
    /// The folder their names are shown relative to.
    pub folder: PathBuf,
    /// Workers.
    pub workers: usize,
    /// Clients that contend for the counter and the queue.
    pub contenders: usize,
    /// How long each of the four contests is measured, in seconds.
    pub contest_seconds: f64,
}

/// What is going on, for a progress bar.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Progress {
    /// The replicas run; one of them lies from now on.
    Started {
        /// Replicas.
        replicas: usize,
        /// The liar.
        liar: u8,
    },
    /// Results checked so far.
    Checked {
        /// How many.
        done: usize,
        /// Of how many.
        of: usize,
    },
    /// A file could not be read by its worker.
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        why: String,
    },
    /// A contest begins.
    Contest {
        /// Over what.
        op: Op,
        /// In which form.
        mode: Mode,
    },
}

/// What came of it. The names are stable.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Files whose result was checked and right.
    pub files: usize,
    /// Bytes in them.
    pub bytes: u64,
    /// Files that could not be read.
    pub unreadable: usize,
    /// Files that changed while they were worked on, so that nothing could be compared.
    pub changed: usize,
    /// Results that were wrong.
    pub wrong: usize,
    /// Operations of all clients of the work queue.
    pub operations: u64,
    /// Those per second.
    pub ops_per_s: f64,
    /// Median latency of the operations that do not wait, in microseconds.
    pub p50_us: u64,
    /// Their 99th percentile, in microseconds.
    pub p99_us: u64,
    /// Answers that differed from what f+1 replicas said.
    pub disagreements: u64,
    /// The same by replica.
    pub disagreements_by_replica: BTreeMap<u8, u64>,
    /// The replica that was told to lie.
    pub liar: u8,
    /// Lies proven by signatures, checked again here.
    pub evidence: usize,
    /// Clients in the contests.
    pub contenders: usize,
    /// Increments per second by plain calls.
    pub counter_plain_per_s: f64,
    /// Calls per increment by plain calls.
    pub counter_plain_calls_per_operation: f64,
    /// Increments per second through the extension.
    pub counter_extension_per_s: f64,
    /// Calls per increment through the extension.
    pub counter_extension_calls_per_operation: f64,
    /// The second per the first.
    pub counter_ratio: f64,
    /// Additions and removals per second by plain calls.
    pub queue_plain_per_s: f64,
    /// Calls per operation by plain calls.
    pub queue_plain_calls_per_operation: f64,
    /// Additions and removals per second through the extension.
    pub queue_extension_per_s: f64,
    /// Calls per operation through the extension.
    pub queue_extension_calls_per_operation: f64,
    /// The second per the first.
    pub queue_ratio: f64,
    /// Whether everything was as it had to be.
    pub ok: bool,
}

/// Why the demonstration did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The cluster did not start.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// A client's operation failed.
    #[error(transparent)]
    Client(#[from] Error),
    /// A contest failed.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// A part of this program failed.
    #[error("a part of the demonstration was interrupted")]
    Interrupted,
}

/// What a demonstration found.
#[derive(Debug)]
pub struct Outcome {
    /// For people.
    pub report: Report,
    /// The lies that were proven.
    pub evidence: Vec<Evidence>,
}

/// Runs the demonstration; `tell` is told how it goes. Returns the evidence with the report.
///
/// # Errors
/// [`DemoError`].
pub fn run(
    options: &Options,
    tell: impl FnMut(Progress) + Send + 'static,
) -> Result<Outcome, DemoError> {
    let cluster = LocalCluster::start(&LocalOptions::default())?;
    let liar = cluster.nodes.iter().find(|node| node.replica() == LIAR);
    if let Some(liar) = liar {
        liar.set_fault(Some(Fault::LieReplies));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| LabError::Io {
            what: "starting a runtime".to_owned(),
            error,
        })?;
    let stage = Stage {
        view: cluster.view(),
        tell: Arc::new(Mutex::new(tell)),
        counts: Arc::new(Mutex::new(Counts::new()?)),
    };
    stage.tell(Progress::Started {
        replicas: cluster.nodes.len(),
        liar: LIAR.0,
    });
    let outcome = runtime.block_on(stage.play(options));
    // What the demonstration found counts more than how its replicas ended.
    let _ended = cluster.stop();
    outcome
}

/// What clients did.
struct Counts {
    operations: u64,
    latencies: Histogram<u64>,
}

impl Counts {
    fn new() -> Result<Self, DemoError> {
        let latencies =
            Histogram::new_with_bounds(1, 60_000_000, 3).map_err(|_| DemoError::Interrupted)?;
        Ok(Self {
            operations: 0,
            latencies,
        })
    }
}

struct Stage<T> {
    view: ClusterView,
    tell: Arc<Mutex<T>>,
    counts: Arc<Mutex<Counts>>,
}

/// A file as the producer found it.
struct Job {
    path: PathBuf,
    length: u64,
    modified: Option<SystemTime>,
}

/// What is computed of a file, by a worker and again by the collector.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Computed {
    sha256: Vec<u8>,
    lines: i64,
    bytes: u64,
}

impl<T: FnMut(Progress) + Send + 'static> Stage<T> {
    fn tell(&self, progress: Progress) {
        (self.tell.lock().unwrap_or_else(PoisonError::into_inner))(progress);
    }

    async fn play(&self, options: &Options) -> Result<Outcome, DemoError> {
        let producer = self.client().await?;
        producer.create_space(JOBS).await?;
        producer.create_space(RESULTS).await?;
        let begun = Instant::now();
        let jobs: Arc<Vec<Job>> = Arc::new(options.files.iter().map(|file| job(file)).collect());

        let mut workers = JoinSet::new();
        let mut clients = vec![producer.clone()];
        for _ in 0..options.workers {
            let client = self.client().await?;
            clients.push(client.clone());
            workers.spawn(work(client, Arc::clone(&jobs), Arc::clone(&self.counts)));
        }
        let collector = self.client().await?;
        clients.push(collector.clone());
        let producing = tokio::spawn(produce(
            producer,
            Arc::clone(&jobs),
            options.workers,
            Arc::clone(&self.counts),
        ));
        let mut report = self.collect(&collector, &jobs, &options.folder).await?;
        producing.await.map_err(|_| DemoError::Interrupted)??;
        while let Some(ended) = workers.join_next().await {
            ended.map_err(|_| DemoError::Interrupted)??;
        }
        let seconds = begun.elapsed().as_secs_f64();
        self.sum_up(&mut report, seconds);
        let evidence = self.disagreements(&clients, &mut report)?;
        self.contests(options, &mut report).await?;
        let honest = report
            .disagreements_by_replica
            .keys()
            .all(|replica| *replica == LIAR.0);
        report.ok = report.wrong == 0
            && report.files + report.unreadable + report.changed == jobs.len()
            && honest
            && (report.operations == 0 || report.disagreements > 0);
        Ok(Outcome { report, evidence })
    }

    async fn client(&self) -> Result<Client, DemoError> {
        let timeout = Duration::from_secs(30);
        Ok(Client::builder(self.view.clone())
            .timeout(timeout)
            .connect()
            .await?)
    }

    /// Takes every result and checks it against a computation of its own.
    async fn collect(
        &self,
        client: &Client,
        jobs: &Arc<Vec<Job>>,
        folder: &Path,
    ) -> Result<Report, DemoError> {
        let mut report = Report {
            liar: LIAR.0,
            ..Report::default()
        };
        for done in 0..jobs.len() {
            self.tell(Progress::Checked {
                done,
                of: jobs.len(),
            });
            let result = client
                .take(RESULTS, template!("result", ?int, ?text, _, _, _))
                .await?;
            count(&self.counts, None);
            let fields = result.value.fields().to_vec();
            let (Some(index), Some(why)) = (index(&result.value), text(fields.get(2))) else {
                report.wrong += 1;
                continue;
            };
            let Some(job) = jobs.get(index) else {
                report.wrong += 1;
                continue;
            };
            let shown = job
                .path
                .strip_prefix(folder)
                .unwrap_or(&job.path)
                .display()
                .to_string();
            if !why.is_empty() {
                report.unreadable += 1;
                self.tell(Progress::Unreadable { file: shown, why });
                continue;
            }
            match (computed(&fields), compute(job.path.clone()).await) {
                (Some(theirs), Ok(ours)) if theirs == ours => {
                    report.files += 1;
                    report.bytes += ours.bytes;
                }
                _ if job.has_changed() => report.changed += 1,
                _ => report.wrong += 1,
            }
        }
        self.tell(Progress::Checked {
            done: jobs.len(),
            of: jobs.len(),
        });
        Ok(report)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts far below 2^52, for display"
    )]
    fn sum_up(&self, report: &mut Report, seconds: f64) {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        report.operations = counts.operations;
        report.ops_per_s = counts.operations as f64 / seconds.max(1e-9);
        report.p50_us = counts.latencies.value_at_quantile(0.5);
        report.p99_us = counts.latencies.value_at_quantile(0.99);
    }

    fn disagreements(
        &self,
        clients: &[Client],
        report: &mut Report,
    ) -> Result<Vec<Evidence>, DemoError> {
        let keyring = self.view.keyring()?;
        let mut evidence = Vec::new();
        for client in clients {
            for (replica, count) in client.disagreements() {
                *report
                    .disagreements_by_replica
                    .entry(replica.0)
                    .or_default() += count;
                report.disagreements += count;
            }
            evidence.extend(client.evidence());
        }
        evidence.retain(|evidence| evidence.verify(&keyring).is_ok());
        report.evidence = evidence.len();
        Ok(evidence)
    }

    async fn contests(&self, options: &Options, report: &mut Report) -> Result<(), DemoError> {
        report.contenders = options.contenders;
        let plain = self
            .contest(options, Op::Counter, Mode::Plain, report)
            .await?;
        let extension = self
            .contest(options, Op::Counter, Mode::Extension, report)
            .await?;
        report.counter_plain_per_s = plain.ops_per_s;
        report.counter_plain_calls_per_operation = plain.calls_per_operation;
        report.counter_extension_per_s = extension.ops_per_s;
        report.counter_extension_calls_per_operation = extension.calls_per_operation;
        report.counter_ratio = extension.ops_per_s / plain.ops_per_s.max(1e-9);
        let plain = self
            .contest(options, Op::Queue, Mode::Plain, report)
            .await?;
        let extension = self
            .contest(options, Op::Queue, Mode::Extension, report)
            .await?;
        report.queue_plain_per_s = plain.ops_per_s;
        report.queue_plain_calls_per_operation = plain.calls_per_operation;
        report.queue_extension_per_s = extension.ops_per_s;
        report.queue_extension_calls_per_operation = extension.calls_per_operation;
        report.queue_ratio = extension.ops_per_s / plain.ops_per_s.max(1e-9);
        Ok(())
    }

    async fn contest(
        &self,
        options: &Options,
        op: Op,
        mode: Mode,
        report: &mut Report,
    ) -> Result<bench::Report, DemoError> {
        self.tell(Progress::Contest { op, mode });
        let contest = bench::Options {
            op,
            mode,
            clients: options.contenders,
            seconds: options.contest_seconds,
            warmup: options.contest_seconds / 4.0,
            size: 100,
            preload: 0,
            connections: Connections::Each,
            space: format!(
                "demo/{}-{}",
                name(op),
                if mode == Mode::Plain { "plain" } else { "ext" }
            ),
            storage: StorageKind::Memory,
            timeout: bench::TIMEOUT,
            busy: 0,
            strike: None,
            assault: None,
        };
        let measured = bench::run(&self.view, &contest).await?;
        for (replica, count) in &measured.disagreements {
            *report.disagreements_by_replica.entry(*replica).or_default() += count;
            report.disagreements += count;
        }
        Ok(measured)
    }
}

const fn name(op: Op) -> &'static str {
    match op {
        Op::Counter => "counter",
        _ => "queue",
    }
}

fn count(counts: &Mutex<Counts>, begun: Option<Instant>) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    counts.operations += 1;
    if let Some(begun) = begun {
        let us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        counts.latencies.saturating_record(us.max(1));
    }
}

fn job(file: &Path) -> Job {
    let metadata = fs::metadata(file).ok();
    Job {
        path: file.to_owned(),
        length: metadata.as_ref().map_or(0, fs::Metadata::len),
        modified: metadata.and_then(|metadata| metadata.modified().ok()),
    }
}

impl Job {
    fn has_changed(&self) -> bool {
        let now = job(&self.path);
        now.length != self.length || now.modified != self.modified
    }
}

fn int(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn index(tuple: &Tuple) -> Option<usize> {
    match tuple.get(1) {
        Some(Value::Int(index)) => usize::try_from(*index).ok(),
        _ => None,
    }
}

fn text(field: Option<&Value>) -> Option<String> {
    match field {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

fn computed(fields: &[Value]) -> Option<Computed> {
    match fields {
        [
            _,
            _,
            _,
            Value::Bytes(sha256),
            Value::Int(lines),
            Value::Int(bytes),
        ] => Some(Computed {
            sha256: sha256.clone(),
            lines: *lines,
            bytes: u64::try_from(*bytes).ok()?,
        }),
        _ => None,
    }
}

/// Puts one job per file into the space, several at a time, and then one stop for each worker.
async fn produce(
    client: Client,
    jobs: Arc<Vec<Job>>,
    workers: usize,
    counts: Arc<Mutex<Counts>>,
) -> Result<(), DemoError> {
    let mut lanes = JoinSet::new();
    for lane in 0..PRODUCER_WINDOW {
        let (client, counts, jobs) = (client.clone(), Arc::clone(&counts), Arc::clone(&jobs));
        lanes.spawn(async move {
            for index in (lane..jobs.len()).step_by(PRODUCER_WINDOW) {
                let begun = Instant::now();
                client
                    .out(JOBS, tuple!("job", int(index), shown(&jobs, index)))
                    .await?;
                count(&counts, Some(begun));
            }
            Ok::<(), Error>(())
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane.map_err(|_| DemoError::Interrupted)??;
    }
    for _ in 0..workers {
        client.out(JOBS, tuple!("job", -1, "stop")).await?;
        count(&counts, None);
    }
    Ok(())
}

fn shown(jobs: &[Job], index: usize) -> String {
    jobs.get(index)
        .map(|job| job.path.display().to_string())
        .unwrap_or_default()
}

/// Takes jobs until told to stop.
async fn work(
    client: Client,
    jobs: Arc<Vec<Job>>,
    counts: Arc<Mutex<Counts>>,
) -> Result<(), DemoError> {
    loop {
        let taken = client.take(JOBS, template!("job", ?int, ?text)).await?;
        count(&counts, None);
        let Some(index) = index(&taken.value) else {
            return Ok(());
        };
        let Some(job) = jobs.get(index) else { continue };
        let result = match compute(job.path.clone()).await {
            Ok(Computed {
                sha256,
                lines,
                bytes,
            }) => {
                let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
                tuple!("result", int(index), "", sha256, lines, bytes)
            }
            Err(error) => tuple!("result", int(index), error.to_string(), (), (), ()),
        };
        let begun = Instant::now();
        client.out(RESULTS, result).await?;
        count(&counts, Some(begun));
    }
}

/// Hashes a file and counts its lines, away from the event loop.
async fn compute(path: PathBuf) -> io::Result<Computed> {
    let computed = tokio::task::spawn_blocking(move || {
        let mut file = File::open(path)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        let (mut lines, mut bytes) = (0_i64, 0_u64);
        loop {
            let read = file.read(&mut buffer)?;
            let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else {
                break;
            };
            hash.update(part);
            lines += int(part.iter().filter(|byte| **byte == b'\n').count());
            bytes += read as u64;
        }
        Ok(Computed {
            sha256: hash.finalize().to_vec(),
            lines,
            bytes,
        })
    });
    computed
        .await
        .unwrap_or_else(|_| Err(io::Error::other("the computation was interrupted")))
}
