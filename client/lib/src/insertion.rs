//! Operations that insert a tuple, with what can be said of its life and of who may see it.
//!
//! Awaited as it is, an operation inserts a tuple for everybody and for ever. What is to be
//! otherwise is said before: `client.out(space, tuple).lease(time).await`. Nothing is sent
//! before it is awaited.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use bezant_api::Audience;
use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{Lease, Operation, Outcome};

use crate::{
    client::{Client, ms},
    error::Error,
    reply::Reply,
};

/// What an operation with options becomes when it is awaited.
pub(crate) type Answered<'a, T> =
    Pin<Box<dyn Future<Output = Result<Reply<T>, Error>> + Send + 'a>>;

/// The insertion of a tuple, to be awaited; made by [`Client::out`].
#[derive(Debug)]
#[must_use = "nothing is inserted before it is awaited"]
pub struct Insertion<'a> {
    client: &'a Client,
    space: &'a str,
    tuple: Tuple,
    lease: Lease,
    audience: Option<Audience>,
}

/// The insertion of a tuple that depends on a match, to be awaited; made by [`Client::cas`]
/// and [`Client::replace`].
#[derive(Debug)]
#[must_use = "nothing is done before it is awaited"]
pub struct Exchange<'a> {
    client: &'a Client,
    space: &'a str,
    condition: Condition,
    template: Template,
    tuple: Tuple,
    lease: Lease,
}

/// When an [`Exchange`] inserts its tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// Nothing matches.
    Absent,
    /// Something matches, whose place it takes.
    Present,
}

impl Client {
    /// Inserts a tuple.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// use bezant_client::{Client, tuple};
    /// # async fn example(client: Client) -> Result<(), bezant_client::Error> {
    /// client.out("jobs", tuple!("build", 42)).await?;
    /// client.out("locks", tuple!("mine")).lease(Duration::from_secs(60)).await?;
    /// client.out("members", tuple!("ann")).ephemeral().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error`], when it is awaited.
    pub fn out<'a>(&'a self, space: &'a str, tuple: Tuple) -> Insertion<'a> {
        Insertion {
            client: self,
            space,
            tuple,
            lease: Lease::Forever,
            audience: None,
        }
    }

    /// Inserts `tuple` unless something matches `template`, which is then the answer.
    ///
    /// # Errors
    /// [`Error`], when it is awaited.
    pub fn cas<'a>(&'a self, space: &'a str, template: Template, tuple: Tuple) -> Exchange<'a> {
        Exchange {
            client: self,
            space,
            condition: Condition::Absent,
            template,
            tuple,
            lease: Lease::Forever,
        }
    }

    /// Replaces the oldest match by `tuple`; the answer is what was there, or nothing if
    /// nothing matched and nothing changed.
    ///
    /// # Errors
    /// [`Error`], when it is awaited.
    pub fn replace<'a>(&'a self, space: &'a str, template: Template, tuple: Tuple) -> Exchange<'a> {
        Exchange {
            client: self,
            space,
            condition: Condition::Present,
            template,
            tuple,
            lease: Lease::Forever,
        }
    }
}

impl Insertion<'_> {
    /// The tuple is gone after `lease` by the agreed time, for every operation at once, unless
    /// it was [renewed](Client::renew) or taken before. A lease is between a millisecond and a
    /// year; any other is refused.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Lease::Ms(ms(lease));
        self
    }

    /// The tuple is gone when this session ends, unless it was taken before.
    pub fn ephemeral(mut self) -> Self {
        self.lease = Lease::Session;
        self
    }

    /// The tuple is there for some clients only: to all others it does not exist. Whoever
    /// inserts it is not among them unless it is named. Of readers and of takers at most
    /// [`MAX_AUDIENCE`](crate::MAX_AUDIENCE) can be named.
    pub fn audience(mut self, audience: Audience) -> Self {
        self.audience = Some(audience);
        self
    }
}

impl<'a> IntoFuture for Insertion<'a> {
    type Output = Result<Reply<()>, Error>;
    type IntoFuture = Answered<'a, ()>;

    fn into_future(self) -> Self::IntoFuture {
        let Self {
            client,
            space,
            tuple,
            lease,
            audience,
        } = self;
        let operation = match audience {
            None => Operation::Out { tuple, lease },
            Some(audience) => Operation::OutTo {
                tuple,
                lease,
                audience: Box::new(audience),
            },
        };
        Box::pin(async move {
            let answered = client.operate(space, operation).await?;
            answered.try_map(|outcome| match outcome {
                Outcome::Done => Ok(()),
                _ => Err(Error::Unexpected),
            })
        })
    }
}

impl Exchange<'_> {
    /// As [`Insertion::lease`], of the tuple that is inserted.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Lease::Ms(ms(lease));
        self
    }

    /// As [`Insertion::ephemeral`], of the tuple that is inserted.
    pub fn ephemeral(mut self) -> Self {
        self.lease = Lease::Session;
        self
    }
}

impl<'a> IntoFuture for Exchange<'a> {
    type Output = Result<Reply<Option<Tuple>>, Error>;
    type IntoFuture = Answered<'a, Option<Tuple>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self {
            client,
            space,
            condition,
            template,
            tuple,
            lease,
        } = self;
        let operation = match condition {
            Condition::Absent => Operation::Cas {
                template,
                tuple,
                lease,
            },
            Condition::Present => Operation::Replace {
                template,
                tuple,
                lease,
            },
        };
        Box::pin(client.matching(space, operation))
    }
}
