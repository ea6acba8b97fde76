//! The inventory: which tuples were acknowledged, compared with the space at the end.
//!
//! A client of the workload `pair` puts tuples that nobody else puts and takes
//! each again. Most are settled at once and forgotten; what is kept are tuples
//! whose operations ended without an answer, and those that are missing.

use std::collections::{BTreeMap, BTreeSet};

/// How the taking of a tuple ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    /// With the tuple.
    Tuple,
    /// With the answer that it is not there.
    Nothing,
    /// Without an answer, or it was not tried.
    Unknown,
}

/// One client's tuples.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// Those that may be in the space and may not.
    open: BTreeSet<u64>,
    /// Those that were put, acknowledged, and not there to be taken.
    lost: BTreeSet<u64>,
}

impl Inventory {
    /// Notes what became of the tuple `number`; `put` says whether putting it was acknowledged.
    pub(crate) fn settle(&mut self, number: u64, put: bool, take: Take) {
        match take {
            Take::Tuple => {}
            Take::Nothing if put => {
                self.lost.insert(number);
            }
            Take::Nothing | Take::Unknown => {
                self.open.insert(number);
            }
        }
    }
}

/// What all inventories together say of the space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Audit {
    /// Acknowledged tuples that were not there.
    pub(crate) lost: u64,
    /// Tuples that are there although they were taken, or more than once.
    pub(crate) doubled: u64,
}

/// The name of a tuple of the load: whose it is, and which of its.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LoadTuple {
    pub(crate) client: usize,
    pub(crate) number: u64,
}

/// Compares what clients noted with all tuples left in the space.
pub(crate) fn audit(
    inventories: &BTreeMap<usize, Inventory>,
    left: impl IntoIterator<Item = LoadTuple>,
) -> Audit {
    let mut audit = Audit::default();
    let mut seen = BTreeSet::new();
    for tuple in left {
        let allowed = inventories.get(&tuple.client).is_some_and(|inventory| {
            inventory.open.contains(&tuple.number) || inventory.lost.contains(&tuple.number)
        });
        audit.doubled += u64::from(!allowed || !seen.insert(tuple));
    }
    audit.lost = inventories
        .values()
        .map(|inventory| inventory.lost.len() as u64)
        .sum();
    audit
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of client 3: the number of each tuple, whether it was put, and how its taking ended.
    fn inventories(settled: &[(u64, bool, Take)]) -> BTreeMap<usize, Inventory> {
        let mut inventory = Inventory::default();
        for (number, put, take) in settled {
            inventory.settle(*number, *put, *take);
        }
        BTreeMap::from([(3, inventory)])
    }

    fn of(client: usize, number: u64) -> LoadTuple {
        LoadTuple { client, number }
    }

    #[test]
    fn what_is_settled_leaves_nothing() {
        let all = inventories(&[(1, true, Take::Tuple), (2, false, Take::Tuple)]);
        assert_eq!(audit(&all, []), Audit::default());
    }

    #[test]
    fn an_acknowledged_tuple_that_is_not_there_is_lost() {
        let all = inventories(&[(1, true, Take::Nothing), (2, false, Take::Nothing)]);
        let found = audit(&all, []);
        assert_eq!((found.lost, found.doubled), (1, 0));
    }

    #[test]
    fn a_tuple_that_was_taken_and_is_there_is_doubled() {
        let all = inventories(&[(1, true, Take::Tuple)]);
        assert_eq!(audit(&all, [of(3, 1)]).doubled, 1);
    }

    #[test]
    fn what_ended_without_an_answer_may_be_there_once() {
        let all = inventories(&[(1, true, Take::Unknown), (2, false, Take::Unknown)]);
        assert_eq!(audit(&all, [of(3, 1), of(3, 2)]), Audit::default());
        assert_eq!(audit(&all, [of(3, 1), of(3, 1)]).doubled, 1);
        assert_eq!(audit(&all, [of(4, 1)]).doubled, 1, "another client's");
    }
}
