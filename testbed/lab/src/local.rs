//! Clusters on this machine: four replicas as threads, or as processes.
//!
//! Both are real: real sockets, real signatures, real QUIC. Threads share a
//! process and nothing else; processes are the replicas of figures of record.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use bezant_bft::{crypto::SigningKey, ids::ReplicaId};
use bezant_client::ClusterView;
use bezant_node::{
    Ended, NodeConfig, NodeError, NodeHandle,
    config::{
        ClusterFile, ConfigError, GenesisSettings, NodeFile, ReplicaEntry, StorageKind, store_key,
    },
    first_start::FirstStart,
};

use crate::faults;

/// Why a local cluster did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// A replica did not start or ended badly.
    #[error("replica {replica}: {error}")]
    Node {
        /// Which.
        replica: ReplicaId,
        /// Why.
        error: Box<NodeError>,
    },
    /// A file could not be written or read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system refused something.
    #[error("{what}: {error}")]
    Io {
        /// What was attempted.
        what: String,
        /// Why it failed.
        error: std::io::Error,
    },
    /// A replica's process ended before it was ready.
    #[error("the process of replica {replica} ended before it was ready; it said: {said}")]
    ProcessEnded {
        /// Which.
        replica: ReplicaId,
        /// The end of its log.
        said: String,
    },
}

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> LabError {
    let what = what.into();
    move |error| LabError::Io { what, error }
}

/// What a local cluster is like.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// Number of replicas.
    pub replicas: usize,
    /// Whether each has an admin endpoint.
    pub admin: bool,
    /// Whether replicas commit faults on demand.
    pub allow_faults: bool,
    /// Whether any client may take part and the first `out` makes a space.
    pub open: bool,
    /// Where replicas that are processes, or have a folder, keep their log.
    pub storage: StorageKind,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self {
            replicas: 4,
            admin: false,
            allow_faults: true,
            open: true,
            storage: StorageKind::Memory,
        }
    }
}

/// A random key.
///
/// # Errors
/// [`LabError::Io`] if the system gives no random numbers.
pub fn fresh_key() -> Result<SigningKey, LabError> {
    random().map(SigningKey::from_seed)
}

fn random<const N: usize>() -> Result<[u8; N], LabError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| io("drawing random numbers")(std::io::Error::other(error.to_string())))?;
    Ok(bytes)
}

/// A local cluster that is not started yet.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its cluster file.
    pub cluster: ClusterFile,
    /// Its replicas, in the order of their ids.
    pub members: Vec<PlannedReplica>,
}

/// A replica of a [`Plan`].
#[derive(Clone, Debug)]
pub struct PlannedReplica {
    /// Its private key.
    pub key: SigningKey,
    /// Where it is to listen.
    pub address: SocketAddr,
}

/// Plans a new local cluster on free ports.
///
/// A port found free may be taken before the replica binds it; the replica then says so.
///
/// # Errors
/// [`LabError`].
pub fn plan(options: &LocalOptions) -> Result<Plan, LabError> {
    // All sockets are held until all ports are known, so that no two are the same.
    let mut held = Vec::new();
    let mut members = Vec::new();
    for _ in 0..options.replicas {
        let socket =
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io("finding a free port"))?;
        let address = socket.local_addr().map_err(io("finding a free port"))?;
        held.push(socket);
        let key = fresh_key()?;
        members.push(PlannedReplica { key, address });
    }
    let cluster = ClusterFile {
        name: "local".to_owned(),
        replicas: members
            .iter()
            .map(|member| ReplicaEntry {
                address: member.address.to_string(),
                key: member.key.public(),
            })
            .collect(),
        genesis: GenesisSettings {
            open_enrolment: options.open,
            spaces_on_first_out: options.open,
            clients: Vec::new(),
            checkpoint_interval: bezant_bft::limits::CHECKPOINT_INTERVAL,
            salt: random()?,
        },
    };
    Ok(Plan { cluster, members })
}

/// How a client sees the cluster of a cluster file.
#[must_use]
pub fn view(cluster: &ClusterFile) -> ClusterView {
    ClusterView {
        id: cluster.cluster_id(),
        replicas: cluster
            .replicas
            .iter()
            .map(|r| (r.address.clone(), r.key))
            .collect(),
    }
}

/// The cluster file of a cluster whose files are in `folder`.
#[must_use]
pub fn cluster_file(folder: &Path) -> PathBuf {
    folder.join("cluster.toml")
}

/// The node file of one of its replicas.
fn node_file(folder: &Path, id: u8) -> PathBuf {
    folder.join(format!("node-{id}.toml"))
}

