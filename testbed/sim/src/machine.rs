//! One machine: a replica, its service, its storage and what waits at its door.

use std::collections::{BTreeMap, VecDeque};

use bezant_bft::{
    crypto::{Checker, SigningKey},
    effects::{PersistId, Record, To},
    ids::{Clock, Instant, OrderedTime, ReplicaId, SeqNo},
    message::{PeerMessage, ReplicaMessage, Signed, Vote},
    record::{Lifetime, Standing},
    rejoin::{Current, split_state},
    replica::Replica,
    state::State,
};
use bezant_kernel::Kernel;
use bytes::Bytes;

use crate::{
    adversaries::{Kind, Strategy},
    options::MS,
};

/// The time of day at virtual time 0.
const DAWN_MS: u64 = 1_700_000_000_000;

/// What lies at a machine's door until it turns to it.
#[derive(Debug)]
pub(crate) enum Incoming {
    Frame { from: ReplicaId, bytes: Bytes },
    Client { client: usize, bytes: Bytes },
    LinkUp(ReplicaId),
    Commits(Vec<Signed<Vote>>),
}

/// What leaves a machine, perhaps later.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Peers {
        to: To,
        message: PeerMessage,
    },
    Client {
        client: usize,
        message: ReplicaMessage,
    },
}

/// Something handed to storage, carried out once everything before it is durable.
#[derive(Debug)]
enum Chore {
    /// Drop the records of numbers up to this one.
    Truncate(SeqNo),
    /// Drop the states below this number.
    Forget(SeqNo),
}

/// A machine's storage: records in the order written, and how far they would survive.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    records: VecDeque<(PersistId, Record)>,
    chores: VecDeque<(PersistId, Chore)>,
    snapshots: BTreeMap<SeqNo, State>,
    pub(crate) written: PersistId,
    pub(crate) durable: PersistId,
}

impl Disk {
    /// A new disk with one record on it.
    pub(crate) fn with(record: Record) -> Self {
        let mut disk = Self::default();
        disk.append(PersistId(0), record);
        disk
    }

    /// Records kept.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Writes a record; [`Self::sync`] makes it durable.
    pub(crate) fn append(&mut self, id: PersistId, record: Record) {
        self.records.push_back((id, record));
        self.written = id;
    }

    /// Writes a state, which is durable when this returns.
    pub(crate) fn save(&mut self, number: SeqNo, state: State) {
        self.snapshots.insert(number, state);
    }

    /// Everything up to `id` is durable from now on.
    pub(crate) fn sync(&mut self, id: PersistId) {
        self.durable = self.durable.max(id);
        while let Some((after, _)) = self.chores.front()
            && *after <= self.durable
        {
            match self.chores.pop_front() {
                Some((_, Chore::Truncate(below))) => self.drop_records(below),
                Some((_, Chore::Forget(below))) => {
                    self.snapshots = self.snapshots.split_off(&below);
                }
                None => {}
            }
        }
    }

    /// Drops the records of numbers up to `below` once what was written so far is durable.
    pub(crate) fn truncate(&mut self, below: SeqNo) {
        self.chores
            .push_back((self.written, Chore::Truncate(below)));
        self.sync(self.durable);
    }

    /// Drops the states below `number` once what was written so far is durable.
    pub(crate) fn forget(&mut self, number: SeqNo) {
        self.chores.push_back((self.written, Chore::Forget(number)));
        self.sync(self.durable);
    }

    fn drop_records(&mut self, below: SeqNo) {
        // Of each kind that says where the replica stands: whether a record of a number was
        // written after the last one seen and stays. To read that, the one before it is needed.
        let mut newer: BTreeMap<Standing, bool> = BTreeMap::new();
        // The oldest go, with few exceptions: the newer are not moved.
        let mut stays = VecDeque::with_capacity(self.records.len());
        for (id, record) in self.records.iter().rev() {
            // What is not durable yet replaces nothing: it may still be lost.
            let durable = *id <= self.durable;
            let stay = !durable
                || match record.lifetime() {
                    Lifetime::Number(number) => number > below,
                    Lifetime::Latest(standing) => newer.get(&standing).is_none_or(|kept| *kept),
                };
            match record.lifetime() {
                Lifetime::Number(_) if stay => newer.values_mut().for_each(|kept| *kept = true),
                Lifetime::Latest(standing) if durable => {
                    newer.insert(standing, false);
                }
                _ => {}
            }
            stays.push_front(stay);
        }
        let from = stays
            .iter()
            .rposition(|stays| !stays)
            .map_or(0, |at| at + 1);
        let mut kept = Vec::new();
        for (stays, record) in stays.range(..from).zip(self.records.drain(..from)) {
            if *stays {
                kept.push(record);
            }
        }
        for record in kept.into_iter().rev() {
            self.records.push_front(record);
        }
    }

