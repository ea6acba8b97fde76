//! What clients saw of a service: calls, answers and when.

use std::collections::BTreeMap;

use bezant_api::{Answer, Call, Refused};
use bezant_bft::ids::{RequestNumber, SessionId};

/// The name of an operation.
pub type Key = (SessionId, RequestNumber);

/// One operation as its client saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The session.
    pub session: SessionId,
    /// The request; a session's requests take their turns in this order.
    pub number: RequestNumber,
    /// What was asked.
    pub call: Call,
    /// When, in microseconds.
    pub invoked: u64,
    /// When the answer was accepted; `None` leaves open whether it happened.
    pub returned: Option<u64>,
    /// The answer.
    pub answer: Option<Answer>,
}

impl Seen {
    /// Its name.
    #[must_use]
    pub const fn key(&self) -> Key {
        (self.session, self.number)
    }

    /// Whether the session refused it, so that it never came to its turn.
    pub(crate) const fn never_began(&self) -> bool {
        matches!(
            self.answer,
            Some(Answer::Refused(
                Refused::NoSession | Refused::WindowExceeded | Refused::NotEnrolled
            ))
        )
    }
}

/// Everything that all clients of one service saw, from its beginning on.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Whether the first `out` makes its space, as the genesis says.
    pub makes_spaces: bool,
    /// The operations, in any order.
    pub operations: Vec<Seen>,
}

impl History {
    /// Operations by session, each session's in its order.
    pub(crate) fn sessions(&self) -> Vec<Vec<&Seen>> {
        let mut sessions: BTreeMap<SessionId, Vec<&Seen>> = BTreeMap::new();
        for seen in &self.operations {
            sessions.entry(seen.session).or_default().push(seen);
        }
        let mut sessions: Vec<Vec<&Seen>> = sessions.into_values().collect();
        for session in &mut sessions {
            session.sort_by_key(|seen| seen.number);
        }
        sessions
    }

    /// How many operations each stretch between two quiet moments has. A moment is quiet
    /// when everything asked before it was answered before it.
    #[must_use]
    pub fn windows(&self) -> Vec<u64> {
        let mut spans: Vec<(u64, u64)> = self
            .operations
            .iter()
            .map(|seen| (seen.invoked, seen.returned.unwrap_or(u64::MAX)))
            .collect();
        spans.sort_unstable();
        let mut windows = Vec::new();
        let mut end = None;
        for (invoked, returned) in spans {
            match (end, windows.last_mut()) {
                (Some(last), Some(window)) if invoked <= last => *window += 1,
                _ => windows.push(1),
            }
            end = end.max(Some(returned));
        }
        windows
    }
}
