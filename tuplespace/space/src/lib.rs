//! The pure Linda tuple space: spaces, operations, waiting, undo.
//!
//! The service applies the ordered log to [`Spaces`]; every replica that
//! applies the same operations holds the same content, gives the same answers
//! and has the same clients waiting. Nothing here knows a clock, a network, a
//! replica or a hash map's order.
//!
//! | module | concern |
//! |---|---|
//! | `name`, `ids`, `operation`, `outcome`, `refusal` | the vocabulary, which is also the wire's |
//! | `limits` | every bound on what clients can make a replica hold |
//! | `spaces` | [`Spaces`]: applying operations, all or nothing |
//! | `space`, `shelf` | one space; its tuples of one arity with their indices |
//! | `key`, `tree` | index keys and the ordered index that finds the oldest in a range |
//! | `waiting` | who waits for what, found by what arrives |
//! | `undo` | the one undo log behind savepoints |

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test may stop"
    )
)]

mod ids;
mod limits;
mod name;
mod operation;
mod outcome;
mod refusal;

pub use ids::{TupleId, WaiterId};
pub use limits::Limits;
pub use name::{NameError, SpaceName};
pub use operation::{Operation, OperationKind};
pub use outcome::{Applied, Outcome, Served};
pub use refusal::Refusal;
