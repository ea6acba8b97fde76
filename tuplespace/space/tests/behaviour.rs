//! Promises one by one, many of them broken by this service's predecessor.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{
    Actor, Applied, Audience, Cursor, Delivery, Ended, Lease, Limits, Operation, OperationKind,
    Outcome, Parts, Principal, Refusal, SpaceName, Spaces, TupleId, WaiterId,
};

/// A place in space `s`.
fn behind(id: u64) -> Cursor {
    let space = SpaceName::new("s").unwrap();
    let after = TupleId(id);
    Cursor { space, after }
}

fn tuple(text: &str) -> Tuple {
    text.parse().unwrap()
}

fn template(text: &str) -> Template {
    text.parse().unwrap()
}

fn out(text: &str) -> Operation {
    let tuple = tuple(text);
    Operation::Out {
        tuple,
        lease: Lease::Forever,
    }
}

fn rdp(text: &str) -> Operation {
    let template = template(text);
    Operation::Rdp { template }
}

fn inp(text: &str) -> Operation {
    let template = template(text);
    Operation::Inp { template }
}

fn rd(text: &str) -> Operation {
    let template = template(text);
    Operation::Rd {
        template,
        within_ms: None,
    }
}

fn take(text: &str) -> Operation {
    let template = template(text);
    Operation::In {
        template,
        within_ms: None,
    }
}

fn waiter(number: u64) -> WaiterId {
    WaiterId { owner: 1, number }
}

/// One space called `s` and its operations in short.
struct Bench {
    spaces: Spaces,
    space: SpaceName,
}

impl Bench {
    fn new() -> Self {
        Self::within(Limits::DEFAULT)
    }

    fn within(limits: Limits) -> Self {
        let mut spaces = Spaces::new(limits);
        let space = SpaceName::new("s").unwrap();
        spaces.create(&space).unwrap();
        Self { spaces, space }
    }

    fn holding(tuples: &[&str]) -> Self {
        let mut bench = Self::new();
        for tuple in tuples {
            bench.apply(&out(tuple));
        }
        bench
    }

    fn try_apply(&mut self, operation: &Operation) -> Result<Outcome, Refusal> {
        match self
            .spaces
            .apply(Actor::SERVICE, &self.space, operation, None)?
        {
            Applied::Outcome(outcome) => Ok(outcome),
            Applied::Waiting => panic!("nobody was to wait"),
        }
    }

    fn apply(&mut self, operation: &Operation) -> Outcome {
        self.try_apply(operation).unwrap()
    }

    fn wait(&mut self, operation: &Operation, number: u64) {
        let applied =
            self.spaces
                .apply(Actor::SERVICE, &self.space, operation, Some(waiter(number)));
        assert_eq!(applied, Ok(Applied::Waiting));
    }

    fn content(&self) -> (Vec<u8>, Vec<Delivery>) {
        let mut parts = Parts::default();
        self.spaces.encode_into(&mut parts);
        (parts.content(), self.spaces.deliveries().to_vec())
    }

    /// The tuples, oldest first, of up to a page.
    fn all(&mut self, text: &str) -> Vec<String> {
        let template = template(text);
        let (limit, after) = (u32::MAX, None);
        let page = self.apply(&Operation::RdAll {
            template,
            limit,
            after,
        });
        let Outcome::Page { tuples, .. } = page else {
            panic!("no page");
        };
        tuples.iter().map(Tuple::to_string).collect()
    }

    fn deliveries(&mut self) -> Vec<(u64, OperationKind, String)> {
        let short = |deliveries: Delivery| {
            (
                deliveries.waiter.number,
                deliveries.kind,
                deliveries.tuple.to_string(),
            )
        };
        self.spaces
            .take_deliveries()
            .into_iter()
            .map(short)
            .collect()
    }
}

fn matched(text: &str) -> Outcome {
    Outcome::Match(Some(tuple(text)))
}

const NOTHING: Outcome = Outcome::Match(None);

