//! Tests that synced records come back, that others may be lost, and that nothing else is taken for
//! a record.

use std::fs;

use bezant_bft::{
    crypto::Signature,
    ids::{ClusterId, Digest, Epoch, Incarnation, ReplicaId, View},
    message::{CheckpointVote, NewView, Signed, ViewChange, Vote},
    state::Part,
};
use proptest::prelude::*;

use super::*;

impl Journal {
    /// Everything appended and this state are durable.
    fn save_snapshot(&mut self, seq_no: SeqNo, state: &State) -> Result<(), StorageError> {
        self.sync()?;
        self.snapshot_writer().write(seq_no, state)?;
        self.snapshot_saved(seq_no);
        Ok(())
    }
}

/// Small, so that a few records fill one.
const SMALL: u64 = 4096;

const ME: Identity = Identity {
    cluster: ClusterId([7; 32]),
    replica: ReplicaId(2),
};

/// A state in two parts.
fn state(content: &[u8]) -> State {
    let (left, right) = content.split_at(content.len() / 2);
    State::new([left, right].into_iter().filter_map(Part::new).collect())
}

fn signed<B>(body: B) -> Signed<B> {
    let signature = Signature([3; 64]);
    Signed { body, signature }
}

fn vote(seq_no: u64) -> Signed<Vote> {
    signed(Vote {
        epoch: Epoch(0),
        replica: ReplicaId(2),
        incarnation: Incarnation(0),
        view: View(0),
        seq_no: SeqNo(seq_no),
        digest: Digest([1; 32]),
    })
}

fn prepare(number: u64) -> Record {
    Record::Prepare(vote(number))
}

/// A record of about `votes` times a hundred bytes.
fn commit(number: u64, votes: usize) -> Record {
    Record::Commit {
        vote: vote(number),
        prepares: vec![vote(number); votes],
    }
}

fn stable(seq_no: u64) -> Record {
    Record::Stable(vec![signed(CheckpointVote {
        epoch: Epoch(0),
        replica: ReplicaId(2),
        incarnation: Incarnation(0),
        seq_no: SeqNo(seq_no),
        digest: Digest([1; 32]),
    })])
}

fn left(view: u64) -> Record {
    Record::ViewChange(signed(ViewChange {
        epoch: Epoch(0),
        replica: ReplicaId(2),
        incarnation: Incarnation(0),
        view: View(view),
        stable: SeqNo(0),
        checkpoint: Vec::new(),
        prepared: Vec::new(),
    }))
}

fn entered(view: u64) -> Record {
    Record::NewView(signed(NewView {
        epoch: Epoch(0),
        replica: ReplicaId(2),
        incarnation: Incarnation(0),
        view: View(view),
        view_changes: Vec::new(),
        stable: SeqNo(0),
        pre_prepares: Vec::new(),
    }))
}

fn named(view: u64) -> Record {
    let Record::ViewChange(change) = left(view) else {
        panic!("another record");
    };
    Record::NamedViewChanges(vec![change])
}

fn encoded(records: &[Record]) -> Vec<Vec<u8>> {
    records.iter().map(Record::encode).collect()
}

/// A data folder and the journal in it.
struct Place {
    data: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        Self { data }
    }

    fn open(&self) -> Result<Journal, StorageError> {
        Journal::open_with(self.data.path(), ME, SMALL)
    }

    /// Appends each list with one sync.
    fn write(&self, turns: &[Vec<Record>]) {
        let mut journal = self.open().unwrap();
        turns.iter().for_each(|turn| write(&mut journal, turn));
    }

    fn load(&self) -> Result<Kept, StorageError> {
        Ok(self.open()?.take_kept())
    }

    fn records(&self) -> Vec<Vec<u8>> {
        encoded(&self.load().unwrap().records)
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.data.path().join(JOURNAL_FOLDER).join(name)
    }

    fn logs(&self) -> Vec<String> {
        let names = fs::read_dir(self.data.path().join(JOURNAL_FOLDER)).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut logs: Vec<_> = names.filter(|name| name.starts_with(LOG)).collect();
        logs.sort();
        logs
    }

    /// Changes the bytes of a file.
    fn spoil(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let file = self.file(name);
        let mut bytes = fs::read(&file).unwrap();
        change(&mut bytes);
        fs::write(&file, bytes).unwrap();
    }
}

