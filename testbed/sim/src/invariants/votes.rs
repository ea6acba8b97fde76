//! No replica votes twice at one (view, number, phase), whatever happened between, a loss of
//! memory included, and none votes before the record of it is durable.

use std::collections::BTreeMap;

use bezant_bft::{
    effects::PersistId,
    ids::{Digest, ReplicaId, SeqNo, View},
    message::{PeerMessage, Vote},
};

use super::{Common, Fact, Invariant, Phase};

/// Where a replica votes once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    replica: ReplicaId,
    phase: Phase,
    view: View,
    seq_no: SeqNo,
}

impl Place {
    const fn of(replica: ReplicaId, phase: Phase, vote: &Vote) -> Self {
        Self {
            replica,
            phase,
            view: vote.view,
            seq_no: vote.seq_no,
        }
    }
}

/// What was recorded and what was said, by place.
#[derive(Debug, Default)]
pub(super) struct OneVote {
    votes: BTreeMap<Place, Known>,
}

/// What is known of one vote.
#[derive(Debug, Default)]
struct Known {
    recorded: Option<(Digest, PersistId)>,
    said: Option<Digest>,
}

impl OneVote {
    fn say(&mut self, phase: Phase, vote: &Vote, durable: PersistId) -> Result<(), String> {
        let place = Place::of(vote.replica, phase, vote);
        let known = self.votes.entry(place).or_default();
        let first = *known.said.get_or_insert(vote.digest);
        if first != vote.digest {
            return Err(format!(
                "replica {} votes for {} at {phase:?} {} {} and voted for {first} before",
                vote.replica, vote.digest, vote.view, vote.seq_no
            ));
        }
        match known.recorded {
            Some((digest, id)) if digest == vote.digest && id <= durable => Ok(()),
            found => Err(format!(
                "replica {} says {phase:?} {} {} {} with {durable:?} durable and recorded {found:?}",
                vote.replica, vote.view, vote.seq_no, vote.digest
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
                    let place = Place::of(*by, phase, vote);
                    let known = self.votes.entry(place).or_default();
                    known.recorded.get_or_insert((vote.digest, *id));
                }
                Ok(())
            }
            Fact::Sent {
                by,
                message,
                durable,
                ..
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
            Fact::Forgot { by } => {
                // What it said stays said.
                for (place, known) in &mut self.votes {
                    if place.replica == *by {
                        known.recorded = None;
                    }
                }
                Ok(())
            }
            Fact::Restarted { by, durable, .. } => {
                // What was not durable was never said; what is left is durable for good.
                for (place, known) in &mut self.votes {
                    if place.replica == *by {
                        known.recorded.take_if(|(_, id)| *id > *durable);
                        if let Some((_, id)) = &mut known.recorded {
                            *id = PersistId(0);
                        }
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
