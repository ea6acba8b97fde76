//! Which operations a subscription means.
//!
//! A subscription's template describes tuples. An operation that inserts a tuple
//! (`out`, `cas`, `replace`) is meant when the template matches that tuple. An
//! operation that only asks is meant when its own template is at least as specific:
//! whatever it could match, the subscription's template matches too. Otherwise an
//! extension for ("head") would also take over the template (_), which is about
//! other tuples as well.
//!
//! "At least as specific" is decided field by field, on equal arity:
//!
//! | subscription | operation's field |
//! |---|---|
//! | exact value | the same exact value |
//! | `_` | any |
//! | `?kind` | an exact value of the kind, `?kind`; a range for `?int`; a prefix for its own kind |
//! | range | an exact integer in it, or a range within it |
//! | prefix | an exact value that begins with it, or a prefix that does |

use bezant_tuple::{Field, Kind, Template, Value};
use bezant_tuplespace::Operation;

/// Whether a subscription with template `wanted` means `operation`.
#[must_use]
pub fn covers(wanted: &Template, operation: &Operation) -> bool {
    match (operation.tuple(), operation.template()) {
        (Some(tuple), _) => wanted.matches(tuple),
        (None, Some(asked)) => covers_template(wanted, asked),
        (None, None) => false,
    }
}

fn covers_template(wanted: &Template, asked: &Template) -> bool {
    wanted.arity() == asked.arity()
        && wanted
            .fields()
            .iter()
            .zip(asked.fields())
            .all(|(wanted, asked)| covers_field(wanted, asked))
}

fn covers_field(wanted: &Field, asked: &Field) -> bool {
    match (wanted, asked) {
        (_, Field::Exact(value)) => wanted.matches(value),
        (Field::Any, _) => true,
        (Field::OfKind(kind), _) => kind_of(asked) == Some(*kind),
        (
            Field::Range { from, to },
            Field::Range {
                from: asked_from,
                to: asked_to,
            },
        ) => {
            let lower = from.is_none_or(|from| asked_from.is_some_and(|asked| from <= asked));
            let upper = to.is_none_or(|to| asked_to.is_some_and(|asked| asked <= to));
            lower && upper
        }
        (Field::TextPrefix(wanted), Field::TextPrefix(asked)) => asked.starts_with(wanted.as_str()),
        (Field::BytesPrefix(wanted), Field::BytesPrefix(asked)) => asked.starts_with(wanted),
        _ => false,
    }
}

/// The only kind of value a field can match, if there is one.
fn kind_of(field: &Field) -> Option<Kind> {
    match field {
        Field::Any => None,
        Field::Exact(value) => Some(Value::kind(value)),
        Field::OfKind(kind) => Some(*kind),
        Field::Range { .. } => Some(Kind::Int),
        Field::TextPrefix(_) => Some(Kind::Text),
        Field::BytesPrefix(_) => Some(Kind::Bytes),
    }
}

#[cfg(test)]
mod tests {
    use bezant_tuple::Tuple;
    use bezant_tuplespace::Lease;
    use proptest::prelude::*;

    use super::*;

    fn template(text: &str) -> Template {
        text.parse().unwrap()
    }

    fn rdp(text: &str) -> Operation {
        Operation::Rdp {
            template: template(text),
        }
    }

    #[test]
    fn as_specific_or_more() {
        for (wanted, asked, covered) in [
            (r#"("head")"#, r#"("head")"#, true),
            (r#"("head")"#, r#"("tail")"#, false),
            (r#"("head")"#, r#"("head", 1)"#, false),
            (r#"("head")"#, "(_)", false),
            (r#"("head")"#, "(?text)", false),
            ("(_)", "(?text)", true),
            ("(_)", "(_)", true),
            ("(?int)", "(7)", true),
            ("(?int)", "(10..20)", true),
            ("(?int)", "(?text)", false),
            ("(?int)", "(_)", false),
            (r"(?text)", r#"("img/"*)"#, true),
            ("(?bytes)", r#"("img/"*)"#, false),
            ("(10..20)", "(10..20)", true),
            ("(10..20)", "(19)", true),
            ("(10..20)", "(20)", false),
            ("(10..20)", "(10..)", false),
            ("(10..)", "(15..20)", true),
            ("(..20)", "(?int)", false),
            (r#"("img/"*)"#, r#"("img/a"*)"#, true),
            (r#"("img/"*)"#, r#"("im"*)"#, false),
            (r#"("img/"*)"#, r#"("img/a")"#, true),
        ] {
            assert_eq!(
                covers(&template(wanted), &rdp(asked)),
                covered,
                "{wanted} {asked}"
            );
        }
    }

    #[test]
    fn an_inserting_operation_goes_by_its_tuple() {
        let tuple: Tuple = r#"("job", 4)"#.parse().unwrap();
        let cas = Operation::Cas {
            template: template("(_)"),
            tuple,
            lease: Lease::Forever,
        };
        assert!(covers(&template(r#"("job", ?int)"#), &cas));
        assert!(!covers(&template("(_)"), &cas));
    }

    fn fields() -> impl Strategy<Value = Field> {
        let bound = proptest::option::of(-3..4i64);
        prop_oneof![
            (-3..4i64).prop_map(|n| Field::Exact(Value::Int(n))),
            "[ab]{0,2}".prop_map(|text| Field::Exact(Value::Text(text))),
            Just(Field::Any),
            Just(Field::OfKind(Kind::Int)),
            Just(Field::OfKind(Kind::Text)),
            (bound.clone(), bound)
                .prop_filter("a range has a bound", |(from, to)| from.or(*to).is_some())
                .prop_map(|(from, to)| Field::Range { from, to }),
            "[ab]{0,2}".prop_map(Field::TextPrefix),
        ]
    }

    fn values() -> impl Strategy<Value = Value> {
        prop_oneof![
            (-4..5i64).prop_map(Value::Int),
            "[ab]{0,3}".prop_map(Value::Text),
            Just(Value::Nil),
        ]
    }

    proptest! {
        /// What "at least as specific" promises: nothing the operation could match
        /// lies outside what the subscription is about.
        #[test]
        fn a_covered_template_matches_no_more(
            wanted in proptest::collection::vec(fields(), 1..3),
            asked in proptest::collection::vec(fields(), 1..3),
            values in proptest::collection::vec(values(), 1..3),
        ) {
            let wanted = Template::new(wanted).unwrap();
            let asked = Template::new(asked).unwrap();
            let tuple = Tuple::new(values).unwrap();
            if covers(&wanted, &Operation::Rdp { template: asked.clone() }) && asked.matches(&tuple) {
                prop_assert!(wanted.matches(&tuple));
            }
        }
    }
}
