//! Four replicas as four processes, set up by `cluster init` as an operator would.

use std::{
    net::UdpSocket,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::fixture::{BEZANT, Ran, Running, World};

/// A cluster of processes.
pub(crate) struct Cluster {
    world: World,
    replicas: Vec<Running>,
}

impl Cluster {
    /// Sets up and starts a cluster; `extra` goes to `cluster init`.
    pub(crate) fn start(extra: &[&str]) -> Self {
        let world = World::new();
        // All are held until all are known, so that no two are the same.
        let held: Vec<_> = (0..4)
            .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
            .collect();
        let hosts: Vec<String> = held
            .iter()
            .map(|socket| socket.local_addr().unwrap().to_string())
            .collect();
        drop(held);
        let dir = world.path().join("cluster");
        let hosts = hosts.join(",");
        let init = [
            "cluster",
            "init",
            "--hosts",
            &hosts,
            "--dir",
            dir.to_str().unwrap(),
        ];
        world.bezant(init.iter().chain(extra)).ends_with(0);
        let replicas = (0..4).map(|id| start_replica(&world, id)).collect();
        Self { world, replicas }
    }

    /// Runs a command as the client with this key.
    pub(crate) fn as_client(&self, key: &Path, args: &[&str]) -> Ran {
        let cluster = self.world.path().join("cluster").join("cluster.toml");
        let flags = [
            "--cluster",
            cluster.to_str().unwrap(),
            "--key",
            key.to_str().unwrap(),
        ];
        self.world.bezant(args.iter().chain(&flags))
    }

    pub(crate) fn enrolled(&self) -> PathBuf {
        self.world
            .path()
            .join("cluster")
            .join("clients")
            .join("client-0.key")
    }

    /// Kills the first replica; its node file.
    pub(crate) fn stop_one(&mut self) -> String {
        drop(self.replicas.remove(0));
        let node = node_file(&self.world, 0);
        node.to_str().unwrap().to_owned()
    }

    /// The key of another cluster's client, who is nobody here.
    pub(crate) fn stranger(&self) -> PathBuf {
        let hosts = "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3,127.0.0.1:4";
        let dir = self.world.path().join("other");
        let dir_text = dir.to_str().unwrap();
        let init = ["cluster", "init", "--hosts", hosts, "--dir", dir_text];
        self.world.bezant(init).ends_with(0);
        dir.join("clients").join("client-0.key")
    }
}

fn node_file(world: &World, id: usize) -> PathBuf {
    world
        .path()
        .join("cluster")
        .join(format!("replica-{id}"))
        .join("node.toml")
}

fn start_replica(world: &World, id: usize) -> Running {
    let mut command = world.command(BEZANT);
    // The ports above the replicas' own may be taken on this machine.
    command
        .args(["node", "--admin", "127.0.0.1:0", "--config"])
        .arg(node_file(world, id));
    Running::start(command.env("BEZANT_LOG", "error"))
}

#[test]
fn processes_serve_enrolled_clients_and_deny_others() {
    let cluster = Cluster::start(&[]);
    let key = cluster.enrolled();
    let missing = cluster
        .as_client(&key, &["out", "jobs", "(1)"])
        .ends_with(1);
    assert!(
        missing.stderr.contains("bezant space create"),
        "{}",
        missing.stderr
    );
    cluster
        .as_client(&key, &["space", "create", "jobs"])
        .ends_with(0);
    cluster
        .as_client(&key, &["out", "jobs", "(1)"])
        .ends_with(0);
    let read = cluster
        .as_client(&key, &["in", "jobs", "(?int)", "-o", "json"])
        .ends_with(0);
    assert_eq!(read.json()["tuple"], json!([1]));

    let stranger = cluster.stranger();
    let denied = cluster
        .as_client(&stranger, &["rdp", "jobs", "(?int)"])
        .ends_with(4);
    assert!(denied.stderr.contains("not enrolled"), "{}", denied.stderr);

    // A port that is taken is a clear refusal, not a second replica.
    let admin = ["--admin", "127.0.0.1:0"];
    let node = node_file(&cluster.world, 0);
    let copy = node.with_file_name("again.toml");
    let text = std::fs::read_to_string(&node).unwrap();
    std::fs::write(
        &copy,
        text.replace("data = \"data\"\n", "data = \"other\"\n"),
    )
    .unwrap();
    let again = ["node", "--config", copy.to_str().unwrap()];
    let taken = cluster
        .world
        .bezant(again.iter().chain(&admin))
        .ends_with(1);
    assert!(taken.stderr.contains("next: "), "{}", taken.stderr);
}

/// What was put before `dev --data` was killed is there after the next start, for the same
/// client and with the same cluster file.
#[test]
fn a_development_cluster_with_a_folder_goes_on_where_it_was_killed() {
    let world = World::new();
    let data = world.path().join("kept");
    let dev = || {
        let mut command = world.command(BEZANT);
        Running::start(command.args(["dev", "-o", "jsonl", "--data"]).arg(&data))
    };
    let first = dev();
    for number in 0..3 {
        let tuple = format!("({number})");
        world.bezant(["out", "jobs", &tuple]).ends_with(0);
    }
    world.bezant(["in", "jobs", "(1)"]).ends_with(0);
    drop(first);
    let second = dev();
    let left = world
        .bezant(["rd-all", "jobs", "(?int)", "-o", "json"])
        .ends_with(0)
        .json();
    let left: Vec<_> = left["tuples"].as_array().unwrap().iter().collect();
    let left: Vec<_> = left.iter().map(|entry| &entry["tuple"]).collect();
    assert_eq!(left, [&json!([0]), &json!([2])]);

    // The folder is in use, and another size is another cluster.
    let again = ["dev", "--data", data.to_str().unwrap()];
    let used = world.bezant(again).ends_with(1);
    assert!(
        used.stderr.contains("in use by another process"),
        "{}",
        used.stderr
    );
    drop(second);
    let other = world
        .bezant(again.iter().chain(&["--replicas", "7"]))
        .ends_with(2);
    assert!(other.stderr.contains("has 4 replicas"), "{}", other.stderr);
}

#[test]
fn one_process_may_be_killed_and_two_may_not() {
    let mut cluster = Cluster::start(&["--dev"]);
    let key = cluster.enrolled();
    cluster
        .as_client(&key, &["out", "jobs", "(1)"])
        .ends_with(0);
    // Replica 0 is the primary of view 0, and not the one to go.
    cluster.replicas.pop();
    let read = cluster
        .as_client(&key, &["rd", "jobs", "(?int)", "-o", "json"])
        .ends_with(0);
    assert_eq!(read.json()["tuple"], json!([1]));
    cluster.replicas.pop();
    let lost = cluster.as_client(&key, &["rdp", "jobs", "(?int)", "--timeout", "1s"]);
    assert!(matches!(lost.code, 5 | 6), "{lost:?}");
    assert_eq!(lost.stdout, "");
    cluster.replicas.clear();
    let gone = cluster
        .as_client(&key, &["rdp", "jobs", "(?int)", "--timeout", "1s"])
        .ends_with(5);
    assert!(gone.stderr.contains("next: "), "{}", gone.stderr);
}
