//! Requests on their way into a proposal: believed only with a signature, forwarded,
//! forwarded again, bounded, and never left behind.

use bezant_bft::{
    codec,
    crypto::Domain,
    effects::{Effect, To},
    ids::{Epoch, ReplicaId, SeqNo, Source, View},
    limits,
    message::{PeerMessage, Request, SignedRequest, Status},
    misbehaviour::{Misbehaviour, Offence},
    replica::Tuning,
};
use bytes::Bytes;

use crate::common::{
    Cluster, client, digest_of,
    single::{Single, prepares, sent},
    world::World,
};

fn request(number: u64) -> SignedRequest {
    Cluster::new(4).request(&client(1), number, b"op")
}

/// Requests forwarded to the primary.
fn forwards(effects: &[Effect]) -> Vec<&SignedRequest> {
    let forwards = effects.iter().filter_map(|effect| match effect {
        Effect::Send {
            to,
            message: PeerMessage::Forward(request),
            after: None,
        } => {
            assert_eq!(*to, To::Replica(ReplicaId(0)));
            Some(request)
        }
        _ => None,
    });
    forwards.collect()
}

#[test]
fn a_backup_forwards_a_clients_request_and_again_when_nothing_is_proposed() {
    let mut single = Single::new(1);
    let request = request(1);
    assert_eq!(forwards(&single.ask(&request)), [&request]);
    let view_change_timeout = Tuning::default().forward_after_us;
    assert!(single.tick(view_change_timeout - 1).is_empty());
    assert_eq!(forwards(&single.tick(1)), [&request]);
    assert!(
        single.tick(view_change_timeout).is_empty(),
        "then ever slower"
    );
    assert_eq!(forwards(&single.tick(view_change_timeout)), [&request]);
    // What another backup passed on is known now, and not passed on in a circle.
    let other = PeerMessage::Forward(Cluster::new(4).request(&client(1), 2, b"op"));
    assert!(single.hear(2, &other).is_empty());
    assert_eq!(single.replica.pooled(), 2);
}

/// A replica that left alone, and is primary of the view it left, passes requests on to where
/// more than f others say they are, once they do, and does not keep them for itself.
#[test]
fn between_views_requests_go_where_the_others_are() {
    let mut single = Single::new(0);
    let cluster = single.cluster.clone();
    single.hear(1, &cluster.leaves(1, 1, Vec::new()));
    let out = single.hear(2, &cluster.leaves(2, 1, Vec::new()));
    let left = sent(&out).into_iter();
    let left = left.filter(|message| matches!(message, PeerMessage::ViewChange(_)));
    assert_eq!(left.count(), 1, "it joined them");
    let sent_to = |effects: &[Effect]| -> Vec<To> {
        let forwards = effects.iter().filter_map(|effect| match effect {
            Effect::Send {
                to,
                message: PeerMessage::Forward(_),
                ..
            } => Some(*to),
            _ => None,
        });
        forwards.collect()
    };
    assert_eq!(
        sent_to(&single.ask(&request(1))),
        [],
        "nobody else leads yet"
    );
    let there = |view| {
        PeerMessage::Status(Status {
            epoch: Epoch(0),
            view: View(view),
            active: true,
            executed: SeqNo(0),
            wants: false,
        })
    };
    // One of them may lie.
    single.hear(1, &there(5));
    assert_eq!(sent_to(&single.ask(&request(2))), []);
    single.hear(2, &there(2));
    assert_eq!(
        sent_to(&single.ask(&request(3))),
        [To::Replica(ReplicaId(2))]
    );
    let view_change_timeout = Tuning::default().resend_after_us;
    let again = sent_to(&single.tick(view_change_timeout));
    assert_eq!(
        again,
        [To::Replica(ReplicaId(2)); 3],
        "those from before, too"
    );
}

#[test]
fn a_forwarded_request_is_ordered() {
    let mut world = World::new(1, 4, 4, Tuning::default());
    let request = request(1);
    world.request(0, 2, request);
    world.run_until_idle(1_000_000);
    assert!(
        world
            .nodes
            .iter()
            .all(|node| node.log.order.len() == 1 && node.replica.pooled() == 0)
    );
}

