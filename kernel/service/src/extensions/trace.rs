//! A call of an extension as it went, for its author: what it asked of the host, what changed
//! by that, and what it had burnt. Kept only while somebody wants it; no part of any state.

use core::fmt;

use bezant_api::{ExtensionHash, FailureCode};
use bezant_extensions::{CallReport, Cause, Conclusion, Found, Invocation};
use bezant_tuplespace::{Happening, Operation, Outcome, Refusal, SpaceName, Spaces};

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Which extension.
    pub hash: ExtensionHash,
    /// Its manifest's name.
    pub name: String,
    /// Its manifest's version.
    pub version: u32,
    /// The entry point.
    pub entry: String,
    /// The number of the proposal.
    pub sequence: u64,
    /// What it was called for.
    pub cause: String,
    /// What it asked of the host, in order.
    pub steps: Vec<TracedStep>,
    /// How it ended.
    pub ended: String,
    /// Whether it failed: then nothing of the above changed anything.
    pub failed: bool,
    /// The fuel burnt.
    pub fuel: u64,
}

/// Something asked of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedStep {
    /// What.
    pub call: String,
    /// What came of it.
    pub outcome: String,
    /// What changed: `+ SPACE TUPLE` came in, `- SPACE TUPLE` went.
    pub changes: Vec<String>,
    /// The fuel that was left when it was asked.
    pub fuel_left: u64,
}

/// An operation on a space, as people write it.
struct Written<'a>(&'a SpaceName, &'a Operation);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(space, operation) = self;
        write!(f, "{} {space}", operation.kind().name())?;
        if let Some(template) = operation.template() {
            write!(f, " {template}")?;
        }
        if let Some(tuple) = operation.tuple() {
            write!(f, " {tuple}")?;
        }
        Ok(())
    }
}

/// An operation on a space, as people write it.
pub(super) fn written(space: &SpaceName, operation: &Operation) -> String {
    Written(space, operation).to_string()
}

/// What an operation answered, as people write it.
fn spelled(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "done".to_owned(),
        Outcome::Match(None) => "no match".to_owned(),
        Outcome::Match(Some(tuple)) => tuple.to_string(),
        Outcome::Count(count) => count.to_string(),
        Outcome::Page { tuples, .. } => {
            let tuples: Vec<String> = tuples.iter().map(ToString::to_string).collect();
            tuples.join(" ")
        }
        Outcome::Events { .. } | Outcome::Compacted { .. } | Outcome::Survey { .. } => {
            "what happened".to_owned()
        }
    }
}

/// What happened since a number of things had.
pub(super) fn changes(spaces: &Spaces, before: usize) -> Vec<String> {
    let happened = spaces.happened(before).map(|happened| {
        let sign = match happened.what {
            Happening::Inserted => '+',
            Happening::Taken | Happening::Expired | Happening::SessionEnded => '-',
        };
        format!("{sign} {} {}", happened.space, happened.tuple)
    });
    happened.collect()
}

impl TracedStep {
    pub(super) fn new(
        call: String,
        outcome: &Result<Outcome, Refusal>,
        changes: Vec<String>,
        fuel_left: u64,
    ) -> Self {
        Self {
            call,
            outcome: match outcome {
                Ok(outcome) => spelled(outcome),
                Err(refusal) => format!("refused: {refusal}"),
            },
            changes,
            fuel_left,
        }
    }
}

impl Traced {
    pub(super) fn new(
        found: Found<'_>,
        invocation: Invocation<'_>,
        steps: Vec<TracedStep>,
        report: &CallReport,
    ) -> Self {
        let space = invocation.space;
        let cause = match invocation.cause {
            Cause::Operation(operation) => format!("instead of {}", Written(space, operation)),
            Cause::Judged(operation) => format!("before {}", Written(space, operation)),
            Cause::Event(kind, tuple) => format!("after {} {space} {tuple}", kind.name()),
        };
        let ended = match &report.result {
            Ok(Conclusion::Answered(outcome)) => format!("answered {}", spelled(outcome)),
            Ok(Conclusion::Waiting) => "the client waits".to_owned(),
            Ok(Conclusion::Done) => "done".to_owned(),
            Err(FailureCode::Refused(code)) => format!("refused with {code}"),
            Err(code) => format!("failed: {code}"),
        };
        Self {
            hash: found.hash,
            name: found.extension.manifest.name.clone(),
            version: found.extension.manifest.version,
            entry: found.subscription.entry.clone(),
            sequence: invocation.sequence,
            cause,
            steps,
            ended,
            failed: report.result.is_err(),
            fuel: report.fuel_used,
        }
    }
}
