//! What a replica tells of a number that it executed, it would stand by after a crash: answers,
//! status reports and checkpoint votes leave when every record before the execution is durable.

use std::collections::BTreeMap;

use bezant_bft::{
    effects::PersistId,
    ids::{ReplicaId, SeqNo},
    message::PeerMessage,
};

use super::{Common, Fact, Invariant};

/// Numbers of which it is remembered what they rest on; those below became durable long ago.
const REMEMBERED: usize = 1024;

/// The last record before each execution, by replica.
#[derive(Debug, Default)]
pub(super) struct DurableBeforeTold {
    rests_on: BTreeMap<ReplicaId, BTreeMap<SeqNo, PersistId>>,
}

impl DurableBeforeTold {
    fn tells(&self, by: ReplicaId, seq_no: SeqNo, durable: PersistId) -> Result<(), String> {
        let known = self.rests_on.get(&by);
        let last = known.and_then(|known| known.range(..=seq_no).next_back());
        match last {
            Some((_, record)) if *record > durable => Err(format!(
                "replica {by} tells of number {seq_no}, which rests on {record:?}, with {durable:?} durable"
            )),
            _ => Ok(()),
        }
    }
}

impl Invariant for DurableBeforeTold {
    fn name(&self) -> &'static str {
        "durable-before-told"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: &mut Common) -> Result<(), String> {
        match fact {
            Fact::Executed {
                by,
                seq_no,
                recorded,
                ..
            } => {
                let known = self.rests_on.entry(*by).or_default();
                known.insert(*seq_no, *recorded);
                if known.len() > REMEMBERED {
                    known.pop_first();
                }
                Ok(())
            }
            Fact::Answered { by, reply, durable } => self.tells(*by, reply.seq_no, *durable),
            Fact::Sent {
                by,
                message,
                durable,
                ..
            } => match message {
                PeerMessage::Status(status) => self.tells(*by, status.executed, *durable),
                PeerMessage::Checkpoint(vote) if vote.body.replica == *by => {
                    self.tells(*by, vote.body.seq_no, *durable)
                }
                _ => Ok(()),
            },
            // Records are counted anew.
            Fact::Restarted { by, .. } | Fact::Forgot { by } => {
                self.rests_on.remove(by);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