/// Writes the files of a new cluster into `folder`: the public one, and for every replica
/// its key and its node file, with a data folder beside them.
///
/// # Errors
/// [`LabError`]; files that exist are not overwritten.
pub fn write_files(folder: &Path, options: &LocalOptions) -> Result<ClusterFile, LabError> {
    let Plan { cluster, members } = plan(options)?;
    for (id, PlannedReplica { key, address }) in (0_u8..).zip(members) {
        let key_file = PathBuf::from(format!("replica-{id}.key"));
        store_key(&folder.join(&key_file), &key)?;
        let data = PathBuf::from(format!("data-{id}"));
        FirstStart::grant(&folder.join(&data)).map_err(|error| LabError::Node {
            replica: ReplicaId(id),
            error: Box::new(error.into()),
        })?;
        let node = NodeFile {
            replica: id,
            cluster: PathBuf::from("cluster.toml"),
            key: key_file,
            listen: address,
            admin: options
                .admin
                .then(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            data: Some(data),
            storage: options.storage,
            allow_faults: options.allow_faults,
        };
        node.store(&node_file(folder, id))?;
    }
    // The last: where it is, all is.
    cluster.store(&cluster_file(folder))?;
    Ok(cluster)
}

fn spawn(config: NodeConfig) -> Result<NodeHandle, LabError> {
    let replica = config.replica;
    bezant_node::spawn_with(config, Some(faults::strategies())).map_err(|error| LabError::Node {
        replica,
        error: Box::new(error),
    })
}

/// Replicas as threads of this process.
#[derive(Debug)]
pub struct LocalCluster {
    /// The public file.
    pub cluster: ClusterFile,
    /// The replicas, by id.
    pub nodes: Vec<NodeHandle>,
}

impl LocalCluster {
    /// Starts the replicas.
    ///
    /// # Errors
    /// [`LabError`]; replicas that were started are stopped again.
    pub fn start(options: &LocalOptions) -> Result<Self, LabError> {
        let Plan { cluster, members } = plan(options)?;
        let mut nodes = Vec::new();
        for (id, PlannedReplica { key, address }) in (0_u8..).zip(members) {
            let replica = ReplicaId(id);
            let config = NodeConfig {
                replica,
                cluster: cluster.clone(),
                key,
                listen: address,
                admin: options
                    .admin
                    .then(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
                data: None,
                storage: StorageKind::Memory,
                never_ran: true,
                allow_faults: options.allow_faults,
            };
            nodes.push(spawn(config)?);
        }
        Ok(Self { cluster, nodes })
    }

    /// How clients see it.
    #[must_use]
    pub fn view(&self) -> ClusterView {
        view(&self.cluster)
    }

    /// The admin endpoints, of the replicas that have one.
    #[must_use]
    pub fn admins(&self) -> Vec<SocketAddr> {
        self.nodes.iter().filter_map(NodeHandle::admin).collect()
    }

    /// Starts the replicas of the cluster whose files [`write_files`] left in `folder`, with
    /// what they kept.
    ///
    /// # Errors
    /// [`LabError`]; replicas that were started are stopped again.
    pub fn open(folder: &Path) -> Result<Self, LabError> {
        let cluster = ClusterFile::load(&cluster_file(folder))?;
        let mut nodes = Vec::new();
        for (id, _) in (0_u8..).zip(&cluster.replicas) {
            nodes.push(spawn(NodeConfig::load(&node_file(folder, id))?)?);
        }
        Ok(Self { cluster, nodes })
    }

    /// Stops all replicas.
    ///
    /// # Errors
    /// The first that had ended badly.
    pub fn stop(self) -> Result<(), LabError> {
        let mut first = Ok(());
        for node in self.nodes {
            let replica = node.replica();
            let ended = node.stop();
            if let Err(error) = ended
                && first.is_ok()
            {
                first = Err(LabError::Node {
                    replica,
                    error: Box::new(error),
                });
            }
        }
        first
    }
}

/// Whether a replica ended as it should.
#[must_use]
pub const fn ended_well(ended: &Result<Ended, NodeError>) -> bool {
    ended.is_ok()
}

/// What a process is told by a signal.
#[derive(Clone, Copy, Debug)]
enum Order {
    Freeze,
    Thaw,
}

/// Replicas as processes of their own.
#[derive(Debug)]
pub struct ProcessCluster {
    /// The public file.
    pub cluster: ClusterFile,
    /// Where its files are; deleted with this value.
    folder: tempfile::TempDir,
    binary: PathBuf,
    processes: Vec<Option<Child>>,
    admins: Vec<Option<SocketAddr>>,
}

impl ProcessCluster {
    /// Starts one process per replica with `binary node --config FILE` and waits until each
    /// has bound its sockets.
    ///
    /// # Errors
    /// [`LabError`]; processes that were started are ended again.
    pub fn start(binary: &Path, options: &LocalOptions) -> Result<Self, LabError> {
        let folder = tempfile::tempdir().map_err(io("making a temporary folder"))?;
        let cluster = write_files(folder.path(), options)?;
        let mut this = Self {
            cluster,
            folder,
            binary: binary.to_owned(),
            processes: Vec::new(),
            admins: vec![None; options.replicas],
        };
        let all: Vec<ReplicaId> = (0_u8..).take(options.replicas).map(ReplicaId).collect();
        this.processes.resize_with(options.replicas, || None);
        this.start_again(&all)?;
        Ok(this)
    }

    /// Starts the processes of these replicas, which must not be running, all before it
    /// waits for any.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn start_again(&mut self, replicas: &[ReplicaId]) -> Result<(), LabError> {
        for replica in replicas {
            let file = node_file(self.folder.path(), replica.0);
            let child = start_process(&self.binary, &file, &self.log_file(replica.0))?;
            if let Some(process) = self.processes.get_mut(usize::from(replica.0)) {
                *process = Some(child);
            }
        }
        for replica in replicas {
            self.await_ready(replica.0)?;
        }
        Ok(())
    }

    fn log_file(&self, id: u8) -> PathBuf {
        self.folder.path().join(format!("node-{id}.log"))
    }

    /// A started replica prints one line of JSON on its standard output.
    fn await_ready(&mut self, id: u8) -> Result<(), LabError> {
        let index = usize::from(id);
        let Some(child) = self.processes.get_mut(index).and_then(Option::as_mut) else {
            return Ok(());
        };
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut line)
                .map_err(io("waiting for a replica"))?;
        }
        let Ok(ready) = serde_json::from_str::<Ready>(&line) else {
            let said = last_lines(&self.log_file(id));
            return Err(LabError::ProcessEnded {
                replica: ReplicaId(id),
                said,
            });
        };
        if let Some(admin) = self.admins.get_mut(index) {
            *admin = ready.admin;
        }
        Ok(())
    }

    /// The admin endpoints, by replica.
    #[must_use]
    pub fn admins(&self) -> &[Option<SocketAddr>] {
        &self.admins
    }

    /// How clients see it.
    #[must_use]
    pub fn view(&self) -> ClusterView {
        view(&self.cluster)
    }

    /// The folder with the cluster's files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The program that its replicas are.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The process of a replica, if it was not killed.
    #[must_use]
    pub fn process_id(&self, replica: ReplicaId) -> Option<u32> {
        self.processes
            .get(usize::from(replica.0))?
            .as_ref()
            .map(Child::id)
    }

    /// Kills a replica's process at once, as `kill -9` does.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn kill(&mut self, replica: ReplicaId) -> Result<(), LabError> {
        let process = self
            .processes
            .get_mut(usize::from(replica.0))
            .and_then(Option::take);
        let Some(mut child) = process else {
            return Ok(());
        };
        child
            .kill()
            .and_then(|()| child.wait())
            .map(|_| ())
            .map_err(io("killing a replica"))
    }

    /// Freezes a replica's process, as `kill -STOP` does: it keeps its links and says nothing.
    ///
    /// # Errors
    /// [`LabError::Io`], also where the system has no such signal.
    pub fn freeze(&self, replica: ReplicaId) -> Result<(), LabError> {
        self.tell(replica, Order::Freeze)
            .map_err(io("freezing a replica"))
    }

    /// Lets a frozen process go on, as `kill -CONT` does.
    ///
    /// # Errors
    /// [`LabError::Io`], also where the system has no such signal.
    pub fn thaw(&self, replica: ReplicaId) -> Result<(), LabError> {
        self.tell(replica, Order::Thaw)
            .map_err(io("waking a replica"))
    }

    #[cfg(unix)]
    fn tell(&self, replica: ReplicaId, order: Order) -> std::io::Result<()> {
        use rustix::process::{Pid, Signal, kill_process};
        let process = self.processes.get(usize::from(replica.0));
        let Some(child) = process.and_then(Option::as_ref) else {
            return Ok(());
        };
        let signal = match order {
            Order::Freeze => Signal::STOP,
            Order::Thaw => Signal::CONT,
        };
        Ok(kill_process(Pid::from_child(child), signal)?)
    }

    #[cfg(not(unix))]
    fn tell(&self, _replica: ReplicaId, _order: Order) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

impl Drop for ProcessCluster {
    fn drop(&mut self) {
        for child in self.processes.iter_mut().flatten() {
            // A process that ended by itself needs no killing.
            let _ended = child.kill();
            let _status = child.wait();
        }
    }
}

/// What a started replica prints.
#[derive(serde::Deserialize)]
struct Ready {
    admin: Option<SocketAddr>,
}

fn start_process(binary: &Path, file: &Path, log: &Path) -> Result<Child, LabError> {
    let stderr = std::fs::File::options()
        .create(true)
        .append(true)
        .open(log)
        .map_err(io(format!("writing {}", log.display())))?;
    Command::new(binary)
        .args(["node", "-o", "json", "--config"])
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .map_err(io(format!("starting {}", binary.display())))
}

/// The end of a replica's log.
fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(3)..)
        .unwrap_or_default()
        .join(" | ")
}
