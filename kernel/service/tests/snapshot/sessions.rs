//! Sessions that end by themselves, and what ends with them.

use bezant_api::{Answer, Call, Refused, limits::MIN_SESSION_MS};
use bezant_bft::{
    ids::{RequestNumber, SeqNo, SessionId},
    service::{Admission, Service},
};
use bezant_kernel::limits::{MAX_SESSIONS_PER_CLIENT, OUTAGE_MS, SESSION_MS};
use bezant_tuplespace::{Lease, Operation, Outcome};

use crate::fixture::{Bench, answer, asking, on, out, space, take, tuple};

const DONE: Answer = Answer::Outcome(Outcome::Done);
const OVER: Answer = Answer::Refused(Refused::NoSession);

/// What a client is told that opens a session living for `ttl_ms`, at `time`.
fn opened(bench: &mut Bench, time: u64, (client, nonce): (u8, u64), ttl_ms: Option<u64>) -> Answer {
    let call = Call::OpenSession { nonce, ttl_ms };
    let request = asking(client, SessionId::NONE, nonce, &[], &call);
    answer(&bench.execute(time, vec![request])[0].1)
}

/// A service whose time is 1000, with a session of client 0 that lives for `ttl_ms`.
fn bench(ttl_ms: u64) -> (Bench, SessionId) {
    let mut bench = Bench::new();
    match opened(&mut bench, 1_000, (0, 1), Some(ttl_ms)) {
        Answer::Opened { session, .. } => (bench, SessionId(session)),
        other => panic!("{other:?}"),
    }
}

fn due(bench: &Bench) -> Option<u64> {
    bench.kernel.due().map(|due| due.0)
}

fn ephemeral(text: &str) -> Call {
    let (tuple, lease) = (tuple(text), Lease::Session);
    on(space("a"), Operation::Out { tuple, lease })
}

/// The tick alone ends it, with its waits and its tuples and those only; a restored replica
/// does the same.
#[test]
fn a_silent_session_ends_with_all_it_had() {
    let (mut bench, session) = bench(500);
    let other = bench.open(1, 1);
    assert_eq!(due(&bench), Some(1_500));
    bench.at(1_100, (1, other, 1), &out("(0)"));
    bench.at(1_100, (1, other, 2), &ephemeral("(1)"));
    bench.at(1_100, (1, other, 3), &take("(9)"));
    bench.at(1_200, (0, session, 1), &ephemeral("(2)"));
    bench.at(1_200, (0, session, 2), &take("(9)"));
    let end = due(&bench).unwrap();
    assert!((1_700..1_710).contains(&end), "{end}");
    let mut restored = bench.restored();
    for bench in [&mut bench, &mut restored] {
        bench.execute(end - 1, Vec::new());
        let figures = bench.kernel.figures();
        assert_eq!(
            (figures.sessions, figures.tuples, figures.waiters),
            (2, 3, 2)
        );
        assert_eq!(bench.execute(end, Vec::new()), [], "nobody waits for that");
        let figures = bench.kernel.figures();
        assert_eq!(
            (figures.sessions, figures.tuples, figures.waiters),
            (1, 2, 1)
        );
        assert_eq!(due(bench), None, "the other one lives for ever");
        assert_eq!(bench.at(end + 1, (0, session, 3), &out("(3)")), [OVER]);
        let waiting = bench.at(end + 2, (1, other, 4), &out("(9)"));
        assert_eq!(
            waiting.len(),
            2,
            "the wait that is left gets a delivery: {waiting:?}"
        );
    }
    assert!(bench.snapshot() == restored.snapshot());
}

/// Whatever it asks keeps it alive; an old request that somebody has ordered again does not.
#[test]
fn a_session_lives_on_by_its_own_requests() {
    let (mut bench, session) = bench(500);
    let alive = bench.at(1_400, (0, session, 1), &Call::KeepAlive);
    assert_eq!(alive, [Answer::Alive]);
    assert_eq!(due(&bench), Some(1_900));
    assert_eq!(bench.at(1_800, (0, session, 2), &out("(1)")), [DONE]);
    assert_eq!(due(&bench), Some(2_300));
    let again = bench.at(2_200, (0, session, 1), &Call::KeepAlive);
    assert_eq!(again, [], "it was carried out long ago");
    // Before its turn it is not carried out either.
    assert_eq!(bench.at(2_210, (0, session, 4), &Call::KeepAlive), []);
    assert_eq!(due(&bench), Some(2_300));
    // Its turn comes, and that of the parked one.
    let both = bench.at(2_220, (0, session, 3), &Call::KeepAlive);
    assert_eq!(both, [Answer::Alive, Answer::Alive]);
    assert_eq!(due(&bench), Some(2_720));
}

