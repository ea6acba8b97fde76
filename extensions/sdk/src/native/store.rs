//! The service's own spaces, as the host calls of one client's extension use them.
//!
//! Names the spaces by the handles that guests have for them and acts for the one client there
//! is. It decides nothing: what the spaces refuse ends the test, as it would end the call.

use std::{cell::RefCell, format, vec, vec::Vec};

use bezant_tuple::{Field, Template, Tuple, Value, limits::MAX_FIELDS};
use bezant_tuplespace::{
    Applied, ClientKey, Cursor, Lease, Limits, Operation, Outcome, Refusal, Savepoint, SpaceName,
    Spaces, TupleId, WaiterId,
};

use super::wrong;

/// The session of the one client.
const SESSION: u64 = 1;

/// For whom an operation is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Actor {
    /// The client with whose eyes it looks.
    pub(super) client: ClientKey,
    /// Whether it has a session: it has none where the call is for an event.
    pub(super) has_session: bool,
}

/// No client at all.
const NOBODY: Actor = Actor {
    client: [0; 32],
    has_session: false,
};

/// A page of tuples.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) tuples: Vec<Tuple>,
    /// The last one, if there may be more.
    pub(super) next: Option<TupleId>,
}

/// Spaces and those who wait in them.
#[derive(Debug)]
pub(super) struct Store {
    /// To look is an operation too, for which the spaces count what they looked at.
    spaces: RefCell<Spaces>,
    /// The number given last to somebody who waits.
    waits: u64,
    /// What those got who waited.
    served: Vec<Tuple>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            spaces: RefCell::new(Spaces::new(Limits::DEFAULT)),
            waits: 0,
            served: Vec::new(),
        }
    }
}

impl Store {
    /// Applies an operation, which never waits.
    pub(super) fn apply(&self, by: Actor, handle: i32, operation: &Operation) -> Outcome {
        match self.attempt(by, handle, operation, None) {
            Applied::Outcome(outcome) => outcome,
            Applied::Waiting => wrong("the spaces let an operation wait that may not"),
        }
    }

    /// Applies an operation that waits if it finds nothing: what it found.
    pub(super) fn wait_for(
        &mut self,
        by: Actor,
        handle: i32,
        operation: &Operation,
    ) -> Option<Tuple> {
        self.waits = self.waits.saturating_add(1);
        let waiter = WaiterId {
            owner: SESSION,
            number: self.waits,
        };
        match self.attempt(by, handle, operation, Some(waiter)) {
            Applied::Outcome(Outcome::Match(found)) => found,
            _ => None,
        }
    }

    /// The one place that tells the spaces who acts: the client, whose tuples count against
    /// nobody.
    fn attempt(
        &self,
        by: Actor,
        handle: i32,
        operation: &Operation,
        waiter: Option<WaiterId>,
    ) -> Applied {
        let space = self.space(handle);
        let mut spaces = self.spaces.borrow_mut();
        let actor = bezant_tuplespace::Actor {
            session: by.has_session.then_some(SESSION),
            payer: None,
            viewer: Some(&by.client),
        };
        allowed(spaces.apply(actor, &space, operation, waiter))
    }

    /// Hands a tuple to those who wait for one like it; how many got it.
    pub(super) fn wake(&self, handle: i32, tuple: &Tuple) -> u64 {
        let space = self.space(handle);
        allowed(self.spaces.borrow_mut().deliver_to_waiters(&space, tuple))
    }

    /// Puts a tuple that belongs to nobody.
    pub(super) fn put(&self, handle: i32, tuple: Tuple) {
        let lease = Lease::Forever;
        self.apply(NOBODY, handle, &Operation::Out { tuple, lease });
    }

