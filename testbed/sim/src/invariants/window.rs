//! Votes lie in the window: no farther above the stable checkpoint of who votes than the log is long
//! (PBFT section 4.2, up to H), or above the checkpoint with which its view begins. Below it a
//! replica may vote for the sake of those who lag: in a view that begins there, and late commits of
//! what it prepared.

use std::collections::BTreeMap;

use bezant_bft::{
    effects::{PersistId, Record},
    ids::{ReplicaId, SeqNo},
    limits::WATERMARK_INTERVALS,
};

use super::{Common, Fact, Invariant};

/// A checkpoint that a replica recorded as stable, or as the beginning of its view.
#[derive(Debug)]
struct Stable {
    id: PersistId,
    seq_no: SeqNo,
}

/// The stable checkpoints of each replica, as its records have them.
#[derive(Debug, Default)]
pub(super) struct VotesInWindow {
    stable: BTreeMap<ReplicaId, Vec<Stable>>,
}

impl VotesInWindow {
    fn low(&self, by: ReplicaId) -> SeqNo {
        let stable = self.stable.get(&by).into_iter().flatten();
        stable.map(|stable| stable.seq_no).max().unwrap_or_default()
    }
}

impl Invariant for VotesInWindow {
    fn name(&self) -> &'static str {
        "votes-in-window"
    }

    fn observe(&mut self, fact: &Fact<'_>, common: &mut Common) -> Result<(), String> {
        match fact {
            Fact::Recorded { by, id, record } => {
                if let Some((phase, vote)) = super::vote_of(record)
                    && vote.replica == *by
                {
                    let low = self.low(*by);
                    let high = SeqNo(low.0 + common.interval * WATERMARK_INTERVALS);
                    if vote.seq_no > high {
                        return Err(format!(
                            "replica {by} votes at {phase:?} {} {}, beyond {high}",
                            vote.view, vote.seq_no
                        ));
                    }
                }
                let begins = match record {
                    Record::NewView(new_view) => Some(new_view.body.stable),
                    _ => None,
                };
                if let Some(seq_no) = record.stable().or(begins) {
                    let stable = self.stable.entry(*by).or_default();
                    stable.push(Stable { id: *id, seq_no });
                }
            }
            Fact::Forgot { by } => {
                self.stable.remove(by);
            }
            Fact::Restarted { by, durable, .. } => {
                let stable = self.stable.entry(*by).or_default();
                stable.retain(|stable| stable.id <= *durable);
                // What is left is durable for good.
                let last = stable.iter().map(|stable| stable.seq_no).max();
                stable.clear();
                stable.extend(last.map(|seq_no| Stable {
                    id: PersistId(0),
                    seq_no,
                }));
            }
            _ => {}
        }
        Ok(())
    }
}