#[test]
fn closing_and_making_room_end_a_session_too() {
    let (mut bench, session) = bench(500);
    bench.at(1_010, (0, session, 1), &out("(0)"));
    bench.at(1_020, (0, session, 2), &ephemeral("(1)"));
    let closed = bench.at(1_030, (0, session, 3), &Call::CloseSession);
    assert_eq!(closed, [Answer::Closed]);
    assert_eq!((due(&bench), bench.kernel.figures().tuples), (None, 1));
    let first = bench.open(0, 100);
    bench.at(1_040, (0, first, 1), &ephemeral("(2)"));
    for nonce in 0..MAX_SESSIONS_PER_CLIENT as u64 {
        bench.open(0, 200 + nonce);
    }
    assert_eq!(bench.kernel.figures().tuples, 1, "the first made room");
}

/// Nobody could be heard while the whole cluster was away.
#[test]
fn an_outage_ends_no_session() {
    let (mut bench, session) = bench(500);
    let back = 1_500 + OUTAGE_MS + 1;
    bench.execute(back, Vec::new());
    assert_eq!(due(&bench), Some(back + 500));
    let kept = bench.restored();
    assert!(kept.snapshot() == bench.snapshot());
    assert_eq!(bench.at(back + 1, (0, session, 1), &out("(1)")), [DONE]);
    assert_eq!(due(&bench), Some(back + 501));
}

#[test]
fn a_session_has_its_bounds() {
    let mut bench = Bench::new();
    for ttl_ms in [0, MIN_SESSION_MS - 1, SESSION_MS.end() + 1, u64::MAX] {
        let told = opened(&mut bench, 1, (0, 1), Some(ttl_ms));
        assert_eq!(told, Answer::Refused(Refused::TtlOutOfRange));
    }
    assert_eq!(bench.kernel.figures().sessions, 0);
    for ttl_ms in [MIN_SESSION_MS, *SESSION_MS.end()] {
        let told = opened(&mut bench, 1, (0, ttl_ms), Some(ttl_ms));
        assert!(matches!(told, Answer::Opened { .. }));
    }
}

/// The reply to a request that was carried out goes with its session.
#[test]
fn what_was_kept_is_gone() {
    let (mut bench, session) = bench(500);
    bench.at(1_010, (0, session, 1), &out("(1)"));
    assert!(bench.kernel.kept_reply(session, RequestNumber(1)).is_some());
    bench.execute(1_510, Vec::new());
    assert!(bench.kernel.kept_reply(session, RequestNumber(1)).is_none());
    assert_eq!(bench.at(1_520, (0, session, 1), &out("(1)")), [OVER]);
    assert_eq!(
        bench.kernel.figures().tuples,
        1,
        "and is not carried out again"
    );
    assert_eq!(SeqNo(bench.number), SeqNo(4));
}

/// What admission is told of a request: what would be ordered for nothing stays out, and all
/// else comes in.
#[test]
fn admission_knows_what_was_ordered_before() {
    let (mut bench, session) = bench(500);
    let request = |client, session, number| asking(client, session, number, &[], &out("(1)"));
    let is_new = |bench: &Bench, request| bench.kernel.admit(&request) == Admission::New;
    let is_silent = |bench: &Bench, request| bench.kernel.admit(&request) == Admission::Silent;
    // Nothing is known of these: number 1 is next, 3 comes early, and the others have no session
    // here, or not yet.
    for (client, session, number) in [
        (0, session, 1),
        (0, session, 3),
        (1, session, 1),
        (0, SessionId(99), 1),
    ] {
        assert!(is_new(&bench, request(client, session, number)));
    }
    // No session has a turn for it, opened or not.
    assert!(is_silent(&bench, request(0, session, 0)));
    assert!(is_silent(&bench, request(0, SessionId(99), 0)));
    let answers = bench.at(1_100, (0, session, 1), &out("(1)"));
    assert_eq!(answers, [DONE]);
    bench.at(1_100, (0, session, 2), &take("(9)"));
    bench.at(1_100, (0, session, 4), &out("(4)"));
    for mut bench in [bench.restored(), bench] {
        let Admission::Done(reply) = bench.kernel.admit(&request(0, session, 1)) else {
            panic!("its answer is kept");
        };
        assert_eq!((answer(&reply), reply.number), (DONE, RequestNumber(1)));
        assert!(is_silent(&bench, request(0, session, 2)), "it waits");
        assert!(is_silent(&bench, request(0, session, 4)), "it is parked");
        assert!(is_new(&bench, request(0, session, 3)));
        // Somebody else's request by these numbers is none of this session.
        for number in [1, 2, 4] {
            assert!(is_new(&bench, request(1, session, number)));
        }
        // Once its answer has come, nothing is left to say.
        let acked = asking(0, session, 3, &[1], &out("(3)"));
        bench.execute(1_100, vec![acked]);
        assert!(is_silent(&bench, request(0, session, 1)));
    }
}
