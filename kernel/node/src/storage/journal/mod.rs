//! Records and snapshots on disk: a log in segments, one sync for all records of a turn.
//!
//! Why not a database: docs/decisions/009-journal.md. The log is appended to
//! until a segment is full; segments whose records are all below what the
//! replica still needs go, oldest first, and their files are used again. What
//! says where the replica stands ([`Lifetime::Latest`]) and was written long ago
//! is carried over: every segment begins with a copy of it, which counts only
//! while that segment is the oldest. `folder` is about names and locks,
//! `segment` about bytes, `snapshot` about the state at a checkpoint.

mod folder;
mod segment;
mod snapshot;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, VecDeque},
    fs::{File, OpenOptions},
    io,
    path::Path,
    sync::Arc,
};

use bezant_bft::{
    effects::Record,
    ids::SeqNo,
    record::{Lifetime, RecordKind},
    state::State,
};
use bezant_replica::Kept;
use tracing::warn;

use self::{
    folder::Folder,
    segment::{Contents, Sealer, Segment, Unreadable, add_record},
};
use super::StorageError;

pub use folder::{Identity, JOURNAL_FOLDER};
pub use snapshot::SnapshotWriter;

/// Bytes of a segment, unless a single turn needs more. Large enough that beginning one is
/// rare, small enough that the records of a window fill several.
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;

/// Begins the names of segments.
const LOG: &str = "log-";

/// A file of a segment that went, to be used again.
const SPARE: &str = "spare";

fn log_name(number: u64) -> String {
    format!("{LOG}{number:020}")
}

/// A segment that is full.
#[derive(Debug)]
struct Full {
    number: u64,
    /// The highest number that a record in it is about.
    newest: SeqNo,
    records: usize,
}

/// Records of one batch, and what they say.
#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    records: usize,
    newest: SeqNo,
    latest: Vec<(RecordKind, Vec<u8>)>,
}

impl Pending {
    fn add(&mut self, record: &Record, bytes: Vec<u8>) -> io::Result<()> {
        add_record(&mut self.bytes, &bytes)?;
        self.records += 1;
        match record.lifetime() {
            Lifetime::Number(number) => self.newest = self.newest.max(number),
            Lifetime::Latest(latest) => self.latest.push((latest, bytes)),
        }
        Ok(())
    }
}

/// The log as far as it is written.
#[derive(Debug)]
struct Log {
    full: VecDeque<Full>,
    active: Segment,
    /// The highest number and the count of the records in the active segment.
    newest: SeqNo,
    records: usize,
    /// Where the replica stands, in the order it came there: what a new segment begins with.
    latest: Vec<(RecordKind, Vec<u8>)>,
}

impl Log {
    /// Takes note of a batch that was written.
    fn note(&mut self, batch: Pending) {
        self.newest = self.newest.max(batch.newest);
        self.records += batch.records;
        for (kind, bytes) in batch.latest {
            self.latest.retain(|(other, _)| *other != kind);
            self.latest.push((kind, bytes));
        }
    }

    /// What a segment that begins now carries over from those before it. The empty record
    /// in front makes it a batch even where there is nothing to carry.
    fn carried(&self) -> io::Result<Vec<u8>> {
        let mut records = Vec::new();
        add_record(&mut records, &[])?;
        for (_, bytes) in &self.latest {
            add_record(&mut records, bytes)?;
        }
        Ok(records)
    }
}

/// The journal of one replica.
#[derive(Debug)]
pub struct Journal {
    folder: Arc<Folder>,
    segment_bytes: u64,
    log: Log,
    /// Records appended and not written: the next batch.
    pending: Pending,
    /// Numbers with a durable snapshot, and numbers that records say are stable.
    snapshots: BTreeSet<SeqNo>,
    stable: BTreeSet<SeqNo>,
    kept: Kept,
    /// A write or a sync was begun and did not succeed.
    in_doubt: bool,
}

impl Journal {
    /// Opens the journal in the data folder `data`, or begins one; nobody else can open it
    /// until this one is dropped.
    ///
    /// # Errors
    /// [`StorageError`] names the file or folder and what is wrong with it.
    pub fn open(data: &Path, identity: Identity) -> Result<Self, StorageError> {
        Self::open_with(data, identity, SEGMENT_BYTES)
    }

    fn open_with(
        data: &Path,
        identity: Identity,
        segment_bytes: u64,
    ) -> Result<Self, StorageError> {
        let folder = Folder::open(data, identity, |folder| {
            let mut nothing = Vec::new();
            add_record(&mut nothing, &[])?;
            begin(folder, 1, segment_bytes, 0, &nothing).map(|_| ())
        })?;
        let (log, records) = read_log(&folder)?;
        let snapshots = folder.numbered(snapshot::PREFIX)?.into_iter().map(SeqNo);
        let mut this = Self {
            segment_bytes,
            snapshots: snapshots.collect(),
            stable: records.iter().filter_map(Record::stable).collect(),
            log,
            pending: Pending::default(),
            kept: Kept::default(),
            in_doubt: false,
            folder: Arc::new(folder),
        };
        this.kept = this.recover(records)?;
        Ok(this)
    }

