//! Watches as agreed state: who waits, what is kept, and what a restored replica tells.

use bezant_api::{Answer, Call, Group, Refused};
use bezant_bft::{ids::SessionId, service::Service};
use bezant_tuplespace::{Change, Event, Lease, Operation, Outcome, TupleId};

use crate::fixture::{Bench, answer, asking, inp, on, out, space, template, tuple};

fn watch(text: &str, after: Option<u64>, within_ms: Option<u64>) -> Call {
    let operation = Operation::Watch {
        template: template(text),
        after,
        limit: 9,
        within_ms,
    };
    on(space("a"), operation)
}

fn events(events: &[(u64, Change, u64, &str)], newest: u64) -> Answer {
    let events = events.iter().map(|(number, change, id, text)| Event {
        number: *number,
        change: *change,
        id: TupleId(*id),
        tuple: tuple(text),
    });
    Answer::Outcome(Outcome::Events {
        events: events.collect(),
        next: newest,
        newest,
    })
}

const DONE: Answer = Answer::Outcome(Outcome::Done);

/// A watch goes on at a replica that was given the state, and so does what it has to tell.
#[test]
fn a_watch_survives_a_transfer() {
    let mut bench = Bench::new();
    let (ann, ben) = (bench.open(0, 1), bench.open(1, 1));
    bench.call((0, ann, 1), &out("(1)"));
    assert_eq!(bench.call((1, ben, 1), &watch("(_)", Some(1), None)), []);
    let mut restored = bench.restored();
    for bench in [&mut bench, &mut restored] {
        let told = bench.call((0, ann, 2), &inp("(1)"));
        let taken = events(&[(2, Change::Taken, 1, "(1)")], 2);
        let found = Answer::Outcome(Outcome::Match(Some(tuple("(1)"))));
        assert_eq!(told, [found, taken]);
        let both = events(
            &[
                (1, Change::Inserted, 1, "(1)"),
                (2, Change::Taken, 1, "(1)"),
            ],
            2,
        );
        assert_eq!(
            bench.call((1, ben, 2), &watch("(_)", Some(0), None)),
            [both]
        );
    }
    assert!(bench.snapshot() == restored.snapshot());
}

/// What ends by itself is told: a lease's tuple by the tick, a session's with its session.
#[test]
fn ends_are_told() {
    let mut bench = Bench::new();
    let ann = bench.open(0, 1);
    let call = Call::OpenSession {
        nonce: 1,
        ttl_ms: Some(500),
    };
    let opening = asking(1, SessionId::NONE, 1, &[], &call);
    bench.execute(1_000, vec![opening]);
    let ben = SessionId(2);
    bench.at(1_000, (0, ann, 1), &out("(0)"));
    let (tuple, lease) = (tuple("(1)"), Lease::Session);
    let ephemeral = on(space("a"), Operation::Out { tuple, lease });
    assert_eq!(bench.at(1_010, (1, ben, 1), &ephemeral), [DONE]);
    assert_eq!(
        bench.at(1_020, (0, ann, 2), &watch("(_)", Some(2), None)),
        []
    );
    let replies = bench.execute(1_510, Vec::new());
    let told: Vec<Answer> = replies.iter().map(|(_, reply)| answer(reply)).collect();
    assert_eq!(told, [events(&[(3, Change::Expired, 2, "(1)")], 3)]);
    // Nothing happens within its time: it says up to where.
    assert_eq!(
        bench.at(2_000, (0, ann, 3), &watch("(_)", Some(3), Some(90))),
        []
    );
    let replies = bench.execute(2_090, Vec::new());
    let told: Vec<Answer> = replies.iter().map(|(_, reply)| answer(reply)).collect();
    assert_eq!(told, [events(&[], 3)]);
}

/// A group is told as a whole, and one that was refused is not; nobody waits in one.
#[test]
fn a_group_is_told_at_once() {
    let mut bench = Bench::new();
    let (ann, ben) = (bench.open(0, 1), bench.open(1, 1));
    bench.call((0, ann, 1), &out("(0)"));
    bench.call((1, ben, 1), &watch("(_)", Some(1), None));
    let put = |text: &str| Operation::Out {
        tuple: tuple(text),
        lease: Lease::Forever,
    };
    let refused = Group::new().act(space("a"), put("(1)")).act(
        space("nowhere"),
        Operation::Inp {
            template: template("(1)"),
        },
    );
    assert_eq!(bench.call((0, ann, 2), &Call::Group(refused)).len(), 1);
    let group = Group::new()
        .act(space("a"), put("(1)"))
        .act(space("a"), put("(2)"));
    let told = bench.call((0, ann, 3), &Call::Group(group));
    let both = events(
        &[
            (2, Change::Inserted, 2, "(1)"),
            (3, Change::Inserted, 3, "(2)"),
        ],
        3,
    );
    assert_eq!(told[1..], [both]);
    let Call::Space { operation, .. } = watch("(_)", Some(0), None) else {
        panic!("an operation");
    };
    let waits = Group::new().act(space("a"), operation);
    let told = bench.call((0, ann, 4), &Call::Group(waits));
    let (step, why) = (0, Refused::WaitInGroup);
    assert_eq!(told, [Answer::GroupRefused { step, why }]);
}

/// One that is cancelled, or whose session ends, is told nothing more.
#[test]
fn a_watch_ends_like_any_wait() {
    let mut bench = Bench::new();
    let (ann, ben) = (bench.open(0, 1), bench.open(1, 1));
    bench.call((0, ann, 1), &out("(0)"));
    bench.call((1, ben, 1), &watch("(_)", Some(1), None));
    bench.call((1, ben, 2), &watch("(_)", Some(1), None));
    let cancelled = bench.call((1, ben, 3), &Call::Cancel { number: 1 });
    assert_eq!(cancelled.len(), 2);
    assert_eq!(bench.kernel.figures().waiters, 1);
    bench.call((1, ben, 4), &Call::CloseSession);
    assert_eq!(bench.kernel.figures().waiters, 0);
    assert_eq!(bench.call((0, ann, 2), &out("(1)")), [DONE]);
    assert_eq!(bench.kernel.due(), None);
}
