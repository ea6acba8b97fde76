//! The hand-written codec beside serde and postcard: the same bytes, the same
//! refusals, and no allocation that the input has not paid for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

mod common;

use bezant_tuple::{
    Field, Kind, Limit, Template, Tuple, Value,
    codec::{self, DecodeError},
    limits::{MAX_DEPTH, MAX_FIELDS, MAX_TEMPLATE_BYTES, MAX_TUPLE_BYTES},
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

/// What the service accepts: what postcard reads and spells the same again.
fn canonical<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value: T = postcard::from_bytes(bytes).ok()?;
    (postcard::to_allocvec(&value).unwrap() == bytes).then_some(value)
}

/// Both readers must agree on any bytes whatever.
fn assert_same_reading(bytes: &[u8]) {
    assert_eq!(codec::decode_value(bytes).ok(), canonical::<Value>(bytes));
    assert_eq!(codec::decode_tuple(bytes).ok(), canonical::<Tuple>(bytes));
    assert_eq!(
        codec::decode_template(bytes).ok(),
        canonical::<Template>(bytes)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn values_are_spelled_as_postcard_spells_them(value in common::value()) {
        let bytes = codec::encode_value(&value);
        prop_assert_eq!(&bytes, &postcard::to_allocvec(&value).unwrap());
        prop_assert_eq!(bytes.len(), value.encoded_len());
        prop_assert_eq!(codec::decode_value(&bytes), Ok(value));
    }

    #[test]
    fn tuples_are_spelled_as_postcard_spells_them(tuple in common::tuple()) {
        let bytes = codec::encode_tuple(&tuple);
        prop_assert_eq!(&bytes, &postcard::to_allocvec(&tuple).unwrap());
        prop_assert_eq!(bytes.len(), tuple.encoded_len());
        prop_assert_eq!(canonical(&bytes), Some(tuple.clone()));
        prop_assert_eq!(codec::decode_tuple(&bytes), Ok(tuple));
    }

    #[test]
    fn templates_are_spelled_as_postcard_spells_them(template in common::template()) {
        let bytes = codec::encode_template(&template);
        prop_assert_eq!(&bytes, &postcard::to_allocvec(&template).unwrap());
        prop_assert_eq!(bytes.len(), template.encoded_len());
        prop_assert_eq!(canonical(&bytes), Some(template.clone()));
        prop_assert_eq!(codec::decode_template(&bytes), Ok(template));
    }

    #[test]
    fn any_bytes_are_read_alike(bytes in prop::collection::vec(prop_oneof![0u8..8, any::<u8>()], 0..40)) {
        assert_same_reading(&bytes);
    }

    #[test]
    fn mutated_bytes_are_read_alike(
        template in common::template(),
        tuple in common::tuple(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        how in 0..4,
    ) {
        for mut bytes in [codec::encode_template(&template), codec::encode_tuple(&tuple)] {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => { bytes.remove(at); }
                _ => bytes.truncate(at),
            }
            assert_same_reading(&bytes);
        }
    }

    #[test]
    fn json_round_trips_too(tuple in common::tuple(), template in common::template()) {
        let json = serde_json::to_string(&tuple).unwrap();
        prop_assert_eq!(serde_json::from_str::<Tuple>(&json).unwrap(), tuple);
        let json = serde_json::to_string(&template).unwrap();
        prop_assert_eq!(serde_json::from_str::<Template>(&json).unwrap(), template);
    }
}

/// A list of `levels` levels around nothing.
fn nested(levels: usize) -> Value {
    (1..levels).fold(Value::List(vec![]), |inner, _| Value::List(vec![inner]))
}

/// The wire is a contract with guests in other languages: these bytes are
/// written down rather than computed.
#[test]
fn the_bytes_are_these() {
    let tuple: Tuple = r#"("job", -3, nil, true, 0x"cafe", [300])"#.parse().unwrap();
    let mut expected = vec![6, 3, 3];
    expected.extend(b"job");
    expected.extend([2, 5, 0, 1, 1, 4, 2, 0xca, 0xfe, 5, 1, 2, 0xd8, 0x04]);
    assert_eq!(codec::encode_tuple(&tuple), expected);

    let template: Template = r#"(1, _, ?list, 10..20, ..0, "i"*, 0x"ca"*)"#.parse().unwrap();
    let expected = vec![
        7, 0, 2, 2, 1, 2, 5, 3, 1, 20, 1, 40, 3, 0, 1, 0, 4, 1, b'i', 5, 1, 0xca,
    ];
    assert_eq!(codec::encode_template(&template), expected);
}

#[test]
fn every_second_spelling_is_refused() {
    use DecodeError::{BadInteger, BadTag, BadText, Trailing, Truncated};
    let cases: [(&[u8], DecodeError); 14] = [
        (&[], Truncated),
        (&[1], Truncated),
        (&[0, 0], Trailing),
        (&[1, 6], BadTag),
        (&[1, 0x82, 0x00], BadTag),
        (&[0x80, 0x00], BadInteger),
        (&[1, 1, 2], BadTag),
        (&[1, 2, 0x81, 0x00], BadInteger),
        (
            &[1, 2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2],
            BadInteger,
        ),
        (
            &[1, 2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 129, 0],
            BadInteger,
        ),
        (&[1, 3, 1, 0xff], BadText),
        (&[1, 3, 2, b'a'], Truncated),
        (&[1, 4, 0x81, 0x00, 7], BadInteger),
        (
            &[1, 5, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
            Truncated,
        ),
    ];
    for (bytes, error) in cases {
        assert_eq!(codec::decode_tuple(bytes), Err(error), "{bytes:?}");
        assert_same_reading(bytes);
    }
    let cases: [(&[u8], DecodeError); 4] = [
        (&[1, 6], BadTag),
        (&[1, 2, 6], BadTag),
        (&[1, 3, 2, 0, 0], BadTag),
        (&[1, 3, 0, 0], DecodeError::Limit(Limit::UnboundedRange)),
    ];
    for (bytes, error) in cases {
        assert_eq!(codec::decode_template(bytes), Err(error), "{bytes:?}");
        assert_same_reading(bytes);
    }
}

#[test]
fn fields_are_counted() {
    let nils = |count: usize| vec![Value::Nil; count];
    let full = Tuple::new(nils(MAX_FIELDS)).unwrap();
    assert_eq!(codec::decode_tuple(&codec::encode_tuple(&full)), Ok(full));
    assert_eq!(Tuple::new(nils(MAX_FIELDS + 1)), Err(Limit::TooManyFields));
    let bytes = postcard::to_allocvec(&nils(MAX_FIELDS + 1)).unwrap();
    assert_eq!(
        codec::decode_tuple(&bytes),
        Err(DecodeError::Limit(Limit::TooManyFields))
    );
    assert_same_reading(&bytes);
    let anything = vec![Field::Any; MAX_FIELDS + 1];
    let bytes = postcard::to_allocvec(&anything).unwrap();
    assert_eq!(Template::new(anything), Err(Limit::TooManyFields));
    assert_eq!(
        codec::decode_template(&bytes),
        Err(DecodeError::Limit(Limit::TooManyFields))
    );
    assert_same_reading(&bytes);
}

#[test]
fn depth_is_bounded_before_the_stack_is() {
    let deepest = Tuple::new(vec![nested(MAX_DEPTH)]).unwrap();
    let bytes = codec::encode_tuple(&deepest);
    assert_eq!(codec::decode_tuple(&bytes), Ok(deepest));
    assert_same_reading(&bytes);

    let too_deep = nested(MAX_DEPTH + 1);
    assert_eq!(Tuple::new(vec![too_deep.clone()]), Err(Limit::TooDeep));
    assert_eq!(
        Template::new(vec![Field::Exact(too_deep.clone())]),
        Err(Limit::TooDeep)
    );
    let bytes = codec::encode_value(&too_deep);
    assert_eq!(
        codec::decode_value(&bytes),
        Err(DecodeError::Limit(Limit::TooDeep))
    );
    assert_same_reading(&bytes);

    // A million levels, announced by two bytes each.
    let mut bytes = vec![1];
    bytes.extend([5, 1].repeat(1_000_000));
    assert_eq!(
        codec::decode_tuple(&bytes),
        Err(DecodeError::Limit(Limit::TooDeep))
    );
    assert!(postcard::from_bytes::<Tuple>(&bytes).is_err());
    assert!(serde_json::from_str::<Value>(&r#"{"List":["#.repeat(100_000)).is_err());
}

#[test]
fn size_is_bounded_to_the_byte() {
    // One byte for the count, one for the tag, three for the length.
    let fits = "x".repeat(MAX_TUPLE_BYTES - 5);
    let largest = Tuple::new(vec![fits.as_str().into()]).unwrap();
    assert_eq!(largest.encoded_len(), MAX_TUPLE_BYTES);
    assert_eq!(
        codec::decode_tuple(&codec::encode_tuple(&largest)),
        Ok(largest.clone())
    );
    let exact = Template::exact(largest);
    assert_eq!(Template::new(exact.fields().to_vec()), Ok(exact.clone()));
    assert_same_reading(&codec::encode_template(&exact));

    let larger = vec![Value::Text(fits + "x")];
    let bytes = postcard::to_allocvec(&larger).unwrap();
    assert_eq!(Tuple::new(larger), Err(Limit::TooLarge));
    assert_eq!(
        codec::decode_tuple(&bytes),
        Err(DecodeError::Limit(Limit::TooLarge))
    );
    assert_same_reading(&bytes);

    let prefix = vec![Field::TextPrefix("x".repeat(MAX_TEMPLATE_BYTES - 4))];
    let bytes = postcard::to_allocvec(&prefix).unwrap();
    assert_eq!(Template::new(prefix), Err(Limit::TooLarge));
    assert_eq!(
        codec::decode_template(&bytes),
        Err(DecodeError::Limit(Limit::TooLarge))
    );
    assert_same_reading(&bytes);
}

#[test]
fn a_reader_takes_messages_of_several_parts() {
    let tuple: Tuple = r#"("a", 1)"#.parse().unwrap();
    let mut bytes = Vec::new();
    codec::put_varint(&mut bytes, 2);
    codec::put_tuple(&mut bytes, &tuple);
    codec::put_tuple(&mut bytes, &tuple);
    codec::put_bytes(&mut bytes, b"rest");
    let mut reader = codec::Reader::new(&bytes);
    let count = reader.length().unwrap();
    let tuples: Vec<_> = (0..count).map(|_| reader.tuple().unwrap()).collect();
    assert_eq!(tuples, [tuple.clone(), tuple]);
    assert_eq!(reader.bytes(), Ok(&b"rest"[..]));
    assert_eq!(reader.finish(), Ok(()));
}

#[test]
fn kinds_are_told_apart() {
    let values = [
        Value::Nil,
        false.into(),
        0.into(),
        "".into(),
        Vec::<u8>::new().into(),
        Vec::<Value>::new().into(),
    ];
    for (a, kind) in values.iter().zip(Kind::ALL) {
        assert_eq!(a.kind(), kind);
        for b in &values {
            let same = std::ptr::eq(a, b);
            assert_eq!(a == b, same);
            assert_eq!(Field::Exact(a.clone()).matches(b), same);
            assert_eq!(Field::OfKind(a.kind()).matches(b), same);
            assert!(Field::Any.matches(b));
        }
    }
    assert_ne!(Value::from("1"), Value::from(1));
    assert_ne!(Value::from("ca"), Value::from(b"ca"));
}
