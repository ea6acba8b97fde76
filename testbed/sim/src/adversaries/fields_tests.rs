//! That no field of a message is left out.

use std::collections::BTreeSet;

use bezant_bft::{
    codec,
    crypto::Signature,
    ids::{
        ClientId, Digest, Epoch, Incarnation, IncarnationNonce, OrderedTime, ReplicaId,
        RequestNumber, SeqNo, SessionId, View,
    },
    message::{
        AskProposals, AskState, CheckpointVote, Content, Decided, NewView, PeerMessage, PrePrepare,
        PreparedCertificate, Proposal, Rejoin, Request, Signed, SignedRequest, StatePart, Status,
        ViewChange, Vote,
    },
};
use bytes::Bytes;

use super::{Leaf, leaves, lists};

const SIGNATURE: Signature = Signature([9; 64]);

fn vote(seq_no: u64) -> Signed<Vote> {
    Signed {
        body: Vote {
            epoch: Epoch(1),
            replica: ReplicaId(2),
            incarnation: Incarnation(3),
            view: View(4),
            seq_no: SeqNo(seq_no),
            digest: Digest([5; 32]),
        },
        signature: SIGNATURE,
    }
}

fn checkpoint() -> Signed<CheckpointVote> {
    Signed {
        body: CheckpointVote {
            epoch: Epoch(1),
            replica: ReplicaId(2),
            incarnation: Incarnation(3),
            seq_no: SeqNo(4),
            digest: Digest([5; 32]),
        },
        signature: SIGNATURE,
    }
}

fn request() -> SignedRequest {
    SignedRequest {
        request: Request {
            client: ClientId([1; 32]),
            session: SessionId(2),
            number: RequestNumber(3),
            acked: vec![RequestNumber(1), RequestNumber(2)],
            op: Bytes::from_static(b"op"),
        },
        signature: SIGNATURE,
    }
}

fn rejoin() -> Signed<Rejoin> {
    let body = Rejoin {
        epoch: Epoch(1),
        replica: ReplicaId(2),
        incarnation: Incarnation(3),
        nonce: IncarnationNonce([4; 32]),
    };
    Signed {
        body,
        signature: SIGNATURE,
    }
}

fn proposal() -> Proposal {
    Proposal {
        time: OrderedTime(7),
        requests: vec![request(), request()],
        rejoins: vec![rejoin()],
    }
}

/// One message of each kind, with nothing in it empty.
fn samples() -> Vec<PeerMessage> {
    let number = SeqNo(8);
    let certificate = PreparedCertificate {
        pre_prepare: vote(8),
        prepares: vec![vote(8), vote(8)],
    };
    let view_change = ViewChange {
        epoch: Epoch(1),
        replica: ReplicaId(2),
        incarnation: Incarnation(3),
        view: View(4),
        stable: number,
        checkpoint: vec![checkpoint(); 2],
        prepared: vec![certificate; 2],
    };
    let new_view = NewView {
        epoch: Epoch(1),
        replica: ReplicaId(2),
        incarnation: Incarnation(3),
        view: View(4),
        view_changes: vec![(ReplicaId(1), Digest([6; 32]))],
        stable: SeqNo(5),
        pre_prepares: vec![vote(8), vote(9)],
    };
    vec![
        PeerMessage::PrePrepare(PrePrepare {
            vote: vote(8),
            proposal: proposal(),
        }),
        PeerMessage::Prepare(vote(8)),
        PeerMessage::Commit(vote(8)),
        PeerMessage::Checkpoint(checkpoint()),
        PeerMessage::Forward(request()),
        PeerMessage::Status(Status {
            epoch: Epoch(1),
            view: View(4),
            active: false,
            executed: number,
            wants: true,
        }),
        PeerMessage::ViewChange(Signed {
            body: view_change,
            signature: SIGNATURE,
        }),
        PeerMessage::NewView(Signed {
            body: new_view,
            signature: SIGNATURE,
        }),
        PeerMessage::Decided(Decided {
            seq_no: number,
            proposal: proposal(),
            commits: vec![vote(8); 2],
        }),
        PeerMessage::AskProposals(AskProposals {
            wanted: vec![(number, Digest([6; 32]))],
        }),
        PeerMessage::Content(Content {
            seq_no: number,
            proposal: proposal(),
        }),
        PeerMessage::AskState(AskState {
            seq_no: number,
            offset: 1,
        }),
        PeerMessage::State(StatePart {
            seq_no: number,
            total: 2,
            offset: 0,
            bytes: Bytes::from_static(b"ab"),
        }),
        PeerMessage::Stable(vec![checkpoint(); 3]),
        PeerMessage::Rejoin(rejoin()),
    ]
}

