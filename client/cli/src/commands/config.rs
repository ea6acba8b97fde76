//! `bezant config`: what the files say, and whether they can be used.

use bezant_codec::hex::to_hex;
use std::{
    fs,
    path::{Path, PathBuf},
};

use bezant_bft::quorum::Quorum;
use bezant_node::config::{ClusterFile, NodeConfig};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    contexts,
    exit::{Exit, Failure},
    flags::Global,
    print::Printer,
    target::Target,
};

/// The commands of `bezant config`.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check cluster and node files as a starting replica would
    Check {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Show what a file means, or, without one, what this user's commands use
    Show {
        /// A cluster or node file
        file: Option<PathBuf>,
    },
}

impl Config {
    pub(crate) fn run(self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        match self {
            Self::Check { files } => check(&files, printer),
            Self::Show { file: Some(file) } => show(&describe(&file)?, printer),
            Self::Show { file: None } => show(&client(global)?, printer),
        }
    }
}

/// Checks all files and tells of each; the last failure decides the exit code.
fn check(files: &[PathBuf], printer: &Printer) -> Result<Exit, Failure> {
    let mut exit = Exit::Ok;
    let mut results = Vec::with_capacity(files.len());
    for file in files {
        let result = describe(file);
        if let Err(failure) = &result {
            exit = failure.exit;
            printer.failure(failure);
        } else if !printer.is_json() {
            printer.line(&format!("ok  {}", file.display()))?;
        }
        results.push(json!({
            "file": file,
            "ok": result.is_ok(),
            "error": result.as_ref().err().map(|failure| &failure.what),
            "next": result.as_ref().err().and_then(|failure| failure.next.as_ref()),
        }));
    }
    if printer.is_json() {
        printer.objects(results)?;
    }
    Ok(exit)
}

/// Loads a node or cluster file, told apart by a node file's `replica = NUMBER`.
fn describe(file: &Path) -> Result<Vec<(&'static str, Value)>, Failure> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let is_node = toml::from_str::<toml::Table>(&text)
        .is_ok_and(|table| table.get("replica").is_some_and(toml::Value::is_integer));
    if is_node {
        let node = NodeConfig::load(file)?;
        let mut lines = vec![
            ("kind", json!("node")),
            ("replica", json!(node.replica.0)),
            ("public_key", json!(to_hex(&node.key.public().0))),
            ("listen", json!(node.listen)),
            ("admin", json!(node.admin)),
            ("data", json!(node.data)),
            ("storage", json!(node.storage)),
            ("allow_faults", json!(node.allow_faults)),
        ];
        lines.extend(describe_cluster(&node.cluster));
        Ok(lines)
    } else {
        let mut lines = vec![("kind", json!("cluster"))];
        lines.extend(describe_cluster(&ClusterFile::load(file)?));
        Ok(lines)
    }
}

fn describe_cluster(cluster: &ClusterFile) -> Vec<(&'static str, Value)> {
    let n = cluster.replicas.len();
    let addresses: Vec<&str> = cluster
        .replicas
        .iter()
        .map(|r| r.address.as_str())
        .collect();
    vec![
        ("cluster", json!(cluster.name)),
        ("cluster_id", json!(to_hex(&cluster.cluster_id().0))),
        ("n", json!(n)),
        ("f", json!(Quorum::new(n).map(Quorum::f))),
        ("addresses", json!(addresses)),
        ("open_enrolment", json!(cluster.genesis.open_enrolment)),
        (
            "spaces_on_first_out",
            json!(cluster.genesis.spaces_on_first_out),
        ),
        ("enrolled_clients", json!(cluster.genesis.clients.len())),
        (
            "checkpoint_interval",
            json!(cluster.genesis.checkpoint_interval),
        ),
    ]
}

/// What the flags, the environment and the contexts amount to.
fn client(global: &Global) -> Result<Vec<(&'static str, Value)>, Failure> {
    let target = Target::resolve(global)?;
    let timeout_ms = u64::try_from(global.timeout.as_millis()).unwrap_or(u64::MAX);
    let mut lines = vec![
        ("kind", json!("client")),
        ("contexts_file", json!(contexts::path()?)),
        ("context", json!(target.context)),
        ("cluster_file", json!(target.file)),
        ("key_file", json!(target.key)),
        ("admin", json!(target.admin)),
        ("dev", json!(target.dev)),
        ("timeout_ms", json!(timeout_ms)),
    ];
    lines.extend(describe_cluster(&target.cluster));
    Ok(lines)
}

fn show(lines: &[(&'static str, Value)], printer: &Printer) -> Result<Exit, Failure> {
    if printer.is_json() {
        let object: serde_json::Map<String, Value> = lines
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        printer.json(&object)?;
        return Ok(Exit::Ok);
    }
    let row = |(name, value): &(&'static str, Value)| vec![(*name).to_owned(), plain(value)];
    printer.table(&["setting", "value"], lines.iter().map(row).collect())?;
    Ok(Exit::Ok)
}

/// A value as a person reads it: text without quotes, lists with commas, nothing as a dash.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
