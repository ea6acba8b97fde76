//! Operations that wait for a tuple, and what becomes of a wait that nobody waits for.

use std::time::Duration;

use bezant_api::Call;
use bezant_session::Token;
use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{Operation, Outcome};

use crate::{
    client::{Client, ms, outcome, refused, space},
    error::Error,
    reply::Reply,
};

impl Client {
    /// Reads the oldest match, waiting for one.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn rd(&self, space: &str, template: Template) -> Result<Reply<Tuple>, Error> {
        let within_ms = None;
        let operation = Operation::Rd {
            template,
            within_ms,
        };
        self.match_of(space, operation, None).await
    }

    /// Reads the oldest match, waiting for one no longer than `within` by the agreed time.
    ///
    /// # Errors
    /// [`Error::NoMatchInTime`] and the others.
    pub async fn rd_within(
        &self,
        space: &str,
        template: Template,
        within: Duration,
    ) -> Result<Reply<Tuple>, Error> {
        let within_ms = Some(ms(within).max(1));
        let operation = Operation::Rd {
            template,
            within_ms,
        };
        self.match_of(space, operation, Some(within)).await
    }

    /// Takes the oldest match, waiting for one. Linda's `in`, which Rust keeps for itself.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn take(&self, space: &str, template: Template) -> Result<Reply<Tuple>, Error> {
        let within_ms = None;
        let operation = Operation::In {
            template,
            within_ms,
        };
        self.match_of(space, operation, None).await
    }

    /// Takes the oldest match, waiting for one no longer than `within` by the agreed time.
    /// The service decides whether the match or the end of the wait came first, so that
    /// [`Error::NoMatchInTime`] means that nothing was taken.
    ///
    /// # Errors
    /// [`Error::NoMatchInTime`] and the others.
    pub async fn take_within(
        &self,
        space: &str,
        template: Template,
        within: Duration,
    ) -> Result<Reply<Tuple>, Error> {
        let within_ms = Some(ms(within).max(1));
        let operation = Operation::In {
            template,
            within_ms,
        };
        self.match_of(space, operation, Some(within)).await
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
        let patience = within.map(|within| within.saturating_add(self.inner.timeout));
        let asked = self.submit(&call, patience).await?;
        // Dropped early, the wait must not take a tuple for nobody.
        let guard = CancelOnDrop {
            client: self,
            token: asked.token,
            armed: true,
        };
        let answered = match self.answer_to(asked).await {
            Err(Error::TimedOut(_)) => Err(Error::TimedOut(patience.unwrap_or_default())),
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
