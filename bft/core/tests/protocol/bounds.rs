//! What one peer can make a replica keep, in bytes; and that whatever follows from a message that
//! may be sent may be sent itself.

use bezant_bft::{
    codec,
    crypto::{Domain, Signature},
    effects::Effect,
    ids::{
        ClientId, Digest, Epoch, Incarnation, IncarnationNonce, OrderedTime, ReplicaId,
        RequestNumber, SeqNo, SessionId, View,
    },
    limits,
    message::{
        AskProposals, CheckpointVote, Content, Decided, NewView, PeerMessage, PrePrepare,
        PreparedCertificate, Proposal, Rejoin, Request, Signed, SignedRequest, StatePart,
        ViewChange, Vote,
    },
    misbehaviour::Offence,
    quorum::Quorum,
    replica::Tuning,
};
use bytes::Bytes;

use crate::common::{
    Cluster, DAWN_MS, client, digest_of,
    single::{Single, blames, executes, prepares, sent},
    views::{pending_view, vote_in},
};

const MIB: usize = 1024 * 1024;

/// A replica of four with the widest window, driven by hand.
fn wide(me: u8) -> Single {
    Single::with(4, me, limits::MAX_CHECKPOINT_INTERVAL, Tuning::default())
}

/// A proposal of operations of `bytes` in all, each within its bound.
fn large(cluster: &Cluster, tag: u64, bytes: usize) -> Proposal {
    let op = vec![7; limits::MAX_OP_BYTES];
    let mut requests = Vec::new();
    let mut left = bytes;
    while left > 0 {
        let now = left.min(limits::MAX_OP_BYTES);
        let number = tag * 1000 + requests.len() as u64;
        requests.push(cluster.request(&client(1), number, &op[..now]));
        left -= now;
    }
    Proposal {
        time: OrderedTime(DAWN_MS),
        requests,
        rejoins: Vec::new(),
    }
}

/// The largest proposal that may be sent, or one byte more.
fn at_the_bound(cluster: &Cluster, tag: u64, beyond: usize) -> Proposal {
    let empty = large(cluster, tag, limits::MAX_PROPOSAL_BYTES).cost_bytes();
    let envelopes = empty - limits::MAX_PROPOSAL_BYTES;
    let proposal = large(
        cluster,
        tag,
        limits::MAX_PROPOSAL_BYTES - envelopes + beyond,
    );
    assert_eq!(proposal.cost_bytes(), limits::MAX_PROPOSAL_BYTES + beyond);
    proposal
}

#[test]
fn a_proposal_larger_than_it_may_be_is_refused_and_its_author_convicted() {
    let mut single = Single::new(1);
    let cluster = single.cluster.clone();
    for bytes in [MIB, 3 * MIB + MIB / 2] {
        let message = cluster.pre_prepare(1, large(&cluster, 1, bytes));
        let out = single.hear(0, &message);
        assert_eq!(prepares(&out), 0, "{bytes}");
        let [Effect::Blame(blame)] = &out[..] else {
            panic!("{out:?}")
        };
        assert!(matches!(blame.what, Offence::Oversized { .. }), "{blame}");
        let proof = blame.proof.as_ref().unwrap();
        let accusation = proof.verify(&cluster.keyring);
        assert!(accusation.is_ok(), "{accusation:?}");
    }
    let out = single.hear(0, &cluster.pre_prepare(1, at_the_bound(&cluster, 1, 1)));
    assert_eq!(prepares(&out), 0);
    let out = single.hear(0, &cluster.pre_prepare(1, at_the_bound(&cluster, 1, 0)));
    assert_eq!((prepares(&out), blames(&out)), (1, vec![]));
}