/// Under load nothing times out: that the primary proposes what came much later tells.
#[test]
fn a_backup_forwards_a_request_that_was_overtaken() {
    let mut single = Single::new(1);
    let view_change_timeout = Tuning::default().forward_after_us;
    let lost = request(1000);
    single.ask(&lost);
    // Proposals keep coming, of requests that came before and not much later: no reason yet.
    let (first, second) = (single.cluster.proposal(1), single.cluster.proposal(2));
    single.now_us += view_change_timeout - 1;
    single.ask(&first.requests[0]);
    let out = single.hear(0, &single.cluster.pre_prepare(1, first));
    assert!(forwards(&out).is_empty());
    single.now_us += limits::REVIEW_INTERVAL_US;
    single.ask(&second.requests[0]);
    let out = single.hear(0, &single.cluster.pre_prepare(2, second));
    assert_eq!(forwards(&out), [&lost]);
    let third = single.cluster.proposal(3);
    single.now_us += limits::REVIEW_INTERVAL_US;
    single.ask(&third.requests[0]);
    let out = single.hear(0, &single.cluster.pre_prepare(3, third));
    assert!(forwards(&out).is_empty(), "once");
}

/// A client that asks again says that something was lost; while no proposal holds its
/// request, the loss may have been the forward.
#[test]
fn a_request_asked_for_again_is_forwarded_again_until_it_is_proposed() {
    let mut single = Single::new(1);
    let proposal = single.cluster.proposal(1);
    let request = &proposal.requests[0];
    for _ in 0..3 {
        assert_eq!(forwards(&single.ask(request)).len(), 1);
    }
    assert_eq!(single.replica.pooled(), 1);
    single.hear(0, &single.cluster.pre_prepare(1, proposal.clone()));
    assert!(single.ask(request).is_empty());
}

/// Nobody asks again, the forward was lost, and the primary is correct: it gets the
/// request before anybody suspects it.
#[test]
fn a_lost_forward_is_repeated() {
    let mut world = World::new(1, 4, 4, Tuning::default());
    world.swallow = Some(|message| matches!(message, PeerMessage::Forward(_)));
    for number in 1..=40 {
        world.request(0, 2, request(number));
    }
    world.run_for(100_000);
    world.swallow = None;
    world.run_until_idle(5_000_000);
    assert!(
        world.nodes.iter().all(|node| node.log.order.len() == 40),
        "{}",
        world.stand()
    );
    assert!(world.nodes.iter().all(|node| node.suspected.is_empty()));
}

fn forged() -> Vec<SignedRequest> {
    let (cluster, good) = (Cluster::new(4), request(1));
    let other_client = Request {
        client: client(2).client(),
        ..good.request.clone()
    };
    let other_cluster = good
        .request
        .clone()
        .sign(&bezant_bft::ids::ClusterId([8; 32]), &client(1));
    let digest = good.request.digest();
    let other_domain = client(1).sign(Domain::Reply, &cluster.id, &digest.0);
    let mut flipped = good.clone();
    flipped.signature.0[40] ^= 1;
    vec![
        flipped,
        SignedRequest {
            request: other_client,
            ..good.clone()
        },
        other_cluster,
        SignedRequest {
            signature: other_domain,
            ..good.clone()
        },
        SignedRequest {
            request: Request {
                op: Bytes::from_static(b"oq"),
                ..good.request
            },
            ..good
        },
    ]
}

/// From a client or from a backup: it reaches no pool, no timer, no proposal, and the one
/// who sent it is blamed.
#[test]
fn a_request_with_a_bad_signature_leaves_no_trace() {
    for bad in forged() {
        for me in [0, 1] {
            let mut single = Single::new(me);
            let out = single.ask(&bad);
            let who = Source::Client(bad.request.client);
            let [
                Effect::Blame(Misbehaviour {
                    who: blamed,
                    what: Offence::BadSignature,
                    ..
                }),
            ] = &out[..]
            else {
                panic!("{out:?}")
            };
            assert_eq!(*blamed, who);
            let out = single.hear(2, &PeerMessage::Forward(bad.clone()));
            let [Effect::Blame(Misbehaviour { who: blamed, .. })] = &out[..] else {
                panic!("{out:?}")
            };
            assert_eq!(
                *blamed,
                Source::Replica(ReplicaId(2)),
                "a correct backup checks first"
            );
            assert_eq!(single.replica.pooled(), 0);
            assert!(single.replica.is_quiet());
            assert!(single.tick(60_000_000).is_empty());
        }
    }
}

