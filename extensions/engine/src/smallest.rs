//! The smallest integer at a position, found by asking for ranges.
//!
//! A tuple space finds the oldest tuple of a range in logarithmic time, but is not
//! asked for the smallest key by any operation of a client. So the key is searched for:
//! each question halves the interval it can lie in, or finds a smaller one. There are at
//! most some 130 questions, for 64-bit keys spread over their whole range; where the
//! oldest tuple has the smallest key, as in a queue that is fed in order, there are
//! three. Reading all tuples would cost as much as there are.

use bezant_tuple::{Field, Kind, Template, Tuple, Value};
use bezant_tuplespace::{Operation, Outcome, Refusal};

/// Finds the match of `template` with the smallest integer at `position`, the oldest
/// among equals, through `ask`; takes it if `take`.
pub(crate) fn search(
    mut ask: impl FnMut(Operation) -> Result<Outcome, Refusal>,
    template: &Template,
    position: usize,
    take: bool,
) -> Result<Option<Tuple>, Refusal> {
    let Some(bounds) = bounds(template, position) else {
        return Ok(None);
    };
    let mut probe = |from: i64, to: Option<i64>| {
        let template = within(template, position, from, to);
        let found = ask(Operation::Rdp { template })?;
        Ok(key(&found, position))
    };
    let Some(key) = least(&mut probe, bounds)? else {
        return Ok(None);
    };
    let template = with_field(template, position, Field::Exact(Value::Int(key)));
    let last = if take {
        Operation::Inp { template }
    } else {
        Operation::Rdp { template }
    };
    match ask(last)? {
        Outcome::Match(tuple) => Ok(tuple),
        _ => Ok(None),
    }
}

/// The interval of integers a field allows, its upper end excluded unless `None`.
type Interval = (i64, Option<i64>);

fn bounds(template: &Template, position: usize) -> Option<Interval> {
    match template.fields().get(position)? {
        Field::Any | Field::OfKind(Kind::Int) => Some((i64::MIN, None)),
        Field::Range { from, to } => Some((from.unwrap_or(i64::MIN), *to)),
        Field::Exact(Value::Int(key)) => Some((*key, key.checked_add(1))),
        _ => None,
    }
}

/// The smallest key in the interval. `probe(from, to)` gives some key in `from..to`.
fn least(
    probe: &mut impl FnMut(i64, Option<i64>) -> Result<Option<i64>, Refusal>,
    (from, to): Interval,
) -> Result<Option<i64>, Refusal> {
    let Some(mut smallest) = probe(from, to)? else {
        return Ok(None);
    };
    // No key lies in `from..lowest`; one lies at `smallest`. Downwards in growing steps
    // until nothing is found below a step, so that the distance counts, not the range.
    let mut lowest = from;
    let mut step = 1i64;
    while lowest < smallest {
        match probe(lowest, Some(smallest))? {
            None => return Ok(Some(smallest)),
            Some(key) => smallest = key,
        }
        let middle = smallest.saturating_sub(step).max(lowest);
        match probe(lowest, Some(middle))? {
            Some(key) => {
                smallest = key;
                step = step.saturating_mul(4);
            }
            None => {
                lowest = middle;
                break;
            }
        }
    }
    while lowest < smallest {
        // Rounded down, and so below `smallest`: its successor is an integer.
        let middle = lowest.saturating_add_unsigned(smallest.abs_diff(lowest) / 2);
        match probe(lowest, Some(middle.saturating_add(1)))? {
            Some(key) => smallest = key,
            None => lowest = middle.saturating_add(1),
        }
    }
    Ok(Some(smallest))
}

fn key(found: &Outcome, position: usize) -> Option<i64> {
    match found {
        Outcome::Match(Some(tuple)) => match tuple.get(position) {
            Some(Value::Int(key)) => Some(*key),
            _ => None,
        },
        _ => None,
    }
}

fn within(template: &Template, position: usize, from: i64, to: Option<i64>) -> Template {
    let field = if (from, to) == (i64::MIN, None) {
        Field::OfKind(Kind::Int)
    } else {
        Field::Range {
            from: Some(from),
            to,
        }
    };
    with_field(template, position, field)
}

fn with_field(template: &Template, position: usize, field: Field) -> Template {
    let mut fields = template.fields().to_vec();
    if let Some(place) = fields.get_mut(position) {
        *place = field;
    }
    // A template at its longest may outgrow the limit by the length of an integer; the
    // search then finds what the template itself would: nothing but what it names.
    Template::new(fields).unwrap_or_else(|_| template.clone())
}

#[cfg(test)]
mod tests {
    use bezant_tuplespace::{Actor, Applied, Lease, Limits, SpaceName, Spaces};
    use proptest::prelude::*;

    use super::*;

