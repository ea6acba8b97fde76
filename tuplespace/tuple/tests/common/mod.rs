//! Random values, tuples and templates within the limits.

use bezant_tuple::{Field, Kind, Template, Tuple, Value};
use proptest::prelude::*;

/// Integers with their edges, where varints and ranges go wrong.
pub(crate) fn int() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        -3i64..4,
        prop_oneof![
            Just(i64::MIN),
            Just(i64::MAX),
            Just(63),
            Just(64),
            Just(-64),
            Just(-65)
        ],
    ]
}

/// Text with everything that printing must escape.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c/]{0,4}",
        any::<String>(),
        "[\"\\\\\n\r\t\u{0}\u{7f}\u{a0}\u{200b}\u{202e}\u{2066}\u{feff}*_?.]{0,6}",
        "[x]{120,140}",
    ]
}

pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..20)
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        int().prop_map(Value::Int),
        text().prop_map(Value::Text),
        bytes().prop_map(Value::Bytes),
    ];
    scalar.prop_recursive(8, 40, 4, |inner| {
        prop::collection::vec(inner, 0..4).prop_map(Value::List)
    })
}

pub(crate) fn tuple() -> impl Strategy<Value = Tuple> {
    prop::collection::vec(value(), 0..6).prop_map(|fields| Tuple::new(fields).unwrap())
}

pub(crate) fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL.to_vec())
}

pub(crate) fn field() -> impl Strategy<Value = Field> {
    prop_oneof![
        value().prop_map(Field::Exact),
        Just(Field::Any),
        kind().prop_map(Field::OfKind),
        (int(), int()).prop_map(|(from, to)| Field::from(from..to)),
        int().prop_map(|from| Field::from(from..)),
        int().prop_map(|to| Field::from(..to)),
        text().prop_map(Field::TextPrefix),
        bytes().prop_map(Field::BytesPrefix),
    ]
}

pub(crate) fn template() -> impl Strategy<Value = Template> {
    prop::collection::vec(field(), 0..6).prop_map(|fields| Template::new(fields).unwrap())
}
