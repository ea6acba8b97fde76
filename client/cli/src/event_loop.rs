//! The event loop that a command does its work on, and how it hears of the wish to end.
//!
//! One thread and one loop per command. It knows no command.

use std::{future::Future, time::Duration};

use crate::exit::Failure;

/// How long a command that is done keeps its event loop: the links it let go of are
/// closed by then. A replica that is not told takes ten seconds to notice, and allows
/// a key only a few links at a time.
const FAREWELL: Duration = Duration::from_millis(5);

/// Runs `work` on a fresh event loop of this thread.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::error(format!("the event loop cannot start: {error}")))?
        .block_on(work)
}

/// Runs `work`, which has links to replicas, and lets their ends be told.
pub(crate) fn with_links<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    block_on(async {
        let result = work.await;
        tokio::time::sleep(FAREWELL).await;
        result
    })
}

/// Waits until the user or the system asks the process to end.
pub(crate) async fn interrupted() -> Result<(), Failure> {
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
