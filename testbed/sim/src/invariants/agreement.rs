//! Two correct replicas never execute different proposals at one number.

use std::collections::BTreeMap;

use bezant_bft::ids::{Digest, ReplicaId, SeqNo};

use super::{Common, Fact, Invariant};

/// The first decision seen for each number.
#[derive(Debug, Default)]
pub(super) struct Agreement {
    decided: BTreeMap<SeqNo, (Digest, ReplicaId)>,
}

impl Invariant for Agreement {
    fn name(&self) -> &'static str {
        "agreement"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: &mut Common) -> Result<(), String> {
        let Fact::Executed {
            by,
            seq_no,
            proposal,
            ..
        } = fact
        else {
            return Ok(());
        };
        let digest = proposal.digest();
        let (first, who) = *self.decided.entry(*seq_no).or_insert((digest, *by));
        if first == digest {
            return Ok(());
        }
        Err(format!(
            "number {seq_no} is {digest} at replica {by} and {first} at replica {who}"
        ))
    }
}
