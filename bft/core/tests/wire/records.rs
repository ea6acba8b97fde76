//! What a replica writes down it reads back as it was, or not at all.

use bezant_bft::{
    codec::{DecodeError, encode},
    effects::Record,
    ids::IncarnationNonce,
    message::{CheckpointVote, NewView, PrePrepare, Signed, ViewChange, Vote, proposal_digest},
    record::{Lifetime, RecordError, RecordKind},
};
use proptest::{collection::vec, prelude::*};
use serde::Serialize;

use crate::generate::{checkpoint, new_view, nonce, pre_prepare, signed, view_change, vote};

/// Records as plain messages; the order of the variants is the format of journals.
#[derive(Clone, Debug, PartialEq, Serialize)]
enum Plain {
    PrePrepare(PrePrepare),
    Prepare(Signed<Vote>),
    Commit {
        vote: Signed<Vote>,
        prepares: Vec<Signed<Vote>>,
    },
    Stable(Vec<Signed<CheckpointVote>>),
    ViewChange(Signed<ViewChange>),
    NewView(Signed<NewView>),
    IncarnationNonce(IncarnationNonce),
    NamedViewChanges(Vec<Signed<ViewChange>>),
}

/// What the record holds, taken out of it again.
fn plain(record: &Record) -> Plain {
    match record {
        Record::PrePrepare(message) => {
            let bezant_bft::message::PeerMessage::PrePrepare(message) = message.to_message() else {
                panic!("another message");
            };
            Plain::PrePrepare(message)
        }
        Record::Prepare(vote) => Plain::Prepare(*vote),
        Record::Commit { vote, prepares } => Plain::Commit {
            vote: *vote,
            prepares: prepares.clone(),
        },
        Record::Stable(votes) => Plain::Stable(votes.clone()),
        Record::ViewChange(signed) => Plain::ViewChange(signed.clone()),
        Record::NewView(signed) => Plain::NewView(signed.clone()),
        Record::IncarnationNonce(nonce) => Plain::IncarnationNonce(*nonce),
        Record::NamedViewChanges(changes) => Plain::NamedViewChanges(changes.clone()),
    }
}

/// A pre-prepare whose vote names its proposal.
fn honest() -> impl Strategy<Value = PrePrepare> {
    pre_prepare().prop_map(|mut message| {
        let requests = message.proposal.requests.iter();
        let digests = requests.map(|signed| signed.request.digest());
        message.vote.body.digest =
            proposal_digest(message.proposal.time, digests, &message.proposal.rejoins);
        message
    })
}

fn record() -> impl Strategy<Value = Plain> {
    let commit = (signed(vote()), vec(signed(vote()), 0..4))
        .prop_map(|(vote, prepares)| Plain::Commit { vote, prepares });
    prop_oneof![
        honest().prop_map(Plain::PrePrepare),
        signed(vote()).prop_map(Plain::Prepare),
        commit,
        vec(signed(checkpoint()), 0..4).prop_map(Plain::Stable),
        signed(view_change()).prop_map(Plain::ViewChange),
        signed(new_view()).prop_map(Plain::NewView),
        nonce().prop_map(Plain::IncarnationNonce),
        vec(signed(view_change()), 0..4).prop_map(Plain::NamedViewChanges),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_round_trip(written in record(), cut: usize, more: u8) {
        let bytes = encode(&written);
        let read = Record::decode(&bytes).unwrap();
        prop_assert_eq!(plain(&read), written);
        prop_assert_eq!(read.encode(), bytes.clone());
        prop_assert!(Record::decode(&bytes[..cut % bytes.len()]).is_err());
        let longer = [&bytes[..], &[more]].concat();
        let error = Record::decode(&longer).unwrap_err();
        prop_assert_eq!(error, RecordError::Undecodable(DecodeError::NotCanonical));
    }

    /// A byte that changed on the disk makes another record or none, and never a proposal
    /// that its vote does not name.
    #[test]
    fn mutated_records_are_refused_or_others(written in record(), at: usize, flip in 1_u8..) {
        let mut bytes = encode(&written);
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(read) = Record::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
            prop_assert!(plain(&read) != written);
            if let Record::PrePrepare(message) = &read {
                prop_assert_eq!(message.vote.body.digest, message.proposal.digest());
            }
        }
    }

    /// A proposal other than the one voted for is named by its number.
    #[test]
    fn a_proposal_that_was_not_voted_for_is_no_record(message in honest(), at in 0_usize..32) {
        let mut other = message;
        other.vote.body.digest.0[at] ^= 1;
        let seq_no = other.vote.body.seq_no;
        let error = Record::decode(&encode(&Plain::PrePrepare(other))).unwrap_err();
        prop_assert_eq!(error, RecordError::DigestMismatch { seq_no });
    }

    /// Votes are garbage with their number; so is the news of a stable checkpoint. What says
    /// where the replica stands is needed until the next of its kind.
    #[test]
    fn a_record_lives_as_long_as_its_number(written in record()) {
        let lifetime = match &written {
            Plain::PrePrepare(message) => Lifetime::Number(message.vote.body.seq_no),
            Plain::Prepare(vote) | Plain::Commit { vote, .. } => Lifetime::Number(vote.body.seq_no),
            Plain::Stable(votes) => {
                let seq_no = votes.first().map(|vote| vote.body.seq_no);
                Lifetime::Number(seq_no.unwrap_or_default())
            }
            Plain::ViewChange(_) => Lifetime::Latest(RecordKind::Left),
            Plain::NewView(_) => Lifetime::Latest(RecordKind::Entered),
            Plain::IncarnationNonce(_) => Lifetime::Latest(RecordKind::Alive),
            Plain::NamedViewChanges(_) => Lifetime::Latest(RecordKind::Named),
        };
        let read = Record::decode(&encode(&written)).unwrap();
        prop_assert_eq!(read.lifetime(), lifetime);
    }
}

/// The tags of records are what journals on disks are written in.
#[test]
fn a_tag_that_is_none_is_refused() {
    for tag in [8, 0x7f] {
        let error = Record::decode(&[tag, 0, 0, 0]).unwrap_err();
        assert_eq!(error, RecordError::Undecodable(DecodeError::Malformed));
    }
    assert!(Record::decode(&[]).is_err());
}
