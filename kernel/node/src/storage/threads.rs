//! The threads that write, so that neither a sync nor a large state stops the event loop.
//!
//! One thread has the log. It takes everything that was handed over meanwhile and
//! syncs once for all of it, so that the slower the disk is the more records share a
//! sync (group commit). The other writes states, which may take long and which votes
//! must not wait for. Both tell the loop what is durable, in order. The first failure
//! is told, too, and ends them: what a failed sync left on the disk is unknown, so
//! nothing is tried again.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use bezant_bft::{
    effects::{PersistId, Record},
    ids::SeqNo,
    state::State,
};
use bezant_replica::Event;
use tokio::sync::mpsc;

use super::{Journal, SnapshotWriter, StorageError};
use crate::first_start::FirstStart;

/// Work that may wait for the log's thread. The window of the ordering bounds what a replica
/// records while nothing becomes durable to far less; were it ever full, the loop would wait.
const MAX_WORK: usize = 64 * 1024;

/// States that may wait to be written: more than there are checkpoints in a window.
const MAX_STATES: usize = 64;

/// Completions that may wait for the loop.
const MAX_COMPLETIONS: usize = 1024;

/// What a storage thread tells the loop.
#[derive(Debug)]
pub(crate) enum Completion {
    /// It is done.
    Done(Event),
    /// All records up to this one are durable.
    Synced {
        /// The record.
        up_to: PersistId,
        /// How long the disk took.
        took: Duration,
    },
    /// It failed, and so will everything from now on.
    Failed(StorageError),
}

/// The log as its thread needs it.
trait Log: Send {
    fn append(&mut self, record: &Record) -> Result<(), StorageError>;
    fn sync(&mut self) -> Result<(), StorageError>;
    fn truncate(&mut self, below: SeqNo) -> Result<(), StorageError>;
    fn snapshot_saved(&mut self, seq_no: SeqNo);
}

impl Log for Journal {
    fn append(&mut self, record: &Record) -> Result<(), StorageError> {
        Self::append(self, record)
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        Self::sync(self)
    }

    fn truncate(&mut self, below: SeqNo) -> Result<(), StorageError> {
        Self::truncate(self, below)
    }

    fn snapshot_saved(&mut self, seq_no: SeqNo) {
        Self::snapshot_saved(self, seq_no);
    }
}

/// What the log's thread is handed.
enum Work {
    /// Write these records, and make everything up to the named one durable.
    Write(Vec<Record>, PersistId),
    Truncate(SeqNo),
    SnapshotSaved(SeqNo),
    UseFirstStart(FirstStart),
}

/// Storage, at work.
#[derive(Debug)]
pub(crate) struct StorageThreads {
    log: Option<SyncSender<Work>>,
    /// Records of this turn: they are handed over with its sync, so that the thread wakes once.
    records: Vec<Record>,
    states: Option<SyncSender<(SeqNo, State)>>,
    threads: Vec<JoinHandle<()>>,
}

impl StorageThreads {
    /// Starts the threads of a journal; what they complete comes out of the receiver.
    ///
    /// # Errors
    /// The system's, if it gives no thread.
    pub(crate) fn start(
        journal: Journal,
        name: &str,
    ) -> std::io::Result<(Self, mpsc::Receiver<Completion>)> {
        let writer = journal.snapshot_writer();
        let (log, work) = sync_channel(MAX_WORK);
        let (states, snapshots) = sync_channel(MAX_STATES);
        let (done, completions) = mpsc::channel(MAX_COMPLETIONS);
        let told = done.clone();
        let threads = vec![
            Builder::new()
                .name(format!("{name}-log"))
                .spawn(move || write_log(journal, &work, &done))?,
            Builder::new()
                .name(format!("{name}-states"))
                .spawn(move || write_states(&writer, &snapshots, &told))?,
        ];
        let this = Self {
            log: Some(log),
            records: Vec::new(),
            states: Some(states),
            threads,
        };
        Ok((this, completions))
    }

    /// A thread that is gone has told why, and the replica is about to stop.
    fn hand(&self, work: Work) {
        if let Some(log) = &self.log {
            let _gone = log.send(work);
        }
    }

