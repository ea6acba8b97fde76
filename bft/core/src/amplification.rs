//! Amplification: what a message brings about that is larger than itself, and what bounds it.
//!
//! Whoever adds a message says here what it may cost, or the crate does not compile. The table in
//! docs/wire-format.md is made of this; a test compares them. The bounds themselves are kept
//! where messages are handled: budgets by [`crate::replica`] and by the driver for the links of
//! clients.

use crate::{
    limits,
    message::{ClientMessage, PeerMessage},
};

/// What bounds how much a message brings about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Nothing follows but steps of this replica, or a question of a few bytes.
    Small,
    /// This replica votes once for each view and sequence number, whoever says it how often.
    OncePerPlace,
    /// This replica leaves for a view once, and only when more than f others did.
    OncePerView,
    /// A request is proposed once, within its client's share of the pool.
    PoolShare,
    /// The same is passed on once in the time after which what lacks is asked for again.
    ResendTime,
    /// The budget of the peer: [`limits::ANSWER_BYTES_PER_SECOND`].
    PeerBudget,
    /// The budget of the client's link, in the driver.
    LinkBudget,
}

/// What one message brings about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amplification {
    /// Most bytes that leave because of one such message, to all receivers together.
    pub answer_bytes: usize,
    /// What bounds how often.
    pub bound: Bound,
}

const fn brings(answer_bytes: usize, bound: Bound) -> Amplification {
    Amplification {
        answer_bytes,
        bound,
    }
}

/// Most receivers of what one replica says.
const OTHERS: usize = limits::MAX_REPLICAS - 1;

/// A vote to all others.
const VOTE: usize = OTHERS * (limits::MAX_VOTE_BYTES + 1);

/// Numbers between the watermarks.
#[expect(clippy::cast_possible_truncation, reason = "a small number")]
const WINDOW: usize = (limits::MAX_CHECKPOINT_INTERVAL * limits::WATERMARK_INTERVALS) as usize;

/// A question or report of a few bytes to all others.
const QUESTION: usize = OTHERS * 64;

impl PeerMessage {
    /// What this message may bring about.
    #[must_use]
    pub const fn amplification(&self) -> Amplification {
        match self {
            // A prepare and a commit.
            Self::PrePrepare(_) | Self::Content(_) => brings(2 * VOTE, Bound::OncePerPlace),
            Self::Prepare(_) => brings(VOTE, Bound::OncePerPlace),
            Self::Commit(_) | Self::Checkpoint(_) | Self::Decided(_) => {
                brings(QUESTION, Bound::Small)
            }
            Self::State(_) | Self::Stable(_) => brings(64, Bound::Small),
            // Itself, in a proposal.
            Self::Forward(_) => brings(OTHERS * 256, Bound::PoolShare),
            // The burst, and the one message that overdraws it.
            Self::Status(_) => brings(
                limits::ANSWER_BURST_BYTES + limits::MAX_PEER_MESSAGE_BYTES,
                Bound::PeerBudget,
            ),
            Self::AskProposals(_) => {
                brings(limits::MAX_CONTENT_ANSWER_BYTES + 1024, Bound::PeerBudget)
            }
            Self::AskState(_) => brings(limits::STATE_PART_BYTES + 64, Bound::PeerBudget),
            Self::ViewChange(_) => {
                brings(OTHERS * limits::MAX_PEER_MESSAGE_BYTES, Bound::OncePerView)
            }
            Self::NewView(_) => brings(2 * WINDOW * VOTE, Bound::OncePerPlace),
            Self::Rejoin(_) => brings(256, Bound::ResendTime),
        }
    }
}

