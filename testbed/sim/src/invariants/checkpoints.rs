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
        let (by, number, state) = match fact {
            Fact::Checkpointed { by, number, state } | Fact::Installed { by, number, state } => {
                (*by, *number, *state)
            }
            Fact::Sent {
                by,
                message: PeerMessage::Checkpoint(vote),
                ..
            } if vote.body.replica == *by => (*by, vote.body.number, vote.body.digest),
            _ => return Ok(()),
        };
        let (first, who) = *self.states.entry(number).or_insert((state, by));
        if first == state {
            return Ok(());
        }
        Err(format!(
            "after number {number} replica {by} has state {state} and replica {who} had {first}"
        ))
    }
}
