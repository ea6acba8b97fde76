//! States in parts: whatever byte of a state differs, or wherever a part ends, its digest does.

use std::collections::BTreeSet;

use bezant_bft::state::{Part, State};
use proptest::{prelude::*, sample::Index};

/// Parts longer than what a digest may take in at once, and short ones.
fn parts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let part = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 1..40),
        2 => prop::collection::vec(any::<u8>(), 60..300),
    ];
    prop::collection::vec(part, 1..6)
}

fn state(parts: &[Vec<u8>]) -> State {
    let parts = parts.iter().map(|part| Part::new(&part[..]).unwrap());
    State::new(parts.collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn one_byte_of_any_part_makes_another_digest(
        parts in parts(),
        part in any::<Index>(),
        byte in any::<Index>(),
        difference in 1..=u8::MAX,
    ) {
        let mut changed = parts.clone();
        let part = part.get_mut(&mut changed);
        *byte.get_mut(part) ^= difference;
        prop_assert_ne!(state(&parts).digest(), state(&changed).digest());
        prop_assert_eq!(state(&parts).digest(), state(&parts.clone()).digest());
    }

    #[test]
    fn the_same_bytes_divided_otherwise_have_another_digest(
        bytes in prop::collection::vec(any::<u8>(), 2..300),
        ends in prop::collection::btree_set(any::<Index>().prop_map(|end| end.index(1 << 16)), 0..5),
        moved in any::<Index>(),
    ) {
        let divided = |ends: &BTreeSet<usize>| {
            let ends = ends.iter().copied().chain([bytes.len()]);
            let mut begin = 0;
            let parts = ends.map(|end| bytes[std::mem::replace(&mut begin, end)..end].to_vec());
            state(&parts.collect::<Vec<_>>())
        };
        let ends: BTreeSet<usize> =
            ends.into_iter().map(|end| 1 + end % (bytes.len() - 1)).collect();
        // One end more, or one less.
        let mut others = ends.clone();
        let end = 1 + moved.index(bytes.len() - 1);
        if !others.remove(&end) {
            others.insert(end);
        }
        let (one, other) = (divided(&ends), divided(&others));
        prop_assert_eq!(one.content(), other.content());
        prop_assert_ne!(one.digest(), other.digest());
    }
}
