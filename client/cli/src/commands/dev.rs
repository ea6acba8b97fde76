//! `bezant dev`: a cluster to play with, until interrupted.
//!
//! Four real replicas in this process, on free loopback ports; any key is a
//! client and spaces make themselves. While it runs, the context `dev` points
//! at it, so that the other commands need no flags. With `--data` everything is
//! in a folder, and the next start from there goes on where this one ended.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bezant_bft::quorum::Quorum;
use bezant_lab::{LabError, LocalCluster, LocalOptions, local};
use bezant_node::{
    StorageKind,
    config::{random_key, store_key},
};
use clap::Args;
use serde_json::json;

use crate::{
    contexts::{Context, Contexts},
    event_loop::{block_on, interrupted},
    exit::{Exit, Failure},
    print::Printer,
};

/// The context that points at the running cluster.
const CONTEXT: &str = "dev";

/// How long the replicas have to find each other.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// How often they are asked whether they have.
const READY_POLL: Duration = Duration::from_millis(10);

/// Flags of `bezant dev`.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// How many replicas; 3f+1 of them tolerate f faulty ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(4..=64))]
    replicas: Option<u8>,
    /// Keep the cluster in this folder, and go on with the one that is there
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// How many replicas there are if nobody says.
const REPLICAS: u8 = 4;

impl Dev {
    pub(crate) fn run(self, printer: &Printer) -> Result<Exit, Failure> {
        let temporary = tempfile::tempdir().map_err(|error| {
            Failure::error(format!("no temporary folder could be made: {error}"))
        })?;
        let options = LocalOptions {
            replicas: usize::from(self.replicas.unwrap_or(REPLICAS)),
            admin: true,
            allow_faults: true,
            open: true,
            storage: if self.data.is_some() {
                StorageKind::Sync
            } else {
                StorageKind::Memory
            },
        };
        let (local, folder) = match &self.data {
            Some(data) => (self.open(data, &options)?, data.as_path()),
            None => {
                let local = LocalCluster::start(&options).map_err(|error| failure_of(&error))?;
                local
                    .cluster
                    .store(&local::cluster_file(temporary.path()))?;
                (local, temporary.path())
            }
        };
        let context = describe(&local, folder)?;
        await_ready(&local)?;

        let before = select(&context)?;
        announce(&local, &context, printer)?;
        let asked = block_on(interrupted());
        restore(&context, before)?;
        local.stop().map_err(|error| failure_of(&error))?;
        asked.map(|()| Exit::Ok)
    }
}

impl Dev {
    /// The cluster kept in the folder `data`, which is made there if there is none.
    fn open(&self, data: &Path, options: &LocalOptions) -> Result<LocalCluster, Failure> {
        let file = local::cluster_file(data);
        if !file.exists() {
            std::fs::create_dir_all(data).map_err(|error| {
                Failure::error(format!("{} cannot be made: {error}", data.display()))
            })?;
            local::write_files(data, options).map_err(|error| failure_of(&error))?;
        }
        let local = LocalCluster::open(data).map_err(|error| failure_of(&error))?;
        let n = local.nodes.len();
        if self
            .replicas
            .is_some_and(|replicas| usize::from(replicas) != n)
        {
            let what = format!("the cluster in {} has {n} replicas", data.display());
            return Err(Failure::usage(what).next("leave --replicas out, or use another folder"));
        }
        Ok(local)
    }
}

/// The failure that `error` is.
pub(crate) fn failure_of(error: &LabError) -> Failure {
    match error {
        LabError::Config(error) => Failure::error(error.to_string()).next(error.next_step()),
        other => Failure::sentence(Exit::Error, &other.to_string()),
    }
}

/// What clients need, whose key is written into `folder` unless one is there.
fn describe(local: &LocalCluster, folder: &Path) -> Result<Context, Failure> {
    // Contexts are used from other folders than this one.
    let folder = std::path::absolute(folder).map_err(|error| {
        Failure::error(format!(
            "{} has no absolute path: {error}",
            folder.display()
        ))
    })?;
    let key = folder.join("client.key");
    if !key.exists() {
        store_key(&key, &random_key()?)?;
    }
    Ok(Context {
        cluster: local::cluster_file(&folder),
        key: Some(key),
        dev: true,
        admin: local.admins().iter().map(ToString::to_string).collect(),
    })
}

/// Waits until every replica has a link to every other.
fn await_ready(local: &LocalCluster) -> Result<(), Failure> {
    let others = local.nodes.len().saturating_sub(1);
    let deadline = Instant::now() + READY_WITHIN;
    for node in &local.nodes {
        while node
            .status()
            .is_some_and(|status| status.replica_links < others)
        {
            if Instant::now() > deadline {
                let what = format!("replica {} did not find the others", node.replica());
                return Err(Failure::error(what)
                    .next("check that this machine lets processes talk over loopback UDP"));
            }
            block_on(async {
                tokio::time::sleep(READY_POLL).await;
                Ok(())
            })?;
        }
    }
    Ok(())
}

/// Makes the cluster's context the current one; returns the contexts as they were.
fn select(context: &Context) -> Result<Contexts, Failure> {
    let before = Contexts::load()?;
    let mut contexts = before.clone();
    contexts.context.insert(CONTEXT.to_owned(), context.clone());
    contexts.current = Some(CONTEXT.to_owned());
    contexts.store()?;
    Ok(before)
}

/// Takes the context away again, unless somebody has changed it since.
fn restore(context: &Context, before: Contexts) -> Result<(), Failure> {
    let mut contexts = Contexts::load()?;
    if contexts.context.get(CONTEXT) != Some(context) {
        return Ok(());
    }
    contexts.context.remove(CONTEXT);
    if contexts.current.as_deref() == Some(CONTEXT) {
        contexts.current = before
            .current
            .filter(|name| contexts.context.contains_key(name));
    }
    contexts.store()
}

fn announce(local: &LocalCluster, context: &Context, printer: &Printer) -> Result<(), Failure> {
    let n = local.nodes.len();
    let f = Quorum::new(n).map_or(0, Quorum::f);
    if printer.is_json() {
        return printer.json_line(&json!({
            "n": n,
            "f": f,
            "context": CONTEXT,
            "cluster": context.cluster,
            "key": context.key,
            "admin": context.admin,
        }));
    }
    let admin = context
        .admin
        .first()
        .map_or_else(String::new, |first| format!(" · admin http://{first}"));
    printer.note(&format!(
        "✔ {n} replicas ready (n={n}, f={f}){admin}\n  next: bezant out jobs '(\"build\", 42)'"
    ));
    Ok(())
}
