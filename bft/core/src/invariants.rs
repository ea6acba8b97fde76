//! Checks a replica's invariants after every step, in release builds too.
//!
//! A replica that breaks one of these stops ([`crate::effects::Effect::Halt`])
//! rather than go on voting from a state it cannot trust. TigerBeetle's habit.

use crate::ids::{Digest, SeqNo, View};

/// A broken invariant: a fault of this program, never of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The watermarks and the executed number are out of order.
    #[error("executed number {executed} lies outside the watermarks {low}..={high}")]
    Watermarks {
        /// Last stable checkpoint.
        low: SeqNo,
        /// Last executed number.
        executed: SeqNo,
        /// End of the window.
        high: SeqNo,
    },
    /// More is kept than the bounds allow.
    #[error("{what} holds {len} entries, more than its bound {bound}")]
    Unbounded {
        /// The table.
        what: &'static str,
        /// Its size.
        len: usize,
        /// Its bound.
        bound: usize,
    },
    /// An account is not what counting gives.
    #[error("counted {counted} as {what}, but there are {is}")]
    Miscounted {
        /// What is counted.
        what: &'static str,
        /// The account.
        counted: usize,
        /// What counting anew gives.
        is: usize,
    },
    /// A commit was sent without a prepared certificate.
    #[error("sent a commit at number {seq_no} of view {view} without being prepared")]
    CommitUnprepared {
        /// The number.
        seq_no: SeqNo,
        /// The view.
        view: View,
    },
    /// A vote of this replica counts for its own quorums and could be lost in a crash.
    #[error("counts its own vote at number {seq_no} of view {view} before its record is durable")]
    CountedBeforeDurable {
        /// The number.
        seq_no: SeqNo,
        /// The view.
        view: View,
    },
    /// A number was decided without a strong quorum of commits.
    #[error("number {seq_no} was decided by {votes} commits")]
    DecidedByFew {
        /// The number.
        seq_no: SeqNo,
        /// The commits.
        votes: usize,
    },
    /// Strong quorums decided two proposals at one number: more than f replicas lie.
    #[error("number {seq_no} was decided as {first} and as {second}")]
    DecidedTwice {
        /// The number.
        seq_no: SeqNo,
        /// What was decided first.
        first: Digest,
        /// What a later view decided.
        second: Digest,
    },
    /// The service executed another number than the next.
    #[error("the service executed number {got} where {expected} was next")]
    ExecutedOutOfOrder {
        /// The next number.
        expected: SeqNo,
        /// The number executed.
        got: SeqNo,
    },
    /// A strong quorum has another state than this replica at one number.
    #[error("own state at number {seq_no} is {own}, the cluster's is {agreed}")]
    Diverged {
        /// The checkpoint's number.
        seq_no: SeqNo,
        /// The digest here.
        own: Digest,
        /// The digest of the quorum.
        agreed: Digest,
    },
    /// So many replicas have other states that no strong quorum can have the same: not all of
    /// those with another state than the most are faulty on their own, they share a bug.
    #[error(
        "at number {seq_no} at most {most} replicas can have the same state: no checkpoint can become stable"
    )]
    Split {
        /// The checkpoint's number.
        seq_no: SeqNo,
        /// How many may still agree.
        most: usize,
    },
}
