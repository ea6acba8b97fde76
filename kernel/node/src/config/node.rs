//! The node file: one replica's own settings, and all it points at, loaded and checked.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use bezant_bft::{crypto::SigningKey, ids::ReplicaId};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{
    cluster::ClusterFile,
    document::{self, Document, beside},
    error::{ConfigError, Problem},
    key::load_key,
};

/// Where a replica keeps its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StorageKind {
    /// In memory: lost with the process.
    #[default]
    Memory,
    /// On disk, durable before anything that builds on it is said.
    Sync,
}

/// Everything a replica needs to start.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Which of the cluster's replicas this is.
    pub replica: ReplicaId,
    /// The cluster it belongs to.
    pub cluster: ClusterFile,
    /// Its one key, for its links and its signatures; public half as the cluster file pins it.
    pub key: SigningKey,
    /// Where it listens for replicas and clients (UDP).
    pub listen: SocketAddr,
    /// Where it serves its admin endpoint (TCP), if at all.
    pub admin: Option<SocketAddr>,
    /// Its data folder, if it keeps anything.
    pub data: Option<PathBuf>,
    /// Where it keeps its log.
    pub storage: StorageKind,
    /// Whether it is certain, whatever its data folder says, that it never ran: it may
    /// vote without a memory. A replica of a node file never claims that.
    pub never_ran: bool,
    /// Whether faults may be switched on over the admin endpoint (development).
    pub allow_faults: bool,
}

/// The node file as it stands on disk; paths are relative to the file's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeFile {
    /// Which of the cluster's replicas this is.
    pub replica: u8,
    /// Path of the cluster file.
    pub cluster: PathBuf,
    /// Path of the private key's file.
    pub key: PathBuf,
    /// Where it listens for replicas and clients (UDP).
    pub listen: SocketAddr,
    /// Where it serves its admin endpoint (TCP), if at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<SocketAddr>,
    /// Path of its data folder, if it keeps anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Where it keeps its log.
    pub storage: StorageKind,
    /// Whether faults may be switched on over the admin endpoint (development).
    pub allow_faults: bool,
}

/// The file as read: every value that is checked, with its place.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNode {
    replica: Spanned<u8>,
    cluster: PathBuf,
    key: Spanned<PathBuf>,
    listen: Spanned<String>,
    admin: Option<Spanned<String>>,
    data: Option<PathBuf>,
    storage: Option<Spanned<StorageKind>>,
    #[serde(default)]
    allow_faults: bool,
}

impl NodeConfig {
    /// Reads the node file `file` and all it points at.
    ///
    /// # Errors
    /// [`ConfigError`] names the file (this one, the cluster file or the key
    /// file), and the line and field that is wrong.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = document::read(file)?;
        let document = Document::new(file, &text);
        let raw: RawNode = document.parse()?;
        let listen = socket_address(&document, &raw.listen, "listen")?;
        let admin = match &raw.admin {
            Some(text) => Some(socket_address(&document, text, "admin")?),
            None => None,
        };
        let storage = match &raw.storage {
            Some(kind) if *kind.get_ref() == StorageKind::Sync && raw.data.is_none() => {
                return Err(document.wrong(kind, "storage", Problem::NoData));
            }
            Some(kind) => *kind.get_ref(),
            None => StorageKind::default(),
        };
        let cluster = ClusterFile::load(&beside(file, &raw.cluster))?;
        let key = load_key(&beside(file, raw.key.get_ref()))?;

        let replica = *raw.replica.get_ref();
        let Some(entry) = cluster.replica(ReplicaId(replica)) else {
            let of = cluster.replicas.len();
            let problem = Problem::NoSuchReplica { replica, of };
            return Err(document.wrong(&raw.replica, "replica", problem));
        };
        if entry.key != key.public() {
            let belongs_to = cluster.replica_of(key.public()).map(|id| id.0);
            let problem = Problem::WrongKey {
                replica,
                belongs_to,
            };
            return Err(document.wrong(&raw.key, "key", problem));
        }
        Ok(Self {
            replica: ReplicaId(replica),
            cluster,
            key,
            listen,
            admin,
            data: raw.data.map(|data| beside(file, &data)),
            storage,
            never_ran: false,
            allow_faults: raw.allow_faults,
        })
    }
}

impl NodeFile {
    /// Writes the new file `file`.
    ///
    /// # Errors
    /// [`ConfigError`] if the file exists or cannot be written.
    pub fn store(&self, file: &Path) -> Result<(), ConfigError> {
        let head = "# One Bezant replica. Paths are relative to this file.\n\n";
        document::write(file, head, self)
    }
}

