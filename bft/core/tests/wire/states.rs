//! States in parts: whatever byte of a state differs, its digest does.

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
}
