//! Strikes whole processes during a measurement, and measures the recovery.

use std::time::{Duration, Instant};

use bezant_bft::ids::ReplicaId;
use bezant_node::NodeStatus;
use serde::Serialize;

use super::{BenchError, Options, ms, pulse::Pulse};
use crate::{admin, faults::Fault, local::ProcessCluster};

/// How long a cluster or a replica has to come back; longer counts as never.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// How often it is asked whether it has.
const POLL: Duration = Duration::from_millis(10);

/// What strikes a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Blow {
    /// The primary's process is killed.
    Kill,
    /// The primary's process is frozen, and goes on after half of the time that is left.
    Stop,
    /// The primary proposes something else, properly signed, to every backup.
    Equivocate,
    /// All processes are killed and started again.
    KillAll,
}

/// A fault, and when.
#[derive(Clone, Copy, Debug)]
pub struct Strike {
    /// What happens.
    pub blow: Blow,
    /// Seconds after the measurement began.
    pub at: f64,
}

/// What came of a fault. The names are stable.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Struck {
    /// What happened.
    pub blow: Blow,
    /// The replica it happened to, unless to all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<u8>,
    /// Milliseconds until a replica entered a view with another primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_ms: Option<u64>,
    /// Milliseconds until all processes that were killed listened again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_ms: Option<u64>,
    /// After all that, milliseconds until an operation completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumed_ms: Option<u64>,
    /// Milliseconds until a replica that was frozen had executed what the others had when it
    /// went on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caught_up_ms: Option<u64>,
}

/// Does `work` with the cluster on a thread where it may block: the clients go on meanwhile.
async fn apart(
    mut cluster: ProcessCluster,
    work: impl FnOnce(&mut ProcessCluster) -> Result<(), crate::LabError> + Send + 'static,
) -> Result<ProcessCluster, BenchError> {
    let done = tokio::task::spawn_blocking(move || work(&mut cluster).map(|()| cluster));
    let done = done
        .await
        .map_err(|_| BenchError::Fault("its thread ended".to_owned()))?;
    Ok(done?)
}

/// What the replicas that answer say of themselves.
pub(super) async fn statuses(cluster: &ProcessCluster) -> Vec<NodeStatus> {
    let mut all = Vec::new();
    for address in cluster.admins().iter().flatten() {
        all.extend(admin::status(&address.to_string()).await.ok());
    }
    all
}

/// The replica in the highest view that any but `except` is in.
pub(super) async fn foremost(
    cluster: &ProcessCluster,
    except: Option<ReplicaId>,
) -> Option<NodeStatus> {
    let mut foremost: Option<NodeStatus> = None;
    for (id, address) in (0_u8..).zip(cluster.admins()) {
        // A frozen replica takes the question and never answers.
        let asked = address.filter(|_| except != Some(ReplicaId(id)));
        let Some(address) = asked else { continue };
        if let Ok(status) = admin::status(&address.to_string()).await
            && foremost.as_ref().is_none_or(|best| status.view > best.view)
        {
            foremost = Some(status);
        }
    }
    foremost
}

/// Waits for the moment and strikes; returns the cluster when what was to come back is back.
pub(super) async fn strike(
    cluster: ProcessCluster,
    options: &Options,
    pulse: &Pulse,
) -> Result<(ProcessCluster, Option<Struck>), BenchError> {
    let Some(Strike { blow, at }) = options.strike else {
        return Ok((cluster, None));
    };
    tokio::time::sleep(Duration::from_secs_f64(at)).await;
    let mut struck = Struck {
        blow,
        replica: None,
        replaced_ms: None,
        restart_ms: None,
        resumed_ms: None,
        caught_up_ms: None,
    };
    let cluster = if blow == Blow::KillAll {
        kill_all(cluster, &mut struck).await?
    } else {
        let asleep = Duration::from_secs_f64((options.seconds - at).max(0.0) / 2.0);
        strike_primary(cluster, asleep, &mut struck).await?
    };
    let back = Instant::now();
    pulse.mark();
    while pulse.resumed_after().is_none() && back.elapsed() < BACK_WITHIN {
        tokio::time::sleep(POLL).await;
    }
    struck.resumed_ms = pulse.resumed_after().map(ms);
    Ok((cluster, Some(struck)))
}

