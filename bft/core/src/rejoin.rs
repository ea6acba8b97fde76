//! The incarnation table: which replicas lost their memory, and from which sequence number each
//! counts again.
//!
//! A replica that forgot what it voted must not vote on the same numbers again.
//! It begins a new incarnation, which the log orders ([`Rejoin`]), and is silent until
//! the checkpoint from which that incarnation counts is stable. That checkpoint lies
//! above everything an earlier incarnation can have voted on. The incarnation table is
//! agreed state: it stands in front of the service's bytes in every state that
//! is voted on, kept and transferred. The rules and why they are safe are in
//! docs/decisions/012-ordered-rejoin.md; [`crate::replica`] applies them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    codec,
    ids::{Incarnation, IncarnationNonce, ReplicaId, SeqNo},
    limits::WATERMARK_INTERVALS,
    message::Rejoin,
    state::{BadSnapshot, Part, State},
};

/// What the log says of a replica's present incarnation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// How many incarnations it began after its first.
    pub incarnation: Incarnation,
    /// Which; none is the first.
    pub nonce: Option<IncarnationNonce>,
    /// Its votes count above this checkpoint; those of earlier incarnations up to it.
    pub from: SeqNo,
}

/// The incarnations of all replicas. A replica that is not in the table is in its first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncarnationTable(BTreeMap<ReplicaId, Current>);

impl IncarnationTable {
    /// The present incarnation of a replica.
    #[must_use]
    pub fn of(&self, replica: ReplicaId) -> Current {
        self.0.get(&replica).copied().unwrap_or_default()
    }

    /// Whether `rejoin` would begin an incarnation if it were executed at `number`. An incarnation
    /// begins only once the one before it could count: a replica that begins incarnations without
    /// end costs the others no more than a client that sends one request after the other.
    #[must_use]
    pub fn admits(&self, rejoin: &Rejoin, seq_no: SeqNo) -> bool {
        let current = self.of(rejoin.replica);
        rejoin.incarnation == current.incarnation.next()
            && current.nonce != Some(rejoin.nonce)
            && seq_no > current.from
    }

    /// Executes `rejoin` at `number`, with a checkpoint every `interval` numbers; whether a
    /// incarnation began. No earlier incarnation can have voted above `number` and a window.
    pub fn execute(&mut self, rejoin: &Rejoin, seq_no: SeqNo, interval: u64) -> bool {
        if !self.admits(rejoin, seq_no) {
            return false;
        }
        let window = interval.saturating_mul(WATERMARK_INTERVALS);
        let above = seq_no.0.saturating_add(window);
        let from = SeqNo(
            above
                .div_ceil(interval.max(1))
                .saturating_mul(interval.max(1)),
        );
        let current = Current {
            incarnation: rejoin.incarnation,
            nonce: Some(rejoin.nonce),
            from,
        };
        self.0.insert(rejoin.replica, current);
        true
    }

    /// The highest number from which somebody's incarnation counts.
    #[must_use]
    pub fn all_count_from(&self) -> SeqNo {
        let from = self.0.values().map(|current| current.from);
        from.max().unwrap_or_default()
    }

    /// Whether a view change by `incarnation` of `replica` says nothing to one that has
    /// voted on `voted`: a later incarnation may have voted in views that the earlier one left. Of
    /// incarnations before the last but one it is not known where they ended, but that they did.
    #[must_use]
    pub fn is_over(&self, replica: ReplicaId, incarnation: Incarnation, voted: SeqNo) -> bool {
        let current = self.of(replica);
        incarnation < current.incarnation
            && (incarnation.next() < current.incarnation || voted > current.from)
    }
}

/// The state that replicas vote on, keep and send: the incarnations, and the service's parts.
#[must_use]
pub fn join_state(incarnations: &IncarnationTable, service: State) -> State {
    // An encoding always has bytes: the table's length.
    let incarnations = Part::new(codec::encode(incarnations));
    State::new(
        incarnations
            .into_iter()
            .chain(service.into_parts())
            .collect(),
    )
}