    /// Of the tuples that match the one with the smallest integer at `position`, the oldest
    /// among equals.
    pub(super) fn smallest(
        &self,
        by: Actor,
        handle: i32,
        template: &Template,
        position: usize,
        take: bool,
    ) -> Option<Tuple> {
        let number = |tuple: &Tuple| match tuple.get(position) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        };
        let mut smallest: Option<i64> = None;
        let mut after = None;
        loop {
            let page = self.page(by, handle, template, u32::MAX, after);
            let numbers = page.tuples.iter().filter_map(number);
            smallest = smallest.into_iter().chain(numbers).min();
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let mut fields = template.fields().to_vec();
        *fields.get_mut(position)? = Field::Exact(Value::Int(smallest?));
        let template = Template::new(fields).ok()?;
        let operation = if take {
            Operation::Inp { template }
        } else {
            Operation::Rdp { template }
        };
        match self.apply(by, handle, &operation) {
            Outcome::Match(found) => found,
            _ => None,
        }
    }

    /// Tuples that match, oldest first, behind one that was given before.
    pub(super) fn page(
        &self,
        by: Actor,
        handle: i32,
        template: &Template,
        limit: u32,
        after: Option<TupleId>,
    ) -> Page {
        let space = self.space(handle);
        let operation = Operation::RdAll {
            template: template.clone(),
            limit,
            after: after.map(|after| Cursor { space, after }),
        };
        page_of(self.apply(by, handle, &operation))
    }

    /// All tuples of a space, oldest first.
    pub(super) fn all(&self, handle: i32) -> Vec<Tuple> {
        let mut all: Vec<(TupleId, Tuple)> = Vec::new();
        for arity in 0..=MAX_FIELDS {
            let template = Template::new(vec![Field::Any; arity]);
            let template = template.unwrap_or_else(|limit| wrong(&format!("{limit}")));
            let mut after = None;
            loop {
                let space = self.space(handle);
                let operation = Operation::Survey {
                    template: template.clone(),
                    limit: u32::MAX,
                    after: after.map(|after| Cursor { space, after }),
                };
                let Outcome::Survey { found, next, .. } = self.apply(NOBODY, handle, &operation)
                else {
                    break;
                };
                all.extend(found);
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        all.sort_by_key(|(id, _)| *id);
        all.into_iter().map(|(_, tuple)| tuple).collect()
    }

    /// Agreed time is so late from here on, but never earlier than before.
    pub(super) fn advance(&mut self, now_ms: i64) {
        let now_ms = u64::try_from(now_ms).unwrap_or(0);
        self.spaces.get_mut().advance(now_ms);
    }

    /// What is done from here on can be undone.
    pub(super) fn savepoint(&mut self) -> Savepoint {
        self.spaces.get_mut().savepoint()
    }

    pub(super) fn rollback(&mut self, savepoint: Savepoint) {
        self.spaces.get_mut().rollback(savepoint);
    }

    /// What was done stays done, and those who waited for it have their tuples.
    pub(super) fn commit(&mut self) {
        let spaces = self.spaces.get_mut();
        spaces.commit();
        let served = spaces.take_deliveries().into_iter();
        self.served.extend(served.map(|served| served.tuple));
    }

    /// What those got who waited, in order.
    pub(super) fn served(&self) -> &[Tuple] {
        &self.served
    }

    /// The space that guests know by this handle; it is there as soon as it is named.
    fn space(&self, handle: i32) -> SpaceName {
        let name = match handle {
            -1 => SpaceName::new("here"),
            index => SpaceName::new(&format!("capability-{index}")),
        };
        let name = name.unwrap_or_else(|error| wrong(&format!("no space {handle}: {error}")));
        let mut spaces = self.spaces.borrow_mut();
        if !spaces.contains(&name) {
            allowed(spaces.create(&name));
        }
        name
    }
}

/// The tuples in an answer that has some.
pub(super) fn page_of(outcome: Outcome) -> Page {
    match outcome {
        Outcome::Page { tuples, next } => Page { tuples, next },
        _ => wrong("the spaces gave no page"),
    }
}

/// What came of it; a refusal ends the test as it would end the call.
fn allowed<T>(result: Result<T, Refusal>) -> T {
    result.unwrap_or_else(|refusal| wrong(&format!("the space refuses: {refusal}")))
}
