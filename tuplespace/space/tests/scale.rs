//! A hundred thousand tuples feel like a hundred: measured in tuples and waiters
//! looked at, which no machine's mood changes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

use bezant_tuple::{Template, Tuple, Value, codec::Reader};
use bezant_tuplespace::{
    Actor, Applied, Cursor, Lease, Limits, Operation, Outcome, Parts, Refusal, SpaceName, Spaces,
    WaiterId,
};

const MANY: i64 = 100_000;

struct Bench {
    spaces: Spaces,
    space: SpaceName,
}

impl Bench {
    /// Holds `("job", n, "worker-of-the-house-" + n % 1000, n * 7919 % MANY)`
    /// for every n up to `MANY`.
    fn new() -> Self {
        let mut bench = Self::empty();
        for number in 0..MANY {
            bench.out(job(number));
        }
        bench
    }

    fn empty() -> Self {
        let mut spaces = Spaces::new(Limits::DEFAULT);
        let space = SpaceName::new("jobs").unwrap();
        spaces.create(&space).unwrap();
        Self { spaces, space }
    }

    fn apply(&mut self, operation: &Operation, waiter: Option<WaiterId>) -> Applied {
        self.spaces
            .apply(Actor::SERVICE, &self.space, operation, waiter)
            .unwrap()
    }

    fn out(&mut self, tuple: Tuple) {
        self.apply(
            &Operation::Out {
                tuple,
                lease: Lease::Forever,
            },
            None,
        );
    }

    /// Applies an operation and says how much it looked at.
    fn cost(&mut self, operation: &Operation) -> (Outcome, u64) {
        let before = self.spaces.examined();
        match self.apply(operation, None) {
            Applied::Outcome(outcome) => (outcome, self.spaces.examined() - before),
            Applied::Waiting => panic!("nobody was to wait"),
        }
    }
}

fn job(number: i64) -> Tuple {
    let worker = format!("worker-of-the-house-{}", number % 1_000);
    let scattered = number * 7_919 % MANY;
    let fields: Vec<Value> = vec!["job".into(), number.into(), worker.into(), scattered.into()];
    Tuple::new(fields).unwrap()
}

fn template(text: &str) -> Template {
    text.parse().unwrap()
}

#[test]
fn reads_do_not_scan() {
    let mut bench = Bench::new();
    // One of another kind far behind, which only an index over kinds finds.
    bench.out("(\"job\", nil, nil, 5)".parse().unwrap());
    for (asked, most) in [
        ("(\"job\", 77777, _, _)", 1),
        ("(_, _, \"worker-of-the-house-777\", _)", 1),
        ("(\"job\", _, \"worker-of-the-house-777\", 53063)", 1),
        ("(\"job\", _, _, _)", 1),
        ("(\"job\", ?nil, _, _)", 1),
        ("(\"job\", 70000..90000, _, _)", 1),
        ("(_, _, _, 40000..60000)", 1),
        ("(_, 99990.., _, _)", 1),
        ("(_, _, \"worker-of-the-house-99\"*, _)", 1),
        ("(\"job\", 50000..50010, _, 0..99990)", 10),
        ("(\"none\", _, _, _)", 0),
        ("(\"job\", -5..0, _, _)", 0),
        ("(_, ?bytes, _, _)", 0),
        ("(\"job\", 5, _, _, _)", 0),
    ] {
        let template = template(asked);
        let (outcome, cost) = bench.cost(&Operation::Rdp { template });
        assert!(cost <= most, "{asked}: {cost}");
        assert_eq!(
            matches!(outcome, Outcome::Match(Some(_))),
            most > 0,
            "{asked}"
        );
    }
    for (asked, count) in [
        ("(_, _, _, _)", MANY + 1),
        ("(\"job\", _, _, _)", MANY + 1),
        ("(_, 10..20, _, _)", 10),
        ("(_, ?int, _, _)", MANY),
        ("(_, _, \"worker-of-the-house-99\"*, _)", MANY / 1_000 * 11),
    ] {
        let template = template(asked);
        let (outcome, cost) = bench.cost(&Operation::Count { template });
        assert_eq!(
            (outcome, cost),
            (Outcome::Count(count.unsigned_abs()), 0),
            "{asked}"
        );
    }
}

