//! What came of a call: its answer, or why it failed, and the fuel it burnt.
//!
//! Below the engine that makes a report and the host calls that conclude one.

use bezant_manifest::FailureCode;
use bezant_tuplespace::Outcome;

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallReport {
    /// How it ended; or why it failed. After a failure the caller must undo everything the
    /// host was asked to do.
    pub result: Result<Conclusion, FailureCode>,
    /// The fuel burnt.
    pub fuel_used: u64,
}

/// How a call ended that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// With an answer, of the operation's own result type.
    Answered(Outcome),
    /// The client waits now.
    Waiting,
    /// Nobody awaited an answer: an event was dealt with, or an operation may be.
    Done,
}
