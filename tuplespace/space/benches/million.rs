//! A million tuples beside a thousand, and ten thousand waiters beside none, in time.
//!
//! `cargo bench -p bezant-tuplespace` measures; docs/performance.md has the figures. That no
//! operation looks at more tuples than it answers with is a test (`tests/scale.rs`), which
//! no machine's mood changes; here is what the depth of the indices and the caches cost.

#![allow(clippy::panic, missing_docs, reason = "a benchmark may stop")]

use std::hint::black_box;

use bezant_tuple::{Template, Tuple, Value};
use bezant_tuplespace::{Actor, Applied, Lease, Limits, Operation, SpaceName, Spaces, WaiterId};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// The allocator of the node: what is taken after a million others is freed with it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [i64; 2] = [1_000, 1_000_000];

struct House {
    spaces: Spaces,
    space: SpaceName,
    tuples: i64,
    next: i64,
    make: fn(i64, i64) -> Tuple,
}

/// `("job", n, "worker-" + n % 1000, n * 7919 % size)`: a key, a name that a thousandth of
/// all share, and a number without order.
fn job(number: i64, size: i64) -> Tuple {
    let worker = format!("worker-{}", number % 1_000);
    let fields: Vec<Value> = vec![
        "job".into(),
        number.into(),
        worker.into(),
        (number * 7_919 % size).into(),
    ];
    Tuple::new(fields).unwrap_or_else(|limit| panic!("{limit}"))
}

/// `("element", n, nil)`: keys that ascend, as in a queue, and nothing else that differs.
fn element(number: i64, _size: i64) -> Tuple {
    let fields: Vec<Value> = vec!["element".into(), number.into(), Value::Nil];
    Tuple::new(fields).unwrap_or_else(|limit| panic!("{limit}"))
}

fn template(text: &str) -> Template {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

impl House {
    fn new(tuples: i64) -> Self {
        Self::of(tuples, job)
    }

    fn of(tuples: i64, make: fn(i64, i64) -> Tuple) -> Self {
        let mut spaces = Spaces::new(Limits::DEFAULT);
        let space = SpaceName::new("jobs").unwrap_or_else(|error| panic!("{error}"));
        spaces
            .create(&space)
            .unwrap_or_else(|error| panic!("{error}"));
        let mut house = Self {
            spaces,
            space,
            tuples,
            next: 0,
            make,
        };
        (0..tuples).for_each(|_| house.out());
        house
    }

    fn apply(&mut self, operation: &Operation, waiter: Option<WaiterId>) -> Applied {
        let applied = self
            .spaces
            .apply(Actor::SERVICE, &self.space, operation, waiter);
        applied.unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    /// Inserts the next one.
    fn out(&mut self) {
        let operation = Operation::Out {
            tuple: (self.make)(self.next, self.tuples),
            lease: Lease::Forever,
        };
        self.next += 1;
        self.apply(&operation, None);
    }

    fn rdp(&mut self, template: Template) -> Applied {
        self.apply(&Operation::Rdp { template }, None)
    }
}

fn reads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rdp");
    group.throughput(Throughput::Elements(1));
    for size in SIZES {
        let mut house = House::new(size);
        let half = size / 2;
        for (name, text) in [
            ("exact", format!("(\"job\", {half}, _, _)")),
            ("typed", "(\"job\", ?int, ?text, _)".to_owned()),
            ("range", format!("(_, {half}..{}, _, _)", half + 10)),
            ("prefix", "(_, _, \"worker-99\"*, _)".to_owned()),
        ] {
            let template = template(&text);
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| black_box(house.rdp(template.clone())));
            });
        }
    }
}

/// The oldest is taken and a new one inserted, so that there are always as many.
fn changes(criterion: &mut Criterion) {
    type Make = fn(i64, i64) -> Tuple;
    let shapes: [(&str, Make, &str); 2] = [
        ("job", job, "(\"job\", ?int, _, _)"),
        ("element", element, "(\"element\", ?int, _)"),
    ];
    let mut group = criterion.benchmark_group("inp-oldest-and-out");
    for size in SIZES {
        for (name, make, oldest) in shapes {
            let mut house = House::of(size, make);
            let oldest = template(oldest);
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| {
                    let template = oldest.clone();
                    black_box(house.apply(&Operation::Inp { template }, None));
                    house.out();
                });
            });
        }
    }
}

/// An `out` that nobody waits for, and the taking of it.
fn waiters(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("out-beside-waiters");
    for waiters in [0_u64, 10_000] {
        let mut house = House::new(1_000);
        for number in 0..waiters {
            let template = template(&format!("(\"answer\", {number}, _)"));
            let operation = Operation::In {
                template,
                within_ms: None,
            };
            let id = WaiterId {
                owner: number,
                number: 1,
            };
            house.apply(&operation, Some(id));
        }
        let oldest = template("(\"job\", ?int, _, _)");
        group.bench_function(BenchmarkId::from_parameter(waiters), |bencher| {
            bencher.iter(|| {
                let template = oldest.clone();
                black_box(house.apply(&Operation::Inp { template }, None));
                house.out();
            });
        });
    }
}

criterion_group!(million, reads, changes, waiters);
criterion_main!(million);
