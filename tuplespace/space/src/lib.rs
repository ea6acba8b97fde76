//! The pure Linda tuple space: spaces, operations, waiting, undo.
//!
//! The service applies the ordered log to [`Spaces`]; every replica that
//! applies the same operations holds the same content, gives the same answers
//! and has the same clients waiting. Nothing here knows a clock, a network, a
//! replica or a hash map's order; agreed time is told to it.
//!
//! | module | concern |
//! |---|---|
//! | `name`, `ids`, `cursor`, `operation`, `outcome`, `refusal` | the vocabulary, which is also the wire's |
//! | `actor` | on whose behalf an operation is carried out |
//! | `limits` | every bound on what clients can make a replica hold |
//! | `spaces` | [`Spaces`]: applying operations, all or nothing; its content as bytes |
//! | `space`, `shelf` | one space; its tuples of one arity and which of them to look at |
//! | `key`, `index`, `posting` | the ordered index that finds the oldest in any interval |
//! | `pages`, `parts` | what tuples look like in a snapshot, remembered; the whole in parts |
//! | `clock`, `leases` | agreed time; what the lives of tuples hang on |
//! | `accounts` | what clients hold that are bounded |
//! | `principal`, `audience` | clients and their groups; for whom single tuples are |
//! | `history` | the last events, for those who watch |
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

mod accounts;
mod actor;
mod audience;
mod clock;
mod cursor;
mod history;
mod ids;
mod index;
mod key;
mod leases;
mod limits;
mod name;
mod operation;
mod outcome;
mod pages;
mod parts;
mod posting;
mod principal;
mod refusal;
mod shelf;
mod space;
mod spaces;
mod undo;
mod waiting;

pub use accounts::{Account, Payer};
pub use actor::Actor;
pub use audience::{Audience, MAX_AUDIENCE};
pub use cursor::{Cursor, NoCursor};
pub use history::{Change, Event};
pub use ids::{TupleId, WaiterId};
pub use limits::{Limits, MAX_ACCOUNTS, MAX_LEASE_MS, Quota};
pub use name::{NameError, SpaceName};
pub use operation::{Lease, Operation, OperationKind};
pub use outcome::{Applied, Delivery, Outcome, Wait, Wants};
pub use parts::{Kept, Part, Parts};
pub use principal::{ClientKey, GroupName, Groups, Principal, put_list, read_list};
pub use refusal::Refusal;
pub use spaces::{BadContent, Ended, EndedWait, Happened, Happening, Spaces};
pub use undo::Savepoint;

/// Stops the replica: its own state contradicts itself, so whatever it answered
/// from here on could be wrong. Nothing a client sends leads here.
#[cold]
#[expect(
    clippy::panic,
    reason = "a broken invariant stops the replica, in release too"
)]
fn broken(what: &str) -> ! {
    panic!("the tuple space broke its own invariant: {what}")
}
