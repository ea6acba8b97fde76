//! Finds the cluster and the key of a command: flags and environment over the context.

use std::path::PathBuf;

use bezant_bft::crypto::SigningKey;
use bezant_node::config::{ClusterFile, load_key, random_key};

use crate::{
    contexts::{Context, Contexts},
    exit::Failure,
    flags::Global,
};

/// The cluster a command is about.
#[derive(Debug)]
pub(crate) struct Target {
    /// The context it comes from, unless `--cluster` named it.
    pub(crate) context: Option<String>,
    /// Its public file.
    pub(crate) file: PathBuf,
    /// The content of that file.
    pub(crate) cluster: ClusterFile,
    /// The client's key file, if one is known.
    pub(crate) key: Option<PathBuf>,
    /// The replicas' admin endpoints, as far as known, by replica.
    pub(crate) admin: Vec<String>,
    /// Whether it is known to be a development cluster.
    pub(crate) dev: bool,
}

impl Target {
    /// Resolves the flags.
    pub(crate) fn resolve(global: &Global) -> Result<Self, Failure> {
        let (context, entry) = match &global.cluster {
            // `--cluster` beats the context, key included: a key belongs to its cluster.
            Some(file) => (None, bare(file.clone())),
            None => {
                let (name, entry) = named(global)?;
                (Some(name), entry)
            }
        };
        let cluster = ClusterFile::load(&entry.cluster).map_err(|error| {
            let failure = Failure::from(error);
            match &context {
                Some(name) => failure
                    .next(format!("start it again with bezant dev, or choose another context than {name:?}: bezant context ls")),
                None => failure,
            }
        })?;
        Ok(Self {
            context,
            file: entry.cluster,
            cluster,
            key: global.key.clone().or(entry.key),
            admin: entry.admin,
            dev: entry.dev,
        })
    }

    /// The client's key; a fresh one where the cluster takes any.
    pub(crate) fn identity(&self) -> Result<SigningKey, Failure> {
        match &self.key {
            Some(file) => Ok(load_key(file)?),
            None if self.cluster.genesis.open_enrolment => Ok(random_key()?),
            None => Err(Failure::usage(format!(
                "cluster {:?} only serves enrolled clients, and no key was given",
                self.cluster.name
            ))
            .next("name the private key of an enrolled client with --key FILE")),
        }
    }
}

fn bare(cluster: PathBuf) -> Context {
    Context {
        cluster,
        key: None,
        dev: false,
        admin: Vec::new(),
    }
}

/// The context that flags name, or the current one.
fn named(global: &Global) -> Result<(String, Context), Failure> {
    let contexts = Contexts::load()?;
    let Some(name) = global.context.clone().or(contexts.current) else {
        return Err(
            Failure::usage("no cluster was named and no context is selected")
                .next("start one with bezant dev, or name its file with --cluster FILE"),
        );
    };
    match contexts.context.get(&name) {
        Some(context) => Ok((name, context.clone())),
        None => Err(Failure::usage(format!("there is no context {name:?}"))
            .next("bezant context ls lists them; bezant dev makes one called dev")),
    }
}
