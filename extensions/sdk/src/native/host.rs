//! The host calls, on spaces in memory.
//!
//! A method for each line of the table `extensions/abi/bezant1.rs`, from which [`crate::raw`]
//! makes the functions that call them: one that is missing or has another type does not
//! compile. Each decodes what a guest passes, asks the spaces, and encodes what they say.

use std::{cell::RefCell, string::String, vec::Vec};

use bezant_tuple::{Template, Tuple, codec};
use bezant_tuplespace::{Lease, Operation, Outcome, TupleId};

use super::{
    Call,
    store::{Actor, Page, Store, page_of},
    wrong,
};

/// Most tuples in a page of `rd_all` and `in_all`, as the table says.
const MAX_PAGE_TUPLES: u32 = 256;

/// What is around the extension that runs.
#[derive(Debug, Default)]
pub(crate) struct Host {
    pub(super) call: Call,
    pub(super) store: Store,
    pub(super) now_ms: i64,
    /// The answer that `wait_for` gave at once.
    pub(super) found: Option<Tuple>,
    /// A result that was longer than the room for it.
    waiting: Option<Vec<u8>>,
    pub(super) logs: Vec<String>,
}

std::thread_local! {
    static AROUND: RefCell<Host> = RefCell::new(Host::default());
}

/// Lets something be done with what is around the extension that runs.
pub(crate) fn with<T>(then: impl FnOnce(&mut Host) -> T) -> T {
    AROUND.with_borrow_mut(then)
}

/// Puts this around the extension that runs next, and what was there in its place.
pub(super) fn swap(host: &mut Host) {
    with(|around| core::mem::swap(around, host));
}

fn template(bytes: &[u8]) -> Template {
    codec::decode_template(bytes).unwrap_or_else(|_| wrong("these bytes are no template"))
}

fn tuple(bytes: &[u8]) -> Tuple {
    codec::decode_tuple(bytes).unwrap_or_else(|_| wrong("these bytes are no tuple"))
}

fn lease(ms: i64) -> Lease {
    match u64::try_from(ms) {
        Ok(0) => Lease::Session,
        Ok(ms) => Lease::Ms(ms),
        Err(_) => wrong("a lease is no negative number"),
    }
}

fn limited(limit: u32) -> u32 {
    if (1..=MAX_PAGE_TUPLES).contains(&limit) {
        limit
    } else {
        wrong("a page has 1 to 256 tuples")
    }
}

impl Host {
    /// A result for a guest: its length, and what did not fit is kept.
    fn give(&mut self, data: Option<Vec<u8>>, into: &mut [u8]) -> i32 {
        let Some(data) = data else { return -1 };
        let length = i32::try_from(data.len()).unwrap_or(i32::MAX);
        match into.get_mut(..data.len()) {
            Some(room) => room.copy_from_slice(&data),
            None => self.waiting = Some(data),
        }
        length
    }

    fn give_tuple(&mut self, found: Option<&Tuple>, into: &mut [u8]) -> i32 {
        self.give(found.map(codec::encode_tuple), into)
    }

    fn give_page(&mut self, page: &Page, into: &mut [u8]) -> i32 {
        let next = page.next.and_then(|next| i64::try_from(next.0).ok());
        let mut bytes = Vec::from(next.unwrap_or(-1).to_le_bytes());
        for tuple in &page.tuples {
            let tuple = codec::encode_tuple(tuple);
            let length = u32::try_from(tuple.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&tuple);
        }
        self.give(Some(bytes), into)
    }

    /// The client whose operation it is; there is no session of its for an event.
    const fn actor(&self) -> Actor {
        Actor {
            client: self.call.invoker,
            has_session: self.call.event < 0,
        }
    }

    fn apply(&self, space: i32, operation: &Operation) -> Outcome {
        self.store.apply(self.actor(), space, operation)
    }

    /// Applies an operation that gives a tuple, if it finds one.
    fn find(&mut self, space: i32, operation: &Operation, into: &mut [u8]) -> i32 {
        match self.apply(space, operation) {
            Outcome::Match(found) => self.give_tuple(found.as_ref(), into),
            _ => -1,
        }
    }
}

/// The host calls.
impl Host {
    pub(crate) const fn operation(&self) -> i32 {
        self.call.kind
    }

    pub(crate) const fn event(&self) -> i32 {
        self.call.event
    }

    pub(crate) fn argument_template(&mut self, into: &mut [u8]) -> i32 {
        let asked = self.call.template.as_ref().map(codec::encode_template);
        self.give(asked, into)
    }

    pub(crate) fn argument_tuple(&mut self, into: &mut [u8]) -> i32 {
        let given = self.call.tuple.as_ref().map(codec::encode_tuple);
        self.give(given, into)
    }

    pub(crate) const fn argument_limit(&self) -> i64 {
        self.call.limit
    }

    pub(crate) const fn argument_after(&self) -> i64 {
        -1
    }

    pub(crate) const fn invoker(&self, into: &mut [u8; 32]) {
        *into = self.call.invoker;
    }

