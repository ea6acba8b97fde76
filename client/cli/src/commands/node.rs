//! `bezant node --config FILE`: one replica as its own process, until interrupted.

use std::{net::SocketAddr, path::PathBuf};

use bezant_node::config::NodeConfig;
use clap::Args;
use serde_json::json;

use crate::{
    event_loop::{block_on, interrupted},
    exit::{Exit, Failure},
    flags::Global,
    log::{self, LogFormat},
    print::Printer,
};

/// Flags of `bezant node`; each but the file overrides a field of it.
#[derive(Debug, Args)]
pub(crate) struct Node {
    /// The node file
    #[arg(long, env = "BEZANT_NODE", value_name = "FILE")]
    config: PathBuf,
    /// Where to listen for replicas and clients, instead of the file's address
    #[arg(long, env = "BEZANT_LISTEN", value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    /// Where to serve the admin endpoint, instead of the file's address
    #[arg(long, env = "BEZANT_NODE_ADMIN", value_name = "IP:PORT")]
    admin: Option<SocketAddr>,
    /// Format of log lines; BEZANT_LOG filters them
    #[arg(long, env = "BEZANT_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

impl Node {
    pub(crate) fn run(self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        log::for_node(self.log_format, global.verbose);
        let mut config = NodeConfig::load(&self.config)?;
        config.listen = self.listen.unwrap_or(config.listen);
        config.admin = self.admin.or(config.admin);
        let of = config.cluster.replicas.len();

        let node = bezant_node::spawn_with(config, Some(bezant_lab::faults::strategies()))
            .map_err(|error| Failure::sentence(Exit::Error, &error.to_string()))?;
        // Whoever started the process waits for this.
        if printer.is_json() {
            printer.json_line(&json!({
                "replica": node.replica().0,
                "address": node.address(),
                "admin": node.admin(),
            }))?;
        } else {
            let admin = node
                .admin()
                .map_or_else(String::new, |admin| format!(" · admin http://{admin}"));
            printer.line(&format!(
                "replica {} of {of} listens on {}{admin}",
                node.replica(),
                node.address()
            ))?;
        }
        block_on(interrupted())?;
        match node.stop() {
            Ok(_) => Ok(Exit::Ok),
            Err(error) => Err(Failure::sentence(Exit::Error, &error.to_string())),
        }
    }
}
