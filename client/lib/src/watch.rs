//! Watching a space: what is there, and then what happens, without gap or repeat.
//!
//! A watch is a chain of operations, each of which waits until something happens and is
//! answered by f+1 replicas alike with the events since the number at which the one before
//! ended. So nobody can leave out or delay an event unseen, whoever lost its connection or
//! its session goes on from a number, and a reader that is slow slows down only itself: it
//! asks for more when it has read what it got, and [`Watch::lag`] says how far behind it is.
//!
//! What was there before comes in pages, each of a moment of its own; an event that a page
//! already knew of is left out. At the end of the first of them the whole is what was there.

use std::{collections::VecDeque, time::Duration};

use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{Cursor, Event, Operation, Outcome, TupleId};
use futures_util::{Stream, stream};

use crate::{
    client::{Client, ms, space},
    error::Error,
};

/// Most events or tuples asked for at a time.
const PAGE: u32 = 500;

/// How long one operation waits: then it answers that nothing happened, which shows that
/// the service is there and goes on.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// With what is there.
    Present,
    /// With what happens from now on.
    Now,
    /// After the event with this number, of which an earlier watch told.
    Event(u64),
}

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// This was there when the watch began.
    There {
        /// Which tuple, in the order of insertion.
        id: TupleId,
        /// The tuple.
        tuple: Tuple,
    },
    /// This happened.
    Happened(Event),
}

/// The matches of a template in one space, watched.
#[derive(Debug)]
pub struct Watch {
    client: Client,
    space: String,
    template: Template,
    state: State,
    seen: VecDeque<Sight>,
    /// The pages of what was there that later events may be about.
    pages: Vec<SurveyedTo>,
    newest: u64,
}

#[derive(Debug)]
enum State {
    /// Begins here.
    Begins(Since),
    /// Reads what is there after this tuple; then goes on after that event.
    Surveys(TupleId, u64),
    /// Everything up to this event was told or does not match.
    Follows(u64),
}

/// Tuples up to this one are as they were at that event.
#[derive(Clone, Copy, Debug)]
struct SurveyedTo {
    id: TupleId,
    event: u64,
}

impl Client {
    /// Watches the matches of a template: what is there, if that is asked for, and then what
    /// happens to them.
    ///
    /// ```no_run
    /// use bezant_client::{Client, Since, template};
    /// # async fn example(client: Client) -> Result<(), bezant_client::Error> {
    /// let mut members = client.watch("members", template!(?text), Since::Present);
    /// loop {
    ///     println!("{:?}", members.next().await?);
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn watch(&self, space: &str, template: Template, since: Since) -> Watch {
        Watch::new(self.clone(), space, template, since)
    }
}

impl Watch {
    pub(crate) fn new(client: Client, space: &str, template: Template, since: Since) -> Self {
        Self {
            client,
            space: space.to_owned(),
            template,
            state: State::Begins(since),
            seen: VecDeque::new(),
            pages: Vec::new(),
            newest: 0,
        }
    }

    /// The next of what is seen; waits for it.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped: what was not given out is told again.
    ///
    /// # Errors
    /// [`Error::Compacted`] if events that were to be told are kept no more: begin anew with
    /// [`Since::Present`]. [`Error::Refused`] and the others; after one that
    /// [may be tried again](Error::is_retryable) calling again goes on where it was.
    pub async fn next(&mut self) -> Result<Sight, Error> {
        loop {
            if let Some(sight) = self.seen.pop_front() {
                return Ok(sight);
            }
            self.look().await?;
        }
    }