    /// Whether replica `id` with this disk would vote if the power failed now and came back.
    /// One that lost its memory may vote already while the checkpoint that allows it is not
    /// durable: what it sends waits for that, and it is silent again if all is lost before.
    pub(crate) fn would_vote(&self, id: ReplicaId) -> bool {
        let records = self.records.iter();
        let durable = records.filter(|(id, _)| *id <= self.durable);
        let (mut stable, mut life) = (SeqNo(0), None);
        for (_, record) in durable {
            stable = stable.max(record.stable().unwrap_or_default());
            if let Record::Life(begun) = record {
                life = Some(*begun);
            }
        }
        let state = self.snapshots.get(&stable);
        let current = match state.map(split_state) {
            Some(Ok((lives, _))) => lives.of(id),
            _ => Current::default(),
        };
        current.life == life && current.from <= stable
    }

    /// Whether the state at `number` would survive.
    pub(crate) fn has(&self, number: SeqNo) -> bool {
        self.snapshots.contains_key(&number)
    }

    /// Power fails: what was not durable is gone. Gives the records left, the newest stable
    /// checkpoint among them, and the states at it and above.
    pub(crate) fn crash(&mut self) -> (Vec<Record>, SeqNo, BTreeMap<SeqNo, State>) {
        let durable = self.durable;
        self.records.retain(|(id, _)| *id <= durable);
        self.chores.clear();
        // A new life counts its records anew; these stay whatever becomes of it.
        for (id, _) in &mut self.records {
            *id = PersistId(0);
        }
        (self.written, self.durable) = (PersistId(0), PersistId(0));
        let records: Vec<Record> = self.records.iter().map(|(_, r)| r.clone()).collect();
        let stable = records.iter().filter_map(Record::stable).max();
        let stable = stable.unwrap_or_default();
        (records, stable, self.snapshots.clone().split_off(&stable))
    }
}

/// One machine.
pub(crate) struct Machine {
    pub(crate) id: ReplicaId,
    pub(crate) key: SigningKey,
    pub(crate) replica: Replica,
    pub(crate) kernel: Kernel,
    pub(crate) checker: Checker,
    pub(crate) disk: Disk,
    /// States after checkpoints from the last stable one on.
    pub(crate) snapshots: BTreeMap<SeqNo, State>,
    pub(crate) inbox: Vec<Incoming>,
    /// Whether a turn is planned.
    pub(crate) awake: bool,
    /// What waits for the disk, in order.
    pub(crate) outbox: VecDeque<(PersistId, Outgoing)>,
    /// Counts restarts: what was planned in an earlier life does not happen.
    pub(crate) life: u32,
    pub(crate) up: bool,
    pub(crate) frozen: bool,
    pub(crate) strategy: Option<(Kind, Box<dyn Strategy>)>,
    /// When the earliest planned timer fires.
    pub(crate) timer: Option<u64>,
    pub(crate) booted_at: u64,
    /// The clock's rate, in thousandths of true time.
    pub(crate) rate_permille: u64,
    pub(crate) skew_ms: i64,
}

impl Machine {
    /// Whether it follows the protocol.
    pub(crate) fn is_correct(&self) -> bool {
        self.strategy.is_none()
    }

    /// Whether it takes turns.
    pub(crate) const fn runs(&self) -> bool {
        self.up && !self.frozen
    }

    /// What its clocks show at virtual time `now`.
    pub(crate) fn clock(&self, now: u64) -> Clock {
        let elapsed_us = now.saturating_sub(self.booted_at) * self.rate_permille / 1000;
        let wall_ms = DAWN_MS + now * self.rate_permille / 1000 / MS;
        Clock {
            monotonic: Instant(elapsed_us),
            wall: OrderedTime(wall_ms.saturating_add_signed(self.skew_ms)),
        }
    }

    /// The virtual time at which its timer is due.
    pub(crate) fn due(&self) -> Option<u64> {
        let at = self.replica.next_timeout()?.0;
        Some(self.booted_at + (at * 1000).div_ceil(self.rate_permille))
    }