/// Ids are counted over all spaces, so that one of another space would skip what is here.
#[test]
fn a_cursor_goes_on_in_its_own_space_only() {
    let mut bench = Bench::empty();
    bench.out(job(1));
    for (cursor, result) in [
        ("jobs:0", Ok(())),
        ("other:0", Err(Refusal::CursorOfAnotherSpace)),
    ] {
        let (template, limit) = (template("(_, _, _, _)"), 9);
        let after: Option<Cursor> = Some(cursor.parse().unwrap());
        let operations = [
            Operation::RdAll {
                template: template.clone(),
                limit,
                after: after.clone(),
            },
            Operation::Survey {
                template,
                limit,
                after,
            },
        ];
        for operation in operations {
            let space = bench.space.clone();
            let applied = bench.spaces.apply(Actor::SERVICE, &space, &operation, None);
            assert_eq!(applied.map(drop), result, "{cursor}");
        }
    }
}

#[test]
fn the_cursor_of_a_bulk_read_skips_without_looking() {
    let mut bench = Bench::new();
    let template = template("(\"job\", _, _, _)");
    let mut after = None;
    let mut read = 0;
    // One page more than there can be.
    for _ in 0..=MANY / 1_000 {
        let operation = Operation::RdAll {
            template: template.clone(),
            limit: 1_000,
            after,
        };
        let (outcome, cost) = bench.cost(&operation);
        let Outcome::Page { tuples, next } = outcome else {
            panic!("no page");
        };
        assert!(cost <= tuples.len() as u64 + 1);
        read += tuples.len();
        let space = bench.space.clone();
        after = next.map(|after| Cursor { space, after });
        if after.is_none() {
            break;
        }
    }
    assert_eq!(read as i64, MANY);
}

#[test]
fn taking_the_oldest_does_not_scan() {
    let mut bench = Bench::new();
    for (asked, rounds) in [
        ("(\"job\", _, _, _)", 10_000),
        ("(_, ?int, _, _)", 10_000),
        ("(_, _, _, 0..90000)", 10_000),
        ("(_, _, \"worker\"*, _)", 10_000),
    ] {
        let template = template(asked);
        for _ in 0..rounds {
            let template = template.clone();
            let (outcome, cost) = bench.cost(&Operation::Inp { template });
            assert!(matches!(outcome, Outcome::Match(Some(_))));
            assert_eq!(cost, 1, "{asked}");
        }
    }
    for number in (60_000..MANY).rev() {
        let template = Template::exact(job(number));
        let (outcome, cost) = bench.cost(&Operation::Inp { template });
        // Some were taken above.
        assert!(cost <= 1);
        drop(outcome);
    }
}

/// A thousand clients, each waiting for an answer of its own.
#[test]
fn unrelated_waiters_are_not_asked() {
    let mut bench = Bench::empty();
    for number in 0..1_000u64 {
        let id = WaiterId {
            owner: number,
            number: 1,
        };
        let asked = match number % 4 {
            0 => format!("(\"answer\", {number}, _)"),
            1 => format!("(_, {number}, ?text)"),
            2 => format!("(\"answer\", ?int, \"{number}\")"),
            _ => format!("(\"answer\", {number}, _, _)"),
        };
        let template = template(&asked);
        let operation = if number % 2 == 0 {
            Operation::In {
                template,
                within_ms: None,
            }
        } else {
            Operation::Rd {
                template,
                within_ms: None,
            }
        };
        assert_eq!(bench.apply(&operation, Some(id)), Applied::Waiting);
    }
    for (text, most, deliveries) in [
        ("(\"unrelated\", 5000, \"x\")", 0, 0),
        ("(\"answer\", 5000, \"x\")", 0, 0),
        ("(\"answer\")", 0, 0),
        ("(\"answer\", 4, nil)", 1, 1),
        ("(\"answer\", 5, \"6\")", 2, 2),
        ("(\"answer\", 7, nil, nil)", 1, 1),
    ] {
        let tuple = text.parse().unwrap();
        let (_, cost) = bench.cost(&Operation::Out {
            tuple,
            lease: Lease::Forever,
        });
        assert!(cost <= most, "{text}: {cost}");
        assert_eq!(bench.spaces.take_deliveries().len(), deliveries, "{text}");
    }
}

