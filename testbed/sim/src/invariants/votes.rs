//! No replica votes twice at one (view, number, phase), whatever happened between,
//! and none votes before the record of it is durable.

use std::collections::BTreeMap;

use bezant_bft::{
    effects::PersistId,
    ids::{Digest, ReplicaId, SeqNo, View},
    message::{PeerMessage, Vote},
};

use super::{Common, Fact, Invariant, Phase};

type Place = (ReplicaId, Phase, View, SeqNo);

/// What was recorded and what was said.
#[derive(Debug, Default)]
pub(super) struct OneVote {
    recorded: BTreeMap<Place, (Digest, PersistId)>,
    said: BTreeMap<Place, Digest>,
}

impl OneVote {
    fn say(&mut self, phase: Phase, vote: &Vote, durable: PersistId) -> Result<(), String> {
        let place = (vote.replica, phase, vote.view, vote.number);
        let first = *self.said.entry(place).or_insert(vote.digest);
        if first != vote.digest {
            return Err(format!(
                "replica {} votes for {} at {phase:?} {} {} and voted for {first} before",
                vote.replica, vote.digest, vote.view, vote.number
            ));
        }
        match self.recorded.get(&place) {
            Some((digest, id)) if *digest == vote.digest && *id <= durable => Ok(()),
            found => Err(format!(
                "replica {} says {phase:?} {} {} {} with {durable:?} durable and recorded {found:?}",
                vote.replica, vote.view, vote.number, vote.digest
            )),
        }
    }
}

impl Invariant for OneVote {
    fn name(&self) -> &'static str {
        "one-vote"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: &mut Common) -> Result<(), String> {
        match fact {
            Fact::Recorded { by, id, record, .. } => {
                if let Some((phase, vote)) = super::vote_of(record)
                    && vote.replica == *by
                {
                    let place = (*by, phase, vote.view, vote.number);
                    self.recorded.entry(place).or_insert((vote.digest, *id));
                }
                Ok(())
            }
            Fact::Sent {
                by,
                message,
                durable,
            } => {
                let (phase, vote) = match message {
                    PeerMessage::PrePrepare(message) => (Phase::PrePrepare, &message.vote),
                    PeerMessage::Prepare(vote) => (Phase::Prepare, vote),
                    PeerMessage::Commit(vote) => (Phase::Commit, vote),
                    _ => return Ok(()),
                };
                // Proposals of others are passed on to who lacks them.
                if vote.body.replica != *by {
                    return Ok(());
                }
                self.say(phase, &vote.body, *durable)
            }
            Fact::Restarted { by, durable, .. } => {
                // What was not durable was never said; what is left is durable for good.
                self.recorded
                    .retain(|(replica, ..), (_, id)| replica != by || *id <= *durable);
                for ((replica, ..), (_, id)) in &mut self.recorded {
                    if replica == by {
                        *id = PersistId(0);
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
