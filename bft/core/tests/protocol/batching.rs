//! The primary's part: at once when idle, gathered when busy, within bounds.

use bezant_bft::{
    codec,
    effects::Effect,
    ids::{ClientId, Digest, RequestNumber, SessionId},
    limits,
    message::{PeerMessage, PrePrepare, Proposal, Request, SignedRequest},
    misbehaviour::Offence,
    replica::Tuning,
};
use bytes::Bytes;

use crate::common::{
    client,
    single::{Single, blames, executes, prepares, sent},
};

fn primary(tuning: Tuning) -> Single {
    Single::with(4, 0, 4, tuning)
}

fn ask(single: &mut Single, client_number: u64, number: u64) -> Vec<Effect> {
    let request = single
        .cluster
        .request(&client(client_number), number, b"op");
    single.ask(&request)
}

/// Pre-prepares sent: number, requests, digest.
fn proposed(effects: &[Effect]) -> Vec<(u64, usize, Digest)> {
    let proposals = sent(effects)
        .into_iter()
        .filter_map(|message| match message {
            PeerMessage::PrePrepare(PrePrepare { vote, proposal }) => Some((
                vote.body.seq_no.0,
                proposal.requests.len(),
                vote.body.digest,
            )),
            _ => None,
        });
    proposals.collect()
}

/// The backups vote until `number` is decided.
fn backups_decide(single: &mut Single, number: u64, digest: Digest) -> Vec<Effect> {
    let mut out = Vec::new();
    for by in [1, 2] {
        let prepare = single.cluster.prepare(by, number, digest);
        out.extend(single.hear(by, &prepare));
    }
    for by in [1, 2] {
        let commit = single.cluster.commit(by, number, digest);
        out.extend(single.hear(by, &commit));
    }
    out
}

#[test]
fn an_idle_primary_proposes_at_once() {
    let mut single = primary(Tuning::default());
    let out = ask(&mut single, 1, 1);
    let [(1, 1, _)] = proposed(&out)[..] else {
        panic!("{out:?}")
    };
}

#[test]
fn a_busy_primary_gathers_and_proposes_the_rest_when_it_is_idle_again() {
    let mut single = primary(Tuning {
        gather: 3,
        ..Tuning::default()
    });
    let first = proposed(&ask(&mut single, 1, 1))[0];
    assert!(proposed(&ask(&mut single, 1, 2)).is_empty());
    assert!(proposed(&ask(&mut single, 1, 3)).is_empty());
    let out = ask(&mut single, 1, 4);
    let [(2, 3, second)] = proposed(&out)[..] else {
        panic!("{out:?}")
    };
    assert!(proposed(&ask(&mut single, 1, 5)).is_empty());
    // One of two in flight is decided: still busy.
    let out = backups_decide(&mut single, 1, first.2);
    assert_eq!((executes(&out), proposed(&out)), (vec![1], vec![]));
    let out = backups_decide(&mut single, 2, second);
    let [(3, 1, _)] = proposed(&out)[..] else {
        panic!("{out:?}")
    };
}

#[test]
fn several_numbers_are_in_flight_and_no_more_than_tuned() {
    let mut single = primary(Tuning {
        gather: 1,
        max_in_flight: 3,
        ..Tuning::default()
    });
    let out: Vec<_> = (1..=5)
        .flat_map(|number| ask(&mut single, 1, number))
        .collect();
    let flights = proposed(&out);
    assert_eq!(flights.iter().map(|p| p.0).collect::<Vec<_>>(), [1, 2, 3]);
    // They may be decided in any order, and are executed in one.
    assert!(executes(&backups_decide(&mut single, 2, flights[1].2)).is_empty());
    let out = backups_decide(&mut single, 1, flights[0].2);
    assert_eq!(executes(&out), [1, 2]);
    assert_eq!(
        proposed(&out)
            .iter()
            .map(|p| (p.0, p.1))
            .collect::<Vec<_>>(),
        [(4, 2)]
    );
}

#[test]
fn a_primary_stops_at_its_high_watermark() {
    let tuning = Tuning {
        gather: 1,
        max_in_flight: 1000,
        ..Tuning::default()
    };
    let mut single = Single::with(4, 0, 2, tuning);
    let out: Vec<_> = (1..=20)
        .flat_map(|number| ask(&mut single, 1, number))
        .collect();
    let window = 2 * limits::WATERMARK_INTERVALS;
    assert_eq!(proposed(&out).len() as u64, window);
}

#[test]
fn a_proposal_holds_no_more_requests_than_allowed() {
    let mut single = primary(Tuning {
        gather: usize::MAX,
        ..Tuning::default()
    });
    let first = proposed(&ask(&mut single, 0, 1))[0];
    for number in 0..300 {
        assert!(proposed(&ask(&mut single, 1 + number % 2, number)).is_empty());
    }
    let out = backups_decide(&mut single, 1, first.2);
    let [(2, limits::MAX_REQUESTS_PER_PROPOSAL, second)] = proposed(&out)[..] else {
        panic!("{:?}", proposed(&out))
    };
    let out = backups_decide(&mut single, 2, second);
    let [(3, 44, _)] = proposed(&out)[..] else {
        panic!("{:?}", proposed(&out))
    };
}

