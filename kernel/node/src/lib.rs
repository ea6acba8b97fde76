//! The replica process: sockets, storage threads, clock, admin endpoint, metrics.
//!
//! [`spawn`] starts a replica on a thread of its own with one event loop; all
//! of its state lives there and nowhere else, so that four replicas in one
//! process share no more than four processes do. `node` is the loop round the
//! driver (`bezant_replica`), which says what to do; `storage` writes, `config`
//! reads the files, `admin` is the operator's window.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test may stop"
    )
)]

mod admin;
mod clock;
pub mod config;
pub mod evidence;
pub mod first_start;
mod log;
mod metrics;
mod node;
pub mod replay;

mod status;
pub mod storage;
pub mod strategy;

use std::{
    io,
    net::SocketAddr,
    sync::mpsc as std_mpsc,
    thread::{self, Builder, JoinHandle},
};

use bezant_bft::{
    effects::{Durability, Record},
    ids::{Epoch, IncarnationNonce, ReplicaId},
    keyring::Keyring,
    replica::Tuning,
};
use bezant_quic::{Endpoint, Role};
use bezant_replica::{Driver, Kept, Memory, StartError};
use tokio::{net::TcpListener, sync::mpsc};
use tracing::{error, info, warn};

pub use config::{NodeConfig, StorageKind};
pub use status::NodeStatus;
pub use strategy::Strategies;

use crate::{
    admin::Admin,
    clock::Clocks,
    evidence::{Archive, EVIDENCE_FOLDER},
    first_start::FirstStart,
    node::{Control, End, Node, Storage},
    status::Traffic,
    storage::{Identity, Journal, StorageThreads},
    strategy::{Means, Offered},
};

/// Why a replica did not start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The state it kept cannot be read.
    #[error(
        "the kept state cannot be used: {0}; run the build that wrote it, or replace the replica"
    )]
    Snapshot(#[from] bezant_bft::state::BadSnapshot),
    /// Its links could not be set up.
    #[error(transparent)]
    Bind(#[from] bezant_quic::BindError),
    /// Its admin endpoint could not be set up.
    #[error(
        "the admin endpoint cannot listen on {address}: {error}; choose another `admin` address"
    )]
    Admin {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// It may not start with these data.
    #[error(transparent)]
    FirstStart(#[from] first_start::FirstStartError),
    /// The cluster file names too few replicas, or not this one.
    #[error("the cluster file makes no cluster with this replica: {0}; run bezant config check")]
    Cluster(&'static str),
    /// It is to keep its log on disk and has no folder to keep it in.
    #[error("storage = \"sync\" keeps nothing without a folder; set `data`")]
    NoData,
    /// The operating system gave no thread or runtime.
    #[error("the replica's thread could not be started: {0}")]
    Thread(io::Error),
    /// The state machine stopped itself.
    #[error("the replica stopped itself: {0}; keep its logs, and replace it")]
    Halted(String),
    /// A new incarnation needs a name that nobody can guess.
    #[error("the system gave no random bytes; try again later")]
    NoRandomness,
    /// Its records could not be made durable.
    #[error(transparent)]
    Storage(#[from] storage::StorageError),
}

impl From<StartError> for NodeError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Snapshot(bad) => Self::Snapshot(bad),
            _ => Self::Cluster("the key is not the one listed for this replica"),
        }
    }
}

/// How a replica ended without a fault of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was stopped.
    Stopped,
    /// It committed the fault "crash" on demand.
    Crashed,
}

/// A running replica.
#[derive(Debug)]
pub struct NodeHandle {
    replica: ReplicaId,
    address: SocketAddr,
    admin: Option<SocketAddr>,
    control: mpsc::Sender<Control>,
    strategies: Offered,
    thread: Option<JoinHandle<Result<Ended, NodeError>>>,
}

