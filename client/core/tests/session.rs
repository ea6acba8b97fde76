//! A session against replicas played by the test: votes, retries, lies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

use std::collections::BTreeSet;

use bezant_bft::{
    crypto::{Domain, PublicKey, SigningKey},
    evidence::ProvableOffence,
    ids::{
        ClusterId, Epoch, Incarnation, Instant, ReplicaId, RequestNumber, SeqNo, SessionId, Source,
        View,
    },
    keyring::Keyring,
    limits::SESSION_WINDOW,
    message::{ClientMessage, ReplicaMessage, Reply, ReplyClaim, Share, Signed, SignedRequest},
};
use bezant_session::{Config, Event, Failure, Session, Submit, Target};
use bytes::Bytes;

const CLUSTER: ClusterId = ClusterId([7; 32]);
const SESSION: SessionId = SessionId(3);
const NONCE: u64 = 99;

struct World {
    keys: Vec<SigningKey>,
    session: Session,
    out: Vec<Event>,
}

fn world(config: Config) -> World {
    let keys: Vec<_> = (1..=4).map(|id| SigningKey::from_seed([id; 32])).collect();
    let public: Vec<PublicKey> = keys.iter().map(SigningKey::public).collect();
    let keyring = Keyring::new(CLUSTER, Epoch::default(), public).unwrap();
    let client = SigningKey::from_seed([9; 32]);
    let mut session = Session::new(client, keyring, config, NONCE);
    let mut out = Vec::new();
    for replica in 0..4 {
        session.on_link(ReplicaId(replica), true, &mut out);
    }
    session.opened(SESSION);
    World { keys, session, out }
}

fn reply(number: u64, result: &'static str) -> Reply {
    Reply {
        session: SESSION,
        number: RequestNumber(number),
        seq_no: SeqNo(number + 10),
        result: Bytes::from_static(result.as_bytes()),
    }
}

impl World {
    fn submit(&mut self, now: u64, deadline: Option<u64>) -> u64 {
        let op = Bytes::from_static(b"op");
        let deadline = deadline.map(Instant);
        self.session
            .submit(Instant(now), op, deadline, &mut self.out)
            .unwrap()
            .0
            .0
    }

    fn says(&mut self, replica: u8, number: u64, result: &'static str) {
        self.says_in(View(0), replica, number, result);
    }

    fn says_in(&mut self, view: View, replica: u8, number: u64, result: &'static str) {
        let message = ReplicaMessage::Reply {
            view,
            reply: reply(number, result),
        };
        self.session
            .on_message(Instant(1), ReplicaId(replica), message, &mut self.out);
    }

    fn signs(&mut self, replica: u8, number: u64, result: &'static str) {
        let claim = ReplyClaim {
            epoch: Epoch::default(),
            replica: ReplicaId(replica),
            incarnation: Incarnation::default(),
            client: SigningKey::from_seed([9; 32]).client(),
            reply: reply(number, result),
        };
        let key = &self.keys[usize::from(replica)];
        let signed = Signed::new(claim, Domain::Reply, &CLUSTER, key);
        let message = ReplicaMessage::SignedReply(signed);
        self.session
            .on_message(Instant(1), ReplicaId(replica), message, &mut self.out);
    }

    fn drain(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.out)
    }

    fn requests(&mut self) -> Vec<(Target, SignedRequest)> {
        self.drain()
            .into_iter()
            .filter_map(|event| match event {
                Event::Send {
                    to,
                    message: ClientMessage::Request(signed),
                } => Some((to, signed)),
                _ => None,
            })
            .collect()
    }

    fn accepted(&mut self) -> Option<(Bytes, usize)> {
        self.drain().into_iter().find_map(|event| match event {
            Event::Completed { accepted, .. } => Some((accepted.reply.result, accepted.votes)),
            _ => None,
        })
    }
}