    /// As a stream that ends after the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Sight, Error>> {
        stream::unfold(Some(self), |watch| async {
            let mut watch = watch?;
            match watch.next().await {
                Ok(sight) => Some((Ok(sight), Some(watch))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    /// The number after which to go on, with [`Since::Event`], once all that was seen so far
    /// has been dealt with; `None` before the watch has followed anything.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        let waiting = self.seen.iter().find_map(|sight| match sight {
            Sight::Happened(event) => Some(event.number - 1),
            Sight::There { .. } => None,
        });
        match self.state {
            // A later page may know of events that are still to come.
            State::Follows(after) if self.pages.iter().any(|page| page.event > after) => None,
            State::Follows(after) => Some(waiting.unwrap_or(after)),
            State::Begins(Since::Event(after)) => Some(after),
            State::Begins(_) | State::Surveys(..) => None,
        }
    }

    /// How many events of the whole service there were, by its last answer, behind the one
    /// up to which this watch has come.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.newest
            .saturating_sub(self.position().unwrap_or(self.newest))
    }

    /// Asks for more.
    async fn look(&mut self) -> Result<(), Error> {
        match self.state {
            State::Begins(Since::Present) => self.survey(None, None).await,
            State::Surveys(after, first) => self.survey(Some(after), Some(first)).await,
            State::Begins(Since::Now) => self.follow(None).await,
            State::Begins(Since::Event(after)) | State::Follows(after) => {
                self.follow(Some(after)).await
            }
        }
    }

    async fn survey(&mut self, after: Option<TupleId>, first: Option<u64>) -> Result<(), Error> {
        let space = space(&self.space)?;
        let operation = Operation::Survey {
            template: self.template.clone(),
            limit: PAGE,
            after: after.map(|after| Cursor { space, after }),
        };
        let outcome = self.client.operate(&self.space, operation).await?;
        let Outcome::Survey {
            found,
            next,
            newest,
        } = outcome.into_inner()
        else {
            return Err(Error::Unexpected);
        };
        self.newest = newest;
        let there = found
            .into_iter()
            .map(|(id, tuple)| Sight::There { id, tuple });
        self.seen.extend(there);
        let first = first.unwrap_or(newest);
        self.pages.push(SurveyedTo {
            id: next.unwrap_or(TupleId(u64::MAX)),
            event: newest,
        });
        self.state = next.map_or(State::Follows(first), |next| State::Surveys(next, first));
        Ok(())
    }

    async fn follow(&mut self, after: Option<u64>) -> Result<(), Error> {
        let operation = Operation::Watch {
            template: self.template.clone(),
            after,
            limit: PAGE,
            within_ms: Some(ms(TIMEOUT)),
        };
        let answered = self.client.wait(&self.space, operation, Some(TIMEOUT));
        match answered.await?.into_inner() {
            Outcome::Events {
                events,
                next,
                newest,
            } => {
                self.newest = newest;
                let news = events
                    .into_iter()
                    .filter(|event| !knew_of(&self.pages, event));
                self.seen.extend(news.map(Sight::Happened));
                self.pages.retain(|page| page.event > next);
                self.state = State::Follows(next);
                Ok(())
            }
            Outcome::Compacted { first } => Err(Error::Compacted { first }),
            _ => Err(Error::Unexpected),
        }
    }
}

/// Whether what was read of the tuple an event is about was read after the event.
fn knew_of(pages: &[SurveyedTo], event: &Event) -> bool {
    let page = pages.iter().find(|page| event.id <= page.id);
    page.is_some_and(|page| event.number <= page.event)
}

#[cfg(test)]
mod tests {
    use bezant_tuplespace::Change;

    use super::*;
    use crate::tuple;

    fn event(number: u64, id: u64) -> Event {
        Event {
            number,
            change: Change::Taken,
            id: TupleId(id),
            tuple: tuple!(1),
        }
    }

    /// Two pages: tuples up to 7 as of event 10, all others as of event 20.
    #[test]
    fn an_event_is_told_unless_its_tuple_was_read_after_it() {
        let page = |id, event| SurveyedTo {
            id: TupleId(id),
            event,
        };
        let pages = [page(7, 10), page(u64::MAX, 20)];
        for (number, id, known) in [
            (10, 7, true),
            (11, 7, false),
            (11, 8, true),
            (20, 8, true),
            (21, 8, false),
        ] {
            assert_eq!(knew_of(&pages, &event(number, id)), known, "{number} {id}");
        }
        assert!(!knew_of(&[], &event(1, 1)));
    }
}
