//! Refusals of the service. Codes travel; text is made where it is shown.
//!
//! A refusal is part of a reply that replicas must agree on byte for byte, so
//! it carries codes and numbers only; [`core::fmt::Display`] turns them into a
//! sentence that says what happened and what to do next.

use core::fmt;

use bezant_manifest::{ExtensionFailure, RegistryError, Rejection};
use bezant_tuplespace::Refusal;
use serde::{Deserialize, Serialize};

use crate::limits::{MAX_GROUP_STEPS, MIN_SESSION_MS};

/// Why a call was refused. It changed nothing. The order of the variants is the wire format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refused {
    /// The tuple space refused.
    Space(Refusal),
    /// The request names a session that does not exist (any more).
    NoSession,
    /// The request lies outside its session's window.
    WindowExceeded,
    /// The operation's bytes are not a call.
    Malformed,
    /// The client's key is not enrolled in this cluster.
    NotEnrolled,
    /// The service has as many sessions as it may have.
    TooManySessions,
    /// The extension was not accepted.
    Rejected(Rejection),
    /// No extension has this hash.
    NoSuchExtension,
    /// The service or this owner has as many extensions as it may have.
    TooManyExtensions,
    /// This client has acknowledged as many extensions as it may, or the service has no room
    /// for more.
    TooManyAcknowledgements,
    /// The extension that ran instead of the operation failed.
    Extension(ExtensionFailure),
    /// The space's name begins with `$`: the service's own, which clients only read.
    ReservedSpace,
    /// The client cancelled this wait before it was served.
    Cancelled,
    /// A group has more steps than it may have.
    GroupTooLong,
    /// A group would look at more tuples, or answer more bytes, than it may.
    GroupTooBroad,
    /// An operation that waits stands in a group.
    WaitInGroup,
    /// A session would live for less than [`MIN_SESSION_MS`] or for more than a year without a
    /// request.
    TtlOutOfRange,
    /// Only an operator may do that.
    NotOperator,
    /// A list, the groups or the enrolled clients are as many as there may be.
    TooManyGrants,
    /// The extension applies to everyone in a space and cannot be removed before that ends.
    Attached,
    /// The extension is not in force, or took the place of none that is still installed.
    NoVersionBefore,
    /// A space, or the service, has as many extensions attached as it may have.
    TooManyAttached,
    /// This build knows no such version of the engine.
    NoSuchEngine,
}

impl Refused {
    /// Whether the same call may be accepted later though its caller changes nothing.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::WindowExceeded | Self::TooManySessions => true,
            Self::Space(refusal) => matches!(
                refusal,
                Refusal::TooManyTuples
                    | Refusal::TooManyBytes
                    | Refusal::TooManyWaiters
                    | Refusal::SpaceFull
                    | Refusal::ClientFull
            ),
            _ => false,
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Space(refusal)
    }
}

impl From<RegistryError> for Refused {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Rejected(rejection) => Self::Rejected(rejection),
            RegistryError::NoSuchExtension => Self::NoSuchExtension,
            RegistryError::TooManyExtensions => Self::TooManyExtensions,
            RegistryError::TooManyAcknowledgements => Self::TooManyAcknowledgements,
            RegistryError::Forbidden => Self::Space(Refusal::Forbidden),
            RegistryError::Attached => Self::Attached,
            RegistryError::NoVersionBefore => Self::NoVersionBefore,
            RegistryError::TooManyAttached => Self::TooManyAttached,
        }
    }
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Space(refusal) => refusal.fmt(f),
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Extension(failure) => failure.fmt(f),
            Self::NoSession => f.write_str(
                "the session does not exist any more; open a new one (what was under way may or may not have happened)",
            ),
            Self::WindowExceeded => f.write_str(
                "the session has as many requests under way as it may have; wait for an answer and send it again",
            ),
            Self::Malformed => f.write_str(
                "the operation's bytes are not a call of this service; use a client library of the service's version",
            ),
            Self::NotEnrolled => f.write_str(
                "this key is not enrolled in the cluster; have an operator enrol its public half, or use an enrolled key",
            ),
            Self::TooManySessions => f.write_str(
                "the service has as many sessions as it may have; close one or try later",
            ),
            Self::NoSuchExtension => f.write_str(
                "no extension has this hash (any more); register it, or take the hash from the answer to its registration",
            ),
            Self::TooManyExtensions => f.write_str(
                "there are as many extensions as there may be, of this owner or of all; register fewer",
            ),
            Self::ReservedSpace => f.write_str(
                "spaces whose names begin with '$' are the service's own; choose another name",
            ),
            Self::Cancelled => f.write_str(
                "the wait was cancelled before anything matched; wait again, or longer",
            ),
            Self::GroupTooLong => write!(
                f,
                "the group has more than {MAX_GROUP_STEPS} steps; make it shorter"
            ),
            Self::GroupTooBroad => f.write_str(
                "the group looks at too many tuples or answers too much; narrow its templates, or read in calls of their own",
            ),
            Self::WaitInGroup => f.write_str(
                "an operation that waits cannot stand in a group; use rdp or inp, or require a match",
            ),
            Self::TtlOutOfRange => write!(
                f,
                "a session lives for {MIN_SESSION_MS} milliseconds to a year without a request; choose another time, or none"
            ),
            Self::NotOperator => f.write_str(
                "only an operator may do that: a client of the genesis, or a member of the group operators; ask one",
            ),
            Self::TooManyGrants => f.write_str(
                "there are as many entries as there may be; name a group instead of its members, or take entries away",
            ),
            Self::Attached => f.write_str(
                "the extension applies to everyone in a space; have who administers it detach it first (`bezant ext ls` says where)",
            ),
            Self::NoVersionBefore => f.write_str(
                "this version is not in force, or no version before it is installed any more; `bezant ext ls` lists them",
            ),
            Self::NoSuchEngine => f.write_str(
                "this build knows no such version of the engine; give every replica one that does, then switch",
            ),
            Self::TooManyAttached => f.write_str(
                "as many extensions are attached as may be, in this space or in all; detach one",
            ),
            Self::TooManyAcknowledgements => f.write_str(
                "as many extensions are acknowledged as may be, by this client or by all; acknowledge fewer",
            ),
        }
    }
}

impl core::error::Error for Refused {}
