//! Declares the global flags and the list of commands.
//!
//! A command's own flags stand in its file under `commands/`, those of all in `flags`. It
//! declares and runs nothing, so that only `dispatch` and `main` need it.

use clap::{Parser, Subcommand};

use crate::{
    commands::{
        access, attack, audit, bench, cluster, completion, config, context, demo, dev, export, ext,
        fault, group, hold, node, operation, shell, sim, space, status, watch,
    },
    flags::Global,
};

/// A tuple space that four replicas keep together, one of which may lie.
#[derive(Debug, Parser)]
#[command(
    name = "bezant",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 ok, 1 error, 2 usage, 3 no match, 4 denied, 5 no quorum, \
                  6 timed out with outcome unknown."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a demonstration: four replicas, one of which lies, and real work
    Demo(demo::Demo),
    /// Run a development cluster until interrupted
    Dev(dev::Dev),
    /// Run one replica until interrupted
    Node(node::Node),
    /// Set up a cluster
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// Show the status of every replica
    Status(status::Status),
    #[command(flatten)]
    Operation(operation::OperationCommand),
    Group(group::Group),
    Export(export::Export),
    Import(export::Import),
    Watch(watch::Watch),
    Lock(hold::LockCommand),
    Elect(hold::Elect),
    Shell(shell::Shell),
    /// Create, list, show and remove spaces, and grant rights in them
    #[command(subcommand)]
    Space(space::Space),
    /// Enrol clients, manage groups, and show this client's permissions
    #[command(subcommand)]
    Access(access::Access),
    /// Check, install and list extensions, and acknowledge those of others
    #[command(subcommand)]
    Ext(ext::Ext),
    /// Make a replica of a development cluster misbehave
    #[command(subcommand)]
    Fault(fault::Fault),
    /// Check evidence against replicas and clients, offline
    Audit(audit::Audit),
    /// Measure throughput and latency
    Bench(bench::Bench),
    /// Attack a cluster of bench, as clients
    #[command(hide = true)]
    Attack(attack::Attack),
    /// Simulate clusters with faults, from seeds
    Sim(sim::Sim),
    /// Check and show configuration
    #[command(subcommand)]
    Config(config::Config),
    /// Manage named clusters
    #[command(subcommand)]
    Context(context::Context),
    /// Print a completion script for a shell
    Completion(completion::Completion),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_declaration_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_global_flag_has_an_environment_variable() {
        for argument in Cli::command().get_arguments().filter(|a| a.is_global_set()) {
            let env = argument
                .get_env()
                .map(|env| env.to_string_lossy().into_owned());
            let expected = format!("BEZANT_{}", argument.get_id().as_str().to_ascii_uppercase());
            assert_eq!(env, Some(expected), "{}", argument.get_id());
        }
    }
}