impl NodeHandle {
    /// Which replica.
    #[must_use]
    pub const fn replica(&self) -> ReplicaId {
        self.replica
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its admin endpoint listens.
    #[must_use]
    pub const fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Has it follow the strategy called `name`, or none; for tests and dev clusters in this
    /// process.
    ///
    /// # Errors
    /// A text for people, if it takes no strategies or there is none of that name.
    pub fn set_strategy(&self, name: Option<&str>) -> Result<(), String> {
        let conduct = match name {
            Some(name) => Some((name.to_owned(), self.strategies.make(name)?)),
            None => None,
        };
        self.order(Control::Conduct(conduct));
        Ok(())
    }

    /// Puts an order into the loop's queue, waiting for room; false if the loop has ended.
    /// Callable inside and outside of any runtime.
    fn order(&self, mut order: Control) -> bool {
        loop {
            match self.control.try_send(order) {
                Ok(()) => return true,
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
                Err(mpsc::error::TrySendError::Full(back)) => order = back,
            }
            thread::yield_now();
        }
    }

    /// How it stands; `None` if it ended.
    #[must_use]
    pub fn status(&self) -> Option<NodeStatus> {
        let (answer, status) = std_mpsc::sync_channel(1);
        let tell = Box::new(move |status| {
            // The asker waits below.
            let _gone = answer.send(status);
        });
        self.order(Control::Status(tell))
            .then(|| status.recv().ok())
            .flatten()
    }

    /// Whether its thread has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Stops it and waits for its end.
    ///
    /// # Errors
    /// [`NodeError`] if it had ended otherwise than by being stopped.
    pub fn stop(mut self) -> Result<Ended, NodeError> {
        self.order(Control::Stop);
        self.join()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// [`NodeError`] if it did not end by being stopped.
    pub fn wait(mut self) -> Result<Ended, NodeError> {
        self.join()
    }

    fn join(&mut self) -> Result<Ended, NodeError> {
        let Some(thread) = self.thread.take() else {
            return Ok(Ended::Stopped);
        };
        let panicked =
            || NodeError::Halted("its thread panicked; this is a fault of this build".to_owned());
        thread.join().unwrap_or_else(|_| Err(panicked()))
    }
}

impl Drop for NodeHandle {
    fn drop(&mut self) {
        // Ends the loop even where nobody waits for it; full means it is being told already.
        let _full = self.control.try_send(Control::Stop);
    }
}

/// What the thread tells its starter: where it listens.
type Started = Result<(SocketAddr, Option<SocketAddr>), NodeError>;

/// Starts a replica on a thread of its own; returns once its sockets are bound.
///
/// # Errors
/// [`NodeError`] if it cannot start; nothing is left running then.
pub fn spawn(config: NodeConfig) -> Result<NodeHandle, NodeError> {
    spawn_with(config, None)
}

/// The same; the replica follows these strategies on demand, if its configuration allows it.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_with(
    config: NodeConfig,
    strategies: Option<Strategies>,
) -> Result<NodeHandle, NodeError> {
    let replica = config.replica;
    if let (Some(data), StorageKind::Memory) = (&config.data, config.storage) {
        first_start::refuse_journal(data)?;
    }
    let (control, commands) = mpsc::channel(64);
    let (started, starting) = std_mpsc::sync_channel::<Started>(1);
    let strategies = strategies.filter(|_| config.allow_faults);
    let strategies = Offered::new(strategies, means(&config));
    let admin = Admin {
        control: control.clone(),
        strategies: strategies.clone(),
    };
    let thread = Builder::new()
        .name(format!("replica-{replica}"))
        .spawn(move || run(&config, admin, commands, &started))
        .map_err(NodeError::Thread)?;
    match starting.recv() {
        Ok(Ok((address, admin))) => Ok(NodeHandle {
            replica,
            address,
            admin,
            control,
            strategies,
            thread: Some(thread),
        }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(NodeError::Thread(io::Error::other(
            "it ended before it began",
        ))),
    }
}

fn run(
    config: &NodeConfig,
    admin: Admin,
    commands: mpsc::Receiver<Control>,
    started: &std_mpsc::SyncSender<Started>,
) -> Result<Ended, NodeError> {
    // Several replicas may share a process and its log: each line says whose it is.
    let _lines = tracing::error_span!("replica", id = %config.replica).entered();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _starter_gone = started.send(Err(NodeError::Thread(error)));
            return Ok(Ended::Stopped);
        }
    };
    runtime.block_on(async {
        let (node, inbox, admin_address) = match prepare(config, admin).await {
            Ok(prepared) => prepared,
            Err(error) => {
                let _starter_gone = started.send(Err(error));
                return Ok(Ended::Stopped);
            }
        };
        let endpoint = node.endpoint.clone();
        let _starter_gone = started.send(Ok((endpoint.local_address(), admin_address)));
        info!(address = %endpoint.local_address(), "replica started");
        let end = node.run(inbox, commands).await;
        endpoint.close("the replica stops").await;
        match end {
            End::Stopped => Ok(Ended::Stopped),
            End::Crashed => Ok(Ended::Crashed),
            End::Halted(why) => Err(NodeError::Halted(why)),
            End::Storage(error) => {
                error!(%error, "halting; storage failed");
                Err(error.into())
            }
        }
    })
}