    fn space(tuples: &[Tuple]) -> (Spaces, SpaceName) {
        let mut spaces = Spaces::new(Limits::default());
        let name = SpaceName::new("q").unwrap();
        spaces.create(&name).unwrap();
        for tuple in tuples.iter().cloned() {
            spaces
                .apply(
                    Actor::SERVICE,
                    &name,
                    &Operation::Out {
                        tuple,
                        lease: Lease::Forever,
                    },
                    None,
                )
                .unwrap();
        }
        (spaces, name)
    }

    /// What was found, by how many questions, and how many tuples are left.
    struct Search {
        tuple: Option<Tuple>,
        questions: u32,
        left: u64,
    }

    fn find(tuples: &[Tuple], template: &Template, position: usize, take: bool) -> Search {
        let (mut spaces, name) = space(tuples);
        let mut questions = 0;
        let ask = |operation| {
            questions += 1;
            match spaces.apply(Actor::SERVICE, &name, &operation, None)? {
                Applied::Outcome(outcome) => Ok(outcome),
                Applied::Waiting => panic!("nothing waits here"),
            }
        };
        let tuple = search(ask, template, position, take).unwrap();
        Search {
            tuple,
            questions,
            left: spaces.total_tuples(),
        }
    }

    /// What the search must find: by looking at every tuple.
    fn plain(tuples: &[Tuple], template: &Template, position: usize) -> Option<Tuple> {
        let mut best: Option<(i64, &Tuple)> = None;
        for tuple in tuples.iter().filter(|tuple| template.matches(tuple)) {
            if let Some(Value::Int(key)) = tuple.get(position)
                && best.is_none_or(|(smallest, _)| *key < smallest)
            {
                best = Some((*key, tuple));
            }
        }
        best.map(|(_, tuple)| tuple.clone())
    }

    fn element(key: i64, payload: &str) -> Tuple {
        Tuple::new(vec!["element".into(), key.into(), payload.into()]).unwrap()
    }

    fn template(text: &str) -> Template {
        text.parse().unwrap()
    }

    #[test]
    fn the_oldest_among_equal_keys() {
        let tuples = [element(7, "c"), element(3, "a"), element(3, "b")];
        let found = find(&tuples, &template(r#"("element", ?int, _)"#), 1, true);
        assert_eq!(found.tuple, Some(element(3, "a")));
        assert_eq!(found.left, 2);
    }

    #[test]
    fn extreme_keys_are_found() {
        for key in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
            let tuples = [element(i64::MAX, "z"), element(key, "a")];
            let found = find(&tuples, &template(r#"("element", _, _)"#), 1, false);
            assert_eq!(found.tuple.unwrap().get(1), Some(&Value::Int(key)));
        }
    }

    #[test]
    fn fields_without_integers_have_no_smallest() {
        let tuples = [element(1, "a")];
        for text in [r#"("element", 1, "a")"#, r#"("element", ?text, _)"#] {
            assert_eq!(find(&tuples, &template(text), 2, false).tuple, None);
        }
    }

    #[test]
    fn a_queue_fed_in_order_needs_three_questions() {
        let tuples: Vec<_> = (0..1000).map(|key| element(key, "x")).collect();
        let found = find(&tuples, &template(r#"("element", ?int, _)"#), 1, false);
        assert_eq!((found.tuple, found.questions), (Some(element(0, "x")), 3));
    }

    #[test]
    fn the_worst_order_needs_few_questions() {
        let falling: Vec<_> = (0..5000).map(|key| element(5000 - key, "x")).collect();
        let found = find(&falling, &template(r#"("element", ?int, _)"#), 1, false);
        assert_eq!(found.tuple, Some(element(1, "x")));
        assert!(found.questions < 60, "{} questions", found.questions);
        let spread: Vec<_> = (0..2000i64)
            .map(|n| element(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64), "x"))
            .collect();
        let found = find(&spread, &template(r#"("element", ?int, _)"#), 1, false);
        assert_eq!(
            found.tuple,
            plain(&spread, &template(r#"("element", _, _)"#), 1)
        );
        assert!(found.questions < 140, "{} questions", found.questions);
    }

    proptest! {
        #[test]
        fn it_finds_what_a_scan_finds(
            keys in proptest::collection::vec(prop_oneof![-5..6i64, any::<i64>()], 0..40),
            (from, to) in (proptest::option::of(-6..6i64), proptest::option::of(-6..6i64)),
            take in any::<bool>(),
        ) {
            let tuples: Vec<_> = keys
                .iter()
                .enumerate()
                .map(|(n, key)| element(*key, &n.to_string()))
                .collect();
            let field = match (from, to) {
                (None, None) => Field::Any,
                (from, to) => Field::Range { from, to },
            };
            let template = Template::new(vec![Field::Any, field, Field::Any]).unwrap();
            let found = find(&tuples, &template, 1, take);
            let expected = plain(&tuples, &template, 1);
            let taken = u64::from(take && expected.is_some());
            prop_assert_eq!(found.left, tuples.len() as u64 - taken);
            prop_assert_eq!(found.tuple, expected);
        }
    }
}
