//! Spaces and random operations for the tests beside a model.

use bezant_tuple::{Field, Kind, Template, Tuple, Value, codec::Reader};
use bezant_tuplespace::{
    Audience, Cursor, Delivery, GroupName, Lease, Limits, MAX_AUDIENCE, MAX_LEASE_MS, Operation,
    Parts, Principal, SpaceName, Spaces, TupleId,
};
use proptest::{prelude::*, sample::select};

/// Tight enough that every bound is met.
pub(crate) const TIGHT: Limits = Limits {
    spaces: 2,
    tuples: 12,
    bytes: 900,
    waiters: 5,
    waiter_bytes: 400,
    page_tuples: 3,
    page_bytes: 150,
    events: 9,
    event_bytes: 300,
    candidates: u64::MAX,
};

/// Wide enough for hundreds of tuples.
pub(crate) const WIDE: Limits = Limits {
    tuples: 600,
    bytes: 50_000,
    waiters: 50,
    waiter_bytes: 4_000,
    page_tuples: 40,
    page_bytes: 2_000,
    events: 200,
    event_bytes: 9_000,
    ..TIGHT
};

pub(crate) fn name(text: &str) -> SpaceName {
    SpaceName::new(text).unwrap()
}

/// The whole content, and who got a delivery.
pub(crate) fn content(spaces: &Spaces) -> (Vec<u8>, Vec<Delivery>) {
    let mut parts = Parts::default();
    spaces.encode_into(&mut parts);
    (parts.content(), spaces.deliveries().to_vec())
}

/// Spaces that were given the content of `spaces`.
pub(crate) fn restored(spaces: &Spaces, limits: Limits, now_ms: u64) -> Spaces {
    let (bytes, _) = content(spaces);
    let mut reader = Reader::new(&bytes);
    let client_of = |owner: u64| Some([u8::try_from(owner).unwrap(); 32]);
    let restored = Spaces::decode(limits, now_ms, client_of, &mut reader).unwrap();
    assert_eq!(reader.finish(), Ok(()));
    assert_eq!(content(&restored).0, bytes);
    restored
}

pub(crate) fn space() -> impl Strategy<Value = SpaceName> {
    select(["a", "a", "a", "b", "c"].map(name).to_vec())
}

/// Few values, so that they meet; among them long ones that the index cuts.
fn value() -> impl Strategy<Value = Value> {
    let long = |end: &str| Value::Text("x".repeat(130) + end);
    select(vec![
        Value::Nil,
        true.into(),
        (-1).into(),
        0.into(),
        1.into(),
        i64::MAX.into(),
        "a".into(),
        "ab".into(),
        "0".into(),
        b"a".into(),
        vec![Value::from(1), Value::List(vec![])].into(),
        long("a"),
        long("b"),
    ])
}

pub(crate) fn tuple() -> impl Strategy<Value = Tuple> {
    prop::collection::vec(value(), 0..4).prop_map(|fields| Tuple::new(fields).unwrap())
}

fn field() -> impl Strategy<Value = Field> {
    prop_oneof![
        4 => value().prop_map(Field::Exact),
        4 => Just(Field::Any),
        1 => select(Kind::ALL.to_vec()).prop_map(Field::OfKind),
        1 => (-2i64..2, prop_oneof![-1i64..3, 0i64..500]).prop_map(|(from, to)| Field::from(from..to)),
        1 => (-2i64..3).prop_map(|from| Field::from(from..)),
        1 => (-2i64..3).prop_map(|to| Field::from(..to)),
        1 => select(vec![0, 1, 63, 64, 65, 130, 131])
            .prop_map(|length| Field::TextPrefix("x".repeat(length))),
        1 => Just(Field::TextPrefix("a".into())),
        1 => Just(Field::BytesPrefix(b"a".to_vec())),
    ]
}

fn template() -> impl Strategy<Value = Template> {
    prop::collection::vec(field(), 0..4).prop_map(|fields| Template::new(fields).unwrap())
}

fn lease_ms() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 1u64..100, 1 => Just(0), 1 => Just(MAX_LEASE_MS + 1)]
}

fn within_ms() -> impl Strategy<Value = Option<u64>> {
    prop::option::weighted(0.4, lease_ms())
}

fn lease() -> impl Strategy<Value = Lease> {
    prop_oneof![5 => Just(Lease::Forever), 4 => lease_ms().prop_map(Lease::Ms), 3 => Just(Lease::Session)]
}

pub(crate) fn group() -> impl Strategy<Value = GroupName> {
    select(
        ["g", "h"]
            .map(|name| name.parse::<GroupName>().unwrap())
            .to_vec(),
    )
}

/// Some of the clients and groups that there are, or more than can be named.
fn audience() -> impl Strategy<Value = Audience> {
    let principal = || {
        prop_oneof![
            1 => Just(Principal::Anyone),
            6 => (0u8..3).prop_map(|client| Principal::Client([client; 32])),
            6 => group().prop_map(Principal::Members),
        ]
    };
    let some = || prop::collection::btree_set(principal(), 0..3);
    let many = (MAX_AUDIENCE..MAX_AUDIENCE + 2).prop_map(|count| {
        (0u8..)
            .take(count)
            .map(|n| Principal::Client([n; 32]))
            .collect()
    });
    let list = || prop::option::weighted(0.7, prop_oneof![30 => some(), 1 => many.clone()]);
    (list(), list()).prop_map(|(readers, takers)| Audience { readers, takers })
}

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    let limit = || prop_oneof![1 => Just(0u32), 9 => 1u32..6, 2 => 1u32..60];
    let after = || {
        let cursor = (space(), prop_oneof![0u64..40, 0u64..600]);
        let cursor = cursor.prop_map(|(space, after)| Cursor {
            space,
            after: TupleId(after),
        });
        prop::option::of(cursor)
    };
    prop_oneof![
        8 => (tuple(), lease()).prop_map(|(tuple, lease)| Operation::Out { tuple, lease }),
        4 => (tuple(), lease(), audience().prop_map(Box::new))
            .prop_map(|(tuple, lease, audience)| Operation::OutTo { tuple, lease, audience }),
        2 => template().prop_map(|template| Operation::Rdp { template }),
        3 => template().prop_map(|template| Operation::Inp { template }),
        3 => (template(), within_ms())
            .prop_map(|(template, within_ms)| Operation::Rd { template, within_ms }),
        3 => (template(), within_ms())
            .prop_map(|(template, within_ms)| Operation::In { template, within_ms }),
        2 => (template(), tuple(), lease()).prop_map(|(template, tuple, lease)| Operation::Cas {
            template,
            tuple,
            lease
        }),
        2 => (template(), tuple(), lease()).prop_map(|(template, tuple, lease)| Operation::Replace {
            template,
            tuple,
            lease
        }),
        2 => (template(), limit(), after())
            .prop_map(|(template, limit, after)| Operation::RdAll { template, limit, after }),
        1 => (template(), limit())
            .prop_map(|(template, limit)| Operation::InAll { template, limit }),
        1 => template().prop_map(|template| Operation::Count { template }),
        3 => (template(), prop::option::weighted(0.9, 0u64..300), limit(), within_ms())
            .prop_map(|(template, after, limit, within_ms)| Operation::Watch {
                template,
                after,
                limit,
                within_ms
            }),
        1 => (template(), limit(), after())
            .prop_map(|(template, limit, after)| Operation::Survey { template, limit, after }),
        3 => (template(), lease_ms())
            .prop_map(|(template, lease_ms)| Operation::Renew { template, lease_ms }),
    ]
}