fn change(leaf: Leaf<'_>) {
    match leaf {
        // The same length when encoded, so that bytes can be compared.
        Leaf::Number(seq_no) => *seq_no ^= 0x40,
        Leaf::Replica(replica) => replica.0 ^= 0x80,
        Leaf::Flag(flag) => *flag = !*flag,
        Leaf::Digest(digest) => digest.fill(0xee),
        Leaf::Signature(signature) => signature.0.fill(0xee),
        Leaf::Bytes(bytes) => *bytes = Bytes::from(vec![0xee; bytes.len()]),
    }
}

/// Each field is there once: it changes bytes that no other field changes.
#[test]
fn every_field_of_a_message_is_changed_alone() {
    for message in samples() {
        let plain = codec::encode(&message);
        let fields = leaves(&mut message.clone()).len();
        let mut touched = BTreeSet::new();
        for at in 0..fields {
            let mut other = message.clone();
            change(leaves(&mut other).swap_remove(at));
            let bytes = codec::encode(&other);
            assert_eq!(bytes.len(), plain.len());
            let differs = (0..bytes.len()).filter(|at| bytes[*at] != plain[*at]);
            let differs: Vec<_> = differs.collect();
            assert!(!differs.is_empty(), "{message:?}, field {at}");
            for byte in differs {
                assert!(touched.insert(byte), "{message:?}, field {at}");
            }
        }
        let (vote, checkpoint, request) = (7, 6, 3 + 2 + 2);
        let rejoin = 5;
        let proposal = 1 + 2 * request + rejoin;
        let expected = match &message {
            PeerMessage::PrePrepare(_) => vote + proposal,
            PeerMessage::Prepare(_) | PeerMessage::Commit(_) => vote,
            PeerMessage::Checkpoint(_) => checkpoint,
            PeerMessage::Forward(_) => request,
            PeerMessage::Status(_) => 5,
            PeerMessage::ViewChange(_) => 5 + 2 * checkpoint + 2 * 3 * vote + 1,
            PeerMessage::NewView(_) => 5 + 2 + 2 * vote + 1,
            PeerMessage::Decided(_) => 1 + proposal + 2 * vote,
            PeerMessage::AskProposals(_) | PeerMessage::AskState(_) => 2,
            PeerMessage::Content(_) => 1 + proposal,
            PeerMessage::State(_) => 4,
            PeerMessage::Stable(_) => 3 * checkpoint,
            PeerMessage::Rejoin(_) => rejoin,
            other => panic!("which fields has {other:?}?"),
        };
        assert_eq!(fields, expected, "{message:?}");
    }
}

#[test]
fn lists_lose_and_repeat_elements() {
    for message in samples() {
        let count = lists(&mut message.clone()).len();
        for at in 0..count {
            let before = codec::encode(&message).len();
            let (mut shorter, mut longer) = (message.clone(), message.clone());
            lists(&mut shorter)[at].drop_at(0);
            lists(&mut longer)[at].double_at(0);
            assert!(codec::encode(&shorter).len() < before, "{message:?}");
            assert!(codec::encode(&longer).len() > before, "{message:?}");
        }
    }
}
