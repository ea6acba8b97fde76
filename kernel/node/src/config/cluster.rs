//! The cluster file: who the replicas are, and the genesis their identity comes from.

use std::{collections::BTreeMap, path::Path};

use bezant_api::Genesis;
use bezant_bft::{
    crypto::PublicKey,
    ids::{ClusterId, ReplicaId},
    limits::{MAX_CHECKPOINT_INTERVAL, MAX_REPLICAS},
};
use bezant_codec::hex::{from_hex, to_hex};
use bezant_quic::ReplicaAddress;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{
    document::{self, Document},
    error::{ConfigError, Problem},
};

/// The version of the cluster file this program reads and writes.
pub const CLUSTER_FILE_VERSION: u32 = 1;

/// Fewest replicas of a cluster: 3f+1 for f = 1.
const MIN_REPLICAS: usize = 4;

/// Most characters of a cluster's name.
const MAX_NAME_CHARS: usize = 64;

/// The public description of a cluster, the same for every replica and client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterFile {
    /// What people call the cluster: 1 to 64 characters of `a-z 0-9 . _ -`.
    pub name: String,
    /// The replicas; a replica's place is its identifier.
    pub replicas: Vec<ReplicaEntry>,
    /// What the cluster started from.
    pub genesis: GenesisSettings,
}

/// One replica as everybody knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaEntry {
    /// Where it listens, `host:port`. Not part of the cluster's identity: replicas may move.
    pub address: String,
    /// Its one key pair's public half: for its links and for its signatures.
    pub key: PublicKey,
}

/// The parameters of a cluster's genesis, beside its replicas' keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenesisSettings {
    /// Whether any client key may open a session (development); else only `clients` may.
    pub open_enrolment: bool,
    /// Whether the first `out` into a space creates it (development).
    pub spaces_on_first_out: bool,
    /// The clients enrolled from the start.
    pub clients: Vec<PublicKey>,
    /// Sequence numbers between two checkpoints.
    pub checkpoint_interval: u64,
    /// Random, so that two clusters differ.
    pub salt: [u8; 16],
}

impl ClusterFile {
    /// Reads and checks the cluster file `file`.
    ///
    /// # Errors
    /// [`ConfigError`] names the line and field that is wrong.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = document::read(file)?;
        Self::parse(file, &text)
    }

    /// Checks `text`, the content of `file`.
    ///
    /// # Errors
    /// [`ConfigError`] names the line and field that is wrong.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let document = Document::new(file, text);
        let raw: RawCluster = document.parse()?;
        raw.check(&document)
    }

    /// Checks a cluster that was put together in memory and is meant for `file`.
    ///
    /// # Errors
    /// [`ConfigError`] names the field that is wrong.
    pub fn check(&self, file: &Path) -> Result<(), ConfigError> {
        let text = document::print(file, &self.raw())?;
        match Self::parse(file, &text) {
            Ok(_) => Ok(()),
            // The text exists nowhere: its lines mean nothing to anybody.
            Err(error) => Err(ConfigError {
                line: None,
                ..error
            }),
        }
    }

    /// Writes the new file `file`, after [`ClusterFile::check`].
    ///
    /// # Errors
    /// [`ConfigError`] if the file exists, cannot be written, or would not load again.
    pub fn store(&self, file: &Path) -> Result<(), ConfigError> {
        self.check(file)?;
        let head = "# A Bezant cluster: public, the same file for every replica and client.\n\n";
        document::write(file, head, &self.raw())
    }

    /// The genesis: keys in replica order, clients ascending.
    #[must_use]
    pub fn genesis(&self) -> Genesis {
        let mut clients: Vec<[u8; 32]> = self.genesis.clients.iter().map(|key| key.0).collect();
        clients.sort_unstable();
        Genesis {
            keys: self.replicas.iter().map(|replica| replica.key.0).collect(),
            open_enrolment: self.genesis.open_enrolment,
            spaces_on_first_out: self.genesis.spaces_on_first_out,
            clients,
            checkpoint_interval: self.genesis.checkpoint_interval,
            salt: self.genesis.salt,
        }
    }

    /// The identity under every signature of this cluster.
    #[must_use]
    pub fn cluster_id(&self) -> ClusterId {
        ClusterId(self.genesis().cluster_id())
    }

    /// Where the replicas listen, for links with them.
    #[must_use]
    pub fn addresses(&self) -> Vec<ReplicaAddress> {
        (0..)
            .zip(&self.replicas)
            .map(|(id, replica)| ReplicaAddress {
                id: ReplicaId(id),
                address: replica.address.clone(),
                key: replica.key,
            })
            .collect()
    }

    /// The replica with this identifier.
    #[must_use]
    pub fn replica(&self, id: ReplicaId) -> Option<&ReplicaEntry> {
        self.replicas.get(usize::from(id.0))
    }

    /// The replica that has this key, if one has.
    #[must_use]
    pub fn replica_of(&self, key: PublicKey) -> Option<ReplicaId> {
        let index = self.replicas.iter().position(|entry| entry.key == key)?;
        u8::try_from(index).ok().map(ReplicaId)
    }

    fn raw(&self) -> RawClusterOut<'_> {
        RawClusterOut {
            name: &self.name,
            version: CLUSTER_FILE_VERSION,
            genesis: RawGenesisOut {
                open_enrolment: self.genesis.open_enrolment,
                spaces_on_first_out: self.genesis.spaces_on_first_out,
                clients: self
                    .genesis
                    .clients
                    .iter()
                    .map(|key| to_hex(&key.0))
                    .collect(),
                checkpoint_interval: self.genesis.checkpoint_interval,
                salt: to_hex(&self.genesis.salt),
            },
            replica: self
                .replicas
                .iter()
                .enumerate()
                .map(|(id, replica)| RawReplicaOut {
                    id,
                    address: &replica.address,
                    key: to_hex(&replica.key.0),
                })
                .collect(),
        }
    }
}

