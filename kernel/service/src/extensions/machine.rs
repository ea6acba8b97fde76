//! Runs calls of extensions, with this replica's compiled modules and counters.

use std::collections::{BTreeMap, VecDeque};

use bezant_api::{ExtensionHash, FailureCode, Refused};
use bezant_extensions::{CallReport, Engine, Found, Invocation};

use super::{host_context::HostContext, trace::Traced};

/// Most lines extensions may leave for the log between two collections; more are dropped.
const MAX_LOG_LINES: usize = 256;

/// Most lines of one extension that are remembered for whoever asks.
const MAX_REMEMBERED: usize = 100;

/// The engine with all that is outside of the agreed state.
#[derive(Debug)]
pub(crate) struct Machine {
    engine: Engine,
    logs: Vec<LogLine>,
    /// Why this replica cannot go on, once it cannot.
    exhausted: Option<String>,
    tallies: BTreeMap<ExtensionHash, (Tally, VecDeque<LogLine>)>,
    /// The calls made, while somebody wants to know.
    trace: Option<Vec<Traced>>,
}

/// A line that an extension logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Which extension.
    pub hash: ExtensionHash,
    /// The number of the proposal that was executed.
    pub sequence: u64,
    /// The line.
    pub text: String,
}

/// What an extension did at this replica since it started; never part of the agreed state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls.
    pub calls: u64,
    /// Those of them that failed, or refused.
    pub failures: u64,
    /// Fuel burnt in all of them.
    pub fuel: u64,
    /// Why the last one failed that did.
    pub last_failure: Option<FailureCode>,
}

/// An installed extension and what it did here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tallied {
    /// Which.
    pub hash: ExtensionHash,
    /// Its manifest's name.
    pub name: String,
    /// Its manifest's version.
    pub version: u32,
    /// What it did.
    pub tally: Tally,
}

impl Machine {
    pub(super) fn new() -> Self {
        Self {
            engine: Engine::new(),
            logs: Vec::new(),
            exhausted: None,
            tallies: BTreeMap::new(),
            trace: None,
        }
    }

    pub(super) fn exhausted(&self) -> Option<&str> {
        self.exhausted.as_deref()
    }

    pub(super) fn trace(&mut self, wanted: bool) {
        self.trace = wanted.then(Vec::new);
    }

    pub(super) fn take_trace(&mut self) -> Vec<Traced> {
        self.trace.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn take_logs(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.logs)
    }

    /// The last lines of an extension, oldest first.
    pub(super) fn lines(&self, hash: &ExtensionHash) -> Vec<LogLine> {
        let lines = self.tallies.get(hash).map(|(_, lines)| lines);
        lines.into_iter().flatten().cloned().collect()
    }

    pub(super) fn tally(&self, hash: &ExtensionHash) -> Tally {
        self.tallies
            .get(hash)
            .map_or_else(Tally::default, |(tally, _)| *tally)
    }

    pub(super) fn forget(&mut self, hash: &ExtensionHash) {
        self.tallies.remove(hash);
    }

    /// Calls an extension.
    ///
    /// # Errors
    /// When this replica, not the extension, is at fault: it must stop before it answers
    /// otherwise than the others.
    pub(super) fn call(
        &mut self,
        found: Found<'_>,
        invocation: Invocation<'_>,
        mut host_context: HostContext<'_>,
    ) -> Result<CallReport, Refused> {
        let compiled = self.engine.compiled(found.extension)?;
        let (manifest, entry) = (&found.extension.manifest, &found.subscription.entry);
        host_context.trace(self.trace.is_some());
        let report = self
            .engine
            .call(&compiled, manifest, entry, invocation, &mut host_context);
        let (said, steps) = (host_context.take_said(), host_context.take_steps());
        let report = match report {
            Ok(report) => report,
            Err(exhausted) => {
                self.exhausted = Some(exhausted.to_string());
                return Err(Refused::NoSuchExtension);
            }
        };
        if let Some(trace) = &mut self.trace {
            trace.push(Traced::new(found, invocation, steps, &report));
        }
        let (tally, lines) = self.tallies.entry(found.hash).or_default();
        tally.note(&report);
        for text in said {
            let line = LogLine {
                hash: found.hash,
                sequence: invocation.sequence,
                text,
            };
            if self.logs.len() < MAX_LOG_LINES {
                self.logs.push(line.clone());
            }
            if lines.len() >= MAX_REMEMBERED {
                lines.pop_front();
            }
            lines.push_back(line);
        }
        Ok(report)
    }
}

impl Tally {
    const fn note(&mut self, report: &CallReport) {
        self.calls = self.calls.saturating_add(1);
        self.fuel = self.fuel.saturating_add(report.fuel_used);
        if let Err(code) = report.result {
            self.failures = self.failures.saturating_add(1);
            self.last_failure = Some(code);
        }
    }
}