/// The largest proposal a primary may be made to build by clients who choose everything
/// they may choose: every backup must still take it.
fn full_proposal(requests: impl Iterator<Item = SignedRequest>) -> PrePrepare {
    let mut single = primary(Tuning {
        gather: usize::MAX,
        ..Tuning::default()
    });
    let first = proposed(&ask(&mut single, 0, 1))[0];
    requests.for_each(|request| assert!(blames(&single.ask(&request)).is_empty()));
    let out = backups_decide(&mut single, 1, first.2);
    let messages = sent(&out).into_iter().filter_map(|message| match message {
        PeerMessage::PrePrepare(message) => Some(message.clone()),
        _ => None,
    });
    let [ref message] = messages.collect::<Vec<_>>()[..] else {
        panic!("one proposal")
    };
    let mut backup = Single::new(1);
    let out = backup.hear(0, &PeerMessage::PrePrepare(message.clone()));
    assert_eq!((blames(&out), prepares(&out)), (vec![], 1));
    message.clone()
}

#[test]
fn large_requests_fill_a_proposal_up_to_its_bound() {
    let cluster = crate::common::Cluster::new(4);
    let op = vec![1; limits::MAX_OP_BYTES];
    let requests = (1..=6).map(|number| cluster.request(&client(1), number, &op));
    let message = full_proposal(requests);
    assert_eq!(message.proposal.requests.len(), 3);
    assert!(codec::encode(&message.proposal).len() <= limits::MAX_PROPOSAL_BYTES);
}

/// Numbers at the top of their range have the longest encoding; the charge must cover it.
#[test]
fn long_acknowledgements_do_not_make_a_proposal_too_large() {
    let cluster = crate::common::Cluster::new(4);
    let top = u64::MAX;
    let requests = (0..256).map(|i| {
        let key = client(i % 2);
        let request = Request {
            client: key.client(),
            session: SessionId(top),
            number: RequestNumber(top - i),
            acked: (0..limits::SESSION_WINDOW)
                .map(|a| RequestNumber(top - 64 + a))
                .collect(),
            op: Bytes::from(vec![0; 3290]),
        };
        request.sign(&cluster.id, &key)
    });
    let message = full_proposal(requests);
    let bytes = codec::encode(&message.proposal).len();
    assert!(bytes <= limits::MAX_PROPOSAL_BYTES, "{bytes}");
    assert!(
        bytes > limits::MAX_PROPOSAL_BYTES * 9 / 10,
        "the case is not the worst: {bytes}"
    );
}

/// What a primary proposes beyond the rules is refused whole, and it is blamed.
#[test]
fn a_proposal_beyond_its_bounds_is_refused() {
    let mut single = Single::new(1);
    let one = single.cluster.proposal(1);
    let many = Proposal {
        requests: vec![one.requests[0].clone(); limits::MAX_REQUESTS_PER_PROPOSAL + 1],
        ..one.clone()
    };
    let key = client(1);
    let of = |request: Request| {
        let signed = request.sign(&single.cluster.id, &key);
        Proposal {
            requests: vec![signed],
            ..one.clone()
        }
    };
    let request = one.requests[0].request.clone();
    let op = Bytes::from(vec![0; limits::MAX_OP_BYTES + 1]);
    let large = of(Request {
        op,
        ..request.clone()
    });
    let acked = [3, 2].map(RequestNumber).to_vec();
    let unsorted = of(Request {
        acked,
        ..request.clone()
    });
    let acked = (1..=limits::SESSION_WINDOW + 1)
        .map(RequestNumber)
        .collect();
    let long = of(Request {
        acked,
        ..request.clone()
    });
    let twice = of(Request {
        acked: vec![RequestNumber(1); 2],
        ..request
    });
    for (proposal, offence) in [
        (
            many,
            Offence::TooManyRequests {
                requests: limits::MAX_REQUESTS_PER_PROPOSAL + 1,
            },
        ),
        (
            large,
            Offence::Oversized {
                bytes: limits::MAX_OP_BYTES + 1,
            },
        ),
        (unsorted, Offence::BadAcknowledgements),
        (long, Offence::BadAcknowledgements),
        (twice, Offence::BadAcknowledgements),
    ] {
        let message = single.cluster.pre_prepare(1, proposal);
        let out = single.hear(0, &message);
        assert_eq!(
            (blames(&out), prepares(&out)),
            (vec![(Some(0), &offence)], 0)
        );
    }
}

/// Charging requests may not depend on who signed them.
#[test]
fn one_request_may_stand_twice_in_a_proposal_and_is_executed_once() {
    use bezant_bft::{ids::SeqNo, service::Service};
    let mut single = Single::new(1);
    let mut proposal = single.cluster.proposal(1);
    proposal.requests.push(proposal.requests[0].clone());
    let digest = crate::common::digest_of(&proposal);
    let mut out = single.hear(0, &single.cluster.pre_prepare(1, proposal));
    for by in [2, 3] {
        let (prepare, commit) = (
            single.cluster.prepare(by, 1, digest),
            single.cluster.commit(by, 1, digest),
        );
        out.extend(single.hear_all([(by, &prepare), (by, &commit)]));
    }
    let decided = out.iter().find_map(|effect| match effect {
        Effect::Execute { proposal, .. } => Some(proposal),
        _ => None,
    });
    let (mut log, mut replies) = (crate::common::service::Log::new(), Vec::new());
    log.execute(SeqNo(1), decided.unwrap(), &mut replies);
    assert_eq!((log.order.len(), replies.len()), (1, 1));
    assert_eq!(replies[0].0, ClientId::from(client(1).public()));
}
