//! What can be typed: the global flags and the list of commands.
//!
//! A command's own flags stand in its file under `commands/`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, builder::FalseyValueParser};

use crate::{
    commands::{
        access, audit, bench, cluster, completion, config, context, demo, dev, export, ext, fault,
        group, hold, node, operation, shell, sim, space, status, watch,
    },
    print::Format,
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

/// Flags every command takes; each has an environment variable, which the flag overrides.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The cluster file, instead of a context's
    #[arg(long, global = true, env = "BEZANT_CLUSTER", value_name = "FILE")]
    pub(crate) cluster: Option<PathBuf>,
    /// The context to use instead of the current one
    #[arg(long, global = true, env = "BEZANT_CONTEXT", value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The client's private key
    #[arg(long, global = true, env = "BEZANT_KEY", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// How long to wait for an answer, for example 500ms, 10s, 2m
    #[arg(
        long,
        global = true,
        env = "BEZANT_TIMEOUT",
        value_name = "TIME",
        default_value = "10s",
        value_parser = duration
    )]
    pub(crate) timeout: Duration,
    /// How to print data
    #[arg(
        short,
        long,
        global = true,
        env = "BEZANT_OUTPUT",
        value_name = "FORMAT",
        value_enum,
        default_value_t = Format::Table
    )]
    pub(crate) output: Format,
    /// Say more; twice for the program's log
    #[arg(short, long, global = true, env = "BEZANT_VERBOSE", action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// No colours (also NO_COLOR)
    #[arg(
        long,
        global = true,
        env = "BEZANT_NO_COLOR",
        action = clap::ArgAction::SetTrue,
        value_parser = FalseyValueParser::new()
    )]
    pub(crate) no_color: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show it all: four replicas, one of them lying, and real work
    Demo(demo::Demo),
    /// Run a cluster to play with until interrupted
    Dev(dev::Dev),
    /// Run one replica until interrupted
    Node(node::Node),
    /// Set up a cluster
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// Ask every replica how it is
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
    /// Create, list, show and remove spaces, and say who may do what in them
    #[command(subcommand)]
    Space(space::Space),
    /// Say who is a client and in which group, and ask what one may do
    #[command(subcommand)]
    Access(access::Access),
    /// Check, install and list extensions, and agree to those of others
    #[command(subcommand)]
    Ext(ext::Ext),
    /// Make a replica of a development cluster misbehave
    #[command(subcommand)]
    Fault(fault::Fault),
    /// Check evidence against replicas and clients, offline
    Audit(audit::Audit),
    /// Measure throughput and latency
    Bench(bench::Bench),
    /// Try the protocol against faults, many simulated clusters at a time
    Sim(sim::Sim),
    /// Check and show configuration
    #[command(subcommand)]
    Config(config::Config),
    /// Named clusters
    #[command(subcommand)]
    Context(context::Context),
    /// Print a completion script for a shell
    Completion(completion::Completion),
}

/// Parses `500ms`, `10s`, `2m`; a bare number is refused, so that nobody guesses the unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let wrong = || format!("{text:?} is not a time; write for example 500ms, 10s or 2m");
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    match number.checked_mul(unit_ms) {
        Some(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
        _ => Err(wrong()),
    }
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

    #[test]
    fn times_need_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in [
            "",
            "10",
            "0s",
            "-1s",
            "s",
            "1.5s",
            "10 s",
            "99999999999999999h",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
