//! What must be true of every list of effects of every replica, in every test:
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

/// Names what was durable before the last restart.
const EARLIER_INCARNATION: PersistId = PersistId(0);

type Place = (Phase, View, SeqNo);

/// Watches the effects of one correct replica.
#[derive(Debug)]
pub(crate) struct Watch {
    me: ReplicaId,
    last: PersistId,
    persisted: BTreeMap<Place, (Digest, PersistId)>,
    sent: BTreeMap<Place, Digest>,
    executed: SeqNo,
    /// The lowest view in which it may vote.
    floor: View,
    /// Whether `sent` holds what an earlier incarnation said.
    forgot: bool,
}

impl Watch {
    pub(crate) const fn new(me: ReplicaId) -> Self {
        Self {
            me,
            last: PersistId(0),
            persisted: BTreeMap::new(),
            sent: BTreeMap::new(),
            executed: SeqNo(0),
            floor: View(0),
            forgot: false,
        }
    }

    /// The replica is rebuilt from its records, at a stable checkpoint: what it sent binds it.
    pub(crate) fn restart(&mut self, stable: SeqNo, durable: PersistId) {
        self.last = PersistId(0);
        self.executed = stable;
        self.persisted.retain(|_, (_, id)| *id <= durable);
        // What waited for a record that is gone was never sent.
        let durable = &self.persisted;
        let forgot = self.forgot;
        self.sent
            .retain(|place, _| forgot || durable.contains_key(place));
        for (_, id) in self.persisted.values_mut() {
            *id = EARLIER_INCARNATION;
        }
    }

    /// Its records are gone, too. What it said still binds it: no incarnation votes where an
    /// earlier one voted.
    pub(crate) fn forget(&mut self) {
        self.persisted.clear();
        self.floor = View(0);
        self.forgot = true;
    }

    fn rise(&mut self, view: View) {
        assert!(view >= self.floor, "views only rise");
        self.floor = view;
    }

    pub(crate) fn observe(&mut self, effects: &[Effect]) {
        for (at, effect) in effects.iter().enumerate() {
            match effect {
                Effect::Persist { id, record } => self.persist(*id, record),
                Effect::Send { message, after, .. } => self.send(message, *after),
                Effect::Execute { seq_no, .. } => {
                    assert_eq!(
                        *seq_no,
                        self.executed.next(),
                        "decisions come in order, once"
                    );
                    self.executed = *seq_no;
                }
                Effect::Install { seq_no, .. } => self.executed = *seq_no,
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
            Record::Stable(_) | Record::NamedViewChanges(_) | Record::IncarnationNonce(_) => return,
            // Afterwards nothing is said in lower views.
            Record::ViewChange(signed) => return self.rise(signed.body.view),
            Record::NewView(signed) => return self.rise(signed.body.view),
        };
        assert!(vote.view >= self.floor, "a vote in a view it has left");
        let place = (phase, vote.view, vote.seq_no);
        let before = self.persisted.insert(place, (vote.digest, id));
        // A proposal that was durable, unlike the vote for it, is recorded again with it.
        let again =
            before == Some((vote.digest, EARLIER_INCARNATION)) && phase == Phase::PrePrepare;
        assert!(before.is_none() || again, "recorded once: {place:?}");
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
                let commits = self.persisted.iter().filter(|((phase, _, seq_no), _)| {
                    *phase == Phase::Commit && *seq_no <= vote.body.seq_no
                });
                let built_on = commits.map(|(_, (_, id))| *id).max();
                let earlier = built_on == Some(EARLIER_INCARNATION);
                assert!(
                    earlier || after >= built_on,
                    "a checkpoint vote builds on commits"
                );
            }
            _ => {}
        }
    }

    /// A vote of this replica leaves: it is recorded before, and contradicts none.
    fn vote(&mut self, phase: Phase, vote: &Signed<Vote>, after: Option<PersistId>) {
        assert_eq!(vote.body.replica, self.me, "speaks for itself only");
        self.durable(phase, &vote.body, after);
        let place = (phase, vote.body.view, vote.body.seq_no);
        let first = *self.sent.entry(place).or_insert(vote.body.digest);
        assert_eq!(first, vote.body.digest, "two votes at {place:?}");
    }

    fn durable(&self, phase: Phase, vote: &Vote, after: Option<PersistId>) {
        let place = (phase, vote.view, vote.seq_no);
        let Some((digest, id)) = self.persisted.get(&place) else {
            panic!("{phase:?} of {vote:?} is sent without a record");
        };
        assert_eq!(*digest, vote.digest, "the record is of what is sent");
        assert!(
            *id == EARLIER_INCARNATION || after.is_some_and(|after| after >= *id),
            "{phase:?} of {vote:?} waits for {after:?} and not for {id:?}"
        );
    }
}
