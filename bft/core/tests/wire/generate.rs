//! Arbitrary messages of every kind, with the numbers that break encodings.

use bezant_bft::{
    crypto::Signature,
    ids::{
        ClientId, Digest, Epoch, Incarnation, IncarnationNonce, OrderedTime, ReplicaId,
        RequestNumber, SeqNo, SessionId, View,
    },
    message::{
        AskProposals, AskState, Attach, CheckpointVote, ClientMessage, Content, Decided, NewView,
        PeerMessage, PrePrepare, PreparedCertificate, Proposal, Rejoin, ReplicaMessage, Reply,
        ReplyClaim, Request, Share, Signed, SignedRequest, StatePart, Status, ViewChange, Vote,
    },
};
use bytes::Bytes;
use proptest::{array::uniform32, collection::vec, prelude::*};

/// Small numbers, the edges of the variable-length encoding, and any.
fn number() -> impl Strategy<Value = u64> {
    let edges = (0_u32..10).prop_flat_map(|bytes| {
        let edge = 1_u64.checked_shl(7 * bytes).unwrap_or(u64::MAX);
        prop_oneof![Just(edge - 1), Just(edge)]
    });
    prop_oneof![0_u64..4, edges, Just(u64::MAX), any::<u64>()]
}

fn digest() -> impl Strategy<Value = Digest> {
    uniform32(any::<u8>()).prop_map(Digest)
}

fn client() -> impl Strategy<Value = ClientId> {
    uniform32(any::<u8>()).prop_map(ClientId)
}

fn signature() -> impl Strategy<Value = Signature> {
    vec(any::<u8>(), 64).prop_map(|bytes| Signature(bytes.try_into().unwrap()))
}

fn bytes(most: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..most).prop_map(Bytes::from)
}

pub(crate) fn signed<B: std::fmt::Debug + Clone>(
    body: impl Strategy<Value = B>,
) -> impl Strategy<Value = Signed<B>> {
    (body, signature()).prop_map(|(body, signature)| Signed { body, signature })
}

pub(crate) fn vote() -> impl Strategy<Value = Vote> {
    (
        number(),
        any::<u8>(),
        number(),
        number(),
        number(),
        digest(),
    )
        .prop_map(|(epoch, replica, incarnation, view, seq_no, digest)| Vote {
            epoch: Epoch(epoch),
            replica: ReplicaId(replica),
            incarnation: Incarnation(incarnation),
            view: View(view),
            seq_no: SeqNo(seq_no),
            digest,
        })
}

pub(crate) fn checkpoint() -> impl Strategy<Value = CheckpointVote> {
    (number(), any::<u8>(), number(), number(), digest()).prop_map(
        |(epoch, replica, incarnation, seq_no, digest)| CheckpointVote {
            epoch: Epoch(epoch),
            replica: ReplicaId(replica),
            incarnation: Incarnation(incarnation),
            seq_no: SeqNo(seq_no),
            digest,
        },
    )
}

fn request() -> impl Strategy<Value = SignedRequest> {
    let acked = vec(number().prop_map(RequestNumber), 0..4);
    (client(), number(), number(), acked, bytes(40), signature()).prop_map(
        |(client, session, number, acked, op, signature)| SignedRequest {
            request: Request {
                client,
                session: SessionId(session),
                number: RequestNumber(number),
                acked,
                op,
            },
            signature,
        },
    )
}

pub(crate) fn pre_prepare() -> impl Strategy<Value = PrePrepare> {
    let content = (vec(request(), 0..4), vec(signed(rejoin()), 0..2));
    (signed(vote()), number(), content).prop_map(|(vote, time, (requests, rejoins))| PrePrepare {
        vote,
        proposal: Proposal {
            time: OrderedTime(time),
            requests,
            rejoins,
        },
    })
}

pub(crate) fn nonce() -> impl Strategy<Value = IncarnationNonce> {
    any::<[u8; 32]>().prop_map(IncarnationNonce)
}

pub(crate) fn rejoin() -> impl Strategy<Value = Rejoin> {
    (number(), any::<u8>(), number(), nonce()).prop_map(|(epoch, replica, incarnation, nonce)| {
        Rejoin {
            epoch: Epoch(epoch),
            replica: ReplicaId(replica),
            incarnation: Incarnation(incarnation),
            nonce,
        }
    })
}

fn status() -> impl Strategy<Value = Status> {
    let flags = (any::<bool>(), any::<bool>());
    (number(), number(), number(), flags).prop_map(|(epoch, view, executed, (active, wants))| {
        Status {
            epoch: Epoch(epoch),
            view: View(view),
            active,
            executed: SeqNo(executed),
            wants,
        }
    })
}

fn reply() -> impl Strategy<Value = Reply> {
    (number(), number(), number(), bytes(40)).prop_map(|(session, number, seq_no, result)| Reply {
        session: SessionId(session),
        number: RequestNumber(number),
        seq_no: SeqNo(seq_no),
        result,
    })
}