    /// Writes a record behind those before.
    pub(crate) fn append(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Makes everything up to the record `id` durable.
    pub(crate) fn sync(&mut self, id: PersistId) {
        let records = std::mem::take(&mut self.records);
        self.hand(Work::Write(records, id));
    }

    /// Lets go of records about numbers up to `below`.
    pub(crate) fn truncate(&self, below: SeqNo) {
        self.hand(Work::Truncate(below));
    }

    /// Tells the log of a state that is durable.
    pub(crate) fn snapshot_saved(&self, seq_no: SeqNo) {
        self.hand(Work::SnapshotSaved(seq_no));
    }

    /// Uses up the leave to vote without a memory.
    pub(crate) fn use_up(&self, leave: FirstStart) {
        self.hand(Work::UseFirstStart(leave));
    }

    /// Makes a state durable.
    pub(crate) fn save_snapshot(&self, seq_no: SeqNo, state: State) {
        if let Some(states) = &self.states {
            let _gone = states.send((seq_no, state));
        }
    }
}

impl Drop for StorageThreads {
    /// Waits for what was handed over: whoever opens the folder next must find it free.
    fn drop(&mut self) {
        self.log = None;
        self.states = None;
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
    }
}

fn write_log(mut log: impl Log, work: &Receiver<Work>, done: &mpsc::Sender<Completion>) {
    while let Ok(first) = work.recv() {
        if let Err(error) = write_together(&mut log, first, work, done) {
            let _loop_ended = done.blocking_send(Completion::Failed(error));
            return;
        }
    }
}

/// Does the `first` work and all that came with it; one sync for all.
fn write_together(
    log: &mut impl Log,
    first: Work,
    more: &Receiver<Work>,
    done: &mpsc::Sender<Completion>,
) -> Result<(), StorageError> {
    let tell = |completion| {
        let _loop_ended = done.blocking_send(completion);
    };
    let mut wanted = None;
    let mut next = Some(first);
    while let Some(work) = next {
        match work {
            Work::Write(records, id) => {
                records.iter().try_for_each(|record| log.append(record))?;
                wanted = Some(id);
            }
            Work::Truncate(below) => log.truncate(below)?,
            Work::SnapshotSaved(seq_no) => log.snapshot_saved(seq_no),
            Work::UseFirstStart(leave) => {
                leave.use_up()?;
                tell(Completion::Done(Event::FirstStartUsed));
            }
        }
        next = more.try_recv().ok();
    }
    if let Some(up_to) = wanted {
        let begun = Instant::now();
        log.sync()?;
        let took = begun.elapsed();
        tell(Completion::Synced { up_to, took });
    }
    Ok(())
}

fn write_states(
    writer: &SnapshotWriter,
    states: &Receiver<(SeqNo, State)>,
    done: &mpsc::Sender<Completion>,
) {
    while let Ok((seq_no, state)) = states.recv() {
        let completion = match writer.write(seq_no, &state) {
            Ok(()) => Completion::Done(Event::SnapshotSaved(seq_no)),
            Err(error) => Completion::Failed(error),
        };
        let failed = matches!(completion, Completion::Failed(_));
        if done.blocking_send(completion).is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What a disk did, in order.
    #[derive(Debug, PartialEq, Eq)]
    enum Did {
        Append,
        Sync,
        Truncate,
    }

    /// A log that notes what is done to it, and fails at its `broken`th sync.
    struct Noted {
        did: Arc<Mutex<Vec<Did>>>,
        syncs: usize,
        broken: usize,
    }

    impl Noted {
        fn new(broken: usize) -> (Self, Arc<Mutex<Vec<Did>>>) {
            let did = Arc::new(Mutex::new(Vec::new()));
            let noted = Self {
                did: Arc::clone(&did),
                syncs: 0,
                broken,
            };
            (noted, did)
        }

        fn note(&self, did: Did) {
            self.did.lock().unwrap().push(did);
        }
    }

    impl Log for Noted {
        fn append(&mut self, _: &Record) -> Result<(), StorageError> {
            self.note(Did::Append);
            Ok(())
        }

        fn sync(&mut self) -> Result<(), StorageError> {
            self.syncs += 1;
            if self.syncs == self.broken {
                return Err(std::io::Error::other("no space left on device").into());
            }
            self.note(Did::Sync);
            Ok(())
        }

        fn truncate(&mut self, _: SeqNo) -> Result<(), StorageError> {
            self.note(Did::Truncate);
            Ok(())
        }

        fn snapshot_saved(&mut self, _: SeqNo) {}
    }

    fn record() -> Record {
        Record::IncarnationNonce(bezant_bft::ids::IncarnationNonce([1; 32]))
    }

    fn run(log: Noted, work: Vec<Work>) -> Vec<Completion> {
        let (hand, receive) = sync_channel(MAX_WORK);
        for work in work {
            hand.send(work).unwrap();
        }
        drop(hand);
        let (done, mut completions) = mpsc::channel(MAX_COMPLETIONS);
        write_log(log, &receive, &done);
        drop(done);
        std::iter::from_fn(|| completions.try_recv().ok()).collect()
    }

    /// What waited together shares one sync, and nothing is called durable before it.
    #[test]
    fn records_are_durable_when_the_sync_after_them_is_done() {
        let (log, did) = Noted::new(0);
        let work = vec![
            Work::Write(vec![record()], PersistId(1)),
            Work::Write(vec![record(), record()], PersistId(3)),
        ];
        let told = run(log, work);
        assert!(
            matches!(
                told[..],
                [Completion::Synced {
                    up_to: PersistId(3),
                    ..
                }]
            ),
            "{told:?}"
        );
        let did = did.lock().unwrap();
        assert_eq!(*did, [Did::Append, Did::Append, Did::Append, Did::Sync]);
    }

    #[test]
    fn nothing_is_written_or_told_after_a_failure() {
        let (log, did) = Noted::new(1);
        let told = run(log, vec![Work::Write(vec![record()], PersistId(1))]);
        assert!(matches!(told[..], [Completion::Failed(_)]), "{told:?}");
        assert_eq!(*did.lock().unwrap(), [Did::Append]);
    }
}
