//! Lives: who came back after losing its memory, and from which number it counts again.
//!
//! A replica that forgot what it voted must not vote on the same numbers again.
//! It begins a new life, which the log orders ([`Rejoin`]), and is silent until
//! the checkpoint from which that life counts is stable. That checkpoint lies
//! above everything an earlier life can have voted on. The table of lives is
//! agreed state: it stands in front of the service's bytes in every state that
//! is voted on, kept and transferred. The rules and why they are safe are in
//! docs/decisions/012-ordered-rejoin.md; [`crate::replica`] applies them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    codec,
    ids::{Incarnation, Life, ReplicaId, SeqNo},
    limits::WATERMARK_INTERVALS,
    message::Rejoin,
    state::{BadSnapshot, Part, State},
};

/// What the log says of a replica's present life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// How many lives it began after its first.
    pub incarnation: Incarnation,
    /// Which; none is the first.
    pub life: Option<Life>,
    /// Its votes count above this checkpoint; those of earlier lives up to it.
    pub from: SeqNo,
}

/// The lives of all replicas. Who is not in the table lives its first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lives(BTreeMap<ReplicaId, Current>);

impl Lives {
    /// The present life of a replica.
    #[must_use]
    pub fn of(&self, replica: ReplicaId) -> Current {
        self.0.get(&replica).copied().unwrap_or_default()
    }

    /// Whether `rejoin` would begin a life if it were executed at `number`. A life begins
    /// only once the one before it could count: a replica that begins lives without end
    /// costs the others no more than a client that sends one request after the other.
    #[must_use]
    pub fn admits(&self, rejoin: &Rejoin, number: SeqNo) -> bool {
        let current = self.of(rejoin.replica);
        rejoin.incarnation == current.incarnation.next()
            && current.life != Some(rejoin.life)
            && number > current.from
    }

    /// Executes `rejoin` at `number`, with a checkpoint every `interval` numbers; whether a
    /// life began. No earlier life can have voted above `number` and a window.
    pub fn execute(&mut self, rejoin: &Rejoin, number: SeqNo, interval: u64) -> bool {
        if !self.admits(rejoin, number) {
            return false;
        }
        let window = interval.saturating_mul(WATERMARK_INTERVALS);
        let above = number.0.saturating_add(window);
        let from = SeqNo(
            above
                .div_ceil(interval.max(1))
                .saturating_mul(interval.max(1)),
        );
        let current = Current {
            incarnation: rejoin.incarnation,
            life: Some(rejoin.life),
            from,
        };
        self.0.insert(rejoin.replica, current);
        true
    }

    /// The highest number from which somebody's life counts.
    #[must_use]
    pub fn all_count_from(&self) -> SeqNo {
        let from = self.0.values().map(|current| current.from);
        from.max().unwrap_or_default()
    }

    /// Whether a view change by `incarnation` of `replica` says nothing to one that has
    /// voted on `voted`: a later life may have voted in views that the earlier one left. Of
    /// lives before the last but one it is not known where they ended, but that they did.
    #[must_use]
    pub fn is_over(&self, replica: ReplicaId, incarnation: Incarnation, voted: SeqNo) -> bool {
        let current = self.of(replica);
        incarnation < current.incarnation
            && (incarnation.next() < current.incarnation || voted > current.from)
    }
}

/// The state that replicas vote on, keep and send: the lives, and the service's parts.
#[must_use]
pub fn join_state(lives: &Lives, service: State) -> State {
    // An encoding always has bytes: the table's length.
    let lives = Part::new(codec::encode(lives));
    State::new(lives.into_iter().chain(service.into_parts()).collect())
}

/// The lives and the service's state of a state that [`join_state`] made.
///
/// # Errors
/// [`BadSnapshot`] if it made it of none.
pub fn split_state(state: &State) -> Result<(Lives, State), BadSnapshot> {
    let Some((lives, service)) = state.parts().split_first() else {
        let why = "it does not begin with the lives of the replicas";
        return Err(BadSnapshot(why.to_owned()));
    };
    let lives = codec::decode(lives.bytes()).map_err(|error| BadSnapshot(error.to_string()))?;
    Ok((lives, State::new(service.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Epoch;

    const ME: ReplicaId = ReplicaId(2);

    fn rejoin(incarnation: u64, life: u8) -> Rejoin {
        Rejoin {
            epoch: Epoch(0),
            replica: ME,
            incarnation: Incarnation(incarnation),
            life: Life([life; 32]),
        }
    }

    #[test]
    fn a_life_counts_above_all_that_an_earlier_one_may_have_voted_on() {
        for (number, from) in [(1, 20), (3, 20), (4, 20), (5, 24), (8, 24), (9, 28)] {
            let mut lives = Lives::default();
            assert!(lives.execute(&rejoin(1, 1), SeqNo(number), 4));
            assert_eq!(lives.of(ME).from, SeqNo(from), "executed at {number}");
            assert!(from >= number + 4 * WATERMARK_INTERVALS);
        }
    }

    #[test]
    fn lives_begin_one_after_the_other_and_each_once() {
        let mut lives = Lives::default();
        // Not the next, or before the first.
        assert!(!lives.execute(&rejoin(0, 1), SeqNo(1), 4));
        assert!(!lives.execute(&rejoin(2, 1), SeqNo(1), 4));
        assert!(lives.execute(&rejoin(1, 1), SeqNo(1), 4));
        // The same again, under either number; another before this one counts.
        assert!(!lives.execute(&rejoin(1, 1), SeqNo(30), 4));
        assert!(!lives.execute(&rejoin(2, 1), SeqNo(30), 4));
        assert!(!lives.execute(&rejoin(2, 2), SeqNo(20), 4));
        assert_eq!(lives.of(ME).life, Some(Life([1; 32])));
        assert!(lives.execute(&rejoin(2, 2), SeqNo(21), 4));
        assert_eq!(lives.of(ME).incarnation, Incarnation(2));
        assert_eq!(lives.all_count_from(), SeqNo(40));
        assert_eq!(lives.of(ReplicaId(0)), Current::default());
    }

    #[test]
    fn a_life_is_over_for_those_who_voted_above_it() {
        let mut lives = Lives::default();
        let over = |lives: &Lives, incarnation, voted| {
            lives.is_over(ME, Incarnation(incarnation), SeqNo(voted))
        };
        assert!(!over(&lives, 0, 1000));
        lives.execute(&rejoin(1, 1), SeqNo(1), 4);
        assert!(!over(&lives, 0, 20) && over(&lives, 0, 21) && !over(&lives, 1, 21));
        // Who voted above 20 must not hear the first life again because a third began.
        lives.execute(&rejoin(2, 2), SeqNo(24), 4);
        assert!(over(&lives, 0, 21) && !over(&lives, 1, 40) && over(&lives, 1, 41));
    }

    #[test]
    fn a_state_is_its_lives_and_the_services_bytes() {
        let mut lives = Lives::default();
        let empty = join_state(&lives, State::default());
        assert_eq!(split_state(&empty), Ok((lives.clone(), State::default())));
        lives.execute(&rejoin(1, 1), SeqNo(1), 4);
        let service = State::from(b"service".to_vec());
        let state = join_state(&lives, service.clone());
        assert_eq!(split_state(&state), Ok((lives, service.clone())));
        assert!(split_state(&State::default()).is_err());
        assert!(split_state(&service).is_err());
    }
}