    pub(crate) const fn now(&self) -> i64 {
        self.now_ms
    }

    pub(crate) const fn sequence(&self) -> i64 {
        0
    }

    pub(crate) fn rdp(&mut self, space: i32, asked: &[u8], into: &mut [u8]) -> i32 {
        let template = template(asked);
        self.find(space, &Operation::Rdp { template }, into)
    }

    pub(crate) fn rd_all(
        &mut self,
        space: i32,
        asked: &[u8],
        limit: u32,
        after: i64,
        into: &mut [u8],
    ) -> i32 {
        let after = u64::try_from(after).ok().map(TupleId);
        let (template, limit) = (template(asked), limited(limit));
        let page = self
            .store
            .page(self.actor(), space, &template, limit, after);
        self.give_page(&page, into)
    }

    pub(crate) fn count(&self, space: i32, asked: &[u8]) -> i64 {
        let template = template(asked);
        match self.apply(space, &Operation::Count { template }) {
            Outcome::Count(count) => i64::try_from(count).unwrap_or(i64::MAX),
            _ => 0,
        }
    }

    pub(crate) fn rdp_min(
        &mut self,
        space: i32,
        asked: &[u8],
        position: u32,
        into: &mut [u8],
    ) -> i32 {
        self.smallest(space, asked, position, false, into)
    }

    pub(crate) fn out(&self, space: i32, given: &[u8]) {
        let (tuple, lease) = (tuple(given), Lease::Forever);
        self.apply(space, &Operation::Out { tuple, lease });
    }

    pub(crate) fn out_leased(&self, space: i32, given: &[u8], lease_ms: i64) {
        let (tuple, lease) = (tuple(given), lease(lease_ms));
        self.apply(space, &Operation::Out { tuple, lease });
    }

    pub(crate) fn inp(&mut self, space: i32, asked: &[u8], into: &mut [u8]) -> i32 {
        let template = template(asked);
        self.find(space, &Operation::Inp { template }, into)
    }

    pub(crate) fn inp_min(
        &mut self,
        space: i32,
        asked: &[u8],
        position: u32,
        into: &mut [u8],
    ) -> i32 {
        self.smallest(space, asked, position, true, into)
    }

    fn smallest(
        &mut self,
        space: i32,
        asked: &[u8],
        position: u32,
        take: bool,
        into: &mut [u8],
    ) -> i32 {
        let position = usize::try_from(position).unwrap_or(usize::MAX);
        let (by, template) = (self.actor(), template(asked));
        let found = self.store.smallest(by, space, &template, position, take);
        self.give_tuple(found.as_ref(), into)
    }

    pub(crate) fn cas(&mut self, space: i32, asked: &[u8], given: &[u8], into: &mut [u8]) -> i32 {
        let operation = Operation::Cas {
            template: template(asked),
            tuple: tuple(given),
            lease: Lease::Forever,
        };
        self.find(space, &operation, into)
    }

    pub(crate) fn replace(
        &mut self,
        space: i32,
        asked: &[u8],
        given: &[u8],
        into: &mut [u8],
    ) -> i32 {
        let operation = Operation::Replace {
            template: template(asked),
            tuple: tuple(given),
            lease: Lease::Forever,
        };
        self.find(space, &operation, into)
    }

    pub(crate) fn in_all(&mut self, space: i32, asked: &[u8], limit: u32, into: &mut [u8]) -> i32 {
        let (template, limit) = (template(asked), limited(limit));
        let page = page_of(self.apply(space, &Operation::InAll { template, limit }));
        self.give_page(&page, into)
    }

    pub(crate) fn renew(
        &mut self,
        space: i32,
        asked: &[u8],
        lease_ms: i64,
        into: &mut [u8],
    ) -> i32 {
        let template = template(asked);
        let lease_ms = u64::try_from(lease_ms).unwrap_or(0);
        self.find(space, &Operation::Renew { template, lease_ms }, into)
    }

    pub(crate) fn wait_for(&mut self, space: i32, asked: &[u8], take: u32) -> i32 {
        let (template, within_ms) = (template(asked), None);
        let operation = if take == 1 {
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
        let by = self.actor();
        self.found = self.store.wait_for(by, space, &operation);
        i32::from(self.found.is_some())
    }

    pub(crate) fn wake(&self, space: i32, given: &[u8]) -> i32 {
        let woken = self.store.wake(space, &tuple(given));
        i32::try_from(woken).unwrap_or(i32::MAX)
    }

    pub(crate) const fn hold_back(&self) -> i32 {
        0
    }

    pub(crate) fn result(&mut self, into: &mut [u8]) -> i32 {
        let waiting = self.waiting.take();
        self.give(waiting, into)
    }

    pub(crate) const fn reply(&self, _outcome: &[u8]) {}

    pub(crate) const fn refuse(&self, _code: u32) {}

    pub(crate) fn log(&mut self, text: &[u8]) {
        self.logs.push(String::from_utf8_lossy(text).into_owned());
    }
}