fn claim() -> impl Strategy<Value = ReplyClaim> {
    (number(), any::<u8>(), number(), client(), reply()).prop_map(
        |(epoch, replica, incarnation, client, reply)| ReplyClaim {
            epoch: Epoch(epoch),
            replica: ReplicaId(replica),
            incarnation: Incarnation(incarnation),
            client,
            reply,
        },
    )
}

fn certificate() -> impl Strategy<Value = PreparedCertificate> {
    (signed(vote()), vec(signed(vote()), 0..4)).prop_map(|(pre_prepare, prepares)| {
        PreparedCertificate {
            pre_prepare,
            prepares,
        }
    })
}

pub(crate) fn view_change() -> impl Strategy<Value = ViewChange> {
    let head = (number(), any::<u8>(), number(), number(), number());
    let proofs = (vec(signed(checkpoint()), 0..4), vec(certificate(), 0..3));
    (head, proofs).prop_map(
        |((epoch, replica, incarnation, view, stable), (checkpoint, prepared))| ViewChange {
            epoch: Epoch(epoch),
            replica: ReplicaId(replica),
            incarnation: Incarnation(incarnation),
            view: View(view),
            stable: SeqNo(stable),
            checkpoint,
            prepared,
        },
    )
}

pub(crate) fn new_view() -> impl Strategy<Value = NewView> {
    let named = vec((any::<u8>().prop_map(ReplicaId), digest()), 0..4);
    let head = (number(), any::<u8>(), number(), number(), number());
    (head, named, vec(signed(vote()), 0..4)).prop_map(
        |((epoch, replica, incarnation, view, stable), view_changes, pre_prepares)| NewView {
            epoch: Epoch(epoch),
            replica: ReplicaId(replica),
            incarnation: Incarnation(incarnation),
            view: View(view),
            view_changes,
            stable: SeqNo(stable),
            pre_prepares,
        },
    )
}

/// What leads those along who were away.
fn help() -> impl Strategy<Value = PeerMessage> {
    let proposal = || pre_prepare().prop_map(|message| message.proposal);
    let decided = (number(), proposal(), vec(signed(vote()), 0..4));
    let wanted = vec((number().prop_map(SeqNo), digest()), 0..4);
    let part = (number(), number(), number(), bytes(40));
    prop_oneof![
        decided.prop_map(|(seq_no, proposal, commits)| PeerMessage::Decided(Decided {
            seq_no: SeqNo(seq_no),
            proposal,
            commits,
        })),
        wanted.prop_map(|wanted| PeerMessage::AskProposals(AskProposals { wanted })),
        (number(), proposal()).prop_map(|(seq_no, proposal)| PeerMessage::Content(Content {
            seq_no: SeqNo(seq_no),
            proposal,
        })),
        (number(), number()).prop_map(|(seq_no, offset)| PeerMessage::AskState(AskState {
            seq_no: SeqNo(seq_no),
            offset,
        })),
        part.prop_map(
            |(seq_no, total, offset, bytes)| PeerMessage::State(StatePart {
                seq_no: SeqNo(seq_no),
                total,
                offset,
                bytes,
            })
        ),
    ]
}

pub(crate) fn peer_message() -> impl Strategy<Value = PeerMessage> {
    prop_oneof![
        signed(view_change()).prop_map(PeerMessage::ViewChange),
        signed(new_view()).prop_map(PeerMessage::NewView),
        help(),
        pre_prepare().prop_map(PeerMessage::PrePrepare),
        signed(vote()).prop_map(PeerMessage::Prepare),
        signed(vote()).prop_map(PeerMessage::Commit),
        signed(checkpoint()).prop_map(PeerMessage::Checkpoint),
        vec(signed(checkpoint()), 0..4).prop_map(PeerMessage::Stable),
        request().prop_map(PeerMessage::Forward),
        status().prop_map(PeerMessage::Status),
        signed(rejoin()).prop_map(PeerMessage::Rejoin),
    ]
}

pub(crate) fn client_message() -> impl Strategy<Value = ClientMessage> {
    let ask = (number(), number()).prop_map(|(session, number)| ClientMessage::AskSigned {
        session: SessionId(session),
        number: RequestNumber(number),
    });
    let attach = (client(), signature())
        .prop_map(|(client, signature)| ClientMessage::Attach(Attach { client, signature }));
    prop_oneof![request().prop_map(ClientMessage::Request), ask, attach]
}

pub(crate) fn replica_message() -> impl Strategy<Value = ReplicaMessage> {
    let answer = (number(), reply()).prop_map(|(view, reply)| ReplicaMessage::Reply {
        view: View(view),
        reply,
    });
    let share = prop_oneof![Just(Share::All), Just(Share::Client)];
    let busy =
        (number(), number(), share).prop_map(|(session, number, share)| ReplicaMessage::Busy {
            session: SessionId(session),
            number: RequestNumber(number),
            share,
        });
    prop_oneof![
        answer,
        signed(claim()).prop_map(ReplicaMessage::SignedReply),
        busy
    ]
}