    /// The last number its service executed.
    pub(crate) const fn executed(&self) -> SeqNo {
        self.replica.executed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bezant_bft::{
        crypto::Domain,
        ids::{ClusterId, Digest, Epoch, Incarnation, Life, View},
        message::{Body, CheckpointVote, NewView},
        rejoin::{Lives, Rejoin, join_state},
    };

    const ME: ReplicaId = ReplicaId(2);

    fn stable(number: u64) -> Record {
        let body = CheckpointVote {
            epoch: Epoch(0),
            replica: ReplicaId(0),
            incarnation: Incarnation(0),
            number: SeqNo(number),
            digest: Digest([0; 32]),
        };
        Record::Stable(vec![signed(body, Domain::Checkpoint)])
    }

    /// The state in which `life` of this replica begins to count at 24.
    fn state(life: Life) -> State {
        let mut lives = Lives::default();
        let rejoin = Rejoin {
            epoch: Epoch(0),
            replica: ME,
            incarnation: Incarnation(1),
            life,
        };
        assert!(lives.execute(&rejoin, SeqNo(7), 4));
        assert_eq!(lives.of(ME).from, SeqNo(24));
        join_state(&lives, State::from(b"service".to_vec()))
    }

    fn signed<B: Body>(body: B, domain: Domain) -> Signed<B> {
        let key = SigningKey::from_seed([1; 32]);
        Signed::new(body, domain, &ClusterId([0; 32]), &key)
    }

    fn entered(view: u64) -> Record {
        let body = NewView {
            epoch: Epoch(0),
            replica: ReplicaId(0),
            incarnation: Incarnation(0),
            view: View(view),
            view_changes: Vec::new(),
            stable: SeqNo(0),
            pre_prepares: Vec::new(),
        };
        Record::NewView(signed(body, Domain::NewView))
    }

    fn prepare(view: u64, number: u64) -> Record {
        let body = Vote {
            epoch: Epoch(0),
            replica: ME,
            incarnation: Incarnation(0),
            view: View(view),
            number: SeqNo(number),
            digest: Digest([0; 32]),
        };
        Record::Prepare(signed(body, Domain::Prepare))
    }

    /// Seed 21209810 lost what was decided in one view because the record of its beginning
    /// went while votes in it stayed: nobody could say any more what had been prepared.
    #[test]
    fn the_beginning_of_a_view_stays_as_long_as_votes_in_it() {
        let mut disk = Disk::default();
        let all = [
            entered(1),
            prepare(1, 4),
            entered(2),
            prepare(2, 4),
            prepare(2, 5),
            entered(3),
            entered(4),
            prepare(4, 5),
        ];
        for (id, record) in (1..).zip(all) {
            disk.append(PersistId(id), record);
        }
        disk.sync(PersistId(8));
        let views = |disk: &Disk| -> Vec<u64> {
            let records = disk.records.iter();
            let views = records.filter_map(|(_, record)| match record {
                Record::NewView(new_view) => Some(new_view.body.view.0),
                _ => None,
            });
            views.collect()
        };
        disk.truncate(SeqNo(3));
        assert_eq!(views(&disk), [1, 2, 4], "nothing was said in view 3");
        disk.truncate(SeqNo(4));
        assert_eq!(views(&disk), [2, 4]);
        disk.truncate(SeqNo(5));
        assert_eq!((views(&disk), disk.len()), (vec![4], 1));
    }

    #[test]
    fn a_lost_memory_is_lost_until_the_checkpoint_of_the_new_life_is_durable() {
        assert!(Disk::default().would_vote(ME));
        let life = Life([7; 32]);
        let mut disk = Disk::with(Record::Life(life));
        assert!(!disk.would_vote(ME), "no life was given to it");
        for (id, number) in [(1, 20), (2, 24)] {
            disk.save(SeqNo(number), state(life));
            disk.append(PersistId(id), stable(number));
        }
        assert!(!disk.would_vote(ME), "nothing is durable");
        disk.sync(PersistId(1));
        assert!(!disk.would_vote(ME), "it does not count yet");
        disk.sync(PersistId(2));
        assert!(disk.would_vote(ME));
        disk.append(PersistId(3), Record::Life(Life([8; 32])));
        disk.sync(PersistId(3));
        assert!(!disk.would_vote(ME), "another life was given to it");
    }
}