#[test]
fn one_reply_is_never_enough_and_two_alike_are() {
    let mut world = world(Config::default());
    let number = world.submit(0, None);
    world.says(0, number, "truth");
    world.says(0, number, "truth");
    assert_eq!(world.accepted(), None);
    world.says(3, number, "lie");
    assert_eq!(world.accepted(), None);
    world.says(2, number, "truth");
    assert_eq!(world.accepted(), Some((Bytes::from_static(b"truth"), 2)));
}

#[test]
fn four_different_answers_are_no_quorum() {
    let mut world = world(Config::default());
    let number = world.submit(0, None);
    for (replica, result) in [(0, "a"), (1, "b"), (2, "c"), (3, "d")] {
        world.says(replica, number, result);
    }
    let failure = world.drain().into_iter().find_map(|event| match event {
        Event::Failed { failure, .. } => Some(failure),
        Event::Completed { .. } => panic!("accepted one of four different answers"),
        _ => None,
    });
    assert_eq!(
        failure,
        Some(Failure::NoQuorum {
            answered: 4,
            alike: 1,
            needed: 2
        })
    );
}

#[test]
fn a_deadline_with_one_answer_is_no_quorum_and_with_none_a_timeout() {
    for (answers, expected) in [
        (
            1,
            Failure::NoQuorum {
                answered: 1,
                alike: 1,
                needed: 2,
            },
        ),
        (0, Failure::TimedOut),
    ] {
        let mut world = world(Config::default());
        let number = world.submit(0, Some(100));
        if answers == 1 {
            world.says(1, number, "only me");
        }
        assert_eq!(world.session.next_timeout(), Some(Instant(100)));
        world.session.on_tick(Instant(100), &mut world.out);
        let failed = world.drain().into_iter().find_map(|event| match event {
            Event::Failed { failure, .. } => Some(failure),
            _ => None,
        });
        assert_eq!(failed, Some(expected));
    }
}

fn busy_with(replicas: usize, share: Share) -> Failure {
    Failure::Busy { replicas, share }
}

/// One replica alone may be lying about its load.
#[test]
fn a_service_is_busy_if_more_than_f_replicas_say_so() {
    for (busy, expected) in [
        (&[0][..], Failure::TimedOut),
        (&[0, 0, 9], Failure::TimedOut),
        (&[0, 2], busy_with(2, Share::All)),
        (&[1, 3], busy_with(2, Share::Client)),
        (&[0, 1, 2], busy_with(3, Share::All)),
    ] {
        let mut world = world(Config::default());
        let number = world.submit(0, Some(100));
        for replica in busy {
            let (session, number) = (SESSION, RequestNumber(number));
            // Those with odd numbers say that the client's own share is used up.
            let share = if replica % 2 == 1 {
                Share::Client
            } else {
                Share::All
            };
            let message = ReplicaMessage::Busy {
                session,
                number,
                share,
            };
            let from = ReplicaId(*replica);
            world
                .session
                .on_message(Instant(1), from, message, &mut world.out);
        }
        world.session.on_tick(Instant(100), &mut world.out);
        let failed = world.drain().into_iter().find_map(|event| match event {
            Event::Failed { failure, .. } => Some(failure),
            _ => None,
        });
        assert_eq!(failed, Some(expected));
    }
}

#[test]
fn requests_go_to_the_primary_and_late_ones_to_all_with_growing_pauses() {
    let config = Config {
        retry_us: 100,
        max_retry_us: 400,
        ..Config::default()
    };
    let mut world = world(config);
    world.submit(0, None);
    let first = world.requests();
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].0, Target::Replica(ReplicaId(0)));
    for (now, sent) in [
        (99, 0),
        (100, 1),
        (299, 0),
        (300, 1),
        (699, 0),
        (700, 1),
        (1100, 1),
    ] {
        world.session.on_tick(Instant(now), &mut world.out);
        let retries = world.requests();
        assert_eq!(retries.len(), sent, "at {now}");
        assert!(
            retries
                .iter()
                .all(|(to, signed)| *to == Target::All && *signed == first[0].1)
        );
    }
}

