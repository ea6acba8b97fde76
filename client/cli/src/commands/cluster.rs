//! `bezant cluster init`: keys and configuration for a new cluster, one folder per host.
//!
//! Each host's folder is all that host needs and holds the only copy of its
//! private key; the cluster file is public and for everybody.

use bezant_codec::hex::to_hex;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use bezant_bft::{crypto::SigningKey, limits::CHECKPOINT_INTERVAL};
use bezant_node::config::{
    ClusterFile, ConfigError, GenesisSettings, NodeFile, Problem, ReplicaEntry, StorageKind,
    random_key, store_key,
};
use bezant_node::first_start::FirstStart;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    exit::{Exit, Failure},
    flags::Format,
    print::Printer,
};

/// How far an admin port lies above its replica's port.
const ADMIN_PORT_OFFSET: u16 = 100;

/// The commands of `bezant cluster`.
#[derive(Debug, Subcommand)]
pub(crate) enum Cluster {
    /// Write keys and configuration for a new cluster, one folder per host
    Init(Init),
}

/// Flags of `bezant cluster init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Where the replicas will listen, as host:port; 3f+1 of them tolerate f faulty ones
    #[arg(long, required = true, value_name = "HOST:PORT", value_delimiter = ',')]
    hosts: Vec<String>,
    /// The folder to write to; it may exist, the files in it may not
    #[arg(long, value_name = "DIR", default_value = "bezant-cluster")]
    dir: PathBuf,
    /// What to call the cluster
    #[arg(long, default_value = "bezant")]
    name: String,
    /// How many client keys to make and enrol
    #[arg(long, value_name = "N", default_value_t = 1)]
    clients: u8,
    /// A development cluster: any key is a client, spaces make themselves, faults can be switched
    /// on
    #[arg(long)]
    dev: bool,
}

impl Cluster {
    pub(crate) fn run(self, printer: &Printer) -> Result<Exit, Failure> {
        match self {
            Self::Init(init) => init.run(printer),
        }
    }
}

impl Init {
    fn run(self, printer: &Printer) -> Result<Exit, Failure> {
        let file = self.dir.join("cluster.toml");
        let replica_keys = fresh_keys(self.hosts.len())?;
        let client_keys = fresh_keys(usize::from(self.clients))?;
        let cluster = ClusterFile {
            name: self.name.clone(),
            replicas: self
                .hosts
                .iter()
                .zip(&replica_keys)
                .map(|(address, key)| ReplicaEntry {
                    address: address.clone(),
                    key: key.public(),
                })
                .collect(),
            genesis: GenesisSettings {
                open_enrolment: self.dev,
                spaces_on_first_out: self.dev,
                clients: client_keys.iter().map(SigningKey::public).collect(),
                checkpoint_interval: CHECKPOINT_INTERVAL,
                salt: salt(&file)?,
            },
        };
        cluster.check(&file)?;
        make_folder(&self.dir)?;
        cluster.store(&file)?;

        let mut folders = Vec::new();
        for ((id, address), key) in (0..).zip(&self.hosts).zip(&replica_keys) {
            folders.push(self.write_host(id, address, key, &cluster)?);
        }
        let mut clients = Vec::new();
        for (index, key) in client_keys.iter().enumerate() {
            let folder = self.dir.join("clients");
            make_folder(&folder)?;
            let path = folder.join(format!("client-{index}.key"));
            store_key(&path, key)?;
            clients.push(path);
        }
        self.report(&file, &cluster, &folders, &clients, printer)?;
        Ok(Exit::Ok)
    }

