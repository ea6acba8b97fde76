//! The recipes: each gives what the plain algorithm gives, in one call.
//!
//! With `BEZANT_RECIPE_MODULES` naming a folder, the modules in it are tested instead of
//! the committed ones; `cargo xtask recipes check` does so with freshly built ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test may read files and look at the clock; the crate itself may not"
)]

mod common;

use std::time::Instant;

use bezant_extensions::recipes::{self, Recipe};
use bezant_extensions::{CallReport, Conclusion, Engine, Registry, check_extension};
use bezant_manifest::FailureCode;
use bezant_tuple::{Field, Kind, Template, Tuple, Value};
use bezant_tuplespace::{Lease, Operation, Outcome, Spaces};
use common::{HostContext, content, invocation, name, plain, spaces, template, tuple};
use proptest::prelude::*;

const ME: [u8; 32] = [0xab; 32];

/// The recipe, with the module under test.
fn under_test(recipe: Recipe) -> (bezant_manifest::Manifest, Vec<u8>) {
    let fresh = std::env::var_os("BEZANT_RECIPE_MODULES").map(|folder| {
        let file = format!("{}.wasm", recipe.manifest.name);
        let path = std::path::Path::new(&folder).join(file);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    });
    (
        recipe.manifest,
        fresh.unwrap_or_else(|| recipe.module.to_vec()),
    )
}

/// The service in miniature, with one recipe registered.
struct Service {
    spaces: Spaces,
    registry: Registry,
    engine: Engine,
}

impl Service {
    fn with(recipe: Recipe) -> Self {
        let (manifest, module) = under_test(recipe);
        let mut registry = Registry::new();
        registry.register(ME, manifest, module).unwrap();
        Self {
            spaces: spaces(&["s"]),
            registry,
            engine: Engine::new(),
        }
    }

    fn counter() -> Self {
        Self::with(recipes::counter(&name("s")))
    }

    fn queue() -> Self {
        Self::with(recipes::queue(&name("s")))
    }

    /// Does what the service does: the extension instead of the operation, or the
    /// operation itself if none means it.
    fn ask(&mut self, operation: &Operation) -> (Result<Outcome, FailureCode>, u64) {
        let here = name("s");
        let Some(found) = self.registry.find(&ME, &here, operation) else {
            return (Ok(plain(&mut self.spaces, "s", operation)), 0);
        };
        let compiled = self.engine.compiled(found.extension).unwrap();
        let before = self.spaces.savepoint();
        let mut host_context = HostContext {
            spaces: &mut self.spaces,
            log: Vec::new(),
        };
        let CallReport { result, fuel_used } = self
            .engine
            .call(
                &compiled,
                &found.extension.manifest,
                &found.subscription.entry,
                invocation(&here, operation),
                &mut host_context,
            )
            .unwrap();
        if result.is_err() {
            self.spaces.rollback(before);
        } else {
            self.spaces.commit();
        }
        (answer(result), fuel_used)
    }
}

/// What a call answered.
fn answer(result: Result<Conclusion, FailureCode>) -> Result<Outcome, FailureCode> {
    result.map(|conclusion| match conclusion {
        Conclusion::Answered(outcome) => outcome,
        other => panic!("no answer: {other:?}"),
    })
}

fn inp(text: &str) -> Operation {
    Operation::Inp {
        template: template(text),
    }
}

/// All tuples of the space, in text, sorted.
fn tuples(spaces: &mut Spaces, arity: usize) -> Vec<String> {
    let template = Template::new(vec![Field::Any; arity]).unwrap();
    let all = Operation::RdAll {
        template,
        limit: 1000,
        after: None,
    };
    let Outcome::Page { tuples, .. } = plain(spaces, "s", &all) else {
        panic!("a page");
    };
    let mut texts: Vec<_> = tuples.iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

#[test]
fn the_modules_pass_their_check_and_are_small() {
    for recipe in recipes::ALL {
        let (manifest, module) = under_test(recipe.in_space(&name("s")));
        let checked = check_extension(&manifest, &module).unwrap();
        assert_eq!(checked.memory_pages, 1);
        println!(
            "{}: {} bytes, imports {:?}",
            manifest.name,
            module.len(),
            checked.imports
        );
        assert!(
            module.len() < 12_288,
            "{} has {} bytes",
            manifest.name,
            module.len()
        );
    }
}

#[test]
fn the_committed_manifests_are_the_generated_ones() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../recipes");
    for recipe in recipes::ALL {
        let file = format!("{folder}/{0}/{0}.manifest", recipe.name);
        assert_eq!(
            recipe.in_space(&name(recipe.name)).manifest.encode(),
            std::fs::read(&file).unwrap(),
            "run the example recipe_manifests again"
        );
    }
}

