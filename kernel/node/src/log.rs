//! Writes the driver's events to the log: one line a fact, the event first, then its fields.
//!
//! The texts are stable, so that they can be searched for and alarmed on; docs/logs.md lists them.

use bezant_replica::LogEvent;
use tracing::{info, warn};

/// Writes one line.
pub(crate) fn write(event: &LogEvent) {
    match event {
        LogEvent::ViewEntered { view, primary } => info!(%view, %primary, "entered view"),
        LogEvent::PrimarySuspected { view, primary } => {
            warn!(%view, %primary, "suspecting primary; starting view change");
        }
        LogEvent::Misbehaviour(misbehaviour) => {
            warn!(%misbehaviour, "misbehaviour");
        }
        LogEvent::StateInstalled { seq_no } => info!(%seq_no, "installed state from peers"),
        LogEvent::AttachRefused { link } => {
            warn!(%link, "refused to attach a client; the link carries as many as it may");
        }
        LogEvent::Extension(line) => {
            let (extension, sequence) = (&line.hash, line.sequence);
            info!(target: "bezant::extension", %extension, sequence, "{}", line.text);
        }
    }
}
