//! One file of the log: batches of records one after the other, each sealed.
//!
//! ```text
//! header   magic 8 · segment's number 8 · length of the segment before 8 · seal 16 · zeros
//! batch    length 4 · seal of the length 12 · seal of the records 16 · records · padding
//! records  (length 4 · record)…
//! ```
//! A batch is what one sync made durable; the next is written only after that.
//! Seals are digests over the folder's salt, the segment and the place in it, so
//! that bytes of another file or of an earlier use of this one, or such as a
//! client put into a request, are never taken for a batch. Two kinds of wrong
//! bytes are told apart: a batch that was being written when the power went is
//! the last one and is cut off, since nobody was told of it; wrong bytes with a
//! batch after them were durable once, and that is damage.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    ops::Range,
};

use bezant_bft::{crypto::digest, ids::Digest};

/// Bytes of a segment's header.
const HEADER: usize = 64;

/// Bytes before a batch's records.
const BATCH_HEAD: usize = 32;

/// Batches begin at multiples of this.
const ALIGN: usize = 16;

const MAGIC: &[u8; 8] = b"bezant\0\x01";

/// Seals what belongs to one segment of one folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sealer {
    pub(super) salt: [u8; 16],
    pub(super) number: u64,
}

impl Sealer {
    fn seal(&self, what: &str, at: u64, bytes: &[u8]) -> Digest {
        let (number, at) = (self.number.to_le_bytes(), at.to_le_bytes());
        digest(what, &[&self.salt, &number, &at, bytes])
    }

    fn header(&self, previous_len: u64) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        let previous = previous_len.to_le_bytes();
        let seal = self.seal("bezant log segment", 0, &previous);
        let number = self.number.to_le_bytes();
        let seal = seal.0.first_chunk::<16>().copied().unwrap_or_default();
        let parts = [&MAGIC[..], &number, &previous, &seal].concat();
        for (to, from) in header.iter_mut().zip(parts) {
            *to = from;
        }
        header
    }

    /// A batch of `records` for the place `at`.
    fn batch(&self, at: u64, records: &[u8]) -> io::Result<Vec<u8>> {
        let len = u32::try_from(records.len())
            .map_err(|_| io::Error::other("more records than a batch may hold"))?
            .to_le_bytes();
        let mut batch = Vec::with_capacity(BATCH_HEAD + records.len() + ALIGN);
        batch.extend(len);
        batch.extend(self.len_seal(at, len));
        batch.extend(self.records_seal(at, records));
        batch.extend(records);
        batch.resize(batch.len().next_multiple_of(ALIGN), 0);
        Ok(batch)
    }

    fn len_seal(&self, at: u64, len: [u8; 4]) -> [u8; 12] {
        let seal = self.seal("bezant log batch", at, &len);
        seal.0.first_chunk().copied().unwrap_or_default()
    }

    fn records_seal(&self, at: u64, records: &[u8]) -> [u8; 16] {
        let seal = self.seal("bezant log records", at, records);
        seal.0.first_chunk().copied().unwrap_or_default()
    }

    /// The length of the records of the batch that begins at `at`, if one does.
    fn batch_at(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let head = bytes.get(at..)?.first_chunk::<BATCH_HEAD>()?;
        let (len, rest) = head.split_first_chunk::<4>()?;
        // Where nothing was ever written nothing needs to be computed.
        if *len == [0; 4] {
            return None;
        }
        let place = u64::try_from(at).ok()?;
        let sealed = rest.starts_with(&self.len_seal(place, *len));
        sealed.then(|| usize::try_from(u32::from_le_bytes(*len)).ok())?
    }
}

/// Adds a record to those of a batch.
pub(super) fn add_record(records: &mut Vec<u8>, record: &[u8]) -> io::Result<()> {
    let len = u32::try_from(record.len())
        .map_err(|_| io::Error::other("a record longer than one may be"))?;
    records.extend(len.to_le_bytes());
    records.extend(record);
    Ok(())
}

/// The records of a batch.
fn split(mut records: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    while let Some((len, rest)) = records.split_first_chunk::<4>() {
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        let (record, rest) = rest.split_at_checked(len)?;
        all.push(record.to_vec());
        records = rest;
    }
    records.is_empty().then_some(all)
}

/// A segment that is written to.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: File,
    pub(super) sealer: Sealer,
    /// Where the next batch goes.
    pub(super) len: u64,
    capacity: u64,
}