/// A thousand workers at one counter: the first gets a delivery, the others not asked.
#[test]
fn waiters_in_a_queue_are_asked_in_turn() {
    let mut bench = Bench::empty();
    let any = template("(\"job\", ?int, _, _)");
    for number in 0..1_000 {
        let id = WaiterId { owner: 1, number };
        let template = any.clone();
        let applied = bench.apply(
            &Operation::In {
                template,
                within_ms: None,
            },
            Some(id),
        );
        assert_eq!(applied, Applied::Waiting);
    }
    for number in 0..1_000 {
        let tuple = job(number);
        let (_, cost) = bench.cost(&Operation::Out {
            tuple,
            lease: Lease::Forever,
        });
        assert_eq!(cost, 1);
        let deliveries = bench.spaces.take_deliveries();
        assert_eq!(deliveries.len(), 1);
        assert_eq!(deliveries[0].waiter.number, number.unsigned_abs());
    }
    assert_eq!(bench.spaces.waiters(), 0);
}

/// What a snapshot costs is what changed since the one before, not what there is.
#[test]
fn a_snapshot_encodes_what_changed() {
    let mut bench = Bench::new();
    let other = SpaceName::new("other").unwrap();
    bench.spaces.create(&other).unwrap();
    let mut bytes = Vec::new();
    let mut anew = |bench: &Bench| {
        let mut parts = Parts::default();
        let anew = bench.spaces.encode_into(&mut parts);
        bytes = parts.content();
        anew
    };
    assert_eq!(anew(&bench), MANY as u64);
    assert_eq!(anew(&bench), 0, "nothing changed");
    let template = template("(\"job\", 77777, _, _)");
    bench.cost(&Operation::Rdp {
        template: template.clone(),
    });
    assert_eq!(anew(&bench), 0, "a read changes nothing");
    // One page of 256 ids, however many tuples there are.
    let (taken, _) = bench.cost(&Operation::Inp { template });
    assert_ne!(taken, Outcome::Match(None));
    assert_eq!(anew(&bench), 255);
    for number in 0..1_000 {
        bench.out(job(MANY + number));
    }
    let appended = anew(&bench);
    assert!((1_000..1_000 + 256).contains(&appended), "{appended}");
    let tuple = job(1);
    let operation = Operation::Out {
        tuple,
        lease: Lease::Forever,
    };
    bench
        .spaces
        .apply(Actor::SERVICE, &other, &operation, None)
        .unwrap();
    assert_eq!(anew(&bench), 1, "the other space was not touched");
    // What is undone has changed twice.
    let before = bench.spaces.savepoint();
    let template = self::template("(\"job\", 5, _, _)");
    bench.cost(&Operation::Inp { template });
    assert_eq!(anew(&bench), 254);
    bench.spaces.rollback(before);
    assert_eq!(anew(&bench), 255);
    let mut fresh = Parts::default();
    let restored = Spaces::decode(Limits::DEFAULT, 0, |_| None, &mut Reader::new(&bytes)).unwrap();
    assert_eq!(restored.encode_into(&mut fresh), MANY as u64 + 1_000);
    assert!(fresh.content() == bytes);
}
