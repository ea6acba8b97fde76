//! Watching, promise by promise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{
    Actor, Applied, Change, Cursor, EndedWait, Lease, Limits, Operation, Outcome, Refusal,
    SpaceName, Spaces, TupleId, WaiterId,
};

const WATCHER: WaiterId = WaiterId {
    owner: 1,
    number: 1,
};

fn tuple(text: &str) -> Tuple {
    text.parse().unwrap()
}

fn template(text: &str) -> Template {
    text.parse().unwrap()
}

fn out(text: &str) -> Operation {
    let (tuple, lease) = (tuple(text), Lease::Forever);
    Operation::Out { tuple, lease }
}

fn inp(text: &str) -> Operation {
    let template = template(text);
    Operation::Inp { template }
}

fn watch(text: &str, after: u64, limit: u32) -> Operation {
    Operation::Watch {
        template: template(text),
        after: Some(after),
        limit,
        within_ms: None,
    }
}

/// What was told: number, change, id and tuple of each event; where to go on; and the newest.
type Told = (Vec<(u64, Change, u64, String)>, u64, u64);

fn told(outcome: Outcome) -> Told {
    match outcome {
        Outcome::Events {
            events,
            next,
            newest,
        } => {
            let short = events.into_iter().map(|event| {
                let text = event.tuple.to_string();
                (event.number, event.change, event.id.0, text)
            });
            (short.collect(), next, newest)
        }
        other => panic!("{other:?}"),
    }
}

/// Two spaces, `s` and `t`.
struct Bench {
    spaces: Spaces,
}

fn name(text: &str) -> SpaceName {
    SpaceName::new(text).unwrap()
}

impl Bench {
    fn with(limits: Limits) -> Self {
        let mut spaces = Spaces::new(limits);
        spaces.create(&name("s")).unwrap();
        spaces.create(&name("t")).unwrap();
        Self { spaces }
    }

    fn new() -> Self {
        Self::with(Limits::DEFAULT)
    }

    fn try_apply(&mut self, operation: &Operation) -> Result<Outcome, Refusal> {
        match self
            .spaces
            .apply(Actor::SERVICE, &name("s"), operation, None)?
        {
            Applied::Outcome(outcome) => Ok(outcome),
            Applied::Waiting => panic!("nobody was to wait"),
        }
    }

    fn apply(&mut self, operation: &Operation) -> Outcome {
        self.try_apply(operation).unwrap()
    }

    fn wait(&mut self, operation: &Operation) {
        let applied = self
            .spaces
            .apply(Actor::SERVICE, &name("s"), operation, Some(WATCHER));
        assert_eq!(applied, Ok(Applied::Waiting));
    }

    /// The one answer to a watch that is there.
    fn told(&mut self) -> Told {
        let mut all = self.spaces.take_told();
        assert_eq!(all.len(), 1, "{all:?}");
        let EndedWait { waiter, outcome } = all.remove(0);
        assert_eq!(waiter, WATCHER);
        told(outcome)
    }
}

fn event(number: u64, change: Change, id: u64, text: &str) -> (u64, Change, u64, String) {
    (number, change, id, text.to_owned())
}

/// Everything that happens to matching tuples is told once, in order, whether one waits for
/// it or comes later, and nothing of other spaces.
#[test]
fn what_happens_is_told_in_order() {
    use Change::{Expired, Inserted, Taken};
    let mut bench = Bench::new();
    bench.apply(&out("(1)"));
    bench.apply(&out("(\"other\")"));
    bench
        .spaces
        .apply(Actor::SERVICE, &name("t"), &out("(2)"), None)
        .unwrap();
    bench.apply(&inp("(1)"));
    let lease = Lease::Ms(10);
    let leased = Operation::Out {
        tuple: tuple("(3)"),
        lease,
    };
    bench.apply(&leased);
    bench.spaces.advance(10);
    let all = vec![
        event(1, Inserted, 1, "(1)"),
        event(4, Taken, 1, "(1)"),
        event(5, Inserted, 4, "(3)"),
        event(6, Expired, 4, "(3)"),
    ];
    assert_eq!(
        told(bench.apply(&watch("(?int)", 0, 9))),
        (all.clone(), 6, 6)
    );
    let rest = told(bench.apply(&watch("(?int)", 4, 9)));
    assert_eq!(rest, (all[2..].to_vec(), 6, 6));
    // In pages: the next begins behind the last event told.
    let page = told(bench.apply(&watch("(?int)", 0, 2)));
    assert_eq!(page, (all[..2].to_vec(), 4, 6));
    // What does not match is passed over, and not looked at again.
    assert_eq!(told(bench.apply(&watch("(?bytes)", 0, 2))), (vec![], 6, 6));
}

#[test]
fn a_watch_waits_until_something_happens() {
    use Change::{Inserted, Taken};
    let mut bench = Bench::new();
    bench.wait(&watch("(?int)", 0, 9));
    bench.apply(&out("(\"other\")"));
    bench
        .spaces
        .apply(Actor::SERVICE, &name("t"), &out("(2)"), None)
        .unwrap();
    assert_eq!(bench.spaces.take_told(), []);
    bench.apply(&out("(7)"));
    assert_eq!(bench.told(), (vec![event(3, Inserted, 3, "(7)")], 3, 3));
    assert_eq!(bench.spaces.waiters(), 0);
    // One operation that does two things is told at once.
    bench.wait(&watch("(?int)", 3, 9));
    let replace = Operation::Replace {
        template: template("(7)"),
        tuple: tuple("(8)"),
        lease: Lease::Forever,
    };
    bench.apply(&replace);
    let both = vec![event(4, Taken, 3, "(7)"), event(5, Inserted, 4, "(8)")];
    assert_eq!(bench.told(), (both.clone(), 5, 5));
    // And if there is no room for both, the second is still there.
    bench.wait(&watch("(?int)", 5, 1));
    bench.apply(&Operation::Replace {
        template: template("(8)"),
        tuple: tuple("(9)"),
        lease: Lease::Forever,
    });
    assert_eq!(bench.told(), (vec![event(6, Taken, 4, "(8)")], 6, 7));
    let second = told(bench.apply(&watch("(?int)", 6, 1)));
    assert_eq!(second, (vec![event(7, Inserted, 5, "(9)")], 7, 7));
}