#[test]
fn a_request_that_is_too_large_leaves_no_trace() {
    let mut single = Single::new(1);
    let op = vec![0; limits::MAX_OP_BYTES + 1];
    let large = single.cluster.request(&client(1), 1, &op);
    let out = single.ask(&large);
    let offence = Offence::Oversized { bytes: op.len() };
    assert!(matches!(&out[..], [Effect::Blame(blame)] if blame.what == offence));
    assert_eq!(single.replica.pooled(), 0);
    let fits = single.cluster.request(&client(1), 1, &op[1..]);
    single.ask(&fits);
    assert_eq!(single.replica.pooled(), 1);
    assert!(codec::encode(&fits).len() <= limits::MAX_CLIENT_MESSAGE_BYTES);
}

/// A client that floods fills its own share; others get in.
#[test]
fn a_clients_share_of_the_pool_is_bounded() {
    let mut single = Single::new(1);
    let share = limits::MAX_POOL_REQUESTS_PER_CLIENT;
    for number in 1..=share as u64 + 10 {
        let request = single.cluster.request(&client(1), number, b"flood");
        let out = single.ask(&request);
        assert_eq!(sent(&out).len(), usize::from(number <= share as u64));
        let known = single.replica.known_request(&request.request.digest());
        assert_eq!(known.is_some(), number <= share as u64);
    }
    assert_eq!(single.replica.pooled(), share);
    let other = single.cluster.request(&client(2), 1, b"op");
    assert_eq!(sent(&single.ask(&other)).len(), 1);
    assert_eq!(single.replica.pooled(), share + 1);
}

/// An executed request leaves room again, and the pool knows it no more.
#[test]
fn an_executed_request_leaves_the_pool() {
    let mut single = Single::new(1);
    let request = single.cluster.proposal(1).requests[0].clone();
    single.ask(&request);
    assert!(
        single
            .replica
            .known_request(&request.request.digest())
            .is_some()
    );
    single.decide(1);
    single.executed(1, None);
    assert_eq!(single.replica.pooled(), 0);
    assert!(
        single
            .replica
            .known_request(&request.request.digest())
            .is_none()
    );
}

/// A faulty client signs two requests for one place, and tells only some of both. The one
/// that is not executed will never be: nobody may wait for it and suspect the primary.
#[test]
fn all_requests_for_one_place_leave_the_pool_together() {
    let mut single = Single::new(1);
    let request = single.cluster.proposal(1).requests[0].clone();
    single.ask(&request);
    single.ask(&single.cluster.request(&client(1), 1, b"another"));
    assert_eq!(single.replica.pooled(), 2);
    single.decide(1);
    single.executed(1, None);
    assert_eq!(single.replica.pooled(), 0);
}

/// A copy that arrives when its request is decided and not executed is still new to the
/// service. It must not stay: nobody will order it again, and the primary is correct.
#[test]
fn a_copy_between_decision_and_execution_does_not_stay() {
    let mut single = Single::new(1);
    single.decide(1);
    single.ask(&single.cluster.proposal(1).requests[0].clone());
    assert_eq!(single.replica.pooled(), 1);
    single.executed(1, None);
    assert_eq!(single.replica.pooled(), 0);
    assert!(single.replica.is_quiet());
}

/// The primary's own share of that: what it has proposed it does not propose again.
#[test]
fn a_primary_proposes_a_request_once() {
    let mut single = Single::with(
        4,
        0,
        4,
        Tuning {
            gather: 1,
            ..Tuning::default()
        },
    );
    let request = request(1);
    let out: Vec<_> = (0..5).flat_map(|_| single.ask(&request)).collect();
    let again = PeerMessage::Forward(request);
    let out: Vec<_> = out.into_iter().chain(single.hear(2, &again)).collect();
    let proposals = sent(&out)
        .into_iter()
        .filter(|m| matches!(m, PeerMessage::PrePrepare(_)));
    assert_eq!(proposals.count(), 1);
}

/// Requests in an accepted proposal are not forwarded by timers, and are gone with it.
#[test]
fn a_request_that_somebody_proposed_is_not_forwarded_by_a_timer() {
    let mut single = Single::new(1);
    let proposal = single.cluster.proposal(1);
    single.ask(&proposal.requests[0]);
    let digest = digest_of(&proposal);
    assert_eq!(
        prepares(&single.hear(0, &single.cluster.pre_prepare(1, proposal))),
        1
    );
    let out = single.tick(Tuning::default().resend_after_us);
    assert!(forwards(&out).is_empty() && !sent(&out).is_empty());
    assert_eq!(
        single
            .replica
            .slot(SeqNo(1))
            .unwrap()
            .proposal()
            .unwrap()
            .digest(),
        digest
    );
}