#[test]
fn a_missing_space_is_an_error_for_every_operation_even_a_waiting_one() {
    let mut spaces = Spaces::new(Limits::DEFAULT);
    let nowhere = SpaceName::new("nowhere").unwrap();
    let (any, one) = (template("(_)"), tuple("(1)"));
    for operation in [
        out("(1)"),
        rdp("(_)"),
        inp("(_)"),
        rd("(_)"),
        take("(_)"),
        Operation::Cas {
            template: any.clone(),
            tuple: one.clone(),
            lease: Lease::Forever,
        },
        Operation::Replace {
            template: any.clone(),
            tuple: one,
            lease: Lease::Forever,
        },
        Operation::RdAll {
            template: any.clone(),
            limit: 1,
            after: None,
        },
        Operation::InAll {
            template: any.clone(),
            limit: 1,
        },
        Operation::Count { template: any },
    ] {
        let applied = spaces.apply(Actor::SERVICE, &nowhere, &operation, Some(waiter(1)));
        assert_eq!(applied, Err(Refusal::NoSuchSpace), "{operation:?}");
    }
    assert_eq!(spaces.waiters(), 0);
    assert_eq!(spaces.tuples(&nowhere), 0);
}

#[test]
fn tuples_that_only_look_alike_differ() {
    let alike = [
        "(1)",
        "(\"1\")",
        "(0x\"31\")",
        "(true)",
        "([1])",
        "([\"1\"])",
        "([[1]])",
        "(1, nil)",
        "(nil, 1)",
        "(\"ab\", \"c\")",
        "(\"a\", \"bc\")",
        "([\"a\", \"b\"])",
        "(\"*\")",
        "(nil)",
        "()",
        "([])",
        "(\"\")",
        "(0x\"\")",
        "(0)",
        "(false)",
        "(\"a\")",
        "(\"a\\u{0}\")",
        "(\"01234567890123\")",
        "(\"01234567890123\\u{0}\")",
    ];
    let mut bench = Bench::holding(&alike);
    for text in alike.iter().rev() {
        assert_eq!(bench.apply(&inp(text)), matched(text));
        assert_eq!(bench.apply(&rdp(text)), NOTHING, "{text}");
    }
    assert_eq!(bench.spaces.total_tuples(), 0);
    assert_eq!(bench.spaces.total_bytes(), 0);
}

#[test]
fn equal_tuples_are_several() {
    let mut bench = Bench::holding(&["(1)", "(1)"]);
    assert_eq!(bench.apply(&inp("(1)")), matched("(1)"));
    assert_eq!(bench.apply(&inp("(1)")), matched("(1)"));
    assert_eq!(bench.apply(&inp("(1)")), NOTHING);
}

#[test]
fn the_oldest_match_is_meant_whatever_the_field_asks() {
    let mut bench = Bench::holding(&["(\"b\", 9)", "(\"ab\", 5)", "(\"aa\", 7)", "(\"b\", 1)"]);
    for (asked, found) in [
        ("(_, _)", "(\"b\", 9)"),
        ("(\"a\"*, _)", "(\"ab\", 5)"),
        ("(_, 0..8)", "(\"ab\", 5)"),
        ("(_, 6..8)", "(\"aa\", 7)"),
        ("(\"b\", ..5)", "(\"b\", 1)"),
        ("(?text, ?int)", "(\"b\", 9)"),
    ] {
        assert_eq!(bench.apply(&rdp(asked)), matched(found), "{asked}");
    }
}