/// The file as written: the same fields without their places.
#[derive(Serialize)]
struct RawClusterOut<'a> {
    name: &'a str,
    version: u32,
    genesis: RawGenesisOut,
    replica: Vec<RawReplicaOut<'a>>,
}

#[derive(Serialize)]
struct RawGenesisOut {
    open_enrolment: bool,
    spaces_on_first_out: bool,
    clients: Vec<String>,
    checkpoint_interval: u64,
    salt: String,
}

#[derive(Serialize)]
struct RawReplicaOut<'a> {
    id: usize,
    address: &'a str,
    key: String,
}

/// The file as read: every value with its place.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCluster {
    name: Spanned<String>,
    version: Spanned<u32>,
    genesis: RawGenesis,
    replica: Spanned<Vec<RawReplica>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGenesis {
    open_enrolment: bool,
    spaces_on_first_out: bool,
    clients: Vec<Spanned<String>>,
    checkpoint_interval: Spanned<u64>,
    salt: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReplica {
    id: Spanned<u8>,
    address: Spanned<String>,
    key: Spanned<String>,
}

impl RawCluster {
    fn check(self, document: &Document<'_>) -> Result<ClusterFile, ConfigError> {
        let version = *self.version.get_ref();
        if version != CLUSTER_FILE_VERSION {
            return Err(document.wrong(&self.version, "version", Problem::Version(version)));
        }
        if !is_name(self.name.get_ref()) {
            let problem = Problem::Name(self.name.get_ref().clone());
            return Err(document.wrong(&self.name, "name", problem));
        }
        let replicas = check_replicas(&self.replica, document)?;
        Ok(ClusterFile {
            name: self.name.into_inner(),
            replicas,
            genesis: self.genesis.check(document)?,
        })
    }
}

impl RawGenesis {
    fn check(self, document: &Document<'_>) -> Result<GenesisSettings, ConfigError> {
        let mut clients = Vec::with_capacity(self.clients.len());
        for (index, client) in self.clients.iter().enumerate() {
            let field = || format!("genesis.clients[{index}]");
            let key = public_key(client).map_err(|why| document.wrong(client, field(), why))?;
            if clients.contains(&key) {
                return Err(document.wrong(client, field(), Problem::SameClient));
            }
            clients.push(key);
        }
        let interval = *self.checkpoint_interval.get_ref();
        if interval == 0 || interval > MAX_CHECKPOINT_INTERVAL {
            let problem = Problem::CheckpointInterval(interval);
            let field = "genesis.checkpoint_interval";
            return Err(document.wrong(&self.checkpoint_interval, field, problem));
        }
        let salt = from_hex(self.salt.get_ref()).ok_or_else(|| {
            document.wrong(&self.salt, "genesis.salt", Problem::Hex { bytes: 16 })
        })?;
        Ok(GenesisSettings {
            open_enrolment: self.open_enrolment,
            spaces_on_first_out: self.spaces_on_first_out,
            clients,
            checkpoint_interval: interval,
            salt,
        })
    }
}

/// Checks that the replicas are numbered in order and differ in address and key.
fn check_replicas(
    raw: &Spanned<Vec<RawReplica>>,
    document: &Document<'_>,
) -> Result<Vec<ReplicaEntry>, ConfigError> {
    let count = raw.get_ref().len();
    if !(MIN_REPLICAS..=MAX_REPLICAS).contains(&count) {
        return Err(document.wrong(raw, "replica", Problem::ReplicaCount(count)));
    }
    let mut by_address = BTreeMap::new();
    let mut by_key = BTreeMap::new();
    let mut replicas = Vec::with_capacity(count);
    for (place, replica) in raw.get_ref().iter().enumerate() {
        let id = *replica.id.get_ref();
        if usize::from(id) != place {
            let problem = Problem::ReplicaOrder {
                expected: place,
                found: id,
            };
            return Err(document.wrong(&replica.id, format!("replica[{place}].id"), problem));
        }
        let address = replica.address.get_ref().clone();
        let field = || format!("replica[{place}].address");
        if !is_host_and_port(&address) {
            return Err(document.wrong(&replica.address, field(), Problem::Address(address)));
        }
        if let Some(other) = by_address.insert(address.clone(), id) {
            return Err(document.wrong(&replica.address, field(), Problem::SameAddress(other)));
        }
        let field = || format!("replica[{place}].key");
        let key = public_key(&replica.key)
            .map_err(|problem| document.wrong(&replica.key, field(), problem))?;
        if let Some(other) = by_key.insert(key, id) {
            return Err(document.wrong(&replica.key, field(), Problem::SameKey(other)));
        }
        replicas.push(ReplicaEntry { address, key });
    }
    Ok(replicas)
}

fn public_key(text: &Spanned<String>) -> Result<PublicKey, Problem> {
    from_hex(text.get_ref())
        .map(PublicKey)
        .ok_or(Problem::Hex { bytes: 32 })
}

fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    (1..=MAX_NAME_CHARS).contains(&text.len()) && text.chars().all(allowed)
}

