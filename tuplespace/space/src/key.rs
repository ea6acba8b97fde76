//! Index keys: an order of values in which every template field is one interval.
//!
//! A key orders by kind first and then by content, integers by number, text and
//! bytes by their bytes. So "equal to", "of kind", "in range" and "begins with"
//! all ask for a contiguous run of keys, and one ordered index a field answers
//! them all. Long content is cut and completed by a digest: such keys may name a
//! few tuples too many, never one too few, and candidates are checked by
//! [`Template::matches`](bezant_tuple::Template::matches) in any case.

use std::cmp::Ordering;

use bezant_tuple::{Field, Kind, Value, codec};

/// Content bytes that lie within a key's number; more go to the heap.
const HEAD_BYTES: usize = 14;

/// Content bytes that a key holds; of longer content a digest follows them.
const CLIP_BYTES: usize = 64;

/// The key of a value.
///
/// `head` is, from the top, the kind, the first 14 bytes of the content and how
/// many of them there are; most comparisons end there.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    head: u128,
    rest: Box<[u8]>,
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.head.cmp(&other.head).then_with(|| {
            // Not a comparison of slices where one is empty: vector code for it
            // touches the unmapped address an empty box points to, masked out,
            // which costs as much as the rest of an operation's search.
            if self.rest.is_empty() || other.rest.is_empty() {
                self.rest.len().cmp(&other.rest.len())
            } else {
                self.rest.cmp(&other.rest)
            }
        })
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Key {}

impl Key {
    pub(crate) fn of(value: &Value) -> Self {
        let kind = value.kind();
        match value {
            Value::Nil => Self::least(kind),
            Value::Bool(truth) => Self::of_content(kind, &[u8::from(*truth)]),
            Value::Int(number) => Self::of_int(*number),
            Value::Text(text) => Self::of_content(kind, text.as_bytes()),
            Value::Bytes(bytes) => Self::of_content(kind, bytes),
            Value::List(_) => Self::of_content(kind, &codec::encode_value(value)),
        }
    }

    /// Flipping the sign bit makes the order of bytes the order of numbers.
    fn of_int(number: i64) -> Self {
        let ordered = number.cast_unsigned() ^ (1 << 63);
        Self::of_content(Kind::Int, &ordered.to_be_bytes())
    }

    fn of_content(kind: Kind, content: &[u8]) -> Self {
        let (head, rest) = content.split_at(content.len().min(HEAD_BYTES));
        let mut parts = [0; 16];
        let (first, others) = parts.split_at_mut(1);
        first.fill(ordinal(kind));
        for (part, byte) in others.iter_mut().zip(head) {
            *part = *byte;
        }
        let head = u128::from_be_bytes(parts) | head.len() as u128;
        let rest = if content.len() > CLIP_BYTES {
            let kept = rest.iter().take(CLIP_BYTES - HEAD_BYTES);
            let mark = fnv(FNV_START, content).to_be_bytes();
            kept.chain(&mark).copied().collect()
        } else {
            rest.into()
        };
        Self { head, rest }
    }

    /// No key of this kind is smaller.
    fn least(kind: Kind) -> Self {
        Self {
            head: u128::from(ordinal(kind)) << 120,
            rest: Box::default(),
        }
    }

    /// Every key of this kind is smaller, every key of the next is not.
    fn beyond(kind: Kind) -> Self {
        Self {
            head: (u128::from(ordinal(kind)) + 1) << 120,
            rest: Box::default(),
        }
    }

    /// Carries `digest` on over this key.
    pub(crate) fn digest(&self, digest: u64) -> u64 {
        fnv(fnv(digest, &self.head.to_be_bytes()), &self.rest)
    }
}

/// What a template field asks of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sought {
    pub(crate) run: Run,
    /// Whether every tuple found so matches the field. Else some may not.
    pub(crate) whole: bool,
}

/// A run of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// This key alone.
    One(Key),
    /// From the first key up to but not including the second.
    Span(Key, Key),
}

impl Sought {
    /// What `field` asks for; `None` when it asks for nothing in particular.
    pub(crate) fn by(field: &Field) -> Option<Self> {
        let (run, whole) = match field {
            Field::Any => return None,
            Field::Exact(value) => (Run::One(Key::of(value)), is_kept_whole(value)),
            Field::OfKind(kind) => (Run::Span(Key::least(*kind), Key::beyond(*kind)), true),
            Field::Range { from, to } => {
                let from = from.map_or_else(|| Key::least(Kind::Int), Key::of_int);
                let to = to.map_or_else(|| Key::beyond(Kind::Int), Key::of_int);
                (Run::Span(from, to), true)
            }
            Field::TextPrefix(prefix) => {
                return Some(Self::by_prefix(Kind::Text, prefix.as_bytes()));
            }
            Field::BytesPrefix(prefix) => return Some(Self::by_prefix(Kind::Bytes, prefix)),
        };
        Some(Self { run, whole })
    }

    /// What begins with `prefix`.
    fn by_prefix(kind: Kind, prefix: &[u8]) -> Self {
        let kept = prefix.get(..CLIP_BYTES).unwrap_or(prefix);
        let mut after = kept.to_vec();
        // The next content that does not begin so: the last byte that can be
        // raised is, and what follows it is dropped.
        let to = loop {
            match after.pop() {
                Some(u8::MAX) => {}
                Some(byte) => {
                    after.push(byte + 1);
                    break Key::of_content(kind, &after);
                }
                None => break Key::beyond(kind),
            }
        };
        let from = Key::of_content(kind, kept);
        Self {
            run: Run::Span(from, to),
            whole: prefix.len() <= CLIP_BYTES,
        }
    }
}

