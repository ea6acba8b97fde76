//! A client's errors, and what each means for the operation.

use std::time::Duration;

use bezant_api::Refused;
use bezant_bft::message::Share;
use bezant_quic::BindError;
use bezant_tuplespace::NameError;

/// Why an operation has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Replicas answered, but fewer than f+1 of them alike.
    #[error(
        "no quorum: {answered} of {of} replicas answered and at most {alike} alike, {needed} are needed; \
         check the replicas with bezant status"
    )]
    NoQuorum {
        /// Replicas that answered.
        answered: usize,
        /// The most equal answers.
        alike: usize,
        /// Equal answers that are needed.
        needed: usize,
        /// Replicas of the cluster.
        of: usize,
    },
    /// Nobody answered in time, and more than f replicas had no room for the operation.
    #[error(
        "the service is busy: {replicas} replicas had no room for the operation within {within:?}, \
         {}",
        match share {
            Share::Client => "since this client's share is used up; wait for its open operations",
            _ => "since all of it is used up; try again later, or with fewer clients",
        }
    )]
    Busy {
        /// Replicas that said so.
        replicas: usize,
        /// What is used up.
        share: Share,
        /// How long was waited.
        within: Duration,
    },
    /// Nobody answered in time.
    #[error("no answer within {0:?}; whether the operation was executed is unknown")]
    TimedOut(Duration),
    /// A wait ended without a match. Nothing was taken.
    #[error("nothing matched within {0:?}; nothing was taken")]
    NoMatchInTime(Duration),
    /// Events that were to be told are kept no more.
    #[error(
        "the service keeps events from number {first} on and no earlier ones; begin anew with what is there"
    )]
    Compacted {
        /// The oldest event that is kept.
        first: u64,
    },
    /// The service refused; nothing was changed.
    #[error("refused: {0}")]
    Refused(#[from] Refused),
    /// The service refused a step of a group; nothing was changed.
    #[error("step {step} of the group was refused, and nothing was done: {why}")]
    GroupRefused {
        /// Which, from 0; those of `otherwise` count on behind the steps.
        step: u32,
        /// Why.
        why: Refused,
    },
    /// Too few replicas can be reached.
    #[error(
        "{reached} of {of} replicas can be reached, {needed} are needed: {why}; check the addresses in the cluster file and that the replicas run"
    )]
    Unreachable {
        /// Replicas reached.
        reached: usize,
        /// Replicas of the cluster.
        of: usize,
        /// Replicas needed.
        needed: usize,
        /// What went wrong with the last one.
        why: String,
    },
    /// The cluster as described cannot be one.
    #[error("the cluster description is not usable: {0}")]
    Cluster(&'static str),
    /// The links could not be set up.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The name of a space is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A tuple or template that a recipe made of what it was given is none.
    #[error("what was given does not fit a tuple: {0}")]
    Limit(#[from] bezant_tuple::Limit),
    /// The operation is too large to be sent.
    #[error("the operation has {bytes} bytes, {limit} are allowed; store less in one tuple")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// The service answered something that does not fit the question; f+1 replicas did.
    #[error(
        "the service gave an answer that does not fit the operation; use a client of its version"
    )]
    Unexpected,
    /// The system gave no random numbers.
    #[error("the system gave no random numbers: {0}")]
    Random(String),
    /// The bound on clocks leaves nothing of the session's time.
    #[error(
        "the bound on clocks is not below the session's time, so that it would never be certain to live; choose a longer session or a smaller bound"
    )]
    ClockBound,
    /// Somebody took the tuple with which this client stood in line.
    #[error(
        "another client took this one's place in the line; stand in it again, and see who may take tuples of that space"
    )]
    PlaceTaken,
    /// The client's network task has ended.
    #[error("the client was closed")]
    Closed,
}

impl Error {
    /// Whether the same operation may succeed later though its caller changes nothing.
    /// Where [`Self::outcome_unknown`] holds too, it may also happen twice.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::NoQuorum { .. }
            | Self::Busy { .. }
            | Self::TimedOut(_)
            | Self::NoMatchInTime(_)
            | Self::Unreachable { .. } => true,
            Self::Refused(refused) | Self::GroupRefused { why: refused, .. } => {
                refused.is_retryable()
            }
            _ => false,
        }
    }

    /// Whether the operation may have been executed.
    #[must_use]
    pub const fn outcome_unknown(&self) -> bool {
        matches!(
            self,
            Self::NoQuorum { .. } | Self::Busy { .. } | Self::TimedOut(_) | Self::Closed
        )
    }
}
