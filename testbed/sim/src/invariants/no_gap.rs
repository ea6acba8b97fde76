//! Every replica executes every number, each once, in order; a state taken over
//! from others and a restart are the only jumps.

use std::collections::BTreeMap;

use bezant_bft::ids::{ReplicaId, SeqNo};

use super::{Common, Fact, Invariant};

/// How far each replica's service has come.
#[derive(Debug, Default)]
pub(super) struct NoGap {
    executed: BTreeMap<ReplicaId, SeqNo>,
}

impl Invariant for NoGap {
    fn name(&self) -> &'static str {
        "no-gap"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: &mut Common) -> Result<(), String> {
        match fact {
            Fact::Executed { by, number, .. } => {
                let last = self.executed.entry(*by).or_default();
                if *number != last.next() {
                    return Err(format!(
                        "replica {by} executes number {number} after number {last}"
                    ));
                }
                *last = *number;
            }
            Fact::Installed { by, number, .. } => {
                let last = self.executed.insert(*by, *number).unwrap_or_default();
                if last >= *number {
                    return Err(format!(
                        "replica {by} goes back from number {last} to a state after number {number}"
                    ));
                }
            }
            Fact::Restarted { by, executed, .. } => {
                self.executed.insert(*by, *executed);
            }
            _ => {}
        }
        Ok(())
    }
}