    /// Writes the folder of replica `id`: its key, its node file, a copy of the cluster file.
    fn write_host(
        &self,
        id: u8,
        address: &str,
        key: &SigningKey,
        cluster: &ClusterFile,
    ) -> Result<PathBuf, Failure> {
        let folder = self.dir.join(format!("replica-{id}"));
        make_folder(&folder)?;
        cluster.store(&folder.join("cluster.toml"))?;
        let key_name = format!("replica-{id}.key");
        store_key(&folder.join(&key_name), key)?;
        let listen = listen_address(address);
        let node = NodeFile {
            replica: id,
            cluster: "cluster.toml".into(),
            key: key_name.into(),
            listen,
            admin: admin_address(listen),
            data: Some("data".into()),
            storage: StorageKind::Sync,
            allow_faults: self.dev,
        };
        node.store(&folder.join("node.toml"))?;
        FirstStart::grant(&folder.join("data")).map_err(|error| {
            Failure::error(error.to_string()).next("choose another folder with --dir DIR")
        })?;
        Ok(folder)
    }

    fn report(
        &self,
        file: &Path,
        cluster: &ClusterFile,
        folders: &[PathBuf],
        clients: &[PathBuf],
        printer: &Printer,
    ) -> Result<(), Failure> {
        if printer.is_json() {
            return printer.json(&json!({
                "name": cluster.name,
                "id": to_hex(&cluster.cluster_id().0),
                "cluster": file,
                "replicas": folders,
                "clients": clients,
            }));
        }
        let host = |(folder, address): (&PathBuf, &String)| {
            vec![
                folder.display().to_string(),
                format!("for {address}, holds its private key"),
            ]
        };
        let mut rows = vec![vec![
            file.display().to_string(),
            "public, for every client".to_owned(),
        ]];
        rows.extend(folders.iter().zip(&self.hosts).map(host));
        rows.extend(clients.iter().map(|key| {
            vec![
                key.display().to_string(),
                "a client's private key".to_owned(),
            ]
        }));
        if printer.format == Format::Raw {
            return rows
                .iter()
                .filter_map(|row| row.first())
                .try_for_each(|path| printer.line(path));
        }
        printer.table(&["written", ""], rows)?;
        let folder = folders
            .first()
            .map_or_else(String::new, |folder| folder.display().to_string());
        printer.note(&format!(
            "  next: move each folder to its host and start it there: bezant node --config {folder}/node.toml"
        ));
        Ok(())
    }
}

fn fresh_keys(count: usize) -> Result<Vec<SigningKey>, Failure> {
    let keys: Result<Vec<_>, ConfigError> = (0..count).map(|_| random_key()).collect();
    Ok(keys?)
}

fn salt(file: &Path) -> Result<[u8; 16], Failure> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| ConfigError {
        file: file.to_path_buf(),
        line: None,
        field: Some("genesis.salt".to_owned()),
        problem: Problem::NoRandomness,
    })?;
    Ok(salt)
}

fn make_folder(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| {
        Failure::error(format!("{} cannot be made: {error}", folder.display()))
            .next("choose another folder with --dir DIR")
    })
}

/// Where a replica known as `address` listens: there if that is an IP address,
/// on every interface if it is a name, which may mean another address at home.
fn listen_address(address: &str) -> SocketAddr {
    address.parse().unwrap_or_else(|_| {
        let port = address
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok());
        SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port.unwrap_or(0))
    })
}

/// The admin endpoint, for this host's own eyes unless an operator changes it.
fn admin_address(listen: SocketAddr) -> Option<SocketAddr> {
    let port = listen.port().checked_add(ADMIN_PORT_OFFSET)?;
    Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_listen_everywhere_and_addresses_where_they_say() {
        assert_eq!(listen_address("10.0.0.1:7401").to_string(), "10.0.0.1:7401");
        assert_eq!(listen_address("[::1]:7401").to_string(), "[::1]:7401");
        assert_eq!(listen_address("a.example:7401").to_string(), "0.0.0.0:7401");
    }

    #[test]
    fn the_admin_endpoint_is_local() {
        let listen = listen_address("a.example:7401");
        assert_eq!(admin_address(listen).unwrap().to_string(), "127.0.0.1:7501");
        assert_eq!(admin_address(listen_address("a.example:65500")), None);
    }
}