impl ClientMessage {
    /// What this message may bring about, beside the proposal that a new request comes into.
    #[must_use]
    pub const fn amplification(&self) -> Amplification {
        match self {
            Self::Request(_) | Self::AskSigned { .. } => {
                brings(limits::MAX_REPLICA_MESSAGE_BYTES, Bound::LinkBudget)
            }
            Self::Attach(_) => brings(0, Bound::Small),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde::Serialize;

    use super::*;
    use crate::{
        codec,
        crypto::Signature,
        ids::{
            ClientId, Digest, Epoch, Incarnation, IncarnationNonce, OrderedTime, ReplicaId,
            RequestNumber, SeqNo, SessionId, View,
        },
        message::{
            AskProposals, AskState, Attach, CheckpointVote, Content, Decided, NewView, PrePrepare,
            Proposal, Rejoin, Request, Signed, SignedRequest, StatePart, Status, ViewChange, Vote,
        },
    };

    fn signed<B>(body: B) -> Signed<B> {
        let signature = Signature([0; 64]);
        Signed { body, signature }
    }

    fn vote() -> Signed<Vote> {
        signed(Vote {
            epoch: Epoch(0),
            replica: ReplicaId(0),
            incarnation: Incarnation(0),
            view: View(0),
            seq_no: SeqNo(0),
            digest: Digest([0; 32]),
        })
    }

    fn checkpoint() -> Signed<CheckpointVote> {
        signed(CheckpointVote {
            epoch: Epoch(0),
            replica: ReplicaId(0),
            incarnation: Incarnation(0),
            seq_no: SeqNo(0),
            digest: Digest([0; 32]),
        })
    }

    fn request() -> SignedRequest {
        let request = Request {
            client: ClientId([0; 32]),
            session: SessionId(0),
            number: RequestNumber(0),
            acked: Vec::new(),
            op: Bytes::new(),
        };
        SignedRequest {
            request,
            signature: Signature([0; 64]),
        }
    }

    /// The shortest message of every kind, in the order of the wire.
    fn shortest() -> Vec<PeerMessage> {
        let proposal = || Proposal {
            time: OrderedTime(0),
            requests: Vec::new(),
            rejoins: Vec::new(),
        };
        let (epoch, replica, incarnation) = (Epoch(0), ReplicaId(0), Incarnation(0));
        let (seq_no, view) = (SeqNo(0), View(0));
        vec![
            PeerMessage::PrePrepare(PrePrepare {
                vote: vote(),
                proposal: proposal(),
            }),
            PeerMessage::Prepare(vote()),
            PeerMessage::Commit(vote()),
            PeerMessage::Checkpoint(checkpoint()),
            PeerMessage::Forward(request()),
            PeerMessage::Status(Status {
                epoch,
                view,
                active: true,
                executed: seq_no,
                wants: true,
            }),
            PeerMessage::ViewChange(signed(ViewChange {
                epoch,
                replica,
                incarnation,
                view,
                stable: seq_no,
                checkpoint: Vec::new(),
                prepared: Vec::new(),
            })),
            PeerMessage::NewView(signed(NewView {
                epoch,
                replica,
                incarnation,
                view,
                view_changes: Vec::new(),
                stable: seq_no,
                pre_prepares: Vec::new(),
            })),
            PeerMessage::Decided(Decided {
                seq_no,
                proposal: proposal(),
                commits: Vec::new(),
            }),
            PeerMessage::AskProposals(AskProposals {
                wanted: vec![(seq_no, Digest([0; 32]))],
            }),
            PeerMessage::Content(Content {
                seq_no,
                proposal: proposal(),
            }),
            PeerMessage::AskState(AskState { seq_no, offset: 0 }),
            PeerMessage::State(StatePart {
                seq_no,
                total: 0,
                offset: 0,
                bytes: Bytes::new(),
            }),
            PeerMessage::Stable(vec![checkpoint()]),
            PeerMessage::Rejoin(signed(Rejoin {
                epoch,
                replica,
                incarnation,
                nonce: IncarnationNonce([0; 32]),
            })),
        ]
    }

    fn shortest_of_clients() -> Vec<ClientMessage> {
        vec![
            ClientMessage::Request(request()),
            ClientMessage::AskSigned {
                session: SessionId(0),
                number: RequestNumber(0),
            },
            ClientMessage::Attach(Attach {
                client: ClientId([0; 32]),
                signature: Signature([0; 64]),
            }),
        ]
    }

    const fn words(bound: Bound) -> &'static str {
        match bound {
            Bound::Small => "nothing larger than a question",
            Bound::OncePerPlace => "once for each view and sequence number",
            Bound::OncePerView => "once for each view, when more than f others left for it",
            Bound::PoolShare => {
                "its own bytes once to all others, within its client's share of the pool"
            }
            Bound::ResendTime => "once in the time to resend",
            Bound::PeerBudget => "the peer's budget",
            Bound::LinkBudget => "the link's budget",
        }
    }

    /// A row of the table, the name of the message from how it prints.
    fn row(message: &(impl Serialize + core::fmt::Debug), what: Amplification) -> String {
        let name = format!("{message:?}");
        let name = name.split(['(', ' ']).next().unwrap();
        let (least, most) = (codec::encode(message).len(), what.answer_bytes);
        let factor = most.div_ceil(least);
        let bound = words(what.bound);
        format!("| `{name}` | {least} | {most} | {factor} | {bound} |")
    }

    /// Every message of the wire has its row, in the order of the wire.
    #[test]
    fn the_table_of_amplification_is_the_documented_one() {
        let peers = shortest();
        let tags: Vec<_> = peers.iter().map(|peer| codec::encode(peer)[0]).collect();
        assert_eq!(tags, (0..15).collect::<Vec<_>>(), "a kind has no row");
        let clients = shortest_of_clients();
        let peers = peers.iter().map(|peer| row(peer, peer.amplification()));
        let clients = clients
            .iter()
            .map(|client| row(client, client.amplification()));
        let rows: Vec<_> = peers.chain(clients).collect();
        let documented = include_str!("../../../docs/wire-format.md");
        let missing = rows.iter().filter(|row| !documented.contains(*row));
        let missing: Vec<_> = missing.map(String::as_str).collect();
        assert!(missing.is_empty(), "rows to write:\n{}", missing.join("\n"));
    }

    /// What has no other bound than its peer's budget is bounded by it.
    #[test]
    fn a_budget_covers_the_largest_answer() {
        for message in shortest() {
            let Amplification {
                answer_bytes,
                bound,
            } = message.amplification();
            let most = limits::ANSWER_BURST_BYTES + limits::MAX_PEER_MESSAGE_BYTES;
            assert!(bound != Bound::PeerBudget || answer_bytes <= most);
        }
    }
}
