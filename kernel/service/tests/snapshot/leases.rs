//! Agreed time and what it ends, request by request and without any.

use bezant_api::{Answer, Call};
use bezant_bft::{
    ids::{OrderedTime, RequestNumber, SeqNo, SessionId},
    service::{Replies, Service},
    verification::CheckedProposal,
};
use bezant_kernel::limits::OUTAGE_MS;
use bezant_tuplespace::{Operation, Outcome};

use crate::fixture::{Bench, answer, asking, leased, on, out, rd, space, template, tuple};

/// One session in a service whose time is 1000.
fn bench() -> (Bench, SessionId) {
    let mut bench = Bench::new();
    let session = bench.open(0, 1);
    bench.call((0, session, 1), &out("(0)"));
    bench.execute(1_000, Vec::new());
    (bench, session)
}

fn renew(text: &str, lease_ms: u64) -> Call {
    let template = template(text);
    on(space("a"), Operation::Renew { template, lease_ms })
}

fn due(bench: &Bench) -> Option<u64> {
    bench.kernel.due().map(|due| due.0)
}

/// No client does anything: the tick alone ends it, and a restored replica does the same.
#[test]
fn a_tick_ends_what_is_due() {
    let (mut bench, session) = bench();
    assert_eq!(due(&bench), None);
    bench.at(1_010, (0, session, 2), &leased("(1)", 90));
    bench.at(1_020, (0, session, 3), &leased("(2)", 500));
    assert_eq!(due(&bench), Some(1_100));
    let mut restored = bench.restored();
    for bench in [&mut bench, &mut restored] {
        assert_eq!(due(bench), Some(1_100));
        bench.execute(1_099, Vec::new());
        assert_eq!(bench.kernel.figures().tuples, 3);
        bench.execute(1_100, Vec::new());
        assert_eq!(bench.kernel.figures().tuples, 2);
        assert_eq!(due(bench), Some(1_520));
    }
    assert!(bench.snapshot() == restored.snapshot());
}

/// Time passes before the requests that come with it, and an ended lease serves no wait.
#[test]
fn what_is_over_is_gone_before_the_request() {
    let (mut bench, session) = bench();
    bench.at(1_010, (0, session, 2), &leased("(1)", 90));
    let waiting = bench.at(1_100, (0, session, 3), &rd("(1)"));
    assert_eq!(waiting, [], "it waits");
    assert_eq!(bench.kernel.figures().waiters, 1);
    let renewed = bench.at(1_101, (0, session, 4), &renew("(1)", 10));
    assert_eq!(renewed, [Answer::Outcome(Outcome::Match(None))]);
}

#[test]
fn a_renewed_lease_goes_on() {
    let (mut bench, session) = bench();
    bench.at(1_010, (0, session, 2), &leased("(1)", 90));
    let renewed = bench.at(1_099, (0, session, 3), &renew("(1)", 90));
    let found = Answer::Outcome(Outcome::Match(Some(tuple("(1)"))));
    assert_eq!(renewed, [found]);
    assert_eq!(due(&bench), Some(1_189));
}

/// Null requests have no time, a proposal that is late has the next millisecond.
#[test]
fn null_requests_move_no_time() {
    let (mut bench, session) = bench();
    bench.at(1_010, (0, session, 2), &leased("(1)", 3));
    let null = std::sync::Arc::new(CheckedProposal::null());
    for number in 0..10 {
        bench.number += 1;
        let mut replies = Replies::new();
        let place = SeqNo(bench.number);
        bench.kernel.execute(place, &null, &mut replies);
        assert_eq!(bench.kernel.time(), OrderedTime(1_010), "{number}");
    }
    bench.execute(5, Vec::new());
    assert_eq!(bench.kernel.time(), OrderedTime(1_011));
    bench.execute(0, vec![asking(0, session, 3, &[], &out("(2)"))]);
    assert_eq!(bench.kernel.time(), OrderedTime(1_012));
    assert_eq!(bench.kernel.figures().leases, 1);
    bench.execute(6, Vec::new());
    assert_eq!((due(&bench), bench.kernel.figures().leases), (None, 0));
}

/// The whole cluster was away: everybody has the time left that the outage found.
#[test]
fn an_outage_ends_no_lease() {
    let (mut bench, session) = bench();
    bench.at(1_010, (0, session, 2), &leased("(1)", 5_000));
    bench.at(1_020, (0, session, 3), &leased("(2)", 9_000));
    let back = 1_000_000;
    bench.execute(back, Vec::new());
    assert_eq!(bench.kernel.figures().leases, 2);
    assert_eq!(
        due(&bench),
        Some(back + 4_990),
        "as much as after the last proposal"
    );
    bench.execute(back + 4_990, Vec::new());
    assert_eq!(due(&bench), Some(back + 9_000));
    bench.execute(back + 9_000, Vec::new());
    assert_eq!(due(&bench), None);
}

/// A tick that is late for other reasons is none, nor is a long silence with nothing due.
#[test]
fn a_late_tick_is_no_outage() {
    let (mut bench, session) = bench();
    bench.at(1_010, (0, session, 2), &leased("(1)", 5_000));
    bench.execute(6_010 + OUTAGE_MS, Vec::new());
    assert_eq!(due(&bench), None);
    let now = 7_000 + OUTAGE_MS;
    let far = 100 * OUTAGE_MS;
    bench.at(now, (0, session, 3), &leased("(1)", far));
    bench.execute(now + far, Vec::new());
    assert_eq!(due(&bench), None);
}

/// Nothing matched in time: the waiting client is told so by the tick alone, and again when it
/// asks again; a restored replica says the same.
#[test]
fn a_wait_ends_with_a_tick() {
    let (mut bench, session) = bench();
    let wait = |text: &str, within_ms| {
        let (template, within_ms) = (template(text), Some(within_ms));
        let operation = Operation::In {
            template,
            within_ms,
        };
        on(space("a"), operation)
    };
    let nothing = [Answer::Outcome(Outcome::Match(None))];
    assert_eq!(
        bench.at(1_010, (0, session, 2), &wait("(1)", 90)),
        [],
        "it waits"
    );
    assert_eq!(due(&bench), Some(1_100));
    let mut restored = bench.restored();
    for bench in [&mut bench, &mut restored] {
        let ended = bench.execute(1_100, Vec::new());
        let told: Vec<Answer> = ended.iter().map(|(_, reply)| answer(reply)).collect();
        assert_eq!(told, nothing);
        assert_eq!((due(bench), bench.kernel.figures().waiters), (None, 0));
        let kept = bench.kernel.kept_reply(session, RequestNumber(2));
        assert_eq!(
            kept.map(|(_, reply)| answer(&reply)),
            Some(nothing[0].clone())
        );
        bench.at(1_110, (0, session, 3), &out("(1)"));
        assert_eq!(bench.kernel.figures().tuples, 2, "nobody takes it");
    }
    assert!(bench.snapshot() == restored.snapshot());
}

/// The time comes before the requests of its proposal: too late is too late.
#[test]
fn a_tuple_that_comes_when_the_wait_ends_is_too_late() {
    let (mut bench, session) = bench();
    let operation = Operation::Rd {
        template: template("(1)"),
        within_ms: Some(90),
    };
    bench.at(1_010, (0, session, 2), &on(space("a"), operation));
    let told = bench.at(1_100, (0, session, 3), &out("(1)"));
    let done = Answer::Outcome(Outcome::Done);
    assert_eq!(told, [Answer::Outcome(Outcome::Match(None)), done]);
}
