//! How an extension's call fails, in codes that replicas agree on.

use core::fmt;

use serde::{Deserialize, Serialize};

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