fn write(journal: &mut Journal, records: &[Record]) {
    for record in records {
        journal.append(record).unwrap();
    }
    journal.sync().unwrap();
}

fn turns(count: u64) -> Vec<Vec<Record>> {
    (1..=count)
        .map(|number| vec![prepare(number), commit(number, 3)])
        .collect()
}

#[test]
fn what_was_synced_comes_back_in_order_over_several_segments() {
    let place = Place::new();
    assert_eq!(place.records().len(), 0);
    let turns = turns(40);
    place.write(&turns);
    assert!(place.logs().len() > 3, "{:?}", place.logs());
    assert_eq!(place.records(), encoded(&turns.concat()));
    // And goes on where it ended.
    place.write(&[vec![prepare(41)]]);
    let all = [turns.concat(), vec![prepare(41)]].concat();
    assert_eq!(place.records(), encoded(&all));
    assert_eq!(place.open().unwrap().len(), all.len());
}

#[test]
fn a_turn_larger_than_a_segment_gets_a_segment_of_its_size() {
    let place = Place::new();
    let turns = [vec![prepare(1)], vec![commit(2, 100)], vec![prepare(3)]];
    place.write(&turns);
    assert_eq!(place.records(), encoded(&turns.concat()));
}

/// The power goes at any byte of a write: what was synced before is there, what was being
/// written is not or is whole, and the journal goes on.
#[test]
fn a_torn_write_is_cut_off_wherever_it_tore() {
    let place = Place::new();
    place.write(&[vec![prepare(1)], vec![prepare(2)]]);
    let name = place.logs().pop().unwrap();
    let before = fs::read(place.file(&name)).unwrap();
    place.write(&[vec![prepare(3), prepare(4)]]);
    let after = fs::read(place.file(&name)).unwrap();
    let written: Vec<_> = (0..after.len())
        .filter(|at| before[*at] != after[*at])
        .collect();
    let (first, last) = (written[0], *written.last().unwrap());
    for torn in first..=last {
        let mut bytes = after.clone();
        bytes[torn..].copy_from_slice(&before[torn..]);
        fs::write(place.file(&name), &bytes).unwrap();
        assert_eq!(
            place.records(),
            encoded(&[prepare(1), prepare(2)]),
            "at {torn}"
        );
        place.write(&[vec![prepare(5)]]);
        let expected = [prepare(1), prepare(2), prepare(5)];
        assert_eq!(place.records(), encoded(&expected), "at {torn}");
    }
    fs::write(place.file(&name), &after).unwrap();
    assert_eq!(place.records().len(), 4);
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, cases: 64, ..ProptestConfig::default()
    })]

    /// A disk writes the sectors of an unfinished write in any order.
    #[test]
    fn a_write_of_which_some_sectors_arrived_is_cut_off(
        votes in 1_usize..25, kept in any::<u64>()
    ) {
        let place = Place::new();
        place.write(&[vec![prepare(1)]]);
        let name = place.logs().pop().unwrap();
        let before = fs::read(place.file(&name)).unwrap();
        place.write(&[vec![commit(2, votes), prepare(2)]]);
        let after = fs::read(place.file(&name)).unwrap();
        let mut bytes = after.clone();
        for (index, at) in (0..bytes.len()).step_by(512).enumerate() {
            if kept >> index & 1 == 0 {
                bytes[at..at + 512].copy_from_slice(&before[at..at + 512]);
            }
        }
        fs::write(place.file(&name), &bytes).unwrap();
        let whole = bytes == after;
        prop_assert_eq!(place.records().len(), if whole { 3 } else { 1 });
        place.write(&[vec![prepare(3)]]);
        prop_assert_eq!(place.records().len(), if whole { 4 } else { 2 });
    }

    /// A bit that fell over anywhere but in the last write is damage, and is named; in the
    /// last write it cannot be told from a write that was never finished.
    #[test]
    fn damage_before_the_last_write_is_an_error(at in any::<usize>(), bit in 0_u32..8) {
        let place = Place::new();
        place.write(&turns(30));
        let logs = place.logs();
        let lens: Vec<_> = logs.iter().map(|name| written(&place, name)).collect();
        let mut at = at % (lens.iter().sum::<usize>() - 600);
        let mut which = 0;
        while at >= lens[which] {
            at -= lens[which];
            which += 1;
        }
        place.spoil(&logs[which], |bytes| bytes[at] ^= 1_u8 << bit);
        let original = encoded(&turns(30).concat());
        match place.load() {
            Err(StorageError::Damaged { .. }) => {}
            // Padding is nobody's.
            Ok(recovered) => prop_assert_eq!(encoded(&recovered.records), original),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}

/// Bytes of a segment up to the last that is not zero.
fn written(place: &Place, name: &str) -> usize {
    let bytes = fs::read(place.file(name)).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1
}

#[test]
fn durable_bytes_that_are_gone_are_damage_and_their_file_is_named() {
    let spoils: [fn(&mut Vec<u8>); 3] = [
        // The second batch; the third follows.
        |bytes| bytes[300..400].fill(0),
        |bytes| bytes[..8].fill(0),
        |bytes| bytes.truncate(200),
    ];
    for (index, spoil) in spoils.into_iter().enumerate() {
        let place = Place::new();
        place.write(&turns(30));
        let name = place.logs()[1].clone();
        place.spoil(&name, spoil);
        let error = place.load().unwrap_err();
        assert!(
            matches!(&error, StorageError::Damaged { file, .. } if file.ends_with(&name)),
            "{index}: {error}"
        );
    }
    let place = Place::new();
    place.write(&turns(30));
    let name = place.logs()[1].clone();
    fs::remove_file(place.file(&name)).unwrap();
    let error = place.load().unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
}

/// Bytes of another folder's journal prove nothing here, whole as they are.
#[test]
fn a_segment_of_another_folder_is_damage() {
    let (place, other) = (Place::new(), Place::new());
    place.write(&turns(5));
    other.write(&turns(5));
    let name = place.logs()[0].clone();
    fs::copy(other.file(&name), place.file(&name)).unwrap();
    let error = place.load().unwrap_err();
    assert!(
        matches!(error, StorageError::Damaged { at: 0, .. }),
        "{error}"
    );
}

#[test]
fn a_whole_record_that_is_none_is_named() {
    let place = Place::new();
    let mut journal = place.open().unwrap();
    add_record(&mut journal.pending.bytes, &[0x7f, 1]).unwrap();
    journal.pending.records = 1;
    journal.sync().unwrap();
    drop(journal);
    let error = place.load().unwrap_err();
    assert!(matches!(error, StorageError::Record { .. }), "{error}");
}

#[test]
fn a_folder_is_one_process_and_one_replicas_own() {
    let place = Place::new();
    let journal = place.open().unwrap();
    let error = place.open().unwrap_err();
    assert!(matches!(error, StorageError::InUse(_)), "{error}");
    drop(journal);
    for other in [
        Identity {
            replica: ReplicaId(1),
            ..ME
        },
        Identity {
            cluster: ClusterId([8; 32]),
            ..ME
        },
    ] {
        let error = Journal::open(place.data.path(), other).unwrap_err();
        assert!(
            matches!(
                &error,
                StorageError::Foreign {
                    replica: ReplicaId(2),
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.to_string().contains(&"07".repeat(32)), "{error}");
    }
    place.open().unwrap();
}

/// What a crash during the very first start left behind is begun anew.
#[test]
fn a_first_start_that_was_cut_short_is_made_again() {
    let place = Place::new();
    fs::create_dir_all(place.data.path().join("journal.new/what")).unwrap();
    place.write(&[vec![prepare(1)]]);
    fs::write(place.file("snapshot-5.new"), "half").unwrap();
    assert_eq!(place.records().len(), 1);
    assert!(!place.file("snapshot-5.new").exists());
}

/// A write or sync that failed is not tried again, though the device might work by then.
#[test]
fn after_a_failure_nothing_is_ever_durable_again() {
    // The first refuses writes, the second takes everything and refuses to sync.
    for device in ["/dev/full", "/dev/null"] {
        let place = Place::new();
        let mut journal = place.open().unwrap();
        let refusing = OpenOptions::new().write(true).open(device).unwrap();
        let good = std::mem::replace(&mut journal.log.active.file, refusing);
        journal.append(&prepare(1)).unwrap();
        let error = journal.sync().unwrap_err();
        assert!(matches!(error, StorageError::Io(_)), "{device}: {error}");
        journal.log.active.file = good;
        let again = journal.append(&prepare(2)).unwrap_err();
        let errors = [
            again,
            journal.sync().unwrap_err(),
            journal.save_snapshot(SeqNo(1), &state(b"")).unwrap_err(),
            journal.truncate(SeqNo(1)).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, StorageError::InDoubt), "{device}: {error}");
        }
    }
}

/// Records go only where a durable snapshot of a checkpoint known to be stable takes
/// their place.
#[test]
fn records_stay_until_a_snapshot_is_durable() {
    let place = Place::new();
    let mut journal = place.open().unwrap();
    turns(40).iter().for_each(|turn| write(&mut journal, turn));
    let all = journal.len();
    journal.truncate(SeqNo(30)).unwrap();
    assert_eq!(journal.len(), all, "no checkpoint at all");
    write(&mut journal, &[stable(32)]);
    journal.truncate(SeqNo(30)).unwrap();
    assert_eq!(journal.len(), all + 1, "no snapshot of it");
    journal.save_snapshot(SeqNo(24), &state(b"other")).unwrap();
    journal.truncate(SeqNo(30)).unwrap();
    assert_eq!(journal.len(), all + 1, "a snapshot of another");
    journal.save_snapshot(SeqNo(32), &state(b"state")).unwrap();
    journal.truncate(SeqNo(30)).unwrap();
    assert!(journal.len() < all / 2, "{}", journal.len());
    drop(journal);
    let recovered = place.load().unwrap();
    assert_eq!(recovered.snapshot, Some((SeqNo(32), state(b"state"))));
    let kept = encoded(&recovered.records);
    let expected: Vec<_> = encoded(&[&turns(40).concat()[60..], &[stable(32)]].concat());
    assert!(kept.ends_with(&expected), "all above 30 are there");
}

/// Whatever is asked for, what follows the snapshot stays, and so does what was not asked for.
#[test]
fn no_more_goes_than_is_asked_for_and_than_a_snapshot_covers() {
    for (below, first) in [(8, 9), (1000, 33)] {
        let place = Place::new();
        let mut journal = place.open().unwrap();
        turns(40).iter().for_each(|turn| write(&mut journal, turn));
        write(&mut journal, &[stable(32)]);
        journal.save_snapshot(SeqNo(32), &state(b"state")).unwrap();
        let before = journal.len();
        journal.truncate(SeqNo(below)).unwrap();
        assert!(journal.len() < before);
        drop(journal);
        let kept = place.records();
        for record in turns(40).concat().into_iter().skip(2 * (first - 1)) {
            assert!(kept.contains(&record.encode()), "{below}: {record:?}");
        }
    }
}

/// Which view a replica left and entered last outlives the segment it was written in, and
/// comes back once and in its place: before whatever was said in that view.
#[test]
fn where_a_replica_stands_outlives_its_segment() {
    let place = Place::new();
    let mut journal = place.open().unwrap();
    write(&mut journal, &[prepare(1), left(1), entered(1), left(2)]);
    write(&mut journal, &[entered(2), left(3)]);
    let latest = encoded(&[left(1), entered(1), left(2), entered(2), left(3)]);
    let views = |records: &[Vec<u8>]| -> Vec<Vec<u8>> {
        let views = records.iter().filter(|record| latest.contains(record));
        views.cloned().collect()
    };
    turns(40).iter().for_each(|turn| write(&mut journal, turn));
    drop(journal);
    // Copies in later segments are none while the first is there.
    assert_eq!(views(&place.records()), latest);

    let mut journal = place.open().unwrap();
    write(&mut journal, &[stable(32)]);
    journal.save_snapshot(SeqNo(32), &state(b"state")).unwrap();
    journal.truncate(SeqNo(30)).unwrap();
    drop(journal);
    let records = place.records();
    assert!(!records.contains(&prepare(1).encode()), "the first went");
    assert_eq!(records[..2], encoded(&[entered(2), left(3)]));
    assert_eq!(views(&records).len(), 2);

    // And again, when there are copies alone. A turn that begins a segment is not copied
    // into that segment.
    let mut journal = place.open().unwrap();
    for number in 41..=80 {
        write(&mut journal, &[prepare(number), commit(number, 3)]);
    }
    write(&mut journal, &[entered(3), stable(72), commit(81, 30)]);
    journal.save_snapshot(SeqNo(72), &state(b"state")).unwrap();
    journal.truncate(SeqNo(71)).unwrap();
    drop(journal);
    let records = place.records();
    let times = |record: Record| {
        let bytes = record.encode();
        records.iter().filter(|other| **other == bytes).count()
    };
    assert_eq!((times(left(3)), times(entered(3))), (1, 1));
    assert_eq!(records[..2], encoded(&[entered(2), left(3)]));
}

/// What led a replica into its view outlives its segment as well, and stays behind it.
#[test]
fn what_led_into_a_view_outlives_its_segment() {
    let place = Place::new();
    let mut journal = place.open().unwrap();
    write(&mut journal, &[prepare(1), entered(1), named(1)]);
    write(&mut journal, &[entered(2), named(2), left(3)]);
    turns(40).iter().for_each(|turn| write(&mut journal, turn));
    write(&mut journal, &[stable(32)]);
    journal.save_snapshot(SeqNo(32), &state(b"state")).unwrap();
    journal.truncate(SeqNo(30)).unwrap();
    drop(journal);
    let records = place.records();
    assert!(!records.contains(&prepare(1).encode()), "the first went");
    assert_eq!(records[..3], encoded(&[entered(2), named(2), left(3)]));
    assert!(!records.contains(&named(1).encode()));
}

/// Without the snapshot that older records were dropped for, a replica would start from
/// nothing and contradict itself.
#[test]
fn a_snapshot_that_is_missing_or_changed_is_an_error() {
    for spoiled in [false, true] {
        let place = Place::new();
        let mut journal = place.open().unwrap();
        turns(40).iter().for_each(|turn| write(&mut journal, turn));
        write(&mut journal, &[stable(32)]);
        journal.save_snapshot(SeqNo(32), &state(b"state")).unwrap();
        journal.truncate(SeqNo(30)).unwrap();
        drop(journal);
        let name = snapshot::name(SeqNo(32));
        if spoiled {
            place.spoil(&name, |bytes| *bytes.last_mut().unwrap() ^= 1);
        } else {
            fs::remove_file(place.file(&name)).unwrap();
        }
        let error = place.load().unwrap_err();
        assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
    }
}

/// Record and snapshot of a checkpoint become durable one after the other: until both are,
/// the checkpoint before is the one to start from.
#[test]
fn the_newest_checkpoint_with_record_and_snapshot_is_where_to_start() {
    let place = Place::new();
    let mut journal = place.open().unwrap();
    write(
        &mut journal,
        &[prepare(1), stable(8), prepare(9), stable(16)],
    );
    journal.save_snapshot(SeqNo(8), &state(b"eight")).unwrap();
    drop(journal);
    let recovered = place.load().unwrap();
    assert_eq!(recovered.snapshot, Some((SeqNo(8), state(b"eight"))));
    let expected = [prepare(1), stable(8), prepare(9)];
    assert_eq!(encoded(&recovered.records), encoded(&expected));

    let mut journal = place.open().unwrap();
    journal
        .save_snapshot(SeqNo(24), &state(b"a record of this one never came"))
        .unwrap();
    journal.truncate(SeqNo(0)).unwrap();
    drop(journal);
    let recovered = place.load().unwrap();
    assert_eq!(recovered.snapshot, Some((SeqNo(8), state(b"eight"))));

    let mut journal = place.open().unwrap();
    write(&mut journal, &[stable(24)]);
    journal.truncate(SeqNo(0)).unwrap();
    drop(journal);
    assert_eq!(place.load().unwrap().snapshot.unwrap().0, SeqNo(24));
    assert!(
        !place.file(&snapshot::name(SeqNo(8))).exists(),
        "the older one went"
    );
}

/// What was voted on may be proven stable to others: the state is there for them, unless
/// it was damaged, which keeps nobody from starting or from writing it again.
#[test]
fn states_that_are_not_known_to_be_stable_come_back_too() {
    let place = Place::new();
    let mut journal = place.open().unwrap();
    journal.save_snapshot(SeqNo(8), &state(b"eight")).unwrap();
    drop(journal);
    let recovered = place.load().unwrap();
    assert_eq!(recovered.snapshot, None, "nobody says that it is stable");
    assert_eq!(recovered.later, [(SeqNo(8), state(b"eight"))]);

    let mut journal = place.open().unwrap();
    write(&mut journal, &[stable(8)]);
    journal
        .save_snapshot(SeqNo(16), &state(b"sixteen"))
        .unwrap();
    journal.save_snapshot(SeqNo(24), &state(b"spoilt")).unwrap();
    journal.truncate(SeqNo(0)).unwrap();
    drop(journal);
    fs::write(place.file(&snapshot::name(SeqNo(24))), "half").unwrap();
    let recovered = place.load().unwrap();
    assert_eq!(recovered.snapshot, Some((SeqNo(8), state(b"eight"))));
    assert_eq!(recovered.later, [(SeqNo(16), state(b"sixteen"))]);

    let mut journal = place.open().unwrap();
    journal.save_snapshot(SeqNo(24), &state(b"again")).unwrap();
    drop(journal);
    let later = place.load().unwrap().later;
    assert_eq!(later.last(), Some(&(SeqNo(24), state(b"again"))));
}

/// A machine may have spoilt the state it wrote before it knew what others have. Once it got
/// there again, what it has then is what counts.
#[test]
fn a_state_that_is_reached_again_takes_the_place_of_the_earlier_one() {
    let place = Place::new();
    let mut journal = place.open().unwrap();
    journal.save_snapshot(SeqNo(8), &state(b"spoilt")).unwrap();
    drop(journal);
    let mut journal = place.open().unwrap();
    journal.save_snapshot(SeqNo(8), &state(b"eight")).unwrap();
    write(&mut journal, &[stable(8)]);
    drop(journal);
    let recovered = place.load().unwrap();
    assert_eq!(recovered.snapshot, Some((SeqNo(8), state(b"eight"))));
}

/// What takes the place of old records is durable before they go.
#[test]
fn a_truncation_makes_durable_what_was_appended_before() {
    let place = Place::new();
    let mut journal = place.open().unwrap();
    journal.save_snapshot(SeqNo(8), &state(b"eight")).unwrap();
    journal.append(&stable(8)).unwrap();
    journal.truncate(SeqNo(8)).unwrap();
    drop(journal);
    assert_eq!(place.load().unwrap().snapshot.unwrap().0, SeqNo(8));
}

/// However long a replica runs, its folder stays small, and files are used again.
#[test]
fn a_long_run_stays_small_and_comes_back() {
    let place = Place::new();
    let mut journal = place.open().unwrap();
    for seq_no in 1..=400 {
        write(&mut journal, &[prepare(seq_no), commit(seq_no, 3)]);
        if seq_no % 8 == 0 {
            journal.append(&stable(seq_no)).unwrap();
            journal
                .save_snapshot(SeqNo(seq_no), &state(&seq_no.to_le_bytes()))
                .unwrap();
            journal.truncate(SeqNo(seq_no.saturating_sub(16))).unwrap();
        }
        assert!(place.logs().len() < 7, "{:?}", place.logs());
    }
    drop(journal);
    let recovered = place.load().unwrap();
    assert_eq!(recovered.snapshot.unwrap().0, SeqNo(400));
    let last: Vec<_> = encoded(&[prepare(400), commit(400, 3), stable(400)]);
    assert!(encoded(&recovered.records).ends_with(&last));
    // A segment in a file that was used before ends where its own batches end.
    for turn in turns(12) {
        place.write(&[turn]);
        place.load().unwrap();
    }
}
