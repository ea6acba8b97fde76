//! What happens to a replica: everything that goes into its driver.

use std::fmt;

use bezant_bft::{
    effects::PersistId,
    ids::{SeqNo, Source},
};
use bytes::Bytes;

/// One connection to a peer, unique within the run of a replica's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub u64);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.0)
    }
}

/// What an operator asks of a running replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Stop, in good order.
    Stop,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A link came up, and its transport proved who is at the other end.
    LinkUp {
        /// The link.
        link: LinkId,
        /// Who is there.
        peer: Source,
    },
    /// A link is gone.
    LinkDown {
        /// The link.
        link: LinkId,
    },
    /// A frame arrived.
    Frame {
        /// Over which link.
        link: LinkId,
        /// Who is at the other end of it.
        from: Source,
        /// The frame, as it came.
        frame: Bytes,
    },
    /// All records up to this one are durable ([`Action::Sync`](crate::Action::Sync)).
    Durable(PersistId),
    /// A state is durable ([`Action::SaveSnapshot`](crate::Action::SaveSnapshot)).
    SnapshotSaved(SeqNo),
    /// The leave to vote without a memory is used up, for good
    /// ([`Action::UseFirstStart`](crate::Action::UseFirstStart)).
    FirstStartUsed,
    /// Something could not be made durable; the text is for people.
    StorageFailed(String),
    /// Time passed ([`Driver::next_timeout`](crate::Driver::next_timeout)).
    Tick,
    /// An operator asks for something.
    Command(Command),
}
