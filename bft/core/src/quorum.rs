//! Quorum arithmetic: how many replicas are enough, for any n.
//!
//! With n replicas of which at most f = ⌊(n-1)/3⌋ are faulty, a *strong*
//! quorum ⌈(n+f+1)/2⌉ meets every other strong quorum in a correct replica, and
//! a *weak* one, f+1, holds a correct replica (PBFT §4.1 with n not tied to
//! 3f+1). The tests prove both by enumeration.

use crate::{
    ids::{ReplicaId, View},
    limits::MAX_REPLICAS,
};

/// The sizes that follow from the number of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    n: usize,
    f: usize,
}

impl Quorum {
    /// The quorums of `n` replicas; `None` unless `4 <= n <= MAX_REPLICAS`.
    #[must_use]
    pub const fn new(n: usize) -> Option<Self> {
        if n < 4 || n > MAX_REPLICAS {
            return None;
        }
        Some(Self { n, f: (n - 1) / 3 })
    }

    /// Number of replicas.
    #[must_use]
    pub const fn n(self) -> usize {
        self.n
    }

    /// Most replicas that may be arbitrarily faulty.
    #[must_use]
    pub const fn f(self) -> usize {
        self.f
    }

    /// Votes that decide: any two such sets share a correct replica.
    #[must_use]
    pub const fn strong(self) -> usize {
        (self.n + self.f + 1).div_ceil(2)
    }

    /// Votes among which at least one is a correct replica's.
    #[must_use]
    pub const fn weak(self) -> usize {
        self.f + 1
    }

    /// The primary of `view` (PBFT §4.1).
    #[must_use]
    pub const fn primary(self, view: View) -> ReplicaId {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "n <= MAX_REPLICAS <= u8::MAX"
        )]
        ReplicaId((view.0 % self.n as u64) as u8)
    }

    /// Whether `replica` is a member.
    #[must_use]
    pub const fn is_member(self, replica: ReplicaId) -> bool {
        (replica.0 as usize) < self.n
    }

    /// All members, in order.
    pub fn members(self) -> impl Iterator<Item = ReplicaId> + use<> {
        (0..self.n).filter_map(|id| u8::try_from(id).ok().map(ReplicaId))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_than_four_replicas_are_no_cluster() {
        assert!((0..4).all(|n| Quorum::new(n).is_none()));
        assert!(Quorum::new(MAX_REPLICAS + 1).is_none());
    }

    #[test]
    fn the_usual_sizes() {
        for (n, f, strong) in [
            (4, 1, 3),
            (5, 1, 4),
            (6, 1, 4),
            (7, 2, 5),
            (10, 3, 7),
            (13, 4, 9),
        ] {
            let quorum = Quorum::new(n).unwrap();
            assert_eq!(
                (quorum.f(), quorum.strong(), quorum.weak()),
                (f, strong, f + 1)
            );
        }
    }

    /// Every pair of strong quorums, as sets, for every small n: they share more
    /// than f members, so a correct one, and correct replicas alone can form one.
    #[test]
    fn strong_quorums_meet_in_a_correct_replica_by_enumeration() {
        for n in 4_u32..=10 {
            let quorum = Quorum::new(n as usize).unwrap();
            let strong: Vec<u32> = (0_u32..1 << n)
                .filter(|set| set.count_ones() as usize == quorum.strong())
                .collect();
            for a in &strong {
                for b in &strong {
                    assert!(
                        (a & b).count_ones() as usize > quorum.f(),
                        "n={n} {a:b} {b:b}"
                    );
                }
            }
            assert!(
                quorum.strong() <= quorum.n() - quorum.f(),
                "live with f silent, n={n}"
            );
        }
    }

    #[test]
    fn strong_is_the_least_that_meets_for_every_n() {
        for n in 4..=MAX_REPLICAS {
            let quorum = Quorum::new(n).unwrap();
            let overlap = |size: usize| (2 * size).saturating_sub(n);
            assert!(overlap(quorum.strong()) > quorum.f());
            assert!(overlap(quorum.strong() - 1) <= quorum.f());
            assert!(quorum.strong() <= n - quorum.f());
        }
    }

    #[test]
    fn members_are_those_below_n() {
        let quorum = Quorum::new(5).unwrap();
        let found = (0..=u8::MAX)
            .map(ReplicaId)
            .filter(|id| quorum.is_member(*id));
        assert!(found.eq(quorum.members()));
        assert_eq!(quorum.members().count(), 5);
    }

    #[test]
    fn every_replica_is_primary_once_in_n_views() {
        let quorum = Quorum::new(7).unwrap();
        let reigns: Vec<_> = (7..14).map(|view| quorum.primary(View(view))).collect();
        assert_eq!(reigns, quorum.members().collect::<Vec<_>>());
    }
}
