//! One machine: a replica with everything around it, its disk and what waits for it.

use std::collections::{BTreeMap, VecDeque};

use bezant_bft::{
    crypto::SigningKey,
    effects::{Durability, PersistId, Record},
    ids::{Clock, Instant, OrderedTime, ReplicaId, SeqNo},
    record::{Lifetime, RecordKind},
    rejoin::{Current, split_state},
    replica::Replica,
    state::State,
};
use bezant_replica::{Driver, Event, Kept, LinkId};

use crate::{
    adversaries::{Kind, Strategy},
    options::MS,
    rng::Rng,
};

/// The time of day at virtual time 0.
pub(crate) const DAWN_MS: u64 = 1_700_000_000_000;

/// What waits at a machine until its next turn.
pub(crate) type Arrival = Event;

/// The client at the other end of a link; links of one client have different numbers.
pub(crate) fn client_of(link: LinkId) -> usize {
    usize::try_from(link.0 & 0xffff_ffff).unwrap_or(usize::MAX)
}

/// A machine's storage: records in the order written, and how far they would survive.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    records: VecDeque<(PersistId, Record)>,
    snapshots: BTreeMap<SeqNo, State>,
    pub(crate) durable: PersistId,
    /// The last record of each batch that is on its way.
    syncing: VecDeque<PersistId>,
    /// Whether nothing on it survives: the machine keeps everything in memory.
    volatile: bool,
    /// Whether the leave to vote without a memory lies beside it.
    first_start: bool,
    /// Whether the next sync fails, or one has.
    fails: bool,
    broken: bool,
    /// When the last thing that it was told to write will be written.
    log_until: u64,
    states_until: u64,
}

impl Disk {
    /// The disk of a machine that never ran.
    pub(crate) fn new(volatile: bool) -> Self {
        Self {
            volatile,
            first_start: true,
            ..Self::default()
        }
    }

    /// How its replica learns what is durable.
    pub(crate) const fn durability(&self) -> Durability {
        if self.volatile {
            Durability::Immediate
        } else {
            Durability::Reported
        }
    }

    /// Records kept.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Writes a record; [`Self::sync`] makes it durable.
    pub(crate) fn append(&mut self, id: PersistId, record: Record) {
        self.records.push_back((id, record));
        if self.volatile {
            self.durable = id;
        }
    }

    /// When a write to the log that would be done `at` is done, behind those before.
    pub(crate) fn log_line(&mut self, at: u64) -> u64 {
        self.log_until = self.log_until.max(at);
        self.log_until
    }

    /// When a state that would be written `at` is written, behind those before.
    pub(crate) fn state_line(&mut self, at: u64) -> u64 {
        self.states_until = self.states_until.max(at);
        self.states_until
    }

    /// A batch of records up to `id` is on its way.
    pub(crate) fn begin_sync(&mut self, id: PersistId) {
        self.syncing.push_back(id);
    }

    /// Everything up to `id` is durable from now on.
    pub(crate) fn sync(&mut self, id: PersistId) {
        self.durable = self.durable.max(id);
        self.syncing.retain(|batch| *batch > id);
    }

    /// A state is durable from now on.
    pub(crate) fn save(&mut self, seq_no: SeqNo, state: State) {
        self.snapshots.insert(seq_no, state);
    }

    /// The next sync fails, and everything after it.
    pub(crate) const fn damage(&mut self) {
        self.fails = !self.volatile;
    }

    /// No later sync fails.
    pub(crate) const fn repair(&mut self) {
        (self.fails, self.broken) = (false, false);
    }

    /// Whether this sync fails.
    pub(crate) const fn fails(&mut self) -> bool {
        self.broken |= self.fails;
        self.broken
    }

    /// Whether a sync failed.
    pub(crate) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether the leave to vote without a memory still stands.
    pub(crate) const fn has_first_start(&self) -> bool {
        self.first_start
    }

    /// The leave is gone for good.
    pub(crate) const fn use_first_start(&mut self) {
        self.first_start = false;
    }

    /// The newest checkpoint that durable records call stable.
    fn stable(&self) -> SeqNo {
        let durable = self.records.iter().filter(|(id, _)| *id <= self.durable);
        let stable = durable.filter_map(|(_, record)| record.stable());
        stable.max().unwrap_or_default()
    }

