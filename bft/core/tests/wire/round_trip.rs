//! Decoding is the inverse of encoding, and nothing else decodes.

use std::fmt::Debug;

use bezant_bft::{
    codec::{DecodeError, decode, encode},
    message::{ClientMessage, PeerMessage, ReplicaMessage},
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

use crate::generate::{client_message, peer_message, replica_message};

trait Message: Serialize + DeserializeOwned + PartialEq + Debug {}
impl<M: Serialize + DeserializeOwned + PartialEq + Debug> Message for M {}

/// There and back; and no part of the encoding, and nothing more, is a message.
fn round_trip<M: Message>(message: &M, cut: usize, more: u8) {
    let bytes = encode(message);
    assert_eq!(decode::<M>(&bytes).as_ref(), Ok(message));
    let cut = cut % bytes.len();
    assert!(
        decode::<M>(&bytes[..cut]).is_err(),
        "cut at {cut}: {message:?}"
    );
    let longer = [&bytes[..], &[more]].concat();
    assert_eq!(decode::<M>(&longer), Err(DecodeError::NotCanonical));
}

/// Changed bytes are refused, or are the one spelling of another message.
fn mutated<M: Message>(message: &M, changes: &[(usize, u8)], swap: (usize, usize)) {
    let mut bytes = encode(message);
    for (at, flip) in changes {
        let at = at % bytes.len();
        bytes[at] ^= flip;
    }
    let (a, b) = (swap.0 % bytes.len(), swap.1 % bytes.len());
    bytes.swap(a, b);
    if let Ok(other) = decode::<M>(&bytes) {
        let same = bytes == encode(message);
        assert_eq!(encode(&other), bytes, "one spelling each");
        assert_eq!(other == *message, same, "two spellings of {message:?}");
    }
}

fn changes() -> impl Strategy<Value = (Vec<(usize, u8)>, (usize, usize))> {
    let change = (
        any::<usize>(),
        prop_oneof![Just(0x80), Just(1), any::<u8>()],
    );
    (
        proptest::collection::vec(change, 0..4),
        any::<(usize, usize)>(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn peer_messages_round_trip(message in peer_message(), cut: usize, more: u8) {
        round_trip(&message, cut, more);
    }

    #[test]
    fn client_messages_round_trip(message in client_message(), cut: usize, more: u8) {
        round_trip(&message, cut, more);
    }

    #[test]
    fn replica_messages_round_trip(message in replica_message(), cut: usize, more: u8) {
        round_trip(&message, cut, more);
    }

    #[test]
    fn mutated_peer_messages_are_refused_or_others(
        message in peer_message(), (changes, swap) in changes()
    ) {
        mutated(&message, &changes, swap);
    }

    #[test]
    fn mutated_client_messages_are_refused_or_others(
        message in client_message(), (changes, swap) in changes()
    ) {
        mutated(&message, &changes, swap);
    }

    #[test]
    fn mutated_replica_messages_are_refused_or_others(
        message in replica_message(), (changes, swap) in changes()
    ) {
        mutated(&message, &changes, swap);
    }
}

/// A number spelled with more bytes than it needs, wherever one stands, is refused: the
/// same vote in two spellings would have two digests.
#[test]
fn a_longer_spelling_of_a_number_is_refused() {
    // Status { epoch 0, view 0, active, executed 1, wants true }, its tag first.
    let canonical = [5, 0, 0, 1, 1, 1];
    assert!(decode::<PeerMessage>(&canonical).is_ok());
    for at in [0, 1, 2, 4] {
        let mut longer = canonical.to_vec();
        longer[at] |= 0x80;
        longer.insert(at + 1, 0);
        assert_eq!(
            decode::<PeerMessage>(&longer),
            Err(DecodeError::NotCanonical),
            "at {at}"
        );
    }
}

/// Truth has one spelling, tags and lengths have an end.
#[test]
fn values_outside_their_range_are_malformed() {
    for bytes in [
        &[5, 0, 0, 1, 2][..],
        &[6, 0, 0, 1, 1],
        &[
            5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 1, 1,
        ],
        &[],
    ] {
        assert_eq!(
            decode::<PeerMessage>(bytes),
            Err(DecodeError::Malformed),
            "{bytes:?}"
        );
    }
    assert!(decode::<ClientMessage>(&[3]).is_err());
    assert!(decode::<ReplicaMessage>(&[3]).is_err());
}

/// A length that promises more than there is: refused, and not believed by the allocator.
#[test]
fn a_length_beyond_the_input_is_malformed() {
    let mut forward = vec![4];
    forward.extend([0; 32]);
    forward.extend([0, 0]);
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let acked = [&forward[..], &huge].concat();
    let op = [&forward[..], &[0], &huge].concat();
    for bytes in [acked, op] {
        assert_eq!(decode::<PeerMessage>(&bytes), Err(DecodeError::Malformed));
    }
}
