//! `bezant dev`: a cluster to play with, until interrupted.
//!
//! Four real replicas in this process, on free loopback ports; any key is a
//! client and spaces make themselves. While it runs, the context `dev` points
//! at it, so that the other commands need no flags.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use bezant_bft::quorum::Quorum;
use bezant_lab::{LabError, LocalCluster, LocalOptions};
use bezant_node::config::{random_key, store_key};
use clap::Args;
use serde_json::json;

use super::{block_on, interrupted};
use crate::{
    contexts::{Context, Contexts},
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
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(4..=64))]
    replicas: u8,
}

impl Dev {
    pub(crate) fn run(self, printer: &Printer) -> Result<Exit, Failure> {
        let folder = tempfile::tempdir().map_err(|error| {
            Failure::error(format!("no temporary folder could be made: {error}"))
        })?;
        let local = LocalCluster::start(&LocalOptions {
            replicas: usize::from(self.replicas),
            admin: true,
            allow_faults: true,
            open: true,
        })
        .map_err(|error| failure_of(&error))?;
        let context = describe(&local, folder.path())?;
        await_ready(&local)?;

        let before = select(&context)?;
        announce(&local, &context, printer)?;
        let asked = block_on(interrupted());
        restore(&context, before)?;
        local.stop().map_err(|error| failure_of(&error))?;
        asked.map(|()| Exit::Ok)
    }
}

/// The failure that `error` is.
pub(crate) fn failure_of(error: &LabError) -> Failure {
    match error {
        LabError::Config(error) => Failure::error(error.to_string()).next(error.next_step()),
        other => Failure::sentence(Exit::Error, &other.to_string()),
    }
}

/// Writes what clients need into `folder`.
fn describe(local: &LocalCluster, folder: &Path) -> Result<Context, Failure> {
    let cluster = folder.join("cluster.toml");
    local.cluster.store(&cluster)?;
    let key = folder.join("client.key");
    store_key(&key, &random_key()?)?;
    Ok(Context {
        cluster,
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
