//! The commands, one file each; a family with one subject shares a file.

pub(crate) mod access;
pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod cluster;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod context;
pub(crate) mod demo;
pub(crate) mod dev;
pub(crate) mod export;
pub(crate) mod ext;
pub(crate) mod fault;
pub(crate) mod group;
pub(crate) mod hold;
pub(crate) mod node;
pub(crate) mod operation;
pub(crate) mod shell;
pub(crate) mod sim;
pub(crate) mod space;
pub(crate) mod status;
pub(crate) mod watch;

use std::{future::Future, time::Duration};

use crate::{
    args::{Cli, Command},
    exit::{Exit, Failure},
    print::Printer,
};

/// How long a command that is done keeps its event loop: the links it let go of are
/// closed by then. A replica that is not told takes ten seconds to notice, and allows
/// a key only a few links at a time.
const FAREWELL: Duration = Duration::from_millis(5);

/// Runs the command that was typed.
pub(crate) fn run(cli: Cli, printer: &Printer) -> Result<Exit, Failure> {
    if !matches!(cli.command, Command::Node(_)) {
        crate::log::to_stderr(cli.global.verbose);
    }
    dispatch(cli, printer)
}

/// Runs a command of a program that is set up.
fn dispatch(cli: Cli, printer: &Printer) -> Result<Exit, Failure> {
    let global = &cli.global;
    match cli.command {
        Command::Demo(command) => command.run(printer),
        Command::Dev(command) => command.run(printer),
        Command::Node(command) => command.run(global, printer),
        Command::Cluster(command) => command.run(printer),
        Command::Status(command) => block_on(command.run(global, printer)),
        Command::Operation(command) => with_links(command.run(global, printer)),
        Command::Group(command) => with_links(command.run(global, printer)),
        Command::Export(command) => with_links(command.run(global, printer)),
        Command::Import(command) => with_links(command.run(global, printer)),
        Command::Watch(command) => with_links(command.run(global, printer)),
        Command::Lock(command) => with_links(command.run(global, printer)),
        Command::Elect(command) => with_links(command.run(global, printer)),
        Command::Shell(command) => command.run(global, printer),
        Command::Access(command) => with_links(command.run(global, printer)),
        Command::Space(command) => with_links(command.run(global, printer)),
        Command::Ext(command) => with_links(command.run(global, printer)),
        Command::Fault(command) => block_on(command.run(global, printer)),
        Command::Audit(command) => command.run(global, printer),
        Command::Bench(command) => command.run(global, printer),
        Command::Sim(command) => command.run(printer),
        Command::Config(command) => command.run(global, printer),
        Command::Context(command) => command.run(printer),
        Command::Completion(command) => command.run(printer),
    }
}

/// Runs `work` on a fresh event loop of this thread.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::error(format!("the event loop cannot start: {error}")))?
        .block_on(work)
}

/// Runs `work`, which has links to replicas, and lets their ends be told.
fn with_links<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    block_on(async {
        let result = work.await;
        tokio::time::sleep(FAREWELL).await;
        result
    })
}

/// Waits until the user or the system asks the process to end.
async fn interrupted() -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::error(format!("signals cannot be received: {error}"));
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        tokio::select! {
            interrupt = tokio::signal::ctrl_c() => interrupt.map_err(failed),
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map_err(failed)
}
