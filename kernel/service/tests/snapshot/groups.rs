//! Groups: all or nothing, on conditions, and what they do to those who wait.

use bezant_api::{
    Answer, Call, Condition, Group, Refused,
    limits::{MAX_GROUP_ANSWER_BYTES, MAX_GROUP_STEPS},
};
use bezant_bft::ids::SessionId;
use bezant_tuple::{Tuple, Value};
use bezant_tuplespace::{Lease, Operation, Outcome, Refusal};
use proptest::prelude::*;

use crate::fixture::{Bench, ask, inp, out, register, space, take, template, tuple};

fn put(text: &str) -> Operation {
    Operation::Out {
        tuple: tuple(text),
        lease: Lease::Forever,
    }
}

fn get(text: &str) -> Operation {
    Operation::Inp {
        template: template(text),
    }
}

fn look(text: &str) -> Operation {
    Operation::Rdp {
        template: template(text),
    }
}

fn found(text: &str) -> Outcome {
    Outcome::Match(Some(tuple(text)))
}

/// A bench with a session of client 0, and a space `a` with these tuples.
fn with(tuples: &[&str]) -> (Bench, SessionId, u64) {
    let mut bench = Bench::new();
    let session = bench.open(0, 1);
    let mut number = 0;
    for text in tuples {
        number += 1;
        bench.call((0, session, number), &out(text));
    }
    (bench, session, number)
}

/// The one answer to a group, and the bench after it.
fn run(tuples: &[&str], group: Group) -> (Answer, Bench) {
    let (mut bench, session, number) = with(tuples);
    let mut answers = bench.call((0, session, number + 1), &Call::Group(group));
    assert_eq!(answers.len(), 1, "{answers:?}");
    (answers.remove(0), bench)
}

fn tuples(bench: &Bench) -> u64 {
    bench.kernel.figures().tuples
}

#[test]
fn steps_see_what_those_before_them_did() {
    let group = Group::new()
        .act(space("a"), get("(1)"))
        .absent(space("a"), template("(1)"))
        .act(space("a"), put("(2)"))
        .present(space("a"), template("(2)"))
        .act(space("b"), put("(3)"))
        .act(space("a"), look("(?int)"));
    let (answer, bench) = run(&["(1)"], group);
    let outcomes = vec![found("(1)"), Outcome::Done, Outcome::Done, found("(2)")];
    let unmet = None;
    assert_eq!(answer, Answer::Group { unmet, outcomes });
    assert_eq!(tuples(&bench), 2);
}

/// The steps before it are undone, the space that one of them made included, and the other
/// branch begins from what was there.
#[test]
fn a_condition_that_does_not_hold_undoes_all_and_the_other_branch_runs() {
    let group = Group::new()
        .act(space("a"), get("(1)"))
        .act(space("b"), put("(3)"))
        .require(Condition::Counted {
            space: space("a"),
            template: template("(?int)"),
            at_least: 2,
            at_most: 5,
        })
        .otherwise(space("a"), look("(_)"))
        .otherwise(space("a"), put("(9)"));
    let (answer, bench) = run(&["(1)", "(2)"], group);
    let (unmet, outcomes) = (Some(2), vec![found("(1)"), Outcome::Done]);
    assert_eq!(answer, Answer::Group { unmet, outcomes });
    assert_eq!(tuples(&bench), 3);
    assert_eq!(bench.kernel.figures().spaces, 1);
}

#[test]
fn a_step_that_is_refused_undoes_all_and_is_named() {
    let refused = |step, why| Answer::GroupRefused { step, why };
    let no_space = Refused::Space(Refusal::NoSuchSpace);
    for (group, expected) in [
        (
            Group::new().act(space("nowhere"), look("(1)")),
            refused(1, no_space.clone()),
        ),
        (
            Group::new().present(space("nowhere"), template("(1)")),
            refused(1, no_space.clone()),
        ),
        (
            Group::new()
                .absent(space("a"), template("(1)"))
                .otherwise(space("a"), put("(7)"))
                .otherwise(space("nowhere"), look("(1)")),
            refused(3, no_space),
        ),
        (
            Group::new().act(
                space("a"),
                Operation::Rd {
                    template: template("(1)"),
                    within_ms: None,
                },
            ),
            refused(1, Refused::WaitInGroup),
        ),
    ] {
        let mut first = Group::new().act(space("a"), put("(5)"));
        first.steps.extend(group.steps);
        first.otherwise = group.otherwise;
        let before = with(&["(1)"]).0.kernel.figures();
        let (answer, bench) = run(&["(1)"], first);
        assert_eq!(answer, expected);
        assert_eq!(bench.kernel.figures(), before);
    }
}

