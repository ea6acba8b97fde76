//! What distributed programs are made of: locks, elections, queues, counters, barriers.
//!
//! All of them are made of plain operations; the service knows none of them. Where the paper
//! "Extensible Distributed Coordination" (EuroSys 2015) measures a recipe in its
//! conventional form, that form is here as its authors describe it, and says so; where a
//! tuple space with watches and groups allows a better one, that one has the plain name.
//!
//! | recipe | how | calls without contention |
//! |---|---|---|
//! | [`Lock`], [`RwLock`], [`Semaphore`], [`Election`] | a line of ephemeral tuples; each waits for the one before it to go | 1 and 1 to let go |
//! | [`LeasedElection`] | the paper's: `cas` of a leased tuple, renewed and watched | 1, and 1 for each renewal |
//! | [`Counter`] | the paper's: conditional replace, read again after a failure | 1 |
//! | [`Queue::remove`] | the paper's: read all, sort, try to take each in order | 2 |
//! | [`Queue::take`] | takes the oldest element, waiting for one | 1 |
//! | [`Barrier`] | the paper's: own tuple, read all, wait for ready | 3 |
//! | [`DoubleBarrier`] | rounds: all come before anybody goes on, all leave before anybody comes back | 2, and 2 to leave |
//! | [`Membership`] | an ephemeral tuple for each member | 1 |
//!
//! # What is held, and until when
//! Whoever holds something has a guard. Its tuple goes with the session, so what a dead client
//! held is free again. A client that is only slow does not know that its session is over:
//! [`Guard::lost`] returns as soon as this client can no longer be certain, and what it writes
//! elsewhere is to carry [`Guard::fence`], which is higher for later holders, so that whoever
//! is written to can refuse what comes late (M. Kleppmann, "How to do distributed locking", 2016).

mod barrier;
mod counter;
mod election;
mod gone;
mod guard;
mod line;
mod lock;
mod membership;
mod queue;

pub use barrier::{Barrier, DoubleBarrier, Round};
pub use counter::Counter;
pub use election::{Election, Leader, LeasedElection, Term};
pub use guard::Guard;
pub use lock::{Lock, RwLock, Semaphore};
pub use membership::{Member, Membership};
pub use queue::{Element, Queue};
