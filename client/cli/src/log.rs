//! Sets up the program's log: structured, on standard error, filtered by `BEZANT_LOG`.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// How log lines are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged unless `BEZANT_LOG` says otherwise.
fn filter(otherwise: &str) -> EnvFilter {
    EnvFilter::try_from_env("BEZANT_LOG").unwrap_or_else(|_| EnvFilter::new(otherwise))
}

/// Whether log lines may have colours.
fn coloured() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !unwanted && std::io::stderr().is_terminal()
}

/// For commands that a person types: silent, unless asked.
pub(crate) fn to_stderr(verbose: u8) {
    let otherwise = match verbose {
        0 | 1 => "off",
        2 => "bezant=debug,bezant_client=debug,bezant_node=info,bezant_quic=info",
        _ => "trace",
    };
    let lines = fmt::layer()
        .with_ansi(coloured())
        .with_writer(std::io::stderr);
    // A second log in one process would be a mistake of ours, not the user's.
    let _ = tracing_subscriber::registry()
        .with(filter(otherwise))
        .with(lines)
        .try_init();
}

/// For a replica as its own process: what an operator should know.
pub(crate) fn for_node(format: LogFormat, verbose: u8) {
    let filter = filter(if verbose > 0 { "debug" } else { "info" });
    let log = tracing_subscriber::registry().with(filter);
    let _ = match format {
        LogFormat::Text => log
            .with(
                fmt::layer()
                    .with_ansi(coloured())
                    .with_writer(std::io::stderr),
            )
            .try_init(),
        LogFormat::Json => log
            .with(fmt::layer().json().with_writer(std::io::stderr))
            .try_init(),
    };
}
