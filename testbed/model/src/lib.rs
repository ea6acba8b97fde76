//! A deliberately dumb model of the tuple space, to compare the real one with.
//!
//! Models what the documentation of the operations promises with vectors and linear scans: no
//! index, no undo, no remembered sums. The property tests of `bezant-tuplespace` run it beside
//! the real space, step by step; the simulator replays the agreed log through it.
//!
//! It shares the vocabulary with the real space (operations, answers, names, bounds) and what
//! a template means, and no other code: a rule is written here a second time, or the comparison
//! says nothing. It must stay obvious rather than become fast.
//!
//! | module | concern |
//! |---|---|
//! | `model` | [`Model`]: spaces, quotas, members of groups, all tuples, all waits |
//! | `apply` | what each operation does |
//! | `audience` | for whom tuples are, and what they weigh |
//! | `ending` | leases, waits and sessions that end |
//! | `events` | what happened, and who is told |

#![allow(
    clippy::indexing_slicing,
    reason = "tuples are named by places that the model found itself"
)]

mod apply;
mod audience;
mod ending;
mod events;
mod model;

pub use events::Happened;
pub use model::{Caller, Model, Placed, Sum, Wait};
