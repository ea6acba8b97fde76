//! Any bytes over any link: refused or believed, never a stop.

use bezant_bft::{
    codec,
    crypto::SigningKey,
    effects::{Durability, Effect, Effects},
    ids::{Clock, ClusterId, Epoch, Instant, OrderedTime, ReplicaId, Source},
    keyring::Keyring,
    limits,
    message::PeerMessage,
    misbehaviour::Offence,
    replica::{Replica, Tuning},
    verification::{Batch, Unverified},
};
use proptest::{collection::vec, prelude::*};

use crate::{common, generate::peer_message};

fn replica() -> Replica {
    let keys: Vec<_> = (1..=4).map(|i| SigningKey::from_seed([i; 32])).collect();
    let public = keys.iter().map(SigningKey::public).collect();
    let keyring = Keyring::new(ClusterId([7; 32]), Epoch(0), public).unwrap();
    Replica::new(
        ReplicaId(1),
        keys[1].clone(),
        keyring,
        4,
        Tuning::default(),
        Durability::Immediate,
    )
    .unwrap()
}

/// A frame takes the whole way in. Returns what was said about its sender.
fn hear(replica: &mut Replica, from: u8, bytes: &[u8]) -> Effects {
    let mut out = Effects::new();
    let keyring = replica.keyring().clone();
    let mut batch = Batch::new(&keyring);
    let unverified = Unverified::from_replica(ReplicaId(from), bytes).and_then(|unverified| {
        let _screened = replica.wants(&unverified);
        batch.add(unverified, |digest| replica.known_request(digest))
    });
    out.extend(unverified.err().map(Effect::Blame));
    let clock = Clock {
        monotonic: Instant(1),
        wall: OrderedTime(1),
    };
    for checked in batch.check(&mut bezant_bft::crypto::Checker::new()) {
        match checked {
            Ok(input) => out.extend(common::turn(replica, clock, [input], |_| true, None)),
            Err(misbehaviour) => out.push(Effect::Blame(misbehaviour)),
        }
    }
    out
}

fn halts(effects: &[Effect]) -> bool {
    effects
        .iter()
        .any(|effect| matches!(effect, Effect::Halt(_)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_stop_nobody(from: u8, bytes in vec(any::<u8>(), 0..400)) {
        let out = hear(&mut replica(), from, &bytes);
        prop_assert!(!halts(&out));
    }

    /// Past the decoder: fields at their extremes, signed by nobody. Commits and reports
    /// are believed on the link's word, so these reach the state machine.
    #[test]
    fn arbitrary_messages_stop_nobody(
        messages in vec((0_u8..5, peer_message(), any::<bool>()), 1..12)
    ) {
        let mut replica = replica();
        for (from, mut message, own) in messages {
            if own {
                // As far in as it gets: its own link, this epoch and this view.
                disguise(from, &mut message);
            }
            let out = hear(&mut replica, from, &codec::encode(&message));
            prop_assert!(!halts(&out), "{message:?}");
            prop_assert!(
                !out.iter().any(|effect| matches!(effect, Effect::Execute { .. })),
                "decided without a quorum: {message:?}"
            );
        }
    }
}

/// Makes a message pass the checks of form, as if `from` had meant it.
fn disguise(from: u8, message: &mut PeerMessage) {
    match message {
        PeerMessage::Prepare(vote) | PeerMessage::Commit(vote) => {
            vote.body.replica = ReplicaId(from);
            vote.body.epoch = Epoch(0);
            vote.body.view.0 = 0;
            vote.body.incarnation.0 = 0;
        }
        PeerMessage::Checkpoint(vote) => {
            vote.body.replica = ReplicaId(from);
            vote.body.epoch = Epoch(0);
            vote.body.incarnation.0 = 0;
        }
        PeerMessage::Status(status) => status.epoch = Epoch(0),
        _ => {}
    }
}

#[test]
fn a_frame_that_is_too_large_is_not_decoded() {
    for bytes in [
        limits::MAX_PEER_MESSAGE_BYTES,
        limits::MAX_PEER_MESSAGE_BYTES + 1,
    ] {
        let refused = Unverified::from_replica(ReplicaId(2), &vec![0; bytes]).unwrap_err();
        assert_eq!(refused.who, Source::Replica(ReplicaId(2)));
        let oversized = refused.what == Offence::Oversized { bytes };
        assert_eq!(oversized, bytes > limits::MAX_PEER_MESSAGE_BYTES);
    }
}

/// The kinds of peer messages that nobody but a replica may send cannot come from a client:
/// its admission takes a request and nothing else.
#[test]
fn a_client_is_heard_with_requests_only() {
    let key = SigningKey::from_seed([9; 32]);
    let request = bezant_bft::message::Request {
        client: key.client(),
        session: bezant_bft::ids::SessionId(1),
        number: bezant_bft::ids::RequestNumber(1),
        acked: Vec::new(),
        op: bytes::Bytes::from_static(b"op"),
    };
    let signed = request.sign(&ClusterId([7; 32]), &key);
    let unverified = Unverified::from_client(key.client(), signed.clone());
    assert_eq!(unverified.source(), Source::Client(key.client()));
    assert_eq!(unverified.peek(), &PeerMessage::Forward(signed));
}
