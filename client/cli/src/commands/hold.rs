//! `bezant lock` and `bezant elect`: a command that runs while something is held.
//!
//! The command ends when its hold may be gone: it is asked to end, and killed if it does not,
//! since whoever comes next must not find it at work. What it writes elsewhere can carry the
//! fence, which it finds in `BEZANT_FENCE`.

use std::{
    ffi::OsString,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use bezant_client::{
    Client, Error,
    recipes::{Election, Guard, Lock, RwLock, Semaphore},
};
use clap::Args;
use serde_json::json;
use tokio::process::Child;

use crate::{
    connect::{Service, failure_of},
    event_loop::interrupted,
    exit::{Exit, Failure},
    flags::{Format, Global, duration},
    print::Printer,
};

/// How long a command that lost its hold has to end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// How a session is kept while something is held.
#[derive(Debug, Args)]
struct Holding {
    /// Free what is held this long after the last request of this process
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    session: Duration,
    /// Give up waiting after so long
    #[arg(long, value_name = "TIME", value_parser = duration)]
    within: Option<Duration>,
}

/// Run a command while holding a lock
///
/// Waits its turn, runs CMD, and lets go when it ends; the exit code is that of CMD, or 3 if
/// the lock was not free in time. CMD finds in BEZANT_FENCE a number that is higher for later
/// holders.
#[derive(Debug, Args)]
pub(crate) struct LockCommand {
    /// The lock
    name: String,
    /// The space it is in
    #[arg(long, value_name = "SPACE", default_value = "locks")]
    space: String,
    /// Share the lock with other holders that use --shared
    #[arg(long, conflicts_with = "permits")]
    shared: bool,
    /// Hold the same lock alone, as a writer; --shared waits for it
    #[arg(long, conflicts_with_all = ["shared", "permits"])]
    exclusive: bool,
    /// Use a semaphore that so many may hold at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    permits: Option<u32>,
    #[command(flatten)]
    holding: Holding,
    /// What to run
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Run a command while leading, or print the leader
///
/// Waits until elected, runs CMD, and steps down when it ends; the exit code is that of CMD.
/// CMD finds in BEZANT_FENCE a number that is higher for later leaders.
#[derive(Debug, Args)]
pub(crate) struct Elect {
    /// The election
    name: String,
    /// The space it is in
    #[arg(long, value_name = "SPACE", default_value = "elections")]
    space: String,
    /// Text that others see of this candidate, such as an address
    #[arg(long = "as", value_name = "TEXT", default_value = "")]
    data: String,
    /// Print who leads, or end with 3 if nobody does
    #[arg(long, conflicts_with_all = ["command", "data", "session", "within"])]
    leader: bool,
    #[command(flatten)]
    holding: Holding,
    /// What to run
    #[arg(last = true, required_unless_present = "leader", value_name = "CMD")]
    command: Vec<OsString>,
}

impl LockCommand {
    pub(crate) async fn run(self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        let Self {
            name,
            space,
            holding,
            command,
            ..
        } = &self;
        let service = Service::steady(global, holding.session).await?;
        let client = service.client();
        let waiting = async {
            match self.permits {
                Some(permits) => {
                    let permits = usize::try_from(permits).unwrap_or(usize::MAX);
                    let semaphore = Semaphore::new(client, space, name, permits)?;
                    semaphore.acquire().await
                }
                None if self.shared => RwLock::new(client, space, name)?.read().await,
                None if self.exclusive => RwLock::new(client, space, name)?.write().await,
                None => Lock::new(client, space, name)?.acquire().await,
            }
        };
        let held = hold(waiting, holding, printer, name).await;
        let exit = match held {
            Ok(Some(guard)) => while_held(guard, command, printer, name).await,
            Ok(None) => Ok(Exit::NoMatch),
            Err(failure) => Err(failure),
        };
        service.close().await;
        exit
    }
}

impl Elect {
    pub(crate) async fn run(self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        let service = Service::steady(global, self.holding.session).await?;
        let exit = if self.leader {
            self.tell(service.client(), printer).await
        } else {
            self.lead(service.client(), printer).await
        };
        service.close().await;
        exit
    }

    async fn tell(&self, client: &Client, printer: &Printer) -> Result<Exit, Failure> {
        let election = Election::new(client, &self.space, &self.name);
        let election = election.map_err(|error| failure_of(&error))?;
        let leader = election.leader().await;
        let Some(leader) = leader.map_err(|error| failure_of(&error))? else {
            return Ok(Exit::NoMatch);
        };
        let text = match &leader.data {
            bezant_tuple::Value::Text(text) => text.clone(),
            other => other.to_string(),
        };
        match printer.format {
            Format::Json => printer.json(&json!({ "leader": text, "fence": leader.fence }))?,
            Format::Jsonl => {
                printer.json_line(&json!({ "leader": text, "fence": leader.fence }))?
            }
            Format::Raw => printer.line(&text)?,
            Format::Table => printer.line(&format!("{text} (fence {})", leader.fence))?,
        }
        Ok(Exit::Ok)
    }

    async fn lead(&self, client: &Client, printer: &Printer) -> Result<Exit, Failure> {
        let waiting = async {
            let election = Election::new(client, &self.space, &self.name)?;
            election.campaign(self.data.as_str()).await
        };
        match hold(waiting, &self.holding, printer, &self.name).await? {
            Some(guard) => while_held(guard, &self.command, printer, &self.name).await,
            None => Ok(Exit::NoMatch),
        }
    }
}

/// Waits for what is to be held; `None` if it was not to be had in time.
async fn hold(
    waiting: impl Future<Output = Result<Guard, Error>>,
    holding: &Holding,
    printer: &Printer,
    name: &str,
) -> Result<Option<Guard>, Failure> {
    let timeout = async {
        match holding.within {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        guard = waiting => guard.map(Some).map_err(|error| failure_of(&error)),
        () = timeout => {
            printer.note(&format!("{name:?} is held by others"));
            Ok(None)
        }
        interrupted = interrupted() => {
            interrupted?;
            Err(Failure::error("interrupted while waiting"))
        }
    }
}

/// Runs the command while its guard holds, and lets go.
async fn while_held(
    guard: Guard,
    command: &[OsString],
    printer: &Printer,
    name: &str,
) -> Result<Exit, Failure> {
    let Some((program, args)) = command.split_first() else {
        return Err(Failure::usage("no command to run"));
    };
    let child = tokio::process::Command::new(program)
        .args(args)
        .env("BEZANT_FENCE", guard.fence().to_string())
        .stdin(Stdio::inherit())
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            let what = format!("{} cannot be run: {error}", program.to_string_lossy());
            let failure = Failure::usage(what).next("name a program that is there");
            return let_go(guard).await.and(Err(failure));
        }
    };
    let mut asked_to_end = false;
    loop {
        tokio::select! {
            ended = child.wait() => {
                let status = ended.map_err(|error| unknown_end(&error))?;
                let_go(guard).await?;
                return Ok(code_of(status));
            }
            () = guard.lost() => {
                stop(&mut child).await?;
                let lost = Failure::error(format!(
                    "{name:?} was held no longer for certain, and the command was stopped"
                ));
                return Err(lost.next("check with bezant status that the cluster can be reached; --session TIME gives it longer"));
            }
            // The terminal tells the command as well; whoever told this process alone
            // meant the command.
            interrupted = interrupted(), if !asked_to_end => {
                interrupted?;
                printer.note("waiting for the command to end");
                ask_to_end(&child);
                asked_to_end = true;
            }
        }
    }
}

fn unknown_end(error: &std::io::Error) -> Failure {
    Failure::error(format!("how the command ended cannot be known: {error}"))
}

async fn let_go(guard: Guard) -> Result<(), Failure> {
    let released = guard.release().await;
    released.map(|_| ()).map_err(|error| failure_of(&error))
}

/// Asks the command to end, and kills it if it does not.
async fn stop(child: &mut Child) -> Result<(), Failure> {
    ask_to_end(child);
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        child.kill().await.map_err(|error| unknown_end(&error))?;
    }
    Ok(())
}

#[cfg(unix)]
fn ask_to_end(child: &Child) {
    use rustix::process::{Pid, Signal, kill_process};
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = pid.and_then(Pid::from_raw)
        && let Err(error) = kill_process(pid, Signal::TERM)
    {
        tracing::debug!(%error, "command already ended");
    }
}

/// There is no asking here: it is killed when its time is up.
#[cfg(not(unix))]
const fn ask_to_end(_child: &Child) {}

/// As a shell says it: the command's own code, or 128 and the signal that ended it.
fn code_of(status: ExitStatus) -> Exit {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal: Option<i32> = None;
    let code = status
        .code()
        .or(signal.map(|signal| signal.saturating_add(128)));
    match code.and_then(|code| u8::try_from(code).ok()) {
        Some(0) => Exit::Ok,
        Some(code) => Exit::Command(code),
        None => Exit::Error,
    }
}
