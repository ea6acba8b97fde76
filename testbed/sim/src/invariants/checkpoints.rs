//! At one number all correct replicas have one state, and vote for no other.

use std::collections::BTreeMap;

use bezant_bft::{
    ids::{Digest, ReplicaId, SeqNo},
    message::PeerMessage,
};

use super::{Common, Fact, Invariant};

/// The first state seen at each number.
#[derive(Debug, Default)]
pub(super) struct CheckpointEquality {
    states: BTreeMap<SeqNo, (Digest, ReplicaId)>,
}

impl Invariant for CheckpointEquality {
    fn name(&self) -> &'static str {
        "checkpoint-equality"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: &mut Common) -> Result<(), String> {
        let (by, seq_no, state) = match fact {
            Fact::Checkpointed { by, seq_no, state } | Fact::Installed { by, seq_no, state } => {
                (*by, *seq_no, *state)
            }
            Fact::Sent {
                by,
                message: PeerMessage::Checkpoint(vote),
                ..
            } if vote.body.replica == *by => (*by, vote.body.seq_no, vote.body.digest),
            _ => return Ok(()),
        };
        let (first, who) = *self.states.entry(seq_no).or_insert((state, by));
        if first == state {
            return Ok(());
        }
        Err(format!(
            "after number {seq_no} replica {by} has state {state} and replica {who} had {first}"
        ))
    }
}
