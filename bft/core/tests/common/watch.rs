//! What must be true of every list of effects of every replica, in every story:
//! durable before sent, no two votes for one place, decisions in order and once.

use std::collections::BTreeMap;

use bezant_bft::{
    effects::{Effect, PersistId, Record},
    ids::{Digest, ReplicaId, SeqNo, View},
    message::{PeerMessage, Signed, Vote},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    PrePrepare,
    Prepare,
    Commit,
}

type Place = (Phase, View, SeqNo);

/// Watches the effects of one correct replica.
#[derive(Debug)]
pub(crate) struct Watch {
    me: ReplicaId,
    last: PersistId,
    persisted: BTreeMap<Place, (Digest, PersistId)>,
    sent: BTreeMap<Place, Digest>,
    executed: SeqNo,
}

impl Watch {
    pub(crate) const fn new(me: ReplicaId) -> Self {
        Self {
            me,
            last: PersistId(0),
            persisted: BTreeMap::new(),
            sent: BTreeMap::new(),
            executed: SeqNo(0),
        }
    }

    pub(crate) fn observe(&mut self, effects: &[Effect]) {
        for (at, effect) in effects.iter().enumerate() {
            match effect {
                Effect::Persist { id, record } => self.persist(*id, record),
                Effect::Send { message, after, .. } => self.send(message, *after),
                Effect::Execute { number, .. } => {
                    assert_eq!(
                        *number,
                        self.executed.next(),
                        "decisions come in order, once"
                    );
                    self.executed = *number;
                }
                Effect::Halt(_) => assert_eq!(
                    (at, effects.len()),
                    (0, 1),
                    "a replica that halts says nothing else: {effects:?}"
                ),
                _ => {}
            }
        }
    }

    fn persist(&mut self, id: PersistId, record: &Record) {
        assert!(id > self.last, "records are named in order");
        self.last = id;
        let (phase, vote) = match record {
            Record::PrePrepare(message) => (Phase::PrePrepare, message.vote.body),
            Record::Prepare(vote) => (Phase::Prepare, vote.body),
            Record::Commit { vote, .. } => (Phase::Commit, vote.body),
            Record::Stable(_) => return,
        };
        let place = (phase, vote.view, vote.number);
        let before = self.persisted.insert(place, (vote.digest, id));
        assert!(before.is_none(), "recorded once: {place:?}");
    }

    fn send(&mut self, message: &PeerMessage, after: Option<PersistId>) {
        match message {
            PeerMessage::PrePrepare(message) if message.vote.body.replica == self.me => {
                self.vote(Phase::PrePrepare, &message.vote, after);
            }
            PeerMessage::Prepare(vote) => {
                self.vote(Phase::Prepare, vote, after);
                self.durable(Phase::PrePrepare, &vote.body, after);
            }
            PeerMessage::Commit(vote) => {
                self.vote(Phase::Commit, vote, after);
                self.durable(Phase::PrePrepare, &vote.body, after);
            }
            PeerMessage::Checkpoint(vote) => {
                let commits = self.persisted.iter().filter(|((phase, _, number), _)| {
                    *phase == Phase::Commit && *number <= vote.body.number
                });
                let built_on = commits.map(|(_, (_, id))| *id).max();
                assert!(after >= built_on, "a checkpoint vote builds on commits");
            }
            _ => {}
        }
    }

    /// A vote of this replica leaves: it is recorded before, and contradicts none.
    fn vote(&mut self, phase: Phase, vote: &Signed<Vote>, after: Option<PersistId>) {
        assert_eq!(vote.body.replica, self.me, "speaks for itself only");
        self.durable(phase, &vote.body, after);
        let place = (phase, vote.body.view, vote.body.number);
        let first = *self.sent.entry(place).or_insert(vote.body.digest);
        assert_eq!(first, vote.body.digest, "two votes at {place:?}");
    }

    fn durable(&self, phase: Phase, vote: &Vote, after: Option<PersistId>) {
        let place = (phase, vote.view, vote.number);
        let Some((digest, id)) = self.persisted.get(&place) else {
            panic!("{phase:?} of {vote:?} is sent without a record");
        };
        assert_eq!(*digest, vote.digest, "the record is of what is sent");
        assert!(
            after.is_some_and(|after| after >= *id),
            "{phase:?} of {vote:?} waits for {after:?} and not for {id:?}"
        );
    }
}