/// Nobody signed the message that brings a proposal along: whoever sent it is to blame, and is
/// not convicted.
#[test]
fn a_proposal_larger_than_it_may_be_is_refused_however_it_comes() {
    let mut single = Single::new(1);
    let cluster = single.cluster.clone();
    let proposal = large(&cluster, 1, MIB);
    let digest = digest_of(&proposal);
    let votes = [0, 2, 3].map(|by| cluster.sign(by, vote_in(by, 0, 1, digest), Domain::Commit));
    let seq_no = SeqNo(1);
    let messages = [
        PeerMessage::Content(Content {
            seq_no,
            proposal: proposal.clone(),
        }),
        PeerMessage::Decided(Decided {
            seq_no,
            proposal: proposal.clone(),
            commits: Vec::new(),
        }),
        PeerMessage::Decided(Decided {
            seq_no,
            proposal,
            commits: votes.to_vec(),
        }),
    ];
    for message in messages {
        let out = single.hear(2, &message);
        let [Effect::Blame(blame)] = &out[..] else {
            panic!("{out:?}")
        };
        assert!(matches!(blame.what, Offence::Oversized { .. }), "{blame}");
        assert_eq!(blames(&out)[0].0, Some(2));
        assert_eq!(blame.proof, None);
    }
}

/// Requests that fill a proposal to the last byte, and a rejoin request of every other replica.
#[test]
fn a_primary_proposes_no_more_than_it_may_whatever_it_adds() {
    let mut single = Single::with(13, 0, 4, Tuning::default());
    let cluster = single.cluster.clone();
    let first = single.ask(&cluster.request(&client(2), 1, b"op"));
    let [PeerMessage::PrePrepare(first)] = sent(&first)[..] else {
        panic!("{first:?}")
    };
    let digest = first.vote.body.digest;
    let filler = at_the_bound(&cluster, 1, 0).requests;
    for request in &filler {
        assert!(sent(&single.ask(request)).is_empty(), "one is under way");
    }
    for by in 1..=12 {
        let body = Rejoin {
            epoch: Epoch(0),
            replica: ReplicaId(by),
            incarnation: Incarnation(1),
            nonce: IncarnationNonce([by; 32]),
        };
        let key = &cluster.keys[usize::from(by)];
        let rejoin = Signed::new(body, Domain::Rejoin, &cluster.id, key);
        single.hear(by, &PeerMessage::Rejoin(rejoin));
    }
    let mut out = Vec::new();
    for by in 1..=12 {
        out.extend(single.hear(by, &cluster.prepare(by, 1, digest)));
        out.extend(single.hear(by, &cluster.commit(by, 1, digest)));
    }
    let proposals = sent(&out).into_iter().filter_map(|message| match message {
        PeerMessage::PrePrepare(message) => Some(message),
        _ => None,
    });
    let [second] = proposals.collect::<Vec<_>>()[..] else {
        panic!("one proposal")
    };
    let rejoins = second.proposal.rejoins.len();
    assert_eq!(rejoins, limits::MAX_REJOINS_PER_PROPOSAL);
    assert_eq!(second.proposal.requests.len(), filler.len() - 1);
    let mut backup = Single::with(13, 1, 4, Tuning::default());
    let out = backup.hear(0, &PeerMessage::PrePrepare(second.clone()));
    assert_eq!((prepares(&out), blames(&out)), (1, vec![]));
}

fn claim(cluster: &Cluster, seq_no: u64, tag: u64) -> PeerMessage {
    PeerMessage::Decided(Decided {
        seq_no: SeqNo(seq_no),
        proposal: at_the_bound(cluster, tag, 0),
        commits: Vec::new(),
    })
}