/// Whether `text` is `host:port` with a port other than 0. An IPv6 host stands in brackets.
fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let named = !host.is_empty() && !host.contains([':', '[', ']', ' ', '/']);
    let numbered = bare.is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    (named || numbered) && port.parse::<u16>().is_ok_and(|port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bezant_bft::crypto::SigningKey;

    fn cluster() -> ClusterFile {
        ClusterFile {
            name: "test".to_owned(),
            replicas: (0..4)
                .map(|id| ReplicaEntry {
                    address: format!("127.0.0.1:74{id:02}"),
                    key: SigningKey::from_seed([id + 1; 32]).public(),
                })
                .collect(),
            genesis: GenesisSettings {
                open_enrolment: false,
                spaces_on_first_out: true,
                clients: vec![
                    SigningKey::from_seed([9; 32]).public(),
                    SigningKey::from_seed([8; 32]).public(),
                ],
                checkpoint_interval: 128,
                salt: [3; 16],
            },
        }
    }

    fn text() -> String {
        toml::to_string(&cluster().raw()).unwrap()
    }

    /// Parses the good file with `from` replaced by `to`, which must fail, and prints the error.
    fn refusal(from: &str, to: &str) -> String {
        let good = text();
        assert!(good.contains(from), "{from} is not in\n{good}");
        let bad = good.replacen(from, to, 1);
        let error = ClusterFile::parse(Path::new("cluster.toml"), &bad).unwrap_err();
        assert!(!error.next_step().is_empty());
        error.to_string()
    }

    #[test]
    fn a_stored_file_loads_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cluster.toml");
        cluster().store(&file).unwrap();
        assert_eq!(ClusterFile::load(&file).unwrap(), cluster());
        let error = cluster().store(&file).unwrap_err();
        assert!(matches!(error.problem, Problem::Exists), "{error}");
    }

    #[test]
    fn addresses_and_the_order_of_clients_are_not_part_of_the_identity() {
        let id = cluster().cluster_id();
        let mut moved = cluster();
        moved.replicas[2].address = "elsewhere:7401".to_owned();
        moved.genesis.clients.reverse();
        moved.name = "renamed".to_owned();
        assert_eq!(moved.cluster_id(), id);

        let mut salted = cluster();
        salted.genesis.salt = [4; 16];
        assert_ne!(salted.cluster_id(), id);
        let mut opened = cluster();
        opened.genesis.open_enrolment = true;
        assert_ne!(opened.cluster_id(), id);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_field() {
        assert_eq!(
            refusal("version = 1", "version = 2"),
            "cluster.toml:2: `version`: version 2 is not known here"
        );
        assert_eq!(
            refusal("\"test\"", "\"Test cluster\""),
            "cluster.toml:1: `name`: \"Test cluster\" is not a cluster's name"
        );
        assert!(
            refusal("id = 3", "id = 2").ends_with("`replica[3].id`: id 2 stands where 3 belongs")
        );
        assert!(
            refusal("127.0.0.1:7402", "127.0.0.1")
                .ends_with("`replica[2].address`: \"127.0.0.1\" is not an address with a port")
        );
        assert!(
            refusal("127.0.0.1:7402", "127.0.0.1:7401").ends_with("replica 1 has the same address")
        );
        assert!(
            refusal("checkpoint_interval = 128", "checkpoint_interval = 0")
                .contains("`genesis.checkpoint_interval`")
        );
        assert!(refusal("salt = \"0303", "salt = \"").ends_with("not 16 bytes in hexadecimal"));
    }

    #[test]
    fn keys_must_be_keys_and_differ() {
        let key = |seed: u8| to_hex(&SigningKey::from_seed([seed; 32]).public().0);
        assert!(
            refusal(&key(2), &key(1)).ends_with("`replica[1].key`: replica 0 has the same key")
        );
        assert!(refusal(&key(2), "cafe").ends_with("not 32 bytes in hexadecimal"));
        assert!(
            refusal(&key(8), &key(9))
                .ends_with("`genesis.clients[1]`: this client is listed already")
        );
    }

    #[test]
    fn unknown_and_missing_fields_and_broken_toml_have_a_line() {
        assert!(refusal("version = 1", "version = 1\nversoin = 1").starts_with("cluster.toml:3: "));
        assert!(refusal("version = 1", "").contains("missing field `version`"));
        assert!(refusal("version = 1", "version = = 1").starts_with("cluster.toml:2: "));
    }

    #[test]
    fn too_few_replicas_are_no_cluster() {
        let mut small = cluster();
        small.replicas.pop();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cluster.toml");
        let error = small.store(&file).unwrap_err();
        assert!(matches!(error.problem, Problem::ReplicaCount(3)), "{error}");
        assert!(!file.exists());
    }

    #[test]
    fn hosts_may_be_names_and_both_kinds_of_addresses() {
        for good in ["host:1", "a.b-c:7401", "10.0.0.1:65535", "[::1]:7401"] {
            assert!(is_host_and_port(good), "{good}");
        }
        for bad in [
            "",
            "host",
            ":1",
            "host:0",
            "host:65536",
            "::1:7401",
            "[::1:7401",
            "a b:1",
            "quic://a:1",
        ] {
            assert!(!is_host_and_port(bad), "{bad}");
        }
    }
}