fn is_kept_whole(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.len() <= CLIP_BYTES,
        Value::Bytes(bytes) => bytes.len() <= CLIP_BYTES,
        Value::List(_) => value.encoded_len() <= CLIP_BYTES,
        Value::Nil | Value::Bool(_) | Value::Int(_) => true,
    }
}

const fn ordinal(kind: Kind) -> u8 {
    match kind {
        Kind::Nil => 0,
        Kind::Bool => 1,
        Kind::Int => 2,
        Kind::Text => 3,
        Kind::Bytes => 4,
        Kind::List => 5,
    }
}

/// Where FNV digests start (FNV-1a, 64 bits, draft-eastlake-fnv).
pub(crate) const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// Carries an FNV-1a digest on over `bytes`. Anyone can make two contents
/// collide; that costs a look at both and nothing else.
fn fnv(digest: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(digest, |digest, byte| {
        (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let number = prop_oneof![any::<i64>(), -2i64..3, Just(i64::MIN), Just(i64::MAX)];
        let content = prop_oneof![
            prop::collection::vec(prop_oneof![Just(0u8), Just(0xff), any::<u8>()], 0..4),
            (56usize..76, 0u8..3).prop_map(|(len, last)| {
                let mut bytes = vec![b'x'; len];
                bytes.push(last);
                bytes
            }),
            (10usize..18, 0u8..3).prop_map(|(len, last)| {
                let mut bytes = vec![0; len];
                bytes.push(last);
                bytes
            }),
        ];
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<bool>().prop_map(Value::Bool),
            number.prop_map(Value::Int),
            content.clone().prop_map(Value::Bytes),
            content.prop_map(|bytes| Value::Text(String::from_utf8_lossy(&bytes).into_owned())),
        ];
        leaf.prop_recursive(2, 6, 3, |inner| {
            prop::collection::vec(inner, 0..3).prop_map(Value::List)
        })
    }

    fn field() -> impl Strategy<Value = Field> {
        let bound = prop_oneof![Just(i64::MIN), Just(i64::MAX), -3i64..4];
        prop_oneof![
            value().prop_map(Field::Exact),
            prop::sample::select(Kind::ALL.to_vec()).prop_map(Field::OfKind),
            (bound.clone(), bound.clone()).prop_map(|(from, to)| Field::from(from..to)),
            bound.clone().prop_map(|from| Field::from(from..)),
            bound.prop_map(|to| Field::from(..to)),
            value().prop_map(|value| match value {
                Value::Text(text) => Field::TextPrefix(text),
                Value::Bytes(bytes) => Field::BytesPrefix(bytes),
                other => Field::Exact(other),
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn a_field_finds_every_match_and_if_whole_nothing_else(field in field(), value in value()) {
            let sought = Sought::by(&field).unwrap();
            let key = Key::of(&value);
            let found = match sought.run {
                Run::One(one) => key == one,
                Run::Span(from, to) => from <= key && key < to,
            };
            if field.matches(&value) {
                prop_assert!(found);
            } else if sought.whole {
                prop_assert!(!found);
            }
        }

        #[test]
        fn short_keys_order_as_their_values_do(a in value(), b in value()) {
            let plain = |value: &Value| !matches!(value, Value::List(_)) && is_kept_whole(value);
            if plain(&a) && plain(&b) {
                prop_assert_eq!(Key::of(&a).cmp(&Key::of(&b)), a.cmp(&b));
            }
            prop_assert_eq!(Key::of(&a) == Key::of(&b), a == b);
        }
    }

    /// In ascending order, around every length at which a key changes its form.
    #[test]
    fn neighbours_have_keys_of_their_own() {
        let lengths = [0, 1, 13, 14, 15, 63, 64];
        let zeros = lengths.map(|length| Value::Bytes(vec![0; length]));
        assert!(zeros.is_sorted_by(|a, b| Key::of(a) < Key::of(b)));
        let long = |byte: u8| Value::Bytes([vec![0; 100], vec![byte]].concat());
        assert!(zeros.iter().all(|short| Key::of(short) < Key::of(&long(1))));
        assert_ne!(Key::of(&long(1)), Key::of(&long(2)));

        let is_whole = |value: &Value| Sought::by(&Field::Exact(value.clone())).unwrap().whole;
        assert!(zeros.iter().all(is_whole));
        for long in [
            long(1),
            "x".repeat(65).as_str().into(),
            Value::List(vec![long(1)]),
        ] {
            assert!(!is_whole(&long), "{long:?}");
        }
    }

    #[test]
    fn a_prefix_ends_where_its_last_byte_can_be_raised() {
        let span = |prefix: &[u8]| match Sought::by(&Field::BytesPrefix(prefix.into())) {
            Some(Sought {
                run: Run::Span(from, to),
                whole: true,
            }) => (from, to),
            other => panic!("{other:?}"),
        };
        let bytes = |content: &[u8]| Key::of(&Value::from(content));
        let end = Key::beyond(Kind::Bytes);
        for (prefix, to) in [
            (&[1, 2][..], bytes(&[1, 3])),
            (&[1, 0xff], bytes(&[2])),
            (&[1, 0xff, 0xff], bytes(&[2])),
            (&[0xff, 0xff], end.clone()),
            (&[], end),
        ] {
            assert_eq!(span(prefix), (bytes(prefix), to), "{prefix:?}");
        }
    }

    #[test]
    fn anything_asks_for_nothing() {
        assert_eq!(Sought::by(&Field::Any), None);
    }
}
