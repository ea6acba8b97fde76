//! Ids of tuples and waiters.

use serde::{Deserialize, Serialize};

/// A tuple's place in the order of insertion into the whole service, from 1;
/// never used twice.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
pub struct TupleId(pub u64);

/// Who waits: opaque here. The service uses a session and the number of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WaiterId {
    /// Whose wait it is; all waits of one owner can be cancelled at once.
    pub owner: u64,
    /// Which of the owner's waits.
    pub number: u64,
}
