//! What each operation does.

use std::sync::Arc;

use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{
    Applied, Cursor, Lease, MAX_LEASE_MS, Operation, Outcome, Refusal, SpaceName, TupleId,
    WaiterId, Wants,
};

use crate::{
    Caller, Model, Placed, Wait,
    audience::{audience_of, weight},
    events::Watched,
};

/// Where somebody looks, for what, and to what end.
#[derive(Clone, Copy, Debug)]
struct Look<'a> {
    by: Caller,
    space: &'a SpaceName,
    template: &'a Template,
    takes: bool,
}

/// Places of matches.
struct Page {
    places: Vec<usize>,
    /// The last one, if there are more.
    next: Option<TupleId>,
}

/// Refuses arguments that are wrong whatever the space holds.
fn check_ranges(by: Caller, space: &SpaceName, operation: &Operation) -> Result<(), Refusal> {
    let after = match operation {
        Operation::RdAll { after, .. } | Operation::Survey { after, .. } => after.as_ref(),
        _ => None,
    };
    if after.is_some_and(|after| after.space != *space) {
        return Err(Refusal::CursorOfAnotherSpace);
    }
    let is_out_of_range = |ms: u64| ms == 0 || ms > MAX_LEASE_MS;
    match operation.lease() {
        Some(Lease::Ms(ms)) if is_out_of_range(ms) => return Err(Refusal::LeaseOutOfRange),
        Some(Lease::Session) if by.session.is_none() => return Err(Refusal::NoOwner),
        _ => {}
    }
    if operation.within_ms().is_some_and(is_out_of_range) {
        return Err(Refusal::WaitOutOfRange);
    }
    Ok(())
}

impl Model {
    /// Applies an operation; without a `waiter` it never waits.
    ///
    /// # Errors
    /// Why it is refused; then nothing changed.
    pub fn apply(
        &mut self,
        by: Caller,
        waiter: Option<WaiterId>,
        space: &SpaceName,
        operation: &Operation,
    ) -> Result<Applied, Refusal> {
        self.check(space)?;
        check_ranges(by, space, operation)?;
        let look = |template, takes| Look {
            by,
            space,
            template,
            takes,
        };
        let due_ms = operation.within_ms().map(|ms| self.now_ms + ms);
        let waiting = |id, template: &Template, wants| Wait {
            id,
            client: by.client,
            space: space.clone(),
            template: template.clone(),
            wants,
            due_ms,
        };
        let outcome = match operation {
            Operation::Out { tuple, .. } | Operation::OutTo { tuple, .. } => {
                let arriving = self.coming(by, space, tuple, operation)?;
                self.room(&arriving, None)?;
                self.insert(arriving);
                Outcome::Done
            }
            Operation::Rdp { template } => Outcome::Match(self.find(look(template, false))),
            Operation::Inp { template } => Outcome::Match(self.find(look(template, true))),
            Operation::Rd { template, .. } | Operation::In { template, .. } => {
                let takes = matches!(operation, Operation::In { .. });
                let found = self.find(look(template, takes));
                if let (None, Some(id)) = (&found, waiter) {
                    let wants = if takes { Wants::Take } else { Wants::Read };
                    return self.wait(waiting(id, template, wants));
                }
                Outcome::Match(found)
            }
            Operation::Cas {
                template, tuple, ..
            } => {
                let found = self.find(look(template, false));
                if found.is_none() {
                    let arriving = self.coming(by, space, tuple, operation)?;
                    self.room(&arriving, None)?;
                    self.insert(arriving);
                }
                Outcome::Match(found)
            }
            Operation::Replace {
                template, tuple, ..
            } => match self.places(look(template, true)).first() {
                None => Outcome::Match(None),
                Some(at) => {
                    let arriving = self.coming(by, space, tuple, operation)?;
                    self.room(&arriving, Some(self.tuples[*at].id))?;
                    let found = self.take(*at);
                    self.insert(arriving);
                    Outcome::Match(Some(found))
                }
            },
            Operation::RdAll {
                template,
                limit,
                after,
            } => self.read_all(look(template, false), *limit, after.as_ref())?,
            Operation::InAll { template, limit } => self.take_all(look(template, true), *limit)?,
            Operation::Survey {
                template,
                limit,
                after,
            } => self.survey(look(template, false), *limit, after.as_ref())?,
            Operation::Count { template } => {
                Outcome::Count(self.places(look(template, false)).len() as u64)
            }
            Operation::Watch { limit: 0, .. } => return Err(Refusal::EmptyPage),
            Operation::Watch { after: None, .. } => self.nothing_happened(),
            Operation::Watch {
                template,
                after: Some(after),
                limit,
                ..
            } => {
                let told = self.watch(Watched {
                    client: by.client,
                    space,
                    template,
                    limit: *limit,
                    after: *after,
                })?;
                if let (None, Some(id)) = (&told, waiter) {
                    let wants = Wants::Watch { limit: *limit };
                    return self.wait(waiting(id, template, wants));
                }
                told.unwrap_or_else(|| self.nothing_happened())
            }
            Operation::Renew { template, lease_ms } => {
                let places = self.places(look(template, true)).into_iter();
                let mut leased = places.filter(|at| self.tuples[*at].due_ms.is_some());
                Outcome::Match(leased.next().map(|at| {
                    self.tuples[at].due_ms = Some(self.now_ms + lease_ms);
                    self.tuples[at].tuple.clone()
                }))
            }
        };
        Ok(Applied::Outcome(outcome))
    }

    fn read_all(
        &self,
        look: Look<'_>,
        limit: u32,
        after: Option<&Cursor>,
    ) -> Result<Outcome, Refusal> {
        let page = self.page(look, limit, after)?;
        let tuple = |at: &usize| self.tuples[*at].tuple.clone();
        Ok(Outcome::Page {
            tuples: page.places.iter().map(tuple).collect(),
            next: page.next,
        })
    }