async fn kill_all(
    cluster: ProcessCluster,
    struck: &mut Struck,
) -> Result<ProcessCluster, BenchError> {
    let begun = Instant::now();
    let cluster = apart(cluster, |cluster| {
        let count = cluster.cluster.replicas.len();
        let all: Vec<ReplicaId> = (0_u8..).take(count).map(ReplicaId).collect();
        all.iter().try_for_each(|replica| cluster.kill(*replica))?;
        cluster.start_again(&all)
    })
    .await?;
    struck.restart_ms = Some(ms(begun.elapsed()));
    Ok(cluster)
}

/// Strikes the primary, waits until another one leads, and wakes one that was frozen.
async fn strike_primary(
    mut cluster: ProcessCluster,
    asleep: Duration,
    struck: &mut Struck,
) -> Result<ProcessCluster, BenchError> {
    let Some(status) = foremost(&cluster, None).await else {
        return Err(BenchError::Fault(
            "no replica says who the primary is".to_owned(),
        ));
    };
    let victim = ReplicaId(status.primary);
    struck.replica = Some(victim.0);
    let begun = Instant::now();
    match struck.blow {
        Blow::Stop => cluster.freeze(victim)?,
        Blow::Equivocate => set_fault(&cluster, victim, Fault::Equivocate).await?,
        Blow::Kill | Blow::KillAll => {
            cluster = apart(cluster, move |cluster| cluster.kill(victim)).await?;
        }
    }
    while begun.elapsed() < BACK_WITHIN {
        let now = foremost(&cluster, Some(victim)).await;
        if now.is_some_and(|now| now.view > status.view) {
            struck.replaced_ms = Some(ms(begun.elapsed()));
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    if struck.blow == Blow::Stop {
        tokio::time::sleep(asleep.saturating_sub(begun.elapsed())).await;
        wake(&cluster, victim, struck).await?;
    }
    Ok(cluster)
}

async fn wake(
    cluster: &ProcessCluster,
    victim: ReplicaId,
    struck: &mut Struck,
) -> Result<(), BenchError> {
    let others = foremost(cluster, Some(victim)).await;
    let goal = others.map_or(0, |other| other.executed);
    cluster.thaw(victim)?;
    let begun = Instant::now();
    let Some(address) = admin_of(cluster, victim) else {
        return Ok(());
    };
    while begun.elapsed() < BACK_WITHIN {
        let status = admin::status(&address).await;
        if status.is_ok_and(|status| status.executed >= goal) {
            struck.caught_up_ms = Some(ms(begun.elapsed()));
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

fn admin_of(cluster: &ProcessCluster, replica: ReplicaId) -> Option<String> {
    let admin = cluster.admins().get(usize::from(replica.0)).copied();
    admin.flatten().map(|admin| admin.to_string())
}

fn admin_that_is_needed(
    cluster: &ProcessCluster,
    replica: ReplicaId,
) -> Result<String, BenchError> {
    admin_of(cluster, replica)
        .ok_or_else(|| BenchError::Fault(format!("replica {replica} has no admin endpoint")))
}

/// Has a replica commit a fault.
pub(super) async fn set_fault(
    cluster: &ProcessCluster,
    replica: ReplicaId,
    fault: Fault,
) -> Result<(), BenchError> {
    let body = serde_json::json!({ "fault": fault }).to_string();
    order(cluster, replica, "POST", &body).await
}

/// Has a replica behave again.
pub(super) async fn clear_fault(
    cluster: &ProcessCluster,
    replica: ReplicaId,
) -> Result<(), BenchError> {
    order(cluster, replica, "DELETE", "").await
}

/// How often a replica did what its fault has it do.
pub(super) async fn hits(cluster: &ProcessCluster, replica: ReplicaId) -> Result<u64, BenchError> {
    let address = admin_that_is_needed(cluster, replica)?;
    let status = admin::status(&address).await;
    let status = status.map_err(|error| BenchError::Fault(error.to_string()))?;
    Ok(status.fault_hits)
}

async fn order(
    cluster: &ProcessCluster,
    replica: ReplicaId,
    method: &str,
    body: &str,
) -> Result<(), BenchError> {
    let address = admin_that_is_needed(cluster, replica)?;
    match admin::request(&address, method, "/fault", body).await {
        Ok(answer) if (200..=299).contains(&answer.code) => Ok(()),
        Ok(answer) => Err(BenchError::Fault(answer.body)),
        Err(error) => Err(BenchError::Fault(error.to_string())),
    }
}
