//! Refusals of operations. A refused operation changed nothing.

use serde::{Deserialize, Serialize};

use crate::MAX_AUDIENCE;

/// Why the tuple space refused. The order of the variants is the wire format
/// and [`Refusal::code`] is stable; texts are for people and never agreed on.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    thiserror::Error,
)]
#[non_exhaustive]
pub enum Refusal {
    /// The space does not exist.
    #[error("the space does not exist; create it first, or check its name")]
    NoSuchSpace,
    /// The space to be created exists.
    #[error("the space exists already; use it as it is, or choose another name")]
    SpaceExists,
    /// As many spaces as the service allows.
    #[error("the service holds as many spaces as it allows; use an existing one")]
    TooManySpaces,
    /// As many tuples as the service allows.
    #[error("the service holds as many tuples as it allows; take some, then try again")]
    TooManyTuples,
    /// As many bytes of tuples as the service allows.
    #[error("the service holds as many bytes as it allows; take some tuples, then try again")]
    TooManyBytes,
    /// As many waiting operations as the service allows.
    #[error("as many operations wait as the service allows; use rdp or inp, or try again later")]
    TooManyWaiters,
    /// The waiter is waiting already.
    #[error("this request is waiting already; its answer will come")]
    AlreadyWaiting,
    /// A bulk operation asked for no tuples.
    #[error("a bulk operation must ask for at least one tuple; raise its limit")]
    EmptyPage,
    /// The template leaves more candidates than one operation may look at.
    #[error("too many tuples would have to be looked at; make a field of the template exact")]
    TooBroad,
    /// A lease of no time, or of more than [`crate::MAX_LEASE_MS`].
    #[error("a lease is between a millisecond and a year; choose another, or leave it out")]
    LeaseOutOfRange,
    /// A wait of no time, or of more than [`crate::MAX_LEASE_MS`].
    #[error("a wait takes between a millisecond and a year; use rdp or inp, or set no end")]
    WaitOutOfRange,
    /// An ephemeral tuple that no session would own.
    #[error("an ephemeral tuple belongs to a session; insert it in one, or give it another lease")]
    NoOwner,
    /// A watch that would go on behind an event that did not happen yet.
    #[error("no event has this number yet; go on from the `next` of an answer of this service")]
    NoSuchEvent,
    /// Whoever asks has not the right to.
    #[error("this client may not do that in this space; ask one who administers it for the right")]
    Forbidden,
    /// A space that is to be removed holds tuples.
    #[error("the space holds tuples; take them first")]
    SpaceNotEmpty,
    /// As many tuples or bytes as the space's quota allows.
    #[error("the space holds as much as its quota allows; take some tuples, or have it raised")]
    SpaceFull,
    /// As many tuples or bytes as the quota of the client allows that puts them.
    #[error(
        "this client holds as much as its quota allows; take some of its tuples, or have an operator raise it"
    )]
    ClientFull,
    /// A tuple for more readers or takers than can be named.
    #[error("a tuple can name at most {MAX_AUDIENCE} readers and as many takers; name a group")]
    AudienceTooLong,
    /// A bulk read that would go on where a page of another space ended.
    #[error(
        "this cursor is of another space; begin without one, or use the `next` of a page of this space"
    )]
    CursorOfAnotherSpace,
}

impl Refusal {
    /// Every refusal, in wire order.
    pub const ALL: [Self; 19] = [
        Self::NoSuchSpace,
        Self::SpaceExists,
        Self::TooManySpaces,
        Self::TooManyTuples,
        Self::TooManyBytes,
        Self::TooManyWaiters,
        Self::AlreadyWaiting,
        Self::EmptyPage,
        Self::TooBroad,
        Self::LeaseOutOfRange,
        Self::WaitOutOfRange,
        Self::NoOwner,
        Self::NoSuchEvent,
        Self::Forbidden,
        Self::SpaceNotEmpty,
        Self::SpaceFull,
        Self::ClientFull,
        Self::AudienceTooLong,
        Self::CursorOfAnotherSpace,
    ];

    /// The refusal's number in JSON, metrics and documents; never reused.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::NoSuchSpace => 1,
            Self::SpaceExists => 2,
            Self::TooManySpaces => 3,
            Self::TooManyTuples => 4,
            Self::TooManyBytes => 5,
            Self::TooManyWaiters => 6,
            Self::AlreadyWaiting => 7,
            Self::EmptyPage => 8,
            Self::TooBroad => 9,
            Self::LeaseOutOfRange => 10,
            Self::WaitOutOfRange => 11,
            Self::NoOwner => 12,
            Self::NoSuchEvent => 13,
            Self::Forbidden => 14,
            Self::SpaceNotEmpty => 15,
            Self::SpaceFull => 16,
            Self::ClientFull => 17,
            Self::AudienceTooLong => 18,
            Self::CursorOfAnotherSpace => 19,
        }
    }
}