    fn take_all(&mut self, look: Look<'_>, limit: u32) -> Result<Outcome, Refusal> {
        let page = self.page(look, limit, None)?;
        // Each that goes moves those behind it.
        let places = page.places.iter().enumerate();
        Ok(Outcome::Page {
            tuples: places.map(|(gone, at)| self.take(at - gone)).collect(),
            next: page.next,
        })
    }

    fn survey(
        &self,
        look: Look<'_>,
        limit: u32,
        after: Option<&Cursor>,
    ) -> Result<Outcome, Refusal> {
        let page = self.page(look, limit, after)?;
        let found = |at: &usize| {
            let placed = &self.tuples[*at];
            (TupleId(placed.id), placed.tuple.clone())
        };
        Ok(Outcome::Survey {
            found: page.places.iter().map(found).collect(),
            next: page.next,
            newest: self.newest() + self.happening.len() as u64,
        })
    }

    /// What there is to tell at once of what somebody watches.
    fn watch(&self, watched: Watched<'_>) -> Result<Option<Outcome>, Refusal> {
        if watched.after > self.newest() {
            return Err(Refusal::NoSuchEvent);
        }
        let first = self.first_event();
        if watched.after + 1 < first {
            return Ok(Some(Outcome::Compacted { first }));
        }
        Ok(self.tell(watched))
    }

    fn wait(&mut self, wait: Wait) -> Result<Applied, Refusal> {
        if self.is_waiting(wait.id) {
            return Err(Refusal::AlreadyWaiting);
        }
        let lengths = self.waits.iter().map(|wait| wait.template.encoded_len());
        let bytes = lengths.sum::<usize>() + wait.template.encoded_len();
        if self.waits.len() == self.limits.waiters || bytes as u64 > self.limits.waiter_bytes {
            return Err(Refusal::TooManyWaiters);
        }
        Arc::make_mut(&mut self.waits).push(wait);
        Ok(Applied::Waiting)
    }

    /// The tuple that an operation inserts, on its way in.
    fn coming(
        &self,
        by: Caller,
        space: &SpaceName,
        tuple: &Tuple,
        operation: &Operation,
    ) -> Result<Placed, Refusal> {
        let audience = audience_of(operation)?;
        let lease = operation.lease();
        Ok(Placed {
            due_ms: match lease {
                Some(Lease::Ms(ms)) => Some(self.now_ms + ms),
                _ => None,
            },
            owner: by.session.filter(|_| lease == Some(Lease::Session)),
            weight: weight(tuple, audience.as_ref()),
            audience,
            ..self.arriving(by, space, tuple)
        })
    }

    /// Whether a tuple may come in, in place of another one if there is one. Where somebody
    /// waits to take it, it needs no room.
    fn room(&self, arriving: &Placed, replaced: Option<u64>) -> Result<(), Refusal> {
        let wanting = self.wanting(arriving);
        if wanting.iter().any(|wait| wait.wants == Wants::Take) {
            return Ok(());
        }
        let stays = |placed: &Placed| Some(placed.id) != replaced;
        let all = self.sum(stays);
        if all.tuples >= self.limits.tuples {
            return Err(Refusal::TooManyTuples);
        }
        if all.bytes + arriving.weight > self.limits.bytes {
            return Err(Refusal::TooManyBytes);
        }
        let quota = self.quota(&arriving.space);
        let here = self.sum(|placed| stays(placed) && placed.space == arriving.space);
        if here.tuples >= quota.tuples || here.bytes + arriving.weight > quota.bytes {
            return Err(Refusal::SpaceFull);
        }
        if let Some(payer) = arriving.payer
            && let Some(quota) = self.account(payer)
        {
            let own = self.sum(|placed| stays(placed) && placed.payer == Some(payer));
            if own.tuples >= quota.tuples || own.bytes + arriving.weight > quota.bytes {
                return Err(Refusal::ClientFull);
            }
        }
        Ok(())
    }

    /// Places of the matches, oldest first.
    fn places(&self, look: Look<'_>) -> Vec<usize> {
        let places = 0..self.tuples.len();
        places.filter(|at| self.is_match(look, *at)).collect()
    }

    fn is_match(&self, look: Look<'_>, at: usize) -> bool {
        let placed = &self.tuples[at];
        placed.space == *look.space
            && look.template.matches(&placed.tuple)
            && self.meets(look.by.client, look.takes, placed.audience.as_ref())
    }

    /// The oldest match, taken if it is to be.
    fn find(&mut self, look: Look<'_>) -> Option<Tuple> {
        let at = (0..self.tuples.len()).find(|at| self.is_match(look, *at))?;
        if look.takes {
            Some(self.take(at))
        } else {
            Some(self.tuples[at].tuple.clone())
        }
    }

    /// A page of matches behind a tuple: it ends with the one that brings it to its bytes.
    fn page(&self, look: Look<'_>, limit: u32, after: Option<&Cursor>) -> Result<Page, Refusal> {
        if limit == 0 {
            return Err(Refusal::EmptyPage);
        }
        let after = after.map_or(0, |after| after.after.0);
        let mut all = self.places(look);
        all.retain(|at| self.tuples[*at].id > after);
        let (mut places, mut bytes) = (Vec::new(), 0);
        for at in &all {
            if places.len() == self.most(limit) || bytes >= self.limits.page_bytes {
                break;
            }
            bytes += self.tuples[*at].tuple.encoded_len();
            places.push(*at);
        }
        let last = places.last().filter(|_| places.len() < all.len());
        let next = last.map(|at| TupleId(self.tuples[*at].id));
        Ok(Page { places, next })
    }
}
