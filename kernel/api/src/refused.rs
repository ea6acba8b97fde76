//! Why the service said no. Codes travel, text is made where it is shown.
//!
//! A refusal is part of a reply that replicas must agree on byte for byte, so
//! it carries codes and numbers only; [`core::fmt::Display`] turns them into a
//! sentence that says what happened and what to do next.

use core::fmt;

use bezant_tuplespace::Refusal;
use serde::{Deserialize, Serialize};

use crate::limits::{MAX_GROUP_STEPS, MAX_MEMORY_PAGES, MAX_MODULE_BYTES, MIN_SESSION_MS};
use crate::manifest::ManifestError;

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
    Imposed,
    /// The extension is not in force, or took the place of none that is still installed.
    NoVersionBefore,
    /// A space, or the service, has as many extensions imposed as it may have.
    TooManyImposed,
    /// This build knows no such version of the engine.
    NoSuchEngine,
}

/// Which rule an extension broke, and where. Made by `bezant_extensions::check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The rule.
    pub rule: Rule,
    /// The index of the function at fault, imported ones counted first, where it lies in one.
    pub function: Option<u32>,
    /// The offset in the module of the byte at fault, where it is known.
    pub offset: Option<u32>,
}

/// A rule that every extension must keep. The order of the variants is the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Rule {
    /// The manifest is sound.
    Manifest(ManifestError),
    /// The module is at most [`MAX_MODULE_BYTES`] long.
    Size,
    /// The module is valid WebAssembly.
    Valid,
    /// No floating point: its results may differ between machines.
    NoFloats,
    /// Nothing beyond the first version of WebAssembly and the few proposals that are on.
    NoProposal,
    /// No start function: an instance does nothing before it is called.
    NoStart,
    /// Imports are functions of module `bezant1` that exist, with their types.
    Imports,
    /// `memory` and every entry point of the manifest are exported with their types.
    Exports,
    /// One memory of its own that needs no more than the manifest's cap.
    Memory,
    /// Not too many functions, types, globals, tables, segments, locals or parameters.
    Count,
    /// Names that are part of the module are not too long.
    Names,
}

/// How an extension's call failed. All of its effects are undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtensionFailure {
    /// Why.
    pub code: FailureCode,
    /// The extension's name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The fuel it had burnt by then.
    pub fuel: u64,
}

/// Why an extension's call failed. The order of the variants is the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FailureCode {
    /// The program stopped itself: an unreachable instruction, a division by zero, an access
    /// outside its memory.
    Trap,
    /// It burnt all of its fuel.
    OutOfFuel,
    /// It asked for more of something than a call may have, such as depth of recursion.
    Limit,
    /// It tried what its manifest does not allow.
    Capability,
    /// It said no itself, with a code of its own.
    Refused(u32),
    /// It returned without an answer.
    NoReply,
    /// Its answer is not of the operation's result type.
    BadReply,
    /// It passed the host something that is no tuple, template or space's name, or lies outside
    /// its memory.
    BadArgument,
    /// The tuple space refused an operation of it, which it did not survive.
    Space(u16),
    /// The module would not start; a check should have said so.
    Start,
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
            Self::Imposed => f.write_str(
                "the extension applies to everyone in a space; have who administers it lift it first (`bezant ext ls` says where)",
            ),
            Self::NoVersionBefore => f.write_str(
                "this version is not in force, or no version before it is installed any more; `bezant ext ls` lists them",
            ),
            Self::NoSuchEngine => f.write_str(
                "this build knows no such version of the engine; give every replica one that does, then switch",
            ),
            Self::TooManyImposed => f.write_str(
                "as many extensions are imposed as may be, in this space or in all; lift one",
            ),
            Self::TooManyAcknowledgements => f.write_str(
                "as many extensions are acknowledged as may be, by this client or by all; acknowledge fewer",
            ),
        }
    }
}

impl core::error::Error for Refused {}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the extension was rejected: {}", self.rule)?;
        if let Some(function) = self.function {
            write!(f, " (function {function}")?;
            if let Some(offset) = self.offset {
                write!(f, ", at byte {offset:#x}")?;
            }
            return f.write_str(")");
        }
        self.offset
            .map_or(Ok(()), |offset| write!(f, " (at byte {offset:#x})"))
    }
}

impl core::error::Error for Rejection {}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(error) => write!(f, "its manifest is wrong: {error}"),
            Self::Size => write!(f, "its module is longer than {MAX_MODULE_BYTES} bytes; build it for size and strip it"),
            Self::Valid => f.write_str("its module is not valid WebAssembly; build it anew"),
            Self::NoFloats => f.write_str("it uses floating point, whose results may differ between replicas; use integers"),
            Self::NoProposal => f.write_str("it uses a WebAssembly feature that is off here; build it for the plain `mvp` processor"),
            Self::NoStart => f.write_str("it has a start function; do that work in the entry point"),
            Self::Imports => f.write_str("it imports something that is not a function of `bezant1`, or with another type; docs/extensions/abi.md lists them"),
            Self::Exports => f.write_str("it does not export its memory as `memory` and every entry point of its manifest as a function without parameters and results"),
            Self::Memory => write!(f, "it does not have one memory of its own that starts within its manifest's cap of at most {MAX_MEMORY_PAGES} pages; lower its stack or raise the cap"),
            Self::Count => f.write_str("it has more functions, types, globals, tables, segments, locals or parameters than a module may have; make it smaller"),
            Self::Names => f.write_str("it has a name that is too long; shorten its exports"),
        }
    }
}

impl fmt::Display for ExtensionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "extension {} (version {}) failed and nothing was changed: {}",
            self.name, self.version, self.code
        )?;
        write!(f, " [fuel {}]", self.fuel)
    }
}

impl core::error::Error for ExtensionFailure {}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trap => f.write_str("it trapped; test it with this operation"),
            Self::OutOfFuel => f.write_str("it ran out of fuel; make it cheaper or raise its manifest's fuel"),
            Self::Limit => f.write_str("it went over a limit of one call; make it do less"),
            Self::Capability => f.write_str("it tried what its manifest does not allow; add the capability and register it again"),
            Self::Refused(code) => write!(f, "it refused the operation with its code {code}; its author says what that means"),
            Self::NoReply => f.write_str("it returned without an answer; have its author call `reply` on every path"),
            Self::BadReply => f.write_str("its answer does not fit the operation; its author must answer in the operation's own result type"),
            Self::BadArgument => f.write_str("it passed bad arguments to the host; have its author test it"),
            Self::Space(code) => write!(f, "the tuple space refused one of its operations with code {code}"),
            Self::Start => f.write_str("its module would not start; report this, a check should have refused it"),
        }
    }
}
