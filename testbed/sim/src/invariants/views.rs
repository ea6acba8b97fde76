//! A replica's view never falls, and after a restart not below one it spoke in.

use std::collections::BTreeMap;

use bezant_bft::{
    ids::{ReplicaId, View},
    message::PeerMessage,
};

use super::{Common, Fact, Invariant};

/// The view each replica is in, and the highest it voted in.
#[derive(Debug, Default)]
pub(super) struct ViewMonotonicity {
    now: BTreeMap<ReplicaId, View>,
    spoken: BTreeMap<ReplicaId, View>,
}

impl ViewMonotonicity {
    fn voted(&mut self, by: ReplicaId, view: View) -> Result<(), String> {
        let spoken = self.spoken.entry(by).or_default();
        if view < *spoken {
            return Err(format!(
                "replica {by} votes in view {view} after it voted in view {spoken}"
            ));
        }
        *spoken = view;
        Ok(())
    }
}

impl Invariant for ViewMonotonicity {
    fn name(&self) -> &'static str {
        "view-monotonicity"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: &mut Common) -> Result<(), String> {
        match fact {
            Fact::Stepped { by, view, .. } => {
                let last = self.now.entry(*by).or_default();
                if *view < *last {
                    return Err(format!("replica {by} falls from view {last} to {view}"));
                }
                *last = *view;
            }
            Fact::Restarted { by, view, .. } => {
                let spoken = self.spoken.get(by).copied().unwrap_or_default();
                if *view < spoken {
                    return Err(format!(
                        "replica {by} comes back in view {view} and had voted in view {spoken}"
                    ));
                }
                self.now.insert(*by, *view);
            }
            // What is repeated for others may be old; what is new is recorded first.
            Fact::Recorded { by, record, .. } => {
                if let Some((_, vote)) = super::vote_of(record)
                    && vote.replica == *by
                {
                    self.voted(*by, vote.view)?;
                }
            }
            Fact::Sent {
                message: PeerMessage::Status(status),
                by,
                ..
            } => {
                let spoken = self.spoken.get(by).copied().unwrap_or_default();
                if status.view < spoken {
                    return Err(format!(
                        "replica {by} reports view {} and had voted in view {spoken}",
                        status.view
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