async fn prepare(
    config: &NodeConfig,
    admin: Admin,
) -> Result<(Node, bezant_quic::Inbox, Option<SocketAddr>), NodeError> {
    let genesis = config.cluster.genesis();
    let cluster = config.cluster.cluster_id();
    let keys = config
        .cluster
        .replicas
        .iter()
        .map(|replica| replica.key)
        .collect();
    let keyring = Keyring::new(cluster, Epoch::default(), keys).ok_or(NodeError::Cluster(
        "it needs at least 4 replicas with different keys",
    ))?;
    let means = means(config);
    let key = config.key.clone();
    let (journal, mut kept) = open_journal(config)?;
    let Start {
        journal,
        leave: first_start,
        never_ran,
    } = begin(config, journal, &mut kept)?;
    let driver = Driver::start(
        bezant_replica::Config {
            replica: config.replica,
            key: key.clone(),
            keyring,
            genesis,
            tuning: means.tuning,
            durability: match journal {
                Some(_) => Durability::Reported,
                None => Durability::Immediate,
            },
        },
        kept,
        never_ran,
    )?;
    let me = Role::Replica(config.replica);
    let addresses = config
        .cluster
        .replicas
        .iter()
        .zip(0_u8..)
        .map(|(replica, id)| bezant_quic::ReplicaAddress {
            id: ReplicaId(id),
            address: replica.address.clone(),
            key: replica.key,
        })
        .collect();
    let links = bezant_quic::Config::new(key.clone(), cluster, Epoch::default(), me, addresses);
    let (endpoint, inbox) = Endpoint::bind(links, Some(config.listen))?;
    let admin_address = match config.admin {
        Some(address) => Some(serve_admin(address, admin).await?),
        None => None,
    };
    let (storage, completions) = start_storage(config.replica, journal)?;
    let node = Node {
        driver,
        means,
        clocks: Clocks::start(),
        endpoint,
        completions,
        storage,
        first_start,
        archive: Archive::open(config.data.as_ref().map(|data| data.join(EVIDENCE_FOLDER))),
        traffic: Traffic::default(),
        strategy: None,
        failure: None,
        followed: Vec::new(),
        actions: Vec::new(),
        end: None,
    };
    Ok((node, inbox, admin_address))
}

fn means(config: &NodeConfig) -> Means {
    Means {
        replica: config.replica,
        key: config.key.clone(),
        cluster: config.cluster.cluster_id(),
        replicas: u8::try_from(config.cluster.replicas.len()).unwrap_or(u8::MAX),
        tuning: Tuning::default(),
    }
}

fn start_storage(
    replica: ReplicaId,
    journal: Option<Journal>,
) -> Result<(Storage, mpsc::Receiver<storage::Completion>), NodeError> {
    match journal {
        Some(journal) => {
            let name = format!("replica-{replica}");
            let (threads, completions) =
                StorageThreads::start(journal, &name).map_err(NodeError::Thread)?;
            Ok((Storage::Disk(threads), completions))
        }
        None => Ok((Storage::Nowhere, mpsc::channel(1).1)),
    }
}

/// Opens the replica's journal, if it keeps one, and reads what it holds.
fn open_journal(config: &NodeConfig) -> Result<(Option<Journal>, Kept), NodeError> {
    match (config.storage, &config.data) {
        (StorageKind::Memory, _) => Ok((None, Kept::default())),
        (StorageKind::Sync, None) => Err(NodeError::NoData),
        (StorageKind::Sync, Some(data)) => {
            let identity = Identity {
                cluster: config.cluster.cluster_id(),
                replica: config.replica,
            };
            let mut journal = Journal::open(data, identity)?;
            let kept = journal.take_kept();
            Ok((Some(journal), kept))
        }
    }
}

/// What a replica starts with beside what its storage kept.
struct Start {
    journal: Option<Journal>,
    /// The leave to vote without records, if it is to be used up.
    leave: Option<FirstStart>,
    never_ran: bool,
}

/// The leave to vote without a memory, if there is one. A replica that lost its memory
/// begins under a new incarnation, whose name is durable before anybody hears of it.
fn begin(
    config: &NodeConfig,
    mut journal: Option<Journal>,
    kept: &mut Kept,
) -> Result<Start, NodeError> {
    let mut leave = match &config.data {
        Some(data) => FirstStart::find(data)?,
        None => None,
    };
    let first_start = leave.is_some() || config.never_ran;
    let memory = bezant_replica::memory(&kept.records, first_start);
    if memory == Memory::Whole
        && let Some(leave) = leave.take()
    {
        leave.use_up().map_err(storage::StorageError::from)?;
    }
    if memory == Memory::Lost {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|_| NodeError::NoRandomness)?;
        let nonce = Record::IncarnationNonce(IncarnationNonce(nonce));
        if let Some(journal) = &mut journal {
            journal.append(&nonce)?;
            journal.sync()?;
        }
        kept.records.push(nonce);
        warn!(
            "found no records of an earlier run; asking the others for a new incarnation before voting"
        );
    }
    Ok(Start {
        journal,
        leave,
        never_ran: memory == Memory::NeverRan,
    })
}

async fn serve_admin(address: SocketAddr, admin: Admin) -> Result<SocketAddr, NodeError> {
    let failed = |error| NodeError::Admin { address, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, admin::router(admin)).await {
            error!(%error, "admin endpoint failed");
        }
    });
    Ok(bound)
}
