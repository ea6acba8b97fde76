//! Exit codes, which scripts rely on, and failures with a next step.

use std::process::ExitCode;

use bezant_node::config::ConfigError;

/// The exit codes, a stable contract (docs/cli.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok,
    /// Failed for a reason none of the others names.
    Error,
    /// The command was not understood, or lacks something only its user can give.
    Usage,
    /// No tuple matched; for `cas`: not inserted, because one did.
    NoMatch,
    /// The service refused this client.
    Denied,
    /// Too few replicas agreed on an answer.
    NoQuorum,
    /// Timed out, and whether the operation took place is not known.
    OutcomeUnknown,
    /// As a command ended that was run.
    Command(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Error => 1,
            Exit::Usage => 2,
            Exit::NoMatch => 3,
            Exit::Denied => 4,
            Exit::NoQuorum => 5,
            Exit::OutcomeUnknown => 6,
            Exit::Command(code) => code,
        })
    }
}

/// Why a command failed, where, and what a person does next.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) what: String,
    pub(crate) at: Option<String>,
    pub(crate) next: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            at: None,
            next: None,
        }
    }

    /// A failure that none of the special codes names.
    pub(crate) fn error(what: impl Into<String>) -> Self {
        Self::new(Exit::Error, what)
    }

    /// Something only the user can put right.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// From a sentence of the form "what happened; what to do", as the libraries' errors are.
    pub(crate) fn sentence(exit: Exit, sentence: &str) -> Self {
        match sentence.split_once("; ") {
            Some((what, next)) => Self::new(exit, what).next(next),
            None => Self::new(exit, sentence),
        }
    }

    /// Names the replica or address it happened at.
    pub(crate) fn at(mut self, place: impl Into<String>) -> Self {
        self.at = Some(place.into());
        self
    }

    /// Says what to do next.
    pub(crate) fn next(mut self, step: impl Into<String>) -> Self {
        self.next = Some(step.into());
        self
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::error(error.to_string()).next(error.next_step())
    }
}