#[test]
fn without_a_link_to_the_primary_requests_go_to_all_and_again_when_a_link_comes_up() {
    let mut world = world(Config::default());
    world.session.on_link(ReplicaId(0), false, &mut world.out);
    world.drain();
    world.submit(0, None);
    assert_eq!(world.requests()[0].0, Target::All);
    world.session.on_link(ReplicaId(0), true, &mut world.out);
    assert_eq!(world.requests()[0].0, Target::Replica(ReplicaId(0)));
}

#[test]
fn the_primary_is_that_of_the_highest_view_f_plus_one_claim() {
    let mut world = world(Config::default());
    for (replica, view) in [(0, 0), (1, 6), (2, 1), (3, 1)] {
        let number = world.submit(0, None);
        let message = ReplicaMessage::Reply {
            view: View(view),
            reply: reply(number, "x"),
        };
        world
            .session
            .on_message(Instant(1), ReplicaId(replica), message, &mut world.out);
    }
    assert_eq!(
        world.session.primary(),
        ReplicaId(1),
        "one claim of view 6, whose primary is another, moves nothing"
    );
}

#[test]
fn results_are_acknowledged_once_with_the_next_request() {
    let mut world = world(Config::default());
    let first = world.submit(0, None);
    let second = world.submit(0, None);
    for replica in 0..2 {
        world.says(replica, second, "x");
    }
    world.drain();
    world.submit(0, None);
    let acked = world.requests()[0].1.request.acked.clone();
    assert_eq!(
        acked,
        [RequestNumber(second)],
        "the first has no answer yet"
    );
    for replica in 0..2 {
        world.says(replica, first, "x");
    }
    world.drain();
    world.submit(0, None);
    assert_eq!(world.requests()[0].1.request.acked, [RequestNumber(first)]);
}

/// Replicas keep a result until it is acknowledged, and no more than a window of them: whatever a
/// session forgets to acknowledge takes a place for good, and once all are taken it stands still.
#[test]
fn a_long_session_acknowledges_every_result_whoever_is_primary() {
    let mut world = world(Config::default());
    let mut kept = BTreeSet::new();
    for round in 0..SESSION_WINDOW {
        let numbers: Vec<u64> = (0..4).map(|_| world.submit(round, None)).collect();
        for (_, signed) in world.requests() {
            for number in signed.request.acked {
                assert!(kept.remove(&number), "{number:?} acknowledged twice");
            }
        }
        assert!(kept.is_empty(), "round {round}: {kept:?} are kept for ever");
        // Every third time the primary changes between the answers, with some pending.
        for (at, number) in (0..).zip(numbers) {
            let view = View(round / 3 + u64::from(round % 3 == 2 && at >= 2));
            for replica in [0, 3] {
                world.says_in(view, replica, number, "x");
            }
            kept.insert(RequestNumber(number));
        }
        let last = View(round / 3 + u64::from(round % 3 == 2));
        assert_eq!(u64::from(world.session.primary().0), last.0 % 4);
    }
}

#[test]
fn the_window_bounds_what_is_open() {
    let mut world = world(Config::default());
    for _ in 0..SESSION_WINDOW {
        world.submit(0, None);
    }
    let op = Bytes::from_static(b"op");
    let refused = world
        .session
        .submit(Instant(0), op.clone(), None, &mut world.out);
    assert_eq!(refused, Err(Submit::WindowFull));
    for replica in 0..2 {
        world.says(replica, 5, "x");
    }
    assert!(
        world
            .session
            .submit(Instant(0), op, None, &mut world.out)
            .is_ok()
    );
}

#[test]
fn a_request_given_up_is_still_sent_so_that_later_ones_have_their_turn() {
    let config = Config {
        retry_us: 50,
        ..Config::default()
    };
    let mut world = world(config);
    let number = world.submit(0, Some(10));
    world.session.on_tick(Instant(10), &mut world.out);
    world.drain();
    world.session.on_tick(Instant(60), &mut world.out);
    assert_eq!(world.requests().len(), 1);
    world.says(0, number, "x");
    world.says(1, number, "x");
    assert!(world.accepted().is_none(), "its caller was told already");
    world.submit(70, None);
    assert_eq!(world.requests()[0].1.request.acked, [RequestNumber(number)]);
}

