//! The one undo log: everything that an operation changes is written here, so
//! that a group of operations vanishes as a whole.

use crate::{
    Delivery, Quota, SpaceName, TupleId,
    leases::Hold,
    space::Removed,
    waiting::{Arrival, Delivering, Waiter},
};

/// A place to which [`crate::Spaces::rollback`] can return. Savepoints nest;
/// rolling back to one ends those taken after it, a commit ends all.
#[must_use = "without its savepoint nothing can be rolled back"]
#[derive(Debug)]
pub struct Savepoint {
    length: usize,
    epoch: u64,
}

/// One change, told by what takes it back.
#[derive(Debug)]
pub(crate) enum Undo {
    /// A space was created.
    Created(SpaceName),
    /// An empty space was removed.
    Destroyed(SpaceName, Quota),
    /// A space may hold more or less than before.
    Allowed(SpaceName, Quota),
    /// The next tuple id was given out.
    Numbered,
    /// A tuple was put into a space.
    Inserted {
        space: SpaceName,
        arity: usize,
        id: TupleId,
    },
    /// A tuple was taken out of a space.
    Removed {
        space: SpaceName,
        id: TupleId,
        removed: Removed,
    },
    /// A tuple's lease was renewed.
    Renewed {
        space: SpaceName,
        arity: usize,
        id: TupleId,
        before: Hold,
    },
    /// A waiter came.
    Arrived(Arrival),
    /// A waiter left, served or cancelled.
    Left(Arrival, Waiter),
    /// A waiter got a delivery.
    Delivery,
    /// Something happened to a tuple.
    Happened,
    /// Those served were handed out.
    HandedOut(Vec<Delivery>, Vec<Delivering>),
    /// The answer of one who got a delivery is revoked.
    Revoked(usize, Arrival),
}

/// The changes since the first savepoint after the last commit.
#[derive(Debug, Default)]
pub(crate) struct UndoLog {
    changes: Vec<Undo>,
    recording: bool,
    epoch: u64,
}

impl UndoLog {
    /// Writes a change down, unless it can no longer be undone anyway.
    pub(crate) fn record(&mut self, change: impl FnOnce() -> Undo) {
        if self.recording {
            self.changes.push(change());
        }
    }

    /// Whether changes can be undone.
    pub(crate) const fn is_recording(&self) -> bool {
        self.recording
    }

    pub(crate) const fn savepoint(&mut self) -> Savepoint {
        self.recording = true;
        Savepoint {
            length: self.changes.len(),
            epoch: self.epoch,
        }
    }

    /// The changes since `savepoint`, in the order they were made; `None` when
    /// it has ended.
    pub(crate) fn since(&mut self, savepoint: &Savepoint) -> Option<Vec<Undo>> {
        (savepoint.epoch == self.epoch && savepoint.length <= self.changes.len())
            .then(|| self.changes.split_off(savepoint.length))
    }

    /// Makes everything permanent.
    pub(crate) fn commit(&mut self) {
        self.changes.clear();
        self.recording = false;
        self.epoch += 1;
    }
}