    /// A checkpoint that durable records call stable and whose state is not here.
    pub(crate) fn stable_without_state(&self) -> Option<SeqNo> {
        let stable = self.stable();
        let lost = stable > SeqNo(0) && !self.volatile && !self.has(stable);
        lost.then_some(stable)
    }

    /// Whether something durable takes the place of records up to `below`.
    pub(crate) fn may_truncate(&self, below: SeqNo) -> bool {
        self.volatile || self.stable() >= below
    }

    /// Drops the records of numbers up to `below`, and the states below the newest stable
    /// checkpoint of which both record and state are durable, as the journal does.
    pub(crate) fn truncate(&mut self, below: SeqNo) {
        self.drop_records(below);
        let stable = self.stable();
        if self.has(stable) {
            self.snapshots = self.snapshots.split_off(&stable);
        }
    }

    fn drop_records(&mut self, below: SeqNo) {
        // Of each kind that says where the replica stands: whether a record of a number was
        // written after the last one seen and stays. To read that, the one before it is needed.
        let mut newer: BTreeMap<RecordKind, bool> = BTreeMap::new();
        // The oldest go, with few exceptions: the newer are not moved.
        let mut stays = VecDeque::with_capacity(self.records.len());
        for (id, record) in self.records.iter().rev() {
            // What is not durable yet replaces nothing: it may still be lost.
            let durable = *id <= self.durable;
            let stay = !durable
                || match record.lifetime() {
                    Lifetime::Number(seq_no) => seq_no > below,
                    Lifetime::Latest(latest) => newer.get(&latest).is_none_or(|kept| *kept),
                };
            match record.lifetime() {
                Lifetime::Number(_) if stay => newer.values_mut().for_each(|kept| *kept = true),
                Lifetime::Latest(latest) if durable => {
                    newer.insert(latest, false);
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
        if self.first_start {
            return true;
        }
        let records = self.records.iter();
        let durable = records.filter(|(id, _)| *id <= self.durable);
        let (mut stable, mut nonce, mut any) = (SeqNo(0), None, false);
        for (_, record) in durable {
            any = true;
            stable = stable.max(record.stable().unwrap_or_default());
            if let Record::IncarnationNonce(begun) = record {
                nonce = Some(*begun);
            }
        }
        let state = self.snapshots.get(&stable);
        let current = match state.map(split_state) {
            Some(Ok((incarnations, _))) => incarnations.of(id),
            _ => Current::default(),
        };
        any && current.nonce == nonce && current.from <= stable
    }

    /// Whether the state at `seq_no` would survive.
    pub(crate) fn has(&self, seq_no: SeqNo) -> bool {
        self.snapshots.contains_key(&seq_no)
    }

    /// Everything is gone but the leave to vote without a memory, if it still stands.
    pub(crate) fn wipe(&mut self) {
        *self = Self {
            volatile: self.volatile,
            first_start: self.first_start,
            ..Self::default()
        };
    }

    /// Power fails: what was not durable is gone, or some of it, in the order written. The
    /// last record that survives.
    pub(crate) fn crash(&mut self, rng: &mut Rng) -> PersistId {
        // A batch of records is whole or not there, as in the journal.
        let syncing = self.syncing.iter().copied();
        let survives = syncing.take_while(|_| rng.chance(500)).last();
        let survives = survives.map_or(self.durable, |batch| batch.max(self.durable));
        self.syncing.clear();
        self.records.retain(|(id, _)| *id <= survives);
        // A new run counts its records anew; these stay whatever becomes of it.
        for (id, _) in &mut self.records {
            *id = PersistId(0);
        }
        self.durable = PersistId(0);
        self.repair();
        (self.log_until, self.states_until) = (0, 0);
        survives
    }

    /// What a replica that starts finds here.
    pub(crate) fn kept(&self) -> Kept {
        let stable = self.stable();
        let later = stable.next();
        Kept {
            records: self.records.iter().map(|(_, r)| r.clone()).collect(),
            snapshot: self
                .snapshots
                .get(&stable)
                .map(|state| (stable, state.clone())),
            later: (self.snapshots.range(later..))
                .map(|(seq_no, state)| (*seq_no, state.clone()))
                .collect(),
        }
    }
}

/// One machine.
pub(crate) struct Machine {
    pub(crate) id: ReplicaId,
    pub(crate) key: SigningKey,
    pub(crate) driver: Driver,
    pub(crate) disk: Disk,
    pub(crate) inbox: Vec<Arrival>,
    /// Whether a turn is planned.
    pub(crate) awake: bool,
    /// What was planned before the last restart does not happen.
    pub(crate) restarts: u32,
    pub(crate) up: bool,
    pub(crate) frozen: bool,
    /// Whether the replica was told that its storage failed.
    pub(crate) storage_failed: bool,
    pub(crate) strategy: Option<(Kind, Box<dyn Strategy>)>,
    /// How often each client's link came up.
    pub(crate) links: Vec<u64>,
    /// When the earliest planned timer fires.
    pub(crate) timer: Option<u64>,
    pub(crate) booted_at: u64,
    /// The clock's rate, in thousandths of true time.
    pub(crate) rate_permille: u64,
    pub(crate) skew_ms: i64,
}

impl Machine {
    /// Its replica.
    pub(crate) const fn replica(&self) -> &Replica {
        self.driver.replica()
    }

    /// The present link of a client.
    pub(crate) fn client_link(&self, client: usize) -> LinkId {
        let times = self.links.get(client).copied().unwrap_or_default();
        LinkId(times << 32 | client as u64)
    }

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
        let at = self.driver.next_timeout()?.0;
        Some(self.booted_at + (at * 1000).div_ceil(self.rate_permille))
    }

    /// The last number its service executed.
    pub(crate) const fn executed(&self) -> SeqNo {
        self.replica().executed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bezant_bft::{
        crypto::Domain,
        ids::{ClusterId, Digest, Epoch, Incarnation, IncarnationNonce, View},
        message::{Body, CheckpointVote, NewView, Rejoin, Signed, Vote},
        rejoin::{IncarnationTable, join_state},
    };

    const ME: ReplicaId = ReplicaId(2);

    fn stable(seq_no: u64) -> Record {
        let body = CheckpointVote {
            epoch: Epoch(0),
            replica: ReplicaId(0),
            incarnation: Incarnation(0),
            seq_no: SeqNo(seq_no),
            digest: Digest([0; 32]),
        };
        Record::Stable(vec![signed(body, Domain::Checkpoint)])
    }

    /// The state in which `nonce` of this replica begins to count at 24.
    fn state(nonce: IncarnationNonce) -> State {
        let mut incarnations = IncarnationTable::default();
        let rejoin = Rejoin {
            epoch: Epoch(0),
            replica: ME,
            incarnation: Incarnation(1),
            nonce,
        };
        assert!(incarnations.execute(&rejoin, SeqNo(7), 4));
        assert_eq!(incarnations.of(ME).from, SeqNo(24));
        join_state(&incarnations, State::from(b"service".to_vec()))
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

    fn prepare(view: u64, seq_no: u64) -> Record {
        let body = Vote {
            epoch: Epoch(0),
            replica: ME,
            incarnation: Incarnation(0),
            view: View(view),
            seq_no: SeqNo(seq_no),
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
    fn a_lost_memory_is_lost_until_the_checkpoint_of_the_new_incarnation_is_durable() {
        assert!(Disk::new(false).would_vote(ME));
        let nonce = IncarnationNonce([7; 32]);
        let mut disk = Disk::default();
        assert!(!disk.would_vote(ME), "nothing is known of what it said");
        disk.append(PersistId(0), Record::IncarnationNonce(nonce));
        assert!(!disk.would_vote(ME), "no incarnation was given to it");
        for (id, seq_no) in [(1, 20), (2, 24)] {
            disk.save(SeqNo(seq_no), state(nonce));
            disk.append(PersistId(id), stable(seq_no));
        }
        assert!(!disk.would_vote(ME), "nothing is durable");
        disk.sync(PersistId(1));
        assert!(!disk.would_vote(ME), "it does not count yet");
        disk.sync(PersistId(2));
        assert!(disk.would_vote(ME));
        disk.append(
            PersistId(3),
            Record::IncarnationNonce(IncarnationNonce([8; 32])),
        );
        disk.sync(PersistId(3));
        assert!(!disk.would_vote(ME), "another incarnation was given to it");
    }
}