#[test]
fn reading_changes_nothing_not_even_who_waits() {
    let mut bench = Bench::holding(&["(\"a\", 1)", "(\"a\", 2)"]);
    bench.wait(&rd("(\"b\", _)"), 1);
    bench.wait(&take("(\"b\", _)"), 2);
    let before = bench.content();
    for text in ["(\"a\", _)", "(\"b\", _)", "(_, _)", "(_)"] {
        let template = template(text);
        let after = Some(behind(1));
        for operation in [
            rdp(text),
            Operation::Count {
                template: template.clone(),
            },
            Operation::RdAll {
                template: template.clone(),
                limit: 1,
                after: None,
            },
            Operation::RdAll {
                template,
                limit: 5,
                after,
            },
        ] {
            assert!(operation.is_read_only());
            // Even a waiter's id does not make these wait.
            let applied =
                bench
                    .spaces
                    .apply(Actor::SERVICE, &bench.space, &operation, Some(waiter(9)));
            assert!(matches!(applied, Ok(Applied::Outcome(_))), "{operation:?}");
            assert_eq!(bench.content(), before, "{operation:?}");
        }
    }
    assert_eq!(bench.apply(&rd("(\"a\", _)")), matched("(\"a\", 1)"));
    assert_eq!(bench.apply(&rd("(\"c\")")), NOTHING);
    assert_eq!(bench.content(), before);
}

#[test]
fn one_tuple_serves_every_reader_and_the_first_taker() {
    let mut bench = Bench::new();
    bench.wait(&take("(\"job\", _)"), 1);
    bench.wait(&rd("(\"job\", ?int)"), 2);
    bench.wait(&take("(_, 7)"), 3);
    bench.wait(&rd("(_, _)"), 4);
    bench.wait(&rd("(\"other\", _)"), 5);
    bench.wait(&rd("(_)"), 6);
    assert_eq!(bench.apply(&out("(\"job\", 7)")), Outcome::Done);
    let job = || "(\"job\", 7)".to_string();
    let expected = [
        (2, OperationKind::Rd, job()),
        (4, OperationKind::Rd, job()),
        (1, OperationKind::In, job()),
    ];
    assert_eq!(bench.deliveries(), expected);
    // It was taken, so nobody sees it; and an id is used once only.
    assert_eq!(bench.apply(&rdp("(_, _)")), NOTHING);
    assert_eq!(bench.spaces.total_tuples(), 0);
    assert_eq!(bench.spaces.waiters(), 3);
    bench.apply(&out("(\"x\", 7)"));
    assert_eq!(
        bench.deliveries(),
        [(3, OperationKind::In, "(\"x\", 7)".into())]
    );
    bench.apply(&out("(\"x\", 7)"));
    assert_eq!(bench.deliveries(), []);
    assert_eq!(bench.apply(&rdp("(_, _)")), matched("(\"x\", 7)"));
}

#[test]
fn cas_and_replace_wake_waiters_too() {
    let mut bench = Bench::holding(&["(\"old\")"]);
    bench.wait(&take("(1)"), 1);
    bench.wait(&take("(2)"), 2);
    let cas = Operation::Cas {
        template: template("(1)"),
        tuple: tuple("(1)"),
        lease: Lease::Forever,
    };
    assert_eq!(bench.apply(&cas), NOTHING);
    assert_eq!(bench.deliveries(), [(1, OperationKind::In, "(1)".into())]);
    let replace = Operation::Replace {
        template: template("(\"old\")"),
        tuple: tuple("(2)"),
        lease: Lease::Forever,
    };
    assert_eq!(bench.apply(&replace), matched("(\"old\")"));
    assert_eq!(bench.deliveries(), [(2, OperationKind::In, "(2)".into())]);
    assert_eq!(bench.spaces.total_tuples(), 0);
}

#[test]
fn cas_inserts_unless_a_match_exists() {
    let mut bench = Bench::new();
    let cas = |template_: &str, tuple_: &str| Operation::Cas {
        template: template(template_),
        tuple: tuple(tuple_),
        lease: Lease::Forever,
    };
    assert_eq!(bench.apply(&cas("(\"lock\", _)", "(\"lock\", 1)")), NOTHING);
    let held = matched("(\"lock\", 1)");
    assert_eq!(bench.apply(&cas("(\"lock\", _)", "(\"lock\", 2)")), held);
    assert_eq!(bench.all("(_, _)"), ["(\"lock\", 1)"]);
    // The condition and the tuple are independent.
    assert_eq!(bench.apply(&cas("(\"gone\")", "(\"lock\", 3)")), NOTHING);
    assert_eq!(bench.all("(_, _)"), ["(\"lock\", 1)", "(\"lock\", 3)"]);
}

