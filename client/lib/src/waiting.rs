//! Operations that wait for a tuple, and the cancelling of abandoned waits.

use std::{future::IntoFuture, time::Duration};

use bezant_api::Call;
use bezant_session::Token;
use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{Operation, Outcome};

use crate::{
    client::{Client, ms, outcome, refused, space},
    error::Error,
    insertion::Answered,
    reply::Reply,
};

/// A wait for a match, to be awaited; made by [`Client::rd`] and [`Client::take`].
///
/// Once it waits, dropping it cancels the wait.
#[derive(Debug)]
#[must_use = "nothing is waited for before it is awaited"]
pub struct Wait<'a> {
    client: &'a Client,
    space: &'a str,
    template: Template,
    takes: bool,
    within: Option<Duration>,
}

impl Wait<'_> {
    /// Waits for no longer than `within` by the agreed time. The service decides whether the
    /// match or the end of the wait came first, so that [`Error::NoMatchInTime`] means that
    /// nothing was taken.
    pub fn within(mut self, within: Duration) -> Self {
        self.within = Some(within);
        self
    }
}

impl<'a> IntoFuture for Wait<'a> {
    type Output = Result<Reply<Tuple>, Error>;
    type IntoFuture = Answered<'a, Tuple>;

    fn into_future(self) -> Self::IntoFuture {
        let Self {
            client,
            space,
            template,
            takes,
            within,
        } = self;
        let within_ms = within.map(|within| ms(within).max(1));
        let operation = if takes {
            Operation::In {
                template,
                within_ms,
            }
        } else {
            Operation::Rd {
                template,
                within_ms,
            }
        };
        Box::pin(client.match_of(space, operation, within))
    }
}

impl Client {
    /// Reads the oldest match, waiting for one: without end, or no longer than
    /// [`Wait::within`].
    ///
    /// # Errors
    /// [`Error`], when it is awaited; [`Error::NoMatchInTime`] only of a wait that has an end.
    pub fn rd<'a>(&'a self, space: &'a str, template: Template) -> Wait<'a> {
        self.wait_for(space, template, false)
    }

    /// Takes the oldest match, waiting for one: without end, or no longer than
    /// [`Wait::within`]. Linda's `in`, which Rust keeps for itself.
    ///
    /// # Errors
    /// [`Error`], when it is awaited; [`Error::NoMatchInTime`] only of a wait that has an end,
    /// and then nothing was taken.
    pub fn take<'a>(&'a self, space: &'a str, template: Template) -> Wait<'a> {
        self.wait_for(space, template, true)
    }

    fn wait_for<'a>(&'a self, space: &'a str, template: Template, takes: bool) -> Wait<'a> {
        Wait {
            client: self,
            space,
            template,
            takes,
            within: None,
        }
    }

    /// A wait for a tuple.
    async fn match_of(
        &self,
        name: &str,
        operation: Operation,
        within: Option<Duration>,
    ) -> Result<Reply<Tuple>, Error> {
        let answered = self.wait(name, operation, within).await?;
        answered.try_map(|outcome| match outcome {
            Outcome::Match(Some(tuple)) => Ok(tuple),
            Outcome::Match(None) => Err(Error::NoMatchInTime(within.unwrap_or_default())),
            _ => Err(Error::Unexpected),
        })
    }

    /// A waiting operation: answered when it is served, or when its time is up.
    pub(crate) async fn wait(
        &self,
        name: &str,
        operation: Operation,
        within: Option<Duration>,
    ) -> Result<Reply<Outcome>, Error> {
        let call = Call::Space {
            space: space(name)?,
            operation,
        };
        // The service ends the wait, by its own time; what is waited for longer is its answer.
        let timeout = within.map(|within| within.saturating_add(self.inner.timeout));
        let asked = self.submit(&call, timeout).await?;
        // Dropped early, the wait must not take a tuple for nobody.
        let guard = CancelOnDrop {
            client: self,
            token: asked.token,
            armed: true,
        };
        let answered = match self.answer_to(asked).await {
            Err(Error::TimedOut(_)) => Err(Error::TimedOut(timeout.unwrap_or_default())),
            answered => answered,
        };
        // Given up without an answer it may still wait.
        if answered.is_ok() {
            guard.disarm();
        }
        refused(answered?)?.try_map(outcome)
    }
}

/// Cancels a wait whose future is dropped.
struct CancelOnDrop<'a> {
    client: &'a Client,
    token: Token,
    armed: bool,
}

impl CancelOnDrop<'_> {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if self.armed {
            let number = self.token.0.0;
            self.client.tell(Call::Cancel { number });
        }
    }
}
