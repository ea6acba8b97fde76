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
            Fact::Executed { by, seq_no, .. } => {
                let last = self.executed.entry(*by).or_default();
                if *seq_no != last.next() {
                    return Err(format!(
                        "replica {by} executes number {seq_no} after number {last}"
                    ));
                }
                *last = *seq_no;
            }
            Fact::Installed { by, seq_no, .. } => {
                let last = self.executed.insert(*by, *seq_no).unwrap_or_default();
                if last >= *seq_no {
                    return Err(format!(
                        "replica {by} goes back from number {last} to a state after number {seq_no}"
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