#[test]
fn replace_takes_the_oldest_and_inserts_the_youngest() {
    let mut bench = Bench::holding(&["(\"n\", 1)", "(\"n\", 2)"]);
    let replace = |template_: &str, tuple_: &str| Operation::Replace {
        template: template(template_),
        tuple: tuple(tuple_),
        lease: Lease::Forever,
    };
    let one = bench.apply(&replace("(\"n\", _)", "(\"n\", 3)"));
    assert_eq!(one, matched("(\"n\", 1)"));
    assert_eq!(bench.all("(_, _)"), ["(\"n\", 2)", "(\"n\", 3)"]);
    let before = bench.content();
    assert_eq!(bench.apply(&replace("(\"n\", 9)", "(\"n\", 4)")), NOTHING);
    assert_eq!(bench.content(), before);
}

#[test]
fn a_cancelled_wait_gets_no_delivery() {
    let mut bench = Bench::new();
    bench.wait(&take("(_)"), 1);
    bench.wait(&take("(_)"), 2);
    assert!(bench.spaces.cancel(waiter(1)));
    assert!(!bench.spaces.cancel(waiter(1)));
    assert!(!bench.spaces.is_waiting(waiter(1)));
    bench.apply(&out("(1)"));
    assert_eq!(bench.deliveries(), [(2, OperationKind::In, "(1)".into())]);

    for number in [3, 4, u64::MAX] {
        bench.wait(&rd("(_)"), number);
    }
    let other = WaiterId {
        owner: 2,
        number: 0,
    };
    let applied = bench
        .spaces
        .apply(Actor::SERVICE, &bench.space, &rd("(_)"), Some(other));
    assert_eq!(applied, Ok(Applied::Waiting));
    assert_eq!(bench.spaces.end_owner(1).waits.len(), 3);
    assert_eq!(bench.spaces.end_owner(1), Ended::default());
    assert!(bench.spaces.is_waiting(other));
}

#[test]
fn a_waiter_waits_once() {
    let mut bench = Bench::new();
    bench.wait(&take("(1)"), 1);
    let again = bench
        .spaces
        .apply(Actor::SERVICE, &bench.space, &rd("(2)"), Some(waiter(1)));
    assert_eq!(again, Err(Refusal::AlreadyWaiting));
    assert_eq!(bench.spaces.waiters(), 1);
}