fn socket_address(
    document: &Document<'_>,
    text: &Spanned<String>,
    field: &str,
) -> Result<SocketAddr, ConfigError> {
    text.get_ref().parse().map_err(|_| {
        let problem = Problem::SocketAddress(text.get_ref().clone());
        document.wrong(text, field, problem)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{GenesisSettings, ReplicaEntry, store_key};
    use super::*;
    use std::fs;

    fn key(replica: u8) -> SigningKey {
        SigningKey::from_seed([replica + 1; 32])
    }

    fn node_file(replica: u8) -> NodeFile {
        NodeFile {
            replica,
            cluster: "cluster.toml".into(),
            key: "replica.key".into(),
            listen: "127.0.0.1:7401".parse().unwrap(),
            admin: Some("127.0.0.1:7501".parse().unwrap()),
            data: Some("data".into()),
            storage: StorageKind::Memory,
            allow_faults: false,
        }
    }

    /// A folder with a cluster file, the key of `owner`, and the node file of `replica`.
    fn folder(replica: u8, owner: u8) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let cluster = ClusterFile {
            name: "test".to_owned(),
            replicas: (0..4)
                .map(|id| ReplicaEntry {
                    address: format!("127.0.0.1:740{id}"),
                    key: key(id).public(),
                })
                .collect(),
            genesis: GenesisSettings {
                open_enrolment: true,
                spaces_on_first_out: true,
                clients: Vec::new(),
                checkpoint_interval: 128,
                salt: [3; 16],
            },
        };
        cluster.store(&folder.path().join("cluster.toml")).unwrap();
        store_key(&folder.path().join("replica.key"), &key(owner)).unwrap();
        node_file(replica)
            .store(&folder.path().join("node.toml"))
            .unwrap();
        folder
    }

    #[test]
    fn a_stored_file_loads_with_what_it_points_at() {
        let folder = folder(2, 2);
        let config = NodeConfig::load(&folder.path().join("node.toml")).unwrap();
        assert_eq!(config.replica, ReplicaId(2));
        assert_eq!(config.key.public(), key(2).public());
        assert_eq!(config.cluster.name, "test");
        assert_eq!(config.data, Some(folder.path().join("data")));
        assert_eq!(config.admin, node_file(2).admin);
        assert!(!config.allow_faults);
    }

    #[test]
    fn a_replica_keeps_its_log_where_the_file_says() {
        let folder = folder(2, 2);
        let file = folder.path().join("node.toml");
        let text = fs::read_to_string(&file).unwrap();
        for (line, kind) in [
            ("", StorageKind::Memory),
            ("storage = \"memory\"\n", StorageKind::Memory),
            ("storage = \"sync\"\n", StorageKind::Sync),
        ] {
            fs::write(&file, text.replacen("storage = \"memory\"\n", line, 1)).unwrap();
            assert_eq!(NodeConfig::load(&file).unwrap().storage, kind);
        }
    }

    #[test]
    fn the_key_must_be_the_one_the_cluster_pins() {
        let swapped = folder(2, 1);
        let error = NodeConfig::load(&swapped.path().join("node.toml")).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("this is the key of replica 1, not of replica 2")
        );
        assert_eq!(error.field.as_deref(), Some("key"));

        let strange = folder(2, 77);
        let error = NodeConfig::load(&strange.path().join("node.toml")).unwrap_err();
        assert!(
            matches!(
                error.problem,
                Problem::WrongKey {
                    belongs_to: None,
                    ..
                }
            ),
            "{error}"
        );

        let absent = folder(4, 0);
        let error = NodeConfig::load(&absent.path().join("node.toml")).unwrap_err();
        assert!(
            matches!(error.problem, Problem::NoSuchReplica { replica: 4, of: 4 }),
            "{error}"
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_field() {
        let folder = folder(0, 0);
        let file = folder.path().join("node.toml");
        let good = fs::read_to_string(&file).unwrap();
        for (from, to, expected) in [
            (
                "127.0.0.1:7401",
                "localhost",
                "`listen`: \"localhost\" is not an IP address with a port",
            ),
            (
                "127.0.0.1:7501",
                "127.0.0.1",
                "`admin`: \"127.0.0.1\" is not an IP address with a port",
            ),
            (
                "storage = \"memory\"",
                "storage = \"tape\"",
                "unknown variant `tape`",
            ),
            ("allow_faults", "allow_fault", "unknown field `allow_fault`"),
            (
                "data = \"data\"\nstorage = \"memory\"",
                "storage = \"sync\"",
                "`storage`: nothing can be kept without a data folder",
            ),
        ] {
            fs::write(&file, good.replacen(from, to, 1)).unwrap();
            let error = NodeConfig::load(&file).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(error.line.is_some_and(|line| line > 2), "{error}");
        }
        fs::write(&file, good.replacen("cluster.toml", "other.toml", 1)).unwrap();
        let error = NodeConfig::load(&file).unwrap_err();
        assert_eq!(error.file, folder.path().join("other.toml"));
        assert!(
            error.next_step().contains("bezant cluster init"),
            "{}",
            error.next_step()
        );
    }
}