/// One faulty replica claims decisions that nobody made, for numbers all over the window.
#[test]
fn what_a_peer_claims_is_bounded_in_bytes() {
    let mut single = wide(1);
    let cluster = single.cluster.clone();
    for seq_no in (1..=20).rev().chain(21..=24) {
        let out = single.hear(3, &claim(&cluster, seq_no, seq_no));
        assert_eq!(blames(&out), []);
        let kept = single.replica.memory_of(ReplicaId(3)).claims;
        assert!(kept <= limits::MAX_CLAIM_BYTES_PER_REPLICA, "{kept}");
    }
    let kept = single.replica.memory_of(ReplicaId(3)).claims;
    assert_eq!(kept, limits::MAX_CLAIM_BYTES_PER_REPLICA);
    // The lowest are kept: what others claim alike is executed, one number after the other.
    let (first, second) = (claim(&cluster, 1, 1), claim(&cluster, 2, 2));
    let mut out = single.hear(2, &first);
    out.extend(single.hear(2, &second));
    assert_eq!(executes(&out), [1, 2]);
    let kept = single.replica.memory_of(ReplicaId(3)).claims;
    assert!(kept <= limits::MAX_CLAIM_BYTES_PER_REPLICA - 2 * MIB);
}

/// A claim that is replaced makes room, and a decision that is proven frees all claims.
#[test]
fn claims_are_not_kept_beside_what_is_decided() {
    let mut single = wide(1);
    let cluster = single.cluster.clone();
    for tag in 1..=5 {
        single.hear(3, &claim(&cluster, 1, tag));
    }
    let kept = single.replica.memory_of(ReplicaId(3)).claims;
    assert_eq!(kept, limits::MAX_PROPOSAL_BYTES, "the last claim stands");
    assert_eq!(executes(&single.decide(1)), [1]);
    assert_eq!(single.replica.memory_of(ReplicaId(3)).claims, 0);
}

/// One faulty replica, primary of a view to come, sends the largest proposals of that view.
#[test]
fn what_comes_early_is_bounded_in_bytes() {
    let mut single = wide(1);
    let cluster = single.cluster.clone();
    for seq_no in 1..=20 {
        let message = cluster.pre_prepare_in(3, seq_no, at_the_bound(&cluster, seq_no, 0));
        let out = single.hear(3, &message);
        assert_eq!(blames(&out), []);
        let held = single.replica.memory_of(ReplicaId(3)).early;
        assert!(held <= limits::MAX_EARLY_BYTES_PER_REPLICA, "{held}");
    }
    let held = single.replica.memory_of(ReplicaId(3)).early;
    assert!(held > 2 * MIB, "what comes early is held at all: {held}");
}

/// A faulty replica replays what the primary of a view to come said once, so that its own words
/// find no place when the view opens.
#[test]
fn what_others_replay_takes_no_place_of_its_signer() {
    let mut single = wide(1);
    let cluster = single.cluster.clone();
    let early = |seq_no| cluster.pre_prepare_in(2, seq_no, cluster.proposal(seq_no));
    for seq_no in 1..=limits::MAX_EARLY_PER_REPLICA as u64 {
        let out = single.hear(3, &early(seq_no));
        assert_eq!(blames(&out), []);
    }
    assert_eq!(single.replica.memory_of(ReplicaId(2)).early, 0);
    assert_eq!(single.replica.memory_of(ReplicaId(3)).early, 0);
    single.hear(2, &early(1));
    assert!(single.replica.memory_of(ReplicaId(2)).early > 0);
}

/// The primary of the view proposes the largest proposals at every number but the next one.
#[test]
fn what_a_primary_proposes_ahead_is_bounded_in_bytes() {
    let mut single = wide(1);
    let cluster = single.cluster.clone();
    let most = limits::MAX_UNDELIVERED_BYTES;
    let numbers = 2..=most as u64 / MIB as u64 + 6;
    for seq_no in numbers {
        let message = cluster.pre_prepare(seq_no, at_the_bound(&cluster, seq_no, 0));
        let out = single.hear(0, &message);
        assert_eq!(blames(&out), []);
        let held = single.replica.undelivered_bytes();
        assert!(held <= most, "{held}");
    }
    // The next one is always taken in, and with it there is room again.
    let next = at_the_bound(&cluster, 1, 0);
    let digest = digest_of(&next);
    let out = single.hear(0, &cluster.pre_prepare(1, next));
    assert_eq!(prepares(&out), 1);
    let out: Vec<_> = [0, 2, 3]
        .into_iter()
        .flat_map(|by| {
            let mut out = single.hear(by, &cluster.prepare(by, 1, digest));
            out.extend(single.hear(by, &cluster.commit(by, 1, digest)));
            out
        })
        .collect();
    assert_eq!(executes(&out), [1]);
}