/// The predecessor lost wake-ups when the handler of an event inserted.
#[test]
fn an_insertion_inside_a_group_wakes_and_is_undone_with_it() {
    let mut bench = Bench::new();
    bench.wait(&take("(\"first\")"), 1);
    bench.wait(&take("(\"second\")"), 2);
    let before = bench.content();

    let outer = bench.spaces.savepoint();
    bench.apply(&out("(\"first\")"));
    let inner = bench.spaces.savepoint();
    bench.apply(&out("(\"second\")"));
    assert_eq!(bench.spaces.deliveries().len(), 2);
    // The handler fails: its own effects vanish, the operation's do not.
    bench.spaces.rollback(inner);
    assert_eq!(bench.spaces.deliveries().len(), 1);
    assert!(bench.spaces.is_waiting(waiter(2)) && !bench.spaces.is_waiting(waiter(1)));
    bench.spaces.rollback(outer);
    assert_eq!(bench.content(), before);

    let outer = bench.spaces.savepoint();
    bench.apply(&out("(\"first\")"));
    let inner = bench.spaces.savepoint();
    bench.apply(&out("(\"second\")"));
    bench.spaces.commit();
    let deliveries = bench.deliveries();
    assert_eq!(
        deliveries
            .iter()
            .map(|(number, ..)| *number)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    drop((outer, inner));
}

#[test]
fn a_rollback_restores_age_waiters_ids_and_spaces() {
    let mut bench = Bench::holding(&["(\"a\", 1)", "(\"a\", 2)", "(\"a\", 3)"]);
    bench.wait(&take("(\"w\", _)"), 1);
    bench.wait(&take("(\"w\", _)"), 2);
    bench.apply(&out("(\"w\", 0)"));
    let before = bench.content();
    let savepoint = bench.spaces.savepoint();

    bench.apply(&inp("(_, 2)"));
    bench.apply(&out("(\"a\", 2)"));
    bench.apply(&out("(\"w\", 1)"));
    bench.spaces.end_owner(1);
    bench.wait(&rd("(\"z\")"), 7);
    let other = SpaceName::new("other").unwrap();
    bench.spaces.create(&other).unwrap();
    bench
        .spaces
        .apply(Actor::SERVICE, &other, &out("(1)"), None)
        .unwrap();
    assert_eq!(bench.spaces.take_deliveries().len(), 2);
    bench.apply(&Operation::InAll {
        template: template("(_, _)"),
        limit: 9,
    });
    bench.spaces.rollback(savepoint);

    assert_eq!(bench.content(), before);
    assert!(!bench.spaces.contains(&other));
    assert_eq!(
        bench.deliveries(),
        [(1, OperationKind::In, "(\"w\", 0)".into())]
    );
    assert_eq!(
        bench.all("(_, _)"),
        ["(\"a\", 1)", "(\"a\", 2)", "(\"a\", 3)"]
    );
    bench.apply(&out("(\"w\", 5)"));
    assert_eq!(
        bench.deliveries(),
        [(2, OperationKind::In, "(\"w\", 5)".into())]
    );
}

#[test]
#[should_panic(expected = "a savepoint that has ended")]
fn a_commit_ends_savepoints() {
    let mut bench = Bench::new();
    let savepoint = bench.spaces.savepoint();
    bench.apply(&out("(1)"));
    bench.spaces.commit();
    bench.spaces.rollback(savepoint);
}

#[test]
#[should_panic(expected = "a savepoint that has ended")]
fn a_rollback_ends_later_savepoints() {
    let mut bench = Bench::new();
    let outer = bench.spaces.savepoint();
    bench.apply(&out("(1)"));
    let inner = bench.spaces.savepoint();
    bench.spaces.rollback(outer);
    bench.spaces.rollback(inner);
}

#[test]
fn pages_together_are_everything_once() {
    let mut bench = Bench::new();
    for number in 0..250 {
        bench.apply(&out(&format!("(\"{}\", {number})", number % 2)));
    }
    for (asked, step) in [
        ("(_, _)", 1),
        ("(\"0\", _)", 2),
        ("(_, 0..250)", 1),
        ("(?text, 10..90)", 1),
    ] {
        let template = template(asked);
        let mut seen = Vec::new();
        let mut after = None;
        // One page more than there can be.
        for _ in 0..=250 / 7 + 1 {
            let page = bench.apply(&Operation::RdAll {
                template: template.clone(),
                limit: 7,
                after,
            });
            let Outcome::Page { tuples, next } = page else {
                panic!("no page");
            };
            assert!((1..=7).contains(&tuples.len()), "{asked}");
            seen.extend(
                tuples
                    .iter()
                    .map(|tuple| tuple.fields()[1].as_int().unwrap()),
            );
            // What is inserted meanwhile is younger than the cursor.
            after = next.map(|after| behind(after.0));
            if next.is_none() {
                break;
            }
        }
        let numbers = if asked.contains("10..90") {
            10..90
        } else {
            0..250
        };
        assert!(seen.into_iter().eq(numbers.step_by(step)), "{asked}");
    }
    let in_all = Operation::InAll {
        template: template("(\"1\", _)"),
        limit: 125,
    };
    let Outcome::Page { tuples, next } = bench.apply(&in_all) else {
        panic!("no page");
    };
    assert_eq!((tuples.len(), next), (125, None));
    assert_eq!(bench.spaces.total_tuples(), 125);
}

#[test]
fn a_page_is_bounded_in_bytes() {
    let mut bench = Bench::within(Limits {
        page_bytes: 100,
        ..Limits::DEFAULT
    });
    for number in 0..9 {
        bench.apply(&out(&format!("({number}, \"{}\")", "x".repeat(40))));
    }
    assert_eq!(bench.all("(_, _)").len(), 3);
    // One tuple always fits: a cursor never stands still.
    let mut bench = Bench::within(Limits {
        page_bytes: 0,
        ..Limits::DEFAULT
    });
    bench.apply(&out("(1)"));
    assert_eq!(bench.all("(_)").len(), 1);
}

#[test]
fn every_bound_refuses_and_what_is_refused_changes_nothing() {
    let limits = Limits {
        spaces: 1,
        tuples: 2,
        bytes: 20,
        waiters: 1,
        ..Limits::DEFAULT
    };
    let mut bench = Bench::within(limits);
    bench.apply(&out("(1)"));
    bench.wait(&take("(\"w\")"), 1);
    let before = bench.content();
    let other = SpaceName::new("t").unwrap();
    assert_eq!(bench.spaces.create(&other), Err(Refusal::TooManySpaces));
    let same = bench.space.clone();
    assert_eq!(bench.spaces.create(&same), Err(Refusal::SpaceExists));
    let large = format!("(\"{}\")", "x".repeat(20));
    assert_eq!(bench.try_apply(&out(&large)), Err(Refusal::TooManyBytes));
    let replace = Operation::Replace {
        template: template("(1)"),
        tuple: tuple(&large),
        lease: Lease::Forever,
    };
    assert_eq!(bench.try_apply(&replace), Err(Refusal::TooManyBytes));
    let wait = bench
        .spaces
        .apply(Actor::SERVICE, &bench.space, &rd("(2)"), Some(waiter(2)));
    assert_eq!(wait, Err(Refusal::TooManyWaiters));
    assert_eq!(bench.content(), before);

    bench.apply(&out("(2)"));
    let before = bench.content();
    assert_eq!(bench.try_apply(&out("(3)")), Err(Refusal::TooManyTuples));
    let cas = Operation::Cas {
        template: template("(3)"),
        tuple: tuple("(3)"),
        lease: Lease::Forever,
    };
    assert_eq!(bench.try_apply(&cas), Err(Refusal::TooManyTuples));
    assert_eq!(bench.content(), before);
    // What makes room for itself, or needs none, is admitted.
    let replace = Operation::Replace {
        template: template("(2)"),
        tuple: tuple("(3)"),
        lease: Lease::Forever,
    };
    assert_eq!(bench.apply(&replace), matched("(2)"));
    assert_eq!(bench.apply(&out("(\"w\")")), Outcome::Done);
    assert_eq!(bench.spaces.total_tuples(), 2);
}

#[test]
fn an_operation_that_would_look_at_too_much_is_refused() {
    let mut bench = Bench::within(Limits {
        candidates: 10,
        ..Limits::DEFAULT
    });
    for number in 0..30 {
        bench.apply(&out(&format!("(\"a\", \"b\", {number})")));
    }
    let before = bench.content();
    for operation in [rdp("(\"a\", ?text, 20..)"), inp("(_, _, 20..)")] {
        // An interval of its own is found at once.
        assert!(bench.try_apply(&operation).is_ok());
    }
    let late = template("(\"a\", \"b\", _)");
    assert_eq!(
        bench.apply(&rdp("(\"a\", \"b\", _)")),
        matched("(\"a\", \"b\", 0)")
    );
    let count = Operation::Count {
        template: late.clone(),
    };
    assert_eq!(bench.try_apply(&count), Err(Refusal::TooBroad));
    // A bulk read gets as far as it may and says where to go on.
    let all = Operation::RdAll {
        template: late,
        limit: 20,
        after: None,
    };
    let Outcome::Page { tuples, next } = bench.apply(&all) else {
        panic!("no page");
    };
    assert_eq!((tuples.len(), next), (10, Some(TupleId(10))));
    assert_ne!(bench.content(), before);
}

#[test]
fn refusals_have_stable_codes() {
    let codes: Vec<u16> = Refusal::ALL.into_iter().map(Refusal::code).collect();
    assert_eq!(
        codes,
        [
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19
        ]
    );
    for (index, refusal) in (0u8..).zip(Refusal::ALL) {
        assert_eq!(postcard::to_allocvec(&refusal).unwrap(), [index]);
        assert!(refusal.to_string().contains([';', ',']), "{refusal}");
    }
}

#[test]
fn operations_are_spelled_as_documented() {
    let any = || template("(_)");
    let one = || tuple("(1)");
    let after = || Some(behind(300));
    let operations = [
        (out("(1)"), "out", vec![0, 1, 2, 2, 0]),
        (rdp("(_)"), "rdp", vec![1, 1, 1]),
        (inp("(_)"), "inp", vec![2, 1, 1]),
        (rd("(_)"), "rd", vec![3, 1, 1, 0]),
        (take("(_)"), "in", vec![4, 1, 1, 0]),
        (
            Operation::Cas {
                template: any(),
                tuple: one(),
                lease: Lease::Forever,
            },
            "cas",
            vec![5, 1, 1, 1, 2, 2, 0],
        ),
        (
            Operation::Replace {
                template: any(),
                tuple: one(),
                lease: Lease::Forever,
            },
            "replace",
            vec![6, 1, 1, 1, 2, 2, 0],
        ),
        (
            Operation::RdAll {
                template: any(),
                limit: 9,
                after: after(),
            },
            "rd_all",
            vec![7, 1, 1, 9, 1, 1, b's', 0xac, 2],
        ),
        (
            Operation::InAll {
                template: any(),
                limit: 9,
            },
            "in_all",
            vec![8, 1, 1, 9],
        ),
        (Operation::Count { template: any() }, "count", vec![9, 1, 1]),
        (
            Operation::Renew {
                template: any(),
                lease_ms: 300,
            },
            "renew",
            vec![10, 1, 1, 0xac, 2],
        ),
        (
            Operation::Watch {
                template: any(),
                after: Some(300),
                limit: 9,
                within_ms: None,
            },
            "watch",
            vec![11, 1, 1, 1, 0xac, 2, 9, 0],
        ),
        (
            Operation::Survey {
                template: any(),
                limit: 9,
                after: after(),
            },
            "survey",
            vec![12, 1, 1, 9, 1, 1, b's', 0xac, 2],
        ),
        (
            Operation::OutTo {
                tuple: one(),
                lease: Lease::Forever,
                audience: Box::new(Audience {
                    readers: Some([Principal::Anyone].into()),
                    takers: None,
                }),
            },
            "out_to",
            vec![13, 1, 2, 2, 0, 1, 1, 0, 0],
        ),
    ];
    for ((operation, name, bytes), kind) in operations.into_iter().zip(OperationKind::ALL) {
        assert_eq!(postcard::to_allocvec(&operation).unwrap(), bytes);
        assert_eq!(
            postcard::from_bytes::<Operation>(&bytes),
            Ok(operation.clone())
        );
        assert_eq!(operation.kind(), kind);
        assert_eq!(kind.to_string(), name);
        assert_eq!(postcard::to_allocvec(&kind).unwrap(), bytes[..1]);
        let inserts = matches!(name, "out" | "out_to" | "cas" | "replace");
        assert_eq!(operation.tuple(), inserts.then(one).as_ref());
        let asks = !name.starts_with("out");
        assert_eq!(operation.template(), asks.then(any).as_ref());
    }
    let page = Outcome::Page {
        tuples: vec![one()],
        next: Some(TupleId(5)),
    };
    for (outcome, bytes) in [
        (Outcome::Done, vec![0]),
        (NOTHING, vec![1, 0]),
        (matched("(1)"), vec![1, 1, 1, 2, 2]),
        (page, vec![2, 1, 1, 2, 2, 1, 5]),
        (Outcome::Count(300), vec![3, 0xac, 2]),
    ] {
        assert_eq!(postcard::to_allocvec(&outcome).unwrap(), bytes);
        assert_eq!(postcard::from_bytes::<Outcome>(&bytes), Ok(outcome));
    }
}
