//! The replica process: sockets, storage, timers, admin endpoint, metrics.
//!
//! [`spawn`] starts a replica on a thread of its own with one event loop; all
//! of its state lives there and nowhere else, so that four replicas in one
//! process share no more than four processes do. `node` is the loop, `config`
//! the files, `admin` the operator's window.

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
mod faults;
pub mod first_start;
mod metrics;
mod node;
pub mod replay;
mod routes;
mod status;
pub mod storage;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::mpsc as std_mpsc,
    thread::{self, Builder, JoinHandle},
};

use bezant_bft::{
    crypto::Checker,
    effects::{PersistId, Record},
    ids::{Epoch, Life, ReplicaId},
    rejoin::{Lives, split_state},
    replica::{Replica, Tuning},
    seal::Keyring,
    service::Service as _,
};
use bezant_kernel::Kernel;
use bezant_quic::{Fabric, Role};
use tokio::{net::TcpListener, sync::mpsc};
use tracing::{error, info, warn};

pub use config::{NodeConfig, StorageKind};
pub use faults::Fault;
pub use status::NodeStatus;

use crate::{
    admin::Admin,
    clock::Clocks,
    evidence::{Archive, EVIDENCE_FOLDER},
    faults::{Dice, Held},
    first_start::FirstStart,
    node::{Control, Counts, End, Node},
    routes::Routes,
    storage::{Identity, Journal, MemoryStorage, Recovered, Storage},
};

/// Why a replica did not start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The state it kept cannot be read.
    #[error(
        "the kept state cannot be used: {0}; run the build that wrote it, or replace the replica"
    )]
    Snapshot(bezant_bft::service::BadSnapshot),
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
    /// A new life needs a name that nobody can guess.
    #[error("the system gave no random bytes; try again later")]
    NoRandomness,
    /// Its records could not be made durable.
    #[error(transparent)]
    Storage(#[from] storage::StorageError),
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

    /// Has it commit a fault, or none; for tests and dev clusters in this process.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.order(Control::Fault(fault));
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
    let replica = config.replica;
    if let (Some(data), StorageKind::Memory) = (&config.data, config.storage) {
        first_start::refuse_journal(data)?;
    }
    let (control, commands) = mpsc::channel(64);
    let (started, starting) = std_mpsc::sync_channel::<Started>(1);
    let admin = Admin {
        control: control.clone(),
        allow_faults: config.allow_faults,
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
        let fabric = node.fabric.clone();
        let replica = config.replica;
        let _starter_gone = started.send(Ok((fabric.local_address(), admin_address)));
        info!(%replica, address = %fabric.local_address(), "replica started");
        let end = node.run(inbox, commands).await;
        fabric.close("the replica stops").await;
        match end {
            End::Stopped => Ok(Ended::Stopped),
            End::Crashed => Ok(Ended::Crashed),
            End::Halted(why) => Err(NodeError::Halted(why)),
            End::Storage(error) => {
                error!(%error, "this replica stops");
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
    let checkpoint_interval = genesis.checkpoint_interval;
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
    let tuning = Tuning::default();
    let key = config.key.clone();
    let (mut storage, mut recovered) = open_storage(config)?;
    let first_start = begin(config, storage.as_mut(), &mut recovered)?;
    let mut kernel = Kernel::new(genesis);
    let later = recovered.later.into_iter();
    let mut snapshots: BTreeMap<_, _> = later.collect();
    let mut lives = Lives::default();
    if let Some((number, state)) = recovered.snapshot {
        let (kept, service) = split_state(&state).map_err(NodeError::Snapshot)?;
        let restored = kernel.restore(&service.content());
        restored.map_err(NodeError::Snapshot)?;
        lives = kept;
        snapshots.insert(number, state);
    }
    let mut replica = Replica::recover(
        config.replica,
        key.clone(),
        keyring,
        checkpoint_interval,
        tuning,
        lives,
        recovered.records,
    )
    .ok_or(NodeError::Cluster(
        "the key is not the one listed for this replica",
    ))?;
    replica.expect(kernel.due());
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
    let (fabric, inbox) = Fabric::bind(links, Some(config.listen))?;
    let admin_address = match config.admin {
        Some(address) => Some(serve_admin(address, admin).await?),
        None => None,
    };
    let node = Node {
        replica,
        kernel,
        snapshots,
        key,
        checker: Checker::new(),
        clocks: Clocks::start(),
        fabric,
        storage,
        first_start,
        unsynced: 0,
        tuning,
        routes: Routes::default(),
        fault: None,
        held: Held::default(),
        dice: Dice::default(),
        counts: Counts::default(),
        archive: Archive::open(config.data.as_ref().map(|data| data.join(EVIDENCE_FOLDER))),
        signed_replies: 0,
    };
    Ok((node, inbox, admin_address))
}

/// Opens the replica's storage and reads what it holds.
fn open_storage(config: &NodeConfig) -> Result<(Box<dyn Storage>, Recovered), NodeError> {
    let mut storage: Box<dyn Storage> = match (config.storage, &config.data) {
        (StorageKind::Memory, _) => Box::new(MemoryStorage::default()),
        (StorageKind::Sync, None) => return Err(NodeError::NoData),
        (StorageKind::Sync, Some(data)) => {
            let identity = Identity {
                cluster: config.cluster.cluster_id(),
                replica: config.replica,
            };
            Box::new(Journal::open(data, identity)?)
        }
    };
    let recovered = storage.load()?;
    Ok((storage, recovered))
}

/// The leave to vote without a memory, if there is one and no memory. A replica with
/// neither begins a new life, which is durable before anybody hears of it.
fn begin(
    config: &NodeConfig,
    storage: &mut dyn Storage,
    recovered: &mut Recovered,
) -> Result<Option<FirstStart>, NodeError> {
    let leave = match &config.data {
        Some(data) => FirstStart::find(data)?,
        None => None,
    };
    if leave.is_some() || config.never_ran || !recovered.records.is_empty() {
        return Ok(leave);
    }
    let mut life = [0; 32];
    getrandom::fill(&mut life).map_err(|_| NodeError::NoRandomness)?;
    let life = Record::Life(Life(life));
    storage.append(PersistId::default(), life.clone())?;
    storage.sync()?;
    recovered.records.push(life);
    let replica = config.replica;
    warn!(%replica, "this replica kept nothing of an earlier run: it asks the others for a new life, and votes once they gave it one");
    Ok(None)
}

async fn serve_admin(address: SocketAddr, admin: Admin) -> Result<SocketAddr, NodeError> {
    let failed = |error| NodeError::Admin { address, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, admin::router(admin)).await {
            error!(%error, "the admin endpoint ended");
        }
    });
    Ok(bound)
}
