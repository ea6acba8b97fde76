//! `bezant context`: named clusters, so that commands need no flags.

use std::path::{Path, PathBuf};

use bezant_node::config::{ClusterFile, load_key};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    contexts::{self, Contexts},
    exit::{Exit, Failure},
    flags::Format,
    print::Printer,
};

/// The commands of `bezant context`.
#[derive(Debug, Subcommand)]
pub(crate) enum Context {
    /// List contexts; the current one has a star
    Ls,
    /// Make a context the current one
    Use {
        /// Its name
        name: String,
    },
    /// Add a context and make it the current one
    Add(Add),
    /// Forget a context
    Rm {
        /// Its name
        name: String,
    },
}

/// Flags of `bezant context add`.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Its name
    name: String,
    /// The cluster file
    cluster_file: PathBuf,
    /// The client's private key
    #[arg(long, value_name = "FILE", id = "key_file")]
    key_file: Option<PathBuf>,
    /// The replicas' admin endpoints, by replica, as host:port
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    admin: Vec<String>,
}

impl Context {
    pub(crate) fn run(self, printer: &Printer) -> Result<Exit, Failure> {
        let mut contexts = Contexts::load()?;
        match self {
            Self::Ls => list(&contexts, printer)?,
            Self::Use { name } => {
                known(&contexts, &name)?;
                contexts.current = Some(name);
                contexts.store()?;
            }
            Self::Add(add) => add.run(&mut contexts)?,
            Self::Rm { name } => {
                known(&contexts, &name)?;
                contexts.context.remove(&name);
                if contexts.current.as_ref() == Some(&name) {
                    contexts.current = None;
                }
                contexts.store()?;
            }
        }
        Ok(Exit::Ok)
    }
}

impl Add {
    /// Adds the context after reading what it points at, so that mistakes show now.
    fn run(self, contexts: &mut Contexts) -> Result<(), Failure> {
        ClusterFile::load(&self.cluster_file)?;
        if let Some(key) = &self.key_file {
            load_key(key)?;
        }
        let context = contexts::Context {
            cluster: absolute(&self.cluster_file)?,
            key: self.key_file.as_deref().map(absolute).transpose()?,
            dev: false,
            admin: self.admin,
        };
        contexts.context.insert(self.name.clone(), context);
        contexts.current = Some(self.name);
        contexts.store()
    }
}

/// Contexts are used from any folder.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::error(format!("{} has no full path: {error}", path.display())))
}

fn known(contexts: &Contexts, name: &str) -> Result<(), Failure> {
    if contexts.context.contains_key(name) {
        return Ok(());
    }
    Err(Failure::usage(format!("there is no context {name:?}"))
        .next("bezant context ls lists them; bezant dev makes one called dev"))
}

fn list(contexts: &Contexts, printer: &Printer) -> Result<(), Failure> {
    let is_current = |name: &String| contexts.current.as_ref() == Some(name);
    match printer.format {
        Format::Raw => {
            for name in contexts.context.keys() {
                printer.line(name)?;
            }
            Ok(())
        }
        Format::Json | Format::Jsonl => {
            let objects = contexts.context.iter().map(|(name, context)| {
                json!({
                    "name": name,
                    "current": is_current(name),
                    "cluster": context.cluster,
                    "key": context.key,
                    "dev": context.dev,
                    "admin": context.admin,
                })
            });
            printer.objects(objects.collect())
        }
        Format::Table => {
            if contexts.context.is_empty() {
                printer.note("no contexts; bezant dev makes one called dev");
                return Ok(());
            }
            let row = |(name, context): (&String, &contexts::Context)| {
                let star = if is_current(name) { "*" } else { "" };
                let cluster = context.cluster.display().to_string();
                vec![star.to_owned(), name.clone(), cluster]
            };
            let rows = contexts.context.iter().map(row).collect();
            printer.table(&["", "name", "cluster"], rows)
        }
    }
}
