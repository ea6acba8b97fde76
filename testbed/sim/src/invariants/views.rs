//! A replica's view never falls, and after a restart not below one it spoke in.

use std::collections::BTreeMap;

use bezant_bft::{
    effects::PersistId,
    ids::{ReplicaId, View},
};

use super::{Common, Fact, Invariant};

/// What is known of one replica.
#[derive(Debug, Default)]
struct Standing {
    /// The view it is in.
    now: View,
    /// The highest it voted in before its last restart, with a durable record.
    before: View,
    /// The highest it voted in since, with the record of the first such vote.
    since: Vec<(PersistId, View)>,
}

/// The views of all replicas.
#[derive(Debug, Default)]
pub(super) struct ViewMonotonicity {
    standings: BTreeMap<ReplicaId, Standing>,
}

impl Invariant for ViewMonotonicity {
    fn name(&self) -> &'static str {
        "view-monotonicity"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: &mut Common) -> Result<(), String> {
        match fact {
            Fact::Stepped { by, view, .. } => {
                let standing = self.standings.entry(*by).or_default();
                if *view < standing.now {
                    let now = standing.now;
                    return Err(format!("replica {by} falls from view {now} to {view}"));
                }
                standing.now = *view;
            }
            // What is sent may have waited long for storage, or repeat what is old; what is
            // new is recorded first.
            Fact::Recorded { by, id, record, .. } => {
                let Some((_, vote)) = super::vote_of(record).filter(|(_, v)| v.replica == *by)
                else {
                    return Ok(());
                };
                let standing = self.standings.entry(*by).or_default();
                let since = standing.since.last().map(|(_, view)| *view);
                let highest = since.unwrap_or(standing.before);
                if vote.view < highest {
                    return Err(format!(
                        "replica {by} votes in view {} after it voted in view {highest}",
                        vote.view
                    ));
                }
                if since != Some(vote.view) {
                    standing.since.push((*id, vote.view));
                }
            }
            // What a life without a memory says of views binds only itself: see "one-vote".
            Fact::Forgot { by } => {
                self.standings.remove(by);
            }
            Fact::Restarted {
                by, view, durable, ..
            } => {
                let standing = self.standings.entry(*by).or_default();
                let since = std::mem::take(&mut standing.since);
                let kept = since.iter().rev().find(|(id, _)| id <= durable);
                let kept = kept.map_or(standing.before, |(_, view)| *view);
                (standing.now, standing.before) = (*view, kept);
                if *view < kept {
                    return Err(format!(
                        "replica {by} comes back in view {view} and had voted in view {kept}"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