#[test]
fn a_group_has_bounds() {
    let group = |steps| (0..steps).fold(Group::new(), |g, _| g.act(space("a"), look("(1)")));
    let (answer, _) = run(&["(1)"], group(MAX_GROUP_STEPS));
    assert!(matches!(answer, Answer::Group { .. }), "{answer:?}");
    let (answer, _) = run(&["(1)"], group(MAX_GROUP_STEPS + 1));
    assert_eq!(answer, Answer::Refused(Refused::GroupTooLong));

    // As many answers of a large tuple as do not fit.
    let (mut bench, session, _) = with(&[]);
    let large = Tuple::new(vec![Value::from(vec![7_u8; 60_000])]).unwrap();
    let insert = Operation::Out {
        tuple: large,
        lease: Lease::Forever,
    };
    let fits = MAX_GROUP_ANSWER_BYTES / 60_010;
    let put_it = Group::new().act(space("a"), insert);
    bench.call((0, session, 1), &Call::Group(put_it));
    let state = bench.kernel.figures();
    for (number, reads) in [(2, fits), (3, fits + 2)] {
        let mut group = Group::new().act(space("b"), put("(1)"));
        for _ in 0..reads {
            group = group.act(space("a"), look("(_)"));
        }
        let answers = bench.call((0, session, number), &Call::Group(group));
        if number == 3 {
            assert_eq!(answers, [Answer::Refused(Refused::GroupTooBroad)]);
            assert_eq!(bench.kernel.figures().tuples, state.tuples + 1);
        } else {
            assert!(matches!(answers[..], [Answer::Group { .. }]));
        }
    }
}

/// A waiter served by a group that is undone in the end waits on; one served by a group that
/// stands has its answer.
#[test]
fn deliveries_are_made_only_by_a_group_that_stands() {
    let (mut bench, session, _) = with(&[]);
    bench.call((0, session, 1), &out("(0)"));
    let other = bench.open(1, 1);
    assert!(bench.call((1, other, 1), &take("(1)")).is_empty());
    let undone = Group::new()
        .act(space("a"), put("(1)"))
        .present(space("a"), template("(1)"));
    let unmet = Some(1);
    let outcomes = Vec::new();
    assert_eq!(
        bench.call((0, session, 2), &Call::Group(undone)),
        [Answer::Group { unmet, outcomes }],
        "the waiter took it before the condition looked"
    );
    assert_eq!(bench.kernel.figures().waiters, 1);
    let stands = Group::new().act(space("a"), put("(1)"));
    let answers = bench.call((0, session, 3), &Call::Group(stands));
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert_eq!(bench.kernel.figures().waiters, 0);
}

/// An extension answers for its operation in a group too, and its failure is the group's.
#[test]
fn an_extension_runs_inside_a_group() {
    let (mut bench, session, _) = with(&["(1)"]);
    bench.call((0, session, 2), &register(1));
    let alone = bench.call((0, session, 3), &ask(1));
    let [Answer::Refused(why)] = &alone[..] else {
        panic!("{alone:?}");
    };
    let Call::Space { operation, .. } = ask(1) else {
        panic!("an operation");
    };
    let group = Group::new()
        .act(space("a"), put("(2)"))
        .act(space("a"), operation);
    let answers = bench.call((0, session, 4), &Call::Group(group));
    let why = why.clone();
    assert_eq!(answers, [Answer::GroupRefused { step: 1, why }]);
    assert!(
        bench
            .call((0, session, 5), &inp("(2)"))
            .contains(&Answer::Outcome(Outcome::Match(None)))
    );
}

fn operations() -> impl Strategy<Value = Operation> {
    let value = 0..3_i64;
    prop_oneof![
        value.clone().prop_map(|v| put(&format!("({v})"))),
        value.clone().prop_map(|v| get(&format!("({v})"))),
        value.clone().prop_map(|v| look(&format!("({v})"))),
        (value.clone(), value).prop_map(|(a, b)| Operation::Replace {
            template: template(&format!("({a})")),
            tuple: tuple(&format!("({b})")),
            lease: Lease::Forever,
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A group without conditions answers and leaves behind what its operations do one by
    /// one; one that ends with a condition that cannot hold leaves everything as it was.
    #[test]
    fn a_group_is_its_operations_or_nothing(
        first in proptest::collection::vec(operations(), 1..8),
        grouped in proptest::collection::vec(operations(), 1..8),
    ) {
        let (mut together, session, _) = with(&["(0)"]);
        let (mut apart, same, _) = with(&["(0)"]);
        let on = |operation: &Operation| Call::Space {
            space: space("a"),
            operation: operation.clone(),
        };
        let mut number = 1;
        for operation in &first {
            number += 1;
            together.call((0, session, number), &on(operation));
            apart.call((0, same, number), &on(operation));
        }
        let mut group = Group::new();
        for operation in &grouped {
            group = group.act(space("a"), operation.clone());
        }
        let before = together.kernel.figures();
        let cannot = group.clone().present(space("a"), template("(\"never\")"));
        let answers = together.call((0, session, number + 1), &Call::Group(cannot));
        let unmet = u32::try_from(grouped.len()).ok();
        let outcomes = Vec::new();
        prop_assert_eq!(answers, [Answer::Group { unmet, outcomes }]);
        prop_assert_eq!(together.kernel.figures(), before);
        let answers = together.call((0, session, number + 2), &Call::Group(group));
        let mut outcomes = Vec::new();
        for (operation, at) in grouped.iter().zip(number + 1..) {
            match &apart.call((0, same, at), &on(operation))[..] {
                [Answer::Outcome(outcome)] => outcomes.push(outcome.clone()),
                other => panic!("{other:?}"),
            }
        }
        prop_assert_eq!(answers, [Answer::Group { unmet: None, outcomes }]);
        let apart_next = number + 1 + grouped.len() as u64;
        for value in 0..3 {
            let count = Operation::Count { template: template(&format!("({value})")) };
            let seen = together.call((0, session, number + 3 + value), &on(&count));
            prop_assert_eq!(seen.len(), 1);
            prop_assert_eq!(seen, apart.call((0, same, apart_next + value), &on(&count)));
        }
    }
}