#[test]
fn a_counter_counts() {
    let mut service = Service::counter();
    let mut increment = |by: i64| {
        service
            .ask(&inp(&format!(r#"("increment", "hits", {by})"#)))
            .0
    };
    let value = |text: &str| Ok(Outcome::Match(Some(tuple(text))));
    assert_eq!(increment(1), value(r#"("counter", "hits", 1)"#));
    assert_eq!(increment(41), value(r#"("counter", "hits", 42)"#));
    assert_eq!(increment(-50), value(r#"("counter", "hits", -8)"#));
    assert_eq!(
        tuples(&mut service.spaces, 3),
        [r#"("counter", "hits", -8)"#]
    );
}

#[test]
fn a_counter_refuses_what_it_cannot_do() {
    let mut service = Service::counter();
    let most = format!(r#"("increment", "hits", {})"#, i64::MAX);
    service.ask(&inp(&most)).0.unwrap();
    let before = content(&service.spaces);
    for (text, code) in [
        (r#"("increment", "hits", 1)"#, 2),
        (r#"("increment", ?text, 1)"#, 1),
        (r#"("increment", "hits", ?int)"#, 1),
        (r#"("increment", "hits", 1..9)"#, 1),
    ] {
        assert_eq!(
            service.ask(&inp(text)).0,
            Err(FailureCode::Refused(code)),
            "{text}"
        );
        assert_eq!(content(&service.spaces), before, "{text}");
    }
    // Not meant by the subscription: the plain operation, which finds nothing.
    assert_eq!(
        service.ask(&inp(r#"("increment", "hits")"#)).0,
        Ok(Outcome::Match(None))
    );
}

#[test]
fn a_long_name_is_counted_too() {
    let mut service = Service::counter();
    let long = "x".repeat(20_000);
    let (result, fuel) = service.ask(&inp(&format!(r#"("increment", "{long}", 1)"#)));
    assert!(matches!(result, Ok(Outcome::Match(Some(_)))), "{result:?}");
    let again = service.ask(&inp(&format!(r#"("increment", "{long}", 1)"#)));
    assert_eq!(
        again.0,
        Ok(Outcome::Match(Some(tuple(&format!(
            r#"("counter", "{long}", 2)"#
        )))))
    );
    println!("a name of 20000 bytes: {fuel} fuel");
    assert!(fuel < 500_000);
}

#[test]
fn a_queue_gives_its_smallest_first_and_equals_in_order() {
    let mut service = Service::queue();
    assert_eq!(service.ask(&inp(r#"("head")"#)).0, Ok(Outcome::Match(None)));
    for text in [
        r#"("element", 7, "d")"#,
        r#"("element", -3, "b")"#,
        r#"("element", -3, "c")"#,
        r#"("element", -9, "a")"#,
    ] {
        let out = Operation::Out {
            tuple: tuple(text),
            lease: Lease::Forever,
        };
        service.ask(&out).0.unwrap();
    }
    let read = Operation::Rdp {
        template: template(r#"("head")"#),
    };
    let head = Ok(Outcome::Match(Some(tuple(r#"("element", -9, "a")"#))));
    assert_eq!(service.ask(&read).0, head, "reading");
    for payload in ["a", "b", "c", "d"] {
        let Ok(Outcome::Match(Some(element))) = service.ask(&inp(r#"("head")"#)).0 else {
            panic!("an element for {payload}");
        };
        assert_eq!(element.get(2), Some(&Value::from(payload)));
    }
    assert_eq!(service.ask(&inp(r#"("head")"#)).0, Ok(Outcome::Match(None)));
}

#[test]
fn a_full_sized_element_passes_through() {
    let mut service = Service::queue();
    let payload = vec![7u8; 65_000];
    let element = Tuple::new(vec!["element".into(), 1.into(), payload.into()]).unwrap();
    service
        .ask(&Operation::Out {
            tuple: element.clone(),
            lease: Lease::Forever,
        })
        .0
        .unwrap();
    let (result, fuel) = service.ask(&inp(r#"("head")"#));
    assert_eq!(result, Ok(Outcome::Match(Some(element))));
    println!("an element of 65000 bytes: {fuel} fuel");
    assert!(fuel < 500_000);
}

/// The plain algorithm of the paper: read, then replace on condition that nobody else has.
fn increment_plainly(spaces: &mut Spaces, counter: &str, by: i64) -> Outcome {
    let current = Template::new(vec![
        "counter".into(),
        counter.into(),
        Field::OfKind(Kind::Int),
    ])
    .unwrap();
    let tuple_of =
        |value: i64| Tuple::new(vec!["counter".into(), counter.into(), value.into()]).unwrap();
    let read = plain(
        spaces,
        "s",
        &Operation::Rdp {
            template: current.clone(),
        },
    );
    let Outcome::Match(Some(old)) = read else {
        let tuple = tuple_of(by);
        plain(
            spaces,
            "s",
            &Operation::Cas {
                template: current,
                tuple: tuple.clone(),
                lease: Lease::Forever,
            },
        );
        return Outcome::Match(Some(tuple));
    };
    let Some(Value::Int(value)) = old.get(2) else {
        panic!("a counter")
    };
    let tuple = tuple_of(value + by);
    plain(
        spaces,
        "s",
        &Operation::Replace {
            template: old.into(),
            tuple: tuple.clone(),
            lease: Lease::Forever,
        },
    );
    Outcome::Match(Some(tuple))
}

/// The plain algorithm of the paper: read all, sort, take.
fn head_plainly(spaces: &mut Spaces) -> Outcome {
    let all = Operation::RdAll {
        template: template(r#"("element", ?int, _)"#),
        limit: 1000,
        after: None,
    };
    let Outcome::Page { tuples, .. } = plain(spaces, "s", &all) else {
        panic!("a page")
    };
    let smallest = tuples.into_iter().min_by_key(|tuple| match tuple.get(1) {
        Some(Value::Int(key)) => *key,
        _ => panic!("a key"),
    });
    match smallest {
        Some(tuple) => plain(
            spaces,
            "s",
            &Operation::Inp {
                template: tuple.into(),
            },
        ),
        None => Outcome::Match(None),
    }
}

proptest! {
    #[test]
    fn counters_count_as_the_plain_algorithm_does(
        steps in proptest::collection::vec((0..3usize, -1000..1000i64), 1..30),
    ) {
        let mut service = Service::counter();
        let mut model = spaces(&["s"]);
        for (which, by) in steps {
            let counter = ["a", "b", "ä"][which];
            let (got, _) = service.ask(&inp(&format!(r#"("increment", "{counter}", {by})"#)));
            prop_assert_eq!(got, Ok(increment_plainly(&mut model, counter, by)));
            prop_assert_eq!(tuples(&mut service.spaces, 3), tuples(&mut model, 3));
        }
    }

    #[test]
    fn queues_order_as_the_plain_algorithm_does(
        steps in proptest::collection::vec(proptest::option::of(prop_oneof![-4..5i64, any::<i64>()]), 1..40),
    ) {
        let mut service = Service::queue();
        let mut model = spaces(&["s"]);
        for (number, key) in steps.into_iter().enumerate() {
            match key {
                Some(key) => {
                    let payload = i64::try_from(number).unwrap();
                    let tuple = Tuple::new(vec!["element".into(), key.into(), payload.into()]).unwrap();
                    let out = Operation::Out { tuple, lease: Lease::Forever };
                    service.ask(&out).0.unwrap();
                    plain(&mut model, "s", &out);
                }
                None => {
                    let (got, _) = service.ask(&inp(r#"("head")"#));
                    prop_assert_eq!(got, Ok(head_plainly(&mut model)));
                }
            }
            prop_assert_eq!(tuples(&mut service.spaces, 3), tuples(&mut model, 3));
        }
    }
}

/// The work of one call does not grow with the queue.
#[test]
fn the_head_of_a_long_queue_costs_what_that_of_a_short_one_does() {
    let fuel_at = |length: i64| {
        let mut service = Service::queue();
        for key in 0..length {
            let tuple = Tuple::new(vec!["element".into(), key.into(), "x".into()]).unwrap();
            service
                .ask(&Operation::Out {
                    tuple,
                    lease: Lease::Forever,
                })
                .0
                .unwrap();
        }
        service.ask(&inp(r#"("head")"#)).1
    };
    let (short, long) = (fuel_at(10), fuel_at(3000));
    println!("fuel of a head: {short} of 10 elements, {long} of 3000");
    assert!(
        long <= short * 2,
        "{short} fuel for 10 elements, {long} for 3000"
    );
}

/// Prints what a call costs here; run with `--release -- --nocapture` for figures.
#[test]
fn a_call_is_timed() {
    const CALLS: u32 = 2000;
    let mut service = Service::counter();
    let increment = inp(r#"("increment", "hits", 1)"#);
    let start = Instant::now();
    let mut fuel = 0;
    for _ in 0..CALLS {
        fuel = service.ask(&increment).1;
    }
    println!("counter: {:?} a call, {fuel} fuel", start.elapsed() / CALLS);
    let expected = tuple(&format!(r#"("counter", "hits", {CALLS})"#));
    let read = Operation::Rdp {
        template: template(r#"("counter", "hits", _)"#),
    };
    assert_eq!(
        plain(&mut service.spaces, "s", &read),
        Outcome::Match(Some(expected))
    );

    let mut service = Service::queue();
    for key in 0..1000i64 {
        let key = (key * 7919) % 1000;
        let tuple = Tuple::new(vec!["element".into(), key.into(), "x".into()]).unwrap();
        service
            .ask(&Operation::Out {
                tuple,
                lease: Lease::Forever,
            })
            .0
            .unwrap();
    }
    let head = inp(r#"("head")"#);
    let start = Instant::now();
    for key in 0..1000i64 {
        let (result, used) = service.ask(&head);
        let Ok(Outcome::Match(Some(element))) = result else {
            panic!("{result:?}")
        };
        assert_eq!(element.get(1), Some(&Value::Int(key)));
        fuel = used;
    }
    println!(
        "queue of 1000 in random order: {:?} a head, {fuel} fuel",
        start.elapsed() / 1000
    );
}