/// A tuple that is taken as it arrives was there and went.
#[test]
fn a_tuple_handed_over_is_told_as_well() {
    let mut bench = Bench::new();
    let take = Operation::In {
        template: template("(1)"),
        within_ms: None,
    };
    bench.wait(&take);
    bench.apply(&out("(1)"));
    let (events, ..) = told(bench.apply(&watch("(_)", 0, 9)));
    let changes: Vec<Change> = events.into_iter().map(|event| event.1).collect();
    assert_eq!(changes, [Change::Inserted, Change::Taken]);
}

/// What is undone never happened; what is done happens when it can be undone no more.
#[test]
fn what_is_undone_is_not_told() {
    let mut bench = Bench::new();
    bench.wait(&watch("(_)", 0, 9));
    let savepoint = bench.spaces.savepoint();
    bench.apply(&out("(1)"));
    bench.apply(&inp("(1)"));
    bench.spaces.rollback(savepoint);
    bench.apply(&out("(2)"));
    assert_eq!(bench.spaces.take_told(), []);
    assert_eq!(bench.spaces.newest_event(), 0);
    bench.spaces.commit();
    assert_eq!(
        bench.told(),
        (vec![event(1, Change::Inserted, 1, "(2)")], 1, 1)
    );
}

/// The oldest events go, by number or by bytes, and whoever asks for them is told so.
#[test]
fn the_history_is_bounded_and_says_where_it_begins() {
    for limits in [
        Limits {
            events: 3,
            ..Limits::DEFAULT
        },
        Limits {
            event_bytes: 3 * tuple("(1)").encoded_len() as u64,
            ..Limits::DEFAULT
        },
    ] {
        let mut bench = Bench::with(limits);
        for number in 1..=5 {
            bench.apply(&out(&format!("({number})")));
        }
        let compacted = Outcome::Compacted { first: 3 };
        assert_eq!(bench.apply(&watch("(_)", 0, 9)), compacted);
        assert_eq!(bench.apply(&watch("(_)", 1, 9)), compacted);
        let (events, next, _) = told(bench.apply(&watch("(_)", 2, 9)));
        assert_eq!((events.len(), events[0].0, next), (3, 3, 5));
    }
}

#[test]
fn a_watch_has_its_bounds() {
    let mut bench = Bench::new();
    bench.apply(&out("(1)"));
    let refused = bench.try_apply(&watch("(_)", 2, 9));
    assert_eq!(refused, Err(Refusal::NoSuchEvent));
    let refused = bench.try_apply(&watch("(_)", 1, 0));
    assert_eq!(refused, Err(Refusal::EmptyPage));
    let from_now = Operation::Watch {
        template: template("(_)"),
        after: None,
        limit: 9,
        within_ms: None,
    };
    let applied = bench
        .spaces
        .apply(Actor::SERVICE, &name("s"), &from_now, Some(WATCHER));
    let Ok(Applied::Outcome(now)) = applied else {
        panic!("it answers at once");
    };
    assert_eq!(told(now), (vec![], 1, 1));
}

/// A watch that is over says up to where nothing happened.
#[test]
fn a_watch_whose_time_is_up_makes_progress() {
    let mut bench = Bench::new();
    let operation = Operation::Watch {
        template: template("(?bytes)"),
        after: Some(0),
        limit: 9,
        within_ms: Some(50),
    };
    bench.wait(&operation);
    bench.apply(&out("(1)"));
    bench.apply(&out("(2)"));
    let mut ended = bench.spaces.advance(50);
    let EndedWait { waiter, outcome } = ended.waits.remove(0);
    assert_eq!((waiter, told(outcome)), (WATCHER, (vec![], 2, 2)));
}

/// A survey is of one moment, and a watch goes on from there.
#[test]
fn a_survey_says_where_to_go_on() {
    let mut bench = Bench::new();
    for text in ["(1)", "(2)", "(\"x\")", "(3)"] {
        bench.apply(&out(text));
    }
    bench.apply(&inp("(1)"));
    let survey = |after| Operation::Survey {
        template: template("(?int)"),
        limit: 1,
        after,
    };
    let page = |id, text: &str, next| Outcome::Survey {
        found: vec![(TupleId(id), tuple(text))],
        next,
        newest: 5,
    };
    let second = Some(TupleId(2));
    assert_eq!(bench.apply(&survey(None)), page(2, "(2)", second));
    let cursor = second.map(|after| Cursor {
        space: name("s"),
        after,
    });
    assert_eq!(bench.apply(&survey(cursor)), page(4, "(3)", None));
    bench.wait(&watch("(?int)", 5, 9));
    bench.apply(&inp("(2)"));
    assert_eq!(bench.told().0, [event(6, Change::Taken, 2, "(2)")]);
}