/// The incarnations and the service's state of a state that [`join_state`] made.
///
/// # Errors
/// [`BadSnapshot`] if it made it of none.
pub fn split_state(state: &State) -> Result<(IncarnationTable, State), BadSnapshot> {
    let Some((incarnations, service)) = state.parts().split_first() else {
        let why = "it does not begin with the incarnations of the replicas";
        return Err(BadSnapshot(why.to_owned()));
    };
    let incarnations =
        codec::decode(incarnations.bytes()).map_err(|error| BadSnapshot(error.to_string()))?;
    Ok((incarnations, State::new(service.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Epoch;

    const ME: ReplicaId = ReplicaId(2);

    fn rejoin(incarnation: u64, nonce: u8) -> Rejoin {
        Rejoin {
            epoch: Epoch(0),
            replica: ME,
            incarnation: Incarnation(incarnation),
            nonce: IncarnationNonce([nonce; 32]),
        }
    }

    #[test]
    fn an_incarnation_counts_above_all_that_an_earlier_one_may_have_voted_on() {
        for (seq_no, from) in [(1, 20), (3, 20), (4, 20), (5, 24), (8, 24), (9, 28)] {
            let mut incarnations = IncarnationTable::default();
            assert!(incarnations.execute(&rejoin(1, 1), SeqNo(seq_no), 4));
            assert_eq!(
                incarnations.of(ME).from,
                SeqNo(from),
                "executed at {seq_no}"
            );
            assert!(from >= seq_no + 4 * WATERMARK_INTERVALS);
        }
    }

    #[test]
    fn incarnations_begin_one_after_the_other_and_each_once() {
        let mut incarnations = IncarnationTable::default();
        // Not the next, or before the first.
        assert!(!incarnations.execute(&rejoin(0, 1), SeqNo(1), 4));
        assert!(!incarnations.execute(&rejoin(2, 1), SeqNo(1), 4));
        assert!(incarnations.execute(&rejoin(1, 1), SeqNo(1), 4));
        // The same again, under either number; another before this one counts.
        assert!(!incarnations.execute(&rejoin(1, 1), SeqNo(30), 4));
        assert!(!incarnations.execute(&rejoin(2, 1), SeqNo(30), 4));
        assert!(!incarnations.execute(&rejoin(2, 2), SeqNo(20), 4));
        assert_eq!(incarnations.of(ME).nonce, Some(IncarnationNonce([1; 32])));
        assert!(incarnations.execute(&rejoin(2, 2), SeqNo(21), 4));
        assert_eq!(incarnations.of(ME).incarnation, Incarnation(2));
        assert_eq!(incarnations.all_count_from(), SeqNo(40));
        assert_eq!(incarnations.of(ReplicaId(0)), Current::default());
    }

    #[test]
    fn an_incarnation_is_over_for_those_who_voted_above_it() {
        let mut incarnations = IncarnationTable::default();
        let over = |incarnations: &IncarnationTable, incarnation, voted| {
            incarnations.is_over(ME, Incarnation(incarnation), SeqNo(voted))
        };
        assert!(!over(&incarnations, 0, 1000));
        incarnations.execute(&rejoin(1, 1), SeqNo(1), 4);
        assert!(
            !over(&incarnations, 0, 20)
                && over(&incarnations, 0, 21)
                && !over(&incarnations, 1, 21)
        );
        // Who voted above 20 must not hear the first incarnation again because a third began.
        incarnations.execute(&rejoin(2, 2), SeqNo(24), 4);
        assert!(
            over(&incarnations, 0, 21) && !over(&incarnations, 1, 40) && over(&incarnations, 1, 41)
        );
    }

    #[test]
    fn a_state_is_its_incarnations_and_the_services_bytes() {
        let mut incarnations = IncarnationTable::default();
        let empty = join_state(&incarnations, State::default());
        assert_eq!(
            split_state(&empty),
            Ok((incarnations.clone(), State::default()))
        );
        incarnations.execute(&rejoin(1, 1), SeqNo(1), 4);
        let service = State::from(b"service".to_vec());
        let state = join_state(&incarnations, service.clone());
        assert_eq!(split_state(&state), Ok((incarnations, service.clone())));
        assert!(split_state(&State::default()).is_err());
        assert!(split_state(&service).is_err());
    }
}