/// Others may prepare and decide far above the window of a replica that lags; its view change
/// names what it may have committed itself, and no more.
#[test]
fn a_view_change_names_what_lies_between_the_watermarks() {
    let mut single = Single::with(4, 1, 1, Tuning::default());
    let cluster = single.cluster.clone();
    for seq_no in 2..=8 {
        let proposal = cluster.proposal(seq_no);
        let digest = digest_of(&proposal);
        single.hear(0, &cluster.pre_prepare(seq_no, proposal));
        for by in [2, 3] {
            single.hear(by, &cluster.prepare(by, seq_no, digest));
        }
    }
    single.ask(&cluster.request(&client(1), 99, b"op"));
    let out = single.tick(1_100_000);
    let changes = pending_view(&out);
    let [change] = changes[..] else {
        panic!("{out:?}")
    };
    let prepared = change.body.prepared.iter();
    let numbers = prepared.map(|certificate| certificate.pre_prepare.body.seq_no.0);
    assert_eq!(numbers.collect::<Vec<_>>(), [2, 3, 4]);
}

/// A faulty replica sends a view change for each of many new views that its accomplices have
/// named it in.
#[test]
fn view_changes_that_are_named_take_few_places() {
    let mut single = Single::with(13, 0, 4, Tuning::default());
    let cluster = single.cluster.clone();
    let named: Vec<_> = (1..=4_u64)
        .map(|view| (view, cluster.leaves(12, view, Vec::new())))
        .collect();
    // The highest first, which nothing of it takes the place of.
    for (view, change) in named.iter().rev() {
        let others = (1..=8).map(|by| cluster.leaves(by, *view, Vec::new()));
        let changes: Vec<_> = others.chain([change.clone()]).collect();
        let names: Vec<_> = changes.iter().collect();
        let body = cluster.new_view(*view, &names, &[]);
        let primary = cluster.primary(*view);
        single.hear(primary, &cluster.sign_new_view(primary, body));
        single.hear(12, change);
        let kept = single.replica.memory_of(ReplicaId(12)).named;
        assert!(kept <= limits::MAX_NAMED_PER_REPLICA, "{kept}");
    }
    assert_eq!(
        single.replica.memory_of(ReplicaId(12)).named,
        limits::MAX_NAMED_PER_REPLICA
    );
}