    /// The newest checkpoint of which both the records and a snapshot speak.
    fn anchor(&self) -> Option<SeqNo> {
        let known = |seq_no: &&SeqNo| self.stable.contains(seq_no);
        self.snapshots.iter().rev().find(known).copied()
    }

    fn recover(&mut self, mut records: Vec<Record>) -> Result<Kept, StorageError> {
        let Some(number) = self.anchor() else {
            let first = self.log.full.front().map(|full| full.number);
            if first.unwrap_or(self.log.active.sealer.number) > 1 {
                return Err(StorageError::Damaged {
                    file: self.folder.path.clone(),
                    at: 0,
                    why: "the snapshot that older records were dropped for is missing",
                });
            }
            records.retain(|record| record.stable().is_none());
            return Ok(Kept {
                records,
                snapshot: None,
                later: self.later_than(SeqNo(0))?,
            });
        };
        let state = snapshot::read(&self.folder, number)?;
        records.retain(|record| record.stable().is_none_or(|stable| stable <= number));
        Ok(Kept {
            records,
            snapshot: Some((number, state)),
            later: self.later_than(number)?,
        })
    }

    /// The states at checkpoints above `number`, for peers. The replica itself comes back
    /// without them and writes them again when it gets there, so one that is damaged goes.
    fn later_than(&mut self, seq_no: SeqNo) -> Result<Vec<(SeqNo, State)>, StorageError> {
        let mut later = Vec::new();
        for seq_no in self.snapshots.split_off(&seq_no.next()) {
            match snapshot::read(&self.folder, seq_no) {
                Ok(state) => {
                    self.snapshots.insert(seq_no);
                    later.push((seq_no, state));
                }
                Err(StorageError::Damaged { file, .. }) => {
                    warn!(file = %file.display(), "damaged snapshot removed; not needed for restart");
                    self.folder.remove(&snapshot::name(seq_no), None)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(later)
    }

    /// Begins the next segment, which has room for `records` bytes of records.
    fn begin_next(&mut self, records: usize) -> Result<(), StorageError> {
        let carried = self.log.carried()?;
        let needed = Segment::room_for(carried.len() + records);
        let capacity = self.segment_bytes.max(needed);
        let Sealer { number, .. } = self.log.active.sealer;
        let len = self.log.active.len;
        let next = begin(&self.folder, number + 1, capacity, len, &carried)?;
        self.log.full.push_back(Full {
            number,
            newest: std::mem::take(&mut self.log.newest),
            records: std::mem::take(&mut self.log.records),
        });
        self.log.active = next;
        Ok(())
    }

    fn write_pending(&mut self) -> Result<(), StorageError> {
        let batch = std::mem::take(&mut self.pending);
        if !self.log.active.has_room(batch.bytes.len()) {
            self.begin_next(batch.bytes.len())?;
        }
        self.log.active.write(&batch.bytes)?;
        self.log.active.sync()?;
        self.log.note(batch);
        Ok(())
    }

    /// Runs `write`; if it fails nothing is ever written again.
    fn once<T>(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        if std::mem::replace(&mut self.in_doubt, true) {
            return Err(StorageError::InDoubt);
        }
        let result = write(self);
        self.in_doubt = result.is_err();
        result
    }

    /// Removes snapshots and segments that nobody starts from any more.
    fn drop_old(&mut self, below: SeqNo) -> Result<(), StorageError> {
        let Some(anchor) = self.anchor() else {
            return Ok(());
        };
        self.stable = self.stable.split_off(&anchor);
        let kept = self.snapshots.split_off(&anchor);
        for number in std::mem::replace(&mut self.snapshots, kept) {
            self.folder.remove(&snapshot::name(number), None)?;
        }
        let old = |full: &Full| full.newest <= below && full.newest < anchor;
        while let Some(full) = self.log.full.pop_front_if(|full| old(full)) {
            let spare = self.folder.path.join(SPARE);
            let taken = spare.try_exists().map_err(StorageError::unusable(&spare))?;
            let to = (!taken).then_some(spare.as_path());
            self.folder.remove(&log_name(full.number), to)?;
        }
        Ok(())
    }
}

impl Journal {
    /// What there was before this start; handed out once.
    pub fn take_kept(&mut self) -> Kept {
        std::mem::take(&mut self.kept)
    }

    /// Writes the states of this journal's replica, on whatever thread.
    #[must_use]
    pub fn snapshot_writer(&self) -> SnapshotWriter {
        SnapshotWriter::new(Arc::clone(&self.folder))
    }

    /// Takes a record; it need not be durable yet.
    ///
    /// # Errors
    /// [`StorageError`]; the replica must stop.
    pub fn append(&mut self, record: &Record) -> Result<(), StorageError> {
        if self.in_doubt {
            return Err(StorageError::InDoubt);
        }
        self.stable.extend(record.stable());
        let bytes = record.encode();
        Ok(self.pending.add(record, bytes)?)
    }

    /// Returns when every record appended is durable.
    ///
    /// # Errors
    /// [`StorageError`]; the replica must stop.
    pub fn sync(&mut self) -> Result<(), StorageError> {
        if self.pending.records == 0 && !self.in_doubt {
            return Ok(());
        }
        self.once(Self::write_pending)
    }

    /// Takes note of a state that its [`SnapshotWriter`] has written.
    pub fn snapshot_saved(&mut self, seq_no: SeqNo) {
        self.snapshots.insert(seq_no);
    }

    /// Lets go of records about numbers up to `below`, as far as a durable snapshot
    /// takes their place.
    ///
    /// # Errors
    /// [`StorageError`]; the replica must stop.
    pub fn truncate(&mut self, below: SeqNo) -> Result<(), StorageError> {
        // What takes the place of the records may still wait to be written.
        self.sync()?;
        self.once(|this| this.drop_old(below))
    }

    /// Records held.
    #[must_use]
    pub fn len(&self) -> usize {
        let full: usize = self.log.full.iter().map(|full| full.records).sum();
        full + self.log.records + self.pending.records
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Begins the segment `number` with the batch `first`; durable when this returns.
fn begin(
    folder: &Folder,
    number: u64,
    capacity: u64,
    previous_len: u64,
    first: &[u8],
) -> Result<Segment, StorageError> {
    let spare = folder.path.join(SPARE);
    let unfinished = folder
        .path
        .join(format!("{}{}", log_name(number), folder::UNFINISHED));
    let path = match std::fs::rename(&spare, &unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(StorageError::unusable(&spare)(error));
        }
        _ => unfinished,
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(StorageError::unusable(&path))?;
    let sealer = Sealer {
        salt: folder.salt,
        number,
    };
    let segment = Segment::begin(file, capacity, sealer, previous_len, first)?;
    folder.finish(&path, &log_name(number))?;
    Ok(segment)
}

/// Reads the whole log, and makes sure that what was read is durable.
fn read_log(folder: &Folder) -> Result<(Log, Vec<Record>), StorageError> {
    let numbers = folder.numbered(LOG)?;
    let missing = |number| StorageError::Damaged {
        file: folder.path.join(log_name(number)),
        at: 0,
        why: "this segment of the log is missing",
    };
    let (Some(first), Some(last)) = (numbers.first().copied(), numbers.last().copied()) else {
        return Err(missing(1));
    };
    let mut records = Vec::new();
    let (active, contents) = open_segment(folder, first)?;
    let mut log = Log {
        full: VecDeque::new(),
        active,
        newest: SeqNo(0),
        records: 0,
        latest: Vec::new(),
    };
    take_in(folder, &mut log, contents, true, &mut records)?;
    for number in first + 1..=last {
        if !numbers.contains(&number) {
            return Err(missing(number));
        }
        let (next, contents) = open_segment(folder, number)?;
        if contents.previous_len != log.active.len {
            return Err(StorageError::Damaged {
                file: folder.path.join(log_name(number - 1)),
                at: log.active.len,
                why: "what was durable here is no more",
            });
        }
        log.full.push_back(Full {
            number: number - 1,
            newest: std::mem::take(&mut log.newest),
            records: std::mem::take(&mut log.records),
        });
        log.active = next;
        take_in(folder, &mut log, contents, false, &mut records)?;
    }
    Ok((log, records))
}

/// Opens a segment that is there.
fn open_segment(folder: &Folder, number: u64) -> Result<(Segment, Contents), StorageError> {
    let path = folder.path.join(log_name(number));
    let open = OpenOptions::new().read(true).write(true).open(&path);
    let mut file: File = open.map_err(StorageError::unusable(&path))?;
    let sealer = Sealer {
        salt: folder.salt,
        number,
    };
    let contents = segment::read(&mut file, sealer).map_err(|error| match error {
        Unreadable::Io(error) => StorageError::unusable(&path)(error),
        Unreadable::Damaged { at, why } => StorageError::Damaged {
            file: path.clone(),
            at,
            why,
        },
    })?;
    if contents.torn {
        warn!(file = %path.display(), at = contents.len, "incomplete write at end of journal dropped");
    }
    let mut segment =
        Segment::resume(file, sealer, contents.len).map_err(StorageError::unusable(&path))?;
    // A sync that failed before the crash may have left the last batch in the system's
    // memory alone, where it can be read and is lost with the next power cut.
    segment
        .rewrite(&contents.last)
        .map_err(StorageError::unusable(&path))?;
    Ok((segment, contents))
}

/// Adds what a segment holds to what the log holds; only in the `oldest` does what was
/// carried over count.
fn take_in(
    folder: &Folder,
    log: &mut Log,
    contents: Contents,
    oldest: bool,
    records: &mut Vec<Record>,
) -> Result<(), StorageError> {
    let skipped = usize::from(!oldest);
    for batch in contents.batches.into_iter().skip(skipped) {
        let mut noted = Pending::default();
        for bytes in batch.into_iter().filter(|bytes| !bytes.is_empty()) {
            let record = Record::decode(&bytes).map_err(|error| StorageError::Record {
                file: folder.path.join(log_name(log.active.sealer.number)),
                error,
            })?;
            noted.add(&record, bytes)?;
            records.push(record);
        }
        log.note(noted);
    }
    Ok(())
}
