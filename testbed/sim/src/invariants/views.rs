//! A replica's view never falls, and after a restart not below one it spoke in.

use std::collections::BTreeMap;

use bezant_bft::{
    effects::PersistId,
    ids::{ReplicaId, View},
};

use super::{Common, Fact, Invariant};

/// What is known of one replica.
#[derive(Debug, Default)]
struct ViewState {
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
    view_states: BTreeMap<ReplicaId, ViewState>,
}

impl Invariant for ViewMonotonicity {
    fn name(&self) -> &'static str {
        "view-monotonicity"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: &mut Common) -> Result<(), String> {
        match fact {
            Fact::Stepped { by, view, .. } => {
                let view_state = self.view_states.entry(*by).or_default();
                if *view < view_state.now {
                    let now = view_state.now;
                    return Err(format!("replica {by} falls from view {now} to {view}"));
                }
                view_state.now = *view;
            }
            // What is sent may have waited long for storage, or repeat what is old; what is
            // new is recorded first.
            Fact::Recorded { by, id, record, .. } => {
                let Some((_, vote)) = super::vote_of(record).filter(|(_, v)| v.replica == *by)
                else {
                    return Ok(());
                };
                let view_state = self.view_states.entry(*by).or_default();
                let since = view_state.since.last().map(|(_, view)| *view);
                let highest = since.unwrap_or(view_state.before);
                if vote.view < highest {
                    return Err(format!(
                        "replica {by} votes in view {} after it voted in view {highest}",
                        vote.view
                    ));
                }
                if since != Some(vote.view) {
                    view_state.since.push((*id, vote.view));
                }
            }
            // What an incarnation without a memory says of views binds only itself: see "one-vote".
            Fact::Forgot { by } => {
                self.view_states.remove(by);
            }
            Fact::Restarted {
                by, view, durable, ..
            } => {
                let view_state = self.view_states.entry(*by).or_default();
                let since = std::mem::take(&mut view_state.since);
                let kept = since.iter().rev().find(|(id, _)| id <= durable);
                let kept = kept.map_or(view_state.before, |(_, view)| *view);
                (view_state.now, view_state.before) = (*view, kept);
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