/// A message of every kind that is as large as it can follow from what may be sent.
fn largest(n: usize, proposal: &Proposal) -> Vec<PeerMessage> {
    let quorum = Quorum::new(n).unwrap();
    let strong = quorum.strong();
    let window = limits::MAX_CHECKPOINT_INTERVAL * limits::WATERMARK_INTERVALS;
    let window = usize::try_from(window).unwrap();
    let (top, digest, signature) = (u64::MAX, Digest([0xff; 32]), Signature([0xff; 64]));
    let (epoch, replica, view) = (Epoch(u64::MAX), ReplicaId(63), View(top));
    let (incarnation, seq_no) = (Incarnation(top), SeqNo(top));
    let body = Vote {
        epoch,
        replica,
        incarnation,
        view,
        seq_no,
        digest,
    };
    let vote = Signed { body, signature };
    let votes = |count| vec![vote; count];
    let body = CheckpointVote {
        epoch,
        replica,
        incarnation,
        seq_no,
        digest,
    };
    let stable = vec![Signed { body, signature }; strong];
    let body = ViewChange {
        epoch,
        replica,
        incarnation,
        view,
        stable: seq_no,
        checkpoint: stable.clone(),
        prepared: (0..window)
            .map(|_| PreparedCertificate {
                pre_prepare: vote,
                prepares: votes(strong - 1),
            })
            .collect(),
    };
    let view_change = Signed { body, signature };
    let body = NewView {
        epoch,
        replica,
        incarnation,
        view,
        view_changes: vec![(replica, digest); strong],
        stable: seq_no,
        pre_prepares: votes(window),
    };
    let new_view = Signed { body, signature };
    let wanted = usize::try_from(limits::MAX_RESENT_NUMBERS).unwrap();
    let proposal = proposal.clone();
    vec![
        PeerMessage::PrePrepare(PrePrepare {
            vote,
            proposal: proposal.clone(),
        }),
        PeerMessage::Decided(Decided {
            seq_no,
            proposal: proposal.clone(),
            commits: votes(strong),
        }),
        PeerMessage::Forward(proposal.requests[0].clone()),
        PeerMessage::Content(Content { seq_no, proposal }),
        PeerMessage::ViewChange(view_change),
        PeerMessage::NewView(new_view),
        PeerMessage::Stable(stable),
        PeerMessage::AskProposals(AskProposals {
            wanted: vec![(seq_no, digest); wanted],
        }),
        PeerMessage::State(StatePart {
            seq_no,
            total: top,
            offset: top,
            bytes: Bytes::from(vec![0xff; limits::STATE_PART_BYTES]),
        }),
    ]
}

/// A proposal at the bound of `count` requests, each with as many acknowledgements as may be, and
/// of all the rejoins there may be.
fn shaped(count: usize, acked: usize) -> Proposal {
    let top = u64::MAX;
    let request = |op: usize| SignedRequest {
        request: Request {
            client: ClientId([0xff; 32]),
            session: SessionId(top),
            number: RequestNumber(top),
            acked: (0..acked as u64)
                .map(|i| RequestNumber(top - 64 + i))
                .collect(),
            op: Bytes::from(vec![0xff; op]),
        },
        signature: Signature([0xff; 64]),
    };
    let rejoin = Signed {
        body: Rejoin {
            epoch: Epoch(top),
            replica: ReplicaId(63),
            incarnation: Incarnation(top),
            nonce: IncarnationNonce([0xff; 32]),
        },
        signature: Signature([0xff; 64]),
    };
    let mut proposal = Proposal {
        time: OrderedTime(top),
        requests: vec![request(0); count],
        rejoins: vec![rejoin; limits::MAX_REJOINS_PER_PROPOSAL],
    };
    let room = limits::MAX_PROPOSAL_BYTES - proposal.cost_bytes();
    let each = (room / count).min(limits::MAX_OP_BYTES);
    proposal.requests = vec![request(each); count];
    assert!(proposal.cost_bytes() <= limits::MAX_PROPOSAL_BYTES);
    proposal
}

/// Every cluster up to the largest, the widest window, proposals of every shape at their bound.
#[test]
fn whatever_follows_from_a_legal_message_may_be_sent() {
    let shapes = [(1, 0), (4, 64), (5, 64), (16, 1), (256, 0), (256, 64)];
    for (count, acked) in shapes {
        let proposal = shaped(count, acked);
        let bytes = codec::encode(&proposal).len();
        assert!(
            bytes <= proposal.cost_bytes(),
            "a charge covers what is sent"
        );
    }
    let sizes = (4..limits::MAX_REPLICAS)
        .step_by(9)
        .chain([58, 61, limits::MAX_REPLICAS]);
    for (n, (count, acked)) in sizes.zip(shapes.into_iter().cycle()) {
        for message in largest(n, &shaped(count, acked)) {
            let bytes = codec::encode(&message).len();
            assert!(
                bytes <= message.cost_bytes(),
                "a charge covers what is sent"
            );
            assert!(
                bytes <= limits::MAX_PEER_MESSAGE_BYTES,
                "n = {n}: {bytes} bytes of {}",
                format!("{message:?}").get(..20).unwrap()
            );
        }
    }
}