#[test]
fn a_signed_lie_against_f_plus_one_signed_truths_is_evidence_that_convicts() {
    let mut world = world(Config::default());
    let number = world.submit(0, None);
    world.says(3, number, "lie");
    world.says(0, number, "truth");
    world.says(1, number, "truth");
    let events = world.drain();
    let disagreed = |event: &Event| matches!(event, Event::Disagreed { replica, .. } if *replica == ReplicaId(3));
    assert_eq!(events.iter().filter(|event| disagreed(event)).count(), 1);
    let asked = |event: &Event| {
        matches!(
            event,
            Event::Send {
                to: Target::All,
                message: ClientMessage::AskSigned { .. }
            }
        )
    };
    assert!(events.iter().any(asked));
    // While it is looked into, the replicas must keep the result.
    world.submit(0, None);
    assert!(world.requests()[0].1.request.acked.is_empty());

    world.signs(3, number, "lie");
    world.signs(0, number, "truth");
    assert!(
        !world
            .drain()
            .iter()
            .any(|event| matches!(event, Event::Proven(_)))
    );
    world.signs(1, number, "truth");
    let evidence = world.drain().into_iter().find_map(|event| match event {
        Event::Proven(evidence) => Some(evidence),
        _ => None,
    });
    let evidence = evidence.expect("a proven lie");
    let verdict = evidence.verify(&keyring(&world.keys)).unwrap();
    assert_eq!(verdict.accused, Source::Replica(ReplicaId(3)));
    assert_eq!(verdict.offence, ProvableOffence::FalseReply);
}

fn keyring(keys: &[SigningKey]) -> Keyring {
    let public = keys.iter().map(SigningKey::public).collect();
    Keyring::new(CLUSTER, Epoch::default(), public).unwrap()
}

#[test]
fn a_replica_that_signs_the_truth_after_a_lie_stays_a_suspect_only() {
    let mut world = world(Config::default());
    let number = world.submit(0, None);
    world.says(3, number, "lie");
    world.says(0, number, "truth");
    world.says(1, number, "truth");
    for replica in [3, 0, 1] {
        world.signs(replica, number, "truth");
    }
    assert!(
        !world
            .drain()
            .iter()
            .any(|event| matches!(event, Event::Proven(_)))
    );
}

#[test]
fn a_lie_after_the_decision_is_noticed_too() {
    let mut world = world(Config::default());
    let number = world.submit(0, None);
    world.says(0, number, "truth");
    world.says(1, number, "truth");
    world.drain();
    world.says(2, number, "truth");
    assert!(world.drain().is_empty());
    world.says(3, number, "lie");
    assert!(
        world
            .drain()
            .iter()
            .any(|event| matches!(event, Event::Disagreed { .. }))
    );
}

#[test]
fn a_lingering_session_waits_for_all_votes_but_not_for_ever() {
    let mut world = world(Config {
        linger_us: 100,
        ..Config::default()
    });
    let number = world.submit(0, None);
    for replica in 0..3 {
        world.says(replica, number, "truth");
    }
    assert_eq!(world.accepted(), None);
    world.says(3, number, "truth");
    assert_eq!(world.accepted().map(|(_, votes)| votes), Some(4));

    let number = world.submit(1, None);
    for replica in 0..3 {
        world.says(replica, number, "truth");
    }
    world.session.on_tick(Instant(101), &mut world.out);
    assert_eq!(world.accepted().map(|(_, votes)| votes), Some(3));
}

#[test]
fn replies_for_other_sessions_and_unasked_ones_are_ignored() {
    let mut world = world(Config::default());
    let number = world.submit(0, None);
    world.drain();
    for replica in 0..4 {
        let other = Reply {
            session: SessionId(77),
            ..reply(number, "x")
        };
        let message = ReplicaMessage::Reply {
            view: View(0),
            reply: other,
        };
        world
            .session
            .on_message(Instant(1), ReplicaId(replica), message, &mut world.out);
        world.says(replica, 12345, "x");
    }
    assert!(world.drain().is_empty());
}