impl Segment {
    /// Begins a segment in `file`, of which `capacity` bytes are its own, with a first
    /// batch; durable when this returns.
    pub(super) fn begin(
        file: File,
        capacity: u64,
        sealer: Sealer,
        previous_len: u64,
        first: &[u8],
    ) -> io::Result<Self> {
        let mut segment = Self {
            file,
            sealer,
            len: HEADER as u64,
            capacity,
        };
        segment.capacity = capacity.max(segment.file.metadata()?.len());
        // Space that a file has already is cheaper to write to than space it has to get.
        segment.file.set_len(segment.capacity)?;
        segment.file.seek(SeekFrom::Start(0))?;
        segment.file.write_all(&sealer.header(previous_len))?;
        segment.write(first)?;
        segment.file.sync_all()?;
        Ok(segment)
    }

    /// Goes on with a segment that was read.
    pub(super) fn resume(file: File, sealer: Sealer, len: u64) -> io::Result<Self> {
        let capacity = file.metadata()?.len();
        Ok(Self {
            file,
            sealer,
            len,
            capacity,
        })
    }

    /// Bytes that a segment needs for a batch of so many bytes of records.
    pub(super) fn room_for(records: usize) -> u64 {
        (HEADER + BATCH_HEAD + records + ALIGN) as u64
    }

    /// Whether the batch fits.
    pub(super) fn has_room(&self, records: usize) -> bool {
        let batch = (BATCH_HEAD + records).next_multiple_of(ALIGN) as u64;
        self.len + batch <= self.capacity
    }

    /// Writes a batch; durable after [`Self::sync`].
    pub(super) fn write(&mut self, records: &[u8]) -> io::Result<()> {
        let batch = self.sealer.batch(self.len, records)?;
        self.file.seek(SeekFrom::Start(self.len))?;
        self.file.write_all(&batch)?;
        self.len += batch.len() as u64;
        Ok(())
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Writes the bytes of the last batch anew, so that they are durable whatever
    /// became of the sync before.
    pub(super) fn rewrite(&mut self, last: &[u8]) -> io::Result<()> {
        let from = self.len.saturating_sub(last.len() as u64);
        self.file.seek(SeekFrom::Start(from))?;
        self.file.write_all(last)?;
        self.file.sync_all()
    }
}

/// What a segment holds.
#[derive(Debug)]
pub(super) struct Contents {
    /// The length of the segment before it when that was full.
    pub(super) previous_len: u64,
    /// The records of each batch.
    pub(super) batches: Vec<Vec<Vec<u8>>>,
    /// Where the last whole batch ends.
    pub(super) len: u64,
    /// The last batch as it stands in the file.
    pub(super) last: Vec<u8>,
    /// Whether something follows that is no whole batch.
    pub(super) torn: bool,
}

/// Why a segment cannot be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// The device said no.
    Io(io::Error),
    /// It does not hold what was durable once.
    Damaged { at: u64, why: &'static str },
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a segment.
pub(super) fn read(file: &mut File, sealer: Sealer) -> Result<Contents, Unreadable> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let damaged = |at: usize, why| Unreadable::Damaged { at: at as u64, why };
    let previous_len = bytes
        .get(16..24)
        .and_then(|field| field.first_chunk())
        .map_or(0, |field| u64::from_le_bytes(*field));
    if !bytes.starts_with(&sealer.header(previous_len)) {
        return Err(damaged(0, "this is not the header of this log's segment"));
    }
    let mut batches = Vec::new();
    let (mut at, mut last) = (HEADER, 0..0);
    while let Some((records, place)) = whole_batch(&bytes, at, sealer) {
        let records = split(records).ok_or_else(|| damaged(at, "a batch holds no records"))?;
        batches.push(records);
        at = place.end;
        last = place;
    }
    // A later batch was begun after all before it were durable.
    let mut places = (at + ALIGN..bytes.len()).step_by(ALIGN);
    if places.any(|place| sealer.batch_at(&bytes, place).is_some()) {
        return Err(damaged(at, "what was durable here is no more"));
    }
    Ok(Contents {
        previous_len,
        batches,
        len: at as u64,
        last: bytes.get(last).unwrap_or_default().to_vec(),
        torn: sealer.batch_at(&bytes, at).is_some(),
    })
}

/// The records of the batch that begins at `at` and its place, if it is whole.
fn whole_batch(bytes: &[u8], at: usize, sealer: Sealer) -> Option<(&[u8], Range<usize>)> {
    let len = sealer.batch_at(bytes, at)?;
    let begin = at.checked_add(BATCH_HEAD)?;
    let end = begin.checked_add(len)?;
    let records = bytes.get(begin..end)?;
    let seal = bytes.get(at + ALIGN..begin)?;
    let place = u64::try_from(at).ok()?;
    (seal == sealer.records_seal(place, records))
        .then_some((records, at..end.next_multiple_of(ALIGN)))
}
